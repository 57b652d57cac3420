-- graph.lua - the network of a model file as a module, made from the calls that stand in the file (docs/format.md):
-- whoever wrote it, and in whatever language. Its parameters have the names of the file, so they are frozen, grouped,
-- trained and saved as any network's.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local recompute = require "tlua.train.recompute"
local description = require "tlua.weights.description"
local norm = require "tlua.nn.norm"
local ops = core.ops

-- ---- the tree of names ----

-- "layer4.0" of "layer4.0.weight", for as many levels as the names have. It has tensors and no forward.
local Part = module.class "nn.GraphPart"
function Part:label() return "part of a graph" end

-- Whole numbers of the file that no batch norm counts stay as they are.
local function counters(self) return rawget(self, "numbers") or {} end
local function set_counter(self, name, n) self.numbers[name] = n end
Part.counters, Part.set_counter = counters, set_counter

-- A part whose tensors are a batch norm's. It decides as nn.BatchNorm2d does whether statistics are the batch's.
local Norm = module.class("nn.GraphNorm", norm.BatchNorm2d)
function Norm:init() rawset(self, "batches", 0) end
function Norm:label() return "batch norm of a graph" end

-- The part of a path below `self`, made where it is not there; nil where a name has an empty word.
local function part_at(self, path, class)
  local m = self
  for key in (path .. "."):gmatch "(.-)%." do
    if key == "" then return nil end
    local below = m._modules[key]
    if not below then
      local whole = m == self and key or m:path() .. "." .. key
      below = whole == path and class() or Part()
      m[key] = below
    end
    m = below
  end
  return m
end

local function split(name)
  local above, last = name:match "^(.*)%.([^.]+)$"
  return above or "", last or name
end

-- ---- the module ----

--   nn.Graph(path), nn.Graph { path } or nn.Graph { path = FILE }: a model file or a run's folder
local Graph = module.class "nn.Graph"
Graph.scoped, Graph.counters, Graph.set_counter = true, counters, set_counter
local GRAPH = { { "path", "path", nil, "a model file, or the folder of a run" } }

-- The calls of a file, in today's form.
local function calls_of(path, text)
  local ok, list = pcall(core.plan_calls, text)
  if ok and list.format == 1 then
    local scope <close> = core.scope()
    local new, why = core.plan_upgrade(text, (core.load(path)))
    if not new then util.failf("%s: %s", path, util.without_place(why)) end
    ok, list = pcall(core.plan_calls, new)
  end
  if not ok then util.failf("%s: %s", path, util.without_place(list)) end
  return list
end

-- Which tensors training moves: those that some call takes where a gradient can go, and that are no buffers.
local function trained_names(list)
  local names = {}
  for _, c in ipairs(list.calls) do
    for k, each in ipairs(c.inputs) do
      local trainable = k > 8 or c.constants >> (k - 1) & 1 == 0
      if type(each) == "string" and trainable and not list.buffers[each] then names[each] = true end
    end
  end
  return names
end

-- The batch norms: their parts are made first, since they are of another class.
local function make_norms(self, calls)
  for _, c in ipairs(calls) do
    local mean = c.op == "batch_norm" and c.inputs[4]
    if type(mean) == "string" then
      local path = split(mean)
      local part = path ~= "" and (self:find(path) or part_at(self, path, Norm))
      if part and part.uses_batch then
        rawset(part, "momentum", part.momentum or c.attrs.momentum)
        rawset(part, "affine", c.inputs[2] and true or false)
        c.norm = part
      end
    end
  end
end

local function add_tensors(self, entries, trained)
  for _, e in ipairs(entries) do
    local path, last = split(e.name)
    local part = path == "" and self or part_at(self, path, Part)
    if not part then
      util.failf("a tensor of the file is called '%s', which has an empty word between its dots", e.name)
    end
    if e.dtype == "int64" and #e.shape == 0 then -- num_batches_tracked, which the batch norms have as a number
      if not part.uses_batch then
        if not rawget(part, "numbers") then rawset(part, "numbers", {}) end
        part.numbers[last] = 0
      end
    else
      part[trained[e.name] and "parameter" or "buffer"](part, last, e.shape, { "constant", 0 })
      self.places_of[e.name] = { part, last }
    end
  end
end

-- For each value the last call that takes it; of what comes out, one that never comes.
local function last_uses(list)
  local last = {}
  for i, c in ipairs(list.calls) do
    for _, each in ipairs(c.inputs) do
      if type(each) == "number" then last[each] = i end
    end
  end
  for _, out in ipairs(list.outputs) do last[out.value] = math.huge end
  return last
end

-- What calls are named after: the module of their first tensor; others after operator and number.
local function name_calls(calls)
  local taken = {}
  for i, c in ipairs(calls) do
    local name
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" and not name then name = (split(each)) end
    end
    if not name or name == "" then name = ("%s_%d"):format(c.op, i) end
    if taken[name] then name = ("%s_%d"):format(name, i) end
    taken[name], c.name = true, name
  end
end

function Graph:init(first, ...)
  if type(first) == "table" and #first == 1 and next(first, 1) == nil then first = first[1] end
  local _, o = schema.arguments("nn.Graph", GRAPH, { "path" }, first, ...)
  if not o.path then util.fail "nn.Graph: the path of a model file is missing" end
  local path = util.model_path(core.path(o.path))
  local missing = util.missing(path)
  if missing then util.fail(missing) end
  local entries, metadata = core.entries(path)
  local text = metadata and metadata["tlua.plan"]
  if not text then
    util.failf("%s holds no plan of its network, as checkpoints do not: the model.safetensors of its run has one", path)
  end
  local list = calls_of(path, text)
  for _, each in ipairs { "calls", "inputs", "outputs", "symbols" } do rawset(self, each, list[each]) end
  rawset(self, "last", last_uses(list))
  rawset(self, "places_of", {})
  rawset(self, "path_of_file", path)
  local names = {}
  for i, port in ipairs(self.outputs) do names[i] = port.name end
  rawset(self, "output_names", names)
  name_calls(self.calls)
  make_norms(self, self.calls)
  add_tensors(self, entries, trained_names(list))
  for i, c in ipairs(self.calls) do
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" and not self.places_of[each] then
        util.failf("%s: its plan: the tensor '%s' is not in the file", path, each)
      elseif type(each) == "number" and each >= #self.inputs + i then
        util.failf("%s: its plan: there is no value %d yet", path, each - 1)
      end
    end
  end
  for _, port in ipairs(self.outputs) do
    if port.value > #self.inputs + #self.calls then
      util.failf("%s: its plan: there is no value %d", path, port.value - 1)
    end
  end
  local out = self.outputs[1].dims
  rawset(self, "classes", #self.outputs == 1 and math.type(out[#out]) == "integer" and out[#out] or nil)
  local info = metadata.tlua and description.read(metadata.tlua)
  rawset(self, "file_labels", info and info.labels)
  rawset(self, "file_preprocessing", info and info.preprocessing)
  rawset(self, "_pending", function(me)
    me:load(path, rawget(me, "own_head") and { what = path, head = me.head_name } or { what = path, whole = true })
  end)
  self:find_head()
end

-- ---- the head ----

-- A linear layer whose result is the output is the head: another may take its place, as with the networks of the
-- registry.
function Graph:find_head()
  local h = self.outputs[1].value - #self.inputs
  local c = #self.outputs == 1 and self.calls[h]
  local plain = c and c.op == "linear" and type(c.inputs[1]) == "number" and not c.inputs[4]
  local name = plain and type(c.inputs[2]) == "string" and split(c.inputs[2])
  if not name or name == "" then return end
  for i, each in ipairs(self.calls) do
    for _, input in ipairs(each.inputs) do
      local inside = type(input) == "string" and input:sub(1, #name + 1) == name .. "."
      if i ~= h and inside then return end -- others need it too
    end
  end
  local weight = self.places_of[c.inputs[2]]
  for _, spec in ipairs(weight[1]._specs) do
    if spec.name == weight[2] then rawset(self, "features_width", spec.shape[2]) end
  end
  rawset(self, "head_name", name)
  rawset(self, "head_call", c)
end

function Graph:head() return self.head_call and (self.head_call.head or self:find(self.head_name)) or nil end

-- Puts a module in the place of the last linear layer; a Linear without an input width takes the width that comes.
function Graph:set_head(head)
  local c = self.head_call
  if not c then
    util.failf("%s does not end with a linear layer of its own, so no head can take its place", self:label())
  end
  local above, key = self.head_name:match "^(.*)%.([^.]+)$"
  local owner = above and self:find(above) or self
  owner[key or self.head_name] = head
  for name in pairs(self.places_of) do
    if name:sub(1, #self.head_name + 1) == self.head_name .. "." then self.places_of[name] = nil end
  end
  c.head, c.inputs, c.sized = head, { c.inputs[1] }, {}
  rawset(self, "own_head", true)
  rawset(self, "file_labels", nil)
  rawset(self, "classes", head:infer(self.features_width))
  head:walk(function(m)
    for name in pairs(m._frozen) do m._frozen[name] = nil end
  end)
  self:_touch()
  return self
end

function Graph:label() return ("nn.Graph(%s)"):format(rawget(self, "path_of_file") or "?") end
function Graph:labels() return self.file_labels end
function Graph:preprocessing() return self.file_preprocessing or {} end
function Graph:infer() return self.classes end

-- What a model file of it says again (tlua/weights/model_file.lua).
function Graph:plan_inputs()
  local list = {}
  for i, port in ipairs(self.inputs) do
    list[i] = { table.unpack(port.dims) }
    list[i].name, list[i].dtype = port.name, port.dtype
  end
  return list
end

-- ---- which calls are trained ----

-- Is one of the call's tensors trained?
local function trains(self, c)
  if c.head then return select(2, c.head:_survey()) end
  for _, each in ipairs(c.inputs) do
    local place = type(each) == "string" and self.places_of[each]
    if place and not place[1]._frozen[place[2]] then
      for _, spec in ipairs(place[1]._specs) do
        if spec.name == place[2] and spec.kind == "parameter" then return true end
      end
    end
  end
  return false
end

-- What follows from freezing: {fixed = how many first calls give the same for the same input, drops = {call = true}}. A
-- dropout draws between parts that are trained, or beside one.
local function survey(self)
  local known = rawget(self, "_survey_of")
  if known and known.changes == module.changes then return known end
  local s = { changes = module.changes, drops = {}, fixed = #self.calls }
  local before, waiting = false, {}
  for i, c in ipairs(self.calls) do
    local has = c.head ~= nil
    for _, each in ipairs(c.inputs) do has = has or type(each) == "string" end
    local moves = has and trains(self, c)
    if has then
      for _, k in ipairs(waiting) do s.drops[k] = s.drops[k] or moves end
      before, waiting = moves, {}
    elseif c.op == "dropout" then
      s.drops[i] = before
      waiting[#waiting + 1] = i
    end
    if s.fixed == #self.calls and (moves or (c.norm and c.norm:uses_batch())) then s.fixed = i - 1 end
  end
  for i = s.fixed, 1, -1 do
    if self.training and s.drops[i] then s.fixed = i - 1 end
  end
  rawset(self, "_survey_of", s)
  return s
end

-- ---- running ----

-- The attributes of a call, with what depends on the sizes of this input.
local function attributes(c, sizes)
  if #c.sized == 0 then return c.attrs end
  local out = {}
  for key, value in pairs(c.attrs) do out[key] = type(value) == "table" and { table.unpack(value) } or value end
  for _, each in ipairs(c.sized) do
    local v = each.times * sizes[each.symbol]
    if each.at == 0 then out[each.attr] = v else out[each.attr][each.at] = v end
  end
  return out
end

local function batch_norm(c, args, attrs)
  local own = c.norm
  local training = own ~= nil and own:uses_batch()
  local momentum = own and (recompute.again and 0 or own.momentum) or attrs.momentum
  local y = ops.batch_norm(args[1], args[2], args[3], args[4], args[5], args[6],
    { training = training, momentum = momentum, eps = attrs.eps, activation = attrs.activation })
  if training and not plan.imaginary and not recompute.again then own.batches = own.batches + 1 end
  return y
end

local function call(self, c, i, values, sizes)
  local args, n = {}, #c.inputs
  for k, each in ipairs(c.inputs) do
    if type(each) == "number" then args[k] = values[each]
    elseif each then
      local place = self.places_of[each]
      args[k] = place[1]._tensors[place[2]]
    end
  end
  if c.head then return (c.head(args[1])) end
  local attrs = attributes(c, sizes)
  if c.op == "batch_norm" then return batch_norm(c, args, attrs) end
  if c.op == "dropout" then
    local draws = not plan.writing and self.training and survey(self).drops[i]
    if not draws and not plan.writing then return args[1] end
    attrs = { p = attrs.p, training = draws }
  end
  args[n + 1] = attrs
  local y = ops[c.op](table.unpack(args, 1, n + 1))
  return y
end

-- What goes in, as values; `holders` counts the values that one handle stands for, since a dropout that does nothing
-- gives what it was given.
local function values_of(list)
  local values = { table.unpack(list) }
  values.holders = {}
  for _, x in ipairs(list) do values.holders[x] = 1 end
  return values
end

local function put(values, v, t)
  values[v] = t
  values.holders[t] = (values.holders[t] or 0) + 1
end

local function let_go(values, v)
  local t = values[v]
  values[v] = nil
  values.holders[t] = values.holders[t] - 1
  if values.holders[t] == 0 then core.discard(t) end
end

-- Makes the calls first..last. What no later one takes is let go at once, but for what went in and values that are
-- `kept` (number = true).
local function run(self, values, sizes, first, last, kept)
  local inputs = #self.inputs
  kept = kept or {}
  for i = first, last do
    local c, v = self.calls[i], inputs + i
    put(values, v, call(self, c, i, values, sizes))
    for _, each in ipairs(c.inputs) do
      local made = type(each) == "number" and each > inputs
      if made and self.last[each] == i and not kept[each] and values[each] then let_go(values, each) end
    end
    if not self.last[v] and not kept[v] then let_go(values, v) end
  end
end

-- What goes in, as a list, and the sizes of the symbols in it.
local function check_inputs(self, ...)
  local list, sizes = table.pack(...), {}
  if list.n == 1 and type(list[1]) == "table" and not core.is_tensor(list[1]) then list = list[1] end
  if #list ~= #self.inputs then
    util.failf("%s: it has %d inputs, and %d were given", self:label(), #self.inputs, #list)
  end
  for i, port in ipairs(self.inputs) do
    if not core.is_tensor(list[i]) then util.failf("%s: the input '%s' is no tensor", self:label(), port.name) end
    local shape = list[i]:shape()
    local fits = #shape == #port.dims
    for k, d in ipairs(port.dims) do
      if type(d) == "string" then
        sizes[d] = sizes[d] or shape[k]
        d = sizes[d]
      end
      fits = fits and d == shape[k]
    end
    if not fits then
      local dims = {}
      for k, d in ipairs(port.dims) do dims[k] = tostring(d) end
      util.failf("%s: the input '%s' is (%s), not %s", self:label(), port.name, table.concat(dims, ", "),
        util.shape_text(shape))
    end
  end
  return list, sizes
end

local function results(self, values)
  local out = {}
  for i, port in ipairs(self.outputs) do out[i] = values[port.value] end
  return #out == 1 and out[1] or out
end

-- Values that the first k calls make and later ones want.
local function boundary(self, k)
  local list = {}
  for v = #self.inputs + 1, #self.inputs + k do
    if self.last[v] and self.last[v] > k then list[#list + 1] = v end
  end
  return list
end

-- The values after the first k calls, without gradients, as a plan.
local function below(self, list, k)
  local wanted, values = boundary(self, k), values_of(list)
  if k == 0 or #wanted == 0 then return values, 0 end
  local guard <close> = core.no_grad()
  local function first(me, x)
    local given, of_given = check_inputs(me, x) -- while it is traced there are stand-ins of other sizes
    local made = values_of(given)
    run(me, made, of_given, 1, k)
    local out = {}
    for i, v in ipairs(wanted) do out[i] = made[v] end
    return out
  end
  local made = plan.run(self, "below " .. k, first, #list == 1 and list[1] or list)
  for i, v in ipairs(wanted) do put(values, v, made[i]) end
  return values, k
end

-- x: a tensor for each input, in their order, or a list of them. Gives the output, or a list of them where there are
-- several.
function Graph:forward(...)
  local list, sizes = check_inputs(self, ...)
  local s = survey(self)
  local k = not core.recording() and #self.calls or module.wants_gradient(table.unpack(list)) and 0 or s.fixed
  if not core.recording() and s.fixed < k and self.training then k = s.fixed end -- what is left may move statistics
  if plan.tracing or plan.off then k = 0 end
  local values
  values, k = below(self, list, k)
  run(self, values, sizes, k + 1, #self.calls)
  return results(self, values)
end

-- ---- looking inside: tlua/command/explain.lua ----

local ELEMENTWISE = { add = true, mul = true, sub = true, relu = true, relu6 = true, silu = true, hardswish = true,
  gelu = true, sigmoid = true, tanh = true, hardsigmoid = true, batch_norm = true, dropout = true, maximum = true }

-- Calls f(k, name, y, own) for the output y of each call k, until f says true. own: weights made it, or what they made
-- was only changed place by place.
function Graph:each_output(x, f)
  self:ready()
  local list, sizes = check_inputs(self, x)
  local values, own, kept = values_of(list), {}, {}
  for i, c in ipairs(self.calls) do
    local v = #self.inputs + i
    kept[v] = true
    run(self, values, sizes, i, i, kept)
    own[v] = false
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" or (ELEMENTWISE[c.op] and own[each]) then own[v] = true end
    end
    if f(i, c.name, values[v], own[v]) then return end
  end
end

-- What comes out of call k for x, as a leaf, and a function that goes on from there.
function Graph:split(x, k)
  self:ready()
  local list, sizes = check_inputs(self, x)
  local values = values_of(list)
  local at = #self.inputs + k
  do
    local guard <close> = core.no_grad()
    run(self, values, sizes, 1, k, { [at] = true })
  end
  return values[at], function(a)
    put(values, at, a)
    run(self, values, sizes, k + 1, #self.calls, { [at] = true })
    return results(self, values)
  end
end

util.seal(Graph, "", 1, { init = true, forward = true })
return { Graph = Graph }
