-- tokenizer.lua - tokenizers out of files, whatever form they have: { handle = what encodes, of core.tokenizer, json = the
-- text of a tokenizer.json, name = where it is from, sha256 = of the JSON }. Model files keep the JSON alone.
local core = require "tlua.core"
local util = require "tlua.util"
local tokenizer = {}

-- The JSON of a tokenizer.json; `name` is for messages.
function tokenizer.read(json, name)
  if type(json) ~= "string" then util.failf("%s: the text of a tokenizer.json is wanted", tostring(name)) end
  return { handle = core.tokenizer.read(json, name), json = json, name = name, sha256 = core.sha256(json) }
end

-- Forms of files, in the order in which a folder is looked through: the files' names, and what gives the JSON.
local forms = {
  { says = "tokenizer.json", files = { "tokenizer.json" }, json = function(path) return core.read_file(path) end },
}

-- The first form of which a folder has all files.
local function form_in(folder)
  for _, form in ipairs(forms) do
    local paths = {}
    for i, name in ipairs(form.files) do
      local path = folder .. "/" .. name
      if core.exists(path) then paths[i] = path end
    end
    if #paths == #form.files then return form, paths end
  end
end

-- The tokenizer of a folder as Hugging Face lays it out; nil where it has none.
function tokenizer.find(folder)
  local form, paths = form_in(folder)
  return form and tokenizer.read(form.json(table.unpack(paths)), paths[1])
end

local function known()
  local list = {}
  for i, form in ipairs(forms) do list[i] = form.says end
  return table.concat(list, ", ")
end

-- A file, or a folder with one.
function tokenizer.open(path)
  if type(path) ~= "string" then util.fail("a tokenizer: the path of a file or of a folder is wanted") end
  path = core.path(path):gsub("(.)/+$", "%1")
  local missing = util.missing(path, "tokenizer")
  if missing then util.fail(missing) end
  if not core.is_folder(path) then return tokenizer.read(core.read_file(path), path) end
  return tokenizer.find(path) or util.failf("%s has no tokenizer: looked for %s", path, known())
end

return tokenizer
