-- intervals.lua - between what bounds a figure lies, as far as so many pictures tell. Shares (accuracy, recall) have
-- Wilson's interval wherever one is shown: it holds with few pictures too, and with all of them right its width is not
-- 0. Clopper and Pearson's is there for who must never promise too much. tests/golden/intervals.json holds scipy's
-- values of both.
local util = require "tlua.util"
local intervals = {}

local OPTIONS = { share = 0.95 }

local function check(what, right, n, options)
  local o = util.options(what, options, OPTIONS)
  if not (n >= 0 and right >= 0 and right <= n) then
    util.failf("%s: %s of %s is no share", what, tostring(right), tostring(n))
  end
  if not (o.share > 0 and o.share < 1) then util.failf("%s: share must be between 0 and 1, not %g", what, o.share) end
  return o.share
end

-- ---- distributions ----

-- Distribution function of the standard normal for z >= 0, by its series: 1/2 + density (z + z^3/3 + z^5/15 + ...).
local function normal(z)
  local term, sum, k = z, z, 1
  while term > 1e-18 * sum do
    k = k + 2
    term = term * z * z / k
    sum = sum + term
  end
  return 0.5 + sum * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
end

-- The x in low..high at which a growing f reaches `want`.
local function solve(f, want, low, high)
  for _ = 1, 200 do
    local middle = (low + high) / 2
    if middle <= low or middle >= high then break end
    if f(middle) < want then low = middle else high = middle end
  end
  return (low + high) / 2
end

-- Logarithm of the gamma function: Stirling's series, from 15 on.
local function log_gamma(x)
  local shift = 0
  while x < 15 do
    shift = shift - math.log(x)
    x = x + 1
  end
  local r = 1 / (x * x)
  return shift + (x - 0.5) * math.log(x) - x + 0.5 * math.log(2 * math.pi) +
    (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / x
end

-- Regularised incomplete beta function I_x(a, b): its continued fraction, evaluated as Lentz did, on the side where it
-- converges fast.
local function beta(x, a, b)
  if x <= 0 then return 0 end
  if x >= 1 then return 1 end
  if x > (a + 1) / (a + b + 2) then return 1 - beta(1 - x, b, a) end
  local front = math.exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * math.log(x) + b * math.log(1 - x)) / a
  local c, d = 1, 1 / (1 - (a + b) * x / (a + 1))
  local f = d
  for m = 1, 100000 do
    local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    d, c = 1 / (1 + even * d), 1 + even / c
    f = f * d * c
    local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d, c = 1 / (1 + odd * d), 1 + odd / c
    f = f * d * c
    if math.abs(d * c - 1) < 1e-15 then break end
  end
  return front * f
end

-- ---- shares ----

-- Bounds of the share of which `right` of `n` were seen (Wilson 1927: where the share is p, right / n lies within so
-- many deviations of it). nil of nothing. options: share, how sure.
function intervals.wilson(right, n, options)
  local share = check("wilson", right, n, options)
  if n == 0 then return nil end
  local z = share == 0.95 and 1.959963984540054 or solve(normal, (1 + share) / 2, 0, 40)
  local p, t = right / n, z * z / n
  local middle, half = (p + t / 2) / (1 + t), z / (1 + t) * math.sqrt(p * (1 - p) / n + t / (4 * n))
  return right == 0 and 0.0 or middle - half, right == n and 1.0 or middle + half
end

-- The same by Clopper and Pearson (1934): a share below the lower bound gives `right` or more with less than half of 1
-- - share, and the upper bound likewise. Never too narrow, so mostly wider than asked for.
function intervals.clopper_pearson(right, n, options)
  local share = check("clopper_pearson", right, n, options)
  if n == 0 then return nil end
  local tail = (1 - share) / 2
  local low = right == 0 and 0.0 or solve(function(p) return beta(p, right, n - right + 1) end, tail, 0, 1)
  local high = right == n and 1.0 or solve(function(p) return beta(p, right + 1, n - right) end, 1 - tail, 0, 1)
  return low, high
end

-- ---- of anything, by drawing anew ----

-- A generator of its own (xorshift64*, Vigna 2016), so that the intervals of a report are the same each time.
local function generator(seed)
  local x = (seed or 0) * 2654435769 + 88172645463325252
  return function(n)
    x = x ~ (x >> 12)
    x = x ~ (x << 25)
    x = x ~ (x >> 27)
    return (x * 2685821657736338717 >> 33) % n + 1
  end
end

-- The interval in which `share` of the values of f lie when the n rows are drawn anew with replacement: f(list of
-- indices) -> number. nil where that tells nothing: all draws give one value (30 of 30 right are 30 of 30 in each
-- draw), or too many of them give none.
function intervals.bootstrap(n, f, options)
  options = util.options("bootstrap", options, { draws = 1000, share = 0.95, seed = 0 })
  local draw, values = generator(options.seed), {}
  for _ = 1, n > 0 and options.draws or 0 do
    local indices = {}
    for i = 1, n do indices[i] = draw(n) end
    local v = f(indices)
    if v == v then values[#values + 1] = v end
  end
  local tail = (1 - options.share) / 2
  if #values == 0 or #values < (1 - tail) * options.draws then return nil end
  table.sort(values)
  local function at(share)
    return values[math.max(1, math.min(#values, math.floor(share * (#values - 1) + 0.5) + 1))]
  end
  local low, high = at(tail), at(1 - tail)
  if low == high then return nil end
  return low, high
end

-- ---- as text ----

-- "78.7 to 98.2" of bounds between 0 and 1, in percent; "-" where there are none.
function intervals.text(low, high) return low and ("%.1f to %.1f"):format(100 * low, 100 * high) or "-" end

-- The same of {low, high}, which may be missing, or empty as JSON gives it back.
function intervals.between(v) return v and #v == 2 and intervals.text(v[1], v[2]) or "-" end

return intervals
