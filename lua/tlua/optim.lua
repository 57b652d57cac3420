-- optim.lua - optimisers. optim.Adam { lr = 1e-3 } describes one for a recipe; optim.Adam(params, { lr = 1e-3 })
-- makes one, with :step() and :zero_grad().
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"

local LR = { "lr", "number", 1e-3, "learning rate", least = 0 }
local DECAY = { "weight_decay", "number", 0.0, "weight decay", least = 0 }
local BETAS = { "betas", "numbers", { 0.9, 0.999 }, "decay of the running means of gradient and square", least = 0, below = 1, count = { 2 } }
local EPS = { "eps", "number", 1e-8, "added to the denominator", least = 0 }
local MOMENTUM = { "momentum", "number", 0.0, "share of the last step that is kept", least = 0, below = 1 }

local kinds = {
  SGD = {
    { "lr", "number", 1e-2, "learning rate", least = 0 }, MOMENTUM,
    { "nesterov", "boolean", false, "Nesterov's form of momentum" }, DECAY,
  },
  Adam = { LR, BETAS, EPS, DECAY },
  AdamW = { LR, BETAS, EPS, { "weight_decay", "number", 1e-2, "weight decay, apart from the gradient", least = 0 } },
  RMSprop = {
    { "lr", "number", 1e-2, "learning rate", least = 0 }, { "alpha", "number", 0.99, "decay of the running mean of squares", least = 0, below = 1 }, EPS, MOMENTUM,
    { "centered", "boolean", false, "divide by the gradient's deviation instead of its mean square" }, DECAY,
  },
  -- Chen et al. 2023: every element moves by the rate itself, so that rates are 3 to 10 times smaller than AdamW's.
  Lion = { { "lr", "number", 1e-4, "learning rate", least = 0 }, { "betas", "numbers", { 0.9, 0.99 }, "shares of the running mean in the step, and in itself", least = 0, below = 1, count = { 2 } }, DECAY },
  -- You et al. 2020: AdamW whose step of each parameter has the parameter's own norm, for large batches.
  LAMB = { LR, BETAS, { "eps", "number", 1e-6, "added to the denominator", least = 0 }, DECAY },
}

-- What may stand for parameters: model:parameters(), a module, a list of tensors, or a list of groups
-- { {params = ..., lr = ...}, ... }.
local function tensors_of(what, params)
  if module.is_module(params) then return (params:trained()) end
  local list = {}
  if type(params) == "function" then
    for _, t in params do
      if t:requires_grad() then list[#list + 1] = t end
    end
  elseif type(params) == "table" then
    for i, t in ipairs(params) do
      if not core.is_tensor(t) then util.failf("%s: element %d of the parameters is not a tensor", what, i) end
      list[i] = t
    end
  else
    util.failf("%s: parameters are needed: model:parameters(), a list of tensors or a list of groups", what)
  end
  return list
end

local function groups_of(what, kind, params, options)
  local list = kinds[kind]
  local base = schema.options(what, list, options or {})
  if type(params) ~= "table" or module.is_module(params) or not (type(params[1]) == "table" and params[1].params) then
    params = { { params = params } }
  end
  local groups = {}
  for i, group in ipairs(params) do
    local own = {}
    for key, value in pairs(group) do
      if key ~= "params" then own[key] = schema.check(what, schema.find(list, key) or util.unknown("option of " .. what .. ":", key, schema.names(list)), value) end
    end
    local out = { params = tensors_of(what, group.params) }
    for _, field in ipairs(list) do
      out[field[1]] = own[field[1]]
      if out[field[1]] == nil then out[field[1]] = base[field[1]] end
    end
    if type(out.betas) == "number" or (out.betas and #out.betas ~= 2) then util.failf("%s: betas are two numbers", what) end
    if #out.params == 0 then util.failf("%s: no parameter is trained; everything is frozen", what) end
    groups[i] = out
  end
  return groups
end

-- Nesterov's form is one of momentum.
function kinds.SGD.check(o)
  if o.nesterov and o.momentum == 0 then return "nesterov = true does nothing without momentum, like momentum = 0.9" end
end

local optim = { kinds = kinds, names = util.keys(kinds) }

-- Makes the optimiser.
function optim.make(kind, params, options) return core.optimizer(kind:lower(), groups_of("optim." .. kind, kind, params, options)) end

-- An average of the weights beside an optimiser: tlua/train/ema.lua.
function optim.ema(opt, options) return require("tlua.train.ema").new(opt, options) end

for _, kind in ipairs(optim.names) do
  optim[kind] = function(first, options)
    if first == nil or util.is_options(first) then return schema.describe("optim", kind, kinds[kind], first) end
    return optim.make(kind, first, options)
  end
end

util.seal(optim, "optim.")
return util.strict("optim", optim, function() return optim.names end)
