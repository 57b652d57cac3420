-- onnx_file.lua - .onnx files as core.onnx_read shows them: nodes, attributes, tensors of all types, files that lie.
-- Each is written here, byte by byte (run_protobuf.lua).
local t = dofile "tests/lua/run_tests.lua"
local pb = dofile "tests/lua/run_protobuf.lua"
local core = require "tlua.core"

local folder = t.folder()
local path = folder .. "/m.onnx"

local function write(name, bytes)
  local f = assert(io.open(folder .. "/" .. name, "wb"))
  f:write(bytes)
  f:close()
end
local function read(graph, ...)
  write("m.onnx", pb.model(graph, ...))
  return core.onnx_read(path)
end
-- Plain values are the same, types of numbers included.
local function same(got, want, what)
  if type(want) ~= "table" then
    t.equal(got, want, what)
    return t.equal(math.type(got), math.type(want), what)
  end
  for k, v in pairs(want) do same(got[k], v, k) end
  for k in pairs(got) do assert(want[k] ~= nil, tostring(k)) end
end
local function constant(...) return read(pb.bytes(5, pb.tensor("w", ...))).graph.tensors[1] end

t.test("nodes, attributes, inputs and what the file says of itself", function()
  local inner = pb.bytes(1, pb.node("Add", { "a", "b" }, { "c" })) .. pb.bytes(2, "body")
  local node = pb.node("Conv", { "x", "w", "" }, { "y" }, pb.bytes(3, "/features/0/Conv"),
    pb.attribute("kernel_shape", 7, pb.bytes(8, "\3\3")), pb.attribute("pads", 7, pb.int(8, 1), pb.int(8, -1)),
    pb.attribute("auto_pad", 3, pb.bytes(4, "NOTSET")), pb.attribute("alpha", 1, pb.float(2, 0.5)),
    pb.attribute("scales", 6, pb.bytes(7, string.pack("<ff", 1, 2))), pb.attribute("group", 2, pb.int(3, 1)),
    pb.attribute("names", 8, pb.bytes(9, "p"), pb.bytes(9, "q\0r")), pb.attribute("body", 5, pb.bytes(6, inner)),
    pb.attribute("value", 4, pb.bytes(5, pb.tensor("", 7, {}, pb.raw("i8", 7)))), pb.attribute("odd", 11, ""),
    pb.attribute("later", 1, pb.bytes(21, "outer")), pb.bytes(9, pb.bytes(1, "k"), pb.bytes(2, "v")))
  local m = read(pb.bytes(1, node) .. pb.bytes(2, "main") .. pb.bytes(11, pb.value("x", 1, { "N", 3, 224, false })) ..
    pb.bytes(12, pb.value("y", 16, {})) .. pb.bytes(13, pb.bytes(1, "z")), pb.bytes(2, "pytorch"), pb.bytes(3, "2.1"),
    pb.bytes(8, pb.bytes(1, "com.microsoft"), pb.int(2, 1)), pb.bytes(14, pb.bytes(1, "author"), pb.bytes(2, "me")))
  t.equal(m.ir_version, 8)
  t.equal(m.producer, "pytorch 2.1")
  same(m.opsets, { [""] = 17, ["com.microsoft"] = 1 })
  same(m.metadata, { author = "me" })
  local n = m.graph.nodes[1]
  t.equal(n.op, "Conv")
  t.equal(n.domain, "")
  t.equal(n.name, "/features/0/Conv")
  same(n.inputs, { "x", "w", "" })
  same(n.outputs, { "y" })
  same(n.metadata, { k = "v" })
  same(n.attrs.kernel_shape, { 3, 3 })
  same(n.attrs.pads, { 1, -1 })
  t.equal(n.attrs.auto_pad, "NOTSET")
  t.equal(math.type(n.attrs.group), "integer")
  t.equal(math.type(n.attrs.scales[1]), "float")
  t.equal(n.attrs.alpha, 0.5)
  same(n.attrs.names, { "p", "q\0r" })
  t.equal(n.attrs.body.nodes[1].op, "Add")
  same(n.attrs.value:numbers(), { 7 })
  same(n.attrs.odd, { unsupported = "sparse_tensor" })
  same(n.attrs.later, { reference = "outer" })
  same(m.graph.inputs[1], { name = "x", dtype = "float32", shape = { "N", 3, 224, false } })
  same(m.graph.outputs[1], { name = "y", dtype = "bfloat16", shape = {} })
  same(m.graph.values[1], { name = "z" })
end)

t.test("tensors, raw and in lists", function()
  local c = constant(1, { 2, 1 }, pb.raw("f", 1.5, -2))
  t.equal(c.name .. c.dtype .. c.count .. c:bytes(), "wfloat3228")
  same(c.dims, { 2, 1 })
  same(c:numbers(), { 1.5, -2.0 })
  same(c:tensor():tolist(), { { 1.5 }, { -2.0 } })
  t.fails("m.onnx: tensor 'w': has 2 numbers, 1 are the most here", function() c:numbers(1) end)
  same(constant(1, { 1 }, pb.float(4, 0.25)):numbers(), { 0.25 })
end)

t.test("every type of number", function()
  local function numbers(type, dims, ...)
    local c = constant(type, dims, ...)
    return c:numbers(), c
  end
  same(numbers(2, { 2 }, pb.raw("B", 200, 1)), { 200, 1 })
  same(numbers(3, { 2 }, pb.raw("b", -3, 1)), { -3, 1 })
  same(numbers(4, { 1 }, pb.raw("I2", 65535)), { 65535 })
  same(numbers(5, { 1 }, pb.raw("i2", -2)), { -2 })
  same(numbers(6, { 1 }, pb.raw("i4", -7)), { -7 })
  same(numbers(7, { 1 }, pb.raw("i8", math.mininteger)), { math.mininteger })
  same(numbers(9, { 2 }, pb.raw("B", 0, 1)), { 0, 1 })
  same(numbers(10, { 2 }, pb.raw("I2", 0x3c00, 0xc100)), { 1.0, -2.5 })
  same(numbers(11, { 1 }, pb.raw("d", 0.1)), { 0.1 })
  same(numbers(12, { 1 }, pb.raw("I4", 4294967295)), { 4294967295 })
  same(numbers(13, { 1 }, pb.raw("i8", 5)), { 5 })
  same(numbers(16, { 1 }, pb.raw("I2", 0x3fc0)), { 1.5 })
  same(numbers(17, { 3 }, pb.raw("B", 0x38, 0x7e, 0x81)), { 1.0, 448.0, -2.0 ^ -9 })
  same(numbers(18, { 2 }, pb.raw("B", 0x40, 0x7f)), { 1.0, 240.0 })
  same(numbers(19, { 2 }, pb.raw("B", 0x3c, 0x7c)), { 1.0, math.huge })
  same(numbers(20, { 1 }, pb.raw("B", 0x40)), { 1.0 })
  same(numbers(21, { 3 }, pb.raw("B", 0xf1, 0x02)), { 1, 15, 2 })
  same(numbers(22, { 3 }, pb.raw("B", 0xf1, 0x02)), { 1, -1, 2 })
  same(numbers(23, { 4 }, pb.raw("B", 0xf1, 0x12)), { 0.5, -6.0, 1.0, 0.5 })
  -- In the lists of the narrow types each number has a place of its own, whatever its width.
  same(numbers(10, { 2 }, pb.int(5, 0x3c00), pb.int(5, 0xc100)), { 1.0, -2.5 })
  same(numbers(3, { 2 }, pb.int(5, -3), pb.int(5, 1)), { -3, 1 })
  same(numbers(9, { 2 }, pb.bytes(5, "\0\1")), { 0, 1 })
  same(numbers(7, { 2 }, pb.int(7, -1), pb.bytes(7, "\5")), { -1, 5 })
  same(numbers(11, { 1 }, pb.bytes(10, string.pack("<d", 0.1))), { 0.1 })
  same(numbers(12, { 1 }, pb.bytes(11, "\9")), { 9 })
  same(numbers(22, { 3 }, pb.bytes(5, pb.varint(0xf1), "\2")), { 1, -1, 2 })
  same(constant(8, { 2 }, pb.bytes(6, "a"), pb.bytes(6, "b\0")):strings(), { "a", "b\0" })
  same(constant(1, { 0, 3 }):numbers(), {})
  same(constant(1, { 2, 0 }):tensor():shape(), { 2, 0 })
  local _, c = numbers(10, { 2 }, pb.raw("I2", 0x3c00, 0xc100))
  same(c:tensor():tolist(), { 1.0, -2.5 })
  _, c = numbers(7, { 1, 2 }, pb.raw("i8", -1, 5))
  same(c:tensor():tolist(), { { -1, 5 } })
  t.equal(c:tensor():dtype(), "int32")
  t.fails("tensor 'w': element 0 is 2147483648, which does not fit into 32 bits", function()
    constant(7, { 1 }, pb.raw("i8", 1 << 31)):tensor()
  end)
  t.fails("element 0 is -1, which", function() constant(13, { 1 }, pb.raw("i8", -1)):tensor() end)
  t.fails("holds a number of 2^63 or more", function() constant(13, { 1 }, pb.raw("i8", -1)):numbers() end)
  t.fails("its elements are complex64, no numbers", function() constant(14, { 1 }, pb.raw("f", 1, 2)):numbers() end)
  t.equal(constant(99, { 1 }).dtype, "type 99")
  t.fails("its elements are of type 99", function() constant(99, { 1 }):numbers() end)
  t.fails("its shape wants 2 numbers, 1 are there", function() constant(6, { 2 }, pb.int(5, 1)) end)
  t.fails("has more dimensions", function() constant(1, { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, pb.raw("f", 1)):tensor() end)
end)

t.test("numbers in a file beside it, and in none that is elsewhere", function()
  local function pair(key, value) return pb.bytes(13, pb.bytes(1, key), pb.bytes(2, value)) end
  local function outside(location, more, dims)
    return constant(1, dims or { 2 }, pair("location", location), pb.int(14, 1), more or "")
  end
  core.mkdirs(folder .. "/sub")
  write("sub/w.data", string.pack("<fff", 1, 2, 3))
  same(outside("sub/w.data", pair("offset", "4") .. pair("length", "8")):numbers(), { 2.0, 3.0 })
  same(outside("sub/w.data"):tensor():tolist(), { 1.0, 2.0 })
  t.fails("bytes 8 to 16 of \"sub/w.data\", which has 12", outside, "sub/w.data", pair("offset", "8"))
  t.fails("take 8 bytes, 4 are said", outside, "sub/w.data", pair("length", "4"))
  t.fails("is no number", outside, "sub/w.data", pair("offset", "-4"))
  t.fails("is no number", outside, "sub/w.data", pair("offset", "99999999999999999999"))
  t.fails("which is missing", outside, "none.data")
  for _, far in ipairs { "../../etc/passwd", "/etc/passwd", "sub/../../x", "..", "" } do
    t.fails("not in the folder of the model", outside, far)
  end
  os.execute(("ln -s /etc/passwd '%s/link' && ln -s sub/w.data '%s/near'"):format(folder, folder))
  t.fails("a link that leaves the folder", outside, "link")
  same(outside("near"):numbers(), { 1.0, 2.0 })
  t.fails("this is a folder", outside, "sub")
  local kept = outside("sub/w.data")
  collectgarbage()
  same(kept:numbers(), { 1.0, 2.0 })
  -- A model named without its folder.
  local count = [[print(#require("tlua.core").onnx_read("m.onnx").graph.tensors)]]
  local command = "here=$PWD; cd '%s' && \"$here/tlua\" -e '" .. count .. "'"
  local status, out, why = t.run(command:format(folder))
  t.equal(status, 0, why)
  t.equal(out, "1\n")
end)

t.test("files that lie take no more than they have", function()
  local deep = ""
  for _ = 1, 40 do deep = pb.bytes(1, pb.node("If", {}, {}, pb.attribute("then_branch", 5, pb.bytes(6, deep)))) end
  t.fails("graphs lie within graphs more than 32 deep", read, deep)
  for _ = 1, 2000 do deep = pb.bytes(1, pb.node("If", {}, {}, pb.attribute("then_branch", 5, pb.bytes(6, deep)))) end
  t.fails("its parts lie within each other more than", read, deep)
  t.fails("takes far more memory", read, pb.bytes(5, ""):rep(2000000))
  t.fails("a name in a NodeProto is not UTF-8", read, pb.bytes(1, pb.node("a\0b", {}, {})))
  t.fails("a name in a NodeProto is not UTF-8", read, pb.bytes(1, pb.node("\xff", {}, {})))
  write("m.onnx", pb.int(1, 8))
  t.fails("holds no graph", core.onnx_read, path)
  t.fails("is one of several segments", constant, 1, { 1 }, pb.bytes(3, pb.int(1, 0)), pb.raw("f", 1))
end)

t.test("what is written is what is read", function()
  local x = core.tensor { { 1.5, -2 }, { 3, 4 } }
  local plain = { op = "Add", domain = "", name = "", inputs = {}, outputs = {}, attrs = {} }
  local graph = {
    name = "g", inputs = { { name = "x", dtype = "float32", shape = { "N", 3, false } } },
    outputs = { { name = "y", dtype = "int64", shape = {} } }, values = { { name = "z" } },
    tensors = { { name = "w", tensor = x }, { name = "s", dtype = "int64", dims = { 2 }, numbers = { -1, 4 } },
      { name = "i", tensor = core.tensor({ 7 }, { dtype = "int32" }), dtype = "int64" },
      { name = "one", dtype = "float32", dims = {}, numbers = { 0.5 } }, { name = "h", tensor = x:to "float16" },
      { name = "b", dtype = "bool", numbers = { true, false } }, { name = "none", dtype = "int64", numbers = {} } },
    nodes = { { op = "Op", domain = "", name = "n", inputs = { "x", "", "w" }, outputs = { "y" }, attrs = {
      int = 3, float = 0.5, text = "a\0b", ints = { 1, -2 }, floats = { 1.0, 2.5 }, texts = { "p", "q" },
      empty = { ints = {} }, whole = { floats = { 1, 2 } }, value = { dtype = "int32", dims = { 1 }, numbers = { 9 } },
      body = { name = "b", nodes = { plain } } } } },
  }
  local model = { opsets = { [""] = 17 }, metadata = { a = "1", b = "" }, graph = graph }
  core.onnx_write(path, model)
  local m = core.onnx_read(path)
  same(m.opsets, model.opsets)
  same(m.metadata, model.metadata)
  same(m.graph.inputs, graph.inputs)
  same(m.graph.outputs, graph.outputs)
  same(m.graph.values, graph.values)
  local a = m.graph.nodes[1].attrs
  same(a.value:numbers(), { 9 })
  same(a.body.nodes, graph.nodes[1].attrs.body.nodes)
  a.value, a.body = nil, nil
  same(a, { int = 3, float = 0.5, text = "a\0b", ints = { 1, -2 }, floats = { 1.0, 2.5 }, texts = { "p", "q" },
    empty = {}, whole = { 1.0, 2.0 } })
  local list = m.graph.tensors
  same(list[1]:tensor():tolist(), x:tolist())
  same(list[2]:numbers(), { -1, 4 })
  t.equal(list[3].dtype .. list[4].dtype .. list[5].dtype .. list[6].dtype, "int64float32float16bool")
  same(list[4].dims, {})
  same(list[5]:numbers(), { 1.5, -2.0, 3.0, 4.0 })
  same(list[6]:numbers(), { 1, 0 })
  same(list[7].dims, { 0 })
  -- What was read is written, though the file goes away under it.
  m.graph.nodes[1].attrs.empty = nil
  core.onnx_write(path, m)
  same(core.onnx_read(path).graph.tensors[1]:numbers(), { 1.5, -2.0, 3.0, 4.0 })
  local function fails(text, graph)
    t.fails(text, core.onnx_write, path, { opsets = {}, metadata = {}, graph = graph })
  end
  fails("a node without an operator", { nodes = { {} } })
  fails("there is no dtype 'int5'", { tensors = { { name = "x", dtype = "int5", numbers = {} } } })
  fails("tensor 'x' has other dimensions than numbers", { tensors = { { name = "x", tensor = x, dims = { 3 } } } })
  fails("an element must be a whole number", { tensors = { { name = "x", dtype = "int64", numbers = { 0.5 } } } })
  fails("the attribute 'k' is empty; say {ints = {}}", { nodes = { { op = "Op", attrs = { k = {} } } } })
  local loop = {}
  loop.nodes = { { op = "If", attrs = { body = loop } } }
  fails("graphs within graphs, too deep", loop)
  t.fails("cannot write", core.onnx_write, folder .. "/none/m.onnx", { graph = {} })
end)

t.test("what is no such file, or cut short", function()
  write("m.onnx", "")
  t.fails("m.onnx: the file is empty", core.onnx_read, path)
  write("m.onnx", "<html>")
  t.fails("m.onnx: this is a web page", core.onnx_read, path)
  t.fails("cannot be opened", core.onnx_read, folder .. "/none")
  local tensor = pb.bytes(5, pb.tensor("w", 1, { 2 }, pb.raw("f", 1, 2)))
  local whole = pb.model(tensor .. pb.bytes(1, pb.node("Relu", { "w" }, { "y" })))
  for n = 1, #whole - 1 do
    write("m.onnx", whole:sub(1, n))
    local ok, why = pcall(core.onnx_read, path)
    if not ok then assert(tostring(why):find("m.onnx: ", 1, true) and not tostring(why):find "\n", why) end
  end
  t.fails("tensor 'w': its numbers take 12 bytes, 8 are there", function() constant(1, { 3 }, pb.raw("f", 1, 2)) end)
  t.fails("tensor 'w': its shape is impossible", function() constant(1, { 1 << 40, 1 << 40 }, pb.raw("f", 1, 2)) end)
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
