-- frontend.lua - what stands before networks that see mel bands: the spectrogram, normalising, and masks in training.
local nn = require "tlua.nn"
local util = require "tlua.util"
local frontend = {}

-- Of filters with so many bands most would be empty.
frontend.MOST_BANDS = 4096
local FREQ_WIDTH = 27

-- Options of a network with such a front end; `defaults`: what of it is otherwise.
function frontend.fields(defaults)
  local d = defaults or {}
  local function count(name, default, brief, most, least)
    return { name, "integer", d[name] or default, brief, least = least or 1, most = most }
  end
  return { count("rate", 16000, "of the waves, in Hz", 1 << 24),
    count("n_fft", 400, "points of the transform", 1 << 20),
    count("hop", 160, "samples from frame to frame", 1 << 20),
    count("bands", 80, "mel bands of a frame", frontend.MOST_BANDS),
    { "low", "number", d.low or 0, "where the first begins, in Hz", least = 0 },
    { "high", "number", d.high, "where the last ends, in Hz (half of the rate)", above = 0 },
    { "scale", "choice", d.scale or "htk", "of the mels", { "htk", "slaney" } },
    { "band_norm", "choice", d.band_norm or "none", "slaney: all bands have one area", { "none", "slaney" } },
    { "corners", "choice", d.corners or "exact", "of the bands' triangles; bins: at whole bins", { "exact", "bins" } },
    { "log", "choice", d.log or "log", "of the bands", { "none", "log", "log10", "db" } },
    { "floor", "number", d.floor or 1e-10, "what is less becomes that before the logarithm", least = 0 },
    { "normalize", "choice", d.normalize or "none", "frames to a mean of 0 and a variance of 1: each band of a clip, "
      .. "the clip, or each band by what was seen in training", { "none", "channel", "clip", "running" } },
    count("freq_masks", 0, "stretches of bands that are hidden in training", 64, 0),
    count("freq_width", FREQ_WIDTH, "bands of one at most", frontend.MOST_BANDS, 0),
    count("time_masks", 0, "stretches of frames that are hidden in training", 64, 0),
    count("time_width", 100, "frames of one at most", 1 << 20, 0),
    { "time_share", "number", 1, "and at most this share of the clip", least = 0, most = 1 } }
end

-- Where frames are not normalised, what is hidden becomes the clip's mean: 0 would be loud among logarithms.
local function add_masks(self, o)
  rawset(self, "_stages", nil)
  if o.freq_width > o.bands and o.freq_width ~= FREQ_WIDTH then
    util.failf("augment: freq_width is %d, and there are %d bands", o.freq_width, o.bands)
  end
  if o.freq_masks + o.time_masks == 0 then return end
  self.augment = nn.SpecAugment { freq_masks = o.freq_masks, freq_width = o.freq_width, time_masks = o.time_masks,
    time_width = o.time_width, time_share = o.time_share, fill = o.normalize == "none" and "mean" or "value" }
end

-- Gives the network its modules `frontend`, and `normalizer` and `augment` where they are asked for.
-- fixed: options of the spectrogram that a network does not leave open.
function frontend.build(self, o, fixed)
  self.frontend = nn.MelSpectrogram { pad_mode = fixed and fixed.pad_mode or "reflect", rate = o.rate,
    n_fft = o.n_fft, hop = o.hop, bands = o.bands, low = o.low,
    high = o.high, scale = o.scale, norm = o.band_norm, corners = o.corners, log = o.log, floor = o.floor }
  if o.normalize ~= "none" then self.normalizer = nn.Normalize(o.bands, { over = o.normalize }) end
  rawset(self, "rate", o.rate)
  add_masks(self, o)
end

-- Takes new masks in the place of the options' own: any of freq_masks, freq_width, time_masks, time_width, time_share.
function frontend.set_masks(self, masks)
  local o = self.network_options
  for name, v in pairs(masks) do o[name] = v end
  for _, each in ipairs { { "freq_width", "freq_masks" }, { "time_share", "time_masks" } } do
    if masks[each[1]] and not masks[each[2]] and o[each[2]] == 0 then
      util.failf("augment: %s says how much a mask hides, and there is none: %s = 2", each[1], each[2])
    end
  end
  add_masks(self, o)
end

-- The stages: waves (N, T), or frames (N, F, bands) that were made already, to frames.
function frontend.stages(self)
  local function spectrum(_, x, lengths)
    if x:rank() == 2 then
      local y, left = self.frontend(x, lengths)
      return y, left
    end
    if x:rank() ~= 3 then
      util.failf("%s: waves (N, T) or frames (N, F, %d) are needed, not %s", self:label(), self.network_options.bands,
        util.shape_text(x:shape()))
    end
    return x, lengths
  end
  local list = { { name = "frontend", modules = { "frontend" }, run = spectrum } }
  local n = self.normalizer
  if n then
    list[2] = { name = "normalizer", modules = { "normalizer" }, run = function(_, x, lengths)
      local y = n(x, lengths)
      return y, lengths
    end, chance = function(me) return me.network_options.normalize == "running" and me.training end }
  end
  if self.augment then
    list[#list + 1] = { name = "augment", modules = {}, run = function(_, x, lengths)
      local y = self.augment(x, lengths)
      return y, lengths
    end, chance = function(me) return me.training end }
  end
  return list
end

-- How many frames come from so many samples, and what they cost.
function frontend.count(self, samples) return self.frontend:frame_count(samples) end
function frontend.cost(self, shape)
  local _, n = self.frontend:cost(shape)
  return n
end

util.seal(frontend, "frontend.")
return frontend
