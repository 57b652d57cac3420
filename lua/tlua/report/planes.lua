-- planes.lua - a volume for people: three slices through one place, each seen as radiologists hang them. Axial slices
-- are seen from the feet and coronal ones from the front, so that the patient's right is on the left; sagittal ones
-- look to the patient's left, the front on the left. Letters at the edges say so: right, left, anterior, posterior,
-- superior, inferior. Pixels are square in millimetres. All numbers are worked out here, so a picture has the same
-- bytes anywhere; letters other than ASCII's are those of the system's fonts.
local core = require "tlua.core"
local maps = require "tlua.report.maps"
local planes = {}

local SIDE = 224       -- pixels of the longest side of a volume
local GAP, INK = 6, 17 -- pixels between slices, and for a line of text
local OTHER = { R = "L", L = "R", A = "P", P = "A", S = "I", I = "S" }

-- Which letter the slices of a view are counted along, and which way it has on the right and below.
local VIEWS = {
  { name = "axial", through = "S", right = "L", below = "P" },
  { name = "coronal", through = "A", right = "L", below = "I" },
  { name = "sagittal", through = "R", right = "P", below = "I" },
}
planes.VIEWS = VIEWS

-- The dimension of (D, H, W) along which a direction lies, and whether indices grow to its other side. axes: three
-- letters, of columns, rows and slices.
local function along(axes, letter)
  for i = 1, 3 do
    local own = axes:sub(i, i)
    if own == letter or own == OTHER[letter] then return 4 - i, own ~= letter end
  end
end

-- ---- slices ----

-- The slice of x (D, H, W) at index `at` (from 0) of the view's own dimension: rows from the top, {{number...}...}.
local function cut(x, view, axes, at)
  local scope <close> = core.scope()
  local through = along(axes, view.through)
  local across, mirrored = along(axes, view.right)
  local down, upside_down = along(axes, view.below)
  local rest = {}
  for i = 1, 3 do
    if i ~= through then rest[#rest + 1] = x:shape(i) end
  end
  local plane = core.ops.slice(x, through, at, 1):reshape(rest)
  if down > across then plane = plane:transpose() end
  local rows = plane:tolist()
  for _, row in ipairs(mirrored and rows or {}) do
    for i = 1, #row // 2 do row[i], row[#row + 1 - i] = row[#row + 1 - i], row[i] end
  end
  for i = 1, upside_down and #rows // 2 or 0 do rows[i], rows[#rows + 1 - i] = rows[#rows + 1 - i], rows[i] end
  return rows
end

-- Along each dimension of a mask (D, H, W) of zeros and ones the index, from 0, at which most of it lies; nil where
-- there is nothing.
local function densest(mask)
  local scope <close> = core.scope()
  local out = {}
  for i = 1, 3 do
    local axes, best, most = {}, 1, 0
    for k = 1, 3 do
      if k ~= i then axes[#axes + 1] = k end
    end
    for k, v in ipairs(mask:sum { axes = axes }:tolist()) do
      if v > most then best, most = k, v end
    end
    if most == 0 then return nil end
    out[i] = best - 1
  end
  return out
end
planes.densest = densest

-- A place in the midst of most of a mask (D, H, W) of zeros and ones: of boxes of a twelfth of the sides that with
-- most of it, and in that of each dimension the slice with most; nil where there is nothing.
local function crowded(mask)
  local scope <close> = core.scope()
  local size, kernel, missing = mask:shape(), {}, {}
  for i = 1, 3 do
    kernel[i] = math.min(size[i], math.max(3, size[i] // 12))
    missing[i] = -size[i] % kernel[i]
  end
  local whole = core.ops.pad(mask, { before = { 0, 0, 0 }, after = missing })
  local boxes = whole:reshape { 1, whole:shape(1), whole:shape(2), whole:shape(3), 1 }
  boxes = core.ops.avg_pool(boxes, { kernel = kernel, stride = kernel })
  local n = { table.unpack(boxes:shape(), 2, 4) }
  local best, most = 1, 0
  for k, v in ipairs(boxes:reshape(-1):tolist()) do
    if v > most then best, most = k, v end
  end
  local first = { (best - 1) // (n[2] * n[3]), (best - 1) // n[3] % n[2], (best - 1) % n[3] }
  local box = whole
  for i = 1, 3 do
    first[i] = first[i] * kernel[i]
    box = core.ops.slice(box, i, first[i], kernel[i])
  end
  local at = densest(box)
  return at and { first[1] + at[1], first[2] + at[2], first[3] + at[3] } or nil
end

-- The place to look at: where most is wrong close together; where all is right, of each dimension the slice with most
-- of the mask; else the middle. is, said: (D, H, W) int32; voxels of `ignored` do not count.
function planes.place(is, said, ignored)
  local scope <close> = core.scope()
  local truth, seen = is:to "float32", said:to "float32"
  local known = core.ops.ne(truth, core.full({ 1 }, ignored))
  local zero = core.zeros(1)
  local at = crowded(core.ops.ne(truth, seen) * known)
  if at then return at, "error" end
  at = densest(core.ops.ne(truth, zero) * known) or densest(core.ops.ne(seen, zero))
  if at then return at, "mask" end
  return { is:shape(1) // 2, is:shape(2) // 2, is:shape(3) // 2 }, "middle"
end

-- ---- sizes ----

-- Of each view how many pixels there are, and how many of a slice's rows and columns one of them is.
local function sizes(g)
  local most, list = 0, {}
  for i = 1, 3 do most = math.max(most, g.size[i] * g.spacing[4 - i]) end
  for k, view in ipairs(VIEWS) do
    local across, down = along(g.axes, view.right), along(g.axes, view.below)
    local w = math.max(1, math.floor(g.size[across] * g.spacing[4 - across] / most * SIDE + 0.5))
    local h = math.max(1, math.floor(g.size[down] * g.spacing[4 - down] / most * SIDE + 0.5))
    list[k] = { width = w, height = h, columns = g.size[across], rows = g.size[down] }
  end
  return list
end

-- For each of n pixels the two of `count` numbers that it lies between, the share of the second, and the nearest.
local function steps(n, count)
  local list = {}
  for i = 1, n do
    local x = (i - 0.5) * count / n
    local low = math.max(0, math.min(count - 1, math.floor(x - 0.5)))
    local share = math.max(0, math.min(1, x - 0.5 - low))
    list[i] = { low + 1, math.min(count, low + 2), share, math.min(count, math.floor(x) + 1) }
  end
  return list
end

-- ---- painting ----

-- A canvas of black pixels.
local function canvas(width, height)
  local list = {}
  for i = 1, width * height * 3 do list[i] = 0 end
  return { width = width, height = height, list = list }
end

local function put(c, x, y, r, g, b)
  local at = 3 * ((y - 1) * c.width + x - 1)
  c.list[at + 1], c.list[at + 2], c.list[at + 3] = r, g, b
end

local function byte(v) return math.max(0, math.min(255, math.floor(v + 0.5))) end

-- The classes of a slice at each pixel of the panel.
local function classes_at(rows, size, ys, xs)
  local out = {}
  for y = 1, size.height do
    local from, row = rows[ys[y][4]], {}
    for x = 1, size.width do row[x] = from[xs[x][4]] end
    out[y] = row
  end
  return out
end

local SHARE = 0.22 -- of a class's colour within its contour
local OPAQUE = 0.8 -- the hottest heat, as pages of pictures have it (src/draw/saliency.c)

-- Colours of heat in 256 steps, as pages of pictures have them.
local function heat_colours()
  local list = {}
  for i = 0, 255 do list[i] = { core.data.heat(i / 255) } end
  return list
end

-- What lies over a pixel: a colour and its share. A contour is the pixels of a class that have others beside them.
local function of_class(c, x, y, colours)
  local own = c[y][x]
  local colour = colours[own]
  if not colour then return nil end
  local up, down = c[y - 1] and c[y - 1][x] or own, c[y + 1] and c[y + 1][x] or own
  local left, right = c[y][x - 1] or own, c[y][x + 1] or own
  return colour, (up ~= own or down ~= own or left ~= own or right ~= own) and 1 or SHARE
end

-- One slice with what lies over it: `grey` (rows of numbers), `classes` or `heat` (rows) or neither.
local function paint(c, left, top, size, o)
  local ys, xs = steps(size.height, size.rows), steps(size.width, size.columns)
  local classes = o.classes and classes_at(o.classes, size, ys, xs)
  local scale, hot = 255 / math.max(1e-12, o.high - o.low), o.heat and heat_colours()
  local function between(rows, y, x)
    local v, u = ys[y], xs[x]
    local a, b = rows[v[1]], rows[v[2]]
    local p = a[u[1]] + (a[u[2]] - a[u[1]]) * u[3]
    local q = b[u[1]] + (b[u[2]] - b[u[1]]) * u[3]
    return p + (q - p) * v[3]
  end
  for y = 1, size.height do
    for x = 1, size.width do
      local grey = (between(o.grey, y, x) - o.low) * scale
      grey = grey == grey and math.max(0, math.min(255, grey)) or 0
      local r, g, b, colour, share = grey, grey, grey, nil, nil
      if classes then colour, share = of_class(classes, x, y, o.colours)
      elseif o.heat then
        local heat = math.max(0, math.min(1, between(o.heat, y, x)))
        colour, share = hot[math.floor(255 * heat + 0.5)], OPAQUE * heat
      end
      if colour then
        r, g, b = r + (colour[1] - r) * share, g + (colour[2] - g) * share, b + (colour[3] - b) * share
      end
      put(c, left + x, top + y, byte(r), byte(g), byte(b))
    end
  end
end

-- Letters at the four edges of a panel.
local function letters(list, view, left, top, size)
  local function add(letter, x, y) list[#list + 1] = { letter, math.max(0, x), math.max(0, y), 1 } end
  add(OTHER[view.right], left + 2, top + size.height // 2 - 4)
  add(view.right, left + size.width - 7, top + size.height // 2 - 4)
  add(OTHER[view.below], left + size.width // 2 - 2, top + 2)
  add(view.below, left + size.width // 2 - 2, top + size.height - 10)
end

-- ---- values ----

local SAMPLE = 20000 -- voxels that tell what is dark and bright

-- Values between which grey goes from black to white: all but a hundredth of them at either end.
local function range_of(x)
  local scope <close> = core.scope()
  local list, n = {}, x:numel()
  local step = math.max(1, n // SAMPLE)
  local all = core.ops.slice(x:reshape(-1), 1, 0, n // step * step):reshape(-1, step)
  for _, v in ipairs(core.ops.slice(all, 2, step // 2, 1):reshape(-1):tolist()) do
    if v == v and math.abs(v) < math.huge then list[#list + 1] = v end
  end
  if #list == 0 then return 0, 1 end
  table.sort(list)
  local low, high = list[1 + #list // 100], list[#list - #list // 200]
  return low, high > low and high or low + 1
end

-- ---- the picture ----

-- The three slices of a volume at `at` ({z, y, x}, from 0), once for each of `rows`: a line of slices and a text above.
--   g: size = {D, H, W}, axes = "RAS", spacing = mm of columns, rows, slices
--   x: (D, H, W) float32; low, high: values that are black and white, else the volume's own
--   rows: { {text =, map = (D, H, W) int32}, {text =, heat = (D, H, W) float32 of 0 to 1}, {text =}, ... }
--   classes, background: which colours there are (maps.rgb)
-- -> (H, W, 3) uint8
function planes.picture(g, x, at, rows, o)
  local list, greys, width, height = sizes(g), {}, GAP, 0
  for k, view in ipairs(VIEWS) do
    greys[k] = cut(x, view, g.axes, at[along(g.axes, view.through)])
    width, height = width + list[k].width + GAP, math.max(height, list[k].height)
  end
  local low, high = o.low, o.high
  if not low then low, high = range_of(x) end
  for _, row in ipairs(rows) do width = math.max(width, 2 * GAP + (core.data.text_size(row.text, 1))) end
  local colours = {}
  for k = 0, (o.classes or 0) - 1 do colours[k] = maps.rgb(k, o.background) end
  local c, texts = canvas(width, #rows * (height + INK) + GAP), {}
  for i, row in ipairs(rows) do
    local left, top = GAP, (i - 1) * (height + INK) + INK
    local _, tall = core.data.text_size(row.text, 1)
    texts[#texts + 1] = { row.text, GAP, top - math.max(12, tall), 1 }
    for k, view in ipairs(VIEWS) do
      local number = at[along(g.axes, view.through)]
      local function of(v) return v and cut(v, view, g.axes, number) end
      paint(c, left, top, list[k], { grey = greys[k], low = low, high = high, classes = of(row.map),
        heat = of(row.heat), colours = colours })
      letters(texts, view, left, top, list[k])
      left = left + list[k].width + GAP
    end
  end
  local page = core.tensor(c.list, { dtype = "int32" }):to "uint8":reshape(c.height, c.width, 3)
  return core.data.lettered(page, texts)
end

-- "axial 12 of 60, coronal 31 of 64, sagittal 7 of 64", counted as the files count, from 1.
function planes.text(g, at)
  local out = {}
  for k, view in ipairs(VIEWS) do
    local i = along(g.axes, view.through)
    out[k] = ("%s %d of %d"):format(view.name, at[i] + 1, g.size[i])
  end
  return table.concat(out, ", ")
end

planes.WORDS = "The patient's right is on the left of axial and coronal slices (seen from the feet, from the front); "
  .. "sagittal slices have the front on the left. R right, L left, A anterior, P posterior, S superior, I inferior."

return planes
