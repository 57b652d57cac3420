-- lengths.lua - how a figure changes with the length of texts: samples in bins of like many by their pieces, and how
-- many of each lost their ends.
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local intervals = require "tlua.report.intervals"
local words = require "tlua.report.texts.words"
local lengths = {}

local BINS, LEAST = 5, 10 -- bins at most, samples of one at least

-- Did the window of a sample lose an end of its text?
local function is_cut(source, index, texts, longest)
  if source:length(index) < longest then return false end
  local w = source:window(index)
  return words.cut_at(w, 0, texts.texts[w.text]) ~= nil
    or texts.pairs ~= nil and words.cut_at(w, 1, texts.pairs[w.text]) ~= nil
end

-- Samples in an order of growing length, in bins: none has a length of the one before.
local function bins_of(sizes)
  local order, out = {}, {}
  for i = 1, #sizes do order[i] = i end
  table.sort(order, function(a, b) return sizes[a] == sizes[b] and a < b or sizes[a] < sizes[b] end)
  local n = math.max(1, math.min(BINS, #order // LEAST))
  local at = 1
  for k = 1, n do
    local stop = math.max(at, k * #order // n)
    while stop < #order and sizes[order[stop + 1]] == sizes[order[stop]] do stop = stop + 1 end
    if at <= #order then out[#out + 1] = table.move(order, at, math.min(stop, #order), 1, {}) end
    at = stop + 1
  end
  return out
end

-- Rows {from =, to =, count =, cut = share, value =, interval =} of the samples run.seen.indices; nil of other data.
-- of(members): the figure of some of them, and between what it lies.
function lengths.gather(run, of)
  local s, sizes, cut = run.session, {}, {}
  local texts = s and s.data.texts
  if not texts or #(run.seen.indices or {}) == 0 then return nil end
  local longest = s.data.preprocessing.longest
  for i, index in ipairs(run.seen.indices) do
    sizes[i] = run.source:length(index)
    cut[i] = is_cut(run.source, index, texts, longest)
  end
  local out = {}
  for k, members in ipairs(bins_of(sizes)) do
    local n = 0
    for _, i in ipairs(members) do n = n + (cut[i] and 1 or 0) end
    local value, interval = of(members)
    out[k] = { from = sizes[members[1]], to = sizes[members[#members]], count = #members, cut = n / #members,
      value = value, interval = interval }
  end
  return out
end

-- The share of some samples that are right, with Wilson's interval.
function lengths.share(right)
  return function(members)
    local n = 0
    for _, i in ipairs(members) do n = n + (right[i] and 1 or 0) end
    return n / #members, { intervals.wilson(n, #members) }
  end
end

-- The section of a page; format: of the figure's numbers.
function lengths.page(rows, what, format)
  if not rows or #rows == 0 then return "" end
  local function number(v) return v and v == v and format(v) or "–" end
  local list = { { "pieces", what, "95\u{A0}%", "texts", "cut" } }
  for i, r in ipairs(rows) do
    list[i + 1] = { r.from == r.to and tostring(r.from) or ("%d to %d"):format(r.from, r.to), number(r.value),
      r.interval and r.interval[1] and ("%s to %s"):format(number(r.interval[1]), number(r.interval[2])) or "–",
      util.thousands(r.count), parts.percent(r.cut) }
  end
  return "<h2>Length of texts</h2>" .. parts.table(list)
end

util.seal(lengths, "report.texts.lengths.")
return lengths
