-- head.lua - the head of a graph: the last layer, in whose place another may be put, with all that an exporter has set
-- behind it (a softmax), or one that is added where the graph was cut.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = require "tlua.nn.graph.parts"
local calls = require "tlua.nn.graph.calls"
local shapes = require "tlua.nn.graph.shapes"
local stages = require "tlua.nn.graph.stages"
local split = parts.split
local head = {}

-- What may stand behind a classifier's last layer.
local SQUASHES = { softmax = true, log_softmax = true, sigmoid = true }
local PASSES = { reshape = true, permute = true, dropout = true, relu = true, mean = true, avg_pool = true,
  slice = true }

-- What modules are called whose outputs are classes.
local CLASSIFIERS = { classifier = true, head = true, heads = true, fc = true, logits = true, predictions = true,
  last_linear = true, output = true }

-- Is one of the words of a module's path such a name?
local function names_classes(path)
  for word in path:gmatch "[^./]+" do
    if CLASSIFIERS[word:lower()] then return true end
  end
  return false
end

-- The number of the call that makes a value, nil of what goes in.
local function maker_of(self, value)
  for i = #self.calls, 1, -1 do
    local c = self.calls[i]
    if value >= c.first then return value < c.first + c.results and i or nil end
  end
end

-- The only value that a call takes, nil where there is none or more.
local function only_value(c)
  local found
  for _, each in ipairs(c.inputs) do
    if type(each) == "number" then
      if found then return nil end
      found = each
    end
  end
  return found
end

-- From the output down through what may stand behind a layer. Returns the number of the layer's call and {squashes =
-- number of the lowest call of this kind, passes = are there others, pools = are places averaged}.
local function layer_below(self)
  local tail = {}
  local i = maker_of(self, self.outputs[1].value)
  while i do
    local c = self.calls[i]
    if not (SQUASHES[c.op] or PASSES[c.op]) then return i, tail end
    if SQUASHES[c.op] then tail.squashes = i else tail.passes = true end
    local v = only_value(c)
    if not v then return nil, tail end
    i = maker_of(self, v)
    local own = i and self.calls[i]
    for v2 = own and own.first or 1, own and own.first + own.results - 1 or 0 do
      if self.last[v2] and self.last[v2] ~= math.huge and v2 ~= v then return nil, tail end
    end
  end
  return nil, tail
end

-- The module that a call's weight stands in, where nothing else needs it; and the shape of the weight.
local function own_module(self, at)
  local c = self.calls[at]
  local name = type(c.inputs[2]) == "string" and split(c.inputs[2])
  if not name or name == "" or type(c.inputs[1]) ~= "number" or c.inputs[4] then return nil end
  for i, each in ipairs(self.calls) do
    for _, input in ipairs(each.inputs) do
      local inside = type(input) == "string" and input:sub(1, #name + 1) == name .. "."
      if i ~= at and inside then return nil end -- others need it too
    end
  end
  local weight = self.places_of[c.inputs[2]]
  for _, spec in ipairs(weight[1]._specs) do
    if spec.name == weight[2] then return name, spec.shape end
  end
end

-- A linear layer whose result is the output is the head: another may take its place, as with the networks of the
-- registry. So may a convolution that gives the output, a map; and a layer behind which there is a softmax, or a
-- convolution that gives as many numbers as the file has names of classes or is called a classifier: then all from that
-- layer on is replaced.
function head.find(self)
  for _, key in ipairs { "head_name", "head_call", "head_tail", "features_width", "squashed_at" } do
    rawset(self, key, nil)
  end
  if #self.outputs ~= 1 then return end
  local at, tail = layer_below(self)
  local c = at and self.calls[at]
  local name, shape
  if c and (c.op == "linear" or c.op == "conv") then name, shape = own_module(self, at) end
  local dims, plain = self.outputs[1].dims, not tail.squashes and not tail.passes
  rawset(self, "squashed_at", tail.squashes)
  if not dims or #dims <= 2 then rawset(self, "head_name", "head") end -- one that would be added
  if not name then return end
  local map = c.op == "conv" and plain and dims and #dims >= 4
  local rows = not dims or #dims == 2
  local named = rows and (self.file_labels and #self.file_labels == shape[1] or c.op == "conv" and names_classes(name))
  if not (tail.squashes or named or map or (c.op == "linear" and plain)) then return end
  rawset(self, "head_name", name)
  rawset(self, "head_call", c)
  rawset(self, "head_at", at)
  rawset(self, "gives", map and "map" or "vector")
  rawset(self, "features_width", shape[2])
  if not plain then rawset(self, "head_tail", true) end
end

-- ---- dropping ----

-- Takes out of the tree what no call wants any more.
local function prune(self)
  local wanted = calls.taken(self)
  for name, place in pairs(self.places_of) do
    if not wanted[name] then
      local part, last = place[1], place[2]
      for i = #part._specs, 1, -1 do
        if part._specs[i].name == last then table.remove(part._specs, i) end
      end
      part._tensors[last], part._declared[last], part._frozen[last], self.places_of[name] = nil, nil, nil, nil
    end
  end
  local function tidy(m)
    for _, key in ipairs { table.unpack(m._order) } do
      local below = m._modules[key]
      if below._class:find "^nn%.Graph" then
        tidy(below)
        if #below._specs == 0 and #below._order == 0 then m[key] = nil end
      end
    end
  end
  tidy(self)
  self:_touch()
end

-- The last value that a part of the network makes (layer4 of layer4.0 and layer4.1), with an activation that follows.
local function value_of_part(self, path)
  local inside, found = path .. ".", nil
  for _, s in ipairs(stages.of(self)) do
    if s.value and (s.name == path or s.name:sub(1, #inside) == inside) then found = s.value end
  end
  if found then return found end
  for i, c in ipairs(self.calls) do
    for _, each in ipairs(c.inputs) do
      if type(each) == "string" and each:sub(1, #inside) == inside then found = i end
    end
  end
  local value, c = found and self.calls[found].first, found and self.calls[found + 1]
  local alone = c and c.inputs[1] == value and self.last[value] == found + 1
  return alone and calls.ACTIVATIONS[c.op] and c.first or value
end

-- The number of the value called `name`: what came with the list, a call, a stage or a part of the network.
function head.value_called(self, name)
  local of, names = calls.values(self, self.value_names)
  local value = of[name] or value_of_part(self, name)
  if value then return value end
  for _, s in ipairs(stages.of(self)) do
    if s.value and not of[s.name] then names[#names + 1] = s.name end
  end
  if #names == 0 then util.failf("%s: cut: there is no value '%s': it has no calls", self:label(), util.shown(name)) end
  local near = core.near_miss(name, names)
  util.failf("%s: cut: there is no value '%s'%s", self:label(), util.shown(name), near
    and ("; did you mean '%s'?"):format(near) or "; there are " .. util.first_few(names, 12))
end

-- The value becomes the output, and what it is not made of goes.
function head.cut(self, value)
  local names = calls.cut(self, value, self.value_names)
  rawset(self, "value_names", names)
  rawset(self, "last", calls.last_uses(self))
  rawset(self, "output_names", { self.outputs[1].name })
  rawset(self, "classes", nil)
  rawset(self, "partial", true) -- the file has more than this
  prune(self)
end

-- The same, as somebody wants it: whatever made the value, a head stands behind it. Without a value: the output is one
-- that the file was cut at before.
function head.cut_here(self, value)
  if value then head.cut(self, value) end
  for _, key in ipairs { "head_call", "head_at", "head_tail", "features_width", "squashed_at", "classes",
    "file_labels" } do
    rawset(self, key, nil)
  end
  rawset(self, "partial", true)
  rawset(self, "gives", nil)
  rawset(self, "head_name", "head")
  self.outputs[1].dims = nil
end

local function note(self, text, ...) self.notes[#self.notes + 1] = text:format(...) end

-- What is behind a classifier's last layer goes: losses want its sums, not what a softmax makes of them. True where
-- there was something.
function head.drop_softmax(self)
  local at = self.squashed_at
  if not at then return false end
  local dims, classes, op = self.outputs[1].dims, self.classes, self.calls[at].op
  for i = at + 1, #self.calls do
    if not SQUASHES[self.calls[i].op] then
      util.failf("%s: what follows the %s at its end cannot be kept without it: cut = NAME chooses the output",
        self:label(), op)
    end
  end
  head.cut(self, only_value(self.calls[at]))
  self.outputs[1].dims = dims
  rawset(self, "classes", classes)
  head.find(self)
  note(self, "the %s at its end was dropped: losses want what goes into it", op)
  return true
end

-- ---- a new head ----

-- Does a module want rows? Its first layer with a say decides: a linear one does, a convolution or pooling does not,
-- nor a module of somebody's own; norms and dropouts take all (nil).
local function wants_rows(m)
  local class = m._class
  if class == "nn.Linear" then return true end
  if class == "nn.Sequential" then
    for i = 1, m:length() do
      local says = wants_rows(m:at(i))
      if says ~= nil then return says end
    end
    return nil
  end
  if not class:find "^nn%." or class:find "Pool" or class:find "Conv" or class == "nn.Flatten" then return false end
  return nil
end

-- Passes a shape through: layers that were given no width take it. Returns the last dimension of what comes out.
local function infer(m, shape)
  if m._class ~= "nn.Sequential" then return m:infer(shape[#shape]) end
  local width = shape[#shape]
  for i = 1, m:length() do
    local each = m:at(i)
    width = infer(each, shape)
    local ok, out = pcall(each.cost, each, shape)
    if not ok then shape = { shape[1], width } else shape = out end
  end
  return width or shape[#shape]
end

local KINDS = { [2] = "rows (N, C)", [3] = "sequences (N, T, C)", [4] = "maps (N, H, W, C)",
  [5] = "maps (N, D, H, W, C)" }

-- Adds a mean over all places and the head's call behind the output.
local function append(self, module)
  local value = self.outputs[1].value
  local dims = shapes.of(self)[value]
  local kind, pictures = KINDS[#dims], self.symbols.N and stages.pictures(dims) or not self.symbols.N and 1
  if not kind or not pictures or pictures == #dims then
    util.failf("%s: the value behind which the head would stand is %s, and a head wants %s, %s or %s: cut elsewhere",
      self:label(), shapes.text(dims), KINDS[2], KINDS[3], KINDS[4])
  end
  local list = self.calls
  local function add(c)
    c.inputs, c.first, c.results, c.sized, c.constants = { value }, self.values + 1, 1, {}, 0
    list[#list + 1], value = c, c.first
    rawset(self, "values", value)
  end
  rawset(self, "appended_at", #list)
  if pictures > 1 then -- (T, N, C), as some exporters have sequences
    local axes, turned = { pictures }, { dims[pictures] }
    for k, d in ipairs(dims) do
      if k ~= pictures then axes[#axes + 1], turned[#turned + 1] = k, d end
    end
    add { op = "permute", name = "turned", attrs = { axes = axes } }
    dims = turned
  end
  local width, pooled = dims[#dims].n, false
  if #dims > 2 and wants_rows(module) then
    local axes = {}
    for k = 2, #dims - 1 do axes[#axes + 1] = k end
    add { op = "mean", name = "pool", attrs = { axes = axes } }
    pooled = true
    note(self, "the head gets the mean over the places of %s", shapes.text(dims))
  end
  local name, n = "head", 2
  while self._modules[name] and name ~= rawget(self, "added_name") do name, n = "head_" .. n, n + 1 end
  rawset(self, "added_name", name)
  add { op = "head", name = name, attrs = {} }
  self.outputs[1].value, self.outputs[1].dims = value, nil
  rawset(self, "last", calls.last_uses(self))
  rawset(self, "head_name", name)
  rawset(self, "head_call", list[#list])
  rawset(self, "head_at", #list)
  rawset(self, "features_width", width)
  rawset(self, "features_shape", { 1 })
  for k = 2, #dims do self.features_shape[k] = dims[k].n end
  if pooled then rawset(self, "features_shape", { 1, width }) end
end

-- Takes an added head away again.
local function remove_added(self)
  local at = self.appended_at
  self.outputs[1].value = self.calls[at + 1].inputs[1]
  for i = #self.calls, at + 1, -1 do
    rawset(self, "values", self.values - 1)
    table.remove(self.calls, i)
  end
  rawset(self, "last", calls.last_uses(self))
  for _, key in ipairs { "appended_at", "head_call", "head_at" } do rawset(self, key, nil) end
end

-- The channels of the map (N, H, W, C) that a head gets; nil where it is none.
function head.map_width(self)
  if #self.outputs ~= 1 then return nil end
  local added = rawget(self, "appended_at")
  local value = added and self.calls[added + 1].inputs[1] or self.head_call and self.head_call.inputs[1]
    or self.outputs[1].value
  local dims = shapes.of(self)[value]
  return #dims == 4 and dims[4].n or nil
end

-- Puts a module in the place of the last layer, or behind the output where that was no classifier's; a Linear without
-- an input width takes the width that comes.
function head.set(self, module)
  if #self.outputs ~= 1 then
    util.failf("%s does not end with a linear layer of its own: it has %d outputs (%s), and cut = NAME makes a value "
      .. "the one", self:label(), #self.outputs, util.first_few(self.output_names, 6))
  end
  if rawget(self, "appended_at") then remove_added(self) end
  if self.head_tail then
    local c = self.head_call
    head.cut(self, c.inputs[1])
    note(self, "the head takes the place of %s and of all behind it", self.head_name)
    rawset(self, "head_tail", nil)
    rawset(self, "head_call", nil)
  end
  if not self.head_call then append(self, module) end
  local c = self.head_call
  local above, key = self.head_name:match "^(.*)%.([^.]+)$"
  local owner = above and self:find(above) or self
  owner[key or self.head_name] = module
  for name in pairs(self.places_of) do
    if name:sub(1, #self.head_name + 1) == self.head_name .. "." then self.places_of[name] = nil end
  end
  c.head, c.inputs, c.sized, c.layer = module, { c.inputs[1] }, {}, nil
  rawset(self, "own_head", true)
  rawset(self, "file_labels", nil)
  local shape = rawget(self, "appended_at") and self.features_shape or { 1, self.features_width }
  rawset(self, "classes", infer(module, shape))
  module:walk(function(m)
    for name in pairs(m._frozen) do m._frozen[name] = nil end
  end)
  rawset(self, "_built", nil)
  self:_touch()
end

return head
