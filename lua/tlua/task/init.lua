-- task/init.lua - what a recipe wants to learn. A task is one table: which fields of a sample it wants, which head a network gets for it, its
-- loss, its figures, and how an answer looks. Everything else (steps, checkpoints, reports, predict, eval) asks the task and knows none by name.
--
-- task.define {
--   name = "classify", brief = "one class a picture", schema = {},  -- options of task.NAME {...} in recipes, as in tlua/schema.lua
--   wants = { "label" },        -- fields of a sample beside its picture
--   takes = "vector",           -- what the network gives: vector (N, K), map (N, H, W, K), frames (N, T, K) or
--                               -- vocabulary (rows of pieces, which net:vocabulary asks for words), or levels (a row
--                               -- for each cell of several, (N, A, W); src/task/assign.h)
--   head_name = "qa_outputs",   -- what the head of pieces is called in files of texts' networks, if not "classifier"
--   figures = { { "accuracy", "accuracy", "%.1f %%", "max" } },     -- key, words, format, which is better; the first is the main one
--   figures_of = function(options), -- all of them, where options add to these
--   prepare = function(t, s),   -- the data are open: sets t.names, t.width (how many outputs); refuses targets that are none
--   own_width = true,           -- how many outputs there are is not how many classes or numbers the data have
--   head = function(t, net),    -- the head where the recipe names none
--   default_loss = function(options), -- the loss where the recipe names none
--   check = function(t, shape), -- refuses outputs of this shape (N, ...); returns nothing
--   fits = function(t, net),   -- an error where what a model file kept does not go with its network
--   loss_words = "...",        -- what the plan calls a loss that is the task's own
--   loss = function(t, out, batch),   -- a scalar tensor, or nil where nothing counts; and what the batch counts in means
--   meter = function(t, state), -- { add(self, out, batch), value(self) -> {key = number}, state(self) -> numbers, lists and texts }
--   test_line = function(t, meter), -- what the line of an epoch says of a test; without it the main figure
--   advice = function(t, values, s),  -- after an epoch: a line for the user, or nil
--   chooses = function(options),  -- words for what the task decides by the validation (a threshold), nil: nothing
--   positive_class = function(t), threshold_of = function(t), wanted = function(options), -- of what is chosen
--   choose = function(t, seen),   -- decides it by what was collected of the validation; a line for the user
--   fed = function(t, text),    -- of a text that is asked about: what the network is fed for it
--   join = function(t, answers, windows, o),  -- what the windows of one text say together
--   tops = true,                -- answers have several, the best first, of which --top says how many
--   feeds = function(t, built), -- what the loader is to do to texts, as to hide words
-- kept = function(t), take = function(t, kept), -- what the model file holds of it beside names, as JSON, and the way
-- back
--   collector = function(t, s, part), -- { add(self, out, batch) }: what the report wants of a test of a part of s.data
--   gather = function(t, collected, s), page = function(t, found) -- tables and galleries, as data; as HTML
--   decode = function(t, out, o),     -- the answers of a batch as a list; false where the numbers are none (o: options of `tlua predict`)
--   mean = function(t, rows),   -- of outputs of several pictures of one thing, lists of numbers: what they say
--                               -- together, as an output
--   text = function(t, answer, o), answer = function(t, answer, o), columns = function(t, o), fields = function(t, answer, o) -- an answer as a
--                               -- line, as a value for JSON, and in a table
--   place = function(t, answer, path, o, index) -- an answer in pixels of the network's input: in those of the picture
--   rows = function(t, answer, o) -- in a table several lines an answer, in the place of fields
--   emit = function(t, answer, path, o, index) -- writes what is a picture itself, below o.to; returns its path
--   only_to = true,             -- nothing is written without --to
--   finish = function(t, o),    -- writes what is said of all pictures together, below o.to
-- }
-- `t` is the task of one session: the table above behind t.options, t.criterion (the recipe's loss), t.best (what its
-- best epoch is chosen by), t.names and t.width.
local util = require "tlua.util"
local schema = require "tlua.schema"
local task = {}
local kinds, order = {}, {}

local NEEDED = { "name", "brief", "wants", "takes", "figures", "prepare", "loss", "meter" }
local KNOWN = { "name", "brief", "schema", "wants", "takes", "figures", "prepare", "head", "default_loss", "check", "loss", "meter", "collector",
  "gather", "page", "tiles", "charts", "summary", "text_of_test", "decode", "text", "answer", "columns", "fields",
    "emit", "mean", "start", "advice", "chooses", "choose", "positive_class", "threshold_of", "wanted", "kept", "take",
  "fits", "test_line", "loss_words", "own_width", "head_name", "figures_of", "fed", "join", "joined", "tops", "feeds",
  "threshold", "place", "rows", "only_to", "finish" }
local TAKES = { vector = true, map = true, frames = true, vocabulary = true, levels = true }

local function check_figures(name, list)
  for i, f in ipairs(type(list) == "table" and list or {}) do
    if type(f) ~= "table" or not f[1] or not f[2] or not f[3] or (f[4] ~= "max" and f[4] ~= "min") then
      util.failf('task %s: figure %d must be like { "accuracy", "accuracy", "%%.1f %%%%", "max" }', name, i)
    end
  end
  if type(list) ~= "table" or #list == 0 then util.failf("task %s: figures must have one at least", name) end
end

-- Makes a task known: task.NAME {...} is its constructor from then on. Returns the constructor.
function task.define(definition)
  if type(definition) ~= "table" then util.failf("task.define: a table is needed, not %s", type(definition)) end
  for _, key in ipairs(NEEDED) do
    if definition[key] == nil then util.failf("task.define: %s is missing", key) end
  end
  for key in pairs(definition) do
    local known = false
    for _, name in ipairs(KNOWN) do known = known or name == key end
    if not known then util.unknown("field of a task:", key, KNOWN) end
  end
  local name = definition.name
  if not TAKES[definition.takes] then
    util.failf("task %s: takes must be vector, map, frames, vocabulary or levels, not %s", name,
      tostring(definition.takes))
  end
  check_figures(name, definition.figures)
  if not kinds[name] then order[#order + 1] = name end
  definition.schema = definition.schema or {}
  kinds[name] = definition
  local function construct(options)
    return schema.describe("task", name, definition.schema, options)
  end
  rawset(task, name, construct)
  return construct
end

function task.names() return { table.unpack(order) } end
function task.is_description(v) return schema.is_description(v, "task") end

-- The table of a task by its name.
function task.definition(name)
  local found = kinds[name]
  if not found then util.unknown("task", name, order) end
  return found
end

-- The description of the task that a model file speaks of (`info`: its own description), with the options that this version knows.
function task.of_file(info)
  local known = info.task or { name = "classify" }
  if not kinds[known.name] then
    util.failf("the model was trained for the task '%s', which this tlua does not know; a task in Lua must be defined first, in a recipe or a script",
      known.name)
  end
  local options = {}
  for _, field in ipairs(kinds[known.name].schema) do options[field[1]] = (known.options or {})[field[1]] end
  return task[known.name](options)
end

-- The figures of a task with these options (nil: none): its definition's, and those that options add.
function task.figures_with(name, options)
  local definition = task.definition(name)
  return definition.figures_of and options and definition.figures_of(options) or definition.figures
end

-- The main figure of a task: {key, words, format, "max" or "min"}; the one called `best`, where that is one.
function task.main(name, best, options)
  local figures = task.figures_with(name, options)
  for _, f in ipairs(figures) do
    if f[1] == best then return f end
  end
  return figures[1]
end

-- What a recipe's `best` may be: the names of the figures, and loss.
function task.best_names(name, options)
  local list = {}
  for i, f in ipairs(task.figures_with(name, options)) do list[i] = f[1] end
  list[#list + 1] = "loss"
  return list
end

local Task = {}

-- Is the loss a sum already, and no mean of what it counts?
function Task:is_sum()
  local loss = self.criterion
  return type(loss) == "table" and loss.options ~= nil and loss.options.reduction == "sum"
end

-- "accuracy 91.2 %"
function Task:figure_text(f, v) return ("%s %s"):format(f[2], v and util.figure(f[3], v) or "-") end
-- The figure that the recipe's `best` names, else the first.
function Task:main() return task.main(self.kind, self.best, self.options) end
-- Is v better than `before`?
function Task:is_better(v, before)
  if self:main()[4] == "max" then return v > before end
  return v < before
end

-- Refuses a loss of nn that is not for the targets of this task: `kinds`, names of those that are. `why` ends the
-- sentence.
function Task:check_loss(kinds, why)
  local loss = self.criterion
  if type(loss) ~= "table" or not loss.kind then return end
  for _, kind in ipairs(kinds) do
    if loss.kind == kind then return end
  end
  if not rawget(require "tlua.nn.loss", loss.kind) and loss.kind ~= "Dice" and loss.kind ~= "Tversky" then return end
  util.at(loss.where, util.failf, "task.%s: nn.%s %s; nn.%s does", self.kind, loss.kind, why, table.concat(kinds,
    " or nn."))
end

-- The task of a session. `d`: a description; criterion: the session's loss; kept: what a model file holds of it.
function task.open(d, criterion, kept)
  local definition = task.definition(d.kind)
  local t = { kind = d.kind, options = d.options, criterion = criterion, where = d.where,
    figures = task.figures_with(d.kind, d.options) }
  setmetatable(t, { __index = function(_, key)
    local v = definition[key]
    if v == nil then v = Task[key] end
    return v
  end })
  if kept and t.take then t:take(kept) end
  return t
end

for _, name in ipairs { "classify", "multilabel", "regress", "segment", "ctc",
  "verify", "tokens", "span", "causal", "masked", "detect" } do task.define(require("tlua.task." .. name)) end

util.seal(task, "task.")
return util.strict("task", task, function() return { "define", table.unpack(order) } end)
