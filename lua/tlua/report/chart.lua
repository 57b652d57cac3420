-- chart.lua - line charts as SVG text, for pages that stand alone. Colours and fonts come from the page (classes c1,
-- c2, ..., axis, grid).
local util = require "tlua.util"
local chart = {}

local WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 260, 56, 12, 12, 36

function chart.escape(text)
  return (util.readable(tostring(text)):gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"):gsub('"', "&quot;"))
end

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

-- Lowest and highest value, apart from each other; on a logarithmic axis above zero.
-- `whole`: what is shown where all values are the same.
local function range(series, key, given, is_log, whole)
  local low, high = math.huge, -math.huge
  for _, line in ipairs(series) do
    for _, p in ipairs(line.points) do
      low, high = math.min(low, p[key]), math.max(high, p[key])
      if key == 2 and p[3] then low, high = math.min(low, p[3]), math.max(high, p[4]) end
    end
  end
  if given then low, high = given[1] or low, given[2] or high end
  if low == math.huge then low, high = 1, 1 end
  if is_log then
    low = math.max(low, 1e-12)
    if not (high > low) then low, high = low / 2, low * 2 end
  end
  if not (high > low) and whole then return whole[1], whole[2] end
  if not (high > low) then
    local around = math.max(math.abs(low), 1e-6)
    low, high = low - around, high + around
  end
  return low, high
end

-- Ticks of a logarithmic axis: powers of ten, and 2 and 5 times them where those would be few.
function chart.log_ticks(low, high)
  local out = {}
  local few = math.log(high / low, 10) < 2.5
  for power = math.floor(math.log(low, 10)), math.ceil(math.log(high, 10)) do
    for _, m in ipairs(few and { 1, 2, 5 } or { 1 }) do
      local v = m * 10.0 ^ power
      if v >= low * (1 - 1e-9) and v <= high * (1 + 1e-9) then out[#out + 1] = v end
    end
  end
  return out
end

-- Share of the way from low to high, 0 to 1.
local function scale(low, high, is_log)
  if not is_log then return function(v) return (v - low) / (high - low) end end
  return function(v) return math.log(math.max(v, low) / low) / math.log(high / low) end
end

-- With as many digits as tell them apart, where four do not.
local function with_labels(values)
  local out, seen, same = {}, {}, false
  for i, v in ipairs(values) do
    out[i] = { v, number(v) }
    same, seen[out[i][2]] = same or seen[out[i][2]] ~= nil, true
  end
  for i, v in ipairs(same and values or {}) do out[i][2] = ("%.7g"):format(v) end
  return out
end

local function add_axes(add, x, y, x_ticks, y_ticks, options)
  for _, t in ipairs(y_ticks) do
    add('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>' ..
      '<text class="axis" x="%d" y="%.1f" text-anchor="end">%s</text>',
      LEFT, WIDTH - RIGHT, y(t[1]), y(t[1]), LEFT - 6, y(t[1]) + 4, t[2])
  end
  for _, t in ipairs(x_ticks) do
    if not options.x_whole or t[1] == math.floor(t[1]) then
      add('<text class="axis" x="%.1f" y="%d" text-anchor="%s">%s</text>', x(t[1]), HEIGHT - BOTTOM + 16,
        x(t[1]) > WIDTH - 2 * RIGHT and #t[2] > 6 and "end" or "middle", chart.escape(t[2]))
    end
  end
  add('<text class="axis" x="%.1f" y="%d" text-anchor="middle">%s</text>', (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4,
    chart.escape(options.x or ""))
end

local function add_line(add, x, y, line, class)
  local points = {}
  for k, p in ipairs(line.points) do points[k] = ("%.1f,%.1f"):format(x(p[1]), y(p[2])) end
  if not line.dots then add('<polyline class="%s" points="%s"/>', class, table.concat(points, " ")) end
  for _, p in ipairs(line.points) do
    if p[3] then
      add('<line class="%s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>', class, x(p[1]), x(p[1]), y(p[3]), y(p[4]))
    end
  end
  if line.plain or #line.points > 40 and not line.dots then return end
  for k, p in ipairs(line.points) do
    local at_x, at_y = points[k]:match "^(.-),(.*)$"
    add('<circle class="dot %s" cx="%s" cy="%s" r="%s"><title>%s: %s</title></circle>', class, at_x, at_y,
      line.large and "5" or "2.5", chart.escape(line.name), number(p[2]))
  end
end

-- series: { {name =, points = { {x, y [, low, high]}, ... }, dashed = true, dots = true, large = true, plain = true},
-- ... }: low and high are drawn as a bar; dots alone are without a line, and plain lines without dots. options: x, y
-- (titles), x_range, y_range {low, high}, y_same {low, high} where all values are the same, x_whole, x_log, y_log,
-- x_ticks { {x, text}, ... }.
function chart.lines(series, options)
  local x_low, x_high = range(series, 1, options.x_range, options.x_log)
  local y_low, y_high = range(series, 2, options.y_range, options.y_log, options.y_same)
  local across, up = scale(x_low, x_high, options.x_log), scale(y_low, y_high, options.y_log)
  local function x(v) return LEFT + across(v) * (WIDTH - LEFT - RIGHT) end
  local function y(v) return TOP + (1 - up(v)) * (HEIGHT - TOP - BOTTOM) end
  local out = { ('<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="%s by %s">'):format(WIDTH, HEIGHT,
    chart.escape(options.y or ""), chart.escape(options.x or "")) }
  local function add(format, ...) out[#out + 1] = format:format(...) end
  add_axes(add, x, y,
    options.x_ticks or with_labels(options.x_log and chart.log_ticks(x_low, x_high) or chart.ticks(x_low, x_high, 8)),
    with_labels(options.y_log and chart.log_ticks(y_low, y_high) or chart.ticks(y_low, y_high, 5)), options)
  for i, line in ipairs(series) do
    add_line(add, x, y, line, ("c%d%s"):format((i - 1) % 6 + 1, line.dashed and " dashed" or ""))
  end
  out[#out + 1] = "</svg>"
  return table.concat(out)
end

-- The names of the lines that have points, with their colours.
function chart.legend(series)
  local out = {}
  for i, line in ipairs(series) do
    if #line.points > 0 then
      out[#out + 1] = ('<span class="key"><i class="b%d%s"></i>%s</span>'):format((i - 1) % 6 + 1,
      line.dashed and " dashed" or "", chart.escape(line.name)) end
  end
  return '<p class="legend">' .. table.concat(out) .. "</p>"
end

return chart
