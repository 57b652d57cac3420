-- fold.lua - batch norms into the convolutions and linear layers before them, in a list of calls: for files that are
-- only to be run.
local core = require "tlua.core"
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

-- Changes the list, of which values are numbered; gives the tensors of the new one. A norm's call becomes the
-- convolution's, and the convolution's is left out.
function folding.fold(list, tensors)
  local count, used, maker, out = takers(list), {}, {}, {}
  for name, t in pairs(tensors) do out[name] = t end
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
