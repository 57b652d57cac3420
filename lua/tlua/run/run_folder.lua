-- run_folder.lua - the folder of a run: whose it is, what stands in it already, whether there is room on its disk, and
-- what becomes of a finished run that another one takes the place of.
local core = require "tlua.core"
local util = require "tlua.util"
local checkpoint = require "tlua.run.checkpoint"
local run_folder = {}

-- The folder that the recipe names, or runs/NAME-DATE-N.
function run_folder.name(r)
  if r.out then return r.out end
  local stem = ("runs/%s-%s"):format(r.name, os.date("%Y%m%d"))
  for n = 1, 100000 do
    local path = ("%s-%d"):format(stem, n)
    if not core.exists(path) then return path end
  end
end

-- ---- room on the disk ----

local function bytes_of(tensors)
  local n = 0
  for _, t in pairs(tensors) do
    if core.is_tensor(t) then
      n = n + t:numel() * ((t:dtype() == "float32" or t:dtype() == "int32") and 4 or t:dtype() == "uint8" and 1 or 2)
    end
  end
  return n
end

local TEXTS = 1 << 20 -- report, log, the description in each file

-- What the files of the run take when they take most: a model; the checkpoint of now, the one before and the best one,
-- of which one is being written. {model =, checkpoint =, checkpoints =, all =}
local function sizes(s)
  local own = {}
  for name, t in s.model:named_tensors() do own[name] = t end
  local model, moments = bytes_of(own), bytes_of(s.optim:state()) + (s.ema and 4 * s.trained or 0)
  moments = moments * math.max(s.most_trained, s.trained) // s.trained -- a later stage may train more
  local checkpoints = s.epochs > 1 and 3 or 2
  return { model = model + TEXTS, checkpoint = model + moments + TEXTS, checkpoints = checkpoints,
    all = model + TEXTS + checkpoints * (model + moments + TEXTS) }
end

-- Bytes of what stands in the folder and will be written anew; another name of the same file counts once.
local function there_already(folder)
  local seen, n = {}, 0
  for _, name in ipairs { "last", "previous", "best", "model" } do
    local bytes, _, number = core.file_size(("%s/%s.safetensors"):format(folder, name))
    if bytes and not seen[number] then
      seen[number] = true
      n = n + bytes
    end
  end
  return n
end

-- nil, or why the run of a session had better not begin. `free` bytes are free (nil: nobody knows).
function run_folder.lacks_room(s, free)
  if not free then return nil end
  local need = sizes(s)
  local more = need.all - there_already(s.out)
  if more <= free then return nil end
  return ("the run would write %s to %s (%d checkpoints of %s and a model of %s), and %s are free there"):format(
    util.bytes(need.all), s.out, need.checkpoints, util.bytes(need.checkpoint), util.bytes(need.model),
    util.bytes(free))
end

local function check_room(s, force)
  local why = run_folder.lacks_room(s, core.data.disk_free(util.existing(s.out)))
  if not why then return end
  if not force then
    util.failf("%s: make room, or name a folder on another disk with --out; --force begins all the same", why)
  end
  s.progress:say("disk      " .. why)
end

-- The command that goes on with a run.
function run_folder.resume_text(s) return util.command_text { "tlua", s.recipe.path or "RECIPE", "--resume", s.out } end

-- The way to go on after a failure of writing.
function run_folder.way_on(s, kept)
  if not kept then return ("make room in %s; nothing is kept so far"):format(s.out) end
  return ("make room in %s, then %s goes on from %s"):format(s.out, run_folder.resume_text(s), kept)
end

-- ---- what stands there already ----

local OLD = "old"
local RESULTS = { "model.safetensors", "report.html", "report.json", "wrong.csv", "metrics.csv", "log.txt",
  "recipe.lua", "identifiers.csv", "doubles.csv", "run.json", "status.json", "steps.csv",
  "adapter/adapter_config.json", "adapter/adapter_model.safetensors" }
local CHECKPOINTS = { "last.safetensors", "previous.safetensors", "best.safetensors" }

local function path_of(s, ...) return table.concat({ s.out, ... }, "/") end

local function holds(s, names)
  for _, name in ipairs(names) do
    if core.exists(path_of(s, name)) then return name end
  end
end

-- A run in the folder is not written over in silence, be it finished or not.
local function refuse(s)
  local before = checkpoint.peek(path_of(s, "last.safetensors"))
  if before and not before.finished then
    util.failf("%s holds a run that is not at its end (%s): %s goes on with it, --out names another folder, " ..
      "--force begins anew",
      s.out, checkpoint.where_text(before), util.command_text { "--resume", s.out })
  end
  local found = holds(s, { "model.safetensors", table.unpack(CHECKPOINTS) })
  if not found then return end
  util.failf("%s holds %s: --out names another folder; --force begins anew there, and keeps the old model in %s " ..
    "until the new one is whole", s.out,
    before and "a finished run" or found .. " of another run", path_of(s, OLD))
end

-- What a finished run left goes to old/, where it stays until a new model is whole; its checkpoints go. What a stopped
-- run left takes no finished one's place there.
local function set_aside(s)
  local before = checkpoint.peek(path_of(s, "last.safetensors"))
  if core.exists(path_of(s, "model.safetensors")) then
    local keep = not (before and not before.finished and core.exists(path_of(s, OLD, "model.safetensors")))
    if keep then core.mkdirs(path_of(s, OLD, core.exists(path_of(s, "adapter")) and "adapter" or nil)) end
    for _, name in ipairs(RESULTS) do
      if keep then core.remove(path_of(s, OLD, name)) end
      if keep and core.exists(path_of(s, name)) then
        core.rename(path_of(s, name), path_of(s, OLD, name))
      else
        core.remove(path_of(s, name))
      end
    end
  end
  for _, name in ipairs(CHECKPOINTS) do core.remove(path_of(s, name)) end
  core.remove(path_of(s, "adapter"))
end

-- The new model is whole.
function run_folder.drop_old(s)
  for _, name in ipairs(RESULTS) do core.remove(path_of(s, OLD, name)) end
  core.remove(path_of(s, OLD, "adapter"))
  core.remove(path_of(s, OLD))
end

-- A run whose recipe names no folder has a number of its own: where another one was begun at the same time and has the
-- folder, the next one.
local function take_number(s)
  for _ = 1, 1000 do
    core.mkdirs(s.out)
    s.lock, s.lock_seen = util.own(s.out)
    if s.lock and not holds(s, { "log.txt", "model.safetensors", table.unpack(CHECKPOINTS) }) then return end
    if s.lock then core.unlock(s.lock) end
    s.lock, s.out = nil, run_folder.name(s.recipe)
  end
end

-- Takes the folder for this session: one run at a time, with room for what it will write.
function run_folder.take(s, resumed, force)
  local numbered = not resumed and not s.recipe.out
  if not resumed and not force and not numbered then refuse(s) end
  check_room(s, force)
  if numbered then take_number(s)
  else
    core.mkdirs(s.out)
    s.lock, s.lock_seen = util.own(s.out)
  end
  if not s.lock then util.failf("another run is writing %s; wait for it, or name another folder with --out", s.out) end
  if resumed then return end
  if not force then refuse(s) end -- another one may have come to its end just now
  set_aside(s)
end

-- ---- its files ----

-- metrics.csv: the task's figures on the training pictures and on the part that is looked at after each epoch.
function run_folder.metrics(s, rows)
  local columns, names = { { "epoch", "%d" }, { "loss", "%.6f" } }, {}
  local function add(key, format, name) columns[#columns + 1] = { key, format, name } end
  for _, f in ipairs(s.task.figures) do add("train_" .. f[1], "%.4f") end
  add(s.prefix .. "_loss", "%.6f")
  for _, f in ipairs(s.task.figures) do add(s.prefix .. "_" .. f[1], "%.4f") end
  add("lr", "%g", "learning_rate")
  add("seconds", "%.2f")
  for i, c in ipairs(columns) do names[i] = c[3] or c[1] end
  local lines = { table.concat(names, ",") .. "\n" }
  for _, row in ipairs(rows) do
    local fields = {}
    for i, c in ipairs(columns) do fields[i] = row[c[1]] and util.figure(c[2], row[c[1]]) or "" end -- "-": a figure that is none
    lines[#lines + 1] = table.concat(fields, ",") .. "\n"
  end
  return table.concat(lines)
end

-- Names the results that are there, and the checkpoints.
function run_folder.kept(s, reported)
  local function there(names)
    local list = {}
    for _, name in ipairs(names) do
      if core.exists(path_of(s, name)) and (name ~= "report.html" or reported) then list[#list + 1] = name end
    end
    return table.concat(list, ", ")
  end
  local results, checkpoints = there { "model.safetensors", "adapter", "report.html", "metrics.csv", "log.txt" },
    there { "last.safetensors", "best.safetensors" }
  return ("kept in %s: %s%s"):format(s.out, results, checkpoints ~= "" and ", and to go on from: " .. checkpoints or "")
end

return run_folder
