-- log_mel.lua - tlua's side of bench/log_mel.py: log-mel bands of so many seconds of sound, once for every line read.
--   tlua bench/log_mel.lua SECONDS
local core = require "tlua.core"
local nn = require("tlua").nn
core.device()
core.manual_seed(0)

local clip = tonumber(arg[1]) * 16000
local wave = core.randn(1, clip)
local mel = nn.MelSpectrogram { rate = 16000, n_fft = 400, hop = 160, bands = 80 }
local guard = core.no_grad()
local function work()
  local scope <close> = core.scope()
  local y = mel(wave)
  core.ops.slice(y, 2, 0, 1):tolist() -- waits
end
work()
io.stdout:write("ready\n")
io.stdout:flush()
for _ in io.lines() do
  local t = core.time()
  work()
  io.stdout:write(("%.6f\n"):format(core.time() - t))
  io.stdout:flush()
end
guard:close()
