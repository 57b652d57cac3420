-- energy.lua - what the processor has used, where the machine tells it: Linux' powercap (Intel's and AMD's RAPL) counts
-- microjoules of each package. Most machines let only root read it; then nothing is known, and nothing is guessed.
local core = require "tlua.core"
local energy = {}

local ROOT = "/sys/class/powercap"

local function number_in(path)
  local file = io.open(path)
  local n = file and tonumber(file:read "l" or "")
  if file then file:close() end
  return n
end

-- Is a zone a package? "psys", which laptops have beside it, is the whole platform: the package again, and the rest.
local function is_package(zone)
  local file = io.open(zone .. "/name")
  local name = file and file:read "l"
  if file then file:close() end
  return name ~= "psys"
end

-- {path =, range = where the counter begins again} of each package.
local function packages(root)
  local list = {}
  for _, name in ipairs(core.is_folder(root) and core.list_folder(root) or {}) do
    local zone = ("%s/%s"):format(root, name)
    if name:find "^[%w-]+:%d+$" and not name:find "mmio" and number_in(zone .. "/energy_uj") and is_package(zone) then
      list[#list + 1] = { path = zone .. "/energy_uj", range = number_in(zone .. "/max_energy_range_uj") or 0 }
    end
  end
  return list
end

local Meter = {}
Meter.__index = Meter

-- Begins to count. A counter runs over after minutes to hours: tick() must be called more often.
function energy.meter(root)
  local meter = setmetatable({ packages = packages(root or ROOT), joules = 0 }, Meter)
  meter:tick()
  meter.joules = 0
  return meter
end

function Meter:tick()
  for _, p in ipairs(self.packages) do
    local now = number_in(p.path)
    if now and p.last then self.joules = self.joules + ((now - p.last) + (now < p.last and p.range or 0)) / 1e6 end
    p.last = now or p.last
  end
end

-- Joules since the beginning, or nil where the machine does not tell.
function Meter:read()
  self:tick()
  return #self.packages > 0 and self.joules or nil
end

return energy
