-- calls.lua - what can be said of a list of calls (docs/format.md, core.plan_calls) without its tensors: what calls and
-- values are called, who takes them last, which tensors are trained, and what is left where the list is cut.
local core = require "tlua.core"
local util = require "tlua.util"
local split = require("tlua.nn.graph.parts").split
local calls = {}

-- What changes values place by place, and has nothing of its own.
calls.ACTIVATIONS = { relu = true, relu6 = true, silu = true, hardswish = true, gelu = true, gelu_tanh = true,
  sigmoid = true, tanh = true, hardsigmoid = true, leaky_relu = true, elu = true, selu = true, celu = true, mish = true,
  softplus = true, softsign = true, clamp = true }

-- The calls of a plan's text, in today's form. `load`: gives its tensors, which an older form wants. `what`: begins
-- messages.
function calls.read(what, text, load)
  local ok, list = pcall(core.plan_calls, text)
  if ok and list.format == 1 then
    local scope <close> = core.scope()
    local new, why = core.plan_upgrade(text, load())
    if not new then util.failf("%s: %s", what, util.without_place(why)) end
    ok, list = pcall(core.plan_calls, new)
  end
  if not ok then util.failf("%s: %s", what, util.without_place(list)) end
  return list
end

-- How many results an operator has, where that is not one (docs/ops.md).
local RESULTS = { topk = 2, rnn = 2, gru = 2, lstm = 3 }

-- Numbers the values: those that go in, and then what each call gives, from its `first` on.
function calls.number(list)
  local v = #list.inputs
  for _, c in ipairs(list.calls) do
    c.first, c.results = v + 1, c.results or RESULTS[c.op] or 1
    v = v + c.results
  end
  list.values = v
end

-- What calls take that is not there is an error. has: {name = true} of the tensors.
function calls.check(what, list, has)
  for _, c in ipairs(list.calls) do
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" and not has[each] then
        util.failf("%s: its plan: the tensor '%s' is not in the file", what, each)
      elseif type(each) == "number" and each >= c.first then
        util.failf("%s: its plan: there is no value %d yet", what, each - 1)
      end
    end
  end
  for _, port in ipairs(list.outputs) do
    if port.value > list.values then util.failf("%s: its plan: there is no value %d", what, port.value - 1) end
  end
end

-- The tensors that calls take: {name = does training move it?}. It does where a gradient can go, unless it is a buffer.
function calls.tensors(list)
  local names = {}
  for _, c in ipairs(list.calls) do
    for k, each in ipairs(c.inputs) do
      if type(each) == "string" then
        local trainable = k > 8 or c.constants >> (k - 1) & 1 == 0
        names[each] = names[each] or (trainable and not list.buffers[each])
      end
    end
  end
  return names
end

-- The names of the tensors that calls take, {name = true}.
function calls.taken(list)
  local names = {}
  for _, c in ipairs(list.calls) do
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" then names[each] = true end
    end
  end
  return names
end

-- For each value the last call that takes it; of what comes out, one that never comes.
function calls.last_uses(list)
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
function calls.name(list)
  local taken = {}
  for i, c in ipairs(list.calls) do
    local name
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" and not name then name = (split(each)) end
    end
    if not name or name == "" then name = ("%s_%d"):format(c.op, i) end
    if taken[name] then name = ("%s_%d"):format(name, i) end
    taken[name], c.name = true, name
  end
end

-- ---- cutting ----

-- {name = number of a value} of what a list may be cut at: calls by their names, and what `others` calls them (of call
-- i a name, a list of names, or false); and the names in their order.
function calls.values(list, others)
  local of, names = {}, {}
  local function add(name, v)
    if not of[name] then of[name], names[#names + 1] = v, name end
  end
  for i, c in ipairs(list.calls) do
    local own = others and others[i] or {}
    for _, name in ipairs(type(own) == "table" and own or { own }) do add(name, c.first) end
    for k = 2, c.results do add(("%s:%d"):format(c.name, k), c.first + k - 1) end
  end
  for _, c in ipairs(list.calls) do add(c.name, c.first) end
  return of, names
end

-- Which calls and inputs a value is made of: {number of a call = true}, {number of an input = true}.
local function needed(list, value)
  local makers, wanted, inputs = {}, { [value] = true }, {}
  for i = #list.calls, 1, -1 do
    local c = list.calls[i]
    for v = c.first, c.first + c.results - 1 do makers[i] = makers[i] or wanted[v] end
    for _, each in ipairs(makers[i] and c.inputs or {}) do
      if type(each) == "number" then wanted[each] = true end
    end
  end
  for i = 1, #list.inputs do inputs[i] = wanted[i] end
  return makers, inputs
end

-- Drops what a value is not made of, and makes it the output. `others` (names as in calls.values) follows.
function calls.cut(list, value, others)
  local makers, inputs = needed(list, value)
  local to, kept, ports, names, v = {}, {}, {}, {}, 0
  for i, port in ipairs(list.inputs) do
    if inputs[i] then
      v = v + 1
      to[i], ports[#ports + 1], port.value = v, port, v
    end
  end
  for i, c in ipairs(list.calls) do
    if makers[i] then
      for k = 0, c.results - 1 do to[c.first + k] = v + k + 1 end
      v = v + c.results
      for k, each in ipairs(c.inputs) do
        if type(each) == "number" then c.inputs[k] = to[each] end
      end
      kept[#kept + 1] = c
      names[#kept] = others and others[i]
    end
  end
  list.calls, list.inputs = kept, ports
  list.outputs = { { name = "output", dtype = "float32", value = to[value] } }
  calls.number(list)
  return names
end

return calls
