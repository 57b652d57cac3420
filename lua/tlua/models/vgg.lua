-- vgg.lua - VGG-16 (Simonyan and Zisserman 2014) as torchvision has it, with and without batch norms. The two hidden
-- layers of its classifier belong to the features here.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"

local VGG = module.class("models.VGG", Network)
VGG.head_name, VGG.first_name = "classifier.6", "features.0"

-- Outputs of the convolutions; "M": the largest of 2 x 2.
local VGG16 = { 64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M" }

function VGG:init(entry, options)
  local layers, width = {}, options.in_channels
  for _, out in ipairs(VGG16) do
    if out == "M" then layers[#layers + 1] = nn.MaxPool2d(2, 2) else
      layers[#layers + 1] = nn.Conv2d(width, out, 3, { padding = 1, initial = "kaiming_normal_fan_out" })
      if entry.norms then layers[#layers + 1] = nn.BatchNorm2d(out) end
      layers[#layers + 1] = nn.ReLU()
      width = out
    end
  end
  self.features = nn.Sequential(layers)
  self.avgpool = nn.AdaptiveAvgPool2d(7)
  local initial = { initial = { "normal", 0, 0.01 } }
  self.classifier = nn.Sequential(nn.Linear(512 * 7 * 7, 4096, initial), nn.ReLU(), nn.Identity(),
    nn.Linear(4096, 4096, initial), nn.ReLU(),
    nn.Identity(), nn.Linear(4096, options.classes, initial)) -- the second dropout is network.lua's
  rawset(self, "features_width", 4096)
end

local flatten = nn.Flatten()

function VGG:stages()
  local list = {}
  parts.add_layer_stages(self, list, "features")
  list[#list + 1] = { name = "avgpool", modules = {}, for_classes = true,
    run = function(self, x) return flatten(self.avgpool(x)) end }
  list[#list + 1] = { name = "classifier.0", modules = { "classifier.0" }, run = function(self, x)
    local layer, p = self.classifier:at(1), self.network_options.dropout
    local y = layer(x, "relu")
    if p > 0 and self.training and not layer:all_frozen() then y = core.ops.dropout(y, { p = p, training = true }) end
    return y
  end }
  list[#list + 1] = { name = "classifier.3", modules = { "classifier.3" },
    run = function(self, x) return self.classifier:at(4)(x, "relu") end }
  return list
end

function VGG:features_cost(shape)
  local out, n = self:find("features"):cost(shape)
  local y, first = self.classifier:at(1):cost { out[1], 512 * 7 * 7 }
  local z, second = self.classifier:at(4):cost(y)
  return z, n + first + second
end

return function(registry)
  local preprocessing = parts.preprocessing(224, 256)
  for _, v in ipairs { { "vgg16", false, "397923af" }, { "vgg16_bn", true, "6c64b313" } } do
    registry.add { name = v[1], class = VGG, norms = v[2], size = 224, dropout = 0.5, preprocessing = preprocessing,
      weights = { imagenet = parts.published(v[1], v[3], preprocessing) } }
  end
end
