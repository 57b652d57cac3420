-- functional.lua - layers as functions: every operator by its name, and those that PyTorch knows under others.
local core = require "tlua.core"
local ops = core.ops
local F = {}

-- logits (N, C), labels (N) int32 -> one number. options: weights, label_smoothing, ignore_index, reduction.
function F.cross_entropy(logits, labels, options)
  local o = {}
  for key, value in pairs(options or {}) do o[key] = value end
  local weights = o.weights
  o.weights = nil
  local y = ops.cross_entropy(logits, labels, weights, o)
  return y
end

function F.mse_loss(x, target)
  local y = (x - target):square():mean()
  return y
end

function F.binary_cross_entropy_with_logits(x, target)
  local y = (x:softplus() - x * target):mean()
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

return setmetatable(F, { __index = function(_, name)
  local op = rawget(ops, name)
  if op then return op end
  local known = {}
  for key in pairs(ops) do known[#known + 1] = key end
  for key in pairs(F) do known[#known + 1] = key end
  table.sort(known)
  require("tlua.util").unknown("name in nn.functional:", name, known)
end })
