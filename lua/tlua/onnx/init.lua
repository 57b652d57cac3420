-- tlua.onnx - the network of an ONNX file as a list of calls of our operators (docs/format.md) with named tensors, of
-- which nn.Graph makes a module. docs/onnx.md says what is read, docs/internals.md how.
local core = require "tlua.core"
local util = require "tlua.util"
local plan = require "tlua.plan"
local graph = require "tlua.onnx.graph"
local host = require "tlua.onnx.host"
local names = require "tlua.onnx.names"
local patterns = require "tlua.onnx.patterns"
local value = require "tlua.onnx.value"
local walk = require "tlua.onnx.walk"
local handlers = require "tlua.onnx.ops"
local onnx = {}

-- ---- what goes in ----

local PICTURE = { Conv = true, MaxPool = true, AveragePool = true, BatchNormalization = true,
  InstanceNormalization = true, GlobalAveragePool = true, Resize = true, ConvTranspose = true, SpaceToDepth = true,
  QLinearConv = true, ConvInteger = true, LRN = true, DepthToSpace = true, Upsample = true, PRelu = true }
local THROUGH = { Add = true, Sub = true, Mul = true, Div = true, Cast = true, Identity = true, Pad = true,
  Slice = true, Concat = true, QuantizeLinear = true, DequantizeLinear = true, DynamicQuantizeLinear = true,
  Clip = true, Split = true, Relu = true, Sqrt = true, Log = true, Abs = true }

-- Which nodes take each value: {name = list}.
local function takers_of(nodes)
  local takers = {}
  for _, node in ipairs(nodes) do
    for _, input in ipairs(node.inputs) do
      takers[input] = takers[input] or {}
      table.insert(takers[input], node)
    end
  end
  return takers
end

-- Does a Reshape cut the sides of pictures (N, C, H, W) into blocks of pixels, (N, C, h, b, w, b), as what moves pixels
-- into channels begins?
local function cuts_blocks(constants, node, dims)
  local c = node.op == "Reshape" and #dims == 4 and constants[node.inputs[2]]
  if not c or c.dtype ~= "int64" or c.count ~= 6 then return false end
  local to = c:numbers(6)
  return (to[2] == 0 or to[2] == dims[2]) and to[3] * to[4] == dims[3] and to[5] * to[6] == dims[4]
end

-- Does the value go into something that looks at neighbours, at the end of a few operators that change nothing of its
-- order? Then it lies channels last, as all pictures here. dims, constants: of an input, and of the graph.
local function is_picture(takers, name, rank, dims, constants)
  if rank < 3 then return false end
  local waiting, seen = { name }, {}
  while #waiting > 0 do
    local each = table.remove(waiting)
    for _, node in ipairs(takers[each] or {}) do
      if PICTURE[node.op] or constants and cuts_blocks(constants, node, dims) then return true end
      if THROUGH[node.op] and not seen[node] then
        seen[node] = true
        for _, output in ipairs(node.outputs) do waiting[#waiting + 1] = output end
      end
    end
  end
  return false
end

-- Is it a picture that lies channels last in the file, as TensorFlow has them, which a Transpose puts in ONNX's order?
local function lies_channels_last(takers, name, dims)
  if #dims ~= 4 then return false end
  local waiting, seen = { name }, {}
  while #waiting > 0 do
    for _, node in ipairs(takers[table.remove(waiting)] or {}) do
      local turned = node.op == "Transpose" and table.concat(node.attrs.perm or {}, " ") == "0 3 1 2"
        or node.op == "Reshape" and dims[4] == 1
      if turned and is_picture(takers, node.outputs[1], 4) then return true end
      if THROUGH[node.op] and not seen[node] then
        seen[node] = true
        for _, output in ipairs(node.outputs) do waiting[#waiting + 1] = output end
      end
    end
  end
  return false
end

-- The place of the height of the file's first input, 3 of (N, C, H, W), 2 of (N, H, W, C); nil: it is no picture.
function onnx.height_at(model)
  local port, takers = model.graph.inputs[1], takers_of(model.graph.nodes)
  if not (port and port.shape and #port.shape == 4) then return nil end
  return lies_channels_last(takers, port.name, port.shape) and 2 or 3
end

-- What the trace calls with: "N" for the first size of the first input, other open sizes by their names. `freed`: the
-- file says one picture, and any number is tried.
local function ports_of(prepared, o)
  local list, freed, takers, known = {}, false, takers_of(prepared.nodes), {}
  for i, port in ipairs(prepared.inputs) do
    local name = util.shown(port.name, 60)
    if not port.dtype then
      util.failf("the input '%s' is no tensor but a %s", name, port.kind or "value of another kind")
    end
    if port.dtype == "string" then util.failf("the input '%s' is of texts", name) end
    if not port.shape then util.failf("the input '%s' has no known number of dimensions", name) end
    local dims = {}
    for k, d in ipairs(port.shape) do
      local place = ("%s_%d"):format(port.name, k)
      local fixed = o.sizes and (o.sizes[type(d) == "string" and d or ""] or o.sizes[place])
      known[place] = true
      if type(d) == "string" then known[d] = true end
      if fixed then d = fixed end
      if d == false then d = k == 1 and "N" or ("%s_%d"):format(port.name:gsub("[^%w_]", "_"), k) end
      dims[k] = d
    end
    list[i] = { name = port.name, dtype = port.dtype, dims = dims,
      picture = is_picture(takers, port.name, #dims, dims, prepared.constants) }
    list[i].last = not list[i].picture and lies_channels_last(takers, port.name, dims)
  end
  for size in pairs(o.sizes or {}) do
    if not known[size] then util.failf("sizes: %s", util.unknown_text("size", size, util.keys(known))) end
  end
  local batch = list[1] and list[1].dims[1]
  for _, p in ipairs(list) do
    -- tf2onnx calls each open size otherwise: unk__12.
    local nameless = type(p.dims[1]) == "string" and p.dims[1]:find "^unk__"
      and type(batch) == "string" and batch:find "^unk__"
    if nameless then p.dims[1] = "N" end
    for k, d in ipairs(p.dims) do -- a state of several layers has it second
      if type(batch) == "string" and d == batch then p.dims[k] = "N" end
    end
    if batch == 1 and o.batch ~= 1 and p.dims[1] == 1 and #p.dims > 1 then p.dims[1], freed = "N", true end
  end
  return list, freed
end

local SIZE = { picture = 64, other = 16 }

-- times: of what is tried first, where that is too small for the network's windows.
local function trace_sizes(ports, times)
  local sizes = { N = 3 }
  for _, p in ipairs(ports) do
    for k, d in ipairs(p.dims) do
      if type(d) == "string" and not sizes[d] then
        sizes[d] = p.picture and k > 2 and SIZE.picture * math.min(times, 4) or SIZE.other * times
      end
    end
  end
  return sizes
end

-- The order in which an input's axes lie.
local function order_of(port) return port.picture and value.channels_last(#port.dims) or nil end

local function physical(port, sizes)
  local out = {}
  for place, axis in ipairs(value.places(order_of(port), #port.dims)) do
    local d = port.dims[axis]
    out[place] = sizes and type(d) == "string" and sizes[d] or d
  end
  return out
end

-- ---- the walk as a forward ----

local Import = {}
Import.__index = Import
function Import.ready() end

-- Tensors for the inputs -> those of the outputs, in the order in which they lie here.
function Import:forward(...)
  local env, w, taken = walk.scope_of(self.base), self.walk, {}
  for i, t in ipairs { ... } do
    local port = self.ports[i]
    taken[t] = true
    env[port.name] = value.of(t, port.dtype, order_of(port))
  end
  w.freed_batch = self.freed and select("#", ...) > 0 and (...):shape()[1] or nil
  if self.plain then w:run_frugally(env, self.nodes, self.prepared.outputs) else w:run(env, self.nodes) end
  local out = {}
  for i, name in ipairs(self.prepared.outputs) do
    local v = env[name]
    if not v then util.failf("an output: %s", w:absence(name)) end
    local rank = #v.dims
    local mapped = rank > 2 and v.perm and util.same_shape(v.perm, value.channels_last(rank))
    if w.tracing then self.layouts[i] = { channels_last = mapped or nil, dtype = v.dtype, dims = v.dims } end
    local t = mapped and not self.plain and value.raw(w, v) or value.tensor(w, v)
    if v.const then util.failf("the output '%s' is a constant", util.shown(name, 60)) end
    if not host.is_float(v.dtype) and t:dtype() == "float32" and v.dtype ~= "bool" then
      util.failf("the output '%s' is of whole numbers that are rounded, which is not supported", util.shown(name, 60))
    end
    if taken[t] then t = t:reshape(t:shape()) end -- an input, or another output, as it is: a call of its own
    taken[t] = true
    out[i] = t
  end
  return #out == 1 and out[1] or out
end

function Import:named_tensors() return pairs(self.tensors or {}) end
function Import:buffers() return pairs(self.fixed or {}) end

-- What the calls will want that is not in the file as it is: asked for in a dry run, then made.
local function rehearse(self, sizes)
  local w = self.walk
  w.tracing, w.rehearsing, w.wanted, w.direct = true, true, {}, {}
  local ok, e = pcall(core.dry, function()
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    local list = {}
    for i, port in ipairs(self.ports) do
      local shape = physical(port, sizes)
      shape[#shape + 1] = { dtype = value.device_type(port.dtype) }
      list[i] = core.zeros(table.unpack(shape))
    end
    self:forward(table.unpack(list))
  end)
  w.tracing, w.rehearsing = false, false
  if not ok then error(e, 0) end
  w:make_wanted()
end

-- The text of the plan, or nil and why.
local function traced(self, sizes)
  local w, inputs, outputs = self.walk, {}, {}
  for i, port in ipairs(self.ports) do
    inputs[i] = physical(port)
    inputs[i].name, inputs[i].dtype = port.name:sub(1, 63), value.device_type(port.dtype)
  end
  for i, name in ipairs(self.prepared.outputs) do outputs[i] = name:sub(1, 63) end
  local keys = {}
  for _, key in ipairs(w.order) do
    if w.direct[key] then keys[#keys + 1] = key end
  end
  local called, fixed = names.make(w, self.prepared, keys)
  self.tensors, self.fixed = {}, fixed
  for key, name in pairs(called) do self.tensors[name] = w.made[key] end
  w.tracing = true
  local ok, text, why = pcall(plan.text, self, inputs, outputs, sizes)
  w.tracing = false
  if not ok then text, why = nil, text end
  return text, why and util.without_place(why)
end

-- Sizes that calls hang on in a way that a plan cannot say are named by the core: "N", "T"...
local function blamed(why)
  if why:find("control flow", 1, true) then return nil end
  return why:match "follows from (%S+)" or why:match "depends? on (%S+)$"
end

-- Whatever decides may be an input of the file that is one number: then that becomes a constant.
local function with_values(why, ports)
  local list = {}
  for _, port in ipairs(ports) do
    if #port.dims == 0 then list[#list + 1] = port.name .. " = ..." end
  end
  if #list == 0 or not why:find("control flow", 1, true) then return why end
  return ("%s; an input that is one number can be made a constant: values = { %s }"):format(why,
    table.concat(list, ", "))
end

-- Inputs that are to have one number for ever become constants.
local function fix_inputs(prepared, values, base)
  local known = {}
  for i = #prepared.inputs, 1, -1 do
    local port = prepared.inputs[i]
    known[#known + 1] = port.name
    if values[port.name] then
      local dtype = port.dtype or "float32"
      for _, d in ipairs(port.shape or {}) do
        if d ~= 1 and type(d) == "number" then
          util.failf("values: the input '%s' is more than one number", port.name)
        end
      end
      local dims = {}
      for k in ipairs(port.shape or {}) do dims[k] = 1 end
      base[port.name] = host.new({ host.number(values[port.name], dtype) }, dims, dtype)
      table.remove(prepared.inputs, i)
    end
  end
  for name in pairs(values) do
    if not base[name] then util.failf("values: %s", util.unknown_text("input", name, known)) end
  end
end

local function import(path, model, o)
  local prepared = graph.prepare(model, handlers, o.outputs)
  local base, w = {}, walk.new(handlers)
  if o.values then fix_inputs(prepared, o.values, base) end
  for name, c in pairs(prepared.constants) do base[name] = value.constant(c, name) end
  w:fold(base, prepared.nodes)
  w.fresh = o.batchnorm == "fresh"
  for _, node in ipairs(prepared.nodes) do
    if node.op == "BatchNormalization" then w.normed[node.inputs[1]] = true end
  end
  local self = setmetatable({ walk = w, prepared = prepared, base = base, layouts = {}, path = path }, Import)
  self.nodes = patterns.apply(w, prepared, base)
  self.ports, self.freed = ports_of(prepared, o)
  for _, port in ipairs(self.ports) do
    for k = 3, port.picture and #port.dims or 0 do w.open_space = w.open_space or type(port.dims[k]) == "string" end
  end
  return self
end

-- The values of the freed batch have to be those of each picture alone: looked at once, with numbers.
local function rows_agree(self, sizes)
  local one, two, w = {}, {}, self.walk
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  sizes = setmetatable({ N = 2 }, { __index = sizes })
  for i, port in ipairs(self.ports) do
    local shape = physical(port, sizes)
    -- No draw, which would move the numbers of whoever asks for this.
    local x = core.ops.sin(core.arange(host.count(shape)) * 7.13 + i):reshape(shape)
    if port.dims[1] == "N" then -- rows that are nothing like each other
      local each = { 2 }
      for k = 2, #shape do each[k] = 1 end
      x = core.ops.add(core.ops.mul(x, core.tensor({ 1, 3 }):reshape(each)), core.tensor({ 0, 1 }):reshape(each))
    end
    if value.device_type(port.dtype) == "int32" then x = core.ops.cast(core.ops.abs(x) * 2, { dtype = "int32" }) end
    two[i] = x
    one[i] = port.dims[1] == "N" and core.ops.slice(x, { axis = 1, start = 1, length = 1 }) or x
  end
  w.tracing, self.plain = false, true -- in ONNX's order: of one picture axes may lie otherwise
  local both, single = self:forward(table.unpack(two)), self:forward(table.unpack(one))
  if core.is_tensor(both) then both, single = { both }, { single } end
  self.plain = false
  for i, y in ipairs(both) do
    if y:shape()[1] ~= 2 then return false end
    local a = value.floats(w, core.ops.slice(y, { axis = 1, start = 1, length = 1 }))
    local b = value.floats(w, single[i])
    local far = core.ops.amax(core.ops.abs(core.ops.sub(a, b))):item()
    local large = core.ops.amax(core.ops.abs(b)):item()
    if not (far <= 1e-3 * large + 1e-6) then return false end
  end
  return true
end

-- What cannot be tried at any size may work at the right one: which sizes the file leaves open.
local function with_sizes(why, prepared)
  local names = {}
  for _, port in ipairs(prepared.inputs) do
    for _, d in ipairs(port.shape) do
      if type(d) == "string" then names[d] = true end
    end
  end
  local list = util.keys(names)
  if #list == 0 or why:find("control flow", 1, true) then return why end
  return ("%s; sizes that the file leaves open can be given: sizes = { %s = ... }"):format(why,
    table.concat(list, " = ..., "))
end

local function plan_of(path, model, o)
  local self = import(path, model, o)
  local times, first = 1, nil
  for _ = 1, 12 do
    local sizes = trace_sizes(self.ports, times)
    local ok, e = pcall(rehearse, self, sizes)
    local text, why
    if ok then text, why = traced(self, sizes) else why = util.without_place(e) end
    if text and self.freed and not rows_agree(self, sizes) then text, why = nil, "the rows follow from N" end
    if text then return self, text, sizes end
    local size = blamed(why) or (why:find("as many rows", 1, true) and "N")
    local open = false
    for name in pairs(sizes) do open = open or name ~= "N" end
    first = first or why
    if not size and open and times < 1024 and not text then times = times * 8
    elseif self.freed and (size == "N" or not size) then
      o = setmetatable({ batch = 1 }, { __index = o })
      self = import(path, model, o)
      self.walk:note "it takes one picture at a time: its calls hang on that"
      if times == 1024 then util.fail(first) end
    elseif size and size ~= "N" then
      local list = {}
      for name in pairs(sizes) do
        if name ~= "N" then list[#list + 1] = name .. " = ..." end
      end
      table.sort(list)
      if #list == 0 then util.fail(why) end
      util.failf("%s; with sizes it is a network for them: sizes = { %s }", why, table.concat(list, ", "))
    else util.fail(with_sizes(with_values(first, self.ports), self.prepared)) end
  end
end

-- ---- the door ----

-- The value that `cut` names: by its own name, or by that of the node which makes it (its first output).
local function value_named(model, cut)
  local found, known = nil, {}
  for _, node in ipairs(model.graph.nodes) do
    for i, name in ipairs(node.outputs) do
      if name == cut or (i == 1 and node.name == cut and cut ~= "") then found = found or name end
      known[#known + 1] = name
    end
    if node.name ~= "" then known[#known + 1] = node.name end
  end
  return found, known
end

local function preprocessing_of(self)
  for _, port in ipairs(self.ports) do
    if (port.picture or port.last) and #port.dims == 4 then
      local _, c, h, wide = table.unpack(port.dims)
      if port.last then c, h, wide = wide, c, h end
      local size = math.type(h) == "integer" and (h == wide and h or { h, wide }) or nil
      return { size = size, resize = size, channels = c ~= 3 and math.type(c) == "integer" and c or nil,
        fit = size and "stretch" or nil }
    end
  end
end

-- A note on weights that would make everything NaN, whose losses look like those of bad pictures.
local function note_not_finite(self)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local list = {}
  for name, t in pairs(self.tensors) do
    if t:dtype() == "float32" and core.ops.sum(core.ops.mul_scalar(t:reshape(-1), 0)):item() ~= 0 then
      list[#list + 1] = name
    end
  end
  if #list == 0 then return end
  table.sort(list)
  self.walk:note(("%d weights hold numbers that are not finite, the first is %s"):format(#list, list[1]))
end

-- path of an .onnx file -> {text = plan, tensors = {name = tensor}, notes, inputs, outputs, producer, metadata,
-- preprocessing, labels}. options: cut = name of a value or node that becomes the output; sizes = {symbol = number};
-- values = {input = number}, of inputs that are constants; batchnorm = "fresh": where a folded one was, a new one.
function onnx.open(path, options)
  local missing = util.missing(path)
  if missing then util.fail(missing) end
  local model, o = core.onnx_read(path), {}
  for key, v in pairs(options or {}) do o[key] = v end
  if o.cut then
    local found, known = value_named(model, o.cut)
    if not found then
      local near = core.near_miss(o.cut, known)
      util.failf("%s: there is no value or node '%s' to cut at; %s", path, util.shown(o.cut, 60),
        near and ("did you mean '%s'?"):format(near) or "tlua inspect lists them")
    end
    o.outputs = { found }
  end
  local ok, self, text = pcall(plan_of, path, model, o)
  if not ok then
    local why, at = util.without_place(self), path .. ": "
    local from, to = why:find(at, 1, true) -- a tensor's own error says the file too
    util.failf("%s%s", at, from and why:sub(1, from - 1) .. why:sub(to + 1) or why)
  end
  local shared = 0 -- exporters make one of tensors that are equal, and weights may be tied
  for _, about in pairs(self.walk.roles) do shared = shared + (about.shared and 1 or 0) end
  if shared > 0 then
    self.walk:note(("%d tensors belong to several layers each, and are trained together"):format(shared))
  end
  local carrying = 0
  for _ in pairs(self.walk.carrying) do carrying = carrying + 1 end
  if carrying > 0 then
    self.walk:note(("%d convolutions carry a folded batch norm%s"):format(carrying,
      self.walk.fresh and ", and have a fresh one behind them" or ' (batchnorm = "fresh" puts new ones in)'))
  elseif self.walk.fresh then
    util.failf("%s: batchnorm = \"fresh\": no convolution carries a folded batch norm", path)
  end
  note_not_finite(self)
  local ports, outs = {}, {}
  for i, port in ipairs(self.ports) do
    ports[i] = { name = port.name, dtype = port.dtype, dims = physical(port), picture = port.picture }
  end
  for i, name in ipairs(self.prepared.outputs) do
    outs[i] = { name = name, channels_last = self.layouts[i].channels_last, dtype = self.layouts[i].dtype }
  end
  return { text = text, tensors = self.tensors, fixed = self.fixed, notes = self.walk.notes, inputs = ports,
    outputs = outs, producer = model.producer, opset = model.opsets[""], metadata = model.metadata,
    preprocessing = preprocessing_of(self) }
end

-- ---- trying a file as it is ----

local function given(v, port)
  if type(v) == "table" and not v.dims or not core.is_tensor(v) and v.dtype == "string" then
    util.failf("the input '%s' is of the kind %s, which is not supported", util.shown(port.name, 60),
      port.kind or port.dtype or "?")
  end
  if core.is_tensor(v) then return value.of(v, v:dtype() == "int32" and "int64" or "float32") end
  if v.host or v.numbers then return host.new(v.host or v.numbers, v.dims, v.dtype) end
  if v.tensor then return value.of(v.tensor, v.dtype) end
  return value.constant(v, v.name or "input")
end

-- Runs the nodes one by one with these values of the inputs: {name = tensor, constant of core.onnx_read or {dims =,
-- dtype =, numbers =}} -> {name = {dims =, dtype =, numbers = or tensor =}}, all in the file's own order. What is a
-- constant may decide shapes. For tests, and for looking into a file.
function onnx.run(path, inputs)
  local model = core.onnx_read(path)
  local ok, out = pcall(function()
    local prepared = graph.prepare(model, handlers)
    local env, w = {}, walk.new(handlers)
    w.exact = true
    local guard <close> = core.no_grad()
    for name, c in pairs(prepared.constants) do env[name] = value.constant(c, name) end
    for _, port in ipairs(prepared.inputs) do
      local v = inputs[port.name]
      if port.kind and port.kind ~= "optional" then util.failf("the input '%s' is a %s", port.name, port.kind) end
      if not v and port.kind ~= "optional" then util.failf("the input '%s' is missing", port.name) end
      env[port.name] = v and given(v, port)
    end
    w:run(env, prepared.nodes)
    local results = {}
    for _, name in ipairs(prepared.outputs) do
      local v = env[name]
      if not v then util.failf("an output: %s", w:absence(name)) end
      results[name] = { dims = v.dims, dtype = v.dtype, numbers = v.host,
        tensor = not v.host and value.tensor(w, v) or nil }
    end
    return results
  end)
  if not ok then util.failf("%s: %s", path, util.without_place(out)) end
  return out
end

-- Names of all ONNX operators that are read.
function onnx.operators()
  local list = {}
  for op in pairs(handlers) do list[#list + 1] = op end
  table.sort(list)
  return list
end

return onnx
