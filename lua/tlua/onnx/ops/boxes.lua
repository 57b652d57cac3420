-- boxes.lua - what detectors end with. How many boxes are left follows from the picture, so these run on constants
-- alone; a network is cut before them.
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local H = {}

-- The value as numbers where they are known: those of constants, and all where a file is only run (onnx.run).
local function known(w, v)
  if v.host or not w.exact then return v end
  return host.new(value.tensor(w, v):reshape(-1):tolist(), v.dims, v.dtype)
end

local function corners(box, centre)
  if centre then return box[2] - box[4] / 2, box[1] - box[3] / 2, box[2] + box[4] / 2, box[1] + box[3] / 2 end
  return math.min(box[1], box[3]), math.min(box[2], box[4]), math.max(box[1], box[3]), math.max(box[2], box[4])
end

local function overlap(a, b, centre)
  local t, l, d, r = corners(a, centre)
  local u, m, e, s = corners(b, centre)
  local h, wide = math.min(d, e) - math.max(t, u), math.min(r, s) - math.max(l, m)
  if h <= 0 or wide <= 0 then return 0 end
  local both = h * wide
  return both / ((d - t) * (r - l) + (e - u) * (s - m) - both)
end

-- boxes (N, B, 4), scores (N, classes, B) -> rows of picture, class, box
function H.NonMaxSuppression(w, node, x)
  x[1], x[2] = known(w, x[1]), known(w, x[2])
  if not (x[1].host and x[2].host) then
    util.fail "how many boxes are left follows from the input: cut the network before it (cut = ...)"
  end
  local most = x[3] and value.numbers(x[3], "the most boxes")[1] or 0
  local iou = x[4] and value.numbers(x[4], "the overlap")[1] or 0
  local least = x[5] and value.numbers(x[5], "the score")[1]
  local n, count, classes = x[1].dims[1], x[1].dims[2], x[2].dims[2]
  local centre, out, rows = node.attrs.center_point_box == 1, {}, 0
  for p = 0, n - 1 do
    for c = 0, classes - 1 do
      local list, kept = {}, {}
      for b = 0, count - 1 do
        local score = x[2].host[(p * classes + c) * count + b + 1]
        local at = (p * count + b) * 4
        if not least or score > least then
          list[#list + 1] = { score, b, { table.unpack(x[1].host, at + 1, at + 4) } }
        end
      end
      table.sort(list, function(a, b)
        if a[1] ~= b[1] then return a[1] > b[1] end
        return a[2] < b[2]
      end)
      for _, each in ipairs(list) do
        local free = #kept < most
        for _, other in ipairs(kept) do free = free and overlap(each[3], other[3], centre) <= iou end
        if free then
          kept[#kept + 1] = each
          rows = rows + 1
          table.move({ p, c, each[2] }, 1, 3, #out + 1, out)
        end
      end
    end
  end
  return host.new(out, { rows, 3 }, "int64")
end

-- Rows that a list of truths names.
function H.Compress(w, node, x)
  local v, yes = x[1], value.numbers(known(w, x[2]), "the list of conditions")
  local shape = require "tlua.onnx.ops.shape"
  local axis = node.attrs.axis
  if not axis then v, axis = shape.reshape(w, v, { host.count(v.dims) }), 0 end
  local ids = {}
  for i, c in ipairs(yes) do
    if c ~= 0 then ids[#ids + 1] = i - 1 end
  end
  return require("tlua.onnx.ops.gather").handlers.Gather(w, { attrs = { axis = axis } }, { v, host.vector(ids), n = 2 })
end

local function key_of(list) return table.concat(list, ",") end

function H.Unique(_, node, x)
  local v = x[1]
  if not v.host then
    util.fail "how many there are follows from the input: results of unknown size are not supported"
  end
  local axis = node.attrs.axis
  local rows, n = {}, axis and v.dims[axis < 0 and axis + #v.dims + 1 or axis + 1] or host.count(v.dims)
  local place = axis and (axis < 0 and axis + #v.dims + 1 or axis + 1)
  for i = 0, n - 1 do
    rows[i + 1] = axis and host.take(v, place, { i }).host or { v.host[i + 1] }
  end
  local seen, list, inverse = {}, {}, {}
  for i, row in ipairs(rows) do
    local key = key_of(row)
    if not seen[key] then
      list[#list + 1] = { row = row, first = i - 1, count = 0 }
      seen[key] = list[#list]
    end
    seen[key].count = seen[key].count + 1
  end
  if node.attrs.sorted ~= 0 then
    table.sort(list, function(a, b)
      for i = 1, #a.row do
        if a.row[i] ~= b.row[i] then return a.row[i] < b.row[i] end
      end
      return false
    end)
  end
  local first, counts = {}, {}
  for i, each in ipairs(list) do each.at, first[i], counts[i] = i - 1, each.first, each.count end
  for i, row in ipairs(rows) do inverse[i] = seen[key_of(row)].at end
  local y = axis and host.take(v, place, first) or host.new((function()
    local out = {}
    for i, each in ipairs(list) do out[i] = each.row[1] end
    return out
  end)(), { #list }, v.dtype)
  return { y, host.vector(first), host.vector(inverse), host.vector(counts) }
end

return { handlers = H }
