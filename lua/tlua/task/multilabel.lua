-- multilabel.lua - several findings a picture, each there or not: logits (N, K) and targets (N, K) of 1, 0, or NaN where nobody knows, which
-- then count in no mean. Binary cross-entropy; areas under the ROC curves.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local metrics = require "tlua.report.metrics"
local intervals = require "tlua.report.intervals"
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

-- The table's row of one target at a threshold.
local function row_of(name, targets, scores, threshold)
  local c = { tp = 0, fp = 0, tn = 0, fn = 0 }
  for i, positive in ipairs(targets) do
    local taken = scores[i] >= threshold
    local key = positive and (taken and "tp" or "fn") or (taken and "fp" or "tn")
    c[key] = c[key] + 1
  end
  local p, n = c.tp + c.fn, c.fp + c.tn
  return { name = name, positive = p, count = p + n, auroc = util.for_json(metrics.auroc(targets, scores)),
    average_precision = util.for_json(metrics.average_precision(targets, scores)), tp = c.tp, fp = c.fp, tn = c.tn, fn = c.fn,
    auroc_interval = p > 0 and n > 0 and { intervals.auroc(metrics.auroc(targets, scores), p, n) } or {} }
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
  local out = { metrics = { count = #(seen.scores or {}), targets = {}, threshold = t.options.threshold }, wrong = seen.scores and farthest(run) or {} }
  local sum = { auroc = 0, average_precision = 0 }
  local n = { auroc = 0, average_precision = 0 }
  for k, name in ipairs(t.names) do
    local targets, scores = {}, {}
    for i, row in ipairs(seen.scores or {}) do
      if is_known(seen.targets[i][k]) then targets[#targets + 1], scores[#scores + 1] = seen.targets[i][k] > 0.5, row[k] end
    end
    local row = row_of(name, targets, scores, t.options.threshold)
    out.metrics.targets[k] = row
    for key in pairs(sum) do
      local v = metrics[key](targets, scores)
      if v == v then sum[key], n[key] = sum[key] + v, n[key] + 1 end
    end
  end
  for key, v in pairs(sum) do out.metrics[key] = n[key] > 0 and v / n[key] or nil end
  out.metrics.defined = n.auroc
  return out
end

local function share(a, b)
  if b == 0 then return "–" end
  return ("%.1f %% (%s)"):format(100 * a / b, intervals.text(intervals.wilson(a, b)))
end

local function page(run)
  local m, rows = run.metrics, { { "target", "positive", "AUROC (95 %)", "average precision", "sensitivity (95 %)", "specificity (95 %)" } }
  for i, r in ipairs(m.targets) do
    local low, high = table.unpack(r.auroc_interval)
    rows[i + 1] = { r.name, ("%d of %d"):format(r.positive, r.count),
      low and ("%.3f (%.3f to %.3f)"):format(r.auroc, low, high) or "–", parts.plain(tonumber(r.average_precision)), share(r.tp, r.tp + r.fn), share(r.tn, r.tn + r.fp) }
  end
  local wrong = {}
  for i, each in ipairs(run.wrong) do
    wrong[i] = parts.shown(each.image, '<div class="bad">', parts.escape(each.name), (" %s, %s</div>"):format(parts.percent(each.score), each.is and "is there" or "is not there"))
  end
  return table.concat { "<h2>Targets</h2>", parts.table(rows),
    ('<p class="soft">Sensitivity and specificity are those of the threshold %g. A target without both kinds of pictures has no AUROC and stays out of the mean.</p>'):format(m.threshold),
    parts.gallery("Farthest from what is so", wrong) }
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
  schema = { { "threshold", "number", 0.5, "probability from which on a finding is said to be there", above = 0, below = 1 } },
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
    for k, v in ipairs(row) do out[k] = ("%s %.1f %%%s"):format(t.names[k], 100 * v, v >= t.options.threshold and " *" or "") end
    return table.concat(out, "   ")
  end,
  answer = function(t, row)
    local out = {}
    for k, v in ipairs(row) do out[k] = { label = t.names[k], score = v, there = v >= t.options.threshold } end
    return out
  end,
  columns = values.columns, fields = values.fields,
}
