-- resize.lua - layers that make maps and volumes larger: transposed convolutions and interpolation.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local many = require("tlua.nn.conv").many
local ops = core.ops
local M = {}

-- ---- transposed convolution ----

local ConvTranspose = module.class("nn.ConvTranspose")
local OPTIONS = { { "stride", "any", 1, "step of the output" }, { "padding", "any", 0, "rows taken away on each side" },
  { "output_padding", "any", 0, "rows added at the end" }, { "dilation", "any", 1, "distance of kernel elements" },
  { "groups", "any", 1, "channels are split into so many" }, { "bias", "boolean", true, "is there one" } }

-- nn.ConvTranspose2d(in, out, kernel [, stride [, padding]] [, {stride = 1, padding = 0, output_padding = 0, dilation = 1,
-- groups = 1, bias = true}]): the transpose of a convolution, with PyTorch's weight (in, out / groups, kernel...).
function ConvTranspose:init(...)
  local what, n = self._class, self.dimensions
  local values, o = schema.arguments(what, OPTIONS, { false, false, false, "stride", "padding" }, ...)
  if values.n < 3 then util.failf("%s: (in, out, kernel) is needed, then options in a table", what) end
  self.in_channels = util.whole(what, "the number of inputs", values[1])
  self.out_channels = util.whole(what, "the number of outputs", values[2])
  self.kernel = many(what, "the kernel", values[3], n, 1)
  self.groups, self.bias_wanted = util.whole(what, "groups", o.groups), o.bias
  self.attributes = { stride = many(what, "stride", o.stride, n, 1), padding = many(what, "padding", o.padding, n, 0),
    output_padding = many(what, "output_padding", o.output_padding, n, 0), dilation = many(what, "dilation", o.dilation, n, 1),
    groups = self.groups }
  if self.in_channels % self.groups ~= 0 or self.out_channels % self.groups ~= 0 then
    util.failf("%s: %d inputs and %d outputs do not divide into %d groups", what, self.in_channels, self.out_channels, self.groups)
  end
  -- PyTorch counts the second dimension of the weight as what comes in.
  local shape, fan_in = { self.in_channels, self.out_channels // self.groups }, self.out_channels // self.groups
  for _, k in ipairs(self.kernel) do
    shape[#shape + 1] = k
    fan_in = fan_in * k
  end
  local bound = 1 / math.sqrt(fan_in)
  self:parameter("weight", shape, { "uniform", -bound, bound })
  if o.bias then self:parameter("bias", { self.out_channels }, { "uniform", -bound, bound }) end
end
function ConvTranspose:infer(width)
  if width and width ~= self.in_channels then util.failf("%s: the input has %d channels", self:label(), width) end
  return self.out_channels
end
function ConvTranspose:forward(x)
  local y = ops.conv_transpose(x, self.weight, self.bias, self.attributes)
  return y
end
function ConvTranspose:label()
  return ("%s(%d -> %d, %s)"):format(self._class, self.in_channels, self.out_channels, table.concat(self.kernel, " x "))
end
function ConvTranspose:cost(shape)
  local a, out, n = self.attributes, { shape[1] }, shape[#shape] // self.groups * self.out_channels
  for i, k in ipairs(self.kernel) do
    out[i + 1] = (shape[i + 1] - 1) * a.stride[i] - 2 * a.padding[i] + a.dilation[i] * (k - 1) + 1 + a.output_padding[i]
    n = n * k * shape[i + 1]
  end
  out[#out + 1] = self.out_channels
  return out, n * shape[1]
end
function ConvTranspose:spec()
  local a = self.attributes
  return { class = self._class:match("[^.]+$"), args = { self.in_channels, self.out_channels, self.kernel },
    options = { stride = a.stride, padding = a.padding, output_padding = a.output_padding, dilation = a.dilation,
      groups = a.groups, bias = self.bias_wanted } }
end

for n = 1, 3 do
  local class = module.class(("nn.ConvTranspose%dd"):format(n), ConvTranspose)
  class.dimensions = n
  M[("ConvTranspose%dd"):format(n)] = class
end

-- ---- interpolation ----

-- nn.Upsample { scale_factor = 2 } or { size = n or a list }: rows, pictures or volumes (N, ..., C) at another size, by the
-- nearest pixel or linearly in each dimension; PyTorch's names of the linear mode are understood.
local Upsample = module.class("nn.Upsample")
M.Upsample = Upsample
local UPSAMPLE = { { "size", "any", nil, "of the result, a number or a list of one for each dimension" },
  { "scale_factor", "any", nil, "how many times as large, a number or a list" },
  { "mode", "choice", "nearest", "nearest or linear in each dimension", { "nearest", "linear", "bilinear", "trilinear" } },
  { "align_corners", "boolean", false, "the corner pixels' centres stay where they are" } }
function Upsample:init(...)
  local _, o = schema.arguments("nn.Upsample", UPSAMPLE, {}, ...)
  if (o.size == nil) == (o.scale_factor == nil) then util.fail "nn.Upsample: give either size or scale_factor" end
  self.options = o
end
local function listed(v) return type(v) == "table" and v or { v } end
function Upsample:forward(x)
  local o = self.options
  local a = { mode = o.mode == "nearest" and "nearest" or "linear", align_corners = o.align_corners }
  if o.size then a.size = listed(o.size)
  elseif math.type(o.scale_factor) == "integer" then a.scale = o.scale_factor
  else a.factors = listed(o.scale_factor) end
  local y = ops.interpolate(x, a)
  return y
end
function Upsample:label()
  local v = self.options.size or self.options.scale_factor
  return ("nn.Upsample(%s, %s)"):format(table.concat(listed(v), " x "), self.options.mode)
end
function Upsample:cost(shape)
  local o, out = self.options, { shape[1] }
  for i = 2, #shape - 1 do
    local v = listed(o.size or o.scale_factor)
    local n = v[#v == 1 and 1 or i - 1]
    out[i] = o.size and n or math.floor(shape[i] * n)
  end
  out[#out + 1] = shape[#shape]
  return out, 0
end
function Upsample:spec() return { class = "Upsample", args = {}, options = self.options } end

return M
