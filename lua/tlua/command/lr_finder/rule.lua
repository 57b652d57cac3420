-- rule.lua - which learning rates a curve of losses suggests. The curve: one loss for each of a row of growing rates
-- (tlua/command/lr_finder/init.lua).
--
-- Two rules of thumb stand beside each other. Steepest: where the loss falls fastest over the logarithm of the rate
-- (Smith 2017). Valley: a part of the way down the stretch over which the loss falls from its level to its lowest, as
-- fastai's `valley` has it. Both are read from a smoothed curve, and only where its fall is more than noise: a curve of
-- nothing but noise has a steepest place too.
local rule = {}

rule.LEAST = 10      -- rates that a curve must have
rule.WIDTH = 2.5     -- of the smoothing: deviation of its weights, in steps
rule.SKIP = 0.05     -- share of the curve at its beginning in which nothing is suggested
rule.CERTAIN = 8     -- a fall counts if it is so many standard errors of the smoothed curve
rule.NOTABLE = 0.01  -- and so large a share of the loss
rule.FOOT = 0.1      -- the stretch goes from where so much of the fall is done to where so much is left
rule.INTO = 2 / 3    -- the valley's rate lies so far into it, on the logarithm of the rate

rule.GROWS = "the curve does not fall before it grows" -- a reason for no suggestion

-- Weighted means around each point, weights of a normal distribution. The usual running mean with a decay of 0.98 looks
-- back only: it shows a fall up to 50 steps late, four decades of the rate. A mean over both sides shows it where it
-- is.
function rule.smooth(losses, width)
  width = width or rule.WIDTH
  local out, reach = {}, math.ceil(3 * width)
  for i = 1, #losses do
    local sum, weights = 0, 0
    for k = math.max(1, i - reach), math.min(#losses, i + reach) do
      local w = math.exp(-0.5 * ((k - i) / width) ^ 2)
      sum, weights = sum + w * losses[k], weights + w
    end
    out[i] = sum / weights
  end
  return out
end

-- How many losses come before the first that is no number, or infinite.
local function finite(losses)
  for i, v in ipairs(losses) do
    if v ~= v or v == math.huge or v == -math.huge then return i - 1 end
  end
  return #losses
end


local function lowest_of(values, first)
  local at = first
  for i = first, #values do
    if values[i] < values[at] then at = i end
  end
  return at
end

-- What runs away at the end is cut off, or it would reach into the means before it.
local function capped(losses, level)
  local least, out = math.huge, {}
  for i = 1, #losses do least = math.min(least, losses[i]) end
  local most = level + 2 * math.max(level - least, 0.05 * math.abs(level))
  for i, v in ipairs(losses) do out[i] = math.min(v, most) end
  return out
end

local function median(list, last)
  local sorted = table.move(list, 1, last, 1, {})
  table.sort(sorted)
  return sorted[(last + 1) // 2]
end

-- Deviation of the losses from a smooth line between two places: from their second differences, which a slope does not
-- change, and by the median, which the few wild steps at too large a rate do not change. Of normal numbers the median
-- of |a - 2 b + c| is 0.6745 sqrt(6) deviations.
local function noise(losses, first, last)
  local sizes = {}
  for i = math.max(first, 2), math.min(last, #losses - 1) do
    sizes[#sizes + 1] = math.abs(losses[i - 1] - 2 * losses[i] + losses[i + 1])
  end
  return median(sizes, #sizes) / (0.6745 * math.sqrt(6))
end

-- The places of a stretch of the smoothed curve: where FOOT of the fall is done for the last time, and where but FOOT
-- of it is left for the first.
local function stretch(smooth, first, lowest, level)
  local fall = level - smooth[lowest]
  local from = first
  for i = first, lowest do
    if smooth[i] >= level - rule.FOOT * fall then from = i end
  end
  local to = lowest
  for i = lowest, from, -1 do
    if smooth[i] <= smooth[lowest] + rule.FOOT * fall then to = i end
  end
  return from, to
end

-- The place in first..last at which the smoothed loss falls fastest over the logarithm of the rate.
local function steepest(rates, smooth, first, last)
  local at, slope = first, 0
  for i = math.max(first, 2), math.min(last, #smooth - 1) do
    local s = (smooth[i + 1] - smooth[i - 1]) / math.log(rates[i + 1] / rates[i - 1])
    if s < slope then at, slope = i, s end
  end
  return at
end

-- What a curve suggests: {valley =, steepest =, rates; lowest =, the rate of the smallest loss; from =, to =, the rates
-- between which it falls; level =, fall =, noise =, losses; smooth =, the curve}. Without a suggestion there is
-- `reason`, a sentence, in place of both rates.
function rule.suggest(rates, losses)
  local n = finite(losses)
  if n < rule.LEAST then return { smooth = {}, reason = ("the loss is no number after %d steps"):format(n) } end
  local cut = capped(table.move(losses, 1, n, 1, {}), median(losses, rule.LEAST))
  local first = 1 + math.floor(rule.SKIP * n)
  local smooth = rule.smooth(cut)
  local level, lowest = smooth[first], lowest_of(smooth, first)
  local found = { smooth = smooth, level = level, fall = level - smooth[lowest],
    noise = noise(cut, lowest // 2, math.max(lowest, n // 2)), lowest = rates[lowest] }
  local error_of_mean = found.noise / math.sqrt(2 * math.sqrt(math.pi) * rule.WIDTH)
  if not (found.fall > rule.CERTAIN * error_of_mean and found.fall > rule.NOTABLE * math.abs(level)) then
    local grows = smooth[n] - level > math.max(rule.CERTAIN * error_of_mean, rule.NOTABLE * math.abs(level))
    found.reason = grows and rule.GROWS or "the curve does not fall"
    return found
  end
  local from, to = stretch(smooth, first, lowest, level)
  found.from, found.to = rates[from], rates[to]
  found.valley = rates[from] * (rates[to] / rates[from]) ^ rule.INTO
  found.steepest = rates[steepest(rates, smooth, from, lowest)]
  found.open = lowest == n and n == #losses -- the curve ends while it falls
  return found
end

return rule
