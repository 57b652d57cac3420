-- detect.lua - the figures of boxes against pycocotools' and non-maximum suppression against torchvision's
-- (tests/golden/make_detect.py), and what follows from them. Run by `tlua tests/lua/detect.lua [CASES.json]`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local detect = core.detect

local function near(got, want, what)
  if want == nil then return assert(got ~= got, ("%s is %s, and there is none"):format(what, got)) end
  assert(math.abs(got - want) <= 1e-9, ("%s is %.12g, not %.12g"):format(what, got, want))
end

local function meter_of(case)
  local m = detect.meter(case.number)
  for _, p in ipairs(case.pictures) do m:add(p) end
  return m
end

local KEYS = { "ap", "ap_50", "ap_75", "ap_small", "ap_medium", "ap_large", "ar_1", "ar_10", "ar_100", "ar_small",
  "ar_medium", "ar_large" }

local function compare(golden)
  for i, case in ipairs(golden.average) do
    local m = meter_of(case)
    local f, what = m:figures(), ("case %d (%s)"):format(i, case.kind)
    for _, key in ipairs(KEYS) do
      near(f[key], case.all[key], what .. ": " .. key)
      for k, row in ipairs(case.classes) do
        near(f.classes[k][key], row[key], ("%s, class %d: %s"):format(what, k - 1, key))
      end
    end
    for k, want in ipairs(case.curves) do
      local c = m:curve(k - 1)
      local n = #c.scores
      t.equal(c.truths, want.truths, what)
      t.equal(f.classes[k].truths, want.truths, what)
      local said = want.hits + want.false_alarms
      if said > 0 then near(c.precision[n], want.hits / said, what) end
      if want.truths > 0 and n > 0 then near(c.recall[n], want.hits / want.truths, what) end
    end
  end
  for i, case in ipairs(golden.nms) do
    local function kept(labels, o)
      local list = detect.nms(case.boxes, case.scores, labels, o)
      for k, v in ipairs(list) do list[k] = v - 1 end
      return table.concat(list, " ")
    end
    t.equal(kept(case.labels, { iou = case.iou }), table.concat(case.per_class, " "), "nms " .. i)
    t.equal(kept(nil, { iou = case.iou }), table.concat(case.across, " "), "nms " .. i)
    t.equal(kept(case.labels, { iou = case.iou, per_class = false }), table.concat(case.across, " "), "nms " .. i)
    local few = table.move(case.across, 1, math.min(3, #case.across), 1, {})
    t.equal(kept(nil, { iou = case.iou, most = 3 }), table.concat(few, " "), "nms " .. i)
    if #case.boxes > 0 then
      local b, s = core.tensor(case.boxes), core.tensor(case.scores)
      t.equal(#detect.nms(b, s, core.tensor(case.labels, { dtype = "int32" }), { iou = case.iou }), #case.per_class)
    end
  end
end

t.test("figures are pycocotools', suppression is torchvision's", function()
  compare(core.json_decode(core.read_file "tests/golden/detect.json"))
end)

t.test("figures of other cases", function()
  if arg and arg[1] then compare(core.json_decode(core.read_file(arg[1]))) end
end)

-- Two classes: 0 found once and taken for 1 once, 1 missed once; a false alarm, and a box in a crowd.
local function small()
  local m = detect.meter(2)
  m:add { truth = { 0, 0, 10, 10, 20, 20, 30, 30, 50, 50, 60, 60 }, truth_labels = { 0, 0, 1 },
    boxes = { 0, 0, 10, 10, 20, 20, 30, 31, 80, 80, 90, 90 }, labels = { 0, 1, 1 }, scores = { 0.9, 0.8, 0.3 } }
  m:add { truth = { { 0, 0, 100, 100 } }, truth_labels = { 1 }, crowd = { true }, boxes = { { 5, 5, 10, 10 } },
    labels = { 1 }, scores = { 0.7 } }
  m:add {}
  return m
end

local function rows(list)
  local out = {}
  for i, row in ipairs(list) do out[i] = table.concat(row, " ") end
  return table.concat(out, " / ")
end

t.test("confusion, pairs and the best confidence", function()
  local m = small()
  t.equal(m:pictures(), 3)
  t.equal(rows(m:confusion { confidence = 0.25 }), "1 1 0 / 0 0 1 / 0 1 0")
  t.equal(rows(m:confusion { confidence = { 0.25, 0.85 } }), "1 0 1 / 0 0 1 / 0 0 0")
  local of_found, of_truth = m:pairs(1, { confidence = 0.5 })
  t.equal(table.concat(of_found, " ", 1, 2), "1 2")
  t.equal(of_found[3], false)
  t.equal(table.concat(of_truth, " "), "1 2 0")
  of_found, of_truth = m:pairs(2, { confidence = 0.5 })
  t.equal(of_found[1], -1)
  t.equal(of_truth[1], -1)
  local best = m:best()
  t.equal(best.classes[1].confidence, 0.9)
  t.equal(best.classes[1].precision, 1.0)
  t.equal(best.classes[1].recall, 0.5)
  near(best.classes[1].f1, 2 / 3, "f1")
  t.equal(best.classes[2].confidence, nil)
  t.equal(best.classes[2].f1, 0.0)
  t.equal(best.confidence, 0.9)
  near(best.f1, 0.5, "f1")
end)

t.test("the diagonal of the confusion is the curve's hits", function()
  for _, case in ipairs(core.json_decode(core.read_file "tests/golden/detect.json").average) do
    local m = meter_of(case)
    local confusion = m:confusion { confidence = 0.5 }
    for k = 1, case.number do
      local c, hits = m:curve(k - 1), 0
      for i, score in ipairs(c.scores) do
        if score >= 0.5 and c.truths > 0 then hits = math.floor(c.recall[i] * c.truths + 0.5) end
      end
      t.equal(confusion[k][k], hits, case.kind)
    end
  end
end)

t.test("a meter goes on after its figures were asked", function()
  local m = small()
  local before = m:figures().ap
  m:add { truth = { 0, 0, 10, 10 }, truth_labels = { 1 }, boxes = { 0, 0, 10, 10 }, labels = { 1 }, scores = { 1 } }
  assert(m:figures().ap > before)
  local none = detect.meter(3)
  assert(none:figures().ap ~= none:figures().ap)
  t.equal(#none:curve().scores, 0)
  t.equal(rows(none:confusion { confidence = 0 }), "0 0 0 0 / 0 0 0 0 / 0 0 0 0 / 0 0 0 0")
end)

t.test("every allocation may fail, and the figures come all the same", function()
  local want, failures = small():figures().ap, 0
  local function again(f)
    for n = 1, 200 do
      core.inject_failure(n)
      local ok, e = pcall(f)
      if core.inject_failure(0) < n and ok then return e end
      assert(not ok and tostring(e):find("memory", 1, true), tostring(e))
      failures = failures + 1
    end
    error "it never ends"
  end
  local m = detect.meter(2)
  local picture = { truth = { 0, 0, 10, 10, 20, 20, 30, 30, 50, 50, 60, 60 }, truth_labels = { 0, 0, 1 },
    boxes = { 0, 0, 10, 10, 20, 20, 30, 31, 80, 80, 90, 90 }, labels = { 0, 1, 1 }, scores = { 0.9, 0.8, 0.3 } }
  again(function() m:add(picture) end)
  again(function() m:add { truth = { { 0, 0, 100, 100 } }, truth_labels = { 1 }, crowd = { true },
    boxes = { { 5, 5, 10, 10 } }, labels = { 1 }, scores = { 0.7 } } end)
  t.equal(m:pictures(), 2)
  again(function() m:confusion { confidence = 0.25 } end)
  again(function() m:pairs(1, { confidence = 0.25 }) end)
  t.equal(again(function() return m:figures() end).ap, want)
  again(function() m:best() end)
  t.equal(#again(function() return detect.nms(picture.boxes, picture.scores, nil) end), 3)
  assert(failures > 15, failures)
end)

t.test("what is wrong is said", function()
  local m = detect.meter(2)
  t.fails("the label of box 1 is 2, and must be a whole number from 0 to 1", m.add, m,
    { boxes = { 0, 0, 1, 1 }, labels = { 2 }, scores = { 1 } })
  t.fails("boxes 2 is 3, 0, 1, 1, and must be left, top, right, bottom", m.add, m,
    { boxes = { 0, 0, 1, 1, 3, 0, 1, 1 }, labels = { 0, 0 }, scores = { 1, 1 } })
  t.fails("score 1 is NaN", m.add, m, { boxes = { 0, 0, 1, 1 }, labels = { 0 }, scores = { 0 / 0 } })
  t.fails("truth 1 has a side at inf", m.add, m, { truth = { 0, 0, math.huge, 1 }, truth_labels = { 0 } })
  t.fails("1 scores for 2 boxes", m.add, m, { boxes = { 0, 0, 1, 1, 0, 0, 1, 1 }, labels = { 0, 0 }, scores = { 1 } })
  t.fails("boxes have 4 numbers each, and there are 3", m.add, m, { boxes = { 0, 0, 1 } })
  t.fails("'box'", m.add, m, { box = {} })
  t.equal(m:pictures(), 0)
  t.fails("confidence must be a number", m.confusion, m, {})
  t.fails("picture 1 is not among the 0", m.pairs, m, 1, { confidence = 0 })
  t.fails("iou must be from 0 to 1", detect.nms, {}, {}, nil, { iou = 2 })
  t.fails("boxes are (2), and must be (N, 4)", detect.nms, core.zeros(2), core.zeros(2))
  t.fails("classes must be from 1", detect.meter, 0)
end)

t.finish()
