-- sound.lua - spectra of waves, and slopes of frames. A frame of samples becomes bins by one convolution, whose weight
-- is the transform with all that happens to a frame before it (mean, pre-emphasis, window), worked out in double
-- precision: any version of ONNX has it, where STFT came with opset 17. A clip's padding begins at its own end, so with
-- lengths samples are taken by number.
local core = require "tlua.core"
local kit = require "tlua.onnx.write.kit"
local set, mul, plus = kit.set, kit.mul, kit.plus

-- The weight has about n_fft rows of n_fft numbers: 64 MB.
local MOST_POINTS = 4096

-- ---- samples by number ----

-- Samples and frames are counted along what there is, as the operators of our own masks do, and not made of shapes: no
-- constant hangs on an open size. All numbers are int32.

local function whole(w, v) return w:constant("int32", {}, { v }) end

-- Ones in the shape of x.
local function ones(w, x)
  return plus(w, mul(w, w:cast(w:node("IsNaN", { x }), "int32"), whole(w, 0)), whole(w, 1))
end

-- 0, 1, ... along `axis`, from 0, of x.
local function places(w, x, axis)
  return w:node("CumSum", { ones(w, x), whole(w, axis) }, { exclusive = 1 })
end

-- (N, 1): lengths, from 0 up to the samples of x (N, T), or to the frames (N, T, B).
local function ends(w, x, lengths)
  local first = w:plain(x)
  if #x.shape == 3 then first = w:node("Slice", { first, w:ints { 0 }, w:ints { 1 }, w:ints { 2 } }) end
  local there = w:node("ReduceSum", { ones(w, first), w:ints { 1 } }, { keepdims = #x.shape == 3 and 0 or 1 })
  if not lengths then return there end
  local n = w:node("Unsqueeze", { w:plain(lengths), w:ints { 1 } })
  return w:node("Max", { w:node("Min", { n, there }), whole(w, 0) })
end

-- (N, 1, F): 1 for the frames of y (N, any, F) that are among the first n (N, 1), 0 for those behind.
local function inside(w, y, n)
  local row = w:node("Slice", { y, w:ints { 0 }, w:ints { 1 }, w:ints { 1 } })
  return w:cast(w:node("Less", { places(w, row, 2), w:node("Unsqueeze", { n, w:ints { 2 } }) }), "float32")
end

-- Which element of a clip of n (N, 1) stands at each place of the padded one, `at` (N, P) from before the beginning on;
-- of none a number that is not one.
local function mirrored(w, at, n, mode)
  local one = whole(w, 1)
  local last = w:node("Sub", { n, one })
  if mode == "replicate" then return w:node("Min", { w:node("Max", { at, whole(w, 0) }), last }) end
  local period = mul(w, mode == "reflect" and last or n, whole(w, 2))
  local turn = w:node("Mod", { at, w:node("Max", { period, one }) })
  local back = w:node("Sub", { period, mode == "reflect" and turn or plus(w, turn, one) })
  return w:node("Where", { w:node("Less", { turn, n }), turn, back })
end

local function with_zeros(w, x, before, after)
  if before + after == 0 then return x end
  return w:node("Pad", { x, w:ints { 0, before, 0, after } }, { mode = "constant" })
end

-- x (N, T) as (N, before + T + after), each clip padded at its own end.
local function padded_by_length(w, x, n, before, after, mode)
  if mode == "constant" then
    return with_zeros(w, w:node("Where", { w:node("Less", { places(w, x, 1), n }), x, w:float(0) }), before, after)
  end
  local at = w:node("Sub", { places(w, with_zeros(w, x, before, after), 1), whole(w, before) })
  local from = w:node("Max", { mirrored(w, at, n, mode), whole(w, 0) })
  local y = w:node("GatherElements", { x, from }, { axis = 1 })
  return w:node("Where", { w:node("Less", { from, n }), y, w:float(0) })
end

local MODES = { constant = "constant", reflect = "reflect", replicate = "edge" }

-- wave (N, T) as (N, 1, P).
local function padded(w, wave, lengths, a)
  local x, pad = w:plain(wave), a.pad or {}
  local before, after = pad[1] or 0, pad[#pad] or 0
  if lengths or not MODES[a.pad_mode] then
    x = padded_by_length(w, x, ends(w, wave, lengths), before, after, a.pad_mode)
  elseif before + after > 0 then
    x = w:node("Pad", { x, w:ints { 0, before, 0, after } }, { mode = MODES[a.pad_mode] })
  end
  return w:node("Unsqueeze", { x, w:ints { 1 } })
end

-- ---- the transform ----

-- Row `row` over samples (cos or -sin), with what happens to a frame before: the frame f becomes A f (the mean is taken
-- off, and then so much of the sample before), so the row r becomes r A.
local function folded(row, window, a)
  local n, list, p = #window, {}, a.preemphasis or 0
  for i = 1, n do list[i] = row(i - 1) * window[i] end
  if p ~= 0 then
    list[1] = list[1] * (1 - p)
    for i = 1, n do list[i] = list[i] - p * (i < n and row(i) * window[i + 1] or 0) end
  end
  if a.remove_mean then
    local sum = 0
    for i = 1, n do sum = sum + list[i] end
    for i = 1, n do list[i] = list[i] - sum / n end
  end
  return list
end

-- (2 bins, 1, samples of a frame): the real parts of all bins, then the imaginary ones.
local function basis(w, c, points)
  local a, name = c.attrs, c.inputs[2]
  local window, numbers = w.source[name]:tolist(), {}
  local turn = 2 * math.pi / points
  for part = 0, 1 do
    for k = 0, points // 2 do
      local list = folded(function(i)
        local angle = turn * (k * i % points)
        return part == 0 and math.cos(angle) or -math.sin(angle)
      end, window, a)
      table.move(list, 1, #list, #numbers + 1, numbers)
    end
  end
  local how = ("stft %d %g %s"):format(points, a.preemphasis or 0, a.remove_mean and "mean" or "")
  return w:made_of(name, how, core.tensor(numbers), { 2 * (points // 2 + 1), 1, #window })
end

-- (N, 1): how many frames each clip has.
local function frame_counts(w, c, wave, lengths, hop)
  local pad, length = c.attrs.pad or {}, w.source[c.inputs[2]]:shape(1)
  local room = (pad[1] or 0) + (pad[#pad] or 0) - length + hop
  local n = w:node("Max", { plus(w, ends(w, wave, lengths), whole(w, room)), whole(w, 0) })
  return w:node("Div", { n, whole(w, hop) })
end

-- Bins of waves, (N, 2 bins, F), and which frames count; powers or magnitudes of them (N, bins, F).
local function transform(w, c, lengths)
  local a, wave = c.attrs, w:input(c, 1)
  local n = a.n_fft ~= 0 and a.n_fft or w.source[c.inputs[2]]:shape(1)
  local hop = a.hop ~= 0 and a.hop or math.max(1, n // 4)
  local weight = basis(w, c, n)
  local y = w:node("Conv", { padded(w, wave, lengths, a), weight },
    { kernel_shape = { w.source[c.inputs[2]]:shape(1) }, strides = { hop } })
  if lengths then y = mul(w, y, inside(w, y, frame_counts(w, c, wave, lengths, hop))) end
  return y, n // 2 + 1
end

local function power(w, y, bins, how)
  local re, im = w:node("Split", { y, w:ints { bins, bins } }, { axis = 1 }, 2)
  local p = plus(w, mul(w, re, re), mul(w, im, im))
  return how == 1 and w:node("Sqrt", { p }) or p
end

local function refuses(c)
  if type(c.inputs[2]) ~= "string" then return "with a window that is worked out" end
  if (c.attrs.n_fft or 0) > MOST_POINTS then return ("of more than %d points"):format(MOST_POINTS) end
end

local function stft(w, c, y)
  local x, bins = transform(w, c, w:input(c, 3))
  if c.attrs.power ~= 0 then return set(y, power(w, x, bins, c.attrs.power), { 1, 3, 2 }) end
  set(y, w:node("Reshape", { x, w:ints { 0, 2, bins, -1 } }), { 1, 4, 3, 2 })
end

local SCALE = { log = function() return 1 end, log10 = function() return 1 / math.log(10) end,
  db = function(a) return (a.power == 1 and 20 or 10) / math.log(10) end }

local function mel_spectrogram(w, c, y)
  local a, bank = c.attrs, w:input(c, 3)
  local x, bins = transform(w, c, w:input(c, 4))
  local v = w:node("MatMul", { w:plain(bank), power(w, x, bins, a.power) })
  if a.log ~= "none" then
    if a.floor > 0 then v = w:node("Max", { v, w:float(a.floor) }) end
    if a.offset > 0 then v = plus(w, v, w:float(a.offset)) end
    v = w:node("Log", { v })
    local scale = SCALE[a.log](a)
    if scale ~= 1 then v = mul(w, v, w:float(scale)) end
  end
  set(y, v, { 1, 3, 2 })
end

-- ---- slopes ----

-- x (N, B, F) with the first and the last frame of each clip `reach` times more; n (N, 1): its frames, nil: all.
local function repeated(w, x, n, bands, reach)
  local pads = w:ints { 0, 0, reach, 0, 0, reach }
  if not n then return w:node("Pad", { x, pads }, { mode = "edge" }) end
  local row = w:node("Slice", { x, w:ints { 0 }, w:ints { 1 }, w:ints { 1 } })
  local at = w:node("Sub", { places(w, w:node("Pad", { row, pads }, { mode = "constant" }), 2), whole(w, reach) })
  local from = mirrored(w, at, w:node("Unsqueeze", { n, w:ints { 2 } }), "replicate")
  from = w:node("Expand", { w:node("Max", { from, whole(w, 0) }), w:ints { 1, bands, 1 } })
  return w:node("GatherElements", { x, from }, { axis = 2 })
end

-- y[t] = sum over k of k (x[t + k] - x[t - k]) / (2 sum over k of k^2): one filter for all bands.
local function deltas(w, c, y)
  local x, lengths, reach, perm = w:input(c, 1), w:input(c, 2), c.attrs.reach, { 1, 3, 2 }
  local numbers, square, bands = {}, 0, x.shape[3]
  for k = 1, reach do square = square + 2 * k * k end
  for k = -reach, reach do numbers[#numbers + 1] = k / square end
  local filter = w:constant("float32", { 1, 1, #numbers }, numbers)
  local n = lengths and ends(w, x, lengths)
  local name = repeated(w, w:use(x, perm), n, bands, reach)
  name = w:node("Conv", { w:node("Reshape", { name, w:ints { -1, 1, 0 } }), filter }, { kernel_shape = { #numbers } })
  name = w:node("Reshape", { name, w:ints { -1, bands, 0 } })
  if n then name = mul(w, name, inside(w, name, n)) end
  set(y, name, perm)
end

return { stft = { write = stft, refuses = refuses }, mel_spectrogram = { write = mel_spectrogram, refuses = refuses },
  deltas = deltas }
