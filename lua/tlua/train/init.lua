-- train.lua - running a recipe: the plan, the epochs, the run folder with its checkpoints. A step is in tlua/train/step.lua.
local core = require "tlua.core"
local util = require "tlua.util"
local data_text = require "tlua.data.text"
local feed = require "tlua.train.feed"
local groups = require "tlua.train.groups"
local progress = require "tlua.run.progress"
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
local ran = require "tlua.run.ran"
local intervals = require "tlua.report.intervals"
local train = {}

-- ---- the plan ----

local function plan_of_stage(s, say)
  local r, o = s.recipe, s.stage_options
  local several = #r.stages > 1
  if several then say(("stage %d   of %d, %d epochs"):format(s.stage, #r.stages, o.epochs)) end
  local freeze, only = stage.frozen_of(r, o)
  say(("frozen    %s; %s of %s parameters are trained%s"):format(ran.freeze_text(freeze, only), util.thousands(s.trained), util.thousands(s.parameters),
    r.batchnorm == "eval" and ", batch norms keep their statistics" or ""))
  local rate = groups.text(s.groups) .. (o.rate ~= "constant" and ", " .. o.rate or "") .. (o.warmup > 0 and (", warm-up %g epochs"):format(o.warmup) or "")
  say(("training  %d epochs of %d steps of %d%s, %s, %s%s, seed %d"):format(o.epochs, s.steps, s.data.batch, r.accumulate > 1 and (" x %d"):format(r.accumulate) or "",
    r.optim.kind, rate, s.ema and (", average of the weights %g"):format(r.ema) or "", s.seed))
  if s.cut then
    local c = s.cut
    local state = c.done == c.rows and "found, complete" or c.done > 0 and ("found, %d %% made"):format(100 * c.done // c.rows) or "computed once"
    say(("cache     after %s (%s, %s%s): %s in %s, %s"):format(c.name, table.concat(c.shape, " x "), c.dtype, c.views > 1 and (", %d views"):format(c.views) or "",
      util.bytes(c.bytes), c.folder, state))
  else
    say(("cache     none: %s"):format(s.no_cache))
  end
  if s.memory then say(("memory    %s for a step, %s are free"):format(util.bytes(s.memory.step), util.bytes(s.memory.room))) end
end

function train.plan(s, say)
  local d, net = s.data, s.model
  local p = d.preprocessing
  say(("device    %s (%s, %s)"):format(s.device.name, s.device.type, s.device.platform))
  if s.device.type == "gpu" and not s.device.tested then say "untested  tlua's tests have not run on a GPU of this kind: `tlua check` runs some" end
  if s.device.note then say("note      " .. s.device.note) end
  local tuning = core.tuning()
  if tuning.hash ~= "shipped" then say(("kernels   chosen by the tuned table %s (%d %s of products); TLUA_TUNING=0 goes without"):format(tuning.hash, #tuning, #tuning == 1 and "class" or "classes")) end
  say(("model     %s, weights: %s"):format(net:label(), ran.weights_text(net)))
  if rawget(net, "entry") then say(("head      %s"):format(net:head():label())) end
  say(("data      %s: %s training and %s test pictures, %d classes"):format(d.title, util.thousands(d.train:count()), util.thousands(d.test:count()), #s.classes))
  data_text.lines(d, say)
  if d.test:count() == 0 then say "test      there is no test picture: no accuracy is measured, and no epoch is the best" end
  if d.groups then say(("groups    %s"):format(ran.groups_text(d.groups))) end
  for i, each in ipairs(d.skipped) do
    if i <= 5 then say(("skipped   %s"):format(each.reason)) end
  end
  if #d.skipped > 5 then say(("skipped   ... %d damaged pictures in all"):format(#d.skipped)) end
  local changes = augment.text(d.augment)
  say(("pictures  %d x %d, %s, %s"):format(p.size, p.size, p.fit == "stretch" and "stretched" or ("shorter side to %d, centre cropped"):format(p.resize), p.interpolation))
  if changes then say(("augment   %s"):format(changes)) end
  say(("loss      %s"):format(data_text.loss(s.loss, s.classes)))
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
    frozen = s.frozen_hash, spent = s.spent, events = log(s, "keep"), commands = s.commands }
end

-- A checkpoint that cannot be written (a full disk) does not end the run: the one before it stays. True when it was written.
local function keep_last(s)
  local begin = core.time()
  local ok, e = pcall(checkpoint.keep_last, s, state_of(s), s.results)
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

local function show_progress(s, source, sum, begin, first, waited)
  local pictures = s.data.train:count()
  local seconds, idle = core.time() - begin, source:waited() - waited
  local text = ("loss %s  %s"):format(util.figure("%.4f", sum:mean()), progress.speed(sum.n - first, seconds, pictures - sum.n))
  if seconds > 3 and idle > 0.1 * seconds then text = text .. ("  waiting for pictures %.0f %%"):format(100 * idle / seconds) end
  s.progress:update(("Epoch %d/%d"):format(s.epoch, s.epochs), sum.n, pictures, text)
end

-- One pass over the training pictures, from batch s.done on. True when Ctrl-C stopped it.
local function train_epoch(s)
  local sum, source = s.sum, s.train_feed
  s.model:train()
  if source:start(s.epoch, s.done) then return true end
  local begin, waited, first = core.time(), source:waited(), sum.n
  local loss, counted = sum.loss, sum.counted
  while step.train(s, source, sum) do
    local of_step = sum.counted ~= counted and (sum.loss - loss) / (sum.counted - counted) or nil
    if s.events then log(s, "scalars", s.batches_done, { ["step/loss"] = of_step, ["step/learning_rate"] = s.rate }) end
    loss, counted = sum.loss, sum.counted
    show_progress(s, source, sum, begin, first, waited)
    if core.interrupted() then return true end
    keep_now_and_then(s)
  end
  return false
end

-- Loss and accuracy on the test pictures; and true when Ctrl-C stopped it. Of a test that came to its end s.seen holds what was predicted, and
-- the epoch.
function train.evaluate(s, source, label)
  local sum, begin, pictures = totals.new(), core.time(), s.data.test:count()
  local seen = { labels = {}, probabilities = {}, epoch = s.epoch }
  s.model:eval()
  if source:start(1) then return sum, true end
  begin = core.time()
  while true do
    local loss, counted, right, n = step.test(s, source, seen)
    if not loss then break end
    sum:add(loss, counted, right, n)
    s.progress:update(label, sum.n, pictures, progress.speed(sum.n, core.time() - begin, pictures - sum.n))
    if core.interrupted() then return sum, true end
  end
  s.seen = seen
  return sum, false
end

-- The same with the averages of the weights, where the recipe asks for them and there are any yet.
local function evaluate_average(s)
  local average = s.ema and s.ema:begun()
  if average then s.ema:swap() end
  local sum, stopped = train.evaluate(s, s.test_feed, "Testing")
  if average then s.ema:swap() end
  return sum, stopped
end

local function open_folder(s, resumed, force)
  run_folder.take(s, resumed, force)
  if s.recipe.log == "tensorboard" then s.events = event_file.open(s.out, resumed and s.events_kept or nil) end
  s.progress:log_to(s.out .. "/log.txt", resumed)
  core.write_file(s.out .. "/metrics.csv", run_folder.metrics(s.results.epochs))
  if s.recipe.returned and s.recipe.text then core.write_file(s.out .. "/recipe.lua", s.recipe.text) end -- `tlua --resume RUN` wants no more
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
  s.train_feed, s.test_feed = feed.open(s, "train"), feed.open(s, "test")
  s.entered = k
end

-- ---- the run ----

-- A test loss that is NaN or infinite belongs to no best epoch; one that is not there (no test label counts in it) cannot be compared, and
-- the accuracy alone decides.
local function is_better(s, row)
  local best, loss = s.best, row.test_loss
  if loss and not util.is_finite(loss) then return false end
  if s.recipe.best == "loss" then return loss ~= nil and (not best or loss < best.test_loss) end
  if not best or row.test_accuracy ~= best.test_accuracy then return not best or row.test_accuracy > best.test_accuracy end
  return loss ~= nil and loss < (best.test_loss or math.huge)
end

-- Is this epoch one of those after which the recipe wants a test? The last one always is, where there are test pictures.
local function tests_now(s)
  local every = s.recipe.test_every
  if s.data.test:count() == 0 then return false end
  return s.epoch == s.epochs or (every > 0 and s.epoch % every == 0)
end

-- `test`: the sums of the test, nil in an epoch without one.
local function finish_epoch(s, test, begin)
  local sum, results = s.sum, s.results
  local row = { epoch = s.epoch, loss = sum:mean(), train_accuracy = sum:accuracy(), test_loss = test and test:mean(), test_accuracy = test and test:accuracy(),
    lr = s.rate or s.lr, seconds = core.time() - begin }
  local tested = test and ("  test accuracy %.1f %%"):format(row.test_accuracy) or s.data.test:count() == 0 and "  test accuracy -" or ""
  s.progress:say(("[Epoch %d] loss: %s  train accuracy %s %%%s  (%.1f s)"):format(row.epoch, util.figure("%.4f", row.loss), util.figure("%.1f", row.train_accuracy), tested,
    row.seconds), true, { "epoch", row })
  results.epochs[s.epoch] = row
  results.loss, results.accuracy = row.loss, row.test_accuracy or results.accuracy
  pcall(core.write_file, s.out .. "/metrics.csv", run_folder.metrics(results.epochs)) -- written anew after every epoch
  log(s, "scalars", row.epoch, { ["epoch/loss"] = row.loss, ["epoch/accuracy"] = row.train_accuracy, ["epoch/test_loss"] = row.test_loss,
    ["epoch/test_accuracy"] = row.test_accuracy, ["epoch/seconds"] = row.seconds })
  log(s, "flush")
  if not test then return false end
  if row.test_loss and not util.is_finite(row.test_loss) then s.progress:say(("test      the loss is %s: this epoch counts as no better one"):format(util.figure("%g", row.test_loss))) end
  if row.test_loss and s.schedule:told(row.test_loss) then s.progress:say(("rate      lowered to %g"):format(s.lr * s.schedule.reduced)) end
  local better = is_better(s, row)
  if better then s.best = { epoch = row.epoch, test_accuracy = row.test_accuracy, test_loss = row.test_loss } end
  s.without_better = better and 0 or s.without_better + 1
  return better
end

-- The run stands before the next epoch.
local function next_epoch(s)
  s.epoch, s.done, s.sum = s.epoch + 1, 0, totals.new()
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
  local halted, test = train_epoch(s)
  s.spent.training = s.spent.training + core.time() - begin
  if halted then return true end
  if tests_now(s) then test, halted = evaluate_average(s) end
  if halted then return true end
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
    s.progress:say(("stopped   no better test %s for %d epochs; %s"):format(s.recipe.best, s.without_better,
      s.best and ("the best was epoch %d"):format(s.best.epoch) or "no epoch had a test loss that is a number"))
  end
end

-- What figures of an interrupted run are of, where its model was trained on since: nil where they are the model's own.
local function lag_of(s)
  if not (s.results.interrupted and s.seen and s.seen.epoch) or s.done == 0 and s.seen.epoch == #s.results.epochs then return nil end
  return ("figures of epoch %d; the model that is kept has been trained %s on"):format(s.seen.epoch,
    s.done > 0 and s.epoch == s.seen.epoch + 1 and ("%d batch%s"):format(s.done, s.done == 1 and "" or "es") or ("up to epoch %d, step %d"):format(s.epoch, s.done))
end

-- report.html. It must not cost the run: what goes wrong here is said and left.
local function write_report(s)
  local r = s.recipe
  local seen = s.seen or { labels = {}, probabilities = {} }
  if #s.results.epochs == 0 or (#seen.labels == 0 and s.data.test:count() > 0) then return end
  local ok, e = pcall(function()
    local _, _, peak = core.memory()
    local facts, lag = ran.facts(s), lag_of(s)
    if lag then table.insert(facts, 1, { "stopped", lag }) end
    local found = report.gather { title = ("%s on %s"):format(s.model:label(), s.data.title), subtitle = ("%s, %s"):format(r.name, os.date "%Y-%m-%d %H:%M"), name = r.name, labels = seen.labels,
      probabilities = seen.probabilities, names = s.classes, rows = s.results.epochs, source = s.data.test, seconds = s.seconds_before + core.time() - s.begin,
      trained = s.most_trained, parameters = s.parameters, peak_bytes = peak, commands = s.commands, ran = ran.head(s), facts = facts,
      test = s.data.list and s.data.list.test, fields = checkpoint.fields(r), recipe = r.text }
    core.write_file(s.out .. "/report.json", core.json_encode(found))
    core.write_file(s.out .. "/report.html", report.page(found))
    found = found.metrics
    s.results.metrics = { accuracy = found.accuracy, interval = found.accuracy_interval, balanced_accuracy = found.balanced_accuracy, kappa = found.kappa,
      f1 = found.averages and found.averages.macro.f1, calibration_error = found.calibration_error }
  end)
  if not ok then s.progress:say(("report not written: %s"):format(util.reason(e))) end
  return ok
end

-- A run that was killed between its last checkpoint and model.safetensors has nothing left to train, and everything to write.
local function evaluate_again(s)
  begin_stage(s, (stage.of_epoch(s.stages, math.min(#s.results.epochs, s.epochs))))
  evaluate_average(s)
end

-- Puts the weights of the best epoch back and tests them. They may be of another stage, whose frozen part gives other features.
local function restore_best(s)
  local scope <close> = core.scope()
  local path = s.out .. "/best.safetensors"
  local ok, c = pcall(checkpoint.find, path)
  if not ok or not c.state.best or c.state.best.epoch ~= s.best.epoch then
    s.progress:say(("best      epoch %d, test accuracy %.1f %%; its weights are not there (%s), so the last ones are kept"):format(s.best.epoch, s.best.test_accuracy,
      not ok and util.reason(c) or ("%s holds another epoch"):format(path)))
    return
  end
  checkpoint.restore(s, c)
  s.results.loss, s.results.accuracy, s.done = s.results.epochs[s.best.epoch].loss, s.best.test_accuracy, 0
  close_feeds(s)
  s.seen = nil
  if s.data.test:count() > 0 then
    s.test_feed = feed.open(s, "test")
    evaluate_average(s)
    if s.seen then s.seen.epoch = nil end
  end
  s.progress:say(("best      epoch %d, test accuracy %.1f %%"):format(s.best.epoch, s.best.test_accuracy))
end

-- The model of the run, which a disk that is full must not cost without a word on how to get it.
local function write_model(s)
  local ok, e = pcall(model_file.save, s.out .. "/model.safetensors", s, s.results)
  if not ok then util.failf("the model is not written: %s; %s", util.reason(e), run_folder.way_on(s, s.kept_text)) end
  if not s.results.interrupted then run_folder.drop_old(s) end
end

local function keep_model(s)
  if not s.seen and #s.results.epochs > 0 and s.data.test:count() > 0 and not s.results.interrupted then evaluate_again(s) end
  s.model:eval()
  if s.recipe.keep == "best" and s.best and (s.best.epoch ~= #s.results.epochs or s.done > 0) then restore_best(s) end
  if s.ema and s.ema:begun() then s.ema:swap() end
  local reported = write_report(s)
  local m = s.results.metrics
  if reported and m.accuracy then
    local lag = lag_of(s)
    s.progress:say(("test      %.1f %% of %s pictures right, 95 %%: %s%s"):format(100 * m.accuracy, util.thousands(#s.seen.labels), intervals.text(table.unpack(m.interval)),
      lag and "; " .. lag or ""))
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
  for _, part in ipairs { "train", "test" } do list[#list + 1] = changed[part] end
  changed.text = table.concat(list, "; ")
  if #list > 0 and not force then
    util.failf("--resume: the pictures in %s have changed since the run was stopped: %s; --force goes on with those that are there", s.recipe.data.options.root or s.data.title,
      changed.text)
  end
  return changed
end

-- The epoch begins anew, since its order was drawn for another number of pictures; what was best on other test pictures is best no more.
local function take_up_pictures(s, changed)
  if changed.train then
    local k, within = stage.of_epoch(s.stages, s.epoch)
    s.done, s.sum, s.stage_steps = 0, totals.new(), k and (within - 1) * s.steps or s.stage_steps
  end
  if changed.test then s.best, s.without_better = nil, 0 end
  if changed.text ~= "" then s.progress:say(("resumed   with other pictures: %s%s"):format(changed.text, changed.train and ("; epoch %d begins anew"):format(s.epoch) or "")) end
end

-- Takes up the state of a checkpoint.
local function take_up(s, path, force)
  local scope <close> = core.scope()
  local c = checkpoint.find(path)
  local state = c.state
  local changed = other_pictures(s, state, force)
  checkpoint.restore(s, c)
  s.epoch, s.done, s.batches_done, s.stage_steps = state.epoch, state.step, state.batches, state.stage_steps
  s.sum, s.best, s.without_better, s.seconds_before = totals.new(state.totals), state.best, state.without_better, state.seconds
  s.results.epochs, s.spent, s.events_kept = state.rows, state.spent or s.spent, state.events
  local row = state.rows[#state.rows]
  if row then s.results.loss, s.results.accuracy = row.loss, row.test_accuracy end
  for i = #state.rows, 1, -1 do s.results.accuracy = s.results.accuracy or state.rows[i].test_accuracy end
  if state.frozen and state.frozen ~= stage.frozen_hash(s) then util.failf("--resume: the frozen tensors of %s are not those that the run began with", c.path) end
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

local function start_event(s)
  return { out = s.out, model = s.model:label(), device = s.device.name, parameters = s.parameters, trained = s.trained, train_pictures = s.data.train:count(),
    test_pictures = s.data.test:count(), classes = #s.classes, epochs = s.epochs, seed = s.seed }
end

local function done_event(s)
  local r = s.results
  local m = r.metrics or {}
  return { out = s.out, accuracy = r.accuracy, interval = m.interval and #m.interval == 2 and { 100 * m.interval[1], 100 * m.interval[2] } or nil, loss = r.loss, best = s.best, epochs = #r.epochs, seconds = core.time() - s.begin, interrupted = r.interrupted or false }
end

-- Runs a session of tlua/train/build.lua. options: checkpoint, the file to go on from; force; style of what is shown; progress, where to
-- show it; caught, when the caller catches Ctrl-C itself. Returns {accuracy, loss,
-- epochs = rows, out, interrupted}.
function train.run(s, options)
  options = options or {}
  local c = options.checkpoint
  core.survive_pipes() -- whoever reads along may go away: log.txt goes on
  s.begin, s.progress = core.time(), options.progress or progress.new(options.style)
  s.spent = { training = 0, features = 0 } -- seconds; those of features are among those of training
  s.results = { epochs = {} }
  s.epochs, s.epoch, s.done, s.batches_done, s.stage_steps = s.data.epochs, 1, 0, 0, 0
  s.sum, s.without_better, s.seconds_before, s.last_kept, s.keeping = totals.new(), 0, 0, core.time(), 0
  train.plan(s, function(text) s.progress:say(text) end)
  s.out = c and (c:match "^(.*)/[^/]+$" or ".") or run_folder.name(s.recipe)
  s.commands, s.weights_stamp = {}, ran.weights_stamp(s.model)
  if c then take_up(s, c, options.force) end
  s.commands[#s.commands + 1] = ran.command()
  open_folder(s, c ~= nil, options.force)
  -- Killed between writing the last checkpoint and giving it its second name.
  if c and s.best and s.done == 0 and s.best.epoch == #s.results.epochs and c:find "last%.safetensors$" then checkpoint.keep_best(s) end
  s.progress:event("start", start_event(s))
  if not options.caught then core.catch_interrupt(true) end
  local ok, e = pcall(function()
    all_epochs(s)
    keep_model(s)
  end)
  if not options.caught then core.catch_interrupt(false) end
  s.progress:clear()
  close_feeds(s)
  core.unlock(s.lock)
  if not ok then error(e, 0) end
  s.progress:say(("done in %s"):format(util.clock(core.time() - s.begin)), false, { "done", done_event(s) })
  s.results.out, s.results.model, s.results.session = s.out, s.model, s
  return s.results
end

return train
