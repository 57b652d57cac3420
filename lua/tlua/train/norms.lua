-- norms.lua - before the first step: batch norms whose statistics the weights' file has folded away are
-- measured on training pictures (tlua/models/detect/statistics.lua).
local core = require "tlua.core"
local feed = require "tlua.train.feed"
local norms = {}

norms.PICTURES = 64

-- The first `most` training pictures in the order of the loader, augmented as in training, batch by batch.
local function first_batches(s, most)
  local source, seen = feed.open(s, "train"), 0
  source:start(1)
  return function()
    local batch = seen < most and source:next()
    if not batch then return nil end
    local x, left = batch.input, most - seen
    seen = seen + batch.n
    return batch.n <= left and x or core.ops.slice(x, 1, 0, left)
  end, source
end

-- Does any stage train something in front of a batch norm, or the norm itself?
local function trains_norms(s)
  for path, m in s.model:modules() do
    if m._class == "nn.BatchNorm2d" then
      local part = path:match "^(.*)%.[^.]+$" or path
      for name in pairs(s.ever_trained) do
        if name:sub(1, #part + 1) == part .. "." then return true end
      end
    end
  end
  return false
end

-- Of a run that begins; says what was done.
function norms.measure(s)
  local net = s.model
  if not net.wants_statistics or not trains_norms(s) or not net:wants_statistics() then return end
  local batches, source = first_batches(s, norms.PICTURES)
  local ok, count, pictures = pcall(net.measure_statistics, net, batches)
  source:close()
  if not ok then error(count, 0) end
  s.progress:say(("norms     statistics of %d batch norms measured on %d training %s, since the weights' file has them "
    .. "folded"):format(count, pictures, pictures == 1 and s.data.input.one or s.data.input.many))
end

return norms
