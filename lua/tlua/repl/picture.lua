-- picture.lua - show(x): a picture in the terminal. By the graphics of kitty or sixel where the terminal has them, else
-- two pixels a character in 24-bit colours or 256, and shades where colours are not wanted.
-- TLUA_GRAPHICS=kitty|sixel|blocks decides it by hand.
local core = require "tlua.core"
local util = require "tlua.util"
local picture = {}

-- ---- which way ----

-- "kitty", "sixel" or "blocks". The terminal is asked once, and not waited for when it says nothing.
local way
function picture.way()
  local own = os.getenv "TLUA_GRAPHICS"
  if own == "kitty" or own == "sixel" or own == "blocks" then return own end
  if way then return way end
  local term, program = os.getenv "TERM" or "", os.getenv "TERM_PROGRAM" or ""
  way = "blocks"
  -- what stands behind it does not see our pixels
  if os.getenv "TMUX" or term:find "^screen" or term:find "^tmux" then return way end
  if os.getenv "KITTY_WINDOW_ID" or term == "xterm-kitty" or term == "xterm-ghostty" or program == "WezTerm" then
    way = "kitty"
  elseif term:find "sixel" or term:find "^mlterm" or term:find "^foot" then way = "sixel"
  elseif term:find "^xterm" and core.isatty(0) then
    local answer = core.ask_terminal("\27[c", "c", 200) -- primary attributes: 4 is sixel
    local list = answer and answer:match "\27%[%?([%d;]+)c"
    if list and (";" .. list .. ";"):find(";4;", 1, true) then way = "sixel" end
  end
  return way
end

-- ---- half blocks ----

local function cube(r, g, b) -- the nearest of xterm's 256 colours: a cube of six steps a side, or one of 24 greys
  if r == g and g == b then return r < 8 and 16 or r > 247 and 231 or 232 + (r - 8) * 24 // 240 end
  local function level(v) return v < 48 and 0 or v < 115 and 1 or (v - 35) // 40 end
  return 16 + 36 * level(r) + 6 * level(g) + level(b)
end

local function colour_code(full, ground, r, g, b)
  if full then return ("%d;2;%d;%d;%d"):format(ground, r, g, b) end
  return ("%d;5;%d"):format(ground, cube(r, g, b))
end

-- Rows of w characters from w * h pixels, two on top of each other in one. `full`: 24-bit colours.
function picture.blocks(pixels, w, h, full)
  local lines = {}
  for y = 0, h - 1, 2 do
    local cells, before = {}, nil
    for x = 0, w - 1 do
      local r, g, b = pixels:byte((y * w + x) * 3 + 1, (y * w + x) * 3 + 3)
      local code = colour_code(full, 38, r, g, b)
      if y + 1 < h then
        r, g, b = pixels:byte(((y + 1) * w + x) * 3 + 1, ((y + 1) * w + x) * 3 + 3)
        code = code .. ";" .. colour_code(full, 48, r, g, b)
      end
      cells[#cells + 1] = code == before and "▀" or ("\27[%sm▀"):format(code)
      before = code
    end
    lines[#lines + 1] = table.concat(cells) .. "\27[0m"
  end
  return table.concat(lines, "\n")
end

local SHADES = { " ", "░", "▒", "▓", "█" }
function picture.shades(pixels, w, h)
  local lines = {}
  for y = 0, h - 2, 2 do
    local cells = {}
    for x = 0, w - 1 do
      local sum = 0
      for _, row in ipairs { y, y + 1 } do
        local r, g, b = pixels:byte((row * w + x) * 3 + 1, (row * w + x) * 3 + 3)
        sum = sum + 0.299 * r + 0.587 * g + 0.114 * b
      end
      cells[#cells + 1] = SHADES[1 + math.min(4, math.floor(sum / 510 * 5))]
    end
    lines[#lines + 1] = table.concat(cells)
  end
  return table.concat(lines, "\n")
end

-- ---- graphics ----

-- kitty's protocol: rgb bytes in base64, in pieces of at most 4096 characters.
function picture.kitty(pixels, w, h)
  local text, out = util.base64(pixels), {}
  for i = 1, #text, 4096 do
    local more = i + 4096 <= #text and 1 or 0
    local head = i == 1 and ("a=T,f=24,s=%d,v=%d,"):format(w, h) or ""
    out[#out + 1] = ("\27_G%sm=%d;%s\27\\"):format(head, more, text:sub(i, i + 4095))
  end
  return table.concat(out)
end

-- Sixel: bands of six rows, each colour of the band in one pass; 216 colours with a pattern that hides their steps.
local BAYER = { { 0, 8, 2, 10 }, { 12, 4, 14, 6 }, { 3, 11, 1, 9 }, { 15, 7, 13, 5 } }
local function sixel_colour(pixels, w, x, y)
  local r, g, b = pixels:byte((y * w + x) * 3 + 1, (y * w + x) * 3 + 3)
  local shift = (BAYER[y % 4 + 1][x % 4 + 1] + 0.5) / 16
  local function level(v) return math.min(5, math.floor(v / 51 + shift)) end
  return 36 * level(r) + 6 * level(g) + level(b)
end

local function sixel_band(pixels, w, h, y, out)
  local passes, order = {}, {}
  for row = 0, math.min(5, h - 1 - y) do
    for x = 0, w - 1 do
      local c = sixel_colour(pixels, w, x, y + row)
      local pass = passes[c]
      if not pass then
        pass = {}
        passes[c], order[#order + 1] = pass, c
      end
      pass[x] = (pass[x] or 0) | 1 << row
    end
  end
  for _, c in ipairs(order) do
    out[#out + 1] = "#" .. c
    local x = 0
    while x < w do -- equal ones in a row as a count
      local bits, from = passes[c][x] or 0, x
      while x < w and (passes[c][x] or 0) == bits do x = x + 1 end
      out[#out + 1] = x - from > 3 and ("!%d%c"):format(x - from, 63 + bits) or string.char(63 + bits):rep(x - from)
    end
    out[#out + 1] = "$"
  end
  out[#out] = "-"
end

function picture.sixel(pixels, w, h)
  local out = { ('\27Pq"1;1;%d;%d'):format(w, h) }
  for c = 0, 215 do out[#out + 1] = ("#%d;2;%d;%d;%d"):format(c, c // 36 * 20, c // 6 % 6 * 20, c % 6 * 20) end
  for y = 0, h - 1, 6 do sixel_band(pixels, w, h, y, out) end
  out[#out + 1] = "\27\\"
  return table.concat(out)
end

-- ---- show ----

-- Side lengths for a picture of H x W in w columns and h rows of pixels at most.
local function fitting(H, W, w, h, enlarge)
  local f = math.min(w / W, h / H, enlarge and math.huge or 1)
  if f > 1 then f = math.min(math.floor(f), 4) end
  return math.max(1, math.floor(W * f + 0.5)), math.max(1, math.floor(H * f + 0.5))
end

local function one_picture(x)
  local shape = x:shape()
  if #shape == 4 then
    if shape[1] == 0 then util.fail "show: there is no picture in this batch" end
    return x[1], ("the first of %d"):format(shape[1])
  end
  if #shape == 3 and shape[3] > 4 and shape[1] <= 4 then
    util.failf("show: a picture is (height, width, channels) here, not %s; x:permute { 2, 3, 1 } turns it",
      util.shape_text(shape))
  end
  return x
end

local function draw(x, shape)
  local columns, rows = core.terminal_width()
  local how = picture.way()
  if how ~= "blocks" then
    local w, h = fitting(shape[1], shape[2], math.min(800, columns * 8), 480, true)
    return picture[how](core.picture(x, w, h), w, h)
  end
  local w, h = fitting(shape[1], shape[2], math.min(columns - 1, 120), math.max(8, (rows - 4) * 2), true)
  local pixels = core.picture(x, w, h)
  if (os.getenv "NO_COLOR" or "") ~= "" or os.getenv "TERM" == "dumb" then return picture.shades(pixels, w, h) end
  local depth = os.getenv "COLORTERM"
  return picture.blocks(pixels, w, h, depth == "truecolor" or depth == "24bit")
end

-- show(x): x is a picture (H, W[, C]), a batch of them (its first is shown) or the name of a picture file. Bytes, and
-- numbers from 0 to 1, are shown as they are; others from their lowest to their highest.
function picture.show(x)
  local name = type(x) == "string" and x
  if name then x = core.image_read(name) end
  if not core.is_tensor(x) then
    util.failf("show: a picture is needed, a tensor (height, width, channels) or the name of a file, not %s", type(x))
  end
  local note
  x, note = one_picture(x)
  local shape = x:shape()
  local _, low, high = core.picture(x, 1, 1)
  local text = ("%s%s %s, %s"):format(name and name .. "  " or "", util.shape_text(shape), x:dtype(),
    low <= high and ("from %.4g to %.4g"):format(low, high) or "nothing finite")
  if note then text = ("%s; %s"):format(text, note) end
  if core.isatty(1) then print(draw(x, shape)) end
  print(core.isatty(1) and text or "picture " .. text .. " (not drawn: this is no terminal)")
end

return picture
