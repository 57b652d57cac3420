-- parts.lua - the tree of names of a graph: "layer4.0" of "layer4.0.weight", for as many levels as the names have.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local norm = require "tlua.nn.norm"
local parts = {}

-- It has tensors and no forward.
local Part = module.class "nn.GraphPart"
function Part:label() return "part of a graph" end

-- Whole numbers of the file that no batch norm counts stay as they are.
local function counters(self) return rawget(self, "numbers") or {} end
local function set_counter(self, name, n) self.numbers[name] = n end
Part.counters, Part.set_counter = counters, set_counter
parts.counters, parts.set_counter = counters, set_counter

-- A part whose tensors are a batch norm's. It decides as nn.BatchNorm2d does whether statistics are the batch's.
local Norm = module.class("nn.GraphNorm", norm.BatchNorm2d)
function Norm:init() rawset(self, "batches", 0) end
function Norm:label() return "batch norm of a graph" end

-- The part of a path below `self`, made where it is not there: of another class where it is one of the norms. nil where
-- a name has an empty word.
local function part_at(self, path, norms)
  local m = self
  for key in (path .. "."):gmatch "(.-)%." do
    if key == "" then return nil end
    local below = m._modules[key]
    if not below then
      below = norms[m == self and key or m:path() .. "." .. key] and Norm() or Part()
      m[key] = below
    end
    m = below
  end
  return m
end

-- "layer4.0", "weight" of "layer4.0.weight"
function parts.split(name)
  local above, last = name:match "^(.*)%.([^.]+)$"
  return above or "", last or name
end
local split = parts.split

-- The paths of the batch norms, {path = true}; and what they are called with, once their parts are made.
local function norms_of(list)
  local norms = {}
  for _, c in ipairs(list) do
    local mean = c.op == "batch_norm" and c.inputs[4]
    local path = type(mean) == "string" and split(mean)
    if path and path ~= "" then norms[path] = true end
  end
  return norms
end
local function join_norms(self, list)
  for _, c in ipairs(list) do
    local mean = c.op == "batch_norm" and c.inputs[4]
    local part = type(mean) == "string" and self:find((split(mean)))
    if part and part ~= self and part.uses_batch then
      rawset(part, "momentum", part.momentum or c.attrs.momentum)
      rawset(part, "affine", c.inputs[2] and true or false)
      c.norm = part
    end
  end
end

-- The tensors of a graph, as parameters and buffers of its parts. entries: {name=, dtype=, shape=} of all that the file
-- has; wanted: the names of those that calls take, {name = is it trained?}; all: the others are kept too.
function parts.add(self, entries, wanted, all)
  local norms = norms_of(self.calls)
  for _, e in ipairs(entries) do
    local path, last = split(e.name)
    local number = wanted[e.name] == nil and #e.shape == 0 and e.dtype:find "^int" ~= nil
    local part = path == "" and self or (number and not all and self:find(path))
    if not part and (all or wanted[e.name] ~= nil) then part = part_at(self, path, norms) end
    if not part then
      if all or wanted[e.name] ~= nil then
        util.failf("a tensor of the file is called '%s', which has an empty word between its dots", e.name)
      end
    elseif number then -- num_batches_tracked, which the batch norms have as a number
      if not part.uses_batch and all then
        if not rawget(part, "numbers") then rawset(part, "numbers", {}) end
        part.numbers[last] = 0
      end
    elseif all or wanted[e.name] ~= nil then
      local dtype = e.dtype:find "^int" and "int32" or "float32"
      local trained = wanted[e.name] and dtype == "float32" -- a whole number that is added to others is never trained
      part[trained and "parameter" or "buffer"](part, last, e.shape, { "constant", 0 })
      self.places_of[e.name] = { part, last, dtype = dtype }
    end
  end
  join_norms(self, self.calls)
end

-- ---- parameters drawn at random ----

local function uniform(fan_in)
  local bound = 1 / math.sqrt(math.max(1, fan_in)) -- what PyTorch's kaiming_uniform(a = sqrt 5) comes to
  return { "uniform", -bound, bound }
end

local function inner(shape)
  local n = 1
  for k = 2, #shape do n = n * shape[k] end
  return n
end

-- How the tensor `at` of a call begins; w: shape of its weight.
local function initial_of(c, at, shape, w)
  if c.op == "conv" or c.op == "linear" then return uniform(inner(w)) end
  if c.op == "conv_transpose" then return uniform(w[1] * inner(w) // w[2]) end
  if c.op == "batch_norm" then return { "constant", (at == 2 or at == 5) and 1 or 0 } end
  if c.op == "layer_norm" then return { "constant", at == 2 and 1 or 0 } end
  if c.op == "embedding" then return { "normal", 0, 1 } end
  if c.op == "matmul" then return uniform(shape[#shape - 1] or 1) end
  if #shape >= 2 then return { "normal", 0, 0.02 } end
  return { "constant", c.op == "mul" and 1 or 0 }
end

-- Parameters and statistics of norms begin as those of new layers do, and what the file has for them is not taken.
function parts.forget(self)
  local specs = {}
  for name, place in pairs(self.places_of) do
    for _, spec in ipairs(place[1]._specs) do
      if spec.name == place[2] then specs[name] = spec end
    end
  end
  for _, c in ipairs(self.calls) do
    local weight = specs[c.inputs[2]]
    for at, each in ipairs(c.inputs) do
      local spec = specs[each]
      if spec and not spec.fresh and (spec.kind == "parameter" or c.op == "batch_norm") then
        spec.initial, spec.fresh = initial_of(c, at, spec.shape, weight and weight.shape or spec.shape), true
      end
    end
  end
end

-- Puts tensors in the places that have none yet, as they are, without copies.
function parts.adopt(self, tensors)
  for name, place in pairs(self.places_of) do
    local part, last = place[1], place[2]
    for _, spec in ipairs(part._specs) do
      if spec.name == last and not spec.fresh and not part._tensors[last] then part:_adopt(spec, tensors[name]) end
    end
  end
  self:walk(function(m, path)
    for name in pairs(m:counters()) do
      local t = tensors[path == "" and name or path .. "." .. name]
      local n = core.is_tensor(t) and math.tointeger(t:item()) or type(t) == "table" and t.int64
      if math.type(n) == "integer" then m:set_counter(name, n) end
    end
  end)
end

return parts
