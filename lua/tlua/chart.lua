-- chart.lua - line charts as SVG text, for pages that stand alone. Colours and fonts come from the page (classes c1, c2, ..., axis, grid).
local chart = {}

local WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 260, 52, 12, 12, 36

function chart.escape(text) return (tostring(text):gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"):gsub('"', "&quot;")) end

-- Round steps over low..high: about `count` of them.
function chart.ticks(low, high, count)
  if not (high > low) then return { low } end
  local raw = (high - low) / count
  local power = 10.0 ^ math.floor(math.log(raw, 10))
  local step = power
  for _, m in ipairs { 1, 2, 5, 10 } do
    step = m * power
    if step >= raw then break end
  end
  local out, n = {}, math.ceil(low / step - 1e-9)
  while n * step <= high + 1e-9 * step do
    out[#out + 1], n = n * step, n + 1
  end
  return out
end

local function number(v)
  if v == math.floor(v) and math.abs(v) < 1e6 then return ("%d"):format(v) end
  return ("%.4g"):format(v)
end

local function range(series, key, given)
  local low, high = math.huge, -math.huge
  for _, line in ipairs(series) do
    for _, p in ipairs(line.points) do low, high = math.min(low, p[key]), math.max(high, p[key]) end
  end
  if given then low, high = given[1] or low, given[2] or high end
  if not (high > low) then
    local around = math.max(math.abs(low) * 0.1, 1e-6)
    low, high = low - around, high + around
  end
  return low, high
end

-- series: { {name =, points = { {x, y}, ... }, dashed = true}, ... }; options: x, y (titles), y_range {low, high}, x_whole.
function chart.lines(series, options)
  local x_low, x_high = range(series, 1, options.x_range)
  local y_low, y_high = range(series, 2, options.y_range)
  local function x(v) return LEFT + (v - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT) end
  local function y(v) return TOP + (y_high - v) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM) end
  local out = { ('<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="%s by %s">'):format(WIDTH, HEIGHT, chart.escape(options.y or ""), chart.escape(options.x or "")) }
  local function add(format, ...) out[#out + 1] = format:format(...) end
  for _, v in ipairs(chart.ticks(y_low, y_high, 5)) do
    add('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="axis" x="%d" y="%.1f" text-anchor="end">%s</text>', LEFT, WIDTH - RIGHT, y(v), y(v), LEFT - 6, y(v) + 4, number(v))
  end
  for _, v in ipairs(chart.ticks(x_low, x_high, 8)) do
    if not options.x_whole or v == math.floor(v) then
      add('<text class="axis" x="%.1f" y="%d" text-anchor="middle">%s</text>', x(v), HEIGHT - BOTTOM + 16, number(v))
    end
  end
  add('<text class="axis" x="%.1f" y="%d" text-anchor="middle">%s</text>', (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, chart.escape(options.x or ""))
  for i, line in ipairs(series) do
    local points = {}
    for k, p in ipairs(line.points) do points[k] = ("%.1f,%.1f"):format(x(p[1]), y(p[2])) end
    local class = ("c%d%s"):format((i - 1) % 6 + 1, line.dashed and " dashed" or "")
    add('<polyline class="%s" points="%s"/>', class, table.concat(points, " "))
    if #line.points <= 40 then
      for k, p in ipairs(line.points) do
        add('<circle class="dot %s" cx="%s" cy="%s" r="2.5"><title>%s: %s</title></circle>', class, points[k]:match "^(.-),", points[k]:match ",(.*)$", chart.escape(line.name), number(p[2]))
      end
    end
  end
  out[#out + 1] = "</svg>"
  return table.concat(out)
end

-- The names of the lines, with their colours.
function chart.legend(series)
  local out = {}
  for i, line in ipairs(series) do out[i] = ('<span class="key"><i class="b%d%s"></i>%s</span>'):format((i - 1) % 6 + 1, line.dashed and " dashed" or "", chart.escape(line.name)) end
  return '<p class="legend">' .. table.concat(out) .. "</p>"
end

return chart
