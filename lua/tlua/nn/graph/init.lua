-- graph - the network of a model file as a module, made from the calls that stand in the file (docs/format.md): whoever
-- wrote it, and in whatever language. Its parameters have the names of the file, so they are frozen, grouped, trained
-- and saved as any network's.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local description = require "tlua.weights.description"
local parts = require "tlua.nn.graph.parts"
local calls = require "tlua.nn.graph.calls"
local run = require "tlua.nn.graph.run"
local split = parts.split

--   nn.Graph(path), nn.Graph { path } or nn.Graph { path = FILE, cut = NAME }: a model file or a run's folder
local Graph = module.class "nn.Graph"
Graph.scoped, Graph.counters, Graph.set_counter = true, parts.counters, parts.set_counter
local CUT = { "cut", "text", nil, "the value that becomes the output; what is behind it is dropped" }
local GRAPH = { { "path", "path", nil, "a model file, or the folder of a run" }, CUT }

-- ---- where the calls come from ----

-- {text =, entries =, tensors = or path =, what = the beginning of messages, labels =, preprocessing =}
local Source = {}

local function of_file(o)
  if not o.path then util.fail "nn.Graph: the path of a model file is missing" end
  local path = util.model_path(core.path(o.path))
  local missing = util.missing(path)
  if missing then util.fail(missing) end
  local entries, metadata = core.entries(path)
  local text = metadata and metadata["tlua.plan"]
  if not text then
    util.failf("%s holds no plan of its network, as checkpoints do not: the model.safetensors of its run has one",
      path)
  end
  local info = metadata.tlua and description.read(metadata.tlua)
  return setmetatable({ what = path, path = path, text = text, entries = entries, cut = o.cut,
    label = ("nn.Graph(%s)"):format(path), load = function() return (core.load(path)) end,
    labels = info and info.labels, preprocessing = info and info.preprocessing }, Source)
end

local FROM = { { "text", "text", nil, "the plan, as a model file has it (docs/format.md)" },
  { "tensors", "any", nil, "its tensors by name" },
  { "label", "text", "nn.Graph", "what it is called in messages" },
  { "preprocessing", "any", nil, "of pictures" }, { "file_labels", "any", nil, "names of the classes" },
  { "notes", "any", nil, "what is to be said of it: a list of texts" },
  { "value_names", "any", nil, "what else values are called: for each call a name, several, or false" }, CUT }

local function of_tensors(o)
  o = schema.options("graph.from", FROM, o)
  if not o.text then util.fail "graph.from: the text of a plan is missing" end
  local entries, tensors = {}, {}
  for _, name in ipairs(util.keys(o.tensors or {})) do
    local t = o.tensors[name]
    if not core.is_tensor(t) then util.failf("%s: '%s' is no tensor", o.label, name) end
    tensors[name] = core.persist(t)
    entries[#entries + 1] = { name = name, dtype = t:dtype(), shape = t:shape() }
  end
  return setmetatable({ what = o.label, text = o.text, entries = entries, tensors = tensors, cut = o.cut,
    label = o.label, load = function() return tensors end, labels = o.file_labels, preprocessing = o.preprocessing,
    notes = o.notes, value_names = o.value_names }, Source)
end

-- The module of a plan and its tensors, which it takes as they are: nobody else may write into them. Parameters come in
-- the order of the calls.
--   from { text = JSON, tensors = { name = tensor }, label =, preprocessing =, file_labels =, notes =, value_names =,
--     cut = }
local function from(o) return Graph(of_tensors(o)) end

-- ---- making ----

-- Entries in the order in which calls take them, then those that none takes.
local function in_order(list, entries)
  local at, n = {}, 0
  for _, c in ipairs(list.calls) do
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" and not at[each] then n, at[each] = n + 1, n + 1 end
    end
  end
  local out = { table.unpack(entries) }
  table.sort(out, function(a, b)
    local i, k = at[a.name] or math.huge, at[b.name] or math.huge
    if i ~= k then return i < k end
    return a.name < b.name
  end)
  return out
end

-- Takes over the calls: cut, named, and with their tensors in the tree of parts.
local function take_calls(self, s)
  local list, has = calls.read(s.what, s.text, s.load), {}
  for _, e in ipairs(s.entries) do has[e.name] = true end
  calls.number(list)
  calls.check(s.what, list, has)
  calls.name(list)
  local names = s.value_names
  if s.cut then
    local value = calls.find(s.what, list, s.cut, names)
    names = calls.cut(list, value, names)
  end
  for _, each in ipairs { "calls", "inputs", "outputs", "symbols" } do rawset(self, each, list[each]) end
  rawset(self, "last", calls.last_uses(list))
  rawset(self, "value_names", names)
  rawset(self, "places_of", {})
  parts.add(self, s.path and s.entries or in_order(list, s.entries), calls.tensors(list), not (s.cut or s.tensors))
end

function Graph:init(first, ...)
  local s = first
  if getmetatable(first) ~= Source then
    if type(first) == "table" and #first == 1 and next(first, 1) == nil then first = first[1] end
    local _, o = schema.arguments("nn.Graph", GRAPH, { "path" }, first, ...)
    s = of_file(o)
  end
  rawset(self, "source_label", s.label)
  rawset(self, "notes", s.notes or {})
  take_calls(self, s)
  local names = {}
  for i, port in ipairs(self.outputs) do names[i] = port.name end
  rawset(self, "output_names", names)
  local out = self.outputs[1].dims
  rawset(self, "classes", #self.outputs == 1 and out and math.type(out[#out]) == "integer" and out[#out] or nil)
  rawset(self, "file_labels", not s.cut and s.labels or nil)
  rawset(self, "file_preprocessing", s.preprocessing)
  rawset(self, "_pending", function(me)
    if s.tensors then parts.adopt(me, s.tensors) return end
    if not s.cut then
      local own = rawget(me, "own_head")
      me:load(s.path, own and { what = s.path, head = me.head_name } or { what = s.path, whole = true })
      return
    end
    local scope <close> = core.scope()
    parts.adopt(me, s.load())
  end)
  self:find_head()
end

-- ---- the head ----

-- A linear layer whose result is the output is the head: another may take its place, as with the networks of the
-- registry.
function Graph:find_head()
  local h = #self.outputs == 1 and self:maker_of(self.outputs[1].value)
  local c = h and self.calls[h]
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

-- The number of the call that makes a value, nil of what goes in.
function Graph:maker_of(value)
  for i = #self.calls, 1, -1 do
    local c = self.calls[i]
    if value >= c.first then return value < c.first + c.results and i or nil end
  end
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

function Graph:label() return rawget(self, "source_label") or "nn.Graph" end
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

-- ---- running: tlua/nn/graph/run.lua ----

-- x: a tensor for each input, in their order, or a list of them. Gives the output, or a list of them where there are
-- several.
function Graph:forward(...) return (run.forward(self, ...)) end

-- Calls f(k, name, y, own) for the output y of each call k, until f says true. own: weights made it, or what they made
-- was only changed place by place.
function Graph:each_output(x, f)
  self:ready()
  run.each_output(self, x, f)
end

-- What comes out of call k for x, as a leaf, and a function that goes on from there.
function Graph:split(x, k)
  self:ready()
  return run.split(self, x, k)
end

util.seal(Graph, "", 1, { init = true, forward = true })
return { Graph = Graph, from = from }
