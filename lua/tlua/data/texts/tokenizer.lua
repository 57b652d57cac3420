-- tokenizer.lua - tokenizers out of files, whatever form they have: { handle = what encodes, of core.tokenizer,
-- json = the text of a tokenizer.json, name = where it is from, sha256 = of the JSON }. Model files keep the JSON.
local core = require "tlua.core"
local util = require "tlua.util"
local tokenizer = {}

-- The JSON of a tokenizer.json; `name` is for messages.
function tokenizer.read(json, name)
  if type(json) ~= "string" then util.failf("%s: the text of a tokenizer.json is wanted", tostring(name)) end
  return { handle = core.tokenizer.read(json, name), json = json, name = name, sha256 = core.sha256(json) }
end

-- Forms of files, in the order in which a folder is looked through: the files' names, and what gives the JSON of their
-- paths and of what else the folder says (forms/parts.lua: settings).
local function form(name) return function(...) return require("tlua.data.texts.forms." .. name).json(...) end end

-- A tokenizer.json is taken as it is. transformers rebuilds some of its classes by tokenizer_config.json, whatever the
-- JSON says; where both differ in what everybody trips over, that is said.
local function whole(path, settings)
  local json = core.read_file(path)
  local said = settings.config.do_lower_case
  local own = type(said) == "boolean" and json:match '"lowercase"%s*:%s*(%a+)'
  if own and own ~= tostring(said) then
    util.note(("%s says lowercase = %s, and tokenizer_config.json beside it do_lower_case = %s: the first counts")
      :format(path, own, said))
  end
  return json
end

local forms = {
  { files = { "tokenizer.json" }, json = whole },
  { files = { "vocab.txt" }, json = form "wordpiece" },
  { files = { "vocab.json", "merges.txt" }, json = form "bytes" },
  { files = { "*.model" }, json = form "sentencepiece" },
}

-- The one file of a folder whose name ends so; nil where there is none.
local function ending_in(folder, ending)
  local found
  for _, name in ipairs(core.list_folder(folder)) do
    if name:sub(-#ending) == ending then
      if found then util.failf("%s has %s and %s: say which of them is the tokenizer", folder, found, name) end
      found = name
    end
  end
  return found
end

-- The files of a form in a folder; nil where it has not all of them.
local function files_in(folder, each)
  local paths = {}
  for i, name in ipairs(each.files) do
    name = name:sub(1, 1) == "*" and ending_in(folder, name:sub(2)) or name
    paths[i] = folder .. "/" .. name
    if not core.exists(paths[i]) then return nil end
  end
  return paths
end

local function opened(each, folder, paths)
  table.insert(paths, require("tlua.data.texts.forms.parts").settings(folder))
  return tokenizer.read(each.json(table.unpack(paths)), paths[1])
end

-- The tokenizer of a folder as Hugging Face lays it out; nil where it has none.
function tokenizer.find(folder)
  for _, each in ipairs(forms) do
    local paths = files_in(folder, each)
    if paths then return opened(each, folder, paths) end
  end
end

local function known()
  local list = {}
  for i, each in ipairs(forms) do list[i] = table.concat(each.files, " with ") end
  return table.concat(list, ", ")
end

-- The form of one file, by its name.
local function form_of(path)
  local folder, name = path:match "^(.*)/([^/]*)$"
  folder, name = folder or ".", name or path
  for _, each in ipairs(forms) do
    for _, file in ipairs(each.files) do
      if file == name and #each.files > 1 and not files_in(folder, each) then
        util.failf("%s: a tokenizer of this form is %s, in one folder", path, table.concat(each.files, " with "))
      end
      if file == name then return each, folder, files_in(folder, each) end
    end
  end
  if name:find "%.json$" then return forms[1], folder, { path } end
  if name:find "%.txt$" then return forms[2], folder, { path } end
  if name:find "%.model$" then return forms[4], folder, { path } end
  util.failf("%s: no tokenizer is known by this name; known are %s", path, known())
end

-- A file, or a folder with one.
function tokenizer.open(path)
  if type(path) ~= "string" then util.fail("a tokenizer: the path of a file or of a folder is wanted") end
  path = core.path(path):gsub("(.)/+$", "%1")
  local missing = util.missing(path, "tokenizer")
  if missing then util.fail(missing) end
  if not core.is_folder(path) then return opened(form_of(path)) end
  return tokenizer.find(path) or util.failf("%s has no tokenizer: looked for %s", path, known())
end

-- ---- places ----

-- Places in a text count bytes; files of answers count characters. A function of a place in bytes, from 0, that gives
-- the characters before it; a place within a character is behind it. And a function the other way.
function tokenizer.characters(text)
  local before, count = {}, 0
  for at in utf8.codes(text) do
    before[at - 1] = count
    count = count + 1
  end
  before[#text] = count
  return function(byte)
    while byte > 0 and byte < #text and not before[byte] do byte = byte + 1 end
    return before[byte] or util.failf("a place at byte %d of a text of %d", byte, #text)
  end
end
function tokenizer.bytes(text)
  local at = {}
  for byte in utf8.codes(text) do at[#at + 1] = byte - 1 end
  at[#at + 1] = #text
  return function(character)
    return at[character + 1] or util.failf("a place at character %d of a text of %d", character, #at - 1)
  end
end

return tokenizer
