-- norm.lua - batch norm and layer norm over the last dimension.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local recompute = require "tlua.recompute"
local ops = core.ops
local M = {}

-- y = (x - mean) / sqrt(var + eps) * weight + bias per channel (Ioffe and Szegedy 2015). In training mean and
-- variance are the batch's, and running_mean, running_var follow with `momentum`; in inference and in frozen
-- parts they are the running ones (unless frozen with batchnorm = "train"), and everywhere after keep_statistics.
-- `measured`: a function that is given what goes in (tlua/models/detect/statistics.lua).
local BatchNorm = module.class("nn.BatchNorm")
local EPS = { "eps", "number", 1e-5, "added to the variance", least = 0 }
local BATCH_NORM = { EPS, { "momentum", "number", 0.1, "share of the batch in the running statistics", least = 0, most = 1 },
  { "affine", "boolean", true, "weight and bias behind it" } }

function BatchNorm:init(...)
  local values, o = schema.arguments(self._class, BATCH_NORM, { false }, ...)
  self.eps, self.momentum, self.affine = o.eps, o.momentum, o.affine
  self.batches = 0
  self.needs_width = true
  if values[1] then self:set_width(util.whole(self._class, "the number of channels", values[1])) end
end

function BatchNorm:set_width(n)
  self.num_features, self.needs_width = n, nil
  if self.affine then
    self:parameter("weight", { n }, { "constant", 1 })
    self:parameter("bias", { n }, { "constant", 0 })
  end
  self:buffer("running_mean", { n }, { "constant", 0 })
  self:buffer("running_var", { n }, { "constant", 1 })
end

function BatchNorm:infer(width)
  if self.needs_width and width then self:set_width(width) end
  if width and width ~= self.num_features then util.failf("%s: the input has %d channels", self:label(), width) end
  return width or self.num_features
end

-- Are the statistics of the batch used?
function BatchNorm:uses_batch()
  if not self.training or self.keeps_statistics then return false end
  if self.frozen_mode == "train" then return true end
  local frozen
  if self.affine then frozen = self:all_frozen() else frozen = self:in_frozen_part() end
  return not frozen
end

-- options: residual = a tensor of x's shape, activation = "relu", "relu6" or (without a residual) "silu" or "hardswish":
-- both in the same pass.
function BatchNorm:forward(x, options)
  if self.needs_width then
    self:set_width(x:shape(-1))
    self:ready()
  end
  local training, measured = self:uses_batch(), rawget(self, "measured")
  if measured then measured(x) end
  local y = ops.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, options and options.residual,
    { training = training, momentum = recompute.again and 0 or self.momentum, eps = self.eps, activation = options and options.activation })
  if training and not plan.imaginary and not recompute.again then self.batches = self.batches + 1 end
  return y
end

function BatchNorm:counters() return { num_batches_tracked = self.batches } end
function BatchNorm:set_counter(_, n) self.batches = n end
function BatchNorm:label() return ("%s(%s)"):format(self._class, self.num_features or "?") end
function BatchNorm:spec()
  return { class = self._class:match("[^.]+$"), args = { self.num_features }, options = { eps = self.eps, momentum = self.momentum, affine = self.affine } }
end

for n = 1, 3 do M[("BatchNorm%dd"):format(n)] = module.class(("nn.BatchNorm%dd"):format(n), BatchNorm) end

-- The same per row: mean and variance over the last dimension (Ba et al. 2016).
local LayerNorm = module.class("nn.LayerNorm")
M.LayerNorm = LayerNorm

function LayerNorm:init(...)
  local values, o = schema.arguments("nn.LayerNorm", { EPS }, { false }, ...)
  self.eps = o.eps
  self.needs_width = true
  if values[1] then self:set_width(util.whole("nn.LayerNorm", "the width", values[1])) end
end
function LayerNorm:set_width(n)
  self.width, self.needs_width = n, nil
  self:parameter("weight", { n }, { "constant", 1 })
  self:parameter("bias", { n }, { "constant", 0 })
end
function LayerNorm:infer(width)
  if self.needs_width and width then self:set_width(width) end
  if width and width ~= self.width then util.failf("%s: the input has %d features", self:label(), width) end
  return width or self.width
end
function LayerNorm:forward(x)
  if self.needs_width then
    self:set_width(x:shape(-1))
    self:ready()
  end
  local y = ops.layer_norm(x, self.weight, self.bias, { eps = self.eps })
  return y
end
function LayerNorm:label() return ("nn.LayerNorm(%s)"):format(self.width or "?") end
function LayerNorm:spec() return { class = "LayerNorm", args = { self.width }, options = { eps = self.eps } } end

-- nn.GroupNorm(groups, channels [, {eps = 1e-5}]): mean and variance over all places and the channels of a group, for
-- each sample (Wu and He 2018). x (N, ..., C).
local GroupNorm = module.class("nn.GroupNorm")
M.GroupNorm = GroupNorm

function GroupNorm:init(...)
  local values, o = schema.arguments("nn.GroupNorm", { EPS }, { false, false }, ...)
  self.groups = util.whole("nn.GroupNorm", "the number of groups", values[1])
  self.channels = util.whole("nn.GroupNorm", "the number of channels", values[2])
  self.eps = o.eps
  if self.channels % self.groups ~= 0 then
    util.failf("nn.GroupNorm: %d channels do not divide into %d groups", self.channels, self.groups)
  end
  self:parameter("weight", { self.channels }, { "constant", 1 })
  self:parameter("bias", { self.channels }, { "constant", 0 })
end
function GroupNorm:infer(width)
  if width and width ~= self.channels then util.failf("%s: the input has %d channels", self:label(), width) end
  return self.channels
end

-- options: slope = what a rectifier behind it multiplies by below zero, in the same pass.
function GroupNorm:forward(x, options)
  local y = ops.group_norm(x, self.weight, self.bias, { groups = self.groups, eps = self.eps, slope = options and options.slope })
  return y
end
function GroupNorm:label() return ("nn.GroupNorm(%d, %d)"):format(self.groups, self.channels) end
function GroupNorm:spec()
  return { class = "GroupNorm", args = { self.groups, self.channels }, options = { eps = self.eps } }
end

-- nn.InstanceNorm2d(channels [, {eps = 1e-5, affine = false}]): mean and variance over the places of each channel of each
-- sample (Ulyanov et al. 2016), in training and in inference alike. x (N, ..., C).
local InstanceNorm = module.class("nn.InstanceNorm")
local INSTANCE_NORM = { EPS, { "affine", "boolean", false, "weight and bias behind it" } }

function InstanceNorm:init(...)
  local values, o = schema.arguments(self._class, INSTANCE_NORM, { false }, ...)
  self.eps, self.affine = o.eps, o.affine
  self.needs_width = true
  if values[1] then self:set_width(util.whole(self._class, "the number of channels", values[1])) end
end
function InstanceNorm:set_width(n)
  self.num_features, self.needs_width = n, nil
  if not self.affine then return end
  self:parameter("weight", { n }, { "constant", 1 })
  self:parameter("bias", { n }, { "constant", 0 })
end
function InstanceNorm:infer(width)
  if self.needs_width and width then self:set_width(width) end
  if width and width ~= self.num_features then util.failf("%s: the input has %d channels", self:label(), width) end
  return width or self.num_features
end
-- options: slope, as of nn.GroupNorm.
function InstanceNorm:forward(x, options)
  if self.needs_width then
    self:set_width(x:shape(-1))
    self:ready()
  end
  local y = ops.group_norm(x, self.weight, self.bias, { eps = self.eps, slope = options and options.slope })
  return y
end
function InstanceNorm:label() return ("%s(%s)"):format(self._class, self.num_features or "?") end
function InstanceNorm:spec()
  return { class = self._class:match("[^.]+$"), args = { self.num_features }, options = { eps = self.eps, affine = self.affine } }
end

for n = 1, 3 do M[("InstanceNorm%dd"):format(n)] = module.class(("nn.InstanceNorm%dd"):format(n), InstanceNorm) end

return M
