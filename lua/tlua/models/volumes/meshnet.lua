-- meshnet.lua - MeshNet (Fedorov et al. 2017): a class for each voxel by dilated convolutions alone, of which no map is smaller than
-- the volume. The arrangement and the published weights are those of brainchop (neuroneural/brainchop-models, MIT): names are
-- model.0.weight, model.2.weight and so on, an activation standing between.
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Volume = require "tlua.models.volumes.volume"

local DILATIONS = { 1, 2, 4, 8, 16, 8, 4, 2, 1 }

local MeshNet = module.class("models.MeshNet", Volume)
MeshNet.head_name, MeshNet.first_name, MeshNet.gives = "model." .. 2 * #DILATIONS, "model.0", "map"

function MeshNet:init(_, options)
  local layers, width = {}, options.in_channels
  for _, d in ipairs(DILATIONS) do
    layers[#layers + 1] = nn.Conv3d(width, options.channels, 3, { padding = d, dilation = d })
    layers[#layers + 1] = nn.ReLU()
    width = options.channels
  end
  layers[#layers + 1] = nn.Conv3d(width, options.classes, 1)
  self.model = nn.Sequential(layers)
  rawset(self, "features_width", width)
end

function MeshNet:default_head(classes) return nn.Conv3d(self.features_width, classes, 1) end

function MeshNet:stages()
  local list = {}
  for i = 1, #DILATIONS do
    local name = "model." .. 2 * i - 2
    list[i] = { name = name, modules = { name }, run = function(me, x) return me.model:at(2 * i - 1)(x, "relu") end }
  end
  return list
end

function MeshNet:features_cost(shape)
  local out, all = shape, 0
  for i = 1, #DILATIONS do
    local n
    out, n = self.model:at(2 * i - 1):cost(out)
    all = all + n
  end
  return out, all
end

-- ---- published weights ----

local SOURCE = "https://github.com/neuroneural/brainchop-models/raw/main/meshnet/"
-- T1-weighted heads of 256^3 voxels of 1 mm, as FreeSurfer turns them: slices grow to the left, rows downwards,
-- columns to the front. On the MNI152 template white and grey matter have a Dice of 87 and 82 % so, and of 84 and 79 %
-- when slices grow upwards. Values are from 0 to 1, cut at the quantiles of 2 and 98 %.
local HEADS = { orientation = "AIL", spacing = { 1, 1, 1 }, normalise = "quantiles", quantiles = { 2, 98 } }
local SETS = {
  model5_gw_ae = { channels = 5, classes = 3, labels = { "background", "white matter", "grey matter" },
    sha256 = "8b83b35b971305b9baeef9f927a5f0d4432c7beea60743f54e8d960031298ba3" },
  model18cls = { channels = 21, classes = 18, sha256 = "0798b61d58626010708284cab719f2674c817c789acb84e8eec5265a46e8fbbc" },
}

function MeshNet:preprocessing()
  local set = self.network_options.weights
  if type(set) == "string" and SETS[set] and not rawget(self, "file_preprocessing") then return HEADS end
  return Volume.preprocessing(self)
end

-- A published set knows what its classes are, as long as its head is the network's.
function MeshNet:labels()
  local set = SETS[self.network_options.weights or ""]
  return rawget(self, "file_labels") or not rawget(self, "own_head") and set and set.labels or nil
end

-- A published set says how many channels and classes there are.
local function read(given)
  local set = type(given.weights) == "string" and SETS[given.weights]
  for _, name in ipairs { "channels", "classes" } do
    if set and given[name] == nil then given[name] = set[name] end
  end
  return given
end

return function(registry)
  local weights = {}
  for name, set in pairs(SETS) do
    weights[name] = { file = "meshnet-" .. name .. ".safetensors", url = SOURCE .. name .. "/model.pth",
      sha256 = set.sha256,
      preprocessing = HEADS, labels = set.labels }
  end
  registry.add { name = "meshnet", class = MeshNet, takes = "volume", size = 256, classes = 3, in_channels = 1,
    read = read,
    weights = weights, preprocessing = {}, fields = {
      { "channels", "integer", 5, "of each map within", least = 1, most = 1 << 14 } } }
end
