-- losses.lua - how boxes agree with others: IoU and its relatives, with gradients. Boxes are rows (n, 4): left, top,
-- right, bottom.
local core = require "tlua.core"
local util = require "tlua.util"
local ops = core.ops
local boxes = {}

boxes.KINDS = { "iou", "iou_squared", "giou", "diou", "ciou" }
local EPSILON = 1e-7 -- torchvision's

local function column(b, k) return ops.slice(b, 2, k - 1, 1) end
local function at_least_zero(x) return ops.relu(x) end

-- What two boxes share, and what they cover together.
local function shared(a, b)
  local w = ops.minimum(a[3], b[3]) - ops.maximum(a[1], b[1])
  local h = ops.minimum(a[4], b[4]) - ops.maximum(a[2], b[2])
  local both = at_least_zero(w) * at_least_zero(h)
  return both, (a[3] - a[1]) * (a[4] - a[2]) + (b[3] - b[1]) * (b[4] - b[2]) - both
end

-- Sides of the smallest box round both.
local function around(a, b)
  return ops.maximum(a[3], b[3]) - ops.minimum(a[1], b[1]), ops.maximum(a[4], b[4]) - ops.minimum(a[2], b[2])
end

-- How far apart the centres are, as a share of that box's diagonal.
local function distance(a, b)
  local w, h = around(a, b)
  local x, y = (a[1] + a[3] - b[1] - b[3]) * 0.5, (a[2] + a[4] - b[2] - b[4]) * 0.5
  return (x:square() + y:square()) / (w:square() + h:square() + EPSILON)
end

-- How much the shapes differ (Zheng et al. 2020); its weight alpha has no gradient.
local function shape(a, b, iou)
  local turn = ops.atan((b[3] - b[1]) / (b[4] - b[2])) - ops.atan((a[3] - a[1]) / (a[4] - a[2]))
  local v = turn:square() * (4 / math.pi ^ 2)
  local guard <close> = core.no_grad()
  return v, v / (v - iou + (1 + EPSILON))
end

-- The loss of each box (n): one minus the IoU, its square (YOLOX 0.3.0), GIoU (Rezatofighi et al. 2019), DIoU or CIoU
-- (Zheng et al. 2020), as torchvision's generalized_, distance_ and complete_box_iou_loss.
function boxes.loss(predicted, target, kind)
  local a, b = {}, {}
  for k = 1, 4 do a[k], b[k] = column(predicted, k), column(target, k) end
  local both, all = shared(a, b)
  local iou = both / (all + EPSILON)
  local n, out = predicted:shape(1), nil
  if kind == "iou" then out = 1 - iou
  elseif kind == "iou_squared" then out = 1 - iou:square()
  elseif kind == "giou" then
    local w, h = around(a, b)
    local hull = w * h
    out = 1 - iou + (hull - all) / (hull + EPSILON)
  elseif kind == "diou" then out = 1 - iou + distance(a, b)
  elseif kind == "ciou" then
    local v, alpha = shape(a, b, iou)
    out = 1 - iou + distance(a, b) + v * alpha
  else util.unknown("loss of boxes", tostring(kind), boxes.KINDS) end
  return out:reshape(n)
end

util.seal(boxes, "")
return boxes
