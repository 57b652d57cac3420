-- module.lua - the base of all layers and networks: a tree of modules with parameters, buffers and names.
--
-- A module describes before it builds: constructors note shapes and initial distributions, tensors are made when
-- they are first needed. So a recipe can be read, changed and counted without a device, and weights that come
-- from a file are never drawn at random first. Names are PyTorch's: `layer4.0.conv1.weight`.
local core = require "tlua.core"
local util = require "tlua.util"

local Module = { _class = "nn.Module" }
-- `changes` counts what may change a forward that was traced (tlua/plan.lua): modules, tensors, modes, freezing.
local module = { Module = Module, changes = 0 }

-- ---- classes ----

local function lookup(class)
  return function(self, key)
    local v = class[key]
    if v ~= nil then return v end
    v = rawget(self, "_modules")[key]
    if v ~= nil then return v end
    local tensors = rawget(self, "_tensors")
    v = tensors[key]
    if v == nil and rawget(self, "_declared")[key] then -- asked for before anything was built
      self:ready()
      v = tensors[key]
    end
    return v
  end
end

local function is_module(v) return type(v) == "table" and rawget(v, "_modules") ~= nil end
module.is_module = is_module

-- `self.conv1 = nn.Conv2d(...)` makes a child; other values are plain fields.
local function assign(self, key, value)
  local modules = rawget(self, "_modules")
  if is_module(value) then
    if not modules[key] then table.insert(rawget(self, "_order"), key) end
    modules[key] = value
    rawset(value, "_parent", self)
    rawset(value, "_key", key)
    self:_touch()
  elseif modules[key] then
    modules[key] = nil
    local order = rawget(self, "_order")
    for i = #order, 1, -1 do
      if order[i] == key then table.remove(order, i) end
    end
    self:_touch()
    if value ~= nil then rawset(self, key, value) end
  else
    rawset(self, key, value)
  end
end

-- Makes a class: a callable table; calling it makes an object and passes the arguments to `init`.
function module.class(name, base)
  local class = { _class = name }
  local meta = {
    __index = lookup(class), __newindex = assign,
    __call = function(self, ...) local y, z = self:_call(...) return y, z end,
    __tostring = function(self) return self:tree() end, __name = name, methods = class, -- for Tab at the prompt
  }
  setmetatable(class, {
    __index = base or Module,
    __call = function(_, ...)
      local self = setmetatable({ _modules = {}, _order = {}, _tensors = {}, _specs = {}, _declared = {}, _frozen = {}, training = true }, meta)
      rawset(self, "where", util.where())
      util.check_arguments(name, self.init, 1, self, ...)
      self:init(...)
      return self
    end,
  })
  return class
end

function Module:init() end

-- ---- declaring ----

-- initial: {"uniform", low, high}, {"normal", mean, std}, {"constant", value}, or {"values", function that gives a
-- nested table}: numbers that follow from a module's options, so files of weights need not have them.
local function declare(self, kind, name, shape, initial)
  local specs = self._specs
  for i, spec in ipairs(specs) do
    if spec.name == name then table.remove(specs, i) break end
  end
  specs[#specs + 1] = { kind = kind, name = name, shape = shape, initial = initial }
  self._declared[name] = true
  self._ready = nil
  rawset(self, "_built", nil)
  self:_touch()
end

-- Puts another tensor, of the same shape and of any float type, in the place of one.
function Module:_replace(name, t)
  for _, spec in ipairs(self._specs) do
    if spec.name == name then self:_adopt(spec, t) end
  end
end

-- Takes a parameter or buffer away again.
function Module:_forget(name)
  for i, spec in ipairs(self._specs) do
    if spec.name == name then table.remove(self._specs, i) break end
  end
  self._declared[name], self._tensors[name], self._frozen[name] = nil, nil, nil
  self:_touch()
end

function Module:parameter(name, shape, initial) declare(self, "parameter", name, shape, initial) end
function Module:buffer(name, shape, initial) declare(self, "buffer", name, shape, initial) end

-- What follows from parameters being frozen is worked out anew after a change.
function Module:_touch()
  module.changes = module.changes + 1
  local each = self
  while each do
    rawset(each, "_all_frozen", nil)
    each = rawget(each, "_parent")
  end
end

-- The name of this module in its network: "layer4.0.conv1", "" for the root.
function Module:path()
  local parent = rawget(self, "_parent")
  if not parent then return "" end
  local above = parent:path()
  return above == "" and tostring(self._key) or above .. "." .. self._key
end

-- The module of a path ("layer4.0.conv1"), or nil.
function Module:find(path)
  local m = self
  for key in path:gmatch "[^.]+" do m = m and m._modules[key] end
  return m
end

local function join(prefix, name) return prefix == "" and name or prefix .. "." .. name end

-- Calls f(module, path) for this module and all below it, in the order of declaration. Paths are relative to
-- this module.
function Module:walk(f, prefix)
  prefix = prefix or ""
  f(self, prefix)
  for _, key in ipairs(self._order) do self._modules[key]:walk(f, join(prefix, key)) end
end

-- Iterates path, module.
function Module:modules()
  local list, i = {}, 0
  self:walk(function(m, path) list[#list + 1] = { path, m } end)
  return function()
    i = i + 1
    if list[i] then return list[i][1], list[i][2] end
  end
end

-- All specifications below: a list of {path=, spec=, module=}; nothing is built.
function Module:specs()
  local list = {}
  self:walk(function(m, path)
    if m.needs_width then
      util.failf("%s does not know its input width yet: write it out, or call the network once", m:describe())
    end
    for _, spec in ipairs(m._specs) do list[#list + 1] = { path = join(path, spec.name), spec = spec, module = m } end
  end)
  return list
end

-- How many numbers are in the parameters: all, trained.
function Module:count()
  local all, trained = 0, 0
  for _, each in ipairs(self:specs()) do
    if each.spec.kind == "parameter" then
      local n = 1
      for _, d in ipairs(each.spec.shape) do n = n * d end
      all = all + n
      if not each.module._frozen[each.spec.name] then trained = trained + n end
    end
  end
  return all, trained
end

-- ---- building ----

local function make(shape, initial, name)
  local how = initial[1]
  if how == "uniform" then return core.uniform(shape, initial[2], initial[3], name) end
  if how == "normal" then return core.normal(shape, initial[2], initial[3], name) end
  if how == "values" then return core.tensor(initial[2]()) end
  return core.full(shape, initial[2])
end

function Module:_adopt(spec, t)
  core.persist(t)
  if spec.kind == "parameter" then t:requires_grad(not self._frozen[spec.name]) end
  self._tensors[spec.name] = t
  module.changes = module.changes + 1
end

function Module:_build()
  local pending = rawget(self, "_pending")
  if pending then
    rawset(self, "_pending", nil)
    pending(self)
  end
  if not self._ready and not self.needs_width then
    local path
    for _, spec in ipairs(self._specs) do
      if not self._tensors[spec.name] then
        path = path or self:path()
        self:_adopt(spec, make(spec.shape, spec.initial, join(path, spec.name)))
      end
    end
    rawset(self, "_ready", true)
  end
  for _, key in ipairs(self._order) do self._modules[key]:_build() end
  rawset(self, "_built", true)
end

-- Makes the tensors that are not there yet: from the weights named in the description, else drawn by (seed, name).
function Module:ready()
  local top, each = self, rawget(self, "_parent")
  while each do
    if rawget(each, "_pending") then top = each end
    each = rawget(each, "_parent")
  end
  top:_build()
  return self
end

-- ---- calling ----

local wants_gradient
function wants_gradient(...)
  for i = 1, select("#", ...) do
    local x = select(i, ...)
    if core.is_tensor(x) then
      if x:requires_grad() then return true end
    elseif type(x) == "table" and core.is_tensor(x[1]) and wants_gradient(table.unpack(x)) then return true end
  end
  return false
end
module.wants_gradient = wants_gradient

-- No parameter below is trained (and there is at least one).
function Module:all_frozen()
  local known = rawget(self, "_all_frozen")
  if known ~= nil then return known end
  local any, free = self:_survey()
  known = any and not free
  rawset(self, "_all_frozen", known)
  return known
end

function Module:_survey()
  local any, free = self.needs_width or false, self.needs_width or false
  for _, spec in ipairs(self._specs) do
    if spec.kind == "parameter" then
      any = true
      if not self._frozen[spec.name] then free = true end
    end
  end
  for _, key in ipairs(self._order) do
    local a, f = self._modules[key]:_survey()
    any, free = any or a, free or f
  end
  return any, free
end

-- Is this call inference? Either nothing is recorded, or all below is frozen and no input wants a gradient.
function Module:is_inference(...)
  if not core.recording() then return true end
  return self:all_frozen() and not wants_gradient(...)
end

-- Does this module stand in a part that is frozen as a whole? The nearest part with parameters decides.
function Module:in_frozen_part()
  local each = self
  while each do
    local any, free = each:_survey()
    if any then return not free end
    each = rawget(each, "_parent")
  end
  return false
end

-- What a forward gave, a tensor or a list of tensors, outlives a scope.
function module.keep(scope, y)
  if core.is_tensor(y) then scope:keep(y)
  elseif type(y) == "table" then
    for _, each in ipairs(y) do
      if core.is_tensor(each) then scope:keep(each) end
    end
  end
end
local keep = module.keep

-- Runs a method that computes. Where nothing is recorded, what is made on the way is freed at the end.
function Module:_run(method, ...)
  if not rawget(self, "_built") then self:ready() end
  if #self._order > 0 and self:is_inference(...) then
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    local y, z = method(self, ...)
    keep(scope, y)
    keep(scope, z)
    return y, z
  end
  -- A class that keeps no tensor of its forward in itself may say `scoped = true`.
  if self.scoped then -- what backward needs is held by the tape, the rest goes now and not when the collector comes by
    local scope <close> = core.scope()
    local y, z = method(self, ...)
    keep(scope, y)
    keep(scope, z)
    return y, z
  end
  local y, z = method(self, ...)
  return y, z
end

-- f(...) as a place of the profile that is open (tlua/command/profile.lua).
function module.placed(self, f, ...)
  local before = core.profile_place(self:path())
  local y, z = f(...)
  core.profile_at(before)
  return y, z
end

function Module:_call(...)
  if select("#", ...) >= util.most_arguments(self.forward) then util.check_arguments(self:label(), self.forward, 1, self, ...) end
  if module.profiling then return module.placed(self, self._run, self, self.forward, ...) end
  if module.watching then -- somebody looks at all outputs
    local y, z = self:_run(self.forward, ...)
    module.watching(self, y)
    return y, z
  end
  if rawget(self, "recomputed") and not self:is_inference(...) then
    if not rawget(self, "_built") then self:ready() end
    return require("tlua.recompute").run(function(...) return (self:_run(self.forward, ...)) end, ...)
  end
  local y, z = self:_run(self.forward, ...)
  return y, z
end

function Module:forward(...) util.failf("%s has no method forward", self._class) end

-- Passes an input width through: layers that were given none take it. Returns the output width, nil where unknown.
function Module:infer(width) return width end

-- Shape and multiply-adds of the output for an input shape, without computing: (N, H, W, C) -> shape, number.
function Module:cost(shape) return shape, 0 end

-- One line for errors and plans.
function Module:describe()
  local path, own = self:path(), self:label()
  return path == "" and own or own .. ", " .. path
end
function Module:label() return self._class end

-- The whole tree as text.
function Module:tree(indent)
  indent = indent or ""
  local lines = { self:label() }
  for _, key in ipairs(self._order) do lines[#lines + 1] = ("%s  %s: %s"):format(indent, key, self._modules[key]:tree(indent .. "  ")) end
  return table.concat(lines, "\n")
end

-- What a model file says about this module, so that it can be made again; nil where that cannot be told.
function Module:spec() return nil end

-- ---- parameters and state ----

local function iterate(self, kind)
  self:ready()
  local list, i = self:specs(), 0
  return function()
    while true do
      i = i + 1
      local each = list[i]
      if not each then return nil end
      if not kind or each.spec.kind == kind then return each.path, each.module._tensors[each.spec.name] end
    end
  end
end

-- Iterates name, tensor.
function Module:parameters() return iterate(self, "parameter") end
function Module:buffers() return iterate(self, "buffer") end
-- Both.
function Module:named_tensors() return iterate(self) end

-- The parameters that are trained: a list of tensors, a list of names.
function Module:trained()
  self:ready()
  local tensors, names = {}, {}
  for _, each in ipairs(self:specs()) do
    if each.spec.kind == "parameter" and not each.module._frozen[each.spec.name] then
      tensors[#tensors + 1] = each.module._tensors[each.spec.name]
      names[#names + 1] = each.path
    end
  end
  return tensors, names
end

-- name -> tensor with PyTorch's names and layouts. PyTorch's int64 scalars (num_batches_tracked) are int32 here, as
-- all whole numbers on the device; tlua.save writes them as int64 again.
function Module:state_dict()
  local state = {}
  for name, t in iterate(self) do state[name] = t end
  self:walk(function(m, path)
    for name, n in pairs(m:counters()) do state[join(path, name)] = core.tensor(n, { dtype = "int32" }) end
  end)
  return state
end

-- Whole numbers that belong to the state without being tensors (num_batches_tracked).
function Module:counters() return {} end

-- name -> gradient, of the parameters that have one.
function Module:gradients()
  local out = {}
  for name, p in iterate(self, "parameter") do out[name] = p.grad end
  return out
end

function Module:zero_grad()
  for _, p in iterate(self, "parameter") do p:zero_grad() end
end

function Module:train(on)
  module.changes = module.changes + 1
  self:walk(function(m) rawset(m, "training", on ~= false) end)
  return self
end
function Module:eval() return self:train(false) end

-- ---- freezing ----

-- What a glob could have meant: parts of the network with ".*", and parameters.
local function meanings(self, names)
  local list = {}
  self:walk(function(_, path) if path ~= "" then list[#list + 1] = path .. ".*" end end)
  return table.move(names, 1, #names, #list + 1, list)
end

-- "conv1.weight, layer1.*, ...": what the names begin with, two words of it where one says little.
local function beginnings(names)
  for words = 1, 2 do
    local list, known = {}, {}
    for _, name in ipairs(names) do
      local short = name:match("^" .. ("[^.]+%."):rep(words))
      local text = short and short .. "*" or name
      if not known[text] then
        known[text], list[#list + 1] = true, text
      end
    end
    if #list >= 4 or words == 2 then return util.first_few(list, 12) end
  end
end

-- Ends in an error about a glob that matches no parameter. `advice`: what is said behind it.
local function complain(self, what, glob, names, advice)
  if #names == 0 then util.failf("%s: %s has no parameters, so there is nothing for '%s' to match", what, self:label(), glob) end
  for _, each in ipairs(self:specs()) do
    if each.spec.kind == "buffer" and util.unmatched({ glob }, { each.path }) == nil then
      util.failf("%s: '%s' matches buffers alone, like %s, which are not trained by gradients; parameters are weights and biases", what,
        glob, each.path)
    end
  end
  local near = util.near_glob(glob, meanings(self, names))
  util.failf("%s: no parameter of %s matches '%s'%s%s%s", what, self:label(), glob, near and near .. " There are " or "; there are ", beginnings(names), advice or "")
end

local function select_parameters(self, what, globs, advice)
  local matches, list = util.matcher(what, globs)
  local names, chosen = {}, {}
  for _, each in ipairs(self:specs()) do
    if each.spec.kind == "parameter" then
      names[#names + 1] = each.path
      if matches(each.path) then chosen[#chosen + 1] = each end
    end
  end
  local glob = util.unmatched(list, names)
  if glob then complain(self, what, glob, names, advice) end
  if type(globs) == "function" and #chosen == 0 then
    util.failf("%s: the function says yes to no parameter of %s; there are %s%s", what, self:label(), #names > 0 and beginnings(names) or "none", advice or "")
  end
  return chosen
end

local function set_frozen(each, on)
  each.module._frozen[each.spec.name] = on or nil
  each.module:_touch()
  local t = each.module._tensors[each.spec.name]
  if t then t:requires_grad(not on) end
end

-- Freezes the parameters that the globs match: they get no gradient, and a batch norm whose parameters are all
-- frozen uses its running statistics, unless `batchnorm = "train"` stands beside the globs.
function Module:freeze(globs)
  local mode = nil
  if type(globs) == "table" then
    mode = globs.batchnorm
    local rest = {}
    for key, value in pairs(globs) do
      if math.type(key) == "integer" then rest[key] = value
      elseif key ~= "batchnorm" then util.unknown("option of freeze:", key, { "batchnorm" }) end
    end
    if mode ~= nil and mode ~= "train" and mode ~= "eval" then util.failf('freeze: batchnorm must be "train" or "eval", not %s', tostring(mode)) end
    globs = rest
  end
  for _, each in ipairs(select_parameters(self, "freeze", globs)) do
    set_frozen(each, true)
    rawset(each.module, "frozen_mode", mode or "eval") -- set_frozen has counted the change
  end
  return self
end

-- In training too, batch norms below use their running statistics, which then stay as they are; on = false: no longer.
function Module:keep_statistics(on)
  self:walk(function(m)
    if m.uses_batch then
      rawset(m, "keeps_statistics", on ~= false)
      m:_touch()
    end
  end)
  return self
end

-- Does training change this module's own buffers?
function Module:buffers_move() return not self.keeps_statistics and (not self:all_frozen() or self.frozen_mode == "train") end

function Module:unfreeze(globs)
  for _, each in ipairs(select_parameters(self, "unfreeze", globs or "*")) do set_frozen(each, false) end
  return self
end

-- All that can be trained is, so but for what is held in halves.
function Module:_thaw()
  for _, each in ipairs(self:specs()) do
    local t = each.module._tensors[each.spec.name]
    if each.spec.kind == "parameter" and not (t and t:dtype() ~= "float32") then set_frozen(each, false) end
  end
end

-- The names of the parameters that the globs match. A glob that matches nothing is an error of `what`, with `advice` at its end.
function Module:select(what, globs, advice)
  local names = {}
  for i, each in ipairs(select_parameters(self, what, globs, advice)) do names[i] = each.path end
  return names
end

-- ---- adapters (tlua/nn/lora) ----

-- Adapters beside the layers that `on` matches; all else is frozen then, but for the head of a network that has one.
-- options: on, rank, alpha, dropout, rs, or from, a folder.
function Module:add_lora(options)
  local lora = require "tlua.nn.lora"
  lora.add(self, "add_lora", lora.read("add_lora", options or {}))
  lora.freeze(self)
  return self
end

-- Makes adapters part of the weights, and takes them away.
function Module:merge_lora() return require("tlua.nn.lora").merge(self) end

-- Writes adapters, and what else is trained, into a folder as PEFT lays it out.
function Module:save_lora(folder, options) require("tlua.nn.lora.peft").save(self, folder, options) end

-- ---- weights from files ----

-- Takes the tensors of a file or table; see tlua/weights/state.lua. Returns a report.
function Module:load(source, options) return require("tlua.weights.state").load(self, source, options) end

-- Writes the state for other programs: PyTorch takes it back with load_state_dict(strict=True).
function Module:save(path, metadata) core.save(path, self:state_dict(), metadata or {}) end

util.seal(Module, "", 1, { init = true, forward = true })
util.seal(module, "nn.")
return module
