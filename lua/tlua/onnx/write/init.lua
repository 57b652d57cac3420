-- tlua.onnx.write - a network's calls (docs/format.md) as an ONNX graph for core.onnx_write. docs/onnx.md says what
-- becomes of which operator.
local core = require "tlua.core"
local util = require "tlua.util"
local plan = require "tlua.plan"
local values = require "tlua.onnx.write.values"
local handlers = require "tlua.onnx.write.ops"
local fold = require "tlua.onnx.write.fold"
local unknown_in = require "tlua.onnx.write.known"
local write = {}

write.OPSETS = { least = 13, most = 21, default = 17 }

-- ---- shapes ----

-- The shapes and types of all values for those sizes, by number; nothing is computed. Numbers the results of calls
-- that have no number yet: only the operator knows how many there are.
local function shapes(list, tensors, sizes)
  local out = {}
  core.dry(function()
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    local made = {}
    local function put(v, t)
      made[v], out[v] = t, { shape = t:shape(), dtype = t:dtype() }
    end
    for i, port in ipairs(list.inputs) do
      local dims = {}
      for k, d in ipairs(port.dims) do dims[k] = type(d) == "string" and sizes[d] or d end
      put(i, core.zeros(dims, { dtype = port.dtype }))
    end
    local last = #list.inputs
    for _, c in ipairs(list.calls) do
      local args, n = {}, #c.inputs
      for k, each in ipairs(c.inputs) do args[k] = type(each) == "number" and made[each] or each and tensors[each]
        or nil end
      args[n + 1] = plan.attributes(c, sizes)
      local results = { core.ops[c.op](table.unpack(args, 1, n + 1)) }
      c.first, c.results = c.first or last + 1, #results
      for k, t in ipairs(results) do put(c.first + k - 1, t) end
      last = c.first + #results - 1
    end
  end)
  return out
end

-- Twice, with every open size doubled, so that a size which only happens to be equal to another is told from one that
-- is.
local function measure(list, tensors)
  local twice = {}
  for name, size in pairs(list.symbols) do twice[name] = 2 * size end
  local a, b = shapes(list, tensors, list.symbols), shapes(list, tensors, twice)
  for v, each in pairs(a) do each.other = b[v].shape end
  return a
end

-- ---- what goes in and comes out ----

-- Maps go in and come out channels first.
local function outer_order(v) return #v.shape > 3 and v.dtype == "float32" and values.channels_first(#v.shape)
  or values.identity(#v.shape) end

local function add_inputs(w, list, about)
  local ports = {}
  for i, port in ipairs(list.inputs) do
    local v = about[i]
    v.perm, v.name = outer_order(v), w:name(port.name)
    w.values[i] = v
    local shape = values.laid(port.dims, v.perm)
    for k, d in ipairs(shape) do
      if type(d) == "string" and not w.sizes[d] then w.sizes[d] = { input = v.name, place = k } end
    end
    ports[i] = { name = v.name, dtype = v.dtype, shape = shape }
  end
  return ports
end

-- Gives the value that comes out the port's name: its node's output is called so, or a node of its own where that has
-- a name already.
local function add_outputs(w, list)
  local ports, renamed, by_node = {}, {}, {}
  for _, n in ipairs(w.nodes) do
    for _, name in ipairs(n.outputs) do by_node[name] = true end
  end
  w.path = ""
  for i, port in ipairs(list.outputs) do
    local v = w.values[port.value]
    local perm, before = outer_order(v), #w.nodes
    local name = w:use(v, perm)
    if #w.nodes > before then by_node[name] = true end
    if not by_node[name] or renamed[name] then name = w:node("Identity", { name }) end
    renamed[name] = w:name(port.name)
    local dims = {}
    for k, d in ipairs(port.dims or {}) do dims[k] = d end
    ports[i] = { name = renamed[name], dtype = v.dtype, shape = #dims == #perm and values.laid(dims, perm) or nil }
  end
  for _, n in ipairs(w.nodes) do
    for _, side in ipairs { n.inputs, n.outputs } do
      for k, name in ipairs(side) do side[k] = renamed[name] or name end
    end
  end
  return ports
end

-- Nodes and tensors that something needs.
local function needed(w, outputs)
  local wanted, nodes, tensors = {}, {}, {}
  for _, port in ipairs(outputs) do wanted[port.name] = true end
  for i = #w.nodes, 1, -1 do
    local n, used = w.nodes[i], false
    for _, name in ipairs(n.outputs) do used = used or wanted[name] end
    if used then
      table.insert(nodes, 1, n)
      for _, name in ipairs(n.inputs) do wanted[name] = true end
    end
  end
  for _, t in ipairs(w.tensors) do
    if wanted[t.name] then tensors[#tensors + 1] = t end
  end
  return nodes, tensors
end

-- ---- the graph ----

-- All that ONNX has no word for, at once.
local function check(list, opset)
  local unknown, seen = {}, {}
  for _, c in ipairs(list.calls) do
    local handler = handlers[c.op]
    local why = not handler and "" or handler.refuses and handler.refuses(c, opset) or unknown_in(c)
    if why and not seen[c.op .. why] then
      seen[c.op .. why] = true
      unknown[#unknown + 1] = why == "" and c.op or ("%s (%s)"):format(c.op, why)
    end
  end
  if #unknown > 0 then
    util.failf("ONNX cannot hold it: there is nothing there for %s", table.concat(unknown, ", "))
  end
end

-- The way to the module of a call, from the name of its first tensor.
local function path_of(c)
  for _, each in ipairs(c.inputs) do
    local module = type(each) == "string" and each:match "^(.*)%.[^.]+$"
    if module then return "/" .. module:gsub("%.", "/") end
  end
  return ""
end

-- list: core.plan_calls(text), tensors: {name = tensor}. options: opset, fold (batch norms into what is before them),
-- before (a function that is given the writer and the values that go in, and may put other ones in their place), after
-- (one that is given the writer and what comes out, {{name =, dtype =, shape =}...}, and gives what does instead).
function write.graph(list, tensors, options)
  local o = options or {}
  check(list, o.opset or write.OPSETS.default)
  local about = measure(list, tensors)
  if o.fold then tensors = fold(list, tensors) end
  local w = values.writer(tensors, o.opset or write.OPSETS.default)
  local inputs = add_inputs(w, list, about)
  if o.before then o.before(w, w.values) end
  for _, c in ipairs(list.calls) do
    w.path = path_of(c)
    local outs = {}
    for k = 1, c.results do
      outs[k] = about[c.first + k - 1]
      w.values[c.first + k - 1] = outs[k]
    end
    handlers[c.op].write(w, c, table.unpack(outs))
  end
  local outputs = add_outputs(w, list)
  if o.after then outputs = o.after(w, outputs) end
  local nodes, kept = needed(w, outputs)
  return { name = "tlua", nodes = nodes, tensors = kept, inputs = inputs, outputs = outputs, values = {} }
end

-- The whole file. metadata: texts by name.
function write.model(list, tensors, metadata, options)
  local opset = options and options.opset or write.OPSETS.default
  return { ir_version = opset >= 21 and 10 or opset >= 19 and 9 or 8, producer = "tlua",
    producer_version = core.version,
    opsets = { [""] = opset }, metadata = metadata or {}, functions = {}, graph = write.graph(list, tensors, options) }
end

return write
