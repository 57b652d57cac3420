-- efficientnet.lua - EfficientNet-B0..B4 (Tan and Le 2019) as torchvision has them: inverted residuals with
-- squeeze-and-excitation, SiLU, and stochastic depth in training.
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"

local EfficientNet = module.class("models.EfficientNet", Network)
EfficientNet.head_name, EfficientNet.first_name = "classifier.1", "features.0.0"

-- expansion, kernel, first stride, inputs, outputs, repeats of B0
local STAGES = {
  { 1, 3, 1, 32, 16, 1 }, { 6, 3, 2, 16, 24, 2 }, { 6, 5, 2, 24, 40, 2 }, { 6, 3, 2, 40, 80, 3 },
  { 6, 5, 1, 80, 112, 3 }, { 6, 5, 2, 112, 192, 4 }, { 6, 3, 1, 192, 320, 1 },
}

function EfficientNet:init(entry, options)
  local width, all, done = parts.divisible(32 * entry.width), 0, 0
  for _, s in ipairs(STAGES) do all = all + math.ceil(s[6] * entry.depth) end
  local layers = { parts.ConvNorm(options.in_channels, width, 3, { stride = 2, activation = "silu" }) }
  for _, s in ipairs(STAGES) do
    local blocks, out = {}, parts.divisible(s[5] * entry.width)
    for i = 1, math.ceil(s[6] * entry.depth) do
      blocks[i] = parts.InvertedResidual { width = width, inner = parts.divisible(width * s[1]), out = out,
        kernel = s[2], stride = i == 1 and s[3] or 1, activation = "silu", squeezed = math.max(1, width // 4),
        squeeze_activation = "silu", gate = "sigmoid", drop = options.drop_connect * done / all }
      width, done = out, done + 1
    end
    layers[#layers + 1] = nn.Sequential(blocks)
  end
  layers[#layers + 1] = parts.ConvNorm(width, 4 * width, 1, { activation = "silu" })
  self.features = nn.Sequential(layers)
  rawset(self, "features_width", 4 * width)
  local bound = 1 / math.sqrt(options.classes)
  self.classifier = nn.Sequential(nn.Identity(),
    nn.Linear(4 * width, options.classes, { initial = { "uniform", -bound, bound } }))
end

EfficientNet.stages = parts.feature_stages

function EfficientNet:features_cost(shape)
  local out, n = self:find("features"):cost(shape)
  return { out[1], out[4] }, n
end

return function(registry)
  -- width, depth, side of the pictures, the shorter side before the crop, dropout, weights
  for i, v in ipairs {
    { 1.0, 1.0, 224, 256, 0.2, "7f5810bc" }, { 1.0, 1.1, 240, 256, 0.2, "bac287d4" },
    { 1.1, 1.2, 288, 288, 0.3, "c35c1473" },
    { 1.2, 1.4, 300, 320, 0.3, "b3899882" }, { 1.4, 1.8, 380, 384, 0.4, "23ab8bcd" },
  } do
    local name, preprocessing = "efficientnet_b" .. i - 1, parts.preprocessing(v[3], v[4], "bicubic")
    local weights = { imagenet = parts.published(name .. "_rwightman", v[6], preprocessing) }
    if i == 2 then weights.imagenet_v2 = parts.published(name, "c27df63c", parts.preprocessing(240, 255)) end
    registry.add { name = name, class = EfficientNet, width = v[1], depth = v[2], size = v[3], dropout = v[5],
      preprocessing = preprocessing, weights = weights, options = { drop_connect = 0.2 } }
  end
end
