-- run.lua - the calls of a graph, made one by one with the operators of Lua, so that the tape sees what it sees of any
-- module; and those that are fixed, or all where nothing is recorded, as a plan.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local recompute = require "tlua.recompute"
local ops = core.ops
local run = {}

-- ---- which calls are trained ----

-- Is one of the call's tensors trained?
local function trains(self, c)
  if c.head then return select(2, c.head:_survey()) end
  for _, each in ipairs(c.inputs) do
    local place = type(each) == "string" and self.places_of[each]
    if place and not place[1]._frozen[place[2]] then
      for _, spec in ipairs(place[1]._specs) do
        if spec.name == place[2] and spec.kind == "parameter" then return true end
      end
    end
  end
  return false
end

-- What follows from freezing: {fixed = how many first calls give the same for the same input, drops = {call = true}}. A
-- dropout draws between parts that are trained, or beside one.
function run.survey(self)
  local known = rawget(self, "_survey_of")
  if known and known.changes == module.changes then return known end
  local s = { changes = module.changes, drops = {}, fixed = #self.calls }
  local before, waiting = false, {}
  for i, c in ipairs(self.calls) do
    local has = c.head ~= nil
    for _, each in ipairs(c.inputs) do has = has or type(each) == "string" end
    local moves = has and trains(self, c)
    if has then
      for _, k in ipairs(waiting) do s.drops[k] = s.drops[k] or moves end
      before, waiting = moves, {}
    elseif c.op == "dropout" then
      s.drops[i] = before
      waiting[#waiting + 1] = i
    end
    if s.fixed == #self.calls and (moves or (c.norm and c.norm:uses_batch())) then s.fixed = i - 1 end
  end
  for i = s.fixed, 1, -1 do
    if self.training and s.drops[i] then s.fixed = i - 1 end
  end
  rawset(self, "_survey_of", s)
  return s
end

-- ---- one call ----

-- A norm that was put into an imported network (batchnorm = "fresh" of models.onnx) has a variance of 0, and a weight
-- that undoes its division: it does nothing. With the first batch in training it gets that batch's statistics, and
-- weight and bias that undo them: so it goes on as it was, and is trained from there.
local function begin(x, args, eps)
  local axes = {}
  for i = 1, x:rank() - 1 do axes[i] = i end
  local mean = ops.mean(x, { axes = axes })
  local variance = ops.mean(ops.square(ops.sub(x, mean)), { axes = axes })
  args[2]:copy_(ops.sqrt(ops.add_scalar(variance, eps)))
  args[3]:copy_(mean)
  args[4]:copy_(mean)
  args[5]:copy_(variance)
end

local function is_unbegun(args) return args[2] and args[3] and ops.amax(args[5]):item() == 0 end

local function batch_norm(c, args, attrs)
  local own = c.norm
  local training = own ~= nil and own:uses_batch()
  if own and rawget(own, "beginning") and is_unbegun(args) then begin(args[1], args, attrs.eps) end
  local momentum = own and (recompute.again and 0 or own.momentum) or attrs.momentum
  local y = ops.batch_norm(args[1], args[2], args[3], args[4], args[5], args[6],
    { training = training, momentum = momentum, eps = attrs.eps, activation = attrs.activation })
  if training and not plan.imaginary and not recompute.again then own.batches = own.batches + 1 end
  return y
end

-- tensors: stand-ins by name, where the graph's own are not wanted.
local function call(self, c, i, values, sizes, tensors)
  local args, n = {}, #c.inputs
  for k, each in ipairs(c.inputs) do
    if type(each) == "number" then args[k] = values[each]
    elseif each and tensors then args[k] = tensors[each]
    elseif each then
      local place = self.places_of[each]
      args[k] = place[1]._tensors[place[2]]
    end
  end
  if c.head then return (c.head(args[1])) end
  local attrs = plan.attributes(c, sizes)
  if c.op == "batch_norm" then return batch_norm(c, args, attrs) end
  if c.op == "dropout" then
    local draws = not plan.writing and self.training and run.survey(self).drops[i]
    if not draws and not plan.writing then return args[1] end
    attrs = { p = attrs.p, training = draws }
  end
  args[n + 1] = attrs
  if module.tap and c.op == "embedding" then return module.tap((ops[c.op](table.unpack(args, 1, n + 1)))) end
  return ops[c.op](table.unpack(args, 1, n + 1))
end

-- ---- many calls ----

-- What goes in, as values; `holders` counts the values that one handle stands for, since a dropout that does nothing
-- gives what it was given.
function run.values_of(list)
  local values = { table.unpack(list) }
  values.holders = {}
  for _, x in ipairs(list) do values.holders[x] = 1 end
  return values
end

function run.put(values, v, t)
  values[v] = t
  values.holders[t] = (values.holders[t] or 0) + 1
end

local function let_go(values, v)
  local t = values[v]
  values[v] = nil
  values.holders[t] = values.holders[t] - 1
  if values.holders[t] == 0 then core.discard(t) end
end

-- Lets go what call i was the last to take or made for nobody.
function run.let_go_unused(self, values, i, kept)
  local c, inputs = self.calls[i], #self.inputs
  for _, v in ipairs(c.inputs) do
    local made = type(v) == "number" and v > inputs
    if made and self.last[v] == i and not (kept and kept[v]) and values[v] then let_go(values, v) end
  end
  for v = c.first, c.first + c.results - 1 do
    if not self.last[v] and not (kept and kept[v]) and values[v] then let_go(values, v) end
  end
end

-- Makes the calls first..last. What no later one takes is let go at once, but for what went in and values that are
-- `kept` (number = true).
function run.range(self, values, sizes, first, last, kept, tensors)
  for i = first, last do
    local c = self.calls[i]
    local list = table.pack(call(self, c, i, values, sizes, tensors))
    if list.n ~= c.results then -- values would be taken for others
      util.failf("%s: %s gives %d values, not %d", self:label(), c.op, list.n, c.results)
    end
    for k = 1, list.n do run.put(values, c.first + k - 1, list[k]) end
    run.let_go_unused(self, values, i, kept)
  end
end

-- Lets fresh norms begin, in a pass of its own before the first that counts: what is recorded must not be changed
-- behind its back.
local function begin_norms(self, values, sizes, first, last)
  if not self.training or plan.imaginary or recompute.again then return end
  local fresh, kept = {}, {}
  for i = first, last do
    local own = self.calls[i].norm
    if own and not rawget(own, "looked_at") and own:uses_batch() then
      rawset(own, "looked_at", true)
      if ops.amax(own._tensors.running_var):item() == 0 then fresh[#fresh + 1] = own end
    end
  end
  if #fresh == 0 then return end
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local copy = { holders = {} }
  for v, t in pairs(values) do
    if v ~= "holders" then
      run.put(copy, v, t)
      kept[v] = true
    end
  end
  for _, own in ipairs(fresh) do rawset(own, "beginning", true) end
  run.range(self, copy, sizes, first, last, kept)
  for _, own in ipairs(fresh) do rawset(own, "beginning", nil) end
end

-- The same, with gradient checkpointing: stages that are marked are computed again by backward.
function run.stretch(self, values, sizes, first, last, kept)
  begin_norms(self, values, sizes, first, last)
  local marked = core.recording() and self:marked_stretches()
  local i = first
  while i <= last do
    local s, begin = marked and marked[i], i
    if s and s.last <= last then
      local y = recompute.run(function(x)
        local inner = run.values_of {}
        run.put(inner, s.from, x)
        run.range(self, inner, sizes, begin, s.last, { [s.from] = true, [s.value] = true })
        return inner[s.value]
      end, values[s.from])
      run.put(values, s.value, y)
      for k = i, s.last do run.let_go_unused(self, values, k, kept) end
      i = s.last + 1
    else
      local stop = i
      while stop < last and not (marked and marked[stop + 1]) do stop = stop + 1 end
      run.range(self, values, sizes, i, stop, kept)
      i = stop + 1
    end
  end
end

-- What goes in, as a list, and the sizes of the symbols in it.
function run.check_inputs(self, ...)
  local list, sizes = table.pack(...), {}
  if list.n == 1 and type(list[1]) == "table" and not core.is_tensor(list[1]) then list = list[1] end
  if #list ~= #self.inputs then
    util.failf("%s: it has %d inputs, and %d were given", self:label(), #self.inputs, #list)
  end
  for i, port in ipairs(self.inputs) do
    if not core.is_tensor(list[i]) then util.failf("%s: the input '%s' is no tensor", self:label(), port.name) end
    local shape = list[i]:shape()
    local fits = #shape == #port.dims
    for k, d in ipairs(port.dims) do
      if type(d) == "string" then
        sizes[d] = sizes[d] or shape[k]
        d = sizes[d]
      end
      fits = fits and d == shape[k]
    end
    if not fits then
      local dims = {}
      for k, d in ipairs(port.dims) do dims[k] = tostring(d) end
      util.failf("%s: the input '%s' is (%s), not %s", self:label(), port.name, table.concat(dims, ", "),
        util.shape_text(shape))
    end
  end
  return list, sizes
end

function run.results(self, values)
  local out = {}
  for i, port in ipairs(self.outputs) do out[i] = values[port.value] end
  return #out == 1 and out[1] or out
end

-- ---- as a plan ----

-- Values that the first k calls make and later ones want.
local function boundary(self, k)
  local list, last = {}, k > 0 and self.calls[k] or { first = #self.inputs, results = 1 }
  for v = #self.inputs + 1, last.first + last.results - 1 do
    if self.last[v] and self.last[v] > k then list[#list + 1] = v end
  end
  return list
end

-- The values after the first k calls, without gradients, as a plan.
function run.below(self, list, k)
  local wanted, values = boundary(self, k), run.values_of(list)
  if k == 0 or #wanted == 0 then return values, 0 end
  local guard <close> = core.no_grad()
  local function first(me, x)
    local given, of_given = run.check_inputs(me, x) -- while it is traced there are stand-ins of other sizes
    local made = run.values_of(given)
    run.range(me, made, of_given, 1, k)
    local out = {}
    for i, v in ipairs(wanted) do out[i] = made[v] end
    return out
  end
  local made = plan.run(self, "below " .. k, first, #list == 1 and list[1] or list)
  for i, v in ipairs(wanted) do run.put(values, v, made[i]) end
  return values, k
end

-- ---- the whole ----

function run.forward(self, ...)
  local list, sizes = run.check_inputs(self, ...)
  local s = run.survey(self)
  local k = not core.recording() and #self.calls or module.wants_gradient(table.unpack(list)) and 0 or s.fixed
  if not core.recording() and s.fixed < k and self.training then k = s.fixed end -- what is left may move statistics
  if plan.tracing or plan.off then k = 0 end
  local values
  values, k = run.below(self, list, k)
  run.stretch(self, values, sizes, k + 1, #self.calls)
  return run.results(self, values)
end

-- ---- looking inside: tlua/command/explain.lua ----

local ELEMENTWISE = { add = true, mul = true, sub = true, relu = true, relu6 = true, silu = true, hardswish = true,
  gelu = true, sigmoid = true, tanh = true, hardsigmoid = true, batch_norm = true, dropout = true, maximum = true }

-- Calls f(k, name, y, own) for the output y of each call k, until f says true. own: weights made it, or what they made
-- was only changed place by place.
function run.each_output(self, x, f)
  local list, sizes = run.check_inputs(self, x)
  local values, own, kept = run.values_of(list), {}, {}
  for i, c in ipairs(self.calls) do
    local v = c.first
    kept[v] = true
    run.range(self, values, sizes, i, i, kept)
    own[v] = false
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" or (ELEMENTWISE[c.op] and own[each]) then own[v] = true end
    end
    if f(i, c.name, values[v], own[v]) then return end
  end
end

-- What comes out of call k for x, as a leaf, and a function that goes on from there.
function run.split(self, x, k)
  local list, sizes = run.check_inputs(self, x)
  local values = run.values_of(list)
  local at = self.calls[k].first
  do
    local guard <close> = core.no_grad()
    run.range(self, values, sizes, 1, k, { [at] = true })
  end
  return values[at], function(a)
    run.put(values, at, a)
    run.range(self, values, sizes, k + 1, #self.calls, { [at] = true })
    return run.results(self, values)
  end
end

return run
