-- tasks.lua - findings and numbers: their figures against scikit-learn's, runs from a CSV to predict and eval, parts, and what is refused.
-- Run by `tlua tests/lua/tasks.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local task = require "tlua.task"
local nn, data = tlua.nn, tlua.data

local folder = os.tmpname()
os.remove(folder)
core.mkdirs(folder)
local golden = core.json_decode(core.read_file "tests/golden/targets.json")

local function near(a, b, what) assert(math.abs(a - b) < 1e-6 * math.max(1, math.abs(b)), ("%s is %.9g, not %.9g"):format(what, a, b)) end

-- A task as a session has it, with targets called a, b, ...
local function opened(kind, width, loss)
  local o = task.open(task[kind] {}, loss or task.definition(kind).default_loss {})
  o.names, o.width = {}, width
  for k = 1, width do o.names[k] = ("abcdef"):sub(k, k) end
  return o
end

local function batches(targets, given, each)
  for first = 1, #targets, 16 do
    local rows, values, indices = {}, {}, {}
    for i = first, math.min(first + 15, #targets) do
      rows[#rows + 1], indices[#indices + 1] = given[i], i
      values[#values + 1] = {}
      for k = 1, #given[i] do
        local v = targets[i][k]
        values[#values][k] = type(v) == "number" and v or 0 / 0
      end
    end
    each(tlua.tensor(rows), { values = tlua.tensor(values), n = #rows, indices = indices })
  end
end

t.test("numbers: errors and R² are scikit-learn's, correlations scipy's", function()
  for i, case in ipairs(golden.numbers) do
    local o = opened("regress", #case.given[1])
    local meter, half = o:meter(nil, true), nil
    batches(case.targets, case.given, function(out, batch)
      meter:add(out, batch)
      half = half or core.json_decode(core.json_encode(meter:state()))
    end)
    for _, f in ipairs(o.figures) do near(meter:value()[f[1]], case[f[1]], ("case %d, %s"):format(i, f[1])) end
    t.equal(o:meter():value().spearman, nil, "what wants all numbers, in training")
    assert(o:meter(half):value().mae, "a meter goes on from its state")
  end
end)

t.test("one class: accuracy and macro F1 are scikit-learn's, in batches and from a kept state", function()
  for k, case in ipairs(core.json_decode(core.read_file "tests/golden/metrics.json")) do
    local o = opened("classify", #case.probabilities[1])
    local meter = o:meter()
    for from = 1, #case.labels, 16 do
      local rows = table.move(case.probabilities, from, math.min(from + 15, #case.labels), 1, {})
      meter:add(core.tensor(rows), { labels = table.move(case.labels, from, from + #rows - 1, 1, {}) })
      meter = o:meter(core.json_decode(core.json_encode(meter:state())))
    end
    near(meter:value().accuracy, 100 * case.accuracy, ("case %d, accuracy"):format(k))
    near(meter:value().f1, 100 * case.averages.macro.f1, ("case %d, macro F1"):format(k))
  end
  local older = opened("classify", 2):meter { right = 3, n = 4 }
  older:add(core.tensor { { 1, 0 } }, { labels = { 0 } })
  t.equal(older:value().accuracy, 80)
  t.equal(older:value().f1, nil, "F1 of an epoch that an older run began")
end)

t.test("findings: AUROC, average precision, right labels and the loss, of what is known alone", function()
  for i, case in ipairs(golden.findings) do
    local o = opened("multilabel", #case.logits[1])
    o.unknown = i == 2
    local meter, sum, count = o:meter(nil, true), 0, 0
    batches(case.targets, case.logits, function(out, batch)
      meter:add(out, batch)
      local loss, n = o:loss(out, batch)
      sum, count = sum + loss:item() * n, count + n
    end)
    local v = meter:value()
    for _, key in ipairs { "auroc", "average_precision", "right_labels" } do near(v[key], case[key], ("case %d, %s"):format(i, key)) end
    assert(math.abs(sum / count - case.loss) < 1e-5, ("case %d: the loss is %g, not %g"):format(i, sum / count, case.loss))
  end
end)

t.test("a batch of which nothing is known has no loss", function()
  local o = opened("multilabel", 2)
  o.unknown = true
  local loss, count = o:loss(tlua.tensor { { 1, 2 } }, { values = tlua.tensor { { 0 / 0, 0 / 0 } }, n = 1 })
  assert(loss == nil and count == 0)
end)

-- ---- runs ----

-- 24 pictures whose brightness and redness are the targets.
for i = 1, 24 do
  local bright, red = i % 4 >= 2 and 150 or 20, i % 3 == 0 and 100 or 0
  local x = tlua.tensor({ bright + red, bright, bright + i }, { dtype = "uint8" }):reshape(1, 1, 3):expand(16, 16, 3):clone()
  core.image_write(("%s/%d.png"):format(folder, i), x)
end
local lines = { "file;bright;red;level;who;part" }
for i = 1, 24 do
  lines[i + 1] = ("%d.png;%d;%s;%d;%d;%s"):format(i, i % 4 >= 2 and 1 or 0, i == 5 and "" or i % 3 == 0 and "1" or "0", i % 4 >= 2 and 150 or 20, i // 3,
    i <= 12 and "train" or i <= 16 and "val" or "test")
end
core.write_file(folder .. "/table.csv", table.concat(lines, "\r\n") .. "\r\n")

local function network(width)
  return nn.Sequential(nn.Conv2d(3, 8, 3, { stride = 2, padding = 1 }), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, width))
end

local function recipe(options, fields)
  local o = { path = folder .. "/table.csv", image = "file", size = 16, batch = 6 }
  for key, value in pairs(options) do o[key] = value end
  local f = { model = network(2), data = data.csv(o), optim = tlua.optim.Adam { lr = 0.02 }, schedule = { epochs = 3 }, out = folder .. "/run" }
  for key, value in pairs(fields or {}) do f[key] = value end
  return tlua.recipe(f)
end

local function read(path) return core.read_file(path) end
local function ran(r)
  local results = r:run { style = "quiet", force = true }
  return results, read(r.out .. "/log.txt")
end

t.test("findings of a CSV: the task is implied, one that is not known counts nowhere, the model predicts and is tested", function()
  local r = recipe { target = { "bright", "red" }, group = "who", split = 0.25 }
  t.equal(r.task.kind, "multilabel")
  t.equal(r.best, "auroc")
  local results, log = ran(r)
  assert(log:find("2 targets (bright, red)", 1, true) and log:find("groups as a whole", 1, true) and log:find("none on both sides", 1, true), log)
  assert(log:find "pictures  neither the weights nor %-%-data.mean and %-%-data.std say how pixels are normalised", log)
  assert(results.value == results.auroc and results.auroc ~= nil)
  local head = read(folder .. "/run/metrics.csv"):match "^[^\n]+"
  t.equal(head, "epoch,loss,train_auroc,train_average_precision,train_right_labels,test_loss,test_auroc,test_average_precision,test_right_labels,learning_rate,seconds")
  local status, out = t.run(("./tlua eval %s/run --json"):format(folder))
  t.equal(status, 0, out)
  near(core.json_decode(out).auroc, results.auroc, "eval's AUROC")
  local page = read(folder .. "/run/report.html")
  assert(page:find("<h2>Targets</h2>", 1, true) and page:find("area under the ROC curve", 1, true))
  assert(page:find '<h2>Farthest from what is so</h2>.*<img alt="[^"]+" src="data:image/png;base64,', "no pictures")
  status, out = t.run(("./tlua report %s/run %s/run"):format(folder, folder) .. " --to " .. folder .. "/both.html")
  assert(status == 0 and read(folder .. "/both.html"):find("AUROC, best", 1, true), out)
end)

t.test("numbers: three parts of the data, the best by validation, the test once", function()
  local r = recipe({ target = { "level", "bright" }, part = "part" }, { task = task.regress {}, keep = "best", schedule = { epochs = 6 } })
  local results, log = ran(r)
  assert(log:find("12 training, 4 validation and 8 test pictures", 1, true) and log:find("validation the data's own", 1, true), log)
  assert(log:find "%[Epoch 6%] loss: [%d.]+  train mean absolute error [%d.]+  validation mean absolute error [%d.]+", log)
  assert(not log:find "test mean absolute error" and select(2, log:gsub("\ntest ", "")) == 1, log)
  t.equal(results.value, results.mae)
  assert(results.epochs[1].val_mae and not results.epochs[1].test_mae)
end)

t.test("one target: a class; a model of one's own bias begins at the mean of numbers", function()
  t.equal(recipe({ target = "who" }, { model = network(9) }).task.kind, "classify")
  local r = recipe({ target = "level" }, { model = tlua.models.squeezenet1_1 {}, head = nn.Linear(1), task = task.regress {}, freeze = "*" })
  local found = r:override({ { "data.size", "32" } }):build()
  near(found.model:head().bias:tolist()[1], found.task.mean[1], "the bias")
  found.optim:close()
end)

t.test("where something selects, a validation part is held out and said; where nothing does, nothing changes", function()
  local r = recipe({ target = "bright", split = 0.25 }, { stop_after = 2 })
  local s = r:build()
  assert(s.data.validation and s.part == "validation" and s.data.validation_text:find("since stop_after = 2 goes by them", 1, true))
  s.optim:close()
  s = recipe({ target = "bright", split = 0.25 }):build()
  assert(s.data.validation == nil and s.part == "test")
  s.optim:close()
end)

-- ---- what is refused ----

local function csv(name, text)
  core.write_file(folder .. "/" .. name, text)
  return folder .. "/" .. name
end
local function fails(message, options, fields)
  local e = t.fails(message, function() recipe(options, fields):build() end)
  assert(e:find "^tests/lua/tasks.lua:%d+: ", "not at the recipe's place: " .. e)
  assert(not e:find "\n", e)
end

t.test("tables: a column, a file, a number, a class that is missing; each one line at the recipe's place", function()
  local path = folder .. "/table.csv"
  fails("data.csv: target is missing", {})
  fails(path .. " has no column 'brigth' (target); did you mean 'bright'?", { target = "brigth" })
  fails(path .. " has no column 'picture' (image)", { target = "red", image = "picture" })
  fails(path .. ":6: column 'red' is empty, and a number is needed", { target = "red" }, { task = task.regress {} })
  fails(path .. ":6: column 'red' is empty, and a class is needed", { target = "red" })
  fails("a.csv:3: column 'y': '1,5' has a decimal comma; write 1.5", { path = csv("a.csv", "file;y\n1.png;2\n2.png;1,5\n"), target = "y" }, { task = task.regress {} })
  fails("b.csv:2: column 'y': 'many' is no number", { path = csv("b.csv", "file,y\n1.png,many\n"), target = "y" }, { task = task.regress {} })
  fails("c.csv:3: there is no file " .. folder .. "/nowhere.png", { path = csv("c.csv", "file,y\n1.png,0\nnowhere.png,1\n"), target = "y" })
  t.run(("mkfifo %s/pipe.csv"):format(folder)) -- which nobody writes
  fails("pipe.csv: it is a pipe or a device, and not a regular file", { path = folder .. "/pipe.csv", target = "y" },
    { task = task.regress {} })
  fails("d.csv:2: column 'y': 'nan' is no number", { path = csv("d.csv", "file,y\n1.png,nan\n"), target = "y" }, { task = task.regress {} })
  fails("has one class only, 0", { path = csv("e.csv", "file,y\n1.png,0\n2.png,0\n"), target = "y" })
  fails("e.csv:2: column 'y': '0' is no part: train, validation or test", { path = folder .. "/e.csv", target = "y", part = "y" })
  fails("f.csv", { path = csv("f.csv", 'file,y\n1.png,"0\n'), target = "y" })
  fails("level of ", { target = { "level", "bright" } })
  fails("2 targets (level, bright) are for task.multilabel {} or task.regress {}, not for task.classify", { target = { "level", "bright" } }, { task = task.classify {} })
  fails("red is 0 in every training picture, so there is nothing to learn",
    { path = csv("g.csv", "file,red,b\n1.png,0,1\n2.png,0,0\n3.png,0,1\n4.png,0,0\n5.png,0,0\n"), target = { "red", "b" } })
end)

t.test("tasks and networks, heads and data that do not fit", function()
  core.mkdirs(folder .. "/classes/a")
  core.mkdirs(folder .. "/classes/b")
  for i = 1, 4 do
    core.link(("%s/%d.png"):format(folder, i), ("%s/classes/a/%d.png"):format(folder, i))
    core.link(("%s/%d.png"):format(folder, 4 + i), ("%s/classes/b/%d.png"):format(folder, i))
  end
  fails("task.multilabel wants numbers (values) for each sample", { target = "bright" }, { task = task.multilabel {}, data = data.folder { root = folder .. "/classes", size = 16 } })
  fails("the network gives outputs of shape (6, 3), and the data have 2 targets (bright, red)", { target = { "bright", "red" } }, { model = network(3) })
  fails("the head nn.Linear", { target = { "bright", "red" } }, { model = tlua.models.squeezenet1_1 {}, head = nn.Linear(4) })
  fails("task.segment wants a mask for each sample", { target = "bright" }, { task = task.segment {} })
  t.fails("best must be auroc, average_precision, right_labels or loss for task.multilabel, not 'accuracy'",
    function() recipe({ target = { "bright", "red" } }, { best = "accuracy" }) end)
  t.fails("recipe: task must be like task.multilabel {}", function() recipe({ target = "bright" }, { task = "multilabel" }) end)
  t.fails("validation = 0.5, but the data have a validation part of their own", function() recipe({ target = "bright", part = "part", validation = 0.5 }):build() end)
end)

t.test("pictures of five channels, as tensors; files have 1 or 3", function()
  local net = nn.Sequential(nn.Conv2d(5, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
  local labels = {}
  for i = 1, 20 do labels[i] = i % 2 end
  local function five(options)
    local o = { images = tlua.rand(20, 16, 16, 5), labels = labels, size = 16, batch = 8 }
    for key, value in pairs(options) do o[key] = value end
    return tlua.recipe { model = net, data = data.tensors(o), schedule = { epochs = 1 }, out = folder .. "/five" }
  end
  t.equal(#ran(five { channels = 5 }).epochs, 1)
  t.fails("and channels = 4", function() five { channels = 4 }:build() end)
  t.fails("others want data.channels", function() five {}:build() end)
  t.fails("data: pictures have 1 or 3 channels, the network wants 5", function()
    recipe({ target = "bright" }, { model = tlua.models.squeezenet1_1 { in_channels = 5 } }):build()
  end)
end)

t.test("an error in a forward or in a loss names its own line", function()
  local line = debug.getinfo(1, "l").currentline + 1
  local function loss(x) return x:nothing() end
  t.fails(("tests/lua/tasks.lua:%d: a tensor has no method 'nothing'"):format(line), function() recipe({ target = "bright" }, { loss = loss }):build() end)
  local Net = nn.class "Net"
  function Net:init() self.fc = nn.Linear(3, 2) end
  function Net:forward(x) return self.fc(x:reshape(7, 7)) end
  local e = t.fails("reshape: ", function() recipe({ target = "bright" }, { model = Net() }):build() end)
  assert(e:find(("^tests/lua/tasks.lua:%d: "):format(line + 4)), e)
end)

os.execute("rm -rf " .. folder)
t.finish()
