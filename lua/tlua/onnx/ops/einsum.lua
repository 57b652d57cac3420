-- einsum.lua - sums of products by letters, "bij,bjk->bik", as matrix products.
local core = require "tlua.core"
local util = require "tlua.util"
local value = require "tlua.onnx.value"
local shape = require "tlua.onnx.ops.shape"
local reduce = require "tlua.onnx.ops.reduce"
local nn = require "tlua.onnx.ops.nn"
local host = require "tlua.onnx.host"
local ops = core.ops
local H = {}

-- The letters of one term; "..." stands for as many as there are dimensions left, as the words "1", "2"... from the
-- end.
local function letters_of(term, rank)
  local out, dots = {}, false
  term = term:gsub("%s", "")
  local i = 1
  while i <= #term do
    if term:sub(i, i + 2) == "..." then
      local _, n = term:gsub("%a", "")
      for k = rank - n, 1, -1 do out[#out + 1] = tostring(k) end
      dots, i = true, i + 3
    elseif term:find("^%a", i) then out[#out + 1], i = term:sub(i, i), i + 1
    else util.failf("the equation has '%s' in it", term:sub(i, i)) end
  end
  if #out ~= rank then util.failf("the term '%s' does not fit %d dimensions", term, rank) end
  return out, dots
end

local function set_of(list)
  local set = {}
  for _, each in ipairs(list) do set[each] = true end
  return set
end

-- v with each letter once: of one that stands there twice the diagonal.
local function diagonals(w, v, letters)
  for i = 1, #letters do
    for k = i + 1, #letters do
      if letters[i] == letters[k] then
        local n, order, rest, dims = v.dims[i], {}, {}, {}
        for a = 1, #letters do
          if a ~= i and a ~= k then order[#order + 1], rest[#rest + 1], dims[#dims + 1] = a, letters[a], v.dims[a] end
        end
        order[#order + 1], order[#order + 2] = i, k
        local flat = { table.unpack(dims) }
        flat[#flat + 1] = n * n
        local t = value.tensor(w, shape.reshape(w, shape.transpose(v, order), flat))
        local padded = ops.pad(t, { after = (function()
          local after = {}
          for a = 1, #flat do after[a] = a == #flat and n or 0 end
          return after
        end)() })
        rest[#rest + 1], dims[#dims + 1] = letters[i], n
        return diagonals(w, value.of(shape.strided(padded, #flat, 0, n, n + 1), v.dtype), rest)
      end
    end
  end
  return v, letters
end

-- v without the letters that nobody wants, summed up.
local function summed(w, v, letters, wanted)
  local set, rest = {}, {}
  for i, each in ipairs(letters) do
    if wanted[each] then rest[#rest + 1] = each else set[i] = true end
  end
  if not next(set) then return v, letters end
  return reduce.along(w, v, set, false, function(t, o) return ops.sum(t, o) end), rest
end

-- Axes of v in the order of these letters.
local function ordered(v, letters, order)
  local at, axes = {}, {}
  for i, each in ipairs(letters) do at[each] = i end
  for i, each in ipairs(order) do axes[i] = at[each] end
  return shape.transpose(v, axes)
end

local function joined(...)
  local out = {}
  for _, list in ipairs { ... } do table.move(list, 1, #list, #out + 1, out) end
  return out
end

local function sizes(list, size)
  local out = {}
  for i, each in ipairs(list) do out[i] = size[each] end
  return out
end

local function two(w, node, a, la, b, lb, wanted)
  local in_a, in_b, size = set_of(la), set_of(lb), {}
  a, la = summed(w, a, la, setmetatable({}, { __index = function(_, k) return wanted[k] or in_b[k] end }))
  b, lb = summed(w, b, lb, setmetatable({}, { __index = function(_, k) return wanted[k] or in_a[k] end }))
  local batch, left, right, inner = {}, {}, {}, {}
  for i, each in ipairs(la) do
    size[each] = a.dims[i]
    local list = not in_b[each] and left or wanted[each] and batch or inner
    list[#list + 1] = each
  end
  for i, each in ipairs(lb) do
    size[each] = math.max(size[each] or 1, b.dims[i])
    if not in_a[each] then right[#right + 1] = each end
  end
  local function matrix(v, letters, rows, columns)
    local t = ordered(v, letters, joined(batch, rows, columns))
    local dims = {}
    for i = 1, #batch do dims[i] = t.dims[i] end
    dims[#dims + 1], dims[#dims + 2] = host.count(sizes(rows, size)), host.count(sizes(columns, size))
    return shape.reshape(w, t, dims)
  end
  local y = nn.handlers.MatMul(w, node, { matrix(a, la, left, inner), matrix(b, lb, inner, right), n = 2 })
  local letters = joined(batch, left, right)
  return shape.reshape(w, y, sizes(letters, size)), letters
end

function H.Einsum(w, node, x)
  local equation = node.attrs.equation:gsub("%s", "")
  local from, to = equation:match "^(.-)%->(.*)$"
  from = from or equation
  local terms = {}
  for term in (from .. ","):gmatch "([^,]*)," do terms[#terms + 1] = term end
  if #terms ~= x.n then util.failf("'%s' is of %d inputs", equation, #terms) end
  local list, dots, count = {}, 0, {}
  for i, term in ipairs(terms) do
    local letters = letters_of(term, #x[i].dims)
    for _, each in ipairs(letters) do
      if each:find "%d" then dots = math.max(dots, tonumber(each)) end
      count[each] = (count[each] or 0) + 1
    end
    local v, once = diagonals(w, x[i], letters)
    list[i] = { v, once }
  end
  local out
  if to then out = letters_of(to, dots * (to:find("...", 1, true) and 1 or 0) + select(2, to:gsub("%a", "")))
  else -- those that occur once, in the order of the alphabet
    out = {}
    for each, n in pairs(count) do
      if n == 1 and not each:find "%d" then out[#out + 1] = each end
    end
    table.sort(out)
    local first = {}
    for k = dots, 1, -1 do first[#first + 1] = tostring(k) end
    out = joined(first, out)
  end
  local v, letters = list[1][1], list[1][2]
  for i = 2, #list do
    local wanted = set_of(out)
    for k = i + 1, #list do
      for _, each in ipairs(list[k][2]) do wanted[each] = true end
    end
    v, letters = two(w, node, v, letters, list[i][1], list[i][2], wanted)
  end
  v, letters = summed(w, v, letters, set_of(out))
  for _, each in ipairs(out) do
    if not set_of(letters)[each] then util.failf("'%s': '%s' stands in no input", equation, each) end
  end
  return ordered(v, letters, out)
end

return { handlers = H }
