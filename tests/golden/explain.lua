-- explain.lua - Grad-CAM against PyTorch: heat maps of networks with frozen parameters, whose weights and pictures both sides make by
-- formula (tests/golden/make_explain.py made the goldens), which layer is taken, and what has no map.
local tlua = require "tlua"
local core = require "tlua.core"
local explain = require "tlua.command.explain"
local values = dofile "tests/golden/run_values.lua"
local golden = core.load "tests/golden/explain.safetensors"
local SIDE, PICTURES, SEED, OTHER, LIMIT = 96, 2, 11, 4, 2e-5
-- Where a map cancels, rounding shows: a processor with other vectors may be as far away as several times what PyTorch's own float32 is.
local ROUNDINGS = 8
local passed, failed = 0, 0

local function check(what, ok, text)
  if ok then passed = passed + 1 return end
  failed = failed + 1
  print(("FAILED %s: %s"):format(what, text))
end

-- Largest difference of two maps as a share of the hottest place of the second; a NaN is infinitely far.
local function distance(got, want)
  local worst, most = 0, 0
  for i = 1, #want do
    local d = math.abs(got[i] - want[i])
    if not (d <= worst) then worst = d == d and d or math.huge end
    most = math.max(most, math.abs(want[i]))
  end
  if #got ~= #want then return math.huge end
  return worst / math.max(most, 1e-30) -- of a map that is 0 everywhere, any difference counts
end

local LAYERS = { resnet18 = "layer4", mobilenet_v2 = "features.18", mobilenet_v3_small = "features.12", squeezenet1_1 = "features.12", vgg16_bn = "features.40",
  efficientnet_b0 = "features.8", efficientnet_lite0 = "_conv_head", densenet121 = "features.norm5", convnext_tiny = "features.7.2" }
local names = {}
for name in pairs(LAYERS) do names[#names + 1] = name end
table.sort(names)
core.manual_seed(SEED)
for _, name in ipairs(names) do
  local scope <close> = core.scope()
  local net = values.network(name, 10, SIDE)
  net:freeze "*"
  net:eval()
  local x = core.normal({ PICTURES, SIDE, SIDE, 3 }, 0, 1, "input")
  local k = explain.stage(net, core.ops.slice(x, 1, 0, 1))
  check(name, net:stage_name(k) == LAYERS[name], ("took %s, not %s"):format(net:stage_name(k), LAYERS[name]))
  for _, what in ipairs { "best", "other" } do
    local map, logits = explain.maps(net, x, k, what == "other" and { OTHER, OTHER } or nil)
    local far = distance(map:reshape(-1):tolist(), golden[name .. "." .. what]:reshape(-1):tolist())
    local limit = math.max(LIMIT, ROUNDINGS * golden[name .. ".rounding"]:tolist()[what == "best" and 1 or 2])
    check(("%s.%s"):format(name, what), far <= limit, ("%.3g of the hottest place, %.3g allowed"):format(far, limit))
    if arg[1] == "-v" then print(("%-20s %-6s %.2g"):format(name, what, far)) end
    local want = golden[name .. ".logits"]:tolist()
    for i = 1, PICTURES do check(name .. ".logits", distance(logits[i], want[i]) <= LIMIT, "differ") end
  end
  for _, p in net:parameters() do
    if p.grad then check(name, false, "a frozen parameter got a gradient") break end
  end
  collectgarbage()
  collectgarbage()
end

-- The same maps whether the parameters are frozen or not.
do
  local scope <close> = core.scope()
  local net = values.network("resnet18", 10, SIDE)
  net:eval()
  local x = core.normal({ PICTURES, SIDE, SIDE, 3 }, 0, 1, "input")
  local far = distance(explain.maps(net, x, explain.stage(net, x)):reshape(-1):tolist(), golden["resnet18.best"]:reshape(-1):tolist())
  check("resnet18, nothing frozen", far <= LIMIT, ("%.3g"):format(far))
end

-- What has no places is refused in one clear line; an unknown layer names the near miss.
local function refused(name, layer, pattern, size)
  local scope <close> = core.scope()
  local options = { classes = 10 }
  if size then options.image_size = size end
  local net = tlua.models[name](options)
  net:eval()
  local ok, e = pcall(explain.stage, net, core.normal({ 1, size or 64, size or 64, 3 }, 0, 1, "input"), layer)
  check(name .. " " .. tostring(layer), not ok and tostring(e):find(pattern), tostring(e))
end
refused("deit_tiny_patch16_224", nil, "deit_tiny_patch16_224 is a map of places", 32)
refused("resnet18", "pool", "the output of pool of resnet18 is no map")
refused("resnet18", "layer5", "unknown layer 'layer5'; did you mean 'layer")
print(("explain: %d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
