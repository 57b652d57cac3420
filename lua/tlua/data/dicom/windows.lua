-- windows.lua - which values of a scanner are seen: windows by name, as a radiologist says them, or by their centre and
-- width. As numbers they are {centre, width}; a width of 0 stands for the file's own window, -1 for the range of the
-- values, as in src/io/image.h.
local core = require "tlua.core"
local util = require "tlua.util"
local windows = {}

local FILE, RANGE = { 0, 0 }, { 0, -1 }
local MOST = 8

local names = { file = FILE, range = RANGE }
for name, pair in pairs(core.volume.windows) do names[name] = pair end
windows.names = util.keys(names)

-- "lung", "40/400" or {40, 400} -> {centre, width}; nil where it is none.
local function one(v)
  if type(v) == "string" then
    local centre, width = v:match "^%s*(%S+)%s*/%s*(%S+)%s*$"
    if not centre then return rawget(names, v:match "^%s*(.-)%s*$") end
    v = { tonumber(centre), tonumber(width) }
  end
  local fits = type(v) == "table" and #v == 2 and type(v[1]) == "number" and type(v[2]) == "number" and v[2] >= 1
    and v[2] <= 1e6 and math.abs(v[1]) <= 1e6
  return fits and { v[1] + 0.0, v[2] + 0.0 } or nil
end

-- What a recipe or a command line says -> a list of {centre, width}; nil and what is wrong with it.
function windows.read(given)
  if type(given) == "string" then given = require("tlua.schema").split(given) end
  if type(given) ~= "table" then return nil, "is a list of windows" end
  if type(given[1]) == "number" then given = { given } end
  local out = {}
  for i, each in ipairs(given) do
    out[i] = one(each)
    if not out[i] then
      local near = type(each) == "string" and core.near_miss(each, windows.names)
      return nil, ("'%s' is no window, which is one of %s, or its centre and width, like 40/400%s"):format(
        type(each) == "string" and util.shown(each) or "a list of other things", table.concat(windows.names, ", "),
        near and ("; did you mean '%s'?"):format(near) or "")
    end
  end
  if #out == 0 then return nil, "names no window" end
  if #out > MOST then return nil, ("has %d windows; %d are the most"):format(#out, MOST) end
  return out
end

-- "lung, 40/400"
function windows.text(list)
  local out = {}
  for i, pair in ipairs(list) do
    out[i] = ("%g/%g"):format(pair[1], pair[2])
    for name, known in pairs(names) do
      if known[1] == pair[1] and known[2] == pair[2] then out[i] = name end
    end
  end
  return table.concat(out, ", ")
end

-- The step of a pipeline that makes them channels.
function windows.step(list)
  local out = { "window", centre = {}, width = {} }
  for i, pair in ipairs(list) do out.centre[i], out.width[i] = pair[1], pair[2] end
  return out
end

-- The list as the model file's preprocessing has it, from anybody: is it one?
function windows.are(list)
  if type(list) ~= "table" or #list < 1 or #list > MOST then return false end
  for _, pair in ipairs(list) do
    local special = type(pair) == "table" and pair[1] == 0 and (pair[2] == 0 or pair[2] == -1)
    if not special and not (type(pair) == "table" and one(pair)) then return false end
  end
  return true
end

util.seal(windows, "data.")
return windows
