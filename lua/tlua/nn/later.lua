-- later.lua - a network that is described and not opened yet: nothing is read, and no device is chosen, before somebody
-- looks into it. Then it becomes, in its place, the network that `open` gives.
local util = require "tlua.util"
local later = {}

-- No argument is called `self` here: errors ask those what they are (src/lua/error.c), which would open it once more.
local Later = { __name = "network" }

-- What can be said of it without opening it.
local SAID = { label = function(it) return rawget(it, "said") end }

-- Takes over all that another module is, which nobody may use any more.
local function become(it, net)
  for _, key in ipairs { "said", "open_it" } do rawset(it, key, nil) end
  for key, value in pairs(net) do
    if key ~= "where" then rawset(it, key, value) end
  end
  for _, below in pairs(rawget(it, "_modules")) do rawset(below, "_parent", it) end
  for _, place in pairs(rawget(it, "places_of") or {}) do
    if place[1] == net then place[1] = it end
  end
  setmetatable(it, getmetatable(net))
  it:_touch()
end

local function opened(it)
  local open = rawget(it, "open_it")
  if not open then return it end
  util.at(rawget(it, "where"), function() become(it, open()) end)
  return it
end

function Later.__index(it, key)
  local said = SAID[key]
  if said then return said end
  return opened(it)[key]
end
function Later.__newindex(it, key, value) opened(it)[key] = value end
function Later.__call(it, ...) return opened(it)(...) end
function Later.__tostring(it) return rawget(it, "said") end

-- label: what it is called until then.
function later.describe(label, open)
  return setmetatable({ said = label, open_it = open, where = util.where(), _modules = {} }, Later)
end

return later
