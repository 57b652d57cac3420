-- endings.lua - what a run says and keeps that is stopped at any place: figures of the weights they are said to be of, the best epoch's
-- weights with the features of their own stage. Run by `tlua tests/lua/endings.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local step = require "tlua.train.step"
local nn = tlua.nn
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 40)

local function network()
  return nn.Sequential(nn.Conv2d(3, 8, 3, { stride = 2 }), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10))
end

local function recipe(name, changes)
  core.manual_seed(3)
  local fields = { model = network(), seed = 3,
    data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8, mean = { 0.5, 0.5, 0.5 }, std = { 0.25, 0.25, 0.25 } },
    optim = tlua.optim.Adam { lr = 3e-3 }, schedule = { epochs = 4 }, out = folder .. "/" .. name }
  for key, value in pairs(changes) do fields[key] = value end
  return tlua.recipe(fields)
end

-- Runs it until `what` ("train" or "test") has been called `calls` times, as if Ctrl-C came then. Returns the results and the log.
local function stopped(r, what, calls, options)
  local original, interrupted, n = step[what], core.interrupted, 0
  step[what] = function(...)
    n = n + 1
    return original(...)
  end
  core.interrupted = function() return n >= calls end
  options = options or {}
  options.style = "quiet"
  local ok, results = pcall(r.run, r, options)
  step[what], core.interrupted = original, interrupted
  assert(ok, results)
  return results, core.read_file(r.out .. "/log.txt")
end

local function count_of(path) return core.json_decode(core.read_file(path .. "/report.json")).metrics.count end

t.test("stopped in an epoch: the figures are those of the last test, and it is said", function()
  local results, log = stopped(recipe("within", {}), "train", 5 + 1 + 2)
  assert(results.interrupted and #results.epochs == 1)
  assert(log:find("test      [^\n]* of 20 pictures right, [^\n]*; figures of epoch 1; the model that is kept has been trained 2 batches on\n"), log)
  t.equal(count_of(folder .. "/within"), 20)
  assert(core.read_file(folder .. "/within/report.html"):find("figures of epoch 1; the model", 1, true))
end)

t.test("stopped in a test: its part is no figure", function()
  local results, log = stopped(recipe("testing", {}), "test", 3 + 1 + 1) -- three batches and the end; then one of the second epoch's
  assert(results.interrupted and #results.epochs == 1, #results.epochs)
  assert(log:find("of 20 pictures right, [^\n]*; figures of epoch 1; the model that is kept has been trained 5 batches on\n"), log)
  t.equal(count_of(folder .. "/testing"), 20)
end)

t.test("stopped in the first epoch: a model and no figure", function()
  local results, log = stopped(recipe("first", {}), "train", 2)
  assert(results.interrupted and not log:find("pictures right", 1, true) and core.exists(folder .. "/first/model.safetensors"), log)
  assert(not core.exists(folder .. "/first/report.html"))
end)

t.test("at its end: no word of other figures", function()
  recipe("whole", { schedule = { epochs = 2 } }):run { style = "quiet" }
  local log = core.read_file(folder .. "/whole/log.txt")
  assert(log:find("of 20 pictures right", 1, true) and not log:find("figures of epoch", 1, true), log)
end)

t.test("more epochs than the recipe says (least_steps), without tests, stopped and resumed", function()
  local function long() return recipe("long", { schedule = { epochs = 1, least_steps = 30 }, test_every = 0 }) end
  local results = stopped(long(), "train", 12)
  assert(results.interrupted and #results.epochs == 2)
  results = stopped(long(), "train", 1, { resume = folder .. "/long" })
  assert(results.interrupted and core.exists(folder .. "/long/model.safetensors"))
  results = long():run { resume = folder .. "/long", style = "quiet" }
  assert(not results.interrupted and #results.epochs == 6 and results.metrics.accuracy, #results.epochs)
  -- killed between its last checkpoint and its model
  os.remove(folder .. "/long/model.safetensors")
  results = long():run { resume = folder .. "/long", style = "quiet" }
  assert(#results.epochs == 6 and results.metrics.accuracy and core.exists(folder .. "/long/model.safetensors"))
end)

-- The first epoch is the best one, since the rates of the others are wild.
local function wild(name, changes)
  return recipe(name, { keep = "best", best = "loss", schedule = { { epochs = 1, lr = 1e-3 }, { epochs = 2, lr = 3 } }, table.unpack(changes or {}) })
end

local function fingerprint(path)
  local scope <close> = core.scope()
  local lines = {}
  for name, tensor in pairs((core.load(path))) do
    if not name:find "^optimizer%." then lines[#lines + 1] = name .. " " .. tensor:hash() end
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

t.test("keep = best: the best weights are kept, also when the run is stopped in the epoch after", function()
  local results, log = stopped(wild "best", "train", 5 + 1 + 3)
  assert(results.interrupted and results.best == nil and log:find("best      epoch 1", 1, true), log)
  t.equal(fingerprint(folder .. "/best/model.safetensors"), fingerprint(folder .. "/best/best.safetensors"))
  assert(not log:find("figures of epoch", 1, true), log)
end)

t.test("keep = best: a best.safetensors of another epoch is not taken for it", function()
  local r = wild "other"
  local original, linked = core.link, 0
  core.link = function(from, to) -- the second name of the first epoch's checkpoint is lost; a later one stands there
    if to:find "best" then
      linked = linked + 1
      return true
    end
    return original(from, to)
  end
  local ok, e = pcall(r.run, r, { style = "quiet" })
  core.link = original
  assert(ok, e)
  assert(linked > 0)
  local log = core.read_file(folder .. "/other/log.txt")
  assert(log:find("best      epoch 1, [^\n]*; its weights are not there [^\n]*, so the last ones are kept") and core.exists(folder .. "/other/model.safetensors"), log)
end)

t.test("keep = best: the figures are of the best weights with the features of their own stage", function()
  local r = tlua.recipe { model = tlua.models.squeezenet1_1 {}, head = nn.Linear(10), keep = "best", best = "loss", seed = 3, out = folder .. "/stages",
    data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8 }, optim = tlua.optim.SGD { lr = 1e-2 },
    schedule = { { epochs = 1, freeze = "*" }, { epochs = 1, lr = 0.1, train = "*" }, { epochs = 1, freeze = "*", lr = 5 } } }
  r:run { style = "quiet" }
  local log = core.read_file(folder .. "/stages/log.txt")
  assert(log:find "best      epoch [12],", log)
  local shown = log:match "test      ([%d.]+) %% of 20 pictures right"
  local status, out = t.run(("./tlua eval %s/stages/model.safetensors --data.root %s/cifar --json"):format(folder, folder))
  assert(status == 0, out)
  local eval = core.json_decode(out)
  t.equal(shown, ("%.1f"):format(eval.accuracy), "what the run says and what eval says")
  t.equal(count_of(folder .. "/stages"), 20)
end)

os.execute("rm -rf " .. folder)
t.finish()
