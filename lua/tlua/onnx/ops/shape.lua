-- shape.lua - ONNX operators that move elements, or only say otherwise where they are.
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local ops = core.ops
local H, shape = {}, {}

local places = value.places

-- An axis of ONNX (from 0, from the end where negative) from 1.
local function axis_of(axis, rank)
  local i = axis < 0 and axis + rank or axis
  if i < 0 or i >= rank then util.failf("there is no axis %d in %d dimensions", axis, rank) end
  return i + 1
end
shape.axis_of = axis_of

-- Where a logical axis lies.
local function place_of(v, axis)
  for place, each in ipairs(places(v.perm, #v.dims)) do
    if each == axis then return place end
  end
end
shape.place_of = place_of

-- ---- reshape ----

-- Which old axes become which new ones: a list of {from = {axes}, to = {axes}}. Axes of length one are with a
-- neighbour.
local function groups_of(old, new)
  local list, i, j = {}, 1, 1
  while i <= #old or j <= #new do
    local g = { from = {}, to = {} }
    local a, b = 1, 1
    repeat
      if a <= b and i <= #old then
        a, g.from[#g.from + 1], i = a * old[i], i, i + 1
      elseif j <= #new then
        b, g.to[#g.to + 1], j = b * new[j], j, j + 1
      else
        a, g.from[#g.from + 1], i = a * old[i], i, i + 1
      end
    until a == b and #g.from > 0 and #g.to > 0 or (i > #old and j > #new)
    list[#list + 1] = g
  end
  local last = list[#list]
  if #list > 1 and (#last.from == 0 or #last.to == 0) then -- trailing ones
    local g = list[#list - 1]
    table.move(last.from, 1, #last.from, #g.from + 1, g.from)
    table.move(last.to, 1, #last.to, #g.to + 1, g.to)
    list[#list] = nil
  end
  return list
end

-- v with other dims, as many elements. Groups of axes stay where they lie; inside one they come into ONNX's order.
function shape.reshape(w, v, dims)
  if host.count(dims) ~= host.count(v.dims) then
    util.failf("%s cannot be shaped as %s", util.shape_text(v.dims), util.shape_text(dims))
  end
  if v.host then
    local h = host.reshape(v, dims)
    h.key, h.source = v.key and v.key .. "|as " .. table.concat(dims, ","), v.source
    return h
  end
  if util.same_shape(v.dims, dims) and #v.dims == #dims then return v end
  if #v.dims == 0 or #dims == 0 or not v.perm then
    local t, key = value.form(w, v, "as " .. table.concat(dims, ","), function(t) return t:reshape(dims) end)
    return shape.derived(v, t, key, dims)
  end
  local groups = groups_of(v.dims, dims)
  for _, g in ipairs(groups) do
    g.place = math.huge
    for _, axis in ipairs(g.from) do
      if v.dims[axis] ~= 1 then g.place = math.min(g.place, place_of(v, axis)) end
    end
    for _, axis in ipairs(g.from) do
      if g.place == math.huge then g.single = math.min(g.single or math.huge, place_of(v, axis)) end
    end
    if g.place == math.huge then g.place = g.single or 0 end
  end
  local order = {}
  for i, g in ipairs(groups) do order[i] = g end
  table.sort(order, function(a, b)
    if a.place ~= b.place then return a.place < b.place end
    return (a.from[1] or 0) < (b.from[1] or 0)
  end)
  local target, physical, perm = {}, {}, {}
  for _, g in ipairs(order) do
    for _, axis in ipairs(g.from) do target[#target + 1] = axis end
    for _, axis in ipairs(g.to) do physical[#physical + 1], perm[#perm + 1] = dims[axis], axis end
  end
  if value.lies_so(v, target) then
    local form = "as " .. table.concat(physical, ",")
    return value.of((value.form(w, v, form, function(t) return t:reshape(physical) end)), v.dtype, perm)
  end
  local t = value.arranged(w, v, target)
  if not util.same_shape(t:shape(), physical) then t = t:reshape(physical) end
  return value.of(t, v.dtype, perm)
end

-- A value of a tensor made of v, which is a constant where v is one.
function shape.derived(v, t, key, dims)
  if not v.const or not key then return value.of(t, v.dtype) end
  return { const = true, key = key, source = v.source, dims = dims, dtype = v.dtype, load = function()
    util.failf("the constant '%s' is gone", key)
  end }
end

local function wanted_dims(dims, list, allow_zero)
  local out, open, known = {}, nil, 1
  for i, d in ipairs(list) do
    if d == 0 and not allow_zero then d = dims[i] or util.failf("there is no dimension %d to keep", i) end
    if d == -1 then
      if open then util.fail "two dimensions are left open" end
      open = i
    else known = known * d end
    out[i] = d
  end
  if open then
    if known == 0 or host.count(dims) % known ~= 0 then
      util.failf("%s cannot be shaped as %s", util.shape_text(dims), util.shape_text(list))
    end
    out[open] = host.count(dims) // known
  end
  return out
end

function H.Reshape(w, node, x)
  local list = node.version < 5 and node.attrs.shape or value.numbers(x[2], "the shape")
  local v, batch = x[1], w.freed_batch
  if batch and v.dims[1] == batch and list[1] == 1 and not v.const then -- the file says one picture, we say any number
    list = { table.unpack(list) }
    list[1] = batch
  end
  return shape.reshape(w, v, wanted_dims(v.dims, list, node.attrs.allowzero == 1))
end

function H.Flatten(w, node, x)
  local v, axis = x[1], node.attrs.axis or 1
  if axis < 0 then axis = axis + #v.dims end
  local a, b = 1, 1
  for i, d in ipairs(v.dims) do
    if i <= axis then a = a * d else b = b * d end
  end
  return shape.reshape(w, v, { a, b })
end

-- Axes have been an input since opset 13 or 18.
local function axes_list(node, x)
  return x[2] and value.numbers(x[2], "the list of axes") or node.attrs.axes
end
shape.axes_list = axes_list

function H.Squeeze(w, node, x)
  local v, axes, dims = x[1], axes_list(node, x), {}
  local gone = {}
  for _, axis in ipairs(axes or {}) do
    local i = axis_of(axis, #v.dims)
    if v.dims[i] ~= 1 then util.failf("the axis %d of %s is not of length 1", axis, util.shape_text(v.dims)) end
    gone[i] = true
  end
  for i, d in ipairs(v.dims) do
    if not gone[i] and (axes or d ~= 1) then dims[#dims + 1] = d end
  end
  return shape.reshape(w, v, dims)
end

function H.Unsqueeze(w, node, x)
  local v, axes, dims = x[1], axes_list(node, x) or util.fail "its axes are missing", {}
  local rank, new, from = #v.dims + #axes, {}, 1
  for _, axis in ipairs(axes) do
    local i = axis_of(axis, rank)
    if new[i] then util.failf("the axis %d is named twice", axis) end
    new[i] = true
  end
  for i = 1, rank do
    if new[i] then dims[i] = 1 else dims[i], from = v.dims[from], from + 1 end
  end
  return shape.reshape(w, v, dims)
end

-- ---- order ----

-- axes: where each new axis comes from, from 1.
function shape.transpose(v, axes)
  if v.host then
    local h = host.permute(v, axes)
    h.key, h.source = v.key and v.key .. "|transposed " .. table.concat(axes, ","), v.source
    return h
  end
  local now, copy, perm = {}, {}, {}
  for i, axis in ipairs(axes) do now[axis] = i end
  for place, axis in ipairs(places(v.perm, #v.dims)) do perm[place] = now[axis] end
  for key, each in pairs(v) do copy[key] = each end
  copy.dims, copy.perm = {}, perm
  for i, axis in ipairs(axes) do copy.dims[i] = v.dims[axis] end
  return copy
end

function H.Transpose(_, node, x)
  local rank, axes = #x[1].dims, {}
  for i = 1, rank do axes[i] = node.attrs.perm and node.attrs.perm[i] and node.attrs.perm[i] + 1 or rank + 1 - i end
  local seen = {}
  for _, axis in ipairs(axes) do
    if axis < 1 or axis > rank or seen[axis] then util.fail "perm does not name each axis once" end
    seen[axis] = true
  end
  return shape.transpose(x[1], axes)
end

-- ---- cutting and joining ----

function H.Concat(w, node, x)
  local list, all_host, count = {}, true, 0
  for i = 1, x.n do
    if not x[i] then util.fail "an input is missing" end
    if host.count(x[i].dims) > 0 then
      list[#list + 1] = x[i]
      all_host, count = all_host and x[i].host, count + host.count(x[i].dims)
    end
  end
  if #list == 0 then return x[1] end
  local axis = axis_of(node.attrs.axis or 1, #list[1].dims)
  -- Long rows that follow from open sizes (places of a grid) are calls; short ones are shapes.
  local calls = w.tracing and count > 16 and host.any_sized(list)
  if all_host and not calls and count <= host.MOST * 16 then return host.concat(list, axis) end
  local best = list[1]
  for _, v in ipairs(list) do
    if best.const and not v.const or (v.const == best.const and host.count(v.dims) > host.count(best.dims)) then
      best = v
    end
  end
  local tensors, same = {}, true
  for i, v in ipairs(list) do
    tensors[i] = value.arranged(w, v, best.perm)
    same = same and tensors[i]:dtype() == tensors[1]:dtype()
  end
  for i, t in ipairs(tensors) do tensors[i] = same and t or value.floats(w, t) end
  if #tensors == 1 then return value.of(tensors[1], best.dtype, best.perm) end
  return value.of(shape.join(tensors, place_of(best, axis)), best.dtype, best.perm)
end

-- An operator has eight inputs at most.
function shape.join(tensors, place)
  while #tensors > 1 do
    local next_ones = {}
    for i = 1, #tensors, 8 do
      local part = { table.unpack(tensors, i, math.min(i + 7, #tensors)) }
      if #part == 1 then next_ones[#next_ones + 1] = part[1] else
        part[#part + 1] = { axis = place }
        next_ones[#next_ones + 1] = ops.concat(table.unpack(part))
      end
    end
    tensors = next_ones
  end
  return tensors[1]
end

-- `count` elements of t along a place, from `start` on, every step-th.
local function strided(t, place, start, count, step)
  local dims = t:shape()
  local length = dims[place]
  if step == 1 then
    if start == 0 and count == length then return t end
    return ops.slice(t, { axis = place, start = start, length = start > 0 and start + count == length and -1 or count })
  end
  -- A dimension (n) as (n / step, step), of which one column is taken.
  local first = start // step * step
  local need = count * step
  if first ~= 0 or need < length then
    t = ops.slice(t, { axis = place, start = first, length = math.min(need, length - first) })
  end
  local have = t:shape()[place]
  if have < need then
    local after, before = {}, {}
    for i = 1, #dims do after[i], before[i] = i == place and need - have or 0, 0 end
    t = ops.pad(t, { before = before, after = after })
  end
  local split, joined = {}, {}
  for i, d in ipairs(dims) do
    if i == place then
      split[#split + 1], split[#split + 2] = count, step
      joined[i] = count
    else split[#split + 1], joined[i] = d, d end
  end
  t = ops.slice(t:reshape(split), { axis = place + 1, start = start - first, length = 1 })
  return t:reshape(joined)
end

-- Rows of t along a place by a list of positions, as a constant tensor of int32.
local function select(t, place, ids, n)
  local dims, axes, back = t:shape(), { place }, {}
  for i = 1, #dims do
    if i ~= place then axes[#axes + 1] = i end
  end
  local rest, width = {}, 1
  for i = 2, #axes do rest[i - 1], width = dims[axes[i]], width * dims[axes[i]] end
  local rows = (place == 1 and t or ops.permute(t, { axes = axes })):reshape { dims[place], width }
  local whole = rows:dtype() == "int32"
  if whole then rows = ops.cast(rows, { dtype = "float32" }) end
  local y = ops.embedding(rows, ids)
  if whole then y = ops.cast(y, { dtype = "int32" }) end
  y = y:reshape { n, table.unpack(rest) }
  for i, axis in ipairs(axes) do back[axis] = i end
  return place == 1 and y or ops.permute(y, { axes = back })
end
shape.select = select

-- Where a slice begins, how many it has, and its step.
local function range_of(start, stop, step, length)
  if step == 0 then util.fail "a step of 0" end
  local function clamp(i, low, high)
    if i < 0 then i = i + length end
    return math.max(low, math.min(high, i))
  end
  if step > 0 then
    local from, to = clamp(start, 0, length), clamp(stop, 0, length)
    return from, math.max(0, (to - from + step - 1) // step)
  end
  local from = clamp(start, -1, length - 1)
  local to = stop < -length and -1 or clamp(stop, -1, length - 1)
  return from, math.max(0, (to - from + step + 1) // step)
end

-- open: start or end follow from sizes that are left open; a long row is then cut by a call.
local function slice_one(w, v, axis, start, count, step, open)
  local dims = { table.unpack(v.dims) }
  dims[axis] = count
  local call = open and w.tracing and v.host and #v.host > 16 and count > 0 and step == 1
  if (v.host and not call) or count == 0 then
    if not v.host then util.fail "a slice without elements has no place on a device" end
    local positions = {}
    for i = 1, count do positions[i] = start + (i - 1) * step end
    local y = host.take(v, axis, positions)
    y.sized = y.sized or open
    return y
  end
  if start == 0 and step == 1 and count == v.dims[axis] then return v end
  local place, t = place_of(v, axis), value.raw(w, v)
  if step > 0 then return value.of(strided(t, place, start, count, step), v.dtype, v.perm) end
  local ids = {}
  for i = 1, count do ids[i] = start + (i - 1) * step end
  local index = w:prepare("ids|" .. table.concat(ids, ","), function() return core.tensor(ids, { dtype = "int32" }) end)
  return value.of(select(t, place, index, count), v.dtype, v.perm)
end
shape.slice_one = slice_one

function H.Slice(w, node, x)
  local v, a = x[1], node.attrs
  local starts, ends, axes, steps = a.starts, a.ends, a.axes, nil
  if node.version >= 10 then
    starts, ends = value.numbers(x[2], "where the slice starts"), value.numbers(x[3], "where the slice ends")
    axes = x[4] and value.numbers(x[4], "the list of axes")
    steps = x[5] and value.numbers(x[5], "the list of steps")
  end
  local open = host.any_sized { x[2] or {}, x[3] or {}, x[4] or {}, x[5] or {} }
  for i, start in ipairs(starts) do
    local axis, step = axis_of(axes and axes[i] or i - 1, #v.dims), steps and steps[i] or 1
    local from, count = range_of(start, ends[i], step, v.dims[axis])
    v = slice_one(w, v, axis, from, count, step, open)
  end
  return v
end

function H.Split(w, node, x)
  local v, a = x[1], node.attrs
  local axis = axis_of(a.axis or 0, #v.dims)
  local sizes = x[2] and value.numbers(x[2], "the sizes of the parts") or a.split
  local n, out, at = a.num_outputs or #node.outputs, {}, 0
  if not sizes then
    local each = (v.dims[axis] + n - 1) // n
    sizes = {}
    for i = 1, n do sizes[i] = math.min(each, v.dims[axis] - (i - 1) * each) end
  end
  for i, size in ipairs(sizes) do
    if size > 0 or (v.host and size == 0) then out[i] = slice_one(w, v, axis, at, size, 1)
    else util.fail "a part without elements has no place on a device" end
    at = at + size
  end
  if at ~= v.dims[axis] then util.failf("parts of %d together, and the axis has %d", at, v.dims[axis]) end
  return out
end

shape.handlers, shape.strided = H, strided
return shape
