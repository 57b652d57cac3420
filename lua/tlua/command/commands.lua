-- commands.lua - what the command line knows, as data: every command with its arguments and options. From it come `tlua --help`, the help
-- of each command, the reading of its words, and, by tools/command_line.lua, the manual page and the completion of shells.
local core = require "tlua.core"
local schema = require "tlua.schema"
local util = require "tlua.util"
local words = require "tlua.command.words"
local commands = {}

-- Options that several commands have: {name, what its value is called (nil: none is wanted), what it does}.
local WEIGHTS = { "weights", "FILE|NAME",
  "weights of a network that is named: a published set (imagenet, if it has one), or a file" }
local KEY = { "weights.key", "KEY", "the part of that file, like ema" }
local DEVICE = { "device", "D", "cpu, gpu, a number of `tlua devices` or a part of a name" }
local BATCH = { "batch", "N", "pictures, clips or texts that the device gets at once" }
local THREADS = { "threads", "N", "threads that read pictures or clips; 0: one a processor" }
local QUIET = { "quiet", nil, "nothing but results and errors" }
local FLIP = { "flip", nil, "probabilities are the mean over a picture and its mirror image" }
local JSON = { "json", nil, "JSON, for programs" }

-- What a recipe's run takes beside the recipe's fields.
commands.RUN = {
  { "help", nil, "every field of the recipe with its type and present value" },
  { "resume", "RUN", "go on with a run that was stopped, to the same bits" },
  { "force", nil, "go on although the recipe has changed; begin anew where a run is; begin although the disk is small" },
  { "quiet", nil, "say nothing but errors; log.txt has it all" },
  { "json", nil, "one JSON object a line, for programs" },
  { "profile", "[=FILE]", "where the time went, and a trace of all kernels" },
}

local MODEL = "MODEL is the folder of a run, its model.safetensors or a checkpoint, or the name of a network with published weights."

-- A command: name, group, args, brief; text, examples; options; fields: it takes those of a recipe too; recipe: its argument is one.
commands.list = {
  { name = "RECIPE.lua", group = "Train", args = "[--FIELD VALUE]...", brief = "train what the recipe says; RECIPE.lua --help lists its fields", options = commands.RUN,
    fields = true, examples = { "tlua mine.lua --epochs 2 --out runs/mine", "tlua mine.lua --help" } },
  { name = "--resume", group = "Train", args = "RUN", brief = "go on with a run that was stopped; the recipe is in its folder", fields = true,
    examples = { "tlua --resume runs/mine", "tlua --resume runs/mine --epochs 8 --force" } },
  { name = "lr", group = "Train", args = "RECIPE.lua", brief = "the loss while the learning rate grows, and two suggestions", fields = true, recipe = true, own = "tlua.command.lr_finder",
    text = "Trains with a rate that grows from step to step and reads two rates from the curve of the loss: valley, two thirds into its fall, and steepest. " ..
      "The curve is the first loss, the mean of all batches, plus the change on the batch of each step; it may go below 0. Nothing is kept but the picture.",
    options = { JSON }, examples = { "tlua lr mine.lua --to lr.svg", "tlua lr mine.lua --json | jq .valley" } },
  { name = "show", group = "Train", args = "RECIPE.lua",
    brief = "a sheet of the pictures, or a page of the clips, that the network is fed", fields = true, recipe = true,
    own = "tlua.command.show",
    text = "Draws training pictures, or clips with their spectrograms, as they leave the transforms, before anything is trained.", examples = { "tlua show mine.lua --augment.rotate 15 --to fed.png" } },
  { name = "compare", group = "Train", args = "RECIPE.lua", brief = "from scratch beside frozen and fine-tuned: a table, a page", fields = true, recipe = true,
    text = "Trains the network in several ways, with several numbers of pictures, or minutes of clips, and several seeds. After Ctrl-C the same command goes on. --help lists the fields.",
    examples = { "tlua compare mine.lua --compare.per_class 10,100,all --compare.seeds 0,1,2" } },
  { name = "predict", group = "Use", args = "MODEL FILE|FOLDER|TEXT|-...",
    brief = "classify pictures, sounds, volumes or texts, find boxes, draw masks, turn speech into text",
    text = MODEL .. " Of a folder all pictures (recordings, or volumes and series) below it are taken. " ..
      "What cannot be read is named, and the status is 1. Recordings may be of any length; " ..
      "- is what comes through a pipe, a WAV file or with --rate bare samples (S16_LE, mono), and is answered " ..
      "window by window. A model that reads takes texts as they are typed, tables (.tsv, .csv, or a first line " ..
      "that names the column), files with a text in each line, and lines through a pipe (-); a word that is the " ..
      "name of a file means the file. Of pairs a tab stands between both texts, or --pair has the second.",
    options = { { "top", "K", "so many classes of each (3; with --json 5)" }, JSON,
      { "csv", nil, "a table: file, label, score, ..., error; of speech file, from, to, text" },
      { "by", "series|study|patient", "of DICOM slices: one answer for each, the mean over its slices" },
      { "text", "NAME", "of tables: the column with the texts (that of the training)" },
      { "pair", "NAME|TEXT", "of tables: the column with the second text of each pair; else the second text itself" },
      { "srt", nil, "of speech: subtitles as SubRip has them" },
        { "vtt", nil, "of speech: subtitles as WebVTT has them" },
      { "beam", "N", "of speech: a search that follows N texts (the task's own)" }, { "window", "SECONDS",
        "of speech: the longest piece that is heard at once (20)" },
      { "rate", "HZ", "of speech: samples a second of what comes bare through a pipe" },
      { "confidence", "X", "of boxes: from which score on they are said (the task's own, or chosen)" },
      { "tiles", "SIDE,OVERLAP",
        "of boxes: large pictures are cut into such tiles (those of the training); none: whole" },
      { "to", "FOLDER", "where masks and overlays go, of a model that segments (predicted), those of volumes as " ..
        "NIfTI; of speech a text for each recording; of boxes pictures with them, labels to correct and predictions.json" },
      FLIP, WEIGHTS, KEY, BATCH, THREADS, DEVICE, QUIET },
    examples = { "tlua predict runs/mine picture.jpg", "tlua predict runs/mine pictures/ --csv > answers.csv",
      "tlua predict resnet50 picture.jpg --top 5", "tlua predict runs/ct series/ --by series --json",
      "tlua predict runs/brain t1.nii.gz --to masks", "tlua predict runs/pests field/ --to found",
      "tlua predict runs/reviews 'worth every minute' --top 2", "tlua predict runs/reviews new.tsv --csv > said.csv",
      "tlua predict runs/speech talk.mp3 --srt > talk.srt",
        "arecord -f S16_LE -r 16000 -c 1 -t raw | tlua predict runs/speech - --rate 16000" } },
  { name = "eval", group = "Use", args = "MODEL [--data.root DIR]",
    brief = "test a model on samples whose classes, values or texts are known",
    text = MODEL .. " Without --data.root it is tested on the test part of the data it was trained on; every field of the data can be given.",
    options = { { "data", "KIND",
      "the kind of data: cifar10, cifar100, mnist, fashion_mnist, folder, csv, masks, dicom, tensors, speech, " ..
        "sounds" },
      { "data.root", "DIR", "where they lie", field = true },
      { "wrong", "FILE", "a CSV of what is wrong: classes and boxes taken for something else, the surest first, " ..
        "masks by their Dice, numbers and findings by how far they are off" },
      { "csv", "FILE", "the figures of each class (of each target) as a table, with their intervals" },
      { "report", "[=FILE]", "the page of a report about these data (eval.html)" }, JSON,
      FLIP, WEIGHTS, KEY, DEVICE },
    data = true, examples = { "tlua eval runs/mine", "tlua eval runs/mine --data.root elsewhere --flip",
      "tlua eval runs/mine --data.root elsewhere --report=elsewhere.html --csv classes.csv",
      "tlua eval runs/mine --wrong wrong.csv" } },
  { name = "explain", group = "Use", args = "MODEL FILE|FOLDER|TEXT...",
    brief = "where the network looked (Grad-CAM), as pictures; which words of a text spoke for its answer",
    text = MODEL .. " A page a picture: the picture on the left, on the right the same with heat over it. " ..
      "Of a volume three slices, and the heat as a NIfTI file. Of texts (as predict takes them) the words in shades " ..
      "of gradient times input, on the terminal and as the page texts.html.",
    options = { { "class", "NAME", "what speaks for this class; without it the likeliest" }, { "layer", "NAME", "the stage whose output is explained; without it the last with places" },
      { "to", "FOLDER", "where the pages go (explain)" }, WEIGHTS, KEY, BATCH, THREADS, DEVICE, QUIET },
    examples = { "tlua explain runs/mine picture.jpg --to looked" } },
  { name = "verify", group = "Use", args = "MODEL --known DIR FILE|FOLDER...",
    brief = "whose voice it is, of speakers that a few clips make known",
    text = MODEL .. " DIR has a folder of recordings for each speaker. A recording is of the nearest one, if the cosine of their embeddings reaches the threshold; else of nobody known.",
    options = { { "known", "DIR", "a folder for each speaker" }, { "threshold", "X",
      "the least cosine (that at which the model's own test errs equally both ways)" }, JSON, WEIGHTS, KEY, BATCH,
      THREADS, DEVICE, QUIET },
    examples = { "tlua verify runs/voices --known people/ door.wav",
      "tlua verify speaker_lstm --weights voices.safetensors --known people/ --threshold 0.75 door.wav" } },
  { name = "export", group = "Use", args = "MODEL --to FILE",
    brief = "a model file for C programs, or an .onnx file, of a checkpoint or a network",
    text = MODEL .. " A FILE that ends with .onnx is for other programs: pictures (N, channels, height, width), "
      .. "already normalised, any number of them (docs/onnx.md).",
    options = { { "to", "FILE", "the model file" },
      { "merge", nil, "adapters (LoRA) become part of the weights" },
      { "opset", "N", "of .onnx: the version of its operators, 13 to 21 (17)" },
      { "fold", nil, "of .onnx: batch norms go into the convolutions before them, for who will not train it" },
      { "normalize", nil, "of .onnx: the graph normalises, and pixels from 0 to 255 go in" },
      { "boxes", "raw|decoded|nms", "of .onnx that finds boxes: rows as they are (raw), boxes and scores of them, or "
        .. "also which stay where they overlap" }, WEIGHTS, KEY },
    examples = { "tlua export runs/mine/best.safetensors --to best.safetensors",
      "tlua export runs/mine --to mine.onnx", "tlua export runs/pests --to pests.onnx --boxes nms",
      "tlua export runs/lora --to whole.safetensors --merge" } },
  { name = "watch", group = "Use", args = "RUN",
    brief = "a run followed while it goes: a page for your browser, or text",
    text = "RUN is the folder of a run, or one that holds several, as of `tlua compare`. It says an address of this " ..
      "machine alone, with a random token in it, for a browser; no browser is started. Runs that were stopped or " ..
      "killed are told as such, and followed on when they are taken up again. Ctrl-C ends the watching.",
    options = { { "text", nil, "in the terminal, until the run is at its end; of several runs a line each" },
      { "once", nil, "the last epochs and where the run stands, in the terminal, and no more" },
      { "port", "N", "of the page (any that is free)" },
      { "address", "ADDRESS",
        "of the page: another numeric address than 127.0.0.1, so that other machines reach it" } },
    examples = { "tlua watch runs/mine", "tlua watch runs/mine --text", "tlua watch runs/mine-compare" } },
  { name = "report", group = "Use", args = "RUN...",
    brief = "a run's report as it is by now, or several runs side by side",
    text = "A run that is not at its end is shown as far as it is, with where it stands: running, stopped, killed.",
    options = { { "to", "FILE", "the page (report.html, of one run that in its folder)" } }, examples = { "tlua report runs/a runs/b --to both.html" } },
  { name = "models", group = "What there is", args = "", brief = "networks: parameters, multiply-adds, published weights",
    examples = { "tlua models" } },
  { name = "params", group = "What there is", args = "MODEL [GLOB...]", brief = "names and shapes of parameters, and what a freeze would do", fields = true,
    text = "MODEL is the name of a network, a model file, the folder of a run, or a recipe, of which it says what every stage trains, and at what rate. " ..
      "With globs, as recipes write them, only the names that they match.",
    options = { { "freeze", "GLOBS", "what this would freeze, like '*,!layer4.*'" }, { "train", "GLOBS", "what this would train, all else being frozen" }, JSON },
    examples = { "tlua params resnet50 'layer4.*'", "tlua params resnet50 --freeze '*,!layer4.*'", "tlua params mine.lua --model mobilenet_v2" } },
  { name = "inspect", group = "What there is", args = "FILE",
    brief = "what a file holds: a network or weights, as text and as a picture",
    text = "FILE is an .onnx file, a model file, the folder of a run, a file of weights (.safetensors, .pth, ...) or "
      .. "the name of a network. Of a network it says what goes in and comes out, its operators, and for each stage "
      .. "shapes, parameters and multiply-adds.",
    options = { { "svg", "FILE", "a picture of the network" },
      { "cut-points", nil, "every place where the network can be cut, by the name that cut = takes" },
      { "sizes", "NAME=N,...", "of .onnx: sizes that it leaves open" },
      { "values", "NAME=X,...", "of .onnx: inputs that are one number, made constants" }, JSON, DEVICE },
    examples = { "tlua inspect net.onnx --svg net.svg", "tlua inspect runs/mine --cut-points",
      "tlua inspect detector.onnx --sizes height=320,width=320" } },
  { name = "devices", group = "What there is", args = "", brief = "OpenCL devices; choose one with --device or TLUA_DEVICE",
    options = { { "all", nil, "what the drivers say of each" }, JSON }, examples = { "tlua devices --all" } },
  { name = "cache", group = "What there is", args = "list|clear [NAME]...", brief = "features that runs have kept on disk", text = "NAME is one of the list, or a network. clear without a name removes all that are not in use.",
    options = { { "folder", "DIR", "where they are kept (features in the cache folder)" } }, choices = { "list", "clear" },
    examples = { "tlua cache list", "tlua cache clear resnet50" } },
  { name = "check", group = "This machine", args = "", brief = "a short test of the operators on this device",
    text = "The status is 0 where all checks passed, 1 where one failed, 4 where the time was over before the end and none had failed: call it again, or with more --seconds.",
    options = { DEVICE, { "seconds", "N", "about so long (55)" },
      { "roofline", nil, "no test: what the device can do, measured in about a second" }, JSON },
    examples = { "tlua check", "tlua check --device gpu --seconds 300", "tlua check --roofline" } },
  { name = "tune", group = "This machine", args = "", brief = "measure the makers of matrix products, keep the best",
    text = "Results change in their last bits with a tuned table; TLUA_TUNING=0 goes without it.",
    options = { { "quick", nil, "fewer sizes" }, { "show", nil, "the table that is kept" }, { "clear", nil, "back to the shipped choices" }, DEVICE },
    examples = { "tlua tune --quick", "tlua tune --show", "tlua tune --clear" } },
  { name = "FILE.lua", group = "Lua", args = "[ARGS]", brief = "run a Lua script",
    examples = { "tlua docs/shapes.lua pictures" } },
  { name = "-e", group = "Lua", args = "CODE [ARGS]", brief = "run a line of Lua",
    examples = { "tlua -e 'print(tlua.tensor { 1, 2 }:softmax(1))'" } },
  { name = "-i", group = "Lua", args = "RECIPE.lua", brief = "a prompt with model, data and optimiser, before the training", fields = true,
    recipe = true, examples = { "tlua -i mine.lua --epochs 2" } },
  { name = "", group = "Lua", args = "", brief = "a prompt: Tab completes, help() tells what there is",
    examples = { "tlua", "echo 'help \"matmul\"' | tlua" } },
}
commands.groups = { "Train", "Use", "What there is", "This machine", "Lua" }

commands.environment = {
  { "TLUA_DEVICE", "the device, as --device names it" },
  { "TLUA_CACHE", "folder for weights, features, compiled kernels and the prompt's history; without it $XDG_CACHE_HOME/tlua, else ~/.cache/tlua" },
  { "TLUA_MEMORY", "a number of megabytes (of 2^20 bytes): a device with no more than these, to see what would fit another card" },
  { "TLUA_TUNING", "0: the shipped choices of kernels, although `tlua tune` has kept others" },
  { "TLUA_MAX_PIXELS", "pictures may have so many pixels (178,956,970)" },
  { "TLUA_DICOM_LIBRARY", "the object that decodes compressed DICOM, libtlua_dicom.so" },
  { "TLUA_TRACEBACK", "1: errors show where in Lua they arose" },
  { "TLUA_SYNC", "1: each launch is waited for, so that an error names its kernel" },
  { "TLUA_HISTORY", "0: the prompt keeps no history" },
  { "TLUA_GRAPHICS", "kitty, sixel or blocks: how the prompt shows pictures" },
  { "NO_COLOR", "no colours" },
  { "POCL_CACHE_DIR", "where PoCL keeps compiled kernels; below TLUA_CACHE where its own place cannot be written" },
}
commands.files = {
  { "runs/NAME-DATE-N", "folder of a run: model.safetensors, report.html, metrics.csv, steps.csv, log.txt, " ..
    "recipe.lua, where it stands in run.json and status.json, the checkpoints last, previous and " ..
    "best.safetensors, and of private data identifiers.csv, which is to stay with you" },
  { "~/.cache/tlua", "what is kept: weights, features, kernels" },
}
commands.statuses = { { 0, "all went well" }, { 1, "an error; one line on stderr says what" }, { 2, "a wrong command line" },
  { 4, "`tlua check`: the time was over before the end, and no check had failed" }, { 130, "stopped by Ctrl-C, SIGTERM or SIGHUP, with a checkpoint" } }

function commands.find(name)
  for _, c in ipairs(commands.list) do
    if c.name == name then return c end
  end
end

-- The options of a command; those of commands of recipes stand with the code that reads them.
function commands.options(c)
  if not c.own then return c.options or {} end
  local list = {}
  for i, field in ipairs(require(c.own).SCHEMA) do
    list[i] = { field[1], schema.value_name(field), field[3] ~= nil and ("%s (%s)"):format(field[4], schema.show(field[3])) or field[4] }
  end
  for _, o in ipairs(c.options or {}) do list[#list + 1] = o end
  return list
end

-- The words by which a command is called, like "predict".
function commands.names()
  local list = {}
  for _, c in ipairs(commands.list) do
    if c.name:find "^%l+$" then list[#list + 1] = c.name end
  end
  table.sort(list)
  return list
end

-- ---- help ----

local WIDTH = 100

-- Words in lines of at most `width` columns.
local function wrapped(text, indent, width)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if line ~= "" and #indent + #line + 1 + #word > (width or WIDTH) then
      lines[#lines + 1] = indent .. line
      line = ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = indent .. line
  return lines
end
commands.wrapped = wrapped

-- Two columns; what does not fit into the first stands on a line of its own.
local function columns(out, rows, first)
  for _, row in ipairs(rows) do
    local left, right = "  " .. row[1], wrapped(row[2], (" "):rep(first))
    if #left < first - 1 then
      right[1] = left .. (" "):rep(first - #left) .. right[1]:sub(first + 1)
    else
      table.insert(right, 1, left)
    end
    table.move(right, 1, #right, #out + 1, out)
  end
end

local function call_of(c) return (("tlua %s %s"):format(c.name, c.args):gsub("%s+", " "):gsub(" $", "")) end
commands.call_of = call_of

function commands.option_text(o) return ("--%s%s"):format(o[1], not o[2] and "" or o[2]:sub(1, 1) == "[" and o[2] or " " .. o[2]) end

-- `tlua --help`
function commands.overview()
  local out = { "tlua - transfer learning on any OpenCL device" }
  for _, group in ipairs(commands.groups) do
    local rows = {}
    for _, c in ipairs(commands.list) do
      if c.group == group then rows[#rows + 1] = { call_of(c), c.brief } end
    end
    out[#out + 1] = ""
    out[#out + 1] = group
    columns(out, rows, 37)
  end
  out[#out + 1] = ""
  for _, line in ipairs(wrapped("tlua COMMAND --help says more about one, RECIPE.lua --help lists the fields of a recipe. " .. MODEL ..
    " Exit status: 0, 1 after an error, 2 for a wrong command line, 4 where the time of `tlua check` was over before its end, 130 after Ctrl-C. TLUA_TRACEBACK=1 shows where in Lua an error arose.", "")) do
    out[#out + 1] = line
  end
  return table.concat(out, "\n")
end

-- `tlua COMMAND --help`
function commands.help(name)
  local c = commands.find(name)
  local out, rows = {}, {}
  out[1] = call_of(c) .. (c.fields and not c.args:find "FIELD" and " [--FIELD VALUE]..." or "")
  table.move(wrapped(c.brief, "  "), 1, 9, #out + 1, out)
  if c.text then
    out[#out + 1] = ""
    table.move(wrapped(c.text, ""), 1, 99, #out + 1, out)
  end
  for i, o in ipairs(commands.options(c)) do rows[i] = { commands.option_text(o), o[3] } end
  if c.data then rows[#rows + 1] = { "--data.FIELD VALUE", "any field of the data (docs/recipes.md)" } end
  if c.fields then rows[#rows + 1] = { "--FIELD VALUE", "any field of the recipe: tlua RECIPE.lua --help" } end
  if #rows > 0 then
    out[#out + 1] = ""
    out[#out + 1] = "Options"
    columns(out, rows, 26)
  end
  if c.examples then
    out[#out + 1] = ""
    out[#out + 1] = "Examples"
    for _, each in ipairs(c.examples) do out[#out + 1] = "  " .. each end
  end
  return table.concat(out, "\n")
end

function commands.wants_help(argv, first)
  for i = first, #argv do
    if argv[i] == "--help" or argv[i] == "-h" then return true end
    if argv[i] == "--" then return false end
  end
  return false
end

-- ---- reading the words of a command ----

local function usage_of(c) return ("%s; tlua %s --help says more"):format(call_of(c), c.name) end

local function begins(name) return name and name .. ": " or "" end

-- An error about the words of a command; `name`: nil where the option belongs to all.
function commands.wrong(name, text) schema.usage(begins(name) .. text) end
function commands.usage(name, text) commands.wrong(name, ("%s: %s"):format(text, usage_of(commands.find(name)))) end

-- Files that a command writes at its end, { {option, path}, ... }: what cannot be written is said before its work.
function commands.check_outputs(name, list)
  local known = {}
  for _, each in ipairs(list) do
    local option, path = each[1], each[2]
    if path == "" then commands.wrong(name, ("--%s: the name of a file is needed"):format(option)) end
    if known[path] then
      commands.wrong(name, ("--%s and --%s name the same file, %s"):format(known[path], option, path))
    end
    known[path] = option
    local folder = path:match "^(.*[^/])/+[^/]*$" or path:match "^/" or "."
    if not core.is_folder(folder) then
      util.failf("%s--%s: %s cannot be written: %s", begins(name), option, path, util.missing(folder, "folder")
        or folder .. " is no folder")
    end
    if core.is_folder(path) then util.failf("%s--%s: %s is a folder; a file is needed", begins(name), option, path) end
  end
end

local function known_names(c)
  local names, known = {}, {}
  for _, o in ipairs(commands.options(c)) do
    names[#names + 1] = o[1]
    known[o[1]] = o
  end
  return names, known
end

-- Splits the words behind a command into options (name -> text, true for those without a value; where it may have one,
-- "[=FILE]", it stands behind "="; also a list {name, text} in their order) and
-- the rest. A word that everybody types is taken for the option it means (tlua/command/words.lua); any other that is unknown is an error. "--" ends
-- the options. Where the command takes fields of the data, those are options too.
function commands.parse(name, args)
  local c = commands.find(name)
  local names, known = known_names(c)
  local options, rest, i = {}, {}, 1
  local function add(key, value)
    options[key] = value
    options[#options + 1] = { key, value }
  end
  while i <= #args do
    local word, value = args[i]:match "^%-%-([^=]+)=(.*)$"
    word = word or args[i]:match "^%-%-(.+)$"
    if args[i] == "--" then
      table.move(args, i + 1, #args, #rest + 1, rest)
      break
    elseif not word then
      if args[i]:find "^%-%a" then commands.wrong(name, words.single_dash(args[i], names)) end
      rest[#rest + 1] = args[i]
    else
      local field = c.data and word:find "^data%."
      local own = known[word] and word or field and word or words.of_command(name, word, names)
      local wants = known[own] and known[own][2]
      if known[own] and not wants then
        if value then commands.wrong(name, ("--%s takes no value"):format(own)) end
        add(own, true)
      elseif wants and wants:sub(1, 2) == "[=" then -- a value only behind "="
        add(own, value or true)
      else
        if not value then
          i = i + 1
          value = args[i]
          if value and value:find "^%-%-%a" then
            commands.wrong(name, ("--%s: a value is missing before '%s'"):format(own, value))
          end
        end
        if value == nil then commands.wrong(name, ("--%s: a value is missing"):format(own)) end
        add(own, value)
      end
    end
    i = i + 1
  end
  return options, rest
end

-- The whole numbers among the options of a command, with their defaults; `bounds`: the least and the most of each
-- (1 and none).
function commands.numbers(options, defaults, bounds)
  local o = {}
  for name, default in pairs(defaults) do
    local bound = name == "threads" and { 0, 64 } or bounds and bounds[name] or { 1 }
    local field = { name, "integer", least = bound[1], most = bound[2] }
    o[name] = options[name] and schema.parse(field, name, options[name]) or default
  end
  return o
end

-- A number from 0 to 1 that an option says.
function commands.share(name, text) return schema.parse({ name, "number", least = 0, most = 1 }, name, text) end

-- For a word that is no command.
function commands.unknown(word) schema.usage(util.unknown_text("command", word, commands.names()) .. "; tlua --help says what each does") end

return commands
