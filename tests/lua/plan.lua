-- plan.lua - plans give what the modules give, notice every change, and forecast memory. Run by `tlua tests/lua/plan.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local nn = tlua.nn

local function frozen(name, options)
  core.manual_seed(3)
  local net = tlua.models[name](options or { classes = 7 })
  net:freeze "*"
  net:eval()
  net:ready()
  return net
end

local function match(text, pattern)
  if not tostring(text):find(pattern) then error(("'%s' does not hold '%s'"):format(tostring(text), pattern), 2) end
end

-- Features without a plan, with a new plan, and with that plan again.
local function thrice(net, x)
  plan.off = true
  local plain = net:features(x)
  plan.off = false
  local first, again = net:features(x), net:features(x)
  return plain, first, again
end

-- The largest difference, beside the largest number; not a number is never small.
local function apart(a, b)
  local d, m = (a - b):abs():amax():item(), a:abs():amax():item()
  if d ~= d or m ~= m or m == 0 or m == -math.huge then return math.huge end
  return d / m
end

t.test("the same bits as without a plan, for any batch", function()
  for _, name in ipairs { "resnet18", "resnet50", "efficientnet_lite0" } do
    local net = frozen(name)
    for _, n in ipairs { 2, 1, 3, 2 } do
      local plain, first, again = thrice(net, core.randn(n, 64, 64, 3))
      t.equal(apart(plain, first), 0.0)
      t.equal(apart(first, again), 0.0)
    end
    local made, why = plan.of(net, "below " .. net:stage_count())
    t.equal(why, nil)
    t.equal(made:text():find "batch_norm", nil)
    t.equal(made:text():find "\nadd ", nil)
  end
end)

t.test("networks with gates, layer norms, attention and concatenation are plans too", function()
  for name, calls in pairs { mobilenet_v3_small = "hardsigmoid", squeezenet1_1 = "concat", densenet121 = "concat", efficientnet_b0 = "sigmoid",
    convnext_tiny = "layer_norm", deit_tiny_patch16_224 = "attention" } do
    local net = frozen(name, { classes = 7, image_size = name:find "deit" and 64 or nil })
    for _, n in ipairs { 2, 1, 3 } do
      local plain, first, again = thrice(net, core.randn(n, 64, 64, 3))
      t.equal(apart(plain, first), 0.0, name)
      t.equal(apart(first, again), 0.0, name)
    end
    local made, why = plan.of(net, "below " .. net:stage_count())
    t.equal(why, nil, name)
    match(made:text(), calls)
  end
end)

t.test("one buffer, and less of it than all results", function()
  local net = frozen "resnet18"
  local _ = net:features(core.randn(2, 64, 64, 3))
  local made = plan.of(net, "below " .. net:stage_count())
  t.equal(made:bytes(8) <= 8 * made:bytes(1), true)
  -- the first convolution's result and the pooled one are alive together: 32 x 32 x 64 and 16 x 16 x 64 floats
  t.equal(made:bytes(1), (32 * 32 + 16 * 16) * 64 * 4)
end)

t.test("a weight, a statistic or a mode that changes is noticed", function()
  local net, x = frozen "resnet18", core.randn(2, 32, 32, 3)
  local before = net:features(x)
  net.bn1.running_mean:copy_(net.bn1.running_mean + 0.5)
  local plain, first, again = thrice(net, x)
  t.equal(apart(plain, first), 0.0)
  t.equal(apart(plain, again), 0.0)
  t.equal(apart(before, first) > 1e-4, true)
  net.layer1["0"].conv1.weight:copy_(net.layer1["0"].conv1.weight * 0.5)
  plain, first = thrice(net, x)
  t.equal(apart(plain, first), 0.0)
  net.layer4 = nn.Sequential(nn.Conv2d(256, 512, 1))
  plain, first = thrice(net, x)
  t.equal(apart(plain, first), 0.0)
  net.layer4:at(1):ready()
  net:unfreeze "*"
  net:train()
  local guard <close> = core.no_grad()
  local one, two = net:features(x), net:features(x) -- statistics of the batch: no plan
  t.equal(apart(one, two), 0.0)
  match(select(2, plan.of(net, "below " .. net:stage_count())), "batch's statistics")
  t.equal(net.bn1.batches, 2)
end)

t.test("what cannot be a plan runs as it is written", function()
  local function made(f, ...)
    local p, why = core.plan(f, { ... })
    return p and p:text() or why
  end
  match(made(function(x) return x * core.ones(3) end, 1, 3), "something else than operators")
  match(made(function(x) return core.ones(2) end, 1, 3), "does not come from the input")
  match(made(function(x) return x:dropout(0.5, true) end, 1, 3), "draws numbers")
  match(made(function() error "own words" end, 1, 3), "own words")
  match(made(function(x) return core.ops.relu(core.ops.exp(x)) end, 1, 3), "^exp 0 .-\nrelu 1 ")
  match(made(function(x) return x:reshape(x:shape(1) * 2, -1):sum { axes = { 1 } } end, 1, 4), "as many rows as the input")
  t.fails("plan: it was made for", function() core.plan(function(x) return x:exp() end, { 1, 4 }):run(core.ones(3, 5)) end)
end)

t.test("views, shared inputs and written-out batches", function()
  local w = core.randn(5, 6)
  local function f(x)
    local n = x:shape(1)
    local a = x:reshape(n * 4, 6):relu()
    local b = core.ops.linear(a, w):relu()
    return (b + b * b):reshape(n, 20)
  end
  local p = core.plan(f, { 1, 4, 6 })
  for n = 1, 3 do
    local x = core.randn(n, 4, 6)
    t.equal(apart(f(x), p:run(x)), 0.0)
  end
  match(p:text(), "linear [^\n]* relu %->")
end)

t.test("several tensors go in and come out", function()
  local net = nn.Sequential(nn.Linear(6, 5))
  net:ready()
  local guard <close> = core.no_grad()
  local function f(self, list)
    local a, b = list[1], list[2]
    local sum = self(a) + b
    return { sum:relu(), a, (sum * 2):reshape(-1, 5, 1), sum:relu() }
  end
  for n = 1, 3 do
    local x = { core.randn(n, 6), core.randn(n, 5) }
    local want, got = f(net, x), plan.run(net, "lists", f, x)
    t.equal(select(2, plan.of(net, "lists")), nil)
    t.equal(#got, 4)
    for i = 1, 4 do
      t.equal(table.concat(got[i]:shape(), " "), table.concat(want[i]:shape(), " "))
      t.equal(got[i]:hash(), want[i]:hash())
    end
  end
  local function rows_of(_, list) return { core.ops.embedding(list[2], list[1]) } end
  local ids = plan.run(net, "ids", rows_of, { core.tensor({ 0, 2, 1 }, { dtype = "int32" }), core.randn(3, 4) })
  t.equal(table.concat(ids[1]:shape(), " "), "3 4")
  t.equal(select(2, plan.of(net, "ids")), nil)
  t.fails("2 inputs, not 1", function() plan.of(net, "lists"):run(core.ones(1, 6)) end)
end)

t.test("sizes are left open by name", function()
  local w = core.randn(5, 3)
  local function f(x, y)
    local n, time = x:shape(1), x:shape(2)
    local rows = core.ops.linear(x:reshape(n * time, 3), w):reshape(n, time, 5)
    local half = core.ops.slice(rows, 2, 0, time // 2):reshape(n, time // 2, 5, 1)
    return rows + y:expand { n, time, 5 }, half:mean { axes = { 2 } }, core.ops.slice(rows, 2, 0, 2)
  end
  local made, why = core.plan(f, { { "N", "T", 3 }, { "N", "T", 1, name = "weight" } }, { T = 8 })
  t.equal(why and why:find("slice follows from T in a way", 1, true) ~= nil, true) -- half of T
  local function g(x, y)
    local n, time = x:shape(1), x:shape(2)
    local rows = core.ops.linear(x:reshape(n * time, 3), w):reshape(n, time, 5)
    return rows + y:expand { n, time, 5 }, rows:reshape(n, time * 5)
  end
  made, why = core.plan(g, { { "N", "T", 3 }, { "N", "T", 1, name = "weight" } }, { T = 8 })
  t.equal(why, nil)
  for n = 1, 2 do
    for _, time in ipairs { 1, 8, 11 } do
      local x, y = core.randn(n, time, 3), core.randn(n, time, 1)
      local a, b = made:run(x, y)
      local c, d = g(x, y)
      t.equal(a:hash(), c:hash())
      t.equal(b:hash(), d:hash())
    end
  end
  t.fails("plan: it was made for an input 'weight' (N, T, 1), not (2, 7, 1)", function()
    made:run(core.ones(2, 8, 3), core.ones(2, 7, 1))
  end)
  local inputs = { { "N", "T", 3 }, { "N", "T", 1, name = "weight" } }
  local text = core.plan_text(g, inputs, { T = 8 }, { w = w }, { "sum", "rows" })
  match(text, '{"N":3,"T":8}')
  match(text, '{"name":"sum","value":%d+,"dtype":"float32","shape":%["N","T",5%]}')
  match(text, '{"name":"rows","value":%d+,"dtype":"float32","shape":%["N",{"T":5}%]}')
end)

t.test("operators with several results, without inputs, of whole numbers, and with lists of numbers", function()
  local w = { ih = core.randn(12, 3), hh = core.randn(12, 3) }
  local function f(x)
    local ops, n, time = core.ops, x:shape(1), x:shape(2)
    local best, places = x:reshape(n, time * 3):topk { k = 4 }
    local at = ops.range { count = time }:reshape(1, time, 1):expand { n, time, 3 }
    local y, h, c = ops.lstm(ops.where(ops.gt(at, ops.range { start = 2, count = 1 }), x, at:cast()), w.ih, w.hh)
    return best, places, ops.interpolate(y, { mode = "cubic", factors = { 1.5 } }), h + c
  end
  local made, why = core.plan(f, { { "N", "T", 3 } }, { T = 8 })
  t.equal(why, nil)
  for _, time in ipairs { 8, 5 } do
    local x = core.randn(2, time, 3)
    local want, got = { f(x) }, { made:run(x) }
    for i = 1, 4 do t.equal(got[i]:hash(), want[i]:hash()) end
    t.equal(got[2]:dtype(), "int32")
  end
  local text = core.plan_text(f, { { "N", "T", 3 } }, { T = 8 }, w)
  match(text, '%["range",%[%],{"count":{"T":1}}%]')
  match(text, '"factors":%[1.5%]')
  local calls = core.plan_calls(text).calls
  t.equal(#calls, 12)
end)

t.test("a dry run says what a step needs, and leaves nothing behind", function()
  core.manual_seed(1)
  local net = tlua.models.resnet18 { classes = 10 }
  net:ready()
  local params = {}
  for _, p in net:parameters() do params[#params + 1] = p end
  local opt = tlua.optim.SGD(params, { lr = 0.1 })
  local function step(n)
    local s <close> = core.scope()
    opt:zero_grad()
    local x, y = core.randn(n, 32, 32, 3), core.zeros(n):to "int32"
    local loss = nn.functional.cross_entropy(net(x), y)
    loss:backward()
    local v = loss:item()
    return v
  end
  local live = core.memory()
  local forecast, larger = plan.memory(function() step(4) end), plan.memory(function() step(8) end)
  t.equal((core.memory()), live)
  t.equal(net.bn1.batches, 0)
  opt:zero_grad()
  core.manual_seed(1)
  core.reset_peak()
  local loss = step(4)
  local _, _, peak = core.memory()
  t.equal(larger > forecast, true)
  -- free buffers of the pool that are larger than asked for make the difference
  if math.abs(peak - forecast) > 0.1 * peak then error(("forecast %d, in truth %d"):format(forecast, peak)) end
  t.equal(loss > 0 and loss < 10, true)
end)

t.test("weights that a network computes are packed anew, though they lie where others lay", function()
  core.manual_seed(1)
  local a, b, c = core.randn(64, 64), core.randn(64, 64), core.randn(32, 64, 3, 3)
  local function linear(x)
    local y = core.ops.linear(core.ops.linear(x, a * 2), b * 3)
    return y
  end
  local function conv(x)
    local y = core.ops.conv(core.ops.conv(core.ops.conv(x, c * 2), c:permute(2, 1, 3, 4) * 3), c * 4)
    return y
  end
  local guard <close> = core.no_grad()
  for dims, f in pairs { [{ 64, 64 }] = linear, [{ 2, 16, 16, 64 }] = conv } do
    local x, p = core.randn(table.unpack(dims)), assert(core.plan(f, dims))
    for _ = 1, 2 do t.equal(p:run(x):hash(), f(x):hash()) end
  end
end)

t.test("every allocation may fail while a plan is made and run", function()
  local net, x = frozen "resnet18", core.randn(1, 32, 32, 3)
  plan.off = true
  local plain = net:features(x)
  plan.off = false
  local n, done, want = 1, false, net:features(x):hash()
  while not done do
    rawset(net, "_plans", nil)
    collectgarbage()
    local used
    do
      local s <close> = core.scope()
      core.inject_failure(n)
      pcall(function()
        local _ = net:features(x)
        _ = net:features(x)
      end)
      used = core.inject_failure(0)
    end
    done = used < n
    n = n + (n < 60 and 1 or 23)
    assert(not plan.tracing and not plan.imaginary, "a plan that could not be made is still being made")
    local s <close> = core.scope()
    t.equal(net:features(x):hash(), want, ("the features after allocation %d failed"):format(n))
    for name, kept in pairs(net._plans) do assert(kept.plan, name .. ": for want of memory there is no plan, and never will be") end -- it would round otherwise
  end
  t.equal(n > 300, true)
  t.equal(apart(plain, net:features(x)), 0.0)
end)

t.test("what is joined is chosen for many pictures, whatever number a plan was traced with", function()
  local net = frozen "efficientnet_lite0"
  net:features(core.zeros(1, 224, 224, 3))
  local text = plan.of(net, "below " .. net:stage_count()):text()
  local joined, depthwise = 0, 0
  for line in (text .. "\n"):gmatch "[^\n]+" do
    if line:find "^inverted_residual" then joined = joined + 1 end
    if line:find "^conv" then depthwise = depthwise + 1 end
  end
  -- Devices that join none are not asked; the others join all blocks, which leaves the first and the last convolution and the first block's two.
  if joined > 0 then assert(joined >= 15 and depthwise <= 4, text) end
end)

t.finish()
