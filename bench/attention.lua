-- attention.lua - tlua's side of bench/attention.py: for every line read, attention over one batch once, its milliseconds.
--   tlua bench/attention.lua SEQUENCES LENGTH HEADS WIDTH forward|both
local core = require "tlua.core"
local n, t, heads, width = math.tointeger(arg[1]), math.tointeger(arg[2]), math.tointeger(arg[3]), math.tointeger(arg[4])
local both = arg[5] == "both"

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
  work()
  io.stdout:write(("%.3f\n"):format(1e3 * (core.time() - start)))
  io.stdout:flush()
end
