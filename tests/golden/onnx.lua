-- onnx.lua - small ONNX models of every family of operators beside onnxruntime's answers (make_onnx.py), each value of
-- a model for itself: node by node, and as the plan of a network with the number of pictures open.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local onnx = require "tlua.onnx"
local graph = require "tlua.nn.graph"
local compare = dofile "tests/interop/onnx_compare.lua"
local kept = core.load "tests/golden/onnx.safetensors"

local models = {}
for key, value in pairs(kept) do
  local name, word, port = key:match "^([%w_]+)/(%a+)%.(%w+)$"
  models[name] = models[name] or { ["in"] = {}, out = {} }
  models[name][word][port] = value
end

-- Whole numbers and booleans of the file as their numbers; its type says which.
local function wanted(value, dtype)
  return { dtype = dtype, dims = value:shape(), numbers = value:reshape(-1):tolist() }
end

local function path_of(name) return ("tests/golden/data/onnx/%s.onnx"):format(name) end

for name, m in pairs(models) do
  t.test(name .. ", node by node", function()
    local got, count = onnx.run(path_of(name), m["in"]), 0
    for port, value in pairs(m.out) do
      local g = assert(got[port], port)
      local _, why = compare(g, wanted(value, g.dtype))
      assert(not why, ("%s: %s"):format(port, why))
      count = count + 1
    end
    assert(count > 0)
  end)
end

-- The plan gives what is made of the inputs and is no bool; names of those outputs.
local PLANNED = { unary = "y0 y2 y9 y15 y24 y37", binary = "y0 y1 y2 y5 y9 y18 y26 y27 y29 y31",
  reduce_11 = "y0 y1 y2 y5 y9 y12", reduce_18 = "y0 y1 y2 y5 y9 y12",
  windows = "y0 y1 y2 y3 y4 y5 y6 y7 y8 y9 y10 y11 y12 y13 y14 y15 y16 y17 y19 y20", whole = "y0 y2 y8" }

-- What lies channels last here in the file's order.
local function to_file(y)
  local rank, order = #y:shape(), { 1 }
  order[2] = rank
  for i = 2, rank - 1 do order[#order + 1] = i end
  return core.ops.permute(y, { axes = order })
end
local function to_ours(x)
  local rank, order = #x:shape(), { 1 }
  for i = 3, rank do order[#order + 1] = i end
  order[#order + 1] = 2
  return core.ops.permute(x, { axes = order })
end

for name, list in pairs(PLANNED) do
  t.test(name .. ", as a plan", function()
    local m, outputs = models[name], {}
    for port in list:gmatch "%S+" do outputs[#outputs + 1] = port end
    local file = onnx.open(path_of(name), { outputs = outputs })
    local net = graph.from { text = file.text, tensors = file.tensors, label = name }
    net:eval()
    local guard <close> = core.no_grad()
    local x = {}
    for i, port in ipairs(file.inputs) do x[i] = port.picture and to_ours(m["in"][port.name]) or m["in"][port.name] end
    local y = net(table.unpack(x))
    for i, port in ipairs(file.outputs) do
      local got = port.channels_last and to_file(y[i]) or y[i]
      local distance = t.distance(got, m.out[port.name]:to "float32")
      assert(distance < 1e-4, ("%s: %g"):format(port.name, distance))
    end
  end)
end
t.finish()
