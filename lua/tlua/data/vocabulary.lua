-- vocabulary.lua - which symbols a network writes: made from the texts of the data, or given with imported weights.
-- A text becomes a list of ids from 0 and comes back from one. Characters are Unicode's code points in the composed
-- form; what is a letter, a mark, a digit or punctuation Unicode says (core.characters).
local core = require "tlua.core"
local util = require "tlua.util"
local vocabulary = {}

local Vocabulary = {}
Vocabulary.__index = Vocabulary

local OPTIONS = { casing = "lower", keep = util.none, punctuation = "drop", digits = "refuse", unknown = "drop",
  blank = 0, where = util.none }
local WORDS = { casing = { "lower", "keep" }, punctuation = { "drop", "keep" }, digits = { "refuse", "keep", "drop" },
  unknown = { "drop", "map" } }
local UNKNOWN = "\u{FFFD}"

-- What people write for the apostrophe, which is a letter in Ukrainian and a sign of contraction in English.
local APOSTROPHES = {}
for c in ("'’ʼ‘ʹ′＇`´"):gmatch(utf8.charpattern) do APOSTROPHES[c] = true end

local function check_options(what, given)
  local o = util.options(what, given, OPTIONS)
  for name, words in pairs(WORDS) do
    local known = false
    for _, word in ipairs(words) do known = known or o[name] == word end
    if not known then
      util.failf('%s: %s is "%s" or "%s", not %s', what, name, table.concat(words, '", "', 1, #words - 1),
        words[#words],
        tostring(o[name]))
    end
  end
  return o
end

-- The characters of `keep` as a set: a string of them, or a list. nil: all.
local function set_of(keep)
  if keep == nil then return nil end
  local set = { [" "] = true }
  for _, text in ipairs(type(keep) == "table" and keep or { keep }) do
    for _, c in ipairs((core.characters(core.composed(text)))) do set[c] = true end
  end
  return set
end

-- ---- a text as a vocabulary sees it ----

local LETTER, MARK, DIGIT, SIGN, SPACE, NOTHING = 1, 2, 3, 4, 5, 6

local function kind_of(character, category)
  local first = category:sub(1, 1)
  if first == "L" then return LETTER end
  if first == "M" then return MARK end
  if first == "N" then return DIGIT end
  if first == "P" or first == "S" then return SIGN end
  if first == "Z" or character:find "^[\t\n\v\f\r]$" then return SPACE end
  return NOTHING -- controls, joiners, soft hyphens, what has no meaning yet
end

-- The characters of a text after casing, composition and apostrophes, and what kind each is. An apostrophe amid letters
-- is one; at the edge of a word it is a quotation mark.
local function looked_at(text, options)
  text = core.composed(text)
  if options.casing == "lower" then text = core.composed(core.lower(text)) end
  local characters, categories = core.characters(text)
  local kinds = {}
  for i, c in ipairs(characters) do kinds[i] = kind_of(c, categories[i]) end
  for i, c in ipairs(characters) do
    if APOSTROPHES[c] then
      characters[i] = "'"
      local before, after = kinds[i - 1], kinds[i + 1]
      kinds[i] = (before == LETTER or before == MARK) and after == LETTER and LETTER or SIGN
    end
  end
  return characters, kinds
end

-- The characters that count, words apart by one " " each, and the digits among them. Punctuation that is dropped parts
-- words.
local function said(text, options)
  local characters, kinds = looked_at(text, options)
  local list, space, digits = {}, false, nil
  for i, c in ipairs(characters) do
    local kind = kinds[i]
    if kind == DIGIT then digits = (digits or "") .. c end
    local dropped = kind == SIGN and options.punctuation == "drop" or kind == DIGIT and options.digits == "drop"
    if kind == SPACE or dropped then space = #list > 0
    elseif kind ~= NOTHING then
      if space then list[#list + 1] = " " end
      list[#list + 1], space = c, false
    end
  end
  return list, digits
end

-- ---- making one ----

local function is_hidden(symbol) return symbol:find "^<[^<>]+>$" ~= nil end

-- Fields that follow from the list of symbols. A symbol in angle brackets stands for no text.
local function finish(self)
  self.ids, self.longest = {}, 1
  for i, symbol in ipairs(self.symbols) do
    local id = i - 1
    if id ~= self.blank and id ~= self.unknown and not is_hidden(symbol) then
      if self.ids[symbol] then util.failf('a vocabulary has the symbol "%s" twice', symbol) end
      self.ids[symbol] = id
      self.longest = math.max(self.longest, utf8.len(symbol) or 1)
    end
  end
  if self.boundary then self.ids[" "] = self.boundary end
  return setmetatable(self, Vocabulary)
end

-- The vocabulary of a list of texts: the blank, then the characters in the order of Unicode. Options: casing = "lower"
-- or "keep"; keep = "abc" (only these, and the space); punctuation = "drop" or "keep"; digits = "refuse", "keep" or
-- "drop"; unknown = "drop", or "map" for a symbol of its own for what no text had; blank = the place of the blank;
-- where = function(i), whose text it is, for messages.
function vocabulary.from_texts(texts, options)
  local o = check_options("vocabulary.from_texts", options)
  local keep, seen, list = set_of(o.keep), {}, {}
  for i, text in ipairs(texts) do
    local characters, digits = said(text, o)
    if digits and o.digits == "refuse" then
      util.failf('%s has digits, "%s": have numbers written as they are spoken, or say digits = "keep" or "drop"',
        o.where and ("the text of %s"):format(o.where(i)) or ("text %d"):format(i), util.shown(text, 60))
    end
    for _, c in ipairs(characters) do
      if not seen[c] and (not keep or keep[c]) then seen[c], list[#list + 1] = true, c end
    end
  end
  if #list == 0 then util.failf "no text has any character that counts: there is nothing to be learnt" end
  table.sort(list, function(a, b) return utf8.codepoint(a) < utf8.codepoint(b) end)
  if o.unknown == "map" then list[#list + 1] = UNKNOWN end
  if math.type(o.blank) ~= "integer" or o.blank < 0 or o.blank > #list then
    util.failf("vocabulary.from_texts: the blank is one of %d symbols, counted from 0, not %s", #list + 1,
      tostring(o.blank))
  end
  table.insert(list, o.blank + 1, "<blank>")
  local unknown
  for i, symbol in ipairs(list) do unknown = symbol == UNKNOWN and o.unknown == "map" and i - 1 or unknown end
  return finish { symbols = list, blank = o.blank, unknown = unknown,
    options = { casing = o.casing, punctuation = o.punctuation, digits = o.digits == "refuse" and "keep" or o.digits } }
end

-- A vocabulary whose symbols are given, in the order of a network's classes: those of imported weights, of one or more
-- characters each. blank: the place of the blank from 0; boundary: of what stands between words, where that is not " ";
-- unknown: of what stands for anything else; casing, punctuation and digits as in from_texts, here kept as they are.
function vocabulary.from_list(symbols, options)
  local o = util.options("vocabulary.from_list", options, { blank = 0, boundary = util.none, unknown = util.none,
    casing = "keep", punctuation = "keep", digits = "keep" })
  local self = { symbols = {}, options = { casing = o.casing, punctuation = o.punctuation, digits = o.digits } }
  check_options("vocabulary.from_list", self.options)
  for i, symbol in ipairs(symbols) do
    if type(symbol) ~= "string" then
      util.failf("vocabulary.from_list: symbol %d is a %s, not a string", i, type(symbol))
    end
    self.symbols[i] = symbol
  end
  for _, name in ipairs { "blank", "boundary", "unknown" } do
    local v = o[name]
    if v ~= nil and (math.type(v) ~= "integer" or v < 0 or v >= #symbols) then
      util.failf("vocabulary.from_list: %s is one of %d symbols, counted from 0, not %s", name, #symbols, tostring(v))
    end
    self[name] = v
  end
  return finish(self)
end

-- What model files keep, and back.
function Vocabulary:to_table()
  local t = { symbols = {}, blank = self.blank, boundary = self.boundary, unknown = self.unknown }
  for i, symbol in ipairs(self.symbols) do t.symbols[i] = symbol end
  for name, v in pairs(self.options) do t[name] = v end
  return t
end

function vocabulary.from_table(t)
  if type(t) ~= "table" or type(t.symbols) ~= "table" then util.failf "this is no vocabulary: it has no symbols" end
  local o = {}
  for name, v in pairs(t) do
    if name ~= "symbols" then o[name] = v end
  end
  return vocabulary.from_list(t.symbols, o)
end

-- ---- using one ----

-- How many symbols there are, the blank among them: the width of a network's output.
function Vocabulary:size() return #self.symbols end

-- The text as it is compared and learnt: casing, apostrophes, punctuation and spaces as the vocabulary has them.
function Vocabulary:normal(text) return table.concat((said(text, self.options))) end

-- The ids of a text, and what it has that is no symbol: { ["ё"] = 2 }, or nil. Of symbols of several characters the
-- longest that fits is taken.
function Vocabulary:encode(text)
  local characters, list, dropped = said(text, self.options), {}, nil
  local i = 1
  while i <= #characters do
    local id, n
    for length = math.min(self.longest, #characters - i + 1), 1, -1 do
      id, n = self.ids[table.concat(characters, "", i, i + length - 1)], length
      if id then break end
    end
    if not id then
      dropped = dropped or {}
      dropped[characters[i]] = (dropped[characters[i]] or 0) + 1
      id = self.unknown
    end
    -- what is left out leaves no two spaces, and none at the ends
    local space = self.ids[" "]
    if id and (id ~= space or (#list > 0 and list[#list] ~= space)) then list[#list + 1] = id end
    i = i + n
  end
  if #list > 0 and list[#list] == self.ids[" "] then list[#list] = nil end
  return list, dropped
end

-- The text of a list of ids: no blanks, words apart by one space.
function Vocabulary:decode(ids)
  local parts = {}
  for i, id in ipairs(ids) do
    local symbol = self.symbols[id + 1]
    if not symbol then util.failf("id %s is none of the %d symbols of the vocabulary", tostring(id), #self.symbols) end
    if id == self.boundary then symbol = " "
    elseif id == self.blank or (id ~= self.unknown and is_hidden(symbol)) then symbol = ""
    elseif id == self.unknown then symbol = UNKNOWN end
    parts[i] = symbol
  end
  return (table.concat(parts):gsub(" +", " "):gsub("^ ", ""):gsub(" $", ""))
end

-- What several texts have that is no symbol, as one line: "ё 3 times, q once"; nil where there is nothing.
function Vocabulary:dropped_text(texts)
  local counts, list = {}, {}
  for _, text in ipairs(texts) do
    local _, dropped = self:encode(text)
    for c, n in pairs(dropped or {}) do counts[c] = (counts[c] or 0) + n end
  end
  for c in pairs(counts) do list[#list + 1] = c end
  table.sort(list, function(a, b) return counts[a] > counts[b] or (counts[a] == counts[b] and a < b) end)
  for i, c in ipairs(list) do list[i] = ("%s %s"):format(c, counts[c] == 1 and "once" or counts[c] .. " times") end
  return #list > 0 and util.first_few(list, 8) or nil
end

-- Which texts cannot be learnt from so many frames each: { { index =, wanted =, frames =, reason = } ... }. A path has
-- a frame for each symbol and a blank between two that are the same; a text without symbols says nothing.
function vocabulary.check_targets(v, texts, frame_counts)
  local bad = {}
  for i, text in ipairs(texts) do
    local ids = v:encode(text)
    local wanted = #ids
    for k = 2, #ids do wanted = wanted + (ids[k] == ids[k - 1] and 1 or 0) end
    local reason
    if #ids == 0 then reason = "its text has no symbol of the vocabulary"
    elseif wanted > frame_counts[i] then
      reason = ("its text wants %d frames and the clip has %d"):format(wanted, frame_counts[i])
    end
    if reason then bad[#bad + 1] = { index = i, wanted = wanted, frames = frame_counts[i], reason = reason } end
  end
  return bad
end

function vocabulary.is(v) return getmetatable(v) == Vocabulary end

return vocabulary
