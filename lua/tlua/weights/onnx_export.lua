-- onnx_export.lua - a network with what its description says as an .onnx file: `tlua export MODEL --to x.onnx`. Its
-- calls become ONNX's operators (tlua/onnx/write), everything else stands in the metadata.
local core = require "tlua.core"
local util = require "tlua.util"
local plan = require "tlua.plan"
local write = require "tlua.onnx.write"
local boxes = require "tlua.onnx.write.boxes"
local onnx_export = {}

local WHITE = 255

-- Mean and deviation for each channel, of numbers or one for all.
local function by_channel(v, channels)
  local list = type(v) == "table" and v or { v }
  local out = {}
  for i = 1, channels do out[i] = (list[i] or list[1]) + 0.0 end
  return out
end

-- What normalises pixels, as nodes behind the first input: (x / 255 - mean) / std.
local function normalised(w, v, p)
  local channels = v.shape[#v.shape]
  local function constant(list) return w:constant("float32", { channels, 1, 1 }, list) end
  w.path = "/normalize"
  local name = w:node("Div", { v.name, w:float(WHITE) })
  name = w:node("Sub", { name, constant(by_channel(p.mean, channels)) })
  name = w:node("Div", { name, constant(by_channel(p.std, channels)) })
  local out = {}
  for key, each in pairs(v) do out[key] = each end
  out.name = name
  return out
end

local function check_options(o)
  local least, most = write.OPSETS.least, write.OPSETS.most
  if o.opset and (math.type(o.opset) ~= "integer" or o.opset < least or o.opset > most) then
    util.failf("--opset: a whole number from %d to %d is needed, not %s", least, most, o.opset)
  end
end

-- The description once the graph normalises pixels itself: what goes in are numbers from 0 to 255.
local function without_normalising(info)
  local out, p = {}, {}
  for key, v in pairs(info) do out[key] = v end
  for key, v in pairs(info.preprocessing or {}) do p[key] = v end
  p.mean, p.std = 0, 1 / WHITE
  out.preprocessing = p
  return out
end

-- ---- networks that find boxes ----

-- What boxes.outputs wants to know of the task `t` for pictures (N, H, W, C).
local function of_task(kind, t, dims)
  if math.type(dims[2]) ~= "integer" or math.type(dims[3]) ~= "integer" then
    util.fail "--boxes: the network takes pictures of any size, and places of cells are constants of one"
  end
  return { kind = kind, strides = t.levels.strides, bins = t.levels.bins, classes = t.width, height = dims[2],
    width = dims[3], iou = t.options.iou, confidence = t.options.confidence, confidences = t.confidences,
    per_class = t.options.per_class, several = t.options.several, most = t.options.most }
end

-- The description once the graph decodes boxes itself: who reads it finds no rows.
local function without_rows(info, kind)
  local out, own = {}, {}
  for key, v in pairs(info) do out[key] = v end
  for key, v in pairs(info.task) do own[key] = v end
  own.kept = { boxes = kind }
  out.task = own
  return out
end

-- What others' programs look for beside the description: names by number (as Python and YAML write a table), the
-- largest stride, and height and width of the pictures.
local function add_usual(meta, t, dims)
  local names, most = {}, 1
  for k, name in ipairs(t.names or {}) do names[k] = ("%d: %s"):format(k - 1, core.json_encode(name)) end
  if #names > 0 then meta.names = ("{%s}"):format(table.concat(names, ", ")) end
  for _, s in ipairs(t.levels.strides) do most = math.max(most, s) end
  meta.stride = ("%d"):format(most)
  meta.imgsz = ("[%s, %s]"):format(dims[2], dims[3])
end

-- ---- the file ----

-- Writes the network. inputs: as plan.text takes them; pipeline: info -> what happens to pictures before, as a text.
-- options: opset, fold (batch norms go into the layers before them), normalize (the graph does, pixels from 0 to 255
-- go in), boxes (one of boxes.KINDS), task (of a network that finds boxes, as a session has it; nil of others).
function onnx_export.write(path, net, info, inputs, pipeline, options)
  local o = options or {}
  local t = o.task
  check_options(o)
  local text, why = plan.text(net, inputs, net.output_names, net.open_sizes)
  if not text then util.failf("%s cannot be written: %s", path, util.without_place(why)) end
  local list, tensors = core.plan_calls(text), {}
  for name, t in net:named_tensors() do -- in halves where a checkpoint's run held them so
    local half = t:dtype() == "float16" or t:dtype() == "bfloat16"
    tensors[name] = half and t:to "float32" or t
  end
  local before
  if o.normalize then
    local first, p = list.inputs[1], info.preprocessing or {}
    if not p.mean or #first.dims ~= 4 then util.fail "--normalize: no pictures go into this network" end
    info = without_normalising(info)
    before = function(w, values) values[1] = normalised(w, values[1], p) end
  end
  local after
  if o.boxes and o.boxes ~= "raw" then
    local about = of_task(o.boxes, t, list.inputs[1].dims)
    info = without_rows(info, o.boxes)
    after = function(w, ports) return boxes.outputs(w, ports, about) end
  end
  local meta = { tlua = core.json_encode(info) }
  if t then add_usual(meta, t, list.inputs[1].dims) end
  if info.preprocessing then meta["tlua.pipeline"] = pipeline(info) end
  local labels = info.task and info.task.names or info.labels
  if labels then meta.labels = core.json_encode(labels) end
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  core.onnx_write(path, write.model(list, tensors, meta, { opset = o.opset, fold = o.fold, before = before,
    after = after }))
end

return onnx_export
