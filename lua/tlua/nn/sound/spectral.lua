-- spectral.lua - numbers that spectra of sound are made with: windows, banks of mel filters, the cosine transform. On
-- the host, as lists; nn/sound/spectra.lua and the reader of ONNX make tensors of them.
local util = require "tlua.util"
local spectral = {}

-- ---- windows: of an angle from 0 to 2 pi ----

local function hann(t) return 0.5 - 0.5 * math.cos(t) end
spectral.windows = {
  hann = hann,
  hamming = function(t) return 0.54 - 0.46 * math.cos(t) end,
  blackman = function(t) return 0.42 - 0.5 * math.cos(t) + 0.08 * math.cos(2 * t) end,
  povey = function(t) return hann(t) ^ 0.85 end, -- Kaldi's: like Hamming's, but 0 at its ends
  rectangular = function() return 1.0 end,
}

-- n numbers of a window; `periodic`: one period of it, else both ends.
function spectral.window(name, n, periodic)
  local f, list, span = spectral.windows[name], {}, periodic and n or n - 1
  for i = 1, n do list[i] = n == 1 and 1.0 or f(2 * math.pi * (i - 1) / span) end
  return list
end

-- ---- mel scales (Hz <-> mel) ----

local STEP = math.log(6.4) / 27 -- Slaney's: in steps of 66.67 Hz up to 1000, by logarithms behind
spectral.scales = {
  htk = { function(f) return 2595 * math.log(1 + f / 700, 10) end, function(m) return 700 * (10 ^ (m / 2595) - 1) end },
  slaney = { function(f) return f < 1000 and f * 3 / 200 or 15 + math.log(f / 1000) / STEP end,
    function(m) return m < 15 and m * 200 / 3 or 1000 * math.exp(STEP * (m - 15)) end },
}

-- Frequencies at `count` + 1 equal steps of a scale from low to high; only the first `take` of them.
function spectral.points(scale, low, high, count, take)
  local to_mel, to_hz = table.unpack(spectral.scales[scale])
  local from, to, list = to_mel(low), to_mel(high), {}
  for i = 0, (take or count + 1) - 1 do list[i + 1] = to_hz(from + (to - from) / count * i) end
  return list
end

-- The weights of a triangle over whole bins, 0 at a and c, 1 at b: put(bin, weight) for bins from 0 up to `most`.
function spectral.triangle(a, b, c, most, put)
  for k = a, b - 1 do
    if k <= most then put(k, (k - a) / (b - a)) end
  end
  for k = b, c - 1 do
    if k <= most then put(k, (c - k) / (c - b)) end
  end
end

-- A list of `bands` rows of n_fft // 2 + 1 weights. o: rate, n_fft, bands, low, high, scale, norm ("slaney": the same
-- area for all), corners: "exact" triangles over frequencies, "mel" over mels (Kaldi's, which leave the last bin out),
-- or "bins": corners moved down to whole bins (of n_fft + 1 points, as is usual), one bin apart at least.
function spectral.bank(o)
  local bins, rows = o.n_fft // 2 + 1, {}
  local points = spectral.points(o.scale, o.low, o.high, o.bands + 1)
  local to_mel = spectral.scales[o.scale][1]
  for b = 1, o.bands do
    local row, p, q, r = {}, points[b], points[b + 1], points[b + 2]
    for k = 1, bins do row[k] = 0.0 end
    if o.corners == "bins" then
      local function down(f) return math.floor(f * (o.n_fft + 1) / o.rate) end
      local i, j = down(p), math.max(down(p) + 1, down(q))
      spectral.triangle(i, j, math.max(j + 1, down(r)), bins - 1, function(k, w) row[k + 1] = w end)
    else
      local mels, last = o.corners == "mel", o.corners == "mel" and bins - 1 or bins
      local x, y, z = p, q, r
      if mels then x, y, z = to_mel(p), to_mel(q), to_mel(r) end
      for k = 1, last do
        local f = (k - 1) * o.rate / o.n_fft
        if mels then f = to_mel(f) end
        row[k] = math.max(0.0, math.min((f - x) / (y - x), (z - f) / (z - y)))
      end
    end
    if o.norm == "slaney" then
      for k = 1, bins do row[k] = row[k] * 2 / (r - p) end
    end
    rows[b] = row
  end
  return rows
end

-- `count` rows of n numbers: the cosine transform DCT-II, orthonormal.
function spectral.cosines(count, n)
  local rows = {}
  for k = 0, count - 1 do
    local row, scale = {}, math.sqrt((k == 0 and 1 or 2) / n)
    for i = 0, n - 1 do row[i + 1] = scale * math.cos(math.pi / n * (i + 0.5) * k) end
    rows[k + 1] = row
  end
  return rows
end

util.seal(spectral, "spectral.")
return spectral
