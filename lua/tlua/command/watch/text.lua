-- text.lua - `tlua watch RUN --text`: a run followed in the terminal, by lines of its log and one line that is
-- rewritten.
local core = require "tlua.core"
local util = require "tlua.util"
local progress = require "tlua.run.progress"
local told = require "tlua.run.told"
local status = require "tlua.run.status"
local report = require "tlua.report"
local parts = require "tlua.command.watch.parts"
local text = {}

local TURN = 0.5 -- seconds

-- Where the run stands, as a word and in words; of a run of an earlier tlua what there is.
local function state_of(folder)
  local found = status.read(folder)
  if found then return found.state, status.text(found, folder) end
  local state = told.read(folder, "watch").state
  if state then return state.state, state.text end
  return "finished", "finished"
end

-- The line of an epoch, of a row of metrics.csv.
local function epoch_text(row, figures, prefix)
  local word = prefix == "val" and "validation" or "test"
  local out = { ("[Epoch %d] loss: %s"):format(row.epoch, util.figure("%.4f", row.loss)) }
  for i = 1, math.min(2, #figures) do
    local v = row[prefix .. "_" .. figures[i][1]]
    if v then out[#out + 1] = ("%s %s %s"):format(word, figures[i][2], util.figure(figures[i][3], v)) end
  end
  local loss = row[prefix .. "_loss"]
  if loss then out[#out + 1] = ("%s loss %s"):format(word, util.figure("%.4f", loss)) end
  return table.concat(out, "  ") .. ("  (%s s)"):format(util.figure("%.1f", row.seconds))
end

-- Rows that have come since, and how many there are now. A run that was taken up again may have fewer.
local function say_epochs(folder, said)
  local rows, begun = told.rows(folder), status.begun(folder) or {}
  if #rows < said then said = #rows end
  for i = said + 1, #rows do print(epoch_text(rows[i], report.figures(begun), report.prefix(begun))) end
  return #rows
end

-- The last lines and the state, once.
function text.once(folder)
  say_epochs(folder, math.max(0, #told.rows(folder) - 10))
  print((select(2, state_of(folder))))
end

-- Runs of a folder, a line each.
function text.list(folder)
  for _, run in ipairs(parts.runs(folder)) do print(("%s  %s"):format(run.name, (select(2, state_of(run.folder))))) end
end

-- Until the run is at its end, or Ctrl-C. A run that was stopped or killed is waited for: it may be taken up again.
function text.follow(folder)
  local bar, said, before = progress.new(), 0, nil
  while not core.interrupted() do
    local state, words = state_of(folder)
    bar:clear()
    said = say_epochs(folder, said)
    if state == "finished" then
      print(words)
      return
    end
    if state == "running" and bar.terminal then
      bar:write("\r" .. core.text.cut(words, core.terminal_width() - 1, "") .. "\27[K")
      bar.shown = true
    elseif state ~= before then print(words) end
    before = state
    io.stdout:flush()
    core.sleep(TURN)
  end
  bar:clear()
end

return text
