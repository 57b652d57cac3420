-- onnx_write.lua - what is written as .onnx is read again as the same: every operator in the orders of dimensions in
-- which networks use it, the command line, what cannot be written. onnxruntime's answers to the same files:
-- tests/interop/onnx_write.py.
local t = dofile "tests/lua/run_tests.lua"
local cases = dofile "tests/lua/run_onnx_cases.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local write = require "tlua.onnx.write"
local onnx = require "tlua.onnx"

local folder = t.folder()
local path = folder .. "/m.onnx"

-- Relative to the length of the second; NaN and whatever else is no number counts as infinitely far.
local function apart(a, b)
  assert(a:rank() == b:rank(), "ranks differ")
  for i = 1, a:rank() do assert(a:shape(i) == b:shape(i), "shapes differ") end
  local d = (a - b):square():sum():sqrt():item() / (b:square():sum():sqrt():item() + 1e-30)
  return d == d and d or math.huge
end

-- The answers of the file, run node by node in its own order, to inputs of ours.
local function answers(list, inputs)
  local given, out = {}, {}
  for i, x in ipairs(inputs) do given["in" .. i] = cases.outer(x) end
  local got = onnx.run(path, given)
  for i = 1, #list.outputs do
    local y = got["out" .. i]
    out[i] = y.tensor or core.tensor(y.numbers):reshape(table.unpack(y.dims))
  end
  return out
end

local function check(each, options)
  local guard <close> = core.no_grad()
  local scope <close> = core.scope()
  local list = cases.trace(each)
  core.onnx_write(path, write.model(list, cases.constants, {}, options))
  for _, sizes in ipairs { { 2, 5 }, { 3, 7 } } do
    local inputs = cases.inputs(each, table.unpack(sizes))
    local wanted, got = table.pack(each.f(table.unpack(inputs))), answers(list, inputs)
    t.equal(#got, wanted.n)
    for i, y in ipairs(got) do
      local d = apart(y, cases.outer(wanted[i]))
      assert(d < 1e-6 * (each.loose or 1), ("%s, output %d: %g"):format(each.name, i, d))
    end
  end
end

-- What reading does not know yet is said, and taken up by itself once it does; onnxruntime looks at it meanwhile
-- (tests/interop/onnx_write.py).
local late = { resize_ways = true, grid_sample = true, max_pool_places = true, roi_align = true }
local function check_if_read(each, options)
  local ok, why = pcall(check, each, options)
  if ok then return end
  if not late[each.name] or not tostring(why):find "not supported" then error(why, 0) end
  print("not read yet: " .. each.name)
end

for _, each in ipairs(cases.list) do
  t.test(each.name, function() check_if_read(each, each.opset > 17 and { opset = each.opset } or nil) end)
end
for _, opset in ipairs { 13, 18, 21 } do
  t.test("opset " .. opset, function()
    for _, each in ipairs(cases.list) do
      local ok, why = true, nil
      if opset >= each.opset then ok, why = pcall(check_if_read, each, { opset = opset }) end
      if not ok then error(("%s: %s"):format(each.name, why), 0) end
    end
  end)
end

t.test("batch norms folded", function()
  local function norm(y) return core.ops.batch_norm(y, nil, cases.constants["six.running_mean"],
    cases.constants["six.running_mean"], cases.constants["six.running_var"], { activation = "relu", eps = 1e-3 }) end
  local function conv(x) return core.ops.conv(x, cases.constants["conv.weight"], { padding = { 1 } }) end
  local function left(f)
    local each = { name = "folded", inputs = { { "N", 6, 7, 4 } }, f = f }
    check(each, { fold = true })
    local n = 0
    for _, node in ipairs(core.onnx_read(path).graph.nodes) do n = n + (node.op == "BatchNormalization" and 1 or 0) end
    return n
  end
  t.equal(left(function(x) return norm(conv(x)) end), 0)
  t.equal(left(function(x) return norm(core.ops.conv(x, cases.constants["conv.weight"],
    cases.constants["conv.bias"])) end), 0)
  t.equal(left(function(x) -- another one wants the convolution's own result
    local y = conv(x)
    return norm(y) + y
  end), 1)
  t.equal(left(function(x) return norm(conv(x)) + conv(x) end), 1) -- the weight has another use
  t.equal(left(function(x) return norm(conv(x):relu()) end), 1)
end)

-- What is written behind rows, and what core.detect makes of them.
local of_boxes = dofile "tests/lua/run_onnx_boxes.lua"
for _, each in ipairs(of_boxes.list) do
  t.test("boxes behind rows: " .. each.name, function()
    for _, opset in ipairs { 13, 17, 21 } do
      local guard <close> = core.no_grad()
      local scope <close> = core.scope()
      local rows, wanted = of_boxes.write(each, path, opset)
      local got = onnx.run(path, { rows = rows })
      local function most(a, b) return (a - b):abs():amax():item() end
      assert(most(got.boxes.tensor, wanted.boxes) < 1e-3, "boxes: " .. most(got.boxes.tensor, wanted.boxes))
      assert(most(got.scores.tensor, wanted.scores) < 1e-5, "scores: " .. most(got.scores.tensor, wanted.scores))
      t.equal(got.selected and got.selected.dims[1], wanted.selected and #wanted.selected)
      if wanted.selected then
        local n, scores = got.selected.numbers or got.selected.tensor:reshape(-1):tolist(), got.scores.tensor:tolist()
        for i, s in ipairs(wanted.selected) do
          t.equal(("%d %d %d"):format(table.unpack(n, 3 * i - 2, 3 * i)), ("%d %d %d"):format(s[1], s[2], s[3]))
          assert(math.abs(scores[s[1] + 1][s[3] + 1][s[2] + 1] - s[4]) < 1e-5, "the score of a box")
        end
        assert(#wanted.selected >= 10, "few boxes")
      end
    end
  end)
end

t.test("means of windows with gaps", function()
  local each = { name = "gaps", inputs = { { "N", 6, 7, 4 } }, f = function(x)
    return core.ops.avg_pool(x, { kernel = { 2 }, stride = { 1 }, dilation = { 2 } })
  end }
  t.fails("avg_pool (with gaps, before opset 19)", check, each)
  check(each, { opset = 19 })
end)

t.test("no turning within a convolutional network, weights under their names", function()
  local net = tlua.models.resnet18 { weights = "none", classes = 3 }
  net:ready()
  net:eval()
  local text = require("tlua.plan").text(net, { { "N", 64, 64, 3, name = "image" } })
  local tensors, count = {}, {}
  for name, x in net:named_tensors() do tensors[name] = x end
  local g = write.graph(core.plan_calls(text), tensors)
  for _, n in ipairs(g.nodes) do count[n.op] = (count[n.op] or 0) + 1 end
  t.equal(count.Transpose, nil)
  t.equal(count.BatchNormalization, 20)
  t.equal(g.inputs[1].name .. table.concat(g.inputs[1].shape, " "), "imageN 3 64 64")
  t.equal(g.outputs[1].name .. table.concat(g.outputs[1].shape, " "), "outputN 3")
  local shapes = {}
  for _, x in ipairs(g.tensors) do shapes[x.name] = table.concat(x.dims, " ") end
  for name, x in pairs(tensors) do t.equal(shapes[name], table.concat(x:shape(), " "), name) end
end)

-- Clips of other lengths than those of the trace, behind whose ends there is noise.
t.test("a network that hears, from the wave", function()
  local guard <close> = core.no_grad()
  core.manual_seed(5)
  local net = tlua.models.conformer { blocks = 1, width = 16, heads = 2, ffn = 32, classes = 5, normalize = "clip" }
  net:ready()
  net:eval()
  require("tlua.weights.onnx_export").write(path, net, {}, net:plan_inputs(), nil, {})
  local x, lengths = core.randn(3, 9001) * 0.1, core.tensor({ 9001, 5000, 900 }, { dtype = "int32" })
  local wanted, left = net(x, lengths)
  local got = onnx.run(path, { input = x, lengths = lengths })
  assert(apart(got.output.tensor, wanted) < 1e-5)
  t.equal(table.concat(got.output_lengths.tensor:tolist(), " "), table.concat(left:tolist(), " "))
  t.equal(table.concat(got.output.dims, " "), table.concat(wanted:shape(), " "))
  local again = tlua.models.onnx { path = path, sizes = { T = 9001 } }
  again:ready()
  again:eval()
  assert(apart(again(x, lengths)[1], wanted) < 1e-5)
end)

t.test("logarithms of mel bands", function()
  local guard <close> = core.no_grad()
  local net = tlua.nn.MelSpectrogram {}
  net:ready()
  local each = { name = "log-mel", inputs = { { "N", "T" }, { ids = { "N" } } },
    f = function(x, n) return net(x, n) end }
  local inputs = { core.randn(2, 8000) * core.tensor { { 1e-4 }, { 0.3 } },
    core.tensor({ 8000, 4321 }, { dtype = "int32" }) }
  cases.constants.window, cases.constants.bank = net.window, net.bank
  core.onnx_write(path, write.model(cases.trace(each), cases.constants, {}, {}))
  local wanted = net(table.unpack(inputs))
  local got = onnx.run(path, { in1 = inputs[1], in2 = inputs[2] }).out1.tensor
  assert((got - wanted):abs():amax():item() < 1e-4)
  t.fails("ONNX cannot hold it: there is nothing there for stft (of more than 4096 points)", write.graph,
    { inputs = {}, outputs = {}, symbols = {}, calls = { { op = "stft", inputs = { 1, "window" },
      attrs = { n_fft = 4097 }, sized = {} } } }, {})
end)

-- How many turnings of values (not of weights) a case's graph has.
local function turnings(name)
  for _, each in ipairs(cases.list) do
    if each.name == name then
      local n, made = 0, {}
      for _, node in ipairs(write.graph(cases.trace(each), cases.constants).nodes) do
        if node.op == "Transpose" and (made[node.inputs[1]] or node.inputs[1]:find "^in") then n = n + 1 end
        for _, output in ipairs(node.outputs) do made[output] = true end
      end
      return n
    end
  end
end

-- `broadcast` turns a product of constants.
t.test("values are turned where an operator wants it alone", function()
  for name, n in pairs { conv = 0, gate = 0, squeeze = 0, slices = 0, pads = 0, softmaxes = 0,
    concat = 0, flatten = 0,
    broadcast = 1, shuffle = 1, tokens = 1, flatten_ours = 1, layer_norm_map = 2, attention = 4 } do
    t.equal(turnings(name), n, name)
  end
end)

t.test("what ONNX has no word for is said at once", function()
  local list = { inputs = { { name = "x", dtype = "float32", dims = { "N", 3 } } }, outputs = {}, symbols = { N = 2 } }
  list.calls = { { op = "mse_loss", inputs = { 1, 1 }, attrs = {}, sized = {} }, { op = "new_one", inputs = { 1 },
    attrs = {}, sized = {} },
    { op = "mse_loss", inputs = { 1, 1 }, attrs = {}, sized = {} },
    { op = "relu", inputs = { 1 }, attrs = { later = 2 }, sized = {} }, { op = "relu", inputs = { 1, 1 }, attrs = {},
      sized = {} },
    { op = "pad", inputs = { 1 }, attrs = { mode = "wrap" }, sized = {} } }
  t.fails("there is nothing there for mse_loss (a loss), new_one, relu (later), relu (its input 2), pad (mode wrap)",
    write.graph, list, {})
end)

-- ---- tlua export ----

local run = folder .. "/run"
assert(t.run(("./tlua tests/cli/make_pictures.lua %s"):format(folder)) == 0)
local nn = tlua.nn
local own = nn.Sequential(nn.Conv2d(3, 8, 3, { stride = 2, padding = 1, bias = false }), nn.BatchNorm2d(8), nn.ReLU(),
  nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
tlua.recipe { model = own, out = run, schedule = { epochs = 1 }, optim = tlua.optim.SGD { lr = 0.05 },
  data = tlua.data.folder { root = folder .. "/good", size = 32, batch = 4, mean = { 0.4, 0.5, 0.6 }, std = { 0.2,
    0.25, 0.3 } } }:run { style = "quiet" }
local net = tlua.models.load(run)

-- The answer of the written file to x (N, H, W, C), and the file.
local function exported(words, x)
  local status, _, why = t.run(("./tlua export %s --to %s %s"):format(run, path, words))
  t.equal(status, 0, why)
  return onnx.run(path, { image = x:permute(1, 4, 2, 3) }).output.tensor, core.onnx_read(path)
end

t.test("tlua export RUN --to FILE.onnx", function()
  local guard <close> = core.no_grad()
  local x = core.randn(2, 32, 32, 3)
  local y, file = exported("", x)
  assert(apart(y, net(x)) < 1e-6)
  t.equal(file.opsets[""], 17)
  t.equal(core.json_decode(file.metadata.tlua).model, "custom")
  t.equal(#core.json_decode(file.metadata.labels), 3)
  assert(file.metadata["tlua.pipeline"]:find "normalize%(mean=%[0.4, 0.5, 0.6%]", file.metadata["tlua.pipeline"])
  local names = {}
  for _, c in ipairs(file.graph.tensors) do names[c.name] = c.dims end
  for name, each in net:named_tensors() do
    t.equal(table.concat(names[name], " "), table.concat(each:shape(), " "), name)
  end
  local folded, bare = exported("--fold --opset 18", x)
  assert(apart(folded, net(x)) < 1e-6)
  t.equal(bare.opsets[""], 18)
  for _, n in ipairs(bare.graph.nodes) do assert(n.op ~= "BatchNormalization") end
end)

t.test("pixels that the graph normalises", function()
  local guard <close> = core.no_grad()
  local pixels = core.rand(2, 32, 32, 3) * 255
  local y, file = exported("--normalize", pixels)
  local mean, std = core.tensor { 0.4, 0.5, 0.6 }, core.tensor { 0.2, 0.25, 0.3 }
  local wanted = net((pixels / 255 - mean) / std)
  assert(apart(y, wanted) < 1e-6)
  assert(apart(net(pixels), wanted) > 0.01) -- it does something
  -- Who goes by the description normalises nothing a second time: white, which is 1 there, becomes 255.
  local p = core.json_decode(file.metadata.tlua).preprocessing
  t.equal((1 - p.mean) / p.std, 255.0)
end)

t.test("tlua predict says the same of what was exported, and of that exported again", function()
  local picture = folder .. "/good/a/0.png"
  local function said(model)
    local status, out, why = t.run(("./tlua predict %s %s"):format(model, picture))
    t.equal(status, 0, why)
    return out
  end
  local function export(from, to, words)
    local status, _, why = t.run(("./tlua export %s --to %s %s"):format(from, to, words or ""))
    t.equal(status, 0, why)
    return to
  end
  local wanted = said(run)
  assert(wanted:find "a [%d.]+ %%", wanted)
  local first = export(run, folder .. "/first.onnx")
  t.equal(said(first), wanted)
  t.equal(said(export(run, folder .. "/pixels.onnx", "--normalize")), wanted)
  t.equal(said(export(first, folder .. "/second.onnx", "--opset 20")), wanted)
end)

t.test("words that do not go together", function()
  local function fails(status, text, words)
    local got, _, why = t.run(("./tlua export %s %s"):format(run, words))
    t.equal(got, status, words)
    assert(why:find(text, 1, true), why)
  end
  fails(1, "--fold: is for .onnx files", ("--to %s/x.safetensors --fold"):format(folder))
  fails(1, "--opset: a whole number from 13 to 21 is needed, not 12", ("--to %s --opset 12"):format(path))
  fails(2, "opset", ("--to %s --opset x"):format(path))
  fails(1, "cannot write", ("--to %s/none/x.onnx"):format(folder))
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
