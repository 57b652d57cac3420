-- words.lua - texts for people: pieces put together to words, each in the shade of its score, long texts shortened
-- around what matters. What is shown is a list of stretches {text =, score = -1 to 1 or nil, name = what it is marked
-- as or nil, colour = number of that name, skip = how many letters are left out here}, which is data (report.json);
-- html and ansi make it visible.
local util = require "tlua.util"
local chart = require "tlua.report.chart"
local words = {}
local escape = chart.escape

local WORD = 24  -- letters of a word, beyond which its pieces stand alone (languages without spaces)
local MOST = 360 -- letters of a text that are shown
local AROUND = 48 -- letters to either side of a word that matters

-- ---- from pieces to words ----

-- Pieces of one text of a window (sequence 0 or 1) as words {from =, to =, score =}, in bytes of the text, which grow.
function words.of(window, scores, sequence, text)
  local list, now, key = {}, nil, nil
  for i, id in ipairs(window.sequence) do
    if id == sequence and window.to[i] > window.from[i] then
      local word = window.word[i]
      local size = now and utf8.len(text, now.from + 1, window.from[i], true) or 0
      if now and (word == key and (size or 0) < WORD or window.from[i] < now.to) then
        now.to, now.score = math.max(now.to, window.to[i]), now.score + (scores and scores[i] or 0)
      else
        now = { from = window.from[i], to = window.to[i], score = scores and scores[i] or 0 }
        list[#list + 1], key = now, word
      end
    end
  end
  for _, each in ipairs(list) do
    local space = text:sub(each.from + 1, each.to):match "^%s*"
    if #space < each.to - each.from then each.from = each.from + #space end
  end
  return list
end

-- Scores from -1 to 1, of all lists together.
function words.scaled(...)
  local most = 0
  for _, list in ipairs { ... } do
    for _, each in ipairs(list) do most = math.max(most, math.abs(each.score)) end
  end
  for _, list in ipairs { ... } do
    for _, each in ipairs(list) do each.score = most > 0 and most < math.huge and each.score / most or 0 end
  end
  return ...
end

-- ---- what is left of a long text ----

local function letters(text) return utf8.len(text, 1, -1, true) or #text end

-- The byte at which a letter begins, at or before `at` (from 0).
local function start_of(text, at)
  while at > 0 and at < #text and text:byte(at + 1) & 0xC0 == 0x80 do at = at - 1 end
  return at
end

-- The parts of a text that are shown, {from, to} in bytes: all of a short one, else what is around the words that weigh
-- most, and its beginning where nothing weighs.
local function kept_parts(text, list, most)
  if letters(text) <= most then return { { 0, #text } } end
  local weights, parts, left = {}, {}, most
  for i, each in ipairs(list) do weights[i] = math.abs(each.score or 0) end
  local around = AROUND * math.max(1, #text // letters(text))
  for _, i in ipairs(util.descending(weights)) do
    if left <= 0 or weights[i] == 0 and #parts > 0 then break end
    local from, to = start_of(text, math.max(0, list[i].from - around)), math.min(#text, list[i].to + around)
    to = start_of(text, to)
    left = left - letters(text:sub(from + 1, to))
    parts[#parts + 1] = { from, to }
  end
  if #parts == 0 then parts[1] = { 0, start_of(text, math.min(#text, most)) } end
  table.sort(parts, function(a, b) return a[1] < b[1] end)
  local out = { parts[1] }
  for k = 2, #parts do
    local last = out[#out]
    if parts[k][1] <= last[2] + 8 then last[2] = math.max(last[2], parts[k][2]) else out[#out + 1] = parts[k] end
  end
  return out
end

-- A text as stretches. list: words {from =, to =, score =, name =, colour =}, none over another; cut: the byte from
-- which on the network saw nothing (nil: it saw all); most: letters that are shown.
function words.stretches(text, list, cut, most)
  local out, at = {}, 0
  local function add(from, to, each)
    if to <= from then return end
    out[#out + 1] = { text = text:sub(from + 1, to), score = each and each.score, name = each and each.name,
      colour = each and each.colour, unseen = cut and from >= cut or nil }
  end
  local function plain(from, to)
    if cut and from < cut and to > cut then
      add(from, cut)
      from = cut
    end
    add(from, to)
  end
  for _, part in ipairs(kept_parts(text, list, most or MOST)) do
    if part[1] > at then out[#out + 1] = { text = "", skip = letters(text:sub(at + 1, part[1])) } end
    at = part[1]
    for _, each in ipairs(list) do
      if each.from >= at and each.to <= part[2] then
        plain(at, each.from)
        add(each.from, each.to, each)
        at = each.to
      end
    end
    plain(at, part[2])
    at = part[2]
  end
  if at < #text then out[#out + 1] = { text = "", skip = letters(text:sub(at + 1)) } end
  return out
end

-- Behind which byte of a text (sequence 0 or 1) a window has no pieces; nil where it has all.
function words.cut_at(window, sequence, text)
  local most = 0
  for i, to in ipairs(window.to) do
    if window.sequence[i] == sequence then most = math.max(most, to) end
  end
  return most < #text:gsub("%s+$", "") and most or nil
end

-- A window's text, and its pair where there is one, as lists of stretches. scores: of its pieces, or nil.
function words.shown(window, scores, text, pair, most)
  local own = words.of(window, scores, 0, text)
  local other = pair and words.of(window, scores, 1, pair) or {}
  words.scaled(own, other)
  if not scores then own, other = {}, {} end
  return { words.stretches(text, own, words.cut_at(window, 0, text), most),
    pair and words.stretches(pair, other, words.cut_at(window, 1, pair), most) or nil }
end

-- ---- letters that are not to be seen ----

-- Those that turn a line, hide or join nothing: shown by their number. Joiners of emoji and of Persian are left.
local function is_odd(code)
  return code < 0x20 or code >= 0x7F and code < 0xA0 or code == 0xAD or code == 0x200B or code == 0x200E
    or code == 0x200F or code >= 0x202A and code <= 0x202E or code >= 0x2060 and code <= 0x206F or code == 0xFEFF
    or code == 0x61C
end

local BREAK = { [10] = "↵", [9] = "→" }

-- Calls plain(text) and odd(name) for the stretches of a text.
local function apart(text, plain, odd)
  local from = 1
  text = util.readable(text)
  for at, code in utf8.codes(text) do
    if is_odd(code) then
      if at > from then plain(text:sub(from, at - 1)) end
      odd(BREAK[code] or ("U+%04X"):format(code))
      from = at + #utf8.char(code)
    end
  end
  if from <= #text then plain(text:sub(from)) end
end

-- A text of anybody's as HTML that stays where it stands.
function words.escaped(text)
  local out = {}
  apart(text, function(part) out[#out + 1] = escape(part) end,
    function(name) out[#out + 1] = ('<i class="odd">%s</i>'):format(name) end)
  return table.concat(out)
end

-- ---- as HTML ----

local function alpha(score) return ("%.2f"):format(0.75 * math.abs(score)) end

local function mark(each)
  local text = words.escaped(each.text)
  if each.skip then return ('<span class="soft" title="%d letters">…</span>'):format(each.skip) end
  if each.name then
    return ('<mark class="n%d">%s<b>%s</b></mark>'):format((each.colour or 1) - 1 & 3, text, escape(each.name))
  end
  if each.unseen then return ('<s title="cut off, not seen">%s</s>'):format(text) end
  if not each.score or math.abs(each.score) < 0.02 then return text end
  return ('<mark class="%s" style="--a:%s" title="%+.2f">%s</mark>'):format(each.score > 0 and "pro" or "con",
    alpha(each.score), each.score, text)
end

-- Stretches of a text (and of its pair) as a paragraph each.
function words.html(lists)
  local out = {}
  for i, list in ipairs(lists) do
    local marks = {}
    for k, each in ipairs(list) do marks[k] = mark(each) end
    out[i] = ('<p class="text" lang="und" dir="auto">%s</p>'):format(table.concat(marks))
  end
  return table.concat(out)
end

-- What the shades mean.
words.LEGEND = '<p class="soft">Words in shades of <mark class="pro" style="--a:.5">blue</mark> '
  .. 'speak for what was said, in <mark class="con" style="--a:.5">orange</mark>, dotted, against it: '
  .. 'gradient times input at the table of pieces, each text by its largest. It is what the answer would lose, to '
  .. 'first order, without the word; it is no proof of why.</p>'

-- ---- on a terminal ----

local PRO, CON = { 195, 153, 111, 75 }, { 230, 222, 215, 208 } -- of 256 colours, from light to strong

-- The same as one line, with backgrounds where `colour`, else as it is.
function words.ansi(lists, colour)
  local out = {}
  for i, list in ipairs(lists) do
    if i > 1 then out[#out + 1] = " | " end
    for _, each in ipairs(list) do
      local parts = {}
      apart(each.text, function(part) parts[#parts + 1] = part end, function(name)
        parts[#parts + 1] = #name < 5 and " " or "<" .. name .. ">"
      end)
      local text, s = table.concat(parts), each.score
      if each.skip then text = " … "
      elseif colour and s and math.abs(s) >= 0.05 then
        local shade = math.min(4, 1 + math.floor(4 * math.abs(s)))
        text = ("\27[38;5;16;48;5;%dm%s\27[0m"):format((s > 0 and PRO or CON)[shade], text)
      elseif colour and each.unseen then text = ("\27[2m%s\27[0m"):format(text) end
      out[#out + 1] = text
    end
  end
  return table.concat(out)
end

util.seal(words, "report.texts.words.")
return words
