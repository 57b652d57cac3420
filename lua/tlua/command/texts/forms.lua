-- forms.lua - how answers about texts are written: a line each, JSON or a table. A form has {begin(), row(each, answer,
-- reason), finish()}; `each` is what was asked (asked.lua), an answer is the task's.
local core = require "tlua.core"
local util = require "tlua.util"
local forms = {}

local WIDTH = 48 -- columns of a terminal that a text gets

-- A text in one line of at most `most` columns of a terminal, and how many it has; without what would move the cursor
-- or turn the line around.
function forms.line(text, most)
  text = util.readable(text):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""):gsub("%c", "\u{FFFD}")
    :gsub("\u{202A}", ""):gsub("\u{202B}", ""):gsub("\u{202D}", ""):gsub("\u{202E}", "")
    :gsub("\u{2066}", ""):gsub("\u{2067}", ""):gsub("\u{2068}", "")
  return core.text.cut(text, most)
end

-- ---- the forms ----

function forms.table(t, o)
  return { row = function(each, answer, reason)
    local text = forms.line(each.pair and each.text .. " | " .. each.pair or each.text, WIDTH)
    util.put(core.text.pad(text, WIDTH), "  ", answer and t:text(answer, o) or reason == o.NO_NUMBERS and "-"
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
