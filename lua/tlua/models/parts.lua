-- parts.lua - what several families are made of, under torchvision's names, and how its published weights are found.
local core = require "tlua.core"
local module = require "tlua.module"
local nn = require "tlua.nn"
local parts = {}

-- ---- widths ----

-- n as a multiple of `divisor` (8) that is not less than 90 % of it.
function parts.divisible(n, divisor)
  divisor = divisor or 8
  local out = math.max(divisor, math.floor(n + divisor / 2) // divisor * divisor)
  if out < 0.9 * n then out = out + divisor end
  return math.tointeger(out)
end

-- ---- convolution, batch norm, activation: "0" and "1" in files ----

-- parts.ConvNorm(in, out, kernel, {stride = 1, groups = 1, activation = operator's name or nil, eps =, momentum =}): the
-- size divided by the stride. A residual is added before the activation.
local ConvNorm = module.class("models.ConvNorm")
parts.ConvNorm, ConvNorm.scoped = ConvNorm, true
function ConvNorm:init(width, out, kernel, o)
  o = o or {}
  self["0"] = nn.Conv2d(width, out, kernel, { stride = o.stride or 1, padding = kernel // 2, groups = o.groups or 1, bias = false, initial = "kaiming_normal_fan_out" })
  self["1"] = nn.BatchNorm2d(out, { eps = o.eps, momentum = o.momentum })
  rawset(self, "activation", o.activation)
end
function ConvNorm:forward(x, residual)
  local y = self["0"]:with_norm(self["1"], x, { activation = self.activation, residual = residual })
  return y
end
function ConvNorm:cost(shape) return self["0"]:cost(shape) end

-- ---- squeeze and excitation ----

-- parts.SqueezeExcitation(channels, squeezed, activation, gate): x times a factor a picture and channel, which two layers make
-- of the means over height and width (Hu et al. 2018).
local SqueezeExcitation = module.class("models.SqueezeExcitation")
parts.SqueezeExcitation, SqueezeExcitation.scoped = SqueezeExcitation, true
function SqueezeExcitation:init(channels, squeezed, activation, gate)
  self.fc1 = nn.Conv2d(channels, squeezed, 1, { initial = "kaiming_normal_fan_out" })
  self.fc2 = nn.Conv2d(squeezed, channels, 1, { initial = "kaiming_normal_fan_out" })
  rawset(self, "activation", core.ops[activation])
  rawset(self, "gate", core.ops[gate])
end
function SqueezeExcitation:forward(x)
  local s = self.fc1(x:mean { axes = { 2, 3 }, keep = true })
  s = self.activation(s)
  s = self.fc2(s)
  local y = x * self.gate(s)
  return y
end
function SqueezeExcitation:cost(shape)
  local inner, n = self.fc1:cost { shape[1], 1, 1, shape[4] }
  local _, m = self.fc2:cost(inner)
  return shape, n + m
end

-- ---- stochastic depth ----

-- x with each picture's block left out with probability p, and the rest divided by 1 - p (Huang et al. 2016): of `self`, a
-- block whose output x is, and only while it is trained.
function parts.drop_block(self, x, p)
  if p == 0 or not self.training or self:all_frozen() then return x end
  local shape = { x:shape(1) }
  for i = 2, x:rank() do shape[i] = 1 end
  local y = x * core.ops.dropout(core.ones(shape), { p = p, training = true })
  return y
end

-- ---- networks whose features are a Sequential ----

-- Appends a stage for each module of self[path], and for each module inside a Sequential in it.
function parts.add_stages(self, list, path)
  local m = self:find(path)
  for i = 1, m:length() do
    local each, name = m:at(i), path .. "." .. i - 1
    if each._class == "nn.Sequential" then parts.add_stages(self, list, name)
    else list[#list + 1] = { name = name, modules = { name }, run = function(_, x) return each(x) end } end
  end
end

-- The last stages of such a network: what "features" is made of, and the mean over height and width.
function parts.feature_stages(self)
  local list = {}
  parts.add_stages(self, list, "features")
  list[#list + 1] = parts.mean_stage()
  return list
end

function parts.mean_stage() return { name = "pool", modules = {}, run = function(_, x) return x:mean { axes = { 2, 3 } } end } end

-- ---- published weights ----

local MEAN, STD = { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 }

-- Of torchvision: the shorter side to `resize`, the middle `size`.
function parts.preprocessing(size, resize, interpolation)
  return { size = size, resize = resize, fit = "shorter", interpolation = interpolation or "bilinear", mean = MEAN, std = STD }
end

-- A set of torchvision's; the file's name ends with the first digits of its SHA-256.
function parts.published(name, digits, preprocessing)
  local file = name .. "-" .. digits .. ".pth"
  return { file = file, url = "https://download.pytorch.org/models/" .. file, sha256 = digits, preprocessing = preprocessing, labels = "imagenet" }
end

return parts
