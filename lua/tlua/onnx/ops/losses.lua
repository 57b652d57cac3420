-- losses.lua - the losses that training graphs end with: scores (N, C, ...) and labels (N, ...).
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local ops = core.ops
local H = {}

-- Minus the logarithm at each label, weighted by class; what is ignored weighs nothing.
local function likelihood(w, node, logs, labels, weight)
  local a = node.attrs
  local y = value.tensor(w, labels)
  y = y:dtype() == "int32" and y or ops.cast(y, { dtype = "int32" })
  local counted
  if a.ignore_index then
    counted = ops.ne(y, value.single(w, a.ignore_index, "int32"))
    y = ops.where(counted, y, value.single(w, 0, "int32"))
    counted = value.floats(w, counted)
  end
  local dims, classes = y:shape(), logs:shape()[2]
  local wide = { table.unpack(dims) }
  table.insert(wide, 2, 1)
  local each = ops.neg(ops.gather(logs, y:reshape(wide), { axis = 2 }):reshape(dims))
  local share
  if weight then
    share = ops.embedding(value.floats(w, value.tensor(w, weight)):reshape { classes, 1 }, y):reshape(dims)
  end
  if counted then share = share and ops.mul(share, counted) or counted end
  if share then each = ops.mul(each, share) end
  local how = a.reduction or "mean"
  if how == "none" then return value.of(each, "float32") end
  local sum = ops.sum(each)
  if how == "sum" then return value.of(sum, "float32") end
  if how ~= "mean" then util.failf("the reduction '%s'", how) end
  return value.of(share and ops.div(sum, ops.sum(share)) or ops.mul_scalar(sum, 1 / host.count(dims)), "float32")
end

function H.NegativeLogLikelihoodLoss(w, node, x)
  return likelihood(w, node, value.floats(w, value.tensor(w, x[1])), x[2], x[3])
end

function H.SoftmaxCrossEntropyLoss(w, node, x)
  local logs = ops.log_softmax(value.floats(w, value.tensor(w, x[1])), { axis = 2 })
  return { likelihood(w, node, logs, x[2], x[3]), value.of(logs, x[1].dtype) }
end

return { handlers = H }
