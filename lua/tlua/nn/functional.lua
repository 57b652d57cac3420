-- functional.lua - layers as functions: every operator by its name, and those that PyTorch knows under others.
local core = require "tlua.core"
local util = require "tlua.util"
local ops = core.ops
local F = {}

-- logits (..., C), labels (...) int32 or shares of the classes (..., C) -> one number. options: weights, label_smoothing, reduction and,
-- of labels, ignore_index.
function F.cross_entropy(logits, target, options)
  local o = {}
  for key, value in pairs(options or {}) do o[key] = value end
  local weights = o.weights
  o.weights = nil
  local op = target:dtype() == "int32" and ops.cross_entropy or ops.soft_cross_entropy
  local y = op(logits, target, weights, o)
  return y
end

-- options: pos_weight, reduction.
function F.binary_cross_entropy_with_logits(x, target, options)
  local o = util.options("binary_cross_entropy_with_logits", options, { pos_weight = util.none, reduction = util.none })
  local y = ops.bce_with_logits(x, target, o.pos_weight, { reduction = o.reduction or "mean" })
  return y
end

-- activation(norm(conv(x)) + residual); see nn/conv.lua.
function F.conv_bn(conv, norm, x, options)
  local y = conv:with_norm(norm, x, options)
  return y
end

-- conv(x, weight, bias, options), linear(x, weight, bias): the residual input is an option here.
function F.conv2d(x, weight, bias, options)
  local y = ops.conv(x, weight, bias, nil, options or {})
  return y
end
function F.linear(x, weight, bias)
  local y = ops.linear(x, weight, bias)
  return y
end
function F.softmax(x, options)
  local y = ops.softmax(x, options or { axis = -1 })
  return y
end

util.seal(F, "")

return setmetatable(F, { __index = function(_, name)
  local op = rawget(ops, name)
  if op then return op end
  local known = {}
  for key in pairs(ops) do known[#known + 1] = key end
  for key in pairs(F) do known[#known + 1] = key end
  table.sort(known)
  util.unknown("name in nn.functional:", name, known)
end })
