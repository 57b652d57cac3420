-- linear.lua - layers on the last dimension: Linear, Embedding; and Identity, Flatten, Dropout. A layer that
-- `takes_lora` may have an adapter (tlua/nn/lora), of which it holds {scale =, ...} as `lora`; the weight of one that
-- `takes_half` may be float16 or bfloat16 while it is not trained (tlua/train/halves.lua).
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local ops = core.ops
local M = {}

-- y = x w' + b, with x (..., in) and y (..., out). weight (out, in) and bias (out) start uniform in
-- +-1/sqrt(in), which is what PyTorch's kaiming_uniform(a = sqrt 5) comes to.
--   nn.Linear(in, out [, {bias = true}])     nn.Linear(out): the input width is taken from what comes before
-- initial = {"normal", mean, deviation} or the like: the weight starts so, the bias at zero.
local Linear = module.class("nn.Linear")
M.Linear = Linear
Linear.takes_lora, Linear.takes_half = true, true
local LINEAR = { { "bias", "boolean", true, "is there one" }, { "initial", "any", nil, "how the weight starts" }, { "in_features", "any", nil, "the input width" },
  { "out_features", "any", nil, "the output width" } }

function Linear:init(...)
  local n = select("#", ...)
  local one = n - (n > 0 and util.is_options((select(n, ...))) and 1 or 0) <= 1
  local _, options = schema.arguments("nn.Linear", LINEAR, one and { "out_features" } or { "in_features", "out_features" }, ...)
  local out, width = options.out_features, options.in_features
  self.out_features = util.whole("nn.Linear", "the output width", out)
  self.bias_wanted, self.initial = options.bias, options.initial
  self.needs_width = true
  if width then self:set_width(util.whole("nn.Linear", "the input width", width)) end
end

function Linear:set_width(width)
  self.in_features, self.needs_width = width, nil
  local bound = 1 / math.sqrt(width)
  local usual = { "uniform", -bound, bound }
  self:parameter("weight", { self.out_features, width }, self.initial or usual)
  if self.bias_wanted then self:parameter("bias", { self.out_features }, self.initial and { "constant", 0 } or usual) end
end

function Linear:infer(width)
  if self.needs_width and width then self:set_width(width) end
  if width and width ~= self.in_features then
    util.failf("%s: the input has %d features; write nn.Linear(%d), which takes them as they come", self:label(), width, self.out_features)
  end
  return self.out_features
end

-- activation(y + scale B(A(dropout(x)))), where y is what the layer without its adapter makes of x.
function M.adapted(self, x, y, activation)
  local low = self.lora_A(self.lora_dropout(x)) * self.lora.scale
  y = ops.linear(low, self.lora_B.weight, nil, y, activation and { activation = activation })
  return y
end

-- activation: as for a convolution.
function Linear:forward(x, activation)
  if self.needs_width then
    self:set_width(x:shape(-1))
    self:ready()
  end
  if self.lora then
    local y = M.adapted(self, x, ops.linear(x, self.weight, self.bias), activation)
    return y
  end
  local y = ops.linear(x, self.weight, self.bias, nil, activation and { activation = activation })
  return y
end

function Linear:label() return ("nn.Linear(%s -> %d)"):format(self.in_features or "?", self.out_features) end
function Linear:spec() return { class = "Linear", args = { self.in_features, self.out_features }, options = { bias = self.bias_wanted } } end
function Linear:cost(shape)
  local out, n = { table.unpack(shape) }, 1
  out[#out] = self.out_features
  for _, d in ipairs(out) do n = n * d end
  return out, n * (self.in_features or shape[#shape])
end

-- Rows of a table by id: ids (...) int32 from 0 -> (..., width). weight (count, width) starts normal(0, 1).
local Embedding = module.class("nn.Embedding")
M.Embedding = Embedding
Embedding.takes_lora, Embedding.takes_half = true, true
function Embedding:init(...)
  local values = schema.arguments("nn.Embedding", {}, { false, false }, ...)
  self.num_embeddings = util.whole("nn.Embedding", "the number of rows", values[1])
  self.embedding_dim = util.whole("nn.Embedding", "the width", values[2])
  self:parameter("weight", { self.num_embeddings, self.embedding_dim }, { "normal", 0, 1 })
end
-- What an adapter adds to rows y, where `a` (..., rank) are the same rows of its A': A (rank, rows), B (width, rank).
local function adapted_rows(self, y, a)
  y = ops.linear(a * self.lora.scale, self.lora_embedding_B, nil, y)
  return y
end
local function float32(y) return y:dtype() == "float32" and y or ops.cast(y, { dtype = "float32" }) end
function Embedding:forward(ids)
  local y = float32(ops.embedding(self.weight, ids))
  if self.lora then y = adapted_rows(self, y, ops.embedding(self.lora_embedding_A:transpose(), ids)) end
  if module.tap then y = module.tap(y) end
  return y
end
-- The rows first + 1 to first + count, (count, width).
function Embedding:rows(first, count)
  local y = float32(ops.slice(self.weight, 1, first, count))
  if self.lora then y = adapted_rows(self, y, ops.slice(self.lora_embedding_A, 2, first, count):transpose()) end
  return y
end
function Embedding:infer() return self.embedding_dim end
function Embedding:label() return ("nn.Embedding(%d, %d)"):format(self.num_embeddings, self.embedding_dim) end
function Embedding:spec() return { class = "Embedding", args = { self.num_embeddings, self.embedding_dim } } end

local Identity = module.class("nn.Identity")
M.Identity = Identity
function Identity:init(...) schema.arguments("nn.Identity", {}, {}, ...) end
function Identity:forward(x) return x end
function Identity:spec() return { class = "Identity", args = {} } end

-- (N, ...) -> (N, the rest). Pictures are (N, H, W, C) here and PyTorch's Flatten runs over (C, H, W): the result
-- has PyTorch's order, so that a Linear after it reads PyTorch's weights as they are.
local Flatten = module.class("nn.Flatten")
M.Flatten = Flatten
function Flatten:init(...) schema.arguments("nn.Flatten", {}, {}, ...) end
function Flatten:forward(x)
  local rank = x:rank()
  if rank > 2 then
    local axes = { 1, rank }
    for i = 2, rank - 1 do axes[#axes + 1] = i end
    local spatial = 1
    for i = 2, rank - 1 do spatial = spatial * x:shape(i) end
    if spatial > 1 then x = x:permute(axes) end
  end
  local y = x:reshape { x:shape(1), -1 }
  return y
end
function Flatten:infer() return nil end
function Flatten:cost(shape)
  local n = 1
  for i = 2, #shape do n = n * shape[i] end
  return { shape[1], n }, 0
end
function Flatten:spec() return { class = "Flatten", args = {} } end

-- In training: zeros with probability p, the rest divided by 1 - p. Nothing in inference or in a frozen part.
local Dropout = module.class("nn.Dropout")
M.Dropout = Dropout
function Dropout:init(...)
  local _, options = schema.arguments("nn.Dropout", { { "p", "number", 0.5, "share that is dropped", least = 0, below = 1 } }, { "p" }, ...)
  self.p = options.p
end
function Dropout:forward(x)
  if plan.writing and self.p > 0 then -- who reads the calls of a model file can train with it; a plan that runs leaves it out
    local y = ops.dropout(x, { p = self.p, training = false })
    return y
  end
  if not self.training or self.p == 0 or self:in_frozen_part() then return x end
  local y = ops.dropout(x, { p = self.p, training = true })
  return y
end
function Dropout:label() return ("nn.Dropout(%g)"):format(self.p) end
function Dropout:spec() return { class = "Dropout", args = { self.p } } end

return M
