-- reduce.lua - ONNX operators that sum up along axes, and what is made of sizes.
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local elementwise = require "tlua.onnx.ops.elementwise"
local ops = core.ops
local H = {}

local axis_of, place_of = shape.axis_of, shape.place_of

-- ---- reductions ----

-- The axes that a reduction is over: a set of axes from 1; nil where it is over none.
local function axes_of(node, x)
  local list = shape.axes_list(node, x)
  local set, rank = {}, #x[1].dims
  if not list or #list == 0 then
    if node.attrs.noop_with_empty_axes == 1 then return nil end
    for i = 1, rank do set[i] = true end
    return set
  end
  for _, axis in ipairs(list) do set[axis_of(axis, rank)] = true end
  return set
end

-- f(tensor, {axes = places, keep}) over these axes, in the order in which v lies.
local function along(w, v, set, keep, f)
  local list, perm, now = {}, {}, {}
  local kept = 0
  for axis = 1, #v.dims do
    if keep or not set[axis] then kept = kept + 1 now[axis] = kept end
  end
  for place, axis in ipairs(value.places(v.perm, #v.dims)) do
    if set[axis] then list[#list + 1] = place end
    if now[axis] then perm[#perm + 1] = now[axis] end
  end
  local t = value.raw(w, v)
  if #list == 0 then return v end
  return value.of(f(t, { axes = list, keep = keep }), v.dtype, perm)
end

local HOST_REDUCE = {
  ReduceSum = { 0, function(a, b) return a + b end }, ReduceProd = { 1, function(a, b) return a * b end },
  ReduceMax = { nil, math.max }, ReduceMin = { nil, math.min },
  ReduceMean = { 0, function(a, b) return a + b end, function(t, n) return t / n end },
}

-- What a reduction over no axes does to each number.
local ALONE = { ReduceL1 = ops.abs, ReduceL2 = ops.abs, ReduceSumSquare = function(t) return ops.mul(t, t) end,
  ReduceLogSum = ops.log }

local function reduction(onnx, f)
  H[onnx] = function(w, node, x)
    local v, keep = x[1], node.attrs.keepdims ~= 0
    local set = axes_of(node, x)
    local whole = not host.is_float(v.dtype)
    if whole and (onnx == "ReduceL2" or onnx:find "Log") then util.failf("of %s, which is not supported", v.dtype) end
    if not set or not next(set) then
      local alone = ALONE[onnx]
      return alone and value.of(alone(value.raw(w, v)), v.dtype, v.perm) or v
    end
    local small = HOST_REDUCE[onnx]
    if v.host and small then
      local y = host.reduce(v, set, keep, small[1], small[2], small[3])
      if whole and onnx == "ReduceMean" then
        for i, n in ipairs(y.host) do y.host[i] = math.tointeger(n < 0 and math.ceil(n) or math.floor(n)) end
      end
      return y
    end
    if whole and onnx == "ReduceMean" then -- whole numbers divide to whole numbers
      local n = 1
      for axis in pairs(set) do n = n * v.dims[axis] end
      local sum = along(w, v, set, keep, function(t, o) return ops.sum(t, o) end)
      return elementwise.handlers.Div(w, { op = "Div", version = node.version, attrs = {} },
        { sum, host.new({ n }, {}, v.dtype), n = 2 })
    end
    return along(w, v, set, keep, f)
  end
end

local floats = value.floats
local function of_floats(f) return function(t, ...) return f(floats(nil, t), ...) end end
reduction("ReduceSum", function(t, o) return ops.sum(t, o) end)
reduction("ReduceMean", of_floats(function(t, o) return ops.mean(t, o) end))
reduction("ReduceMax", function(t, o) return ops.amax(t, o) end)
reduction("ReduceMin", function(t, o) return ops.amin(t, o) end)
reduction("ReduceProd", function(t, o) return ops.prod(t, o) end)
reduction("ReduceL1", function(t, o) return ops.sum(ops.abs(t), o) end)
reduction("ReduceL2", of_floats(function(t, o) return ops.sqrt(ops.sum(ops.square(t), o)) end))
reduction("ReduceSumSquare", function(t, o) return ops.sum(ops.mul(t, t), o) end)
reduction("ReduceLogSum", of_floats(function(t, o) return ops.log(ops.sum(t, o)) end))
reduction("ReduceLogSumExp", of_floats(function(t, o)
  local top = ops.amax(t, { axes = o.axes, keep = true })
  local rest = ops.log(ops.sum(ops.exp(ops.sub(t, top)), o))
  return ops.add(rest, o.keep and top or top:reshape(rest:shape()))
end))

local function arg(onnx, ours)
  H[onnx] = function(w, node, x)
    local v, axis = x[1], axis_of(node.attrs.axis or 0, #x[1].dims)
    if node.attrs.select_last_index == 1 then
      -- The last of equals is the first from behind.
      local back = shape.slice_one(w, v, axis, v.dims[axis] - 1, v.dims[axis], -1)
      local y = along(w, back, { [axis] = true }, node.attrs.keepdims ~= 0, function(t, o)
        return ops[ours](floats(w, t), { axis = o.axes[1], keep = o.keep })
      end)
      local last = value.single(w, v.dims[axis] - 1, "int32")
      return value.of(ops.sub(last, value.raw(w, y)), "int64", y.perm)
    end
    local y = along(w, v, { [axis] = true }, node.attrs.keepdims ~= 0, function(t, o)
      return ops[ours](floats(w, t), { axis = o.axes[1], keep = o.keep })
    end)
    return value.of(y.t, "int64", y.perm)
  end
end
arg("ArgMax", "argmax")
arg("ArgMin", "argmin")

function H.CumSum(w, node, x)
  local axis = axis_of(value.numbers(x[2], "the axis")[1], #x[1].dims)
  local o = { axis = place_of(x[1], axis), exclusive = node.attrs.exclusive == 1, reverse = node.attrs.reverse == 1 }
  return value.of(ops.cumsum(value.raw(w, x[1]), o), x[1].dtype, x[1].perm)
end

function H.TopK(w, node, x)
  local axis = axis_of(node.attrs.axis or -1, #x[1].dims)
  local k = node.version < 10 and node.attrs.k or value.numbers(x[2], "k")[1]
  local v = x[1]
  local values, ids = ops.topk(floats(w, value.raw(w, v)),
    { k = k, axis = place_of(v, axis), largest = node.attrs.largest ~= 0 })
  return { value.of(values, v.dtype, v.perm), value.of(ids, "int64", v.perm) }
end

-- ---- softmax ----

-- Before opset 13 all axes from `axis` on were one.
local function softmax(ours)
  return function(w, node, x)
    local v, rank = x[1], #x[1].dims
    local axis = axis_of(node.attrs.axis or (node.version < 13 and 1 or -1), rank)
    if node.version < 13 and axis < rank then
      local a, b = 1, 1
      for i, d in ipairs(v.dims) do
        if i < axis then a = a * d else b = b * d end
      end
      local ones = b == v.dims[axis]
      if not ones then
        local flat = shape.reshape(w, v, { a, b })
        local y = ops[ours](floats(w, value.raw(w, flat)), { axis = place_of(flat, 2) })
        return shape.reshape(w, value.of(y, v.dtype, flat.perm), v.dims)
      end
    end
    return value.of(ops[ours](floats(w, value.raw(w, v)), { axis = place_of(v, axis) }), v.dtype, v.perm)
  end
end
H.Softmax, H.LogSoftmax = softmax "softmax", softmax "log_softmax"

local function one_hot_tensor(w, ids, n)
  local eye = w:prepare("eye|" .. n, function()
    local series = core.arange(n, { dtype = "int32" })
    return value.floats(w, ops.eq(series:reshape { n, 1 }, series))
  end)
  return ops.embedding(eye, ids)
end

function H.Hardmax(w, node, x)
  local v, rank = x[1], #x[1].dims
  local axis = axis_of(node.attrs.axis or (node.version < 13 and 1 or -1), rank)
  local dims = v.dims
  if node.version < 13 then
    local a, b = 1, 1
    for i, d in ipairs(dims) do
      if i < axis then a = a * d else b = b * d end
    end
    v, axis = shape.reshape(w, v, { a, b }), 2
  end
  local first = {}
  for i = 1, #v.dims do
    if i ~= axis then first[#first + 1] = i end
  end
  first[#first + 1] = axis
  local t = floats(w, value.arranged(w, v, first))
  local y = value.of(one_hot_tensor(w, ops.argmax(t, { axis = -1 }), v.dims[axis]), v.dtype, first)
  return shape.reshape(w, y, dims)
end

function H.OneHot(w, node, x)
  local depth = value.numbers(x[2], "the depth")[1]
  local pair = value.numbers(x[3], "the two values")
  local rank = #x[1].dims
  local axis = axis_of(node.attrs.axis or -1, rank + 1)
  local t = value.tensor(w, x[1])
  t = t:dtype() == "int32" and t or ops.cast(t, { dtype = "int32" })
  -- Negative numbers count from the end; what is out of range has no place and gives zeros.
  local last, zero = value.single(w, depth, "int32"), value.single(w, 0, "int32")
  local wrapped = ops.where(ops.lt(t, zero), ops.add(t, last), t)
  local shape_of = wrapped:shape()
  shape_of[#shape_of + 1] = 1
  local series = w:prepare("series|" .. depth, function() return core.arange(depth, { dtype = "int32" }) end)
  local y = value.floats(w, ops.eq(wrapped:reshape(shape_of), series))
  y = ops.add_scalar(ops.mul_scalar(y, pair[2] - pair[1]), pair[1])
  if not host.is_float(x[3].dtype) then y = ops.cast(y, { dtype = "int32" }) end
  local perm = {}
  for i = 1, rank do perm[i] = i < axis and i or i + 1 end
  perm[rank + 1] = axis
  return value.of(y, x[3].dtype, perm)
end

-- ---- of sizes ----

function H.Shape(_, node, x)
  local dims, first, last = x[1].dims, node.attrs.start or 0, node.attrs["end"] or #x[1].dims
  local n = #dims
  first = math.max(0, math.min(n, first < 0 and first + n or first))
  last = math.max(0, math.min(n, last < 0 and last + n or last))
  return host.vector({ table.unpack(dims, first + 1, last) }, not x[1].const)
end

function H.Size(_, _, x) return host.new({ host.count(x[1].dims) }, {}, "int64", not x[1].const) end

-- Equal elements as a tensor that is not stored: one number, spread.
local function equal(w, number, dims, dtype, sized)
  local n = host.count(dims)
  if n <= host.MOST then
    local list = {}
    for i = 1, n do list[i] = number end
    return host.new(list, dims, dtype, sized)
  end
  if n > 1 << 28 then util.failf("%s is too large", util.shape_text(dims)) end
  return value.of(ops.expand(value.single(w, number, value.device_type(dtype)), { shape = dims }), dtype)
end

function H.ConstantOfShape(w, node, x)
  local dims, c = value.numbers(x[1], "the shape"), node.attrs.value
  for _, d in ipairs(dims) do
    if d < 0 then util.failf("a dimension of %d", d) end
  end
  return equal(w, c and c:numbers(1)[1] or 0.0, { table.unpack(dims) }, c and c.dtype or "float32", x[1].sized)
end

function H.Expand(w, _, x)
  local v, dims = x[1], host.broadcast_dims { x[1].dims, value.numbers(x[2], "the shape") }
  if util.same_shape(dims, v.dims) and #dims == #v.dims then return v end
  if v.host and #v.host == 1 then return equal(w, v.host[1], dims, v.dtype, x[2].sized) end
  if v.host and host.count(dims) <= host.MOST and not (w.tracing and (v.sized or x[2].sized)) then
    local h = host.expand(v, dims)
    h.sized = v.sized or x[2].sized
    return h
  end
  local more = #dims - #v.dims
  local perm, physical = {}, {}
  for i = 1, more do perm[i] = i end
  for _, axis in ipairs(value.places(v.perm, #v.dims)) do perm[#perm + 1] = axis + more end
  for place, axis in ipairs(perm) do physical[place] = dims[axis] end
  return value.of(ops.expand(value.arranged(w, v, perm, #dims, true), { shape = physical }), v.dtype, perm)
end

function H.Tile(w, node, x)
  local v = x[1]
  local times = node.version < 6 and nil or value.numbers(x[2], "how often")
  if not times then util.fail "of opset 1 is not supported" end
  local wide, out, physical = {}, {}, {}
  for i, d in ipairs(v.dims) do
    wide[#wide + 1], wide[#wide + 2] = 1, d
    physical[#physical + 1], physical[#physical + 2] = times[i], d
    out[i] = d * times[i]
  end
  if v.host and host.count(out) <= host.MOST then
    return host.reshape(host.expand(host.reshape(v, wide), physical), out)
  end
  local t = value.tensor(w, v)
  if #wide > 8 then -- more dimensions than tensors have: one after another
    for i, n in ipairs(times) do
      if n > 1 then
        local copies = {}
        for k = 1, n do copies[k] = t end
        t = shape.join(copies, i)
      end
    end
    return value.of(t, v.dtype)
  end
  return value.of(ops.expand(t:reshape(wide), { shape = physical }):reshape(out), v.dtype)
end

function H.Range(_, _, x)
  local first, limit, step = value.numbers(x[1], "the start")[1], value.numbers(x[2], "the limit")[1],
    value.numbers(x[3], "the step")[1]
  if step == 0 then util.fail "a step of 0" end
  local n, list = math.max(0, math.ceil((limit - first) / step)), {}
  if n > host.MOST * 16 then util.failf("a range of %d numbers is too long", n) end
  for i = 1, n do list[i] = host.number(first + (i - 1) * step, x[1].dtype) end
  return host.new(list, { #list }, x[1].dtype, x[1].sized or x[2].sized or x[3].sized)
end

function H.NonZero(_, _, x)
  local v = x[1]
  if not v.host then
    util.fail "how many there are follows from the input: results of unknown size are not supported"
  end
  local rows = {}
  for i = 1, #v.dims do rows[i] = {} end
  host.each(v.dims, function(k, at)
    if v.host[k] ~= 0 then
      for i = 1, #v.dims do table.insert(rows[i], at[i]) end
    end
  end)
  local flat = {}
  for i = 1, #v.dims do table.move(rows[i], 1, #rows[i], #flat + 1, flat) end
  return host.new(flat, { #v.dims, #rows[1] or 0 }, "int64", v.sized)
end

function H.EyeLike(w, node, x)
  local d, k = x[1].dims, node.attrs.k or 0
  if host.count(d) > host.MOST then util.failf("%s is too large", util.shape_text(d)) end
  local list = {}
  host.each(d, function(i, at) list[i] = at[2] - at[1] == k and 1.0 or 0.0 end)
  local v = host.new(list, d, "float32", true)
  return elementwise.cast(w, v, value.type_named(node.attrs.dtype, x[1].dtype))
end

-- Is row + k <= column (upper), or the other way round: on the device by comparing series, so any size serves.
function H.Trilu(w, node, x)
  local v, upper = x[1], node.attrs.upper ~= 0
  local k = x[2] and value.numbers(x[2], "the diagonal")[1] or 0
  local rank = #v.dims
  local rows, columns = {}, {}
  for i = 1, v.dims[rank - 1] do rows[i] = i - 1 end
  for i = 1, v.dims[rank] do columns[i] = i - 1 - k end
  local a = value.raw(w, host.new(rows, { #rows, 1 }, "int64", true))
  local b = value.raw(w, host.new(columns, { 1, #columns }, "int64", true))
  local inside = upper and ops.le(a, b) or ops.ge(a, b)
  local t = value.tensor(w, v)
  local zero = t:dtype() == "int32" and value.single(w, 0, "int32") or value.single(w, 0.0, "float32")
  return value.of(ops.where(inside, t, zero), v.dtype)
end

return { handlers = H, along = along }
