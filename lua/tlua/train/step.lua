-- step.lua - one step of training: one or more batches, their gradients weighted by what each of them counts, clipping, the
-- rate of the step, the optimiser. Each batch works in a scope of its own, so that a run's memory is that of one batch.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local windows = require "tlua.task.windows"
local scaling = require "tlua.train.scaling"
local step = {}

local function network(s, source, batch)
  local y
  if source.cut then y = s.model:classify(s.model:above(batch.input, source.cut.stage))
  elseif batch.lengths then y, batch.out_lengths = s.model(batch.input, batch.lengths)
  else y = s.model(batch.input) end
  return y
end

-- What the network gives for a batch. Where clips have lengths it is told them, and how long its outputs are stands in
-- batch.out_lengths then. dtype: of the results of its layers (scaling.type_of); losses are computed in float32.
function step.logits(s, source, batch, dtype)
  local y = scaling.lowered(dtype, network, s, source, batch)
  if dtype and core.is_tensor(y) and y:dtype() == dtype then y = core.ops.cast(y, { dtype = "float32" }) end
  return y
end

-- The same in a test, which sees volumes whole: maps of classes are made patch by patch there.
local function whole(s, source, batch)
  local p = s.data.preprocessing
  if source.cut or s.task.takes ~= "map" or not p or not p.patch then return step.logits(s, source, batch) end
  return windows.forward(s.model, batch.input, p)
end

local is_finite = util.is_finite

-- ---- where numbers went wrong ----

local function all_finite(t)
  if t:dtype() == "int32" or t:dtype() == "uint8" then return true end
  return is_finite((t * 0):sum():item())
end

-- Runs the batch again and looks at what every module gives. Returns the path of the first whose output is not finite.
local function first_bad(s, source, batch)
  if not all_finite(batch.input) then return ("the %s themselves"):format(s.data.input.many) end
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
  local ok, e = pcall(step.logits, s, source, batch, scaling.type_of(s.recipe))
  module.watching, plan.off = nil, before
  if not ok then return ("unknown (%s)"):format(util.reason(e)) end
  return found or "the loss"
end

local function not_finite(s, source, batch, value)
  local where = first_bad(s, source, batch)
  local kept = s.kept_text and ("; %s is whole (%s): %s goes on from it"):format(s.out .. "/last.safetensors", s.kept_text, util.command_text { "--resume", s.out }) or ""
  util.failf("the loss is %s in epoch %d, step %d, with learning rate %g; the first output that is not finite is that of %s; a smaller rate may help: --optim.lr %g%s%s",
    tostring(value), s.epoch, s.done + 1, s.optim:lr(), where, s.optim:lr() / 10,
    s.recipe.precision == "mixed" and ", or --precision bfloat16, since float16 ends at 65,504" or "", kept)
end

-- ---- training ----

-- Forward and backward of one batch, which is added to `sum`: what it counts; nil at the end of the epoch. `many`: the step has more than one
-- batch, and each gradient is weighted by what it counts. A session may have a `not_finite` of its own. `look`: no backward.
local function one_batch(s, source, sum, many, look)
  local scope <close> = core.scope()
  local batch = source:next()
  if not batch then return nil end
  core.random_step(s.batches_done)
  local out = step.logits(s, source, batch, scaling.type_of(s.recipe))
  local loss, count = s.task:loss(out, batch)
  if not loss then
    sum:add(0, 0, out, batch)
    return 0
  end
  local value, is_sum = loss:item(), s.task:is_sum()
  if not is_finite(value) then (s.not_finite or not_finite)(s, source, batch, value) end
  if not look then
    local factor = (many and not is_sum and count or 1) * (s.scaling and s.scaling.scale or 1)
    if factor ~= 1 then (loss * factor):backward() else loss:backward() end
  end
  sum:add(is_sum and value or value * count, count, out, batch)
  return count
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
    local count = one_batch(s, source, sum, many, look)
    if not count then break end
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

local function say(s, text)
  if s.progress then s.progress:say(("precision epoch %d, step %d: %s"):format(s.epoch, s.done, text)) end
end

-- One step of the optimiser, whose mean is over all that its batches count; where nothing does, nothing moves. Adds to `sum`; false at the end
-- of the epoch.
function step.train(s, source, sum)
  s.optim:zero_grad()
  set_rates(s)
  local batches, counted_in_all = batches_of(s, source, sum)
  if batches == 0 then return false end
  if counted_in_all ~= 0 then
    local factor = s.recipe.accumulate > 1 and not s.task:is_sum() and 1 / counted_in_all or 1
    local ready = true
    if s.scaling then ready = s.scaling:ready(s.optim, factor, function(text) say(s, text) end)
    elseif factor ~= 1 then s.optim:scale_grad(factor) end
    if ready then
      clip(s)
      s.optim:step()
      if s.ema then s.ema:update(s.stage_steps + 1) end
    end
  end
  s.stage_steps = s.stage_steps + 1
  return true
end

-- The next batch without training, added to `sum`; false at the end. A session without a loss counts nothing. `seen`, where it is given,
-- collects what the task's report wants.
function step.test(s, source, sum, seen)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local batch = source:next()
  if not batch then return false end
  local out = whole(s, source, batch)
  if seen then seen:add(out, batch) end
  local loss, count
  if s.task.criterion then loss, count = s.task:loss(out, batch) end
  local value = loss and loss:item() or 0
  sum:add(loss and (s.task:is_sum() and value or value * count) or 0, loss and count or 0, out, batch)
  return true
end

return step
