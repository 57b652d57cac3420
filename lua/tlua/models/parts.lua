-- parts.lua - what several families are made of, under torchvision's names, and how its published weights are found.
local core = require "tlua.core"
local module = require "tlua.nn.module"
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

-- parts.ConvNorm(in, out, kernel, {stride = 1, groups = 1, activation = operator's name or nil, eps =, momentum =,
-- initial =}): the size divided by the stride. A residual is added before the activation.
local ConvNorm = module.class("models.ConvNorm")
parts.ConvNorm, ConvNorm.scoped = ConvNorm, true
function ConvNorm:init(width, out, kernel, o)
  o = o or {}
  self["0"] = nn.Conv2d(width, out, kernel, { stride = o.stride or 1, padding = kernel // 2, groups = o.groups or 1,
    bias = false, initial = o.initial or "kaiming_normal_fan_out" })
  self["1"] = nn.BatchNorm2d(out, { eps = o.eps, momentum = o.momentum })
  rawset(self, "activation", o.activation)
end
function ConvNorm:forward(x, residual)
  local y = self["0"]:with_norm(self["1"], x, { activation = self.activation, residual = residual })
  return y
end
function ConvNorm:cost(shape) return self["0"]:cost(shape) end

-- ---- squeeze and excitation ----

-- parts.SqueezeExcitation(channels, squeezed, activation, gate): x times a factor a picture and channel, which two
-- layers make of the means over height and width (Hu et al. 2018).
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

-- x with each picture's block left out with probability p, and the rest divided by 1 - p (Huang et al. 2016): of
-- `self`, a block whose output x is, and only while it is trained.
function parts.drops(self, p) return p > 0 and self.training and not self:all_frozen() end
function parts.drop_block(self, x, p)
  if not parts.drops(self, p) then return x end
  local shape = { x:shape(1) }
  for i = 2, x:rank() do shape[i] = 1 end
  local y = x * core.ops.dropout(core.ones(shape), { p = p, training = true })
  return y
end

-- ---- inverted residuals with squeeze and excitation: MobileNetV3, EfficientNet ----

-- Expansion 1 x 1 (where `inner` is not `width`), depthwise, squeeze and excitation (where `squeezed` is a number),
-- projection 1 x 1, and the input added where the shape allows. o: width, inner, out, kernel, stride, activation,
-- squeezed, squeeze_activation, gate, drop (chance that the block is left out for a picture), eps, momentum.
local InvertedResidual = module.class("models.InvertedResidual")
parts.InvertedResidual, InvertedResidual.scoped = InvertedResidual, true
function InvertedResidual:init(o)
  local layers = {}
  local function add(width, out, kernel, activation, stride, groups)
    layers[#layers + 1] = parts.ConvNorm(width, out, kernel,
      { stride = stride, groups = groups, activation = activation, eps = o.eps, momentum = o.momentum })
  end
  if o.inner ~= o.width then add(o.width, o.inner, 1, o.activation) end
  add(o.inner, o.inner, o.kernel, o.activation, o.stride, o.inner)
  if o.squeezed then
    layers[#layers + 1] = parts.SqueezeExcitation(o.inner, o.squeezed, o.squeeze_activation, o.gate)
  end
  add(o.inner, o.out, 1)
  self.block = nn.Sequential(layers)
  rawset(self, "skip", o.stride == 1 and o.width == o.out)
  rawset(self, "drop", o.drop or 0)
end
function InvertedResidual:forward(x)
  local y, n = x, self.block:length()
  for i = 1, n - 1 do y = self.block:at(i)(y) end
  local last = self.block:at(n)
  if self.skip and parts.drops(self, self.drop) then
    y = parts.drop_block(self, last(y), self.drop) + x
  else
    y = last(y, self.skip and x or nil)
  end
  return y
end
function InvertedResidual:cost(shape) return self.block:cost(shape) end

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

-- The same where convolutions, batch norms and rectifiers stand side by side in self[path]: a rectifier goes with what
-- it follows.
function parts.add_layer_stages(self, list, path)
  local m, i = self:find(path), 1
  local function at(k, class) return m:at(k) and m:at(k)._class == class and m:at(k) end
  while i <= m:length() do
    local each, first = m:at(i), i
    local stage = { name = path .. "." .. i - 1, modules = { path .. "." .. i - 1 } }
    if each._class == "nn.Conv2d" then
      local norm = at(i + 1, "nn.BatchNorm2d")
      if norm then i, stage.modules[2] = i + 1, path .. "." .. i end
      local activation = at(i + 1, "nn.ReLU") and "relu" or nil
      if activation then i = i + 1 end
      stage.run = function(_, x)
        if norm then return each:with_norm(norm, x, { activation = activation }) end
        return each(x, activation)
      end
    else
      stage.run = function(_, x) return m:at(first)(x) end
    end
    list[#list + 1] = stage
    i = i + 1
  end
end

-- The last stages of such a network: what "features" is made of, and the mean over height and width.
function parts.feature_stages(self)
  local list = {}
  parts.add_stages(self, list, "features")
  list[#list + 1] = parts.mean_stage()
  return list
end

function parts.mean_stage()
  return { name = "pool", modules = {}, for_classes = true, run = function(_, x) return x:mean { axes = { 2, 3 } } end }
end

-- The pooling of a stem as a stage of its own.
function parts.pool_stage(pool)
  return { name = "maxpool", modules = {}, run = function(_, x) return core.ops.max_pool(x, pool) end,
    shape = function(s) return { s[1], (s[2] + 1) // 2, (s[3] + 1) // 2, s[4] } end }
end

-- ---- published weights ----

local MEAN, STD = { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 }

-- Of torchvision: the shorter side to `resize`, the middle `size`.
function parts.preprocessing(size, resize, interpolation)
  return { size = size, resize = resize, fit = "shorter", interpolation = interpolation or "bilinear", mean = MEAN,
    std = STD }
end

-- A set of torchvision's; the file's name ends with the first digits of its SHA-256.
function parts.published(name, digits, preprocessing)
  local file = name .. "-" .. digits .. ".pth"
  return { file = file, url = "https://download.pytorch.org/models/" .. file, sha256 = digits,
    preprocessing = preprocessing, labels = "imagenet" }
end

return parts
