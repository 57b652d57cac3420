-- fused.lua - what patterns.lua makes of several nodes.
local core = require "tlua.core"
local util = require "tlua.util"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local host = require "tlua.onnx.host"
local ops = core.ops
local H = {}

local floats = value.floats

-- A weight or bias of a norm as a row of n numbers; nil where it is not one along `axis` of `rank` dimensions alone.
local function row(w, p, role, axis, rank, n)
  if not p then return nil, true end
  local own = axis - (rank - #p.dims)
  if host.count(p.dims) ~= n or own < 1 or p.dims[own] ~= n then return nil, false end
  w:role(p, role)
  return floats(w, #p.dims == 1 and value.tensor(w, p) or value.tensor(w, shape.reshape(w, p, { n }))), true
end

-- Along any axis: where it lies last, nothing moves.
H["tlua:LayerNorm"] = function(w, node, x)
  local v, rank = x[1], #x[1].dims
  local axis = shape.axis_of(node.attrs.axis, rank)
  local n = v.dims[axis]
  local weight, one = row(w, x[2], "weight", axis, rank, n)
  local bias, two = row(w, x[3], "bias", axis, rank, n)
  local order = {}
  for _, each in ipairs(value.places(v.perm, rank)) do
    if each ~= axis then order[#order + 1] = each end
  end
  order[rank] = axis
  local plain = one and two
  local y = ops.layer_norm(floats(w, value.arranged(w, v, order)), plain and weight or nil, plain and bias or nil,
    { eps = node.attrs.epsilon })
  local out = value.of(y, v.dtype, order)
  if plain then return out end
  for i, op in ipairs { "mul", "add" } do -- not of the normalised axis alone
    if x[i + 1] then
      w:role(x[i + 1], i == 1 and "weight" or "bias")
      local t, perm = value.together(w, { out, x[i + 1] })
      out = value.of(ops[op](t[1], floats(w, t[2])), v.dtype, perm)
    end
  end
  return out
end

-- What is added to the scores of q with k, as (N or 1, heads or 1, T or 1, S); nil where it has another shape.
local function bias_of(w, mask, q, k)
  local full, dims = { q.dims[1], q.dims[2], q.dims[3], k.dims[4] }, {}
  local ahead = 4 - #mask.dims
  if ahead < 0 then return nil end
  for i = 1, 4 do
    dims[i] = i > ahead and mask.dims[i - ahead] or 1
    if dims[i] ~= full[i] and (dims[i] ~= 1 or i == 4) then return nil end
  end
  local t = floats(w, value.tensor(w, mask))
  return ahead == 0 and t or t:reshape(dims)
end

-- q (..., T, D), k (..., D, S), v (..., S, D): by heads where the leading axes are pictures and heads. `mask` is added to
-- the scores.
H["tlua:Attention"] = function(w, node, x)
  local q, k, v, mask = x[1], x[2], x[3], x[4]
  local rank = #q.dims
  local fits = rank == 4 and #k.dims == 4 and #v.dims == 4 and q.dims[4] == v.dims[4]
  for i = 1, 2 do fits = fits and q.dims[i] == k.dims[i] and q.dims[i] == v.dims[i] end
  local bias = fits and mask and bias_of(w, mask, q, k)
  if not fits or (mask and not bias) then
    local nn = require("tlua.onnx.ops.nn").handlers
    local s = nn.MatMul(w, node, { q, k, n = 2 })
    local t = node.attrs.scale == 1 and s.t or ops.mul_scalar(s.t, node.attrs.scale)
    if mask then
      local both, perm = value.together(w, { value.of(t, "float32", s.perm), mask })
      t = value.tensor(w, value.of(ops.add(both[1], floats(w, both[2])), "float32", perm))
    end
    local p = value.of(ops.softmax(t, { axis = -1 }), q.dtype)
    return nn.MatMul(w, node, { p, v, n = 2 })
  end
  local n, heads, d = q.dims[1], q.dims[2], q.dims[4]
  local function rows(u) -- (N, heads, T, D) -> (N, T, heads D)
    local t = floats(w, value.arranged(w, u, { 1, 3, 2, 4 }))
    return t:reshape { n, u.dims[3], heads * d }
  end
  local y = ops.attention(rows(q), rows(shape.transpose(k, { 1, 2, 4, 3 })), rows(v), nil, bias or nil,
    { heads = heads, scale = node.attrs.scale })
  return value.of(y:reshape { n, q.dims[3], heads, d }, q.dtype, { 1, 3, 2, 4 })
end

-- w'[o, c, 2 y + row, 2 x + column] = w[o, q C + c, y, x] for the quarter q of that row and column.
H["tlua:Focus"] = function(w, node, x)
  local v, weight, q = x[1], x[2], node.attrs.quarters
  local out, c = weight.dims[1], weight.dims[2] // 4
  if v.dims[2] ~= c or v.dims[3] % 2 ~= 0 or v.dims[4] % 2 ~= 0 then
    util.failf("pictures of %s have no quarters for %s", util.shape_text(v.dims), util.shape_text(weight.dims))
  end
  w:role(weight, "weight")
  local whole = value.form(w, weight, "six by six", function(t)
    local parts = {}
    for row = 0, 1 do
      for column = 0, 1 do
        for i, at in ipairs(q) do
          if at[1] == row and at[2] == column then
            parts[#parts + 1] = ops.slice(t, { axis = 2, start = (i - 1) * c, length = c }):reshape { out, c, 1, 3, 3 }
          end
        end
      end
    end
    local all = ops.concat(parts[1], parts[2], parts[3], parts[4], { axis = 3 }):reshape { out, c, 2, 2, 3, 3 }
    return ops.permute(all, { axes = { 1, 2, 5, 3, 6, 4 } }):reshape { out, c, 6, 6 }
  end)
  local bias
  if x[3] then
    w:role(x[3], "bias")
    bias = floats(w, value.tensor(w, x[3]))
  end
  local order = value.channels_last(4)
  local t = floats(w, value.arranged(w, v, order))
  return value.of(ops.conv(t, floats(w, whole), bias, { stride = { 2, 2 }, padding = { 2, 2 } }), v.dtype, order)
end

return { handlers = H }
