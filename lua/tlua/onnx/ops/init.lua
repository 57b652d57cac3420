-- ops - the table of all ONNX operators that are read: op -> f(w, node, x) -> value or list of values (walk.lua).
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"

local H = {}
for _, room in ipairs { "elementwise", "shape", "reduce", "nn", "gather", "control", "quantized", "sequence", "fused",
  "einsum", "audio", "boxes", "losses", "attention" } do
  for op, f in pairs(require("tlua.onnx.ops." .. room).handlers) do
    if H[op] then util.failf("the operator %s has two handlers", op) end
    H[op] = f
  end
end
for op in pairs(host.OPS) do
  H[op] = H[op] or function(_, node, x)
    for i = 1, x.n do
      if x[i] and not x[i].host then util.fail "of what is worked out on the device is not supported" end
    end
    return host.OPS[op](x, node.attrs)
  end
end

-- Constant: the file's tensors by another way.
function H.Constant(_, node)
  local a = node.attrs
  if a.value then return value.constant(a.value, "value|" .. node.outputs[1]) end
  local function list(v, dtype, dims) return host.new(v, dims or { #v }, dtype) end
  if a.value_float then return list({ a.value_float + 0.0 }, "float32", {}) end
  if a.value_int then return list({ a.value_int }, "int64", {}) end
  if a.value_floats then return list(a.value_floats, "float32") end
  if a.value_ints then return list(a.value_ints, "int64") end
  util.fail "a constant of this kind is not supported"
end

return H
