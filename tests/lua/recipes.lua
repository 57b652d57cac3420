-- recipes.lua - what needs no device: merging, typed overrides, near misses, globs. Run by `tlua tests/lua/recipes.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local util = require "tlua.util"
local schema = require "tlua.schema"
local recipe = require "tlua.train.recipe"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

local function make(changes)
  local fields = {
    model = tlua.models.resnet18 { weights = "imagenet" }, freeze = "*", head = nn.Linear(10),
    data = data.cifar10 { root = "nowhere", batch = 8 }, loss = nn.CrossEntropy {}, optim = optim.Adam { lr = 1e-3 }, schedule = { epochs = 3 },
  }
  for key, value in pairs(changes or {}) do fields[key] = value end
  local r = tlua.recipe(fields)
  return r
end

t.test("globs", function()
  assert(util.matches("*", "a.b.c") and util.matches("layer1.*", "layer1.0.conv1.weight") and not util.matches("layer1.*", "layer10.x"))
  assert(util.matches("layer[34].*", "layer4.x") and not util.matches("layer[34].*", "layer2.x") and util.matches("fc.?eight", "fc.weight"))
  assert(util.matches("_blocks.1[0-5].*", "_blocks.12._bn0.weight") and not util.matches("_blocks.1[0-5].*", "_blocks.1._bn0.weight"))
  assert(not util.matches("a-b", "aab") and util.matches("a-b", "a-b") and not util.matches("a.b", "axb"))
  local f = util.matcher("freeze", { "*", "!layer4.*" })
  assert(f "layer1.x" and not f "layer4.x")
  assert(util.matcher("freeze", function(name) return name == "a" end) "a")
  t.fails("a glob is a text", util.matcher, "freeze", { 3 })
end)

t.test("a recipe describes, and opens nothing", function()
  local r = make()
  t.equal(r.schedule.epochs, 3)
  t.equal(r.seed, 0)
  t.equal(r.data.options.batch, 8)
  t.equal(r.name, "recipes")
  assert(r.where:find("^tests/lua/recipes.lua:%d+$"))
  assert(r.text:find("recipes.lua - what needs no device", 1, true))
end)

t.test("unknown fields and options name the near miss and the line", function()
  local e = t.fails("unknown field of recipe: 'optm'; did you mean 'optim'?", make, { optm = 1 })
  assert(e:find("^tests/lua/recipes.lua:%d+: "), e)
  e = t.fails("unknown option of data.cifar10: 'bath'; did you mean 'batch'?", function() local d = data.cifar10 { bath = 3 } return d end)
  assert(e:find("^tests/lua/recipes.lua:%d+: "), e)
  t.fails("unknown option of optim.Adam: 'lrr'; did you mean 'lr'?", function() return optim.Adam { lrr = 3 } end)
  t.fails("unknown option of nn.Linear: 'bais'; did you mean 'bias'?", function() return nn.Linear(3, 4, { bais = false }) end)
  t.fails("unknown name in nn: 'Liner'; did you mean 'Linear'?", function() return nn.Liner end)
  t.fails("unknown name in models: 'resnet51'; did you mean 'resnet50'?", function() return tlua.models.resnet51 end)
  t.fails("unknown name in tlua: 'tensr'; did you mean 'tensor'?", function() return tlua.tensr end)
  t.fails("unknown name in nn.functional: 'cross_entrpy'; did you mean 'cross_entropy'?", function() return nn.functional.cross_entrpy end)
  t.fails("unknown option of schedule: 'epoch'; did you mean 'epochs'?", make, { schedule = { epoch = 3 } })
  t.fails("epochs: a whole number is needed, not 2.5", make, { schedule = { epochs = 2.5 } })
  t.fails("recipe: head must be like nn.Linear(10)", make, { head = 10 })
  t.fails("recipe: data must be like data.cifar10", make, { data = {} })
  t.fails("augment: one of none, flip, standard is needed, not 'flop'", function() return data.cifar10 { augment = "flop" } end)
end)

t.test("overrides are typed", function()
  local r = make():override { { "data.limit", "2000" }, { "optim.lr", "1e-4" }, { "schedule.epochs", "2" }, { "seed", "7" }, { "out", "a/b" },
    { "freeze", "layer1.*,layer2.*" }, { "data.mean", "0.5,0.25,0.125" }, { "device", "cpu" }, { "cache", "false" }, { "weights", "x.pth" },
    { "data.drop_last", "yes" }, { "loss.label_smoothing", "0.1" }, { "head", "3" } }
  t.equal(r.data.options.limit, 2000)
  t.equal(math.type(r.data.options.limit), "integer")
  t.equal(r.optim.options.lr, 1e-4)
  t.equal(r.schedule.epochs, 2)
  t.equal(r.seed, 7)
  t.equal(r.out, "a/b")
  t.equal(table.concat(r.freeze, " "), "layer1.* layer2.*")
  t.equal(table.concat(r.data.options.mean, " "), "0.5 0.25 0.125")
  t.equal(r.cache, false)
  t.equal(r.model.network_options.weights, "x.pth")
  t.equal(r.data.options.drop_last, true)
  t.equal(r.loss.options.label_smoothing, 0.1)
  t.equal(r.head.out_features, 3)
end)

t.test("overrides are never run as Lua", function()
  local r = make():override { { "out", "os.exit(3)" }, { "freeze", "x]]..os.exit(3)" } }
  t.equal(r.out, "os.exit(3)")
end)

t.test("wrong overrides are usage errors with the near miss", function()
  local function usage(pattern, list)
    local ok, e = pcall(function() make():override(list) end)
    assert(not ok and schema.is_usage(e), "no usage error: " .. tostring(e))
    assert(tostring(e):find(pattern, 1, true), tostring(e))
  end
  usage("unknown option '--optim.lrr'; did you mean '--optim.lr'?", { { "optim.lrr", "1" } })
  usage("unknown option '--sed'; did you mean '--seed'?", { { "sed", "1" } })
  usage("--schedule.epochs: a whole number is needed, not 'many'", { { "schedule.epochs", "many" } })
  usage("--optim.lr: a number is needed, not '{}'", { { "optim.lr", "{}" } })
  usage("unknown model 'resnet51'; did you mean 'resnet50'?", { { "model", "resnet51" } })
  usage("did you mean 'cifar10'", { { "data", "cifar" } })
  usage("unknown option '--augment.flp'; did you mean '--augment.flip'?", { { "augment.flp", "1" } })
  usage("--augment.flip: true, false or a chance from 0 to 1 is needed, not 'maybe'", { { "augment.flip", "maybe" } })
  usage("--data.augment: one of none, flip, standard is needed", { { "data.augment", "all" } })
end)

t.test("whole constructors are replaced, in whatever order the words come", function()
  local r = make():override { { "data.root", "there" }, { "data", "fashion_mnist" }, { "model", "efficientnet_lite0" }, { "optim.momentum", "0.9" }, { "optim", "SGD" } }
  t.equal(r.model.entry.name, "efficientnet_lite0")
  t.equal(r.model.network_options.weights, "imagenet")
  t.equal(r.data.kind, "fashion_mnist")
  t.equal(r.data.options.root, "there")
  t.equal(r.data.options.batch, 8)
  t.equal(r.optim.kind, "SGD")
  t.equal(r.optim.options.lr, 1e-2, "SGD's own rate, since 1e-3 was Adam's default")
  t.equal(r.optim.options.momentum, 0.9)
  t.equal(make():override({ { "data", "mnist" } }).data.options.root, nil, "the other data set's folder")
end)

t.test("--help lists every field", function()
  local text = make():help()
  for _, name in ipairs { "--model ", "--weights ", "--data.root", "--data.limit", "--optim.lr", "--schedule.epochs", "--freeze", "--seed", "--out", "--device", "--cache" } do
    assert(text:find(name, 1, true), name)
  end
end)

t.test("every field is in docs/recipes.md", function()
  local file = assert(io.open("docs/recipes.md"))
  local text = file:read("a")
  file:close()
  for _, kind in ipairs(data.names) do
    make { data = data[kind] { root = schema.find(data.kinds[kind].schema, "root") and "x" or nil } }:each_field(function(path) assert(text:find("`" .. path .. "`", 1, true), path .. " is not in docs/recipes.md") end)
  end
  for _, name in ipairs(optim.names) do
    make { optim = optim[name] {} }:each_field(function(path) assert(text:find("`" .. path .. "`", 1, true), path .. " is not in docs/recipes.md") end)
  end
  for _, name in ipairs(require("tlua.nn.loss").list) do
    make { loss = nn[name] {} }:each_field(function(path) assert(text:find("`" .. path .. "`", 1, true), path .. " is not in docs/recipes.md") end)
  end
end)

t.test("preprocessing: the weights' own, the recipe's on top", function()
  local base = tlua.models.resnet50 { weights = "imagenet_v2" }:preprocessing()
  t.equal(base.resize, 232)
  local p = require("tlua.data").preprocessing(data.folder { size = 112 }, base)
  t.equal(p.resize, 116)
  t.equal(p.fit, "shorter")
  t.equal(p.mean[1], 0.485)
  p = data.preprocessing(data.cifar10 { mean = 0.5 }, base)
  t.equal(p.fit, "stretch")
  t.equal(p.size, 224)
  t.equal(p.mean[3], 0.5)
  p = data.preprocessing(data.folder { mean = { 0.4, 0.5, 0.6 }, std = { 0.25 } }, base)
  t.equal(#p.std, 3)
  t.equal(p.std[3], 0.25)
  t.fails("resize = 100 is smaller than size = 224", function() data.preprocessing(data.folder { resize = 100 }, base) end)
end)

local augment = require "tlua.data.augment"

-- The text of the training pipeline that a recipe's augment makes, without resize and normalize.
local function steps_of(preset, given, small)
  local o = augment.resolve(preset, augment.read(given), small)
  local p = { size = 64, mean = { 0 }, std = { 1 }, channels = 1, fit = small and "stretch" or "shorter", resize = 70, interpolation = "bilinear" }
  local text = require("tlua.core").data.pipeline(data.steps(p, o, true, small and 32)):text()
  return (text:gsub("to_channels%b(); ", ""):gsub("normalize%b()", "N"):gsub("resize%(size=%[64, 64%], interpolation=bilinear%)", "R"):gsub(" resize%b();", " R;"))
end

t.test("augment becomes steps, in torchvision's order and with its defaults", function()
  t.equal(steps_of("none", nil, true), "R; N")
  t.equal(steps_of("flip", nil, true), "R; random_horizontal_flip(p=0.5); N")
  t.equal(steps_of("standard", nil, true), "random_crop(size=32, padding=4, fill=0, mode=constant, pad_if_needed=0); R; random_horizontal_flip(p=0.5); N")
  t.equal(steps_of("standard", {}, false),
    "random_resized_crop(size=64, scale=[0.08, 1], ratio=[0.75, 1.3333333333333333], interpolation=bilinear); random_horizontal_flip(p=0.5); N")
  t.equal(steps_of("standard", { flip = false, crop = { 0.5, 1 } }, true), "random_resized_crop(size=64, scale=[0.5, 1], ratio=[0.75, 1.3333333333333333], interpolation=bilinear); N")
  t.equal(steps_of("none", { flip = 0.25, flip_vertical = true, rotate = 15 }, true),
    "R; random_horizontal_flip(p=0.25); random_vertical_flip(p=0.5); random_rotation(degrees=[-15, 15], interpolation=nearest, fill=0); N")
  t.equal(steps_of("none", { rotate = { -5, 20 }, translate = 0.1, scale = { 0.9, 1.2 }, shear = 3, filter = "bilinear", fill = 7 }, true),
    "R; random_affine(degrees=[-5, 20], translate=[0.1, 0.1], scale=[0.9, 1.2], shear=[-3, 3], interpolation=bilinear, fill=7); N")
  t.equal(steps_of("none", { brightness = 0.4, hue = 0.1, contrast = 2, saturation = { 0.5, 0.6 }, grey = true }, true),
    "R; color_jitter(brightness=[0.6, 1.4], contrast=[0, 3], saturation=[0.5, 0.6], hue=[-0.1, 0.1]); random_grayscale(p=0.1); N")
  t.equal(steps_of("none", { randaugment = { 2, 9 }, erase = true, erase_value = 3 }, true),
    "R; rand_augment(operations=2, magnitude=9, bins=31, interpolation=nearest, fill=0); N; " ..
    "random_erasing(p=0.5, scale=[0.02, 0.33], ratio=[0.3, 3.3], value=3, noise=0)")
  t.equal(steps_of("none", { brightness = 0, rotate = 0, flip = 0, hue = false }, true), "R; N", "what does nothing is left out")
  assert(steps_of("none", { shift = 0.1 }, false):find("center_crop(size=64); random_crop(size=64, padding=6", 1, true))
  t.equal(augment.text(augment.resolve("flip", augment.read { rotate = 15, mixup = 0.2, off_last = 2 })), "flip 0.5, rotate 15, mixup 0.2 but for the last 2 epochs")
  t.equal(augment.text(augment.resolve("none", augment.read())), nil)
end)

t.test("augment: what is wrong is said", function()
  local e = t.fails("unknown option of augment: 'flp'; did you mean 'flip'?", make, { augment = { flp = true } })
  assert(e:find("^tests/lua/recipes.lua:%d+: "), e)
  t.fails("recipe: augment must be like { crop = { 0.3, 1 }, flip = true", make, { augment = "flip" })
  t.fails("recipe: augment must be like", make, { augment = { 0.3 } })
  t.fails("augment: rotate: numbers, like 0.8,1.2, or none is needed, not 'much'", make, { augment = { rotate = "much" } })
  t.fails("augment: filter: one of nearest, bilinear is needed, not 'bicubic'", make, { augment = { filter = "bicubic" } })
  for text, given in pairs {
    ["crop takes 2 numbers, not 1"] = { crop = 0.5 }, ["crop goes from 1 down to 0.5"] = { crop = { 1, 0.5 } }, ["crop is 2, and must lie"] = { crop = { 0.5, 2 } },
    ["flip: true, false or a chance from 0 to 1 is needed, not 2"] = { flip = 2 }, ["rotate is -4; one number goes both ways"] = { rotate = -4 },
    ["translate is -0.1, and must lie between 0 and 1"] = { translate = -0.1 }, ["shear takes 1, 2 or 4 numbers, not 3"] = { shear = { 1, 2, 3 } },
    ["hue is 0.7, and must lie between -0.5 and 0.5"] = { hue = 0.7 }, ["randaugment has magnitude 31"] = { randaugment = { 2, 31 } },
    ["mixup must be from 0 on, not -1"] = { mixup = -1 }, ["fill must be from 0 to 255, not 256"] = { fill = 256 }, ["shift must be from 0 to 1, not 3"] = { shift = 3 },
    ["erase_ratio takes 2 numbers, not 1"] = { erase = true, erase_ratio = 1 },
  } do
    t.fails("augment: " .. text, augment.read, given)
  end
end)

t.test("augment on the command line", function()
  local r = make({ augment = { rotate = 15 } }):override { { "augment.flip", "true" }, { "augment.grey", "0.2" }, { "augment.rotate", "none" }, { "augment.crop", "0.3,1" } }
  t.equal(r.augment.flip, true)
  t.equal(r.augment.grey, 0.2)
  t.equal(r.augment.rotate, false)
  t.equal(table.concat(r.augment.crop, " "), "0.3 1")
end)

t.test("numbers for people", function()
  t.equal(util.thousands(25557032), "25,557,032")
  t.equal(util.thousands(999), "999")
  t.equal(util.thousands(100000), "100,000")
  t.equal(util.clock(75.2), "1:15")
  t.equal(util.clock(3661), "1:01:01")
  t.equal(util.first_few({ "a", "b", "c", "d" }, 2), "a, b, ... (4 in all)")
end)

t.test("the prompt tells expressions, statements and open blocks apart", function()
  local repl = require "tlua.repl"
  t.equal(repl.compile("1 + 1")(), 2)
  local f, more = repl.compile("for i = 1, 3 do")
  assert(not f and more)
  f, more = repl.compile("x = = 3")
  assert(not f and not more)
  t.equal(require("tlua.repl.inspect").text({ 1, "a", x = 2 }, 80), '{ 1, "a", x = 2 }')
  local lines, out = { "y = 3", "y", "error('no')", "y + 1" }, {}
  local was, stdout = print, io.stderr
  print = function(...) out[#out + 1] = table.concat({ ... }, " ") end
  io.stderr = { write = function(_, text) out[#out + 1] = text end }
  repl.loop(function() return table.remove(lines, 1) end)
  print, io.stderr = was, stdout
  t.equal(table.concat(out, "|"), "3|no|4", "the session")
end)

t.finish()
