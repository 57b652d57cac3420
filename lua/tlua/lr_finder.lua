-- lr_finder.lua - `tlua lr RECIPE`: the loss while the learning rate grows from step to step, a picture of it and a suggestion. After Smith,
-- "Cyclical learning rates for training neural networks", 2017, as fastai's lr_find does it.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local feed = require "tlua.feed"
local step = require "tlua.step"
local progress = require "tlua.progress"
local finder = {}

finder.SCHEMA = {
  { "from", "number", 1e-7, "first rate" },
  { "up_to", "number", 10.0, "last rate" },
  { "steps", "integer", 100, "steps between them" },
  { "to", "path", "lr.svg", "the picture" },
}

-- Takes the command's own options out of a list of overrides. Returns both.
function finder.options(list)
  local own, rest = {}, {}
  for _, each in ipairs(list) do
    local field = schema.find(finder.SCHEMA, each[1])
    if field then own[each[1]] = schema.parse(field, each[1], each[2]) else rest[#rest + 1] = each end
  end
  local o = schema.options("lr", finder.SCHEMA, own)
  if not (o.from > 0 and o.up_to > o.from) or o.steps < 10 then schema.usage "lr: rates go from --from up to a larger --up_to, in ten --steps at least" end
  return o, rest
end

-- ---- the curve ----

-- Running mean of the losses (decay 0.98, without its bias towards zero).
function finder.smooth(losses)
  local out, mean = {}, 0
  for i, loss in ipairs(losses) do
    mean = 0.98 * mean + 0.02 * loss
    out[i] = mean / (1 - 0.98 ^ i)
  end
  return out
end

-- The rate at which the smoothed loss falls fastest over the logarithm of the rate, before its minimum; and the rate of the minimum, of
-- which a tenth is the other rule of thumb. nil where the loss does not fall.
function finder.suggest(rates, smooth)
  local lowest = 1
  for i = 1, #smooth do
    if smooth[i] < smooth[lowest] then lowest = i end
  end
  local steepest, slope = nil, 0
  for i = 2, lowest - 1 do
    local s = (smooth[i + 1] - smooth[i - 1]) / math.log(rates[i + 1] / rates[i - 1])
    if s < slope then steepest, slope = i, s end
  end
  return steepest and rates[steepest], rates[lowest]
end

local WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 400, 60, 50, 40

-- The curve as SVG. Colours follow the reader's light or dark.
function finder.picture(rates, smooth, suggestion, title)
  local low, high = math.huge, -math.huge
  for _, v in ipairs(smooth) do low, high = math.min(low, v), math.max(high, v) end
  high = math.min(high, smooth[1] + 2 * math.max(smooth[1] - low, 1e-3)) -- what runs away at the end would flatten the rest
  local first, last = math.log(rates[1], 10), math.log(rates[#rates], 10)
  local function x(rate) return LEFT + (math.log(rate, 10) - first) / (last - first) * (WIDTH - LEFT - 20) end
  local function y(v) return TOP + (high - math.min(v, high)) / math.max(high - low, 1e-9) * (HEIGHT - TOP - BOTTOM) end
  local parts = { ([[<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">
<style>svg{background:#fff}text{fill:#333}.g{stroke:#ddd}.c{stroke:#0b62a4;fill:none;stroke-width:2}.m{stroke:#c0392b;stroke-dasharray:4 3}
@media (prefers-color-scheme:dark){svg{background:#16181c}text{fill:#ddd}.g{stroke:#333}.c{stroke:#6db3f2}.m{stroke:#ff8a7a}}</style>
<text x="%d" y="22" font-weight="bold">%s</text>]]):format(WIDTH, HEIGHT, LEFT, (title:gsub("[<>&]", ""))) }
  local function line(class, x1, y1, x2, y2) parts[#parts + 1] = ('<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>'):format(class, x1, y1, x2, y2) end
  local function text(at_x, at_y, anchor, what) parts[#parts + 1] = ('<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>'):format(at_x, at_y, anchor, what) end
  for power = math.ceil(first - 1e-9), math.floor(last + 1e-9) do
    line("g", x(10.0 ^ power), TOP, x(10.0 ^ power), HEIGHT - BOTTOM)
    text(x(10.0 ^ power), HEIGHT - BOTTOM + 18, "middle", ("1e%d"):format(power))
  end
  for i = 0, 4 do
    local v = low + (high - low) * i / 4
    line("g", LEFT, y(v), WIDTH - 20, y(v))
    text(LEFT - 6, y(v) + 4, "end", ("%.3g"):format(v))
  end
  text((LEFT + WIDTH - 20) / 2, HEIGHT - 12, "middle", "learning rate")
  local points = {}
  for i, rate in ipairs(rates) do points[i] = ("%.1f,%.1f"):format(x(rate), y(smooth[i])) end
  parts[#parts + 1] = ('<polyline class="c" points="%s"/>'):format(table.concat(points, " "))
  if suggestion then
    line("m", x(suggestion), TOP, x(suggestion), HEIGHT - BOTTOM)
    text(x(suggestion) + 5, TOP + 14, "start", ("%.2g"):format(suggestion))
  end
  parts[#parts + 1] = "</svg>\n"
  return table.concat(parts, "\n")
end

-- ---- measuring ----

-- One step at `rate` (times each group's share); the loss, or nil at the end of an epoch.
local function one(s, source, rate)
  local scope <close> = core.scope()
  local input, labels, n, list, mix = source:next()
  if not input then return nil end
  core.random_step(s.batches_done)
  s.optim:zero_grad()
  for k, g in ipairs(s.groups) do s.optim:set_lr(rate * g.lr / s.lr, k) end
  local loss = step.loss(s, step.logits(s, source, input), labels, list, mix)
  local value = loss:item()
  s.batches_done = s.batches_done + 1
  if value ~= value or math.abs(value) == math.huge then return value end
  loss:backward()
  s.optim:step()
  return value, n
end

-- The losses of up to o.steps steps; it stops where the loss has grown fourfold over its smallest.
local function measure(s, o)
  local rates, losses = {}, {}
  local source <close> = setmetatable({ feed = feed.open(s, "train") }, { __close = function(me) me.feed:close() end })
  local epoch, least = 1, math.huge
  s.model:train()
  source.feed:start(epoch)
  while #rates < o.steps do
    local rate = o.from * (o.up_to / o.from) ^ (#rates / (o.steps - 1))
    local value = one(s, source.feed, rate)
    if not value then
      epoch = epoch + 1
      if epoch > o.steps + 1 then break end
      source.feed:start(epoch)
    else
      if value ~= value or math.abs(value) == math.huge then break end
      rates[#rates + 1], losses[#losses + 1] = rate, value
      local smooth = finder.smooth(losses)[#losses]
      least = math.min(least, smooth)
      s.progress:update("Rates", #rates, o.steps, ("rate %.2g  loss %.4f"):format(rate, value))
      if #rates > 10 and smooth > 4 * least then break end
    end
    if core.interrupted() then break end
  end
  s.progress:clear()
  return rates, losses
end

-- Runs the finder for a recipe. Returns the exit status.
function finder.main(recipe, o)
  local s = recipe:build()
  s.progress, s.batches_done = progress.new(), 0
  core.catch_interrupt(true)
  local ok, rates, losses = pcall(measure, s, o)
  local stopped = core.interrupted()
  core.catch_interrupt(false)
  if not ok then error(rates, 0) end
  if #rates < 10 then util.failf("lr: the loss was no number after %d steps; begin lower: --from %g", #rates, o.from / 100) end
  local smooth = finder.smooth(losses)
  local steepest, lowest = finder.suggest(rates, smooth)
  core.write_file(o.to, finder.picture(rates, smooth, steepest, ("%s: loss by learning rate"):format(s.model:label())))
  for i = 1, #rates, math.max(1, #rates // 12) do print(("rate %-9.2g loss %.4f"):format(rates[i], smooth[i])) end
  if steepest then
    print(("the loss falls fastest at %.2g and is lowest at %.2g"):format(steepest, lowest))
    print(("try --optim.lr %.1g to %.1g; the curve is in %s"):format(math.min(steepest, lowest / 10), math.max(steepest, lowest / 10), o.to))
  else
    print(("the loss does not fall anywhere between %g and %g; the curve is in %s"):format(rates[1], rates[#rates], o.to))
  end
  return stopped and 130 or 0
end

return finder
