-- augment.lua - how training pictures are changed at random: `augment = { crop = { 0.3, 1 }, flip = true, rotate = 15 }`. The
-- fields, what they mean together with data.augment, and the steps of the pipeline that follow from them.
local util = require "tlua.util"
local schema = require "tlua.schema"
local ranges = require "tlua.data.ranges"
local waves = require "tlua.data.augment_waves"
local volumes = require "tlua.data.volumes.augment"
local boxes = require "tlua.data.boxes.changes"
local augment = {}
local wrong_numbers, numbers, range, around = ranges.wrong_numbers, ranges.numbers, ranges.range, ranges.around

-- ---- what a field may be: checks for the schema, which give what is wrong ----

local function shear_is(v)
  if type(v) == "table" and #v == 3 then return "takes 1, 2 or 4 numbers, not 3" end
  return wrong_numbers(v, 1, 4, -89, 89)
end

local function randaugment_is(v)
  local text = wrong_numbers(v, 2, 3, 0, 1000)
  if text or not v then return text end
  local bins = v[3] or 31
  if v[2] >= bins then return ("has magnitude %g, and it must be below %g, the number of them"):format(v[2], bins) end
end

local function hsv_is(v)
  local text = wrong_numbers(v, 3, 3, 0, 255)
  if text or not v then return text end
  if v[1] > 90 then return ("moves hue by %g, and half a turn is 90"):format(v[1]) end
end

augment.SCHEMA = {
  { "crop", "range", nil, "a part of the picture, resized: share of the area, from and to", check = range(1e-4, 1) },
  { "crop_ratio", "range", nil, "width by height of that part, from and to (3/4 to 4/3)", check = range(1e-2, 1e2) },
  { "shift", "number", nil, "moved by up to this share of the side, with black borders", least = 0, most = 1 },
  { "flip", "chance", nil, "left and right exchanged" },
  { "flip_vertical", "chance", nil, "top and bottom exchanged" },
  { "rotate", "range", nil, "turned by up to so many degrees either way, or from and to", check = around(-3600, 3600) },
  { "translate", "range", nil, "moved by up to these shares of width and height", check = numbers(1, 2, 0, 1) },
  { "scale", "range", nil, "enlarged by a factor, from and to", check = range(1e-3, 1e3) },
  { "shear", "range", nil, "sheared along x by up to so many degrees, or from and to; then the same along y", check = shear_is },
  { "filter", "choice", "nearest", "how rotate, translate, scale, shear and randaugment take pixels", { "nearest", "bilinear" } },
  { "fill", "integer", 0, "value, 0 to 255, of pixels that these bring in from outside", least = 0, most = 255 },
  { "brightness", "range", nil, "times 1 - x to 1 + x, or from and to", check = around(0, 100) },
  { "contrast", "range", nil, "the same for contrast", check = around(0, 100) },
  { "saturation", "range", nil, "the same for saturation", check = around(0, 100) },
  { "hue", "range", nil, "hue moved by up to so much of a turn either way (at most 0.5), or from and to", check = around(-0.5, 0.5) },
  { "hsv", "range", nil, "hue (of 180), saturation and value (of 255) moved by up to so much, each by an even chance",
    check = hsv_is },
  { "grey", "chance", nil, "made grey" },
  { "randaugment", "range", nil, "RandAugment: how many operations, their magnitude, of how many (31)", check = randaugment_is },
  { "erase", "chance", nil, "a rectangle painted over, after normalisation" },
  { "erase_scale", "range", nil, "its share of the area, from and to (0.02 to 0.33)", check = range(0, 1) },
  { "erase_ratio", "range", nil, "its height by width, from and to (0.3 to 3.3)", check = range(1e-2, 1e2) },
  { "erase_value", "range", nil, "its value, one number or one a channel; 0 is the mean colour", check = numbers(1, 3, -1e6, 1e6) },
  { "erase_noise", "boolean", false, "normal noise instead of a value" },
  { "mixup", "number", 0, "batches mixed with shares from Beta(x, x); 0: not", least = 0 },
  { "cutmix", "number", 0, "parts of neighbours pasted in, with shares from Beta(x, x); 0: not", least = 0 },
  { "off_last", "integer", 0, "no mixup and cutmix in so many last epochs", least = 0 },
}

-- What `true` means for a chance; torchvision's defaults.
local CHANCE = { flip = 0.5, flip_vertical = 0.5, grey = 0.1, erase = 0.5 }

augment.OF_TEXTS = {} -- they are learnt as they stand

-- The fields that the samples of a description's data can have: of pictures, of clips of sound or of volumes.
function augment.schema(d)
  local info = d and require("tlua.data").kinds[d.kind] or {}
  local volume = d and require("tlua.data.kinds").has_volumes(d)
  return info.texts and augment.OF_TEXTS or info.clips and waves.SCHEMA or volume and volumes.SCHEMA or augment.SCHEMA
end

-- A recipe's `augment` with all fields; `d`: the description of its data.
function augment.read(given, d)
  local list = augment.schema(d)
  if given ~= nil and not util.is_options(given) then
    util.failf("recipe: augment must be like %s", list == waves.SCHEMA and "{ speed = 0.1, gain = 6 }"
      or list == volumes.SCHEMA and "{ flip = true, rotate = 15, scale = { 0.8, 1.2 } }"
      or "{ crop = { 0.3, 1 }, flip = true, rotate = 15 }")
  end
  if list == augment.OF_TEXTS and given and next(given) then
    util.failf("recipe: augment: %s: texts are learnt as they stand; leave it out", tostring((next(given))))
  end
  return schema.options("augment", list, given or {})
end

-- ---- values ----

local function chance(o, name)
  local v = o[name]
  if not v then return nil end
  v = v == true and CHANCE[name] or v
  return v > 0 and v or nil
end

-- The numbers of a field as a list; nil where it is off.
local function list(o, name) return ranges.list(o[name]) end

local function both_ways(o, name, middle, low) return ranges.both_ways(o[name], middle, low) end

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
  return o
end

local NONE = augment.resolve("none", {})

function augment.mixes(o) return o.mixup > 0 or o.cutmix > 0 end

-- One or two numbers for either way, as random_affine takes them.
local function translation(o)
  local v = list(o, "translate")
  return v and { v[1], v[2] or v[1] }
end

local function shear(o)
  local v = list(o, "shear")
  return v and #v == 1 and { -v[1], v[1] } or v
end

-- Turning alone is torchvision's RandomRotation, with anything else its RandomAffine.
local function add_maps(step, o)
  local degrees, translate, scale, slant = both_ways(o, "rotate", 0, -3600), translation(o), list(o, "scale"), shear(o)
  if translate or scale or slant then
    step { "random_affine", degrees = degrees or { 0, 0 }, translate = translate or { 0, 0 }, scale = scale or { 1, 1 }, shear = slant or { 0, 0 },
      interpolation = o.filter, fill = o.fill }
  elseif degrees then
    step { "random_rotation", degrees = degrees, interpolation = o.filter, fill = o.fill }
  end
end

local function add_colours(step, o)
  local j = { "color_jitter", brightness = both_ways(o, "brightness", 1, 0), contrast = both_ways(o, "contrast", 1, 0),
    saturation = both_ways(o, "saturation", 1, 0), hue = both_ways(o, "hue", 0, -0.5) }
  if j.brightness or j.contrast or j.saturation or j.hue then step(j) end
  local hsv = list(o, "hsv")
  if hsv then step { "random_hsv", hue = hsv[1], saturation = hsv[2], value = hsv[3] } end
  local grey = chance(o, "grey")
  if grey then step { "random_grayscale", p = grey } end
end

local function add_randaugment(step, o)
  local v = list(o, "randaugment")
  if v then step { "rand_augment", operations = v[1], magnitude = v[2], bins = v[3] or 31, interpolation = o.filter, fill = o.fill } end
end

-- Steps that change where things are at the picture's own size, `side`: before a small one is stretched.
function augment.shift(step, o, side)
  o = o or NONE
  if o.shift and o.shift > 0 then step { "random_crop", size = side, padding = math.max(1, math.floor(side * o.shift)) } end
end

-- The random resized crop in place of the resize; false where there is none.
function augment.crop(step, o, size, interpolation)
  o = o or NONE
  local scale = list(o, "crop")
  if not scale then return false end
  step { "random_resized_crop", size = size, scale = scale, ratio = list(o, "crop_ratio") or { 3 / 4, 4 / 3 }, interpolation = interpolation }
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
  step { "random_erasing", p = p, scale = list(o, "erase_scale") or { 0.02, 0.33 }, ratio = list(o, "erase_ratio") or { 0.3, 3.3 },
    value = list(o, "erase_value") or { 0 }, noise = o.erase_noise and 1 or 0 }
end

-- For the plan: "flip 0.5, rotate -15,15, mixup 0.2 but for the last 2 epochs"; nil where nothing is random. `kind`: of
-- the input.
function augment.text(o, kind)
  if kind and kind.kind == "clip" then return waves.text(o) end
  if kind and kind.kind == "volume" then return volumes.text(o) end
  local parts = {}
  local whole = { crop_ratio = "crop", filter = false, fill = false, erase_scale = "erase", erase_ratio = "erase", erase_value = "erase", erase_noise = "erase" }
  for _, field in ipairs(augment.SCHEMA) do
    local name = field[1]
    local v = o[name]
    if v and v ~= 0 and name ~= "off_last" and whole[name] == nil then
      parts[#parts + 1] = name .. " " .. schema.show(CHANCE[name] and chance(o, name) or v)
    end
  end
  for _, text in ipairs(boxes.texts(o)) do parts[#parts + 1] = text end
  if #parts == 0 then return nil end
  if augment.mixes(o) and o.off_last > 0 then parts[#parts] = ("%s but for the last %d epochs"):format(parts[#parts], o.off_last) end
  return table.concat(parts, ", ")
end

return augment
