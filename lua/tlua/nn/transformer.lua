-- transformer.lua - attention by heads and the layer that transformers are made of (Vaswani et al. 2017), over
-- (N, T, width).
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local linear = require "tlua.nn.linear"
local norm = require "tlua.nn.norm"
local ops = core.ops
local M = {}

-- nn.MultiHeadAttention(width, heads [, {dropout = 0, causal = false, bias = true}]): queries, keys and values are linear
-- maps of x (keys and values of `context` where it is given), the heads' results go through `out`. lengths (N) int32: how
-- many keys of each sequence count; padded work is skipped. bias (N or 1, heads or 1, T or 1, keys): added to the scores.
local MultiHeadAttention = module.class("nn.MultiHeadAttention")
MultiHeadAttention.scoped = true
local DROPOUT = { "dropout", "number", 0, "share that is dropped", least = 0, below = 1 }
local CAUSAL = { "causal", "boolean", false, "a token sees those before it alone" }
local ATTENTION = { DROPOUT, CAUSAL, { "bias", "boolean", true, "of the linear maps" } }
M.MultiHeadAttention = MultiHeadAttention

function MultiHeadAttention:init(...)
  local values, o = schema.arguments("nn.MultiHeadAttention", ATTENTION, { false, false }, ...)
  self.width = util.whole("nn.MultiHeadAttention", "the width", values[1])
  self.heads = util.whole("nn.MultiHeadAttention", "the number of heads", values[2])
  if self.width % self.heads ~= 0 then util.failf("nn.MultiHeadAttention: %d heads do not share %d features", self.heads, self.width) end
  self.p, self.causal, self.bias_wanted = o.dropout, o.causal, o.bias
  for _, name in ipairs { "query", "key", "value", "out" } do self[name] = linear.Linear(self.width, self.width, { bias = o.bias }) end
end

function MultiHeadAttention:forward(x, lengths, context, bias)
  context = context or x
  local y = ops.attention(self.query(x), self.key(context), self.value(context), lengths, bias,
    { heads = self.heads, causal = self.causal, dropout = self.p, training = self.training and self.p > 0 })
  y = self.out(y)
  return y
end

function MultiHeadAttention:label() return ("nn.MultiHeadAttention(%d, %d heads)"):format(self.width, self.heads) end
function MultiHeadAttention:spec()
  return { class = "MultiHeadAttention", args = { self.width, self.heads }, options = { dropout = self.p, causal = self.causal, bias = self.bias_wanted } }
end
function MultiHeadAttention:cost(shape)
  local tokens = shape[1] * shape[2]
  return shape, tokens * (4 * self.width * self.width + 2 * shape[2] * self.width)
end

-- nn.TransformerLayer(width, heads, inner [, {dropout = 0, norm = "post", activation = "gelu", causal = false, eps = 1e-5}]):
-- attention and a network of two linear layers, each added to what went in. norm = "post" normalises the sums (BERT),
-- "pre" what goes in (GPT-2, ViT).
local TransformerLayer = module.class("nn.TransformerLayer")
TransformerLayer.scoped = true
local LAYER = { DROPOUT, { "norm", "choice", "post", "where it stands", { "post", "pre" } },
  { "activation", "choice", "gelu", "between the linear layers", { "gelu", "gelu_tanh", "relu", "relu6", "silu", "hardswish", "sigmoid", "tanh" } }, CAUSAL,
  { "eps", "number", 1e-5, "added to the variance", least = 0 } }
M.TransformerLayer = TransformerLayer

function TransformerLayer:init(...)
  local what = "nn.TransformerLayer"
  local values, o = schema.arguments(what, LAYER, { false, false, false }, ...)
  local width, heads, inner = util.whole(what, "the width", values[1]), util.whole(what, "the number of heads", values[2]), util.whole(what, "the inner width", values[3])
  rawset(self, "options", o)
  rawset(self, "sizes", { width, heads, inner })
  self.attention = MultiHeadAttention(width, heads, { dropout = o.dropout, causal = o.causal })
  self.norm1 = norm.LayerNorm(width, { eps = o.eps })
  self.up = linear.Linear(width, inner)
  self.down = linear.Linear(inner, width)
  self.norm2 = norm.LayerNorm(width, { eps = o.eps })
  self.dropout = linear.Dropout(o.dropout)
end

local function inner(self, x)
  local y = self.up(x)
  y = ops[self.options.activation](y)
  y = self.dropout(self.down(y))
  return y
end

function TransformerLayer:forward(x, lengths)
  if self.options.norm == "pre" then
    local y = x + self.dropout(self.attention(self.norm1(x), lengths))
    y = y + inner(self, self.norm2(y))
    return y
  end
  local y = self.norm1(x + self.dropout(self.attention(x, lengths)))
  y = self.norm2(y + inner(self, y))
  return y
end

function TransformerLayer:label() return ("nn.TransformerLayer(%d, %d heads, %d)"):format(table.unpack(self.sizes)) end
function TransformerLayer:spec() return { class = "TransformerLayer", args = self.sizes, options = self.options } end
function TransformerLayer:cost(shape)
  local _, n = self.attention:cost(shape)
  return shape, n + shape[1] * shape[2] * 2 * self.sizes[1] * self.sizes[3]
end

return M
