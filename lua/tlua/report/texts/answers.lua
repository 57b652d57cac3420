-- answers.lua - how good answers to questions are: exact match and F1 as the official scripts of SQuAD 1.1, SQuAD 2.0
-- and KorQuAD 1.0 count them, after their own ways to make texts alike (tests/golden/make_answers.py).
local core = require "tlua.core"
local util = require "tlua.util"
local answers = {}

-- What Python's str.split takes for white space beyond ASCII.
local SPACES = { [0x85] = true, [0xA0] = true, [0x1680] = true, [0x2028] = true, [0x2029] = true, [0x202F] = true,
  [0x205F] = true, [0x3000] = true }
for c = 0x2000, 0x200A do SPACES[c] = true end

-- Spaces of all kinds as " ".
local function plain_spaces(text)
  text = text:gsub("[\t-\r\x1C-\x1F]", " ")
  if not text:find "[\xC2\xE1-\xE3]" then return text end
  return (text:gsub("[\xC2-\xE3][\x80-\xBF]+", function(c)
    return utf8.len(c) == 1 and SPACES[utf8.codepoint(c)] and " " or nil
  end))
end

local function words(text)
  local list = {}
  for word in plain_spaces(text):gmatch "[^ ]+" do list[#list + 1] = word end
  return list
end

-- Small letters as Python makes them: of a capital I with a dot two characters come.
local function small(text) return core.lower((text:gsub("\u{130}", "i\u{307}"))) end

-- ---- SQuAD: small letters, no punctuation, no articles ----

local ARTICLES = { a = true, an = true, the = true }

-- A text without its articles. A word is what Python's \b takes for one: letters and digits of any script.
local function without_articles(text)
  if not text:find "[\x80-\xFF]" then
    return (text:gsub("%w+", function(word) return ARTICLES[word] and " " or nil end))
  end
  local out, word = {}, ""
  local characters, categories = core.characters(text)
  local function close()
    out[#out + 1] = ARTICLES[word] and " " or word
    word = ""
  end
  for i, c in ipairs(characters) do
    if categories[i]:find "^[LN]" then word = word .. c
    else
      close()
      out[#out + 1] = c
    end
  end
  close()
  return table.concat(out)
end

local function squad_words(text) return words(without_articles((small(text):gsub("%p", "")))) end

-- ---- KorQuAD: quotation marks and brackets part words, the rest of ASCII's punctuation goes ----

local MARKS = { "'", '"', "《", "》", "<", ">", "〈", "〉", "%(", "%)", "‘", "’" }

local function korquad_words(text)
  for _, mark in ipairs(MARKS) do text = text:gsub(mark, " ") end
  return words((small(text):gsub("%p", "")))
end

local function korquad_pieces(list)
  local out = {}
  for _, word in ipairs(list) do
    for c in word:gmatch(utf8.charpattern) do out[#out + 1] = c end
  end
  return out
end

-- ---- scores ----

-- words: a text in the form that is compared, word by word; pieces: of what F1 counts; none: is "no answer" an answer?
local SCRIPTS = {
  squad = { words = squad_words, pieces = function(list) return list end },
  squad2 = { words = squad_words, pieces = function(list) return list end, none = true },
  korquad = { words = korquad_words, pieces = korquad_pieces },
}
answers.scripts = { "squad", "squad2", "korquad" }

local function f1_of(a, b, none)
  if none and (#a == 0 or #b == 0) then return #a == #b and 1.0 or 0.0 end
  local counts, same = {}, 0
  for _, piece in ipairs(b) do counts[piece] = (counts[piece] or 0) + 1 end
  for _, piece in ipairs(a) do
    if (counts[piece] or 0) > 0 then counts[piece], same = counts[piece] - 1, same + 1 end
  end
  if same == 0 then return 0.0 end
  local precision, recall = same / #a, same / #b
  return 2 * precision * recall / (precision + recall)
end

local function script_of(name)
  return SCRIPTS[name] or util.failf("answers: %s", util.unknown_text("script", tostring(name), answers.scripts))
end

-- The text as the script compares it.
function answers.normal(text, script) return table.concat(script_of(script).words(text), " ") end

-- Exact match (0 or 1) and F1 of an answer against the texts that are right, each the best over these. script: "squad"
-- (1.1), "squad2", where a question without an answer has the answer "", "korquad".
function answers.score(given, right, script)
  local s = script_of(script)
  local own = s.words(given)
  local own_text, own_pieces, exact, f1, any = table.concat(own, " "), s.pieces(own), 0, 0.0, false
  local function against(list)
    if table.concat(list, " ") == own_text then exact = 1 end
    f1 = math.max(f1, f1_of(own_pieces, s.pieces(list), s.none))
  end
  for _, text in ipairs(right) do
    local list = s.words(text)
    if #list > 0 or not s.none then
      against(list)
      any = true
    end
  end
  if not any and s.none then against {} end
  return exact, f1
end

-- The threshold of "no answer" with the best mean score: a question whose `none` is above it gets no answer. rows:
-- {none = how much likelier no answer is than the best one, score = of that answer, answerable = is there one?}.
-- Returns the threshold, the mean score that it gives, 0 to 1, and the threshold in the middle between that and the
-- next row, which gives the same here and has room on both sides. As SQuAD 2.0's script, but that rows of the same
-- `none` go together.
function answers.threshold(rows)
  local order, sum = {}, 0
  for i, row in ipairs(rows) do
    order[i] = i
    if not row.answerable then sum = sum + 1 end
  end
  table.sort(order, function(a, b)
    if rows[a].none ~= rows[b].none then return rows[a].none < rows[b].none end
    return a < b
  end)
  local best, at = sum, #rows > 0 and rows[order[1]].none - 1 or 0.0
  local middle = at
  for k, i in ipairs(order) do
    local row = rows[i]
    sum = sum + (row.answerable and row.score or -1)
    local following = rows[order[k + 1]]
    if sum > best and not (following and following.none == row.none) then
      best, at, middle = sum, row.none, following and (row.none + following.none) / 2 or row.none
    end
  end
  return at, #rows > 0 and best / #rows or 0 / 0, middle
end

util.seal(answers, "answers.")
return answers
