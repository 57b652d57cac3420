-- known.lua - which operators the writing of ONNX files was made for: how many inputs they have, their attributes,
-- and of those with choices the choices. What came to an operator later is refused where it is used, until its writer
-- knows it: left out, it would make a file that says something else.
local core = require "tlua.core"
local known = {
  abs = "1",
  acos = "1",
  acosh = "1",
  add = "2",
  add_scalar = "1 value",
  amax = "1 axes keep",
  amin = "1 axes keep",
  argmax = "1 axis keep",
  argmin = "1 axis keep",
  asin = "1",
  asinh = "1",
  atan = "1",
  atanh = "1",
  attention = "5 heads causal scale dropout training offset",
  avg_pool = "1 kernel stride padding padding_end ceil_mode count_include_pad dilation",
  batch_norm = "6 training momentum eps activation=none|relu|relu6|silu|hardswish",
  cast = "1 dtype=float32|int32",
  ceil = "1",
  celu = "1 alpha",
  clamp = "1 min max",
  concat = "1 axis",
  conv = "4 stride padding padding_end dilation groups activation=none|relu|relu6|silu|hardswish|gelu",
  conv_transpose = "3 stride padding output_padding dilation groups padding_end",
  cos = "1",
  cosh = "1",
  cumsum = "1 axis exclusive reverse",
  deltas = "2 reach",
  div = "2",
  dropout = "1 p training",
  elu = "1 alpha",
  embedding = "2",
  eq = "2",
  erf = "1",
  exp = "1",
  expand = "1 shape",
  expm1 = "1",
  floor = "1",
  fmod = "2",
  gather = "2 axis",
  ge = "2",
  gelu = "1",
  gelu_tanh = "1",
  grid_sample = "2 mode=linear|nearest|cubic padding=zeros|border|reflection align_corners",
  gru = "7 reverse",
  gt = "2",
  hardsigmoid = "1",
  hardswish = "1",
  interpolate = "1 size scale mode=nearest|linear|cubic align_corners"
    .. " coordinates=usual|half_pixel|half_pixel_symmetric|pytorch_half_pixel|align_corners|asymmetric|"
    .. "tf_half_pixel_for_nn rounding=floor|ceil|round_prefer_floor|round_prefer_ceil factors cubic_a"
    .. " exclude_outside",
  isinf = "1",
  isnan = "1",
  group_norm = "3 groups eps slope",
  layer_norm = "3 eps",
  le = "2",
  leaky_relu = "1 slope",
  linear = "4 activation=none|relu|relu6|silu|hardswish|gelu",
  log = "1",
  log1p = "1",
  log_softmax = "1 axis",
  lstm = "8 reverse",
  lt = "2",
  matmul = "2 transpose_a transpose_b",
  max_pool = "1 kernel stride padding padding_end ceil_mode dilation",
  max_pool_places = "1 kernel stride padding padding_end ceil_mode dilation",
  maximum = "2",
  mean = "1 axes keep",
  mel_spectrogram = "4 n_fft hop pad pad_mode=constant|reflect|replicate|symmetric remove_mean preemphasis power"
    .. " log=none|log|log10|db floor offset",
  minimum = "2",
  mish = "1",
  mod = "2",
  mul = "2",
  mul_scalar = "1 value",
  ne = "2",
  neg = "1",
  pad = "1 before after mode=constant|reflect|replicate value",
  permute = "1 axes",
  pow = "2",
  pow_scalar = "1 value",
  prod = "1 axes keep",
  range = "0 start count step",
  rdiv_scalar = "1 value",
  reciprocal = "1",
  relu = "1",
  relu6 = "1",
  reshape = "1 shape",
  rnn = "7 reverse activation=tanh|relu",
  roi_align = "3 size scale points aligned",
  round = "1",
  rsqrt = "1",
  rsub_scalar = "1 value",
  scatter = "3 axis reduce=none|add|mul|max|min",
  selu = "1",
  shrink = "1 lambd bias",
  sigmoid = "1",
  sign = "1",
  silu = "1",
  sin = "1",
  sinh = "1",
  slice = "1 axis start length",
  softmax = "1 axis",
  softplus = "1",
  softsign = "1",
  sqrt = "1",
  square = "1",
  stft = "3 n_fft hop pad pad_mode=constant|reflect|replicate|symmetric remove_mean preemphasis power",
  sub = "2",
  sum = "1 axes keep",
  tan = "1",
  tanh = "1",
  threshold = "1 threshold value",
  topk = "1 k axis largest",
  where = "3",
}

local function parse(text)
  local inputs, out = text:match "^%d+", {}
  for word in text:gmatch "%a[%w_=|]*" do
    local name, choices = word:match "^([%w_]+)=?(.*)$"
    out[name] = {}
    for choice in choices:gmatch "[%w_]+" do out[name][choice] = true end
  end
  return math.tointeger(inputs), out
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then return false end
  end
  return true
end

local defaults
local function default_of(op, attr)
  if not defaults then
    defaults = {}
    for _, each in ipairs(core.op_list()) do
      local list = {}
      for _, a in ipairs(each.attrs) do list[a.name] = a.default end
      defaults[each.name] = list
    end
  end
  local text = (defaults[op] or {})[attr]
  if text == nil then return nil end
  local number = tonumber(text)
  if number then return number end
  if text == "{}" then return {} end
  if text == "true" or text == "false" then return text == "true" end
  return text:match '^"(.*)"$' or text
end

-- What of a call the writer does not know: a text, or nil.
return function(c)
  local text = known[c.op]
  if not text then return "not known yet" end
  local inputs, attrs = parse(text)
  for k = inputs + 1, #c.inputs do
    if c.inputs[k] and c.op ~= "concat" then return ("its input %d"):format(k) end
  end
  for name, v in pairs(c.attrs) do
    local choices = attrs[name]
    if not choices and not same(v, default_of(c.op, name)) then return name end
    if choices and next(choices) and not choices[v] then return ("%s %s"):format(name, v) end
  end
end
