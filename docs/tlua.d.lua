---@meta tlua
-- Made by `make docs` from the operators' descriptors and lua/tlua/repl/manual.lua; do not edit. How an editor finds it: docs/repl.md.

---@alias tlua.dtype "float32"|"float16"|"bfloat16"|"int32"|"uint8"

---@class tlua
---@field nn tlua.nn
---@field optim tlua.optim
---@field models tlua.models
---@field data tlua.data
---@field ops tlua.ops
---@field version string
local tlua = {}

---@class tlua.Tensor
---@field grad tlua.Tensor?
---@operator add(tlua.Tensor|number): tlua.Tensor
---@operator sub(tlua.Tensor|number): tlua.Tensor
---@operator mul(tlua.Tensor|number): tlua.Tensor
---@operator div(tlua.Tensor|number): tlua.Tensor
---@operator pow(number): tlua.Tensor
---@operator unm: tlua.Tensor
---@operator len: integer
---@field [integer] tlua.Tensor
local Tensor = {}

---@class tlua.Scope
local Scope = {}
---Takes tensors out of the scope, to the one around it.
---@param ... tlua.Tensor
---@return tlua.Tensor ...
function Scope:keep(...) end
function Scope:close() end

---@class tlua.Guard
local Guard = {}
function Guard:close() end

---@class tlua.Optimizer
local Optimizer = {}

---@class tlua.nn
local nn = {}

---@class tlua.nn.Module
---@overload fun(x: tlua.Tensor, ...: any): tlua.Tensor
local Module = {}

---@class tlua.Encoder: tlua.nn.Module
local Encoder = {}

---@class tlua.Detector: tlua.nn.Module
local Detector = {}

---@class tlua.optim
local optim = {}

---@class tlua.models
local models = {}

---@class tlua.data
local data = {}

---@class tlua.ops
local ops = {}

---@class tlua.Recipe
local Recipe = {}
---Trains, tests, keeps.
---@param options? { resume?: string, force?: boolean }
---@return table results
function Recipe:run(options) end
---Builds everything and stops before the training: model, data, optim, loss.
---@return table session
function Recipe:build() end

-- tensors

---A tensor with the numbers of a nested table: tlua.tensor { { 1, 2 }, { 3, 4 } } is (2, 2).
---@param values number|table
---@param options? { dtype?: tlua.dtype }
---@return tlua.Tensor
function tlua.tensor(values, options) end

---Zeros: tlua.zeros(2, 3) or tlua.zeros { 2, 3 }.
---@param shape integer[]
---@param options? { dtype?: tlua.dtype }
---@overload fun(...: integer): tlua.Tensor
---@return tlua.Tensor
function tlua.zeros(shape, options) end

---Ones: tlua.ones(2, 3).
---@param shape integer[]
---@param options? { dtype?: tlua.dtype }
---@overload fun(...: integer): tlua.Tensor
---@return tlua.Tensor
function tlua.ones(shape, options) end

---One number everywhere: tlua.full({ 2, 3 }, 0.5).
---@param shape integer[]
---@param value number
---@param options? { dtype?: tlua.dtype }
---@return tlua.Tensor
function tlua.full(shape, value, options) end

---The numbers 0 to n - 1, as float32 or int32.
---@param n integer
---@param options? { dtype?: tlua.dtype }
---@return tlua.Tensor
function tlua.arange(n, options) end

---Normal draws, mean 0 and deviation 1: tlua.randn(2, 3).
---@param ... integer
---@return tlua.Tensor
function tlua.randn(...) end

---Uniform draws from 0 to 1: tlua.rand(2, 3).
---@param ... integer
---@return tlua.Tensor
function tlua.rand(...) end

---Is v a tensor?
---@param v any
---@return boolean
function tlua.is_tensor(v) end

---The lengths of all dimensions as a list, or of one; -1 is the last.
---@overload fun(self: tlua.Tensor, dimension: integer): integer
---@return integer[]
function Tensor:shape() end

---The same as x:shape(dimension).
---@param dimension integer
---@return integer
function Tensor:dim(dimension) end

---How many dimensions there are.
---@return integer
function Tensor:rank() end

---How many elements there are.
---@return integer
function Tensor:numel() end

---The type of the elements: "float32", "float16", "bfloat16", "int32" or "uint8".
---@return tlua.dtype
function Tensor:dtype() end

---All elements as nested tables.
---@return table
function Tensor:tolist() end

---The number in a tensor of one element. Waits for the device.
---@return number
function Tensor:item() end

---A copy of another type.
---@param dtype tlua.dtype
---@return tlua.Tensor
function Tensor:to(dtype) end

---A copy.
---@return tlua.Tensor
function Tensor:clone() end

---The same elements, without the way back to what they were made from.
---@return tlua.Tensor
function Tensor:detach() end

---Writes y, of the same shape, into x.
---@param y tlua.Tensor
---@return tlua.Tensor
function Tensor:copy_(y) end

---Writes one number everywhere.
---@param value number
---@return tlua.Tensor
function Tensor:fill_(value) end

---Two dimensions exchanged, the last two if none are given.
---@param a? integer
---@param b? integer
---@return tlua.Tensor
function Tensor:transpose(a, b) end

---Whether x gets a gradient; with an argument, from now on.
---@overload fun(self: tlua.Tensor, on: boolean): tlua.Tensor
---@return boolean
function Tensor:requires_grad() end

---Works out the gradients of all that x was made from: x.grad of tensors that require one. retain: the way back may be gone again.
---@param gradient? tlua.Tensor
---@param options? { retain?: boolean }
function Tensor:backward(gradient, options) end

---Forgets the gradient.
function Tensor:zero_grad() end

---SHA-256 of the elements.
---@return string
function Tensor:hash() end

---A quick checksum of the elements, against accidents.
---@return integer
function Tensor:crc32() end

---Counts the writes in place.
---@return integer
function Tensor:version() end

---Has its scope freed it?
---@return boolean
function Tensor:freed() end

-- device, memory, chance

---Opens the device (cpu, gpu, a number of `tlua devices` or a part of a name) and tells its name, platform, driver, type, units and bytes.
---@param which? string
---@return table
function tlua.device(which) end

---All OpenCL devices.
---@return table[]
function tlua.devices() end

---Bytes of device memory: in tensors, free in the pool, and the most that tensors had at once.
---@return integer, integer, integer
function tlua.memory() end

---Begins to measure that most anew.
function tlua.reset_peak() end

---What is made from here on is freed when the scope closes: local scope <close> = tlua.scope(). scope:keep(x) takes x out.
---@return tlua.Scope
function tlua.scope() end

---Nothing is recorded for gradients until it closes: local guard <close> = tlua.no_grad().
---@return tlua.Guard
function tlua.no_grad() end

---Gradients are recorded again until it closes.
---@return tlua.Guard
function tlua.enable_grad() end

---Is it recorded?
---@return boolean
function tlua.recording() end

---The same seed gives the same random numbers, and the same bits on the same device.
---@param seed integer
function tlua.manual_seed(seed) end

---Waits until the device has done all that it was asked for.
function tlua.sync() end

---Seconds from some moment on.
---@return number
function tlua.time() end

---Runs f() and prints where the time went; path names a trace for chrome://tracing.
---@param f fun()
---@param path? string
---@return any
function tlua.profile(f, path) end

---f(x, ...) of which only x is kept; backward computes the rest again. Less memory, more time, the same bits.
---@param f fun(x: tlua.Tensor, ...): tlua.Tensor
---@param x tlua.Tensor
---@param ... any
---@return tlua.Tensor
function tlua.checkpoint(f, x, ...) end

-- files

---The tensors of a file (.safetensors, .pth, .pt, .npz; .npy, whose one is arr_0) by name, its metadata, and { key, others, odd, labels }: the part that was read, the other parts, what cannot be read, the names of classes of a pickled module. half: half types stay. key: a part of a checkpoint, like "ema".
---@param path string
---@param options? { half?: boolean, key?: string }
---@return table<string, tlua.Tensor>, table<string, string>, table
function tlua.load(path, options) end

---Writes tensors by name into a .safetensors file. Tables within the table are flattened: { a = { b = x } } is written as a.b, its name when it is read.
---@param path string
---@param tensors table<string, tlua.Tensor|table>
---@param metadata? table<string, string>
function tlua.save(path, tensors, metadata) end

---A picture (JPEG, PNG, WebP, TIFF, BMP, GIF, DICOM) as uint8 (height, width, channels): 3 channels, or 1 or 4.
---@param path string
---@param channels? integer
---@return tlua.Tensor
function tlua.image_read(path, channels) end

---Writes uint8 (height, width, 1 or 3) as a PNG file.
---@param path string
---@param x tlua.Tensor
function tlua.image_write(path, x) end

-- layers

---@class tlua.nn.Linear: tlua.nn.Module

---y = x w' + b over the last dimension: x (..., in) -> (..., out). weight (out, in) and bias (out) start uniform in +-1/sqrt(in), or as initial = { "normal", mean, deviation } says. Without a width it takes that of what comes before.
---@param in_features integer
---@param out_features integer
---@param options? { bias?: boolean, initial?: table }
---@overload fun(out_features: integer, options?: { bias?: boolean, initial?: table }): tlua.nn.Linear
---@return tlua.nn.Linear
function nn.Linear(in_features, out_features, options) end

---@class tlua.nn.Conv1d: tlua.nn.Module

---Convolution over (N, L, C): as nn.Conv2d along one dimension.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[]|"same", dilation?: integer|integer[], groups?: integer, bias?: boolean, initial?: string|table, image_size?: integer, padding_end?: integer|integer[] }
---@return tlua.nn.Conv1d
function nn.Conv1d(in_channels, out_channels, kernel, options) end

---@class tlua.nn.Conv2d: tlua.nn.Module

---Convolution over pictures (N, H, W, C) with PyTorch's weight (out, in / groups, h, w). padding = "same" with image_size pads as TensorFlow does. initial: "kaiming_normal_fan_out", "kaiming_normal_fan_in", "kaiming_uniform_fan_in", or { "normal", mean, deviation }.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[]|"same", dilation?: integer|integer[], groups?: integer, bias?: boolean, initial?: string|table, image_size?: integer, padding_end?: integer|integer[] }
---@overload fun(out_channels: integer, kernel: integer|integer[], options?: { stride?: integer|integer[], padding?: integer|integer[]|"same" }): tlua.nn.Conv2d
---@return tlua.nn.Conv2d
function nn.Conv2d(in_channels, out_channels, kernel, options) end

---@class tlua.nn.Conv3d: tlua.nn.Module

---Convolution over volumes (N, D, H, W, C): as nn.Conv2d along three dimensions.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[]|"same", dilation?: integer|integer[], groups?: integer, bias?: boolean, initial?: string|table, image_size?: integer, padding_end?: integer|integer[] }
---@return tlua.nn.Conv3d
function nn.Conv3d(in_channels, out_channels, kernel, options) end

---@class tlua.nn.ConvTranspose1d: tlua.nn.Module

---Transposed convolution over rows (N, L, C) with PyTorch's weight (in, out / groups, ...); stride 2 and kernel 2: twice the size.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], output_padding?: integer|integer[], dilation?: integer|integer[], groups?: integer, bias?: boolean }
---@return tlua.nn.ConvTranspose1d
function nn.ConvTranspose1d(in_channels, out_channels, kernel, options) end

---@class tlua.nn.ConvTranspose2d: tlua.nn.Module

---Transposed convolution over pictures (N, H, W, C) with PyTorch's weight (in, out / groups, ...); stride 2 and kernel 2: twice the size.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], output_padding?: integer|integer[], dilation?: integer|integer[], groups?: integer, bias?: boolean }
---@return tlua.nn.ConvTranspose2d
function nn.ConvTranspose2d(in_channels, out_channels, kernel, options) end

---@class tlua.nn.ConvTranspose3d: tlua.nn.Module

---Transposed convolution over volumes (N, D, H, W, C) with PyTorch's weight (in, out / groups, ...); stride 2 and kernel 2: twice the size.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], output_padding?: integer|integer[], dilation?: integer|integer[], groups?: integer, bias?: boolean }
---@return tlua.nn.ConvTranspose3d
function nn.ConvTranspose3d(in_channels, out_channels, kernel, options) end

---@class tlua.nn.Upsample: tlua.nn.Module

---(N, ..., C) in one to three dimensions at another size, by the nearest pixel or linearly in each dimension.
---@param options? { size?: integer|integer[], scale_factor?: number|number[], mode?: "nearest"|"linear"|"bilinear"|"trilinear", align_corners?: boolean }
---@return tlua.nn.Upsample
function nn.Upsample(options) end

---@class tlua.nn.BatchNorm1d: tlua.nn.Module

---Batch norm over the last dimension of (N, C) or (N, L, C).
---@param channels? integer
---@param options? { eps?: number, momentum?: number, affine?: boolean }
---@return tlua.nn.BatchNorm1d
function nn.BatchNorm1d(channels, options) end

---@class tlua.nn.BatchNorm2d: tlua.nn.Module

---(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, H, W, C). In training mean and variance are the batch's, in inference and in frozen parts the running ones.
---@param channels? integer
---@param options? { eps?: number, momentum?: number, affine?: boolean }
---@return tlua.nn.BatchNorm2d
function nn.BatchNorm2d(channels, options) end

---@class tlua.nn.BatchNorm3d: tlua.nn.Module

---Batch norm over the last dimension of (N, D, H, W, C).
---@param channels? integer
---@param options? { eps?: number, momentum?: number, affine?: boolean }
---@return tlua.nn.BatchNorm3d
function nn.BatchNorm3d(channels, options) end

---@class tlua.nn.LayerNorm: tlua.nn.Module

---The same as a batch norm, with mean and variance of each row over the last dimension.
---@param width? integer
---@param options? { eps?: number }
---@return tlua.nn.LayerNorm
function nn.LayerNorm(width, options) end

---@class tlua.nn.GroupNorm: tlua.nn.Module

---Mean and variance over all places and the channels of a group, for each sample: x (N, ..., C).
---@param groups integer
---@param channels integer
---@param options? { eps?: number }
---@return tlua.nn.GroupNorm
function nn.GroupNorm(groups, channels, options) end

---@class tlua.nn.InstanceNorm1d: tlua.nn.Module

---Mean and variance over the places of each channel of each sample of (N, L, C), in training and in inference alike.
---@param channels? integer
---@param options? { eps?: number, affine?: boolean }
---@return tlua.nn.InstanceNorm1d
function nn.InstanceNorm1d(channels, options) end

---@class tlua.nn.InstanceNorm2d: tlua.nn.Module

---Mean and variance over the places of each channel of each sample of (N, H, W, C), in training and in inference alike.
---@param channels? integer
---@param options? { eps?: number, affine?: boolean }
---@return tlua.nn.InstanceNorm2d
function nn.InstanceNorm2d(channels, options) end

---@class tlua.nn.InstanceNorm3d: tlua.nn.Module

---Mean and variance over the places of each channel of each sample of (N, D, H, W, C), in training and in inference alike.
---@param channels? integer
---@param options? { eps?: number, affine?: boolean }
---@return tlua.nn.InstanceNorm3d
function nn.InstanceNorm3d(channels, options) end

---@class tlua.nn.LSTM: tlua.nn.Module

---Long short-term memory over (N, T, width): y, last = lstm(x, lengths), the last state being that of the uppermost layer.
---@param width integer
---@param hidden integer
---@param options? { layers?: integer, bidirectional?: boolean, dropout?: number }
---@return tlua.nn.LSTM
function nn.LSTM(width, hidden, options) end

---@class tlua.nn.GRU: tlua.nn.Module

---Gated recurrent units, in the same way.
---@param width integer
---@param hidden integer
---@param options? { layers?: integer, bidirectional?: boolean, dropout?: number }
---@return tlua.nn.GRU
function nn.GRU(width, hidden, options) end

---@class tlua.nn.MaxPool1d: tlua.nn.Module

---The largest of each window of (N, L, C).
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean }
---@return tlua.nn.MaxPool1d
function nn.MaxPool1d(kernel, options) end

---@class tlua.nn.AvgPool1d: tlua.nn.Module

---The mean of each window of (N, L, C); the border counts as zeros.
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean }
---@return tlua.nn.AvgPool1d
function nn.AvgPool1d(kernel, options) end

---@class tlua.nn.AdaptiveAvgPool1d: tlua.nn.Module

---Means of out windows along each dimension that cover it: (N, L, C) -> (N, out, C).
---@param out integer|integer[]
---@return tlua.nn.AdaptiveAvgPool1d
function nn.AdaptiveAvgPool1d(out) end

---@class tlua.nn.MaxPool2d: tlua.nn.Module

---The largest of each window of (N, H, W, C).
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean }
---@return tlua.nn.MaxPool2d
function nn.MaxPool2d(kernel, options) end

---@class tlua.nn.AvgPool2d: tlua.nn.Module

---The mean of each window of (N, H, W, C); the border counts as zeros.
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean }
---@return tlua.nn.AvgPool2d
function nn.AvgPool2d(kernel, options) end

---@class tlua.nn.AdaptiveAvgPool2d: tlua.nn.Module

---Means of out windows along each dimension that cover it: (N, H, W, C) -> (N, out, out, C).
---@param out integer|integer[]
---@return tlua.nn.AdaptiveAvgPool2d
function nn.AdaptiveAvgPool2d(out) end

---@class tlua.nn.MaxPool3d: tlua.nn.Module

---The largest of each window of (N, D, H, W, C).
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean }
---@return tlua.nn.MaxPool3d
function nn.MaxPool3d(kernel, options) end

---@class tlua.nn.AvgPool3d: tlua.nn.Module

---The mean of each window of (N, D, H, W, C); the border counts as zeros.
---@param kernel integer|integer[]
---@param options? { stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean }
---@return tlua.nn.AvgPool3d
function nn.AvgPool3d(kernel, options) end

---@class tlua.nn.AdaptiveAvgPool3d: tlua.nn.Module

---Means of out windows along each dimension that cover it: (N, D, H, W, C) -> (N, out, out, out, C).
---@param out integer|integer[]
---@return tlua.nn.AdaptiveAvgPool3d
function nn.AdaptiveAvgPool3d(out) end

---@class tlua.nn.Dropout: tlua.nn.Module

---In training zeros with probability p, the rest divided by 1 - p; nothing in inference.
---@param p? number
---@param options? { p?: number }
---@return tlua.nn.Dropout
function nn.Dropout(p, options) end

---@class tlua.nn.Spectrogram: tlua.nn.Module

---From waves (N, samples) to squares of their bins, (N, frames, n_fft / 2 + 1); power = 1: magnitudes. The window is hann, hamming, blackman, povey or rectangular; a shorter one stands in the middle of n_fft. Called with (wave, lengths) it gives (frames, lengths of these): lengths (N, int32) say how many samples of each clip count.
---- `n_fft` = 400: points of the transform
---- `hop`: samples from frame to frame (a quarter of n_fft)
---- `win_length`: of the window, which stands in the middle of n_fft (n_fft)
---- `window` = "hann": its form
---- `periodic` = true: the window is one period; else it is symmetric
---- `center` = true: frames stand around their places: half of n_fft is added at both ends
---- `pad_mode` = "reflect": what is added
---- `power` = 2: 1: magnitudes, 2: their squares
---@param options? { n_fft?: integer, hop?: integer, win_length?: integer, window?: "hann"|"hamming"|"blackman"|"povey"|"rectangular", periodic?: boolean, center?: boolean, pad_mode?: "reflect"|"constant"|"replicate"|"symmetric", power?: integer }
---@return tlua.nn.Spectrogram
function nn.Spectrogram(options) end

---@class tlua.nn.MelSpectrogram: tlua.nn.Module

---From waves (N, samples) to log-mel bands (N, frames, bands), in one launch: log(max(v, floor) + offset). log is log, log10, db or none; scale and norm "slaney" are librosa's; corners = "bins" moves those of the triangles down to whole bins; hop is a hundredth of a second where it is not said. Called and answering like nn.Spectrogram; :frame_count(samples) tells how many frames there will be.
---- `n_fft` = 400: points of the transform
---- `hop`: samples from frame to frame (a hundredth of a second)
---- `win_length`: of the window, which stands in the middle of n_fft (n_fft)
---- `window` = "hann": its form
---- `periodic` = true: the window is one period; else it is symmetric
---- `center` = true: frames stand around their places: half of n_fft is added at both ends
---- `pad_mode` = "reflect": what is added
---- `rate` = 16000: samples of the waves in a second
---- `bands` = 80: how many
---- `low` = 0: where the first begins, in Hz
---- `high`: where the last ends, in Hz (half of the rate)
---- `scale` = "htk": of the mels: HTK's formula or Slaney's (librosa's)
---- `norm` = "none": slaney: all bands have one area
---- `corners` = "exact": of the triangles; bins: moved down to whole bins
---- `power` = 2: 1: bands of magnitudes, 2: of their squares
---- `log` = "log": of the bands; db: 10 log10 of squares, 20 log10 of magnitudes
---- `floor` = 1e-10: what is less becomes that before the logarithm
---- `offset` = 0: what is added before the logarithm
---- `top_db`: what is so many decibels below a clip's loudest becomes that
---@param options? { n_fft?: integer, hop?: integer, win_length?: integer, window?: "hann"|"hamming"|"blackman"|"povey"|"rectangular", periodic?: boolean, center?: boolean, pad_mode?: "reflect"|"constant"|"replicate"|"symmetric", rate?: number, bands?: integer, low?: number, high?: number, scale?: "htk"|"slaney", norm?: "none"|"slaney", corners?: "exact"|"bins", power?: integer, log?: "none"|"log"|"log10"|"db", floor?: number, offset?: number, top_db?: number }
---@return tlua.nn.MelSpectrogram
function nn.MelSpectrogram(options) end

---@class tlua.nn.Fbank: tlua.nn.Module

---Log-mel bands as Kaldi has them, without dither. Kaldi's waves have 16 bits: gain = 32768.
---- `rate` = 16000: samples of the waves in a second
---- `bands` = 23: how many
---- `low` = 20: where the first begins, in Hz
---- `high` = 0: where the last ends, in Hz; up to 0: so far below half of the rate
---- `frame_length` = 25: of a frame, in ms
---- `frame_shift` = 10: from frame to frame, in ms
---- `window` = "povey": its form
---- `preemphasis` = 0.97: so much of the sample before is taken away
---- `remove_mean` = true: of each frame
---- `snip_edges` = true: frames that fit alone; else one every shift, with the ends mirrored
---- `power` = 2: 1: bands of magnitudes, 2: of their squares
---- `log` = "log": of the bands
---- `floor` = 1.19209e-07: what is less becomes that before the logarithm
---- `gain` = 1: what waves are multiplied with first
---@param options? { rate?: number, bands?: integer, low?: number, high?: number, frame_length?: number, frame_shift?: number, window?: "povey"|"hamming"|"hann"|"rectangular"|"blackman", preemphasis?: number, remove_mean?: boolean, snip_edges?: boolean, power?: integer, log?: "none"|"log"|"log10"|"db", floor?: number, gain?: number }
---@return tlua.nn.Fbank
function nn.Fbank(options) end

---@class tlua.nn.MFCC: tlua.nn.Module

---The first n_mfcc of the cosine transform of log-mel bands. top_db is 80 of decibels where nothing is said; false: none.
---- `n_fft` = 400: points of the transform
---- `hop`: samples from frame to frame (a hundredth of a second)
---- `win_length`: of the window, which stands in the middle of n_fft (n_fft)
---- `window` = "hann": its form
---- `periodic` = true: the window is one period; else it is symmetric
---- `center` = true: frames stand around their places: half of n_fft is added at both ends
---- `pad_mode` = "reflect": what is added
---- `rate` = 16000: samples of the waves in a second
---- `bands` = 80: how many
---- `low` = 0: where the first begins, in Hz
---- `high`: where the last ends, in Hz (half of the rate)
---- `scale` = "htk": of the mels: HTK's formula or Slaney's (librosa's)
---- `norm` = "none": slaney: all bands have one area
---- `corners` = "exact": of the triangles; bins: moved down to whole bins
---- `power` = 2: 1: bands of magnitudes, 2: of their squares
---- `log` = "db": of the bands; db: 10 log10 of squares, 20 log10 of magnitudes
---- `floor` = 1e-10: what is less becomes that before the logarithm
---- `offset` = 0: what is added before the logarithm
---- `top_db`: as of MelSpectrogram; false: none (80 of db)
---- `n_mfcc` = 40: how many are kept
---@param options? { n_fft?: integer, hop?: integer, win_length?: integer, window?: "hann"|"hamming"|"blackman"|"povey"|"rectangular", periodic?: boolean, center?: boolean, pad_mode?: "reflect"|"constant"|"replicate"|"symmetric", rate?: number, bands?: integer, low?: number, high?: number, scale?: "htk"|"slaney", norm?: "none"|"slaney", corners?: "exact"|"bins", power?: integer, log?: "none"|"log"|"log10"|"db", floor?: number, offset?: number, top_db?: number|number[]|false, n_mfcc?: integer }
---@return tlua.nn.MFCC
function nn.MFCC(options) end

---@class tlua.nn.Deltas: tlua.nn.Module

---Behind each frame of (N, F, B) its slopes over win_length frames; orders = 2: and the slopes of those. keep = false: the slopes alone.
---- `win_length` = 5: frames that are looked at, an odd number
---- `orders` = 1: how often
---- `keep` = true: the frames stay in front
---@param options? { win_length?: integer, orders?: integer, keep?: boolean }
---@return tlua.nn.Deltas
function nn.Deltas(options) end

---@class tlua.nn.Normalize: tlua.nn.Module

---(x - mean) / sqrt(var + eps) over the frames of each clip, for each channel; over = "clip": for all channels together, of waves too; "running": for each channel over all clips, the batch's in training, running ones in inference.
---- `over` = "channel": what has one mean
---- `variance` = true: divide by the deviation too
---- `eps` = 1e-05: added to the variance
---- `momentum` = 0.1: share of the batch in the running statistics
---@param channels? integer
---@param options? { over?: "channel"|"clip"|"running", variance?: boolean, eps?: number, momentum?: number }
---@return tlua.nn.Normalize
function nn.Normalize(channels, options) end

---@class tlua.nn.PreEmphasis: tlua.nn.Module

---y[t] = x[t] - 0.97 x[t - 1] over waves (N, samples).
---@param coefficient? number
---@param options? { coefficient?: number }
---@return tlua.nn.PreEmphasis
function nn.PreEmphasis(coefficient, options) end

---@class tlua.nn.SpecAugment: tlua.nn.Module

---In training, stretches of bands and of frames become value (Park et al. 2019), each clip its own, within its length. Behind nn.Normalize 0 is the mean.
---- `freq_masks` = 2: stretches of bands
---- `freq_width` = 27: bands of one at most
---- `time_masks` = 2: stretches of frames
---- `time_width` = 100: frames of one at most
---- `time_share` = 1: and at most this share of the clip
---- `fill` = "value": what stands there: value, or the mean of the clip's frames, which is no sound of its own where frames are logarithms
---- `value` = 0: what stands there
---@param options? { freq_masks?: integer, freq_width?: integer, time_masks?: integer, time_width?: integer, time_share?: number, fill?: "value"|"mean", value?: number }
---@return tlua.nn.SpecAugment
function nn.SpecAugment(options) end

---@class tlua.nn.Embedding: tlua.nn.Module

---Rows of a table by id: ids (...) int32 from 0 -> (..., width).
---@param count integer
---@param width integer
---@return tlua.nn.Embedding
function nn.Embedding(count, width) end

---@class tlua.nn.MultiHeadAttention: tlua.nn.Module

---Attention of tokens (N, T, width) to each other, or to a context, in several heads.
---@param width integer
---@param heads integer
---@param options? { dropout?: number, causal?: boolean, bias?: boolean }
---@return tlua.nn.MultiHeadAttention
function nn.MultiHeadAttention(width, heads, options) end

---@class tlua.nn.TransformerLayer: tlua.nn.Module

---Attention and two linear layers, each added to what went in. norm = "post" normalises the sums (BERT), "pre" what goes in (GPT-2, ViT).
---@param width integer
---@param heads integer
---@param inner integer
---@param options? { dropout?: number, norm?: "post"|"pre", activation?: string, causal?: boolean, eps?: number }
---@return tlua.nn.TransformerLayer
function nn.TransformerLayer(width, heads, inner, options) end

---@class tlua.nn.Flatten: tlua.nn.Module

---(N, ...) -> (N, the rest), in PyTorch's order.
---@return tlua.nn.Flatten
function nn.Flatten() end

---@class tlua.nn.Identity: tlua.nn.Module

---What goes in comes out.
---@return tlua.nn.Identity
function nn.Identity() end

---@class tlua.nn.ReLU: tlua.nn.Module

---The larger of x and 0.
---@return tlua.nn.ReLU
function nn.ReLU() end

---@class tlua.nn.ReLU6: tlua.nn.Module

---x between 0 and 6.
---@return tlua.nn.ReLU6
function nn.ReLU6() end

---@class tlua.nn.SiLU: tlua.nn.Module

---x sigmoid(x).
---@return tlua.nn.SiLU
function nn.SiLU() end

---@class tlua.nn.GELU: tlua.nn.Module

---x times the normal distribution's share below x.
---@param options? { approximate?: "none"|"tanh" }
---@return tlua.nn.GELU
function nn.GELU(options) end

---@class tlua.nn.Sigmoid: tlua.nn.Module

---1 / (1 + exp(-x)).
---@return tlua.nn.Sigmoid
function nn.Sigmoid() end

---@class tlua.nn.Tanh: tlua.nn.Module

---Hyperbolic tangent.
---@return tlua.nn.Tanh
function nn.Tanh() end

---@class tlua.nn.Hardswish: tlua.nn.Module

---x relu6(x + 3) / 6.
---@return tlua.nn.Hardswish
function nn.Hardswish() end

---@class tlua.nn.Hardsigmoid: tlua.nn.Module

---relu6(x + 3) / 6.
---@return tlua.nn.Hardsigmoid
function nn.Hardsigmoid() end

---@class tlua.nn.LeakyReLU: tlua.nn.Module

---x where positive, else slope times x.
---@param slope? number
---@param options? { slope?: number }
---@return tlua.nn.LeakyReLU
function nn.LeakyReLU(slope, options) end

---@class tlua.nn.Softmax: tlua.nn.Module

---Exponentials that sum to one along a dimension.
---@param options? { axis?: integer }
---@return tlua.nn.Softmax
function nn.Softmax(options) end

---@class tlua.nn.Sequential: tlua.nn.Module

---One after the other. seq:at(1) is the first, seq:append(m) adds one; names in files count from 0.
---@param ... tlua.nn.Module
---@return tlua.nn.Sequential
function nn.Sequential(...) end

---@class tlua.nn.ModuleList: tlua.nn.Module

---A list of modules that its owner calls one by one.
---@param ... tlua.nn.Module
---@return tlua.nn.ModuleList
function nn.ModuleList(...) end

---@class tlua.nn.Graph: tlua.nn.Module

---The network of a model file or a run's folder, made from the calls in it, whoever wrote it. Its parameters have the names of the file, and train. cut = "layer3": up to that value, call or stage (tlua inspect FILE --cut-points lists them). logits: without a softmax at its end. random: its parameters are drawn.
---@param path string
---@param options? { cut?: string, logits?: boolean, random?: boolean }
---@return tlua.nn.Graph
function nn.Graph(path, options) end

---A class of modules of your own: local Block = nn.class "Block", with Block:init(...) and Block:forward(x).
---@param name string
---@param base? table
---@return table
function nn.class(name, base) end

---Is v a module?
---@param v any
---@return boolean
function nn.is_module(v) end

-- losses

---@class tlua.nn.CrossEntropy: tlua.nn.Module

---Cross entropy of logits (N, C) with labels (N) from 0, or with shares of the classes (N, C).
---- `weight`: a number for each class, or auto: the rarer a class, the more its pictures count
---- `label_smoothing` = 0: share of the target spread over all classes
---- `ignore_index` = -100: a label that does not count
---- `reduction` = "mean": how the losses of a batch become one number
---@param options? { weight?: number[]|"auto", label_smoothing?: number, ignore_index?: integer, reduction?: "mean"|"sum"|"none" }
---@return tlua.nn.CrossEntropy
function nn.CrossEntropy(options) end

---@class tlua.nn.FocalLoss: tlua.nn.Module

---Cross entropy that counts less what is right already: -w (1 - p)^gamma log p.
---- `gamma` = 2: how much less pictures count that are right already
---- `weight`: a number for each class, or auto: the rarer a class, the more its pictures count
---- `ignore_index` = -100: a label that does not count
---- `reduction` = "mean": how the losses of a batch become one number
---@param options? { gamma?: number, weight?: number[]|"auto", ignore_index?: integer, reduction?: "mean"|"sum"|"none" }
---@return tlua.nn.FocalLoss
function nn.FocalLoss(options) end

---@class tlua.nn.MSELoss: tlua.nn.Module

---The mean of (x - target)^2.
---- `reduction` = "mean": how the losses of a batch become one number
---@param options? { reduction?: "mean"|"sum"|"none" }
---@return tlua.nn.MSELoss
function nn.MSELoss(options) end

---@class tlua.nn.SmoothL1Loss: tlua.nn.Module

---(x - target)^2 / (2 beta) near the target, |x - target| - beta / 2 further away.
---- `beta` = 1: from which distance on it is straight
---- `reduction` = "mean": how the losses of a batch become one number
---@param options? { beta?: number, reduction?: "mean"|"sum"|"none" }
---@return tlua.nn.SmoothL1Loss
function nn.SmoothL1Loss(options) end

---@class tlua.nn.BCEWithLogits: tlua.nn.Module

---Binary cross entropy of logits, each with a target from 0 to 1.
---- `pos_weight`: weight of the ones: a number, or one for each class
---- `reduction` = "mean": how the losses of a batch become one number
---@param options? { pos_weight?: number|number[], reduction?: "mean"|"sum"|"none" }
---@return tlua.nn.BCEWithLogits
function nn.BCEWithLogits(options) end

---@class tlua.nn.CTCLoss: tlua.nn.Module

---Connectionist temporal classification (Graves et al. 2006), as PyTorch's CTCLoss but with the clips first: loss(logits, targets, input_lengths?, target_lengths?) with logits (N, T, K), or their log_softmax, and targets (N, L) int32 from 0. Of clip n count input_lengths[n] frames and target_lengths[n] labels.
---- `blank` = 0: the class that stands for no label
---- `zero_infinity` = false: a target that its frames cannot say has a loss of 0 instead of infinity
---- `reduction` = "mean": how the losses of a batch become one number
---@param options? { blank?: integer, zero_infinity?: boolean, reduction?: "mean"|"sum"|"none" }
---@return tlua.nn.CTCLoss
function nn.CTCLoss(options) end

---@class tlua.nn.SigmoidFocalLoss: tlua.nn.Module

---Binary cross entropy that counts less what is right already.
---- `alpha` = 0.25: weight of the ones, 1 - alpha that of the zeros; negative: no weights
---- `gamma` = 2: how much less elements count that are right already
---- `reduction` = "mean": how the losses of a batch become one number
---@param options? { alpha?: number, gamma?: number, reduction?: "mean"|"sum"|"none" }
---@return tlua.nn.SigmoidFocalLoss
function nn.SigmoidFocalLoss(options) end

---@class tlua.nn.Dice: tlua.nn.Module

---One minus the Dice coefficient of each class, of maps (N, H, W, K) and labels (N, H, W), or of volumes (N, D, H, W, K).
---- `over` = "all": mean over all classes, of which those that do not occur have no loss, or over those that are present
---- `background` = true: does class 0 count
---- `log` = false: minus the logarithm of the coefficient instead of one minus it
---- `smooth` = 0: added to numerator and denominator
---- `eps` = 1e-07: the least denominator
---- `weight`: a number for each class, or auto: the rarer a class, the more its pictures count
---- `ignore_index` = -100: a label that does not count
---@param options? { over?: "all"|"present", background?: boolean, log?: boolean, smooth?: number, eps?: number, weight?: number[]|"auto", ignore_index?: integer }
---@return tlua.nn.Dice
function nn.Dice(options) end

---@class tlua.nn.Tversky: tlua.nn.Module

---The same with shares of its own for what is seen and not there and what is there and not seen, tp / (tp + alpha fp + beta fn).
---- `alpha` = 0.5: share of what is seen and not there
---- `beta` = 0.5: share of what is there and not seen
---- `gamma` = 1: power of the mean
---- `over` = "all": mean over all classes, of which those that do not occur have no loss, or over those that are present
---- `background` = true: does class 0 count
---- `log` = false: minus the logarithm of the coefficient instead of one minus it
---- `smooth` = 0: added to numerator and denominator
---- `eps` = 1e-07: the least denominator
---- `weight`: a number for each class, or auto: the rarer a class, the more its pictures count
---- `ignore_index` = -100: a label that does not count
---@param options? { alpha?: number, beta?: number, gamma?: number, over?: "all"|"present", background?: boolean, log?: boolean, smooth?: number, eps?: number, weight?: number[]|"auto", ignore_index?: integer }
---@return tlua.nn.Tversky
function nn.Tversky(options) end

---@class tlua.nn.DeepSupervision: tlua.nn.Module

---A loss of maps of several sizes, each half the one before: its mean with weights 1, 1/2, 1/4 and so on.
---@param loss tlua.nn.Module
---@return tlua.nn.DeepSupervision
function nn.DeepSupervision(loss) end

---@class tlua.nn.Sum: tlua.nn.Module

---A sum of losses: nn.Sum { nn.CrossEntropy {}, { nn.Dice {}, 0.5 } }, or nn.CrossEntropy {} + 0.5 * nn.Dice {}. It counts pictures.
---@param ... any
---@return tlua.nn.Sum
function nn.Sum(...) end

-- modules

---What the module computes; net(x) calls it.
---@param x tlua.Tensor
---@param ... any
---@return tlua.Tensor
function Module:forward(x, ...) end

---Iterates name and tensor of all parameters: for name, p in net:parameters() do ... end.
---@return fun(): string, tlua.Tensor
function Module:parameters() end

---Iterates name and tensor of what is kept but not trained (running statistics).
---@return fun(): string, tlua.Tensor
function Module:buffers() end

---Iterates both.
---@return fun(): string, tlua.Tensor
function Module:named_tensors() end

---Iterates name and module of all below, itself first.
---@return fun(): string, tlua.nn.Module
function Module:modules() end

---The module of a name like "layer4.0.conv1".
---@param path string
---@return tlua.nn.Module?
function Module:find(path) end

---How many numbers are in its parameters: all, and those that are trained.
---@return integer, integer
function Module:count() end

---Training from now on: dropout drops, batch norms use the batch.
---@param on? boolean
---@return tlua.nn.Module
function Module:train(on) end

---Inference from now on.
---@return tlua.nn.Module
function Module:eval() end

---The parameters that the globs match keep their values: net:freeze "layer1.*". { "*", batchnorm = "train" }: batch norms go on using the batch.
---@param globs string|string[]|table
---@return tlua.nn.Module
function Module:freeze(globs) end

---They are trained again.
---@param globs? string|string[]
---@return tlua.nn.Module
function Module:unfreeze(globs) end

---Adapters of low rank (LoRA) beside layers; all else is frozen then but the head: net:add_lora { on = "*.query,*.value", rank = 8, alpha = 16 }. Also dropout, rs (rsLoRA), or from, a folder of PEFT's or of a run.
---@param options table
---@return tlua.nn.Module
function Module:add_lora(options) end

---Adapters become part of the weights and are taken away: W + scale B A.
---@return tlua.nn.Module
function Module:merge_lora() end

---Writes adapters and what else is trained, the head, as PEFT loads them. trained: names that were trained; task: PEFT's task_type; base: what it notes as the base.
---@param folder string
---@param options? { trained?: table<string, boolean>, task?: string, base?: string }
function Module:save_lora(folder, options) end

---Batch norms use and keep their running statistics in training too; false: no longer.
---@param on? boolean
---@return tlua.nn.Module
function Module:keep_statistics(on) end

---The parameters that are trained, and their names.
---@return tlua.Tensor[], string[]
function Module:trained() end

---The gradients by name.
---@return table<string, tlua.Tensor>
function Module:gradients() end

---Forgets the gradients.
function Module:zero_grad() end

---All tensors by PyTorch's names, in PyTorch's layouts.
---@return table<string, tlua.Tensor>
function Module:state_dict() end

---Takes the tensors of a file or table; tells what was missing and left over. key: a part of a checkpoint, like "ema". strict = false: takes what fits.
---@param source string|table<string, tlua.Tensor>
---@param options? { strict?: boolean, head?: string, key?: string, what?: string, whole?: boolean }
---@return table
function Module:load(source, options) end

---Writes its tensors for other programs: PyTorch takes them with load_state_dict(strict=True).
---@param path string
---@param metadata? table<string, string>
function Module:save(path, metadata) end

---Makes the tensors that are not there yet; calling the module does it too.
---@return tlua.nn.Module
function Module:ready() end

---Declares a parameter in init: { "uniform", low, high }, { "normal", mean, deviation } or { "constant", value }.
---@param name string
---@param shape integer[]
---@param initial table
function Module:parameter(name, shape, initial) end

---Declares a tensor that is kept but not trained.
---@param name string
---@param shape integer[]
---@param initial table
function Module:buffer(name, shape, initial) end

---What the rows of a network that finds boxes mean: strides, form ("offsets" or "distribution"), bins, objectness.
---@return table
function Detector:levels() end

---Has it batch norms without statistics, since the ONNX file of its weights had them folded into convolutions?
---@return boolean
function Detector:wants_statistics() end

---Measures these, by inputs (N, H, W, C) that the iterator gives, and leaves the answers as they are: how many norms, and pictures. Runs of recipes do it by themselves; in an open loop it stands before the first step.
---@param batches function
---@return integer, integer
function Detector:measure_statistics(batches) end

---What a network of texts gives from now on: a row a text, a row a piece, or the rows that encoder:vocabulary asks for words. head: the name of that of pieces, "classifier" or "qa_outputs".
---@param what "vector"|"frames"|"vocabulary"
---@param head? string
---@return tlua.nn.Module
function Encoder:give(what, head) end

---Another number of words: rows of the table are kept, new ones are the mean of those there are.
---@param n integer
---@return tlua.nn.Module
function Encoder:resize_vocabulary(n) end

---The logits of all words for rows of pieces (M, width), by the head of masked or next words and the table of words itself.
---@param rows tlua.Tensor
---@return tlua.Tensor
function Encoder:vocabulary(rows) end

-- optimisers

---Stochastic gradient descent with momentum. With options alone it describes one for a recipe, with parameters it makes one.
---- `lr` = 0.01: learning rate
---- `momentum` = 0: share of the last step that is kept
---- `nesterov` = false: Nesterov's form of momentum
---- `weight_decay` = 0: weight decay
---@param options? { lr?: number, momentum?: number, nesterov?: boolean, weight_decay?: number }
---@overload fun(params: tlua.nn.Module|tlua.Tensor[]|table[], options?: { lr?: number, momentum?: number, nesterov?: boolean, weight_decay?: number }): tlua.Optimizer
---@return table
function optim.SGD(options) end

---Adam: running means of gradient and square (Kingma and Ba 2015).
---- `lr` = 0.001: learning rate
---- `betas` = { 0.9, 0.999 }: decay of the running means of gradient and square
---- `eps` = 1e-08: added to the denominator
---- `weight_decay` = 0: weight decay
---@param options? { lr?: number, betas?: number|number[], eps?: number, weight_decay?: number }
---@overload fun(params: tlua.nn.Module|tlua.Tensor[]|table[], options?: { lr?: number, betas?: number|number[], eps?: number, weight_decay?: number }): tlua.Optimizer
---@return table
function optim.Adam(options) end

---Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).
---- `lr` = 0.001: learning rate
---- `betas` = { 0.9, 0.999 }: decay of the running means of gradient and square
---- `eps` = 1e-08: added to the denominator
---- `weight_decay` = 0.01: weight decay, apart from the gradient
---@param options? { lr?: number, betas?: number|number[], eps?: number, weight_decay?: number }
---@overload fun(params: tlua.nn.Module|tlua.Tensor[]|table[], options?: { lr?: number, betas?: number|number[], eps?: number, weight_decay?: number }): tlua.Optimizer
---@return table
function optim.AdamW(options) end

---The gradient divided by the running root of its square.
---- `lr` = 0.01: learning rate
---- `alpha` = 0.99: decay of the running mean of squares
---- `eps` = 1e-08: added to the denominator
---- `momentum` = 0: share of the last step that is kept
---- `centered` = false: divide by the gradient's deviation instead of its mean square
---- `weight_decay` = 0: weight decay
---@param options? { lr?: number, alpha?: number, eps?: number, momentum?: number, centered?: boolean, weight_decay?: number }
---@overload fun(params: tlua.nn.Module|tlua.Tensor[]|table[], options?: { lr?: number, alpha?: number, eps?: number, momentum?: number, centered?: boolean, weight_decay?: number }): tlua.Optimizer
---@return table
function optim.RMSprop(options) end

---Every element moves by the rate itself (Chen et al. 2023); rates are 3 to 10 times smaller than AdamW's.
---- `lr` = 0.0001: learning rate
---- `betas` = { 0.9, 0.99 }: shares of the running mean in the step, and in itself
---- `weight_decay` = 0: weight decay
---@param options? { lr?: number, betas?: number|number[], weight_decay?: number }
---@overload fun(params: tlua.nn.Module|tlua.Tensor[]|table[], options?: { lr?: number, betas?: number|number[], weight_decay?: number }): tlua.Optimizer
---@return table
function optim.Lion(options) end

---AdamW whose step of each parameter has that parameter's norm, for large batches (You et al. 2020).
---- `lr` = 0.001: learning rate
---- `betas` = { 0.9, 0.999 }: decay of the running means of gradient and square
---- `eps` = 1e-06: added to the denominator
---- `weight_decay` = 0: weight decay
---@param options? { lr?: number, betas?: number|number[], eps?: number, weight_decay?: number }
---@overload fun(params: tlua.nn.Module|tlua.Tensor[]|table[], options?: { lr?: number, betas?: number|number[], eps?: number, weight_decay?: number }): tlua.Optimizer
---@return table
function optim.LAMB(options) end

---A running average of the weights: ema:update() after each step, ema:swap() puts it into the network and back.
---@param opt tlua.Optimizer
---@param options? { decay?: number, ramp?: number, model?: tlua.nn.Module }
---@return table
function optim.ema(opt, options) end

---One step along the gradients.
function Optimizer:step() end

---Forgets the gradients.
function Optimizer:zero_grad() end

---The learning rate.
---@param group? integer
---@return number
function Optimizer:lr(group) end

---Another learning rate.
---@param rate number
---@param group? integer
function Optimizer:set_lr(rate, group) end

---The norm of the gradient.
---@param group? integer
---@return number
function Optimizer:grad_norm(group) end

---Scales the gradient down to this norm where it is larger; gives the norm before.
---@param most number
---@param group? integer
---@return number
function Optimizer:clip_grad_norm(most, group) end

---Multiplies the gradient.
---@param factor number
---@param group? integer
function Optimizer:scale_grad(factor, group) end

---Its moments and counts, for a file.
---@return table
function Optimizer:state() end

---Takes them up again.
---@param state table
function Optimizer:load_state(state) end

-- networks and data

---The network that a run has trained, with head and weights: path is the folder of the run, its model.safetensors or a checkpoint. One that its recipe wrote in Lua is an nn.Graph.
---@param path string
---@return tlua.nn.Module
function models.load(path) end

---The network of an ONNX file, of any framework: models.onnx { path = "net.onnx", cut = "layer3" }. It is opened when it is first looked into.
---- `path`: the file, or of models.graph the folder of a run
---- `hint`: how to get the file, said where it is missing
---- `cut`: the value that becomes the output: a name of tlua inspect FILE --cut-points
---- `head`: a module that becomes the head
---- `classes`: outputs of a new head, where the recipe gives none
---- `logits` = true: a softmax at its end is dropped: losses want what goes into it
---- `weights` = "file": those of the file, or none: all drawn at random
---- `input`: height and width of pictures, or one number for both, instead of the file's
---- `sizes`: sizes that the file leaves open, by its names for them, like { length = 128 }
---- `values`: inputs of the file that are one number, the same for ever, like { rate = 16000 }
---- `batchnorm` = "folded": fresh: new batch norms behind convolutions that an exporter has folded some into
---@param options? { path?: string, hint?: string, cut?: string, head?: tlua.nn.Module, classes?: integer, logits?: boolean, weights?: "file"|"none", input?: number|number[], sizes?: table<string, integer>, values?: table<string, number>, batchnorm?: "folded"|"fresh" }
---@return tlua.nn.Graph
function models.onnx(options) end

---The same of a model file of ours, or of a run's folder.
---- `path`: the file, or of models.graph the folder of a run
---- `hint`: how to get the file, said where it is missing
---- `cut`: the value that becomes the output: a name of tlua inspect FILE --cut-points
---- `head`: a module that becomes the head
---- `classes`: outputs of a new head, where the recipe gives none
---- `logits` = true: a softmax at its end is dropped: losses want what goes into it
---- `weights` = "file": those of the file, or none: all drawn at random
---@param options? { path?: string, hint?: string, cut?: string, head?: tlua.nn.Module, classes?: integer, logits?: boolean, weights?: "file"|"none" }
---@return tlua.nn.Graph
function models.graph(options) end

---The network of a folder as Hugging Face lays it out: models.from_folder { path = FOLDER, classes = 40 }. Other fields are options of the network. BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA, DistilBERT, GPT-2 and wav2vec 2.0.
---@param options string|table
---@return tlua.nn.Module
function models.from_folder(options) end

---The networks there are; models.resnet18 { weights = "imagenet", classes = 10 } makes one.
---@return string[]
function models.names() end

---The same with parameters, multiply-adds, picture sizes and published weights.
---@return table[]
function models.list() end

---Describes a network by its name.
---@param name string
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.build(name, options) end

---CIFAR-10, downloaded where no root is named.
---- `root`: folder where the data lie
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { root?: string, channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.cifar10(options) end

---CIFAR-100, downloaded where no root is named.
---- `root`: folder where the data lie
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { root?: string, channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.cifar100(options) end

---MNIST from a folder.
---- `root`: folder where the data lie
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { root?: string, channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.mnist(options) end

---Fashion-MNIST from a folder, or of the Debian package dataset-fashion-mnist.
---- `root`: folder where the data lie
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { root?: string, channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.fashion_mnist(options) end

---Pictures in a folder for each class.
---- `root`: folder where the data lie
---- `classes`: these folders alone, as classes in this order (all of them, by name)
---- `split`: share held out for testing where there is no folder test; 0.2 where nothing is said
---- `group`: Lua pattern that finds in a picture's path whose it is: pictures of one patient, field or camera are held out together
---- `decode` = "whole": reduced: large JPEGs are decoded at 1/2, 1/4 or 1/8, with twice the pixels that are needed at least
---- `on_bad` = "error": what a damaged picture means
---- `private` = false: what a run writes names samples by salted identifiers, and no path; identifiers.csv in its folder says whose they are
---- `strip_corners`: each corner of so much of the height and the width becomes black, for the network and in all that is shown: text of patients is burnt in there (none)
---- `doubles` = "say": pictures that look nearly the same in training and in test or validation: named, kept on one side, left out of the training, or not looked for
---- `near` = 3: how many of 64 bits of their difference hashes may differ; 0: none
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { root?: string, classes?: string|string[], split?: number, group?: string, decode?: "whole"|"reduced", on_bad?: "error"|"skip", private?: boolean, strip_corners?: number, doubles?: "say"|"apart"|"drop"|"off", near?: integer, channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.folder(options) end

---A CSV of pictures and targets: one class, several findings, or numbers.
---- `path`: the CSV file: a line for each picture, the first with the names of the columns
---- `image`: column with the pictures' files, relative to the CSV's folder
---- `target`: column, or columns, with what is to be learnt
---- `group`: column that says whose a picture is: pictures of one patient, field or camera stay in one part
---- `part`: column that says which part a picture belongs to: train, validation or test
---- `attributes`: columns, like sex,age,scanner, for each of whose values the report has figures
---- `root`: folder that the files are relative to (the CSV's own)
---- `private` = false: what a run writes names samples by salted identifiers, and no path; identifiers.csv in its folder says whose they are
---- `strip_corners`: each corner of so much of the height and the width becomes black, for the network and in all that is shown: text of patients is burnt in there (none)
---- `doubles` = "say": pictures that look nearly the same in training and in test or validation: named, kept on one side, left out of the training, or not looked for
---- `near` = 3: how many of 64 bits of their difference hashes may differ; 0: none
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { path?: string, image?: string, target?: string|string[], group?: string, part?: string, attributes?: string|string[], root?: string, private?: boolean, strip_corners?: number, doubles?: "say"|"apart"|"drop"|"off", near?: integer, split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.csv(options) end

---Pictures with masks, for task.segment.
---- `root`: folder with images and masks, or with such folders in train, validation and test
---- `classes`: names of what the masks' values 0, 1, ... mean (the lines of classes.txt)
---- `values`: the value of each class in the masks (0, 1, 2, ...)
---- `group`: Lua pattern that finds in a picture's path whose it is: those of one patient stay in one part
---- `private` = false: what a run writes names samples by salted identifiers, and no path; identifiers.csv in its folder says whose they are
---- `strip_corners`: each corner of so much of the height and the width becomes black, for the network and in all that is shown: text of patients is burnt in there (none)
---- `doubles` = "say": pictures that look nearly the same in training and in test or validation: named, kept on one side, left out of the training, or not looked for
---- `near` = 3: how many of 64 bits of their difference hashes may differ; 0: none
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { root?: string, classes?: string|string[], values?: number|number[], group?: string, private?: boolean, strip_corners?: number, doubles?: "say"|"apart"|"drop"|"off", near?: integer, split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.masks(options) end

---Pictures and targets that are tensors, or lie in a .safetensors, .npz or .npy file.
---- `path`: a .safetensors, .npz or .npy file with the tensors; without it they are given themselves
---- `images`: tensor (N, H, W, C), or its name in the file
---- `labels`: class numbers (N) from 0, or their name in the file
---- `values`: numbers (N) or (N, K), or their name in the file
---- `test_images`: the same for testing; without them a part is held out
---- `test_labels`: their class numbers
---- `test_values`: their numbers
---- `validation_images`: the same for validation, beside those for testing
---- `validation_labels`: their class numbers
---- `validation_values`: their numbers
---- `classes`: names of the classes (their numbers)
---- `value_names`: names of the numbers
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { path?: string, images?: tlua.Tensor|table|string, labels?: tlua.Tensor|table|string, values?: tlua.Tensor|table|string, test_images?: tlua.Tensor|table|string, test_labels?: tlua.Tensor|table|string, test_values?: tlua.Tensor|table|string, validation_images?: tlua.Tensor|table|string, validation_labels?: tlua.Tensor|table|string, validation_values?: tlua.Tensor|table|string, classes?: string|string[], value_names?: string|string[], split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.tensors(options) end

---Samples that a Lua function gives, one by one on the main thread: for small things.
---- `count`: how many samples there are
---- `get`: function: number from 1 -> { image = path or tensor, label = class number or values = numbers, mask = ... }
---- `classes`: names of the classes
---- `value_names`: names of the numbers
---- `key`: names what get gives: features are kept on disk under it; without a key they are not
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { count?: integer, get?: function, classes?: string|string[], value_names?: string|string[], key?: string, split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.custom(options) end

---A folder as it comes from a scanner: slices as pictures, with labels from a CSV or folders; patients stay in one part.
---- `root`: folder with the files, in any order and depth
---- `unit` = "picture": what a sample is: a slice, or a series as a volume
---- `labels`: a CSV with what is to be learnt, a line for each patient, study, series or file; without it the folders are classes
---- `by`: what a line of labels is about (patient)
---- `key`: column of labels that says whose a line is (the one that is called as such columns are)
---- `target`: column, or columns, with what is to be learnt
---- `part`: column that says which part a sample belongs to: train, validation or test
---- `masks`: folder with masks, which may be root: DICOM SEG objects, and NIfTI volumes called as the series' folders
---- `classes`: names of what the masks' values 0, 1, ... mean (background and the segments)
---- `values`: the value of each class in NIfTI masks (0, 1, 2, ...)
---- `unmatched`: what pictures without a line or mask, and lines without pictures, mean (error)
---- `windows`: which values are seen, each window a channel: file (the file's own, as where nothing is said), range, lung, bone, brain, soft, or centre/width
---- `neighbours`: slices of the series on each side that are channels too (none)
---- `modality`: of the series that are taken, like CT,MR (all pictures)
---- `series`: which of a study's series: all, most (that of most slices), a number, or words of the description (all)
---- `every` = 1: of a series every so many-th slice
---- `group` = "patient": what stays in one part
---- `private` = true: what a run writes names samples by salted identifiers, and no path; identifiers.csv in its folder says whose they are
---- `strip_corners`: each corner of so much of the height and the width becomes black, for the network and in all that is shown: text of patients is burnt in there (none)
---- `doubles` = "say": pictures that look nearly the same in training and in test or validation: named, kept on one side, left out of the training, or not looked for
---- `near` = 3: how many of 64 bits of their difference hashes may differ; 0: none
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch`: pictures (64) or volumes (2) a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `gaps`: volume: slices that are missing are an error, or between their neighbours (error)
---- `repeated`: volume: slices at the place of another are an error, or the first is taken (error)
---- `nan`: volume: voxels that are not finite are an error, or count as 0
---- `orientation`: volume: where columns, rows and slices grow to, like LPS; "file": each file's own (the network's, else RAS)
---- `spacing`: volume: mm between columns, rows and slices, or one number; volumes are resampled to it (the network's, else the file's)
---- `normalise`: volume: values by each volume's own: zscore: mean 0, deviation 1; nonzero: so of what is not 0; range: 0 to 1; quantiles: 0 to 1 between two (zscore where there is no window)
---- `quantiles`: volume: per cent that become 0 and 1 where it goes by quantiles (0.5, 99.5)
---- `patch`: volume: slices, rows, columns, or one number: training takes such parts of the volumes
---- `patches`: volume: patches of each volume and epoch (4)
---- `overlap`: volume: share of a patch that the next has too where whole volumes are tested (0.5)
---- `keep`: volume: memory in which volumes stay decoded from epoch to epoch; those beyond are read again
---@param options? { root?: string, unit?: "picture"|"volume", labels?: string, by?: "patient"|"study"|"series"|"file", key?: string, target?: string|string[], part?: string, masks?: string, classes?: string|string[], values?: number|number[], unmatched?: "error"|"skip", windows?: string|table, neighbours?: integer, modality?: string|string[], series?: string, every?: integer, group?: "patient"|"study"|"series"|"none", private?: boolean, strip_corners?: number, doubles?: "say"|"apart"|"drop"|"off", near?: integer, split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean, gaps?: "error"|"fill", repeated?: "error"|"first", nan?: "error"|"zero", orientation?: string, spacing?: number|number[], normalise?: "zscore"|"nonzero"|"range"|"quantiles"|"none", quantiles?: number|number[], patch?: number|number[], patches?: integer, overlap?: number, keep?: string|number }
---@return table
function data.dicom(options) end

---Volumes from NIfTI files, with masks, classes or numbers from folders or a table, whole or in patches.
---- `root`: folder with images and masks, or imagesTr and labelsTr, or with a folder of volumes for each class; or such folders in train, validation and test; of a table: what its files are relative to (its own folder)
---- `path`: a table instead: a line for each volume, the first with the names of the columns
---- `image`: column with the files (image); of several columns each is a channel
---- `mask`: column with the files of masks
---- `target`: column with the class, or columns with numbers, that is to be learnt
---- `part`: column that says which part a volume belongs to: train, validation or test
---- `attributes`: columns that figures are also told by: sex, age, scanner
---- `group`: column, or without a table a Lua pattern in paths, that says whose a volume is: those of one patient stay in one part
---- `private` = true: what a run writes names samples by salted identifiers, and no path; identifiers.csv in its folder says whose they are
---- `classes`: names of the classes, of labels or of what masks mean
---- `values`: the values of each class in the masks, one or a list each: { 0, { 1, 2 }, 3 } (0, 1, 2, ...)
---- `rest` = "error": what values mean that no class has
---- `parts`: of files with 4 dimensions: all parts as channels, or the first alone (an error)
---- `nan` = "error": voxels that are not finite are an error, or count as 0
---- `orientation`: where columns, rows and slices grow to, like LPS; "file": each file's own (the network's, else RAS)
---- `spacing`: mm between columns, rows and slices, or one number; volumes are resampled to it (the network's, else the file's)
---- `windows`: which values become 0 to 1, each window a channel: lung, bone, brain, soft, or centre/width
---- `normalise`: values by each volume's own: zscore: mean 0, deviation 1; nonzero: so of what is not 0; range: 0 to 1; quantiles: 0 to 1 between two (zscore where there is no window)
---- `quantiles`: per cent that become 0 and 1 where it goes by quantiles (0.5, 99.5)
---- `size`: slices, rows, columns, or one number: the middle of each volume, zeros around what is smaller (whole volumes)
---- `patch`: slices, rows, columns, or one number: training takes such parts of the volumes
---- `patches`: patches of each volume and epoch (4)
---- `foreground`: share of patches around a voxel of a class that is not the background (0.33 where there are masks)
---- `overlap`: share of a patch that the next has too where whole volumes are tested (0.5)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `validation`: share of the training volumes held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test volumes out and keep to limits (the run's seed)
---- `batch` = 2: volumes or patches a step; auto: what the memory allows
---- `limit`: at most so many training volumes (all)
---- `test_limit`: at most so many test volumes (a fifth of limit, else all)
---- `per_class`: at most so many training volumes of each class, drawn by the seed (all)
---- `keep` = "4 GB": memory in which volumes stay decoded from epoch to epoch; those beyond are read again
---- `threads` = 0: threads that read volumes; 0: one a processor
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `on_bad` = "error": what a volume that cannot be used means
---@param options? { root?: string, path?: string, image?: string|string[], mask?: string, target?: string|string[], part?: string, attributes?: string|string[], group?: string, private?: boolean, classes?: string|string[], values?: table, rest?: "error"|"background"|"ignored", parts?: "channels"|"first", nan?: "error"|"zero", orientation?: string, spacing?: number|number[], windows?: string|table, normalise?: "zscore"|"nonzero"|"range"|"quantiles"|"none", quantiles?: number|number[], size?: number|number[], patch?: number|number[], patches?: integer, foreground?: number, overlap?: number, split?: number, validation?: number, split_seed?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, keep?: string|number, threads?: integer, drop_last?: boolean, on_bad?: "error"|"skip" }
---@return table
function data.nifti(options) end

---Pictures with boxes in the JSON of COCO: annotations is the training part, or all of which a share is held out.
---- `annotations`: the JSON of COCO's form: all pictures, or with test_annotations the training part
---- `validation_annotations`: another JSON, which is the validation part
---- `test_annotations`: another JSON, which is the test part
---- `root`: folder with the pictures (that of the JSON, or images beside it)
---- `group`: Lua pattern that finds in a picture's path whose it is: pictures of one field, patient or camera stay in one part
---- `classes`: names of the classes, in this order (the data's own)
---- `background` = "error": what a picture without a box means: a fault of the labels; keep: it shows nothing to find; skip: it is left out
---- `faults` = "error": what labels that cannot be right mean: an error that counts them; skip: they are left out, and the plan says so
---- `least_visible` = 0.1: share of its area that a box keeps where training pictures are cut; with less it is dropped
---- `tiles`: side and overlap in pixels of tiles that pictures are cut into, each a sample of its own (none: whole pictures)
---- `mosaic`: share of the training samples that are mosaics: four pictures around a point, and an affine map of them (0)
---- `mosaic_rotate`: of a mosaic: turned by up to so many degrees either way, or from and to (10)
---- `mosaic_translate`: moved by up to these shares of width and height (0.1)
---- `mosaic_scale`: enlarged by a factor, from and to (0.5 to 1.5)
---- `mosaic_shear`: sheared along x by up to so many degrees, or from and to; then the same along y (2)
---- `mixup`: share of the mosaics that are mixed by half with another picture, the boxes of both (0)
---- `mixup_scale`: the other picture enlarged by a factor, from and to (0.5 to 1.5)
---- `close_mosaic`: no mosaics in so many last epochs (0)
---- `multi_scale`: least and greatest side of training pictures: each batch has one of the multiples of 32 between (none: all have `size`)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { annotations?: string, validation_annotations?: string, test_annotations?: string, root?: string, group?: string, classes?: string|string[], background?: "error"|"keep"|"skip", faults?: "error"|"skip", least_visible?: number, tiles?: number|number[]|false, mosaic?: number, mosaic_rotate?: number|number[]|false, mosaic_translate?: number|number[]|false, mosaic_scale?: number|number[]|false, mosaic_shear?: number|number[]|false, mixup?: number, mixup_scale?: number|number[]|false, close_mosaic?: integer, multi_scale?: number|number[]|false, split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.coco(options) end

---Pictures with boxes in the XML of Pascal VOC: Annotations, JPEGImages and ImageSets, or an XML beside each picture.
---- `root`: folder with Annotations, JPEGImages and ImageSets, or with pictures and an XML beside each
---- `group`: Lua pattern that finds in a picture's path whose it is: pictures of one field, patient or camera stay in one part
---- `classes`: names of the classes, in this order (the data's own)
---- `background` = "error": what a picture without a box means: a fault of the labels; keep: it shows nothing to find; skip: it is left out
---- `faults` = "error": what labels that cannot be right mean: an error that counts them; skip: they are left out, and the plan says so
---- `least_visible` = 0.1: share of its area that a box keeps where training pictures are cut; with less it is dropped
---- `tiles`: side and overlap in pixels of tiles that pictures are cut into, each a sample of its own (none: whole pictures)
---- `mosaic`: share of the training samples that are mosaics: four pictures around a point, and an affine map of them (0)
---- `mosaic_rotate`: of a mosaic: turned by up to so many degrees either way, or from and to (10)
---- `mosaic_translate`: moved by up to these shares of width and height (0.1)
---- `mosaic_scale`: enlarged by a factor, from and to (0.5 to 1.5)
---- `mosaic_shear`: sheared along x by up to so many degrees, or from and to; then the same along y (2)
---- `mixup`: share of the mosaics that are mixed by half with another picture, the boxes of both (0)
---- `mixup_scale`: the other picture enlarged by a factor, from and to (0.5 to 1.5)
---- `close_mosaic`: no mosaics in so many last epochs (0)
---- `multi_scale`: least and greatest side of training pictures: each batch has one of the multiples of 32 between (none: all have `size`)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { root?: string, group?: string, classes?: string|string[], background?: "error"|"keep"|"skip", faults?: "error"|"skip", least_visible?: number, tiles?: number|number[]|false, mosaic?: number, mosaic_rotate?: number|number[]|false, mosaic_translate?: number|number[]|false, mosaic_scale?: number|number[]|false, mosaic_shear?: number|number[]|false, mixup?: number, mixup_scale?: number|number[]|false, close_mosaic?: integer, multi_scale?: number|number[]|false, split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.voc(options) end

---Pictures with boxes in the text files of YOLO: folders images and labels, classes named by data.yaml or classes.txt.
---- `root`: folder with images and labels, and data.yaml, classes.txt or obj.names; parts are folders in it
---- `group`: Lua pattern that finds in a picture's path whose it is: pictures of one field, patient or camera stay in one part
---- `classes`: names of the classes, in this order (the data's own)
---- `background` = "error": what a picture without a box means: a fault of the labels; keep: it shows nothing to find; skip: it is left out
---- `faults` = "error": what labels that cannot be right mean: an error that counts them; skip: they are left out, and the plan says so
---- `least_visible` = 0.1: share of its area that a box keeps where training pictures are cut; with less it is dropped
---- `tiles`: side and overlap in pixels of tiles that pictures are cut into, each a sample of its own (none: whole pictures)
---- `mosaic`: share of the training samples that are mosaics: four pictures around a point, and an affine map of them (0)
---- `mosaic_rotate`: of a mosaic: turned by up to so many degrees either way, or from and to (10)
---- `mosaic_translate`: moved by up to these shares of width and height (0.1)
---- `mosaic_scale`: enlarged by a factor, from and to (0.5 to 1.5)
---- `mosaic_shear`: sheared along x by up to so many degrees, or from and to; then the same along y (2)
---- `mixup`: share of the mosaics that are mixed by half with another picture, the boxes of both (0)
---- `mixup_scale`: the other picture enlarged by a factor, from and to (0.5 to 1.5)
---- `close_mosaic`: no mosaics in so many last epochs (0)
---- `multi_scale`: least and greatest side of training pictures: each batch has one of the multiples of 32 between (none: all have `size`)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { root?: string, group?: string, classes?: string|string[], background?: "error"|"keep"|"skip", faults?: "error"|"skip", least_visible?: number, tiles?: number|number[]|false, mosaic?: number, mosaic_rotate?: number|number[]|false, mosaic_translate?: number|number[]|false, mosaic_scale?: number|number[]|false, mosaic_shear?: number|number[]|false, mixup?: number, mixup_scale?: number|number[]|false, close_mosaic?: integer, multi_scale?: number|number[]|false, split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.yolo(options) end

---Pictures with boxes in a table, a line for each box: file, left, top, right, bottom and class.
---- `path`: a table: a line for each box, the first with the names of the columns
---- `file` = "file": column with the pictures' files, relative to root
---- `left` = "left": column with the left edge in pixels
---- `top` = "top": column with the upper edge
---- `right` = "right": column with the right edge
---- `bottom` = "bottom": column with the lower edge
---- `target` = "class": column with the class
---- `part`: column that says which part a picture belongs to: train, validation or test
---- `group`: column that says whose a picture is: those of one stay in one part
---- `root`: folder that the files are relative to (the table's own)
---- `classes`: names of the classes, in this order (the data's own)
---- `background` = "error": what a picture without a box means: a fault of the labels; keep: it shows nothing to find; skip: it is left out
---- `faults` = "error": what labels that cannot be right mean: an error that counts them; skip: they are left out, and the plan says so
---- `least_visible` = 0.1: share of its area that a box keeps where training pictures are cut; with less it is dropped
---- `tiles`: side and overlap in pixels of tiles that pictures are cut into, each a sample of its own (none: whole pictures)
---- `mosaic`: share of the training samples that are mosaics: four pictures around a point, and an affine map of them (0)
---- `mosaic_rotate`: of a mosaic: turned by up to so many degrees either way, or from and to (10)
---- `mosaic_translate`: moved by up to these shares of width and height (0.1)
---- `mosaic_scale`: enlarged by a factor, from and to (0.5 to 1.5)
---- `mosaic_shear`: sheared along x by up to so many degrees, or from and to; then the same along y (2)
---- `mixup`: share of the mosaics that are mixed by half with another picture, the boxes of both (0)
---- `mixup_scale`: the other picture enlarged by a factor, from and to (0.5 to 1.5)
---- `close_mosaic`: no mosaics in so many last epochs (0)
---- `multi_scale`: least and greatest side of training pictures: each batch has one of the multiples of 32 between (none: all have `size`)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `on_bad` = "error": what a damaged picture means
---- `channels`: of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many
---- `size`: side of the pictures in pixels (the network's own)
---- `batch` = 64: pictures a step; auto: what the memory allows, up to 256
---- `limit`: at most so many training pictures (all)
---- `test_limit`: at most so many test pictures (a fifth of limit, else all)
---- `per_class`: at most so many training pictures of each class, drawn by the seed (all)
---- `validation`: share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test pictures out and keep to limits (the run's seed)
---- `threads` = 0: threads that read pictures; 0: one a processor
---- `fit`: stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it
---- `resize`: the shorter side before the crop (the weights' own)
---- `interpolation`: filter of the resize; linear: OpenCV's, of letterboxes alone
---- `mean`: subtracted from pixels in 0..1 (the weights' own)
---- `std`: then divided by (the weights' own)
---- `augment` = "none": random changes of training pictures: flips, or flips and crops
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---@param options? { path?: string, file?: string, left?: string, top?: string, right?: string, bottom?: string, target?: string, part?: string, group?: string, root?: string, classes?: string|string[], background?: "error"|"keep"|"skip", faults?: "error"|"skip", least_visible?: number, tiles?: number|number[]|false, mosaic?: number, mosaic_rotate?: number|number[]|false, mosaic_translate?: number|number[]|false, mosaic_scale?: number|number[]|false, mosaic_shear?: number|number[]|false, mixup?: number, mixup_scale?: number|number[]|false, close_mosaic?: integer, multi_scale?: number|number[]|false, split?: number, on_bad?: "error"|"skip", channels?: integer, size?: integer, batch?: integer|"auto", limit?: integer, test_limit?: integer, per_class?: integer, validation?: number, split_seed?: integer, threads?: integer, fit?: "stretch"|"shorter"|"letterbox", resize?: integer, interpolation?: "nearest"|"box"|"bilinear"|"bicubic"|"lanczos"|"linear", mean?: number|number[], std?: number|number[], augment?: "none"|"flip"|"standard", drop_last?: boolean }
---@return table
function data.boxes(options) end

---A table of recordings and what is said in them.
---- `path`: a table (TSV or CSV): a line for each recording, the first with the names of the columns
---- `file` = "file": column with the recordings, relative to root
---- `text` = "text": column with what is said
---- `part`: column that says which part a clip belongs to: train, validation or test
---- `root`: folder that the files are relative to (the table's own)
---- `group`: column, or for sounds a Lua pattern in paths, that says whose a clip is: a speaker's, a session's; those stay in one part
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `validation`: share of the training clips held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test clips out and keep to limits (the run's seed)
---- `rate`: samples a second that the network hears, where it does not say so itself
---- `seconds`: of each clip: longer ones are cut, at a random place in training, and shorter ones padded (the network's; none: whole)
---- `place` = "any": of what is cut: any place in training and the middle else, or the start of each clip, as of a drum
---- `trim`: silence at both ends is cut away where it is so many decibels below the loudest
---- `longest`: seconds; longer clips are left out, and counted
---- `shortest`: seconds; shorter clips are left out, and counted
---- `batch` = 16: clips a step, or as many as make so many seconds with their padding, like '60 s'
---- `limit`: at most so many training clips (all)
---- `test_limit`: at most so many test clips (a fifth of limit, else all)
---- `minutes`: at most so many minutes of training clips, drawn by the seed (all); fewer minutes are among more
---- `per_class`: at most so many training clips of each class, drawn by the seed (all)
---- `threads` = 0: threads that read clips; 0: one a processor
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `on_bad` = "error": what a damaged, empty or silent clip means
---@param options? { path?: string, file?: string, text?: string, part?: string, root?: string, group?: string, split?: number, validation?: number, split_seed?: integer, rate?: integer, seconds?: number, place?: "any"|"start", trim?: number, longest?: number, shortest?: number, batch?: integer|string, limit?: integer, test_limit?: integer, minutes?: number, per_class?: integer, threads?: integer, drop_last?: boolean, on_bad?: "error"|"skip" }
---@return table
function data.speech(options) end

---Sounds in a folder for each class, or with classes in their names.
---- `root`: folder with a folder of sounds for each class, or with such folders in train, validation and test
---- `label`: Lua pattern that finds the class in a sound's path, instead of folders; or a function: path -> class, nil where the sound is to be left out
---- `held_out`: groups that are the test part
---- `group`: column, or for sounds a Lua pattern in paths, that says whose a clip is: a speaker's, a session's; those stay in one part
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `validation`: share of the training clips held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split_seed`: of the draws that hold test clips out and keep to limits (the run's seed)
---- `rate`: samples a second that the network hears, where it does not say so itself
---- `seconds`: of each clip: longer ones are cut, at a random place in training, and shorter ones padded (the network's; none: whole)
---- `place` = "any": of what is cut: any place in training and the middle else, or the start of each clip, as of a drum
---- `trim`: silence at both ends is cut away where it is so many decibels below the loudest
---- `longest`: seconds; longer clips are left out, and counted
---- `shortest`: seconds; shorter clips are left out, and counted
---- `batch` = 16: clips a step, or as many as make so many seconds with their padding, like '60 s'
---- `limit`: at most so many training clips (all)
---- `test_limit`: at most so many test clips (a fifth of limit, else all)
---- `minutes`: at most so many minutes of training clips, drawn by the seed (all); fewer minutes are among more
---- `per_class`: at most so many training clips of each class, drawn by the seed (all)
---- `threads` = 0: threads that read clips; 0: one a processor
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `on_bad` = "error": what a damaged, empty or silent clip means
---@param options? { root?: string, label?: string|function, held_out?: string|string[], group?: string, split?: number, validation?: number, split_seed?: integer, rate?: integer, seconds?: number, place?: "any"|"start", trim?: number, longest?: number, shortest?: number, batch?: integer|string, limit?: integer, test_limit?: integer, minutes?: number, per_class?: integer, threads?: integer, drop_last?: boolean, on_bad?: "error"|"skip" }
---@return table
function data.sounds(options) end

---A table of texts, or pairs of texts, with classes or numbers: the network's tokenizer makes numbers of them.
---- `path`: a table (TSV or CSV): a line for each text, the first with the names of the columns; with `test` the training part
---- `text` = "text": column with the texts
---- `pair`: column with a second text of each, as in comparisons
---- `target` = "label": column, or columns, with what is to be learnt
---- `part`: column that says which part a text belongs to: train, validation or test
---- `group`: column that says whose a text is: those of one writer, article or thread stay in one part
---- `quotes` = "auto": double quotes around a cell: yes, they hold it together; no, they are letters; auto, letters where tabs separate
---- `test`: another file, which is the test part
---- `validation`: another file, or the share of the training texts held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `split_seed`: of the draws that hold test texts out and keep to limits (the run's seed)
---- `tokenizer`: a tokenizer.json or another form, or a folder with one (the network's own)
---- `longest`: pieces of a text at most, with those of the template; longer ones are cut, and counted (128, or what the network knows)
---- `cut`: what is cut of a pair that is longer: the longer of both, the first, the second (longest)
---- `batch` = 32: texts a step, or as many as have together so many pieces with padding, like '4096 pieces'
---- `buckets` = true: texts of about one length stand in a batch together, which leaves less to pad; else they come as they are drawn
---- `limit`: at most so many training texts (all)
---- `test_limit`: at most so many test texts (a fifth of limit, else all)
---- `per_class`: at most so many training texts of each class, drawn by the seed (all)
---- `threads` = 0: threads that make numbers of texts; 0: one a processor
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `on_bad` = "error": what an empty text means
---@param options? { path?: string, text?: string, pair?: string, target?: string|string[], part?: string, group?: string, quotes?: "auto"|"yes"|"no", test?: string, validation?: string|number, split?: number, split_seed?: integer, tokenizer?: string, longest?: integer, cut?: "longest"|"first"|"second", batch?: integer|string, buckets?: boolean, limit?: integer, test_limit?: integer, per_class?: integer, threads?: integer, drop_last?: boolean, on_bad?: "error"|"skip" }
---@return table
function data.texts(options) end

---Texts whose words have tags, a line for each word.
---- `path`: a file of columns: a line for each word, an empty one behind each sentence; with `test` the training part
---- `token` = "1": column with the words: its number (-1: the last), or its name in the first line
---- `tag` = "-1": column with what is to be learnt of each word
---- `between` = "space": what stands between the words of a text: a space, or nothing where words are single characters
---- `test`: another file, which is the test part
---- `validation`: another file, or the share of the training texts held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `split_seed`: of the draws that hold test texts out and keep to limits (the run's seed)
---- `tokenizer`: a tokenizer.json or another form, or a folder with one (the network's own)
---- `longest`: pieces of a text at most, with those of the template; longer ones are cut, and counted (128, or what the network knows)
---- `batch` = 32: texts a step, or as many as have together so many pieces with padding, like '4096 pieces'
---- `buckets` = true: texts of about one length stand in a batch together, which leaves less to pad; else they come as they are drawn
---- `limit`: at most so many training texts (all)
---- `test_limit`: at most so many test texts (a fifth of limit, else all)
---- `threads` = 0: threads that make numbers of texts; 0: one a processor
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `on_bad` = "error": what an empty text means
---- `stride`: texts that are longer become windows, each of which shares so many pieces with the one before
---@param options? { path?: string, token?: string, tag?: string, between?: "space"|"nothing", test?: string, validation?: string|number, split?: number, split_seed?: integer, tokenizer?: string, longest?: integer, batch?: integer|string, buckets?: boolean, limit?: integer, test_limit?: integer, threads?: integer, drop_last?: boolean, on_bad?: "error"|"skip", stride?: integer }
---@return table
function data.conll(options) end

---Texts whose spaces are to be found: each character a word.
---- `path`: a file with a text in each line, or a table; with `test` the training part
---- `text`: of a table (TSV or CSV): the column with the texts
---- `quotes` = "auto": double quotes around a cell of a table, as in data.texts
---- `test`: another file, which is the test part
---- `validation`: another file, or the share of the training texts held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `split_seed`: of the draws that hold test texts out and keep to limits (the run's seed)
---- `tokenizer`: a tokenizer.json or another form, or a folder with one (the network's own)
---- `longest`: pieces of a text at most, with those of the template; longer ones are cut, and counted (128, or what the network knows)
---- `batch` = 32: texts a step, or as many as have together so many pieces with padding, like '4096 pieces'
---- `buckets` = true: texts of about one length stand in a batch together, which leaves less to pad; else they come as they are drawn
---- `limit`: at most so many training texts (all)
---- `test_limit`: at most so many test texts (a fifth of limit, else all)
---- `threads` = 0: threads that make numbers of texts; 0: one a processor
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `on_bad` = "error": what an empty text means
---- `stride`: texts that are longer become windows, each of which shares so many pieces with the one before
---@param options? { path?: string, text?: string, quotes?: "auto"|"yes"|"no", test?: string, validation?: string|number, split?: number, split_seed?: integer, tokenizer?: string, longest?: integer, batch?: integer|string, buckets?: boolean, limit?: integer, test_limit?: integer, threads?: integer, drop_last?: boolean, on_bad?: "error"|"skip", stride?: integer }
---@return table
function data.spacing(options) end

---Questions about paragraphs, in the JSON of SQuAD and KorQuAD.
---- `path`: questions about paragraphs in the JSON of SQuAD 1.1, 2.0 or KorQuAD 1.0; with `test` the training part, else whole articles are held out
---- `test`: another file, which is the test part
---- `validation`: another file, or the share of the training texts held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `split_seed`: of the draws that hold test texts out and keep to limits (the run's seed)
---- `tokenizer`: a tokenizer.json or another form, or a folder with one (the network's own)
---- `longest`: pieces of a text at most, with those of the template; longer ones are cut, and counted (128, or what the network knows)
---- `batch` = 32: texts a step, or as many as have together so many pieces with padding, like '4096 pieces'
---- `buckets` = true: texts of about one length stand in a batch together, which leaves less to pad; else they come as they are drawn
---- `limit`: at most so many training texts (all)
---- `test_limit`: at most so many test texts (a fifth of limit, else all)
---- `threads` = 0: threads that make numbers of texts; 0: one a processor
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `on_bad` = "error": what an empty text means
---- `stride`: texts that are longer become windows, each of which shares so many pieces with the one before
---@param options? { path?: string, test?: string, validation?: string|number, split?: number, split_seed?: integer, tokenizer?: string, longest?: integer, batch?: integer|string, buckets?: boolean, limit?: integer, test_limit?: integer, threads?: integer, drop_last?: boolean, on_bad?: "error"|"skip", stride?: integer }
---@return table
function data.squad(options) end

---A file with a text in each line.
---- `path`: a file with a text in each line; with `test` the training part
---- `test`: another file, which is the test part
---- `validation`: another file, or the share of the training texts held out: what keeps the best, stops or lowers the rate looks at them (0.1 where something selects so and the data have no validation part)
---- `split`: share held out for testing where the data do not say which; 0.2 where nothing is said
---- `split_seed`: of the draws that hold test texts out and keep to limits (the run's seed)
---- `tokenizer`: a tokenizer.json or another form, or a folder with one (the network's own)
---- `longest`: pieces of a text at most, with those of the template; longer ones are cut, and counted (128, or what the network knows)
---- `batch` = 32: texts a step, or as many as have together so many pieces with padding, like '4096 pieces'
---- `buckets` = true: texts of about one length stand in a batch together, which leaves less to pad; else they come as they are drawn
---- `limit`: at most so many training texts (all)
---- `test_limit`: at most so many test texts (a fifth of limit, else all)
---- `threads` = 0: threads that make numbers of texts; 0: one a processor
---- `drop_last` = false: leave out the last batch of an epoch when it is smaller
---- `on_bad` = "error": what an empty text means
---- `stride`: texts that are longer become windows, each of which shares so many pieces with the one before
---@param options? { path?: string, test?: string, validation?: string|number, split?: number, split_seed?: integer, tokenizer?: string, longest?: integer, batch?: integer|string, buckets?: boolean, limit?: integer, test_limit?: integer, threads?: integer, drop_last?: boolean, on_bad?: "error"|"skip", stride?: integer }
---@return table
function data.lines(options) end

---Makes a transform in Lua for a recipe's transforms: { name, touches = {"input"}, schema, geometric, apply(options, batch) }, on batches of training tensors.
---@param definition table
---@return function
function data.transform(definition) end

-- tasks

---One class a picture; what a recipe learns where its data have classes. Of two `positive` is looked for, from a threshold on that the validation chooses.
---- `positive`: of two classes the one that is looked for: from a threshold on, chosen on the validation part, it is said to be there (the likelier class is)
---- `specificity`: that the threshold has on the validation part at least, with the best sensitivity (the largest sum of both)
---- `sensitivity`: the reverse
---- `threshold`: the probability itself, instead of one that is chosen
---@param options? { positive?: string, specificity?: number, sensitivity?: number, threshold?: number }
---@return table
function task.classify(options) end

---Several findings a picture, each there, not there or not known.
---- `threshold` = 0.5: probability from which on a finding is said to be there
---- `youden` = false: each finding has a threshold of its own with the largest sum of sensitivity and specificity on the validation part
---- `specificity`: the same with a specificity of at least so much
---- `sensitivity`: the same with a sensitivity of at least so much
---@param options? { threshold?: number, youden?: boolean, specificity?: number, sensitivity?: number }
---@return table
function task.multilabel(options) end

---Numbers of a picture.
---@param options? table
---@return table
function task.regress(options) end

---A class for each place of a picture.
---- `ignore` = 255: value in masks of pixels that do not count, beside 255
---- `background` = true: class 0 is the background, which mean figures leave out
---@param options? { ignore?: integer, background?: boolean }
---@return table
function task.segment(options) end

---Boxes round what is looked for, and what it is: networks as yolox_nano; figures are COCO's.
---- `confidence` = 0.25: from which on predict says a box
---- `choose` = false: the validation chooses the confidence of each class, where F1 is highest
---- `iou` = 0.65: of boxes that overlap more, the surest alone stays
---- `per_class` = true: only boxes of one class take each other out
---- `several` = false: a place may say several classes, each from its confidence on, and not the likeliest alone
---- `most` = 100: boxes that predict says of a picture
---- `box_loss`: of boxes: the network's own (YOLOX iou_squared, YOLOv8 ciou)
---- `box_weight`: of that loss (the network's own: 5; YOLOv8 7.5)
---- `class_weight`: of the loss of the classes (1; YOLOv8 0.5)
---- `distribution_weight` = 1.5: of YOLOv8's distribution focal loss
---- `focal` = 0: gamma of a focal loss of objects and classes in the place of the cross entropy; 0: none
---- `l1` = "none": YOLOX's loss of the four numbers themselves too: in the epochs in which mosaics are closed, as YOLOX has it, or always
---@param options? { confidence?: number, choose?: boolean, iou?: number, per_class?: boolean, several?: boolean, most?: integer, box_loss?: "iou"|"iou_squared"|"giou"|"diou"|"ciou", box_weight?: number, class_weight?: number, distribution_weight?: number, focal?: number, l1?: "none"|"closed"|"always" }
---@return table
function task.detect(options) end

---Speech to text, letter by letter.
---- `casing` = "lower": of letters: lower makes capitals small, keep learns both
---- `punctuation` = "drop": of the texts: it is learnt where it is kept
---- `digits` = "refuse": in the texts: an error, since they are not written as they are spoken; or learnt; or left out
---- `symbols` = "data": letters of the training texts, or the symbols that the network knows
---- `beam` = 1: how many texts a search follows when it predicts; 1: the likeliest symbol of each frame
---- `language` = 0: length of the runs of letters that are counted in the training texts and help that search; 0: none
---- `alpha` = 0.5: how much they count
---- `beta` = 1: what each symbol is worth beside them
---@param options? { casing?: "lower"|"keep", punctuation?: "drop"|"keep", digits?: "refuse"|"keep"|"drop", symbols?: "data"|"network", beam?: integer, language?: integer, alpha?: number, beta?: number }
---@return table
function task.ctc(options) end

---A class for each word of a text; tags of entities (B-PER, I-PER, O) are counted as entities.
---- `strict` = false: an entity begins with B alone, and other I's are none (seqeval's strict mode); else as conlleval
---@param options? { strict?: boolean }
---@return table
function task.tokens(options) end

---Answers that stand in a text: where they begin and end.
---- `longest_answer` = 30: pieces of an answer at most
---- `candidates` = 20: places that are looked at for where an answer begins and ends, and answers that are kept of them
---- `threshold` = 0: where data have questions without an answer: none is given where it is so much likelier than the best
---- `choose` = false: the threshold is chosen on the validation part, by F1
---@param options? { longest_answer?: integer, candidates?: integer, threshold?: number, choose?: boolean }
---@return table
function task.span(options) end

---Hidden words of texts, as in BERT's pretraining.
---- `share` = 0.15: of the pieces of a text that are hidden
---@param options? { share?: number }
---@return table
function task.masked(options) end

---The next piece of texts, for networks whose pieces see those before them alone.
---@param options? table
---@return table
function task.causal(options) end

---Whose voice it is: embeddings of clips, near each other where one speaker has both.
---- `enroll` = 3: clips by which each speaker of a test is known
---- `temperature` = 0.1: that cosines are divided by in the loss
---@param options? { enroll?: integer, temperature?: number }
---@return table
function task.verify(options) end

---Makes a task in Lua known; tlua/task/init.lua says what its table has. Gives its constructor.
---@param definition table
---@return function
function task.define(definition) end

-- pictures

---Opens what data.folder { ... } and its like describe, prepared as net:preprocessing() says: classes, train and test with count() and label(i). classes: their names in the order of a model. recipes/open_loop.lua shows it.
---@param description table
---@param preprocessing table
---@param seed? integer
---@param options? { classes?: string[], augment?: table, only_test?: boolean, whole?: boolean }
---@return table
function data.open(description, preprocessing, seed, options) end

---Batches of what data.open gave, made on threads: loader:start(epoch), then loader:next() gives pictures (N, H, W, C), labels (N) and N until the epoch is over.
---@param pictures table
---@param part "train"|"test"
---@param seed? integer
---@param options? { batch?: integer, shuffle?: boolean }
---@return table
function data.loader(pictures, part, seed, options) end

-- recipes

---A recipe: what is trained, on what and how. recipe:run() trains it, recipe:build() stops before the training; `tlua -i RECIPE.lua` does so at a prompt.
---- `freeze`: parameters that keep their values: globs of names
---- `train`: parameters that are trained, all others frozen: globs of names
---- `frozen` = "float32": how matrices and tables are held that no stage trains
---- `precision` = "float32": how results of layers are stored while it trains; mixed: float16, with a loss that is scaled
---- `loss_scale`: mixed: what the loss is multiplied by to begin with, a power of two (65536)
---- `scale_steps`: mixed: steps in a row without overflow after which that doubles (2000)
---- `seed` = 0: of all random draws
---- `out`: folder of the run (runs/NAME-DATE-N)
---- `device`: cpu, gpu, a number of `tlua devices` or a part of a name
---- `accumulate` = 1: batches whose gradients make one step
---- `clip`: largest norm of the gradient of a step
---- `ema` = 0: share that stays in each step of a running average of the weights; the average is what is tested and kept. 0: none
---- `ema_ramp` = 0: steps in which that share grows from 0: it is ema (1 - exp(-step / ema_ramp))
---- `decay_all` = false: weight decay of norms and biases too
---- `batchnorm` = "train": eval: trained batch norms too use their running statistics, which stay as they are; a number: their momentum
---- `recompute` = false: less memory: backward computes blocks of the network again
---- `stop_after` = 0: stop after so many epochs without a better test result; 0: never
---- `best`: what the best epoch is chosen by: loss, or a figure of the task (its first, like accuracy)
---- `keep` = "last": the model that is kept is that of the last epoch or of the best
---- `test_every` = 1: epochs from one test to the next; 0: only after the last
---- `log` = "none": beside metrics.csv: scalars of steps and epochs as TensorBoard reads them
---- `checkpoint` = 10: minutes between checkpoints in the middle of an epoch; 0: none
---- `cache` = "auto": keep the frozen part's outputs on disk: auto where they fit and nothing is random
---@param options? { model?: tlua.nn.Module, head?: tlua.nn.Module, data?: table, augment?: table, task?: table, transforms?: table[], loss?: tlua.nn.Module|function, optim?: table, schedule?: table, groups?: table, freeze?: string|string[]|fun(name: string): boolean, train?: string|string[]|fun(name: string): boolean, frozen?: "float32"|"float16"|"bfloat16", precision?: "float32"|"mixed"|"bfloat16", loss_scale?: number, scale_steps?: integer, seed?: integer, out?: string, device?: string, accumulate?: integer, clip?: number, ema?: number, ema_ramp?: number, decay_all?: boolean, batchnorm?: "train"|"eval"|number, recompute?: boolean|string|string[], stop_after?: integer, best?: string, keep?: "last"|"best", test_every?: integer, log?: "none"|"tensorboard", checkpoint?: number, cache?: boolean|"auto"|table }
---@return tlua.Recipe
function tlua.recipe(options) end

---A schedule of two stages, the head alone and then everything, for a recipe's `schedule`.
---- `epochs` = 4: with everything trained
---- `freeze_epochs` = 1: with the head alone
---- `lr` = 0.002: of the first stage; the second has half of it
---- `lowest` = 0.01: rate of the lowest stage of the network as a share of the head's
---@param options? { epochs?: integer, freeze_epochs?: integer, lr?: number, lowest?: number }
---@return table
function tlua.fine_tune(options) end

-- operators

---Minus `x`.
---PyTorch: -x. Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.neg(x) end

tlua.neg = ops.neg

---Minus `x`.
---PyTorch: -x. Gradient towards x.
---@return tlua.Tensor
function Tensor:neg() end

---e to the power `x`.
---PyTorch: torch.exp(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.exp(x) end

tlua.exp = ops.exp

---e to the power `x`.
---PyTorch: torch.exp(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:exp() end

---Natural logarithm of `x`.
---PyTorch: torch.log(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.log(x) end

tlua.log = ops.log

---Natural logarithm of `x`.
---PyTorch: torch.log(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:log() end

---Square root of `x`.
---PyTorch: torch.sqrt(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.sqrt(x) end

tlua.sqrt = ops.sqrt

---Square root of `x`.
---PyTorch: torch.sqrt(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:sqrt() end

---One over the square root of `x`.
---PyTorch: torch.rsqrt(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.rsqrt(x) end

tlua.rsqrt = ops.rsqrt

---One over the square root of `x`.
---PyTorch: torch.rsqrt(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:rsqrt() end

---`x` times itself.
---PyTorch: torch.square(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.square(x) end

tlua.square = ops.square

---`x` times itself.
---PyTorch: torch.square(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:square() end

---Absolute value of `x`.
---PyTorch: torch.abs(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.abs(x) end

tlua.abs = ops.abs

---Absolute value of `x`.
---PyTorch: torch.abs(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:abs() end

---Sine of `x` (radians).
---PyTorch: torch.sin(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.sin(x) end

tlua.sin = ops.sin

---Sine of `x` (radians).
---PyTorch: torch.sin(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:sin() end

---Cosine of `x` (radians).
---PyTorch: torch.cos(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.cos(x) end

tlua.cos = ops.cos

---Cosine of `x` (radians).
---PyTorch: torch.cos(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:cos() end

---Hyperbolic tangent of `x`.
---PyTorch: torch.tanh(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.tanh(x) end

tlua.tanh = ops.tanh

---Hyperbolic tangent of `x`.
---PyTorch: torch.tanh(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:tanh() end

---1 / (1 + exp(-x)).
---PyTorch: torch.sigmoid(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.sigmoid(x) end

tlua.sigmoid = ops.sigmoid

---1 / (1 + exp(-x)).
---PyTorch: torch.sigmoid(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:sigmoid() end

---log(1 + exp(x)), without overflow.
---PyTorch: F.softplus(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.softplus(x) end

tlua.softplus = ops.softplus

---log(1 + exp(x)), without overflow.
---PyTorch: F.softplus(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:softplus() end

---The positive part of `x`.
---PyTorch: torch.relu(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.relu(x) end

tlua.relu = ops.relu

---The positive part of `x`.
---PyTorch: torch.relu(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:relu() end

---`x` limited to 0..6.
---PyTorch: F.relu6(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.relu6(x) end

tlua.relu6 = ops.relu6

---`x` limited to 0..6.
---PyTorch: F.relu6(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:relu6() end

---`x` times its sigmoid (swish).
---PyTorch: F.silu(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.silu(x) end

tlua.silu = ops.silu

---`x` times its sigmoid (swish).
---PyTorch: F.silu(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:silu() end

---`x` times the normal distribution function of `x` (exact, with erf).
---PyTorch: F.gelu(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.gelu(x) end

tlua.gelu = ops.gelu

---`x` times the normal distribution function of `x` (exact, with erf).
---PyTorch: F.gelu(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:gelu() end

---GELU by the tanh approximation.
---PyTorch: F.gelu(x, approximate='tanh'). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.gelu_tanh(x) end

tlua.gelu_tanh = ops.gelu_tanh

---GELU by the tanh approximation.
---PyTorch: F.gelu(x, approximate='tanh'). Gradient towards x.
---@return tlua.Tensor
function Tensor:gelu_tanh() end

---relu6(x + 3) / 6.
---PyTorch: F.hardsigmoid(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.hardsigmoid(x) end

tlua.hardsigmoid = ops.hardsigmoid

---relu6(x + 3) / 6.
---PyTorch: F.hardsigmoid(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:hardsigmoid() end

---x relu6(x + 3) / 6.
---PyTorch: F.hardswish(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.hardswish(x) end

tlua.hardswish = ops.hardswish

---x relu6(x + 3) / 6.
---PyTorch: F.hardswish(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:hardswish() end

---`x` where positive, else `slope` times `x`.
---PyTorch: F.leaky_relu(x, slope). Gradient towards x.
---- `slope` = 0.01: factor below zero
---@param x tlua.Tensor
---@param options? { slope?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.leaky_relu(x, options, ...) end

tlua.leaky_relu = ops.leaky_relu

---`x` where positive, else `slope` times `x`.
---PyTorch: F.leaky_relu(x, slope). Gradient towards x.
---- `slope` = 0.01: factor below zero
---@param options? { slope?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:leaky_relu(options, ...) end

---The error function of `x`.
---PyTorch: torch.erf(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.erf(x) end

tlua.erf = ops.erf

---The error function of `x`.
---PyTorch: torch.erf(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:erf() end

---e to the power `x`, minus 1, exact near 0.
---PyTorch: torch.expm1(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.expm1(x) end

tlua.expm1 = ops.expm1

---e to the power `x`, minus 1, exact near 0.
---PyTorch: torch.expm1(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:expm1() end

---Natural logarithm of 1 + `x`, exact near 0.
---PyTorch: torch.log1p(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.log1p(x) end

tlua.log1p = ops.log1p

---Natural logarithm of 1 + `x`, exact near 0.
---PyTorch: torch.log1p(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:log1p() end

---1 divided by `x`.
---PyTorch: torch.reciprocal(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.reciprocal(x) end

tlua.reciprocal = ops.reciprocal

---1 divided by `x`.
---PyTorch: torch.reciprocal(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:reciprocal() end

---The largest whole number that is not above `x`.
---PyTorch: torch.floor(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.floor(x) end

tlua.floor = ops.floor

---The largest whole number that is not above `x`.
---PyTorch: torch.floor(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:floor() end

---The least whole number that is not below `x`.
---PyTorch: torch.ceil(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.ceil(x) end

tlua.ceil = ops.ceil

---The least whole number that is not below `x`.
---PyTorch: torch.ceil(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:ceil() end

---The whole number next to `x`; between two the even one.
---PyTorch: torch.round(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.round(x) end

tlua.round = ops.round

---The whole number next to `x`; between two the even one.
---PyTorch: torch.round(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:round() end

---1, 0 or -1, as `x` is above, at or below 0; 0 for NaN.
---PyTorch: torch.sign(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.sign(x) end

tlua.sign = ops.sign

---1, 0 or -1, as `x` is above, at or below 0; 0 for NaN.
---PyTorch: torch.sign(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:sign() end

---Tangent of `x` (radians).
---PyTorch: torch.tan(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.tan(x) end

tlua.tan = ops.tan

---Tangent of `x` (radians).
---PyTorch: torch.tan(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:tan() end

---The angle (radians) whose sine is `x`.
---PyTorch: torch.asin(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.asin(x) end

tlua.asin = ops.asin

---The angle (radians) whose sine is `x`.
---PyTorch: torch.asin(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:asin() end

---The angle (radians) whose cosine is `x`.
---PyTorch: torch.acos(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.acos(x) end

tlua.acos = ops.acos

---The angle (radians) whose cosine is `x`.
---PyTorch: torch.acos(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:acos() end

---The angle (radians) whose tangent is `x`.
---PyTorch: torch.atan(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.atan(x) end

tlua.atan = ops.atan

---The angle (radians) whose tangent is `x`.
---PyTorch: torch.atan(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:atan() end

---Hyperbolic sine of `x`.
---PyTorch: torch.sinh(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.sinh(x) end

tlua.sinh = ops.sinh

---Hyperbolic sine of `x`.
---PyTorch: torch.sinh(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:sinh() end

---Hyperbolic cosine of `x`.
---PyTorch: torch.cosh(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.cosh(x) end

tlua.cosh = ops.cosh

---Hyperbolic cosine of `x`.
---PyTorch: torch.cosh(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:cosh() end

---What `x` is the hyperbolic sine of.
---PyTorch: torch.asinh(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.asinh(x) end

tlua.asinh = ops.asinh

---What `x` is the hyperbolic sine of.
---PyTorch: torch.asinh(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:asinh() end

---What `x` is the hyperbolic cosine of.
---PyTorch: torch.acosh(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.acosh(x) end

tlua.acosh = ops.acosh

---What `x` is the hyperbolic cosine of.
---PyTorch: torch.acosh(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:acosh() end

---What `x` is the hyperbolic tangent of.
---PyTorch: torch.atanh(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.atanh(x) end

tlua.atanh = ops.atanh

---What `x` is the hyperbolic tangent of.
---PyTorch: torch.atanh(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:atanh() end

---`x` where positive, else `alpha` times (exp(x) - 1).
---PyTorch: F.elu(x, alpha). Gradient towards x.
---- `alpha` = 1: factor below zero
---@param x tlua.Tensor
---@param options? { alpha?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.elu(x, options, ...) end

tlua.elu = ops.elu

---`x` where positive, else `alpha` times (exp(x) - 1).
---PyTorch: F.elu(x, alpha). Gradient towards x.
---- `alpha` = 1: factor below zero
---@param options? { alpha?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:elu(options, ...) end

---ELU with the factors that keep mean and variance (Klambauer et al. 2017).
---PyTorch: F.selu(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.selu(x) end

tlua.selu = ops.selu

---ELU with the factors that keep mean and variance (Klambauer et al. 2017).
---PyTorch: F.selu(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:selu() end

---`x` where positive, else `alpha` times (exp(x / alpha) - 1).
---PyTorch: F.celu(x, alpha). Gradient towards x.
---- `alpha` = 1: where it ends below zero
---@param x tlua.Tensor
---@param options? { alpha?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.celu(x, options, ...) end

tlua.celu = ops.celu

---`x` where positive, else `alpha` times (exp(x / alpha) - 1).
---PyTorch: F.celu(x, alpha). Gradient towards x.
---- `alpha` = 1: where it ends below zero
---@param options? { alpha?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:celu(options, ...) end

---x / (1 + |x|).
---PyTorch: F.softsign(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.softsign(x) end

tlua.softsign = ops.softsign

---x / (1 + |x|).
---PyTorch: F.softsign(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:softsign() end

---`x` times tanh(log(1 + exp(x))).
---PyTorch: F.mish(x). Gradient towards x.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.mish(x) end

tlua.mish = ops.mish

---`x` times tanh(log(1 + exp(x))).
---PyTorch: F.mish(x). Gradient towards x.
---@return tlua.Tensor
function Tensor:mish() end

---`x` where greater than `threshold`, else `value`.
---PyTorch: F.threshold(x, threshold, value). Gradient towards x.
---- `threshold` = 1: the limit
---- `value` = 0: what stands for all up to it
---@param x tlua.Tensor
---@param options? { threshold?: number, value?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.threshold(x, options, ...) end

tlua.threshold = ops.threshold

---`x` where greater than `threshold`, else `value`.
---PyTorch: F.threshold(x, threshold, value). Gradient towards x.
---- `threshold` = 1: the limit
---- `value` = 0: what stands for all up to it
---@param options? { threshold?: number, value?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:threshold(options, ...) end

---`x` moved by `bias` towards 0, and 0 where it is within -`lambd`..`lambd`.
---PyTorch: torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros(()))). Gradient towards x.
---- `lambd` = 0.5: what becomes 0
---- `bias` = 0: how far the others move
---@param x tlua.Tensor
---@param options? { lambd?: number, bias?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.shrink(x, options, ...) end

tlua.shrink = ops.shrink

---`x` moved by `bias` towards 0, and 0 where it is within -`lambd`..`lambd`.
---PyTorch: torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros(()))). Gradient towards x.
---- `lambd` = 0.5: what becomes 0
---- `bias` = 0: how far the others move
---@param options? { lambd?: number, bias?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:shrink(options, ...) end

---1 where `x` is not a number (NaN), else 0.
---PyTorch: torch.isnan(x).float(). No gradient.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.isnan(x) end

tlua.isnan = ops.isnan

---1 where `x` is not a number (NaN), else 0.
---PyTorch: torch.isnan(x).float(). No gradient.
---@return tlua.Tensor
function Tensor:isnan() end

---1 where `x` is infinite, else 0.
---PyTorch: torch.isinf(x).float(). No gradient.
---@param x tlua.Tensor
---@return tlua.Tensor
function ops.isinf(x) end

tlua.isinf = ops.isinf

---1 where `x` is infinite, else 0.
---PyTorch: torch.isinf(x).float(). No gradient.
---@return tlua.Tensor
function Tensor:isinf() end

---`x` limited to `min`..`max`.
---PyTorch: torch.clamp(x, min, max). Gradient towards x.
---- `min`: lower limit
---- `max`: upper limit
---@param x tlua.Tensor
---@param options? { min: number, max: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.clamp(x, options, ...) end

tlua.clamp = ops.clamp

---`x` limited to `min`..`max`.
---PyTorch: torch.clamp(x, min, max). Gradient towards x.
---- `min`: lower limit
---- `max`: upper limit
---@param options? { min: number, max: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:clamp(options, ...) end

---`x` plus a number.
---PyTorch: x + value. Gradient towards x.
---- `value`: the number
---@param x tlua.Tensor
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.add_scalar(x, options, ...) end

tlua.add_scalar = ops.add_scalar

---`x` plus a number.
---PyTorch: x + value. Gradient towards x.
---- `value`: the number
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:add_scalar(options, ...) end

---`x` times a number.
---PyTorch: x * value. Gradient towards x.
---- `value`: the number
---@param x tlua.Tensor
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.mul_scalar(x, options, ...) end

tlua.mul_scalar = ops.mul_scalar

---`x` times a number.
---PyTorch: x * value. Gradient towards x.
---- `value`: the number
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:mul_scalar(options, ...) end

---A number minus `x`.
---PyTorch: value - x. Gradient towards x.
---- `value`: the number
---@param x tlua.Tensor
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.rsub_scalar(x, options, ...) end

tlua.rsub_scalar = ops.rsub_scalar

---A number minus `x`.
---PyTorch: value - x. Gradient towards x.
---- `value`: the number
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:rsub_scalar(options, ...) end

---A number divided by `x`.
---PyTorch: value / x. Gradient towards x.
---- `value`: the number
---@param x tlua.Tensor
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.rdiv_scalar(x, options, ...) end

tlua.rdiv_scalar = ops.rdiv_scalar

---A number divided by `x`.
---PyTorch: value / x. Gradient towards x.
---- `value`: the number
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:rdiv_scalar(options, ...) end

---`x` to the power of a number.
---PyTorch: x ** value. Gradient towards x.
---- `value`: the exponent
---@param x tlua.Tensor
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.pow_scalar(x, options, ...) end

tlua.pow_scalar = ops.pow_scalar

---`x` to the power of a number.
---PyTorch: x ** value. Gradient towards x.
---- `value`: the exponent
---@param options? { value: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:pow_scalar(options, ...) end

---`a` plus `b`, broadcast.
---PyTorch: a + b. Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.add(a, b) end

tlua.add = ops.add

---`a` plus `b`, broadcast.
---PyTorch: a + b. Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:add(b) end

---`a` minus `b`, broadcast.
---PyTorch: a - b. Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.sub(a, b) end

tlua.sub = ops.sub

---`a` minus `b`, broadcast.
---PyTorch: a - b. Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:sub(b) end

---`a` times `b`, broadcast.
---PyTorch: a * b. Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.mul(a, b) end

tlua.mul = ops.mul

---`a` times `b`, broadcast.
---PyTorch: a * b. Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:mul(b) end

---`a` divided by `b`, broadcast; whole numbers (int32) without the rest, towards 0, and 0 where `b` is 0.
---PyTorch: a / b. Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.div(a, b) end

tlua.div = ops.div

---`a` divided by `b`, broadcast; whole numbers (int32) without the rest, towards 0, and 0 where `b` is 0.
---PyTorch: a / b. Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:div(b) end

---The larger of `a` and `b`, broadcast, NaN where one of them is; where equal, half of the gradient goes to each.
---PyTorch: torch.maximum(a, b). Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.maximum(a, b) end

tlua.maximum = ops.maximum

---The larger of `a` and `b`, broadcast, NaN where one of them is; where equal, half of the gradient goes to each.
---PyTorch: torch.maximum(a, b). Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:maximum(b) end

---The smaller of `a` and `b`, broadcast, NaN where one of them is; where equal, half of the gradient goes to each.
---PyTorch: torch.minimum(a, b). Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.minimum(a, b) end

tlua.minimum = ops.minimum

---The smaller of `a` and `b`, broadcast, NaN where one of them is; where equal, half of the gradient goes to each.
---PyTorch: torch.minimum(a, b). Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:minimum(b) end

---1 where `a` equals `b`, else 0.
---PyTorch: (a == b).float(). No gradient.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.eq(a, b) end

tlua.eq = ops.eq

---1 where `a` equals `b`, else 0.
---PyTorch: (a == b).float(). No gradient.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:eq(b) end

---1 where `a` is greater than `b`, else 0.
---PyTorch: (a > b).float(). No gradient.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.gt(a, b) end

tlua.gt = ops.gt

---1 where `a` is greater than `b`, else 0.
---PyTorch: (a > b).float(). No gradient.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:gt(b) end

---1 where `a` is less than `b`, else 0.
---PyTorch: (a < b).float(). No gradient.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.lt(a, b) end

tlua.lt = ops.lt

---1 where `a` is less than `b`, else 0.
---PyTorch: (a < b).float(). No gradient.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:lt(b) end

---1 where `a` is greater than `b` or equal, else 0.
---PyTorch: (a >= b).float(). No gradient.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.ge(a, b) end

tlua.ge = ops.ge

---1 where `a` is greater than `b` or equal, else 0.
---PyTorch: (a >= b).float(). No gradient.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:ge(b) end

---1 where `a` is less than `b` or equal, else 0.
---PyTorch: (a <= b).float(). No gradient.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.le(a, b) end

tlua.le = ops.le

---1 where `a` is less than `b` or equal, else 0.
---PyTorch: (a <= b).float(). No gradient.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:le(b) end

---1 where `a` differs from `b`, else 0.
---PyTorch: (a != b).float(). No gradient.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.ne(a, b) end

tlua.ne = ops.ne

---1 where `a` differs from `b`, else 0.
---PyTorch: (a != b).float(). No gradient.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:ne(b) end

---`a` to the power `b`, broadcast; whole numbers too.
---PyTorch: torch.pow(a, b). Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.pow(a, b) end

tlua.pow = ops.pow

---`a` to the power `b`, broadcast; whole numbers too.
---PyTorch: torch.pow(a, b). Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:pow(b) end

---What is left of `a` divided by `b`, with the sign of `b`, broadcast; of whole numbers 0 where `b` is 0.
---PyTorch: torch.remainder(a, b). Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.mod(a, b) end

tlua.mod = ops.mod

---What is left of `a` divided by `b`, with the sign of `b`, broadcast; of whole numbers 0 where `b` is 0.
---PyTorch: torch.remainder(a, b). Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:mod(b) end

---What is left of `a` divided by `b`, with the sign of `a`, broadcast; of whole numbers 0 where `b` is 0.
---PyTorch: torch.fmod(a, b). Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.fmod(a, b) end

tlua.fmod = ops.fmod

---What is left of `a` divided by `b`, with the sign of `a`, broadcast; of whole numbers 0 where `b` is 0.
---PyTorch: torch.fmod(a, b). Gradient towards a, b.
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:fmod(b) end

---`x` in another type; floats become whole numbers towards 0.
---PyTorch: x.to(getattr(torch, dtype)). Gradient towards x.
---- `dtype` = "float32": the type
---@param x tlua.Tensor
---@param options? { dtype?: "float32"|"int32" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.cast(x, options, ...) end

tlua.cast = ops.cast

---`x` in another type; floats become whole numbers towards 0.
---PyTorch: x.to(getattr(torch, dtype)). Gradient towards x.
---- `dtype` = "float32": the type
---@param options? { dtype?: "float32"|"int32" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:cast(options, ...) end

---`count` whole numbers (int32) from `start` on, `step` apart.
---PyTorch: start + step * torch.arange(count). No gradient.
---- `start` = 0: the first
---- `count`: how many
---- `step` = 1: from each to the next
---@param options? { start?: integer, count: integer, step?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.range(options, ...) end

tlua.range = ops.range

---`x` with another shape of as many elements; one -1 is worked out.
---PyTorch: x.reshape(shape). Gradient towards x.
---- `shape` = {}: new dimensions
---@param x tlua.Tensor
---@param options? { shape?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.reshape(x, options, ...) end

tlua.reshape = ops.reshape

---`x` with another shape of as many elements; one -1 is worked out.
---PyTorch: x.reshape(shape). Gradient towards x.
---- `shape` = {}: new dimensions
---@param options? { shape?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:reshape(options, ...) end

---`x` with its dimensions in another order.
---PyTorch: x.permute(axes). Gradient towards x.
---- `axes` = {}: where each new dimension comes from
---@param x tlua.Tensor
---@param options? { axes?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.permute(x, options, ...) end

tlua.permute = ops.permute

---`x` with its dimensions in another order.
---PyTorch: x.permute(axes). Gradient towards x.
---- `axes` = {}: where each new dimension comes from
---@param options? { axes?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:permute(options, ...) end

---`length` elements of `x` along `axis`, from `start` on (counted from 0); length -1: to the end.
---PyTorch: x.narrow(axis, start, length). Gradient towards x.
---- `axis` = 1: dimension that is cut
---- `start` = 0: first element, from 0
---- `length` = -1: how many; -1: the rest
---@param x tlua.Tensor
---@param options? { axis?: integer, start?: integer, length?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.slice(x, options, ...) end

tlua.slice = ops.slice

---`length` elements of `x` along `axis`, from `start` on (counted from 0); length -1: to the end.
---PyTorch: x.narrow(axis, start, length). Gradient towards x.
---- `axis` = 1: dimension that is cut
---- `start` = 0: first element, from 0
---- `length` = -1: how many; -1: the rest
---@param options? { axis?: integer, start?: integer, length?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:slice(options, ...) end

---`x` repeated along dimensions of length 1 (or new leading ones) without copying.
---PyTorch: x.expand(shape). Gradient towards x.
---- `shape` = {}: new dimensions
---@param x tlua.Tensor
---@param options? { shape?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.expand(x, options, ...) end

tlua.expand = ops.expand

---`x` repeated along dimensions of length 1 (or new leading ones) without copying.
---PyTorch: x.expand(shape). Gradient towards x.
---- `shape` = {}: new dimensions
---@param options? { shape?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:expand(options, ...) end

---`a` where `condition` is not 0, elsewhere `b`; all three broadcast.
---PyTorch: torch.where(condition != 0, a, b). Gradient towards a, b.
---@param condition tlua.Tensor
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function ops.where(condition, a, b) end

tlua.where = ops.where

---`a` where `condition` is not 0, elsewhere `b`; all three broadcast.
---PyTorch: torch.where(condition != 0, a, b). Gradient towards a, b.
---@param a tlua.Tensor
---@param b tlua.Tensor
---@return tlua.Tensor
function Tensor:where(a, b) end

---Elements of `x` along `axis` by `index` (int32, counted from 0), of x's shape but for that dimension.
---PyTorch: x.gather(axis, index.long()). Gradient towards x.
---- `axis` = -1: dimension that the numbers count along
---@param x tlua.Tensor
---@param index tlua.Tensor
---@param options? { axis?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.gather(x, index, options, ...) end

tlua.gather = ops.gather

---Elements of `x` along `axis` by `index` (int32, counted from 0), of x's shape but for that dimension.
---PyTorch: x.gather(axis, index.long()). Gradient towards x.
---- `axis` = -1: dimension that the numbers count along
---@param index tlua.Tensor
---@param options? { axis?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:gather(index, options, ...) end

---`x` with `updates` written along `axis` where `index` (int32, counted from 0) says, or joined to what is there. The index has the updates' shape, which may be smaller than x's in other dimensions; of several for one element all are joined, in order, or the last stays.
---PyTorch: scatter(x, axis, index.long(), updates, reduce). Gradient towards x, updates.
---- `axis` = -1: dimension that the numbers count along
---- `reduce` = "none": written over, or how they are joined
---@param x tlua.Tensor
---@param index tlua.Tensor
---@param updates tlua.Tensor
---@param options? { axis?: integer, reduce?: "none"|"add"|"mul"|"max"|"min" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.scatter(x, index, updates, options, ...) end

tlua.scatter = ops.scatter

---`x` with `updates` written along `axis` where `index` (int32, counted from 0) says, or joined to what is there. The index has the updates' shape, which may be smaller than x's in other dimensions; of several for one element all are joined, in order, or the last stays.
---PyTorch: scatter(x, axis, index.long(), updates, reduce). Gradient towards x, updates.
---- `axis` = -1: dimension that the numbers count along
---- `reduce` = "none": written over, or how they are joined
---@param index tlua.Tensor
---@param updates tlua.Tensor
---@param options? { axis?: integer, reduce?: "none"|"add"|"mul"|"max"|"min" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:scatter(index, updates, options, ...) end

---`x` with elements added before and after its dimensions.
---PyTorch: pad(x, before, after, mode, value). Gradient towards x.
---- `before` = {}: how many before each dimension's elements; none where not given
---- `after` = {}: how many after them
---- `mode` = "constant": a constant, or x itself: reflected at its last element, or that one again
---- `value` = 0: the constant
---@param x tlua.Tensor
---@param options? { before?: integer[], after?: integer[], mode?: "constant"|"reflect"|"replicate", value?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.pad(x, options, ...) end

tlua.pad = ops.pad

---`x` with elements added before and after its dimensions.
---PyTorch: pad(x, before, after, mode, value). Gradient towards x.
---- `before` = {}: how many before each dimension's elements; none where not given
---- `after` = {}: how many after them
---- `mode` = "constant": a constant, or x itself: reflected at its last element, or that one again
---- `value` = 0: the constant
---@param options? { before?: integer[], after?: integer[], mode?: "constant"|"reflect"|"replicate", value?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:pad(options, ...) end

---Sum of `x` over `axes`.
---PyTorch: x.sum(axes, keepdim=keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param x tlua.Tensor
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.sum(x, options, ...) end

tlua.sum = ops.sum

---Sum of `x` over `axes`.
---PyTorch: x.sum(axes, keepdim=keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:sum(options, ...) end

---Mean of `x` over `axes`.
---PyTorch: x.mean(axes, keepdim=keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param x tlua.Tensor
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.mean(x, options, ...) end

tlua.mean = ops.mean

---Mean of `x` over `axes`.
---PyTorch: x.mean(axes, keepdim=keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:mean(options, ...) end

---Largest element of `x` over `axes`, NaN where one is; among equals the gradient is shared.
---PyTorch: x.amax(axes, keepdim=keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param x tlua.Tensor
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.amax(x, options, ...) end

tlua.amax = ops.amax

---Largest element of `x` over `axes`, NaN where one is; among equals the gradient is shared.
---PyTorch: x.amax(axes, keepdim=keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:amax(options, ...) end

---Least element of `x` over `axes`, NaN where one is; among equals the gradient is shared.
---PyTorch: x.amin(axes, keepdim=keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param x tlua.Tensor
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.amin(x, options, ...) end

tlua.amin = ops.amin

---Least element of `x` over `axes`, NaN where one is; among equals the gradient is shared.
---PyTorch: x.amin(axes, keepdim=keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:amin(options, ...) end

---Product of `x` over `axes`.
---PyTorch: prod(x, axes, keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param x tlua.Tensor
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.prod(x, options, ...) end

tlua.prod = ops.prod

---Product of `x` over `axes`.
---PyTorch: prod(x, axes, keep). Gradient towards x.
---- `axes` = {}: dimensions that disappear; none named: all
---- `keep` = false: keep them with length 1
---@param options? { axes?: integer[], keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:prod(options, ...) end

---Sums of `x` along `axis`, each of all elements up to its place.
---PyTorch: cumsum(x, axis, exclusive, reverse). Gradient towards x.
---- `axis` = -1: dimension along which is summed
---- `exclusive` = false: without the element at the place itself
---- `reverse` = false: from the last element on
---@param x tlua.Tensor
---@param options? { axis?: integer, exclusive?: boolean, reverse?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.cumsum(x, options, ...) end

tlua.cumsum = ops.cumsum

---Sums of `x` along `axis`, each of all elements up to its place.
---PyTorch: cumsum(x, axis, exclusive, reverse). Gradient towards x.
---- `axis` = -1: dimension along which is summed
---- `exclusive` = false: without the element at the place itself
---- `reverse` = false: from the last element on
---@param options? { axis?: integer, exclusive?: boolean, reverse?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:cumsum(options, ...) end

---Matrix product of `a` (..., m, k) and `b` (..., k, n); batches broadcast, vectors are a row of `a` or a column of `b`.
---PyTorch: torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b). Gradient towards a, b.
---- `transpose_a` = false: `a` is given as (..., k, m)
---- `transpose_b` = false: `b` is given as (..., n, k)
---@param a tlua.Tensor
---@param b tlua.Tensor
---@param options? { transpose_a?: boolean, transpose_b?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.matmul(a, b, options, ...) end

tlua.matmul = ops.matmul

---Matrix product of `a` (..., m, k) and `b` (..., k, n); batches broadcast, vectors are a row of `a` or a column of `b`.
---PyTorch: torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b). Gradient towards a, b.
---- `transpose_a` = false: `a` is given as (..., k, m)
---- `transpose_b` = false: `b` is given as (..., n, k)
---@param b tlua.Tensor
---@param options? { transpose_a?: boolean, transpose_b?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:matmul(b, options, ...) end

---activation(`x` `weight`^T + `bias` + `residual`): x (..., in), weight (out, in), bias (out), residual (..., out).
---PyTorch: {'none': lambda v: v, 'relu': torch.relu, 'relu6': F.relu6, 'silu': F.silu, 'hardswish': F.hardswish, 'gelu': F.gelu}[activation](F.linear(x, weight, bias) + (0 if residual is None else residual)). Gradient towards x, weight, bias, residual.
---- `activation` = "none": applied to the sum
---@param x tlua.Tensor
---@param weight tlua.Tensor
---@param bias? tlua.Tensor
---@param residual? tlua.Tensor
---@param options? { activation?: "none"|"relu"|"relu6"|"silu"|"hardswish"|"gelu" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.linear(x, weight, bias, residual, options, ...) end

tlua.linear = ops.linear

---activation(`x` `weight`^T + `bias` + `residual`): x (..., in), weight (out, in), bias (out), residual (..., out).
---PyTorch: {'none': lambda v: v, 'relu': torch.relu, 'relu6': F.relu6, 'silu': F.silu, 'hardswish': F.hardswish, 'gelu': F.gelu}[activation](F.linear(x, weight, bias) + (0 if residual is None else residual)). Gradient towards x, weight, bias, residual.
---- `activation` = "none": applied to the sum
---@param weight tlua.Tensor
---@param bias? tlua.Tensor
---@param residual? tlua.Tensor
---@param options? { activation?: "none"|"relu"|"relu6"|"silu"|"hardswish"|"gelu" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:linear(weight, bias, residual, options, ...) end

---Exponentials of `x`, scaled to sum to one along `axis`.
---PyTorch: torch.softmax(x, dim=axis). Gradient towards x.
---- `axis` = -1: dimension that sums to one
---@param x tlua.Tensor
---@param options? { axis?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.softmax(x, options, ...) end

tlua.softmax = ops.softmax

---Exponentials of `x`, scaled to sum to one along `axis`.
---PyTorch: torch.softmax(x, dim=axis). Gradient towards x.
---- `axis` = -1: dimension that sums to one
---@param options? { axis?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:softmax(options, ...) end

---Logarithm of the softmax of `x` along `axis`, without overflow.
---PyTorch: torch.log_softmax(x, dim=axis). Gradient towards x.
---- `axis` = -1: dimension whose exponentials sum to one
---@param x tlua.Tensor
---@param options? { axis?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.log_softmax(x, options, ...) end

tlua.log_softmax = ops.log_softmax

---Logarithm of the softmax of `x` along `axis`, without overflow.
---PyTorch: torch.log_softmax(x, dim=axis). Gradient towards x.
---- `axis` = -1: dimension whose exponentials sum to one
---@param options? { axis?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:log_softmax(options, ...) end

---Position of the largest element along `axis`, counted from 0 (it is data: a class), as int32.
---PyTorch: torch.argmax(x, dim=axis, keepdim=keep). No gradient.
---- `axis` = -1: dimension that disappears
---- `keep` = false: keep it with length 1
---@param x tlua.Tensor
---@param options? { axis?: integer, keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.argmax(x, options, ...) end

tlua.argmax = ops.argmax

---Position of the largest element along `axis`, counted from 0 (it is data: a class), as int32.
---PyTorch: torch.argmax(x, dim=axis, keepdim=keep). No gradient.
---- `axis` = -1: dimension that disappears
---- `keep` = false: keep it with length 1
---@param options? { axis?: integer, keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:argmax(options, ...) end

---Position of the least element along `axis`, counted from 0, as int32; of equals the first.
---PyTorch: torch.argmin(x, dim=axis, keepdim=keep). No gradient.
---- `axis` = -1: dimension that disappears
---- `keep` = false: keep it with length 1
---@param x tlua.Tensor
---@param options? { axis?: integer, keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.argmin(x, options, ...) end

tlua.argmin = ops.argmin

---Position of the least element along `axis`, counted from 0, as int32; of equals the first.
---PyTorch: torch.argmin(x, dim=axis, keepdim=keep). No gradient.
---- `axis` = -1: dimension that disappears
---- `keep` = false: keep it with length 1
---@param options? { axis?: integer, keep?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:argmin(options, ...) end

---The `k` largest (or least) elements along `axis`, in order, and second their positions from 0 as int32. A NaN counts as the largest; among equals the first comes first.
---PyTorch: torch.topk(x, k, dim=axis, largest=largest). Gradient towards x.
---- `k`: how many
---- `axis` = -1: dimension in which they are looked for
---- `largest` = true: the largest first; false: the least
---@param x tlua.Tensor
---@param options? { k: integer, axis?: integer, largest?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.topk(x, options, ...) end

tlua.topk = ops.topk

---The `k` largest (or least) elements along `axis`, in order, and second their positions from 0 as int32. A NaN counts as the largest; among equals the first comes first.
---PyTorch: torch.topk(x, k, dim=axis, largest=largest). Gradient towards x.
---- `k`: how many
---- `axis` = -1: dimension in which they are looked for
---- `largest` = true: the largest first; false: the least
---@param options? { k: integer, axis?: integer, largest?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:topk(options, ...) end

---Cross entropy of `logits` (..., C) with `labels` (...), classes counted from 0.
---PyTorch: F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.long().reshape(-1), weight=weights, reduction=reduction, label_smoothing=label_smoothing, ignore_index=ignore_index). Gradient towards logits.
---- `reduction` = "mean": mean (over the weights of the labels), sum or none
---- `label_smoothing` = 0: share of the target that is spread over all classes
---- `ignore_index` = -100: a label that does not count
---@param logits tlua.Tensor
---@param labels tlua.Tensor
---@param weights? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", label_smoothing?: number, ignore_index?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.cross_entropy(logits, labels, weights, options, ...) end

tlua.cross_entropy = ops.cross_entropy

---Cross entropy of `logits` (..., C) with `labels` (...), classes counted from 0.
---PyTorch: F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.long().reshape(-1), weight=weights, reduction=reduction, label_smoothing=label_smoothing, ignore_index=ignore_index). Gradient towards logits.
---- `reduction` = "mean": mean (over the weights of the labels), sum or none
---- `label_smoothing` = 0: share of the target that is spread over all classes
---- `ignore_index` = -100: a label that does not count
---@param labels tlua.Tensor
---@param weights? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", label_smoothing?: number, ignore_index?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:cross_entropy(labels, weights, options, ...) end

---Cross entropy of `logits` (..., C) with `target` (..., C), the share of each class; PyTorch's with probabilities.
---PyTorch: F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1, logits.shape[-1]), weight=weights, reduction=reduction, label_smoothing=label_smoothing). Gradient towards logits, target.
---- `reduction` = "mean": mean (over the rows), sum or none
---- `label_smoothing` = 0: share of the target that is spread over all classes
---@param logits tlua.Tensor
---@param target tlua.Tensor
---@param weights? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", label_smoothing?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.soft_cross_entropy(logits, target, weights, options, ...) end

tlua.soft_cross_entropy = ops.soft_cross_entropy

---Cross entropy of `logits` (..., C) with `target` (..., C), the share of each class; PyTorch's with probabilities.
---PyTorch: F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1, logits.shape[-1]), weight=weights, reduction=reduction, label_smoothing=label_smoothing). Gradient towards logits, target.
---- `reduction` = "mean": mean (over the rows), sum or none
---- `label_smoothing` = 0: share of the target that is spread over all classes
---@param target tlua.Tensor
---@param weights? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", label_smoothing?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:soft_cross_entropy(target, weights, options, ...) end

---Cross entropy of `logits` (..., C) with `labels` (...), each row's times (1 - probability of its label)^gamma (Lin et al. 2017).
---PyTorch: focal_loss(logits, labels, weights, gamma, reduction, ignore_index). Gradient towards logits.
---- `reduction` = "mean": mean (over the labels that count), sum or none
---- `gamma` = 2: how much less rows count that are right already
---- `ignore_index` = -100: a label that does not count
---@param logits tlua.Tensor
---@param labels tlua.Tensor
---@param weights? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", gamma?: number, ignore_index?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.focal_loss(logits, labels, weights, options, ...) end

tlua.focal_loss = ops.focal_loss

---Cross entropy of `logits` (..., C) with `labels` (...), each row's times (1 - probability of its label)^gamma (Lin et al. 2017).
---PyTorch: focal_loss(logits, labels, weights, gamma, reduction, ignore_index). Gradient towards logits.
---- `reduction` = "mean": mean (over the labels that count), sum or none
---- `gamma` = 2: how much less rows count that are right already
---- `ignore_index` = -100: a label that does not count
---@param labels tlua.Tensor
---@param weights? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", gamma?: number, ignore_index?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:focal_loss(labels, weights, options, ...) end

---Connectionist temporal classification (Graves et al. 2006): minus the logarithm of the chance of all paths through `logits` (N, T, K), or their log_softmax, that spell `targets` (N, L) int32, classes counted from 0. Of clip n count the first `input_lengths`[n] frames and `target_lengths`[n] labels.
---PyTorch: ctc_loss(logits, targets, input_lengths, target_lengths, reduction, blank, zero_infinity). Gradient towards logits.
---- `reduction` = "mean": mean (of the losses, each over its number of labels), sum or none
---- `blank` = 0: the class that stands for no label
---- `zero_infinity` = false: a target that its frames cannot say has a loss of 0 instead of infinity
---@param logits tlua.Tensor
---@param targets tlua.Tensor
---@param input_lengths? tlua.Tensor
---@param target_lengths? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", blank?: integer, zero_infinity?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.ctc_loss(logits, targets, input_lengths, target_lengths, options, ...) end

tlua.ctc_loss = ops.ctc_loss

---Connectionist temporal classification (Graves et al. 2006): minus the logarithm of the chance of all paths through `logits` (N, T, K), or their log_softmax, that spell `targets` (N, L) int32, classes counted from 0. Of clip n count the first `input_lengths`[n] frames and `target_lengths`[n] labels.
---PyTorch: ctc_loss(logits, targets, input_lengths, target_lengths, reduction, blank, zero_infinity). Gradient towards logits.
---- `reduction` = "mean": mean (of the losses, each over its number of labels), sum or none
---- `blank` = 0: the class that stands for no label
---- `zero_infinity` = false: a target that its frames cannot say has a loss of 0 instead of infinity
---@param targets tlua.Tensor
---@param input_lengths? tlua.Tensor
---@param target_lengths? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", blank?: integer, zero_infinity?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:ctc_loss(targets, input_lengths, target_lengths, options, ...) end

---The square of `x` minus `target`.
---PyTorch: F.mse_loss(x, target, reduction=reduction). Gradient towards x, target.
---- `reduction` = "mean": mean, sum or none (a loss for each element)
---@param x tlua.Tensor
---@param target tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.mse_loss(x, target, options, ...) end

tlua.mse_loss = ops.mse_loss

---The square of `x` minus `target`.
---PyTorch: F.mse_loss(x, target, reduction=reduction). Gradient towards x, target.
---- `reduction` = "mean": mean, sum or none (a loss for each element)
---@param target tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:mse_loss(target, options, ...) end

---The distance of `x` and `target`, less `beta` / 2; below `beta` a parabola. `beta` 0: the distance.
---PyTorch: F.smooth_l1_loss(x, target, reduction=reduction, beta=beta). Gradient towards x, target.
---- `reduction` = "mean": mean, sum or none (a loss for each element)
---- `beta` = 1: from where on it is straight
---@param x tlua.Tensor
---@param target tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", beta?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.smooth_l1_loss(x, target, options, ...) end

tlua.smooth_l1_loss = ops.smooth_l1_loss

---The distance of `x` and `target`, less `beta` / 2; below `beta` a parabola. `beta` 0: the distance.
---PyTorch: F.smooth_l1_loss(x, target, reduction=reduction, beta=beta). Gradient towards x, target.
---- `reduction` = "mean": mean, sum or none (a loss for each element)
---- `beta` = 1: from where on it is straight
---@param target tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", beta?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:smooth_l1_loss(target, options, ...) end

---Binary cross entropy of the sigmoid of `x` with `target` (0 to 1); `pos_weight`, broadcast, multiplies the share of the ones.
---PyTorch: F.binary_cross_entropy_with_logits(x, target, pos_weight=pos_weight, reduction=reduction). Gradient towards x, target.
---- `reduction` = "mean": mean, sum or none (a loss for each element)
---@param x tlua.Tensor
---@param target tlua.Tensor
---@param pos_weight? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.bce_with_logits(x, target, pos_weight, options, ...) end

tlua.bce_with_logits = ops.bce_with_logits

---Binary cross entropy of the sigmoid of `x` with `target` (0 to 1); `pos_weight`, broadcast, multiplies the share of the ones.
---PyTorch: F.binary_cross_entropy_with_logits(x, target, pos_weight=pos_weight, reduction=reduction). Gradient towards x, target.
---- `reduction` = "mean": mean, sum or none (a loss for each element)
---@param target tlua.Tensor
---@param pos_weight? tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:bce_with_logits(target, pos_weight, options, ...) end

---Binary cross entropy of the sigmoid of `x` with `target`, each element's times (1 - probability of its target)^gamma (Lin et al. 2017).
---PyTorch: torchvision.ops.sigmoid_focal_loss(x, target, alpha=alpha, gamma=gamma, reduction=reduction). Gradient towards x.
---- `reduction` = "mean": mean, sum or none (a loss for each element)
---- `alpha` = 0.25: weight of the ones, 1 - alpha that of the zeros; negative: no weights
---- `gamma` = 2: how much less elements count that are right already
---@param x tlua.Tensor
---@param target tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", alpha?: number, gamma?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.sigmoid_focal_loss(x, target, options, ...) end

tlua.sigmoid_focal_loss = ops.sigmoid_focal_loss

---Binary cross entropy of the sigmoid of `x` with `target`, each element's times (1 - probability of its target)^gamma (Lin et al. 2017).
---PyTorch: torchvision.ops.sigmoid_focal_loss(x, target, alpha=alpha, gamma=gamma, reduction=reduction). Gradient towards x.
---- `reduction` = "mean": mean, sum or none (a loss for each element)
---- `alpha` = 0.25: weight of the ones, 1 - alpha that of the zeros; negative: no weights
---- `gamma` = 2: how much less elements count that are right already
---@param target tlua.Tensor
---@param options? { reduction?: "mean"|"sum"|"none", alpha?: number, gamma?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:sigmoid_focal_loss(target, options, ...) end

---activation(convolution of `x` (N, ..., C) with `weight` (O, C / groups, ...) + `bias` (O) + `residual`), in one to three dimensions.
---PyTorch: conv(x, weight, bias, residual, stride, padding, padding_end, dilation, groups, activation). Gradient towards x, weight, bias, residual.
---- `stride` = {}: step, one number or one a dimension; 1 where not given
---- `padding` = {}: zeros before (and after)
---- `padding_end` = {}: zeros after, where they differ
---- `dilation` = {}: distance of kernel elements; 1 where not given
---- `groups` = 1: channels are split into so many
---- `activation` = "none": applied to the sum
---@param x tlua.Tensor
---@param weight tlua.Tensor
---@param bias? tlua.Tensor
---@param residual? tlua.Tensor
---@param options? { stride?: integer[], padding?: integer[], padding_end?: integer[], dilation?: integer[], groups?: integer, activation?: "none"|"relu"|"relu6"|"silu"|"hardswish"|"gelu" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.conv(x, weight, bias, residual, options, ...) end

tlua.conv = ops.conv

---activation(convolution of `x` (N, ..., C) with `weight` (O, C / groups, ...) + `bias` (O) + `residual`), in one to three dimensions.
---PyTorch: conv(x, weight, bias, residual, stride, padding, padding_end, dilation, groups, activation). Gradient towards x, weight, bias, residual.
---- `stride` = {}: step, one number or one a dimension; 1 where not given
---- `padding` = {}: zeros before (and after)
---- `padding_end` = {}: zeros after, where they differ
---- `dilation` = {}: distance of kernel elements; 1 where not given
---- `groups` = 1: channels are split into so many
---- `activation` = "none": applied to the sum
---@param weight tlua.Tensor
---@param bias? tlua.Tensor
---@param residual? tlua.Tensor
---@param options? { stride?: integer[], padding?: integer[], padding_end?: integer[], dilation?: integer[], groups?: integer, activation?: "none"|"relu"|"relu6"|"silu"|"hardswish"|"gelu" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:conv(weight, bias, residual, options, ...) end

---Transposed convolution of `x` (N, ..., C) with `weight` (C, O / groups, ...) + `bias` (O), in one to three dimensions.
---PyTorch: conv_transpose(x, weight, bias, stride, padding, output_padding, dilation, groups, padding_end). Gradient towards x, weight, bias.
---- `stride` = {}: step of the output, one number or one a dimension; 1 where not given
---- `padding` = {}: rows taken away on each side
---- `output_padding` = {}: rows added at the end
---- `dilation` = {}: distance of kernel elements; 1 where not given
---- `groups` = 1: channels are split into so many
---- `padding_end` = {}: rows taken away at the end, where they differ
---@param x tlua.Tensor
---@param weight tlua.Tensor
---@param bias? tlua.Tensor
---@param options? { stride?: integer[], padding?: integer[], output_padding?: integer[], dilation?: integer[], groups?: integer, padding_end?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.conv_transpose(x, weight, bias, options, ...) end

tlua.conv_transpose = ops.conv_transpose

---Transposed convolution of `x` (N, ..., C) with `weight` (C, O / groups, ...) + `bias` (O), in one to three dimensions.
---PyTorch: conv_transpose(x, weight, bias, stride, padding, output_padding, dilation, groups, padding_end). Gradient towards x, weight, bias.
---- `stride` = {}: step of the output, one number or one a dimension; 1 where not given
---- `padding` = {}: rows taken away on each side
---- `output_padding` = {}: rows added at the end
---- `dilation` = {}: distance of kernel elements; 1 where not given
---- `groups` = 1: channels are split into so many
---- `padding_end` = {}: rows taken away at the end, where they differ
---@param weight tlua.Tensor
---@param bias? tlua.Tensor
---@param options? { stride?: integer[], padding?: integer[], output_padding?: integer[], dilation?: integer[], groups?: integer, padding_end?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:conv_transpose(weight, bias, options, ...) end

---`x` (N, ..., C) at another size, by the nearest pixel, or linearly or by cubic curves between neighbours.
---PyTorch: interpolate(x, size, scale, mode, align_corners, coordinates, rounding, factors, cubic_a, exclude_outside). Gradient towards x.
---- `size` = {}: of the result, one number or one a dimension
---- `scale` = 0: instead of a size: how many times as large
---- `mode` = "nearest": nearest, or linear or cubic in each dimension
---- `align_corners` = false: linear: the corner pixels' centres stay where they are, instead of their edges
---- `coordinates` = "usual": where a pixel of the result lies among those of `x`, as ONNX's Resize calls it; usual: half_pixel, and asymmetric where the mode is nearest
---- `rounding` = "floor": nearest: which pixel that is
---- `factors` = {}: how many times as large, one number or one a dimension: by these coordinates are worked out, and without a size that, rounded down
---- `cubic_a` = -0.75: cubic: the curve's slope one pixel away
---- `exclude_outside` = false: pixels beyond the edge have no share, instead of being the last ones again
---@param x tlua.Tensor
---@param options? { size?: integer[], scale?: integer, mode?: "nearest"|"linear"|"cubic", align_corners?: boolean, coordinates?: "usual"|"half_pixel"|"half_pixel_symmetric"|"pytorch_half_pixel"|"align_corners"|"asymmetric"|"tf_half_pixel_for_nn", rounding?: "floor"|"ceil"|"round_prefer_floor"|"round_prefer_ceil", factors?: number[], cubic_a?: number, exclude_outside?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.interpolate(x, options, ...) end

tlua.interpolate = ops.interpolate

---`x` (N, ..., C) at another size, by the nearest pixel, or linearly or by cubic curves between neighbours.
---PyTorch: interpolate(x, size, scale, mode, align_corners, coordinates, rounding, factors, cubic_a, exclude_outside). Gradient towards x.
---- `size` = {}: of the result, one number or one a dimension
---- `scale` = 0: instead of a size: how many times as large
---- `mode` = "nearest": nearest, or linear or cubic in each dimension
---- `align_corners` = false: linear: the corner pixels' centres stay where they are, instead of their edges
---- `coordinates` = "usual": where a pixel of the result lies among those of `x`, as ONNX's Resize calls it; usual: half_pixel, and asymmetric where the mode is nearest
---- `rounding` = "floor": nearest: which pixel that is
---- `factors` = {}: how many times as large, one number or one a dimension: by these coordinates are worked out, and without a size that, rounded down
---- `cubic_a` = -0.75: cubic: the curve's slope one pixel away
---- `exclude_outside` = false: pixels beyond the edge have no share, instead of being the last ones again
---@param options? { size?: integer[], scale?: integer, mode?: "nearest"|"linear"|"cubic", align_corners?: boolean, coordinates?: "usual"|"half_pixel"|"half_pixel_symmetric"|"pytorch_half_pixel"|"align_corners"|"asymmetric"|"tf_half_pixel_for_nn", rounding?: "floor"|"ceil"|"round_prefer_floor"|"round_prefer_ceil", factors?: number[], cubic_a?: number, exclude_outside?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:interpolate(options, ...) end

---`x` (N, ..., C), pictures or volumes, at the places of `grid` (N, ..., 2 or 3): numbers from -1 to 1 over each dimension, the last one (the width) first.
---PyTorch: grid_sample(x, grid, mode, padding, align_corners). Gradient towards x, grid.
---- `mode` = "linear": between pixels
---- `padding` = "zeros": what lies outside
---- `align_corners` = false: -1 and 1 are the centres of the corner pixels, instead of their edges
---@param x tlua.Tensor
---@param grid tlua.Tensor
---@param options? { mode?: "linear"|"nearest"|"cubic", padding?: "zeros"|"border"|"reflection", align_corners?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.grid_sample(x, grid, options, ...) end

tlua.grid_sample = ops.grid_sample

---`x` (N, ..., C), pictures or volumes, at the places of `grid` (N, ..., 2 or 3): numbers from -1 to 1 over each dimension, the last one (the width) first.
---PyTorch: grid_sample(x, grid, mode, padding, align_corners). Gradient towards x, grid.
---- `mode` = "linear": between pixels
---- `padding` = "zeros": what lies outside
---- `align_corners` = false: -1 and 1 are the centres of the corner pixels, instead of their edges
---@param grid tlua.Tensor
---@param options? { mode?: "linear"|"nearest"|"cubic", padding?: "zeros"|"border"|"reflection", align_corners?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:grid_sample(grid, options, ...) end

---Means over regions of `x` (N, H, W, C): each of `boxes` (R, 4), as x1, y1, x2, y2 in the picture `picture`[r] (int32, from 0), is cut into `size` bins, and in each points are read between pixels: (R, size, C).
---PyTorch: roi_align(x, boxes, picture, size, scale, points, aligned). Gradient towards x.
---- `size` = {}: bins over height and width, one number or two
---- `scale` = 1: what boxes are multiplied with
---- `points` = 0: in a bin, along each side; 0: one a pixel
---- `aligned` = false: pixels' centres, instead of their edges, are at whole numbers and a half
---@param x tlua.Tensor
---@param boxes tlua.Tensor
---@param picture tlua.Tensor
---@param options? { size?: integer[], scale?: number, points?: integer, aligned?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.roi_align(x, boxes, picture, options, ...) end

tlua.roi_align = ops.roi_align

---Means over regions of `x` (N, H, W, C): each of `boxes` (R, 4), as x1, y1, x2, y2 in the picture `picture`[r] (int32, from 0), is cut into `size` bins, and in each points are read between pixels: (R, size, C).
---PyTorch: roi_align(x, boxes, picture, size, scale, points, aligned). Gradient towards x.
---- `size` = {}: bins over height and width, one number or two
---- `scale` = 1: what boxes are multiplied with
---- `points` = 0: in a bin, along each side; 0: one a pixel
---- `aligned` = false: pixels' centres, instead of their edges, are at whole numbers and a half
---@param boxes tlua.Tensor
---@param picture tlua.Tensor
---@param options? { size?: integer[], scale?: number, points?: integer, aligned?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:roi_align(boxes, picture, options, ...) end

---Largest element of each window of `x` (N, ..., C), by channel.
---PyTorch: max_pool(x, kernel, stride, padding, padding_end, ceil_mode, dilation). Gradient towards x.
---- `kernel` = {}: size of the window, one number or one a dimension
---- `stride` = {}: step; the window's size where not given
---- `padding` = {}: cells before (and after)
---- `padding_end` = {}: cells after, where they differ
---- `ceil_mode` = false: windows may hang over the end
---- `dilation` = {}: distance of a window's elements; 1 where not given
---@param x tlua.Tensor
---@param options? { kernel?: integer[], stride?: integer[], padding?: integer[], padding_end?: integer[], ceil_mode?: boolean, dilation?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.max_pool(x, options, ...) end

tlua.max_pool = ops.max_pool

---Largest element of each window of `x` (N, ..., C), by channel.
---PyTorch: max_pool(x, kernel, stride, padding, padding_end, ceil_mode, dilation). Gradient towards x.
---- `kernel` = {}: size of the window, one number or one a dimension
---- `stride` = {}: step; the window's size where not given
---- `padding` = {}: cells before (and after)
---- `padding_end` = {}: cells after, where they differ
---- `ceil_mode` = false: windows may hang over the end
---- `dilation` = {}: distance of a window's elements; 1 where not given
---@param options? { kernel?: integer[], stride?: integer[], padding?: integer[], padding_end?: integer[], ceil_mode?: boolean, dilation?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:max_pool(options, ...) end

---Where `max_pool` has its elements from: numbers of pixels within a picture of `x`, row by row from 0, as int32.
---PyTorch: max_pool(x, kernel, stride, padding, padding_end, ceil_mode, dilation, True). No gradient.
---- `kernel` = {}: size of the window, one number or one a dimension
---- `stride` = {}: step; the window's size where not given
---- `padding` = {}: cells before (and after)
---- `padding_end` = {}: cells after, where they differ
---- `ceil_mode` = false: windows may hang over the end
---- `dilation` = {}: distance of a window's elements; 1 where not given
---@param x tlua.Tensor
---@param options? { kernel?: integer[], stride?: integer[], padding?: integer[], padding_end?: integer[], ceil_mode?: boolean, dilation?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.max_pool_places(x, options, ...) end

tlua.max_pool_places = ops.max_pool_places

---Where `max_pool` has its elements from: numbers of pixels within a picture of `x`, row by row from 0, as int32.
---PyTorch: max_pool(x, kernel, stride, padding, padding_end, ceil_mode, dilation, True). No gradient.
---- `kernel` = {}: size of the window, one number or one a dimension
---- `stride` = {}: step; the window's size where not given
---- `padding` = {}: cells before (and after)
---- `padding_end` = {}: cells after, where they differ
---- `ceil_mode` = false: windows may hang over the end
---- `dilation` = {}: distance of a window's elements; 1 where not given
---@param options? { kernel?: integer[], stride?: integer[], padding?: integer[], padding_end?: integer[], ceil_mode?: boolean, dilation?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:max_pool_places(options, ...) end

---Mean of each window of `x` (N, ..., C), by channel.
---PyTorch: avg_pool(x, kernel, stride, padding, padding_end, ceil_mode, count_include_pad, dilation). Gradient towards x.
---- `kernel` = {}: size of the window, one number or one a dimension
---- `stride` = {}: step; the window's size where not given
---- `padding` = {}: cells before (and after)
---- `padding_end` = {}: cells after, where they differ
---- `ceil_mode` = false: windows may hang over the end
---- `count_include_pad` = true: padding counts as zeros
---- `dilation` = {}: distance of a window's elements; 1 where not given
---@param x tlua.Tensor
---@param options? { kernel?: integer[], stride?: integer[], padding?: integer[], padding_end?: integer[], ceil_mode?: boolean, count_include_pad?: boolean, dilation?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.avg_pool(x, options, ...) end

tlua.avg_pool = ops.avg_pool

---Mean of each window of `x` (N, ..., C), by channel.
---PyTorch: avg_pool(x, kernel, stride, padding, padding_end, ceil_mode, count_include_pad, dilation). Gradient towards x.
---- `kernel` = {}: size of the window, one number or one a dimension
---- `stride` = {}: step; the window's size where not given
---- `padding` = {}: cells before (and after)
---- `padding_end` = {}: cells after, where they differ
---- `ceil_mode` = false: windows may hang over the end
---- `count_include_pad` = true: padding counts as zeros
---- `dilation` = {}: distance of a window's elements; 1 where not given
---@param options? { kernel?: integer[], stride?: integer[], padding?: integer[], padding_end?: integer[], ceil_mode?: boolean, count_include_pad?: boolean, dilation?: integer[] }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:avg_pool(options, ...) end

---activation(`x` (N, ..., C) normalised by channel, times `weight` plus `bias`, plus `residual`). In training by the batch's own statistics, which also move the running ones.
---PyTorch: batch_norm(x, weight, bias, running_mean, running_var, residual, training, momentum, eps, activation). Gradient towards x, weight, bias, residual.
---- `training` = false: use the batch's statistics
---- `momentum` = 0.1: share of the new statistics
---- `eps` = 1e-05: added to the variance
---- `activation` = "none": applied to the sum; silu and hardswish only without a residual
---@param x tlua.Tensor
---@param weight? tlua.Tensor
---@param bias? tlua.Tensor
---@param running_mean tlua.Tensor
---@param running_var tlua.Tensor
---@param residual? tlua.Tensor
---@param options? { training?: boolean, momentum?: number, eps?: number, activation?: "none"|"relu"|"relu6"|"silu"|"hardswish" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.batch_norm(x, weight, bias, running_mean, running_var, residual, options, ...) end

tlua.batch_norm = ops.batch_norm

---activation(`x` (N, ..., C) normalised by channel, times `weight` plus `bias`, plus `residual`). In training by the batch's own statistics, which also move the running ones.
---PyTorch: batch_norm(x, weight, bias, running_mean, running_var, residual, training, momentum, eps, activation). Gradient towards x, weight, bias, residual.
---- `training` = false: use the batch's statistics
---- `momentum` = 0.1: share of the new statistics
---- `eps` = 1e-05: added to the variance
---- `activation` = "none": applied to the sum; silu and hardswish only without a residual
---@param weight? tlua.Tensor
---@param bias? tlua.Tensor
---@param running_mean tlua.Tensor
---@param running_var tlua.Tensor
---@param residual? tlua.Tensor
---@param options? { training?: boolean, momentum?: number, eps?: number, activation?: "none"|"relu"|"relu6"|"silu"|"hardswish" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:batch_norm(weight, bias, running_mean, running_var, residual, options, ...) end

---`x` with a share `p` of its elements set to zero and the others scaled by 1 / (1 - p), while `training`.
---PyTorch: F.dropout(x, p, training). Gradient towards x.
---- `p` = 0.5: share that is dropped
---- `training` = false: otherwise x is returned as it is
---@param x tlua.Tensor
---@param options? { p?: number, training?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.dropout(x, options, ...) end

tlua.dropout = ops.dropout

---`x` with a share `p` of its elements set to zero and the others scaled by 1 / (1 - p), while `training`.
---PyTorch: F.dropout(x, p, training). Gradient towards x.
---- `p` = 0.5: share that is dropped
---- `training` = false: otherwise x is returned as it is
---@param options? { p?: number, training?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:dropout(options, ...) end

---Tensors put together along `axis`; their other dimensions agree.
---PyTorch: torch.cat(xs, dim=axis). Gradient towards x.
---- `axis` = -1: dimension along which they follow each other
---@param ... tlua.Tensor
---@return tlua.Tensor
function ops.concat(...) end

tlua.concat = ops.concat

---`x` normalised along its last dimension, times `weight` plus `bias` (Ba, Kiros, Hinton 2016).
---PyTorch: F.layer_norm(x, x.shape[-1:], weight, bias, eps). Gradient towards x, weight, bias.
---- `eps` = 1e-05: added to the variance
---@param x tlua.Tensor
---@param weight? tlua.Tensor
---@param bias? tlua.Tensor
---@param options? { eps?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.layer_norm(x, weight, bias, options, ...) end

tlua.layer_norm = ops.layer_norm

---`x` normalised along its last dimension, times `weight` plus `bias` (Ba, Kiros, Hinton 2016).
---PyTorch: F.layer_norm(x, x.shape[-1:], weight, bias, eps). Gradient towards x, weight, bias.
---- `eps` = 1e-05: added to the variance
---@param weight? tlua.Tensor
---@param bias? tlua.Tensor
---@param options? { eps?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:layer_norm(weight, bias, options, ...) end

---`x` (N, ..., C) normalised for each sample over all places and the channels of a group, times `weight` plus `bias`; what is below zero times `slope`.
---PyTorch: group_norm(x, weight, bias, groups, eps, slope). Gradient towards x, weight, bias.
---- `groups` = 0: channels are split into so many; 0: each is its own, instance norm
---- `eps` = 1e-05: added to the variance
---- `slope` = 1: of a rectifier behind it: 0 is relu, 0.01 a leaky one, 1 none
---@param x tlua.Tensor
---@param weight? tlua.Tensor
---@param bias? tlua.Tensor
---@param options? { groups?: integer, eps?: number, slope?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.group_norm(x, weight, bias, options, ...) end

tlua.group_norm = ops.group_norm

---`x` (N, ..., C) normalised for each sample over all places and the channels of a group, times `weight` plus `bias`; what is below zero times `slope`.
---PyTorch: group_norm(x, weight, bias, groups, eps, slope). Gradient towards x, weight, bias.
---- `groups` = 0: channels are split into so many; 0: each is its own, instance norm
---- `eps` = 1e-05: added to the variance
---- `slope` = 1: of a rectifier behind it: 0 is relu, 0.01 a leaky one, 1 none
---@param weight? tlua.Tensor
---@param bias? tlua.Tensor
---@param options? { groups?: integer, eps?: number, slope?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:group_norm(weight, bias, options, ...) end

---Rows of `table` (rows, width) by `ids` (...), counted from 0: (..., width).
---PyTorch: F.embedding(ids.long(), table). Gradient towards table.
---@param table tlua.Tensor
---@param ids tlua.Tensor
---@return tlua.Tensor
function ops.embedding(table, ids) end

tlua.embedding = ops.embedding

---Rows of `table` (rows, width) by `ids` (...), counted from 0: (..., width).
---PyTorch: F.embedding(ids.long(), table). Gradient towards table.
---@param ids tlua.Tensor
---@return tlua.Tensor
function Tensor:embedding(ids) end

---softmax(scale q k^T) v by heads: `q` (N, T, C), `k` and `v` (N, S, C), a head being C / heads features. Of sequence n only the first `lengths`[n] keys count, and where T = S rows of padding are zero. `bias` (N or 1, heads or 1, T or 1, S) is added to the scaled products: positions, or a mask; a row of which it hides all keys with -inf is zero. `q`, `k` and `v` (rows, C) are sequences one behind the other (pack), of `lengths`, which look at themselves; a row has at most `longest` before and behind it.
---PyTorch: attention(q, k, v, lengths, bias, heads, causal, scale, longest, offset). Gradient towards q, k, v, bias.
---- `heads` = 1: how many
---- `causal` = false: row i sees keys up to i + `offset`
---- `scale` = 0: 0: 1 / sqrt(C / heads)
---- `dropout` = 0: share of the probabilities that is dropped
---- `training` = false: otherwise none is
---- `longest` = 0: of packed sequences: the most rows of one (0: any number)
---- `offset` = 0: with `causal`: how many keys lie before the first row's own
---@param q tlua.Tensor
---@param k tlua.Tensor
---@param v tlua.Tensor
---@param lengths? tlua.Tensor
---@param bias? tlua.Tensor
---@param options? { heads?: integer, causal?: boolean, scale?: number, dropout?: number, training?: boolean, longest?: integer, offset?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.attention(q, k, v, lengths, bias, options, ...) end

tlua.attention = ops.attention

---softmax(scale q k^T) v by heads: `q` (N, T, C), `k` and `v` (N, S, C), a head being C / heads features. Of sequence n only the first `lengths`[n] keys count, and where T = S rows of padding are zero. `bias` (N or 1, heads or 1, T or 1, S) is added to the scaled products: positions, or a mask; a row of which it hides all keys with -inf is zero. `q`, `k` and `v` (rows, C) are sequences one behind the other (pack), of `lengths`, which look at themselves; a row has at most `longest` before and behind it.
---PyTorch: attention(q, k, v, lengths, bias, heads, causal, scale, longest, offset). Gradient towards q, k, v, bias.
---- `heads` = 1: how many
---- `causal` = false: row i sees keys up to i + `offset`
---- `scale` = 0: 0: 1 / sqrt(C / heads)
---- `dropout` = 0: share of the probabilities that is dropped
---- `training` = false: otherwise none is
---- `longest` = 0: of packed sequences: the most rows of one (0: any number)
---- `offset` = 0: with `causal`: how many keys lie before the first row's own
---@param k tlua.Tensor
---@param v tlua.Tensor
---@param lengths? tlua.Tensor
---@param bias? tlua.Tensor
---@param options? { heads?: integer, causal?: boolean, scale?: number, dropout?: number, training?: boolean, longest?: integer, offset?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:attention(k, v, lengths, bias, options, ...) end

---Of `x` (N, T, ...) the rows that count, sequence by sequence: (rows, ...). Of sequence n the first `lengths`[n] do; `rows` is their sum (zeros stand behind them where it is more).
---PyTorch: pack(x, lengths, rows). Gradient towards x.
---- `rows`: the sum of the lengths
---@param x tlua.Tensor
---@param lengths tlua.Tensor
---@param options? { rows: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.pack(x, lengths, options, ...) end

tlua.pack = ops.pack

---Of `x` (N, T, ...) the rows that count, sequence by sequence: (rows, ...). Of sequence n the first `lengths`[n] do; `rows` is their sum (zeros stand behind them where it is more).
---PyTorch: pack(x, lengths, rows). Gradient towards x.
---- `rows`: the sum of the lengths
---@param lengths tlua.Tensor
---@param options? { rows: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:pack(lengths, options, ...) end

---Sequences one behind the other, `x` (rows, ...), each at its place: (N, longest, ...), zeros behind the first `lengths`[n] rows of sequence n. What `pack` undoes.
---PyTorch: unpack(x, lengths, longest). Gradient towards x.
---- `longest`: rows of each sequence in the result
---@param x tlua.Tensor
---@param lengths tlua.Tensor
---@param options? { longest: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.unpack(x, lengths, options, ...) end

tlua.unpack = ops.unpack

---Sequences one behind the other, `x` (rows, ...), each at its place: (N, longest, ...), zeros behind the first `lengths`[n] rows of sequence n. What `pack` undoes.
---PyTorch: unpack(x, lengths, longest). Gradient towards x.
---- `longest`: rows of each sequence in the result
---@param lengths tlua.Tensor
---@param options? { longest: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:unpack(lengths, options, ...) end

---Recurrent layer over `x` (N, T, C): h = activation(x weight_x^T + bias_x + h weight_h^T + bias_h), `weight_x` (width, C), `weight_h` (width, width). The results are y (N, T, width) and the last state (N, width); `h` is the first one. Sequence n ends after its first `lengths`[n] elements: y is 0 behind them.
---PyTorch: rnn(x, weight_x, weight_h, bias_x, bias_h, h, lengths, reverse, activation). Gradient towards x, weight_x, weight_h, bias_x, bias_h, h.
---- `reverse` = false: from the end of each sequence to its beginning
---- `activation` = "tanh": of the state
---@param x tlua.Tensor
---@param weight_x tlua.Tensor
---@param weight_h tlua.Tensor
---@param bias_x? tlua.Tensor
---@param bias_h? tlua.Tensor
---@param h? tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { reverse?: boolean, activation?: "tanh"|"relu" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.rnn(x, weight_x, weight_h, bias_x, bias_h, h, lengths, options, ...) end

tlua.rnn = ops.rnn

---Recurrent layer over `x` (N, T, C): h = activation(x weight_x^T + bias_x + h weight_h^T + bias_h), `weight_x` (width, C), `weight_h` (width, width). The results are y (N, T, width) and the last state (N, width); `h` is the first one. Sequence n ends after its first `lengths`[n] elements: y is 0 behind them.
---PyTorch: rnn(x, weight_x, weight_h, bias_x, bias_h, h, lengths, reverse, activation). Gradient towards x, weight_x, weight_h, bias_x, bias_h, h.
---- `reverse` = false: from the end of each sequence to its beginning
---- `activation` = "tanh": of the state
---@param weight_x tlua.Tensor
---@param weight_h tlua.Tensor
---@param bias_x? tlua.Tensor
---@param bias_h? tlua.Tensor
---@param h? tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { reverse?: boolean, activation?: "tanh"|"relu" }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:rnn(weight_x, weight_h, bias_x, bias_h, h, lengths, options, ...) end

---Gated recurrent units over `x` (N, T, C), `weight_x` (3 width, C), `weight_h` (3 width, width), gates in PyTorch's order (reset, update, new). The results are y (N, T, width) and the last state (N, width); `h` is the first one. Sequence n ends after its first `lengths`[n] elements: y is 0 behind them.
---PyTorch: gru(x, weight_x, weight_h, bias_x, bias_h, h, lengths, reverse). Gradient towards x, weight_x, weight_h, bias_x, bias_h, h.
---- `reverse` = false: from the end of each sequence to its beginning
---@param x tlua.Tensor
---@param weight_x tlua.Tensor
---@param weight_h tlua.Tensor
---@param bias_x? tlua.Tensor
---@param bias_h? tlua.Tensor
---@param h? tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { reverse?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.gru(x, weight_x, weight_h, bias_x, bias_h, h, lengths, options, ...) end

tlua.gru = ops.gru

---Gated recurrent units over `x` (N, T, C), `weight_x` (3 width, C), `weight_h` (3 width, width), gates in PyTorch's order (reset, update, new). The results are y (N, T, width) and the last state (N, width); `h` is the first one. Sequence n ends after its first `lengths`[n] elements: y is 0 behind them.
---PyTorch: gru(x, weight_x, weight_h, bias_x, bias_h, h, lengths, reverse). Gradient towards x, weight_x, weight_h, bias_x, bias_h, h.
---- `reverse` = false: from the end of each sequence to its beginning
---@param weight_x tlua.Tensor
---@param weight_h tlua.Tensor
---@param bias_x? tlua.Tensor
---@param bias_h? tlua.Tensor
---@param h? tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { reverse?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:gru(weight_x, weight_h, bias_x, bias_h, h, lengths, options, ...) end

---Long short-term memory over `x` (N, T, C), `weight_x` (4 width, C), `weight_h` (4 width, width), gates in PyTorch's order (input, forget, cell, output). The results are y (N, T, width) and the last state (N, width); `h` is the first one. Sequence n ends after its first `lengths`[n] elements: y is 0 behind them. Third comes the last cell, of which `c` is the first.
---PyTorch: lstm(x, weight_x, weight_h, bias_x, bias_h, h, c, lengths, reverse). Gradient towards x, weight_x, weight_h, bias_x, bias_h, h, c.
---- `reverse` = false: from the end of each sequence to its beginning
---@param x tlua.Tensor
---@param weight_x tlua.Tensor
---@param weight_h tlua.Tensor
---@param bias_x? tlua.Tensor
---@param bias_h? tlua.Tensor
---@param h? tlua.Tensor
---@param c? tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { reverse?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.lstm(x, weight_x, weight_h, bias_x, bias_h, h, c, lengths, options, ...) end

tlua.lstm = ops.lstm

---Long short-term memory over `x` (N, T, C), `weight_x` (4 width, C), `weight_h` (4 width, width), gates in PyTorch's order (input, forget, cell, output). The results are y (N, T, width) and the last state (N, width); `h` is the first one. Sequence n ends after its first `lengths`[n] elements: y is 0 behind them. Third comes the last cell, of which `c` is the first.
---PyTorch: lstm(x, weight_x, weight_h, bias_x, bias_h, h, c, lengths, reverse). Gradient towards x, weight_x, weight_h, bias_x, bias_h, h, c.
---- `reverse` = false: from the end of each sequence to its beginning
---@param weight_x tlua.Tensor
---@param weight_h tlua.Tensor
---@param bias_x? tlua.Tensor
---@param bias_h? tlua.Tensor
---@param h? tlua.Tensor
---@param c? tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { reverse?: boolean }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:lstm(weight_x, weight_h, bias_x, bias_h, h, c, lengths, options, ...) end

---Fourier transforms of the frames of `wave` (N, samples), each times `window`: complex bins (N, frames, n_fft / 2 + 1, 2), or with `power` their magnitudes or squares (N, frames, n_fft / 2 + 1). `lengths` (N, int32) says how many samples each clip has: its padding begins there, and frames behind are 0.
---PyTorch: stft(wave, window, lengths, n_fft, hop, pad, pad_mode, remove_mean, preemphasis, power). Gradient towards wave.
---- `n_fft` = 0: points of the transform; behind a shorter window zeros; 0: the window's length
---- `hop` = 0: samples from frame to frame; 0: a quarter of n_fft
---- `pad` = {}: samples added before and after each clip, one number or two; none where not given
---- `pad_mode` = "constant": zeros, or the clip itself: mirrored at its last sample, that one again, or mirrored behind it
---- `remove_mean` = false: each frame's mean is subtracted first
---- `preemphasis` = 0: then, within the frame, so much of the sample before (of the first: of itself)
---- `power` = 0: 0: complex numbers, 1: magnitudes, 2: their squares
---@param wave tlua.Tensor
---@param window tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { n_fft?: integer, hop?: integer, pad?: integer[], pad_mode?: "constant"|"reflect"|"replicate"|"symmetric", remove_mean?: boolean, preemphasis?: number, power?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.stft(wave, window, lengths, options, ...) end

tlua.stft = ops.stft

---Fourier transforms of the frames of `wave` (N, samples), each times `window`: complex bins (N, frames, n_fft / 2 + 1, 2), or with `power` their magnitudes or squares (N, frames, n_fft / 2 + 1). `lengths` (N, int32) says how many samples each clip has: its padding begins there, and frames behind are 0.
---PyTorch: stft(wave, window, lengths, n_fft, hop, pad, pad_mode, remove_mean, preemphasis, power). Gradient towards wave.
---- `n_fft` = 0: points of the transform; behind a shorter window zeros; 0: the window's length
---- `hop` = 0: samples from frame to frame; 0: a quarter of n_fft
---- `pad` = {}: samples added before and after each clip, one number or two; none where not given
---- `pad_mode` = "constant": zeros, or the clip itself: mirrored at its last sample, that one again, or mirrored behind it
---- `remove_mean` = false: each frame's mean is subtracted first
---- `preemphasis` = 0: then, within the frame, so much of the sample before (of the first: of itself)
---- `power` = 0: 0: complex numbers, 1: magnitudes, 2: their squares
---@param window tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { n_fft?: integer, hop?: integer, pad?: integer[], pad_mode?: "constant"|"reflect"|"replicate"|"symmetric", remove_mean?: boolean, preemphasis?: number, power?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:stft(window, lengths, options, ...) end

---Bands of the spectra of `wave` (N, samples): the bins that `stft` gives with `power` times `bank` (bands, n_fft / 2 + 1), and their logarithms, in one launch that keeps no spectrum: (N, frames, bands). Frames behind `lengths` are those of silence.
---PyTorch: mel_spectrogram(wave, window, bank, lengths, n_fft, hop, pad, pad_mode, remove_mean, preemphasis, power, log, floor, offset). Gradient towards wave.
---- `n_fft` = 0: points of the transform; behind a shorter window zeros; 0: the window's length
---- `hop` = 0: samples from frame to frame; 0: a quarter of n_fft
---- `pad` = {}: samples added before and after each clip, one number or two; none where not given
---- `pad_mode` = "constant": zeros, or the clip itself: mirrored at its last sample, that one again, or mirrored behind it
---- `remove_mean` = false: each frame's mean is subtracted first
---- `preemphasis` = 0: then, within the frame, so much of the sample before (of the first: of itself)
---- `power` = 2: 1: of magnitudes, 2: of their squares
---- `log` = "none": the logarithm; db: 10 log10 of squares, 20 log10 of magnitudes
---- `floor` = 1e-10: what is less becomes that before the logarithm
---- `offset` = 0: what is added before the logarithm
---@param wave tlua.Tensor
---@param window tlua.Tensor
---@param bank tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { n_fft?: integer, hop?: integer, pad?: integer[], pad_mode?: "constant"|"reflect"|"replicate"|"symmetric", remove_mean?: boolean, preemphasis?: number, power?: integer, log?: "none"|"log"|"log10"|"db", floor?: number, offset?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.mel_spectrogram(wave, window, bank, lengths, options, ...) end

tlua.mel_spectrogram = ops.mel_spectrogram

---Bands of the spectra of `wave` (N, samples): the bins that `stft` gives with `power` times `bank` (bands, n_fft / 2 + 1), and their logarithms, in one launch that keeps no spectrum: (N, frames, bands). Frames behind `lengths` are those of silence.
---PyTorch: mel_spectrogram(wave, window, bank, lengths, n_fft, hop, pad, pad_mode, remove_mean, preemphasis, power, log, floor, offset). Gradient towards wave.
---- `n_fft` = 0: points of the transform; behind a shorter window zeros; 0: the window's length
---- `hop` = 0: samples from frame to frame; 0: a quarter of n_fft
---- `pad` = {}: samples added before and after each clip, one number or two; none where not given
---- `pad_mode` = "constant": zeros, or the clip itself: mirrored at its last sample, that one again, or mirrored behind it
---- `remove_mean` = false: each frame's mean is subtracted first
---- `preemphasis` = 0: then, within the frame, so much of the sample before (of the first: of itself)
---- `power` = 2: 1: of magnitudes, 2: of their squares
---- `log` = "none": the logarithm; db: 10 log10 of squares, 20 log10 of magnitudes
---- `floor` = 1e-10: what is less becomes that before the logarithm
---- `offset` = 0: what is added before the logarithm
---@param window tlua.Tensor
---@param bank tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { n_fft?: integer, hop?: integer, pad?: integer[], pad_mode?: "constant"|"reflect"|"replicate"|"symmetric", remove_mean?: boolean, preemphasis?: number, power?: integer, log?: "none"|"log"|"log10"|"db", floor?: number, offset?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:mel_spectrogram(window, bank, lengths, options, ...) end

---Slopes of `x` (N, F, B) over frames up to `reach` before and behind each, of least squares; the first and last of the `lengths` (N, int32) frames that a clip has go on at its ends, and behind them is 0.
---PyTorch: deltas(x, lengths, reach). Gradient towards x.
---- `reach` = 2: frames to each side
---@param x tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { reach?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.deltas(x, lengths, options, ...) end

tlua.deltas = ops.deltas

---Slopes of `x` (N, F, B) over frames up to `reach` before and behind each, of least squares; the first and last of the `lengths` (N, int32) frames that a clip has go on at its ends, and behind them is 0.
---PyTorch: deltas(x, lengths, reach). Gradient towards x.
---- `reach` = 2: frames to each side
---@param lengths? tlua.Tensor
---@param options? { reach?: integer }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:deltas(lengths, options, ...) end

---`x` (N, F, B) with stretches of bands and of frames replaced by `value`, each clip its own, within its `lengths` (N, int32) frames (Park et al. 2019). Widths are drawn from 0 to the largest, places evenly.
---PyTorch: x with torchaudio.transforms.FrequencyMasking and TimeMasking of each clip. Gradient towards x.
---- `freq_masks` = 2: stretches of bands
---- `freq_width` = 27: bands of one at most
---- `time_masks` = 2: stretches of frames
---- `time_width` = 100: frames of one at most
---- `time_share` = 1: and at most this share of the clip
---- `value` = 0: what stands there
---@param x tlua.Tensor
---@param lengths? tlua.Tensor
---@param options? { freq_masks?: integer, freq_width?: integer, time_masks?: integer, time_width?: integer, time_share?: number, value?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function ops.spec_augment(x, lengths, options, ...) end

tlua.spec_augment = ops.spec_augment

---`x` (N, F, B) with stretches of bands and of frames replaced by `value`, each clip its own, within its `lengths` (N, int32) frames (Park et al. 2019). Widths are drawn from 0 to the largest, places evenly.
---PyTorch: x with torchaudio.transforms.FrequencyMasking and TimeMasking of each clip. Gradient towards x.
---- `freq_masks` = 2: stretches of bands
---- `freq_width` = 27: bands of one at most
---- `time_masks` = 2: stretches of frames
---- `time_width` = 100: frames of one at most
---- `time_share` = 1: and at most this share of the clip
---- `value` = 0: what stands there
---@param lengths? tlua.Tensor
---@param options? { freq_masks?: integer, freq_width?: integer, time_masks?: integer, time_width?: integer, time_share?: number, value?: number }|number|number[]|string|boolean
---@param ... any
---@return tlua.Tensor
function Tensor:spec_augment(lengths, options, ...) end

---The network resnet18. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.resnet18(options) end

---The network resnet34. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.resnet34(options) end

---The network resnet50. weights: a file or the name of a published set (imagenet, imagenet_v2).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.resnet50(options) end

---The network resnet101. weights: a file or the name of a published set (imagenet, imagenet_v2).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.resnet101(options) end

---The network resnet152. weights: a file or the name of a published set (imagenet, imagenet_v2).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.resnet152(options) end

---The network efficientnet_lite0. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_lite0(options) end

---The network efficientnet_lite1. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_lite1(options) end

---The network efficientnet_lite2. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_lite2(options) end

---The network efficientnet_lite3. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_lite3(options) end

---The network efficientnet_lite4. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_lite4(options) end

---The network mobilenet_v2. weights: a file or the name of a published set (imagenet, imagenet_v2).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.mobilenet_v2(options) end

---The network mobilenet_v3_small. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.mobilenet_v3_small(options) end

---The network mobilenet_v3_large. weights: a file or the name of a published set (imagenet, imagenet_v2).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.mobilenet_v3_large(options) end

---The network squeezenet1_1. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.squeezenet1_1(options) end

---The network vgg16. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.vgg16(options) end

---The network vgg16_bn. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.vgg16_bn(options) end

---The network densenet121. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.densenet121(options) end

---The network efficientnet_b0. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_b0(options) end

---The network efficientnet_b1. weights: a file or the name of a published set (imagenet, imagenet_v2).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_b1(options) end

---The network efficientnet_b2. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_b2(options) end

---The network efficientnet_b3. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_b3(options) end

---The network efficientnet_b4. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.efficientnet_b4(options) end

---The network convnext_tiny. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.convnext_tiny(options) end

---The network vit_small_patch16_224. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.vit_small_patch16_224(options) end

---The network vit_base_patch16_224. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.vit_base_patch16_224(options) end

---The network deit_tiny_patch16_224. weights: a file or the name of a published set (imagenet).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.deit_tiny_patch16_224(options) end

---The network unet. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.unet(options) end

---The network yolox_nano. weights: a file or the name of a published set (coco).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolox_nano(options) end

---The network yolox_tiny. weights: a file or the name of a published set (coco).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolox_tiny(options) end

---The network yolox_s. weights: a file or the name of a published set (coco).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolox_s(options) end

---The network yolox_m. weights: a file or the name of a published set (coco).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolox_m(options) end

---The network yolov8n. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolov8n(options) end

---The network yolov8s. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolov8s(options) end

---The network yolov8m. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolov8m(options) end

---The network yolov8l. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolov8l(options) end

---The network yolov8x. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.Detector
function models.yolov8x(options) end

---The network conformer. weights: a file or the name of a published set (hama).
---@param options? { weights?: string, classes?: integer, dropout?: number }
---@return tlua.nn.Module
function models.conformer(options) end

---The network wav2vec2_base. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number }
---@return tlua.nn.Module
function models.wav2vec2_base(options) end

---The network speaker_lstm. weights: a file or the name of a published set (resemblyzer).
---@param options? { weights?: string, classes?: integer, dropout?: number }
---@return tlua.nn.Module
function models.speaker_lstm(options) end

---The network wave_cnn. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number }
---@return tlua.nn.Module
function models.wave_cnn(options) end

---The network mel_cnn. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number }
---@return tlua.nn.Module
function models.mel_cnn(options) end

---The network crnn. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number }
---@return tlua.nn.Module
function models.crnn(options) end

---The network bert. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number }
---@return tlua.Encoder
function models.bert(options) end

---The network gpt2. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number }
---@return tlua.Encoder
function models.gpt2(options) end

---The network meshnet. weights: a file or the name of a published set (model18cls, model5_gw_ae).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.meshnet(options) end

---The network resnet18_3d. weights: a file or the name of a published set (imagenet, kinetics400).
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.resnet18_3d(options) end

---The network unet3d. weights: a file or the name of a published set.
---@param options? { weights?: string, classes?: integer, dropout?: number, in_channels?: integer }
---@return tlua.nn.Module
function models.unet3d(options) end

return tlua
