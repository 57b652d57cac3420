-- onnx.lua - networks that stand in files: models.onnx { path = "net.onnx" }, of any framework, and models.graph { path
-- = "model.safetensors" }, of ours. The file is the network: its calls become an nn.Graph (tlua/nn/graph).
local core = require "tlua.core"
local util = require "tlua.util"
local graph = require "tlua.nn.graph"
local later = require "tlua.nn.later"
local description = require "tlua.weights.description"

local SHARED = {
  { "path", "path", nil, "the file, or of models.graph the folder of a run" },
  { "hint", "text", nil, "how to get the file, said where it is missing" },
  { "cut", "text", nil, "the value that becomes the output: a name of tlua inspect FILE --cut-points" },
  { "head", "module", nil, "a module that becomes the head" },
  { "classes", "integer", nil, "outputs of a new head, where the recipe gives none", least = 1 },
  { "logits", "boolean", true, "a softmax at its end is dropped: losses want what goes into it" },
  { "weights", "choice", "file", "those of the file, or none: all drawn at random", { "file", "none" } },
}
local ONNX = {
  { "input", "numbers", nil, "height and width of pictures, or one number for both, instead of the file's",
    count = { 1, 2 }, least = 1 },
  { "sizes", "sizes_by_name", nil, "sizes that the file leaves open, by its names for them, like { length = 128 }" },
  { "values", "numbers_by_name", nil,
    "inputs of the file that are one number, the same for ever, like { rate = 16000 }" },
  { "batchnorm", "choice", "folded", "fresh: new batch norms behind convolutions that an exporter has folded some into",
    { "folded", "fresh" } },
}

local function joined(...)
  local out = {}
  for _, list in ipairs { ... } do table.move(list, 1, #list, #out + 1, out) end
  return out
end

-- A new head as it was described, without what it may have learnt in another network.
local function head_of(o)
  if o.head == nil then return nil end
  local nn = require "tlua.nn"
  local open = false
  o.head:walk(function(m) open = open or m.needs_width end)
  local spec = not open and o.head:spec()
  return spec and nn.from_spec(spec) or o.head
end

-- The head that is asked for, in its place.
local function with_head(net, o)
  local head = head_of(o)
  if not head and o.classes and net.classes ~= o.classes then head = require("tlua.nn").Linear(o.classes) end
  if head then net:set_head(head) end
  return net
end

-- ---- ONNX ----

-- The open sizes of the pictures by the names that the file gives them: {height = 224, width_3 = 224}.
local function sizes_of(path, o)
  local out = {}
  for name, n in pairs(o.sizes or {}) do out[name] = n end
  if not o.input then return out end
  local list = type(o.input) == "table" and o.input or { o.input }
  local model = core.onnx_read(path)
  local port, at = model.graph.inputs[1], require("tlua.onnx").height_at(model)
  if not at then util.failf("%s: input: its first input is no picture, (N, C, H, W) or (N, H, W, C)", path) end
  for i = 0, 1 do
    local d, n = port.shape[at + i], math.tointeger(list[1 + i] or list[1])
    -- What the file fixes becomes another size: its calls say whether they bear it.
    out[type(d) == "string" and d or ("%s_%d"):format(port.name, at + i)] = n
  end
  return out
end

-- The file up to a value of its own, or the whole of it, to be cut by the names of modules and stages.
local function read(path, o)
  local onnx = require "tlua.onnx"
  local options = { sizes = sizes_of(path, o), batchnorm = o.batchnorm == "fresh" and "fresh" or nil, cut = o.cut,
    values = o.values }
  local ok, found = pcall(onnx.open, path, options)
  if ok then return found, nil end
  if not (o.cut and tostring(found):find("there is no value or node", 1, true)) then error(found, 0) end
  options.cut = nil
  return onnx.open(path, options), o.cut, util.reason(found)
end

-- What a file that tlua has written says of itself (tlua/weights/onnx_export.lua), nil of others; and names of classes
-- that stand in the metadata alone.
local function said_in(metadata)
  local info = metadata and metadata.tlua and description.read(metadata.tlua)
  if info then return info, info.labels or info.task and info.task.names end
  local ok, list = pcall(core.json_decode, metadata and metadata.labels or "")
  local info_of_labels = ok and type(list) == "table" and description.read(core.json_encode { format = 1, model = "",
    labels = list })
  return nil, info_of_labels and info_of_labels.labels or nil
end

local function open_onnx(o)
  local missing = util.missing(o.path)
  if missing then util.fail(o.hint and missing .. ": " .. o.hint or missing) end
  local found, cut, why = read(o.path, o)
  local info, labels = said_in(found.metadata)
  local p = info and info.preprocessing or found.preprocessing or {}
  local ok, net = pcall(graph.from, { text = found.text, tensors = found.tensors,
    label = ("models.onnx(%s)"):format(o.path), path = o.path, preprocessing = p,
    file_labels = not o.cut and labels or nil, notes = found.notes,
    value_names = found.value_names, cut = cut, logits = o.logits, random = o.weights == "none" })
  if not ok then
    local text = util.reason(net)
    error(why and not text:find("did you mean", 1, true) and why:find("did you mean", 1, true) and why or text, 0)
  end
  rawset(net, "file_info", info)
  if o.cut and not cut then require("tlua.nn.graph.head").cut_here(net) end
  return net
end

-- ---- the registry ----

local function of_file(name, fields, open)
  return { name = name, file = true, fields = joined(SHARED, fields), build = function(entry, o)
    local label = ("models.%s(%s)"):format(name, o.path or "?")
    local net = later.describe(label, function()
      if not o.path then util.failf("models.%s: path is missing", name) end
      local net = with_head(open(o), o)
      rawset(net, "entry", entry)
      rawset(net, "network_options", o)
      return net
    end)
    rawset(net, "entry", entry)
    rawset(net, "network_options", o)
    return net
  end }
end

return function(registry)
  registry.add(of_file("onnx", ONNX, open_onnx))
  registry.add(of_file("graph", {}, function(o)
    return require("tlua.nn").Graph { path = o.path, cut = o.cut, logits = o.logits, random = o.weights == "none" }
  end))
end
