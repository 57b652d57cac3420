-- regress.lua - numbers of a picture: outputs (N, K) and targets (N, K) in their own units. The bias of a new head begins at the mean of the
-- training targets, so that what is to be learnt are differences; mean absolute and squared errors, and of a test how
-- far numbers and targets go together.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local correlation = require "tlua.report.correlation"
local binary = require "tlua.report.findings.binary"
local parts = require "tlua.report.parts"
local values = require "tlua.task.values"
local explained = require "tlua.report.texts.explained"
local lengths = require "tlua.report.texts.lengths"

-- ---- figures: sums per target, of which all follow ----

local SUMS = { "n", "y", "y2", "error", "error2" }

local Meter = {}
Meter.__index = Meter

-- `tested`: outputs and targets are kept, for what depends on their order.
local function meter_of(t, state, tested)
  local self = setmetatable({ width = t.width, given = tested and {}, targets = tested and {} }, Meter)
  for _, name in ipairs(SUMS) do
    self[name] = {}
    for k = 1, t.width do self[name][k] = state and state[name] and state[name][k] or 0 end
  end
  return self
end

function Meter:add(out, batch)
  local rows, targets = out:tolist(), batch.values:tolist()
  for i, row in ipairs(rows) do
    if self.given then self.given[#self.given + 1], self.targets[#self.targets + 1] = row, targets[i] end
    for k = 1, self.width do
      local y = targets[i][k]
      local e = row[k] - y
      self.n[k], self.y[k], self.y2[k] = self.n[k] + 1, self.y[k] + y, self.y2[k] + y * y
      self.error[k], self.error2[k] = self.error[k] + math.abs(e), self.error2[k] + e * e
    end
  end
end

-- Of one target: mean absolute error, root of the mean squared one, coefficient of determination (NaN where all targets are the same).
function Meter:of(k)
  local n = self.n[k]
  local spread = self.y2[k] - self.y[k] * self.y[k] / n
  return self.error[k] / n, math.sqrt(self.error2[k] / n), spread > 0 and 1 - self.error2[k] / spread or 0 / 0
end

local function column(rows, k)
  local out = {}
  for i, row in ipairs(rows) do out[i] = row[k] end
  return out
end

-- The mean over the targets of a coefficient of correlation; nil where one of them has none.
local function together(self, name)
  local sum = 0
  for k = 1, self.width do
    sum = sum + correlation[name](column(self.given, k), column(self.targets, k)) / self.width
  end
  return sum == sum and sum or nil
end

-- Means over the targets, as scikit-learn's "uniform_average"; rmse is the root of the mean over targets.
function Meter:value()
  if self.n[1] == 0 then return {} end
  local mae, mse, r2 = 0, 0, 0
  for k = 1, self.width do
    local a, b, c = self:of(k)
    mae, mse, r2 = mae + a / self.width, mse + b * b / self.width, r2 + c / self.width
  end
  local out = { mae = mae, rmse = math.sqrt(mse), r2 = r2 }
  if self.given then out.spearman, out.pearson = together(self, "spearman"), together(self, "pearson") end
  return out
end
function Meter:state()
  local out = {}
  for _, name in ipairs(SUMS) do out[name] = { table.unpack(self[name]) } end
  return out
end

-- ---- the report ----

local Collector = {}
Collector.__index = Collector

function Collector:add(out, batch)
  local rows, targets = out:tolist(), batch.values:tolist()
  for i, row in ipairs(rows) do
    local at = #self.given + 1
    self.given[at], self.targets[at], self.indices[at] = row, targets[i], batch.indices[i]
  end
end

-- Mean of a list and half its 95 % interval, by the normal distribution of means.
local function mean_of(list)
  local sum, squares = 0, 0
  for _, v in ipairs(list) do sum = sum + v end
  local mean = #list > 0 and sum / #list or nil
  for _, v in ipairs(list) do squares = squares + (v - mean) ^ 2 end
  return mean, #list > 1 and 1.959964 * math.sqrt(squares / (#list - 1) / #list) or nil
end

local function worst_of(run)
  local seen, distances = run.seen, {}
  for i, row in ipairs(seen.given) do
    distances[i] = 0
    for k, v in ipairs(row) do distances[i] = math.max(distances[i], math.abs(v - seen.targets[i][k])) end
  end
  return values.farthest(run, distances, -1, function(i, image) return { image = image, given = seen.given[i], target = seen.targets[i] } end)
end

local DOTS = 400 -- of a chart

-- Of one target the coefficients with their bounds, where there are any.
local function add_correlations(row, given, targets)
  for _, name in ipairs { "spearman", "pearson" } do
    local r = correlation[name](given, targets)
    local low, high = correlation.interval(r, #given, name == "spearman")
    if r == r then row[name], row[name .. "_interval"] = r, low and { low, high } or nil end
  end
end

-- "0.8123 (0.8010 to 0.8231)"
local function coefficient(row, name)
  local between = row[name .. "_interval"]
  if not row[name] then return "-" end
  return ("%.4f%s"):format(row[name], between and #between == 2 and (" (%.4f to %.4f)"):format(between[1], between[2])
    or "")
end

local function gather(run)
  local t, seen = run.task, run.seen
  local given = seen.given or {}
  local out = { metrics = { count = #given, targets = {} }, wrong = #given > 0 and worst_of(run) or {} }
  local meter, groups = meter_of(t, nil, true), binary.people(run)
  meter.given, meter.targets = given, seen.targets or {}
  for k, name in ipairs(t.names) do
    local errors, dots = {}, {}
    for i, row in ipairs(given) do
      local y, v = seen.targets[i][k], row[k]
      errors[i] = math.abs(v - y)
      if #dots < DOTS then dots[#dots + 1] = { y, v } end
      meter.n[k], meter.y[k], meter.y2[k] = meter.n[k] + 1, meter.y[k] + y, meter.y2[k] + y * y
      meter.error[k], meter.error2[k] = meter.error[k] + errors[i], meter.error2[k] + (v - y) ^ 2
    end
    local row = { name = name, dots = dots }
    if #given > 0 then
      local mae, half = mean_of(errors)
      local _, rmse, r2 = meter:of(k)
      row.mae, row.half, row.rmse, row.r2, row.mean = mae, half, rmse, r2 == r2 and r2 or nil, meter.y[k] / #given
      add_correlations(row, column(given, k), column(seen.targets, k))
      row.interval, row.groups = binary.mean_by_groups(errors, groups), groups and groups.count or nil
    end
    out.metrics.targets[k] = row
  end
  for key, v in pairs(meter:value()) do out.metrics[key] = v == v and v or nil end
  out.lengths = lengths.gather(run, function(members)
    local errors = {}
    for n, i in ipairs(members) do
      errors[n] = 0
      for k, v in ipairs(given[i]) do errors[n] = errors[n] + math.abs(v - seen.targets[i][k]) / #given[i] end
    end
    local mean, half = mean_of(errors)
    return mean, half and { math.max(0, mean - half), mean + half } or nil
  end)
  return out
end

local function with_interval(row)
  if row.interval then return ("%.4g (%.4g to %.4g)"):format(row.mae, row.interval[1], row.interval[2]) end
  if not row.half then return ("%.4g"):format(row.mae) end
  return ("%.4g (%.4g to %.4g)"):format(row.mae, math.max(0, row.mae - row.half), row.mae + row.half)
end

local function charts(run)
  local out = {}
  for i, row in ipairs(run.metrics.targets) do
    if i > 4 then break end
    local low, high = math.huge, -math.huge
    for _, p in ipairs(row.dots) do low, high = math.min(low, p[1], p[2]), math.max(high, p[1], p[2]) end
    out[i] = parts.figure(("%s: given and true"):format(row.name), { { name = "pictures", points = row.dots, dots = true },
      { name = "the same", points = { { low, low }, { high, high } }, dashed = true } }, { x = "true", y = "given" })
  end
  return table.concat(out)
end

local function page(run)
  local rows, worst = { { "target", "mean absolute error (95 %)", "root mean square error", "R²", "Spearman (95 %)",
    "Pearson (95 %)", "mean of the target" } }, {}
  for i, r in ipairs(run.metrics.targets) do
    rows[i + 1] = { r.name, with_interval(r), ("%.4g"):format(r.rmse), parts.plain(r.r2), coefficient(r, "spearman"),
      coefficient(r, "pearson"), ("%.4g"):format(r.mean) }
  end
  for i, each in ipairs(run.wrong) do
    local lines = {}
    for k, v in ipairs(each.given) do
      lines[k] = ("<div>%s %.4g <span class=\"soft\">is %.4g</span></div>"):format(parts.escape(run.metrics.targets[k].name), v, each.target[k])
    end
    worst[i] = values.figure(run, each, table.concat(lines, " "), "given and true numbers below")
  end
  return table.concat { "<h2>Targets</h2>", parts.table(rows),
    lengths.page(run.lengths, "mean absolute error", function(v) return ("%.4g"):format(v) end),
    explained.legend(run), values.gallery(run, worst) }
end

local function tiles(run)
  local m = run.metrics
  return parts.tile(("%.4g"):format(m.mae), ("mean absolute error on %s %s pictures"):format(util.thousands(m.count), run.part)) ..
    parts.tile(("%.4g"):format(m.rmse), "root mean square error") .. parts.tile(parts.plain(m.r2), "R², coefficient of determination")
end

local function summary(_, m)
  local one = #m.targets == 1 and m.targets[1] or {}
  return { mae = m.mae, rmse = m.rmse, r2 = m.r2, spearman = m.spearman, pearson = m.pearson,
    spearman_interval = one.spearman_interval, pearson_interval = one.pearson_interval }
end

local function text_of_test(_, m, seen)
  local one = { spearman = m.spearman, spearman_interval = m.spearman_interval }
  return ("mean absolute error %s, root mean square error %s, R² %s, Spearman %s, of %s %s"):format(
    util.figure("%.4g", m.mae), util.figure("%.4g", m.rmse), util.figure("%.4f", m.r2), coefficient(one, "spearman"),
    util.thousands(#seen.given), seen.many or "pictures")
end

-- ---- preparation ----

local function prepare(t, s)
  t:check_loss({ "MSELoss", "SmoothL1Loss" }, "takes no numbers in units of their own")
  t.names, t.width, t.mean = s.data.value_names, #s.data.value_names, {}
  for k = 1, t.width do t.mean[k] = 0 end
  local n = s.data.train:count()
  values.each(s, function(part, source, i, k, v)
    if not util.is_finite(v) then
      util.failf("task.regress: %s of %s is %s, and a number is needed", t.names[k], source:path(i),
        v ~= v and "not known (NaN)" or "infinite")
    end
    if part == "train" then t.mean[k] = t.mean[k] + v / n end
  end)
end

-- A new last layer begins with the mean of the targets.
local function start(t, s)
  local head = rawget(s.model, "own_head") and s.model:head()
  local bias = head and head._tensors.bias
  if not bias or bias:numel() ~= t.width then return end
  local guard <close> = core.no_grad()
  bias:copy_(core.tensor(t.mean))
end

return {
  name = "regress", brief = "numbers of a picture", wants = { "values" }, takes = "vector",
  figures = { { "mae", "mean absolute error", "%.4g", "min" }, { "rmse", "root mean square error", "%.4g", "min" },
    { "r2", "R²", "%.4f", "max" }, { "spearman", "Spearman's correlation", "%.4f", "max" },
    { "pearson", "Pearson's correlation", "%.4f", "max" } },
  default_loss = function() return nn.MSELoss {} end,
  prepare = prepare, start = start,
  head = values.head, check = values.check "numbers",
  loss = function(t, out, batch) return t.criterion(out, batch.values), batch.n * (t:is_sum() and t.width or 1) end,
  meter = meter_of,
  collector = function() return setmetatable({ given = {}, targets = {}, indices = {} }, Collector) end,
  gather = gather, page = page, tiles = tiles, charts = charts,
  summary = summary, text_of_test = text_of_test,
  decode = function(_, out) return out:tolist() end, mean = values.mean,
  text = function(t, row)
    local out = {}
    for k, v in ipairs(row) do out[k] = ("%s %.4g"):format(t.names[k], v) end
    return table.concat(out, "   ")
  end,
  answer = function(t, row)
    local out = {}
    for k, v in ipairs(row) do out[k] = { label = t.names[k], value = v } end
    return out
  end,
  columns = values.columns, fields = values.fields,
}
