-- detect_parts.lua RECIPE.lua TO.json [--FIELD VALUE]... - what a recipe on boxes trains and tests: pictures with their
-- boxes, changes, rates, and beside it (TO.safetensors) the network as it stands before the first step; so that another
-- program does the same (bench/detect_transfer.py).
local tlua = require "tlua"
local core = require "tlua.core"
local path, to = table.remove(arg, 1), table.remove(arg, 1)
local recipe, words = dofile(path), {}
for i = 1, #arg, 2 do words[#words + 1] = { arg[i]:match "^%-%-(.+)$", arg[i + 1] } end
recipe:override(words)
local s = recipe:build()
local stage = require "tlua.train.stage"
local groups = require "tlua.train.groups"
s.progress = { say = function(_, text) print(text) end }
require("tlua.train.norms").measure(s)

local o, augment = recipe.data.options, s.data.augment
local out = { batch = s.data.batch, classes = s.data.classes, size = s.data.preprocessing.size, ema = recipe.ema,
  ema_ramp = recipe.ema_ramp, momentum = recipe.optim.options.momentum, l1 = recipe.task.options.l1,
  mosaic = o.mosaic or 0, mixup = o.mixup or 0, close = o.close_mosaic or 0, scale = o.mosaic_scale or { 0.5, 1.5 },
  flip = augment.flip or 0, hsv = augment.hsv, model = rawget(s.model, "entry").name, parts = {}, stages = {} }
for _, part in ipairs { "train", "test" } do
  local source, list = s.data[part], {}
  for i = 1, source:count() do
    local boxes, labels = source:boxes(i)
    local size = s.data.boxes.sizes[source:origin(i)]
    list[i] = { path = source:path(i), width = size[1], height = size[2], boxes = boxes, labels = labels }
  end
  out.parts[part] = list
end
for k, each in ipairs(s.stages) do
  if each.epochs > 0 then
    stage.enter(s, k)
    local named, factors = {}, {}
    for g, group in ipairs(groups.plan(s.model, stage.rates(recipe, s.stage_options))) do
      named[g] = { names = group.names, lr = group.lr, weight_decay = group.weight_decay }
    end
    for step = 0, each.epochs * s.steps - 1 do factors[step + 1] = s.schedule:factor(step, step // s.steps) end
    out.stages[#out.stages + 1] = { epochs = each.epochs, groups = named, factors = factors }
  end
end
core.write_file(to, core.json_encode(out))
core.save((to:gsub("%.json$", "") .. ".safetensors"), s.model:state_dict())
print(("%s: %d training and %d test pictures, %d stages"):format(to, #out.parts.train, #out.parts.test, #out.stages))
os.exit(0, true)
