-- conformer.lua - an encoder for speech (Conformer, Gulati et al. 2020) with a row of symbols for each frame, to be
-- trained with CTC: half a feed-forward step, attention, a convolution along time, another half step, and a norm. Names
-- and sizes are those of the phoneme recogniser in PyPI's package hama: absolute places are not told, and a batch norm
-- is folded.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local util = require "tlua.util"
local sequence = require "tlua.models.speech.sequence"
local frontend = require "tlua.models.speech.frontend"
local ops = core.ops

-- ---- the parts of a block: (N, F, width) -> the same ----

local FeedForward = module.class("conformer.FeedForward")
FeedForward.scoped = true
function FeedForward:init(width, inner, p)
  self.norm = nn.LayerNorm(width)
  self.fc1 = nn.Linear(width, inner)
  self.fc2 = nn.Linear(inner, width)
  self.dropout = nn.Dropout(p)
end
function FeedForward:forward(x)
  local y = self.dropout(self.fc1(self.norm(x), "silu"))
  y = self.dropout(self.fc2(y))
  return y
end

-- Names of PyTorch's MultiheadAttention: one product makes queries, keys and values.
local Attention = module.class("conformer.Attention")
Attention.scoped = true
function Attention:init(width, heads, p)
  local bound = math.sqrt(6 / (4 * width))
  self:parameter("in_proj_weight", { 3 * width, width }, { "uniform", -bound, bound })
  self:parameter("in_proj_bias", { 3 * width }, { "constant", 0 })
  self.out_proj = nn.Linear(width, width)
  rawset(self, "width", width)
  rawset(self, "heads", heads)
  rawset(self, "p", p)
end
function Attention:forward(x, lengths)
  local w, all = self.width, ops.linear(x, self.in_proj_weight, self.in_proj_bias)
  local y = ops.attention(ops.slice(all, 3, 0, w), ops.slice(all, 3, w, w), ops.slice(all, 3, 2 * w, w), lengths,
    { heads = self.heads, dropout = self.p, training = self.training and self.p > 0 and not self:all_frozen() })
  y = self.out_proj(y)
  return y
end

-- Twice as wide and gated (GLU), a filter along time for each feature, and back.
local Convolution = module.class("conformer.Convolution")
Convolution.scoped = true
function Convolution:init(width, kernel, p, batchnorm)
  self.norm = nn.LayerNorm(width)
  self.pointwise1 = nn.Conv1d(width, 2 * width, 1)
  self.depthwise = nn.Conv1d(width, width, kernel, { padding = kernel // 2, groups = width })
  if batchnorm then self.batch_norm = nn.BatchNorm1d(width) end
  self.pointwise2 = nn.Conv1d(width, width, 1)
  self.dropout = nn.Dropout(p)
  rawset(self, "width", width)
end
function Convolution:forward(x, lengths)
  local w, y = self.width, self.pointwise1(self.norm(x))
  y = ops.slice(y, 3, 0, w) * ops.sigmoid(ops.slice(y, 3, w, w))
  y = sequence.masked(y, lengths)
  if self.batch_norm then y = self.depthwise:with_norm(self.batch_norm, y, { activation = "silu" })
  else y = self.depthwise(y, "silu") end
  y = self.dropout(self.pointwise2(y))
  return y
end

local Block = module.class("conformer.Block")
Block.scoped = true
function Block:init(o)
  self.ffn1 = FeedForward(o.width, o.ffn, o.dropout)
  self.attn_norm = nn.LayerNorm(o.width)
  self.attn = Attention(o.width, o.heads, o.dropout)
  self.dropout = nn.Dropout(o.dropout)
  self.conv = Convolution(o.width, o.kernel, o.dropout, o.batchnorm)
  self.ffn2 = FeedForward(o.width, o.ffn, o.dropout)
  self.norm = nn.LayerNorm(o.width)
end
function Block:forward(x, lengths)
  local y = x + self.ffn1(x) * 0.5
  y = y + self.dropout(self.attn(self.attn_norm(y), lengths))
  y = y + self.conv(y, lengths)
  y = y + self.ffn2(y) * 0.5
  y = self.norm(y)
  return y
end

-- ---- the network ----

local STEM = { kernel = 3, stride = 2, padding = 1 }

local Conformer = module.class("models.Conformer", sequence.Sequence)
Conformer.head_name, Conformer.drops_within = "proj", true

function Conformer:init(entry, options)
  local what, o = "models." .. entry.name, options
  if o.width % o.heads ~= 0 then util.failf("%s: %d heads do not share a width of %d", what, o.heads, o.width) end
  if o.kernel % 2 == 0 then util.failf("%s: kernel must be odd, not %d", what, o.kernel) end
  frontend.build(self, o)
  self.stem = nn.Conv1d(o.bands, o.width, STEM.kernel, { stride = STEM.stride, padding = STEM.padding })
  local blocks = {}
  for i = 1, o.blocks do blocks[i] = Block(o) end
  self.blocks = nn.Sequential(blocks)
  self.proj = nn.Linear(o.width, o.classes)
  rawset(self, "features_width", o.width)
end

function Conformer:stages()
  local list = frontend.stages(self)
  list[#list + 1] = { name = "stem", modules = { "stem" }, run = function(self, x, lengths)
    local y = self.stem(sequence.masked(x, lengths), "gelu")
    return y, lengths and sequence.after(lengths, STEM.kernel, STEM.stride, STEM.padding)
  end }
  for i = 1, self.blocks:length() do
    local name = "blocks." .. i - 1
    list[#list + 1] = { name = name, modules = { name }, run = function(self, x, lengths)
      return self.blocks:at(i)(x, lengths), lengths
    end }
  end
  return list
end

function Conformer:frame_count(samples)
  return sequence.count_after(frontend.count(self, samples), STEM.kernel, STEM.stride, STEM.padding)
end

function Conformer:features_cost(shape)
  local o, n, f = self.network_options, shape[1], self:frame_count(shape[2])
  local w, block = o.width, self.blocks:length()
  block = block * (4 * w * o.ffn + 4 * w * w + 2 * f * w + 3 * w * w + w * o.kernel)
  return { n, f, w }, frontend.cost(self, shape) + n * f * (STEM.kernel * o.bands * w + block)
end

-- ---- the registry ----

local FIELDS = { { "blocks", "integer", 4, "how many", least = 1, most = 512 },
  { "width", "integer", 144, "features of a frame", least = 1, most = 1 << 16 },
  { "heads", "integer", 4, "of the attention", least = 1, most = 1 << 10 },
  { "ffn", "integer", 576, "features within the feed-forward steps", least = 1, most = 1 << 18 },
  { "kernel", "integer", 31, "frames that the convolution along time sees, an odd number", least = 1,
    most = 4095 },
  { "batchnorm", "boolean", false, "a batch norm behind that convolution" },
  table.unpack(frontend.fields { low = 40, high = 7600, scale = "slaney", band_norm = "slaney", corners = "bins" }) }

return function(registry)
  registry.add { name = "conformer", class = Conformer, takes = "wave", classes = 191, fields = FIELDS,
    weights = { hama = { file = "hama_conformer_ctc.safetensors",
      from = "PyPI's package hama 1.7.0 (Apache-2.0) has them in a form of its own: pip download --no-deps "
        .. "hama==1.7.0 and python3 tools/hama_conformer.py hama-1.7.0-py3-none-any.whl DIR lay them out" } } }
end
