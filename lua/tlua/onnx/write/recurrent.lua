-- recurrent.lua - recurrent layers over whole sequences. ONNX has sequences as (T, N, C), gates in another order than
-- PyTorch and ours, and both biases in one tensor; the weights in the file have their own names and ONNX's order.
local core = require "tlua.core"
local values = require "tlua.onnx.write.values"
local kit = require "tlua.onnx.write.kit"

-- Of ONNX's gates the place among ours.
local GATES = { RNN = { 1 }, GRU = { 2, 1, 3 }, LSTM = { 1, 4, 2, 3 } }

-- A tensor of the network whose rows are gates, as (1, gates, ...).
local function in_order(w, name, op)
  local t, order, parts = w.source[name], GATES[op], {}
  local each = t:shape(1) // #order
  for i, gate in ipairs(order) do parts[i] = core.ops.slice(t, { axis = 1, start = (gate - 1) * each,
    length = each }) end
  local all = t
  if #parts > 1 then
    parts[#parts + 1] = { axis = 1 }
    all = core.ops.concat(table.unpack(parts))
  end
  return w:made_of(name, op, all, { 1, table.unpack(t:shape()) })
end

-- (1, 2 gates): zeros for the one that is missing. nil without both.
local function biases(w, c, op, width)
  if not c.inputs[4] and not c.inputs[5] then return nil end
  local list = {}
  for k = 4, 5 do
    local n = #GATES[op] * width
    list[k - 3] = c.inputs[k] and in_order(w, c.inputs[k], op) or w:node("Unsqueeze", { kit.filled(w, n, 0.0),
      w:ints { 0 } })
  end
  return w:node("Concat", list, { axis = 1 })
end

-- f(c) gives attributes beside; the inputs behind the states are `lengths`.
local function recurrent(op, states, more)
  local function refuses(c)
    for k = 2, 5 do
      if c.inputs[k] and type(c.inputs[k]) ~= "string" then return "with weights that are worked out" end
    end
  end
  local function write(w, c, y, ...)
    local x, lengths = w:input(c, 1), w:input(c, 6 + states)
    local width = y.shape[3]
    local inputs = { w:use(x, { 2, 1, 3 }), in_order(w, c.inputs[2], op), in_order(w, c.inputs[3], op), biases(w, c,
      op, width),
      lengths and w:plain(lengths), n = 5 + states }
    for k = 1, states do
      local s = w:input(c, 5 + k)
      inputs[5 + k] = s and w:node("Unsqueeze", { w:plain(s), w:ints { 0 } })
    end
    local attrs = { hidden_size = width, direction = c.attrs.reverse and "reverse" or "forward" }
    for key, v in pairs(more and more(c) or {}) do attrs[key] = v end
    local outs = { w:node(op, inputs, attrs, 1 + states) }
    kit.set(y, w:node("Squeeze", { outs[1], w:ints { 1 } }), { 2, 1, 3 })
    for k, state in ipairs { ... } do
      kit.set(state, w:node("Squeeze", { outs[1 + k], w:ints { 0 } }), values.identity(2))
    end
  end
  return { refuses = refuses, write = write }
end

return {
  rnn = recurrent("RNN", 1, function(c) return { activations = { c.attrs.activation == "relu"
    and "Relu" or "Tanh" } } end),
  gru = recurrent("GRU", 1, function() return { linear_before_reset = 1 } end), lstm = recurrent("LSTM", 2),
}
