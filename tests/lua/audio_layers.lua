-- audio_layers.lua - layers of sound: options, lengths, plans that serve any number and length of clips, normalising,
-- masks by chance. Their numbers are held against torchaudio's in tests/golden/audio.lua.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local nn, ops = tlua.nn, core.ops

local function ints(...) return core.tensor({ ... }, { dtype = "int32" }) end
local function list(x) return table.concat(x:reshape(-1):tolist(), " ") end
local function shape(x) return table.concat(x:shape(), " ") end
local function distance(a, b) return (a - b):abs():amax():item() end

t.test("shapes, counts of frames, labels, costs", function()
  local x = core.randn(2, 1600)
  for _, m in ipairs { nn.Spectrogram { n_fft = 30 }, nn.MelSpectrogram { bands = 12 },
    nn.MelSpectrogram { center = false, n_fft = 512 },
    nn.Fbank {}, nn.Fbank { snip_edges = false }, nn.MFCC { n_mfcc = 5 } } do
    local y, left = m(x)
    t.equal(left, nil)
    t.equal(y:shape(2), m:frame_count(1600), m:label())
    t.equal(y:shape(3), m:infer())
    t.equal(table.concat(m:cost { 2, 1600 }, " "), shape(y))
    local again, lengths = m(x, ints(1600, 700))
    t.equal(list(lengths), m:frame_count(1600) .. " " .. m:frame_count(700))
    t.equal(distance(ops.slice(again, 1, 0, 1), ops.slice(y, 1, 0, 1)), 0)
    local copy = nn.from_spec(m:spec())
    t.equal(copy(x):hash(), y:hash())
  end
  t.equal(nn.MelSpectrogram { bands = 12 }:label(), "nn.MelSpectrogram(12 bands)")
  t.equal(nn.Fbank {}:frame_count(399), 0)
  t.equal(nn.MelSpectrogram {}:frame_count(16000), 101)
end)

t.test("options that make no sense", function()
  t.fails("win_length is 500, but n_fft only 400", function() return nn.Spectrogram { win_length = 500 } end)
  t.fails("high is 9000 Hz, but waves of 16000 Hz end at 8000", function() return nn.MelSpectrogram { high = 9000 } end)
  t.fails("low is 5000 Hz, but high only 4000", function() return nn.MelSpectrogram { low = 5000, high = 4000 } end)
  t.fails("a logarithm needs a floor or an offset above 0", function() return nn.MelSpectrogram { floor = 0 } end)
  t.fails("top_db is for logarithms", function() return nn.MelSpectrogram { log = "none", top_db = 80 } end)
  t.fails("n_mfcc is 90, but there are only 80 bands", function() return nn.MFCC { n_mfcc = 90 } end)
  t.fails("win_length must be odd", function() return nn.Deltas { win_length = 4 } end)
  t.fails("waves (N, samples) are needed, not (3)", function() return nn.MelSpectrogram {}(core.randn(3)) end)
  t.fails("shorter than a frame", function() return nn.Fbank {}(core.randn(1, 300)) end)
end)

-- A front end as a network begins with.
local Front = nn.class("tests.Front", nn.Module)
function Front:init(layers)
  for i, each in ipairs(layers) do self["layer" .. i] = each end
  rawset(self, "count", #layers)
end
function Front:forward(x, lengths)
  for i = 1, self.count do x, lengths = self["layer" .. i](x, lengths) end
  return x, lengths
end

t.test("a plan with clips and samples left open serves any batch", function()
  local front = Front { nn.PreEmphasis(0.9), nn.MFCC { bands = 20, n_mfcc = 7, top_db = 60 },
    nn.Deltas { orders = 2 }, nn.Normalize {},
    nn.SpecAugment {} }
  front:ready():eval()
  local function f(wave, lengths)
    local y, left = front(wave, lengths)
    return y, left
  end
  local inputs = { { "N", "T", name = "input" }, { "N", name = "lengths", dtype = "int32" } }
  local made, why = plan.text(front, inputs, { "output", "output_lengths" }, { T = 16000 })
  assert(made, why)
  local tensors = {}
  for name, x in front:named_tensors() do tensors[name] = x end
  local path = os.tmpname()
  core.save(path, tensors, { ["tlua.plan"] = made })
  local graph = nn.Graph(path):eval()
  for _, size in ipairs { { 1, 900 }, { 3, 2222 }, { 2, 16001 } } do
    local x, lengths = core.randn(table.unpack(size)), { size[2] }
    for i = 2, size[1] do lengths[i] = size[2] // i end
    lengths = ints(table.unpack(lengths))
    local want, left = f(x, lengths)
    local out = table.pack(graph(x, lengths))
    local got = type(out[1]) == "table" and out[1] or out
    t.equal(shape(got[1]), shape(want))
    assert(distance(got[1], want) < 1e-4, distance(got[1], want))
    t.equal(list(got[2]), list(left))
  end
  os.remove(path)
end)

t.test("normalising looks at what counts", function()
  local x = core.randn(2, 9, 4) * 3 + 1
  local lengths = ints(9, 5)
  for over, axes in pairs { channel = { 2 }, clip = { 2, 3 } } do
    local y, left = nn.Normalize { over = over, eps = 0 }(x, lengths)
    t.equal(left, lengths)
    local short = ops.slice(ops.slice(y, 1, 1, 1), 2, 0, 5)
    assert(short:mean { axes = axes }:abs():amax():item() < 1e-6)
    assert((short:square():mean { axes = axes } - 1):abs():amax():item() < 1e-5)
    t.equal(ops.slice(ops.slice(y, 1, 1, 1), 2, 5, 4):abs():amax():item(), 0)
    local alone = nn.Normalize { over = over, eps = 0 }(ops.slice(ops.slice(x, 1, 1, 1), 2, 0, 5))
    assert(distance(alone, short) < 1e-5)
  end
  local wave = nn.Normalize { over = "clip", variance = false }(core.randn(2, 50) + 3, ints(50, 20))
  t.equal(shape(wave), "2 50")
  assert(math.abs(wave:mean():item()) < 1e-6)
end)

t.test("running statistics move in training alone", function()
  local m = nn.Normalize(3, { over = "running", momentum = 1, eps = 0 })
  local net = nn.Sequential(m, nn.Linear(3, 2))
  local x = core.randn(4, 10, 3) * 2 + 5
  local y = m(x, ints(10, 10, 10, 6))
  assert(m.running_mean:mean():item() > 3)
  net:eval()
  local before = m.running_var:hash()
  assert(distance(m(x, ints(10, 10, 10, 6)), y) < 1e-5)
  t.equal(m.running_var:hash(), before)
  t.equal(list(nn.from_spec(m:spec()).running_mean), "0.0 0.0 0.0")
end)

t.test("masks by chance", function()
  local m = nn.SpecAugment { freq_masks = 1, freq_width = 5, time_masks = 2, time_width = 8, time_share = 0.5,
    value = -1 }
  local net = nn.Sequential(m, nn.Linear(12, 2))
  local x = core.rand(3, 30, 12) + 1
  local lengths = ints(30, 10, 30)
  core.manual_seed(5)
  local a, b = m(x, lengths), m(x, lengths)
  core.manual_seed(5)
  t.equal(m(x, lengths):hash(), a:hash()) -- by seed and number of the call
  assert(a:hash() ~= b:hash())
  local changed, kept = 0, 0
  for _, y in ipairs { a, b } do
    local rows = y:tolist()
    for i = 11, 30 do -- behind the second clip's end only bands... nothing is drawn
      for k = 1, 12 do assert(rows[2][i][k] ~= -1) end
    end
    for _, clip in ipairs(rows) do
      for _, row in ipairs(clip) do
        for _, v in ipairs(row) do
          if v == -1 then changed = changed + 1 else kept = kept + 1 end
        end
      end
    end
  end
  assert(changed > 30 and kept > changed, changed)
  net:eval()
  t.equal(m(x, lengths), x)
end)

t.finish()
