-- totals.lua - the sums of an epoch or a test. One rule for every mean of a loss, in training, test and eval alike: all that the losses of the
-- pictures add up to, divided by all that they count (nn.CrossEntropy's :weight_of and its like). So it does not depend on
-- the batch, and a batch that counts nothing adds nothing. Right answers are counted over all pictures.
local totals = {}

local Totals = {}
Totals.__index = Totals

-- `state`: the fields of one that was kept (checkpoint.lua); one of an older tlua knows no `counted`, and counted pictures.
function totals.new(state)
  state = state or {}
  return setmetatable({ loss = state.loss or 0, counted = state.counted or state.n or 0, right = state.right or 0, n = state.n or 0, steps = state.steps or 0 }, Totals)
end

-- One batch: the sum of its losses, what they count, right answers, pictures.
function Totals:add(loss, counted, right, n)
  self.loss, self.counted, self.right, self.n, self.steps = self.loss + loss, self.counted + counted, self.right + right, self.n + n, self.steps + 1
end

-- nil where nothing counts, and where there is no picture.
function Totals:mean() return self.counted ~= 0 and self.loss / self.counted or nil end
function Totals:accuracy() return self.n > 0 and 100 * self.right / self.n or nil end

function Totals:state() return { loss = self.loss, counted = self.counted, right = self.right, n = self.n, steps = self.steps } end

return totals
