-- train.lua - running a recipe: the plan, the epochs, the run folder with its checkpoints. A step is in tlua/train/step.lua.
local core = require "tlua.core"
local util = require "tlua.util"
local data_text = require "tlua.data.text"
local doubles = require "tlua.data.doubles"
local feed = require "tlua.train.feed"
local groups = require "tlua.train.groups"
local progress = require "tlua.run.progress"
local schema = require "tlua.schema"
local augment = require "tlua.data.augment"
local model_file = require "tlua.weights.model_file"
local stage = require "tlua.train.stage"
local step = require "tlua.train.step"
local checkpoint = require "tlua.run.checkpoint"
local cache = require "tlua.train.cache"
local run_folder = require "tlua.run.run_folder"
local report = require "tlua.report"
local event_file = require "tlua.run.event_file"
local totals = require "tlua.train.totals"
local rows = require "tlua.run.rows"
local steps = require "tlua.run.steps"
local status = require "tlua.run.status"
local ran = require "tlua.run.ran"
local lora = require "tlua.nn.lora"
local scaling = require "tlua.train.scaling"
local train = {}

-- ---- the plan ----

local function plan_of_stage(s, say)
  local r, o = s.recipe, s.stage_options
  local several = #r.stages > 1
  local function counted(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end
  if several then say(("stage %d   of %d, %s"):format(s.stage, #r.stages, counted(o.epochs, "epoch"))) end
  say(("frozen    %s; %s of %s parameters are trained%s"):format(ran.stage_text(s), util.thousands(s.trained),
    util.thousands(s.parameters),
    r.batchnorm == "eval" and ", batch norms keep their statistics" or ""))
  local rate = groups.text(s.groups) .. (o.rate ~= "constant" and ", " .. o.rate or "") .. (o.warmup > 0
    and (", warm-up %g %s"):format(o.warmup, o.warmup == 1 and "epoch" or "epochs") or "")
  say(("training  %s of %s of %s%s, %s, %s%s, seed %d"):format(counted(o.epochs, "epoch"), counted(s.steps, "step"),
    s.data.batch_seconds and ("%g s"):format(s.data.batch_seconds) or ("%d"):format(s.data.batch), r.accumulate > 1
    and (" x %d"):format(r.accumulate) or "",
    r.optim.kind, rate, ran.average_text(s), s.seed))
  if r.precision ~= "float32" then say(scaling.plan_text(r, s.scaling)) end
  if s.cut then
    say(cache.plan_text(s.cut))
  else
    say(("cache     none: %s"):format(s.no_cache))
  end
  if s.memory then say(("memory    %s for a step, %s are free%s"):format(util.bytes(s.memory.step), util.bytes(s.memory.room),
    s.memory.text)) end
end

-- Samples that are left out, or that may not be what their owner thinks: the first five, and how many.
local function say_some(say, word, list, many)
  for i = 1, math.min(5, #list) do say(("%-9s %s"):format(word, list[i].reason)) end
  if #list > 5 then say(("%-9s ... %d %s in all"):format(word, #list, many)) end
end

function train.plan(s, say)
  local d, net = s.data, s.model
  say(("device    %s (%s, %s)"):format(s.device.name, s.device.type, s.device.platform))
  if s.device.type == "gpu" and not s.device.tested then say "untested  tlua's tests have not run on a GPU of this kind: `tlua check` runs some" end
  if s.device.note then say("note      " .. s.device.note) end
  local tuning = core.tuning()
  if tuning.hash ~= "shipped" then say(("kernels   chosen by the tuned table %s (%d %s of products); TLUA_TUNING=0 goes without"):format(tuning.hash, #tuning, #tuning == 1 and "class" or "classes")) end
  local weights, options = ran.weights_text(net), rawget(net, "network_options")
  local own = weights == rawget(net, "weights_path") and net:label():find(weights, 1, true)
  local cut = options and options.cut and (", cut at '%s'"):format(options.cut) or ""
  say(("model     %s%s, weights: %s"):format(net:label(), cut, own and "the file's" or weights))
  if net.set_head and net:head() then say(("head      %s"):format(net:head():label())) end
  if lora.has(net) then say("lora      " .. lora.text(net)) end
  for _, text in ipairs(rawget(net, "notes") or {}) do say("note      " .. text) end
  say(data_text.data(s))
  data_text.lines(d, say)
  if d.test:count() == 0 and not d.validation then
    say(("test      there is no test %s: no %s is measured, and no epoch is the best"):format(d.input.one,
      s.task:main()[2]))
  end
  if d.groups then say(("groups    %s"):format(ran.groups_text(d.groups, d.input))) end
  say_some(say, "skipped", d.skipped, d.input.many)
  say_some(say, "note", d.noted or {}, d.input.many)
  d.input.lines(d, say)
  local changes = augment.text(d.augment, d.input)
  if changes then say(("augment   %s"):format(changes)) end
  say(("loss      %s"):format(not s.recipe.loss_given and s.task.loss_words or data_text.loss(s.loss, s.classes)))
  if s.auto_batch then say(("batch     %s"):format(s.auto_batch)) end
end

-- ---- epochs ----

-- Calls a method of the run's event file. What goes wrong there does not stop the run: it goes on without.
local function log(s, method, ...)
  if not s.events then return end
  local ok, result = pcall(s.events[method], s.events, ...)
  if ok then return result end
  s.events = nil
  s.progress:say(("log       TensorBoard's events are not written any more: %s"):format(util.reason(result)))
end

-- What a checkpoint says about where the run stands.
local function state_of(s)
  local sum = s.sum
  return { epoch = s.epoch, step = s.done, batches = s.batches_done, stage_steps = s.stage_steps, totals = sum:state(),
    rows = s.results.epochs, best = s.best, without_better = s.without_better, seconds = s.seconds_before + core.time() - s.begin, finished = s.finished,
    scaling = s.scaling and s.scaling:state() or nil, frozen = s.frozen_hash, spent = s.spent, events = log(s, "keep"),
    commands = s.commands, curve = s.curve:state() }
end

-- What is said of a run of private data, without paths and patients.
local function hidden(s, value) return s.data.private and s.data.private:hide(value) or value end

-- Who is behind the aliases that have been written so far.
local function keep_identifiers(s)
  if s.data.private then s.data.private:write(s.out) end
end

-- A checkpoint that cannot be written (a full disk) does not end the run: the one before it stays. True when it was written.
local function keep_last(s)
  local begin = core.time()
  local ok, e = pcall(function()
    checkpoint.keep_last(s, state_of(s), s.results)
    keep_identifiers(s)
  end)
  s.last_kept, s.keeping = core.time(), core.time() - begin
  if ok then s.kept_text = checkpoint.where_text { epoch = s.epoch, step = s.done }
  else s.progress:say(("checkpoint not written: %s; %s"):format(util.reason(e), s.kept_text and ("the one of %s stays"):format(s.kept_text) or "there is none yet")) end
  return ok
end

-- Between epochs, by the clock: the bits do not depend on when a checkpoint is written.
local function keep_now_and_then(s)
  local minutes = s.recipe.checkpoint
  if minutes > 0 and core.time() - s.last_kept > 60 * minutes then keep_last(s) end
end

local function show_progress(s, source, sum, samples, begin, first, waited)
  local seconds, idle = core.time() - begin, source:waited() - waited
  s.pace = seconds > 0 and sum.n > first and progress.pace(s, sum.n - first, seconds, samples - sum.n, samples) or nil
  local text = ("loss %s  %s"):format(util.figure("%.4f", sum:mean()), s.pace and progress.speed(sum.n - first, seconds,
    samples - sum.n, s.data.input.many, s.pace.all) or "")
  if seconds > 3 and idle > 0.1 * seconds then text = text .. ("  waiting for %s %.0f %%"):format(s.data.input.many,
    100 * idle / seconds) end
  s.progress:update(("Epoch %d/%d"):format(s.epoch, s.epochs), sum.n, samples, text)
end

-- One pass over the training pictures, from batch s.done on. True when Ctrl-C stopped it.
local function train_epoch(s)
  local sum, source = s.sum, s.train_feed
  s.model:train()
  if source:start(s.epoch, s.done) then return true end
  local begin, waited, first, samples = core.time(), source:waited(), sum.n, s.data.input.samples(s.data)
  local loss, counted = sum.loss, sum.counted
  while step.train(s, source, sum) do
    local of_step = sum.counted ~= counted and (sum.loss - loss) / (sum.counted - counted) or nil
    if s.events then log(s, "scalars", s.batches_done, { ["step/loss"] = of_step, ["step/learning_rate"] = s.rate }) end
    if of_step then s.curve:add(s.epoch - 1 + sum.n / samples, of_step, s.rate) end
    loss, counted = sum.loss, sum.counted
    -- The first step of a process waits for compilers and says nothing of the others.
    if not s.compiled then s.compiled, begin, waited, first = true, core.time(), source:waited(), sum.n end
    show_progress(s, source, sum, samples, begin, first, waited)
    if core.interrupted() then return true end
    keep_now_and_then(s)
  end
  return false
end

-- Loss and figures on a part of the data; and true when Ctrl-C stopped it. Of a test that came to its end s.seen holds what was collected of it
-- for the report, with the epoch and the part.
function train.evaluate(s, source, label)
  local sum, begin, pictures = totals.new(s.task, nil, true), core.time(), source.count
  local seen = s.task.collector and s.task:collector(s, source.part) or {}
  rawset(seen, "epoch", s.epoch)
  rawset(seen, "part", source.part)
  rawset(seen, "many", s.data.input.many)
  s.model:eval()
  if source:start(1) then return sum, true end
  begin = core.time()
  while true do
    if not step.test(s, source, sum, s.task.collector and seen or nil) then break end
    s.progress:update(label, sum.n, pictures, progress.speed(sum.n, core.time() - begin, pictures - sum.n,
      s.data.input.many))
    if core.interrupted() then return sum, true end
  end
  s.seen = seen
  return sum, false
end

-- The same with the averages of the weights, where the recipe asks for them and there are any yet.
local function evaluate_average(s)
  local average, begin = s.ema and s.ema:begun(), core.time()
  s.pace = nil
  if average then s.ema:swap() end
  local sum, stopped = train.evaluate(s, s.test_feed, s.test_feed.part == "test" and "Testing" or "Validating")
  if average then s.ema:swap() end
  s.test_took = core.time() - begin
  return sum, stopped
end

local function open_folder(s, resumed, force)
  run_folder.take(s, resumed, force)
  if s.recipe.log == "tensorboard" then s.events = event_file.open(s.out, resumed and s.events_kept or nil) end
  s.progress:log_to(s.out .. "/log.txt", resumed)
  core.write_file(s.out .. "/metrics.csv", run_folder.metrics(s, s.results.epochs))
  if s.recipe.returned and s.recipe.text then -- `tlua --resume RUN` wants no more
    core.write_file(s.out .. "/recipe.lua", hidden(s, s.recipe.text))
  end
  local listed = doubles.csv(s.data)
  if listed then core.write_file(s.out .. "/" .. doubles.FILE, listed) end
  keep_identifiers(s)
  local begun = ran.begun(s)
  begun.figures = report.main_first(s.task)
  s.status = status.open(s, begun, function(value) return hidden(s, value) end)
  s.progress.watched = function(...) s.status:tick(...) end
end

-- ---- stages ----

local function close_feeds(s)
  for _, name in ipairs { "train_feed", "test_feed" } do
    if s[name] then s[name]:close() end
    s[name] = nil
  end
end

local function say_frozen(s)
  if not s.frozen_hash then return end
  local now, n = stage.frozen_hash(s)
  if now ~= s.frozen_hash then
    util.failf("frozen tensors of stage %d have changed while it was trained; this is a defect of tlua: please report it with the recipe", s.stage)
  end
  s.progress:say(("frozen    %d tensors unchanged"):format(n))
end

local function begin_stage(s, k)
  if k ~= s.stage then stage.enter(s, k) end
  s.frozen_hash = stage.frozen_hash(s)
  plan_of_stage(s, function(text) s.progress:say(text) end)
  close_feeds(s)
  s.train_feed, s.test_feed = feed.open(s, "train"), feed.open(s, s.part)
  s.entered, s.took, s.test_took = k, nil, nil
end

-- ---- the run ----

-- Of a row, the loss and the main figure of the part that selects: the validation, or where there is none the test.
local function judged(s, row) return row[s.prefix .. "_loss"], row[s.prefix .. "_" .. s.task:main()[1]] end

-- A loss that is NaN or infinite belongs to no best epoch; one that is not there (no label of the part counts in it) cannot be compared, and
-- the figure alone decides.
local function is_better(s, row)
  local loss, figure = judged(s, row)
  local best_loss, best_figure
  if s.best then best_loss, best_figure = judged(s, s.best) end
  if loss and not util.is_finite(loss) then return false end
  if s.recipe.best == "loss" then return loss ~= nil and (not s.best or loss < best_loss) end
  if figure ~= nil and not util.is_finite(figure) then return false end
  if not s.best or figure ~= best_figure then
    return not s.best or (figure ~= nil and (best_figure == nil or s.task:is_better(figure, best_figure)))
  end
  return loss ~= nil and loss < (best_loss or math.huge)
end

-- Is this epoch one of those after which the recipe wants a test? The last one always is, where there are test pictures.
local function tests_now(s)
  local every = s.recipe.test_every
  if s.data[s.part]:count() == 0 then return false end
  return s.epoch == s.epochs or (every > 0 and s.epoch % every == 0)
end

local function log_epoch(s, row)
  local list = { ["epoch/loss"] = row.loss, ["epoch/seconds"] = row.seconds }
  local main = s.task:main()[1]
  list["epoch/" .. main] = row["train_" .. main]
  for _, f in ipairs(s.task.figures) do list[("epoch/%s_%s"):format(s.prefix, f[1])] = row[s.prefix .. "_" .. f[1]] end
  list[("epoch/%s_loss"):format(s.prefix)] = row[s.prefix .. "_loss"]
  log(s, "scalars", row.epoch, list)
  log(s, "flush")
end

-- `test`: the sums of the test, nil in an epoch without one.
local function finish_epoch(s, test, begin)
  local results, main = s.results, s.task:main()[1]
  local row = rows.of(s, test, begin)
  s.progress:say(rows.text(s, row, test), true, { "epoch", row })
  results.epochs[s.epoch] = row
  local loss, figure = judged(s, row)
  results.loss = row.loss
  for _, f in ipairs(s.task.figures) do results[f[1]] = row[s.prefix .. "_" .. f[1]] or results[f[1]] end
  if figure ~= nil then results.value = figure end
  pcall(core.write_file, s.out .. "/metrics.csv", run_folder.metrics(s, results.epochs)) -- written anew after every epoch
  s.pace = s.took and { all = (s.epochs - s.epoch) * s.took } or nil
  s.status:write("running", {})
  log_epoch(s, row)
  if not test then return false end
  local advice = s.task.advice and not s.advised and s.task:advice(test:value(), s)
  if advice then s.progress:say(advice) end
  s.advised = s.advised or advice -- once a run
  if loss and not util.is_finite(loss) then
    s.progress:say(("%-9s the loss is %s: this epoch counts as no better one"):format(s.part, util.figure("%g", loss)))
  end
  if loss and s.schedule:told(loss) then s.progress:say(("rate      lowered to %g"):format(s.lr * s.schedule.reduced)) end
  local better = is_better(s, row)
  if better then s.best = { epoch = row.epoch, [s.prefix .. "_" .. main] = figure, [s.prefix .. "_loss"] = loss } end
  s.without_better = better and 0 or s.without_better + 1
  return better
end

-- The run stands before the next epoch.
local function next_epoch(s)
  s.epoch, s.done, s.sum = s.epoch + 1, 0, totals.new(s.task)
end

local function is_over(s)
  local patience = s.recipe.stop_after
  return s.epoch > s.epochs or (patience > 0 and s.without_better >= patience)
end

-- Writes what follows an epoch: always at the end and when it was the best, else when writing costs little beside training.
local function keep_epoch(s, better)
  s.finished = is_over(s)
  local kept = (better or s.finished or core.time() - s.last_kept > 20 * s.keeping) and keep_last(s)
  if better and kept then checkpoint.keep_best(s) end
end

-- What the device does another way than it should, which its first launches may show: once.
local function say_note(s)
  local note = core.device_info().note
  if note and note ~= s.device.note then s.progress:say("note      " .. note) end
  s.device.note = note
end

-- True when Ctrl-C or SIGTERM stopped it.
local function one_epoch(s)
  local begin = core.time()
  local k, within = stage.of_epoch(s.stages, s.epoch)
  if s.entered ~= k then
    if s.entered then say_frozen(s) end
    if k ~= s.stage then s.stage_steps = 0 end
    begin_stage(s, k)
  end
  s.stage_epoch = within
  local whole, features = s.done == 0, s.spent.features
  local halted, test = train_epoch(s)
  s.spent.training = s.spent.training + core.time() - begin
  if halted then return true end
  if tests_now(s) then test, halted = evaluate_average(s) end
  if halted then return true end
  if whole then s.took = core.time() - begin - (s.spent.features - features) end
  local better = finish_epoch(s, test, begin)
  say_note(s)
  next_epoch(s)
  keep_epoch(s, better)
  return false
end

local function stopped(s)
  s.results.interrupted = true
  local kept = keep_last(s)
  s.progress:say(("stopped in epoch %d after %d batches; %s"):format(s.epoch, s.done,
    kept and run_folder.resume_text(s) .. " goes on from here" or run_folder.way_on(s, s.kept_text)))
end

local function all_epochs(s)
  while not is_over(s) do
    if one_epoch(s) then return stopped(s) end
  end
  if s.entered then say_frozen(s) end
  if s.epoch <= s.epochs then
    s.progress:say(("stopped   no better %s %s for %d epochs; %s"):format(s.part, s.recipe.best == "loss" and "loss" or s.task:main()[2],
      s.without_better, s.best and ("the best was epoch %d"):format(s.best.epoch) or ("no epoch had a %s loss that is a number"):format(s.part)))
  end
end

-- What figures of an interrupted run are of, where its model was trained on since: nil where they are the model's own.
local function lag_of(s)
  if not (s.results.interrupted and s.seen and s.seen.epoch) or s.done == 0 and s.seen.epoch == #s.results.epochs then return nil end
  return ("figures of epoch %d; the model that is kept has been trained %s on"):format(s.seen.epoch,
    s.done > 0 and s.epoch == s.seen.epoch + 1 and ("%d batch%s"):format(s.done, s.done == 1 and "" or "es") or ("up to epoch %d, step %d"):format(s.epoch, s.done))
end

-- What is known of the run for its report; `seen` is what the task collected.
local function report_of(s, seen)
  local r = s.recipe
  local _, _, peak = core.memory()
  local facts, lag = ran.facts(s), lag_of(s)
  if lag then table.insert(facts, 1, { "stopped", lag }) end
  return { title = ran.title(s), begun = s.status.since, steps = s.curve:told(), state = s.status:word(),
    subtitle = ("%s, %s"):format(r.name, os.date "%Y-%m-%d %H:%M"),
    name = r.name, task = s.task, seen = seen, session = s, names = s.classes, rows = s.results.epochs, prefix = s.prefix,
    part = seen.part or "test", source = s.data[seen.part or "test"], seconds = s.seconds_before + core.time() - s.begin,
    trained = s.most_trained, parameters = s.parameters, peak_bytes = peak, commands = s.commands, ran = ran.head(s), facts = facts,
    test = s.data.list and s.data.list.test, fields = checkpoint.fields(r), recipe = r.text, place = s.out,
    list = require("tlua.report.findings.wrong").keep(s, seen) }
end

-- report.html. It must not cost the run: what goes wrong here is said and left.
local function write_report(s)
  local seen = s.seen
  if #s.results.epochs == 0 or (not seen and s.data.test:count() > 0) then return end
  local ok, e = pcall(function()
    local found = hidden(s, report.gather(report_of(s, seen or { part = "test" })))
    core.write_file(s.out .. "/report.json", core.json_encode(found))
    core.write_file(s.out .. "/report.html", report.page(found))
    s.results.metrics = s.task.summary and s.task:summary(found.metrics) or {}
  end)
  if not ok then s.progress:say(("report not written: %s"):format(util.reason(e))) end
  return ok
end

-- Figures of the test become those of the results.
local function take_test(s, sum)
  local main = s.task:main()[1]
  for key, v in pairs(sum:value()) do s.results[key] = v end
  s.results.value, s.results.test_loss = s.results[main], sum:mean()
end

-- Looks at a part once more, with the averages of the weights where there are any. True where it came to its end.
local function look_at(s, part)
  if s.test_feed then s.test_feed:close() end
  s.test_feed = feed.open(s, part)
  local sum, halted = evaluate_average(s)
  if not halted and part == "test" then take_test(s, sum) end
  return not halted
end

-- A run that was killed between its last checkpoint and model.safetensors has nothing left to train, and everything to write.
local function evaluate_again(s)
  begin_stage(s, (stage.of_epoch(s.stages, math.min(#s.results.epochs, s.epochs))))
  evaluate_average(s)
end

-- Puts the weights of the best epoch back and tests them. They may be of another stage, whose frozen part gives other features.
local function restore_best(s)
  local scope <close> = core.scope()
  local path, main = s.out .. "/best.safetensors", s.task:main()
  local _, figure = judged(s, s.best)
  local function say(more)
    s.progress:say(("best      epoch %d, %s %s%s"):format(s.best.epoch, s.part, s.task:figure_text(main, figure), more))
  end
  local ok, c = pcall(checkpoint.find, path)
  if not ok or not c.state.best or c.state.best.epoch ~= s.best.epoch then
    say(("; its weights are not there (%s), so the last ones are kept"):format(not ok and util.reason(c) or ("%s holds another epoch"):format(path)))
    return
  end
  checkpoint.restore(s, c)
  s.results.loss, s.done = s.results.epochs[s.best.epoch].loss, 0
  s.results[main[1]], s.results.value = figure, figure
  close_feeds(s)
  s.seen = nil
  if s.part == "test" and s.data.test:count() > 0 then
    look_at(s, "test")
    s.results[main[1]], s.results.value = figure, figure
    if s.seen then s.seen.epoch = nil end
  end
  say ""
end

-- The model of the run, which a disk that is full must not cost without a word on how to get it.
local function write_model(s)
  local ok, e = pcall(model_file.save, s.out .. "/model.safetensors", s, s.results)
  if not ok then util.failf("the model is not written: %s; %s", util.reason(e), run_folder.way_on(s, s.kept_text)) end
  keep_identifiers(s)
  if not s.results.interrupted then run_folder.drop_old(s) end
end

-- What the task decides by the validation, like a threshold, is decided by the model that is kept.
local function choose(s)
  if not (s.task.chooses and s.task.chooses(s.task.options)) then return end
  if s.results.interrupted or s.part ~= "validation" or s.data.validation:count() == 0 then return end
  if not (s.seen and s.seen.part == s.part) and not look_at(s, s.part) then return end
  s.progress:say(("%-9s %s"):format("threshold", s.task:choose(s.seen)))
end

local function keep_model(s)
  if not s.seen and #s.results.epochs > 0 and s.data[s.part]:count() > 0 and not s.results.interrupted then evaluate_again(s) end
  s.model:eval()
  if s.recipe.keep == "best" and s.best and (s.best.epoch ~= #s.results.epochs or s.done > 0) then restore_best(s) end
  choose(s)
  -- Where a validation selects, the test is looked at once, by what is kept.
  if s.part ~= "test" and not s.results.interrupted and s.data.test:count() > 0 and #s.results.epochs > 0 then look_at(s, "test") end
  if s.ema and s.ema:begun() then s.ema:swap() end
  local reported = write_report(s)
  local text = reported and s.seen and s.task.text_of_test and s.task:text_of_test(s.results.metrics, s.seen)
  if text then
    local lag = lag_of(s)
    s.progress:say(("%-9s %s%s"):format(s.seen.part, text, lag and "; " .. lag or ""))
  end
  s.results.spent = s.spent
  log(s, "keep")
  write_model(s)
  s.progress:say(run_folder.kept(s, reported))
end

-- The pictures of a run that goes on may be others than it began with: an error, unless `force` wants to go on with those. Returns what changed.
local function other_pictures(s, state, force)
  local changed = checkpoint.changed_pictures(state, s)
  local list = {}
  for _, part in ipairs { "train", "validation", "test" } do list[#list + 1] = changed[part] end
  changed.text = table.concat(list, "; ")
  if #list > 0 and not force then
    util.failf("--resume: the %s in %s have changed since the run was stopped: %s; --force goes on with those that are there",
      s.data.input.many, s.recipe.data.options.root or s.data.title, changed.text)
  end
  return changed
end

-- The epoch begins anew, since its order was drawn for another number of pictures; what was best on other test pictures is best no more.
local function take_up_pictures(s, changed)
  if changed.train then
    local k, within = stage.of_epoch(s.stages, s.epoch)
    s.curve:cut(s.epoch - 1)
    s.done, s.sum, s.stage_steps = 0, totals.new(s.task), k and (within - 1) * s.steps or s.stage_steps
  end
  if changed[s.part] then s.best, s.without_better = nil, 0 end
  if changed.text ~= "" then s.progress:say(("resumed   with other %s: %s%s"):format(s.data.input.many, changed.text,
    changed.train and ("; epoch %d begins anew"):format(s.epoch) or "")) end
end

-- Takes up the state of a checkpoint.
local function take_up(s, path, force)
  local scope <close> = core.scope()
  local c = checkpoint.find(path)
  local state = c.state
  local changed = other_pictures(s, state, force)
  checkpoint.restore(s, c)
  s.epoch, s.done, s.batches_done, s.stage_steps = state.epoch, state.step, state.batches, state.stage_steps
  s.sum, s.best, s.without_better, s.seconds_before = totals.new(s.task, state.totals), state.best, state.without_better, state.seconds
  s.curve = steps.new(state.curve)
  s.results.epochs, s.spent, s.events_kept = state.rows, state.spent or s.spent, state.events
  local row, main = state.rows[#state.rows], s.task:main()[1]
  if row then s.results.loss = row.loss end
  for i = #state.rows, 1, -1 do
    if s.results.value == nil then s.results.value = state.rows[i][s.prefix .. "_" .. main] end
  end
  s.results[main] = s.results.value
  if state.frozen and state.frozen ~= stage.frozen_hash(s) then util.failf("--resume: the frozen tensors of %s are not those that the run began with", c.path) end
  if s.scaling then s.scaling:take(state.scaling) end
  s.commands = state.commands or {}
  s.kept_text = checkpoint.where_text(state)
  s.progress:say(("resumed   %s, %s"):format(c.path, s.kept_text))
  take_up_pictures(s, changed)
  local d = checkpoint.device_text(s.device)
  if d ~= state.device then s.progress:say(("resumed   on another device (it was %s): it goes on, but not to the same bits"):format(state.device)) end
  local other = checkpoint.other_choices(state)
  if other then s.progress:say(("resumed   with other choices of kernels (%s): it goes on, but not to the same bits"):format(other)) end
  local features = cache.text(s.cut)
  if state.features and state.features ~= features then
    s.progress:say(("resumed   with other features in the cache (%s; it was %s): it goes on, but not to the same bits"):format(features, state.features))
  end
end

-- Runs a session of tlua/train/build.lua. options: checkpoint, the file to go on from; force; style of what is shown; progress, where to
-- show it; caught, when the caller catches Ctrl-C itself. Returns {accuracy, loss,
-- epochs = rows, out, interrupted}.
function train.run(s, options)
  options = options or {}
  local c = options.checkpoint
  core.survive_pipes() -- whoever reads along may go away: log.txt goes on
  s.begin, s.progress = core.time(), options.progress or progress.new(options.style)
  s.curve = steps.new()
  s.spent = { training = 0, features = 0 } -- seconds; those of features are among those of training
  s.results = { epochs = {} }
  s.epochs, s.epoch, s.done, s.batches_done, s.stage_steps = s.data.epochs, 1, 0, 0, 0
  s.sum, s.without_better, s.seconds_before, s.last_kept, s.keeping = totals.new(s.task), 0, 0, core.time(), 0
  s.progress.hide = s.data.private and function(value) return hidden(s, value) end or nil
  train.plan(s, function(text) s.progress:say(text) end)
  s.out = c and (c:match "^(.*)/[^/]+$" or ".") or run_folder.name(s.recipe)
  s.commands, s.weights_stamp = {}, ran.weights_stamp(s.model)
  if c then take_up(s, c, options.force) else require("tlua.train.norms").measure(s) end
  s.commands[#s.commands + 1] = ran.command()
  open_folder(s, c ~= nil, options.force)
  -- Killed between writing the last checkpoint and giving it its second name.
  if c and s.best and s.done == 0 and s.best.epoch == #s.results.epochs and c:find "last%.safetensors$" then checkpoint.keep_best(s) end
  s.progress:event("start", ran.started(s))
  if not options.caught then core.catch_interrupt(true) end
  local ok, e = pcall(function()
    all_epochs(s)
    keep_model(s)
  end)
  if not options.caught then core.catch_interrupt(false) end
  s.progress:clear()
  close_feeds(s)
  s.progress.watched = nil
  pcall(s.status.ended, s.status, ok, e) -- what ended the run is the error to see
  core.unlock(s.lock)
  if not ok then error(e, 0) end
  s.progress:say(("done in %s"):format(util.clock(core.time() - s.begin)), false, { "done", ran.done(s) })
  s.results.out, s.results.model, s.results.session = s.out, s.model, s
  return s.results
end

return train
