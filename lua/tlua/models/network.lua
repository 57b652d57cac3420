-- network.lua - what all networks of the registry share: features below, a head above, weights with their
-- preprocessing and labels.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local plan = require "tlua.plan"
local weights = require "tlua.weights"
local description = require "tlua.weights.description"

-- A subclass has: head_name and first_name (the paths of classifier and first convolution in files), stages() -> the
-- way from pictures to features as a list of {name =, modules = {names, of tensors of the network itself too}, run =
-- function(self, x)}, features_width, features_cost(shape), and describes itself in the registry. A stage is where a
-- network may be cut: what is frozen below runs as a plan, and its outputs can be kept.
-- Of sequences (tlua/models/speech/sequence.lua) the lengths go along with x where there are any: run(self, x, lengths)
-- gives both.
-- `chance`: a function of the network that says whether a stage draws, so that it is not fixed though nothing in it is
-- trained.
-- `for_classes`: a stage that maps of the picture have no use for, and all behind it (a U-Net leaves them out);
-- `shape`: a function of the input's shape, where the modules' own `cost` does not tell what comes out.
local Network = module.class("models.Network")
Network.gives = "vector" -- the kind of its outputs: a row for each picture, or a map

-- Called by the registry after construction.
function Network:set_up(entry, options)
  rawset(self, "entry", entry)
  rawset(self, "network_options", options)
  rawset(self, "classes", options.classes)
  if options.dropout > 0 and not self.drops_within then self.dropout = require("tlua.nn").Dropout(options.dropout) end
  if options.weights ~= nil and options.weights ~= false and options.weights ~= "none" then
    rawset(self, "_pending", function(me) me:load_weights(options.weights, options.weights_key) end)
  end
end

-- ---- stages ----

local function stages_of(self)
  local list = rawget(self, "_stages")
  if not list then
    list = self:stages()
    rawset(self, "_stages", list)
  end
  return list
end

-- The same, cut finer where a map would else be missed: in front of a pooling.
function Network:map_stages() return stages_of(self) end

function Network:stage_count() return #stages_of(self) end
function Network:stage_modules(k) return stages_of(self)[k].modules end
function Network:stage_name(k) return stages_of(self)[k].name end

-- The module that has the tensor of that name, and the tensor's own name.
local function owner_of(self, name)
  local above, key = name:match "^(.*)%.([^.]+)$"
  return above and self:find(above) or self, key or name
end

-- Calls f(name, tensor) for all that stage k computes with.
function Network:each_stage_tensor(k, f)
  self:ready()
  for _, name in ipairs(self:stage_modules(k)) do
    local m = self:find(name)
    if not m then
      local owner, key = owner_of(self, name)
      f(name, owner._tensors[key])
    else
      for path, t in m:named_tensors() do f(name .. "." .. path, t) end
    end
  end
end

-- Does any module below behave at random, or by the batch, although it is frozen?
local function deterministic(m)
  local fixed = true
  m:walk(function(each) if each.uses_batch and each.frozen_mode == "train" then fixed = false end end)
  return fixed
end

local function stage_is_fixed(self, stage)
  if stage.chance and stage.chance(self) then return false end
  for _, name in ipairs(stage.modules) do
    local m = self:find(name)
    if not m then
      local owner, key = owner_of(self, name)
      if not owner._frozen[key] then return false end
    else
      local _, free = m:_survey()
      if free or not deterministic(m) then return false end
    end
  end
  return true
end

-- How many stages from the pictures on are frozen and give the same for the same picture.
function Network:fixed_stages()
  local known = rawget(self, "_fixed_stages")
  if known and known.changes == module.changes then return known.count end
  local list, count = stages_of(self), 0
  while count < #list and stage_is_fixed(self, list[count + 1]) do count = count + 1 end
  rawset(self, "_fixed_stages", { changes = module.changes, count = count })
  return count
end

-- x and lengths (nil: of pictures, or all are full) through some stages.
local function as_list(x) return type(x) == "table" and x or { x } end

-- What a stage took and does not pass on: whether backward needs it or not, its handle would hold it until the scope of
-- the step ends.
local function discard_all_but(y, x)
  local passed = {}
  for _, each in ipairs(as_list(y)) do passed[each] = true end
  for _, each in ipairs(as_list(x)) do
    if not passed[each] then core.discard(each) end
  end
end

local function through(self, x, lengths, first, last)
  local list = stages_of(self)
  for k = first, last do
    local scope <close> = core.scope() -- a stage leaves its result alone
    local y, left = list[k].run(self, x, lengths)
    if k > first and not plan.tracing then discard_all_but(y, x) end
    x, lengths = y, lengths and left
    module.keep(scope, x)
    module.keep(scope, lengths)
  end
  return x, lengths
end

-- Stages first..last, one after the other.
function Network:through(x, lengths, first, last) return through(self, x, lengths, first, last) end

-- What the feature cache calls the network; what its stages depend on beside tensors, where their names do not say it;
-- and the shape of a picture.
function Network:short_name() return self.entry.name end
function Network:structure(_) return nil end
function Network:picture_shape(size) return { 1, size, size, self.network_options.in_channels } end

-- What stage k alone makes of x.
function Network:stage(x, k, lengths)
  self:ready()
  return through(self, x, lengths, k, k)
end

-- x (N, H, W, C) through the first k stages, without gradients, as a plan.
function Network:below(x, k, lengths)
  if not rawget(self, "_built") then self:ready() end
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  if not lengths then
    local y = plan.run(self, "below " .. k, function(me, input) return (through(me, input, nil, 1, k)) end, x,
      self.open_sizes)
    module.keep(scope, y)
    return y
  end
  local both = plan.run(self, ("below %d with lengths"):format(k), function(me, input)
    return { through(me, input[1], input[2], 1, k) }
  end, { x, lengths }, self.open_sizes)
  module.keep(scope, both)
  return both[1], both[2]
end

-- What comes out of stage k through the later ones: features (N, width).
function Network:above(x, k, lengths)
  local y, left = through(self, x, lengths, k + 1, self:stage_count())
  return y, left
end

-- What comes out of stage k for x, without gradients, and a function that goes on from there to the logits.
function Network:split(x, k)
  return self:below(x, k), function(a)
    local y = self:classify((self:above(a, k)))
    return y
  end
end

-- x (N, H, W, C) -> features (N, width), the input of the head.
function Network:features(x, lengths)
  if not rawget(self, "_built") then self:ready() end
  local all = self:stage_count()
  local k = not core.recording() and all or module.wants_gradient(x) and 0 or self:fixed_stages()
  local y, left = x, lengths
  if k > 0 then y, left = self:below(x, k, lengths) end
  if k < all then y, left = self:above(y, k, left) end
  return y, left
end

-- What a task that names no head gives this network.
function Network:default_head(classes) return require("tlua.nn").Linear(classes) end

function Network:head() return self.head_name and self:find(self.head_name) end

-- Features (N, width) -> logits; a head that was set replaces all that follows the features.
function Network:classify(features)
  if self.dropout and not rawget(self, "own_head") then features = self.dropout(features) end
  local y = self:head()(features)
  return y
end

function Network:forward(x)
  local y = self:classify((self:features(x)))
  return y
end

-- Replaces the classifier; a Linear without an input width takes the width of the features.
function Network:set_head(head)
  local above, key = self.head_name:match "^(.*)%.([^.]+)$"
  local owner = above and self:find(above) or self
  owner[key or self.head_name] = head
  rawset(self, "own_head", true)
  local classes = head:infer(self.features_width)
  rawset(self, "classes", classes)
  head:walk(function(m)
    for name in pairs(m._frozen) do m._frozen[name] = nil end
  end)
  self:_touch()
  return self
end

-- Says that a head of the file was of no use.
function Network:note_head(report)
  if report.head_dropped and not rawget(self, "quiet") then
    util.note(("%s: the head '%s' of the file %s and was dropped; a new one starts at random"):format(self.entry.name,
      report.head_dropped, report.head_why))
  end
end

-- What was loaded from elsewhere than a file by itself (tlua/weights/folder.lua).
function Network:took_weights(report, path)
  rawset(self, "weights_path", path)
  rawset(self, "weights_report", report)
  self:note_head(report)
end

-- Loads a published set or a file, or the part `key` of a file; notes a head that was dropped. Returns the report.
function Network:load_weights(spec, key)
  local path, set, name = weights.resolve(self.entry, spec)
  if key and name == spec then
    util.failf("%s: weights: the published set '%s' has no parts; a key chooses one of a file", self.entry.name, spec)
  end
  local report = self:load(path, { what = self.entry.name .. ": " .. path, key = key })
  rawset(self, "weights_path", path)
  rawset(self, "weights_set", set)
  rawset(self, "weights_name", name)
  rawset(self, "weights_report", report)
  if report.metadata and report.metadata.tlua then
    local info = description.read(report.metadata.tlua)
    if info then
      rawset(self, "file_preprocessing", info.preprocessing)
      rawset(self, "file_labels", info.labels)
    end
  end
  local named = report.labels -- by a pickled module
  if named and not report.head_dropped and #named == self.classes then rawset(self, "weights_labels", named) end
  self:note_head(report)
  return report
end

-- A tensor of a file for `path`, made to fit `shape`, or nil. The first convolution of three channels serves others as
-- timm has it (adapt_input_conv): one gets the sum, n get them in turns and scaled, so that the sum over the channels
-- stays.
function Network:adapted(path, t, shape)
  local n, from = self.network_options.in_channels, t:shape()
  if path ~= self.first_name .. ".weight" or #from ~= 4 or from[2] ~= 3 or shape[2] ~= n then return nil end
  if n == 1 then return t:sum { axes = { 2 }, keep = true } end
  local copies = {}
  for i = 1, (n + 2) // 3 do copies[i] = t end
  copies[#copies + 1] = { axis = 2 }
  return core.ops.slice(core.ops.concat(table.unpack(copies)), 2, 0, n) * (3 / n)
end

-- Grey pictures have one mean and deviation.
local function for_channels(p, n)
  if n == 3 then return p end
  local out = {}
  for key, value in pairs(p) do out[key] = value end
  out.channels = n
  for _, key in ipairs { "mean", "std" } do
    if n == 1 and type(p[key]) == "table" and #p[key] == 3 then
      out[key] = { (p[key][1] + p[key][2] + p[key][3]) / 3 }
    end
  end
  return out
end

-- {size, resize, interpolation, mean, std, ...} that goes with the weights; channels, where they are not three.
function Network:preprocessing()
  if rawget(self, "file_preprocessing") then return self.file_preprocessing end
  local set = rawget(self, "weights_set")
  local wanted = self.network_options.weights
  if not set and type(wanted) == "string" then set = self.entry.weights and self.entry.weights[wanted] end
  return for_channels(weights.preprocessing(self.entry, set), self.network_options.in_channels)
end

-- Class names of the head, where they are known.
function Network:labels()
  if rawget(self, "file_labels") then return self.file_labels end
  if not rawget(self, "own_head") and rawget(self, "weights_labels") then return self.weights_labels end
  if not rawget(self, "own_head") and self.classes == 1000 and self.network_options.weights then
    return require "tlua.models.imagenet_labels"
  end
end

function Network:cost(shape)
  local out, n = self:features_cost(shape)
  local logits, m = self:head():cost(out)
  return logits, n + m
end

function Network:label() return self.entry and self.entry.name or self._class end

util.seal(Network, "", 1, { forward = true })
return Network
