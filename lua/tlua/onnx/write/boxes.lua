-- boxes.lua - behind a network that gives a row for each cell of several levels (src/task/assign.h has what rows are):
-- nodes that make boxes and scores of the rows, and nodes that leave of boxes which overlap the surest. The numbers are
-- those of core.detect.decode (src/task/levels.c, src/task/nms.c).
local util = require "tlua.util"
local boxes = {}

boxes.KINDS = { "raw", "decoded", "nms" }

-- ---- small nodes ----

local function columns(w, x, from, to) return w:node("Slice", { x, w:ints { from }, w:ints { to }, w:ints { -1 } }) end

-- A number for each cell as a constant (cells, width), of lists by width.
local function of_cells(w, list, width)
  local out = {}
  for _, row in ipairs(list) do
    for k = 1, width do out[#out + 1] = row[k] + 0.0 end
  end
  return w:constant("float32", { #list, width }, out)
end

-- Places {column, row} and strides {stride} of all cells, level after level, row by row.
local function cells_of(o)
  local places, strides = {}, {}
  for _, s in ipairs(o.strides) do
    if o.height % s ~= 0 or o.width % s ~= 0 then
      util.failf("boxes: pictures of %d x %d pixels have no whole cells of %d", o.width, o.height, s)
    end
    for y = 0, o.height // s - 1 do
      for x = 0, o.width // s - 1 do
        places[#places + 1], strides[#strides + 1] = { x, y }, { s }
      end
    end
  end
  return places, strides
end

-- ---- rows to boxes and scores ----

-- YOLOX: x, y of the centre from the cell's corner and log width, log height in strides; an object; classes.
local function of_offsets(w, rows, o, places, strides)
  local sides = {}
  for i, s in ipairs(strides) do sides[i] = { s[1] / 2 } end
  local centre = w:node("Add", { columns(w, rows, 0, 2), of_cells(w, places, 2) })
  centre = w:node("Mul", { centre, of_cells(w, strides, 1) })
  local half = w:node("Mul", { w:node("Exp", { columns(w, rows, 2, 4) }), of_cells(w, sides, 1) })
  local all = w:node("Concat", { w:node("Sub", { centre, half }), w:node("Add", { centre, half }) }, { axis = -1 })
  local logits = columns(w, rows, 5, 5 + o.classes)
  local object = w:node("Sigmoid", { columns(w, rows, 4, 5) })
  return all, w:node("Mul", { object, w:node("Sigmoid", { logits }) }), logits
end

-- YOLOv8: of left, top, right, bottom the mean of 0, 1, ... strides weighted by the softmax of the bins; classes.
local function of_distances(w, rows, o, places, strides)
  local bins, steps, centres = o.bins, {}, {}
  for i = 1, bins do steps[i] = i - 1.0 end
  for i, p in ipairs(places) do centres[i] = { p[1] + 0.5, p[2] + 0.5, p[1] + 0.5, p[2] + 0.5 } end
  local far = w:node("Reshape", { columns(w, rows, 0, 4 * bins), w:ints { 0, #places, 4, bins } })
  far = w:node("MatMul", { w:node("Softmax", { far }, { axis = -1 }), w:constant("float32", { bins, 1 }, steps) })
  far = w:node("Squeeze", { far, w:ints { 3 } })
  far = w:node("Mul", { far, w:constant("float32", { 4 }, { -1.0, -1.0, 1.0, 1.0 }) })
  local all = w:node("Mul", { w:node("Add", { far, of_cells(w, centres, 4) }), of_cells(w, strides, 1) })
  local logits = columns(w, rows, 4 * bins, 4 * bins + o.classes)
  return all, w:node("Sigmoid", { logits }), logits
end

-- ---- which stay ----

-- The float32 just below x, which is above 0: ONNX keeps what is above a threshold, and tlua what is not below it.
local function just_below(x)
  local bits = string.unpack("<I4", (string.pack("<f", x)))
  return (string.unpack("<f", (string.pack("<I4", bits - 1))))
end

-- Places {picture, row} of the triples `found` (M, 3).
local function rows_found(w, found)
  return w:node("Gather", { found, w:ints { 0, 2 } }, { axis = 1 })
end

-- Those of `found` (M, 3) whose score is at least the confidence of their class.
local function sure_of_class(w, found, scores, confidences)
  local own = {}
  for k, v in ipairs(confidences) do own[k] = v + 0.0 end
  local at = w:node("Gather", { found, w:ints { 0, 2, 1 } }, { axis = 1 })
  local class = w:node("Squeeze", { columns(w, found, 1, 2), w:ints { 1 } })
  local least = w:node("Gather", { w:constant("float32", { #own }, own), class }, { axis = 0 })
  local sure = w:node("GreaterOrEqual", { w:node("GatherND", { scores, at }), least })
  return w:node("Compress", { found, sure }, { axis = 0 })
end

-- (M, 3): picture, class and row of what stays. A row counts for its likeliest class alone, or with `several` for each.
-- Where all classes are suppressed together the likeliest of a row takes the others out, since they have its box; but
-- for an `iou` of 1, since none is above: nothing is suppressed at all then.
local function suppressed(w, all, scores, logits, o)
  local several = o.several and (o.per_class or o.iou >= 1)
  local best = w:node("ArgMax", { logits }, { axis = -1, keepdims = 1 })
  local least = o.confidence
  for k, v in ipairs(o.confidences or {}) do least = k == 1 and v or math.min(least, v) end
  local per_class
  if several then per_class = w:node("Transpose", { scores }, { perm = { 0, 2, 1 } })
  elseif o.per_class then
    local classes = {}
    for k = 1, o.classes do classes[k] = k - 1 end
    local own = w:node("Equal", { best, w:ints(classes) })
    per_class = w:node("Transpose", { w:node("Where", { own, scores, w:float(-1) }) }, { perm = { 0, 2, 1 } })
  else
    local likeliest = w:node("GatherElements", { scores, best }, { axis = 2 })
    per_class = w:node("Transpose", { likeliest }, { perm = { 0, 2, 1 } })
  end
  local found = w:node("NonMaxSuppression", { all, per_class, w:scalar("int64", o.most), w:float(o.iou),
    w:float(least > 0 and just_below(least) or 0) })
  if not (o.per_class or several) then -- there all were one class
    local class = w:node("GatherND", { best, rows_found(w, found) })
    found = w:node("Concat", { columns(w, found, 0, 1), class, columns(w, found, 2, 3) }, { axis = 1 })
  end
  return o.confidences and sure_of_class(w, found, scores, o.confidences) or found
end

-- ---- the outputs ----

-- Takes the only output, rows (N, A, width), and gives what comes out in its place: `boxes` (N, A, 4), left, top,
-- right, bottom in pixels of the input, `scores` (N, A, classes), and of "nms" `selected` (M, 3). `o`: kind, strides,
-- bins (nil: rows are offsets), classes, height, width of pictures; of "nms" also iou, confidence, confidences (of each
-- class, or nil), per_class, several, most.
function boxes.outputs(w, ports, o)
  local rows, places, strides = ports[1], cells_of(o)
  local width = (o.bins and 4 * o.bins or 5) + o.classes
  if #ports ~= 1 or #(rows.shape or {}) ~= 3 or rows.shape[2] ~= #places or rows.shape[3] ~= width then
    util.failf("boxes: the network gives %s, and these are levels of rows (N, %d, %d)",
      #ports == 1 and rows.shape and ("(%s)"):format(table.concat(rows.shape, ", ")) or "other outputs", #places, width)
  end
  w.path = "/boxes"
  local decode = o.bins and of_distances or of_offsets
  local all, scores, logits = decode(w, rows.name, o, places, strides)
  local out = { { name = w:name "boxes", dtype = "float32", shape = { rows.shape[1], #places, 4 } },
    { name = w:name "scores", dtype = "float32", shape = { rows.shape[1], #places, o.classes } } }
  w:called(all, out[1].name)
  w:called(scores, out[2].name)
  if o.kind == "nms" then
    local found = suppressed(w, out[1].name, out[2].name, logits, o)
    out[3] = { name = w:name "selected", dtype = "int64", shape = { "M", 3 } }
    w:called(found, out[3].name)
  end
  return out
end

util.seal(boxes, "")
return boxes
