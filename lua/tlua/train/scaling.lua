-- scaling.lua - a recipe's `precision`: results of layers are stored as halves while it trains (src/op/mixed.c), and
-- so are the gradients between layers. Those of float16 begin at 6e-8, so the loss is multiplied by a power of two
-- before backward and the parameters' gradients, which are float32, are divided by it (Micikevicius et al. 2018).
-- Where a gradient was beyond float16 the step is not made and the factor halves; after many steps in a row without
-- that it doubles. All of it follows from the numbers alone and stands in checkpoints, so a run has the same bits
-- whether it was stopped or not.
local core = require "tlua.core"
local util = require "tlua.util"
local scaling = {}
scaling.__index = scaling

local FIRST, STEPS = 65536.0, 2000 -- those of PyTorch's GradScaler
local LEAST, MOST = 2.0 ^ -16, 2.0 ^ 40

-- The half type that a recipe's training stores results in; nil: float32.
function scaling.type_of(r) return ({ mixed = "float16", bfloat16 = "bfloat16" })[r.precision] end

-- Said before anything is built: options that would do nothing.
function scaling.check(r)
  for _, name in ipairs { "loss_scale", "scale_steps" } do
    if r[name] ~= nil and r.precision ~= "mixed" then
      util.failf('recipe: %s is of precision = "mixed", and precision is "%s"', name, r.precision)
    end
  end
  if r.loss_scale and 2.0 ^ math.floor(math.log(r.loss_scale, 2) + 0.5) ~= r.loss_scale then
    util.failf("recipe: loss_scale must be a power of two, not %g: gradients would be rounded", r.loss_scale)
  end
  if r.loss_scale and (r.loss_scale < LEAST or r.loss_scale > MOST) then
    util.failf("recipe: loss_scale must be from 2^-16 to 2^40, not %g", r.loss_scale)
  end
end

-- 2^16
function scaling.text(scale) return ("2^%d"):format(math.floor(math.log(scale, 2) + 0.5)) end

-- Of a recipe; nil where no loss is scaled.
function scaling.new(r)
  if r.precision ~= "mixed" then return nil end
  return setmetatable({ scale = r.loss_scale or FIRST, steps = r.scale_steps or STEPS, good = 0, skipped = 0 }, scaling)
end

function scaling:state() return { scale = self.scale, good = self.good, skipped = self.skipped } end

-- Goes on from what a checkpoint says.
function scaling:take(state)
  if type(state) ~= "table" or not util.is_finite(state.scale or 0 / 0) or not (state.scale >= LEAST and state.scale <= MOST)
    or math.type(state.good) ~= "integer" or math.type(state.skipped) ~= "integer" then
    util.fail "--resume: the checkpoint is damaged: it does not say its loss scale"
  end
  self.scale, self.good, self.skipped = state.scale + 0.0, state.good, state.skipped
end

-- After backward: whether all gradients of the optimiser are finite, so that its step can be made, after they are multiplied by
-- `factor` and divided by the scale. Where not, the scale halves and the reason is said by `say`.
function scaling:ready(optim, factor, say)
  if not util.is_finite(optim:grad_norm()) then
    self.scale, self.good, self.skipped = self.scale / 2, 0, self.skipped + 1
    if self.scale < LEAST then
      util.fail "gradients are beyond float16 whatever the loss is divided by: --precision bfloat16 holds larger ones"
    end
    say(("a gradient is beyond float16: the step is skipped, the loss is multiplied by %s from here on"):format(
      scaling.text(self.scale)))
    return false
  end
  optim:scale_grad(factor / self.scale)
  self.good = self.good + 1
  if self.good >= self.steps then self.scale, self.good = math.min(2 * self.scale, MOST), 0 end
  return true
end

-- f(...) with results stored as `dtype` (nil: as they are), whatever it raises.
function scaling.lowered(dtype, f, ...)
  if not dtype then return f(...) end
  local before <close> = setmetatable({ core.lowered(dtype) }, { __close = function(b) core.lowered(b[1]) end })
  return f(...)
end

-- The plan's line of it; `own` is the run's scale of the loss, where it has one.
function scaling.plan_text(r, own)
  return ("precision results of layers are stored as %s while it trains%s; parameters, losses and tests are float32")
    :format(scaling.type_of(r), own and (", the loss multiplied by %s"):format(scaling.text(own.scale)) or "")
end

return scaling
