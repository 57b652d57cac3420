-- sound.lua - clips on pages and pictures: a spectrogram, and the sound itself inside the page, so that it can be heard
-- wherever the page is.
local core = require "tlua.core"
local nn = require "tlua.nn"
local parts = require "tlua.report.parts"
local sound = {}

local LONGEST = 20 -- seconds of a clip that a page carries
local BANDS, RANGE = 64, 80 -- of the picture: bands, and decibels from the loudest to black

-- Colours from dark to light in which equal steps look equal (Nuñez, Anderton and Renslow 2018 name the demand); a few
-- stops, the rest between.
local STOPS = { { 8, 10, 28 }, { 46, 22, 90 }, { 120, 34, 108 }, { 190, 56, 84 }, { 240, 110, 50 }, { 250, 190, 60 },
  { 252, 250, 190 } }

local palette
local function colours()
  if palette then return palette end
  palette = {}
  for i = 0, 255 do
    local at = i / 255 * (#STOPS - 1)
    local k = math.min(#STOPS - 1, math.floor(at) + 1)
    local f, a, b = at - (k - 1), STOPS[k], STOPS[math.min(#STOPS, k + 1)]
    palette[i] = string.char(math.floor(a[1] + f * (b[1] - a[1]) + 0.5), math.floor(a[2] + f * (b[2] - a[2]) + 0.5),
      math.floor(a[3] + f * (b[3] - a[3]) + 0.5))
  end
  return palette
end

-- The mel spectrogram of a wave (T) at `rate` as a picture (bands, frames, 3) uint8: time to the right, high tones
-- above, the loudest light.
function sound.spectrogram(wave, rate)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local hop = math.max(1, rate // 100)
  local front = nn.MelSpectrogram { rate = rate, n_fft = hop * 4, hop = hop, bands = BANDS, log = "db", top_db = RANGE }
  local levels = front(wave:reshape(1, wave:shape(1)))
  local frames = levels:shape(2)
  levels = levels:reshape(frames, BANDS):permute(2, 1)
  local most = levels:amax():item()
  local rows, lookup, out = ((levels - (most - RANGE)) * (255 / RANGE)):clamp { min = 0, max = 255 }:tolist(),
    colours(), {}
  for k = BANDS, 1, -1 do
    for _, v in ipairs(rows[k]) do out[#out + 1] = lookup[math.floor(v)] end
  end
  local bytes = { table.concat(out):byte(1, -1) }
  return scope:keep(core.tensor(bytes, { dtype = "uint8" }):reshape(BANDS, frames, 3))
end

-- A wave (T): {image = its spectrogram, sound = the clip, at most LONGEST seconds of it}, both as data addresses.
function sound.of(wave, rate)
  local scope <close> = core.scope()
  if wave:shape(1) > LONGEST * rate then wave = wave:slice(1, 0, LONGEST * rate) end
  local name = os.tmpname()
  local path = name .. ".wav"
  core.audio.write(path, wave, rate)
  local bytes = core.read_file(path)
  os.remove(path)
  os.remove(name)
  return { image = parts.picture(sound.spectrogram(wave, rate)), sound = "data:audio/wav;base64,"
    .. parts.base64(bytes) }
end

-- The same of clip `index` of a source.
function sound.embedded(source, index, rate)
  local scope <close> = core.scope()
  return sound.of(source:wave(index, rate), rate)
end

-- One clip of a gallery: spectrogram, what stands right below it, player, lines of HTML.
function sound.figure(image, player, below, ...)
  return ("<figure>%s%s%s%s</figure>"):format(image and ('<img alt="spectrogram" src="%s">'):format(image) or "", below,
    player and ('<audio controls preload="none" src="%s"></audio>'):format(player) or "", table.concat({ ... }))
end

return sound
