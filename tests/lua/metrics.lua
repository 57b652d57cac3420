-- metrics.lua - against scikit-learn's values, to 1e-6. Run by `tlua tests/lua/metrics.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local metrics = require "tlua.metrics"
local cases = core.json_decode(core.read_file "tests/golden/metrics.json")

local function near(got, want, what)
  assert(got == got and math.abs(got - want) < 1e-6, ("%s is %.9f, not %.9f"):format(what, got, want))
end

for k, case in ipairs(cases) do
  t.test(("scikit-learn's values, case %d"):format(k), function()
    local classes, names = #case.probabilities[1], {}
    for i = 1, classes do names[i] = "class " .. i end
    local s = metrics.summary(case.labels, case.probabilities, names)
    for _, key in ipairs { "accuracy", "balanced_accuracy", "kappa", "auroc", "average_precision" } do near(s[key], case[key], key) end
    if case.top_2 then near(metrics.top_k(case.labels, case.probabilities, 2), case.top_2, "top 2") end
    for i = 1, classes do
      for _, key in ipairs { "precision", "recall", "f1", "support" } do near(s.per_class[i][key], case[key][i], key .. " of class " .. i) end
      for j = 1, classes do t.equal(s.confusion[i][j], case.confusion[i][j]) end
    end
    for _, average in ipairs { "macro", "weighted" } do
      for key, value in pairs(case.averages[average]) do near(s.averages[average][key], value, average .. " " .. key) end
    end
    local low, high = s.accuracy_interval[1], s.accuracy_interval[2]
    assert(low < s.accuracy and s.accuracy < high and high - low < 0.25, low .. " to " .. high)
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
  local low, high = metrics.bootstrap(400, mean, { draws = 2000 })
  local half = 1.96 * math.sqrt(0.25 * 0.75 / 400)
  assert(math.abs(low - (0.25 - half)) < 0.008 and math.abs(high - (0.25 + half)) < 0.008, low .. " " .. high)
  local a, b = metrics.bootstrap(400, mean, { draws = 2000 })
  assert(a == low and b == high)
end)

t.finish()
