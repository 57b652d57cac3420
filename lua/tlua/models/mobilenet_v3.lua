-- mobilenet_v3.lua - MobileNetV3 (Howard et al. 2019), small and large, as torchvision has it: inverted residuals with
-- squeeze-and-excitation, hard swish, and a layer between the mean and the classifier, which belongs to the features
-- here.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"

local EPS, MOMENTUM = 1e-3, 0.01
local function layer(width, out, kernel, activation, stride)
  return parts.ConvNorm(width, out, kernel, { stride = stride, activation = activation, eps = EPS,
    momentum = MOMENTUM })
end

local MobileNetV3 = module.class("models.MobileNetV3", Network)
MobileNetV3.head_name, MobileNetV3.first_name = "classifier.3", "features.0.0"

function MobileNetV3:init(entry, options)
  local layers, width = { layer(options.in_channels, 16, 3, "hardswish", 2) }, 16
  for _, b in ipairs(entry.blocks) do
    layers[#layers + 1] = parts.InvertedResidual { width = width, kernel = b[1], inner = b[2], out = b[3],
      squeezed = b[4] and parts.divisible(b[2] // 4), squeeze_activation = "relu", gate = "hardsigmoid",
      activation = b[5], stride = b[6], eps = EPS, momentum = MOMENTUM }
    width = b[3]
  end
  layers[#layers + 1] = layer(width, 6 * width, 1, "hardswish")
  self.features = nn.Sequential(layers)
  rawset(self, "features_width", entry.last)
  self.classifier = nn.Sequential(nn.Linear(6 * width, entry.last), nn.Hardswish(), nn.Identity(),
    nn.Linear(entry.last, options.classes))
end

function MobileNetV3:stages()
  local list = parts.feature_stages(self)
  list[#list + 1] = { name = "classifier.0", modules = { "classifier.0" }, run = function(self, x)
    local y = self.classifier:at(1)(x)
    return core.ops.hardswish(y)
  end }
  return list
end

function MobileNetV3:features_cost(shape)
  local out, n = self:find("features"):cost(shape)
  local y, m = self.classifier:at(1):cost { out[1], out[4] }
  return y, n + m
end

-- kernel, inner width, outputs, squeeze-and-excitation, activation, stride
local RE, HS = "relu", "hardswish"
local SMALL = {
  { 3, 16, 16, true, RE, 2 }, { 3, 72, 24, false, RE, 2 }, { 3, 88, 24, false, RE, 1 }, { 5, 96, 40, true, HS, 2 },
  { 5, 240, 40, true, HS, 1 },
  { 5, 240, 40, true, HS, 1 }, { 5, 120, 48, true, HS, 1 }, { 5, 144, 48, true, HS, 1 }, { 5, 288, 96, true, HS, 2 },
  { 5, 576, 96, true, HS, 1 },
  { 5, 576, 96, true, HS, 1 },
}
local LARGE = {
  { 3, 16, 16, false, RE, 1 }, { 3, 64, 24, false, RE, 2 }, { 3, 72, 24, false, RE, 1 }, { 5, 72, 40, true, RE, 2 },
  { 5, 120, 40, true, RE, 1 },
  { 5, 120, 40, true, RE, 1 }, { 3, 240, 80, false, HS, 2 }, { 3, 200, 80, false, HS, 1 }, { 3, 184, 80, false, HS, 1 },
  { 3, 184, 80, false, HS, 1 },
  { 3, 480, 112, true, HS, 1 }, { 3, 672, 112, true, HS, 1 }, { 5, 672, 160, true, HS, 2 },
  { 5, 960, 160, true, HS, 1 }, { 5, 960, 160, true, HS, 1 },
}

return function(registry)
  local first, second = parts.preprocessing(224, 256), parts.preprocessing(224, 232)
  registry.add { name = "mobilenet_v3_small", class = MobileNetV3, blocks = SMALL, last = 1024, size = 224,
    dropout = 0.2, preprocessing = first, weights =
    { imagenet = parts.published("mobilenet_v3_small", "047dcff4", first) } }
  registry.add { name = "mobilenet_v3_large", class = MobileNetV3, blocks = LARGE, last = 1280, size = 224,
    dropout = 0.2, preprocessing = first,
    weights = { imagenet = parts.published("mobilenet_v3_large", "8738ca79", first),
      imagenet_v2 = parts.published("mobilenet_v3_large", "5c1a4163", second) } }
end
