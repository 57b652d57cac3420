-- onnx_file.lua - .onnx files as core.onnx_read shows them: nodes, attributes, tensors of all types, files that lie. Each is written here,
-- byte by byte (run_protobuf.lua).
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

t.test("what is no such file, or cut short", function()
  write("m.onnx", "")
  t.fails("m.onnx: the file is empty", core.onnx_read, path)
  write("m.onnx", "<html>")
  t.fails("m.onnx: this is a web page", core.onnx_read, path)
  t.fails("cannot be opened", core.onnx_read, folder .. "/none")
  local whole = pb.model(pb.bytes(5, pb.tensor("w", 1, { 2 }, pb.raw("f", 1, 2))) .. pb.bytes(1, pb.node("Relu", { "w" }, { "y" })))
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
