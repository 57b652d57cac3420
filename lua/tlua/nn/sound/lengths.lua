-- lengths.lua - how long each sequence of a batch is, worked out by operators, so that a plan does it for any batch:
-- x (N, T, ...) of which lengths (N) int32 count.
local core = require "tlua.core"
local util = require "tlua.util"
local ops = core.ops
local lengths = {}

local function whole(n) return ops.range { start = n, count = 1 } end

-- What a convolution leaves of lengths (N) int32: floor((L + padding - kernel) / stride) + 1 with the padding of both
-- ends, none where it does not fit.
function lengths.after(list, kernel, stride, padding)
  local scope <close> = core.scope()
  local room = ops.maximum(ops.add(list, whole(padding - kernel + stride)), whole(0))
  local n = stride == 1 and room or ops.div(room, whole(stride))
  return scope:keep(n)
end

-- The same of one number.
function lengths.count_after(n, kernel, stride, padding) return math.max(0,
  (n + padding - kernel + stride) // stride) end

-- (N, T, 1): 1 where x (N, T, C) counts, 0 behind `list`. Steps are counted by a sum along x itself: so nothing in the
-- calls depends on T.
function lengths.mask(x, list)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local first = ops.isnan(ops.slice(x, 3, 0, 1))
  local at = ops.cumsum(ops.cast(first * 0 + 1, { dtype = "int32" }), { axis = 2 })
  local inside = ops.le(at, list:reshape { -1, 1, 1 })
  return scope:keep(ops.cast(inside, { dtype = "float32" }))
end

-- x with zeros behind `list`; x itself where all counts.
function lengths.masked(x, list)
  if not list then return x end
  return x * lengths.mask(x, list)
end

util.seal(lengths, "lengths.")
return lengths
