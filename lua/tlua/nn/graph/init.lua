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
local heads = require "tlua.nn.graph.head"
local network = require "tlua.nn.graph.network"

--   nn.Graph(path), nn.Graph { path } or nn.Graph { path = FILE, cut = NAME }: a model file or a run's folder
local Graph = module.class "nn.Graph"
Graph.scoped, Graph.counters, Graph.set_counter, Graph.gives = true, parts.counters, parts.set_counter, "vector"
for name, f in pairs(network) do Graph[name] = f end
local CUT = { "cut", "text", nil, "the value that becomes the output; what is behind it is dropped" }
local LOGITS = { "logits", "boolean", false, "a softmax at its end is dropped: losses want what goes into it" }
local RANDOM = { "random", "boolean", false, "parameters are drawn at random, and not those of the file" }
local GRAPH = { { "path", "path", nil, "a model file, or the folder of a run" }, CUT, LOGITS, RANDOM }

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
  return setmetatable({ what = path, path = path, text = text, entries = entries, cut = o.cut, logits = o.logits,
    random = o.random,     label = ("nn.Graph(%s)"):format(path), load = function() return (core.load(path)) end,
    labels = info and info.labels, preprocessing = info and info.preprocessing }, Source)
end

local FROM = { { "text", "text", nil, "the plan, as a model file has it (docs/format.md)" },
  { "tensors", "any", nil, "its tensors by name" },
  { "label", "text", "nn.Graph", "what it is called in messages" },
  { "preprocessing", "any", nil, "of pictures" }, { "file_labels", "any", nil, "names of the classes" },
  { "notes", "any", nil, "what is to be said of it: a list of texts" },
  { "value_names", "any", nil, "what else values are called: for each call a name, several, or false" },
  CUT, LOGITS, RANDOM,
  { "path", "path", nil, "the file that all this comes from" } }

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
    logits = o.logits, random = o.random, path = o.path, label = o.label,
    load = function() return tensors end, labels = o.file_labels, preprocessing = o.preprocessing, notes = o.notes,
    value_names = o.value_names }, Source)
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
  for _, each in ipairs { "calls", "inputs", "outputs", "symbols", "values" } do
    rawset(self, each, list[each])
  end
  rawset(self, "last", calls.last_uses(list))
  rawset(self, "value_names", s.value_names)
  rawset(self, "places_of", {})
  local wanted = calls.tensors(list)
  for _, c in ipairs(list.calls) do
    for _, each in ipairs(c.inputs) do
      if not c.layer and type(each) == "string" and wanted[each] then c.layer = each end
    end
  end
  parts.add(self, not s.tensors and s.entries or in_order(list, s.entries), wanted, not (s.cut or s.tensors))
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
  local names, out = {}, self.outputs[1].dims
  for i, port in ipairs(self.outputs) do names[i] = port.name end
  rawset(self, "output_names", names)
  rawset(self, "classes", #names == 1 and math.type(out[#out]) == "integer" and out[#out] or nil)
  rawset(self, "file_labels", s.labels)
  rawset(self, "file_preprocessing", s.preprocessing)
  rawset(self, "weights_origin", not s.random and "its own" or nil)
  rawset(self, "_pending", function(me)
    if s.path and not s.random then
      rawset(me, "weights_path", s.path)
      rawset(me, "weights_report", {})
    end
    if s.random then parts.forget(me) end
    if s.tensors then parts.adopt(me, s.tensors) return end
    if not s.cut and not s.random and not rawget(me, "partial") then
      local own = rawget(me, "own_head")
      me:load(s.path, own and { what = s.path, head = me.head_name } or { what = s.path, whole = true })
      return
    end
    local scope <close> = core.scope()
    parts.adopt(me, s.load())
  end)
  heads.find(self)
  if s.cut then heads.cut_here(self, heads.value_called(self, s.cut))
  elseif s.logits then heads.drop_softmax(self) end
end

-- ---- the head ----

function Graph:head() return self.head_call and (self.head_call.head or self:find(self.head_name)) or nil end

-- Puts a module in the place of the last layer, or behind the output of a graph that was cut (tlua/nn/graph/head.lua);
-- a Linear without an input width takes the width that comes.
function Graph:set_head(head)
  heads.set(self, head)
  return self
end

-- What a task of maps gives this network where it names no head.
function Graph:default_head(classes)
  local nn = require "tlua.nn"
  local width = heads.map_width(self)
  return width and nn.Conv2d(width, classes, 1) or nn.Linear(classes)
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
