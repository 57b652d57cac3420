-- causal.lua - the next piece: of each piece of a text, which comes behind it. For networks whose pieces see those
-- before them alone (gpt2).
local core = require "tlua.core"
local util = require "tlua.util"
local plan = require "tlua.plan"
local vocabulary = require "tlua.task.vocabulary"
local ops = core.ops

local function loss_of(t, out, batch)
  local n, steps = out:shape(1), out:shape(2)
  if plan.imaginary then return vocabulary.loss(t, out, batch, vocabulary.blank(n * math.max(1, steps - 1))) end
  local places, labels = {}, {}
  for i, ids in ipairs(batch.input:tolist()) do
    for p = 1, batch.length_list[i] - 1 do
      places[#places + 1], labels[#labels + 1] = (i - 1) * steps + p - 1, ids[p + 1]
    end
  end
  return vocabulary.loss(t, out, batch, places, labels)
end

local function prepare(t, s)
  if not s.model.causal then
    util.failf("task.causal: in %s each piece sees those behind it too, which are what is asked for: gpt2, or "
      .. "task.masked {}", s.model:label())
  end
  vocabulary.prepare(t, s)
end

-- How surprising a text is, and what may follow it.
local function decode(t, out, o)
  local answers, width = {}, out:shape(3)
  for i, window in ipairs(o.windows) do
    local n = #window.ids
    local rows = ops.slice(out, 1, i - 1, 1):reshape { out:shape(2), width }
    local batch, places, labels = {}, {}, {}
    for p = 1, n - 1 do places[p], labels[p] = p - 1, window.ids[p + 1] end
    vocabulary.loss(t, rows, batch, places, labels)
    local following = vocabulary.likeliest(t, ops.slice(rows, 1, n - 1, 1), o)
    local loss = batch.words and batch.words.loss or 0
    answers[i] = following and { pieces = n - 1, loss = loss, following = following[1] } or false
  end
  return answers
end

local function join(_, answers)
  local sum, n = 0, 0
  for _, each in ipairs(answers) do sum, n = sum + each.loss * each.pieces, n + each.pieces end
  return { pieces = n, loss = n > 0 and sum / n or 0, following = answers[#answers].following }
end

local function text(_, a)
  local words = {}
  for k, each in ipairs(a.following) do words[k] = ("'%s' %.1f %%"):format(each.piece, 100 * each.score) end
  return ("perplexity %.2f   then %s"):format(math.exp(a.loss), table.concat(words, ", "))
end

return {
  name = "causal", brief = "the next piece of texts", wants = {}, takes = "vocabulary", own_width = true, tops = true,
  figures = vocabulary.figures, prepare = prepare, check = vocabulary.check, default_loss = vocabulary.default_loss,
  loss_words = "cross entropy of the next piece", loss = loss_of, meter = vocabulary.meter,
  collector = vocabulary.collector, gather = vocabulary.gather, tiles = vocabulary.tiles,
  decode = decode, join = join, text = text,
  answer = function(_, a)
    return { perplexity = math.exp(a.loss), bits = a.loss / math.log(2), pieces = a.pieces, following = a.following }
  end,
  columns = function() return { "perplexity", "following" } end,
  fields = function(_, a) return { ("%.6g"):format(math.exp(a.loss)), a.following[1] and a.following[1].piece } end,
}
