-- resnet.lua - residual networks (He et al. 2015) as torchvision has them: names, layouts, the stride on the 3 x 3
-- convolution of a bottleneck ("v1.5").
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"
local ops = core.ops

local function conv(width, out, kernel, stride)
  return nn.Conv2d(width, out, kernel, { stride = stride or 1, padding = kernel // 2, bias = false,
    initial = "kaiming_normal_fan_out" })
end

-- ---- blocks: (N, H, W, width) -> (N, H / stride, W / stride, planes * expansion) ----

local function shortcut(self, width, out, stride)
  if stride ~= 1 or width ~= out then
    self.downsample = nn.Sequential(conv(width, out, 1, stride), nn.BatchNorm2d(out))
  end
end

local function identity(self, x)
  if not self.downsample then return x end
  local y = self.downsample:at(1):with_norm(self.downsample:at(2), x)
  return y
end

local function chain_cost(self, shape, names)
  local all, out, n = 0, shape, 0
  for _, name in ipairs(names) do
    out, n = self[name]:cost(out)
    all = all + n
  end
  if self.downsample then
    local _, m = self.downsample:cost(shape)
    all = all + m
  end
  return out, all
end

local BasicBlock = module.class("resnet.BasicBlock")
BasicBlock.scoped = true
BasicBlock.expansion = 1
function BasicBlock:init(width, planes, stride)
  self.conv1 = conv(width, planes, 3, stride)
  self.bn1 = nn.BatchNorm2d(planes)
  self.conv2 = conv(planes, planes, 3)
  self.bn2 = nn.BatchNorm2d(planes)
  shortcut(self, width, planes, stride)
end
function BasicBlock:forward(x)
  local y = self.conv1:with_norm(self.bn1, x, { activation = "relu" })
  local out = self.conv2:with_norm(self.bn2, y, { activation = "relu", residual = identity(self, x) })
  return out
end
function BasicBlock:cost(shape) return chain_cost(self, shape, { "conv1", "conv2" }) end

local Bottleneck = module.class("resnet.Bottleneck")
Bottleneck.scoped = true
Bottleneck.expansion = 4
function Bottleneck:init(width, planes, stride)
  self.conv1 = conv(width, planes, 1)
  self.bn1 = nn.BatchNorm2d(planes)
  self.conv2 = conv(planes, planes, 3, stride)
  self.bn2 = nn.BatchNorm2d(planes)
  self.conv3 = conv(planes, planes * 4, 1)
  self.bn3 = nn.BatchNorm2d(planes * 4)
  shortcut(self, width, planes * 4, stride)
end
function Bottleneck:forward(x)
  local y = self.conv1:with_norm(self.bn1, x, { activation = "relu" })
  y = self.conv2:with_norm(self.bn2, y, { activation = "relu" })
  local out = self.conv3:with_norm(self.bn3, y, { activation = "relu", residual = identity(self, x) })
  return out
end
function Bottleneck:cost(shape) return chain_cost(self, shape, { "conv1", "conv2", "conv3" }) end

-- ---- the network ----

local PUBLISHED = 64 -- channels of the first convolution in all published weights
local ResNet = module.class("models.ResNet", Network)
ResNet.head_name, ResNet.first_name = "fc", "conv1"

function ResNet:init(entry, options)
  local block, depths = entry.block, entry.depths
  local width = options.width
  self.conv1 = conv(options.in_channels, width, 7, 2)
  self.bn1 = nn.BatchNorm2d(width)
  rawset(self, "pool", { kernel = { 3, 3 }, stride = { 2, 2 }, padding = { 1, 1 } })
  for stage = 1, 4 do
    local planes, blocks = options.width << (stage - 1), {}
    for i = 1, depths[stage] do
      blocks[i] = block(width, planes, (i == 1 and stage > 1) and 2 or 1)
      width = planes * block.expansion
    end
    self["layer" .. stage] = nn.Sequential(table.unpack(blocks))
  end
  rawset(self, "features_width", width)
  self.fc = nn.Linear(width, options.classes)
end

function ResNet:stages()
  local list = { { name = "stem", modules = { "conv1", "bn1" }, run = function(self, x)
    local y = self.conv1:with_norm(self.bn1, x, { activation = "relu" })
    return ops.max_pool(y, self.pool)
  end } }
  for stage = 1, 4 do
    local name = "layer" .. stage
    list[#list + 1] = { name = name, modules = { name }, run = function(self, x) return self[name](x) end }
  end
  list[#list + 1] = parts.mean_stage()
  return list
end

function ResNet:map_stages()
  local list = self:stages()
  list[1].run = function(me, x) return me.conv1:with_norm(me.bn1, x, { activation = "relu" }) end
  table.insert(list, 2, parts.pool_stage(self.pool))
  return list
end

function ResNet:features_cost(shape)
  local out, all = self.conv1:cost(shape)
  out = nn.MaxPool2d(3, 2, 1):cost(out)
  for stage = 1, 4 do
    local n
    out, n = self["layer" .. stage]:cost(out)
    all = all + n
  end
  return { out[1], out[4] }, all
end

-- ---- variants and published weights ----

-- The options as they were given, which published weights must suit.
local function read(given, entry)
  local width = math.tointeger(given.width) or PUBLISHED -- of what is no whole number the schema says so
  if width ~= PUBLISHED and given.weights and entry.weights[given.weights] then
    util.failf("models.%s: the published weights '%s' are of width %d, not %d; weights = \"none\" begins anew",
      entry.name, given.weights, PUBLISHED, width)
  end
  return given
end

return function(registry)
  local first, second = parts.preprocessing(224, 256), parts.preprocessing(224, 232)
  for _, v in ipairs {
    { "resnet18", BasicBlock, { 2, 2, 2, 2 }, "f37072fd" },
    { "resnet34", BasicBlock, { 3, 4, 6, 3 }, "b627a593" },
    { "resnet50", Bottleneck, { 3, 4, 6, 3 }, "0676ba61", "11ad3fa6" },
    { "resnet101", Bottleneck, { 3, 4, 23, 3 }, "63fe2227", "cd907fc2" },
    { "resnet152", Bottleneck, { 3, 8, 36, 3 }, "394f9c45", "f82ba261" },
  } do
    registry.add {
      name = v[1], class = ResNet, block = v[2], depths = v[3], size = 224, preprocessing = first,
      read = read, fields = { { "width", "integer", PUBLISHED, "channels of the first convolution; published weights have 64",
        least = 1, most = 1 << 12 } },
      weights = { imagenet = parts.published(v[1], v[4], first),
        imagenet_v2 = v[5] and parts.published(v[1], v[5], second) or nil },
    }
  end
end
