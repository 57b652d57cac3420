-- params.lua - names of parameters: globs that match nothing are errors wherever globs stand, and `tlua params` lists the names with what a
-- freeze would do. Run by `tlua tests/lua/params.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local stage = require "tlua.train.stage"
local build = require "tlua.train.build"
local nn, data = tlua.nn, tlua.data

local folder = t.folder()

local function make(changes)
  local fields = { model = tlua.models.resnet18 {}, head = nn.Linear(10), data = data.cifar10 { root = "nowhere", batch = 8 }, schedule = { epochs = 3 } }
  for key, value in pairs(changes or {}) do fields[key] = value end
  local r = tlua.recipe(fields)
  return r
end

-- As a session does before it trains, without a device.
local function check(r, ...)
  if rawget(r.model, "entry") then build.place_head(r, r.model, 10) end
  require("tlua.util").at(r.where, stage.check_names, r, r.model, ...)
end

t.test("a glob that matches nothing, with what it could have meant and the names there are", function()
  local net = tlua.models.resnet18 { classes = 4 }
  local e = t.fails("freeze: no parameter of resnet18 matches '!layr4.*'; did you mean '!layer4.*'? There are conv1.*, bn1.*, layer1.*, layer2.*, layer3.*, layer4.*, fc.*",
    net.freeze, net, { "*", "!layr4.*" })
  assert(not e:find("\n", 1, true) or e:find("\n  in ", 1, true), e)
  t.fails("freeze: no parameter of resnet18 matches 'layer9.*'", net.freeze, net, { "layer1.*", "layer9.*" })
  t.fails("unfreeze: no parameter of resnet18 matches 'fcc.*'; did you mean 'fc.*'?", net.unfreeze, net, "fcc.*")
  t.fails("did you mean 'layer4.0.conv1.weight'?", net.freeze, net, "layer4.0.conv1.wieght")
  t.fails("freeze: '*.running_mean' matches buffers alone, like bn1.running_mean", net.freeze, net, "*.running_mean")
  t.fails([[freeze: '!layer4.*' takes back, and there is nothing it could take from; { "*", "!layer4.*" } is all but that]], net.freeze, net, "!layer4.*")
  t.fails("freeze: the function says yes to no parameter of resnet18", net.freeze, net, function(name) return name == "layer4" end)
  t.fails("freeze: nn.ReLU has no parameters", function() nn.ReLU():freeze "*" end)
  t.equal(select(2, net:count()), (net:count()), "nothing was frozen on the way")
  net:freeze {}
  -- Networks whose names have one beginning or two show two words of them.
  t.fails("there are features.0.*, features.1.*", function() tlua.models.mobilenet_v2():freeze "layer4.*" end)
end)

t.test("in every place of a recipe, before anything is trained", function()
  for _, case in ipairs {
    { { freeze = { "*", "!layer9.*" } }, "recipe: freeze: no parameter of resnet18 matches '!layer9.*'; did you mean '!layer" },
    { { train = "layr4.*" }, "recipe: train: no parameter of resnet18 matches 'layr4.*'; did you mean 'layer4.*'?" },
    { { schedule = { epochs = 1, freeze = "conv9.*" } }, "schedule: freeze: no parameter of resnet18 matches 'conv9.*'" },
    { { schedule = { { epochs = 1, freeze = "*" }, { epochs = 1, train = { "*", "!fd.*" } } } }, "schedule, stage 2: train: no parameter of resnet18 matches '!fd.*'" },
    { { groups = { { "layer4.*", lr = 1 }, { "*", "!layer7.*", lr = 1 } } }, "groups: group 2: no parameter of resnet18 matches '!layer7.*'" },
    { { groups = { { "!fc.*", lr = 1 } } }, "groups: group 1: '!fc.*' takes back" },
  } do
    local e = t.fails(case[2], function() check(make(case[1])) end)
    assert(e:find "^tests/lua/params.lua:%d+: " and not e:find("\n", 1, true), e)
  end
  check(make { freeze = { "*", "!layer4.*", batchnorm = "train" }, groups = { { "layer4.*", "!*.bn?.*", lr = 1 } } })
  check(make { freeze = "*", schedule = tlua.fine_tune {} })
  t.fails("--freeze counts in no stage, since each says freeze or train of its own: --schedule.1.freeze GLOBS", function()
    check(make { schedule = tlua.fine_tune {} }:override { { "freeze", "layer1.*" } })
  end)
  t.fails("--train counts in no stage, since the schedule says freeze or train of its own: --schedule.train GLOBS", function()
    check(make { schedule = { epochs = 1, freeze = "layer1.*" } }:override { { "train", "layer1.*" } })
  end)
  local notes, note = {}, require("tlua.util").note
  require("tlua.util").note = function(text) notes[#notes + 1] = text end
  check(make { groups = { { "layer4.*", lr = 1 }, { "layer4.1.*", lr = 2 }, { "fc.*", lr = 3 }, { "conv1.*", lr = 4 } },
    schedule = { { epochs = 1, freeze = "*" }, { epochs = 1, train = "layer4.*" }, { epochs = 0, train = "*" } } })
  require("tlua.util").note = note
  t.equal(table.concat(notes, "\n"), ("groups: group 2 ('layer4.1.*') moves nothing: %s\ngroups: group 4 ('conv1.*') moves nothing: %s"):format(
    "all that it names is frozen in every stage, or an earlier group has it", "all that it names is frozen in every stage, or an earlier group has it"))
  check(make { freeze = function(name) return name:find "^layer" end })
  t.fails("recompute: no block of resnet18 matches 'layer9.*'; did you mean 'layer", function()
    require("tlua.recompute").mark(tlua.models.resnet18 {}, { "layer4.*", "layer9.*" })
  end)
end)

t.test("a recipe's own globs on another network, and the way out", function()
  local function loaded()
    local r = dofile "recipes/cifar_ft.lua"
    r:set_source "recipes/cifar_ft.lua"
    return r
  end
  check(loaded())
  local e = t.fails("schedule, stage 1: freeze: no parameter of mobilenet_v2 matches '!layer4.*'", function() check(loaded():override { { "model", "mobilenet_v2" } }) end)
  assert(e:find("the recipe says it for resnet50: --schedule.1.freeze GLOBS says it anew; tlua params recipes/cifar_ft.lua --model mobilenet_v2 lists all", 1, true), e)
  e = t.fails("did you mean '!features.17.*'?", function()
    check(loaded():override { { "model", "mobilenet_v2" }, { "schedule.1.freeze", "*,!feature.17.*" } })
  end)
  assert(not e:find("resnet50", 1, true), e)
  check(loaded():override { { "model", "efficientnet_lite0" }, { "schedule.1.freeze", "*,!_blocks.1[0-5].*,!_conv_head.*,!_bn1.*" } })
  check(loaded():override { { "model", "resnet18" } })
  for _, name in ipairs { "cifar_fe", "fashion_fe", "own_net", "transfer_vs_scratch" } do check(dofile(("recipes/%s.lua"):format(name))) end
  local status, out, err = t.run "./tlua params recipes/cifar_ft.lua --model mobilenet_v2 fc.weight"
  assert(status == 1 and out == "" and err:find("params: no parameter of mobilenet_v2 matches 'fc.weight'", 1, true), err)
end)

local function params(words)
  local status, out, err = t.run("./tlua params " .. words)
  return status, out, err
end

t.test("tlua params of a network", function()
  local status, out, err = params "resnet18 'fc.*' 'layer4.1.bn?.*'"
  assert(status == 0 and err == "", err)
  assert(out:find "^name +shape +parameters\n" and out:find "\nlayer4.1.bn1.weight +%(512%) +512\n" and out:find "\nfc.weight +%(1000, 512%) +512,000\n", out)
  assert(out:find("\n6 of 62 tensors, 515,048 of 11,689,512 parameters\n", 1, true), out)
  _, out = params "resnet18 --freeze '*,!layer4.*'"
  assert(out:find "\nlayer4.0.conv1.weight .* trained\n" and out:find "\nconv1.weight .* frozen\n" and out:find "\nfc.bias [^\n]* trained\n", out)
  assert(out:find("\n62 tensors, 11,689,512 parameters\n8,906,728 parameters trained, 2,782,784 frozen\n", 1, true), out)
  _, out = params "resnet18 fc.bias --train 'layer4.*' --json"
  local j = core.json_decode(out)
  t.equal(j.network, "resnet18")
  t.equal(#j.list, 1)
  t.equal(j.list[1].stages[1].trained, true)
  t.equal(j.stages[1].trained, 8906728)
  t.equal(j.parameters, 11689512)
  for words, message in pairs {
    ["resnet18 'layer9.*'"] = "params: no parameter of resnet18 matches 'layer9.*'; did you mean 'layer", ["resnet19"] = "params: unknown model 'resnet19'; did you mean 'resnet1",
    ["resnet18 --freeze 'fcc.*'"] = "params: --freeze: no parameter of resnet18 matches 'fcc.*'; did you mean 'fc.*'?", ["nowhere/run"] = "there is no file nowhere/run",
    [""] = "a model or a recipe is needed", ["resnet18 --frezee x"] = "unknown option '--frezee'; did you mean '--freeze'?" } do
    status, out, err = params(words)
    assert(status ~= 0 and out == "" and err:find(message, 1, true) and select(2, err:gsub("\n", "")) == 1, words .. ": " .. err)
  end
end)

t.test("tlua params of a recipe and of a model file", function()
  local status, out, err = params "recipes/cifar_ft.lua conv1.weight 'layer4.0.bn1.*' fc.bias"
  assert(status == 0 and err == "", err)
  assert(out:find "^name +shape +parameters +stage 1 +stage 2\n", out)
  assert(out:find "\nconv1.weight +%(64, 3, 7, 7%) +9,408 +frozen +lr 5e%-06\n" and out:find "\nfc.bias +%(10%) +10 +lr 0.0001 +lr 5e%-05\n", out)
  assert(out:find("\nstage 1: 14,985,226 parameters trained, 8,543,296 frozen\nstage 2: 23,528,522 parameters trained, 0 frozen\n", 1, true), out)
  -- Globs that do not fit another network: its names, and then the error.
  status, out, err = params "recipes/cifar_ft.lua --model mobilenet_v2 'classifier.*'"
  assert(status == 1 and out:find "\nclassifier.1.weight +%(10, 1280%) +12,800\n" and err:find("matches '!layer4.*'", 1, true) and not err:find("lists all", 1, true), out .. err)
  _, out = params "recipes/own_net.lua --json"
  t.equal(core.json_decode(out).list[1].name, "0.weight")
  -- A model file, and the folder of its run.
  local net = tlua.models.resnet18 { classes = 3 }
  local info = { format = 1, tlua = core.version, model = "resnet18", options = { classes = 3 }, labels = { "a", "b", "c" },
    preprocessing = { size = 32, resize = 32, interpolation = "bilinear", fit = "stretch", mean = { 0.5 }, std = { 0.5 } } }
  net:save(folder .. "/model.safetensors", { tlua = core.json_encode(info) })
  for _, path in ipairs { folder, folder .. "/model.safetensors" } do
    status, out, err = params(path .. " 'fc.*' --freeze '*'")
    assert(status == 0 and out:find "\nfc.weight +%(3, 512%) +1,536 +trained\n", out .. err)
  end
end)

t.finish()
