-- rows.lua - a graph as the rows of its picture: a layer with the norm and the activation that follow it is one, and so
-- are reshapes one behind the other. What a row takes from others than the one above it becomes an edge at the side.
local util = require "tlua.util"
local calls = require "tlua.nn.graph.calls"
local shapes = require "tlua.nn.graph.shapes"
local rows = {}

local MOST = 700 -- rows that are drawn one by one; of a larger network each stage is a row

local NORMS = { batch_norm = "norm", layer_norm = "norm", group_norm = "norm", instance_norm = "norm" }
local SHAPES = { reshape = true, permute = true, slice = true, expand = true, pad = true, cast = true }

-- The colour of an operator.
local FAMILIES = { conv = "conv", conv_transpose = "conv", linear = "dense", matmul = "dense", embedding = "dense",
  attention = "attention", lstm = "attention", gru = "attention", rnn = "attention", max_pool = "pool",
  avg_pool = "pool", mean = "pool", amax = "pool", sum = "pool", interpolate = "pool", add = "join", mul = "join",
  concat = "join", sub = "join", div = "join", softmax = "norm", log_softmax = "norm", head = "dense" }
local function family(op)
  return FAMILIES[op] or NORMS[op] and "norm" or calls.ACTIVATIONS[op] and "act" or SHAPES[op] and "shape" or "other"
end
rows.family = family

-- ---- words ----

local function times(list) return table.concat(list, " x ") end

local function all_are(list, n)
  for _, v in ipairs(list or {}) do
    if v ~= n then return false end
  end
  return true
end

-- "depthwise conv 3 x 3 / 2"
local function conv_text(c, weight)
  local kernel, stride = { table.unpack(weight, 3) }, c.attrs.stride
  local text = c.op == "conv" and "conv" or "transposed conv"
  local groups = c.attrs.groups or 1
  if groups > 1 and groups == weight[1] then text = "depthwise " .. text
  elseif groups > 1 then text = ("%s of %d groups"):format(text, groups) end
  text = text .. " " .. times(kernel)
  if not stride or all_are(stride, 1) then return text end
  return ("%s / %s"):format(text, all_are(stride, stride[1]) and stride[1] or times(stride))
end

local function pool_text(c)
  local kernel, stride = c.attrs.kernel or {}, c.attrs.stride or {}
  local text = (c.op == "max_pool" and "max pool " or "mean pool ") .. times(kernel)
  if #stride == 0 or all_are(stride, 1) then return text end
  return ("%s / %s"):format(text, all_are(stride, stride[1]) and stride[1] or times(stride))
end

local function weight_of(net, c)
  local place = type(c.inputs[2]) == "string" and net.places_of[c.inputs[2]]
  for _, spec in ipairs(place and place[1]._specs or {}) do
    if spec.name == place[2] then return spec.shape end
  end
end

local function text_of(net, c)
  local weight, own = weight_of(net, c), nil
  if (c.op == "conv" or c.op == "conv_transpose") and weight then own = conv_text(c, weight)
  elseif c.op == "max_pool" or c.op == "avg_pool" then own = pool_text(c)
  elseif c.op == "head" then own = c.head and c.head:label() or "head"
  else own = NORMS[c.op] or c.op end
  local residual = (c.op == "batch_norm" and c.inputs[6]) or ((c.op == "conv" or c.op == "linear") and c.inputs[4])
  if residual then own = own .. " + residual" end
  local with = c.attrs.activation
  return with and with ~= "none" and own .. " · " .. with or own
end

-- "56 x 56 x 64": without the pictures.
local function shape_text(dims)
  if not dims then return "" end
  local out = {}
  for k = dims[1] and dims[1].symbol == "N" and 2 or 1, #dims do out[#out + 1] = shapes.text { dims[k] }:sub(2, -2) end
  return times(out)
end

-- ---- which calls share a row ----

local function values_in(c)
  local list = {}
  for _, each in ipairs(c.inputs) do
    if type(each) == "number" then list[#list + 1] = each end
  end
  return list
end

-- How often each value is taken, as what comes out too.
local function uses_of(net)
  local uses = {}
  for _, c in ipairs(net.calls) do
    for _, v in ipairs(values_in(c)) do uses[v] = (uses[v] or 0) + 1 end
  end
  for _, port in ipairs(net.outputs) do uses[port.value] = (uses[port.value] or 0) + 1 end
  return uses
end

-- Does call c go on the row before it, whose last call is `last`?
local function joins(c, last, uses)
  local from = values_in(c)
  if #from ~= 1 or from[1] ~= last.first or last.results ~= 1 or uses[from[1]] ~= 1 then return false end
  if SHAPES[c.op] then return SHAPES[last.op] == true end
  local small = NORMS[c.op] or calls.ACTIVATIONS[c.op] or c.op == "dropout"
  return small ~= nil and small ~= false and last.op ~= "head"
end

-- ---- the rows ----

local function row_of(net, f, i, stage)
  local c, s = net.calls[i], shapes.of(net)
  return { first = i, last = i, stage = stage, texts = { text_of(net, c) }, family = family(c.op), takes = values_in(c),
    shape = shape_text(s[c.first]), parameters = f.parameters_of[i], multiply_adds = f.multiply_adds_of[i],
    title = { c.name } }
end

local function extend(net, f, row, i)
  local c, s = net.calls[i], shapes.of(net)
  row.last, row.shape = i, shape_text(s[c.first])
  row.texts[#row.texts + 1], row.title[#row.title + 1] = text_of(net, c), c.name
  row.parameters = row.parameters + f.parameters_of[i]
  row.multiply_adds = row.multiply_adds + f.multiply_adds_of[i]
end

local function single_rows(net, f)
  local out, uses = {}, uses_of(net)
  for k, stage in ipairs(f.stages) do
    local row
    for i = stage.first, stage.last do
      if row and joins(net.calls[i], net.calls[row.last], uses) then extend(net, f, row, i) else
        row = row_of(net, f, i, k)
        out[#out + 1] = row
      end
    end
  end
  return out
end

-- Each stage as one row.
local function stage_rows(net, f)
  local out, s = {}, shapes.of(net)
  for k, stage in ipairs(f.stages) do
    local count, takes, made, names = {}, {}, {}, {}
    for i = stage.first, stage.last do
      local c = net.calls[i]
      if not count[c.op] then names[#names + 1] = c.op end
      count[c.op] = (count[c.op] or 0) + 1
      for _, v in ipairs(values_in(c)) do
        if not made[v] then takes[#takes + 1] = v end
      end
      for v = c.first, c.first + c.results - 1 do made[v] = true end
    end
    table.sort(names, function(a, b) return count[a] == count[b] and a < b or count[a] > count[b] end)
    local texts = {}
    for n = 1, math.min(3, #names) do texts[n] = ("%d %s"):format(count[names[n]], names[n]) end
    out[k] = { first = stage.first, last = stage.last, stage = k, texts = texts, family = family(names[1]),
      takes = takes, shape = shape_text(s[net.calls[stage.last].first]), parameters = stage.parameters,
      multiply_adds = stage.multiply_adds, title = { stage.name } }
  end
  return out
end

-- Rows from what goes in to what comes out: {texts =, shape =, family =, stage = number or nil, parameters =,
-- multiply_adds =, title = names, from = {numbers of rows}}.
function rows.of(f)
  local net = f.net
  local inner, out, maker = single_rows(net, f), {}, {}
  if #inner > MOST then inner = stage_rows(net, f) end
  for i, port in ipairs(net.inputs) do
    local s = shapes.of(net)[i]
    out[i] = { texts = { port.name }, shape = shape_text(s), family = "port", from = {}, parameters = 0,
      multiply_adds = 0, title = { port.name .. " " .. shapes.text(s) } }
    maker[i] = i
  end
  for _, row in ipairs(inner) do
    out[#out + 1] = row
    row.from = {}
    local seen = {}
    for _, v in ipairs(row.takes) do
      local k = maker[v]
      if k and k ~= #out and not seen[k] then seen[k], row.from[#row.from + 1] = true, k end
    end
    for i = row.first, row.last do
      local c = net.calls[i]
      for v = c.first, c.first + c.results - 1 do maker[v] = #out end
    end
  end
  for _, port in ipairs(net.outputs) do
    out[#out + 1] = { texts = { port.name }, shape = shape_text(shapes.of(net)[port.value]), family = "port",
      from = { maker[port.value] }, parameters = 0, multiply_adds = 0, title = { util.shown(port.name) } }
  end
  return out
end

return rows
