-- yolox.lua - YOLOX (Ge et al. 2021) as Megvii's code has it (Apache-2.0): CSPDarknet behind a focus on neighbouring
-- pixels, a path aggregation network over its last three maps, and a head whose classes and boxes have branches of
-- their own. Names are those of its state dict.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Detector = require "tlua.models.detect.detector"
local parts = require "tlua.models.detect.parts"
local ops = core.ops

local LEVELS = #parts.STRIDES

-- ---- blocks ----

-- The stem of YOLOX puts four pixels of the picture (upper left, lower left, upper right, lower right) into one of
-- twelve channels, and convolves 3 x 3 of these: the same as 6 x 6 pixels of the picture in steps of two, which is
-- computed here, since pixels need not be moved then. The weight is the published one (O, 12, 3, 3). Published weights
-- were trained on blue, green, red, as OpenCV reads files, and pictures here are red, green, blue.
local function reversed(w)
  local list = {}
  for c = 3, 1, -1 do list[#list + 1] = ops.slice(w, 2, c - 1, 1) end
  list[#list + 1] = { axis = 2 }
  return (ops.concat(table.unpack(list)))
end
-- (O, 4 C, 3, 3), channels as right, lower, C, to (O, C, 6, 6).
local function of_pixels(w)
  local scope <close> = core.scope()
  local o, c = w:shape(1), w:shape(2) // 4
  local y = ops.permute(w:reshape { o, 2, 2, c, 3, 3 }, { axes = { 1, 4, 5, 3, 6, 2 } }):reshape { o, c, 6, 6 }
  if c == 3 then y = reversed(y) end
  scope:keep(y)
  return y
end

-- The way back, for files that have the convolution as it is computed.
local function of_channels(w)
  local o, c = w:shape(1), w:shape(2)
  if c == 3 then w = reversed(w) end
  return (ops.permute(w:reshape { o, c, 3, 2, 3, 2 }, { axes = { 1, 6, 4, 2, 3, 5 } }):reshape { o, 4 * c, 3, 3 })
end

local Focus = module.class("yolox.Focus")
Focus.scoped = true
function Focus:init(channels, out)
  self.conv = parts.ConvNorm(4 * channels, out, 3)
  rawset(self.conv.conv, "used_weight", of_pixels)
  rawset(self.conv.conv, "file_weight", of_channels)
  rawset(self.conv.conv, "attributes", { stride = { 2, 2 }, padding = { 2, 2 }, padding_end = { 2, 2 },
    dilation = { 1, 1 }, groups = 1 })
end
function Focus:forward(x)
  local y = self.conv(x)
  return y
end
function Focus:cost(shape) return self.conv:cost { shape[1], shape[2] // 2, shape[3] // 2, 4 * shape[4] } end

-- Cross stage partial (Wang et al. 2019): half of the channels through `n` bottlenecks, the other half beside them.
local CSPLayer = module.class("yolox.CSPLayer")
CSPLayer.scoped, CSPLayer.order = true, { "conv1", "m", "conv2", "conv3" }
function CSPLayer:init(width, out, n, shortcut, depthwise)
  local hidden, list = out // 2, {}
  self.conv1 = parts.ConvNorm(width, hidden, 1)
  self.conv2 = parts.ConvNorm(width, hidden, 1)
  self.conv3 = parts.ConvNorm(2 * hidden, out, 1)
  for i = 1, n do
    list[i] = parts.Bottleneck(hidden, { names = { "conv1", "conv2" }, kernels = { 1, 3 }, shortcut = shortcut,
      kind = parts.kind(depthwise) })
  end
  self.m = nn.Sequential(list)
end
function CSPLayer:forward(x)
  local y = self.conv3(ops.concat(self.m(self.conv1(x)), self.conv2(x), { axis = -1 }))
  return y
end
function CSPLayer:cost(shape)
  local half, a = self.conv1:cost(shape)
  local _, b = self.m:cost(half)
  local _, c = self.conv2:cost(shape)
  local out, d = self.conv3:cost { half[1], half[2], half[3], 2 * half[4] }
  return out, a + b + c + d
end

-- ---- parts of the network ----

local CSPDarknet = module.class("yolox.CSPDarknet")
function CSPDarknet:init(v, channels)
  local base, depth, Conv = 64 * v.width // 1, math.max(1, (3 * v.depth + 0.5) // 1), parts.kind(v.depthwise)
  base, depth = math.tointeger(base), math.tointeger(depth)
  self.stem = Focus(channels, base)
  for k = 2, 5 do
    local width, out = base << (k - 2), base << (k - 1)
    local list = { Conv(width, out, 3, { stride = 2 }) }
    if k == 5 then list[2] = parts.Pyramid(out, { "conv1", "conv2" }) end
    list[#list + 1] = CSPLayer(out, out, (k == 3 or k == 4) and 3 * depth or depth, k < 5, v.depthwise)
    self["dark" .. k] = nn.Sequential(list)
  end
end

-- The backbone with what stands above it, as YOLOX's files have it.
local Pafpn = module.class("yolox.PAFPN")
function Pafpn:init(v, channels, widths)
  local n, Conv = math.tointeger((3 * v.depth + 0.5) // 1), parts.kind(v.depthwise)
  local w3, w4, w5 = table.unpack(widths)
  local function csp(width, out) return CSPLayer(width, out, n, false, v.depthwise) end
  self.backbone = CSPDarknet(v, channels)
  self.lateral_conv0 = parts.ConvNorm(w5, w4, 1)
  self.C3_p4 = csp(2 * w4, w4)
  self.reduce_conv1 = parts.ConvNorm(w4, w3, 1)
  self.C3_p3 = csp(2 * w3, w3)
  self.bu_conv2 = Conv(w3, w3, 3, { stride = 2 })
  self.C3_n3 = csp(2 * w3, w4)
  self.bu_conv1 = Conv(w4, w4, 3, { stride = 2 })
  self.C3_n4 = csp(2 * w4, w5)
end

local Head = module.class("yolox.Head")
function Head:init(v, widths, classes)
  local hidden, Conv = math.tointeger(256 * v.width // 1), parts.kind(v.depthwise)
  local lists, order = {}, { "cls_convs", "reg_convs", "cls_preds", "reg_preds", "obj_preds", "stems" }
  for _, name in ipairs(order) do lists[name] = {} end
  local function two() return nn.Sequential(Conv(hidden, hidden, 3), Conv(hidden, hidden, 3)) end
  local all = {}
  for k = 1, LEVELS do
    lists.cls_convs[k], lists.reg_convs[k] = two(), two()
    lists.reg_preds[k] = nn.Conv2d(hidden, 4, 1)
    lists.obj_preds[k] = parts.prior_layer(hidden, 1)
    lists.stems[k] = parts.ConvNorm(widths[k], hidden, 1)
    all[k] = hidden
  end
  for _, name in ipairs(order) do
    self[name] = name == "cls_preds" and parts.ClassLayers(all, classes) or nn.ModuleList(lists[name])
  end
end

-- ---- the network ----

local YOLOX = module.class("models.YOLOX", Detector)
YOLOX.form, YOLOX.objectness, YOLOX.box_numbers = "offsets", true, 5
YOLOX.first_name, YOLOX.head_name, YOLOX.head_parts = "backbone.backbone.stem.conv.conv", "head.cls_preds",
  { "head.cls_preds" }
YOLOX.trained_parts = { "head.cls_preds", "head.reg_preds", "head.obj_preds" }
YOLOX.wanted = { "box3", "class3", "box4", "class4", "box5", "class5" }
YOLOX.class_paths = { "head.cls_preds.0", "head.cls_preds.1", "head.cls_preds.2" }

function YOLOX:init(entry, options)
  local v, widths = entry.arguments, {}
  for k, n in ipairs { 256, 512, 1024 } do widths[k] = math.tointeger(n * v.width // 1) end
  self.backbone = Pafpn(v, options.in_channels, widths)
  self.head = Head(v, widths, options.classes)
end

-- The branches of a level: what boxes and objectness are made of, and what classes are.
local function head_step(k, takes)
  local function path(name) return ("head.%s.%d"):format(name, k - 1) end
  local stem, box, class = path "stems", path "reg_convs", path "cls_convs"
  return { name = "head." .. k - 1, modules = { stem, box, class }, takes = { takes },
    gives = { YOLOX.wanted[2 * k - 1], YOLOX.wanted[2 * k] },
    run = function(self, x)
      local y = self:find(stem)(x)
      return self:find(box)(y), self:find(class)(y)
    end,
    cost = function(self, shape)
      local y, n = self:find(stem):cost(shape)
      local a, m = self:find(box):cost(y)
      local b, o = self:find(class):cost(y)
      return n + m + o, a, b
    end }
end

function YOLOX:steps()
  local function below(name) return "backbone.backbone." .. name end
  local function above(name) return "backbone." .. name end
  return {
    parts.plain(below "stem", "x", "c1"), parts.plain(below "dark2", "c1", "c2"),
    parts.plain(below "dark3", "c2", "c3"), parts.plain(below "dark4", "c3", "c4"),
    parts.plain(below "dark5", "c4", "c5"), parts.plain(above "lateral_conv0", "c5", "l5"),
    parts.up(above "C3_p4", "l5", "c4", "f4"), parts.plain(above "reduce_conv1", "f4", "l4"),
    parts.up(above "C3_p3", "l4", "c3", "p3"),
    parts.down(above "bu_conv2", above "C3_n3", "p3", "l4", "p4"),
    parts.down(above "bu_conv1", above "C3_n4", "p4", "l5", "p5"),
    head_step(1, "p3"), head_step(2, "p4"), head_step(3, "p5"),
  }
end

function YOLOX:rows(k, box, class)
  local head = self:find "head"
  return parts.rows(head.reg_preds:at(k)(box), head.obj_preds:at(k)(box), head.cls_preds:at(k)(class))
end

function YOLOX:rows_cost(k, box, class)
  local head, all = self:find "head", 0
  for name, shape in pairs { reg_preds = box, obj_preds = box, cls_preds = class } do
    all = all + select(2, head[name]:at(k):cost(shape))
  end
  return all
end

function YOLOX:weight_order()
  local list = {}
  for _, name in ipairs { "backbone", "lateral_conv0", "C3_p4", "reduce_conv1", "C3_p3" } do
    list[#list + 1] = "backbone." .. name
  end
  for k = 1, LEVELS do
    for _, name in ipairs { "stems", "reg_convs", "reg_preds", "obj_preds", "cls_convs", "cls_preds" } do
      list[#list + 1] = ("head.%s.%d"):format(name, k - 1)
    end
    if k == 1 then table.move({ "backbone.bu_conv2", "backbone.C3_n3" }, 1, 2, #list + 1, list) end
    if k == 2 then table.move({ "backbone.bu_conv1", "backbone.C3_n4" }, 1, 2, #list + 1, list) end
  end
  return list
end

-- ---- the registry ----

local VARIANTS = { { "nano", 0.33, 0.25, 416 }, { "tiny", 0.33, 0.375, 416 }, { "s", 0.33, 0.5, 640 },
  { "m", 0.67, 0.75, 640 } }

local function published(name)
  local file = name .. ".pth"
  return { file = file, from = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/" .. file
    .. " has them (Apache-2.0)" }
end

return function(registry)
  for _, each in ipairs(VARIANTS) do
    local name = "yolox_" .. each[1]
    local p = { size = each[4], fit = "letterbox", interpolation = "linear", mean = 0, std = 1 / 255 }
    local set = published(name)
    set.preprocessing = p
    registry.add { name = name, class = YOLOX, size = each[4], classes = 80, preprocessing = p,
      arguments = { depth = each[2], width = each[3], depthwise = each[1] == "nano" }, weights = { coco = set },
      fields = { parts.KEEP_CLASSES } }
  end
end
