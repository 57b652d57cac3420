-- shapes.lua - the shapes of all values of a graph, worked out in dry runs with stand-ins for its tensors: nothing is
-- read or computed. What follows from a symbol ("N", "H") is told as in src/plan/sizes.c: by another run with that size
-- doubled.
local core = require "tlua.core"
local plan = require "tlua.plan"
local run = require "tlua.nn.graph.run"
local shapes = {}

local function standins(self)
  local out = {}
  for name, place in pairs(self.places_of) do
    for _, spec in ipairs(place[1]._specs) do
      if spec.name == place[2] then
        out[name] = core.zeros(spec.shape, { dtype = place.dtype == "int32" and "int32" or "float32" })
      end
    end
  end
  return out
end

local function inputs_of(self, sizes)
  local list = {}
  for i, port in ipairs(self.inputs) do
    local dims = {}
    for k, d in ipairs(port.dims) do dims[k] = sizes[d] or d end
    list[i] = core.zeros(dims, { dtype = port.dtype == "int32" and "int32" or "float32" })
  end
  return list
end

-- {[value] = dims} with these sizes of the symbols; and the types that are no float32, {[value] = dtype}. A head that
-- is a module of its own, and what comes behind it, is left out.
function shapes.at(self, sizes)
  local found, types = {}, {}
  plan.memory(function()
    local guard <close> = core.no_grad()
    local values, own = run.values_of(inputs_of(self, sizes)), standins(self)
    local function look(first, last)
      for v = first, last do
        found[v] = values[v]:shape()
        if values[v]:dtype() ~= "float32" then types[v] = values[v]:dtype() end
      end
    end
    look(1, #self.inputs)
    for i, c in ipairs(self.calls) do
      if c.head then break end
      local kept = {}
      for v = c.first, c.first + c.results - 1 do kept[v] = true end
      run.range(self, values, sizes, i, i, kept, own)
      look(c.first, c.first + c.results - 1)
      run.let_go_unused(self, values, i)
    end
  end)
  return found, types
end

-- For each value a list of {n = the size in the trace, symbol = NAME, times = how many times it, maybe a half}, with
-- symbol = false where the size is fixed, and nil where it follows in some other way.
function shapes.of(self)
  local known = rawget(self, "_shapes")
  if known and known.calls == self.calls and known.count == #self.calls then return known end
  local base, types = shapes.at(self, self.symbols)
  local out = { calls = self.calls, count = #self.calls, types = types }
  for v, dims in pairs(base) do
    out[v] = {}
    for k, d in ipairs(dims) do out[v][k] = { n = d, symbol = false } end
  end
  for name, size in pairs(self.symbols) do
    local sizes = setmetatable({ [name] = 2 * size }, { __index = self.symbols })
    for v, dims in pairs((shapes.at(self, sizes))) do
      for k, d in ipairs(dims) do
        local at = out[v][k]
        if d ~= at.n then
          local clear = at.symbol == false and d == 2 * at.n
          at.symbol, at.times = clear and name or nil, clear and at.n / size or nil
        end
      end
    end
  end
  rawset(self, "_shapes", out)
  return out
end

-- "N", "2N", "H/4", "64" or "?"
local function dim_text(d)
  if d.symbol == false then return tostring(d.n) end
  if not d.symbol then return "?" end
  if d.times == 1 then return d.symbol end
  local whole, part = math.tointeger(d.times), math.tointeger(1 / d.times)
  return whole and whole .. d.symbol or part and ("%s/%d"):format(d.symbol, part) or ("%g%s"):format(d.times, d.symbol)
end

-- "(N, H/4, W/4, 64)"
function shapes.text(dims)
  local out = {}
  for k, d in ipairs(dims) do out[k] = dim_text(d) end
  return "(" .. table.concat(out, ", ") .. ")"
end

return shapes
