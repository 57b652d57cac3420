-- chart.lua - line charts as SVG text, for pages that stand alone. Colours and fonts come from the page (classes c1,
-- c2, ..., axis, grid).
local util = require "tlua.util"
local chart = {}

local WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 260, 56, 12, 12, 36 -- LEFT: at least, longer numbers get more
local NAMES, LINE, LETTERS = 150, 13, 22 -- of names beside the ends of lines: their room, height, longest
local LETTER = 9 -- the width of a digit at most, on a narrow screen, where letters of charts are larger
local COLOURS, DASHES = 6, 4 -- a line has the colour of its number, and where those are over another dash

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

-- The place of everything: a chart is `height` high and has `right` beside its lines.
local function add_axes(add, x, y, x_ticks, y_ticks, options, at)
  for _, t in ipairs(y_ticks) do
    add('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>' ..
      '<text class="axis" x="%d" y="%.1f" text-anchor="end">%s</text>',
      at.left, WIDTH - at.right, y(t[1]), y(t[1]), at.left - 6, y(t[1]) + 4, t[2])
  end
  for _, t in ipairs(x_ticks) do
    if not options.x_whole or t[1] == math.floor(t[1]) then
      add('<text class="axis" x="%.1f" y="%d" text-anchor="%s">%s</text>', x(t[1]), at.height - BOTTOM + 16,
        x(t[1]) > WIDTH - 2 * RIGHT and #t[2] > 6 and "end" or "middle", chart.escape(t[2]))
    end
  end
  add('<text class="axis" x="%.1f" y="%d" text-anchor="middle">%s</text>', (at.left + WIDTH - at.right) / 2,
    at.height - 4, chart.escape(options.x or ""))
end

-- The texts of points as a row at the foot of a chart, each below its point; one that would touch the one before it
-- stands a row higher.
local function add_texts(add, x, line, at)
  local ends = {}
  for _, p in ipairs(line.points) do
    if p[5] then
      local half, row = LETTER * utf8.len(p[5]) / 2, 1
      local middle = math.min(math.max(x(p[1]), at.left + half), WIDTH - half)
      while ends[row] and middle - half < ends[row] do row = row + 1 end
      ends[row] = middle + half
      add('<text class="axis count" x="%.1f" y="%.1f" text-anchor="middle">%s</text>', middle,
        at.height - BOTTOM - 5 - 14 * (row - 1), chart.escape(p[5]))
    end
  end
end

local function add_line(add, x, y, line, class)
  local points = {}
  for k, p in ipairs(line.points) do points[k] = ("%.1f,%.1f"):format(x(p[1]), y(p[2])) end
  if not line.dots then add('<polyline class="%s" points="%s"/>', class, table.concat(points, " ")) end
  for k, p in ipairs(line.points) do
    if p[3] then
      add('<line class="%s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>', class, x(p[1]), x(p[1]), y(p[3]), y(p[4]))
    end
  end
  if line.plain or #line.points > 40 and not line.dots then return end
  for k, p in ipairs(line.points) do
    local at_x, at_y = points[k]:match "^(.-),(.*)$"
    add('<circle class="dot %s" cx="%s" cy="%s" r="%s"><title>%s: %s%s</title></circle>', class, at_x, at_y,
      line.large and "5" or "2.5", chart.escape(line.name), number(p[2]), p[5] and chart.escape(" of " .. p[5]) or "")
  end
end

-- The classes of line i: its colour, and another dash where six colours are over.
local function class_of(i, line)
  local dash = (i - 1) // COLOURS % DASHES
  return ("c%d%s"):format((i - 1) % COLOURS + 1, line.dashed and " dashed" or dash > 0 and " d" .. dash or "")
end

-- A name of at most so many letters; of a longer one the middle is left out, since runs differ at their ends.
function chart.shortened(name, most)
  local n = utf8.len(name)
  if not n or n <= most then return name end
  local first = (most - 1) // 2
  return name:sub(1, utf8.offset(name, first + 1) - 1) .. "…" .. name:sub(utf8.offset(name, n - (most - 2 - first)))
end

-- The names of lines beside their ends, none over another.
local function add_names(add, x, y, series, at)
  local ends = {}
  for i, line in ipairs(series) do
    local p = line.points[#line.points]
    if p then ends[#ends + 1] = { i = i, line = line, x = x(p[1]), y = y(p[2]), to = y(p[2]) } end
  end
  table.sort(ends, function(a, b) return a.y < b.y or a.y == b.y and a.i < b.i end)
  for k = 2, #ends do ends[k].to = math.max(ends[k].to, ends[k - 1].to + LINE) end
  local floor = at.height - BOTTOM + LINE / 2
  for k = #ends, 1, -1 do
    ends[k].to = math.min(ends[k].to, floor)
    floor = ends[k].to - LINE
  end
  for _, e in ipairs(ends) do
    local edge = WIDTH - at.right
    add('<g class="s" data-k="%d"><line class="%s" x1="%.1f" y1="%.1f" x2="%d" y2="%.1f"/>'
      .. '<text class="axis name" x="%d" y="%.1f">%s</text></g>', e.i, class_of(e.i, e.line), e.x, e.y, edge + 8, e.to,
      edge + 11, e.to + 4, chart.escape(chart.shortened(e.line.name, LETTERS)))
  end
end

-- What a chart says to who cannot see it: each line from its first value to its last.
local function in_words(series, options)
  local out = { ("%s by %s"):format(options.y or "", options.x or "") }
  for k, line in ipairs(series) do
    local first, last = line.points[1], line.points[#line.points]
    if k > 30 then break end
    if first and not line.dots then
      out[#out + 1] = #line.points == 1 and ("%s: %s"):format(line.name, number(first[2]))
        or ("%s: from %s to %s"):format(line.name, number(first[2]), number(last[2]))
    end
  end
  return chart.escape(table.concat(out, "; "))
end

-- One line of many, which stands out when it is pointed at or has the focus.
local function add_apart(add, x, y, line, i)
  local last = line.points[#line.points]
  add('<g class="s" data-k="%d" tabindex="0" role="img" aria-label="%s: %s"><title>%s</title>', i,
    chart.escape(line.name), last and number(last[2]) or "–", chart.escape(line.name))
  add_line(add, x, y, line, class_of(i, line))
  add "</g>"
end

-- series: { {name =, points = { {x, y [, low, high [, text]]}, ... }, dashed = true, dots = true, large = true, plain =
-- true}, ... }: low and high are drawn as a bar, a text (how many there are) at the foot, below its point; dots alone
-- are without a line, and plain lines without dots. options: x, y (titles), x_range, y_range {low, high}, y_same
-- {low, high} where all values are the same, x_whole, x_log, y_log, x_ticks { {x, text}, ... }; apart = true: a line
-- stands out when it is pointed at, or its name in the legend; names = true: it also has its name at its end.
function chart.lines(series, options)
  local x_low, x_high = range(series, 1, options.x_range, options.x_log)
  local y_low, y_high = range(series, 2, options.y_range, options.y_log, options.y_same)
  local across, up = scale(x_low, x_high, options.x_log), scale(y_low, y_high, options.y_log)
  local at = { left = LEFT, right = options.names and NAMES or RIGHT,
    height = options.names and math.max(HEIGHT, TOP + BOTTOM + LINE * (#series + 1)) or HEIGHT }
  local y_ticks = with_labels(options.y_log and chart.log_ticks(y_low, y_high) or chart.ticks(y_low, y_high, 5))
  for _, t in ipairs(y_ticks) do at.left = math.max(at.left, 8 + LETTER * #t[2]) end
  local function x(v) return at.left + across(v) * (WIDTH - at.left - at.right) end
  local function y(v) return TOP + (1 - up(v)) * (at.height - TOP - BOTTOM) end
  local out = { ('<svg class="chart" viewBox="0 0 %d %d" role="%s" aria-label="%s">'):format(WIDTH, at.height,
    (options.names or options.apart) and "group" or "img", in_words(series, options)) }
  local function add(format, ...) out[#out + 1] = format:format(...) end
  add_axes(add, x, y,
    options.x_ticks or with_labels(options.x_log and chart.log_ticks(x_low, x_high) or chart.ticks(x_low, x_high, 8)),
    y_ticks, options, at)
  for i, line in ipairs(series) do
    if (options.names or options.apart) and #line.points > 0 then add_apart(add, x, y, line, i)
    else add_line(add, x, y, line, class_of(i, line)) end
  end
  for _, line in ipairs(series) do add_texts(add, x, line, at) end
  if options.names then add_names(add, x, y, series, at) end
  out[#out + 1] = "</svg>"
  return table.concat(out)
end

-- A short piece of line i as it is in a chart, for legends and tables.
function chart.sample(i, line)
  return ('<svg class="sample" width="26" height="8" viewBox="0 0 26 8" aria-hidden="true"><polyline class="%s" '
    .. 'points="0,4 26,4"/></svg>'):format(class_of(i, line or {}))
end

-- The names of the lines that have points, with their colours. apart: they can be pointed at.
function chart.legend(series, apart)
  local out = {}
  for i, line in ipairs(series) do
    if #line.points > 0 then
      out[#out + 1] = ('<span class="key"%s>%s%s</span> '):format(apart and (' data-k="%d"'):format(i) or "",
        chart.sample(i, line), "<bdi>" .. chart.escape(line.name) .. "</bdi>")
    end
  end
  return '<p class="legend">' .. table.concat(out) .. "</p>"
end

return chart
