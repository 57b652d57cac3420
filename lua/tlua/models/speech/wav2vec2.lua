-- wav2vec2.lua - wav2vec 2.0 (Baevski et al. 2020) with the names that Hugging Face's transformers gave it, as its
-- Wav2Vec2ForCTC: convolutions over the wave, a transformer over what they give, and a row of symbols for each frame.
-- Sizes are options, so that any folder's config.json can be read (tlua/weights/folder.lua).
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local util = require "tlua.util"
local sequence = require "tlua.models.speech.sequence"
local ops = core.ops

-- A name between others, without a forward of its own.
local Parts = module.class("wav2vec2.Parts")

-- ---- convolutions over the wave: (N, T, C) -> (N, T / stride, C') ----

local ConvLayer = module.class("wav2vec2.ConvLayer")
ConvLayer.scoped = true
function ConvLayer:init(width, out, kernel, stride, o, norm)
  self.conv = nn.Conv1d(width, out, kernel, { stride = stride, bias = o.conv_bias, initial = "kaiming_normal_fan_in" })
  if norm == "group" then self.layer_norm = nn.GroupNorm(out, out)
  elseif norm == "layer" then self.layer_norm = nn.LayerNorm(out) end
end
function ConvLayer:forward(x)
  if not self.layer_norm then
    local y = self.conv(x, "gelu")
    return y
  end
  local y = self.layer_norm(self.conv(x))
  y = ops.gelu(y)
  return y
end

local Projection = module.class("wav2vec2.FeatureProjection")
Projection.scoped = true
function Projection:init(width, o)
  self.layer_norm = nn.LayerNorm(width, { eps = o.eps })
  self.projection = nn.Linear(width, o.width)
  self.dropout = nn.Dropout(o.projection_dropout)
end
function Projection:forward(x)
  local y = self.dropout(self.projection(self.layer_norm(x)))
  return y
end

-- ---- where in the sequence a frame stands ----

-- PyTorch's parametrization: the weight (O, I, kernel) is original1, each of its kernel's places scaled to the length
-- that original0 (1, 1, kernel) says.
local Weight = module.class("wav2vec2.Weight")
function Weight:init(width, inputs, kernel)
  local deviation = 2 / math.sqrt(kernel * width)
  self:parameter("original0", { 1, 1, kernel }, { "constant", deviation * math.sqrt(width * inputs) })
  self:parameter("original1", { width, inputs, kernel }, { "normal", 0, deviation })
end
function Weight:forward()
  local v = self.original1
  local y = v * (self.original0 * ops.rsqrt(v:square():sum { axes = { 1, 2 }, keep = true }))
  return y
end

local PositionalConv = module.class("wav2vec2.PositionalConv")
PositionalConv.scoped = true
function PositionalConv:init(o)
  self:parameter("bias", { o.width }, { "constant", 0 })
  self.parametrizations = Parts()
  self.parametrizations.weight = Weight(o.width, o.width // o.position_groups, o.position_kernel)
  -- An even kernel would give a frame more than there was.
  rawset(self, "attributes", { padding = { o.position_kernel // 2 }, groups = o.position_groups, activation = "gelu",
    padding_end = { (o.position_kernel - 1) // 2 } })
end
function PositionalConv:forward(x)
  local y = ops.conv(x, self.parametrizations.weight(), self.bias, nil, self.attributes)
  return y
end

local Positions = module.class("wav2vec2.PositionalConvEmbedding")
function Positions:init(o) self.conv = PositionalConv(o) end
function Positions:forward(x)
  local y = self.conv(x)
  return y
end

-- ---- a layer of the transformer: (N, F, width) -> the same ----

local Attention = module.class("wav2vec2.Attention")
Attention.scoped = true
function Attention:init(o)
  for _, name in ipairs { "k_proj", "v_proj", "q_proj", "out_proj" } do self[name] = nn.Linear(o.width, o.width) end
  rawset(self, "heads", o.heads)
  rawset(self, "p", o.attention_dropout)
end
function Attention:forward(x, lengths)
  local y = ops.attention(self.q_proj(x), self.k_proj(x), self.v_proj(x), lengths,
    { heads = self.heads, dropout = self.p, training = self.training and self.p > 0 and not self:all_frozen() })
  y = self.out_proj(y)
  return y
end

local FeedForward = module.class("wav2vec2.FeedForward")
FeedForward.scoped = true
function FeedForward:init(o)
  self.intermediate_dense = nn.Linear(o.width, o.ffn)
  self.output_dense = nn.Linear(o.ffn, o.width)
  self.within, self.behind = nn.Dropout(o.activation_dropout), nn.Dropout(o.dropout)
end
function FeedForward:forward(x)
  local y = self.within(self.intermediate_dense(x, "gelu"))
  y = self.behind(self.output_dense(y))
  return y
end

-- Norms stand behind the sums, or, "stable", before what is added.
local Layer = module.class("wav2vec2.EncoderLayer")
Layer.scoped = true
function Layer:init(o)
  self.attention = Attention(o)
  self.layer_norm = nn.LayerNorm(o.width, { eps = o.eps })
  self.feed_forward = FeedForward(o)
  self.final_layer_norm = nn.LayerNorm(o.width, { eps = o.eps })
  self.dropout = nn.Dropout(o.dropout)
  rawset(self, "stable", o.stable_layer_norm)
  rawset(self, "drop", o.layer_dropout)
end
local function layer(self, x, lengths)
  if self.stable then
    local y = x + self.dropout(self.attention(self.layer_norm(x), lengths))
    return y + self.feed_forward(self.final_layer_norm(y))
  end
  local y = self.layer_norm(x + self.dropout(self.attention(x, lengths)))
  return self.final_layer_norm(y + self.feed_forward(y))
end
function Layer:forward(x, lengths)
  local y = layer(self, x, lengths)
  if self.drop > 0 and self.training and not self:all_frozen() then -- the whole batch goes past it
    local stays = ops.dropout(core.ones { 1, 1, 1 }, { p = self.drop, training = true })
    y = ops.where(stays, y, x)
  end
  return y
end

local Encoder = module.class("wav2vec2.Encoder")
function Encoder:init(o)
  self.pos_conv_embed = Positions(o)
  self.layer_norm = nn.LayerNorm(o.width, { eps = o.eps })
  local layers = {}
  for i = 1, o.layers do layers[i] = Layer(o) end
  self.layers = nn.Sequential(layers)
  self.dropout = nn.Dropout(o.dropout)
end

-- ---- spans that are hidden in training ----

-- (N, F, 1) of ones where a span hides: each place begins one with a chance of share / length. PyTorch's side draws a
-- fixed number of them; on average it is the same.
local function spans(n, steps, share, length)
  local begins = ops.dropout(core.ones { n, steps, 1 }, { p = 1 - share / length, training = true })
  local sums = ops.cumsum(ops.gt(begins, core.zeros { 1 }), { axis = 2 })
  if length >= steps then return ops.gt(sums, core.zeros { 1 }) end
  local before = ops.slice(ops.pad(sums, { before = { 0, length, 0 } }), 2, 0, steps)
  return ops.gt(sums, before)
end

local Body = module.class("wav2vec2.Model")
function Body:init(o)
  local layers, width = {}, 1
  for i, out in ipairs(o.conv.widths) do
    layers[i] = ConvLayer(width, out, o.conv.kernels[i], o.conv.strides[i], o,
      o.conv_norm == "layer" and "layer" or i == 1 and "group" or nil)
    width = out
  end
  if o.mask_time > 0 or o.mask_features > 0 then
    self:parameter("masked_spec_embed", { o.width }, { "uniform", 0, 1 })
  end
  self.feature_extractor = Parts()
  self.feature_extractor.conv_layers = nn.Sequential(layers)
  self.feature_projection = Projection(width, o)
  self.encoder = Encoder(o)
  rawset(self, "o", o)
end

function Body:draws()
  return self.training and (self.o.mask_time > 0 or self.o.mask_features > 0) and not self:all_frozen()
end

function Body:hide(x)
  if not self:draws() then return x end
  local o, n = self.o, x:shape(1)
  if o.mask_time > 0 then
    x = ops.where(spans(n, x:shape(2), o.mask_time, o.mask_time_length), self.masked_spec_embed, x)
  end
  if o.mask_features > 0 then
    local hidden = spans(n, o.width, o.mask_features, o.mask_features_length)
    x = ops.where(hidden:reshape { n, 1, o.width }, core.zeros { 1 }, x)
  end
  return x
end

-- ---- the network ----

local Wav2Vec2 = module.class("models.Wav2Vec2", sequence.Sequence)
Wav2Vec2.head_name, Wav2Vec2.drops_within = "lm_head", true

-- "10,3,3" -> {10, 3, 3}
local function numbers(what, name, text)
  local list = {}
  for word in (text .. ","):gmatch "%s*([^,]*)%s*," do
    local n = math.tointeger(tonumber(word))
    if not n or n < 1 then util.failf("%s: %s must be whole numbers like 10,3,3, not %s", what, name, text) end
    list[#list + 1] = n
  end
  return list
end

function Wav2Vec2:init(entry, options)
  local o, what = {}, "models." .. entry.name
  for key, value in pairs(options) do o[key] = value end
  if o.width % o.heads ~= 0 then util.failf("%s: %d heads do not share a width of %d", what, o.heads, o.width) end
  o.conv = { widths = numbers(what, "conv_widths", o.conv_widths),
    kernels = numbers(what, "conv_kernels", o.conv_kernels), strides = numbers(what, "conv_strides", o.conv_strides) }
  if #o.conv.widths ~= #o.conv.kernels or #o.conv.kernels ~= #o.conv.strides then
    util.failf("%s: conv_widths, conv_kernels and conv_strides are %d, %d and %d numbers, one a convolution is needed",
      what, #o.conv.widths, #o.conv.kernels, #o.conv.strides)
  end
  self.wav2vec2 = Body(o)
  self.lm_head = nn.Linear(o.width, o.classes)
  self.final_dropout = nn.Dropout(o.final_dropout)
  rawset(self, "o", o)
  rawset(self, "features_width", o.width)
end

-- A wave of mean 0 and variance 1, as transformers' feature extractor makes it of each clip.
local function normalised(x, lengths)
  local mask = lengths and sequence.mask(x, lengths)
  local count = lengths and ops.cast(lengths:reshape { -1, 1, 1 }, { dtype = "float32" })
  local function mean(y)
    if not mask then return y:mean { axes = { 2 }, keep = true } end
    return (y * mask):sum { axes = { 2 }, keep = true } / count
  end
  local y = x - mean(x)
  y = y * ops.rsqrt(mean(y:square()) + 1e-7)
  return mask and y * mask or y
end

local PREFIX = "wav2vec2."

local function conv_stages(self, list)
  local layers = self.wav2vec2.feature_extractor.conv_layers
  for i = 1, layers:length() do
    local name = PREFIX .. "feature_extractor.conv_layers." .. i - 1
    list[#list + 1] = { name = name, modules = { name }, run = function(_, x, lengths)
      return layers:at(i)(x), lengths and sequence.after(lengths, self.o.conv.kernels[i], self.o.conv.strides[i], 0)
    end }
  end
end

function Wav2Vec2:stages()
  local body, stable = self.wav2vec2, self.o.stable_layer_norm
  local encoder, list = body.encoder, {}
  list[1] = { name = "wave", modules = {}, run = function(_, x, lengths)
    if x:rank() ~= 2 then
      util.failf("%s: waves (N, T) are needed, not %s", self:label(), util.shape_text(x:shape()))
    end
    x = ops.reshape(x, { x:shape(1), x:shape(2), 1 })
    return self.o.normalize and normalised(x, lengths) or x, lengths
  end }
  conv_stages(self, list)
  local projection = PREFIX .. "feature_projection"
  list[#list + 1] = { name = projection, modules = { projection }, run = function(_, x, lengths)
    return body.feature_projection(x), lengths
  end }
  local hides = body.o.mask_time > 0 or body.o.mask_features > 0
  list[#list + 1] = { name = "hidden spans", modules = hides and { PREFIX .. "masked_spec_embed" } or {},
    chance = function() return body:draws() end, run = function(_, x, lengths) return body:hide(x), lengths end }
  local norm, positions = PREFIX .. "encoder.layer_norm", PREFIX .. "encoder.pos_conv_embed"
  list[#list + 1] = { name = positions, modules = stable and { positions } or { positions, norm },
    run = function(_, x, lengths)
      x = sequence.masked(x, lengths)
      local y = x + encoder.pos_conv_embed(x)
      if not stable then y = encoder.layer_norm(y) end
      return encoder.dropout(y), lengths
    end }
  for i = 1, encoder.layers:length() do
    local name = PREFIX .. "encoder.layers." .. i - 1
    list[#list + 1] = { name = name, modules = { name }, run = function(_, x, lengths)
      return encoder.layers:at(i)(x, lengths), lengths
    end }
  end
  if stable then
    list[#list + 1] = { name = norm, modules = { norm }, run = function(_, x, lengths)
      return encoder.layer_norm(x), lengths
    end }
  end
  return list
end

function Wav2Vec2:classify(features)
  local y = self:head()(self.final_dropout(features))
  return y
end

-- The old spelling of weight norm, and files of the network without its head.
function Wav2Vec2:current_name(name)
  name = name:gsub("%.weight_g$", ".parametrizations.weight.original0")
    :gsub("%.weight_v$", ".parametrizations.weight.original1")
  if name:find("^feature_extractor%.") or name:find("^feature_projection%.") or name:find("^encoder%.")
    or name == "masked_spec_embed" then
    return PREFIX .. name
  end
  return name
end

function Wav2Vec2:frame_count(samples)
  for i, kernel in ipairs(self.o.conv.kernels) do
    samples = sequence.count_after(samples, kernel, self.o.conv.strides[i], 0)
  end
  return samples
end

function Wav2Vec2:features_cost(shape)
  local o, n, samples, width, cost = self.o, shape[1], shape[2], 1, 0
  for i, out in ipairs(o.conv.widths) do
    samples = sequence.count_after(samples, o.conv.kernels[i], o.conv.strides[i], 0)
    cost, width = cost + samples * width * out * o.conv.kernels[i], out
  end
  local w = o.width
  cost = cost + samples * (width * w + w * (w // o.position_groups) * o.position_kernel)
  cost = cost + o.layers * samples * (4 * w * w + 2 * w * o.ffn + 2 * samples * w)
  return { n, samples, w }, n * cost
end

-- ---- the registry ----

local function share(name, default, brief) return { name, "number", default, brief, least = 0, below = 1 } end
local function count(name, default, brief, most)
  return { name, "integer", default, brief, least = 1, most = most or 1 << 16 }
end

local FIELDS = { count("width", 768, "features of a frame"), count("layers", 12, "of the transformer", 512),
  count("heads", 12, "of the attention"), count("ffn", 3072, "features within the feed-forward layers",
    1 << 18),
  { "conv_widths", "text", "512,512,512,512,512,512,512", "channels of the convolutions over the wave" },
  { "conv_kernels", "text", "10,3,3,3,3,2,2", "their kernels" },
  { "conv_strides", "text", "5,2,2,2,2,2,2", "their steps" }, { "conv_bias", "boolean", false, "have they biases" },
  { "conv_norm", "choice", "group", "the first one's, over the whole clip, or one behind each, over channels",
    { "group", "layer" } },
  count("position_kernel", 128, "frames that the convolution for places sees"),
  count("position_groups", 16, "of that convolution"),
  { "stable_layer_norm", "boolean", false, "norms stand before what is added" },
  { "eps", "number", 1e-5, "added to the variance in norms", least = 0 },
  { "normalize", "boolean", true, "each wave to a mean of 0 and a variance of 1" },
  share("attention_dropout", 0.1, "of the attention's shares"),
  share("activation_dropout", 0.1, "within feed-forward layers"),
  share("projection_dropout", 0, "behind the convolutions"), share("final_dropout", 0.1, "before the head"),
  share("layer_dropout", 0, "chance that a layer is passed by in training"),
  share("mask_time", 0.05, "share of the frames that are hidden in training"),
  count("mask_time_length", 10, "frames of a hidden span"),
  share("mask_features", 0, "share of the features that are hidden in training"),
  count("mask_features_length", 10, "features of a hidden span") }

return function(registry)
  registry.add { name = "wav2vec2_base", class = Wav2Vec2, takes = "wave", classes = 32, dropout = 0.1,
    fields = FIELDS }
end
