-- speech_speed.lua - tlua's side of bench/speech_speed.py: builds one piece of work, then measures it once for every
-- line read and prints the seconds it took.
--   tlua bench/speech_speed.lua conformer|wav2vec2|log_mel|recognise
local tlua = require "tlua"
local core = require "tlua.core"
local clock = os.getenv "BENCH_CPU" and os.clock or core.time -- of the processors, on a machine that others use too
local nn, ops = tlua.nn, core.ops
local RATE = 16000
core.manual_seed(0)

-- The sum of sines that drift of the other side, (clips, seconds * RATE).
local function waves(clips, seconds)
  local n = clips * seconds * RATE
  local t = ops.range(0, n) * (1 / RATE)
  local y = ops.sin(t * 700) * 0.3 + ops.sin(t * 2100 + ops.sin(t * 2) * 30) * 0.2
  return y:reshape(clips, seconds * RATE)
end

local function log_mel() return nn.MelSpectrogram { rate = RATE, n_fft = 400, hop = 160, bands = 80 } end

local function conformer()
  local front, net = log_mel(), tlua.models.conformer { classes = 35, dropout = 0.1 }
  return net, function(wave) return net(front(wave)) end
end

local function wav2vec2()
  local net = tlua.models.wav2vec2_base { classes = 35 }
  return net, function(wave) return net(wave) end
end

-- Eight clips of 4 s with 40 letters each: loss, gradient, AdamW.
local function step(net, logits)
  net:train()
  local params = {}
  for _, p in net:parameters() do params[#params + 1] = p end
  local optimizer = tlua.optim.AdamW(params, { lr = 1e-5 })
  local wave, loss_of, rows = waves(8, 4), nn.CTCLoss(), {}
  for i = 1, 8 do
    rows[i] = {}
    for k = 1, 40 do rows[i][k] = ((i - 1) * 40 + k - 1) % 34 + 1 end
  end
  local targets = core.tensor(rows, { dtype = "int32" })
  return function()
    local s <close> = core.scope()
    optimizer:zero_grad()
    local loss = loss_of(logits(wave), targets)
    loss:backward()
    optimizer:step()
    loss:item()
    core.sync()
  end
end

local function without_gradients(work)
  return function()
    local s <close> = core.scope()
    local g <close> = core.no_grad()
    return work()
  end
end

local works = {
  conformer = function() return step(conformer()) end,
  wav2vec2 = function() return step(wav2vec2()) end,
  log_mel = function()
    local front, hour = log_mel(), waves(1, 3600)
    return without_gradients(function()
      front(hour)
      core.sync()
    end)
  end,
  recognise = function()
    local net, logits = conformer()
    local wave = waves(16, 10)
    net:eval()
    return without_gradients(function() logits(wave):argmax(-1):tolist() end)
  end,
}

local work = assert(works[arg[1]], "conformer, wav2vec2, log_mel or recognise")()
work()
work()
io.stdout:write("ready\n")
io.stdout:flush()
for _ in io.lines() do
  local t = clock()
  work()
  io.stdout:write(("%.6f\n"):format(clock() - t))
  io.stdout:flush()
end
