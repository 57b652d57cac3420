-- host.lua - small arrays in Lua: what a graph computes of shapes, axes and single numbers, which decides how its calls
-- look and never reaches the device. An array is {dims =, dtype = ONNX's, host = {numbers, last dimension first},
-- sized = true where it follows from a size that is left open}. Whole numbers have the width of their type.
local util = require "tlua.util"
local host = {}

host.MOST = 4096 -- elements; larger ones are tensors

local INTEGERS = { int8 = 8, int16 = 16, int32 = 32, int64 = 64, uint8 = -8, uint16 = -16, uint32 = -32, uint64 = 64 }
function host.is_integer(dtype) return INTEGERS[dtype] ~= nil end
function host.is_float(dtype) return dtype:find "float" ~= nil end

local function to_float32(x)
  if x ~= x or x == math.huge or x == -math.huge then return x end
  return (string.unpack("<f", string.pack("<f", x)))
end

-- A number as a type holds it.
function host.number(x, dtype)
  local bits = INTEGERS[dtype]
  if bits then
    if x ~= x or x == math.huge then x = 0 end
    if math.type(x) == "float" then
      x = x < 0 and math.ceil(x) or math.floor(x)
      x = math.tointeger(x) or (x > 0 and math.maxinteger or math.mininteger)
    end
    if bits == 64 then return x end
    local n = math.abs(bits)
    x = x & ((1 << n) - 1)
    if bits > 0 and x >> (n - 1) & 1 == 1 then x = x - (1 << n) end
    return x
  elseif dtype == "bool" then return x ~= 0 and 1 or 0
  elseif dtype == "float64" then return x + 0.0 end
  return to_float32(x + 0.0)
end

function host.count(dims)
  local n = 1
  for _, d in ipairs(dims) do n = n * d end
  return n
end

function host.new(numbers, dims, dtype, sized)
  return { host = numbers, dims = dims, dtype = dtype, sized = sized or nil, const = true }
end

-- Numbers of `dtype` (int64) as a vector; a single one as a scalar.
function host.vector(numbers, sized) return host.new(numbers, { #numbers }, "int64", sized) end

-- ---- places ----

local function strides_of(dims)
  local s, n = {}, 1
  for i = #dims, 1, -1 do s[i], n = n, n * dims[i] end
  return s
end

-- Calls f(k, at) for each of the elements of `dims`, k counting from 1, `at` the list of positions from 0 (reused).
function host.each(dims, f)
  local at, rank = {}, #dims
  for i = 1, rank do at[i] = 0 end
  for k = 1, host.count(dims) do
    f(k, at)
    local i = rank
    while i > 0 do
      at[i] = at[i] + 1
      if at[i] < dims[i] then break end
      at[i], i = 0, i - 1
    end
  end
end

-- dims of arrays that are broadcast together.
function host.broadcast_dims(list)
  local rank, out = 0, {}
  for _, a in ipairs(list) do rank = math.max(rank, #a) end
  for i = 1, rank do
    local d = 1
    for _, a in ipairs(list) do
      local own = a[i - rank + #a] or 1
      if own ~= 1 then
        if d ~= 1 and d ~= own then
          util.failf("%s and %s do not broadcast", util.shape_text(list[1]), util.shape_text(a))
        end
        d = own
      end
    end
    out[i] = d
  end
  return out
end

-- An array with the dims of a broadcast, as a list.
local function spread(a, dims)
  if #a.dims == #dims and util.same_shape(a.dims, dims) then return a.host end
  local s, shift, out = strides_of(a.dims), #dims - #a.dims, {}
  host.each(dims, function(k, at)
    local from = 0
    for i = 1, #a.dims do
      if a.dims[i] ~= 1 then from = from + at[i + shift] * s[i] end
    end
    out[k] = a.host[from + 1]
  end)
  return out
end

local function any_sized(list)
  for _, a in ipairs(list) do
    if a.sized then return true end
  end
end
host.any_sized = any_sized

-- f of arrays, element by element; dtype: of the result.
function host.map(list, dtype, f)
  local shapes = {}
  for i, a in ipairs(list) do shapes[i] = a.dims end
  local dims, parts, out = host.broadcast_dims(shapes), {}, {}
  for i, a in ipairs(list) do parts[i] = spread(a, dims) end
  local x, y, z = parts[1], parts[2], parts[3]
  for k = 1, host.count(dims) do out[k] = host.number(f(x[k], y and y[k], z and z[k]), dtype) end
  return host.new(out, dims, dtype, any_sized(list))
end

function host.expand(a, dims)
  local whole = host.broadcast_dims { a.dims, dims }
  return host.new(spread(a, whole), whole, a.dtype, a.sized)
end

function host.reshape(a, dims) return host.new(a.host, dims, a.dtype, a.sized) end

-- axes: where each new dimension comes from, from 1.
function host.permute(a, axes)
  local s, dims, out = strides_of(a.dims), {}, {}
  for i, axis in ipairs(axes) do dims[i] = a.dims[axis] end
  host.each(dims, function(k, at)
    local from = 0
    for i, axis in ipairs(axes) do from = from + at[i] * s[axis] end
    out[k] = a.host[from + 1]
  end)
  return host.new(out, dims, a.dtype, a.sized)
end

-- Elements along `axis` (from 1) by positions from 0, which are a list.
function host.take(a, axis, positions)
  local s, dims, out = strides_of(a.dims), { table.unpack(a.dims) }, {}
  dims[axis] = #positions
  host.each(dims, function(k, at)
    local from = 0
    for i = 1, #dims do from = from + (i == axis and positions[at[i] + 1] or at[i]) * s[i] end
    out[k] = a.host[from + 1]
  end)
  return host.new(out, dims, a.dtype, a.sized)
end

function host.concat(list, axis)
  local dims, total, out = { table.unpack(list[1].dims) }, 0, {}
  for _, a in ipairs(list) do total = total + a.dims[axis] end
  dims[axis] = total
  local outer, inner = 1, 1
  for i = 1, axis - 1 do outer = outer * dims[i] end
  for i = axis + 1, #dims do inner = inner * dims[i] end
  for o = 0, outer - 1 do
    for _, a in ipairs(list) do
      local n = a.dims[axis] * inner
      table.move(a.host, o * n + 1, o * n + n, #out + 1, out)
    end
  end
  return host.new(out, dims, list[1].dtype, any_sized(list))
end

-- f(total, element) from `first` over `axes` (set of dimensions from 1); `done`, what becomes of a total and the count.
function host.reduce(a, axes, keep, first, f, done)
  local dims, kept, totals = {}, {}, {}
  for i, d in ipairs(a.dims) do
    kept[i] = axes[i] and 1 or d
    if not axes[i] then dims[#dims + 1] = d elseif keep then dims[#dims + 1] = 1 end
  end
  local s, n = strides_of(kept), 1
  for k = 1, host.count(kept) do totals[k] = first end
  for i in pairs(axes) do n = n * a.dims[i] end
  host.each(a.dims, function(k, at)
    local to = 1
    for i = 1, #at do to = to + (axes[i] and 0 or at[i] * s[i]) end
    totals[to] = totals[to] == nil and a.host[k] or f(totals[to], a.host[k])
  end)
  if n == 0 and first == nil then util.fail "of no elements is not supported" end
  for k = 1, host.count(kept) do totals[k] = host.number(done and done(totals[k], n) or totals[k], a.dtype) end
  return host.new(totals, dims, a.dtype, a.sized)
end

-- ---- operators: HOST[op](inputs, attrs) -> array or list of arrays, or nil where it is the device's ----

local function floor_div(x, y, dtype)
  if host.is_integer(dtype) then
    if y == 0 then util.fail "a whole number is divided by zero" end
    local q = x // y -- towards minus infinity; ONNX wants towards zero
    if q < 0 and q * y ~= x then q = q + 1 end
    return q
  end
  return x / y
end

local function remainder(x, y, fmod, dtype)
  if y == 0 and host.is_integer(dtype) then util.fail "a whole number is divided by zero" end
  if fmod then return math.fmod(x, y) end
  return x % y
end

local function round_even(x)
  local r = math.floor(x + 0.5)
  if x + 0.5 == r and r % 2 ~= 0 then r = r - 1 end
  return r
end

local function erf(x) -- Abramowitz and Stegun are too rough: a series, and the continued fraction beyond 3
  local a = math.abs(x)
  if a > 6 then return x > 0 and 1 or -1 end
  if a < 3 then
    local term, sum = a, a
    for n = 1, 120 do
      term = -term * a * a / n
      sum = sum + term / (2 * n + 1)
    end
    sum = sum * 2 / math.sqrt(math.pi)
    return x < 0 and -sum or sum
  end
  local f = 0
  for n = 60, 1, -1 do f = n / 2 / (a + f) end
  local r = 1 - math.exp(-a * a) / (math.sqrt(math.pi) * (a + f))
  return x < 0 and -r or r
end

local UNARY = { Abs = math.abs, Floor = math.floor, Ceil = math.ceil, Round = round_even, Exp = math.exp,
  Sin = math.sin, Cos = math.cos, Neg = function(x) return -x end, Reciprocal = function(x) return 1 / x end,
  Sqrt = function(x) return x < 0 and 0 / 0 or math.sqrt(x) end,
  Log = function(x) return x < 0 and 0 / 0 or math.log(x) end, Not = function(x) return x == 0 and 1 or 0 end,
  Sign = function(x) return x > 0 and 1 or x < 0 and -1 or x end,
  Relu = function(x) return x > 0 and x or 0 end, Erf = erf,
  Tanh = function(x)
    local e = math.exp(-2 * math.abs(x))
    return (x < 0 and -1 or 1) * (1 - e) / (1 + e)
  end,
  Sigmoid = function(x) return 1 / (1 + math.exp(-x)) end, Identity = function(x) return x end,
}

local BINARY = { Add = function(x, y) return x + y end, Sub = function(x, y) return x - y end,
  Mul = function(x, y) return x * y end, BitwiseAnd = function(x, y) return x & y end,
  BitwiseOr = function(x, y) return x | y end, BitwiseXor = function(x, y) return x ~ y end }

local function power(x, y, dtype)
  if host.is_integer(dtype) and math.type(y) == "integer" and y >= 0 then
    local r = 1
    for _ = 1, math.min(y, 4096) do r = r * x end
    return r
  end
  return x ^ y
end

local COMPARE = { Equal = function(x, y) return x == y end, Less = function(x, y) return x < y end,
  Greater = function(x, y) return x > y end, LessOrEqual = function(x, y) return x <= y end,
  GreaterOrEqual = function(x, y) return x >= y end,
  And = function(x, y) return x ~= 0 and y ~= 0 end, Or = function(x, y) return x ~= 0 or y ~= 0 end,
  Xor = function(x, y) return (x ~= 0) ~= (y ~= 0) end }

local HOST = {}
host.OPS = HOST
for name, f in pairs(UNARY) do HOST[name] = function(x) return host.map({ x[1] }, x[1].dtype, f) end end
for name, f in pairs(BINARY) do
  HOST[name] = function(x) return host.map({ x[1], x[2] }, x[1].dtype, f) end
end
for name, f in pairs(COMPARE) do
  HOST[name] = function(x)
    return host.map({ x[1], x[2] }, "bool", function(a, b) return f(a, b) and 1 or 0 end)
  end
end
function HOST.Div(x)
  return host.map({ x[1], x[2] }, x[1].dtype, function(a, b) return floor_div(a, b, x[1].dtype) end)
end
function HOST.Mod(x, a)
  return host.map({ x[1], x[2] }, x[1].dtype, function(u, v) return remainder(u, v, a.fmod == 1, x[1].dtype) end)
end
function HOST.Pow(x) return host.map({ x[1], x[2] }, x[1].dtype, function(a, b) return power(a, b, x[1].dtype) end) end
function HOST.Where(x)
  return host.map({ x[1], x[2], x[3] }, x[2].dtype, function(c, a, b)
    if c ~= 0 then return a end
    return b
  end)
end

function HOST.BitShift(x, a)
  local left = a.direction == "LEFT"
  if not left and a.direction ~= "RIGHT" then util.failf("the direction '%s'", a.direction or "?") end
  return host.map({ x[1], x[2] }, x[1].dtype, function(u, v) return left and u << v or u >> v end)
end

local function chain(pick)
  return function(x)
    local y = x[1]
    for i = 2, #x do y = host.map({ y, x[i] }, x[1].dtype, pick) end
    return y
  end
end
HOST.Max = chain(function(a, b) return (a ~= a or a > b) and a or b end)
HOST.Min = chain(function(a, b) return (a ~= a or a < b) and a or b end)
HOST.Sum = chain(BINARY.Add)

return host
