-- sequence.lua - recurrent layers: LSTM, GRU and RNN of one or both directions, with PyTorch's order of the gates.
local core = require "tlua.core"
local util = require "tlua.util"
local value = require "tlua.onnx.value"
local ops = core.ops
local H = {}

local floats = value.floats

-- Of ours, the place of each gate in ONNX's order: LSTM's (input, output, forget, cell) as (input, forget, cell,
-- output), GRU's (update, reset, hidden) as (reset, update, new).
local GATES = { LSTM = { 1, 3, 4, 2 }, GRU = { 2, 1, 3 }, RNN = { 1 } }
local USUAL = { LSTM = { "sigmoid", "tanh", "tanh" }, GRU = { "sigmoid", "tanh" }, RNN = { "tanh" } }

local function check(node, x)
  local a, op = node.attrs, node.op
  if a.clip then util.fail "clip is not supported" end
  if a.input_forget == 1 then util.fail "input_forget is not supported" end
  if op == "LSTM" and x[8] then
    local plain = x[8].host ~= nil
    for _, n in ipairs(x[8].host or {}) do plain = plain and n == 0 end
    if not plain then util.fail "peepholes are not supported" end
  end
  for i, name in ipairs(a.activations or {}) do
    local want = USUAL[op][(i - 1) % #USUAL[op] + 1]
    local relu = op == "RNN" and name:lower() == "relu"
    if name:lower() ~= want and not relu then util.failf("the activation '%s' is not supported", name) end
  end
  if #x[2].dims ~= 3 or #x[3].dims ~= 3 or #x[1].dims ~= 3 then
    util.fail "its weights and input have three dimensions"
  end
  local width, gates = x[3].dims[3], #GATES[op]
  if x[2].dims[2] ~= gates * width or x[3].dims[2] ~= gates * width or x[2].dims[3] ~= x[1].dims[3]
    or x[3].dims[1] ~= x[2].dims[1] then
    util.failf("its weights %s and %s do not fit each other and the input", util.shape_text(x[2].dims),
      util.shape_text(x[3].dims))
  end
  if (a.hidden_size or width) ~= width then
    util.failf("its hidden_size is %d, and its weights are of %d", a.hidden_size, width)
  end
  return width
end

-- Direction d (from 1) of a constant (directions, gates * n, ...), its gates in our order; from and n: of the second
-- dimension.
local function part(w, v, d, op, width, from, role)
  if not v then return nil end
  w:role(v, role)
  local gates = GATES[op]
  local t = value.form(w, v, ("%s direction %d from %d"):format(op, d, from), function(t)
    t = ops.slice(t, { axis = 1, start = d - 1, length = 1 })
    local list = {}
    for i, gate in ipairs(gates) do
      list[i] = ops.slice(t, { axis = 2, start = from + (gate - 1) * width, length = width })
    end
    local joined = #list == 1 and list[1] or ops.concat(list[1], list[2], list[3], list[4], { axis = 2 })
    local dims = joined:shape()
    table.remove(dims, 1)
    return joined:reshape(dims)
  end)
  return floats(w, t)
end

-- The first state of direction d: nil where it is zero.
local function state(w, v, d, batch_first)
  if not v then return nil end
  local zero = v.host ~= nil
  for _, n in ipairs(v.host or {}) do zero = zero and n == 0 end
  if zero then return nil end
  local t = floats(w, value.arranged(w, v, batch_first and { 1, 2, 3 } or { 2, 1, 3 })) -- (N, directions, width)
  local dims = t:shape()
  return ops.slice(t, { axis = 2, start = d - 1, length = 1 }):reshape { dims[1], dims[3] }
end

-- A tensor for the lengths; nil where all sequences are whole.
local function lengths_of(w, v, steps)
  if not v then return nil end
  local whole = v.host ~= nil
  for _, n in ipairs(v.host or {}) do whole = whole and n == steps end
  if whole then return nil end
  local t = value.tensor(w, v)
  return t:dtype() == "int32" and t or ops.cast(t, { dtype = "int32" })
end

-- GRU whose reset comes before the product with the state (linear_before_reset = 0): step by step.
local function gru_by_steps(w, x, p, reverse)
  local dims, width = x:shape(), p.weight_h:shape()[2]
  if p.lengths then util.fail "sequences of several lengths with linear_before_reset = 0 are not supported" end
  if dims[2] > 512 then util.failf("%d steps with linear_before_reset = 0 are not supported", dims[2]) end
  local function gate(t, i, rank) return ops.slice(t, { axis = rank or -1, start = i * width, length = width }) end
  local inputs = ops.linear(x, p.weight_x, p.bias_x)
  local function by_state(h, i)
    return ops.linear(h, gate(p.weight_h, i, 1), p.bias_h and gate(p.bias_h, i, 1) or nil)
  end
  local first = gate(ops.slice(inputs, { axis = 2, start = 0, length = 1 }), 0):reshape { dims[1], width }
  local h = p.h or ops.mul_scalar(first, 0)
  local rows = {}
  for k = 1, dims[2] do
    local t = reverse and dims[2] - k or k - 1
    local now = ops.slice(inputs, { axis = 2, start = t, length = 1 }):reshape { dims[1], 3 * width }
    local r = ops.sigmoid(ops.add(gate(now, 0), by_state(h, 0)))
    local z = ops.sigmoid(ops.add(gate(now, 1), by_state(h, 1)))
    local n = ops.tanh(ops.add(gate(now, 2), by_state(ops.mul(r, h), 2)))
    h = ops.add(n, ops.mul(z, ops.sub(h, n)))
    rows[t + 1] = h:reshape { dims[1], 1, width }
  end
  return require("tlua.onnx.ops.shape").join(rows, 2), h
end

local function one_direction(w, node, x, t, d, reverse, width)
  local op, batch_first, gates = node.op, node.attrs.layout == 1, #GATES[node.op]
  local p = { weight_x = part(w, x[2], d, op, width, 0, "weight_x"),
    weight_h = part(w, x[3], d, op, width, 0, "weight_h"), bias_x = part(w, x[4], d, op, width, 0, "bias_x"),
    bias_h = part(w, x[4], d, op, width, gates * width, "bias_h"), lengths = lengths_of(w, x[5], t:shape()[2]),
    h = state(w, x[6], d, batch_first) }
  if op == "LSTM" then
    return ops.lstm(t, p.weight_x, p.weight_h, p.bias_x, p.bias_h, p.h, state(w, x[7], d, batch_first), p.lengths,
      { reverse = reverse })
  elseif op == "GRU" then
    if node.attrs.linear_before_reset ~= 1 then return gru_by_steps(w, t, p, reverse) end
    return ops.gru(t, p.weight_x, p.weight_h, p.bias_x, p.bias_h, p.h, p.lengths, { reverse = reverse })
  end
  local named = node.attrs.activations and node.attrs.activations[d] or "tanh"
  return ops.rnn(t, p.weight_x, p.weight_h, p.bias_x, p.bias_h, p.h, p.lengths,
    { reverse = reverse, activation = named:lower() })
end

-- Tensors of the directions along a new dimension in front of the last.
local function stacked(list)
  for i, t in ipairs(list) do
    local dims = t:shape()
    table.insert(dims, #dims, 1)
    list[i] = t:reshape(dims)
  end
  if #list == 1 then return list[1] end
  return ops.concat(list[1], list[2], { axis = list[1]:rank() - 1 })
end

-- Is each of its directions from the end to the beginning?
local DIRECTIONS = { forward = { false }, reverse = { true }, bidirectional = { false, true } }

local function layer(w, node, x)
  local width, batch_first = check(node, x), node.attrs.layout == 1
  local t = floats(w, value.arranged(w, x[1], batch_first and { 1, 2, 3 } or { 2, 1, 3 })) -- (N, T, C)
  local direction = node.attrs.direction or "forward"
  local ways = DIRECTIONS[direction] or util.failf("the direction '%s' is not supported", direction)
  if #ways ~= x[2].dims[1] then
    util.failf("its weights are of %d directions, and it is %s", x[2].dims[1], direction)
  end
  local ys, hs, cs = {}, {}, {}
  for d, reverse in ipairs(ways) do ys[d], hs[d], cs[d] = one_direction(w, node, x, t, d, reverse, width) end
  local out = { value.of(stacked(ys), "float32", not batch_first and { 3, 1, 2, 4 } or nil),
    value.of(stacked(hs), "float32", not batch_first and { 2, 1, 3 } or nil) }
  if cs[1] then out[3] = value.of(stacked(cs), "float32", not batch_first and { 2, 1, 3 } or nil) end
  return out
end
H.LSTM, H.GRU, H.RNN = layer, layer, layer

return { handlers = H }
