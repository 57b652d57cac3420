-- detect_task.lua - runs that learn boxes: from labels to a report, a model file, predict's files and eval; answers in
-- pixels of the pictures; figures in them too; and what is refused. Run by `tlua tests/lua/detect_task.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local placed = require "tlua.task.boxes.placed"
local models, data, optim, task = tlua.models, tlua.data, tlua.optim, tlua.task

local folder, out = t.folder(), t.folder()
local state = 11
local function draw(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n
end

-- 24 grey pictures of 48 x 64 pixels (height, width) with one to three squares, red or blue, and their labels.
local COLOURS = { { 220, 40, 30 }, { 30, 60, 210 } }
local function picture(name, part)
  local rows, lines = {}, {}
  for i = 1, 48 * 64 * 3 do rows[i] = 110 + draw(30) end
  for _ = 1, 1 + draw(3) do
    local side, class = 12 + draw(10), draw(2)
    local left, top = draw(64 - side), draw(48 - side)
    for y = top, top + side - 1 do
      for x = left, left + side - 1 do
        for c = 1, 3 do rows[(y * 64 + x) * 3 + c] = COLOURS[class + 1][c] end
      end
    end
    lines[#lines + 1] = ("%d %.6f %.6f %.6f %.6f"):format(class, (left + side / 2) / 64, (top + side / 2) / 48,
      side / 64, side / 48)
  end
  core.mkdirs(("%s/images/%s"):format(folder, part))
  core.mkdirs(("%s/labels/%s"):format(folder, part))
  core.image_write(("%s/images/%s/%s.png"):format(folder, part, name),
    core.tensor(rows, { dtype = "uint8" }):reshape(48, 64, 3))
  core.write_file(("%s/labels/%s/%s.txt"):format(folder, part, name), table.concat(lines, "\n") .. "\n")
end
for i = 1, 24 do picture(("p%02d"):format(i), i <= 16 and "train" or i <= 20 and "val" or "test") end
core.write_file(folder .. "/classes.txt", "red\nblue\n")

local function recipe(fields)
  local f = { model = models.yolox_nano {},
    data = data.yolo { root = folder, size = 64, batch = 8, augment = "flip" },
    task = task.detect {}, optim = optim.SGD { lr = 0.02, momentum = 0.9, nesterov = true },
    schedule = { epochs = 40 }, batchnorm = 0.3, test_every = 10, out = out .. "/run" }
  for key, value in pairs(fields or {}) do f[key] = value end
  return tlua.recipe(f)
end

local ran, says = t.ran, t.says

t.test("a run learns, measures what COCO measures, and writes a report", function()
  local results, log, report = ran(recipe { task = task.detect { choose = true } })
  local rows = results.epochs
  assert(rows[40].loss < 0.6 * rows[1].loss, ("the loss went from %g to %g"):format(rows[1].loss, rows[40].loss))
  assert(rows[40].val_map and rows[40].val_map_50 >= rows[40].val_map, "no figures")
  assert(log:find("of boxes, objects and classes", 1, true) and log:find("confidence of each class", 1, true), log)
  local m = report.metrics
  t.equal(m.count, 4)
  t.equal(#m.targets, 2)
  local boxes = 0
  for _, row in ipairs(m.targets) do boxes = boxes + row.truths end
  t.equal(boxes, m.boxes)
  t.equal(#m.confusion, 3)
  local page = core.read_file(out .. "/run/report.html")
  for _, text in ipairs { "What is taken for what", "Precision and recall", "blue" } do
    assert(page:find(text, 1, true), "the report has no " .. text)
  end
end)

t.test("the model file says boxes in pixels of the pictures, in every form", function()
  local first = folder .. "/images/test/p21.png"
  local all = folder .. "/images/test"
  local list = core.json_decode(says("predict", out .. "/run", "--json", first))
  local p = list[1].predictions
  t.equal(p.width, 64)
  t.equal(p.height, 48)
  local csv = says("predict", out .. "/run", "--csv", all)
  assert(csv:find("^file,label,score,left,top,right,bottom,error\n"), csv)
  says("predict", out .. "/run", "--to", out .. "/found", all)
  local coco = core.json_decode(core.read_file(out .. "/found/predictions.json"))
  t.equal(#coco.images, 4)
  t.equal(coco.categories[2].name, "blue")
  t.equal(coco.images[1].file_name, "p21.png") -- below the folder of all, which is the root then
  t.equal(core.read_file(out .. "/found/labels/classes.txt"), "red\nblue\n")
  local lines = 0
  for _ in core.read_file(out .. "/found/label_next.csv"):gmatch "\n" do lines = lines + 1 end
  t.equal(lines, 5)
  t.equal(core.image_read(out .. "/found/p21.png", 3):shape(2), 64)
  for _, a in ipairs(coco.annotations) do
    local b = a.bbox
    assert(b[1] >= 0 and b[2] >= 0 and b[1] + b[3] <= 64.01 and b[2] + b[4] <= 48.01, "a box out of its picture")
  end
  -- What was written as labels is read as labels.
  local d = data.open(data.yolo { root = folder, size = 64 }, { size = 64, mean = { 0 }, std = { 1 } }, 0)
  t.equal(d.test:count(), 4)
  local status, _, err = t.run(("./tlua predict %s/run --to %s %s"):format(out, all, first))
  t.equal(status, 1)
  assert(err:find("would take the place of one", 1, true), err)
end)

t.test("pictures of a report are no larger than a page shows them", function()
  local boxes = require "tlua.report.findings.boxes"
  local h, w, f = 200, 2000, 3 -- 2000 / 3 is below 960, and half of it is not
  local x = core.arange(h * w):reshape(h, w, 1)
  x = ((x * 7 - (x * 7 / 256):floor() * 256)):expand(h, w, 3):clone()
  local small, times = boxes.shrunk(x:to "uint8")
  t.equal(times, f)
  t.equal(table.concat(small:shape(), ","), ("%d,%d,3"):format(h // f, w // f))
  local values = x:tolist()
  for _, at in ipairs { { 1, 1 }, { 66, 666 }, { 65, 7 }, { 40, 100 } } do
    local sum = 0
    for i = 1, f do
      for j = 1, f do sum = sum + values[(at[1] - 1) * f + i][(at[2] - 1) * f + j][2] end
    end
    local v = core.ops.slice(core.ops.slice(small, 1, at[1] - 1, 1), 2, at[2] - 1, 1):tolist()[1][1][2]
    assert(math.abs(v - sum / f ^ 2) <= 0.5001, ("%d at %d, %d, and the mean is %g"):format(v, at[1], at[2], sum / f ^ 2))
  end
  local same, once = boxes.shrunk(small)
  t.equal(once, 1)
  assert(rawequal(same, small))
end)

t.test("a large picture is asked about in tiles, and what two of them saw is said once", function()
  -- Four pictures in one, of which the tiles are just these, and others that overlap.
  local parts, rows = {}, {}
  for i = 1, 4 do parts[i] = core.image_read(("%s/images/test/p%d.png"):format(folder, 20 + i), 3):to "float32" end
  for i = 0, 1 do rows[i + 1] = core.ops.concat(parts[2 * i + 1], parts[2 * i + 2], { axis = 2 }) end
  local large = core.ops.concat(rows[1], rows[2], { axis = 1 }) -- 96 x 128
  core.image_write(out .. "/large.png", large:to "uint8")
  core.mkdirs(out .. "/four")
  for i = 0, 3 do -- the tiles of 64 x 64 pixels, as they lie
    local top, left = i // 2 * 32, i % 2 * 64
    core.image_write(("%s/four/%d.png"):format(out, i),
      core.ops.slice(core.ops.slice(large, 1, top, 64), 2, left, 64):to "uint8")
  end
  local function boxes(...)
    local list = {}
    for _, each in ipairs(core.json_decode(says("predict", out .. "/run", "--json", "--confidence", "0.1", ...))) do
      list[#list + 1] = each.predictions.boxes
    end
    return list
  end
  local whole, single = boxes(out .. "/large.png", "--tiles", "64,0"), boxes(out .. "/four")
  local kept, all = #whole[1], 0
  for i, list in ipairs(single) do
    local top, left = (i - 1) // 2 * 32, (i - 1) % 2 * 64
    for _, b in ipairs(list) do
      all = all + 1
      local found = false
      for _, w in ipairs(whole[1]) do
        found = found or math.abs(w.left - b.left - left) < 0.02 and math.abs(w.top - b.top - top) < 0.02
          and w.score == b.score
      end
      -- One that is not there was taken out by a surer one of the same class beside it.
      if found then all = all + 0.0001 end
    end
  end
  assert(kept > 0 and kept <= all, ("%d of %g"):format(kept, all))
  t.equal(math.floor((all % 1) * 10000 + 0.5), kept, "boxes of tiles that were said")
  local status, _, err = t.run(("./tlua predict %s/run %s/large.png --tiles 64"):format(out, out))
  t.equal(status, 2)
  assert(err:find("--tiles takes two numbers, like 640,64", 1, true), err)
  status, _, err = t.run(("./tlua predict %s/run %s/none.png --tiles 64,8"):format(out, out))
  t.equal(status, 1)
  assert(err:find("none.png", 1, true), err)
end)

-- The same boxes but for what is rounded; how many they are.
local function same_boxes(a, b)
  local x, y, n = core.json_decode(a), core.json_decode(b), 0
  t.equal(#x, #y)
  for i, each in ipairs(x) do
    local p, q = each.predictions.boxes, y[i].predictions.boxes
    t.equal(#p, #q)
    for k, box in ipairs(p) do
      n = n + 1
      t.equal(box.label, q[k].label)
      assert(math.abs(box.score - q[k].score) < 1e-5, "scores differ")
      for _, side in ipairs { "left", "top", "right", "bottom" } do
        assert(math.abs(box[side] - q[k][side]) < 0.011, "boxes differ")
      end
    end
  end
  return n
end

t.test("an .onnx file has rows, or boxes and scores of them, or what stays of these", function()
  local all = folder .. "/images/test"
  local function exported(kind, ...)
    local to = ("%s/%s.onnx"):format(out, kind)
    says("export", out .. "/run", "--to", to, "--boxes", kind, ...)
    return to, core.onnx_read(to)
  end
  local raw, file = exported "raw"
  local said = says("predict", out .. "/run", "--json", all)
  assert(same_boxes(says("predict", raw, "--json", all), said) > 4, "little was found")
  same_boxes(says("predict", exported("raw", "--normalize", "--fold"), "--json", "--confidence", "0.3", all),
    says("predict", out .. "/run", "--json", "--confidence", "0.3", all))
  t.equal(file.metadata.names, '{0: "red", 1: "blue"}')
  t.equal(file.metadata.labels, '["red","blue"]')
  t.equal(file.metadata.imgsz .. file.metadata.stride, "[64, 64]32")
  local function shapes(kind)
    local to, written = exported(kind)
    local list = {}
    for i, each in ipairs(written.graph.outputs) do
      list[i] = ("%s %s"):format(each.name, table.concat(each.shape, " "))
    end
    return table.concat(list, ", "), to, written
  end
  local text, decoded = shapes "decoded"
  t.equal(text, "boxes N 84 4, scores N 84 2")
  -- The graph's numbers are those of the rows.
  local guard <close> = core.no_grad()
  local onnx = require "tlua.onnx"
  local x = core.rand(2, 3, 64, 64) * 255
  local got, rows = onnx.run(decoded, { image = x }), onnx.run(raw, { image = x }).output.tensor
  local numbers = {}
  for i = 0, 167 do numbers[i + 1] = i end
  local wanted = core.tensor(core.detect.row_boxes(rows, numbers, { strides = { 8, 16, 32 }, classes = 2, height = 64,
    width = 64 }))
  assert((got.boxes.tensor:reshape(168, 4) - wanted):abs():amax():item() < 1e-3)
  local nms, _, written
  text, nms, written = shapes "nms"
  t.equal(text, "boxes N 84 4, scores N 84 2, selected M 3")
  local count = 0
  for _, n in ipairs(written.graph.nodes) do count = count + (n.op == "NonMaxSuppression" and 1 or 0) end
  t.equal(count, 1)
  local function refused(text_of, ...)
    local status, _, err = t.run("./tlua " .. table.concat({ ... }, " "))
    assert(status ~= 0 and err:find(text_of, 1, true), err)
  end
  refused("makes boxes of the rows itself (--boxes decoded)", "predict", decoded, all)
  refused("ends in NonMaxSuppression (--boxes nms)", "predict", nms, all)
  refused("--boxes: one of raw, decoded, nms is needed, not 'nm'", "export", out .. "/run", "--to", out .. "/x.onnx",
    "--boxes nm")
  refused("--boxes: is for .onnx files", "export", out .. "/run", "--to", out .. "/x.safetensors", "--boxes raw")
  refused("finds no boxes", "export squeezenet1_1 --weights none --to", out .. "/x.onnx", "--boxes raw")
end)

t.test("--confidence says from which score on", function()
  local function count(confidence)
    local n = 0
    for _, each in ipairs(core.json_decode(says("predict", out .. "/run", "--json", "--confidence", confidence,
      folder .. "/images/test"))) do
      for _, b in ipairs(each.predictions.boxes) do
        assert(b.score >= confidence, b.score)
        n = n + 1
      end
    end
    return n
  end
  local many, few = count(0.01), count(0.5)
  assert(many > few, ("%d and %d"):format(many, few))
  local status, _, err = t.run(("./tlua predict %s/run %s --confidence 2"):format(out, folder .. "/images/test"))
  t.equal(status, 2)
  assert(err:find("--confidence", 1, true), err)
end)

t.test("predict says boxes from the confidence that it is told", function()
  local first = folder .. "/images/test/p21.png"
  local function scores(...)
    local list = {}
    for _, b in ipairs(core.json_decode(says("predict", out .. "/run", "--json", first, ...))[1].predictions.boxes) do
      list[#list + 1] = b.score
    end
    return list
  end
  local all = scores("--confidence", "0")
  assert(#all > 20, #all .. " boxes")
  local least, count = (all[1] + all[2]) / 2, 0
  for _, v in ipairs(all) do count = count + (v >= least and 1 or 0) end
  t.equal(#scores("--confidence", ("%.9f"):format(least)), count)
  t.equal(#scores("--confidence", "1"), 0)
  for _, word in ipairs { "nan", "2", "-1", "much" } do
    local status, _, err = t.run(("./tlua predict %s/run %s --confidence %s"):format(out, first, word))
    t.equal(status, 2)
    assert(err:find("--confidence", 1, true), err)
  end
end)

t.test("files that cannot be read among tiles are said once, in their place", function()
  core.mkdirs(out .. "/mixed")
  local good = core.read_file(folder .. "/images/test/p21.png")
  core.write_file(out .. "/mixed/a.png", "none")
  core.write_file(out .. "/mixed/b.png", good)
  core.write_file(out .. "/mixed/c.png", good:sub(1, #good // 2)) -- its size can be told
  core.write_file(out .. "/mixed/classes.png", good)
  core.write_file(out .. "/mixed/e.png", "none")
  local status, text, err = t.run(("./tlua predict %s/run %s/mixed --tiles 32,8 --csv"):format(out, out))
  t.equal(status, 1)
  local _, times = err:gsub("c%.png: damaged", "")
  t.equal(times, 1)
  assert(err:find("3 of 5 pictures could not be read", 1, true), err)
  local order, last = {}, nil
  for name in text:gmatch "mixed/([%w.]+)," do
    if name ~= last then order[#order + 1], last = name, name end
  end
  t.equal(table.concat(order, " "), "a.png b.png c.png classes.png e.png")
end)

t.test("predict takes the place of no labels", function()
  core.mkdirs(out .. "/drawn/images")
  core.mkdirs(out .. "/drawn/labels")
  local good = core.read_file(folder .. "/images/test/p21.png")
  core.write_file(out .. "/drawn/images/a.png", good)
  core.write_file(out .. "/drawn/labels/a.txt", "mine")
  local status, _, err = t.run(("./tlua predict %s/run %s/drawn/images --to %s/drawn"):format(out, out, out))
  t.equal(status, 1)
  assert(err:find("drawn/labels holds the labels of the pictures themselves", 1, true), err)
  t.equal(core.read_file(out .. "/drawn/labels/a.txt"), "mine")
  assert(not core.exists(out .. "/drawn/a.png"), "a picture was written")
  -- A picture called classes has its labels beside the names of the classes.
  core.write_file(out .. "/classes.png", good)
  says("predict", out .. "/run", "--to", out .. "/named", out .. "/classes.png")
  t.equal(core.read_file(out .. "/named/labels/classes.txt"), "red\nblue\n")
  local labels = 0
  for _ in pairs(core.list_folder(out .. "/named/labels")) do labels = labels + 1 end
  t.equal(labels, 2)
end)

t.test("explain shows where the network looked for a box", function()
  local first, second = folder .. "/images/test/p21.png", folder .. "/images/test/p22.png"
  local text = says("explain", out .. "/run", first, second, "--to", out .. "/why")
  assert(text:find("p21%.png  %a+ 0%.%d+ at %d+, %d+, %d+, %d+  backbone%.backbone%.dark5"), text)
  assert(core.image_read(out .. "/why/p22.png", 3):shape(2) > 64)
  assert(says("explain", out .. "/run", first, "--class", "blue", "--to", out .. "/why"):find("blue", 1, true))
  local status, _, err = t.run(("./tlua explain %s/run %s --layer dark9 --to %s/why"):format(out, first, out))
  t.equal(status, 1)
  assert(err:find("unknown layer 'dark9'", 1, true), err)
end)

t.test("eval tells the run's figures", function()
  local said = core.json_decode(says("eval", out .. "/run", "--json"))
  local report = core.json_decode(core.read_file(out .. "/run/report.json"))
  t.equal(said.pictures, 4)
  assert(math.abs(said.map / 100 - report.metrics.map) < 1e-9, ("%g and %g"):format(said.map, report.metrics.map))
  local text = says("eval", out .. "/run", "--wrong", out .. "/wrong.csv")
  local table_of = core.read_file(out .. "/wrong.csv")
  assert(table_of:find("^file,what,label,score,left,top,right,bottom\n"), table_of)
  local rows, missed, before = 0, 0, 1
  for what, score in table_of:gmatch "p2%d%.png,(%a+),%a+,([%d.]*)," do
    rows, missed = rows + 1, missed + (what == "missed" and 1 or 0)
    assert(what == "missed" or tonumber(score) <= before, "not the surest first")
    before = tonumber(score) or before
  end
  assert(text:find(("wrong.csv: %d row"):format(rows), 1, true), text)
  local in_report = 0
  for k = 1, 2 do in_report = in_report + report.metrics.confusion[k][3] end
  assert(missed >= in_report, ("%d missed, and the report has %d"):format(missed, in_report))
  assert(text:find("mAP", 1, true) and text:find("red", 1, true), text)
end)

-- The run `fields` in out/whole, stopped after so many looks at the keyboard and gone on with, must end in the same
-- tensors.
local function same_bits(fields, looks)
  fields.out = out .. "/parts"
  local r, stopped = recipe(fields), 0
  local real = core.interrupted
  core.interrupted = function()
    stopped = stopped + 1
    return stopped == looks or real()
  end
  local ok, e = pcall(r.run, r, { style = "quiet", force = true })
  core.interrupted = real
  assert(ok, e)
  assert(not core.read_file(out .. "/parts/log.txt"):find("[Epoch 3]", 1, true), "it was not stopped")
  recipe(fields):run { style = "quiet", resume = out .. "/parts" }
  assert(core.read_file(out .. "/parts/log.txt"):find("[Epoch 3]", 1, true), "it did not go on")
  local a, b = tlua.load(out .. "/whole/last.safetensors"), tlua.load(out .. "/parts/last.safetensors")
  local count = 0
  for name, x in pairs(a) do
    if core.is_tensor(x) and x:dtype() == "float32" then
      t.equal(t.distance(b[name], x), 0, name)
      count = count + 1
    end
  end
  assert(count > 100, "few tensors: " .. count)
end

t.test("a run goes on to the same bits", function()
  local fields = { schedule = { epochs = 3 }, ema = 0.9, ema_ramp = 4, out = out .. "/whole" }
  ran(recipe(fields))
  same_bits(fields, 4)
end)

t.test("with mosaics, several sizes and l1 in the last epochs a run goes on to the same bits too", function()
  local fields = { data = data.yolo { root = folder, size = 64, batch = 8, mosaic = 0.5, mixup = 0.5, close_mosaic = 1,
    multi_scale = { 32, 96 }, augment = "flip" }, task = task.detect { l1 = "closed" }, schedule = { epochs = 3 },
    test_every = 0, out = out .. "/whole" }
  local results = ran(recipe(fields))
  same_bits(fields, 4)
  fields.task, fields.out = task.detect {}, out .. "/plain"
  local plain = ran(recipe(fields))
  t.equal(plain.epochs[2].loss, results.epochs[2].loss)
  assert(plain.epochs[3].loss < results.epochs[3].loss, "l1 adds nothing in the last epoch")
end)

t.test("classes that are kept and not shown stay as they are, to the bit", function()
  local fed = core.randn(2, 64, 64, 3)
  local function answers(path) -- boxes, objects and the class blue
    local net = tlua.models.yolox_nano { classes = path and 3 or 2, weights = path or out .. "/run/model.safetensors" }
    net:ready()
    net:eval()
    local guard <close> = core.no_grad()
    local y = net(fed)
    return core.ops.concat(core.ops.slice(y, 3, 0, 5), core.ops.slice(y, 3, path and 5 or 6, 1), { axis = 3 })
  end
  core.mkdirs(out .. "/more/images")
  core.mkdirs(out .. "/more/labels")
  for i = 1, 16 do -- red ones alone, which are called so, and something new
    local name = ("p%02d"):format(i)
    core.write_file(("%s/more/images/%s.png"):format(out, name),
      core.read_file(("%s/images/train/%s.png"):format(folder, name)))
    core.write_file(("%s/more/labels/%s.txt"):format(out, name), ("%d 0.5 0.5 0.4 0.4\n"):format(1 + i % 2))
  end
  core.write_file(out .. "/more/classes.txt", "blue\nred\nround\n")
  local fields = { model = models.yolox_nano { weights = out .. "/run/model.safetensors", classes = 2, keep_classes = true },
    data = data.yolo { root = out .. "/more", size = 64, batch = 8, faults = "skip", split = 0.2 }, task = task.detect {},
    freeze = "*", ema = 0.9, schedule = { epochs = 2 }, out = out .. "/kept" }
  ran(recipe(fields))
  t.equal(t.distance(answers(out .. "/kept/model.safetensors"), answers()), 0, "answers for the class that was kept")
  local a, b = tlua.load(out .. "/kept/model.safetensors"), tlua.load(out .. "/run/model.safetensors")
  local name = "head.cls_preds.0.weight"
  assert(t.distance(core.ops.slice(a[name], 1, 1, 1), core.ops.slice(b[name], 1, 0, 1)) > 0, "red has not been trained")
end)

t.test("boxes go back to the picture's pixels", function()
  local function back(p, w, h, b)
    local list = placed.back(p, w, h)(b)
    return ("%g %g %g %g"):format(table.unpack(list))
  end
  t.equal(back({ size = 100, fit = "letterbox" }, 200, 50, { 10, 5, 50, 25 }), "20 10 100 50")
  t.equal(back({ size = 100, fit = "stretch" }, 200, 50, { 10, 50, 50, 100 }), "20 25 100 50")
  t.equal(back({ size = 100, fit = "letterbox" }, 200, 50, { -10, 5, 150, 90 }), "0 10 200 50")
  t.equal(back({ size = 80, resize = 100, fit = "shorter" }, 200, 100, { 0, 0, 80, 80 }), "60 10 140 90")
  -- To 341 x 256, of which the middle begins at 58 (58.5 goes to the even number) and 16: torchvision's way.
  t.equal(back({ size = 224, resize = 256, fit = "shorter" }, 400, 300, { 0, 0, 224, 224 }), ("%g %g %g %g"):format(
    58 * 400 / 341, 16 * 300 / 256, 282 * 400 / 341, 240 * 300 / 256))
end)

t.test("a network of rows, pictures that are no multiples of 32, and wrong options are refused in one line", function()
  local function run(fields) return function() recipe(fields):run { style = "quiet", force = true } end end
  t.fails("task.detect wants a network that finds boxes", run { model = models.squeezenet1_1 {} })
  t.fails("multiples of 32", run { data = data.yolo { root = folder, size = 50, batch = 8 } })
  t.fails("unknown option of task.detect: 'ioo'; did you mean 'iou'?", function() return task.detect { ioo = 1 } end)
  t.fails("box_loss: one of iou, iou_squared, giou, diou, ciou is needed", function()
    return task.detect { box_loss = "siou" }
  end)
  for _, name in ipairs { "a", "b" } do
    core.mkdirs(("%s/plain/%s"):format(out, name))
    for i = 1, 4 do
      core.image_write(("%s/plain/%s/%d.png"):format(out, name, i), core.full({ 8, 8, 3 }, 20 * i, { dtype = "uint8" }))
    end
  end
  local plain = data.folder { root = out .. "/plain", size = 64 }
  t.fails("task.detect wants boxes", run { data = plain })
  t.fails("goes by close_mosaic", run { task = task.detect { l1 = "closed" } })
  t.fails("ema_ramp is of an average", run { ema_ramp = 10 })
end)

t.test("model files that lie are refused in one line, and none writes codes to a terminal", function()
  local path = out .. "/lie.safetensors"
  local tensors, about = core.load(out .. "/run/model.safetensors")
  local picture = folder .. "/images/test/p21.png"
  local function lie(change)
    local info = core.json_decode(about.tlua)
    change(info)
    core.save(path, tensors, { tlua = core.json_encode(info), format = "pt" })
    return t.run(("./tlua predict %s %s --confidence 0.01"):format(path, picture))
  end
  local function refused(text, change)
    local status, said, err = lie(change)
    t.equal(status, 1, said .. err)
    assert(err:find(text, 1, true) and not err:find("stack traceback", 1, true), err)
  end
  refused("it names 1 classes, and the network has 2", function(i) i.task.names = { "red" } end)
  refused("a confidence is no number from 0 to 1", function(i) i.task.kept.confidences = { -1, 0.5 } end)
  refused("its bins are no whole number", function(i) i.task.kept.levels.bins = "abc" end)
  refused("it keeps 1 confidences", function(i) i.task.kept.confidences = { 0.5 } end)
  refused("confidence must be from 0 to 1", function(i) i.task.options.confidence = 5 end)
  for _, change in ipairs { function(i) i.task = nil end, function(i) i.data.options.tiles = { "a", 8 } end,
    function(i) i.task.names = { "a\27[31m\n", "b" } end } do
    local status, said, err = lie(change)
    t.equal(status, 0, err)
    assert(not said:find("\27", 1, true) and select(2, said:gsub("\n", "")) == 1, said)
  end
end)

t.finish()
