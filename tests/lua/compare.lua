-- compare.lua - comparisons: pictures drawn by class, the cells of `tlua compare`, what its tables say. Run by `tlua tests/lua/compare.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local tables = require "tlua.command.compare.tables"
local folder = t.folder()
pictures.idx(folder .. "/idx", 60)
pictures.folder(folder .. "/classes", 10)

local function read(path) return core.read_file(path) end

local function open(options, seed)
  return tlua.data.open(tlua.data[options.kind or "fashion_mnist"](options.of), { size = 32, mean = 0.5, std = 0.5, channels = 3 }, seed)
end

local function names_of(source)
  local list = {}
  for i = 1, source:count() do list[source:name(i)] = source:label(i) end
  return list
end

t.test("per_class draws as many of each class, by the seed", function()
  local function draw(n, seed) return names_of(open({ of = { root = folder .. "/idx", per_class = n } }, seed).train) end
  local few, more, other = draw(2, 0), draw(4, 0), draw(2, 1)
  local counts, differs = {}, false
  for name, label in pairs(few) do
    counts[label + 1] = (counts[label + 1] or 0) + 1
    t.equal(more[name], label, "a picture of the smaller draw in the larger one")
    differs = differs or not other[name]
  end
  t.equal(table.concat(counts, " "), "2 2 2 2 2 2 2 2 2 2")
  assert(differs, "two seeds draw the same pictures")
  local again = draw(2, 0)
  for name in pairs(few) do assert(again[name], "the same seed draws other pictures") end
  t.equal(open({ of = { root = folder .. "/idx", per_class = 50 } }, 0).train:count(), 60, "where classes have fewer, all of them are taken")
  t.fails("per_class must be from 1 on, not 0", open, { of = { root = folder .. "/idx", per_class = 0 } }, 0)
end)

t.test("split_seed holds out the same test pictures whatever the seed", function()
  local function test_of(seed, split_seed) return open({ kind = "folder", of = { root = folder .. "/classes", split_seed = split_seed } }, seed).test:hash() end
  assert(test_of(0) ~= test_of(1))
  t.equal(test_of(0, 5), test_of(1, 5))
end)

t.test("group holds the pictures of one patient out together", function()
  local root = folder .. "/patients"
  core.mkdirs(root)
  local bytes = read(open({ kind = "folder", of = { root = folder .. "/classes" } }, 0).train:name(1))
  for _, class in ipairs { "ill", "well" } do
    core.mkdirs(root .. "/" .. class)
    for patient = 1, 8 do
      for k = 1, 3 do core.write_file(("%s/%s/%s%02d_%d.png"):format(root, class, class == "ill" and "p" or "q", patient, k), bytes) end
    end
  end
  core.write_file(root .. "/well/unnamed.png", bytes)
  local built = open({ kind = "folder", of = { root = root .. "/", split = 0.25, group = "([pq]%d+)_%d" } }, 3)
  t.equal(built.groups.count, 17)
  t.equal(built.groups.shared, 0)
  t.equal(built.test:count() + built.train:count(), 49)
  local of = {}
  for _, part in ipairs { "train", "test" } do
    for i = 1, built[part]:count() do
      local patient = built[part]:name(i):match "([pq]%d+)_%d" or "none"
      assert((of[patient] or part) == part, patient .. " is on both sides")
      of[patient] = part
    end
  end
  -- some of the folders, in an order of one's own
  core.mkdirs(root .. "/other")
  core.write_file(root .. "/other/p01_9.png", bytes)
  built = open({ kind = "folder", of = { root = root, group = "([pq]%d+)_%d", classes = { "well", "ill" } } }, 3)
  t.equal(table.concat(built.classes, " "), "well ill")
  t.equal(built.test:count() + built.train:count(), 49)
  t.equal(built.groups.count, 17)
  t.fails("data.folder: " .. root .. ': it has no class folder "wel"; did you mean "well"?', open,
    { kind = "folder", of = { root = root, classes = { "wel", "ill" } } }, 0)
  t.fails("data.folder: classes: 'ill' stands there twice", open,
    { kind = "folder", of = { root = root, classes = { "ill", "ill" } } }, 0)
  -- a test part of its own that shares patients with the training part
  for _, part in ipairs { "train", "test" } do
    for _, class in ipairs { "ill", "well" } do
      core.mkdirs(("%s/own/%s/%s"):format(root, part, class))
      core.write_file(("%s/own/%s/%s/%s01_%s.png"):format(root, part, class, class == "ill" and part or "q", part), bytes)
    end
  end
  built = open({ kind = "folder", of = { root = root .. "/own", group = "(%a+%d+)_" } }, 3)
  t.equal(built.groups.count, 3)
  t.equal(built.groups.shared, 1)
  t.fails('group = "%d+x" finds nothing in any path; the first is ill/p01_1.png', open, { kind = "folder", of = { root = root, group = "%d+x" } }, 0)
  t.fails('group = "(p" is not a Lua pattern: ', open, { kind = "folder", of = { root = root, group = "(p" } }, 0)
end)

local WEIGHTS = folder .. "/pretrained.safetensors"
do
  local net = tlua.models.efficientnet_lite0 {}
  net:ready()
  core.save(WEIGHTS, net:state_dict())
end

local function write_recipe(path, more)
  core.write_file(path, ([[local tlua = require "tlua"
return tlua.recipe { model = tlua.models.efficientnet_lite0 { weights = "%s" }, data = tlua.data.fashion_mnist { root = "%s/idx", size = 32, batch = 16 }, %s }
]]):format(WEIGHTS, folder, more))
  return path
end

t.test("least_steps makes epochs, test_every leaves tests out", function()
  local path = write_recipe(folder .. "/least.lua", 'freeze = "*", test_every = 3, schedule = { epochs = 2, least_steps = 14 }')
  local status, out, err = t.run(("./tlua %s --data.per_class 2 --out %s/least"):format(path, folder)) -- 20 pictures: two steps an epoch
  t.equal(status, 0, err)
  assert(out:find("7 epochs of 2 steps of 16", 1, true), out)
  local tested = {}
  for epoch, test in read(folder .. "/least/metrics.csv"):gmatch "\n(%d+),[^,]+,[^,]+,[^,]+,([^,]*)," do
    if test ~= "" then tested[#tested + 1] = epoch end
  end
  t.equal(table.concat(tested, " "), "3 6 7")
  status, out, err = t.run(("./tlua %s --data.per_class 2 --schedule.epochs 9 --test_every 0 --resume %s/least --force"):format(path, folder))
  assert(status == 0 and out:find("[Epoch 9] loss: ", 1, true), err)
end)

-- ---- the command ----

local RECIPE = write_recipe(folder .. "/worth.lua", [[compare = { per_class = { 2, "all" }, seeds = { 3 }, ways = {
  { name = "scratch", weights = "none", why = "from nothing", optim = tlua.optim.SGD { lr = 0.01 }, schedule = { epochs = 2 } },
  { name = "head", freeze = "*", schedule = { epochs = 3 } },
  { name = "last", train = "_blocks.15.*", schedule = { { epochs = 1, freeze = "*" }, { epochs = 1, lr = 1e-4 } } } } }]])
local OUT = folder .. "/worth"
local COMMAND = ("./tlua compare %s --out %s"):format(RECIPE, OUT)

local function cells()
  local list = {}
  for _, name in ipairs(core.is_folder(OUT .. "/cells") and core.list_folder(OUT .. "/cells") or {}) do
    local path = ("%s/cells/%s/cell.json"):format(OUT, name)
    if core.exists(path) then list[name] = read(path) end
  end
  return list
end

local function count(list)
  local n = 0
  for _ in pairs(list) do n = n + 1 end
  return n
end

t.test("Ctrl-C keeps what is finished, and the next call goes on", function()
  -- Stopped in the midst of it: as soon as the second cell is there.
  local status, out = t.run(("sh -c '%s & p=$!; n=0; while [ ! -e %s/cells/head-2-seed3/cell.json ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done; kill -INT $p; wait $p'"):format(COMMAND, OUT))
  t.equal(status, 130, out)
  assert(out:find("the same command goes on", 1, true), out)
  local before = cells()
  assert(count(before) >= 2 and count(before) < 6, ("%d cells"):format(count(before)))
  assert(read(OUT .. "/compare.html"):find(("%d of 6 cells are finished"):format(count(before)), 1, true))
  local err
  status, out, err = t.run(COMMAND)
  t.equal(status, 0, err)
  assert(out:find(("6, %d of them are finished"):format(count(before)), 1, true), out)
  local after = cells()
  t.equal(count(after), 6)
  for name, text in pairs(before) do t.equal(after[name], text, name .. " was computed again:") end
end)

t.test("a cell that was stopped goes on from its checkpoint", function()
  local out = folder .. "/half"
  local line = ("./tlua compare %s --out %s --compare.per_class 2 --compare.scratch.schedule.epochs 60"):format(RECIPE, out)
  local cell = out .. "/cells/scratch-2-seed3"
  local status, said = t.run(("sh -c '%s & p=$!; n=0; while ! grep -q \"Epoch 2\" %s/log.txt 2>/dev/null && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done; kill -INT $p; wait $p'"):format(line, cell))
  t.equal(status, 130, said)
  assert(core.exists(cell .. "/last.safetensors") and not core.exists(cell .. "/cell.json"))
  local err
  status, said, err = t.run(line)
  t.equal(status, 0, err)
  local r = core.json_decode(read(cell .. "/cell.json"))
  assert(r.resumed and r.epochs == 60, "it began anew")
  assert(read(cell .. "/log.txt"):find("resumed   ", 1, true))
  t.equal(select(2, read(cell .. "/metrics.csv"):gsub("\n", "")), 61)
end)

t.test("the same pictures for all ways; what each way trains", function()
  local test_hash, train_hash = nil, {}
  for name, text in pairs(cells()) do
    local r = core.json_decode(text)
    test_hash = test_hash or r.test_hash
    train_hash[r.per_class] = train_hash[r.per_class] or r.train_hash
    t.equal(r.test_hash, test_hash, "the test pictures")
    t.equal(r.train_hash, train_hash[r.per_class], "the training pictures")
    t.equal(r.train_pictures, r.per_class == 2 and 20 or 60)
    t.equal(r.trained, ({ scratch = 3383818, head = 12810, last = 618250 })[r.way] or "?", r.way)
    t.equal(r.epochs, ({ scratch = 2, head = 3, last = 2 })[r.way])
    if r.way == "scratch" then t.equal(r.feature_seconds, 0) end
    assert(r.peak_bytes > 1e6 and r.seconds > 0 and r.total_seconds > r.seconds)
    for _, file in ipairs(core.list_folder(OUT .. "/cells/" .. name)) do assert(not file:find "%.safetensors$", file) end
    assert(core.exists(("%s/cells/%s/report.html"):format(OUT, name)) and core.exists(("%s/cells/%s/log.txt"):format(OUT, name)))
  end
  assert(core.json_decode(cells()["head-2-seed3"]).feature_seconds > 0, "the frozen way computed no features")
end)

t.test("tables and page", function()
  local _, lines = read(OUT .. "/cells.csv"):gsub("\n", "")
  t.equal(lines, 7)
  assert(read(OUT .. "/table.csv"):find("\nall,60,last,1,", 1, true))
  assert(read(OUT .. "/table.md"):find("| 2 | 20 | head |", 1, true) and read(OUT .. "/table.md"):find("too few seeds to tell", 1, true))
  local page = read(OUT .. "/compare.html")
  assert(page:find "^<!doctype html>" and page:find "</body></html>\n$")
  for _, outside in ipairs { "https://", "<script src", "@import", "url(" } do assert(not page:find(outside, 1, true), outside) end
  assert(not page:gsub("http://www.w3.org/2000/svg", ""):find("http://", 1, true), "asks elsewhere")
  for _, text in ipairs { "from nothing", "Energy is not known", "Fewer than three seeds tell nothing", "Trained parameters" } do assert(page:find(text, 1, true), text) end
  assert(not page:find("nan", 1, true) and not page:find("inf", 1, true), "numbers that are none")
end)

t.test("a way that has changed is computed anew, the others are not", function()
  local before = cells()
  local status, out, err = t.run(COMMAND .. " --compare.head.schedule.epochs 1")
  t.equal(status, 0, err)
  assert(out:find("6, 4 of them are finished", 1, true), out)
  for name, text in pairs(cells()) do t.equal(text == before[name], not name:find "^head", name) end
end)

t.test("what has no classes is compared by numbers of samples, recordings by minutes, unless the recipe says what", function()
  local ways = require "tlua.command.compare.ways"
  local function amounts(given, counts)
    local o = ways.read(given)
    ways.fit_amounts(o, counts)
    local list, unit = ways.amounts(o)
    return table.concat(list, ",") .. " " .. unit.field
  end
  t.equal(amounts({}, { classes = { 5, 5 } }), "10,30,100,all per_class")
  t.equal(amounts({}, { classes = {} }), "30,100,all limit")
  t.equal(amounts({}, { classes = {}, seconds = 300 }), "1,3,all minutes")
  t.equal(amounts({ per_class = { "all" } }, { classes = {} }), "all per_class")
  t.equal(amounts({ pictures = { 7 } }, { classes = {} }), "7 limit")
end)

t.test("wrong words", function()
  local function refused(words, message)
    local status, out, err = t.run(COMMAND .. " " .. words)
    assert(status == 2 and err:find(message, 1, true), err .. out)
  end
  refused("--compare.haed.schedule.epochs 1", "unknown way 'haed'; did you mean 'head'?")
  refused("--schedule.epochs 1", "every way has its own schedule; name the way, like --compare.scratch.schedule.epochs 1")
  refused("--epochs 1", "--schedule.epochs: every way has its own schedule; name the way")
  refused("--compare.per_class 10,some", "numbers of pictures, like 10,100,all is needed, not '10,some'")
  for _, seed in ipairs { "1.5", "one", "0,9223372036854775808" } do refused("--compare.seeds " .. seed, "whole numbers, like 0,1,2 is needed, not '" .. seed .. "'") end
  local status, _, err = t.run("./tlua compare recipes/own_net.lua --data.root " .. folder)
  assert(status == 1 and err:find("so there are no weights to transfer", 1, true), err)
  t.fails("unknown field of way a: 'lr'", tlua.recipe, { model = tlua.models.resnet18 {}, data = tlua.data.cifar10 {}, compare = { ways = { { name = "a", lr = 1 }, { name = "b" } } } })
end)

t.test("a recipe without ways has the three", function()
  local status, out = t.run("./tlua compare recipes/fashion_fe.lua --help")
  assert(status == 0 and out:find("--compare.finetuned.FIELD", 1, true) and out:find("--compare.seeds ", 1, true), out)
end)

-- ---- what the figures say ----

t.test("paired differences", function()
  local r = tables.paired { 1, 2, 3 } -- mean 2, deviation 1: 4.3027 / sqrt 3
  t.equal(r.difference, 2)
  assert(math.abs(r.half - 2.48414) < 1e-4, r.half)
  t.equal(r.verdict, "same")
  t.equal(tables.paired({ 2.9, 3, 3.1 }).verdict, "better")
  t.equal(tables.paired({ -2.9, -3, -3.1 }).verdict, "worse")
  t.equal(tables.paired({ 5 }).verdict, "unknown")
  t.equal(tables.paired({ 5, 5.1 }).verdict, "unknown")
  -- no spread between the seeds: no interval of no width
  local same = tables.paired { 100 / 3 - 30, 10 / 3, 10 / 3 }
  assert(same.half == nil and same.verdict == "even", same.verdict)
  assert(tables.difference_text(same) == "+3.3, the same for every seed: no spread to tell it from chance")
  t.equal(tables.difference_text(tables.paired { 0, 0, 0 }), "+0.0, within the spread")
  local many = {}
  for i = 1, 21 do many[i] = i end -- scipy.stats.t.ppf(0.975, 20) = 2.085963
  assert(math.abs(tables.paired(many).half - 2.085963 * math.sqrt(38.5) / math.sqrt(21)) < 1e-3)
end)

t.test("the table says where transfer does not win", function()
  local c = { counts = { many = "pictures" }, options = { per_class = { 10, "all" }, seeds = { 0, 1, 2 }, ways = { { name = "scratch", weights = "none" }, { name = "frozen" } } }, cells = {} }
  local accuracy = { scratch = { [10] = { 40, 42, 41 }, all = { 90, 91, 92 } }, frozen = { [10] = { 70, 71.5, 71 }, all = { 84, 85, 86.1 } } }
  for way, sizes in pairs(accuracy) do
    for n, list in pairs(sizes) do
      for k, value in ipairs(list) do
        c.cells[#c.cells + 1] = { way = way, per_class = n, seed = k - 1, result = { seed = k - 1, accuracy = value, balanced_accuracy = value, seconds = 60 * k, feature_seconds = k == 1 and 5 or 0,
          peak_bytes = 1000 * k, trained = 7, parameters = 9, epochs = 3, train_pictures = 100, test_hash = "x", joules = way == "frozen" and 10.0 * k or nil } }
      end
    end
  end
  local text = tables.text(tables.summary(c))
  assert(text:find("Transfer wins over scratch beyond the spread in 1 of 2 places.", 1, true), text)
  assert(text:find("frozen does not win with all pictures a class: 85.0 against 91.0 %, -6.0 ± 0.1 (scratch is better beyond the spread).", 1, true), text)
  assert(text:find("+29.8 ± 0.7, better", 1, true) and text:find("70.8 ± 0.8", 1, true), text)
  assert(text:find("2:05", 1, true) and text:find("20 J", 1, true) and text:find("3 kB", 1, true), text)
end)

t.test("energy is counted over the end of a counter, and not guessed", function()
  local energy = require "tlua.run.energy"
  local root = folder .. "/powercap"
  local function counter(name, uj, range)
    core.mkdirs(root .. "/" .. name)
    core.write_file(("%s/%s/energy_uj"):format(root, name), ("%d\n"):format(uj))
    core.write_file(("%s/%s/max_energy_range_uj"):format(root, name), ("%d\n"):format(range))
  end
  t.equal(energy.meter(root .. "/nowhere"):read(), nil)
  counter("intel-rapl:0", 900, 1000)
  counter("intel-rapl:0:0", 5, 1000) -- a part of the package, which is counted already
  counter("intel-rapl:1", 10, 1000)
  counter("intel-rapl:2", 10, 1000)
  core.write_file(root .. "/intel-rapl:2/name", "psys\n") -- the platform, of which the packages are a part
  local meter = energy.meter(root)
  counter("intel-rapl:0", 100, 1000)
  meter:tick()
  counter("intel-rapl:1", 60, 1000)
  counter("intel-rapl:2", 700, 1000)
  assert(math.abs(meter:read() - 250e-6) < 1e-12, meter.joules)
end)

os.execute("rm -rf " .. folder)
t.finish()
