-- profile.lua - where the time of one steady step goes: tables by operator and by layer, as shares of the device's measured peaks.
--   tlua bench/profile.lua full resnet50 16 [TRACE.json]
local core = require "tlua.core"
core.manual_seed(0)
local kind, name, batch, trace = arg[1], arg[2], tonumber(arg[3]), arg[4]
local work = dofile "bench/works.lua"(kind, name, batch)
work()
work()
local begin = core.time()
work()
local seconds = core.time() - begin
print(("%s of %s, batch %d: %.1f ms without a profile, %.1f a second"):format(kind, name, batch, 1e3 * seconds, batch / seconds))
require("tlua.command.profile").run(work, trace)
