-- loss.lua - losses as modules: loss(prediction, target) -> one number (reduction "none": one for each row or element). Names, options
-- and formulas are PyTorch's. Options can be overridden by a recipe.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local ops = core.ops
local M = { list = {} }

-- What the losses of pictures with these labels (a list) count together, the divisor of their mean: here each picture does, and in a sum each of
-- its `width` elements.
local function weight_of_elements(self, labels, width) return #labels * (self.options.reduction == "sum" and width or 1) end

-- A loss class with typed options, `fields` being a schema. `forward` has (self, options, prediction, target).
local function define(name, fields, forward)
  local class = module.class("nn." .. name)
  class.kind, class.schema = name, fields
  class.takes_shares = true -- a target may be shares of the classes (N, C), as a mixed batch has them
  class.weight_of = weight_of_elements
  function class:init(...)
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
    return { class = name, args = {}, options = options }
  end
  M[name], M.list[#M.list + 1] = class, name
  return class
end

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
local IGNORE = { "ignore_index", "integer", -100, "a label that does not count" }

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
local function weight_of(self, labels)
  local o, sum = self.options, 0
  local w = self.kind == "CrossEntropy" and weights_of(self) or nil
  for _, label in ipairs(labels) do
    if label ~= o.ignore_index then sum = sum + (w and w[label + 1] or 1) end
  end
  return sum
end

-- Does a picture of this label move anything? FocalLoss's mean counts one of weight 0, which adds nothing to the sum.
local function moves(self, label)
  local w = weights_of(self)
  return label ~= self.options.ignore_index and (not w or w[label + 1] ~= 0)
end

local function classification(name, fields, forward)
  local class = define(name, fields, forward)
  class.set_counts, class.weight_of, class.moves = set_counts, weight_of, moves
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
    return ops.cross_entropy(logits, target, weights, { label_smoothing = o.label_smoothing, ignore_index = o.ignore_index, reduction = o.reduction })
  end)

-- logits (..., C), labels (...) int32 from 0: -w_y (1 - p_y)^gamma log p_y (Lin et al. 2017). The mean is over the rows that count.
classification("FocalLoss", { { "gamma", "number", 2, "how much less pictures count that are right already", least = 0 }, WEIGHT, IGNORE, REDUCTION },
  function(self, o, logits, labels)
    return ops.focal_loss(logits, labels, weights_tensor(self, logits), { gamma = o.gamma, ignore_index = o.ignore_index, reduction = o.reduction })
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
