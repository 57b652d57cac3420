-- command_line.lua - words that everybody types, help, the reading of a command's words, hints of the parser. Run by
-- `tlua tests/lua/command_line.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local schema = require "tlua.schema"
local commands = require "tlua.command.commands"
local syntax = require "tlua.command.syntax"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim
local folder = t.folder()

local function make(fields)
  local r = { model = tlua.models.resnet18 { width = 8 }, data = data.folder { root = "x" }, optim = optim.Adam {}, schedule = { epochs = 3 } }
  for key, value in pairs(fields or {}) do r[key] = value end
  return tlua.recipe(r)
end

local function refused(pattern, r, ...)
  local list = {}
  for i = 1, select("#", ...), 2 do list[#list + 1] = { (select(i, ...)), (select(i + 1, ...)) } end
  local ok, e = pcall(r.override, r, list)
  assert(not ok and schema.is_usage(e), "no usage error: " .. tostring(e))
  assert(tostring(e):find(pattern, 1, true), tostring(e))
end

t.test("words that everybody types mean the recipe's fields", function()
  local r = make():override { { "epochs", "7" }, { "lr", "0.25" }, { "batch-size", "8" }, { "num_workers", "2" }, { "out_dir", "o" }, { "gpu", true }, { "weight-decay", "0.5" },
    { "img-size", "96" }, { "data_dir", "d" }, { "arch", "mobilenet_v2" }, { "Random-Seed", "9" }, { "patience", "4" }, { "grad_clip", "2" }, { "warmup", "1" },
    { "scheduler", "cosine" }, { "label_smoothing", "0.1" }, { "val_split", "0.25" }, { "mixup", "0.5" }, { "test-every", "2" }, { "pretrained", true } }
  t.equal(r.schedule.epochs, 7)
  t.equal(r.optim.options.lr, 0.25)
  t.equal(r.data.options.batch, 8)
  t.equal(r.data.options.threads, 2)
  t.equal(r.out, "o")
  t.equal(r.device, "gpu")
  t.equal(r.optim.options.weight_decay, 0.5)
  t.equal(r.data.options.size, 96)
  t.equal(r.data.options.root, "d")
  t.equal(r.model.entry.name, "mobilenet_v2")
  t.equal(r.model.network_options.weights, "imagenet")
  t.equal(r.seed, 9)
  t.equal(r.stop_after, 4)
  t.equal(r.clip, 2.0)
  t.equal(r.schedule.warmup, 1.0)
  t.equal(r.schedule.rate, "cosine")
  t.equal(r.loss.options.label_smoothing, 0.1)
  t.equal(r.data.options.split, 0.25)
  t.equal(r.augment.mixup, 0.5)
  t.equal(r.test_every, 2)
  -- What --resume says again is the fields' own names.
  for _, each in ipairs(r.overrides) do assert(each[1] ~= "lr" and each[1] ~= "gpu" and type(each[2]) == "string", each[1]) end
  t.equal(make():override({ { "lr", "1" }, { "optim.lr", "2" } }).optim.options.lr, 2.0)
  -- Constructors first, in whatever order.
  t.equal(make():override({ { "momentum", "0.5" }, { "optimizer", "SGD" } }).optim.options.momentum, 0.5)
  t.equal(make():override({ { "no-cuda", true } }).device, "cpu")
end)

t.test("what could mean several fields, or none, is answered", function()
  local staged = { schedule = { { epochs = 1, freeze = "*" }, { epochs = 2, lr = 1e-3 } } }
  refused("the recipe has 2 stages: --schedule.1.epochs, --schedule.epochs", make(staged), "epochs", "3")
  refused("unknown option '--schedule.2.lr'; the last stage goes without a number: '--schedule.lr'", make(staged),
    "schedule.2.lr", "3")
  refused("unknown option '--schedule.1.lr'; the last stage goes without a number: '--schedule.lr'", make(),
    "schedule.1.lr", "3")
  refused("unknown option '--schedule.3.lr'; did you mean '--schedule.1.lr'?", make(staged), "schedule.3.lr", "3")
  refused("rates stand in the schedule of this recipe: --schedule.lr", make(staged), "lr", "3")
  refused("--optim.momentum is what it would mean, and this recipe has no such field", make(), "momentum", "0.9")
  refused("--model.image_size, and the pictures theirs: --data.size", make { model = tlua.models.vit_base_patch16_224 {} }, "img_size", "64")
  refused("--device names a device", make(), "gpu", "0")
  refused("--weights imagenet is what it means; it takes no value", make(), "pretrained", "resnet.pth")
  refused("--data KIND says the kind of data", make(), "dataset", "cifar10")
  refused("--precision mixed is what it means; it takes no value", make(), "fp16", "O1")
  refused("--head N makes a head of N outputs", make(), "num-classes", "3")
  refused("did you mean '--epochs'?", make(), "epohcs", "3")
end)

-- An alias that leads nowhere would be an answer that is wrong.
t.test("every word means a field that a recipe can have", function()
  local known = {}
  for _, r in ipairs { make(), make { optim = optim.SGD {}, model = tlua.models.efficientnet_b0 {} } } do r:each_field(function(path) known[path] = true end) end
  local source = core.read_file "lua/tlua/command/words.lua"
  local n = 0
  for field in source:match("local FIELDS = table_of (%b{})"):gmatch '%[?"?([%w_.]+)"?%]? = "' do
    assert(known[field], field)
    n = n + 1
  end
  assert(n > 25, n)
end)

t.test("every command has its help, its summary and its place in the overview", function()
  local overview = commands.overview()
  for name in pairs(commands.run) do
    if name:find "^%l" and name ~= "help" then
      assert(commands.find(name), name .. " is not in commands.lua")
      assert(overview:find("tlua " .. name, 1, true), name)
      local status, out = t.run("./tlua " .. name .. " --help")
      assert(status == 0 and out:find("^tlua " .. name) and #out > 60, name .. ": " .. out)
      t.equal(select(2, t.run("./tlua help " .. name)), out)
    end
  end
  for _, name in ipairs(commands.names()) do assert(commands.run[name], name) end
  for line in (overview .. "\n"):gmatch "(.-)\n" do assert(#line <= 100, line) end
  local status, _, err = t.run "./tlua predcit x"
  assert(status == 2 and err:find("unknown command 'predcit'; did you mean 'predict'?", 1, true), err)
end)

t.test("a word without quotes, a variable of the environment that nothing reads, a value that is none", function()
  local folder = t.folder()
  local path = folder .. "/r.lua"
  core.write_file(path, 'local tlua = require "tlua"\nlocal unpack = unpack or table.unpack\nMINE = 3\nlocal n = MINE\n' ..
    'return tlua.recipe { model = tlua.models.resnet18 {}, weights = imagenet,\n  data = tlua.data.mnist {}, ' ..
    'schedule = { epochs = 1 } }\n')
  local status, _, err = t.run("./tlua " .. path)
  t.equal(err, path .. ":5: 'imagenet' has no value: a word wants quotes, \"imagenet\"; a variable that may be " ..
    "missing is read as _G.imagenet\n")
  t.equal(status, 2)
  core.write_file(path, (core.read_file(path):gsub("imagenet", '_G.imagenet')))
  status, _, err = t.run("./tlua " .. path .. " --help")
  assert(status == 0, err)
  status, _, err = t.run "TLUA_MEMRY=3 ./tlua --version"
  t.equal(err, "tlua: note: nothing reads TLUA_MEMRY of the environment; did you mean TLUA_MEMORY?\n")
  t.equal(status, 0)
  for given, want in pairs { ["TLUA_TUNING=off"] = "TLUA_TUNING: 0 or 1 is needed, not 'off'",
    ["TLUA_GRAPHICS=sixle"] = "TLUA_GRAPHICS: kitty, sixel or blocks is needed, not 'sixle'" } do
    status, _, err = t.run(given .. " ./tlua --version")
    assert(status == 2 and err:find(want, 1, true), err)
  end
  status, _, err = t.run("./tlua recipes/fashion_fe.lua --quiet --json")
  assert(status == 2 and err:find("one of them", 1, true), err)
  status, _, err = t.run("./tlua recipes/fashion_fe.lua --precision float16")
  assert(status == 2 and err:find("did you mean 'mixed'?", 1, true), err)
end)

t.test("a recipe that is not there: the one beside it that is named much like it", function()
  for given, want in pairs { ["recipes/cifar_f.lua"] = "tlua: there is no file recipes/cifar_f.lua; did you mean recipes/cifar_fe.lua?\n",
    ["recipes/of nothing.lua"] = "tlua: there is no file recipes/of nothing.lua\n", ["none/x.lua"] = "tlua: there is no file none/x.lua\n" } do
    local status, out, err = t.run(("./tlua '%s'"):format(given))
    t.equal(status .. out .. err, "1" .. want)
  end
end)

t.test("a recipe's help has what is usual first, then all of it by headings", function()
  local text = make():help()
  local usual, network = text:find("\nUsual\n", 1, true), text:find("\nThe network\n", 1, true)
  assert(usual and network and usual < network and network < text:find("\nThe schedule\n", 1, true), text)
  for _, name in ipairs { "--schedule.epochs", "--optim.lr", "--data.root", "--resume RUN", "--quiet" } do
    local at = text:find(name, 1, true)
    assert(at and at > usual and at < network, name)
  end
  assert(text:find "%-%-seed +0 +[^\n]*%(a whole number of 64 bits%)\n", text:match "[^\n]*%-%-seed[^\n]*")
end)

t.test("the words of a command", function()
  local o, rest = commands.parse("predict", { "runs/a", "--top=2", "--flip", "--batch-size", "4", "x.png", "--", "--y.png" })
  t.equal(o.top, "2")
  t.equal(o.flip, true)
  t.equal(o.batch, "4")
  t.equal(table.concat(rest, " "), "runs/a x.png --y.png")
  o = commands.parse("eval", { "m", "--data-dir", "d", "--data.limit", "3" })
  t.equal(o["data.root"], "d")
  t.equal(o["data.limit"], "3")
  for words, pattern in pairs {
    ["predict m x --tpo 3"] = "predict: unknown option '--tpo'; did you mean '--top'?", ["predict m x -top 3"] = "did you mean '--top'?",
    ["predict m x --top"] = "--top: a value is missing", ["predict m x --flip=3"] = "--flip takes no value", ["predict m x --gpu"] = "--device gpu",
    ["predict m"] = "pictures, recordings or texts are needed: tlua predict MODEL FILE|FOLDER|TEXT|-...",
    ["eval"] = "one model is needed", ["eval m --csv --data.root d"] = "--csv: a value is missing before '--data.root'",
    ["explain m"] = "a model and pictures",
    ["export m"] = "a model and a file are needed", ["report"] = "folders of runs are needed", ["cache"] = "list or clear is needed", ["tune x"] = "'x' is not understood",
    ["lr"] = "lr: a recipe is needed", ["recipes/own_net.lua -b 3"] = "did you mean '--data.batch'?", ["--resume"] = "a run folder or a checkpoint is missing",
    ["export m --output"] = "--to: a value is missing" } do
    local status, _, err = t.run("./tlua " .. words)
    assert(status == 2 and err:find(pattern, 1, true) and select(2, err:gsub("\n", "")) == 1, words .. ": " .. err)
  end
end)

t.test("the parser's errors in a recipe's words", function()
  local function hint(text) return syntax.hint(select(2, load(text, "@r.lua", "t")), text) end
  t.equal(hint "return {\n  a = 1\n  b = 2,\n}", "a comma is missing at the end of line 2, or a '}' for the '{' of line 1")
  t.equal(hint "return {\n  a = f { x = 1\n  -- comment\n\n  b = 2,\n}", "a comma is missing at the end of line 2, or a '}' for the '{' of line 2")
  t.equal(hint "return {\n  a = { 1,\n  b = 2,\n}", "a '}' is missing: the '{' of line 1, or one within it, is never closed")
  t.equal(hint "return { a = 1 b = 2 }", "a comma is missing before 'b', or a '}'")
  t.equal(hint "return f(1,\n 2", "a ')' is missing: the '(' of line 1, or one within it, is never closed")
  t.equal(hint "return {\n  a: 1,\n}", "a field is written NAME = VALUE")
  t.equal(hint "return {\n  a = 'x,\n}", "a quotation mark is missing")
  t.equal(hint "return +", nil)
  core.write_file(folder .. "/comma.lua", "return {\n  a = 1\n  b = 2,\n}\n")
  local status, _, err = t.run(("./tlua %s/comma.lua"):format(folder))
  assert(status == 1 and err:find("comma.lua:3: '}' expected (to close '{' at line 1) near 'b'; a comma is missing at the end of line 2", 1, true), err)
end)

t.test("a device that is not there", function()
  for _, d in ipairs(core.devices()) do
    if d.type == "gpu" then return end
  end
  local status, _, err = t.run("./tlua -e 'tlua.device \"gpu\"'")
  assert(status == 1 and err:find("there is no GPU with an OpenCL driver: there is 1 (cpu, ", 1, true), err)
end)

-- ---- a run's folder ----

pictures.folder(folder .. "/classes", 4)
local recipe = folder .. "/mine.lua"
core.write_file(recipe, ([[
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, freeze = "*", cache = false, data = tlua.data.folder { root = "%s/classes", size = 32, batch = 4, split = 0.25 },
  schedule = { epochs = 2 } }
]]):format(folder))
local run = folder .. "/run"
assert(t.run(("./tlua %s --epochs 2 --out_dir %s --cpu --quiet"):format(recipe, run)) == 0)

t.test("a run's folder is a model", function()
  local model = run .. "/model.safetensors"
  local function same(words)
    local status, out, err = t.run("./tlua " .. words:gsub("MODEL", run))
    t.equal(status, 0, words .. err)
    t.equal(out, (select(2, t.run("./tlua " .. words:gsub("MODEL", model)))), words)
    return out
  end
  local picture = folder .. "/classes/left/1.png"
  same("predict MODEL " .. picture .. " --top 1")
  same "eval MODEL --json"
  same(("explain MODEL %s --to %s/looked"):format(picture, folder))
  same(("export MODEL --to %s/e.safetensors"):format(folder))
  same(("report MODEL --to %s/r.html"):format(folder))
  t.equal(tlua.models.load(run).fc.weight:hash(), tlua.models.load(model).fc.weight:hash())
  assert(t.run(("./tlua %s --weights %s --schedule.epochs 1 --out %s/again --quiet"):format(recipe, run, folder)) == 0)
  local status, _, err = t.run(("./tlua predict %s %s"):format(folder, picture))
  assert(status == 1 and err:find(folder .. " is not the folder of a run: there is no model.safetensors in it", 1, true), err)
  core.mkdirs(folder .. "/half")
  core.link(run .. "/last.safetensors", folder .. "/half/last.safetensors")
  status, _, err = t.run(("./tlua predict %s/half %s"):format(folder, picture))
  assert(status == 0 and err:find("half has no model yet; its last checkpoint is taken", 1, true), err)
end)

t.test("the folder of a network of its recipe's own serves as any other, and its checkpoint says what it serves for", function()
  local own = folder .. "/own"
  core.write_file(own .. ".lua", ([[
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe { model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), cache = false,
  data = tlua.data.folder { root = "%s/classes", size = 32, batch = 4, split = 0.25, mean = 0.5, std = 0.25 }, schedule = { epochs = 1 } }
]]):format(folder))
  assert(t.run(("./tlua %s.lua --out %s --quiet"):format(own, own)) == 0)
  for _, words in ipairs { "predict RUN PICTURE", "eval RUN", "explain RUN PICTURE --to DIR", "export RUN --to DIR/x.safetensors", "params RUN" } do
    local status, out, err = t.run("./tlua " .. words:gsub("%u+", { RUN = own, PICTURE = folder .. "/classes/left/1.png", DIR = folder }))
    assert(status == 0 and #out > 0, words .. "\n" .. err)
  end
  for _, words in ipairs { "predict %s/last.safetensors x.png", "eval %s/last.safetensors", "export %s/last.safetensors --to x" } do
    local status, _, err = t.run("./tlua " .. words:format(own))
    assert(status == 1 and err:find(('no calls of it, which checkpoints go without: take the model.safetensors of the run, or in that recipe or at its prompt (tlua -i): model:load "%s/last.safetensors"'):format(own), 1, true), err)
  end
  core.write_file(folder .. "/typed", ('model:load "%s/model.safetensors"\nmodel:eval()\nx, labels = batch()\nprint("sum", model(x):softmax(2):sum():item())\n'):format(own))
  local status, out, err = t.run(("./tlua -i %s.lua <%s/typed"):format(own, folder))
  assert(status == 0 and out:find "sum%s+[34]%.?%d*", out .. err)
end)

t.test("words behind tlua models are no longer passed over", function()
  for words, message in pairs { ["--json"] = "models: unknown option '--json'", ["resnet18"] = "models: 'resnet18' is not understood" } do
    local status, out, err = t.run("./tlua models " .. words)
    assert(status == 2 and out == "" and err:find(message, 1, true), out .. err)
  end
end)

t.test("tlua --resume RUN wants no recipe", function()
  local function resumed(more)
    local status, out, err = t.run(("./tlua --resume %s %s"):format(run, more or ""))
    return status, out, err
  end
  local status, out, err = resumed()
  assert(status == 1 and err:find("is at its end", 1, true), err)
  status, out, err = resumed "--epochs 3 --force"
  assert(status == 0 and out:find("[Epoch 3]", 1, true) and err == "", err)
  -- The recipe has changed: the run's own copy is as it was.
  core.append_file(recipe, "-- something new\n")
  status, out, err = resumed "--epochs 4 --force"
  assert(status == 0 and out:find("[Epoch 4]", 1, true) and err:find("mine.lua has changed since; the run goes on with its recipe as it was, ", 1, true), err)
  os.remove(recipe)
  status, out, err = t.run(("./tlua --resume=%s --epochs 5 --force"):format(run))
  assert(status == 0 and out:find("[Epoch 5]", 1, true), err)
  os.remove(run .. "/recipe.lua")
  status, out, err = resumed "--epochs 6 --force"
  assert(status == 1 and err:find("holds no recipe.lua that the run was made with", 1, true) and err:find("tlua RECIPE.lua --resume " .. run, 1, true), err)
  status, out, err = t.run(("./tlua --resume %s/nowhere"):format(folder))
  assert(status == 1 and err:find("there is no run " .. folder .. "/nowhere", 1, true), err)
end)

os.execute("rm -rf " .. folder)
t.finish()
