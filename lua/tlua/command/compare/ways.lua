-- ways.lua - what a comparison is made of: `compare = { per_class, limit, seeds, ways }` in a recipe. A way is a name and fields of a
-- recipe that take the place of the recipe's own (Recipe:take).
local util = require "tlua.util"
local schema = require "tlua.schema"
local ways = {}

local function is_size(v) return v == "all" or (math.tointeger(v) ~= nil and v >= 1) end
local function each_is(list, check)
  if type(list) ~= "table" or #list == 0 then return false end
  for _, v in ipairs(list) do
    if not check(v) then return false end
  end
  return true
end
local function parse(list, check)
  for i, word in ipairs(list) do list[i] = math.tointeger(tonumber(word)) or word end
  return each_is(list, check) and list or nil
end
local function is_seed(v) return math.type(v) == "integer" end
local function parse_seeds(list)
  for i, word in ipairs(list) do list[i] = schema.seed(word) or word end
  return each_is(list, is_seed) and list or nil
end

schema.types.sizes = { "numbers of pictures, like 10,100,all", function(t) return parse(schema.split(t), is_size) end, function(v) return each_is(v, is_size) end }
local function is_amount(v) return v == "all" or (type(v) == "number" and v > 0 and v < math.huge) end
local function parse_amounts(list)
  for i, word in ipairs(list) do list[i] = math.tointeger(tonumber(word)) or tonumber(word) or word end
  return each_is(list, is_amount) and list or nil
end

schema.types.minutes = { "minutes, like 0.5,3,all", function(t) return parse_amounts(schema.split(t)) end,
  function(v) return each_is(v, is_amount) end }
schema.types.seeds = { "whole numbers, like 0,1,2", function(t) return parse_seeds(schema.split(t)) end, function(v) return each_is(v, is_seed) end }

ways.SCHEMA = {
  { "per_class", "sizes", { 10, 30, 100, "all" }, "training pictures of each class, in one column after the other" },
  { "minutes", "minutes", nil,
    "of recordings, which have no classes: minutes of training clips, in one column after the other (1,3,all where the "
      .. "recipe says nothing)" },
  { "pictures", "sizes", nil,
    "of pictures with boxes, masks or numbers, which have no classes: training pictures in all, in one column after "
      .. "the other (30,100,all where the recipe says nothing)" },
  { "limit", "integer", nil, "all means at most so many training pictures in all", least = 1 },
  { "seeds", "seeds", { 0, 1, 2 }, "each draws the pictures, the new parameters and the order" },
}

-- Where a recipe says none. Each has the rate that suits it and enough steps for it: a network that knows nothing needs more of
-- both than a head on finished features.
local function defaults()
  local optim, stage = require "tlua.optim", require "tlua.train.stage"
  return {
    { name = "scratch", why = "all weights are drawn at random: the most epochs, the largest rate", weights = "none", batchnorm = 0.1,
      optim = optim.AdamW { lr = 2e-3 }, schedule = { epochs = 12, least_steps = 400, rate = "one_cycle" } },
    { name = "frozen", freeze = "*",
      why = "only the new head is trained, on features that are computed once where a cache can hold them",
      optim = optim.AdamW { lr = 3e-3 }, schedule = { epochs = 10, least_steps = 300, rate = "cosine" } },
    { name = "finetuned", why = "the head first, then everything at a small rate, the lower the smaller; batch norms keep their statistics", optim = optim.AdamW {},
      batchnorm = "eval",
      schedule = stage.fine_tune { epochs = 4, freeze_epochs = 1, lr = 2e-3, lowest = 0.1 } },
  }
end

-- What a way may say: name, why, weights, and these fields of a recipe.
local FIELDS = { "name", "why", "weights", "freeze", "train", "frozen", "lora", "optim", "schedule", "groups",
  "augment", "accumulate", "clip", "ema", "ema_ramp", "decay_all", "batchnorm", "recompute" }

local function check_way(i, way)
  local what = ("compare: way %d"):format(i)
  if type(way) ~= "table" or type(way.name) ~= "string" then util.failf("recipe: %s must be like { name = \"frozen\", freeze = \"*\" }", what) end
  what = ("way %s"):format(way.name)
  if not way.name:find "^[%w_]+$" then util.failf("recipe: compare: the name '%s' is more than letters, digits and _", way.name) end
  for key in pairs(way) do
    local known = false
    for _, name in ipairs(FIELDS) do known = known or name == key end
    if not known then util.unknown(("field of %s:"):format(what), key, FIELDS) end
  end
  if way.optim and not schema.is_description(way.optim, "optim") then util.failf("recipe: %s: optim must be like optim.Adam { lr = 1e-3 }", what) end
  if way.schedule then require("tlua.train.stage").read(way.schedule) end
end

-- The recipe's `compare` -> {per_class, limit, seeds, ways}.
function ways.read(given)
  if type(given) ~= "table" then util.fail("recipe: compare must be like { per_class = { 10, 100, \"all\" }, seeds = { 0, 1, 2 } }") end
  local rest, list = {}, given.ways or defaults()
  for key, value in pairs(given) do
    if key ~= "ways" then rest[key] = value end
  end
  local out, names = schema.options("compare", ways.SCHEMA, rest), {}
  if type(list) ~= "table" or #list < 2 then util.fail("recipe: compare: ways is a list of at least two") end
  for i, way in ipairs(list) do
    check_way(i, way)
    if names[way.name] then util.failf("recipe: compare: two ways are called %s", way.name) end
    names[way.name] = true
  end
  out.ways, out.own_amounts = list, rest.per_class ~= nil
  return out
end

-- Samples without classes cannot be counted by class: where the recipe does not say what is to be tried, numbers of them
-- in all are, of recordings minutes.
function ways.fit_amounts(options, counts)
  if #counts.classes > 0 or options.own_amounts or options.minutes or options.pictures then return end
  if counts.seconds then options.minutes = { 1, 3, "all" } else options.pictures = { 30, 100, "all" } end
end

-- The amounts of training data, as `per_class`, and what they are amounts of: {few =, many =, field = of the data, x =
-- of an axis}.
function ways.amounts(options)
  if options.minutes then return options.minutes, { few = "minutes", many = "minutes of clips", field = "minutes",
    x = "minutes of training clips" } end
  if options.pictures then return options.pictures, { few = "pictures", column = "asked for", many = "pictures", field = "limit",
    x = "training pictures" } end
  return options.per_class, { few = "a class", many = "pictures a class", field = "per_class",
    x = "training pictures a class" }
end

-- A number of pictures or a seed that is named twice would count its cells twice.
function ways.check_twice(options)
  for _, name in ipairs { "per_class", "minutes", "pictures", "seeds" } do
    local seen = {}
    for _, v in ipairs(options[name] or {}) do
      if seen[v] then util.failf("compare: %s names %s twice, which would count its cells twice", name, tostring(v)) end
      seen[v] = true
    end
  end
end

function ways.find(list, name)
  for _, way in ipairs(list) do
    if way.name == name then return way end
  end
end

-- What the others are held against: the first way without weights, else the first.
function ways.baseline(list)
  for _, way in ipairs(list) do
    if way.weights == "none" then return way.name end
  end
  return list[1].name
end

return ways
