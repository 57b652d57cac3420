-- bert.lua - encoders of text with the names that Hugging Face's transformers gave them: BERT (Devlin et al. 2018),
-- RoBERTa and XLM-R (Liu et al. 2019), ELECTRA (Clark et al. 2020), DistilBERT (Sanh et al. 2019). They differ in
-- names, in where positions begin and in what stands before the classifier; sizes are options, so that any folder's
-- config.json can be read (tlua/weights/folder.lua).
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local util = require "tlua.util"
local lengths_of = require "tlua.nn.sound.lengths"
local Texts = require "tlua.models.text.texts"
local ops, put, linear = core.ops, Texts.put, Texts.linear

-- Of each family: the name of its body, where its layers are, the names within a layer, and what is between body and
-- classifier: {path, activation}.
local LAYER = { query = "attention.self.query", key = "attention.self.key", value = "attention.self.value",
  out = "attention.output.dense", norm1 = "attention.output.LayerNorm", up = "intermediate.dense",
  down = "output.dense", norm2 = "output.LayerNorm" }
local DISTIL = { query = "attention.q_lin", key = "attention.k_lin", value = "attention.v_lin",
  out = "attention.out_lin", norm1 = "sa_layer_norm", up = "ffn.lin1", down = "ffn.lin2",
  norm2 = "output_layer_norm" }
-- Of the masked words' heads, and of the chances before the heads of pieces.
local BERT = "cls.predictions"
local NONE_OF_SPANS = { classifier = "classifier_dropout", qa_outputs = 0 }
local TABLE = "embeddings.word_embeddings"
local FAMILIES = {
  bert = { body = "bert", layers = "encoder.layer", layer = LAYER, before = { "bert.pooler.dense", "tanh" },
    head = "classifier", types = 2, tables = TABLE, drops = NONE_OF_SPANS,
    words = { top = BERT, dense = BERT .. ".transform.dense", norm = BERT .. ".transform.LayerNorm", bias = BERT,
      tied = { BERT .. ".decoder." } } },
  roberta = { body = "roberta", layers = "encoder.layer", layer = LAYER, before = { "classifier.dense", "tanh" },
    head = "classifier.out_proj", types = 1, tables = TABLE, drops = NONE_OF_SPANS,
    words = { dense = "lm_head.dense", norm = "lm_head.layer_norm", activation = "gelu", bias = "lm_head",
      tied = { "lm_head.decoder." } } },
  electra = { body = "electra", layers = "encoder.layer", layer = LAYER, before = { "classifier.dense", "gelu" },
    head = "classifier.out_proj", types = 2, tables = TABLE, drops = NONE_OF_SPANS,
    words = { dense = "generator_predictions.dense", norm = "generator_predictions.LayerNorm", activation = "gelu",
      bias = "generator_lm_head", tied = { "generator_lm_head.weight" } } },
  distilbert = { body = "distilbert", layers = "transformer.layer", layer = DISTIL,
    before = { "pre_classifier", "relu" }, head = "classifier", types = 0, tables = TABLE,
    drops = { classifier = "dropout", qa_outputs = "dropout" },
    words = { dense = "vocab_transform", norm = "vocab_layer_norm", bias = "vocab_projector",
      tied = { "vocab_projector.weight" } } },
}

-- ---- a layer: (N, T, width) -> the same ----

local Layer = module.class("bert.Layer")
Layer.scoped = true
function Layer:init(o, names)
  local parts = {}
  for _, name in ipairs { "query", "key", "value", "out" } do
    parts[name] = put(self, names[name], linear(o.width, o.width, o))
  end
  parts.norm1 = put(self, names.norm1, nn.LayerNorm(o.width, { eps = o.eps }))
  parts.up = put(self, names.up, linear(o.width, o.inner, o))
  parts.down = put(self, names.down, linear(o.inner, o.width, o))
  parts.norm2 = put(self, names.norm2, nn.LayerNorm(o.width, { eps = o.eps }))
  self.dropout = nn.Dropout(o.dropout)
  rawset(self, "parts", parts)
  rawset(self, "o", o)
end
-- longest: of texts one behind the other, (rows, width), the most rows of one.
function Layer:forward(x, lengths, longest)
  local p, o = self.parts, self.o
  local y = ops.attention(p.query(x), p.key(x), p.value(x), lengths, { heads = o.heads, longest = longest,
    dropout = o.attention_dropout, training = self.training and o.attention_dropout > 0 and not self:all_frozen() })
  y = p.norm1(x + self.dropout(p.out(y)))
  y = p.norm2(y + self.dropout(p.down(Texts.activated(p.up, y, o.activation))))
  return y
end

-- ---- the network ----

local Bert = module.class("models.Bert", Texts)

local function embeddings(o)
  local e = Texts.Parts()
  local function table_of(rows) return Texts.table_of(rows, o.embedding_width, o) end
  e.word_embeddings = table_of(o.vocabulary)
  e.position_embeddings = table_of(o.positions)
  if o.types > 0 then e.token_type_embeddings = table_of(o.types) end
  e.LayerNorm = nn.LayerNorm(o.embedding_width, { eps = o.eps })
  return e
end

function Bert:init(entry, options)
  local o, what = {}, "models." .. entry.name
  for key, value in pairs(options) do o[key] = value end
  local family = FAMILIES[o.family]
  o.embedding_width = o.embedding_width or o.width
  o.types = o.types or family.types
  if o.width % o.heads ~= 0 then util.failf("%s: %d heads do not share a width of %d", what, o.heads, o.width) end
  if o.pool == "published" then o.pool = nil end
  rawset(self, "o", o)
  rawset(self, "family", family)
  rawset(self, "features_width", o.width)
  local body = put(self, family.body, Texts.Parts())
  body.embeddings = embeddings(o)
  if o.embedding_width ~= o.width then body.embeddings_project = linear(o.embedding_width, o.width, o) end
  local layers = {}
  for i = 1, o.layers do layers[i] = Layer(o, family.layer) end
  put(self, family.body .. "." .. family.layers, nn.Sequential(layers))
  self.dropout_embeddings = nn.Dropout(o.dropout)
  self:dress(options)
end

function Bert:embed(x)
  local o, e = self.o, self:find(self.family.body).embeddings
  local ids, types = self:apart(x)
  local steps = self.packing and self.packing.longest or ids:shape(2)
  self:check_steps(steps)
  local y = e.word_embeddings(ids) + (self.packing and e.position_embeddings(self:places(o.first_position))
    or e.position_embeddings:rows(o.first_position, steps))
  if o.types > 0 then
    y = y + (types and e.token_type_embeddings(types) or e.token_type_embeddings:rows(0, 1))
  end
  y = self:embedded(e.LayerNorm(y), { e })
  return y
end

-- One row a text: of its first piece, or the mean over all.
function Bert:pooled(x, lengths)
  if self.o.pool == "mean" then
    if not lengths then return x:mean { axes = { 2 } } end
    local counts = ops.cast(lengths:reshape { -1, 1 }, { dtype = "float32" })
    return lengths_of.masked(x, lengths):sum { axes = { 2 } } / counts
  end
  local y = ops.slice(x, 2, 0, 1):reshape { x:shape(1), self.o.width }
  if self.o.pool == "first" then return y end
  local path, activation = table.unpack(self.family.before)
  if path:find "^classifier" then y = self.dropout_head(y) end
  y = ops[activation]((self:find(path)(y)))
  return y
end

function Bert:body_stages()
  local family, o = self.family, self.o
  local body = self:find(family.body)
  local embedded = family.body .. ".embeddings"
  local list = { { name = embedded, modules = { embedded }, run = function(me, x, lengths)
    return me:embed(x), lengths
  end } }
  if o.embedding_width ~= o.width then
    local name = family.body .. ".embeddings_project"
    list[2] = { name = name, modules = { name }, run = function(_, x, lengths)
      return body.embeddings_project(x), lengths
    end }
  end
  local layers = family.body .. "." .. family.layers
  for i = 1, o.layers do
    local name = layers .. "." .. i - 1
    list[#list + 1] = { name = name, modules = { name }, run = function(me, x, lengths)
      return me:find(layers):at(i)(x, lengths, me.packing and me.packing.longest), lengths
    end }
  end
  return list
end

-- Files of the network without a head have no name of its body.
function Bert:current_name(name)
  local body = self.family.body
  local layers = self.family.layers:match "^[^.]+" .. "."
  for _, first in ipairs { "embeddings.", "embeddings_project.", layers, "pooler." } do
    if name:sub(1, #first) == first then name = body .. "." .. name end
  end
  return (name:gsub("%.LayerNorm%.gamma$", ".LayerNorm.weight"):gsub("%.LayerNorm%.beta$", ".LayerNorm.bias"))
end

function Bert:most_pieces() return self.o.positions - self.o.first_position end

-- ---- the registry ----

local FIELDS = { { "family", "choice", "bert", "whose names and classifier it has",
    { "bert", "roberta", "electra", "distilbert" } },
  { "inner", "integer", 3072, "features within the feed-forward layers", least = 1, most = 1 << 20 },
  { "first_position", "integer", 0, "row of the first piece's place", least = 0, most = 1 << 20 },
  { "types", "integer", nil, "types of pieces (the family's)", least = 0, most = 1024 },
  { "embedding_width", "integer", nil, "features of its tables, where they are fewer than `width`", least = 1,
    most = 65536 },
  { "pool", "choice", "published", "what stands for a text: as the family has it published (its first piece through " ..
    "one more layer), the first piece, or the mean of all", { "published", "first", "mean" } } }
for _, field in ipairs(Texts.fields { vocabulary = 30522, positions = 512, activation = "gelu", eps = 1e-12 }) do
  FIELDS[#FIELDS + 1] = field
end

return function(registry)
  registry.add { name = "bert", class = Bert, takes = "text", classes = 2, dropout = 0.1, fields = FIELDS }
end
