-- attention.lua - attention by heads, as exporters write it: the heads apart, scaled products, a mask, softmax,
-- products.
local values = require "tlua.onnx.write.values"
local kit = require "tlua.onnx.write.kit"
local plus, mul = kit.plus, kit.mul

-- (N, T, C) as (N, heads, T, C / heads), or with both last turned.
local function heads_apart(w, v, heads, turned)
  local name = w:node("Reshape", { w:plain(v), w:ints { 0, 0, heads, v.shape[3] // heads } })
  return w:node("Transpose", { name }, { perm = turned and { 0, 2, 3, 1 } or { 0, 2, 1, 3 } })
end

-- The length of a sequence as a number (int64, one element): fixed, or what it is now.
local function length(w, v)
  if v.shape[2] == v.other[2] then return w:constant("int64", {}, { v.shape[2] }) end
  return w:node("Gather", { w:node("Shape", { w:plain(v) }), w:constant("int64", {}, { 1 }) }, { axis = 0 })
end

-- 0, 1, ... up to the length.
local function places(w, v) return w:node("Range", { w:constant("int64", {}, { 0 }), length(w, v), w:constant("int64",
  {}, { 1 }) }) end

-- Which keys count: true or false as (T, S) for those that come later, (N, 1, 1, S) for what is behind the end.
local function masks(w, c, q, k, lengths)
  local list = {}
  if c.attrs.causal then
    local rows = w:node("Unsqueeze", { places(w, q), w:ints { 1 } })
    if c.attrs.offset ~= 0 then rows = w:node("Add", { rows, w:constant("int64", {}, { c.attrs.offset }) }) end
    list[1] = w:node("LessOrEqual", { places(w, k), rows })
  end
  if lengths then
    local ends = w:node("Unsqueeze", { w:cast(w:plain(lengths), "int64"), w:ints { 1, 2, 3 } })
    list[#list + 1] = w:node("Less", { places(w, k), ends })
  end
  return list
end

-- Rows of padding are zero where queries and keys are one sequence.
local function padding_zero(w, name, q, lengths)
  local ends = w:node("Unsqueeze", { w:cast(w:plain(lengths), "int64"), w:ints { 1 } })
  local inside = w:cast(w:node("Less", { places(w, q), ends }), "float32")
  return mul(w, name, w:node("Unsqueeze", { inside, w:ints { 2 } }))
end

local function attention(w, c, y)
  local q, k, v, lengths, bias = w:input(c, 1), w:input(c, 2), w:input(c, 3), w:input(c, 4), w:input(c, 5)
  local heads, width = c.attrs.heads, q.shape[3]
  local scale = c.attrs.scale ~= 0 and c.attrs.scale or 1 / math.sqrt(width // heads)
  local scores = w:node("MatMul", { heads_apart(w, q, heads), heads_apart(w, k, heads, true) })
  scores = mul(w, scores, w:float(scale))
  if bias then scores = plus(w, scores, w:plain(bias)) end
  for _, mask in ipairs(masks(w, c, q, k, lengths)) do
    scores = plus(w, scores, w:node("Where", { mask, w:float(0), w:float(-3.0e38) }))
  end
  local shares = w:node("Softmax", { scores }, { axis = -1 })
  local name = w:node("MatMul", { shares, heads_apart(w, v, heads) })
  name = w:node("Transpose", { name }, { perm = { 0, 2, 1, 3 } })
  name = w:node("Reshape", { name, w:ints { 0, 0, v.shape[3] } })
  local one = q.shape[2] == k.shape[2] and q.other[2] == k.other[2]
  if lengths and one then name = padding_zero(w, name, q, lengths) end
  kit.set(y, name, values.identity(3))
end

return { attention = attention }
