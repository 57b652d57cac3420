-- networks.lua - a training step and a plan of each kind of network, for the programs that they build (tools/test_compilers.sh runs it on a
-- card of paper, where numbers mean nothing): tlua tests/compilers/networks.lua
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local nn = tlua.nn
local works = dofile "bench/works.lua"
core.manual_seed(1)

-- The plan must be one: without it the same kernels would be launched one by one, and the joined ones never.
local function planned(net, name)
  local made, why = plan.of(net, name)
  assert(made, why)
end

for _, name in ipairs { "resnet50", "efficientnet_lite0", "deit_tiny_patch16_224" } do
  works("full", name, 2)()
  local net = tlua.models[name] { classes = 10 }
  net:freeze "*"
  net:eval()
  net:ready()
  local scope <close> = core.scope()
  net:features(core.randn(2, 224, 224, 3))
  planned(net, "below " .. net:stage_count())
end

works("bert", "bert_6x384", 2)()
do
  local net = nn.TransformerLayer(384, 12, 1536, { dropout = 0.1, eps = 1e-12 })
  net:eval()
  net:ready()
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  plan.run(net, "layer", function(self, x) return self(x) end, core.randn(2, 32, 384))
  planned(net, "layer")
end

-- Heads of all widths that networks have, up to the widest there may be; the kernels are compiled for the width.
for _, width in ipairs { 40, 48, 72, 80, 96, 128, 192, 256 } do
  local scope <close> = core.scope()
  local x = core.randn(1, 40, width)
  x:requires_grad(true)
  core.ops.attention(x, x, x, nil, { heads = 1, dropout = 0.1, training = true }):sum():backward()
  local bias = core.randn(1, 1, 40, 40)
  bias:requires_grad(true)
  core.ops.attention(x, x, x, nil, bias, { heads = 1, dropout = 0.1, training = true }):sum():backward()
end
core.sync()
