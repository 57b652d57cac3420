-- peft.lua - adapters (tlua/nn/lora) in a folder as PEFT lays it out: adapter_config.json says of which layers,
-- rank and scale, adapter_model.safetensors has their tensors and the modules that were trained as a whole, the head
-- among them. What it writes PEFT loads with PeftModel.from_pretrained; what PEFT saves is read here.
local core = require "tlua.core"
local util = require "tlua.util"
local lora = require "tlua.nn.lora"
local adapter = {}

local CONFIG, TENSORS, OLD_TENSORS = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
local PREFIX = "base_model.model."
adapter.FILES = { CONFIG, TENSORS }

-- ---- writing ----

-- The value that most of a list have.
local function usual(list, key)
  local counts, best = {}, nil
  for _, each in ipairs(list) do
    local v = each.module.lora[key]
    counts[v] = (counts[v] or 0) + 1
    if best == nil or counts[v] > counts[best] then best = v end
  end
  return best
end

-- Values that differ from the usual one, by layer; nil where none does.
local function pattern(list, key, most)
  local out = {}
  for _, each in ipairs(list) do
    if each.module.lora[key] ~= most then out[each.path] = each.module.lora[key] end
  end
  return next(out) and out or nil
end

local function is_below(name, path) return name:sub(1, #path + 1) == path .. "." end

-- A head in parts that transformers has below one name, "classifier": PEFT keeps that as a whole. The name, and whether
-- an adapter stands in it, which PEFT has then to be told as a network without a task.
local function head_in_parts(net)
  local head = net.set_head and net.head_name
  local top = head and head:match "^(classifier)%."
  return top, top ~= nil and #lora.layers(net:find(top)) > 0
end

local function whole_head(net, path)
  local top, adapted = head_in_parts(net)
  return top and not adapted and is_below(path, top) and top or path
end

-- Modules with something that is trained, each once and named as PEFT is to keep it; and single tensors, of layers that
-- have an adapter and of modules that others are below, which PEFT cannot keep as a whole.
local function trained_modules(net, trained)
  local modules, single, known = {}, {}, {}
  for _, each in ipairs(net:specs()) do
    if trained[each.path] and not lora.is_adapter(each.path) then
      local owner = each.path:match "^(.*)%.[^.]+$"
      if not owner or rawget(each.module, "lora") or #each.module._order > 0 then single[#single + 1] = each.path
      else
        owner = whole_head(net, owner)
        if not known[owner] then known[owner], modules[#modules + 1] = true, owner end
      end
    end
  end
  return modules, single
end

-- name of the network -> name in PEFT's file.
local function written_name(net, name)
  local owner, key = name:match "^(.*)%.([^.]+)$"
  local m = owner and net:find(owner)
  if m and rawget(m, "lora") and not lora.is_adapter(name) then name = owner .. ".base_layer." .. key end
  return PREFIX .. name
end

local function float32(t) return t:dtype() == "float32" and t or t:to "float32" end

-- {trained = {name = true} of what was trained (what is trained now), task = PEFT's task_type, base = the base's name}
function adapter.save(net, folder, options)
  local o = util.options("save_lora", options, { trained = util.none, task = util.none, base = util.none })
  if type(folder) ~= "string" then util.failf("save_lora: a folder is needed, not %s", type(folder)) end
  local layers = lora.layers(net)
  if #layers == 0 then util.failf("save_lora: %s has no adapters", net:label()) end
  local trained = o.trained
  if not trained then
    trained = {}
    for _, name in ipairs((select(2, net:trained()))) do trained[name] = true end
  end
  local scope <close> = core.scope()
  local modules, single = trained_modules(net, trained)
  local tensors, targets, biases = {}, {}, #single > 0
  -- Words that the base has not are drawn here alone, so its table goes along, as PEFT has it.
  if rawget(net, "resized") then single[#single + 1] = net:words_path() .. ".weight" end
  for name, t in net:named_tensors() do
    local kept = lora.is_adapter(name)
    for _, path in ipairs(modules) do kept = kept or is_below(name, path) end
    for _, path in ipairs(single) do kept = kept or name == path end
    if kept then tensors[written_name(net, name)] = float32(t) end
  end
  local transposed = false
  for i, each in ipairs(layers) do
    targets[i] = each.path
    transposed = transposed or each.module.transposed or false
  end
  local rank, alpha = usual(layers, "rank"), usual(layers, "alpha")
  local _, adapted_head = head_in_parts(net)
  local config = { peft_type = "LORA", r = rank, lora_alpha = alpha, lora_dropout = layers[1].module.lora.dropout,
    use_rslora = layers[1].module.lora.rs, target_modules = targets, modules_to_save = #modules > 0 and modules or nil,
    bias = biases and "all" or "none", rank_pattern = pattern(layers, "rank", rank),
    alpha_pattern = pattern(layers, "alpha", alpha), inference_mode = true, init_lora_weights = true,
    fan_in_fan_out = transposed, task_type = not adapted_head and o.task or nil,
    base_model_name_or_path = o.base or rawget(net, "weights_path") }
  core.mkdirs(folder)
  core.save(folder .. "/" .. TENSORS, tensors, { format = "pt" })
  core.write_file(folder .. "/" .. CONFIG, core.json_encode(config) .. "\n")
end

-- ---- reading ----

-- What changes a forward and is not known here: field -> the value that it may have.
local REFUSED = { "use_dora", "use_qalora", "use_bdlora", "lora_bias", "layer_replication", "target_parameters",
  "trainable_token_indices", "megatron_config", "alora_invocation_tokens", "arrow_config", "kasa_config",
  "velora_config", "monteclora_config" }
-- Ways to begin that write other values into the base's weights, which the folder does not have.
local OTHER_BASE = { pissa = true, olora = true, loftq = true, corda = true, lora_ga = true }

local function is_off(v) return v == nil or v == false or v == "" or type(v) == "table" and next(v) == nil end

local function read_config(what, folder)
  local path = folder .. "/" .. CONFIG
  local missing = util.missing(path)
  if missing then util.failf("%s: %s; an adapter's folder is one that PEFT or a run has written", what, missing) end
  local ok, c = pcall(core.json_decode, core.read_file(path))
  if not ok or type(c) ~= "table" then util.failf("%s: %s is damaged: it is not JSON", what, path) end
  if c.peft_type ~= "LORA" then
    util.failf("%s: %s: adapters of the peft_type %s are not known here, only LORA", what, path, tostring(c.peft_type))
  end
  for _, name in ipairs(REFUSED) do
    if not is_off(c[name]) then util.failf("%s: %s: %s is not known here", what, path, name) end
  end
  local begin = type(c.init_lora_weights) == "string" and c.init_lora_weights or ""
  if OTHER_BASE[begin:match "^[%a_]+" or ""] then
    util.failf("%s: %s: init_lora_weights = %s has changed the base's weights, and the folder does not have them: " ..
      "save it with PEFT's path_initial_model_for_weight_conversion", what, path, begin)
  end
  local function number(name, default)
    local v = c[name]
    if v == nil then v = default end
    if type(v) ~= "number" or v ~= v or v < 0 or v == math.huge then
      util.failf("%s: %s: %s must be a number, not %s", what, path, name, tostring(v))
    end
    return v
  end
  if number("lora_alpha", 8) == 0 then util.failf("%s: %s: lora_alpha is 0, so adapters change nothing", what, path) end
  if number("lora_dropout", 0) >= 1 then util.failf("%s: %s: lora_dropout must be below 1", what, path) end
  return c, path
end

-- The value of a pattern of layers; PEFT takes its keys for regular expressions that match the end of a name.
local function by_pattern(what, path, patterns, layer, default)
  for key, v in pairs(type(patterns) == "table" and patterns or {}) do
    local text = tostring(key):gsub("^%^", ""):gsub("%$$", ""):gsub("\\%.", ".")
    if text:find "[%*%+%?%[%]%(%)|\\]" then
      util.failf("%s: %s: '%s' is a regular expression, and only names of layers are understood here", what, path, key)
    end
    if (layer == text or layer:sub(-#text - 1) == "." .. text) and type(v) == "number" and v > 0 then return v end
  end
  return default
end

-- "X.lora_A.weight" of the file -> kind of the tensor, the name of the module or tensor.
local function read_name(name)
  if name:sub(1, #PREFIX) == PREFIX then name = name:sub(#PREFIX + 1) end
  name = name:gsub("%.modules_to_save%.default%.", "."):gsub("%.modules_to_save%.", ".")
  if name:find "%.original_module%." then return "aside" end
  for _, part in ipairs { "lora_A", "lora_B" } do
    local layer, rest = name:match("^(.*)%." .. part .. "%.(.*)$")
    rest = rest and rest:gsub("^default%.", "")
    if layer then return rest == "weight" and part or "unknown", layer end
  end
  for _, part in ipairs { "lora_embedding_A", "lora_embedding_B" } do
    local layer = name:match("^(.*)%." .. part .. "$") or name:match("^(.*)%." .. part .. "%.default$")
    if layer then return part, layer end
  end
  if name:find "%.lora_" then return "unknown", name end
  return "other", (name:gsub("%.base_layer%.", "."))
end

-- The network's module that a name of the file means, and its path; nil where there is none.
local function layer_of(net, name)
  local m = net:find(name)
  if m then return m, name end
  local now = net.current_name and net:current_name(name .. ".weight"):gsub("%.weight$", "")
  m = now and net:find(now)
  if m then return m, now end
end

-- What stands in the file: {layers = {path -> {rank =, ...}}, tensors = {name in the file -> name in the network}}.
local function contents(net, what, file)
  local list = core.entries(file)
  local layers, order, names = {}, {}, {}
  for _, e in ipairs(list) do
    local kind, name = read_name(e.name)
    if kind == "unknown" then util.failf("%s: %s: %s is not known here", what, file, e.name) end
    if kind == "other" then names[e.name] = net.current_name and net:current_name(name) or name
    elseif kind ~= "aside" then
      local m, path = layer_of(net, name)
      if not m or not m.takes_lora then
        util.failf("%s: %s has an adapter on '%s', and %s has no such layer: it is of another network", what, file,
          name, net:label())
      end
      if (m.num_embeddings ~= nil) ~= (kind:find "embedding" ~= nil) then
        util.failf("%s: %s: %s does not fit %s", what, file, e.name, m:describe())
      end
      local last = kind .. (kind:find "embedding" and "" or ".weight")
      names[e.name] = path .. "." .. last
      if not layers[path] then layers[path], order[#order + 1] = { module = m, path = path, name = name }, path end
      layers[path][kind:sub(-1)] = e.shape
    end
  end
  table.sort(order)
  if #order == 0 then util.failf("%s: %s holds no adapters", what, file) end
  return layers, order, names
end

local function check_shapes(what, file, each)
  local m, a, b = each.module, each.A, each.B
  local inner, outer = m.num_embeddings or m.in_features, m.embedding_dim or m.out_features
  local ok = a and b and #a == 2 and #b == 2 and a[1] == b[2] and a[1] > 0 and a[2] == inner and b[1] == outer
  if not ok then
    util.failf("%s: %s: A %s and B %s of '%s' do not fit %s", what, file, a and util.shape_text(a) or "(none)",
      b and util.shape_text(b) or "(none)", each.name, m:describe())
  end
end

-- Puts the values of the file into a network whose layers have adapters. A head of another size stays as it is.
local function take(net, what, file, names)
  local scope <close> = core.scope()
  local tensors, shapes = core.load(file), {}
  for _, each in ipairs(net:specs()) do shapes[each.path] = each.spec.shape end
  local own, dropped = {}, {}
  for name, t in net:named_tensors() do own[name] = t end
  for from, name in pairs(names) do
    local t = tensors[from]
    if not shapes[name] then
      util.failf("%s: %s holds %s, which %s has not: it is of another network", what, file, from, net:label())
    elseif util.same_shape(t:shape(), shapes[name]) then own[name]:copy_(t)
    elseif lora.is_in_head(net, name) then dropped[#dropped + 1] = name
    else
      util.failf("%s: %s: %s is %s, and %s of %s is %s", what, file, from, util.shape_text(t:shape()), name,
        net:label(), util.shape_text(shapes[name]))
    end
  end
  if #dropped > 0 then
    util.note(("%s: %s: the head has another size and was left aside: %s"):format(what, file, util.first_few(dropped)))
  end
end

-- Gives a network the adapters of the folder o.from, and unless it is only described their values and the head.
function adapter.open(net, what, o, described)
  local folder = o.from:gsub("(.)/+$", "%1")
  local config, path = read_config(what, folder)
  local file = folder .. "/" .. TENSORS
  if not core.exists(file) and core.exists(folder .. "/" .. OLD_TENSORS) then file = folder .. "/" .. OLD_TENSORS end
  local missing = util.missing(file)
  if missing then util.failf("%s: %s", what, missing) end
  local layers, order, names = contents(net, what, file)
  if not described then net:ready() end
  for _, layer in ipairs(order) do
    local each = layers[layer]
    check_shapes(what, file, each)
    local alpha = by_pattern(what, path, config.alpha_pattern, each.name, config.lora_alpha or 8)
    lora.attach(net, each.module, { rank = each.A[1], alpha = alpha, rs = config.use_rslora == true,
      dropout = rawget(o, "own_dropout") or config.lora_dropout or 0 })
  end
  rawset(net, "_built", nil)
  if described then return end
  net:ready()
  take(net, what, file, names)
end

return adapter
