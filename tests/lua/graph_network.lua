-- graph_network.lua - graphs as networks: made of a plan and tensors, cut, with new heads, by stages, with the feature
-- cache (lua/tlua/nn/graph). Run by `tlua tests/lua/graph_network.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local graph = require "tlua.nn.graph"
local nn = tlua.nn

local folder = os.tmpname()
os.remove(folder)
core.mkdirs(folder)
assert(t.run(("./tlua tests/cli/make_pictures.lua %s"):format(folder)) == 0)

-- The plan of a network, its tensors, and the network.
local function plan_of(net, inputs, symbols)
  net:ready()
  net:eval()
  return assert(plan.text(net, inputs, net.output_names, symbols)), net:state_dict(), net
end

local Block = nn.class "Block"
function Block:init(from, to)
  self.conv1 = nn.Conv2d(from, to, 3, { stride = 2, padding = 1, bias = false })
  self.bn1 = nn.BatchNorm2d(to)
  self.conv2 = nn.Conv2d(to, to, 3, { padding = 1, bias = false })
  self.bn2 = nn.BatchNorm2d(to)
  self.short = nn.Conv2d(from, to, 1, { stride = 2 })
end
function Block:forward(x)
  local y = self.bn2(self.conv2(self.bn1(self.conv1(x)):relu()))
  y = (y + self.short(x)):relu()
  return y
end

local function small()
  core.manual_seed(5)
  return nn.Sequential(nn.Conv2d(3, 8, 3, { padding = 1 }), nn.ReLU(), Block(8, 16), Block(16, 16),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
end
local PICTURE = { { "N", 32, 32, 3, name = "image" } }

t.test("made of a plan and tensors, which are taken as they are", function()
  local text, state, net = plan_of(small(), PICTURE)
  local made = graph.from { text = text, tensors = state, label = "small", file_labels = { "a", "b", "c" },
    preprocessing = { size = 32 }, notes = { "made by hand" } }
  t.equal(made:label() .. " " .. made._class .. " " .. made.classes, "small nn.Graph 3")
  t.equal(table.concat(made:labels()) .. made:preprocessing().size .. made.notes[1], "abc32made by hand")
  made:eval()
  local x = core.randn(2, 32, 32, 3)
  local guard <close> = core.no_grad()
  assert((made(x) - net(x)):abs():amax():item() < 1e-5)
  local weight = made:state_dict()["2.conv1.weight"]
  weight:copy_(weight * 0)
  t.equal(state["2.conv1.weight"]:abs():amax():item(), 0) -- the same memory
  t.equal(made:find("2.bn1"):counters().num_batches_tracked, 0)
  local other = graph.from { text = text, tensors = state }
  t.equal(table.concat(select(2, other:trained()), " ", 1, 3), "0.weight 0.bias 2.conv1.weight")
  state["2.bn1.running_var"] = nil
  t.fails("small: its plan: the tensor '2.bn1.running_var' is not in the file", function()
    graph.from { text = text, tensors = state, label = "small" }
  end)
  t.fails("unknown option of graph.from: 'tensor'; did you mean 'tensors'?", function()
    graph.from { text = text, tensor = state }
  end)
  t.fails("graph.from: the text of a plan is missing", function() graph.from { tensors = state } end)
end)

t.test("cut at a call or at a name that came with the list", function()
  local text, state, net = plan_of(small(), PICTURE)
  local path = folder .. "/small.safetensors"
  core.save(path, state, { ["tlua.plan"] = text })
  local x, middle = core.randn(2, 32, 32, 3), nil
  local guard <close> = core.no_grad()
  middle = net:at(3)(net:at(2)(net:at(1)(x)))
  local function far(made)
    made:eval()
    return (made(x) - middle):abs():amax():item()
  end
  local names = { "conv_out", { "relu_out", "same" }, false }
  local list = core.plan_calls(text).calls
  for i, c in ipairs(list) do
    if c.op == "relu" then names[i] = "after_" .. i end
  end
  local last, sums = nil, 0
  for i, c in ipairs(list) do
    sums = sums + (c.op == "add" and 1 or 0)
    if sums == 1 and c.op == "relu" and not last then last = names[i] end
  end
  local made = graph.from { text = text, tensors = state, value_names = names, cut = last }
  assert(far(made) < 1e-5, last)
  t.equal(made:state_dict()["3.conv1.weight"], nil)
  t.equal(made:state_dict()["6.weight"], nil)
  t.equal(made:find "2.bn1":counters().num_batches_tracked, 0)
  t.equal(made.classes, nil)
  assert(far(nn.Graph { path = path, cut = (last:gsub("after", "relu")) }) < 1e-5)
  local one = nn.Graph { path = path, cut = "2.short" }
  t.equal(one:state_dict()["2.conv2.weight"], nil) -- what else goes into the sum is not needed
  t.equal(#one.calls, 3)
  local function bad(cut)
    return function() nn.Graph { path = path, cut = cut } end
  end
  assert(far(nn.Graph { path = path, cut = "2" }) < 1e-5) -- a part
  local norm = nn.Graph { path = path, cut = "3.bn1" }
  t.equal(norm.calls[#norm.calls].op, "batch_norm") -- a call, before its activation
  t.fails("small.safetensors): cut: there is no value '2.shrt'; did you mean '2.short'?", bad "2.shrt")
  t.fails("cut: there is no value 'somewhere else'; there are 0, relu_2, 2.conv1", bad "somewhere else")
end)

-- ---- heads ----

local function far(a, b) return (a - b):abs():amax():item() end

t.test("a head behind a cut: maps and sequences are averaged for a Linear, other heads get them as they are", function()
  local text, state, net = plan_of(small(), PICTURE)
  local list = core.plan_calls(text).calls
  local cut
  for i, c in ipairs(list) do cut = c.op == "relu" and "relu_" .. i or cut end
  local function made() return graph.from { text = text, tensors = state, cut = cut } end
  local x = core.randn(2, 32, 32, 3)
  local g = made():set_head(nn.Linear(4))
  t.equal(g.head_name .. " " .. g.classes .. " " .. g:head():label(), "head 4 nn.Linear(16 -> 4)")
  t.equal(g.notes[1], "the head gets the mean over the places of (N, 8, 8, 16)")
  g:eval()
  net:eval()
  local guard <close> = core.no_grad()
  local middle = net:at(4)(net:at(3)(net:at(2)(net:at(1)(x))))
  assert(far(g(x), g:head()(middle:mean { axes = { 2, 3 } })) < 1e-5)
  local own = made():set_head(nn.Sequential(nn.Dropout(0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5)))
  own:eval()
  t.equal(own.classes .. " " .. #own.notes, "5 0")
  assert(far(own(x), own:head()(middle)) < 1e-5)
  local again = own:set_head(nn.Linear(7)):eval() -- another one in its place
  t.equal(again.classes .. " " .. #again.notes .. " " .. again.calls[#again.calls - 1].op, "7 1 mean")
  t.equal(own:set_head(own:default_head(2)):eval()(x):shape(4), 2) -- a map, for a task of maps
  t.equal(select(2, pcall(made().set_head, nn.Graph.from, nn.Linear(2))) ~= nil, true)
  local Words = nn.class "Words"
  function Words:init() self.embed, self.fc = nn.Embedding(20, 8), nn.Linear(8, 5) end
  function Words:forward(ids) return (self.fc(self.embed(ids):relu())) end
  core.manual_seed(1)
  local words_text, words_state, words = plan_of(Words(), { { "N", "T", name = "ids", dtype = "int32" } }, { T = 6 })
  local cut_words = graph.from { text = words_text, tensors = words_state, cut = "relu_2" }
  cut_words:set_head(nn.Linear(3)):eval()
  local ids = core.tensor({ { 1, 2, 3 }, { 4, 5, 6 } }, { dtype = "int32" })
  assert(far(cut_words(ids), cut_words:head()(words.embed(ids):relu():mean { axes = { 2 } })) < 1e-6)
end)

t.test("what a head cannot stand behind is said", function()
  local Odd = nn.class "Odd"
  function Odd:init() self.fc = nn.Linear(6, 4) end
  function Odd:forward(x)
    local y = self.fc(x)
    return { y, y:relu(), (y:sum { axes = { 2 } }) }
  end
  Odd.output_names = { "a", "b", "c" }
  local text, state = plan_of(Odd(), { { "N", 6, name = "row" } })
  t.fails("odd does not end with a linear layer of its own: it has 3 outputs (a, b, c), and cut = NAME makes a value",
    function() graph.from { text = text, tensors = state, label = "odd" }:set_head(nn.Linear(2)) end)
  t.fails("odd: the value behind which the head would stand is (N), and a head wants rows (N, C), sequences",
    function() graph.from { text = text, tensors = state, label = "odd", cut = "sum_3" }:set_head(nn.Linear(2)) end)
end)

t.test("a softmax behind the last layer goes when it is asked for, or with the layer", function()
  local Soft = nn.class("Soft")
  function Soft:init() self.body, self.fc = nn.Linear(6, 5), nn.Linear(5, 4) end
  function Soft:forward(x) return self.fc(self.body(x):relu()):softmax(-1) end
  core.manual_seed(2)
  local text, state, net = plan_of(Soft(), { { "N", 6, name = "row" } })
  local x = core.randn(3, 6)
  local g, logits = graph.from { text = text, tensors = state }, nil
  local guard <close> = core.no_grad()
  g:eval()
  assert(far(g(x), net(x)) < 1e-6)
  logits = graph.from { text = text, tensors = state, logits = true, file_labels = { "a", "b", "c", "d" } }:eval()
  assert(far(logits(x), net.fc(net.body(x):relu())) < 1e-6)
  t.equal(logits.notes[1], "the softmax at its end was dropped: losses want what goes into it")
  t.equal(logits.classes .. " " .. logits.head_name .. " " .. #logits:labels(), "4 fc 4")
  g:set_head(nn.Linear(2)):eval()
  t.equal(g.notes[1], "the head takes the place of fc and of all behind it")
  t.equal(g.head_name .. " " .. #g.calls .. " " .. g:head():label(), "head 3 nn.Linear(5 -> 2)")
  t.equal(g:state_dict()["fc.weight"], nil)
  assert(far(g(x), g:head()(net.body(x):relu())) < 1e-6)
end)

t.test("a convolution that is called a classifier, and gives means of a map, is one", function()
  core.manual_seed(2)
  local text, state = plan_of(tlua.models.squeezenet1_1 { classes = 5 }, { { "N", 64, 64, 3, name = "image" } })
  local g = graph.from { text = text, tensors = state }
  t.equal(g.classes .. " " .. g.head_name, "5 classifier.1")
  g:set_head(nn.Linear(3))
  t.equal(g.notes[1] .. "; " .. g:head():label(), "the head takes the place of classifier.1 and of all behind it; "
    .. "nn.Linear(512 -> 3)")
  t.equal(table.concat(g:eval()(core.randn(2, 64, 64, 3)):shape(), " "), "2 3")
end)

-- ---- stages ----

local function names_of(net)
  local list = {}
  for k = 1, net:stage_count() do list[k] = net:stage_name(k) end
  return table.concat(list, " ")
end

t.test("stages are the blocks that the names tell of, and give what the whole gives", function()
  for name, want in pairs {
    resnet18 = "conv1 layer1.0 layer1.1 layer2.0 layer2.1 layer3.0 layer3.1 layer4.0 layer4.1 pool",
    mobilenet_v3_small = "features.0 features.1 features.2 features.3 features.4 features.5 features.6 features.7 "
      .. "features.8 features.9 features.10 features.11 features.12 classifier",
    deit_tiny_patch16_224 = "patch_embed blocks.0 blocks.1 blocks.2 blocks.3 blocks.4 blocks.5 blocks.6 blocks.7 "
      .. "blocks.8 blocks.9 blocks.10 blocks.11 norm" } do
    core.manual_seed(3)
    local size = name:find "deit" and 224 or 64
    local text, state = plan_of(tlua.models[name] { classes = 5 }, { { "N", size, size, 3, name = "image" } })
    local g, x = graph.from { text = text, tensors = state, label = name }:eval(), core.randn(2, size, size, 3)
    t.equal(names_of(g), want)
    local guard <close> = core.no_grad()
    local y = g(x)
    for _, k in ipairs { 1, g:stage_count() // 2, g:stage_count() } do
      assert(far(g:classify(g:above(g:below(x, k), k)), y) < 1e-4, name .. " " .. k)
    end
    local one = x
    for k = 1, g:stage_count() do one = g:stage(one, k) end
    assert(far(g:classify(one), y) < 1e-4, name)
    assert(far(g:features(x), one) < 1e-4, name)
    t.equal(g:fixed_stages(), 0)
    g:freeze { g:stage_name(1) .. ".*", name == "resnet18" and "bn1.*" or nil }
    t.equal(g:fixed_stages(), name:find "deit" and 0 or 1)
    g:freeze "*"
    t.equal(g:fixed_stages(), g:stage_count())
  end
end)

t.test("sequences that have the pictures behind the time are turned between stages, and before a head", function()
  local Turned = nn.class "Turned"
  function Turned:init()
    self.embed = nn.Linear(3, 4)
    self.layers = nn.ModuleList(nn.Linear(4, 4), nn.Linear(4, 4))
    self.fc = nn.Linear(4, 2)
  end
  function Turned:forward(x)
    local y = self.embed(x):permute { 2, 1, 3 }
    for i = 1, 2 do y = y + self.layers:at(i)(y):relu() end
    return self.fc(y:mean { axes = { 1 } })
  end
  core.manual_seed(8)
  local text, state, net = plan_of(Turned(), { { "N", 5, 3, name = "row" } })
  local g, x = graph.from { text = text, tensors = state }:eval(), core.randn(2, 5, 3)
  t.equal(names_of(g), "embed layers.0 layers.1 pool")
  local guard <close> = core.no_grad()
  local y = net(x)
  t.equal(table.concat(g:below(x, 2):shape(), " "), "2 5 4")
  for k = 1, 4 do assert(far(g:classify(g:above(g:below(x, k), k)), y) < 1e-6, k) end
  local one = x
  for k = 1, 4 do one = g:stage(one, k) end
  assert(far(g:classify(one), y) < 1e-6)
  local sum
  for i, c in ipairs(g.calls) do sum = c.op == "add" and "add_" .. i or sum end
  local cut = graph.from { text = text, tensors = state, cut = sum }:set_head(nn.Linear(2)):eval()
  cut:head():load { weight = state["fc.weight"], bias = state["fc.bias"] }
  assert(far(cut(x), y) < 1e-6)
end)

t.test("a chain of many plain layers has few stages, and names without modules are no hindrance", function()
  local layers = {}
  for i = 1, 50 do
    layers[2 * i - 1], layers[2 * i] = nn.Linear(4, 4), nn.ReLU()
  end
  local text, state = plan_of(nn.Sequential(layers), { { "N", 4, name = "row" } })
  local g = graph.from { text = text, tensors = state }
  assert(g:stage_count() <= 17 and g:stage_count() > 8, g:stage_count())
  local flat, renamed = {}, text
  for name, each in pairs(state) do flat["Conv_" .. name:gsub("%.", "_")] = each end
  renamed = text:gsub('"(%d+)%.(%w+)"', '"Conv_%1_%2"')
  g = graph.from { text = renamed, tensors = flat }
  assert(g:stage_count() <= 17 and g:stage_count() > 8, g:stage_count())
end)

local function copies(state)
  local out = {}
  for name, each in pairs(state) do out[name] = each:clone() end
  return out
end

local function session(net, fields)
  local r = { model = net, out = folder .. "/" .. fields.name, schedule = { epochs = 2 },
    optim = tlua.optim.SGD { lr = 0.05, momentum = 0.9 },
    data = tlua.data.folder { root = folder .. "/good", size = 64, batch = 4, mean = 0.5, std = 0.25 } }
  for key, value in pairs(fields) do
    if key ~= "name" then r[key] = value end
  end
  local result = tlua.recipe(r):run { style = "quiet", force = true }
  return result, core.load(result.out .. "/model.safetensors")
end

local function apart(a, b)
  local most = 0
  for name, x in pairs(a) do most = math.max(most, far(x:to "float32", b[name]:to "float32")) end
  return most
end

t.test("the feature cache gives a graph what it gives without, and what the network of the registry gets", function()
  core.manual_seed(4)
  local small_one = tlua.models.mobilenet_v3_small { classes = 5, dropout = 0 }
  local text, state = plan_of(small_one, { { "N", 64, 64, 3, name = "image" } })
  local function made() return graph.from { text = text, tensors = copies(state), label = "small" } end
  local cache = { dtype = "float32", folder = folder .. "/features" }
  local kept, a = session(made(), { name = "kept", freeze = "*", cache = cache })
  local again, b = session(made(), { name = "again", freeze = "*", cache = cache })
  local without, c = session(made(), { name = "without", freeze = "*", cache = false })
  assert(#core.list_folder(folder .. "/features") == 2)
  t.equal(apart(a, b), 0)
  t.equal(kept.loss, again.loss)
  assert(apart(a, c) < 1e-5, apart(a, c))
  assert(math.abs(kept.loss - without.loss) < 1e-5)
  local log = core.read_file(kept.out .. "/log.txt")
  assert(log:find("cache     after classifier (1024, float32)", 1, true), log)
  local net = tlua.models.mobilenet_v3_small { classes = 5, dropout = 0 }
  net:load(state)
  local registry = session(net, { name = "registry", freeze = "*", cache = cache })
  assert(math.abs(registry.loss - kept.loss) < 1e-4)
  -- another head and other classes behind a cut: the maps of an earlier stage
  local cut = session(graph.from { text = text, tensors = copies(state), cut = "features.10" },
    { name = "cut", cache = cache, freeze = { "*" } })
  assert(core.read_file(cut.out .. "/log.txt"):find("head      nn.Linear(96 -> 3)", 1, true))
end)

t.test("by stages: rates fall from the head down, and blocks that are computed again give the same bits", function()
  local text, state = plan_of(tlua.models.resnet18 { classes = 2 }, { { "N", 64, 64, 3, name = "image" } })
  local function made() return graph.from { text = text, tensors = copies(state) } end
  local groups = require "tlua.train.groups"
  local by_name, g = {}, made()
  for _, each in ipairs(groups.plan(g, { lr = 1, lowest = 0.1, wanted = {} })) do
    for _, name in ipairs(each.names) do by_name[name] = each.lr end
  end
  t.equal(by_name["fc.weight"], 1)
  assert(math.abs(by_name["conv1.weight"] - 0.1) < 1e-9)
  assert(by_name["layer2.0.conv1.weight"] < by_name["layer2.1.conv1.weight"])
  t.equal(by_name["layer2.1.conv1.weight"], by_name["layer2.1.bn2.bias"])
  local _, a = session(made(), { name = "plain", freeze = "conv1.*" })
  local _, b = session(made(), { name = "again2", freeze = "conv1.*", recompute = "layer*" })
  t.equal(apart(a, b), 0)
  t.fails("recompute: no block of nn.Graph matches 'layer9.*'; did you mean 'layer", function()
    session(made(), { name = "wrong", recompute = "layer9.*" })
  end)
end)

t.finish()
os.execute("rm -r " .. folder)
