-- ops.lua - for each operator of ours what ONNX has for it: {write = function(writer, call, its results...) that sets
-- name and perm of each result, refuses = function(call) -> why ONNX has no such thing, or nil}. Forms that ONNX has
-- no operator for are those that PyTorch's exporter writes, which our reader takes together again.
local values = require "tlua.onnx.write.values"
local kit = require "tlua.onnx.write.kit"
local set, each, plain, mul, plus, activations = kit.set, kit.each, kit.plain, kit.mul, kit.plus, kit.activations
local handlers = {}

-- Operators of other files are in the same table.
local function add(list)
  for op, h in pairs(list) do
    if type(h) == "function" then h = { write = h } end
    handlers[op] = h
  end
end

-- ---- element by element ----

-- Of the types of ONNX that x has.
local function number(w, x, v) return w:scalar(x.dtype == "int32" and "int32" or "float32", v) end

add {
  neg = plain "Neg", exp = plain "Exp", log = plain "Log", sqrt = plain "Sqrt", abs = plain "Abs", sin = plain "Sin",
  cos = plain "Cos", tanh = plain "Tanh", softplus = plain "Softplus",
  erf = plain "Erf", floor = plain "Floor", ceil = plain "Ceil", round = plain "Round", sign = plain "Sign",
  reciprocal = plain "Reciprocal", tan = plain "Tan", asin = plain "Asin", acos = plain "Acos", atan = plain "Atan",
  sinh = plain "Sinh", cosh = plain "Cosh", asinh = plain "Asinh", acosh = plain "Acosh", atanh = plain "Atanh",
  softsign = plain "Softsign",
  rsqrt = each(function(w, x) return w:node("Reciprocal", { w:node("Sqrt", { x }) }) end),
  square = each(function(w, x) return mul(w, x, x) end),
  leaky_relu = each(function(w, x, c) return w:node("LeakyRelu", { x }, { alpha = c.attrs.slope }) end),
  clamp = each(function(w, x, c)
    local least, most = c.attrs.min, c.attrs.max
    return w:node("Clip", { x, least > -math.huge and w:float(least), most < math.huge and w:float(most), n = 3 })
  end),
  add_scalar = each(function(w, name, c, x) return plus(w, name, number(w, x, c.attrs.value)) end),
  mul_scalar = each(function(w, name, c, x) return mul(w, name, number(w, x, c.attrs.value)) end),
  rsub_scalar = each(function(w, name, c, x) return w:node("Sub", { number(w, x, c.attrs.value), name }) end),
  rdiv_scalar = each(function(w, name, c, x) return w:node("Div", { number(w, x, c.attrs.value), name }) end),
  pow_scalar = each(function(w, x, c) return w:node("Pow", { x, w:float(c.attrs.value) }) end),
  expm1 = each(function(w, x) return w:node("Sub", { w:node("Exp", { x }), w:float(1) }) end),
  log1p = each(function(w, x) return w:node("Log", { plus(w, x, w:float(1)) }) end),
  elu = each(function(w, x, c) return w:node("Elu", { x }, { alpha = c.attrs.alpha }) end),
  celu = each(function(w, x, c) return w:node("Celu", { x }, { alpha = c.attrs.alpha }) end),
  selu = plain "Selu",
  mish = each(function(w, x)
    if w.opset >= 18 then return w:node("Mish", { x }) end
    return mul(w, x, w:node("Tanh", { w:node("Softplus", { x }) }))
  end),
  threshold = each(function(w, x, c)
    if c.attrs.value == 0 then return w:node("ThresholdedRelu", { x }, { alpha = c.attrs.threshold }) end
    return w:node("Where", { w:node("Greater", { x, w:float(c.attrs.threshold) }), x, w:float(c.attrs.value) })
  end),
  shrink = each(function(w, x, c) return w:node("Shrink", { x }, { lambd = c.attrs.lambd, bias = c.attrs.bias }) end),
  dropout = each(function(w, x, c) return w:node("Dropout", { x, w:float(c.attrs.p) }) end),
  cast = each(function(w, name, c, x) return x.dtype == c.attrs.dtype and name or w:cast(name, c.attrs.dtype) end),
}
for _, kind in ipairs { "relu", "relu6", "sigmoid", "silu", "hardsigmoid", "hardswish", "gelu", "gelu_tanh" } do
  add { [kind] = each(function(w, x) return activations[kind](w, x) end) }
end

-- Two values that are broadcast; of a mixed pair the whole numbers become floats.
local function pair(w, c, op, attrs)
  local a, b = w:input(c, 1), w:input(c, 2)
  local perm = values.common { a, b }
  local x, y = w:aligned(a, perm), w:aligned(b, perm)
  if a.dtype ~= b.dtype then
    if a.dtype == "int32" then x = w:cast(x, "float32") end
    if b.dtype == "int32" then y = w:cast(y, "float32") end
  end
  return w:node(op, { x, y }, attrs), perm
end
local function binary(op, attrs)
  return function(w, c, y) set(y, pair(w, c, op, attrs)) end
end

-- What is true or false in ONNX and a number here. `truth` keeps the former for who asks for a condition.
local function comparison(op, negate)
  return function(w, c, y)
    local name, perm = pair(w, c, op)
    if negate then name = w:node("Not", { name }) end
    set(y, w:cast(name, y.dtype), perm)
    y.truth = name
  end
end

local function question(op)
  return function(w, c, y)
    local x = w:input(c, 1)
    local name = w:node(op, { w:use(x) })
    set(y, w:cast(name, y.dtype), x.perm)
    y.truth = name
  end
end

-- A value as a condition, in the order that is wanted.
local function condition(w, v, perm)
  if v.truth and #v.shape == #perm and values.same(v.perm, perm) then return v.truth end
  return w:cast(w:aligned(v, perm), "bool")
end

add {
  add = binary "Add", sub = binary "Sub", mul = binary "Mul", div = binary "Div", maximum = binary "Max",
    minimum = binary "Min",
  pow = binary "Pow", fmod = binary("Mod", { fmod = 1 }),
  eq = comparison "Equal", gt = comparison "Greater", lt = comparison "Less", ne = comparison("Equal", true),
  isnan = question "IsNaN", isinf = question "IsInf",
  ge = comparison "GreaterOrEqual", le = comparison "LessOrEqual",
  -- ONNX's Mod of floats has the sign of the first.
  mod = function(w, c, y)
    if y.dtype == "int32" then return set(y, pair(w, c, "Mod")) end
    local a, b = w:input(c, 1), w:input(c, 2)
    local perm = values.common { a, b }
    local p, q = w:aligned(a, perm), w:aligned(b, perm)
    if a.dtype == "int32" then p = w:cast(p, "float32") end
    if b.dtype == "int32" then q = w:cast(q, "float32") end
    local whole = w:node("Floor", { w:node("Div", { p, q }) })
    set(y, w:node("Sub", { p, mul(w, whole, q) }), perm)
  end,
  where = function(w, c, y)
    local p, a, b = w:input(c, 1), w:input(c, 2), w:input(c, 3)
    local perm = values.common { p, a, b }
    set(y, w:node("Where", { condition(w, p, perm), w:aligned(a, perm), w:aligned(b, perm) }), perm)
  end,
}

-- ---- products ----

-- A matrix (out, in) that is a tensor of the network as (in, out); the file keeps it as PyTorch does.
local function transposed(w, name)
  w.transposed = w.transposed or {}
  w.transposed[name] = w.transposed[name] or w:node("Transpose", { name }, { perm = { 1, 0 } })
  return w.transposed[name]
end

-- x (..., in) weight (out, in): Gemm of rows, a convolution of 1 x 1 where the features lie first, else MatMul.
local function linear(w, c, y)
  local x, weight, bias = w:input(c, 1), w:input(c, 2), w:input(c, 3)
  local rank = #x.shape
  local perm = values.identity(rank)
  local name
  if rank == 2 then
    name = w:node("Gemm", { w:plain(x), w:use(weight), bias and w:use(bias) }, { transB = 1 })
  elseif rank > 3 and weight.weight and values.same(x.perm, values.channels_first(rank)) then
    local dims, ones = { weight.shape[1], weight.shape[2] }, {}
    for i = 1, rank - 2 do dims[i + 2], ones[i] = 1, 1 end
    perm = x.perm
    name = w:node("Conv", { w:use(x), w:weight(weight.weight, nil, dims), bias and w:use(bias) },
      { kernel_shape = ones })
  else
    name = w:node("MatMul", { w:plain(x), transposed(w, w:plain(weight)) })
    if bias then name = plus(w, name, w:use(bias)) end
  end
  kit.finish(w, c, y, name, perm, 4)
end

-- Matrices, perhaps with both last dimensions the other way round.
local function matrix(w, v, turned)
  local perm = values.identity(#v.shape)
  if turned and #perm > 1 then perm[#perm], perm[#perm - 1] = perm[#perm - 1], perm[#perm] end
  return w:use(v, perm)
end

add {
  linear = linear,
  matmul = function(w, c, y)
    local a, b = w:input(c, 1), w:input(c, 2)
    set(y, w:node("MatMul", { matrix(w, a, c.attrs.transpose_a), matrix(w, b, c.attrs.transpose_b) }),
      values.identity(#y.shape))
  end,
  embedding = function(w, c, y)
    set(y, w:node("Gather", { w:plain(w:input(c, 1)), w:plain(w:input(c, 2)) }, { axis = 0 }),
      values.identity(#y.shape))
  end,
}

-- ---- what operators of losses would be ----

for _, op in ipairs { "cross_entropy", "soft_cross_entropy", "focal_loss", "mse_loss", "smooth_l1_loss",
  "bce_with_logits", "sigmoid_focal_loss" } do
  handlers[op] = { refuses = function() return "a loss" end }
end

for _, part in ipairs { "shape", "reduce", "maps", "attention", "recurrent", "sound" } do add(require("tlua.onnx.write."
  .. part)) end

return handlers
