-- step.lua - one step of training: one or more batches, their gradients weighted by what each of them counts, clipping, the
-- rate of the step, the optimiser. Each batch works in a scope of its own, so that a run's memory is that of one batch.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.module"
local plan = require "tlua.plan"
local step = {}

function step.logits(s, source, input)
  local y
  if source.cut then y = s.model:classify(s.model:above(input, source.cut.stage)) else y = s.model(input) end
  return y
end

local function count_right(logits, labels)
  local right, predicted = 0, logits:argmax(-1):tolist()
  for i, label in ipairs(labels) do
    if predicted[i] == label then right = right + 1 end
  end
  return right
end

local function is_finite(x) return x == x and x ~= math.huge and x ~= -math.huge end

-- ---- where numbers went wrong ----

local function all_finite(t)
  if t:dtype() ~= "float32" then return true end
  return is_finite((t * 0):sum():item())
end

-- Runs the batch again and looks at what every module gives. Returns the path of the first whose output is not finite.
local function first_bad(s, source, input)
  if not all_finite(input) then return "the pictures themselves" end
  for name, p in s.model:parameters() do
    if not all_finite(p) then return "parameter " .. name end
  end
  local found
  module.watching = function(m, y)
    if not found and core.is_tensor(y) and not all_finite(y) then
      local path = m:path()
      found = path == "" and m:label() or ("layer %s"):format(path)
    end
  end
  local before = plan.off
  plan.off = true -- a plan runs no modules
  local ok, e = pcall(step.logits, s, source, input)
  module.watching, plan.off = nil, before
  if not ok then return ("unknown (%s)"):format(util.reason(e)) end
  return found or "the loss"
end

local function not_finite(s, source, input, value)
  local where = first_bad(s, source, input)
  local kept = s.kept_text and ("; %s is whole (%s): --resume %s goes on from it"):format(s.out .. "/last.safetensors", s.kept_text, s.out) or ""
  util.failf("the loss is %s in epoch %d, step %d, with learning rate %g; the first output that is not finite is that of %s; a smaller rate may help: --optim.lr %g%s",
    tostring(value), s.epoch, s.done + 1, s.optim:lr(), where, s.optim:lr() / 10, kept)
end

-- ---- training ----

-- What a batch counts in the mean over the batches of a step: its pictures, or as the loss says (class weights, ignored labels).
-- The mean over shares of the classes, which a mixed batch has for a target, is one over the pictures.
local function weight_of(s, list, n, mix)
  local options = type(s.loss) == "table" and s.loss.options
  if mix and not (options and options.reduction == "sum") then return n end
  if options and s.loss.weight_of then return s.loss:weight_of(list) end
  return n
end

-- Rows (N, C) with a 1 at the class.
local function one_hot(labels, classes)
  local y = core.ops.eq(labels:to("float32"):reshape(labels:shape()[1], 1), core.arange(classes))
  return y
end

-- The loss of a batch. The target of a mixed one are shares of two classes; a loss that takes none is taken with both labels and
-- shared out. The second result are the labels that right answers are counted by: those of the larger share.
function step.loss(s, logits, labels, list, mix)
  if not mix then return s.loss(logits, labels), list end
  local answers = mix.share >= 0.5 and list or mix.list
  if type(s.loss) == "table" and s.loss.takes_shares then
    local classes = logits:shape()[2]
    return s.loss(logits, one_hot(labels, classes) * mix.share + one_hot(mix.labels, classes) * (1 - mix.share)), answers
  end
  return s.loss(logits, labels) * mix.share + s.loss(logits, mix.labels) * (1 - mix.share), answers
end

-- Forward and backward of one batch; loss, right answers, size; nil at the end of the epoch. `many`: the step has more than one.
local function one_batch(s, source, many)
  local scope <close> = core.scope()
  local input, labels, n, list, mix = source:next()
  if not input then return nil end
  core.random_step(s.batches_done)
  local logits = step.logits(s, source, input)
  local loss, answers = step.loss(s, logits, labels, list, mix)
  local value, weight = loss:item(), weight_of(s, list, n, mix)
  if not is_finite(value) then not_finite(s, source, input, value) end
  if many then (loss * weight):backward() else loss:backward() end
  return value, count_right(logits, answers), n, weight
end

local function clip(s)
  local r = s.recipe
  for k, g in ipairs(s.groups) do
    if g.clip then s.optim:clip_grad_norm(g.clip, k) end
  end
  if r.clip then s.optim:clip_grad_norm(r.clip) end
end

-- The rates of this step, of all groups.
local function set_rates(s)
  local f = s.schedule:factor(s.stage_steps, s.stage_epoch - 1)
  for k, g in ipairs(s.groups) do s.optim:set_lr(g.lr * f, k) end
  s.rate = s.lr * f
end

-- One step of the optimiser. Adds to `sum`; false at the end of the epoch.
function step.train(s, source, sum)
  local many, weights = s.recipe.accumulate > 1, 0
  s.optim:zero_grad()
  set_rates(s)
  for _ = 1, s.recipe.accumulate do
    local loss, right, n, weight = one_batch(s, source, many)
    if not loss then break end
    sum:add(loss, right, n)
    weights = weights + weight
    s.done, s.batches_done = s.done + 1, s.batches_done + 1
  end
  if weights == 0 then return false end
  local is_sum = type(s.loss) == "table" and s.loss.options and s.loss.options.reduction == "sum"
  if many and not is_sum then s.optim:scale_grad(1 / weights) end
  clip(s)
  s.optim:step()
  if s.ema then s.ema:update() end
  s.stage_steps = s.stage_steps + 1
  return true
end

-- Loss, right answers and size of the next batch, without training; nil at the end. `seen`, where it is given, gets the labels and the
-- probabilities (rows of one number a class).
function step.test(s, source, seen)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local input, labels, n, list = source:next()
  if not input then return nil end
  local logits = step.logits(s, source, input)
  if seen then
    local shape, flat = logits:shape(), logits:softmax(-1):reshape(-1):tolist()
    for i, label in ipairs(list) do
      seen.labels[#seen.labels + 1] = label
      seen.probabilities[#seen.probabilities + 1] = { table.unpack(flat, (i - 1) * shape[2] + 1, i * shape[2]) }
    end
  end
  return s.loss(logits, labels):item(), count_right(logits, list), n
end

return step
