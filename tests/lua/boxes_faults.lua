-- boxes_faults.lua - labels that are wrong without looking so: classes that are counted otherwise, pictures that are there
-- twice, parts that some pictures have and others have not, sizes that are not the picture's. Run by
-- `tlua tests/lua/boxes_faults.lua`.
local run = dofile "tests/lua/run_boxes.lua"
local core = require "tlua.core"
local t, root, put, picture, open, shown, faults = run.t, run.root, run.put, run.picture, run.open, run.shown, run.faults

-- A folder in YOLO's form: n pictures of 60 x 40, each with a box of the classes 0 and 1.
local function yolo_folder(name, n, classes, file)
  for i = 1, n do
    picture(("%s/%d.png"):format(name, i))
    put(("%s/%d.txt"):format(name, i), "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.5 0.5\n")
  end
  put(("%s/%s"):format(name, file or "classes.txt"), classes)
  return { root = root .. "/" .. name, split = 0 }
end

t.test("YOLO: names of classes keep their numbers", function()
  local function names(text, file) return open("yolo", yolo_folder("names", 1, text, file)).classes end
  t.equal(table.concat(names "\xEF\xBB\xBFa b\r\n나무\r\n\r\n", ","), "a b,나무")
  t.fails("classes.txt:2: an empty line before other names, and classes are counted by the lines", names, "a\n\nb\n")
  t.fails("classes.txt:1: an empty line", names, "\na\nb\n")
  t.fails("classes.txt:1: column 'name': 'a\\x00c' is no name of a class", names, "a\0c\nb\n")
  t.equal(table.concat(names("names: ['it''s', b,]\n", "data.yaml"), ","), "it's,b")
  for text, message in pairs {
    ["names: ['', a, b]"] = "data.yaml:1: name 1 of names is empty, and classes are counted by them",
    ["names: [a, , b]"] = "name 2 of names is empty", ["names: ['a, b]"] = "a quote in names has no end",
    ["names: [\"a\\u0062\", b]"] = "quotes within quotes and backslashes are not read here",
  } do t.fails(message, names, text .. "\n", "data.yaml") end
  core.remove(root .. "/names/classes.txt")
  t.fails("names/data.yaml has no names, and there is no classes.txt or obj.names", names, "nc: 2\n", "data.yaml")
end)

t.test("YOLO: a label file of two pictures", function()
  local o = yolo_folder("two", 2, "a\nb\n")
  picture("two/1.bmp")
  local built = faults("yolo", o, { "two/1.txt is that of " .. root .. "/two/1.", "(label files of two pictures: 1)" })
  t.equal(built.train:count(), 2)
end)

t.test("YOLO: some pictures of no part", function()
  local o = { root = yolo_folder("parts", 2, "a\nb\n").root }
  for _, part in ipairs { "test", "train", "val" } do
    picture(("parts/%s/x.png"):format(part))
    put(("parts/%s/x.txt"):format(part), "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.5 0.5\n")
  end
  local built = faults("yolo", o, { "parts/1.txt: it lies in no folder called train, val or test, and others do " ..
    "(pictures of no part: 2)" })
  t.equal(built.train:count() + built.validation:count() + built.test:count(), 3)
end)

t.test("classes that were chosen are named where others occur", function()
  local o = yolo_folder("chosen", 1, "a\nb\n")
  o.classes = { "b" }
  local built = faults("yolo", o, { "1.txt:1: 'a' is none of the classes b (boxes of a class that is not known: 1)" })
  t.equal(shown(built.train), "1.png 0 0 30 20:0")
  o.classes = {}
  t.fails("there are no names of classes", open, "yolo", o)
end)

-- ---- VOC ----

local function voc_folder(name, names, lists, size)
  for _, each in ipairs(names) do
    picture(("%s/JPEGImages/%s.png"):format(name, each))
    put(("%s/Annotations/%s.xml"):format(name, each), ("<annotation>%s<object><name>x</name><bndbox><xmin>1</xmin>" ..
      "<ymin>1</ymin><xmax>10</xmax><ymax>20</ymax></bndbox></object></annotation>"):format(size or ""))
  end
  for list, text in pairs(lists) do put(("%s/ImageSets/Main/%s.txt"):format(name, list), text) end
  return { root = root .. "/" .. name }
end

t.test("VOC: lists of parts", function()
  local o = voc_folder("lists", { "a", "b c", "d", "7 1" }, { train = "\xEF\xBB\xBFa\r\nb c  1\r\n7 1\r\n", val = "d\n" })
  local built = open("voc", o)
  t.equal(built.train:count(), 3)
  t.equal(built.validation:count(), 1)
  put("lists/ImageSets/Main/train.txt", "a\nb c.png\n")
  built = faults("voc", o, { "train.txt:2: there is no picture 'b c.png' (names of parts without a picture: 1)" })
  t.equal(built.train:count(), 1)
  t.fails("no picture stands in the lists of", open, "voc", voc_folder("none", { "a" }, { train = "", test = "" }))
  -- A test part alone: the other pictures are no training part of it.
  t.fails("no sample is for training", open, "voc", voc_folder("tests", { "a", "b" }, { test = "a\n" }))
end)

t.test("a size that is not the picture's: no box of it is learnt", function()
  voc_folder("size", { "a" }, { train = "a\nb\n" })
  local o = voc_folder("size", { "b" }, {}, "<size><width>40</width><height>60</height></size>")
  local built = faults("voc", o, { "b.xml: it says 40 x 60 pixels, and the picture has 60 x 40 as it stands upright: " ..
    "its boxes are of the picture before it was turned (files that speak of another size: 1)" })
  t.equal(shown(built.train), "a.png 0 0 10 20:0")
end)

-- ---- COCO ----

t.test("COCO: sizes, areas and pictures that are there twice", function()
  for _, name in ipairs { "a", "b", "c" } do picture(("coco/%s.png"):format(name)) end
  local path = put("coco/all.json", core.json_encode {
    images = { { id = 1, file_name = "a.png", width = 60, height = 40 }, { id = 2, file_name = "b.png", width = 120, height = 80 },
      { id = 3, file_name = "./a.png" }, { id = 4, file_name = "c.png" } },
    categories = { { id = 1, name = "x" } },
    annotations = { { image_id = 1, category_id = 1, bbox = { 1, 1, 9, 9 } }, { image_id = 2, category_id = 1, bbox = { 1, 1, 9, 9 } },
      { image_id = 3, category_id = 1, bbox = { 2, 2, 9, 9 } }, { image_id = 4, category_id = 1, bbox = { 3, 3, 9, 9 }, area = -5 },
      { image_id = 4, category_id = 1, bbox = { 4, 4, 9, 9 } } } })
  local built = faults("coco", { annotations = path, split = 0 }, {
    "all.json, image 2: it says 120 x 80 pixels, and the picture has 60 x 40 (files that speak of another size: 1)",
    "all.json, image 3: " .. root .. "/coco/./a.png is there already, by " .. path .. ", image 1 (pictures that are there",
    "all.json, annotation 4: area is -5, in square pixels (annotations whose area is none: 1)" })
  t.equal(shown(built.train), "a.png 1 1 10 10:0 | c.png 4 4 13 13:0")
  local text = run.noted(function() open("coco", { annotations = path, test_annotations = path }) end)
  assert(text:find("(pictures that are there twice: 5)", 1, true), text) -- one in itself, and all of them in the test
end)

t.test("JSON that is none: where", function()
  local function at(text) return core.json_decode(text) end
  t.fails("this text is not JSON: line 2, byte 8: 'NaN, 1]}'", at, "{\n\"bbox\":NaN, 1]}\n")
  t.fails("this text is not JSON: line 1, byte 4, where the text ends", at, "[1,")
  t.fails("this text is not JSON: line 1, byte 1, where the text ends", at, "")
  t.fails("a.json: this text is not JSON: line 1, byte 1: '?'", open, "coco", { annotations = put("a.json", "\xC3") })
end)

t.test("tables: a picture by several names is one", function()
  picture("table/a.png")
  local path = put("table/boxes.csv", "file,left,top,right,bottom,class\na.png,1,2,11,12,bug\n./a.png,4,2,11,12,bug\n" ..
    ("%s//table/a.png,5,2,11,12,bug\n"):format(root))
  t.equal(shown(open("boxes", { path = path, split = 0 }).train), "a.png 1 2 11 12:0, 4 2 11 12:0, 5 2 11 12:0")
end)

t.test("boxes that no tile shows enough of are counted", function()
  picture("tiled/a.png", 400, 400)
  put("tiled/a.txt", "0 0.5 0.5 1 1\n0 0.1 0.1 0.1 0.1\n")
  put("tiled/classes.txt", "a")
  local built = open("yolo", { root = root .. "/tiled", split = 0, tiles = { 100, 0 }, least_visible = 0.2 })
  local said = table.concat(built.said, "\n")
  assert(said:find("; 1 box left out, which no tile shows enough of (data.least_visible)", 1, true), said)
end)

t.finish()
