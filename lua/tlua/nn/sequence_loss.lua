-- sequence_loss.lua - losses between frames and shorter rows of labels whose places are not known.
local core = require "tlua.core"
local util = require "tlua.util"
local losses = require "tlua.nn.loss"
local ops = core.ops
local M = {}

-- logits (N, T, K), or their log_softmax, and targets (N, L) int32 from 0, of which input_lengths (N) frames and
-- target_lengths (N) labels count, all without them. The mean is PyTorch's: of the clips' losses, each over its labels.
local CTCLoss = losses.define("CTCLoss", {
  { "blank", "integer", 0, "the class that stands for no label", least = 0 },
  { "zero_infinity", "boolean", false, "a target that its frames cannot say has a loss of 0 instead of infinity" },
  losses.REDUCTION,
})
M.CTCLoss = CTCLoss
CTCLoss.takes_shares, CTCLoss.takes_frames = false, true

function CTCLoss:forward(logits, targets, input_lengths, target_lengths)
  local o = self.options
  for _, t in pairs { logits, targets } do
    if not core.is_tensor(t) or t:rank() ~= (t == logits and 3 or 2) then
      util.failf("nn.CTCLoss: logits (N, T, K) and targets (N, L) are needed, frames of a network and labels in a row")
    end
  end
  local how = { blank = o.blank, zero_infinity = o.zero_infinity, reduction = o.reduction }
  return ops.ctc_loss(logits, targets, input_lengths, target_lengths, how)
end

-- What the mean is over: clips.
function CTCLoss:weight_of(targets) return core.is_tensor(targets) and targets:shape(1) or #targets end

return M
