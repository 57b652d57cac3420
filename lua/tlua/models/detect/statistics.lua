-- statistics.lua - the statistics of batch norms that an exporter has folded into the convolutions before them. Such
-- a norm was loaded as the identity with the folded bias (folded.lua): what it answers is right, but trained from there
-- it would normalise by the batch at once and be another network. So its input is measured first, and the norm becomes
-- one that has these statistics and answers what it did.
local core = require "tlua.core"
local util = require "tlua.util"
local plan = require "tlua.plan"
local ops = core.ops
local statistics = {}

local function all_are(t, v)
  return ops.abs(t - v):amax():item() == 0
end

-- Is this norm the identity that stands for a folded one? Mean 0 and variance 1 - eps, rounded as loading rounds it, no
-- training ever gives, and a fresh norm has a variance of 1.
local function is_folded(norm)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  return all_are(norm.running_var, core.full({}, 1 - norm.eps)) and all_are(norm.running_mean, 0)
    and all_are(norm.weight, 1)
end

-- The norms of a network that have no statistics of their own: {path, norm} each, in its order.
function statistics.missing(net)
  local list = {}
  net:ready()
  for path, m in net:modules() do
    if m._class == "nn.BatchNorm2d" and m.affine and is_folded(m) then list[#list + 1] = { path, m } end
  end
  return list
end

-- ---- sums ----

-- Means and sums of squared deviations by channel, joined batch by batch (Chan et al. 1979) in double precision.
local function joined(sum, n, mean, var)
  if not sum.n then
    sum.n, sum.mean, sum.square = n, mean, var
    for i, v in ipairs(var) do sum.square[i] = v * n end
    return
  end
  local all = sum.n + n
  for i, m in ipairs(mean) do
    local d = m - sum.mean[i]
    sum.mean[i] = sum.mean[i] + d * n / all
    sum.square[i] = sum.square[i] + var[i] * n + d * d * sum.n * n / all
  end
  sum.n = all
end

-- x (N, H, W, C)
local function add(sum, x)
  local scope <close> = core.scope()
  local axes, n = {}, x:numel() // x:shape(-1)
  for i = 1, x:rank() - 1 do axes[i] = i end
  local mean = x:mean { axes = axes, keep = true }
  local var = (x - mean):square():mean { axes = axes }
  joined(sum, n, mean:reshape(-1):tolist(), var:tolist())
end

-- Puts the statistics in, and weight and bias by which the answer x + bias stays: weight = sqrt(var + eps), and the
-- mean is added to the bias.
local function take(path, norm, sum)
  local var, weight, old, bias = {}, {}, norm.bias:tolist(), {}
  for i, m in ipairs(sum.mean) do
    var[i] = sum.square[i] / sum.n
    weight[i], bias[i] = math.sqrt(var[i] + norm.eps), old[i] + m
    if not (util.is_finite(var[i]) and util.is_finite(m)) then
      util.failf("measure_statistics: what goes into %s is not finite", path)
    end
  end
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  norm.running_mean:copy_(core.tensor(sum.mean))
  norm.running_var:copy_(core.tensor(var))
  norm.weight:copy_(core.tensor(weight))
  norm.bias:copy_(core.tensor(bias))
end

local function forwards(net, batches)
  local pictures = 0
  for x in batches do
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    net(x)
    pictures = pictures + x:shape(1)
  end
  return pictures
end

-- One forward for each batch, in inference. Frozen norms are measured too: their answers stay in any case. Returns how
-- many norms and pictures that were.
function statistics.measure(net, batches)
  local list, sums = statistics.missing(net), {}
  if #list == 0 then util.failf("measure_statistics: the batch norms of %s have their statistics", net:label()) end
  local training, off = net.training, plan.off
  net:eval()
  plan.off = true -- a plan folds norms and runs no modules
  for i, each in ipairs(list) do
    sums[i] = {}
    rawset(each[2], "measured", function(x) add(sums[i], x) end)
  end
  local ok, pictures = pcall(forwards, net, batches)
  for _, each in ipairs(list) do rawset(each[2], "measured", nil) end
  plan.off = off
  net:train(training)
  if not ok then error(pictures, 0) end
  if pictures == 0 then util.fail "measure_statistics: there is no batch to measure by" end
  for i, each in ipairs(list) do take(each[1], each[2], sums[i]) end
  return #list, pictures
end

return statistics
