-- multilabel.lua - several findings a picture, each there or not: logits (N, K) and targets (N, K) of 1, 0, or NaN where nobody knows, which
-- then count in no mean. Binary cross-entropy; areas under the ROC curves.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local metrics = require "tlua.report.metrics"
local binary = require "tlua.report.findings.binary"
local curves = require "tlua.report.findings.curves"
local parts = require "tlua.report.parts"
local values = require "tlua.task.values"

-- ---- the loss ----

-- The same loss with a number for each element.
local function by_element(t)
  if not t.apart then
    local loss = t.criterion
    if not nn.is_module(loss) or not loss.options or not nn[loss.kind] then
      util.at(t.where, util.fail, "task.multilabel: targets that nobody knows want a loss of nn with a reduction, like nn.BCEWithLogits {}")
    end
    local options = {}
    for key, value in pairs(loss.options) do options[key] = value end
    options.reduction = "none"
    t.apart = nn[loss.kind](options)
  end
  return t.apart
end

-- Of a batch with unknown targets: the mean over those that are known, and how many they are.
local function loss_of_known(t, logits, given)
  local known = core.ops.eq(given, given)
  local count = known:sum():item()
  if count == 0 then return nil, 0 end
  local target = core.ops.where(known, given, core.zeros(table.unpack(given:shape())))
  local sum = (by_element(t)(logits, target) * known):sum()
  return t:is_sum() and sum or sum * (1 / count), t:is_sum() and count or count / t.width
end

local function loss_of(t, logits, batch)
  if t.unknown ~= false then return loss_of_known(t, logits, batch.values) end -- of a test alone nobody has looked
  return t.criterion(logits, batch.values), batch.n * (t:is_sum() and t.width or 1)
end

-- ---- figures ----

local MOST_SHOWN = 20 -- targets whose curves a page shows

local function is_known(v) return v == v end
local function sigmoid(v) return v >= 0 and 1 / (1 + math.exp(-v)) or math.exp(v) / (1 + math.exp(v)) end

local Meter = {}
Meter.__index = Meter

-- `tested`: scores are kept, for figures that depend on their order; while training they would cost memory for nothing.
local function meter_of(t, state, tested)
  state = state or {}
  local scores, targets = {}, {}
  for k = 1, t.width do scores[k], targets[k] = {}, {} end
  return setmetatable({ width = t.width, right = state.right or 0, n = state.n or 0, tested = tested, scores = scores, targets = targets }, Meter)
end

function Meter:add(logits, batch)
  local rows, targets = logits:tolist(), batch.values:tolist()
  for i, row in ipairs(rows) do
    for k = 1, self.width do
      local v = targets[i][k]
      if is_known(v) then
        self.n = self.n + 1
        if (row[k] > 0) == (v > 0.5) then self.right = self.right + 1 end
        if self.tested then
          local at = #self.scores[k] + 1
          self.scores[k][at], self.targets[k][at] = sigmoid(row[k]), v > 0.5
        end
      end
    end
  end
end

-- Means over the targets whose figure is defined, and over how many that is.
local function mean_of(meter, f)
  local sum, n = 0, 0
  for k = 1, meter.width do
    local v = f(meter.targets[k], meter.scores[k])
    if v == v then sum, n = sum + v, n + 1 end
  end
  return n > 0 and sum / n or nil
end

function Meter:value()
  local accuracy = self.n > 0 and 100 * self.right / self.n or nil
  if not self.tested then return { right_labels = accuracy } end
  return { auroc = mean_of(self, metrics.auroc), average_precision = mean_of(self, metrics.average_precision), right_labels = accuracy }
end
function Meter:state() return { right = self.right, n = self.n } end

-- ---- the report ----

local Collector = {}
Collector.__index = Collector

function Collector:add(logits, batch)
  local rows, targets = logits:tolist(), batch.values:tolist()
  for i, row in ipairs(rows) do
    for k, v in ipairs(row) do row[k] = sigmoid(v) end
    local at = #self.scores + 1
    self.scores[at], self.targets[at], self.indices[at] = row, targets[i], batch.indices[i]
  end
end

-- Scores and truth of target k where it is known, and the numbers of these pictures in their part.
local function known_of(seen, k)
  local scores, positive, indices = {}, {}, {}
  for i, row in ipairs(seen.scores or {}) do
    local v = seen.targets[i][k]
    if is_known(v) then
      local at = #scores + 1
      scores[at], positive[at], indices[at] = row[k], v > 0.5, seen.indices[i]
    end
  end
  return scores, positive, indices
end

-- ---- thresholds ----

-- What the thresholds are to have; nil where none is chosen.
local function wanted(o)
  if not (o.youden or o.specificity or o.sensitivity) then return nil end
  return { specificity = o.specificity, sensitivity = o.sensitivity }
end

-- The probability from which on target k is said to be there, and in words where it comes from.
local function threshold_of(t, k)
  local c = t.chosen and t.chosen[k]
  if c then return c.threshold, c.by end
  return t.options.threshold, wanted(t.options) and "no validation chose another" or "the recipe's"
end

local function choose(t, seen)
  local words, how, many = {}, wanted(t.options), 0
  t.chosen = {}
  for k, name in ipairs(t.names) do
    local scores, positive = known_of(seen, k)
    local c = binary.choose(scores, positive, how)
    t.chosen[k] = c or false
    if c then
      c.by = binary.by_text(how, c.count, seen.many)
      many, words[#words + 1] = many + 1, ("%s from %.4g on"):format(name, c.threshold)
    end
  end
  return ("%s of %d targets: %s%s"):format(binary.how_text(how), many, util.first_few(words, 6), many < #t.names
    and ("; the others from %g on, since the validation has not both kinds of them"):format(t.options.threshold) or "")
end

local function check_options(o)
  local n = (o.youden and 1 or 0) + (o.specificity and 1 or 0) + (o.sensitivity and 1 or 0)
  if n > 1 then return "youden, specificity and sensitivity are three ways to choose thresholds: one of them" end
end

local function take(t, kept)
  t.chosen = {}
  if type(kept) ~= "table" then util.failf("its thresholds are damaged") end
  for k, each in ipairs(kept) do t.chosen[k] = each and binary.checked(each) end
end

local function there(t, k, v) return v >= (threshold_of(t, k)) end

-- ---- what the report says ----

-- Everything of target k.
local function figures_of(run, k)
  local t = run.task
  local scores, positive, indices = known_of(run.seen, k)
  local groups, attributes = binary.people(run, indices)
  local threshold, by = threshold_of(t, k)
  return binary.figures { name = t.names[k], scores = scores, positive = positive, indices = indices,
    groups = groups, attributes = attributes, threshold = threshold, by = by, wanted = wanted(t.options) }
end

-- The pictures whose answer lies farthest from what is so.
local function farthest(run)
  local seen, worst = run.seen, {}
  for i, row in ipairs(seen.scores) do
    local most, at = 0, 1
    for k, v in ipairs(seen.targets[i]) do
      if is_known(v) and math.abs(v - row[k]) > most then most, at = math.abs(v - row[k]), k end
    end
    worst[i] = { most, at }
  end
  local distances = {}
  for i, each in ipairs(worst) do distances[i] = each[1] end
  return values.farthest(run, distances, 0.5, function(i, image)
    local k = worst[i][2]
    return { image = image, name = run.task.names[k], is = seen.targets[i][k] > 0.5, score = seen.scores[i][k] }
  end)
end

local function gather(run)
  local t, seen = run.task, run.seen
  local out = { metrics = { count = #(seen.scores or {}), targets = {}, threshold = t.options.threshold,
    chosen = wanted(t.options) and binary.how_text(wanted(t.options)) or nil },
    wrong = seen.scores and farthest(run) or {} }
  local sum = { auroc = 0, average_precision = 0 }
  local n = { auroc = 0, average_precision = 0 }
  for k in ipairs(t.names) do
    local row = figures_of(run, k)
    for key in pairs(sum) do
      local v = row[key]
      if v == v then sum[key], n[key] = sum[key] + v, n[key] + 1 end
      row[key] = util.for_json(v)
    end
    out.metrics.targets[k] = row
  end
  for key, v in pairs(sum) do out.metrics[key] = n[key] > 0 and v / n[key] or nil end
  out.metrics.defined = n.auroc
  return out
end

local function page(run)
  local m = run.metrics
  local rows = { { "target", "positive", "AUROC (95 %)", "average precision (95 %)", "from", "sensitivity (95 %)",
    "specificity (95 %)" } }
  local more = {}
  for i, r in ipairs(m.targets) do
    r.auroc, r.average_precision = tonumber(r.auroc), tonumber(r.average_precision) -- "NaN" where it is not defined
    rows[i + 1] = { r.name, ("%d of %d"):format(r.positive, r.count), curves.area_text(r.auroc, r.auroc_interval),
      curves.area_text(r.average_precision, r.average_precision_interval), ("%.4g"):format(r.threshold or m.threshold),
      curves.share_text(r.sensitivity), curves.share_text(r.specificity) }
    if r.roc and i <= MOST_SHOWN then
      more[#more + 1] = ('<h2>%s</h2><div class="charts">%s</div><h3>Figures</h3>%s'):format(parts.escape(r.name),
        curves.charts(r), curves.section(r))
    end
  end
  local wrong = {}
  for i, each in ipairs(run.wrong) do
    local is = each.is and "is there" or "is not there"
    wrong[i] = values.figure(run, each, ('<div class="bad">%s %s, %s</div>'):format(parts.escape(each.name),
      parts.percent(each.score), is), ("%s %s"):format(each.name, is))
  end
  return table.concat { "<h2>Targets</h2>", parts.table(rows),
    ('<p class="soft">Sensitivity and specificity are those of the threshold%s%s. A target without both kinds of '
      .. "pictures has no AUROC and stays out of the mean; %s.</p>"):format(m.chosen and "s" or "",
      m.chosen and (" (%s)"):format(parts.escape(m.chosen)) or (" %g"):format(m.threshold),
      curves.interval_words(m.targets[1] or {})),
    values.gallery(run, wrong), table.concat(more) }
end

local function tiles(run)
  local m = run.metrics
  return parts.tile(parts.plain(m.auroc), ("area under the ROC curve, mean over %d of %d targets, %s %s pictures"):format(m.defined, #m.targets, util.thousands(m.count), run.part)) ..
    parts.tile(parts.plain(m.average_precision), "average precision, mean over targets")
end

-- ---- preparation ----

-- Targets are 1, 0 or not known, and each is met both ways in training.
local function check_targets(t, s)
  local seen = {}
  t.unknown = false
  for k = 1, t.width do seen[k] = {} end
  values.each(s, function(part, source, i, k, v)
    if v ~= v then t.unknown = true
    elseif v ~= 0 and v ~= 1 then
      util.failf("task.multilabel: %s of %s is %g, and a finding is 1, 0 or empty; numbers are for task.regress {}", t.names[k],
        source:path(i), v)
    elseif part == "train" then seen[k][v] = true end
  end)
  for k, name in ipairs(t.names) do
    if not (seen[k][0] and seen[k][1]) then
      util.failf("task.multilabel: %s is %s in every training picture, so there is nothing to learn", name, seen[k][1] and "1" or seen[k][0] and "0" or "not known")
    end
  end
end

return {
  name = "multilabel", brief = "several findings a picture, each there or not", wants = { "values" }, takes = "vector",
  schema = {
    { "threshold", "number", 0.5, "probability from which on a finding is said to be there", above = 0, below = 1 },
    { "youden", "boolean", false, "each finding has a threshold of its own with the largest sum of sensitivity and "
      .. "specificity on the validation part" },
    { "specificity", "number", nil, "the same with a specificity of at least so much", above = 0, most = 1 },
    { "sensitivity", "number", nil, "the same with a sensitivity of at least so much", above = 0, most = 1 },
    check = check_options,
  },
  chooses = function(o) return wanted(o) and "the thresholds of task.multilabel" or nil end,
  choose = choose, kept = function(t) return t.chosen end, take = take,
  figures = { { "auroc", "AUROC", "%.4f", "max" }, { "average_precision", "average precision", "%.4f", "max" }, { "right_labels", "right labels", "%.1f %%", "max" } },
  default_loss = function() return nn.BCEWithLogits {} end,
  prepare = function(t, s)
    t:check_loss({ "BCEWithLogits", "SigmoidFocalLoss", "MSELoss", "SmoothL1Loss" },
      "takes one class a picture, and findings are apart from each other")
    t.names, t.width = s.data.value_names, #s.data.value_names
    check_targets(t, s)
  end,
  head = values.head, check = values.check "targets",
  loss = loss_of, meter = meter_of,
  collector = function() return setmetatable({ scores = {}, targets = {}, indices = {} }, Collector) end,
  gather = gather, page = page, tiles = tiles,
  summary = function(_, m) return { auroc = m.auroc, average_precision = m.average_precision } end,
  text_of_test = function(_, m, seen)
    return ("AUROC %s, average precision %s, of %s pictures"):format(util.figure("%.4f", m.auroc), util.figure("%.4f", m.average_precision), util.thousands(#seen.scores))
  end,
  -- What `tlua predict` says of a picture.
  decode = function(_, out)
    local rows = out:tolist()
    for _, row in ipairs(rows) do
      for k, v in ipairs(row) do row[k] = sigmoid(v) end
    end
    return rows
  end,
  -- The logits of the mean probabilities.
  mean = function(_, rows)
    local out = {}
    for k = 1, #rows[1] do
      local sum = 0
      for _, row in ipairs(rows) do sum = sum + sigmoid(row[k]) / #rows end
      out[k] = math.log(sum / (1 - sum))
    end
    return out
  end,
  text = function(t, row)
    local out = {}
    for k, v in ipairs(row) do out[k] = ("%s %.1f %%%s"):format(t.names[k], 100 * v, there(t, k, v) and " *" or "") end
    return table.concat(out, "   ")
  end,
  answer = function(t, row)
    local out = {}
    for k, v in ipairs(row) do
      local threshold = threshold_of(t, k)
      out[k] = { label = t.names[k], score = v, there = v >= threshold, threshold = threshold }
    end
    return out
  end,
  columns = values.columns, fields = values.fields,
}
