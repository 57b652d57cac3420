-- volumes.lua - the networks of volumes against PyTorch (tests/golden/make_volumes.py made the goldens): answers, every parameter's
-- gradient, and the losses of ten steps.
--   tlua tests/golden/volumes.lua
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local values = dofile "tests/golden/run_values.lua"
local nn, ops = tlua.nn, core.ops
local golden, about = core.load "tests/golden/volumes.safetensors"
local SEED = 7

-- Norm and samples of a gradient against those wanted, by the size of a typical element.
local function gradient_error(g, want, floor)
  local all = g:reshape(-1):tolist()
  local n, square = #all, 0
  for i = 1, n do square = square + all[i] ^ 2 end
  local typical = math.max(want[1] / math.sqrt(n), floor)
  local worst = math.abs(math.sqrt(square) - want[1]) / math.max(want[1], typical)
  for i = 0, 15 do
    local got = all[1 + math.tointeger(math.floor(i * (n - 1) / 15 + 1e-9))]
    local d = math.abs(got - want[i + 2]) / math.max(typical, math.abs(want[i + 2]))
    if not (d <= worst) then worst = d == d and d or math.huge end
  end
  return worst
end

-- A thousandth of the size of all gradients' elements.
local function floor_of(net, name)
  local square, count = 0, 0
  for key, p in net:parameters() do
    square = square + golden[name .. ".grad." .. key]:tolist()[1] ^ 2
    count = count + p:numel()
  end
  return 1e-3 * math.sqrt(square / count)
end

local function made(o)
  core.manual_seed(SEED)
  return values.fill(tlua.models[o.model](o.options)), core.normal(o.shape, 0, 1, "input")
end

local function outputs(net, o, x)
  local y = o.options.deep_supervision and net:deep(x) or net(x)
  return core.is_tensor(y) and { y } or y
end

local function answers(name, o)
  local net, x = made(o)
  net:eval()
  local total, worst = nil, 0
  for i, y in ipairs(outputs(net, o, x)) do
    worst = math.max(worst, t.distance(y, golden[("%s.out.%d"):format(name, i - 1)]))
    local part = (y * core.normal(y:shape(), 0, 1, ("weights %d"):format(i - 1))):sum()
    total = total and total + part or part
  end
  do
    local guard <close> = core.no_grad() -- as a plan
    worst = math.max(worst, t.distance(net(x), golden[name .. ".out.0"]))
  end
  assert(worst < 1e-4, ("the answers are off by %g"):format(worst))
  total:backward()
  local floor, steepest = floor_of(net, name), 0
  for key, g in pairs(net:gradients()) do
    local want = golden[name .. ".grad." .. key]:tolist()
    -- A norm takes a bias in front of it away: its gradient is rounding alone, here and there, and small beside all others.
    local nothing = want[1] < 1e-6 * floor * math.sqrt(g:numel())
    local e = gradient_error(g, want, nothing and 1e3 * floor or floor)
    assert(e < (nothing and 1e-5 or 1e-3), ("the gradient of %s is off by %g"):format(key, e))
    steepest = math.max(steepest, e)
  end
  return worst, steepest
end

-- Of SGD with momentum, from the same weights.
local function losses(o)
  local net, x = made(o)
  net:train()
  local vector, shape, count, worst = net.gives == "vector", {}, 1, 0
  for i = 1, vector and 1 or #o.shape - 1 do shape[i], count = o.shape[i], count * o.shape[i] end
  local list = {}
  for i = 0, count - 1 do list[i + 1] = i // 3 % o.options.classes end
  local labels = core.tensor(list, { dtype = "int32" }):reshape(shape)
  local criterion = nn.DeepSupervision(nn.CrossEntropy {})
  local opt = tlua.optim.SGD(net:parameters(), { lr = o.rate, momentum = 0.9 })
  for i, want in ipairs(o.losses) do
    local step <close> = core.scope()
    opt:zero_grad()
    local maps = outputs(net, o, x)
    local loss = criterion(#maps > 1 and maps or maps[1], labels)
    loss:backward()
    opt:step()
    local e = math.abs(loss:item() - want) / math.max(1, want)
    assert(e < 1e-3, ("loss %d is %g, not %g"):format(i, loss:item(), want))
    worst = math.max(worst, e)
  end
  return worst
end

local names = {}
for name in pairs(about) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  t.test(name, function()
    local o = core.json_decode(about[name])
    local worst, steepest = answers(name, o)
    print(("%-16s answers %.1e  gradients %.1e  losses %.1e"):format(name, worst, steepest, losses(o)))
  end)
end

t.test("kernels of pictures that became those of volumes", function()
  core.manual_seed(SEED)
  local flat = values.fill(tlua.models.resnet18 { classes = 4 }):state_dict()
  for _, rule in ipairs { "repeat", "centre" } do
    local net = tlua.models.resnet18_3d { classes = 4, inflate = rule }
    net:load(flat)
    net:eval()
    local e = t.distance(net(core.normal({ 2, 6, 24, 20, 1 }, 0, 1, "input")), golden["inflated." .. rule])
    assert(e < 1e-4, ("inflate = '%s': the answers are off by %g"):format(rule, e))
  end
end)
t.finish()
