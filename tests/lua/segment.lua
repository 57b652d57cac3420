-- segment.lua - class maps: figures against scikit-learn's (tests/golden/segment.json), the task in training, its
-- report, predict and eval. Run by `tlua tests/lua/segment.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local maps = require "tlua.report.maps"
local pages = require "tlua.report.segment"
local segment = require "tlua.task.segment"
local nn, data, task, optim = tlua.nn, tlua.data, tlua.task, tlua.optim
local golden = core.json_decode(core.read_file "tests/golden/segment.json")
local folder = t.folder()

local function near(got, want, what)
  if want == nil or got == nil then return t.equal(got, want, what) end
  assert(math.abs(got - want) < 1e-12, ("%s: %.15g, not %.15g"):format(what, got, want))
end

-- Logits whose largest are at the classes of a map.
local function logits_of(map, classes)
  local shape = map:shape()
  shape[#shape + 1] = 1
  return core.ops.eq(map:to "float32":reshape(shape), core.arange(classes)) * 4 + core.ops.mul(core.arange(classes),
    core.full({ 1 }, -0.01))
end

local function task_of(classes, options)
  local names = {}
  for k = 1, classes do names[k] = "class " .. k - 1 end
  return setmetatable({ kind = "segment", options = options or { ignore = 255, background = true }, names = names,
    width = classes },
    { __index = segment })
end

-- ---- figures ----

t.test("Dice, IoU and accuracy are scikit-learn's", function()
  for number, case in ipairs(golden) do
    local labels, predicted = core.tensor(case.labels, { dtype = "int32" }),
      core.tensor(case.predicted, { dtype = "int32" })
    local k, what = case.classes, "case " .. number
    local each = maps.counts(labels, predicted, k, 255)
    local matrix = {}
    for i = 1, k * k do
      matrix[i] = 0
      for _, row in ipairs(each) do matrix[i] = matrix[i] + row[i] end
      t.equal(matrix[i], case.confusion[(i - 1) // k + 1][(i - 1) % k + 1], what)
    end
    local f = maps.figures(maps.sums(matrix, k), 2)
    for i = 1, k do
      near(f.per_class[i].dice, case.dice[i] or nil, what)
      near(f.per_class[i].iou, case.iou[i] or nil, what)
    end
    near(f.dice, case.mean_dice, what)
    near(f.iou, case.mean_iou, what)
    near(f.accuracy, case.accuracy, what)
    for i, row in ipairs(each) do
      local own = maps.figures(maps.sums(row, k), 2).dice
      near(own, case.pictures[i], what)
      if case.monai then assert(math.abs(own - case.monai[i]) < 1e-6, what) end
    end
  end
end)

t.test("a meter adds batches up, and goes on from its state", function()
  local case = golden[1]
  local me = task_of(case.classes)
  local labels, predicted = core.tensor(case.labels, { dtype = "int32" }),
    core.tensor(case.predicted, { dtype = "int32" })
  local out = logits_of(predicted, case.classes)
  local first = me:meter()
  first:add(core.ops.slice(out, 1, 0, 1), { mask = core.ops.slice(labels, 1, 0, 1) })
  local second = me:meter(core.json_decode(core.json_encode(first:state())))
  second:add(core.ops.slice(out, 1, 1, 2), { mask = core.ops.slice(labels, 1, 1, 2) })
  near(second:value().dice, 100 * case.mean_dice, "Dice")
  near(second:value().accuracy, 100 * case.accuracy, "accuracy")
  t.equal(me:meter():value().dice, nil)
end)

t.test("a class may be what does not count, and the background may count", function()
  local labels = core.tensor({ { { 0, 0, 1, 2 } } }, { dtype = "int32" })
  local predicted = core.tensor({ { { 0, 1, 1, 1 } } }, { dtype = "int32" })
  local row = maps.counts(labels, predicted, 3, 2)[1]
  t.equal(table.concat(row, " "), "1 1 0 0 1 0 0 0 0")
  near(maps.figures(maps.sums(row, 3), 1).dice, (2 / 3 + 2 / 3) / 2, "with the background")
end)

t.test("overlays colour what is no background", function()
  local picture = core.full({ 1, 3, 3 }, 100)
  local map = core.tensor({ { 0, 1, 255 } }, { dtype = "int32" })
  local y = maps.overlay(picture, map, 2, true):tolist()[1]
  t.equal(table.concat(y[1], " "), "100 100 100")
  t.equal(table.concat(y[2], " "), "165 88 77")
  t.equal(table.concat(y[3], " "), "100 100 100")
  t.equal(maps.colour(1, true), "#e64b35")
end)

-- ---- a run ----

-- Pictures of a disk and a square; masks with their pixels, and a border that does not count.
local function write_pictures(root, count)
  for _, part in ipairs { "train", "test" } do
    for _, kind in ipairs { "images", "masks" } do core.mkdirs(("%s/%s/%s"):format(root, part, kind)) end
    for i = 1, part == "train" and count or count // 2 do
      local pixels, mask = {}, {}
      local cx, cy = 8 + (i * 5) % 14, 8 + (i * 7) % 14
      for y = 0, 31 do
        for x = 0, 31 do
          local class = (x - cx) ^ 2 + (y - cy) ^ 2 < 30 and 1 or x > 22 and y > 22 and 2 or 0
          local v = class == 1 and 220 or class == 2 and 120 or 30
          pixels[#pixels + 1] = (v + (x * 7 + y * 13 + i) % 9)
          mask[#mask + 1] = (x == 0 or y == 0) and 255 or class
        end
      end
      local function picture(list) return core.tensor(list, { dtype = "float32" }):reshape(32, 32, 1):to "uint8" end
      core.image_write(("%s/%s/images/p%d.png"):format(root, part, i), picture(pixels))
      core.image_write(("%s/%s/masks/p%d.png"):format(root, part, i), picture(mask))
    end
  end
  core.write_file(root .. "/classes.txt", "nothing\ndisk\nsquare\n")
end

local function recipe(changes)
  local fields = { model = tlua.models.unet { encoder = "mobilenet_v3_small" }, task = task.segment {},
    optim = optim.Adam { lr = 3e-3 },
    data = data.masks { root = folder .. "/shapes", size = 32, batch = 4 }, loss = nn.CrossEntropy {} + nn.Dice {},
      seed = 1,
    schedule = { epochs = 6 }, out = folder .. "/run", batchnorm = "eval" }
  for key, value in pairs(changes or {}) do fields[key] = value end
  return tlua.recipe(fields)
end

local result
t.test("a recipe learns masks, with a report", function()
  write_pictures(folder .. "/shapes", 16)
  result = recipe():run { style = "quiet" }
  assert(result.dice > 60, ("Dice is %.1f"):format(result.dice))
  local found = core.json_decode(core.read_file(folder .. "/run/report.json"))
  t.equal(found.metrics.count, 8)
  t.equal(found.metrics.targets[2].name, "disk")
  assert(math.abs(100 * found.metrics.dice - result.dice) < 1e-9)
  assert(#found.worst == 4 and #found.best == 4 and found.worst[1].image, "no galleries")
  assert(found.worst[1].dice <= found.best[4].dice)
  local page = core.read_file(folder .. "/run/report.html")
  for _, text in ipairs { "mean over classes without the background", "Worst pictures", "square" } do
    assert(page:find(text, 1, true), text)
  end
  local csv = core.read_file(folder .. "/run/metrics.csv")
  assert(csv:find("test_dice,test_iou,test_accuracy", 1, true), csv)
end)

t.test("the model file tells what it is, and gives the same figures and masks", function()
  local net, info = require("tlua.weights.model_file").load(folder .. "/run")
  t.equal(info.options.encoder, "mobilenet_v3_small")
  t.equal(net:label(), "unet of mobilenet_v3_small")
  local pipe = io.popen(("./tlua eval %s/run --json"):format(folder))
  local found = core.json_decode(pipe:read "a")
  pipe:close()
  assert(math.abs(found.dice - result.dice) < 1e-6, "eval")
  t.equal(found.targets[3].name, "square")
  pipe = io.popen(("./tlua predict %s/run %s/shapes/test/images --to %s/masks --csv"):format(folder, folder, folder))
  local lines = pipe:read "a"
  pipe:close()
  assert(lines:find("^file,mask,nothing,disk,square,error\n"), lines)
  local mask = core.image_read(folder .. "/masks/p1.png", 1)
  t.equal(table.concat(mask:shape(), " "), "32 32 1")
  t.equal(core.image_read(folder .. "/masks/p1.overlay.png"):shape(3), 3)
end)

t.test("a frozen encoder, class weights that are counted, steps of several batches", function()
  local function described()
    return recipe { freeze = "encoder.*", loss = nn.CrossEntropy { weight = "auto" }, accumulate = 2, schedule =
      { epochs = 1 },
      out = folder .. "/frozen" }
  end
  local s = described():build()
  t.equal(s.loss:ignored(), 255)
  local counted = rawget(s.loss, "counted")
  assert(counted[2] > counted[1] and counted[3] > counted[1])
  assert(s.no_cache:find "maps", s.no_cache)
  t.equal(s.model:fixed_stages(), #s.model.maps)
  assert(described():run { style = "quiet" }.loss > 0)
end)

t.test("what does not fit is said before training", function()
  t.fails("takes no masks; nn.CrossEntropy, nn.Dice, nn.Tversky, nn.FocalLoss and sums of them do",
    function() recipe { loss = nn.MSELoss {} }:build() end)
  t.fails("multiples of 32, not 40 x 40: --data.size 32", function()
    recipe { data = data.masks { root = folder .. "/shapes", size = 40, batch = 4 } }:build()
  end)
  t.fails("task.segment wants a map (N, H, W, 3), as tlua.models.unet gives", function()
    recipe { model = tlua.models.resnet18 {}, batchnorm = "train" }:build()
  end)
end)

t.finish()
