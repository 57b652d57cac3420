-- gather.lua - ONNX operators that choose elements by number, pad, and resize.
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local nn = require "tlua.onnx.ops.nn"
local ops = core.ops
local H = {}

local floats, axis_of, place_of = value.floats, shape.axis_of, shape.place_of

local function int32(w, v)
  local t = value.tensor(w, v)
  return t:dtype() == "int32" and t or ops.cast(t, { dtype = "int32" })
end

-- Numbers that may count from the end, which is only looked for where they are constants: others of the device are
-- checked there, and one below 0 is an error.
local function counted(v, n)
  if not v.host then return v end
  local list = {}
  for i, k in ipairs(v.host) do
    list[i] = k < 0 and k + n or k
    if list[i] < 0 or list[i] >= n then util.failf("the index %d is out of range of %d", k, n) end
  end
  return host.new(list, v.dims, v.dtype, v.sized)
end

local function even(list)
  for i = 2, #list do
    if list[i] ~= list[1] + i - 1 then return false end
  end
  return true
end

function H.Gather(w, node, x)
  local v, rank = x[1], #x[1].dims
  local axis = axis_of(node.attrs.axis or 0, rank)
  local ids = counted(x[2], v.dims[axis])
  local dims = { table.unpack(v.dims, 1, axis - 1) }
  table.move(ids.dims, 1, #ids.dims, #dims + 1, dims)
  table.move(v.dims, axis + 1, rank, #dims + 1, dims)
  local open = ids.sized and w.tracing and host.count(dims) > 16 or host.count(dims) > host.MOST * 16
  if ids.host and v.host and not open then
    local y = host.reshape(host.take(v, axis, ids.host), dims)
    y.sized = v.sized or ids.sized
    return y
  end
  if ids.host and #ids.host > 0 and even(ids.host) then
    return shape.reshape(w, shape.slice_one(w, v, axis, ids.host[1], #ids.host, 1, ids.sized), dims)
  end
  if v.const and rank == 2 and axis == 1 and host.is_float(v.dtype) then -- a table of embeddings
    w:role(v, "weight")
    local order = ids.perm and { table.unpack(ids.perm) } or nil
    if order then order[#order + 1] = #order + 1 end
    local t = value.raw(w, ids)
    t = t:dtype() == "int32" and t or ops.cast(t, { dtype = "int32" })
    return value.of(ops.embedding(floats(w, value.tensor(w, v)), t), v.dtype, order)
  end
  local flat = int32(w, ids)
  local n = host.count(ids.dims)
  if #ids.dims ~= 1 then flat = flat:reshape { n } end
  local t = shape.select(value.raw(w, v), place_of(v, axis), flat, n)
  local y = value.of(t, v.dtype, v.perm)
  return shape.reshape(w, y, dims)
end

function H.GatherElements(w, node, x)
  local v = x[1]
  local axis = axis_of(node.attrs.axis or 0, #v.dims)
  local ids = counted(x[2], v.dims[axis])
  return value.of(ops.gather(value.tensor(w, v), int32(w, ids), { axis = axis }), v.dtype)
end

-- Rows of the first k dimensions, counted through: ids (..., k) -> (...).
local function flat_rows(w, ids, dims, k)
  local n = ids.dims[#ids.dims]
  local whole = int32(w, ids)
  local rows, stride
  stride = 1
  for i = k, 1, -1 do
    local column = ops.slice(whole, { axis = #ids.dims, start = i - 1, length = 1 })
    local s = stride
    if s ~= 1 then
      column = ops.mul(column, value.single(w, s, "int32"))
    end
    rows = rows and ops.add(rows, column) or column
    stride = stride * dims[i]
  end
  return rows:reshape { host.count(ids.dims) // n }, stride
end

local function counted_by_column(v, dims)
  if not v.host then return v end
  local list, k = {}, v.dims[#v.dims]
  for i, n in ipairs(v.host) do
    local d = dims[(i - 1) % k + 1]
    list[i] = n < 0 and n + d or n
    if list[i] < 0 or list[i] >= d then util.failf("the index %d is out of range of %d", n, d) end
  end
  return host.new(list, v.dims, v.dtype, v.sized)
end

function H.GatherND(w, node, x)
  local v, ids, b = x[1], x[2], node.attrs.batch_dims or 0
  local k = ids.dims[#ids.dims]
  if b > 0 then -- the batch's own number in front of each row
    local batch = host.count { table.unpack(v.dims, 1, b) }
    local each = host.count(ids.dims) // batch // k
    if not ids.host then util.fail "batch_dims with numbers that are worked out is not supported" end
    local list = {}
    for i = 0, batch * each - 1 do
      list[#list + 1] = i // each
      for j = 1, k do list[#list + 1] = ids.host[i * k + j] end
    end
    local inner = shape.reshape(w, v, { batch, table.unpack(v.dims, b + 1) })
    local y = H.GatherND(w, { attrs = {} }, { inner, host.new(list, { batch * each, k + 1 }, "int64"), n = 2 })
    local dims = { table.unpack(ids.dims, 1, #ids.dims - 1) }
    table.move(v.dims, b + k + 1, #v.dims, #dims + 1, dims)
    return shape.reshape(w, y, dims)
  end
  ids = counted_by_column(ids, v.dims)
  local rows, n = flat_rows(w, ids, v.dims, k)
  local dims = { table.unpack(ids.dims, 1, #ids.dims - 1) }
  table.move(v.dims, k + 1, #v.dims, #dims + 1, dims)
  local t = value.tensor(w, v):reshape { n, host.count(v.dims) // n }
  local y = shape.select(t, 1, rows, rows:shape()[1])
  return value.of(#dims == 0 and y:reshape {} or y:reshape(dims), v.dtype)
end

local REDUCTIONS = { none = true, add = true, mul = true, max = true, min = true }

-- The options of ours for an axis and what becomes of elements that meet.
local function scattering(node, axis)
  local how = node.attrs.reduction or "none"
  if not REDUCTIONS[how] then util.failf("the reduction '%s' is not supported", how) end
  return { axis = axis, reduce = how ~= "none" and how or nil }
end

function H.ScatterElements(w, node, x)
  local v = x[1]
  local axis = axis_of(node.attrs.axis or 0, #v.dims)
  local ids, o = counted(x[2], v.dims[axis]), scattering(node, axis)
  return value.of(ops.scatter(value.tensor(w, v), int32(w, ids), value.tensor(w, x[3]), o), v.dtype)
end
H.Scatter = H.ScatterElements

-- Rows that are written: as ScatterElements along one axis of all rows.
function H.ScatterND(w, node, x)
  local v, ids, o = x[1], counted_by_column(x[2], x[1].dims), scattering(node, 1)
  local k = ids.dims[#ids.dims]
  local rows, n = flat_rows(w, ids, v.dims, k)
  local width = host.count(v.dims) // n
  local count = rows:shape()[1]
  local index = ops.expand(rows:reshape { count, 1 }, { shape = { count, width } })
  local updates = value.tensor(w, x[3]):reshape { count, width }
  local y = ops.scatter(value.tensor(w, v):reshape { n, width }, index, updates, o)
  return value.of(y:reshape(v.dims), v.dtype)
end

-- The first lengths[n] steps of each sequence n the other way round; lengths are constants.
function H.ReverseSequence(w, node, x)
  local v, a = x[1], node.attrs
  local lengths = value.numbers(x[2], "the list of lengths")
  local batch, time = axis_of(a.batch_axis or 1, #v.dims), axis_of(a.time_axis or 0, #v.dims)
  local parts = { n = #lengths }
  for i, n in ipairs(lengths) do
    local one = shape.slice_one(w, v, batch, i - 1, 1, 1)
    local list = {}
    for k = 1, v.dims[time] do list[k] = k <= n and n - k or k - 1 end
    parts[i] = H.Gather(w, { attrs = { axis = time - 1 } }, { one, host.vector(list), n = 2 })
  end
  return shape.handlers.Concat(w, { attrs = { axis = batch - 1 } }, parts)
end

-- ---- padding ----

function H.Pad(w, node, x)
  local v, a = x[1], node.attrs
  local rank = #v.dims
  local pads, number, axes = a.pads or a.paddings, a.value or 0, nil
  if node.version >= 11 then
    pads = value.numbers(x[2], "the list of pads")
    number = x[3] and value.numbers(x[3], "the constant")[1] or 0
    axes = x[4] and value.numbers(x[4], "the list of axes")
  end
  local mode = a.mode or "constant"
  if mode == "edge" then mode = "replicate" end
  if mode == "wrap" then util.fail "mode 'wrap' is not supported" end
  local before, after, any = {}, {}, false
  for i = 1, rank do before[i], after[i] = 0, 0 end
  local n = axes and #axes or rank
  for i = 1, n do
    local axis = axes and axis_of(axes[i], rank) or i
    before[axis], after[axis] = pads[i], pads[i + n]
  end
  for i = 1, rank do
    if before[i] < 0 or after[i] < 0 then
      local from, to = math.max(0, -before[i]), math.max(0, -after[i])
      v = shape.slice_one(w, v, i, from, v.dims[i] - from - to, 1)
      before[i], after[i] = math.max(0, before[i]), math.max(0, after[i])
    end
    any = any or before[i] > 0 or after[i] > 0
  end
  if not any then return v end
  local b, e = {}, {}
  for place, axis in ipairs(value.places(v.perm, rank)) do b[place], e[place] = before[axis], after[axis] end
  local t = value.raw(w, v)
  local whole = t:dtype() == "int32"
  if whole then t = floats(w, t) end
  t = ops.pad(t, { before = b, after = e, mode = mode, value = number })
  return value.of(whole and ops.cast(t, { dtype = "int32" }) or t, v.dtype, v.perm)
end

-- ---- resizing ----

local function sizes_of(node, x)
  local v, a = x[1], node.attrs
  local rank, out = #v.dims, { table.unpack(x[1].dims) }
  local scales, sizes
  if node.op == "Upsample" then scales = node.version < 9 and a.scales or value.numbers(x[2], "the scales")
  elseif node.version < 11 then scales = value.numbers(x[2], "the scales")
  else
    sizes = x[4] and value.numbers(x[4], "the sizes")
    scales = not sizes and x[3] and value.numbers(x[3], "the scales") or nil
  end
  local axes = {}
  for i = 1, rank do axes[i] = i end
  if a.axes then
    for i, axis in ipairs(a.axes) do axes[i] = axis_of(axis, rank) end
    for i = #a.axes + 1, rank do axes[i] = nil end
  end
  local factors = {}
  local keep = a.keep_aspect_ratio_policy or "stretch"
  if keep ~= "stretch" and keep ~= "not_larger" and keep ~= "not_smaller" then
    util.failf("keep_aspect_ratio_policy '%s' is not supported", keep)
  end
  if sizes and keep ~= "stretch" then
    local s
    for i, axis in ipairs(axes) do
      local each = sizes[i] / v.dims[axis]
      s = not s and each or (keep == "not_larger" and math.min(s, each) or math.max(s, each))
    end
    scales, sizes = {}, nil
    for i in ipairs(axes) do scales[i] = s end
    for i, axis in ipairs(axes) do
      out[axis], factors[axis] = math.floor(scales[i] * v.dims[axis] + 0.5), scales[i]
    end
    return out, factors
  end
  for i, axis in ipairs(axes) do
    if sizes then out[axis], factors[axis] = sizes[i], sizes[i] / v.dims[axis]
    else out[axis], factors[axis] = math.floor(v.dims[axis] * scales[i]), scales[i] end
  end
  return out, factors
end

local COORDINATES = { half_pixel = true, half_pixel_symmetric = true, pytorch_half_pixel = true, align_corners = true,
  asymmetric = true, tf_half_pixel_for_nn = true }

-- How many times as large in all dimensions of space, where that is a whole number: a plan says it without sizes.
local function whole_factor(v, out, factors)
  local times
  for i = 3, #out do
    local k = out[i] // v.dims[i]
    if k * v.dims[i] ~= out[i] or factors[i] ~= k or (times and times ~= k) then return nil end
    times = k
  end
  return times
end

-- The options of ours for one of ONNX.
local function resizing(node, v, out, factors)
  local a, mode = node.attrs, node.attrs.mode or "nearest"
  local old = node.op == "Upsample" or node.version < 11
  local coordinates = old and "asymmetric" or a.coordinate_transformation_mode or "half_pixel"
  local rounding = mode == "nearest" and (old and "floor" or a.nearest_mode or "round_prefer_floor") or nil
  if a.antialias == 1 then util.fail "antialias is not supported" end
  if not COORDINATES[coordinates] then util.failf("the coordinates '%s' are not supported", coordinates) end
  if mode ~= "nearest" and mode ~= "linear" and mode ~= "cubic" then
    util.failf("the mode '%s' is not supported", mode)
  end
  local times = whole_factor(v, out, factors)
  -- By a whole factor the nearest pixel is the same with all of these.
  local plain = coordinates == "asymmetric" and rounding == "floor"
    or coordinates == "half_pixel" and rounding and rounding:find "^round"
  if times and mode == "nearest" and plain then return { scale = times } end
  if times and mode == "linear" and coordinates:find "half_pixel" and coordinates ~= "tf_half_pixel_for_nn" then
    return { scale = times, mode = mode }
  end
  local o = { size = { table.unpack(out, 3) }, mode = mode, rounding = rounding, coordinates = coordinates }
  local exact = true -- the sizes say the factor
  for i = 3, #out do exact = exact and math.abs(factors[i] * v.dims[i] - out[i]) < 1e-4 end
  if not exact and coordinates == "align_corners" then
    util.fail "align_corners by scales that the size rounds off is not supported"
  end
  if not exact then o.factors = { table.unpack(factors, 3, #out) } end
  if mode == "cubic" then o.cubic_a, o.exclude_outside = a.cubic_coeff_a or -0.75, a.exclude_outside == 1 end
  return o
end

function H.Resize(w, node, x)
  local v = x[1]
  local out, factors = sizes_of(node, x)
  local changed = false
  for i = 1, #out do
    if out[i] ~= v.dims[i] or factors[i] ~= 1 then
      changed = true
      if i < 3 then util.failf("the axis %d, which is no height or width, is resized", i - 1) end
      if out[i] < 1 then util.failf("the size %d", out[i]) end
    end
  end
  if not changed then return v end
  return nn.back(ops.interpolate(nn.pictures(w, v), resizing(node, v, out, factors)), v)
end
H.Upsample = H.Resize

-- Until opset 20 two of the modes had other names.
local SAMPLING = { bilinear = "linear", linear = "linear", nearest = "nearest", bicubic = "cubic", cubic = "cubic" }

-- Places of a picture by their numbers from -1 to 1.
function H.GridSample(w, node, x)
  local v, a = x[1], node.attrs
  local mode = SAMPLING[a.mode or "linear"]
  if not mode then util.failf("the mode '%s' is not supported", a.mode) end
  local y = ops.grid_sample(nn.pictures(w, v), floats(w, value.tensor(w, x[2])),
    { mode = mode, padding = a.padding_mode or "zeros",
    align_corners = a.align_corners == 1 })
  return nn.back(y, v)
end

-- Regions (R, 4) of pictures whose numbers are (R): (R, C, height, width).
function H.RoiAlign(w, node, x)
  local v, a = x[1], node.attrs
  if a.mode and a.mode ~= "avg" then util.failf("the mode '%s' is not supported", a.mode) end
  local half = a.coordinate_transformation_mode or (node.version < 16 and "output_half_pixel" or "half_pixel")
  local y = ops.roi_align(nn.pictures(w, v), floats(w, value.tensor(w, x[2])), int32(w, x[3]), {
    size = { a.output_height or 1, a.output_width or 1 }, scale = a.spatial_scale or 1.0,
    points = a.sampling_ratio or 0, aligned = half == "half_pixel" })
  return nn.back(y, v)
end

-- ---- space and depth ----

function H.DepthToSpace(w, node, x)
  local v, b = x[1], node.attrs.blocksize
  local n, c, h, width = table.unpack(v.dims)
  local mode = node.attrs.mode or "DCR"
  local crd = mode == "CRD"
  if not crd and mode ~= "DCR" then util.failf("the mode '%s' is not supported", mode) end
  local wide = shape.reshape(w, v, crd and { n, c // (b * b), b, b, h, width } or { n, b, b, c // (b * b), h, width })
  local y = shape.transpose(wide, crd and { 1, 2, 5, 3, 6, 4 } or { 1, 4, 5, 2, 6, 3 })
  return shape.reshape(w, y, { n, c // (b * b), h * b, width * b })
end

function H.SpaceToDepth(w, node, x)
  local v, b = x[1], node.attrs.blocksize
  local n, c, h, width = table.unpack(v.dims)
  local wide = shape.reshape(w, v, { n, c, h // b, b, width // b, b })
  return shape.reshape(w, shape.transpose(wide, { 1, 4, 6, 2, 3, 5 }), { n, c * b * b, h // b, width // b })
end

return { handlers = H }
