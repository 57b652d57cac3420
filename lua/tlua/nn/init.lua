-- nn.lua - the layers, under the names that PyTorch gave them. A module is called with tensors; pictures are
-- (N, H, W, C). Options stand in one trailing table, unknown ones are errors.
local util = require "tlua.util"
local module = require "tlua.nn.module"
local nn = { Module = module.Module, class = module.class, is_module = module.is_module, functional = require "tlua.nn.functional" }
local layers = {}
for _, file in ipairs { "linear", "conv", "norm", "pool", "resize", "recurrent", "activation", "transformer",
  "container", "loss", "map_loss",
  "sequence_loss", "sound.spectra", "sound.frames", "graph" } do
  for name, class in pairs(require("tlua.nn." .. file)) do
    if type(class) == "table" and class._class then
      nn[name] = class
      layers[name] = class
    end
  end
end

-- A module from what module:spec() said (in a model file).
function nn.from_spec(spec)
  local class = rawget(layers, spec.class)
  if not class then util.unknown("layer", spec.class, util.keys(layers)) end
  if spec.list then
    local list = {}
    for i, each in ipairs(spec.list) do list[i] = nn.from_spec(each) end
    if spec.options and next(spec.options) then list[#list + 1] = spec.options end
    return class(table.unpack(list))
  end
  local args = { table.unpack(spec.args or {}) }
  if spec.options and next(spec.options) then args[#args + 1] = spec.options end
  return class(table.unpack(args))
end

nn.layers = layers
util.seal(nn, "nn.")
return util.strict("nn", nn)
