-- segment.lua - a class for each pixel or voxel: cross-entropy (or Dice, or their sum) of maps (N, H, W, K) and masks
-- (N, H, W), of volumes (N, D, H, W, K) and (N, D, H, W), Dice and IoU of each class. The main figure is the mean Dice
-- over the classes without the background, which is class 0. Figures are counted at the size that the network sees,
-- over all pixels of a part together, on the device: one matrix of K x K numbers is all that is kept.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local maps = require "tlua.report.maps"
local pages = require "tlua.report.segment"
local volumes = require "tlua.report.volumes"
local written = require "tlua.task.written"

local IGNORED = 255 -- what the source makes of ignored pixels (src/data/target.h), and places outside of the picture have

-- ---- preparation ----

-- For class weights that are worked out: how many pixels of the training masks have each class.
local function count_pixels(t, s)
  local source, counts = s.data.train, {}
  for k = 1, t.width do counts[k] = 0 end
  for i = 1, source:count() do
    local scope <close> = core.scope()
    for k, n in ipairs(maps.pixels(source:mask(i), t.width)) do counts[k] = counts[k] + n end
  end
  t.criterion:set_counts(counts)
end

local function prepare(t, s)
  t.names, t.width = s.classes, #s.classes
  local loss = t.criterion
  if not nn.is_module(loss) then return end
  if loss.weight_of and not loss:takes_maps() then
    util.at(loss.where, util.failf,
      "task.segment: %s takes no masks; nn.CrossEntropy, nn.Dice, nn.Tversky, nn.FocalLoss and sums of them do",
        loss:label())
  end
  if loss.set_ignored then loss:set_ignored(IGNORED) end
  if loss.wants_counts and loss:wants_counts() then count_pixels(t, s) end
end

-- Classes from this one on are in means: all but the background.
local function first_of(t) return t.options.background and t.width > 1 and 2 or 1 end

local function check(t, shape, s)
  local volume = s and s.data.input.kind == "volume"
  if #shape ~= (volume and 5 or 4) then
    util.failf("the network gives outputs of shape %s, and task.segment wants a map (%s, %d), as tlua.models.%s gives",
      util.shape_text(shape), volume and "N, D, H, W" or "N, H, W", t.width, volume and "unet3d" or "unet")
  end
  if shape[#shape] ~= t.width then
    util.failf("the network gives %d classes for each %s, and the masks have %d (%s)", shape[#shape],
      volume and "voxel" or "pixel", t.width, util.first_few(t.names, 6))
  end
end

-- ---- the loss ----

-- Are these classes (N, ...) instead of logits (N, ..., K), which would not fit (tlua/task/windows.lua)?
local function are_classes(out, mask) return out:rank() == mask:rank() end

local function loss_of(t, out, batch)
  local loss = t.criterion
  if are_classes(out, batch.mask) then return nil, 0 end
  if not nn.is_module(loss) or not loss.weight_of then return loss(out, batch.mask), batch.n end
  local count = loss:weight_of(batch.mask, t.width)
  if count == 0 then return nil, 0 end
  return loss(out, batch.mask), count
end

-- ---- figures ----

local function classes_of(out, batch)
  local guard <close> = core.no_grad()
  return are_classes(out, batch.mask) and out or out:argmax(-1)
end

local Meter = {}
Meter.__index = Meter

function Meter:add(out, batch)
  local scope <close> = core.scope()
  for _, row in ipairs(maps.counts(batch.mask, classes_of(out, batch), self.task.width, IGNORED)) do
    for i, v in ipairs(row) do self.matrix[i] = self.matrix[i] + v end
  end
end

local function percent(v) return v and 100 * v end
function Meter:value()
  local f = maps.figures(maps.sums(self.matrix, self.task.width), first_of(self.task))
  return { dice = percent(f.dice), iou = percent(f.iou), accuracy = percent(f.accuracy) }
end
function Meter:state() return { matrix = self.matrix } end

local function meter(t, state)
  local matrix = {}
  for i = 1, t.width * t.width do matrix[i] = state and state.matrix and state.matrix[i] or 0 end
  return setmetatable({ task = t, matrix = matrix }, Meter)
end

-- Of each picture, packed: right pixels, those that have and those that were given each class, which intervals and
-- galleries are made of. Of volumes also how far surfaces are apart.
local Collector = {}
Collector.__index = Collector

-- Of sample i of a batch: the map of it alone.
local function map_of(maps_of_batch, i)
  local shape = maps_of_batch:shape()
  return core.ops.slice(maps_of_batch, 1, i - 1, 1):reshape { table.unpack(shape, 2) }
end

function Collector:add(out, batch)
  local scope <close> = core.scope()
  local width, predicted = self.task.width, classes_of(out, batch)
  for i, row in ipairs(maps.counts(batch.mask, predicted, width, IGNORED)) do
    self.pictures[#self.pictures + 1] = string.pack(("I4"):rep(3 * width), table.unpack(maps.sums(row, width)))
    self.indices[#self.indices + 1] = batch.indices[i]
    for k, v in ipairs(row) do self.matrix[k] = self.matrix[k] + v end
    if self.cases then
      self.cases[#self.cases + 1] = volumes.measure(self.session, self.part, batch.indices[i], map_of(batch.mask, i),
        map_of(predicted, i), width, first_of(self.task))
    end
  end
end
function Collector:count() return #self.pictures end

local function collector(t, s, part)
  local matrix = {}
  for i = 1, t.width * t.width do matrix[i] = 0 end
  local of_volumes = s and s.data.input and s.data.input.kind == "volume"
  return setmetatable({ task = t, pictures = {}, indices = {}, matrix = matrix, session = s, part = part,
    cases = of_volumes and {} or nil }, Collector)
end

-- ---- answers ----

-- Of each picture its class map (H, W) and the share of pixels of each class; false where the numbers are none.
local function decode(t, out)
  local list, predicted = {}, out:argmax(-1)
  local n, h, w = table.unpack(predicted:shape())
  local finite = (out * 0):sum { axes = { 2, 3, 4 } }:tolist()
  local hot = core.ops.eq(predicted:to "float32":reshape(n, h * w, 1), core.arange(t.width))
  local counts = hot:sum { axes = { 2 } }:tolist()
  for i = 1, n do
    local shares = {}
    for k, v in ipairs(counts[i]) do shares[k] = v / (h * w) end
    list[i] = finite[i] == 0 and { map = core.ops.slice(predicted, 1, i - 1, 1):reshape(h, w), shares = shares }
      or false
  end
  return list
end

local function shares_of(t, answer)
  local out = {}
  for k, v in ipairs(answer.shares) do
    out[k] = { label = t.names and t.names[k] or tostring(k - 1), share = v, ml = answer.ml and answer.ml[k],
      voxels = answer.voxels and answer.voxels[k] }
  end
  return out
end

-- The map at the size of the picture that was read: pixels that the network did not see (a centre was cut out) count as
-- ignored.
local function at_full_size(t, map, height, width, p)
  local h, w = map:shape(1), map:shape(2)
  local full = map:to "float32":reshape(1, h, w, 1)
  if not p or p.fit ~= "shorter" then
    return core.ops.interpolate(full, { size = { height, width }, mode = "nearest" }):reshape(height, width)
  end
  local scale = math.min(height, width) / p.resize
  local y, x = math.min(height, math.floor(h * scale + 0.5)), math.min(width, math.floor(w * scale + 0.5))
  full = core.ops.interpolate(full, { size = { y, x }, mode = "nearest" }):reshape(y, x)
  local top, left = (height - y) // 2, (width - x) // 2
  return core.ops.pad(full, { before = { top, left }, after = { height - y - top, width - x - left },
    value = IGNORED })
end

-- Writes NAME.png, whose pixels are numbers of classes, and NAME.overlay.png below o.to. o.info: what the model file
-- says; o.source: whose picture `index` it is, where there is more to that than a path.
local function emit(t, answer, path, o, index)
  local scope <close> = core.scope()
  local name = written.name(o, path)
  written.check(o, path, "a mask")
  local picture = o.source and o.source:read(index) or core.image_read(path, 3)
  local h, w = picture:shape(1), picture:shape(2)
  local map = at_full_size(t, answer.map, h, w, o.info and o.info.preprocessing)
  local to = ("%s/%s.png"):format(o.to, name)
  core.image_write(to, map:to "uint8":reshape(h, w, 1))
  core.image_write(("%s/%s.overlay.png"):format(o.to, name),
    maps.overlay(picture:to "float32", map:to "int32", t.width, t.options.background))
  return to
end

return {
  name = "segment", brief = "a class for each pixel", wants = { "mask" }, takes = "map",
  schema = { { "ignore", "integer", 255, "value in masks of pixels that do not count, beside 255", least = 0, most = 255 },
    { "background", "boolean", true, "class 0 is the background, which mean figures leave out" } },
  figures = { { "dice", "mean Dice", "%.1f %%", "max" }, { "iou", "mean IoU", "%.1f %%", "max" },
    { "accuracy", "pixel accuracy", "%.1f %%", "max" } },
  default_loss = function() return nn.CrossEntropy {} end,
  prepare = prepare, check = check, loss = loss_of, meter = meter, collector = collector,
  head = function(t, net)
    if not net.default_head then
      util.failf("%s gives no map, so task.segment has no head for it: tlua.models.unet gives one", net:label())
    end
    return net:default_head(t.width)
  end,
  gather = function(run) return pages.gather(run, first_of(run.task)) end,
  tiles = pages.tiles, page = pages.page, summary = function(_, m) return pages.summary(m) end,
  text_of_test = function(_, m, seen) return pages.text_of_test(m, seen:count()) end,
  decode = decode, emit = emit,
  text = function(t, answer)
    local out = {}
    for k, each in ipairs(shares_of(t, answer)) do
      out[k] = each.ml and ("%s %.2f ml"):format(each.label, each.ml)
        or ("%s %.1f %%"):format(each.label, 100 * each.share)
    end
    return table.concat(out, "   ") .. (answer.file and "   " .. answer.file or "")
  end,
  answer = function(t, answer) return { mask = answer.file, classes = shares_of(t, answer) } end,
  columns = function(t, o)
    local out = { "mask" }
    for k, name in ipairs(t.names or {}) do out[k + 1] = o.volumes and name .. " ml" or name end
    return out
  end,
  fields = function(_, answer)
    local out = { answer.file or "" }
    for k, v in ipairs(answer.ml or answer.shares) do out[k + 1] = ("%.9g"):format(v) end
    return out
  end,
}
