-- changes.lua - how training pictures with boxes are changed beside what `augment` says of any picture: mosaics and
-- mixup as YOLOX makes them (src/data/mosaic.h), and sizes that change from batch to batch. The fields of data sources,
-- and what the loader is told.
local util = require "tlua.util"
local schema = require "tlua.schema"
local ranges = require "tlua.data.ranges"
local changes = {}

local STEP = 32 -- of sizes: what networks of boxes divide by

local function sizes_are(v)
  if not v then return nil end
  if type(v) == "number" or #v ~= 2 then return "takes two numbers, the least side and the greatest" end
  for _, side in ipairs(v) do
    if side < STEP or side > 16384 or side % STEP ~= 0 then
      return ("is %g, and must be a multiple of %d from %d to 16384"):format(side, STEP, STEP)
    end
  end
  if v[1] > v[2] then return ("goes from %g down to %g"):format(v[1], v[2]) end
end

local function shear_is(v)
  if type(v) == "table" and #v == 3 then return "takes 1, 2 or 4 numbers, not 3" end
  return ranges.wrong_numbers(v, 1, 4, -89, 89)
end

changes.SCHEMA = {
  { "mosaic", "number", nil,
    "share of the training samples that are mosaics: four pictures around a point, and an affine map of them (0)",
    least = 0, most = 1 },
  { "mosaic_rotate", "range", nil, "of a mosaic: turned by up to so many degrees either way, or from and to (10)",
    check = ranges.around(-3600, 3600) },
  { "mosaic_translate", "range", nil, "moved by up to these shares of width and height (0.1)",
    check = ranges.numbers(1, 2, 0, 1) },
  { "mosaic_scale", "range", nil, "enlarged by a factor, from and to (0.5 to 1.5)", check = ranges.range(0.01, 100) },
  { "mosaic_shear", "range", nil,
    "sheared along x by up to so many degrees, or from and to; then the same along y (2)", check = shear_is },
  { "mixup", "number", nil,
    "share of the mosaics that are mixed by half with another picture, the boxes of both (0)", least = 0, most = 1 },
  { "mixup_scale", "range", nil, "the other picture enlarged by a factor, from and to (0.5 to 1.5)",
    check = ranges.range(0.01, 100) },
  { "close_mosaic", "integer", nil, "no mosaics in so many last epochs (0)", least = 0 },
  { "multi_scale", "range", nil,
    "least and greatest side of training pictures: each batch has one of the multiples of 32 between (none: all have "
      .. "`size`)", check = sizes_are },
}

-- Two numbers for either way, or from and to; of a field that is off, no change.
local function both(v, usual)
  if v == nil then v = usual end
  return ranges.both_ways(v, 0, -3600) or { 0, 0 }
end

-- Along x from and to, along y from and to. One range is for both.
local function shears(v)
  local list = ranges.list(v)
  if list and #list == 4 then return list end
  local one = both(v, 2)
  return { one[1], one[2], one[1], one[2] }
end

local function shares(v)
  if v == nil then v = 0.1 end
  local list = ranges.list(v) or { 0 }
  return { list[1], list[2] or list[1] }
end

-- An option of mosaics where there are none does nothing.
local function check_unused(d)
  local o = d.options
  for _, name in ipairs { "mosaic_rotate", "mosaic_translate", "mosaic_scale", "mosaic_shear", "mixup",
    "close_mosaic" } do
    if o[name] and o[name] ~= 0 then
      util.failf("data.%s: %s is of mosaics, and mosaic says how many samples are such: mosaic = 0.5", d.kind, name)
    end
  end
end

-- The mosaics of a description: what the loader takes, and close = how many last epochs have none; nil: none.
local function mosaic_of(d)
  local o = d.options
  if o.mosaic == nil then check_unused(d) end
  if (o.mixup or 0) == 0 and o.mixup_scale and o.mixup ~= 0 then
    util.failf("data.%s: mixup_scale is of mixup, which says how many mosaics are mixed: mixup = 0.5", d.kind)
  end
  if (o.mosaic or 0) == 0 then return nil end
  local wide = { 0.5, 1.5 }
  return { chance = o.mosaic, mixup = o.mixup or 0, rotate = both(o.mosaic_rotate, 10),
    translate = shares(o.mosaic_translate), scale = ranges.list(o.mosaic_scale) or o.mosaic_scale == nil and wide
      or { 1, 1 }, shear = shears(o.mosaic_shear),
    mixup_scale = ranges.list(o.mixup_scale) or o.mixup_scale == nil and wide or { 1, 1 }, close = o.close_mosaic or 0 }
end

-- Adds to the changes of training pictures (`out`, of augment.resolve) what a description says of mosaics and sizes.
function changes.add(out, d, preprocessing, given)
  if given.mixup and given.mixup > 0 or given.cutmix and given.cutmix > 0 then
    util.failf("augment: mixup and cutmix mix classes, and here are boxes: data.mixup mixes pictures with theirs")
  end
  out.mosaic, out.sizes = mosaic_of(d), d.options.multi_scale or nil
  local what = out.mosaic and "mosaics are put together of" or out.sizes and "multi_scale changes the size of"
  if what and (preprocessing.fit ~= "letterbox" or out.crop) then
    util.failf("data.%s: %s letterboxes, and pictures are %s: %s", d.kind, what,
      out.crop and "cut out (augment.crop)" or "made otherwise",
      out.crop and "leave that out (--augment.crop none)" or '--data.fit letterbox')
  end
  if what and out.shift and out.shift > 0 then
    util.failf("data.%s: augment.shift has a size of its own: --augment.shift none", d.kind)
  end
end

-- What the loader of training pictures is told. epochs: of the whole run, where known.
function changes.loader_options(o, epochs)
  local out, m = { sizes = o.sizes }, o.mosaic
  if m then
    out.mosaic = { chance = m.chance, mixup = m.mixup, rotate = m.rotate, translate = m.translate,
      scale = m.scale, shear = m.shear, mixup_scale = m.mixup_scale,
      ["until"] = m.close > 0 and epochs and math.max(1, epochs - m.close + 1) or 0 }
  end
  return out
end

-- For the plan: lists of what is done; nothing where nothing is.
function changes.texts(o)
  local out, m = {}, o.mosaic
  if m then
    local text = ("mosaic %g (rotate %s, translate %s, scale %s, shear %s)"):format(m.chance, schema.show(m.rotate),
      schema.show(m.translate), schema.show(m.scale), schema.show(m.shear))
    if m.mixup > 0 then text = ("%s, mixup %g (scale %s)"):format(text, m.mixup, schema.show(m.mixup_scale)) end
    if m.close > 0 then
      text = ("%s, %s in the last %s"):format(text, m.mixup > 0 and "neither" or "not", util.counted(m.close, "epoch"))
    end
    out[1] = text
  end
  if o.sizes then out[#out + 1] = ("sizes %g to %g, one in each batch"):format(o.sizes[1], o.sizes[2]) end
  return out
end

util.seal(changes, "data.")
return changes
