-- maps.lua - operators of maps, whose channels lie first in ONNX: convolutions, pools, batch norms, other sizes.
local util = require "tlua.util"
local values = require "tlua.onnx.write.values"
local kit = require "tlua.onnx.write.kit"
local set, finish = kit.set, kit.finish
local handlers = {}

-- One number for each dimension of space, from one for all or none.
local function spread(list, nd, fallback)
  local out = {}
  for i = 1, nd do out[i] = list and (list[i] or list[1]) or fallback end
  return out
end

-- What is added before, and then what is added after.
local function pads_of(c, nd)
  local before = spread(c.attrs.padding, nd, 0)
  local after = c.attrs.padding_end and #c.attrs.padding_end > 0 and spread(c.attrs.padding_end, nd, 0) or before
  local pads = {}
  for i = 1, nd do pads[i], pads[i + nd] = before[i], after[i] end
  return pads
end

local function first(w, v) return w:use(v, values.channels_first(#v.shape)) end

function handlers.conv(w, c, y)
  local x, weight, bias = w:input(c, 1), w:input(c, 2), w:input(c, 3)
  local nd = #x.shape - 2
  local name = w:node("Conv", { first(w, x), w:use(weight), bias and w:use(bias) }, {
    kernel_shape = { table.unpack(weight.shape, 3) }, strides = spread(c.attrs.stride, nd, 1), pads = pads_of(c, nd),
    dilations = spread(c.attrs.dilation, nd, 1), group = c.attrs.groups })
  finish(w, c, y, name, values.channels_first(#x.shape), 4)
end

function handlers.conv_transpose(w, c, y)
  local x, weight, bias = w:input(c, 1), w:input(c, 2), w:input(c, 3)
  local nd = #x.shape - 2
  local name = w:node("ConvTranspose", { first(w, x), w:use(weight), bias and w:use(bias) }, {
    kernel_shape = { table.unpack(weight.shape, 3) }, strides = spread(c.attrs.stride, nd, 1), pads = pads_of(c, nd),
    dilations = spread(c.attrs.dilation, nd, 1), output_padding = spread(c.attrs.output_padding, nd, 0),
    group = c.attrs.groups })
  set(y, name, values.channels_first(#x.shape))
end

-- Instance norm is an operator there; groups become its channels, and weight and bias come behind.
function handlers.group_norm(w, c, y)
  local x, weight, bias, a = w:input(c, 1), w:input(c, 2), w:input(c, 3), c.attrs
  local rank, channels = #x.shape, x.shape[#x.shape]
  local groups = (a.groups or 0) > 0 and a.groups or channels
  local name = first(w, x)
  if groups == channels and rank > 2 then
    name = w:node("InstanceNormalization", { name, weight and w:use(weight) or kit.filled(w, channels, 1.0),
      bias and w:use(bias) or kit.filled(w, channels, 0.0) }, { epsilon = a.eps })
  else
    local whole = w:node("Shape", { name })
    local rows = w:node("Reshape", { name, w:constant("int64", { 3 }, { 0, groups, -1 }) })
    rows = w:node("InstanceNormalization", { rows, kit.filled(w, groups, 1.0), kit.filled(w, groups, 0.0) }, { epsilon = a.eps })
    name = w:node("Reshape", { rows, whole })
    local column = { channels }
    for i = 3, rank do column[i - 1] = 1 end
    local function by_channel(v) return w:node("Reshape", { w:use(v), w:constant("int64", { #column }, column) }) end
    if weight then name = kit.mul(w, name, by_channel(weight)) end
    if bias then name = kit.plus(w, name, by_channel(bias)) end
  end
  if a.slope == 0 then name = w:node("Relu", { name })
  elseif a.slope ~= 1 then name = w:node("LeakyRelu", { name }, { alpha = a.slope }) end
  set(y, name, values.channels_first(rank))
end

-- A pool's attributes: kernel, stride, padding.
local function window(c, nd)
  local kernel = spread(c.attrs.kernel, nd, 1)
  local stride = c.attrs.stride and #c.attrs.stride > 0 and spread(c.attrs.stride, nd, 1) or kernel
  return { kernel_shape = kernel, strides = stride, pads = pads_of(c, nd), ceil_mode = c.attrs.ceil_mode and 1 or 0 }
end
local function dilated(c)
  for _, d in ipairs(c.attrs.dilation or {}) do
    if d ~= 1 then return true end
  end
  return false
end

function handlers.max_pool(w, c, y)
  local x = w:input(c, 1)
  local nd = #x.shape - 2
  local a = window(c, nd)
  if dilated(c) then a.dilations = spread(c.attrs.dilation, nd, 1) end
  set(y, w:node("MaxPool", { first(w, x) }, a), values.channels_first(#x.shape))
end

-- ONNX numbers the elements of the whole tensor, channels first; ours are pixels of a picture.
function handlers.max_pool_places(w, c, y)
  local x = w:input(c, 1)
  local nd, pixels = #x.shape - 2, 1
  for i = 1, nd do
    if x.shape[1 + i] ~= x.other[1 + i] then util.fail "ONNX cannot hold max_pool_places of maps of an open size" end
    pixels = pixels * x.shape[1 + i]
  end
  local a = window(c, nd)
  if dilated(c) then a.dilations = spread(c.attrs.dilation, nd, 1) end
  local _, places = w:node("MaxPool", { first(w, x) }, a, 2)
  places = w:node("Mod", { places, w:constant("int64", {}, { pixels }) })
  set(y, w:cast(places, "int32"), values.channels_first(#x.shape))
end

handlers.roi_align = {
  refuses = function(c, opset) return c.attrs.aligned and opset < 16 and "aligned, before opset 16" or nil end,
  write = function(w, c, y)
    local x, boxes, picture, size = w:input(c, 1), w:input(c, 2), w:input(c, 3), spread(c.attrs.size, 2, 1)
    local attrs = { mode = "avg", output_height = size[1], output_width = size[2], sampling_ratio = c.attrs.points,
      spatial_scale = c.attrs.scale + 0.0 }
    if w.opset >= 16 then
      attrs.coordinate_transformation_mode = c.attrs.aligned and "half_pixel" or "output_half_pixel"
    end
    local inputs = { first(w, x), w:plain(boxes), w:cast(w:plain(picture), "int64") }
    set(y, w:node("RoiAlign", inputs, attrs), values.channels_first(4))
  end,
}

-- Of windows that hang over the end programs of before version 19 divide by what they please.
local function hangs_over(c, x, y)
  if not c.attrs.ceil_mode then return false end
  local nd = #x.shape - 2
  local a = window(c, nd)
  for i = 1, nd do
    local there = x.shape[1 + i] + a.pads[i] + a.pads[i + nd]
    if (y.shape[1 + i] - 1) * a.strides[i] + a.kernel_shape[i] > there then return true end
  end
  return false
end

handlers.avg_pool = { refuses = function(c, opset)
  return opset < 19 and dilated(c) and "with gaps, before opset 19" or nil
end, write = function(w, c, y)
  local x = w:input(c, 1)
  local a = window(c, #x.shape - 2)
  a.count_include_pad = c.attrs.count_include_pad and 1 or 0
  if dilated(c) then a.dilations = spread(c.attrs.dilation, #x.shape - 2, 1) end
  if not hangs_over(c, x, y) then a.ceil_mode = 0 end
  set(y, w:node("AveragePool", { first(w, x) }, a), values.channels_first(#x.shape))
end }

handlers.batch_norm = {
  refuses = function(c) return c.attrs.training and "in training" or nil end,
  write = function(w, c, y)
    local x = w:input(c, 1)
    local n = x.shape[#x.shape]
    local function tensor(k, v)
      local t = w:input(c, k)
      return t and w:use(t) or kit.filled(w, n, v)
    end
    local name = w:node("BatchNormalization", { first(w, x), tensor(2, 1.0), tensor(3, 0.0), tensor(4), tensor(5) },
      { epsilon = c.attrs.eps, momentum = 1 - c.attrs.momentum })
    finish(w, c, y, name, values.channels_first(#x.shape), 6)
  end,
}

-- The sizes of a result of Resize: (N, C, ...), of which the number of pictures may be open.
local function resized(w, x, y, name)
  local fixed, sizes = true, values.laid(y.shape, values.channels_first(#y.shape))
  for a = 1, #y.shape do fixed = fixed and y.shape[a] == y.other[a] end
  if fixed then return w:ints(sizes) end
  local shape = w:node("Shape", { name })
  local same = w:node("Slice", { shape, w:ints { 0 }, w:ints { 2 } })
  return w:node("Concat", { same, w:ints { table.unpack(sizes, 3) } }, { axis = 0 })
end

-- What ONNX calls the way of resizing.
local function way(a)
  local out = { mode = a.mode, coordinate_transformation_mode = a.coordinates }
  if a.coordinates == "usual" then
    out.coordinate_transformation_mode = a.align_corners and "align_corners" or a.mode == "nearest" and "asymmetric"
      or "half_pixel"
  end
  if a.mode == "nearest" then out.nearest_mode = a.rounding end
  if a.mode == "cubic" then out.cubic_coeff_a = a.cubic_a end
  if a.exclude_outside then out.exclude_outside = 1 end
  return out
end

handlers.interpolate = {
  refuses = function(c, opset)
    local from = ({ tf_half_pixel_for_nn = 99, half_pixel_symmetric = 19 })[c.attrs.coordinates]
    if from and opset < from then return c.attrs.coordinates end
    if c.attrs.factors and c.attrs.size then return "a size and factors" end
  end,
  write = function(w, c, y)
    local x = w:input(c, 1)
    local name, nd, open = first(w, x), #x.shape - 2, false
    for i = 1, nd do open = open or y.shape[1 + i] ~= y.other[1 + i] end
    local inputs = { name, false, false, n = 4 }
    if c.attrs.factors or open then
      local scales, factors = { 1.0, 1.0 }, c.attrs.factors or {}
      for i = 1, nd do scales[2 + i] = factors[i] or factors[1] or y.shape[1 + i] / x.shape[1 + i] end
      inputs[3], inputs.n = w:constant("float32", { #scales }, scales), 3
    else
      inputs[4] = resized(w, x, y, name)
    end
    set(y, w:node("Resize", inputs, way(c.attrs)), values.channels_first(#x.shape))
  end,
}

handlers.grid_sample = {
  refuses = function(_, opset) return opset < 16 and "before opset 16" or nil end,
  write = function(w, c, y)
    local x, grid, mode = w:input(c, 1), w:input(c, 2), c.attrs.mode
    if w.opset < 20 then
      if #x.shape > 4 then util.failf("--opset: volumes are sampled by grids from version 20 on") end
      mode = ({ linear = "bilinear", cubic = "bicubic", nearest = "nearest" })[mode]
    end
    local attrs = { mode = mode, padding_mode = c.attrs.padding, align_corners = c.attrs.align_corners and 1 or 0 }
    set(y, w:node("GridSample", { first(w, x), w:plain(grid) }, attrs), values.channels_first(#x.shape))
  end,
}

return handlers
