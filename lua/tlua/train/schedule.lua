-- schedule.lua - how the learning rate goes over a stage of training. schedule.new(kind, options) -> object with
-- :factor(step, epoch), what the group's rate is multiplied by; a pure function of the step, so that a run that goes on
-- from a checkpoint needs no state (plateau alone has one: :state() and :load_state()). Formulas are those of
-- torch.optim.lr_scheduler; tests/lua/schedule.lua holds them against its values.
local util = require "tlua.util"
local schedule = {}

schedule.kinds = { "constant", "step", "cosine", "one_cycle", "plateau" }

-- Fields of a stage that say how the rate goes. Epochs may be fractions where `per` is step.
schedule.SCHEMA = {
  { "rate", "choice", "constant", "how the learning rate goes", schedule.kinds },
  { "per", "choice", "step", "the rate changes with every step, or with every epoch", { "step", "epoch" } },
  { "warmup", "number", 0, "epochs in which the rate rises in a line from warmup_start", least = 0 },
  { "warmup_start", "number", 0.01, "share of the rate that the warm-up begins with", least = 0 },
  { "final", "number", 0, "cosine: share of the rate at the end; one_cycle: 0 stands for 1e-4 of the first", least = 0 },
  { "every", "numbers", { 1 }, "step: epochs between two falls, or the epochs at which it falls (from two numbers on)", above = 0 },
  { "gamma", "number", 0.1, "step and plateau: what the rate is multiplied by", above = 0 },
  { "peak", "number", 0.3, "one_cycle: share of the steps in which the rate rises", least = 0, most = 1 },
  { "div", "number", 25, "one_cycle: the first rate is the highest divided by this", above = 0 },
  { "patience", "integer", 10, "plateau: epochs without a better test loss before the rate falls", least = 0 },
  { "threshold", "number", 1e-4, "plateau: a loss smaller by this share is better", least = 0, below = 1 },
}

local function cosine(from, to, share) return to + (from - to) / 2 * (1 + math.cos(math.pi * share)) end

local factor = {}

-- o: the fields above, `n` units (steps or epochs) in all and `unit` of them to an epoch; t from 0.
function factor.constant() return 1 end

function factor.step(o, t)
  local epoch = t / o.unit
  if type(o.every) == "number" then return o.gamma ^ math.floor(epoch / o.every) end
  if #o.every == 1 then return o.gamma ^ math.floor(epoch / o.every[1]) end
  local falls = 0
  for _, at in ipairs(o.every) do
    if epoch >= at then falls = falls + 1 end
  end
  return o.gamma ^ falls
end

function factor.cosine(o, t, n) return cosine(1, o.final, math.min(t / math.max(n, 1), 1)) end

-- Smith, Topin, "Super-convergence", 2018, with the cosines of fastai and PyTorch's OneCycleLR.
function factor.one_cycle(o, t, n)
  local first = 1 / o.div
  local final = o.final > 0 and o.final or first / 1e4
  local top, last = o.peak * n - 1, n - 1
  if t <= top then return cosine(first, 1, top > 0 and t / top or 1) end
  return cosine(1, final, last > top and math.min((t - top) / (last - top), 1) or 1)
end

local Schedule = {}
Schedule.__index = Schedule

-- A stage that would be over before its warm-up is refused. options as in SCHEMA; steps of an epoch and epochs of the
-- stage.
function schedule.check(o, steps, epochs)
  local unit = o.per == "step" and steps or 1
  local n, warm = epochs * unit, math.floor(o.warmup * unit + 0.5)
  if warm < 0 or (n > 0 and warm >= n and o.warmup > 0) then
    util.failf("schedule: warmup = %g must be less than the %d %s of its stage%s", o.warmup, epochs,
      epochs == 1 and "epoch" or "epochs", o.per == "epoch" and ", in whole epochs" or "")
  end
end

-- options as in SCHEMA (checked); steps of an epoch and epochs of the stage.
function schedule.new(options, steps, epochs)
  local o = setmetatable({}, { __index = options })
  o.unit = o.per == "step" and steps or 1
  local n = epochs * o.unit
  schedule.check(o, steps, epochs)
  local warm = math.floor(o.warmup * o.unit + 0.5)
  return setmetatable({ o = o, n = n, warm = warm, reduced = 1, best = math.huge, bad = 0 }, Schedule)
end

-- What the rates are multiplied by in step `step` of epoch `epoch` of the stage, both from 0; step counts through the stage.
function Schedule:factor(step, epoch)
  local o = self.o
  local t = o.per == "step" and step or epoch
  if t < self.warm then return o.warmup_start + (1 - o.warmup_start) * t / self.warm end
  if o.rate == "plateau" then return self.reduced end
  return factor[o.rate](o, t - self.warm, self.n - self.warm)
end

-- Tells the schedule the test loss of an epoch. Returns true where the rate falls.
function Schedule:told(loss)
  local o = self.o
  if o.rate ~= "plateau" then return false end
  if loss < self.best * (1 - o.threshold) then
    self.best, self.bad = loss, 0
    return false
  end
  self.bad = self.bad + 1
  if self.bad <= o.patience then return false end
  self.reduced, self.bad = self.reduced * o.gamma, 0
  return true
end

-- Numbers alone; infinity, which JSON does not have, is left out.
function Schedule:state() return { reduced = self.reduced, best = self.best < math.huge and self.best or nil, bad = self.bad } end
function Schedule:load_state(state) self.reduced, self.best, self.bad = state.reduced, state.best or math.huge, state.bad end

return schedule
