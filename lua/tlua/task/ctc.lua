-- ctc.lua - speech to text: a network gives symbols frame by frame, the connectionist temporal classification (Graves
-- et al. 2006) sums over all ways to say a text so. Symbols are the letters of the training texts, or those that the
-- network knows already.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local vocabulary = require "tlua.data.vocabulary"
local speech = require "tlua.report.speech"

-- ---- symbols ----

local function texts_of(source)
  local out = {}
  for i = 1, source and source:count() or 0 do out[i] = source:text(i) end
  return out
end

-- Leaves out clips whose text cannot be said in the frames that the network makes of them, and names them.
local function fitting(t, s, part)
  local source, net, frames = s.data[part], s.model, {}
  if not source or not net.frame_count then return source end
  for i = 1, source:count() do
    frames[i] = net:frame_count(math.floor((source:seconds(i) or 0) * s.data.preprocessing.rate))
  end
  local bad, left, keep = vocabulary.check_targets(t.vocabulary, texts_of(source), frames), {}, {}
  for _, each in ipairs(bad) do
    left[each.index] = true
    table.insert(s.data.skipped, { part = part, reason = ("%s: %s"):format(source:name(each.index), each.reason) })
  end
  for i = 1, source:count() do
    if not left[i] then keep[#keep + 1] = i end
  end
  if #keep == 0 and #bad > 0 then
    util.failf("task.ctc: no %s clip is left whose text fits its length; the first: %s: %s", part, source:name(1),
      bad[1].reason)
  end
  return #bad > 0 and core.data.subset(source, keep) or source
end

-- The symbols of the network where they are asked for, else the letters of the training texts.
local function vocabulary_of(t, s)
  local o = t.options
  if o.symbols == "data" then
    return vocabulary.from_texts(texts_of(s.data.train), { casing = o.casing, punctuation = o.punctuation,
      digits = o.digits, where = function(i) return s.data.train:name(i) end })
  end
  local known = s.model.vocabulary and s.model:vocabulary()
  if not known then
    util.failf('task.ctc: symbols = "network", and the weights of %s say nothing of its symbols', s.model:label())
  end
  return vocabulary.from_list(known.tokens, { blank = known.blank or 0, boundary = known.word_boundary })
end

local function prepare(t, s)
  t.vocabulary = t.vocabulary or vocabulary_of(t, s)
  t.names, t.width = t.vocabulary.symbols, t.vocabulary:size()
  local loss = t.criterion
  if type(loss) == "table" and loss.options and loss.options.blank == nil then
    util.fail "task.ctc: the loss compares no frames with texts; leave it out, and it is CTCLoss"
  end
  if type(loss) == "table" and loss.options then loss.options.blank = t.vocabulary.blank end
  for _, part in ipairs { "train", "validation" } do s.data[part] = fitting(t, s, part) end
  local all = texts_of(s.data.train)
  for _, part in ipairs { "validation", "test" } do
    for _, text in ipairs(texts_of(s.data[part])) do all[#all + 1] = text end
  end
  local unknown = t.vocabulary:dropped_text(all)
  if unknown then
    table.insert(s.data.said, "unknown   characters of the texts that are no symbol can neither be learnt nor found: "
      .. unknown)
  end
  s.data.fields_text = ("%d symbols (%s)"):format(t.width, table.concat(t.names, ""):gsub("<[^<>]+>", ""))
  if t.options.language > 0 and not t.kept_language then
    local rows = {}
    for i, text in ipairs(texts_of(s.data.train)) do rows[i] = t.vocabulary:encode(text) end
    t.kept_language = core.ctc.ngram(rows, { classes = t.width, order = t.options.language }):table()
  end
end

-- ---- loss ----

-- A batch's texts as (N, L), padded, and how many symbols each has.
local function targets_of(t, batch)
  local rows, lengths, most = {}, {}, 1
  for i, text in ipairs(batch.text) do
    rows[i] = t.vocabulary:encode(text)
    lengths[i] = #rows[i]
    most = math.max(most, #rows[i])
  end
  for _, row in ipairs(rows) do
    for k = #row + 1, most do row[k] = 0 end
  end
  return core.tensor(rows, { dtype = "int32" }), core.tensor(lengths, { dtype = "int32" })
end

local function lengths_of(out, batch)
  if batch.out_lengths then return batch.out_lengths end
  local list = {}
  for i = 1, out:shape(1) do list[i] = out:shape(2) end
  return core.tensor(list, { dtype = "int32" })
end

local function loss_of(t, out, batch)
  local targets, lengths = targets_of(t, batch)
  return t.criterion(out, targets, lengths_of(out, batch), lengths), batch.n
end

-- ---- figures ----

local Meter = {}
Meter.__index = Meter

-- What was said and what was heard, symbol by symbol and word by word. A test's collector has looked at the batch
-- already.
function Meter:add(out, batch)
  local lengths = lengths_of(out, batch):tolist()
  for i, each in ipairs(speech.heard(self.task, out, batch, lengths)) do
    local clip = each.clip
    for _, name in ipairs { "characters", "words" } do
      self[name].distance, self[name].n = self[name].distance + clip[name].distance, self[name].n + clip[name].n
    end
    self.frames, self.blanks = self.frames + lengths[i], self.blanks + each.said.blanks
    if self.clips then self.clips[#self.clips + 1] = clip end
  end
end
local function percent(a, b) return b > 0 and 100 * a / b or nil end
function Meter:value()
  return { cer = percent(self.characters.distance, self.characters.n), wer = percent(self.words.distance, self.words.n),
    blanks = percent(self.blanks, self.frames) }
end
function Meter:state()
  return { characters = self.characters, words = self.words, frames = self.frames, blanks = self.blanks }
end

local function meter(t, state, tested)
  state = state or { characters = { distance = 0, n = 0 }, words = { distance = 0, n = 0 }, frames = 0, blanks = 0 }
  return setmetatable({ task = t, clips = tested and {} or nil, characters = state.characters, words = state.words,
    frames = state.frames, blanks = state.blanks }, Meter)
end

-- "CER 12.3 % (95 %: 10.1 to 14.8)  WER 40.2 % (95 %: ...)  blanks 71 %": intervals by drawing the clips anew.
local function test_line(_, m)
  local v, out = m:value(), {}
  for i, each in ipairs { { "CER", "cer", "characters" }, { "WER", "wer", "words" } } do
    out[i] = ("%s %s%s"):format(each[1], v[each[2]] and ("%.1f %%"):format(v[each[2]]) or "-",
      speech.between_text(m.clips, each[3]))
  end
  return ("%s  blanks %s"):format(table.concat(out, "  "), v.blanks and ("%.0f %%"):format(v.blanks) or "-")
end

-- What an epoch of nothing but blanks asks for: nearly all who fine-tune with CTC meet it.
local function advice(_, values, s)
  if not (values.blanks and values.blanks > 99.5 and values.cer and values.cer > 99) then return nil end
  local rate, warm = s.lr, s.stages[#s.stages].warmup
  return ("blanks    the network says nothing yet: usual in the first epochs of CTC. If it stays so: a lower rate "
    .. "(--optim.lr %.1g), more epochs, a%s warm-up (--schedule.warmup %g), or fewer frozen layers; and texts must be "
    .. "what is said in their clips"):format(rate / 3, warm > 0 and " longer" or "", warm > 0 and 2 * warm or 1)
end

-- ---- answers ----

-- The runs of letters that were counted in the training texts; nil where none were.
local function language_of(t)
  if t.kept_language and not t.language then t.language = core.ctc.ngram_from(t.kept_language) end
  return t.language
end

-- Of a model file: is there a symbol for each output of the network, and can what was counted be used?
local function fits(t, net)
  if not t.vocabulary then util.fail "it keeps no vocabulary" end
  local n, size = t.vocabulary:size(), net.classes
  if size and n ~= size then util.failf("its vocabulary has %d symbols, and the network gives %d", n, size) end
  if t.kept_language and type(t.kept_language) ~= "table" then util.fail "its counted letters are no table" end
  language_of(t)
end

-- Each clip of a batch: {text =, words = {{text, from, to, score}, ...}} with times in seconds; false where numbers are
-- none.
local function decode(t, out, o)
  local lengths = o.lengths or lengths_of(out, {}):tolist()
  local width = o.beam or t.options.beam
  local beam = width > 1 and { width = width, blank = t.vocabulary.blank, model = language_of(t),
    alpha = t.options.alpha, beta = t.options.beta }
  local found = beam and core.ctc.beam(out, lengths, beam)
    or core.ctc.greedy(out, lengths, { blank = t.vocabulary.blank })
  local answers = {}
  for i, each in ipairs(found) do
    answers[i] = each.unknown == 0 and { text = t.vocabulary:decode(each.labels),
      words = speech.words(t.vocabulary, each, o.frame_seconds or 0.02), score = each.score } or false
  end
  return answers
end

return {
  name = "ctc", brief = "speech to text", wants = { "text" }, takes = "frames", own_width = true,
  schema = {
    { "casing", "choice", "lower", "of letters: lower makes capitals small, keep learns both", { "lower", "keep" } },
    { "punctuation", "choice", "drop", "of the texts: it is learnt where it is kept", { "drop", "keep" } },
    { "digits", "choice", "refuse",
      "in the texts: an error, since they are not written as they are spoken; or learnt; or "
      .. "left out", { "refuse", "keep", "drop" } },
    { "symbols", "choice", "data", "letters of the training texts, or the symbols that the network knows",
      { "data", "network" } },
    { "beam", "integer", 1, "how many texts a search follows when it predicts; 1: the likeliest symbol of each frame",
      least = 1, most = 1000 },
    { "language", "integer", 0, "length of the runs of letters that are counted in the training texts and help that "
      .. "search; 0: none", least = 0, most = 8 },
    { "alpha", "number", 0.5, "how much they count", least = 0, most = 10 },
    { "beta", "number", 1.0, "what each symbol is worth beside them", least = -10, most = 10 },
  },
  figures = { { "cer", "CER", "%.1f %%", "min" }, { "wer", "WER", "%.1f %%", "min" },
    { "blanks", "blank frames", "%.0f %%", "min" } },
  prepare = prepare,
  head = function(t) return nn.Linear(t.width) end,
  default_loss = function() return nn.CTCLoss { zero_infinity = true } end,
  check = function(t, shape)
    if #shape ~= 3 or shape[3] ~= t.width then
      util.failf("the network gives outputs of shape %s, and task.ctc wants frames (N, T, %d), a symbol or blank each",
        util.shape_text(shape), t.width)
    end
  end,
  loss = loss_of, meter = meter, test_line = test_line, advice = advice,
  kept = function(t) return { vocabulary = t.vocabulary:to_table(), language = t.kept_language } end,
  take = function(t, kept) t.vocabulary, t.kept_language = vocabulary.from_table(kept.vocabulary), kept.language end,
  fits = fits,
  decode = decode, text = function(_, answer) return answer.text end, answer = function(_, answer) return answer end,
  columns = function() return { "text", "score" } end,
  fields = function(_, answer) return { answer.text, ("%.6g"):format(answer.score or 0) } end,
  collector = speech.collector, gather = speech.gather, tiles = speech.tiles, charts = speech.charts,
  page = speech.page, summary = function(_, m) return speech.summary(m) end,
  text_of_test = speech.text_of_test,
}
