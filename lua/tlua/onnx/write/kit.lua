-- kit.lua - what the writers of operators share.
local values = require "tlua.onnx.write.values"
local kit = {}

-- Our dimension from 1, also where it is counted from the end.
function kit.axis_of(v, axis) return axis < 0 and #v.shape + 1 + axis or axis end

-- A tensor of n equal numbers.
function kit.filled(w, n, v)
  local list = {}
  for i = 1, n do list[i] = v end
  return w:constant("float32", { n }, list)
end

function kit.set(y, name, perm) y.name, y.perm = name, perm end
local set = kit.set

-- f(writer, the name of x, the call, x) -> the name of the result, which lies as x does.
function kit.each(f)
  return function(w, c, y)
    local x = w:input(c, 1)
    set(y, f(w, w:use(x), c, x), x.perm)
  end
end
function kit.plain(op)
  return kit.each(function(w, x) return w:node(op, { x }) end)
end
function kit.mul(w, a, b) return w:node("Mul", { a, b }) end
function kit.plus(w, a, b) return w:node("Add", { a, b }) end

local mul, plus = kit.mul, kit.plus

local activations = {
  none = function(_, x) return x end,
  relu = function(w, x) return w:node("Relu", { x }) end,
  relu6 = function(w, x) return w:node("Clip", { x, w:float(0), w:float(6) }) end,
  sigmoid = function(w, x) return w:node("Sigmoid", { x }) end,
  silu = function(w, x) return mul(w, x, w:node("Sigmoid", { x })) end,
  hardsigmoid = function(w, x) return w:node("HardSigmoid", { x }, { alpha = 1 / 6, beta = 0.5 }) end,
  hardswish = function(w, x)
    if w.opset >= 14 then return w:node("HardSwish", { x }) end
    return mul(w, x, w:node("HardSigmoid", { x }, { alpha = 1 / 6, beta = 0.5 }))
  end,
  gelu = function(w, x)
    if w.opset >= 20 then return w:node("Gelu", { x }) end
    local e = w:node("Erf", { w:node("Div", { x, w:float(math.sqrt(2)) }) })
    return mul(w, mul(w, x, plus(w, e, w:float(1))), w:float(0.5))
  end,
  gelu_tanh = function(w, x)
    if w.opset >= 20 then return w:node("Gelu", { x }, { approximate = "tanh" }) end
    local cube = w:node("Pow", { x, w:float(3) })
    local inner = mul(w, plus(w, x, mul(w, cube, w:float(0.044715))), w:float(math.sqrt(2 / math.pi)))
    return mul(w, mul(w, x, w:float(0.5)), plus(w, w:node("Tanh", { inner }), w:float(1)))
  end,
}
kit.activations = activations

-- Adds what a linear layer or convolution takes along.
function kit.finish(w, c, y, name, perm, residual)
  local r = residual and w:input(c, residual)
  if r then name = plus(w, name, w:aligned(r, perm)) end
  set(y, activations[c.attrs.activation or "none"](w, name), perm)
end

return kit
