-- models.lua - whole networks against PyTorch: logits, every parameter's gradient, the losses of ten Adam steps,
-- with weights and inputs that both sides make by formula (tests/golden/make_models.py made the goldens).
--   tlua tests/golden/models.lua [NAME...]
local tlua = require "tlua"
local core = require "tlua.core"
local values = dofile "tests/golden/run_values.lua"
local CLASSES, STEPS = 10, 10
local golden = core.load("tests/golden/models.safetensors")
local passed, failed = 0, 0

local function check(what, error, limit)
  if error <= limit then
    passed = passed + 1
  else -- a NaN comes here too
    failed = failed + 1
    print(("FAILED %s: error %.3g, limit %.3g"):format(what, error, limit))
  end
  return error
end

-- Largest difference, relative to the root mean square of what is wanted.
local function distance(got, want)
  local worst, square = 0, 0
  for i = 1, #want do
    local d = math.abs(got[i] - want[i])
    if not (d <= worst) then worst = d == d and d or math.huge end -- a NaN would be passed by what comes after it
    square = square + want[i] ^ 2
  end
  return worst / math.sqrt(square / #want + 1e-30)
end

-- Norm and sixteen samples of a gradient.
local function samples(g)
  local scope <close> = core.scope()
  local all = g:reshape(-1)
  local n, list = all:shape(1), {}
  if n < 1e4 then -- faster than sixteen calls
    local values = all:tolist()
    for i = 0, 15 do list[i + 1] = values[1 + math.tointeger(math.floor(i * (n - 1) / 15 + 1e-9))] end
  else
    for i = 0, 15 do list[i + 1] = core.ops.slice(all, 1, math.tointeger(math.floor(i * (n - 1) / 15 + 1e-9)), 1):item() end
  end
  return all:square():sum():sqrt():item(), list, n
end

-- Errors of samples against the size of a typical element (or `floor`, for gradients that are zero but for rounding).
local function gradient_distance(g, want, floor)
  local norm, got, n = samples(g)
  local typical = math.max(want[1] / math.sqrt(n), floor)
  local worst = math.abs(norm - want[1]) / math.max(want[1], typical)
  for i = 1, 16 do
    local d = math.abs(got[i] - want[i + 1]) / math.max(typical, math.abs(want[i + 1]))
    if not (d <= worst) then worst = d == d and d or math.huge end
  end
  return worst
end

local function build(name, trained, norm, size)
  local net = values.network(name, CLASSES, size)
  if norm == "frozen" then net:freeze "encoder.*"
  elseif trained == "head" then
    net:freeze { "*", batchnorm = norm }
    net:unfreeze(net.gives == "map" and { "decoder.*", "segmentation_head.*" } or net.head_name .. ".*")
  end
  if norm ~= "eval" then net:train() else net:eval() end
  return net
end

-- Classes of the pictures; of a U-Net those of squares of 8 x 8 pixels.
local function targets(net, batch, size)
  local labels, side = {}, net.gives == "map" and size or 1
  for n = 0, batch - 1 do
    for y = 0, side - 1 do
      for x = 0, side - 1 do labels[#labels + 1] = (n + y // 8 + x // 8) % CLASSES end
    end
  end
  local y = core.tensor(labels, { dtype = "int32" })
  return side > 1 and y:reshape(batch, side, side) or y
end

-- All logits as a list; of a map 2000 of them.
local function listed(logits)
  local all = logits:reshape(-1):tolist()
  if #logits:shape() == 2 then return all end
  local out = {}
  for i = 0, 1999 do out[i + 1] = all[1 + i * (#all - 1) // 1999] end
  return out
end

local function run(name, trained, norm)
  local tag = ("%s.%s.%s."):format(name, trained, norm)
  local seed, batch, size = table.unpack(golden[tag .. "config"]:tolist())
  core.manual_seed(seed)
  local net = build(name, trained, norm, size)
  local x = core.normal({ batch, size, size, 3 }, 0, 1, "input")
  local y = targets(net, batch, size)
  local params = {}
  for _, p in net:parameters() do if p:requires_grad() then params[#params + 1] = p end end
  local opt = tlua.optim.Adam(params, { lr = trained == "all" and 1e-5 or 1e-3 })
  local losses, worst_gradient, logits_error, noise = {}, 0, 0, 0
  for step = 1, STEPS do
    local s <close> = core.scope()
    local logits = net(x)
    local loss = tlua.nn.functional.cross_entropy(logits, y)
    opt:zero_grad()
    loss:backward()
    if step == 1 then
      logits_error = check(tag .. "logits", distance(listed(logits), golden[tag .. "logits"]:reshape(-1):tolist()), 1e-4)
      for key, g in pairs(net:gradients()) do
        local want = golden[tag .. "grad." .. key]
        if not want then check(tag .. key .. " is not trained in PyTorch", 1, 0) else
          -- 1e-3, or twice what rounding may cause here (see make_models.py)
          want = want:tolist()
          local error, limit = gradient_distance(g, want, golden[tag .. "floor"]:item()), math.max(1e-3, 2 * want[18])
          check(tag .. "grad." .. key, error, limit)
          worst_gradient, noise = math.max(worst_gradient, error), math.max(noise, want[18])
        end
      end
    end
    opt:step()
    losses[step] = loss:item()
  end
  local want, worst = golden[tag .. "losses"]:tolist(), 0
  for i = 1, STEPS do
    local d = math.abs(losses[i] - want[i]) / math.max(want[i], 0.1)
    if not (d <= worst) then worst = d == d and d or math.huge end
  end
  -- 1e-4, or twice what PyTorch's losses differ between two memory layouts
  check(tag .. "losses", worst, math.max(1e-4, 2 * want[STEPS + 1]))
  print(("%-32s logits %.1e  gradients %.1e (rounding may cause %.1e)  losses %.1e (%.1e)"):format(tag, logits_error, worst_gradient, noise, worst, want[STEPS + 1]))
end

local function all_names()
  local list, seen = {}, {}
  for key in pairs(golden) do
    local name = key:match("^[^.]+")
    if not seen[name] then list[#list + 1] = name end
    seen[name] = true
  end
  table.sort(list)
  return list
end

-- Adam on more than that many parameters takes gigabytes: only when the network is named.
local MANY = 1e8

for _, name in ipairs(#arg > 0 and arg or all_names()) do
  local heavy = #arg == 0 and values.describe(name, {}):count() > MANY
  for _, trained in ipairs { "all", "head" } do
    for _, norm in ipairs { "train", "eval", "frozen" } do
      local mode = ("%s.%s.%s"):format(name, trained, norm)
      if golden[mode .. ".losses"] then
        if heavy and trained == "all" then print(mode .. ": left out; tlua tests/golden/models.lua " .. name) else run(name, trained, norm) end
      end
    end
  end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1, true)
