-- records.lua - samples by list in Lua: their fields, batches with masks, values, boxes and points, and what is refused.
-- Run by `tlua tests/lua/records.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local open = core.data.source

local folder = os.tmpname()
os.remove(folder)
core.mkdirs(folder)
local function grey(name, height, width, value)
  local x = tlua.tensor(value, { dtype = "uint8" }):reshape(1, 1, 1):expand(height, width, 1):clone()
  core.image_write(folder .. "/" .. name, x)
  return folder .. "/" .. name
end
local paths, masks = {}, {}
for i = 1, 3 do paths[i], masks[i] = grey(i .. ".png", 6, 8, 10 * i), grey("m" .. i .. ".png", 6, 8, i == 3 and 255 or i - 1) end

t.test("fields, and what each sample has", function()
  local s = open("records", { paths = paths, labels = { 1, 0, -1 }, classes = { "a", "b" }, values = { { 1, 2.5 }, { 3, false }, { 5, 6 } }, value_names = { "age", "dose" },
    masks = masks, boxes = { { { 1, 1, 3, 4 } }, {}, { { 0, 0, 8, 6 }, { 2, 2, 4, 4 } } }, box_labels = { { 1 }, {}, { 0, 1 } }, points = { {}, { { 1, 2 } }, {} } })
  local said = {}
  for i, f in ipairs(s:fields()) do said[i] = f.name .. ":" .. f.kind end
  t.equal(table.concat(said, " "), "image:image label:label values:value mask:mask boxes:boxes points:points")
  t.equal(table.concat(s:fields()[3].names, " "), "age dose")
  t.equal(s:values(1)[2], 2.5)
  assert(s:values(2)[2] ~= s:values(2)[2])
  t.equal(s:label(3), -1)
  t.equal(table.concat(s:mask(2):shape(), " "), "6 8")
  local boxes, labels = s:boxes(3)
  t.equal(table.concat(boxes[2], " ") .. " " .. table.concat(labels, " "), "2.0 2.0 4.0 4.0 0 1")
  t.equal(#s:boxes(2), 0)
  t.equal(s:points(2)[1][2], 2.0)
  local view = core.data.subset(s, { 3, 1 })
  t.equal(#view:boxes(1), 2)
  t.equal(#view:fields(), 6)
  assert(s:hash() ~= open("records", { paths = paths, labels = { 1, 0, -1 }, classes = { "a", "b" } }):hash())
end)

t.test("batches", function()
  local s = open("records", { paths = paths, classes = { "a", "b" }, values = { { 1 }, { 2 }, { 3 } }, masks = masks,
    boxes = { { { 1, 1, 3, 4 } }, {}, { { 0, 0, 8, 6 }, { 2, 2, 4, 4 } } }, box_labels = { { 1 }, {}, { 0, 1 } }, points = { {}, { { 1, 2 } }, {} } })
  local p = core.data.pipeline { { "random_horizontal_flip", p = 1 } }
  local loader <close> = core.data.loader(s, p, { batch = 2 })
  loader:start(0)
  local x, labels, n, indices, share, more = loader:next()
  t.equal(n .. " " .. share .. " " .. indices[2], "2 1.0 2")
  t.equal(table.concat(x:shape(), " "), "2 6 8 1")
  t.equal(labels:dtype(), "int32")
  t.equal(table.concat(more.mask:shape(), " ") .. " " .. more.mask:dtype(), "2 6 8 int32")
  t.equal(more.mask:to("float32"):sum():item(), 48)
  t.equal(more.values:sum():item(), 3.0)
  t.equal(table.concat(more.boxes_offsets, " ") .. " " .. table.concat(more.points_offsets, " "), "0 1 1 0 0 1")
  t.equal(table.concat(more.boxes:tolist()[1], " "), "5.0 1.0 7.0 4.0")
  t.equal(more.box_labels:tolist()[1], 1)
  t.equal(table.concat(more.points:tolist()[1], " "), "7.0 2.0")
  more = select(6, loader:next())
  t.equal(more.mask:to("float32"):sum():item(), 48 * 255)
  t.equal(table.concat(more.points:shape(), " "), "0 2")
  t.equal(loader:next(), nil)
end)

t.test("pictures and labels alone have nothing more", function()
  local s = open("records", { paths = paths, labels = { 0, 0, 1 }, classes = { "a", "b" } })
  local loader <close> = core.data.loader(s, core.data.pipeline {}, { batch = 3 })
  loader:start(0)
  t.equal(select("#", loader:next()), 6)
  loader:start(0)
  t.equal(select(6, loader:next()), nil)
  t.equal(s:mask(1), nil)
  t.equal(s:counts()[1], 2)
end)

t.test("what is refused", function()
  local function refused(options, part)
    local ok, why = pcall(open, "records", options)
    assert(not ok and tostring(why):find(part, 1, true), tostring(why))
  end
  refused({}, "paths is missing")
  refused({ paths = paths, lables = {} }, "did you mean 'labels'?")
  refused({ paths = paths, labels = { 1 } }, "there are 3 samples, and labels has 1")
  refused({ paths = paths, labels = { 0, 1, 2.5 }, classes = { "a", "b" } }, "labels of sample 3 is no class number")
  refused({ paths = paths, values = { { 1 }, { 2, 3 }, { 4 } } }, "values of sample 2 is no list of 1 number")
  refused({ paths = paths, values = { { 1 }, { "x" }, { 4 } } }, "values of sample 2: number 1 is none")
  refused({ paths = paths, boxes = { {}, {}, {} } }, "boxes need box_labels")
  refused({ paths = paths, boxes = { {}, { { 1, 2, 3 } }, {} }, box_labels = { {}, { 1 }, {} } }, "boxes of sample 2 is no list of 4 numbers")
  refused({ paths = paths, masks = masks, mask_values = { [300] = 1 } }, "mask_values takes values from 0 to 255")
  local s = open("records", { paths = paths, boxes = { {}, {}, {} }, box_labels = { {}, {}, {} }, classes = { "a" } })
  local ok, why = pcall(core.data.loader, s, core.data.pipeline { { "random_crop", size = 4, padding = 1, mode = "reflect" } }, { batch = 1 })
  assert(not ok and tostring(why):find("cannot keep boxes", 1, true), tostring(why))
end)

local function batch(s, steps, n)
  local loader = core.data.loader(s, core.data.pipeline(steps or {}), { batch = n or s:count() })
  loader:start(0)
  return loader:next()
end

t.test("pictures in memory", function()
  local floats = tlua.randn(3, 4, 5, 2)
  local s = open("records", { images = floats, labels = { 0, 1, 0 }, classes = { "a", "b" } })
  t.equal(s:count(), 3)
  t.equal(s:name(2), "images#2")
  t.equal((batch(s) - floats):abs():amax():item(), 0.0)
  t.equal(table.concat(batch(s, { { "resize", size = { 8, 7 } } }):shape(), " "), "3 8 7 2")
  t.equal(table.concat(batch(s, { { "normalize", mean = { 1, 2 }, std = { 3, 4 } } }):shape(), " "), "3 4 5 2")
  local dark = batch(s, { { "color_jitter", brightness = { 0.5, 0.5 } } })
  assert((dark - floats * 0.5):abs():amax():item() < 1e-6)
  local other = open("records", { images = floats * 2, labels = { 0, 1, 0 }, classes = { "a", "b" } })
  assert(s:hash() ~= other:hash() and s:list_hash("") ~= other:list_hash("") and s:identity(1) ~= other:identity(1))
  local bytes = tlua.arange(24):to("uint8")
  s = open("records", { images = { bytes:reshape(4, 6), bytes:reshape(2, 4, 3) }, labels = { 0, 1 }, classes = { "a", "b" } })
  t.equal(table.concat(s:read(1):shape(), " "), "4 6 3")
  local x = batch(s, { { "to_channels", channels = 1 }, { "center_crop", size = 2 } })
  t.equal(table.concat(x:shape(), " "), "2 2 2 1")
  local ok, why = pcall(batch, open("records", { images = floats }), { { "rand_augment" } })
  assert(not ok and tostring(why):find("images#1: rand_augment is for pictures of 8 bits with 1 or 3 channels, and this has 2 of floats", 1, true), tostring(why))
  ok, why = pcall(open, "records", { images = tlua.zeros({ 2, 2 }) })
  assert(not ok and tostring(why):find("images are a uint8 or float32 tensor (N, height, width, channels)", 1, true), tostring(why))
  ok, why = pcall(open, "records", { images = floats, paths = paths })
  assert(not ok and tostring(why):find("it is one of them", 1, true), tostring(why))
  ok, why = pcall(open, "records", { images = floats, labels = { 7, 1, 1 }, classes = { "a" } })
  assert(not ok and tostring(why):find("images#1: label 7 of 1 classes", 1, true), tostring(why))
end)

t.test("samples of a function", function()
  local calls = 0
  local function get(i)
    calls = calls + 1
    return { image = i == 2 and paths[2] or tlua.full({ 6, 8, 1 }, i, { dtype = "uint8" }), label = i % 2, values = { i, false }, mask = tlua.full({ 6, 8 }, i % 2, { dtype = "int32" }),
      boxes = { { 0, 0, i, i } }, box_labels = { 1 }, points = { { i, i }, { 0, 0 } } }
  end
  local s = open("custom", { count = 4, get = get, classes = { "a", "b" }, value_names = { "x", "y" } })
  t.equal(calls, 1)
  t.equal(#s:fields(), 6)
  t.equal(s:hash(), nil)
  t.equal(s:identity(1), nil)
  local view = core.data.subset(s, { 4, 3, 2 })
  local loader <close> = core.data.loader(view, core.data.pipeline {}, { batch = 3, threads = 4 })
  t.equal(loader:threads(), 0)
  loader:start(0)
  local x, labels, n, _, _, more = loader:next()
  t.equal(n, 3)
  t.equal(calls, 5) -- the size was asked for
  t.equal(table.concat(labels:tolist(), " "), "0 1 0")
  t.equal(more.values:tolist()[1][1], 4.0)
  t.equal(more.boxes:tolist()[2][3], 3.0)
  t.equal(#more.points:tolist(), 6)
  assert(math.abs(x:tolist()[3][1][1][1] * 255 - 20) < 1e-4)
  assert(open("custom", { count = 4, get = get, classes = { "a", "b" }, key = "1" }):hash() ~= open("custom", { count = 4, get = get, classes = { "a", "b" }, key = "2" }):hash())
  collectgarbage()
end)

t.test("errors of that function name its own line", function()
  local function refused(get, part, count)
    local ok, why = pcall(function()
      local s = open("custom", { count = count or 1, get = get, classes = { "a" } })
      return batch(s, nil, count)
    end)
    assert(not ok and tostring(why):find(part, 1, true) and not tostring(why):find("\n", 1, true), tostring(why))
  end
  local line = debug.getinfo(1, "l").currentline
  refused(function(i) return i.x.y end, ("tests/lua/records.lua:%d: attempt to index"):format(line + 1))
  refused(function(i) return tlua.tensor("x") end, ("tests/lua/records.lua:%d: "):format(line + 2))
  refused(function() return 1 end, "get(1) returned a number, and must return a table with image")
  refused(function() return {} end, "get(1): image is a nil, and must be the path of a picture or a tensor")
  refused(function() return { image = tlua.zeros(2, 2), lable = 1 } end, "did you mean 'label'?")
  refused(function() return { image = tlua.zeros(2, 2), label = 1 } end, "get(1): label is no number of one of the 1 classes")
  refused(function() return { image = tlua.zeros(2, 2), mask = tlua.full({ 2, 2 }, 3, { dtype = "uint8" }) } end, "get(1): the mask has the value 3 in row 1, column 1")
  refused(function() return { image = tlua.zeros(2, 2), mask = tlua.zeros({ 2, 3 }, { dtype = "uint8" }) } end, "get: the mask has 2 x 3 pixels (height x width), and its picture 2 x 2")
  refused(function(i) return { image = tlua.zeros(2, 2), values = i == 1 and { 1 } or nil } end, "get(2) gives no values, and get(1) gives it", 2)
  refused(function(i) return { image = tlua.zeros(2, 2), values = i == 1 and { 1 } or { 1, 2 } } end, "get(2): 2 values, and others have 1", 2)
  refused(function() return { image = folder .. "/none.png" } end, "none.png: cannot be opened")
end)

t.test("every allocation may fail", function()
  local table_path = folder .. "/t.csv"
  local file <close> = io.open(table_path, "w")
  file:write("file,age\n1.png,3\n")
  file:flush()
  local mask = tlua.full({ 6, 8 }, 1, { dtype = "uint8" })
  local floats = tlua.full({ 3, 6, 8, 2 }, 0.5)
  local function one(s)
    local scope <close> = tlua.scope()
    local loader <close> = core.data.loader(s, core.data.pipeline { { "resize", size = { 4, 4 } } }, { batch = 3 })
    loader:start(0)
    local more = select(6, loader:next())
    s:mask(1)
    return #s:values(2) + #s:boxes(1) + #s:points(1) + more.boxes_offsets[4]
  end
  local marks = { values = { { 1 }, { 2 }, { 3 } }, masks = masks, boxes = { { { 1, 1, 3, 4 } }, {}, {} }, box_labels = { { 1 }, {}, {} }, points = { {}, { { 1, 2 } }, {} }, classes = { "a", "b" } }
  local ways = {
    function() return one(open("records", { paths = paths, values = marks.values, value_names = { "age" }, masks = masks, boxes = marks.boxes, box_labels = marks.box_labels, points = marks.points, classes = marks.classes })) end,
    function() return one(open("records", { images = floats, values = marks.values, masks = masks, boxes = marks.boxes, box_labels = marks.box_labels, points = marks.points, classes = marks.classes })) end,
    function()
      return one(open("custom", { count = 3, classes = marks.classes, key = "k", get = function(i)
        return { image = paths[i], values = { i }, mask = mask, boxes = { { 1, 1, 3, 4 } }, box_labels = { 1 }, points = { { i, i } }, label = 0 }
      end }))
    end,
    function() return #core.csv(table_path) end,
  }
  for k, way in ipairs(ways) do
    local want, failed = way(), 0
    for n = 1, 3000 do
      core.inject_failure(n)
      local ok, e = pcall(way)
      local used = core.inject_failure(0)
      if not ok then
        failed = failed + 1
        assert(tostring(e):find "memory", e)
      end
      if used < n then break end
    end
    assert(failed >= (k == 4 and 3 or 15), failed)
    t.equal(way(), want)
  end
end)

os.execute("rm -r " .. folder)
t.finish()
