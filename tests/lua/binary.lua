-- binary.lua - figures of findings: thresholds, shares, calibration and parts of the people, against scikit-learn's
-- values (tests/golden/make_roc.py) and by hand. Run by `tlua tests/lua/binary.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local binary = require "tlua.report.findings.binary"
local curves = require "tlua.report.findings.curves"
local intervals = require "tlua.report.intervals"
local cases = core.json_decode(core.read_file "tests/golden/roc.json")

local function near(got, want, what, most)
  assert(math.abs(got - want) <= (most or 1e-12), ("%s is %.15g, not %.15g"):format(what, got, want))
end

local function booleans(list)
  local out = {}
  for i, v in ipairs(list) do out[i] = v == 1 end
  return out
end

local function counted(n)
  local out = {}
  for i = 1, n do out[i] = i end
  return out
end

for _, case in ipairs(cases) do
  t.test("figures are scikit-learn's: " .. case.name, function()
    local positive, indices = booleans(case.positive), counted(#case.scores)
    local f = binary.figures { name = "x", scores = case.scores, positive = positive, indices = indices,
      groups = binary.groups(case.groups, indices), threshold = case.threshold, wanted = { specificity = 0.8 } }
    for _, key in ipairs { "tp", "fp", "tn", "fn" } do t.equal(f[key], case[key], key) end
    near(f.auroc, case.auroc, "auroc")
    near(f.average_precision, case.average_precision, "average precision")
    near(f.brier, case.brier, "brier")
    near(f.calibration_error, case.calibration_error, "calibration error", 1e-9)
    near(f.sensitivity_at.value, case.operating[1], "sensitivity at a specificity")
    near(f.specificity_at.value, case.operating[2], "specificity at a sensitivity")
    near(f.sensitivity[1], case.tp / (case.tp + case.fn), "sensitivity")
    near(f.npv[1], case.tn / (case.tn + case.fn), "npv")
    near(f.delong[2] - case.auroc, math.min(1 - case.auroc, 1.959963984540054 * case.error), "DeLong's upper bound")
    -- scikit-learn's bins are closed below, ours above, so only scores on an edge may differ.
    if case.name == "distinct" then
      t.equal(#f.calibration, #case.calibration.share)
      for i, bin in ipairs(f.calibration) do
        near(bin.share, case.calibration.share[i], "share")
        near(bin.mean, case.calibration.mean[i], "mean")
      end
    end
    if case.name == "patients" then
      assert(f.repeats and f.groups == 30 and f.interval_by == "groups drawn anew")
      t.equal(f.auroc_interval, f.bootstrap)
      local low, high = intervals.wilson(f.tp, f.tp + f.fn)
      assert(f.sensitivity[2] ~= low or f.sensitivity[3] ~= high)
    else
      t.equal(f.interval_by, "DeLong")
      t.equal(f.sensitivity[2], (intervals.wilson(f.tp, f.tp + f.fn)))
    end
  end)

  t.test("thresholds: " .. case.name, function()
    local positive = booleans(case.positive)
    local function at(threshold)
      local tp, fp, p = 0, 0, 0
      for i, v in ipairs(case.scores) do
        p = p + (positive[i] and 1 or 0)
        if v >= threshold then
          if positive[i] then tp = tp + 1 else fp = fp + 1 end
        end
      end
      return tp / p, 1 - fp / (#positive - p)
    end
    local chosen = binary.choose(case.scores, positive, {})
    local sens, spec = at(chosen.threshold)
    local want_sens, want_spec = at(case.youden)
    t.equal(sens, want_sens)
    t.equal(spec, want_spec)
    near(chosen.sensitivity, sens, "sensitivity")
    near(chosen.specificity, spec, "specificity")
    chosen = binary.choose(case.scores, positive, { specificity = 0.8 })
    sens, spec = at(chosen.threshold)
    assert(spec >= 0.8)
    near(sens, case.operating[1], "sensitivity")
    chosen = binary.choose(case.scores, positive, { sensitivity = 0.9 })
    sens, spec = at(chosen.threshold)
    assert(sens >= 0.9)
    near(spec, case.operating[2], "specificity")
  end)
end

t.test("a specificity that no score has takes none", function()
  local chosen = binary.choose({ 0.9, 0.8 }, { false, true }, { specificity = 1 })
  assert(chosen.threshold > 0.9 and chosen.sensitivity == 0 and chosen.specificity == 1)
  t.equal(binary.choose({ 0.9, 0.8 }, { true, true }, {}), nil)
  t.equal(binary.choose({ 0 / 0, 0.8 }, { true, false }, {}), nil)
end)

t.test("shares of patients who are all right have an interval too", function()
  local right, keys = {}, {}
  for i = 1, 40 do right[i], keys[i] = true, ("patient %d"):format((i - 1) // 4) end
  local v = binary.share(right, binary.groups(keys, counted(40)))
  t.equal(v[1], 1.0)
  near(v[2], (intervals.wilson(10, 10)), "low")
  t.equal(v[3], 1.0)
end)

t.test("parts of the people", function()
  local scores, positive, sex, age, site = {}, {}, {}, {}, {}
  for i = 1, 200 do
    positive[i] = i % 2 == 0
    scores[i] = (i * 37 % 101) / 101
    sex[i] = i % 3 == 0 and "F" or i % 7 ~= 0 and "M" or false
    age[i], site[i] = i % 90, ("site %d"):format(i % 15)
  end
  local f = binary.figures { name = "x", scores = scores, positive = positive, indices = counted(200), threshold = 0.5,
    attributes = { sex = sex, age = age, site = site } }
  local n, by = { age = 0, sex = 0, site = 0 }, {}
  for _, row in ipairs(f.parts) do
    n[row.attribute] = n[row.attribute] + row.count
    by[row.value] = row
    t.equal(row.tp + row.fn, row.positive)
    t.equal(row.few, row.positive < 20 or row.count - row.positive < 20)
  end
  t.equal(n.age, 200)
  t.equal(n.sex, 200)
  t.equal(by["below 18"].count, 17 + 18 + 18)
  t.equal(by["18 to 39"].count, 22 * 2 + 3)
  t.equal(by["not known"].attribute, "sex")
  t.equal(by["F"].count, 66)
  t.equal(by["site 5"].count, 14)
  t.equal(by["4 others"].count, 13 * 4)
  t.equal(#f.parts, 3 + 4 + 12)
end)

t.test("bands of years are for ages, not for each name that begins so", function()
  local list = {}
  for i = 1, 60 do list[i] = i end
  local function values(name)
    local parts = binary.parts({ [name] = list }, counted(60))
    return #parts == 1 and #parts[1][2], parts[1][2][1][1]
  end
  for name, want in pairs { age = "18 to 39", Age_years = "18 to 39", agent_dose = "1 up to 16", agency = "1 up to 16" } do
    local n, first = values(name)
    t.equal(first, want, name)
    t.equal(n, want == "18 to 39" and 3 or 4, name)
  end
end)

-- What a page says of figures that came through JSON.
local function page_of(f)
  f = core.json_decode(core.json_encode(f))
  return curves.tiles(f) .. curves.charts(f) .. curves.section(f, "other")
end

t.test("what is not defined is a dash, and neither stops a report", function()
  local sick = binary.figures { name = "sick", scores = { 0.2, 0.7, 0.9 }, positive = { true, true, true },
    indices = counted(3), threshold = 0.5 }
  assert(sick.auroc ~= sick.auroc and #sick.specificity == 0 and sick.few and sick.tp == 2 and sick.fn == 1)
  local text = page_of(sick)
  assert(text:find("<b>–</b>", 1, true) and text:find("2 of 3", 1, true) and not text:find "nan", text)
  local odd = binary.figures { name = "sick", scores = { 0.2, 0 / 0, 0.9 }, positive = { true, false, true },
    indices = counted(3), threshold = 0.5 }
  assert(odd.auroc ~= odd.auroc and odd.brier ~= odd.brier and #odd.calibration == 0)
  assert(not page_of(odd):find "nan")
  local none = binary.figures { name = "sick", scores = {}, positive = {}, indices = {}, threshold = 0.5 }
  assert(none.count == 0 and not page_of(none):find "nan")
end)

t.test("what a model file holds of a threshold is looked at", function()
  t.equal(binary.checked({ threshold = 0.25, by = "x", sensitivity = 0.5 }).threshold, 0.25)
  for _, bad in ipairs { 1, {}, { threshold = "a", by = "x" }, { threshold = 0 / 0, by = "x" }, { threshold = 0.5 } } do
    t.fails("its threshold is damaged", binary.checked, bad)
  end
end)

t.test("missed ones come first, the least sure before others", function()
  local missed, alarms = binary.wrong({ 0.4, 0.1, 0.9, 0.6, 0.8 }, { true, true, true, false, false }, 0.5)
  t.equal(table.concat(missed, " "), "2 1")
  t.equal(table.concat(alarms, " "), "5 4")
end)

t.finish()
