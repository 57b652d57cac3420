-- tiles.lua - large pictures cut into tiles that overlap, so that small things in them are seen at their own size:
-- where the tiles of a picture lie, and what is left of its boxes in each.
local util = require "tlua.util"
local tiles = {}

-- What is wrong with an option `tiles`; nil where nothing is.
function tiles.wrong(v)
  if not v then return nil end
  if type(v) == "number" or #v ~= 2 then
    return "takes two numbers, like { 640, 64 }: the side and the overlap in pixels"
  end
  for _, x in ipairs(v) do
    if type(x) ~= "number" or not math.tointeger(x) then return ("is %s, and pixels are whole"):format(tostring(x)) end
  end
  if v[1] < 16 or v[1] > 16384 then return ("has a side of %g, and it must lie between 16 and 16384"):format(v[1]) end
  if v[2] < 0 or v[2] > v[1] // 2 then
    return ("has an overlap of %g, and it must lie between 0 and half of the side"):format(v[2])
  end
end

-- Where tiles of `size` begin along a side of `length` pixels: as few as overlap by `overlap` at least, evenly spread,
-- the first at 0 and the last at the end.
local function starts(length, size, overlap)
  if length <= size then return { 0 } end
  local n = math.ceil((length - overlap) / (size - overlap))
  local list = {}
  for i = 0, n - 1 do list[i + 1] = (2 * i * (length - size) + n - 1) // (2 * (n - 1)) end
  return list
end

-- The tiles of a picture of width x height, row by row: { left, top, right, bottom } in pixels, right and bottom
-- excluded. All are squares of `size`, but where the picture is smaller.
function tiles.list(width, height, size, overlap)
  local out, across = {}, starts(width, size, overlap)
  for _, y in ipairs(starts(height, size, overlap)) do
    for _, x in ipairs(across) do
      out[#out + 1] = { x, y, math.min(x + size, width), math.min(y + size, height) }
    end
  end
  return out
end

-- What of a box lies in a tile, in the tile's pixels, with its share of the area; nil where less than `least` of it
-- does, or less than a pixel.
local function cut_box(b, tile, least)
  local left, top = math.max(b[1], tile[1]), math.max(b[2], tile[2])
  local right, bottom = math.min(b[3], tile[3]), math.min(b[4], tile[4])
  if right - left < 1 or bottom - top < 1 then return nil end
  local share = (right - left) * (bottom - top) / ((b[3] - b[1]) * (b[4] - b[2]))
  if share < least - 1e-9 then return nil end
  return { left - tile[1], top - tile[2], right - tile[1], bottom - tile[2], label = b.label, crowd = b.crowd,
    area = b.area and b.area * share, place = b.place }
end

-- The tiles of a picture whose size is known and whose boxes are right, as pictures of their own: {path =, boxes =,
-- width =, height =, tile = {left, top, width, height, number from 1}}; and how many boxes are in none of them. o: {side,
-- overlap}; least: of a box's area.
function tiles.cut(picture, o, least)
  local out, kept, lost = {}, {}, 0
  for k, tile in ipairs(tiles.list(picture.width, picture.height, o[1], o[2])) do
    local each = { path = picture.path, boxes = {}, width = tile[3] - tile[1], height = tile[4] - tile[2] }
    each.tile = { tile[1], tile[2], each.width, each.height, k }
    for _, b in ipairs(picture.boxes) do
      local cut = cut_box(b, tile, least)
      if cut then each.boxes[#each.boxes + 1], kept[b] = cut, true end
    end
    out[k] = each
  end
  for _, b in ipairs(picture.boxes) do lost = lost + (kept[b] and 0 or 1) end
  return out, lost
end

-- A line for the plan. counts: tiles, empty, pictures, lost.
function tiles.text(o, counts)
  local text = ("tiles     %s of %d x %d, %d overlap at least, in %s; %s without a box"):format(
    util.counted(counts.tiles, "tile"), o[1], o[1], o[2], util.counted(counts.pictures, "picture"),
    util.thousands(counts.empty))
  if counts.lost == 0 then return text end
  return ("%s; %s left out, which no tile shows enough of (data.least_visible)"):format(text,
    util.counted(counts.lost, "box", "boxes"))
end

util.seal(tiles, "data.")
return tiles
