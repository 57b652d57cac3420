-- classify.lua - one class a picture: cross-entropy of logits (N, classes) and labels, accuracy in percent.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local classes = require "tlua.report.classes"
local binary = require "tlua.report.findings.binary"

-- ---- the loss ----

-- What the losses of these labels count together (class weights, ignored labels); a loss that does not say counts pictures.
local function counted(t, list, width)
  if type(t.criterion) == "table" and t.criterion.weight_of then return t.criterion:weight_of(list, width) end
  return #list
end

-- Rows (N, C) with a 1 at the class.
local function one_hot(labels, classes)
  local y = core.ops.eq(labels:to("float32"):reshape(labels:shape()[1], 1), core.arange(classes))
  return y
end

-- Can the loss have shares of the classes for a target? Not where a class is ignored: of a row of shares no part can be.
local function takes_shares(t, classes)
  local loss = t.criterion
  if type(loss) ~= "table" or not loss.takes_shares then return false end
  local ignored = loss.options.ignore_index
  return not (ignored and ignored >= 0 and ignored < classes)
end

-- The loss of a mixed batch as that of both its labels, shared out: each by its share of what both count together.
local function shared_out(t, logits, batch, width)
  local mix, loss = batch.mix, t.criterion
  local share, n, m = mix.share, counted(t, batch.labels, width), counted(t, mix.list, width)
  local both = n == m and n or share * n + (1 - share) * m
  if both == 0 then return nil, 0 end
  local a, b = share, 1 - share
  if n ~= m and not t:is_sum() then a, b = share * n / both, (1 - share) * m / both end
  if n == 0 then return loss(logits, mix.labels) * b, both end
  if m == 0 then return loss(logits, batch.label) * a, both end
  return loss(logits, batch.label) * a + loss(logits, mix.labels) * b, both
end

-- The loss of a batch and what it counts among others. No loss (nil) where nothing counts, since a mean over nothing is NaN. The target of a
-- mixed batch are shares of two classes, and the mean of a classification is one over the pictures then, as in PyTorch; a loss that takes
-- none is shared out.
local function loss_of(t, logits, batch)
  local shape = logits:shape()
  local width, mix = shape[#shape], batch.mix
  if not mix then
    local count = counted(t, batch.labels, width)
    if count == 0 then return nil, 0 end
    return t.criterion(logits, batch.label), count
  end
  if takes_shares(t, width) then
    local target = one_hot(batch.label, width) * mix.share + one_hot(mix.labels, width) * (1 - mix.share)
    return t.criterion(logits, target), t.criterion.set_counts and batch.n or counted(t, batch.labels, width)
  end
  local loss, count = shared_out(t, logits, batch, width)
  return loss, count
end

-- ---- figures ----

local FIGURES = { { "accuracy", "accuracy", "%.1f %%", "max" }, { "f1", "macro F1", "%.1f %%", "max" } }
-- Of two classes of which one is looked for also the area under the ROC curve, of what is tested.
local OF_TWO = { FIGURES[1], FIGURES[2], { "auroc", "AUROC", "%.3f", "max" } }

local Meter = {}
Meter.__index = Meter

-- In a mixed batch the right answers are those of the larger share.
function Meter:add(logits, batch)
  local labels = batch.mix and batch.mix.share < 0.5 and batch.mix.list or batch.labels
  local predicted, shape = logits:argmax(-1):tolist(), logits:shape()
  for _, list in pairs(self.of) do
    for k = #list + 1, shape[#shape] do list[k] = 0 end
  end
  local of = self.of
  for i, label in ipairs(labels) do
    local k, got = label + 1, predicted[i] + 1
    of.support[k], of.predicted[got] = (of.support[k] or 0) + 1, of.predicted[got] + 1
    if k == got then self.right, of.right[k] = self.right + 1, of.right[k] + 1 end
  end
  self.n = self.n + #labels
  if not self.scores then return end
  local k = self.looked_for
  for i, row in ipairs(logits:softmax(-1):tolist()) do
    local at = #self.scores + 1
    self.scores[at], self.positive[at] = row[k], labels[i] == k - 1
  end
end

-- The mean of the classes' F1, over those that occur or were predicted; nil where an older run, which did not count
-- them, had begun the epoch.
function Meter:macro_f1()
  local sum, there, n = 0, 0, 0
  for k, support in ipairs(self.of.support) do
    local all = support + self.of.predicted[k]
    if all > 0 then sum, there = sum + 2 * self.of.right[k] / all, there + 1 end
    n = n + support
  end
  return n == self.n and there > 0 and 100 * sum / there or nil
end

function Meter:value()
  local area = self.scores and core.roc.measure(self.scores, self.positive).auroc or 0 / 0
  return { accuracy = self.n > 0 and 100 * self.right / self.n or nil, f1 = self:macro_f1(),
    auroc = area == area and area or nil }
end
function Meter:state() return { right = self.right, n = self.n, of = self.of } end

local Collector = {}
Collector.__index = Collector

function Collector:add(logits, batch)
  local width, flat = logits:shape(2), logits:softmax(-1):reshape(-1):tolist()
  for i, label in ipairs(batch.labels) do
    self.labels[#self.labels + 1], self.indices[#self.labels + 1] = label, batch.indices[i]
    self.probabilities[#self.probabilities + 1] = { table.unpack(flat, (i - 1) * width + 1, i * width) }
  end
end
function Collector:count() return #self.labels end

-- ---- the positive class ----

-- What the threshold of the recipe's positive class is to have; nil where none is chosen.
local function wanted(o)
  if o.positive and not o.threshold then return { specificity = o.specificity, sensitivity = o.sensitivity } end
end

-- The number, from 1, of the class that is looked for; nil where there are not two.
local function positive_of(t)
  if not t.names or #t.names ~= 2 then return nil end
  return t.options.positive == t.names[1] and 1 or 2
end

local function meter_of(t, state, is_tested)
  local k = is_tested and t.options.positive and positive_of(t) or nil
  state = state or {}
  return setmetatable({ right = state.right or 0, n = state.n or 0,
    of = state.of or { support = {}, predicted = {}, right = {} }, looked_for = k, scores = k and {},
    positive = k and {} }, Meter)
end

-- The probability from which on the positive class is said to be there, and in words where it comes from.
local function threshold_of(t)
  if t.chosen then return t.chosen.threshold, t.chosen.by end
  if t.options.threshold then return t.options.threshold, "the recipe's" end
  return 0.5, wanted(t.options) and "no validation chose another" or "the likelier class"
end

local function choose(t, seen)
  local k, scores, positive = t:positive_class(), {}, {}
  for i, label in ipairs(seen.labels) do scores[i], positive[i] = seen.probabilities[i][k], label == k - 1 end
  local how = wanted(t.options)
  local c = binary.choose(scores, positive, how)
  if not c then
    return ("%s from 0.5 on: the validation has not both classes, so none is chosen"):format(t.names[k])
  end
  c.by = binary.by_text(how, c.count, seen.many)
  t.chosen = c
  return ("%s from %.4g on: %s; there sensitivity is %.1f %%, specificity %.1f %%"):format(t.names[k], c.threshold,
    c.by, 100 * c.sensitivity, 100 * c.specificity)
end

local function check_positive(t)
  local o = t.options
  if not o.positive then return end
  if #t.names ~= 2 then
    util.failf("task.classify: positive is for two classes, and the data have %d (%s); findings that may go together "
      .. "are for task.multilabel {}", #t.names, util.first_few(t.names, 6))
  end
  if o.positive ~= t.names[1] and o.positive ~= t.names[2] then
    util.failf("task.classify: positive: %s", util.unknown_text("class", o.positive, t.names))
  end
end

local function check_options(o)
  local n = (o.threshold and 1 or 0) + (o.specificity and 1 or 0) + (o.sensitivity and 1 or 0)
  if n > 1 then return "threshold, specificity and sensitivity say the same in three ways: one of them" end
  if n > 0 and not o.positive then
    return "threshold, specificity and sensitivity want positive, the class they are of"
  end
end

-- ---- answers ----

-- Where the recipe names a positive class its threshold decides, and not which class is likelier.
local function by_threshold(t, order, scores)
  local k = t.options.positive and positive_of(t)
  if not k then return end
  local first = scores[k] >= threshold_of(t) and k or 3 - k
  order[1], order[2] = first, 3 - first
end

-- The o.top likeliest classes of each picture of a batch: lists of {class =, label =, score =}, best first. False for rows that are no numbers.
local function decode(t, logits, o)
  local out = {}
  if type(logits) == "table" then
    util.failf("the network has %d outputs, and classes are read from one: cut it at that one, and a recipe trains it",
      #logits)
  end
  for i, scores in ipairs(logits:softmax(-1):tolist()) do
    out[i] = scores[1] == scores[1] and {}
    local order = out[i] and util.descending(scores) or {}
    if out[i] then by_threshold(t, order, scores) end
    for k = 1, math.min(o.top or 3, #order) do
      local c = order[k]
      out[i][k] = { class = c - 1, label = t.names and t.names[c] or tostring(c - 1), score = scores[c] }
    end
  end
  return out
end

-- What several pictures of one thing say together: the logarithms of their mean probabilities.
local function mean(_, rows)
  local out = {}
  for k = 1, #rows[1] do out[k] = 0 end
  for _, row in ipairs(rows) do
    local most, sum = math.max(table.unpack(row)), 0
    for _, v in ipairs(row) do sum = sum + math.exp(v - most) end
    for k, v in ipairs(row) do out[k] = out[k] + math.exp(v - most) / sum / #rows end
  end
  for k, v in ipairs(out) do out[k] = math.log(v) end
  return out
end

local function text(t, list)
  local out, k = {}, t.options.positive and positive_of(t)
  for i, each in ipairs(list) do
    out[i] = ("%s %.1f %%%s"):format(util.on_line(tostring(each.label)), 100 * each.score,
      each.class + 1 == k and (" (from %.4g %% on)"):format(100 * threshold_of(t)) or "")
  end
  return table.concat(out, "   ")
end

local function answer(t, list)
  local k = t.options.positive and positive_of(t)
  for _, each in ipairs(list) do
    if each.class + 1 == k then each.threshold = threshold_of(t) end
  end
  return list
end

-- Where there is a class that is looked for, also the score from which on it is said to be there.
local function columns(t, o)
  local names = { "label", "score" }
  for k = 2, o.top do names[#names + 1], names[#names + 2] = "label_" .. k, "score_" .. k end
  if t.options.positive then names[#names + 1] = "threshold" end
  return names
end

local function fields(t, list, o)
  local out = {}
  for k = 1, o.top do
    out[2 * k - 1], out[2 * k] = list[k] and list[k].label or "", list[k] and ("%.9g"):format(list[k].score) or ""
  end
  if t.options.positive then out[#out + 1] = ("%.9g"):format(threshold_of(t)) end
  return out
end

-- Where the recipe goes by macro F1 the test says it too.
local function text_of_test(t, m, seen)
  local said = classes.text_of_test(m, seen)
  return said and t.best == "f1" and m.f1 and ("%s; macro F1 %.1f %%"):format(said, 100 * m.f1) or said
end

-- ---- preparation ----

-- For class weights that are worked out: how often each class is met in training.
local function count_classes(t, s)
  local loss = t.criterion
  if not (nn.is_module(loss) and loss.set_counts and loss.options.weight == "auto") then return end
  loss:set_counts(s.data.train:counts())
end

return {
  name = "classify", brief = "one class a picture", wants = { "label" }, takes = "vector",
  figures = FIGURES, figures_of = function(o) return o.positive and OF_TWO or FIGURES end,
  schema = {
    { "positive", "text", nil, "of two classes the one that is looked for: from a threshold on, chosen on the "
      .. "validation part, it is said to be there (the likelier class is)" },
    { "specificity", "number", nil, "that the threshold has on the validation part at least, with the best "
      .. "sensitivity (the largest sum of both)", above = 0, most = 1 },
    { "sensitivity", "number", nil, "the reverse", above = 0, most = 1 },
    { "threshold", "number", nil, "the probability itself, instead of one that is chosen", above = 0, below = 1 },
    check = check_options,
  },
  chooses = function(o) return wanted(o) and "the threshold of task.classify" or nil end,
  choose = choose, positive_class = positive_of, threshold_of = threshold_of, wanted = wanted,
  kept = function(t) return t.chosen end,
  take = function(t, kept) t.chosen = binary.checked(kept) end,
  default_loss = function() return nn.CrossEntropy {} end,
  prepare = function(t, s)
    t.names, t.width = s.classes, #s.classes
    if t.where then util.at(t.where, check_positive, t) else check_positive(t) end
    count_classes(t, s)
  end,
  head = function(t) return nn.Linear(t.width) end,
  check = function(t, shape)
    if nn.is_module(t.criterion) and #shape == 2 and shape[2] < t.width then
      util.failf("the network gives %d outputs, but the data has %d classes (%s)", shape[2], t.width, util.first_few(t.names, 6))
    end
    if #shape ~= 2 and nn.is_module(t.criterion) then
      util.failf("the network gives outputs of shape %s, and a class a picture wants one row of %d for each", util.shape_text(shape), t.width)
    end
  end,
  loss = loss_of,
  meter = meter_of,
  decode = decode, mean = mean, text = text, answer = answer, columns = columns, fields = fields,
  gather = classes.gather, tiles = classes.tiles, charts = classes.charts, page = classes.page,
  summary = function(_, m) return classes.summary(m) end,
  text_of_test = text_of_test,
  collector = function() return setmetatable({ labels = {}, probabilities = {}, indices = {} }, Collector) end,
}
