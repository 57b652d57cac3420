-- init.lua - `tlua predict` of networks that read: texts of the command line, lines, tables.
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local progress = require "tlua.run.progress"
local ask = require "tlua.command.texts.ask"
local asked = require "tlua.command.texts.asked"
local forms = require "tlua.command.texts.forms"
local texts = {}

local CHUNK = 32 -- batches that are sorted by length together, and answered before more is read

-- Words of the command that are for models of another kind.
local function check_words(task, options)
  for _, name in ipairs { "srt", "vtt", "beam", "window", "rate" } do
    if options[name] then commands.wrong("predict", ("--%s is for speech, and the model reads"):format(name)) end
  end
  if options.flip then commands.wrong("predict", "--flip mirrors pictures, and the model reads") end
  if options.by then commands.wrong("predict", "--by is for slices, and the model takes texts") end
  if options.to then commands.wrong("predict",
    "--to: of texts there are no files; --csv and --json go to a file by >") end
  if options.top and not (task.kind == "classify" or task.tops) then
    commands.wrong("predict", ("--top is for one class a text, and the model's task is %s"):format(task.kind))
  end
  if not task.decode then util.failf("predict: the task '%s' says no answers for a text (decode)", task.kind) end
end

-- Answers items, a chunk at a time, in the form that is wanted.
local Writer = {}
Writer.__index = Writer

function Writer:take(items)
  local o, options = self.o, self.options
  local cut = ask.through(self.net, self.task, items, o, function(i, answer, reason)
    if answer == false then self.strange, answer, reason = self.strange + 1, nil, o.NO_NUMBERS
    elseif reason then
      self.bad = self.bad + 1
      self.bar:clear()
      util.note(("%s: %s"):format(asked.place(items[i]), reason))
    end
    if core.isatty(1) then self.bar:clear() end
    self.form.row(items[i], answer, reason)
  end, function(done)
    if self.all then
      self.bar:update("Predicting", self.count + done, self.all, progress.speed(self.count + done,
        core.time() - self.begin, self.all - self.count - done, "texts"))
    end
  end)
  self.count, self.cut = self.count + #items, self.cut + cut
  if cut > 0 and not self.said_cut and not options.quiet then
    self.said_cut = true
    self.bar:clear()
    util.note(("texts of more than %d pieces are cut there, as they were in training"):format(
      o.info.preprocessing.longest))
  end
end

-- `tlua predict MODEL TEXT|FILE|-...` of a network that reads. Returns the exit status.
function texts.main(net, info, task, words, path, options, o)
  check_words(task, options)
  local items, pipe, paired = asked.of(words, info, options)
  o.info, o.tokenizer, o.paired, o.top = info, ask.tokenizer(net, path), paired, math.min(o.top, task.width or o.top)
  local form = forms[options.json and "json" or options.csv and "csv" or "table"](task, o)
  local w = setmetatable({ net = net, task = task, o = o, options = options, form = form, bad = 0, strange = 0, cut = 0,
    count = 0, all = not pipe and #items or nil, begin = core.time(),
    bar = progress.new((options.quiet or not core.isatty(2)) and "quiet" or nil, 2) }, Writer)
  local guard <close> = core.no_grad()
  local most = CHUNK * o.batch
  if form.begin then form.begin() end
  for at = 1, #items, most do w:take(table.move(items, at, math.min(at + most - 1, #items), 1, {})) end
  if pipe then
    local chunk, most_now = {}, core.isatty(0) and 1 or most
    local function flush()
      if #chunk > 0 then w:take(chunk) end
      io.flush()
      chunk = {}
    end
    pipe(function(each)
      chunk[#chunk + 1] = each
      if #chunk >= most_now then flush() end
    end)
    flush()
  end
  w.bar:clear()
  if form.finish then form.finish() end
  if w.bad > 0 and w.count > 1 then util.note(("%d of %d texts could not be read"):format(w.bad, w.count)) end
  if w.strange > 0 then
    util.note(("%s for %d of %d texts; its weights may hold NaN"):format(o.NO_NUMBERS, w.strange, w.count))
  end
  return (w.bad > 0 or w.strange > 0) and 1 or 0
end

util.seal(texts, "command.texts.")
return texts
