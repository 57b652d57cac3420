-- network.lua - what all networks of the registry share: features below, a head above, weights with their
-- preprocessing and labels.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.module"
local plan = require "tlua.plan"
local weights = require "tlua.weights"

-- A subclass has: head_name (the classifier's name in files), features_forward(x) -> (N, width),
-- features_width, make_head(classes), features_cost(shape), and describes itself in the registry.
local Network = module.class("models.Network")

-- Called by the registry after construction.
function Network:set_up(entry, options)
  rawset(self, "entry", entry)
  rawset(self, "network_options", options)
  rawset(self, "classes", options.classes)
  if options.dropout > 0 then self.dropout = require("tlua.nn").Dropout(options.dropout) end
  if options.weights ~= nil and options.weights ~= false and options.weights ~= "none" then
    rawset(self, "_pending", function(me) me:load_weights(options.weights) end)
  end
end

-- x (N, H, W, C) -> features (N, width), the input of the head.
function Network:features(x)
  if not rawget(self, "_built") then self:ready() end
  local y
  if not core.recording() or (self:backbone_frozen() and not module.wants_gradient(x)) then
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    y = plan.run(self, "features", self.features_forward, x)
    scope:keep(y)
    return y
  end
  y = self:features_forward(x)
  return y
end

function Network:head() return self._modules[self.head_name] end

-- Features (N, width) -> logits; a head that was set replaces all that follows the features.
function Network:classify(features)
  if self.dropout and not rawget(self, "own_head") then features = self.dropout(features) end
  local y = self:head()(features)
  return y
end

function Network:forward(x)
  local y = self:classify(self:features(x))
  return y
end

-- Replaces the classifier; a Linear without an input width takes the width of the features.
function Network:set_head(head)
  self[self.head_name] = head
  rawset(self, "own_head", true)
  local classes = head:infer(self.features_width)
  rawset(self, "classes", classes)
  head:walk(function(m)
    for name in pairs(m._frozen) do m._frozen[name] = nil end
  end)
  self:_touch()
  return self
end

-- Is everything below the head frozen?
function Network:backbone_frozen()
  for _, key in ipairs(self._order) do
    if key ~= self.head_name then
      local _, free = self._modules[key]:_survey()
      if free then return false end
    end
  end
  return true
end

-- Does any module below the head behave at random, or by the batch, although it is frozen?
function Network:backbone_deterministic()
  local fixed = true
  for _, key in ipairs(self._order) do
    if key ~= self.head_name then
      self._modules[key]:walk(function(m) if m.uses_batch and m.frozen_mode == "train" then fixed = false end end)
    end
  end
  return fixed
end

-- Loads a published set or a file; notes a head that was dropped. Returns the report.
function Network:load_weights(spec)
  local path, set, name = weights.resolve(self.entry, spec)
  local report = self:load(path, { what = self.entry.name .. ": " .. path })
  rawset(self, "weights_path", path)
  rawset(self, "weights_set", set)
  rawset(self, "weights_name", name)
  rawset(self, "weights_report", report)
  if report.metadata and report.metadata.tlua then
    local ok, info = pcall(core.json_decode, report.metadata.tlua)
    if ok and type(info) == "table" then
      rawset(self, "file_preprocessing", info.preprocessing)
      rawset(self, "file_labels", info.labels)
    end
  end
  if report.head_dropped and not rawget(self, "quiet") then
    util.note(("%s: the head '%s' of the file has another size and was dropped; a new one starts at random"):format(self.entry.name, report.head_dropped))
  end
  return report
end

-- {size, resize, interpolation, mean, std, ...} that goes with the weights.
function Network:preprocessing()
  if rawget(self, "file_preprocessing") then return self.file_preprocessing end
  local set = rawget(self, "weights_set")
  local wanted = self.network_options.weights
  if not set and type(wanted) == "string" then set = self.entry.weights and self.entry.weights[wanted] end
  return weights.preprocessing(self.entry, set)
end

-- Class names of the head, where they are known.
function Network:labels()
  if rawget(self, "file_labels") then return self.file_labels end
  if not rawget(self, "own_head") and self.classes == 1000 and self.network_options.weights then return require "tlua.imagenet_labels" end
end

function Network:cost(shape)
  local out, n = self:features_cost(shape)
  local logits, m = self:head():cost(out)
  return logits, n + m
end

function Network:label() return self.entry and self.entry.name or self._class end

return Network
