-- loss.lua - losses as modules: loss(prediction, target) -> one number. Options can be overridden by a recipe.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.module"
local ops = core.ops
local M = {}

-- Makes a loss class with typed options: schema is a list of {name, type, default, brief}.
local function define(name, schema, forward)
  local class = module.class("nn." .. name)
  class.kind, class.schema = name, schema
  function class:init(...)
    local values, given = util.arguments(...)
    if values.n > 0 then util.failf("nn.%s: options come in a table", name) end
    local known = {}
    for _, field in ipairs(schema) do
      if field[3] == nil then known[field[1]] = util.none else known[field[1]] = field[3] end
    end
    self.options = util.options("nn." .. name, given, known)
  end
  class.forward = forward
  function class:spec() return { class = name, args = {}, options = self.options } end
  M[name] = class
end

local reduction = { "reduction", "choice", "mean", "how the losses of a batch become one number", { "mean", "sum", "none" } }

-- logits (N, C), labels (N) int32 from 0 (or -1 and other ignored ones).
define("CrossEntropy", {
  { "label_smoothing", "number", 0, "share of the target spread over all classes" },
  { "ignore_index", "integer", -100, "a label that does not count" },
  reduction,
}, function(self, logits, labels)
  local o = self.options
  local y = ops.cross_entropy(logits, labels, o.weights, { label_smoothing = o.label_smoothing, ignore_index = o.ignore_index, reduction = o.reduction })
  return y
end)

local function reduce(self, x)
  local how = self.options.reduction
  if how == "none" then return x end
  local y
  if how == "sum" then y = x:sum() else y = x:mean() end
  return y
end

-- The mean of (x - target)^2.
define("MSELoss", { reduction }, function(self, x, target)
  local y = reduce(self, (x - target):square())
  return y
end)

-- x are logits, target in 0..1: max(x, 0) - x target + log(1 + exp(-|x|)).
define("BCEWithLogits", { reduction }, function(self, x, target)
  local y = reduce(self, x:softplus() - x * target)
  return y
end)

M.list = { "CrossEntropy", "MSELoss", "BCEWithLogits" }
return M
