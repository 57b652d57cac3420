-- gpt2.lua - GPT-2 (Radford et al. 2019) with the names and layouts of Hugging Face's transformers, as an encoder of
-- prefixes: a piece sees those before it and itself, so the last piece that counts stands for a text.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local util = require "tlua.util"
local Texts = require "tlua.models.text.texts"
local adapted = require("tlua.nn.linear").adapted
local ops, put = core.ops, Texts.put

local FAMILY = { body = "transformer", tables = "wte", head = "score", head_bias = false,
  drops = { vector = true, classifier = "classifier_dropout", qa_outputs = 0 },
  words = { tied = { "lm_head.weight" } } }

-- A linear map whose weight is (in, out), as its files have it.
local Conv1D = module.class("gpt2.Conv1D")
Conv1D.transposed, Conv1D.takes_lora, Conv1D.takes_half = true, true, true
function Conv1D:init(width, out, deviation)
  rawset(self, "in_features", width)
  rawset(self, "out_features", out)
  self:parameter("weight", { width, out }, { "normal", 0, deviation })
  self:parameter("bias", { out }, { "constant", 0 })
end
function Conv1D:forward(x, activation)
  if self.lora then
    local y = adapted(self, x, ops.linear(x, self.weight:transpose(), self.bias), activation)
    return y
  end
  local y = ops.linear(x, self.weight:transpose(), self.bias, nil, activation and { activation = activation })
  return y
end
function Conv1D:label() return ("gpt2.Conv1D(%d -> %d)"):format(self.in_features, self.out_features) end

-- ---- a layer: (N, T, width) -> the same ----

local Layer = module.class("gpt2.Layer")
Layer.scoped = true
function Layer:init(o)
  -- What is added to the stream starts smaller, the more layers add to it.
  local added = o.initial / math.sqrt(2 * o.layers)
  self.ln_1 = nn.LayerNorm(o.width, { eps = o.eps })
  put(self, "attn.c_attn", Conv1D(o.width, 3 * o.width, o.initial))
  put(self, "attn.c_proj", Conv1D(o.width, o.width, added))
  self.ln_2 = nn.LayerNorm(o.width, { eps = o.eps })
  put(self, "mlp.c_fc", Conv1D(o.width, o.inner, o.initial))
  put(self, "mlp.c_proj", Conv1D(o.inner, o.width, added))
  self.dropout = nn.Dropout(o.dropout)
  rawset(self, "o", o)
end
-- longest: of texts one behind the other, (rows, width), the most rows of one.
function Layer:forward(x, lengths, longest)
  local o = self.o
  local joint = self.attn.c_attn(self.ln_1(x))
  local function part(k) return ops.slice(joint, -1, k * o.width, o.width) end
  local y = ops.attention(part(0), part(1), part(2), lengths, { heads = o.heads, causal = true, longest = longest,
    dropout = o.attention_dropout, training = self.training and o.attention_dropout > 0 and not self:all_frozen() })
  x = x + self.dropout(self.attn.c_proj(y))
  y = x + self.dropout(self.mlp.c_proj(Texts.activated(self.mlp.c_fc, self.ln_2(x), o.activation)))
  return y
end

-- ---- the network ----

local Gpt2 = module.class("models.Gpt2", Texts)
Gpt2.causal = true -- a piece sees none behind it

function Gpt2:init(entry, options)
  local o, what = {}, "models." .. entry.name
  for key, value in pairs(options) do o[key] = value end
  o.inner = o.inner or 4 * o.width
  o.classifier_dropout = o.classifier_dropout or 0.1
  if o.width % o.heads ~= 0 then util.failf("%s: %d heads do not share a width of %d", what, o.heads, o.width) end
  rawset(self, "o", o)
  rawset(self, "family", FAMILY)
  rawset(self, "features_width", o.width)
  local body, layers = put(self, "transformer", Texts.Parts()), {}
  body.wte = Texts.table_of(o.vocabulary, o.width, o)
  body.wpe = Texts.table_of(o.positions, o.width, o)
  for i = 1, o.layers do layers[i] = Layer(o) end
  body.h = nn.Sequential(layers)
  body.ln_f = nn.LayerNorm(o.width, { eps = o.eps })
  self.dropout_embeddings = nn.Dropout(o.embedding_dropout or o.dropout)
  self:dress(options)
end

function Gpt2:embed(x)
  local body = self.transformer
  local ids, types = self:apart(x)
  if types then util.failf("%s: numbers of pieces (N, T) are needed: it has no types of pieces", self:label()) end
  local steps = self.packing and self.packing.longest or ids:shape(2)
  self:check_steps(steps)
  local places = self.packing and body.wpe(self:places(0)) or body.wpe:rows(0, steps)
  return self:embedded(body.wte(ids) + places, { body.wte, body.wpe })
end

-- The row of the last piece that counts.
function Gpt2:pooled(x, lengths)
  local at = lengths
  if not at then -- T, by a sum along x itself: so nothing in the calls depends on it
    local ones = ops.isnan(ops.slice(x, 3, 0, 1)) * 0 + 1
    at = ops.cast(ones:sum { axes = { 2 } }, { dtype = "int32" })
  end
  at = ops.add(at, ops.range { start = -1, count = 1 }):reshape { -1, 1, 1 }
  local y = ops.gather(x, ops.expand(at, { x:shape(1), 1, self.o.width }), { axis = 2 })
  return y:reshape { x:shape(1), self.o.width }
end

function Gpt2:body_stages()
  local list = { { name = "transformer.wte", modules = { "transformer.wte", "transformer.wpe" },
    run = function(me, x, lengths) return me:embed(x), lengths end } }
  for i = 1, self.o.layers do
    local name = "transformer.h." .. i - 1
    list[#list + 1] = { name = name, modules = { name }, run = function(me, x, lengths)
      return me.transformer.h:at(i)(x, lengths, me.packing and me.packing.longest), lengths
    end }
  end
  list[#list + 1] = { name = "transformer.ln_f", modules = { "transformer.ln_f" }, run = function(me, x, lengths)
    return me.transformer.ln_f(x), lengths
  end }
  return list
end

-- Files of the network without a head have no name of its body.
function Gpt2:current_name(name)
  for _, first in ipairs { "wte.", "wpe.", "h.", "ln_f." } do
    if name:sub(1, #first) == first then return "transformer." .. name end
  end
  return name
end

function Gpt2:most_pieces() return self.o.positions end

-- ---- the registry ----

local FIELDS = { { "inner", "integer", nil, "features within the feed-forward layers (four times the width)", least = 1,
    most = 1 << 20 },
  { "embedding_dropout", "number", nil, "behind the tables (that of all else)", least = 0, below = 1 } }
for _, field in ipairs(Texts.fields { vocabulary = 50257, positions = 1024, activation = "gelu_tanh", eps = 1e-5 }) do
  FIELDS[#FIELDS + 1] = field
end

return function(registry)
  registry.add { name = "gpt2", class = Gpt2, takes = "text", classes = 2, dropout = 0.1, fields = FIELDS }
end
