-- convnext.lua - ConvNeXt-Tiny (Liu et al. 2022) as torchvision has it: depthwise 7 x 7, layer norm, two linear layers
-- with GELU, each block's result scaled per channel. Layer norms stand where pictures have (N, H, W, C), as all here.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"

local INITIAL = { initial = { "normal", 0, 0.02 } }
local function conv(width, out, kernel, options)
  options.initial = INITIAL.initial
  return nn.Conv2d(width, out, kernel, options)
end
local function norm(width) return nn.LayerNorm(width, { eps = 1e-6 }) end

local Block = module.class("convnext.Block")
Block.scoped = true
function Block:init(width, drop)
  self:parameter("layer_scale", { width, 1, 1 }, { "constant", 1e-6 })
  local nothing = nn.Identity -- PyTorch changes layouts there
  self.block = nn.Sequential(conv(width, width, 7, { padding = 3, groups = width }), nothing(), norm(width),
    nn.Linear(width, 4 * width, INITIAL), nn.GELU(), nn.Linear(4 * width, width, INITIAL), nothing())
  rawset(self, "width", width)
  rawset(self, "drop", drop)
end
function Block:forward(x)
  local b = self.block
  local y = b:at(6)(b:at(4)(b:at(3)(b:at(1)(x)), "gelu")) * self.layer_scale:reshape(self.width)
  local out = x + parts.drop_block(self, y, self.drop)
  return out
end
function Block:cost(shape) return self.block:cost(shape) end

local ConvNeXt = module.class("models.ConvNeXt", Network)
ConvNeXt.head_name, ConvNeXt.first_name = "classifier.2", "features.0.0"

function ConvNeXt:init(entry, options)
  local widths, depths, all, done = entry.widths, entry.depths, 0, 0
  for _, n in ipairs(depths) do all = all + n end
  local layers = { nn.Sequential(conv(options.in_channels, widths[1], 4, { stride = 4 }), norm(widths[1])) }
  for i, width in ipairs(widths) do
    local blocks = {}
    for k = 1, depths[i] do
      blocks[k] = Block(width, options.drop_connect * done / (all - 1))
      done = done + 1
    end
    layers[#layers + 1] = nn.Sequential(blocks)
    if widths[i + 1] then
      layers[#layers + 1] = nn.Sequential(norm(width), conv(width, widths[i + 1], 2, { stride = 2 }))
    end
  end
  self.features = nn.Sequential(layers)
  local width = widths[#widths]
  rawset(self, "features_width", width)
  self.classifier = nn.Sequential(norm(width), nn.Identity(), nn.Linear(width, options.classes, INITIAL))
end

function ConvNeXt:stages()
  local list = parts.feature_stages(self)
  list[#list + 1] = { name = "classifier.0", modules = { "classifier.0" },
    run = function(self, x) return self.classifier:at(1)(x) end }
  return list
end

function ConvNeXt:features_cost(shape)
  local out, n = self:find("features"):cost(shape)
  return { out[1], out[4] }, n
end

return function(registry)
  local preprocessing = parts.preprocessing(224, 236)
  registry.add { name = "convnext_tiny", class = ConvNeXt, widths = { 96, 192, 384, 768 }, depths = { 3, 3, 9, 3 },
    size = 224, preprocessing = preprocessing,
    weights = { imagenet = parts.published("convnext_tiny", "983f1562", preprocessing) },
    options = { drop_connect = 0.1 } }
end
