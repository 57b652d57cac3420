-- vision_transformer.lua - ViT (Dosovitskiy et al. 2020) and DeiT (Touvron et al. 2020) as timm has them: squares of 16
-- x 16 pixels become tokens, a class token stands before them, and what has become of it at the end is the features.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local util = require "tlua.util"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"
local ops = core.ops

local SQUARE, EPS = 16, 1e-6
local INITIAL = { initial = { "normal", 0, 0.02 } }

-- ---- (N, T, width) -> the same ----

-- Queries, keys and values are one product with the weight (3 width, width).
local Attention = module.class("vision_transformer.Attention")
Attention.scoped = true
function Attention:init(width, heads)
  self.qkv = nn.Linear(width, 3 * width, INITIAL)
  self.proj = nn.Linear(width, width, INITIAL)
  rawset(self, "width", width)
  rawset(self, "heads", heads)
end
function Attention:forward(x)
  local w, all = self.width, self.qkv(x)
  local y = ops.attention(ops.slice(all, 3, 0, w), ops.slice(all, 3, w, w), ops.slice(all, 3, 2 * w, w), nil,
    { heads = self.heads })
  y = self.proj(y)
  return y
end

local Mlp = module.class("vision_transformer.Mlp")
Mlp.scoped = true
function Mlp:init(width)
  self.fc1 = nn.Linear(width, 4 * width, INITIAL)
  self.fc2 = nn.Linear(4 * width, width, INITIAL)
end
function Mlp:forward(x)
  local y = self.fc2(self.fc1(x, "gelu"))
  return y
end

local Block = module.class("vision_transformer.Block")
Block.scoped = true
function Block:init(width, heads, drop)
  self.norm1 = nn.LayerNorm(width, { eps = EPS })
  self.attn = Attention(width, heads)
  self.norm2 = nn.LayerNorm(width, { eps = EPS })
  self.mlp = Mlp(width)
  rawset(self, "drop", drop)
end
function Block:forward(x)
  local y = x + parts.drop_block(self, self.attn(self.norm1(x)), self.drop)
  y = y + parts.drop_block(self, self.mlp(self.norm2(y)), self.drop)
  return y
end

-- ---- the network ----

local PatchEmbed = module.class("vision_transformer.PatchEmbed")
function PatchEmbed:init(channels, width) self.proj = nn.Conv2d(channels, width, SQUARE, { stride = SQUARE }) end
function PatchEmbed:forward(x)
  local y = self.proj(x)
  y = y:reshape { y:shape(1), y:shape(2) * y:shape(3), y:shape(4) }
  return y
end

local ViT = module.class("models.VisionTransformer", Network)
ViT.head_name, ViT.first_name = "head", "patch_embed.proj"

function ViT:init(entry, options)
  local width, side = entry.width, util.whole("models." .. entry.name, "image_size", options.image_size)
  if side % SQUARE ~= 0 then
    util.failf("models.%s: image_size must be a multiple of %d, not %d", entry.name, SQUARE, side)
  end
  self:parameter("cls_token", { 1, 1, width }, { "normal", 0, 1e-6 })
  self:parameter("pos_embed", { 1, (side // SQUARE) * (side // SQUARE) + 1, width }, { "normal", 0, 0.02 })
  self.patch_embed = PatchEmbed(options.in_channels, width)
  local blocks = {}
  for i = 1, entry.depth do
    blocks[i] = Block(width, entry.heads, options.drop_connect * (i - 1) / (entry.depth - 1))
  end
  self.blocks = nn.Sequential(blocks)
  self.norm = nn.LayerNorm(width, { eps = EPS })
  rawset(self, "features_width", width)
  rawset(self, "side", side)
  self.head = nn.Linear(width, options.classes, INITIAL)
end

function ViT:stages()
  local list = { { name = "patch_embed", modules = { "patch_embed", "cls_token", "pos_embed" }, run = function(self, x)
    if x:shape(2) ~= self.side or x:shape(3) ~= self.side then
      util.failf("%s: pictures of %d x %d are needed, not %d x %d; say image_size = %d, or give it pictures of %d",
        self:label(), self.side, self.side, x:shape(2), x:shape(3), x:shape(2), self.side)
    end
    local y = self.patch_embed(x)
    return ops.concat(ops.expand(self.cls_token, { y:shape(1), 1, y:shape(3) }), y, { axis = 2 }) + self.pos_embed
  end } }
  parts.add_stages(self, list, "blocks")
  list[#list + 1] = { name = "norm", modules = { "norm" }, run = function(self, x)
    return self.norm(ops.slice(x, 2, 0, 1):reshape { x:shape(1), x:shape(3) })
  end }
  return list
end

function ViT:features_cost(shape)
  local squares, width, depth = self.side // SQUARE, self.features_width, self.blocks:length()
  local _, n = self.patch_embed.proj:cost(shape)
  local tokens = squares * squares + 1
  return { shape[1], width }, n + shape[1] * depth * tokens * (12 * width * width + 2 * tokens * width)
end

-- ---- pictures of another size ----

function ViT:preprocessing()
  local known = Network.preprocessing(self)
  if known.size == self.side then return known end
  local out = {}
  for key, value in pairs(known) do out[key] = value end
  out.size, out.resize = self.side, known.resize * self.side // known.size
  return out
end

-- (to, from): cubic interpolation of `from` places to `to` (a = -0.5, widened when fewer: antialiased), as timm
-- resamples.
local function cubic(from, to)
  local scale, rows = from / to, {}
  local wide = math.max(scale, 1)
  local function weight(x)
    x = math.abs(x)
    if x < 1 then return (1.5 * x - 2.5) * x * x + 1 end
    if x < 2 then return ((-0.5 * x + 2.5) * x - 4) * x + 2 end
    return 0
  end
  for i = 0, to - 1 do
    local row, sum, centre = {}, 0, (i + 0.5) * scale
    for j = 0, from - 1 do
      row[j + 1] = weight((j + 0.5 - centre) / wide)
      sum = sum + row[j + 1]
    end
    for j = 1, from do row[j] = row[j] / sum end
    rows[i + 1] = row
  end
  return core.tensor(rows)
end

-- Places of another grid of squares are interpolated.
function ViT:adapted(path, t, shape)
  if path ~= "pos_embed" then return Network.adapted(self, path, t, shape) end
  local have = t:shape()
  if #have ~= 3 or have[3] ~= shape[3] then return nil end
  local from, to = math.tointeger(math.sqrt(have[2] - 1)), math.tointeger(math.sqrt(shape[2] - 1))
  if not from then return nil end
  local m, width = cubic(from, to), shape[3]
  local grid = ops.slice(t, 2, 1, -1):reshape { from, from * width }
  grid = m:matmul(m:matmul(grid):reshape { to, from, width })
  return ops.concat(ops.slice(t, 2, 0, 1), grid:reshape { 1, to * to, width }, { axis = 2 })
end

-- ---- variants and published weights ----

local function published(name, preprocessing)
  return { file = name .. ".safetensors", preprocessing = preprocessing, labels = "imagenet",
    from = ("timm's model %s at the Hugging Face hub holds them: save its model.safetensors under this name")
      :format(name) }
end

return function(registry)
  local halves = { 0.5, 0.5, 0.5 }
  local vit, deit = parts.preprocessing(224, 248, "bicubic"), parts.preprocessing(224, 248, "bicubic")
  vit.mean, vit.std = halves, halves
  for _, v in ipairs {
    { "vit_small_patch16_224", 384, 6, vit, "vit_small_patch16_224.augreg_in21k_ft_in1k" },
    { "vit_base_patch16_224", 768, 12, vit, "vit_base_patch16_224.augreg2_in21k_ft_in1k" },
    { "deit_tiny_patch16_224", 192, 3, deit, "deit_tiny_patch16_224.fb_in1k" },
  } do
    registry.add { name = v[1], class = ViT, width = v[2], heads = v[3], depth = 12, size = 224, preprocessing = v[4],
      weights = { imagenet = published(v[5], v[4]) }, options = { drop_connect = 0, image_size = 224 } }
  end
end
