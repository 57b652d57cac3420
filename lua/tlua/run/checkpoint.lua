-- checkpoint.lua - a run that can go on: everything that the next step depends on in one safetensors file. The
-- network's tensors stand under their own names, so that a checkpoint is a model file too; the optimiser's are called
-- optimizer.NAME.m and .v; the rest is the JSON under the metadata key `checkpoint`, and `check` is a hash over both
-- JSONs and over every tensor's name, type, shape and CRC-32. Nothing in a checkpoint is run.
local core = require "tlua.core"
local util = require "tlua.util"
local stage = require "tlua.train.stage"
local model_file = require "tlua.weights.model_file"
local cache = require "tlua.train.cache"
local identifiers = require "tlua.data.identifiers"
local checkpoint = {}

local FORMAT = 1
local OPTIMIZER = "optimizer."
local AVERAGE = OPTIMIZER .. "ema." -- of running statistics; the weights' averages are NAME.ema

-- ---- what a checkpoint says ----

-- Every field of a recipe as text: path -> value, and the same of what the fields are where nobody says anything. What
-- may differ between the runs is left out.
local FREE = { out = true, log = true, device = true, ["data.threads"] = true, ["cache.folder"] = true,
  ["cache.limit"] = true, checkpoint = true,
  ["model.gives"] = true, ["model.head"] = true } -- of texts: the task says it to the network when the session is built
function checkpoint.fields(r)
  local schema, list, usual = require "tlua.schema", {}, {}
  r:each_field(function(path, field, value)
    -- A head without a width has one once the network is there.
    if path == "head" and value then value = value:gsub("%(%d+ %->", "(? ->") end
    local implied = path == "task" and not r.task_given -- older checkpoints do not name it
    if not FREE[path] and not implied and not path:find "^compare%." then
      list[path], usual[path] = schema.show(value), schema.show(field[3])
    end
  end)
  return list, usual
end

function checkpoint.device_text(d) return ("%s, %s, %s"):format(d.name, d.platform, d.driver) end

-- name -> number of batches, of the network's batch norms.
local function counters_of(net)
  local list = {}
  net:walk(function(m, path)
    for name, n in pairs(m:counters()) do list[path == "" and name or path .. "." .. name] = n end
  end)
  return list
end

-- What decides about kernels, and so about the last bits of results: the hash of the device's tuned table, and the
-- environment.
local function choices()
  local list = { tuning = core.tuning().hash }
  for _, name in ipairs { "TLUA_VECTOR", "TLUA_GEMM", "TLUA_CONV" } do list[name] = os.getenv(name) end
  return list
end

-- "tuning was shipped, is 0f3a..." for what a checkpoint was written with and what holds now; nil where both are the
-- same.
function checkpoint.other_choices(state)
  local before, now, out = state.choices or {}, choices(), {}
  before.tuning = before.tuning or "shipped" -- older checkpoints
  for _, name in ipairs { "tuning", "TLUA_VECTOR", "TLUA_GEMM", "TLUA_CONV" } do
    if before[name] ~= now[name] then
      out[#out + 1] = ("%s was %s, is %s"):format(name, before[name] or "not set", now[name] or "not set")
    end
  end
  return #out > 0 and table.concat(out, "; ") or nil
end

-- The optimiser's state under the names of its parameters: tensors, steps.
local function optimizer_state(s)
  local tensors, steps = {}, {}
  for key, value in pairs(s.optim:state()) do
    local k, i, what = key:match "^(%d+)%.(%d+)%.(.+)$"
    local name = s.groups[tonumber(k)].names[tonumber(i)]
    if core.is_tensor(value) then tensors[("%s%s.%s"):format(OPTIMIZER, name, what)] = value
    else steps[name] = value.int64 end
  end
  return tensors, steps
end

local function check_of(description, text, tensors)
  local names, lines = util.keys(tensors), { description, text }
  for _, name in ipairs(names) do
    local t = tensors[name]
    lines[#lines + 1] = ("%s %s %s %08x"):format(name, t:dtype(), util.shape_text(t:shape()), t:crc32())
  end
  return core.sha256(table.concat(lines, "\n"))
end

local function tensors_of(net)
  local list = {}
  for name, t in net:named_tensors() do list[name] = t end
  return list
end

-- ---- writing ----

-- What of the state may hold figures that are no numbers: an epoch's test loss can be NaN.
local FIGURES = { rows = true, best = true, totals = true }

-- Writes the session's state to `path`: under another name first, synced, renamed.
function checkpoint.write(path, s, state, results)
  local scope <close> = core.scope()
  local tensors = tensors_of(s.model)
  local moments, steps = optimizer_state(s)
  for name, t in pairs(moments) do tensors[name] = t end
  for name, t in pairs(s.ema and s.ema:state() or {}) do tensors[AVERAGE .. name] = t end
  local r = s.recipe
  local all = { format = FORMAT, tlua = core.version, device = checkpoint.device_text(s.device), choices = choices(),
    seed = r.seed, stage = s.stage, recipe = r.text or "", recipe_path = r.path, overrides = r.overrides or {},
    fields = checkpoint.fields(r), steps = steps, counters = counters_of(s.model), schedule = s.schedule:state(),
    pictures = s.data.list, batch = s.data.batch, features = cache.text(s.cut) }
  for key, value in pairs(state) do all[key] = FIGURES[key] and util.for_json(value) or value end
  all.private = s.data.private and true or nil
  local text = core.json_encode(s.data.private and s.data.private:hide(all) or all)
  local description = core.json_encode(model_file.describe(s, results))
  core.save(path, tensors, { tlua = description, checkpoint = text, check = check_of(description, text, tensors),
    format = "pt" })
end

-- last.safetensors becomes previous.safetensors, and the new one last; at each moment one of them is whole.
function checkpoint.keep_last(s, state, results)
  local last, previous = s.out .. "/last.safetensors", s.out .. "/previous.safetensors"
  if core.exists(last) then core.link(last, previous) end
  checkpoint.write(last, s, state, results)
end

-- The last checkpoint is the best one too.
function checkpoint.keep_best(s) core.link(s.out .. "/last.safetensors", s.out .. "/best.safetensors") end

-- ---- reading ----

-- What every checkpoint says about where the run stands, and of what type it is.
local NEEDED = { epoch = "integer", step = "integer", batches = "integer", stage_steps = "integer", stage = "integer",
  totals = "table", rows = "table", counters = "table", steps = "table", schedule = "table", fields = "table",
  device = "string", seconds = "number" }

-- The first of these that is not there, or nil.
local function lacking(state)
  for _, name in ipairs(util.keys(NEEDED)) do
    local value, kind = state[name], NEEDED[name]
    if kind == "integer" and not (math.type(value) == "integer" and value >= 0)
      or kind ~= "integer" and type(value) ~= kind then
      return name
    end
  end
end

-- {path =, state =, tensors =, info =} or nil and what is wrong with the file. The tensors belong to the caller's
-- scope.
function checkpoint.read(path)
  local missing = util.missing(path)
  if missing then return nil, missing end
  local ok, tensors, metadata = pcall(core.load, path, { half = true })
  if not ok then return nil, ("%s is damaged: %s"):format(path, util.reason(tensors, path)) end
  if not metadata.checkpoint or not metadata.check then return nil, path .. " is not a checkpoint of a run" end
  local good, state = pcall(core.json_decode, metadata.checkpoint)
  if not good or type(state) ~= "table"
    or check_of(metadata.tlua or "", metadata.checkpoint, tensors) ~= metadata.check then
    return nil, path .. " is damaged: its checksum is wrong"
  end
  if math.type(state.format) ~= "integer" or state.format > FORMAT then
    return nil, ("%s was written by tlua %s in a newer form; this is tlua %s"):format(path, tostring(state.tlua),
      core.version)
  end
  local name = lacking(state)
  if name then return nil, ("%s is damaged: it does not say its %s"):format(path, name) end
  for key in pairs(FIGURES) do state[key] = util.from_json(state[key]) end
  if state.private then state = identifiers.restored(path, state) end
  return { path = path, state = state, tensors = tensors }
end

-- Without the tensors: state, or nil and why. For a quick look; the checksum is not verified.
function checkpoint.peek(path)
  local ok, _, metadata = pcall(core.entries, path)
  if not ok or not metadata or not metadata.checkpoint then return nil end
  local good, state = pcall(core.json_decode, metadata.checkpoint)
  if not good or type(state) ~= "table" then return nil end
  return state.private and identifiers.restored(path, state) or state
end

local function where_text(state) return ("epoch %d, step %d"):format(state.epoch, state.step) end
checkpoint.where_text = where_text

-- The checkpoint of a run folder, or of a file. A damaged one is refused, and the one before it offered.
function checkpoint.find(path)
  local file = path
  if core.is_folder(path) then file = path .. "/last.safetensors" end
  local found, why = checkpoint.read(file)
  if found then return found end
  local folder = file:match "^(.*)/[^/]+$" or "."
  local before = folder .. "/previous.safetensors"
  if before ~= file and core.exists(before) then
    local older = checkpoint.read(before)
    if older then
      util.failf("--resume: %s; the checkpoint before it is whole (%s): %s", why, where_text(older.state),
        util.command_text { "--resume", before })
    end
  end
  util.failf("--resume: %s", why)
end

-- What the command line of a run said, to say it again: { {"data.root", "DIR"}, ... }.
function checkpoint.overrides(path)
  local state = checkpoint.peek(core.is_folder(path) and path .. "/last.safetensors" or path)
  local list = {}
  for i, each in ipairs(state and state.overrides or {}) do list[i] = { tostring(each[1]), tostring(each[2]) } end
  return list
end

-- The recipe of a run: the file that it was made with where that is still the same, else what the run's folder keeps of
-- it; and what is to be said about it. Nothing in a checkpoint is run: both are files.
function checkpoint.recipe_of(path)
  local folder = core.is_folder(path) and path or path:match "^(.*)/[^/]+$" or "."
  local missing = util.missing(path, "run")
  if missing then util.failf("--resume: %s", missing) end
  local state, own = checkpoint.peek(core.is_folder(path) and path .. "/last.safetensors" or path) or {},
    folder .. "/recipe.lua"
  local function text_of(file)
    local ok, text = pcall(core.read_file, file)
    return ok and text
  end
  local named = state.recipe_path
  if named and text_of(named) == state.recipe then return named end
  local kept = text_of(own)
  if kept and state.private then kept = identifiers.restored(own, kept) end
  if kept and (not state.recipe or kept == state.recipe) then
    return own, named and core.exists(named) and
      ("%s has changed since; the run goes on with its recipe as it was, %s"):format(named, own) or nil
  end
  util.failf("--resume: %s holds no recipe.lua that the run was made with%s; name it: %s", folder,
    named and (" (it was %s)"):format(named) or "",
    util.command_text { "tlua", "RECIPE.lua", "--resume", path })
end

-- ---- has the recipe changed? ----

local function lines_of(text)
  local list = {}
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do list[#list + 1] = line end
  if list[#list] == "" then list[#list] = nil end
  return list
end

-- The lines that only one of two texts has, in order, marked "- " and "+ ". Longest common subsequence; texts too long
-- for its table are compared as sets of lines.
function checkpoint.difference(old, new)
  local a, b = lines_of(old), lines_of(new)
  local out, length = {}, {}
  if #a * #b > 4000000 then return { "the texts differ" } end
  for i = #a + 1, 1, -1 do
    length[i] = {}
    for j = #b + 1, 1, -1 do
      if i > #a or j > #b then length[i][j] = 0
      elseif a[i] == b[j] then length[i][j] = length[i + 1][j + 1] + 1
      else length[i][j] = math.max(length[i + 1][j], length[i][j + 1]) end
    end
  end
  local i, j = 1, 1
  while i <= #a or j <= #b do
    if i <= #a and j <= #b and a[i] == b[j] then i, j = i + 1, j + 1
    elseif j > #b or (i <= #a and length[i + 1][j] >= length[i][j + 1]) then out[#out + 1], i = "- " .. a[i], i + 1
    else out[#out + 1], j = "+ " .. b[j], j + 1 end
  end
  return out
end

-- What differs between a checkpoint and a recipe as it is now: a list of lines, empty where nothing does.
function checkpoint.changes(state, r)
  local out = checkpoint.difference(state.recipe or "", r.text or "")
  local now, usual = checkpoint.fields(r)
  local names = {}
  for name in pairs(now) do names[name] = true end
  for name in pairs(state.fields or {}) do names[name] = true end
  for _, name in ipairs(util.keys(names)) do
    -- A field that an older tlua did not have was what it is where nobody says anything.
    local before, after = state.fields[name] or usual[name] or "-", now[name] or "-"
    if before ~= after then out[#out + 1] = ("--%s %s  was %s"):format(name, after, before) end
  end
  return out
end

-- What differs between the pictures of a checkpoint and those of a session, part by part: {train = "...", test =
-- "..."}.
function checkpoint.changed_pictures(state, s)
  local out = {}
  for part, name in pairs { train = "training", validation = "validation", test = "test" } do
    local before, now = state.pictures and state.pictures[part], s.data.list[part]
    if before and now and before.hash ~= now.hash then
      local many = s.data.input.many
      out[part] = before.count == now.count
        and ("%s %s %s, of which some have other names or sizes"):format(util.thousands(now.count), name, many)
        or ("%s %s %s then, %s now"):format(util.thousands(before.count), name, many, util.thousands(now.count))
    end
  end
  return out
end

-- ---- going on ----

local function restore_optimizer(s, c)
  local state = {}
  for k, g in ipairs(s.groups) do
    for i, name in ipairs(g.names) do
      local key, prefix = ("%d.%d."):format(k, i), OPTIMIZER .. name .. "."
      state[key .. "step"] = { int64 = c.state.steps[name] or 0 }
      for full, t in pairs(c.tensors) do
        if full:sub(1, #prefix) == prefix then state[key .. full:sub(#prefix + 1)] = t end
      end
    end
  end
  s.optim:load_state(state)
  local averages = {}
  for full, t in pairs(c.tensors) do
    if full:sub(1, #AVERAGE) == AVERAGE then averages[full:sub(#AVERAGE + 1)] = t end
  end
  if s.ema and s.ema:begun() then s.ema:load_state(averages) end
end

-- Puts a session where the checkpoint was written.
function checkpoint.restore(s, c)
  local k = c.state.stage
  if math.type(k) ~= "integer" or not s.recipe.stages[k] then
    util.failf("--resume: %s stands in stage %s, which the recipe does not have", c.path, tostring(k))
  end
  if k ~= s.stage then stage.enter(s, k) end
  s.cut = cache.as_before(s, s.cut, c.state)
  local own = {}
  for name, t in pairs(c.tensors) do
    if name:sub(1, #OPTIMIZER) ~= OPTIMIZER then own[name] = t end
  end
  s.model:load(own, { what = c.path, whole = true })
  s.model:walk(function(m, path)
    for name in pairs(m:counters()) do
      local n = c.state.counters[path == "" and name or path .. "." .. name]
      if math.type(n) == "integer" then m:set_counter(name, n) end
    end
  end)
  restore_optimizer(s, c)
  s.schedule:load_state(c.state.schedule)
end

-- Was the model of a finished run written after its last checkpoint, whose path this is? Killed in between, it is
-- missing or old.
function checkpoint.model_is_written(path)
  local _, model = core.file_size((path:match "^(.*)/[^/]+$" or ".") .. "/model.safetensors")
  local _, last = core.file_size(path)
  return model ~= nil and model >= last
end

return checkpoint
