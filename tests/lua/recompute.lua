-- recompute.lua - gradient checkpointing: the same bits as without, less memory. Run by `tlua tests/lua/recompute.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local recompute = require "tlua.recompute"
local nn = tlua.nn

local function step(name, size, marked)
  core.manual_seed(3)
  local net = tlua.models[name] { classes = 10 }
  net:ready()
  net:train()
  if marked then assert(recompute.mark(net) >= 8) end
  local x, y = core.randn(8, size, size, 3), core.tensor({ 0, 1, 2, 3, 4, 5, 6, 7 }, { dtype = "int32" })
  core.random_step(5)
  local before = core.memory()
  core.reset_peak()
  local out = {}
  do
    local s <close> = core.scope()
    local loss = nn.functional.cross_entropy(net(x), y)
    out.loss = loss:item()
    loss:backward()
    local _, _, peak = core.memory()
    out.peak = peak - before
  end
  for path, tensor in net:named_tensors() do out[path] = tensor.grad and tensor.grad:hash() or tensor:hash() end
  out.ordinal = core.random_ordinal()
  net:walk(function(m) for counter, n in pairs(m:counters()) do t.equal(n, 1, counter) end end)
  return out
end

for _, name in ipairs { "resnet18", "efficientnet_lite0" } do
  t.test("the same gradients and running statistics: " .. name, function()
    local a, b = step(name, 64, false), step(name, 64, true)
    -- Without it a step keeps little more than what backward needs, stages let go of what they took.
    if name == "efficientnet_lite0" then
      assert(b.peak < 0.95 * a.peak, ("%d bytes at most, %d without"):format(b.peak, a.peak))
    end
    a.peak, b.peak = nil, nil
    for key, value in pairs(a) do t.equal(b[key], value, key) end
  end)
end

-- One step of AdamW of an encoder of text that gives `what`, with dropout.
local function text_step(name, what, marked)
  core.manual_seed(3)
  local net = tlua.models[name] { vocabulary = 40, positions = 64, width = 32, layers = 10, heads = 4, inner = 128 }
  net:give(what):ready()
  net:train()
  if marked then t.equal(recompute.mark(net), 10) end
  local rows, marks, lengths = {}, {}, {}
  for i = 1, 8 do
    rows[i], marks[i], lengths[i] = {}, {}, 64 - 5 * i
    for k = 1, 64 do rows[i][k], marks[i][k] = (i * k) % 40, k <= lengths[i] and (i + k) % 2 or -100 end
  end
  local function ints(list) return core.tensor(list, { dtype = "int32" }) end
  local adam = tlua.optim.AdamW(net, { lr = 0.01 })
  core.random_step(5)
  local before, out = core.memory(), nil
  core.reset_peak()
  do
    local s <close> = core.scope()
    local y = net(ints(rows), ints(lengths))
    if what == "vocabulary" then y = net:vocabulary(y) end
    local loss = core.ops.cross_entropy(y, ints(what == "vector" and { 0, 1, 1, 0, 1, 0, 0, 1 } or marks))
    out = { loss = loss:item() }
    loss:backward()
    out.peak = select(3, core.memory()) - before
  end
  adam:step()
  for path, p in net:parameters() do out[path] = p:hash() end
  out.ordinal = core.random_ordinal()
  return out
end

for _, name in ipairs { "bert", "gpt2" } do
  for _, what in ipairs { "vector", "frames", "vocabulary" } do
    t.test(("the same parameters after a step, and about half the memory at most: %s, %s"):format(name, what), function()
      local a, b = text_step(name, what, false), text_step(name, what, true)
      assert(b.peak < 0.55 * a.peak, ("%d bytes at most, %d without"):format(b.peak, a.peak))
      a.peak, b.peak = nil, nil
      for key, value in pairs(a) do t.equal(b[key], value, key) end
    end)
  end
end

t.test("blocks by name", function()
  local net = tlua.models.resnet18 {}
  t.equal(recompute.mark(net, "layer1.*"), 2)
  t.equal(rawget(net:find "layer1.0", "recomputed"), true)
  t.equal(rawget(net:find "layer2.0", "recomputed"), nil)
  t.fails("recompute: no block of resnet18 matches 'layr1.*'; did you mean 'layer1.0'? There are layer1.0, layer1.1, layer2.0", recompute.mark, net, { "layr1.*" })
  t.fails("recompute: the network has no blocks", recompute.mark, nn.Sequential(nn.Linear(3, 3), nn.ReLU()), true)
end)

t.test("parts inside parts, inputs that want no gradient, errors", function()
  local linear = nn.Linear(4, 4)
  linear:ready()
  local x = core.randn(3, 4)
  local function plain(v) return linear(v):tanh() end
  local function nested(v) return tlua.checkpoint(plain, tlua.checkpoint(plain, v)) end
  plain(plain(x)):sum():backward()
  local want = linear.weight.grad:hash()
  linear:zero_grad()
  tlua.checkpoint(nested, x):sum():backward()
  t.equal(linear.weight.grad:hash(), want)
  linear:zero_grad()
  x:requires_grad(true)
  plain(x):sum():backward()
  want = x.grad:hash()
  x:zero_grad()
  tlua.checkpoint(plain, x):sum():backward()
  t.equal(x.grad:hash(), want)
  local broken = false
  local y = tlua.checkpoint(function(v)
    if broken then error "the second time it fails" end
    return plain(v)
  end, x)
  broken = true
  t.fails("the second time it fails", function() y:sum():backward() end)
  t.fails("the part must give one tensor, not number", function() tlua.checkpoint(function() return 1 end, x) end)
  local quiet
  do
    local guard <close> = core.no_grad()
    quiet = tlua.checkpoint(plain, x)
  end
  t.equal(quiet:requires_grad(), false)
end)

t.finish()
