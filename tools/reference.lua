-- reference.lua - docs/reference, a page for each family of what help() and `tlua --help` know, with the examples of
-- lua/tlua/repl/examples; `make docs` runs it.
--   tlua tools/reference.lua write            writes docs/reference
--   tlua tools/reference.lua check            says which of its pages are stale; the status is 1 then
--   tlua tools/reference.lua operators        docs/ops.md, from what build/ops_doc prints, with examples
local core = require "tlua.core"
local help = require "tlua.repl.help"
local examples = require "tlua.repl.examples"
local commands = require "tlua.command.commands"
local models = require "tlua.models"
local util = require "tlua.util"

local FOLDER = "docs/reference"
local MADE = "<!-- Made by `make docs` from what help() and --help know; do not edit. -->"
local SHOWN = "Examples are lines as they are typed at the prompt; `-->` has what it shows, numbers in one row. " ..
  "In a file an expression stands in `print()`. All of them are run by the tests"
local DATA = ", in a folder with small data: `tlua docs/shapes.lua pictures`, `docs/squares.lua squares`, " ..
  "`docs/reviews.lua reviews`, `docs/tones.lua recordings` and `docs/scans.lua scans` make most of it, " ..
  "tests/lua/run_examples.lua the rest"

-- The pages: file, title, the sections of the manual in it, what stands at its head.
local PAGES = {
  { "tensors", "Tensors, device, files", { "tensors", "device, memory, chance", "files" },
    "Tensors have rows, columns and so on in the order of their shape; pictures are (N, H, W, C). Dimensions and " ..
    "elements count from 1, -1 is the last; labels and ids are data and count from 0. Every operator of " ..
    "[ops.md](../ops.md) is a method too." },
  { "layers", "Layers", { "layers" },
    "Layers are made once and called like functions. Names and layouts of weights are PyTorch's. A width that is " ..
    "not said is taken from what comes in." },
  { "losses", "Losses", { "losses" }, "What a recipe's `loss` takes, and what a loop of your own calls." },
  { "modules", "What modules do", { "modules" },
    "`net` is any module, `detector` a network that finds boxes, `encoder` one of texts." },
  { "optimisers", "Optimisers", { "optimisers" },
    "With options alone an optimiser is described, for a recipe; with parameters, a module or groups of parameters " ..
    "it is made. `opt` is one that is made." },
  { "networks", "Networks", {}, "A network is made by its name with its options and begins with random weights; " ..
    "`weights` names a file or a published set. [recipes.md](../recipes.md) says more on weights." },
  { "data", "Data", { "networks and data", "pictures" },
    "A source is described, `data.folder { root = \"pictures\" }`, and opened by a recipe, or by `data.open`." },
  { "tasks", "Tasks", { "tasks" }, "What is learnt; mostly it follows from the data and is not said." },
  { "recipe", "Recipes and the prompt", { "recipes", "at the prompt" },
    "All fields with their words: [recipes.md](../recipes.md); the prompt: [repl.md](../repl.md)." },
}

-- ---- words ----

local out
local function say(...) out[#out + 1] = select("#", ...) > 1 and string.format(...) or (...) end

-- The place of a heading on the page, as GitHub and the site call it.
local function anchor(title) return (title:lower():gsub("[^%w_%s%-]", ""):gsub("%s", "-")) end

-- Letters that would be markup in a sentence.
local function plain(text)
  return (text:gsub("[*_<>%[%]]", function(c) return c == "<" and "&lt;" or c == ">" and "&gt;" or "\\" .. c end))
end

-- What code is, in a sentence: words with = or a call, and what stands in the code's own signs, stay as they are.
local function prose(text)
  local parts = {}
  for before, code in (text .. "``"):gmatch "([^`]*)`([^`]*)`" do
    parts[#parts + 1] = plain(before) .. (code ~= "" and "`" .. code .. "`" or "")
  end
  return table.concat(parts)
end

local function call(form)
  local list = {}
  for i, p in ipairs(form.params) do
    list[i] = ("%s%s%s"):format(p.name, p.optional and "?" or "", p.type and ": " .. p.type or "")
  end
  if form.options and #form.options > 0 then list[#list + 1] = "{ options }" end
  return ("%s(%s)%s"):format(form.name, table.concat(list, ", "), form.result ~= "nil" and ": " .. form.result or "")
end

local function option_line(o)
  local kind = o.type and "`" .. o.type .. "`" or ""
  local default = o.required and ", required" or o.default and (", `%s`"):format(o.default) or ""
  return ("- `%s` (%s%s)%s"):format(o.name, kind, default, o.brief and ": " .. prose(o.brief) or "")
end

local function options_of(entry)
  local most
  for _, form in ipairs(entry.forms) do
    if form.options and #form.options > (most and #most or 0) then most = form.options end
  end
  return most or {}
end

-- Options that at least five entries tell of in the same words: line -> true, and a list of them.
local function shared_of(entries)
  local count, shared, list = {}, {}, {}
  for _, entry in ipairs(entries) do
    for _, o in ipairs(options_of(entry)) do
      local line = option_line(o)
      count[line] = (count[line] or 0) + (o.brief and 1 or 0)
      if count[line] == 5 and not shared[line] then
        shared[line] = true
        list[#list + 1] = line
      end
    end
  end
  return shared, list
end

-- ---- an entry, a page ----

local MANY = "Options that many have"

local function code(lines, language)
  say("```" .. language)
  for _, line in ipairs(lines) do say(line) end
  say "```\n"
end

local function entry_text(entry, shared)
  say("### %s\n", entry.name)
  local calls, common, own = {}, {}, 0
  for i, form in ipairs(entry.forms) do calls[i] = call(form) end
  code(calls, "text")
  say("%s\n", prose(entry.text))
  for _, o in ipairs(options_of(entry)) do
    local line = option_line(o)
    if shared[line] then common[#common + 1] = "`" .. o.name .. "`"
    else
      say(line)
      own = own + 1
    end
  end
  if own > 0 then say "" end
  if #common > 0 then
    say("%s %s, as [many](#%s) have them.\n", own > 0 and "Also" or "Options:", table.concat(common, ", "),
      anchor(MANY))
  end
  code(entry.example or error(entry.name .. " has no example"), "lua")
end

local function head(title, text, more)
  say("# %s\n", title)
  say("%s\n", MADE)
  say("%s\n", text)
  say("%s%s.\n", SHOWN, more or "")
end

local function links(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = ("[%s](#%s)"):format(plain(name), anchor(name)) end
  say("%s\n", table.concat(list, " · "))
end

-- What all entries of a page have in common stands at its end.
local function entries_text(entries)
  local names = {}
  for i, entry in ipairs(entries) do names[i] = entry.name end
  links(names)
  local shared, list = shared_of(entries)
  for _, entry in ipairs(entries) do entry_text(entry, shared) end
  if #list > 0 then
    say("## %s\n", MANY)
    for _, line in ipairs(list) do say(line) end
    say ""
  end
end

local function of_sections(titles)
  local list = {}
  for _, title in ipairs(titles) do
    for _, section in ipairs(help.sections()) do
      if section.title == title then table.move(section, 1, #section, #list + 1, list) end
    end
  end
  return list
end

local function rounded(v)
  for _, unit in ipairs { { 1e9, " G" }, { 1e6, " M" } } do
    if v >= unit[1] then return ("%.3g"):format(v / unit[1]) .. unit[2] end
  end
  return ("%d"):format(v)
end

local function networks_text()
  say "| network | parameters | multiply-adds | size | weights |\n|---|---:|---:|---|---|"
  for _, m in ipairs(models.list()) do
    local name, sets = "models." .. m.name, util.keys(models.registry.entry(m.name).weights or {})
    say("| [%s](#%s) | %s | %s | %s | %s |", plain(m.name), anchor(name), util.thousands(m.parameters),
      rounded(m.multiply_adds), m.size, plain(table.concat(sets, ", ")))
  end
  say ""
  local entries = {}
  for _, section in ipairs(help.sections()) do
    for _, entry in ipairs(section) do
      if entry.name:find "^models%." then entries[#entries + 1] = entry end
    end
  end
  for _, name in ipairs(models.names()) do entries[#entries + 1] = help.network(name) end
  entries_text(entries)
end

local function page(each)
  out = {}
  local on_data = { data = true, tasks = true, networks = true, recipe = true }
  head(each[2], each[4], on_data[each[1]] and DATA)
  if each[1] == "networks" then networks_text()
  else
    local entries = {}
    for _, entry in ipairs(of_sections(each[3])) do
      if not entry.name:find "^models%." then entries[#entries + 1] = entry end
    end
    entries_text(entries)
  end
  return table.concat(out, "\n")
end

-- ---- commands, the index, operators ----

local function command_text(c)
  say("### %s\n", c.name == "" and "tlua" or "tlua " .. c.name)
  code({ commands.call_of(c) .. (c.fields and not c.args:find "FIELD" and " [--FIELD VALUE]..." or "") }, "text")
  say("%s.%s\n", prose(c.brief:sub(1, 1):upper() .. c.brief:sub(2)), c.text and " " .. prose(c.text) or "")
  local list = commands.options(c)
  for _, o in ipairs(list) do say("- `%s`: %s", commands.option_text(o), prose(o[3])) end
  if c.data then say "- `--data.FIELD VALUE`: any field of the data ([data](data.md))" end
  if c.fields then say "- `--FIELD VALUE`: any field of the recipe: `tlua RECIPE.lua --help`" end
  if #list > 0 or c.data or c.fields then say "" end
  code(c.examples or error(("tlua %s has no example"):format(c.name)), "sh")
end

local function commands_page()
  out = {}
  say "# Commands\n"
  say("%s\n", MADE)
  say "What follows an option may stand behind = as well. The examples are run by `make test-docs`.\n"
  local names = {}
  for i, c in ipairs(commands.list) do names[i] = c.name == "" and "tlua" or "tlua " .. c.name end
  links(names)
  for _, group in ipairs(commands.groups) do
    say("## %s\n", group)
    for _, c in ipairs(commands.list) do
      if c.group == group then command_text(c) end
    end
  end
  say "## Environment\n"
  for _, each in ipairs(commands.environment) do say("- `%s`: %s", each[1], prose(each[2])) end
  say "\n## Exit status\n"
  for _, each in ipairs(commands.statuses) do say("- %d: %s", each[1], prose(each[2])) end
  say ""
  return table.concat(out, "\n")
end

local function index_page()
  out = {}
  say "# Reference\n"
  say("%s\n", MADE)
  say "`help()` at the prompt says the same of everything here, `tlua COMMAND --help` of the commands.\n"
  local function row(file, title, names)
    say("- [%s](%s): %s", title, file, table.concat(names, ", "))
  end
  for _, each in ipairs(PAGES) do
    local names = {}
    if each[1] == "networks" then names = models.names()
    else
      for _, entry in ipairs(of_sections(each[3])) do
        if not entry.name:find "^models%." then names[#names + 1] = entry.name end
      end
    end
    for i, name in ipairs(names) do
      local full = each[1] == "networks" and "models." .. name or name
      names[i] = ("[%s](%s.md#%s)"):format(plain(name), each[1], anchor(full))
    end
    row(each[1] .. ".md", each[2], names)
  end
  local names = {}
  for i, name in ipairs(commands.names()) do names[i] = ("[%s](commands.md#tlua-%s)"):format(name, name) end
  row("commands.md", "Commands", names)
  names = {}
  for i, op in ipairs(core.op_list()) do names[i] = ("[%s](../ops.md#%s)"):format(plain(op.name), op.name) end
  row("../ops.md", "Operators", names)
  say ""
  return table.concat(out, "\n")
end

local function pages()
  local list = { README = index_page(), commands = commands_page() }
  for _, each in ipairs(PAGES) do list[each[1]] = page(each) end
  return list
end

-- docs/ops.md as build/ops_doc prints it, each operator with its example at its end.
local function with_examples(text)
  local all, name = examples.all(), nil
  out = {}
  local function example()
    if name then code(all[name] or error(name .. " has no example"), "lua") end
  end
  for line in text:gmatch "([^\n]*)\n" do
    local next_one = line:match "^### (.*)$"
    if next_one then
      example()
      name = next_one
    end
    say("%s", line)
  end
  example()
  return table.concat(out, "\n")
end

local words = { write = function()
  core.mkdirs(FOLDER)
  for name, text in pairs(pages()) do core.write_file(("%s/%s.md"):format(FOLDER, name), text) end
end, check = function()
  local stale = false
  for name, text in pairs(pages()) do
    local path = ("%s/%s.md"):format(FOLDER, name)
    if not core.exists(path) or core.read_file(path) ~= text then
      print(path .. " is stale: make docs")
      stale = true
    end
  end
  if stale then os.exit(1) end
end, operators = function() io.write(with_examples(io.read "a")) end }
(words[arg[1]] or error "write, check or operators")()
