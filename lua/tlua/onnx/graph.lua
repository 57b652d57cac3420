-- graph.lua - the graph of an ONNX file made ready for a walk: functions written out, nodes in an order that works,
-- with the version of their operator; what nobody asks for is left out, what nobody can read is named, all at once.
local util = require "tlua.util"
local graph = {}

graph.VERSIONS = { least = 1, most = 24 }
graph.MOST_WRITTEN = 100000 -- nodes that functions come to

-- ---- functions ----

local function renamed(names, prefix, name)
  if name == "" then return "" end
  return names[name] or prefix .. name
end

-- An attribute of a function's node may refer to one of the call: core.onnx_read says {ref = "name"}.
local function attributes(node, call, defaults)
  local out = {}
  for key, v in pairs(node.attrs) do
    if type(v) == "table" and v.ref then
      local given = call.attrs[v.ref]
      if given == nil then given = defaults and defaults[v.ref] end
      out[key] = given
    else out[key] = v end
  end
  return out
end

-- The nodes of f for one call of it. Names inside get the call's in front.
local function write_out(f, call, number)
  local names, prefix, out = {}, ("%s.%d/"):format(f.name, number), {}
  for i, name in ipairs(f.inputs) do names[name] = call.inputs[i] or "" end
  for i, name in ipairs(f.outputs) do
    names[name] = call.outputs[i] and call.outputs[i] ~= "" and call.outputs[i] or prefix .. name
  end
  for i, node in ipairs(f.nodes) do
    local name = call.name ~= "" and call.name .. "/" .. (node.name or "") or node.name
    local n = { op = node.op, domain = node.domain, name = name, inputs = {}, outputs = {},
      attrs = attributes(node, call, f.attribute_defaults), opsets = f.opsets }
    for k, each in ipairs(node.inputs) do n.inputs[k] = renamed(names, prefix, each) end
    for k, each in ipairs(node.outputs) do n.outputs[k] = renamed(names, prefix, each) end
    out[i] = n
  end
  return out
end

local function expand_functions(model, nodes)
  local functions = {}
  for _, f in ipairs(model.functions or {}) do functions[f.domain .. ":" .. f.name] = f end
  if not next(functions) then return nodes end
  local number, depth = 0, 0
  local again = true
  while again do
    again, depth = false, depth + 1
    if depth > 32 then util.fail "functions call each other without end" end
    local out = {}
    for _, node in ipairs(nodes) do
      local f = functions[node.domain .. ":" .. node.op]
      if f then
        number, again = number + 1, true
        for _, n in ipairs(write_out(f, node, number)) do out[#out + 1] = n end
      else out[#out + 1] = node end
      if #out > graph.MOST_WRITTEN then util.failf("its functions come to more than %d nodes", graph.MOST_WRITTEN) end
    end
    nodes = out
  end
  return nodes
end

-- ---- order ----

-- Graphs inside a node may ask for names outside of them.
local function wants_of(node)
  local list = {}
  for _, name in ipairs(node.inputs) do
    if name ~= "" then list[#list + 1] = name end
  end
  for _, v in pairs(node.attrs) do
    if type(v) == "table" and v.nodes then
      local own = {}
      for _, port in ipairs(v.inputs) do own[port.name] = true end
      for _, c in ipairs(v.tensors) do own[c.name] = true end
      for _, inner in ipairs(v.nodes) do
        for _, name in ipairs(wants_of(inner)) do
          if not own[name] then list[#list + 1] = name end
        end
        for _, name in ipairs(inner.outputs) do own[name] = true end
      end
      for _, port in ipairs(v.outputs) do
        if not own[port.name] then list[#list + 1] = port.name end
      end
    end
  end
  return list
end
graph.wants_of = wants_of

-- The nodes that `outputs` (names) hang on, each behind those that it needs. Without recursion: graphs are deep.
local function in_order(nodes, outputs, given)
  local maker, state, out = {}, {}, {}
  for _, node in ipairs(nodes) do
    for _, name in ipairs(node.outputs) do
      if name ~= "" then
        if maker[name] then util.failf("two nodes make the value '%s'", util.shown(name, 60)) end
        if given[name] then
          util.failf("the value '%s' is made by a node, and is %s too", util.shown(name, 60), given[name])
        end
        maker[name] = node
      end
    end
  end
  for _, wanted in ipairs(outputs) do
    local stack = { maker[wanted] }
    while #stack > 0 do
      local node = stack[#stack]
      if state[node] == "done" then stack[#stack] = nil
      elseif state[node] == "open" then
        state[node] = "done"
        out[#out + 1] = node
        stack[#stack] = nil
      else
        state[node] = "open"
        for _, name in ipairs(wants_of(node)) do
          local before = maker[name]
          if before and state[before] == "open" then
            util.failf("the nodes form a loop: '%s' needs what is made of it", util.shown(name, 60))
          elseif before and not state[before] then stack[#stack + 1] = before end
        end
      end
    end
  end
  return out, maker
end

-- ---- what is not supported ----

-- Puts versions on nodes, those inside others too, and collects what no handler knows.
local function look_over(nodes, model, handlers, bad, seen)
  for _, node in ipairs(nodes) do
    local domain = node.domain
    local opsets = node.opsets or model.opsets
    node.version = opsets[domain] or model.opsets[domain] or (domain == "" and 0 or 1)
    if node.version == 0 then util.fail "it does not say of which opset its operators are" end
    local key = domain == "" and node.op or domain .. ":" .. node.op
    if not handlers[key] then
      local known = seen[key]
      if not known then
        known = { op = key, version = node.version, first = node.name ~= "" and node.name or node.outputs[1],
          count = 0 }
        seen[key], bad[#bad + 1] = known, known
      end
      known.count = known.count + 1
    end
    for _, v in pairs(node.attrs) do
      if type(v) == "table" and v.nodes then look_over(v.nodes, model, handlers, bad, seen) end
      if type(v) == "table" and v.unsupported then
        util.failf("%s (%s): an attribute of the kind %s", node.op, util.shown(node.name or "?", 60), v.unsupported)
      end
    end
  end
end

-- nil, or a line that names every operator there is no handler for.
local function unsupported(bad)
  if #bad == 0 then return nil end
  local list = {}
  for i, b in ipairs(bad) do
    list[i] = ("%s (opset %d, %d %s, the first '%s')"):format(b.op, b.version, b.count,
      b.count == 1 and "node" or "nodes", util.shown(tostring(b.first or "?"), 60))
  end
  return "operators that are not supported: " .. table.concat(list, "; ")
end

-- model of core.onnx_read -> {nodes, inputs = ports, outputs = names, constants = {name = CONST}, maker = {name =
-- node}}. outputs: names of the values that are wanted (nil: the file's).
function graph.prepare(model, handlers, outputs)
  local g, constants, inputs = model.graph, {}, {}
  for _, c in ipairs(g.tensors) do
    local sparse = type(c) == "table" and c.sparse
    if sparse then util.failf("the tensor '%s' is sparse, which is not supported", util.shown(c.name or "?", 60)) end
    if constants[c.name] then util.failf("two tensors are called '%s'", util.shown(c.name, 60)) end
    constants[c.name] = c
  end
  for _, port in ipairs(g.inputs) do
    if not constants[port.name] then inputs[#inputs + 1] = port end
  end
  local known = model.opsets[""]
  if known and known > graph.VERSIONS.most then
    util.failf("it is of opset %d, and what its operators mean is known up to %d: export it with an older one",
      known, graph.VERSIONS.most)
  end
  if known and known < graph.VERSIONS.least then util.failf("it is of opset %d, which there is not", known) end
  local nodes = expand_functions(model, g.nodes)
  if not outputs then
    outputs = {}
    for i, port in ipairs(g.outputs) do outputs[i] = port.name end
  end
  if #outputs == 0 then util.fail "it has no outputs" end
  local given = {}
  for name in pairs(constants) do given[name] = "a tensor" end
  for _, port in ipairs(inputs) do
    if given[port.name] then util.failf("two inputs are called '%s'", util.shown(port.name, 60)) end
    given[port.name] = "an input"
  end
  local ordered, maker = in_order(nodes, outputs, given)
  local bad = {}
  look_over(ordered, model, handlers, bad, {})
  local why = unsupported(bad)
  if why then util.fail(why) end
  return { nodes = ordered, inputs = inputs, outputs = outputs, constants = constants, maker = maker, ports = g.outputs,
    values = g.values }
end

return graph
