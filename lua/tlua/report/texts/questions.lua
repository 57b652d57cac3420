-- questions.lua - questions of a test: what was found in their windows, scores by the official scripts, what a report
-- shows of them.
local util = require "tlua.util"
local intervals = require "tlua.report.intervals"
local answers = require "tlua.report.texts.answers"
local parts = require "tlua.report.parts"
local questions = {}

local SHOWN, DRAWS = 12, 1000

-- ---- questions of a test ----

local Asked = {}
Asked.__index = Asked

-- found: of each window {question =, index =, found = its candidates}.
function Asked:add(found, batch)
  self.texts = batch.read.texts
  for _, each in ipairs(found) do
    local own = self.of[each.question]
    if not own then
      own = { index = each.index, windows = {} }
      self.of[each.question], self.order[#self.order + 1] = own, each.question
    end
    own.windows[#own.windows + 1] = each.found
  end
  self.done = nil
end

-- Of each question {number =, given =, exact =, f1 =, impossible =, none =, f1_if_answered =, right = texts}.
function Asked:scored(t)
  local threshold = t:threshold()
  if self.done and self.done.threshold == threshold then return self.done end
  table.sort(self.order)
  local out = { threshold = threshold }
  for i, number in ipairs(self.order) do
    local own, about = self.of[number], self.texts.answers[number]
    local given = t.joined(t, own.windows, self.texts.pairs[number]) or { text = "", score = 0, best = {}, none = 0 }
    local exact, f1 = answers.score(given.text, about.texts, about.script)
    local best = given.best[1]
    local _, answered = answers.score(best and best.text or "", about.texts, about.script)
    out[i] = { number = number, index = own.index, given = given, exact = exact, f1 = f1, none = given.none,
      impossible = about.impossible, f1_if_answered = answered, right = about.texts, script = about.script }
  end
  self.done = out
  return out
end

function questions.asked() return setmetatable({ of = {}, order = {} }, Asked) end

-- Means of exact match and F1, of all and of those with and without an answer.
function questions.figures(list)
  local all = { em = 0, f1 = 0 }
  local with, without = { em = 0, f1 = 0, count = 0 }, { em = 0, count = 0 }
  for _, each in ipairs(list) do
    all.em, all.f1 = all.em + each.exact / #list, all.f1 + each.f1 / #list
    local own = each.impossible and without or with
    own.em, own.count = own.em + each.exact, own.count + 1
    if own.f1 then own.f1 = own.f1 + each.f1 end
  end
  for _, own in ipairs { with, without } do
    for _, key in ipairs { "em", "f1" } do own[key] = own[key] and own.count > 0 and own[key] / own.count or nil end
  end
  all.with, all.without = with, without
  return all
end

-- ---- the report ----

local function bounds(list, key)
  local draws = math.tointeger(math.max(100, math.min(DRAWS, 20000000 // (#list + 1))))
  local low, high = intervals.bootstrap(#list, function(indices)
    local sum = 0
    for _, i in ipairs(indices) do sum = sum + list[i][key] end
    return sum / #indices
  end, { draws = draws })
  return low and { low, high } or nil
end

-- A question with its paragraph, parted where the answers stand, for who shows it.
local function shown(run, each)
  local texts = run.session.data.texts
  local about = texts.answers[each.number]
  return { question = texts.texts[each.number], context = texts.pairs[each.number], right = each.right,
    right_from = about.from, given = each.given.text, from = each.given.from, to = each.given.to,
    score = each.given.score, exact = each.exact, f1 = each.f1, place = run.source
    and run.source:title(each.index) or nil }
end

function questions.gather(run)
  local seen = run.seen
  if not seen.asked or #seen.asked.order == 0 then return { metrics = { count = 0 } } end
  local list = seen.asked:scored(run.task)
  local m = questions.figures(list)
  m.count, m.script = #list, list[1].script
  m.f1_interval, m.em_interval = bounds(list, "f1"), bounds(list, "exact")
  m.threshold = run.task.unanswerable and run.task:threshold() or nil
  local wrong, right = {}, {}
  local order = {}
  for i = 1, #list do order[i] = i end
  table.sort(order, function(a, b)
    local x, y = list[a], list[b]
    if x.f1 ~= y.f1 then return x.f1 < y.f1 end
    return x.given.score > y.given.score or x.given.score == y.given.score and a < b
  end)
  for _, i in ipairs(order) do
    local each = list[i]
    if each.f1 < 1 and #wrong < SHOWN then wrong[#wrong + 1] = shown(run, each) end
    if each.exact == 1 and each.given.from and #right < SHOWN then right[#right + 1] = shown(run, each) end
  end
  return { metrics = m, wrong = wrong, right = right }
end

function questions.tiles(run)
  local m = run.metrics
  return parts.tile(parts.percent(m.f1), ("F1 (95 %%: %s), %s questions"):format(intervals.between(m.f1_interval),
    util.thousands(m.count))) ..
    parts.tile(parts.percent(m.em), ("exactly right (95 %%: %s)"):format(intervals.between(m.em_interval)))
end

local function entry(each)
  return ('<p lang="und"><b>%s</b> <span class="%s">%s</span> <span class="soft">%s · F1 %s · %s</span></p>'):format(
    parts.escape(each.question), each.exact == 1 and "good" or "bad",
    parts.escape(each.given ~= "" and each.given or "(no answer)"),
    parts.escape(#each.right > 0 and table.concat(each.right, " / ") or "(no answer)"), parts.percent(each.f1),
    parts.escape(each.place or ""))
end

local function gallery(title, list)
  local out = {}
  for k, each in ipairs(list or {}) do out[k] = entry(each) end
  return #out > 0 and ('<h2>%s</h2><p class="soft">The question, the answer that was given in colour, the ' ..
    'right ones in grey.</p>%s'):format(title, table.concat(out)) or ""
end

function questions.page(run)
  local m = run.metrics
  local rows = { { "questions", "exact match", "F1", "how many" } }
  rows[2] = { "with an answer", parts.percent(m.with.em), parts.percent(m.with.f1), util.thousands(m.with.count) }
  if m.without.count > 0 then
    rows[3] = { "without", parts.percent(m.without.em), "", util.thousands(m.without.count) }
  end
  return "<h2>Questions</h2>" .. parts.table(rows) .. gallery("Wrong answers", run.wrong)
    .. gallery("Right answers", run.right)
end

function questions.summary(m)
  if m.count == 0 then return {} end
  return { count = m.count, f1 = m.f1, em = m.em, f1_interval = m.f1_interval, em_interval = m.em_interval,
    script = m.script, threshold = m.threshold }
end

function questions.text_of_test(_, m)
  if not m.f1 then return nil end
  return ("F1 %.1f %% (95 %%: %s), exact match %.1f %% (95 %%: %s), of %s questions"):format(100 * m.f1,
    intervals.between(m.f1_interval), 100 * m.em, intervals.between(m.em_interval), util.thousands(m.count))
end

return questions
