-- augment_waves.lua - how training clips are changed at random: `augment = { speed = 0.1, gain = 6, noise = "noises"
-- }`. All but the masks happen to the sound itself, in the loader's threads; masks (SpecAugment, Park et al. 2019) are
-- the network's, behind its front end.
local schema = require "tlua.schema"
local util = require "tlua.util"
local ranges = require "tlua.data.ranges"
local augment_waves = {}

local around, both_ways = ranges.around, ranges.both_ways

augment_waves.SCHEMA = {
  { "speed", "range", nil, "played faster or slower, pitch with it: times 1 - x to 1 + x, or from and to",
    check = around(0, 4) },
  { "gain", "range", nil, "louder or softer by up to so many decibels, or from and to", check = around(-60, 60) },
  { "shift", "number", nil, "moved by up to so many seconds either way, with silence behind", least = 0, most = 60 },
  { "noise", "path", nil, "folder of noises, of which one is added at a random place" },
  { "snr", "range", nil, "how many decibels the clip stands above that noise, from and to (5 to 30)",
    check = around(-30, 100) },
  { "noise_chance", "chance", nil, "of a noise (0.5)" },
  { "telephone", "chance", nil, "heard as by telephone: 300 to 3,400 Hz of 8 kHz" },
  { "freq_masks", "integer", nil, "bands of frequencies that are silenced (the network's own)", least = 0, most = 16 },
  { "freq_width", "integer", nil, "bands each of them hides at most (the network's own)", least = 1 },
  { "time_masks", "integer", nil, "stretches of time that are silenced (the network's own)", least = 0, most = 64 },
  { "time_share", "number", nil, "share of a clip that each of them hides at most (the network's own)", above = 0,
    most = 1 },
}

-- The values that count. Pictures are mixed, clips are not.
function augment_waves.resolve(given)
  local o = { mixup = 0, cutmix = 0, off_last = 0 }
  for _, field in ipairs(augment_waves.SCHEMA) do
    o[field[1]] = given[field[1]]
    if o[field[1]] == nil then o[field[1]] = field[3] end
  end
  if o.snr and not o.noise then
    util.fail "augment: snr says how loud a noise is, and there is none: noise = DIR, a folder of recordings"
  end
  if given.noise_chance and not o.noise then
    util.fail("augment: noise_chance says how often a noise is added, and there is none: noise = DIR, "
      .. "a folder of recordings")
  end
  o.speed, o.gain = both_ways(o.speed, 1, -math.huge), both_ways(o.gain, 0, -math.huge)
  o.snr = o.noise and (both_ways(o.snr, 0, -math.huge) or { 5, 30 }) or nil
  if o.speed and (o.speed[1] < 0.5 or o.speed[2] > 2) then
    util.failf("augment: speed goes from %g to %g; half and twice as fast are the bounds", o.speed[1], o.speed[2])
  end
  return o
end

-- What `true` means, and of a noise that nothing is said.
local HALF = 0.5
local function chance(v) return v == true and HALF or v or nil end

-- Steps of the pipeline, in the order in which they happen to a clip.
function augment_waves.steps(step, o)
  if o.speed then step { "speed", factor = o.speed } end
  if o.shift and o.shift > 0 then step { "shift", seconds = { -o.shift, o.shift } } end
  local noise = o.noise and (o.noise_chance == nil and HALF or chance(o.noise_chance))
  if noise then step { "noise", snr = o.snr, p = noise } end
  if chance(o.telephone) then step { "telephone", p = chance(o.telephone) } end
  if o.gain then step { "gain", db = o.gain } end
end

-- What the network's masks are to be: {freq_masks =, freq_width =, time_masks =, time_share =}, those that were said.
function augment_waves.masks(o)
  local out = {}
  for _, name in ipairs { "freq_masks", "freq_width", "time_masks", "time_share" } do out[name] = o[name] end
  return next(out) and out or nil
end

-- For the plan; nil where nothing is random.
function augment_waves.text(o)
  local parts = {}
  for _, field in ipairs(augment_waves.SCHEMA) do
    local v = o[field[1]]
    if v and v ~= 0 and field[1] ~= "noise_chance" then parts[#parts + 1] = field[1] .. " " .. schema.show(v) end
  end
  return #parts > 0 and table.concat(parts, ", ") or nil
end

return augment_waves
