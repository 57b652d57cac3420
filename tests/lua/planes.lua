-- planes.lua - three slices of a volume as they are shown: which side is where, whatever way the file has its voxels.
-- Run by `tlua tests/lua/planes.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local planes = require "tlua.report.planes"
core.device()

local GAP, INK = 6, 17
local SIZE, SPACING = { 4, 5, 6 }, { 10, 10, 20 } -- slices, rows, columns; mm of columns, rows, slices
-- Columns grow to the right, rows to the front, slices upwards: the outermost voxel that way is bright.
local x = core.zeros(4, 5, 6)
x:slice(1, 3, 1):slice(2, 4, 1):slice(3, 5, 1):fill_(1)
local volume = { x = x, affine = { { 10, 0, 0, 0 }, { 0, 10, 0, 0 }, { 0, 0, 20, 0 } } }

local function picture(v, rows, at)
  local g = { size = v.x:shape(), axes = v.axes, spacing = v.spacing }
  return planes.picture(g, v.x, at, rows, { low = 0, high = 1, classes = 2, background = true })
end

-- Left, top, width and height of the panels: the longest side, 80 mm upwards, has 224 pixels.
local function panels()
  local w, h, up = 168, 140, 224
  return { { GAP, INK, w, h }, { 2 * GAP + w, INK, w, up }, { 3 * GAP + 2 * w, INK, h, up } }
end

t.test("the patient's right is on the left, the front on top or on the left, up is up", function()
  local v = core.volume.transform(volume, { orientation = "RAS" })
  local y = picture(v, { { text = "" } }, { 3, 4, 5 })
  t.equal(table.concat(y:shape(), " "), ("%d %d 3"):format(224 + INK + GAP, 4 * GAP + 168 + 168 + 140))
  local pixels = y:tolist()
  for k, p in ipairs(panels()) do
    local left, top, w, h = table.unpack(p)
    t.equal(pixels[top + 3][left + 3][1], 255, "upper left of " .. planes.VIEWS[k].name)
    t.equal(pixels[top + h - 2][left + 3][1], 0, "lower left of " .. planes.VIEWS[k].name)
    t.equal(pixels[top + 3][left + w - 2][1], 0, "upper right of " .. planes.VIEWS[k].name)
  end
  t.equal(planes.text({ size = SIZE, axes = "RAS" }, { 3, 4, 5 }), "axial 4 of 4, coronal 5 of 5, sagittal 6 of 6")
end)

t.test("letters at the edges say so", function()
  local v = core.volume.transform(volume, { orientation = "RAS" })
  v.x = v.x * 0
  local pixels = picture(v, { { text = "" } }, { 0, 0, 0 }):tolist()
  local function ink(left, top, w, h)
    local out = {}
    for y = 1, h do
      for z = 1, w do out[#out + 1] = pixels[top + y][left + z][1] > 0 and "#" or "." end
    end
    return table.concat(out)
  end
  local function letter(text)
    local c = core.data.lettered(core.zeros({ 8, 6, 3 }, { dtype = "uint8" }), { { text, 0, 0, 1 } }):tolist()
    local out = {}
    for y = 1, 8 do
      for z = 1, 5 do out[#out + 1] = c[y][z][1] > 0 and "#" or "." end
    end
    return table.concat(out)
  end
  local wanted = { "RLAP", "RLSI", "APSI" }
  for k, p in ipairs(panels()) do
    local left, top, w, h = table.unpack(p)
    t.equal(ink(left + 2, top + h // 2 - 4, 5, 8), letter(wanted[k]:sub(1, 1)), "left")
    t.equal(ink(left + w - 7, top + h // 2 - 4, 5, 8), letter(wanted[k]:sub(2, 2)), "right")
    t.equal(ink(left + w // 2 - 2, top + 2, 5, 8), letter(wanted[k]:sub(3, 3)), "above")
    t.equal(ink(left + w // 2 - 2, top + h - 10, 5, 8), letter(wanted[k]:sub(4, 4)), "below")
  end
end)

t.test("the same bytes of all 48 ways to number the voxels", function()
  core.manual_seed(5)
  local noise = { x = core.uniform({ 4, 5, 6 }, 0, 1, "noise"), affine = volume.affine }
  local map = { x = core.uniform({ 4, 5, 6 }, 0, 2, "map"):floor(), affine = volume.affine }
  local spot = { x = core.zeros(4, 5, 6), affine = volume.affine }
  spot.x:slice(1, 1, 1):slice(2, 3, 1):slice(3, 2, 1):fill_(1)
  local want, n = nil, 0
  local pairs_of = { "RL", "AP", "SI" }
  for first = 1, 3 do
    for second = 1, 3 do
      local third = 6 - first - second
      for bits = 0, second ~= first and third >= 1 and third <= 3 and 7 or -1 do
        local axes = ""
        for i, k in ipairs { first, second, third } do
          local which = (bits >> (i - 1) & 1) + 1
          axes = axes .. pairs_of[k]:sub(which, which)
        end
        local v = core.volume.transform(noise, { orientation = axes })
        local m = core.volume.transform(map, { orientation = axes })
        local is, one = m.x:to "int32", core.volume.transform(spot, { orientation = axes }).x:to "int32"
        local at, why = planes.place(one, one * 0, 255)
        t.equal(why, "error")
        local y = picture(v, { { text = "there", map = is } }, at)
        want = want or y:hash()
        t.equal(v.axes, axes)
        t.equal(y:hash(), want, axes)
        n = n + 1
      end
    end
  end
  t.equal(n, 48)
end)

t.test("contours have the colour of their class, and what they enclose a part of it", function()
  local v = core.volume.transform(volume, { orientation = "RAS" })
  v.x = v.x * 0
  local map = core.zeros({ 4, 5, 6 }, { dtype = "int32" })
  map:slice(2, 4, 1):slice(3, 5, 1):fill_(1)
  local pixels = picture(v, { { text = "", map = map } }, { 3, 0, 0 }):tolist()
  -- Of the axial slice the upper left voxel, 28 x 28 pixels.
  t.equal(table.concat(pixels[INK + 28][GAP + 10], " "), "230 75 53")
  t.equal(table.concat(pixels[INK + 10][GAP + 28], " "), "230 75 53")
  t.equal(table.concat(pixels[INK + 15][GAP + 15], " "), "51 17 12")
  t.equal(table.concat(pixels[INK + 29][GAP + 10], " "), "0 0 0")
end)

t.test("the place is where most is wrong, else where most of the mask is, else the middle", function()
  local is = core.zeros({ 4, 5, 6 }, { dtype = "int32" })
  local said = core.zeros({ 4, 5, 6 }, { dtype = "int32" })
  local function place() return (table.concat(planes.place(is, said, 255), " ")) end
  t.equal(place(), "2 2 3")
  is:slice(1, 1, 2):slice(2, 3, 1):slice(3, 4, 1):fill_(1)
  said:slice(1, 1, 2):slice(2, 3, 1):slice(3, 4, 1):fill_(1)
  t.equal(place(), "1 3 4")
  said:slice(1, 0, 1):slice(2, 0, 1):slice(3, 1, 1):fill_(1)
  t.equal(place(), "0 0 1")
  is:slice(1, 0, 1):slice(2, 0, 1):slice(3, 1, 1):fill_(255)
  t.equal(place(), "1 3 4")
end)

t.finish()
