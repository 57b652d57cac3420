-- detect.lua - boxes round what is looked for, and what it is: networks that give a row for each cell of several levels
-- (YOLOX, YOLOv8). Figures are COCO's, in pixels of the pictures as they were read. The main figure is the mean average
-- precision over IoUs from 0.5 to 0.95.
local core = require "tlua.core"
local util = require "tlua.util"
local boxes = require "tlua.task.boxes.losses"
local levels = require "tlua.task.boxes.levels"
local found = require "tlua.task.boxes.found"
local pages = require "tlua.report.findings.boxes"

-- What a test asks of the network: as YOLOX's evaluation.
local TEST = { confidence = 0.01, most = 300 }

-- ---- preparation ----

-- What stands in for a loss of the recipe's.
local function own_loss() util.fail "task.detect: the loss is the task's own" end

-- Of the network: what its rows mean.
local function set_levels(t, net)
  if not net.levels then
    util.failf("task.detect wants a network that finds boxes, as tlua.models.yolox_nano or yolov8n, and %s gives none",
      net:label())
  end
  t.levels = net:levels()
end

-- Where classes of the weights are kept, those that no training picture shows are to stay as they are: as (1, classes)
-- 1 for those that are learnt; nil where all are.
local function learnt_of(s, width)
  if not (rawget(s.model, "network_options") or {}).keep_classes then return nil end
  local list, all = {}, true
  for k = 1, width do list[k] = 0 end
  for i = 1, s.data.train:count() do
    local _, labels = s.data.train:boxes(i)
    for _, label in ipairs(labels) do list[label + 1] = 1 end
  end
  for _, v in ipairs(list) do all = all and v == 1 end
  return not all and core.persist(core.tensor { list }) or nil
end

local function prepare(t, s)
  local l1, closed = t.options.l1, s.recipe.data.options.close_mosaic
  t.names, t.width = s.classes, #s.classes
  set_levels(t, s.model)
  if l1 ~= "none" and t.levels.bins then
    util.failf("task.detect: l1 is of rows as YOLOX has them, and %s gives distributions", s.model:label())
  end
  if l1 == "closed" and (closed or 0) == 0 then
    util.fail "task.detect: l1 = \"closed\" goes by close_mosaic, and the data have none: --data.close_mosaic 15"
  end
  t.learnt = learnt_of(s, t.width)
end

local function check(t, shape)
  local numbers = levels.first_class(t.levels) + t.width
  if #shape ~= 3 or shape[3] ~= numbers then
    util.failf("the network gives outputs of shape %s, and task.detect wants rows of %d numbers, (N, cells, %d)",
      util.shape_text(shape), numbers, numbers)
  end
end

-- ---- the loss ----

local WEIGHTS = { offsets = { box_loss = "iou_squared", box = 5, class = 1 },
  distribution = { box_loss = "ciou", box = 7.5, class = 0.5 } }

-- How the parts of the loss count: what the recipe says, else what the network was published with.
local function weights_of(t, batch)
  local o, usual = t.options, WEIGHTS[t.levels.bins and "distribution" or "offsets"]
  local l1 = o.l1 == "always" or o.l1 == "closed" and batch.closed
  return { box_loss = o.box_loss or usual.box_loss, box_weight = o.box_weight or usual.box,
    class_weight = o.class_weight or usual.class, distribution_weight = o.distribution_weight, l1 = l1,
    learnt = t.learnt, focal = o.focal }
end

local ORDER = { "box", "object", "class", "l1", "distribution" } -- sums of floats have one

local function loss_of(t, out, batch)
  if t.criterion ~= own_loss then return t.criterion(out, batch), batch.n end
  local parts, n = levels.parts(t.levels, t.width, out, batch, weights_of(t, batch))
  local loss
  for _, name in ipairs(ORDER) do
    if parts[name] then loss = loss and loss + parts[name] or parts[name] end
  end
  return loss, n
end

-- ---- what was found ----

-- Of a batch's outputs the boxes of each picture in pixels of the input, by `o`: confidence, most.
local function boxes_in(t, out, height, width, o)
  return core.detect.decode(out, levels.options(t.levels, t.width, height, width, { confidence = o.confidence,
    most = o.most, iou = t.options.iou, per_class = t.options.per_class, several = t.options.several }))
end

-- The same of a test, once for meter and report, in pixels of the pictures that were read; and what is there:
-- {boxes =, scores =, labels =, truth =, truth_labels =, crowd =, areas =} a picture, as core.detect's meter takes it.
local function pairs_of(t, out, batch)
  if batch.found then return batch.found end
  local list = boxes_in(t, out, batch.input:shape(2), batch.input:shape(3), TEST)
  for i, each in ipairs(list) do
    each = each or { boxes = {}, scores = {}, labels = {} }
    list[i] = found.beside(each, batch, i)
  end
  batch.found = list
  return list
end

-- ---- figures ----

local Meter = {}
Meter.__index = Meter

function Meter:add(out, batch)
  if not self.meter then return end
  for _, each in ipairs(pairs_of(self.task, out, batch)) do self.meter:add(each) end
end

-- Percent by the task's names; what there is no truth for is left out.
local function percent(f)
  local out = {}
  for key, name in pairs(found.FIGURES) do out[key] = f[name] == f[name] and 100 * f[name] or nil end
  return out
end
function Meter:value() return self.meter and percent(self.meter:figures()) or {} end
function Meter:state() return {} end

-- In training nothing is measured beside the loss: it would take longer than the step.
local function meter(t, _, tested)
  return setmetatable({ task = t, meter = tested and core.detect.meter(t.width) or nil }, Meter)
end

local Collector = {}
Collector.__index = Collector

function Collector:add(out, batch)
  for i, each in ipairs(pairs_of(self.task, out, batch)) do
    self.meter:add(each)
    self.pictures[#self.pictures + 1], self.indices[#self.indices + 1] = each, batch.indices[i]
  end
end
function Collector:count() return #self.pictures end

local function collector(t)
  return setmetatable({ task = t, meter = core.detect.meter(t.width), pictures = {}, indices = {} }, Collector)
end

-- The confidence of each class at which F1 is highest on the validation; of a class that it does not show, that of all
-- classes together.
local function choose(t, seen)
  local best, words = seen.meter:best(), {}
  if not best.confidence then
    return ("%g for all classes: nothing was found in the validation, so none is chosen"):format(t.options.confidence)
  end
  t.confidences = {}
  for k, name in ipairs(t.names) do
    t.confidences[k] = best.classes[k].confidence or best.confidence
    words[k] = ("%s %.2f"):format(name, t.confidences[k])
  end
  return ("confidence of each class where F1 is highest on %s of the validation: %s"):format(
    util.counted(seen:count(), "picture"), util.first_few(words, 8))
end

-- ---- answers ----

local function confidence_of(t, o, label)
  return o.confidence or t.confidences and t.confidences[label + 1] or t.options.confidence
end

-- How undecided the network is about a picture: the entropies of its boxes in bits, from a low confidence on, in sum.
local DOUBTFUL = 0.05
local function doubt(each)
  local sum = 0
  for _, p in ipairs(each.scores) do
    if p > 0 and p < 1 then sum = sum - (p * math.log(p, 2) + (1 - p) * math.log(1 - p, 2)) end
  end
  return sum
end

-- The boxes of each picture of a batch in pixels of the input, those whose confidence is high enough.
local function decode(t, out, o)
  local p, least = o.info.preprocessing, DOUBTFUL
  for k = 0, t.width - 1 do least = math.min(least, confidence_of(t, o, k)) end
  local list = boxes_in(t, out, p.height or p.size, p.width or p.size, { confidence = least, most = t.options.most })
  for i, each in ipairs(list) do
    list[i] = each and found.above(each, function(k) return confidence_of(t, o, k) end)
    if each then list[i].doubt = doubt(each) end
  end
  return list
end

-- ---- a model file ----

local function fits(t, net)
  if t.decoded then
    util.failf("its graph makes boxes of the rows itself (--boxes %s), and tlua wants the rows: "
      .. "tlua export --boxes raw", t.decoded)
  end
  if net.levels then set_levels(t, net) end
  if not t.levels then util.fail "it does not say what the rows of its outputs mean" end
  if net.levels and net.classes ~= t.width then
    util.failf("it names %d classes, and the network has %d", t.width, net.classes)
  end
  if not net.levels and not t.names and t.width then -- that of rows
    t.width = t.width - levels.first_class(t.levels)
  end
  if t.confidences and #t.confidences ~= t.width then
    util.failf("it keeps %d confidences, and there are %d classes", #t.confidences, t.width)
  end
end

local function take(t, kept)
  kept = type(kept) == "table" and kept or {}
  local l = kept.levels
  if type(kept.boxes) == "string" then t.decoded = kept.boxes end -- of an .onnx file (tlua/weights/onnx_export.lua)
  if type(l) == "table" and type(l.strides) == "table" then t.levels = l end
  if t.levels and t.levels.bins ~= nil and math.type(t.levels.bins) ~= "integer" then
    util.fail "its bins are no whole number"
  end
  if type(kept.confidences) == "table" then
    for _, v in ipairs(kept.confidences) do
      if type(v) ~= "number" or not (v >= 0 and v <= 1) then util.fail "a confidence is no number from 0 to 1" end
    end
    t.confidences = kept.confidences
  end
end

return {
  name = "detect", brief = "boxes round what is looked for", wants = { "boxes" }, takes = "levels",
  schema = {
    { "confidence", "number", 0.25, "from which on predict says a box", least = 0, most = 1 },
    { "choose", "boolean", false, "the validation chooses the confidence of each class, where F1 is highest" },
    { "iou", "number", 0.65, "of boxes that overlap more, the surest alone stays", least = 0, most = 1 },
    { "per_class", "boolean", true, "only boxes of one class take each other out" },
    { "several", "boolean", false,
      "a place may say several classes, each from its confidence on, and not the likeliest alone" },
    { "most", "integer", 100, "boxes that predict says of a picture", least = 1, most = 2147483647 },
    { "box_loss", "choice", nil, "of boxes: the network's own (YOLOX iou_squared, YOLOv8 ciou)", boxes.KINDS },
    { "box_weight", "number", nil, "of that loss (the network's own: 5; YOLOv8 7.5)", least = 0 },
    { "class_weight", "number", nil, "of the loss of the classes (1; YOLOv8 0.5)", least = 0 },
    { "distribution_weight", "number", 1.5, "of YOLOv8's distribution focal loss", least = 0 },
    { "focal", "number", 0, "gamma of a focal loss of objects and classes in the place of the cross entropy; 0: none",
      least = 0, most = 10 },
    { "l1", "choice", "none", "YOLOX's loss of the four numbers themselves too: in the epochs in which mosaics are "
      .. "closed, as YOLOX has it, or always", { "none", "closed", "always" } },
  },
  figures = { { "map", "mAP", "%.1f %%", "max" }, { "map_50", "mAP50", "%.1f %%", "max" },
    { "map_75", "mAP75", "%.1f %%", "max" }, { "map_small", "mAP small", "%.1f %%", "max" },
    { "map_medium", "mAP medium", "%.1f %%", "max" }, { "map_large", "mAP large", "%.1f %%", "max" },
    { "recall", "recall of 100 boxes", "%.1f %%", "max" } },
  loss_words = "of boxes, objects and classes, by the network's own assignment",
  default_loss = function() return own_loss end,
  prepare = prepare, check = check, loss = loss_of, meter = meter, collector = collector,
  head = function(t, net) return net:default_head(t.width, t.names) end,
  test_line = function(t, m)
    local v = m:value()
    return ("%s  %s"):format(t:figure_text(t.figures[1], v.map), t:figure_text(t.figures[2], v.map_50))
  end,
  chooses = function(o) return o.choose and "the confidence of each class in task.detect" or nil end, choose = choose,
  kept = function(t) return { levels = t.levels, confidences = t.confidences } end, take = take, fits = fits,
  decode = decode, place = found.place, emit = found.emit, only_to = true, finish = found.finish,
  text = found.text, answer = found.answer, columns = found.columns, rows = found.rows, fields = found.fields,
  gather = pages.gather, tiles = pages.tiles, page = pages.page, charts = pages.charts,
  summary = function(_, m) return pages.summary(m) end, text_of_test = pages.text_of_test,
}
