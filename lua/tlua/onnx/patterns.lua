-- patterns.lua - several nodes that are one operator of ours: exporters write GELU, layer norm, attention and others
-- out, and what stands here is how. A pattern is a tree: {"Op", input, ...} a node, a number a constant, a text a value
-- of that name in the match, {any = {trees}} one of several. Where nodes inside are wanted elsewhere too, nothing is
-- replaced. What comes out are nodes again, some of ONNX's own and some called "tlua:...".
local value = require "tlua.onnx.value"
local patterns = {}

local COMMUTES = { Add = true, Mul = true, Max = true, Min = true }

-- ---- matching ----

local Match = {}
Match.__index = Match

local function constant(self, name)
  local v = self.base[name]
  return v and v.const and v or nil
end

local function near(a, b) return math.abs(a - b) <= 1e-4 * math.max(1e-3, math.abs(b)) end

local match

-- The inputs of a node against a list of trees, in this order.
local function inputs_match(self, node, list, first, second)
  for i = 2, #list do
    local k = i - 1
    if i == 2 and first then k = first elseif i == 3 and second then k = second end
    local name = node.inputs[k]
    if not name or not match(self, name, list[i]) then return false end
  end
  return true
end

-- What was found so far, to come back to.
local function mark(self) return #self.trail end
local function undo(self, to)
  for i = #self.trail, to + 1, -1 do
    local t = self.trail[i]
    if t.node then self.inside[t.node] = nil else self.found[t.name] = nil end
    self.trail[i] = nil
  end
end

function match(self, name, tree)
  local kind = type(tree)
  if kind == "number" then
    local n = value.number(constant(self, name))
    return n ~= nil and near(n, tree)
  elseif kind == "string" then
    if self.found[tree] then return self.found[tree] == name end
    self.found[tree] = name
    self.trail[#self.trail + 1] = { name = tree }
    return true
  elseif kind == "function" then return tree(self, name)
  elseif tree.any then
    local at = mark(self)
    for _, each in ipairs(tree.any) do
      if match(self, name, each) then return true end
      undo(self, at)
    end
    return false
  elseif tree.constant then -- one number, kept under that name
    local n = value.number(constant(self, name))
    if n == nil then return false end
    self.numbers[tree.constant] = n
    return true
  end
  local node = self.maker[name]
  if not node or node.domain ~= "" or node.op ~= tree[1] then return false end
  local at = mark(self)
  local function try(first, second)
    if not self.inside[node] then
      self.inside[node] = true
      self.trail[#self.trail + 1] = { node = node }
    end
    if (not tree.check or tree.check(self, node)) and inputs_match(self, node, tree, first, second) then
      return true
    end
    undo(self, at)
    return false
  end
  if #node.inputs < #tree - 1 then return false end
  return try() or (COMMUTES[node.op] and #tree == 3 and try(2, 1)) or false
end

-- Are the nodes inside, but for the last, asked for by others inside alone?
local function closed(self, last)
  for node in pairs(self.inside) do
    if node ~= last then
      for _, output in ipairs(node.outputs) do
        if self.wanted[output] then return false end
        for _, taker in ipairs(self.takers[output] or {}) do
          if not self.inside[taker] then return false end
        end
      end
    end
  end
  return true
end

-- ---- what is looked for ----

local function axes_of(self, node)
  local axes = node.attrs.axes
  if not axes and node.inputs[2] and node.inputs[2] ~= "" then
    local v = constant(self, node.inputs[2])
    axes = v and v.host
  end
  return axes
end

-- A mean over one axis, kept; all means of a match are over the same.
local function one_axis(self, node)
  local axes = axes_of(self, node)
  if not axes or #axes ~= 1 or node.attrs.keepdims == 0 then return false end
  if self.axis and self.axis ~= axes[1] then return false end
  self.axis = axes[1]
  return true
end
local function mean(of) return { "ReduceMean", of, check = one_axis } end

local function limits(low, high)
  return function(self, node)
    local a, b = node.attrs.min, node.attrs.max
    if node.version >= 11 then
      a = node.inputs[2] and value.number(constant(self, node.inputs[2]))
      b = node.inputs[3] and value.number(constant(self, node.inputs[3]))
    end
    return a == low and b == high
  end
end

local function sixth(self, node)
  return math.abs((node.attrs.alpha or 0.2) - 1 / 6) < 1e-4 and math.abs((node.attrs.beta or 0.5) - 0.5) < 1e-4
end

local X = "x"
local ROOT2 = 1.4142135623731
local erf1 = { "Add", { "Erf", { any = { { "Div", X, ROOT2 }, { "Mul", X, 1 / ROOT2 } } } }, 1 }
local GELU = { any = {
  { "Mul", { "Mul", X, erf1 }, 0.5 }, { "Mul", { "Mul", X, 0.5 }, erf1 }, { "Mul", X, { "Mul", erf1, 0.5 } },
  { "Mul", { "Div", X, 2 }, erf1 }, { "Div", { "Mul", X, erf1 }, 2 } } }

local cube = { any = { { "Pow", X, 3 }, { "Mul", { "Mul", X, X }, X } } }
local inner = { "Mul", { "Add", X, { "Mul", cube, 0.044715 } }, 0.7978845608 }
local tanh1 = { "Add", { "Tanh", inner }, 1 }
local GELU_TANH = { any = {
  { "Mul", { "Mul", X, 0.5 }, tanh1 }, { "Mul", { "Mul", X, tanh1 }, 0.5 }, { "Mul", X, { "Mul", tanh1, 0.5 } } } }

local clip6 = { "Clip", { "Add", X, 3 }, check = limits(0, 6) }
local HARD_SIGMOID = { any = { { "Div", clip6, 6 }, { "Mul", clip6, 1 / 6 } } }
local HARD_SWISH = { any = {
  { "Mul", X, { "HardSigmoid", X, check = sixth } }, { "Mul", X, HARD_SIGMOID },
  { "Div", { "Mul", X, clip6 }, 6 }, { "Mul", { "Mul", X, clip6 }, 1 / 6 } } }

local SILU = { any = { { "Mul", X, { "Sigmoid", X } },
  { "Div", X, { "Add", { "Exp", { "Neg", X } }, 1 } } } }
local MISH = { "Mul", X, { "Tanh", { "Softplus", X } } }
local LEAKY = { "Max", { "Mul", X, { constant = "slope" } }, X }

local centred = { "Sub", X, mean(X) }
local square = { any = { { "Pow", centred, 2 }, { "Mul", centred, centred } } }
local deviation = { "Sqrt", { "Add", mean(square), { constant = "eps" } } }
local normal = { any = { { "Div", centred, deviation }, { "Mul", centred, { "Reciprocal", deviation } },
  { "Mul", centred, { "Div", 1, deviation } } } }
local function trained(self, name) return constant(self, name) ~= nil end
local function kept(name)
  return function(self, each)
    if not trained(self, each) then return false end
    self.found[name] = each
    self.trail[#self.trail + 1] = { name = name }
    return true
  end
end
local LAYER_NORM = { any = {
  { "Add", { "Mul", normal, kept "weight" }, kept "bias" }, { "Mul", normal, kept "weight" }, normal } }

local LINEAR = { "Add", { "MatMul", X, kept "weight" }, kept "bias" }

local function last_axis(_, node)
  local axis = node.attrs.axis or (node.version < 13 and 1 or -1)
  return axis == -1 or axis == 3
end
local product = { "MatMul", "q", "k" }
local scores = { any = { { "Div", product, { constant = "divisor" } }, { "Mul", product, { constant = "factor" } },
  product } }
local masked = { any = { { "Add", scores, "mask" }, scores } }
local ATTENTION = { "MatMul", { "Softmax", masked, check = last_axis }, "v" }

local function renamed(op)
  return function(self) return { op = op, domain = "", version = 20, attrs = {}, inputs = { self.found.x } } end
end

-- {the operators that a match ends with, the tree, what becomes of it}: larger ones first.
local RULES = {
  { { Add = true, Mul = true, Div = true }, LAYER_NORM, function(self)
    return { op = "LayerNorm", domain = "tlua", version = 1, attrs = { axis = self.axis, epsilon = self.numbers.eps },
      inputs = { self.found.x, self.found.weight or "", self.found.bias or "" } }
  end },
  { { Mul = true, Div = true }, GELU, renamed "Gelu" },
  { { Mul = true }, GELU_TANH, function(self)
    return { op = "Gelu", domain = "", version = 20, attrs = { approximate = "tanh" }, inputs = { self.found.x } }
  end },
  { { Mul = true, Div = true }, HARD_SWISH, renamed "HardSwish" },
  { { Mul = true, Div = true }, HARD_SIGMOID, function(self)
    return { op = "HardSigmoid", domain = "", version = 20, attrs = { alpha = 1 / 6, beta = 0.5 },
      inputs = { self.found.x } }
  end },
  { { Mul = true, Div = true }, SILU, renamed "Silu" },
  { { Mul = true }, MISH, renamed "Mish" },
  { { Max = true }, LEAKY, function(self)
    local slope = self.numbers.slope
    if slope >= 1 or slope < 0 then return nil end
    return { op = "LeakyRelu", domain = "", version = 16, attrs = { alpha = slope }, inputs = { self.found.x } }
  end },
  { { Add = true }, LINEAR, function(self)
    local weight, bias = constant(self, self.found.weight), constant(self, self.found.bias)
    if #weight.dims ~= 2 or #bias.dims ~= 1 or bias.dims[1] ~= weight.dims[2] or constant(self, self.found.x) then
      return nil
    end
    return { op = "Gemm", domain = "tlua", version = 1, attrs = {},
      inputs = { self.found.x, self.found.weight, self.found.bias } }
  end },
  { { MatMul = true }, ATTENTION, function(self)
    local n = self.numbers
    if n.divisor == 0 or constant(self, self.found.v) or constant(self, self.found.k) then return nil end
    return { op = "Attention", domain = "tlua", version = 1,
      attrs = { scale = n.factor or (n.divisor and 1 / n.divisor) or 1.0 },
      inputs = { self.found.q, self.found.k, self.found.v, self.found.mask } }
  end },
}

-- ---- every second row and column as channels, and then a convolution ----

-- The value whose every second row (axis 2) or column (3) the node makes, and that axis and where it starts; nil.
local function halved(self, name)
  local node = self.maker[name]
  if not node or node.op ~= "Slice" or node.version < 10 or self.wanted[name] then return nil end
  local list = {}
  for i = 2, 5 do
    local v = node.inputs[i] and node.inputs[i] ~= "" and constant(self, node.inputs[i])
    if not v or not v.host or #v.host ~= 1 then return nil end
    list[i] = v.host[1]
  end
  local start, stop, axis, step = list[2], list[3], list[4], list[5]
  if step ~= 2 or (start ~= 0 and start ~= 1) or stop < 1 << 20 or (axis ~= 2 and axis ~= 3) then return nil end
  return node.inputs[1], axis, start, node
end

-- YOLOX begins so ("Focus"): four quarters of the picture as channels, and a convolution of 3 x 3. It is one of 6 x 6
-- with a stride of 2, whose weights are those in another order.
local function focus(self, node)
  local conv, a = node, node.attrs
  local joined = self.maker[node.inputs[1]]
  local weight = node.inputs[2] and constant(self, node.inputs[2])
  if node.op ~= "Conv" or not joined or joined.op ~= "Concat" or joined.attrs.axis ~= 1 or #joined.inputs ~= 4
    or not weight then
    return nil
  end
  if #self.takers[node.inputs[1]] ~= 1 or self.wanted[node.inputs[1]] or (a.group or 1) ~= 1 then return nil end
  local function all(list, number)
    for _, each in ipairs(list or { number }) do
      if each ~= number then return false end
    end
    return true
  end
  local fits = #weight.dims == 4 and weight.dims[3] == 3 and weight.dims[4] == 3 and weight.dims[2] % 4 == 0
  if not fits or not a.pads or not all(a.pads, 1) or not all(a.strides, 1) or not all(a.dilations, 1)
    or (a.auto_pad or "NOTSET") ~= "NOTSET" then
    return nil
  end
  local inside, quarters, from = { [conv] = true, [joined] = true }, {}, nil
  for i, name in ipairs(joined.inputs) do
    local between, axis, start, one = halved(self, name)
    if not between then return nil end
    local x, other, first, two = halved(self, between)
    if not x or axis == other or (from and from ~= x) then return nil end
    from, inside[one], inside[two] = x, true, true
    quarters[i] = axis == 2 and { start, first } or { first, start } -- row, column
  end
  for each in pairs(inside) do -- nobody else asks for what goes
    if each ~= conv then
      for _, taker in ipairs(self.takers[each.outputs[1]] or {}) do
        if not inside[taker] then return nil end
      end
    end
  end
  return { op = "Focus", domain = "tlua", version = 1, name = node.name, outputs = { node.outputs[1] },
    attrs = { quarters = quarters }, inputs = { from, node.inputs[2], node.inputs[3] } }, inside
end

-- ---- replacing ----

local function try_rule(self, node, rule)
  self.inside, self.found, self.numbers, self.trail, self.axis = {}, {}, {}, {}, nil
  if not rule[1][node.op] or not match(self, node.outputs[1], rule[2]) or not closed(self, node) then return nil end
  local new = rule[3](self)
  if not new then return nil end
  new.name, new.outputs = node.name, { node.outputs[1] }
  return new, self.inside
end

-- The nodes of a prepared graph with what was recognised in their place. base: the values that are constants.
function patterns.apply(w, prepared, base)
  local takers, wanted = {}, {}
  for _, node in ipairs(prepared.nodes) do
    for _, name in ipairs(require("tlua.onnx.graph").wants_of(node)) do
      takers[name] = takers[name] or {}
      table.insert(takers[name], node)
    end
  end
  for _, name in ipairs(prepared.outputs) do wanted[name] = true end
  local self = setmetatable({ maker = prepared.maker, takers = takers, wanted = wanted, base = base }, Match)
  local gone, instead = {}, {}
  for i = #prepared.nodes, 1, -1 do -- from the end, so that the whole is found before its parts
    local node = prepared.nodes[i]
    if node.domain == "" and not gone[node] and not w.folded[node] then
      for _, rule in ipairs(RULES) do
        local new, inside = try_rule(self, node, rule)
        if not new and node.op == "Conv" then new, inside = focus(self, node) end
        if new then
          for each in pairs(inside) do gone[each] = true end
          instead[node] = new
          break
        end
      end
    end
  end
  local out = {}
  for _, node in ipairs(prepared.nodes) do
    if instead[node] then out[#out + 1] = instead[node] elseif not gone[node] then out[#out + 1] = node end
  end
  return out
end

return patterns
