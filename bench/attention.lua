-- attention.lua - tlua's side of bench/attention.py: for every line read, the milliseconds of attention over one batch,
-- after WARM seconds of the same.
--   tlua bench/attention.lua SEQUENCES LENGTH HEADS WIDTH forward|both [WARM]
local core = require "tlua.core"
local n, t, heads, width = math.tointeger(arg[1]), math.tointeger(arg[2]), math.tointeger(arg[3]), math.tointeger(arg[4])
local both, warm = arg[5] == "both", tonumber(arg[6] or 0)

core.manual_seed(1)
local x = {}
for i = 1, 3 do
  x[i] = core.randn(n, t, heads * width)
  if both then x[i]:requires_grad(true) end
end
local gy = core.randn(n, t, heads * width)

local function work()
  local scope <close> = core.scope()
  local y = core.ops.attention(x[1], x[2], x[3], nil, nil, { heads = heads })
  if both then
    y:backward(gy)
    for i = 1, 3 do x[i]:zero_grad() end
  end
  core.sync()
end

work()
work()
io.stdout:write("ready\n")
io.stdout:flush()
for _ in io.lines() do
  local start = core.time()
  while core.time() - start < warm do work() end
  start = core.time()
  work()
  io.stdout:write(("%.3f\n"):format(1e3 * (core.time() - start)))
  io.stdout:flush()
end
