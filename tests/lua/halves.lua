-- halves.lua - frozen matrices and tables held as float16 or bfloat16: products with them give the bits of the same
-- numbers in float32, and so do runs, which take less memory, resume, and keep the halves in their model files.
-- Run by `tlua tests/lua/halves.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local resumed = dofile "tests/lua/run_resumed.lua"
local model_file = require "tlua.weights.model_file"
local nn, ops = tlua.nn, core.ops

local function largest(x) return x:abs():amax():item() end

for _, dtype in ipairs { "float16", "bfloat16" } do
  t.test(dtype .. ": products with halves, and their gradients, are those of the same numbers in float32", function()
    local shapes = { { 1, 7, 5 }, { 100, 384, 384 }, { 64, 33, 70 }, { 300, 1536, 130 }, { 3, 384, 16 } }
    for _, shape in ipairs(shapes) do
      local m, k, n = table.unpack(shape)
      local half, bias, given = core.randn(n, k):to(dtype), core.randn(n), core.randn(m, k)
      local results = {}
      for i, w in ipairs { half, half:to "float32" } do
        local x = given:clone():requires_grad(true)
        local y = ops.linear(x, w, bias, nil, { activation = "gelu" })
        t.equal(y:dtype(), "float32")
        ;(y * y):sum():backward()
        results[i] = { y:detach(), x.grad, ops.matmul(core.ones(2, 3, n), w) }
      end
      for i, got in ipairs(results[1]) do
        t.equal(largest(got - results[2][i]), 0.0, ("%d of (%d, %d, %d)"):format(i, m, k, n))
      end
    end
  end)

  t.test(dtype .. ": a table is read where it lies", function()
    local e = nn.Embedding(50, 20)
    e:freeze "*"
    e:ready()
    local ids = core.tensor({ { 3, 4, 3 }, { 0, 49, 7 } }, { dtype = "int32" })
    local half = e.weight:to(dtype)
    e:_replace("weight", half)
    local y, rows = e(ids), e:rows(2, 5)
    t.equal(y:dtype(), "float32")
    t.equal(largest(y - ops.embedding(half:to "float32", ids)), 0.0)
    t.equal(largest(rows - ops.slice(half:to "float32", 1, 2, 5)), 0.0)
  end)
end

-- ---- runs ----

local folder = t.folder()
pictures.cifar(folder .. "/cifar", 20)
local function network(path)
  return tlua.models.deit_tiny_patch16_224 { image_size = 32, classes = 10, weights = path }
end

-- Weights, and the same with matrices rounded to halves.
core.manual_seed(3)
local first = network(nil)
first:save(folder .. "/first.safetensors")
local rounded = first:state_dict()
for path, m in first:modules() do
  if m.takes_half and path ~= "head" then
    rounded[path .. ".weight"] = rounded[path .. ".weight"]:to("float16"):to "float32"
  end
end
core.save(folder .. "/rounded.safetensors", rounded, {})

local function recipe_of(name, changes)
  local fields = { model = network(folder .. "/first.safetensors"), lora = { on = "blocks.1[01].*", rank = 4 },
    data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 4 }, cache = false,
    optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 2 }, out = folder .. "/" .. name, frozen = "float16" }
  for key, value in pairs(changes or {}) do fields[key] = value end
  return tlua.recipe(fields)
end

local run, hashes = resumed.run, resumed.hashes

t.test("a run is that of the same network with rounded weights, to the bit", function()
  local a, text = resumed.with_middle(folder .. "/middle", 2, run, recipe_of("half", { checkpoint = 1e-5 }))
  assert(text:find("frozen    the base, matrices as float16 (10.6 MB instead of 21.2 MB); ", 1, true), text)
  local b = run(recipe_of("full", { model = network(folder .. "/rounded.safetensors"), frozen = "float32" }))
  t.equal(a.epochs[2].loss, b.epochs[2].loss)
  t.equal(a.epochs[2].test_loss, b.epochs[2].test_loss)
  t.equal(hashes(folder .. "/half"), hashes(folder .. "/full"))
  local c, said = run(recipe_of("middle", { checkpoint = 1e-5 }), { resume = folder .. "/middle" })
  assert(said:find("resumed", 1, true))
  t.equal(c.epochs[2].loss, a.epochs[2].loss)
  t.equal(hashes(folder .. "/middle"), hashes(folder .. "/half"))
end)

t.test("the model file has the halves, and what is opened is float32 again", function()
  local types = {}
  for _, e in ipairs((core.entries(folder .. "/half/model.safetensors"))) do types[e.name] = e.dtype end
  t.equal(types["blocks.3.attn.qkv.weight"], "float16")
  t.equal(types["blocks.11.attn.qkv.lora_A.weight"], "float32")
  t.equal(types["head.weight"], "float32")
  t.equal(types["blocks.3.attn.qkv.bias"], "float32")
  local small = core.file_size(folder .. "/half/model.safetensors")
  local large = core.file_size(folder .. "/full/model.safetensors")
  assert(small < 0.55 * large, small / large)
  core.manual_seed(5)
  local x = core.randn(2, 32, 32, 3)
  local guard <close> = core.no_grad()
  local net = model_file.load(folder .. "/half")
  local y = net(x)
  t.equal(largest(y - model_file.load(folder .. "/full")(x)), 0.0)
  for _, p in net:parameters() do t.equal(p:dtype(), "float32") end
  -- As a program in C opens it, by its calls.
  local graph = nn.Graph { path = folder .. "/half/model.safetensors" }
  graph:eval()
  assert(t.distance(graph(x), y) < 1e-5)
end)

t.test("adapters on halves become part of weights of float32", function()
  local net = recipe_of("merge"):build().model
  for name, p in net:parameters() do
    if name:find "lora_" then p:copy_(core.normal(p:shape(), 0, 0.05, name)) end
  end
  net:eval()
  local guard <close> = core.no_grad()
  local x = core.randn(2, 32, 32, 3)
  local before = net(x)
  net:merge_lora()
  t.equal(net:find("blocks.11.attn.qkv").weight:dtype(), "float32")
  t.equal(net:find("blocks.3.attn.qkv").weight:dtype(), "float16")
  assert(t.distance(net(x), before) < 3e-6)
end)

t.test("what some stage trains stays float32; what makes no sense is one line", function()
  local s = recipe_of("stages", { lora = nil, schedule = { { epochs = 1, freeze = "*" },
    { epochs = 1, train = "blocks.11.*" } } })
  s.lora = require("tlua.nn.lora").none()
  local net = s:build().model
  t.equal(net:find("blocks.11.attn.qkv").weight:dtype(), "float32")
  t.equal(net:find("blocks.10.attn.qkv").weight:dtype(), "float16")
  t.equal(net:find("head").weight:dtype(), "float32")
  local plain = recipe_of "plain"
  plain.lora = require("tlua.nn.lora").none()
  t.fails('frozen = "float16": no matrix of nn.Linear and no table of nn.Embedding is frozen', plain.build, plain)
  local big = first:state_dict()
  big["blocks.2.mlp.fc1.weight"] = big["blocks.2.mlp.fc1.weight"] * 1e7
  core.save(folder .. "/big.safetensors", big, {})
  t.fails('blocks.2.mlp.fc1.weight has a number of size', function()
    recipe_of("big", { model = network(folder .. "/big.safetensors") }):build()
  end)
  recipe_of("big", { model = network(folder .. "/big.safetensors"), frozen = "bfloat16" }):build()
  t.fails("recipe: frozen: one of float32, float16, bfloat16 is needed, not 'float8'", function()
    recipe_of("plain", { frozen = "float8" })
  end)
end)

t.finish()
