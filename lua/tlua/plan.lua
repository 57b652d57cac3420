-- plan.lua - plans of networks: a forward that is not recorded is traced once and then run as a list of calls
-- (src/plan/plan.h), with batch norms folded and buffers shared. What cannot be a plan runs as it is written.
local core = require "tlua.core"
local module = require "tlua.nn.module"
-- `tracing`: a plan is being made, modules do what they do step by step. `imaginary`: so, or in a dry run; nothing that
-- happens counts (batches that a batch norm has seen). `writing`: what is traced goes into a file.
local plan = { tracing = false, imaginary = false, writing = false }

-- What goes in and comes out of a forward is a tensor, or a list of tensors.
local function unpacked(x)
  if core.is_tensor(x) then return x end
  return table.unpack(x)
end

-- What core.plan wants to know of x: dims with any number of pictures (`open`: and of any length), and the type.
local function inputs_of(x, open)
  local list = {}
  for i, each in ipairs(core.is_tensor(x) and { x } or x) do
    local dims = each:shape()
    dims[1] = "N"
    if open and #dims > 1 then dims[2] = "T" end
    dims.dtype = each:dtype() == "int32" and "int32" or "float32"
    list[i] = dims
  end
  return list
end

local function same_dims(a, b)
  if #a ~= #b or a.dtype ~= b.dtype then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

local function fits(kept, x)
  if kept.changes ~= module.changes or kept.is_list ~= not core.is_tensor(x) then return false end
  local inputs = inputs_of(x, kept.open)
  if #inputs ~= #kept.inputs then return false end
  for i, dims in ipairs(inputs) do
    if not same_dims(dims, kept.inputs[i]) then return false end
  end
  return true
end

-- `make` is core.plan or core.plan_text. The third result: whether f is given a list, the fourth: whether it gives one.
local function traced_once(make, self, f, is_list, inputs, ...)
  local before, gives_list, lowered = plan.imaginary, false, core.lowered()
  if lowered ~= "float32" then core.lowered "float32" end -- a plan is of float32
  plan.tracing, plan.imaginary = true, true
  local ok, made, why = pcall(make, function(...)
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    local y = f(self, is_list and { ... } or (...))
    gives_list = not core.is_tensor(y)
    if gives_list and type(y) ~= "table" then error("the forward gives no tensor", 0) end
    module.keep(scope, y)
    return unpacked(y)
  end, inputs, ...)
  plan.tracing, plan.imaginary = false, before
  if lowered ~= "float32" then core.lowered(lowered) end
  if not ok then made, why = nil, made end
  return made, why, ok, gives_list
end

-- A plan rounds otherwise than the steps one by one: for want of memory there is no other way but an error, after a
-- second try.
local function traced(make, ...)
  for attempt = 1, 2 do
    local before = core.memory_failures()
    local made, why, ok, gives_list = traced_once(make, ...)
    local short = core.memory_failures() ~= before
    if made or (ok and not short) then return made, why, gives_list end
    if not short or attempt == 2 then error(why, 0) end
    collectgarbage()
  end
end

-- With a length that is left open where the forward bears that, else with that of x.
local function trace(self, f, x, open)
  local is_list = not core.is_tensor(x)
  if open then
    local made, _, gives_list = traced(core.plan, self, f, is_list, inputs_of(x, open), open)
    if made then return made, nil, gives_list, open end
  end
  return traced(core.plan, self, f, is_list, inputs_of(x))
end

-- The whole forward of a network in inference mode as text (docs/format.md): what a model file holds for programs
-- without Lua, and for nn.Graph. inputs: { {"N", height, width, channels, name = "image", dtype = "float32"}, ... },
-- one for each argument of the forward; a size that is a text is left open. names: of what comes out; symbols: sizes of
-- others than "N" while it is traced. nil and why not, where something in it cannot be repeated.
function plan.text(self, inputs, names, symbols)
  self:ready()
  local tensors, buffers = {}, {}
  for name, t in self:named_tensors() do tensors[name] = t end
  for name in self:buffers() do buffers[name] = true end
  local function forward(me, x)
    local y, lengths = me:forward(unpacked(x))
    return lengths and { y, lengths } or y
  end
  plan.writing = true
  local ok, text, why = pcall(traced, core.plan_text, self, forward, #inputs > 1, inputs, symbols, tensors, names,
    buffers)
  plan.writing = false
  if not ok then error(text, 0) end
  return text, why
end

-- The highest number of device bytes while f() runs, beginning with what is alive now; nothing is computed. What f
-- changes outside of tensors is f's to put back; gradients that it left are not real: zero them.
function plan.memory(f)
  plan.imaginary = true
  local ok, result = pcall(core.dry, function()
    local scope <close> = core.scope()
    f()
  end)
  plan.imaginary = false
  if not ok then error(result, 0) end
  return result
end

-- f(self, x) for a module and a tensor (N, ...), without gradients; x and what f gives may also be lists of tensors.
-- `name` tells its plans apart. Everything below must have its tensors already. open: {T = a length that a trace can
-- have} where second dimensions are lengths, so that one plan serves all.
function plan.run(self, name, f, x, open)
  if plan.tracing or plan.off then return f(self, x) end
  local plans = rawget(self, "_plans")
  if not plans then
    plans = {}
    rawset(self, "_plans", plans)
  end
  local kept = plans[name]
  if not kept or not fits(kept, x) then
    if kept and kept.plan then kept.plan:close() end
    self:walk(function(m) if m.before_plan then m:before_plan() end end)
    local made, why, gives_list, any_length = trace(self, f, x, open)
    kept = { plan = made, why = why, changes = module.changes, inputs = inputs_of(x, any_length),
      open = any_length, is_list = not core.is_tensor(x),
      gives_list = gives_list }
    plans[name] = kept
  end
  if not kept.plan then return f(self, x) end
  if kept.gives_list then return { kept.plan:run(unpacked(x)) } end
  local y = kept.plan:run(unpacked(x))
  return y
end

-- The attributes of a call of core.plan_calls, with what depends on the sizes: {symbol = number}.
function plan.attributes(c, sizes)
  if #c.sized == 0 then return c.attrs end
  local out = {}
  for key, value in pairs(c.attrs) do out[key] = type(value) == "table" and { table.unpack(value) } or value end
  for _, each in ipairs(c.sized) do
    local v = each.times * sizes[each.symbol]
    if each.at == 0 then out[each.attr] = v else out[each.attr][each.at] = v end
  end
  return out
end

-- The plan itself and why there is none, for those who want to see it.
function plan.of(self, name)
  local kept = rawget(self, "_plans") and self._plans[name]
  if kept then return kept.plan, kept.why end
end

return plan
