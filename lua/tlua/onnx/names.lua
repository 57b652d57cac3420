-- names.lua - what the tensors of an imported network are called: as the exporter called them; where that says nothing
-- (onnx::Conv_801), after the way through the modules that it wrote into the node's name, after the bias or norm beside
-- it, or after the operator and a number.
local names = {}

local MEANINGLESS = { "^onnx::", "^_?%d+$", "^val_?%d+$", "^/", "_output_%d*$", "^Constant", "^const_", "^_",
  "^tensor_?%d*$", "^initializer", "^node_", "^arg%d", "^lifted_tensor", "^slice_", "^const" }

local function has_meaning(name)
  for _, pattern in ipairs(MEANINGLESS) do
    if name:find(pattern) then return false end
  end
  return true
end

-- "layer1.0.conv1" of "/layer1/layer1.0/conv1/Conv": names inside of lists repeat the list's.
local function module_of(node)
  local name = node and node.name or ""
  if not name:find "/" then return nil end
  local path = {}
  for word in name:gmatch "[^/]+" do
    local last = path[#path]
    if last and word:sub(1, #last + 1) == last .. "." then path[#path] = word else path[#path + 1] = word end
  end
  path[#path] = nil
  return #path > 0 and table.concat(path, ".") or nil
end

-- Without what Keras and TensorFlow put around; words between dots, none of them empty.
local function clean(name)
  name = name:gsub(":%d+$", ""):gsub("/ReadVariableOp.*$", ""):gsub("^p_", "")
  name = name:gsub("[/%s]+", "."):gsub("[^%w_%.%-]", "_"):gsub("%.%.+", "."):gsub("^%.+", ""):gsub("%.+$", "")
  return name ~= "" and name or nil
end

-- Of the forms of a constant "NAME|as 3,4|order 2,1" the constant's own key.
local function root_of(key)
  local kind, rest = key:match "^(value|)(.*)$"
  if kind then return kind .. (rest:match "^([^|]*)") end
  return (key:match "^([^|]*)")
end

-- Keras writes the layer and then the operator, "conv2d_1.Conv2D"; some optimisers write "0.weight_bias".
local function by_role(name, role)
  if not name or not role then return name end
  local above, last = name:match "^(.*)%.([^.]+)$"
  if above and (last:find "^%u" or last == "weight_bias") then return above .. "." .. role end
  return name
end

-- "block1" of the bias or norm that follows the node: block1.bias.
local function beside(node, takers, constants)
  for _, output in ipairs(node.outputs) do
    for _, taker in ipairs(takers[output] or {}) do
      if taker.op == "Add" or taker.op == "BatchNormalization" then
        for _, name in ipairs(taker.inputs) do
          if constants[name] and has_meaning(name) then
            local above = clean(name):match "^(.*)%.[^.]+$"
            if above and taker.op == "Add" then return above end
            if above then return above .. ".conv" end
          end
        end
      end
    end
  end
  for _, name in ipairs(node.inputs) do -- or its own other tensor
    if constants[name] and has_meaning(name) then
      local above = clean(name):match "^(.*)%.[^.]+$"
      if above then return above end
    end
  end
end

-- ---- the names of one network ----

local Naming = {}
Naming.__index = Naming

-- For each value, the nodes that take it.
local function takers_of(nodes)
  local takers = {}
  for _, node in ipairs(nodes) do
    for _, name in ipairs(node.inputs) do
      takers[name] = takers[name] or {}
      table.insert(takers[name], node)
    end
  end
  return takers
end

-- "conv_3": the third convolution that has no name of its own.
function Naming:numbered(node)
  local op = node.op:lower()
  if not self.number_of[node] then
    self.counts[op] = (self.counts[op] or 0) + 1
    self.number_of[node] = ("%s_%d"):format(op, self.counts[op])
  end
  return self.number_of[node]
end

-- A name that others may have too, and whether a node trains it or the file gave it a name.
function Naming:suggestion(key)
  local walk, constants = self.walk, self.constants
  local root = root_of(key)
  local own = root:gsub("^value|", "")
  local about = walk.roles[root]
  local source = about and about.source and root_of(about.source):gsub("^value|", "")
  for _, name in ipairs { own, source } do
    if name and (constants[name] or about) and has_meaning(name) and not name:find "^numbers" then
      return by_role(clean(name), about and about.role), about ~= nil or constants[name] ~= nil
    end
  end
  if about then
    local place = module_of(about.node) or beside(about.node, self.takers, constants) or self:numbered(about.node)
    return place .. "." .. about.role, true
  end
  local node = walk.first_use[key]
  self.counts.constant = (self.counts.constant or 0) + 1
  return (node and module_of(node) or "constants") .. ".constant_" .. self.counts.constant, false
end

local NEVER_TRAINED = { "mask", "anchor", "grid", "running_", "inv_freq" }

-- What a file does to its pixels belongs to them, and the data do not teach it.
local PIXELS = { "^normali[sz]e%.", "^normali[sz]ation%." }

local function is_fixed(name)
  for _, pattern in ipairs(PIXELS) do
    if name:find(pattern) then return true end
  end
  local last = name:match "([^.]+)$"
  for _, word in ipairs(NEVER_TRAINED) do
    if last:find(word, 1, true) then return true end
  end
  return false
end

-- A tensor cannot be called as the place of others is: "a" beside "a.b" is "a.tensor".
local function clear_of_places(out, taken, fixed)
  local places = {}
  for name in pairs(taken) do
    for at in name:gmatch "()%." do places[name:sub(1, at - 1)] = true end
  end
  for key, name in pairs(out) do
    if places[name] then
      out[key] = name .. ".tensor"
      if fixed[name] then fixed[name], fixed[name .. ".tensor"] = nil, true end
    end
  end
end

-- For keys in order, {key = name} and {name = true} of those that nobody should train: numbers that have no name of
-- their own and are no weight to a node.
function names.make(walk, prepared, keys)
  local naming = setmetatable({ walk = walk, constants = prepared.constants, takers = takers_of(prepared.nodes),
    counts = {}, number_of = {} }, Naming)
  local out, taken, fixed = {}, {}, {}
  for _, key in ipairs(keys) do
    local name, trained = naming:suggestion(key)
    local of, role = key:match "^fresh|(.*)|([^|]+)$"
    if of then -- a norm that was put in, as a part of its convolution
      local conv = out[of] and out[of]:match "^(.*)%.[^.]+$" or out[of] or "norm"
      name, trained = conv .. ".norm." .. role, true
    end
    name = name or "constants.unnamed"
    local unique, n = name, 1
    while taken[unique] do
      n = n + 1
      unique = ("%s_%d"):format(name, n)
    end
    taken[unique], out[key] = true, unique
    if not trained or is_fixed(unique) then fixed[unique] = true end
  end
  clear_of_places(out, taken, fixed)
  return out, fixed
end

return names
