-- mobilenet_v2.lua - MobileNetV2 (Sandler et al. 2018) as torchvision has it: inverted residuals with ReLU6 and linear
-- bottlenecks.
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"

-- Expansion 1 x 1 (where there is any), depthwise 3 x 3, projection 1 x 1, and the input added where the shape allows.
local InvertedResidual = module.class("mobilenet_v2.InvertedResidual")
InvertedResidual.scoped = true
function InvertedResidual:init(width, out, stride, expand)
  local inner, layers = width * expand, {}
  if expand ~= 1 then layers[1] = parts.ConvNorm(width, inner, 1, { activation = "relu6" }) end
  layers[#layers + 1] = parts.ConvNorm(inner, inner, 3, { stride = stride, groups = inner, activation = "relu6" })
  layers[#layers + 1] = nn.Conv2d(inner, out, 1, { bias = false, initial = "kaiming_normal_fan_out" })
  layers[#layers + 1] = nn.BatchNorm2d(out)
  self.conv = nn.Sequential(layers)
  rawset(self, "skip", stride == 1 and width == out)
end
function InvertedResidual:forward(x)
  local y, n = x, self.conv:length()
  for i = 1, n - 2 do y = self.conv:at(i)(y) end
  local out = self.conv:at(n - 1):with_norm(self.conv:at(n), y, { residual = self.skip and x or nil })
  return out
end
function InvertedResidual:cost(shape) return self.conv:cost(shape) end

local MobileNetV2 = module.class("models.MobileNetV2", Network)
MobileNetV2.head_name = "classifier.1"
MobileNetV2.first_name = "features.0.0"

-- expansion, outputs, repeats, first stride
local STAGES = { { 1, 16, 1, 1 }, { 6, 24, 2, 2 }, { 6, 32, 3, 2 }, { 6, 64, 4, 2 }, { 6, 96, 3, 1 }, { 6, 160, 3, 2 },
  { 6, 320, 1, 1 } }

function MobileNetV2:init(_, options)
  local layers, width = { parts.ConvNorm(options.in_channels, 32, 3, { stride = 2, activation = "relu6" }) }, 32
  for _, s in ipairs(STAGES) do
    for i = 1, s[3] do
      layers[#layers + 1] = InvertedResidual(width, s[2], i == 1 and s[4] or 1, s[1])
      width = s[2]
    end
  end
  layers[#layers + 1] = parts.ConvNorm(width, 1280, 1, { activation = "relu6" })
  self.features = nn.Sequential(layers)
  rawset(self, "features_width", 1280)
  self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, options.classes)) -- the dropout is network.lua's
end

MobileNetV2.stages = parts.feature_stages

function MobileNetV2:features_cost(shape)
  local out, n = self:find("features"):cost(shape)
  return { out[1], out[4] }, n
end

return function(registry)
  local first, second = parts.preprocessing(224, 256), parts.preprocessing(224, 232)
  registry.add { name = "mobilenet_v2", class = MobileNetV2, size = 224, dropout = 0.2, preprocessing = first,
    weights = { imagenet = parts.published("mobilenet_v2", "b0353104", first),
      imagenet_v2 = parts.published("mobilenet_v2", "7ebf99e0", second) } }
end
