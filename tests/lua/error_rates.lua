-- error_rates.lua - character and word error rates against jiwer's (tests/golden/error_rates.json). Run by
-- `tlua tests/lua/error_rates.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local rates = require "tlua.report.error_rates"
local golden = core.json_decode(core.read_file "tests/golden/error_rates.json")

t.test("rates are jiwer's", function()
  local clips = {}
  for i, each in ipairs(golden.clips) do
    clips[i] = rates.clip(each.said, each.heard)
    for _, name in ipairs { "characters", "words" } do
      local e = clips[i][name]
      assert(math.abs(e.distance / e.n - each[name]) < 1e-12, each.said)
    end
  end
  for _, name in ipairs { "characters", "words" } do
    local rate = rates.rate(clips, name)
    assert(math.abs(rate - golden[name]) < 1e-12)
    local all = rates.changes(clips, name)
    assert(math.abs((all.substitutions + all.insertions + all.deletions) / all.n - rate) < 1e-12)
    local low, high = rates.interval(clips, name)
    assert(low < rate and rate < high and high - low < 0.3)
    local again = rates.interval(clips, name)
    t.equal(low, again)
  end
end)

t.test("what is taken for what", function()
  local clips = { rates.clip("мама", "мяма", { pairs = true }) }
  clips[2] = rates.clip("тато", "тятоо", { pairs = true })
  local list = rates.confusions(clips)
  t.equal(#list, 2)
  t.equal(list[1].said .. list[1].heard .. list[1].count, "ая2")
  t.equal(list[2].said .. "-" .. list[2].heard .. list[2].count, "-о1")
end)

t.test("nothing said, nothing heard", function()
  t.equal(rates.clip("", "").words.n, 0)
  t.equal(rates.clip("", "а б").words.insertions, 2)
  t.equal(rates.clip("а б", "").characters.deletions, 3)
  assert(rates.rate({ rates.clip("", "") }, "words") ~= rates.rate({ rates.clip("", "") }, "words"))
  t.equal(rates.interval({ rates.clip("а", "а") }, "words"), nil)
  t.equal(rates.blank_share({}, {}), nil)
  local x = core.tensor { { { 9, 0 }, { 0, 9 } }, { { 9, 0 }, { 9, 0 } } }
  t.equal(rates.blank_share(core.ctc.greedy(x), { 2, 2 }), 0.75)
end)

t.finish()
