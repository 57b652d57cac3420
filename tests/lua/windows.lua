-- windows.lua - patches with overlap over what is too large for a network, against MONAI's sliding_window_inference
-- (tests/golden/make_windows.py). Run by `tlua tests/lua/windows.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local windows = require "tlua.task.windows"
local golden, about = core.load "tests/golden/windows.safetensors"
local cases = core.json_decode(about.cases)
local SEED = 7
core.manual_seed(SEED)

-- The input of a case, and its network: one convolution.
local function made(number, case)
  local shape, kernel, side = { 1, table.unpack(case.size) }, { case.classes, case.channels }, {}
  shape[#shape + 1] = case.channels
  for i = 1, #case.size do kernel[i + 2], side[i] = 3, 1 end
  local weight = core.normal(kernel, 0, 1, "w " .. number)
  local seen = {}
  local function net(x)
    seen[#seen + 1] = x:shape(1)
    return core.ops.conv(x, weight, { padding = side })
  end
  return core.normal(shape, 0, 1, "x " .. number), net, seen
end

local function options(case, more)
  local o = { patch = case.patch, overlap = case.overlap, weights = case.weights }
  for key, value in pairs(more or {}) do o[key] = value end
  return o
end

local function same_bits(a, b) return t.equal(a:hash(), b:hash(), "the bits") end

t.test("logits are MONAI's", function()
  for i, case in ipairs(cases) do
    for batch = 1, 4, 3 do
      local x, net = made(i - 1, case)
      local y = windows.run(net, x, options(case, { batch = batch }))
      local d = t.distance(y, golden[tostring(i - 1)])
      assert(d < 1e-5, ("case %d: off by %g"):format(i, d))
      t.equal(table.concat(y:shape(), " "), table.concat(golden[tostring(i - 1)]:shape(), " "))
    end
  end
end)

t.test("patches go through in batches, and the sums do not depend on them", function()
  local x, net, seen = made(0, cases[1])
  local one = windows.run(net, x, options(cases[1]))
  local all = #seen
  for i = 1, all do t.equal(seen[i], 1) end
  local five = windows.run(net, x, options(cases[1], { batch = 5 }))
  t.equal(#seen - all, (all + 4) // 5)
  assert(t.distance(five, one) < 1e-6)
end)

t.test("classes alone are those of the logits to the bit, with sums of one patch's depth", function()
  for i, case in ipairs(cases) do
    local x, net = made(i - 1, case)
    local want = windows.run(net, x, options(case)):argmax(-1)
    local got = windows.run(net, x, options(case, { classes_only = true }))
    t.equal(got:dtype(), "int32")
    t.equal(table.concat(got:shape(), " "), table.concat(want:shape(), " "))
    same_bits(got, want)
  end
  local case = { size = { 160, 24, 24 }, channels = 1, classes = 8, patch = { 16, 16, 16 }, overlap = 0.5 }
  local x, net = made("large", case)
  local logits = 4 * 160 * 24 * 24 * 8
  local function peak(more)
    local scope <close> = core.scope()
    core.reset_peak()
    local before = core.memory()
    local y = windows.run(net, x, options(case, more))
    return select(3, core.memory()) - before, y:rank()
  end
  local bytes, rank = peak {}
  t.equal(rank, 5)
  assert(bytes < 1.6 * logits, ("logits of %d bytes took %d"):format(logits, bytes))
  local less
  less, rank = peak { budget = logits - 1 }
  t.equal(rank, 4)
  assert(bytes - less > 0.7 * logits, ("logits of %d bytes took %d, and none %d"):format(logits, bytes, less))
  bytes, rank = peak { budget = logits }
  t.equal(rank, 5)
end)

t.test("a patch as large as the volume is the network itself", function()
  local x, net = made(0, cases[1])
  local y = windows.run(net, x, { patch = cases[1].size, weights = "constant" })
  same_bits(y, net(x))
  local n = 0
  windows.run(net, x, { patch = cases[1].size, tell = function(done, of) n = n + 1 t.equal(done, of) end })
  t.equal(n, 1)
end)

t.test("it can be ended", function()
  local x, net, seen = made(0, cases[1])
  t.equal(windows.run(net, x, options(cases[1], { tell = function(done) return done == 3 end })), nil)
  t.equal(#seen, 3)
end)

t.test("what cannot be is said in a line", function()
  local x, net = made(0, cases[1])
  t.fails("patch has the sides of a patch, 3 whole numbers", windows.run, net, x, { patch = { 4, 4 } })
  t.fails("patch has the sides", windows.run, net, x, {})
  t.fails("patch must be a whole number from 1 on, not 0", windows.run, net, x, { patch = { 4, 0, 4 } })
  t.fails("overlap must be", windows.run, net, x, { patch = 4, overlap = 1 })
  t.fails("unknown option of windows: 'overlaps'", windows.run, net, x, { patch = 4, overlaps = 0.5 })
  t.fails("one volume (1, D, H, W, C) or picture", windows.run, net, core.zeros(2, 3, 3, 3, 1), { patch = 2 })
  t.fails("the network gives (1, 4, 4, 4) for patches of 4 x 4 x 4", windows.run, function(v) return v:argmax(-1) end,
    x, { patch = 4 })
end)

t.finish()
