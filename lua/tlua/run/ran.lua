-- ran.lua - what ran, for the head of a report: the recipe's file says what was meant, and overrides, weights, the
-- split and versions decide too. Texts alone, so that a report says them as long as there is one.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local data = require "tlua.data"
local volumes = require "tlua.data.volumes"
local data_text = require "tlua.data.text"
local input = require "tlua.data.input"
local box_changes = require "tlua.data.boxes.changes"
local stage = require "tlua.train.stage"
local groups = require "tlua.train.groups"
local lora = require "tlua.nn.lora"
local checkpoint = require "tlua.run.checkpoint"
local ran = {}

-- ---- pieces of the plan and the report ----

-- `adapted`: of a network with adapters, all but which is frozen.
function ran.freeze_text(freeze, only, adapted)
  if adapted then
    local held = {}
    for _, glob in ipairs(type(freeze) == "table" and freeze or { type(freeze) == "string" and freeze or nil }) do
      if glob:find("lora_", 1, true) then held[#held + 1] = glob end
    end
    local more = type(freeze) == "function" and ", (function)" or #held > 0 and " and " .. schema.show(held) or ""
    return "the base" .. more .. (only and ", but " .. schema.show(only) or "")
  end
  if only == "*" or type(only) == "table" and #only == 1 and only[1] == "*" then only = nil end
  if freeze == nil and only then return "all but " .. schema.show(only) end
  if freeze == nil or type(freeze) == "table" and #freeze == 0 then return "nothing" end
  return schema.show(freeze) ..
    (type(freeze) == "table" and freeze.batchnorm == "train" and ', batchnorm = "train"' or "") ..
    (only and ", but " .. schema.show(only) or "")
end

-- What a session's stage holds still.
function ran.stage_text(s)
  local freeze, only = stage.frozen_of(s.recipe, s.stage_options)
  local text = ran.freeze_text(freeze, only, lora.has(s.model))
  if not s.halves then return text end
  return ("%s, matrices as %s (%s instead of %s)"):format(text, s.recipe.frozen, util.bytes(s.halves),
    util.bytes(s.halved))
end

-- ", average of the weights 0.999 over 2000 steps"; nothing where there is none.
function ran.average_text(s)
  local r = s.recipe
  if not s.ema then return "" end
  return (", average of the weights %g%s"):format(r.ema, r.ema_ramp > 0 and (" over %g steps"):format(r.ema_ramp) or "")
end

function ran.weights_text(net)
  if not rawget(net, "weights_path") then return rawget(net, "weights_origin") or "drawn at random (no weights)" end
  local name = rawget(net, "weights_name")
  local text = (name and name .. ", " or "") .. net.weights_path
  if net.weights_report.key then text = ("%s, its part '%s'"):format(text, net.weights_report.key) end
  if net.weights_report.head_dropped then
    text = text .. "; its head " .. net.weights_report.head_why .. ": a new one starts at random"
  end
  return text
end

function ran.groups_text(g, input)
  local text = ("%s, "):format(util.thousands(g.count))
  if g.shared == 0 then return text .. "none on both sides" end
  return text .. ("%s test %s of one that is trained on too"):format(util.thousands(g.shared),
    g.shared == 1 and input.one .. " is" or input.many .. " are")
end

-- ---- the command ----

-- The command of this process, which cli.lua keeps.
function ran.command() return core.argv and util.command_text { "tlua", table.unpack(core.argv) } or nil end

local function overrides_text(r)
  local out = {}
  for _, each in ipairs(r.overrides or {}) do out[#out + 1] = util.command_text { "--" .. each[1], each[2] } end
  return #out > 0 and table.concat(out, " ") or "none: the recipe as it stands below"
end

-- ---- weights ----

-- Size and time of the file of weights, so that a hash made at the end of a run is known to be that of what was read.
function ran.weights_stamp(net)
  local path = rawget(net, "weights_path")
  return path and table.concat({ core.file_size(path) }, " ") or nil
end

-- The file of weights with its hash, which takes a while; `quick`: without.
local function weights_of(s, quick)
  local path, text = rawget(s.model, "weights_path"), ran.weights_text(s.model)
  if not path or quick then return text end
  if ran.weights_stamp(s.model) ~= s.weights_stamp then return text .. "; the file has changed since it was read" end
  local ok, hash = pcall(core.sha256_file, path)
  return ok and ("%s; SHA-256 %s"):format(text, hash) or text
end

-- ---- data ----

local function split_text(s)
  local d, o, out = s.data, s.recipe.data.options, {}
  if d.records then out[1] = (d.said[1]:gsub("^parts%s+", ""))
  elseif d.parts and not d.parts.test then
    out[1] = ("%g %% of each class held out%s, drawn by seed %d"):format(100 * d.split,
      d.groups and ", groups as a whole" or "", o.split_seed or s.seed)
  else
    out[1] = d.parts and "a test part of its own, " .. d.parts.test or "the data's own test part"
  end
  for _, name in ipairs { "limit", "test_limit", "per_class", "minutes" } do
    if o[name] then out[#out + 1] = ("%s %g"):format(name, o[name]) end
  end
  return table.concat(out, "; ")
end

local function group_text(s)
  local g = s.data.groups
  local name, text = s.recipe.data.options.group, g and ran.groups_text(g, s.data.input)
  return name and text and ("%s: %s"):format(name, text) or text or nil
end

-- Steps of clips in words; the others are their names and what they hold.
local HEARD = {
  rate = function(o) return ("mono at %s Hz"):format(util.thousands(o.rate)) end,
  trim = function(o) return ("silence that is %g dB below the loudest cut off at both ends"):format(o.db) end,
  random_crop_seconds = function(o, place)
    return (place == "start" and "the first %g s" or "%g s from anywhere in it"):format(o.seconds)
  end,
  center_crop_seconds = function(o, place)
    return (place == "start" and "the first %g s" or "the middle %g s"):format(o.seconds)
  end,
  pad_seconds = function(o) return ("silence behind it up to %g s"):format(o.seconds) end,
}

-- How texts become numbers.
local function texts_text(s)
  local p, t = s.data.preprocessing, s.data.tokenizer
  return ("%s (sha256 %s...), %d pieces at most, cut: %s%s"):format(t.name, t.sha256:sub(1, 12), p.longest, p.cut,
    p.stride and (", windows that share %d pieces"):format(p.stride) or "")
end

-- "resize interpolation bilinear, size 36; center_crop size 32; ...": the steps that a picture or clip passes through.
-- `change`: the random ones.
local function steps_text(s, change)
  if s.data.input.kind == "text" then return texts_text(s) end
  local info, out = data.kinds[s.recipe.data.kind], {}
  local p = s.data.preprocessing
  local steps = info.clips and data.clip_steps(p, change)
    or s.data.input.kind == "volume" and volumes.steps(p, change, s.data.foreground)
    or data.steps(p, change, info.grey, info.small)
  for i, step in ipairs(steps) do
    local parts = {}
    for _, name in ipairs(util.keys(step)) do parts[#parts + 1] = name .. " " .. schema.show(step[name]) end
    local heard = HEARD[step[1]]
    out[i] = heard and heard(step, s.recipe.data.options.place)
      or step[1] .. (#parts > 0 and " " .. table.concat(parts, ", ") or "")
  end
  for _, text in ipairs(change and box_changes.texts(change) or {}) do out[#out + 1] = text end
  if change and change.mixup > 0 then out[#out + 1] = ("mixup %g"):format(change.mixup) end
  if change and change.cutmix > 0 then out[#out + 1] = ("cutmix %g"):format(change.cutmix) end
  return table.concat(out, "; ")
end

local function versions_text(s)
  local out = { "tlua " .. core.version, _VERSION, core.decoders,
    ("%s, %s, driver %s"):format(s.device.platform, s.device.version or "OpenCL", s.device.driver) }
  for _, name in ipairs { "TLUA_VECTOR", "TLUA_GEMM", "TLUA_CONV", "TLUA_TUNING" } do
    if os.getenv(name) then out[#out + 1] = ("%s=%s"):format(name, os.getenv(name)) end
  end
  return table.concat(out, "; ")
end

-- ---- for the report ----

-- The data in a line; of clips how long those of the training are together.
local function data_line(s)
  local d, parts = s.data, {}
  local where = s.recipe.data.options.path or data.root(s.recipe.data)
  if d.title ~= where then parts[1] = d.title end
  parts[#parts + 1] = where
  local total = d.input.kind == "clip" and (input.seconds(d.train))
  return ("%s; %s training%s%s and %s test %s"):format(table.concat(parts, ", "), util.thousands(d.train:count()),
    total and (" (%s)"):format(util.clock(total)) or "",
    d.validation and (", %s validation"):format(util.thousands(d.validation:count())) or "",
    util.thousands(d.test:count()), d.input.many)
end

-- What decides about the figures beside the recipe's text: { {name, text}, ... }. quick: without hashes of files.
function ran.head(s, quick)
  local r = s.recipe
  local train, test = steps_text(s, s.data.augment), steps_text(s, nil)
  return { { "way", r.cell_text }, { "overrides", overrides_text(r) }, { "weights", weights_of(s, quick) },
    { "data", data_line(s) },
    { "validation", s.data.validation_text },
    { "burnt-in text", data_text.burnt_in(s.data) }, { "split", split_text(s) }, { "groups", group_text(s) },
    { "training " .. s.data.input.many, train },
    { "test " .. s.data.input.many, test == train and "the same" or test },
    { "loss", not r.loss_given and s.task.loss_words or data_text.loss(s.loss, s.classes) },
      { "seed", ("%d"):format(s.seed) },
    { "device", ("%s (%s)"):format(s.device.name, s.device.type) }, { "versions", versions_text(s) } }
end

-- The rest of what a reader may want to know.
function ran.facts(s)
  local r, _, _, peak = s.recipe, core.memory()
  local saved = s.cut
    and ("after %s, %s in %s; each %s passed through the frozen part once instead of %d times"):format(s.cut.name,
      s.cut.dtype, util.bytes(s.cut.bytes), s.data.input.one, #s.results.epochs)
  return {
    { "network", ("%s, %s of %s parameters trained"):format(s.model:label(), util.thousands(s.trained),
      util.thousands(s.parameters)) },
    { "adapters", lora.text(s.model) },
    { "frozen", ran.stage_text(s) },
    { "optimiser", ("%s, %s, batch %s%s"):format(r.optim.kind, groups.text(s.groups),
      tostring((r.data.options.batch or "auto") == "auto" and s.data.batch or r.data.options.batch),
      r.accumulate > 1 and (" x %d"):format(r.accumulate) or "") },
    { "epochs", ("%d%s"):format(#s.results.epochs, s.best and (", the best was %d"):format(s.best.epoch) or "") },
    { "feature cache", saved or s.no_cache },
    { "kernel choices", core.tuning().hash }, { "peak device memory", util.bytes(peak) } }
end

-- What a run's pages have at their head.
function ran.title(s) return ("%s on %s"):format(s.model:label(), s.data.title) end

-- What is known of a run when it begins, as its report has it in the end.
function ran.begun(s)
  return { title = ran.title(s), name = s.recipe.name, task = s.task.kind, prefix = s.prefix, part = s.part,
    many = s.data.input.many, epochs = s.epochs, commands = s.commands, ran = ran.head(s, true), recipe = s.recipe.text,
    fields = checkpoint.fields(s.recipe), test = s.data.list and s.data.list.test, trained = s.most_trained,
    parameters = s.parameters }
end

-- What programs that read along are told when a run begins, and when it has ended.
function ran.started(s)
  return { out = s.out, model = s.model:label(), device = s.device.name, parameters = s.parameters, trained = s.trained,
    train_pictures = s.data.train:count(), test_pictures = s.data.test:count(),
    validation_pictures = s.data.validation and s.data.validation:count(), task = s.task.kind, classes = #s.classes,
    epochs = s.epochs, seed = s.seed }
end

function ran.done(s)
  local r = s.results
  local m = r.metrics or {}
  local interval = m.interval and #m.interval == 2 and { 100 * m.interval[1], 100 * m.interval[2] } or nil
  return { out = s.out, accuracy = r.accuracy, figure = s.task:main()[1], value = r.value, interval = interval,
    loss = r.loss, best = s.best, epochs = #r.epochs, seconds = core.time() - s.begin,
    interrupted = r.interrupted or false }
end

return ran
