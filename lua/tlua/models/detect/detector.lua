-- detector.lua - what the networks of the registry that find boxes share. A forward gives one tensor (N, A, width): a
-- row for each cell, levels of strides 8, 16 and 32 one after the other, cells row by row, numbers raw as the last
-- layers give them; levels() says what they mean. The order of the classes is that of the weights.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local Network = require "tlua.models.network"
local parts = require "tlua.models.detect.parts"
local folded = require "tlua.models.detect.folded"
local ops = core.ops

-- A subclass has: steps() -> its way from pictures ("x") to the maps that the last layers take (tlua/models/detect/
-- parts.lua), wanted = the names of these maps, level by level; rows(level, maps) -> tensors (N, h w, C) of a level,
-- numbers of boxes first and classes last; class_paths = where the layers of classes stand, a level each; box_numbers =
-- what a row has beside the classes; form, bins, objectness; weight_order() -> paths of all that convolves, in the order
-- of the graph (tlua/models/detect/folded.lua).
local Detector = module.class("models.Detector", Network)
Detector.gives, Detector.lists = "levels", true

local STRIDE = parts.STRIDES[#parts.STRIDES]

local function steps_of(self)
  local list = rawget(self, "_steps")
  if not list then
    list = self:steps()
    rawset(self, "_steps", list)
  end
  return list
end

function Detector:stages() return parts.stages(steps_of(self), "x", self.wanted) end

-- What rows mean: strides of the levels; form: "offsets" (x, y, log w, log h in strides, from the cell) or "distribution"
-- (of left, top, right, bottom over `bins` strides); objectness: whether a logit of it stands in front of the classes.
function Detector:levels()
  return { strides = { table.unpack(parts.STRIDES) }, form = self.form, bins = self.bins, objectness = self.objectness }
end

-- ---- forward ----

local function check_picture(self, x)
  local shape = x:shape()
  if #shape ~= 4 then
    util.failf("%s: pictures (N, H, W, %d) are wanted, not %s", self:label(), self.network_options.in_channels,
      util.shape_text(shape))
  end
  local h, w = shape[2], shape[3]
  if h % STRIDE ~= 0 or w % STRIDE ~= 0 then
    local function near(n) return math.max(STRIDE, (n + STRIDE // 2) // STRIDE * STRIDE) end
    util.failf("%s: height and width of pictures must be multiples of %d, not %d x %d: --data.size %d", self:label(),
      STRIDE, h, w, near(math.max(h, w)))
  end
end

function Detector:features(x)
  check_picture(self, x)
  local y = Network.features(self, x)
  return y
end

-- Maps of all levels, as a list -> (N, A, width).
function Detector:classify(maps)
  local scope <close> = core.scope()
  local list, each = {}, #maps // #parts.STRIDES
  for k = 1, #parts.STRIDES do
    list[k] = self:rows(k, table.unpack(maps, (k - 1) * each + 1, k * each))
  end
  list[#list + 1] = { axis = 2 }
  local y = ops.concat(table.unpack(list))
  scope:keep(y)
  return y
end

function Detector:cost(shape)
  local maps, n = parts.cost(self, steps_of(self), "x", shape, self.wanted)
  local each, cells = #maps // #parts.STRIDES, 0
  for k = 1, #parts.STRIDES do
    n = n + self:rows_cost(k, table.unpack(maps, (k - 1) * each + 1, k * each))
    cells = cells + maps[k * each][2] * maps[k * each][3]
  end
  return { shape[1], cells, self.box_numbers + self.classes }, n
end

-- ---- heads ----

-- New layers of so many classes, for set_head: all else, boxes and objectness too, stays what it is.
function Detector:default_head(classes)
  local widths = {}
  for k, path in ipairs(self.class_paths) do widths[k] = self:find(path).in_channels end
  return parts.ClassLayers(widths, classes)
end

function Detector:set_head(head)
  if head._class ~= parts.ClassLayers._class then
    util.failf("%s: its head are layers of its own, for as many classes as the data have: leave head out", self:label())
  end
  for k, path in ipairs(self.class_paths) do
    local above, key = path:match "^(.*)%.([^.]+)$"
    self:find(above)[key] = head:at(k)
    head:at(k)._frozen = {}
  end
  local list = self:find(self.head_name) -- says how many there are
  list.classes = head.classes
  rawset(self, "classes", head.classes)
  rawset(self, "other_classes", true)
  self:_touch()
  return self
end

function Detector:labels()
  if rawget(self, "file_labels") then return self.file_labels end
  local names = require "tlua.models.detect.coco_labels"
  if not rawget(self, "other_classes") and self.classes == #names and self.network_options.weights then return names end
end

-- ---- weights ----

-- Files of ONNX too, whose batch norms are folded or not.
function Detector:load(source, options)
  if type(source) == "string" and source:lower():find "%.onnx$" then
    local o = {}
    for key, v in pairs(options or {}) do o[key] = v end
    if o.key ~= nil then util.failf("load: key chooses a part of a file, and %s has none", source) end
    o.what = o.what or source
    local scope <close> = core.scope()
    return Network.load(self, folded.tensors(self, source, o.what), o)
  end
  return Network.load(self, source, options)
end

util.seal(Detector, "", 1, { forward = true, init = true })
return Detector
