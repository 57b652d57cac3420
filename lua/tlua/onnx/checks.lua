-- checks.lua - what a node must have before its handler sees it: as many inputs as the operator cannot do without and
-- no more than it has, attributes that it has, and of the kind that all operators mean by these names.
local util = require "tlua.util"
local signatures = require "tlua.onnx.signatures"
local checks = {}

-- Inputs that must be there; one where nothing is said.
local LEAST = { Constant = 0, Add = 2, Sub = 2, Mul = 2, Div = 2, Mod = 2, Pow = 2, And = 2, Or = 2, Xor = 2, Equal = 2,
  Greater = 2, Less = 2, GreaterOrEqual = 2, LessOrEqual = 2, BitShift = 2, BitwiseAnd = 2, BitwiseOr = 2,
  BitwiseXor = 2, Where = 3, PRelu = 2, CastLike = 2, Conv = 2, ConvTranspose = 2, ConvInteger = 2, MatMul = 2,
  MatMulInteger = 2, Gemm = 2, BatchNormalization = 5, InstanceNormalization = 3, GroupNormalization = 3,
  LayerNormalization = 2, RMSNormalization = 2, SimplifiedLayerNormalization = 2, Gather = 2, GatherElements = 2,
  GatherND = 2, Scatter = 3, ScatterElements = 3, ScatterND = 3, ReverseSequence = 2, Expand = 2, CumSum = 2,
  Compress = 2, OneHot = 3, Range = 3, QuantizeLinear = 2, DequantizeLinear = 2, QLinearConv = 8, QLinearMatMul = 8,
  NonMaxSuppression = 2, MelWeightMatrix = 5, STFT = 2, NegativeLogLikelihoodLoss = 2, SoftmaxCrossEntropyLoss = 2,
  Loop = 0, LSTM = 3, GRU = 3, RNN = 3, GridSample = 2, RoiAlign = 3, Attention = 3 }

-- From the opset on that made attributes inputs.
local SINCE = { Reshape = { 5, 2 }, Tile = { 6, 2 }, Slice = { 10, 3 }, TopK = { 10, 2 }, Pad = { 11, 2 },
  Unsqueeze = { 13, 2 }, Resize = { 10, 2 } }

local WHOLE = { axis = true, group = true, keepdims = true, blocksize = true, batch_axis = true, time_axis = true,
  k = true, p = true, size = true, exclusive = true, reverse = true, transA = true, transB = true, ceil_mode = true,
  count_include_pad = true, num_groups = true, num_outputs = true, upper = true, hidden_size = true, batch_dims = true,
  allowzero = true, select_last_index = true, largest = true, sorted = true, onesided = true, inverse = true,
  ignore_index = true, num_scan_inputs = true, center_point_box = true, fmod = true, noop_with_empty_axes = true,
  layout = true, linear_before_reset = true, align_corners = true, start = true, ["end"] = true, output_datatype = true,
  periodic = true, storage_order = true, exclude_outside = true, antialias = true, detect_negative = true,
  detect_positive = true, output_dtype = true, dtype = true, training_mode = true, is_test = true, spatial = true,
  input_forget = true, block_size = true, is_causal = true, q_num_heads = true, kv_num_heads = true }
local LISTS = { axes = true, perm = true, pads = true, paddings = true, kernel_shape = true, strides = true,
  dilations = true, output_padding = true, output_shape = true, starts = true, ends = true, steps = true, split = true,
  shape = true, scan_input_axes = true, scan_output_axes = true }
local TEXTS = { mode = true, auto_pad = true, equation = true, coordinate_transformation_mode = true,
  nearest_mode = true, reduction = true, direction = true, approximate = true, padding_mode = true,
  keep_aspect_ratio_policy = true }
local NUMBERS = { alpha = true, beta = true, gamma = true, epsilon = true, momentum = true, ratio = true, lambd = true,
  scale = true, cubic_coeff_a = true, extrapolation_value = true, min = true, max = true,
  bias = true, clip = true, softcap = true }
local GRAPHS = { body = true, then_branch = true, else_branch = true }
local NEEDED = { MaxPool = { "kernel_shape" }, AveragePool = { "kernel_shape" }, LpPool = { "kernel_shape" },
  Einsum = { "equation" }, Loop = { "body" }, Scan = { "body", "num_scan_inputs" },
  If = { "then_branch", "else_branch" }, DepthToSpace = { "blocksize" }, SpaceToDepth = { "blocksize" },
  LRN = { "size" }, GroupNormalization = { "num_groups" }, Cast = { "to" } }

local function list_of_whole(v)
  if type(v) ~= "table" then return false end
  for _, each in ipairs(v) do
    if math.type(each) ~= "integer" then return false end
  end
  return v.nodes == nil
end

local function attribute(key, v)
  local wrong = WHOLE[key] and math.type(v) ~= "integer" and "a whole number"
    or LISTS[key] and not list_of_whole(v) and "a list of whole numbers"
    or TEXTS[key] and type(v) ~= "string" and "a text" or NUMBERS[key] and type(v) ~= "number" and "a number"
    or GRAPHS[key] and not (type(v) == "table" and v.nodes) and "a graph"
  if wrong then util.failf("its attribute '%s' is not %s", key, wrong) end
  local rank = { kernel_shape = 8, strides = 8, dilations = 8, pads = 16, axes = 8, perm = 8 }
  if rank[key] and #v > rank[key] then util.failf("its attribute '%s' has %d numbers", key, #v) end
  for _, each in ipairs(LISTS[key] and v or {}) do
    local positive = key == "kernel_shape" or key == "strides" or key == "dilations"
    if positive and (each < 1 or each > 1 << 24) then util.failf("its attribute '%s' has a %d in it", key, each) end
    if key == "pads" and math.abs(each) > 1 << 24 then util.failf("its attribute 'pads' has a %d in it", each) end
  end
  if (key == "group" or key == "blocksize" or key == "num_groups") and v < 1 then
    util.failf("its attribute '%s' is %d", key, v)
  end
end

local WINDOWS = { Conv = true, ConvTranspose = true, ConvInteger = true, MaxPool = true, AveragePool = true,
  LpPool = true }

-- What says something of each axis of space says it of all, and the kernel has the shape of the weight.
local function window(node, x)
  local n, a = #x[1].dims - 2, node.attrs
  if n < 1 then return end
  for key, many in pairs { strides = n, dilations = n, pads = 2 * n, output_padding = n } do
    if a[key] and #a[key] > 0 and #a[key] ~= many then
      util.failf("its attribute '%s' has %d numbers, and %s wants %d", key, #a[key], util.shape_text(x[1].dims), many)
    end
  end
  local weight = node.op:find "^Conv" and x[2]
  if not weight then return end
  if #weight.dims ~= n + 2 then
    util.failf("its weight is %s, and its input %s", util.shape_text(weight.dims), util.shape_text(x[1].dims))
  end
  for i, k in ipairs(a.kernel_shape or {}) do
    if weight.dims[i + 2] ~= k then
      util.failf("its attribute 'kernel_shape' says %d where the weight is %s", k, util.shape_text(weight.dims))
    end
  end
end

-- What no handler would look at is refused.
local function surplus(node, x)
  local op = node.domain == "" and node.op or node.domain .. ":" .. node.op
  local most, known = signatures.INPUTS[op] or 1, signatures.ATTRIBUTES[op] or {}
  if type(most) == "table" then
    local now, since = most[1], 1
    for version, n in pairs(most) do
      if version >= since and version <= node.version then now, since = n, version end
    end
    most = now
  end
  for i = x.n, 1, -1 do
    if x[i] and i > most then util.failf("it has %d inputs, and the operator has %d", i, most) end
  end
  for key in pairs(node.attrs) do
    local before = known[key]
    if not before then util.failf("its attribute '%s' is not known", util.shown(key, 60)) end
    if node.version >= before then util.failf("its attribute '%s' ended with opset %d", key, before) end
  end
end

-- Raises an error where the node lacks something, or has what it should not.
function checks.node(node, x)
  if node.domain == "tlua" then return end
  local least, since = LEAST[node.op] or 1, SINCE[node.op]
  if since and node.version >= since[1] then least = since[2] end
  if node.op == "Resize" and node.version >= 11 then least = 1 end
  for i = 1, least do
    if not x[i] then util.failf("its input %d is missing", i) end
  end
  surplus(node, x)
  for key, v in pairs(node.attrs) do attribute(key, v) end
  for _, key in ipairs(NEEDED[node.op] or {}) do
    if node.attrs[key] == nil then util.failf("its attribute '%s' is missing", key) end
  end
  local kernel = node.attrs.kernel_shape
  if kernel and x[1] and #kernel ~= #x[1].dims - 2 then
    util.failf("its attribute 'kernel_shape' has %d numbers, and %s has %d", #kernel, util.shape_text(x[1].dims),
      #x[1].dims - 2)
  end
  if WINDOWS[node.op] and x[1] then window(node, x) end
end

return checks
