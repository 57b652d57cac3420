-- detector.lua - what the networks of the registry that find boxes share. A forward gives one tensor (N, A, width): a
-- row for each cell, levels of strides 8, 16 and 32 one after the other, cells row by row, numbers raw as the last
-- layers give them; levels() says what they mean. The order of the classes is that of the weights.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local Network = require "tlua.models.network"
local parts = require "tlua.models.detect.parts"
local folded = require "tlua.models.detect.folded"
local statistics = require "tlua.models.detect.statistics"
local ops = core.ops

-- A subclass has: steps() -> its way from pictures ("x") to the maps that the last layers take (tlua/models/detect/
-- parts.lua), wanted = the names of these maps, level by level; rows(level, maps) -> tensors (N, h w, C) of a level,
-- numbers of boxes first and classes last; class_paths = where the layers of classes stand, a level each; box_numbers =
-- what a row has beside the classes; form, bins, objectness; weight_order() -> paths of all that convolves, in the
-- order of the graph (tlua/models/detect/folded.lua).
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

-- What rows mean: strides of the levels; form: "offsets" (x, y, log w, log h in strides, from the cell) or
-- "distribution" (of left, top, right, bottom over `bins` strides); objectness: whether a logit of it stands in front
-- of the classes.
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

-- The classes of `names` that the weights know: {{new =, old =}, ...}, numbers of rows.
local function kept_rows(self, names)
  local own, at, list = self:labels(), {}, {}
  if not own or not names then
    util.failf("%s: keep_classes: the names of the %s are not known", self:label(), own and "new classes"
      or "weights' classes")
  end
  for i, name in ipairs(own) do at[name] = at[name] or i end
  for i, name in ipairs(names) do
    if at[name] then list[#list + 1] = { new = i, old = at[name] } end
  end
  if #list == 0 then
    util.failf("%s: keep_classes: no class of the data (%s) is one of the weights' (%s)", self:label(),
      util.first_few(names, 6), util.first_few(own, 6))
  end
  return list
end

-- The parts that train whatever is frozen: the last layers of classes, boxes and objectness; where classes are kept those
-- of classes alone, since all else would change what the kept ones answer.
function Detector:head_trained()
  return self.network_options.keep_classes and self.class_paths or self.trained_parts
end

-- New layers of so many classes, for set_head: all else, boxes and objectness too, stays what it is. With the option
-- keep_classes rows of classes that the weights know, by their names, are taken over.
function Detector:default_head(classes, names)
  local widths = {}
  for k, path in ipairs(self.class_paths) do widths[k] = self:find(path).in_channels end
  local head = parts.ClassLayers(widths, classes)
  if self.network_options.keep_classes then head.kept = kept_rows(self, names) end
  return head
end

-- Must layers of these classes be made anew although there are as many, since rows would be others?
function Detector:takes_rows(names)
  return names ~= nil and self.network_options.keep_classes and not util.same_shape(names, self:labels() or {})
end

-- The rows of `old` in their new places of `new`, two layers of classes.
local function take_rows(old, new, kept)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local from = {}
  for _, each in ipairs(kept) do from[each.new] = each.old end
  new:ready()
  for _, name in ipairs { "weight", "bias" } do
    local rows = {}
    for i = 1, new.out_channels do
      rows[i] = ops.slice(from[i] and old[name] or new[name], 1, (from[i] or i) - 1, 1)
    end
    rows[#rows + 1] = { axis = 1 }
    new[name]:copy_(ops.concat(table.unpack(rows)))
  end
end

function Detector:set_head(head)
  if head._class ~= parts.ClassLayers._class then
    util.failf("%s: its head are layers of its own, for as many classes as the data have: leave head out", self:label())
  end
  if head.kept then self:ready() end
  for k, path in ipairs(self.class_paths) do
    local above, key = path:match "^(.*)%.([^.]+)$"
    local old, new = self:find(path), head:at(k)
    self:find(above)[key] = new
    rawset(new, "_frozen", {})
    if head.kept then take_rows(old, new, head.kept) end
  end
  local list = self:find(self.head_name) -- says how many there are
  list.classes, list.kept = head.classes, head.kept
  rawset(self, "classes", head.classes)
  rawset(self, "other_classes", true)
  self:_touch()
  return self
end

function Detector:labels()
  if rawget(self, "other_classes") then return nil end
  if rawget(self, "file_labels") then return self.file_labels end
  local names = rawget(self, "weights_labels") or require "tlua.models.detect.coco_labels"
  if self.classes == #names and self.network_options.weights then return names end
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
    local tensors, labels = folded.tensors(self, source, o.what)
    local report = Network.load(self, tensors, o)
    rawset(self, "file_labels", not report.head_dropped and labels or nil)
    return report
  end
  return Network.load(self, source, options)
end

function Detector:load_weights(spec, key)
  local report = Network.load_weights(self, spec, key)
  local labels = rawget(self, "file_labels")
  if self.network_options.keep_classes and report.head_dropped then
    util.failf("%s: keep_classes: the layers of classes of %s are not for %d classes: classes = %s", self:label(),
      self.weights_path, self.classes, labels and #labels or "as many as it has")
  end
  return report
end

-- Has the network batch norms without statistics, since an ONNX file had them folded?
function Detector:wants_statistics() return #statistics.missing(self) > 0 end

-- Measures these by the inputs (N, H, W, C) that the iterator function `batches` gives, one forward each; the network
-- answers the same before and after. Returns how many norms and pictures that were.
function Detector:measure_statistics(batches) return statistics.measure(self, batches) end

util.seal(Detector, "", 1, { forward = true, init = true })
return Detector
