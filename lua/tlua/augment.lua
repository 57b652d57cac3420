-- augment.lua - how training pictures are changed at random: `augment = { crop = { 0.3, 1 }, flip = true, rotate = 15 }`. The
-- fields, what they mean together with data.augment, and the steps of the pipeline that follow from them.
local util = require "tlua.util"
local schema = require "tlua.schema"
local augment = {}

augment.SCHEMA = {
  { "crop", "range", nil, "a part of the picture, resized: share of the area, from and to" },
  { "crop_ratio", "range", nil, "width by height of that part, from and to (3/4 to 4/3)" },
  { "shift", "number", nil, "moved by up to this share of the side, with black borders" },
  { "flip", "chance", nil, "left and right exchanged" },
  { "flip_vertical", "chance", nil, "top and bottom exchanged" },
  { "rotate", "range", nil, "turned by up to so many degrees either way, or from and to" },
  { "translate", "range", nil, "moved by up to these shares of width and height" },
  { "scale", "range", nil, "enlarged by a factor, from and to" },
  { "shear", "range", nil, "sheared along x by up to so many degrees, or from and to; then the same along y" },
  { "filter", "choice", "nearest", "how rotate, translate, scale, shear and randaugment take pixels", { "nearest", "bilinear" } },
  { "fill", "integer", 0, "value, 0 to 255, of pixels that these bring in from outside" },
  { "brightness", "range", nil, "times 1 - x to 1 + x, or from and to" },
  { "contrast", "range", nil, "the same for contrast" },
  { "saturation", "range", nil, "the same for saturation" },
  { "hue", "range", nil, "hue moved by up to so much of a turn either way (at most 0.5), or from and to" },
  { "grey", "chance", nil, "made grey" },
  { "randaugment", "range", nil, "RandAugment: how many operations, their magnitude, of how many (31)" },
  { "erase", "chance", nil, "a rectangle painted over, after normalisation" },
  { "erase_scale", "range", nil, "its share of the area, from and to (0.02 to 0.33)" },
  { "erase_ratio", "range", nil, "its height by width, from and to (0.3 to 3.3)" },
  { "erase_value", "range", nil, "its value, one number or one a channel; 0 is the mean colour" },
  { "erase_noise", "boolean", false, "normal noise instead of a value" },
  { "mixup", "number", 0, "batches mixed with shares from Beta(x, x); 0: not" },
  { "cutmix", "number", 0, "parts of neighbours pasted in, with shares from Beta(x, x); 0: not" },
  { "off_last", "integer", 0, "no mixup and cutmix in so many last epochs" },
}

-- What `true` means for a chance; torchvision's defaults.
local CHANCE = { flip = 0.5, flip_vertical = 0.5, grey = 0.1, erase = 0.5 }

-- A recipe's `augment` with all fields.
function augment.read(given)
  if given ~= nil and not util.is_options(given) then util.fail("recipe: augment must be like { crop = { 0.3, 1 }, flip = true, rotate = 15 }") end
  return schema.options("augment", augment.SCHEMA, given or {})
end

-- ---- checking ----

local function wrong(name, form, ...) util.failf("augment: %s " .. form, name, ...) end

local function chance(o, name)
  local v = o[name]
  if not v then return nil end
  v = v == true and CHANCE[name] or v
  if v < 0 or v > 1 then wrong(name, "is a chance from 0 to 1, not %g", v) end
  return v > 0 and v or nil
end

-- The numbers of a field, `least` to `most` of them between low and high; nil where it is off.
local function numbers(o, name, least, most, low, high)
  local v = o[name]
  if not v then return nil end
  v = type(v) == "number" and { v } or v
  if #v < least or #v > most then wrong(name, "takes %s numbers, not %d", least == most and least or ("%d to %d"):format(least, most), #v) end
  for _, x in ipairs(v) do
    if not (x >= low and x <= high) then wrong(name, "is %g, and must lie between %g and %g", x, low, high) end
  end
  return v
end

local function range(o, name, low, high)
  local v = numbers(o, name, 2, 2, low, high)
  if v and v[1] > v[2] then wrong(name, "goes from %g down to %g", v[1], v[2]) end
  return v
end

-- A range, or one number x for middle - x to middle + x, cut off at `low`.
local function around(o, name, middle, low, high)
  local v = numbers(o, name, 1, 2, low, high)
  if not v then return nil end
  if #v == 2 then return range(o, name, low, high) end
  if v[1] < 0 then wrong(name, "is %g; one number goes both ways, and must not be negative", v[1]) end
  if v[1] == 0 then return nil end
  return { math.max(low, middle - v[1]), middle + v[1] }
end

-- Says what is wrong with values; where they are right, returns nothing.
local function check_plain(o)
  if o.shift and not (o.shift >= 0 and o.shift <= 1) then wrong("shift", "is a share from 0 to 1, not %g", o.shift) end
  if o.fill < 0 or o.fill > 255 then wrong("fill", "is %d, and must lie between 0 and 255", o.fill) end
  for _, name in ipairs { "mixup", "cutmix", "off_last" } do
    if not (o[name] >= 0) then wrong(name, "is %g, and must be from 0 on", o[name]) end
  end
end

-- ---- steps ----

-- The values that count: the recipe's, where it says nothing those of data.augment. `small`: pictures that all have one small size.
function augment.resolve(preset, given, small)
  local o = {}
  for _, field in ipairs(augment.SCHEMA) do
    o[field[1]] = given[field[1]]
    if o[field[1]] == nil then o[field[1]] = field[3] end
  end
  if preset ~= "none" and o.flip == nil then o.flip = true end
  if preset == "standard" and o.crop == nil and o.shift == nil then
    if small then o.shift = 1 / 8 else o.crop = { 0.08, 1 } end
  end
  check_plain(o)
  return o
end

local NONE = augment.resolve("none", {})

function augment.mixes(o) return o.mixup > 0 or o.cutmix > 0 end

-- One or two numbers for either way, as random_affine takes them.
local function translation(o)
  local v = numbers(o, "translate", 1, 2, 0, 1)
  if not v then return nil end
  return { v[1], v[2] or v[1] }
end

local function shear(o)
  local v = numbers(o, "shear", 1, 4, -89, 89)
  if not v then return nil end
  if #v == 3 then wrong("shear", "takes 1, 2 or 4 numbers, not 3") end
  return #v == 1 and { -v[1], v[1] } or v
end

-- Turning alone is torchvision's RandomRotation, with anything else its RandomAffine.
local function add_maps(step, o)
  local degrees, translate, scale, slant = around(o, "rotate", 0, -3600, 3600), translation(o), range(o, "scale", 1e-3, 1e3), shear(o)
  if translate or scale or slant then
    step { "random_affine", degrees = degrees or { 0, 0 }, translate = translate or { 0, 0 }, scale = scale or { 1, 1 }, shear = slant or { 0, 0 },
      interpolation = o.filter, fill = o.fill }
  elseif degrees then
    step { "random_rotation", degrees = degrees, interpolation = o.filter, fill = o.fill }
  end
end

local function add_colours(step, o)
  local j = { "color_jitter", brightness = around(o, "brightness", 1, 0, 100), contrast = around(o, "contrast", 1, 0, 100),
    saturation = around(o, "saturation", 1, 0, 100), hue = around(o, "hue", 0, -0.5, 0.5) }
  if j.brightness or j.contrast or j.saturation or j.hue then step(j) end
  local grey = chance(o, "grey")
  if grey then step { "random_grayscale", p = grey } end
end

local function add_randaugment(step, o)
  local v = numbers(o, "randaugment", 2, 3, 0, 1000)
  if not v then return end
  local bins = v[3] or 31
  if v[2] >= bins then wrong("randaugment", "has magnitude %g, and it must be below %g, the number of them", v[2], bins) end
  step { "rand_augment", operations = v[1], magnitude = v[2], bins = bins, interpolation = o.filter, fill = o.fill }
end

-- Steps that change where things are at the picture's own size, `side`: before a small one is stretched.
function augment.shift(step, o, side)
  o = o or NONE
  if o.shift and o.shift > 0 then step { "random_crop", size = side, padding = math.max(1, math.floor(side * o.shift)) } end
end

-- The random resized crop in place of the resize; false where there is none.
function augment.crop(step, o, size, interpolation)
  o = o or NONE
  local scale = range(o, "crop", 1e-4, 1)
  if not scale then return false end
  step { "random_resized_crop", size = size, scale = scale, ratio = range(o, "crop_ratio", 1e-2, 1e2) or { 3 / 4, 4 / 3 }, interpolation = interpolation }
  return true
end

-- What follows at the network's size.
function augment.bytes(step, o)
  o = o or NONE
  local flip, vertical = chance(o, "flip"), chance(o, "flip_vertical")
  if flip then step { "random_horizontal_flip", p = flip } end
  if vertical then step { "random_vertical_flip", p = vertical } end
  add_maps(step, o)
  add_colours(step, o)
  add_randaugment(step, o)
end

-- What follows the normalisation.
function augment.floats(step, o)
  o = o or NONE
  local p = chance(o, "erase")
  if not p then return end
  step { "random_erasing", p = p, scale = range(o, "erase_scale", 0, 1) or { 0.02, 0.33 }, ratio = range(o, "erase_ratio", 1e-2, 1e2) or { 0.3, 3.3 },
    value = numbers(o, "erase_value", 1, 3, -1e6, 1e6) or { 0 }, noise = o.erase_noise and 1 or 0 }
end

-- Raises an error where a value is wrong. `o` as read() gave it, with what the command line has changed.
function augment.check(o)
  local all, ignore = augment.resolve("none", o), function() end
  augment.crop(ignore, all, 1)
  augment.bytes(ignore, all)
  augment.floats(ignore, all)
end

-- For the plan: "flip 0.5, rotate -15,15, mixup 0.2 but for the last 2 epochs"; nil where nothing is random.
function augment.text(o)
  local parts = {}
  local whole = { crop_ratio = "crop", filter = false, fill = false, erase_scale = "erase", erase_ratio = "erase", erase_value = "erase", erase_noise = "erase" }
  for _, field in ipairs(augment.SCHEMA) do
    local name = field[1]
    local v = o[name]
    if v and v ~= 0 and name ~= "off_last" and whole[name] == nil then
      parts[#parts + 1] = name .. " " .. schema.show(CHANCE[name] and chance(o, name) or v)
    end
  end
  if #parts == 0 then return nil end
  if augment.mixes(o) and o.off_last > 0 then parts[#parts] = ("%s but for the last %d epochs"):format(parts[#parts], o.off_last) end
  return table.concat(parts, ", ")
end

return augment
