-- facts.lua - what `tlua inspect` has found out about a file, as plain tables: whatever prints, draws or writes JSON
-- takes it from here. Nothing is run; of a network the shapes are worked out in a dry run.
local core = require "tlua.core"
local util = require "tlua.util"
local models = require "tlua.models"
local plan = require "tlua.plan"
local shapes = require "tlua.nn.graph.shapes"
local stages = require "tlua.nn.graph.stages"
local costs = require "tlua.nn.graph.cost"
local calls = require "tlua.nn.graph.calls"
local graph = require "tlua.nn.graph"
local split = require("tlua.nn.graph.parts").split
local description = require "tlua.weights.description"
local facts = {}

local product = util.product

-- ---- of a network ----

-- Sizes for what is counted: one picture, of the size that the preprocessing says, else 224, else that of the trace.
local function sizes_of(net)
  local sizes, p = setmetatable({ N = 1 }, { __index = net.symbols }), net:preprocessing()
  local port = net.inputs[1]
  if port and #port.dims == 4 then
    for _, d in ipairs { port.dims[2], port.dims[3] } do
      if type(d) == "string" and d ~= "N" then sizes[d] = math.type(p.size) == "integer" and p.size or 224 end
    end
  end
  return sizes
end

local function measured(net)
  for _, sizes in ipairs { sizes_of(net), setmetatable({ N = 1 }, { __index = net.symbols }), net.symbols } do
    local ok, found, types = pcall(shapes.at, net, sizes)
    if ok then return found, types, sizes end
  end
  util.failf("%s: the shapes of its values cannot be worked out", net:label())
end

local function ports_of(net, list, sizes)
  local out, s = {}, shapes.of(net)
  for i, port in ipairs(list) do
    local at = {}
    for k, d in ipairs(port.dims or {}) do at[k] = type(d) == "string" and sizes[d] or d end
    local dims = s[port.value] or s[i]
    out[i] = { name = port.name, dtype = port.dtype, shape = dims and shapes.text(dims) or "?", at = at }
  end
  return out
end

-- {op =, count =}, the most frequent first.
local function counted(list, key)
  local count, out = {}, {}
  for _, c in ipairs(list) do
    if not count[c[key]] then out[#out + 1] = c[key] end
    count[c[key]] = (count[c[key]] or 0) + 1
  end
  table.sort(out, function(a, b)
    if count[a] ~= count[b] then return count[a] > count[b] end
    return a < b
  end)
  for i, op in ipairs(out) do out[i] = { op = op, count = count[op] } end
  return out
end

-- For each call how many numbers are in the parameters that it takes first.
local function parameters_of(net)
  local sizes, seen, list = {}, {}, {}
  for _, each in ipairs(net:specs()) do
    if each.spec.kind == "parameter" then sizes[each.path] = product(each.spec.shape) end
  end
  for i, c in ipairs(net.calls) do
    list[i] = 0
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" and not seen[each] then
        seen[each] = true
        list[i] = list[i] + (sizes[each] or 0)
      end
    end
  end
  return list
end

local function sum(list, first, last)
  local n = 0
  for i = first, last do n = n + list[i] end
  return n
end

-- Rows of the stages, with the head as the last.
local function stages_of(net, own, mads)
  local out, s, list = {}, shapes.of(net), stages.of(net)
  local function row(name, first, last, value)
    local dims = value and s[value]
    out[#out + 1] = { name = name, first = first, last = last, shape = dims and shapes.text(dims) or nil,
      parameters = sum(own, first, last), multiply_adds = sum(mads, first, last) }
  end
  for _, each in ipairs(list) do row(each.name, each.first, each.last, each.value) end
  if list[#list].last < #net.calls then
    row(net.head_call and "head: " .. net.head_name or "output", list[#list].last + 1, #net.calls,
      net.outputs[1].value)
  end
  return out
end

-- Where it can be cut: every place where a single value passes, by the name that `cut` takes.
local function cuts_of(net, own)
  local out, s, of, stage_at = {}, shapes.of(net), {}, {}
  local all, behind = sum(own, 1, #net.calls), 0
  local named, names = calls.values(net, net.value_names)
  for i = #names, 1, -1 do of[named[names[i]]] = names[i] end
  for _, each in ipairs(stages.of(net)) do stage_at[each.last] = each.name end
  local at = 0
  for _, b in ipairs(stages.boundaries(net)) do
    behind, at = behind + sum(own, at + 1, b.at), b.at
    if b.value then
      local stage = stage_at[b.at]
      local free = stage and (named[stage] == nil or named[stage] == b.value) and stage
      out[#out + 1] = { name = free or of[b.value], value = of[b.value], stage = stage, shape = shapes.text(s[b.value]),
        below = behind, above = all - behind }
    end
  end
  return out
end

-- Adds to `f` what is known of a graph.
function facts.of_network(f, net)
  local found, types, sizes = measured(net)
  local mads, total = costs.of(net, found)
  local own = parameters_of(net)
  f.net, f.found, f.types, f.multiply_adds_of, f.parameters_of = net, found, types, mads, own
  f.inputs, f.outputs = ports_of(net, net.inputs, sizes), ports_of(net, net.outputs, sizes)
  f.symbols = util.keys(net.symbols)
  f.parameters, f.multiply_adds, f.calls = net:count(), total, #net.calls
  f.operators, f.stages, f.cuts = f.operators or counted(net.calls, "op"), stages_of(net, own, mads), cuts_of(net, own)
  local list = { table.unpack(f.notes or {}) }
  f.notes = table.move(net.notes, 1, #net.notes, #list + 1, list)
  f.preprocessing = next(net:preprocessing()) and net:preprocessing() or nil
  f.labels = f.labels or net:labels()
  return f
end

-- ---- of files ----

local function onnx(path, o)
  local m = core.onnx_read(path)
  local opsets, own = {}, {}
  for _, domain in ipairs(util.keys(m.opsets)) do
    opsets[#opsets + 1] = domain == "" and tostring(m.opsets[domain]) or ("%s %d"):format(domain, m.opsets[domain])
  end
  local info = m.metadata.tlua and description.read(m.metadata.tlua)
  local told = info and { tlua = true, ["tlua.pipeline"] = true, labels = true } or {}
  for key, value in pairs(m.metadata) do
    if not told[key] then own[key] = util.shown(tostring(value), 200) end
  end
  local f = { kind = "ONNX", producer = m.producer ~= "" and m.producer or nil, opset = table.concat(opsets, ", "),
    ir_version = m.ir_version, metadata = next(own) and own or nil, graph_name = m.graph.name,
    operators = counted(m.graph.nodes, "op"), operators_of = "ONNX", nodes = #m.graph.nodes,
    tensors = #m.graph.tensors, task = info and info.task and info.task.name }
  local ok, net = pcall(function()
    local made = models.onnx { path = path, logits = false, sizes = o.sizes, values = o.values }
    made:count() -- opens it
    return made
  end)
  if ok then return facts.of_network(f, net) end
  f.why_not, f.inputs, f.outputs = util.reason(net, path), {}, {}
  for _, side in ipairs { "inputs", "outputs" } do
    for i, port in ipairs(m.graph[side]) do
      local dims = {}
      for k, d in ipairs(port.shape or {}) do dims[k] = d and tostring(d) or "?" end
      f[side][i] = { name = port.name, dtype = port.dtype or port.kind or "?",
        shape = port.shape and "(" .. table.concat(dims, ", ") .. ")" or "?" }
    end
  end
  f.parameters = 0
  for _, c in ipairs(m.graph.tensors) do f.parameters = f.parameters + (c.count or 0) end
  return f
end

-- Tensors by the module that they stand in: {module =, tensors = { {name =, dtype =, shape =} }, parameters =}.
local function by_module(entries)
  local list, of = {}, {}
  for _, e in ipairs(entries) do
    local path, last = split(e.name)
    local m = of[path]
    if not m then
      m = { module = path, tensors = {}, parameters = 0 }
      of[path], list[#list + 1] = m, m
    end
    m.tensors[#m.tensors + 1] = { name = last, dtype = e.dtype, shape = e.shape }
    m.parameters = m.parameters + product(e.shape)
  end
  return list
end

local function weights(path)
  local entries, metadata, about = core.entries(path)
  local info = metadata and metadata.tlua and description.read(metadata.tlua)
  local f = { kind = "weights", modules = by_module(entries), tensors = #entries, parameters = 0 }
  for _, m in ipairs(f.modules) do f.parameters = f.parameters + m.parameters end
  if about and about.key then f.part = about.key end
  if about and about.others and #about.others > 0 then f.other_parts = about.others end
  if metadata and metadata.checkpoint then f.kind = "checkpoint of a run" end
  if info then
    f.model, f.labels, f.task = info.model, info.labels, info.task and info.task.name
    f.preprocessing, f.metrics, f.written_by = info.preprocessing, info.metrics, info.tlua and "tlua " .. info.tlua
  else
    local own = {}
    for key, value in pairs(metadata or {}) do
      if type(value) == "string" then own[key] = util.shown(value, 200) end
    end
    f.metadata = next(own) and own or nil
    f.labels = about and about.labels
  end
  if not (metadata and metadata["tlua.plan"]) then return f end
  f.kind = "model"
  local net = require("tlua.nn").Graph { path = path }
  local out = facts.of_network(f, net)
  out.modules = nil
  return out
end

-- A network of the registry, by its name.
local function registered(name)
  local net = models.build(name)
  local size = net.entry.size
  net:eval()
  -- Of sound without the lengths, which would go along beside every stage.
  local input = net.plan_inputs and net:plan_inputs()[1] or { "N", size, size, 3, name = "image" }
  local text, why = plan.text(net, { input }, net.output_names, net.open_sizes)
  if not text then error(why, 0) end
  local made = graph.from { text = text, tensors = net:state_dict(), label = name,
    preprocessing = net.entry.preprocessing }
  return facts.of_network({ kind = "network" }, made)
end

-- All that is to be said of FILE: a file, the folder of a run or the name of a network.
-- o: sizes and values of an .onnx file.
function facts.of(name, o)
  o = o or {}
  local entry = models.registry.entries[name]
  local given = o.sizes and "sizes" or o.values and "values"
  local path = util.model_path(core.path(name))
  local is_onnx = path:lower():find "%.onnx$"
  if given and not is_onnx then util.failf("--%s: is for .onnx files", given) end
  if entry and not entry.file and not core.exists(name) then return registered(name) end
  local missing = util.missing(path)
  if missing then
    local near = not name:find "[/.]" and core.near_miss(name, models.names())
    util.fail(near and util.unknown_text("file or network", name, models.names()) or missing)
  end
  local f = is_onnx and onnx(path, o) or weights(path)
  f.file, f.bytes = path, core.file_size(path)
  return f
end

return facts
