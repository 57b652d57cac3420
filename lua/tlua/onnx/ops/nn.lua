-- nn.lua - ONNX operators with weights, and those that look at neighbours: they want channels last.
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local reduce = require "tlua.onnx.ops.reduce"
local ops = core.ops
local H = {}

local floats, last = value.floats, value.channels_last

-- The tensor of (N, C, ...) with channels last.
local function pictures(w, v)
  if #v.dims < 3 then util.failf("%s has no height", util.shape_text(v.dims)) end
  if #v.dims > 5 then util.fail "more than three dimensions of space are not supported" end
  return floats(w, value.arranged(w, v, last(#v.dims)))
end

local function back(t, v) return value.of(t, v.dtype, last(#v.dims)) end

-- A constant as it is in the file, which is trained under that name.
local function parameter(w, v, role)
  if not v then return nil end
  if v.const then w:role(v, role) end
  return floats(w, value.tensor(w, v))
end

-- ---- windows ----

local function filled(list, n, number)
  local out = {}
  for i = 1, n do out[i] = list and list[i] or number end
  return out
end

-- Zeros before and after for `auto_pad` and `pads`.
local function paddings(w, node, sizes, kernel, stride, dilation)
  local a, n = node.attrs, #sizes
  local before, after = {}, {}
  local auto = a.auto_pad or "NOTSET"
  for i = 1, n do
    if auto == "SAME_UPPER" or auto == "SAME_LOWER" then
      if w.tracing and w.open_space and stride[i] > 1 then -- another size may want another padding
        util.failf("auto_pad %s with a stride hangs on a size that is left open", auto)
      end
      local out = (sizes[i] + stride[i] - 1) // stride[i]
      local all = math.max(0, (out - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - sizes[i])
      before[i] = auto == "SAME_UPPER" and all // 2 or all - all // 2
      after[i] = all - before[i]
    elseif auto == "VALID" then before[i], after[i] = 0, 0
    elseif auto == "NOTSET" then
      before[i], after[i] = a.pads and a.pads[i] or 0, a.pads and a.pads[i + n] or 0
    else util.failf("auto_pad '%s'", tostring(auto)) end
  end
  return before, after
end

local function space(v) return { table.unpack(v.dims, 3) } end

-- Negative padding takes rows away: of x itself, before the window sees it.
local function window(w, node, v, kernel)
  local n = #v.dims - 2
  local a = node.attrs
  local stride, dilation = filled(a.strides, n, 1), filled(a.dilations, n, 1)
  local before, after = paddings(w, node, space(v), kernel, stride, dilation)
  for i = 1, n do
    if before[i] < 0 or after[i] < 0 then
      local from, to = math.max(0, -before[i]), math.max(0, -after[i])
      v = shape.slice_one(w, v, i + 2, from, v.dims[i + 2] - from - to, 1)
      before[i], after[i] = math.max(0, before[i]), math.max(0, after[i])
    end
  end
  return v, stride, dilation, before, after
end

local function equal_lists(a, b)
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

-- Has the exporter folded a batch norm into this convolution? Weights that were worked out have lost their names, or
-- got one that says so; a bias that a network has itself keeps its own.
local function carries_norm(w, node, x)
  if not x[3] or not x[3].const or w.normed[node.outputs[1]] then return false end
  local names = (x[2].source or "") .. " " .. (x[3].source or "")
  return names:find "fused_bn" or names:find "weight_bias" or names:find "^onnx::Conv" or names:find "BatchNorm"
    or names:find "_bn_" or false
end

-- A batch norm that does nothing yet: with a variance of 0 and the weight that undoes its division. The first batch in
-- training makes its statistics and weights (nn/graph), so that it begins as what it replaces.
local function fresh_norm(w, t, weight)
  local n, key = t:shape()[t:rank()], "fresh|" .. (weight.key or "?") .. "|"
  local function own(role, number)
    return w:prepare(key .. role, function() return core.full({ n }, number) end)
  end
  return ops.batch_norm(t, own("weight", math.sqrt(1e-5)), own("bias", 0), own("running_mean", 0),
    own("running_var", 0))
end

function H.Conv(w, node, x)
  local kernel = { table.unpack(x[2].dims, 3) }
  local v, stride, dilation, before, after = window(w, node, x[1], kernel)
  local o = { stride = stride, padding = before, dilation = dilation, groups = node.attrs.group or 1 }
  if not equal_lists(before, after) then o.padding_end = after end
  local t = ops.conv(pictures(w, v), parameter(w, x[2], "weight"), parameter(w, x[3], "bias"), o)
  if carries_norm(w, node, x) then
    w.carrying[node] = true
    if w.fresh then t = fresh_norm(w, t, x[2]) end
  end
  return back(t, v)
end

local AUTO_PAD = { NOTSET = true, VALID = true, SAME_UPPER = true, SAME_LOWER = true }

function H.ConvTranspose(w, node, x)
  local v, a, n = x[1], node.attrs, #x[1].dims - 2
  local kernel = { table.unpack(x[2].dims, 3) }
  local stride, dilation = filled(a.strides, n, 1), filled(a.dilations, n, 1)
  local more, before, after = filled(a.output_padding, n, 0), {}, {}
  local auto = a.auto_pad or "NOTSET"
  if not AUTO_PAD[auto] then util.failf("auto_pad '%s'", auto) end
  for i = 1, n do
    local whole = stride[i] * (v.dims[i + 2] - 1) + more[i] + (kernel[i] - 1) * dilation[i] + 1
    local out = a.output_shape and a.output_shape[#a.output_shape - n + i]
    if not out and (auto == "SAME_UPPER" or auto == "SAME_LOWER") then out = v.dims[i + 2] * stride[i] end
    if out then
      if not a.output_shape and whole < out then
        util.fail "auto_pad where strides leave gaps between kernels is not supported"
      end
      local all = math.max(0, whole - out) -- what is more than there is comes behind
      before[i] = auto == "SAME_UPPER" and all // 2 or all - all // 2
      after[i] = whole - out - before[i]
    elseif auto == "VALID" then before[i], after[i] = 0, 0
    else before[i], after[i] = a.pads and a.pads[i] or 0, a.pads and a.pads[i + n] or 0 end
  end
  for i = 1, n do -- less than nothing taken away is something added
    if after[i] < 0 then more[i], after[i] = more[i] - after[i], 0 end
    if before[i] < 0 then util.fail "negative padding is not supported" end
    if more[i] >= math.max(stride[i], dilation[i]) then
      util.fail "output_padding as large as the stride is not supported"
    end
  end
  local o = { stride = stride, padding = before, output_padding = more, dilation = dilation, groups = a.group or 1 }
  if not equal_lists(before, after) then o.padding_end = after end
  return back(ops.conv_transpose(pictures(w, v), parameter(w, x[2], "weight"), parameter(w, x[3], "bias"), o), v)
end

-- Second of MaxPool: numbers of the elements, counted through (N, C, ...).
local function places_of_largest(node, v, t, o)
  if node.attrs.storage_order == 1 then util.fail "storage_order is not supported" end
  local n, c, pixels = v.dims[1], v.dims[2], host.count { table.unpack(v.dims, 3) }
  local dims = { n }
  for i = 3, #v.dims do dims[i - 1] = 1 end
  dims[#v.dims] = c
  local first = ops.range { start = 0, count = n * c, step = pixels }:reshape(dims)
  return value.of(ops.add(ops.max_pool_places(t, o), first), "int64", last(#v.dims))
end

local function pool(onnx, ours)
  H[onnx] = function(w, node, x)
    local a = node.attrs
    local kernel = a.kernel_shape
    local v, stride, dilation, before, after = window(w, node, x[1], kernel)
    local o = { kernel = kernel, stride = stride, padding = before, ceil_mode = a.ceil_mode == 1 }
    if not equal_lists(before, after) then o.padding_end = after end
    for _, d in ipairs(dilation) do
      if d ~= 1 then o.dilation = dilation end
    end
    if onnx == "AveragePool" then o.count_include_pad = a.count_include_pad == 1 end
    local t = pictures(w, v)
    local y = back(ops[ours](t, o), v)
    if #node.outputs < 2 or node.outputs[2] == "" then return y end
    return { y, places_of_largest(node, v, t, o) }
  end
end
pool("MaxPool", "max_pool")
pool("AveragePool", "avg_pool")

function H.LpPool(w, node, x)
  local p = node.attrs.p or 2
  local v, kernel = x[1], node.attrs.kernel_shape
  local n = 1
  for _, k in ipairs(kernel) do n = n * k end
  local t = ops.pow_scalar(ops.abs(floats(w, value.raw(w, v))), p)
  local inner = { op = node.op, version = node.version, outputs = node.outputs, attrs = { count_include_pad = 1 } }
  for key, each in pairs(node.attrs) do inner.attrs[key] = each end
  local y = H.AveragePool(w, inner, { value.of(t, v.dtype, v.perm), n = 1 })
  return value.of(ops.pow_scalar(ops.mul_scalar(y.t, n), 1 / p), v.dtype, y.perm)
end

local function over_space(f)
  return function(w, _, x)
    local v, set = x[1], {}
    for i = 3, #v.dims do set[i] = true end
    return reduce.along(w, v, set, true, function(t, o) return f(floats(w, t), o) end)
  end
end
H.GlobalAveragePool = over_space(function(t, o) return ops.mean(t, o) end)
H.GlobalMaxPool = over_space(function(t, o) return ops.amax(t, o) end)
H.GlobalLpPool = function(w, node, x)
  local p = node.attrs.p or 2
  return over_space(function(t, o)
    return ops.pow_scalar(ops.sum(ops.pow_scalar(ops.abs(t), p), o), 1 / p)
  end)(w, node, x)
end

-- ---- norms ----

-- By the statistics of what is a constant: some networks normalise their weights so.
local function norm_of_constant(w, node, x)
  local v, a, rank = x[1], node.attrs, #x[1].dims
  local axes, dims = {}, {}
  for i = 1, rank do
    if i ~= 2 then axes[#axes + 1] = i end
    dims[i] = i == 2 and v.dims[2] or 1
  end
  local t = floats(w, value.tensor(w, v))
  local mean = ops.mean(t, { axes = axes, keep = true })
  local centred = ops.sub(t, mean)
  local variance = ops.mean(ops.square(centred), { axes = axes, keep = true })
  local function along(k) return floats(w, value.tensor(w, x[k])):reshape(dims) end
  local y = ops.mul(centred, ops.rsqrt(ops.add_scalar(variance, a.epsilon or 1e-5)))
  local out = { value.of(ops.add(ops.mul(y, along(2)), along(3)), v.dtype) }
  for k, each in ipairs { mean, variance } do
    local share = a.momentum or 0.9
    local moved = ops.add(ops.mul_scalar(along(k + 3), share), ops.mul_scalar(each, 1 - share))
    out[k + 1] = value.of(moved:reshape { v.dims[2] }, "float32")
  end
  return out
end

function H.BatchNormalization(w, node, x)
  local v, a = x[1], node.attrs
  if a.training_mode == 1 and v.const and not w.tracing then return norm_of_constant(w, node, x) end
  if a.training_mode == 1 or (a.is_test == 0 and node.version < 7) then
    util.fail "training_mode is not supported: recipes say which batch norms use the batch"
  end
  if a.spatial == 0 then util.fail "spatial = 0 is not supported" end
  local rank = #v.dims
  local order = rank > 2 and last(rank) or nil
  local t = floats(w, value.arranged(w, v, order))
  local y = ops.batch_norm(t, parameter(w, x[2], "weight"), parameter(w, x[3], "bias"),
    parameter(w, x[4], "running_mean"), parameter(w, x[5], "running_var"),
    { eps = a.epsilon or 1e-5, momentum = 1 - (a.momentum or 0.9) })
  return value.of(y, v.dtype, order)
end

-- Mean 0 and deviation 1 of each channel of each picture.
function H.InstanceNormalization(w, node, x)
  local v, set = x[1], {}
  local t = pictures(w, v)
  local axes = {}
  for i = 2, #v.dims - 1 do axes[#axes + 1], set[i] = i, true end
  local mean = ops.mean(t, { axes = axes, keep = true })
  local centred = ops.sub(t, mean)
  local variance = ops.mean(ops.square(centred), { axes = axes, keep = true })
  local y = ops.mul(centred, ops.rsqrt(ops.add_scalar(variance, node.attrs.epsilon or 1e-5)))
  if x[2] then y = ops.mul(y, parameter(w, x[2], "weight")) end
  if x[3] then y = ops.add(y, parameter(w, x[3], "bias")) end
  return back(y, v)
end

-- Groups of channels with their places as rows: (N, G, C / G * places).
function H.GroupNormalization(w, node, x)
  local v, a = x[1], node.attrs
  local groups, c = a.num_groups, v.dims[2]
  local dims = { v.dims[1], groups, host.count(v.dims) // v.dims[1] // groups }
  local rows = value.tensor(w, shape.reshape(w, v, dims))
  local y = ops.layer_norm(floats(w, rows), { eps = a.epsilon or 1e-5 })
  local whole = shape.reshape(w, value.of(y, v.dtype), v.dims)
  local t = floats(w, value.arranged(w, whole, last(#v.dims)))
  local each = host.count(x[2].dims)
  local function by_channel(p)
    if each == c then return parameter(w, p[1], p[2]) end
    return (value.form(w, p[1], "each channel", function(s) -- until opset 20 one a group
      return ops.expand(s:reshape { groups, 1 }, { shape = { groups, c // groups } }):reshape { c }
    end))
  end
  y = ops.add(ops.mul(t, by_channel { x[2], "weight" }), by_channel { x[3], "bias" })
  return back(y, v)
end

local function layer_norm(w, node, x, rms)
  local v, a = x[1], node.attrs
  local rank = #v.dims
  local axis = shape.axis_of(a.axis or -1, rank)
  local n = host.count { table.unpack(v.dims, axis) }
  local t, order = nil, nil
  if axis == rank and shape.place_of(v, rank) == rank then t, order = floats(w, value.raw(w, v)), v.perm
  else t = floats(w, value.tensor(w, v)) end
  local dims = t:shape()
  local function one(p, role)
    if not p then return nil end
    local s = parameter(w, p, role)
    if #p.dims == 1 then return s end
    local whole = host.count(p.dims) == n
    return (value.form(w, p, "as a row", function(b)
      return whole and b:reshape { n } or ops.expand(b:reshape { 1 }, { shape = { n } })
    end))
  end
  if axis < rank then t = t:reshape { host.count(v.dims) // n, n } end
  local y
  if rms then
    local power = ops.mean(ops.square(t), { axes = { -1 }, keep = true })
    y = ops.mul(t, ops.rsqrt(ops.add_scalar(power, a.epsilon or 1e-5)))
    y = ops.mul(y, one(x[2], "weight"))
  else y = ops.layer_norm(t, one(x[2], "weight"), one(x[3], "bias"), { eps = a.epsilon or 1e-5 }) end
  if axis < rank then y = y:reshape(dims) end
  local out = { value.of(y, v.dtype, order) }
  if #node.outputs < 2 then return out end
  if rms then util.fail "what it divided by is not supported as an output" end
  local axes = {}
  for i = axis, rank do axes[#axes + 1] = i end
  local plain = floats(w, value.tensor(w, v))
  local mean = ops.mean(plain, { axes = axes, keep = true })
  local variance = ops.mean(ops.square(ops.sub(plain, mean)), { axes = axes, keep = true })
  out[2] = value.of(mean, "float32")
  out[3] = value.of(ops.rsqrt(ops.add_scalar(variance, a.epsilon or 1e-5)), "float32")
  return out
end
function H.LayerNormalization(w, node, x) return layer_norm(w, node, x, false) end
function H.RMSNormalization(w, node, x) return layer_norm(w, node, x, true) end
H.SimplifiedLayerNormalization = H.RMSNormalization
H["com.microsoft:SimplifiedLayerNormalization"] = H.RMSNormalization

function H.LRN(w, node, x)
  local v, a = x[1], node.attrs
  local n = a.size
  local t = pictures(w, v)
  local rank, zeros, before, after = #v.dims, {}, {}, {}
  for i = 1, rank do zeros[i], before[i], after[i] = 0, 0, 0 end
  before[rank], after[rank] = (n - 1) // 2, n - 1 - (n - 1) // 2
  local wide = ops.pad(ops.square(t), { before = before, after = after })
  local sum
  for i = 0, n - 1 do
    local part = ops.slice(wide, { axis = rank, start = i, length = v.dims[2] })
    sum = sum and ops.add(sum, part) or part
  end
  local scale = ops.add_scalar(ops.mul_scalar(sum, (a.alpha or 1e-4) / n), a.bias or 1.0)
  return back(ops.mul(t, ops.pow_scalar(scale, -(a.beta or 0.75))), v)
end

function H.MeanVarianceNormalization(w, node, x)
  local v, set = x[1], {}
  for _, axis in ipairs(node.attrs.axes or { 0, 2, 3 }) do set[shape.axis_of(axis, #v.dims)] = true end
  local mean = reduce.along(w, v, set, true, function(t, o) return ops.mean(floats(w, t), o) end)
  local t = floats(w, value.raw(w, v))
  local centred = ops.sub(t, value.arranged(w, mean, v.perm))
  local c = value.of(ops.square(centred), v.dtype, v.perm)
  local variance = reduce.along(w, c, set, true, function(s, o) return ops.mean(s, o) end)
  local deviation = ops.sqrt(value.arranged(w, variance, v.perm))
  return value.of(ops.div(centred, ops.add_scalar(deviation, 1e-9)), v.dtype, v.perm)
end

-- ---- products ----

-- A constant (in, out) as linear's weight (out, in); transposed in the file, it is one already.
local function weight_of(w, v)
  w:role(v, "weight")
  return floats(w, value.tensor(w, shape.transpose(v, { 2, 1 })))
end

-- x (..., in) by a constant matrix: any order of the leading axes will do.
local function by_weight(w, v, weight, bias)
  local rank = #v.dims
  local order = v.perm and shape.place_of(v, rank) == rank and v.perm or nil
  local t = floats(w, value.arranged(w, v, order))
  if rank == 1 then
    return value.of(ops.linear(t:reshape { 1, v.dims[1] }, weight, bias):reshape { weight:shape()[1] }, v.dtype)
  end
  return value.of(ops.linear(t, weight, bias), v.dtype, order)
end

function H.MatMul(w, _, x)
  local a, b = x[1], x[2]
  if b.const and #b.dims == 2 and not a.const and #a.dims > 0 then return by_weight(w, a, weight_of(w, b)) end
  -- The last two axes may lie the other way round, which the product is told.
  local function operand(v)
    local rank, flipped = #v.dims, {}
    for i = 1, rank do flipped[i] = i end
    if rank < 2 or not v.perm then return value.tensor(w, v), false end
    flipped[rank - 1], flipped[rank] = rank, rank - 1
    if util.same_shape(v.perm, flipped) then return value.raw(w, v), true end
    return value.tensor(w, v), false
  end
  local s, flip_a = operand(a)
  local t, flip_b = operand(b)
  return value.of(ops.matmul(floats(w, s), floats(w, t), { transpose_a = flip_a, transpose_b = flip_b }), a.dtype)
end

-- A product with a constant and its bias, of any number of dimensions.
H["tlua:Gemm"] = function(w, _, x)
  w:role(x[3], "bias")
  return by_weight(w, x[1], weight_of(w, x[2]), floats(w, value.tensor(w, x[3])))
end

function H.Gemm(w, node, x)
  local a, v, b, c = node.attrs, x[1], x[2], x[3]
  local alpha, beta = a.alpha or 1.0, a.beta or 1.0
  if a.transA == 1 then v = shape.transpose(v, { 2, 1 }) end
  if a.transB == 1 then b = shape.transpose(b, { 2, 1 }) end
  if node.version < 7 and c and not c.const then util.fail "a sum of opset 6 that is worked out is not supported" end
  if c and beta == 0 then c = nil end
  local width = b.dims[2]
  local row = c and c.const and (#c.dims == 1 or #c.dims == 2 and c.dims[1] == 1) and host.count(c.dims) == width
  if b.const and not v.const and alpha == 1 and (not c or (row and beta == 1)) then
    local bias
    if c then
      w:role(c, "bias")
      bias = floats(w, value.arranged(w, #c.dims == 1 and c or shape.reshape(w, c, { width })))
    end
    return by_weight(w, v, weight_of(w, b), bias)
  end
  local y = H.MatMul(w, node, { v, b, n = 2 })
  if alpha ~= 1 then y = value.of(ops.mul_scalar(y.t, alpha), y.dtype, y.perm) end
  if not c then return y end
  if beta ~= 1 then c = value.of(ops.mul_scalar(floats(w, value.tensor(w, c)), beta), c.dtype)
  elseif c.const then w:role(c, "bias") end
  local list, perm = value.together(w, { y, c })
  return value.of(ops.add(list[1], floats(w, list[2])), y.dtype, perm)
end

H["com.microsoft:FusedMatMul"] = function(w, node, x)
  local a = node.attrs
  local function swapped(v, flag)
    if flag ~= 1 then return v end
    local axes = {}
    for i = 1, #v.dims do axes[i] = i end
    axes[#axes], axes[#axes - 1] = axes[#axes - 1], axes[#axes]
    return shape.transpose(v, axes)
  end
  local y = H.MatMul(w, node, { swapped(x[1], a.transA), swapped(x[2], a.transB), n = 2 })
  return (a.alpha or 1) == 1 and y or value.of(ops.mul_scalar(y.t, a.alpha), y.dtype, y.perm)
end

return { handlers = H, pictures = pictures, back = back, parameter = parameter }
