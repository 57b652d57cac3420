-- signatures.lua - how many inputs each ONNX operator has at most, and which attributes: those of its handler
-- (tlua.onnx.ops). What does not stand here is refused by name (checks.lua), so that nothing in a file is passed over
-- in silence. An attribute that stands here is honoured or refused by the handler, but for these, which change nothing:
--   consumed_inputs                       where memory may be shared
--   stash_type, precision                 the type of numbers in between: float32 here
--   qk_matmul_output_mode, softmax_precision   of an output that is refused; float32 here
--   saturate, round_mode                  of float8, which is refused
--   seed                                  a dropout of a file never draws
--   activation_alpha, activation_beta     of activations that are refused
--   output_sequence                       outputs are made when they are named
local signatures = {}

-- One, where nothing is said; { 1, [11] = 3 }: three from opset 11 on.
signatures.INPUTS = {
  Add = 2, And = 2, Attention = 6, BatchNormalization = 5, BitShift = 2, BitwiseAnd = 2, BitwiseOr = 2, BitwiseXor = 2,
  CastLike = 2, Clip = { 1, [11] = 3 }, Compress = 2, Concat = math.huge, Constant = 0, Conv = 3, ConvInteger = 4,
  ConvTranspose = 3, CumSum = 2, DFT = { 2, [20] = 3 }, DequantizeLinear = 3, Div = 2, Dropout = { 1, [12] = 3 },
  Einsum = math.huge, Equal = 2, Expand = 2, GRU = 6, Gather = 2, GatherElements = 2, GatherND = 2, Gemm = 3,
  Greater = 2, GreaterOrEqual = 2, GridSample = 2, GroupNormalization = 3, InstanceNormalization = 3, LSTM = 8,
  LayerNormalization = 3, Less = 2, LessOrEqual = 2, Loop = math.huge, MatMul = 2, MatMulInteger = 4,
  Max = math.huge, MaxUnpool = 3, Mean = math.huge, MelWeightMatrix = 5, Min = math.huge, Mod = 2, Mul = 2,
  NegativeLogLikelihoodLoss = 3, NonMaxSuppression = 5, OneHot = 3, Or = 2, PRelu = 2,
  Pad = { 1, [11] = 3, [18] = 4 }, Pow = 2, QLinearConv = 9, QLinearMatMul = 8, QuantizeLinear = 3,
  RMSNormalization = 2, RNN = 6, Range = 3, ReduceL1 = { 1, [18] = 2 }, ReduceL2 = { 1, [18] = 2 },
  ReduceLogSum = { 1, [18] = 2 }, ReduceLogSumExp = { 1, [18] = 2 }, ReduceMax = { 1, [18] = 2 },
  ReduceMean = { 1, [18] = 2 }, ReduceMin = { 1, [18] = 2 }, ReduceProd = { 1, [18] = 2 },
  ReduceSum = { 1, [13] = 2 }, ReduceSumSquare = { 1, [18] = 2 }, Reshape = { 1, [5] = 2 },
  Resize = { 2, [11] = 4 }, ReverseSequence = 2, RoiAlign = 3, STFT = 4, Scan = math.huge, Scatter = 3,
  ScatterElements = 3, ScatterND = 3, SimplifiedLayerNormalization = 2, Slice = { 1, [10] = 5 },
  SoftmaxCrossEntropyLoss = 3, Split = { 2, [2] = 1, [13] = 2 }, Squeeze = { 1, [13] = 2 }, Sub = 2,
  Sum = math.huge, Tile = { 3, [6] = 2 }, TopK = { 1, [10] = 2 }, Trilu = 2, Unsqueeze = { 1, [13] = 2 },
  Upsample = { 1, [9] = 2 }, Where = 3, Xor = 2, ["com.microsoft:DequantizeLinear"] = 3,
  ["com.microsoft:FastGelu"] = 2, ["com.microsoft:FusedMatMul"] = 2, ["com.microsoft:QuantizeLinear"] = 3,
  ["com.microsoft:SimplifiedLayerNormalization"] = 2 }

-- By the operators that have the same; axis<7: before opset 7, and looked at no longer.
local SAME = {
  ["Abs Ceil Exp Floor Log Max Mean Min Neg PRelu Reciprocal Relu Sigmoid Sqrt Sum Tanh"] = "consumed_inputs<6",
  ["Add Div Mul Sub"] = "axis<7 broadcast<7 consumed_inputs<6",
  ["And Equal Greater Less Or Pow Xor"] = "axis<7 broadcast<7",
  ["ArgMax ArgMin"] = "axis keepdims select_last_index",
  ["AveragePool"] = "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides",
  ["Attention"] = "is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap softmax_precision",
  ["BatchNormalization"] = "consumed_inputs<6 epsilon is_test<7 momentum spatial<9 training_mode",
  ["BitShift"] = "direction",
  ["BlackmanWindow HammingWindow HannWindow"] = "output_datatype periodic",
  ["Cast"] = "round_mode saturate to",
  ["CastLike"] = "round_mode saturate",
  ["Celu Swish ThresholdedRelu com.microsoft:QuickGelu"] = "alpha",
  ["Clip"] = "consumed_inputs<6 max<11 min<11",
  ["Compress Concat Flatten Gather GatherElements Hardmax LogSoftmax OneHot Scatter Softmax "
    .. "com.microsoft:DequantizeLinear com.microsoft:QuantizeLinear"] =
    "axis",
  ["Constant"] = "sparse_value value value_float value_floats value_int value_ints value_string value_strings",
  ["ConstantOfShape"] = "value",
  ["Conv ConvInteger QLinearConv"] = "auto_pad dilations group kernel_shape pads strides",
  ["ConvTranspose"] = "auto_pad dilations group kernel_shape output_padding output_shape pads strides",
  ["CumSum"] = "exclusive reverse",
  ["DFT"] = "axis inverse onesided",
  ["DepthToSpace"] = "blocksize mode",
  ["DequantizeLinear"] = "axis block_size output_dtype",
  ["Dropout"] = "consumed_inputs<6 is_test<7 ratio seed",
  ["Einsum"] = "equation",
  ["Elu LeakyRelu"] = "alpha consumed_inputs<6",
  ["EyeLike"] = "dtype k",
  ["GRU"] =
    "activation_alpha activation_beta activations clip direction hidden_size layout linear_before_reset "
      .. "output_sequence<7",
  ["GatherND"] = "batch_dims",
  ["Gelu"] = "approximate",
  ["Gemm"] = "alpha beta broadcast<7 transA transB",
  ["GlobalLpPool"] = "p",
  ["GridSample"] = "align_corners mode padding_mode",
  ["GroupNormalization"] = "epsilon num_groups stash_type",
  ["HardSigmoid"] = "alpha beta consumed_inputs<6",
  ["If"] = "else_branch then_branch",
  ["InstanceNormalization"] = "consumed_inputs<6 epsilon",
  ["IsInf"] = "detect_negative detect_positive",
  ["LRN"] = "alpha beta bias size",
  ["LSTM"] =
    "activation_alpha activation_beta activations clip direction hidden_size input_forget layout output_sequence<7",
  ["LayerNormalization RMSNormalization SimplifiedLayerNormalization "
    .. "com.microsoft:SimplifiedLayerNormalization"] =
    "axis epsilon stash_type",
  ["Loop"] = "body",
  ["LpPool"] = "auto_pad ceil_mode dilations kernel_shape p pads strides",
  ["MaxPool"] = "auto_pad ceil_mode dilations kernel_shape pads storage_order strides",
  ["MaxUnpool"] = "kernel_shape pads strides",
  ["MeanVarianceNormalization"] = "axes",
  ["MelWeightMatrix"] = "output_datatype",
  ["Mod"] = "fmod",
  ["NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss"] = "ignore_index reduction",
  ["NonMaxSuppression"] = "center_point_box",
  ["Pad"] = "mode paddings<2 pads<11 value<11",
  ["QuantizeLinear"] = "axis block_size output_dtype precision saturate",
  ["RNN"] = "activation_alpha activation_beta activations clip direction hidden_size layout output_sequence<7",
  ["ReduceSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    .. "ReduceSumSquare"] =
    "axes keepdims noop_with_empty_axes",
  ["Reshape"] = "allowzero consumed_inputs<5 shape<5",
  ["Resize"] =
    "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value "
      .. "keep_aspect_ratio_policy mode nearest_mode",
  ["ReverseSequence"] = "batch_axis time_axis",
  ["RoiAlign"] = "coordinate_transformation_mode mode output_height output_width sampling_ratio spatial_scale",
  ["STFT"] = "onesided",
  ["Scan"] =
    "body directions<9 num_scan_inputs scan_input_axes scan_input_directions scan_output_axes scan_output_directions",
  ["ScatterElements"] = "axis reduction",
  ["ScatterND"] = "reduction",
  ["Selu"] = "alpha consumed_inputs<6 gamma",
  ["Shape"] = "end start",
  ["Shrink"] = "bias lambd",
  ["Slice"] = "axes<10 ends<10 starts<10",
  ["SpaceToDepth"] = "blocksize",
  ["Split"] = "axis num_outputs split",
  ["Squeeze Unsqueeze"] = "axes",
  ["TopK"] = "axis k<10 largest sorted",
  ["Transpose"] = "perm",
  ["Trilu"] = "upper",
  ["Unique"] = "axis sorted",
  ["Upsample"] = "height_scale<7 mode scales<9 width_scale<7",
  ["com.microsoft:FusedMatMul"] = "alpha transA transB",
}

signatures.ATTRIBUTES = {} -- operator -> {attribute = the opset that no longer has it, or math.huge}
for operators, text in pairs(SAME) do
  for operator in operators:gmatch "%S+" do
    local set = {}
    for name, before in text:gmatch "([%w_]+)<?(%d*)" do set[name] = tonumber(before) or math.huge end
    signatures.ATTRIBUTES[operator] = set
  end
end

return signatures
