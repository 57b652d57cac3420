-- onnx_lies.lua - graphs that are changed at random: an attribute, an input, a size, a type, an operator, a number.
-- Whatever comes of it, reading ends with a network or with one line that names the file.
--   tlua tests/lua/onnx_lies.lua [SECONDS] [SEED]
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local onnx = require "tlua.onnx"
local seconds, seed = tonumber(arg[1] or 8), tonumber(arg[2] or 1)
math.randomseed(seed)
local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir -p " .. folder)

local function node(op, inputs, outputs, attrs)
  local n = { op = op, domain = "", name = op:lower(), inputs = {}, outputs = {}, attrs = attrs or {} }
  for name in inputs:gmatch "%S+" do n.inputs[#n.inputs + 1] = name == "-" and "" or name end
  for name in outputs:gmatch "%S+" do n.outputs[#n.outputs + 1] = name end
  return n
end
local function floats(name, dims)
  local list = {}
  for i = 1, (function()
    local n = 1
    for _, d in ipairs(dims) do n = n * d end
    return n
  end)() do list[i] = math.sin(i) end
  return { name = name, dtype = "float32", dims = dims, numbers = list }
end
local function whole(name, list, dims, dtype)
  return { name = name, dtype = dtype or "int64", dims = dims or { #list }, numbers = list }
end

-- Three graphs that have most of what there is in them; made anew for each change.
local function pictures()
  return { nodes = {
    node("Pad", "x pads", "p", { mode = "reflect" }),
    node("Conv", "p w b", "a", { strides = { 2, 2 }, pads = { 1, 1, 1, 1 }, group = 1 }),
    node("BatchNormalization", "a g be m v", "bn", { epsilon = 1e-5 }), node("Clip", "bn lo hi", "c"),
    node("MaxPool", "c", "mp", { kernel_shape = { 2, 2 }, strides = { 1, 1 }, ceil_mode = 0 }),
    node("ConvTranspose", "mp wt", "ct", { strides = { 2, 2 }, output_padding = { 1, 1 } }),
    node("Resize", "ct - scales", "r", { mode = "linear", coordinate_transformation_mode = "half_pixel" }),
    node("DepthToSpace", "r", "ds", { blocksize = 2, mode = "CRD" }),
    node("AveragePool", "ds", "ap", { kernel_shape = { 3, 3 }, auto_pad = "SAME_UPPER" }),
    node("InstanceNormalization", "ap one1 zero1", "in"), node("Reshape", "in s", "rs"),
    node("Softmax", "rs", "y", { axis = -1 }) },
    inputs = { { name = "x", dtype = "float32", shape = { "N", 3, 8, 8 } } },
    outputs = { { name = "y", dtype = "float32", shape = { "N", false } } },
    tensors = { whole("pads", { 0, 0, 1, 1, 0, 0, 1, 1 }), floats("w", { 4, 3, 3, 3 }), floats("b", { 4 }),
      floats("g", { 4 }), floats("be", { 4 }), floats("m", { 4 }), floats("v", { 4 }), floats("lo", {}),
      { name = "hi", dtype = "float32", dims = {}, numbers = { 6 } }, floats("wt", { 4, 4, 2, 2 }),
      { name = "scales", dtype = "float32", dims = { 4 }, numbers = { 1, 1, 2, 2 } }, floats("one1", { 1 }),
      floats("zero1", { 1 }), whole("s", { 0, -1 }) } }
end
local function words()
  return { nodes = {
    node("Shape", "ids", "sh"), node("Gather", "sh i1", "T", { axis = 0 }), node("Range", "z T o", "pos"),
    node("Unsqueeze", "pos ax", "pos2"), node("Gather", "table ids", "e"), node("Gather", "ptable pos2", "pe"),
    node("Add", "e pe", "h"), node("LayerNormalization", "h g be", "ln", { axis = -1, epsilon = 1e-5 }),
    node("MatMul", "ln wq", "q"), node("Split", "q sizes", "q1 q2", { axis = 2 }),
    node("Transpose", "q2", "qt", { perm = { 0, 2, 1 } }), node("MatMul", "q1 qt", "sc"),
    node("Trilu", "sc", "tri", { upper = 0 }), node("Softmax", "tri", "pr", { axis = 2 }),
    node("MatMul", "pr ln", "ctx"), node("Einsum", "ctx wo", "eo", { equation = "bij,jk->bik" }),
    node("Slice", "eo st en axs", "sl"), node("Concat", "sl sl", "cc", { axis = -1 }),
    node("ReduceMean", "cc", "rm", { axes = { 1 }, keepdims = 0 }), node("CumSum", "rm i1", "cs"),
    node("TopK", "cs k", "tv ti", { axis = -1 }), node("Gemm", "tv wg bg", "y", { transB = 1, alpha = 1.0 }) },
    inputs = { { name = "ids", dtype = "int64", shape = { "batch", "T" } } },
    outputs = { { name = "y", dtype = "float32", shape = { "batch", 2 } } },
    tensors = { whole("i1", { 1 }, {}), whole("z", { 0 }, {}), whole("o", { 1 }, {}), whole("ax", { 0 }),
      floats("table", { 9, 4 }), floats("ptable", { 64, 4 }), floats("g", { 4 }), floats("be", { 4 }),
      floats("wq", { 4, 8 }), whole("sizes", { 4, 4 }), floats("wo", { 4, 6 }), whole("st", { 0 }), whole("en", { 4 }),
      whole("axs", { 2 }), whole("k", { 3 }), floats("wg", { 2, 3 }), floats("bg", { 2 }) } }
end
local function whole_numbers()
  local body = { name = "body", nodes = { node("Add", "acc one", "acc2"), node("Identity", "cond", "cond2") },
    tensors = {}, inputs = { { name = "i", dtype = "int64", shape = {} }, { name = "cond", dtype = "bool", shape = {} },
      { name = "acc", dtype = "float32", shape = { false } } },
    outputs = { { name = "cond2", dtype = "bool", shape = {} },
      { name = "acc2", dtype = "float32", shape = { false } } } }
  return { nodes = {
    node("QuantizeLinear", "x xs xz", "q"), node("DequantizeLinear", "q xs xz", "d"),
    node("DequantizeLinear", "w8 ws wz", "w", { axis = 1 }), node("MatMul", "d w", "mm"),
    node("DynamicQuantizeLinear", "mm", "dq dsc dz"), node("MatMulInteger", "dq w2 dz", "mi"),
    node("Cast", "mi", "mf", { to = 1 }), node("Mul", "mf dsc", "ms"), node("Loop", "n true ms", "lo", { body = body }),
    node("Greater", "lo one", "gr"), node("Where", "gr lo one", "wh"),
    node("OneHot", "ids depth pair", "oh", { axis = -1 }), node("MatMul", "wh oh2", "ohm"),
    node("ArgMax", "ohm", "am", { axis = 1, keepdims = 1 }), node("Cast", "am", "amf", { to = 1 }),
    node("Expand", "amf es", "ex"), node("Tile", "ex reps", "y") },
    inputs = { { name = "x", dtype = "float32", shape = { "N", 4 } } },
    outputs = { { name = "y", dtype = "float32", shape = { "N", false } } },
    tensors = { { name = "xs", dtype = "float32", dims = {}, numbers = { 0.1 } }, whole("xz", { 128 }, {}, "uint8"),
      whole("w8", { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, { 4, 3 }, "int8"),
      { name = "ws", dtype = "float32", dims = { 3 }, numbers = { 0.5, 0.25, 1 } },
      whole("wz", { 0, 1, 2 }, nil, "int8"), whole("w2", { 1, 2, 3, 4, 5, 6 }, { 3, 2 }, "uint8"),
      whole("n", { 3 }, {}), whole("true", { 1 }, {}, "bool"), floats("one", { 1 }), whole("ids", { 0, 2 }),
      whole("depth", { 3 }, {}), { name = "pair", dtype = "float32", dims = { 2 }, numbers = { 0, 1 } },
      floats("oh2", { 2, 3 }), whole("es", { 1, 2 }), whole("reps", { 1, 2 }) } }
end
local MAKERS = { pictures, words, whole_numbers }

-- ---- changes ----

local function pick(list) return list[math.random(#list)] end
local OPS = onnx.operators()
local ODD = { 0, -1, 1, 2, 3, 7, 64, -64, 1 << 20, 1 << 31, -(1 << 31), 1 << 40, math.maxinteger, math.mininteger }
local ATTRS = { "axis", "axes", "perm", "pads", "kernel_shape", "strides", "group", "mode", "to", "keepdims",
  "blocksize", "auto_pad", "equation", "output_padding", "epsilon" }

local function odd_number() return math.random() < 0.7 and pick(ODD) or math.random(-5, 9) end
local function odd_list()
  local list = {}
  for i = 1, math.random(0, 5) do list[i] = odd_number() end
  return #list > 0 and list or { ints = {} }
end
local function any_value(g)
  local names = { "", "nothing" }
  for _, n in ipairs(g.nodes) do
    for _, o in ipairs(n.outputs) do names[#names + 1] = o end
  end
  for _, c in ipairs(g.tensors) do names[#names + 1] = c.name end
  return pick(names)
end

local CHANGES = {
  function(g) pick(g.nodes).op = pick(OPS):gsub("^.*:", "") end,
  function(g) table.remove(g.nodes, math.random(#g.nodes)) end,
  function(g)
    table.insert(g.nodes, math.random(#g.nodes),
      node(pick(OPS):gsub("^.*:", ""), any_value(g) .. " " .. any_value(g), "new" .. math.random(99)))
  end,
  function(g)
    local n = pick(g.nodes)
    n.inputs[math.random(#n.inputs + 1)] = any_value(g)
    for i = 1, #n.inputs do n.inputs[i] = n.inputs[i] or "" end
  end,
  function(g) table.remove(pick(g.nodes).inputs) end,
  function(g)
    local n = pick(g.nodes)
    n.attrs[next(n.attrs) or pick(ATTRS)] = nil
  end,
  function(g) pick(g.nodes).attrs[pick(ATTRS)] = odd_number() end,
  function(g) pick(g.nodes).attrs[pick(ATTRS)] = odd_list() end,
  function(g) pick(g.nodes).attrs[pick(ATTRS)] = pick { "SAME_LOWER", "edge", "ii->i", "...", "", "linear" } end,
  function(g)
    local c = pick(g.tensors)
    if #c.numbers > 0 then
      c.numbers[math.random(#c.numbers)] = c.dtype:find "int"
        and (c.dtype == "int64" and odd_number() or math.random(0, 100)) or pick { 0, -1, 1e30, 0 / 0, math.huge, 2.5 }
    end
  end,
  function(g)
    local c = pick(g.tensors)
    local n = #c.numbers
    c.dims = pick { { n }, { 1, n }, { n, 1 }, { 1, 1, n }, n == 1 and {} or { n } }
  end,
  function(g)
    local c = pick(g.tensors)
    c.numbers = { table.unpack(c.numbers, 1, math.max(1, #c.numbers - 1)) }
    c.dims = { #c.numbers }
  end,
  function(g) pick(g.tensors).dtype = pick { "float32", "float64", "int64", "int32", "float16" } end,
  function(g)
    local shape = g.inputs[1].shape
    shape[math.random(#shape)] = pick { 1, 2, 5, 64, "T", "q", false, 1 << 20 }
  end,
  function(g) g.inputs[1].shape[#g.inputs[1].shape + 1] = pick { 1, 3, "z" } end,
  function(g) g.inputs[1].dtype = pick { "int64", "float16", "bool", "float32" } end,
  function(g) g.outputs[1].name = any_value(g) end,
}

local function changed()
  local g = pick(MAKERS)()
  g.name = "g"
  for _ = 1, math.random(3) do
    local ok = pcall(pick(CHANGES), g)
    if not ok then break end
  end
  return g
end

local path = folder .. "/lie.onnx"
local function sane(e)
  e = tostring(e)
  local fine = e:find(path, 1, true) and not e:find "\n" and not e:find "attempt to" and not e:find "bad argument"
    and not e:find "^tlua/"
    and not e:find "stack overflow" and #e < 2000
  if not fine then
    error(("seed %d: %s"):format(seed, e), 0)
  end
end

t.test("changed graphs are read, or refused in one line", function()
  local begin, n, read = core.time(), 0, 0
  local worst = {}
  while core.time() - begin < seconds do
    local g = changed()
    if pcall(core.onnx_write, path,
      { ir_version = 8, producer = "test", opsets = { [""] = pick { 17, 17, 13, 11, 20, 9 } }, graph = g }) then
      n = n + 1
      local ok, m = pcall(onnx.open, path)
      if ok then read = read + 1
      else
        local good, why = pcall(sane, m)
        if not good then
          local key = why:gsub("seed.-onnx: ", ""):gsub("%b()", ""):gsub("\n.*", ""):sub(1, 100)
          worst[key] = worst[key] or why
        end
      end
      if n % 50 == 0 then collectgarbage() end
    end
  end
  local list = {}
  for _, why in pairs(worst) do list[#list + 1] = why end
  assert(#list == 0, #list .. " kinds:\n" .. table.concat(list, "\n", 1, math.min(#list, 40)))
  assert(n > 20 and read > 0)
end)
os.execute("rm -r " .. folder)
t.finish()
