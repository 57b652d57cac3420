-- lr_finder.lua - `tlua lr RECIPE`: the loss while the learning rate grows from step to step, a picture of it, and two
-- rates that it suggests (tlua/command/lr_finder/rule.lua). After Smith, "Cyclical learning rates for training neural
-- networks", 2017, as fastai's lr_find does it.
--
-- The same batches go through the network twice: before, with the weights as they are, and while the rate grows. What
-- counts is how far the second loss of a batch lies from its first. One batch is easier than another, by more than a
-- good rate gains in a few steps; both losses of a batch share that, so the difference is 0, and not noise, as long as
-- the rate is too small to matter.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local feed = require "tlua.train.feed"
local step = require "tlua.train.step"
local stage = require "tlua.train.stage"
local totals = require "tlua.train.totals"
local ema = require "tlua.train.ema"
local progress = require "tlua.run.progress"
local rule = require "tlua.command.lr_finder.rule"
local picture = require "tlua.command.lr_finder.picture"
local finder = {}

finder.SCHEMA = {
  { "from", "number", 1e-7, "first rate", above = 0 },
  { "up_to", "number", 10.0, "last rate", above = 0 },
  { "steps", "integer", 100, "steps between them", least = rule.LEAST },
  { "stage", "integer", 0, "the stage of the schedule whose rate is wanted; 0: the first that has epochs", least = 0 },
  { "to", "path", "lr.svg", "the picture" },
}
function finder.SCHEMA.check(o)
  if not (o.up_to > o.from) then return "rates go from --from up to a larger --up_to" end
end

-- Takes the command's own options out of a list of overrides. Returns both.
function finder.options(list)
  local own, rest = {}, {}
  for _, each in ipairs(list) do
    local field = schema.find(finder.SCHEMA, each[1])
    if field then own[each[1]] = schema.parse(field, each[1], each[2]) else rest[#rest + 1] = each end
  end
  local all = {}
  for _, field in ipairs(finder.SCHEMA) do all[field[1]] = own[field[1]] or field[3] end
  schema.recheck("lr", finder.SCHEMA, all)
  return schema.options("lr", finder.SCHEMA, all), rest
end

-- ---- measuring ----

-- The weights that are trained and what else training moves in the network: { {tensor, copy}, ... }, { {module,
-- counter, value}, ... }.
local function kept_of(net)
  local guard <close> = core.no_grad()
  local tensors, counters = {}, {}
  for _, t in ipairs((net:trained())) do tensors[#tensors + 1] = { t, t:clone() } end
  for _, t in pairs(ema.moving_buffers(net)) do tensors[#tensors + 1] = { t, t:clone() } end
  net:walk(function(m)
    for name, n in pairs(m:counters()) do counters[#counters + 1] = { m, name, n } end
  end)
  return tensors, counters
end

-- Calls f(...) and puts all that training moves back as it was: weights, running statistics and their counters, the
-- optimiser, draws.
local function undone(s, f, ...)
  local ok, e
  do
    local scope <close> = core.scope()
    local tensors, counters = kept_of(s.model)
    ok, e = pcall(f, ...)
    for _, each in ipairs(tensors) do each[1]:copy_(each[2]) end
    for _, each in ipairs(counters) do each[1]:set_counter(each[2], each[3]) end
  end
  stage.enter(s, s.stage)
  core.manual_seed(s.seed)
  if not ok then error(e, 0) end
end

local DIVERGED = {} -- raised where a loss is no number

-- A session whose steps are those of training (tlua/train/step.lua), but for the rate, which is `me.wanted`. Groups
-- with a rate of their own keep it, as they do when the recipe's rate is another.
local function trial(s)
  local t = setmetatable({ groups = {}, ema = false, epoch = 1, stage_epoch = 1, stage_steps = 0, done = 0,
    batches_done = 0 }, { __index = s })
  for k, g in ipairs(s.groups) do t.groups[k] = { lr = g.lr, clip = g.clip } end
  t.schedule = { factor = function()
    local share = t.wanted / s.lr
    for k, g in ipairs(s.groups) do
      if g.own_rate then t.groups[k].lr = g.lr / share end
    end
    return share
  end }
  t.not_finite = function() error(DIVERGED, 0) end
  return t
end

-- The loss of the next step of f, step.train or step.look; nil at the end of an epoch, NaN where it is no number, false
-- where nothing counts.
local function loss_of(f, t, batches)
  local sum = totals.new(t.task)
  local ok, more = pcall(f, t, batches, sum)
  if not ok then return more == DIVERGED and 0 / 0 or error(more, 0) end
  if not more then return nil end
  return sum:mean() or false
end

-- Calls each(i, loss) for `n` steps of f, in the order of training, epoch after epoch, until it gives false, or Ctrl-C
-- comes. rate(i): of step i.
local function walk(s, batches, f, n, rate, each)
  local t = trial(s)
  local i, epoch, steps = 1, 1, 0 -- steps: of this epoch
  if batches:start(epoch) then return end
  while i <= n and not core.interrupted() do
    t.wanted = rate(i)
    local loss = loss_of(f, t, batches)
    if loss == nil then
      if steps == 0 then return end
      epoch, steps = epoch + 1, 0
      if batches:start(epoch) then return end
    else
      steps = steps + 1
      if loss then
        if each(i, loss) == false then return end
        i = i + 1
      end
    end
  end
end

-- Has a curve run away? `latest`: a short running mean of it. A fourfold loss, or as far above the least as that is
-- below the first.
local function ran_away(first, least, latest) return latest - least > 3 * math.max(math.abs(least), first - least) end

-- The losses of both ways: { rates =, losses =, before =, of the same batches with the weights as they were }.
local function measure(s, o, show)
  local found = { rates = {}, losses = {}, before = {} }
  local batches <close> = setmetatable({ feed = feed.open(s, "train") }, { __close = function(me) me.feed:close() end })
  local function rate(i) return o.from * (o.up_to / o.from) ^ ((i - 1) / (o.steps - 1)) end
  s.model:train()
  undone(s, walk, s, batches.feed, step.look, o.steps, rate, function(i, loss)
    found.before[i] = loss
    show("Losses before", i, o.steps, ("loss %.4f"):format(loss))
    return loss == loss
  end)
  local before, least, latest = found.before, math.huge, nil
  if #before < o.steps or before[#before] ~= before[#before] then return found end
  local first = 0
  for _, v in ipairs(before) do first = first + v / #before end
  undone(s, walk, s, batches.feed, step.train, o.steps, rate, function(i, loss)
    if loss ~= loss then return false end
    found.rates[i], found.losses[i] = rate(i), loss
    local v = first + loss - before[i]
    latest = latest and 0.7 * latest + 0.3 * v or v
    least = math.min(least, latest)
    show("Rates", i, o.steps, ("rate %.2g  loss %.4f"):format(rate(i), loss))
    return not (i > rule.LEAST and ran_away(first, least, latest))
  end)
  return found
end

-- The curve of a measurement: the loss of all batches before, and how far each step's lies from what its own batch had.
function finder.curve(before, losses)
  local sum, out = 0, {}
  for _, v in ipairs(before) do sum = sum + v end
  for i, v in ipairs(losses) do out[i] = sum / #before + v - before[i] end
  return out
end

-- What one types to say the rate of a stage.
local function field_of(s)
  if s.stage_options.lr == nil then return "optim.lr" end
  return s.stage < #s.stages and ("schedule.%d.lr"):format(s.stage) or "schedule.lr"
end

local function enter(s, o)
  local k = o.stage
  if k > #s.stages then
    util.failf("lr: --stage %d: the schedule has %d stage%s", k, #s.stages, #s.stages == 1 and "" or "s")
  end
  for i, each in ipairs(s.stages) do
    if k == 0 and each.epochs > 0 then k = i end
  end
  if k ~= 0 and k ~= s.stage then stage.enter(s, k) end
  for _, g in ipairs(s.groups) do
    if not g.own_rate and g.lr > 0 then return end
  end
  util.at(s.recipe.where, util.fail,
    "lr: all that is trained has a rate of its own in `groups`, so there is none to look for")
end

-- Finds rates for a session of tlua/train/build.lua, which is afterwards as it was. options: as in SCHEMA; show(label,
-- done, total, text) is told how far it is. Returns what rule.suggest gives, with rates, losses, before, curve, stage,
-- field (what the rate is called on the command line).
function finder.find(s, options, show)
  local o = schema.options("lr", finder.SCHEMA, options or {})
  enter(s, o)
  local training = s.model.training
  local m = measure(s, o, show or function() end)
  if not training then s.model:eval() end
  local curve = finder.curve(m.before, m.losses)
  local found = rule.suggest(m.rates, curve)
  local nothing = m.before[#m.before]
  if nothing and nothing ~= nothing then
    found.reason = "the loss is no number before the first step, whatever the rate"
  end
  found.rates, found.losses, found.before, found.curve, found.stage, found.field = m.rates, m.losses, m.before, curve,
    s.stage, field_of(s)
  return found
end

-- ---- the command ----

local function as_json(found, s, o)
  local out = { stages = #s.stages, picture = #found.smooth > 0 and o.to or nil }
  for _, name in ipairs { "valley", "steepest", "lowest", "from", "to", "reason", "stage", "field", "rates", "losses",
    "curve", "smooth" } do
    out[name] = found[name]
  end
  return core.json_encode(util.for_json(out))
end

-- The lines for people.
local function lines(found, s, o)
  local out = {}
  -- Below 0 where a batch's loss has fallen by more than the mean of all was.
  out[1] = ("%-9s %s"):format("rate", picture.AXIS)
  for i = 1, #found.smooth, math.max(1, #found.smooth // 12) do
    out[#out + 1] = ("%-9.2g %.4f"):format(found.rates[i], found.smooth[i])
  end
  local of = #s.stages > 1 and (" of stage %d"):format(found.stage) or ""
  if found.reason then
    local lower = found.reason == rule.GROWS and ("; begin lower: --from %g"):format(o.from / 100) or ""
    out[#out + 1] = ("no rate%s to suggest: %s between %g and %g%s; the curve is in %s"):format(of, found.reason,
      found.rates[1], found.rates[#found.rates], lower, o.to)
    return out
  end
  out[#out + 1] = ("it falls from %.4f to %.4f between the rates %.1e and %.1e"):format(found.level,
    found.level - found.fall, found.from, found.to)
  out[#out + 1] = ("valley    %-8.1e two thirds into that fall: --%s %.1e"):format(found.valley, found.field,
    found.valley)
  out[#out + 1] = ("steepest  %-8.1e where it is steepest:      --%s %.1e"):format(found.steepest, found.field,
    found.steepest)
  if found.open then
    out[#out + 1] = ("it still falls at the last rate, %g: a larger --up_to tells more"):format(o.up_to)
  end
  for _, g in ipairs(s.groups) do
    if g.own_rate then
      out[#out + 1] = "groups with a rate of their own kept it"
      break
    end
  end
  out[#out + 1] = ("begin with the valley%s; the curve is in %s"):format(of ~= "" and "," .. of or "", o.to)
  return out
end

-- Runs the finder for a recipe. Returns the exit status.
function finder.main(recipe, o)
  local s = recipe:build()
  local json = o.json
  o.json = nil
  s.progress = progress.new(json and "quiet" or nil)
  require("tlua.train.norms").measure(s) -- as a run does before its first step
  core.catch_interrupt(true)
  local ok, found = pcall(finder.find, s, o, function(...) s.progress:update(...) end)
  local stopped = core.interrupted()
  core.catch_interrupt(false)
  s.progress:clear()
  if not ok then error(found, 0) end
  if #found.smooth > 0 then
    core.write_file(o.to, picture.svg(found.rates, found.curve, found,
      ("%s, %s: loss by learning rate"):format(recipe.name, s.model:label())))
  end
  if json then
    print(as_json(found, s, o))
  elseif #found.smooth > 0 then
    for _, line in ipairs(lines(found, s, o)) do print(line) end
  elseif not stopped then
    local lower = #found.losses > 0 and ("; begin lower: --from %g"):format(o.from / 100) or ""
    util.failf("lr: no rate to suggest: %s%s", found.reason, lower)
  end
  return stopped and 130 or 0
end

return finder
