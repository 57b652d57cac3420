-- figures.lua - what a run says of itself is so: one mean rule for every loss, NaN that is never best and never lost, no figure where there is
-- nothing to count, and what would be for nothing said before the first step. Run by `tlua tests/lua/figures.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn = tlua.nn
local folder = t.folder()
pictures.folder(folder .. "/classes", 8) -- three classes; 18 pictures for training, 6 for the test
pictures.folder(folder .. "/single", 1) -- one of each class: none is held out

local function read(path) return core.read_file(path) end

local function tiny()
  return nn.Sequential(nn.Conv2d(3, 4, 3, { stride = 2, padding = 1 }), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
end

-- A recipe of a tiny network; `data`: options of the data beside the usual ones.
local function recipe(fields, data)
  local d = { root = folder .. "/classes", size = 16, batch = 6, mean = 0.5, std = 0.5, threads = 1 }
  for key, value in pairs(data or {}) do d[key] = value end
  local r = { model = tiny(), data = tlua.data.folder(d), optim = tlua.optim.SGD { lr = 1e-12 }, schedule = { epochs = 1 }, out = folder .. "/run" }
  for key, value in pairs(fields) do r[key] = value end
  return tlua.recipe(r)
end

-- Runs without lines on the terminal; returns the results and the log.
local function run(fields, data, options)
  local out = io.stdout
  io.stdout = { write = function(self) return self end, flush = function(self) return self end }
  local r = recipe(fields, data)
  local ok, result = pcall(function() return r:run(options or { force = true }) end)
  io.stdout = out
  if not ok then error(result, 0) end
  return result, read(r.out .. "/log.txt")
end

local function near(got, want, what, tolerance)
  assert(got and math.abs(got - want) <= (tolerance or 1e-5) * math.max(1, math.abs(want)), ("%s: %.9g, not %.9g"):format(what, got or 0 / 0, want))
end

-- What a weighted cross-entropy of all pictures that the test saw is, from their probabilities.
local function whole(seen, weights)
  local sum, count = 0, 0
  for i, label in ipairs(seen.labels) do
    sum, count = sum - weights[label + 1] * math.log(seen.probabilities[i][label + 1]), count + weights[label + 1]
  end
  return sum / count
end

t.test("the mean of a loss is what it counts, whatever the batch", function()
  local cases = { { nn.CrossEntropy { weight = { 0.1, 1, 10 } }, { 0.1, 1, 10 } }, { nn.CrossEntropy { weight = { 0, 1, 1 } }, { 0, 1, 1 } },
    { nn.CrossEntropy { ignore_index = 1 }, { 1, 0, 1 } }, { nn.CrossEntropy { reduction = "sum" }, { 1, 1, 1 } },
    { nn.CrossEntropy { reduction = "sum", weight = { 3, 0, 1 } }, { 3, 0, 1 } }, { nn.FocalLoss { gamma = 0, ignore_index = 0 }, { 0, 1, 1 } },
    { nn.FocalLoss { gamma = 0, reduction = "sum" }, { 1, 1, 1 } } }
  for number, case in ipairs(cases) do
    local train, test
    for _, batch in ipairs { 18, 6, 4, 1 } do
      local what = ("case %d, batch %d"):format(number, batch)
      local r = run({ loss = case[1] }, { batch = batch })
      train, test = train or r.epochs[1].loss, test or r.epochs[1].test_loss
      near(r.epochs[1].loss, train, what .. ", training")
      near(r.epochs[1].test_loss, test, what .. ", test")
      near(test, whole(r.session.seen, case[2]), what .. ", the whole set")
    end
  end
  for _, name in ipairs { "MSELoss", "BCEWithLogits", "SmoothL1Loss", "SigmoidFocalLoss" } do
    local mean
    for _, reduction in ipairs { "mean", "sum" } do
      for _, batch in ipairs { 18, 4 } do
        local r = run({ loss = nn[name] { reduction = reduction } }, { batch = batch })
        mean = mean or r.epochs[1].test_loss
        near(r.epochs[1].test_loss, mean, ("%s, %s, batch %d"):format(name, reduction, batch))
      end
    end
  end
end)

t.test("batches that are accumulated make the step of one that holds them all", function()
  for number, loss in ipairs { nn.CrossEntropy { weight = { 0.1, 1, 10 } }, nn.CrossEntropy { ignore_index = 1 }, nn.CrossEntropy { reduction = "sum", ignore_index = 2 },
    nn.FocalLoss { ignore_index = 0 }, nn.MSELoss {} } do
    local one
    for _, way in ipairs { { 6, 1 }, { 2, 3 }, { 1, 6 } } do
      local r = run({ loss = loss, accumulate = way[2], optim = tlua.optim.SGD { lr = 0.05, momentum = 0.9 } }, { batch = way[1] })
      local weights = r.model:at(5).weight:reshape(-1):tolist()
      one = one or weights
      for i, v in ipairs(weights) do near(v, one[i], ("case %d, %d x %d"):format(number, way[2], way[1])) end
    end
  end
end)

t.test("a batch that counts nothing adds nothing, and a step of such batches moves nothing", function()
  local r = run({ loss = nn.CrossEntropy { ignore_index = 1 }, optim = tlua.optim.Adam { lr = 0.05, weight_decay = 0.1 }, log = "tensorboard" }, { batch = 1 })
  assert(r.epochs[1].loss == r.epochs[1].loss and r.epochs[1].test_loss < 100)
  -- Weights of which none counts are refused before the first step.
  t.fails("nn.CrossEntropy: weight must have a number above 0", function()
    recipe({ loss = nn.CrossEntropy { weight = { 0, 0, 0 } } }):build()
  end)
  -- A step of ignored pictures alone: Adam with weight decay stands still.
  local s = recipe({ loss = nn.CrossEntropy { ignore_index = 1 }, optim = tlua.optim.AdamW { lr = 0.1, weight_decay = 0.5 }, accumulate = 2 }, { batch = 2 }):build()
  local before, n = s.model:at(5).weight:hash(), 0
  local source = { next = function()
    n = n + 1
    if n <= 2 then return { input = core.randn(2, 16, 16, 3), label = core.tensor({ 1, 1 }, { dtype = "int32" }), n = 2, labels = { 1, 1 } } end
  end }
  local sum = require("tlua.train.totals").new(s.task)
  s.stage_epoch, s.stage_steps, s.batches_done, s.done, s.epoch = 1, 0, 0, 0, 1
  s.model:train()
  assert(require("tlua.train.step").train(s, source, sum) and not require("tlua.train.step").train(s, source, sum))
  t.equal(s.model:at(5).weight:hash(), before)
  t.equal(sum.n, 4)
  t.equal(sum:mean(), nil)
  t.equal(s.stage_steps, 1, "the schedule goes on")
  s.optim:close()
end)

-- Cross-entropy whose value in the k-th test of a run is what bad[k] says.
local function failing(bad)
  local plain, tests = nn.CrossEntropy {}, 0
  return function(logits, labels)
    local y = plain(logits, labels)
    if not core.recording() then
      tests = tests + 1
      if bad[tests] then y = y * 0 + bad[tests] end
    end
    return y
  end
end

t.test("a test loss that is no number is never the best, stops nothing in silence, and survives a checkpoint", function()
  local nan = 0 / 0
  local fast = { optim = tlua.optim.Adam { lr = 1e-2 }, out = folder .. "/nan", schedule = { epochs = 4 } }
  for _, best in ipairs { "loss", "accuracy" } do
    fast.loss, fast.best, fast.keep = failing { nan, math.huge }, best, "best"
    local r, log = run(fast)
    assert(r.session.best.epoch > 2, best)
    assert(log:find("validation the loss is nan: this epoch counts as no better one", 1, true) and log:find("the loss is inf", 1, true), log)
    local csv = read(folder .. "/nan/metrics.csv")
    assert(csv:find "\n1,[%d.]+,[%d.]+,[%d.]+,nan,[%d.]+," and csv:find "\n2,[%d.]+,[%d.]+,[%d.]+,inf,[%d.]+,", csv)
    local page = read(folder .. "/nan/report.html")
    page = page:sub(1, page:find("<h2>The recipe</h2>", 1, true)) -- which is this file
    local at = page:find "[%p%s]%-?nan[%p%s]" or page:find "[%p%s]%-?inf[%p%s]"
    assert(not at, at and page:sub(at - 60, at + 20))
  end
  -- nothing is best: stopped, said, and the last model kept
  fast.loss, fast.stop_after, fast.schedule = failing { nan, nan, nan, nan, nan }, 2, { epochs = 5, rate = "plateau", patience = 0 }
  local r, log = run(fast)
  t.equal(#r.epochs, 2)
  assert(log:find("stopped   no better validation accuracy for 2 epochs; no epoch had a validation loss that is a number", 1, true) and log:find("rate      lowered", 1, true), log)
  assert(not core.exists(folder .. "/nan/best.safetensors"))
  -- and goes on
  fast.loss, fast.stop_after, fast.schedule = failing {}, 0, { epochs = 4 }
  r = run(fast, nil, { resume = folder .. "/nan", force = true })
  t.equal(#r.epochs, 4)
  assert(r.epochs[1].val_loss ~= r.epochs[1].val_loss and r.session.best.epoch > 2)
  assert(read(folder .. "/nan/metrics.csv"):find "\n1,[%d.]+,[%d.]+,[%d.]+,nan,[%d.]+,")
end)

t.test("best names another figure, by which the run goes then", function()
  local r, log = run({ schedule = { epochs = 3 }, optim = tlua.optim.Adam { lr = 1e-2 }, best = "f1", keep = "best",
    out = folder .. "/f1" })
  local most = 0
  for _, row in ipairs(r.epochs) do most = math.max(most, row.val_f1) end
  t.equal(r.session.best.val_f1, most)
  assert(log:find("  validation macro F1 ", 1, true) and not log:find("validation accuracy", 1, true), log)
  assert(log:find("; macro F1 %d+%.%d %%\n"), log)
  local found = core.json_decode(read(folder .. "/f1/report.json"))
  t.equal(found.figures[1][1], "f1")
  assert(r.accuracy and r.value == r.f1 and r.f1 ~= r.accuracy, "the test's figures")
end)

t.test("figures that are no numbers go through JSON and back", function()
  local util = require "tlua.util"
  local text = core.json_encode(util.for_json { a = { 0 / 0, math.huge, -math.huge, 1.5 }, b = "NaN of a name", c = true })
  local back = util.from_json(core.json_decode(text))
  assert(back.a[1] ~= back.a[1] and back.a[2] == math.huge and back.a[3] == -math.huge and back.a[4] == 1.5 and back.b == "NaN of a name" and back.c == true, text)
  t.equal(util.figure("%.1f", 0 / 0), "nan")
  t.equal(util.figure("%.1f", nil), "-")
  t.equal(table.concat(util.descending { 1, 0 / 0, 3, 0 / 0, 3 }, " "), "2 4 3 5 1")
end)

t.test("without a test picture there is no accuracy, and what goes by it is refused", function()
  local r, log = run({ schedule = { epochs = 2 }, optim = tlua.optim.Adam { lr = 1e-2 } }, { root = folder .. "/single", batch = 3 })
  t.equal(r.accuracy, nil)
  assert(log:find("test      there is no test picture: no accuracy is measured, and no epoch is the best", 1, true), log)
  assert(log:find("test accuracy -", 1, true) and not log:find("test accuracy 0", 1, true), log)
  local csv = read(folder .. "/run/metrics.csv")
  assert(csv:find "\n2,[%d.]+,[%d.]+,[%d.]+,,,", csv)
  local _, metadata = core.entries(folder .. "/run/model.safetensors")
  t.equal(core.json_decode(metadata.tlua).metrics.accuracy, nil)
  local function refused(what, fields)
    t.fails(("data.folder: %s goes by a validation part, and there are too few samples (or groups) to hold one out"):format(what), function() recipe(fields, { root = folder .. "/single" }):build() end)
  end
  -- one picture a class leaves none for a validation part
  refused("stop_after = 3", { stop_after = 3 })
  refused('keep = "best"', { keep = "best" })
  refused('rate = "plateau"', { schedule = { epochs = 2, rate = "plateau" } })
end)

t.test("what would train nothing is refused before the first step", function()
  t.fails("data.drop_last leaves nothing to train on: 18 training pictures are fewer than a batch of 19; --data.batch 9, or --data.drop_last false",
    function() recipe({}, { batch = 19, drop_last = true }):build() end)
  t.fails("the schedule has no epoch, so nothing would be trained: --schedule.epochs N", function() recipe({ schedule = { epochs = 0 } }):build() end)
  recipe({ schedule = { { epochs = 1 }, { epochs = 0 } } }):build().optim:close()
  t.fails("clip must be above 0, not 0", function() recipe({}):override({ { "clip", "0" } }):build() end)
  t.fails("group 1: clip must be above 0, not -1", function() recipe({ groups = { { "4.*", clip = -1 } } }) end)
  t.fails("a step wants one: --loss.reduction mean", function() recipe({ loss = nn.CrossEntropy { reduction = "none" } }):build() end)
  local x = tlua.tensor({ 1, 2 }):requires_grad(true)
  local opt = tlua.optim.SGD({ x }, { lr = 1 })
  t.fails("the largest norm of a gradient must be above 0, not 0: nothing would be trained", function() opt:clip_grad_norm(0) end)
  opt:close()
end)

t.test("labels of which none counts are refused before the first step, and a test of such where the run goes by it", function()
  local function build(fields, root) recipe(fields, { root = folder .. "/" .. root, batch = 2 }):build().optim:close() end
  core.mkdirs(folder .. "/two")
  os.execute(("cp -r %s/classes/left %s/classes/right %s/two"):format(folder, folder, folder))
  local message = "recipe: no training picture counts in the loss, since every label is ignored (ignore_index) or has a weight of 0"
  for _, loss in ipairs { nn.CrossEntropy { weight = { 0, 0, 1 } }, nn.FocalLoss { weight = { 0, 0, 1 } }, nn.CrossEntropy { weight = { 0, 1, 1 }, ignore_index = 1 } } do
    local e = t.fails(message, build, { loss = loss }, "two")
    assert(e:find "^tests/lua/figures.lua:%d+: ", e)
  end
  build({ loss = nn.CrossEntropy { weight = { 0, 1, 1 } } }, "two")
  -- A test part of one class that is ignored.
  core.mkdirs(folder .. "/parts/test")
  os.execute(("cp -r %s/classes %s/parts/train && cp -r %s/classes/right %s/parts/test/right"):format(folder, folder, folder, folder))
  t.fails('recipe: best = "loss" goes by the test, and no test picture counts in the loss', build, { loss = nn.CrossEntropy { ignore_index = 1 }, best = "loss" }, "parts")
  -- where the rate goes by the loss, a validation part is held out, of which something counts
  build({ loss = nn.CrossEntropy { ignore_index = 1 }, schedule = { epochs = 1, rate = "plateau" } }, "parts")
  build({ loss = nn.CrossEntropy { ignore_index = 1 } }, "parts")
end)

t.test("a last batch of one picture that a batch norm cannot train on is foreseen", function()
  local function build(fields, batch, more)
    local r = { model = tlua.models.resnet18 { width = 8 }, head = nn.Linear(3), optim = tlua.optim.SGD { lr = 0.1 } }
    for key, value in pairs(fields) do r[key] = value end
    recipe(r, { size = 32, batch = batch, drop_last = more == "drop" }):build().optim:close()
  end
  local message = "18 training pictures in batches of 17 leave one for the last batch, which cannot be trained on (batch_norm: training needs more than one value a channel"
  local e = t.fails(message, build, {}, 17)
  assert(e:find("^tests/lua/figures.lua:%d+: ") and e:find("--data.drop_last true leaves it out, --data.batch 16 divides otherwise", 1, true), e)
  local short = { pcall(function() -- want of memory says nothing of the batch
    local plan = require "tlua.plan"
    local memory = plan.memory
    plan.memory = function(f, ...)
      plan.memory = memory
      core.inject_failure(1)
      local ok, e = pcall(memory, f, ...)
      core.inject_failure(0)
      if not ok then error(e, 0) end
    end
    build({}, 17)
  end) }
  assert(not short[1] and short[2]:find "memory" and not short[2]:find "last batch", tostring(short[2]))
  -- in a stage that comes later
  t.fails(message, build, { schedule = tlua.fine_tune { epochs = 1 } }, 17)
  -- and not where it is none
  build({}, 17, "drop")
  build({}, 16)
  build({ freeze = { "*", "!fc.*" } }, 17)
  build({ batchnorm = "eval" }, 17)
  recipe({}, { batch = 17 }):build().optim:close() -- a network without batch norms
end)

t.test("compare foresees it for every cell before the first", function()
  core.write_file(folder .. "/cells.lua", ([[
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, head = tlua.nn.Linear(3), out = "%s/cells", data = tlua.data.folder { root = "%s/classes", size = 32, batch = 4 },
  compare = { per_class = { 2, 3 }, seeds = { 0 }, ways = { { name = "frozen", freeze = "*" }, { name = "scratch", weights = "none" } } } }
]]):format(folder, folder))
  local status, out, err = t.run("./tlua compare " .. folder .. "/cells.lua")
  assert(status == 1 and err:find("9 training pictures in batches of 4 leave one for the last batch", 1, true) and err:find("in the cell scratch, 3 a class, seed 0", 1, true), out .. err)
  assert(not core.exists(folder .. "/cells/cells"), "a cell was computed")
end)

t.test("eval has the loss that the network was trained with", function()
  core.write_file(folder .. "/loss.lua", ([[
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.squeezenet1_1 {}, head = tlua.nn.Linear(3), loss = tlua.nn.FocalLoss { weight = "auto", ignore_index = 2 },
  data = tlua.data.folder { root = "%s/classes", size = 32, batch = 5 }, schedule = { epochs = 1 }, out = "%s/loss" }
]]):format(folder, folder))
  local function command(line)
    local status, out, err = t.run("./tlua " .. line)
    if status ~= 0 then error(line .. ": " .. out .. err, 2) end
    return out
  end
  for _, more in ipairs { "", "--loss CrossEntropy --loss.weight 1,5,0", "--loss SmoothL1Loss --loss.reduction sum" } do
    command(("%s/loss.lua --force --quiet %s"):format(folder, more))
    local loss, accuracy = read(folder .. "/loss/metrics.csv"):match "\n1,[%d.]+,[%d.]+,[%d.]+,([%d.]+),([%d.]+)"
    local result = core.json_decode(command(("eval %s/loss/model.safetensors --data.batch 4 --json"):format(folder)))
    near(result.loss, tonumber(loss), "the loss " .. more, 2e-5)
    near(result.accuracy, tonumber(accuracy), "accuracy", 1e-4)
    local low, high = require("tlua.report.intervals").wilson(result.right, result.pictures)
    near(result.interval[1], 100 * low, "the interval")
    near(result.interval[2], 100 * high, "the interval")
  end
  local out = command(("eval %s/loss/model.safetensors"):format(folder))
  assert(out:find "\naccuracy [%d.]+ %% %(%d of 6, 95 %%: [%d.]+ to [%d.]+%)  loss [%d.]+ %(SmoothL1Loss%)\n\nclass ", out)
  out = command(("eval %s/loss/model.safetensors --flip"):format(folder))
  assert(out:find("loss - (SmoothL1Loss of --flip)", 1, true), out)
end)

os.execute("rm -rf " .. folder)
t.finish()
