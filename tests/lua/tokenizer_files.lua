-- tokenizer_files.lua - tokenizers out of all forms of files, each as Hugging Face's conversion makes of it.
-- Run by `tlua tests/lua/tokenizer_files.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tokenizer = require "tlua.data.texts.tokenizer"

local FOLDER = "tests/golden/tokenizers"

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

t.test("what is no tokenizer", function()
  local folder = t.folder()
  t.equal(tokenizer.find(folder), nil)
  t.fails(folder .. " has no tokenizer: looked for tokenizer.json", tokenizer.open, folder)
  t.fails("there is no tokenizer no/such/file", tokenizer.open, "no/such/file")
  t.fails("the path of a file or of a folder is wanted", tokenizer.open, { path = "a" })
  core.write_file(folder .. "/tokenizer.json", "{}")
  t.fails(folder .. "/tokenizer.json: this is no tokenizer.json: it has no model", tokenizer.open, folder)
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
  local util = require "tlua.util"
  local note <close> = setmetatable({ util.note }, { __close = function(me) util.note = me[1] end })
  util.note = function(text) said = text end
  t.equal(rawget(opened(size), "file_tokenizer").sha256, tokenizer.open(path).sha256)
  t.equal(said, nil)
  t.fails(("%s/tokenizer.json is of another network: its numbers go up to %d, and the vocabulary of %s/config.json " ..
    "has %d"):format(folder, size - 1, folder, size - 1), opened, size - 1)
  opened(2 * size)
  t.equal(said, ("%s/tokenizer.json has %d pieces, and the network's vocabulary %d: is it of another network?"):format(
    folder, size, 2 * size))
end)

t.finish()
