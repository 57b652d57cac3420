-- report_runs.lua - `tlua report RUN...`: the report of one run made again from its report.json, or several runs side
-- by side in one page: curves over each other, figures in a table, and in what their recipes differ.
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local chart = require "tlua.report.chart"
local parts = require "tlua.report.parts"
local links = require "tlua.report.page.links"
local report = require "tlua.report"
local checkpoint = require "tlua.run.checkpoint"
local of_folder = require "tlua.run.told"
local intervals = require "tlua.report.intervals"
local curves = require "tlua.report.findings.curves"
local report_runs = {}
local escape = chart.escape

-- ---- were they tested on the same pictures? ----

local function many_of(run) return run.many or "pictures" end

local function test_text(run)
  local t = run.test
  return t and ("%s %s, %s"):format(util.thousands(t.count), many_of(run), t.hash:sub(1, 8)) or "not known"
end

local MOST_NAMED = 4 -- runs that a warning names

-- A warning where runs were tested on other pictures than others: their accuracies cannot be held against each other.
-- nil where all that is known is the same.
local function test_warning(runs)
  local hashes, said, n = {}, {}, 0
  for i, run in ipairs(runs) do
    local hash = run.test and run.test.hash
    if hash and not hashes[hash] then hashes[hash], n = true, n + 1 end
    if i <= MOST_NAMED then said[i] = ("%s: %s"):format(run.label, test_text(run)) end
  end
  if n < 2 then return nil end
  if #runs > MOST_NAMED then said[#said + 1] = ("... (%d runs, %d sets)"):format(#runs, n) end
  return ("the runs were not tested on the same %s, so that their figures cannot be compared: %s"):format(
    many_of(runs[1]), table.concat(said, "; "))
end

-- Folders' last names, or whole ones where those are the same.
local function name_runs(runs)
  local count = {}
  for _, run in ipairs(runs) do count[run.label] = (count[run.label] or 0) + 1 end
  for _, run in ipairs(runs) do
    if count[run.label] > 1 then run.label = run.folder end
  end
end

-- ---- the page ----

local function curve(runs, title, key, y, same)
  local series, any = {}, false
  for i, run in ipairs(runs) do
    local points = report.column(run.rows, key)
    series[i] = { name = run.label, points = points }
    any = any or #points > 0
  end
  return any and report.figure(title, series, { x = "epoch", x_whole = true, y = y, y_same = same, names = true }) or ""
end

-- The column of a run's main figure, and the figure: what was looked at after each epoch.
local function main_of(run)
  local f = report.figures(run)[1]
  return report.prefix(run) .. "_" .. f[1], f
end

-- The tested epoch whose main figure is the best; one whose loss is no number is never the best.
local function best_of(run)
  local key, f = main_of(run)
  local best
  for _, row in ipairs(run.rows) do
    local v, loss = row[key], row[report.prefix(run) .. "_loss"]
    if v and (not loss or util.is_finite(loss)) and (not best or (f[4] == "max" and v > best[key] or f[4] == "min" and v < best[key])) then best = row end
  end
  return best
end

local function last_of(run, key)
  for i = #run.rows, 1, -1 do
    if run.rows[i][key] then return run.rows[i][key] end
  end
end

local function number(v, format) return v and util.figure(format, v) or "–" end

-- Wilson's bounds of the accuracy; of another main figure those that its task gave.
local function interval_of(run)
  local m = run.metrics
  local bounds = m and m[report.figures(run)[1][1] .. "_interval"]
  if run.task and type(bounds) == "table" and #bounds == 2 then return intervals.text(bounds[1], bounds[2]) end
  if not m or not m.accuracy or m.count == 0 then return "–" end
  if m.interval_by then return intervals.between(m.accuracy_interval) end
  return intervals.text(intervals.wilson(m.right or math.floor(m.accuracy * m.count + 0.5), m.count))
end

-- The main figures of the runs, each named once.
local function mains(runs)
  local list, known = {}, {}
  for _, run in ipairs(runs) do
    local key, f = main_of(run)
    if not known[key] then
      known[key] = true
      list[#list + 1] = { key = key, figure = f, prefix = report.prefix(run) }
    end
  end
  return list
end

-- Rows with title and text for the main figures of these runs.
local function main_rows(runs)
  local rows = { { "test " .. many_of(runs[1]), test_text } }
  for _, each in ipairs(mains(runs)) do
    local key, f = each.key, each.figure
    rows[#rows + 1] = { f[2] .. ", last", function(r) return number(last_of(r, key), f[3]) end }
    rows[#rows + 1] = { f[2] .. ", best", function(r)
      local b = main_of(r) == key and best_of(r)
      return b and (f[3] .. " (epoch %d)"):format(b[key], b.epoch) or "–"
    end }
  end
  return rows
end

-- Rows for the other figures that are measured after each epoch.
local function further_rows(runs)
  local rows, known = {}, {}
  for _, run in ipairs(runs) do
    for i, f in ipairs(report.figures(run)) do
      local key = report.prefix(run) .. "_" .. f[1]
      if i > 1 and not known[key] then
        rows[#rows + 1] = { f[2] .. ", last", function(r) return number(last_of(r, key), f[3]) end }
      end
      known[key] = true
    end
  end
  return rows
end

-- What a column says of a run; an error over what its report.json says is the file's.
local function said(f, run) return of_folder.shown(run, "report", f, run) end

-- Rows of which no run knows anything are left out.
local function told(runs, rows)
  local out = {}
  for _, row in ipairs(rows) do
    local any = false
    for _, run in ipairs(runs) do any = any or said(row[2], run) ~= "–" end
    if any then out[#out + 1] = row end
  end
  return out
end

-- The figures of the class that a run looks for.
local function found_of(r)
  local d = r.metrics and r.metrics.detection
  return d and d.asked and d or {}
end

-- Title and text of each further figure, and what it is sorted by where that is not its text.
local FIGURES = {
  { "balanced accuracy", function(r) return report.percent(r.metrics and r.metrics.balanced_accuracy) end },
  { "F1, mean over classes",
    function(r) return report.plain(r.metrics and r.metrics.averages and r.metrics.averages.macro.f1) end },
  { "area under the ROC curve (95 %)", function(r)
    return r.metrics and curves.area_text(r.metrics.auroc, r.metrics.auroc_interval) or "–"
  end },
  { "sensitivity at the threshold (95 %)", function(r) return curves.share_text(found_of(r).sensitivity) end },
  { "specificity at the threshold (95 %)", function(r) return curves.share_text(found_of(r).specificity) end },
  { "calibration error", function(r) return report.plain(r.metrics and r.metrics.calibration_error) end },
  { "test loss", function(r) return number(last_of(r, "test_loss"), "%.4f") end },
  { "training loss", function(r) return number(last_of(r, "loss"), "%.4f") end },
  { "epochs", function(r) return ("%d%s"):format(#r.rows, r.unfinished and ", not finished" or "") end },
  { "time", function(r) return r.seconds and util.clock(r.seconds) or "–" end, function(r) return r.seconds end },
  { "trained parameters", function(r) return r.trained and util.thousands(r.trained) or "–" end,
    function(r) return r.trained end },
  { "peak device memory", function(r) return r.peak_bytes and util.bytes(r.peak_bytes) or "–" end,
    function(r) return r.peak_bytes end },
}

-- A run's name with a piece of its line.
local function name_of(i, run) return { html = chart.sample(i) .. escape(run.label) } end

-- A table of runs, a row each; columns { {title, text of a run [, what it is sorted by]}, ... }.
local function run_table(runs, columns, label)
  local rows = { { "run" } }
  for k, column in ipairs(columns) do rows[1][k + 1] = column[1] end
  for i, run in ipairs(runs) do
    local row = { name_of(i, run) }
    for k, column in ipairs(columns) do
      row[k + 1] = { html = escape(said(column[2], run)), v = column[3] and column[3](run) or nil }
    end
    rows[i + 1] = row
  end
  return (parts.table(rows, { sorts = true, label = label }):gsub('class="wide"', 'class="wide runs"', 1))
end

-- The fields in which the runs differ, as columns.
local function differing(runs)
  local names, rows = {}, {}
  for _, run in ipairs(runs) do
    for name in pairs(run.fields or {}) do names[name] = true end
  end
  for _, name in ipairs(util.keys(names)) do
    local function value(run) return run.fields and run.fields[name] or "-" end
    local differs = false
    for _, run in ipairs(runs) do differs = differs or value(run) ~= value(runs[1]) end
    if differs then rows[#rows + 1] = { name, value } end
  end
  return rows
end

-- Lines in which a recipe differs from the first one's.
local function recipe_changes(runs)
  local out, first = {}, runs[1]
  for i = 2, #runs do
    local run = runs[i]
    if first.recipe and run.recipe and first.recipe ~= run.recipe then
      out[#out + 1] = ('<details%s><summary>Lines of the recipe: %s, against %s</summary><pre tabindex="0">'
        .. "%s</pre></details>"):format(#runs <= 3 and " open" or "", escape(run.label), escape(first.label),
        escape(table.concat(checkpoint.difference(first.recipe, run.recipe), "\n")))
    end
  end
  return table.concat(out)
end

-- The command of each run.
local function commands_of(runs)
  local out = {}
  for i, run in ipairs(runs) do
    for _, command in ipairs(run.commands or {}) do
      out[#out + 1] = ("<dt>%s%s</dt><dd><code>%s</code></dd>"):format(chart.sample(i), escape(run.label),
        escape(command))
    end
  end
  return #out > 0 and ('<h2>Commands</h2><dl class="ran">%s</dl>'):format(table.concat(out)) or ""
end

-- Behind the fields in which runs differ what came of it: their best main figures.
local function with_main(runs, fields)
  local out = table.move(fields, 1, #fields, 1, {})
  for _, row in ipairs(main_rows(runs)) do
    if row[1]:find ", best$" then out[#out + 1] = row end
  end
  return out
end

-- The page of several runs, as told.read gives them.
function report_runs.page(runs)
  local title = ("%d runs side by side"):format(#runs)
  local differences, changes, warning = differing(runs), recipe_changes(runs), test_warning(runs)
  local all, charts, training = main_rows(runs), {}, {}
  all[#all + 1] = { "95 % interval", interval_of }
  for _, list in ipairs { further_rows(runs), FIGURES } do table.move(list, 1, #list, #all + 1, all) end
  for _, each in ipairs(mains(runs)) do
    local f, word = each.figure, each.prefix == "val" and "Validation" or "Test"
    local tail = f[3]:find "%%%%" and ", percent" or ""
    charts[#charts + 1] = curve(runs, ("%s %s%s"):format(word, f[2], tail), each.key, f[2], report.axis(f))
    training[#training + 1] = curve(runs, ("Training %s%s"):format(f[2], tail), "train_" .. f[1], f[2], report.axis(f))
  end
  local figures = told(runs, all)
  return table.concat { report.head(title), ("<h1>%s</h1>"):format(title), warning
    and ('<p class="bad"><b>Warning:</b> %s</p>'):format(escape(warning)) or "", "<h2>In what the recipes differ</h2>",
    #differences > 0 and run_table(runs, with_main(runs, differences), "Fields that differ")
    or '<p class="soft">All fields have the same values.</p>', changes,
    "<h2>Figures</h2>", run_table(runs, figures, "Figures of the runs"),
    "<h2>Training</h2><div class=\"charts\">", table.concat(charts), curve(runs, "Test loss", "test_loss", "loss"),
    curve(runs, "Validation loss", "val_loss", "loss"), curve(runs, "Training loss", "loss", "loss"),
    table.concat(training), curve(runs, "Learning rate", "lr", "rate"), "</div>", commands_of(runs), report.FOOT }
end

-- ---- the command ----

-- argv: what stands behind `tlua report`. Returns the exit status.
function report_runs.main(argv)
  local options, folders = commands.parse("report", argv)
  local to = options.to
  if #folders == 0 then commands.usage("report", "folders of runs are needed") end
  local runs = {}
  for k, folder in ipairs(folders) do runs[k] = of_folder.read(of_folder.folder(folder), "report") end
  name_runs(runs)
  local warning = #runs > 1 and test_warning(runs)
  if warning then util.note("warning: " .. warning) end
  to = to or (#runs == 1 and runs[1].folder .. "/report.html" or "report.html")
  if #runs == 1 then
    runs[1].moved = links.relative(links.folder_of(to), runs[1].folder .. "/x"):match "^(.*)/x$"
  end
  local page = #runs == 1 and of_folder.shown(runs[1], "report", report.page, runs[1]) or report_runs.page(runs)
  core.write_file(to, page)
  if #runs == 1 and runs[1].unfinished then print(runs[1].state.text) end
  print(("written: %s"):format(to))
  return 0
end

return report_runs
