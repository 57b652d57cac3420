-- text_parts.lua RECIPE.lua TO.json [--FIELD VALUE]... - what a recipe on texts trains and tests: numbers of pieces, targets, and of each stage of its
-- schedule the groups of parameters with their rates, and what these are multiplied by in each step; so that another program does the same.
local tlua = require "tlua"
local core = require "tlua.core"
local path, to = table.remove(arg, 1), table.remove(arg, 1)
local recipe, words = dofile(path), {}
for i = 1, #arg, 2 do words[#words + 1] = { arg[i]:match "^%-%-(.+)$", arg[i + 1] } end
recipe:override(words)
local s = recipe:build()
local stage = require "tlua.train.stage"

local out = { batch = s.data.batch, clip = recipe.clip, classes = s.data.classes, task = s.task.kind, pad = s.data.preprocessing.pad,
  lora = recipe.lora and recipe.lora.on and { rank = recipe.lora.rank, alpha = recipe.lora.alpha, dropout = recipe.lora.dropout,
    rs = recipe.lora.rs } or nil,
  types = s.data.preprocessing.types, parts = {}, stages = {} }
for _, part in ipairs { "train", "test" } do
  local source, list = s.data[part], {}
  for i = 1, source:count() do
    local w = source:window(i)
    list[i] = { ids = w.ids, types = w.types, label = source:label(i), values = source:values(i), marks = w.marks, span = w.span, text = w.text }
  end
  out.parts[part] = list
end
for k, each in ipairs(s.stages) do
  if each.epochs > 0 then
    stage.enter(s, k)
    local named, factors = {}, {}
    for g, group in ipairs(require("tlua.train.groups").plan(s.model, stage.rates(recipe, s.stage_options))) do
      named[g] = { names = group.names, lr = group.lr, weight_decay = group.weight_decay }
    end
    for step = 0, each.epochs * s.steps - 1 do factors[step + 1] = s.schedule:factor(step, step // s.steps) end
    out.stages[#out.stages + 1] = { epochs = each.epochs, groups = named, factors = factors }
  end
end
core.write_file(to, core.json_encode(out))
print(("%s: %d training and %d test texts, %d stages"):format(to, #out.parts.train, #out.parts.test, #out.stages))
os.exit(0, true)
