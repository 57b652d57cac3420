-- lr_rates.lua - is the rate that `tlua lr` suggests a good one? Five recipes of different kinds, each trained at nine rates and at both
-- suggestions, on the same pictures; tables in Markdown.
--   tlua bench/lr_rates.lua DATA WEIGHTS KEPT [CASE...]
-- DATA holds cifar-10-batches-bin and chest_xray (class folders normal, pneumonia, covid19), WEIGHTS is EfficientNet-Lite0's file. KEPT gets a
-- line for all that is finished; called again, the program goes on from there. Half an hour on two cores.
local core = require "tlua.core"
local finder = require "tlua.command.lr_finder"
local rule = require "tlua.command.lr_finder.rule"
local progress = require "tlua.run.progress"
local root, weights, kept = arg[1], arg[2], arg[3]
if not kept then error("DATA WEIGHTS KEPT are needed", 0) end

local CIFAR, XRAY = root .. "/cifar-10-batches-bin", root .. "/chest_xray"
local PATIENT = "(%d%d%d%d%d%d%d%d)_%d"
local SEEDS = { 0, 1, 2 } -- of the finder

-- name, what it is, recipe, the first of nine rates (each is 10^0.5 times the one before), seeds of the trainings, what is said on the command line.
local cases = {
  { "frozen", "a new head on frozen EfficientNet-Lite0, cached; Adam; CIFAR-10, 2,000 at 128", "cifar_fe", 1e-4, 3, { model = "efficientnet_lite0",
    weights = weights, ["data.root"] = CIFAR, ["data.size"] = 128, ["data.limit"] = 2000, ["data.test_limit"] = 1000 } },
  { "frozen_sgd", "the same head; SGD with momentum; chest X-rays, 899 at 128", "fashion_fe", 1e-4, 3, { weights = weights, head = 3, data = "folder",
    ["data.root"] = XRAY, ["data.size"] = 128, ["data.group"] = PATIENT, optim = "SGD", ["optim.momentum"] = 0.9 } },
  { "blocks", "fine-tuning blocks 10 to 15 and the head; Adam; CIFAR-10, 1,500 at 64", "cifar_ft", 1e-5, 1, { model = "efficientnet_lite0", weights = weights,
    ["data.root"] = CIFAR, ["data.size"] = 64, ["data.limit"] = 1500, ["data.test_limit"] = 1000, ["schedule.epochs"] = 0,
    ["schedule.1.freeze"] = "*,!_blocks.1[0-5].*,!_conv_head.*,!_bn1.*" } },
  { "scratch", "an own small network from scratch; SGD, one cycle; CIFAR-10, 4,000 at 32", "own_net", 1e-3, 1, { ["data.root"] = CIFAR, ["data.limit"] = 4000,
    ["data.test_limit"] = 1000, ["schedule.epochs"] = 4 } },
  { "whole", "fine-tuning the whole network; AdamW, kept statistics; chest X-rays, 899 at 64", "transfer_vs_scratch", 1e-5, 1, { weights = weights, data = "folder",
    ["data.root"] = XRAY, ["data.size"] = 64, ["data.group"] = PATIENT, batchnorm = "eval", optim = "AdamW", ["schedule.epochs"] = 4 } },
  -- Two that no one looked at while the rule was made.
  { "lion", "held out: the head on CIFAR-10 again, 1,000 pictures; Lion", "cifar_fe", 1e-6, 3, { model = "efficientnet_lite0", weights = weights,
    ["data.root"] = CIFAR, ["data.size"] = 128, ["data.limit"] = 1000, ["data.test_limit"] = 1000, optim = "Lion" } },
  { "rmsprop", "held out: the head on chest X-rays again, batches of 16; RMSprop", "fashion_fe", 1e-5, 3, { weights = weights, head = 3, data = "folder",
    ["data.root"] = XRAY, ["data.size"] = 128, ["data.group"] = PATIENT, ["data.batch"] = 16, optim = "RMSprop" } },
}

local function recipe(case, more)
  local path = ("recipes/%s.lua"):format(case[3])
  local r = assert(loadfile(path, "t"))()
  r:set_source(path)
  local list = { { "data.split_seed", "0" } }
  for _, options in ipairs { case[6], more or {} } do
    for name, value in pairs(options) do list[#list + 1] = { name, tostring(value) } end
  end
  return r:override(list)
end

-- ---- what is measured, and kept ----

local known = {}
for line in (core.exists(kept) and core.read_file(kept) or ""):gmatch "[^\n]+" do
  local each = core.json_decode(line)
  known[each.key] = each
end

local function once(key, f)
  if not known[key] then
    local each = f()
    each.key = key
    core.append_file(kept, core.json_encode(each) .. "\n")
    known[key] = each
    collectgarbage()
    io.stderr:write(("%s  %s\n"):format(os.date "%H:%M:%S", key))
  end
  return known[key]
end

-- The test pictures of a run, "1" where it was right, else "0".
local function right_of(seen)
  local right = {}
  for i, label in ipairs(seen.labels) do
    local best = 1
    for k, p in ipairs(seen.probabilities[i]) do
      if p > seen.probabilities[i][best] then best = k end
    end
    right[i] = best == label + 1 and "1" or "0"
  end
  return table.concat(right)
end

-- A training; without `right` where the loss was no number.
local function train_once(case, rate, seed)
  return once(("%s %.3g%s"):format(case[1], rate, seed > 0 and " seed " .. seed or ""), function()
    local begin = core.time()
    local ok, result = pcall(function()
      return recipe(case, { ["optim.lr"] = ("%.6g"):format(rate), out = ("%s.%d"):format(kept, core.getpid()), seed = seed }):run { force = true, style = "quiet" }
    end)
    if not ok then
      if not tostring(result):find("the loss is", 1, true) then error(result, 0) end
      return { seconds = core.time() - begin }
    end
    return { right = right_of(result.session.seen), loss = result.epochs[#result.epochs].test_loss, seconds = core.time() - begin }
  end)
end

-- Over the case's seeds: how often each test picture was right; percent and seconds of the mean run.
local function train(case, rate)
  local out = { seconds = 0, percent = 0, loss = 0 }
  for seed = 0, case[5] - 1 do
    local run = train_once(case, rate, seed)
    out.seconds = out.seconds + run.seconds / case[5]
    if not run.right then
      out.diverged = true
      return out
    end
    out.loss = out.loss + (run.loss or 0 / 0) / case[5]
    for i = 1, #run.right do
      out[i] = (out[i] or 0) + (run.right:byte(i) - 48) / case[5]
      out.percent = out.percent + (run.right:byte(i) - 48) / case[5] / #run.right * 100
    end
  end
  return out
end

local function find(case, seed)
  local m = once(("%s finder %d"):format(case[1], seed), function()
    local s = recipe(case, { seed = seed }):build()
    s.progress = progress.new "quiet"
    local begin = core.time()
    local found = finder.find(s)
    return { rates = found.rates, losses = found.losses, before = found.before, seconds = core.time() - begin }
  end)
  local found = rule.suggest(m.rates, finder.curve(m.before, m.losses))
  found.seconds = m.seconds
  return found, m
end

-- ---- other rules, on the same sweeps ----

-- The running mean with a decay of 0.98.
local function running(losses)
  local out, sum = {}, 0
  for i, v in ipairs(losses) do
    sum = 0.98 * sum + 0.02 * v
    out[i] = sum / (1 - 0.98 ^ i)
  end
  return out
end

-- Where it falls fastest before its lowest, from place `from` on.
local function fastest(rates, mean, from)
  local lowest, at = from, nil
  for i = from, #mean do
    if mean[i] < mean[lowest] then lowest = i end
  end
  for i = math.max(from, 2), lowest - 1 do
    local slope = mean[i + 1] - mean[i - 1]
    if slope < 0 and (not at or slope < mean[at + 1] - mean[at - 1]) then at = i end
  end
  return at and rates[at]
end

-- A share of the way along the longest falling subsequence, without the first ten and the last five steps: fastai's valley, which goes half the way.
local function along(rates, mean, share)
  local length, before, last = {}, {}, 11
  for i = 11, #mean - 5 do
    length[i] = 1
    for k = 11, i - 1 do
      if mean[k] > mean[i] and length[k] >= length[i] then length[i], before[i] = length[k] + 1, k end
    end
    if length[i] > length[last] then last = i end
  end
  local first = last
  while before[first] do first = before[first] end
  return rates[first + math.floor((last - first) * share)]
end

local function former(m) return fastest(m.rates, running(m.losses), 1) end
local others = {
  { "valley", function(m) return rule.suggest(m.rates, finder.curve(m.before, m.losses)).valley end },
  { "steepest", function(m) return rule.suggest(m.rates, finder.curve(m.before, m.losses)).steepest end },
  { "valley of the losses alone", function(m) return rule.suggest(m.rates, m.losses).valley end },
  { "steepest of the losses alone", function(m) return rule.suggest(m.rates, m.losses).steepest end },
  { "running mean, fastai's valley", function(m) return along(m.rates, running(m.losses), 1 / 2) end },
  { "running mean, two thirds along the same", function(m) return along(m.rates, running(m.losses), 2 / 3) end },
  { "running mean, steepest after ten steps (as Lightning)", function(m) return fastest(m.rates, running(m.losses), 11) end },
  { "running mean, steepest (tlua before)", former },
}

-- ---- tables ----

-- By how many percent of the test pictures b is behind a, and the interval of that over the pictures. Two pictures more stand beside them, as in
-- Agresti and Min (2005), so that no interval has a width of 0.
local function lost(a, b)
  if b.diverged then return "all" end
  local sum, squares, n = 0, 1, #a + 2
  for i = 1, #a do sum, squares = sum + a[i] - b[i], squares + (a[i] - b[i]) ^ 2 end
  local d = sum / n
  local half = 1.959964 * math.sqrt(squares / n - d * d) / math.sqrt(n)
  return ("%.1f (%.1f to %.1f)"):format(a.percent - b.percent, 100 * (d - half), 100 * (d + half))
end

local function number(v) return v and ("%.1e"):format(v) or "none" end
local function percent(run) return run.diverged and "-" or ("%.1f"):format(run.percent) end
local function add(list, format, ...) list[#list + 1] = format:format(...) end

-- The cells of a suggestion, {rates of all seeds}, trained at the first.
local function suggested(case, best, rates)
  local names = {}
  for i = 1, #SEEDS do names[i] = number(rates[i]) end
  local run = rates[1] and train(case, rates[1])
  return ("%s | %s | %s"):format(table.concat(names, " "), run and percent(run) or "-", run and lost(best, run) or "-")
end

-- What a rate would have, on the line between the trained ones beside it: list of {rate, percent}. Without a rate nothing is trained: that of
-- the smallest.
local function between(list, rate)
  table.sort(list, function(a, b) return a[1] < b[1] end)
  if not rate or rate <= list[1][1] then return list[1][2] end
  for i = 2, #list do
    local a, b = list[i - 1], list[i]
    if rate <= b[1] then return a[2] + (b[2] - a[2]) * math.log(rate / a[1]) / math.log(b[1] / a[1]) end
  end
  return list[#list][2]
end

local first, second, third, sums = {}, {}, {}, {}
for _, case in ipairs(cases) do
  local wanted = #arg < 4
  for i = 4, #arg do wanted = wanted or arg[i] == case[1] end
  if wanted then
    local best, at, seconds, cells, list = nil, nil, 0, {}, {}
    for i = 1, 9 do
      local rate = case[4] * 10 ^ ((i - 1) / 2)
      local run = train(case, rate)
      seconds = seconds + run.seconds / 9
      if not run.diverged and (not best or run.percent > best.percent) then best, at = run, rate end
      cells[i], list[i] = percent(run), { rate, run.diverged and 0 or run.percent }
    end
    local valleys, steep, before, time = {}, {}, {}, 0
    for i, seed in ipairs(SEEDS) do
      local f, m = find(case, seed)
      valleys[i], steep[i], before[i], time = f.valley, f.steepest, number(former(m)), time + f.seconds / #SEEDS
      for k, other in ipairs(others) do sums[k] = (sums[k] or 0) + (best.percent - between(list, other[2](m))) / #SEEDS end
    end
    add(first, "| %s | %s | %s | %s | %s |", case[2], number(at), percent(best), suggested(case, best, valleys), suggested(case, best, steep))
    add(second, "| %s, from %s | %s |", case[1], number(case[4]), table.concat(cells, " | "))
    add(third, "| %s | %s | %.0f s | %.0f s |", case[1], table.concat(before, " "), time, seconds)
  end
end
print "| recipe | best of nine | its accuracy | valley, seeds 0 1 2 | accuracy | lost | steepest, seeds 0 1 2 | accuracy | lost |"
print "|---|---:|---:|---|---:|---|---|---:|---|"
print(table.concat(first, "\n"))
print "\n| nine rates, each 3.16 times the one before | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |"
print "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
print(table.concat(second, "\n"))
print "\n| | the former rule, same sweeps | a sweep | a training |"
print "|---|---|---:|---:|"
print(table.concat(third, "\n"))
print "\n| rule | points lost, sum of the recipes |"
print "|---|---:|"
for k, other in ipairs(others) do print(("| %s | %.0f |"):format(other[1], sums[k])) end
