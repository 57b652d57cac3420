-- mosaic.lua - boxes that are looked at, and how pictures with boxes are changed for training: mosaics and mixup
-- against YOLOX's, and sizes that change. Run by `tlua tests/lua/mosaic.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local data = tlua.data

local root = t.folder()
local put = t.writer(root)

-- ---- tlua show ----

core.mkdirs(root .. "/field/images")
for i = 1, 3 do
  core.image_write(("%s/field/images/%d.png"):format(root, i), core.zeros({ 120, 160, 3 }, { dtype = "uint8" }))
  put(("field/labels/%d.txt"):format(i), i < 3 and "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.1 0.2\n" or "")
end
put("field/classes.txt", "beetle\nslug\n")
local RECIPE = [[
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { weights = "none", width = 8 }, head = tlua.nn.Linear(2),
  data = tlua.data.yolo { root = "%s/field", size = 160, fit = "letterbox", mean = { 0, 0, 0 }, std = { 1, 1, 1 },
    split = 0, background = "keep"%s } }
]]

t.test("tlua show draws boxes", function()
  local file, page = put("show.lua", RECIPE:format(root, "")), root .. "/show.png"
  local status, out, err = t.run(("./tlua show %s --to %s --columns 3"):format(file, page))
  assert(status == 0, err)
  t.equal(out, page .. ": 3 training pictures of epoch 1\n")
  local image, frames, plain = core.image_read(page):tolist(), 0, 0
  for i = 0, 2 do -- the middle of the upper edge of the large box, and what lies above and below of it
    local left, top = 8 + 168 * i, 8
    local on, above, below = image[top + 31][left + 81], image[top + 27][left + 131], image[top + 34][left + 81]
    t.equal(below[1] + below[2] + below[3], 0)
    t.equal(above[1] + above[2] + above[3], 0)
    if on[1] + on[2] + on[3] > 100 then frames = frames + 1 else plain = plain + 1 end
  end
  t.equal(frames, 2)
  t.equal(plain, 1)
end)

-- ---- mosaics ----

local golden = core.load "tests/golden/mosaic.safetensors"
local SIZE, SEED = 64, 7
local YOLOX = { rotate = { -10, 10 }, translate = { 0.1, 0.1 }, scale = { 0.5, 1.5 }, shear = { -2, 2, -2, 2 },
  mixup_scale = { 0.5, 1.5 } }

-- The options of a mosaic in which something is otherwise.
local function with(change)
  local o = {}
  for key, v in pairs(YOLOX) do o[key] = v end
  for key, v in pairs(change) do o[key] = v end
  return o
end

local function golden_source()
  local r = { images = {}, boxes = {}, box_labels = {}, classes = {} }
  for i = 0, 5 do
    local boxes, labels = golden[i .. ".boxes"], {}
    r.boxes[i + 1] = boxes:shape(1) > 0 and boxes:tolist() or {}
    for k = 1, #r.boxes[i + 1] do labels[k] = 3 * i + k - 1 end
    r.images[i + 1], r.box_labels[i + 1] = golden[i .. ".in"], labels
  end
  for k = 1, 18 do r.classes[k] = "class " .. k end
  return core.data.source("records", r)
end

local function bytes_pipeline(...)
  local steps = { { "letterbox", size = SIZE }, ... }
  steps[#steps + 1] = { "normalize", mean = 0, std = 1 / 255 }
  return core.data.pipeline(steps)
end

-- The batches of an epoch as lists of samples {pixels =, boxes =, labels =, index =}.
local function samples(source, pipeline, epoch, options)
  local out = {}
  options.batch, options.seed = options.batch or 4, options.seed or SEED
  local loader <close> = core.data.loader(source, pipeline, options)
  loader:start(epoch)
  while true do
    local x, _, n, indices, _, more = loader:next()
    if not x then return out end
    local boxes, labels = more.boxes:tolist(), more.box_labels:tolist()
    for i = 1, n do
      local s = { pixels = core.ops.slice(x, 1, i - 1, 1):clone():reshape(-1), boxes = {}, labels = {},
        index = indices[i], side = x:shape(2) }
      for k = more.boxes_offsets[i] + 1, more.boxes_offsets[i + 1] do
        s.boxes[#s.boxes + 1], s.labels[#s.labels + 1] = boxes[k], labels[k]
      end
      out[#out + 1] = s
    end
  end
end

-- The largest difference of two lists of numbers.
local function furthest(a, b)
  local worst = #a == #b and 0 or math.huge
  for i, v in ipairs(a) do worst = math.max(worst, math.abs(v - b[i])) end
  return worst
end

t.test("mosaics and mixup are YOLOX's", function()
  local source, count = golden_source(), 0
  for epoch = 1, 2 do
    local got = samples(source, bytes_pipeline(), epoch, { mosaic = with { mixup = epoch - 1 } })
    t.equal(#got, 6)
    for i, s in ipairs(got) do
      local name = ("%d.%d."):format(epoch, i - 1)
      local off = furthest(s.pixels:tolist(), golden[name .. "out"]:to "float32":reshape(-1):tolist())
      assert(off <= 1.001, ("%s: a pixel is %g off"):format(name, off))
      t.equal(table.concat(s.labels, " "), table.concat(golden[name .. "labels"]:tolist(), " "))
      local boxes = golden[name .. "moved"]:tolist()
      for k, b in ipairs(s.boxes) do
        assert(furthest(b, boxes[k]) < 1e-3, ("%s: box %d is %g off"):format(name, k, furthest(b, boxes[k])))
        count = count + 1
      end
    end
  end
  assert(count > 40, count)
end)

t.test("hue, saturation and value are moved as YOLOX does", function()
  local s = core.data.source("records", { images = { golden["3.in"] }, classes = { "a" }, boxes = { {} },
    box_labels = { {} } })
  local wanted, plain = golden.hsv:to "float32":reshape(6, -1):tolist(), golden["3.in"]:to "float32":reshape(-1):tolist()
  local changed = 0
  for epoch = 1, 6 do
    local got = samples(s, bytes_pipeline { "random_hsv" }, epoch, {})[1].pixels:tolist()
    local off = furthest(got, wanted[epoch])
    assert(off <= 1.001, ("epoch %d is %g off"):format(epoch, off))
    if furthest(got, plain) > 5 then changed = changed + 1 end
  end
  assert(changed >= 4, changed)
end)

-- Black pictures of several shapes, each with one box of its own grey.
local function marked_source(n)
  local r = { images = {}, boxes = {}, box_labels = {}, classes = {} }
  for i = 1, n do
    local height, width = 40 + 13 * (i % 5), 90 - 11 * (i % 4)
    local left, top, right, bottom = 4 + i % 7, 6, width - 10 - i % 5, height - 9
    local rows = {}
    for y = 1, height do
      rows[y] = {}
      for x = 1, width do
        local v = x > left and x <= right and y > top and y <= bottom and 20 * i or 0
        rows[y][x] = { v, v, v }
      end
    end
    r.images[i] = core.tensor(rows):to "uint8"
    r.boxes[i], r.box_labels[i], r.classes[i] = { { left, top, right, bottom } }, { i - 1 }, "class " .. i
  end
  return core.data.source("records", r)
end

t.test("boxes lie where their pixels went", function()
  local source, seen = marked_source(12), 0
  for epoch = 1, 3 do
    for _, s in ipairs(samples(source, bytes_pipeline { "random_horizontal_flip" }, epoch,
      { mosaic = with { rotate = { 0, 0 }, shear = { 0, 0, 0, 0 } } })) do
      local pixels = s.pixels:tolist()
      local function grey(x, y)
        x, y = math.floor(x), math.floor(y)
        return x >= 0 and x < SIZE and y >= 0 and y < SIZE and pixels[3 * (y * SIZE + x) + 1] or -1
      end
      for k, b in ipairs(s.boxes) do
        local own, x, y = 20 * (s.labels[k] + 1), (b[1] + b[3]) / 2, (b[2] + b[4]) / 2
        local function is(px, py) return math.abs(grey(px, py) - own) <= 1 end
        if b[3] - b[1] > 10 and b[4] - b[2] > 10 then
          seen = seen + 1
          assert(is(x, y) and is(b[1] + 3, y) and is(b[3] - 3, y) and is(x, b[2] + 3) and is(x, b[4] - 3), "inside")
          assert(not (is(b[1] - 2, y) or is(b[3] + 2, y) or is(x, b[2] - 2) or is(x, b[4] + 2)), "outside")
        end
      end
    end
  end
  assert(seen > 30, seen)
end)

-- One line that tells all samples of an epoch apart.
local function hash(list)
  local words = {}
  for i, s in ipairs(list) do
    words[i] = ("%s %d %d"):format(s.pixels:hash(), s.index, s.side)
    for k, b in ipairs(s.boxes) do words[i] = ("%s %d: %s"):format(words[i], s.labels[k], table.concat(b, " ")) end
  end
  return table.concat(words, "\n")
end

t.test("the same bits with any number of threads, and from the middle of an epoch on", function()
  local source, p = marked_source(12), bytes_pipeline({ "random_horizontal_flip" }, { "random_hsv" })
  local function options(threads, change)
    local o = { threads = threads, shuffle = true, batch = 5, sizes = { 32, 96 }, mosaic = with { chance = 0.7, mixup = 0.5 } }
    for key, v in pairs(change or {}) do o[key] = v end
    return o
  end
  local one = hash(samples(source, p, 3, options(1)))
  for _, threads in ipairs { 2, 7 } do t.equal(hash(samples(source, p, 3, options(threads))), one) end
  assert(hash(samples(source, p, 4, options(1))) ~= one, "two epochs are the same")
  assert(hash(samples(source, p, 3, options(1, { seed = 8 }))) ~= one, "two seeds give the same")
  local function from(batch)
    local loader <close> = core.data.loader(source, p, options(3, { seed = SEED }))
    loader:start(3, batch)
    local list = {}
    while true do
      local x = loader:next()
      if not x then return list end
      list[#list + 1] = x:hash()
    end
  end
  t.equal(table.concat(from(2), " "), table.concat(from(1), " ", 2))
end)

t.test("from an epoch on there are no mosaics", function()
  local source, p = marked_source(6), bytes_pipeline()
  local plain = hash(samples(source, p, 1, {}))
  for epoch = 1, 4 do
    local got = hash(samples(source, p, epoch, { mosaic = with { ["until"] = 3, mixup = 1 } }))
    t.equal(got == plain, epoch >= 3)
  end
  local some, n = samples(source, p, 1, { mosaic = with { chance = 0.5 } }), 0
  local each = samples(source, p, 1, {})
  for i, s in ipairs(some) do n = n + (s.pixels:hash() == each[i].pixels:hash() and 1 or 0) end
  assert(n > 0 and n < 6, n)
end)

t.test("boxes of which little is seen are dropped from mosaics", function()
  local source, counts = marked_source(12), {}
  for _, share in ipairs { 0, 0.5, 1 } do
    local n = 0
    for epoch = 1, 4 do
      local steps = bytes_pipeline { "least_visible", share = share }
      for _, s in ipairs(samples(source, steps, epoch, { mosaic = with {} })) do n = n + #s.boxes end
    end
    counts[#counts + 1] = n
  end
  assert(counts[1] > counts[2] and counts[2] > counts[3] and counts[3] > 0, table.concat(counts, " "))
end)

t.test("sizes change from batch to batch", function()
  local source, sides = marked_source(12), {}
  for epoch = 1, 8 do
    local list = samples(source, bytes_pipeline(), epoch, { sizes = { 32, 128 }, batch = 3 })
    for i, s in ipairs(list) do
      sides[s.side] = true
      t.equal(s.side, list[(i - 1) // 3 * 3 + 1].side)
      t.equal(s.pixels:shape(1), s.side * s.side * 3)
      local b = s.boxes[1]
      assert(b[3] <= s.side and b[4] <= s.side and math.max(b[3] - b[1], b[4] - b[2]) > s.side / 2)
    end
  end
  for _, side in ipairs { 32, 64, 96, 128 } do assert(sides[side], side) end
end)

t.test("what cannot be put together is refused", function()
  local source = marked_source(2)
  local function open(steps, options) return core.data.loader(source, core.data.pipeline(steps), options) end
  local box, crop = { "letterbox", size = 64 }, { "random_crop", size = 32 }
  t.fails("mosaics are put together of letterboxes", open, { { "resize", size = { 64, 64 } } }, { mosaic = with {} })
  t.fails("random_crop stands behind the letterbox", open, { box, crop }, { mosaic = with {} })
  t.fails("scale goes from 2 to 1", open, { box }, { mosaic = with { scale = { 2, 1 } } })
  t.fails("sizes from 48 to 64: both are multiples of 32", open, { box }, { sizes = { 48, 64 } })
  t.fails("sizes from 1 to 64", open, { box }, { sizes = { 0, 64 } })
  t.fails("sizes from 96 to 64", open, { box }, { sizes = { 96, 64 } })
  t.fails("random_crop has a size of its own", open, { box, crop }, { sizes = { 32, 64 } })
  t.fails("sizes that change are those of letterboxes", open, { { "resize", size = { 64, 64 } } }, { sizes = { 32, 64 } })
  local labels = core.data.source("records", { images = { core.zeros({ 8, 8, 3 }, { dtype = "uint8" }) }, labels = { 0 },
    classes = { "a" } })
  t.fails("mosaics are made of pictures with boxes and nothing else", core.data.loader, labels,
    core.data.pipeline { box }, { mosaic = with {} })
  local deep = core.data.source("records", { images = { core.zeros { 8, 8, 3 } }, boxes = { {} }, box_labels = { {} },
    classes = { "a" } })
  t.fails("images#1: mosaics are of pictures of 8 bits", samples, deep, bytes_pipeline(), 1, { mosaic = with {} })
end)

-- ---- in recipes ----

-- A task on boxes for runs: how many a picture has.
local count_boxes = tlua.task.define {
  name = "count_boxes", brief = "how many boxes there are", wants = { "boxes" }, takes = "vector",
  figures = { { "error", "error", "%.2f", "min" } },
  prepare = function(self) self.names, self.width = { "boxes" }, 1 end,
  loss = function(_, out, batch)
    local counts, at = {}, batch.boxes_offsets -- none in dry runs
    for i = 1, batch.n do counts[i] = { at and at[i + 1] - at[i] + 0.0 or 0.0 } end
    local off = out - core.tensor(counts)
    return (off * off):mean(), batch.n
  end,
  default_loss = function() return tlua.nn.MSELoss {} end,
  meter = function()
    return { add = function() end, value = function() return { error = 0 } end, state = function() return {} end }
  end,
}
for i = 4, 9 do
  core.image_write(("%s/field/images/%d.png"):format(root, i), core.full({ 100, 80 + 5 * i, 3 }, 20 * i):to "uint8")
  put(("field/labels/%d.txt"):format(i), ("%d 0.5 0.4 0.6 0.%d\n"):format(i % 2, i % 7 + 2))
end
local function recipe_of(name, options, changes)
  local o = { root = root .. "/field", size = 64, fit = "letterbox", mean = { 0.5 }, std = { 0.5 }, background = "keep",
    split = 0, batch = 2 }
  for key, v in pairs(options) do o[key] = v end
  local fields = { model = tlua.models.resnet18 { weights = "none", width = 8 }, data = data.yolo(o), task = count_boxes {},
    head = tlua.nn.Linear(1), augment = { flip = true, hsv = { 5, 30, 30 } }, optim = tlua.optim.SGD { lr = 1e-3 },
    schedule = { epochs = 3 }, checkpoint = 1e-5, out = root .. "/" .. name }
  for key, v in pairs(changes or {}) do fields[key] = v end
  return tlua.recipe(fields)
end

local resumed = dofile "tests/lua/run_resumed.lua"
local MOSAIC = { mosaic = 0.8, mixup = 0.5, close_mosaic = 1, multi_scale = { 32, 96 } }

t.test("a run that goes on from the middle of an epoch comes to the same bits", function()
  local middle = root .. "/whole-middle"
  local whole = resumed.with_middle(middle, 2, function()
    return recipe_of("whole", MOSAIC):run { style = "quiet", force = true }
  end)
  local again = recipe_of("whole-middle", MOSAIC):run { style = "quiet", resume = middle }
  t.equal(again.epochs[3].loss, whole.epochs[3].loss)
  t.equal(resumed.hashes(middle), resumed.hashes(root .. "/whole"))
  -- and one thread gives what two give
  recipe_of("alone", { mosaic = 0.8, mixup = 0.5, close_mosaic = 1, multi_scale = { 32, 96 }, threads = 1 })
    :run { style = "quiet", force = true }
  t.equal(resumed.hashes(root .. "/alone"), resumed.hashes(root .. "/whole"))
end)

t.test("the last epochs have no mosaics", function()
  local built = data.open(recipe_of("x", { mosaic = 1, close_mosaic = 2 }).data, { size = 64 }, SEED)
  local plain = data.open(recipe_of("x", {}).data, { size = 64 }, SEED)
  built.epochs = 5
  local function first_of(d, n)
    local loader <close> = data.loader(d, "train", SEED)
    loader:start(n)
    local x = loader:next()
    return x:hash()
  end
  for n = 1, 5 do t.equal(first_of(built, n) == first_of(plain, n), n > 3) end
end)

t.test("the plan says what is put together, and features are not kept", function()
  local _, text = resumed.run(recipe_of("plan", MOSAIC, { freeze = "*" }))
  for _, each in ipairs { "mosaic 0.8 (rotate -10,10, translate 0.1,0.1, scale 0.5,1.5, shear -2,2,-2,2)",
    "mixup 0.5 (scale 0.5,1.5), neither in the last 1 epoch, sizes 32 to 96, one in each batch",
    "mosaics are put together anew in each epoch" } do
    assert(text:find(each, 1, true), text)
  end
  _, text = resumed.run(recipe_of("plan", { multi_scale = { 32, 96 } }, { freeze = "*" }))
  assert(text:find("sizes change from batch to batch (multi_scale)", 1, true), text)
end)

t.test("options of mosaics are checked", function()
  local function open(o, augment)
    return data.open(recipe_of("x", o).data, { size = 64 }, 0, { augment = augment })
  end
  t.fails("data.yolo: mixup is of mosaics, and mosaic says how many samples are such: mosaic = 0.5", open,
    { mixup = 0.5 })
  t.fails("data.yolo: mosaic_scale is of mosaics", open, { mosaic_scale = { 1, 2 } })
  t.fails("data.yolo: close_mosaic is of mosaics", open, { close_mosaic = 3 })
  t.fails("data.yolo: mixup_scale is of mixup", open, { mosaic = 1, mixup_scale = { 1, 2 } })
  t.fails("mosaics are put together of letterboxes, and pictures are made otherwise: --data.fit letterbox", open,
    { mosaic = 1, fit = "stretch" })
  t.fails("multi_scale changes the size of letterboxes", open, { multi_scale = { 32, 64 }, fit = "stretch" })
  t.fails("pictures are cut out (augment.crop)", open, { mosaic = 1 }, { crop = { 0.5, 1 } })
  t.fails("augment.shift has a size of its own", open, { mosaic = 1 }, { shift = 0.1 })
  t.fails("mixup and cutmix mix classes, and here are boxes: data.mixup", open, {}, { mixup = 1 })
  t.fails("multi_scale is 50, and must be a multiple of 32 from 32 to 16384", open, { multi_scale = { 50, 64 } })
  t.fails("multi_scale goes from 96 down to 64", open, { multi_scale = { 96, 64 } })
  t.fails("multi_scale takes two numbers", open, { multi_scale = 64 })
  t.fails("mosaic_shear takes 1, 2 or 4 numbers", open, { mosaic = 1, mosaic_shear = { 1, 2, 3 } })
  open { mosaic = 0, close_mosaic = 3, mosaic_scale = { 1, 2 } } -- switched off on the command line
end)

t.finish()
