-- forms.lua - how answers about texts are written: a line each, JSON or a table. A form has {begin(), row(each, answer,
-- reason), finish()}; `each` is what was asked (asked.lua), an answer is the task's.
local core = require "tlua.core"
local util = require "tlua.util"
local forms = {}

local WIDTH = 48 -- columns of a terminal that a text gets

-- ---- how wide texts are ----

-- From, to, columns: letters of two columns and of none (after Unicode's East_Asian_Width and its marks).
local WIDE = { { 0x0300, 0x036F, 0 }, { 0x1100, 0x115F, 2 }, { 0x1160, 0x11FF, 0 }, { 0x200B, 0x200F, 0 },
  { 0x202A, 0x202E, 0 }, { 0x2060, 0x2069, 0 }, { 0x2E80, 0x303E, 2 }, { 0x3041, 0xA4CF, 2 }, { 0xAC00, 0xD7A3, 2 },
  { 0xF900, 0xFAFF, 2 }, { 0xFE00, 0xFE0F, 0 }, { 0xFE30, 0xFE6F, 2 }, { 0xFEFF, 0xFEFF, 0 }, { 0xFF00, 0xFF60, 2 },
  { 0xFFE0, 0xFFE6, 2 }, { 0x1F300, 0x1FAFF, 2 }, { 0x20000, 0x3FFFD, 2 } }

local function columns_of(code)
  for _, each in ipairs(WIDE) do
    if code < each[1] then return 1 end
    if code <= each[2] then return each[3] end
  end
  return 1
end

-- A text in one line of at most `most` columns of a terminal, and how many it has; without what would move the cursor
-- or turn the line around.
function forms.line(text, most)
  text = util.readable(text):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""):gsub("%c", "\u{FFFD}")
    :gsub("\u{202A}", ""):gsub("\u{202B}", ""):gsub("\u{202D}", ""):gsub("\u{202E}", "")
  local width = 0
  for at, code in utf8.codes(text) do
    local w = columns_of(code)
    if width + w > most - 1 and at + #utf8.char(code) <= #text then return text:sub(1, at - 1) .. "…", width + 1 end
    width = width + w
  end
  return text, width
end

-- ---- the forms ----

function forms.table(t, o)
  return { row = function(each, answer, reason)
    local text, width = forms.line(each.pair and each.text .. " | " .. each.pair or each.text, WIDTH)
    util.put(text, (" "):rep(WIDTH - width), "  ", answer and t:text(answer, o) or reason == o.NO_NUMBERS and "-"
      or "not read", "\n")
  end }
end

-- One array; {text, pair, file, line, predictions} a text, or with error instead.
function forms.json(t, o)
  local first = true
  return {
    begin = function() util.put "[" end,
    row = function(each, answer, reason)
      local out = { text = util.readable(each.text), pair = each.pair and util.readable(each.pair), file = each.file,
        line = each.line, predictions = answer and t:answer(answer, o), error = reason }
      util.put(first and "\n" or ",\n", core.json_encode(out))
      first = false
    end,
    finish = function() util.put "\n]\n" end,
  }
end

-- text, of pairs the second one, what the task says (label, score, ...), error.
function forms.csv(t, o)
  local names = t:columns(o)
  local function line(each, list, last)
    local out = { util.csv(each.text) }
    if o.paired then out[2] = util.csv(each.pair or "") end
    for i = 1, #names do out[#out + 1] = util.csv(list[i] or "") end
    out[#out + 1] = util.csv(last)
    util.put(table.concat(out, ","), "\n")
  end
  return {
    begin = function() line({ text = "text", pair = "pair" }, names, "error") end,
    row = function(each, answer, reason) line(each, answer and t:fields(answer, o) or {}, reason or "") end,
  }
end

util.seal(forms, "command.texts.forms.")
return forms
