-- launches.lua - what launching costs: of steady steps, how many launches each has and which share of its time the device spends between
-- them, by the driver's own clock. Measuring it makes each launch dearer.
--   tlua bench/launches.lua [STEPS]
local core = require "tlua.core"
core.manual_seed(0)
local make = dofile "bench/works.lua"
local steps = tonumber(arg[1]) or 10

local WORKS = {
  { "forward", "resnet50", 16 }, { "forward", "resnet50", 1 }, { "fe", "resnet50", 16 }, { "layer4", "resnet50", 16 }, { "full", "resnet50", 16 },
  { "blocks10", "efficientnet_lite0", 16 }, { "bert", "bert_6x384", 32 },
}

-- Launches, seconds in kernels and seconds in all of a step: the middle one of so many.
local function measure(work)
  local all = {}
  for i = 1, steps do
    core.profile_begin()
    work()
    local launches, busy = core.profile_end(), 0
    for _, l in ipairs(launches) do busy = busy + l.seconds end
    local first, last = launches[1], launches[#launches]
    all[i] = { launches = #launches, busy = busy, wall = last.start + last.seconds - first.start }
  end
  table.sort(all, function(a, b) return (a.wall - a.busy) / a.wall < (b.wall - b.busy) / b.wall end)
  return all[(steps + 1) // 2]
end

print(("%-10s %-20s %5s %9s %9s %9s %9s"):format("work", "network", "batch", "launches", "ms", "kernels", "between"))
for _, w in ipairs(WORKS) do
  local work = make(w[1], w[2], w[3])
  work()
  work()
  local m = measure(work)
  print(("%-10s %-20s %5d %9d %9.1f %9.1f %7.1f %%"):format(w[1], w[2], w[3], m.launches, 1e3 * m.wall, 1e3 * m.busy, 100 * (m.wall - m.busy) / m.wall))
  work = nil
  collectgarbage()
end
