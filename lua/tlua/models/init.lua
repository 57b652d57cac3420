-- models/init.lua - the registry of networks. To add one: a Lua file beside this one that calls registry.add for
-- each variant, and its name in `files` below.
local util = require "tlua.util"
local files = { "resnet", "efficientnet_lite", "mobilenet_v2", "mobilenet_v3", "squeezenet", "vgg", "densenet", "efficientnet",
  "convnext", "vision_transformer" }
local entries, order = {}, {}
local registry = { entries = entries }

-- entry: name, class (of Network), arguments (passed to it), size (pictures it was made for), weights (sets by
-- name: url, file, sha256, preprocessing, labels), preprocessing (without weights), options (name -> default).
function registry.add(entry)
  entries[entry.name] = entry
  order[#order + 1] = entry.name
end

function registry.names() return { table.unpack(order) } end

function registry.entry(name)
  local entry = entries[name]
  if not entry then util.unknown("model", name, order) end
  return entry
end

-- Makes (describes) a network: options weights, classes, dropout (before its own head), in_channels and those of its family.
function registry.build(name, options)
  local entry = registry.entry(name)
  local known = { weights = util.none, classes = 1000, dropout = entry.dropout or 0, in_channels = 3 }
  for key, default in pairs(entry.options or {}) do known[key] = default end
  if options ~= nil and type(options) ~= "table" then util.failf("models.%s: options come in a table", name) end
  options = util.options("models." .. name, options, known)
  util.whole("models." .. name, "classes", options.classes)
  util.whole("models." .. name, "in_channels", options.in_channels)
  local net = entry.class(entry, options)
  net:set_up(entry, options)
  return net
end

-- Name, parameters, multiply-adds for one picture, input size and known weights of every network.
function registry.list()
  local list = {}
  for _, name in ipairs(order) do
    local entry = entries[name]
    local net = registry.build(name)
    local _, cost = net:cost { 1, entry.size, entry.size, 3 }
    list[#list + 1] = { name = name, parameters = net:count(), multiply_adds = cost, size = entry.size, weights = util.keys(entry.weights or {}) }
  end
  return list
end

for _, file in ipairs(files) do require("tlua.models." .. file)(registry) end

local models = { list = registry.list, names = registry.names, registry = registry, build = registry.build }
for _, name in ipairs(order) do
  models[name] = function(options) return registry.build(name, options) end
end
-- The network of a model file that a run has written: architecture, head and weights.
function models.load(path) return require("tlua.model_file").load(path) end
return util.strict("models", models, function() return { "list", "load", table.unpack(order) } end)
