-- windows.lua - a network over a volume, or a picture, that is larger than what it is given at once: patch by patch
-- with overlap, and of what several patches say of a place the weighted mean. Places of patches, weights and the mean
-- are those of MONAI's sliding_window_inference (Cardoso et al. 2022), which are nnU-Net's but for the width of
-- overlaps.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local ops = core.ops
local windows = {}

local SIGMA, LEAST = 0.125, 1e-3 -- of gaussian weights: their deviation in sides of a patch, and the smallest of them
local SHARE, MOST = 1 / 16, 1 << 30 -- of the device's memory, and bytes: logits beyond that are not kept as a whole

local FIELDS = {
  { "patch", "any", nil, "the sides of a patch, or one number for all" },
  { "overlap", "number", 0.5, "share of a patch that the next one has too", least = 0, most = 0.99 },
  { "batch", "integer", 1, "patches that go through the network together", least = 1 },
  { "weights", "choice", "gaussian", "how much the middle of a patch counts more than its border",
    { "gaussian", "constant" } },
  { "classes_only", "boolean", false, "the likeliest class of each place instead of logits" },
  { "budget", "integer", nil, "bytes of logits beyond which there are classes only", least = 0 },
  { "tell", "func", nil, "is told how many of how many patches are done" },
}

-- ---- where patches lie ----

-- Where patches begin along a side of `size` (from 0), the last at its end.
local function starts(size, patch, overlap)
  if patch >= size then return { 0 } end
  local step, list = math.max(1, math.floor(patch * (1 - overlap))), {}
  for at = 0, size, step do
    list[#list + 1] = math.min(at, size - patch)
    if at + patch >= size then return list end
  end
end

-- All places of patches, those of the first side outermost: { {z, y, x}, ... }.
local function places(sides)
  local list = { {} }
  for _, along in ipairs(sides) do
    local longer = {}
    for _, before in ipairs(list) do
      for _, at in ipairs(along) do
        local place = { table.unpack(before) }
        place[#place + 1] = at
        longer[#longer + 1] = place
      end
    end
    list = longer
  end
  return list
end

-- What lies at `place` of t (1, ..., C), `size` large.
local function part_of(t, place, size)
  for i, at in ipairs(place) do t = ops.slice(t, i + 1, at, size[i]) end
  return t
end

-- ---- weights ----

-- The weight of each place of a patch, (1, ..., 1): a bell in each direction, never below LEAST.
local function bell(patch)
  local all, least = nil, 1
  for i, n in ipairs(patch) do
    local row, shape, smallest = {}, { 1 }, math.huge
    for k = 1, n do
      row[k] = math.exp(-((k - 1 - (n - 1) / 2) ^ 2) / (2 * (SIGMA * n) ^ 2))
      smallest = math.min(smallest, row[k])
    end
    for k = 1, #patch do shape[k + 1] = k == i and n or 1 end
    shape[#shape + 1] = 1
    local side = core.tensor(row):reshape(shape)
    all, least = all and all * side or side, least * smallest
  end
  return ops.clamp(all, { min = math.max(least, LEAST), max = 1 })
end

-- ---- sums ----

-- Sums of weighted logits and of weights over `deep` layers of the first side, from layer `base` on.
local Sum = {}
Sum.__index = Sum

local function zeros_of(size, deep, channels)
  local shape = { 1, table.unpack(size) }
  shape[2], shape[#shape + 1] = deep, channels
  return core.zeros(shape)
end

local function new_sum(size, deep, classes)
  return setmetatable({ base = 0, deep = deep, size = size, finite = true, logits = zeros_of(size, deep, classes),
    weights = zeros_of(size, deep, 1) }, Sum)
end

-- A patch's logits, weighted; in the order in which they come, whatever the batch.
function Sum:add(place, size, y, weight)
  local scope <close> = core.scope()
  local here = { place[1] - self.base, table.unpack(place, 2) }
  local to, counted = part_of(self.logits, here, size), part_of(self.weights, here, size)
  to:copy_(to + y * weight)
  counted:copy_(counted + weight)
end

-- Layers `from` to `from` + n: their mean. Numbers that are none are noted.
local function mean_of(self, from, n)
  local y = ops.slice(self.logits, 2, from, n) / ops.slice(self.weights, 2, from, n)
  self.finite = self.finite and util.is_finite(y:sum():item())
  return y
end

-- The sums become means, some layers at a time: no second volume of logits.
function Sum:finish(step)
  for from = 0, self.deep - 1, step do
    local scope <close> = core.scope()
    local n = math.min(step, self.deep - from)
    ops.slice(self.logits, 2, from, n):copy_(mean_of(self, from, n))
  end
  return self.logits
end

-- The first n layers are final: their classes go into `map`, and the layers behind them move up, n at a time, so that
-- no layer is written before it is read.
function Sum:flush(n, map)
  local scope <close> = core.scope()
  n = math.min(n, self.size[1] - self.base)
  ops.slice(map, 2, self.base, n):copy_(mean_of(self, 0, n):argmax(-1))
  for _, sums in ipairs { self.logits, self.weights } do
    for from = n, self.deep - 1, n do
      local count = math.min(n, self.deep - from)
      ops.slice(sums, 2, from - n, count):copy_(ops.slice(sums, 2, from, count))
    end
    ops.slice(sums, 2, self.deep - n, n):fill_(0)
  end
  self.base = self.base + n
end

-- ---- the whole ----

local function sides_of(x, patch)
  local rank = x:rank() - 2
  if rank < 1 or rank > 3 or x:shape(1) ~= 1 then
    util.failf("windows: one volume (1, D, H, W, C) or picture (1, H, W, C) is needed, not %s",
      util.shape_text(x:shape()))
  end
  local list = type(patch) == "table" and { table.unpack(patch) } or {}
  for i = 1, type(patch) == "number" and rank or 0 do list[i] = patch end
  if #list ~= rank then
    util.failf("windows: patch has the sides of a patch, %d whole numbers, or one for all", rank)
  end
  for i, n in ipairs(list) do list[i] = util.whole("windows", "patch", n) end
  return list
end

-- x with zeros around it where it is smaller than a patch, its size then, and how many come before.
local function padded(x, patch)
  local size, before, after, any = {}, { 0 }, { 0 }, false
  for i, n in ipairs(patch) do
    local missing = math.max(0, n - x:shape(i + 1))
    size[i], before[i + 1], after[i + 1] = x:shape(i + 1) + missing, missing // 2, missing - missing // 2
    any = any or missing > 0
  end
  before[#before + 1], after[#after + 1] = 0, 0
  return any and ops.pad(x, { before = before, after = after }) or x, size, before
end

local function check_output(y, n, patch)
  local wanted = { n, table.unpack(patch) }
  local same = core.is_tensor(y) and y:rank() == #wanted + 1
  for i, v in ipairs(wanted) do same = same and y:shape(i) == v end
  if not same then
    util.failf("windows: the network gives %s for patches of %s, and a map of classes as large as a patch is needed",
      core.is_tensor(y) and util.shape_text(y:shape()) or "a " .. type(y), table.concat(patch, " x "))
  end
end

local function budget_of(o)
  return o.budget or math.min(MOST, math.floor(core.device_info().bytes * SHARE))
end

-- The sum that a volume wants, and the map of classes where that is all there will be.
local function begin(size, patch, classes, o)
  local bytes = 4 * classes
  for _, n in ipairs(size) do bytes = bytes * n end
  if not o.classes_only and bytes <= budget_of(o) then return new_sum(size, size[1], classes) end
  return new_sum(size, math.min(patch[1], size[1]), classes),
    core.zeros({ 1, table.unpack(size) }, { dtype = "int32" })
end

-- `y` without what was padded.
local function cropped(y, x, before)
  for i = 2, x:rank() - 1 do
    if before[i] > 0 or y:shape(i) > x:shape(i) then y = ops.slice(y, i, before[i], x:shape(i)) end
  end
  return y
end

-- Patches `from` to `to` through the network, into the sum.
local function through(forward, x, w, from, to)
  local scope <close> = core.scope()
  local list = {}
  for i = from, to do list[#list + 1] = part_of(x, w.places[i], w.patch) end
  local n = #list
  list[n + 1] = { axis = 1 }
  local y = forward(n == 1 and list[1]:clone() or ops.concat(table.unpack(list)))
  check_output(y, n, w.patch)
  local classes = y:shape(-1)
  if not w.sum then
    w.sum, w.map = begin(w.size, w.patch, classes, w.options)
    scope:keep(w.sum.logits)
    scope:keep(w.sum.weights)
    if w.map then scope:keep(w.map) end
  end
  for i = from, to do
    if w.map and w.places[i][1] > w.sum.base then
      w.sum:flush(w.places[i][1] - w.sum.base, w.map)
    end
    w.sum:add(w.places[i], w.patch, ops.slice(y, 1, i - from, 1), w.weight)
  end
end

-- x (1, D, H, W, C), or a picture (1, H, W, C) -> logits (1, D, H, W, K), where forward(patches (n, d, h, w, C)) gives
-- (n, d, h, w, K). Where logits are beyond `budget`, and with classes_only, the classes (1, D, H, W) int32 instead:
-- then sums of one patch's depth are all that is kept. What is smaller than a patch gets zeros around it. `tell` may
-- end it by giving true; then there is nothing. The second result: are all logits numbers?
function windows.run(forward, x, o)
  o = schema.options("windows", FIELDS, o or {})
  local guard <close> = core.no_grad()
  local scope <close> = core.scope()
  local w = { options = o, patch = sides_of(x, o.patch) }
  local whole, before, sides = nil, nil, {}
  whole, w.size, before = padded(x, w.patch)
  for i, n in ipairs(w.size) do sides[i] = starts(n, w.patch[i], o.overlap) end
  w.places = places(sides)
  w.weight = o.weights == "gaussian" and bell(w.patch) or core.full({ 1 }, 1)
  for from = 1, #w.places, o.batch do
    local to = math.min(from + o.batch - 1, #w.places)
    through(forward, whole, w, from, to)
    if o.tell and o.tell(to, #w.places) then return nil end
  end
  if w.map then w.sum:flush(w.sum.deep, w.map) end
  local y = cropped(w.map or w.sum:finish(w.patch[1]), x, before)
  scope:keep(y)
  return y, w.sum.finite
end

-- The network over volumes as the preprocessing of a model wants it: patch by patch where it has a patch, else at once.
-- o: more of windows.run's options.
function windows.forward(net, x, preprocessing, o)
  local p = preprocessing
  if not p.patch then
    local y = net(x)
    return y, util.is_finite(y:sum():item())
  end
  local given = { patch = p.patch, overlap = p.overlap }
  for key, value in pairs(o or {}) do given[key] = value end
  return windows.run(net, x, given)
end

util.seal(windows, "windows.")
return windows
