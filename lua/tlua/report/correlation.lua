-- correlation.lua - how far two lists of numbers go together: Pearson's and Spearman's coefficients, with the
-- mean rank for ties, as scipy has them, and intervals by Fisher's transform (tests/golden/make_correlation.py).
local util = require "tlua.util"
local correlation = {}

-- Pearson's coefficient; NaN of fewer than two numbers, and where one of the lists is all the same.
function correlation.pearson(x, y)
  if #x ~= #y then util.failf("correlation: %d numbers and %d", #x, #y) end
  local n, mx, my = #x, 0, 0
  for i = 1, n do mx, my = mx + x[i] / n, my + y[i] / n end
  local xx, yy, xy = 0, 0, 0
  for i = 1, n do
    local a, b = x[i] - mx, y[i] - my
    xx, yy, xy = xx + a * a, yy + b * b, xy + a * b
  end
  if n < 2 or not (xx > 0 and yy > 0) then return 0 / 0 end
  return math.max(-1, math.min(1, xy / math.sqrt(xx * yy)))
end

-- The ranks of numbers from 1 on; equal numbers have the mean of their ranks. A NaN anywhere makes all ranks NaN.
function correlation.ranks(list)
  local order, ranks = {}, {}
  for i, v in ipairs(list) do
    order[i] = i
    if v ~= v then order.nan = true end
  end
  if order.nan then
    for i = 1, #list do ranks[i] = 0 / 0 end
    return ranks
  end
  table.sort(order, function(a, b) return list[a] < list[b] end)
  local k = 1
  while k <= #order do
    local last = k
    while last < #order and list[order[last + 1]] == list[order[k]] do last = last + 1 end
    for i = k, last do ranks[order[i]] = (k + last) / 2 end
    k = last + 1
  end
  return ranks
end

-- Spearman's coefficient: Pearson's of the ranks.
function correlation.spearman(x, y) return correlation.pearson(correlation.ranks(x), correlation.ranks(y)) end

local Z = 1.959963984540054 -- of 95 %

-- Bounds of a coefficient of n pairs, 95 % sure: Fisher's transform, whose deviation is 1 / sqrt(n - 3), of ranks
-- sqrt((1 + r^2 / 2) / (n - 3)) (Bonett and Wright 2000). nil where that tells nothing.
function correlation.interval(r, n, ranks)
  if r ~= r or n < 4 or math.abs(r) >= 1 then return nil end
  local z, half = 0.5 * math.log((1 + r) / (1 - r)), Z * math.sqrt((ranks and 1 + r * r / 2 or 1) / (n - 3))
  local function back(v)
    local e = math.exp(2 * v)
    return e == math.huge and 1.0 or (e - 1) / (e + 1)
  end
  return back(z - half), back(z + half)
end

util.seal(correlation, "correlation.")
return correlation
