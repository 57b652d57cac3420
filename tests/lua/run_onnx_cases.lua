-- run_onnx_cases.lua - small forwards that use every operator which goes into an .onnx file, and in the orders of
-- dimensions in which networks use them: {name, inputs, f}. An input is dims, or {ids = dims} of whole numbers below
-- 5; "N", "T" are open. Tensors of the forward are in `c`, by name; `opset`: the first that has it. Read by
-- tests/lua/onnx_write.lua and tests/interop/onnx_write.lua.
local core = require "tlua.core"
local ops = core.ops
local cases = { list = {}, constants = {} }

core.manual_seed(11)
local c = cases.constants
c["conv.weight"], c["conv.bias"] = core.randn(6, 4, 3, 3) * 0.3, core.randn(6)
c["group.weight"], c["deep.weight"] = core.randn(8, 1, 3, 3), core.randn(4, 3, 2, 2) * 0.4
c["line.weight"], c["cube.weight"] = core.randn(5, 8, 3) * 0.3, core.randn(3, 2, 2, 2, 2) * 0.3
c["fc.weight"], c["fc.bias"], c["wide.weight"] = core.randn(5, 4), core.randn(5), core.randn(4, 8) * 0.4
c["norm.weight"], c["norm.bias"] = core.rand(4) + 0.5, core.randn(4)
c["norm.running_mean"], c["norm.running_var"] = core.randn(4), core.rand(4) + 0.5
c["six.running_mean"], c["six.running_var"] = core.randn(6), core.rand(6) + 0.5
c["eight.weight"], c["eight.bias"] = core.rand(8) + 0.5, core.randn(8)
c["words.weight"], c["gain"], c["map"], c["token"] = core.randn(5, 8), core.randn(4), core.randn(6, 7, 4),
  core.randn(1, 1, 8)

c["rnn.x4"], c["rnn.h4"], c["rnn.x4b"] = core.randn(20, 8) * 0.4, core.randn(20, 5) * 0.4, core.randn(20, 5) * 0.4
c["rnn.bx4"], c["rnn.bh4"], c["rnn.x3"] = core.randn(20), core.randn(20), core.randn(15, 8) * 0.4
c["rnn.h3"], c["rnn.bx3"] = core.randn(15, 5) * 0.4, core.randn(15)
c["rnn.x1"], c["rnn.h1"] = core.randn(5, 8) * 0.4, core.randn(5, 5) * 0.4

c["sound.window"], c["sound.bank"] = core.rand(12) + 0.2, core.rand(3, 9)

local MAP, ROWS, SEQUENCE, IDS = { "N", 6, 7, 4 }, { "N", 4 }, { "N", "T", 8 }, { ids = { "N", "T" } }
local function case(name, inputs, f, opset)
  cases.list[#cases.list + 1] = { name = name, inputs = inputs, f = f, opset = opset or 13 }
end

-- ---- element by element, channels first within and without ----

local function conv(x) return ops.conv(x, c["conv.weight"], c["conv.bias"], { padding = { 1 } }) end
for _, op in ipairs { "neg", "exp", "abs", "sin", "cos", "tanh", "sigmoid", "softplus", "relu", "relu6", "silu",
  "gelu", "gelu_tanh",
  "hardsigmoid", "hardswish", "square", "floor", "ceil", "round", "sign", "reciprocal", "tan", "atan", "sinh", "cosh",
    "asinh", "selu",
  "softsign", "mish", "expm1", "erf" } do
  case(op, { MAP }, function(x) return ops[op](x) end)
end
for _, op in ipairs { "log", "sqrt", "rsqrt", "log1p" } do case(op, { MAP }, function(x) return ops[op](ops.abs(x)
  + 0.1) end) end
for _, op in ipairs { "asin", "acos", "atanh" } do case(op, { MAP }, function(x) return ops[op](ops.clamp(x, -0.9,
  0.9)) end) end
case("acosh", { MAP }, function(x) return ops.acosh(ops.abs(x) + 1) end)
case("scalars", { MAP }, function(x) return 3 / ((2 - x * 1.5 + 0.25):square() + 1) end)
case("powers", { ROWS }, function(x) return ops.pow_scalar(ops.abs(x), 1.7) + ops.pow(ops.abs(x) + 0.1, x) end)
case("with_attributes", { MAP }, function(x)
  return ops.leaky_relu(x, { slope = 0.2 }) + ops.elu(x, { alpha = 0.7 }) + ops.celu(x, { alpha = 0.6 })
    + ops.threshold(x, { threshold = 0.3, value = 0.1 }) + ops.threshold(x, { threshold = 0.2, value = 0 })
    + ops.shrink(x, { lambd = 0.4, bias = 0.1 }) + ops.clamp(x, -0.5, 2)
end)
case("compare", { MAP, MAP }, function(a, b)
  return ops.gt(a, b) + ops.lt(a, b) * 2 + ops.ge(a, 0 * b) * 4 + ops.le(a, b) * 8 + ops.eq(a, a) * 16 + ops.ne(a,
    b) * 32
end)
case("extremes", { ROWS, ROWS }, function(a, b) return ops.maximum(a, b) * 2 + ops.minimum(a, b) + ops.mod(a,
  b) + ops.fmod(b, a) end)
case("choice", { MAP, MAP }, function(a, b) return ops.where(ops.gt(a, b), a, b * 2) + ops.where(a, b, a) end)
case("strange", { ROWS }, function(x) return ops.isnan(ops.log(x)) + ops.isinf(1 / ops.relu(x)) end)
case("whole", { IDS }, function(i)
  local j = ops.range { count = 3 }
  local k = ops.sum(ops.mul(ops.add(j, j), j))
  return ops.cast(ops.add(i, k), { dtype = "float32" }) * 2 + 1, ops.cast(ops.eq(i, i), { dtype = "float32" })
end)

-- ---- broadcasting over both orders ----

case("broadcast", { MAP }, function(x) return conv(x + c.map * c.gain):relu() end)
case("gate", { MAP }, function(x)
  local y = ops.conv(x, c["conv.weight"], nil, { padding = { 1 } })
  return y * ops.sigmoid(ops.mean(y, { axes = { 2, 3 }, keep = true })) + ops.mean(y, { axes = { 1, 2 } })
end)
case("broadcast_value", { MAP, { 4 } }, function(x, g) return conv(x * g) end)

-- ---- maps ----

case("conv", { MAP }, function(x)
  return ops.conv(x, c["conv.weight"], c["conv.bias"], { stride = { 2, 1 }, padding = { 1, 0 }, padding_end = { 2,
    1 }, dilation = { 1, 2 }, activation = "relu" })
end)
case("conv_groups", { MAP }, function(x) return ops.conv(ops.concat(x, x), c["group.weight"], { groups = 8,
  activation = "silu" }) end)
case("conv_line", { SEQUENCE }, function(x) return ops.conv(x, c["line.weight"], { padding = { 1 } }) end)
case("conv_cube", { { "N", 3, 4, 5, 2 } }, function(x) return ops.conv(x, c["cube.weight"]) end)
case("conv_residual", { MAP }, function(x)
  local y = conv(x)
  return ops.conv(x, c["conv.weight"], nil, y, { padding = { 1 }, activation = "relu" })
end)
case("conv_transpose", { MAP }, function(x)
  return ops.conv_transpose(x, c["deep.weight"], { stride = { 2 }, padding = { 1 }, output_padding = { 1 } })
end)
case("conv_transpose_end", { MAP }, function(x)
  return ops.conv_transpose(x, c["deep.weight"], { stride = { 2 }, padding = { 1, 0 }, padding_end = { 0, 1 } })
end)
case("pool_gaps", { MAP }, function(x)
  return ops.max_pool(x, { kernel = { 2 }, stride = { 1 }, dilation = { 2, 3 } })
end)
case("pools", { MAP }, function(x)
  return ops.max_pool(x, { kernel = { 3 }, stride = { 2 }, padding = { 1 } }), ops.avg_pool(x, { kernel = { 2, 3 },
    padding = { 1 } }),
    ops.avg_pool(x, { kernel = { 3 }, stride = { 2 }, padding = { 1 }, count_include_pad = false }),
    ops.max_pool(x, { kernel = { 3 }, stride = { 2 }, ceil_mode = true })
end)
case("resize", { MAP }, function(x)
  return ops.interpolate(x, { scale = 2 }), ops.interpolate(x, { size = { 9, 5 }, mode = "linear" }),
    ops.interpolate(x, { size = { 11, 8 }, mode = "linear", align_corners = true }), ops.interpolate(x, { size = { 3,
      14 } })
end)
case("resize_ways", { MAP }, function(x)
  return ops.interpolate(x, { size = { 9, 5 }, mode = "cubic" }),
    ops.interpolate(x, { factors = { 1.4, 2.3 }, mode = "linear", coordinates = "asymmetric" }),
    ops.interpolate(x, { size = { 11, 4 }, mode = "nearest", coordinates = "half_pixel",
      rounding = "round_prefer_ceil" }),
    ops.interpolate(x, { size = { 4, 9 }, mode = "cubic", coordinates = "half_pixel", cubic_a = -0.5,
      exclude_outside = true })
end)
case("grid_sample", { MAP, { "N", 5, 3, 2 } }, function(x, g)
  return ops.grid_sample(x, g), ops.grid_sample(conv(x), g, { mode = "nearest", padding = "border",
    align_corners = true }),
    ops.grid_sample(x, g, { mode = "cubic", padding = "reflection" })
end, 16)
case("max_pool_places", { MAP }, function(x)
  return ops.cast(ops.max_pool_places(conv(x), { kernel = { 3, 2 }, stride = { 2 }, padding = { 1, 0 } }),
    { dtype = "float32" })
end)
case("roi_align", { MAP, ROWS, { ids = { "N" }, below = 2 } }, function(x, b, i)
  local size = ops.abs(ops.slice(b, { axis = 2, start = 2, length = 2 })) + 1
  local from = ops.abs(ops.slice(b, { axis = 2, start = 0, length = 2 }))
  local boxes = ops.concat(from, from + size * 2)
  return ops.roi_align(x, boxes, i, { size = { 2, 3 }, points = 2 }),
    ops.roi_align(conv(x), boxes, i, { size = { 3 }, scale = 0.7, aligned = true })
end, 16)
case("batch_norm", { MAP }, function(x)
  local y = ops.batch_norm(x, c["norm.weight"], c["norm.bias"], c["norm.running_mean"], c["norm.running_var"], x,
    { activation = "relu" })
  return ops.batch_norm(conv(y), nil, nil, c["six.running_mean"], c["six.running_var"])
end)
case("batch_norm_rows", { ROWS }, function(x) return ops.batch_norm(x, c["norm.weight"], nil, c["norm.running_mean"],
  c["norm.running_var"]) end)
case("open_map", { { "N", "H", "W", 4 } }, function(x) return ops.interpolate(conv(x):relu(), { scale = 2 }),
  ops.mean(x, { axes = { 2, 3 } }) end)

-- ---- products ----

case("linear", { ROWS }, function(x) return ops.linear(x, c["fc.weight"], c["fc.bias"], { activation = "gelu" }) end)
case("linear_sequence", { SEQUENCE }, function(x) return ops.linear(x, c["wide.weight"], c.gain) end)
case("linear_map", { MAP }, function(x) return ops.linear(ops.max_pool(x, { kernel = { 1 } }), c["fc.weight"],
  c["fc.bias"]) end)
case("matmul", { SEQUENCE, SEQUENCE }, function(a, b)
  local s = ops.matmul(a, b, { transpose_b = true })
  return ops.matmul(ops.softmax(s), b), ops.matmul(a, b, { transpose_a = true })
end)
case("embedding", { IDS }, function(i) return ops.embedding(c["words.weight"], i) end)
case("attention", { SEQUENCE }, function(x) return ops.attention(x, x * 0.5, x + 1, { heads = 2 }) end)
case("attention_causal", { SEQUENCE }, function(x) return ops.attention(x, x, x, { heads = 4, causal = true,
  scale = 0.3 }) end)
case("attention_offset", { SEQUENCE }, function(x) return ops.attention(x, x, x, { heads = 2, causal = true,
  offset = 1 }) end)
case("attention_bias", { SEQUENCE }, function(x)
  local n, length = table.unpack(x:shape())
  return ops.attention(x, x, x, nil, ops.mean(x, { axes = { 3 } }):reshape { n, 1, 1, length }, { heads = 2 })
end)
case("attention_lengths", { SEQUENCE, { ids = { "N" }, least = 1 } }, function(x, n) return ops.attention(x, x, x, n,
  { heads = 2 }) end)
case("attention_context", { SEQUENCE, { "N", 6, 8 }, { ids = { "N" }, least = 1 } }, function(x, y,
  n) return ops.attention(x, y, y, n, { heads = 2 }) end)

-- ---- along dimensions ----

case("reductions", { MAP }, function(x)
  local y = conv(x)
  return ops.sum(y, { axes = { 4 } }), ops.mean(y, { axes = { 2, -1 }, keep = true }), ops.amax(y, { axes = { 2,
    3 } }), ops.amin(y, { axes = { 3 } }),
    ops.prod(x, { axes = { -1 }, keep = true }), x * ops.mean(y)
end)
case("softmaxes", { MAP }, function(x) return ops.softmax(conv(x)), ops.log_softmax(x, { axis = 2 }) end)
case("places", { MAP }, function(x)
  return ops.cast(ops.argmax(conv(x)), { dtype = "float32" }), ops.cast(ops.argmin(x, { axis = 3, keep = true }),
    { dtype = "float32" })
end)
case("cumsum", { MAP }, function(x) return ops.cumsum(conv(x), { axis = 3 }), ops.cumsum(x, { axis = -1,
  exclusive = true, reverse = true }) end)
case("topk", { MAP }, function(x)
  local y, i = ops.topk(conv(x), { k = 2 })
  return y, ops.cast(i, { dtype = "float32" }), (ops.topk(x, { k = 3, axis = 2, largest = false }))
end)
case("layer_norm", { SEQUENCE }, function(x) return ops.layer_norm(x, c["eight.weight"],
  c["eight.bias"]) + ops.layer_norm(x, nil, nil, { eps = 0.1 }) end)
case("group_norm", { MAP }, function(x)
  local y = ops.group_norm(conv(x), nil, nil, { groups = 3, slope = 0.1 })
  return ops.group_norm(x, c["norm.weight"], c["norm.bias"], { eps = 0.1 }), y,
    ops.group_norm(x, c["norm.weight"], c["norm.bias"], { groups = 2, slope = 0 })
end)
case("layer_norm_map", { MAP }, function(x)
  local y = ops.layer_norm(ops.max_pool(x, { kernel = { 1 } }), c["norm.weight"], c["norm.bias"])
  return conv(x + y)
end)

-- ---- what moves ----

case("flatten", { MAP }, function(x) return conv(x):permute(1, 4, 2, 3):reshape(-1, 6 * 6 * 7) end)
case("flatten_ours", { MAP }, function(x) return conv(x):reshape(-1, 6 * 7 * 6) end)
case("tokens", { MAP }, function(x)
  local n = x:shape(1)
  local y = ops.layer_norm(x:reshape(n, 42, 4), c["norm.weight"], c["norm.bias"])
  return ops.concat(ops.expand(ops.slice(c.token, { axis = 3, start = 0, length = 4 }), { shape = { n, 1, 4 } }), y,
    { axis = 2 })
end)
case("shuffle", { MAP }, function(x)
  local n = x:shape(1)
  local y = conv(x):reshape(n, 6, 7, 2, 3):permute(1, 2, 3, 5, 4):reshape(n, 6, 7, 6)
  return conv(ops.slice(y, { axis = 4, start = 1, length = 4 }))
end)
case("patches", { MAP }, function(x)
  local n = x:shape(1)
  return conv(x):reshape(n, 42, 6), conv(x):reshape(n * 6, 7, 6):reshape(n, 6, 7, 6), conv(x):reshape(n, 3, 2, 7, 6),
    conv(x):reshape(n, 6, 42)
end)
case("open_patches", { { "N", "H", "W", 4 } }, function(x)
  local n = x:shape(1)
  return conv(x):reshape(n, -1, 6), conv(x):reshape(n, x:shape(2), -1, 2, 3)
end)
case("squeeze", { MAP }, function(x)
  local y = ops.mean(conv(x), { axes = { 2, 3 } })
  return x * ops.slice(y, { axis = -1, start = 1, length = 4 }):reshape(-1, 1, 1, 4), y:reshape(-1, 6, 1)
end)
case("heads", { SEQUENCE }, function(x)
  local n, t = x:shape(1), x:shape(2)
  local y = x:reshape(n, t, 2, 4):permute(1, 3, 2, 4)
  return y:permute(1, 3, 2, 4):reshape(n, t, 8) + x, y
end)
case("slices", { MAP }, function(x)
  local y = conv(x)
  return ops.slice(y, { axis = 4, start = 2, length = 3 }), ops.slice(x, { axis = 2, start = 4 }), ops.slice(x,
    { axis = 3, start = 0, length = 2 })
end)
case("slice_open", { SEQUENCE }, function(x) return ops.slice(x, { axis = 2, start = 1 }) end)
case("concat", { MAP }, function(x) return ops.concat(conv(x), x), ops.concat(x, x * 2, { axis = 2 }) end)
case("pads", { MAP }, function(x)
  return ops.pad(conv(x), { before = { 0, 1, 0, 2 }, after = { 0, 2, 1, 0 }, value = 0.5 }),
    ops.pad(x, { before = { 0, 2, 1, 0 }, after = { 0, 1, 3, 0 }, mode = "reflect" }), ops.pad(x, { before = { 0, 1,
      0, 0 }, after = { 0, 0, 2, 0 }, mode = "replicate" })
end)
case("gather", { MAP }, function(x) return ops.gather(x, ops.argmax(x, { keep = true }), { axis = 4 }) end)
case("scatter", { MAP, MAP }, function(x, u)
  return ops.scatter(x, ops.argmax(u, { axis = 4, keep = true }), ops.slice(u, { axis = 4, start = 0, length = 1 }),
    { axis = 4 })
end)
case("scatter_add", { ROWS, ROWS }, function(x, u)
  return ops.scatter(x, ops.argmax(u, { keep = true }), ops.slice(u, { axis = 2, start = 1, length = 1 }), { axis = 2,
    reduce = "add" })
end, 16)
case("lstm", { SEQUENCE, { ids = { "N" }, least = 1 } }, function(x, n)
  local y, h, cell = ops.lstm(x, c["rnn.x4"], c["rnn.h4"], c["rnn.bx4"], c["rnn.bh4"], nil, nil, n)
  local z, last = ops.lstm(y, c["rnn.x4b"], c["rnn.h4"], nil, c["rnn.bh4"], h, cell, { reverse = true })
  return y, z, last, cell
end)
case("gru", { SEQUENCE }, function(x)
  local y, h = ops.gru(x, c["rnn.x3"], c["rnn.h3"], c["rnn.bx3"])
  return y, (ops.gru(x, c["rnn.x3"], c["rnn.h3"], c["rnn.bx3"], c["rnn.bx3"], h, { reverse = true }))
end)
case("rnn", { SEQUENCE }, function(x)
  return (ops.rnn(x, c["rnn.x1"], c["rnn.h1"])), (ops.rnn(x, c["rnn.x1"], c["rnn.h1"], { activation = "relu",
    reverse = true }))
end)
-- Waves that are shorter than what is added to them, so that they are mirrored more than once.
local WAVE, LENGTHS = { "N", "T" }, { ids = { "N" }, least = 1 }
case("stft", { WAVE, LENGTHS }, function(x, n)
  local w = c["sound.window"]
  return ops.stft(x, w, { hop = 5, pad = { 4 }, pad_mode = "reflect", preemphasis = 0.9 }),
    ops.stft(x, w, n, { n_fft = 17, hop = 4, pad = { 13, 9 }, pad_mode = "reflect", remove_mean = true, power = 2 }),
    ops.stft(x, w, n, { n_fft = 16, hop = 3, pad = { 5, 16 }, pad_mode = "symmetric", preemphasis = 0.5, power = 1 }),
    ops.stft(x, w, n, { hop = 3, pad = { 6 }, power = 2 }),
    ops.stft(x, w, { hop = 3, pad = { 9, 4 }, pad_mode = "symmetric", power = 1, remove_mean = true,
      preemphasis = 0.7 })
end)
case("mel_spectrogram", { WAVE, LENGTHS }, function(x, n)
  local w, b = c["sound.window"], c["sound.bank"]
  return ops.mel_spectrogram(x, w, b, { n_fft = 16, hop = 5, pad = { 12 }, pad_mode = "replicate", log = "db" }),
    ops.mel_spectrogram(x, w, b, n, { n_fft = 16, pad = { 7, 9 }, pad_mode = "replicate", power = 1, floor = 0.2,
      log = "log10" }),
    ops.mel_spectrogram(x, w, b, n, { n_fft = 16, hop = 2, pad = { 8 }, log = "log", floor = 0, offset = 0.1 }),
    ops.mel_spectrogram(x, w, b, n, { n_fft = 16, hop = 20, pad = { 8 }, log = "none" })
end)
-- Clips of one frame have slopes of nothing, to which no difference is relative.
case("deltas", { SEQUENCE, { ids = { "N" }, least = 2 } }, function(x, n)
  return ops.deltas(x, { reach = 2 }), ops.deltas(x, n, { reach = 3 })
end)
case("dropout", { ROWS }, function(x) return ops.dropout(x, { p = 0.3 }) * 2 end)
case("twice", { ROWS }, function(x)
  local y = x * 2
  return y, y
end)

-- ---- using them ----

-- The calls of a case, as core.plan_calls has them.
function cases.trace(each)
  local inputs, names = {}, {}
  for i, of in ipairs(each.inputs) do
    inputs[i] = { table.unpack(of.ids or of) }
    inputs[i].name, inputs[i].dtype = "in" .. i, of.ids and "int32" or "float32"
  end
  for i = 1, 8 do names[i] = "out" .. i end
  local text, why = core.plan_text(function(...)
    local guard <close> = core.no_grad()
    return each.f(...)
  end, inputs, { T = 5, H = 10, W = 12 }, c, names)
  if not text then error(("%s: %s"):format(each.name, why), 0) end
  return core.plan_calls(text), text
end

-- Inputs of that many pictures, of sequences of that length.
function cases.inputs(each, n, length)
  local list, sizes = {}, { N = n, T = length, H = 8, W = 14 }
  for i, of in ipairs(each.inputs) do
    local dims = {}
    for k, d in ipairs(of.ids or of) do dims[k] = sizes[d] or d end
    list[i] = of.ids and core.rand(table.unpack(dims)) or core.randn(table.unpack(dims))
    if of.ids then
      local least = of.least or 0
      list[i] = ops.floor(list[i] * ((of.below or 5) - 0.01 - least) + least):to "int32"
    end
  end
  return list
end

-- In the order of dimensions that the file has: maps channels first.
function cases.outer(t)
  if t:rank() < 4 or t:dtype() ~= "float32" then return t end
  return t:rank() == 4 and t:permute(1, 4, 2, 3) or t:permute(1, 5, 2, 3, 4)
end

return cases
