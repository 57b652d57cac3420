-- picture.lua - the curve of the learning rate finder as an SVG file that stands alone. Colours follow the reader's
-- light or dark.
local chart = require "tlua.report.chart"
local picture = {}

local WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 640, 400, 76, 20, 50, 56

-- The loss before the first step, the mean of all batches, and how far each step's loss lies from what its own batch
-- had then.
picture.AXIS = "first loss + change on the batch"

local HEAD = [[<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">
<style>svg{background:#fff}text{fill:#333}.g{stroke:#ddd}.c{stroke:#0b62a4;fill:none;stroke-width:2}.d{fill:#0b62a4;opacity:.35}
.m{stroke:#c0392b;stroke-dasharray:4 3}.s{stroke:#7f6000;stroke-dasharray:2 3}
@media (prefers-color-scheme:dark){svg{background:#16181c}text{fill:#ddd}.g{stroke:#333}.c{stroke:#6db3f2}.d{fill:#6db3f2}.m{stroke:#ff8a7a}
.s{stroke:#e0b84c}}</style>
<text x="%d" y="22" font-weight="bold">%s</text>]]

-- A text between tags: SVG is XML, which has no control characters.
local function escape(text) return (chart.escape((tostring(text):gsub("%c", " ")))) end

-- Lowest and highest loss to be shown: what runs away at the end would flatten the rest.
local function bounds(smooth, losses)
  local low, high = math.huge, -math.huge
  for _, v in ipairs(smooth) do low, high = math.min(low, v), math.max(high, v) end
  for i = 1, #smooth // 2 do low, high = math.min(low, losses[i]), math.max(high, losses[i]) end
  high = math.min(high, smooth[1] + 2 * math.max(smooth[1] - low, 1e-3))
  return low, high > low and high or low + 1e-3
end

-- found: what rule.suggest gave, with rates and losses beside it.
function picture.svg(rates, losses, found, title)
  local smooth = found.smooth
  local low, high = bounds(smooth, losses)
  local first, last = math.log(rates[1], 10), math.log(rates[#rates], 10)
  local parts = { HEAD:format(WIDTH, HEIGHT, LEFT, escape(title)) }
  local function add(format, ...) parts[#parts + 1] = format:format(...) end
  local function x(rate) return LEFT + (math.log(rate, 10) - first) / (last - first) * (WIDTH - LEFT - RIGHT) end
  local function y(v)
    return TOP + (high - math.max(low, math.min(v, high))) / (high - low) * (HEIGHT - TOP - BOTTOM)
  end
  local function line(class, x1, y1, x2, y2)
    add('<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>', class, x1, y1, x2, y2)
  end
  local function text(at_x, at_y, anchor, what)
    add('<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>', at_x, at_y, anchor, escape(what))
  end
  for power = math.ceil(first - 1e-9), math.floor(last + 1e-9) do
    line("g", x(10.0 ^ power), TOP, x(10.0 ^ power), HEIGHT - BOTTOM)
    text(x(10.0 ^ power), HEIGHT - BOTTOM + 18, "middle", ("1e%d"):format(power))
  end
  for i = 0, 4 do
    local v = low + (high - low) * i / 4
    line("g", LEFT, y(v), WIDTH - RIGHT, y(v))
    text(LEFT - 6, y(v) + 4, "end", ("%.3g"):format(v))
  end
  text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "middle", "learning rate")
  add('<text transform="translate(14 %.1f) rotate(-90)" text-anchor="middle">%s</text>', (TOP + HEIGHT - BOTTOM) / 2,
    picture.AXIS)
  local points = {}
  for i in ipairs(smooth) do
    add('<circle class="d" cx="%.1f" cy="%.1f" r="1.5"/>', x(rates[i]), y(losses[i]))
    points[i] = ("%.1f,%.1f"):format(x(rates[i]), y(smooth[i]))
  end
  add('<polyline class="c" points="%s"/>', table.concat(points, " "))
  for i, name in ipairs(found.valley and { "valley", "steepest" } or {}) do
    line(i == 1 and "m" or "s", x(found[name]), TOP, x(found[name]), HEIGHT - BOTTOM)
    text(x(found[name]), TOP - 18 + 14 * (i - 1), "middle", ("%s %.2g"):format(name, found[name]))
  end
  if found.reason then text(LEFT, TOP - 8, "start", found.reason) end
  parts[#parts + 1] = "</svg>\n"
  return table.concat(parts, "\n")
end

return picture
