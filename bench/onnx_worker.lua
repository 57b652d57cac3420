-- onnx_worker.lua - tlua's side of bench/onnx_speed.py: the network of an .onnx file, frozen, answers once for every line read and
-- the seconds that it took are printed. INPUT=N,H,W,C:KIND says an input's size and what it is of, floats or ids.
--   tlua bench/onnx_worker.lua FILE INPUT... [profile]
local core = require "tlua.core"
local clock = os.getenv "BENCH_CPU" and os.clock or core.time -- of the processors, on a machine that others use too
local onnx = require "tlua.onnx"
local graph = require "tlua.nn.graph"
core.manual_seed(0)

local path = table.remove(arg, 1)
local profiled = arg[#arg] == "profile" and table.remove(arg)
local file = onnx.open(path)
local net = graph.from { text = file.text, tensors = file.tensors, label = path }
file.tensors = nil
net:eval()
net:freeze "*"

local inputs = {}
for i, port in ipairs(file.inputs) do
  local sizes, kind
  for _, word in ipairs(arg) do
    local name, said, of = word:match "^(.-)=([%d,]+):(%a+)$"
    if name == port.name or name == "*" and i == 1 then sizes, kind = said, of end
  end
  assert(sizes, "no size for the input " .. port.name)
  local shape = {}
  for n in sizes:gmatch "%d+" do shape[#shape + 1] = math.tointeger(n) end
  if port.picture and kind == "first" then shape = { shape[1], shape[3], shape[4], shape[2] } end
  local count = 1
  for _, n in ipairs(shape) do count = count * n end
  local x = core.ops.sin(core.arange(count) * 0.37)
  if kind == "ids" then x = core.ops.cast(core.ops.abs(x) * 20000, { dtype = "int32" })
  elseif kind == "ones" then x = core.ops.cast(x * 0 + 1, { dtype = "int32" }) end
  inputs[i] = x:reshape(shape)
end

local function work()
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  net(table.unpack(inputs))
  core.sync()
end
work()
work()
if profiled then return require("tlua.command.profile").run(work) end
io.stdout:write("ready\n")
io.stdout:flush()
for _ in io.lines() do
  local t = clock()
  work()
  io.stdout:write(("%.6f\n"):format(clock() - t))
  io.stdout:flush()
end
