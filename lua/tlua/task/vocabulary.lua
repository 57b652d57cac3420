-- vocabulary.lua - what the tasks of words share (masked.lua, causal.lua): rows of pieces go to the network's table of
-- words a few at a time, since a logit for each word of each row is more than memory has: 32 texts of 128 pieces and
-- 250,000 words are 4 GB. Where gradients are wanted such a part is computed again (tlua/recompute.lua).
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local plan = require "tlua.plan"
local recompute = require "tlua.recompute"
local parts = require "tlua.report.parts"
local ops = core.ops
local vocabulary = {}

vocabulary.BUDGET = 96 << 20 -- bytes of logits that are there at once

-- How many of the labels (a list) the logits have right.
local function right_of(logits, labels)
  local n = 0
  for i, id in ipairs(logits:argmax(-1):tolist()) do n = n + (id == labels[i] and 1 or 0) end
  return n
end

-- The sum of the losses of some rows.
local function of_part(t, rows, labels, count)
  local scope <close> = core.scope()
  local logits = t.net:vocabulary(rows)
  if not (plan.imaginary or recompute.again) then count.right = count.right + right_of(logits, labels) end
  local target = core.tensor(labels, { dtype = "int32" })
  return scope:keep(ops.cross_entropy(logits, target, nil, { reduction = "sum" }))
end

-- The mean loss of the words at places (numbers from 0 of rows of out (N, T, W)), and how many these are; batch.words
-- has what the meter counts.
function vocabulary.loss(t, out, batch, places, labels)
  local n, width = #places, out:shape(out:rank())
  if n == 0 then return nil, 0 end
  local rows = ops.embedding(out:reshape { -1, width }, core.tensor(places, { dtype = "int32" }))
  local most = math.max(1, vocabulary.BUDGET // (4 * t.width))
  local count, loss = { n = n, right = 0 }, nil
  for at = 0, n - 1, most do
    local size = math.min(most, n - at)
    local own = table.move(labels, at + 1, at + size, 1, {})
    local part = n > most and ops.slice(rows, 1, at, size) or rows
    local function f(x) return of_part(t, x, own, count) end
    local one = n > most and recompute.run(f, part) or f(part)
    loss = loss and loss + one or one
  end
  loss = loss * (1 / n)
  if not plan.imaginary then count.loss = loss:item() end
  batch.words = count
  return loss, n
end

-- Places and labels of a dry run, where nothing can be read: the first `n` rows.
function vocabulary.blank(n)
  local places, labels = {}, {}
  for i = 1, n do places[i], labels[i] = i - 1, 0 end
  return places, labels
end

-- ---- figures ----

local Meter = {}
Meter.__index = Meter
function Meter:add(_, batch)
  local w = batch.words
  if not w then return end
  self.loss, self.n, self.right = self.loss + w.loss * w.n, self.n + w.n, self.right + w.right
end
function Meter:value()
  if self.n == 0 then return {} end
  local mean = self.loss / self.n
  return { perplexity = math.exp(mean), bits = mean / math.log(2), accuracy = 100 * self.right / self.n }
end
function Meter:state() return { loss = self.loss, n = self.n, right = self.right } end

function vocabulary.meter(_, state)
  state = state or { loss = 0, n = 0, right = 0 }
  return setmetatable({ loss = state.loss, n = state.n, right = state.right }, Meter)
end

vocabulary.figures = { { "perplexity", "perplexity", "%.2f", "min" }, { "bits", "bits a piece", "%.3f", "min" },
  { "accuracy", "right pieces", "%.1f %%", "max" } }

-- ---- the report ----

local Collector = {}
Collector.__index = Collector
function Collector:add(_, batch) self.n = self.n + batch.n end
function Collector:count() return self.n end
function vocabulary.collector() return setmetatable({ n = 0 }, Collector) end

function vocabulary.gather(run)
  local row = run.rows and run.rows[#run.rows] or {}
  local out = { count = run.seen.n or 0 }
  for _, f in ipairs(vocabulary.figures) do out[f[1]] = row[(run.prefix or "test") .. "_" .. f[1]] end
  return { metrics = out }
end

function vocabulary.tiles(run)
  local m = run.metrics
  return parts.tile(m.perplexity and ("%.2f"):format(m.perplexity) or "-", ("perplexity, %s texts"):format(
    util.thousands(m.count))) .. parts.tile(m.accuracy and ("%.1f %%"):format(m.accuracy) or "-", "right pieces")
end

-- ---- what a task of words has ----

function vocabulary.prepare(t, s)
  if s.recipe and s.recipe.loss_given then
    util.failf("task.%s has a loss of its own (%s); leave loss out", t.kind, t.loss_words)
  end
  t.net, t.width = s.model, s.model.classes
  s.data.fields_text = ("words of %s"):format(util.thousands(t.width))
end

function vocabulary.check(t, shape)
  if #shape ~= 3 then
    util.failf("the network gives outputs of shape %s, and task.%s wants a row for each piece (N, T, width)",
      util.shape_text(shape), t.kind)
  end
end

function vocabulary.default_loss() return nn.CrossEntropy {} end

-- A piece as people read it.
function vocabulary.shown(handle, id)
  local piece = handle:piece(id) or ("#%d"):format(id)
  return (piece:gsub("\u{2581}", " "):gsub("\u{120}", " "):gsub("^##", ""))
end

-- The o.top likeliest pieces of each of some rows (n, W): lists of {piece =, id =, score =}; nil where one is no
-- number.
function vocabulary.likeliest(t, rows, o)
  local out = {}
  for i, shares in ipairs(t.net:vocabulary(rows):softmax(-1):tolist()) do
    if shares[1] ~= shares[1] then return nil end
    out[i] = {}
    for k, id in ipairs(vocabulary.top(shares, o.top or 3)) do
      out[i][k] = { piece = vocabulary.shown(o.tokenizer.handle, id - 1), id = id - 1, score = shares[id] }
    end
  end
  return out
end

-- The numbers of the `most` largest of a list, the largest first.
function vocabulary.top(list, most)
  local best = {}
  for i, v in ipairs(list) do
    local at = #best + 1
    if at <= most or v > list[best[most]] then
      while at > 1 and list[best[at - 1]] < v do at = at - 1 end
      table.insert(best, at, i)
      best[most + 1] = nil
    end
  end
  return best
end

return vocabulary
