-- make.lua FOLDER - pages of reports to be looked at: of two to a thousand classes, whose predictions are drawn; of
-- masks and of numbers, which are the only ones that train (a second each); and all of those runs side by side.
local core = require "tlua.core"
local tlua = require "tlua"
local report = require "tlua.report"
local classes = require "tlua.report.classes"
local nn = tlua.nn
local folder = ... or error("make.lua: a folder is needed", 0)
core.mkdirs(folder)

local state = 7
local function draw(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n
end

-- A coloured square of a class, as a file.
local function picture(class, i)
  local pixels = {}
  for y = 1, 24 do
    pixels[y] = {}
    for x = 1, 24 do
      local inside = x > 4 + class % 5 and x < 20 and y > 4 + class % 3 and y < 20
      pixels[y][x] = inside and { 40 * class % 256, 90 + 17 * class % 160, (30 * i) % 256 } or { 230, 230, 225 }
    end
  end
  local path = ("%s/pictures/%d/%d.png"):format(folder, class, i)
  core.mkdirs(("%s/pictures/%d"):format(folder, class))
  core.image_write(path, core.tensor(pixels, { dtype = "uint8" }))
end

-- A page of n classes with `each` test samples, of which every fifth or so is taken for one of its family of five.
local function of_classes(n, each)
  local names, seen, families = {}, { labels = {}, probabilities = {}, indices = {} }, math.max(1, n // 5)
  for k = 1, n do names[k] = n > 2 and ("class %d of %s"):format(k, k % 2 == 0 and "birds" or "beetles, long") or ({ "no", "yes" })[k] end
  for label = 0, n - 1 do
    for _ = 1, each do
      local row, sum = {}, 0
      local other = draw(5) == 0 and (label + families * (1 + draw(4))) % n or label
      for k = 1, n do
        row[k] = (1 + draw(20)) / n / 20 + (k - 1 == other and 1 + draw(100) / 50 or 0) + (k - 1 == label and 0.5 or 0)
        sum = sum + row[k]
      end
      for k = 1, n do row[k] = row[k] / sum end
      local at = #seen.labels + 1
      seen.labels[at], seen.probabilities[at], seen.indices[at] = label, row, at % 40 + 1
    end
  end
  local source = core.data.source("folder", { root = folder .. "/pictures" })
  local t = { kind = "classify", names = names, options = {}, figures = { { "accuracy", "accuracy", "%.1f %%", "max" } },
    gather = classes.gather, main = function(self) return self.figures[1] end, wanted = function() end,
    positive_class = function() return #names == 2 and 2 or nil end,
    threshold_of = function() return 0.5, "the likelier class" end }
  local rows = {}
  for k = 1, 8 do
    rows[k] = { epoch = k, loss = 2 / k, test_loss = 2.2 / k, train_accuracy = 90 - 50 / k, test_accuracy = 85 - 50 / k,
      lr = 1e-3 / k }
  end
  local found = report.gather { title = ("a network on %d classes"):format(n), subtitle = "drawn, not trained", task = t,
    seen = seen, names = names, rows = rows, part = "test", source = source, place = folder, seconds = 61,
    commands = { "tlua mine.lua" }, ran = { { "data", "drawn" } }, facts = { { "network", "none" } }, recipe = "return 1" }
  local counts = {}
  for k = 1, n do counts[k] = 10 + 3 * k % 50 end
  found.labels = { { name = "training", counts = counts }, { name = "test", counts = counts } }
  -- As a reader of report.json has it.
  core.write_file(("%s/classes-%d.html"):format(folder, n), report.page(core.json_decode(core.json_encode(found))))
end

for class = 0, 3 do
  for i = 1, 10 do picture(class, i) end
end
for _, each in ipairs { { 2, 60 }, { 10, 40 }, { 40, 20 }, { 100, 20 }, { 1000, 5 } } do of_classes(each[1], each[2]) end

-- ---- runs ----

local function net(last, ...)
  return nn.Sequential(nn.Conv2d(3, 4, 3, { padding = 1 }), nn.ReLU(), last, ...)
end

local function run(name, r)
  r.schedule, r.out = { epochs = 2 }, ("%s/runs/%s"):format(folder, name)
  tlua.recipe(r):run { style = "quiet", force = true }
end

local lines = { "file,side" }
for class = 0, 3 do
  for i = 1, 10 do lines[#lines + 1] = ("pictures/%d/%d.png,%d"):format(class, i, 10 + class + i % 3) end
end
core.write_file(folder .. "/sides.csv", table.concat(lines, "\n") .. "\n")
run("numbers", { model = net(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)), task = tlua.task.regress {},
  data = tlua.data.csv { path = folder .. "/sides.csv", image = "file", target = "side", size = 24, batch = 8,
    split = 0.3, mean = 0.5, std = 0.5 }, optim = tlua.optim.Adam { lr = 0.01 } })
core.mkdirs(folder .. "/parts/images")
core.mkdirs(folder .. "/parts/masks")
for i = 1, 12 do
  local pixels, mask = {}, {}
  for y = 1, 32 do
    pixels[y], mask[y] = {}, {}
    for x = 1, 32 do
      local inside = (x - 10 - i % 5) ^ 2 + (y - 16) ^ 2 < 60
      pixels[y][x], mask[y][x] = inside and { 210, 120, 60 } or { 30, 40, 10 * i }, { inside and 1 or 0 }
    end
  end
  core.image_write(("%s/parts/images/%d.png"):format(folder, i), core.tensor(pixels, { dtype = "uint8" }))
  core.image_write(("%s/parts/masks/%d.png"):format(folder, i), core.tensor(mask, { dtype = "uint8" }))
end
run("masks", { model = net(nn.Conv2d(4, 2, 1)), task = tlua.task.segment {}, data = tlua.data.masks {
  root = folder .. "/parts", classes = { "ground", "disc" }, size = 32, batch = 4, split = 0.4, mean = 0.5, std = 0.5 },
  optim = tlua.optim.Adam { lr = 0.01 } })
for k = 1, 3 do
  run("classes-rate-" .. k, { model = net(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)),
    data = tlua.data.folder { root = folder .. "/pictures", size = 24, batch = 8, split = 0.3, mean = 0.5, std = 0.5 },
    optim = tlua.optim.Adam { lr = 0.01 * k } })
end
require("tlua.report.runs").main { folder .. "/runs/classes-rate-1", folder .. "/runs/classes-rate-2",
  folder .. "/runs/classes-rate-3", "--to", folder .. "/side-by-side.html" }

-- ---- what `tlua watch` shows: a run and the list of all; with the style sheet in the page, without the script ----

local watch, shown = require "tlua.command.watch.page", require "tlua.command.watch.parts"
for name, ask in pairs { run = function() return shown.run(folder .. "/runs/masks", "../") end,
  list = function() return shown.list(folder .. "/runs") end } do
  local html = watch.html(select(1, ask()), select(2, ask()), "")
  html = html:gsub('<link rel="stylesheet"[^>]*>', function() return "<style>" .. watch.STYLE .. "</style>" end, 1)
  core.write_file(("%s/watch-%s.html"):format(folder, name), (html:gsub("<script src=.-</script>", "")))
end
