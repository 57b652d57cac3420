-- text_figures.lua - figures of tasks on texts: entities beside seqeval's, answers beside the official scripts',
-- correlations beside scipy's (tests/golden/make_entities.py, make_answers.py, make_correlation.py). Run by
-- `tlua tests/lua/text_figures.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local entities = require "tlua.report.texts.entities"
local answers = require "tlua.report.texts.answers"
local correlation = require "tlua.report.correlation"

local function golden(name) return core.json_decode(core.read_file(("tests/golden/%s.json"):format(name))) end
local function near(got, want, what)
  assert(got == got and math.abs(got - want) < 1e-9, ("%s is %.12g, not %.12g"):format(what, got, want))
end

-- ---- entities ----

local function same_figures(case, want, exactly)
  local counts = {}
  for i, tags in ipairs(case["true"]) do entities.add(counts, tags, case.given[i], exactly) end
  local found = entities.figures(counts)
  for _, average in ipairs { "micro", "macro", "weighted" } do
    for key, value in pairs(want[average]) do near(found[average][key], value, average .. " " .. key) end
  end
  local n = 0
  for _, row in ipairs(found.types) do
    local w = assert(want.types[row.type], "the type " .. row.type)
    for key, value in pairs(w) do near(row[key], value, row.type .. " " .. key) end
    n = n + 1
  end
  for _ in pairs(want.types) do n = n - 1 end
  t.equal(n, 0, "types that are missing")
end

for k, case in ipairs(golden "entities") do
  t.test(("seqeval's figures, case %d"):format(k), function()
    same_figures(case, case.lenient)
    if case.strict then same_figures(case, case.strict, true) end
    for i, tags in ipairs(case.given) do
      local list = entities.of(tags)
      t.equal(#list, #case.entities[i], "entities of " .. table.concat(tags, " "))
      for j, e in ipairs(list) do
        t.equal(("%s %d %d"):format(e.type, e.from, e.to), ("%s %d %d"):format(table.unpack(case.entities[i][j])))
      end
    end
  end)
end

t.test("which names are tags", function()
  assert(entities.are_tags { "O", "B-PER", "I-PER" } and entities.are_tags { "B", "I" } and entities.are_tags { "S-A" })
  assert(not entities.are_tags { "O" } and not entities.are_tags { "NOUN", "O" } and not entities.are_tags { "B-" })
  assert(not entities.are_tags { "B-X", "OX" })
  t.fails("1 tags and 2 predicted ones", entities.add, {}, { "O" }, { "O", "O" })
end)

-- ---- answers ----

local found = golden "answers"

t.test("answers are scored as the official scripts score them", function()
  assert(#found.answers > 70)
  for _, row in ipairs(found.answers) do
    t.equal(answers.normal(row.given, "squad"), row.squad, ("%q normalised"):format(row.given))
    t.equal(answers.normal(row.given, "korquad"), row.korquad, ("%q normalised"):format(row.given))
    for script, want in pairs(row.scores) do
      local exact, f1 = answers.score(row.given, row.right, script)
      t.equal(exact, want[1], ("exact match of %q by %s"):format(row.given, script))
      near(f1, want[2], ("F1 of %q by %s"):format(row.given, script))
    end
  end
  t.fails("unknown script 'korqad'; did you mean 'korquad'?", answers.score, "a", { "a" }, "korqad")
end)

t.test("the threshold of no answer", function()
  for _, case in ipairs(found.thresholds) do
    local at, mean, middle = answers.threshold(case.rows)
    near(mean, case.best, "the mean score")
    local any = false
    for _, row in ipairs(case.rows) do any = any or row.none <= at end
    if any then near(at, case.at, "the threshold") end
    for _, used in ipairs { at, middle } do -- what they give where they are used
      local sum = 0
      for _, row in ipairs(case.rows) do
        if row.none > used then sum = sum + (row.answerable and 0 or 1) else sum = sum + row.score end
      end
      near(sum / #case.rows, mean, "the mean score of its use")
    end
  end
  -- Rows that cannot be told apart go together: official's order would part them.
  local rows = { { none = 0, score = 1, answerable = true }, { none = 0, score = 0, answerable = false } }
  local at, mean = answers.threshold(rows)
  t.equal(mean, 0.5)
  t.equal(at, -1)
  at, mean = answers.threshold {}
  assert(at == 0 and mean ~= mean)
end)

-- ---- correlations ----

for k, case in ipairs(golden "correlation") do
  t.test(("scipy's correlations, case %d"):format(k), function()
    for i, rank in ipairs(correlation.ranks(case.x)) do t.equal(rank, case.ranks[i], "rank " .. i) end
    for _, name in ipairs { "pearson", "spearman" } do
      local r = correlation[name](case.x, case.y)
      near(r, case[name], name)
      local bounds = { correlation.interval(r, #case.x, name == "spearman") }
      for i = 1, 2 do near(bounds[i], case[name .. "_interval"][i], name .. "'s bound") end
    end
  end)
end

t.test("correlations of nothing", function()
  for _, lists in ipairs { { {}, {} }, { { 1 }, { 2 } }, { { 1, 1, 1 }, { 1, 2, 3 } }, { { 1, 0 / 0 }, { 1, 2 } } } do
    local r = correlation.spearman(lists[1], lists[2])
    assert(r ~= r)
    t.equal(correlation.interval(r, 3), nil)
  end
  t.equal(correlation.pearson({ 1, 2, 3 }, { 2, 4, 6 }), 1.0)
  t.equal(correlation.spearman({ 1, 2, 3 }, { -1, -20, -300 }), -1.0)
  t.equal(correlation.interval(1, 50), nil)
  t.fails("2 numbers and 1", correlation.pearson, { 1, 2 }, { 1 })
end)

t.finish()
