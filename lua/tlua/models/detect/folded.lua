-- folded.lua - weights of a detector out of an ONNX file. Exporters fold batch norms into the convolutions and lose
-- their names, so convolutions are matched in the order of the graph: from the outputs back, first inputs first. A
-- batch norm then begins as the identity with the folded bias, so that the network answers what the file answers.
local core = require "tlua.core"
local util = require "tlua.util"
local graph = require "tlua.onnx.graph"
local handlers = require "tlua.onnx.ops"
local folded = {}

-- ---- the network's side ----

local function add_convolutions(list, m, path)
  if m._class == "nn.Conv2d" then list[#list + 1] = { conv = m, path = path }
  elseif m._class == "detect.ConvNorm" then list[#list + 1] = { conv = m.conv, norm = m.bn, path = path }
  else
    for _, key in ipairs(m.order or m._order) do add_convolutions(list, m._modules[key], path .. "." .. key) end
  end
end

-- All convolutions in the order of the graph: {conv =, norm = or nil, path =}.
function folded.convolutions(net)
  local list = {}
  for _, path in ipairs(net:weight_order()) do add_convolutions(list, net:find(path), path) end
  return list
end

-- ---- the file's side ----

-- The nodes that the outputs hang on, each behind what it takes, first inputs first. Without recursion: graphs are
-- deep.
local function in_order(prepared)
  local state, out = {}, {}
  for _, output in ipairs(prepared.outputs) do
    local stack = { prepared.maker[output] }
    while #stack > 0 do
      local node = stack[#stack]
      if state[node] then
        if state[node] == "open" then out[#out + 1] = node end
        state[node], stack[#stack] = "done", nil
      else
        state[node] = "open"
        for i = #node.inputs, 1, -1 do
          local before = prepared.maker[node.inputs[i]]
          if before and not state[before] then stack[#stack + 1] = before end
        end
      end
    end
  end
  return out
end

-- The tensor of the file behind a name: an initializer, a Constant, or another name of one.
local function constant_of(prepared, name)
  for _ = 1, 100 do
    local c, node = prepared.constants[name], prepared.maker[name]
    if c then return c end
    if node and node.op == "Constant" then return node.attrs.value end
    if not (node and node.op == "Identity") then return nil end
    name = node.inputs[1]
  end
end

local function number(list, i) return type(list) == "table" and list[i] or 1 end

-- Convolutions with their tensors, in order: {name =, weight =, bias = or nil, stride = {h, w}, groups =}.
local function convolutions_of(prepared, what)
  local list = {}
  for _, node in ipairs(in_order(prepared)) do
    if node.op == "Conv" then
      local name = node.name ~= "" and node.name or node.outputs[1]
      local weight = constant_of(prepared, node.inputs[2])
      local biased = (node.inputs[3] or "") ~= ""
      local bias = biased and constant_of(prepared, node.inputs[3]) or nil
      if not weight or biased and not bias then
        util.failf("%s: the weights of its convolution '%s' are worked out by other nodes, and only plain ones can be "
          .. "taken", what, util.shown(name, 60))
      end
      list[#list + 1] = { name = name, weight = weight, bias = bias, groups = node.attrs.group or 1,
        stride = { number(node.attrs.strides, 1), number(node.attrs.strides, 2) } }
    end
  end
  return list
end

local function text_of(shape, stride, groups)
  return ("%s, stride %d%s"):format(util.shape_text(shape), stride, groups > 1 and (", %d groups"):format(groups) or "")
end

-- Is this the layer that takes the mean of a distribution over `bins`? It is fixed, and no layer here.
local function is_mean(each, bins)
  local d = each.weight.dims
  return bins and not each.bias and #d == 4 and d[1] == 1 and d[2] == bins and d[3] == 1 and d[4] == 1
end

-- Is `theirs` the convolution `ours` as it is computed (nn.Conv's used_weight), and not as its files have it?
local function is_computed(ours, theirs)
  local conv, d = ours.conv, theirs.weight.dims
  if not rawget(conv, "file_weight") or #d ~= 4 then return false end
  local a = conv.attributes
  return d[1] == conv.out_channels and 4 * d[2] == conv.in_channels and d[3] == 2 * conv.kernel[1]
    and d[4] == 2 * conv.kernel[2] and theirs.stride[1] == a.stride[1] and theirs.stride[2] == a.stride[2]
    and theirs.groups == conv.groups
end

-- Ends in an error unless `theirs` is a convolution like `ours`; layers of classes may have other outputs.
local function compare(what, ours, theirs, of_classes)
  local shape = {}
  for _, spec in ipairs(ours.conv._specs) do
    if spec.name == "weight" then shape = { table.unpack(spec.shape) } end
  end
  local dims, stride = theirs.weight.dims, ours.conv.stride
  if is_computed(ours, theirs) then return end
  local wanted = text_of(shape, stride[1], ours.conv.groups)
  if of_classes and dims[1] then shape[1] = dims[1] end
  local same = util.same_shape(shape, dims) and theirs.stride[1] == stride[1] and theirs.stride[2] == stride[2]
    and theirs.groups == ours.conv.groups and (not theirs.bias or util.same_shape(theirs.bias.dims, { dims[1] }))
  if not same then
    util.failf("%s does not fit: its convolution '%s' is %s, and %s is %s", what, util.shown(theirs.name, 60),
      text_of(dims, theirs.stride[1], theirs.groups), ours.path, wanted)
  end
end

-- ---- tensors ----

local function add_tensors(out, ours, theirs)
  local conv, n = ours.norm and ours.path .. ".conv" or ours.path, theirs.weight.dims[1]
  local bias = theirs.bias and theirs.bias:tensor() or core.zeros(n)
  local weight = theirs.weight:tensor()
  out[conv .. ".weight"] = is_computed(ours, theirs) and ours.conv.file_weight(weight) or weight
  if not ours.norm then
    out[conv .. ".bias"] = bias
    return
  end
  local norm = ours.path .. ".bn."
  out[norm .. "weight"], out[norm .. "bias"] = core.ones(n), bias
  out[norm .. "running_mean"], out[norm .. "running_var"] = core.zeros(n), core.full({ n }, 1 - ours.norm.eps)
end

-- A file whose batch norms are nodes of their own has the names of its state dict.
local function by_names(prepared)
  local out = {}
  for name, c in pairs(prepared.constants) do
    if c.dtype == "float32" or c.dtype == "float16" then out[name] = c:tensor() end
  end
  return out
end

-- Names of `count` classes in a file's metadata: a list in JSON, as tlua writes it, or Python's {0: 'person', ...}; nil
-- where there are none.
local function labels_in(metadata, count)
  local list = {}
  local ok, found = pcall(core.json_decode, metadata and metadata.labels or "")
  if ok and type(found) == "table" then list = found end
  for i, quote, name in (metadata and metadata.names or ""):gmatch "(%d+):%s*(['\"])(.-)%2" do
    list[math.tointeger(i) + 1] = quote and name
  end
  for i = 1, count do
    if type(list[i]) ~= "string" then return nil end
  end
  return #list == count and list or nil
end

-- The tensors of the .onnx file at `path` by the names of `net`, which is only described, and the names of its classes
-- where it has them; `what` is what errors call the file.
function folded.tensors(net, path, what)
  local missing = util.missing(path)
  if missing then util.fail(missing) end
  local ok, prepared, metadata = pcall(function()
    local model = core.onnx_read(path)
    return graph.prepare(model, handlers), model.metadata
  end)
  if not ok then util.failf("%s: %s", what, util.reason(prepared)) end
  local function with_labels(out, last)
    local weight = out[last .. ".weight"]
    return out, weight and labels_in(metadata, weight:shape(1))
  end
  for _, node in ipairs(prepared.nodes) do
    if node.op == "BatchNormalization" then return with_labels(by_names(prepared), net.class_paths[1]) end
  end
  local theirs, ours, out, of_classes = {}, folded.convolutions(net), {}, {}
  for _, each in ipairs(convolutions_of(prepared, what)) do
    if not is_mean(each, net.bins) then theirs[#theirs + 1] = each end
  end
  for _, each in ipairs(net.class_paths) do of_classes[each] = true end
  if #theirs ~= #ours then
    util.failf("%s does not fit: it has %d convolutions, and the network has %d", what, #theirs, #ours)
  end
  for i, each in ipairs(ours) do
    compare(what, each, theirs[i], of_classes[each.path])
    add_tensors(out, each, theirs[i])
  end
  return with_labels(out, net.class_paths[1])
end

return folded
