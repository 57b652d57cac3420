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
  refused({ paths = paths, labels = { 1 } }, "there are 3 pictures, and labels has 1")
  refused({ paths = paths, labels = { 0, 1, 2.5 }, classes = { "a", "b" } }, "labels of picture 3 is no class number")
  refused({ paths = paths, values = { { 1 }, { 2, 3 }, { 4 } } }, "values of picture 2 is no list of 1 number")
  refused({ paths = paths, values = { { 1 }, { "x" }, { 4 } } }, "values of picture 2: number 1 is none")
  refused({ paths = paths, boxes = { {}, {}, {} } }, "boxes need box_labels")
  refused({ paths = paths, boxes = { {}, { { 1, 2, 3 } }, {} }, box_labels = { {}, { 1 }, {} } }, "boxes of picture 2 is no list of 4 numbers")
  refused({ paths = paths, masks = masks, mask_values = { [300] = 1 } }, "mask_values takes values from 0 to 255")
  local s = open("records", { paths = paths, boxes = { {}, {}, {} }, box_labels = { {}, {}, {} }, classes = { "a" } })
  local ok, why = pcall(core.data.loader, s, core.data.pipeline { { "random_crop", size = 4, padding = 1, mode = "reflect" } }, { batch = 1 })
  assert(not ok and tostring(why):find("cannot keep boxes", 1, true), tostring(why))
end)

os.execute("rm -r " .. folder)
t.finish()
