-- onnx_write.lua FOLDER [PATTERN] - .onnx files that tlua writes, for onnx_write.py: each operator
-- (tests/lua/run_onnx_cases.lua), boxes of rows (tests/lua/run_onnx_boxes.lua), and the networks of the registry from a
-- seed. FOLDER/NAME.onnx and NAME.safetensors: `in1.INPUT`, `out1.OUTPUT` (ours), of networks also `zero.OUTPUT`, the
-- answer to pictures of zeros: where it is the same, the comparison would say nothing.
--
-- Random networks are two-faced. With batch norms that know nothing of the signal it dies within a few layers and any
-- file gives the same answer, that of the biases; with statistics of a few pictures each layer doubles what is
-- rounded (both programs end up 1e-3 from float64 behind ResNet-152). So statistics are those of a batch, with half
-- of its means; and SiLU is kept near 0.
local cases = dofile "tests/lua/run_onnx_cases.lua"
local of_boxes = dofile "tests/lua/run_onnx_boxes.lua"
local core = require "tlua.core"
local models = require "tlua.models"
local plan = require "tlua.plan"
local write = require "tlua.onnx.write"

local folder, pattern = arg[1], arg[2] or ""
core.mkdirs(folder)

local function keep(name, list, tensors, options, inputs, outputs, more)
  local files = more or {}
  core.onnx_write(("%s/%s.onnx"):format(folder, name), write.model(list, tensors, {}, options))
  for i, port in ipairs(list.inputs) do files["in1." .. port.name] = cases.outer(inputs[i]):clone() end
  for i, port in ipairs(list.outputs) do files["out1." .. port.name] = cases.outer(outputs[i]):clone() end
  core.save(("%s/%s.safetensors"):format(folder, name), files)
end

-- ---- operators ----

for _, each in ipairs(cases.list) do
  for _, opset in ipairs { 13, 17, 21 } do
    local name = ("op_%s_%d"):format(each.name, opset)
    if opset >= each.opset and name:find(pattern) then
      local guard <close> = core.no_grad()
      local inputs = cases.inputs(each, 3, 7)
      keep(name, cases.trace(each), cases.constants, { opset = opset }, inputs, { each.f(table.unpack(inputs)) })
    end
  end
end

-- ---- boxes behind rows ----

for _, each in ipairs(of_boxes.list) do
  for _, opset in ipairs { 13, 17, 21 } do
    local name = ("boxes_%s_%d"):format(each.name, opset)
    if name:find(pattern) then
      local guard <close> = core.no_grad()
      local rows, wanted = of_boxes.write(each, ("%s/%s.onnx"):format(folder, name), opset)
      local files = { ["in1.rows"] = rows, ["out1.boxes"] = wanted.boxes, ["out1.scores"] = wanted.scores }
      local selected = {}
      for i, s in ipairs(wanted.selected or {}) do selected[i] = { s[1], s[2], s[3] } end
      if wanted.selected then files["out1.selected"] = core.tensor(selected, { dtype = "int32" }) end
      core.save(("%s/%s.safetensors"):format(folder, name), files)
    end
  end
end

-- ---- networks ----

local SIZE = 64

-- `share`: of the batch's means that the running ones take.
local function settle(net, share, gamma)
  local all = net:state_dict()
  for name in net:buffers() do
    local weight = name:find "running_var$" and all[name:gsub("running_var$", "weight")]
    if weight then weight:copy_(weight:detach() * gamma) end
  end
  net:walk(function(m)
    if rawget(m, "momentum") then m.momentum = 1.0 end
  end)
  net:train()
  net(core.randn(4, SIZE, SIZE, 3))
  net:eval()
  for name, b in net:buffers() do
    if name:find "running_mean$" then b:copy_(b * share) end
  end
end

local function network(name, fold)
  local options = { weights = "none", classes = 10 }
  if name:find "vit" or name:find "deit" then options.image_size = SIZE end
  core.manual_seed(1)
  local net = models.build(name, options)
  net:ready()
  local guard <close> = core.no_grad()
  local silu = name:find "^efficientnet_b"
  settle(net, silu and 1 or 0.5, silu and 0.25 or 1)
  local inputs = net.plan_inputs and net:plan_inputs() or { { "N", SIZE, SIZE, 3, name = "image" } }
  local text, why = plan.text(net, inputs, net.output_names)
  if not text then error(why) end
  local tensors = {}
  for key, t in net:named_tensors() do tensors[key] = t end
  local x = core.randn(2, SIZE, SIZE, 3)
  local y = net(x)
  local list = core.plan_calls(text)
  local zero = cases.outer(net(x * 0)):clone()
  keep((fold and "folded_" or "net_") .. name, list, tensors, { fold = fold }, { x }, { y },
    { ["zero." .. list.outputs[1].name] = zero })
end

-- Networks of waves: clips of different lengths in a batch, behind whose ends there is noise that must have no say.
local function hearing(name)
  core.manual_seed(2)
  local net = models.build(name, { weights = "none", classes = 10 })
  net:ready()
  net:eval()
  local guard <close> = core.no_grad()
  for key, t in net:named_tensors() do -- what an LSTM says from small weights hangs on its biases
    if key:find "^lstm%.weight" then t:copy_(t:detach() * 4) end
  end
  local inputs = net:plan_inputs()
  local text, why = plan.text(net, inputs, net.output_names, net.open_sizes)
  if not text then error(why) end
  local tensors = {}
  for key, t in net:named_tensors() do tensors[key] = t end
  local list = core.plan_calls(text)
  local x, lengths = core.randn(3, 12345) * 0.1, core.tensor({ 12345, 9000, 4000 }, { dtype = "int32" })
  local y, left = net(x, lengths)
  local zero = net(x * 0, lengths)
  keep("net_" .. name, list, tensors, {}, { x, lengths }, { y, left }, { ["zero." .. list.outputs[1].name] = zero })
end

for name, entry in pairs(models.registry.entries) do
  if entry.takes == "wave" and ("net_" .. name):find(pattern) then hearing(name) end
  for _, fold in ipairs { false, true } do
    local wanted = not fold or ({ resnet18 = 1, mobilenet_v2 = 1, vgg16_bn = 1, densenet121 = 1, unet = 1,
      efficientnet_b0 = 1 })[name]
    local is_file = entry.file or entry.takes == "wave" -- networks of files, without one here
    if wanted and not is_file and ((fold and "folded_" or "net_") .. name):find(pattern) then network(name, fold) end
  end
end
