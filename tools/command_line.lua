-- command_line.lua man|bash|zsh|fish - the manual page and the completion of shells, from lua/tlua/command/commands.lua and the fields that recipes
-- have. Written to standard output by `make docs`.
local tlua = require "tlua"
local core = require "tlua.core"
local commands = require "tlua.command.commands"
local util = require "tlua.util"
local optim, data, nn = tlua.optim, tlua.data, tlua.nn

-- ---- what there is to complete ----

-- All fields that a recipe can have: name -> {what its value is: "file", "model", a list of words, or "", brief}.
local function all_fields()
  local found = {}
  local function add(r)
    r:each_field(function(path, field)
      local kind = field[2]
      local value = path == "model" and "model" or kind == "choice" and field[5] or kind == "boolean" and { "true", "false" } or kind == "path" and "file" or
        path == "device" and { "cpu", "gpu" } or path == "freeze" and { "none" } or ""
      found[path] = { value, field[4] }
    end)
  end
  for _, kind in ipairs(data.names) do add(tlua.recipe { model = tlua.models.resnet18 {}, data = data[kind] {} }) end
  for _, kind in ipairs(optim.names) do add(tlua.recipe { model = tlua.models.efficientnet_b0 {}, data = data.folder { root = "x" }, optim = optim[kind] {}, compare = {} }) end
  for _, kind in ipairs(require("tlua.nn.loss").list) do
    add(tlua.recipe { model = tlua.models.vit_base_patch16_224 {}, data = data.folder { root = "x" }, loss = nn[kind] {} })
  end
  return found, util.keys(found)
end

local function model_names()
  local names = {}
  for i, m in ipairs(require("tlua.models").list()) do names[i] = m.name end
  table.sort(names)
  return names
end

local FILES = { FILE = true, FOLDER = true, DIR = true, PATH = true, ["FILE|NAME"] = true, RUN = true }

-- The options of a command as {name, "flag" | "file" | list of words | "", brief}.
local function options_of(c)
  local list = { { "help", "flag", "what it does, and its options" } }
  for _, o in ipairs(commands.options(c)) do
    local words = o[2] and o[2]:find "^[%l_]+|" and {}
    if words then
      for word in o[2]:gmatch "[%w_]+" do words[#words + 1] = word end
    end
    list[#list + 1] = { o[1], not o[2] and "flag" or o[2]:sub(1, 1) == "[" and "flag" or FILES[o[2]] and "file" or words or o[1] == "device" and { "cpu", "gpu" } or
      o[1] == "data" and data.names or "", o[3] }
  end
  return list
end

local function dashed(list)
  local out = {}
  for i, each in ipairs(list) do out[i] = "--" .. (type(each) == "table" and each[1] or each) end
  return out
end

local function of_list()
  local list = {}
  for _, c in ipairs(commands.list) do
    if c.name:find "^%l+$" then list[#list + 1] = c end
  end
  return list
end

-- What is known about the value of every option, of commands and recipes: words of a list -> the options that take one of them; files.
local function values(fields, names)
  local lists, files, models, free = {}, {}, {}, {}
  local function add(name, value)
    if value == "flag" then return end
    if value == "file" then files[name] = true
    elseif value == "model" then models[name] = true
    elseif type(value) == "table" then
      local key = table.concat(value, " ")
      lists[key] = lists[key] or {}
      lists[key][name] = true
    else free[name] = true end
  end
  for _, name in ipairs(names) do add(name, fields[name][1]) end
  for _, c in ipairs(commands.list) do
    for _, o in ipairs(options_of(c)) do add(o[1], o[2]) end
  end
  for name in pairs(files) do free[name] = nil end
  for _, known in pairs(lists) do
    for name in pairs(known) do files[name], free[name] = nil, nil end
  end
  return lists, files, models, free
end

-- "COMMAND --OPTION" of the flags whose name takes a value elsewhere: `tlua watch --text`.
local function bare_flags(names, fields)
  local valued, out = {}, {}
  for _, name in ipairs(names) do valued[name] = fields[name][1] ~= "flag" end
  for _, c in ipairs(commands.list) do
    for _, o in ipairs(options_of(c)) do valued[o[1]] = valued[o[1]] or o[2] ~= "flag" end
  end
  for _, c in ipairs(of_list()) do
    for _, o in ipairs(options_of(c)) do
      if o[2] == "flag" and valued[o[1]] then out[#out + 1] = ('"%s --%s"'):format(c.name, o[1]) end
    end
  end
  return table.concat(out, "|")
end

local function patterns(set)
  local list = {}
  for _, name in ipairs(util.keys(set)) do list[#list + 1] = "--" .. name end
  return table.concat(list, "|")
end

-- ---- bash and zsh: the same cases ----

local HEAD = "# Completion of tlua for %s; made by tools/command_line.lua (make docs), not by hand."

-- Lines of `case`, by which both shells say what follows an option, and what a command takes. say(what, words): a line of the shell that offers
-- words, files, models or recipes.
local function cases(say)
  local fields, names = all_fields()
  local lists, files, models, free = values(fields, names)
  local out = {}
  local function line(text) out[#out + 1] = text end
  -- Behind a flag stands what the command takes, although another has a value for the same name.
  line(('    case "$command $before" in %s) before= ;; esac'):format(bare_flags(names, fields)))
  line '    case "$before" in'
  line(("    %s) %s; return ;;"):format(patterns(models), say "models"))
  for _, key in ipairs(util.keys(lists)) do line(("    %s) %s; return ;;"):format(patterns(lists[key]), say("words", key))) end
  line(("    %s) %s; return ;;"):format(patterns(files), say "files"))
  line(("    %s) return ;;"):format(patterns(free)))
  line "    esac"
  line '    case "$command" in'
  for _, c in ipairs(of_list()) do
    local own = table.concat(dashed(options_of(c)), " ")
    local rest = c.choices and say("words", table.concat(c.choices, " ")) or c.recipe and say "recipes" or c.args:find "MODEL" and say "models and files" or c.args == "" and ":" or say "files"
    line(("    %s)"):format(c.name))
    if c.fields then line(('        if [[ $current == -* ]]; then %s; else %s; fi ;;'):format(say("words", own .. " $fields"), rest))
    else line(('        if [[ $current == -* ]]; then %s; else %s; fi ;;'):format(say("words", own), rest)) end
  end
  line(('    -i) if [[ $current == -* ]]; then %s; else %s; fi ;;'):format(say("words", "$fields"), say "recipes"))
  line(('    *.lua|--resume) if [[ $current == -* ]]; then %s; else %s; fi ;;'):format(say("words", table.concat(dashed(commands.RUN), " ") .. " $fields"), say "files"))
  line "    esac"
  return table.concat(out, "\n"), names
end

local function first_words()
  return table.concat(commands.names(), " ") .. " help", "-e -i --resume --profile --help --version"
end

local function bash()
  local function say(what, words)
    if what == "words" then return ('COMPREPLY=($(compgen -W "%s" -- "$current"))'):format(words) end
    if what == "models" then return 'COMPREPLY=($(compgen -W "$models" -- "$current"))' end
    if what == "models and files" then return 'COMPREPLY=($(compgen -W "$models" -- "$current") $(compgen -f -- "$current"))' end
    if what == "recipes" then return 'COMPREPLY=($(compgen -f -X "!*.lua" -- "$current") $(compgen -d -- "$current"))' end
    return 'COMPREPLY=($(compgen -f -- "$current"))'
  end
  local body, names = cases(say)
  local plain, dashes = first_words()
  return table.concat({ HEAD:format "bash", "_tlua()", "{",
    '    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}',
    '    local models="' .. table.concat(model_names(), " ") .. '"',
    '    local fields="' .. table.concat(dashed(names), " ") .. '"',
    "    COMPREPLY=()",
    "    compopt -o filenames 2>/dev/null",
    "    if [[ $COMP_CWORD -eq 1 ]]; then",
    ('        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "%s" -- "$current"))'):format(dashes),
    ('        else COMPREPLY=($(compgen -W "%s" -- "$current") $(compgen -f -X "!*.lua" -- "$current") $(compgen -d -- "$current")); fi'):format(plain),
    "        return", "    fi", body, "}", "complete -F _tlua tlua", "" }, "\n")
end

local function zsh()
  local function say(what, words)
    if what == "words" then return ('compadd -- %s'):format((words:gsub("%$fields", "$=fields"))) end
    if what == "models" then return "compadd -- $=models" end
    if what == "models and files" then return "compadd -- $=models; _files" end
    if what == "recipes" then return '_files -g "*.lua"' end
    return "_files"
  end
  local body, names = cases(say)
  local plain, dashes = first_words()
  return table.concat({ "#compdef tlua", HEAD:format "zsh", "_tlua()", "{",
    '    local current=$words[CURRENT] before=$words[CURRENT-1] command=$words[2]',
    '    local models="' .. table.concat(model_names(), " ") .. '"',
    '    local fields="' .. table.concat(dashed(names), " ") .. '"',
    "    if [[ $CURRENT -eq 2 ]]; then",
    ("        if [[ $current == -* ]]; then compadd -- %s; else compadd -- %s; _files -g '*.lua'; fi"):format(dashes, plain),
    "        return", "    fi", body, "}", '[[ $funcstack[1] == _tlua ]] && _tlua "$@" || compdef _tlua tlua', "" }, "\n")
end

-- ---- fish ----

local function quoted(text) return "'" .. text:gsub("\\", "\\\\"):gsub("'", "\\'") .. "'" end

local function fish()
  local fields, names = all_fields()
  local out = { HEAD:format "fish",
    "function __tlua_command", "    set -l words (commandline -opc)", "    test (count $words) -ge 2; and echo $words[2]", "end",
    "function __tlua_first", "    test (count (commandline -opc)) -eq 1", "end",
    "function __tlua_is", "    contains -- (__tlua_command) $argv", "end",
    "function __tlua_recipe", "    string match -qr '\\.lua$' -- (__tlua_command); or __tlua_is --resume $argv", "end",
    "complete -c tlua -f", "complete -c tlua -n __tlua_first -a '(__fish_complete_suffix .lua)'" }
  local function line(...) out[#out + 1] = ("complete -c tlua "):format() .. (...):format(select(2, ...)) end
  local function option(condition, name, value, brief)
    local takes = value == "flag" and "" or value == "file" and " -r -F" or value == "model" and " -x -a " .. quoted(table.concat(model_names(), " ")) or
      type(value) == "table" and " -x -a " .. quoted(table.concat(value, " ")) or " -x"
    line("-n %s -l %s%s -d %s", quoted(condition), name, takes, quoted(brief))
  end
  local models = quoted(table.concat(model_names(), " "))
  local with_fields = {}
  for _, c in ipairs(of_list()) do
    line("-n __tlua_first -a %s -d %s", c.name, quoted(c.brief))
    for _, o in ipairs(options_of(c)) do option("__tlua_is " .. c.name, table.unpack(o)) end
    if c.choices then line("-n %s -a %s", quoted("__tlua_is " .. c.name), quoted(table.concat(c.choices, " "))) end
    if c.args:find "MODEL" then line("-n %s -a %s", quoted("__tlua_is " .. c.name), models) end
    if c.recipe then line("-n %s -a '(__fish_complete_suffix .lua)'", quoted("__tlua_is " .. c.name))
    elseif c.args ~= "" and not c.choices then line("-n %s -F", quoted("__tlua_is " .. c.name)) end
    if c.fields then with_fields[#with_fields + 1] = c.name end
  end
  for _, o in ipairs(options_of { options = commands.RUN }) do
    if o[1] ~= "help" then option("__tlua_recipe", o[1], o[1] == "resume" and "file" or o[2], o[3]) end
  end
  line "-n __tlua_first -l version -d 'the version'"
  line "-n __tlua_first -l help -d 'every command'"
  line "-n __tlua_first -l resume -r -F -d 'go on with a run that was stopped'"
  for _, name in ipairs(names) do option("__tlua_recipe -i " .. table.concat(with_fields, " "), name, fields[name][1], fields[name][2]) end
  return table.concat(out, "\n") .. "\n"
end

-- ---- the manual page ----

-- Text as roff wants it.
local function roff(text) return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1"):gsub("\n([.'])", "\n\\&%1")) end

local function man()
  local out = { ".\\\" Made by tools/command_line.lua (make docs), not by hand.", (".TH TLUA 1 \"\" \"tlua %s\" \"User Commands\""):format(core.version) }
  local function add(...)
    for _, line in ipairs { ... } do out[#out + 1] = line end
  end
  local function item(head, text) add(".TP", ".B " .. roff(head), roff(text)) end
  add(".SH NAME", "tlua \\- transfer learning on any OpenCL device", ".SH SYNOPSIS")
  for i, c in ipairs(commands.list) do
    if i > 1 then add ".br" end
    add((c.name == "" and ".B tlua" or ".B tlua " .. roff(c.name)) .. (c.args ~= "" and "\n" .. roff(c.args) or ""))
  end
  add(".SH DESCRIPTION", roff "A recipe, a short Lua file, says which network, which layers stay frozen, the new head, the data and the schedule. tlua trains what it says, and predicts, " ..
    roff "tests and explains with the model that comes of it. What follows an option may stand behind = as well.")
  for _, group in ipairs(commands.groups) do
    add(".SH " .. group:upper())
    for _, c in ipairs(commands.list) do
      if c.group == group then
        add(".SS " .. roff(commands.call_of(c)), roff(c.brief:sub(1, 1):upper() .. c.brief:sub(2)) .. "." .. (c.text and "\n" .. roff(c.text) or ""))
        for _, o in ipairs(commands.options(c)) do item(commands.option_text(o), o[3]) end
        for i, each in ipairs(c.examples or {}) do
          if i == 1 then add(".PP", "Examples:", ".nf") end
          add("  " .. roff(each))
          if i == #c.examples then add ".fi" end
        end
      end
    end
  end
  add(".SH FIELDS", roff "Every field of a recipe is an option, --FIELD VALUE; tlua RECIPE.lua --help shows those of a recipe with their present values, docs/recipes.md says what each does. " ..
    roff "Words of other tools are understood where they mean one field: --epochs, --lr, --batch-size, --num-workers, --output, --gpu, --cpu. Values are never run as Lua.")
  add ".SH ENVIRONMENT"
  for _, each in ipairs(commands.environment) do item(each[1], each[2]) end
  add ".SH FILES"
  for _, each in ipairs(commands.files) do item(each[1], each[2]) end
  add ".SH EXIT STATUS"
  for _, each in ipairs(commands.statuses) do item(tostring(each[1]), each[2]) end
  add(".SH SEE ALSO", roff "The guide, the fields of recipes and the operators are in share/doc/tlua: guide.md, recipes.md, ops.md.", "")
  return table.concat(out, "\n")
end

local forms = { man = man, bash = bash, zsh = zsh, fish = fish }
io.write((forms[arg[1]] or error "man, bash, zsh or fish")())
