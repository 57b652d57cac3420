-- tokenizer.lua - tokenizers beside Hugging Face's (tests/golden/make_tokenizers.py): numbers and places of every text,
-- windows and pairs; what is refused. Run by `tlua tests/lua/tokenizer.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local pieces = dofile "tests/lua/run_pieces.lua"

local FOLDER, made, text, places = pieces.FOLDER, pieces.made, pieces.text, pieces.places
local texts = made.texts
local function options(longest, stride, cut) return { longest = longest, stride = stride, cut = cut } end

local names = {}
for name in pairs(made.tokenizers) do names[#names + 1] = name end
table.sort(names)
t.equal(#names, 9, "kinds of tokenizers")

for _, name in ipairs(names) do
  local golden, tokenizer = made.tokenizers[name], core.tokenizer.open(("%s/%s.json"):format(FOLDER, name))

  t.test(name .. ": numbers and places", function()
    for i, row in ipairs(golden.single) do
      local windows = tokenizer:encode(texts[i])
      t.equal(#windows, 1, "windows")
      t.equal(text(windows[1].ids), text(row[1]), ("numbers of %q"):format(texts[i]))
      t.equal(places(windows[1]), text(row[2]), ("places of %q"):format(texts[i]))
    end
  end)

  t.test(name .. ": hundreds of hostile texts", function()
    local set = tokenizer:encode_all(made.hostile)
    for i, want in ipairs(golden.hostile) do
      local w = set:window(i)
      local digest = core.sha256(text(w.ids) .. "|" .. places(w)):sub(1, 8)
      t.equal(digest, want, ("the digest of %q"):format(made.hostile[i]))
    end
    assert(set:count() == 400 and #golden.hostile == 400)
  end)

  t.test(name .. ": windows and pairs", function()
    for _, row in ipairs(golden.windows) do
      local a, b, longest, stride, windows, both, types = table.unpack(row)
      local own = tokenizer:encode(texts[a + 1], nil, options(longest, stride, "first"))
      t.equal(#own, #windows, "windows")
      for k, w in ipairs(own) do t.equal(text(w.ids), text(windows[k]), "window " .. k) end
      local pair = tokenizer:encode(texts[a + 1], texts[b + 1], options(longest + 20))
      t.equal(text(pair[1].ids), text(both), ("the pair %d, %d"):format(a, b))
      t.equal(text(pair[1].types), text(types), ("types of the pair %d, %d"):format(a, b))
    end
  end)

  t.test(name .. ": many texts are each as alone", function()
    local set = tokenizer:encode_all(texts, nil, { threads = 3 })
    t.equal(set:count(), #texts, "windows")
    for i = 1, #texts do
      local one = tokenizer:encode(texts[i])[1]
      t.equal(text(set:window(i).ids), text(one.ids), "text " .. i)
      t.equal(places(set:window(i)), places(one), "places of text " .. i)
      t.equal(set:length(i), #one.ids, "length")
      t.equal(set:text(i), i, "text of the window")
    end
    local windows = tokenizer:encode_all(texts, nil, options(16, 3, "first"))
    assert(windows:count() > #texts and windows:text(windows:count()) == #texts)
  end)
end

t.test("a batch is padded", function()
  local tokenizer = core.tokenizer.open(FOLDER .. "/wordpiece.json")
  local set = tokenizer:encode_all { "a network", "pictures and what it knows", "" }
  local ids, types, lengths = set:batch({ 2, 3 }, 0)
  local rows, most = ids:tolist(), set:length(2)
  t.equal(text(ids:shape()), "2 " .. most, "shape")
  t.equal(text(lengths:tolist()), most .. " 2", "lengths")
  t.equal(text(rows[1]), text(set:window(2).ids), "the first row")
  t.equal(text(rows[2]), "2 3" .. (" 0"):rep(most - 2), "the second row")
  t.equal(types:sum():item(), 0, "types")
  t.fails("window 4 of 3", set.batch, set, { 4 }, 0)
end)

t.test("pieces and numbers", function()
  local tokenizer = core.tokenizer.open(FOLDER .. "/wordpiece.json")
  t.equal(tokenizer:id "[MASK]", 4, "[MASK]")
  t.equal(tokenizer:piece(4), "[MASK]", "piece 4")
  assert(tokenizer:is_special(2) and not tokenizer:is_special(tokenizer:id "network"))
  t.equal(tokenizer:id "no such piece", nil)
  t.equal(tokenizer:piece(tokenizer:size()), nil)
  t.equal(tokenizer:piece(-1), nil)
end)

t.test("places of Hangul that is written in its parts are those of the text as it came", function()
  local tokenizer = core.tokenizer.open(FOLDER .. "/roberta.json")
  local w = tokenizer:encode("\u{1112}\u{1161}\u{11ab}글")[1] -- a syllable stands for the first of its parts
  t.equal(places(w), "0 0 0 0 0 3 0 3 0 3 9 12 9 12 9 12 0 0") -- the space before the text has no place
end)

t.test("what is refused", function()
  local open = core.tokenizer
  local wordpiece = open.open(FOLDER .. "/wordpiece.json")
  t.fails("byte 3 of a text is no UTF-8", wordpiece.encode, wordpiece, "ab\xff")
  t.fails("text 2: byte 1 of a text is no UTF-8", wordpiece.encode_all, wordpiece, { "ab", "\xe1\x80" })
  t.fails("3 texts and 2 others", wordpiece.encode_all, wordpiece, { "a", "b", "c" }, { "d", "e" })
  t.fails("element 2 is a boolean", wordpiece.encode_all, wordpiece, { "a", true })
  t.fails("unknown cut 'frist'", wordpiece.encode, wordpiece, "a", "b", { longest = 9, cut = "frist" })
  t.fails("the template alone has 2", wordpiece.encode, wordpiece, "a", nil, { longest = 2 })
  t.fails("windows share 6 numbers, and one holds 6", wordpiece.encode, wordpiece, ("a "):rep(20), nil,
    { longest = 8, stride = 6 })
  t.fails("the other text of the pair has 20 numbers, which leaves none of 16", wordpiece.encode, wordpiece,
    ("a "):rep(20), "b", { longest = 16, cut = "second" })
  t.fails("no such file.json", open.open, "no such file.json")
  t.fails("own.json: this is no JSON", open.read, "{", "own.json")
  t.fails("own.json: this is no tokenizer.json: it has no model", open.read, "{}", "own.json")
  local function model(json) return ('{"model": %s}'):format(json) end
  for words, json in pairs {
    ["its model is of the type Wordpiece"] = model '{"type": "Wordpiece", "vocab": {"a": 0}}',
    ["the piece for what is unknown, '[UNK]', is not"] =
      model '{"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "[UNK]"}',
    ["its vocabulary is empty"] = model '{"type": "Unigram", "vocab": []}',
    ["unk_id is 4, and there are 1 pieces"] = model '{"type": "Unigram", "vocab": [["a", -1.5]], "unk_id": 4}',
    ["piece 0 of its vocabulary is not [text, score]"] = model '{"type": "Unigram", "vocab": [["a"]]}',
    ["merge 1, a b, speaks of a piece"] = model '{"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}',
    ["merge 1 is no pair"] = model '{"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}',
    ["leaves out merges by chance"] = model '{"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1}',
    ["the piece 'a' has the number 9000000"] = model '{"type": "BPE", "vocab": {"a": 9000000}, "merges": []}',
    ["its normalizer is of the type Upper"] = '{"normalizer": {"type": "Upper"}, "model": {}}',
    ["the regular expression ( is not understood"] =
      '{"normalizer": {"type": "Replace", "pattern": {"Regex": "("}, ' ..
        '"content": ""}, "model": {}}',
    ["precompiled_charsmap is damaged"] =
      '{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "////"}, "model": {}}',
    ["has the behavior \"Merged\""] =
      '{"pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, ' ..
        '"behavior": "Merged"}, "model": {}}',
  } do t.fails(words, open.read, json, "own.json") end
  local typed = '{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, "post_processor": ' ..
    '{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": %d}}], "pair": []}}'
  t.fails("own.json: its template has the type 128, and types are at most 127", open.read, typed:format(128),
    "own.json")
  t.equal(open.read(typed:format(127), "own.json"):encode("a")[1].types[1], 127, "the largest type")
  local grows = '{"normalizer": {"type": "Sequence", "normalizers": [' ..
    ('{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaaaaaaaa"},'):rep(12) ..
    '{"type": "NFC"}]}, "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}'
  local growing = open.read(grows, "own.json")
  t.fails("the tokenizer's rules make more than", growing.encode, growing, "aaaa")
end)

t.test("a line of a million characters, and marks without end", function()
  for _, name in ipairs(names) do
    local tokenizer = core.tokenizer.open(("%s/%s.json"):format(FOLDER, name))
    for _, long in ipairs { ("x"):rep(1000000), ("가나 "):rep(140000), ("\u{0323}\u{0301}"):rep(250000),
      (" "):rep(1000000) } do
      local set = tokenizer:encode_all { long }
      assert(set:count() == 1)
    end
  end
end)

t.finish()
