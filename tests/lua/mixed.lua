-- mixed.lua - a recipe's `precision`: results of layers as halves take less memory and train like float32; a gradient beyond float16 skips
-- the step and halves the loss scale, which doubles after good steps; a run that goes on gives the same bits; what would do nothing is one
-- line. Run by `tlua tests/lua/mixed.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local resumed = dofile "tests/lua/run_resumed.lua"
local nn = tlua.nn
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 40)

local function recipe_of(name, fields)
  core.manual_seed(1)
  local r = { model = nn.Sequential(nn.Conv2d(3, 16, 3, { padding = 1 }), nn.BatchNorm2d(16), nn.ReLU(),
      nn.Conv2d(16, 16, 3, { padding = 1 }), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
      nn.Linear(16, 10)),
    data = tlua.data.cifar10 { root = folder .. "/cifar", batch = 8, size = 16 }, seed = 3, cache = false,
    optim = tlua.optim.SGD { lr = 0.05, momentum = 0.9 }, schedule = { epochs = 2 }, out = folder .. "/" .. name }
  for key, value in pairs(fields or {}) do r[key] = value end
  return tlua.recipe(r)
end

local run, hashes = resumed.run, resumed.hashes

local whole = run(recipe_of "float32")

t.test("halves take less memory and train alike", function()
  local plain = recipe_of("memory"):build().memory.step
  for _, precision in ipairs { "bfloat16", "mixed" } do
    local r, log = run(recipe_of(precision, { precision = precision }))
    assert(math.abs(r.epochs[2].loss - whole.epochs[2].loss) < 0.01 * whole.epochs[2].loss, precision)
    assert(r.epochs[2].loss ~= whole.epochs[2].loss, precision)
    assert(log:find("precision results of layers are stored as " .. (precision == "mixed" and "float16 while it trains, " ..
      "the loss multiplied by 2^16;" or "bfloat16 while it trains;"), 1, true), log)
    local step = recipe_of(precision, { precision = precision }):build().memory.step
    assert(step < plain, ("%d of %d"):format(step, plain))
    local again = run(recipe_of(precision .. "-again", { precision = precision }))
    t.equal(again.epochs[2].loss, r.epochs[2].loss)
    t.equal(hashes(folder .. "/" .. precision .. "-again"), hashes(folder .. "/" .. precision))
  end
  for _, p in recipe_of("types", { precision = "mixed" }):build().model:parameters() do t.equal(p:dtype(), "float32") end
end)

t.test("an overflow skips the step and halves the scale, good steps double it, and a run that goes on has the same bits", function()
  local fields = { precision = "mixed", loss_scale = 2.0 ^ 28, scale_steps = 3 }
  fields.checkpoint = 1e-5
  local r, log = resumed.with_middle(folder .. "/middle", 2, run, recipe_of("skips", fields))
  local said = {}
  for scale in log:gmatch "beyond float16: the step is skipped, the loss is multiplied by 2%^(%d+) from here on" do
    said[#said + 1] = tonumber(scale)
  end
  assert(#said > 1 and said[1] == 27 and said[2] == 26, log)
  local state = require("tlua.run.checkpoint").peek(folder .. "/skips/last.safetensors").scaling
  t.equal(state.skipped, #said)
  assert(state.scale < 2.0 ^ 28 and state.good < 3)
  local c, text = run(recipe_of("middle", fields), { resume = folder .. "/middle" })
  assert(text:find("resumed", 1, true))
  t.equal(c.epochs[2].loss, r.epochs[2].loss)
  t.equal(hashes(folder .. "/middle"), hashes(folder .. "/skips"))
  t.equal(require("tlua.run.checkpoint").peek(folder .. "/middle/last.safetensors").scaling.scale, state.scale)
  -- Up again: from far too small a scale.
  local _, _ = run(recipe_of("small", { precision = "mixed", loss_scale = 2.0 ^ -8, scale_steps = 2 }))
  t.equal(require("tlua.run.checkpoint").peek(folder .. "/small/last.safetensors").scaling.scale, 2.0 ^ (-8 + 10 // 2))
end)

t.test("with accumulated batches, clipping, an average and recomputed blocks", function()
  local fields = { accumulate = 2, clip = 1.0, ema = 0.9 }
  local plain = run(recipe_of("more-float32", fields))
  fields.precision = "mixed"
  local r = run(recipe_of("more", fields))
  assert(math.abs(r.epochs[2].loss - plain.epochs[2].loss) < 0.01 * plain.epochs[2].loss)
  local function blocks(name, recompute)
    return recipe_of(name, { precision = "mixed", model = tlua.models.resnet18 { width = 8 }, head = nn.Linear(10),
      schedule = { epochs = 1 }, data = tlua.data.cifar10 { root = folder .. "/cifar", batch = 20, size = 32 },
      recompute = recompute })
  end
  local kept = run(blocks("kept", false))
  local again = run(blocks("again", true))
  t.equal(again.epochs[1].loss, kept.epochs[1].loss)
end)

t.test("what would do nothing, or cannot be, is one line", function()
  for _, name in ipairs { "loss_scale", "scale_steps" } do
    t.fails(('recipe: %s is of precision = "mixed", and precision is "bfloat16"'):format(name), function()
      recipe_of("no", { precision = "bfloat16", [name] = name == "loss_scale" and 1024.0 or 5 }):build()
    end)
  end
  t.fails("loss_scale must be a power of two, not 1000", function()
    recipe_of("no", { precision = "mixed", loss_scale = 1000.0 }):build()
  end)
  t.fails("recipe: precision: one of float32, mixed, bfloat16 is needed, not 'half'", function()
    recipe_of("no", { precision = "half" })
  end)
end)

t.finish()
