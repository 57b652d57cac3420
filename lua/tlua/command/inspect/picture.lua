-- picture.lua - a network as an SVG file that stands alone: a panel for each stage with its layers as rows, from top to
-- bottom and then on in the next column. A row takes what the row above it gives; whatever it takes from elsewhere
-- comes along a line at the side, or, from another column, by a number. Colours follow the reader's light or
-- dark.
local core = require "tlua.core"
local util = require "tlua.util"
local chart = require "tlua.report.chart"
local rows = require "tlua.command.inspect.rows"
local picture = {}

local ROW, GAP, HEAD, BETWEEN = 20, 8, 22, 12 -- heights: of a row, between rows, of a panel's head, between panels
local BOX, LANE, PAD, GUTTER = 330, 9, 10, 34 -- widths: of a row, of a line at its side, in a panel, between columns
local MARGIN, TITLE, LEGEND = 24, 58, 40
local STEP = 205 -- from the left side of a row to the line down to the next one, between a head's name and its numbers
local SHAPE_OF_PAGE = 1.5 -- width by height that is aimed at
local LETTER = 6.3 -- width of a letter of 11 pixels

local STYLE = [[<style>svg{background:#fff}text{fill:#222}.s{fill:#667}.p{fill:#f4f6f9;stroke:#cfd6df}
.h{stroke:#f4f6f9;stroke-width:4;paint-order:stroke}
.e{stroke:#778;fill:none;stroke-width:1.3}
.r{stroke:#c2571a;fill:none;stroke-width:1.3}.a{fill:#778}.ar{fill:#c2571a}
.b{stroke:#b9c2cc}.mark{fill:#c2571a}.mt{fill:#fff;font-weight:bold}.m{fill:#a8450f}
.conv{fill:#d6e6fa}.dense{fill:#d5efdc}.attention{fill:#e9dcf7}.pool{fill:#fbe6cc}.join{fill:#fbdcd6}.norm{fill:#e7ebef}
.act{fill:#fdf6c9}.shape{fill:#fff}.other{fill:#eee}.port{fill:#dfe3e8}
@media (prefers-color-scheme:dark){svg{background:#16181c}text{fill:#e4e6ea}
.s{fill:#9aa3ad}.p{fill:#1e2228;stroke:#39414b}
.h{stroke:#1e2228}
.e{stroke:#8a94a0}.a{fill:#8a94a0}.r{stroke:#ff9a5c}.ar{fill:#ff9a5c}.b{stroke:#4a535e}
.mark{fill:#c2571a}.m{fill:#ffb184}
.conv{fill:#1f3a5c}.dense{fill:#1e4430}.attention{fill:#3a2a55}.pool{fill:#54401f}.join{fill:#552b24}.norm{fill:#323942}
.act{fill:#4a4519}.shape{fill:#16181c}.other{fill:#2c3036}.port{fill:#39414b}}</style>]]

local LEGENDS = { { "conv", "convolution" }, { "dense", "linear, product" }, { "attention", "attention, recurrent" },
  { "pool", "pooling, resizing" }, { "join", "sum, product, joining" }, { "norm", "norm" }, { "act", "activation" },
  { "shape", "shape" }, { "other", "other" } }

-- A text between tags: SVG is XML, which has no control characters.
local function escape(text) return (chart.escape((util.readable(tostring(text)):gsub("%c", " ")))) end

-- At most as many letters as fit, wide ones counted twice: the first ones, or the last ones of a name.
local function fitted(text, width, from_end)
  return (core.text.cut(text, math.max(2, math.floor(width / LETTER)), "…", from_end))
end

-- ---- columns ----

-- Puts rows into columns: each gets x of its column later, and y now. A panel ends with its stage or its column.
local function fill_columns(list, limit)
  local columns, y, panel = { { panels = {} } }, 0, nil
  for k, row in ipairs(list) do
    local new = not panel or panel.stage ~= row.stage
    local column = columns[#columns]
    local height = (new and BETWEEN + HEAD or 0) + ROW + GAP
    local much = new and y + height + 2 * (ROW + GAP) > limit or y + height > limit
    if y > 0 and much and row.stage and (new or y > 0.6 * limit or y + height > 1.2 * limit) then
      columns[#columns + 1] = { panels = {} }
      column, y, new = columns[#columns], 0, true
    end
    if new then
      y = y + BETWEEN
      panel = { stage = row.stage, y = y, goes_on = panel ~= nil and panel.stage == row.stage }
      if row.stage then
        column.panels[#column.panels + 1] = panel
        y = y + HEAD
      end
    end
    row.column, row.y, row.number = #columns, y, k
    y = y + ROW + GAP
    panel.bottom, column.bottom = y, y
  end
  return columns
end

-- Height of all in one column, and then as many columns as give the page its shape.
local function arranged(list)
  local whole = fill_columns(list, math.huge)[1].bottom
  local width, best = BOX + 60, nil
  for n = 1, 40 do
    local ratio = n * width / (whole / n + TITLE)
    local off = math.abs(math.log(ratio / SHAPE_OF_PAGE))
    if not best or off < best.off then best = { off = off, n = n } end
  end
  local limit, columns = math.max(whole / best.n + ROW, 420), nil
  for _ = 1, 20 do -- so much higher that no column stays almost empty
    columns = fill_columns(list, limit)
    if #columns <= best.n then break end
    limit = limit * 1.03
  end
  return columns
end

-- ---- lines at the side ----

-- For each row what it gives to others than the next one: {from =, to = {rows}} within a column; and marks between
-- columns, numbered by the row that gives.
local function edges_of(list)
  local lines, by_row, numbers = {}, {}, 0
  for k, row in ipairs(list) do
    for _, from in ipairs(row.from) do
      local source = list[from]
      if from == k - 1 then row.follows = true
      elseif source.column == row.column then
        local line = by_row[from]
        if not line then
          line = { from = source, to = {} }
          by_row[from], lines[#lines + 1] = line, line
        end
        line.to[#line.to + 1] = row
      else
        if not source.mark then
          numbers = numbers + 1
          source.mark = numbers
        end
        row.marks = row.marks or {}
        table.insert(row.marks, source.mark)
      end
    end
  end
  return lines
end

-- "1, 4-6" of 1, 4, 5, 6.
local function ranges_text(numbers)
  table.sort(numbers)
  local out, first = {}, nil
  for i, n in ipairs(numbers) do
    first = first or n
    if numbers[i + 1] ~= n + 1 then
      out[#out + 1] = n == first and tostring(n) or n == first + 1 and first .. ", " .. n or first .. "-" .. n
      first = nil
    end
  end
  return table.concat(out, ", ")
end

-- Gives each line the innermost lane that is free all its way. Returns how many lanes each column has.
local function set_lanes(lines)
  local busy, most = {}, {}
  for _, line in ipairs(lines) do
    line.column, line.first, line.last = line.from.column, line.from.number, line.from.number
    for _, row in ipairs(line.to) do line.last = math.max(line.last, row.number) end
  end
  table.sort(lines, function(a, b)
    local one, two = a.last - a.first, b.last - b.first
    if one ~= two then return one < two end
    return a.first < b.first
  end)
  for _, line in ipairs(lines) do
    local lanes = busy[line.column] or {}
    busy[line.column] = lanes
    local lane = 1
    while true do
      local free = true
      for _, other in ipairs(lanes[lane] or {}) do
        free = free and (line.last <= other.first or line.first >= other.last)
      end
      if free then break end
      lane = lane + 1
    end
    lanes[lane] = lanes[lane] or {}
    table.insert(lanes[lane], line)
    line.lane, most[line.column] = lane, math.max(most[line.column] or 0, lane)
  end
  return most
end

-- ---- drawing ----

local Page = {}
Page.__index = Page

function Page:add(format, ...) self.parts[#self.parts + 1] = format:format(...) end

function Page:text(x, y, text, class, anchor, more)
  self:add('<text x="%.1f" y="%.1f"%s%s%s>%s</text>', x, y, class and (' class="%s"'):format(class) or "",
    anchor and (' text-anchor="%s"'):format(anchor) or "", more or "", escape(text))
end

function Page:arrow(x, y, class) self:add('<path class="%s" d="M%.1f %.1fl-3.5 -6h7z"/>', class, x, y) end
function Page:arrow_left(x, y, class) self:add('<path class="%s" d="M%.1f %.1fl6 -3.5v7z"/>', class, x, y) end

local function summary(parameters, multiply_adds)
  local out = {}
  if parameters > 0 then out[1] = util.short(parameters):gsub(" $", "") end
  if multiply_adds > 0 then out[#out + 1] = (util.short(multiply_adds):gsub(" $", "")) .. " MAC" end
  return table.concat(out, ", ")
end

function Page:panel(panel, x, width)
  self:add('<rect class="p" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="6"/>', x, panel.y, width,
    panel.bottom - panel.y)
end

-- Above the lines, which it interrupts.
function Page:head(f, panel, x)
  local stage = f.stages[panel.stage]
  local numbers = panel.goes_on and "" or summary(stage.parameters, stage.multiply_adds)
  local room = BOX - #numbers * LETTER - 10
  local name = fitted(stage.name .. (panel.goes_on and ", going on" or ""), room / 1.1, true)
  self:text(x + PAD, panel.y + 15, name, "h", nil, ' font-weight="bold"')
  self:text(x + PAD + BOX, panel.y + 15, numbers, "s h", "end")
end

function Page:row(row, x)
  local title = table.concat(row.title, ", ")
  local numbers = summary(row.parameters, row.multiply_adds)
  self:add('<g><title>%s</title><rect class="%s b" x="%.1f" y="%.1f" width="%d" height="%d" rx="%d"/>',
    escape(title .. (numbers ~= "" and ": " .. numbers or "")), row.family, x, row.y, BOX, ROW,
    row.family == "port" and ROW // 2 or 3)
  local shape = fitted(row.shape, BOX * 0.5)
  self:text(x + BOX - 7, row.y + 14, shape, "s", "end")
  local room = BOX - 24 - core.text.width(shape) * LETTER
  local text = fitted(table.concat(row.texts, " · "), room)
  self:text(x + 7, row.y + 14, text)
  local left = room - (core.text.width(text) + 2) * LETTER
  if row.marks and left > 2 * LETTER then
    self:text(x + 7 + room - left, row.y + 14, fitted("← " .. ranges_text(row.marks), left), "m", nil,
      ' font-weight="bold"')
  end
  self:add "</g>"
end

-- The way from a row to the one below it, or to the head of the next column.
function Page:step(a, b)
  local x, y = a.x + STEP, a.y + ROW
  if a.column == b.column then
    self:add('<path class="e" d="M%.1f %.1fV%.1f"/>', x, y, b.y - 5)
  else
    local side = b.panel_x - GUTTER / 2
    self:add('<path class="e" d="M%.1f %.1fv6H%.1fV%.1fH%.1fV%.1f"/>', x, y, side, self.top + 2, b.x + STEP, b.y - 5)
  end
  self:arrow(b.x + STEP, b.y, "a")
end

function Page:line(line)
  local x, from = line.from.x + BOX, line.from
  local lane = x + PAD + (line.lane - 1) * LANE
  local last = from
  for _, row in ipairs(line.to) do
    if row.number > last.number then last = row end
    self:add('<path class="r" d="M%.1f %.1fH%.1f"/>', lane, row.y + ROW / 2 - 3, x + 6)
    self:arrow_left(x, row.y + ROW / 2 - 3, "ar")
  end
  self:add('<path class="r" d="M%.1f %.1fH%.1fV%.1f"/>', x, from.y + ROW / 2 + 3, lane, last.y + ROW / 2 - 3)
end

function Page:mark(x, y, number)
  self:add('<circle class="mark" cx="%.1f" cy="%.1f" r="7.5"/>', x, y)
  self:text(x, y + 3.5, number, "mt", "middle", ' font-size="9"')
end

function Page:legend(y, has_marks)
  local x = MARGIN
  for _, each in ipairs(LEGENDS) do
    self:add('<rect class="%s b" x="%.1f" y="%.1f" width="14" height="12" rx="2"/>', each[1], x, y)
    self:text(x + 19, y + 10, each[2], "s")
    x = x + 34 + #each[2] * LETTER
  end
  if has_marks then self:text(x, y + 10, "← 1: what the row with the mark 1 gives", "m") end
end

-- ---- the whole ----

local function set_places(columns, list, lanes)
  local x = MARGIN
  for i, column in ipairs(columns) do
    column.x, column.width = x, 2 * PAD + BOX + (lanes[i] or 0) * LANE + ((lanes[i] or 0) > 0 and 4 or 0)
    column.width = column.width + (column.marked and 20 or 0)
    x = x + column.width + GUTTER
  end
  for _, row in ipairs(list) do
    row.x, row.panel_x = columns[row.column].x + PAD, columns[row.column].x
    row.y = row.y + TITLE
  end
  for _, column in ipairs(columns) do
    for _, panel in ipairs(column.panels) do panel.y, panel.bottom = panel.y + TITLE, panel.bottom + TITLE end
  end
  return x - GUTTER + MARGIN
end

local function head_text(f)
  local out = {}
  for i, p in ipairs(f.inputs) do out[i] = ("%s %s"):format(util.shown(p.name), util.shape_text(p.at)) end
  return ("%s parameters, %s multiply-adds for %s%s"):format(util.thousands(f.parameters),
    (util.short(f.multiply_adds):gsub(" $", "")), table.concat(out, ", "), f.producer and "; " .. f.producer or "")
end

function picture.svg(f)
  local list = rows.of(f)
  local columns = arranged(list)
  local lines, has_marks = edges_of(list), false
  for _, row in ipairs(list) do
    if row.mark then columns[row.column].marked, has_marks = true, true end
  end
  local page = setmetatable({ parts = {}, top = TITLE }, Page)
  local width, bottom = set_places(columns, list, set_lanes(lines)), 0
  for _, column in ipairs(columns) do bottom = math.max(bottom, column.bottom + TITLE) end
  width = math.max(width, has_marks and 1160 or 900)
  local height = bottom + GAP + LEGEND
  page:add('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" ' ..
    'font-family="DejaVu Sans,Verdana,sans-serif" font-size="11">', width, height, width, height)
  page:add("%s", STYLE)
  page:text(MARGIN, 24, f.file or f.net:label(), nil, nil, ' font-size="15" font-weight="bold"')
  page:text(MARGIN, 42, head_text(f), "s")
  for _, column in ipairs(columns) do
    for _, panel in ipairs(column.panels) do page:panel(panel, column.x, column.width) end
  end
  for k, row in ipairs(list) do
    if row.follows then page:step(list[k - 1], row) end
  end
  for _, line in ipairs(lines) do page:line(line) end
  for _, row in ipairs(list) do page:row(row, row.x) end
  for _, column in ipairs(columns) do
    for _, panel in ipairs(column.panels) do page:head(f, panel, column.x) end
  end
  for _, row in ipairs(list) do
    if row.mark then page:mark(columns[row.column].x + columns[row.column].width - 10, row.y + ROW / 2, row.mark) end
  end
  page:legend(bottom + GAP + 12, has_marks)
  page:add "</svg>"
  return table.concat(page.parts, "\n")
end

return picture
