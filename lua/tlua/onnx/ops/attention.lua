-- attention.lua - attention as one node (opset 23), with heads of their own axis or packed side by side.
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local nn = require "tlua.onnx.ops.nn"
local fused = require "tlua.onnx.ops.fused"
local ops = core.ops
local H = {}

local floats = value.floats

-- (N, T, heads D) or (N, heads, T, D) -> the latter.
local function by_heads(w, v, heads, what)
  if #v.dims == 4 then return v end
  if #v.dims ~= 3 or not heads then util.failf("%s of %s: its number of heads is missing", what, util.shape_text(v.dims)) end
  if v.dims[3] % heads ~= 0 then util.failf("%s: %d features are no %d heads", what, v.dims[3], heads) end
  local wide = shape.reshape(w, v, { v.dims[1], v.dims[2], heads, v.dims[3] // heads })
  return shape.transpose(wide, { 1, 3, 2, 4 })
end

-- Fewer heads of keys than of queries: each serves several in a row.
local function repeated(w, v, heads)
  local own = v.dims[2]
  if own == heads then return v end
  if heads % own ~= 0 then util.failf("%d heads of keys for %d of queries", own, heads) end
  local n, t, d = v.dims[1], v.dims[3], v.dims[4]
  local x = ops.expand(value.tensor(w, v):reshape { n, own, 1, t, d }, { shape = { n, own, heads // own, t, d } })
  return value.of(x:reshape { n, heads, t, d }, v.dtype)
end

-- Scores with what must not be seen far below all else: `mask` is added, or says with 1 what is seen.
local function masked(w, scores, mask)
  if not mask then return scores end
  local t, perm = value.together(w, { scores, mask })
  if mask.dtype ~= "bool" then return value.of(ops.add(t[1], floats(w, t[2])), "float32", perm) end
  return value.of(ops.where(t[2], t[1], value.single(w, -1e30, "float32")), "float32", perm)
end

-- Row i sees columns up to i.
local function causal(w, scores)
  local rank = #scores.dims
  local series = {}
  for i = rank - 1, rank do
    local list = {}
    for k = 1, scores.dims[i] do list[k] = k - 1 end
    series[#series + 1] = value.raw(w, host.new(list, i == rank and { 1, #list } or { #list, 1 }, "int64", true))
  end
  local t = value.tensor(w, scores)
  return value.of(ops.where(ops.ge(series[1], series[2]), t, value.single(w, -1e30, "float32")), "float32")
end

function H.Attention(w, node, x)
  local a = node.attrs
  for i = 5, 6 do
    if x[i] then util.fail "keys and values of the past are not supported" end
  end
  for i = 2, #node.outputs do
    if node.outputs[i] ~= "" then util.failf("its output %d is not supported", i) end
  end
  if (a.softcap or 0) ~= 0 then util.fail "softcap is not supported" end
  local q = by_heads(w, x[1], a.q_num_heads, "the query")
  local heads, packed = q.dims[2], #x[1].dims == 3
  local k = repeated(w, by_heads(w, x[2], a.kv_num_heads, "the key"), heads)
  local v = repeated(w, by_heads(w, x[3], a.kv_num_heads, "the value"), heads)
  local scale = a.scale or 1 / math.sqrt(q.dims[4])
  local turned, y = shape.transpose(k, { 1, 2, 4, 3 }), nil
  if not x[4] and a.is_causal ~= 1 then
    y = fused.handlers["tlua:Attention"](w, { op = "Attention", attrs = { scale = scale } }, { q, turned, v, n = 3 })
  else
    local scores = nn.handlers.MatMul(w, node, { q, turned, n = 2 })
    scores = masked(w, value.of(ops.mul_scalar(scores.t, scale), "float32", scores.perm), x[4])
    if a.is_causal == 1 then scores = causal(w, scores) end
    local p = value.of(ops.softmax(value.tensor(w, scores), { axis = -1 }), q.dtype)
    if x[4] and x[4].dtype == "bool" then -- a row that sees nothing gives nothing
      local t = value.together(w, { p, x[4] })
      p = value.of(ops.mul(t[1], floats(w, t[2])), q.dtype)
    end
    y = nn.handlers.MatMul(w, node, { p, v, n = 2 })
  end
  if not packed then return y end
  local rows = shape.transpose(y, { 1, 3, 2, 4 })
  return shape.reshape(w, rows, { rows.dims[1], rows.dims[2], heads * rows.dims[4] })
end

return { handlers = H }
