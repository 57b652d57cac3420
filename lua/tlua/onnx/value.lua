-- value.lua - what an ONNX graph computes with, while its nodes are walked through (walk.lua).
--
-- A value is {dims = in ONNX's order, dtype = ONNX's, t = tensor, perm = which ONNX axis lies at each place of the
-- tensor (nil: as in ONNX)}, so that a transposition changes a label and moves nothing, and pictures are channels last
-- between convolutions. Constants have `const`, and `key`, which names what they are made of; their tensor is loaded
-- when a call wants it. Small ones have their numbers as `host` (host.lua). Whole numbers and truths are int32 on the
-- device (float32 where a comparison of floats made them).
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local ops = core.ops
local value = {}

-- ---- making ----

local function logical(shape, perm)
  if not perm then return shape end
  local dims = {}
  for place, axis in ipairs(perm) do dims[axis] = shape[place] end
  return dims
end

local function is_identity(perm)
  for i, axis in ipairs(perm) do
    if axis ~= i then return false end
  end
  return true
end

value.LARGEST = 1 << 30 -- elements of a tensor

-- A value of a tensor whose place i holds axis perm[i].
function value.of(t, dtype, perm)
  if t:numel() > value.LARGEST then util.failf("%s is too large", util.shape_text(t:shape())) end
  if perm and is_identity(perm) then perm = nil end
  return { t = t, perm = perm, dims = logical(t:shape(), perm), dtype = dtype }
end

-- A constant of a file: c is core.onnx_read's.
function value.constant(c, key)
  local v = { const = true, key = key, source = key, dims = c.dims, dtype = c.dtype, count = c.count }
  if c.count <= host.MOST and c.dtype ~= "string" and not c.dtype:find "complex" then v.host = c:numbers() end
  v.load = function() return c:tensor() end
  return v
end

function value.count(v) return v.count or host.count(v.dims) end

-- The single number of a constant, or nil.
function value.number(v)
  if v and v.host and #v.host == 1 then return v.host[1] end
end

-- All numbers of a value that is small and constant; `what` names it in the error otherwise.
function value.numbers(v, what)
  if v.host then return v.host end
  util.failf("%s is worked out from the input, and has to be a constant", what)
end

-- ONNX's numbers of types.
value.TYPES = { [1] = "float32", [2] = "uint8", [3] = "int8", [4] = "uint16", [5] = "int16", [6] = "int32",
  [7] = "int64", [9] = "bool", [10] = "float16", [11] = "float64", [12] = "uint32", [13] = "uint64", [16] = "bfloat16" }

-- The type that an attribute names; `usual` where there is none.
function value.type_named(number, usual)
  if number == nil or number == 0 then return usual end
  return value.TYPES[number] or util.failf("the type of the number %d is not supported", number)
end

-- ---- on the device ----

local DEVICE_TYPE = { float32 = "float32", float16 = "float32", bfloat16 = "float32", float64 = "float32" }
function value.device_type(dtype) return DEVICE_TYPE[dtype] or "int32" end

local LARGEST = 0x7fffffff

-- Numbers as a tensor; what an exporter writes for "to the end" is as far as int32 goes.
local function upload(v)
  local dtype, list = value.device_type(v.dtype), v.host
  if #list == 0 then util.fail "a tensor without elements has no place on a device" end
  if dtype == "int32" then
    list = {}
    for i, x in ipairs(v.host) do
      if x > LARGEST or x < -LARGEST - 1 then
        util.failf("%d is out of the range of int32, which devices count in", x)
      end
      list[i] = x
    end
  end
  return core.tensor(list, { dtype = dtype }):reshape(v.dims)
end

-- One number as a tensor without dimensions, of a device's type.
function value.single(w, number, dtype)
  return w:prepare(("%s|%s"):format(number, dtype), function() return core.full({}, number, { dtype = dtype }) end)
end

-- Numbers that follow from a size left open: calls that make them, of equal numbers or of an even series; nil for
-- others.
local function made_of_sizes(w, v)
  local n, dtype = #v.host, value.device_type(v.dtype)
  if n < 2 then return nil end
  local first, step = v.host[1], v.host[2] - v.host[1]
  for i = 2, n do
    if math.abs(v.host[i] - v.host[i - 1] - step) > 1e-6 * math.abs(step) then return nil end
  end
  local series
  if step == 0 then
    series = ops.expand(value.single(w, first, dtype), { shape = { n } })
  elseif math.type(first) == "integer" and math.type(step) == "integer" and dtype == "int32" then
    series = ops.range { start = first, count = n, step = step }
  else
    series = ops.cast(ops.range { count = n }, { dtype = "float32" })
    if step ~= 1 then series = ops.mul_scalar(series, step) end
    if first ~= 0 then series = ops.add_scalar(series, first) end
    if dtype == "int32" then series = ops.cast(series, { dtype = "int32" }) end
  end
  return series:reshape(v.dims)
end

-- The key of a constant: the file's, or what its numbers are.
local function key_of(v)
  if v.key then return v.key end
  return ("numbers|%s|%s|%s"):format(v.dtype, table.concat(v.dims, ","), table.concat(v.host or {}, ","))
end
value.key_of = key_of

-- The tensor of a value as it lies, whatever its order.
function value.raw(w, v)
  if v.t then return v.t end
  local made = v.sized and w.tracing and made_of_sizes(w, v)
  if made then return made end
  if v.key and v.load then return w:prepare(v.key, v.load) end
  return w:prepare(key_of(v), function() return upload(v) end)
end

-- A tensor derived from a value's: made once where the value is a constant, and packed, or a plan would copy a turned
-- weight in each run. `form` tells it from others.
function value.form(w, v, form, f)
  if v.const and not (v.sized and w.tracing and #v.host > 1) then
    local key = key_of(v) .. "|" .. form
    local t = w:prepare(key, function() return f(value.raw(w, v)):clone() end)
    return t, key
  end
  return f(value.raw(w, v))
end

local function places(perm, rank)
  if perm then return perm end
  local out = {}
  for i = 1, rank do out[i] = i end
  return out
end
value.places = places

-- The order `perm` of rank axes with `more` new leading ones in front.
local function with_leading(perm, rank, more)
  if more == 0 then return places(perm, rank) end
  local out = {}
  for i = 1, more do out[i] = i end
  for i, axis in ipairs(places(perm, rank)) do out[more + i] = axis + more end
  return out
end

-- The tensor of v with new leading axes up to `rank`, whose place i holds axis target[i]. Axes of length one move
-- without copying. `loose`: leading ones may stay away, for what broadcasts.
function value.arranged(w, v, target, rank, loose)
  rank = rank or #v.dims
  local more = rank - #v.dims
  local have, want = with_leading(v.perm, #v.dims, more), places(target, rank)
  local dims = {}
  for i = 1, rank do dims[i] = i <= more and 1 or v.dims[i - more] end
  local a, b, shape = {}, {}, {}
  for i = 1, rank do
    if dims[have[i]] ~= 1 then a[#a + 1] = have[i] end
    if dims[want[i]] ~= 1 then b[#b + 1] = want[i] end
    shape[i] = dims[want[i]]
  end
  while loose and #shape > 0 and shape[1] == 1 do table.remove(shape, 1) end
  local same = true
  for i = 1, #a do same = same and a[i] == b[i] end
  if same then
    local physical = {}
    for i = 1, #v.dims do physical[i] = v.dims[places(v.perm, #v.dims)[i]] end
    if util.same_shape(physical, shape) then return value.raw(w, v) end
    return (value.form(w, v, "as " .. table.concat(shape, ","), function(t) return t:reshape(shape) end))
  end
  local axes, place = {}, {}
  for i, axis in ipairs(have) do place[axis] = i end
  for i, axis in ipairs(want) do
    if axis > more then axes[#axes + 1] = place[axis] - more end
  end
  return (value.form(w, v, "order " .. table.concat(want, ",") .. "," .. #shape, function(t)
    t = ops.permute(t, { axes = axes })
    if #shape ~= #axes then t = t:reshape(shape) end
    return t
  end))
end

-- Do the axes of v that are longer than one come in the order of target already?
function value.lies_so(v, target)
  local a, b, rank = {}, {}, #v.dims
  local have, want = places(v.perm, rank), places(target, rank)
  for i = 1, rank do
    if v.dims[have[i]] ~= 1 then a[#a + 1] = have[i] end
    if v.dims[want[i]] ~= 1 then b[#b + 1] = want[i] end
  end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

-- The tensor in ONNX's order.
function value.tensor(w, v) return value.arranged(w, v, nil) end

-- The same as float32.
function value.floats(w, t)
  if t:dtype() == "float32" then return t end
  return ops.cast(t, { dtype = "float32" })
end

-- Channels last: (N, C, D1, D2...) -> places N, D1, D2..., C.
function value.channels_last(rank)
  local p = { 1 }
  for i = 3, rank do p[#p + 1] = i end
  p[rank] = 2
  return p
end

-- Tensors of several values in one order, for what broadcasts: the order of the largest that is no constant. Returns
-- the list and the order.
function value.together(w, list)
  local rank, best, size, shapes = 0, nil, -1, {}
  for i, v in ipairs(list) do
    rank, shapes[i] = math.max(rank, #v.dims), v.dims
  end
  for _, v in ipairs(list) do
    local n = value.count(v) + (v.const and -0.5 or 0) + #v.dims / 16
    if #v.dims == rank and n > size then best, size = v, n end
  end
  host.broadcast_dims(shapes)
  local perm, out = best.perm, {}
  for i, v in ipairs(list) do out[i] = value.arranged(w, v, perm, rank, v ~= best) end
  return out, perm
end

return value
