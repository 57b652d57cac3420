-- said.lua - what `tlua eval` says of a test: the figures of its report as lines of text, or as one JSON object.
local core = require "tlua.core"
local util = require "tlua.util"
local intervals = require "tlua.report.intervals"
local classes = require "tlua.report.classes"
local curves = require "tlua.report.findings.curves"
local confusion = require "tlua.report.confusion"
local tested = require "tlua.command.eval.tested"
local said = {}

local MOST_ROWS = 40 -- classes that are listed; of more the worst WORST
local WORST = 10
local MOST_MATRIX = 12 -- classes whose confusion is shown as a table

-- ---- what was found ----

-- Of a classification the figures of its report without pictures, of another task what its report holds.
function said.gather(s)
  local t = s.task
  local run = { task = t, seen = s.seen, names = t.names, source = s.data.test, part = "test", session = s }
  if t.kind == "classify" then return (classes.figures(run)) end
  local found = t.gather and t.gather(run).metrics or {}
  for _, each in ipairs(found.targets or {}) do
    each.dots, each.roc, each.pr, each.by_confidence = nil, nil, nil, nil -- a chart's
  end
  return found
end

-- ---- text ----

-- rows of texts in columns, the first to the left.
local function columns(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for k, cell in ipairs(row) do
      row[k] = util.on_line(cell)
      widths[k] = math.max(widths[k] or 0, core.text.width(row[k]))
    end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for k, cell in ipairs(row) do cells[k] = core.text.pad(cell, widths[k], k > 1) end
    print((table.concat(cells, "  "):gsub("%s+$", "")))
  end
end

-- "84.2 (80.1 to 87.6)" in percent; "-" of nothing.
local function percent(v, bounds)
  if not v or v ~= v then return "-" end
  local low = bounds and bounds[1]
  return ("%.1f%s"):format(100 * v, low and (" (%.1f to %.1f)"):format(100 * low, 100 * bounds[2]) or "")
end

local function area(v, bounds)
  if not v or v ~= v then return "-" end
  local low = bounds and bounds[1]
  return ("%.3f%s"):format(v, low and (" (%.3f to %.3f)"):format(low, bounds[2]) or "")
end

-- The classes that are listed: all, or of many those with the least F1.
local function listed(m)
  local list = {}
  for k, row in ipairs(m.per_class) do
    if #m.names <= MOST_ROWS or row.support > 0 then list[#list + 1] = k end
  end
  if #m.names <= MOST_ROWS then return list end
  table.sort(list, function(a, b)
    local x, y = m.per_class[a].f1, m.per_class[b].f1
    return x < y or x == y and a < b
  end)
  return table.move(list, 1, WORST, 1, {})
end

-- What the means over classes are not means of.
local function print_absent(m, many)
  local list = classes.absent(m)
  if #list == 0 then return end
  print(("%d of %d classes have no test %s (%s): areas are not defined for them, and the means leave out those that\n" ..
    "were not predicted either"):format(#list, #m.names, many, util.on_line(util.first_few(list))))
end

local function print_per_class(m, many)
  local list = listed(m)
  local rows = { { "class", many, "precision %", "recall %", "F1 %", "AUROC" } }
  for _, k in ipairs(list) do
    local r = m.per_class[k]
    local none = r.support + r.predicted == 0
    rows[#rows + 1] = { m.names[k], util.thousands(r.support), none and "-" or percent(r.precision, r.precision_interval),
      none and "-" or percent(r.recall, r.recall_interval), none and "-" or percent(r.f1, r.f1_interval),
      area(r.auroc, r.auroc_interval) }
  end
  local a = m.averages.macro
  rows[#rows + 1] = { "mean over classes", util.thousands(m.count), percent(a.precision), percent(a.recall),
    percent(a.f1), area(m.auroc, m.auroc_interval) }
  print()
  if #list < #m.names then
    print(("the %d of %d classes with the least F1; --csv FILE writes all"):format(#list, #m.names))
  end
  columns(rows)
  print_absent(m, many)
end

local function print_matrix(m)
  local o = confusion.ordered(m)
  local rows = { { "is \\ taken for" } }
  for _, j in ipairs(o.order) do table.insert(rows[1], m.names[j]) end
  for _, i in ipairs(o.order) do
    local row = { m.names[i] }
    for _, j in ipairs(o.order) do row[#row + 1] = m.confusion[i][j] > 0 and util.thousands(m.confusion[i][j]) or "." end
    rows[#rows + 1] = row
  end
  print()
  columns(rows)
end

local function print_confused(m, many)
  if #m.confused == 0 then return end
  local rows = { { "class", "taken for", many, "%" } }
  for k, pair in ipairs(m.confused) do
    if k > WORST then break end
    rows[k + 1] = { m.names[pair.label + 1], m.names[pair.predicted + 1], util.thousands(pair.count),
      percent(pair.count / m.per_class[pair.label + 1].support) }
  end
  print()
  columns(rows)
end

local function print_positive(d)
  print(("%s  AUROC %s, average precision %s"):format(d.name, curves.area_text(d.auroc, d.auroc_interval),
    curves.area_text(d.average_precision, d.average_precision_interval)))
  print(("threshold %.4g (%s): sensitivity %s, specificity %s, PPV %s, NPV %s"):format(d.threshold, d.threshold_by,
    curves.share_text(d.sensitivity), curves.share_text(d.specificity), curves.share_text(d.ppv),
    curves.share_text(d.npv)))
  print(("calibration error %.4f in %d bins, Brier score %.4f; %s"):format(d.calibration_error, d.bins, d.brier,
    curves.interval_words(d)))
  for _, row in ipairs(d.parts) do
    print(("%s %s: %d, of these %d %s, AUROC %s, sensitivity %s, specificity %s%s"):format(row.attribute, row.value,
      row.count, row.positive, d.name, curves.area_text(row.auroc, row.auroc_interval),
      curves.share_text(row.sensitivity), curves.share_text(row.specificity), row.few and "; few" or ""))
  end
end

-- Shares in percent; the interval is Wilson's, or by groups where one has several pictures.
local function print_classes(s, sum, loss_name, m)
  local low, high = table.unpack(m.accuracy_interval)
  print("tested   " .. tested.text(s.data))
  local loss = util.figure("%.4f", sum:mean())
  print(("accuracy %.1f %% (%s of %s, 95 %%: %s)  loss %s%s"):format(sum:value().accuracy, util.thousands(
    sum.meter.right), util.thousands(sum.n), intervals.text(low, high), loss,
    (loss == "-" or loss_name ~= "CrossEntropy") and (" (%s)"):format(loss_name) or ""))
  if m.detection and m.detection.asked then print_positive(m.detection) end
  print_per_class(m, s.data.input.many)
  if #m.names <= MOST_MATRIX then print_matrix(m) end
  if #m.names > 2 then print_confused(m, s.data.input.many) end
end

local function print_figures(s, sum, loss_name, found)
  local t, values = s.task, sum:value()
  print("tested   " .. tested.text(s.data))
  local text, parts = t.text_of_test and t:text_of_test(t.summary and t:summary(found) or values, s.seen), {}
  for i, f in ipairs(t.figures) do parts[i] = t:figure_text(f, values[f[1]]) end
  print(("%s  loss %s (%s)"):format(text or table.concat(parts, "  "), util.figure("%.4f", sum:mean()), loss_name))
end

-- ---- JSON ----

-- What else there is to say of a classification: of two classes of the one that is looked for, of more of each.
local function more_of(m)
  local d, list = m.detection, {}
  for k, row in ipairs(m.per_class) do
    local r = { name = m.names[k] }
    for key, v in pairs(row) do r[key] = v end
    r.auroc_error = nil
    list[k] = r
  end
  local out = { classes = list, balanced_accuracy = m.balanced_accuracy, macro_f1 = m.averages.macro.f1,
    kappa = m.kappa, confused = {}, average_precision = m.average_precision,
    average_precision_interval = m.average_precision_interval, calibration_error = m.calibration_error }
  if #m.names <= confusion.MOST_CLASSES then out.confusion = m.confusion end
  for k, pair in ipairs(m.confused) do
    out.confused[k] = { label = m.names[pair.label + 1], taken_for = m.names[pair.predicted + 1], count = pair.count }
  end
  if not d then
    out.auroc, out.auroc_interval, out.parts = m.auroc, m.auroc_interval, m.parts
    return out
  end
  d.roc, d.pr = nil, nil -- a chart's
  for key, v in pairs { positive = d.name, auroc = d.auroc, auroc_interval = d.auroc_interval, threshold = d.threshold,
    sensitivity = d.sensitivity, specificity = d.specificity, detection = d } do out[key] = v end
  return out
end

local function json_of(s, sum, loss_name, found)
  local built, of_classes = s.data, s.task.kind == "classify"
  local out = { [built.input.many] = sum.n, loss = sum:mean(), loss_kind = loss_name, tested = built.tested.part,
    root = built.tested.root, warning = built.tested.warning }
  if of_classes then
    local low, high = table.unpack(found.accuracy_interval)
    out.accuracy, out.interval, out.right, out.groups = sum:value().accuracy, { 100 * low, 100 * high },
      sum.meter.right, found.groups
  else out.task, out.targets = s.task.kind, found.targets end
  for key, v in pairs(of_classes and more_of(found) or sum:value()) do out[key] = v end
  return out
end

-- sum: of the test; found: what said.gather gave.
function said.print(s, sum, loss_name, found, as_json)
  if as_json then print(core.json_encode(json_of(s, sum, loss_name, found)))
  elseif s.task.kind == "classify" then print_classes(s, sum, loss_name, found)
  else print_figures(s, sum, loss_name, found) end
end

return said
