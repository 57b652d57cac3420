-- plan.lua - plans of networks: a forward that is not recorded is traced once and then run as a list of calls
-- (src/plan/plan.h), with batch norms folded and buffers shared. What cannot be a plan runs as it is written.
local core = require "tlua.core"
local module = require "tlua.nn.module"
-- `tracing`: a plan is being made, modules do what they do step by step. `imaginary`: so, or in a dry run; nothing that
-- happens counts (batches that a batch norm has seen).
local plan = { tracing = false, imaginary = false }

local function dims_of(x)
  local dims = x:shape()
  dims[1] = 0
  return dims
end

local function fits(kept, x)
  if kept.changes ~= module.changes then return false end
  local dims = dims_of(x)
  if #dims ~= #kept.dims then return false end
  for i = 1, #dims do
    if dims[i] ~= kept.dims[i] then return false end
  end
  return true
end

-- `make` is core.plan or core.plan_text.
local function traced_once(make, self, f, dims, ...)
  local before = plan.imaginary
  plan.tracing, plan.imaginary = true, true
  local ok, made, why = pcall(make, function(input)
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    local y = f(self, input)
    scope:keep(y)
    return y
  end, dims, ...)
  plan.tracing, plan.imaginary = false, before
  if not ok then made, why = nil, made end
  return made, why, ok
end

-- A plan rounds otherwise than the steps one by one: for want of memory there is no other way but an error, after a second try.
local function traced(make, ...)
  for attempt = 1, 2 do
    local before = core.memory_failures()
    local made, why, ok = traced_once(make, ...)
    local short = core.memory_failures() ~= before
    if made or (ok and not short) then return made, why end
    if not short or attempt == 2 then error(why, 0) end
    collectgarbage()
  end
end

local function trace(self, f, x) return traced(core.plan, self, f, dims_of(x)) end

-- The whole forward of a network in inference mode as text, for pictures of these height, width and channels: what a model file
-- holds for programs without Lua (src/plan/listing.c). nil and why not, where something in it cannot be repeated.
function plan.text(self, height, width, channels)
  self:ready()
  local tensors = {}
  for name, t in self:named_tensors() do tensors[name] = t end
  return traced(core.plan_text, self, self.forward, { 0, height, width, channels }, tensors)
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

-- f(self, x) for a module and a tensor (N, ...), without gradients. `name` tells its plans apart. Everything below must
-- have its tensors already.
function plan.run(self, name, f, x)
  if plan.tracing or plan.off then return f(self, x) end
  local plans = rawget(self, "_plans")
  if not plans then
    plans = {}
    rawset(self, "_plans", plans)
  end
  local kept = plans[name]
  if not kept or not fits(kept, x) then
    if kept and kept.plan then kept.plan:close() end
    local made, why = trace(self, f, x)
    kept = { plan = made, why = why, changes = module.changes, dims = dims_of(x) }
    plans[name] = kept
  end
  if not kept.plan then return f(self, x) end
  return kept.plan:run(x)
end

-- The plan itself and why there is none, for those who want to see it.
function plan.of(self, name)
  local kept = rawget(self, "_plans") and self._plans[name]
  if kept then return kept.plan, kept.why end
end

return plan
