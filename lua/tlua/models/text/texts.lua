-- texts.lua - what encoders of text share: numbers of pieces in, and out, by what they `give`, a row a text
-- ("vector"), a row a piece ("frames"), or the rows that a table of words is asked with ("vocabulary": net:vocabulary).
-- Names of all heads are those of Hugging Face's transformers, so that files go both ways.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local plan = require "tlua.plan"
local util = require "tlua.util"
local Network = require "tlua.models.network"
local ops = core.ops

-- A subclass has: o (its options), family, body_stages() (up to the rows of all pieces), pooled(rows, lengths), and a
-- family has
--   body     the name of all but the heads
--   tables   the path of the table of words, behind `body`
--   before   {path, activation} of a layer between a text's row and the head of "vector"
--   head     the name of that head; head_bias = false: it has none
--   words    of "vocabulary": dense, norm (paths of a layer and a norm in front of the table; nil: none), activation,
--            bias (the path of the module that has one number a word), tied (names under which files repeat the table)
--   drops    of "frames": {classifier = name of an option or number, qa_outputs = ...}, the chance before the head
local Texts = module.class("models.Texts", Network)
Texts.gives, Texts.takes, Texts.drops_within, Texts.first_name = "vector", "text", true, ""

local KEPT = "tlua.tokenizer" -- of a model file, beside the network's tensors
local GIVES, HEADS = { "vector", "frames", "vocabulary" }, { "classifier", "qa_outputs" }
Texts.GIVES, Texts.HEADS = GIVES, HEADS

-- ---- the tree ----

-- A name between others, without a forward of its own.
local Parts = module.class("texts.Parts")
Texts.Parts = Parts

-- Puts a module at a path below another, through names that only lead there.
function Texts.put(owner, path, m)
  for name in path:gmatch "([^.]+)%." do
    if not owner:find(name) then owner[name] = Parts() end
    owner = owner:find(name)
  end
  owner[path:match "[^.]+$"] = m
  return m
end
local put = Texts.put

-- Takes it away again, and names that lead nowhere then.
local function remove(net, path)
  while path do
    local above, key = path:match "^(.*)%.([^.]+)$"
    local owner = above and net:find(above) or net
    owner[key or path] = nil
    path = above and #owner._order == 0 and owner._class == Parts._class and #owner._specs == 0 and above or nil
  end
end

-- All linear maps and tables of these networks start so.
function Texts.linear(width, out, o, bias)
  return nn.Linear(width, out, { initial = { "normal", 0, o.initial }, bias = bias ~= false })
end
local linear = Texts.linear

-- A linear map with an activation behind it, which the operator has but for one. Where there may be a gradient a smooth
-- one stands by itself: as a part of the operator it would have the product made again in backward.
function Texts.activated(m, x, name)
  if name == "relu" or name ~= "gelu_tanh" and not core.recording() then return m(x, name) end
  local scope <close> = core.scope()
  return scope:keep(ops[name]((m(x))))
end

function Texts.table_of(rows, width, o)
  local m = nn.Embedding(rows, width)
  m:parameter("weight", { rows, width }, { "normal", 0, o.initial })
  return m
end

-- ---- what it gives ----

-- A number for each word, added to its logit.
local Bias = module.class("texts.Bias")
function Bias:init(size)
  rawset(self, "size", size)
  self:parameter("bias", { size }, { "constant", 0 })
end
function Bias:label() return ("the head of %d words"):format(self.size) end

local function is_one_of(list, v)
  for _, each in ipairs(list) do
    if each == v then return true end
  end
  return false
end

-- The chance of dropout before the head.
local function chance(self)
  local o, family = self.o, self.family
  if self.gives == "vector" then return family.drops.vector and 0 or o.classifier_dropout or o.dropout end
  local p = self.gives == "frames" and family.drops[self.head_name] or 0
  return type(p) == "number" and p or o[p] or o.dropout
end

-- The modules of each kind of head: puts them in their places and gives these, the head's own first.
local dress = {}

function dress.vector(self)
  local o, family, paths = self.o, self.family, { self.family.head }
  if family.before and not o.pool then
    paths[2] = family.before[1]
    put(self, paths[2], linear(o.width, o.width, o))
  end
  put(self, family.head, linear(o.width, o.classes, o, family.head_bias))
  return paths, { family.head }
end

function dress.frames(self, head)
  put(self, head, linear(self.o.width, self.o.classes, self.o))
  return { head }, { head }
end

function dress.vocabulary(self)
  local o, w, paths, tops = self.o, self.family.words, {}, {}
  local function add(path, m)
    if not path then return end
    paths[#paths + 1] = path
    put(self, path, m)
    local top = w.top or path:match "^[^.]+"
    if tops[#tops] ~= top then tops[#tops + 1] = top end
  end
  local width = o.embedding_width or o.width
  if w.bias then -- the module may lead to the others
    local above = Bias(o.vocabulary)
    put(self, w.bias, above)
    paths[1], tops[1] = w.bias, w.top or w.bias:match "^[^.]+"
  end
  if w.dense then
    add(w.dense, linear(o.width, width, o))
    add(w.norm, nn.LayerNorm(width, { eps = o.eps }))
  end
  return paths, tops
end

local function put_on(self, what, head)
  rawset(self, "gives", what)
  rawset(self, "frames_head", what == "frames" and head or nil)
  rawset(self, "own_head", nil)
  local paths, parts = dress[what](self, head)
  rawset(self, "head_paths", paths)
  rawset(self, "head_parts", parts)
  rawset(self, "head_name", parts[1])
  rawset(self, "output_names", what ~= "vector" and { "output", "output_lengths" } or nil)
  rawset(self, "classes", what == "vocabulary" and self.o.vocabulary or self.o.classes)
  self.dropout_head = nn.Dropout(chance(self))
  rawset(self, "_stages", nil)
  self:_touch()
end

-- What the constructor of a subclass calls last, with all but the heads in place.
function Texts:dress(options)
  -- A length that a plan is traced with, and twice that.
  rawset(self, "open_sizes", { T = math.min(64, math.max(1, self:most_pieces() // 2)) })
  put_on(self, options.gives, options.gives == "frames" and options.head or nil)
end

-- net:give(what [, head]): what comes out from now on: "vector", "frames" or "vocabulary"; the head of frames is called
-- "classifier" (of pieces) or "qa_outputs" (where an answer begins and ends). A head of a file is read where it fits.
function Texts:give(what, head)
  if not is_one_of(GIVES, what) then util.unknown("word of net:give:", tostring(what), GIVES) end
  if head ~= nil and what ~= "frames" then
    util.failf("%s: give: a head is named for \"frames\" alone, not for \"%s\"", self:label(), what)
  end
  if head ~= nil and not is_one_of(HEADS, head) then
    util.unknown("head of net:give:", tostring(head), HEADS)
  end
  if what == "vocabulary" and rawget(self, "untied") then
    util.failf("%s: tie_word_embeddings = false: a head of words with a table of its own is not known here",
      self.untied)
  end
  if what == "frames" then head = head or rawget(self, "file_head") or "classifier" end
  if self.gives == what and rawget(self, "frames_head") == head then return self end
  for i = #self.head_paths, 1, -1 do remove(self, self.head_paths[i]) end
  put_on(self, what, head)
  local options = rawget(self, "network_options")
  options.gives, options.head = what, head or options.head
  rawset(self, "_built", nil)
  if not rawget(self, "_pending") then rawset(self, "_pending", rawget(self, "reread_head")) end
  return self
end

function Texts:set_up(entry, options)
  Network.set_up(self, entry, options)
  if self.gives == "vocabulary" then rawset(self, "classes", self.o.vocabulary) end
end

function Texts:set_head(head)
  if self.gives == "vocabulary" then
    util.failf("%s gives rows for its table of words, which has the network's own head: name none", self:label())
  end
  return Network.set_head(self, head)
end

function Texts:default_head(classes)
  return linear(self.features_width, classes, self.o, self.gives ~= "vector" or self.family.head_bias)
end

-- ---- another vocabulary ----

-- n rows of a table, or numbers: those there are, and for new ones the mean of these.
local function resized(t, n)
  local have, shape = t:shape(1), t:shape()
  if n <= have then return ops.slice(t, 1, 0, n) end
  shape[1] = n - have
  return ops.concat(t, ops.expand(t:mean { axes = { 1 }, keep = true }, shape), { axis = 1 })
end

-- The modules with a row a word, and the names of their tensors.
local function of_words(self)
  local bias = self.gives == "vocabulary" and self.family.words.bias
  local list = { { self.family.body .. "." .. self.family.tables, "weight" } }
  if bias then list[2] = { bias, "bias" } end
  return list
end

-- A tensor of a file for `path`, where the recipe wants another number of words than the file has.
function Texts:adapted(path, t, shape)
  local from = t:shape()
  if not rawget(self, "resized") or #from ~= #shape or from[2] ~= shape[2] then return nil end
  for _, each in ipairs(of_words(self)) do
    if path == each[1] .. "." .. each[2] then return resized(t, shape[1]) end
  end
end

-- net:resize_vocabulary(n): n words from now on: rows are kept, new ones are the mean of those there are (as
-- transformers has it, but for a draw of a billionth of their variance), and so are the numbers of a head of words.
function Texts:resize_vocabulary(n)
  n = util.whole("resize_vocabulary", "the number of words", n)
  if rawget(self:find(self:words_path()), "lora") then
    util.failf("%s: an adapter stands beside the table of words; resize it before net:add_lora", self:label())
  end
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  for _, each in ipairs(of_words(self)) do
    local m = self:find(each[1])
    local spec, have = m._specs[1], m._tensors[each[2]]
    local shape = { n, table.unpack(spec.shape, 2) }
    m._tensors[each[2]] = nil
    m:parameter(each[2], shape, spec.initial)
    if have then m:_adopt(m._specs[1], resized(have, n):clone()) end
    if m.num_embeddings then rawset(m, "num_embeddings", n) else rawset(m, "size", n) end
  end
  self.o.vocabulary, self.network_options.vocabulary = n, n
  if self.gives == "vocabulary" then rawset(self, "classes", n) end
  rawset(self, "resized", true)
  rawset(self, "_built", nil)
  return self
end

-- ---- forward ----

-- The table of words, (vocabulary, width), and its path.
function Texts:words_path() return self.family.body .. "." .. self.family.tables end
function Texts:words() return self:find(self:words_path()).weight end

-- Numbers (N, T), or with their types (N, T, 2).
function Texts:apart(x)
  if self.packing then
    if x:rank() == 1 then return x end
    return ops.slice(x, 2, 0, 1):reshape { -1 }, ops.slice(x, 2, 1, 1):reshape { -1 }
  end
  if x:rank() == 2 then return x end
  if x:rank() ~= 3 or x:shape(3) ~= 2 then
    util.failf("%s: numbers of pieces (N, T), or with their types (N, T, 2), are needed, not %s", self:label(),
      util.shape_text(x:shape()))
  end
  local function one(k) return ops.slice(x, 3, k, 1):reshape { x:shape(1), x:shape(2) } end
  return one(0), one(1)
end

-- Rows of the tables, of which none are dropped where all `tables` are frozen: that stage is fixed then.
function Texts:embedded(y, tables)
  local frozen = not plan.writing
  for _, each in ipairs(tables) do frozen = frozen and each:all_frozen() end
  return frozen and y or self.dropout_embeddings(y)
end

-- Refuses texts with more pieces than there are places.
function Texts:check_steps(steps)
  local most = self:most_pieces()
  if steps > most then
    util.failf("%s: a text of %d pieces, and the network knows %d places: --data.longest %d", self:label(), steps, most,
      most)
  end
end

-- ---- without padding ----

-- What is trained goes through the stages with the rows of its texts one behind the other, (rows, width), and nothing
-- is computed for padding. `packing` of a network: {lengths =, longest =, rows =} while it does, for its stages.
Texts.packs = true

-- nil where there is nothing to leave out, in a dry run too, which sees no lengths.
local function packing_of(self, x, lengths)
  if not self.packs or not lengths or plan.tracing or plan.writing or not core.recording() then return nil end
  local longest, rows = x:shape(2), 0
  for _, n in ipairs(lengths:tolist()) do rows = rows + math.min(n, longest) end
  if rows == 0 or rows == x:shape(1) * longest then return nil end
  return setmetatable({ lengths = lengths, longest = longest, rows = rows }, { __close = function()
    rawset(self, "packing", nil)
  end })
end

-- The places of all rows, int32 from `first` on.
function Texts:places(first)
  local p = self.packing
  local all = ops.range { start = first, count = p.longest }:reshape { 1, p.longest }
  return ops.pack(ops.expand(all, { p.lengths:shape(1), p.longest }), p.lengths, { rows = p.rows })
end

function Texts:above(x, k, lengths)
  local last, packing = #self:body_stages(), packing_of(self, x, lengths)
  if not packing or k >= last then return Network.above(self, x, k, lengths) end
  local scope <close> = core.scope()
  local y
  do
    local closing <close> = packing
    rawset(self, "packing", packing)
    y = self:through(ops.pack(x, lengths, { rows = packing.rows }), lengths, k + 1, last)
  end
  y = ops.unpack(y, lengths, { longest = packing.longest })
  y = self:through(y, lengths, last + 1, self:stage_count())
  return scope:keep(y), lengths
end

function Texts:stages()
  local list = self:body_stages()
  if self.gives ~= "vector" then return list end
  local before = not self.o.pool and self.family.before and self.family.before[1] or nil
  list[#list + 1] = { name = before or "pooling", modules = { before }, run = function(me, x, lengths)
    return me:pooled(x, lengths), lengths
  end }
  return list
end

-- x (N, T) or (N, T, 2) int32, lengths (N) int32 (nil: all are full) -> (N, K); or (N, T, K) and lengths; or the rows
-- of all pieces (N, T, width) and lengths, for net:vocabulary. What is written into a model file has the words' logits.
function Texts:forward(x, lengths)
  local y, left = self:features(x, lengths)
  if self.gives == "vocabulary" then
    if plan.writing then y = self:vocabulary(y) end
    return y, left
  end
  y = self:classify(y)
  if self.gives == "vector" then return y end
  return y, left
end

function Texts:classify(features)
  if self.gives == "vocabulary" then return features end
  local y = self:head()(self.dropout_head(features))
  return y
end

-- Rows (..., width) of pieces, as forward gives them -> logits (..., V) of the words there, by the head of masked or
-- next words and the table of words itself.
function Texts:vocabulary(rows)
  if self.gives ~= "vocabulary" then
    util.failf("%s gives %s: net:give \"vocabulary\" makes it one that tells words", self:label(), self.gives)
  end
  if not rawget(self, "_built") then self:ready() end
  local scope <close> = core.scope()
  local w, y = self.family.words, rows
  if w.dense then
    y = Texts.activated(self:find(w.dense), y, w.activation or self.o.activation)
    y = self:find(w.norm)(y)
  end
  y = ops.linear(y, self:words(), w.bias and self:find(w.bias).bias or nil)
  return scope:keep(y)
end

-- ---- files ----

-- Loads as any network does, and can read another head of the file later.
function Texts:load_weights(spec, key)
  local report = Network.load_weights(self, spec, key)
  local path = rawget(self, "weights_path")
  rawset(self, "reread_head", not key and function(again)
    require("tlua.weights.folder").load_head(again, path, { path })
  end or nil)
  return report
end

-- What files have beside: heads of other tasks and of pretraining, and numbers that follow from sizes.
local OTHERS = { "cls.", "lm_head.", "discriminator_predictions.", "generator_predictions.", "generator_lm_head.",
  "vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "classifier.", "pre_classifier.", "qa_outputs.",
  "score.", "multiple_choice_head.", "pooler." }

-- Is a tensor of a file, by the network's own name, one that this network has no use for? And is that to be told?
function Texts:is_aside(name)
  for _, each in ipairs(self.gives == "vocabulary" and self.family.words.tied or {}) do
    if name:sub(1, #each) == each then return true, false end
  end
  local own = self.family.body .. "."
  local rest = name:sub(1, #own) == own and name:sub(#own + 1) or name
  if rest:find "^embeddings%.position_ids$" or rest:find "^h%.%d+%.attn%.[%a_]*bias$" then return true, false end
  for _, each in ipairs(OTHERS) do
    if name:sub(1, #each) == each or rest:sub(1, #each) == each and each == "pooler." then return true, true end
  end
  return false
end

-- Whether a file may be without a tensor: a layer that stands before the head, which pretraining has not.
function Texts:may_lack(path)
  local before = self.gives == "vector" and not self.o.pool and self.family.before
  return before and path:sub(1, #before[1] + 1) == before[1] .. "."
end

-- ---- what others ask ----

function Texts:plan_inputs()
  return { { "N", "T", name = "input", dtype = "int32" }, { "N", name = "lengths", dtype = "int32" } }
end
function Texts:preprocessing()
  return rawget(self, "file_preprocessing") or { longest = self:most_pieces(), types = (self.o.types or 0) > 1 }
end
-- That of the folder, or of the model file that the weights are to come from.
function Texts:tokenizer()
  local path = rawget(self, "network_options").weights
  if not rawget(self, "file_tokenizer") and type(path) == "string" and core.exists(path) then
    local scope <close> = core.scope()
    local packed = core.load(util.model_path(path), { only = KEPT })[KEPT]
    if packed then self:took_kept(KEPT, packed, path) end
  end
  return rawget(self, "file_tokenizer")
end
function Texts:vocabulary_size() return self.o.vocabulary end
-- A model file brings the tokenizer that it was trained with.
function Texts:took_kept(name, packed, what)
  if name ~= KEPT then return end
  local place = what .. ": its tokenizer"
  local ok, json = pcall(core.unpack, packed, place)
  if not ok then util.fail(util.without_place(json)) end
  rawset(self, "file_tokenizer", require("tlua.data.texts.tokenizer").read(json, place))
end
function Texts:picture_shape(pieces) return { 1, pieces or 64 } end
function Texts:labels() return rawget(self, "file_labels") end
function Texts:structure(_) return self.gives == "vector" and (self.o.pool or "published") or "pieces" end

-- Multiply-adds of the layers: four products of the attention, two of the feed-forward part, and the scores.
function Texts:features_cost(shape)
  local o, n, steps = self.o, shape[1], shape[2]
  local w = o.width
  local count = n * o.layers * steps * (4 * w * w + 2 * w * o.inner + 2 * steps * w)
  if self.gives ~= "vector" then return { n, steps, w }, count end
  return { n, w }, count + (self.family.before and not o.pool and n * w * w or 0)
end

function Texts:cost(shape)
  if self.gives ~= "vocabulary" then return Network.cost(self, shape) end
  local o, out, count = self.o, self:features_cost(shape)
  local rows, width = out[1] * out[2], o.embedding_width or o.width
  return { out[1], out[2], o.vocabulary }, count + rows * width * (o.vocabulary + (self.family.words.dense and o.width
    or 0))
end

-- Fields of the registry that they share.
function Texts.fields(defaults)
  local function share(name, default, brief) return { name, "number", default, brief, least = 0, below = 1 } end
  local function count(name, default, brief, most)
    return { name, "integer", default, brief, least = 1, most = most }
  end
  return { count("width", 768, "features of a piece", 65536), count("layers", 12, "of the transformer", 1024),
    count("heads", 12, "of the attention", 1024),
    count("vocabulary", defaults.vocabulary, "pieces that it knows", 1 << 24),
    count("positions", defaults.positions, "rows of places", 1 << 20),
    { "activation", "choice", defaults.activation, "within the feed-forward layers", { "gelu", "gelu_tanh", "relu",
      "silu" } },
    { "eps", "number", defaults.eps, "added to the variance in norms", least = 0 },
    { "initial", "number", 0.02, "deviation that linear maps and tables start with", least = 0 },
    share("attention_dropout", 0.1, "of the attention's shares"),
    { "classifier_dropout", "number", nil, "before the classifier (that of all else)", least = 0, below = 1 },
    { "gives", "choice", "vector", "a row a text, a row a piece, or the rows that a table of words is asked with; the "
      .. "task says it (net:give)", GIVES },
    { "head", "choice", "classifier", "the name of the head of pieces", HEADS } }
end

util.seal(Texts, "", 1, { forward = true })
return Texts
