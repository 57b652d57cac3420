-- squeezenet.lua - SqueezeNet 1.1 (Iandola et al. 2016) as torchvision has it: the classifier is a 1 x 1 convolution,
-- and the mean over height and width is taken of its outputs, behind a rectifier.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"

local function conv(width, out, kernel, options)
  options = options or {}
  options.initial = options.initial or "kaiming_uniform_fan_in"
  return nn.Conv2d(width, out, kernel, options)
end

-- Squeezed 1 x 1, then expanded 1 x 1 and 3 x 3 side by side.
local Fire = module.class("squeezenet.Fire")
Fire.scoped = true
function Fire:init(width, squeezed, expanded)
  self.squeeze = conv(width, squeezed, 1)
  self.expand1x1 = conv(squeezed, expanded, 1)
  self.expand3x3 = conv(squeezed, expanded, 3, { padding = 1 })
end
function Fire:forward(x)
  local s = self.squeeze(x, "relu")
  local y = core.ops.concat(self.expand1x1(s, "relu"), self.expand3x3(s, "relu"), { axis = -1 })
  return y
end
function Fire:cost(shape)
  local inner, n = self.squeeze:cost(shape)
  local out, m = self.expand1x1:cost(inner)
  local _, k = self.expand3x3:cost(inner)
  out[#out] = 2 * out[#out]
  return out, n + m + k
end

local SqueezeNet = module.class("models.SqueezeNet", Network)
SqueezeNet.head_name, SqueezeNet.first_name = "classifier.1", "features.0"

function SqueezeNet:init(_, options)
  local function pool() return nn.MaxPool2d { kernel = 3, stride = 2, ceil_mode = true } end
  self.features = nn.Sequential(conv(options.in_channels, 64, 3, { stride = 2 }), nn.ReLU(), pool(), Fire(64, 16, 64),
    Fire(128, 16, 64), pool(), Fire(128, 32, 128), Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192),
    Fire(384, 64, 256), Fire(512, 64, 256))
  rawset(self, "features_width", 512)
  self.classifier = nn.Sequential(nn.Identity(), conv(512, options.classes, 1, { initial = { "normal", 0, 0.01 } }))
end

-- A convolution as head sees every place; another one the means over height and width.
local function sees_places(self) return self:head()._class == "nn.Conv2d" end

function SqueezeNet:stages()
  local list = {}
  parts.add_layer_stages(self, list, "features")
  if not sees_places(self) then list[#list + 1] = parts.mean_stage() end
  return list
end

function SqueezeNet:set_head(head)
  Network.set_head(self, head)
  rawset(self, "_stages", nil)
  return self
end

function SqueezeNet:classify(features)
  local y = Network.classify(self, features)
  if sees_places(self) then y = core.ops.relu(y):mean { axes = { 2, 3 } } end
  return y
end

function SqueezeNet:features_cost(shape)
  local out, n = self:find("features"):cost(shape)
  if not sees_places(self) then out = { out[1], out[4] } end
  return out, n
end

return function(registry)
  local preprocessing = parts.preprocessing(224, 256)
  registry.add { name = "squeezenet1_1", class = SqueezeNet, size = 224, dropout = 0.5, preprocessing = preprocessing,
    weights = { imagenet = parts.published("squeezenet1_1", "b8a52dc0", preprocessing) } }
end
