-- text_networks.lua - encoders of text out of folders as transformers saves them (tests/golden/make_text.py): logits,
-- gradients and ten losses as theirs; plans, frozen stages, and what is refused.
-- Run by `tlua tests/lua/text_networks.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn, ops = tlua.nn, core.ops

local FOLDER = "tests/golden/text/"
local LABELS = { 0, 2, 1 }
local function labels() return core.tensor(LABELS, { dtype = "int32" }) end

local function opened(family, more)
  local options = { path = FOLDER .. family, dropout = 0, attention_dropout = 0, classifier_dropout = 0 }
  for key, value in pairs(more or {}) do options[key] = value end
  local net = tlua.models.from_folder(options)
  net:ready()
  return net
end

-- Numbers, with their types where the family has types.
local function input_of(family, golden)
  if family ~= "bert" and family ~= "electra" then return golden.ids end
  local n, steps = table.unpack(golden.ids:shape())
  return ops.concat(golden.ids:reshape(n, steps, 1), golden.types:reshape(n, steps, 1), { axis = 3 })
end

local function largest(x) return x:abs():amax():item() end

for _, family in ipairs { "bert", "roberta", "electra", "distilbert" } do
  local golden = core.load(FOLDER .. family .. "/golden.safetensors")

  t.test(family .. ": logits and gradients", function()
    local net = opened(family)
    net:train()
    local out = net(input_of(family, golden), golden.lengths)
    assert(largest(out - golden.logits) < 2e-6 * largest(golden.logits), "logits")
    nn.functional.cross_entropy(out, labels()):backward()
    local most, count = 0, 0
    for path in net:parameters() do most = math.max(most, largest(golden["grad." .. path])) end
    for path, p in net:parameters() do
      local want = golden["grad." .. path]
      -- A bias of keys moves all scores of a query alike: its gradient is rounding, and held against the others'.
      local scale = (path:find "key.bias" or path:find "k_lin.bias") and most or largest(want)
      assert(largest(p.grad - want) <= 2e-5 * scale, path)
      count = count + 1
    end
    assert(count > 30)
  end)

  t.test(family .. ": ten losses", function()
    local net, params = opened(family), {}
    for _, p in net:parameters() do params[#params + 1] = p end
    local sgd, want, x = tlua.optim.SGD(params, { lr = 0.1 }), golden.losses:tolist(), input_of(family, golden)
    for i = 1, 10 do
      sgd:zero_grad()
      local loss = nn.functional.cross_entropy(net(x, golden.lengths), labels())
      loss:backward()
      sgd:step()
      assert(math.abs(loss:item() - want[i]) < 2e-6, "loss " .. i)
    end
  end)

  t.test(family .. ": frozen, as a plan, in batches of any length", function()
    local net = opened(family)
    net:eval()
    local guard <close> = core.no_grad()
    local x = input_of(family, golden)
    assert(largest(net(x, golden.lengths) - golden.logits) < 2e-6 * largest(golden.logits), "the plan")
    -- The second text alone, without padding.
    local alone = ops.slice(ops.slice(x, 1, 1, 1), 2, 0, 6)
    local row = ops.slice(golden.logits, 1, 1, 1)
    assert(largest(net(alone) - row) < 5e-6 * largest(golden.logits), "alone")
    assert(largest(net(alone, core.tensor({ 6 }, { dtype = "int32" })) - row) < 5e-6 * largest(golden.logits))
  end)
end

t.test("the mean over pieces leaves padding out", function()
  local golden = core.load(FOLDER .. "bert/golden.safetensors")
  local net = tlua.models.bert { vocabulary = 50, positions = 20, width = 16, layers = 2, heads = 2, inner = 24,
    pool = "mean", dropout = 0, attention_dropout = 0 }
  net:ready()
  net:eval()
  local guard <close> = core.no_grad()
  local both = net:features(golden.ids, golden.lengths)
  local alone = net:features(ops.slice(ops.slice(golden.ids, 1, 2, 1), 2, 0, 3))
  assert(largest(ops.slice(both, 1, 2, 1) - alone) < 1e-5)
  local first = tlua.models.bert { vocabulary = 50, positions = 20, width = 16, layers = 2, heads = 2, inner = 24,
    pool = "first", dropout = 0, attention_dropout = 0 }
  first:ready()
  t.equal(table.concat(first:features(golden.ids, golden.lengths):shape(), " "), "3 16")
end)

t.test("what is refused", function()
  t.fails("3 heads do not share a width of 16", tlua.models.bert, { width = 16, heads = 3 })
  local net = opened "bert"
  t.fails("a text of 21 pieces, and the network knows 20 places: --data.longest 20", net,
    core.zeros({ 1, 21 }, { dtype = "int32" }))
  t.fails("numbers of pieces (N, T), or with their types (N, T, 2), are needed, not (1, 2, 3)", net,
    core.zeros({ 1, 2, 3 }, { dtype = "int32" }))
end)

t.finish()
