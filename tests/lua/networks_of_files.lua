-- networks_of_files.lua - models.onnx and models.graph: a file is the network of a recipe (lua/tlua/models/onnx.lua).
-- Run by `tlua tests/lua/networks_of_files.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local nn = tlua.nn

local folder = os.tmpname()
os.remove(folder)
core.mkdirs(folder)
assert(t.run(("./tlua tests/cli/make_pictures.lua %s"):format(folder)) == 0)

-- A small network as an exporter writes it: two convolutions, a residual block between, a classifier with a softmax.
local path = folder .. "/small.onnx"
core.manual_seed(7)
local tensors = {}
local function tensor(name, ...)
  tensors[#tensors + 1] = { name = name, tensor = core.randn(...) * 0.3 }
  return name
end
local function conv(name, x, y, from, to, stride)
  return { op = "Conv", name = "/" .. name:gsub("%.", "/") .. "/Conv", outputs = { y },
    inputs = { x, tensor(name .. ".weight", to, from, 3, 3), tensor(name .. ".bias", to) },
    attrs = { kernel_shape = { 3, 3 }, pads = { 1, 1, 1, 1 }, strides = { stride, stride } } }
end
local function node(op, inputs, y, attrs)
  return { op = op, name = "", inputs = inputs, outputs = { y }, attrs = attrs or {} }
end
local model = { ir_version = 8, producer = "by hand", opsets = { [""] = 17 }, metadata = {}, functions = {} }
model.graph = { name = "small",
  nodes = { conv("stem.conv", "image", "a", 3, 8, 2), node("Relu", { "a" }, "b"),
    conv("blocks.0.conv1", "b", "c", 8, 8, 1), node("Relu", { "c" }, "d"), conv("blocks.0.conv2", "d", "e", 8, 8, 1),
    node("Add", { "e", "b" }, "f"), node("Relu", { "f" }, "g"),
    conv("blocks.1.conv1", "g", "h", 8, 12, 2), node("Relu", { "h" }, "i"), node("GlobalAveragePool", { "i" }, "j"),
    node("Flatten", { "j" }, "k", { axis = 1 }),
    node("Gemm", { "k", tensor("fc.weight", 5, 12), tensor("fc.bias", 5) }, "l", { transB = 1 }),
    node("Softmax", { "l" }, "scores", { axis = 1 }) },
  inputs = { { name = "image", dtype = "float32", shape = { "N", 3, "H", "W" } } },
  outputs = { { name = "scores", dtype = "float32", shape = { "N", 5 } } }, values = {}, tensors = tensors }
core.onnx_write(path, model)

local function names_of(net)
  local list = {}
  for k = 1, net:stage_count() do list[k] = net:stage_name(k) end
  return table.concat(list, " ")
end

t.test("is described, and opened when somebody looks into it", function()
  local net = tlua.models.onnx { path = path }
  t.equal(net:label(), ("models.onnx(%s)"):format(path))
  t.equal(rawget(net, "calls"), nil)
  t.equal(nn.is_module(net), true)
  t.equal(names_of(net), "stem blocks.0 blocks.1 pool")
  t.equal(net.classes .. " " .. net.head_name .. " " .. net.notes[1],
    "5 fc the softmax at its end was dropped: losses want what goes into it")
  t.equal(net:find("blocks.0.conv1"):path(), "blocks.0.conv1")
  local inside = nn.Sequential(tlua.models.onnx { path = path, logits = false }, nn.Softmax())
  t.equal(#inside:specs(), 10)
  t.equal(inside:specs()[1].path, "0.stem.conv.weight")
  t.equal(table.concat(tlua.models.names(), " "):find("onnx", 1, true), nil) -- those that need no file
  t.fails("models.onnx: path is missing", function() tlua.models.onnx {} end)
  t.fails("unknown option of models.onnx: 'cutt'; did you mean 'cut'?", function()
    tlua.models.onnx { path = path, cutt = "g" }
  end)
  local e = t.fails("there is no file nothing.onnx", function() return tlua.models.onnx("nothing.onnx").classes end)
  t.equal(e:match "^[^:]+", "tests/lua/networks_of_files.lua")
end)

t.test("cut by a value of the file or by a stage, with a head, at a size", function()
  local x = core.randn(2, 32, 32, 3)
  local guard <close> = core.no_grad()
  local whole = tlua.models.onnx(path):eval()
  local by_value = tlua.models.onnx { path = path, cut = "g", classes = 4 }:eval()
  local by_stage = tlua.models.onnx { path = path, cut = "blocks.0", head = nn.Linear(4) }:eval()
  t.equal(by_value.classes .. " " .. by_stage.classes .. " " .. by_value:head():label(), "4 4 nn.Linear(8 -> 4)")
  by_stage:head():load(by_value:head():state_dict())
  t.equal((by_value(x) - by_stage(x)):abs():amax():item() < 1e-6, true)
  t.equal(by_value:state_dict()["blocks.1.conv1.weight"], nil)
  local features = whole:below(x, 2)
  assert((by_value:below(x, 2) - features):abs():amax():item() < 1e-5)
  local sized = tlua.models.onnx { path = path, input = 48 }
  t.equal(table.concat(sized:plan_inputs()[1], " "), "N 48 48 3")
  t.equal(sized:preprocessing().size, 48)
  t.fails("blocks.9'; did you mean 'blocks.0'?", function()
    return tlua.models.onnx { path = path, cut = "blocks.9" }.classes
  end)
  local random = tlua.models.onnx { path = path, weights = "none" }
  core.manual_seed(3)
  assert(random:state_dict()["fc.weight"]:abs():amax():item() <= 1 / math.sqrt(12))
  t.equal(random:state_dict()["fc.weight"]:hash() ~= whole:state_dict()["fc.weight"]:hash(), true)
end)

local function write(name, text)
  local file = io.open(folder .. "/" .. name, "w")
  file:write(text)
  file:close()
  return folder .. "/" .. name
end

local recipe = write("mine.lua", ([[
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.onnx { path = %q, input = 32 }, freeze = { "*", "!blocks.1.*" },
  data = tlua.data.folder { root = %q, batch = 4, mean = 0.5, std = 0.25 },
  optim = tlua.optim.SGD { lr = 0.05, momentum = 0.9 }, schedule = { epochs = 2 } }
]]):format(path, folder .. "/good"))

local function run(words, want)
  local status, out, err = t.run(("TLUA_CACHE=%s/cache ./tlua %s"):format(folder, words))
  t.equal(status, want or 0, words .. ": " .. err)
  return out, err
end

t.test("trained, cached, resumed, and a model file of its own that all commands take", function()
  local out = run(("%s --out %s/one"):format(recipe, folder))
  assert(out:find(("model     models.onnx(%s), weights: the file's"):format(path), 1, true), out)
  assert(out:find("cache     after blocks.0 (16 x 16 x 8, float16", 1, true), out)
  assert(out:find("note      the softmax at its end", 1, true), out)
  assert(out:find("head      nn.Linear(12 -> 3)", 1, true), out)
  run(("%s --out %s/two --schedule.epochs 1"):format(recipe, folder))
  run(("%s --resume %s/two --schedule.epochs 2 --force"):format(recipe, folder))
  local a, b = core.load(folder .. "/one/model.safetensors"), core.load(folder .. "/two/model.safetensors")
  for name, each in pairs(a) do t.equal(each:hash(), b[name]:hash(), name) end
  t.equal(a["stem.conv.weight"]:hash(), tensors[1].tensor:hash())
  assert(a["blocks.1.conv1.weight"]:hash() ~= tensors[7].tensor:hash())
  local info = core.json_decode(select(2, core.entries(folder .. "/one/model.safetensors")).tlua)
  t.equal(info.model .. " " .. tostring(next(info.options)), "custom nil")
  assert(run(("predict %s/one %s/good/a/0.png"):format(folder, folder)):find "%%")
  assert(run(("explain %s/one %s/good/a/0.png --to %s/looked"):format(folder, folder, folder)):find "places")
  assert(run(("explain %s/one %s/good/a/0.png --layer blocks.0 --to %s/looked"):format(folder, folder, folder))
    :find "relu_%d+, 16 x 16 places")
  assert(run(("params %s --model.cut blocks.0 --freeze 'stem.*'"):format(recipe)):find "blocks.0.conv2.weight")
  assert(run(("lr %s --to %s/lr.svg --steps 20"):format(recipe, folder)):find "lr.svg")
end)

t.test("out as ONNX and in again, under all commands", function()
  local picture = folder .. "/good/a/0.png"
  run(("export %s/one --to %s/out.onnx"):format(folder, folder))
  local want = run(("predict %s/one %s"):format(folder, picture))
  t.equal(run(("predict %s/out.onnx %s"):format(folder, picture)), want)
  run(("export %s/out.onnx --to %s/back.safetensors"):format(folder, folder))
  t.equal(run(("predict %s/back.safetensors %s"):format(folder, picture)), want)
  assert(run(("eval %s/out.onnx --data.root %s/good"):format(folder, folder)):find "accuracy")
  assert(run(("params %s/out.onnx 'blocks.0.*'"):format(folder)):find "blocks.0.conv2.weight")
  assert(run(("inspect %s/out.onnx"):format(folder)):find "labels         3: a, b, c")
  model.graph.outputs[2] = { name = "k", dtype = "float32", shape = { "N", 12 } }
  local shape = model.graph.inputs[1].shape
  model.graph.inputs[1].shape = { "N", 3, 32, 32 }
  core.onnx_write(folder .. "/two.onnx", model)
  model.graph.outputs[2], model.graph.inputs[1].shape = nil, shape
  local _, two = run(("predict %s/two.onnx %s"):format(folder, picture), 1)
  assert(two:find("the network has 2 outputs", 1, true), two)
  local _, err = run(("predict %s %s"):format(path, picture), 1)
  assert(err:find("does not say how large its pictures are", 1, true), err)
end)

t.test("on the command line: another file, another cut, another network", function()
  run(("%s --out %s/cut --model.cut blocks.0"):format(recipe, folder), 1)
  local out = run(("%s --out %s/cut --model.cut blocks.0 --freeze 'stem.*'"):format(recipe, folder))
  assert(out:find("head      nn.Linear(8 -> 3)", 1, true), out)
  assert(out:find("note      the head gets the mean over the places of (N, 16, 16, 8)", 1, true), out)
  out = run(("%s --out %s/graph --model graph --model.path %s/one --model.cut pool --freeze '*'"):format(recipe, folder,
    folder))
  local model = ("model     nn.Graph(%s/one/model.safetensors), cut at 'pool', weights: the file's"):format(folder)
  assert(out:find(model, 1, true) or out:find("model     models.graph", 1, true), out)
  assert(out:find("head      nn.Linear(12 -> 3)", 1, true), out)
  local _, err = run(("%s --model.pth x"):format(recipe), 2)
  assert(err:find("did you mean '--model.path'?", 1, true), err)
  _, err = run(("%s --model.path nothing.onnx --out %s/none"):format(recipe, folder), 1)
  assert(err:find(":2: there is no file nothing.onnx", 1, true), err)
end)

t.test("compared: from scratch beside frozen", function()
  local out = run(("compare %s --out %s/compared --compare.per_class 2 --compare.seeds 0 --freeze '*'"):format(
    write("compared.lua", ([[
local tlua = require "tlua"
local optim = tlua.optim
return tlua.recipe { model = tlua.models.onnx { path = %q, input = 32 },
  data = tlua.data.folder { root = %q, batch = 4, mean = 0.5, std = 0.25 },
  compare = { ways = { { name = "scratch", weights = "none", optim = optim.Adam { lr = 1e-3 },
      schedule = { epochs = 1 } },
    { name = "frozen", freeze = "*", optim = optim.Adam { lr = 1e-3 }, schedule = { epochs = 1 } } } } }
]]):format(path, folder .. "/good")), folder))
  assert(out:find "scratch" and out:find "frozen", out)
end)

t.finish()
os.execute("rm -r " .. folder)
