-- detect_nets.lua - detectors against PyTorch (tests/golden/make_detect_nets.py made the goldens): raw outputs and
-- every parameter's gradient, in inference and with the batch's statistics, and the statistics that follow.
--   tlua tests/golden/detect_nets.lua
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local golden = core.load "tests/golden/detect_nets.safetensors"
local SEED, CLASSES, SHAPE, INPUTS = 7, 5, { 4, 64, 96, 3 }, { yolox_s = "another input" }

-- The values of make_detect_nets.py.
local function value(name, shape)
  if name:find("running_var$") then return core.uniform(shape, 0.5, 1.5, name) end
  if name:find("running_mean$") then return core.normal(shape, 0, 0.1, name) end
  if #shape == 1 then
    local weight = name:find("weight$")
    return core.uniform(shape, weight and 0.8 or -0.1, weight and 1.2 or 0.1, name)
  end
  local fan_in = 1
  for i = 2, #shape do fan_in = fan_in * shape[i] end
  return core.normal(shape, 0, (2 / fan_in) ^ 0.5, name)
end

-- Largest difference, relative to the root mean square of what is wanted.
local function distance(got, want)
  t.equal(table.concat(got:shape(), "x"), table.concat(want:shape(), "x"))
  return core.ops.abs(got - want):amax():item() / want:square():mean():sqrt():item()
end

-- Norm and samples against the size of a typical element; gradients that are zero but for rounding against `floor`.
local function gradient_error(g, want, floor)
  local all = g:reshape(-1):tolist()
  local n, square, got = #all, 0, {}
  for i = 1, n do square = square + all[i] ^ 2 end
  for i = 0, 15 do got[i + 1] = all[1 + math.tointeger(math.floor(i * (n - 1) / 15 + 1e-9))] end
  local typical = math.max(want[1] / math.sqrt(n), floor)
  local worst = math.abs(math.sqrt(square) - want[1]) / math.max(want[1], typical)
  for i = 1, 16 do
    local d = math.abs(got[i] - want[i + 1]) / math.max(typical, math.abs(want[i + 1]))
    if not (d <= worst) then worst = d == d and d or math.huge end
  end
  return worst
end

-- Every third row, which is what the goldens have.
local function third(y)
  local n, rows, width = table.unpack(y:shape())
  return core.ops.slice(y:reshape { n, rows // 3, 3, width }, 3, 0, 1):reshape { n, rows // 3, width }
end

-- The largest share of its limit that a gradient's error takes: 1e-3, or twice what rounding may cause there.
local function check_gradients(net, tag)
  local all, floor, i, worst = golden[tag .. "gradients"]:tolist(), golden[tag .. "floor"]:item(), 0, 0
  local gradients = net:gradients()
  for _, each in ipairs(net:specs()) do
    if each.spec.kind == "parameter" then
      i = i + 1
      local want = all[i]
      local e, limit = gradient_error(gradients[each.path], want, floor), math.max(1e-3, 2 * want[18])
      assert(e <= limit, ("gradient of %s: error %.2g, limit %.2g"):format(each.path, e, limit))
      worst = math.max(worst, e)
    end
  end
  t.equal(i, #all, "gradients")
  return worst
end

local function check_statistics(net, tag)
  local state, count = net:state_dict(), 0
  for key, want in pairs(golden) do
    local part = key:sub(1, #tag) == tag and key:find("running_", 1, true) and key:sub(#tag + 1)
    if part then
      local far = distance(state[part], want)
      assert(far < 1e-5, ("%s: %.2g"):format(part, far))
      count = count + 1
    end
  end
  t.equal(count, 4)
end

local function compare(name, mode)
  core.manual_seed(SEED)
  local tag = ("%s.%s."):format(name, mode)
  local net = tlua.models[name] { classes = CLASSES }
  for key, p in net:named_tensors() do p:copy_(value(key, p:shape())) end
  if mode == "train" then net:train() else net:eval() end
  local x, want = core.normal(SHAPE, 0, 1, INPUTS[name] or "input"), golden[tag .. "outputs"]
  local y = net(x)
  local far, limit = distance(third(y:detach()), want), math.max(1e-4, 2 * golden[tag .. "noise"]:item())
  assert(far < limit, ("outputs: error %.2g, limit %.2g"):format(far, limit))
  core.ops.sum(y * core.normal(y:shape(), 0, 1, "target")):backward()
  local worst = check_gradients(net, tag)
  if mode == "train" then check_statistics(net, tag)
  else -- what runs without a gradient is a plan, which folds and joins
    local guard <close> = core.no_grad()
    local plan = distance(third(net(x)), want)
    assert(plan < limit, ("the plan: error %.2g, limit %.2g"):format(plan, limit))
  end
  print(("%-18s outputs %.1e (limit %.1e)  gradients %.1e"):format(tag, far, limit, worst))
end

for _, name in ipairs { "yolox_nano", "yolox_s", "yolov8n" } do
  for _, mode in ipairs { "eval", "train" } do
    t.test(("%s as in PyTorch, %s"):format(name, mode), function() compare(name, mode) end)
  end
end

t.finish()
