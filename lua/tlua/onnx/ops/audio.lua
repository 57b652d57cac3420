-- audio.lua - windows, spectra and mel filters. Windows and filters are constants; a spectrum is a product with cosines
-- and sines.
local core = require "tlua.core"
local util = require "tlua.util"
local spectral = require "tlua.nn.sound.spectral"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local ops = core.ops
local H = {}

local function window(f)
  return function(_, node, x)
    local n = value.numbers(x[1], "the length")[1]
    if n > 1 << 20 then util.failf("a window of %d", n) end
    local list, span = {}, node.attrs.periodic == 0 and n - 1 or n
    for i = 1, n do list[i] = host.number(f(2 * math.pi * (i - 1) / span), "float32") end
    return host.new(list, { n }, value.type_named(node.attrs.output_datatype, "float32"))
  end
end
H.HannWindow = window(spectral.windows.hann)
H.HammingWindow = window(function(t) return 25 / 46 - 21 / 46 * math.cos(t) end)
H.BlackmanWindow = window(spectral.windows.blackman)

-- bins, length of the transform, rate, lowest and highest frequency -> (length / 2 + 1, bins), as ONNX's reference
-- does.
function H.MelWeightMatrix(_, node, x)
  local v = {}
  for i = 1, 5 do v[i] = value.numbers(x[i], "a number of the filters")[1] end
  local bins, length, rate, low, high = table.unpack(v)
  if bins < 1 or length < 1 or bins > 1 << 16 or length > 1 << 22 or bins * (length // 2 + 1) > 1 << 24 then
    util.failf("%d filters for a transform of %d", bins, length)
  end
  local rows, list, points = length // 2 + 1, {}, spectral.points("htk", low, high, bins + 2, bins + 2)
  for i, f in ipairs(points) do points[i] = math.floor((length + 1) * f / rate) end
  for i = 1, rows * bins do list[i] = 0.0 end
  for i = 1, bins do
    local a, b, c = points[i], points[i + 1], points[i + 2]
    spectral.triangle(a, b, c, rows - 1, function(k, v) list[k * bins + i] = host.number(v, "float32") end)
    if a == b and b < rows then list[b * bins + i] = 1.0 end
  end
  return host.new(list, { rows, bins }, value.type_named(node.attrs.output_datatype, "float32"))
end

-- (n, bins) of cos or sin(2 pi k i / n).
local function waves(w, f, name, n, bins)
  if n * bins > 1 << 24 then util.failf("a transform of %d", n) end
  return w:prepare(("%s|%d|%d"):format(name, n, bins), function()
    local rows = {}
    for k = 0, bins - 1 do
      local row = {}
      for i = 0, n - 1 do row[i + 1] = f(2 * math.pi * ((k * i) % n) / n) end
      rows[k + 1] = row
    end
    return core.tensor(rows) -- (bins, n), as linear has it
  end)
end

-- re (..., n), im or nil -> (..., bins, 2)
local function spectrum(w, re, im, n, bins, inverse)
  local c, s = waves(w, math.cos, "cosines", n, bins), waves(w, math.sin, "sines", n, bins)
  local sign = inverse and 1 or -1
  local a, b = ops.linear(re, c), ops.mul_scalar(ops.linear(re, s), sign)
  if im then
    a = ops.sub(a, ops.mul_scalar(ops.linear(im, s), sign))
    b = ops.add(b, ops.linear(im, c))
  end
  if inverse then a, b = ops.mul_scalar(a, 1 / n), ops.mul_scalar(b, 1 / n) end
  local dims = a:shape()
  dims[#dims + 1] = 1
  return ops.concat(a:reshape(dims), b:reshape(dims), { axis = -1 })
end

function H.DFT(w, node, x)
  local v, a, rank = x[1], node.attrs, #x[1].dims
  local axis = shape.axis_of(node.version >= 20 and x[3] and value.numbers(x[3], "the axis")[1] or a.axis
    or (node.version >= 20 and -2 or 1), rank)
  local n = x[2] and value.numbers(x[2], "the length")[1] or v.dims[axis]
  if a.inverse == 1 and a.onesided == 1 then util.fail "the inverse of one side is not supported" end
  if axis == rank then util.fail "the last axis is that of real and imaginary parts" end
  if v.dims[rank] > 2 then util.failf("numbers of %d parts", v.dims[rank]) end
  if a.onesided == 1 and a.inverse == 1 then util.fail "onesided and inverse together are not supported" end
  local order = {}
  for i = 1, rank do
    if i ~= axis then order[#order + 1] = i end
  end
  table.insert(order, 1, table.remove(order)) -- parts first, then the others, the axis last
  order[rank] = axis
  local t = value.floats(w, value.arranged(w, v, order))
  local have = v.dims[axis]
  if have > n then t = ops.slice(t, { axis = rank, start = 0, length = n }) end
  if have < n then
    local after = {}
    for i = 1, rank do after[i] = i == rank and n - have or 0 end
    t = ops.pad(t, { after = after })
  end
  local dims = t:shape()
  local rest = { table.unpack(dims, 2) }
  local function part(i) return ops.slice(t, { axis = 1, start = i, length = 1 }):reshape(rest) end
  local bins = a.onesided == 1 and n // 2 + 1 or n
  local y = spectrum(w, part(0), v.dims[rank] == 2 and part(1) or nil, n, bins, a.inverse == 1)
  local perm = {} -- (the others..., bins, 2)
  for i = 2, rank - 1 do perm[#perm + 1] = order[i] end
  perm[#perm + 1], perm[#perm + 2] = axis, rank
  return value.of(y, v.dtype, perm)
end

-- signal (N, T) or (N, T, 1), step, window, length of a frame -> (N, frames, bins, 2)
function H.STFT(w, node, x)
  local v, step = x[1], value.numbers(x[2], "the step")[1]
  local n = x[4] and value.numbers(x[4], "the length of a frame")[1] or x[3].dims[1]
  if #v.dims == 3 and v.dims[3] ~= 1 then util.fail "of complex signals is not supported" end
  local t = value.floats(w, value.tensor(w, #v.dims == 3 and shape.reshape(w, v, { v.dims[1], v.dims[2] }) or v))
  local frames = (v.dims[2] - n) // step + 1
  local ids = {}
  for f = 0, frames - 1 do
    for i = 0, n - 1 do ids[#ids + 1] = f * step + i end
  end
  if #ids > 1 << 22 then util.fail "too many frames" end
  local index = w:prepare(("frames|%d|%d|%d"):format(frames, step, n),
    function() return core.tensor(ids, { dtype = "int32" }) end)
  local rows = shape.select(t, 2, index, #ids):reshape { v.dims[1], frames, n }
  if x[3] then
    local win = value.floats(w, value.tensor(w, x[3]))
    local short = n - x[3].dims[1]
    if short > 0 then win = ops.pad(win, { before = { short // 2 }, after = { short - short // 2 } }) end
    rows = ops.mul(rows, win)
  end
  return value.of(spectrum(w, rows, nil, n, node.attrs.onesided == 0 and n or n // 2 + 1), v.dtype)
end

return { handlers = H }
