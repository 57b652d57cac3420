-- tagged.lua - texts whose words have tags: what was found in each, put together from windows; counts and figures; what
-- a report says of a test.
local util = require "tlua.util"
local intervals = require "tlua.report.intervals"
local entities = require "tlua.report.texts.entities"
local parts = require "tlua.report.parts"
local words = require "tlua.data.texts.words"
local tagged = {}

local DRAWS, SHOWN = 1000, 12

-- ---- counts ----

-- Of words: how many, right ones; of each type of entity, or each class where there are no entities, what there is.
function tagged.nothing() return { words = 0, right = 0, of = {} } end

local function names_of(names, list)
  local out = {}
  for k, n in ipairs(list) do out[k] = names[n + 1] or "O" end
  return out
end

local function add_class(of, name, key)
  of[name] = of[name] or { right = 0, predicted = 0, support = 0 }
  of[name][key] = of[name][key] + 1
end

-- Adds the words of one text (or window): class numbers that are so, and that were said.
function tagged.count(counts, names, want, got, exactly)
  for k, n in ipairs(want) do
    counts.words = counts.words + 1
    if got[k] == n then counts.right = counts.right + 1 end
  end
  local a, b = names_of(names, want), names_of(names, got)
  if entities.are_tags(names) then entities.add(counts.of, a, b, exactly)
  else
    for k, name in ipairs(a) do
      add_class(counts.of, name, "support")
      add_class(counts.of, b[k], "predicted")
      if name == b[k] then add_class(counts.of, name, "right") end
    end
  end
  return counts
end

-- Precision, recall and F1: over all entities, or the means of the classes.
function tagged.figures(counts, names)
  local found = entities.figures(counts.of)
  return entities.are_tags(names) and found.micro or found.macro, found
end

-- ---- texts of a test ----

local Texts = {}
Texts.__index = Texts

-- What was said of the words of each text, from the window in which a word has the most pieces around it.
function Texts:add(out, batch)
  local source, own = batch.read.source, batch.read.texts.words
  local predicted = out:argmax(-1):tolist()
  for i, index in ipairs(batch.indices) do
    local window = source:window(index)
    local number, list = window.text, own[window.text]
    local found = self.of[number]
    if not found then
      found = { index = index, got = {}, room = {} }
      self.of[number], self.order[#self.order + 1] = found, number
    end
    self.own = own
    for _, each in ipairs(words.begins(window, list)) do
      local p, w = each[1], each[2]
      local room = math.min(p - 1, #window.ids - p)
      if room > (found.room[w] or -1) then found.got[w], found.room[w] = predicted[i][p], room end
    end
  end
end

-- Calls f(number of the text, class numbers that are so, that were said, numbers of these words).
function Texts:each(f)
  table.sort(self.order)
  for _, number in ipairs(self.order) do
    local want, got, at = {}, {}, {}
    for w, n in ipairs(self.own[number].tags) do
      local said = self.of[number].got[w]
      if said then want[#want + 1], got[#got + 1], at[#at + 1] = n, said, w end
    end
    f(number, want, got, at)
  end
end

function Texts:counts(exactly)
  local counts = tagged.nothing()
  self:each(function(_, want, got) tagged.count(counts, self.names, want, got, exactly) end)
  return counts
end

function tagged.texts(t) return setmetatable({ of = {}, order = {}, names = t.names }, Texts) end

-- ---- the report ----

local Collector = {}
Collector.__index = Collector
function Collector:add(out, batch) self.texts:add(out, batch) end
function Collector:count() return #self.texts.order end
function tagged.collector(t) return setmetatable({ texts = tagged.texts(t) }, Collector) end

-- Sums of the counts of some texts.
local function summed(list, indices)
  local all = tagged.nothing()
  for k = 1, indices and #indices or #list do
    local c = list[indices and indices[k] or k]
    all.words, all.right = all.words + c.words, all.right + c.right
    for name, row in pairs(c.of) do
      local own = all.of[name] or { right = 0, predicted = 0, support = 0 }
      all.of[name] = own
      for key in pairs(own) do own[key] = own[key] + row[key] end
    end
  end
  return all
end

local function shown(run, number, want, got, at)
  local own, out = run.seen.texts.own[number], {}
  local text, names = run.session.data.texts.texts[number], run.task.names
  for k, w in ipairs(at) do
    out[k] = { word = text:sub(own.from[w] + 1, own.to[w]), tag = names[want[k] + 1],
      given = got[k] ~= want[k] and names[got[k] + 1] or nil }
  end
  return { words = out, place = run.source and run.source:title(run.seen.texts.of[number].index) or nil }
end

function tagged.gather(run)
  local seen, t, list, wrong = run.seen, run.task, {}, {}
  if not seen.texts or #seen.texts.order == 0 then return { metrics = { count = 0 } } end
  local exactly = t.options.strict
  seen.texts:each(function(number, want, got, at)
    local c = tagged.count(tagged.nothing(), t.names, want, got, exactly)
    list[#list + 1] = c
    if c.right < c.words then wrong[#wrong + 1] = { c.words - c.right, number, want, got, at } end
  end)
  local all = summed(list)
  local main, found = tagged.figures(all, t.names)
  local draws = math.tointeger(math.max(100, math.min(DRAWS, 2000000 // #list)))
  local low, high = intervals.bootstrap(#list, function(indices)
    return tagged.figures(summed(list, indices), t.names).f1
  end, { draws = draws })
  table.sort(wrong, function(a, b) return a[1] > b[1] or a[1] == b[1] and a[2] < b[2] end)
  local gallery = {}
  for k = 1, math.min(SHOWN, #wrong) do gallery[k] = shown(run, table.unpack(wrong[k], 2)) end
  return { metrics = { count = #list, words = all.words, accuracy = all.right / all.words, f1 = main.f1,
    precision = main.precision, recall = main.recall, f1_interval = low and { low, high } or nil, types = found.types,
    macro = found.macro, entities = entities.are_tags(t.names) }, wrong = gallery }
end

function tagged.tiles(run)
  local m = run.metrics
  return parts.tile(parts.percent(m.f1), ("F1 of %s (95 %%: %s), %s texts"):format(m.entities and "entities"
    or "classes", intervals.between(m.f1_interval), util.thousands(m.count))) ..
    parts.tile(parts.percent(m.accuracy), ("of %s words right"):format(util.thousands(m.words)))
end

local function sentence(each)
  local out = {}
  for k, w in ipairs(each.words) do
    local word = parts.escape(w.word)
    if w.tag ~= "O" or w.given then
      word = ('<span class="%s" title="%s%s">%s</span>'):format(w.given and "bad" or "good", parts.escape(w.tag),
        w.given and ", given " .. parts.escape(w.given) or "", word)
    end
    out[k] = word
  end
  return ('<p lang="und">%s <span class="soft">%s</span></p>'):format(table.concat(out, " "), parts.escape(each.place
    or ""))
end

function tagged.page(run)
  local rows = { { run.metrics.entities and "type" or "class", "precision", "recall", "F1", "there are", "found" } }
  for _, r in ipairs(run.metrics.types or {}) do
    rows[#rows + 1] = { r.type, parts.plain(r.precision), parts.plain(r.recall), parts.plain(r.f1),
      util.thousands(r.support), util.thousands(r.predicted) }
  end
  local list = {}
  for k, each in ipairs(run.wrong or {}) do list[k] = sentence(each) end
  return "<h2>Types</h2>" .. parts.table(rows) .. (#list > 0 and "<h2>Most mistaken texts</h2>" .. table.concat(list)
    or "")
end

function tagged.summary(m)
  if m.count == 0 then return {} end
  return { count = m.count, words = m.words, f1 = m.f1, precision = m.precision, recall = m.recall,
    accuracy = m.accuracy, f1_interval = m.f1_interval, macro_f1 = m.macro.f1 }
end

function tagged.text_of_test(_, m)
  if not m.f1 then return nil end
  return ("F1 %.1f %% (95 %%: %s), precision %.1f %%, recall %.1f %%, %.1f %% of %s words right, of %s texts"):format(
    100 * m.f1, intervals.between(m.f1_interval), 100 * m.precision, 100 * m.recall, 100 * m.accuracy,
    util.thousands(m.words), util.thousands(m.count))
end

return tagged
