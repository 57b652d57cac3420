-- segment_volumes.lua - classes of voxels: figures of volumes, tests patch by patch, reports, predict and eval.
-- Run by `tlua tests/lua/segment_volumes.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local maps = require "tlua.report.maps"
local step = require "tlua.train.step"
local totals = require "tlua.train.totals"
local windows = require "tlua.task.windows"
local nn, task = tlua.nn, tlua.task

-- The task of three classes, opened, with a loss.
local function opened(loss)
  local me = task.open(task.segment {}, loss or nn.CrossEntropy {})
  me.names, me.width = { "background", "one", "two" }, 3
  return me
end

t.test("more voxels than float32 counts are counted whole", function()
  local side = 2401
  local labels = core.zeros({ 1, 3, side, side }, { dtype = "int32" })
  local row = maps.counts(labels, labels, 2, 255)[1]
  t.equal(table.concat(row, " "), ("%d 0 0 0"):format(3 * side * side))
  assert(3 * side * side > 1 << 24 and side % 2 == 1)
  t.equal(maps.pixels(labels:reshape(3, side, side), 2)[1], 3 * side * side)
end)

-- A volume, its mask, and a network of one convolution.
local function one_volume()
  core.manual_seed(3)
  local x = core.normal({ 1, 9, 11, 10, 1 }, 0, 1, "x")
  local mask = (core.uniform({ 1, 9, 11, 10 }, 0, 3, "mask")):floor():to "int32"
  local weight = core.normal({ 3, 1, 3, 3, 3 }, 0, 1, "w")
  local function net(v)
    local y = core.ops.conv(v, weight, { padding = { 1, 1, 1 } })
    return y
  end
  return { input = x, mask = mask, n = 1, indices = { 1 } }, net
end

local function tested(me, batch, net, preprocessing)
  local given = false
  local source = { next = function()
    if given then return nil end
    given = true
    return batch
  end }
  local s = { task = me, model = net, data = { preprocessing = preprocessing } }
  local sum, seen = totals.new(me, nil, true), me:collector()
  while step.test(s, source, sum, seen) do end
  return sum, seen
end

t.test("a test sees volumes whole, patch by patch", function()
  local batch, net = one_volume()
  local me = opened()
  local patch = { 4, 6, 5 }
  local sum, seen = tested(me, batch, net, { patch = patch, overlap = 0.25 })
  local logits = windows.run(net, batch.input, { patch = patch, overlap = 0.25 })
  assert(math.abs(sum:mean() - nn.CrossEntropy {}(logits, batch.mask):item()) < 1e-6)
  local want = maps.counts(batch.mask, logits:argmax(-1), 3, 255)[1]
  t.equal(table.concat(seen.matrix, " "), table.concat(want, " "))
  t.equal(table.concat(sum.meter.matrix, " "), table.concat(want, " "))
  local whole = tested(me, batch, net, {})
  assert(math.abs(whole:mean() - nn.CrossEntropy {}(net(batch.input), batch.mask):item()) < 1e-6)
  assert(math.abs(whole:mean() - sum:mean()) > 1e-3, "patches change nothing")
end)

t.test("where there are classes alone there is no loss, and the figures are there", function()
  local batch, net = one_volume()
  local me = opened()
  local classes = windows.run(net, batch.input, { patch = { 4, 6, 5 }, classes_only = true })
  t.equal(me:loss(classes, batch), nil)
  local meter = me:meter()
  meter:add(classes, batch)
  local logits = windows.run(net, batch.input, { patch = { 4, 6, 5 } })
  local other = me:meter()
  other:add(logits, batch)
  t.equal(meter:value().dice, other:value().dice)
  assert(meter:value().dice > 0)
end)

t.test("maps of another rank are refused", function()
  local me = opened()
  local volumes, pictures = { data = { input = { kind = "volume" } } }, { data = { input = { kind = "picture" } } }
  t.fails("wants a map (N, D, H, W, 3), as tlua.models.unet3d gives", me.check, me, { 1, 8, 8, 3 }, volumes)
  t.fails("wants a map (N, H, W, 3), as tlua.models.unet gives", me.check, me, { 1, 8, 8, 8, 3 }, pictures)
  t.fails("4 classes for each voxel, and the masks have 3", me.check, me, { 1, 8, 8, 8, 4 }, volumes)
  me:check({ 1, 8, 8, 8, 3 }, volumes)
end)

t.finish()
