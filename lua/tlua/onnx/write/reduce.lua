-- reduce.lua - operators along some dimensions: sums, means, largest elements, softmax, norms of features.
local values = require "tlua.onnx.write.values"
local kit = require "tlua.onnx.write.kit"
local set = kit.set

-- ONNX reduces {axis = true}; `listed`: from which version on the dimensions are an input.
local function reduce(op, listed)
  return function(w, c, y)
    local x, axes, places = w:input(c, 1), {}, {}
    for _, axis in ipairs(c.attrs.axes or {}) do axes[kit.axis_of(x, axis)] = true end
    if not next(axes) then
      for a = 1, #x.shape do axes[a] = true end
    end
    for i, a in ipairs(x.perm) do
      if axes[a] then places[#places + 1] = i - 1 end
    end
    local keep = c.attrs.keep
    local name
    if w.opset >= listed then
      name = w:node(op, { w:use(x), w:ints(places) }, { keepdims = keep and 1 or 0 })
    else
      name = w:node(op, { w:use(x) }, { axes = places, keepdims = keep and 1 or 0 })
    end
    set(y, name, keep and x.perm or values.without(x.perm, axes))
  end
end

local function along(op)
  return function(w, c, y)
    local x = w:input(c, 1)
    set(y, w:node(op, { w:use(x) }, { axis = values.place(x.perm, kit.axis_of(x, c.attrs.axis)) - 1 }), x.perm)
  end
end

-- The place of the largest or least element; ONNX counts in 64 bits.
local function place_of(op)
  return function(w, c, y)
    local x, keep = w:input(c, 1), c.attrs.keep
    local axis = kit.axis_of(x, c.attrs.axis)
    local name = w:node(op, { w:use(x) }, { axis = values.place(x.perm, axis) - 1, keepdims = keep and 1 or 0 })
    set(y, w:cast(name, "int32"), keep and x.perm or values.without(x.perm, { [axis] = true }))
  end
end

local function cumsum(w, c, y)
  local x = w:input(c, 1)
  local axis = w:constant("int64", {}, { values.place(x.perm, kit.axis_of(x, c.attrs.axis)) - 1 })
  local attrs = { exclusive = c.attrs.exclusive and 1 or 0, reverse = c.attrs.reverse and 1 or 0 }
  set(y, w:node("CumSum", { w:use(x), axis }, attrs), x.perm)
end

-- The largest or least elements and their places.
local function topk(w, c, y, at)
  local x = w:input(c, 1)
  local attrs = { axis = values.place(x.perm, kit.axis_of(x, c.attrs.axis)) - 1, largest = c.attrs.largest and 1 or 0 }
  local name, places = w:node("TopK", { w:use(x), w:ints { c.attrs.k } }, attrs, 2)
  set(y, name, x.perm)
  set(at, w:cast(places, "int32"), x.perm)
end

local function layer_norm(w, c, y)
  local x, weight, bias = w:input(c, 1), w:input(c, 2), w:input(c, 3)
  local width = x.shape[#x.shape]
  local name = w:plain(x)
  if w.opset >= 17 then
    name = w:node("LayerNormalization", { name, weight and w:use(weight) or kit.filled(w, width, 1.0),
      bias and w:use(bias) },
      { axis = -1, epsilon = c.attrs.eps })
    return set(y, name, values.identity(#x.shape))
  end
  local function mean(v) return w:node("ReduceMean", { v }, { axes = { -1 }, keepdims = 1 }) end
  local d = w:node("Sub", { name, mean(name) })
  local variance = mean(w:node("Pow", { d, w:float(2) }))
  name = w:node("Div", { d, w:node("Sqrt", { kit.plus(w, variance, w:float(c.attrs.eps)) }) })
  if weight then name = kit.mul(w, name, w:use(weight)) end
  if bias then name = kit.plus(w, name, w:use(bias)) end
  set(y, name, values.identity(#x.shape))
end

return {
  sum = reduce("ReduceSum", 13), mean = reduce("ReduceMean", 18), amax = reduce("ReduceMax", 18),
    amin = reduce("ReduceMin", 18),
  prod = reduce("ReduceProd", 18),
  softmax = along "Softmax", log_softmax = along "LogSoftmax", argmax = place_of "ArgMax", argmin = place_of "ArgMin",
  layer_norm = layer_norm, cumsum = cumsum, topk = topk,
}
