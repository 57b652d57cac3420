-- control.lua - nodes with graphs inside: which of them runs, and how often, has to follow from constants.
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local H = {}

local MOST_TURNS = 10000

function H.If(w, node, x, env)
  local yes = value.number(x[1])
  if yes == nil then
    util.fail("which way is taken follows from the input: control flow that a constant does not decide is not "
      .. "supported")
  end
  return w:graph(env, yes ~= 0 and node.attrs.then_branch or node.attrs.else_branch)
end

-- inputs: turns?, condition?, carried...; outputs: carried..., rows of each turn...
function H.Loop(w, node, x, env)
  local body = node.attrs.body
  local most = x[1] and value.numbers(x[1], "the number of turns")[1] or math.huge
  local go = x[2] and value.number(x[2])
  if x[2] and go == nil then util.fail "whether it runs follows from the input, which is not supported" end
  local carried, rows = {}, {}
  local n = #node.inputs - 2
  for i = 1, n do carried[i] = x[i + 2] end
  for k = 1, #body.outputs - 1 - n do rows[k] = {} end
  local turn = 0
  while turn < most and go ~= 0 do
    if turn == MOST_TURNS then util.failf("more than %d turns", MOST_TURNS) end
    local y = w:graph(env, body, { host.new({ turn }, {}, "int64", x[1] and x[1].sized), host.new({ 1 }, {}, "bool"),
      table.unpack(carried, 1, n) })
    go = value.number(y[1])
    if go == nil then util.fail "when it ends follows from the input, which is not supported" end
    for i = 1, n do carried[i] = y[i + 1] end
    for k, list in ipairs(rows) do list[#list + 1] = y[1 + n + k] end
    turn = turn + 1
  end
  local out = { table.unpack(carried, 1, n) }
  for k, list in ipairs(rows) do
    if #list == 0 then util.fail "rows of no turn have no place on a device" end
    for i, v in ipairs(list) do list[i] = shape.reshape(w, v, { 1, table.unpack(v.dims) }) end
    list.n = #list
    out[n + k] = shape.handlers.Concat(w, { attrs = { axis = 0 } }, list)
  end
  return out
end

-- Along the first axis of each scanned input one row a turn.
function H.Scan(w, node, x, env)
  local body, a = node.attrs.body, node.attrs
  if node.version < 9 then util.fail "of opset 8 is not supported" end
  local scanned = a.num_scan_inputs
  local states = x.n - scanned
  for _, key in ipairs { "scan_input_axes", "scan_output_axes", "scan_input_directions", "scan_output_directions" } do
    for _, each in ipairs(a[key] or {}) do
      if each ~= 0 then util.failf("%s is not supported", key) end
    end
  end
  local carried, rows = { table.unpack(x, 1, states) }, {}
  for k = 1, #body.outputs - states do rows[k] = { n = 0 } end
  local turns = x[states + 1].dims[1]
  for turn = 0, turns - 1 do
    local given = { table.unpack(carried, 1, states) }
    for k = 1, scanned do
      local v = x[states + k]
      local dims = { table.unpack(v.dims, 2) }
      given[states + k] = shape.reshape(w, shape.slice_one(w, v, 1, turn, 1, 1), dims)
    end
    local y = w:graph(env, body, given)
    for i = 1, states do carried[i] = y[i] end
    for k, list in ipairs(rows) do
      list.n = list.n + 1
      list[list.n] = shape.reshape(w, y[states + k], { 1, table.unpack(y[states + k].dims) })
    end
  end
  local out = { table.unpack(carried, 1, states) }
  for k, list in ipairs(rows) do
    out[states + k] = shape.handlers.Concat(w, { attrs = { axis = 0 } }, list)
  end
  return out
end

return { handlers = H }
