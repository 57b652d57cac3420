-- parts.lua - what the page of `tlua watch` shows, as pieces of HTML by the id of their place: the page fetches
-- them again and puts in what has changed. All texts are escaped; no piece has a script or a style of its own,
-- which the page's policy would refuse.
local core = require "tlua.core"
local util = require "tlua.util"
local report = require "tlua.report"
local going = require "tlua.report.going.parts"
local shared = require "tlua.report.parts"
local told = require "tlua.run.told"
local status = require "tlua.run.status"
local parts = {}
local escape = shared.escape

local ROWS, LINES, TAIL = 20, 14, 65536 -- epochs and lines of the log that are shown; bytes of it that are looked at

-- ---- one run ----

local function bar(what, share)
  return ('<label><span>%s</span><progress max="1000" value="%d"></progress><span>%d %%</span></label>'):format(what,
    math.floor(1000 * share), math.floor(100 * share))
end

-- How far the epoch and the run are, while it goes.
local function progress_of(now)
  if not now or now.state ~= "running" or now.epochs < 1 then return "" end
  local within = now.done and now.total and now.total > 0 and math.min(1, now.done / now.total) or 0
  local training = not now.doing or now.doing:find "^Epoch "
  local whole = (now.epoch - 1 + (training and within or 1)) / now.epochs
  if now.rows >= now.epoch then whole = now.rows / now.epochs end
  return (now.done and bar(escape(now.doing or "Epoch"), within) or "") .. bar("Whole run", math.min(1, whole))
end

-- The last epochs, newest first, as their line of the run has them.
local function epochs_of(run)
  local figures, prefix = report.figures(run), report.prefix(run)
  local word = prefix == "val" and "validation" or "test"
  local out = { { "epoch", "loss", word .. " loss" } }
  local shown = {}
  for i = 1, math.min(3, #figures) do
    shown[i] = figures[i]
    out[1][3 + i] = ("%s %s"):format(word, figures[i][2])
  end
  out[1][#out[1] + 1] = "seconds"
  for i = #run.rows, math.max(1, #run.rows - ROWS + 1), -1 do
    local row = run.rows[i]
    local line = { ("%d"):format(row.epoch), util.figure("%.4f", row.loss),
      util.figure("%.4f", row[prefix .. "_loss"]) }
    for k, f in ipairs(shown) do line[3 + k] = util.figure(f[3], row[prefix .. "_" .. f[1]]) end
    line[#line + 1] = util.figure("%.1f", row.seconds)
    out[#out + 1] = line
  end
  return #out > 1 and "<h2>Epochs</h2>" .. shared.table(out, { label = "Epochs" }) or ""
end

-- The last lines of a run's log.
local function log_of(folder)
  local path = folder .. "/log.txt"
  local bytes = core.file_size(path)
  if not bytes or bytes == 0 or core.is_folder(path) then return "" end -- a pipe has none, and would be waited for
  local file = io.open(path, "rb")
  if not file then return "" end
  file:seek("set", math.max(0, bytes - TAIL))
  local text, lines = file:read "a" or "", {}
  file:close()
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = util.readable(line) end
  return #lines > 0 and ("<h2>The log</h2><pre tabindex=\"0\">%s</pre>"):format(
    escape(table.concat(lines, "\n", math.max(1, #lines - LINES + 1)))) or ""
end

-- A title for the tab: what is read first stands first.
local function tab_of(run)
  local now = run.now
  local word = run.state and run.state.state or "unknown"
  if now and now.state == "running" then word = ("running %d/%d"):format(now.epoch, now.epochs) end
  return ("%s – %s"):format(word, run.label)
end

-- Title and pieces of one run. back: the address of the list that it belongs to.
function parts.run(folder, back)
  local run = told.read(folder, "watch")
  local figures, prefix = report.figures(run), report.prefix(run)
  local charts = report.curves(run)
  local commands = {}
  for i, command in ipairs(run.commands or {}) do commands[i] = escape(command) end
  return tab_of(run), {
    head = ('%s<h1>%s</h1><p class="soft">%s</p>'):format(
      back and ('<p><a href="%s">all runs</a></p>'):format(back) or "", escape(run.title), escape(folder)),
    state = going.state(run), progress = progress_of(run.now),
    tiles = going.tiles(run, figures[1], prefix, prefix == "val" and "validation" or "test"),
    charts = charts ~= "" and charts or '<p class="soft">No step has been made yet.</p>',
    epochs = epochs_of(run), log = log_of(folder),
    facts = ('<h2>What ran</h2>%s%s<p><a href="report.html">The report as it would be now</a></p>'):format(
      #commands > 0 and ('<pre class="command" tabindex="0">%s</pre>'):format(table.concat(commands, "\n")) or "",
      shared.facts(run.ran or {}, "ran")) }
end

-- ---- several runs ----

local MOST = 500

-- Folders of runs in a folder and in its cells (of `tlua compare`), sorted, MOST at most: { {id =, name =, folder
-- =}, ... }. The id of a run stays the same when others come.
function parts.runs(folder)
  local out = {}
  local function look(below, before)
    local ok, names = pcall(core.list_folder, below)
    for _, name in ipairs(ok and names or {}) do
      local path = ("%s/%s"):format(below, name)
      if #out < MOST and core.is_folder(path) and told.is_run(path) then
        out[#out + 1] = { id = core.sha256(before .. name):sub(1, 16), name = before .. name, folder = path }
      end
    end
  end
  look(folder, "")
  look(folder .. "/cells", "cells/")
  return out
end

local kept = {} -- folder -> what its metrics.csv came to when it was read last: most do not change

-- The last and the best value of the main figure, as text.
local function figures_of(folder)
  local bytes, time = core.file_size(folder .. "/metrics.csv")
  local stamp = ("%s %s"):format(bytes, time)
  if kept[folder] and kept[folder].stamp == stamp then return kept[folder] end
  local begun, rows = status.begun(folder) or {}, told.rows(folder)
  local f, prefix = report.figures(begun)[1], report.prefix(begun)
  local key, out = prefix .. "_" .. f[1], { stamp = stamp, rows = #rows, last = "–", best = "–", what = f[2] }
  local best
  for _, row in ipairs(rows) do
    local v = row[key]
    if v and util.is_finite(v) then
      out.last = util.figure(f[3], v)
      if not best or (f[4] == "max" and v > best or f[4] == "min" and v < best) then best = v end
    end
  end
  if best then out.best = util.figure(f[3], best) end
  kept[folder] = out
  return out
end

local LIST_HEAD = "<table><thead><tr>"
for _, word in ipairs { "run", "state", "epoch", "ETA", "last", "best", "figure" } do
  LIST_HEAD = ('%s<th scope="col"%s>%s</th>'):format(LIST_HEAD,
    (word == "state" or word == "figure") and ' class="left"' or "", word)
end
LIST_HEAD = LIST_HEAD .. "</tr></thead><tbody>"

-- Title and piece of a folder with several runs.
function parts.list(folder)
  local rows, count = {}, {}
  for i, run in ipairs(parts.runs(folder)) do
    local now, figures = status.read(run.folder), figures_of(run.folder)
    local state = now and now.state or core.exists(run.folder .. "/report.json") and "finished" or "unknown"
    count[state] = (count[state] or 0) + 1
    local goes = now and now.state == "running"
    local epoch = now and ("%d / %d"):format(goes and now.epoch or now.rows, now.epochs) or ("%d"):format(figures.rows)
    rows[i] = ('<tr><td><a href="run/%s/">%s</a></td><td class="state %s"><i></i>%s</td><td>%s</td><td>%s</td>'
      .. '<td>%s</td><td>%s</td><td class="left">%s</td></tr>'):format(run.id, escape(run.name), escape(state),
      escape(state), epoch, goes and now.eta_all and util.clock(now.eta_all) or "–", figures.last, figures.best,
      escape(figures.what))
  end
  local words = {}
  for _, state in ipairs(util.keys(count)) do words[#words + 1] = ("%d %s"):format(count[state], state) end
  local said = #rows > 0 and table.concat(words, ", ") or "no run yet"
  return ("%s – %s"):format(said, folder:match "[^/]+$" or folder), {
    head = ('<h1>%s</h1><p class="soft">%s</p>'):format(escape(folder), escape(said)),
    list = #rows > 0 and shared.wide("Runs", LIST_HEAD .. table.concat(rows) .. "</tbody></table>") or "" }
end

return parts
