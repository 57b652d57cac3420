-- texts/words.lua - texts whose words have tags: files of columns (data.conll), and sentences whose own spaces are what
-- is to be found (data.spacing). A text is its words with spaces between; a word's tag is the mark of its first piece.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local texts = require "tlua.data.texts"
local tables = require "tlua.data.texts.tables"
local words = {}

-- ---- words and pieces ----

-- Where words begin in a window: a list of {piece, word}, both from 1. `list`: {from =, to =} of the words in bytes. A
-- piece goes with the word that it begins in; a window that begins within a word has not that word's first piece.
function words.begins(window, list)
  local out, k, done, before = {}, 1, 0, false
  for p, s in ipairs(window.sequence) do
    if s == 0 then
      local from, to = window.from[p], window.to[p]
      while k <= #list.from and list.to[k] <= from do k = k + 1 end
      if k <= #list.from and k > done and list.from[k] < to then
        if before or from <= list.from[k] then out[#out + 1] = { p, k } end
        done = k
      end
      before = true
    end
  end
  return out
end

-- What texts.prepare asks for the marks of a window of text i. `all`: of each text {from =, to =, tags = numbers}.
function words.marks(all)
  return function(window, i)
    local out = {}
    for p = 1, #window.ids do out[p] = texts.IGNORED end
    for _, each in ipairs(words.begins(window, all[i])) do out[each[1]] = all[i].tags[each[2]] end
    return out
  end
end

-- Puts a text of these words into `found`. tags: of each word, as texts; between: what stands between words.
function words.add(found, list, tags, place, between)
  local at, from, to, n = #found.texts + 1, {}, {}, 0
  for i, word in ipairs(list) do
    if i > 1 then n = n + #between end
    from[i], n = n, n + #word
    to[i] = n
  end
  found.texts[at], found.places[at] = table.concat(list, between), place
  found.words[at] = { from = from, to = to, tags = tags }
  if found.parts then found.parts[at] = found.part end
  if found.keys then found.keys[at] = found.key end
  return found
end

local function new_found(d, have_parts, path)
  return { texts = {}, words = {}, places = {}, parts = have_parts and {} or nil, said = {},
    title = path:match "([^/]+)$", root = path:match "^(.*)/[^/]*$" or ".", path = d.options.path }
end

-- Tags as numbers of classes, "O" the first of them.
local function number(found, known)
  local number_of, names, seen = {}, known, {}
  if not names then
    for _, each in ipairs(found.words) do
      for _, tag in ipairs(each.tags) do seen[tag] = true end
    end
    names = util.keys(seen)
    table.sort(names, function(a, b)
      if (a == "O") ~= (b == "O") then return a == "O" end
      return a < b
    end)
  end
  for k, name in ipairs(names) do number_of[name] = k - 1 end
  for i, each in ipairs(found.words) do
    for k, tag in ipairs(each.tags) do
      each.tags[k] = number_of[tag] or util.failf("%s: '%s' is none of the tags %s", found.places[i], util.shown(tag),
        util.first_few(names, 6))
    end
  end
  found.classes, found.mark = names, words.marks(found.words)
end

-- ---- tags of several habits become B, I and O ----

local AS = { B = "B", I = "I", E = "I", L = "I", M = "I", S = "B", U = "B", W = "B" }

-- Do these tags speak of entities: O, and a letter with a type? nil: of something else, as parts of speech.
local function habit_of(found)
  local tags, odd, letters, typed = {}, nil, {}, false
  for i, each in ipairs(found.words) do
    for _, tag in ipairs(each.tags) do
      if not tags[tag] then
        tags[tag] = true
        local letter, rest = tag:match "^([A-Z])(.*)$"
        local fits = tag == "O" or letter and AS[letter] and (rest == "" or rest:find "^%-.")
        if fits and tag ~= "O" then letters[letter], typed = true, typed or rest ~= "" end
        if not fits then odd = odd or { tag = tag, place = found.places[i] } end
      end
    end
  end
  if not next(letters) or (odd and not typed) then return nil end
  if odd then
    util.failf("%s: '%s' is no tag of an entity, like O, B-PER and I-PER, and others here are", odd.place,
      util.shown(odd.tag))
  end
  return letters
end

-- Makes B of what begins an entity, and I of the rest. A line for the plan says what the tags were.
local function to_bio(found)
  local letters = habit_of(found)
  if not letters then return end
  local changed, all, begins = 0, 0, false
  for _, each in ipairs(found.words) do
    local kind
    for k, tag in ipairs(each.tags) do
      local letter, rest = AS[tag:sub(1, 1)], tag:sub(2)
      local open = kind == rest
      if letter == "B" and tag:sub(1, 1) == "B" and not open then begins = true end
      if letter == "I" and not open then letter = "B" end
      kind = letter and rest or nil
      if letter and (tag:sub(1, 1) == "E" or tag:sub(1, 1) == "L") then kind = nil end
      local now = letter and letter .. rest or tag
      if now ~= tag then changed = changed + 1 end
      each.tags[k], all = now, all + 1
    end
  end
  local habit = (letters.E or letters.S or letters.L or letters.U) and "BIOES"
    or not begins and "IOB1" or "BIO with entities that begin with I"
  if changed > 0 then
    table.insert(found.said, ("tags      %s: %s of %s are changed, so that B begins each entity"):format(habit,
      util.thousands(changed), util.thousands(all)))
  end
end

-- ---- data.conll ----

-- The number of a column from a number (from the end where it is below 0) or a name in the first line.
local function column(option, which, header, path, place)
  local n = math.tointeger(tonumber(option))
  if n and n ~= 0 then return n end
  if n == 0 then util.failf("data.conll: %s = 0; columns are counted from 1, from the end from -1", which) end
  for k, name in ipairs(header) do
    if name == option then return k end
  end
  util.failf("%s: %s", place or path, util.unknown_text("column", option, header))
end

local function is_name(option) return not math.tointeger(tonumber(option)) end

local function split_line(line)
  local out = {}
  if line:find "\t" then
    for cell in (line .. "\t"):gmatch "([^\t]*)\t" do out[#out + 1] = cell end
  else
    for cell in line:gmatch "%S+" do out[#out + 1] = cell end
  end
  return out
end

-- Calls f(number, line) for the lines of a file, in which all is UTF-8.
local function each_line(path, f)
  local n = 0
  local text = core.read_file(path):gsub("^\xEF\xBB\xBF", "")
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    n = n + 1
    line = line:gsub("\r$", "")
    if not utf8.len(line) or line:find "\0" then
      util.failf("%s:%d: bytes that are no UTF-8 text; save the file as UTF-8", path, n)
    end
    f(n, line)
  end
end

-- A reader of one file: take(n, line) for each line, and close() at the end.
local function sentences(o, path, found)
  local header, at, list, tags, begun, document = nil, nil, {}, {}, nil, 0
  local s, between = {}, o.between == "space" and " " or ""
  function s.close()
    if #list > 0 then words.add(found, list, tags, ("%s:%d"):format(path, begun), between) end
    list, tags = {}, {}
  end
  local function columns(n, row)
    if not header and (is_name(o.token) or is_name(o.tag)) then
      header = row
      return true
    end
    at = at or { token = column(o.token, "token", header or {}, path, ("%s:%d"):format(path, n)),
      tag = column(o.tag, "tag", header or {}, path, ("%s:%d"):format(path, n)) }
  end
  function s.take(n, line)
    if not line:find "%S" then return s.close() end
    if #list == 0 and line:find "^##" then return end
    local row = split_line(line)
    if columns(n, row) then return end
    if row[1]:find "^%-DOCSTART" then
      s.close()
      document, found.documents = document + 1, true
      return
    end
    local function cell(k) return row[k < 0 and #row + 1 + k or k] end
    local token, tag = cell(at.token), cell(at.tag)
    if not token or not tag or #row < 2 then
      util.failf("%s:%d: %d column%s in this line, and a word and its tag are needed (--data.token, --data.tag)", path,
        n, #row, #row == 1 and "" or "s")
    end
    if token == "" or tag == "" then util.failf("%s:%d: an empty %s", path, n, token == "" and "word" or "tag") end
    if #list == 0 then begun, found.key = n, ("%s %d"):format(path, document) end
    list[#list + 1], tags[#tags + 1] = token, tag
  end
  return s
end

function words.read_conll(d, options)
  local o = d.options
  local files, have_parts = tables.files(d)
  local found = new_found(d, have_parts, o.path)
  found.keys = {}
  for _, file in ipairs(files) do
    found.part = file.part
    local s, before = sentences(o, file.path, found), #found.texts
    each_line(file.path, s.take)
    s.close()
    if #found.texts == before then
      util.failf("%s has no sentence: a line for each word, an empty one between", file.path)
    end
  end
  if not found.documents then found.keys = nil end
  to_bio(found)
  number(found, options.classes)
  if #found.classes < 2 then util.failf("%s: all words have one tag, %s", o.path, found.classes[1]) end
  return texts.prepare(d, found, options)
end

-- ---- data.spacing ----

local SPACE, NONE = "B-space", "O"

-- The characters of a text without its spaces, each a word, and whether a space follows.
local function characters_of(text)
  local list, tags = {}, {}
  for _, c in ipairs((core.characters(core.composed(text)))) do
    if c:find "^%s$" or c == "\u{3000}" or c == "\u{A0}" then
      if #list > 0 then tags[#list] = SPACE end
    else
      list[#list + 1] = c
      tags[#list] = NONE
    end
  end
  if #list > 0 then tags[#list] = NONE end
  return list, tags
end

-- The texts of a file: those of a column, or its lines. f(text, place).
local function each_text(o, path, f)
  if o.text then
    local header, rows, lines = core.csv(path, ({ auto = "letters of tsv", yes = "quotes", no = "letters" })[o.quotes])
    local at = cells.column(path, header, o.text, "text")
    for i, row in ipairs(rows) do f(row[at], ("%s:%d"):format(path, lines[i])) end
  else
    each_line(path, function(n, line) f(line, ("%s:%d"):format(path, n)) end)
  end
end

function words.read_spacing(d, options)
  local o = d.options
  local files, have_parts = tables.files(d)
  local found, known, twice, alone = new_found(d, have_parts, o.path), {}, 0, 0
  for _, file in ipairs(files) do
    local before = #found.texts
    found.part = file.part
    each_text(o, file.path, function(text, place)
      local list, tags = characters_of(text)
      local key = table.concat(list)
      if #list < 2 then alone = alone + (#list == 1 and 1 or 0)
      elseif known[key] then twice = twice + 1
      else
        known[key] = true
        words.add(found, list, tags, place, " ")
      end
    end)
    if #found.texts == before then util.failf("%s has no text%s", file.path, o.text and "" or " in any line") end
  end
  if twice > 0 then
    table.insert(found.said, ("left out  %s that stand%s there more than once"):format(util.counted(twice, "text"),
      twice == 1 and "s" or ""))
  end
  if alone > 0 then
    table.insert(found.said, ("left out  %s of one character"):format(util.counted(alone, "text")))
  end
  number(found, options.classes or { NONE, SPACE })
  return texts.prepare(d, found, options)
end

util.seal(words, "data.texts.words.")
return words
