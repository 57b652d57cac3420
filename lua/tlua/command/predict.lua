-- predict.lua - `tlua predict`: a trained network on pictures.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local data = require "tlua.data"
local data_text = require "tlua.data.text"
local model_file = require "tlua.weights.model_file"
local input = require "tlua.data.input"
local waves = require "tlua.data.waves"
local commands = require "tlua.command.commands"
local progress = require "tlua.run.progress"
local listen = require "tlua.command.listen"
local slices = require "tlua.data.dicom.slices"
local volumes = require "tlua.command.volumes"
local tiled = require "tlua.command.boxes.tiled"
local predict = {}
-- Of whole numbers on the command line.
local BOUNDS = { beam = { 1, 1000 }, window = { 1, 600 }, rate = { 1000, 768000 } }
local NO_NUMBERS = "the network's outputs are no numbers (nan)"
predict.NO_NUMBERS = NO_NUMBERS

-- Recordings below a folder.
local function sounds_below(path, say)
  local list, passed = waves.below(path)
  local text = waves.passed_text(passed)
  if #list == 0 then util.failf("%s holds no recordings%s", path, text and "; " .. text or "") end
  if text and say then say(("%s: %s"):format(path, text)) end
  return list
end

-- Files as they are, be they there or not; folders give the pictures below them, in the order of their names, found as in training.
-- `say`: told what is passed over; `kind`: of the input, pictures where nothing is said.
function predict.collect(paths, say, kind)
  local out = {}
  for _, path in ipairs(paths) do
    path = #path > 1 and path:gsub("/+$", "") or path
    if core.is_folder(path) and kind and kind.kind == "clip" then
      local list = sounds_below(path, say)
      table.move(list, 1, #list, #out + 1, out)
    elseif core.is_folder(path) then
      local list, passed = core.data.pictures(path)
      local text = data_text.passed(passed)
      if #list == 0 then util.failf("%s holds no pictures%s", path, text and "; " .. text or "") end
      if text and say then say(("%s: %s"):format(path, text)) end
      local key = {}
      for _, each in ipairs(list) do key[each] = each:gsub("/", "\1") end -- a folder stands where its name does
      table.sort(list, function(a, b) return key[a] < key[b] end)
      table.move(list, 1, #list, #out + 1, out)
    else
      out[#out + 1] = path
    end
  end
  return out
end

-- ---- test-time flips ----

-- x (N, H, W, C) with left and right exchanged.
local function mirrored(x)
  local n, h, w, c = table.unpack(x:shape())
  local back = {}
  for i = 1, w do back[i] = w - i end
  local columns = x:permute(3, 1, 2, 4):reshape(w, n * h * c)
  local y = core.ops.embedding(columns, core.tensor(back, { dtype = "int32" })):reshape(w, n, h, c):permute(2, 3, 1, 4)
  return y
end

-- A network that gives the logarithm of the mean probabilities of a picture and its mirror image.
function predict.flipping(net)
  local function logits(_, x)
    local a, b = net(x):log_softmax(-1), net(mirrored(x)):log_softmax(-1)
    local most = a:maximum(b)
    local y = most + ((a - most):exp() + (b - most):exp()):log() - math.log(2)
    return y
  end
  return setmetatable({ eval = function() net:eval() end }, { __call = logits })
end

-- Why sample i of a source cannot be read, for the message.
local function reason_of(source, i, hears)
  local scope <close> = core.scope()
  local ok, e
  if hears then ok, e = pcall(core.audio.read, source:path(i)) else ok, e = pcall(source.read, source, i) end
  return ok and source:path(i) .. ": could not be read a moment ago" or util.without_place(e)
end

-- Reads the pictures in batches and calls f(i, row, reason) for each, in the order of `paths`: row k of what answer(x,
-- n, more) gives for a batch x
-- (n, H, W, C), or of clips (n, T) with more.lengths, or nil and why the picture cannot be read. o: batch, threads (0:
-- one a processor), which read the next pictures while
-- the device computes.
local function rows(info, paths, o, answer, f)
  local hears = input.of(info.preprocessing).kind == "clip"
  local source, at = o.source or hears and core.data.source("records", { waves = paths })
    or core.data.source("files", { paths = paths }), 1
  local loader <close> = core.data.loader(source, model_file.pipeline(info), { batch = math.min(o.batch, #paths), threads = o.threads, on_bad = "skip" })
  local function left_out(last)
    for i = at, last do f(i, nil, reason_of(source, i, hears)) end
    at = last + 1
  end
  loader:start(1)
  while true do
    local scope <close> = core.scope()
    local x, _, n, indices, _, more = loader:next()
    if not x then break end
    local list = answer(x, n, more)
    for k = 1, n do
      left_out(indices[k] - 1)
      f(indices[k], list[k])
      at = indices[k] + 1
    end
  end
  left_out(#paths)
end

-- The same for a command: with a bar on a terminal's stderr unless `quiet`, reasons on stderr, and f(i, row, reason) told of every picture.
-- Returns the exit status.
function predict.each(info, paths, o, quiet, label, answer, f)
  local bar = progress.new((quiet or not core.isatty(2)) and "quiet" or nil, 2)
  local begin, bad, all, told = core.time(), 0, o.tiled and o.tiled.pictures or #paths, nil
  rows(info, paths, o, answer, function(i, row, reason)
    if core.isatty(1) or reason then bar:clear() end
    local picture = o.tiled and o.tiled.of[i].picture or i -- one that has tiles is told of once
    if reason and told ~= picture then
      bad, told = bad + 1, picture
      io.stderr:write("tlua: ", reason, "\n")
    end
    f(i, row, reason)
    bar:update(label, i, #paths, progress.speed(i, core.time() - begin, #paths - i))
  end)
  bar:clear()
  bad = bad + (o.tiled and o.tiled.bad or 0)
  if bad > 0 and all > 1 then io.stderr:write(("tlua: %d of %d %s could not be read\n"):format(bad, all,
    input.of(info.preprocessing).many)) end
  return bad > 0 and 1 or 0
end

-- ---- forms ----

-- A form of the answers writes {begin(), row(path, answer, reason), finish()}; an answer is the task's.
local forms = { NO_NUMBERS = NO_NUMBERS }

function forms.table(paths, t, o)
  local width = 0
  for _, path in ipairs(paths) do width = math.max(width, core.text.width(util.on_line(path))) end
  width = math.min(width, 60)
  return {
    row = function(path, answer, reason)
      util.put(core.text.pad(util.on_line(path), width), "  ", answer and t:text(answer, o) or reason == NO_NUMBERS and "-"
        or "not read", "\n")
    end,
  }
end

-- One array; {file, predictions: [...]} a picture, or {file, error}.
function forms.json(_, t, o)
  local first = true
  return {
    begin = function() util.put "[" end,
    row = function(path, answer, reason, about)
      local out = { file = path, predictions = answer and t:answer(answer, o), error = reason }
      for key, v in pairs(about or {}) do out[key] = v end
      util.put(first and "\n" or ",\n", core.json_encode(out))
      first = false
    end,
    finish = function() util.put "\n]\n" end,
  }
end

local quoted = util.csv

-- file, of series how many slices they have and their UIDs, what the task says of a picture (label, score, ...), error.
function forms.csv(_, t, o)
  local names, own = t:columns(o), o.by and { "slices", "study", "series" } or {}
  names = table.move(names, 1, #names, #own + 1, { table.unpack(own) })
  local function line(first, list, last)
    local out = { quoted(first) }
    for i = 1, #names do out[i + 1] = quoted(list[i] or "") end
    out[#out + 1] = quoted(last)
    util.put(table.concat(out, ","), "\n")
  end
  return {
    begin = function() line("file", names, "error") end,
    row = function(path, answer, reason, about)
      local list = {}
      for i, key in ipairs(own) do
        local v = about[key] or ""
        list[i] = type(v) == "table" and table.concat(v, " ") or tostring(v)
      end
      for _, fields in ipairs(answer and t.rows and t:rows(answer, o) or { answer and t:fields(answer, o) or {} }) do
        line(path, table.move(fields, 1, #names, #own + 1, { table.unpack(list) }), reason or "")
      end
    end,
  }
end

-- ---- the command ----

-- Words of the command that are for models of another kind.
local function check_words(task, kind, paths, options)
  for _, name in ipairs { "srt", "vtt", "beam", "window", "rate" } do
    if options[name] then commands.wrong("predict", ("--%s is for speech, and the model's task is %s"):format(name,
      task.kind)) end
  end
  for _, path in ipairs(paths) do
    if path == "-" then
      commands.wrong("predict", ("- is a pipe of sound, for speech, and the model's task is %s"):format(task.kind))
    end
  end
  if options.flip and kind.kind ~= "picture" then commands.wrong("predict",
    "--flip mirrors pictures, and the model takes " .. kind.many) end
  for _, name in ipairs { "tiles", "confidence" } do
    if options[name] and task.takes ~= "levels" then
      commands.wrong("predict", ("--%s is for boxes, and the model's task is %s"):format(name, task.kind))
    end
  end
  for _, name in ipairs { "top", "flip" } do
    if options[name] and task.kind ~= "classify" then
      commands.wrong("predict", ("--%s is for one class a %s, and the model's task is %s"):format(name, kind.one,
        task.kind))
    end
  end
  if options.to and not task.emit then commands.wrong("predict", "--to: " .. task.kind .. " writes no files") end
  if options.by and not task.mean then
    commands.wrong("predict", ("--by: answers of the task %s have no mean over slices"):format(task.kind))
  end
end

-- ---- slices of scanners ----

local BY = { series = true, study = true, patient = true }

-- What is asked about: names, and of scanners' files their slices (tlua/data/dicom/slices.lua).
function predict.asked(info, kind, words, options)
  local say = not options.quiet and util.note or nil
  if options.by and not BY[options.by] then
    commands.wrong("predict", util.unknown_text("--by", options.by, util.keys(BY)))
  end
  if options.by and kind.kind ~= "picture" then
    commands.wrong("predict", ("--by is for slices, and the model takes %s"):format(kind.many))
  end
  if not (options.by or kind.kind == "picture" and info.preprocessing.windows) then
    return predict.collect(words, say, kind)
  end
  local found = slices.collect(words, info, say)
  found.groups = options.by and slices.groups(found, options.by, say)
  return found.names, found
end

-- UIDs of one as a text, of several as a list.
local function one_or_all(list) return #list > 1 and list or list[1] end

-- Takes the network's rows of all slices; said(k, answer, reason, about) tells of each group when they are all there.
local function pooled(task, found, o, said)
  local rows = {}
  local function finish()
    for k, g in ipairs(found.groups) do
      local list = {}
      for _, i in ipairs(g.members) do list[#list + 1] = rows[i] or nil end
      local about = { slices = #list, study = one_or_all(g.studies), series = one_or_all(g.series) }
      if #list == 0 then said(k, nil, "none of its slices could be read", about)
      else said(k, task:decode(core.tensor { task:mean(list) }, o)[1], nil, about) end
    end
  end
  return function(i, row) rows[i] = row end, finish
end

function predict.main(args)
  local options, rest = commands.parse("predict", args)
  if #rest < 2 then commands.usage("predict", "a model and pictures, recordings or texts are needed") end
  if options.json and options.csv then commands.wrong("predict", "--json and --csv do not go together") end
  local o = commands.numbers(options, { top = options.json and 5 or 3, batch = 32, threads = 0, beam = 1, window = 20,
    rate = 16000 }, BOUNDS)
  if options.device then core.device(options.device) end
  local net, info = model_file.open(rest[1], options.weights, options["weights.key"])
  local kind = input.of(info.preprocessing)
  if kind.kind == "volume" then
    local task = model_file.task(info, net, rest[1])
    return volumes.main(net, info, task, { table.unpack(rest, 2) }, options, o, forms)
  end
  if kind.kind == "text" then
    o.NO_NUMBERS = NO_NUMBERS
    return require("tlua.command.texts").main(net, info, model_file.task(info, net, rest[1]),
      { table.unpack(rest, 2) }, rest[1], options, o)
  end
  for _, name in ipairs { "text", "pair" } do
    if options[name] then commands.wrong("predict", ("--%s is for texts, and the model takes %s"):format(name,
      kind.many)) end
  end
  local paths, found = predict.asked(info, kind, { table.unpack(rest, 2) }, options)
  local task = model_file.task(info, net, rest[1])
  if task.takes == "frames" then
    o.raw_rate, o.beam, o.batch = o.rate, options.beam and o.beam or nil, options.batch and o.batch or 8
    return listen.main(net, info, task, paths, options, o)
  end
  check_words(task, kind, paths, options)
  if not task.decode then util.failf("predict: the task '%s' says no answers for a %s (decode)", task.kind,
    kind.one) end
  o.info, o.top = info, math.min(o.top, task.width or o.top)
  o.to = task.emit and (options.to or not task.only_to and "predicted") or nil
  o.source, o.by = found and found.source, options.by
  o.confidence = options.confidence and commands.share("confidence", options.confidence)
  if task.takes == "levels" and not o.source then o.tiles = tiled.option(options.tiles, info) end
  if options.flip then net = predict.flipping(net) end
  return predict.answers(net, task, paths, found, o, options)
end

-- Asks the network and writes what it answers, in the form that is wanted. Returns the exit status.
function predict.answers(net, task, paths, found, o, options)
  local names, kind = paths, input.of(o.info.preprocessing)
  if o.by then
    names = {}
    for k, g in ipairs(found.groups) do names[k] = g.name end
  end
  local form = forms[options.json and "json" or options.csv and "csv" or "table"](names, task, o)
  local guard <close> = core.no_grad()
  if form.begin then form.begin() end
  local strange, files = 0, {} -- pictures without a number for an answer; masks
  local function said(i, answer, reason, about)
    if answer == false then strange, answer, reason = strange + 1, nil, NO_NUMBERS end
    if answer and task.place and not answer.width then task:place(answer, names[i], o, i) end
    if answer and o.to then
      answer.file = task:emit(answer, names[i], o, i)
      files[i] = answer.file
    end
    if found and not about then
      local s = found.items[i].series
      about = { study = s.study, series = s.series }
    end
    form.row(names[i], answer, reason, about)
  end
  local take, finish, read = said, nil, o
  if o.by then take, finish = pooled(task, found, o, said) end
  local asked = paths
  if o.tiles then
    read = setmetatable({}, { __index = o })
    asked, read.source, take, read.tiled = tiled.open(task, paths, o, said)
  end
  local function answers_of(x, _, more)
    local out
    if more and more.lengths then out = net(x, more.lengths) else out = net(x) end
    return o.by and out:tolist() or task:decode(out, o)
  end
  local status = #asked == 0 and 1
    or predict.each(o.info, asked, read, options.quiet, "Predicting", answers_of, take)
  if finish then finish() end
  if o.to and task.finish then task:finish(o) end
  if found and o.to and not task.finish then
    slices.volumes(found, files, o.to, not options.quiet and util.note or nil)
  end
  if strange > 0 then
    status = 1
    util.note(("%s for %d of %d %s; its weights may hold NaN"):format(NO_NUMBERS, strange, #names,
      kind.many))
  end
  if form.finish then form.finish() end
  if found and found.broken > 0 then
    io.stderr:write(("tlua: %s below the folders could not be read\n"):format(util.counted(found.broken, "DICOM file")))
    return 1
  end
  return status
end

function predict.export_main(args)
  local options, rest = commands.parse("export", args)
  if #rest ~= 1 or not options.to then commands.usage("export", "a model and a file are needed") end
  local onnx = { fold = options.fold, normalize = options.normalize, boxes = options.boxes }
  local kinds = require("tlua.onnx.write.boxes").KINDS
  if onnx.boxes then schema.parse({ "boxes", "choice", nil, "", kinds }, "boxes", onnx.boxes) end
  if options.opset then onnx.opset = commands.numbers(options, { opset = 17 }).opset end
  model_file.export(rest[1], options.to, options.weights, options["weights.key"], onnx, options.merge)
  print(("%s: %s"):format(options.to, util.bytes(core.file_size(options.to))))
  return 0
end

return predict
