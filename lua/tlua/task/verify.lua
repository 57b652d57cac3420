-- verify.lua - whose voice is it: a network gives each clip an embedding, and two clips are of one speaker where the
-- cosine between theirs is high. Speakers of the test need not be those of the training: a few clips enrol each of
-- them.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local voices = require "tlua.report.voices"
local ops, unit = core.ops, voices.unit

-- Supervised contrastive loss (Khosla et al. 2020, equation 2, L_out): of each clip, the mean over the others of its
-- speaker of minus the logarithm of the softmax of their cosines by the temperature. Clips that are alone in the batch
-- count nothing.
local function loss_of(t, out, batch)
  local n, of = #batch.labels, {}
  for i, label in ipairs(batch.labels) do of[label] = (of[label] or 0) + 1 end
  local share, mask, counted = {}, {}, 0
  for i, a in ipairs(batch.labels) do
    share[i], mask[i] = {}, {}
    counted = counted + (of[a] > 1 and 1 or 0)
    for k, b in ipairs(batch.labels) do
      share[i][k] = i ~= k and a == b and 1 / (of[a] - 1) or 0
      mask[i][k] = i == k and -1e9 or 0
    end
  end
  if counted == 0 then return nil, 0 end
  local z = unit(out)
  local logits = ops.matmul(z, z, { transpose_b = true }) * (1 / t.options.temperature) + core.tensor(mask)
  local loss = (logits:log_softmax(-1) * core.tensor(share)):sum() * (-1 / counted)
  return loss, counted
end

-- ---- figures ----

local Meter = {}
Meter.__index = Meter

function Meter:add(out, batch)
  if not self.tested then return end
  for i, row in ipairs(unit(out):tolist()) do
    self.rows[#self.rows + 1], self.labels[#self.labels + 1] = row, batch.labels[i]
  end
end

function Meter:value()
  if not self.tested then return {} end
  local found = voices.scores(self.rows, self.labels, self.enroll)
  if not found then return {} end
  return { eer = 100 * found.eer, accuracy = found.accuracy and 100 * found.accuracy or nil }
end
function Meter:state() return {} end

local Collector = {}
Collector.__index = Collector
function Collector:add(out, batch)
  for i, row in ipairs(unit(out):tolist()) do
    self.rows[#self.rows + 1], self.labels[#self.labels + 1], self.indices[#self.indices + 1] = row, batch.labels[i],
      batch.indices[i]
  end
end
function Collector:count() return #self.labels end

local function decode(_, out)
  local list = {}
  for i, row in ipairs(unit(out):tolist()) do list[i] = row[1] == row[1] and { embedding = row } or false end
  return list
end

return {
  name = "verify", brief = "whose voice it is, by embeddings", wants = { "label" }, takes = "vector", own_width = true,
  schema = {
    { "enroll", "integer", 3, "clips by which each speaker of a test is known", least = 1, most = 100 },
    { "temperature", "number", 0.1, "that cosines are divided by in the loss", above = 0 },
  },
  figures = { { "eer", "equal error rate", "%.1f %%", "min" }, { "accuracy", "right speaker", "%.1f %%", "max" } },
  prepare = function(t, s)
    if s.recipe and s.recipe.loss_given then
      util.fail("task.verify has a loss of its own (supervised contrastive), which no other takes the place of; "
        .. "leave loss out")
    end
    local width = s.model.classes or s.model.features_width
    if not width then util.failf("task.verify: %s says no width of its embedding", s.model:label()) end
    t.names, t.width = s.classes, width -- the network's own last layer gives the embedding
  end,
  head = function(t) return nn.Linear(t.width) end,
  default_loss = function() return function() end end,
  check = function(_, shape)
    if #shape ~= 2 then
      util.failf("the network gives outputs of shape %s, and task.verify wants an embedding (N, K) for each clip",
        util.shape_text(shape))
    end
  end,
  loss = loss_of, loss_words = "supervised contrastive",
  meter = function(t, _, tested) return setmetatable({ rows = {}, labels = {}, tested = tested,
    enroll = t.options.enroll }, Meter) end,
  collector = function() return setmetatable({ rows = {}, labels = {}, indices = {} }, Collector) end,
  decode = decode, text = function(_, a) return ("%d numbers, the first %.4f"):format(#a.embedding, a.embedding[1]) end,
  answer = function(_, a) return a.embedding end,
  columns = function(t)
    local names = {}
    for k = 1, t.width do names[k] = "e" .. k end
    return names
  end,
  fields = function(_, a)
    local out = {}
    for k, v in ipairs(a.embedding) do out[k] = ("%.7g"):format(v) end
    return out
  end,
  gather = voices.gather, tiles = voices.tiles, charts = voices.charts, page = voices.page,
    summary = function(_, m) return voices.summary(m) end, text_of_test = voices.text_of_test,
}
