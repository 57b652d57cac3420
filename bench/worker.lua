-- worker.lua - tlua's side of bench/compare.py: builds one piece of work, then measures it once for every line
-- read and prints the seconds it took; for the line "memory", the bytes of device memory that it had at its most.
--   tlua bench/worker.lua forward resnet50 16 [DEVICE]
local core = require "tlua.core"
core.device(arg[4])
core.manual_seed(0)

local work = dofile "bench/works.lua"(arg[1], arg[2], tonumber(arg[3]))
work()
work()
io.stdout:write("ready\n")
io.stdout:flush()
for line in io.lines() do
  if line == "memory" then
    local _, _, peak = core.memory()
    io.stdout:write(peak, "\n")
  else
    local t = core.time()
    work()
    io.stdout:write(("%.6f\n"):format(core.time() - t))
  end
  io.stdout:flush()
end
