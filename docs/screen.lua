-- screen.lua - what stands on a terminal (tmux capture-pane -e) as an SVG picture: tlua docs/screen.lua CAPTURE OUT.svg COLUMNS
local input, output, columns = arg[1], arg[2], tonumber(arg[3])
local WIDTH, HEIGHT, MARGIN = 8.43, 18, 14 -- of a character, in pixels
local INK, PAPER = "#d8dee9", "#1d2129"
local COLOURS = { [30] = "#3b4252", [31] = "#e06c75", [32] = "#98c379", [33] = "#e5c07b", [34] = "#61afef", [35] = "#c678dd", [36] = "#56b6c2", [37] = "#d8dee9" }

-- xterm's 256 colours
local function indexed(n)
  if n < 16 then return COLOURS[30 + n % 8] end
  if n >= 232 then return ("#%02x%02x%02x"):format(8 + 10 * (n - 232), 8 + 10 * (n - 232), 8 + 10 * (n - 232)) end
  local function level(k) return k == 0 and 0 or 55 + 40 * k end
  return ("#%02x%02x%02x"):format(level((n - 16) // 36), level((n - 16) // 6 % 6), level((n - 16) % 6))
end

-- Applies the numbers of ESC[...m to a style {ink, paper, bold, dim}.
local function apply(style, codes)
  local list = {}
  for n in (codes == "" and "0" or codes):gmatch "%d+" do list[#list + 1] = tonumber(n) end
  local i = 1
  while i <= #list do
    local n = list[i]
    if n == 0 then style.ink, style.paper, style.bold, style.dim = nil, nil, nil, nil
    elseif n == 1 then style.bold = true
    elseif n == 2 then style.dim = true
    elseif n == 22 then style.bold, style.dim = nil, nil
    elseif n >= 30 and n <= 37 then style.ink = COLOURS[n]
    elseif n >= 40 and n <= 47 then style.paper = COLOURS[n - 10]
    elseif n == 39 then style.ink = nil
    elseif n == 49 then style.paper = nil
    elseif n == 38 or n == 48 then
      local colour
      if list[i + 1] == 2 then
        colour = ("#%02x%02x%02x"):format(list[i + 2], list[i + 3], list[i + 4])
        i = i + 4
      else
        colour = indexed(list[i + 2])
        i = i + 2
      end
      style[n == 38 and "ink" or "paper"] = colour
    end
    i = i + 1
  end
end

-- A line as runs of characters of one style: {text, column, columns, style...}
local function runs(line, style)
  local list, column, at = {}, 0, 1
  while at <= #line do
    local codes, after = line:match("^\27%[([%d;]*)m()", at)
    if codes then
      apply(style, codes)
      at = after
    else
      local stop = (line:find("\27", at, true) or #line + 1) - 1
      local text = line:sub(at, stop)
      list[#list + 1] = { text = text, column = column, columns = utf8.len(text), ink = style.ink, paper = style.paper, bold = style.bold, dim = style.dim }
      column = column + utf8.len(text)
      at = stop + 1
    end
  end
  return list
end

local function escape(text) return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" })) end

local lines = {}
for line in io.lines(input) do lines[#lines + 1] = line end
while #lines > 0 and not lines[#lines]:find "%S" do lines[#lines] = nil end

local out, style = {}, {}
local function say(...) out[#out + 1] = string.format(...) end
local w, h = columns * WIDTH + 2 * MARGIN, #lines * HEIGHT + 2 * MARGIN
say('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="14">', w, h)
say('<rect width="100%%" height="100%%" rx="8" fill="%s"/>', PAPER)
for row, line in ipairs(lines) do
  local y = MARGIN + (row - 1) * HEIGHT
  for _, r in ipairs(runs(line, style)) do
    local x, wide = MARGIN + r.column * WIDTH, r.columns * WIDTH
    if r.text:find "^[▀%s]" and r.text:find "▀" then -- half blocks as rectangles: no font has them without gaps
      say('<rect x="%.2f" y="%.1f" width="%.2f" height="%.1f" fill="%s" shape-rendering="crispEdges"/>', x, y, wide + 0.3, HEIGHT / 2, r.ink or INK)
      if r.paper then say('<rect x="%.2f" y="%.1f" width="%.2f" height="%.1f" fill="%s" shape-rendering="crispEdges"/>', x, y + HEIGHT / 2, wide + 0.3, HEIGHT / 2, r.paper) end
    elseif r.text:find "%S" then
      say('<text x="%.2f" y="%.1f" textLength="%.2f" xml:space="preserve" fill="%s"%s%s>%s</text>', x, y + 13.5, wide, r.ink or INK, r.bold and ' font-weight="bold"' or "",
        r.dim and ' opacity="0.6"' or "", escape(r.text))
    end
  end
end
say "</svg>"
local file = assert(io.open(output, "w"))
file:write(table.concat(out, "\n"), "\n")
file:close()
print(("%s: %d lines"):format(output, #lines))
