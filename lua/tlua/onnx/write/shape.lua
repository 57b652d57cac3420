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
  local first, ours = values.channels_first(rank), values.identity(rank)
  for _, perm in ipairs(rank > 3 and { first, ours } or { ours, first }) do
    if fits(perm) then return perm end
  end
  return nil
end

-- Dimensions that become others as they lie: {{first and last of x, first and last of y}, ...}, each group as many
-- elements in both, for any size. nil where there is no such thing.
local function groups_of(x, y)
  local list, i, j = {}, 1, 1
  while i <= #x.shape and j <= #y.shape do
    local g = { i, i, j, j }
    local p, q, r, s = x.shape[i], x.other[i], y.shape[j], y.other[j]
    while p ~= r or q ~= s do
      if (p < r or (p == r and q < s)) and i < #x.shape then
        i = i + 1
        p, q, g[2] = p * x.shape[i], q * x.other[i], i
      elseif j < #y.shape then
        j = j + 1
        r, s, g[4] = r * y.shape[j], s * y.other[j], j
      else
        return nil
      end
    end
    if p == 0 then return nil end
    list[#list + 1], i, j = g, i + 1, j + 1
  end
  local last = list[#list]
  if not last then return nil end
  for a = last[2] + 1, #x.shape do -- ones at the end
    if x.shape[a] ~= 1 or x.other[a] ~= 1 then return nil end
  end
  for b = last[4] + 1, #y.shape do
    if y.shape[b] ~= 1 or y.other[b] ~= 1 then return nil end
  end
  last[2], last[4] = #x.shape, #y.shape
  return list
end

-- The order of x in which each group lies together, groups in the order in which they begin there.
local function gathered(x, list)
  local group_of, seen, order = {}, {}, {}
  for _, g in ipairs(list) do
    for a = g[1], g[2] do group_of[a] = g end
  end
  for _, a in ipairs(x.perm) do
    local g = group_of[a]
    for k = g[1], seen[g] and 0 or g[2] do order[#order + 1] = k end
    seen[g] = true
  end
  return order
end

-- Where groups lie together in x the result lies as x does, so that channels are split while they are first; where
-- they do not, x is turned for it, as for a shuffle of channels, if that makes maps that are channels first. Orders
-- of x and of the result.
local function orders_of_groups(x, y)
  local list, perm = groups_of(x, y), {}
  if not list then return nil end
  local order, begins = gathered(x, list), {}
  for _, g in ipairs(list) do begins[g[1]] = g end
  for _, a in ipairs(order) do
    local g = begins[a]
    for b = g and g[3] or 1, g and g[4] or 0 do perm[#perm + 1] = b end
  end
  local rank = #y.shape
  if values.same(order, x.perm) or (rank > 3 and values.same(perm, values.channels_first(rank))) then return order,
    perm end
end

-- The list that Reshape is given: whole numbers, 0 for a size that stays at its place, one -1, and open sizes.
local function target(c, x, y, perm, before)
  local said, list, open = values.sized(c, "shape"), {}, {}
  for i, b in ipairs(perm) do
    local a = before and before[i]
    if y.shape[b] == y.other[b] then list[i] = y.shape[b]
    elseif a and x.shape[a] == y.shape[b] and x.other[a] == y.other[b] then list[i] = 0
    else open[#open + 1] = i end
  end
  local free = open[1] -- what is worked out from the others: best a size that has no word
  for _, i in ipairs(open) do
    if type(said[perm[i]]) ~= "table" then free = i end
  end
  for _, i in ipairs(open) do
    local word = said[perm[i]]
    if i ~= free and type(word) ~= "table" then
      util.failf("ONNX cannot hold a reshape with two sizes that follow from others")
    end
    list[i] = i == free and -1 or word
  end
  return list
end

function handlers.reshape(w, c, y)
  local x = w:input(c, 1)
  local from = not x.weight and only_ones(x, y)
  local given, perm = x.perm, from and order_kept(x, y, from)
  if not perm and not x.weight then given, perm = orders_of_groups(x, y) end
  if not perm then given, perm = values.identity(#x.shape), values.identity(#y.shape) end
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

handlers.scatter = {
  refuses = function(c, opset)
    local least = { add = 16, mul = 16, max = 18, min = 18 }
    local from = least[c.attrs.reduce]
    return from and opset < from and ("%s, before opset %d"):format(c.attrs.reduce, from) or nil
  end,
  write = function(w, c, y)
    local x, index, updates = w:input(c, 1), w:input(c, 2), w:input(c, 3)
    local perm = x.weight and index.perm or x.perm
    local attrs = { axis = values.place(perm, kit.axis_of(x, c.attrs.axis)) - 1 }
    if c.attrs.reduce ~= "none" then attrs.reduction = c.attrs.reduce end
    set(y, w:node("ScatterElements", { w:use(x, perm), w:use(index, perm), w:use(updates, perm) }, attrs), perm)
  end,
}

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
