-- augment.lua - how training volumes are changed at random: `augment = { flip = true, rotate = 15, scale = { 0.8, 1.2
-- }, noise = 0.1 }`. What moves voxels is put together and done once, by the loader's threads, and masks go with it.
local schema = require "tlua.schema"
local util = require "tlua.util"
local ranges = require "tlua.data.ranges"
local augment = {}

local around, numbers, range = ranges.around, ranges.numbers, ranges.range

augment.SCHEMA = {
  { "flip", "chance", nil, "columns turned about: left and right of RAS and LPS" },
  { "flip_rows", "chance", nil, "rows turned about: front and back" },
  { "flip_slices", "chance", nil, "slices turned about: top and bottom" },
  { "rotate", "range", nil, "turned by up to so many degrees either way about each axis, or from and to",
    check = around(-180, 180) },
  { "scale", "range", nil, "enlarged by a factor, from and to", check = range(0.05, 20) },
  { "shear", "range", nil, "sheared by up to so many degrees either way, or from and to", check = around(-45, 45) },
  { "translate", "range", nil, "moved by up to this share of each side either way, or from and to",
    check = around(-1, 1) },
  { "turn_chance", "chance", nil, "of turning, enlarging, shearing and moving, together (1)" },
  { "elastic", "range", nil, "bent: knots of a grid are moved by up to so many mm", check = numbers(1, 1, 0, 1000) },
  { "elastic_knots", "integer", nil, "of that grid, along each side (8)", least = 5, most = 64 },
  { "elastic_chance", "chance", nil, "of bending (0.2)" },
  { "gamma", "range", nil, "values to a power within their range, from and to", check = range(0.01, 100) },
  { "contrast", "range", nil, "away from the mean by 1 - x to 1 + x, or from and to", check = around(0, 100) },
  { "brightness", "range", nil, "values times 1 - x to 1 + x, or from and to", check = around(0, 100) },
  { "noise", "range", nil, "normal noise with a deviation up to x, or from and to", check = numbers(1, 2, 0, 1e6) },
  { "blur", "range", nil, "smoothed by a Gaussian filter of so many voxels, from and to", check = range(0.01, 16) },
  { "value_chance", "chance", nil, "of each change of values (0.15)" },
}

local HALF, VALUES, BEND = 0.5, 0.15, 0.2

-- The values that count. Pictures are mixed, volumes are not.
function augment.resolve(given)
  local o = { mixup = 0, cutmix = 0, off_last = 0 }
  for _, field in ipairs(augment.SCHEMA) do o[field[1]] = given[field[1]] end
  for name, of in pairs { elastic_knots = "elastic", elastic_chance = "elastic" } do
    if o[name] and not o[of] then util.failf("augment: %s is of elastic, which is not given", name) end
  end
  if o.turn_chance ~= nil and not (o.rotate or o.scale or o.shear or o.translate) then
    util.fail "augment: turn_chance is of rotate, scale, shear and translate, and none is given"
  end
  if o.value_chance ~= nil and not (o.gamma or o.contrast or o.brightness or o.noise or o.blur) then
    util.fail "augment: value_chance is of gamma, contrast, brightness, noise and blur, and none is given"
  end
  return o
end

local function chance(v, usual)
  if v == nil or v == true then return usual end
  return v or 0
end

local function flips(step, o)
  local p = {}
  for i, name in ipairs { "flip_slices", "flip_rows", "flip" } do p[i] = o[name] and chance(o[name], HALF) or 0 end
  if p[1] > 0 or p[2] > 0 or p[3] > 0 then step { "volume_flip", p = p } end
end

local function turns(step, o)
  local degrees, scale = ranges.both_ways(o.rotate, 0, -math.huge), ranges.list(o.scale)
  local shear, move = ranges.both_ways(o.shear, 0, -math.huge), ranges.both_ways(o.translate, 0, -math.huge)
  if not (degrees or scale or shear or move) then return end
  local d = degrees or { 0, 0 }
  step { "volume_affine", degrees = { d[1], d[2], d[1], d[2], d[1], d[2] }, scale = scale or { 1, 1 },
    shear = shear or { 0, 0 }, translate = move or { 0, 0 }, p = chance(o.turn_chance, 1) }
end

-- Steps of the pipeline, in the order in which they happen to a volume.
function augment.steps(step, o)
  flips(step, o)
  turns(step, o)
  local mm = ranges.list(o.elastic)
  if mm and mm[1] > 0 then
    step { "volume_elastic", knots = o.elastic_knots or 8, mm = mm[1], p = chance(o.elastic_chance, BEND) }
  end
  local p = chance(o.value_chance, VALUES)
  local noise, blur, gamma = ranges.list(o.noise), ranges.list(o.blur), ranges.list(o.gamma)
  if noise then step { "volume_noise", deviation = { noise[2] and noise[1] or 0, noise[2] or noise[1] }, p = p } end
  if blur then step { "volume_blur", sigma = blur, p = p } end
  local bright, contrast = ranges.both_ways(o.brightness, 1, 0), ranges.both_ways(o.contrast, 1, 0)
  if bright then step { "volume_brightness", factor = bright, p = p } end
  if contrast then step { "volume_contrast", factor = contrast, p = p } end
  if gamma then step { "volume_gamma", gamma = gamma, p = p } end
end

-- For the plan; nil where nothing is random.
function augment.text(o)
  local parts = {}
  for _, field in ipairs(augment.SCHEMA) do
    local v = o[field[1]]
    if v and v ~= 0 then parts[#parts + 1] = field[1] .. " " .. schema.show(v) end
  end
  return #parts > 0 and table.concat(parts, ", ") or nil
end

return augment
