-- ema.lua - a running average of the weights that an optimiser trains, which often tests better than the weights themselves.
--
--   local ema = tlua.optim.ema(opt, { decay = 0.999, model = net })
--   ... opt:step() ema:update() ...      average = decay average + (1 - decay) weight, one launch a group
--   ramp = 2000 lets the share grow, so that the first steps are forgotten; ema:update(step) says which step it is
--   ema:swap() ... ema:swap()            the network has the averages between the two
--
-- The first update begins the average, as torch.optim.swa_utils.AveragedModel does. With `model`, its running statistics are averaged
-- too, but of frozen batch norms, whose statistics stand. The averages of weights are part of opt:state(); those of statistics are ema:state().
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local ema = {}

local Ema = {}
Ema.__index = Ema

local SCHEMA = { { "decay", "number", 0.999, "share of the average that stays in each step", above = 0, below = 1 },
  { "ramp", "number", 0,
    "steps in which that share grows: it is decay (1 - exp(-step / ramp)), as YOLOX has it; 0: at once", least = 0 } }

-- name -> tensor, of the buffers that training changes.
local function moving_buffers(net)
  local list = {}
  net:walk(function(m, path)
    if not m:buffers_move() then return end
    for _, spec in ipairs(m._specs) do
      local t = spec.kind == "buffer" and m[spec.name]
      if t and t:dtype() == "float32" then list[path == "" and spec.name or path .. "." .. spec.name] = t end
    end
  end)
  return list
end
ema.moving_buffers = moving_buffers

function ema.new(opt, options)
  local given = {}
  for key, value in pairs(options or {}) do given[key] = value end
  local net = given.model
  given.model = nil
  if net and not module.is_module(net) then util.failf("optim.ema: model must be a module") end
  local self = setmetatable(schema.options("optim.ema", SCHEMA, given), Ema)
  self.opt, self.swapped, self.averages = opt, false, {}
  self.buffers = net and moving_buffers(net) or {}
  self.names = util.keys(self.buffers)
  return self
end

-- Whether there is an average: after the first update, or in an optimiser that took up a state with one.
function Ema:begun() return self.opt:has_ema() end

-- Does `weights` and then `each(name)` of every running statistic, all in place. What failed on the way, or was interrupted, has left some
-- as they were: then nothing is done from there until a state is taken up.
local function whole(self, what, weights, each)
  if self.half then util.failf("optim.ema: %s failed half-way; take up the weights and averages of a checkpoint", self.half) end
  weights()
  self.half = what
  for _, name in ipairs(self.names) do each(name) end
  self.half = nil
end

-- Takes the weights of now into the average; call it after every opt:step(). step: which one it was, from 1, where the
-- average goes on from a state; else they are counted.
function Ema:update(step)
  if self.swapped then util.fail("optim.ema: the network has the averages; swap() back before update()") end
  self.count = step or (self.count or 0) + 1
  local decay = self.decay
  if self.ramp > 0 then decay = decay * (1 - math.exp(-self.count / self.ramp)) end
  whole(self, "an update", function() self.opt:ema(decay) end, function(name)
    local average = self.averages[name]
    if average then core.ema(average, self.buffers[name], decay)
    else self.averages[name] = core.persist(self.buffers[name]:clone()) end
  end)
end

-- Exchanges weights and averages. Before the first update there is none, which is an error.
function Ema:swap()
  whole(self, "an exchange", function() self.opt:swap_ema() end, function(name) core.swap(self.buffers[name], self.averages[name]) end)
  self.swapped = not self.swapped
end

-- name -> average of a running statistic; empty before the first update.
function Ema:state()
  local out = {}
  for name, t in pairs(self.averages) do out[name] = t end
  return out
end

function Ema:load_state(state)
  for _, name in ipairs(self.names) do
    if not state[name] then util.failf("optim.ema: the state has no %s", name) end
    self.averages[name] = core.persist(state[name]:clone())
  end
  self.half = nil
end

util.seal(Ema, "ema:", 1)
return ema
