-- layers.lua - examples of layers and losses: examples/init.lua says the form.
return [==[
# nn.Linear
layer = tlua.nn.Linear(4, 2)
layer(tlua.randn(8, 4)):shape()  --> { 8, 2 }
# nn.Conv1d
layer = tlua.nn.Conv1d(3, 8, 5, { stride = 2, padding = 2 })
layer(tlua.randn(2, 40, 3)):shape()  --> { 2, 20, 8 }
# nn.Conv2d
layer = tlua.nn.Conv2d(3, 8, 3, { padding = 1 })
layer(tlua.randn(2, 16, 16, 3)):shape()  --> { 2, 16, 16, 8 }
layer.weight:shape()  --> { 8, 3, 3, 3 }
# nn.Conv3d
layer = tlua.nn.Conv3d(1, 4, 3, { padding = 1, stride = 2 })
layer(tlua.randn(1, 8, 8, 8, 1)):shape()  --> { 1, 4, 4, 4, 4 }
# nn.ConvTranspose1d
layer = tlua.nn.ConvTranspose1d(4, 2, 2, { stride = 2 })
layer(tlua.randn(1, 10, 4)):shape()  --> { 1, 20, 2 }
# nn.ConvTranspose2d
layer = tlua.nn.ConvTranspose2d(4, 2, 2, { stride = 2 })
layer(tlua.randn(1, 8, 8, 4)):shape()  --> { 1, 16, 16, 2 }
# nn.ConvTranspose3d
layer = tlua.nn.ConvTranspose3d(4, 2, 2, { stride = 2 })
layer(tlua.randn(1, 4, 4, 4, 4)):shape()  --> { 1, 8, 8, 8, 2 }
# nn.Upsample
layer = tlua.nn.Upsample { scale_factor = 2, mode = "bilinear" }
layer(tlua.randn(1, 8, 8, 3)):shape()  --> { 1, 16, 16, 3 }
# nn.BatchNorm1d
layer = tlua.nn.BatchNorm1d(4)
layer(tlua.randn(8, 4)):shape()  --> { 8, 4 }
# nn.BatchNorm2d
layer = tlua.nn.BatchNorm2d(4):eval()         -- inference: the running statistics
layer(tlua.ones(1, 2, 2, 4)):amax():item() < 1.001  --> true
# nn.BatchNorm3d
layer = tlua.nn.BatchNorm3d(2)
layer(tlua.randn(1, 4, 4, 4, 2)):shape()  --> { 1, 4, 4, 4, 2 }
# nn.LayerNorm
layer = tlua.nn.LayerNorm(3)
layer(tlua.tensor { { 1, 2, 3 } })  --> tensor (1, 3) float32, requires grad -1.2247 0.0000 1.2247
# nn.GroupNorm
layer = tlua.nn.GroupNorm(2, 8)
layer(tlua.randn(2, 4, 4, 8)):shape()  --> { 2, 4, 4, 8 }
# nn.InstanceNorm1d
layer = tlua.nn.InstanceNorm1d(3)
layer(tlua.randn(2, 20, 3)):shape()  --> { 2, 20, 3 }
# nn.InstanceNorm2d
layer = tlua.nn.InstanceNorm2d(3)
layer(tlua.randn(2, 8, 8, 3)):shape()  --> { 2, 8, 8, 3 }
# nn.InstanceNorm3d
layer = tlua.nn.InstanceNorm3d(3)
layer(tlua.randn(1, 4, 4, 4, 3)):shape()  --> { 1, 4, 4, 4, 3 }
# nn.LSTM
lstm = tlua.nn.LSTM(8, 16, { bidirectional = true })
y, last = lstm(tlua.randn(2, 10, 8))
y:shape()  --> { 2, 10, 32 }
last:shape()  --> { 2, 32 }
# nn.GRU
gru = tlua.nn.GRU(8, 16, { layers = 2 })
lengths = tlua.tensor({ 10, 4 }, { dtype = "int32" })   -- the second row has 4 steps
y, last = gru(tlua.randn(2, 10, 8), lengths)
last:shape()  --> { 2, 16 }
# nn.MaxPool1d
tlua.nn.MaxPool1d(2)(tlua.arange(6):reshape { 1, 6, 1 }):reshape { 3 }  --> tensor (3) float32 1 3 5
# nn.AvgPool1d
tlua.nn.AvgPool1d(2)(tlua.arange(6):reshape { 1, 6, 1 }):reshape { 3 }  --> tensor (3) float32 0.5000 2.5000 4.5000
# nn.AdaptiveAvgPool1d
tlua.nn.AdaptiveAvgPool1d(2)(tlua.arange(6):reshape { 1, 6, 1 }):reshape { 2 }  --> tensor (2) float32 1 4
# nn.MaxPool2d
tlua.nn.MaxPool2d(3, { stride = 2, padding = 1 })(tlua.randn(1, 8, 8, 4)):shape()  --> { 1, 4, 4, 4 }
# nn.AvgPool2d
tlua.nn.AvgPool2d(2)(tlua.randn(1, 8, 8, 4)):shape()  --> { 1, 4, 4, 4 }
# nn.AdaptiveAvgPool2d
tlua.nn.AdaptiveAvgPool2d(1)(tlua.randn(1, 8, 8, 4)):shape()  --> { 1, 1, 1, 4 }
# nn.MaxPool3d
tlua.nn.MaxPool3d(2)(tlua.randn(1, 8, 8, 8, 2)):shape()  --> { 1, 4, 4, 4, 2 }
# nn.AvgPool3d
tlua.nn.AvgPool3d(2)(tlua.randn(1, 8, 8, 8, 2)):shape()  --> { 1, 4, 4, 4, 2 }
# nn.AdaptiveAvgPool3d
tlua.nn.AdaptiveAvgPool3d(1)(tlua.randn(1, 8, 8, 8, 2)):shape()  --> { 1, 1, 1, 1, 2 }
# nn.Dropout
layer = tlua.nn.Dropout(0.5):eval()            -- nothing in inference
layer(tlua.ones(3))  --> tensor (3) float32 1 1 1
# nn.Spectrogram
layer = tlua.nn.Spectrogram { n_fft = 256, hop = 128 }
layer(tlua.randn(1, 1600)):shape()  --> { 1, 13, 129 }
# nn.MelSpectrogram
layer = tlua.nn.MelSpectrogram { rate = 16000, n_fft = 400, hop = 160, bands = 40 }
layer(tlua.randn(1, 16000)):shape()  --> { 1, 101, 40 }
layer:frame_count(16000)  --> 101
# nn.Fbank
layer = tlua.nn.Fbank { rate = 16000, bands = 40, gain = 32768 }
layer(tlua.randn(1, 16000)):shape()  --> { 1, 98, 40 }
# nn.MFCC
layer = tlua.nn.MFCC { rate = 16000, n_mfcc = 13, n_fft = 400, hop = 160, bands = 40 }
layer(tlua.randn(1, 16000)):shape()  --> { 1, 101, 13 }
# nn.Deltas
layer = tlua.nn.Deltas { orders = 2 }
layer(tlua.randn(1, 20, 13)):shape()  --> { 1, 20, 39 }
# nn.Normalize
layer = tlua.nn.Normalize {}
layer(tlua.tensor { { { 1 }, { 3 } } }):reshape { 2 }  --> tensor (2) float32 -1.0000 1.0000
# nn.PreEmphasis
tlua.nn.PreEmphasis(0.5)(tlua.tensor { { 1, 1, 1 } })  --> tensor (1, 3) float32 1.0000 0.5000 0.5000
# nn.SpecAugment
layer = tlua.nn.SpecAugment { freq_masks = 2, freq_width = 8 }:train()
layer(tlua.randn(2, 50, 40)):shape()  --> { 2, 50, 40 }
# nn.Embedding
layer = tlua.nn.Embedding(100, 8)
layer(tlua.tensor({ { 1, 2, 3 } }, { dtype = "int32" })):shape()  --> { 1, 3, 8 }
# nn.MultiHeadAttention
layer = tlua.nn.MultiHeadAttention(16, 4)
layer(tlua.randn(2, 10, 16)):shape()  --> { 2, 10, 16 }
# nn.TransformerLayer
layer = tlua.nn.TransformerLayer(16, 4, 64, { norm = "pre" })
layer(tlua.randn(2, 10, 16)):shape()  --> { 2, 10, 16 }
# nn.Flatten
tlua.nn.Flatten()(tlua.randn(2, 4, 4, 3)):shape()  --> { 2, 48 }
# nn.Identity
tlua.nn.Identity()(tlua.tensor { 1, 2 })  --> tensor (2) float32 1 2
# nn.ReLU
tlua.nn.ReLU()(tlua.tensor { -1, 2 })  --> tensor (2) float32 0 2
# nn.ReLU6
tlua.nn.ReLU6()(tlua.tensor { -1, 9 })  --> tensor (2) float32 0 6
# nn.SiLU
tlua.nn.SiLU()(tlua.tensor { -1, 1 })  --> tensor (2) float32 -0.2689 0.7311
# nn.GELU
tlua.nn.GELU { approximate = "tanh" }(tlua.tensor { -1, 1 })  --> tensor (2) float32 -0.1588 0.8412
# nn.Sigmoid
tlua.nn.Sigmoid()(tlua.tensor { 0, 2 })  --> tensor (2) float32 0.5000 0.8808
# nn.Tanh
tlua.nn.Tanh()(tlua.tensor { 0, 1 })  --> tensor (2) float32 0.0000 0.7616
# nn.Hardswish
tlua.nn.Hardswish()(tlua.tensor { -4, 1 })  --> tensor (2) float32 -0.0000 0.6667
# nn.Hardsigmoid
tlua.nn.Hardsigmoid()(tlua.tensor { -4, 1 })  --> tensor (2) float32 0.0000 0.6667
# nn.LeakyReLU
tlua.nn.LeakyReLU(0.1)(tlua.tensor { -1, 2 })  --> tensor (2) float32 -0.1000 2.0000
# nn.Softmax
tlua.nn.Softmax()(tlua.tensor { 0, 0 })  --> tensor (2) float32 0.5000 0.5000
# nn.Sequential
net = tlua.nn.Sequential(tlua.nn.Conv2d(8, 3), tlua.nn.ReLU(), tlua.nn.AdaptiveAvgPool2d(1), tlua.nn.Flatten(),
  tlua.nn.Linear(10))                          -- widths follow from the first input
net(tlua.randn(2, 16, 16, 3)):shape()  --> { 2, 10 }
net:at(1)  --> nn.Conv2d(3 -> 8, 3 x 3), 224 parameters: weight (8, 3, 3, 3), bias (8)
# nn.ModuleList
list = tlua.nn.ModuleList(tlua.nn.Linear(4, 4), tlua.nn.Linear(4, 2))
list:at(2)(list:at(1)(tlua.randn(1, 4))):shape()  --> { 1, 2 }
# nn.Graph
net = tlua.nn.Graph { "runs/mine" }            -- the folder of a run, or a model file
net:freeze "0.*"
net:count()  --> 251 27
# nn.class
Block = tlua.nn.class "Block"
function Block:init(width) self.layer = tlua.nn.Linear(width, width) end
function Block:forward(x) return x + self.layer(x):relu() end
Block(4)(tlua.randn(2, 4)):shape()  --> { 2, 4 }
# nn.is_module
tlua.nn.is_module(tlua.nn.ReLU())  --> true
# nn.CrossEntropy
loss = tlua.nn.CrossEntropy { label_smoothing = 0.1 }
loss(tlua.zeros(2, 4), tlua.tensor({ 0, 3 }, { dtype = "int32" }))  --> 1.38629 tensor () float32
# nn.FocalLoss
loss = tlua.nn.FocalLoss { gamma = 2 }
loss(tlua.zeros(2, 4), tlua.tensor({ 0, 3 }, { dtype = "int32" }))  --> 0.779791 tensor () float32
# nn.MSELoss
tlua.nn.MSELoss {}(tlua.tensor { { 1 }, { 3 } }, tlua.tensor { { 1 }, { 1 } })  --> 2 tensor () float32
# nn.SmoothL1Loss
loss = tlua.nn.SmoothL1Loss { beta = 1 }
loss(tlua.tensor { { 1 }, { 3 } }, tlua.tensor { { 1 }, { 1 } })  --> 0.75 tensor () float32
# nn.BCEWithLogits
tlua.nn.BCEWithLogits {}(tlua.zeros(1, 2), tlua.tensor { { 1, 0 } })  --> 0.693147 tensor () float32
# nn.CTCLoss
loss = tlua.nn.CTCLoss {}
loss(tlua.zeros(1, 4, 3), tlua.tensor({ { 1, 2 } }, { dtype = "int32" }))  --> 0.843199 tensor () float32
# nn.SigmoidFocalLoss
tlua.nn.SigmoidFocalLoss {}(tlua.zeros(1, 2), tlua.tensor { { 1, 0 } })  --> 0.0866434 tensor () float32
# nn.Dice
loss = tlua.nn.Dice {}
loss(tlua.zeros(1, 4, 4, 2), tlua.zeros({ 1, 4, 4 }, { dtype = "int32" }))  --> 0.166667 tensor () float32
# nn.Tversky
loss = tlua.nn.Tversky { alpha = 0.3, beta = 0.7 }
loss(tlua.zeros(1, 4, 4, 2), tlua.zeros({ 1, 4, 4 }, { dtype = "int32" }))  --> 0.205882 tensor () float32
# nn.DeepSupervision
loss = tlua.nn.DeepSupervision(tlua.nn.CrossEntropy {})
maps = { tlua.zeros(1, 8, 8, 2), tlua.zeros(1, 4, 4, 2) }
loss(maps, tlua.zeros({ 1, 8, 8 }, { dtype = "int32" }))  --> 0.693147 tensor () float32
# nn.Sum
loss = tlua.nn.CrossEntropy {} + 0.5 * tlua.nn.Dice {}
loss(tlua.zeros(1, 4, 4, 2), tlua.zeros({ 1, 4, 4 }, { dtype = "int32" }))  --> 0.77648 tensor () float32
]==]
