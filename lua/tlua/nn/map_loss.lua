-- map_loss.lua - losses of maps beside those of loss.lua, which take maps and volumes too: Dice, Tversky, and sums of losses.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local losses = require "tlua.nn.loss"
local ops = core.ops
local M = {}

-- ---- Dice ----

local DICE = {
  { "over", "choice", "all",
    "mean over all classes, of which those that do not occur have no loss, or over those that are present",
    { "all", "present" } },
  { "background", "boolean", true, "does class 0 count" },
  { "log", "boolean", false, "minus the logarithm of the coefficient instead of one minus it" },
  { "smooth", "number", 0, "added to numerator and denominator", least = 0 },
  { "eps", "number", 1e-7, "the least denominator", above = 0 },
  losses.WEIGHT, losses.IGNORE,
}

-- Probabilities and targets of one class a row, (N, ..., K), both 0 where a pixel does not count; and how many pixels
-- have each class (K).
local function rows_of(self, logits, target)
  local shape, axes = logits:shape(), {}
  local k = shape[#shape]
  for i = 1, #shape - 1 do axes[i] = i end
  local column = target:shape()
  column[#column + 1] = 1
  local labels, p = target:to "float32":reshape(column), logits:softmax(-1)
  local hot, ignored = ops.eq(labels, core.arange(k)), self:ignored()
  local counts = 1 - ops.eq(labels, core.full({ 1 }, ignored))
  p = p * counts
  if ignored >= 0 and ignored < k then hot = hot * counts end
  return p, hot, axes
end

-- The loss of classes with these scores (K): their mean, of which those that do not occur have no part.
local function mean_of(self, o, score, present)
  local k = present:shape(1)
  local each = o.log and -ops.log(ops.maximum(score, core.full({ 1 }, o.eps))) or 1 - score
  local list, counted = self:weights_of(), {}
  if list and #list ~= k then util.failf("%s: there are %d classes, but %d weights", self._class, k, #list) end
  for i = 1, k do counted[i] = (i == 1 and not o.background) and 0 or list and list[i] or 1 end
  local occurs, weight = ops.gt(present, core.zeros(k)), core.tensor(counted)
  local divisor = o.over == "present" and ops.maximum((occurs * weight):sum(), core.full({}, 1e-12)) or weight:sum()
  return (each * occurs * weight):sum() / divisor
end

-- logits (N, H, W, K), labels (N, H, W) int32 from 0: one minus 2 sum(p t) / (sum p + sum t) of each class, the sums
-- being over all pixels of the batch (Milletari et al. 2016). It is segmentation_models_pytorch's
-- DiceLoss(mode="multiclass"), in its mean over all classes too; `over = "present"` is a mean over the classes that
-- occur in the batch, `background = false` MONAI's include_background=False.
-- Volumes (N, D, H, W, K) with labels (N, D, H, W), and rows, in the same way.
local Dice = losses.define("Dice", DICE, function(self, o, logits, target)
  local p, t, axes = rows_of(self, logits, target)
  local present, all = t:sum { axes = axes }, p:sum { axes = axes } + t:sum { axes = axes }
  local both = (p * t):sum { axes = axes }
  return mean_of(self, o, (both + o.smooth) / ops.maximum(all * 0.5 + o.smooth, core.full({ 1 }, o.eps)), present)
end)
M.Dice = Dice
Dice.takes_shares = false
Dice.set_counts, Dice.weights_of = losses.CrossEntropy.set_counts, losses.CrossEntropy.weights_of
-- The pictures of which any pixel counts.
function Dice:weight_of(labels)
  if not core.is_tensor(labels) then return #labels end
  return losses.pictures_counted(labels, self:ignored())
end

-- The same with shares of its own for what is seen and not there (alpha) and what is there and not seen (beta): tp / (tp + alpha fp +
-- beta fn) (Salehi et al. 2017); 0.5 and 0.5 are Dice. The mean is taken to the power of gamma (Abraham and Khan 2019).
-- segmentation_models_pytorch's TverskyLoss(mode="multiclass").
local TVERSKY = { { "alpha", "number", 0.5, "share of what is seen and not there", least = 0 },
  { "beta", "number", 0.5, "share of what is there and not seen", least = 0 }, { "gamma", "number", 1, "power of the mean", above = 0 },
  table.unpack(DICE) }
local Tversky = losses.define("Tversky", TVERSKY, function(self, o, logits, target)
  local p, t, axes = rows_of(self, logits, target)
  local both, seen, present = (p * t):sum { axes = axes }, p:sum { axes = axes }, t:sum { axes = axes }
  local all = both + (seen - both) * o.alpha + (present - both) * o.beta
  local loss = mean_of(self, o, (both + o.smooth) / ops.maximum(all + o.smooth, core.full({ 1 }, o.eps)), present)
  return o.gamma == 1 and loss or loss:pow_scalar(o.gamma)
end)
M.Tversky = Tversky
Tversky.takes_shares = false
Tversky.set_counts, Tversky.weights_of, Tversky.weight_of = Dice.set_counts, Dice.weights_of, Dice.weight_of

-- ---- maps of several sizes ----

-- nn.DeepSupervision(loss): of a list of maps, each half as large as the one before, and labels as large as the first: the sum of the
-- loss of each, weighted 1, 1/2, 1/4 and so on, divided by the sum of the weights. Labels of the smaller ones are those of every second voxel.
local Deep = module.class("nn.DeepSupervision")
M.DeepSupervision = Deep
function Deep:init(...)
  local values = schema.arguments("nn.DeepSupervision", {}, { false }, ...)
  if not (module.is_module(values[1]) and values[1].weight_of) then util.fail "nn.DeepSupervision: a loss is needed, like nn.Dice {}" end
  self.loss = values[1]
end

local function every_second(labels)
  local shape = labels:shape()
  local out = { shape[1] }
  for i = 2, #shape do
    if shape[i] % 2 ~= 0 then util.failf("nn.DeepSupervision: labels of %s cannot be halved", table.concat(shape, " x ")) end
    out[i] = shape[i] // 2
    local split = { table.unpack(out, 1, i) }
    split[i + 1] = 2
    table.move(shape, i + 1, #shape, i + 2, split)
    labels = ops.slice(labels:reshape(split), i + 1, 0, 1)
  end
  return labels:reshape(out)
end

function Deep:forward(maps, labels)
  if core.is_tensor(maps) then return self.loss(maps, labels) end
  local all, weights = nil, 0
  for i, map in ipairs(maps) do
    if i > 1 then labels = every_second(labels) end
    local weight = 0.5 ^ (i - 1)
    local y = self.loss(map, labels) * weight
    all, weights = all and all + y or y, weights + weight
  end
  return all / weights
end
function Deep:label() return "nn.DeepSupervision" end
function Deep:spec() return { class = "DeepSupervision", list = { self.loss:spec() } } end

-- ---- sums ----

-- nn.Sum { {nn.CrossEntropy {}, 1}, {nn.Dice {}, 0.5} }, nn.Sum { a, b }, or a + 0.5 * b. Parts may count different
-- things (pixels, pictures); the sum counts pictures, so that an epoch's figure is a mean over those.
local Sum = module.class("nn.Sum")
M.Sum, Sum.takes_shares, Sum.options, Sum.kind = Sum, false, {}, "Sum"

local function text_of(loss, weight)
  local parts = {}
  for _, field in ipairs(loss.schema or {}) do
    local value = loss.options[field[1]]
    if value ~= nil and value ~= field[3] then parts[#parts + 1] = ("%s %s"):format(field[1], schema.show(value)) end
  end
  local name = (loss.kind or loss:label()) .. (#parts > 0 and (" (%s)"):format(table.concat(parts, ", ")) or "")
  return weight == 1 and name or ("%g %s"):format(weight, name)
end

function Sum:init(...)
  local list, o = table.pack(...), {}
  if list.n > 1 and util.is_options(list[list.n]) then
    o, list.n = list[list.n], list.n - 1
    list[list.n + 1] = nil
    for key in pairs(o) do
      if key ~= "weights" then util.unknown("option of nn.Sum:", tostring(key), { "weights" }) end
    end
  elseif list.n == 1 and type(list[1]) == "table" and not module.is_module(list[1]) then list = list[1] end
  local weights, texts = {}, {}
  if #list == 0 then util.fail "nn.Sum: losses are needed, like nn.Sum { nn.CrossEntropy {}, { nn.Dice {}, 0.5 } }" end
  for i, each in ipairs(list) do
    local loss, weight = each, o.weights and o.weights[i] or 1
    if type(each) == "table" and not module.is_module(each) then loss, weight = each[1], each[2] or 1 end
    if not (module.is_module(loss) and loss.weight_of) or type(weight) ~= "number" then
      util.failf("nn.Sum: part %d must be a loss, or like { nn.Dice {}, 0.5 }", i)
    end
    if loss.options.reduction and loss.options.reduction ~= "mean" then
      util.failf("nn.Sum: part %d, %s, is no mean: reduction is %s", i, loss.kind, loss.options.reduction)
    end
    self[tostring(i - 1)], weights[i], texts[i] = loss, weight, text_of(loss, weight)
  end
  rawset(self, "weights", weights)
  rawset(self, "kind", table.concat(texts, " + "))
end

local function each_part(self, f)
  for i, weight in ipairs(self.weights) do f(self._modules[tostring(i - 1)], weight) end
end

function Sum:forward(prediction, target)
  local all
  each_part(self, function(loss, weight)
    local y = loss(prediction, target)
    if weight ~= 1 then y = y * weight end
    all = all and all + y or y
  end)
  return all
end

-- Pictures; none where a part counts nothing, since its mean is not defined then.
function Sum:weight_of(labels, width)
  local some, pictures = true, nil
  each_part(self, function(loss)
    local n = loss:weight_of(labels, width)
    if n == 0 then some = false end
    if loss.kind == "Dice" or loss.kind == "Tversky" then pictures = n end
  end)
  if not some then return 0 end
  return pictures or (core.is_tensor(labels) and labels:shape(1) or #labels)
end

function Sum:set_ignored(index)
  each_part(self, function(loss)
    if loss.set_ignored then loss:set_ignored(index) end
  end)
end
function Sum:takes_maps()
  local yes = true
  each_part(self, function(loss) yes = yes and loss:takes_maps() end)
  return yes
end
function Sum:wants_counts()
  local yes = false
  each_part(self, function(loss) yes = yes or loss:wants_counts() end)
  return yes
end
function Sum:set_counts(counts)
  each_part(self, function(loss)
    if loss:wants_counts() then loss:set_counts(counts) end
  end)
end
function Sum:label() return "nn.Sum" end
function Sum:spec()
  local list = {}
  each_part(self, function(loss) list[#list + 1] = loss:spec() end)
  return { class = "Sum", list = list, options = { weights = self.weights } }
end

-- ---- a + b, 0.5 * a ----

local function parts_of(v)
  if v._class ~= "nn.Sum" then return { { v, 1 } } end
  local list = {}
  each_part(v, function(loss, weight) list[#list + 1] = { loss, weight } end)
  return list
end

local function is_loss(v) return module.is_module(v) and v.weight_of ~= nil end

losses.arithmetic.__add = function(a, b)
  if not is_loss(a) or not is_loss(b) then util.fail "a loss can be added to a loss alone" end
  local list = parts_of(a)
  table.move(parts_of(b), 1, #parts_of(b), #list + 1, list)
  return Sum(list)
end
losses.arithmetic.__mul = function(a, b)
  if type(b) == "number" then a, b = b, a end
  if type(a) ~= "number" then util.fail "a loss can be multiplied by a number alone" end
  local list = parts_of(b)
  for _, each in ipairs(list) do each[2] = a * each[2] end
  return Sum(list)
end

local plain_init = Sum.init
function Sum:init(...)
  losses.give_arithmetic(self)
  plain_init(self, ...)
end

util.seal(Sum, "", 1, { init = true, forward = true })
return M
