-- recipe.lua - tlua.recipe { model, freeze, head, data, loss, optim, schedule, ... }: merges overrides, checks
-- everything, and builds. Constructors only describe, so nothing is opened before all is known to fit.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local nn = require "tlua.nn"
local optim = require "tlua.optim"
local data = require "tlua.data"
local augment = require "tlua.data.augment"
local cache = require "tlua.train.cache"
local stage = require "tlua.train.stage"
local groups = require "tlua.train.groups"
local ways = require "tlua.command.compare.ways"
local words = require "tlua.command.words"
local registry = require("tlua.models").registry
local task = require "tlua.task"
local lora = require "tlua.nn.lora"

local Recipe = {}
Recipe.__index = Recipe
local recipe = {}

-- Plain fields: name, type, default, what it is.
local PLAIN = {
  { "freeze", "globs", nil, "parameters that keep their values: globs of names" },
  { "train", "globs", nil, "parameters that are trained, all others frozen: globs of names" },
  { "frozen", "choice", "float32", "how matrices and tables are held that no stage trains", { "float32", "float16",
    "bfloat16" } },
  { "precision", "choice", "float32", "how results of layers are stored while it trains; mixed: float16, with a loss that is scaled",
    { "float32", "mixed", "bfloat16" }, also = { float16 = "mixed", fp16 = "mixed", half = "mixed", amp = "mixed", ["16"] = "mixed",
      ["16-mixed"] = "mixed", bf16 = "bfloat16", ["bf16-mixed"] = "bfloat16", fp32 = "float32", ["32"] = "float32" } },
  { "loss_scale", "number", nil, "mixed: what the loss is multiplied by to begin with, a power of two (65536)", above = 0 },
  { "scale_steps", "integer", nil, "mixed: steps in a row without overflow after which that doubles (2000)", least = 1 },
  { "seed", "seed", 0, "of all random draws" },
  { "out", "path", nil, "folder of the run (runs/NAME-DATE-N)" },
  { "device", "name", nil, "cpu, gpu, a number of `tlua devices` or a part of a name" },
  { "accumulate", "integer", 1, "batches whose gradients make one step", least = 1 },
  { "clip", "number", nil, "largest norm of the gradient of a step", above = 0 },
  { "ema", "number", 0.0, "share that stays in each step of a running average of the weights; the average is what is tested and kept. 0: none", least = 0, below = 1 },
  { "ema_ramp", "number", 0, "steps in which that share grows from 0: it is ema (1 - exp(-step / ema_ramp))",
    least = 0 },
  { "decay_all", "boolean", false, "weight decay of norms and biases too" },
  { "batchnorm", "statistics", "train", "eval: trained batch norms too use their running statistics, which stay as they are; a number: their momentum" },
  { "recompute", "parts", false, "less memory: backward computes blocks of the network again" },
  { "stop_after", "integer", 0, "stop after so many epochs without a better test result; 0: never", least = 0 },
  { "best", "text", nil, "what the best epoch is chosen by: loss, or a figure of the task (its first, like accuracy)" },
  { "keep", "choice", "last", "the model that is kept is that of the last epoch or of the best", { "last", "best" } },
  { "test_every", "integer", 1, "epochs from one test to the next; 0: only after the last", least = 0 },
  { "log", "choice", "none", "beside metrics.csv: scalars of steps and epochs as TensorBoard reads them", { "none", "tensorboard" } },
  { "checkpoint", "number", 10, "minutes between checkpoints in the middle of an epoch; 0: none", least = 0 },
  { "cache", "cache", "auto", "keep the frozen part's outputs on disk: auto where they fit and nothing is random" },
}
local BUILT = { "model", "head", "data", "task", "augment", "transforms", "loss", "optim", "schedule", "groups", "lora",
  "compare" }
recipe.PLAIN = PLAIN

local function all_names()
  local names = { table.unpack(BUILT) }
  for _, field in ipairs(PLAIN) do names[#names + 1] = field[1] end
  return names
end

local function check_kind(name, value, ok, example)
  if value ~= nil and not ok then util.failf("recipe: %s must be like %s", name, example) end
end

-- The file that the recipe stands in.
local function source_of_user()
  local path
  for level = 2, 200 do
    local frame = debug.getinfo(level, "S")
    if not frame then break end
    if frame.source:sub(1, 1) == "@" then path = frame.source:sub(2) break end
  end
  return path
end

-- Where the recipe's text comes from: its run and its help are named after the file.
function Recipe:set_source(path)
  local file = path and io.open(path, "rb")
  if file then
    self.text = file:read("a")
    file:close()
  end
  self.path, self.name = path, path and path:match("([^/]+)%.lua$") or "recipe"
end


-- `return tlua.recipe {...}` is a tail call and leaves no frame behind: the first of the parts tells where it stands.
local function place_of(fields)
  local where = util.where()
  if where then return where end
  local file, first
  for _, part in pairs(fields) do
    local place = type(part) == "table" and rawget(part, "where")
    local path, line = tostring(place or ""):match("^(.*):(%d+)$")
    if path and (not first or tonumber(line) < first) then file, first = path, tonumber(line) end
  end
  return file and file .. ":" .. first
end

function recipe.new(fields)
  local place = type(fields) == "table" and place_of(fields) or nil
  return util.at(place, recipe.checked, fields, place)
end

function recipe.checked(fields, place)
  if type(fields) ~= "table" then util.failf("recipe: a table of fields is needed, not %s", type(fields)) end
  for key in pairs(fields) do
    if type(key) ~= "string" then util.fail("recipe: fields have names, like model = ...") end
    local known = all_names()
    local found = false
    for _, name in ipairs(known) do found = found or name == key end
    if not found then util.unknown("field of recipe:", key, known) end
  end
  local self = setmetatable({ where = place }, Recipe)
  check_kind("model", fields.model, nn.is_module(fields.model), 'tlua.models.resnet50 { weights = "imagenet" }')
  check_kind("head", fields.head, nn.is_module(fields.head), "nn.Linear(10)")
  check_kind("data", fields.data, schema.is_description(fields.data, "data"), 'data.cifar10 { root = "data/cifar10" }')
  check_kind("optim", fields.optim, schema.is_description(fields.optim, "optim"), "optim.Adam { lr = 1e-3 }")
  check_kind("loss", fields.loss, nn.is_module(fields.loss) or type(fields.loss) == "function", "nn.CrossEntropy {}")
  if not fields.model then util.fail('recipe: model is missing, like model = tlua.models.resnet50 { weights = "imagenet" }') end
  if not fields.data then util.fail('recipe: data is missing, like data = data.cifar10 { root = "data/cifar10" }') end
  self.model, self.head, self.data = fields.model, fields.head, fields.data
  self.augment = augment.read(fields.augment, self.data)
  check_kind("task", fields.task, task.is_description(fields.task), "task.multilabel {}")
  check_kind("transforms", fields.transforms, data.are_transforms(fields.transforms), "{ my_transform {} }, of data.transform")
  self.task, self.task_given = fields.task or data.task_of(self.data), fields.task ~= nil
  self.transforms = fields.transforms or {}
  self.loss, self.loss_given = fields.loss, fields.loss ~= nil
  self:take_default_loss()
  self.optim = fields.optim or optim.Adam {}
  self.stages, self.groups = stage.read(fields.schedule), groups.read(fields.groups)
  self.schedule = self.stages[#self.stages] -- what `schedule.NAME` without a number means
  self.lora = fields.lora == nil and lora.none() or lora.read("recipe: lora", fields.lora)
  self.cache_options = schema.options("cache", cache.SCHEMA, type(fields.cache) == "table" and fields.cache or {})
  for _, field in ipairs(PLAIN) do
    local value = fields[field[1]]
    if field[1] == "cache" and type(value) == "table" then value = "auto" end
    if value == nil then value = field[3] end
    self[field[1]] = schema.check("recipe", field, value)
  end
  self:check_best("recipe")
  self.compare = fields.compare and ways.read(fields.compare)
  self:set_source(source_of_user())
  return self
end

-- "accuracy, f1 or loss", nil where `best` is one of these; d: the task's description.
local function not_among(best, d)
  local names = task.best_names(d.kind, d.options)
  for _, name in ipairs(names) do
    if name == best then return nil end
  end
  local more = best == "auroc" and d.kind == "classify" and " (auroc where positive says what is looked for)" or ""
  return ("%s or %s%s"):format(table.concat(names, ", ", 1, #names - 1), names[#names], more)
end

-- What the best epoch is chosen by: a figure of the task, or the loss.
function Recipe:check_best(what)
  self.best = self.best or task.main(self.task.kind)[1]
  local wanted = not_among(self.best, self.task)
  if wanted then util.failf("%s: best must be %s for task.%s, not '%s'", what, wanted, self.task.kind, self.best) end
end

-- Where the recipe names no loss it is that of its task.
function Recipe:take_default_loss()
  if self.loss_given then return end
  local default = task.definition(self.task.kind).default_loss
  if not default then util.failf("recipe: loss is missing, and task.%s brings none", self.task.kind) end
  self.loss = default(self.task.options)
end

-- What goes by what is seen after an epoch: the model that is kept, an early end, the rate, and what its task decides.
-- nil: nothing.
function Recipe:selects()
  if self.keep == "best" then return 'keep = "best"' end
  if self.stop_after > 0 then return ("stop_after = %d"):format(self.stop_after) end
  for _, o in ipairs(self.stages) do
    if o.rate == "plateau" and o.epochs > 0 then return 'rate = "plateau"' end
  end
  local chooses = task.definition(self.task.kind).chooses
  return chooses and chooses(self.task.options)
end

-- Puts the fields of a way (tlua/command/compare/ways.lua) in place of the recipe's. What a way says nothing of stays, but for what is
-- frozen: a way that freezes nothing trains everything.
function Recipe:take(way)
  if way.weights then
    self.model.network_options.weights, self.model.network_options.weights_key = way.weights, nil
    self:remake_model()
  end
  self.freeze, self.train = way.freeze, way.train
  self.lora = way.lora and lora.read(("way %s: lora"):format(way.name), way.lora) or lora.none()
  self.optim = way.optim or self.optim
  if way.schedule then self.stages = stage.read(way.schedule) end
  self.schedule = self.stages[#self.stages]
  if way.groups then self.groups = groups.read(way.groups) end
  if way.augment then self.augment = augment.read(way.augment, self.data) end
  for _, field in ipairs(PLAIN) do
    local value = way[field[1]]
    if value ~= nil then self[field[1]] = schema.check("way " .. way.name, field, value) end
  end
  return self
end

-- ---- the fields with types and values ----

-- Calls f(path, field, value, options table, key) for every field that the command line can set.
function Recipe:each_field(f)
  local function group(name, list, options)
    for _, field in ipairs(list) do f(name .. "." .. field[1], field, options[field[1]], options, field[1]) end
  end
  local entry = rawget(self.model, "entry")
  f("model", { "model", "choice", nil, "the network", registry.choices() }, entry and entry.name or self.model:label())
  if entry then
    f("weights", { "weights", "path", nil, "the same as model.weights" }, self.model.network_options.weights, self.model.network_options, "weights")
    f("weights.key", { "weights.key", "text", nil, "the same as model.weights_key" }, self.model.network_options.weights_key, self.model.network_options, "weights_key")
    group("model", registry.schema(entry), self.model.network_options)
  end
  f("head", { "head", "integer", nil, "replaces the head by nn.Linear of so many outputs" }, self.head and self.head:label() or nil)
  f("data", { "data", "choice", nil, "the kind of data", data.names }, self.data.kind)
  group("data", self.data.schema, self.data.options)
  f("task", { "task", "choice", nil, "what is learnt", task.names() }, self.task.kind)
  group("task", self.task.schema, self.task.options)
  group("augment", augment.schema(self.data), self.augment)
  local losses = require("tlua.nn.loss").list
  f("loss", { "loss", "choice", nil, "what is made small", losses }, nn.is_module(self.loss) and self.loss.kind or "(function)")
  if nn.is_module(self.loss) and self.loss.schema then group("loss", self.loss.schema, self.loss.options) end
  f("optim", { "optim", "choice", nil, "the optimiser", optim.names }, self.optim.kind)
  group("optim", self.optim.schema, self.optim.options)
  group("schedule", stage.SCHEMA, self.schedule)
  for i = 1, #self.stages - 1 do group(("schedule.%d"):format(i), stage.SCHEMA, self.stages[i]) end
  for _, field in ipairs(PLAIN) do f(field[1], field, self[field[1]], self, field[1]) end
  group("lora", lora.SCHEMA, self.lora)
  group("cache", cache.SCHEMA, self.cache_options)
  if self.compare then group("compare", ways.SCHEMA, self.compare) end
end

-- ---- overrides ----

-- Another task brings its own loss and main figure, where the recipe named none.
local function take_task(self, other)
  if not other or other.kind == self.task.kind then return end
  if self.best == task.main(self.task.kind)[1] then self.best = task.main(other.kind)[1] end
  self.task = other
  self:take_default_loss()
end

-- Replaces whole constructors; returns true when `name` was one.
local function replace(self, name, text)
  if name == "model" then
    local options, given = rawget(self.model, "network_options") or {}, {}
    local entry, other, known = rawget(self.model, "entry"), registry.entry(text), {}
    local same_kind = (entry and entry.file) == other.file -- the weights of the one are none of the other
    for _, field in ipairs(registry.schema(other)) do known[field[1]] = true end
    if not other.file then known.dropout = nil end -- each family has its own
    -- A default of the one family ("width") says nothing to another.
    local own = {}
    if entry and entry.class ~= other.class then
      for _, field in ipairs(entry.fields or {}) do own[field[1]] = field[3] end
    end
    for key, value in pairs(options) do
      if known[key] and value ~= own[key] and (same_kind or key ~= "weights" and key ~= "classes") then
        given[key] = value
      end
    end
    local where, before = self.model.where, entry and entry.name or self.model:label()
    if text ~= before then self.written_for = self.written_for or before end
    self.model = registry.build(text, given)
    rawset(self.model, "where", where)
  elseif name == "data" then
    local list = augment.schema(self.data)
    if text ~= self.data.kind then self.data = schema.change_kind(self.data, text, data.kinds[text].schema, { root = true }) end
    if augment.schema(self.data) ~= list then self.augment = augment.read(nil, self.data) end
    take_task(self, not self.task_given and data.task_of(self.data) or nil)
  elseif name == "task" then
    if text ~= self.task.kind then take_task(self, schema.change_kind(self.task, text, task.definition(text).schema)) end
    self.task_given = true
  elseif name == "optim" then
    self.optim = schema.change_kind(self.optim, text, optim.kinds[text])
  elseif name == "loss" then
    local where = nn.is_module(self.loss) and self.loss.where
    self.loss, self.loss_given = nn[text] {}, true
    rawset(self.loss, "where", where)
  elseif name == "head" then
    local where = self.head and self.head.where or self.where
    self.head = nn.Linear(text)
    rawset(self.head, "where", where)
  end
end

local CONSTRUCTORS = { model = true, data = true, task = true, optim = true, loss = true, head = true }
local WEIGHTS = { weights = true, ["model.weights"] = true }

-- What was said on the command line, to be said again by --resume: the last word about each field.
local function remember(self, list)
  self.overrides = self.overrides or {}
  for _, each in ipairs(list) do
    for i = #self.overrides, 1, -1 do
      if self.overrides[i][1] == each[1] then table.remove(self.overrides, i) end
    end
    table.insert(self.overrides, { each[1], each[2] })
  end
end

-- list: { {"data.root", "DIR"}, ... }. Constructors are replaced first, then the file of weights, in whatever order the words came.
function Recipe:override(list)
  list = words.constructors(self, list, CONSTRUCTORS)
  local function fields()
    local known, names = {}, {}
    self:each_field(function(path, field, _, options, key)
      known[path] = { field = field, options = options, key = key }
      names[#names + 1] = path
    end)
    return known, names
  end
  local function find(name)
    local known, names = fields()
    if not known[name] then
      local last = name:match("^schedule%.(%d+)%.[%w_]+$")
      local plain = last and name:gsub("^schedule%.%d+", "schedule")
      if last and tonumber(last) == #self.stages and known[plain] then
        schema.usage(("unknown option '--%s'; the last stage goes without a number: '--%s'"):format(name, plain))
      end
      local list = words.all(names)
      for i, each in ipairs(list) do list[i] = "--" .. each end
      local near = core.near_miss("--" .. name, list)
      schema.usage(("unknown option '--%s'; %s"):format(name, near and ("did you mean '%s'?"):format(near) or "--help lists what there is"))
    end
    return known[name]
  end
  for pass = 1, 3 do
    if pass == 2 then
      list = words.of_recipe(self, list)
      remember(self, list)
    end
    for _, each in ipairs(list) do
      local name, text = each[1], each[2]
      if (CONSTRUCTORS[name] and 1 or WEIGHTS[name] and 2 or 3) == pass then
        local found = find(name)
        if found.field[2] == "choice" and pass == 1 then
          local ok = false
          for _, choice in ipairs(found.field[5]) do ok = ok or choice == text end
          if not ok then schema.usage("--" .. name .. ": " .. util.unknown_text(name, text, found.field[5])) end
        end
        local value = schema.parse(found.field, name, text)
        if pass == 1 then replace(self, name, value) else
          found.options[found.key] = value
          if pass == 2 then found.options.weights_key = nil end -- it was of the file before
          if found.options == rawget(self.model, "network_options") then self:remake_model() end
        end
      end
    end
  end
  self:recheck()
  return self
end

-- Options that are right one by one may not go together once the command line has changed them.
function Recipe:recheck()
  if not self.task_given then take_task(self, data.task_of(self.data)) end
  local wanted = not_among(self.best, self.task)
  if wanted then schema.usage(("--best: %s, not '%s'"):format(wanted, self.best)) end
  schema.recheck("task." .. self.task.kind, self.task.schema, self.task.options)
  for i, each in ipairs(self.stages) do schema.recheck(#self.stages > 1 and ("schedule, stage %d"):format(i) or "schedule", stage.SCHEMA, each) end
  schema.recheck("optim." .. self.optim.kind, self.optim.schema, self.optim.options)
  schema.recheck("data." .. self.data.kind, self.data.schema, self.data.options)
  self:recheck_lora()
end

-- Adapters of which the command line says something, and which are on no layer; or whose folder says what a word says.
function Recipe:recheck_lora()
  local said = {}
  for _, each in ipairs(self.overrides or {}) do
    local name = each[1]:match "^lora%.(.+)$"
    if name then said[name] = true end
  end
  if said.dropout then rawset(self.lora, "own_dropout", self.lora.dropout) end
  if said.from then -- in place of the recipe's adapters
    for _, name in ipairs { "on", "rank", "alpha", "rs" } do
      if said[name] then schema.usage(("--lora.%s: the folder of --lora.from says it"):format(name)) end
      self.lora[name] = schema.find(lora.SCHEMA, name)[3]
    end
  elseif said.on and self.lora.from then self.lora.from = nil end
  if next(said) and not said.on and not lora.wanted(self.lora) then
    schema.usage(("--lora.%s: the recipe has no adapters: --lora.on GLOBS says which layers get one"):format(
      util.keys(said)[1]))
  end
end

-- A network takes its options when it is described: describe it anew after one has changed.
function Recipe:remake_model()
  local where, name, options = self.model.where, self.model.entry.name, self.model.network_options
  local folder = rawget(self.model, "of_folder")
  self.model = registry.build(name, options)
  if folder then folder.attach(self.model) end
  rawset(self.model, "where", where)
end

-- Fields that most runs change, for the head of the help.
local USUAL = { ["data.root"] = true, ["data.batch"] = true, model = true, weights = true, freeze = true, ["optim.lr"] = true, ["schedule.epochs"] = true, seed = true, out = true,
  device = true }
local HEADINGS = { { "The network", "model", "weights", "head", "freeze", "train", "frozen", "lora" },
  { "The data", "data" }, { "The task", "task" }, { "Changes of training pictures", "augment" },
  { "Loss and optimiser", "loss", "optim" },
  { "The schedule", "schedule" }, { "The run" }, { "Features on disk", "cache" }, { "Comparison", "compare" } }

-- What to type, the fields that most runs change, and all fields by headings.
function Recipe:help()
  local commands = require "tlua.command.commands"
  local file, usual, under, heading_of = self.path or "RECIPE.lua", {}, {}, {}
  -- Fields that all kinds of data share speak of pictures.
  local clips = require("tlua.data").kinds[self.data.kind].clips
  local function worded(text) return clips and text:gsub("picture", "clip") or text end
  for _, heading in ipairs(HEADINGS) do
    under[heading[1]] = {}
    for i = 2, #heading do heading_of[heading[i]] = heading[1] end
  end
  self:each_field(function(path, field, value)
    if clips and path == "compare.pictures" then return end -- they are counted by minutes
    local kind = field[2] == "choice" and table.concat(field[5], "|") or schema.types[field[2]][1]
    -- Limits of numbers, in brackets behind the type, are for errors.
    kind = field[2] == "choice" and #kind > 44 and "a name" or kind:gsub(" %(.*%)$", "")
    local line = ("  --%s %s %s (%s)"):format(core.text.pad(path, 24), core.text.pad(schema.show(value), 22),
      worded(field[4]), worded(kind))
    if USUAL[path] then usual[#usual + 1] = line end
    table.insert(under[heading_of[path:match "^[^.]+"] or "The run"], line)
  end)
  local out = { ("tlua %s [--FIELD VALUE]...; every field has its present value here"):format(file), "", "Usual", table.unpack(usual) }
  for _, o in ipairs(commands.RUN) do
    if o[1] ~= "help" then out[#out + 1] = ("  %-49s %s"):format(commands.option_text(o), o[3]) end
  end
  for _, heading in ipairs(HEADINGS) do
    local lines = under[heading[1]]
    if #lines > 0 then
      out[#out + 1] = ""
      out[#out + 1] = worded(heading[1])
      table.move(lines, 1, #lines, #out + 1, out)
    end
  end
  return table.concat(out, "\n")
end

function Recipe:__tostring()
  local lines = { ("recipe %s"):format(self.path or self.name or "") }
  local function add(name, value) lines[#lines + 1] = ("  %-9s %s"):format(name, value) end
  add("model", self.model:label())
  if self.head then add("head", self.head:label()) end
  if self.freeze then add("freeze", schema.show(self.freeze)) end
  if lora.wanted(self.lora) then
    add("lora", self.lora.from and "from " .. self.lora.from or schema.show(self.lora.on))
  end
  add("data", tostring(self.data))
  if self.task_given then add("task", tostring(self.task)) end
  add("loss", nn.is_module(self.loss) and self.loss:label() or "(function)")
  add("optim", tostring(self.optim))
  add("schedule", ("%d epochs%s"):format(stage.total(self.stages), #self.stages > 1 and (" in %d stages"):format(#self.stages) or ""))
  return table.concat(lines, "\n")
end

-- ---- building and running ----

-- Device, data, model, freeze, head, optimiser: all of it checked before anything is written.
-- `batch`: of a run that goes on, where the recipe says auto.
function Recipe:build(batch) return require("tlua.train.build").session(self, batch) end

-- The aliases of a run of private data that goes on.
function Recipe:take_identifiers(path)
  local identifiers = require "tlua.data.identifiers"
  self.identifiers = identifiers.of_run(path) or util.failf(
    "--resume: the run is one of private data, and beside %s there is no %s, which says what is behind its aliases: " ..
    "put it there, or begin anew", path, identifiers.FILE)
end

-- Trains, tests, keeps. options: resume, a run folder or checkpoint to go on from; force, although the recipe has changed since, or
-- although the folder holds a run that is not at its end. Returns the results {accuracy, loss, out, model, epochs}.
function Recipe:run(options)
  options = util.options("run", options, { resume = util.none, force = false, style = util.none })
  if not options.resume then return require("tlua.train").run(self:build(), options) end
  local checkpoint = require "tlua.run.checkpoint"
  core.device(self.device)
  local c
  do
    local scope <close> = core.scope()
    c = checkpoint.find(options.resume)
  end
  if c.state.private then self:take_identifiers(c.path) end
  local changes = checkpoint.changes(c.state, self)
  if #changes > 0 and not options.force then
    util.failf("--resume: the recipe has changed since %s was written; --force goes on all the same:\n  %s", c.path, table.concat(changes, "\n  "))
  end
  if c.state.finished and #changes == 0 and checkpoint.model_is_written(c.path) then util.failf("--resume: the run in %s is at its end; with more epochs (--schedule.epochs) and --force it goes on", c.path) end
  local batch = math.type(c.state.batch) == "integer" and c.state.batch > 0 and c.state.batch or nil -- memory may be another today: the bits are not
  return require("tlua.train").run(self:build(batch), { checkpoint = c.path, force = options.force, style = options.style })
end

util.seal(Recipe, "recipe:", 1)
recipe.Recipe = Recipe
function recipe.is_recipe(v) return getmetatable(v) == Recipe end
return recipe
