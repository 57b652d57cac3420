-- progress.lua - what a run shows: one line that is rewritten on a terminal, plain lines now and then elsewhere, and
-- everything that lasts in the log too. With --quiet nothing is shown, with --json one JSON object a line for machines:
-- {"event": "start" | "note" | "progress" | "epoch" | "done", ...}.
local core = require "tlua.core"
local util = require "tlua.util"

local Progress = {}
Progress.__index = Progress
local progress = {}

-- NO_COLOR counts when it is set and not empty (no-color.org).
local function wants_colour() return (os.getenv "NO_COLOR" or "") == "" end

local function speaks_utf8()
  local locale = os.getenv "LC_ALL" or os.getenv "LC_CTYPE" or os.getenv "LANG" or ""
  return locale:lower():find "utf%-?8" ~= nil
end

-- style: nil, "quiet" or "json". fd: 1, or 2 where what comes out of 1 is for programs.
function progress.new(style, fd)
  local out = fd == 2 and io.stderr or io.stdout
  local terminal = not style and core.isatty(fd or 1) and os.getenv "TERM" ~= "dumb"
  return setmetatable({ style = style, out = out, terminal = terminal, colour = terminal and wants_colour(),
    blocks = speaks_utf8() and { "━", "─" } or { "#", "-" }, last = -math.huge, shown = false, held = {} }, Progress)
end

-- What cannot be shown does not end a run, which keeps a log. A reader that went away (| head, a closed terminal) is no
-- news; a disk that is full is said once, and is the exit status in the end.
function Progress:write(...)
  if self.lost then return end
  local ok, reason, code = self.out:write(...)
  if ok then ok, reason, code = self.out:flush() end
  if ok or not reason or self.out ~= io.stdout then return end
  self.lost = true
  core.leave_output(not core.is_gone(code))
  if not core.is_gone(code) then
    util.note(("cannot write to stdout: %s; the run goes on%s"):format(reason,
      self.path and ", and " .. self.path .. " has it all" or ""))
  end
end

-- For machines only: one line of JSON.
function Progress:event(name, fields)
  if self.style ~= "json" then return end
  local line = { event = name }
  for key, value in pairs(self.hide and self.hide(fields) or fields) do line[key] = value end
  self:write(core.json_encode(line), "\n")
end

-- Lines before the run folder exists are held back and then written; `go_on`: after what stands there.
function Progress:log_to(path, go_on)
  self.path = path
  if go_on then core.append_file(path, table.concat(self.held)) else core.write_file(path, table.concat(self.held)) end
  self.held = {}
end

function Progress:clear()
  if self.shown then
    self:write("\r\27[K")
    self.shown = false
  end
end

-- self.hide, where there is one, takes paths and patients out of what is written; a person at a terminal sees them.
-- A line that stays. event: what machines read in its place, {name, fields}. With `only_log` the log alone has it.
function Progress:say(text, bold, event)
  self:clear()
  local hidden = self.hide and self.hide(text) or text
  if not self.only_log then self:event(event and event[1] or "note", event and event[2] or { text = text }) end
  if not self.style and not self.only_log then
    local shown = self.terminal and text or hidden
    self:write(self.colour and bold and ("\27[1m%s\27[0m\n"):format(shown) or shown .. "\n")
  end
  if self.path then pcall(core.append_file, self.path, hidden .. "\n") -- a full disk is no reason to stop
  else self.held[#self.held + 1] = hidden .. "\n" end
end

function Progress:bar(share, width)
  local full = math.floor(share * width)
  return self.blocks[1]:rep(full) .. self.blocks[2]:rep(width - full)
end

-- label "Epoch 1/5", done of total steps; text is the rest of the line. self.watched, where there is one, is told too.
function Progress:update(label, done, total, text)
  if self.watched then self.watched(label, done, total) end
  if self.style == "quiet" then return end
  local now = core.time()
  if now - self.last < (self.terminal and 0.1 or self.style and 1 or 10) then return end
  if not self.terminal and self.last == -math.huge then
    self.last = now
    return
  end
  self.last = now
  if self.style then return self:event("progress", { label = label, done = done, total = total, text = text }) end
  if not self.terminal then
    self:write(("%s  %d/%d  %s\n"):format(label, done, total, text))
    return
  end
  local room = core.terminal_width() - 1
  local line = ("%s  %3d %%  %s"):format(label, math.floor(100 * done / total), text)
  local width = math.min(24, room - core.text.width(line) - 2)
  if width >= 6 then
    line = ("%s  %s  %3d %%  %s"):format(label, self:bar(done / total, width), math.floor(100 * done / total), text)
  else line = core.text.cut(line, room, "") end
  self:write("\r" .. line .. "\27[K")
  self.shown = true
end

-- pictures per second and time left, as text.
-- whole: seconds that are left of the whole run, where that is more than what is left here.
function progress.speed(pictures, seconds, left, many, whole)
  if seconds <= 0 then return "" end
  local rate = pictures / seconds
  local figure = rate < 9.95 and "%.1f" or "%.0f"
  local all = whole and whole > left / rate and (", all %s"):format(util.clock(whole)) or ""
  return (figure .. " %s/s  ETA %s%s"):format(rate, many or "pictures", util.clock(left / rate), all)
end

-- What the epoch and the run will still take: later epochs what the last one of this stage took with its test, before
-- there is one what their training takes at this rate.
function progress.pace(s, done, seconds, left, samples)
  local rate = done / seconds
  local later = s.took or samples / rate
  return { rate = rate, left = left / rate, all = left / rate + (s.test_took or 0) + (s.epochs - s.epoch) * later }
end

return progress
