-- breaking.lua - tables, masks, tensors and functions as users have them, broken: each is one clear line before
-- anything is written.
-- Run by `tlua tests/lua/breaking.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local nn, data, task = tlua.nn, tlua.data, tlua.task
local folder = t.folder()

local picture = tlua.full({ 16, 16, 3 }, 90, { dtype = "uint8" }):clone()
for _, name in ipairs { "1", "2", "3", "4", "5", "6" } do core.image_write(("%s/%s.png"):format(folder, name),
  picture) end

local function network(width)
  return nn.Sequential(nn.Conv2d(3, 4, 3, { padding = 1 }), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(4, width))
end

t.test("a table where a number belongs is said to be one", function()
  for part, split in pairs { ["a number is needed, not a table with names"] = { test = 0.3 }, ["not {}"] = {} } do
    t.fails(part, data.folder, { root = folder, split = split })
  end
end)

-- The recipe of data.KIND is refused with `part`, in one line at a place in this file, and no run is begun.
local function refused(part, kind, options, fields)
  options.size, options.batch, options.mean, options.std = 16, 2, 0.5, 0.5
  local out = folder .. "/never"
  local e = t.fails(part, function()
    local f = { model = network(2), data = data[kind](options), schedule = { epochs = 1 }, out = out }
    for key, value in pairs(fields or {}) do f[key] = value end
    tlua.recipe(f):run { style = "quiet" }
  end)
  assert(e:find "^tests/lua/breaking%.lua:%d+: " and not e:find("\n", 1, true) and not e:find("%c") and #e < 700, e)
  assert(not core.exists(out), "a run was begun")
end

local function csv(text)
  core.write_file(folder .. "/t.csv", text)
  return folder .. "/t.csv"
end

local function rows(column, value)
  local lines = { "file," .. column }
  for i = 1, 6 do lines[i + 1] = ("%d.png,%s"):format(i, value(i)) end
  return csv(table.concat(lines, "\n") .. "\n")
end

local function classes(i) return i % 2 == 0 and "a" or "b" end

t.test("tables: columns twice, no column, cells without end, control characters", function()
  local function fails(part, text, target) refused(part, "csv", { path = csv(text), image = "file", target = target
    or "y" }) end
  fails("t.csv has two columns 'y' (target), 2 and 3; rename one", "file,y,y\n1.png,a,b\n2.png,b,a\n")
  fails("t.csv has two columns 'file' (image), 1 and 2", "file,file,y\n1.png,2.png,a\n")
  fails("data.csv: target names no column", "file,y\n1.png,a\n", {})
  fails("data.csv: target: 'y' stands there twice", "file,y\n1.png,1\n", { "y", "y" })
  fails("there is no file", "file,y\n" .. ("x"):rep(100000) .. ",a\n")
  fails("there is file, yyyyyyyyyy", "file," .. ("y"):rep(100000) .. "\n1.png,a\n", "z")
  fails("t.csv:2: column 'y': 'xxxx", "file,y\n1.png," .. ("x"):rep(100000) .. "\n2.png,a\n")
  fails("there is no file " .. folder .. "/\\x1B[31m.png", "file,y\n\27[31m.png,a\n")
  fails("t.csv:2: column 'y': '\\x1B[31m' is no name of a class", "file,y\n1.png,\27[31m\n2.png,a\n")
end)

t.test("numbers beyond float32, and losses of other targets", function()
  local numbers = { task = task.regress {}, model = network(1) }
  refused("t.csv:4: column 'y': 1e39 is beyond what float32 holds", "csv",
    { path = rows("y", function(i) return i == 3 and "1e39" or i end), image = "file", target = "y" }, numbers)
  local path = rows("y", function(i) return i end)
  for _, loss in ipairs { nn.CrossEntropy {}, nn.Dice {}, nn.BCEWithLogits {}, nn.FocalLoss {} } do
    numbers.loss = loss
    refused(("task.regress: nn.%s takes no numbers"):format(loss.kind), "csv", { path = path, image = "file",
      target = "y" }, numbers)
  end
  path = rows("y,z", function(i) return ("%d,%d"):format(i % 2, i // 3 % 2) end)
  refused("task.multilabel: nn.CrossEntropy takes one class a picture", "csv", { path = path, image = "file",
    target = { "y", "z" } },
    { loss = nn.CrossEntropy {} })
end)

t.test("targets that cannot be mixed are refused before the run", function()
  refused("augment: mixup mixes classes, and task.regress has none", "csv", { path = rows("y",
    function(i) return i end), image = "file", target = "y" },
    { task = task.regress {}, model = network(1), augment = { mixup = 0.2 } })
end)

t.test("masks: names and values of classes, groups", function()
  local root = folder .. "/masks"
  for _, name in ipairs { "images", "masks" } do core.mkdirs(root .. "/" .. name) end
  for i = 1, 6 do
    core.image_write(("%s/images/%d.png"):format(root, i), picture)
    core.image_write(("%s/masks/%d.png"):format(root, i), tlua.full({ 16, 16, 1 }, i % 2, { dtype = "uint8" }):clone())
  end
  local function fails(part, options, fields)
    options.root = root
    options.classes = options.classes or { "ground", "cell" }
    refused(part, "masks", options, fields)
  end
  fails("data.masks: classes: 'a' stands there twice", { classes = { "a", "a" } })
  fails("data.masks: classes: names, like a,b,c is needed, not 1,2", { classes = { 1, 2 } })
  fails("data.masks: values are one for each class, and there are 1 for 2 classes", { values = { 0 } })
  fails("data.masks: values are one for each class, and there are 3 for 2 classes", { values = { 0, 1, 2 } })
  fails("data.masks: values: 1 stands there twice", { values = { 1, 1 } })
  fails("data.masks: values are whole numbers from 0 to 255, not 1.5", { values = { 0, 1.5 } })
  fails('data.masks: group = "(%d" is not a Lua pattern', { group = "(%d" })
  fails('data.masks: group = "patient" finds nothing in any path; the first is images/1.png', { group = "patient" })
  core.write_file(root .. "/classes.txt", "ground\nce\255ll\n")
  local o = { root = root }
  refused("classes.txt: 'ce\\xFFll' is no name of a class in UTF-8", "masks", o)
end)

t.test("groups of masks that come in parts", function()
  local root = folder .. "/parts"
  for _, part in ipairs { "train", "test" } do
    for _, name in ipairs { "images", "masks" } do core.mkdirs(("%s/%s/%s"):format(root, part, name)) end
    for i = 1, 6 do
      core.image_write(("%s/%s/images/p%d_%d.png"):format(root, part, i // 2, i), picture)
      core.image_write(("%s/%s/masks/p%d_%d.png"):format(root, part, i // 2, i), tlua.full({ 16, 16, 1 }, i % 2,
        { dtype = "uint8" }):clone())
    end
  end
  local d = data.open(data.masks { root = root, size = 16, classes = { "a", "b" }, group = "p%d", validation = 0.4 },
    { mean = { 0.5 }, std = { 0.5 } }, 0)
  t.equal(d.groups.count, 4)
  assert(d.groups.shared > 0 and d.validation_text:find("groups as a whole", 1, true))
end)

t.test("tensors: shapes, labels, names, parts", function()
  local x, labels = tlua.randn(6, 16, 16, 3), { 0, 1, 0, 1, 0, 1 }
  local function fails(part, options, fields)
    if options.images == nil then options.images = x end
    refused(part, "tensors", options, fields)
  end
  fails("shape (6, 3, 16, 16), and pictures are (N, H, W, C) with 1 or 3 channels; channels come last here",
    { images = tlua.randn(6, 3, 16, 16), labels = labels })
  fails("images has the shape (6, 16, 16, 4)", { images = tlua.randn(6, 16, 16, 4), labels = labels })
  fails("images has the shape (6); pictures are", { images = tlua.randn(6), labels = labels })
  fails("images has the shape (0, 16, 16, 3): there is no picture", { images = tlua.zeros { 0, 16, 16, 3 },
    labels = {} })
  fails("images is of float16; pictures are uint8 or float32", { images = x:to "float16", labels = labels })
  fails("labels is a single number", { labels = tlua.tensor(3) })
  fails("labels is a tensor of shape (6, 2)", { labels = tlua.zeros { 6, 2 } })
  fails("label 1 is NaN", { labels = tlua.full({ 6 }, 0 / 0) })
  fails("label 1 is -1", { labels = tlua.full({ 6 }, -1) })
  fails("label 1 is a list", { labels = { { 0 }, { 1 }, { 0 }, { 1 }, { 0 }, { 1 } } })
  fails("there is a label 100000000; labels are numbers of classes", { labels = { 0, 1, 0, 1, 0, 100000000 } })
  fails("there is a label 1, and 1 classes (a)", { labels = labels, classes = "a" })
  fails("all labels are 0: one class only", { labels = tlua.zeros { 6 } })
  fails("data.tensors: value_names: 'a' stands there twice", { values = tlua.randn(6, 2), value_names = { "a", "a" } })
  fails("values of picture 1 is an empty list", { values = { {}, {}, {}, {}, {}, {} } })
  fails("test_images is no tensor", { labels = labels, test_images = { 1 }, test_labels = { 1 } })
  fails("test_labels or test_values without test_images", { labels = labels, test_labels = labels })
  fails("validation_labels or validation_values without validation_images",
    { labels = labels, validation_labels = labels })
  fails("there are validation_images, and no test_images",
    { labels = labels, validation_images = x, validation_labels = labels })
  fails("there are validation_images, and no validation_labels",
    { labels = labels, validation_images = x, test_images = x, test_labels = labels })
  fails("there are 6 pictures and 1 test_labels",
    { labels = labels, validation_images = x, validation_labels = labels, test_images = x, test_labels = { 1 } })
  tlua.save(folder .. "/x.safetensors", { x = x, y = tlua.tensor(labels) })
  local path = folder .. "/x.safetensors"
  fails("x.safetensors has no tensor 'z'; there is x, y", { path = path, images = "z", labels = "y" })
  fails("x.safetensors has no tensor 'tx'; did you mean 'x'?", { path = path, images = "x", labels = "y",
    test_images = "tx", test_labels = "y" })
end)

t.test("tensors: a test part of its own, of another size too", function()
  local d = data.open(data.tensors { images = tlua.randn(6, 16, 16, 3), labels = { 0, 1, 0, 1, 0, 1 },
    test_images = tlua.randn(2, 8, 8, 3), test_labels = { 1, 0 } },
    { size = 16, mean = { 0.5 }, std = { 0.5 } }, 0)
  t.equal(d.train:count() .. " " .. d.test:count() .. " " .. d.test:label(1), "6 2 1")
  t.equal(table.concat(d.test:read(1):shape(), " "), "8 8 3")
end)

t.test("tensors: all three parts, labels in a column, as MedMNIST's files have them", function()
  local path = folder .. "/mnist.safetensors"
  local function part(n, shade) return tlua.full({ n, 8, 8 }, shade):to "uint8" end
  tlua.save(path, { train_images = part(6, 10), train_labels = tlua.tensor { { 0 }, { 1 }, { 0 }, { 1 }, { 0 }, { 1 } },
    val_images = part(2, 20), val_labels = tlua.tensor { { 1 }, { 1 } },
    test_images = part(3, 30), test_labels = tlua.tensor { { 0 }, { 0 }, { 1 } } })
  local d = data.open(data.tensors { path = path, images = "train_images", labels = "train_labels",
    validation_images = "val_images", validation_labels = "val_labels", test_images = "test_images",
    test_labels = "test_labels" }, { size = 8, mean = { 0.5 }, std = { 0.5 } }, 0)
  local said = {}
  for k, name in ipairs { "train", "validation", "test" } do
    local s, labels = d[name], {}
    for i = 1, s:count() do labels[i] = s:label(i) end
    said[k] = table.concat(labels, "") .. " " .. s:read(1):tolist()[1][1][1]
  end
  t.equal(table.concat(said, "; "), "010101 10; 11 20; 001 30")
  t.equal(d.validation_text, "the data's own")
end)

t.test("functions: samples without a class, one class, numbers without names", function()
  local function fails(part, get, options)
    options = options or { classes = { "a", "b" } }
    options.get, options.count, options.size, options.mean, options.std = get, 6, 16, 0.5, 0.5
    t.fails(part, function()
      tlua.recipe({ model = network(2), data = data.custom(options), optim = tlua.optim.Adam {},
        schedule = { epochs = 1 },
        out = folder .. "/custom" }):run { style = "quiet", force = true }
    end)
  end
  fails("get(1): label is -1, and a class number from 0 is needed", function() return { image = picture,
    label = -1 } end)
  fails("get(4): label is missing", function(i) return { image = picture, label = i ~= 4 and i % 2 or nil } end)
  fails("data.custom: one class only, a", function() return { image = picture, label = 0 } end, { classes = { "a" } })
  local d = data.open(data.custom { count = 6, get = function(i) return { image = picture, values = { i, 2 } } end },
    { size = 16, mean = { 0.5 }, std = { 0.5 } }, 0)
  t.equal(table.concat(d.value_names, " "), "value_1 value_2")
end)

os.execute("rm -r " .. folder)
t.finish()
