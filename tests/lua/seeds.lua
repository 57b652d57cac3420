-- seeds.lua - a seed is a whole number of 64 bits, and every bit of it counts: in the recipe, on the command line, in loaders, in the
-- order of cached features, in JSON, model files and checkpoints. What is out of range is an error. Run by `tlua tests/lua/seeds.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local schema = require "tlua.schema"
local nn = tlua.nn
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 20)
pictures.folder(folder .. "/classes", 24)

local SEEDS = { 0, 1, -1, -2, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1, math.maxinteger, math.maxinteger - 1, math.mininteger, math.mininteger + 1 }
local RANGE = "a whole number of 64 bits (-9223372036854775808 to 9223372036854775807)"

t.test("JSON keeps all bits of whole numbers", function()
  for _, v in ipairs { 123456789012345, 9005000000000001, 1234567890123456789, table.unpack(SEEDS) } do
    local text = core.json_encode { a = { v, 0.5, v }, b = 'x "9007199254740993" \\', c = -v }
    local back = core.json_decode(text)
    assert(math.type(back.a[1]) == "integer" and back.a[1] == v and back.a[3] == v and back.a[2] == 0.5, text)
    assert(back.b == 'x "9007199254740993" \\' and back.c == -v, text)
    t.equal(core.json_encode(back), text)
  end
  t.equal(math.type(core.json_decode "[9223372036854775808]" [1]), "float")
  t.equal(math.type(core.json_decode "[1234567890123456.5]" [1]), "float")
  t.equal(core.json_decode '{"9223372036854775807": -9223372036854775807}' ["9223372036854775807"], -math.maxinteger)
end)

t.test("loaders, cached features and operators draw by all bits", function()
  local source = core.data.source("cifar10", { root = folder .. "/cifar", split = "train" })
  local pipeline = core.data.pipeline { { "resize", size = 8 } }
  local seen = { order = {}, mask = {}, split = {} }
  local function once(kind, seed, text)
    if seen[kind][text] then error(("the seeds %d and %d draw the same %s"):format(seed, seen[kind][text], kind)) end
    seen[kind][text] = seed
  end
  for _, seed in ipairs(SEEDS) do
    local loader <close> = core.data.loader(source, pipeline, { batch = 20, shuffle = true, seed = seed })
    loader:start(3)
    local order = table.concat(select(4, loader:next()), " ")
    t.equal(table.concat(core.data.permutation(seed, 3, 20), " "), order, ("the order of cached features with seed %d"):format(seed))
    once("order", seed, order)
    core.manual_seed(seed)
    once("mask", seed, core.randn(8):hash() .. core.ops.dropout(core.ones(256), { p = 0.5, training = true }):hash())
    once("split", seed, core.data.source("folder", { root = folder .. "/classes", split = "train", holdout = 0.5, seed = seed }):hash())
  end
end)

t.test("what is no whole number of 64 bits is an error", function()
  for _, text in ipairs { "9223372036854775808", "-9223372036854775809", "18446744073709551615", "9007199254740992.0", "1e16", "1.5", "abc", "", "0x1ffffffffffffffff", "nan", "inf" } do
    t.equal(schema.seed(text), nil, text)
    local e = t.fails("--seed: " .. RANGE .. " is needed, not '" .. text .. "'", schema.parse, { "seed", "seed" }, "seed", text)
    assert(e)
  end
  for _, seed in ipairs(SEEDS) do t.equal(schema.seed(("%d"):format(seed)), seed) end
  t.equal(schema.seed "1e3", 1000)
  t.equal(schema.seed "0x10", 16)
  for _, seed in ipairs { 2.0 ^ 53, 2.0 ^ 63, 1e300, 0.5, 0 / 0, math.huge } do
    t.fails("a seed is a whole number of 64 bits", core.manual_seed, seed)
    t.fails("a seed is a whole number of 64 bits", core.data.permutation, seed, 1, 5)
    t.fails("recipe: seed: " .. RANGE, function()
      return tlua.recipe { model = tlua.models.resnet18 {}, data = tlua.data.cifar10 {}, optim = tlua.optim.SGD { lr = 1 }, schedule = { epochs = 1 }, seed = seed }
    end)
    t.fails("split_seed: " .. RANGE, function() return tlua.data.cifar10 { split_seed = seed } end)
  end
  core.manual_seed(3.0)
end)

t.test("a run keeps its seed: command line, model file, checkpoint, --resume, comparison", function()
  local path, hashes = folder .. "/recipe.lua", {}
  core.write_file(path, ([[local tlua = require "tlua"
return tlua.recipe { model = tlua.nn.Sequential(tlua.nn.Flatten(), tlua.nn.Linear(192, 10)), optim = tlua.optim.SGD { lr = 0.1 }, schedule = { epochs = 1 },
  data = tlua.data.cifar10 { root = "%s/cifar", size = 8, batch = 10, mean = { 0, 0, 0 }, std = { 1, 1, 1 } }, seed = 9007199254740993 }
]]):format(folder))
  for i, words in ipairs { "", "--seed 9007199254740992", "--seed -1", "--seed=9223372036854775807", "--seed 9007199254740993" } do
    local out = ("%s/run%d"):format(folder, i)
    local status, text, err = t.run(("./tlua %s %s --out %s"):format(path, words, out))
    t.equal(status, 0, err)
    local want = words:match "%-?%d+$" or "9007199254740993"
    assert(text:find("seed " .. want, 1, true), text)
    local scope <close> = core.scope()
    local tensors, metadata = core.load(out .. "/model.safetensors")
    t.equal(("%d"):format(core.json_decode(metadata.tlua).seed), want)
    t.equal(("%d"):format(core.json_decode(select(2, core.load(out .. "/last.safetensors")).checkpoint).seed), want)
    hashes[i] = tensors["1.weight"]:hash()
  end
  t.equal(hashes[5], hashes[1])
  assert(hashes[1] ~= hashes[2] and hashes[1] ~= hashes[3] and hashes[3] ~= hashes[4])
  local out = folder .. "/run1"
  local status, _, err = t.run(("./tlua %s --resume %s --schedule.epochs 2 --force"):format(path, out))
  t.equal(status, 0, err)
  status, _, err = t.run(("./tlua %s --resume %s --seed 9007199254740992 --schedule.epochs 3"):format(path, out))
  assert(status ~= 0 and err:find("--seed 9007199254740992  was 9007199254740993", 1, true), err)
  local ways = require "tlua.command.compare.ways"
  local seeds = schema.find(ways.SCHEMA, "seeds")
  t.equal(table.concat(schema.parse(seeds, "compare.seeds", "9007199254740993,-1"), ","), "9007199254740993,-1")
  t.fails("--compare.seeds", schema.parse, seeds, "compare.seeds", "1,9223372036854775808")
end)

t.finish()
