-- frames.lua - what is done to frames (N, F, B) and waves (N, T) in front of a network: slopes, normalising,
-- pre-emphasis, masks by chance. All are called with (x, lengths) and give (y, lengths); what lies behind a clip's end
-- has no say in it.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local recompute = require "tlua.recompute"
local lengths_of = require "tlua.nn.sound.lengths"
local ops = core.ops
local M = {}

-- ---- slopes ----

-- nn.Deltas{win_length = 5, orders = 1}: behind each frame its slopes over the neighbouring frames, and with orders = 2
-- the slopes of those: (N, F, B) -> (N, F, (1 + orders) B). keep = false: the slopes alone.
local Deltas = module.class("nn.Deltas")
Deltas.scoped = true
M.Deltas = Deltas
local DELTAS = { { "win_length", "integer", 5, "frames that are looked at, an odd number", least = 3 },
  { "orders", "integer", 1, "how often", least = 1, most = 3 }, { "keep", "boolean", true,
    "the frames stay in front" } }
Deltas.schema = DELTAS
function Deltas:init(...)
  local _, o = schema.arguments("nn.Deltas", DELTAS, {}, ...)
  if o.win_length % 2 == 0 then util.failf("nn.Deltas: win_length must be odd, not %d", o.win_length) end
  rawset(self, "options", o)
end
function Deltas:forward(x, lengths)
  local list, y = { self.options.keep and x or nil }, x
  for _ = 1, self.options.orders do
    y = ops.deltas(y, lengths, { reach = self.options.win_length // 2 })
    list[#list + 1] = y
  end
  if #list > 1 then
    list[#list + 1] = { axis = 3 }
    y = ops.concat(table.unpack(list))
  end
  return y, lengths
end
function Deltas:parts() return self.options.orders + (self.options.keep and 1 or 0) end
function Deltas:infer(width) return width and width * self:parts() end
function Deltas:cost(shape)
  local out = { shape[1], shape[2], shape[3] * self:parts() }
  return out, shape[1] * shape[2] * shape[3] * self.options.orders * self.options.win_length
end
function Deltas:label() return ("nn.Deltas(%d)"):format(self.options.win_length) end
function Deltas:spec() return { class = "Deltas", args = {}, options = self.options } end

-- ---- normalising ----

-- nn.Normalize{over = "channel"}: (x - mean) / sqrt(var + eps) over the frames of each clip, for each channel; "clip":
-- with one mean for all channels (of a wave: over its samples); "running": for each channel over all clips, the batch's
-- in training, running ones in inference, like a batch norm. What lies behind a clip's end becomes 0.
local Normalize = module.class("nn.Normalize")
Normalize.scoped = true
M.Normalize = Normalize
local NORMALIZE = { { "over", "choice", "channel", "what has one mean", { "channel", "clip", "running" } },
  { "variance", "boolean", true, "divide by the deviation too" },
  { "eps", "number", 1e-5, "added to the variance", least = 0 },
  { "momentum", "number", 0.1, "share of the batch in the running statistics", least = 0, most = 1 } }
Normalize.schema = NORMALIZE
function Normalize:init(...)
  local values, o = schema.arguments("nn.Normalize", NORMALIZE, { false }, ...)
  rawset(self, "options", o)
  if o.over ~= "running" then return end
  rawset(self, "needs_width", true)
  if values[1] then self:set_width(util.whole("nn.Normalize", "the number of channels", values[1])) end
end
function Normalize:set_width(n)
  rawset(self, "needs_width", nil)
  self:buffer("running_mean", { n }, { "constant", 0 })
  self:buffer("running_var", { n }, { "constant", 1 })
end
function Normalize:infer(width)
  if self.needs_width and width then self:set_width(width) end
  return width
end
function Normalize:uses_batch() return self.training and not self.keeps_statistics and not self:in_frozen_part() end

-- x with what lies behind the ends as 0, without its mean; the mean and the variance over `axes`.
local function centred(x, lengths, axes)
  if not lengths then
    local mean = ops.mean(x, { axes = axes, keep = true })
    local y = x - mean
    return y, mean, ops.mean(ops.square(y), { axes = axes, keep = true })
  end
  local mask, size = lengths_of.mask(x, lengths), { axes = axes, keep = true }
  local count = ops.sum(mask, size) -- over the channels too, where they have one mean
  if axes[#axes] == 3 then count = count * x:shape(3) end
  count = ops.maximum(count, ops.cast(ops.range { start = 1, count = 1 }, { dtype = "float32" }))
  local mean = ops.sum(x * mask, size) / count
  local y = (x - mean) * mask
  return y, mean, ops.sum(ops.square(y), size) / count
end

local AXES = { channel = { 2 }, clip = { 2, 3 }, running = { 1, 2 } }

function Normalize:forward(x, lengths)
  local o, rank = self.options, x:rank()
  if rank == 2 and o.over == "clip" then x = x:reshape { x:shape(1), -1, 1 } end
  if x:rank() ~= 3 then
    util.failf("%s: frames (N, F, B) are needed, not %s", self:label(), util.shape_text(x:shape()))
  end
  if self.needs_width then
    self:set_width(x:shape(3))
    self:ready()
  end
  local y, mean, var
  if o.over == "running" and not self:uses_batch() then
    y, var = lengths_of.masked(x - self.running_mean, lengths), self.running_var
  else
    y, mean, var = centred(x, lengths, AXES[o.over])
    if o.over == "running" then self:move(mean, var) end
  end
  if o.variance then y = y * ops.rsqrt(var + o.eps) end
  if rank == 2 then y = y:reshape { y:shape(1), -1 } end
  return y, lengths
end

-- The running statistics follow; not where nothing that happens counts.
function Normalize:move(mean, var)
  if plan.imaginary or recompute.again then return end
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local p, shape = self.options.momentum, self.running_mean:shape()
  local first = self.running_mean * (1 - p) + mean:reshape(shape) * p
  local second = self.running_var * (1 - p) + var:reshape(shape) * p
  self.running_mean:copy_(first)
  self.running_var:copy_(second)
end
function Normalize:cost(shape)
  local n = 4
  for _, d in ipairs(shape) do n = n * d end
  return shape, n
end
function Normalize:label() return ("nn.Normalize(%s)"):format(self.options.over) end
function Normalize:spec()
  local width = self._specs[1] and self._specs[1].shape[1]
  return { class = "Normalize", args = { width }, options = self.options }
end

-- ---- waves ----

-- nn.PreEmphasis(0.97): y[t] = x[t] - 0.97 x[t - 1] over waves (N, T); the first sample stays.
local PreEmphasis = module.class("nn.PreEmphasis")
PreEmphasis.scoped = true
M.PreEmphasis = PreEmphasis
function PreEmphasis:init(...)
  local _, o = schema.arguments("nn.PreEmphasis", { { "coefficient", "number", 0.97, "of the sample before",
    least = 0, most = 1 } },
    { "coefficient" }, ...)
  self.coefficient = o.coefficient
end
function PreEmphasis:forward(x, lengths)
  local before = ops.slice(ops.pad(x, { before = { 0, 1 }, after = { 0, 0 } }), { axis = 2, start = 0,
    length = x:shape(2) })
  local y = x - before * self.coefficient
  return y, lengths
end
function PreEmphasis:label() return ("nn.PreEmphasis(%g)"):format(self.coefficient) end
function PreEmphasis:spec() return { class = "PreEmphasis", args = { self.coefficient } } end

-- ---- chance ----

-- The mean of each clip's own frames over all bands, (N, 1, 1).
local function clip_means(x, lengths)
  local _, mean = centred(x, lengths, AXES.clip)
  return mean
end

-- nn.SpecAugment{...} (Park et al. 2019): in training, stretches of bands and of frames become `value` (0, the mean of
-- what is normalised before), each clip its own, within its length. Nothing in inference or in a frozen part.
local SpecAugment = module.class("nn.SpecAugment")
M.SpecAugment = SpecAugment
local AUGMENT = { { "freq_masks", "integer", 2, "stretches of bands", least = 0, most = 64 },
  { "freq_width", "integer", 27, "bands of one at most", least = 0 },
  { "time_masks", "integer", 2, "stretches of frames", least = 0, most = 64 },
  { "time_width", "integer", 100, "frames of one at most", least = 0 },
  { "time_share", "number", 1, "and at most this share of the clip", least = 0, most = 1 },
  { "fill", "choice", "value", "what stands there: value, or the mean of the clip's frames, which is no sound of its own "
    .. "where frames are logarithms", { "value", "mean" } },
  { "value", "number", 0, "what stands there" } }
SpecAugment.schema = AUGMENT
function SpecAugment:init(...)
  local _, o = schema.arguments("nn.SpecAugment", AUGMENT, {}, ...)
  rawset(self, "options", o)
end
function SpecAugment:forward(x, lengths)
  if not self.training or plan.writing or self:in_frozen_part() then return x, lengths end
  local o = self.options
  local how = { freq_masks = o.freq_masks, freq_width = o.freq_width, time_masks = o.time_masks,
    time_width = o.time_width, time_share = o.time_share, value = o.value }
  if o.fill == "value" then
    local y = ops.spec_augment(x, lengths, how)
    return y, lengths
  end
  if o.value ~= 0 then util.fail 'nn.SpecAugment: value is for fill = "value"' end
  local level
  do -- a constant for the gradient
    local guard <close> = core.no_grad()
    level = clip_means(x, lengths)
  end
  local y = ops.spec_augment(x - level, lengths, how) + level
  return y, lengths
end
function SpecAugment:label()
  local o = self.options
  return ("nn.SpecAugment(%d x %d bands, %d x %d frames)"):format(o.freq_masks, o.freq_width, o.time_masks,
    o.time_width)
end
function SpecAugment:spec() return { class = "SpecAugment", args = {}, options = self.options } end

return M
