-- unet.lua - U-Net (Ronneberger et al. 2015) over a network of the registry: a class for each pixel. The decoder is
-- that of segmentation_models_pytorch's Unet: at each level twice the size by the nearest pixel, the encoder's map of
-- that size beside it, two 3 x 3 convolutions with batch norms and rectifiers; names are its names (encoder.*,
-- decoder.blocks.0.conv1.0.weight, segmentation_head.0.*).
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Network = require "tlua.models.network"
local parts = require "tlua.models.parts"
local weights = require "tlua.weights"
local ops = core.ops

local SIDE = 64 -- of the picture by which an encoder's strides are found
local WIDTHS = { 256, 128, 64, 32, 16 } -- of the decoder, from the smallest map up
local STRIDE = 32 -- of the smallest map

-- ---- what an encoder gives ----

-- The shape of what a stage gives, and its multiply-adds; nothing is computed.
local function shape_after(net, stage, shape)
  if stage.shape then return stage.shape(shape), 0 end
  local all, out, n = 0, shape, 0
  for _, name in ipairs(stage.modules) do
    local m = net:find(name)
    if m then
      out, n = m:cost(out)
      all = all + n
    end
  end
  return out, all
end

local function no_maps(net, why)
  util.failf("models.unet: %s cannot be an encoder: %s; %s can", net.entry.name, why,
    "resnet, efficientnet, efficientnet_lite, mobilenet, densenet, vgg and convnext")
end

-- The stages of an encoder that make maps: {stage =, stride =, width =, skip = is it the last of its stride, and so
-- kept for the decoder}.
local function maps_of(net)
  local list, shape = {}, { 1, SIDE, SIDE, net.network_options.in_channels }
  for _, stage in ipairs(net:map_stages()) do
    if stage.for_classes then break end
    shape = shape_after(net, stage, shape)
    local stride = shape[2] and shape[2] > 0 and SIDE % shape[2] == 0 and SIDE // shape[2]
    if #shape ~= 4 or not stride or stride > STRIDE then
      no_maps(net, "its maps are no halves, quarters and so on of the picture")
    end
    list[#list + 1] = { stage = stage, stride = stride, width = shape[4] }
  end
  local last = {}
  for i, each in ipairs(list) do last[each.stride] = i end
  for _, stride in ipairs { 4, 8, 16, 32 } do
    if not last[stride] then no_maps(net, ("it has no map of 1/%d of the picture's side"):format(stride)) end
  end
  for i, each in ipairs(list) do each.skip = last[each.stride] == i and each.stride > 1 and each.stride < STRIDE end
  return list
end

-- Takes away the parts of an encoder that make no maps: its head, and what stands before that for classes alone.
local function prune(net, maps)
  local used = {}
  for _, each in ipairs(maps) do
    for _, name in ipairs(each.stage.modules) do used[name:match "^[^.]+"] = true end
  end
  for _, key in ipairs { table.unpack(net._order) } do
    if not used[key] then net[key] = nil end
  end
end

-- ---- the decoder ----

local function conv_norm(width, out)
  return parts.ConvNorm(width, out, 3, { activation = "relu", initial = "kaiming_uniform_fan_in" })
end

-- Twice the size, beside it the encoder's map of that size, where there is one; two convolutions.
local Block = module.class("unet.Block")
Block.scoped = true
function Block:init(width, skip, out)
  self.conv1 = conv_norm(width + skip, out)
  self.conv2 = conv_norm(out, out)
end
function Block:forward(x, skip)
  local y = ops.interpolate(x, { scale = 2, mode = "nearest" })
  if skip then y = ops.concat(y, skip, { axis = -1 }) end
  y = self.conv2(self.conv1(y))
  return y
end
function Block:cost(shape)
  local out, n = self.conv1:cost(shape)
  local _, m = self.conv2:cost(out)
  return out, n + m
end

local Decoder = module.class("unet.Decoder")

-- Widths of the encoder's maps by stride. Those whose name begins with vgg have two convolutions more at the bottom, as
-- there.
function Decoder:init(name, maps)
  local skips, width = {}, maps[#maps].width
  for _, each in ipairs(maps) do
    if each.skip then skips[each.stride] = each.width end
  end
  if name:find "^vgg" then self.center = nn.Sequential(conv_norm(width, width), conv_norm(width, width)) end
  local blocks = {}
  for i, out in ipairs(WIDTHS) do
    blocks[i] = Block(width, skips[STRIDE >> i] or 0, out)
    width = out
  end
  self.blocks = nn.ModuleList(blocks)
  rawset(self, "skips", skips)
end

-- ---- the network ----

local UNet = module.class("models.UNet", Network)
UNet.head_name, UNet.gives, UNet.lists = "segmentation_head.0", "map", true

local function head_of(width, classes)
  local bound = math.sqrt(6 / (9 * (width + classes))) -- Glorot and Bengio 2010
  return nn.Conv2d(width, classes, 3, { padding = 1, initial = { "uniform", -bound, bound } })
end

-- The encoder without its head, and without values, which load_weights brings.
local function encoder_of(options)
  local registry = require("tlua.models").registry
  local entry, given = registry.entry(options.encoder), { in_channels = options.in_channels, weights = options.weights,
    weights_key = options.weights_key }
  if entry.file then util.failf("models.unet: %s is no encoder; resnet34 and its like are", entry.name) end
  if entry.class == UNet then util.fail "models.unet: a U-Net is no encoder; resnet34 and its like are" end
  if (entry.options or {}).drop_connect then given.drop_connect = options.drop_connect end
  local net = registry.build(options.encoder, given)
  rawset(net, "_pending", nil)
  return net
end

function UNet:init(_, options)
  local encoder = encoder_of(options)
  local maps = maps_of(encoder)
  prune(encoder, maps)
  rawset(self, "maps", maps)
  rawset(self, "first_name", "encoder." .. encoder.first_name)
  self.encoder = encoder
  self.decoder = Decoder(options.encoder, maps)
  self.segmentation_head = nn.Sequential(head_of(WIDTHS[#WIDTHS], options.classes))
  rawset(self, "features_width", WIDTHS[#WIDTHS])
end

function UNet:label() return ("%s of %s"):format(self.entry and self.entry.name or "unet", self.encoder.entry.name) end

-- What a task that names no head gives this network.
function UNet:default_head(classes) return head_of(self.features_width, classes) end

-- Between the stages go lists: the maps that the decoder still wants, from the largest on, and last what the next stage
-- takes. A list of one is that tensor.
local function with_last(list, kept, y)
  local out = { table.unpack(core.is_tensor(list) and { list } or list, 1, kept) }
  out[#out + 1] = y
  return #out > 1 and out or y
end
local function last_of(list)
  if core.is_tensor(list) then return list, 1 end
  return list[#list], #list
end

local function encoder_stage(self, k)
  local stage, kept = self.maps[k].stage, k > 1 and self.maps[k - 1].skip
  local modules = {}
  for i, name in ipairs(stage.modules) do modules[i] = "encoder." .. name end
  return { name = "encoder." .. stage.name, modules = modules, run = function(me, list)
    local x, n = last_of(list)
    return with_last(list, kept and n or n - 1, stage.run(me.encoder, x))
  end }
end

local function block_stage(self, i)
  local name, wants = "decoder.blocks." .. i - 1, self.decoder.skips[STRIDE >> i]
  return { name = name, modules = { name }, run = function(me, list)
    local x, n = last_of(list)
    local y = me.decoder.blocks:at(i)(x, wants and list[n - 1] or nil)
    return with_last(list, wants and n - 2 or n - 1, y)
  end }
end

function UNet:stages()
  local list = {}
  for k in ipairs(self.maps) do list[k] = encoder_stage(self, k) end
  if self.decoder.center then
    list[#list + 1] = { name = "decoder.center", modules = { "decoder.center" }, run = function(me, maps)
      local x, n = last_of(maps)
      return with_last(maps, n - 1, me.decoder.center(x))
    end }
  end
  for i in ipairs(WIDTHS) do list[#list + 1] = block_stage(self, i) end
  return list
end

-- Pictures of other sizes would not come back to their own size.
function UNet:features(x)
  local h, w = x:shape(2), x:shape(3)
  if h % STRIDE ~= 0 or w % STRIDE ~= 0 then
    local function near(n) return math.max(STRIDE, (n + STRIDE // 2) // STRIDE * STRIDE) end
    util.failf("%s: height and width of pictures must be multiples of %d, not %d x %d: --data.size %d", self:label(),
      STRIDE, h, w, near(math.max(h, w)))
  end
  local y = Network.features(self, x)
  return y
end

function UNet:features_cost(shape)
  local all, out, n = 0, shape, 0
  for _, each in ipairs(self.maps) do
    out, n = shape_after(self.encoder, each.stage, out)
    all = all + n
  end
  if self.decoder.center then
    out, n = self.decoder.center:cost(out)
    all = all + n
  end
  for i in ipairs(WIDTHS) do
    out, n = self.decoder.blocks:at(i):cost { out[1], 2 * out[2], 2 * out[3],
      out[4] + (self.decoder.skips[STRIDE >> i] or 0) }
    all = all + n
  end
  return out, all
end

-- ---- weights ----

-- Does a file hold a U-Net, and not an encoder alone?
local function holds_decoder(path)
  for _, name in ipairs(core.exists(path) and core.entries(path) or {}) do
    if tostring(type(name) == "table" and name.name or name):find("decoder.blocks.", 1, true) then return true end
  end
  return false
end

-- Those of the encoder, from its published set or a file of it; a file of a whole U-Net gives all.
function UNet:load_weights(spec, key)
  local known = self.encoder.entry.weights and self.encoder.entry.weights[spec]
  if not known and type(spec) == "string" and key == nil and core.exists(core.path(spec))
    and holds_decoder(util.model_path(core.path(spec))) then
    return Network.load_weights(self, spec)
  end
  local o = self.encoder.network_options
  local whole = require("tlua.models").registry.build(self.encoder.entry.name,
    { weights = spec, weights_key = key, in_channels = o.in_channels })
  rawset(whole, "quiet", true) -- of its head nothing is said, since none is wanted
  whole:ready()
  for _, each in ipairs(self.encoder:specs()) do
    local m, name = each.module, each.spec.name
    local from = each.path:match "^(.*)%.[^.]+$"
    local value = (from and whole:find(from) or whole)._tensors[name]
    if m._tensors[name] then m._tensors[name]:copy_(value) else m:_adopt(each.spec, value) end
  end
  self.encoder:walk(function(m, path)
    for name, n in pairs(path ~= "" and whole:find(path):counters() or {}) do m:set_counter(name, n) end
  end)
  for _, name in ipairs { "weights_path", "weights_set", "weights_name", "weights_report" } do
    rawset(self, name, rawget(whole, name))
    rawset(self.encoder, name, rawget(whole, name))
  end
  return rawget(whole, "weights_report")
end

-- The encoder's, but that a whole picture is looked at, at a size that its maps divide.
function UNet:preprocessing()
  if rawget(self, "file_preprocessing") then return self.file_preprocessing end
  local out = {}
  for name, value in pairs(self.encoder:preprocessing()) do out[name] = value end
  out.size, out.fit, out.resize = (out.size + STRIDE - 1) // STRIDE * STRIDE, "stretch", nil
  return out
end

function UNet:labels() return rawget(self, "file_labels") end

-- encoder = a network that is only described: its name and options are taken.
local function read(given)
  local net = given.encoder
  if net == nil or type(net) == "string" then return given end
  if not module.is_module(net) or not rawget(net, "entry") then
    util.fail 'models.unet: encoder must be a name or a network of the registry, like "resnet34"'
  end
  if rawget(net, "_built") then
    util.failf("models.unet: the encoder %s has its values already, and only a network that is described can be taken: "
      .. "name the file of its weights", net:label())
  end
  local o = net.network_options
  given.encoder = net.entry.name
  for _, name in ipairs { "weights", "weights_key", "in_channels", "drop_connect" } do
    if given[name] == nil then given[name] = o[name] end
  end
  return given
end

return function(registry)
  registry.add { name = "unet", class = UNet, size = 224, classes = 2, read = read, fields = {
    { "encoder", "text", "resnet34", "the network of the registry whose maps it reads" },
    { "drop_connect", "number", nil, "option of the encoder's family, where it has it", least = 0, below = 1 } },
    -- For listings; what counts is the encoder's own.
    preprocessing = parts.preprocessing(224, 256) }
end
