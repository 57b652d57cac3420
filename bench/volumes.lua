-- volumes.lua - tlua's side of bench/volumes.py: builds one piece of work, then measures it once for every line read
-- and prints the seconds of processor time that it took.
--   tlua bench/volumes.lua unet3d
local tlua = require "tlua"
local core = require "tlua.core"
core.manual_seed(0)

local function conv(name, backward)
  local ci, co, side = name:match "^(%d+)_(%d+)_(%d+)"
  ci, co, side = math.tointeger(ci), math.tointeger(co), math.tointeger(side)
  local dilation, stride = math.tointeger(name:match "_d(%d+)" or 1), math.tointeger(name:match "_s(%d+)" or 1)
  local net = tlua.nn.Conv3d(ci, co, 3, { stride = stride, padding = dilation, dilation = dilation })
  local x = core.randn(1, side, side, side, ci)
  if not backward then
    return function()
      local s <close> = core.scope()
      local g <close> = core.no_grad()
      net(x)
      core.sync()
    end
  end
  if ci > 1 then x:requires_grad(true) end
  local gy
  do
    local g <close> = core.no_grad()
    gy = core.ones(net(x):shape())
  end
  return function()
    local s <close> = core.scope()
    x:zero_grad()
    for _, p in net:parameters() do p:zero_grad() end
    net(x):backward(gy)
    core.sync()
  end
end

local function network(name)
  if name:find "^meshnet" then
    local wide, step = name:find "21", name:find "step$"
    local side = step and (wide and 96 or 128) or 256
    local net = tlua.models.meshnet { classes = wide and 18 or 3, channels = wide and 21 or 5 }
    return net, { 1, side, side, side, 1 }, step and "Adam"
  end
  if name:find "^unet3d" then return tlua.models.unet3d {}, { name:find "_2$" and 2 or 1, 96, 96, 96, 1 }, "SGD" end
  return tlua.models.resnet18_3d { classes = 2 }, { 2, 64, 64, 64, 1 }, "Adam"
end

local function forward(net, x)
  net:freeze "*"
  net:eval()
  return function()
    local s <close> = core.scope()
    local g <close> = core.no_grad()
    net(x)
    core.sync()
  end
end

-- Classes 0 and 1 by turns, of each voxel or each volume.
local function labels_of(net, shape)
  local places = net.gives == "map" and table.move(shape, 1, 4, 1, {}) or { shape[1] }
  local count, list = 1, {}
  for _, n in ipairs(places) do count = count * n end
  for i = 1, count do list[i] = (i - 1) % 2 end
  return core.tensor(list, { dtype = "int32" }):reshape(table.unpack(places))
end

local function build(name)
  local kind, rest = name:match "^(%a+)_(.*)"
  if kind == "conv" or kind == "forward" then return conv(rest, kind == "conv") end
  local net, shape, rule = network(name)
  local x = core.randn(table.unpack(shape))
  if not rule then return forward(net, x) end
  net:train()
  local params = {}
  for _, p in net:parameters() do params[#params + 1] = p end
  local opt = tlua.optim[rule](params, rule == "SGD" and { lr = 1e-3, momentum = 0.9 } or { lr = 1e-4 })
  local labels, loss_of = labels_of(net, shape), tlua.nn.CrossEntropy {}
  collectgarbage()
  return function()
    local s <close> = core.scope()
    opt:zero_grad()
    local loss = loss_of(net(x), labels)
    loss:backward()
    opt:step()
    loss:item()
    core.sync()
  end
end

local work = build(assert(arg[1], "the name of a piece of work"))
work()
io.stdout:write("ready\n")
io.stdout:flush()
for _ in io.lines() do
  local t = os.clock()
  work()
  io.stdout:write(("%.6f\n"):format(os.clock() - t))
  io.stdout:flush()
end
