-- bert.lua - a training step of BERT (Devlin et al. 2018) with a classifier of two classes, as transformers'
-- BertForSequenceClassification does it: 32 sequences of 128 tokens, dropout 0.1, AdamW over everything.
local tlua = require "tlua"
local core = require "tlua.core"
local nn = tlua.nn
local sizes = { bert_6x384 = { layers = 6, width = 384, heads = 12, inner = 1536 }, bert_base = { layers = 12, width = 768, heads = 12, inner = 3072 } }

local Bert = nn.class("Bert")
function Bert:init(size)
  self.words, self.positions, self.types = nn.Embedding(30522, size.width), nn.Embedding(512, size.width), nn.Embedding(2, size.width)
  self.norm, self.dropout = nn.LayerNorm(size.width, { eps = 1e-12 }), nn.Dropout(0.1)
  local list = {}
  for i = 1, size.layers do list[i] = nn.TransformerLayer(size.width, size.heads, size.inner, { dropout = 0.1, eps = 1e-12 }) end
  self.layers = nn.ModuleList(table.unpack(list))
  self.pooler, self.head = nn.Linear(size.width, size.width), nn.Linear(size.width, 2)
end

function Bert:forward(ids, positions, types, lengths)
  local x = self.dropout(self.norm(self.words(ids) + self.positions(positions) + self.types(types)))
  for _, layer in ipairs(self.list) do x = layer(x, lengths) end
  local first = x:slice(2, 0, 1):reshape(x:shape(1), -1)
  local y = self.head(self.dropout(self.pooler(first):tanh()))
  return y
end

local function numbers(n, most)
  local list = {}
  for i = 1, n do list[i] = (i * 7919) % most end
  return list
end

-- The step of `name` with `batch` sequences of `tokens`; lengths: a list, or nil where all count; again: globs of layers that backward computes again.
return function(name, batch, tokens, lengths, again)
  local net = Bert(sizes[name])
  if again then require("tlua.recompute").mark(net, again) end
  rawset(net, "list", {})
  for i = 1, sizes[name].layers do net.list[i] = net.layers:at(i) end
  net:ready()
  net:train()
  local params = {}
  for _, p in net:parameters() do params[#params + 1] = p end
  local opt = tlua.optim.AdamW(params, { lr = 2e-5 })
  local int = { dtype = "int32" }
  local ids = core.tensor(numbers(batch * tokens, 30000), int):reshape(batch, tokens)
  local places, zeros = {}, {}
  for i = 1, tokens do places[i], zeros[i] = i - 1, 0 end
  local positions, types = core.tensor(places, int), core.tensor(zeros, int)
  local y = core.tensor(numbers(batch, 2), int)
  lengths = lengths and core.tensor(lengths, int)
  return function()
    local s <close> = core.scope()
    opt:zero_grad()
    local loss = nn.functional.cross_entropy(net(ids, positions, types, lengths), y)
    loss:backward()
    opt:step()
    local value = loss:item()
    core.sync()
    return value
  end
end
