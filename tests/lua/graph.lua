-- graph.lua - a model file is enough: the network in it, written by hand, predicts, is tested, explained, exported and
-- trained from the calls in the file alone (lua/tlua/nn/graph, docs/format.md). Run by `tlua tests/lua/graph.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local util = require "tlua.util"
local plan = require "tlua.plan"
local explain = require "tlua.command.explain"
local nn = tlua.nn

local folder = os.tmpname()
os.remove(folder)
core.mkdirs(folder)
assert(t.run(("./tlua tests/cli/make_pictures.lua %s"):format(folder)) == 0)

local Block = nn.class "Block"
function Block:init(from, to)
  self.conv1 = nn.Conv2d(from, to, 3, { stride = 2, padding = 1, bias = false })
  self.bn1 = nn.BatchNorm2d(to, { momentum = 0.2 })
  self.conv2 = nn.Conv2d(to, to, 3, { padding = 1, bias = false })
  self.bn2 = nn.BatchNorm2d(to)
  self.short = nn.Conv2d(from, to, 1, { stride = 2 })
end
function Block:forward(x)
  local y = self.bn2(self.conv2(self.bn1(self.conv1(x)):relu()))
  y = (y + self.short(x)):relu()
  return y
end

local function own()
  return nn.Sequential(nn.Conv2d(3, 8, 3, { padding = 1 }), nn.ReLU(), Block(8, 16), Block(16, 16),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, 3))
end

local function train(net, name, freeze, cache)
  local r = tlua.recipe { model = net, freeze = freeze, cache = cache,
    out = folder .. "/" .. name, schedule = { epochs = 2 },
    optim = tlua.optim.SGD { lr = 0.05, momentum = 0.9 },
    data = tlua.data.folder { root = folder .. "/good", size = 32, batch = 4, mean = { 0.5, 0.5, 0.5 },
      std = { 0.25, 0.25, 0.25 } } }
  local result = r:run { style = "quiet" }
  return result, result.out .. "/model.safetensors"
end

-- The largest difference between the tensors of two files, which must be of the same names.
local function apart(a, b)
  local one, two, most = core.load(a), core.load(b), 0
  for name, x in pairs(one) do
    local d = (x:to "float32" - two[name]:to "float32"):abs():amax():item()
    most = math.max(most, d == d and d or math.huge)
  end
  for name in pairs(two) do assert(one[name] ~= nil, name) end
  return most
end

local _, first = train(own(), "first")

t.test("a graph that is trained does what its network does, to the bit", function()
  local net, graph = own(), nn.Graph { first }
  net:load(first)
  local a, b = train(net, "net"), train(graph, "graph")
  t.equal(apart(a.out .. "/model.safetensors", b.out .. "/model.safetensors"), 0)
  t.equal(a.loss, b.loss)
  t.equal(a.accuracy, b.accuracy)
  local _, before = core.entries(first)
  local _, after = core.entries(b.out .. "/model.safetensors")
  t.equal(before["tlua.plan"], after["tlua.plan"]) -- a graph again
end)

t.test("frozen by globs, whose part is a plan and rounds otherwise", function()
  local net, graph = own(), nn.Graph(first)
  net:load(first)
  local _, a = train(net, "net_frozen", { "0.*", "2.*" })
  local _, b = train(graph, "graph_frozen", { "0.*", "2.*" }, false) -- own networks have no feature cache
  assert(apart(a, b) < 1e-5, apart(a, b))
  local before, after = core.load(first), core.load(b)
  for _, name in ipairs { "0.weight", "2.conv1.weight", "2.bn1.running_mean" } do
    t.equal(before[name]:hash(), after[name]:hash(), name)
  end
  assert(before["3.bn1.running_mean"]:hash() ~= after["3.bn1.running_mean"]:hash())
  for name, kept in pairs(graph._plans) do assert(kept.plan, name .. ": " .. tostring(kept.why)) end
  t.fails("freeze: no parameter of nn.Graph", function() nn.Graph(first):freeze "9.*" end)
  t.equal(#nn.Graph(first):select("freeze", "*.bn1.*"), 4)
end)

t.test("its own statistics, gradients and memory are the network's", function()
  local net, graph = own(), nn.Graph(first)
  net:load(first)
  local x = core.randn(3, 32, 32, 3)
  for _, each in ipairs { net, graph } do
    core.manual_seed(4)
    core.random_step(1)
    each:train()
    local y = each(x)
    local loss = (y * y):sum()
    loss:backward()
  end
  local grads = graph:gradients()
  for name, g in pairs(net:gradients()) do t.equal(grads[name]:hash(), g:hash(), name) end
  for name, b in net:buffers() do t.equal(graph:state_dict()[name]:hash(), b:hash(), name) end
  graph:eval()
  net:eval()
  local guard <close> = core.no_grad()
  local far = (graph(x) - net(x)):abs():amax():item()
  assert(far < 1e-5, far)
  plan.off = true
  local same = graph(x):hash() == net(x):hash()
  plan.off = false
  t.equal(same, true)
  t.fails("the input 'image' is (N, 32, 32, 3), not (1, 16, 16, 3)", function() graph(core.zeros(1, 16, 16, 3)) end)
end)

t.test("a network of the registry with a head of the recipe's own", function()
  local Head = nn.class "Head"
  function Head:init() self.fc = nn.Linear(1280, 3) end
  function Head:infer() return 3 end
  function Head:forward(x)
    local y = self.fc(x:relu())
    return y
  end
  core.manual_seed(1)
  local r = tlua.recipe { model = tlua.models.mobilenet_v2 {}, freeze = "*", head = Head(), cache = false,
    out = folder .. "/head", schedule = { epochs = 1 },
    data = tlua.data.folder { root = folder .. "/good", size = 32, batch = 6 } }
  local result = r:run { style = "quiet" }
  local graph = tlua.models.load(result.out)
  t.equal(graph._class, "nn.Graph")
  local x = core.randn(2, 32, 32, 3)
  local guard <close> = core.no_grad()
  result.model:eval()
  local far = (graph(x) - result.model(x)):abs():amax():item()
  assert(far < 1e-5, far)
end)

t.test("another head in the place of the last layer", function()
  local graph = nn.Graph(first)
  t.equal(graph.head_name .. " " .. graph.features_width, "7 16")
  graph:set_head(nn.Sequential(nn.Linear(8), nn.ReLU(), nn.Linear(5)))
  t.equal(graph.classes, 5)
  graph:freeze "*"
  graph:unfreeze(graph.head_name .. ".*")
  local x = core.randn(2, 32, 32, 3)
  local y = graph(x)
  t.equal(table.concat(y:shape(), " "), "2 5")
  y:sum():backward()
  local names = {}
  for name in pairs(graph:gradients()) do names[#names + 1] = name end
  table.sort(names)
  t.equal(table.concat(names, " "), "7.0.bias 7.0.weight 7.2.bias 7.2.weight")
  local path = folder .. "/headed.safetensors"
  local r = tlua.recipe { model = tlua.models.load(first), freeze = "*", out = folder .. "/recipe", schedule = { epochs = 1 },
    head = nn.Sequential(nn.Linear(8), nn.ReLU(), nn.Linear(3)), data = tlua.data.folder { root = folder .. "/good", batch = 4 } }
  local result = r:run { style = "quiet" }
  local before, after = core.load(first), core.load(result.out .. "/model.safetensors")
  t.equal(before["3.conv2.weight"]:hash(), after["3.conv2.weight"]:hash())
  t.equal(table.concat(after["7.2.weight"]:shape(), " "), "3 8")
  t.equal(tlua.models.load(result.out).head_name, "7.2")
  local text = assert(plan.text(graph, graph:plan_inputs(), graph.output_names))
  core.save(path, graph:state_dict(), { ["tlua.plan"] = text })
  graph:eval()
  local guard <close> = core.no_grad()
  t.equal(nn.Graph(path):eval()(x):hash(), graph(x):hash())
end)

t.test("several outputs, buffers that are no statistics, and values that a dropout shares", function()
  local Two = nn.class "Two"
  function Two:init()
    self.fc = nn.Linear(6, 4)
    self.drop = nn.Dropout(0.5)
    self:buffer("scale", { 4 }, { "constant", 2 })
  end
  Two.output_names = { "scores", "rows" }
  function Two:forward(x)
    local y = self.fc(x) * self.scale
    local z = self.drop(y) + y
    return { z, self.drop(x):relu() }
  end
  core.manual_seed(2)
  local net, path = Two(), folder .. "/two.safetensors"
  net:ready()
  local text, why = plan.text(net, { { "N", 6, name = "row" } }, net.output_names)
  t.equal(why, nil)
  core.save(path, net:state_dict(), { ["tlua.plan"] = text })
  local graph, x = nn.Graph(path), core.randn(5, 6)
  t.equal(select(2, graph:count()), 6 * 4 + 4)
  for _, each in ipairs { net, graph } do each:eval() end
  for _, on in ipairs { true, false } do
    local a, b
    if on then a, b = net(x), graph(x) else
      local guard <close> = core.no_grad()
      a, b = net(x), graph(x)
    end
    for i = 1, 2 do t.equal(a[i]:hash(), b[i]:hash(), i) end
  end
  t.equal(table.concat(graph.output_names, " "), "scores rows")
  t.equal(graph.classes, nil)
  t.fails("does not end with a linear layer of its own", function() graph:set_head(nn.Linear(2)) end)
end)

t.test("token ids of any number and length", function()
  local Net = nn.class "Net"
  Net.output_names = { "tags", "whole" }
  function Net:init()
    self.embed, self.norm, self.attention = nn.Embedding(20, 8), nn.LayerNorm(8), nn.MultiHeadAttention(8, 2)
    self.fc = nn.Linear(8, 5)
  end
  function Net:forward(ids)
    local x = self.embed(ids)
    x = x + self.attention(self.norm(x))
    return { self.fc(x), self.fc(x:mean { axes = { 2 } }) }
  end
  core.manual_seed(6)
  local net, path = Net(), folder .. "/tokens.safetensors"
  net:eval()
  local text = assert(plan.text(net, { { "N", "T", name = "tokens", dtype = "int32" } }, net.output_names, { T = 6 }))
  core.save(path, net:state_dict(), { ["tlua.plan"] = text })
  local graph = nn.Graph(path):eval()
  local guard <close> = core.no_grad()
  for _, row in ipairs { { 3, 1, 19 }, { 7, 0, 0, 2, 4, 18, 5, 5 } } do
    local ids = core.tensor({ row, row }, { dtype = "int32" })
    local a, b = net(ids), graph(ids)
    for i = 1, 2 do t.equal(a[i]:hash(), b[i]:hash(), i) end
    t.equal(b[1]:shape(2), #row)
  end
end)

t.test("Grad-CAM on a graph is that of the network", function()
  local path = folder .. "/resnet18.safetensors"
  core.manual_seed(3)
  local net = tlua.models.resnet18 { classes = 5 }
  net:ready()
  net:eval()
  core.save(path, net:state_dict(), { ["tlua.plan"] = plan.text(net, { { "N", 64, 64, 3, name = "image" } }) })
  local graph, x = nn.Graph(path), core.randn(2, 64, 64, 3)
  graph:eval()
  for _, each in ipairs { net, graph } do each:freeze "*" end
  local k, here = explain.places(graph, core.ops.slice(x, 1, 0, 1))
  t.equal(here.size[1], 2)
  local a, b = explain.maps(net, x, (explain.places(net, core.ops.slice(x, 1, 0, 1)))), explain.maps(graph, x, k)
  local far, most = (a - b):abs():amax():item(), a:amax():item()
  assert(most > 0 and far < 1e-4 * most, far)
  local j, there = explain.places(graph, core.ops.slice(x, 1, 0, 1), "layer2.1.conv2")
  t.equal(there.name .. " " .. there.size[1], "layer2.1.conv2 8")
  t.equal(j < k, true)
  t.fails("unknown layer 'layer2.1.conv9'; did you mean 'layer2.1.conv", function()
    explain.places(graph, x, "layer2.1.conv9")
  end)
end)

t.test("a file of format 1 is read, gives the same numbers, and becomes one of today's", function()
  local old, new = "tests/golden/data/format1.safetensors", folder .. "/today.safetensors"
  local _, meta = core.entries(old)
  assert(meta["tlua.plan"]:find('"format":1', 1, true) and meta["tlua.plan"]:find('"batch":37', 1, true))
  -- of the program that wrote it: probabilities of colour.png
  local _, before = t.run(("./tlua predict %s tests/golden/data/colour.png --json"):format(old))
  assert(t.run(("./tlua export %s --to %s"):format(old, new)) == 0)
  local _, after = t.run(("./tlua predict %s tests/golden/data/colour.png --json"):format(new))
  t.equal(before, after)
  local list = core.json_decode(before)[1].predictions
  for i, want in ipairs { { "a", 0.554699004 }, { "c", 0.227310330 }, { "b", 0.217990682 } } do
    assert(list[i].label == want[1] and math.abs(list[i].score - want[2]) < 1e-6, before)
  end
  _, meta = core.entries(new)
  assert(meta["tlua.plan"]:find('"format":2', 1, true) and not meta["tlua.plan"]:find("37", 1, true), meta["tlua.plan"])
end)

t.test("files that lie are refused in one line", function()
  local tensors, meta = core.load(first)
  local function refused(text, change)
    local plain, path = {}, folder .. "/lie.safetensors"
    for key, value in pairs(meta) do plain[key] = value end
    plain["tlua.plan"] = change(plain["tlua.plan"])
    assert(plain["tlua.plan"] ~= meta["tlua.plan"])
    core.save(path, tensors, plain)
    local status, out, err = t.run(("./tlua predict %s tests/golden/data/colour.png"):format(path))
    assert(status == 1 and err:find(text, 1, true) and select(2, err:gsub("\n", "")) == 1, out .. err)
  end
  local function swap(a, b)
    return function(s) return (s:gsub(a, b, 1)) end
  end
  refused("its plan: the tensor '9.weight' is not in the file", swap('"0.weight"', '"9.weight"'))
  refused("its plan: there is no value 7 yet", swap('%["conv",%[0', '["conv",[7'))
  refused("its plan has an operator that this version does not know", swap('%["conv"', '["checkpoint"'))
  refused("its plan: batch_norm changes its input", swap('{"momentum":0.2', '{"training":1,"momentum":0.2'))
  refused("its plan: there is no value 1000", swap('"value":%d+', '"value":1000'))
  refused("its plan is damaged", function() return "[" end)
end)

t.finish()
os.execute("rm -r " .. folder)
