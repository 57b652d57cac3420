-- fold.lua - batch norms into the convolutions and linear layers before them, in a list of calls: for files that are
-- only to be run.
local core = require "tlua.core"
local plan = require "tlua.plan"
local folding = {}

-- How often each value is taken, and by which call last.
local function takers(list)
  local count = {}
  for _, c in ipairs(list.calls) do
    for _, each in ipairs(c.inputs) do
      if type(each) == "number" then count[each] = (count[each] or 0) + 1 end
    end
  end
  for _, port in ipairs(list.outputs) do count[port.value] = (count[port.value] or 0) + 1 end
  return count
end

local function tensor(tensors, name, n, v)
  if name then return tensors[name] end
  return core.full({ n }, v)
end

-- The weight and bias of `c` with those of the norm in them.
local function folded(c, norm, tensors)
  local w = tensors[c.inputs[2]]
  local n = w:shape(1)
  local mean, var = tensors[norm.inputs[4]], tensors[norm.inputs[5]]
  local scale = tensor(tensors, norm.inputs[2], n, 1) / (var + norm.attrs.eps):sqrt()
  local ones = { n }
  for i = 2, w:rank() do ones[i] = 1 end
  local bias = (tensor(tensors, c.inputs[3], n, 0) - mean) * scale + tensor(tensors, norm.inputs[3], n, 0)
  return w * scale:reshape(ones), bias
end

-- Can the norm go into that call?
local function goes(c, norm, count, used)
  local plain = (c.op == "conv" or c.op == "linear") and c.attrs.activation == "none" and not c.inputs[4]
  if not plain or count[c.first] ~= 1 or type(c.inputs[2]) ~= "string" or used[c.inputs[2]] ~= 1 then return false end
  if c.inputs[3] and type(c.inputs[3]) ~= "string" then return false end
  for k = 2, 5 do
    if norm.inputs[k] and type(norm.inputs[k]) ~= "string" then return false end
  end
  return not norm.attrs.training
end

-- What moves elements alone, of tensors, is done here: a convolution whose weight is made so has a plain one then.
local MOVES = { reshape = true, permute = true, slice = true, concat = true }

-- Changes the list: calls of tensors alone go, and their results become tensors, which are added to `out`.
local function made_of_constants(list, out)
  local made, kept = {}, {}
  for _, c in ipairs(list.calls) do
    local args, fixed = {}, MOVES[c.op] and c.results == 1
    for k, each in ipairs(c.inputs) do
      if type(each) == "number" and made[each] then c.inputs[k] = made[each] end
      args[k] = type(c.inputs[k]) == "string" and out[c.inputs[k]] or nil
      fixed = fixed and args[k] ~= nil
    end
    if fixed and #args > 0 then
      local scope <close> = core.scope()
      args[#args + 1] = plan.attributes(c, {})
      local name = ("%s (%s)"):format(c.inputs[1], c.op)
      while out[name] do name = name .. "'" end
      out[name], made[c.first] = core.persist(core.ops[c.op](table.unpack(args)):clone()), name
    else kept[#kept + 1] = c end
  end
  for _, port in ipairs(list.outputs) do
    if made[port.value] then return end -- nothing is folded of what is given out itself
  end
  list.calls = kept
end

-- Changes the list, of which values are numbered; gives the tensors of the new one. A norm's call becomes the
-- convolution's, and the convolution's is left out.
function folding.fold(list, tensors)
  local out = {}
  for name, t in pairs(tensors) do out[name] = t end
  made_of_constants(list, out)
  tensors = out
  local count, used, maker = takers(list), {}, {}
  for _, c in ipairs(list.calls) do
    maker[c.first] = c
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" then used[each] = (used[each] or 0) + 1 end
    end
  end
  local gone = {}
  for _, norm in ipairs(list.calls) do
    local c = norm.op == "batch_norm" and maker[norm.inputs[1]]
    if c and goes(c, norm, count, used) then
      local weight, bias = folded(c, norm, tensors)
      local name = c.inputs[3] or c.inputs[2]:gsub("weight$", "bias")
      if name == c.inputs[2] or (out[name] and not c.inputs[3]) then name = c.inputs[2] .. ".bias" end
      out[c.inputs[2]], out[name] = core.persist(weight), core.persist(bias)
      norm.op, norm.sized = c.op, c.sized
      local attrs = {}
      for key, v in pairs(c.attrs) do attrs[key] = v end
      attrs.activation = norm.attrs.activation
      norm.inputs = { c.inputs[1], c.inputs[2], name, norm.inputs[6] or false }
      norm.attrs, gone[c] = attrs, true
    end
  end
  local kept = {}
  for _, c in ipairs(list.calls) do
    if not gone[c] then kept[#kept + 1] = c end
  end
  list.calls = kept
  return out
end

return folding.fold
