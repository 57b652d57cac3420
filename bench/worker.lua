-- worker.lua - tlua's side of bench/compare.py: builds one piece of work, then measures it once for every line
-- read and prints the seconds it took.
--   tlua bench/worker.lua forward resnet50 16
local core = require "tlua.core"
core.manual_seed(0)

local work = dofile "bench/works.lua"(arg[1], arg[2], tonumber(arg[3]))
work()
work()
io.stdout:write("ready\n")
io.stdout:flush()
for _ in io.lines() do
  local t = core.time()
  work()
  io.stdout:write(("%.6f\n"):format(core.time() - t))
  io.stdout:flush()
end
