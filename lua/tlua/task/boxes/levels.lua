-- levels.lua - what outputs of detectors are to say: losses of networks that give a row for each cell of several levels
-- (src/task/assign.h has what rows are). Which cells learn which box is worked out on the host; what they learn has its
-- gradients on the device.
local core = require "tlua.core"
local boxes = require "tlua.task.boxes.losses"
local plan = require "tlua.plan"
local ops = core.ops
local levels = {}

-- What core.detect wants to know: `l`, what a network's levels() says, how many classes there are, and the size of the
-- pictures; `more`: further fields.
function levels.options(l, classes, height, width, more)
  local o = { strides = l.strides, bins = l.bins or 0, classes = classes, height = height, width = width }
  for key, v in pairs(more or {}) do o[key] = v end
  return o
end

-- Behind how many numbers of a row its classes begin: four sides of a box, with an object's logit or each with bins.
function levels.first_class(l) return l.bins and 4 * l.bins or 5 end

-- Matches of a dry run, in which no output can be read: as many as boxes usually get.
local MATCHES = 16
local function imagined(rows)
  local n = math.min(rows, MATCHES)
  return { n = n, rows = core.zeros({ n }, { dtype = "int32" }), labels = core.zeros({ n }, { dtype = "int32" }),
    scores = core.zeros(n), cells = core.zeros(n, 3), boxes = core.zeros(n, 4) }
end

local function matches_of(l, classes, out, batch)
  local guard <close> = core.no_grad()
  if plan.imaginary then return imagined(out:shape(1) * out:shape(2)) end
  return core.detect.assign(out, batch.boxes, batch.box_labels, batch.boxes_offsets,
    levels.options(l, classes, batch.input:shape(2), batch.input:shape(3)))
end

-- Rows of `flat` (R, W) by their numbers.
local function rows_of(flat, rows) return ops.embedding(flat, rows) end
local function columns(x, from, n) return ops.slice(x, 2, from, n) end

-- (n, classes) of zeros but for each row's score at its label.
local function class_targets(m, classes)
  local hot = ops.eq(m.labels:to "float32":reshape(m.n, 1), core.arange(classes))
  return hot * m.scores:reshape(m.n, 1)
end

-- The sum of binary cross entropies, or with o.focal their focal loss (Lin et al. 2017) without alpha.
local function bce(x, target, o)
  if (o.focal or 0) == 0 then return ops.bce_with_logits(x, target, { reduction = "sum" }) end
  return ops.sigmoid_focal_loss(x, target, { alpha = -1, gamma = o.focal, reduction = "sum" })
end

-- Logits (n, classes) of which those that are not learnt say "no" and have no gradient: learnt is (1, classes) of ones
-- and zeros; nil: all are.
local NO = 100
local function of_learnt(x, learnt)
  if not learnt then return x end
  return x * learnt + (learnt - 1) * NO
end

-- 1 where a row has a box to learn, (rows, 1).
local function where_matched(rows, m)
  local none = core.zeros(rows)
  if m.n == 0 then return none:reshape(rows, 1) end
  return ops.scatter(none, m.rows, core.full({ m.n }, 1), { axis = 1 }):reshape(rows, 1)
end

-- ---- YOLOX ----

-- Boxes of rows that were matched, in pixels.
local function offset_boxes(x, m)
  local place, stride = columns(m.cells, 0, 2), columns(m.cells, 2, 1)
  local centre, half = (columns(x, 0, 2) + place) * stride, ops.exp(columns(x, 2, 2)) * stride * 0.5
  return ops.concat(centre - half, centre + half, { axis = 2 })
end

-- What the first four numbers of rows are to be, in strides.
local function offset_targets(m)
  local place, stride = columns(m.cells, 0, 2), columns(m.cells, 2, 1)
  local first, last = columns(m.boxes, 0, 2), columns(m.boxes, 2, 2)
  local centre, side = (first + last) * 0.5, last - first
  return ops.concat(centre / stride - place, ops.log(side / stride + 1e-8), { axis = 2 })
end

-- The parts of YOLOX's loss (Ge et al. 2021): of boxes, of there being an object, of classes and, where `l1` says so,
-- of the four numbers themselves; sums over what was matched divided by how many that are.
local function offset_parts(flat, m, o, classes)
  local n = math.max(m.n, 1)
  local parts = { object = bce(columns(flat, 4, 1), where_matched(flat:shape(1), m), o) / n }
  if m.n > 0 then
    local x = rows_of(flat, m.rows)
    parts.box = boxes.loss(offset_boxes(x, m), m.boxes, o.box_loss):sum() * (o.box_weight / n)
    parts.class = bce(of_learnt(columns(x, 5, classes), o.learnt), class_targets(m, classes), o) * (o.class_weight / n)
    if o.l1 then parts.l1 = (columns(x, 0, 4) - offset_targets(m)):abs():sum() / n end
  end
  return parts, n
end

-- ---- YOLOv8 ----

-- Boxes of distances (n, 4) in strides from the centres of cells, in pixels.
local function distance_boxes(far, m)
  local centre, stride = columns(m.cells, 0, 2) + 0.5, columns(m.cells, 2, 1)
  local first, last = centre - columns(far, 0, 2), centre + columns(far, 2, 2)
  return ops.concat(first * stride, last * stride, { axis = 2 })
end

-- The distances that rows are to say, in strides, within what their bins can.
local function distance_targets(m, bins)
  local centre, stride = columns(m.cells, 0, 2) + 0.5, columns(m.cells, 2, 1)
  local first, last = columns(m.boxes, 0, 2) / stride, columns(m.boxes, 2, 2) / stride
  return ops.clamp(ops.concat(centre - first, last - centre, { axis = 2 }), 0, bins - 1 - 0.01)
end

-- The parts of YOLOv8's loss: CIoU and the distribution focal loss (Li et al. 2020) of what was matched, weighted by
-- what their class is to be, and the classes of all rows; divided by what all classes are to be in sum.
local function distance_parts(flat, m, o, classes, bins)
  local rows, width = flat:shape(1), flat:shape(2)
  local total = m.n > 0 and not plan.imaginary and math.max(m.scores:sum():item(), 1) or 1
  local all = core.zeros(rows * classes)
  if m.n > 0 then
    local at = m.rows * classes + m.labels
    all = ops.scatter(all, at, m.scores, { axis = 1 })
  end
  local logits = of_learnt(columns(flat, width - classes, classes), o.learnt)
  local parts = { class = bce(logits, all:reshape(rows, classes), o) * (o.class_weight / total) }
  if m.n > 0 then
    local sides = columns(rows_of(flat, m.rows), 0, 4 * bins):reshape(4 * m.n, bins)
    local far = (sides:softmax(-1) * core.arange(bins)):sum { axes = { 2 } }:reshape(m.n, 4)
    parts.box = (boxes.loss(distance_boxes(far, m), m.boxes, o.box_loss) * m.scores):sum() * (o.box_weight / total)
    local target = distance_targets(m, bins):reshape(4 * m.n, 1)
    local two = ops.relu(1 - (target - core.arange(bins)):abs()) -- the two bins beside it, by nearness
    local each = -(sides:log_softmax(-1) * two):sum { axes = { 2 } }:reshape(m.n, 4):mean { axes = { 2 } }
    parts.distribution = (each * m.scores):sum() * (o.distribution_weight / total)
  end
  return parts, total
end

-- ---- both ----

-- The parts of the loss of outputs (N, A, width) by name, scalars; what they were divided by; and the matches. `l`:
-- what the network's levels() says; batch: input (N, H, W, C), boxes (B, 4), box_labels (B), boxes_offsets. o:
-- box_loss, l1, box_weight, class_weight, distribution_weight, focal (gamma), learnt (a tensor (1, classes): 0 for
-- classes that stay as they are).
function levels.parts(l, classes, out, batch, o)
  local shape, m = out:shape(), matches_of(l, classes, out, batch)
  local flat, parts, n = out:reshape(shape[1] * shape[2], shape[3]), nil, nil
  if l.bins then parts, n = distance_parts(flat, m, o, classes, l.bins)
  else parts, n = offset_parts(flat, m, o, classes) end
  return parts, n, m
end

return levels
