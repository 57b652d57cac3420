-- resnet_3d.lua - residual networks of volumes and of films (Tran et al. 2018), with the names and the layout of
-- torchvision's r3d_18.
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Volume = require "tlua.models.volumes.volume"

local function conv(width, out, kernel, stride, padding)
  return nn.Conv3d(width, out, kernel,
    { stride = stride, padding = padding, bias = false, initial = "kaiming_normal_fan_out" })
end

-- Convolution and norm, as elements 0 and 1 of a list.
local function with_norm(list, x, options) return list:at(1):with_norm(list:at(2), x, options) end

local Block = module.class("resnet_3d.Block")
Block.scoped = true
function Block:init(width, out, stride)
  self.conv1 = nn.Sequential(conv(width, out, 3, stride, 1), nn.BatchNorm3d(out))
  self.conv2 = nn.Sequential(conv(out, out, 3, 1, 1), nn.BatchNorm3d(out))
  if stride ~= 1 or width ~= out then
    self.downsample = nn.Sequential(conv(width, out, 1, stride, 0), nn.BatchNorm3d(out))
  end
end
function Block:forward(x)
  local y = with_norm(self.conv1, x, { activation = "relu" })
  local out = with_norm(self.conv2, y,
    { activation = "relu", residual = self.downsample and with_norm(self.downsample, x) or x })
  return out
end
function Block:cost(shape)
  local out, n = self.conv1:cost(shape)
  local last, m = self.conv2:cost(out)
  if self.downsample then
    local _, k = self.downsample:cost(shape)
    m = m + k
  end
  return last, n + m
end

local ResNet = module.class("models.ResNet3d", Volume)
ResNet.head_name, ResNet.first_name, ResNet.of_pictures = "fc", "stem.0", true

-- Names of the same network of pictures: its kernels are inflated (volume.lua).
function ResNet:current_name(name)
  local norm, rest = name:match "^bn1%.(.+)$", name:match "^conv1%.(.+)$"
  if norm or rest then return norm and "stem.1." .. norm or "stem.0." .. rest end
  name = name:gsub("^(layer%d%.%d+%.conv%d)%.weight$", "%1.0.weight")
  name = name:gsub("^(layer%d%.%d+%.)bn(%d)%.", "%1conv%2.1.")
  return name
end

function ResNet:init(entry, options)
  self.stem = nn.Sequential(conv(options.in_channels, 64, { 3, 7, 7 }, { 1, 2, 2 }, { 1, 3, 3 }), nn.BatchNorm3d(64))
  local width = 64
  for stage = 1, 4 do
    local out, blocks = 64 << (stage - 1), {}
    for i = 1, entry.depths[stage] do
      blocks[i] = Block(width, out, (i == 1 and stage > 1) and 2 or 1)
      width = out
    end
    self["layer" .. stage] = nn.Sequential(blocks)
  end
  self.fc = nn.Linear(width, options.classes, { initial = { "normal", 0, 0.01 } })
  rawset(self, "features_width", width)
end

function ResNet:stages()
  local list = { { name = "stem", modules = { "stem" },
    run = function(me, x) return with_norm(me.stem, x, { activation = "relu" }) end } }
  for stage = 1, 4 do
    local name = "layer" .. stage
    list[#list + 1] = { name = name, modules = { name }, run = function(me, x) return me[name](x) end }
  end
  list[#list + 1] = { name = "pool", modules = {}, for_classes = true,
    run = function(_, x) return x:mean { axes = { 2, 3, 4 } } end }
  return list
end

function ResNet:features_cost(shape)
  local out, all = self.stem:cost(shape)
  for stage = 1, 4 do
    local n
    out, n = self["layer" .. stage]:cost(out)
    all = all + n
  end
  return { out[1], out[5] }, all
end

return function(registry)
  -- torchvision's set was learnt from films of 16 pictures of 112 x 112.
  local film = { mean = { 0.43216, 0.394666, 0.37645 }, std = { 0.22803, 0.22145, 0.216989 } }
  local site = "https://download.pytorch.org/models/"
  registry.add { name = "resnet18_3d", class = ResNet, depths = { 2, 2, 2, 2 }, takes = "volume", size = 64,
    classes = 400, in_channels = 1, preprocessing = {}, fields = {
      { "inflate", "choice", nil, "how kernels of pictures become those of volumes", { "repeat", "centre" } } },
    weights = {
      -- resnet18's, of pictures.
      imagenet = { file = "resnet18-f37072fd.pth", url = site .. "resnet18-f37072fd.pth", sha256 = "f37072fd",
        preprocessing = {} },
      kinetics400 = { file = "r3d_18-b3b3357e.pth", url = site .. "r3d_18-b3b3357e.pth", sha256 = "b3b3357e",
        preprocessing = film } } }
end
