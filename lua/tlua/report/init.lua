-- report/init.lua - what a run has to say, as one page that needs nothing else: report.html in the run's folder. The frame is here: what ran,
-- curves, facts, the recipe; what a task has of its own is the task's (tlua/task).
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local report = {}
local escape, figure, column, tile = parts.escape, parts.figure, parts.column, parts.tile
for _, name in ipairs { "head", "figure", "column", "percent", "plain", "PERCENT", "base64" } do report[name] = parts[name] end

-- The figures of a run's task, as it wrote them; reports of older tluas have those of a classification.
local CLASSIFY = { { "accuracy", "accuracy", "%.1f %%", "max" } }
function report.figures(run) return run.figures or CLASSIFY end

local WORD = { val = "validation", test = "test" }
-- The part that was looked at after each epoch: "val" or "test".
function report.prefix(run) return run.prefix or "test" end

-- The axis of figures in percent starts at 0 and ends at 100 where they are all the same.
function report.axis(f) return f[3]:find "%%%%" and parts.PERCENT or nil end

local function curves(run)
  local rows, prefix = util.from_json(run.rows), report.prefix(run)
  local function pair(key, train_key)
    return { { name = "training", points = column(rows, train_key) }, { name = WORD[prefix], points = column(rows, prefix .. "_" .. key) } }
  end
  local out = { figure("Loss", pair("loss", "loss"), { x = "epoch", x_whole = true, y = "loss" }) }
  for i, f in ipairs(report.figures(run)) do
    if i > 3 then break end
    local title = util.capital(f[2]) .. (f[3]:find "%%%%" and ", percent" or "")
    out[#out + 1] = figure(title, pair(f[1], "train_" .. f[1]), { x = "epoch", x_whole = true, y = f[2], y_same = report.axis(f) })
  end
  out[#out + 1] = figure("Learning rate", { { name = "rate", points = column(rows, "lr") } }, { x = "epoch", x_whole = true, y = "rate" })
  return table.concat(out)
end

-- The figures of a task, the one that its recipe goes by first.
local function main_first(t)
  local main = t:main()
  local out = { main }
  for _, f in ipairs(t.figures) do
    if f ~= main then out[#out + 1] = f end
  end
  return out
end

-- All that a page says, as numbers and texts alone: what report.json holds. run: task (of a session), seen (what it collected), title, subtitle,
-- name, names (of the classes), rows (epochs), prefix, part, source (of that part), seconds, trained, parameters, peak_bytes, commands, ran and
-- facts (tlua/run/ran.lua), test (count and hash of the test pictures), fields, recipe.
function report.gather(run)
  local out = run.task.gather and run.task.gather(run) or { metrics = {} }
  out.format, out.figures = 1, main_first(run.task)
  if run.task.kind ~= "classify" then out.task = run.task.kind end
  local s = run.session
  if s and s.data.input and s.data.input.kind ~= "picture" then out.many = s.data.input.many end
  for _, name in ipairs { "title", "subtitle", "name", "part", "prefix", "rows", "seconds", "trained", "parameters", "peak_bytes", "commands", "ran",
    "facts", "test", "fields", "recipe" } do out[name] = run[name] end
  out.rows = util.for_json(run.rows)
  out.metrics.count = out.metrics.count or 0
  return out
end

-- What ran, at the head of the page: the commands and what they came to. Reports of older tluas do not have it.
local function head_of(run)
  if not run.ran then return "" end
  local commands = {}
  for i, command in ipairs(run.commands or {}) do commands[i] = escape(command) end
  return (#commands > 0 and ('<pre class="command">%s</pre>'):format(table.concat(commands, "\n")) or "") .. parts.facts(run.ran, "ran")
end

-- The page of what report.gather gave.
function report.page(run)
  local found = rawget(require("tlua.task"), run.task or "classify") and require("tlua.task").definition(run.task or "classify") or {}
  local tested, main = run.metrics.count > 0, report.figures(run)[1]
  local function of(name) return tested and found[name] and found[name](run) or "" end
  return table.concat {
    report.head(run.title),
    ("<h1>%s</h1><p class=\"soft\">%s</p>"):format(escape(run.title), escape(run.subtitle)),
    head_of(run), '<div class="tiles">', tested and of "tiles" or tile("–", ("%s: there is no test %s"):format(main[2],
      run.many == "clips" and "clip" or "picture")),
    tile(util.clock(run.seconds), "from start to end"), "</div>",
    "<h2>Training</h2><div class=\"charts\">", curves(run), of "charts", "</div>", of "page",
    "<h2>The run</h2>", parts.facts(run.facts),
    run.recipe and ("<h2>The recipe</h2><pre>%s</pre>"):format(escape(run.recipe)) or "", "</body></html>\n" }
end

return report
