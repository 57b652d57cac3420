-- works.lua - the pieces of work that bench/worker.lua and bench/launches.lua measure: a function (kind, name, batch) -> a function that
-- does one of it.
local tlua = require "tlua"
local core = require "tlua.core"
-- "full_recompute": the same with some blocks that backward computes again.
local SOME = { resnet50 = "layer1.*", bert_base = "layers.[0-3]" }

local works = {}

-- A frozen network's forward: nothing is recorded.
function works.forward(_, name, batch)
  local net = tlua.models[name] { classes = 1000 }
  net:freeze "*"
  net:eval()
  local size = name:find "lite4" and 300 or 224
  local x = core.randn(batch, size, size, 3)
  return function()
    local s <close> = core.scope()
    local g <close> = core.no_grad()
    net(x)
    core.sync()
  end
end

-- A training step: fe = only the classifier, layer4 = the last block and the classifier, blocks10 = EfficientNet-Lite's blocks from 10 on
-- and what follows, full = everything.
function works.step(which, name, batch, again)
  local net = tlua.models[name] { classes = 10 }
  if again then require("tlua.recompute").mark(net, again) end
  if which == "fe" then net:freeze { "*", batchnorm = "eval" } end
  if which == "layer4" then net:freeze { "*", batchnorm = "eval" } net:unfreeze "layer4.*" end
  if which == "blocks10" then net:freeze { "*", batchnorm = "eval" } net:unfreeze { "_blocks.1[0-5].*", "_conv_head.*", "_bn1.*" } end
  net:unfreeze(net.head_name .. ".*")
  net:train()
  local params = {}
  for _, p in net:parameters() do if p:requires_grad() then params[#params + 1] = p end end
  local opt = tlua.optim.Adam(params, { lr = 1e-3 })
  local x = core.randn(batch, 224, 224, 3)
  local labels = {}
  for i = 1, batch do labels[i] = (i - 1) % 10 end
  local y = core.tensor(labels, { dtype = "int32" })
  return function()
    local s <close> = core.scope()
    opt:zero_grad()
    local loss = tlua.nn.functional.cross_entropy(net(x), y)
    loss:backward()
    opt:step()
    loss:item()
    core.sync()
  end
end

function works.bert(_, name, batch, again) return dofile "bench/bert.lua"(name, batch, 128, nil, again) end

return function(kind, name, batch)
  local again = kind:find "_recompute$" and (SOME[name] or true)
  kind = kind:gsub("_recompute$", "")
  return (works[kind] or works.step)(kind, name, batch, again)
end
