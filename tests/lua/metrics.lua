-- metrics.lua - metrics against scikit-learn's values, to 1e-6, and intervals against scipy's, to 1e-9. Run by `tlua tests/lua/metrics.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local metrics = require "tlua.report.metrics"
local intervals = require "tlua.report.intervals"
local cases = core.json_decode(core.read_file "tests/golden/metrics.json")

local function near(got, want, what)
  assert(got == got and math.abs(got - want) < 1e-6, ("%s is %.9f, not %.9f"):format(what, got, want))
end

for k, case in ipairs(cases) do
  t.test(("scikit-learn's values, case %d"):format(k), function()
    local classes, names = #case.probabilities[1], {}
    for i = 1, classes do names[i] = "class " .. i end
    local s = metrics.summary(case.labels, case.probabilities, names)
    for _, key in ipairs { "accuracy", "balanced_accuracy", "kappa", "auroc", "average_precision" } do
      -- What is not defined, since a class has no picture, is NaN.
      if case[key] then near(s[key], case[key], key) else assert(s[key] ~= s[key], key .. " is " .. tostring(s[key])) end
    end
    if case.top_2 then near(metrics.top_k(case.labels, case.probabilities, 2), case.top_2, "top 2") end
    for i = 1, classes do
      for _, key in ipairs { "precision", "recall", "f1", "support" } do near(s.per_class[i][key], case[key][i], key .. " of class " .. i) end
      for j = 1, classes do t.equal(s.confusion[i][j], case.confusion[i][j]) end
    end
    for _, average in ipairs { "macro", "weighted" } do
      for key, value in pairs(case.averages[average]) do near(s.averages[average][key], value, average .. " " .. key) end
    end
    local low, high = intervals.wilson(s.right, s.count)
    assert(s.accuracy_interval[1] == low and s.accuracy_interval[2] == high and low < s.accuracy and s.accuracy < high, low .. " to " .. high)
    for i = 2, #s.confused do assert(s.confused[i - 1].count >= s.confused[i].count) end
  end)
end

t.test("calibration", function()
  local labels, rows = {}, {}
  for i = 1, 100 do
    labels[i] = i <= 80 and 0 or 1
    rows[i] = { 0.8, 0.2 }
  end
  local _, gap = metrics.calibration(labels, rows)
  near(gap, 0, "the error of calibrated scores")
  for i = 1, 100 do rows[i] = { 0.99, 0.01 } end
  _, gap = metrics.calibration(labels, rows)
  near(gap, 0.19, "the error of scores that are too sure")
end)

t.test("the interval of a mean is that of the formula, and the same each time", function()
  local values = {}
  for i = 1, 400 do values[i] = i % 4 == 0 and 1 or 0 end
  local function mean(indices)
    local sum = 0
    for _, i in ipairs(indices) do sum = sum + values[i] end
    return sum / #indices
  end
  local low, high = intervals.bootstrap(400, mean, { draws = 2000 })
  local half = 1.96 * math.sqrt(0.25 * 0.75 / 400)
  assert(math.abs(low - (0.25 - half)) < 0.008 and math.abs(high - (0.25 + half)) < 0.008, low .. " " .. high)
  local a, b = intervals.bootstrap(400, mean, { draws = 2000 })
  assert(a == low and b == high)
end)

t.test("intervals of shares are scipy's", function()
  local cases = core.json_decode(core.read_file "tests/golden/intervals.json")
  assert(#cases > 200)
  for _, case in ipairs(cases) do
    for _, kind in ipairs { "wilson", "clopper_pearson" } do
      local bounds = { intervals[kind](case.right, case.n, { share = case.share }) }
      for i = 1, 2 do
        local want = case[kind][i]
        assert(math.abs(bounds[i] - want) < 1e-9, ("%s of %d of %d, %g: %.12g, not %.12g"):format(kind, case.right, case.n, case.share, bounds[i], want))
      end
    end
  end
  t.fails("4 of 3 is no share", intervals.wilson, 4, 3)
  t.fails("share must be between 0 and 1", intervals.clopper_pearson, 1, 3, { share = 1 })
end)

t.test("no interval collapses: few pictures, all right, none at all", function()
  for _, n in ipairs { 1, 2, 30 } do
    for _, right in ipairs { 0, n } do
      for _, kind in ipairs { "wilson", "clopper_pearson" } do
        local low, high = intervals[kind](right, n)
        assert(low <= right / n and right / n <= high and high - low > 0.1, ("%s: %d of %d: %g to %g"):format(kind, right, n, low, high))
      end
      t.equal(intervals.bootstrap(n, function(indices) return right / n * #indices end), nil, "bootstrap of one value")
    end
  end
  t.equal(intervals.wilson(0, 0), nil)
  t.equal(intervals.clopper_pearson(0, 0), nil)
  t.equal(intervals.bootstrap(0, function() return 1 end), nil)
  t.equal(intervals.bootstrap(9, function(indices) return indices[1] < 5 and indices[2] or 0 / 0 end), nil, "bootstrap with a value in half of the draws")
  t.equal(intervals.text(intervals.wilson(30, 30)), "88.6 to 100.0")
  t.equal(intervals.text(nil), "-")
end)

t.test("scores that are NaN, and no picture at all", function()
  local nan = 0 / 0
  local s = metrics.summary({ 0, 1, 1 }, { { 0.9, 0.1 }, { nan, nan }, { 0.2, 0.8 } }, { "a", "b" })
  near(s.accuracy, 2 / 3, "accuracy")
  for _, key in ipairs { "auroc", "average_precision", "calibration_error" } do assert(s[key] ~= s[key], key .. " is " .. tostring(s[key])) end
  near(metrics.top_k({ 1, 1 }, { { nan, nan, 0 }, { nan, nan, nan } }, 1), 0, "top 1 of NaNs")
  near(metrics.top_k({ 1, 2 }, { { nan, nan, 0 }, { nan, nan, 1 } }, 2), 0.5, "top 2 of NaNs")
  s = metrics.summary({}, {}, { "a", "b" })
  t.equal(s.count, 0)
  t.equal(s.accuracy, nil)
end)

t.finish()
