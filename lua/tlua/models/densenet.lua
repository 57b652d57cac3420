-- densenet.lua - DenseNet-121 (Huang et al. 2017) as torchvision has it: each layer sees what all before it in its
-- block have made.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"
local ops = core.ops

local GROWTH = 32 -- channels that a layer adds; four times as many in its middle

local function conv(width, out, kernel, stride)
  return nn.Conv2d(width, out, kernel, { stride = stride or 1, padding = kernel // 2, bias = false,
    initial = "kaiming_normal_fan_in" })
end

local Layer = module.class("densenet.Layer")
Layer.scoped = true
function Layer:init(width)
  self.norm1 = nn.BatchNorm2d(width)
  self.conv1 = conv(width, 4 * GROWTH, 1)
  self.norm2 = nn.BatchNorm2d(4 * GROWTH)
  self.conv2 = conv(4 * GROWTH, GROWTH, 3)
end
function Layer:forward(x)
  local y = self.conv1:with_norm(self.norm2, self.norm1(x, { activation = "relu" }), { activation = "relu" })
  local out = ops.concat(x, self.conv2(y), { axis = -1 })
  return out
end
function Layer:cost(shape)
  local inner, n = self.conv1:cost(shape)
  local out, m = self.conv2:cost(inner)
  out[#out] = shape[#shape] + GROWTH
  return out, n + m
end

-- Half the channels, half the height and width.
local Transition = module.class("densenet.Transition")
Transition.scoped = true
function Transition:init(width)
  self.norm = nn.BatchNorm2d(width)
  self.conv = conv(width, width // 2, 1)
end
function Transition:forward(x)
  local y = ops.avg_pool(self.conv(self.norm(x, { activation = "relu" })), { kernel = { 2, 2 }, stride = { 2, 2 } })
  return y
end
function Transition:cost(shape)
  local out, n = self.conv:cost(shape)
  return nn.AvgPool2d(2):cost(out), n
end

-- Modules by names of their own, called by the network.
local Parts = module.class("densenet.Parts")

local DenseNet = module.class("models.DenseNet", Network)
DenseNet.head_name, DenseNet.first_name = "classifier", "features.conv0"

function DenseNet:init(entry, options)
  local features, width, order = Parts(), 64, {}
  features.conv0 = conv(options.in_channels, width, 7, 2)
  features.norm0 = nn.BatchNorm2d(width)
  for b, layers in ipairs(entry.layers) do
    local block = Parts()
    features["denseblock" .. b] = block
    for i = 1, layers do
      block["denselayer" .. i] = Layer(width)
      order[#order + 1] = ("features.denseblock%d.denselayer%d"):format(b, i)
      width = width + GROWTH
    end
    if b < #entry.layers then
      features["transition" .. b] = Transition(width)
      order[#order + 1] = "features.transition" .. b
      width = width // 2
    end
  end
  features.norm5 = nn.BatchNorm2d(width)
  self.features = features
  rawset(self, "in_order", order)
  rawset(self, "features_width", width)
  self.classifier = nn.Linear(width, options.classes)
end

function DenseNet:stages()
  local f = self:find("features")
  local list = { { name = "stem", modules = { "features.conv0", "features.norm0" }, run = function(_, x)
    local y = f.conv0:with_norm(f.norm0, x, { activation = "relu" })
    return ops.max_pool(y, { kernel = { 3, 3 }, stride = { 2, 2 }, padding = { 1, 1 } })
  end } }
  for _, name in ipairs(self.in_order) do
    local each = self:find(name)
    list[#list + 1] = { name = name, modules = { name }, run = function(_, x) return each(x) end }
  end
  list[#list + 1] = { name = "features.norm5", modules = { "features.norm5" },
    run = function(_, x) return f.norm5(x, { activation = "relu" }) end }
  list[#list + 1] = parts.mean_stage()
  return list
end

function DenseNet:map_stages()
  local list, f = self:stages(), self:find("features")
  list[1].run = function(_, x) return f.conv0:with_norm(f.norm0, x, { activation = "relu" }) end
  table.insert(list, 2, parts.pool_stage { kernel = { 3, 3 }, stride = { 2, 2 }, padding = { 1, 1 } })
  return list
end

-- torchvision's file still has the names of an older PyTorch: denselayer1.norm.1.weight.
function DenseNet:current_name(name) return (name:gsub("(denselayer%d+%.%a+)%.([12]%.)", "%1%2")) end

function DenseNet:features_cost(shape)
  local out, all = self:find("features.conv0"):cost(shape)
  out = nn.MaxPool2d(3, 2, 1):cost(out)
  for _, name in ipairs(self.in_order) do
    local n
    out, n = self:find(name):cost(out)
    all = all + n
  end
  return { out[1], out[4] }, all
end

return function(registry)
  local preprocessing = parts.preprocessing(224, 256)
  registry.add { name = "densenet121", class = DenseNet, layers = { 6, 12, 24, 16 }, size = 224,
    preprocessing = preprocessing, weights = { imagenet = parts.published("densenet121", "a639ec97", preprocessing) } }
end
