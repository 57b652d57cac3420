-- totals.lua - the sums of an epoch or a test. One rule for every mean of a loss, in training, test and eval alike: all that the losses of the
-- samples add up to, divided by all that they count (nn.CrossEntropy's :weight_of and its like). So it does not depend on
-- the batch, and a batch that counts nothing adds nothing. The figures beside it are the task's (tlua/task).
local totals = {}

local Totals = {}
Totals.__index = Totals

-- `state`: the fields of one that was kept (checkpoint.lua); one of an older tlua knows no `counted`, and counted pictures; and no
-- `meter`, since right answers were among them. `tested`: of a test, whose meter may keep more.
function totals.new(task, state, tested)
  state = state or {}
  return setmetatable({ loss = state.loss or 0, counted = state.counted or state.n or 0, n = state.n or 0, steps = state.steps or 0,
    meter = task:meter(state.meter or (state.right and { right = state.right, n = state.n }) or nil, tested) }, Totals)
end

-- One batch: the sum of its losses, what they count, and what the network gave for it.
function Totals:add(loss, counted, out, batch)
  self.loss, self.counted, self.n, self.steps = self.loss + loss, self.counted + counted, self.n + batch.n, self.steps + 1
  self.meter:add(out, batch)
end

-- nil where nothing counts, and where there is no sample.
function Totals:mean() return self.counted ~= 0 and self.loss / self.counted or nil end
-- The task's figures: key -> number.
function Totals:value() return self.n > 0 and self.meter:value() or {} end

function Totals:state()
  return { loss = self.loss, counted = self.counted, n = self.n, steps = self.steps, meter = self.meter:state() }
end

return totals
