-- explain.lua - `tlua explain`: where a network looked when it judged a picture. Grad-CAM (Selvaraju et al. 2017): the
-- channels of the last convolution, weighted by the mean gradient of the class's logit.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local commands = require "tlua.command.commands"
local model_file = require "tlua.weights.model_file"
local input = require "tlua.data.input"
local predict = require "tlua.command.predict"
local explain = {}

local function has_tensors(net, k)
  local any = false
  net:each_stage_tensor(k, function() any = true end)
  return any
end

-- Calls f(k, name, y, tensors) for the output y of each stage of a network, or of each call of a graph, until f says
-- true. tensors: it has weights.
local function each_output(net, x, f)
  if net.each_output then return net:each_output(x, f) end
  for k = 1, net:stage_count() do
    x = net:stage(x, k)
    if f(k, net:stage_name(k), x, has_tensors(net, k)) then return end
  end
end

-- Of a list of tensors, which the stages of a network of maps hand on, what the next stage takes.
local function last_of(y)
  if core.is_tensor(y) then return y end
  return y[#y]
end

local FEW = 5 -- places on a side, below which a map hardly says where

-- The layer to take instead of one with few places: the last before it with weights and at least FEW on a side, else
-- the one with the most. outputs: what was seen below it, {name =, size =, tensors =}.
local function finer_than(here, outputs)
  local best
  for _, each in ipairs(outputs) do
    local side = math.min(table.unpack(each.size))
    local finer = each.tensors and side > math.min(table.unpack(here.size))
    if finer and (side >= FEW or not best or side > math.min(table.unpack(best.size))) then best = each end
  end
  return best
end

-- The sides of a map (1, ..., C) of as many dimensions as x; nil where it is none, or has one place alone.
local function size_of(y, x)
  local size, places = {}, 1
  for i = 2, y:rank() - 1 do
    size[i - 1] = y:shape(i)
    places = places * y:shape(i)
  end
  return y:rank() == x:rank() and places > 1 and size or nil
end

-- The number of the stage whose output is explained: the one called `layer`, else the last with weights whose output x
-- (1, H, W, C), or of volumes (1, D, H, W, C), still has places, more than one of them. And {name =, size = {...}} of
-- its output, with a finer one where it has few places.
function explain.places(net, x, layer)
  local guard <close> = core.no_grad()
  local scope <close> = core.scope()
  if layer and net.call_of then layer = net:call_of(layer) or layer end -- a graph's outputs are those of its calls
  local found, here, known, outputs, names = nil, nil, false, {}, {}
  each_output(net, x, function(k, name, y, tensors)
    local wanted = layer == name
    known, names[#names + 1] = known or wanted, name
    y = last_of(y)
    local size = size_of(y, x)
    if size then
      local each = { name = name, size = size, tensors = tensors }
      if wanted or (not layer and tensors) then found, here = k, each end
      if not (found == k) or not layer then outputs[#outputs + 1] = each end
    end
    return wanted
  end)
  if layer and not known then util.fail("explain: " .. util.unknown_text("layer", layer, names)) end
  if found then
    here.finer = math.min(table.unpack(here.size)) < FEW and finer_than(here, outputs) or nil
    return found, here
  end
  util.failf("explain: %s of %s is %s map of places (%sheight, width, channels); Grad-CAM needs the output of a "
    .. "convolution",
    layer and ("the output of " .. layer) or "no output of a layer", net:label(),
    layer and "no" or "a", x:rank() == 5 and "depth, " or "")
end

-- The number alone.
function explain.stage(net, x, layer)
  local k = explain.places(net, x, layer)
  return k
end

-- x (N, H, W, C) or (N, D, H, W, C), after preprocessing -> maps (N, h, w) or (N, d, h, w) of what stage k puts out,
-- not negative, and logits (N, classes) as a list. Equations 1 and 2: weight of channel c = mean over places of d
-- logit / d a_c, map = relu(sum of weight_c a_c). classes: a class a picture, from 0, or a function of a row of logits
-- that says it; nil: the likeliest. Parameters
-- may be frozen: the gradient goes to the activations alone. A network that gives a map of classes is asked for the
-- mean over its places (Vinogradova et al. 2020); its scores are the logarithms of the mean probabilities.
function explain.maps(net, x, k, classes)
  local scope <close> = core.scope()
  local below, rest = net:split(x, k)
  local a = last_of(below)
  a:requires_grad(true)
  local logits, axes = rest(below), {}
  for i = 2, x:rank() - 1 do axes[i - 1] = i end
  local said = logits
  if logits:rank() == x:rank() then
    said = logits:detach():softmax(-1):mean { axes = axes }:log()
    logits = logits:mean { axes = axes }
  end
  local scores, n, chosen = said:tolist(), x:shape(1), {}
  for i = 1, n do
    local row, best = {}, 1
    for c = 1, #scores[i] do
      row[c] = 0
      if scores[i][c] > scores[i][best] then best = c end
    end
    local class = type(classes) == "function" and classes(scores[i]) or type(classes) == "table" and classes[i]
    row[class and class + 1 or best] = 1
    chosen[i] = row
  end
  local judged = (logits * core.tensor(chosen)):sum()
  judged:backward()
  local guard <close> = core.no_grad()
  local weight = a.grad:mean { axes = axes, keep = true }
  local map = (a:detach() * weight):sum { axes = { x:rank() } }:relu()
  scope:keep(map)
  return map, scores
end

-- ---- the command ----

-- The number of a class, from 0, from its name or number.
function explain.class_of(info, net, word)
  for i, label in ipairs(info.labels or {}) do
    if core.composed(label) == core.composed(word) then return i - 1 end
  end
  local number = math.tointeger(tonumber(word))
  if number and number >= 0 and number < net.classes then return number end
  schema.usage("--class: " .. util.unknown_text("class", word, info.labels or { ("0 to %d"):format(net.classes - 1) }))
end

-- A file in `folder` for each picture, named after it; with the folders before it where two pictures share a name.
local function targets(folder, paths)
  local count, out = {}, {}
  local function short(path) return (path:match "([^/]+)$":gsub("%.%w+$", "")) end
  for _, path in ipairs(paths) do count[short(path)] = (count[short(path)] or 0) + 1 end
  for i, path in ipairs(paths) do
    local name = count[short(path)] == 1 and short(path)
      or path:gsub("%.%w+$", ""):gsub("^%.?/+", ""):gsub("[/\\]+", "_")
    out[i] = ("%s/%s.png"):format(folder, name)
    for k = 1, i - 1 do
      if out[k] == out[i] then out[i] = ("%s/%s-%d.png"):format(folder, name, i) break end
    end
  end
  return out
end

-- {class, score} of a row of logits.
function explain.judged(row, class)
  local most, sum, best = -math.huge, 0, 1
  for c, v in ipairs(row) do
    if v > most then most, best = v, c end
  end
  for _, v in ipairs(row) do sum = sum + math.exp(v - most) end
  class = class or best - 1
  return { class = class, score = math.exp(row[class + 1] - most) / sum, output = row[class + 1] }
end

-- Where a threshold decides between two classes, as the recipe's positive class has one: a function of a row of logits
-- that says which class it is, and one that says in words what was judged. nil elsewhere.
function explain.decides(task)
  if task.kind ~= "classify" or not task.options.positive then return nil end
  local function answer(row) return task:decode(core.tensor { row }, { top = 2 })[1] end
  local function text(row, class)
    for _, each in ipairs(answer(row)) do
      if each.class == class then return (task:text { each }) end
    end
  end
  return function(row) return answer(row)[1].class end, text
end

-- What is said of it: a probability among the classes, or one of its own where labels do not exclude each other, or a
-- value.
function explain.said(kind, label, row)
  if kind == "regress" then return ("%s %.4g"):format(label, row.output) end
  return ("%s %.1f %%"):format(label, 100 * (kind == "multilabel" and 1 / (1 + math.exp(-row.output)) or row.score))
end

-- Which pictures of a batch x (N, H, W, C) are of one colour.
function explain.flat(x)
  local guard <close> = core.no_grad()
  local scope <close> = core.scope()
  local axes = {}
  for i = 2, x:rank() - 1 do axes[i - 1] = i end
  local spread = x:amax { axes = axes } + (-x):amax { axes = axes }
  local list = spread:amax { axes = { 2 } }:tolist()
  for i, v in ipairs(list) do list[i] = v < 1e-6 end
  return list
end

-- What is to be said of a map that says nothing; nil of others.
function explain.note(map, plain)
  if plain then return "of one colour: nowhere to look" end
  local low, high = math.huge, -math.huge
  for _, v in ipairs(map) do low, high = math.min(low, v), math.max(high, v) end
  if high == 0 then return "no place speaks for it" end
  if high - low < 1e-5 * high then return "every place speaks for it alike" end
end

function explain.places_text(m) return table.concat(m.size, " x ") .. " places" end
local places_text = explain.places_text

function explain.warn_of_few(m, quiet)
  if quiet or math.min(table.unpack(m.size)) >= FEW then return end
  util.note(("the map of %s has %s, too few to say where: %s"):format(m.name, places_text(m),
    m.finer and ("--layer %s has %s"):format(m.finer.name, table.concat(m.finer.size, " x "))
      or #m.size == 3 and "larger volumes have more" or "larger pictures have more"))
end

-- Answers one batch: maps of its pictures and what was judged.
local function batch_of(net, o)
  return function(x, n)
    if not o.stage then
      o.stage, o.map = explain.places(net, core.ops.slice(x, 1, 0, 1), o.layer)
      explain.warn_of_few(o.map, o.quiet)
    end
    local plain = explain.flat(x)
    local classes = o.class and function() return o.class end or o.decides
    local maps, scores = explain.maps(net, x, o.stage, classes)
    local out = {}
    for i = 1, n do
      local row = explain.judged(scores[i], classes and classes(scores[i]))
      row.text = o.words and o.words(scores[i], row.class)
      row.map = core.ops.slice(maps, 1, i - 1, 1):reshape { maps:shape(2), maps:shape(3) }
      if plain[i] then row.map = row.map * 0 end -- what it shows is where the network pads
      row.note = explain.note(row.map:reshape(-1):tolist(), plain[i])
      out[i] = row
    end
    return out
  end
end

function explain.main(args)
  local options, rest = commands.parse("explain", args)
  if #rest < 2 then commands.usage("explain", "a model and pictures are needed") end
  local o = commands.numbers(options, { batch = 16, threads = 0 })
  if options.device then core.device(options.device) end
  local net, info = model_file.open(rest[1], options.weights, options["weights.key"])
  if input.of(info.preprocessing).kind == "clip" then
    util.failf("explain: %s hears, and Grad-CAM shows places in pictures", rest[1])
  end
  if input.of(info.preprocessing).kind == "text" then
    return require("tlua.command.texts.explain").main(net, info, model_file.task(info, net, rest[1]),
      { table.unpack(rest, 2) }, rest[1], options, options.class and explain.class_of(info, net, options.class))
  end
  if input.of(info.preprocessing).kind == "volume" then
    return require("tlua.command.volumes.explain").main(net, info, { table.unpack(rest, 2) }, options)
  end
  local paths, found = predict.asked(info, input.of(info.preprocessing), { table.unpack(rest, 2) }, options)
  o.source = found and found.source
  net:freeze "*"
  o.quiet = options.quiet
  local task = model_file.task(info, net, rest[1])
  o.decides, o.words = explain.decides(task)
  o.class, o.layer = options.class and explain.class_of(info, net, options.class), options.layer
  local to = targets(options.to or "explain", paths)
  if task.takes == "levels" then
    return require("tlua.command.boxes.explain").main(net, info, task, paths, to, o, options)
  end
  local p, made, kind = info.preprocessing, false, info.task and info.task.name
  return predict.each(info, paths, o, options.quiet, "Explaining", batch_of(net, o), function(i, row)
    if not row then return end
    local label = info.labels and info.labels[row.class + 1] or tostring(row.class)
    local text = row.text or explain.said(kind, label, row)
    if not made then core.mkdirs(options.to or "explain") end
    made = true
    core.data.saliency { from = paths[i], source = o.source, index = i, to = to[i],
      map = row.map, resize = p.fit ~= "stretch" and p.resize or 0,
      size = p.size, caption = text, origin = row.note and "Grad-CAM: " .. row.note
        or ("Grad-CAM, %s, %s: 0 to most"):format(o.map.name, places_text(o.map)) }
    if options.quiet then return end
    print(("%s  %s  %s, %s%s"):format(to[i], text, o.map.name, places_text(o.map), row.note and "; " .. row.note or ""))
  end)
end

return explain
