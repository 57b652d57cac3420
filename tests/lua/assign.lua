-- assign.lua - which cells learn which boxes, the losses of detectors' outputs and their gradients, against YOLOX's own
-- and torchvision's (tests/golden/make_assign.py); what core.detect.decode finds, by hand; and what both refuse.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local levels = require "tlua.task.boxes.levels"
local boxes = require "tlua.task.boxes.losses"
local golden = core.json_decode(core.read_file "tests/golden/assign.json")

local function near(got, want, most, what)
  assert(math.abs(got - want) <= most * math.max(1, math.abs(want)), ("%s is %.9g, not %.9g"):format(what, got, want))
end

-- make_assign.py's rule.
local function numbers(n, seed, scale)
  local out = {}
  for i = 0, n - 1 do
    out[i + 1] = (((i * i % 65521 * 31 + i * 48271 + seed * 7919) % 65521) / 65521 * 2 - 1) * scale
  end
  return out
end

local CELLS = 8 * 12 + 4 * 6 + 2 * 3
local PICTURES = #golden.boxes

local function outputs(case, width)
  local list = numbers(PICTURES * CELLS * width, case.seed, case.scale)
  if case.lift and case.lift ~= 0 then
    for r = 0, PICTURES * CELLS - 1 do
      for k = 3, 4 do list[r * width + k] = list[r * width + k] + case.lift end
    end
  end
  return core.tensor(list):reshape(PICTURES, CELLS, width)
end

local function batch()
  local b, l, offsets = {}, {}, { 0 }
  for i, each in ipairs(golden.boxes) do
    for j, box in ipairs(each) do b[#b + 1], l[#l + 1] = box, golden.labels[i][j] end
    offsets[i + 1] = #b
  end
  return { input = core.zeros(PICTURES, golden.height, golden.width, 3), boxes = core.tensor(b),
    box_labels = core.tensor(l, { dtype = "int32" }), boxes_offsets = offsets, n = PICTURES }
end

local function levels_with(bins) return { strides = golden.strides, bins = bins } end

local function check_gradient(case, grad, width)
  local flat = grad:reshape(PICTURES * CELLS, width)
  local sums, sizes = flat:sum { axes = { 1 } }:tolist(), flat:abs():sum { axes = { 1 } }:tolist()
  local rows = flat:tolist()
  for k = 1, width do
    near(sums[k], case.grad.columns[k], 1e-4, "gradient of column " .. k)
    near(sizes[k], case.grad.sizes[k], 1e-4, "size of the gradient of column " .. k)
  end
  for i, row in ipairs(case.grad.rows) do
    for k, want in ipairs(row) do
      near(rows[case.rows[i] + 1][k], want, 1e-4, ("gradient of row %d, column %d"):format(case.rows[i], k))
    end
  end
end

local function compare(case, width, bins, options)
  local scope <close> = core.scope()
  local out, b = outputs(case, width):requires_grad(true), batch()
  local parts, _, m = levels.parts(levels_with(bins), golden.classes, out, b, options)
  t.equal(m.n, #case.rows)
  local offsets, all, rows, cell = b.boxes_offsets, b.boxes:tolist(), m.rows:tolist(), m.boxes:tolist()
  for i, row in ipairs(case.rows) do
    t.equal(rows[i], row, "matched row " .. i)
    local truth = all[offsets[row // CELLS + 1] + case.truths[i] + 1]
    for k = 1, 4 do t.equal(cell[i][k], truth[k], ("box of match %d"):format(i)) end
    near(m.scores:tolist()[i], case.scores[i], 2e-5, "score " .. i)
  end
  local loss
  for _, name in ipairs { "box", "object", "class", "l1", "distribution" } do
    t.equal(parts[name] ~= nil, case.parts[name] ~= nil, name)
    if parts[name] then
      near(parts[name]:item(), case.parts[name], 2e-5, name)
      loss = loss and loss + parts[name] or parts[name]
    end
  end
  near(loss:item(), case.loss, 2e-5, "loss")
  loss:backward()
  check_gradient(case, out.grad, width)
end

t.test("SimOTA and its loss are YOLOX's", function()
  for _, case in ipairs(golden.simota) do
    compare(case, 5 + golden.classes, nil, { box_loss = "iou_squared", box_weight = 5, class_weight = 1, l1 = case.l1 })
  end
end)

t.test("task-aligned assignment, CIoU and the distribution focal loss", function()
  for _, case in ipairs(golden.aligned) do
    compare(case, 4 * case.bins + golden.classes, case.bins,
      { box_loss = "ciou", box_weight = 7.5, class_weight = 0.5, distribution_weight = 1.5 })
  end
end)

t.test("losses of boxes are torchvision's", function()
  for kind, want in pairs(golden.box.losses) do
    local a, b = core.tensor(golden.box.a):requires_grad(true), core.tensor(golden.box.b)
    local loss = boxes.loss(a, b, kind)
    for i, v in ipairs(loss:tolist()) do near(v, want.loss[i], 1e-5, kind .. " " .. i) end
    loss:sum():backward()
    for i, row in ipairs(a.grad:tolist()) do
      for k, v in ipairs(row) do near(v, want.grad[i][k], 1e-5, ("gradient of %s %d"):format(kind, i)) end
    end
  end
  t.fails("siou", function() boxes.loss(core.zeros(1, 4), core.zeros(1, 4), "siou") end)
end)

t.test("a focal loss weighs what is known less", function()
  local b, out = batch(), outputs(golden.simota[1], 8)
  local o = { box_loss = "giou", box_weight = 5, class_weight = 1 }
  local plain = levels.parts(levels_with(), golden.classes, out, b, o)
  o.focal = 2
  local parts, n = levels.parts(levels_with(), golden.classes, out, b, o)
  -- By hand: the sum over all rows of (1 - p_t)^2 times the cross entropy.
  local want, matched = 0, {}
  for _, row in ipairs(golden.simota[1].rows) do matched[row + 1] = true end
  for i, row in ipairs(out:reshape(-1, 8):tolist()) do
    local p = 1 / (1 + math.exp(-row[5]))
    local pt = matched[i] and p or 1 - p
    want = want - (1 - pt) ^ 2 * math.log(pt)
  end
  near(parts.object:item(), want / n, 2e-5, "focal loss of objects")
  assert(parts.object:item() < plain.object:item())
end)

t.test("a batch without boxes learns that there is nothing", function()
  local b = batch()
  b.boxes_offsets = { 0, 0, 0 }
  local out = outputs(golden.simota[1], 8):requires_grad(true)
  local parts, n, m = levels.parts(levels_with(), golden.classes, out, b,
    { box_loss = "giou", box_weight = 5, class_weight = 1 })
  t.equal(m.n, 0)
  t.equal(n, 1)
  t.equal(parts.box, nil)
  parts.object:backward()
  local g = core.ops.slice(out.grad, 3, 0, 4):abs():sum():item()
  t.equal(g, 0, "boxes have a gradient")
end)

t.test("answers are boxes in pixels, the surest first, and what overlaps goes", function()
  local rows = {}
  for i = 1, CELLS do rows[i] = { 0, 0, 0, 0, -20, -20, -20, -20 } end
  rows[1 + 12 + 2] = { 0.5, 0.25, math.log(2), math.log(3), 4, -5, 3, 1 } -- column 2, row 1 of stride 8
  rows[1 + 12 + 3] = { -0.5, 0.25, math.log(2), math.log(3), 2, -5, 3, 1 } -- the same box, less sure
  rows[96 + 1] = { 0.5, 0.5, 0, 0, 2, 3, -5, -5 } -- the first cell of stride 16
  local out = core.tensor(rows):reshape(1, CELLS, 8)
  local options = { strides = golden.strides, height = golden.height, width = golden.width, classes = 3,
    confidence = 0.2 }
  local found = core.detect.decode(out, options)[1]
  t.equal(#found.boxes, 2)
  for k, v in ipairs { 20 - 8, 10 - 12, 20 + 8, 10 + 12 } do near(found.boxes[1][k], v, 1e-5, "side " .. k) end
  local function sigmoid(x) return 1 / (1 + math.exp(-x)) end
  near(found.scores[1], sigmoid(4) * sigmoid(3), 1e-6, "score")
  t.equal(found.labels[1], 1)
  t.equal(found.labels[2], 0)
  options.most = 1
  t.equal(#core.detect.decode(out, options)[1].boxes, 1)
  options.most, options.several, options.confidence = 300, true, 0.1
  local more = core.detect.decode(out, options)[1]
  t.equal(#more.boxes, 3) -- another class of the first place too
  near(more.scores[3], sigmoid(4) * sigmoid(1), 1e-6, "another class")
  options.several = nil
  rows[50][7] = 0 / 0
  options.confidence = 0.9
  t.equal(core.detect.decode(core.tensor(rows):reshape(1, CELLS, 8), options)[1], false)
end)

t.test("outputs of other shapes, labels of no class and wrong options are one line", function()
  local out, b = outputs(golden.simota[1], 8), batch()
  local function options(more)
    local o = { strides = golden.strides, height = golden.height, width = golden.width, classes = 3 }
    for k, v in pairs(more or {}) do o[k] = v end
    return o
  end
  local function assign(o, labels, offsets)
    return function() core.detect.assign(out, b.boxes, labels or b.box_labels, offsets or b.boxes_offsets, o) end
  end
  t.fails("must be float32 (N, 126, 9)", assign(options { classes = 4 }))
  t.fails("no whole cells of 8", assign(options { width = 100 }))
  t.fails("strides", assign(options { strides = {} }))
  t.fails("strides are whole numbers of pixels, and number 2 is none", assign(options { strides = { 8, -16, 32 } }))
  t.fails("number 1 is none", assign(options { strides = { 2 ^ 32 + 8, 16, 32 } }))
  t.fails("bins", assign(options { bins = 1 }))
  t.fails("there are 3 classes", assign(options(), core.full({ 7 }, 3, { dtype = "int32" })))
  t.fails("offsets must be 3", assign(options(), nil, { 0, 4 }))
  t.fails("grow", assign(options(), nil, { 0, 5, 4 }))
  t.fails("grow", assign(options(), nil, { 0, 5, 9 }))
  t.fails("iou must be from 0 to 1", function() core.detect.decode(out, options { iou = 2 }) end)
  t.fails("confidense", function() core.detect.decode(out, options { confidense = 2 }) end)
end)

t.finish()
