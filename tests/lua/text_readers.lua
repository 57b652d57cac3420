-- text_readers.lua - files of words with tags, of questions, and texts whose spaces are to be found: what they mean,
-- which pieces get which mark or span (tests/golden/make_questions.py), what is refused. Run by
-- `tlua tests/lua/text_readers.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local data = tlua.data
local tokenizer = require "tlua.data.texts.tokenizer"
local words = require "tlua.data.texts.words"

local folder = t.folder()
local function own(name) return tokenizer.open(("tests/golden/tokenizers/%s.json"):format(name or "wordpiece")) end
local function open(d, name, options)
  options = options or {}
  options.tokenizer = own(name)
  return data.open(d, { longest = 512, types = true }, 0, options)
end
local function file(name, text)
  core.write_file(folder .. "/" .. name, text)
  return folder .. "/" .. name
end
local function refused(message, f, ...)
  local e = t.fails(message, f, ...)
  assert(not e:find "\n", e)
end
local function has(built, line)
  local said = table.concat(built.said, "\n")
  assert(said:find(line, 1, true), said)
end
-- The tags of text i, as texts.
local function tags_of(built, i)
  local out = {}
  for k, n in ipairs(built.texts.words[i].tags) do out[k] = built.classes[n + 1] end
  return table.concat(out, " ")
end

local CONLL = [[
-DOCSTART- -X- -X- O

EU NNP B-NP I-ORG
rejects VBZ B-VP O
German JJ B-NP I-MISC
British JJ I-NP B-MISC
lamb NN I-NP O

Peter NNP B-NP I-PER
Blackburn NNP I-NP I-PER

-DOCSTART- -X- -X- O

here RB B-ADVP O
]]

t.test("columns: sentences, documents, IOB1 made BIO", function()
  local built = open(data.conll { path = file("a.conll", CONLL), split = 0 })
  t.equal(built.train:count(), 3)
  t.equal(table.concat(built.classes, " "), "O B-MISC B-ORG B-PER I-PER")
  t.equal(tags_of(built, 1), "B-ORG O B-MISC B-MISC O")
  t.equal(tags_of(built, 2), "B-PER I-PER")
  t.equal(built.texts.texts[1], "EU rejects German British lamb")
  t.equal(built.train:path(2), folder .. "/a.conll:9")
  has(built, "tags      IOB1: 3 of 8 are changed, so that B begins each entity")
  t.equal(#built.keys.train, 3)
  assert(built.keys.train[1] == built.keys.train[2] and built.keys.train[1] ~= built.keys.train[3], "documents")
end)

t.test("columns by number and by name, other habits of tags, tags of no entities", function()
  local text = "word\tner\tpos\nA\tB-X\tN\nb\tE-X\tV\nc\tS-Y\tV\n\nd\tO\tN\n"
  local built = open(data.conll { path = file("b.tsv", text), token = "word", tag = "ner", split = 0 })
  t.equal(tags_of(built, 1), "B-X I-X B-Y")
  has(built, "tags      BIOES: 2 of 4 are changed")
  built = open(data.conll { path = file("c.tsv", (text:gsub("^[^\n]*\n", ""))), tag = "3", split = 0 })
  t.equal(tags_of(built, 1), "N V V")
  built = open(data.conll { path = file("d.tsv", "가\tB\n나\tI\n \tO\n다\tB\n"), between = "nothing", split = 0 })
  t.equal(built.texts.texts[1], "가나 다")
  t.equal(tags_of(built, 1), "B I O B")
  has(open(data.conll { path = file("e.txt", "a B-X\nb O\nc I-X\nd I-X\n"), split = 0 }),
    "tags      BIO with entities that begin with I: 1 of 4 are changed")
end)

t.test("parts out of files, validation too", function()
  local d = data.conll { path = file("p1.txt", "a O\nb B-X\n\nc O\n"), validation = file("p2.txt", "d O\n"),
    test = file("p3.txt", "e B-X\n\nf O\n") }
  local built = open(d)
  t.equal(("%d %d %d"):format(built.train:count(), built.validation:count(), built.test:count()), "2 1 2")
  built = open(data.conll { path = folder .. "/p1.txt", test = folder .. "/p3.txt", validation = "0.5" })
  t.equal(("%d %d"):format(built.train:count(), built.validation:count()), "1 1")
end)

t.test("columns that make no sense are refused at their line", function()
  local function conll(text, o)
    o = o or {}
    o.path = file("x.txt", text)
    return function() return open(data.conll(o)) end
  end
  refused("x.txt:2: 1 column in this line, and a word and its tag are needed", conll "a O\nb\n")
  refused("x.txt:1: 2 columns in this line", conll("a O\n", { tag = "4" }))
  refused("x.txt:1: 'X-PER' is no tag of an entity", conll "a X-PER\nb B-PER\n")
  refused("unknown column 'nre'; did you mean 'ner'", conll("w ner\na O\n", { token = "w", tag = "nre" }))
  refused("x.txt:2: bytes that are no UTF-8 text", conll "a O\nb\xFF B-X\n")
  refused("has no sentence: a line for each word, an empty one between", conll "\n\n")
  refused("all words have one tag, O", conll "a O\nb O\n")
  refused("tag = 0; columns are counted from 1", conll("a O\n", { tag = "0" }))
  refused("x.txt:1: an empty word", conll "\tO\n")
  refused("x.txt:1: 'B-Z' is none of the tags O, B-X",
    function() return open(data.conll { path = file("x.txt", "a B-Z\n") }, nil, { classes = { "O", "B-X" } }) end)
  refused("unknown option of data.conll: 'per_class'", function() return data.conll { path = "x", per_class = 3 } end)
end)

t.test("a word's tag is the mark of its first piece, in windows too", function()
  local lines, n = {}, 0
  for i = 1, 60 do
    lines[i] = ("%s %s"):format(({ "networks", "knows", "재미있었다", "that", "2026", "Käse" })[i % 6 + 1],
      i % 3 == 0 and "B-A" or "O")
  end
  for _, name in ipairs { "wordpiece", "unigram", "roberta", "gpt2" } do
    local built = open(data.conll { path = file("w.txt", table.concat(lines, "\n") .. "\n"), split = 0, longest = 24,
      stride = 8 }, name)
    local list, seen = built.texts.words[1], {}
    for i = 1, built.train:count() do
      local window, marked = built.train:window(i), {}
      for _, each in ipairs(words.begins(window, list)) do
        local p, w = each[1], each[2]
        marked[p] = true
        seen[w] = (seen[w] or 0) + 1
        t.equal(window.marks[p], list.tags[w], ("%s: mark of word %d"):format(name, w))
        assert(window.from[p] <= list.from[w] and window.to[p] > list.from[w], "the first piece")
      end
      for p, mark in ipairs(window.marks) do assert(mark == -100 or marked[p], "a mark of no first piece") end
    end
    for w = 1, 60 do assert(seen[w], ("%s: word %d is in no window"):format(name, w)) end
    n = n + built.train:count()
  end
  assert(n > 12)
end)

t.test("spaces: each character a word, whether a space follows its tag", function()
  local built = open(data.spacing { path = file("s.txt", " 나는  간다\n집\n나는간다\n\nab c\n"), split = 0 })
  t.equal(built.train:count(), 2)
  t.equal(built.texts.texts[1], "나 는 간 다")
  t.equal(tags_of(built, 1), "O B-space O O")
  t.equal(tags_of(built, 2), "O B-space O")
  t.equal(table.concat(built.classes, " "), "O B-space")
  has(built, "left out  1 text that stands there more than once")
  has(built, "left out  1 text of one character")
  built = open(data.spacing { path = file("s.tsv", "id\tsaid\n1\t\"a b\n2\tc d\n"), text = "said", split = 0 })
  t.equal(built.texts.texts[1], '" a b')
  refused("has no column 'say' (text)", function() open(data.spacing { path = folder .. "/s.tsv", text = "say" }) end)
  refused("s2.txt has no text in any line", function() open(data.spacing { path = file("s2.txt", "\n") }) end)
end)

-- ---- questions ----

local golden = core.json_decode(core.read_file "tests/golden/questions.json")

for name, rows in pairs(golden.golden) do
  t.test(name .. ": spans are those of transformers' run_qa", function()
    local built = open(data.squad { path = "tests/golden/questions.json", longest = golden.longest,
      stride = golden.stride, split = 0 }, name)
    local k, whole = 0, 0
    for i, windows in ipairs(rows) do
      for _, want in ipairs(windows) do
        k = k + 1
        local window = built.train:window(k)
        t.equal(window.text, i)
        t.equal(table.concat(window.ids, " "), table.concat(want.ids, " "), "pieces of question " .. i)
        t.equal(table.concat(window.span, " "), table.concat(want.span, " "), "the span in question " .. i)
        whole = whole + (want.span[2] > 0 and 1 or 0)
      end
    end
    t.equal(k, built.train:count())
    assert(whole >= 10, whole)
  end)
end

local function paragraph(context, qas) return { title = "T " .. context:sub(1, 1), paragraphs = { { context = context,
  qas = qas } } } end
local function qa(id, text, start, more)
  local out = { id = id, question = "what is " .. id, answers = { { text = text, answer_start = start } } }
  for key, v in pairs(more or {}) do out[key] = v end
  return out
end
local function json(name, whole) return file(name, core.json_encode(whole)) end

t.test("places count characters; an answer that is elsewhere is named, left out, counted", function()
  local list = { qa("a", "영화", 3), qa("b", "영화", 4), qa("c", "없다", 99), qa("d", "재미", 0) }
  list[4].answers[2] = { text = "영화", answer_start = 3 }
  local built = open(data.squad { path = json("q.json", { version = "KorQuAD_v1.0_dev", data = {
    paragraph("\u{1F9C0} — 영화가 재미", list) } }), split = 0 })
  has(built, "left out  3 questions whose answer is not at its place in the paragraph: a ('영화'), c ('없다'), "
    .. "d ('재미')")
  has(built, "questions 1 about 1 article; scored as KorQuAD 1.0")
  t.equal(built.texts.answers[1].script, "korquad")
  t.equal(built.texts.answers[1].from[1], #"\u{1F9C0} — ")
  refused("no answer is at its place in its paragraph", function() open(data.squad { path = json("q.json",
    { data = { paragraph("x", { qa("a", "y", 0) }) } }) }) end)
end)

t.test("questions without an answer, and articles that stay together", function()
  local articles = {}
  for i = 1, 10 do
    articles[i] = paragraph(("%d the network knows"):format(i), { qa("a" .. i, "network", i < 10 and 6 or 7),
      { id = "n" .. i, question = "who", answers = {}, is_impossible = true } })
    articles[i].title = "article " .. i
  end
  local built = open(data.squad { path = json("two.json", { version = "v2.0", data = articles }), split = 0.3 })
  t.equal(("%d %d"):format(built.train:count(), built.test:count()), "14 6")
  t.equal(built.groups.shared, 0)
  t.equal(built.texts.answers[2].impossible, true)
  t.equal(built.texts.answers[1].script, "squad2")
  for i = 1, built.train:count() do
    local window = built.train:window(i)
    local span, none = window.span, built.texts.answers[window.text].impossible
    if none then t.equal(table.concat(span, " "), "0 0")
    else t.equal(own().handle:piece(window.ids[span[1] + 1]), "network") end
  end
end)

t.test("files that are no questions", function()
  local function squad(text) return function() open(data.squad { path = file("bad.json", text) }) end end
  refused("bad.json: this is no JSON", squad "{")
  refused("bad.json: not the form of SQuAD", squad "[1]")
  refused("bad.json: there is no question in it", squad '{"data": []}')
  refused("bad.json: article 1 has no list of paragraphs", squad '{"data": [3]}')
  refused("a paragraph is", squad '{"data": [{"title": "t", "paragraphs": [{"qas": []}]}]}')
  refused("a question is", squad '{"data": [{"title": "t", "paragraphs": [{"context": "c", "qas": [{"id": 1}]}]}]}')
  refused("question 1 has no list of answers",
    squad '{"data": [{"title": "t", "paragraphs": [{"context": "c", "qas": [{"id": 1, "question": "q"}]}]}]}')
  refused("there is no file", function() open(data.squad { path = folder .. "/nowhere.json" }) end)
  refused("stride = 300 shares more than half of a window", function()
    open(data.squad { path = "tests/golden/questions.json", stride = 300 })
  end)
end)

t.finish()
