-- network.lua - a graph as what networks of the registry are (tlua/models/network.lua): stages below, a head above.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local run = require "tlua.nn.graph.run"
local stages = require "tlua.nn.graph.stages"
local shapes = require "tlua.nn.graph.shapes"
local costs = require "tlua.nn.graph.cost"
local network = {}

-- ---- stages ----

-- The number of the last call that makes features: what is before the head, and before the dropout in front of it.
function network:body()
  local n = self.head_at and self.head_at - 1 or #self.calls
  while self.head_at and n > 0 and self.calls[n].op == "dropout" and self.last[self.calls[n].first] == n + 1 do
    n = n - 1
  end
  return n
end

function network:stage_count() return #stages.of(self) end
function network:stage_name(k) return stages.of(self)[k].name end
-- The name of the call of that name, or of the one that makes what comes out of the stage; nil where there is neither.
function network:call_of(name)
  local value
  for _, s in ipairs(stages.of(self)) do
    if s.name == name then value = s.value end
  end
  local found
  for _, c in ipairs(self.calls) do
    if c.name == name then return name end
    if value and c.first == value then found = c.name end
  end
  return found
end

function network:stage_modules(k)
  local s = stages.of(self)[k]
  return stages.modules(self, s.first, s.last)
end

-- Calls f(name, tensor) for all that stage k computes with.
function network:each_stage_tensor(k, f)
  self:ready()
  local s, known = stages.of(self)[k], {}
  for i = s.first, s.last do
    for _, each in ipairs(self.calls[i].inputs) do
      if type(each) == "string" and not known[each] then
        local place = self.places_of[each]
        known[each] = true
        f(each, place[1]._tensors[place[2]])
      end
    end
  end
end

-- How many stages from the input on are frozen and give the same for the same input. None does whose output is no
-- single value.
function network:fixed_stages()
  local list, fixed, count = stages.of(self), run.survey(self).fixed, 0
  while list[count + 1] and list[count + 1].value and list[count + 1].last <= fixed do count = count + 1 end
  return count
end

-- ---- through some of them ----

-- Between stages pictures come first. Inside, sequences may have them behind the time, as some exporters do: what comes
-- out of stage k, turned, or turned back.
local function turned(self, y, k, back)
  local s = stages.of(self)[k]
  local at = s.value and stages.pictures(shapes.of(self)[s.value]) or 1
  if at == 1 then return y end
  local axes = {}
  for i = 1, y:rank() do axes[i] = i end
  table.insert(axes, back and at or 1, table.remove(axes, back and 1 or at))
  return y:permute(axes)
end

-- What stands for the values that are known behind stage k, and the sizes of the symbols; x is what came out of it, or
-- of k = 0 what goes in.
local function behind(self, x, k)
  if k == 0 then
    local list, sizes = run.check_inputs(self, x)
    return run.values_of(list), sizes, {}
  end
  local s = stages.of(self)[k]
  if not s.value then util.failf("%s: behind stage %s there is no single value", self:label(), s.name) end
  local dims = shapes.of(self)[s.value]
  x = turned(self, x, k, true)
  local sizes = x:rank() == #dims and stages.sizes(dims, x:shape(), s.need)
  if not sizes then
    util.failf("%s: what comes out of stage %s is %s, not %s", self:label(), s.name, shapes.text(dims),
      util.shape_text(x:shape()))
  end
  local values = run.values_of {}
  run.put(values, s.value, x)
  return values, sizes, { [s.value] = true }
end

-- x behind stage k, through the calls up to number `last`.
local function through(self, x, k, last)
  local values, sizes, kept = behind(self, x, k)
  local first = k == 0 and 1 or stages.of(self)[k].last + 1
  run.stretch(self, values, sizes, first, last, kept)
  return values
end

-- What stage k alone makes of x.
function network:stage(x, k)
  self:ready()
  local s = stages.of(self)[k]
  local values = through(self, x, k - 1, s.last)
  return s.value and turned(self, values[s.value], k) or run.results(self, values)
end

-- x through the first k stages, without gradients, as a plan.
function network:below(x, k)
  if not rawget(self, "_built") then self:ready() end
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local s, y = stages.of(self)[k], nil
  if plan.tracing or plan.off then y = through(self, x, 0, s.last)[s.value] else
    local list = run.check_inputs(self, x)
    y = run.below(self, list, s.last)[s.value]
  end
  y = turned(self, y, k)
  module.keep(scope, y)
  return y
end

-- What comes out of stage k through the later ones: features, the input of the head.
function network:above(x, k)
  local list = stages.of(self)
  if k == #list then return x end
  local values = through(self, x, k, list[#list].last)
  local value = list[#list].value
  return value and turned(self, values[value], #list) or run.results(self, values)
end

-- x -> features, the input of the head; the output where there is none.
function network:features(x)
  if not rawget(self, "_built") then self:ready() end
  local all = self:stage_count()
  local k = not core.recording() and all or module.wants_gradient(x) and 0 or self:fixed_stages()
  if not stages.of(self)[all].value then k = math.min(k, all - 1) end
  local y = k > 0 and self:below(x, k) or x
  if k < all then y = self:above(y, k) end
  return y
end

-- Features -> what comes out.
function network:classify(features)
  local list = stages.of(self)
  if list[#list].last == #self.calls then return features end
  local values, sizes, kept = behind(self, features, #list)
  run.range(self, values, sizes, list[#list].last + 1, #self.calls, kept)
  return run.results(self, values)
end

-- ---- what the feature cache wants to know ----

-- How it is called in a list, and all that the outputs of the first k stages depend on beside tensors.
function network:short_name() return (self:label():match "([^/()]+)%)*$") or self:label() end
function network:structure(k)
  local lines = {}
  local function text(v)
    if type(v) ~= "table" then return tostring(v) end
    local parts = {}
    for _, key in ipairs(util.keys(v)) do parts[#parts + 1] = key .. "=" .. text(v[key]) end
    for _, each in ipairs(v) do parts[#parts + 1] = text(each) end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  for i = 1, stages.of(self)[k].last do
    local c = self.calls[i]
    lines[i] = table.concat({ c.op, text(c.inputs), text(c.attrs), text(c.sized) }, " ")
  end
  return core.sha256(table.concat(lines, "\n"))
end

-- One picture of `size` pixels on a side, or of the size that the network insists on.
function network:picture_shape(size)
  local port = self.inputs[1]
  if #self.inputs ~= 1 or #port.dims ~= 4 or port.dtype ~= "float32" then
    util.failf("%s takes no pictures", self:label())
  end
  local dims = { 1, size, size, 3 }
  for k = 2, 4 do
    if type(port.dims[k]) == "number" then dims[k] = port.dims[k] end
  end
  return dims
end

-- Shape and multiply-adds of the output for an input shape (of the first input, where there are several).
function network:cost(shape)
  local sizes = setmetatable({}, { __index = self.symbols })
  for k, d in ipairs(self.inputs[1].dims) do
    if type(d) == "string" then sizes[d] = shape[k] end
  end
  local found = shapes.at(self, sizes)
  local _, n = costs.of(self, found)
  local value = self.head_call and self.head_call.head and self.head_call.inputs[1]
  if not value then return found[self.outputs[1].value], n end
  local out, m = self.head_call.head:cost(found[value])
  return out, n + m
end

-- ---- gradient checkpointing: tlua/recompute.lua ----

-- The stages that can be computed again, by their names: { {path =, mark = function}, ... }.
function network:recomputed_parts()
  local out = {}
  for k, s in ipairs(stages.of(self)) do
    if s.value and (k > 1 or #self.inputs == 1) and #s.layers > 0 then
      out[#out + 1] = { path = s.name, mark = function()
        local marked = rawget(self, "recomputed_stages") or {}
        marked[s.name] = true
        rawset(self, "recomputed_stages", marked)
      end }
    end
  end
  return out
end

-- {number of the first call = {last =, from =, value =}} of those that are marked; nil where none is.
function network:marked_stretches()
  local marked = rawget(self, "recomputed_stages")
  if not marked then return nil end
  local list, out = stages.of(self), {}
  for k, s in ipairs(list) do
    if marked[s.name] and s.value then
      out[s.first] = { last = s.last, from = k == 1 and 1 or list[k - 1].value, value = s.value }
    end
  end
  return out
end

return network
