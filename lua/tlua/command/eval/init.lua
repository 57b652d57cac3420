-- eval/init.lua - `tlua eval`: a trained network on samples whose classes, values or texts are known. What it says is
-- what a report says of the same test: as text, as JSON, as a table, as a page.
local core = require "tlua.core"
local util = require "tlua.util"
local model_file = require "tlua.weights.model_file"
local commands = require "tlua.command.commands"
local progress = require "tlua.run.progress"
local identifiers = require "tlua.data.identifiers"
local predict = require "tlua.command.predict"
local report = require "tlua.report"
local links = require "tlua.report.page.links"
local tested = require "tlua.command.eval.tested"
local wrong = require "tlua.report.findings.wrong"
local said = require "tlua.command.eval.said"
local tables = require "tlua.command.eval.tables"
local eval = {}

local PAGE = "eval.html" -- where --report names no file

-- The loss that the network was trained with, and its name; that of the task where it has one of its own. A function of
-- the recipe's is not in the file, and probabilities that --flip makes have none but for losses of a softmax.
local function loss_of(info, task, flip)
  if task.loss_words then return task:default_loss(), task.loss_words end
  local loss, name = model_file.loss(info)
  if flip and loss and not loss.set_counts then return nil, name .. " of --flip" end
  return loss, name
end

-- The classes of the data must be the network's own, in its order: a number of the one is not the same thing in the other.
local function same_classes(info, net, built)
  local own, there = info.labels or {}, built.classes
  local same = #there == net.classes
  for i, name in ipairs(own) do same = same and name == there[i] end
  if same then return end
  local function text(list)
    return #list == 0 and "-" or table.concat(list, ", ", 1, math.min(3, #list)) .. (#list > 3 and ", ..." or "")
  end
  util.failf("eval: the classes in %s are others than the network's: %d (%s), and it knows %d (%s)", built.tested.root,
    #there, text(there), net.classes, text(own))
end

-- The targets of the data must be those that the network was trained on.
local function same_targets(t, built)
  local own, there = t.names or {}, built.value_names or built.classes or {}
  local same = #own == #there
  for i, name in ipairs(own) do same = same and name == there[i] end
  if not same then
    util.failf("eval: the data have the targets %s, and the network knows %s", util.first_few(there, 6),
      util.first_few(own, 6))
  end
end

-- What the command line asks for that the task does not have.
local function check(options, task, built, info)
  if options.flip and task.kind ~= "classify" then
    commands.wrong("eval", ("--flip is for one class a picture, and the model's task is %s"):format(task.kind))
  end
  if options.flip and built.input.kind ~= "picture" then
    commands.wrong("eval", "--flip mirrors pictures, and the model takes " .. built.input.many)
  end
  if options.wrong then wrong.check(task) end
  if options.csv then tables.check(task) end
  if options.report and not task.gather then
    util.failf("eval: --report: the task %s has no page", task.kind)
  end
  if options.report and not built.private and info.data and info.data.options and info.data.options.private then
    util.failf("eval: --report: the model was trained on private data, and these are not: --data.private true keeps "
      .. "their names out of the page")
  end
end

local function has_nan(row)
  for _, v in ipairs(row) do
    if v ~= v then return true end
  end
  return false
end

local function check_numbers(s, sum)
  local strange, seen = 0, s.seen or {}
  for _, row in ipairs(seen.probabilities or seen.scores or seen.given or {}) do
    strange = strange + (has_nan(row) and 1 or 0)
  end
  if strange > 0 then
    util.failf("eval: %s for %d of %d %s: there is no figure of it; its weights may hold NaN", predict.NO_NUMBERS,
      strange, sum.n, s.data.input.many)
  end
end

-- Writes the page of a report about this test. Of private data it names aliases, as the run's own.
local function write_page(path, s, model)
  local built = s.data
  local folder = links.folder_of(path)
  local facts = { { "model", model }, { "tested", tested.text(built) }, { "warning", built.tested.warning },
    { "mirrored too", s.flip and "probabilities are the mean over a picture and its mirror image" or nil },
    { "device", core.device_info().name }, { "versions", "tlua " .. core.version } }
  local run = { title = ("%s on %s"):format(model, built.title or built.tested.root),
    subtitle = ("test, %s"):format(os.date "%Y-%m-%d %H:%M"), task = s.task, seen = s.seen, session = s,
    names = s.task.names or built.classes, rows = {}, part = "test", source = built.test, place = folder,
    facts = facts, test = built.list and built.list.test }
  local found = report.gather(run)
  if built.private then found = built.private:hide(found) end
  core.write_file(path, report.page(found))
end

-- The session of a test: the network, what it is tested on, its task.
local function open(options, model)
  local net, info = model_file.open(model, options.weights, options["weights.key"])
  for _, each in ipairs(options) do
    if each[1] == "data.augment" or each[1] == "data.per_class" then
      commands.wrong("eval", ("--%s is for training"):format(each[1]))
    end
  end
  local known = core.exists(model) and identifiers.of_run(model) or nil
  local built = tested.open(known and known:shown(info) or info, options, known,
    net.tokenizer and net:tokenizer() or nil)
  if built.test:count() == 0 then
    util.failf("eval: there is no test %s in %s", built.input.one, built.tested.root)
  end
  local task = model_file.task(info, net, model)
  if task.kind == "classify" then same_classes(info, net, built)
  elseif not (built.fields.text or task.own_width) then same_targets(task, built) end
  check(options, task, built, info)
  local loss, loss_name = loss_of(info, task, options.flip)
  task.criterion = loss
  if task.feeds then task:feeds(built) end
  -- With --json what comes out of 1 is one object alone, however long the test takes.
  local bar = options.json and progress.new(not core.isatty(2) and "quiet" or nil, 2) or progress.new()
  return { model = options.flip and predict.flipping(net) or net, data = built, seed = 0, loss = loss, task = task,
    progress = bar, flip = options.flip }, loss_name
end

function eval.main(args)
  local options, rest = commands.parse("eval", args)
  if #rest ~= 1 then commands.usage("eval", "one model is needed") end
  local page = options.report == true and PAGE or options.report
  local outputs = {}
  for _, each in ipairs { { "csv", options.csv }, { "wrong", options.wrong }, { "report", page } } do
    if each[2] then outputs[#outputs + 1] = each end
  end
  commands.check_outputs("eval", outputs)
  if options.device then core.device(options.device) end
  local s, loss_name = open(options, rest[1])
  local source = require("tlua.train.feed").open(s, "test")
  local guard <close> = core.no_grad()
  local sum = require("tlua.train").evaluate(s, source, "Testing")
  source:close()
  s.progress:clear()
  check_numbers(s, sum)
  local found = said.gather(s)
  said.print(s, sum, loss_name, found, options.json)
  local function written(path, text)
    if not options.json then print(path .. (text and ": " .. text or "")) end
  end
  if options.csv then written(options.csv, util.counted(tables.write(options.csv, s.task, found), "row")) end
  if options.wrong then written(options.wrong, util.counted(wrong.write(options.wrong, s), "row")) end
  if page then
    write_page(page, s, rest[1])
    written(page)
  end
  return 0
end

return eval
