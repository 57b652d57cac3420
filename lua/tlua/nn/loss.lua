-- loss.lua - losses as modules: loss(prediction, target) -> one number (reduction "none": one for each row or element). Names, options
-- and formulas are PyTorch's. Options can be overridden by a recipe. A prediction may be a map (N, H, W, C) with labels (N, H, W); Dice and sums
-- of losses are in map_loss.lua.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local ops = core.ops
-- arithmetic: what operators do with losses (map_loss.lua has them).
local M = { list = {}, arithmetic = {} }

-- What the losses of samples with these labels (a list, or a tensor of maps) count together, the divisor of their mean: here each label does,
-- and in a sum each of its `width` elements.
local function weight_of_elements(self, labels, width)
  local n = core.is_tensor(labels) and labels:numel() or #labels
  return n * (self.options.reduction == "sum" and width or 1)
end

-- ---- what counts in maps: counted on the device ----

-- A tensor (N, H, W) in which 1 stands where labels (N, H, W) count.
local function counting(labels, ignored) return 1 - ops.eq(labels:to "float32", core.full({ 1 }, ignored)) end

-- Sums over each picture are whole numbers that float32 holds up to 2^24; those of all are added here.
local function added(t)
  local sum = 0
  for _, v in ipairs(t:tolist()) do sum = sum + v end
  return sum
end

local function all_but_first(t)
  local axes = {}
  for i = 2, t:rank() do axes[#axes + 1] = i end
  return axes
end

local function pixels_counted(labels, ignored)
  if plan.imaginary then return labels:numel() end
  local scope <close> = core.scope()
  return added(counting(labels, ignored):sum { axes = all_but_first(labels) })
end

-- The pictures of labels (N, H, W) of which any pixel counts.
function M.pictures_counted(labels, ignored)
  if plan.imaginary then return labels:shape(1) end
  local scope <close> = core.scope()
  return added(counting(labels, ignored):amax { axes = all_but_first(labels) })
end

-- How many pixels of labels (N, H, W) have each of `classes` classes: a list.
function M.class_counts(labels, classes)
  local scope <close> = core.scope()
  local n = labels:shape(1)
  local rows = ops.eq(labels:to "float32":reshape(n, -1, 1), core.arange(classes)):sum { axes = { 2 } }:tolist()
  local list = {}
  for k = 1, classes do
    list[k] = 0
    for i = 1, n do list[k] = list[k] + math.tointeger(rows[i][k]) end
  end
  return list
end

local add_arithmetic = M.arithmetic
-- Losses can be added and multiplied by numbers: their metatable is one for all of a class.
function M.give_arithmetic(self)
  local meta = getmetatable(self)
  if meta.__add then return end
  for name in pairs { __add = true, __mul = true } do
    meta[name] = function(a, b) return add_arithmetic[name](a, b) end
  end
end

local NOT_GIVEN = -100 -- PyTorch's ignore_index

-- A loss class with typed options, `fields` being a schema. `forward` has (self, options, prediction, target).
local function define(name, fields, forward)
  local class = module.class("nn." .. name)
  class.kind, class.schema = name, fields
  class.takes_shares = true -- a target may be shares of the classes (N, C), as a mixed batch has them
  class.weight_of = weight_of_elements
  function class:init(...)
    M.give_arithmetic(self)
    local values, given = util.arguments(...)
    local plain = {}
    for key, value in pairs(given) do plain[key] = core.is_tensor(value) and value:tolist() or value end
    values[values.n + 1] = plain
    local _, checked = schema.arguments("nn." .. name, fields, {}, table.unpack(values, 1, values.n + 1))
    self.options = checked
  end
  function class:forward(prediction, target)
    local y = forward(self, self.options, prediction, target)
    return y
  end
  -- With class weights as they were worked out, so that the same numbers come of it elsewhere.
  function class:spec()
    local options = {}
    for key, value in pairs(self.options) do options[key] = value end
    if options.weight == "auto" then options.weight = rawget(self, "counted") or options.weight end
    if options.ignore_index then options.ignore_index = self:ignored() end
    return { class = name, args = {}, options = options }
  end
  -- A task whose targets have a label of their own for what does not count says so here; an option that was given goes before.
  function class:set_ignored(index) rawset(self, "ignored_index", index) end
  function class:ignored()
    local index = self.options.ignore_index
    return index == NOT_GIVEN and rawget(self, "ignored_index") or index
  end
  function class:takes_maps() return self.options.ignore_index ~= nil end
  function class:wants_counts() return self.options.weight == "auto" end
  M[name], M.list[#M.list + 1] = class, name
  return class
end
M.define = define

-- Weights of which none is above 0 leave nothing to be learnt.
local function some_weight(list)
  if type(list) ~= "table" then return nil end
  for _, w in ipairs(list) do
    if w > 0 then return nil end
  end
  return "must have a number above 0"
end

local REDUCTION = { "reduction", "choice", "mean", "how the losses of a batch become one number", { "mean", "sum", "none" } }
local WEIGHT = { "weight", "class_weights", nil, "a number for each class, or auto: the rarer a class, the more its pictures count", least = 0, check = some_weight }
local IGNORE = { "ignore_index", "integer", NOT_GIVEN, "a label that does not count" }
M.WEIGHT, M.IGNORE, M.REDUCTION = WEIGHT, IGNORE, REDUCTION

-- A tensor of a list that must have a number for each class.
local function per_class(self, list, logits)
  local shape = logits:shape()
  if #list ~= shape[#shape] then util.failf("%s: there are %d classes, but %d weights", self._class, shape[#shape], #list) end
  return core.tensor(list)
end

-- ---- one class a row ----

-- The class weights as a list, or nil.
local function weights_of(self)
  local w = self.options.weight
  if w ~= "auto" then return w end
  return rawget(self, "counted") or util.failf('%s: weight = "auto" wants the number of pictures of each class: loss:set_counts { 120, 30 }; a recipe does it', self._class)
end

-- How many pictures each class has in training, for weight = "auto": all / (classes * pictures), as scikit-learn's "balanced". A class
-- without pictures has 1.
local function set_counts(self, counts)
  local all, present, list = 0, 0, {}
  for _, n in ipairs(counts) do
    all = all + n
    if n > 0 then present = present + 1 end
  end
  for i, n in ipairs(counts) do list[i] = n > 0 and all / (present * n) or 1.0 end
  rawset(self, "counted", list)
end

-- What the losses of pictures with these labels (a list) count together: the divisor of their mean. 0 where all are ignored or have no
-- weight: such a batch has no loss.
local function weight_of(self, labels, width)
  local ignored, sum = self:ignored(), 0
  local w = self.kind == "CrossEntropy" and weights_of(self) or nil
  if core.is_tensor(labels) then
    if not w then return pixels_counted(labels, ignored) end
    for k, n in ipairs(plan.imaginary and { labels:numel() } or M.class_counts(labels, width or #w)) do
      if k - 1 ~= ignored then sum = sum + n * (w[k] or 0) end
    end
    return sum
  end
  for _, label in ipairs(labels) do
    if label ~= ignored then sum = sum + (w and w[label + 1] or 1) end
  end
  return sum
end

-- Does a picture of this label move anything? FocalLoss's mean counts one of weight 0, which adds nothing to the sum.
local function moves(self, label)
  local w = weights_of(self)
  return label ~= self:ignored() and (not w or w[label + 1] ~= 0)
end

local function classification(name, fields, forward)
  local class = define(name, fields, forward)
  class.set_counts, class.weight_of, class.moves, class.weights_of = set_counts, weight_of, moves, weights_of
end

local function weights_tensor(self, logits)
  local list = weights_of(self)
  return list and per_class(self, list, logits)
end

-- logits (..., C) with labels (...) int32 from 0, or with shares of the classes (..., C) float32. The mean is over the weights of the
-- labels, with shares over the rows.
classification("CrossEntropy", { WEIGHT, { "label_smoothing", "number", 0, "share of the target spread over all classes", least = 0, most = 1 }, IGNORE, REDUCTION },
  function(self, o, logits, target)
    local weights = weights_tensor(self, logits)
    if target:dtype() ~= "int32" then return ops.soft_cross_entropy(logits, target, weights, { label_smoothing = o.label_smoothing, reduction = o.reduction }) end
    return ops.cross_entropy(logits, target, weights, { label_smoothing = o.label_smoothing, ignore_index = self:ignored(), reduction = o.reduction })
  end)

-- logits (..., C), labels (...) int32 from 0: -w_y (1 - p_y)^gamma log p_y (Lin et al. 2017). The mean is over the rows that count.
classification("FocalLoss", { { "gamma", "number", 2, "how much less pictures count that are right already", least = 0 }, WEIGHT, IGNORE, REDUCTION },
  function(self, o, logits, labels)
    return ops.focal_loss(logits, labels, weights_tensor(self, logits), { gamma = o.gamma, ignore_index = self:ignored(), reduction = o.reduction })
  end)

M.FocalLoss.takes_shares = false

-- ---- element by element ----

-- The target in the shape of x: class numbers (...) int32 become rows (..., C) with a 1 at the class, so that these losses serve recipes.
local function dense(x, target)
  local shape = x:shape()
  if target:dtype() ~= "int32" or #target:shape() ~= #shape - 1 then return target end
  local column = target:shape()
  column[#column + 1] = 1
  return ops.eq(target:to("float32"):reshape(column), core.arange(shape[#shape]))
end

-- The mean of (x - target)^2.
define("MSELoss", { REDUCTION }, function(_, o, x, target) return ops.mse_loss(x, dense(x, target), { reduction = o.reduction }) end)

-- (x - target)^2 / (2 beta) where they are nearer than beta, else |x - target| - beta / 2. beta = 0: |x - target|.
define("SmoothL1Loss", { { "beta", "number", 1, "from which distance on it is straight", least = 0 }, REDUCTION },
  function(_, o, x, target) return ops.smooth_l1_loss(x, dense(x, target), { beta = o.beta, reduction = o.reduction }) end)

-- x are logits, target in 0..1: -pos_weight target log sigmoid(x) - (1 - target) log(1 - sigmoid(x)).
define("BCEWithLogits", { { "pos_weight", "numbers", nil, "weight of the ones: a number, or one for each class", least = 0 }, REDUCTION },
  function(self, o, x, target)
    local p = o.pos_weight
    if type(p) == "number" then p = { p } end
    if p then p = #p == 1 and core.tensor(p) or per_class(self, p, x) end
    return ops.bce_with_logits(x, dense(x, target), p, { reduction = o.reduction })
  end)

-- Binary cross entropy times (1 - chance of the target)^gamma, ones times alpha and zeros times 1 - alpha (Lin et al. 2017).
define("SigmoidFocalLoss", { { "alpha", "number", 0.25, "weight of the ones, 1 - alpha that of the zeros; negative: no weights", most = 1 },
  { "gamma", "number", 2, "how much less elements count that are right already", least = 0 }, REDUCTION },
  function(_, o, x, target) return ops.sigmoid_focal_loss(x, dense(x, target), { alpha = o.alpha, gamma = o.gamma, reduction = o.reduction }) end)

return M
