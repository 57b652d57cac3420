-- convolutions.lua - small networks for sound, to be trained from scratch: wave_cnn and mel_cnn give a row for each
-- clip, crnn one for each frame. What lies behind a clip's end is 0 before each convolution and has no part in the
-- means.
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local sequence = require "tlua.models.speech.sequence"
local frontend = require "tlua.models.speech.frontend"
local core = require "tlua.core"
local ops = core.ops

-- The mean of what counts of x (N, T, C) over T: (N, C).
local function mean(x, lengths)
  if not lengths then return x:mean { axes = { 2 } } end
  local n = ops.maximum(lengths, ops.range { start = 1, count = 1 }):reshape { -1, 1 }
  return sequence.masked(x, lengths):sum { axes = { 2 } } / ops.cast(n, { dtype = "float32" })
end

-- ---- waves: one-dimensional convolutions (Dai et al. 2016) ----

-- kernel, step, and how much wider than the first
local WAVE = { { 80, 16, 1 }, { 5, 4, 1 }, { 5, 4, 2 }, { 5, 2, 4 } }

local WaveCNN = module.class("models.WaveCNN", sequence.Sequence)
WaveCNN.head_name, WaveCNN.gives, WaveCNN.output_names = "fc", "vector", { "output" }

function WaveCNN:init(_, o)
  local layers, width = {}, 1
  for i, each in ipairs(WAVE) do
    local out = o.width * each[3]
    layers[2 * i - 1] = nn.Conv1d(width, out, each[1],
      { stride = each[2], padding = each[1] // 2, bias = false, initial = "kaiming_normal_fan_out" })
    layers[2 * i], width = nn.BatchNorm1d(out), out
  end
  self.features_of = nn.Sequential(layers)
  self.fc = nn.Linear(width, o.classes)
  rawset(self, "features_width", width)
  rawset(self, "rate", o.rate)
end

function WaveCNN:stages()
  local list = {}
  for i, each in ipairs(WAVE) do
    local conv, norm, name = self.features_of:at(2 * i - 1), self.features_of:at(2 * i), "features_of." .. 2 * i - 2
    list[i] = { name = name, modules = { name, "features_of." .. 2 * i - 1 }, run = function(_, x, lengths)
      if i == 1 then x = x:reshape { x:shape(1), x:shape(2), 1 } end
      local y = conv:with_norm(norm, sequence.masked(x, lengths), { activation = "relu" })
      return y, lengths and sequence.after(lengths, each[1], each[2], each[1] // 2)
    end }
  end
  list[#list + 1] = { name = "pool", modules = {}, run = function(_, x, lengths) return mean(x, lengths), lengths end }
  return list
end

function WaveCNN:features_cost(shape)
  local s, n = { shape[1], shape[2], 1 }, 0
  for i = 1, #WAVE do
    local _, m
    s, m = self.features_of:at(2 * i - 1):cost(s)
    n = n + m
  end
  return { shape[1], self.features_width }, n
end

-- ---- mel bands: convolutions over time and bands ----

-- Steps over time and over bands.
local CRNN = { { 1, 2 }, { 2, 2 }, { 1, 2 } }

-- Makes the modules; `steps`: of each convolution. Returns the width of a frame.
local function build(self, o, steps)
  frontend.build(self, o)
  local layers, width, bands = {}, 1, o.bands
  for i, step in ipairs(steps) do
    local out = o.width << (i - 1)
    layers[2 * i - 1] = nn.Conv2d(width, out, 3,
      { stride = step, padding = 1, bias = false, initial = "kaiming_normal_fan_out" })
    layers[2 * i], width, bands = nn.BatchNorm2d(out), out, (bands - 1) // step[2] + 1
  end
  self.convs = nn.Sequential(layers)
  return width, bands
end

-- (N, F, bands) -> (N, F', bands' * channels), the channels of a band beside each other.
local function stages(self, steps)
  local list, bands, width = frontend.stages(self), self.network_options.bands, 1
  for i, step in ipairs(steps) do
    local conv, norm, name, b, w = self.convs:at(2 * i - 1), self.convs:at(2 * i), "convs." .. 2 * i - 2, bands, width
    list[#list + 1] = { name = name, modules = { name, "convs." .. 2 * i - 1 }, run = function(_, x, lengths)
      local y = sequence.masked(x, lengths):reshape { x:shape(1), -1, b, w }
      y = conv:with_norm(norm, y, { activation = "relu" })
      return y:reshape { y:shape(1), -1, y:shape(3) * y:shape(4) },
        lengths and sequence.after(lengths, 3, step[1], 1)
    end }
    bands, width = (bands - 1) // step[2] + 1, self.network_options.width << (i - 1)
  end
  return list
end

local function cost(self, shape, steps)
  local frames = frontend.count(self, shape[2])
  local s, n = { shape[1], frames, self.network_options.bands, 1 }, frontend.cost(self, shape)
  for i = 1, #steps do
    local _, m
    s, m = self.convs:at(2 * i - 1):cost(s)
    n = n + m
  end
  return s, n
end

-- ---- a row a clip: convolutions along time, bands being the first channels ----

local BANDS_KERNEL, BLOCKS = 5, 3

local MelCNN = module.class("models.MelCNN", sequence.Sequence)
MelCNN.head_name, MelCNN.gives, MelCNN.output_names = "fc", "vector", { "output" }
function MelCNN:init(_, o)
  frontend.build(self, o)
  local layers = {}
  for i = 1, BLOCKS do
    layers[2 * i - 1] = nn.Conv1d(i == 1 and o.bands or o.width, o.width, BANDS_KERNEL,
      { padding = BANDS_KERNEL // 2, bias = false, initial = "kaiming_normal_fan_out" })
    layers[2 * i] = nn.BatchNorm1d(o.width)
  end
  self.convs = nn.Sequential(layers)
  self.fc = nn.Linear(2 * o.width, o.classes)
  rawset(self, "features_width", 2 * o.width)
end

-- Between two convolutions the largest of two frames is kept; behind the last, the mean and the largest of all.
function MelCNN:stages()
  local list = frontend.stages(self)
  for i = 1, BLOCKS do
    local conv, norm, name = self.convs:at(2 * i - 1), self.convs:at(2 * i), "convs." .. 2 * i - 2
    list[#list + 1] = { name = name, modules = { name, "convs." .. 2 * i - 1 }, run = function(_, x, lengths)
      local y = conv:with_norm(norm, sequence.masked(x, lengths), { activation = "relu" })
      if i == BLOCKS then return y, lengths end
      return ops.max_pool(y, { kernel = { 2 }, stride = { 2 } }), lengths and sequence.after(lengths, 2, 2, 0)
    end }
  end
  list[#list + 1] = { name = "pool", modules = {}, run = function(_, x, lengths)
    local most = sequence.masked(x, lengths):amax { axes = { 2 } } -- nothing is below 0
    return ops.concat(mean(x, lengths), most, { axis = 2 }), lengths
  end }
  return list
end
function MelCNN:features_cost(shape)
  local o, frames, n = self.network_options, frontend.count(self, shape[2]), frontend.cost(self, shape)
  for i = 1, BLOCKS do
    n = n + shape[1] * frames * BANDS_KERNEL * (i == 1 and o.bands or o.width) * o.width
    frames = frames // 2
  end
  return { shape[1], self.features_width }, n
end

local Crnn = module.class("models.CRNN", sequence.Sequence)
Crnn.head_name = "fc"
function Crnn:init(_, o)
  local width, bands = build(self, o, CRNN)
  self.lstm = nn.LSTM(width * bands, o.hidden, { layers = o.layers, bidirectional = true, dropout = o.dropout })
  self.fc = nn.Linear(2 * o.hidden, o.classes)
  rawset(self, "features_width", 2 * o.hidden)
end
function Crnn:stages()
  local list = stages(self, CRNN)
  list[#list + 1] = { name = "lstm", modules = { "lstm" }, run = function(self, x, lengths)
    return (self.lstm(x, lengths)), lengths
  end }
  return list
end
function Crnn:frame_count(samples)
  local n = frontend.count(self, samples)
  for _, step in ipairs(CRNN) do n = sequence.count_after(n, 3, step[1], 1) end
  return n
end
function Crnn:features_cost(shape)
  local s, n = cost(self, shape, CRNN)
  local out, m = self.lstm:cost { s[1], s[2], s[3] * s[4] }
  return out, n + m
end

return function(registry)
  local function fields(...)
    return { { "width", "integer", 32, "channels of the first convolution", least = 1, most = 1 << 14 }, ... }
  end
  registry.add { name = "wave_cnn", class = WaveCNN, takes = "wave", classes = 10,
    fields = fields { "rate", "integer", 16000, "of the waves, in Hz", least = 1, most = 1 << 24 } }
  registry.add { name = "mel_cnn", class = MelCNN, takes = "wave", classes = 10,
    fields = { { "width", "integer", 96, "channels of each convolution", least = 1, most = 1 << 14 },
      table.unpack(frontend.fields { bands = 64, normalize = "clip" }) } }
  registry.add { name = "crnn", class = Crnn, takes = "wave", classes = 32,
    fields = fields({ "hidden", "integer", 128, "of the LSTM, in each direction", least = 1, most = 1 << 14 },
      { "layers", "integer", 2, "of the LSTM", least = 1, most = 64 },
      table.unpack(frontend.fields { normalize = "channel" })) }
end
