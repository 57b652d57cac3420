-- explain_volumes.lua - Grad-CAM of networks of volumes against PyTorch (tests/golden/make_explain_volumes.py made the
-- goldens): maps of frozen networks, of a class each volume and of maps of classes, and their scores.
--   tlua tests/golden/explain_volumes.lua
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local explain = require "tlua.command.explain"
local values = dofile "tests/golden/run_values.lua"
local golden = core.load "tests/golden/explain_volumes.safetensors"
local SEED, LIMIT = 7, 1e-4

local CASES = {
  resnet18_3d = { layer = "layer4", options = { classes = 4, in_channels = 1 }, shape = { 3, 8, 24, 32, 1 } },
  meshnet = { layer = "model.16", options = { classes = 3, channels = 5 }, shape = { 2, 9, 8, 11, 1 } },
  unet3d = { layer = "decoder.stages.1", options = { classes = 3, levels = 3, width = 8, blocks = 2 },
    shape = { 2, 8, 12, 8, 1 } } }

for _, name in ipairs { "meshnet", "resnet18_3d", "unet3d" } do
  t.test(name, function()
    local o = CASES[name]
    core.manual_seed(SEED)
    local net = values.fill(tlua.models[name](o.options))
    local x = core.normal(o.shape, 0, 1, "input")
    net:freeze "*"
    net:eval()
    local k = explain.stage(net, core.ops.slice(x, 1, 0, 1))
    t.equal(net:stage_name(k), o.layer)
    local zeros = {}
    for i = 1, o.shape[1] do zeros[i] = 0 end
    for what, classes in pairs { best = false, other = zeros } do
      local map, scores = explain.maps(net, x, k, classes or nil)
      local want = golden[name .. "." .. what]
      t.equal(table.concat(map:shape(), " "), table.concat(want:shape(), " "))
      local most = want:reshape(-1):amax():item()
      assert(most > 0, "the map is empty: the test says nothing")
      local far = (map - want):abs():reshape(-1):amax():item() / most
      assert(far <= LIMIT, ("%s: %.3g of the hottest place"):format(what, far))
      assert(t.distance(core.tensor(scores), golden[name .. ".scores"]) < 1e-4, "scores differ")
    end
    for _, p in net:parameters() do assert(not p.grad, "a frozen parameter got a gradient") end
  end)
end

t.finish()
