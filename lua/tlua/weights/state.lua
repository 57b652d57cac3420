-- state.lua - matching the tensors of a file with the parameters and buffers of a network.
local core = require "tlua.core"
local util = require "tlua.util"
local names = require "tlua.weights.names"
local lora = require "tlua.nn.lora"
local description = require "tlua.weights.description"
local state = {}

-- A checkpoint of a run holds the optimiser's tensors too.
local function without_optimizer(tensors)
  local out = {}
  for name, t in pairs(tensors) do
    if name:sub(1, 10) ~= "optimizer." then out[name] = t end
  end
  return out
end

-- The tensors by the network's names, why others cannot be read, and what was taken off and left aside: {prefix, outside}.
local function by_own_names(self, what, tensors, odd, in_head)
  local own, body, list = {}, 0, {}
  for _, each in ipairs(self:specs()) do
    own[each.path] = in_head(each.path) and "head" or lora.is_adapter(each.path) and "adapter" or "body"
    if own[each.path] == "body" then body = body + 1 end
  end
  self:walk(function(m, path)
    for name in pairs(m:counters()) do own[path == "" and name or path .. "." .. name] = "counter" end
  end)
  for name in pairs(tensors) do
    if type(name) ~= "string" then util.failf("load: tensors are named by texts, not by a %s", type(name)) end
    list[#list + 1] = name
  end
  for name in pairs(odd) do list[#list + 1] = name end
  local current = self.current_name and function(name) return self:current_name(name) end or function(name) return name end
  local to, prefix, outside = names.match(what, list, own, body, current)
  local out, why = {}, {}
  for name, t in pairs(tensors) do
    if to[name] then out[to[name]] = t end
  end
  for name, text in pairs(odd) do
    if to[name] then why[to[name]] = text end
  end
  return out, why, { prefix = prefix, outside = outside }
end

local function shape_of(v)
  if core.is_tensor(v) then return v:shape() end
  return {}
end

-- Compares names and shapes. Returns pairs to take {path=, module=, spec=, value=} and the report.
local function match(self, tensors, odd, head, in_head, adapts)
  local report = { missing = {}, unexpected = {}, wrong_shape = {}, unreadable = {}, head_dropped = nil, loaded = 0,
    drawn = {}, aside = {} }
  local take, known = {}, {}
  for _, each in ipairs(self:specs()) do
    local value = tensors[each.path]
    known[each.path] = true
    local fresh = value == nil and adapts and lora.is_adapter(each.path) -- no file of a base has one
    if value == nil and not fresh then
      if in_head(each.path) then
        report.head_missing = odd[each.path] and ("%s %s"):format(each.path, odd[each.path]) or report.head_missing or "is not in the file"
      elseif adapts and not odd[each.path] and self.may_lack and self:may_lack(each.path) then
        report.drawn[#report.drawn + 1] = each.path
      elseif odd[each.path] then report.unreadable[#report.unreadable + 1] = ("%s %s"):format(each.path, odd[each.path])
      elseif each.spec.initial[1] ~= "values" then
        report.missing[#report.missing + 1] = each.path
      end
    elseif value ~= nil and not util.same_shape(shape_of(value), each.spec.shape) then
      local fitted = adapts and self.adapted and core.is_tensor(value) and self:adapted(each.path, value, each.spec.shape)
      if fitted then take[#take + 1] = { path = each.path, module = each.module, spec = each.spec, value = fitted }
      elseif in_head(each.path) then report.head_dropped = head
      else
        report.wrong_shape[#report.wrong_shape + 1] = ("%s %s instead of %s"):format(each.path, util.shape_text(shape_of(value)), util.shape_text(each.spec.shape))
      end
    elseif value ~= nil then
      take[#take + 1] = { path = each.path, module = each.module, spec = each.spec, value = value }
    end
  end
  local counters = {}
  self:walk(function(m, path)
    for name in pairs(m:counters()) do counters[path == "" and name or path .. "." .. name] = { m, name } end
  end)
  for name in pairs(tensors) do
    if not known[name] and not counters[name] then
      local aside, told = nil, nil
      if adapts and self.is_aside then aside, told = self:is_aside(name) end
      if aside then report.aside[told and #report.aside + 1 or 0] = name
      elseif in_head(name) then report.head_dropped = head
      else report.unexpected[#report.unexpected + 1] = name end
    end
  end
  report.aside[0] = nil
  table.sort(report.aside)
  table.sort(report.unexpected)
  if report.head_dropped then report.head_why = "has another size"
  elseif report.head_missing then report.head_dropped, report.head_why = head, report.head_missing end
  return take, report, counters
end

-- One line that says what does not fit; nil when all does.
function state.complaint(what, report)
  local parts = {}
  if #report.unreadable > 0 then parts[1] = util.first_few(report.unreadable, 1) end
  if #report.wrong_shape > 0 then parts[#parts + 1] = "wrong shape: " .. util.first_few(report.wrong_shape) end
  if #report.missing > 0 then parts[#parts + 1] = "missing: " .. util.first_few(report.missing) end
  if #report.unexpected > 0 then parts[#parts + 1] = "unexpected: " .. util.first_few(report.unexpected) end
  if #parts == 0 then return nil end
  return ("%s does not fit: %s"):format(what, table.concat(parts, "; "))
end

-- Puts the values in place. A tensor that is there already is overwritten, so that optimisers and users who hold
-- it see the new values.
local function put(take, counters, tensors, copy)
  for _, each in ipairs(take) do
    local have = each.module._tensors[each.spec.name]
    if have then have:copy_(each.value)
    else
      local value = copy and each.value:clone() or each.value
      each.module:_adopt(each.spec, value)
    end
  end
  for name, counter in pairs(counters) do
    local v = tensors[name]
    if core.is_tensor(v) then v = math.tointeger(v:item()) elseif type(v) == "table" then v = v.int64 end
    if math.type(v) == "integer" then counter[1]:set_counter(counter[2], v) end
  end
end

-- Adapters of a run become part of the weights that a network without them takes.
local function without_adapters(self, tensors, metadata)
  local info = metadata.tlua and not lora.has(self) and description.read(metadata.tlua)
  return info and info.lora and lora.merged(self, tensors, info.lora) or tensors
end

-- A line on what was chosen and what was left aside, where the file gave a choice.
local function note_choice(what, key, about, report)
  local prefix, left = report.prefix ~= "" and report.prefix:sub(1, -2), #report.outside
  if not key and #about.others > 0 then
    util.note(("%s: the tensors under '%s' were taken; there are also %s (weights = { path = FILE, key = \"%s\" })"):format(what, about.key,
      table.concat(about.others, ", "), about.others[1]))
  end
  if left > 0 then
    util.note(("%s: the tensors under '%s' were taken; left aside: %s"):format(what, prefix, util.first_few(report.outside)))
  end
end

-- What a model file of ours holds beside the network's tensors, packed ("tlua.tokenizer"): taken by a network that has
-- took_kept, and no tensor of any.
local function take_kept(self, tensors, what)
  for _, name in ipairs(util.keys(tensors)) do
    if name:find "^tlua%." then
      if self.took_kept then self:took_kept(name, tensors[name], what) end
      tensors[name] = nil
    end
  end
end

-- The same of heads that the network has not now, and of what no file of a pretrained network has.
local function note_parts(what, report)
  if #report.aside > 0 then util.note(("%s: left aside: %s"):format(what, util.first_few(report.aside))) end
  if #report.drawn > 0 then
    util.note(("%s has no %s: new ones start at random"):format(what, table.concat(report.drawn, ", ")))
  end
end

-- self:load(path or table [, {strict = true, head = name, key = part of the file}]) -> report {missing, unexpected,
-- wrong_shape, unreadable, head_dropped, loaded, key, others, labels, prefix, outside, drawn, aside}. Names may have
-- words of wrappers before them (tlua/weights/names.lua).
-- A head of another size is left as it is, and `head_dropped` names it; anything else that does not match is an
-- error, unless strict = false: then what matches is taken. whole = true: a head of another size is an error too, and nothing is made to fit.
function state.load(self, source, options)
  options = util.options("load", options, { strict = true, head = util.none, what = util.none, whole = false, key = util.none })
  local tensors, metadata, about = source, {}, { others = {}, odd = {} }
  local scope <close> = core.scope()
  local from_file = type(source) == "string"
  if from_file then tensors, metadata, about = core.load(source, { key = options.key })
  elseif options.key ~= nil then util.fail "load: key chooses a part of a file; of a table give the part itself" end
  if type(tensors) ~= "table" then util.failf("load: a path or a table of tensors is needed, not %s", type(source)) end
  local head = not options.whole and (options.head or self.head_name) or nil
  local parts = head and (self.head_parts or { head }) or {} -- a head may stand at several places
  local function in_head(name)
    for _, each in ipairs(parts) do
      if name:sub(1, #each + 1) == each .. "." then return true end
    end
    return false
  end
  local what = options.what or (from_file and source or "this table")
  if not options.whole then tensors = without_adapters(self, tensors, metadata) end
  local odd, names_report
  if from_file then take_kept(self, tensors, what) end
  tensors, odd, names_report = by_own_names(self, what, metadata.checkpoint and without_optimizer(tensors) or tensors, about.odd, in_head)
  local pending = rawget(self, "_pending")
  rawset(self, "_pending", nil) -- what was to be loaded is replaced
  local take, report, counters = match(self, tensors, odd, head, in_head, not options.whole)
  report.key, report.others, report.labels = about.key, about.others, about.labels
  report.prefix, report.outside = names_report.prefix, names_report.outside
  local complaint = state.complaint(what, report)
  if complaint and options.strict then
    rawset(self, "_pending", pending)
    util.fail(complaint)
  end
  if report.head_dropped then -- all of the head or nothing
    local rest = {}
    for _, each in ipairs(take) do
      if not in_head(each.path) then rest[#rest + 1] = each end
    end
    take = rest
  end
  put(take, counters, tensors, not from_file)
  report.loaded, report.metadata = #take, metadata
  if not rawget(self, "quiet") then note_choice(what, options.key, about, report) end
  note_parts(what, report)
  return report
end

return state
