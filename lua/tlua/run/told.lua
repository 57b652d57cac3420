-- told.lua - what the folder of a run tells at any moment, whether the run goes, was stopped or killed, or is at
-- its end: the same table of which report.page makes a page. A run that has written its report.json since it was
-- begun last has all of it there; of any other it is put together from run.json, metrics.csv, steps.csv and the
-- last checkpoint.
local core = require "tlua.core"
local util = require "tlua.util"
local status = require "tlua.run.status"
local steps = require "tlua.run.steps"
local checkpoint = require "tlua.run.checkpoint"
local form = require "tlua.run.form"
local told = {}

local COLUMNS = { learning_rate = "lr" } -- the others have the names of the rows' fields

local NUMBERS = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

-- The epochs of a run from its metrics.csv; none where there is no such file yet.
function told.rows(folder)
  local ok, text = pcall(core.read_file, folder .. "/metrics.csv")
  local names, rows = {}, {}
  for line in (ok and text or ""):gmatch "[^\n]+" do
    local values = {}
    for word in (line .. ","):gmatch "([^,]*)," do values[#values + 1] = word end
    if #names == 0 then names = values
    else
      local row = {}
      for k, name in ipairs(names) do
        local v = NUMBERS[values[k]] or tonumber(values[k])
        row[COLUMNS[name] or name] = math.tointeger(v) or v
      end
      if math.type(row.epoch) == "integer" then rows[#rows + 1] = row end
    end
  end
  return rows
end

local FILES = { "report.json", "metrics.csv", status.FILE }

-- Is it the folder of a run, finished or not?
function told.is_run(folder)
  for _, name in ipairs(FILES) do
    if core.exists(("%s/%s"):format(folder, name)) then return true end
  end
  return false
end

-- The folder that a path means: itself, or that of a file of a run.
function told.folder(path)
  return (path:gsub("(.)/+$", "%1"):gsub("/report%.[jh][st][om][nl]l?$", ""):gsub("/[%a_]+%.safetensors$", ""))
end

local NEEDED = { "metrics", "rows", "facts" } -- by pages, of a report

-- What a run says when it begins is enough for a page, so a report that is damaged can be done without.
local function damaged(what, path, why)
  util.failf("%s: %s is damaged: %s; without the file the page is made of what else the run's folder holds", what, path,
    why)
end

-- What report.json holds; nil where there is none, or one of before the run was taken up again.
local function report_of(folder, found, what)
  local path = folder .. "/report.json"
  if not core.exists(path) then return nil end
  local ok, run = pcall(function() return core.json_decode(core.read_file(path)) end)
  if not ok or type(run) ~= "table" then damaged(what, path, "it is not JSON of a report") end
  if math.type(run.format) ~= "integer" or run.format > 1 then
    util.failf("%s: %s was written by a newer tlua; this is %s", what, path, core.version)
  end
  if found and run.begun ~= found.begun then return nil end
  run.rows = util.from_json(run.rows)
  local name, fault = form.fault(run, NEEDED)
  if name then damaged(what, path, ("'%s' %s"):format(name, fault)) end
  run.file = path
  return run
end

-- A run that has no report yet.
local function unfinished(folder, found)
  local begun = status.begun(folder) or {}
  local run = { unfinished = true, metrics = { count = 0 }, facts = {}, rows = told.rows(folder),
    steps = steps.read(folder), begun = begun.begun, seconds = found and found.seconds }
  for _, name in ipairs { "title", "name", "task", "prefix", "part", "many", "commands", "ran", "recipe", "fields",
    "test", "trained", "parameters", "figures" } do run[name] = begun[name] end
  if run.task == "classify" then run.task = nil end
  if begun.title then return run end
  local state = checkpoint.peek(folder .. "/last.safetensors")
  if state then
    run.fields, run.recipe, run.seconds, run.commands = state.fields, state.recipe, state.seconds, state.commands
    run.test = state.pictures and state.pictures.test
  end
  return run
end

-- Calls f, which makes a page of this run: what its report.json says of the task is looked at only there, and where
-- that is not what a page needs the error is the file's.
function told.shown(run, what, f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local e = results[2]
  if not run.file or type(e) ~= "string" or e == "not enough memory" or os.getenv "TLUA_TRACEBACK" == "1" then error(e, 0) end
  damaged(what, run.file, ("what it says of the task cannot be shown (%s)"):format(e:match "^[^\n]*"
    :gsub("^tlua/[%w_/]+%.lua:%d+: ", "")))
end

-- The run of a folder, with folder, label (its last name) and state, {state =, text =}; `what` begins its errors.
function told.read(folder, what)
  local missing = util.missing(folder, "folder")
  if missing or not core.is_folder(folder) then util.failf("%s: %s", what, missing or folder .. " is no folder") end
  if not told.is_run(folder) then
    util.failf("%s: %s is not the folder of a run: there is neither report.json nor metrics.csv", what, folder)
  end
  local found = status.read(folder)
  local run = report_of(folder, found, what) or unfinished(folder, found)
  if found then run.state = { state = found.state, text = status.text(found, folder) }
  elseif run.unfinished then
    run.state = { state = "unknown", text = "not at its end; whether it runs is not known of runs of an earlier tlua" }
  end
  run.now, run.folder, run.label = found, folder, folder:match "[^/]+$"
  run.title = run.title or run.label
  return run
end

return told
