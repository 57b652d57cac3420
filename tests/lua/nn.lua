-- nn.lua - modules: constructors, names, widths, errors, scopes. Run by `tlua tests/lua/nn.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn, F = tlua.nn, tlua.nn.functional

local function list(x) return table.concat(x:reshape(-1):tolist(), " ") end

t.test("Linear computes x w' + b", function()
  local m = nn.Linear(2, 3)
  m.weight:copy_(core.tensor { { 1, 2 }, { 3, 4 }, { 5, 6 } })
  m.bias:copy_(core.tensor { 0.5, 0, -1 })
  t.equal(list(m(core.tensor { { 1, 1 } })), "3.5 7.0 10.0")
  t.equal(tostring(m), "nn.Linear(2 -> 3)")
  t.equal(nn.Linear(2, 3, { bias = false }).bias, nil)
end)

t.test("a width that is not written is taken from the input", function()
  local m = nn.Linear(4)
  t.fails("does not know its input width yet", function() for _ in m:parameters() do end end)
  t.equal(m(core.ones(2, 7)):shape(2), 4)
  t.equal(m.in_features, 7)
  local s = nn.Sequential { nn.Conv2d(8, 3, { padding = 1 }), nn.BatchNorm2d(), nn.ReLU(), nn.Conv2d(4, 1) }
  t.equal(s:infer(3), 4)
  t.equal(table.concat(s["0"].weight:shape(), " "), "8 3 3 3")
  t.equal(table.concat(s(core.ones(1, 5, 5, 3)):shape(), " "), "1 5 5 4")
end)

t.test("names are PyTorch's, in the order of declaration", function()
  local s = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Linear(4, 2)))
  local names = {}
  for name in s:parameters() do names[#names + 1] = name end
  t.equal(table.concat(names, " "), "0.weight 0.bias 1.weight 1.bias 2.0.weight 2.0.bias")
  names = {}
  for name in s:buffers() do names[#names + 1] = name end
  t.equal(table.concat(names, " "), "1.running_mean 1.running_var")
  t.equal(s:at(1), s["0"])
  t.equal(s:at(-1):path(), "2")
  t.equal(s["2"]:at(1):path(), "2.0")
end)

t.test("initial values have PyTorch's distributions and depend on seed and name only", function()
  core.manual_seed(11)
  local a = nn.Sequential(nn.Linear(100, 50), nn.Linear(50, 20))
  a:ready()
  core.manual_seed(11)
  local b = nn.Sequential(nn.Linear(100, 50), nn.Linear(50, 20))
  local last = b:at(2).weight:hash() -- built in another order
  t.equal(last, a:at(2).weight:hash())
  t.equal(b:at(1).weight:hash(), a:at(1).weight:hash())
  local w = a:at(1).weight
  assert(math.abs(w:mean():item()) < 0.005)
  local variance = w:square():mean():item()
  assert(math.abs(variance - 0.01 / 3) < 0.0002, variance) -- uniform in +-1/sqrt(100)
  local c = nn.Conv2d(16, 32, 3, { initial = "kaiming_normal_fan_out" })
  assert(math.abs(c.weight:square():mean():item() / (2 / (32 * 9)) - 1) < 0.1)
  t.equal(list(nn.BatchNorm2d(2).weight), "1.0 1.0")
end)

t.test("errors name the line and the modules", function()
  local Net = nn.class("mine.Net", nn.Module)
  function Net:init()
    self.a = nn.Linear(5, 4)
    self.b = nn.Linear(5, 2)
  end
  function Net:forward(x)
    local y = self.b(self.a(x))
    return y
  end
  local net = Net()
  local e = t.fails("in nn.Linear(5 -> 2), b", function() local y = net(core.ones(3, 5)) return y end)
  assert(e:find("^tests/lua/nn.lua:%d+: linear: "), e)
  e = t.fails("nn.Linear: the output width must be a whole number from 1 on, not -3", function() local m = nn.Linear(-3) return m end)
  assert(e:find("^tests/lua/nn.lua:%d+: "), e)
  t.fails("(in, out, kernel) or (out, kernel) is needed", function() local m = nn.Conv2d(3) return m end)
  t.fails("do not divide into 2 groups", function() local m = nn.Conv2d(3, 4, 1, { groups = 2 }) return m end)
  t.fails("nn.Sequential: element 2 is not a module but number", function() local m = nn.Sequential(nn.ReLU(), 3) return m end)
  t.fails("unknown option of nn.Conv2d: 'strid'; did you mean 'stride'?", function() local m = nn.Conv2d(3, 4, 1, { strid = 2 }) return m end)
end)

t.test("children can be replaced and taken away", function()
  local s = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
  s:ready()
  s["1"] = nn.Linear(4, 5)
  t.equal(s(core.ones(1, 3)):shape(2), 5)
  s["1"] = nil
  t.equal(s(core.ones(1, 3)):shape(2), 4)
  t.equal(s:count(), 16)
end)

t.test("Flatten has PyTorch's order", function()
  local x = core.arange(12):reshape(1, 2, 2, 3) -- (N, H, W, C)
  t.equal(list(nn.Flatten()(x)), "0.0 3.0 6.0 9.0 1.0 4.0 7.0 10.0 2.0 5.0 8.0 11.0")
  t.equal(table.concat(nn.Flatten()(core.ones(2, 1, 1, 5)):shape(), " "), "2 5")
end)

t.test("Dropout: only in training, and not in frozen parts", function()
  core.manual_seed(1)
  local m = nn.Dropout(0.5)
  local y = m(core.ones(1000))
  local zeros = 1000 - y:mean():item() * 500
  assert(zeros > 400 and zeros < 600, zeros)
  m:eval()
  t.equal(m(core.ones(4)):mean():item(), 1)
  local s = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
  s:freeze "*"
  t.equal(s:at(2)(core.ones(4)):mean():item(), 1)
end)

t.test("BatchNorm: the batch's statistics in training, the running ones in inference", function()
  local m = nn.BatchNorm2d(1)
  local x = core.tensor { 1, 3 }:reshape(2, 1, 1, 1)
  local y = m(x):reshape(-1):tolist()
  assert(math.abs(y[1] + 1) < 1e-4 and math.abs(y[2] - 1) < 1e-4)
  assert(math.abs(m.running_mean:item() - 0.2) < 1e-6 and math.abs(m.running_var:item() - 1.1) < 1e-6) -- 0.9 * 1 + 0.1 * 2
  m:eval()
  y = m(x):reshape(-1):tolist()
  assert(math.abs(y[1] - 0.8 / math.sqrt(1.1)) < 1e-4)
  t.equal(m.batches, 1)
end)

t.test("TensorFlow's same padding", function()
  local c = nn.Conv2d(3, 8, 3, { stride = 2, padding = "same", image_size = 224 })
  t.equal(table.concat(c.padding, " ") .. " | " .. table.concat(c.padding_end, " "), "0 0 | 1 1")
  c = nn.Conv2d(3, 8, 5, { stride = 2, padding = "same", image_size = 65 })
  t.equal(table.concat(c.padding, " ") .. " | " .. table.concat(c.padding_end, " "), "2 2 | 2 2")
  t.equal(table.concat(c:output { 1, 65, 65, 3 }, " "), "1 33 33 8")
end)

t.test("pooling, activations, losses", function()
  local x = core.arange(16):reshape(1, 4, 4, 1)
  t.equal(list(nn.MaxPool2d(2)(x)), "5.0 7.0 13.0 15.0")
  t.equal(list(nn.AvgPool2d(2)(x)), "2.5 4.5 10.5 12.5")
  t.equal(list(nn.AdaptiveAvgPool2d(1)(x)), "7.5")
  -- PyTorch's: sides that the windows do not divide overlap, or repeat
  local rows = {}
  for i = 0, 4 do
    for j = 0, 2 do rows[#rows + 1] = i * i + 10 * j end
  end
  local picture = core.tensor(rows):reshape { 1, 5, 3, 1 }
  t.equal(list(nn.AdaptiveAvgPool2d { 7, 2 }(picture)), "5.0 15.0 5.5 15.5 7.5 17.5 9.0 19.0 11.5 21.5 17.5 27.5 21.0 31.0")
  t.equal(list(nn.AdaptiveAvgPool2d { 5, 3 }(picture)), list(picture))
  t.equal(list(nn.AdaptiveAvgPool2d(2)(x)), list(nn.AvgPool2d(2)(x)))
  t.equal(list(nn.ReLU6()(core.tensor { -1, 3, 9 })), "0.0 3.0 6.0")
  local logits, labels = core.tensor { { 2, 0 }, { 0, 0 } }, core.tensor({ 0, 1 }, { dtype = "int32" })
  local want = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
  assert(math.abs(nn.CrossEntropy {}(logits, labels):item() - want) < 1e-6)
  assert(math.abs(F.cross_entropy(logits, labels):item() - want) < 1e-6)
  t.equal(nn.MSELoss {}(core.tensor { 1, 3 }, core.tensor { 0, 0 }):item(), 5)
  assert(math.abs(nn.BCEWithLogits {}(core.tensor { 0 }, core.tensor { 1 }):item() - math.log(2)) < 1e-6)
  t.fails("label 7 is out of range", function() return F.cross_entropy(logits, core.tensor({ 0, 7 }, { dtype = "int32" })):item() end)
end)

t.test("one and three dimensions, layer norm, embedding", function()
  local c1 = nn.Conv1d(2, 3, 3, { padding = 1, stride = 2 })
  t.equal(table.concat(c1(core.ones(1, 8, 2)):shape(), " "), "1 4 3")
  t.equal(table.concat(c1.weight:shape(), " "), "3 2 3")
  local c3 = nn.Conv3d(1, 2, 3, { padding = 1 })
  t.equal(table.concat(c3(core.ones(1, 4, 5, 6, 1)):shape(), " "), "1 4 5 6 2")
  local y = nn.LayerNorm(2)(core.tensor { { 1, 3 } }):reshape(-1):tolist()
  assert(math.abs(y[1] + 1) < 1e-4 and math.abs(y[2] - 1) < 1e-4)
  local e = nn.Embedding(5, 3)
  t.equal(list(e(core.tensor({ 4 }, { dtype = "int32" }))), list(e.weight[5]))
  e(core.tensor({ 1, 1, 2 }, { dtype = "int32" })):sum():backward()
  t.equal(list(e.weight.grad:sum(2)), "0.0 6.0 3.0 0.0 0.0")
end)

t.test("layers of volumes: shapes, costs, and descriptions that make them again", function()
  local x = core.randn(2, 4, 4, 6, 8)
  local cases = { { nn.MaxPool3d(2), "2 2 2 3 8" }, { nn.AvgPool3d(3, 2, 1), "2 2 2 3 8" }, { nn.AdaptiveAvgPool3d { 1, 3, 2 }, "2 1 3 2 8" },
    { nn.AdaptiveAvgPool3d(1), "2 1 1 1 8" }, { nn.ConvTranspose3d(8, 4, 2, 2), "2 8 8 12 4" },
    { nn.ConvTranspose3d(8, 4, 3, { stride = { 1, 2, 3 }, padding = 1, output_padding = { 0, 1, 2 }, groups = 2, bias = false }), "2 4 8 18 4" },
    { nn.InstanceNorm3d(8, { affine = true }), "2 4 4 6 8" }, { nn.Upsample { scale_factor = 2, mode = "trilinear" }, "2 8 8 12 8" },
    { nn.Upsample { scale_factor = { 1.0, 1.0, 2.0 } }, "2 4 4 12 8" }, { nn.Upsample { size = 5 }, "2 5 5 5 8" },
    { nn.LeakyReLU(0.2), "2 4 4 6 8" }, { nn.GroupNorm(2, 8), "2 4 4 6 8" },
    { nn.Conv3d(8, 3, 3, { stride = 2, padding = 2, dilation = 2 }), "2 2 2 3 3" } }
  for _, case in ipairs(cases) do
    local layer = case[1]
    layer:ready()
    local y = layer(x)
    local what = layer:label()
    t.equal(table.concat(y:shape(), " "), case[2], what)
    if layer.cost then t.equal(table.concat((layer:cost(x:shape())), " "), case[2], what) end
    local again = nn.from_spec(core.json_decode(core.json_encode(layer:spec())))
    again:ready()
    again:load(layer:state_dict())
    t.equal(again(x):hash(), y:hash(), what)
  end
  local _, cost = nn.ConvTranspose3d(8, 4, 2, 2):cost { 1, 2, 2, 2, 8 }
  t.equal(cost, 8 * 4 * 8 * 8)
  -- Each sample alone, in training and out of it; a rectifier behind the norm in the same pass.
  local norm = nn.InstanceNorm3d(8)
  local both, rows = norm(x), {}
  for i = 1, 2 do rows[i] = norm(core.ops.slice(x, 1, i - 1, 1)) end
  t.equal(core.ops.concat(rows[1], rows[2], { axis = 1 }):hash(), both:hash())
  t.equal(norm(x, { slope = 0.1 }):hash(), nn.LeakyReLU(0.1)(both):hash())
  t.fails("give either size or scale_factor", function() return nn.Upsample {} end)
  t.fails("8 inputs and 4 outputs do not divide into 3 groups", function() return nn.ConvTranspose3d(8, 4, 2, { groups = 3 }) end)
end)

t.test("depthwise convolution and its folded form agree", function()
  core.manual_seed(9)
  local c, n = nn.Conv2d(8, 8, 3, { padding = 1, groups = 8, bias = false }), nn.BatchNorm2d(8)
  local x = core.randn(2, 7, 7, 8)
  n(c(x)) -- moves the running statistics
  n:eval()
  local plain = n(c(x)):relu6():detach()
  local guard <close> = core.no_grad()
  assert(t.distance(F.conv_bn(c, n, x, { activation = "relu6" }), plain) < 1e-5)
  assert(t.distance(F.conv_bn(c, n, x, { activation = "relu", residual = x }), (n(c(x)) + x):relu()) < 1e-5)
end)

t.test("a description of a module makes it again", function()
  local s = nn.Sequential(nn.Conv2d(3, 4, 3, { stride = 2, padding = 1 }), nn.BatchNorm2d(4), nn.SiLU(), nn.MaxPool2d(2, 2, 0, { ceil_mode = true }),
    nn.AvgPool2d(2, 1, 0, { ceil_mode = true }), nn.Flatten(), nn.Linear(16, 2), nn.Dropout(0.1))
  s:ready()
  s:eval()
  local again = nn.from_spec(core.json_decode(core.json_encode(s:spec())))
  again:load(s:state_dict())
  again:eval()
  local x = core.randn(2, 10, 10, 3) -- 5 x 5, then 3 x 3 in ceil mode, 2 x 2
  t.equal(again(x):hash(), s(x):hash())
end)

t.test("inference leaves nothing behind, training frees its graph", function()
  local s = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 8))
  s:ready()
  local x = core.ones(4, 8)
  collectgarbage() collectgarbage()
  local before = core.memory()
  do
    local guard <close> = core.no_grad()
    collectgarbage("stop") -- what stays is not the collector's doing
    local y = s(x)
    assert(core.memory() - before <= 4 * 4 * 8 + 512, core.memory() - before)
    collectgarbage("restart")
    y = nil
  end
  for _ = 1, 3 do
    local step <close> = core.scope()
    s(x):sum():backward()
    s:zero_grad()
  end
  collectgarbage() collectgarbage()
  t.equal(core.memory(), before)
end)

t.test("modules in coroutines keep scopes apart", function()
  local s = nn.Sequential(nn.Linear(2, 2))
  s:ready()
  local x = core.ones(1, 2)
  local co = coroutine.wrap(function()
    local step <close> = core.scope()
    local y = s(x)
    coroutine.yield(y:sum():item())
    coroutine.yield(y:freed())
  end)
  local value = co()
  local y = s(x)
  t.equal(y:sum():item(), value)
  t.equal(co(), false)
  co()
  t.equal(y:freed(), false)
end)

t.test("a hand-written loop learns", function()
  core.manual_seed(2)
  local net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
  local opt = tlua.optim.Adam(net:parameters(), { lr = 0.05 })
  local x = core.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
  local y = core.tensor({ 0, 1, 1, 0 }, { dtype = "int32" })
  for _ = 1, 200 do
    local step <close> = core.scope()
    opt:zero_grad()
    F.cross_entropy(net(x), y):backward()
    opt:step()
  end
  t.equal(table.concat(net(x):argmax(-1):tolist(), " "), "0 1 1 0")
  t.fails("unknown option of optim.Adam: 'lrr'; did you mean 'lr'?", function() local o = tlua.optim.Adam(net:parameters(), { lrr = 1 }) return o end)
  net:freeze "*"
  t.fails("no parameter is trained", function() local o = tlua.optim.Adam(net:parameters(), { lr = 1 }) return o end)
end)

t.test("a table of many rows has moments for those alone that were touched, in its state too", function()
  local y = core.tensor({ 0, 1, 1 }, { dtype = "int32" })
  local function new()
    core.manual_seed(4)
    local net = nn.Sequential(nn.Embedding(5000, 6), nn.Linear(6, 2))
    return net, tlua.optim.AdamW(net, { lr = 0.1, weight_decay = 0.3 })
  end
  local function step(net, opt, ids)
    local s <close> = core.scope()
    opt:zero_grad()
    F.cross_entropy(net(core.tensor(ids, { dtype = "int32" })), y):backward()
    opt:step()
  end
  local net, opt = new()
  step(net, opt, { 7, 4999, 7 })
  step(net, opt, { 12, 7, 0 })
  local state = opt:state()
  t.equal(table.concat(state["1.1.rows"]:tolist(), " "), "7 4999 0 12")
  t.equal(table.concat(state["1.1.m"]:shape(), " "), "4 6")
  t.equal(table.concat(net:at(1).weight.grad:shape(), " "), "5000 6")
  local again, other = new()
  again:load(net:state_dict())
  other:load_state(state)
  opt:load_state(state)
  for _, ids in ipairs { { 1, 2, 3 }, { 4999, 3, 9 } } do
    step(net, opt, ids)
    step(again, other, ids)
  end
  t.equal(net:at(1).weight:crc32(), again:at(1).weight:crc32())
  -- A row that no step touched has only decayed, as in torch.optim.AdamW: by 1 - 0.1 * 0.3 four times.
  core.manual_seed(4)
  local first = nn.Sequential(nn.Embedding(5000, 6), nn.Linear(6, 2))
  first:ready()
  local was, now = first:at(1).weight:slice(1, 100, 1):tolist()[1], net:at(1).weight:slice(1, 100, 1):tolist()[1]
  for i = 1, 6 do assert(math.abs(now[i] - was[i] * 0.97 ^ 4) < 1e-6) end
end)

t.test("every optimiser learns, and goes on from its state to the same bits", function()
  local options = { SGD = { lr = 0.5, momentum = 0.9 }, RMSprop = { momentum = 0.5, centered = true }, Lion = { lr = 0.01, weight_decay = 0.1 }, LAMB = { lr = 0.05 } }
  local kept = { SGD = "m", Adam = "mv", AdamW = "mv", RMSprop = "amv", Lion = "m", LAMB = "mv" }
  local x = core.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
  local y = core.tensor({ 0, 1, 1, 0 }, { dtype = "int32" })
  local function steps(net, opt, n)
    local loss
    for _ = 1, n do
      local step <close> = core.scope()
      opt:zero_grad()
      local l = F.cross_entropy(net(x), y)
      l:backward()
      opt:step()
      loss = l:item()
    end
    return loss
  end
  for _, kind in ipairs(tlua.optim.names) do
    core.manual_seed(2)
    local net, again = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)), nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    local opt = tlua.optim[kind](net:parameters(), options[kind] or { lr = 0.05 })
    local first = steps(net, opt, 1)
    assert(steps(net, opt, 100) < 0.5 * first, kind)
    again:load(net:state_dict())
    local other = tlua.optim[kind](again:parameters(), options[kind] or { lr = 0.05 })
    local state, names = opt:state(), {}
    for name in pairs(state) do names[#names + 1] = name:match "^1%.1%.(%l)$" end
    table.sort(names)
    t.equal(table.concat(names), kept[kind], kind)
    other:load_state(state)
    opt:load_state(state) -- its own: nothing changes
    steps(net, opt, 5)
    steps(again, other, 5)
    t.equal(net:at(1).weight:hash(), again:at(1).weight:hash(), kind)
  end
end)

t.test("averages of weights and running statistics", function()
  local net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
  local opt = tlua.optim.SGD(net:parameters(), { lr = 0.5 })
  local ema = tlua.optim.ema(opt, { decay = 0.75, model = net })
  local weight, mean = {}, {}
  for i = 1, 3 do
    local step <close> = core.scope()
    opt:zero_grad()
    net(core.tensor { { 1, i }, { -i, 2 } }):square():sum():backward()
    opt:step()
    ema:update()
    weight[i], mean[i] = net:at(1).weight:reshape(-1):tolist()[2], net:at(2).running_mean:tolist()[1]
  end
  local function average(x) return (x[1] * 0.75 + x[2] * 0.25) * 0.75 + x[3] * 0.25 end
  local state = ema:state()
  t.equal(table.concat(require("tlua.util").keys(state), " "), "1.running_mean 1.running_var")
  ema:swap()
  assert(math.abs(net:at(1).weight:reshape(-1):tolist()[2] - average(weight)) < 1e-5)
  assert(math.abs(net:at(2).running_mean:tolist()[1] - average(mean)) < 1e-5)
  t.fails("swap() back before update()", function() ema:update() end)
  ema:swap()
  t.equal(net:at(2).running_mean:tolist()[1], mean[3])
  t.fails("optim.ema: decay must be above 0 and below 1, not 2", function() tlua.optim.ema(opt, { decay = 2 }) end)
  t.fails("no average yet", function() tlua.optim.ema(tlua.optim.SGD({ core.ones(2):requires_grad(true) }, {})):swap() end)
  net:freeze "*"
  local w = core.zeros(1):requires_grad(true)
  local plain = tlua.optim.SGD({ w }, { lr = 1 })
  local ramp, want = tlua.optim.ema(plain, { decay = 0.9, ramp = 4 }), nil
  for k = 1, 5 do

    plain:zero_grad()
    w:sum():backward()
    plain:step()
    ramp:update()
    local share = 0.9 * (1 - math.exp(-k / 4))
    want = want and share * want - (1 - share) * k or -k
  end
  ramp:swap()
  assert(math.abs(w:item() - want) < 1e-5, ("%g, not %g"):format(w:item(), want))
  t.equal(#tlua.optim.ema(opt, { model = net }).names, 0)
end)

t.test("parameter groups have rates of their own", function()
  local net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
  local opt = tlua.optim.SGD({ { params = net:at(1):parameters(), lr = 0 }, { params = net:at(2) } }, { lr = 0.1 })
  local first, second = net:at(1).weight:hash(), net:at(2).weight:hash()
  net(core.ones(1, 2)):sum():backward()
  opt:step()
  t.equal(net:at(1).weight:hash(), first)
  assert(net:at(2).weight:hash() ~= second)
end)

-- The probabilities of attention with dropout are a fixed map of v for one draw, so both gradients can be checked.
t.test("attention's dropout is the same forward and backward, on all kernels", function()
  for _, width in ipairs { 128, 12 } do -- heads of 64 and of 6
    local q, k, v, g = core.randn(2, 7, width), core.randn(2, 7, width), core.randn(2, 7, width):requires_grad(true), core.randn(2, 7, width)
    local lengths = core.tensor({ 7, 4 }, { dtype = "int32" })
    local function loss(p)
      core.manual_seed(9)
      local y = core.ops.attention(q, k, v, lengths, { heads = 2, dropout = p, training = true })
      return (y * g):sum()
    end
    local with, without = loss(0.4), loss(0)
    assert(math.abs(with:item() - without:item()) > 1e-3)
    with:backward()
    local linear = (v.grad * v):sum():item() -- the loss is linear in v
    assert(math.abs(linear - with:item()) < 1e-3 * math.abs(with:item()) + 1e-3, ("%g and %g"):format(linear, with:item()))
    k:requires_grad(true)
    loss(0.4):backward()
    local direction, step = core.randn(2, 7, width), 1e-2
    local slope = (k.grad * direction):sum():item()
    local function at(t)
      local guard <close> = core.no_grad()
      local old = k
      k = old + direction * t
      local y = loss(0.4):item()
      k = old
      return y
    end
    local measured = (at(step) - at(-step)) / (2 * step)
    assert(math.abs(measured - slope) < 2e-2 * math.abs(slope) + 2e-2, ("width %d: %g and %g"):format(width, measured, slope))
  end
end)

t.test("transformer layers: padding has no say, and is zero after attention", function()
  core.manual_seed(2)
  for _, kind in ipairs { "post", "pre" } do
    local layer = nn.TransformerLayer(16, 4, 32, { norm = kind })
    layer:eval()
    local x = core.randn(2, 6, 16)
    local lengths = core.tensor({ 6, 3 }, { dtype = "int32" })
    local all = layer(x, lengths)
    local short = layer(x:slice(1, 1, 1):slice(2, 0, 3))
    assert(t.distance(all:slice(1, 1, 1):slice(2, 0, 3), short) < 1e-5)
    t.equal(select(2, layer:cost { 2, 6, 16 }), 2 * 6 * (4 * 16 * 16 + 2 * 6 * 16) + 2 * 6 * 2 * 16 * 32)
    t.equal(nn.from_spec(layer:spec()):label(), "nn.TransformerLayer(16, 4 heads, 32)")
  end
  t.fails("5 heads do not share 16 features", nn.MultiHeadAttention, 16, 5)
  t.fails("attention: q (N, T, C), k and v (N, S, C) are needed", core.ops.attention, core.ones(2, 3, 4), core.ones(2, 3, 5), core.ones(2, 3, 5))
end)

t.test("attention: a mask of the lowest float hides nothing from a row that has only such; any NaN stays one", function()
  local ops = core.ops
  local q, k, v = core.randn(1, 3, 16), core.randn(1, 20, 16), core.randn(1, 20, 16)
  local mean = v:mean { axes = { 2 } }
  for _, low in ipairs { -3.4028234663852886e38, -2.5e38, -1e38 } do
    local y = ops.attention(q, k, v, nil, core.full({ 1, 1, 3, 20 }, low), { heads = 1 })
    assert((y - mean):abs():amax():item() < 1e-6, low)
  end
  for _, bits in ipairs { 0x7fc00000, 0xffc00000, 0x7fffffff, 0xffffffff, 0x7fc00001 } do
    local nan = string.unpack("<f", string.pack("<I4", bits))
    local rows = {}
    for j = 1, 20 do
      rows[j] = {}
      for d = 1, 16 do rows[j][d] = (j == 7 and d == 1) and nan or 0.1 * j end
    end
    local y = ops.attention(q, core.tensor { rows }, v, nil, nil, { heads = 1 }):sum():item()
    local row = { nan }
    for j = 2, 19 do row[j] = j end
    local p = ops.softmax(core.tensor(row)):sum():item()
    assert(y ~= y and p ~= p, ("%08x"):format(bits))
  end
end)

t.finish()
