-- detect.lua - tlua's side of bench/detect.py: builds one piece of work, then measures it once for every line read and
-- prints the seconds of processor time and by the clock that it took.
--   tlua bench/detect.lua yolox_nano_step [SIZE [BATCH]]
local tlua = require "tlua"
local core = require "tlua.core"
local levels = require "tlua.task.boxes.levels"
core.manual_seed(0)

local name, size, batch = arg[1], math.tointeger(arg[2] or 416), math.tointeger(arg[3] or 8)
local kind, step = name:match "^(.-)_step$", true
if not kind then kind, step = name:match "^(.-)_forward$", false end
local CLASSES, BOXES = 15, 6 -- boxes a picture

-- A batch with boxes of all sizes, the same on the other side.
local function sample()
  local boxes, labels, offsets = {}, {}, { 0 }
  for i = 0, batch - 1 do
    for k = 0, BOXES - 1 do
      local side = size * (k + 1) / (BOXES + 3)
      local left, top = (size - side) * (i % 4) / 4, (size - side) * k / BOXES
      boxes[#boxes + 1], labels[#labels + 1] = { left, top, left + side, top + side }, (i + k) % CLASSES
    end
    offsets[i + 2] = #boxes
  end
  return { input = core.randn(batch, size, size, 3), boxes = core.tensor(boxes),
    box_labels = core.tensor(labels, { dtype = "int32" }), boxes_offsets = offsets }
end

local net = tlua.models[kind] { classes = CLASSES }
net:ready()
local one, work = sample(), nil
if step then
  net:train()
  local params = {}
  for _, p in net:parameters() do params[#params + 1] = p end
  local optim = tlua.optim.SGD(params, { lr = 1e-4, momentum = 0.9, nesterov = true })
  local weights = net:levels().bins and { box_loss = "ciou", box_weight = 7.5, class_weight = 0.5, distribution_weight = 1.5 }
    or { box_loss = "iou_squared", box_weight = 5, class_weight = 1 }
  work = function()
    local s <close> = core.scope()
    optim:zero_grad()
    local parts, loss = levels.parts(net:levels(), CLASSES, net(one.input), one, weights), nil
    for _, part in ipairs { "box", "object", "class", "distribution" } do
      if parts[part] then loss = loss and loss + parts[part] or parts[part] end
    end
    loss:backward()
    optim:step()
    loss:item()
    core.sync()
  end
else
  net:freeze "*"
  net:eval()
  work = function()
    local s <close> = core.scope()
    local g <close> = core.no_grad()
    net(one.input)
    core.sync()
  end
end

work()
io.stdout:write("ready\n")
io.stdout:flush()
local clock = os.getenv "BENCH_TIME" ~= "processor" and core.time or os.clock
for _ in io.lines() do
  local t = clock()
  work()
  io.stdout:write(("%.6f\n"):format(clock() - t))
  io.stdout:flush()
end
