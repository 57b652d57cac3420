-- values.lua - what the writing of ONNX files keeps of each value: its name there, and which of our dimensions lies
-- where (`perm`: our dimension at each place of ONNX's). Our pictures are channels last, ONNX's operators want
-- channels first: a value is turned only for an operator that wants another order than it has, so no turning remains
-- within a convolutional network.
local util = require "tlua.util"
local values = {}

-- ---- orders ----

function values.identity(rank)
  local p = {}
  for i = 1, rank do p[i] = i end
  return p
end

-- (N, C, ...) of ours (N, ..., C).
function values.channels_first(rank)
  if rank < 3 then return values.identity(rank) end
  local p = { 1, rank }
  for i = 2, rank - 1 do p[#p + 1] = i end
  return p
end

local function same(p, q)
  for i = 1, math.max(#p, #q) do
    if p[i] ~= q[i] then return false end
  end
  return true
end
values.same = same

-- Where our dimension `axis` lies, from 1.
function values.place(perm, axis)
  for i, a in ipairs(perm) do
    if a == axis then return i end
  end
end

-- Without our dimensions {axis = true}: the others count anew.
function values.without(perm, axes)
  local out, number, n = {}, {}, 0
  for a = 1, #perm do
    if not axes[a] then n, number[a] = n + 1, n + 1 end
  end
  for _, a in ipairs(perm) do
    if number[a] then out[#out + 1] = number[a] end
  end
  return out
end

-- Our shape in the order of ONNX.
function values.laid(shape, perm)
  local out = {}
  for i, a in ipairs(perm) do out[i] = shape[a] end
  return out
end

-- ---- the writer ----

local Writer = {}
Writer.__index = Writer

-- tensors: {name = tensor}, what calls take by name; opset: of ONNX's own operators.
function values.writer(tensors, opset)
  local taken = {}
  for name in pairs(tensors) do taken[name] = true end
  return setmetatable({ source = tensors, opset = opset, nodes = {}, tensors = {}, values = {}, taken = taken,
    made = {},
    named = {}, constants = {}, sizes = {} }, Writer)
end

-- A name that nothing has yet.
function Writer:name(wanted)
  local name, n = wanted, 1
  while self.taken[name] do
    n = n + 1
    name = ("%s_%d"):format(wanted, n)
  end
  self.taken[name] = true
  return name
end

-- Adds a node; `inputs` has false or nil for what is left out. Gives the name of its output; nodes of the same
-- operator, inputs and attributes are one.
function Writer:node(op, inputs, attrs, outputs)
  local list, last = {}, 0
  for i = 1, inputs.n or #inputs do
    list[i] = inputs[i] or ""
    if list[i] ~= "" then last = i end
  end
  for i = last + 1, #list do list[i] = nil end
  local name = self:name(("%s/%s"):format(self.path or "", op))
  local outs = {}
  for i = 1, outputs or 1 do outs[i] = self:name(("%s_output_%d"):format(name, i - 1)) end
  self.nodes[#self.nodes + 1] = { op = op, domain = "", name = name, inputs = list, outputs = outs,
    attrs = attrs or {} }
  return table.unpack(outs)
end

-- Calls the output `name` of a node otherwise, before any other node takes it.
function Writer:called(name, wanted)
  for k = #self.nodes, 1, -1 do
    local outputs = self.nodes[k].outputs
    for i, each in ipairs(outputs) do
      if each == name then
        outputs[i] = wanted
        return
      end
    end
  end
end

-- A constant of the file's own: numbers in a list, one for each combination of contents.
function Writer:constant(dtype, dims, numbers)
  local key = ("%s|%s|%s"):format(dtype, table.concat(dims, ","), table.concat(numbers, ","))
  if not self.constants[key] then
    local name = self:name(("const_%d"):format(#self.tensors))
    self.tensors[#self.tensors + 1] = { name = name, dtype = dtype, dims = dims, numbers = numbers }
    self.constants[key] = name
  end
  return self.constants[key]
end
function Writer:float(v) return self:constant("float32", {}, { v + 0.0 }) end
function Writer:scalar(dtype, v)
  return self:constant(dtype, {}, { dtype == "float32" and v + 0.0 or math.tointeger(v) })
end
function Writer:ints(list) return self:constant("int64", { #list }, list) end

-- The tensor of that name as a constant: laid out by `perm`, with `dims` where the shape is another one. In the form
-- in which it is wanted first it has its own name.
function Writer:weight(name, perm, dims)
  local t = self.source[name]
  local turned = perm and not same(perm, values.identity(#perm))
  local shape = dims or (turned and values.laid(t:shape(), perm)) or t:shape()
  local key = ("%s|%s|%s"):format(name, turned and table.concat(perm, ",") or "", table.concat(shape, ","))
  if not self.made[key] then
    local own = self.named[name] and self:name(name) or name
    self.named[name] = true
    self.tensors[#self.tensors + 1] = { name = own, dims = shape, of = name, tensor = turned and t:permute(perm) or t }
    self.made[key] = own
  end
  return self.made[key]
end

-- A tensor that was made of the one of that name, which it has in the file where nothing else does; `how` tells it
-- from others.
function Writer:made_of(name, how, tensor, dims)
  local key = ("%s|%s"):format(name, how)
  if not self.made[key] then
    local own = self.named[name] and self:name(name) or name
    self.named[name] = true
    self.tensors[#self.tensors + 1] = { name = own, dims = dims, tensor = tensor }
    self.made[key] = own
  end
  return self.made[key]
end

-- ---- values ----

-- What input k of the call is: a value, or a tensor by name; nil where there is none.
function Writer:input(c, k)
  local each = c.inputs[k]
  if not each then return nil end
  if type(each) == "number" then return self.values[each] end
  local t = self.source[each]
  if not t then util.failf("the tensor '%s' is missing", each) end
  local shape = t:shape()
  return { weight = each, shape = shape, other = shape, dtype = t:dtype(), perm = values.identity(#shape) }
end

-- The name of a value in the order that is wanted; without one in the order that it has.
function Writer:use(v, perm)
  perm = perm or v.perm
  if v.weight then return self:weight(v.weight, perm) end
  if same(perm, v.perm) then return v.name end
  local key = table.concat(perm, ",")
  v.turned = v.turned or {}
  if not v.turned[key] then
    local axes = {}
    for i, a in ipairs(perm) do axes[i] = values.place(v.perm, a) - 1 end
    v.turned[key] = self:node("Transpose", { v.name }, { perm = axes })
  end
  return v.turned[key]
end
function Writer:plain(v) return self:use(v, values.identity(#v.shape)) end

-- A value as another type, "float32", "int32", "int64" or "bool".
function Writer:cast(name, dtype)
  local number = { float32 = 1, int32 = 6, int64 = 7, bool = 9 }
  return self:node("Cast", { name }, { to = number[dtype] })
end

-- ---- broadcasting ----

-- Does it hold one number alone?
local function is_single(v)
  for i = 1, #v.shape do
    if v.shape[i] ~= 1 or v.other[i] ~= 1 then return false end
  end
  return true
end

-- Of values that are broadcast the order of the result. Of maps that of one that is channels first, since a
-- convolution is near; of sequences ours where one of them has it, since what follows is mostly a product.
function values.common(list)
  local rank, ours, other = 0, nil, nil
  for _, v in ipairs(list) do rank = math.max(rank, #v.shape) end
  local identity = values.identity(rank)
  for _, v in ipairs(list) do
    if #v.shape == rank and not v.weight and not is_single(v) then
      if same(v.perm, identity) then ours = identity else other = other or v.perm end
    end
  end
  if rank < 4 then return ours or other or identity end
  return other or ours or identity
end

-- A value of fewer dimensions than `perm` as one that broadcasts in that order: its own order, and ones where the
-- others lie.
function Writer:aligned(v, perm)
  local more = #perm - #v.shape
  if more == 0 and not v.weight then return self:use(v, perm) end
  if is_single(v) then return v.weight and self:weight(v.weight) or v.name end
  local order, dims, gaps = {}, {}, {}
  for _, a in ipairs(perm) do
    local own = a - more
    if own >= 1 then
      order[#order + 1] = own
      dims[#dims + 1] = v.shape[own]
    elseif #order > 0 then
      gaps[#gaps + 1] = #dims
      dims[#dims + 1] = 1
    end
  end
  if v.weight then return self:weight(v.weight, order, dims) end
  local name = self:use(v, order)
  if #gaps == 0 then return name end
  return self:node("Unsqueeze", { name, self:ints(gaps) })
end

-- ---- sizes ----

-- An open size as a list of one whole number.
function Writer:symbol(symbol, times)
  local s = self.sizes[symbol]
  if not s then util.failf("no input has the size '%s'", symbol) end
  if not s.name then
    local all = self:node("Shape", { s.input })
    s.name = self:node("Gather", { all, self:ints { s.place - 1 } }, { axis = 0 })
  end
  if times == 1 then return s.name end
  s.times = s.times or {}
  s.times[times] = s.times[times] or self:node("Mul", { s.name, self:ints { times } })
  return s.times[times]
end

-- A list of whole numbers of which some are open: {symbol =, times =}.
function Writer:whole_list(list)
  local parts, open, i = {}, false, 1
  while i <= #list do
    if type(list[i]) == "table" then
      parts[#parts + 1], open, i = self:symbol(list[i].symbol, list[i].times), true, i + 1
    else
      local run = {}
      while i <= #list and type(list[i]) ~= "table" do
        run[#run + 1], i = list[i], i + 1
      end
      parts[#parts + 1] = self:ints(run)
    end
  end
  if not open then return self:ints(list) end
  return #parts == 1 and parts[1] or self:node("Concat", parts, { axis = 0 })
end

-- The attribute of a call, with {symbol =, times =} in the place of what is open.
function values.sized(c, attr)
  local v = c.attrs[attr]
  if type(v) == "table" then v = { table.unpack(v) } end
  for _, each in ipairs(c.sized) do
    if each.attr == attr then
      local open = { symbol = each.symbol, times = each.times }
      if each.at == 0 then v = open else v[each.at] = open end
    end
  end
  return v
end

return values
