-- build.lua - from the description of a recipe to a session: device, data, network, head, and its first stage
-- (tlua/train/stage.lua): frozen parts, optimiser, feature cache.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local data = require "tlua.data"
local kinds_of = require "tlua.data.kinds"
local augment_waves = require "tlua.data.augment_waves"
local stage = require "tlua.train.stage"
local schedule = require "tlua.train.schedule"
local memory = require "tlua.train.memory"
local lora = require "tlua.nn.lora"
local build = {}

local WORDS = { label = "a class (label)", values = "numbers (values)", mask = "a mask", boxes = "boxes",
  points = "points", text = "a text" }

-- Puts the recipe's head in place, with its width from the network; without one, a Linear for so many outputs, or what the task `t` gives.
-- names: of the classes, where there is no task yet.
function build.place_head(r, net, count, t, names)
  local head = r.head
  rawset(net, "head_trains", true)
  local fits = net.classes == count and not (net.takes_rows and net:takes_rows(t and t.names))
  if not head and (fits or net.gives == "vocabulary") then return end
  local usual = net.takes == "text" and net.default_head and net:default_head(count)
    or net.gives == "levels" and not t and net:default_head(count, names)
  head = head or usual or t and t.head and t:head(net) or nn.Linear(count)
  util.at(rawget(head, "where") or r.where, function()
    net:set_head(head)
    if net.classes and net.classes ~= count then
      util.failf(t and t.kind ~= "classify" and "the head %s gives %d outputs, but the data have %d targets" or
        "the head %s gives %d outputs, but the data has %d classes", head:label(), net.classes, count)
    end
  end)
end

-- A network of one's own has no place of which it is known that a head stands there.
local function check_head(r, net)
  if not r.head or net.set_head then return end
  util.at(rawget(r.head, "where") or r.where, util.failf,
    "%s has no head that %s could replace: make it the network's last layer, and leave `head` out", net:label(),
    r.head:label())
end

-- Batches of an epoch, steps of the optimiser, and the epochs that come of it.
function build.count_steps(s)
  local batches = data.batches(s.data, "train", s.seed)
  s.steps = (batches + s.recipe.accumulate - 1) // s.recipe.accumulate
  s.stages = stage.resolved(s.recipe.stages, s.steps)
  s.data.epochs = stage.total(s.stages)
end

-- Sound is nothing for a network that sees; said before the data are opened, which would ask it for its rate.
local function check_hears(r)
  local net, kind = r.model, r.data.kind
  if not rawget(net, "entry") then return end
  local info, volumes = data.kinds[kind], kinds_of.has_volumes(r.data)
  -- A network in a file that is not open yet sees, and its file's errors are told at its own place.
  if not (info.clips or volumes) and rawget(net, "open_it") then return end
  local takes = net.takes or "image"
  if (takes == "text") ~= (info.texts or false) then
    util.failf(info.texts and "%s reads no texts, and data.%s has nothing else: bert and others of docs/recipes.md do"
      or "%s reads texts, and data.%s has none: data.texts and data.lines have", net:label(), kind)
  end
  if info.texts then return end
  if info.clips and takes ~= "wave" then
    util.failf("%s sees, and data.%s has clips of sound: models that hear are in the table of docs/recipes.md",
      net:label(), kind)
  elseif volumes and takes ~= "volume" then
    util.failf("%s takes %s, and data.%s has volumes: meshnet, unet3d and resnet18_3d take them", net:label(),
      takes == "wave" and "sound" or "pictures", kind)
  end
end

-- Device, data and network without its head: as much of a session as loaders need.
function build.pictures(r)
  local s = { recipe = r, seed = r.seed }
  s.device = core.device(r.device)
  core.manual_seed(r.seed)
  local net = r.model
  util.at(r.data.where, check_hears, r)
  local base = net.preprocessing and net:preprocessing() or {}
  s.data = util.at(r.data.where, data.open, r.data, base, r.seed, { augment = r.augment, task = r.task,
    tokenizer = net.tokenizer and net:tokenizer() or nil,
    selects = r:selects(), changes = r.transforms, identifiers = r.identifiers })
  s.part = s.data.validation and "validation" or "test" -- what is looked at after each epoch
  s.prefix = s.part == "test" and "test" or "val"
  s.data.epochs = stage.total(r.stages)
  s.classes = s.data.classes
  rawset(net, "quiet", true)
  if net.give then -- of texts, one network serves tasks of rows, of pieces and of words
    local task = require("tlua.task").definition(r.task.kind)
    util.at(r.where, net.give, net, task.takes, task.head_name)
  end
  util.at(net.where, function() net:ready() end)
  -- A weights file of an earlier run may bring preprocessing of its own.
  if rawget(net, "file_preprocessing") then
    util.at(r.data.where, data.prepare, s.data, r.data, net:preprocessing())
  end
  s.model = net
  return s
end

-- Model files and checkpoints name every tensor, in UTF-8: what they could not name is refused before it is trained.
local function check_names(r, net)
  for name in net:named_tensors() do
    if not utf8.len(name) then
      util.at(r.where, util.failf, "the tensor '%s' of the network has a name that is not UTF-8 text, which no model file can hold", util.readable(name))
    end
  end
end

-- The fields that the task wants must be among those that the data have.
local function check_fields(s)
  local names = util.keys(s.data.fields)
  for _, name in ipairs(s.task.wants) do
    if not s.data.fields[name] then
      util.failf("task.%s wants %s for each sample, and %s has %s", s.task.kind, WORDS[name] or "a field " .. name, s.data.title,
        #names > 1 and table.concat(names, ", ") or names[1] or "none")
    end
  end
end

-- What a network takes, and what the samples are.
local function check_inputs(s)
  local net, kind = s.model, s.data.input
  local takes = net.takes or "image"
  if takes == "wave" and kind.kind ~= "clip" then
    util.failf("%s hears, and %s has pictures: data.speech and data.sounds have clips of sound", net:label(),
      s.data.title)
  elseif takes == "volume" and kind.kind ~= "volume" then
    util.failf("%s takes volumes, and %s has %s", net:label(), s.data.title, kind.kind == "clip" and "clips of sound"
      or "pictures")
  end
  if kind.kind == "text" and net.vocabulary_size then
    local reach, size = s.data.tokenizer.handle:size(), net:vocabulary_size()
    if reach > size then
      util.failf("the tokenizer %s is of another network: its numbers go up to %d, and %s knows %d "
        .. "(--model.vocabulary %d: new rows)", s.data.tokenizer.name, reach - 1, net:label(), size, reach)
    end
  end
  local own, given = (rawget(net, "network_options") or {}).in_channels, s.data.channels
  if own and given and own ~= given then
    util.failf("%s takes %d channel%s, and the volumes have %d: in_channels = %d", net:label(), own,
      own == 1 and "" or "s", given, given)
  end
  local masks = kind.kind == "clip" and augment_waves.masks(s.data.augment_given)
  if masks and not net.set_masks then
    util.failf("augment: freq_masks and time_masks are for networks with a front end of their own, and %s has none",
    net:label()) end
  if masks then net:set_masks(masks) end
end

-- Pictures are mixed with their labels; no other target can be.
local function check_mixing(s)
  local a = s.data.augment
  local name = (a.mixup or 0) > 0 and "mixup" or (a.cutmix or 0) > 0 and "cutmix"
  if name and s.task.kind ~= "classify" and not s.data.fields.label then
    util.failf("augment: %s mixes classes, and task.%s has none; leave it out: --augment.%s 0", name, s.task.kind, name)
  end
end

-- `batch`: that of the run which goes on, where the recipe leaves it open.
function build.session(r, batch)
  if r.ema_ramp > 0 and r.ema == 0 then
    util.at(r.where, util.fail, "recipe: ema_ramp is of an average of the weights, and there is none: --ema 0.999")
  end
  util.at(r.where, require("tlua.train.scaling").check, r)
  local s = build.pictures(r)
  local net = s.model
  s.loss = r.loss
  s.task = require("tlua.task").open(r.task, s.loss)
  s.task.best = r.best
  util.at(r.task_given and r.task.where or r.data.where, function()
    check_fields(s)
    s.task:prepare(s)
  end)
  util.at(r.where, check_mixing, s)
  util.at(r.where, check_inputs, s)
  check_head(r, net)
  if net.set_head and (r.head or net.head_name) then build.place_head(r, net, s.task.width, s.task) end
  net:ready()
  if lora.wanted(r.lora) then util.at(r.where, lora.add, net, "recipe: lora", r.lora) end
  if s.task.start then s.task:start(s) end
  check_names(r, net)
  util.at(r.where, stage.check_names, r, net)
  s.scaling = require("tlua.train.scaling").new(r)
  s.ever_trained = stage.ever_trained(r, net)
  if r.frozen ~= "float32" then
    s.halved, s.halves = util.at(r.where, require("tlua.train.halves").hold, net, r.frozen, s.ever_trained)
  end
  if r.batchnorm == "eval" then net:keep_statistics()
  elseif type(r.batchnorm) == "number" then
    net:walk(function(m) if m.uses_batch then rawset(m, "momentum", r.batchnorm) end end)
  end
  if r.recompute then util.at(r.where, require("tlua.recompute").mark, net, r.recompute) end
  build.count_steps(s)
  for _, each in ipairs(s.stages) do util.at(r.where, schedule.check, each, s.steps, each.epochs) end
  stage.enter(s, 1)
  if r.data.options.batch == "auto" then
    local free
    if batch then s.data.batch = batch else s.data.batch, free = util.at(r.data.where, memory.auto_batch, s) end
    s.auto_batch = ("%d %s, %s; --data.batch %d is the same with any memory"):format(s.data.batch, s.data.input.many,
      batch and "as the run began" or ("chosen by the %s that are free"):format(util.bytes(free)), s.data.batch)
    build.count_steps(s)
    stage.enter(s, 1)
  end
  require("tlua.train.foresee").check(s)
  s.memory = util.at(r.data.where, memory.check, s)
  return s
end

return build
