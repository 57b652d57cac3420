-- stage.lua - the stages of a run: `schedule = { epochs = 5 }`, or a list of such tables, each with what it freezes, its
-- rate and how the rate goes. A stage has an optimiser of its own, as one that is made anew in PyTorch.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local schedule = require "tlua.train.schedule"
local groups = require "tlua.train.groups"
local lora = require "tlua.nn.lora"
local stage = {}

stage.SCHEMA = {
  { "epochs", "integer", 5, "times through the training pictures", least = 0 },
  { "least_steps", "integer", 0, "at least so many steps: of few pictures more epochs are made", least = 0 },
  { "freeze", "globs", nil, "parameters that keep their values in this stage (the recipe's freeze)" },
  { "train", "globs", nil, "parameters that are trained in this stage, all others frozen (the recipe's train)" },
  { "lr", "number", nil, "learning rate of this stage (the optimiser's)", least = 0 },
  { "layer_decay", "number", nil, "each stage of the network has so much of the rate of the one above it, the head all of it", above = 0 },
  { "lowest", "number", nil, "the lowest stage's share of the rate; those between lie on a geometric line to the head", above = 0 },
}
for _, field in ipairs(schedule.SCHEMA) do stage.SCHEMA[#stage.SCHEMA + 1] = field end

-- What is wrong with the fields of a stage together.
function stage.SCHEMA.check(o)
  if o.layer_decay and o.lowest then return "layer_decay and lowest both say how rates fall towards the pictures; give one" end
  if o.rate == "plateau" and o.gamma >= 1 then return ("gamma = %g does not lower the rate on a plateau: it must be below 1"):format(o.gamma) end
end

-- The recipe's `schedule` -> list of stages with all fields.
function stage.read(given)
  if given == nil then given = {} end
  if type(given) ~= "table" then util.fail("recipe: schedule must be like { epochs = 5 }, or a list of such stages") end
  if #given == 0 then given = { given } end
  local list = {}
  for i, each in ipairs(given) do
    local what = #given > 1 and ("schedule, stage %d"):format(i) or "schedule"
    if type(each) ~= "table" then util.failf("recipe: %s must be like { epochs = 5 }", what) end
    list[i] = schema.options(what, stage.SCHEMA, each)
  end
  for key in pairs(given) do
    if #given > 1 and math.type(key) ~= "integer" then util.failf("recipe: schedule: '%s' stands beside a list of stages; put it into them", tostring(key)) end
  end
  return list
end

-- Two stages after fastai's fine_tune: the head alone, then everything, the lower the slower.
local FINE_TUNE = {
  { "epochs", "integer", 4, "with everything trained", least = 0 },
  { "freeze_epochs", "integer", 1, "with the head alone", least = 0 },
  { "lr", "number", 2e-3, "of the first stage; the second has half of it", above = 0 },
  { "lowest", "number", 0.01, "rate of the lowest stage of the network as a share of the head's", above = 0 },
}
stage.FINE_TUNE = FINE_TUNE
function stage.fine_tune(options)
  if type(options) == "number" then options = { epochs = options } end
  local o = schema.options("fine_tune", FINE_TUNE, options or {})
  return {
    { epochs = o.freeze_epochs, freeze = "*", lr = o.lr, rate = "one_cycle", peak = 0.99 },
    { epochs = o.epochs, train = "*", lr = o.lr / 2, lowest = o.lowest, rate = "one_cycle", div = 5 },
  }
end

-- The stage of an epoch (from 1), the epoch within it, from 1; or nothing after the last.
function stage.of_epoch(list, epoch)
  local before = 0
  for k, each in ipairs(list) do
    if epoch <= before + each.epochs then return k, epoch - before end
    before = before + each.epochs
  end
end

function stage.total(list)
  local n = 0
  for _, each in ipairs(list) do n = n + each.epochs end
  return n
end

-- The stages of a session whose epochs have `steps` steps: epochs as least_steps asks for. The recipe's own stay as they were said.
function stage.resolved(list, steps)
  local out = {}
  for i, each in ipairs(list) do
    local epochs = each.epochs
    if epochs > 0 and steps > 0 then epochs = math.max(epochs, (each.least_steps + steps - 1) // steps) end
    out[i] = setmetatable({ epochs = epochs }, { __index = each })
  end
  return out
end

-- ---- entering a stage ----

-- The globs of freeze and train that count in a stage.
function stage.frozen_of(r, o)
  if o.freeze or o.train then return o.freeze, o.train end
  return r.freeze, r.train
end

-- ---- names of parameters ----

-- Has the command line said this field?
local function is_said(r, field)
  for _, each in ipairs(r.overrides or {}) do
    if each[1] == field then return true end
  end
  return false
end

-- What is said behind an error about a glob: whose network it was written for, and what lists the names, unless that is being done.
local function advice_for(r, field, listed)
  local out, of = {}, r.path and util.command_text { r.path }
  if r.written_for and not is_said(r, field) then
    out[1] = field == "groups" and ("the recipe's groups were written for %s"):format(r.written_for) or
      ("the recipe says it for %s: --%s GLOBS says it anew"):format(r.written_for, field)
  end
  if of and r.written_for then of = ("%s --model %s"):format(of, r.model.entry.name) end
  if of and not listed then out[#out + 1] = ("tlua params %s lists all"):format(of) end
  return #out > 0 and ("; %s"):format(table.concat(out, "; ")) or ""
end

-- Groups that move nothing in any stage are said: all that they name is frozen, or an earlier group has it.
local function check_groups(r, net, advice)
  local wanted, used = groups.matching(net, r.groups, advice), {}
  if #wanted == 0 then return end
  for _, o in ipairs(r.stages) do
    if o.epochs > 0 then
      groups.set_frozen(net, stage.frozen_of(r, o))
      groups.mark_used(net, wanted, used)
    end
  end
  for i, each in ipairs(wanted) do
    if not used[i] and not r.cell_text then -- a comparison would say it for every cell
      util.note(("groups: group %d ('%s') moves nothing: all that it names is frozen in every stage, or an earlier group has it"):format(i, schema.show(each.globs)))
    end
  end
end

-- Adapters that no stage trains would be of no use.
local function check_adapters(r, net)
  if not lora.has(net) then return end
  for _, o in ipairs(r.stages) do
    groups.set_frozen(net, stage.frozen_of(r, o))
    if o.epochs > 0 and lora.trains(net) then return end
  end
  if stage.total(r.stages) > 0 then util.fail "recipe: lora: freeze holds every adapter still in every stage" end
end

-- The names of all that any stage trains, as a set.
function stage.ever_trained(r, net)
  local set = {}
  for _, o in ipairs(r.stages) do
    if o.epochs > 0 then
      groups.set_frozen(net, stage.frozen_of(r, o))
      for _, each in ipairs(net:specs()) do
        if each.spec.kind == "parameter" and not each.module._frozen[each.spec.name] then set[each.path] = true end
      end
    end
  end
  return set
end

-- Every glob of every stage and group, before anything is trained: one that matches nothing would be dropped without a word.
function stage.check_names(r, net, listed)
  local last, counts = #r.stages, {}
  for i, o in ipairs(r.stages) do
    local own = o.freeze ~= nil or o.train ~= nil
    for _, name in ipairs { "freeze", "train" } do
      local globs = (own and o or r)[name]
      local what = not own and "recipe" or last > 1 and ("schedule, stage %d"):format(i) or "schedule"
      local field = not own and name or i == last and "schedule." .. name or ("schedule.%d.%s"):format(i, name)
      if globs ~= nil then
        local words = ("%s: %s"):format(what, name)
        local names = net:select(words, globs, advice_for(r, field, listed))
        if name == "train" then lora.check_train(net, words, names) end
      end
      counts[name] = counts[name] or not own
    end
  end
  for _, name in ipairs { "freeze", "train" } do
    if is_said(r, name) and not counts[name] then
      util.failf("--%s counts in no stage, since %s says freeze or train of its own: --schedule%s.%s GLOBS", name, last > 1 and "each" or "the schedule",
        last > 1 and ".1" or "", name)
    end
  end
  check_groups(r, net, advice_for(r, "groups", listed))
  check_adapters(r, net)
end

-- What groups.plan wants to know of a stage.
function stage.rates(r, o)
  return { lr = o.lr or r.optim.options.lr, weight_decay = r.optim.options.weight_decay, wanted = r.groups, decay_all = r.decay_all,
    layer_decay = o.layer_decay, lowest = o.lowest }
end

local function make_optimizer(s, o)
  local r, options = s.recipe, {}
  for key, value in pairs(r.optim.options) do options[key] = value end
  local rates = stage.rates(r, o)
  s.lr, s.groups = rates.lr, groups.make(s.model, rates)
  local list, moves = {}, false
  for i, g in ipairs(s.groups) do
    moves = moves or g.lr > 0
    list[i] = { params = g.params, lr = g.lr, weight_decay = g.weight_decay }
  end
  if not moves then util.failf("recipe: the learning rate is 0%s, so nothing is trained", #r.stages > 1 and (" in stage %d"):format(s.stage) or "") end
  s.optim = util.at(r.optim.where, require("tlua.optim").make, r.optim.kind, list, options)
  s.ema = r.ema ~= 0 and require("tlua.train.ema").new(s.optim, { decay = r.ema, ramp = r.ema_ramp,
    model = s.model }) or nil
end

-- Makes a session ready for stage k: what is frozen, the optimiser, the cut of the feature cache. What the stage before
-- left is closed.
function stage.enter(s, k)
  local r, o = s.recipe, s.stages[k]
  if s.optim then s.optim:close() end
  s.optim, s.ema = nil, nil
  local freeze, train = stage.frozen_of(r, o)
  util.at(r.where, groups.set_frozen, s.model, freeze, train)
  s.model:ready()
  s.stage, s.stage_options = k, o
  s.parameters, s.trained = s.model:count()
  s.most_trained = math.max(s.most_trained or 0, s.trained)
  if s.trained == 0 then
    util.at(r.where, util.failf, "recipe: everything is frozen%s, so there is nothing to train", #r.stages > 1 and (" in stage %d"):format(k) or "")
  end
  util.at(r.where, make_optimizer, s, o)
  s.schedule = util.at(r.where, schedule.new, o, s.steps, o.epochs)
  s.cut, s.no_cache = require("tlua.train.cache").choose(s)
  if r.cache == true and not s.cut then util.at(r.where, util.failf, "cache = true: the outputs of the frozen part cannot be kept: %s", s.no_cache) end
end

-- Hash of all that is frozen in this stage, and how many tensors that are: a run says at its end that they did not change.
function stage.frozen_hash(s)
  local lines = {}
  s.model:walk(function(m, path)
    for _, spec in ipairs(m._specs) do
      local still = m._frozen[spec.name]
      if spec.kind == "buffer" then still = not m:buffers_move() end
      if still and m._tensors[spec.name] then lines[#lines + 1] = ("%s.%s %s"):format(path, spec.name, m._tensors[spec.name]:hash()) end
    end
  end)
  return #lines > 0 and core.sha256(table.concat(lines, "\n")) or nil, #lines
end

return stage
