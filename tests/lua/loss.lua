-- loss.lua - the losses against PyTorch (tests/golden/loss.json), and what recipes want of them. Run by `tlua tests/lua/loss.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn, F = tlua.nn, tlua.nn.functional
local golden = core.json_decode(core.read_file "tests/golden/loss.json")

local function logits() return core.tensor(golden.logits):requires_grad(true) end
local targets = { labels = core.tensor(golden.labels, { dtype = "int32" }), shares = core.tensor(golden.shares) }

local function near(got, want, what) assert(math.abs(got - want) < 2e-6 * math.max(1, math.abs(want)), ("%s: %.8g, not %.8g"):format(what, got, want)) end

t.test("values and gradients are PyTorch's", function()
  local seen = {}
  for number, case in ipairs(golden.cases) do
    local loss, x = nn[case.kind](case.options), logits()
    if case.options.weight == "auto" then loss:set_counts(golden.counts) end
    local y = loss(x, targets[case.target])
    local what = ("case %d, %s"):format(number, case.kind)
    near(y:item(), case.value, what)
    y:backward()
    for i, g in ipairs(x.grad:reshape(-1):tolist()) do near(g, case.gradient[i], what .. ", gradient " .. i) end
    seen[case.kind] = true
  end
  for _, case in ipairs(golden.maps.cases) do seen[case.kind] = true end
  seen.CTCLoss = true -- tests/lua/ctc.lua
  for _, name in ipairs(require("tlua.nn.loss").list) do assert(seen[name], name .. " has no case") end
end)

t.test("losses of maps are PyTorch's, segmentation_models_pytorch's and MONAI's", function()
  local made = {}
  for name in pairs { labels = true, whole = true } do made[name] = core.tensor(golden.maps[name], { dtype = "int32" }) end
  for number, case in ipairs(golden.maps.cases) do
    local loss
    if case.kind == "Sum" then
      for _, part in ipairs(case.options) do
        local each = nn[part[1]](part[2]) * part[3]
        loss = loss and loss + each or each
      end
      loss = nn.from_spec(core.json_decode(core.json_encode(loss:spec()))) -- as a model file has it
    else loss = nn[case.kind](case.options) end
    if loss:wants_counts() then loss:set_counts(require("tlua.nn.loss").class_counts(made[case.target], 4)) end
    local x = core.tensor(golden.maps.logits):requires_grad(true)
    local y = loss(x, made[case.target])
    local what = ("map %d, %s"):format(number, case.kind)
    near(y:item(), case.value, what)
    y:backward()
    for i, g in ipairs(x.grad:reshape(-1):tolist()) do near(g, case.gradient[i], what .. ", gradient " .. i) end
  end
end)

t.test("volumes have the losses of maps that hold the same voxels", function()
  local x = core.tensor(golden.maps.logits)
  local classes = x:shape(-1)
  local labels = core.tensor(golden.maps.labels, { dtype = "int32" })
  local o = { ignore_index = 255 }
  for _, loss in ipairs { nn.CrossEntropy(o), nn.FocalLoss(o), nn.Dice(o), nn.Tversky { ignore_index = 255, alpha = 0.3, beta = 0.7 },
    nn.CrossEntropy(o) + 0.5 * nn.Dice(o) } do
    local volume = loss(x:reshape(2, 5, 2, 3, classes), labels:reshape(2, 5, 2, 3))
    near(volume:item(), loss(x, labels):item(), loss.kind)
    t.equal(loss:weight_of(labels:reshape(2, 5, 2, 3), classes), loss:weight_of(labels, classes))
  end
end)

t.test("what maps count, and sums of losses", function()
  local labels = core.tensor(golden.maps.labels, { dtype = "int32" })
  local none = core.full({ 2, 5, 6 }, 255, { dtype = "int32" })
  t.equal(nn.CrossEntropy { ignore_index = 255 }:weight_of(labels, 4), 52)
  t.equal(nn.CrossEntropy { ignore_index = 255, weight = { 1, 0, 0, 5 } }:weight_of(labels, 4), require("tlua.nn.loss").class_counts(labels, 4)[1])
  t.equal(nn.FocalLoss { ignore_index = 255 }:weight_of(none, 4), 0)
  t.equal(nn.Dice { ignore_index = 255 }:weight_of(labels), 2)
  local sum = nn.CrossEntropy {} + 0.5 * nn.Dice {}
  t.equal(sum.kind, "CrossEntropy + 0.5 Dice")
  t.equal(#(sum + nn.FocalLoss {}).weights, 3)
  sum:set_ignored(255)
  t.equal(sum:weight_of(labels, 4), 2)
  t.equal(sum:weight_of(none, 4), 0)
  t.equal(nn.CrossEntropy { ignore_index = 3 }:weight_of { 3, 0, 3 }, 1)
  t.equal((nn.CrossEntropy {} + nn.MSELoss {}):weight_of({ 3, 0, 3 }, 4), 3) -- of a classification
  t.equal(nn.Sum { nn.CrossEntropy {}, { nn.Dice {}, 2 } }.kind, "CrossEntropy + 2 Dice")
end)

t.test("without reduction there is a loss for each row or element", function()
  t.equal(table.concat(nn.CrossEntropy { reduction = "none" }(logits(), targets.labels):shape(), " "), "6")
  t.equal(table.concat(nn.FocalLoss { reduction = "none" }(logits(), targets.labels):shape(), " "), "6")
  t.equal(table.concat(nn.MSELoss { reduction = "none" }(logits(), targets.shares):shape(), " "), "6 4")
end)

t.test("batches weigh in a step what they weigh in their own means", function()
  for _, options in ipairs { {}, { weight = { 0.5, 2, 1, 3 }, ignore_index = 1 }, { weight = "auto" } } do
    local loss = nn.CrossEntropy(options)
    loss:set_counts(golden.counts)
    local x, sum, weights = core.tensor(golden.logits), 0, 0
    for _, part in ipairs { { 1, 2 }, { 3, 6 } } do
      local list = table.move(golden.labels, part[1], part[2], 1, {})
      local w = loss:weight_of(list)
      sum = sum + w * loss(core.ops.slice(x, { axis = 1, start = part[1] - 1, length = #list }), core.tensor(list, { dtype = "int32" })):item()
      weights = weights + w
    end
    near(sum / weights, loss(x, targets.labels):item(), "two batches")
  end
  t.equal(nn.FocalLoss { weight = { 9, 9, 9, 9 }, ignore_index = 1 }:weight_of(golden.labels), 4)
end)

t.test("numbers at the ends of float32 stay numbers", function()
  local x = core.tensor({ { 200, -200 }, { -200, 200 } }):requires_grad(true)
  local labels = core.tensor({ 0, 0 }, { dtype = "int32" })
  for _, loss in ipairs { nn.CrossEntropy {}, nn.FocalLoss {}, nn.FocalLoss { gamma = 0.5 }, nn.BCEWithLogits { pos_weight = 2 }, nn.SigmoidFocalLoss {}, nn.SigmoidFocalLoss { gamma = 0.5 } } do
    x:zero_grad()
    local y = loss(x, labels)
    y:backward()
    assert(y:item() > 1 and y:item() < 1000, loss:label())
    for _, g in ipairs(x.grad:reshape(-1):tolist()) do assert(g == g and math.abs(g) < 10, loss:label()) end
  end
end)

t.test("what is wrong is said", function()
  t.fails("unknown option of nn.CrossEntropy: 'wieght'; did you mean 'weight'?", function() return nn.CrossEntropy { wieght = 1 } end)
  t.fails("weight: auto or numbers, like 1,2.5,1 is needed, not 'automatic'", function() return nn.CrossEntropy { weight = "automatic" } end)
  t.fails("there are 4 classes, but 3 weights", function() return nn.CrossEntropy { weight = { 1, 2, 3 } }(logits(), targets.labels) end)
  t.fails("wants the number of pictures of each class", function() return nn.CrossEntropy { weight = "auto" }(logits(), targets.labels) end)
  t.fails("label 7 is out of range", function() return nn.FocalLoss {}(logits(), core.tensor({ 0, 1, 7, 0, 0, 0 }, { dtype = "int32" })):item() end)
  local e = t.fails("x is (6, 4), the target (2); they must agree", function()
    local y = nn.SmoothL1Loss {}(logits(), core.tensor { 1, 2 })
    return y
  end)
  assert(e:find("^tests/lua/loss.lua:%d+: smooth_l1_loss: .*\n  in nn.SmoothL1Loss"), e)
  t.fails("a loss can be added to a loss alone", function() return nn.Dice {} + 1 end)
  t.fails("a loss can be multiplied by a number alone", function() return nn.Dice {} * nn.Dice {} end)
  t.fails("part 2 must be a loss, or like { nn.Dice {}, 0.5 }", function() return nn.Sum { nn.Dice {}, { 0.5, nn.Dice {} } } end)
  t.fails("part 1, CrossEntropy, is no mean: reduction is sum", function() return nn.CrossEntropy { reduction = "sum" } + nn.Dice {} end)
  t.fails("nn.Dice: there are 4 classes, but 3 weights", function() return nn.Dice { weight = { 1, 2, 3 } }(core.tensor(golden.maps.logits), core.tensor(golden.maps.whole, { dtype = "int32" })) end)
  t.fails("beta must be from 0 on, not -1", function() return nn.SmoothL1Loss { beta = -1 }(logits(), targets.shares) end)
end)

t.test("nn.functional takes labels and shares", function()
  near(F.cross_entropy(logits(), targets.shares):item(), nn.CrossEntropy {}(logits(), targets.shares):item(), "shares")
  near(F.mse_loss(logits(), targets.shares):item(), nn.MSELoss {}(logits(), targets.shares):item(), "mse")
  near(F.binary_cross_entropy_with_logits(logits(), targets.shares, { pos_weight = core.tensor { 3 } }):item(),
    nn.BCEWithLogits { pos_weight = 3 }(logits(), targets.shares):item(), "bce")
end)

t.finish()
