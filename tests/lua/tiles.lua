-- tiles.lua - pictures with boxes cut into tiles that overlap. Run by `tlua tests/lua/tiles.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local data = tlua.data
local tiles = require "tlua.data.boxes.tiles"

local root = t.folder()
local put = t.writer(root)

-- Pixels whose colours tell where they lie.
local function picture(path, height, width)
  local rows = {}
  for y = 1, height do
    rows[y] = {}
    for x = 1, width do rows[y][x] = { (x - 1) % 256, (y - 1) % 256, 7 } end
  end
  core.mkdirs((root .. "/" .. path):match "^(.*)/")
  core.image_write(root .. "/" .. path, core.tensor(rows):to "uint8")
end

picture("field/images/a.png", 100, 150)
picture("field/images/b.png", 30, 20)
put("field/classes.txt", "leaf\nbug\n")
put("field/labels/a.txt", "0 0.1 0.1 0.1 0.1\n1 0.4 0.5 0.2 0.2\n1 0.5 0.5 1 1\n")
put("field/labels/b.txt", "0 0.5 0.5 0.5 0.5\n")

local function open(options, more)
  local o = { root = root .. "/field", size = 32, mean = { 0 }, std = { 1 }, fit = "letterbox", split = 0 }
  for key, v in pairs(options) do o[key] = v end
  return data.open(data.yolo(o), {}, 0, more)
end

local function text(list)
  local words = {}
  for i, b in ipairs(list) do words[i] = table.concat(b, ",") end
  return table.concat(words, " ")
end

t.test("where tiles lie", function()
  t.equal(text(tiles.list(20, 30, 64, 8)), "0,0,20,30")
  t.equal(text(tiles.list(64, 64, 64, 8)), "0,0,64,64")
  t.equal(text(tiles.list(65, 10, 64, 8)), "0,0,64,10 1,0,65,10")
  t.equal(text(tiles.list(120, 64, 64, 8)), "0,0,64,64 56,0,120,64")
  t.equal(text(tiles.list(121, 64, 64, 8)), "0,0,64,64 29,0,93,64 57,0,121,64")
  for width = 60, 700, 7 do -- every pixel is in one, and neighbours overlap as they should
    local list = tiles.list(width, 64, 64, 20)
    t.equal(list[1][1], 0)
    t.equal(list[#list][3], width)
    for i = 2, #list do
      local overlap = list[i - 1][3] - list[i][1]
      assert(overlap >= 20 and overlap < 64, ("%d: %d"):format(width, overlap))
    end
    assert(#list == 1 or #list == math.ceil((width - 20) / 44))
  end
end)

t.test("each tile is a sample with what it shows", function()
  local built = open { tiles = { 64, 10 }, validation = 0 }
  t.equal(built.train:count(), 7)
  assert(table.concat(built.said, "\n"):find(
    "7 tiles of 64 x 64, 10 overlap at least, in 2 pictures; 0 without a box", 1, true), table.concat(built.said, "\n"))
  for i = 1, 7 do
    local x, list, labels = built.train:read(i):tolist(), built.train:boxes(i)
    local at = i < 7 and { (i - 1) % 3 * 43, (i - 1) // 3 * 36 } or { 0, 0 }
    t.equal(built.train:title(i), i < 7 and "a.png#" .. i or "b.png#1")
    t.equal(#x .. " " .. #x[1], i < 7 and "64 64" or "30 20")
    t.equal(x[1][1][1] .. " " .. x[1][1][2], at[1] .. " " .. at[2])
    t.equal(x[#x][#x[1]][1], at[1] + #x[1] - 1)
    if i == 1 then
      t.equal(text(list), "7.5,5.0,22.5,15.0 45.0,40.0,64.0,60.0 0.0,0.0,64.0,64.0")
      t.equal(table.concat(labels, " "), "0 1 1")
      t.equal(table.concat(built.boxes.sizes[1], " "), "64 64")
    elseif i == 2 then t.equal(text(list), "2.0,40.0,32.0,60.0 0.0,0.0,64.0,64.0")
    elseif i == 7 then t.equal(text(list), "5.0,7.5,15.0,22.5") end
  end
  -- of the box over all of the picture a tile has a quarter
  t.equal(#(open { tiles = { 64, 10 }, least_visible = 0.3 }.train:boxes(1)), 2)
end)

t.test("tiles without a box show nothing, or are left out", function()
  put("field/labels/a.txt", "0 0.1 0.1 0.1 0.1\n1 0.4 0.5 0.2 0.2\n")
  t.equal(open { tiles = { 64, 10 } }.train:count(), 7)
  local some = open { tiles = { 64, 10 }, background = "skip" }
  t.equal(some.train:count(), 5)
  t.equal(some.train:title(4), "a.png#5")
  local loader <close> = data.loader(open { tiles = { 64, 10 }, batch = 7 }, "train", 0)
  loader:start(1)
  local x, _, n, _, _, more = loader:next()
  t.equal(n .. " " .. x:shape(2), "7 32")
  t.equal(more.boxes_offsets[8], 6)
end)

t.test("the tiles of a picture stay in one part", function()
  for i = 1, 12 do
    picture(("many/images/%02d.png"):format(i), 40, 60)
    put(("many/labels/%02d.txt"):format(i), "0 0.5 0.5 0.9 0.9\n")
  end
  put("many/classes.txt", "leaf\n")
  local o = { root = root .. "/many", tiles = { 32, 8 }, split = 0.3, validation = 0.2 }
  local part_of, counts = {}, {}
  local function look()
    local built = open(o)
    part_of, counts = {}, {}
    for _, part in ipairs { "train", "validation", "test" } do
      counts[#counts + 1] = built[part]:count()
      for i = 1, built[part]:count() do
        local stem = built[part]:title(i):match "^%d+"
        assert(part_of[stem] == nil or part_of[stem] == part, stem)
        part_of[stem] = part
      end
    end
  end
  look()
  t.equal(counts[1] + counts[2] + counts[3], 72)
  assert(counts[1] % 6 == 0 and counts[2] > 0 and counts[3] % 6 == 0 and counts[3] > 0)
  o.group = "^images/(%d)" -- two groups, of which tiles do not take pictures out
  o.validation, o.split = nil, 0.5
  local built = open(o)
  t.equal(built.train:count() + built.test:count(), 72)
  t.equal(built.keys.train[1], built.train:title(1):sub(1, 1))
end)

t.test("a damaged picture is left out with all of its tiles, and read once", function()
  core.mkdirs(root .. "/bad/images")
  picture("bad/images/a.png", 64, 64)
  local whole = core.read_file(root .. "/bad/images/a.png")
  for i, name in ipairs { "b", "c" } do
    core.write_file(root .. "/bad/images/" .. name .. ".png", i == 1 and whole:sub(1, #whole // 2) or whole)
  end
  for _, name in ipairs { "a", "b", "c" } do put("bad/labels/" .. name .. ".txt", "0 0.5 0.5 0.9 0.9\n") end
  put("bad/classes.txt", "leaf\n")
  local o = { root = root .. "/bad", tiles = { 40, 8 } }
  t.fails("1 of 3 pictures cannot be read: ", open, o)
  o.on_bad = "skip"
  local built = open(o)
  t.equal(built.train:count(), 8)
  t.equal(#built.skipped, 1)
  for i = 1, 8 do assert(not built.train:title(i):find "^b") end
end)

t.test("mosaics of tiles", function()
  local built = open { tiles = { 64, 10 }, mosaic = 1, batch = 7 }
  local loader <close> = data.loader(built, "train", 0)
  loader:start(1)
  local x, _, n, _, _, more = loader:next()
  t.equal(n .. " " .. x:shape(2), "7 32")
  assert(more.boxes:shape(1) > 0)
end)

t.test("a file that has changed its size, and tiles that are none", function()
  local built = open { tiles = { 64, 10 } }
  local before = core.read_file(root .. "/field/images/a.png")
  picture("field/images/a.png", 50, 50)
  t.fails("a.png: it is 50 x 50 now, and tile 2 reaches to 107 x 64: the file has changed", built.train.read, built.train, 2)
  core.write_file(root .. "/field/images/a.png", before)
  t.fails("tiles takes two numbers, like { 640, 64 }", open, { tiles = 640 })
  t.fails("tiles has an overlap of 40, and it must lie between 0 and half of the side", open, { tiles = { 64, 40 } })
  t.fails("tiles has a side of 8", open, { tiles = { 8, 0 } })
  t.fails("tiles is 64.5, and pixels are whole", open, { tiles = { 64.5, 0 } })
  t.fails("a tile is left, top, width, height and number of a picture in a file", core.data.source, "records",
    { paths = { root .. "/field/images/a.png" }, tiles = { { 0, 0, 0, 5, 1 } } })
end)

t.finish()
