-- voices.lua - what a report says of voices: how often two clips are rightly said to be of one speaker or of two, with
-- intervals, and who is taken for whom.
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local intervals = require "tlua.report.intervals"
local voices = {}
local between = intervals.between

-- Rows (N, K) of length 1.
function voices.unit(x)
  local y = x * (x:square():sum { axes = { 2 }, keep = true } + 1e-12):rsqrt()
  return y
end

local function dot(a, b)
  local sum = 0
  for k = 1, #a do sum = sum + a[k] * b[k] end
  return sum
end

-- A row at length 1; less `origin`, where one is given.
local function unit(row, origin)
  local out, length = {}, 0
  for k, v in ipairs(row) do
    out[k] = v - (origin and origin[k] or 0)
    length = length + out[k] * out[k]
  end
  length = math.sqrt(length)
  for k = 1, #out do out[k] = out[k] / (length > 0 and length or 1) end
  return out
end

-- The mean of rows, of length 1.
local function centre(list)
  local out, length = {}, 0
  for k = 1, #list[1] do
    local sum = 0
    for _, row in ipairs(list) do sum = sum + row[k] end
    out[k] = sum
    length = length + sum * sum
  end
  length = math.sqrt(length)
  for k = 1, #out do out[k] = out[k] / (length > 0 and length or 1) end
  return out
end

local LEAST = 3 -- speakers whose mean is taken off: that of two would make them opposites

-- What is known of speakers, groups of rows: a centre of length 1 for each, and the mean of all, which is taken off
-- first, since what all voices have in common says nothing; nil where they are fewer than three.
function voices.centres(groups)
  local means, origin = {}, nil
  for k, rows in ipairs(groups) do means[k] = centre(rows) end
  if #groups >= LEAST then
    origin = {}
    for j = 1, #means[1] do
      local sum = 0
      for _, row in ipairs(means) do sum = sum + row[j] end
      origin[j] = sum / #means
    end
  end
  local out = {}
  for k, rows in ipairs(groups) do
    local moved = {}
    for i, row in ipairs(rows) do moved[i] = unit(row, origin) end
    out[k] = centre(moved)
  end
  return out, origin
end

-- The nearest of centres to a row, and its cosine.
function voices.nearest(row, centres, origin)
  local best, score = nil, -2
  row = unit(row, origin)
  for k, c in ipairs(centres) do
    local v = dot(row, c)
    if v > score then best, score = k, v end
  end
  return best, score
end

-- The equal error rate of scores: own (of one speaker) and other (of two). And the score at which both kinds of error
-- are equally frequent.
function voices.eer(own, other)
  if #own == 0 or #other == 0 then return nil end
  local all = {}
  for _, v in ipairs(own) do all[#all + 1] = { v, true } end
  for _, v in ipairs(other) do all[#all + 1] = { v, false } end
  table.sort(all, function(a, b) return a[1] < b[1] end)
  local missed, taken, best, at, gap = 0, #other, nil, nil, math.huge
  for i, each in ipairs(all) do
    if each[2] then missed = missed + 1 else taken = taken - 1 end
    local a, b = missed / #own, taken / #other
    if (i == #all or all[i + 1][1] > each[1]) and math.abs(a - b) < gap then
      gap, best, at = math.abs(a - b), (a + b) / 2, i < #all and (each[1] + all[i + 1][1]) / 2 or each[1]
    end
  end
  return best, at
end

-- The first `enroll` clips of each speaker are what is known of it; all others are scored against every speaker. rows:
-- embeddings of length 1. nil where nobody is left to be scored. {eer =, threshold =, accuracy =, trials = {{label,
-- {[label] = score}}, ...}, right =, n =}
function voices.scores(rows, labels, enroll)
  local known, trials = {}, {}
  for i, row in ipairs(rows) do
    local list = known[labels[i]] or {}
    known[labels[i]] = list
    if #list < enroll then list[#list + 1] = row else trials[#trials + 1] = i end
  end
  local own, other, out, right = {}, {}, {}, 0
  local order = {}
  for label in pairs(known) do order[#order + 1] = label end
  table.sort(order)
  if #trials == 0 or #order < 2 then return nil end
  local groups = {}
  for k, label in ipairs(order) do groups[k] = known[label] end
  local list, origin = voices.centres(groups)
  local centres = {}
  for k, label in ipairs(order) do centres[label] = list[k] end
  for n, i in ipairs(trials) do
    local best, scores, row = nil, {}, unit(rows[i], origin)
    for _, label in ipairs(order) do
      local v = dot(row, centres[label])
      scores[label] = v
      if label == labels[i] then own[#own + 1] = v else other[#other + 1] = v end
      if not best or v > scores[best] then best = label end
    end
    right = right + (best == labels[i] and 1 or 0)
    out[n] = { at = i, label = labels[i], taken = best, scores = scores }
  end
  local eer, threshold = voices.eer(own, other)
  return { eer = eer, threshold = threshold, accuracy = right / #trials, right = right, n = #trials, trials = out,
    speakers = #order, own = own, other = other }
end

-- Bounds of the equal error rate when the clips are drawn anew.
local function bounds(found)
  local low, high = intervals.bootstrap(#found.trials, function(indices)
    local own, other = {}, {}
    for _, i in ipairs(indices) do
      local trial = found.trials[i]
      for label, v in pairs(trial.scores) do
        if label == trial.label then own[#own + 1] = v else other[#other + 1] = v end
      end
    end
    return voices.eer(own, other) or 0 / 0
  end, { draws = #found.trials > 500 and 200 or 1000 })
  return low and { low, high } or nil
end

function voices.gather(run)
  local seen, t = run.seen, run.task
  local found = seen.rows and voices.scores(seen.rows, seen.labels, t.options.enroll)
  if not found then return { metrics = { count = 0 } } end
  local low, high = intervals.wilson(found.right, found.n)
  local taken, rows = {}, {}
  for _, trial in ipairs(found.trials) do
    if trial.taken ~= trial.label then
      local key = ("%s\0%s"):format(run.names[trial.label + 1] or trial.label, run.names[trial.taken + 1]
        or trial.taken)
      taken[key] = (taken[key] or 0) + 1
    end
  end
  for _, key in ipairs(util.keys(taken)) do
    local a, b = key:match "^(.-)%z(.*)$"
    rows[#rows + 1] = { own = a, taken = b, count = taken[key] }
  end
  table.sort(rows, function(a, b) return a.count == b.count and a.own .. a.taken < b.own .. b.taken
    or a.count > b.count end)
  return { metrics = { count = found.n, eer = found.eer, eer_interval = bounds(found), threshold = found.threshold,
    centred = found.speakers >= LEAST, accuracy = found.accuracy,
    accuracy_interval = { low, high }, speakers = found.speakers, enroll = t.options.enroll,
      taken = table.move(rows, 1, math.min(12, #rows), 1, {}) } }
end

function voices.tiles(run)
  local m = run.metrics
  return parts.tile(parts.percent(m.eer), ("equal error rate (95 %%: %s), %d clips"):format(between(m.eer_interval),
    m.count)) ..
    parts.tile(parts.percent(m.accuracy), ("right of %d speakers (95 %%: %s), %d clips each known"):format(m.speakers,
      between(m.accuracy_interval), m.enroll))
end

function voices.charts() return "" end

function voices.page(run)
  local rows = { { "Speaker", "Taken for", "Times" } }
  for _, each in ipairs(run.metrics.taken or {}) do
    rows[#rows + 1] = { each.own, each.taken, ("%d"):format(each.count) }
  end
  return #rows > 1 and "<h2>Who was taken for whom</h2>" .. parts.table(rows) or ""
end

function voices.summary(m)
  if m.count == 0 then return {} end
  return { count = m.count, eer = 100 * m.eer, interval = m.eer_interval, accuracy = 100 * m.accuracy,
    accuracy_interval = m.accuracy_interval, threshold = m.threshold, centred = m.centred }
end

function voices.text_of_test(_, m)
  if not m.eer then return nil end
  return ("equal error rate %.1f %% (95 %%: %s)  right speaker %.1f %% (95 %%: %s)  of %d clips; threshold %.3f"):format(m.eer, between(m.interval), m.accuracy,
    between(m.accuracy_interval), m.count, m.threshold)
end

return voices
