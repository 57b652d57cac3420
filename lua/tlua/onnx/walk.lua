-- walk.lua - going through the nodes of an ONNX graph, each of which makes calls of our operators (tlua.onnx.ops). What
-- hangs on constants alone is worked out once; the rest is gone through under a trace, once for each size that is left
-- open (docs/internals.md). A handler is f(w, node, x) -> value, or a list of values; x[i] is nil where an input is
-- absent.
local core = require "tlua.core"
local util = require "tlua.util"
local host = require "tlua.onnx.host"
local value = require "tlua.onnx.value"
local graph = require "tlua.onnx.graph"
local checks = require "tlua.onnx.checks"

local Walk = {}
Walk.__index = Walk

-- handlers: op -> function. Tensors that calls want are in `made`, by key; `first_use` has the node that first wanted
-- each, `roles` what a constant is to it: "weight", "bias"... (names.lua makes names of both).
local function new(handlers)
  return setmetatable({ handlers = handlers, made = {}, wanted = {}, folded = {}, first_use = {}, roles = {},
    direct = {}, order = {}, inside = 0, notes = {}, normed = {}, carrying = {}, absent = {} }, Walk)
end

-- A tensor that must be there before a trace, made by f. In a rehearsal (a dry run) it is asked for only.
function Walk:prepare(key, f)
  self.first_use[key] = self.first_use[key] or self.current
  -- What a call wants, and not what that is made of.
  if self.rehearsing and self.inside == 0 and not self.direct[key] then
    self.direct[key] = true
    self.order[#self.order + 1] = key
  end
  local t = self.made[key]
  if t then return t end
  if self.tracing and not self.rehearsing then util.fail "a constant follows from a size that is left open" end
  if self.rehearsing and self.inside == 0 then self.wanted[#self.wanted + 1] = { key = key, f = f } end
  self.inside = self.inside + 1
  local ok, made = pcall(f)
  self.inside = self.inside - 1
  if not ok then error(made, 0) end
  if not self.rehearsing then self.made[key] = core.persist(made) end
  return made
end

-- Makes what a rehearsal asked for. Some are made of others, so they come in the order of asking.
function Walk:make_wanted()
  local list = self.wanted
  self.wanted, self.rehearsing = {}, false
  for _, each in ipairs(list) do self:prepare(each.key, each.f) end
end

-- ---- values by name ----

-- A scope of names: the graph's, or that of a graph inside a node, whose names hide the outer ones.
local function scope_of(outer) return setmetatable({}, { __index = outer }) end

local function node_text(node)
  local name = node.name ~= "" and node.name or node.outputs[1] or "?"
  return ("%s (%s, opset %d)"):format(node.op, util.shown(name, 60), node.version)
end

-- Why there is no value of that name. Old files name outputs that nobody takes, like the mask of a dropout.
function Walk:absence(name)
  return self.absent[name] or ("'%s' is not made by any node before it"):format(util.shown(name, 60))
end

local function inputs_of(self, env, node)
  local x = { n = #node.inputs }
  for i, name in ipairs(node.inputs) do
    if name ~= "" then
      x[i] = env[name]
      if not x[i] then util.failf("%s: its input: %s", node_text(node), self:absence(name)) end
    end
  end
  return x
end

-- May the numbers be worked out in Lua? Few of them, also where they are broadcast or joined.
local function all_host(x)
  if x.n == 0 then return false end
  local shapes, total = {}, 0
  for i = 1, x.n do
    if x[i] and not x[i].host then return false end
    if x[i] then shapes[#shapes + 1], total = x[i].dims, total + #x[i].host end
  end
  local fit, dims = pcall(host.broadcast_dims, shapes)
  return math.max(total, fit and host.count(dims) or 0) <= host.MOST * 16
end

local function all_const(x)
  for i = 1, x.n do
    if x[i] and not x[i].const then return false end
  end
  return true
end

-- Numbers that follow from open sizes are made by calls as long as they are a series (value.lua); a grid of two series
-- is not one, and is the device's.
local function is_grid(x)
  local shapes, sized = {}, false
  for i = 1, x.n do
    if x[i] then
      shapes[#shapes + 1], sized = x[i].dims, sized or x[i].sized
    end
  end
  if not sized then return false end
  local long = 0
  for _, d in ipairs(host.broadcast_dims(shapes)) do long = long + (d > 1 and 1 or 0) end
  return long > 1
end

-- Elements of constants that a file has not but makes, all together: a small file can ask for any number.
local MOST_HELD = 1 << 28

function Walk:hold(t)
  self.held = (self.held or 0) + t:numel()
  if self.held > MOST_HELD then
    self.beyond = ("what follows from constants comes to more than %d numbers"):format(MOST_HELD)
    util.fail(self.beyond)
  end
end

-- Before opset 7 the second input could stand in the middle of the first one's dimensions; in Lua it is at their end.
local function along_axis(node, x)
  local axis = node.attrs.broadcast == 1 and node.attrs.axis
  return axis and x[2] and (axis < 0 and axis + #x[1].dims or axis) + #x[2].dims ~= #x[1].dims
end

-- One node: its values go into env.
function Walk:node(env, node)
  local x = inputs_of(self, env, node)
  local f, y = nil, nil
  self.current = node
  checks.node(node, x)
  local in_lua = node.domain == "" and host.OPS[node.op] and all_host(x) and not along_axis(node, x)
  if in_lua and not (self.tracing and is_grid(x)) then
    y = host.OPS[node.op](x, node.attrs)
  end
  if y == nil then
    f = self.handlers[node.domain == "" and node.op or node.domain .. ":" .. node.op]
    y = f(self, node, x, env)
  end
  if y.dims or y.kind then y = { y } end
  local const = all_const(x) and not node.random
  for i, name in ipairs(node.outputs) do
    local v = y[i]
    if name ~= "" then
      if not v then self.absent[name] = ("the output %d of %s is not supported"):format(i, node_text(node)) end
      if v and const and not v.const and v.t and not self.tracing and not self.rehearsing then
        local key = "value|" .. name
        v.const, v.key, v.source = true, key, v.source or (x[1] and x[1].source)
        self:hold(v.t)
        self.made[key] = v.t
        v.load, v.t = function() util.failf("the constant '%s' is gone", name) end, nil
      end
      env[name] = v
    end
  end
end

-- With the node's place in front of what goes wrong.
function Walk:guarded(env, node)
  local ok, e = pcall(self.node, self, env, node)
  if ok then return end
  local why = util.without_place(e)
  if not self.exact and (why:find "attempt to" or why:find "bad argument") then
    why = "its inputs or attributes are not those of the operator"
  end
  if why:sub(1, #node.op + 2) == node.op .. " (" then error(why, 0) end
  error(("%s: %s"):format(node_text(node), why), 0)
end

-- The nodes of a graph inside a node, with values for its inputs; gives those of its outputs.
function Walk:graph(env, graph, given)
  local inner = scope_of(env)
  for i, port in ipairs(graph.inputs) do inner[port.name] = given and given[i] or inner[port.name] end
  for _, c in ipairs(graph.tensors) do inner[c.name] = value.constant(c, c.name) end
  for _, node in ipairs(graph.nodes) do self:guarded(inner, node) end
  local out = {}
  for i, port in ipairs(graph.outputs) do
    out[i] = inner[port.name]
    if not out[i] then util.failf("the output '%s' of a graph inside is not made by any node", port.name) end
  end
  return out
end

-- What hangs on constants alone, once. A node that fails here may never be asked for: its own walk will say so.
function Walk:fold(env, nodes)
  for _, node in ipairs(nodes) do
    local ready = not node.random
    for _, name in ipairs(node.inputs) do
      local v = name == "" or env[name]
      if not v or v ~= true and not v.const then ready = false end
    end
    if ready and pcall(self.node, self, env, node) then self.folded[node] = true end
    if self.beyond then util.failf("%s: %s", node_text(node), self.beyond) end
  end
end

-- The nodes that are left, with values for the inputs in env.
function Walk:run(env, nodes)
  for _, node in ipairs(nodes) do
    if not self.folded[node] then self:guarded(env, node) end
  end
end

-- The same with numbers, letting go of each value behind the last node that takes it, but for those in `wanted` (names).
function Walk:run_frugally(env, nodes, wanted)
  local last, holders = {}, {}
  for i, node in ipairs(nodes) do
    for _, name in ipairs(graph.wants_of(node)) do last[name] = i end
    for _, name in ipairs(node.outputs) do last[name] = last[name] or i end
  end
  for _, name in ipairs(wanted) do last[name] = math.huge end
  for _, v in next, env do -- what went in is the caller's, under whatever name
    if v.t then holders[v.t] = math.huge end
  end
  for i, node in ipairs(nodes) do
    local names = {}
    if not self.folded[node] then
      local scope <close> = core.scope()
      self:guarded(env, node)
      for _, name in ipairs(node.outputs) do
        local v = rawget(env, name)
        if v and v.t then
          scope:keep(v.t)
          holders[v.t] = (holders[v.t] or 0) + 1
        end
        names[#names + 1] = name
      end
    end
    for _, name in ipairs(graph.wants_of(node)) do names[#names + 1] = name end
    for _, name in ipairs(names) do
      local v = rawget(env, name)
      if v and last[name] == i then
        env[name] = nil
        if v.t and holders[v.t] then
          holders[v.t] = holders[v.t] - 1
          if holders[v.t] == 0 then core.discard(v.t) end
        end
      end
    end
  end
end

-- What a constant is to the node that takes it.
function Walk:role(v, role)
  if not v or not v.key then return end
  local known = self.roles[v.key]
  if not known then self.roles[v.key] = { role = role, node = self.current, source = v.source }
  elseif known.node.outputs[1] ~= self.current.outputs[1] then known.shared = true end
end

-- Says once what somebody ought to know of the file.
function Walk:note(text)
  if not self.notes[text] then
    self.notes[text] = true
    self.notes[#self.notes + 1] = text
  end
end

return { new = new, scope_of = scope_of }
