-- schema.lua - typed fields: what a recipe's constructors take, what the command line may override, what --help
-- shows. A field is {name, type, default, brief [, choices] [, ranges]}; texts from the command line are parsed by the type and
-- never run as Lua. Ranges are least, above, most and below (of lists for each number), `count` (how many numbers a list has, one of
-- these) and `check` (a function: value -> what is wrong). They are looked at wherever a value comes from: recipe, command line, functions.
-- A list of fields may have a `check` of its own: a function of all options -> what is wrong.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = {}

-- An error of the command line: exit status 2.
local usage = { __tostring = function(e) return e.message end, __name = "usage error" }
function schema.usage(message) error(setmetatable({ message = message }, usage), 0) end
function schema.is_usage(e) return getmetatable(e) == usage end

-- type -> {what is needed in words, text -> value or nil, value -> is it one}
local types = {}
schema.types = types

local function is_text(v) return type(v) == "string" end
types.text = { "a text", function(t) return t end, is_text }
types.name = { "a name", function(t) if t ~= "" then return t end end, function(v) return is_text(v) and v ~= "" end }
types.path = { "a path", function(t) if t ~= "" then return core.path(t) end end, function(v) return is_text(v) and v ~= "" end }
types.number = { "a number", function(t) return tonumber(t) and tonumber(t) + 0.0 end, function(v) return type(v) == "number" end }
types.integer = { "a whole number", function(t) return math.tointeger(tonumber(t)) end, function(v) return math.tointeger(v) ~= nil and type(v) == "number" end }
-- All 64 bits count. A float has 53, so beyond them it may not be the number that was meant; and what Lua cannot read as a whole number of
-- 64 bits becomes a float.
function schema.is_seed(v)
  return math.type(v) == "integer" or (math.type(v) == "float" and math.tointeger(v) ~= nil and math.abs(v) < 2.0 ^ 53)
end
function schema.seed(text)
  local v = tonumber(text)
  if text:find "^%s*[+-]?0[xX]%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x" then return nil end -- Lua would drop the digits in front
  return schema.is_seed(v) and math.tointeger(v) or nil
end
types.seed = { ("a whole number of 64 bits (%d to %d)"):format(math.mininteger, math.maxinteger), function(t) return schema.seed(t) end, function(v) return schema.is_seed(v) end }
types.batch = { "a whole number or auto", function(t) return t == "auto" and t or math.tointeger(tonumber(t)) end,
  function(v) return v == "auto" or (type(v) == "number" and math.tointeger(v) ~= nil) end }
-- Of clips: so many, or as many as make so many seconds.
function schema.seconds(v)
  local n = is_text(v) and tonumber(v:match "^%s*([%d.]+)%s*s$")
  return n and n > 0 and n or nil
end
types.load = { "a whole number, or seconds like '60 s'", function(t) return schema.seconds(t) and t
  or math.tointeger(tonumber(t)) end,
  function(v) return schema.seconds(v) ~= nil or (type(v) == "number" and math.tointeger(v) ~= nil) end }
-- Of texts: so many, or as many as have so many pieces.
function schema.pieces(v)
  local n = is_text(v) and math.tointeger(tonumber(v:match "^%s*(%d+)%s*pieces$"))
  return n and n > 0 and n or nil
end
types.pieces = { "a whole number, or pieces like '4096 pieces'", function(t) return schema.pieces(t) and t
  or math.tointeger(tonumber(t)) end,
  function(v) return schema.pieces(v) ~= nil or (type(v) == "number" and math.tointeger(v) ~= nil) end }
types.file_or_share = { "a path, or a share like 0.1",
  function(t) return tonumber(t) or t ~= "" and core.path(t) or nil end, function(v)
   return type(v) == "number" and v >= 0 and v < 1 or is_text(v) and v ~= "" end }
types.boolean = { "true or false", function(t)
  local known = { ["true"] = true, yes = true, on = true, ["1"] = true, ["false"] = false, no = false, off = false, ["0"] = false }
  return known[t]
end, function(v) return type(v) == "boolean" end }
-- A probability; true is the field's own.
types.chance = { "true, false or a chance from 0 to 1", function(t)
  local n = tonumber(t)
  if n then return n >= 0 and n <= 1 and n + 0.0 or nil end
  return types.boolean[2](t)
end, function(v) return type(v) == "boolean" or (type(v) == "number" and v >= 0 and v <= 1) end }
types.any = { "a value", function() return nil end, function() return true end } -- of Lua alone, checked by whoever takes it
-- Of Lua alone too.
types.tensor = { "a tensor, or its name in a file", is_text, function(v) return is_text(v) or core.is_tensor(v) or type(v) == "table" end }
types.func = { "a function", function() return nil end, function(v) return type(v) == "function" end }
types.pattern = { "a Lua pattern, or in a recipe a function", function(t) return t ~= "" and t or nil end,
  function(v) return type(v) == "function" or (is_text(v) and v ~= "") end }
types.module = { "a module, like nn.Linear(10)", function() return nil end, function(v)
  return type(v) == "table" and rawget(v, "_modules") ~= nil
end }
-- NAME=1,OTHER=2 on a command line.
local function numbers_by_name(t)
  local out = {}
  for word in (t .. ","):gmatch "([^,]*)," do
    local name, n = word:match "^%s*(.-)%s*=%s*(%S+)%s*$"
    n = tonumber(n)
    if not n or name == "" then return nil end
    out[name] = math.tointeger(n) or n
  end
  return out
end

types.sizes_by_name = { "numbers by name, like length=128,width=64", numbers_by_name, function(v)
  for name, n in pairs(type(v) == "table" and v or { 0 }) do
    if type(name) ~= "string" or math.tointeger(n) == nil or n < 1 then return false end
  end
  return true
end }
types.numbers_by_name = { "numbers by name, like rate=16000", numbers_by_name, function(v)
  for name, n in pairs(type(v) == "table" and v or { 0 }) do
    if type(name) ~= "string" or type(n) ~= "number" then return false end
  end
  return true
end }
types.choice = { "one of its choices", is_text, is_text }

local function split(text)
  local list = {}
  for word in (text .. ","):gmatch("%s*([^,]*),") do
    word = word:gsub("%s+$", "")
    if word ~= "" then list[#list + 1] = word end
  end
  return list
end
schema.split = split

local function list_of(v, kind)
  if type(v) ~= "table" then return false end
  for _, each in ipairs(v) do
    if type(each) ~= kind then return false end
  end
  return true
end

types.numbers = { "numbers, like 0.5,0.5,0.5", function(t)
  local list = split(t)
  for i, word in ipairs(list) do
    list[i] = tonumber(word)
    if not list[i] then return nil end
  end
  return #list > 0 and list or nil
end, function(v) return type(v) == "number" or list_of(v, "number") end }
-- Numbers that can be switched off: false.
types.range = { "numbers, like 0.8,1.2, or none", function(t)
  if t == "none" or t == "false" or t == "off" then return false end
  return types.numbers[2](t)
end, function(v) return v == false or types.numbers[3](v) end }
types.class_weights = { "auto or numbers, like 1,2.5,1", function(t)
  if t == "auto" then return t end
  return types.numbers[2](t)
end, function(v) return v == "auto" or list_of(v, "number") end }
-- Windows of a scanner's values (tlua/data/dicom/windows.lua).
local function are_windows(v) return (require("tlua.data.dicom.windows").read(v)) ~= nil end
types.windows = { "windows, like lung,bone or 40/400", function(t) return are_windows(t) and t or nil end, are_windows,
  function(v) return select(2, require("tlua.data.dicom.windows").read(v)) end }
types.texts = { "names, like a,b,c", function(t) return split(t) end, function(v) return is_text(v) or list_of(v, "string") end }
types.globs = { "globs, like 'layer1.*,layer2.*', or none", function(t)
  local list = t == "none" and {} or split(t)
  return (t == "none" or #list > 0) and list or nil -- an empty variable of a shell must not unfreeze everything
end,
  function(v) return is_text(v) or type(v) == "function" or type(v) == "table" end }
types.parts = { "true, false or globs of blocks, like 'layer1.*'", function(t)
  local switch = types.boolean[2](t)
  if switch ~= nil then return switch end
  return split(t)
end, function(v) return type(v) == "boolean" or types.globs[3](v) end }
local function is_statistics(v) return v == "train" or v == "eval" or type(v) == "number" and v > 0 and v <= 1 end
types.statistics = { "train, eval or a momentum like 0.1", function(t)
  local v = tonumber(t) or t
  return is_statistics(v) and v or nil
end, is_statistics }
-- "0;1,2;3-5" -> { { 0 }, { 1, 2 }, { 3, 4, 5 } }; nil where it is no such text.
local function number_lists(t)
  local out = {}
  for part in (t .. ";"):gmatch "([^;]*);" do
    local list = {}
    for _, word in ipairs(split(part)) do
      local low, high = word:match "^(%d+)%-(%d+)$"
      low, high = math.tointeger(low or word), math.tointeger(high or word)
      if not low or not high or high - low > 65535 then return nil end
      for v = low, high do list[#list + 1] = v end
    end
    out[#out + 1] = list
  end
  return out
end
types.number_lists = { "numbers of each class, like 0;1,2;3-5", number_lists, function(v)
  if type(v) ~= "table" then return false end
  for _, each in ipairs(v) do
    if math.type(each) ~= "integer" and not types.numbers[3](each) then return false end
  end
  return true
end }
-- "20 GB" -> bytes; a number is bytes.
local UNITS = { [""] = 1, k = 1e3, M = 1e6, G = 1e9, T = 1e12 }
function schema.size(v)
  if type(v) == "number" then return v >= 0 and math.floor(v) or nil end
  local n, unit = tostring(v):match "^%s*([%d.]+)%s*([kMGT]?)B?%s*$"
  n = tonumber(n)
  return n and math.floor(n * UNITS[unit]) or nil
end
types.size = { "a size, like 20 GB", function(t) return schema.size(t) and t end, function(v) return schema.size(v) ~= nil end }
types.cache = { "auto, true or false", function(t)
  if t == "auto" then return "auto" end
  return types.boolean[2](t)
end, function(v) return v == "auto" or type(v) == "boolean" end }

-- "a whole number, not 'many'"
-- Types that can say what is wrong with a value do (their fourth).
local function need(field, shown, value)
  if field[2] == "choice" then
    local also = field.also and field.also[tostring(value)] -- what others call it
    local near = also or (type(value) == "string" and core.near_miss(value, field[5]))
    return ("one of %s is needed, not %s%s"):format(table.concat(field[5], ", "), shown,
      near and ("; did you mean '%s'?"):format(near) or "")
  end
  local kind = types[field[2]]
  local why = kind[4] and kind[4](value)
  return ("%s is needed, not %s%s"):format(kind[1], shown, why and ": " .. why or "")
end

local function in_choices(field, value)
  if field[2] ~= "choice" then return true end
  for _, each in ipairs(field[5]) do
    if each == value then return true end
  end
  return false
end

-- ---- ranges ----

local function range_text(field)
  local low, high = field.least or field.above, field.most or field.below
  local function show(v) return ("%.14g"):format(v) end
  if low and high then
    if field.least and field.most then return ("from %s to %s"):format(show(low), show(high)) end
    return ("%s %s and %s %s"):format(field.least and "at least" or "above", show(low), field.most and "at most" or "below", show(high))
  end
  if low then return field.least and ("from %s on"):format(show(low)) or "above " .. show(low) end
  return (field.most and "at most " or "below ") .. show(high)
end

local function number_text(v) return math.type(v) == "integer" and ("%d"):format(v) or ("%.14g"):format(v) end

-- What is wrong with one number, nil where nothing is.
local function wrong_number(field, v)
  if v ~= v or v == math.huge or v == -math.huge then return "must be finite, not " .. number_text(v) end
  local ok = (not field.least or v >= field.least) and (not field.above or v > field.above) and (not field.most or v <= field.most) and (not field.below or v < field.below)
  if not ok then return ("must be %s, not %s"):format(range_text(field), number_text(v)) end
end

local function wrong_count(field, n)
  local names = {}
  for i, count in ipairs(field.count) do
    if count == n then return nil end
    names[i] = tostring(count)
  end
  local last = table.remove(names)
  local wanted = #names > 0 and table.concat(names, ", ") .. " or " .. last or last
  return ("takes %s number%s, not %d"):format(wanted, wanted == "1" and "" or "s", n)
end

-- What is wrong with a value of the right type: "must be from 1 on, not -3"; nil where nothing is.
function schema.wrong(field, value)
  if type(value) == "number" then
    local text = wrong_number(field, value) or field.count and wrong_count(field, 1)
    if text then return text end
  elseif type(value) == "table" then
    if field.count and list_of(value, "number") then
      local text = wrong_count(field, #value)
      if text then return text end
    end
    for _, v in ipairs(value) do
      local text = type(v) == "number" and wrong_number(field, v)
      if text then return text end
    end
  end
  return field.check and field.check(value) or nil
end

-- The value of `text` for the option --`name`.
function schema.parse(field, name, text)
  local value
  if field[2] == "choice" then value = text else value = types[field[2]][2](text) end
  if value == nil or not in_choices(field, value) then
    schema.usage(("--%s: %s"):format(name, need(field, ("'%s'"):format(text), text)))
  end
  local wrong = schema.wrong(field, value)
  if wrong then schema.usage(("--%s %s"):format(name, wrong)) end
  return value
end

-- A value of the wrong kind; a table with names in it has no elements to show.
local function shown(value)
  local text = schema.show(value)
  return text ~= "" and text or type(value) == "table" and (next(value) == nil and "{}" or "a table with names")
    or "''"
end

-- Checks a value from a recipe; returns it (whole numbers as integers).
function schema.check(what, field, value)
  if value == nil then return nil end
  if not types[field[2]][3](value) or not in_choices(field, value) then
    util.failf("%s: %s: %s", what, field[1], need(field, type(value) == "string" and ("'%s'"):format(value)
      or shown(value), value))
  end
  local text = schema.wrong(field, value)
  if text then util.failf("%s: %s %s", what, field[1], text) end
  if field[2] == "path" then return core.path(value) end
  if field[2] == "integer" or field[2] == "seed" or (field[2] == "batch" and value ~= "auto") then return math.tointeger(value) end
  return value
end

function schema.find(list, name)
  for _, field in ipairs(list) do
    if field[1] == name then return field end
  end
end

function schema.names(list)
  local names = {}
  for i, field in ipairs(list) do names[i] = field[1] end
  return names
end

-- Checks a whole table of options; fills in the defaults.
function schema.options(what, list, given)
  local out = {}
  for key in pairs(given) do
    if not schema.find(list, key) then util.unknown("option of " .. what .. ":", key, schema.names(list)) end
  end
  for _, field in ipairs(list) do
    local value = given[field[1]]
    if value == nil then value = field[3] end
    out[field[1]] = schema.check(what, field, value)
  end
  local text = list.check and list.check(out)
  if text then util.failf("%s: %s", what, text) end
  return out
end

-- What the value of a field is called in help: N, FILE, ...
local VALUE_NAMES = { integer = "N", number = "X", path = "PATH", batch = "N|auto", boolean = "true|false", size = "SIZE", text = "TEXT", name = "NAME" }
function schema.value_name(field)
  return field[2] == "choice" and #table.concat(field[5], "|") < 30 and table.concat(field[5], "|") or VALUE_NAMES[field[2]] or field[2]:upper()
end

-- The arguments of a constructor: values in their order and a table of options at the end. `names` says what the values are: the name of an option that
-- may be said so too, or false for one that is a value only. Returns the values and the checked options.
function schema.arguments(what, list, names, ...)
  local values, given = util.arguments(...)
  if values.n > #names then
    if #names == 0 then util.failf("%s: options come in a table", what) end
    util.failf("%s: too many arguments: %d come before the options, %d at most", what, values.n, #names)
  end
  local merged = {}
  for key, value in pairs(given) do merged[key] = value end
  for i, name in ipairs(names) do
    if name and values[i] ~= nil then
      if merged[name] ~= nil then util.failf("%s: %s is given twice, as a value and as an option", what, name) end
      merged[name] = values[i]
    end
  end
  return values, schema.options(what, list, merged)
end

-- The same for options that have changed since: what is wrong with them together is an error of the command line.
function schema.recheck(what, list, options)
  local text = list.check and list.check(options)
  if text then schema.usage(("%s: %s"):format(what, text)) end
end

-- A value as a text that schema.parse takes back.
function schema.show(value)
  if value == nil then return "-" end
  if type(value) == "function" then return "(function)" end
  if core.is_tensor(value) then return ("(tensor %s)"):format(util.shape_text(value:shape())) end
  if type(value) == "table" then
    local parts = {}
    for i, each in ipairs(value) do parts[i] = schema.show(each) end
    return table.concat(parts, ",")
  end
  if math.type(value) == "float" then return ("%.6g"):format(value) end
  return tostring(value)
end

-- ---- descriptions: what constructors of data and optimisers give ----

local description = { __name = "description" }
description.__index = description
function description.__tostring(d)
  local parts = {}
  for _, field in ipairs(d.schema) do
    local value = d.options[field[1]]
    if value ~= nil and value ~= field[3] then parts[#parts + 1] = ("%s = %s"):format(field[1], schema.show(value)) end
  end
  return ("%s.%s { %s }"):format(d.family, d.kind, table.concat(parts, ", "))
end

-- family "data", kind "cifar10": an object with options, schema and the place of the call.
function schema.describe(family, kind, list, given)
  local what = family .. "." .. kind
  if given ~= nil and not util.is_options(given) then util.failf("%s: options come in a table", what) end
  return setmetatable({ family = family, kind = kind, schema = list, options = schema.options(what, list, given or {}), where = util.where() }, description)
end

function schema.is_description(v, family) return getmetatable(v) == description and v.family == family end

-- The same for another kind: options that it has too are carried over, except those named in `not_these`.
function schema.change_kind(d, kind, list, not_these)
  local given = {}
  for _, field in ipairs(list) do
    local old = schema.find(d.schema, field[1])
    local value = d.options[field[1]]
    if old and value ~= nil and value ~= old[3] and not (not_these and not_these[field[1]]) then given[field[1]] = value end
  end
  local new = schema.describe(d.family, kind, list, given)
  new.where = d.where
  return new
end

return schema
