-- tokens.lua - a class for each word: a network of texts gives a row a piece, the first piece of a word stands for it.
-- Of tags of entities (B-PER, I-PER, O) entities are counted, as seqeval does; of other classes each class.
local util = require "tlua.util"
local nn = require "tlua.nn"
local entities = require "tlua.report.texts.entities"
local tagged = require "tlua.report.texts.tagged"
local words = require "tlua.data.texts.words"
local tokenizer = require "tlua.data.texts.tokenizer"

-- How many marks count in the loss.
local function counted(t, marks)
  local loss = t.criterion
  if type(loss) == "table" and loss.weight_of then return loss:weight_of(marks, t.width) end
  return marks:numel()
end

local function loss_of(t, out, batch)
  local count = counted(t, batch.marks)
  if count == 0 then return nil, 0 end
  return t.criterion(out, batch.marks), count
end

-- ---- figures ----

local Meter = {}
Meter.__index = Meter

-- In training windows count as they come; in a test the words of a text are put together again from its windows.
function Meter:add(out, batch)
  if self.tested and batch.read then return self.tested:add(out, batch) end
  local predicted, marks = out:argmax(-1):tolist(), batch.marks:tolist()
  for i, row in ipairs(marks) do
    local want, got = {}, {}
    for p, mark in ipairs(row) do
      if mark >= 0 then want[#want + 1], got[#got + 1] = mark, predicted[i][p] end
    end
    tagged.count(self.counts, self.names, want, got, self.exactly)
  end
end

function Meter:value()
  if self.tested then self.counts = self.tested:counts(self.exactly) end
  local c, n = self.counts, self.counts.words
  if n == 0 then return {} end
  local found = tagged.figures(c, self.names)
  return { f1 = 100 * found.f1, precision = 100 * found.precision, recall = 100 * found.recall,
    accuracy = 100 * c.right / n }
end
function Meter:state() return { counts = self.counts } end

local function meter(t, state, tested)
  return setmetatable({ names = t.names, exactly = t.options.strict, counts = state and state.counts
    or tagged.nothing(), tested = tested and tagged.texts(t) or nil }, Meter)
end

-- ---- answers ----

-- The words of a text that is asked about, as those of the training were parted.
local function words_of(t, text)
  local list = { from = {}, to = {} }
  local pattern = t.single and utf8.charpattern or "%S+"
  for from, word in text:gmatch("()(" .. pattern .. ")") do
    if word:find "%S" then
      list.from[#list.from + 1], list.to[#list.to + 1] = from - 1, from - 1 + #word
    end
  end
  return list
end

-- What the network is fed for a text that is asked about: of spaces the characters alone, each a word.
local function fed(t, text)
  if not t.spaces then return text end
  local out = {}
  for c in require("tlua.core").composed(text):gmatch(utf8.charpattern) do
    if c:find "%S" and c ~= "\u{3000}" and c ~= "\u{A0}" then out[#out + 1] = c end
  end
  return table.concat(out, " ")
end

-- A window's words: a list of {word =, tag =, score =, from =, to = bytes of text =, room = pieces
-- around it in the window}.
local function decode(t, out, o)
  local answers = {}
  local shares, best = out:softmax(-1):tolist(), out:argmax(-1):tolist()
  for i, window in ipairs(o.windows) do
    local list, places = words_of(t, window.text), {}
    for _, each in ipairs(words.begins(window, list)) do
      local p, w = each[1], each[2]
      local k = best[i][p] + 1
      local score = shares[i][p][k]
      if score ~= score then places = false break end
      places[#places + 1] = { index = w, word = window.text:sub(list.from[w] + 1, list.to[w]), tag = t.names[k],
        score = score, from = list.from[w], to = list.to[w], text = window.text,
        room = math.min(p - 1, #window.ids - p) }
    end
    answers[i] = places
  end
  return answers
end

-- The words of all windows of a text: each from where it has the most pieces around it.
local function join(_, answers)
  local best, order, out = {}, {}, {}
  for _, list in ipairs(answers) do
    for _, each in ipairs(list) do
      local own = best[each.index]
      if not own then order[#order + 1] = each.index end
      if not own or each.room > own.room then best[each.index] = each end
    end
  end
  table.sort(order)
  for k, index in ipairs(order) do out[k] = best[index] end
  return out
end

-- Entities of an answer: {text =, type =, from =, to =, score = the least of its words}.
local function entities_of(t, list)
  local tags, out = {}, {}
  for k, each in ipairs(list) do tags[k] = each.tag end
  for k, e in ipairs(entities.of(tags, t.options.strict)) do
    local said, score = {}, 1
    for i = e.from, e.to do said[#said + 1], score = list[i].word, math.min(score, list[i].score) end
    out[k] = { type = e.type, text = table.concat(said, t.single and "" or " "), from = list[e.from].from,
      to = list[e.to].to, score = score }
  end
  return out
end

local function spaced(list)
  local out = {}
  for k, each in ipairs(list) do out[k] = each.word .. (each.tag ~= "O" and k < #list and " " or "") end
  return table.concat(out)
end

-- "Seoul (LOC)   Kim (PER)"; of spaces the text with them; of other classes "the/DET cat/NOUN".
local function text(t, list)
  if t.spaces then return spaced(list) end
  local out = {}
  if t.entities then
    for k, e in ipairs(entities_of(t, list)) do out[k] = ("%s (%s)"):format(e.text, e.type) end
    return #out > 0 and table.concat(out, "   ") or "-"
  end
  for k, each in ipairs(list) do out[k] = each.word .. "/" .. each.tag end
  return table.concat(out, " ")
end

-- Places count characters, as those of answers in paragraphs: of the text that was asked, or of
-- the one with its spaces.
local function answer(t, list)
  local out = { words = {}, entities = t.entities and not t.spaces and entities_of(t, list) or nil,
    text = t.spaces and spaced(list) or nil }
  local characters, at = not t.spaces and list[1] and tokenizer.characters(list[1].text), 0
  for k, each in ipairs(list) do
    local from, to = at, at + utf8.len(each.word)
    if characters then from, to = characters(each.from), characters(each.to) end
    out.words[k] = { word = each.word, tag = each.tag, score = each.score, from = from, to = to }
    at = to + (each.tag ~= "O" and 1 or 0)
  end
  for _, e in ipairs(characters and out.entities or {}) do e.from, e.to = characters(e.from), characters(e.to) end
  return out
end

local function fields(t, list)
  if t.spaces then return { spaced(list) } end
  local tags, said = {}, {}
  for k, each in ipairs(list) do tags[k] = each.word .. "/" .. each.tag end
  for k, e in ipairs(entities_of(t, list)) do said[k] = ("%s (%s)"):format(e.text, e.type) end
  return { table.concat(tags, " "), t.entities and table.concat(said, "; ") or nil }
end

-- ---- preparation ----

local function prepare(t, s)
  t:check_loss({ "CrossEntropy", "FocalLoss" }, "compares no classes")
  t.names, t.width = s.classes, #s.classes
  t.entities = entities.are_tags(t.names)
  if t.options.strict and not t.entities then
    util.failf("task.tokens: strict is for tags of entities (O, B-..., I-...), and the data have %s",
      util.first_few(t.names, 6))
  end
  local d = s.recipe.data
  t.spaces = d.kind == "spacing"
  t.single = t.spaces or d.options.between == "nothing"
  s.data.fields_text = t.spaces and "spaces to be found" or ("%d tags (%s)"):format(t.width, util.first_few(t.names, 8))
end

return {
  name = "tokens", brief = "a class for each word of a text", wants = { "marks" }, takes = "frames",
  schema = { { "strict", "boolean", false, "an entity begins with B alone, and other I's are none (seqeval's strict " ..
    "mode); else as conlleval" } },
  figures = { { "f1", "F1", "%.1f %%", "max" }, { "precision", "precision", "%.1f %%", "max" },
    { "recall", "recall", "%.1f %%", "max" }, { "accuracy", "accuracy", "%.1f %%", "max" } },
  prepare = prepare, default_loss = function() return nn.CrossEntropy {} end,
  head = function(t, net) return net.default_head and net:default_head(t.width) or nn.Linear(t.width) end,
  check = function(t, shape)
    if #shape ~= 3 or shape[3] ~= t.width then
      util.failf("the network gives outputs of shape %s, and task.tokens wants pieces (N, T, %d), a tag each",
        util.shape_text(shape), t.width)
    end
  end,
  loss = loss_of, meter = meter,
  kept = function(t) return { entities = t.entities, spaces = t.spaces, single = t.single } end,
  take = function(t, kept) t.entities, t.spaces, t.single = kept.entities, kept.spaces, kept.single end,
  fed = fed, decode = decode, join = join, text = text, answer = answer, fields = fields,
  columns = function(t) return t.spaces and { "spaced" } or t.entities and { "tags", "entities" } or { "tags" } end,
  collector = tagged.collector, gather = tagged.gather, tiles = tagged.tiles, page = tagged.page,
  summary = function(_, m) return tagged.summary(m) end, text_of_test = tagged.text_of_test,
}
