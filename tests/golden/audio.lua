-- audio.lua - spectra, mel bands, cepstra and slopes against torchaudio's and librosa's (make_audio.py).
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local nn = require("tlua").nn

local golden = core.load "tests/golden/audio.safetensors"
local wave = golden.wave:reshape { 1, 3200 }
local MEL = { rate = 16000, n_fft = 400, hop = 160, bands = 40 }
local SLANEY = { scale = "slaney", norm = "slaney", low = 60, high = 7600 }

local function with(base, more)
  local o = {}
  for _, list in ipairs { base, more or {} } do
    for key, value in pairs(list) do o[key] = value end
  end
  return o
end

-- The largest difference, of numbers above 1 as a share.
local function distance(y, want)
  local most = (y - want):abs() / (want:abs():clamp { min = 1, max = 1e30 })
  return most:amax():item()
end

local function same(name, y, limit, every)
  local want = golden[name]
  y = y:reshape { y:shape(-2), y:shape(-1) }
  if every then
    local rows = {}
    for i = 1, y:shape(1), every do rows[#rows + 1] = core.ops.slice(y, 1, i - 1, 1) end
    rows[#rows + 1] = { axis = 1 }
    y = core.ops.concat(table.unpack(rows))
  end
  t.equal(table.concat(y:shape(), " "), table.concat(want:shape(), " "), name)
  local d = distance(y, want)
  print(("  %-16s %.1e"):format(name, d))
  assert(d < (limit or 1e-4), name .. " " .. d)
end

t.test("spectra", function()
  same("spectrogram", nn.Spectrogram { n_fft = 400, hop = 100 }(wave), nil, 8)
  same("magnitude", nn.Spectrogram { n_fft = 512, win_length = 300, hop = 128, window = "hamming", power = 1,
    center = false }(wave), nil, 8)
end)

t.test("mel bands, logarithms, decibels", function()
  for name, o in pairs { htk = MEL, slaney = with(MEL, SLANEY) } do
    same("mel." .. name, nn.MelSpectrogram(with(o, { log = "none" }))(wave))
    same("log." .. name, nn.MelSpectrogram(o)(wave))
  end
  same("db", nn.MelSpectrogram(with(MEL, { log = "db", top_db = 60 }))(wave))
  same("db.magnitude", nn.MelSpectrogram(with(MEL, { n_fft = 512, win_length = 400, log = "db", power = 1,
    floor = 1e-10, top_db = 30 }))(wave))
  same("librosa.db", nn.MelSpectrogram(with(MEL, { scale = "slaney", norm = "slaney", pad_mode = "constant",
    log = "db", top_db = 50 }))(wave))
  same("bins", nn.MelSpectrogram { scale = "slaney", norm = "slaney", low = 40, high = 7600, corners = "bins" }(wave))
end)

t.test("a clip in a batch is what it is alone", function()
  local both = core.ops.concat(wave, core.ops.mul_scalar(wave, 1), { axis = 1 })
  local lengths = core.tensor({ 2000, 3200 }, { dtype = "int32" })
  for name, o in pairs { htk = MEL, slaney = with(MEL, SLANEY) } do
    local m = nn.MelSpectrogram(o)
    local y, left = m(both, lengths)
    t.equal(table.concat(left:tolist(), " "), m:frame_count(2000) .. " " .. m:frame_count(3200))
    same("short." .. name, core.ops.slice(core.ops.slice(y, 1, 0, 1), 2, 0, 13))
    same("log." .. name, core.ops.slice(y, 1, 1, 1))
  end
end)

t.test("cepstra and slopes", function()
  same("mfcc", nn.MFCC(with(MEL, { n_mfcc = 13 }))(wave))
  same("mfcc.log", nn.MFCC(with(MEL, { n_mfcc = 13, log = "log", floor = 0, offset = 1e-6 }))(wave))
  same("librosa.mfcc", nn.MFCC(with(MEL, { n_fft = 512, n_mfcc = 13, scale = "slaney", norm = "slaney",
    pad_mode = "constant" }))(wave))
  local x = golden.mfcc:reshape { 1, 21, 13 }
  same("deltas", nn.Deltas { keep = false }(x))
  same("deltas.2", core.ops.slice(nn.Deltas { orders = 2 }(x), 3, 26, 13))
end)

t.test("Kaldi's bands, pre-emphasis", function()
  local o = { bands = 40, gain = 32768 }
  same("kaldi", nn.Fbank(o)(wave))
  same("kaldi.edges", nn.Fbank(with(o, { snip_edges = false }))(wave))
  same("kaldi.hamming", nn.Fbank(with(o, { window = "hamming", high = -400, low = 40, power = 1 }))(wave))
  t.equal(distance(nn.PreEmphasis(0.97)(wave):reshape { 3200 }, golden.preemphasis) < 1e-6, true)
end)

t.test("gradients towards the wave", function()
  local modules = { gradient = nn.MelSpectrogram(with(with(MEL, SLANEY), { floor = 1e-6 })),
    ["gradient.kaldi"] = nn.Fbank { bands = 40, gain = 32768 } }
  for name, m in pairs(modules) do
    local x = wave:clone():requires_grad(true)
    local y = m(x)
    y:backward(core.ops.cos(core.arange(y:numel())):reshape(y:shape()))
    local most = golden[name]:abs():amax():item()
    local d = (x.grad:reshape { 3200 } - golden[name]):abs():amax():item() / most
    print(("  %-16s %.1e of the largest"):format(name, d))
    assert(d < 1e-4, name .. " " .. d)
  end
end)

t.finish()
