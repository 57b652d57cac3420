-- run_onnx_boxes.lua - graphs of rows alone with what tlua writes behind networks that find boxes, and what core.detect
-- makes of the same rows. cases.list: {name, o}, o as boxes.outputs takes it; cases.write(each, path, opset) -> rows
-- (2, A, width), {boxes, scores, selected = {{picture, class, row, score}...}}. Read by tests/lua/onnx_write.lua and
-- tests/interop/onnx_write.lua.
local core = require "tlua.core"
local write = require "tlua.onnx.write"
local boxes = require "tlua.onnx.write.boxes"
local cases = { list = {} }

local SIZE, STRIDES, CLASSES, CELLS = 64, { 8, 16, 32 }, 3, 64 + 16 + 4

local function case(name, fields)
  local o = { kind = "nms", strides = STRIDES, classes = CLASSES, height = SIZE, width = SIZE, iou = 0.5,
    confidence = 0.3, per_class = true, most = 100 }
  for key, v in pairs(fields) do o[key] = v end
  cases.list[#cases.list + 1] = { name = name, o = o }
end
case("yolox", {})
case("yolox_decoded", { kind = "decoded" })
case("yolox_of_each_class", { confidences = { 0.4, 0.35, 0.3 } })
case("yolox_classes_together", { per_class = false })
case("yolox_both", { per_class = false, confidences = { 0.35, 0.4, 0.3 } })
case("yolov8", { bins = 4, iou = 0.3 })
case("yolov8_decoded", { bins = 4, kind = "decoded" })
case("yolov8_few", { bins = 4, iou = 0.3, most = 2 })
case("yolov8_several", { bins = 4, iou = 0.3, several = true })
case("yolov8_several_together", { bins = 4, iou = 0.3, several = true, per_class = false })
case("yolov8_all_several", { bins = 4, iou = 1, several = true, per_class = false, by_class = true })
case("yolox_several", { several = true, confidence = 0.2, confidences = { 0.3, 0.2, 0.4 } })
case("yolov8_all", { bins = 4, iou = 1, confidence = 0, most = 1000 })

-- Which boxes of a picture stay, as the graph puts them: by class and falling score, or by score alone where classes
-- are suppressed together (but for by_class). Adds {picture, class, row, score} to `list`; row_of(box) is the row's
-- number.
local function stays(list, picture, each, o, row_of)
  local count, by_class = {}, o.per_class or o.by_class
  for c = 0, by_class and CLASSES - 1 or 0 do
    for k, label in ipairs(each.labels) do
      local class = by_class and label or 0
      local sure = each.scores[k] >= (o.confidences and o.confidences[label + 1] or o.confidence)
      if class == c and sure and (count[c] or 0) < o.most then
        count[c] = (count[c] or 0) + 1
        list[#list + 1] = { picture, label, row_of(each.boxes[k]), each.scores[k] }
      end
    end
  end
end

-- What core.detect says of rows.
local function wanted(rows, o)
  local function options(more)
    more.strides, more.bins, more.classes, more.height, more.width = o.strides, o.bins or 0, o.classes, SIZE, SIZE
    return more
  end
  local numbers, at, selected = {}, {}, {}
  for i = 0, 2 * CELLS - 1 do numbers[i + 1] = i end
  local all = core.detect.row_boxes(rows, numbers, options {})
  local function key(picture, b) return ("%d %.9g %.9g %.9g %.9g"):format(picture, table.unpack(b)) end
  for i, b in ipairs(all) do at[key((i - 1) // CELLS, b)] = (i - 1) % CELLS end
  local least = o.confidences and math.min(table.unpack(o.confidences)) or o.confidence
  for i, each in ipairs(core.detect.decode(rows, options { confidence = least, iou = o.iou, most = 1000,
    per_class = o.per_class, several = o.several })) do
    stays(selected, i - 1, each, o, function(b) return at[key(i - 1, b)] end)
  end
  local scores = core.ops.slice(rows, 3, o.bins and 4 * o.bins or 5, CLASSES):sigmoid()
  if not o.bins then scores = scores * core.ops.slice(rows, 3, 4, 1):sigmoid() end
  return { boxes = core.tensor(all):reshape(2, CELLS, 4), scores = scores,
    selected = o.kind == "nms" and selected or nil }
end

-- Writes the case's graph to `path`; gives its rows and what is wanted of them.
function cases.write(each, path, opset)
  local o = each.o
  core.manual_seed(7)
  local width = (o.bins and 4 * o.bins or 5) + CLASSES
  local rows = core.randn(2, CELLS, width) * (o.bins and 1.5 or 0.8) + (o.bins and 0 or 0.6)
  local list = { symbols = { N = 2 }, inputs = { { name = "rows", dtype = "float32", dims = { "N", CELLS, width } } },
    calls = { { op = "mul_scalar", inputs = { 1 }, attrs = { value = 1 }, sized = {} } },
    outputs = { { name = "output", value = 2, dtype = "float32", dims = { "N", CELLS, width } } } }
  core.onnx_write(path, write.model(list, {}, {}, { opset = opset, after = function(w, ports)
    return boxes.outputs(w, ports, o)
  end }))
  return rows, wanted(rows, o)
end

return cases
