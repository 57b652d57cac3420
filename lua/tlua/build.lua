-- build.lua - from the description of a recipe to a session: device, data, network, frozen parts, head, optimiser.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local optim = require "tlua.optim"
local data = require "tlua.data"
local cache = require "tlua.cache"
local build = {}

-- Puts the recipe's head in place, with its width from the network; without one, a Linear for the classes.
local function place_head(r, net, classes)
  local head = r.head
  if not head and net.classes == #classes then
    for name in pairs(net:head()._frozen) do net:head()._frozen[name] = nil end
    net:unfreeze(net.head_name .. ".*")
    return
  end
  head = head or nn.Linear(#classes)
  util.at(rawget(head, "where") or r.where, function()
    net:set_head(head)
    if net.classes and net.classes ~= #classes then
      util.failf("the head %s gives %d outputs, but the data has %d classes", head:label(), net.classes, #classes)
    end
  end)
end

local function decide_cache(s, r)
  s.cut, s.no_cache = cache.choose(s)
  if r.cache == true and not s.cut then util.at(r.where, util.failf, "cache = true: the outputs of the frozen part cannot be kept: %s", s.no_cache) end
end

function build.session(r)
  local s = { recipe = r, seed = r.seed }
  s.device = core.device(r.device)
  core.manual_seed(r.seed)
  local net = r.model
  local base = rawget(net, "entry") and net:preprocessing() or {}
  s.data = util.at(r.data.where, data.open, r.data, base, r.seed)
  s.classes = s.data.classes
  rawset(net, "quiet", true)
  util.at(net.where, function() net:ready() end)
  -- A weights file of an earlier run may bring preprocessing of its own.
  if rawget(net, "file_preprocessing") then
    util.at(r.data.where, data.prepare, s.data, r.data, net:preprocessing())
  end
  s.model = net
  if r.freeze then net:freeze(r.freeze) end
  if rawget(net, "entry") then place_head(r, net, s.classes) end
  net:ready()
  s.parameters, s.trained = net:count()
  local tensors = net:trained()
  if #tensors == 0 then util.at(r.where, util.fail, "recipe: everything is frozen, so there is nothing to train") end
  local options = {}
  for key, value in pairs(r.optim.options) do options[key] = value end
  s.optim = util.at(r.optim.where, optim.make, r.optim.kind, tensors, options)
  s.loss = r.loss
  decide_cache(s, r)
  return s
end

return build
