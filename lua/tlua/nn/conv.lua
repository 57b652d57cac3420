-- conv.lua - convolutions over (N, spatial..., C) with PyTorch's weights (O, I / groups, kernel...), and the
-- step that networks are made of: convolution, batch norm, residual, activation, as one call where nothing is trained.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local ops = core.ops
local M = {}

local Conv = module.class("nn.Conv")
-- Numbers of one or of all dimensions are checked by `many`, below.
local CONV = { { "stride", "any", 1, "step" }, { "padding", "any", 0, "zeros on each side, or same" }, { "padding_end", "any", nil, "zeros at the end, where they differ" },
  { "dilation", "any", 1, "distance of kernel elements" }, { "groups", "any", 1, "channels are split into so many" }, { "bias", "boolean", true, "is there one" },
  { "image_size", "any", nil, "of pictures that are padded as TensorFlow does" }, { "initial", "any", nil, "how the weight starts" } }

-- A number or a list of `n` numbers.
local function many(what, name, value, n, least)
  if type(value) == "number" then
    local v = util.whole(what, name, value, least)
    local list = {}
    for i = 1, n do list[i] = v end
    return list
  end
  if type(value) ~= "table" or #value ~= n then util.failf("%s: %s must be a number or a list of %d", what, name, n) end
  for _, v in ipairs(value) do util.whole(what, name, v, least) end
  return value
end
M.many = many

-- What TensorFlow's "same" padding is for one dimension: the output is ceil(size / stride), and the odd one is
-- padded at the end.
local function same_padding(size, kernel, stride, dilation)
  local out = (size + stride - 1) // stride
  local all = math.max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
  return all // 2, all - all // 2
end

-- nn.Conv2d([in,] out, kernel [, stride [, padding]] [, {stride = 1, padding = 0, dilation = 1, groups = 1, bias = true,
-- image_size = nil, initial = nil}]). padding = "same" with image_size gives TensorFlow's padding for pictures of that size.
-- initial: one of the distributions below, or {"normal", mean, deviation} and the like; the bias is zero at first then.
function Conv:init(...)
  local what, n = self._class, self.rank
  local values, o = schema.arguments(what, CONV, { false, false, false, "stride", "padding" }, ...)
  local width, out, kernel = values[1], values[2], values[3]
  if values.n == 2 then width, out, kernel = nil, values[1], values[2] end
  if values.n < 2 then util.failf("%s: (in, out, kernel) or (out, kernel) is needed, then options in a table", what) end
  self.out_channels = util.whole(what, "the number of outputs", out)
  self.kernel = many(what, "the kernel", kernel, n, 1)
  self.stride = many(what, "stride", o.stride, n, 1)
  self.dilation = many(what, "dilation", o.dilation, n, 1)
  self.groups = util.whole(what, "groups", o.groups)
  self.bias_wanted, self.initial = o.bias, o.initial
  local padding = o.padding
  if padding == "same" then
    local size = many(what, "image_size", o.image_size or 0, n, 1)
    self.padding, self.padding_end = {}, {}
    for i = 1, n do self.padding[i], self.padding_end[i] = same_padding(size[i], self.kernel[i], self.stride[i], self.dilation[i]) end
  else
    self.padding = many(what, "padding", padding, n, 0)
    self.padding_end = o.padding_end and many(what, "padding_end", o.padding_end, n, 0) or self.padding
  end
  self.attributes = { stride = self.stride, padding = self.padding, padding_end = self.padding_end, dilation = self.dilation, groups = self.groups }
  self.needs_width = true
  if width then self:set_width(util.whole(what, "the number of inputs", width)) end
end

-- He et al. 2015: the variance that keeps that of what goes through rectifiers, forward (fan_in) or backward (fan_out).
local INITIAL = {
  kaiming_normal_fan_out = function(_, fan_out) return { "normal", 0, math.sqrt(2 / fan_out) } end,
  kaiming_normal_fan_in = function(fan_in) return { "normal", 0, math.sqrt(2 / fan_in) } end,
  kaiming_uniform_fan_in = function(fan_in) return { "uniform", -math.sqrt(6 / fan_in), math.sqrt(6 / fan_in) } end,
}

function Conv:set_width(width)
  self.in_channels, self.needs_width = width, nil
  if width % self.groups ~= 0 or self.out_channels % self.groups ~= 0 then
    util.failf("%s: %d inputs and %d outputs do not divide into %d groups", self._class, width, self.out_channels, self.groups)
  end
  local shape, fan_in, area = { self.out_channels, width // self.groups }, width // self.groups, 1
  for _, k in ipairs(self.kernel) do
    shape[#shape + 1] = k
    fan_in, area = fan_in * k, area * k
  end
  local bound = 1 / math.sqrt(fan_in)
  local weight, bias = { "uniform", -bound, bound }, { "uniform", -bound, bound }
  if self.initial then
    local known = INITIAL[self.initial]
    weight, bias = known and known(fan_in, self.out_channels * area) or self.initial, { "constant", 0 }
  end
  self:parameter("weight", shape, weight)
  if self.bias_wanted then self:parameter("bias", { self.out_channels }, bias) end
end

function Conv:infer(width)
  if self.needs_width and width then self:set_width(width) end
  if width and width ~= self.in_channels then util.failf("%s: the input has %d channels", self:label(), width) end
  return self.out_channels
end

-- The weight that the operator gets: the parameter, or what a network makes of it (used_weight, a function), whose
-- files have it in another form than its convolution. Where nothing is recorded it is made once; the calls of a model
-- file make it themselves, since the file has the parameter.
local function used(self, w)
  local make, kept = rawget(self, "used_weight"), rawget(self, "_used")
  if not make then return w end
  if core.recording() or plan.writing or not rawequal(w, self.weight) then return make(w) end
  if kept and rawequal(kept.from, w) and kept.version == w:version() then return kept.weight end
  if plan.imaginary then return make(w) end
  kept = { from = w, version = w:version(), weight = core.persist(make(w)) }
  rawset(self, "_used", kept)
  return kept.weight
end

-- A plan takes the weight that stands there: nothing is computed while it is made.
function Conv:before_plan()
  local guard <close> = core.no_grad()
  if rawget(self, "used_weight") and rawget(self, "_built") then used(self, self.weight) end
end

-- activation: the name of one that is taken along ("relu", "relu6", "silu", "hardswish", "gelu"), or nil.
function Conv:forward(x, activation)
  if self.needs_width then
    self:set_width(x:shape(-1))
    self:ready()
  end
  local a = self.attributes
  if activation then
    a = { stride = a.stride, padding = a.padding, padding_end = a.padding_end, dilation = a.dilation, groups = a.groups, activation = activation }
  end
  local y = ops.conv(x, used(self, self.weight), self.bias, nil, a)
  return y
end

-- norm(conv(x)) = conv'(x) with weight' = weight * scale per output, bias' = (bias - mean) * scale + shift, where
-- scale = norm.weight / sqrt(var + eps) and shift = norm.bias.
local function fold(self, norm)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local scale = (norm.running_var + norm.eps):rsqrt()
  if norm.weight then scale = scale * norm.weight end
  local dims = { self.out_channels }
  for i = 2, self.rank + 2 do dims[i] = 1 end
  local w = self.weight * scale:reshape(dims)
  local b = norm.running_mean * scale * -1
  if self.bias then b = b + self.bias * scale end
  if norm.bias then b = b + norm.bias end
  w = used(self, w)
  core.persist(w, b)
  return w, b
end

-- Weight and bias with the batch norm folded in. Kept until a tensor of either changes: compared by identity and
-- version, so an optimiser's step, a load or new statistics are noticed.
local function folded(self, norm)
  local from = { self.weight, norm.running_mean, norm.running_var, self.bias or false, norm.weight or false, norm.bias or false }
  local kept = rawget(self, "_folded")
  if kept and kept.norm == norm then
    local same = true
    for i = 1, #from do
      if rawequal(kept.from[i], from[i]) == false or (from[i] and kept.version[i] ~= from[i]:version()) then same = false break end
    end
    if same then return kept.weight, kept.bias end
  end
  local w, b = fold(self, norm)
  local version = {}
  for i = 1, #from do version[i] = from[i] and from[i]:version() end
  rawset(self, "_folded", { norm = norm, from = from, version = version, weight = w, bias = b })
  return w, b
end

-- May the norm be folded into this call? Not when it uses the batch's statistics, nor when a gradient passes through.
local function may_fold(self, norm, x, residual)
  if plan.tracing then return false end -- a plan folds by itself
  if norm:uses_batch() or rawget(norm, "measured") then return false end
  if not core.recording() then return true end
  return self:all_frozen() and norm:all_frozen() and not module.wants_gradient(x, residual)
end

-- activation(norm(conv(x)) + residual): one call in inference, the plain sequence where gradients are recorded.
-- options: activation = "relu" or another operator's name, residual = tensor of the output's shape.
local function with_norm(self, norm, x, options)
  options = options or {}
  local activation, residual = options.activation, options.residual
  if not rawget(self, "_built") then self:ready() end
  if not rawget(norm, "_built") then norm:ready() end
  if may_fold(self, norm, x, residual) then
    local w, b = folded(self, norm)
    local a = self.attributes
    local y = ops.conv(x, w, b, residual, { stride = a.stride, padding = a.padding, padding_end = a.padding_end, dilation = a.dilation,
      groups = a.groups, activation = activation })
    return y
  end
  -- The norm takes what follows it along where its kernels have it.
  if not activation or activation == "relu" or activation == "relu6" or (not residual and (activation == "silu" or activation == "hardswish")) then
    local y = norm(self(x), options)
    return y
  end
  local y = norm(self(x), { residual = residual })
  y = ops[activation](y)
  return y
end

function Conv:with_norm(norm, x, options)
  if module.profiling then return module.placed(self, with_norm, self, norm, x, options) end
  local y = with_norm(self, norm, x, options)
  return y
end

function Conv:label()
  return ("%s(%s -> %d, %s%s)"):format(self._class, self.in_channels or "?", self.out_channels, table.concat(self.kernel, " x "),
    self.groups > 1 and (", %d groups"):format(self.groups) or "")
end

function Conv:output(shape)
  local out = { shape[1] }
  for i = 1, self.rank do
    local covered = self.dilation[i] * (self.kernel[i] - 1) + 1
    out[i + 1] = (shape[i + 1] + self.padding[i] + self.padding_end[i] - covered) // self.stride[i] + 1
  end
  out[#out + 1] = self.out_channels
  return out
end

function Conv:cost(shape)
  local out = self:output(shape)
  local n = shape[#shape] // self.groups
  for _, k in ipairs(self.kernel) do n = n * k end
  for _, d in ipairs(out) do n = n * d end
  return out, n
end

function Conv:spec()
  local a = self.attributes
  return { class = self._class:match("[^.]+$"), args = { self.in_channels, self.out_channels, self.kernel },
    options = { stride = a.stride, padding = a.padding, padding_end = a.padding_end, dilation = a.dilation, groups = a.groups, bias = self.bias_wanted } }
end

for n = 1, 3 do
  local class = module.class(("nn.Conv%dd"):format(n), Conv)
  class.rank = n
  M[("Conv%dd"):format(n)] = class
end

return M
