-- spectra.lua - from waves (N, T) to frames (N, F, B): spectra, mel bands, cepstra. All are called with (wave, lengths)
-- and give (frames, out_lengths): lengths (N) int32 say how many samples of each clip count, nil: all; then out_lengths
-- is nil too. A clip gives the same frames alone and in a batch, and frames behind its end are those of silence.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local lengths_of = require "tlua.nn.sound.lengths"
local spectral = require "tlua.nn.sound.spectral"
local ops = core.ops
local M = {}

-- ---- frames ----

local Frames = module.class("nn.Frames")
Frames.scoped = true

local N_FFT = { "n_fft", "integer", 400, "points of the transform", least = 1, most = 1 << 20 }
local HOP = { "hop", "integer", nil, "samples from frame to frame (a quarter of n_fft)", least = 1 }
local FRAMES = { N_FFT, HOP,
  { "win_length", "integer", nil, "of the window, which stands in the middle of n_fft (n_fft)", least = 1 },
  { "window", "choice", "hann", "its form", { "hann", "hamming", "blackman", "povey", "rectangular" } },
  { "periodic", "boolean", true, "the window is one period; else it is symmetric" },
  { "center", "boolean", true, "frames stand around their places: half of n_fft is added at both ends" },
  { "pad_mode", "choice", "reflect", "what is added", { "reflect", "constant", "replicate", "symmetric" } } }

-- What a module was given, without the defaults.
local function given(list, o)
  local out = {}
  for _, field in ipairs(list) do
    if o[field[1]] ~= field[3] then out[field[1]] = o[field[1]] end
  end
  return out
end

local function set(self, name, value) rawset(self, name, value) end

-- Takes the options of frames. attributes: of the operators; window_length, pads: both ends together.
function Frames:set_frames(o)
  local what = self._class
  local hop, length = o.hop or math.max(1, o.n_fft // 4), o.win_length or o.n_fft
  if length > o.n_fft then util.failf("%s: win_length is %d, but n_fft only %d", what, length, o.n_fft) end
  local pad = o.center and o.n_fft // 2 or 0
  set(self, "attributes", { n_fft = o.n_fft, hop = hop, pad = { pad, pad }, pad_mode = o.pad_mode })
  set(self, "window_length", o.n_fft)
  self:buffer("window", { o.n_fft }, { "values", function()
    local list, before = spectral.window(o.window, length, o.periodic), (o.n_fft - length) // 2
    local whole = {}
    for i = 1, o.n_fft do whole[i] = list[i - before] or 0.0 end
    return whole
  end })
end

function Frames:init_options(fields, ...)
  local _, o = schema.arguments(self._class, fields, {}, ...)
  set(self, "options", given(fields, o))
  return o
end

function Frames:out_lengths(lengths)
  local a = self.attributes
  return lengths and lengths_of.after(lengths, self.window_length, a.hop, a.pad[1] + a.pad[2])
end

-- How many frames a clip of so many samples gives.
function Frames:frame_count(samples)
  local a = self.attributes
  return lengths_of.count_after(samples, self.window_length, a.hop, a.pad[1] + a.pad[2])
end

function Frames:spec() return { class = self._class:match "[^.]+$", args = {}, options = self.options } end

-- A frame is a transform of about 2.5 n log2(n) operations, and what is made of its bins.
function Frames:cost(shape)
  local n, frames = self.attributes.n_fft, self:frame_count(shape[2])
  local operations = math.ceil(1.25 * n * math.log(math.max(n, 2), 2)) + (self.per_frame or 0)
  return { shape[1], frames, self.width }, shape[1] * frames * operations
end
function Frames:infer() return self.width end

local function check_wave(self, wave)
  if not core.is_tensor(wave) or wave:rank() ~= 2 then
    util.failf("%s: waves (N, samples) are needed, not %s", self:label(),
      core.is_tensor(wave) and util.shape_text(wave:shape()) or type(wave))
  end
end

-- nn.Spectrogram{n_fft = 400, hop = 100, power = 2}: squares of the bins (power = 1: magnitudes), (N, F, n_fft / 2 +
-- 1).
local Spectrogram = module.class("nn.Spectrogram", Frames)
M.Spectrogram = Spectrogram
local SPECTROGRAM = { table.unpack(FRAMES) }
SPECTROGRAM[#SPECTROGRAM + 1] = { "power", "integer", 2, "1: magnitudes, 2: their squares", least = 1, most = 2 }
Spectrogram.schema = SPECTROGRAM

function Spectrogram:init(...)
  local o = self:init_options(SPECTROGRAM, ...)
  self:set_frames(o)
  self.attributes.power = o.power
  set(self, "width", o.n_fft // 2 + 1)
end
function Spectrogram:forward(wave, lengths)
  check_wave(self, wave)
  local y = ops.stft(wave, self.window, lengths, self.attributes)
  return y, self:out_lengths(lengths)
end
function Spectrogram:label() return ("nn.Spectrogram(%d bins)"):format(self.width) end

-- ---- mel bands ----

local RATE = { "rate", "number", 16000, "samples of the waves in a second", above = 0 }
local LOG = { "log", "choice", "log", "of the bands; db: 10 log10 of squares, 20 log10 of magnitudes",
  { "none", "log", "log10", "db" } }
local FLOOR = { "floor", "number", 1e-10, "what is less becomes that before the logarithm", least = 0 }
local BANDS = { RATE, { "bands", "integer", 80, "how many", least = 1 },
  { "low", "number", 0, "where the first begins, in Hz", least = 0 },
  { "high", "number", nil, "where the last ends, in Hz (half of the rate)", above = 0 },
  { "scale", "choice", "htk", "of the mels: HTK's formula or Slaney's (librosa's)", { "htk", "slaney" } },
  { "norm", "choice", "none", "slaney: all bands have one area", { "none", "slaney" } },
  { "corners", "choice", "exact", "of the triangles; bins: moved down to whole bins", { "exact", "bins" } },
  { "power", "integer", 2, "1: bands of magnitudes, 2: of their squares", least = 1, most = 2 }, LOG, FLOOR,
  { "offset", "number", 0, "what is added before the logarithm", least = 0 },
  { "top_db", "number", nil, "what is so many decibels below a clip's loudest becomes that", above = 0 } }

local MEL = { table.unpack(FRAMES) }
table.move(BANDS, 1, #BANDS, #MEL + 1, MEL)
MEL[2] = { "hop", "integer", nil, "samples from frame to frame (a hundredth of a second)", least = 1 }

-- nn.MelSpectrogram{rate = 16000, n_fft = 400, hop = 160, bands = 80, ...}: bands (N, F, bands), their logarithms.
local MelSpectrogram = module.class("nn.MelSpectrogram", Frames)
M.MelSpectrogram, MelSpectrogram.schema = MelSpectrogram, MEL

-- Takes the options of bands. `bank`: those of spectral.bank that are not said.
local function set_bands(self, o, bank)
  local what, high = self._class, o.high or o.rate / 2
  if high > o.rate / 2 then
    util.failf("%s: high is %g Hz, but waves of %g Hz end at %g", what, high, o.rate, o.rate / 2)
  end
  if o.low >= high then util.failf("%s: low is %g Hz, but high only %g", what, o.low, high) end
  local a = self.attributes
  a.power, a.log, a.floor, a.offset = o.power, o.log, o.floor, o.offset
  if o.log ~= "none" and o.floor + o.offset <= 0 then
    util.failf("%s: a logarithm needs a floor or an offset above 0", what)
  end
  if o.top_db and o.log == "none" then util.failf("%s: top_db is for logarithms", what) end
  bank.rate, bank.n_fft, bank.bands, bank.low, bank.high = o.rate, a.n_fft, o.bands, o.low, high
  self:buffer("bank", { o.bands, a.n_fft // 2 + 1 }, { "values", function() return spectral.bank(bank) end })
  set(self, "rate", o.rate)
  set(self, "width", o.bands)
  set(self, "per_frame", 2 * a.n_fft + 20 * o.bands)
  if o.top_db then -- in the unit of the logarithm
    local decades = o.top_db * (o.power == 1 and 0.05 or 0.1)
    set(self, "range", o.log == "db" and o.top_db or o.log == "log" and decades * math.log(10) or decades)
  end
end

function MelSpectrogram:init(...)
  local o = self:init_options(MEL, ...)
  o.hop = o.hop or math.max(1, o.rate // 100 | 0)
  self:set_frames(o)
  set_bands(self, o, { scale = o.scale, norm = o.norm, corners = o.corners })
end

function MelSpectrogram:forward(wave, lengths)
  check_wave(self, wave)
  local y = ops.mel_spectrogram(wave, self.window, self.bank, lengths, self.attributes)
  if self.range then y = ops.maximum(y, ops.amax(y, { axes = { 2, 3 }, keep = true }) - self.range) end
  return y, self:out_lengths(lengths)
end
function MelSpectrogram:label() return ("%s(%d bands)"):format(self._class, self.width) end

-- ---- Kaldi's bands ----

-- nn.Fbank{rate = 16000, bands = 80}: log-mel bands as Kaldi has them, without dither: 25 ms every 10 ms, frames that
-- fit alone, mean removed, pre-emphasis within the frame, triangles over mels. Kaldi's waves have 16 bits: gain =
-- 32768.
local FBANK = { RATE, { "bands", "integer", 23, "how many", least = 1 },
  { "low", "number", 20, "where the first begins, in Hz", least = 0 },
  { "high", "number", 0, "where the last ends, in Hz; up to 0: so far below half of the rate" },
  { "frame_length", "number", 25, "of a frame, in ms", above = 0 },
  { "frame_shift", "number", 10, "from frame to frame, in ms", above = 0 },
  { "window", "choice", "povey", "its form", { "povey", "hamming", "hann", "rectangular", "blackman" } },
  { "preemphasis", "number", 0.97, "so much of the sample before is taken away", least = 0, most = 1 },
  { "remove_mean", "boolean", true, "of each frame" },
  { "snip_edges", "boolean", true, "frames that fit alone; else one every shift, with the ends mirrored" },
  { "power", "integer", 2, "1: bands of magnitudes, 2: of their squares", least = 1, most = 2 },
  { "log", "choice", "log", "of the bands", { "none", "log", "log10", "db" } },
  { "floor", "number", 2 ^ -23, "what is less becomes that before the logarithm", least = 0 },
  { "gain", "number", 1, "what waves are multiplied with first", above = 0 } }
local Fbank = module.class("nn.Fbank", MelSpectrogram)
M.Fbank, Fbank.schema = Fbank, FBANK

function Fbank:init(...)
  local o = self:init_options(FBANK, ...)
  local length, hop = math.floor(o.rate * o.frame_length / 1000), math.floor(o.rate * o.frame_shift / 1000)
  if length < 2 or hop < 1 then util.failf("nn.Fbank: frames of %g ms every %g ms are none at %g Hz", o.frame_length,
    o.frame_shift, o.rate) end
  local n_fft = 1
  while n_fft < length do n_fft = n_fft * 2 end
  local before = o.snip_edges and 0 or math.max(0, length // 2 - hop // 2)
  local after = o.snip_edges and 0 or math.max(0, length - hop + hop // 2 - before)
  set(self, "attributes", { n_fft = n_fft, hop = hop, pad = { before, after }, pad_mode = "symmetric",
    remove_mean = o.remove_mean, preemphasis = o.preemphasis })
  set(self, "window_length", length)
  self:buffer("window", { length }, { "values", function()
    local list = spectral.window(o.window, length, false)
    for i, v in ipairs(list) do list[i] = v * o.gain end
    return list
  end })
  o.offset, o.high = 0, o.high > 0 and o.high or o.rate / 2 + o.high
  set_bands(self, o, { scale = "htk", norm = "none", corners = "mel" })
end

-- ---- cepstra ----

-- nn.MFCC{n_mfcc = 40, ...}: the first of the cosine transform (DCT-II, orthonormal) of log-mel bands, (N, F, n_mfcc).
-- The other options are those of nn.MelSpectrogram; log is "db" and top_db 80 where nothing is said, as in torchaudio.
local MFCC = module.class("nn.MFCC")
MFCC.scoped = true
M.MFCC = MFCC
local CEPSTRA = { table.unpack(MEL) }
for i, field in ipairs(CEPSTRA) do
  if field[1] == "log" then CEPSTRA[i] = { "log", "choice", "db", LOG[4], LOG[5] } end
  if field[1] == "top_db" then
    CEPSTRA[i] = { "top_db", "range", nil, "as of MelSpectrogram; false: none (80 of db)" }
  end
end
CEPSTRA[#CEPSTRA + 1] = { "n_mfcc", "integer", 40, "how many are kept", least = 1 }
MFCC.schema = CEPSTRA

function MFCC:init(...)
  local _, o = schema.arguments("nn.MFCC", CEPSTRA, {}, ...)
  set(self, "options", given(CEPSTRA, o))
  if o.n_mfcc > o.bands then util.failf("nn.MFCC: n_mfcc is %d, but there are only %d bands", o.n_mfcc, o.bands) end
  local bands = given(MEL, o)
  bands.n_mfcc, bands.log = nil, o.log
  if o.top_db == nil then bands.top_db = o.log == "db" and 80 or nil end
  bands.top_db = bands.top_db or nil
  self.mel = MelSpectrogram(bands)
  self:buffer("dct", { o.n_mfcc, o.bands }, { "values", function() return spectral.cosines(o.n_mfcc, o.bands) end })
  set(self, "width", o.n_mfcc)
  set(self, "rate", o.rate)
end
function MFCC:forward(wave, lengths)
  local y, left = self.mel(wave, lengths)
  y = ops.linear(y, self.dct)
  return y, left
end
function MFCC:frame_count(samples) return self.mel:frame_count(samples) end
function MFCC:infer() return self.width end
function MFCC:label() return ("nn.MFCC(%d of %d bands)"):format(self.width, self.mel.width) end
function MFCC:spec() return { class = "MFCC", args = {}, options = self.options } end
function MFCC:cost(shape)
  local out, n = self.mel:cost(shape)
  return { out[1], out[2], self.width }, n + out[1] * out[2] * self.width * self.mel.width
end

return M
