-- shape.lua - operators that move elements: shapes, orders, parts, what is put together.
local util = require "tlua.util"
local values = require "tlua.onnx.write.values"
local kit = require "tlua.onnx.write.kit"
local set = kit.set
local handlers = {}

local TO_THE_END = math.maxinteger

-- ---- reshape ----

-- The dimensions that are not 1 for any size, by number.
local function lengthy(v)
  local list = {}
  for a = 1, #v.shape do
    if v.shape[a] ~= 1 or v.other[a] ~= 1 then list[#list + 1] = a end
  end
  return list
end

-- Do only ones come and go? Then {our new dimension = our old one} of the others.
local function only_ones(x, y)
  local a, b, from = lengthy(x), lengthy(y), {}
  if #a ~= #b then return nil end
  for i = 1, #a do
    if x.shape[a[i]] ~= y.shape[b[i]] or x.other[a[i]] ~= y.other[b[i]] then return nil end
    from[b[i]] = a[i]
  end
  return from
end

-- The order of the result where the long dimensions keep theirs: that of pictures where it goes, else as if the ones
-- were where they are in ours.
local function order_kept(x, y, from)
  local function fits(perm)
    local last = 0
    for _, b in ipairs(perm) do
      if from[b] then
        local place = values.place(x.perm, from[b])
        if place < last then return false end
        last = place
      end
    end
    return true
  end
  local rank = #y.shape
  for _, perm in ipairs { values.channels_first(rank), values.identity(rank) } do
    if fits(perm) then return perm end
  end
  return nil
end

-- The list that Reshape is given: whole numbers, 0 for a size that stays at its place, one -1, and open sizes.
local function target(c, x, y, perm, before)
  local said, list, free = values.sized(c, "shape"), {}, false
  for i, b in ipairs(perm) do
    local a = before and before[i]
    if y.shape[b] == y.other[b] then list[i] = y.shape[b]
    elseif a and x.shape[a] == y.shape[b] and x.other[a] == y.other[b] then list[i] = 0
    elseif not free then list[i], free = -1, true
    elseif type(said[b]) == "table" then list[i] = said[b]
    else util.failf("ONNX cannot hold a reshape with two sizes that follow from others") end
  end
  return list
end

function handlers.reshape(w, c, y)
  local x = w:input(c, 1)
  local from = only_ones(x, y)
  local perm = from and order_kept(x, y, from)
  if x.weight then perm = nil end
  local given = perm and x.perm or values.identity(#x.shape)
  perm = perm or values.identity(#y.shape)
  local list, open = target(c, x, y, perm, given), false
  for _, d in ipairs(list) do open = open or type(d) == "table" end
  set(y, w:node("Reshape", { w:use(x, given), open and w:whole_list(list) or w:ints(list) }), perm)
end

-- Another order is another name for what lies where; nothing is moved.
function handlers.permute(w, c, y)
  local x, to, perm = w:input(c, 1), {}, {}
  for j, a in ipairs(c.attrs.axes) do to[kit.axis_of(x, a)] = j end
  for i, a in ipairs(x.perm) do perm[i] = to[a] end
  set(y, w:use(x), perm)
end

function handlers.expand(w, c, y)
  local x, said, list = w:input(c, 1), values.sized(c, "shape"), {}
  local perm = #x.shape == #y.shape and x.perm or values.identity(#y.shape)
  local more = #y.shape - #x.shape
  for i, b in ipairs(perm) do
    local a = b - more
    if a >= 1 and x.shape[a] == y.shape[b] and x.other[a] == y.other[b] then list[i] = 1
    else list[i] = y.shape[b] == y.other[b] and y.shape[b] or said[b] end
  end
  set(y, w:node("Expand", { more == 0 and w:use(x) or w:plain(x), w:whole_list(list) }), perm)
end

-- ---- parts ----

function handlers.slice(w, c, y)
  local x, start, length = w:input(c, 1), values.sized(c, "start"), values.sized(c, "length")
  local axis = kit.axis_of(x, c.attrs.axis)
  local from, to = w:whole_list { start }, nil
  local last = { c.attrs.start + y.shape[axis] == x.shape[axis], y.shape[axis] == x.shape[axis] }
  if length == -1 or (last[1] and (type(start) == "table" or x.other[axis] == y.other[axis]
    + start)) then to = w:ints { TO_THE_END }
  elseif type(start) ~= "table" and type(length) ~= "table" then to = w:ints { start + length }
  else to = w:node("Add", { from, w:whole_list { length } }) end
  set(y, w:node("Slice", { w:use(x), from, to, w:ints { values.place(x.perm, axis) - 1 } }), x.perm)
end

function handlers.concat(w, c, y)
  local list, names = {}, {}
  for k = 1, #c.inputs do list[k] = w:input(c, k) end
  local perm = values.common(list)
  for k, v in ipairs(list) do names[k] = w:use(v, perm) end
  set(y, w:node("Concat", names, { axis = values.place(perm, kit.axis_of(y, c.attrs.axis)) - 1 }), perm)
end

function handlers.pad(w, c, y)
  local x, before, after, pads = w:input(c, 1), c.attrs.before or {}, c.attrs.after or {}, {}
  for i, a in ipairs(x.perm) do
    pads[i], pads[i + #x.perm] = before[a] or 0, after[a] or 0
  end
  local mode = c.attrs.mode == "replicate" and "edge" or c.attrs.mode
  local inputs = { w:use(x), w:ints(pads) }
  if mode == "constant" then inputs[3] = w:scalar(x.dtype, c.attrs.value) end
  set(y, w:node("Pad", inputs, { mode = mode }), x.perm)
end

function handlers.gather(w, c, y)
  local x, index = w:input(c, 1), w:input(c, 2)
  local perm = x.weight and index.perm or x.perm
  local axis = values.place(perm, kit.axis_of(x, c.attrs.axis)) - 1
  set(y, w:node("GatherElements", { w:use(x, perm), w:use(index, perm) }, { axis = axis }), perm)
end

-- Whole numbers, `count` of them from `start` on.
function handlers.range(w, c, y)
  local start, step, count = values.sized(c, "start"), c.attrs.step, values.sized(c, "count")
  if type(start) ~= "table" and type(count) ~= "table" then
    local list = {}
    for i = 1, count do list[i] = start + (i - 1) * step end
    return set(y, w:constant("int32", { count }, list), { 1 })
  end
  local from = w:whole_list { start }
  local to = w:node("Add", { from, w:node("Mul", { w:whole_list { count }, w:ints { step } }) })
  local function single(v) return w:node("Squeeze", { v }) end
  local name = w:node("Range", { single(from), single(to), w:constant("int64", {}, { step }) })
  set(y, w:cast(name, "int32"), { 1 })
end

return handlers
