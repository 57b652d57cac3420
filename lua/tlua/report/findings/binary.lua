-- binary.lua - the figures of one finding that is there or not, from a score each: areas, what a threshold comes to,
-- calibration, and all of it for parts of the people (sex, age, scanner). Where several samples are of one group (a
-- patient), intervals come from drawing whole groups anew; else they are DeLong's and Wilson's. tests/golden/roc.json
-- holds scikit-learn's values.
local core = require "tlua.core"
local util = require "tlua.util"
local intervals = require "tlua.report.intervals"
local binary = {}
local roc = core.roc

local WANTED = 0.9       -- specificity of the sensitivity that is read off the curve, where a recipe wants no other
local BINS = 10          -- of equal width, of the reliability diagram and the calibration error
local FEW = 20           -- with fewer of one kind a row of a table is not to be relied on
local MOST_POINTS = 200  -- of a curve on a page
local MOST_WALKED = 4e7  -- samples that all draws together may take, which is a second
local LEAST_DRAWS = 200

-- ---- groups ----

-- Whose samples are: keys (a list by sample of the part, nil: not known) of the samples `indices` -> {of = numbers from
-- 1, count =, repeats = whether one has several samples}; nil where nothing is known.
function binary.groups(keys, indices)
  if not keys then return nil end
  local number, count, of = {}, 0, {}
  for i, at in ipairs(indices) do
    local key = keys[at]
    if not number[key] then number[key], count = count + 1, count + 1 end
    of[i] = number[key]
  end
  return { of = of, count = count, repeats = count < #of }
end

-- Groups and attributes of the samples `indices` (those that were seen, where not given) of a run's tested part.
function binary.people(run, indices)
  local d, part = run.session and run.session.data or {}, run.part or "test"
  indices = indices or run.seen.indices or {}
  return binary.groups(d.keys and d.keys[part], indices), d.attributes and d.attributes[part], indices
end

-- The groups of some of the samples.
function binary.groups_of(groups, list)
  if not groups then return nil end
  local keys = {}
  for i, at in ipairs(list) do keys[i] = groups.of[at] end
  local all = {}
  for i = 1, #list do all[i] = i end
  return binary.groups(keys, all)
end

local function draws_for(n) return math.max(LEAST_DRAWS, math.min(2000, math.floor(MOST_WALKED / math.max(n, 1)))) end

-- ---- shares ----

-- Of the samples for which of(i) holds, the share for which hit(i) does: {value, low, high}; {} of nothing. Wilson's
-- bounds, or by groups; where every draw gives the same, Wilson's for as many groups.
local function share(n, groups, of, hit)
  local a, b, above, below = {}, {}, 0, 0
  for i = 1, n do
    b[i] = of(i) and 1 or 0
    a[i] = b[i] == 1 and hit(i) and 1 or 0
    above, below = above + a[i], below + b[i]
  end
  if below == 0 then return {} end
  if not (groups and groups.repeats) then return { above / below, intervals.wilson(above, below) } end
  local low, high = roc.shares(a, b, { groups = groups.of, draws = draws_for(groups.count) })
  if low < high then return { above / below, low, high } end
  local known, many = {}, 0
  for i = 1, n do
    if b[i] == 1 and not known[groups.of[i]] then known[groups.of[i]], many = true, many + 1 end
  end
  return { above / below, intervals.wilson(above / below * many, many) }
end

-- The same of a list of booleans: the share of those that hold, of all or of those for which `of` (a list too) holds.
function binary.share(right, groups, of)
  return share(#right, groups, function(i) return not of or of[i] end, function(i) return right[i] end)
end

-- Bounds of a class's F1 (2 TP by how often the class is so and is said, both lists of booleans) when whole groups are
-- drawn anew; {} where each draw gives the same.
function binary.f1_by_groups(is, said, groups)
  local a, b = {}, {}
  for i, v in ipairs(is) do
    a[i], b[i] = v and said[i] and 2 or 0, (v and 1 or 0) + (said[i] and 1 or 0)
  end
  local low, high = roc.shares(a, b, { groups = groups.of, draws = draws_for(groups.count) })
  return low < high and { low, high } or {}
end

-- Bounds of the mean of a list when whole groups are drawn anew; nil where nothing repeats.
function binary.mean_by_groups(list, groups)
  if not (groups and groups.repeats) then return nil end
  local ones = {}
  for i = 1, #list do ones[i] = 1 end
  local low, high = roc.shares(list, ones, { groups = groups.of, draws = draws_for(groups.count) })
  return { low, high }
end

-- ---- thresholds ----

-- The threshold of wanted kind for scores of which those that are positive are known: {threshold =, sensitivity =,
-- specificity =, count =, positive =}, nil where one of both kinds is missing or a score is NaN. how: {specificity =}
-- gives the best sensitivity with a specificity of at least so much, {sensitivity =} the reverse, {} the largest sum of
-- both (Youden 1950). It lies in the middle between the score chosen and the next one below, so that no rounding
-- decides.
function binary.choose(scores, positive, how)
  local m = roc.measure(scores, positive)
  if m.auroc ~= m.auroc then return nil end
  local thresholds, tp, fp = roc.curve(scores, positive)
  local best, best_value
  for i = 1, #thresholds do
    local sensitivity, specificity = tp[i] / m.positive, 1 - fp[i] / m.negative
    local value
    if how.specificity then value = specificity >= how.specificity and sensitivity or nil
    elseif how.sensitivity then value = sensitivity >= how.sensitivity and specificity or nil
    else value = tp[i] * m.negative - fp[i] * m.positive end
    if value and (not best or value > best_value) then best, best_value = i, value end
  end
  if not best then -- nothing but taking none has such a specificity
    return { threshold = thresholds[1] + 1e-6 * math.max(1, math.abs(thresholds[1])), sensitivity = 0.0,
      specificity = 1.0, count = #scores, positive = m.positive }
  end
  local below = thresholds[best + 1]
  return { threshold = below and (thresholds[best] + below) / 2 or thresholds[best], count = #scores,
    sensitivity = tp[best] / m.positive, specificity = 1 - fp[best] / m.negative, positive = m.positive }
end

-- What a model file holds of a chosen threshold, which may be anything.
function binary.checked(kept)
  local v = type(kept) == "table" and kept.threshold
  if type(v) ~= "number" or not util.is_finite(v) or type(kept.by) ~= "string" then
    util.failf("its threshold is damaged")
  end
  return { threshold = v, by = util.readable(kept.by), sensitivity = tonumber(kept.sensitivity),
    specificity = tonumber(kept.specificity), count = tonumber(kept.count), positive = tonumber(kept.positive) }
end

-- How a threshold was chosen, in words.
function binary.how_text(how)
  if how.specificity then return ("a specificity of %g %% or more"):format(100 * how.specificity) end
  if how.sensitivity then return ("a sensitivity of %g %% or more"):format(100 * how.sensitivity) end
  return "the largest sum of sensitivity and specificity (Youden)"
end

-- The same of one that was chosen, with the samples that chose it.
function binary.by_text(how, count, many)
  return ("%s, on %s %s of the validation"):format(binary.how_text(how), util.thousands(count), many or "pictures")
end

-- Counts and shares at a threshold, into `out`.
local function at_threshold(out, scores, positive, groups, threshold)
  local n = #scores
  local function taken(i) return scores[i] >= threshold end
  local function is(i) return positive[i] end
  local c = { tp = 0, fp = 0, tn = 0, fn = 0 }
  for i = 1, n do
    local key = is(i) and (taken(i) and "tp" or "fn") or (taken(i) and "fp" or "tn")
    c[key] = c[key] + 1
  end
  for key, v in pairs(c) do out[key] = v end
  local function is_not(i) return not positive[i] end
  local function left(i) return not taken(i) end
  out.threshold = threshold
  out.sensitivity, out.specificity = share(n, groups, is, taken), share(n, groups, is_not, left)
  out.ppv, out.npv = share(n, groups, taken, is), share(n, groups, left, is_not)
end

-- ---- areas ----

-- DeLong's interval of an area, within 0 and 1.
function binary.delong(area, error)
  if not (error > 0) then return {} end -- all pairs are right, or too few: nothing follows from that
  local half = 1.959963984540054 * error
  return { math.max(0, area - half), math.min(1, area + half) }
end

local function pair(list) return list[1] < list[2] and list or {} end

-- Areas with their intervals, and what is read off the curve, into `out`.
local function areas(out, scores, positive, groups, wanted)
  local m = roc.measure(scores, positive)
  out.positive, out.auroc, out.average_precision = m.positive, m.auroc, m.average_precision
  out.auroc_interval, out.average_precision_interval = {}, {}
  if m.auroc ~= m.auroc then return end
  local specificity, sensitivity = wanted.specificity or WANTED, wanted.sensitivity or WANTED
  local b = roc.bootstrap(scores, positive, { groups = groups and groups.of or nil, specificity = specificity,
    sensitivity = sensitivity, draws = draws_for(#scores) })
  out.delong, out.bootstrap = binary.delong(m.auroc, m.error), pair(b.auroc)
  local by_group = groups and groups.repeats
  out.auroc_interval = by_group and out.bootstrap or out.delong
  out.interval_by = by_group and "groups drawn anew" or "DeLong"
  out.average_precision_interval, out.draws = pair(b.average_precision), b.draws
  local a, c = 0.0, 0.0
  local _, tp, fp = roc.curve(scores, positive)
  for i = 1, #tp do
    local sens, spec = tp[i] / m.positive, 1 - fp[i] / m.negative
    if spec >= specificity then a = math.max(a, sens) end
    if sens >= sensitivity then c = math.max(c, spec) end
  end
  out.sensitivity_at = { wanted = specificity, value = a, interval = pair(b.sensitivity) }
  out.specificity_at = { wanted = sensitivity, value = c, interval = pair(b.specificity) }
end

-- Interval of the mean area over classes, one against the rest, by draws in which all occur; {} where that would take
-- too long. Those of the single areas as a list, and how many draws that were; then the same of average precision.
-- labels from 0, rows of probabilities.
function binary.mean_area(labels, rows, groups)
  local classes = #(rows[1] or {})
  if classes * #rows * LEAST_DRAWS > MOST_WALKED then return {}, {}, 0, {}, {} end
  local draws = draws_for(classes * #rows)
  local sums, single, precision, single_precision = {}, {}, {}, {}
  for i = 1, draws do sums[i], precision[i] = 0, 0 end
  for k = 1, classes do
    local o = { class = k - 1, column = k, groups = groups and groups.of or nil, draws = draws, values = true }
    local values = roc.bootstrap(rows, labels, o)
    for i, v in ipairs(values.auroc) do
      sums[i] = sums[i] + v / classes
      precision[i] = precision[i] + values.average_precision[i] / classes
    end
    single[k], single_precision[k] = binary.middle(values.auroc), binary.middle(values.average_precision)
  end
  return binary.middle(sums), single, draws, binary.middle(precision), single_precision
end

-- Between what the middle 95 % of draws lie that are no NaN; {} where they are all the same.
function binary.middle(values)
  local list = {}
  for _, v in ipairs(values) do list[#list + 1] = v == v and v or nil end
  if #list == 0 then return {} end
  table.sort(list)
  local function at(share)
    local place = share * (#list - 1) + 1
    local below = math.floor(place)
    local low, high = list[below], list[math.min(below + 1, #list)]
    return low + (place - below) * (high - low)
  end
  return pair { at(0.025), at(0.975) }
end

-- At most `most` of the points (x, y), the first and the last among them.
local function thinned(points, most)
  if #points <= most then return points end
  local out = {}
  for k = 1, most do out[k] = points[1 + (k - 1) * (#points - 1) // (most - 1)] end
  return out
end
binary.thinned = thinned

-- Points of both curves, into `out`: roc {false positive rate, sensitivity}, pr {recall, precision}.
local function curves(out, scores, positive)
  local m = roc.measure(scores, positive)
  if m.auroc ~= m.auroc then return end
  local _, tp, fp = roc.curve(scores, positive)
  local r, p = { { 0.0, 0.0 } }, {}
  for i = 1, #tp do
    r[#r + 1] = { fp[i] / m.negative, tp[i] / m.positive }
    p[i] = { tp[i] / m.positive, tp[i] / (tp[i] + fp[i]) }
  end
  out.roc, out.pr = thinned(r, MOST_POINTS), thinned(p, MOST_POINTS)
end

-- ---- calibration ----

-- Brier's score, and of bins of equal width the mean probability and the share that is positive, into `out`; the error
-- is the mean gap between both, weighted by count. Nothing of scores of which one is NaN, or of none.
local function calibration(out, scores, positive, groups)
  out.brier, out.calibration_error, out.bins, out.calibration = 0 / 0, 0 / 0, BINS, {}
  for _, v in ipairs(scores) do
    if v ~= v then return end
  end
  if #scores == 0 then return end
  local list, gap, square, within = {}, 0, 0, {}
  for b = 1, BINS do list[b] = { mean = 0, share = 0, count = 0 } end
  for i, v in ipairs(scores) do
    within[i] = math.max(1, math.min(BINS, math.ceil(v * BINS)))
    local bin = list[within[i]]
    bin.count, bin.mean, bin.share = bin.count + 1, bin.mean + v, bin.share + (positive[i] and 1 or 0)
    square = square + (v - (positive[i] and 1 or 0)) ^ 2
  end
  for b = BINS, 1, -1 do
    local bin = list[b]
    if bin.count == 0 then table.remove(list, b)
    else
      local v = share(#scores, groups, function(i) return within[i] == b end, function(i) return positive[i] end)
      bin.mean, bin.share, bin.interval = bin.mean / bin.count, bin.share / bin.count, { v[2], v[3] }
      gap = gap + math.abs(bin.mean - bin.share) * bin.count / #scores
    end
  end
  out.brier, out.calibration_error, out.calibration = square / #scores, gap, list
end

-- ---- parts of the people ----

local AGES = { { 18, "below 18" }, { 40, "18 to 39" }, { 65, "40 to 64" }, { math.huge, "65 and above" } }
local MOST_VALUES = 12

-- Words for the values of one attribute: years become bands, other numbers of many values quarters of their range.
local function banded(name, list)
  local numbers, distinct, n = {}, {}, 0
  for i, v in ipairs(list) do
    numbers[i] = tonumber(v) or false
    if v and v ~= "" then
      if not numbers[i] then return list end
      if not distinct[numbers[i]] then distinct[numbers[i]], n = true, n + 1 end
    end
  end
  local bands = name:lower():find "^age%f[%A]" and AGES
  if not bands and n <= MOST_VALUES then return list end
  if not bands then
    local sorted = {}
    for _, v in ipairs(numbers) do sorted[#sorted + 1] = v or nil end
    table.sort(sorted)
    bands = {}
    for k = 1, 4 do
      local low, high = sorted[1 + (k - 1) * #sorted // 4], sorted[math.min(#sorted, 1 + k * #sorted // 4)]
      bands[k] = k < 4 and { high, ("%g up to %g"):format(low, high) } or { math.huge, ("%g and above"):format(low) }
    end
  end
  local out = {}
  for i, v in ipairs(numbers) do
    for k = #bands, 1, -1 do
      if v and v < bands[k][1] then out[i] = bands[k][2] end
    end
    out[i] = out[i] or false
  end
  return out
end

-- { {name of an attribute, { {value, list of places}... } }... } of the samples `indices`; attributes: by name a list
-- for each sample of the part.
function binary.parts(attributes, indices)
  local out = {}
  for _, name in ipairs(util.keys(attributes or {})) do
    local own, of, values = {}, {}, {}
    for i, at in ipairs(indices) do own[i] = attributes[name][at] or false end
    for i, v in ipairs(banded(name, own)) do
      v = v and v ~= "" and tostring(v) or "not known"
      if not of[v] then of[v], values[#values + 1] = {}, v end
      table.insert(of[v], i)
    end
    table.sort(values, function(a, b)
      if #values > MOST_VALUES and #of[a] ~= #of[b] then return #of[a] > #of[b] end
      return a < b
    end)
    local rest, n = {}, #values
    for k = n, n > MOST_VALUES and MOST_VALUES or n + 1, -1 do
      table.move(of[values[k]], 1, #of[values[k]], #rest + 1, rest)
      values[k] = nil
    end
    for k, v in ipairs(values) do values[k] = { v, of[v] } end
    if #rest > 0 then values[#values + 1] = { ("%d others"):format(n - #values), rest } end
    out[#out + 1] = { name, values }
  end
  return out
end

local function some(list, of)
  local out = {}
  for i, at in ipairs(of) do out[i] = list[at] end
  return out
end

-- Are there fewer than FEW samples of one kind, or groups of it?
local function is_few(positive, groups)
  local known, n = { [true] = {}, [false] = {} }, { [true] = 0, [false] = 0 }
  for i, is in ipairs(positive) do
    local key = groups and groups.of[i] or i
    if not known[is][key] then known[is][key], n[is] = true, n[is] + 1 end
  end
  return n[true] < FEW or n[false] < FEW
end

-- A row for each value of each attribute.
local function by_part(o, threshold)
  local out = {}
  for _, each in ipairs(binary.parts(o.attributes, o.indices)) do
    for _, value in ipairs(each[2]) do
      local scores, positive = some(o.scores, value[2]), some(o.positive, value[2])
      local groups = binary.groups_of(o.groups, value[2])
      local row = { attribute = each[1], value = value[1], count = #scores, groups = groups and groups.count }
      areas(row, scores, positive, groups, {})
      row.sensitivity_at, row.specificity_at = nil, nil
      at_threshold(row, scores, positive, groups, threshold)
      row.few = is_few(positive, groups)
      out[#out + 1] = row
    end
  end
  return out
end

-- ---- all of it ----

-- Everything of one finding. o: name; scores, probabilities; positive, booleans; indices, the number of each in its
-- part; groups (binary.groups); attributes; threshold, and `by`, words for where it comes from; wanted, {specificity =,
-- sensitivity =}.
function binary.figures(o)
  local out = { name = o.name, count = #o.scores, groups = o.groups and o.groups.count or nil,
    repeats = o.groups and o.groups.repeats or nil, threshold_by = o.by }
  areas(out, o.scores, o.positive, o.groups, o.wanted or {})
  at_threshold(out, o.scores, o.positive, o.groups, o.threshold)
  curves(out, o.scores, o.positive)
  calibration(out, o.scores, o.positive, o.groups)
  out.parts, out.few = by_part(o, o.threshold), is_few(o.positive, o.groups)
  return out
end

-- Places of the samples that were missed, the least score first, and of false alarms, the highest first.
function binary.wrong(scores, positive, threshold)
  local missed, alarms = {}, {}
  for i, v in ipairs(scores) do
    if positive[i] and v < threshold then missed[#missed + 1] = i end
    if not positive[i] and v >= threshold then alarms[#alarms + 1] = i end
  end
  table.sort(missed, function(a, b) return scores[a] < scores[b] or scores[a] == scores[b] and a < b end)
  table.sort(alarms, function(a, b) return scores[a] > scores[b] or scores[a] == scores[b] and a < b end)
  return missed, alarms
end

return binary
