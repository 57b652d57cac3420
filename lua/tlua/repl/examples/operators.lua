-- operators.lua - an example for each operator: lua/tlua/repl/examples/init.lua says the form.
return [==[
# neg
tlua.tensor { 1, -2 }:neg()  --> tensor (2) float32 -1 2
-tlua.tensor { 1, -2 }  --> tensor (2) float32 -1 2
# exp
tlua.tensor { 0, 1 }:exp()  --> tensor (2) float32 1.0000 2.7183
# log
tlua.tensor { 1, 10 }:log()  --> tensor (2) float32 0.0000 2.3026
# sqrt
tlua.tensor { 4, 2 }:sqrt()  --> tensor (2) float32 2.0000 1.4142
# rsqrt
tlua.tensor { 4, 2 }:rsqrt()  --> tensor (2) float32 0.5000 0.7071
# square
tlua.tensor { -3, 2 }:square()  --> tensor (2) float32 9 4
# abs
tlua.tensor { -3, 2 }:abs()  --> tensor (2) float32 3 2
# sin
tlua.tensor { 0, math.pi / 2 }:sin()  --> tensor (2) float32 0 1
# cos
tlua.tensor { 0, math.pi }:cos()  --> tensor (2) float32 1 -1
# tanh
tlua.tensor { 0, 1 }:tanh()  --> tensor (2) float32 0.0000 0.7616
# sigmoid
tlua.tensor { 0, 2 }:sigmoid()  --> tensor (2) float32 0.5000 0.8808
# softplus
tlua.tensor { -1, 0, 1 }:softplus()  --> tensor (3) float32 0.3133 0.6931 1.3133
# relu
tlua.tensor { -1, 2 }:relu()  --> tensor (2) float32 0 2
# relu6
tlua.tensor { -1, 2, 9 }:relu6()  --> tensor (3) float32 0 2 6
# silu
tlua.tensor { -1, 1 }:silu()  --> tensor (2) float32 -0.2689 0.7311
# gelu
tlua.tensor { -1, 1 }:gelu()  --> tensor (2) float32 -0.1587 0.8413
# gelu_tanh
tlua.tensor { -1, 1 }:gelu_tanh()  --> tensor (2) float32 -0.1588 0.8412
# hardsigmoid
tlua.tensor { -4, 0, 1 }:hardsigmoid()  --> tensor (3) float32 0.0000 0.5000 0.6667
# hardswish
tlua.tensor { -4, 1, 4 }:hardswish()  --> tensor (3) float32 -0.0000 0.6667 4.0000
# leaky_relu
tlua.tensor { -1, 2 }:leaky_relu(0.1)  --> tensor (2) float32 -0.1000 2.0000
# erf
tlua.tensor { 0, 1 }:erf()  --> tensor (2) float32 0.0000 0.8427
# expm1
tlua.tensor { 0, 1 }:expm1()  --> tensor (2) float32 0.0000 1.7183
# log1p
tlua.tensor { 0, 1 }:log1p()  --> tensor (2) float32 0.0000 0.6931
# reciprocal
tlua.tensor { 2, 4 }:reciprocal()  --> tensor (2) float32 0.5000 0.2500
# floor
tlua.tensor { -1.5, 1.5 }:floor()  --> tensor (2) float32 -2 1
# ceil
tlua.tensor { -1.5, 1.5 }:ceil()  --> tensor (2) float32 -1 2
# round
tlua.tensor { 0.5, 1.5, 1.7 }:round()  --> tensor (3) float32 0 2 2
# sign
tlua.tensor { -3, 0, 2 }:sign()  --> tensor (3) float32 -1 0 1
# tan
tlua.tensor { 0, math.pi / 4 }:tan()  --> tensor (2) float32 0.0000 1.0000
# asin
tlua.tensor { 0, 1 }:asin()  --> tensor (2) float32 0.0000 1.5708
# acos
tlua.tensor { 1, 0 }:acos()  --> tensor (2) float32 0.0000 1.5708
# atan
tlua.tensor { 0, 1 }:atan()  --> tensor (2) float32 0.0000 0.7854
# sinh
tlua.tensor { 0, 1 }:sinh()  --> tensor (2) float32 0.0000 1.1752
# cosh
tlua.tensor { 0, 1 }:cosh()  --> tensor (2) float32 1.0000 1.5431
# asinh
tlua.tensor { 0, 1 }:asinh()  --> tensor (2) float32 0.0000 0.8814
# acosh
tlua.tensor { 1, 2 }:acosh()  --> tensor (2) float32 0.0000 1.3170
# atanh
tlua.tensor { 0, 0.5 }:atanh()  --> tensor (2) float32 0.0000 0.5493
# elu
tlua.tensor { -1, 2 }:elu(1)  --> tensor (2) float32 -0.6321 2.0000
# selu
tlua.tensor { -1, 1 }:selu()  --> tensor (2) float32 -1.1113 1.0507
# celu
tlua.tensor { -1, 2 }:celu(2)  --> tensor (2) float32 -0.7869 2.0000
# softsign
tlua.tensor { -1, 3 }:softsign()  --> tensor (2) float32 -0.5000 0.7500
# mish
tlua.tensor { -1, 1 }:mish()  --> tensor (2) float32 -0.3034 0.8651
# threshold
tlua.tensor { 0.2, 0.9 }:threshold { threshold = 0.5, value = -1 }  --> tensor (2) float32 -1.0000 0.9000
# shrink
tlua.tensor { -2, 0.3, 2 }:shrink { lambd = 0.5, bias = 0.5 }  --> tensor (3) float32 -1.5000 0.0000 1.5000
# isnan
tlua.tensor { 1, 0 / 0 }:isnan()  --> tensor (2) float32 0 1
# isinf
tlua.tensor { 1, 1 / 0 }:isinf()  --> tensor (2) float32 0 1
# clamp
tlua.tensor { -2, 0.5, 9 }:clamp(0, 1)  --> tensor (3) float32 0.0000 0.5000 1.0000
# add_scalar
tlua.tensor { 1, 2 } + 0.5  --> tensor (2) float32 1.5000 2.5000
# mul_scalar
tlua.tensor { 1, 2 } * 3  --> tensor (2) float32 3 6
# rsub_scalar
1 - tlua.tensor { 0.25, 2 }  --> tensor (2) float32 0.7500 -1.0000
# rdiv_scalar
1 / tlua.tensor { 4, 0.5 }  --> tensor (2) float32 0.2500 2.0000
# pow_scalar
tlua.tensor { 2, 3 } ^ 3  --> tensor (2) float32 8 27
# add
a, b = tlua.tensor { { 1, 2 }, { 3, 4 } }, tlua.tensor { 10, 20 }
a + b  --> tensor (2, 2) float32 11 22 13 24
# sub
tlua.tensor { 5, 6 } - tlua.tensor { 1, 2 }  --> tensor (2) float32 4 4
# mul
tlua.tensor { 5, 6 } * tlua.tensor { 2, 0.5 }  --> tensor (2) float32 10 3
# div
tlua.tensor { 5, 6 } / tlua.tensor { 2, 4 }  --> tensor (2) float32 2.5000 1.5000
# maximum
tlua.maximum(tlua.tensor { 1, 5 }, tlua.tensor { 3, 2 })  --> tensor (2) float32 3 5
# minimum
tlua.minimum(tlua.tensor { 1, 5 }, tlua.tensor { 3, 2 })  --> tensor (2) float32 1 2
# eq
tlua.tensor { 1, 2 }:eq(tlua.tensor { 1, 3 })  --> tensor (2) float32 1 0
# gt
tlua.tensor { 1, 5 }:gt(tlua.tensor { 3, 2 })  --> tensor (2) float32 0 1
# lt
tlua.tensor { 1, 5 }:lt(tlua.tensor { 3, 2 })  --> tensor (2) float32 1 0
# ge
tlua.tensor { 3, 1 }:ge(tlua.tensor { 3, 2 })  --> tensor (2) float32 1 0
# le
tlua.tensor { 3, 5 }:le(tlua.tensor { 3, 2 })  --> tensor (2) float32 1 0
# ne
tlua.tensor { 1, 2 }:ne(tlua.tensor { 1, 3 })  --> tensor (2) float32 0 1
# pow
tlua.tensor { 2, 3 }:pow(tlua.tensor { 3, 2 })  --> tensor (2) float32 8 9
# mod
tlua.tensor { -7, 7 }:mod(tlua.tensor { 3, 3 })  --> tensor (2) float32 2 1
# fmod
tlua.tensor { -7, 7 }:fmod(tlua.tensor { 3, 3 })  --> tensor (2) float32 -1 1
# cast
tlua.tensor { 1.7, -1.7 }:cast "int32"  --> tensor (2) int32 1 -1
# range
tlua.ops.range { start = 2, count = 4, step = 3 }  --> tensor (4) int32 2 5 8 11
# reshape
tlua.arange(6):reshape { 2, 3 }  --> tensor (2, 3) float32 0 1 2 3 4 5
# permute
x = tlua.zeros(2, 3, 4):permute { 3, 1, 2 }
x:shape()  --> { 4, 2, 3 }
# slice
tlua.arange(6):slice { axis = 1, start = 2, length = 3 }  --> tensor (3) float32 2 3 4
# expand
tlua.tensor { { 1 }, { 2 } }:expand { 2, 3 }  --> tensor (2, 3) float32 1 1 1 2 2 2
# where
x = tlua.tensor { -1, 2 }
tlua.where(x:gt(tlua.zeros(2)), x, tlua.full({ 2 }, 7))  --> tensor (2) float32 7 2
# gather
x, index = tlua.tensor { { 1, 2, 3 }, { 4, 5, 6 } }, tlua.tensor({ { 2 }, { 0 } }, { dtype = "int32" })
x:gather(index, { axis = 2 })  --> tensor (2, 1) float32 3 4
# scatter
index = tlua.tensor({ 0, 2 }, { dtype = "int32" })
tlua.zeros(4):scatter(index, tlua.tensor { 5, 6 }, { axis = 1 })  --> tensor (4) float32 5 0 6 0
# pad
tlua.tensor { 1, 2 }:pad { before = { 1 }, after = { 2 } }  --> tensor (5) float32 0 1 2 0 0
# sum
x = tlua.tensor { { 1, 2 }, { 3, 4 } }
x:sum()  --> 10 tensor () float32
x:sum { axes = { 1 } }  --> tensor (2) float32 4 6
# mean
x = tlua.tensor { { 1, 2 }, { 3, 4 } }
x:mean { axes = { 2 }, keep = true }  --> tensor (2, 1) float32 1.5000 3.5000
# amax
tlua.tensor { { 1, 7 }, { 3, 4 } }:amax { axes = { 2 } }  --> tensor (2) float32 7 4
# amin
tlua.tensor { { 1, 7 }, { 3, 4 } }:amin { axes = { 2 } }  --> tensor (2) float32 1 3
# prod
tlua.tensor { { 1, 7 }, { 3, 4 } }:prod { axes = { 2 } }  --> tensor (2) float32 7 12
# cumsum
tlua.tensor { 1, 2, 3 }:cumsum(1)  --> tensor (3) float32 1 3 6
# matmul
a, b = tlua.tensor { { 1, 2 }, { 3, 4 } }, tlua.tensor { { 1, 0 }, { 1, 1 } }
a:matmul(b)  --> tensor (2, 2) float32 3 2 7 4
a:matmul(b, { transpose_b = true })  --> tensor (2, 2) float32 1 3 3 7
# linear
x, weight, bias = tlua.tensor { { 1, 2 } }, tlua.tensor { { 1, 1 }, { 0, -1 } }, tlua.tensor { 10, 0 }
x:linear(weight, bias)  --> tensor (1, 2) float32 13 -2
x:linear(weight, bias, { activation = "relu" })  --> tensor (1, 2) float32 13 0
# softmax
tlua.tensor { 1, 2, 3 }:softmax(1)  --> tensor (3) float32 0.0900 0.2447 0.6652
# log_softmax
tlua.tensor { 1, 2, 3 }:log_softmax(1)  --> tensor (3) float32 -2.4076 -1.4076 -0.4076
# argmax
tlua.tensor { { 1, 7, 3 }, { 9, 4, 2 } }:argmax(-1)  --> tensor (2) int32 1 0
# argmin
tlua.tensor { { 1, 7, 3 }, { 9, 4, 2 } }:argmin(-1)  --> tensor (2) int32 0 2
# topk
values, places = tlua.tensor { 3, 9, 1, 7 }:topk { k = 2, axis = 1 }
values  --> tensor (2) float32 9 7
places  --> tensor (2) int32 1 3
# cross_entropy
logits, labels = tlua.tensor { { 2, 0 }, { 0, 0 } }, tlua.tensor({ 0, 1 }, { dtype = "int32" })
logits:cross_entropy(labels, { reduction = "none" })  --> tensor (2) float32 0.1269 0.6931
# soft_cross_entropy
logits, target = tlua.tensor { { 2, 0 } }, tlua.tensor { { 0.75, 0.25 } }
logits:soft_cross_entropy(target, { reduction = "none" })  --> tensor (1) float32 0.6269
# focal_loss
logits, labels = tlua.tensor { { 2, 0 }, { 0, 0 } }, tlua.tensor({ 0, 1 }, { dtype = "int32" })
logits:focal_loss(labels, { reduction = "none", gamma = 2 })  --> tensor (2) float32 0.0018 0.1733
# ctc_loss
logits, targets = tlua.zeros(1, 4, 3), tlua.tensor({ { 1, 2 } }, { dtype = "int32" })
logits:ctc_loss(targets, { reduction = "none" })  --> tensor (1) float32 1.6864
# mse_loss
tlua.tensor { 1, 3 }:mse_loss(tlua.tensor { 1, 1 })  --> 2 tensor () float32
# smooth_l1_loss
tlua.tensor { 1, 3 }:smooth_l1_loss(tlua.tensor { 1, 1 }, { beta = 1 })  --> 0.75 tensor () float32
# bce_with_logits
x, target = tlua.tensor { 0, 2 }, tlua.tensor { 1, 0 }
x:bce_with_logits(target, { reduction = "none" })  --> tensor (2) float32 0.6931 2.1269
# sigmoid_focal_loss
x, target = tlua.tensor { 0, 2 }, tlua.tensor { 1, 0 }
x:sigmoid_focal_loss(target, { reduction = "none" })  --> tensor (2) float32 0.0433 1.2376
# conv
x = tlua.ones(1, 5, 5, 1)           -- (N, H, W, C)
weight = tlua.ones(1, 1, 3, 3)      -- (out, in / groups, h, w)
x:conv(weight, { stride = { 2, 2 } }):reshape { 2, 2 }  --> tensor (2, 2) float32 9 9 9 9
# conv_transpose
x, weight = tlua.ones(1, 2, 2, 1), tlua.ones(1, 1, 2, 2)       -- weight (in, out / groups, h, w)
x:conv_transpose(weight, { stride = { 2, 2 } }):shape()  --> { 1, 4, 4, 1 }
# interpolate
x = tlua.tensor { { { 0 }, { 1 } } }       -- (N, L, C)
x:interpolate { size = { 4 }, mode = "linear" }:reshape { 4 }  --> tensor (4) float32 0.0000 0.2500 0.7500 1.0000
# grid_sample
x = tlua.tensor { { { { 1 }, { 3 } } } }   -- (1, 1, 2, 1)
grid = tlua.tensor { { { { 0, 0 } } } }    -- the middle, as (x, y) from -1 to 1
x:grid_sample(grid)  --> tensor (1, 1, 1, 1) float32 [1][1] 2
# roi_align
x = tlua.arange(16):reshape { 1, 4, 4, 1 }
boxes, picture = tlua.tensor { { 0, 0, 4, 4 } }, tlua.tensor({ 0 }, { dtype = "int32" })
y = x:roi_align(boxes, picture, { size = { 2, 2 } })
y:reshape { 2, 2 }  --> tensor (2, 2) float32 5.0000 6.7500 12.0000 13.7500
# max_pool
x = tlua.arange(16):reshape { 1, 4, 4, 1 }
x:max_pool { kernel = { 2, 2 } }:reshape { 2, 2 }  --> tensor (2, 2) float32 5 7 13 15
# max_pool_places
x = tlua.arange(16):reshape { 1, 4, 4, 1 }
x:max_pool_places { kernel = { 2, 2 } }:reshape { 2, 2 }  --> tensor (2, 2) int32 5 7 13 15
# avg_pool
x = tlua.arange(16):reshape { 1, 4, 4, 1 }
x:avg_pool { kernel = { 2, 2 } }:reshape { 2, 2 }  --> tensor (2, 2) float32 2.5000 4.5000 10.5000 12.5000
# batch_norm
x, mean, var = tlua.tensor { { 1, 10 }, { 3, 30 } }, tlua.zeros(2), tlua.ones(2)
x:batch_norm(nil, nil, mean, var, { training = true })  --> tensor (2, 2) float32 -1.0000 -1.0000 1.0000 1.0000
mean  --> tensor (2) float32 0.2000 2.0000
# dropout
x = tlua.ones(1000):dropout { p = 0.5, training = true }
x:amax()  --> 2 tensor () float32
# concat
tlua.concat(tlua.zeros(2, 1), tlua.ones(2, 2), { axis = 2 })  --> tensor (2, 3) float32 0 1 1 0 1 1
# layer_norm
tlua.tensor { { 1, 2, 3 } }:layer_norm()  --> tensor (1, 3) float32 -1.2247 0.0000 1.2247
# group_norm
x = tlua.tensor { 1, 2, 10, 30 }:reshape { 1, 1, 4 }
x:group_norm { groups = 2 }:reshape { 4 }  --> tensor (4) float32 -1.0000 1.0000 -1.0000 1.0000
# embedding
rows, ids = tlua.tensor { { 1, 2 }, { 3, 4 } }, tlua.tensor({ 1, 1, 0 }, { dtype = "int32" })
tlua.embedding(rows, ids)  --> tensor (3, 2) float32 3 4 3 4 1 2
# attention
q, k, v = tlua.randn(2, 5, 8), tlua.randn(2, 7, 8), tlua.randn(2, 7, 8)
q:attention(k, v, { heads = 2 }):shape()  --> { 2, 5, 8 }
# pack
x, lengths = tlua.arange(6):reshape { 2, 3, 1 }, tlua.tensor({ 3, 1 }, { dtype = "int32" })
x:pack(lengths, { rows = 4 }):reshape { 4 }  --> tensor (4) float32 0 1 2 3
# unpack
x, lengths = tlua.tensor { { 1 }, { 2 }, { 3 }, { 4 } }, tlua.tensor({ 3, 1 }, { dtype = "int32" })
x:unpack(lengths, { longest = 3 }):reshape { 2, 3 }  --> tensor (2, 3) float32 1 2 3 4 0 0
# rnn
x = tlua.randn(2, 5, 3)                    -- (N, T, width)
y = x:rnn(tlua.randn(4, 3), tlua.randn(4, 4))
y:shape()  --> { 2, 5, 4 }
# gru
x = tlua.randn(2, 5, 3)
y = x:gru(tlua.randn(12, 3), tlua.randn(12, 4))      -- three gates of 4
y:shape()  --> { 2, 5, 4 }
# lstm
x = tlua.randn(2, 5, 3)
y = x:lstm(tlua.randn(16, 3), tlua.randn(16, 4))     -- four gates of 4
y:shape()  --> { 2, 5, 4 }
# stft
wave, window = tlua.randn(1, 400), tlua.ones(64)
wave:stft(window, { n_fft = 64, hop = 32 }):shape()  --> { 1, 11, 33, 2 }
# mel_spectrogram
wave, window, bank = tlua.randn(1, 400), tlua.ones(64), tlua.rand(10, 33)      -- bank (bands, n_fft / 2 + 1)
wave:mel_spectrogram(window, bank, { n_fft = 64, hop = 32 }):shape()  --> { 1, 11, 10 }
# deltas
x = tlua.arange(5):reshape { 1, 5, 1 }     -- (N, frames, bands)
x:deltas { reach = 1 }:reshape { 5 }  --> tensor (5) float32 0.5000 1.0000 1.0000 1.0000 0.5000
# spec_augment
x = tlua.ones(1, 20, 8):spec_augment { freq_masks = 1, freq_width = 4, time_masks = 1, time_width = 5 }
x:shape()  --> { 1, 20, 8 }
]==]
