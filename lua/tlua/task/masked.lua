-- masked.lua - hidden words: some pieces of each text are hidden, the network says which they were (Devlin et al.
-- 2018). What a network learns so of texts of one kind helps it with tasks on them.
local core = require "tlua.core"
local util = require "tlua.util"
local plan = require "tlua.plan"
local vocabulary = require "tlua.task.vocabulary"
local ops = core.ops

local MASKS = { "[MASK]", "<mask>" }

local function mask_of(tokenizer)
  for _, piece in ipairs(MASKS) do
    local id = tokenizer.handle:id(piece)
    if id then return id end
  end
  util.failf("task.masked: %s has no piece %s, which hides others", tokenizer.name, table.concat(MASKS, " or "))
end

-- What the loader does to the texts of a part.
local function feeds(t, built)
  built.masking = { share = t.options.share, mask = mask_of(built.tokenizer), size = built.tokenizer.handle:size() }
end

local function loss_of(t, out, batch)
  local n, steps = out:shape(1), out:shape(2)
  if plan.imaginary then
    return vocabulary.loss(t, out, batch, vocabulary.blank(math.max(1, math.ceil(1.2 * t.options.share * n * steps))))
  end
  local places, labels = {}, {}
  for i, row in ipairs(batch.marks:tolist()) do
    for p, id in ipairs(row) do
      if id >= 0 then places[#places + 1], labels[#labels + 1] = (i - 1) * steps + p - 1, id end
    end
  end
  return vocabulary.loss(t, out, batch, places, labels)
end

-- Of each hidden piece of a text the likeliest ones.
local function decode(t, out, o)
  local mask, answers = mask_of(o.tokenizer), {}
  for i, window in ipairs(o.windows) do
    local places = {}
    for p, id in ipairs(window.ids) do
      if id == mask then places[#places + 1] = p - 1 end
    end
    answers[i] = {}
    if #places > 0 then
      local rows = ops.slice(out, 1, i - 1, 1):reshape { out:shape(2), out:shape(3) }
      answers[i] = vocabulary.likeliest(t, ops.embedding(rows, core.tensor(places, { dtype = "int32" })), o) or false
    end
  end
  return answers
end

local function join(_, answers)
  local out = {}
  for _, list in ipairs(answers) do table.move(list, 1, #list, #out + 1, out) end
  return out
end

-- "good 43.1 %, bad 20.9 %   film 88.0 %, ..."
local function text(_, list)
  local out = {}
  for k, best in ipairs(list) do
    local words = {}
    for i, each in ipairs(best) do words[i] = ("%s %.1f %%"):format(each.piece:gsub("^ ", ""), 100 * each.score) end
    out[k] = table.concat(words, ", ")
  end
  return #out > 0 and table.concat(out, "   ") or ("nothing is hidden: write %s"):format(table.concat(MASKS, " or "))
end

return {
  name = "masked", brief = "hidden words of texts", wants = {}, takes = "vocabulary", own_width = true, tops = true,
  schema = { { "share", "number", 0.15, "of the pieces of a text that are hidden", above = 0, below = 1 } },
  figures = vocabulary.figures,
  prepare = function(t, s)
    vocabulary.prepare(t, s)
    feeds(t, s.data)
  end,
  feeds = feeds, check = vocabulary.check, default_loss = vocabulary.default_loss,
  loss_words = "cross entropy of the words that are hidden", loss = loss_of, meter = vocabulary.meter,
  collector = vocabulary.collector, gather = vocabulary.gather, tiles = vocabulary.tiles,
  decode = decode, join = join, text = text, answer = function(_, list) return list end,
  columns = function() return { "words" } end, fields = function(t, list) return { text(t, list) } end,
}
