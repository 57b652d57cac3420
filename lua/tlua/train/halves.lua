-- halves.lua - a recipe's `frozen`: matrices and tables that no stage trains are held as float16 or bfloat16, half of
-- their memory. What is computed with them is float32; what is trained, biases, norms and convolutions stay float32.
local core = require "tlua.core"
local util = require "tlua.util"
local halves = {}

local LARGEST = { float16 = 65504, bfloat16 = math.huge }

-- Why a table of float32 has no place in the type; nil where it has. Not a number stays one in either.
local function too_large(t, dtype)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local most = t:abs():amax():item()
  return most > LARGEST[dtype] and most < math.huge and most or nil
end

-- Holds the weights of net that `trained`, a set of names, has not. Returns their bytes before and now.
function halves.hold(net, dtype, trained)
  local before, now = 0, 0
  for path, m in net:modules() do
    local name = path == "" and "weight" or path .. "." .. "weight"
    if m.takes_half and not trained[name] and not rawget(m, "is_adapter") then
      local t = m.weight
      local large = too_large(t, dtype)
      if large then
        util.failf('frozen = "%s": %s has a number of size %g, and %g is the most: "bfloat16" holds it', dtype, name,
          large, LARGEST[dtype])
      end
      before = before + 4 * t:numel()
      now = now + 2 * t:numel()
      m:_replace("weight", t:to(dtype))
    end
  end
  if before == 0 then
    util.failf('frozen = "%s": no matrix of nn.Linear and no table of nn.Embedding is frozen in every stage of %s',
      dtype, net:label())
  end
  collectgarbage() -- what they were has no other owner
  return before, now
end

return halves
