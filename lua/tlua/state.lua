-- state.lua - matching the tensors of a file with the parameters and buffers of a network.
local core = require "tlua.core"
local util = require "tlua.util"
local state = {}

-- Files written by wrappers put a word before every name; it is taken off when all names have it.
local function without_prefix(tensors)
  for _, prefix in ipairs { "module.", "model.", "backbone." } do
    local all = next(tensors) ~= nil
    for name in pairs(tensors) do
      if name:sub(1, #prefix) ~= prefix then all = false break end
    end
    if all then
      local out = {}
      for name, t in pairs(tensors) do out[name:sub(#prefix + 1)] = t end
      return out
    end
  end
  return tensors
end

-- A checkpoint of a run holds the optimiser's tensors too.
local function without_optimizer(tensors)
  local out = {}
  for name, t in pairs(tensors) do
    if name:sub(1, 10) ~= "optimizer." then out[name] = t end
  end
  return out
end

-- Names of an older form of a network's published file become those that it has now.
local function with_current_names(self, tensors)
  if not self.current_name then return tensors end
  local out = {}
  for name, t in pairs(tensors) do out[self:current_name(name)] = t end
  return out
end

local function shape_of(v)
  if core.is_tensor(v) then return v:shape() end
  return {}
end

-- Compares names and shapes. Returns pairs to take {path=, module=, spec=, value=} and the report.
local function match(self, tensors, head)
  local report = { missing = {}, unexpected = {}, wrong_shape = {}, head_dropped = nil, loaded = 0 }
  local take, known = {}, {}
  local function in_head(name) return head ~= nil and name:sub(1, #head + 1) == head .. "." end
  for _, each in ipairs(self:specs()) do
    local value = tensors[each.path]
    known[each.path] = true
    if value == nil then
      if in_head(each.path) then report.head_missing = true else report.missing[#report.missing + 1] = each.path end
    elseif not util.same_shape(shape_of(value), each.spec.shape) then
      local fitted = self.adapted and core.is_tensor(value) and self:adapted(each.path, value, each.spec.shape)
      if fitted then take[#take + 1] = { path = each.path, module = each.module, spec = each.spec, value = fitted }
      elseif in_head(each.path) then report.head_dropped = head
      else
        report.wrong_shape[#report.wrong_shape + 1] = ("%s %s instead of %s"):format(each.path, util.shape_text(shape_of(value)), util.shape_text(each.spec.shape))
      end
    else
      take[#take + 1] = { path = each.path, module = each.module, spec = each.spec, value = value }
    end
  end
  local counters = {}
  self:walk(function(m, path)
    for name in pairs(m:counters()) do counters[path == "" and name or path .. "." .. name] = { m, name } end
  end)
  for name in pairs(tensors) do
    if not known[name] and not counters[name] then
      if in_head(name) then report.head_dropped = head else report.unexpected[#report.unexpected + 1] = name end
    end
  end
  table.sort(report.unexpected)
  if report.head_missing then report.head_dropped = report.head_dropped or head end
  return take, report, counters
end

-- One line that says what does not fit; nil when all does.
function state.complaint(what, report)
  local parts = {}
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

-- self:load(path or table [, {strict = true, head = name}]) -> report {missing, unexpected, wrong_shape, head_dropped, loaded}.
-- A head of another size is left as it is, and `head_dropped` names it; anything else that does not match is an
-- error, unless strict = false: then what matches is taken. whole = true: a head of another size is an error too.
function state.load(self, source, options)
  options = util.options("load", options, { strict = true, head = util.none, what = util.none, whole = false })
  local tensors, metadata = source, {}
  local scope <close> = core.scope()
  local from_file = type(source) == "string"
  if from_file then tensors, metadata = core.load(source) end
  if type(tensors) ~= "table" then util.failf("load: a path or a table of tensors is needed, not %s", type(source)) end
  tensors = with_current_names(self, without_prefix(metadata.checkpoint and without_optimizer(tensors) or tensors))
  local head = not options.whole and (options.head or self.head_name) or nil
  local pending = rawget(self, "_pending")
  rawset(self, "_pending", nil) -- what was to be loaded is replaced
  local take, report, counters = match(self, tensors, head)
  local complaint = state.complaint(options.what or (from_file and source or "this table"), report)
  if complaint and options.strict then
    rawset(self, "_pending", pending)
    util.fail(complaint)
  end
  if report.head_dropped then -- all of the head or nothing
    local rest = {}
    for _, each in ipairs(take) do
      if each.path:sub(1, #head + 1) ~= head .. "." then rest[#rest + 1] = each end
    end
    take = rest
  end
  put(take, counters, tensors, not from_file)
  report.loaded, report.metadata = #take, metadata
  return report
end

return state
