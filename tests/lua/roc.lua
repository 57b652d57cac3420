-- roc.lua - areas, curves and intervals of scores against scikit-learn's and DeLong's definition
-- (tests/golden/make_roc.py). Run by `tlua tests/lua/roc.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local roc = core.roc
local cases = core.json_decode(core.read_file "tests/golden/roc.json")

local function near(got, want, what, most)
  if type(want) ~= "number" then assert(got ~= got, what .. " is a number") return end
  assert(math.abs(got - want) <= (most or 1e-12), ("%s is %.15g, not %.15g"):format(what, got, want))
end

for _, case in ipairs(cases) do
  t.test("scikit-learn's and DeLong's values: " .. case.name, function()
    local m = roc.measure(case.scores, case.positive)
    for _, key in ipairs { "auroc", "average_precision", "error" } do near(m[key], case[key], key) end
    t.equal(m.positive, case.tp + case.fn)
    t.equal(m.negative, case.tn + case.fp)
    local thresholds, tp, fp = roc.curve(case.scores, case.positive)
    t.equal(#thresholds, #case.curve.thresholds)
    for i, v in ipairs(thresholds) do
      t.equal(v, case.curve.thresholds[i])
      near(tp[i] / m.positive, case.curve.tpr[i], "tpr")
      near(fp[i] / m.negative, case.curve.fpr[i], "fpr")
    end
  end)

  t.test("the same draws are the same figures: " .. case.name, function()
    local o = { groups = case.groups, draws = #case.draws.auroc, seed = 5, specificity = 0.8, sensitivity = 0.9,
      values = true }
    local got = roc.bootstrap(case.scores, case.positive, o)
    local counted = 0
    for i = 1, o.draws do
      for _, key in ipairs { "auroc", "average_precision", "sensitivity", "specificity" } do
        near(got[key][i], case.draws[key][i], ("%s of draw %d"):format(key, i))
      end
      counted = counted + (got.auroc[i] == got.auroc[i] and 1 or 0)
    end
    t.equal(got.draws, counted)
    o.values = nil
    got = roc.bootstrap(case.scores, case.positive, o)
    for k = 1, 2 do near(got.auroc[k], case.auroc_middle[k], "the middle of the areas") end
    local hits = {}
    for i, v in ipairs(case.positive) do hits[i] = v == 1 and case.scores[i] >= case.threshold and 1 or 0 end
    local low, high = roc.shares(hits, case.positive, { groups = case.groups, draws = o.draws, seed = 5 })
    near(low, case.share_middle[1], "low")
    near(high, case.share_middle[2], "high")
  end)
end

t.test("DeLong's interval and the bootstrap's agree on many, and patients make it wider", function()
  local scores, positive, groups = {}, {}, {}
  local state = 12345
  local function uniform()
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648
  end
  for i = 1, 1000 do
    local patient = (i - 1) // 5 -- five pictures that are nearly the same
    if i % 5 == 1 then
      positive[i] = uniform() < 0.5
      scores[i] = uniform() + (positive[i] and 0.3 or 0)
    else
      positive[i], scores[i] = positive[i - 1], scores[i - 1] + 0.001 * uniform()
    end
    groups[i] = patient + 1
  end
  local m = roc.measure(scores, positive)
  local function width(o)
    local r = roc.bootstrap(scores, positive, o)
    return r.auroc[2] - r.auroc[1]
  end
  local alone, by_patient, delong = width { draws = 4000 }, width { draws = 4000, groups = groups }, 2 * 1.96 * m.error
  assert(math.abs(alone / delong - 1) < 0.05, ("%g, %g"):format(alone, delong))
  assert(math.abs(by_patient / alone / math.sqrt(5) - 1) < 0.15, ("%g, %g"):format(by_patient, alone))
end)

t.test("columns, classes, and what is not defined", function()
  local rows, labels = { { 0.1, 0.9 }, { 0.8, 0.2 }, { 0.4, 0.6 } }, { 7, 3, 7 }
  local m = roc.measure(rows, labels, { column = 2, class = 7 })
  t.equal(m.auroc, 1.0)
  t.equal(m.positive, 2)
  assert(m.error ~= m.error) -- one negative has no variance
  m = roc.measure({ 0.1, 0.2 }, { true, true })
  assert(m.auroc ~= m.auroc and m.average_precision == 1)
  m = roc.measure({ 0 / 0, 0.2 }, { true, false })
  assert(m.auroc ~= m.auroc and m.average_precision ~= m.average_precision)
  m = roc.measure({}, {})
  assert(m.auroc ~= m.auroc)
end)

t.test("errors", function()
  t.fails("roc.measure: there are 2 scores and 1 that say what is so", roc.measure, { 1, 2 }, { true })
  t.fails("roc.measure: score 2 is no number", roc.measure, { 1, "x" }, { true, false })
  t.fails("roc.measure: score 1 is no number", roc.measure, { { 1 } }, { true }, { column = 2 })
  t.fails("roc.bootstrap: group 2 is 3, and must be a whole number from 1 to 2", roc.bootstrap, { 1, 2 },
    { true, false }, { groups = { 1, 3 } })
  t.fails("roc.bootstrap: there are 1 groups for 2", roc.bootstrap, { 1, 2 }, { true, false }, { groups = { 1 } })
  t.fails("roc.shares: the lists have 1 and 2 numbers", roc.shares, { 1 }, { 1, 2 })
  t.fails("roc.bootstrap: share must be between 0 and 1, not 1", roc.bootstrap, { 1 }, { true }, { share = 1 })
  t.fails("roc.curve: a score is NaN", roc.curve, { 0 / 0 }, { true })
end)

t.finish()
