-- parts.lua - what detectors are made of: a convolution with its batch norm and SiLU under the names that YOLO's files
-- have ("conv", "bn"), blocks of them, layers of classes, and a network's way written as steps between named values.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local ops = core.ops
local parts = {}

parts.STRIDES = { 8, 16, 32 } -- of the levels; the last is what sides of pictures must be multiples of
parts.PRIOR = 0.01 -- what a fresh layer of classes takes each class of each cell to be (Lin et al. 2017, 4.1)

-- An option of all.
parts.KEEP_CLASSES = { "keep_classes", "boolean", false, "classes of the data that the weights know by name keep their "
  .. "rows of the head" }

-- ---- blocks ----
-- `order`, where a class has it: its parts in the order in which they are computed, where files have them in another.

-- parts.ConvNorm(in, out, kernel, {stride = 1, groups = 1}): silu(norm(conv(x))), the size divided by the stride.
local ConvNorm = module.class("detect.ConvNorm")
parts.ConvNorm, ConvNorm.scoped = ConvNorm, true
function ConvNorm:init(width, out, kernel, o)
  o = o or {}
  self.conv = nn.Conv2d(width, out, kernel, { stride = o.stride or 1, padding = kernel // 2, groups = o.groups or 1,
    bias = false })
  self.bn = nn.BatchNorm2d(out, { eps = 1e-3, momentum = 0.03 })
end
function ConvNorm:forward(x)
  local y = self.conv:with_norm(self.bn, x, { activation = "silu" })
  return y
end
function ConvNorm:cost(shape) return self.conv:cost(shape) end

-- A depthwise and a pointwise one, in the place of one.
local Separable = module.class("detect.Separable")
Separable.scoped = true
function Separable:init(width, out, kernel, o)
  self.dconv = ConvNorm(width, width, kernel, { stride = o and o.stride, groups = width })
  self.pconv = ConvNorm(width, out, 1)
end
function Separable:forward(x)
  local y = self.pconv(self.dconv(x))
  return y
end
function Separable:cost(shape)
  local middle, n = self.dconv:cost(shape)
  local out, m = self.pconv:cost(middle)
  return out, n + m
end

-- The class of convolutions of a network.
function parts.kind(depthwise) return depthwise and Separable or ConvNorm end

-- Two convolutions, and the input added behind them where `shortcut`: parts.Bottleneck(width, {names = two, kernels =
-- two, shortcut =, kind = class of the second}).
local Bottleneck = module.class("detect.Bottleneck")
parts.Bottleneck, Bottleneck.scoped = Bottleneck, true
function Bottleneck:init(width, o)
  self[o.names[1]] = ConvNorm(width, width, o.kernels[1])
  self[o.names[2]] = (o.kind or ConvNorm)(width, width, o.kernels[2])
  rawset(self, "o", o)
end
function Bottleneck:forward(x)
  local names = self.o.names
  local y = self[names[2]](self[names[1]](x))
  if self.o.shortcut then y = y + x end
  return y
end
function Bottleneck:cost(shape)
  local out, all, n = shape, 0, 0
  for _, name in ipairs(self.o.names) do
    out, n = self[name]:cost(out)
    all = all + n
  end
  return out, all
end

-- Spatial pyramid pooling (He et al. 2014): the largest of windows of 5, 9 and 13 beside x. A window of 9 is one of 5
-- over one of 5, to the bit, and so on, as in SPPF. `names` of the convolutions before and behind.
local Pyramid = module.class("detect.Pyramid")
parts.Pyramid, Pyramid.scoped = Pyramid, true
local WINDOW, TIMES = { kernel = { 5 }, stride = { 1 }, padding = { 2 } }, 3
function Pyramid:init(width, names)
  self[names[1]] = ConvNorm(width, width // 2, 1)
  self[names[2]] = ConvNorm(width // 2 * (TIMES + 1), width, 1)
  rawset(self, "names", names)
end
function Pyramid:forward(x)
  local list = { self[self.names[1]](x) }
  for i = 1, TIMES do list[i + 1] = ops.max_pool(list[i], WINDOW) end
  list[#list + 1] = { axis = -1 }
  local y = self[self.names[2]](ops.concat(table.unpack(list)))
  return y
end
function Pyramid:cost(shape)
  local inner, n = self[self.names[1]]:cost(shape)
  local out, m = self[self.names[2]]:cost { inner[1], inner[2], inner[3], (TIMES + 1) * inner[4] }
  return out, n + m
end

-- ---- layers of classes ----

-- A 1 x 1 convolution whose outputs begin at the prior: sigmoid(bias) = PRIOR.
function parts.prior_layer(width, out)
  local conv = nn.Conv2d(width, out, 1)
  conv:parameter("bias", { out }, { "constant", -math.log((1 - parts.PRIOR) / parts.PRIOR) })
  return conv
end

-- The layers of classes of all levels, as a task takes them for a head: parts.ClassLayers(widths, classes).
local ClassLayers = module.class("detect.ClassLayers", nn.ModuleList)
parts.ClassLayers = ClassLayers
function ClassLayers:init(widths, classes)
  self.classes = classes
  for _, width in ipairs(widths) do self:append(parts.prior_layer(width, classes)) end
end
function ClassLayers:label() return parts.classes_text(self) end

-- Of a list with `classes` and `kept`: "layers of 3 classes at 3 levels".
function parts.classes_text(list)
  local kept = list.kept and (", %d of them the weights' own"):format(#list.kept) or ""
  return ("layers of %d classes at %d levels%s"):format(list.classes, list:length(), kept)
end

-- ---- steps ----

-- A step of a network's way: {name =, modules = paths, takes = names of values, gives = names of values, run =
-- function(self, values...) -> as many tensors as it gives, cost = function(self, shapes...) -> multiply-adds, shapes}.

local function cost_of(self, path, shape)
  local out, n = self:find(path):cost(shape)
  return n, out
end

-- One module.
function parts.plain(path, takes, gives)
  return { name = path, modules = { path }, takes = { takes }, gives = { gives },
    run = function(self, x) return self:find(path)(x) end,
    cost = function(self, shape) return cost_of(self, path, shape) end }
end

local function wider(shape, other) return { shape[1], shape[2], shape[3], shape[4] + other[4] } end

-- The smaller of two maps, twice as large by the nearest pixel, the larger one beside it, then a module.
function parts.up(path, small, large, gives)
  return { name = path, modules = { path }, takes = { small, large }, gives = { gives },
    run = function(self, a, b)
      local x = ops.concat(ops.interpolate(a, { scale = 2, mode = "nearest" }), b, { axis = -1 })
      return self:find(path)(x)
    end,
    cost = function(self, a, b) return cost_of(self, path, wider(b, a)) end }
end

-- A convolution that halves the larger map, the smaller one beside it, then a module.
function parts.down(conv, path, large, small, gives)
  return { name = path, modules = { conv, path }, takes = { large, small }, gives = { gives },
    run = function(self, a, b)
      local x = ops.concat(self:find(conv)(a), b, { axis = -1 })
      return self:find(path)(x)
    end,
    cost = function(self, a, b)
      local n, half = cost_of(self, conv, a)
      local m, out = cost_of(self, path, wider(half, b))
      return n + m, out
    end }
end

-- The names of the values that later steps take, or that are wanted at the end, behind each step, in the order in which
-- they are made.
local function living(steps, input, wanted)
  local order, last, out = { input }, { [input] = 0 }, {}
  for k, step in ipairs(steps) do
    for _, name in ipairs(step.takes) do last[name] = k end
    for _, name in ipairs(step.gives) do order[#order + 1] = name end
  end
  for _, name in ipairs(wanted) do last[name] = math.huge end
  local made = { [input] = 0 }
  for k, step in ipairs(steps) do
    for _, name in ipairs(step.gives) do made[name] = k end
  end
  for k = 0, #steps do
    out[k] = {}
    for _, name in ipairs(order) do
      if made[name] <= k and last[name] > k then out[k][#out[k] + 1] = name end
    end
  end
  return out
end

-- The stages of a network (tlua/models/network.lua) of its steps. Between them goes the list of the values that live,
-- or the value alone where it is one; behind the last come `wanted`, in the order in which they are made.
function parts.stages(steps, input, wanted)
  local alive, list = living(steps, input, wanted), {}
  for k, step in ipairs(steps) do
    list[k] = { name = step.name, modules = step.modules, run = function(self, x)
      local values, taken, out = {}, {}, {}
      if core.is_tensor(x) then x = { x } end
      for i, name in ipairs(alive[k - 1]) do values[name] = x[i] end
      for i, name in ipairs(step.takes) do taken[i] = values[name] end
      local given = table.pack(step.run(self, table.unpack(taken)))
      for i, name in ipairs(step.gives) do values[name] = given[i] end
      for i, name in ipairs(alive[k]) do out[i] = values[name] end
      return #out == 1 and out[1] or out
    end }
  end
  return list
end

-- Shapes of `wanted` for an input of this shape, and the multiply-adds of all steps.
function parts.cost(self, steps, input, shape, wanted)
  local shapes, all, out = { [input] = shape }, 0, {}
  for _, step in ipairs(steps) do
    local taken = {}
    for i, name in ipairs(step.takes) do taken[i] = shapes[name] end
    local found = table.pack(step.cost(self, table.unpack(taken)))
    all = all + found[1]
    for i, name in ipairs(step.gives) do shapes[name] = found[i + 1] end
  end
  for i, name in ipairs(wanted) do out[i] = shapes[name] end
  return out, all
end

-- ---- rows ----

-- Maps of one level, side by side, as rows: (N, h, w, C)... -> (N, h w, all C).
function parts.rows(...)
  local list = { ... }
  list[#list + 1] = { axis = -1 }
  local y = ops.concat(table.unpack(list))
  local n, h, w, c = table.unpack(y:shape())
  return y:reshape { n, h * w, c }
end

return parts
