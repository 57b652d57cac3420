-- explained.lua - the words of some samples of a source of texts, coloured by what speaks for an output of the network
-- (gradient.lua, words.lua): for galleries of reports, and `tlua explain`.
local core = require "tlua.core"
local gradient = require "tlua.report.texts.gradient"
local words = require "tlua.report.texts.words"
local util = require "tlua.util"
local explained = {}

local BATCH = 16

-- Windows as one batch: numbers (N, T), with types (N, T, 2) where the preprocessing has them; lengths (N).
function explained.batch(windows, p)
  local most, rows, lengths = 1, {}, {}
  for _, w in ipairs(windows) do most = math.max(most, #w.ids) end
  for i, w in ipairs(windows) do
    lengths[i], rows[i] = #w.ids, {}
    for k = 1, most do
      local id, type = w.ids[k] or p.pad, w.types[k] or 0
      rows[i][k] = p.types and { id, type } or id
    end
  end
  return core.tensor(rows, { dtype = "int32" }), core.tensor(lengths, { dtype = "int32" })
end

-- Scores of the pieces of windows for output k of each (list of numbers from 1; nil: the largest), and the outputs.
function explained.scores(net, windows, p, which)
  local scores, rows = {}, {}
  for at = 1, #windows, BATCH do
    local scope <close> = core.scope()
    local part = table.move(windows, at, math.min(at + BATCH - 1, #windows), 1, {})
    local input, lengths = explained.batch(part, p)
    local a, b = gradient.of(net, input, lengths, function(said)
      if not which then return gradient.likeliest(said) end
      return table.move(which, at, at + #part - 1, 1, {})
    end)
    table.move(a, 1, #a, #scores + 1, scores)
    table.move(b, 1, #b, #rows + 1, rows)
  end
  return scores, rows
end

-- Samples `list` of a run's source as words.shown gives them; which: output of each, from 1. Where the network cannot
-- be asked, without shades.
function explained.of_run(run, list, which)
  local s, texts = run.session, run.session.data.texts
  local windows, out = {}, {}
  for i, index in ipairs(list) do windows[i] = run.source:window(index) end
  local ok, scores = pcall(explained.scores, s.model, windows, s.data.preprocessing, which)
  for i, w in ipairs(windows) do
    out[i] = words.shown(w, ok and scores[i] or nil, texts.texts[w.text], texts.pairs and texts.pairs[w.text])
  end
  return out, not ok and util.reason(scores) or nil
end

-- One text of a gallery: a line of HTML above its words.
function explained.figure(lists, head)
  return ("<figure><figcaption>%s</figcaption>%s</figure>"):format(head, words.html(lists))
end

-- What the shades of a run's galleries mean, or why there are none.
function explained.legend(run)
  local first = (run.wrong or {})[1] or (run.right or {})[1] or (run.missed or {})[1] or (run.alarms or {})[1]
  if not first or not first.words then return "" end
  if not first.why then
    return first.given and words.LEGEND:gsub("speak for what was said", "raise the number"):gsub("against it",
      "lower it") or words.LEGEND
  end
  return ('<p class="soft">Words have no shades: %s</p>'):format(words.escaped(first.why))
end

util.seal(explained, "report.texts.explained.")
return explained
