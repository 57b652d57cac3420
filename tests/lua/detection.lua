-- detection.lua - runs that look for one of two classes or for findings: the threshold is chosen on the validation by
-- the kept model, stands in the model file, and decides in predict; intervals are by patients; the report has curves,
-- what was missed, and figures for parts of the people. Run by `tlua tests/lua/detection.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local binary = require "tlua.report.findings.binary"
local nn, data, task = tlua.nn, tlua.data, tlua.task

local folder = t.folder()

-- 240 pictures of 60 patients, 4 each; the sick are brighter by about as much as pictures differ, and more often old.
local state = 7
local function uniform()
  state = (state * 1103515245 + 12345) % 2147483648
  return state / 2147483648
end
local lines, truth = { "file,finding,opacity,fluid,patient,part,sex,age,scanner" }, {}
for i = 1, 240 do
  local patient, n = (i - 1) // 4 + 1, 0
  for _ = 1, 4 do n = n + uniform() end
  local sick = patient % 3 == 0
  local value = math.floor(math.max(0, math.min(255, 60 + 30 * n + (sick and 35 or 0))))
  local name = ("%03d_%d.png"):format(patient, i)
  core.image_write(folder .. "/" .. name, tlua.tensor({ value, value, value }, { dtype = "uint8" }):reshape(1, 1, 3)
    :expand(16, 16, 3):clone())
  truth[name] = sick
  lines[i + 1] = ("%s,%s,%d,%d,p%d,%s,%s,%d,%s"):format(name, sick and "sick" or "healthy", sick and 1 or 0,
    value > 120 and 1 or 0, patient, patient <= 20 and "train" or patient <= 36 and "validation" or "test",
    patient % 2 == 0 and "F" or "M", 20 + patient, patient % 5 == 0 and "" or "scanner A")
end
core.write_file(folder .. "/table.csv", table.concat(lines, "\n") .. "\n")

local function recipe(options, fields)
  local o = { path = folder .. "/table.csv", image = "file", target = "finding", size = 16, batch = 16,
    group = "patient", part = "part", attributes = { "sex", "age", "scanner" } }
  for key, value in pairs(options) do o[key] = value or nil end
  local net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
  local f = { model = net, data = data.csv(o), optim = tlua.optim.Adam { lr = 0.1 }, schedule = { epochs = 6 },
    out = folder .. "/run" }
  for key, value in pairs(fields or {}) do f[key] = value end
  return tlua.recipe(f)
end

local ran, says = t.ran, t.says

local kept

t.test("a threshold is chosen on the validation, and said", function()
  local r = recipe({}, { task = task.classify { positive = "sick" } })
  t.equal(r:selects(), "the threshold of task.classify")
  local results, log, report = ran(r)
  local s = results.session
  t.equal(s.data.validation:count(), 64)
  kept = s.task.chosen
  assert(log:find(("threshold sick from %.4g on: the largest sum of sensitivity and specificity (Youden), on 64 "
    .. "pictures of the validation; there sensitivity is"):format(kept.threshold), 1, true), log)
  -- The same by hand: the kept network on the validation.
  local scores, positive = {}, {}
  local predicted = core.json_decode(says("predict", r.out, "--json", "--top 2", folder .. "/*.png"))
  local d = report.metrics.detection
  for _, each in ipairs(predicted) do
    local name = each.file:match "[^/]+$"
    local patient = tonumber(name:match "^(%d+)")
    for _, p in ipairs(each.predictions) do
      if p.label == "sick" then
        t.equal(p.threshold, kept.threshold)
        t.equal(each.predictions[1].label == "sick", p.score >= kept.threshold)
        if patient > 20 and patient <= 36 then
          scores[#scores + 1], positive[#positive + 1] = p.score, truth[name]
        end
      end
    end
  end
  local want = binary.choose(scores, positive, {})
  t.equal(#scores, 64)
  assert(math.abs(want.threshold - kept.threshold) < 1e-6, want.threshold .. " " .. kept.threshold)
  t.equal(d.threshold, kept.threshold)
  assert(d.threshold ~= 0.5 and d.threshold_by:find "on 64 pictures of the validation$")
  t.equal(d.name, "sick")
  t.equal(d.tp + d.fp + d.tn + d.fn, 96)
  assert(log:find "96 pictures of 24 groups right", log)
end)

t.test("intervals are by patients; parts of the people; what was missed first", function()
  local report = core.json_decode(core.read_file(folder .. "/run/report.json"))
  local m = report.metrics
  local d = m.detection
  t.equal(d.groups, 24)
  t.equal(d.repeats, true)
  t.equal(d.interval_by, "groups drawn anew")
  t.equal(m.groups, 24)
  t.equal(d.few, true)
  for _, row in ipairs(m.per_class) do
    t.equal(#row.recall_interval, 2)
    assert(row.recall_interval[1] <= row.recall and row.recall <= row.recall_interval[2])
  end
  t.equal(#report.missed, math.min(24, d.fn))
  t.equal(#report.alarms, math.min(24, d.fp))
  assert(#report.missed + #report.alarms > 0 and #report.wrong == 0)
  for i = 2, #report.missed do assert(report.missed[i].sure <= report.missed[i - 1].sure) end
  for _, each in ipairs(report.missed) do
    assert(truth[each.name] == true and each.guess == 0 and each.image:find "^data:image/png", each.name)
  end
  for _, each in ipairs(report.alarms) do assert(truth[each.name] == false and each.guess == 1) end
  local n = {}
  for _, row in ipairs(d.parts) do n[row.attribute] = (n[row.attribute] or 0) + row.count end
  t.equal(n.sex, 96)
  t.equal(n.age, 96)
  t.equal(n.scanner, 96)
  -- 24 patients of whom 8 are sick: of each value fewer than 20 of both kinds.
  for _, row in ipairs(d.parts) do t.equal(row.few, true) end
  local page = core.read_file(folder .. "/run/report.html")
  for _, words in ipairs { "Missed", "False alarms", "ROC curve", "precision and recall", "reliability", "By age",
    "By sex", "not known", "40 to 64", "drawing the 24 groups anew", "Detection of sick",
    ("Missed: %d of %d"):format(d.fn, d.tp + d.fn), "fewer than 20 groups of one kind" } do
    assert(page:find(words, 1, true), words)
  end
end)

t.test("eval says the same, as text and as JSON", function()
  local m = core.json_decode(core.read_file(folder .. "/run/report.json")).metrics
  local out = core.json_decode(says("eval", folder .. "/run", "--json"))
  t.equal(out.positive, "sick")
  t.equal(out.groups, 24)
  for _, key in ipairs { "auroc", "average_precision", "brier", "threshold", "calibration_error", "tp", "fp" } do
    assert(math.abs(out.detection[key] - m.detection[key]) < 1e-9, key)
  end
  for k = 1, 2 do
    t.equal(out.auroc_interval[k], m.detection.auroc_interval[k])
    assert(math.abs(out.interval[k] / 100 - m.accuracy_interval[k]) < 1e-12)
  end
  t.equal(#out.detection.parts, #m.detection.parts)
  local text = says("eval", folder .. "/run")
  assert(text:find(("threshold %.4g (the largest sum"):format(kept.threshold), 1, true), text)
  for _, words in ipairs { "AUROC", "on 64 pictures of the validation", "age 40 to 64: 32, of these 8 sick, AUROC ",
    "sex F: ", "; few",
    "drawing the 24 groups anew" } do
    assert(text:find(words, 1, true), words .. "\n" .. text)
  end
end)

t.test("runs side by side have the area and what the threshold comes to", function()
  says("report", folder .. "/run", folder .. "/run", "--to", folder .. "/both.html")
  local page = core.read_file(folder .. "/both.html")
  for _, words in ipairs { "area under the ROC curve (95 %)", "sensitivity at the threshold (95 %)" } do
    assert(page:find(words, 1, true), words)
  end
end)

t.test("a wanted specificity, and a threshold of the recipe's own", function()
  local r = recipe({}, { task = task.classify { positive = "sick", specificity = 0.9 } })
  local results, log = ran(r)
  assert(results.session.task.chosen.specificity >= 0.9)
  assert(log:find("a specificity of 90 % or more, on 64 pictures", 1, true), log)
  r = recipe({}, { task = task.classify { positive = "healthy", threshold = 0.3 } })
  t.equal(r:selects(), nil)
  local _, _, report = ran(r)
  t.equal(report.metrics.detection.threshold, 0.3)
  t.equal(report.metrics.detection.name, "healthy")
  t.equal(report.metrics.detection.threshold_by, "the recipe's")
end)

t.test("where nothing holds a validation, a tenth of the patients is held out for the threshold", function()
  local results = ran(recipe({ part = false }, { task = task.classify { positive = "sick", sensitivity = 0.9 } }))
  local d = results.session.data
  assert(d.validation:count() > 0 and #d.keys.validation == d.validation:count())
  local seen = {}
  for _, part in ipairs { "train", "validation", "test" } do
    for _, key in ipairs(d.keys[part]) do
      assert(seen[key] == nil or seen[key] == part)
      seen[key] = part
    end
    t.equal(#d.attributes[part].sex, d[part]:count())
  end
end)

t.test("several findings have thresholds of their own", function()
  local r = recipe({ target = { "opacity", "fluid" } }, { task = task.multilabel { youden = true } })
  local results, log, report = ran(r)
  local chosen = results.session.task.chosen
  assert(log:find("threshold the largest sum of sensitivity and specificity (Youden) of 2 targets: opacity from ", 1,
    true), log)
  for k = 1, 2 do
    local row = report.metrics.targets[k]
    t.equal(row.threshold, chosen[k].threshold)
    t.equal(row.groups, 24)
    t.equal(#row.parts, 6)
    t.equal(#row.auroc_interval, row.auroc < 1 and 2 or 0) -- where all pairs are right nothing follows
  end
  assert(chosen[1].threshold ~= chosen[2].threshold)
  local out = core.json_decode(says("predict", r.out, "--json", ("%s/001_1.png"):format(folder)))
  for k, each in ipairs(out[1].predictions) do
    t.equal(each.threshold, chosen[k].threshold)
    t.equal(each.there, each.score >= each.threshold)
  end
  local page = core.read_file(r.out .. "/report.html")
  assert(page:find("opacity: ROC curve", 1, true) and page:find("fluid: reliability", 1, true))
end)

t.test("errors of numbers have intervals by patients too", function()
  local net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
  local _, _, report = ran(recipe({ target = "age" }, { task = task.regress {}, model = net }))
  local row = report.metrics.targets[1]
  t.equal(row.groups, 24)
  assert(row.interval[1] < row.mae and row.mae < row.interval[2])
  -- Four pictures of a patient have one age and nearly one answer: wider than if each stood alone.
  assert(row.interval[2] - row.interval[1] > 2.5 * row.half, row.half)
  local page = core.read_file(folder .. "/run/report.html")
  assert(page:find(("(%.4g to %.4g)"):format(row.interval[1], row.interval[2]), 1, true))
end)

t.test("class folders know their patients too", function()
  local root = folder .. "/classes"
  for name, sick in pairs(truth) do
    local to = ("%s/%s"):format(root, sick and "sick" or "healthy")
    core.mkdirs(to)
    core.write_file(to .. "/" .. name, core.read_file(folder .. "/" .. name))
  end
  local built = data.open(data.folder { root = root, group = "(%d+)_%d+", size = 16, split = 0.3 }, {}, 0)
  t.equal(#built.keys.test, built.test:count())
  for i = 1, built.test:count() do t.equal(built.keys.test[i], built.test:name(i):match "(%d+)_%d+%.png$") end
end)

t.test("three classes have an area each, and accuracy by parts of the people", function()
  local rows = { "file,class,patient,sex" }
  for i = 1, 120 do
    rows[i + 1] = ("%03d_%d.png,%s,p%d,%s"):format((i - 1) // 4 + 1, i, ("abc"):sub(i % 3 + 1, i % 3 + 1), (i - 1) // 4,
      i % 2 == 0 and "F" or "M")
  end
  core.write_file(folder .. "/three.csv", table.concat(rows, "\n") .. "\n")
  local net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
  local r = recipe({ path = folder .. "/three.csv", target = "class", part = false, split = 0.4, attributes = "sex" },
    { model = net })
  local _, _, report = ran(r)
  local m = report.metrics
  t.equal(m.detection, nil)
  t.equal(#m.parts, 2)
  t.equal(m.parts[1].count + m.parts[2].count, m.count)
  assert(#m.auroc_interval == 2 and m.auroc_interval[1] < m.auroc and m.auroc < m.auroc_interval[2])
  for _, row in ipairs(m.per_class) do
    assert(row.auroc_interval[1] <= row.auroc and row.auroc <= row.auroc_interval[2])
  end
  assert(core.read_file(r.out .. "/report.html"):find("Parts of the people", 1, true))
  t.fails("positive is for two classes, and the data have 3 (a, b, c)", function()
    ran(recipe({ path = folder .. "/three.csv", target = "class", part = false, attributes = "sex" },
      { model = net, task = task.classify { positive = "a" } }))
  end)
end)

t.test("what is refused", function()
  t.fails("threshold, specificity and sensitivity say the same in three ways", task.classify,
    { positive = "a", threshold = 0.5, specificity = 0.9 })
  t.fails("want positive, the class they are of", task.classify, { specificity = 0.9 })
  t.fails("specificity must be above 0 and at most 1, not 1.5", task.classify, { positive = "a", specificity = 1.5 })
  t.fails("three ways to choose thresholds", task.multilabel, { youden = true, specificity = 0.9 })
  t.fails("unknown class 'sic'; did you mean 'sick'?", function()
    ran(recipe({}, { task = task.classify { positive = "sic" } }))
  end)
  t.fails("has no column 'gender' (attributes)", function() ran(recipe { attributes = "gender" }) end)
end)

t.test("eval lists what was taken for something else, the surest first", function()
  local run, path = folder .. "/run", folder .. "/wrong.csv"
  ran(recipe({}, { task = task.classify { positive = "sick" } }))
  local d = core.json_decode(says("eval", run, "--json", "--wrong", path)).detection
  local rows, before = 0, 1
  for file, label, said, score in core.read_file(path):gmatch "([^\n,]+%.png),(%a+),(%a+),([%d.]+)," do
    rows = rows + 1
    assert(label ~= said and (label == "sick") == truth[file:match "[^/]+$"], file)
    assert(tonumber(score) <= before)
    before = tonumber(score)
  end
  t.equal(rows, d.fn + d.fp)
end)

t.finish()
