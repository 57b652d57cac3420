-- gradient.lua - which pieces of a text speak for what a network says of it: gradient times input at the table of
-- pieces (Ancona et al. 2018; Atanasova et al. 2020 compare it with others on texts). The score of a piece is the sum
-- over its row of the table of row times d output / d row: what the output would lose, to first order, without the row.
-- Positive: it speaks for the output, negative: against it.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local gradient = {}

gradient.NAME = "gradient × input, word embeddings"

-- Parameters want no gradients meanwhile, dropout is off, calls are made one by one and rows keep their padding. f() is
-- done within.
local function aside(net, f)
  local wanted, training, before, packs = {}, net.training, plan.off, rawget(net, "packs")
  rawset(net, "packs", false)
  for _, p in net:parameters() do
    if p:requires_grad() then
      wanted[#wanted + 1] = p
      p:requires_grad(false)
    end
  end
  if training then net:eval() end
  plan.off = true
  local ok, a, b = pcall(f)
  plan.off, module.tap = before, nil
  rawset(net, "packs", packs)
  for _, p in ipairs(wanted) do p:requires_grad(true) end
  if training then net:train() end
  if not ok then error(a, 0) end
  return a, b
end

-- What the network says of a batch, with a record of all of it.
local function outputs(net, input, lengths)
  if net.above and net.classify then return net:classify((net:above(input, 0, lengths))) end
  return net(input, lengths)
end

-- input (N, T) or (N, T, 2), lengths (N). pick(rows): which output of each of the N rows (a list of numbers) is asked
-- about, from 1. Returns scores of the pieces, rows of T numbers, and the outputs, rows of K.
function gradient.of(net, input, lengths, pick)
  local scope <close> = core.scope()
  return aside(net, function()
    -- Each row of the table is multiplied by a 1 of its own, whose gradient is the sum of row times gradient.
    local ones, asked = core.ones(input:shape(1), input:shape(2), 1), false
    ones:requires_grad(true)
    module.tap = function(y) -- the first table that is asked is that of the pieces
      module.tap, asked = nil, true
      return y * ones
    end
    local out = outputs(net, input, lengths)
    if not asked then util.failf("%s asks no table of pieces that gradients could be taken of", net:label()) end
    local rows = out:tolist()
    local chosen, one_hot = pick(rows), {}
    for i, row in ipairs(rows) do
      one_hot[i] = {}
      for k = 1, #row do one_hot[i][k] = k == chosen[i] and 1 or 0 end
    end
    local said = (out * core.tensor(one_hot)):sum()
    said:backward()
    return ones.grad:reshape(input:shape(1), input:shape(2)):tolist(), rows
  end)
end

-- The likeliest output of each row.
function gradient.likeliest(rows)
  local out = {}
  for i, row in ipairs(rows) do
    local best = 1
    for k, v in ipairs(row) do
      if v > row[best] then best = k end
    end
    out[i] = best
  end
  return out
end

util.seal(gradient, "report.texts.gradient.")
return gradient
