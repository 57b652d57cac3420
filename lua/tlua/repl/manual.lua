-- manual.lua - what help() says and the editor stubs know about everything that is no operator (those are told by their descriptors).
-- "== TITLE" begins a section. "# NAME(name: type, other?: type, {option: type = default}): result" begins an entry, further lines of
-- that kind are other ways to call it; "{schema}" stands for the typed fields that the code itself has. The text follows; its
-- first sentence is the short form. Types are those of LuaLS. x: is a tensor, net: a module, encoder: a
-- network of texts, detector: one that finds boxes, opt: an optimiser.
return [==[
== tensors
# tlua.tensor(values: number|table, {dtype: tlua.dtype = "float32"}): tlua.Tensor
A tensor with the numbers of a nested table: tlua.tensor { { 1, 2 }, { 3, 4 } } is (2, 2).
# tlua.zeros(shape: integer[], {dtype: tlua.dtype = "float32"}): tlua.Tensor
# tlua.zeros(...: integer): tlua.Tensor
Zeros: tlua.zeros(2, 3) or tlua.zeros { 2, 3 }.
# tlua.ones(shape: integer[], {dtype: tlua.dtype = "float32"}): tlua.Tensor
# tlua.ones(...: integer): tlua.Tensor
Ones: tlua.ones(2, 3).
# tlua.full(shape: integer[], value: number, {dtype: tlua.dtype = "float32"}): tlua.Tensor
One number everywhere: tlua.full({ 2, 3 }, 0.5).
# tlua.arange(n: integer, {dtype: tlua.dtype = "float32"}): tlua.Tensor
The numbers 0 to n - 1, as float32 or int32.
# tlua.randn(...: integer): tlua.Tensor
Normal draws, mean 0 and deviation 1: tlua.randn(2, 3).
# tlua.rand(...: integer): tlua.Tensor
Uniform draws from 0 to 1: tlua.rand(2, 3).
# tlua.is_tensor(v: any): boolean
Is v a tensor?
# x:shape(): integer[]
# x:shape(dimension: integer): integer
The lengths of all dimensions as a list, or of one; -1 is the last.
# x:dim(dimension: integer): integer
The same as x:shape(dimension).
# x:rank(): integer
How many dimensions there are.
# x:numel(): integer
How many elements there are.
# x:dtype(): tlua.dtype
The type of the elements: "float32", "float16", "bfloat16", "int32" or "uint8".
# x:tolist(): table
All elements as nested tables.
# x:item(): number
The number in a tensor of one element. Waits for the device.
# x:to(dtype: tlua.dtype): tlua.Tensor
A copy of another type.
# x:clone(): tlua.Tensor
A copy.
# x:detach(): tlua.Tensor
The same elements, without the way back to what they were made from.
# x:copy_(y: tlua.Tensor): tlua.Tensor
Writes y, of the same shape, into x.
# x:fill_(value: number): tlua.Tensor
Writes one number everywhere.
# x:transpose(a?: integer, b?: integer): tlua.Tensor
Two dimensions exchanged, the last two if none are given.
# x:requires_grad(): boolean
# x:requires_grad(on: boolean): tlua.Tensor
Whether x gets a gradient; with an argument, from now on.
# x:backward(gradient?: tlua.Tensor, {retain: boolean = false}): nil
Works out the gradients of all that x was made from: x.grad of tensors that require one. retain: the way back may be gone again.
# x:zero_grad(): nil
Forgets the gradient.
# x:hash(): string
SHA-256 of the elements.
# x:crc32(): integer
A quick checksum of the elements, against accidents.
# x:version(): integer
Counts the writes in place.
# x:freed(): boolean
Has its scope freed it?

== device, memory, chance
# tlua.device(which?: string): table
Opens the device (cpu, gpu, a number of `tlua devices` or a part of a name) and tells its name, platform, driver, type, units and bytes.
# tlua.devices(): table[]
All OpenCL devices.
# tlua.memory(): integer, integer, integer
Bytes of device memory: in tensors, free in the pool, and the most that tensors had at once.
# tlua.reset_peak(): nil
Begins to measure that most anew.
# tlua.scope(): tlua.Scope
What is made from here on is freed when the scope closes: local scope <close> = tlua.scope(). scope:keep(x) takes x out.
# tlua.no_grad(): tlua.Guard
Nothing is recorded for gradients until it closes: local guard <close> = tlua.no_grad().
# tlua.enable_grad(): tlua.Guard
Gradients are recorded again until it closes.
# tlua.recording(): boolean
Is it recorded?
# tlua.manual_seed(seed: integer): nil
The same seed gives the same random numbers, and the same bits on the same device.
# tlua.sync(): nil
Waits until the device has done all that it was asked for.
# tlua.time(): number
Seconds from some moment on.
# tlua.profile(f: fun(), path?: string): any
Runs f() and prints where the time went; path names a trace for chrome://tracing.
# tlua.checkpoint(f: fun(x: tlua.Tensor, ...): tlua.Tensor; x: tlua.Tensor, ...: any): tlua.Tensor
f(x, ...) of which only x is kept; backward computes the rest again. Less memory, more time, the same bits.

== files
# tlua.load(path: string, {half: boolean = false, key: string}): table<string, tlua.Tensor>, table<string, string>, table
The tensors of a file (.safetensors, .pth, .pt, .npz; .npy, whose one is arr_0) by name, its metadata, and { key, others, odd, labels }: the part that was read, the other parts, what cannot be read, the names of classes of a pickled module. half: half types stay. key: a part of a checkpoint, like "ema".
# tlua.save(path: string, tensors: table<string, tlua.Tensor|table>, metadata?: table<string, string>): nil
Writes tensors by name into a .safetensors file. Tables within the table are flattened: { a = { b = x } } is written as a.b, its name when it is read.
# tlua.image_read(path: string, channels?: integer): tlua.Tensor
A picture (JPEG, PNG, WebP, TIFF, BMP, GIF, DICOM) as uint8 (height, width, channels): 3 channels, or 1 or 4.
# tlua.image_write(path: string, x: tlua.Tensor): nil
Writes uint8 (height, width, 1 or 3) as a PNG file.

== layers
# nn.Linear(in_features: integer, out_features: integer, {bias: boolean = true, initial: table}): nn.Linear
# nn.Linear(out_features: integer, {bias: boolean = true, initial: table}): nn.Linear
y = x w' + b over the last dimension: x (..., in) -> (..., out). weight (out, in) and bias (out) start uniform in +-1/sqrt(in), or as initial = { "normal", mean, deviation } says. Without a width it takes that of what comes before.
# nn.Conv1d(in_channels: integer, out_channels: integer, kernel: integer|integer[], {stride: integer|integer[] = 1, padding: integer|integer[]|"same" = 0, dilation: integer|integer[] = 1, groups: integer = 1, bias: boolean = true, initial: string|table, image_size: integer, padding_end: integer|integer[]}): nn.Conv1d
Convolution over (N, L, C): as nn.Conv2d along one dimension.
# nn.Conv2d(in_channels: integer, out_channels: integer, kernel: integer|integer[], {stride: integer|integer[] = 1, padding: integer|integer[]|"same" = 0, dilation: integer|integer[] = 1, groups: integer = 1, bias: boolean = true, initial: string|table, image_size: integer, padding_end: integer|integer[]}): nn.Conv2d
# nn.Conv2d(out_channels: integer, kernel: integer|integer[], {stride: integer|integer[] = 1, padding: integer|integer[]|"same" = 0}): nn.Conv2d
Convolution over pictures (N, H, W, C) with PyTorch's weight (out, in / groups, h, w). padding = "same" with image_size pads as TensorFlow does. initial: "kaiming_normal_fan_out", "kaiming_normal_fan_in", "kaiming_uniform_fan_in", or { "normal", mean, deviation }.
# nn.Conv3d(in_channels: integer, out_channels: integer, kernel: integer|integer[], {stride: integer|integer[] = 1, padding: integer|integer[]|"same" = 0, dilation: integer|integer[] = 1, groups: integer = 1, bias: boolean = true, initial: string|table, image_size: integer, padding_end: integer|integer[]}): nn.Conv3d
Convolution over volumes (N, D, H, W, C): as nn.Conv2d along three dimensions.
# nn.ConvTranspose1d(in_channels: integer, out_channels: integer, kernel: integer|integer[], {stride: integer|integer[] = 1, padding: integer|integer[] = 0, output_padding: integer|integer[] = 0, dilation: integer|integer[] = 1, groups: integer = 1, bias: boolean = true}): nn.ConvTranspose1d
Transposed convolution over rows (N, L, C) with PyTorch's weight (in, out / groups, ...); stride 2 and kernel 2: twice the size.
# nn.ConvTranspose2d(in_channels: integer, out_channels: integer, kernel: integer|integer[], {stride: integer|integer[] = 1, padding: integer|integer[] = 0, output_padding: integer|integer[] = 0, dilation: integer|integer[] = 1, groups: integer = 1, bias: boolean = true}): nn.ConvTranspose2d
Transposed convolution over pictures (N, H, W, C) with PyTorch's weight (in, out / groups, ...); stride 2 and kernel 2: twice the size.
# nn.ConvTranspose3d(in_channels: integer, out_channels: integer, kernel: integer|integer[], {stride: integer|integer[] = 1, padding: integer|integer[] = 0, output_padding: integer|integer[] = 0, dilation: integer|integer[] = 1, groups: integer = 1, bias: boolean = true}): nn.ConvTranspose3d
Transposed convolution over volumes (N, D, H, W, C) with PyTorch's weight (in, out / groups, ...); stride 2 and kernel 2: twice the size.
# nn.Upsample({size: integer|integer[], scale_factor: number|number[], mode: "nearest"|"linear"|"bilinear"|"trilinear" = "nearest", align_corners: boolean = false}): nn.Upsample
(N, ..., C) in one to three dimensions at another size, by the nearest pixel or linearly in each dimension.
# nn.BatchNorm1d(channels?: integer, {eps: number = 1e-5, momentum: number = 0.1, affine: boolean = true}): nn.BatchNorm1d
Batch norm over the last dimension of (N, C) or (N, L, C).
# nn.BatchNorm2d(channels?: integer, {eps: number = 1e-5, momentum: number = 0.1, affine: boolean = true}): nn.BatchNorm2d
(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, H, W, C). In training mean and variance are the batch's, in inference and in frozen parts the running ones.
# nn.BatchNorm3d(channels?: integer, {eps: number = 1e-5, momentum: number = 0.1, affine: boolean = true}): nn.BatchNorm3d
Batch norm over the last dimension of (N, D, H, W, C).
# nn.LayerNorm(width?: integer, {eps: number = 1e-5}): nn.LayerNorm
The same as a batch norm, with mean and variance of each row over the last dimension.
# nn.GroupNorm(groups: integer, channels: integer, {eps: number = 1e-5}): nn.GroupNorm
Mean and variance over all places and the channels of a group, for each sample: x (N, ..., C).
# nn.InstanceNorm1d(channels?: integer, {eps: number = 1e-5, affine: boolean = false}): nn.InstanceNorm1d
Mean and variance over the places of each channel of each sample of (N, L, C), in training and in inference alike.
# nn.InstanceNorm2d(channels?: integer, {eps: number = 1e-5, affine: boolean = false}): nn.InstanceNorm2d
Mean and variance over the places of each channel of each sample of (N, H, W, C), in training and in inference alike.
# nn.InstanceNorm3d(channels?: integer, {eps: number = 1e-5, affine: boolean = false}): nn.InstanceNorm3d
Mean and variance over the places of each channel of each sample of (N, D, H, W, C), in training and in inference alike.
# nn.LSTM(width: integer, hidden: integer, {layers: integer = 1, bidirectional: boolean = false, dropout: number = 0}): nn.LSTM
Long short-term memory over (N, T, width): y, last = lstm(x, lengths), the last state being that of the uppermost layer.
# nn.GRU(width: integer, hidden: integer, {layers: integer = 1, bidirectional: boolean = false, dropout: number = 0}): nn.GRU
Gated recurrent units, in the same way.
# nn.MaxPool1d(kernel: integer|integer[], {stride: integer|integer[], padding: integer|integer[] = 0, ceil_mode: boolean = false}): nn.MaxPool1d
The largest of each window of (N, L, C).
# nn.AvgPool1d(kernel: integer|integer[], {stride: integer|integer[], padding: integer|integer[] = 0, ceil_mode: boolean = false}): nn.AvgPool1d
The mean of each window of (N, L, C); the border counts as zeros.
# nn.AdaptiveAvgPool1d(out: integer|integer[]): nn.AdaptiveAvgPool1d
Means of out windows along each dimension that cover it: (N, L, C) -> (N, out, C).
# nn.MaxPool2d(kernel: integer|integer[], {stride: integer|integer[], padding: integer|integer[] = 0, ceil_mode: boolean = false}): nn.MaxPool2d
The largest of each window of (N, H, W, C).
# nn.AvgPool2d(kernel: integer|integer[], {stride: integer|integer[], padding: integer|integer[] = 0, ceil_mode: boolean = false}): nn.AvgPool2d
The mean of each window of (N, H, W, C); the border counts as zeros.
# nn.AdaptiveAvgPool2d(out: integer|integer[]): nn.AdaptiveAvgPool2d
Means of out windows along each dimension that cover it: (N, H, W, C) -> (N, out, out, C).
# nn.MaxPool3d(kernel: integer|integer[], {stride: integer|integer[], padding: integer|integer[] = 0, ceil_mode: boolean = false}): nn.MaxPool3d
The largest of each window of (N, D, H, W, C).
# nn.AvgPool3d(kernel: integer|integer[], {stride: integer|integer[], padding: integer|integer[] = 0, ceil_mode: boolean = false}): nn.AvgPool3d
The mean of each window of (N, D, H, W, C); the border counts as zeros.
# nn.AdaptiveAvgPool3d(out: integer|integer[]): nn.AdaptiveAvgPool3d
Means of out windows along each dimension that cover it: (N, D, H, W, C) -> (N, out, out, out, C).
# nn.Dropout(p?: number, {p: number = 0.5}): nn.Dropout
In training zeros with probability p, the rest divided by 1 - p; nothing in inference.
# nn.Spectrogram({schema}): nn.Spectrogram
From waves (N, samples) to squares of their bins, (N, frames, n_fft / 2 + 1); power = 1: magnitudes. The window is hann,
hamming, blackman, povey or rectangular; a shorter one stands in the middle of n_fft. Called with (wave, lengths) it
gives (frames, lengths of these): lengths (N, int32) say how many samples of each clip count.
# nn.MelSpectrogram({schema}): nn.MelSpectrogram
From waves (N, samples) to log-mel bands (N, frames, bands), in one launch: log(max(v, floor) + offset). log is log,
log10, db or none; scale and norm "slaney" are librosa's; corners = "bins" moves those of the triangles down to whole
bins; hop is a hundredth of a second where it is not said. Called and answering like nn.Spectrogram;
:frame_count(samples) tells how many frames there will be.
# nn.Fbank({schema}): nn.Fbank
Log-mel bands as Kaldi has them, without dither. Kaldi's waves have 16 bits: gain = 32768.
# nn.MFCC({schema}): nn.MFCC
The first n_mfcc of the cosine transform of log-mel bands. top_db is 80 of decibels where nothing is said; false: none.
# nn.Deltas({schema}): nn.Deltas
Behind each frame of (N, F, B) its slopes over win_length frames; orders = 2: and the slopes of those. keep = false: the
slopes alone.
# nn.Normalize(channels?: integer, {schema}): nn.Normalize
(x - mean) / sqrt(var + eps) over the frames of each clip, for each channel; over = "clip": for all channels together,
of waves too; "running": for each channel over all clips, the batch's in training, running ones in inference.
# nn.PreEmphasis(coefficient?: number, {coefficient: number = 0.97}): nn.PreEmphasis
y[t] = x[t] - 0.97 x[t - 1] over waves (N, samples).
# nn.SpecAugment({schema}): nn.SpecAugment
In training, stretches of bands and of frames become value (Park et al. 2019), each clip its own, within its length.
Behind nn.Normalize 0 is the mean.
# nn.Embedding(count: integer, width: integer): nn.Embedding
Rows of a table by id: ids (...) int32 from 0 -> (..., width).
# nn.MultiHeadAttention(width: integer, heads: integer, {dropout: number = 0, causal: boolean = false, bias: boolean = true}): nn.MultiHeadAttention
Attention of tokens (N, T, width) to each other, or to a context, in several heads.
# nn.TransformerLayer(width: integer, heads: integer, inner: integer, {dropout: number = 0, norm: "post"|"pre" = "post", activation: string = "gelu", causal: boolean = false, eps: number = 1e-5}): nn.TransformerLayer
Attention and two linear layers, each added to what went in. norm = "post" normalises the sums (BERT), "pre" what goes in (GPT-2, ViT).
# nn.Flatten(): nn.Flatten
(N, ...) -> (N, the rest), in PyTorch's order.
# nn.Identity(): nn.Identity
What goes in comes out.
# nn.ReLU(): nn.ReLU
The larger of x and 0.
# nn.ReLU6(): nn.ReLU6
x between 0 and 6.
# nn.SiLU(): nn.SiLU
x sigmoid(x).
# nn.GELU({approximate: "none"|"tanh" = "none"}): nn.GELU
x times the normal distribution's share below x.
# nn.Sigmoid(): nn.Sigmoid
1 / (1 + exp(-x)).
# nn.Tanh(): nn.Tanh
Hyperbolic tangent.
# nn.Hardswish(): nn.Hardswish
x relu6(x + 3) / 6.
# nn.Hardsigmoid(): nn.Hardsigmoid
relu6(x + 3) / 6.
# nn.LeakyReLU(slope?: number, {slope: number = 0.01}): nn.LeakyReLU
x where positive, else slope times x.
# nn.Softmax({axis: integer = -1}): nn.Softmax
Exponentials that sum to one along a dimension.
# nn.Sequential(...: nn.Module): nn.Sequential
One after the other. seq:at(1) is the first, seq:append(m) adds one; names in files count from 0.
# nn.ModuleList(...: nn.Module): nn.ModuleList
A list of modules that its owner calls one by one.
# nn.Graph(path: string, {cut: string, logits: boolean = false, random: boolean = false}): nn.Graph
The network of a model file or a run's folder, made from the calls in it, whoever wrote it.
Its parameters have the names of the file, and train. cut = "layer3": up to that value, call or stage (tlua inspect FILE
--cut-points lists them). logits: without a softmax at its end. random: its parameters are drawn.
# nn.class(name: string, base?: table): table
A class of modules of your own: local Block = nn.class "Block", with Block:init(...) and Block:forward(x).
# nn.is_module(v: any): boolean
Is v a module?

== losses
# nn.CrossEntropy({schema}): nn.CrossEntropy
Cross entropy of logits (N, C) with labels (N) from 0, or with shares of the classes (N, C).
# nn.FocalLoss({schema}): nn.FocalLoss
Cross entropy that counts less what is right already: -w (1 - p)^gamma log p.
# nn.MSELoss({schema}): nn.MSELoss
The mean of (x - target)^2.
# nn.SmoothL1Loss({schema}): nn.SmoothL1Loss
(x - target)^2 / (2 beta) near the target, |x - target| - beta / 2 further away.
# nn.BCEWithLogits({schema}): nn.BCEWithLogits
Binary cross entropy of logits, each with a target from 0 to 1.
# nn.CTCLoss({schema}): nn.CTCLoss
Connectionist temporal classification (Graves et al. 2006), as PyTorch's CTCLoss but with the clips first: loss(logits, targets, input_lengths?, target_lengths?) with logits (N, T, K), or their log_softmax, and targets (N, L) int32 from 0. Of clip n count input_lengths[n] frames and target_lengths[n] labels.
# nn.SigmoidFocalLoss({schema}): nn.SigmoidFocalLoss
Binary cross entropy that counts less what is right already.
# nn.Dice({schema}): nn.Dice
One minus the Dice coefficient of each class, of maps (N, H, W, K) and labels (N, H, W), or of volumes (N, D, H, W, K).
# nn.Tversky({schema}): nn.Tversky
The same with shares of its own for what is seen and not there and what is there and not seen, tp / (tp + alpha fp + beta fn).
# nn.DeepSupervision(loss: tlua.nn.Module): nn.DeepSupervision
A loss of maps of several sizes, each half the one before: its mean with weights 1, 1/2, 1/4 and so on.
# nn.Sum(...: any): nn.Sum
A sum of losses: nn.Sum { nn.CrossEntropy {}, { nn.Dice {}, 0.5 } }, or nn.CrossEntropy {} + 0.5 * nn.Dice {}. It counts pictures.

== modules
# net:forward(x: tlua.Tensor, ...: any): tlua.Tensor
What the module computes; net(x) calls it.
# net:parameters(): fun(): string, tlua.Tensor
Iterates name and tensor of all parameters: for name, p in net:parameters() do ... end.
# net:buffers(): fun(): string, tlua.Tensor
Iterates name and tensor of what is kept but not trained (running statistics).
# net:named_tensors(): fun(): string, tlua.Tensor
Iterates both.
# net:modules(): fun(): string, nn.Module
Iterates name and module of all below, itself first.
# net:find(path: string): nn.Module?
The module of a name like "layer4.0.conv1".
# net:count(): integer, integer
How many numbers are in its parameters: all, and those that are trained.
# net:train(on?: boolean): nn.Module
Training from now on: dropout drops, batch norms use the batch.
# net:eval(): nn.Module
Inference from now on.
# net:freeze(globs: string|string[]|table): nn.Module
The parameters that the globs match keep their values: net:freeze "layer1.*". { "*", batchnorm = "train" }: batch norms go on using the batch.
# net:unfreeze(globs?: string|string[]): nn.Module
They are trained again.
# net:add_lora(options: table): nn.Module
Adapters of low rank (LoRA) beside layers; all else is frozen then but the head: net:add_lora { on = "*.query,*.value",
rank = 8, alpha = 16 }. Also dropout, rs (rsLoRA), or from, a folder of PEFT's or of a run.
# net:merge_lora(): nn.Module
Adapters become part of the weights and are taken away: W + scale B A.
# net:save_lora(folder: string, {trained: table<string, boolean>, task: string, base: string}): nil
Writes adapters and what else is trained, the head, as PEFT loads them. trained: names that were trained; task: PEFT's
task_type; base: what it notes as the base.
# net:keep_statistics(on?: boolean): nn.Module
Batch norms use and keep their running statistics in training too; false: no longer.
# net:trained(): tlua.Tensor[], string[]
The parameters that are trained, and their names.
# net:gradients(): table<string, tlua.Tensor>
The gradients by name.
# net:zero_grad(): nil
Forgets the gradients.
# net:state_dict(): table<string, tlua.Tensor>
All tensors by PyTorch's names, in PyTorch's layouts.
# net:load(source: string|table<string, tlua.Tensor>, {strict: boolean = true, head: string, key: string, what: string, whole: boolean = false}): table
Takes the tensors of a file or table; tells what was missing and left over. key: a part of a checkpoint, like "ema". strict = false: takes what fits.
# net:save(path: string, metadata?: table<string, string>): nil
Writes its tensors for other programs: PyTorch takes them with load_state_dict(strict=True).
# net:ready(): nn.Module
Makes the tensors that are not there yet; calling the module does it too.
# net:parameter(name: string, shape: integer[], initial: table): nil
Declares a parameter in init: { "uniform", low, high }, { "normal", mean, deviation } or { "constant", value }.
# net:buffer(name: string, shape: integer[], initial: table): nil
Declares a tensor that is kept but not trained.
# detector:levels(): table
What the rows of a network that finds boxes mean: strides, form ("offsets" or "distribution"), bins, objectness.
# detector:wants_statistics(): boolean
Has it batch norms without statistics, since the ONNX file of its weights had them folded into convolutions?
# detector:measure_statistics(batches: function): integer, integer
Measures these, by inputs (N, H, W, C) that the iterator gives, and leaves the answers as they are: how many norms, and
pictures. Runs of recipes do it by themselves; in an open loop it stands before the first step.
# encoder:give(what: "vector"|"frames"|"vocabulary", head?: string): nn.Module
What a network of texts gives from now on: a row a text, a row a piece, or the rows that encoder:vocabulary asks for
words. head: the name of that of pieces, "classifier" or "qa_outputs".
# encoder:resize_vocabulary(n: integer): nn.Module
Another number of words: rows of the table are kept, new ones are the mean of those there are.
# encoder:vocabulary(rows: tlua.Tensor): tlua.Tensor
The logits of all words for rows of pieces (M, width), by the head of masked or next words and the table of words
itself.

== optimisers
# optim.SGD({schema}): table
# optim.SGD(params: nn.Module|tlua.Tensor[]|table[], {schema}): tlua.Optimizer
Stochastic gradient descent with momentum. With options alone it describes one for a recipe, with parameters it makes one.
# optim.Adam({schema}): table
# optim.Adam(params: nn.Module|tlua.Tensor[]|table[], {schema}): tlua.Optimizer
Adam: running means of gradient and square (Kingma and Ba 2015).
# optim.AdamW({schema}): table
# optim.AdamW(params: nn.Module|tlua.Tensor[]|table[], {schema}): tlua.Optimizer
Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).
# optim.RMSprop({schema}): table
# optim.RMSprop(params: nn.Module|tlua.Tensor[]|table[], {schema}): tlua.Optimizer
The gradient divided by the running root of its square.
# optim.Lion({schema}): table
# optim.Lion(params: nn.Module|tlua.Tensor[]|table[], {schema}): tlua.Optimizer
Every element moves by the rate itself (Chen et al. 2023); rates are 3 to 10 times smaller than AdamW's.
# optim.LAMB({schema}): table
# optim.LAMB(params: nn.Module|tlua.Tensor[]|table[], {schema}): tlua.Optimizer
AdamW whose step of each parameter has that parameter's norm, for large batches (You et al. 2020).
# optim.ema(opt: tlua.Optimizer, {decay: number = 0.999, ramp: number = 0, model: nn.Module}): table
A running average of the weights: ema:update() after each step, ema:swap() puts it into the network and back.
# opt:step(): nil
One step along the gradients.
# opt:zero_grad(): nil
Forgets the gradients.
# opt:lr(group?: integer): number
The learning rate.
# opt:set_lr(rate: number, group?: integer): nil
Another learning rate.
# opt:grad_norm(group?: integer): number
The norm of the gradient.
# opt:clip_grad_norm(most: number, group?: integer): number
Scales the gradient down to this norm where it is larger; gives the norm before.
# opt:scale_grad(factor: number, group?: integer): nil
Multiplies the gradient.
# opt:state(): table
Its moments and counts, for a file.
# opt:load_state(state: table): nil
Takes them up again.

== networks and data
# models.load(path: string): nn.Module
The network that a run has trained, with head and weights: path is the folder of the run, its model.safetensors or a checkpoint. One that its recipe wrote in Lua is an nn.Graph.
# models.onnx({schema}): nn.Graph
The network of an ONNX file, of any framework: models.onnx { path = "net.onnx", cut = "layer3" }.
It is opened when it is first looked into.
# models.graph({schema}): nn.Graph
The same of a model file of ours, or of a run's folder.
# models.from_folder(options: string|table): nn.Module
The network of a folder as Hugging Face lays it out: models.from_folder { path = FOLDER, classes = 40 }. Other fields
are options of the network. BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA, DistilBERT, GPT-2 and wav2vec 2.0.
# models.names(): string[]
The networks there are; models.resnet18 { weights = "imagenet", classes = 10 } makes one.
# models.list(): table[]
The same with parameters, multiply-adds, picture sizes and published weights.
# models.build(name: string, {weights: string, classes: integer = 1000, dropout: number, in_channels: integer = 3}): nn.Module
Describes a network by its name.
# data.cifar10({schema}): table
CIFAR-10, downloaded where no root is named.
# data.cifar100({schema}): table
CIFAR-100, downloaded where no root is named.
# data.mnist({schema}): table
MNIST from a folder.
# data.fashion_mnist({schema}): table
Fashion-MNIST from a folder, or of the Debian package dataset-fashion-mnist.
# data.folder({schema}): table
Pictures in a folder for each class.
# data.csv({schema}): table
A CSV of pictures and targets: one class, several findings, or numbers.
# data.masks({schema}): table
Pictures with masks, for task.segment.
# data.tensors({schema}): table
Pictures and targets that are tensors, or lie in a .safetensors, .npz or .npy file.
# data.custom({schema}): table
Samples that a Lua function gives, one by one on the main thread: for small things.
# data.dicom({schema}): table
A folder as it comes from a scanner: slices as pictures, with labels from a CSV or folders; patients stay in one part.
# data.nifti({schema}): table
Volumes from NIfTI files, with masks, classes or numbers from folders or a table, whole or in patches.
# data.coco({schema}): table
Pictures with boxes in the JSON of COCO: annotations is the training part, or all of which a share is held out.
# data.voc({schema}): table
Pictures with boxes in the XML of Pascal VOC: Annotations, JPEGImages and ImageSets, or an XML beside each picture.
# data.yolo({schema}): table
Pictures with boxes in the text files of YOLO: folders images and labels, classes named by data.yaml or classes.txt.
# data.boxes({schema}): table
Pictures with boxes in a table, a line for each box: file, left, top, right, bottom and class.
# data.speech({schema}): table
A table of recordings and what is said in them.
# data.sounds({schema}): table
Sounds in a folder for each class, or with classes in their names.
# data.texts({schema}): table
A table of texts, or pairs of texts, with classes or numbers: the network's tokenizer makes numbers of them.
# data.conll({schema}): table
Texts whose words have tags, a line for each word.
# data.spacing({schema}): table
Texts whose spaces are to be found: each character a word.
# data.squad({schema}): table
Questions about paragraphs, in the JSON of SQuAD and KorQuAD.
# data.lines({schema}): table
A file with a text in each line.
# data.transform(definition: table): function
Makes a transform in Lua for a recipe's transforms: { name, touches = {"input"}, schema, geometric, apply(options, batch) }, on batches of training tensors.

== tasks
# task.classify({schema}): table
One class a picture; what a recipe learns where its data have classes. Of two `positive` is
looked for, from a threshold on that the validation chooses.
# task.multilabel({schema}): table
Several findings a picture, each there, not there or not known.
# task.regress({schema}): table
Numbers of a picture.
# task.segment({schema}): table
A class for each place of a picture.
# task.detect({schema}): table
Boxes round what is looked for, and what it is: networks as yolox_nano; figures are COCO's.
# task.ctc({schema}): table
Speech to text, letter by letter.
# task.tokens({schema}): table
A class for each word of a text; tags of entities (B-PER, I-PER, O) are counted as entities.
# task.span({schema}): table
Answers that stand in a text: where they begin and end.
# task.masked({schema}): table
Hidden words of texts, as in BERT's pretraining.
# task.causal({schema}): table
The next piece of texts, for networks whose pieces see those before them alone.
# task.verify({schema}): table
Whose voice it is: embeddings of clips, near each other where one speaker has both.
# task.define(definition: table): function
Makes a task in Lua known; tlua/task/init.lua says what its table has. Gives its constructor.

== pictures
# data.open(description: table, preprocessing: table, seed?: integer, {classes: string[], augment: table, only_test: boolean = false, whole: boolean = false}): table
Opens what data.folder { ... } and its like describe, prepared as net:preprocessing() says: classes, train and test with count() and label(i). classes: their names in the order of a model. recipes/open_loop.lua shows it.
# data.loader(pictures: table, part: "train"|"test", seed?: integer, {batch: integer, shuffle: boolean}): table
Batches of what data.open gave, made on threads: loader:start(epoch), then loader:next() gives pictures (N, H, W, C), labels (N) and N until the epoch is over.

== recipes
# tlua.recipe({model: nn.Module, head: nn.Module, data: table, augment: table, task: table, transforms: table[], loss: nn.Module|function, optim: table, schedule: table, groups: table, schema}): tlua.Recipe
A recipe: what is trained, on what and how. recipe:run() trains it, recipe:build() stops before the training; `tlua -i RECIPE.lua` does so at a prompt.
# tlua.fine_tune({schema}): table
A schedule of two stages, the head alone and then everything, for a recipe's `schedule`.

== at the prompt
# help(what?: any): nil
What there is to know about a function, a layer, an operator or a name: help(tlua.nn.Linear), help "matmul". Without an argument, all topics.
# show(x: tlua.Tensor|string): nil
Draws a picture in the terminal: a tensor (height, width, channels), the first of a batch, or a file.
]==]
