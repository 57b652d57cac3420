-- form.lua - of what kind the fields are that run.json and report.json share, so that a damaged file is told by its
-- field and does not end a page halfway.
local util = require "tlua.util"
local form = {}

local function text(v) return type(v) == "string" end
local function number(v) return type(v) == "number" end
local function finite(v) return number(v) and util.is_finite(v) end
local function count(v) return math.type(v) == "integer" and v >= 0 end

-- A list of which `of` holds for every element, `least` at least.
local function list(of, least)
  return function(v)
    if type(v) ~= "table" or #v < (least or 0) then return false end
    for key, each in pairs(v) do
      if math.type(key) ~= "integer" or not of(each) then return false end
    end
    return true
  end
end

-- A table whose named fields are each of their kind; others are let be.
local function fields(kinds)
  return function(v)
    if type(v) ~= "table" then return false end
    for name, of in pairs(kinds) do
      if not of(v[name]) then return false end
    end
    return true
  end
end

-- How a number is shown.
local function format(v)
  if not text(v) then return false end
  local ok, shown = pcall(string.format, v, 0.5)
  return ok and #shown < 100
end

local function row(v)
  if type(v) ~= "table" or not count(v.epoch) then return false end
  for _, each in pairs(v) do
    if not number(each) then return false end
  end
  return true
end

local function point(v) return type(v) == "table" and #v >= 3 and list(finite)(v) end

local facts = list(function(v)
  return type(v) == "table" and (v[2] == nil or text(v[1]) and (text(v[2]) or number(v[2])))
end)

local KINDS = {
  title = text, subtitle = text, name = text, task = text, part = text, many = text, recipe = text, list = text,
  prefix = function(v) return v == "val" or v == "test" end,
  commands = list(text), ran = facts, facts = facts, trained = count, parameters = count, begun = count,
  seconds = finite, peak_bytes = finite,
  fields = function(v)
    if type(v) ~= "table" then return false end
    for key, each in pairs(v) do
      if not text(key) or not text(each) then return false end
    end
    return true
  end,
  test = fields { count = count, hash = text }, state = fields { state = text, text = text },
  metrics = fields { count = count },
  figures = list(function(v)
    return type(v) == "table" and text(v[1]) and text(v[2]) and format(v[3]) and text(v[4])
  end, 1),
  rows = list(row), steps = fields { every = count, points = list(point, 1) },
}

-- The first field, in order of names, that is of another kind than it has to be, or that is missing though it is
-- one of `needed`, with "is missing" or "is of another form"; nil where all is well. found: the table of a file.
function form.fault(found, needed)
  for _, name in ipairs(util.keys(KINDS)) do
    if found[name] ~= nil and not KINDS[name](found[name]) then return name, "is of another form" end
  end
  for _, name in ipairs(needed or {}) do
    if found[name] == nil then return name, "is missing" end
  end
end

return form
