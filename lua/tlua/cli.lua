-- cli.lua - the command line. Called by the program with the argument vector; returns the exit status: 0, 1 for an
-- error (one clear line on stderr), 2 for a wrong command line.
local core = require "tlua.core"

local HELP = [[
tlua - transfer learning on any OpenCL device

  tlua RECIPE.lua [--FIELD VALUE]...   train what the recipe says; RECIPE.lua --help lists its fields
  tlua RECIPE.lua --resume RUN         go on with a run that was stopped; --force although the recipe has changed
  tlua RECIPE.lua --quiet | --json     say nothing (log.txt has it all) | one JSON object a line, for programs
  tlua FILE.lua [ARGS]                 run a Lua script
  tlua --profile RECIPE.lua ...        the same, then where the time went; --profile=FILE names the trace
  tlua -e CODE [ARGS]                  run a line of Lua
  tlua                                 a prompt: Tab completes, help() tells what there is
  tlua -i RECIPE.lua [--FIELD VALUE].. a prompt with the recipe's model, data and optimiser, before the training
  tlua predict MODEL FILE|FOLDER...    classify pictures [--top 3] [--flip] [--json | --csv] [--batch 32] [--quiet]
  tlua eval MODEL --data.root DIR      test a model [--data KIND] [--flip] [--json]
  tlua explain MODEL FILE|FOLDER...    where the network looked (Grad-CAM) [--class NAME] [--layer NAME] [--to FOLDER]
  tlua export MODEL --to FILE          a model file that C programs can load (examples/predict.c), of a checkpoint or a network by name
  tlua lr RECIPE.lua [--to lr.svg]     the loss while the learning rate grows, and a suggestion
  tlua compare RECIPE.lua              training from scratch beside frozen and fine-tuned networks: a table, a page
  tlua report RUN... [--to FILE]       the report of a run made again, or several runs side by side in a page
  tlua show RECIPE.lua [--to FILE]     a picture sheet of what the network is fed [--pictures N] [--epoch E] [--part test]
  tlua models                          networks: parameters, multiply-adds, weights
  tlua cache list|clear                features that runs have kept on disk
  tlua tune [--quick]                  measure the kernels of matrix products on this device, keep the best [--show] [--clear]
  tlua check                           a short test of the operators on this device [--device D] [--seconds 55] [--json]
  tlua devices                         OpenCL devices; choose one with --device or TLUA_DEVICE [--all: what their drivers say] [--json]
  tlua --version

--flip: probabilities are the mean over a picture and its mirror image.
MODEL is the model.safetensors of a run, or the name of a network with published weights.
Exit status: 0, 1 after an error, 2 for a wrong command line. TLUA_TRACEBACK=1 shows where in Lua an error arose.]]

local function lib() return require "tlua" end

-- ---- running Lua ----

local function set_arguments(argv, first, name)
  local list = { [0] = name }
  for i = first, #argv do list[#list + 1] = argv[i] end
  rawset(_G, "arg", list)
  return table.unpack(list)
end

-- --NAME VALUE and --NAME=VALUE -> { {"NAME", "VALUE"}, ... }
local function overrides(argv, first)
  local schema = require "tlua.schema"
  local list, i = {}, first
  while i <= #argv do
    local word = argv[i]
    local name, value = word:match("^%-%-([^=]+)=(.*)$")
    if not name then
      name = word:match("^%-%-(.+)$")
      if not name then schema.usage(("'%s' is not understood: options are --NAME VALUE"):format(word)) end
      i = i + 1
      value = argv[i]
      if value == nil then schema.usage(("--%s: a value is missing"):format(name)) end
    end
    list[#list + 1] = { name, value }
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

local function wants_help(argv, first)
  for i = first, #argv do
    if argv[i] == "--help" or argv[i] == "-h" then return true end
  end
  return false
end

-- Runs the file argv[1] with the arguments from `first` on. Returns the recipe that it gave, nil where it gave none.
local function load_file(argv, first)
  local path = argv[first - 1]
  local chunk, e = loadfile(path, "t")
  if not chunk then
    error(require("tlua.util").missing(path) or e, 0)
  end
  lib()
  local result = chunk(set_arguments(argv, first, path))
  if type(result) ~= "table" or not package.loaded["tlua.recipe"] or not require("tlua.recipe").is_recipe(result) then return nil end
  if not result.path then result:set_source(path) end
  return result
end

local function run_file(argv)
  local result = load_file(argv, 2)
  if not result then return 0 end
  if wants_help(argv, 2) then
    print(result:help())
    return 0
  end
  local run = run_options(argv, 2)
  if run.resume then result:override(require("tlua.checkpoint").overrides(run.resume)) end
  result:override(overrides(argv, 2))
  return result:run(run).interrupted and 130 or 0
end

local function need_recipe(argv)
  return load_file(argv, 3) or error(("%s gives no recipe: it must end with return tlua.recipe {...}"):format(argv[2]), 0)
end

local function need_path(argv, usage)
  if not argv[2] or argv[2]:sub(1, 2) == "--" then require("tlua.schema").usage(usage) end
end

-- A command of a recipe, with options of its own beside the recipe's fields.
local function of_recipe(name, usage)
  return function(argv)
    need_path(argv, usage)
    local command = require(name)
    local options, rest = command.options(overrides(argv, 3))
    return command.main(need_recipe(argv):override(rest), options)
  end
end

local show = of_recipe("tlua.show", "show: a recipe is needed: tlua show RECIPE.lua [--to show.png] [--pictures N] [--epoch E] [--part test] [--FIELD VALUE]...")
local lr = of_recipe("tlua.lr_finder", "lr: a recipe is needed: tlua lr RECIPE.lua [--from 1e-7] [--up_to 10] [--steps 100] [--to lr.svg] [--FIELD VALUE]...")

local function compare(argv)
  need_path(argv, "compare: a recipe is needed: tlua compare RECIPE.lua [--compare.per_class 10,all] [--compare.WAY.FIELD VALUE] [--FIELD VALUE]...")
  local command = require "tlua.compare"
  local function read() return need_recipe(argv) end
  if wants_help(argv, 3) then return command.help(read) end
  return command.main(read, overrides(argv, 3))
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

local function list_models()
  local util = require "tlua.util"
  print(("%-22s %12s %14s %6s  %s"):format("name", "parameters", "multiply-adds", "size", "weights"))
  for _, m in ipairs(require("tlua.models").list()) do
    print(("%-22s %12s %14s %6d  %s"):format(m.name, util.thousands(m.parameters), util.short(m.multiply_adds), m.size, table.concat(m.weights, ", ")))
  end
  return 0
end

-- ---- which command ----

local commands = {
  models = list_models,
  devices = function(argv) return require("tlua.devices").main { table.unpack(argv, 2) } end,
  predict = function(argv) return require("tlua.predict").main { table.unpack(argv, 2) } end,
  eval = function(argv) return require("tlua.predict").eval_main { table.unpack(argv, 2) } end,
  explain = function(argv) return require("tlua.explain").main { table.unpack(argv, 2) } end,
  export = function(argv) return require("tlua.predict").export_main { table.unpack(argv, 2) } end,
  show = show,
  lr = lr,
  compare = compare,
  check = function(argv) return require("tlua.check").main { table.unpack(argv, 2) } end,
  tune = function(argv) return require("tlua.tune").main { table.unpack(argv, 2) } end,
  report = function(argv) return require("tlua.report_runs").main { table.unpack(argv, 2) } end,
  cache = function(argv) return require("tlua.cache").main { table.unpack(argv, 2) } end,
  help = function() print(HELP) return 0 end,
}
commands["--help"], commands["-h"] = commands.help, commands.help
commands["--version"] = function() print("tlua " .. core.version) return 0 end
commands["-v"] = commands["--version"]
commands["-e"] = run_code
commands["-i"] = function(argv) return require("tlua.repl.session").main(argv, load_file, overrides) end

local function command(argv)
  local word = argv[1]
  if word == nil then return require("tlua.repl").run() end
  if commands[word] then return commands[word](argv) end
  if word:sub(1, 1) == "-" then require("tlua.schema").usage(("unknown option '%s'; tlua --help lists what there is"):format(word)) end
  if not word:find("[./]") and not core.exists(word) then
    local util, named = require "tlua.util", {}
    for name, run in pairs(commands) do
      if name:sub(1, 1) ~= "-" then named[name] = run end
    end
    require("tlua.schema").usage(util.unknown_text("command", word, util.keys(named)))
  end
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
    local path = argv[i] == "--profile" and "tlua-profile.json" or argv[i]:match "^%-%-profile=(.+)$"
    if path then
      table.remove(argv, i)
      return path
    end
  end
end

local function profiled_command(argv)
  local path = profile_option(argv)
  if not path then return command(argv) end
  return require("tlua.profile").run(function() return command(argv) end, path)
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
