-- text_words.lua - which words speak for what a network says: gradient times input against PyTorch's
-- (tests/golden/make_attribution.py), pieces put together to words, and how these are shown.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local gradient = require "tlua.report.texts.gradient"
local ops = core.ops

local FOLDER = "tests/golden/text/"
local golden = core.load "tests/golden/attribution.safetensors"

-- Of a family: its network, numbers of pieces as it takes them, lengths.
local function of(family)
  local net = tlua.models.from_folder { path = FOLDER .. family, classes = 3 }
  net:ready()
  local g = core.load(FOLDER .. family .. "/golden.safetensors")
  if family ~= "bert" and family ~= "electra" then return net, g.ids, g.lengths end
  local n, steps = table.unpack(g.ids:shape())
  return net, ops.concat(g.ids:reshape(n, steps, 1), g.types:reshape(n, steps, 1), { axis = 3 }), g.lengths
end

-- The largest difference where pieces count, relative to the largest score.
local function distance(got, want, lengths)
  local worst, most = 0, 0
  for i, row in ipairs(want:tolist()) do
    for k = 1, lengths[i] do
      worst, most = math.max(worst, math.abs(row[k] - got[i][k])), math.max(most, math.abs(row[k]))
    end
  end
  return worst / most
end

for _, family in ipairs { "bert", "roberta", "electra", "distilbert", "gpt2" } do
  t.test("gradient times input: " .. family, function()
    local net, input, lengths = of(family)
    net:train()
    local trainable = {}
    for name, p in net:parameters() do trainable[name] = p:requires_grad() end
    local scores, rows = gradient.of(net, input, lengths, gradient.likeliest)
    local d = distance(scores, golden[family .. ".scores"], lengths:tolist())
    assert(d < 2e-5, d)
    assert(t.distance(core.tensor(rows), golden[family .. ".logits"]) < 1e-4)
    -- The network is left as it was: in training, its parameters wanting gradients and without any.
    assert(net.training)
    for name, p in net:parameters() do
      t.equal(p:requires_grad(), trainable[name], name)
      t.equal(p.grad, nil, name)
    end
    net:eval()
    net:freeze "*"
    local again = gradient.of(net, input, lengths, gradient.likeliest)
    assert(distance(again, golden[family .. ".scores"], lengths:tolist()) < 2e-5)
    local other = gradient.of(net, input, lengths, function(logits)
      local list = gradient.likeliest(logits)
      for i, k in ipairs(list) do list[i] = k % 3 + 1 end
      return list
    end)
    assert(distance(other, golden[family .. ".scores"], lengths:tolist()) > 1e-2)
  end)
end

t.finish()
