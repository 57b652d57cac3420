-- models/init.lua - the registry of networks. To add one: a Lua file beside this one that calls registry.add for
-- each variant, and its name in `files` below.
local util = require "tlua.util"
local schema = require "tlua.schema"
local files = { "resnet", "efficientnet_lite", "mobilenet_v2", "mobilenet_v3", "squeezenet", "vgg", "densenet",
  "efficientnet", "convnext", "vision_transformer", "unet", "detect.yolox", "detect.yolov8", "speech.conformer",
  "speech.wav2vec2", "speech.speaker_lstm",
  "speech.convolutions", "text.bert", "text.gpt2", "volumes.meshnet", "volumes.resnet_3d", "volumes.unet_3d", "onnx" }
local entries, order, of_files = {}, {}, {}
local registry = { entries = entries }

-- entry: name, class (of Network), arguments (passed to it), size (pictures it was made for), weights (sets by
-- name: url, file, sha256, preprocessing, labels), preprocessing (without weights), options (name -> default), fields (more options, as in
-- tlua/schema.lua), read (function: the options as they were given, entry -> as the fields have them), classes (without a word about them).
-- Of a network that stands in a file: name, file = true, fields (all of its options), build (function: entry, options
-- -> the network).
function registry.add(entry)
  entries[entry.name] = entry
  local list = entry.file and of_files or order
  list[#list + 1] = entry.name
end

function registry.names() return { table.unpack(order) } end

-- With those that stand in files.
function registry.choices()
  local list = { table.unpack(order) }
  return table.move(of_files, 1, #of_files, #list + 1, list)
end

function registry.entry(name)
  local entry = entries[name]
  if not entry then util.unknown("model", name, registry.choices()) end
  return entry
end

-- weights = { path = FILE, key = NAME } or { FILE, key = NAME } becomes weights and weights_key.
local function with_key(what, options)
  local w = options.weights
  if type(w) == "table" then
    for field in pairs(w) do
      if field ~= 1 and field ~= "path" and field ~= "key" then
        util.unknown("field of weights:", tostring(field), { "path", "key" })
      end
    end
    options.weights = w.path or w[1]
    if w.key ~= nil then options.weights_key = w.key end
    if type(options.weights) ~= "string" then
      util.failf("%s: weights: a path is missing, like { path = \"FILE\", key = \"ema\" }", what)
    end
  end
  if options.weights_key ~= nil then
    if type(options.weights_key) ~= "string" then
      util.failf("%s: the key of weights is a text, not a %s", what, type(options.weights_key))
    end
    if not options.weights or options.weights == "none" then
      util.failf("%s: the key of weights chooses a part of a file, and no file is named", what)
    end
  end
  return options
end

-- The typed options of a network; `drop_connect` and the like are its family's.
function registry.schema(entry)
  if entry.file then return entry.fields end
  local wave, text = entry.takes == "wave", entry.takes == "text"
  local list = { { "weights", "path", nil, "a file, the name of a published set, or none" },
    { "weights_key", "text", nil, "the part of that file, where it has several" },
    { "classes", "integer", entry.classes or 1000, "outputs of the network's own head", least = 1 },
    { "dropout", "number", entry.dropout or 0, (wave or text) and "within the network"
      or "before the network's own head", least = 0, below = 1 },
    not wave and not text and { "in_channels", "integer", entry.in_channels or 3,
      entry.takes == "volume" and "of the volumes" or "of the pictures: 3, or 1 for grey ones", least = 1 } or nil }
  for _, field in ipairs(entry.fields or {}) do list[#list + 1] = field end
  for _, name in ipairs(util.keys(entry.options or {})) do
    local range = name == "drop_connect" and { least = 0, below = 1 } or { least = 1 }
    list[#list + 1] = { name,
      math.type(entry.options[name]) == "integer" and name ~= "drop_connect" and "integer" or "number",
      entry.options[name], "option of this family of networks", least = range.least, below = range.below }
  end
  return list
end

-- Makes (describes) a network: options weights (and weights_key, the part of that file; or both as { path = FILE, key =
-- NAME }), classes, dropout (before its own head), in_channels and those of its family.
function registry.build(name, options)
  local entry, what = registry.entry(name), "models." .. name
  if options ~= nil and not util.is_options(options) then util.failf("%s: options come in a table", what) end
  local given = {}
  for key, value in pairs(options or {}) do given[key] = value end
  if given.weights == false then given.weights = nil end
  if entry.file then return entry.build(entry, schema.options(what, entry.fields, given)) end
  if entry.read then given = entry.read(given, entry) end
  options = schema.options(what, registry.schema(entry), with_key(what, given))
  local net = entry.class(entry, options)
  net:set_up(entry, options)
  return net
end

-- Name, parameters, multiply-adds for one picture (or a second of sound), input size and known weights of every
-- network.
function registry.list()
  local list = {}
  for _, name in ipairs(order) do
    local entry = entries[name]
    local net = registry.build(name)
    local _, cost = net:cost(entry.takes == "wave" and { 1, net.rate } or net:picture_shape(entry.size))
    list[#list + 1] = { name = name, parameters = net:count(), multiply_adds = cost, size = entry.size,
      seconds = entry.takes == "wave" and 1 or nil,
      weights = util.keys(entry.weights or {}) }
  end
  return list
end

for _, file in ipairs(files) do require("tlua.models." .. file)(registry) end

local models = { list = registry.list, names = registry.names, registry = registry, build = registry.build }
for _, name in ipairs(registry.choices()) do
  models[name] = function(options)
    if entries[name].file and type(options) == "string" then options = { path = options } end
    local net = registry.build(name, options)
    if entries[name].file and not net.network_options.path then util.failf("models.%s: path is missing", name) end
    return net
  end
end
-- The network of a model file that a run has written: architecture, head and weights.
function models.load(path) return require("tlua.weights.model_file").load(path) end
-- The network of a folder as Hugging Face's transformers lays them out.
function models.from_folder(options) return require("tlua.weights.folder").network(options) end
util.seal(models, "models.")
return util.strict("models", models, function()
  return { "list", "load", "from_folder", table.unpack(registry.choices()) }
end)
