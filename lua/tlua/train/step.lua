-- step.lua - one step of training: one or more batches, their gradients weighted by what each of them counts, clipping, the
-- rate of the step, the optimiser. Each batch works in a scope of its own, so that a run's memory is that of one batch.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
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

local is_finite = util.is_finite

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
  local kept = s.kept_text and ("; %s is whole (%s): %s goes on from it"):format(s.out .. "/last.safetensors", s.kept_text, util.command_text { "--resume", s.out }) or ""
  util.failf("the loss is %s in epoch %d, step %d, with learning rate %g; the first output that is not finite is that of %s; a smaller rate may help: --optim.lr %g%s",
    tostring(value), s.epoch, s.done + 1, s.optim:lr(), where, s.optim:lr() / 10, kept)
end

-- ---- training ----

-- A loss that is a sum already, and not a mean of what it counts.
local function is_sum(s) return type(s.loss) == "table" and s.loss.options ~= nil and s.loss.options.reduction == "sum" end

-- What the losses of these labels count together (class weights, ignored labels); a loss that does not say counts pictures.
local function counted(s, list, width)
  if type(s.loss) == "table" and s.loss.weight_of then return s.loss:weight_of(list, width) end
  return #list
end

-- Rows (N, C) with a 1 at the class.
local function one_hot(labels, classes)
  local y = core.ops.eq(labels:to("float32"):reshape(labels:shape()[1], 1), core.arange(classes))
  return y
end

-- Can the loss have shares of the classes for a target? Not where a class is ignored: of a row of shares no part can be.
local function takes_shares(s, classes)
  if type(s.loss) ~= "table" or not s.loss.takes_shares then return false end
  local ignored = s.loss.options.ignore_index
  return not (ignored and ignored >= 0 and ignored < classes)
end

-- The loss of a mixed batch as that of both its labels, shared out: each by its share of what both count together.
local function shared_out(s, logits, labels, list, mix, width)
  local share, n, m = mix.share, counted(s, list, width), counted(s, mix.list, width)
  local both = n == m and n or share * n + (1 - share) * m
  if both == 0 then return nil, 0 end
  local a, b = share, 1 - share
  if n ~= m and not is_sum(s) then a, b = share * n / both, (1 - share) * m / both end
  if n == 0 then return s.loss(logits, mix.labels) * b, both end
  if m == 0 then return s.loss(logits, labels) * a, both end
  return s.loss(logits, labels) * a + s.loss(logits, mix.labels) * b, both
end

-- The loss of a batch, what it counts among others, and the labels that right answers are counted by: in a mixed batch those of the larger share.
-- No loss (nil) where nothing counts, since a mean over nothing is NaN. The target of a mixed batch are shares of two classes, and the mean of a
-- classification is one over the pictures then, as in PyTorch; a loss that takes none is shared out.
function step.loss(s, logits, labels, list, mix)
  local shape = logits:shape()
  local width = shape[#shape]
  if not mix then
    local count = counted(s, list, width)
    if count == 0 then return nil, 0, list end
    return s.loss(logits, labels), count, list
  end
  local answers = mix.share >= 0.5 and list or mix.list
  if takes_shares(s, width) then
    local target = one_hot(labels, width) * mix.share + one_hot(mix.labels, width) * (1 - mix.share)
    return s.loss(logits, target), s.loss.set_counts and #list or counted(s, list, width), answers
  end
  local loss, count = shared_out(s, logits, labels, list, mix, width)
  return loss, count, answers
end

-- Forward and backward of one batch: the sum of its losses, what they count, right answers, size; nil at the end of the epoch. `many`: the
-- step has more than one batch, and each gradient is weighted by what it counts. A session may have a `not_finite` of its own. `look`: no backward.
local function one_batch(s, source, many, look)
  local scope <close> = core.scope()
  local input, labels, n, list, mix = source:next()
  if not input then return nil end
  core.random_step(s.batches_done)
  local logits = step.logits(s, source, input)
  local loss, count, answers = step.loss(s, logits, labels, list, mix)
  if not loss then return 0, 0, count_right(logits, answers), n end
  local value, sum = loss:item(), is_sum(s)
  if not is_finite(value) then (s.not_finite or not_finite)(s, source, input, value) end
  if look then return sum and value or value * count, count, count_right(logits, answers), n end
  if many and not sum then (loss * count):backward() else loss:backward() end
  return sum and value or value * count, count, count_right(logits, answers), n
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

-- The batches of one step. Adds to `sum`; returns how many there were and what they count.
local function batches_of(s, source, sum, look)
  local many, counted_in_all, batches = s.recipe.accumulate > 1, 0, 0
  for _ = 1, s.recipe.accumulate do
    local loss, count, right, n = one_batch(s, source, many, look)
    if not loss then break end
    sum:add(loss, count, right, n)
    counted_in_all, batches = counted_in_all + count, batches + 1
    s.done, s.batches_done = s.done + 1, s.batches_done + 1
  end
  return batches, counted_in_all
end

-- The same batches as step.train's next step, forward alone: nothing moves but what a forward in training moves. False at the end of the epoch.
function step.look(s, source, sum)
  local guard <close> = core.no_grad()
  return batches_of(s, source, sum, true) > 0
end

-- One step of the optimiser, whose mean is over all that its batches count; where nothing does, nothing moves. Adds to `sum`; false at the end
-- of the epoch.
function step.train(s, source, sum)
  s.optim:zero_grad()
  set_rates(s)
  local batches, counted_in_all = batches_of(s, source, sum)
  if batches == 0 then return false end
  if counted_in_all ~= 0 then
    if s.recipe.accumulate > 1 and not is_sum(s) then s.optim:scale_grad(1 / counted_in_all) end
    clip(s)
    s.optim:step()
    if s.ema then s.ema:update() end
  end
  s.stage_steps = s.stage_steps + 1
  return true
end

-- The sum of the losses of the next batch, what they count, right answers and size, without training; nil at the end. A session without a loss counts nothing. `seen`, where it is given, gets the labels and the
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
  if not s.loss then return 0, 0, count_right(logits, list), n end
  local loss, count = step.loss(s, logits, labels, list)
  local value = loss and loss:item() or 0
  return is_sum(s) and value or value * count, count, count_right(logits, list), n
end

return step
