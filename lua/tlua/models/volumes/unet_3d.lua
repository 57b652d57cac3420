-- unet_3d.lua - a U-Net of volumes as nnU-Net has it in its residual form (Isensee et al. 2024): an encoder of residual blocks, strided
-- convolutions in place of pooling, instance norms, leaky rectifiers; a decoder of transposed convolutions with the encoder's maps
-- beside them. Names are those of its ResidualEncoderUNet.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Volume = require "tlua.models.volumes.volume"
local ops = core.ops

local SLOPE, WIDEST = 0.01, 320

-- Convolution, instance norm, and a leaky rectifier unless `plain`.
local ConvNorm = module.class("unet_3d.ConvNorm")
ConvNorm.scoped = true
function ConvNorm:init(width, out, kernel, stride, o)
  o = o or {}
  self.conv = nn.Conv3d(width, out, kernel, { stride = stride, padding = kernel // 2, bias = o.bias ~= false })
  self.norm = nn.InstanceNorm3d(out, { affine = true })
  rawset(self, "behind", { slope = o.plain and 1 or SLOPE })
end
function ConvNorm:forward(x)
  local y = self.norm(self.conv(x), self.behind)
  return y
end
function ConvNorm:cost(shape) return self.conv:cost(shape) end

local Convs = module.class("unet_3d.Convs")
function Convs:init(...) self.convs = nn.Sequential(...) end
function Convs:forward(x) return self.convs(x) end
function Convs:cost(shape) return self.convs:cost(shape) end

-- Two convolutions, and the input beside them: means of 2 x 2 x 2 where there is a stride, a 1 x 1 x 1 convolution
-- where the width changes.
local Block = module.class("unet_3d.Block")
Block.scoped = true
function Block:init(width, out, stride)
  self.conv1 = ConvNorm(width, out, 3, stride)
  self.conv2 = ConvNorm(out, out, 3, 1, { plain = true })
  local skip = {}
  if stride > 1 then skip[1] = nn.AvgPool3d(stride, stride) end
  if width ~= out then skip[#skip + 1] = ConvNorm(width, out, 1, 1, { plain = true, bias = false }) end
  if #skip > 0 then self.skip = nn.Sequential(skip) end
end
function Block:forward(x)
  local y = self.conv2(self.conv1(x)) + (self.skip and self.skip(x) or x)
  y = ops.leaky_relu(y, { slope = SLOPE })
  return y
end
function Block:cost(shape)
  local out, n = self.conv1:cost(shape)
  local _, m = self.conv2:cost(out)
  local k = 0
  if self.skip then _, k = self.skip:cost(shape) end
  return out, n + m + k
end

local Stage = module.class("unet_3d.Stage")
function Stage:init(blocks) self.blocks = blocks end

local Encoder, Decoder = module.class("unet_3d.Encoder"), module.class("unet_3d.Decoder")
function Encoder:init(o, widths)
  self.stem = Convs(ConvNorm(o.in_channels, widths[1], 3, 1))
  local stages, width = {}, widths[1]
  for i, out in ipairs(widths) do
    local blocks = {}
    for k = 1, i == 1 and 1 or o.blocks do
      blocks[k] = Block(width, out, (k == 1 and i > 1) and 2 or 1)
      width = out
    end
    stages[i] = Stage(nn.Sequential(blocks))
  end
  self.stages = nn.ModuleList(stages)
end

-- From the smallest maps up. seg_layers: a head at each size; the last one is the network's own.
function Decoder:init(o, widths)
  local up, stages, heads = {}, {}, {}
  for i = #widths - 1, 1, -1 do
    up[#up + 1] = nn.ConvTranspose3d(widths[i + 1], widths[i], 2, 2)
    stages[#stages + 1] = Convs(ConvNorm(2 * widths[i], widths[i], 3, 1))
    heads[#heads + 1] = (o.deep_supervision or i == 1) and nn.Conv3d(widths[i], o.classes, 1) or nn.Identity()
  end
  self.transpconvs = nn.ModuleList(up)
  self.stages = nn.ModuleList(stages)
  self.seg_layers = nn.ModuleList(heads)
end

-- ---- the network ----

local UNet = module.class("models.UNet3d", Volume)
UNet.first_name, UNet.gives, UNet.lists = "encoder.stem.convs.0.conv", "map", true

function UNet:init(_, o)
  local widths = {}
  for i = 1, o.levels do widths[i] = math.min(o.width << (i - 1), WIDEST) end
  self.encoder = Encoder(o, widths)
  self.decoder = Decoder(o, widths)
  rawset(self, "widths", widths)
  rawset(self, "features_width", widths[1])
  rawset(self, "head_name", "decoder.seg_layers." .. o.levels - 2)
end

function UNet:default_head(classes) return nn.Conv3d(self.features_width, classes, 1) end

-- Between the stages go lists: the maps that the decoder still wants, and last what comes next.
local function listed(x) return core.is_tensor(x) and { x } or { table.unpack(x) } end

function UNet:stages()
  local list, levels = {}, #self.widths
  list[1] = { name = "encoder.stem", modules = { "encoder.stem" }, run = function(me, x) return me.encoder.stem(x) end }
  for i = 1, levels do
    local name = "encoder.stages." .. i - 1
    list[#list + 1] = { name = name, modules = { name }, run = function(me, maps)
      local out = listed(maps)
      out[i == 1 and 1 or #out + 1] = me.encoder.stages:at(i).blocks(out[#out])
      return #out > 1 and out or out[1]
    end }
  end
  for i = 1, levels - 1 do
    local up, name = "decoder.transpconvs." .. i - 1, "decoder.stages." .. i - 1
    list[#list + 1] = { name = name, modules = { up, name }, run = function(me, maps)
      local out = listed(maps)
      local y = me.decoder.transpconvs:at(i)(out[#out])
      out[#out] = nil
      out[#out] = me.decoder.stages:at(i)(ops.concat(y, out[#out], { axis = -1 }))
      return #out > 1 and out or out[1]
    end }
  end
  return list
end

local function check_size(self, x)
  local step = 1 << (#self.widths - 1)
  for axis = 2, 4 do
    if x:shape(axis) % step ~= 0 then
      util.failf("%s: the sides of volumes must be multiples of %d, not %d x %d x %d", self:label(), step,
        x:shape(2), x:shape(3), x:shape(4))
    end
  end
end

function UNet:features(x)
  check_size(self, x)
  local y = Volume.features(self, x)
  return y
end

-- The maps of all sizes, from the volume's own down, for nn.DeepSupervision: net:deep(x) with deep_supervision = true.
function UNet:deep(x)
  if not self.network_options.deep_supervision then
    util.failf("%s: deep maps want deep_supervision = true", self:label())
  end
  check_size(self, x)
  self:ready()
  local maps, y, out, heads = {}, self.encoder.stem(x), {}, #self.widths - 1
  for i = 1, heads + 1 do
    y = self.encoder.stages:at(i).blocks(y)
    maps[i] = y
  end
  for i = 1, heads do
    y = self.decoder.stages:at(i)(ops.concat(self.decoder.transpconvs:at(i)(y), maps[heads + 1 - i], { axis = -1 }))
    out[heads + 1 - i] = self.decoder.seg_layers:at(i)(y)
  end
  return out
end

function UNet:features_cost(shape)
  local out, all, n = self.encoder.stem:cost(shape)
  local shapes = {}
  for i = 1, #self.widths do
    out, n = self.encoder.stages:at(i).blocks:cost(out)
    shapes[i], all = out, all + n
  end
  for i = #self.widths - 1, 1, -1 do
    local k = #self.widths - i
    local _, m = self.decoder.transpconvs:at(k):cost(out)
    local beside = { table.unpack(shapes[i]) }
    beside[#beside] = 2 * self.widths[i]
    out, n = self.decoder.stages:at(k):cost(beside)
    all = all + n + m
  end
  return out, all
end

return function(registry)
  registry.add { name = "unet3d", class = UNet, takes = "volume", size = 96, classes = 2, in_channels = 1,
    preprocessing = {}, fields = {
    { "levels", "integer", 5, "how many sizes of maps there are, each half of the one before", least = 2, most = 8 },
    { "width", "integer", 32, "channels of the largest maps; they double up to 320", least = 1, most = 1 << 12 },
    { "blocks", "integer", 2, "residual blocks of each size but the first, which has one", least = 1, most = 64 },
    { "deep_supervision", "boolean", false, "a head at each size, for net:deep(x)" } } }
end
