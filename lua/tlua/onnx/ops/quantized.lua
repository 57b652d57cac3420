-- quantized.lua - files with whole-number arithmetic are opened by turning it back into numbers: weights once, and what
-- is rounded between layers not at all. So an int8 file is its float twin, and not what ONNX Runtime makes of it.
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local elementwise = require "tlua.onnx.ops.elementwise"
local nn = require "tlua.onnx.ops.nn"
local ops = core.ops
local H = {}

local floats = value.floats

-- A scale or zero point along `axis`, so that it broadcasts with `rank` dimensions.
local function along_axis(w, p, axis, rank)
  if #p.dims == 0 or host.count(p.dims) == 1 then return p end
  if #p.dims > 1 then util.fail "scales of blocks are not supported" end
  local dims = {}
  for i = 1, rank do dims[i] = i == axis and p.dims[1] or 1 end
  return shape.reshape(w, p, dims)
end

-- A value of a whole type whose tensor was never rounded (w.exact: there are none).
local function unrounded(v) return v.unrounded or (not v.const and v.t and v.t:dtype() == "float32") end

local function as_floats(v)
  local copy = {}
  for key, each in pairs(v) do copy[key] = each end
  copy.dtype, copy.unrounded = "float32", nil
  return copy
end

-- (x - zero) scale
local function dequantize(w, node, x)
  local v, rank = x[1], #x[1].dims
  if (node.attrs.block_size or 0) ~= 0 then util.fail "scales of blocks are not supported" end
  if unrounded(v) then return as_floats(v) end
  local axis = rank > 0 and shape.axis_of(node.attrs.axis or math.min(1, rank - 1), rank) or 1
  local list = { v, along_axis(w, x[2], axis, rank), x[3] and along_axis(w, x[3], axis, rank) or nil }
  local t, perm = value.together(w, list)
  local y = floats(w, t[1])
  if t[3] then y = ops.sub(y, floats(w, t[3])) end
  w:note "it holds weights of whole numbers, which are turned into float32"
  return value.of(ops.mul(y, floats(w, t[2])), "float32", perm)
end
H.DequantizeLinear = dequantize
H["com.microsoft:DequantizeLinear"] = dequantize

local RANGE = { uint8 = { 0, 255 }, int8 = { -128, 127 }, uint16 = { 0, 65535 }, int16 = { -32768, 32767 },
  int32 = { -2147483648, 2147483520 } }

-- round(x / scale) + zero, within the type: a tensor of int32.
local function rounded(w, node, v, scale, zero, dtype)
  local rank = #v.dims
  local axis = rank > 0 and shape.axis_of(node.attrs.axis or math.min(1, rank - 1), rank) or 1
  local t, perm = value.together(w,
    { v, along_axis(w, scale, axis, rank), zero and along_axis(w, zero, axis, rank) or nil })
  local y = ops.round(ops.div(floats(w, t[1]), floats(w, t[2])))
  if t[3] then y = ops.add(y, floats(w, t[3])) end
  local limits = RANGE[dtype] or util.failf("the type %s is not supported", dtype)
  return value.of(ops.cast(ops.clamp(y, limits[1], limits[2]), { dtype = "int32" }), dtype, perm)
end

-- What is rounded here is taken as it was: the whole numbers are never made. Constants are rounded, as they were meant.
local function quantize(w, node, x)
  local v, dtype = x[1], x[3] and x[3].dtype or value.type_named(node.attrs.output_dtype, "uint8")
  if (node.attrs.block_size or 0) ~= 0 then util.fail "scales of blocks are not supported" end
  if w.exact or v.const then return rounded(w, node, v, x[2], x[3], dtype) end
  w:note "it rounds what goes from layer to layer, which is left out"
  local copy = as_floats(v)
  copy.dtype = dtype
  return copy
end
H.QuantizeLinear = quantize
H["com.microsoft:QuantizeLinear"] = quantize

-- Otherwise gives x itself with a scale of 1 and no zero: what follows multiplies by them.
function H.DynamicQuantizeLinear(w, node, x)
  local v = x[1]
  if not w.exact then
    w:note "it rounds what goes from layer to layer, which is left out"
    local copy = as_floats(v)
    copy.dtype = "uint8"
    return { copy, host.new({ 1.0 }, {}, "float32"), host.new({ 0 }, {}, "uint8") }
  end
  local t = floats(w, value.tensor(w, v))
  local high, low = ops.relu(ops.amax(t)), ops.neg(ops.relu(ops.neg(ops.amin(t))))
  local scale = ops.mul_scalar(ops.sub(high, low), 1 / 255)
  local zero = ops.round(ops.clamp(ops.neg(ops.div(low, scale)), 0, 255))
  local s, z = value.of(scale, "float32"), value.of(ops.cast(zero, { dtype = "int32" }), "uint8")
  return { rounded(w, node, v, s, z, "uint8"), s, z }
end

-- The numbers behind whole ones: x - zero, or what was never rounded. Of a constant another constant.
local function plain(w, v, zero, axis)
  if unrounded(v) then return as_floats(v) end
  local n = zero and value.number(zero)
  local shifted = zero and n ~= 0
  if not v.const or (shifted and not zero.const) then
    local t = value.of(floats(w, value.raw(w, v)), "float32", v.perm)
    if not shifted then return t end
    local s, z, perm = elementwise.pair(w, t, along_axis(w, zero, axis, #v.dims))
    return value.of(ops.sub(floats(w, s), floats(w, z)), "float32", perm)
  end
  w:note "it holds weights of whole numbers, which are turned into float32"
  local key = value.key_of(v) .. "|plain"
  return { const = true, key = key, source = v.source, dims = v.dims, dtype = "float32", load = function()
    local t = floats(w, value.tensor(w, v))
    if not shifted then return t end
    return ops.sub(t, floats(w, value.arranged(w, along_axis(w, zero, axis, #v.dims), nil, #v.dims, true)))
  end }
end

-- Sums of products of whole numbers are whole.
local function whole(w, y)
  return w.exact and value.of(ops.cast(y.t, { dtype = "int32" }), "int32", y.perm) or y
end

function H.ConvInteger(w, node, x)
  local v = plain(w, x[1], x[3], 2)
  local weight = plain(w, x[2], x[4], 1)
  return whole(w, nn.handlers.Conv(w, node, { v, weight, n = 2 }))
end

function H.MatMulInteger(w, node, x)
  local v = plain(w, x[1], x[3], math.max(1, #x[1].dims - 1))
  local weight = plain(w, x[2], x[4], #x[2].dims)
  return whole(w, nn.handlers.MatMul(w, node, { v, weight, n = 2 }))
end

-- x, scale, zero, weight, scale, zero, scale of the result, its zero, bias
local function product(w, node, x, f)
  local v = dequantize(w, { attrs = {} }, { x[1], x[2], x[3], n = 3 })
  local weight = dequantize(w, { attrs = { axis = node.op == "QLinearConv" and 0 or 1 } }, { x[4], x[5], x[6], n = 3 })
  local bias
  if x[9] then -- whole numbers of both scales
    local s, t = elementwise.pair(w, x[2], x[5])
    local scale = value.of(ops.mul(floats(w, s), floats(w, t)), "float32")
    if #x[5].dims == 1 then scale = shape.reshape(w, scale, { host.count(scale.dims) }) end
    bias = dequantize(w, { attrs = { axis = 0 } }, { x[9], scale, n = 2 })
  end
  local y = f(w, { op = node.op, version = node.version, attrs = node.attrs, outputs = node.outputs },
    { v, weight, bias, n = bias and 3 or 2 })
  return quantize(w, { attrs = {} }, { y, x[7], x[8], n = 3 })
end
function H.QLinearConv(w, node, x) return product(w, node, x, nn.handlers.Conv) end
function H.QLinearMatMul(w, node, x) return product(w, node, x, nn.handlers.MatMul) end

return { handlers = H }
