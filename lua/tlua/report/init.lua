-- report/init.lua - what a run has to say, as one page that needs nothing else: report.html in the run's folder. The frame is here: what ran,
-- curves, facts, the recipe; what a task has of its own is the task's (tlua/task).
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local going = require "tlua.report.going.parts"
local report = {}
local escape, figure, column, tile = parts.escape, parts.figure, parts.column, parts.tile
for _, name in ipairs { "head", "figure", "column", "percent", "plain", "PERCENT", "base64", "FOOT" } do
  report[name] = parts[name]
end

-- The figures of a run's task, as it wrote them; reports of older tluas have those of a classification.
local CLASSIFY = { { "accuracy", "accuracy", "%.1f %%", "max" } }
function report.figures(run) return run.figures or CLASSIFY end

local WORD = { val = "validation", test = "test" }
-- The part that was looked at after each epoch: "val" or "test".
function report.prefix(run) return run.prefix or "test" end

-- The axis of figures in percent starts at 0 and ends at 100 where they are all the same.
function report.axis(f) return f[3]:find "%%%%" and parts.PERCENT or nil end

-- Curves over the epochs; of a run that is not at its end those that have a point.
function report.curves(run)
  local rows, prefix, out = util.from_json(run.rows), report.prefix(run), {}
  local function add(title, series, y, same)
    local n = 0
    for _, line in ipairs(series) do n = n + #line.points end
    if n == 0 and run.unfinished then return end
    out[#out + 1] = figure(title, series, { x = "epoch", x_whole = true, y = y, y_same = same })
  end
  local function pair(key, train_key)
    return { { name = "training", points = column(rows, train_key) }, { name = WORD[prefix], points = column(rows, prefix .. "_" .. key) } }
  end
  out[1] = going.losses(run)
  add("Loss", pair("loss", "loss"), "loss")
  for i, f in ipairs(report.figures(run)) do
    if i > 3 then break end
    local title = util.capital(f[2]) .. (f[3]:find "%%%%" and ", percent" or "")
    add(title, pair(f[1], "train_" .. f[1]), f[2], report.axis(f))
  end
  local rates = going.rates(run)
  if rates then out[#out + 1] = rates
  else add("Learning rate", { { name = "rate", points = column(rows, "lr") } }, "rate") end
  return table.concat(out)
end

-- The figures of a task, the one that its recipe goes by first.
function report.main_first(t)
  local main = t:main()
  local out = { main }
  for _, f in ipairs(t.figures) do
    if f ~= main then out[#out + 1] = f end
  end
  return out
end

-- All that a page says, as numbers and texts alone: what report.json holds. run: task (of a session), seen (what it collected), title, subtitle,
-- name, names (of the classes), rows (epochs; none of a test alone), prefix, part, source (of that part), place (the
-- folder of the page, to which files are told relatively), list (what is wrong, a table there), seconds, trained,
-- parameters, peak_bytes, commands, ran and facts (tlua/run/ran.lua), test (count and hash of the test pictures),
-- fields, recipe.
function report.gather(run)
  local out = run.task.gather and run.task.gather(run) or { metrics = {} }
  out.format, out.figures = 1, report.main_first(run.task)
  if run.task.kind ~= "classify" then out.task = run.task.kind end
  local s = run.session
  if s and s.data.input and s.data.input.kind ~= "picture" then out.many = s.data.input.many end
  for _, name in ipairs { "title", "subtitle", "name", "part", "prefix", "rows", "seconds", "trained", "parameters", "peak_bytes", "commands", "ran",
    "facts", "test", "fields", "recipe", "begun", "steps", "state", "list" } do out[name] = run[name] end
  out.rows = util.for_json(run.rows)
  out.metrics.count = out.metrics.count or 0
  return out
end

-- What ran, at the head of the page: the commands and what they came to. Reports of older tluas do not have it.
local function head_of(run)
  if not run.ran then return "" end
  local commands = {}
  for i, command in ipairs(run.commands or {}) do commands[i] = escape(command) end
  return (#commands > 0 and ('<pre class="command" tabindex="0">%s</pre>'):format(table.concat(commands, "\n")) or "")
    .. parts.facts(run.ran, "ran")
end

local function tiles_of(run, tested)
  local main = report.figures(run)[1]
  if run.unfinished then return going.tiles(run, main, report.prefix(run), WORD[report.prefix(run)]) end
  local one = (run.many or "pictures"):gsub("s$", "")
  return (tested or tile("–", ("%s: there is no test %s"):format(main[2], one)))
    .. (run.seconds and tile(util.clock(run.seconds), "from start to end") or "")
end

-- The page of what report.gather or told.read gave. run.moved: the way from the page's folder to the run's, where they
-- are two.
function report.page(run)
  local found = rawget(require("tlua.task"), run.task or "classify") and require("tlua.task").definition(run.task or "classify") or {}
  local tested, alone = run.metrics.count > 0, #run.rows == 0 and not run.unfinished -- a test alone
  local function of(name) return tested and found[name] and found[name](run) or "" end
  local charts = alone and "" or report.curves(run)
  return table.concat {
    report.head(run.title),
    ("<h1>%s</h1><p class=\"soft\">%s</p>"):format(escape(run.title), escape(run.subtitle or run.name or "")),
    going.state(run), head_of(run), '<div class="tiles">', tiles_of(run, tested and of "tiles"), "</div>",
    alone and "<h2>Curves</h2>" or "<h2>Training</h2>",
    charts == "" and not alone and '<p class="soft">No step has been made yet.</p>' or "",
    "<div class=\"charts\">", charts, of "charts", "</div>", of "page",
    #run.facts > 0 and (alone and "<h2>The test</h2>" or "<h2>The run</h2>") or "", parts.facts(run.facts),
    run.recipe and ('<h2>The recipe</h2><pre tabindex="0">%s</pre>'):format(escape(run.recipe)) or "", parts.FOOT }
end

return report
