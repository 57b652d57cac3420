-- bert.lua - encoders of text with the names that Hugging Face's transformers gave them: BERT (Devlin et al. 2018),
-- RoBERTa and XLM-R (Liu et al. 2019), ELECTRA (Clark et al. 2020), DistilBERT (Sanh et al. 2019). They differ in
-- names, in where positions begin and in what stands before the classifier; sizes are options, so that any folder's
-- config.json can be read (tlua/weights/folder.lua).
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local util = require "tlua.util"
local lengths_of = require "tlua.nn.sound.lengths"
local Network = require "tlua.models.network"
local ops = core.ops

-- Of each family: the name of its body, where its layers are, the names within a layer, and what is between body and
-- classifier: {path, activation}.
local LAYER = { query = "attention.self.query", key = "attention.self.key", value = "attention.self.value",
  out = "attention.output.dense", norm1 = "attention.output.LayerNorm", up = "intermediate.dense",
  down = "output.dense", norm2 = "output.LayerNorm" }
local DISTIL = { query = "attention.q_lin", key = "attention.k_lin", value = "attention.v_lin",
  out = "attention.out_lin", norm1 = "sa_layer_norm", up = "ffn.lin1", down = "ffn.lin2",
  norm2 = "output_layer_norm" }
local FAMILIES = {
  bert = { body = "bert", layers = "encoder.layer", layer = LAYER, before = { "bert.pooler.dense", "tanh" },
    head = "classifier", types = 2 },
  roberta = { body = "roberta", layers = "encoder.layer", layer = LAYER, before = { "classifier.dense", "tanh" },
    head = "classifier.out_proj", types = 1 },
  electra = { body = "electra", layers = "encoder.layer", layer = LAYER, before = { "classifier.dense", "gelu" },
    head = "classifier.out_proj", types = 2 },
  distilbert = { body = "distilbert", layers = "transformer.layer", layer = DISTIL,
    before = { "pre_classifier", "relu" }, head = "classifier", types = 0 },
}

-- A name between others, without a forward of its own.
local Parts = module.class("bert.Parts")

-- Puts a module at a path below another, through names that only lead there.
local function put(owner, path, m)
  for name in path:gmatch "([^.]+)%." do
    if not owner:find(name) then owner[name] = Parts() end
    owner = owner:find(name)
  end
  owner[path:match "[^.]+$"] = m
  return m
end

-- All linear maps and tables of these networks start so.
local function initial(o) return { "normal", 0, o.initial } end
local function linear(width, out, o) return nn.Linear(width, out, { initial = initial(o) }) end

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
function Layer:forward(x, lengths)
  local p, o = self.parts, self.o
  local y = ops.attention(p.query(x), p.key(x), p.value(x), lengths, { heads = o.heads,
    dropout = o.attention_dropout, training = self.training and o.attention_dropout > 0 and not self:all_frozen() })
  y = p.norm1(x + self.dropout(p.out(y)))
  y = p.norm2(y + self.dropout(p.down(p.up(y, o.activation))))
  return y
end

-- ---- the network ----

local Bert = module.class("models.Bert", Network)
Bert.gives, Bert.takes, Bert.drops_within = "vector", "text", true
Bert.open_sizes = { T = 64 }
Bert.first_name = ""

local function embeddings(o)
  local e = Parts()
  local function table_of(rows) return nn.Embedding(rows, o.embedding_width) end
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
  rawset(self, "head_name", family.head)
  rawset(self, "features_width", o.width)
  local body = put(self, family.body, Parts())
  body.embeddings = embeddings(o)
  if o.embedding_width ~= o.width then body.embeddings_project = linear(o.embedding_width, o.width, o) end
  local layers = {}
  for i = 1, o.layers do layers[i] = Layer(o, family.layer) end
  put(self, family.body .. "." .. family.layers, nn.Sequential(layers))
  if not o.pool then put(self, family.before[1], linear(o.width, o.width, o)) end
  put(self, family.head, linear(o.width, o.classes, o))
  self.dropout_embeddings = nn.Dropout(o.dropout)
  self.dropout_pooled = nn.Dropout(o.classifier_dropout or o.dropout)
end

-- Numbers (N, T), or with their types (N, T, 2).
local function apart(self, x)
  if x:rank() == 2 then return x end
  if x:rank() ~= 3 or x:shape(3) ~= 2 then
    util.failf("%s: numbers of pieces (N, T), or with their types (N, T, 2), are needed, not %s", self:label(),
      util.shape_text(x:shape()))
  end
  local function one(k) return ops.slice(x, 3, k, 1):reshape { x:shape(1), x:shape(2) } end
  return one(0), one(1)
end

function Bert:embed(x)
  local o, e = self.o, self:find(self.family.body).embeddings
  local ids, types = apart(self, x)
  local steps = ids:shape(2)
  if steps + o.first_position > o.positions then
    util.failf("%s: a text of %d pieces, and the network knows %d places: --data.longest %d", self:label(), steps,
      o.positions - o.first_position, o.positions - o.first_position)
  end
  local y = e.word_embeddings(ids) + e.position_embeddings:rows(o.first_position, steps)
  if o.types > 0 then
    y = y + (types and e.token_type_embeddings(types) or e.token_type_embeddings:rows(0, 1))
  end
  y = self.dropout_embeddings(e.LayerNorm(y))
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
  if path:find "^classifier" then y = self.dropout_pooled(y) end
  y = ops[activation]((self:find(path)(y)))
  return y
end

function Bert:stages()
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
      return me:find(layers):at(i)(x, lengths), lengths
    end }
  end
  local before = not o.pool and family.before[1] or nil
  list[#list + 1] = { name = before or "pooling", modules = { before }, run = function(me, x, lengths)
    return me:pooled(x, lengths), lengths
  end }
  return list
end

function Bert:forward(x, lengths)
  local y = self:classify((self:features(x, lengths)))
  return y
end

function Bert:classify(features)
  local y = self:head()(self.dropout_pooled(features))
  return y
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

-- What stands before the published classifier has no place where texts are pooled otherwise.
function Bert:left_aside()
  return self.o.pool and { self.family.before[1] .. ".", "pooler.dense." } or {}
end

function Bert:plan_inputs()
  return { { "N", "T", name = "input", dtype = "int32" }, { "N", name = "lengths", dtype = "int32" } }
end
function Bert:preprocessing() return rawget(self, "file_preprocessing") or { longest = self:most_pieces(),
  types = self.o.types > 1 } end
function Bert:tokenizer() return rawget(self, "file_tokenizer") end
function Bert:vocabulary_size() return self.o.vocabulary end
-- A model file brings the tokenizer that it was trained with.
function Bert:took_kept(name, packed, what)
  if name ~= "tlua.tokenizer" then return end
  local place = what .. ": its tokenizer"
  rawset(self, "file_tokenizer", require("tlua.data.texts.tokenizer").read(core.unpack(packed, place), place))
end
function Bert:most_pieces() return self.o.positions - self.o.first_position end
function Bert:picture_shape(pieces) return { 1, pieces or 64 } end
function Bert:labels() return rawget(self, "file_labels") end
function Bert:structure(_) return self.o.pool or "published" end

function Bert:features_cost(shape)
  local o, n, steps = self.o, shape[1], shape[2]
  local w = o.width
  local layer = steps * (4 * w * w + 2 * w * o.inner + 2 * steps * w)
  return { n, w }, n * (o.layers * layer + (o.pool and 0 or w * w))
end

-- ---- the registry ----

local function share(name, default, brief) return { name, "number", default, brief, least = 0, below = 1 } end
local function count(name, default, brief, most)
  return { name, "integer", default, brief, least = 1, most = most }
end

local FIELDS = { { "family", "choice", "bert", "whose names and classifier it has",
    { "bert", "roberta", "electra", "distilbert" } },
  count("width", 768, "features of a piece", 65536), count("layers", 12, "of the transformer", 1024),
  count("heads", 12, "of the attention", 1024),
  count("inner", 3072, "features within the feed-forward layers", 1 << 20),
  count("vocabulary", 30522, "pieces that it knows", 1 << 24),
  count("positions", 512, "rows of places", 1 << 20),
  { "first_position", "integer", 0, "row of the first piece's place", least = 0, most = 1 << 20 },
  { "types", "integer", nil, "types of pieces (the family's)", least = 0, most = 1024 },
  { "embedding_width", "integer", nil, "features of its tables, where they are fewer than `width`", least = 1,
    most = 65536 },
  { "activation", "choice", "gelu", "within the feed-forward layers", { "gelu", "gelu_tanh", "relu", "silu" } },
  { "pool", "choice", "published", "what stands for a text: as the family has it published (its first piece through " ..
    "one more layer), the first piece, or the mean of all", { "published", "first", "mean" } },
  { "eps", "number", 1e-12, "added to the variance in norms", least = 0 },
  { "initial", "number", 0.02, "deviation that linear maps start with", least = 0 },
  share("attention_dropout", 0.1, "of the attention's shares"),
  { "classifier_dropout", "number", nil, "before the classifier (that of all else)", least = 0, below = 1 } }

return function(registry)
  registry.add { name = "bert", class = Bert, takes = "text", classes = 2, dropout = 0.1, fields = FIELDS }
end
