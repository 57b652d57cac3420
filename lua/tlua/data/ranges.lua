-- ranges.lua - fields whose numbers say between what something is drawn: checks for a schema, which give what is wrong,
-- and what one number for either way means. false: the field is off.
local util = require "tlua.util"
local ranges = {}

-- `least` to `most` numbers between low and high.
local function wrong_numbers(v, least, most, low, high)
  if not v then return nil end
  v = type(v) == "number" and { v } or v
  if #v < least or #v > most then
    return ("takes %s numbers, not %d"):format(least == most and least or ("%d to %d"):format(least, most), #v)
  end
  for _, x in ipairs(v) do
    if not (x >= low and x <= high) then return ("is %g, and must lie between %g and %g"):format(x, low, high) end
  end
end

local function wrong_order(v)
  if v and v[1] > v[2] then return ("goes from %g down to %g"):format(v[1], v[2]) end
end

ranges.wrong_numbers = wrong_numbers

function ranges.numbers(least, most, low, high)
  return function(v) return wrong_numbers(v, least, most, low, high) end
end

-- Two numbers, from and to.
function ranges.range(low, high) return function(v) return wrong_numbers(v, 2, 2, low, high) or wrong_order(v) end end

-- From and to, or one number for either way.
function ranges.around(low, high)
  return function(v)
    local text = wrong_numbers(v, 1, 2, low, high)
    if text or not v then return text end
    local one = type(v) == "number" and v or #v == 1 and v[1]
    if not one then return wrong_order(v) end
    if one < 0 then return ("is %g; one number goes both ways, and must not be negative"):format(one) end
  end
end

-- The numbers of a field's value as a list; nil where it is off.
function ranges.list(v)
  if not v then return nil end
  return type(v) == "number" and { v } or v
end

-- A range, or one number x for middle - x to middle + x, cut off at `low`; nil where nothing is drawn.
function ranges.both_ways(value, middle, low)
  local v = ranges.list(value)
  if not v or #v == 2 then return v end
  if v[1] == 0 then return nil end
  return { math.max(low, middle - v[1]), middle + v[1] }
end

util.seal(ranges, "ranges.")
return ranges
