-- groups.lua - which parameters a stage of training moves, and how fast: freezing, and groups with a rate, a weight decay
-- and a clip of their own.
local util = require "tlua.util"
local schema = require "tlua.schema"
local lora = require "tlua.nn.lora"
local groups = {}

-- One of the recipe's `groups`: { "layer4.*", lr = 1e-4 }, the globs in the list part.
groups.SCHEMA = {
  { "lr", "number", nil, "learning rate of these parameters", least = 0 },
  { "scale", "number", nil, "their rate as a share of the optimiser's", least = 0 },
  { "weight_decay", "number", nil, "their weight decay", least = 0 },
  { "clip", "number", nil, "largest norm of their gradient", above = 0 },
}

-- Checks the recipe's field; returns { {globs =, lr =, ...}, ... }.
function groups.read(list)
  if list == nil then return {} end
  local example = 'groups must be like { { "layer4.*", lr = 1e-4 }, { "fc.*", lr = 1e-3 } }'
  if type(list) ~= "table" then util.fail("recipe: " .. example) end
  local out = {}
  for i, each in ipairs(list) do
    if type(each) ~= "table" or type(each[1]) ~= "string" then util.failf("recipe: groups: group %d names no parameters; %s", i, example) end
    local globs, options = {}, {}
    for key, value in pairs(each) do
      if math.type(key) == "integer" then globs[key] = value else options[key] = value end
    end
    out[i] = schema.options(("group %d"):format(i), groups.SCHEMA, options)
    out[i].globs = globs
    if out[i].clip and not (out[i].clip > 0) then util.failf("recipe: groups: the clip of group %d must be above 0, not %g: nothing of it would be trained", i, out[i].clip) end
    if out[i].lr and out[i].scale then util.failf("recipe: groups: group %d has both lr and scale; one of them says all", i) end
  end
  return out
end

-- Freezes what `freeze` names; `train` names what is trained, and all else is frozen then. The head always trains. Of a
-- network with adapters all but them is frozen, but for the head and what `train` names.
function groups.set_frozen(net, freeze, train)
  local adapted = lora.has(net)
  net:_thaw()
  if train and not freeze then freeze = "*" end
  if adapted then net:freeze "*" end
  if freeze then net:freeze(freeze) end
  if adapted then lora.unfreeze(net, freeze) end
  if train then
    net:select("train", train)
    net:unfreeze(train)
  end
  local head = net.set_head and net.head_name
  if head and (rawget(net, "head_trains") or adapted) and net:head() then
    for _, each in ipairs(net.head_trained and net:head_trained() or net.head_parts or { head }) do net:unfreeze(each .. ".*") end
  end
end

-- How far a parameter lies below the head, from 0, and how far the lowest does: the network's stages, or, of other modules,
-- their children.
local function depths(net)
  local of, count = {}, 0
  local function module_at(path, depth)
    of[#of + 1] = { path, depth }
  end
  if net.stage_count then
    count = net:stage_count()
    for k = 1, count do
      for _, name in ipairs(net:stage_modules(k)) do module_at(name, count - k + 1) end
    end
  else
    count = #net._order - 1
    for i, key in ipairs(net._order) do module_at(key, count + 1 - i) end
  end
  return function(name)
    for _, each in ipairs(of) do
      if name == each[1] or name:sub(1, #each[1] + 1) == each[1] .. "." then return each[2] end
    end
    return 0
  end, count
end

-- The recipe's groups with a function that tells which names are theirs. A glob that matches nothing is an error, with `advice` behind it.
function groups.matching(net, list, advice)
  local out = {}
  for i, each in ipairs(list) do
    local what = ("groups: group %d"):format(i)
    net:select(what, each.globs, advice)
    out[i] = setmetatable({ matches = util.matcher(what, each.globs) }, { __index = each })
  end
  return out
end

local function group_of(wanted, name)
  for i, each in ipairs(wanted) do
    if each.matches(name) then return i, each end
  end
end

-- Marks in `used` the numbers of the groups that something is trained by now: the first that names a parameter has it.
function groups.mark_used(net, wanted, used)
  for _, each in ipairs(net:specs()) do
    if each.spec.kind == "parameter" and not each.module._frozen[each.spec.name] then
      local number = group_of(wanted, each.path)
      if number then used[number] = true end
    end
  end
end

-- The groups of a stage: { {names =, lr =, weight_decay =, clip =, own_rate =}, ... }, in the order of the network, of all that is trained now; nothing is
-- built. own_rate: the group says its rate itself. `o` has lr, weight_decay, layer_decay, lowest, decay_all and wanted (as groups.read gives them).
function groups.plan(net, o)
  local wanted = groups.matching(net, o.wanted)
  local depth, deepest = depths(net)
  local per_stage = o.layer_decay or (o.lowest and deepest > 0 and o.lowest ^ (1 / deepest)) or 1
  local list, known = {}, {}
  local function add(name, rank)
    local number, own = group_of(wanted, name)
    own = own or {}
    local share = per_stage ^ depth(name) * (own.scale or 1)
    local decay = own.weight_decay or o.weight_decay
    if decay and decay > 0 and not o.decay_all and own.weight_decay == nil and rank <= 1 then decay = 0.0 end
    local lr = (own.lr or o.lr) * (own.lr and 1 or share)
    local key = ("%d %.17g %.17g"):format(number or 0, lr, decay or 0)
    local g = known[key]
    if not g then
      g = { names = {}, lr = lr, weight_decay = decay, clip = own.clip, own_rate = own.lr ~= nil }
      known[key], list[#list + 1] = g, g
    end
    g.names[#g.names + 1] = name
  end
  for _, each in ipairs(net:specs()) do
    if each.spec.kind == "parameter" and not each.module._frozen[each.spec.name] then add(each.path, #each.spec.shape) end
  end
  return list
end

-- The same for optim.make: each with its tensors, `params`.
function groups.make(net, o)
  local list, by_name = groups.plan(net, o), {}
  local tensors, names = net:trained()
  for i, t in ipairs(tensors) do by_name[names[i]] = t end
  for _, g in ipairs(list) do
    g.params = {}
    for i, name in ipairs(g.names) do g.params[i] = by_name[name] end
  end
  return list
end

-- One line for the plan: "3 groups, rates 1e-05 to 0.001".
function groups.text(list)
  local low, high = math.huge, 0
  for _, g in ipairs(list) do low, high = math.min(low, g.lr), math.max(high, g.lr) end
  if low == high then return ("lr %g"):format(high) end
  return ("lr %g to %g in %d groups"):format(low, high, #list)
end

return groups
