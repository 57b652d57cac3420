-- yolov8.lua - YOLOv8's networks, written after keras-cv 0.9.0 (Apache-2.0: models/object_detection/yolo_v8) and the
-- papers of their parts: cross stage partial blocks whose every bottleneck is seen by the last convolution, a path
-- aggregation network, and a head without anchors or objectness that gives a distribution for each side of a box (Li et
-- al. 2020, GFL). Names are those of the state dicts of published files. Where these differ from keras-cv they are
-- followed: all blocks above the backbone are as deep as one another.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local Detector = require "tlua.models.detect.detector"
local parts = require "tlua.models.detect.parts"
local ops = core.ops

local BINS = 16
local BOX = 4 * BINS

-- ---- blocks ----

-- One convolution makes two halves; the second goes through `n` bottlenecks, one behind the other, and the last
-- convolution takes both halves and what each bottleneck gave.
local C2f = module.class("yolov8.C2f")
C2f.scoped, C2f.order = true, { "cv1", "m", "cv2" }
function C2f:init(width, out, n, shortcut)
  local half, list = out // 2, {}
  self.cv1 = parts.ConvNorm(width, 2 * half, 1)
  self.cv2 = parts.ConvNorm((2 + n) * half, out, 1)
  for i = 1, n do
    list[i] = parts.Bottleneck(half, { names = { "cv1", "cv2" }, kernels = { 3, 3 }, shortcut = shortcut })
  end
  self.m = nn.ModuleList(list)
  rawset(self, "half", half)
end
function C2f:forward(x)
  local list = { self.cv1(x) }
  local y = ops.slice(list[1], -1, self.half, self.half)
  for i = 1, self.m:length() do
    y = self.m:at(i)(y)
    list[i + 1] = y
  end
  list[#list + 1] = { axis = -1 }
  y = self.cv2(ops.concat(table.unpack(list)))
  return y
end
function C2f:cost(shape)
  local inner, all = self.cv1:cost(shape)
  local n = self.m:length()
  local half = { inner[1], inner[2], inner[3], self.half }
  for i = 1, n do all = all + select(2, self.m:at(i):cost(half)) end
  local out, m = self.cv2:cost { half[1], half[2], half[3], (2 + n) * self.half }
  return out, all + m
end

-- What stands at the numbers of the published state dicts; some have no tensors.
local Layers = module.class("yolov8.Layers")

-- The branches of classes at all levels: two convolutions and the layer of classes.
local Branches = module.class("yolov8.Branches", nn.ModuleList)
function Branches:label() return parts.classes_text(self) end

local Head = module.class("yolov8.Head")
function Head:init(widths, box, class, classes)
  local boxes, branches = {}, Branches()
  branches.classes = classes
  for k, width in ipairs(widths) do
    boxes[k] = nn.Sequential(parts.ConvNorm(width, box, 3), parts.ConvNorm(box, box, 3), nn.Conv2d(box, BOX, 1))
    branches:append(nn.Sequential(parts.ConvNorm(width, class, 3), parts.ConvNorm(class, class, 3),
      parts.prior_layer(class, classes)))
  end
  self.cv2 = nn.ModuleList(boxes)
  self.cv3 = branches
  -- In files the mean of a distribution is a convolution with fixed numbers; who decodes boxes works it out.
  local mean = Layers()
  mean:buffer("weight", { 1, BINS, 1, 1 }, { "values", function()
    local list = {}
    for i = 1, BINS do list[i] = { { i - 1 } } end
    return { list }
  end })
  self.dfl = Layers()
  self.dfl.conv = mean
end

-- ---- the network ----

local YOLOv8 = module.class("models.YOLOv8", Detector)
YOLOv8.form, YOLOv8.bins, YOLOv8.objectness, YOLOv8.box_numbers = "distribution", BINS, false, BOX
YOLOv8.first_name, YOLOv8.head_name = "model.0.conv", "model.22.cv3"
YOLOv8.head_parts = { "model.22.cv3.0.2", "model.22.cv3.1.2", "model.22.cv3.2.2" }
YOLOv8.class_paths = YOLOv8.head_parts
YOLOv8.trained_parts = { "model.22.cv2.0.2", "model.22.cv2.1.2", "model.22.cv2.2.2",
  table.unpack(YOLOv8.head_parts) }
YOLOv8.wanted = { "box3", "class3", "box4", "class4", "box5", "class5" }

-- Outputs of the convolutions that halve the picture, from the first on.
local WIDTHS = { 64, 128, 256, 512, 1024 }
local BLOCKS = { 3, 6, 6, 3 } -- bottlenecks behind each of them but the first
local NECK = 3

function YOLOv8:init(entry, options)
  local v, c = entry.arguments, {}
  for i, n in ipairs(WIDTHS) do c[i] = math.tointeger(math.min(n, v.most) * v.width // 1) end
  local function repeats(n) return math.max(1, math.tointeger((n * v.depth + 0.5) // 1)) end
  local list, n = Layers(), repeats(NECK)
  list["0"] = parts.ConvNorm(options.in_channels, c[1], 3, { stride = 2 })
  for i = 2, 5 do
    list[tostring(2 * i - 3)] = parts.ConvNorm(c[i - 1], c[i], 3, { stride = 2 })
    list[tostring(2 * i - 2)] = C2f(c[i], c[i], repeats(BLOCKS[i - 1]), true)
  end
  list["9"] = parts.Pyramid(c[5], { "cv1", "cv2" })
  list["12"] = C2f(c[5] + c[4], c[4], n, false)
  list["15"] = C2f(c[4] + c[3], c[3], n, false)
  list["16"] = parts.ConvNorm(c[3], c[3], 3, { stride = 2 })
  list["18"] = C2f(c[3] + c[4], c[4], n, false)
  list["19"] = parts.ConvNorm(c[4], c[4], 3, { stride = 2 })
  list["21"] = C2f(c[4] + c[5], c[5], n, false)
  -- Kept where the number of classes changes, so that the branch of the weights fits.
  options.class_width = options.class_width or math.max(c[3], options.classes)
  list["22"] = Head({ c[3], c[4], c[5] }, math.max(BOX, c[3] // 4), options.class_width, options.classes)
  self.model = list
end

local function head_step(k, takes)
  local box, class = ("model.22.cv2.%d"):format(k - 1), ("model.22.cv3.%d"):format(k - 1)
  local own = { box .. ".0", box .. ".1", class .. ".0", class .. ".1" }
  return { name = "model.22." .. k - 1, modules = own, takes = { takes },
    gives = { YOLOv8.wanted[2 * k - 1], YOLOv8.wanted[2 * k] },
    run = function(self, x)
      local a, b = self:find(own[1])(x), self:find(own[3])(x)
      return self:find(own[2])(a), self:find(own[4])(b)
    end,
    cost = function(self, shape)
      local out, all = {}, 0
      for i = 1, 4 do
        local n
        out[i], n = self:find(own[i]):cost(i % 2 == 1 and shape or out[i - 1])
        all = all + n
      end
      return all, out[2], out[4]
    end }
end

function YOLOv8:steps()
  local function plain(i, takes, gives) return parts.plain("model." .. i, takes, gives) end
  return {
    plain(0, "x", "c1"), plain(1, "c1", "c2"), plain(2, "c2", "d2"), plain(3, "d2", "c3"), plain(4, "c3", "d3"),
    plain(5, "d3", "c4"), plain(6, "c4", "d4"), plain(7, "d4", "c5"), plain(8, "c5", "d5"), plain(9, "d5", "s5"),
    parts.up("model.12", "s5", "d4", "f4"), parts.up("model.15", "f4", "d3", "p3"),
    head_step(1, "p3"),
    parts.down("model.16", "model.18", "p3", "f4", "p4"), head_step(2, "p4"),
    parts.down("model.19", "model.21", "p4", "s5", "p5"), head_step(3, "p5"),
  }
end

function YOLOv8:rows(k, box, class)
  local head = self:find "model.22"
  return parts.rows(head.cv2:at(k):at(3)(box), head.cv3:at(k):at(3)(class))
end

function YOLOv8:rows_cost(k, box, class)
  local head = self:find "model.22"
  return select(2, head.cv2:at(k):at(3):cost(box)) + select(2, head.cv3:at(k):at(3):cost(class))
end

function YOLOv8:weight_order()
  local list = {}
  local function add(...)
    for _, name in ipairs { ... } do list[#list + 1] = "model." .. name end
  end
  add(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, "22.cv2.0", "22.cv3.0", 16, 18, "22.cv2.1", "22.cv3.1", 19, 21, "22.cv2.2",
    "22.cv3.2")
  return list
end

-- ---- the registry ----

-- depth, width, the most channels before they are multiplied
local VARIANTS = { n = { 1 / 3, 0.25, 1024 }, s = { 1 / 3, 0.5, 1024 }, m = { 2 / 3, 0.75, 768 }, l = { 1, 1, 512 },
  x = { 1, 1.25, 512 } }
local SIZE = 640

return function(registry)
  for _, letter in ipairs { "n", "s", "m", "l", "x" } do
    local each = VARIANTS[letter]
    registry.add { name = "yolov8" .. letter, class = YOLOv8, size = SIZE, classes = 80,
      arguments = { depth = each[1], width = each[2], most = each[3] },
      preprocessing = { size = SIZE, fit = "letterbox", interpolation = "linear", mean = 0, std = 1 },
      fields = { parts.KEEP_CLASSES, { "class_width", "integer", nil, "channels of the branches of classes: as many as "
        .. "there are classes, and at least those of the finest map", least = 1 } } }
  end
end
