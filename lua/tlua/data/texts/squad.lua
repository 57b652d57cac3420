-- texts/squad.lua - questions about paragraphs, in the JSON of SQuAD 1.1, SQuAD 2.0 and KorQuAD 1.0 (data.squad). A
-- sample is a window of a question and its paragraph; what is to be found are the pieces that an answer begins and
-- ends with, or the window's first piece where it has none.
local core = require "tlua.core"
local util = require "tlua.util"
local texts = require "tlua.data.texts"
local tables = require "tlua.data.texts.tables"
local tokenizer = require "tlua.data.texts.tokenizer"
local squad = {}

-- ---- pieces ----

-- First and last piece (from 0) of bytes from..to of a window's second text, as run_qa of transformers finds them: the
-- last piece that begins no later, and the first that ends no earlier. 0, 0 where the window has not all of it.
function squad.pieces(window, from, to)
  local first, last
  for p, s in ipairs(window.sequence) do
    if s == 1 then first, last = first or p, p end
  end
  if not first or window.from[first] > from or window.to[last] < to then return 0, 0 end
  local a, b = first, last
  while a < last and window.from[a + 1] <= from do a = a + 1 end
  while b > first and window.to[b - 1] >= to do b = b - 1 end
  return math.min(a, b) - 1, math.max(a, b) - 1 -- pieces of one character may stand at one place
end

local function spans(answers)
  return function(window, i)
    local own = answers[i]
    if #own.texts == 0 then return { 0, 0 } end
    return { squad.pieces(window, own.from[1], own.from[1] + #own.texts[1]) }
  end
end

-- ---- the file ----

local function wrong(path, what, ...) util.failf("%s: " .. what, path, ...) end

local function is_text(v) return type(v) == "string" and utf8.len(v) and not v:find "\0" end

-- The answers of a question that stand where they say; and one that does not.
local function answers_of(path, context, bytes, qa)
  local out, bad = { texts = {}, from = {}, id = tostring(qa.id) }, nil
  if qa.is_impossible == true then
    out.impossible = true
    return out
  end
  if type(qa.answers) ~= "table" then wrong(path, "question %s has no list of answers", out.id) end
  for _, a in ipairs(qa.answers) do
    local start = type(a) == "table" and math.tointeger(a.answer_start)
    if not (start and is_text(a.text)) then
      wrong(path, "question %s: an answer is {\"text\": ..., \"answer_start\": number}", out.id)
    end
    local ok, at = pcall(bytes, start)
    if a.text ~= "" and ok and start >= 0 and context:sub(at + 1, at + #a.text) == a.text then
      out.texts[#out.texts + 1], out.from[#out.from + 1] = a.text, at
    else bad = bad or a.text end
  end
  return out, bad
end

local function add_question(path, found, article, context, bytes, qa)
  if type(qa) ~= "table" or not is_text(qa.question) or qa.id == nil then
    wrong(path, "a question is {\"id\": ..., \"question\": text, \"answers\": [...]}")
  end
  local own, bad = answers_of(path, context, bytes, qa)
  if #own.texts == 0 and not own.impossible then
    found.misplaced[#found.misplaced + 1] = { id = own.id, text = bad }
    return
  end
  local at = #found.texts + 1
  found.texts[at], found.pairs[at] = qa.question:gsub("^%s+", ""), context
  found.answers[at], found.places[at], found.keys[at] = own, ("%s: question %s"):format(path, own.id), article
  found.impossible = found.impossible or own.impossible
  if found.parts then found.parts[at] = found.part end
end

local function read_file(path, found)
  local ok, whole = pcall(core.json_decode, core.read_file(path))
  if not ok then wrong(path, "this is no JSON: %s", util.reason(whole)) end
  if type(whole) ~= "table" or type(whole.data) ~= "table" then
    wrong(path, 'not the form of SQuAD: {"data": [{"title":, "paragraphs": [{"context":, "qas": [...]}]}]} is needed')
  end
  found.version = found.version or whole.version
  local before = #found.texts + #found.misplaced
  for k, article in ipairs(whole.data) do
    if type(article) ~= "table" or type(article.paragraphs) ~= "table" then
      wrong(path, "article %d has no list of paragraphs", k)
    end
    local name = is_text(article.title) and article.title or ("%s %d"):format(path, k)
    for _, p in ipairs(article.paragraphs) do
      if type(p) ~= "table" or not is_text(p.context) or type(p.qas) ~= "table" then
        wrong(path, "%s: a paragraph is {\"context\": text, \"qas\": [...]}", name)
      end
      local bytes = tokenizer.bytes(p.context)
      for _, qa in ipairs(p.qas) do add_question(path, found, name, p.context, bytes, qa) end
    end
  end
  if #found.texts + #found.misplaced == before then wrong(path, "there is no question in it") end
end

-- Whose script scores the answers: KorQuAD says so in its version, and SQuAD 2.0 has questions without an answer.
local function script_of(found)
  if tostring(found.version):lower():find "korquad" then return "korquad" end
  return found.impossible and "squad2" or "squad"
end

local function misplaced_said(found)
  local n = #found.misplaced
  if n == 0 then return end
  local shown = {}
  for i = 1, math.min(3, n) do
    local each = found.misplaced[i]
    shown[i] = each.text and ("%s ('%s')"):format(each.id, util.shown(each.text, 40)) or each.id .. " (none)"
  end
  table.insert(found.said, ("left out  %s whose answer is not at its place in the paragraph: %s%s"):format(
    util.counted(n, "question"), table.concat(shown, ", "), n > 3 and ", ..." or ""))
end

function squad.read(d, options)
  local files, have_parts = tables.files(d)
  local path = d.options.path
  local found = { texts = {}, pairs = {}, answers = {}, places = {}, keys = {}, misplaced = {}, said = {},
    parts = have_parts and {} or nil, title = path:match "([^/]+)$", root = path:match "^(.*)/[^/]*$" or "." }
  for _, file in ipairs(files) do
    found.part = file.part
    read_file(file.path, found)
  end
  misplaced_said(found)
  if #found.texts == 0 then wrong(path, "no answer is at its place in its paragraph") end
  local script, articles = script_of(found), {}
  for i, own in ipairs(found.answers) do own.script, articles[found.keys[i]] = script, true end
  table.insert(found.said, ("questions %s about %s%s; scored as %s"):format(util.thousands(#found.texts),
    util.counted(#util.keys(articles), "article"), found.impossible and ", some without an answer" or "",
    ({ korquad = "KorQuAD 1.0", squad = "SQuAD 1.1", squad2 = "SQuAD 2.0" })[script]))
  found.span = spans(found.answers)
  return texts.prepare(d, found, options)
end

util.seal(squad, "data.texts.squad.")
return squad
