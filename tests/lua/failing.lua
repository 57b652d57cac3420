-- failing.lua - training and whole runs while launches fail, each in turn. What the bindings try again gives the same bits; a run that
-- ends by it is resumed and gives the same bits. Run by `tlua tests/lua/failing.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn, optim = tlua.nn, tlua.optim
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 12)

local function fingerprint(tensors)
  local lines = {}
  for name, tensor in pairs(tensors) do lines[#lines + 1] = name .. " " .. tensor:hash() end
  table.sort(lines)
  return core.sha256(table.concat(lines, "\n"))
end

-- ---- a step, whose operators the bindings try again ----

local function network()
  core.manual_seed(4)
  local net = nn.Sequential(nn.Conv2d(3, 16, 3, { padding = 1 }), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, { padding = 1, groups = 16 }),
    nn.Conv2d(16, 32, 3, { padding = 1 }), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(32, 4))
  net:ready()
  return net
end

-- Two steps on a new network; the n-th order of the second fails. Returns what came of it, whether it came to its end, and the orders.
local function two_steps(n)
  local scope <close> = core.scope()
  local net = network()
  net:freeze "3.*"
  local list = {}
  for _, p in net:parameters() do
    if p:requires_grad() then list[#list + 1] = p end
  end
  local opt = optim.Adam(list, { lr = 1e-2 })
  local ema = optim.ema(opt, { decay = 0.9, model = net })
  local x, y = core.randn(4, 8, 8, 3), core.tensor({ 0, 3, 1, 2 }, { dtype = "int32" })
  net:train()
  local function step()
    local inner <close> = core.scope()
    opt:zero_grad()
    local loss = nn.functional.cross_entropy(net(x), y)
    loss:backward()
    opt:clip_grad_norm(0.1)
    opt:step()
    ema:update()
    return loss:item()
  end
  step()
  core.inject_launch_failure(n, "memory")
  local ok, loss = pcall(step)
  local orders = core.inject_launch_failure(0)
  return ok and fingerprint(net:state_dict()) .. loss or loss, ok, orders
end

t.test("each order of a training step fails once", function()
  local want, whole, orders = two_steps(1000000)
  assert(whole and orders > 40, want)
  collectgarbage() collectgarbage()
  local mended, live = 0, core.memory()
  for n = 1, orders do
    local got, ok = two_steps(n)
    if ok then mended = mended + 1 end
    if ok and got ~= want then error(("order %d failed, was tried again, and the numbers are others"):format(n)) end
    if not ok then assert(tostring(got):find("a launch was made to fail", 1, true), got) end
    collectgarbage() collectgarbage()
    t.equal((core.memory()), live, ("bytes on the device after order %d failed"):format(n))
  end
  -- The forward's are, and reading the loss; backward and the optimiser end the step.
  assert(mended > 10 and mended < orders, ("%d of %d"):format(mended, orders))
end)

t.test("an average that was moved half-way is not gone on with", function()
  core.manual_seed(1)
  local net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
  net:ready()
  local list = {}
  for _, p in net:parameters() do list[#list + 1] = p:requires_grad(true) end
  local opt = optim.SGD(list, { lr = 0.1 })
  local ema = optim.ema(opt, { decay = 0.9, model = net })
  ema:update()
  core.inject_launch_failure(2, "device") -- the weights were exchanged, the statistics were not
  assert(not pcall(ema.swap, ema))
  core.inject_launch_failure(0)
  t.fails("optim.ema: an exchange failed half-way", ema.swap, ema)
  t.fails("optim.ema: an exchange failed half-way", ema.update, ema)
  ema:load_state(ema:state())
  ema:update()
end)

-- ---- whole runs, and going on with them ----

-- Everything that the bits of a run could depend on, in two stages.
local function recipe(out)
  local net = nn.Sequential(nn.Conv2d(3, 8, 3, { padding = 1, stride = 2 }), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3),
    nn.Linear(8, 10))
  return tlua.recipe { model = net, optim = optim.Adam { lr = 1e-2 }, clip = 1, ema = 0.9, out = out,
    data = tlua.data.cifar10 { root = folder .. "/cifar", size = 8, batch = 6, threads = 1, mean = { 0.5, 0.5, 0.5 }, std = { 0.25, 0.25, 0.25 } },
    schedule = { { epochs = 1, freeze = { "*", "!6.*" } }, { epochs = 1, freeze = { "0.*" } } } }
end

-- Runs it, quietly, with the n-th order failing; what it ended by, or nil, and the orders.
local function run(out, n, options, of)
  options = options or {}
  options.style = { quiet = true }
  local kept = io.stdout
  io.stdout = { write = function() end, flush = function() end }
  core.inject_launch_failure(n or 0, "device")
  local ok, e = pcall(function() (of or recipe)(out):run(options) end)
  local orders = core.inject_launch_failure(0)
  io.stdout = kept
  collectgarbage() collectgarbage()
  return not ok and tostring(e) or nil, orders
end

local function result_of(out)
  local scope <close> = core.scope()
  return fingerprint((core.load(out .. "/model.safetensors")))
end

-- Every order, or some of them.
local every = os.getenv "TLUA_TEST_WHOLE"
local function must_have_failed(e) assert(not e or e:find("a launch was made to fail", 1, true), e) end

local e, orders = run(folder .. "/whole", 1000000)
assert(not e, e)
local want, live = result_of(folder .. "/whole"), core.memory()

-- What is left of a run is copied: it begins where the other stopped.
local function copied(from, name)
  local to = folder .. "/" .. name
  os.execute(("rm -rf %s; cp -r %s %s"):format(to, from, to))
  return to
end

t.test("orders of a run fail, and the run is resumed", function()
  local resumed, anew = 0, 0
  for n = 1, orders, every and 3 or 7 do
    local out = folder .. "/run"
    os.execute("rm -rf " .. out)
    local failed = run(out, n)
    must_have_failed(failed)
    if failed then
      local there = core.exists(out .. "/last.safetensors")
      if there then resumed = resumed + 1 else anew = anew + 1 end
      local again = run(out, 0, there and { resume = out } or { force = true })
      assert(not again, ("after order %d failed: %s"):format(n, tostring(again)))
    end
    t.equal(result_of(out), want, ("the model of a run whose order %d failed"):format(n))
    t.equal((core.memory()), live, ("bytes on the device after order %d failed"):format(n))
  end
  assert(resumed > 10 and anew > 10, ("%d runs resumed, %d begun anew, %d orders"):format(resumed, anew, orders))
end)

t.test("orders of a resumed run fail, and it is resumed once more", function()
  local stopped = folder .. "/stopped"
  local n = orders
  repeat -- the last order that ends the run with a checkpoint behind it but not at its end
    os.execute("rm -rf " .. stopped)
    n = n - 4
    local failed = run(stopped, n)
    must_have_failed(failed)
  until failed and n < 0.8 * orders
  local whole = copied(stopped, "resumed")
  local failed, count = run(whole, 1000000, { resume = whole })
  assert(not failed, failed)
  t.equal(result_of(whole), want, "the model of a run that was resumed")
  local again = 0
  for k = 1, count, every and 1 or 4 do
    local out = copied(stopped, "resumed")
    failed = run(out, k, { resume = out })
    must_have_failed(failed)
    if failed then
      again = again + 1
      failed = run(out, 0, { resume = out })
      assert(not failed, ("after order %d failed: %s"):format(k, tostring(failed)))
    end
    t.equal(result_of(out), want, ("the model of a resumed run whose order %d failed"):format(k))
    t.equal((core.memory()), live, ("bytes on the device after order %d failed"):format(k))
  end
  assert(again > 20, ("%d of %d"):format(again, count))
  print(("%d orders of a run, %d of a resumed one"):format(orders, count))
end)

t.finish()
