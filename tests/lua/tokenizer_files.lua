-- tokenizer_files.lua - tokenizers out of all forms of files, each as Hugging Face's conversion makes of it.
-- Run by `tlua tests/lua/tokenizer_files.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local util = require "tlua.util"
local tokenizer = require "tlua.data.texts.tokenizer"
local pieces = dofile "tests/lua/run_pieces.lua"

local FOLDER, texts, text, places = pieces.FOLDER, pieces.made.texts, pieces.text, pieces.places

local function copy_to(folder, from, name) core.write_file(folder .. "/" .. name, core.read_file(from)) end

t.test("a tokenizer.json, from its file, its folder and its text", function()
  local path = FOLDER .. "/wordpiece.json"
  local one = tokenizer.open(path)
  t.equal(one.name, path)
  t.equal(one.json, core.read_file(path))
  t.equal(one.sha256, core.sha256(one.json))
  t.equal(one.handle:id "[MASK]", 4)
  local folder = t.folder()
  copy_to(folder, path, "tokenizer.json")
  local two = tokenizer.open(folder .. "//")
  t.equal(two.sha256, one.sha256)
  t.equal(two.name, folder .. "/tokenizer.json")
  t.equal(tokenizer.read(one.json, "own").handle:size(), one.handle:size())
end)

local FILES = "tests/golden/tokenizer_files"
local golden = core.json_decode(core.read_file(FILES .. "/golden.json"))

-- Tables of JSON with the same fields throughout.
local function same(own, want, where)
  if type(want) ~= "table" then return t.equal(own, want, where) end
  t.equal(type(own), "table", where)
  for key in pairs(own) do assert(want[key] ~= nil, where .. "." .. tostring(key)) end
  for key, v in pairs(want) do same(own[key], v, where .. "." .. tostring(key)) end
end

for _, name in ipairs(util.keys(golden.made)) do
  t.test(name .. ": numbers and places as transformers'", function()
    local made, own = golden.made[name], tokenizer.open(FILES .. "/" .. name)
    for i, row in ipairs(made.rows) do
      local one = texts[1 + (i - 1) * golden.every]
      local w = own.handle:encode(one)[1]
      t.equal(text(w.ids), text(row[1]), ("numbers of %q"):format(one))
      t.equal(places(w), text(row[2]), ("places of %q"):format(one))
    end
    local pair = own.handle:encode(texts[1], texts[3])[1]
    t.equal(text(pair.ids), text(made.pair), "a pair")
    t.equal(text(pair.types), text(made.types), "types of a pair")
    local whole = core.json_decode(own.json)
    whole.model.vocab, whole.model.merges = nil, nil
    same(whole, made.rest, "the JSON")
    t.equal(own.sha256, tokenizer.open(FILES .. "/" .. name).sha256, "the JSON is the same each time")
  end)
end

-- What is said while f runs.
local function noted(f)
  local said
  local note <close> = setmetatable({ util.note }, { __close = function(me) util.note = me[1] end })
  util.note = function(line) said = line end
  f()
  return said
end

t.test("a tokenizer.json counts, and that others would read it otherwise is said", function()
  local folder = t.folder()
  copy_to(folder, FOLDER .. "/wordpiece.json", "tokenizer.json")
  local function opened(said)
    core.write_file(folder .. "/tokenizer_config.json", core.json_encode { do_lower_case = said })
    return noted(function() assert(tokenizer.open(folder).handle:encode("A")[1].ids[2] == 17) end)
  end
  t.equal(opened(true), nil)
  t.equal(opened(false), ("%s/tokenizer.json says lowercase = true, and tokenizer_config.json beside it " ..
    "do_lower_case = false: the first counts"):format(folder))
end)

t.test("what is no tokenizer", function()
  local folder = t.folder()
  t.equal(tokenizer.find(folder), nil)
  t.fails(folder .. " has no tokenizer: looked for tokenizer.json", tokenizer.open, folder)
  t.fails("there is no tokenizer no/such/file", tokenizer.open, "no/such/file")
  t.fails("the path of a file or of a folder is wanted", tokenizer.open, { path = "a" })
  core.write_file(folder .. "/tokenizer.json", "{}")
  t.fails(folder .. "/tokenizer.json: this is no tokenizer.json: it has no model", tokenizer.open, folder)
end)

t.test("places in characters, and back", function()
  local said = "a\u{ac00}\u{1112}\u{1161}\u{1f3f3}b"
  local character, byte = tokenizer.characters(said), tokenizer.bytes(said)
  local want = { [0] = 0, 1, 4, 7, 10, 14, 15 }
  for n = 0, 6 do
    t.equal(character(want[n]), n, "character at byte " .. want[n])
    t.equal(byte(n), want[n], "byte of character " .. n)
  end
  t.equal(character(2), 2, "within a character")
  t.equal(tokenizer.characters ""(0), 0)
  t.equal(tokenizer.bytes ""(0), 0)
  t.fails("a place at byte 16 of a text of 15", character, 16)
  t.fails("a place at character 7 of a text of 6", byte, 7)
  t.fails("a place at byte -1", character, -1)
end)

t.test("files of other forms, by their own names", function()
  for path, folder in pairs { ["bert/vocab.txt"] = "bert", ["roberta/merges.txt"] = "roberta",
    ["gpt2/vocab.json"] = "gpt2", ["plain_pairs/tokenizer.model"] = "plain_pairs" } do
    t.equal(tokenizer.open(FILES .. "/" .. path).sha256, tokenizer.open(FILES .. "/" .. folder).sha256, path)
  end
end)

-- A folder with these files; a table is written as JSON.
local function folder_with(files)
  local folder = t.folder()
  for name, said in pairs(files) do
    core.write_file(folder .. "/" .. name, type(said) == "table" and core.json_encode(said) or said)
  end
  return folder
end

t.test("what other forms cannot be", function()
  local vocabulary, pairs_ = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n", { a = 0, b = 1, ab = 2 }
  local model = core.read_file(FILES .. "/plain_unigram/spiece.model")
  local function fails(words, files) t.fails(words, tokenizer.open, folder_with(files)) end
  fails("vocab.txt: line 2 is not UTF-8: this is no vocabulary", { ["vocab.txt"] = "a\n\xff\n" })
  fails("vocab.txt has no [UNK], the piece for what is unknown", { ["vocab.txt"] = "" })
  fails("tokenizer_config.json: a vocab.txt of BertJapaneseTokenizer is not known here; known are those of BertTok",
    { ["vocab.txt"] = vocabulary, ["tokenizer_config.json"] = { tokenizer_class = "BertJapaneseTokenizer" } })
  fails("tokenizer_config.json: do_lower_case must be true or false, not 1",
    { ["vocab.txt"] = vocabulary, ["tokenizer_config.json"] = { do_lower_case = 1 } })
  fails("tokenizer_config.json: do_basic_tokenize = false is not known here",
    { ["vocab.txt"] = vocabulary, ["tokenizer_config.json"] = { do_basic_tokenize = false } })
  fails("tokenizer_config.json: cls_token is not a text",
    { ["vocab.txt"] = vocabulary, ["tokenizer_config.json"] = { cls_token = 5 } })
  fails("tokenizer_config.json: added tokens are not pieces with numbers",
    { ["vocab.txt"] = vocabulary, ["tokenizer_config.json"] = { added_tokens_decoder = { x = "y" } } })
  fails("tokenizer_config.json is damaged: it is not a table of JSON",
    { ["vocab.txt"] = vocabulary, ["tokenizer_config.json"] = "{" })
  fails("merges.txt: line 2 is not two pieces with a space between",
    { ["vocab.json"] = pairs_, ["merges.txt"] = "#version: 0.2\na\n" })
  fails("merge 1, b a, speaks of a piece that is not in the vocabulary",
    { ["vocab.json"] = pairs_, ["merges.txt"] = "b a\n" })
  fails("vocab.json: this is no vocabulary: it does not give a number to each piece",
    { ["vocab.json"] = { a = "b" }, ["merges.txt"] = "a b\n" })
  fails("a vocab.txt of mpnet is not known", { ["vocab.txt"] = vocabulary, ["config.json"] = { model_type = "mpnet" } })
  fails("a vocab.json with merges.txt of CLIPTokenizer is not known here; known are those of BartTokenizer, GPT2To",
    { ["vocab.json"] = pairs_, ["merges.txt"] = "", ["tokenizer_config.json"] = { tokenizer_class = "CLIPTokenizer" } })
  t.fails("vocab.json: a tokenizer of this form is vocab.json with merges.txt, in one folder", tokenizer.open,
    folder_with { ["vocab.json"] = pairs_ } .. "/vocab.json")
  fails("has a.model and b.model: say which of them is the tokenizer", { ["a.model"] = "", ["b.model"] = "" })
  fails("a.model: it has no pieces: this is no model of SentencePiece", { ["a.model"] = "" })
  fails("a.model: ", { ["a.model"] = "<html>" })
  fails("the file is cut short or broken, fetch it again", { ["a.model"] = model:sub(1, -2) })
  fails("sentencepiece.bpe.model: files of this name are numbered as their network has it: put its config.json beside",
    { ["sentencepiece.bpe.model"] = model })
  fails("a .model of T5Tokenizer is not known here; known are those of CamembertTokenizer, XLMRobertaTokenizer, cam",
    { ["spiece.model"] = model, ["tokenizer_config.json"] = { tokenizer_class = "T5Tokenizer" } })
  fails("XLMRobertaTokenizer has models of the type unigram, not BPE", { ["tokenizer_config.json"] =
    { tokenizer_class = "XLMRobertaTokenizer" }, ["a.model"] = core.read_file(FILES .. "/plain_bare/own.model") })
  local function changed(field) return model .. field end -- of a field that stands twice the last counts
  fails("a.model: its unk_id is 9000000, and there are ", { ["a.model"] = changed "\x12\x06\xc0\x02\xc0\xa8\xa5\x04" })
  fails("a.model: its model is of the type 4; unigram (1) and BPE (2) are read",
    { ["a.model"] = changed "\x12\2\x18\4" })
  fails("a.model: its pieces have their spaces behind them", { ["a.model"] = changed "\x12\3\xc0\1\1" })
  fails("has no finite score", { ["a.model"] = changed "\x0a\8\x0a\1x\x15\0\0\xc0\x7f" })
  fails("has no text", { ["a.model"] = changed "\x0a\0" })
end)

t.test("each allocation of the readers in C can fail", function()
  for _, path in ipairs { FILES .. "/plain_unigram/spiece.model", FILES .. "/plain_pairs/tokenizer.model" } do
    local done, n = false, 0
    while not done do
      n = n + 1
      core.inject_failure(n)
      local ok, e = pcall(core.tokenizer.sentencepiece, path)
      done = core.inject_failure(0) < n
      assert(ok == done, "allocation " .. n)
      if not ok then assert(tostring(e):find("memory", 1, true), e) end
    end
    assert(n > 2)
  end
end)

t.test("a network's folder gives its tokenizer along", function()
  local tlua = require "tlua"
  local folder, path, said = t.folder(), FOLDER .. "/wordpiece.json", nil
  for _, name in ipairs { "config.json", "model.safetensors" } do
    copy_to(folder, "tests/golden/text/bert/" .. name, name)
  end
  local size = tokenizer.open(path).handle:size()
  local function opened(rows) return tlua.models.from_folder { path = folder, vocabulary = rows } end
  t.equal(rawget(opened(size), "file_tokenizer"), nil)
  copy_to(folder, path, "tokenizer.json")
  said = noted(function()
    t.equal(rawget(opened(size), "file_tokenizer").sha256, tokenizer.open(path).sha256)
  end)
  t.equal(said, nil)
  core.write_file(folder .. "/tokenizer.json", "{}")
  said = noted(function() t.equal(rawget(opened(size), "file_tokenizer"), nil) end)
  t.equal(said, ("%s/tokenizer.json: this is no tokenizer.json: it has no model: the network comes without its " ..
    "tokenizer"):format(folder))
  copy_to(folder, path, "tokenizer.json")
  t.fails(("%s/tokenizer.json is of another network: its numbers go up to %d, and the vocabulary of %s/config.json " ..
    "has %d"):format(folder, size - 1, folder, size - 1), opened, size - 1)
  t.equal(noted(function() opened(2 * size) end), ("%s/tokenizer.json has %d pieces, and the network's vocabulary " ..
    "%d: is it of another network?"):format(folder, size, 2 * size))
end)

t.finish()
