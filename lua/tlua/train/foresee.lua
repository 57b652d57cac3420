-- foresee.lua - what can be known before the first step to be for nothing, or to end a run in its middle: no step, no label that counts, nothing
-- to go by where the recipe goes by a test, a last batch that a batch norm cannot be trained on. Said with the way out.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local plan = require "tlua.plan"
local step = require "tlua.train.step"
local stage = require "tlua.train.stage"
local groups = require "tlua.train.groups"
local foresee = {}

-- Does any label of a source count in the loss?
local function any_counts(s, source)
  local loss = s.loss
  if not nn.is_module(loss) or not loss.moves or not s.data.fields.label then return true end
  local known = {}
  for i = 1, source:count() do
    local label = source:label(i)
    if not known[label] and loss:moves(label) then return true end
    known[label] = true
  end
  return source:count() == 0
end

-- Epochs and batches of which none would be a step, and steps that would move nothing.
local function check_steps(s)
  local r, n, d = s.recipe, s.data.train:count(), s.data
  if s.steps == 0 and n > 0 then
    util.at(r.data.where, util.failf, "data.drop_last leaves nothing to train on: %d training %s fewer than a batch of %d; --data.batch %d, or --data.drop_last false",
      n, n == 1 and d.input.one .. " is" or d.input.many .. " are", d.batch, math.max(1, n // 2))
  end
  if n == 0 then util.at(r.data.where, util.failf, "data: there is no training %s", d.input.one) end
  if stage.total(s.stages) == 0 then util.at(r.where, util.fail, "recipe: the schedule has no epoch, so nothing would be trained: --schedule.epochs N") end
  if r.clip and not (r.clip > 0) then util.at(r.where, util.failf, "recipe: clip must be above 0, not %g: nothing would be trained", r.clip) end
  if nn.is_module(s.loss) and s.loss.options and s.loss.options.reduction == "none" then
    util.at(s.loss.where or r.where, util.failf,
      'loss: reduction = "none" gives a number for each %s, and a step wants one: --loss.reduction mean', d.input.one)
  end
  if not any_counts(s, d.train) then
    util.at(r.where, util.failf,
      "recipe: no training %s counts in the loss, since every label is ignored (ignore_index) "
      .. "or has a weight of 0", d.input.one)
  end
end

-- What goes by a test on the way: without a picture for that, or a label that counts there, it would go by nothing.
local function check_test(s)
  local r, part = s.recipe, s.data[s.part]
  local n = part:count()
  local function refuse(what, why) util.at(r.where, util.failf, "recipe: %s goes by the %s, and %s", what, s.part, why) end
  local no_loss = n > 0 and not any_counts(s, part) and ("no %s %s counts in the loss"):format(s.part, s.data.input.one)
  local nothing = n == 0 and ("there is no %s %s"):format(s.part, s.data.input.one)
  if nothing and r.stop_after > 0 then refuse(("stop_after = %d"):format(r.stop_after), nothing) end
  if nothing and r.keep == "best" then refuse('keep = "best"', nothing) end
  if no_loss and r.best == "loss" then refuse('best = "loss"', no_loss) end
  for _, o in ipairs(s.stages) do
    if o.rate == "plateau" and (nothing or no_loss) then refuse('rate = "plateau"', nothing or no_loss) end
  end
end

-- ---- a last batch of one picture ----

-- Why one picture alone cannot be trained on in a stage; nil where it can. Nothing is computed.
local function complaint(s, o)
  groups.set_frozen(s.model, stage.frozen_of(s.recipe, o))
  s.model:train()
  local before = core.memory_failures()
  local ok, e = pcall(plan.memory, function() step.logits(s, {}, s.data.input.blank(s.data, 1)) end)
  if not ok and core.memory_failures() ~= before then error(e, 0) end -- that says nothing of the batch
  return not ok and util.reason(e) or nil
end

-- A batch norm has no statistics of one value: an epoch would end with an error in its last step.
local function check_last_batch(s)
  local n, batch = s.data.train:count(), s.data.batch
  if s.data.drop_last or n % batch ~= 1 or batch == 1 or s.data.input.kind ~= "picture" then return end
  local why
  for _, o in ipairs(s.stages) do
    if o.epochs > 0 then why = why or complaint(s, o) end
  end
  groups.set_frozen(s.model, stage.frozen_of(s.recipe, s.stage_options))
  if not why then return end
  local other = batch
  while other > 2 and n % other == 1 do other = other - 1 end
  util.at(s.recipe.data.where, util.failf, "%d training pictures in batches of %d leave one for the last batch, which cannot be trained on (%s): --data.drop_last true leaves it out%s",
    n, batch, why, n % other ~= 1 and (", --data.batch %d divides otherwise"):format(other) or "")
end

-- A session before its first step.
function foresee.check(s)
  check_steps(s)
  check_test(s)
  check_last_batch(s)
end

-- Could a run with so many training pictures be refused by foresee.check? For a comparison, which has many of them.
function foresee.doubtful(n, batch, drop_last)
  if drop_last then return n < batch end
  return batch > 1 and n % batch == 1
end

return foresee
