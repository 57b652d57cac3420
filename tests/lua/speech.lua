-- speech.lua - networks for sound: lengths through all stages, model files that leave them open, options. Values are
-- held against PyTorch's in tests/golden/speech.lua. Run by `tlua tests/lua/speech.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local nn = tlua.nn
local folder = t.folder()
local SMALL = { classes = 7, blocks = 2, width = 16, heads = 2, ffn = 32, kernel = 5, bands = 8 }

local function whole(list) return core.tensor(list, { dtype = "int32" }) end

local function small(more)
  local o = {}
  for _, list in ipairs { SMALL, more or {} } do
    for key, value in pairs(list) do o[key] = value end
  end
  return tlua.models.conformer(o)
end

-- Writes the calls of a network beside its tensors, as model files have them, and opens that.
local function from_file(net, name)
  local path = folder .. "/" .. name .. ".safetensors"
  local text = assert(plan.text(net, net:plan_inputs(), net.output_names, net.open_sizes))
  core.save(path, net:state_dict(), { tlua = core.json_encode { format = 1, model = "custom" }, ["tlua.plan"] = text })
  return nn.Graph { path = path }:eval()
end

t.test("a model file of a conformer leaves batch and length open", function()
  core.manual_seed(1)
  local net = small { batchnorm = true, dropout = 0.1 }:eval()
  local again = from_file(net, "conformer")
  t.equal(again.inputs[2].name, "lengths")
  for _, lengths in ipairs { { 37, 5, 22 }, { 64, 1 }, { 1 }, { 201, 200 } } do
    local x = core.randn(#lengths, lengths[1], 8)
    local y, left = net(x, whole(lengths))
    local out = again(x, whole(lengths))
    assert(t.distance(out[1], y) < 1e-5)
    t.equal(table.concat(out[2]:tolist(), " "), table.concat(left:tolist(), " "))
    for i, n in ipairs(lengths) do t.equal(left:tolist()[i], (n + 1) // 2) end
  end
end)

t.test("without lengths all are full, and none come out", function()
  core.manual_seed(2)
  local net = small():eval()
  local x = core.randn(2, 20, 8)
  local y, none = net(x)
  t.equal(none, nil)
  assert(t.distance(net(x, whole { 20, 20 }), y) < 1e-5)
  t.equal(net:frame_count(16000), 51)
end)

t.test("one plan serves every length", function()
  core.manual_seed(3)
  local net = small():eval()
  local guard <close> = core.no_grad()
  net(core.randn(2, 20, 8), whole { 20, 7 })
  local name = ("below %d with lengths"):format(net:stage_count())
  local first = plan.of(net, name)
  assert(first)
  net(core.randn(3, 31, 8), whole { 31, 7, 9 })
  t.equal(plan.of(net, name), first)
end)

t.test("frozen stages run as a plan, and the rest gets its gradients", function()
  core.manual_seed(4)
  local net = small():train()
  net:freeze { "stem.*", "blocks.0.*" }
  t.equal(net:fixed_stages(), 2)
  local x, lengths = core.randn(2, 20, 8), whole { 20, 9 }
  local y = net(x, lengths)
  y:square():sum():backward()
  local some = net:gradients()
  t.equal(some["blocks.0.ffn1.fc1.weight"], nil)
  assert(some["blocks.1.ffn1.fc1.weight"] and some["proj.bias"])
  assert(plan.of(net, "below 2 with lengths"))
end)

t.test("recomputed blocks give the same gradients, dropout too", function()
  local function gradients(recomputed)
    core.manual_seed(5)
    local net = small { dropout = 0.2 }:train()
    if recomputed then require("tlua.train.recompute").mark(net) end
    core.random_step(1)
    net(core.randn(2, 20, 8), whole { 20, 9 }):square():sum():backward()
    return net:gradients()
  end
  local a, b = gradients(false), gradients(true)
  for name, g in pairs(a) do assert(t.distance(b[name], g) < 1e-5, name) end
end)

t.test("options that make no sense, and weights that are not at hand", function()
  t.fails("5 heads do not share a width of 16", small, { heads = 5 })
  t.fails("kernel must be odd, not 4", small, { kernel = 4 })
  t.fails("unknown option of models.conformer: 'in_channels'", small, { in_channels = 1 })
  t.fails("frames (N, F, 8) are needed", small(), core.randn(2, 20))
  local path = folder .. "/hama_conformer_ctc.safetensors"
  t.fails("python tools/hama_conformer.py", function() small { weights = path }:ready() end)
end)

t.test("what a file says of its symbols, and a last layer that was a convolution", function()
  core.manual_seed(6)
  local net, path = small(), folder .. "/symbols.safetensors"
  local state = net:state_dict()
  state["proj.weight"] = state["proj.weight"]:reshape { 7, 16, 1 }
  core.save(path, state, { tokens = core.json_encode { "a", "b", "c", "d", "e", "f", "<blank>" }, blank = "6" })
  local again = small { weights = path }
  t.equal(again:vocabulary().blank, 6)
  t.equal(again:vocabulary().tokens[7], "<blank>")
  local x = core.randn(1, 9, 8)
  t.equal(t.distance(again:eval()(x), net:eval()(x)), 0)
  t.equal(small():vocabulary(), nil)
end)

t.finish()
