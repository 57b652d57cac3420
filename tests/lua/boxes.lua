-- boxes.lua - data whose samples are pictures with boxes: the four forms, every fault of labels with its line and
-- count, parts, letterboxes against YOLOX's preproc, and boxes that are cut. Run by `tlua tests/lua/boxes.lua`.
local tlua = require "tlua"
local core = require "tlua.core"
local data = tlua.data

local run = dofile "tests/lua/run_boxes.lua"
local t, root, put, picture, open, shown, faults = run.t, run.root, run.put, run.picture, run.open, run.shown, run.faults

-- ---- YOLO ----

for _, part in ipairs { "train", "val", "test" } do picture("yolo/images/" .. part .. "/a.png") end
picture("yolo/images/train/b.png", 20, 20)
put("yolo/labels/train/a.txt", "1 0.5 0.5 0.5 0.5\n0 0.25 0.25 0.5 0.5\n")
put("yolo/labels/train/b.txt", "1 0.5 0.5 1 1\r\n")
put("yolo/labels/val/a.txt", "0 0.5 0.5 0.1 0.1")
put("yolo/labels/test/a.txt", "1 0.5 0.5 0.2 0.2")
put("yolo/data.yaml", "train: ../train # pictures\nnc: 2\nnames:\n  0: 'leaf #1'\n  1: beetle\nval: x\n")

t.test("YOLO: parts by folders, names of data.yaml", function()
  local built = open("yolo", { root = root .. "/yolo" })
  t.equal(table.concat(built.classes, ","), "leaf #1,beetle")
  t.equal(shown(built.train), "a.png 15 10 45 30:1, 0 0 30 20:0 | b.png 0 0 20 20:1")
  t.equal(shown(built.validation), "a.png 27 18 33 22:0")
  t.equal(shown(built.test), "a.png 24 16 36 24:1")
  assert(table.concat(built.said, "\n"):find("5 boxes in 4 pictures, 2 classes", 1, true))
end)

t.test("YOLO: subsets of CVAT are parts, and one without subsets has none", function()
  for i, part in ipairs { "train", "train", "train", "train", "Validation", "test" } do
    picture(("cvat/obj_%s_data/%d.png"):format(part, i))
    put(("cvat/obj_%s_data/%d.txt"):format(part, i), "0 0.5 0.5 0.5 0.5\n")
    picture(("cvat1/obj_train_data/%d.png"):format(i))
    put(("cvat1/obj_train_data/%d.txt"):format(i), "0 0.5 0.5 0.5 0.5\n")
    picture(("only/images/train/%d.png"):format(i))
    put(("only/labels/train/%d.txt"):format(i), "0 0.5 0.5 0.5 0.5\n")
  end
  for _, each in ipairs { "cvat/obj.names", "cvat1/obj.names", "only/classes.txt" } do put(each, "leaf\n") end
  put("cvat/train.txt", "data/obj_train_data/1.png\n")
  local built = open("yolo", { root = root .. "/cvat" })
  t.equal(built.validation:path(1):match "[^/]+$", "5.png")
  t.equal(built.test:path(1):match "[^/]+$", "6.png")
  t.equal(built.train:count(), 4)
  t.fails("leave split out of the recipe", open, "yolo", { root = root .. "/cvat", split = 0.5 })
  built = open("yolo", { root = root .. "/cvat1", split = 0.5 })
  t.equal(built.train:count(), 3)
  t.equal(built.test:count(), 3)
  -- A folder called train alone says nothing of a test.
  built = open("yolo", { root = root .. "/only" })
  t.equal(built.train:count(), 5)
  t.equal(built.test:count(), 1)
  t.equal(open("yolo", { root = root .. "/only", split = 0 }).train:count(), 6)
  -- One called val says nothing of a test either, and split does.
  picture "only/images/val/7.png"
  put("only/labels/val/7.txt", "0 0.5 0.5 0.5 0.5\n")
  t.equal(open("yolo", { root = root .. "/only" }).test:count(), 0)
  built = open("yolo", { root = root .. "/only", split = 0.5 })
  t.equal(shown(built.validation), "7.png 15 10 45 30:0")
  t.equal(built.train:count(), 3)
  t.equal(built.test:count(), 3)
  local own = shown(built.train)
  assert(table.concat(built.said, "\n"):find("no test part: 50 % of the training samples held out", 1, true))
  for word in shown(built.test):gmatch "%d%.png" do assert(not own:find(word, 1, true), word .. " is in both parts") end
end)

t.test("labels of another form are named", function()
  t.fails("cvat1/obj.names: --data yolo reads such files", open, "voc", { root = root .. "/cvat1" })
  picture("xml/a.png")
  put("xml/a.xml", "<annotation></annotation>")
  t.fails("xml/a.xml: --data voc reads such files", open, "yolo", { root = root .. "/xml" })
  put("json/annotations/instances_default.json", "{}")
  t.fails("instances_default.json: --data coco --data.annotations FILE reads such files", open, "yolo",
    { root = root .. "/json" })
  picture("xml/b.png")
  put("xml/b.txt", "0 0.5 0.5 0.5 0.5\n")
  t.fails("xml/b.txt, which is not read here", open, "voc", { root = root .. "/xml", classes = { "leaf" } })
end)

t.test("names in other forms", function()
  local yolo = require "tlua.data.boxes.yolo"
  local function names(text) return table.concat(yolo.names_of_yaml(put("names.yaml", text)) or {}, ",") end
  t.equal(names "names: ['a, b', \"c\", d]\n", "a, b,c,d")
  t.equal(names "names: [a,\n  b]\nnc: 2\n", "a,b")
  t.equal(names "names:\n- a\n- b\ntrain: c\n", "a,b")
  t.fails("names.yaml:2: class 1, and 0 is next", names, "names:\n  1: a\n")
end)

t.test("YOLO: every fault has its line and count", function()
  for i = 1, 5 do picture("bad/images/train/" .. i .. ".png", 100, 100) end
  picture("bad/images/train/lonely.png")
  put("bad/images/train/film.png", "this is a film")
  put("bad/labels/train/film.txt", "0 0.5 0.5 0.1 0.1")
  picture("bad/images/test/t.png")
  put("bad/labels/test/t.txt", "0 0.5 0.5 0.5 0.5")
  put("bad/classes.txt", "a\nb\nunseen\n")
  put("bad/labels/train/1.txt",
    "0 0.5 0.5 0.5 0.5\n7 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0 0.5\n1 0.2 0.2 0.1 0.1\n")
  put("bad/labels/train/2.txt", "0 0.95 0.5 0.5 0.5\n0 0.1 0.1 0.1 0.1")
  put("bad/labels/train/3.txt", "")
  put("bad/labels/train/4.txt",
    "0 0.5 0.5 nan 0.5\n0 0.5 0.5 -0.5 0.5\nleaf 1 2 3 4\n0 1 2 3\n0 0.1 0.1 0.2 0.2 0.3 0.3\n")
  put("bad/labels/train/5.txt", "0 50 50 20 20\n")
  put("bad/labels/train/nobody.txt", "0 0.5 0.5 0.5 0.5\n")
  local built = faults("yolo", { root = root .. "/bad" }, {
    "1.txt:2: class 7 of 3, counted from 0 (boxes of a class that is not known: 1)",
    "1.txt:3: box 25, 25, 75, 75 (boxes that stand there twice: 1)",
    "1.txt:4: box 50, 25, 50, 75 (boxes of no area: 1)",
    "2.txt:1: box 70, 25, 120, 75, and the picture is 100 x 100 (boxes that reach out of the picture: 1)",
    "3.txt: no box; --data.background keep takes", "(pictures without a box: 1)",
    "(boxes with a side that is no number: 1)", "(boxes whose corners are in the wrong order: 1)",
    "4.txt:3: 'leaf 1 2 3 4'; class x y width height are wanted (lines that are no boxes: 3)",
    "5.txt:1: 0 50 50 20 20; x, y, width and height are wanted as shares",
    "lonely.png: there is no", "(pictures without a label file: 1)",
    "nobody.txt: there is no picture of that name (label files without a picture: 1)",
    "(files that cannot be read as pictures: 1)", })
  t.equal(shown(built.train), "1.png 25 25 75 75:0, 15 15 25 25:1 | 2.png 5 5 15 15:0")
  assert(table.concat(built.said, "\n"):find("no training picture has a box of unseen", 1, true))
  t.fails("no training picture has a box of unseen", open, "yolo",
    { root = root .. "/yolo", classes = { "leaf #1", "unseen", "beetle" } })
end)

t.test("pictures without boxes", function()
  picture("empty/images/a.png")
  picture("empty/images/b.png")
  put("empty/labels/a.txt", "0 0.5 0.5 0.5 0.5")
  put("empty/labels/b.txt", "\n")
  put("empty/classes.txt", "a")
  local o = { root = root .. "/empty", split = 0 }
  t.fails("b.txt: no box; --data.background keep", open, "yolo", o)
  o.background = "keep"
  t.equal(shown(open("yolo", o).train), "a.png 15 10 45 30:0 | b.png ")
  o.background = "skip"
  t.equal(shown(open("yolo", o).train), "a.png 15 10 45 30:0")
end)

-- ---- VOC ----

local function object(name, box)
  return ("<object><name>%s</name><bndbox><xmin>%g</xmin><ymin>%g</ymin><xmax>%g</xmax><ymax>%g</ymax></bndbox>" ..
    "</object>"):format(name, table.unpack(box))
end
local function annotation(...)
  return "<?xml version=\"1.0\"?>\n<annotation>" .. table.concat { ... } .. "</annotation>"
end
local SIZE = "<size><width>60</width><height>40</height><depth>3</depth></size>"

t.test("VOC: ImageSets, pixels counted from 1", function()
  for _, name in ipairs { "a", "b", "c", "d" } do
    picture("voc/JPEGImages/" .. name .. ".png")
    put("voc/Annotations/" .. name .. ".xml",
      annotation(SIZE, object("x &amp; y", { 1, 1, 10, 20 }), object("z", { 5, 6, 60, 40 })))
  end
  put("voc/ImageSets/Main/train.txt", "a\nb\n")
  put("voc/ImageSets/Main/val.txt", "c  1\n")
  local built = open("voc", { root = root .. "/voc", split = nil })
  t.equal(table.concat(built.classes, ","), "x & y,z")
  t.equal(shown(built.train), "a.png 0 0 10 20:0, 4 5 60 40:1 | b.png 0 0 10 20:0, 4 5 60 40:1")
  t.equal(built.validation:count(), 1)
  assert(table.concat(built.said, "\n"):find("1 picture of no part", 1, true))
end)

t.test("VOC: faults", function()
  for i = 1, 5 do picture("voc2/" .. i .. ".png") end
  put("voc2/1.xml", annotation(SIZE, object("x", { 20, 1, 10, 20 }), object("x", { 1, 1, 10, 10 })))
  put("voc2/2.xml", "<annotation><object></annotation>")
  put("voc2/3.xml", annotation("<size><width>600</width><height>400</height></size>", object("x", { 1, 1, 5, 5 })))
  put("voc2/4.xml", annotation(SIZE, "<object><name>x</name><bndbox><xmin>a</xmin></bndbox></object>",
    object("", { 1, 1, 2, 2 })))
  put("voc2/5.xml", annotation(SIZE, object("x", { 1, 1, 5, 5 })))
  put("voc2/6.xml", annotation(SIZE))
  local built = faults("voc", { root = root .. "/voc2", split = 0.3 }, {
    "1.xml, object 2: box 19, 0, 10, 20; left, top, right, bottom are wanted (boxes whose corners are in the wrong",
    "2.xml:1: a tag is closed that is not the last one opened (files that are damaged: 1)",
    "3.xml: it says 600 x 400 pixels, and the picture has 60 x 40 (files that speak of another size: 1)",
    "4.xml, object 2: object 'x' has no number for xmin (objects without a box: 1)", "(objects without a name: 1)",
    "6.xml: there is no picture of that name (label files without a picture: 1)" })
  t.equal(built.train:count() + built.test:count(), 2) -- without 3.png, whose boxes are of another size
end)

t.test("XML is read strictly", function()
  local function tree(text) return core.xml(text, "x.xml") end
  local a = tree("\xEF\xBB\xBF<?xml version='1.0' encoding='UTF-8'?><!-- c -->" ..
    "<a x='1' y=\"<\"> b<c/>&lt;&#65;&#x1F600;<![CDATA[<d>]]> </a>\n")
  t.equal(a.name, "a")
  t.equal(a.text, "b<A😀<d>")
  t.equal(a[1].name, "c")
  t.equal(#a, 1)
  for text, message in pairs {
    ["<a>"] = "x.xml:1: the file ends before its elements do", ["<a></b>"] = "a tag is closed that is not the last",
    ["<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"] = "a document type, which is not read here",
    ["<a>&b;</a>"] = "an & that begins no character", ["<a/><b/>"] = "a second element",
    ["x"] = "text outside of an element", [""] = "the file has no element", ["<a b></a>"] = "an attribute has no value",
    ["<a>\n\n<1></a>"] = "x.xml:3: a name is expected",
    ["<?xml version='1.0' encoding='EUC-KR'?><a/>"] = "the file is not in UTF-8", 
    ["<a>\xff</a>"] = "no XML in UTF-8",
    [("<a>"):rep(33)] = "too deep", ["<a>&#0;</a>"] = "an & that begins", ["<a>&#xD800;</a>"] = "an & that begins",
    ["<a>" .. ("x"):rep(70000) .. "</a>"] = "a text of more than 65536 bytes",
    ["<a><!-- </a>"] = "a comment has no end",
  } do t.fails(message, tree, text) end
end)

-- ---- COCO ----

local function coco(name, change)
  local all = { images = { { id = 1, file_name = "a.png", width = 60, height = 40 }, { id = 7, file_name = "b.png" } },
    categories = { { id = 3, name = "leaf" }, { id = 1, name = "bug" } },
    annotations = { { image_id = 1, category_id = 3, bbox = { 1, 2, 10, 20 }, area = 50, iscrowd = 0 },
      { image_id = 1, category_id = 1, bbox = { 0, 0, 60, 40 }, iscrowd = 1 },
      { image_id = 7, category_id = 1, bbox = { 5.5, 5, 10, 10 } } } }
  if change then change(all) end
  return put(name, core.json_encode(all))
end

t.test("COCO: a JSON for each part, crowds and areas", function()
  picture("coco/images/a.png")
  picture("coco/images/b.png")
  local path = coco("coco/train.json")
  picture("coco/images/c.png")
  local test = coco("coco/test.json", function(all)
    all.images = { { id = 1, file_name = "c.png" } }
    all.annotations[3] = nil
  end)
  local built = open("coco", { annotations = path, test_annotations = test })
  t.equal(table.concat(built.classes, ","), "bug,leaf")
  t.equal(shown(built.train), "a.png 1 2 11 22:1 | b.png 5.5 5 15.5 15:0")
  t.equal(built.test:count(), 1)
  t.equal(built.boxes.areas[1][1], 50)
  t.equal(built.boxes.crowds[1].labels[1], 0)
  t.equal(built.boxes.crowds[2], false)
  assert(table.concat(built.said, "\n"):find("2 of crowds, which are not learnt", 1, true))
end)

t.test("COCO: faults", function()
  picture("coco2/a.png")
  picture("coco2/b.png")
  local path = coco("coco2/all.json", function(all)
    all.images[3] = { id = 9, file_name = "gone.png" }
    local list = all.annotations
    list[4] = { image_id = 7, category_id = 8, bbox = { 1, 1, 5, 5 } }
    list[5] = { image_id = 8, category_id = 1, bbox = { 1, 1, 5, 5 } }
    list[6] = { image_id = 7, category_id = 1, bbox = { 1, 1, 5 } }
    list[7] = { image_id = 7, category_id = 1, bbox = { 1, 1, 500, 5 } }
    list[8] = { image_id = 9, category_id = 1, bbox = { 1, 1, 5, 5 } }
  end)
  local built = faults("coco", { annotations = path, split = 0 }, {
    "all.json, annotation 4: category 8 is none of the file's", "all.json, annotation 5: image_id is none of",
    "all.json, annotation 6: bbox has not four numbers",
    "all.json, annotation 7: box 1, 1, 501, 6, and the picture is 60 x 40",
    "all.json, image 3: there is no file", "(pictures that are not there: 1)" })
  t.equal(shown(built.train), "a.png 1 2 11 22:1 | b.png 5.5 5 15.5 15:0")
  t.fails("is no JSON of COCO's form: it has no list 'images'", open, "coco", { annotations = put("x.json", "{}") })
  t.fails("annotations is missing", open, "coco", {})
end)

-- ---- tables ----

t.test("a table of boxes", function()
  picture("table/a.png")
  picture("table/b.png")
  picture("table/c.png")
  local path = put("table/boxes.csv", "file,left,top,right,bottom,class,part\na.png,1,2,11,12,bug,train\n"
    .. "a.png,3,2,11,12,leaf,train\nb.png,,,,,,train\nc.png,0,0,60,40,bug,test\n")
  local built = open("boxes", { path = path, part = "part" })
  t.equal(shown(built.train), "a.png 1 2 11 12:0, 3 2 11 12:1 | b.png ")
  t.equal(shown(built.test), "c.png 0 0 60 40:0")
  core.append_file(path, "c.png,0,0,60,,bug,test\n")
  t.fails("boxes.csv:6: column 'bottom' is empty", open, "boxes", { path = path, part = "part" })
end)

-- ---- what becomes of boxes ----

local golden = core.load "tests/golden/letterbox.safetensors"

local function first(source, pipeline)
  local loader = core.data.loader(source, pipeline, { batch = 1 })
  loader:start(1)
  local x, _, _, _, _, more = loader:next()
  return { input = x, boxes = more.boxes }
end

t.test("letterboxes are YOLOX's", function()
  for i = 0, 6 do
    local x, want = golden[i .. ".in"], golden[i .. ".out"]
    local size = want:shape()
    local s = core.data.source("records", { images = { x }, classes = { "a" },
      boxes = { golden[i .. ".boxes"]:tolist() }, box_labels = { { 0, 0 } } })
    local p = core.data.pipeline { { "letterbox", size = { size[1], size[2] } },
      { "normalize", mean = 0, std = 1 / 255 } }
    local batch = first(s, p)
    local got, worst = batch.input:reshape(-1):tolist(), 0
    for k, v in ipairs(want:to "float32":reshape(-1):tolist()) do worst = math.max(worst, math.abs(got[k] - v)) end
    assert(worst <= 1e-3, ("case %d is %g off"):format(i, worst))
    local moved = golden[i .. ".moved"]:tolist()
    for k, b in ipairs(batch.boxes:tolist()) do
      for j, v in ipairs(b) do
        assert(math.abs(v - moved[k][j]) < 1e-3, ("case %d, box %d: %g, not %g"):format(i, k, v, moved[k][j]))
      end
    end
  end
end)

t.test("a picture of 10,000 x 10 pixels, and 3,000 boxes in one", function()
  local list, labels = {}, {}
  for i = 1, 3000 do list[i], labels[i] = { 3 * i, 0, 3 * i + 400, 10 }, 0 end
  local s = core.data.source("records", { images = { core.zeros({ 10, 10000, 3 }, { dtype = "uint8" }) },
    classes = { "a" }, boxes = { list }, box_labels = { labels } })
  local p = core.data.pipeline { { "letterbox", size = 416 } }
  local batch = first(s, p)
  t.equal(table.concat(batch.input:shape(), " "), "1 416 416 3")
  t.equal(#batch.boxes:tolist(), 0) -- less than a pixel high
end)

t.test("videos and pictures of other formats that were taken for pictures", function()
  local film = "\0\0\0\24ftypisom\0\0\2\0isomiso2" .. ("\0"):rep(200)
  picture("films/images/a.png")
  put("films/images/b.jpg", film)
  put("films/images/c.MOV", film)
  put("films/images/d.png", "\0\0\0\24ftypheic\0\0\0\0mif1heic" .. ("\0"):rep(200))
  put("films/images/e.bmp", "RIFF\16\0\0\0AVI LIST" .. ("\0"):rep(200))
  put("films/images/notes.txt", "")
  for _, name in ipairs { "a", "b", "c", "d", "e" } do
    put("films/labels/" .. name .. ".txt", "0 0.5 0.5 0.5 0.5")
  end
  put("films/classes.txt", "a")
  local built = faults("yolo", { root = root .. "/films", split = 0 }, {
    "images/b.jpg: a video (MP4), which is not read; take pictures out of it: ffmpeg -i FILE -r 1 %04d.jpg " ..
      "(files that cannot be read as pictures: 3)",
    "c.txt: there is " .. root .. "/films/images/c.MOV, and no picture is read of that (label files without" })
  t.equal(built.train:count(), 1)
  assert(table.concat(built.said, "\n"):find("skipped   1 .mov is passed over: JPEG, PNG", 1, true),
    table.concat(built.said, "\n"))
  t.fails("d.png: a HEIC picture, as phones take them, which is not read; save it as JPEG or PNG", core.image_size,
    root .. "/films/images/d.png")
  t.fails("e.bmp: a video (AVI), which is not read", core.image_size, root .. "/films/images/e.bmp")
  t.fails("films/images/b.jpg is a file; --data.root DIR names another", open, "yolo",
    { root = root .. "/films/images/b.jpg" })
  t.fails("b.jpg: this text is not JSON", open, "coco", { annotations = root .. "/films/images/b.jpg" })
end)

t.test("a picture of 10,000 x 10 pixels and one with 3,000 boxes in training", function()
  picture("wide/images/a.png", 10, 10000)
  picture("wide/images/b.png", 300, 400)
  put("wide/labels/a.txt", "0 0.5 0.5 0.9 0.9\n")
  local lines = {}
  for i = 0, 2999 do lines[i + 1] = ("0 %.5f %.5f 0.02 0.02"):format(0.02 + i % 60 / 62.5, 0.02 + i // 60 / 52) end
  put("wide/labels/b.txt", table.concat(lines, "\n"))
  put("wide/classes.txt", "a")
  local o = { root = root .. "/wide", split = 0, size = 416, fit = "letterbox", batch = 2, mosaic = 1, mixup = 1 }
  for k, options in ipairs { { mosaic = 0, mixup = 0 }, {}, { multi_scale = { 32, 640 } }, { tiles = { 64, 16 } } } do
    for key, v in pairs(o) do if options[key] == nil then options[key] = v end end
    local built, most = open("yolo", options), 0
    for epoch = 1, 3 do
      local loader <close> = data.loader(built, "train", 0)
      loader:start(epoch)
      while true do
        local scope <close> = core.scope()
        local x, _, _, _, _, more = loader:next()
        if not x then break end
        most = math.max(most, more.boxes:shape(1))
      end
    end
    assert(k == 1 and most == 3000 or k == 4 and most > 50 or most > 500, ("case %d: %d boxes"):format(k, most))
  end
end)

t.test("boxes of which little is seen are dropped", function()
  local s = core.data.source("records", { images = { core.zeros({ 40, 40, 3 }, { dtype = "uint8" }) },
    classes = { "a" },
    boxes = { { { 0, 0, 10, 10 }, { 8, 8, 18, 18 }, { 15, 15, 25, 25 }, { -100, 15, 25, 25 } } },
    box_labels = { { 0, 0, 0, 0 } } })
  local function count(share)
    local steps = { { "center_crop", size = 20 } } -- from 10 to 30
    if share then steps[2] = { "least_visible", share = share } end
    return #first(s, core.data.pipeline(steps)).boxes:tolist()
  end
  t.equal(count(), 3)      -- the second keeps 64 %, the fourth 15 of its 25 pixels in the picture
  t.equal(count(0.5), 3)
  t.equal(count(0.62), 2)
  t.equal(count(0.7), 1)
  t.equal(count(1), 1)
end)

t.test("letterboxes in recipes", function()
  local built = open("yolo", { root = root .. "/yolo", fit = "letterbox" })
  local loader = data.loader(built, "train", 0)
  loader:start(1)
  local x, _, _, _, _, more = loader:next()
  local batch = { input = x, boxes = more.boxes }
  t.equal(table.concat(batch.input:shape(), " "), "2 32 32 3")
  t.equal(#batch.boxes:tolist(), 3)
  t.fails("linear is a filter of letterboxes", open, "yolo", { root = root .. "/yolo", interpolation = "linear" })
  t.fails("nearest is no filter of letterboxes", open, "yolo", { root = root .. "/yolo", interpolation = "nearest",
    fit = "letterbox" })
end)

t.finish()
