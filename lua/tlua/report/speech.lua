-- speech.lua - what a report says of speech that was turned into text: error rates with intervals, by length, which
-- letters are taken for which, the best and the worst clips with their spectrogram and a player.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local sound = require "tlua.report.sound"
local error_rates = require "tlua.report.error_rates"
local intervals = require "tlua.report.intervals"
local speech = {}
local escape, between = parts.escape, intervals.between

local MOST = 6        -- clips of a gallery
local CONFUSIONS = 16 -- rows of the table
local DRAWS, WORK = 1000, 2e7

-- Words of an answer with their times in seconds: {{text =, from =, to =, score =}, ...}. `each`: labels and frames as
-- core.ctc gives them.
function speech.words(vocabulary, each, frame_seconds)
  local out, word = {}, nil
  for k, id in ipairs(each.labels) do
    local symbol = vocabulary:decode { id }
    if symbol:match "^%s*$" then word = nil else
      if not word then
        word = { text = "", from = each.begins[k] * frame_seconds, score = 1 }
        out[#out + 1] = word
      end
      word.text, word.to = word.text .. symbol, each.ends[k] * frame_seconds
      word.score = math.min(word.score, each.chances[k])
    end
  end
  return out
end

-- What was heard in each clip of a batch, by the best path: {said = what core.ctc.greedy gives, clip = the errors
-- (error_rates.clip)}. Worked out once a batch. `pairs`: with what stands for what.
function speech.heard(t, out, batch, frames, pairs_wanted)
  if batch.heard then return batch.heard end
  local list = core.ctc.greedy(out, frames, { blank = t.vocabulary.blank })
  for i, said in ipairs(list) do
    list[i] = { said = said, clip = error_rates.clip(t.vocabulary:normal(batch.text[i]),
      t.vocabulary:decode(said.labels), { pairs = pairs_wanted }) }
  end
  batch.heard = list
  return list
end

-- ---- what is collected of a test ----

local Collector = {}
Collector.__index = Collector

function Collector:add(out, batch)
  local t = self.task
  local frames = batch.out_lengths and batch.out_lengths:tolist()
  for i, each in ipairs(speech.heard(t, out, batch, frames, true)) do
    local clip = each.clip
    clip.index, clip.words_heard = batch.indices[i], speech.words(t.vocabulary, each.said, 1)
    clip.frames = frames and frames[i] or out:shape(2)
    self.clips[#self.clips + 1] = clip
  end
end
function Collector:count() return #self.clips end
function speech.collector(t) return setmetatable({ task = t, clips = {} }, Collector) end

-- ---- figures ----

local function all_of(list)
  local out = {}
  for i = 1, #list do out[i] = i end
  return out
end

-- Bounds when the clips are drawn anew; fewer times where there are many.
local function bounds(list, name)
  local low, high = error_rates.interval(list, name,
    { draws = math.tointeger(math.max(200, math.min(DRAWS, WORK // (#list + 1)))) })
  return low and { low, high } or nil
end

-- " (95 %: 10.1 to 14.8)" of a list of clips; empty where they tell nothing.
function speech.between_text(list, name)
  local found = bounds(list, name)
  return found and (" (95 %%: %s)"):format(between(found)) or ""
end

-- Errors of clips by their length, in four parts of like many.
local function by_length(list, seconds)
  local order, out = all_of(list), {}
  table.sort(order, function(a, b) return seconds[a] == seconds[b] and a < b or seconds[a] < seconds[b] end)
  local n = math.min(4, #order // 5)
  for k = 1, n do
    local members = table.move(order, (k - 1) * #order // n + 1, k * #order // n, 1, {})
    local chosen = {}
    for i, at in ipairs(members) do chosen[i] = list[at] end
    out[k] = { from = seconds[members[1]], to = seconds[members[#members]], clips = #members,
      cer = error_rates.rate(chosen, "characters"),
      interval = bounds(chosen, "characters") }
  end
  return out
end

-- Clips in the order of their own rate of errors.
local function extremes(list)
  local order, best, worst = all_of(list), {}, {}
  local function own(i) return list[i].characters.distance / math.max(1, list[i].characters.n) end
  table.sort(order, function(a, b)
    if own(a) ~= own(b) then return own(a) < own(b) end
    local m, n = list[a].characters.n, list[b].characters.n
    return m == n and a < b or m > n
  end)
  for k = 1, math.min(MOST, (#order + 1) // 2) do best[k] = list[order[k]] end
  for k = 1, math.min(MOST, #order // 2) do worst[k] = list[order[#order + 1 - k]] end
  return best, worst
end

-- The words that were heard, each with where it begins and ends as a share of the clip.
local function placed(clip)
  local out = {}
  for k, word in ipairs(clip.words_heard) do
    out[k] = { text = word.text, from = word.from / math.max(1, clip.frames), to = word.to / math.max(1, clip.frames) }
  end
  return out
end

local function with_sound(run, list)
  local out = {}
  for i, each in ipairs(list) do
    local ok, heard = pcall(sound.embedded, run.source, each.index, run.session and run.session.data.preprocessing.rate
      or 16000)
    out[i] = { want = each.said, got = each.heard, cer = each.characters.n > 0
      and each.characters.distance / each.characters.n or nil, sound = ok and heard.sound or nil,
      image = ok and heard.image or nil, words = placed(each), missing = not ok and util.reason(heard) or nil,
        name = run.source
        and run.source:title(each.index) }
  end
  return out
end

function speech.gather(run)
  local seen = run.seen
  local list = seen.clips or {}
  if #list == 0 then return { metrics = { count = 0 } } end
  local seconds = {}
  for i, each in ipairs(list) do seconds[i] = run.source:seconds(each.index) end
  local confused = error_rates.confusions(list)
  local m = { count = #list, cer = error_rates.rate(list, "characters"), wer = error_rates.rate(list, "words"),
    cer_interval = bounds(list, "characters"),
    wer_interval = bounds(list, "words"), changes = error_rates.changes(list, "characters"),
      by_length = by_length(list, seconds),
    confusions = table.move(confused, 1, math.min(CONFUSIONS, #confused), 1, {}) }
  local best, worst = extremes(list)
  return { metrics = m, best = with_sound(run, best), worst = with_sound(run, worst) }
end

-- ---- the page ----

function speech.tiles(run)
  local m = run.metrics
  return parts.tile(parts.percent(m.cer), ("character errors (95 %%: %s), %d clips"):format(between(m.cer_interval),
    m.count)) ..
    parts.tile(parts.percent(m.wer), ("word errors (95 %%: %s)"):format(between(m.wer_interval)))
end

function speech.charts() return "" end

local function shown(letter) return letter == "" and "(nothing)" or letter == " " and "(space)" or letter end

local function tables(m)
  local lengths, letters_ = { { "Length", "Clips", "CER", "95 %" } }, { { "Said", "Heard", "Times" } }
  for _, row in ipairs(m.by_length or {}) do
    lengths[#lengths + 1] = { ("%.1f to %.1f s"):format(row.from, row.to), ("%d"):format(row.clips),
      parts.percent(row.cer), between(row.interval) }
  end
  for _, row in ipairs(m.confusions or {}) do
    letters_[#letters_ + 1] = { shown(row.said), shown(row.heard), ("%d"):format(row.count) }
  end
  return (#lengths > 1 and "<h2>Errors by length</h2>" .. parts.table(lengths) or "") ..
    (#letters_ > 1 and "<h2>What was taken for what</h2>" .. parts.table(letters_) or "")
end

-- Words below the spectrogram, where they were heard.
local function alignment(words)
  local out = {}
  for k, word in ipairs(words or {}) do
    out[k] = ('<span style="left:%.1f%%;width:%.1f%%" title="%s">%s</span>'):format(100 * word.from,
      math.max(0.5, 100 * (word.to - word.from)), escape(word.text), escape(word.text))
  end
  return #out > 0 and ('<div class="placed" lang="und">%s</div>'):format(table.concat(out)) or ""
end

local function clip(each)
  return sound.figure(each.image, each.sound, alignment(each.words),
    ('<div lang="und">%s</div>'):format(escape(each.want)),
    each.got ~= each.want and ('<div class="bad">%s</div>'):format(escape(each.got ~= "" and each.got or "(nothing)"))
      or '<div class="good">as said</div>',
    ('<div class="soft">CER %s · %s%s</div>'):format(parts.percent(each.cer), escape(each.name or ""), each.missing
      and " · " .. escape(each.missing) or ""))
end

local function gallery(title, list)
  local out = {}
  for i, each in ipairs(list or {}) do out[i] = clip(each) end
  return parts.gallery(title, out, "sounds")
end

function speech.page(run)
  return gallery("Worst clips", run.worst) .. gallery("Best clips", run.best) .. tables(run.metrics)
end

function speech.summary(m)
  if m.count == 0 then return {} end
  return { count = m.count, cer = 100 * m.cer, wer = 100 * m.wer, interval = m.cer_interval,
    wer_interval = m.wer_interval }
end

function speech.text_of_test(_, m)
  if not m.cer then return nil end
  return ("CER %.1f %% (95 %%: %s)  WER %.1f %% (95 %%: %s)  of %d clips"):format(m.cer, between(m.interval), m.wer,
    between(m.wer_interval), m.count)
end

return speech
