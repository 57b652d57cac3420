-- onnx.lua - reading the nodes of ONNX files: small graphs made here, and what becomes of them. Beside ONNX Runtime:
-- make test-interop.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local onnx = require "tlua.onnx"
local graph = require "tlua.nn.graph"
local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir -p " .. folder)

-- ---- making graphs ----

local function node(op, inputs, outputs, attrs, more)
  local n = { op = op, domain = "", name = "", inputs = {}, outputs = {}, attrs = attrs or {} }
  for name in inputs:gmatch "%S+" do n.inputs[#n.inputs + 1] = name == "-" and "" or name end
  for name in outputs:gmatch "%S+" do n.outputs[#n.outputs + 1] = name end
  for key, v in pairs(more or {}) do n[key] = v end
  return n
end
local function floats(name, dims, seed)
  local n = 1
  for _, d in ipairs(dims) do n = n * d end
  return { name = name, tensor = (core.ops.sin(core.arange(n) * 1.7 + (seed or #name)) * 0.3):reshape(dims) }
end
local function numbers(name, list, dims)
  return { name = name, dtype = "int64", dims = dims or { #list }, numbers = list }
end
local function port(name, shape, dtype) return { name = name, dtype = dtype or "float32", shape = shape } end

local count = 0
local function write(nodes, inputs, outputs, tensors, opset)
  count = count + 1
  local path = ("%s/%d.onnx"):format(folder, count)
  core.onnx_write(path, { ir_version = 8, producer = "test", opsets = { [""] = opset or 17 },
    graph = { name = "g", nodes = nodes, inputs = inputs, outputs = outputs, tensors = tensors or {} } })
  return path
end

local function open(nodes, inputs, outputs, tensors, options, opset)
  return onnx.open(write(nodes, inputs, outputs, tensors, opset), options)
end

-- The operators of a plan in their order: "conv relu".
local function calls(m)
  local list = {}
  for _, c in ipairs(core.plan_calls(m.text).calls) do list[#list + 1] = c.op end
  return table.concat(list, " ")
end

-- What a network says of x, and what the nodes say one by one; both in the file's order.
local function both(path, x, options)
  local m = onnx.open(path, options)
  local net = graph.from { text = m.text, tensors = m.tensors, label = path }
  net:ready()
  net:eval()
  local given = x
  if m.inputs[1].picture then given = core.ops.permute(x, { axes = { 1, 3, 4, 2 } }) end
  local guard <close> = core.no_grad()
  local y = net(given)
  if m.outputs[1].channels_last then
    y = core.ops.permute(y, { axes = y:rank() == 4 and { 1, 4, 2, 3 } or { 1, 3, 2 } })
  end
  local name = core.onnx_read(path).graph.outputs[1].name
  return y, onnx.run(path, { [m.inputs[1].name] = x })[name].tensor, m
end

-- ---- layouts ----

t.test("no transposition is left between convolutions, sums, joined maps and shuffled channels", function()
  local nodes = {
    node("Conv", "x w1 b1", "a", { pads = { 1, 1, 1, 1 } }), node("Relu", "a", "b"),
    node("Conv", "b w2", "c", { pads = { 1, 1, 1, 1 } }), node("Add", "b c", "d"),
    node("Concat", "d b", "e", { axis = 1 }), node("Reshape", "e s1", "f"),
    node("Transpose", "f", "g", { perm = { 0, 2, 1, 3, 4 } }), node("Reshape", "g s2", "h"),
    node("Mul", "h scale", "i"), node("MaxPool", "i", "j", { kernel_shape = { 2, 2 }, strides = { 2, 2 } }),
    node("GlobalAveragePool", "j", "k"), node("Flatten", "k", "l"), node("Gemm", "l w3 b3", "y", { transB = 1 }) }
  local tensors = { floats("w1", { 4, 3, 3, 3 }), floats("b1", { 4 }), floats("w2", { 4, 4, 3, 3 }, 9),
    floats("scale", { 1, 8, 1, 1 }), floats("w3", { 5, 8 }), floats("b3", { 5 }), numbers("s1", { 0, 2, 4, 8, 8 }),
    numbers("s2", { 0, 8, 8, 8 }) }
  local path = write(nodes, { port("x", { "batch", 3, 8, 8 }) }, { port("y", { "batch", 5 }) }, tensors)
  local y, want, m = both(path, core.randn(3, 3, 8, 8))
  t.equal(calls(m), "conv relu conv add concat reshape permute reshape mul max_pool mean reshape linear")
  assert(t.distance(y, want) < 1e-5)
end)

t.test("pictures that come channels last, with transpositions around each convolution", function()
  local nodes = { node("Transpose", "x", "a", { perm = { 0, 3, 1, 2 } }), node("Conv", "a w", "b"),
    node("Transpose", "b", "c", { perm = { 0, 2, 3, 1 } }), node("Add", "c bias", "d"),
    node("Transpose", "d", "e", { perm = { 0, 3, 1, 2 } }), node("Relu", "e", "f"),
    node("Transpose", "f", "y", { perm = { 0, 2, 3, 1 } }) }
  local m = open(nodes, { port("x", { "N", 6, 6, 3 }) }, { port("y", { "N", 5, 5, 2 }) },
    { floats("w", { 2, 3, 2, 2 }), floats("bias", { 2 }) })
  t.equal(calls(m), "conv add relu")
  t.equal(m.inputs[1].picture, false)
end)

t.test("a reshape that tears rows apart, and means over channels, are as in ONNX's order", function()
  local nodes = { node("Conv", "x w", "a"), node("Reshape", "a s", "b"),
    node("ReduceMean", "b", "c", { axes = { 1 }, keepdims = 0 }), node("Softmax", "c", "y", { axis = 1 }) }
  local path = write(nodes, { port("x", { 2, 3, 4, 6 }) }, { port("y", { 2, 4, 9 }) },
    { floats("w", { 6, 3, 1, 1 }), numbers("s", { 2, 4, 4, 9 }) })
  local y, want = both(path, core.randn(2, 3, 4, 6))
  assert(t.distance(y, want) < 1e-5)
end)

-- ---- patterns ----

t.test("what exporters write out is one operator again", function()
  local function one(text, want, tensors, shape)
    local nodes = {}
    for line in text:gmatch "[^;]+" do
      local op, inputs, output = line:match "(%S+) (.-) > (%S+)"
      local attrs = op == "ReduceMean" and { axes = { -1 } } or op == "Softmax" and { axis = -1 }
        or op == "Transpose" and { perm = { 0, 2, 1, 3 } } or {}
      if op == "TransposeLast" then op, attrs = "Transpose", { perm = { 0, 2, 3, 1 } } end
      nodes[#nodes + 1] = node(op, inputs, output, attrs)
    end
    local all = { floats("w", { 4 }), floats("b", { 4 }) }
    for name, v in pairs { half = 0.5, one = 1.0, two = 2.0, root2 = 1.4142135381698608, eps = 1e-5, three = 3.0,
      six = 6.0, zero = 0.0, slope = 0.1, c = 0.044715, d = 0.7978845608 } do
      all[#all + 1] = { name = name, dtype = "float32", dims = {}, numbers = { v } }
    end
    for _, each in ipairs(tensors or {}) do all[#all + 1] = each end
    local path = write(nodes, { port("x", shape or { "N", 5, 4 }) }, { port("y", { false, false, false }) }, all)
    local x = core.randn(3, table.unpack(shape or { 0, 5, 4 }, 2))
    local y, _, m = both(path, x)
    t.equal(calls(m), want)
    -- Node by node: each with its own output, so that nothing is recognised.
    local plain = onnx.run(path, { x = x }).y.tensor
    assert(t.distance(y, plain) < 2e-5, want .. " differs")
  end
  one("Div x root2 > a; Erf a > e; Add e one > f; Mul x f > g; Mul g half > y", "gelu")
  one("Div x root2 > a; Erf a > e; Add e one > f; Mul x half > g; Mul g f > y", "gelu")
  one("Pow x three > p; Mul p c > q; Add x q > r; Mul r d > s; Tanh s > u; Add u one > v; Mul x half > h; Mul h v > y",
    "gelu_tanh")
  one("Sigmoid x > a; Mul x a > y", "silu")
  one("Add x three > a; Clip a zero six > t; Mul x t > m; Div m six > y", "hardswish")
  one("Mul x slope > a; Max a x > y", "leaky_relu")
  one("Softplus x > a; Tanh a > h; Mul x h > y", "mish")
  one("ReduceMean x > m; Sub x m > d1; Pow d1 two > s; ReduceMean s > v; Add v eps > ve; Sqrt ve > r; Div d1 r > n; "
    .. "Mul n w > nw; Add nw b > y", "layer_norm")
  one("MatMul x wm > a; Add a wb > y", "linear", { floats("wm", { 4, 6 }), floats("wb", { 6 }) })
  local heads = "MatMul x wq > q0; MatMul x wk > k0; MatMul x wv > v0; Reshape q0 hs > q1; Reshape k0 hs > k1; "
    .. "Reshape v0 hs > v1; Transpose q1 > q; TransposeLast k1 > k; Transpose v1 > v; MatMul q k > s; Div s two > s2; "
  local rest = "MatMul p v > o; Transpose o > o2; Reshape o2 os > y"
  local weights = { floats("wq", { 4, 8 }, 1), floats("wk", { 4, 8 }, 2), floats("wv", { 4, 8 }, 3),
    numbers("hs", { 0, 0, 2, 4 }), numbers("os", { 0, 0, 8 }), floats("mask", { 2, 1, 5 }, 4), floats("row", { 5, 1 }) }
  local read = "linear reshape linear reshape linear reshape "
  one(heads .. "Softmax s2 > p; " .. rest, read .. "reshape reshape reshape attention reshape reshape", weights)
  one(heads .. "Add mask s2 > s3; Softmax s3 > p; " .. rest,
    read .. "reshape reshape reshape reshape attention reshape reshape", weights)
  -- A mask that all keys share is no bias of ours.
  one(heads .. "Add s2 row > s3; Softmax s3 > p; " .. rest,
    read .. "permute permute matmul mul_scalar add softmax permute matmul permute reshape", weights)
end)

t.test("four quarters as channels in front of a convolution are one convolution", function()
  local nodes, tensors = {}, { floats("w", { 5, 12, 3, 3 }), floats("b", { 5 }), numbers("zero", { 0 }),
    numbers("one", { 1 }), numbers("end", { 1 << 40 }), numbers("rows", { 2 }), numbers("columns", { 3 }),
    numbers("two", { 2 }) }
  for i, at in ipairs { { "zero", "zero" }, { "one", "zero" }, { "zero", "one" }, { "one", "one" } } do
    nodes[#nodes + 1] = node("Slice", ("x %s end rows two"):format(at[1]), "r" .. i)
    nodes[#nodes + 1] = node("Slice", ("r%d %s end columns two"):format(i, at[2]), "q" .. i)
  end
  nodes[#nodes + 1] = node("Concat", "q1 q2 q3 q4", "c", { axis = 1 })
  nodes[#nodes + 1] = node("Conv", "c w b", "y", { pads = { 1, 1, 1, 1 }, kernel_shape = { 3, 3 } })
  local y, want, m = both(write(nodes, { port("x", { "N", 3, 10, 12 }) }, { port("y", { "N", 5, 5, 6 }) }, tensors),
    core.randn(3, 3, 10, 12))
  t.equal(calls(m), "conv")
  assert(t.distance(y, want) < 1e-5)
end)

t.test("a value in the middle of a pattern that is an output keeps its nodes", function()
  local m = open({ node("Sigmoid", "x", "s"), node("Mul", "x s", "y") }, { port("x", { "N", 4 }) },
    { port("y", { "N", 4 }), port("s", { "N", 4 }) })
  t.equal(calls(m), "sigmoid mul")
end)

-- ---- sizes ----

t.test("batch and length are left open; positions and masks are calls", function()
  local nodes = { node("Shape", "ids", "sh"), node("Gather", "sh one", "len", { axis = 0 }),
    node("Range", "zero len step", "pos"), node("Gather", "ptable pos", "p", { axis = 0 }),
    node("Gather", "table ids", "e", { axis = 0 }), node("Add", "e p", "h"),
    node("ReduceMean", "h", "y", { axes = { 1 }, keepdims = 0 }) }
  local tensors = { floats("table", { 11, 4 }), floats("ptable", { 40, 4 }), numbers("one", { 1 }, {}),
    numbers("zero", { 0 }, {}), numbers("step", { 1 }, {}) }
  local path = write(nodes, { port("ids", { "batch", "T" }, "int64") }, { port("y", { "batch", 4 }) }, tensors)
  local m = onnx.open(path)
  assert(m.text:find('"T":', 1, true) and m.text:find('"N":', 1, true))
  local net = graph.from { text = m.text, tensors = m.tensors, label = path }
  for _, shape in ipairs { { 2, 7 }, { 5, 31 } } do
    local ids = core.ops.cast(core.rand(shape[1], shape[2]) * 10.9, { dtype = "int32" })
    local guard <close> = core.no_grad()
    assert(t.distance(net(ids), onnx.run(path, { ids = ids }).y.tensor) < 1e-5)
  end
end)

t.test("a file of one picture takes any number where its calls allow it, and says so where they do not", function()
  local tensors = { floats("w", { 4, 3, 3, 3 }), numbers("s", { 1, -1 }), floats("w2", { 64, 2 }),
    numbers("mix", { 2, 2, 16 }), numbers("back", { 1, 64 }) }
  local good = { node("Conv", "x w", "a"), node("Reshape", "a s", "b"), node("MatMul", "b w2", "y") }
  local m = open(good, { port("x", { 1, 3, 6, 6 }) }, { port("y", { 1, 2 }) }, tensors)
  t.equal(m.inputs[1].dims[1], "N")
  -- The sum over all rows is not that of one.
  local bad = { node("Conv", "x w", "a"), node("ReduceMean", "a", "m", { keepdims = 1 }), node("Sub", "a m", "b"),
    node("Flatten", "b", "y") }
  m = open(bad, { port("x", { 1, 3, 6, 6 }) }, { port("y", { 1, 64 }) }, tensors)
  t.equal(m.inputs[1].dims[1], 1)
  assert(table.concat(m.notes, " "):find "one picture at a time")
end)

t.test("a size that calls hang on in no simple way is asked for", function()
  local nodes = { node("Conv", "x w", "a"), node("Flatten", "a", "f"), node("Shape", "f", "sh"),
    node("Gather", "sh one", "n", { axis = 0 }), node("Unsqueeze", "n zero", "n1"),
    node("ConstantOfShape", "n1", "big"), node("Add", "f big", "y") }
  local inputs = { port("x", { "N", 3, "h", "w" }) }
  local tensors = { floats("w", { 2, 3, 3, 3 }), numbers("one", { 1 }, {}), numbers("zero", { 0 }) }
  t.fails("sizes = {", open, nodes, inputs, { port("y", { "N", false }) }, tensors)
  assert(open(nodes, inputs, { port("y", { "N", false }) }, tensors, { sizes = { h = 8, w = 8 } }))
end)

t.test("padding that another size would want otherwise is not kept for all sizes", function()
  local nodes = { node("Conv", "x w", "y", { auto_pad = "SAME_UPPER", strides = { 2, 2 } }) }
  local inputs, outputs = { port("x", { "N", 3, "h", "w" }) }, { port("y", { "N", 2, false, false }) }
  local tensors = { floats("w", { 2, 3, 3, 3 }) }
  t.fails("sizes = {", open, nodes, inputs, outputs, tensors)
  local path = write(nodes, inputs, outputs, tensors)
  for _, n in ipairs { 7, 8 } do
    local y, want = both(path, core.randn(2, 3, n, n), { sizes = { h = n, w = n } })
    assert(t.distance(y, want) < 1e-5)
  end
  nodes[1].attrs.strides = nil
  assert(open(nodes, inputs, outputs, tensors))
end)

-- ---- names ----

t.test("weights are called as the exporter called them, or after their modules, or beside their bias", function()
  local nodes = { node("Conv", "x features.0.weight features.0.bias", "a"),
    node("Conv", "a onnx::Conv_9 onnx::Conv_10", "b", {}, { name = "/layer1/layer1.0/conv1/Conv" }),
    node("Flatten", "b", "f"), node("MatMul", "f onnx::MatMul_11", "m"), node("Add", "m head.bias", "y") }
  local tensors = { floats("features.0.weight", { 4, 3, 3, 3 }), floats("features.0.bias", { 4 }),
    floats("onnx::Conv_9", { 2, 4, 1, 1 }), floats("onnx::Conv_10", { 2 }), floats("onnx::MatMul_11", { 32, 3 }),
    floats("head.bias", { 3 }) }
  local m = open(nodes, { port("x", { "N", 3, 6, 6 }) }, { port("y", { "N", 3 }) }, tensors)
  for _, name in ipairs { "features.0.weight", "features.0.bias", "layer1.0.conv1.weight", "layer1.0.conv1.bias",
    "head.weight", "head.bias" } do
    assert(m.tensors[name], name .. " is missing")
  end
  assert(table.concat(m.notes, " "):find "1 convolutions carry a folded batch norm")
  t.equal(table.concat(m.tensors["head.weight"]:shape(), " "), "3 32") -- (out, in)
end)

t.test("fresh batch norms change nothing in inference, nor with the first batch in training", function()
  local nodes = { node("Conv", "x onnx::Conv_1 onnx::Conv_2", "a", {}, { name = "/features/features.0/Conv" }),
    node("Relu", "a", "b"), node("GlobalAveragePool", "b", "c"), node("Flatten", "c", "y") }
  local path = write(nodes, { port("x", { "N", 3, 6, 6 }) }, { port("y", { "N", 4 }) },
    { floats("onnx::Conv_1", { 4, 3, 3, 3 }), floats("onnx::Conv_2", { 4 }) })
  local function network(options)
    local m = onnx.open(path, options)
    local net = graph.from { text = m.text, tensors = m.tensors, label = path }
    net:ready()
    return net, m
  end
  local x = core.randn(5, 6, 6, 3)
  local plain = network()
  local fresh, m = network { batchnorm = "fresh" }
  assert(m.tensors["features.0.norm.running_var"] and table.concat(m.notes):find "fresh one")
  plain:eval()
  fresh:eval()
  local want
  do
    local guard <close> = core.no_grad()
    want = plain(x)
    assert(t.distance(fresh(x), want) < 1e-6)
  end
  fresh:train()
  assert(t.distance(fresh(x), want) < 1e-5)
  local variance = fresh:find "features.0.norm"._tensors.running_var
  assert(core.ops.amin(variance):item() > 0)
  t.fails("no convolution carries", onnx.open,
    write({ node("Relu", "x", "y") }, { port("x", { "N", 4 }) }, { port("y", { "N", 4 }) }), { batchnorm = "fresh" })
end)

t.test("a tensor of several layers is said to be one", function()
  local m = open({ node("MatMul", "x w", "a"), node("Relu", "a", "b"), node("MatMul", "b w", "y") },
    { port("x", { "N", 4 }) }, { port("y", { "N", 4 }) }, { floats("w", { 4, 4 }) })
  assert(table.concat(m.notes, " "):find "1 tensors belong to several layers")
end)

-- ---- control flow, functions, whole numbers ----

t.test("control flow that a constant decides is gone; other is refused by name", function()
  local function branch(op)
    return { name = op, nodes = { node(op, "x", op .. "_y") }, inputs = {}, outputs = { port(op .. "_y", nil) },
      tensors = {} }
  end
  local attrs = { then_branch = branch "Relu", else_branch = branch "Sigmoid" }
  local yes = { name = "c", dtype = "bool", dims = {}, numbers = { 1 } }
  t.equal(calls(open({ node("If", "c", "y", attrs) }, { port("x", { "N", 4 }) }, { port("y", { "N", 4 }) }, { yes })),
    "relu")
  local e = t.fails("control flow", open,
    { node("ReduceMax", "x", "m", { keepdims = 0 }), node("Greater", "m zero", "c"), node("If", "c", "y", attrs) },
    { port("x", { "N", 4 }) }, { port("y", { "N", 4 }) },
    { { name = "zero", dtype = "float32", dims = {}, numbers = { 0 } } })
  assert(not e:find "\n", e)
  local rate = { node("Equal", "rate r16", "c"), node("If", "c", "y", attrs) }
  local inputs, tensors = { port("x", { "N", 4 }), port("rate", {}, "int64") }, { numbers("r16", { 16000 }, {}) }
  t.fails("values = { rate = ... }", open, rate, inputs, { port("y", { "N", 4 }) }, tensors)
  t.equal(calls(open(rate, inputs, { port("y", { "N", 4 }) }, tensors, { values = { rate = 16000 } })), "relu")
  t.equal(calls(open(rate, inputs, { port("y", { "N", 4 }) }, tensors, { values = { rate = 8000 } })), "sigmoid")
  t.fails("did you mean 'rate'", open, rate, inputs, { port("y", { "N", 4 }) }, tensors, { values = { rat = 1 } })
  t.fails("unknown size 'M'", open, rate, inputs, { port("y", { "N", 4 }) }, tensors,
    { values = { rate = 1 }, sizes = { M = 2 } })
end)

t.test("where no size of those that are tried goes, the open ones are named", function()
  local nodes = { node("Pad", "x pads", "y", { mode = "reflect" }) }
  t.fails("can be given: sizes = { batch = ..., length = ... }", open, nodes,
    { port("x", { "batch", "length" }) }, { port("y", nil) }, { numbers("pads", { 0, 90000, 0, 90000 }) })
end)

t.test("the size of pictures that lie channels last in the file, and what normalises them is not trained", function()
  local nodes = { node("Sub", "x normalize.mean", "a", nil, { name = "/normalize/Sub" }),
    node("Transpose", "a", "b", { perm = { 0, 3, 1, 2 } }), node("Conv", "b w", "c"),
    node("GlobalAveragePool", "c", "d"), node("Flatten", "d", "y") }
  local tensors = { floats("w", { 4, 3, 3, 3 }), floats("normalize.mean", { 3 }) }
  local found = open(nodes, { port("x", { "N", 16, 24, 3 }) }, { port("y", { "N", 4 }) }, tensors)
  t.equal(table.concat(found.preprocessing.size, " "), "16 24")
  t.equal(found.preprocessing.channels, nil) -- 3, as always
  t.equal(found.fixed["normalize.mean"], true)
  t.equal(found.fixed["w"], nil)
  local grey = open({ node("Reshape", "x shape", "b"), node("Conv", "b w", "c"), node("GlobalAveragePool", "c", "d"),
    node("Flatten", "d", "y") },
    { port("x", { "N", 16, 16, 1 }) }, { port("y", { "N", 4 }) },
    { floats("w", { 4, 1, 3, 3 }), numbers("shape", { -1, 1, 16, 16 }) })
  t.equal(grey.preprocessing.size .. " " .. grey.preprocessing.channels, "16 1")
  local path = write(nodes, { port("x", { "N", 16, 16, 3 }) }, { port("y", { "N", 4 }) }, tensors)
  local net = require("tlua.models").onnx { path = path, input = { 32, 48 } }
  t.equal(table.concat(net:plan_inputs()[1], " "), "N 32 48 3")
end)

t.test("weights of whole numbers are what they stand for", function()
  local q = { name = "q", dtype = "int8", dims = { 4, 2 }, numbers = { 1, -2, 3, 4, -5, 6, 7, -8 } }
  local nodes = { node("DequantizeLinear", "q scale z", "w", { axis = 1 }), node("QuantizeLinear", "x xs xz", "xq"),
    node("DequantizeLinear", "xq xs xz", "xd"), node("MatMul", "xd w", "y") }
  local tensors = { q, { name = "scale", dtype = "float32", dims = { 2 }, numbers = { 0.5, 0.25 } },
    { name = "z", dtype = "int8", dims = { 2 }, numbers = { 0, 1 } },
    { name = "xs", dtype = "float32", dims = {}, numbers = { 0.1 } },
    { name = "xz", dtype = "uint8", dims = {}, numbers = { 128 } } }
  local m = open(nodes, { port("x", { "N", 4 }) }, { port("y", { "N", 2 }) }, tensors)
  t.equal(calls(m), "linear")
  local _, w = next(m.tensors)
  t.equal(table.concat(w:reshape(-1):tolist(), " "), "0.5 1.5 -2.5 3.5 -0.75 0.75 1.25 -2.25")
  t.equal(#m.notes, 2)
end)

t.test("docs/onnx.md lists the operators that are read, and no others", function()
  local text, listed = assert(io.open "docs/onnx.md"):read "a", {}
  text = text:match "\n### Operators\n(.-)\n### "
  for group, names in (text:match "\n(%- .-)\n\n" .. "\n- "):gsub("\n%- ", "\0"):gmatch "%*%*(.-)%*%*: ([^\0]+)" do
    for name in names:gmatch "%u%w+" do listed[(group:find "microsoft" and "com.microsoft:" or "") .. name] = true end
  end
  for _, op in ipairs(onnx.operators()) do
    assert(listed[op] or op:find "^tlua:", op .. " is not in docs/onnx.md")
    listed[op] = nil
  end
  assert(not next(listed), "docs/onnx.md lists what is not read: " .. tostring(next(listed)))
end)

-- ---- what is wrong ----

t.test("all operators that are not supported are named at once", function()
  local nodes = { node("Frobnicate", "x", "a", {}, { name = "first" }), node("Relu", "a", "b"), node("Quux", "b", "c"),
    node("Frobnicate", "c", "y") }
  local e = t.fails("not supported", open, nodes, { port("x", { "N", 4 }) }, { port("y", { "N", 4 }) })
  for _, want in ipairs { "Frobnicate (opset 17, 2 nodes, the first 'first')", "Quux (opset 17, 1 node" } do
    assert(e:find(want, 1, true), e)
  end
end)

t.test("an attribute or an input that no handler would look at is refused by name", function()
  local x, y = { port("x", { "N", 3, 8, 8 }) }, { port("y", { false, false, false, false }) }
  local w = { floats("w", { 4, 3, 3, 3 }), floats("c", { 3 }), floats("m", { 2, 2 }), numbers("i", { 0 }) }
  for want, case in pairs {
    ["attribute 'colour' is not known"] = { node("Relu", "x", "y", { colour = 3 }) },
    ["attribute 'max' ended with opset 11"] = { node("Clip", "x", "y", { max = 6.0 }) },
    ["has 2 inputs, and the operator has 1"] = { node("Sigmoid", "x x", "y") },
    ["'kernel_shape' says 1 where the weight is"] = { node("Conv", "x w", "y", { kernel_shape = { 1, 1 } }) },
    ["spatial = 0"] = { node("BatchNormalization", "x c c c c", "y", { spatial = 0 }), 7 },
    ["the approximation 'rough'"] = { node("Gelu", "x", "y", { approximate = "rough" }), 20 },
    ["the mode 'RCD'"] = { node("DepthToSpace", "x", "y", { blocksize = 2, mode = "RCD" }) },
    ["the reduction 'mean'"] = { node("ScatterND", "x i x", "y", { reduction = "mean" }), 18 },
    ["the type of the number 8 is not supported"] = { node("EyeLike", "m", "y", { dtype = 8 }) },
  } do
    t.fails(want, open, { case[1] }, x, y, w, nil, case[2])
  end
  -- The second input in the middle of the first, as opset 6 had it, is the same for constants.
  local k = { floats("k", { 2, 3, 2 }), floats("b", { 3 }) }
  local path = write({ node("Pow", "k b", "p", { axis = 1, broadcast = 1 }), node("Add", "x p", "y") },
    { port("x", { 2, 3, 2 }) }, { port("y", { 2, 3, 2 }) }, k, 1)
  local got = onnx.run(path, { x = core.zeros(2, 3, 2) }).y.tensor
  local base, b = k[1].tensor, k[2].tensor:reshape { 3, 1 }
  local want = core.ops.pow(core.ops.abs(base), core.ops.expand(b, { shape = { 2, 3, 2 } }))
  local fine = core.ops.gt(base, core.zeros(1))
  assert(t.distance(core.ops.where(fine, got, want), want) < 1e-5)
end)

t.test("a reduction over no axes still squares, and takes absolute values and logarithms", function()
  local none = numbers("none", { 0 })
  none.dims, none.numbers = { 0 }, {}
  local x = core.tensor { 3, -2 }
  for op, want in pairs { ReduceSumSquare = { 9, 4 }, ReduceL1 = { 3, 2 }, ReduceL2 = { 3, 2 },
    ReduceSum = { 3, -2 } } do
    local path = write({ node(op, "x none", "y", { noop_with_empty_axes = 1 }) }, { port("x", { 2 }) },
      { port("y", { 2 }) }, { none }, 18)
    assert(t.distance(onnx.run(path, { x = x }).y.tensor, core.tensor(want)) < 1e-6, op)
  end
end)

t.test("graphs that make no sense are refused in one line", function()
  local x, y = { port("x", { "N", 3, 8, 8 }) }, { port("y", { "N", 4 }) }
  for want, case in pairs {
    ["form a loop"] = { { node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y") } },
    ["two nodes make"] = { { node("Relu", "x", "y"), node("Sigmoid", "x", "y") } },
    ["is not made by any node"] = { { node("Add", "x nothing", "y") } },
    ["cannot be shaped"] = { { node("Reshape", "x s", "y") }, { numbers("s", { 7, 7, 7 }) } },
    ["has to be a constant"] = { { node("Cast", "x", "s", { to = 7 }), node("Reshape", "x s", "y") } },
    ["there is no axis"] = { { node("Softmax", "x", "y", { axis = 9 }) } },
    ["does not broadcast"] = nil,
    ["too large"] = { { node("ConstantOfShape", "s", "big"), node("Add", "big x", "y") },
      { numbers("s", { 1 << 20, 1 << 20, 64 }) } },
    ["two tensors are called"] = { { node("Add", "x w", "y") }, { floats("w", { 1 }), floats("w", { 1 }) } },
  } do
    local e = t.fails(want, open, case[1], x, y, case[2])
    assert(e:find("%.onnx: ") and not e:find "\n" and not e:find "attempt to", e)
  end
end)

t.test("what a file contradicts itself in, or asks too much of, is refused", function()
  local x, y = { port("x", { "N", 3, 8, 8 }) }, { port("y", { "N", false }) }
  local w = floats("w", { 4, 3, 3, 3 })
  local one, wide = { name = "one", dtype = "float32", dims = { 8 }, numbers = { 1, 2, 3, 4, 5, 6, 7, 8 } }, {}
  for i = 1, 40 do
    wide[i] = node("Concat", i == 1 and "one one" or ("c%d c%d"):format(i - 1, i - 1), "c" .. i, { axis = 0 })
  end
  wide[41], wide[42] = node("ReduceSum", "c40", "r", { keepdims = 0 }), node("Add", "x r", "y")
  for want, case in pairs {
    ["'kernel_shape' says 5 where the weight is (4, 3, 3, 3)"] = { { node("Conv", "x w", "y",
      { kernel_shape = { 5, 5 } }) }, { w } },
    ["'pads' has 1 numbers, and (3, 3, 8, 8) wants 4"] = { { node("Conv", "x w", "y", { pads = { 1 } }) }, { w } },
    ["the value 'y' is made by a node, and is a tensor too"] = { { node("Relu", "x", "y") }, { floats("y", { 1 }) } },
    ["it is of opset 0"] = { { node("Relu", "x", "y") }, {}, 0 },
    ["comes to more than 268435456 numbers"] = { wide, { one } },
    ["(60000, 60000) is too large"] = { { node("Range", "a b d", "k"), node("Unsqueeze", "k d1", "u"),
      node("Add", "k u", "m"), node("Cast", "m", "f", { to = 1 }), node("ReduceSum", "f", "s", { keepdims = 0 }),
      node("Add", "x s", "y") }, { numbers("a", { 0 }, {}), numbers("b", { 60000 }, {}), numbers("d", { 1 }, {}),
      numbers("d1", { 1 }) } },
    ["1048576 filters"] = { { node("MelWeightMatrix", "n n r lo hi", "k"),
      node("ReduceSum", "k", "s", { keepdims = 0 }), node("Add", "x s", "y") },
      { numbers("n", { 1 << 20 }, {}), numbers("r", { 16000 }, {}), numbers("lo", { 0 }, {}),
        numbers("hi", { 8000 }, {}) } },
  } do t.fails(want, open, case[1], x, y, case[2], nil, case[3]) end
  t.fails("it has no outputs", open, { node("Relu", "x", "y") }, x, {})
  t.fails("two inputs are called 'x'", open, { node("Relu", "x", "y") }, { x[1], x[1] }, y)
  t.fails("there is no value or node '' to cut at", open, { node("Relu", "x", "a"), node("Abs", "a", "y") }, x, y, {},
    { cut = "" })
  local odd = { name = "odd", dtype = "float32", dims = { 8 }, numbers = { 1, 2, 3, math.huge, 0 / 0, 6, 7, 8 } }
  t.equal(open({ node("Mul", "x odd", "y") }, x, { port("y", { "N", 3, 8, 8 }) }, { odd }).notes[1],
    "1 weights hold numbers that are not finite, the first is odd")
  os.execute(("mkfifo %s/fifo.onnx"):format(folder))
  t.fails("not a regular file", onnx.open, folder .. "/fifo.onnx")
end)

t.test("answers that were once wrong", function()
  local function run(nodes, inputs, tensors, given, opset)
    local y = onnx.run(write(nodes, inputs, { port("y", { false, false }) }, tensors, opset), given).y
    return table.concat(y.numbers or y.tensor:reshape(-1):tolist(), " ")
  end
  local x = core.tensor { -1, 0.5, 2 }:reshape { 1, 3 }
  local rows = { port("x", { "N", 3 }) }
  -- The upper limit rules; reductions over no axes still take sizes and squares.
  t.equal(run({ node("Clip", "x lo hi", "y") }, rows,
    { { name = "lo", dtype = "float32", dims = {}, numbers = { 1 } },
      { name = "hi", dtype = "float32", dims = {}, numbers = { -1 } } }, { x = x }), "-1.0 -1.0 -1.0")
  local none = { name = "none", dtype = "int64", dims = { 0 }, numbers = {} }
  t.equal(run({ node("ReduceL1", "x none", "y", { noop_with_empty_axes = 1 }) }, rows, { none }, { x = x }, 18),
    "1.0 0.5 2.0")
  t.equal(run({ node("ReduceSumSquare", "x none", "y", { noop_with_empty_axes = 1 }) }, rows, { none }, { x = x }, 18),
    "1.0 0.25 4.0")
  -- Means of whole numbers are whole numbers, towards zero.
  t.equal(run({ node("ReduceMean", "x", "m", { axes = { 1 }, keepdims = 0 }), node("Cast", "m", "y", { to = 1 }) },
    { port("x", { "N", 3 }, "int64") }, {},
    { x = core.tensor({ 1, 2, 5, -1, -2, -2 }, { dtype = "int32" }):reshape { 2, 3 } }), "2.0 -1.0")
  -- output_shape takes more from the start than from the end, and adds what is missing at the end.
  local line = { port("x", { "N", 1, 2 }) }
  local w = { name = "w", dtype = "float32", dims = { 1, 1, 2 }, numbers = { 1, 10 } }
  local given = { x = core.tensor { 1, 2 }:reshape { 1, 1, 2 } }
  t.equal(run({ node("ConvTranspose", "x w", "y", { strides = { 2 }, output_shape = { 3 } }) }, line, { w }, given),
    "10.0 2.0 20.0")
  t.equal(run({ node("ConvTranspose", "x w", "y", { strides = { 2 }, output_shape = { 5 } }) }, line, { w }, given),
    "1.0 10.0 2.0 20.0 0.0")
end)

os.execute("rm -r " .. folder)
t.finish()
