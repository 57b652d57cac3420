-- span.lua - answers that stand in a text: of each piece of a window how likely an answer begins there, and ends. The
-- first piece of a window stands for "not here". Decoding is that of transformers' run_qa, figures are those of the
-- official scripts of SQuAD and KorQuAD.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local answers = require "tlua.report.texts.answers"
local questions = require "tlua.report.texts.questions"
local tokenizer = require "tlua.data.texts.tokenizer"
local ops = core.ops

-- ---- the loss ----

-- (N, T): 0 where a piece stands, and so little behind the end that nothing is left of a softmax.
local function beyond(batch, steps)
  local rows = {}
  for i, n in ipairs(batch.length_list) do
    rows[i] = {}
    for p = 1, steps do rows[i][p] = p <= n and 0 or -1e9 end
  end
  return core.tensor(rows)
end

-- The mean of the cross entropies of where the answer begins, and where it ends.
local function loss_of(t, out, batch)
  local n, steps = out:shape(1), out:shape(2)
  local mask, loss = beyond(batch, steps), nil
  for k = 0, 1 do
    local logits = ops.slice(out, 3, k, 1):reshape { n, steps } + mask
    local one = t.criterion(logits, ops.slice(batch.spans, 2, k, 1):reshape { n })
    loss = loss and loss + one or one
  end
  return loss * 0.5, batch.n
end

-- ---- candidates of a window ----

-- Numbers of the `most` largest of scores[from..to], the largest first.
local function largest(scores, from, to, most)
  local list = {}
  for p = from, to do
    local v, at = scores[p], #list + 1
    while at > 1 and scores[list[at - 1]] < v do at = at - 1 end
    if at <= most then
      table.insert(list, at, p)
      list[most + 1] = nil
    end
  end
  return list
end

-- The best answers of a window, and how likely it has none: {none =, best = {{score =, from =, to = bytes}...}}; false
-- where numbers are none. rows: of each piece {begin, end}.
local function candidates(o, window, rows)
  local begins, ends, first, last = {}, {}, nil, nil
  for p = 1, #window.ids do
    begins[p], ends[p] = rows[p][1], rows[p][2]
    if begins[p] ~= begins[p] or ends[p] ~= ends[p] then return false end
    if window.sequence[p] == 1 then first, last = first or p, p end
  end
  local found = { none = begins[1] + ends[1], best = {} }
  if not first then return found end
  local most, list = o.candidates, found.best
  local to = largest(ends, first, last, most)
  for _, a in ipairs(largest(begins, first, last, most)) do
    for _, b in ipairs(to) do
      if b >= a and b - a < o.longest_answer then
        list[#list + 1] = { score = begins[a] + ends[b], from = window.from[a], to = window.to[b], piece = a }
      end
    end
  end
  table.sort(list, function(x, y)
    if x.score ~= y.score then return x.score > y.score end
    return x.from < y.from or x.from == y.from and x.to < y.to
  end)
  for k = #list, most + 1, -1 do list[k] = nil end
  return found
end

-- What the windows of a question say together: {text =, score = its share, from =, to = bytes, none = how much likelier
-- no answer is, best = the likeliest texts}. `unanswerable`: no answer is one of them, above the threshold.
local function joined(t, list, context)
  local all, none = {}, math.huge
  for _, each in ipairs(list) do
    if not each then return false end
    none = math.min(none, each.none)
    table.move(each.best, 1, #each.best, #all + 1, all)
  end
  table.sort(all, function(x, y) return x.score > y.score end)
  local best, sum = {}, 0
  local top = math.max(none, all[1] and all[1].score or none)
  for k = 1, math.min(t.options.candidates, #all) do
    local c = all[k]
    local share = math.exp(c.score - top)
    best[k] = { text = context:sub(c.from + 1, c.to), from = c.from, to = c.to, score = share }
    sum = sum + share
  end
  local without = t.unanswerable and math.exp(none - top) or 0
  for _, each in ipairs(best) do each.score = each.score / (sum + without) end
  local out = { best = best, none = all[1] and none - all[1].score or math.huge, no_answer = without / (sum + without) }
  local first = best[1]
  if first and not (t.unanswerable and out.none > t:threshold()) then
    out.text, out.from, out.to, out.score = first.text, first.from, first.to, first.score
  else out.text, out.score = "", without > 0 and out.no_answer or 0 end
  out.windows = list
  return out
end

-- ---- figures ----

-- What was found in a batch, by question: once for the meter and the collector of a test.
local function found_in(t, out, batch)
  if batch.found then return batch.found end
  local rows, list = out:tolist(), {}
  for i, index in ipairs(batch.indices) do
    local window = batch.read.source:window(index)
    list[i] = { question = window.text, index = index, found = candidates(t.options, window, rows[i]) }
  end
  batch.found = list
  return list
end

local Meter = {}
Meter.__index = Meter

function Meter:add(out, batch)
  if not (self.tested and batch.read) then return end
  self.tested:add(found_in(self.task, out, batch), batch)
end
function Meter:value()
  if not self.tested or #self.tested.order == 0 then return {} end
  local found = questions.figures(self.tested:scored(self.task))
  return { f1 = 100 * found.f1, em = 100 * found.em }
end
function Meter:state() return {} end

local function meter(t, _, tested)
  return setmetatable({ task = t, tested = tested and questions.asked() or nil }, Meter)
end

local Collector = {}
Collector.__index = Collector
function Collector:add(out, batch) self.asked:add(found_in(self.task, out, batch), batch) end
function Collector:count() return #self.asked.order end

-- ---- the threshold of "no answer" ----

local function threshold(t) return t.chosen and t.chosen.threshold or t.options.threshold end

local function choose(t, seen)
  local rows = {}
  for i, each in ipairs(seen.asked:scored(t)) do
    rows[i] = { none = each.none, score = each.f1_if_answered, answerable = not each.impossible }
  end
  local _, mean, at = answers.threshold(rows)
  t.chosen = { threshold = at, count = #rows }
  return ("no answer where it is more than %.4g likelier than the best one, chosen on %s: F1 %.1f %% there"):format(at,
    util.counted(#rows, "validation question"), 100 * mean)
end

-- ---- answers ----

local function decode(t, out, o)
  local rows, list = out:tolist(), {}
  for i, window in ipairs(o.windows) do
    local found = candidates(t.options, window, rows[i])
    list[i] = found and joined(t, { found }, window.pair or "")
    if list[i] then list[i].context = window.pair end
  end
  return list
end

local function join(t, list, windows)
  local all = {}
  for _, each in ipairs(list) do table.move(each.windows, 1, #each.windows, #all + 1, all) end
  local out = joined(t, all, windows[1].pair or "")
  if out then out.context = windows[1].pair end
  return out
end

local function text(_, a)
  if a.text == "" then return ("no answer %.1f %%"):format(100 * a.score) end
  return ("%s %.1f %%"):format(a.text, 100 * a.score)
end

-- Places count characters, as in files of questions.
local function answer(_, a, o)
  local characters = a.context and tokenizer.characters(a.context)
  local out = { text = a.text, score = a.score, no_answer = a.no_answer > 0 and a.no_answer or nil, others = {} }
  if a.from and characters then out.from, out.to = characters(a.from), characters(a.to) end
  for k = 2, math.min(o.top or 3, #a.best) do
    local c = a.best[k]
    out.others[k - 1] = { text = c.text, score = c.score, from = characters and characters(c.from), to = characters
      and characters(c.to) }
  end
  return out
end

local function fields(_, a)
  return { a.text, ("%.9g"):format(a.score), a.from and ("%d"):format(tokenizer.characters(a.context)(a.from)) or "" }
end

-- ---- preparation ----

local function prepare(t, s)
  if s.recipe and s.recipe.loss_given then
    util.fail "task.span has a loss of its own (cross entropy of where an answer begins and ends); leave loss out"
  end
  t.width, t.unanswerable = 2, false
  for _, own in ipairs(s.data.texts.answers or {}) do t.unanswerable = t.unanswerable or own.impossible or false end
  if t.options.choose and not t.unanswerable then
    util.fail "task.span: choose is for questions without an answer, and the data have none; leave it out"
  end
  s.data.fields_text = "an answer in each paragraph" .. (t.unanswerable and ", or none" or "")
end

return {
  name = "span", brief = "answers that stand in a text", wants = { "spans" }, takes = "frames", own_width = true,
  head_name = "qa_outputs", tops = true,
  schema = {
    { "longest_answer", "integer", 30, "pieces of an answer at most", least = 1, most = 4096 },
    { "candidates", "integer", 20, "places that are looked at for where an answer begins and ends, and answers that " ..
      "are kept of them", least = 1, most = 1000 },
    { "threshold", "number", 0, "where data have questions without an answer: none is given where it is so much " ..
      "likelier than the best" },
    { "choose", "boolean", false, "the threshold is chosen on the validation part, by F1" },
  },
  figures = { { "f1", "F1", "%.1f %%", "max" }, { "em", "exact match", "%.1f %%", "max" } },
  chooses = function(o) return o.choose and "the threshold of task.span" or nil end, choose = choose,
  threshold = threshold,
  kept = function(t) return { unanswerable = t.unanswerable, chosen = t.chosen } end,
  take = function(t, kept) t.unanswerable, t.chosen = kept.unanswerable, kept.chosen end,
  prepare = prepare, default_loss = function() return nn.CrossEntropy {} end,
  loss_words = "cross entropy of where an answer begins and ends",
  head = function(_, net) return net.default_head and net:default_head(2) or nn.Linear(2) end,
  check = function(_, shape)
    if #shape ~= 3 or shape[3] ~= 2 then
      util.failf("the network gives outputs of shape %s, and task.span wants pieces (N, T, 2): begin and end",
        util.shape_text(shape))
    end
  end,
  loss = loss_of, meter = meter, joined = joined,
  collector = function(t) return setmetatable({ asked = questions.asked(), task = t }, Collector) end,
  decode = decode, join = join, text = text, answer = answer, fields = fields,
  columns = function() return { "answer", "score", "from" } end,
  gather = questions.gather, tiles = questions.tiles, page = questions.page,
  summary = function(_, m) return questions.summary(m) end, text_of_test = questions.text_of_test,
}
