-- recipes.lua - what needs no device: merging, typed overrides, near misses, globs. Run by `tlua tests/lua/recipes.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local util = require "tlua.util"
local schema = require "tlua.schema"
local recipe = require "tlua.recipe"
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
    make { data = data[kind] { root = "x" } }:each_field(function(path) assert(text:find("`" .. path .. "`", 1, true), path .. " is not in docs/recipes.md") end)
  end
  for _, name in ipairs(optim.names) do
    make { optim = optim[name] {} }:each_field(function(path) assert(text:find("`" .. path .. "`", 1, true), path .. " is not in docs/recipes.md") end)
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
  t.fails("resize = 100 is smaller than size = 224", function() data.preprocessing(data.folder { resize = 100 }, base) end)
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
  t.equal(repl.show { 1, "a", x = 2 }, '{ 1, "a", x = 2 }')
  local lines, out = { "y = 3", "y", "error('no')", "y + 1" }, {}
  local was, stdout = print, io.stderr
  print = function(...) out[#out + 1] = table.concat({ ... }, " ") end
  io.stderr = { write = function(_, text) out[#out + 1] = text end }
  repl.loop(function() return table.remove(lines, 1) end)
  print, io.stderr = was, stdout
  t.equal(table.concat(out, "|"), "3|stdin:1: no|4", "the session")
end)

t.finish()
