-- cli.lua - the command line. Called by the program with the argument vector; returns the exit status: 0, 1 for an
-- error (one clear line on stderr), 2 for a wrong command line.
local core = require "tlua.core"

local commands = require "tlua.command.commands"
local names = require "tlua.command.names"

local function lib() return require "tlua" end

-- ---- running Lua ----

local function set_arguments(argv, first, name)
  local list = { [0] = name }
  for i = first, #argv do list[#list + 1] = argv[i] end
  rawset(_G, "arg", list)
  return table.unpack(list)
end

-- --NAME VALUE and --NAME=VALUE -> { {"NAME", "VALUE"}, ... }; true is the value of words that want none, as --gpu. Other words are an error,
-- or go into the list `rest`.
local function overrides(argv, first, rest)
  local schema, words = require "tlua.schema", require "tlua.command.words"
  local list, i = {}, first
  while i <= #argv do
    local word = argv[i]
    local name, value = word:match("^%-%-([^=]+)=(.*)$")
    if not name and rest and word:sub(1, 1) ~= "-" then rest[#rest + 1] = word
    else
      name = name or word:match("^%-%-(.+)$")
      if not name then schema.usage(("'%s' is not understood: %s"):format(word, words.hint(word))) end
      if not value and words.is_flag(name, argv[i + 1]) then value = true
      elseif not value then
        i = i + 1
        value = argv[i]
        if not value or value:find "^%-%-%a" then schema.usage(words.answer(name) or ("--%s: a value is missing"):format(name)) end
      end
      list[#list + 1] = { name, value }
    end
    i = i + 1
  end
  return list
end

-- Takes --resume RUN, --force, --quiet and --json out of the arguments.
local function run_options(argv, first)
  local options = {}
  for i = #argv, first, -1 do
    local word = argv[i]
    local path = word:match "^%-%-resume=(.+)$"
    if word == "--force" then
      options.force = true
      table.remove(argv, i)
    elseif word == "--quiet" or word == "--json" then
      if options.style and options.style ~= word:sub(3) then
        require("tlua.schema").usage "--quiet says nothing and --json says all: one of them"
      end
      options.style = word:sub(3)
      table.remove(argv, i)
    elseif word == "--resume" or path then
      if not path then path = table.remove(argv, i + 1) end
      if not path then require("tlua.schema").usage("--resume: a run folder or a checkpoint is missing") end
      options.resume = path
      table.remove(argv, i)
    end
  end
  return options
end

-- The text of the recipe that a run of private data has kept, with its paths again; nil where it is no such run's.
local function restored_recipe(path)
  local ok, text = pcall(core.read_file, path)
  local known = ok and require("tlua.data.identifiers").of_run(path)
  return known and known:shown(text) or nil
end

-- "; did you mean recipes/cifar_fe.lua?" of a file that is not there, "" where none in its folder has a name like it.
local function neighbour(path)
  local folder, name = path:match "^(.*/)([^/]*)$"
  folder, name = folder or "", name or path
  local ok, files = pcall(core.list_folder, folder == "" and "." or folder)
  local near = ok and core.near_miss(name, files)
  return near and ("; did you mean %s%s?"):format(folder, near) or ""
end

-- Runs the file argv[1] with the arguments from `first` on. Returns the recipe that it gave, nil where it gave none.
local function load_file(argv, first)
  local path = argv[first - 1]
  local own = path:match "[^/]*$" == "recipe.lua" and restored_recipe(path)
  local env, notes = names.watched()
  local chunk, e = loadfile(path, "t", env)
  if own then chunk, e = load(own, "@" .. path, "t", env) end
  if not chunk then
    local missing = require("tlua.util").missing(path)
    local ok, text = pcall(core.read_file, path)
    error(missing and missing .. neighbour(path) or require("tlua.command.syntax").explain(e, ok and text), 0)
  end
  lib()
  local result = chunk(set_arguments(argv, first, path))
  if type(result) ~= "table" or not package.loaded["tlua.train.recipe"] or not require("tlua.train.recipe").is_recipe(result) then return nil end
  names.check(chunk, notes, path)
  if not result.path then result:set_source(path) end
  if own then result.text = own end
  result.returned = true -- by a file that can be run again to have it
  return result
end

local function run_file(argv)
  local result = load_file(argv, 2)
  if not result then return 0 end
  if commands.wants_help(argv, 2) then
    print(result:help())
    return 0
  end
  local run = run_options(argv, 2)
  if run.resume then result:override(require("tlua.run.checkpoint").overrides(run.resume)) end
  result:override(overrides(argv, 2))
  return result:run(run).interrupted and 130 or 0
end

-- `tlua --resume RUN`: the recipe is the file that the run was made with, or what the run's folder keeps of it.
local function resume_alone(argv)
  local run = argv[1]:match "^%-%-resume=(.+)$" or table.remove(argv, 2)
  if not run then commands.usage("--resume", "a run folder or a checkpoint is missing") end
  local path, note = require("tlua.run.checkpoint").recipe_of(run)
  if note then require("tlua.util").note(note) end
  return run_file { path, "--resume", run, table.unpack(argv, 2) }
end

local function need_recipe(argv)
  return load_file(argv, 3) or error(("%s gives no recipe: it must end with return tlua.recipe {...}"):format(argv[2]), 0)
end

local function need_path(name, argv)
  if not argv[2] or argv[2]:sub(1, 2) == "--" then commands.usage(name, "a recipe is needed") end
end

-- Takes the words of a command that want no value, as --json, out of the arguments.
local function take_flags(argv, first, c)
  local flags = {}
  for i = #argv, first, -1 do
    for _, o in ipairs(c.options or {}) do
      if argv[i] == "--" .. o[1] and not o[2] then
        flags[o[1]] = true
        table.remove(argv, i)
        break
      end
    end
  end
  return flags
end

-- A command of a recipe, with options of its own beside the recipe's fields.
local function of_recipe(name)
  return function(argv)
    need_path(name, argv)
    local c = commands.find(name)
    local command, flags = require(c.own), take_flags(argv, 3, c)
    local options, rest = command.options(overrides(argv, 3))
    for flag in pairs(flags) do options[flag] = true end
    return command.main(need_recipe(argv):override(rest), options)
  end
end

local function compare(argv)
  need_path("compare", argv)
  local command = require "tlua.command.compare"
  local function read() return need_recipe(argv) end
  if commands.wants_help(argv, 3) then return command.help(read) end
  return command.main(read, overrides(argv, 3))
end

-- Names of a recipe's parameters, by its own globs; of anything else the command reads its words itself.
local function params(argv)
  local command = require "tlua.command.params"
  if not (argv[2] or ""):find "%.lua$" then return command.main { table.unpack(argv, 2) } end
  local globs, json = {}, false
  for i = #argv, 3, -1 do
    if argv[i] == "--json" then
      json = true
      table.remove(argv, i)
    end
  end
  local list = overrides(argv, 3, globs)
  return command.of_recipe(need_recipe { argv[1], argv[2] }:override(list), globs, json)
end

local function run_code(argv)
  if argv[2] == nil then require("tlua.schema").usage("-e: the code is missing") end
  local chunk, e = load(argv[2], "=(command line)", "t")
  if not chunk then error(e, 0) end
  rawset(_G, "tlua", lib())
  chunk(set_arguments(argv, 3, "-e"))
  return 0
end

-- ---- lists ----

local function list_models(argv)
  local util = require "tlua.util"
  local _, rest = commands.parse("models", { table.unpack(argv, 2) })
  if #rest > 0 then commands.usage("models", ("'%s' is not understood"):format(rest[1])) end
  print(("%-22s %12s %14s %6s  %s"):format("name", "parameters", "multiply-adds", "size", "weights"))
  for _, m in ipairs(require("tlua.models").list()) do
    print(("%-22s %12s %14s %6s  %s"):format(m.name, util.thousands(m.parameters), util.short(m.multiply_adds),
      m.size or m.seconds and m.seconds .. " s" or "any", table.concat(m.weights, ", ")))
  end
  return 0
end

-- ---- which command ----

-- Of a module's function that takes the words behind the command.
local function main_of(name, what)
  return function(argv) return require(name)[what or "main"] { table.unpack(argv, 2) } end
end

local run = {
  models = list_models,
  devices = main_of "tlua.command.devices",
  params = params,
  inspect = main_of "tlua.command.inspect",
  predict = main_of "tlua.command.predict",
  eval = main_of "tlua.command.eval",
  explain = main_of "tlua.command.explain",
  verify = main_of "tlua.command.verify",
  export = main_of("tlua.command.predict", "export_main"),
  show = of_recipe "show",
  lr = of_recipe "lr",
  compare = compare,
  tune = main_of "tlua.command.tune",
  check = main_of "tlua.command.check",
  report = main_of "tlua.report.runs",
  watch = main_of "tlua.command.watch",
  cache = main_of "tlua.train.cache",
  help = function(argv)
    if argv[2] and not commands.find(argv[2]) then commands.unknown(argv[2]) end
    print(argv[2] and commands.help(argv[2]) or commands.overview())
    return 0
  end,
}
run["--help"], run["-h"] = run.help, run.help
run["--version"] = function() print("tlua " .. core.version) return 0 end
run["-v"] = run["--version"]
run["-e"] = run_code
run["-i"] = function(argv) return require("tlua.repl.session").main(argv, load_file, overrides) end
run["--resume"] = resume_alone
commands.run = run

-- Has `tlua COMMAND --help` a page of its own? A comparison shows the fields of its recipe, where one is named.
local function has_page(argv)
  local c = commands.find(argv[1])
  if not c or not run[argv[1]] or argv[1] == "-e" or not commands.wants_help(argv, 2) then return false end
  return not (argv[1] == "compare" and argv[2]:sub(1, 1) ~= "-")
end

local function command(argv)
  local word = argv[1]
  if word == nil then return require("tlua.repl").run() end
  if word:find "^%-%-resume=" then return resume_alone(argv) end
  if has_page(argv) then
    print(commands.help(word))
    return 0
  end
  if run[word] then return run[word](argv) end
  if word:sub(1, 1) == "-" then require("tlua.schema").usage(("unknown option '%s'; tlua --help lists what there is"):format(word)) end
  if not word:find("[./]") and not core.exists(word) then commands.unknown(word) end
  return run_file(argv)
end

local function message_of(e)
  if type(e) == "string" then return e end
  local meta = getmetatable(e)
  if meta and meta.__tostring then return tostring(e) end
  return ("error object: %s"):format(tostring(e))
end

-- Takes --profile or --profile=FILE out of the arguments; returns the file of the trace.
local function profile_option(argv)
  for i = #argv, 1, -1 do
    local path = argv[i] == "--profile" and "tlua-profile.json" or argv[i]:match "^%-%-profile=(.*)$"
    if path then
      table.remove(argv, i)
      return path
    end
  end
end

local function profiled_command(argv)
  names.check_environment()
  local path = profile_option(argv)
  if not path then return command(argv) end
  if not argv[1] then require("tlua.schema").usage "--profile: a recipe or a command is missing" end
  commands.check_outputs(nil, { { "profile", path } })
  return require("tlua.command.profile").run(function() return command(argv) end, path)
end

-- "--data.root=~/data": the shell puts a home in the place of "~" at the beginning of a word only. And a file typed in one of Unicode's two forms
-- is the one on the disk in the other.
local function with_paths(argv)
  if argv[1] == "-e" then return argv end
  for i, word in ipairs(argv) do
    local name, value = word:match "^(%-%-[^=]+=)(.*)$"
    local path = core.path(value or word)
    if (value and value:sub(1, 1) == "~") or (path ~= (value or word) and core.exists(path)) then argv[i] = (name or "") .. path end
  end
  return argv
end

return function(argv)
  core.argv = { table.unpack(argv) } -- for the report; what follows takes words out
  local wants_traceback = os.getenv("TLUA_TRACEBACK") == "1"
  local ok, result = xpcall(profiled_command, function(e)
    if wants_traceback then io.stderr:write(debug.traceback(message_of(e), 2), "\n") end
    return e
  end, with_paths(argv))
  if ok then return result or 0 end
  local text = message_of(result)
  if not text:find("^[^%s:]+:%d+: ") and not text:find("^%(command line%):") then text = "tlua: " .. text end
  if not wants_traceback then io.stderr:write(text, "\n") end
  local schema = package.loaded["tlua.schema"]
  return schema and schema.is_usage(result) and 2 or 1
end
