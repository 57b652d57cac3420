-- series.lua - folders as scanners write them: order by position, gaps, doubles, mixtures, and the volume in space.
-- Run by `tlua tests/lua/series.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local dicom = core.dicom

local folder = t.folder()

-- ---- small files ----

local LONG = { OW = true, SQ = true }
local function element(group, number, kind, value)
  if #value % 2 == 1 then value = value .. (kind == "UI" and "\0" or " ") end
  local head = string.pack("<I2I2", group, number) .. kind
  return head .. (LONG[kind] and string.pack("<I2I4", 0, #value) or string.pack("<I2", #value)) .. value
end
local function short(v) return string.pack("<I2", v) end

-- A slice of rows x columns; its pixel (row, column) is value + 10 row + column.
local function slice(o)
  local rows, columns, pixels = o.rows or 3, o.columns or 4, {}
  for r = 0, rows - 1 do
    for c = 0, columns - 1 do pixels[#pixels + 1] = string.pack("<i2", (o.value or 0) + 10 * r + c) end
  end
  local set = {
    element(8, 0x60, "CS", "CT"), element(0x10, 0x10, "PN", "Secret^Name"), element(0x10, 0x20, "LO", "P-17"),
    element(0x10, 0x30, "DA", "19700101"), element(0x18, 0x50, "DS", "2"),
    element(0x20, 0xd, "UI", "1.2.3"), element(0x20, 0xe, "UI", o.series or "1.2.3.1"),
    element(0x20, 0x11, "IS", tostring(o.number or 1)), element(0x20, 0x13, "IS", tostring(o.instance or 1)),
    o.position and element(0x20, 0x32, "DS", o.position) or "",
    element(0x20, 0x37, "DS", o.orientation or "1\\0\\0\\0\\1\\0"),
    element(0x28, 2, "US", short(1)), element(0x28, 4, "CS", "MONOCHROME2"),
    element(0x28, 0x10, "US", short(rows)), element(0x28, 0x11, "US", short(columns)),
    element(0x28, 0x30, "DS", "0.5\\0.75"), element(0x28, 0x100, "US", short(16)),
    element(0x28, 0x101, "US", short(16)), element(0x28, 0x102, "US", short(15)), element(0x28, 0x103, "US", short(1)),
    element(0x28, 0x1050, "DS", "50"), element(0x28, 0x1051, "DS", "101"),
    element(0x28, 0x1052, "DS", "-1024"), element(0x28, 0x1053, "DS", "1"),
    element(0x7fe0, 0x10, "OW", table.concat(pixels)) }
  return ("\0"):rep(128) .. "DICM" .. element(2, 0x10, "UI", "1.2.840.10008.1.2.1") .. table.concat(set)
end

local function spit(path, bytes)
  local f <close> = assert(io.open(path, "wb"))
  f:write(bytes)
end
-- A folder of slices; names tell nothing of their order.
local count = 0
local function series(list)
  count = count + 1
  local at = ("%s/s%d"):format(folder, count)
  os.execute(("mkdir -p %s/sub"):format(at))
  for i, o in ipairs(list) do spit(("%s/%sx%d"):format(at, i % 2 == 0 and "sub/" or "", i * 7 % 11), slice(o)) end
  return at
end
local function axial(positions, more)
  local list = {}
  for i, z in ipairs(positions) do
    list[i] = { position = ("-10\\20\\%g"):format(z), value = math.floor(100 * z), instance = i }
    for k, v in pairs(more or {}) do list[i][k] = v end
  end
  return list
end

t.test("slices lie in the order of their positions", function()
  local at = series(axial { 6, 2, 8, 4, 0 })
  spit(at .. "/notes.txt", "no picture")
  local list, left_out = dicom.series(at)
  t.equal(#list .. " " .. #left_out, "1 0")
  local s = list[1]
  t.equal(("%s %s %s %d %d %d"):format(s.modality, s.patient, s.series, s.number, s.files, #s.notes),
    "CT P-17 1.2.3.1 1 5 0")
  t.equal(table.concat(s.spacing, " "), "0.75 0.5 2.0")
  for i, each in ipairs(s.slices) do t.equal(each.position[3], 2.0 * (i - 1)) end
  local v = dicom.volume(s)
  t.equal(table.concat(v.x:shape(), " ") .. " " .. v.axes, "5 3 4 LPS")
  for k = 0, 4 do
    for r = 0, 2 do
      for c = 0, 3 do t.equal(v.x:tolist()[k + 1][r + 1][c + 1], 200.0 * k + 10 * r + c - 1024) end
    end
  end
  local want = { { -0.75, 0, 0, 10 }, { 0, -0.5, 0, -20 }, { 0, 0, 2, 0 } }
  for r = 1, 3 do
    for c = 1, 4 do assert(math.abs(v.affine[r][c] - want[r][c]) < 1e-9, r .. " " .. c) end
  end
  t.equal(t.distance(dicom.volume(at, { threads = 1 }).x, v.x), 0)
  -- Turned, thinned out and windowed on the way.
  local w = dicom.volume(s, { orientation = "RAS", spacing = { 0.75, 0.5, 4 }, window = "file" })
  t.equal(table.concat(w.x:shape(), " ") .. " " .. w.axes, "3 3 4 RAS")
  assert(w.x:amax():item() <= 1 and w.x:amin():item() >= 0)
end)

t.test("the normal of tilted slices decides, not an axis", function()
  -- Slices that face forward: rows to the left, columns down.
  local list = {}
  for i, y in ipairs { 3, -1, 1 } do
    list[i] = { position = ("0\\%g\\0"):format(y), orientation = "1\\0\\0\\0\\0\\-1", instance = i, value = y }
  end
  local v = dicom.volume(series(list))
  t.equal(v.axes, "LIP")
  t.equal(v.x:tolist()[1][1][1], -1025.0)
  t.equal(v.affine[2][4], 1.0)
end)

t.test("a tilted gantry is said, and is in the affine", function()
  local list = {}
  for i = 1, 4 do list[i] = { position = ("0\\%g\\%g"):format(i, 3 * i), instance = i } end
  local at = series(list)
  t.equal(dicom.series(at)[1].notes[1], "slices are moved against each other, by a gantry tilted by 18.4 degrees")
  local v = dicom.volume(at)
  assert(math.abs(v.affine[2][3] + 1) < 1e-9 and math.abs(v.affine[3][3] - 3) < 1e-9)
end)

t.test("gaps, doubles and uneven slices are said, and refused unless asked for", function()
  local at = series(axial { 0, 2, 4, 10, 12 })
  local s = dicom.series(at)[1]
  t.equal(s.missing .. " " .. table.concat(s.notes, "|"),
    "2 2 slices are missing between 4.00 and 10.00 mm along the series, where they are 2.00 mm apart")
  t.fails("2 slices are missing between 4.00 and 10.00", dicom.volume, at)
  local v = dicom.volume(at, { gaps = "fill" })
  t.equal(table.concat(v.x:shape(), " "), "7 3 4")
  for k = 0, 6 do assert(math.abs(v.x:tolist()[k + 1][1][1] - (200 * k - 1024)) < 1e-3, k) end
  t.equal(v.affine[3][3], 2.0)
  t.fails('gaps is "fill"', dicom.volume, at, { gaps = "skip" })
  t.fails('gaps is "fill"', dicom.volume, at, { gaps = true })
  t.fails("has not one letter each", dicom.volume, at, { gaps = "fill", orientation = true })
  t.fails("unknown option", dicom.volume, at, { gap = "fill" })

  local twice = series(axial { 0, 2, 2, 4 })
  s = dicom.series(twice)[1]
  t.equal(s.doubles .. " " .. s.notes[1],
    "1 1 slice lies at the place of another (times, echoes or copies in one series)")
  t.fails('1 of its 4 slices lie at the place of another; doubles = "first"', dicom.volume, twice)
  t.equal(dicom.volume(twice, { doubles = "first" }).x:shape()[1], 3)

  local uneven = series(axial { 0, 2, 4.5, 6.5 })
  t.equal(dicom.series(uneven)[1].notes[1], "slices are 2.000 to 2.500 mm apart, not evenly")
  t.fails("not evenly", dicom.volume, uneven)
end)

t.test("several series, mixtures, and what has no place", function()
  local list = axial { 0, 2, 4 }
  for _, o in ipairs(axial({ 0, 3 }, { series = "1.2.3.9", number = 2 })) do list[#list + 1] = o end
  local at = series(list)
  t.equal(#dicom.series(at), 2)
  t.fails('2 series, and one is to be named: CT, 3 slices of 3 x 4: series = 1; CT, 2 slices', dicom.volume, at)
  t.equal(dicom.volume(at, { series = "1.2.3.9" }).x:shape()[1], 2)
  t.equal(dicom.volume(at, { series = 2 }).x:shape()[1], 2)
  t.fails('no series "7" here', dicom.volume, at, { series = 7 })

  list = axial { 0, 2, 4 }
  list[4] = { position = "0\\0\\0", orientation = "0\\1\\0\\0\\0\\-1" }
  t.fails("its pictures differ in size, direction or kind", dicom.volume, series(list))
  list[4] = { position = "-10\\20\\6", rows = 5 }
  t.fails("its pictures differ in size, direction or kind", dicom.volume, series(list))

  local flat = series { { instance = 2, value = 2 }, { instance = 1, value = 1 } }
  local s = dicom.series(flat)[1]
  t.equal(s.notes[1], "the files do not say where slices lie: they are in the order of their numbers")
  t.equal(dicom.volume(s).x:tolist()[1][1][1], -1023.0)
end)

t.test("broken files are left out by a line each, and nobody is named", function()
  local at = series(axial { 0, 2, 4 })
  spit(at .. "/cut", slice({ position = "-10\\20\\6" }):sub(1, -9))
  spit(at .. "/report", (slice {}):sub(1, 300))
  local list, left_out = dicom.series(at)
  t.equal(#list[1].slices .. " " .. #left_out, "3 2")
  for _, line in ipairs(left_out) do
    assert(line:find(at, 1, true) and not line:find "\n" and not line:find "Secret" and not line:find "P%-17", line)
  end
  t.fails("no DICOM pictures below this folder", dicom.volume, series {})
  t.fails("cannot be opened", dicom.series, folder .. "/nowhere")
  t.fails("a series of core.dicom.series, or a folder", dicom.volume, {})
  -- What was there may be gone when it is wanted.
  local s = dicom.series(at)[1]
  os.remove(s.slices[2].path)
  t.fails("cannot be opened", dicom.volume, s)
end)

t.test("frames of one file are slices", function()
  os.execute(("mkdir %s/groups && cp tests/golden/dicom/groups.dcm %s/groups"):format(folder, folder))
  local s = dicom.series(folder .. "/groups")[1]
  t.equal(#s.slices .. " " .. s.files .. " " .. #s.notes, "3 1 0")
  local v = dicom.volume(s)
  t.equal(table.concat(v.x:shape(), " "), "3 12 16")
  t.equal(t.distance(v.x, dicom.read("tests/golden/dicom/groups.dcm")), 0)
end)

os.execute("rm -r " .. folder)
t.finish()
