-- elementwise.lua - ONNX operators that go element by element. They keep the order in which their input lies.
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local ops = core.ops
local H = {}

local floats, raw = value.floats, value.raw

-- ---- of one ----

-- A handler of an operator of ours; attributes(node, w) -> its options.
local function unary(name, attributes)
  return function(w, node, x)
    local f = ops[name]
    if not f then util.failf("the operator '%s' is missing", name) end
    local t = floats(w, raw(w, x[1]))
    return value.of(attributes and f(t, attributes(node.attrs)) or f(t), x[1].dtype, x[1].perm)
  end
end

for onnx, ours in pairs { Exp = "exp", Log = "log", Sqrt = "sqrt", Sin = "sin", Cos = "cos", Tan = "tan", Tanh = "tanh",
  Sigmoid = "sigmoid", Softplus = "softplus", Relu = "relu", Erf = "erf", Floor = "floor", Ceil = "ceil",
  Round = "round", Reciprocal = "reciprocal", Asin = "asin", Acos = "acos", Atan = "atan", Sinh = "sinh", Cosh = "cosh",
  Asinh = "asinh", Acosh = "acosh", Atanh = "atanh", Softsign = "softsign", Mish = "mish", HardSwish = "hardswish",
  Silu = "silu" } do
  H[onnx] = unary(ours)
end

-- Those that whole numbers have too.
for onnx, ours in pairs { Neg = "neg", Abs = "abs", Sign = "sign" } do
  H[onnx] = function(w, _, x) return value.of(ops[ours](raw(w, x[1])), x[1].dtype, x[1].perm) end
end

-- Whole numbers have no part behind the point.
for _, onnx in ipairs { "Floor", "Ceil", "Round" } do
  local of_floats = H[onnx]
  H[onnx] = function(w, node, x)
    if not host.is_float(x[1].dtype) then return x[1] end
    return of_floats(w, node, x)
  end
end

H.Elu = unary("elu", function(a) return { alpha = a.alpha or 1.0 } end)
H.Celu = unary("celu", function(a) return { alpha = a.alpha or 1.0 } end)
H.LeakyRelu = unary("leaky_relu", function(a) return { slope = a.alpha or 0.01 } end)
H.Shrink = unary("shrink", function(a) return { lambd = a.lambd or 0.5, bias = a.bias or 0.0 } end)
H.ThresholdedRelu = unary("threshold", function(a) return { threshold = a.alpha or 1.0, value = 0 } end)

function H.Selu(w, node, x)
  local a = node.attrs
  local alpha, gamma = a.alpha or 1.67326319217681884765625, a.gamma or 1.05070102214813232421875
  local y = ops.elu(floats(w, raw(w, x[1])), { alpha = alpha })
  return value.of(ops.mul_scalar(y, gamma), x[1].dtype, x[1].perm)
end

function H.HardSigmoid(w, node, x)
  local alpha, beta = node.attrs.alpha or 0.2, node.attrs.beta or 0.5
  local t = floats(w, raw(w, x[1]))
  local ours = math.abs(alpha - 1 / 6) < 1e-6 and math.abs(beta - 0.5) < 1e-6
  local y = ours and ops.hardsigmoid(t)
    or ops.clamp(ops.add_scalar(ops.mul_scalar(t, alpha), beta), 0, 1)
  return value.of(y, x[1].dtype, x[1].perm)
end

function H.Gelu(w, node, x)
  local f = ({ none = ops.gelu, tanh = ops.gelu_tanh })[node.attrs.approximate or "none"]
  if not f then util.failf("the approximation '%s' is not supported", node.attrs.approximate) end
  return value.of(f(floats(w, raw(w, x[1]))), x[1].dtype, x[1].perm)
end
H["com.microsoft:Gelu"] = H.Gelu
H["com.microsoft:FastGelu"] = function(w, node, x)
  if x[2] then util.fail "a bias is not supported" end
  return H.Gelu(w, { attrs = { approximate = "tanh" } }, x)
end
H["com.microsoft:QuickGelu"] = function(w, node, x)
  local t = floats(w, raw(w, x[1]))
  local y = ops.mul(t, ops.sigmoid(ops.mul_scalar(t, node.attrs.alpha or 1.702)))
  return value.of(y, x[1].dtype, x[1].perm)
end

function H.Swish(w, node, x) -- opset 24
  local t, alpha = floats(w, raw(w, x[1])), node.attrs.alpha or 1.0
  local y = alpha == 1 and ops.silu(t) or ops.mul(t, ops.sigmoid(ops.mul_scalar(t, alpha)))
  return value.of(y, x[1].dtype, x[1].perm)
end

local function truth(t, v) return value.of(t, "bool", v.perm) end

function H.IsNaN(w, _, x)
  local t = floats(w, raw(w, x[1]))
  return truth(ops.rsub_scalar(ops.eq(t, t), 1), x[1])
end

function H.IsInf(w, node, x)
  local t, a = floats(w, raw(w, x[1])), node.attrs
  local far = 3.4028234663852886e38
  local function beyond(y) return ops.gt(y, value.single(w, far, "float32")) end
  local up, down = a.detect_positive ~= 0, a.detect_negative ~= 0
  if not up and not down then return truth(ops.mul_scalar(ops.eq(t, t), 0), x[1]) end
  return truth(up and down and beyond(ops.abs(t)) or up and beyond(t) or beyond(ops.neg(t)), x[1])
end

function H.Not(w, _, x) return truth(ops.rsub_scalar(floats(w, raw(w, x[1])), 1), x[1]) end

-- ---- limits ----

function H.Clip(w, node, x)
  local a = node.attrs
  local low, high = a.min, a.max
  if node.version >= 11 then
    low, high = x[2] and value.number(x[2]), x[3] and value.number(x[3])
    if x[2] and not low or x[3] and not high then
      local y = x[1]
      if x[2] then y = H.Max(w, node, { y, x[2], n = 2 }) end
      if x[3] then y = H.Min(w, node, { y, x[3], n = 2 }) end
      return y
    end
  end
  if low and low <= -3.4e38 then low = nil end
  if high and high >= 3.4e38 then high = nil end
  if not low and not high then return x[1] end
  if low and high and low > high then low = high end
  local t = raw(w, x[1])
  if not host.is_float(x[1].dtype) then
    local y = x[1]
    local function limit(n) return host.new({ n }, {}, x[1].dtype) end
    if low then y = H.Max(w, node, { y, limit(low), n = 2 }) end
    if high then y = H.Min(w, node, { y, limit(high), n = 2 }) end
    return y
  end
  t = floats(w, t)
  local y
  if low == 0 and not high then y = ops.relu(t)
  elseif low == 0 and high == 6 then y = ops.relu6(t)
  elseif low and high then y = ops.clamp(t, low, high)
  else -- a plan is JSON, which has no infinity
    local limit = value.single(w, low or high, "float32")
    y = low and ops.maximum(t, limit) or ops.minimum(t, limit)
  end
  return value.of(y, x[1].dtype, x[1].perm)
end

-- ---- of two ----

local SCALAR = {
  Add = function(t, c) return ops.add_scalar(t, c) end, Mul = function(t, c) return ops.mul_scalar(t, c) end,
  Sub = function(t, c) return ops.add_scalar(t, -c) end, Div = function(t, c) return ops.mul_scalar(t, 1 / c) end,
}
local SCALAR_FIRST = {
  Add = SCALAR.Add, Mul = SCALAR.Mul,
  Sub = function(t, c) return ops.rsub_scalar(t, c) end, Div = function(t, c) return ops.rdiv_scalar(t, c) end,
}

-- Is b one number, which makes nothing larger of a?
local function single_beside(a, b)
  local n = value.number(b)
  return n and #b.dims <= #a.dims and not a.host and host.is_float(a.dtype) and n == n and math.abs(n) < math.huge and n
end

-- Tensors of both, of one type.
local function pair(w, a, b)
  local list, perm = value.together(w, { a, b })
  if list[1]:dtype() ~= list[2]:dtype() then list[1], list[2] = floats(w, list[1]), floats(w, list[2]) end
  return list[1], list[2], perm
end

-- Before opset 7 the second input could be aligned with an axis of the first.
local function aligned(node, x)
  local a = node.attrs
  if node.version >= 7 or not a.axis or a.broadcast ~= 1 or #x[2].dims == 0 then return x[2] end
  local axis = a.axis < 0 and a.axis + #x[1].dims or a.axis
  local dims, behind = { table.unpack(x[2].dims) }, #x[1].dims - axis - #x[2].dims
  for _ = 1, behind do dims[#dims + 1] = 1 end
  if x[2].host then return host.new(x[2].host, dims, x[2].dtype) end
  local b = {}
  for key, v in pairs(x[2]) do b[key] = v end
  if b.t or b.perm then util.fail "broadcast along an axis is not supported for what is worked out" end
  local load = b.load
  b.dims, b.key, b.load = dims, b.key .. "|aligned", function() return load():reshape(dims) end
  return b
end

local function arithmetic(onnx, ours)
  return function(w, node, x)
    local a, b = x[1], aligned(node, x)
    local second, first = SCALAR[onnx] and single_beside(a, b), SCALAR_FIRST[onnx] and single_beside(b, a)
    if second then return value.of(SCALAR[onnx](floats(w, raw(w, a)), second), a.dtype, a.perm) end
    if first then return value.of(SCALAR_FIRST[onnx](floats(w, raw(w, b)), first), b.dtype, b.perm) end
    local s, t, perm = pair(w, a, b)
    for _, v in ipairs { a, b } do -- a trained scale or shift
      if v.const then w:role(v, onnx == "Add" and "bias" or "weight") end
    end
    return value.of(ops[ours](s, t), a.dtype, perm)
  end
end
for onnx, ours in pairs { Add = "add", Sub = "sub", Mul = "mul", Div = "div" } do H[onnx] = arithmetic(onnx, ours) end

function H.Mod(w, node, x)
  local s, t, perm = pair(w, x[1], x[2])
  local y = node.attrs.fmod == 1 and ops.fmod(s, t) or ops.mod(s, t)
  return value.of(y, x[1].dtype, perm)
end

function H.Pow(w, node, x)
  x = { x[1], aligned(node, x) }
  local n = single_beside(x[1], x[2])
  local t = n and floats(w, raw(w, x[1]))
  if n == 2 then return value.of(ops.square(t), x[1].dtype, x[1].perm) end
  if n == 0.5 then return value.of(ops.sqrt(t), x[1].dtype, x[1].perm) end
  if n == 1 then return x[1] end
  if n then return value.of(ops.pow_scalar(t, n), x[1].dtype, x[1].perm) end
  local a, b, perm = pair(w, x[1], x[2])
  local y = ops.pow(floats(w, a), floats(w, b))
  if not host.is_float(x[1].dtype) then y = ops.cast(y, { dtype = "int32" }) end
  return value.of(y, x[1].dtype, perm)
end

-- Any number of inputs, one after another.
local function chain(onnx, two)
  H[onnx] = function(w, node, x)
    local y = x[1]
    for i = 2, x.n do y = two(w, node, { y, x[i], n = 2 }) end
    return y
  end
end
chain("Sum", H.Add)
chain("Max", arithmetic("Max", "maximum"))
chain("Min", arithmetic("Min", "minimum"))
function H.Mean(w, node, x)
  local y = H.Sum(w, node, x)
  return value.of(ops.mul_scalar(floats(w, raw(w, y)), 1 / x.n), y.dtype, y.perm)
end

local function compared(onnx, ours, negate)
  H[onnx] = function(w, node, x)
    local a, b, perm = pair(w, x[1], aligned(node, x))
    local y = ops[ours](a, b)
    if negate then y = ops.rsub_scalar(floats(w, y), 1) end
    return value.of(y, "bool", perm)
  end
end
compared("Equal", "eq")
compared("Greater", "gt")
compared("Less", "lt")
compared("GreaterOrEqual", "ge")
compared("LessOrEqual", "le")

local function logic(onnx, f)
  H[onnx] = function(w, node, x)
    local a, b, perm = pair(w, x[1], aligned(node, x))
    return value.of(f(floats(w, a), floats(w, b)), "bool", perm)
  end
end
logic("And", ops.mul)
logic("Or", ops.maximum)
logic("Xor", function(a, b) return ops.abs(ops.sub(a, b)) end)

function H.Where(w, _, x)
  local list, perm = value.together(w, { x[1], x[2], x[3] })
  if list[2]:dtype() ~= list[3]:dtype() then list[2], list[3] = floats(w, list[2]), floats(w, list[3]) end
  return value.of(ops.where(list[1], list[2], list[3]), x[2].dtype, perm)
end

function H.PRelu(w, _, x)
  local slope = x[2]
  if #slope.dims == 1 and #x[1].dims > 2 and slope.dims[1] == x[1].dims[2] and slope.const then -- one a channel
    local dims = {}
    for i = 2, #x[1].dims do dims[i - 1] = i == 2 and slope.dims[1] or 1 end
    slope = require("tlua.onnx.ops.shape").reshape(w, slope, dims)
  end
  local s, t, perm = pair(w, x[1], slope)
  w:role(slope, "weight")
  s, t = floats(w, s), floats(w, t)
  return value.of(ops.add(ops.relu(s), ops.mul(t, ops.neg(ops.relu(ops.neg(s))))), x[1].dtype, perm)
end

-- ---- types ----

local BITS = { uint8 = { 0, 255 }, int8 = { -128, 127 }, uint16 = { 0, 65535 }, int16 = { -32768, 32767 } }

local function cast(w, v, dtype)
  if not dtype then util.fail "a type that is not supported" end
  if v.dtype == dtype then return v end
  if v.host then
    local h = host.map({ v }, dtype, function(n) return n end)
    h.source = v.source
    return h
  end
  local is, wanted = host.is_float(v.dtype), host.is_float(dtype)
  if is and wanted then -- halves and doubles are float32 here
    local copy = {}
    for key, each in pairs(v) do copy[key] = each end
    copy.dtype = dtype
    return copy
  end
  local t = raw(w, v)
  if wanted then return value.of(floats(w, t), dtype, v.perm) end
  if dtype == "bool" then
    return value.of(ops.ne(floats(w, t), value.single(w, 0.0, "float32")), dtype, v.perm)
  end
  t = t:dtype() == "int32" and t or ops.cast(t, { dtype = "int32" })
  local limits = BITS[dtype]
  if limits and v.dtype ~= "bool" then -- as many bits as there are, the rest is lost
    local function number(n) return value.single(w, n, "int32") end
    local span = number(limits[2] - limits[1] + 1)
    t = limits[1] == 0 and ops.mod(t, span) or ops.add(ops.mod(ops.sub(t, number(limits[1])), span), number(limits[1]))
  end
  return value.of(t, dtype, v.perm)
end

function H.Cast(w, node, x)
  local to = node.attrs.to
  return cast(w, x[1], type(to) == "string" and to:lower():gsub("^float$", "float32"):gsub("^double$", "float64")
    or value.TYPES[to])
end
function H.CastLike(w, _, x) return cast(w, x[1], x[2].dtype) end

function H.Identity(_, _, x) return x[1] end

function H.Dropout(w, node, x)
  if node.attrs.is_test == 0 then util.fail "is_test = 0 is not supported: recipes say what draws" end
  local t = value.of(ops.dropout(floats(w, raw(w, x[1])),
    { p = node.attrs.ratio or value.number(x[2]) or 0.5, training = false }),
    x[1].dtype, x[1].perm)
  if value.number(x[3]) == 1 then util.fail "training_mode is not supported: recipes say what draws" end
  if #node.outputs < 2 or node.outputs[2] == "" then return t end
  local n, ones = host.count(x[1].dims), {} -- the mask: nothing was dropped
  if n > host.MOST then return t end
  for i = 1, n do ones[i] = 1 end
  return { t, host.new(ones, x[1].dims, "bool") }
end

return { handlers = H, cast = cast, pair = pair }
