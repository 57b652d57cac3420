-- maps.lua - figures of class maps from a confusion matrix of pixels, and overlays. Dice and IoU are scikit-learn's
-- f1_score and jaccard_score of all pixels; tests/golden/segment.json holds its values.
local core = require "tlua.core"
local losses = require "tlua.nn.loss"
local ops = core.ops
local maps = {}

-- ---- counting ----

local AT_ONCE = 1 << 22 -- pixels of which one-hot rows lie on the device together

-- One row a pixel with a 1 at its class, (rows, W, K); labels of no class have none.
local function one_hot(labels, classes)
  local rows, w = labels:shape(1), labels:shape(2)
  return ops.eq(labels:to "float32":reshape(rows, w, 1), core.arange(classes))
end

-- labels and predicted (N, H, W) int32 -> (N, K, K) on the device: pixels of the class of the row that were taken for
-- the class of the column. Sums of a row of pixels at a time are short, and whole numbers up to 2^24 a picture.
function maps.confusion(labels, predicted, classes, ignored)
  local n, h, w = labels:shape(1), labels:shape(2), labels:shape(3)
  local is, taken = one_hot(labels:reshape(n * h, w), classes), one_hot(predicted:reshape(n * h, w), classes)
  if ignored >= 0 and ignored < classes then is = is * (1 - ops.eq(core.arange(classes), core.full({ 1 }, ignored))) end
  return ops.matmul(is, taken, { transpose_a = true }):reshape(n, h, classes, classes):sum { axes = { 2 } }
end

-- (N, ..., H, W) as slices (N ..., H, W); what has one dimension more than N, as slices of one row.
local function slices_of(map)
  local shape = map:shape()
  local h, w = #shape > 2 and shape[#shape - 1] or 1, shape[#shape]
  return map:reshape(-1, h, w)
end

-- How many pixels of one map (H, W), or (D, H, W), have each class: a list.
function maps.pixels(labels, classes)
  local out = {}
  for k = 1, classes do out[k] = 0 end
  labels = slices_of(labels:rank() == 2 and labels:reshape(1, labels:shape(1), labels:shape(2)) or labels)
  local all, h, w = table.unpack(labels:shape())
  local step = math.max(1, AT_ONCE // math.max(1, h * w))
  for from = 0, all - 1, step do
    local part = ops.slice(labels, 1, from, math.min(step, all - from)):to "int32"
    for k, n in ipairs(losses.class_counts(part, classes)) do out[k] = out[k] + n end
  end
  return out
end

-- The numbers of each sample of maps (N, ...) of any rank, as a list of K K whole numbers a sample. They are summed on
-- the device slice by slice, so that float32 holds them, and some slices at a time.
function maps.counts(labels, predicted, classes, ignored)
  local out, n = {}, labels:shape(1)
  labels, predicted = slices_of(labels), slices_of(predicted)
  local all, h, w = table.unpack(labels:shape())
  local step = math.max(1, AT_ONCE // math.max(1, h * w))
  for i = 1, n do
    out[i] = {}
    for k = 1, classes * classes do out[i][k] = 0 end
  end
  for from = 0, all - 1, step do
    local scope <close> = core.scope()
    local count = math.min(step, all - from)
    local part = maps.confusion(ops.slice(labels, 1, from, count), ops.slice(predicted, 1, from, count), classes,
      ignored)
    for k, row in ipairs(part:reshape(count, classes * classes):tolist()) do
      local sums = out[(from + k - 1) // (all // n) + 1]
      for j, v in ipairs(row) do sums[j] = sums[j] + math.tointeger(v) end
    end
  end
  return out
end

-- ---- figures ----

-- What a matrix (a list of K K numbers) says of each class: right, the pixels that have it, and those that were taken
-- for it: 3 K numbers.
function maps.sums(matrix, classes)
  local out = {}
  for k = 1, classes do
    local has, taken = 0, 0
    for j = 1, classes do has, taken = has + matrix[(k - 1) * classes + j], taken + matrix[(j - 1) * classes + k] end
    out[3 * k - 2], out[3 * k - 1], out[3 * k] = matrix[(k - 1) * classes + k], has, taken
  end
  return out
end

-- Of sums: the classes' Dice and IoU (nil where a class neither occurs nor was seen), their means over the classes from
-- `first` on, and the share of pixels that are right.
function maps.figures(sums, first)
  local list, right, all = {}, 0, 0
  local mean = { dice = 0, iou = 0, n = 0 }
  for k = 1, #sums // 3 do
    local r, has, taken = sums[3 * k - 2], sums[3 * k - 1], sums[3 * k]
    right, all = right + r, all + has
    list[k] = { pixels = has, seen = taken }
    if has + taken > 0 then
      list[k].dice, list[k].iou = 2 * r / (has + taken), r / (has + taken - r)
      if k >= first then mean.dice, mean.iou, mean.n = mean.dice + list[k].dice, mean.iou + list[k].iou, mean.n + 1 end
    end
  end
  local some = mean.n > 0
  return { per_class = list, dice = some and mean.dice / mean.n or nil, iou = some and mean.iou / mean.n or nil,
    accuracy = all > 0 and right / all or nil, pixels = all }
end

-- ---- pictures ----

-- Colours of classes from the second on, as far apart as can be (after Kelly 1965); they come again where there are
-- more.
local COLOURS = {
  { 230, 75, 53 }, { 77, 187, 213 }, { 0, 160, 135 }, { 243, 195, 0 }, { 135, 86, 146 },
  { 243, 132, 0 }, { 60, 84, 136 }, { 161, 202, 241 }, { 194, 178, 128 }, { 230, 143, 172 },
  { 0, 136, 86 }, { 249, 147, 121 }, { 96, 78, 151 }, { 246, 166, 0 }, { 179, 68, 108 },
  { 220, 211, 0 }, { 136, 45, 23 }, { 141, 182, 0 }, { 101, 69, 34 }, { 43, 61, 38 },
}

-- The colour of class k (from 0) as {red, green, blue}, of none for the background.
function maps.rgb(k, background)
  if k == 0 and background then return nil end
  return COLOURS[(k + (background and -1 or 0)) % #COLOURS + 1]
end

-- The same as "#rrggbb".
function maps.colour(k, background)
  local rgb = maps.rgb(k, background)
  return rgb and ("#%02x%02x%02x"):format(table.unpack(rgb))
end

-- A picture (H, W, 3) float32 in 0..255 with a class map (H, W) int32 over it: half of each pixel is its class's
-- colour. Background and what is of no class stay as they are. -> uint8
function maps.overlay(picture, map, classes, background)
  local h, w = map:shape(1), map:shape(2)
  local table_of, shown = {}, {}
  for k = 0, classes - 1 do
    local rgb = maps.rgb(k, background)
    table_of[k + 1], shown[k + 1] = rgb or { 0, 0, 0 }, rgb and 0.5 or 0
  end
  local plain = map:to "float32"
  local known = ops.lt(plain, core.full({ 1 }, classes))
  local ids = (plain * known):to "int32"
  local colours = ops.embedding(core.tensor(table_of), ids)
  local share = ops.embedding(core.tensor(shown):reshape(classes, 1), ids) * known:reshape(h, w, 1)
  return (picture * (1 - share) + colours * share + 0.5):to "uint8"
end

-- The picture (H, W, C) that the network saw, with its normalisation undone: (H, W, 3) in 0..255.
function maps.picture(x, preprocessing)
  local function numbers(v) return core.tensor(type(v) == "table" and v or { v }) end
  local y = (x * numbers(preprocessing.std) + numbers(preprocessing.mean)) * 255
  y = ops.clamp(y, { min = 0, max = 255 })
  return y:shape(3) == 3 and y or ops.expand(ops.slice(y, 3, 0, 1), { y:shape(1), y:shape(2), 3 })
end

return maps
