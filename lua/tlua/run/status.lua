-- status.lua - where a run stands, for others to read while it goes: status.json in its folder, written anew every
-- second or so, and run.json, what the run said of itself when it began. Whether its process is alive is never
-- read from them but asked of the lock that it holds (core.lock).
local core = require "tlua.core"
local util = require "tlua.util"
local steps = require "tlua.run.steps"
local checkpoint = require "tlua.run.checkpoint"
local form = require "tlua.run.form"

local status = { FILE = "status.json", BEGUN = "run.json", LOCK = "run.lock" }

-- Seconds between two words of a run, and two of its curve; after so many without a word that is told.
local EVERY, CURVE_EVERY, SILENT = 1, 5, 30

-- ---- writing ----

-- Whole or not at all for whoever reads it, but not waited for until it is on the disk, which a lock-up of the
-- machine may cost. A full disk does not end a run.
local function write(folder, name, text)
  local path = ("%s/%s"):format(folder, name)
  local between = ("%s.tmp%d"):format(path, core.getpid()) -- util.own removes what a killed run leaves
  local ok = pcall(function()
    core.remove(between)
    core.append_file(between, text)
    core.rename(between, path)
  end)
  if not ok then core.remove(between) end
end

local Status = {}
Status.__index = Status

-- For the session s, which has its folder and its lock. begun: what run.json is to hold. hide: takes paths and
-- patients out of what is written.
function status.open(s, begun, hide)
  local self = setmetatable({ session = s, hide = hide, at = -math.huge, curve_at = -math.huge, since = os.time() },
    Status)
  begun.format, begun.begun = 1, self.since
  if not s.curve:told() then core.remove(("%s/%s"):format(s.out, steps.FILE)) end -- of a run that stood here before
  write(s.out, status.BEGUN, core.json_encode(hide(util.for_json(begun)), true))
  self:write("running", {})
  return self
end

-- What there is to say of the session now, with its state: "running", "stopped" (by Ctrl-C), "failed" or "finished".
function Status:now(state)
  local s = self.session
  return { format = 1, state = state, pid = core.getpid(), host = core.host_name(), seen = s.lock_seen,
    begun = self.since, updated = os.time(), epoch = math.min(s.epoch, s.epochs), epochs = s.epochs,
    stage = s.stage, batches = s.done, kept = s.kept_text,
    seconds = s.seconds_before + core.time() - s.begin, loss = s.sum and s.sum:mean(), many = s.data.input.many,
    rows = #s.results.epochs }
end

function Status:write(state, more)
  local s, now, out = self.session, core.time(), self:now(state)
  self.at = now
  if state == "running" and s.pace then out.rate, out.eta, out.eta_all = s.pace.rate, s.pace.left, s.pace.all end
  for key, value in pairs(more) do out[key] = value end
  write(s.out, status.FILE, core.json_encode(self.hide(util.for_json(out))))
  if state == "running" and now - self.curve_at < CURVE_EVERY then return end
  self.curve_at = now
  if s.curve:told() then write(s.out, steps.FILE, s.curve:csv()) end
end

-- The end of a session, before its lock goes: what it came to. e: the error that ended it.
function Status:ended(ok, e)
  self:write(ok and (self.session.results.interrupted and "stopped" or "finished") or "failed",
    { reason = not ok and util.reason(e) or nil })
end

-- What a line of progress says, now and then.
function Status:tick(label, done, total)
  if core.time() - self.at >= EVERY then self:write("running", { doing = label, done = done, total = total }) end
end

-- For the report that is written at the end of a session: what ended() will say.
function Status:word()
  local s = self.session
  local state = s.results.interrupted and "stopped" or "finished"
  return { state = state, text = status.text(self:now(state), s.out) }
end

-- ---- reading ----

-- What a status says, and of what type each is; a file that says otherwise is none of ours.
local NEEDED = { state = "string", updated = "integer", epoch = "integer", epochs = "integer", begun = "integer",
  batches = "integer", rows = "integer" }
local OPTIONAL = { doing = "string", kept = "string", reason = "string", done = "number", total = "number",
  eta = "number", eta_all = "number", rate = "number", loss = "number", seconds = "number" }

local function read_json(folder, name)
  local path = ("%s/%s"):format(folder, name)
  if not core.exists(path) then return nil end
  local ok, value = pcall(function() return util.from_json(core.json_decode(core.read_file(path))) end)
  if not ok or type(value) ~= "table" or math.type(value.format) ~= "integer" or value.format > 1 then return nil end
  return value
end

-- What the run said when it began; nil where it is of an earlier tlua, or damaged.
function status.begun(folder)
  local begun = read_json(folder, status.BEGUN)
  return begun and not form.fault(begun) and begun or nil
end

local function said(folder)
  local found = read_json(folder, status.FILE)
  if not found then return nil end
  for name, kind in pairs(NEEDED) do
    if type(found[name]) ~= kind and math.type(found[name]) ~= kind then return nil end
  end
  for name, kind in pairs(OPTIONAL) do
    if found[name] ~= nil and type(found[name]) ~= kind then return nil end
  end
  for _, name in ipairs { "done", "total" } do
    if found[name] and not (found[name] >= 0 and found[name] < 1e15) then return nil end
  end
  return found
end

-- Where the run in a folder stands: what status.json says, with state "killed" where it says that the run goes and
-- no process holds its lock, and "unknown" where locks cannot be seen. nil where there is no (whole) status.json,
-- as of a run of an earlier tlua.
function status.read(folder)
  local lock = ("%s/%s"):format(folder, status.LOCK)
  local alive = core.is_locked(lock) -- before what it says, or one that has just come to its end would have been killed
  local found = said(folder)
  if not found or found.state ~= "running" then return found end
  if alive == false then alive = core.is_locked(lock) end -- one that has just begun anew
  if not found.seen or alive == nil then found.state = "unknown"
  elseif not alive then
    found.state = "killed"
    local last = checkpoint.peek(folder .. "/last.safetensors")
    found.kept = last and checkpoint.where_text(last) or nil
  end
  return found
end

-- ---- as text ----

local function clock(time) return os.date("%Y-%m-%d %H:%M:%S", time) end
status.clock = clock

local function epoch_text(f) return ("epoch %d of %d"):format(f.epoch, f.epochs) end

local function going(f)
  local out = { "running", epoch_text(f) }
  if f.doing and not f.doing:find "^Epoch " then out[#out + 1] = f.doing:sub(1, 1):lower() .. f.doing:sub(2) end
  if f.done and f.total and f.total > 0 then out[#out] = ("%s, %d %%"):format(out[#out], 100 * f.done // f.total) end
  if f.eta then out[#out + 1] = "ETA " .. util.clock(f.eta) end
  if f.eta_all then out[#out + 1] = "ETA of the whole run " .. util.clock(f.eta_all) end
  if os.time() - f.updated > SILENT then out[#out + 1] = "without a word for " .. util.clock(os.time() - f.updated) end
  return table.concat(out, ", ")
end

local function way_on(folder, kept)
  if core.exists(folder .. "/begun.json") then return "the same tlua compare goes on with it" end -- a cell
  if not kept then return "it kept nothing to go on from" end
  return ("%s goes on from %s"):format(util.command_text { "tlua", "--resume", folder }, kept)
end

local TEXTS = {
  running = going,
  finished = function(f)
    if f.rows < f.epochs then return ("finished after epoch %d of %d"):format(f.rows, f.epochs) end
    return "finished, " .. util.counted(f.rows, "epoch")
  end,
  stopped = function(f, folder)
    return ("stopped in epoch %d after %s: %s"):format(f.epoch, util.counted(f.batches, "batch", "batches"),
      way_on(folder, f.kept))
  end,
  failed = function(f, folder)
    return ("ended by an error in %s: %s; %s"):format(epoch_text(f), f.reason or "not known", way_on(folder, f.kept))
  end,
  killed = function(f, folder)
    return ("no longer running since %s, when it was in %s: killed, or the machine went down; %s"):format(
      clock(f.updated), epoch_text(f), way_on(folder, f.kept))
  end,
  unknown = function(f)
    return ("not known whether it runs, since this file system shows no locks: its last word was of %s, in %s"):format(
      clock(f.updated), epoch_text(f))
  end,
}

-- In words: "running, epoch 3 of 12, 45 %, ETA 0:12, ETA of the whole run 3:20". found: what read() gave.
function status.text(found, folder) return (TEXTS[found.state] or TEXTS.unknown)(found, folder) end

return status
