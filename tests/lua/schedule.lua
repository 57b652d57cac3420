-- schedule.lua - learning rates against torch.optim.lr_scheduler's; stages and groups. Run by `tlua tests/lua/schedule.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local schema = require "tlua.schema"
local schedule = require "tlua.train.schedule"
local stage = require "tlua.train.stage"
local groups = require "tlua.train.groups"
local nn = tlua.nn
local golden = core.json_decode(core.read_file "tests/golden/schedule.json")

local function options(given) return schema.options("schedule", schedule.SCHEMA, given) end

for _, case in ipairs(golden.cases) do
  t.test("rates of PyTorch: " .. case.name, function()
    local o = options(case.options)
    local s = schedule.new(o, golden.steps, case.losses and #case.rates or golden.epochs)
    for i, expected in ipairs(case.rates) do
      local step, epoch = i - 1, (i - 1) // golden.steps
      if o.per == "epoch" then step, epoch = (i - 1) * golden.steps, i - 1 end
      local got = s:factor(step, epoch)
      assert(math.abs(got - expected) < 1e-12, ("step %d: %.15g, not %.15g"):format(i, got, expected))
      if case.losses then s:told(case.losses[i]) end
    end
  end)
end

t.test("the plateau goes on from its state", function()
  local case = golden.cases[#golden.cases]
  local s = schedule.new(options(case.options), golden.steps, 16)
  for i, loss in ipairs(case.losses) do
    local other = schedule.new(options(case.options), golden.steps, 16)
    other:load_state(core.json_decode(core.json_encode(s:state())))
    assert(other:factor(0, i - 1) == s:factor(0, i - 1))
    s = other
    s:told(loss)
  end
  assert(math.abs(s:factor(0, 16) - case.rates[16]) < 1e-12 or s.reduced < case.rates[16])
end)

t.test("stages", function()
  local list = stage.read { { epochs = 1, freeze = "*" }, { epochs = 4, lr = 1e-4 } }
  t.equal(#list, 2)
  t.equal(stage.total(list), 5)
  for epoch, expected in ipairs { { 1, 1 }, { 2, 1 }, { 2, 2 }, { 2, 3 }, { 2, 4 } } do
    local k, within = stage.of_epoch(list, epoch)
    assert(k == expected[1] and within == expected[2], epoch)
  end
  assert(stage.of_epoch(list, 6) == nil)
  local two = stage.read(stage.fine_tune { epochs = 3, lr = 4e-3 })
  assert(two[1].freeze == "*" and two[1].epochs == 1 and two[2].train == "*" and two[2].lr == 2e-3 and two[2].rate == "one_cycle")
  t.fails("schedule, stage 2: epochs must be from 0 on", function() stage.read { { epochs = 1 }, { epochs = -1 } } end)
  t.fails("unknown option of schedule: 'epoch'; did you mean 'epochs'?", function() stage.read { epoch = 3 } end)
  t.fails("layer_decay and lowest both", function() stage.read { layer_decay = 0.5, lowest = 0.1 } end)
  t.fails("'epochs' stands beside a list of stages", function() stage.read { { epochs = 1 }, { epochs = 1 }, epochs = 3 } end)
  t.fails("warmup = 5 must be less than the 5 epochs", function() schedule.new(options { warmup = 5 }, 10, 5) end)
end)

local function net() return tlua.models.resnet18 { classes = 4 } end

local function rates(list)
  local out = {}
  for _, g in ipairs(list) do
    for _, name in ipairs(g.names) do out[name] = g end
  end
  return out
end

t.test("groups by glob", function()
  local m = net()
  local list = groups.make(m, { lr = 1e-3, weight_decay = 0.1, wanted = groups.read { { "fc.*", lr = 1e-2 }, { "layer4.*", "!*.bn?.*", scale = 0.5, clip = 1 } } })
  local g = rates(list)
  t.equal(g["fc.weight"].lr, 1e-2)
  t.equal(g["layer4.0.conv1.weight"].lr, 5e-4)
  t.equal(g["layer4.0.conv1.weight"].clip, 1)
  t.equal(g["layer4.0.bn1.weight"].lr, 1e-3)
  t.equal(g["fc.weight"].weight_decay, 0.1)
  t.equal(g["fc.bias"].weight_decay, 0.0)
  t.equal(g["layer4.0.bn1.weight"].weight_decay, 0.0)
  local all = rates(groups.make(m, { lr = 1e-3, weight_decay = 0.1, wanted = {}, decay_all = true }))
  t.equal(all["fc.bias"].weight_decay, 0.1)
  t.fails("groups: group 1: no parameter of resnet18 matches 'layer5.*'; did you mean 'layer", function()
    groups.make(m, { lr = 1e-3, wanted = groups.read { { "layer5.*", lr = 1 } } })
  end)
  t.fails("group 1 has both lr and scale", function() groups.read { { "*", lr = 1, scale = 2 } } end)
  t.fails("unknown option of group 1: 'lrr'; did you mean 'lr'?", function() groups.read { { "*", lrr = 1 } } end)
  t.fails("group 1 names no parameters", function() groups.read { { lr = 1 } } end)
end)

t.test("rates that fall towards the pictures", function()
  local m = net()
  local count = m:stage_count()
  local g = rates(groups.make(m, { lr = 1.0, wanted = {}, layer_decay = 0.5 }))
  t.equal(g["fc.weight"].lr, 1.0)
  assert(math.abs(g["conv1.weight"].lr - 0.5 ^ count) < 1e-15)
  local low = rates(groups.make(m, { lr = 1.0, wanted = {}, lowest = 0.01 }))
  assert(math.abs(low["conv1.weight"].lr - 0.01) < 1e-15 and low["fc.weight"].lr == 1.0)
  assert(low["layer1.0.conv1.weight"].lr < low["layer4.1.conv1.weight"].lr)
end)

t.test("freeze and train", function()
  local m = net()
  groups.set_frozen(m, nil, { "layer4.*", "fc.*" })
  local _, names = m:trained()
  for _, name in ipairs(names) do assert(name:find "^layer4" or name:find "^fc", name) end
  groups.set_frozen(m, "layer1.*", nil)
  _, names = m:trained()
  local seen = false
  for _, name in ipairs(names) do
    assert(not name:find "^layer1", name)
    seen = seen or name == "conv1.weight"
  end
  assert(seen)
  t.fails("train: no parameter of resnet18 matches 'layre4.*'; did you mean 'layer4.*'?", function() groups.set_frozen(m, nil, "layre4.*") end)
end)

t.finish()
