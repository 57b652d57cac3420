-- train.lua - running a recipe: the plan, the epochs, the run folder. Each step works in a scope of its own, so that a
-- run's memory is that of one step.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local nn = require "tlua.nn"
local feed = require "tlua.feed"
local progress = require "tlua.progress"
local model_file = require "tlua.model_file"
local train = {}

-- ---- the plan ----

local function freeze_text(r)
  if r.freeze == nil then return "nothing" end
  return schema.show(r.freeze) .. (type(r.freeze) == "table" and r.freeze.batchnorm == "train" and ', batchnorm = "train"' or "")
end

local function weights_text(net)
  if not rawget(net, "weights_path") then return "drawn at random (no weights)" end
  local name = rawget(net, "weights_name")
  local text = (name and name .. ", " or "") .. net.weights_path
  if net.weights_report.head_dropped then text = text .. "; its head has another size and was dropped" end
  return text
end

function train.plan(s, say)
  local r, d, net = s.recipe, s.data, s.model
  local p = d.preprocessing
  say(("device    %s (%s, %s)"):format(s.device.name, s.device.type, s.device.platform))
  say(("model     %s, weights: %s"):format(net:label(), weights_text(net)))
  say(("frozen    %s; %s of %s parameters are trained"):format(freeze_text(r), util.thousands(s.trained), util.thousands(s.parameters)))
  if rawget(net, "entry") then say(("head      %s"):format(net:head():label())) end
  say(("data      %s: %s training and %s test pictures, %d classes"):format(d.title, util.thousands(d.train:count()), util.thousands(d.test:count()), #s.classes))
  for i, each in ipairs(d.skipped) do
    if i <= 5 then say(("skipped   %s"):format(each.reason)) end
  end
  if #d.skipped > 5 then say(("skipped   ... %d damaged pictures in all"):format(#d.skipped)) end
  say(("pictures  %d x %d, %s, %s"):format(p.size, p.size, p.fit == "stretch" and "stretched" or ("shorter side to %d, centre cropped"):format(p.resize), p.interpolation))
  say(("training  %d epochs of %d steps of %d, %s, lr %g, seed %d"):format(r.schedule.epochs, train.steps(s), d.batch, r.optim.kind, r.optim.options.lr, s.seed))
  if s.cut then
    local c = s.cut
    local state = c.done == c.rows and "found, complete" or c.done > 0 and ("found, %d %% made"):format(100 * c.done // c.rows) or "computed once"
    say(("cache     after %s (%s, %s%s): %s in %s, %s"):format(c.name, table.concat(c.shape, " x "), c.dtype, c.views > 1 and (", %d views"):format(c.views) or "",
      util.bytes(c.bytes), c.folder, state))
  else
    say(("cache     none: %s"):format(s.no_cache))
  end
end

function train.steps(s)
  local n, b = s.data.train:count(), s.data.batch
  return s.data.drop_last and n // b or (n + b - 1) // b
end

-- ---- one batch ----

local function logits_of(s, source, input)
  local y
  if source.cut then y = s.model:classify(s.model:above(input, source.cut.stage)) else y = s.model(input) end
  return y
end

local function count_right(logits, labels)
  local right, predicted = 0, logits:argmax(-1):tolist()
  for i, label in ipairs(labels) do
    if predicted[i] == label then right = right + 1 end
  end
  return right
end

-- Loss, right answers, size of the next batch; nil at the end of the epoch.
local function step(s, source, training)
  local scope <close> = core.scope()
  local input, labels, n, list = source:next()
  if not input then return nil end
  if not training then
    local guard <close> = core.no_grad()
    local logits = logits_of(s, source, input)
    return s.loss(logits, labels):item(), count_right(logits, list), n
  end
  s.optim:zero_grad()
  local logits = logits_of(s, source, input)
  local loss = s.loss(logits, labels)
  local value = loss:item()
  if value ~= value or value == math.huge or value == -math.huge then return value, 0, n end
  loss:backward()
  s.optim:step()
  return value, count_right(logits, list), n
end

-- ---- epochs ----

local Totals = {}
Totals.__index = Totals
local function totals() return setmetatable({ loss = 0, right = 0, n = 0, steps = 0 }, Totals) end
function Totals:add(loss, right, n)
  self.loss, self.right, self.n, self.steps = self.loss + loss * n, self.right + right, self.n + n, self.steps + 1
end
function Totals:mean() return self.n > 0 and self.loss / self.n or 0 end
function Totals:accuracy() return self.n > 0 and 100 * self.right / self.n or 0 end

-- One pass over the training pictures. Returns totals; and true when Ctrl-C stopped it.
local function train_epoch(s, epoch)
  local sum, begin, source = totals(), core.time(), s.train_feed
  local all = s.recipe.schedule.epochs
  local pictures = s.data.train:count()
  local waited = source:waited()
  s.model:train()
  if source:start(epoch) then return sum, true end
  begin, waited = core.time(), source:waited()
  while true do
    local loss, right, n = step(s, source, true)
    if not loss then break end
    if loss ~= loss or math.abs(loss) == math.huge then
      util.failf("the loss is %s in epoch %d, step %d, with learning rate %g; a smaller one may help: --optim.lr %g", tostring(loss), epoch, sum.steps + 1,
        s.optim:lr(), s.optim:lr() / 10)
    end
    sum:add(loss, right, n)
    local seconds = core.time() - begin
    local idle = source:waited() - waited
    local text = ("loss %.4f  %s"):format(sum:mean(), progress.speed(sum.n, seconds, pictures - sum.n))
    if seconds > 3 and idle > 0.1 * seconds then text = text .. ("  waiting for pictures %.0f %%"):format(100 * idle / seconds) end
    s.progress:update(("Epoch %d/%d"):format(epoch, all), sum.n, pictures, text)
    if core.interrupted() then return sum, true end
  end
  return sum, false
end

-- Loss and accuracy on the test pictures.
function train.evaluate(s, source, label)
  local sum, begin, pictures = totals(), core.time(), s.data.test:count()
  s.model:eval()
  if source:start(1) then return sum, true end
  begin = core.time()
  while true do
    local loss, right, n = step(s, source, false)
    if not loss then break end
    sum:add(loss, right, n)
    s.progress:update(label, sum.n, pictures, progress.speed(sum.n, core.time() - begin, pictures - sum.n))
    if core.interrupted() then return sum, true end
  end
  return sum, false
end

-- ---- the run folder ----

local function new_folder(r)
  if r.out then return r.out end
  local stem = ("runs/%s-%s"):format(r.name, os.date("%Y%m%d"))
  for n = 1, 100000 do
    local path = ("%s-%d"):format(stem, n)
    if not core.exists(path) then return path end
  end
end

local function open_folder(s)
  s.out = new_folder(s.recipe)
  core.mkdirs(s.out)
  s.progress:log_to(s.out .. "/log.txt")
  s.metrics = { "epoch,loss,train_accuracy,test_loss,test_accuracy,learning_rate,seconds\n" }
  core.write_file(s.out .. "/metrics.csv", s.metrics[1])
end

local function keep_metrics(s, row)
  s.metrics[#s.metrics + 1] = ("%d,%.6f,%.4f,%.6f,%.4f,%g,%.2f\n"):format(row.epoch, row.loss, row.train_accuracy, row.test_loss, row.test_accuracy, row.lr, row.seconds)
  core.write_file(s.out .. "/metrics.csv", table.concat(s.metrics))
end

local function keep(s, results)
  model_file.save(s.out .. "/model.safetensors", s, results)
  s.progress:say(("kept in %s: model.safetensors, metrics.csv, log.txt"):format(s.out))
end

-- ---- the run ----

local function one_epoch(s, epoch, results)
  local begin = core.time()
  local sum, stopped = train_epoch(s, epoch)
  local test
  if not stopped then test, stopped = train.evaluate(s, s.test_feed, "Testing") end
  if stopped then return true end
  local row = { epoch = epoch, loss = sum:mean(), train_accuracy = sum:accuracy(), test_loss = test:mean(), test_accuracy = test:accuracy(),
    lr = s.optim:lr(), seconds = core.time() - begin }
  s.progress:say(("[Epoch %d] loss: %.4f  train accuracy %.1f %%  test accuracy %.1f %%  (%.1f s)"):format(epoch, row.loss, row.train_accuracy,
    row.test_accuracy, row.seconds), true)
  keep_metrics(s, row)
  results.epochs[epoch] = row
  results.loss, results.accuracy = row.loss, row.test_accuracy
  return false
end

-- Runs a session of tlua/build.lua. Returns {accuracy, loss, epochs = rows, out, interrupted}.
function train.run(s)
  local begin = core.time()
  s.progress = progress.new()
  train.plan(s, function(text) s.progress:say(text) end)
  s.train_feed, s.test_feed = feed.open(s, "train"), feed.open(s, "test")
  open_folder(s)
  local results = { epochs = {} }
  core.catch_interrupt(true)
  local ok, e = pcall(function()
    for epoch = 1, s.recipe.schedule.epochs do
      if one_epoch(s, epoch, results) then
        results.interrupted = true
        s.progress:say(("stopped in epoch %d; the model is kept as it is now"):format(epoch))
        break
      end
    end
    s.model:eval()
    keep(s, results)
  end)
  core.catch_interrupt(false)
  s.progress:clear()
  s.train_feed:close()
  s.test_feed:close()
  if not ok then error(e, 0) end
  s.progress:say(("done in %s"):format(util.clock(core.time() - begin)))
  results.out, results.model, results.session = s.out, s.model, s
  return results
end

return train
