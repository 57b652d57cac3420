-- metrics.lua - how good predictions are. Numbers from plain lists: labels from 0, predicted classes from 0, scores as rows of one number a
-- class. Definitions are scikit-learn's; tests/golden/metrics.json holds its values.
local util = require "tlua.util"
local intervals = require "tlua.report.intervals"
local metrics = {}
local roc = require("tlua.core").roc

-- ---- the confusion matrix and what follows from it ----

-- m[i][j]: how many pictures of class i - 1 were taken for class j - 1.
function metrics.confusion(labels, predicted, classes)
  local m = {}
  for i = 1, classes do
    m[i] = {}
    for j = 1, classes do m[i][j] = 0 end
  end
  for i, label in ipairs(labels) do
    local row = m[label + 1] or util.failf("metrics: label %d of %d classes", label, classes)
    row[predicted[i] + 1] = row[predicted[i] + 1] + 1
  end
  return m
end

local function sums(m)
  local rows, columns, right, all = {}, {}, 0, 0
  for i = 1, #m do rows[i], columns[i] = 0, 0 end
  for i = 1, #m do
    right = right + m[i][i]
    for j = 1, #m do
      rows[i], columns[j], all = rows[i] + m[i][j], columns[j] + m[i][j], all + m[i][j]
    end
  end
  return rows, columns, right, all
end

local function ratio(a, b) return b > 0 and a / b or 0.0 end

function metrics.accuracy(m)
  local _, _, right, all = sums(m)
  return ratio(right, all)
end

-- Bounds of F1 by those of TP / (TP + FP + FN), of which it is a growing function (Goutte and Gaussier 2005).
local function f1_interval(tp, all)
  local low, high = intervals.wilson(tp, all)
  if not low then return {} end
  return { 2 * low / (1 + low), 2 * high / (1 + high) }
end

-- One row a class: {precision =, recall =, f1 =, support =, predicted = how often, recall_interval = {low, high},
-- precision_interval =, f1_interval =}; zero where a class was never predicted or does not occur. The
-- second result are their averages: macro, over the classes that occur or were predicted, and weighted by support.
function metrics.per_class(m)
  local rows, columns, _, all = sums(m)
  local list, macro, weighted, there = {}, { precision = 0, recall = 0, f1 = 0 }, { precision = 0, recall = 0, f1 = 0 }, 0
  for i = 1, #m do
    local p, r = ratio(m[i][i], columns[i]), ratio(m[i][i], rows[i])
    list[i] = { precision = p, recall = r, f1 = ratio(2 * p * r, p + r), support = rows[i],
      predicted = columns[i], recall_interval = { intervals.wilson(m[i][i], rows[i]) },
      precision_interval = { intervals.wilson(m[i][i], columns[i]) },
      f1_interval = f1_interval(m[i][i], rows[i] + columns[i] - m[i][i]) }
    if rows[i] + columns[i] > 0 then there = there + 1 end
  end
  for _, row in ipairs(list) do
    for key in pairs(macro) do
      if row.support + row.predicted > 0 then macro[key] = macro[key] + row[key] / there end
      weighted[key] = weighted[key] + row[key] * ratio(row.support, all)
    end
  end
  return list, { macro = macro, weighted = weighted }
end

-- Mean recall of the classes that occur.
function metrics.balanced_accuracy(m)
  local rows = sums(m)
  local sum, n = 0, 0
  for i = 1, #m do
    if rows[i] > 0 then sum, n = sum + m[i][i] / rows[i], n + 1 end
  end
  return ratio(sum, n)
end

-- Cohen's kappa (1960): agreement beyond what chance gives.
function metrics.kappa(m)
  local rows, columns, right, all = sums(m)
  local chance = 0
  for i = 1, #m do chance = chance + rows[i] * columns[i] / (all * all) end
  return chance < 1 and (right / all - chance) / (1 - chance) or 0 / 0
end

-- The pairs that are confused most: { {label =, predicted =, count =}, ... }, at most `most`.
function metrics.confused(m, most)
  local list = {}
  for i = 1, #m do
    for j = 1, #m do
      if i ~= j and m[i][j] > 0 then list[#list + 1] = { label = i - 1, predicted = j - 1, count = m[i][j] } end
    end
  end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.label == b.label and a.predicted < b.predicted or a.label < b.label
  end)
  for i = #list, (most or 10) + 1, -1 do list[i] = nil end
  return list
end

-- ---- from scores ----

-- The order of scores is that of the device's argmax and of PyTorch: a NaN stands above all numbers.
local function higher(a, b) return a > b or (a ~= a and b == b) end

local function argmax(row)
  local best = 1
  for j = 2, #row do
    if higher(row[j], row[best]) then best = j end
  end
  return best
end

-- Share of rows whose label is among the k highest scores; equal scores count for the class that comes first.
function metrics.top_k(labels, scores, k)
  local right = 0
  for i, label in ipairs(labels) do
    local own, above = scores[i][label + 1], 0
    for j, v in ipairs(scores[i]) do
      if higher(v, own) or (j < label + 1 and not higher(own, v)) then above = above + 1 end
    end
    if above < k then right = right + 1 end
  end
  return ratio(right, #labels)
end

-- Area under the ROC curve; positive[i] is true or false. NaN where one of both kinds is missing, as in scikit-learn,
-- and where a score is NaN.
function metrics.auroc(positive, scores) return roc.measure(scores, positive).auroc end

-- Average precision: sum of precision times the growth of recall. NaN where none is positive, and where a score is NaN.
function metrics.average_precision(positive, scores) return roc.measure(scores, positive).average_precision end

-- Of each class against the rest {auroc =, average_precision =, error =}, and the means over classes; of two classes
-- the second alone, as is usual. NaN where a class does not occur, since its own figure is not defined: leaving it out
-- would be a mean over another set of classes than the reader thinks of.
function metrics.one_against_rest(labels, scores)
  local list, classes = {}, #scores[1]
  for class = 0, classes - 1 do list[class + 1] = roc.measure(scores, labels, { class = class, column = class + 1 }) end
  if classes == 2 then return list, list[2].auroc, list[2].average_precision end
  local area, precision = 0, 0
  for _, each in ipairs(list) do area, precision = area + each.auroc, precision + each.average_precision end
  return list, area / classes, precision / classes
end

-- ---- calibration ----

-- Bins of the highest probability of each row: {confidence =, accuracy =, count =}, and the expected calibration error (Guo et al. 2017): the mean
-- gap between both, weighted by count. It is NaN where a probability is.
function metrics.calibration(labels, probabilities, bins)
  bins = bins or 15
  local list, gap = {}, 0
  for i = 1, bins do list[i] = { confidence = 0, right = 0, count = 0 } end
  for i, row in ipairs(probabilities) do
    local best = argmax(row)
    if row[best] ~= row[best] then gap = 0 / 0
    else
      local bin = list[math.max(1, math.min(bins, math.ceil(row[best] * bins)))]
      bin.confidence, bin.count = bin.confidence + row[best], bin.count + 1
      if best - 1 == labels[i] then bin.right = bin.right + 1 end
    end
  end
  for _, bin in ipairs(list) do
    bin.confidence, bin.accuracy = ratio(bin.confidence, bin.count), ratio(bin.right, bin.count)
    gap = gap + math.abs(bin.confidence - bin.accuracy) * bin.count / #labels
  end
  return list, gap
end

-- ---- all of it ----

-- Everything about `probabilities` (rows of one number a class) of `labels`; names of the classes for the reader. Of no picture at all there is
-- nothing but the names and count = 0.
function metrics.summary(labels, probabilities, names)
  if #labels == 0 then return { count = 0, names = names, predicted = {} } end
  local predicted, classes = {}, #names
  for i, row in ipairs(probabilities) do predicted[i] = argmax(row) - 1 end
  local m = metrics.confusion(labels, predicted, classes)
  local list, averages = metrics.per_class(m)
  local bins, gap = metrics.calibration(labels, probabilities)
  local _, _, right = sums(m)
  local areas, auroc, precision = metrics.one_against_rest(labels, probabilities)
  for i, row in ipairs(list) do
    row.auroc, row.auroc_error, row.average_precision = areas[i].auroc, areas[i].error, areas[i].average_precision
  end
  return { accuracy = metrics.accuracy(m), right = right, accuracy_interval = { intervals.wilson(right, #labels) }, top_5 = classes > 5 and metrics.top_k(labels, probabilities, 5) or nil,
    balanced_accuracy = metrics.balanced_accuracy(m), kappa = metrics.kappa(m), auroc = auroc,
    average_precision = precision, calibration_error = gap, calibration = bins, confusion = m, per_class = list,
    averages = averages, confused = metrics.confused(m, classes > 40 and 40 or 10), predicted = predicted,
    names = names, count = #labels }
end

return metrics
