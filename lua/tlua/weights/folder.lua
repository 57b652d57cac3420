-- folder.lua - networks in folders as Hugging Face's transformers lays them out: config.json says what it is and how
-- large, the tensors are in model.safetensors or pytorch_model.bin, or in several files that an index names.
local core = require "tlua.core"
local util = require "tlua.util"
local folder = {}

-- model_type of config.json -> {model = name in the registry, options = function(config, what) -> its options,
-- prepared = function(options, config of the preprocessor), aside = beginnings of names of another training}
local kinds = {}
folder.kinds = kinds

local function read_json(path)
  return core.exists(path) and util.read_json(path, "it is not JSON") or nil
end

-- ---- config.json ----

-- A reader of its fields: get(name, kind, default).
local function getter(what, config)
  return function(name, kind, default)
    local v = config[name]
    if v == nil then v = default end
    if kind == "integer" then v = math.type(v) == "integer" and v or math.tointeger(tonumber(v)) end
    if type(v) ~= (kind == "integer" and "number" or kind) then
      util.failf("%s: %s must be %s %s, not %s", what, name, kind == "integer" and "an" or "a", kind,
        tostring(config[name]))
    end
    return v
  end
end

local function needs(what, config, name, want)
  local v = config[name]
  if v ~= nil and v ~= want then
    util.failf("%s: %s = %s is not known here, only %s", what, name, tostring(v), tostring(want))
  end
end

kinds.wav2vec2 = { model = "wav2vec2_base", symbols = true, aside = { "quantizer.", "project_hid.", "project_q." },
  options = function(config, what)
    local get = getter(what, config)
    needs(what, config, "hidden_act", "gelu")
    needs(what, config, "feat_extract_activation", "gelu")
    needs(what, config, "add_adapter", false)
    if config.adapter_attn_dim then util.failf("%s: adapter_attn_dim: adapters are not known here", what) end
    local hides = config.apply_spec_augment ~= false
    local function list(name, default) return table.concat(get(name, "table", default), ",") end
    return { classes = get("vocab_size", "integer", 32), width = get("hidden_size", "integer", 768),
      layers = get("num_hidden_layers", "integer", 12), heads = get("num_attention_heads", "integer", 12),
      ffn = get("intermediate_size", "integer", 3072), eps = get("layer_norm_eps", "number", 1e-5),
      conv_widths = list("conv_dim", { 512, 512, 512, 512, 512, 512, 512 }),
      conv_kernels = list("conv_kernel", { 10, 3, 3, 3, 3, 2, 2 }),
      conv_strides = list("conv_stride", { 5, 2, 2, 2, 2, 2, 2 }),
      conv_bias = get("conv_bias", "boolean", false), conv_norm = get("feat_extract_norm", "string", "group"),
      position_kernel = get("num_conv_pos_embeddings", "integer", 128),
      position_groups = get("num_conv_pos_embedding_groups", "integer", 16),
      stable_layer_norm = get("do_stable_layer_norm", "boolean", false),
      dropout = get("hidden_dropout", "number", 0.1), attention_dropout = get("attention_dropout", "number", 0.1),
      activation_dropout = get("activation_dropout", "number", 0.1),
      projection_dropout = get("feat_proj_dropout", "number", 0), final_dropout = get("final_dropout", "number", 0.1),
      layer_dropout = get("layerdrop", "number", 0.1), mask_time = hides and get("mask_time_prob", "number", 0.05) or 0,
      mask_time_length = get("mask_time_length", "integer", 10),
      mask_features = hides and get("mask_feature_prob", "number", 0) or 0,
      mask_features_length = get("mask_feature_length", "integer", 10) }
  end,
  -- preprocessor_config.json: whether each wave is normalised.
  prepared = function(options, config)
    if type(config.do_normalize) == "boolean" then options.normalize = config.do_normalize end
  end }

-- Encoders of text: what differs are names in config.json and where positions begin.
local ACTIVATIONS = { gelu = "gelu", gelu_new = "gelu_tanh", gelu_pytorch_tanh = "gelu_tanh", relu = "relu",
  silu = "silu", swish = "silu" }
local function classes_of(config)
  if math.tointeger(config.num_labels) then return config.num_labels end
  local n = 0
  for _ in pairs(type(config.id2label) == "table" and config.id2label or {}) do n = n + 1 end
  return n > 0 and n or 2
end

local function activation_of(config, what, name, default)
  local said = config[name] or default or "gelu"
  return ACTIVATIONS[said] or util.failf("%s: %s = %s is not known here; known are %s", what, name, tostring(said),
    table.concat(util.keys(ACTIVATIONS), ", "))
end

local function encoder(family, first_position)
  return { model = "bert", options = function(config, what)
    local get = getter(what, config)
    needs(what, config, "position_embedding_type", "absolute")
    if config.is_decoder then util.failf("%s: is_decoder: a network that continues texts is not known here", what) end
    local width = get("hidden_size", "integer", 768)
    return { family = family, classes = classes_of(config), width = width,
      layers = get("num_hidden_layers", "integer", 12), heads = get("num_attention_heads", "integer", 12),
      inner = get("intermediate_size", "integer", 3072), vocabulary = get("vocab_size", "integer", 30522),
      positions = get("max_position_embeddings", "integer", 512),
      first_position = first_position and get("pad_token_id", "integer", 1) + 1 or 0,
      types = get("type_vocab_size", "integer", 2), embedding_width = get("embedding_size", "integer", width),
      activation = activation_of(config, what, "hidden_act"), eps = get("layer_norm_eps", "number", 1e-12),
      initial = get("initializer_range", "number", 0.02), dropout = get("hidden_dropout_prob", "number", 0.1),
      attention_dropout = get("attention_probs_dropout_prob", "number", 0.1),
      classifier_dropout = math.type(config.classifier_dropout) and config.classifier_dropout or nil }
  end }
end

kinds.bert = encoder "bert"
kinds.roberta, kinds["xlm-roberta"], kinds.camembert = encoder("roberta", true), encoder("roberta", true),
  encoder("roberta", true)
kinds.electra = encoder "electra"

kinds.distilbert = { model = "bert", options = function(config, what)
  local get = getter(what, config)
  return { family = "distilbert", classes = classes_of(config), width = get("dim", "integer", 768),
    layers = get("n_layers", "integer", 6), heads = get("n_heads", "integer", 12),
    inner = get("hidden_dim", "integer", 3072), vocabulary = get("vocab_size", "integer", 30522),
    positions = get("max_position_embeddings", "integer", 512),
    activation = activation_of(config, what, "activation"), initial = get("initializer_range", "number", 0.02),
    dropout = get("dropout", "number", 0.1), attention_dropout = get("attention_dropout", "number", 0.1),
    classifier_dropout = get("seq_classif_dropout", "number", 0.2) }
end }

kinds.gpt2 = { model = "gpt2", options = function(config, what)
  local get = getter(what, config)
  needs(what, config, "scale_attn_weights", true)
  needs(what, config, "scale_attn_by_inverse_layer_idx", false)
  needs(what, config, "add_cross_attention", false)
  local width = get("n_embd", "integer", 768)
  return { classes = classes_of(config), width = width, layers = get("n_layer", "integer", 12),
    heads = get("n_head", "integer", 12), inner = get("n_inner", "integer", 4 * width),
    vocabulary = get("vocab_size", "integer", 50257), positions = get("n_positions", "integer", 1024),
    activation = activation_of(config, what, "activation_function", "gelu_new"),
    eps = get("layer_norm_epsilon", "number", 1e-5), initial = get("initializer_range", "number", 0.02),
    dropout = get("resid_pdrop", "number", 0.1), embedding_dropout = get("embd_pdrop", "number", 0.1),
    attention_dropout = get("attn_pdrop", "number", 0.1),
    classifier_dropout = math.type(config.classifier_dropout) and config.classifier_dropout or nil }
end }

-- ---- tensors ----

local WHOLE = { "model.safetensors", "pytorch_model.bin" }

-- The files with tensors, all of which are there.
local function files_of(path)
  for _, name in ipairs(WHOLE) do
    if core.exists(path .. "/" .. name) then return { name } end
    local index = read_json(path .. "/" .. name .. ".index.json")
    if index then
      local seen, list = {}, {}
      for _, file in pairs(type(index.weight_map) == "table" and index.weight_map or {}) do
        if type(file) ~= "string" or file:find "[/\\]" then
          util.failf("%s/%s.index.json is damaged: weight_map", path, name)
        end
        if not seen[file] then seen[file], list[#list + 1] = true, file end
      end
      table.sort(list)
      if #list == 0 then util.failf("%s/%s.index.json names no files", path, name) end
      return list
    end
  end
  util.failf("%s has no %s, nor an index of several such files", path, table.concat(WHOLE, " or "))
end

local function tensors_of(path, files, aside)
  local all, left = {}, {}
  for _, file in ipairs(files) do
    local missing = util.missing(path .. "/" .. file)
    if missing then util.fail(missing) end
    for name, t in pairs((core.load(path .. "/" .. file))) do
      local other
      for _, beginning in ipairs(aside or {}) do other = other or name:sub(1, #beginning) == beginning end
      if other then left[#left + 1] = name else all[name] = t end
    end
  end
  table.sort(left)
  return all, left
end

local function load(net, path, files, kind)
  local scope <close> = core.scope()
  local tensors, left = tensors_of(path, files, kind.aside)
  local report = net:load(tensors, { what = path, head = net.head_name })
  if #left > 0 then util.note(("%s: left aside: %s"):format(path, util.first_few(left))) end
  net:took_weights(report, path)
end

-- The same of a head alone, out of the files `paths`, which the network, read already, has from now on.
function folder.load_head(net, what, paths)
  local scope <close> = core.scope()
  local own, found = {}, {}
  for _, each in ipairs(net:specs()) do
    for _, head in ipairs(net.head_paths) do
      if each.path:find(head .. ".", 1, true) == 1 then own[each.path] = true end
    end
  end
  for _, path in ipairs(paths) do
    local wanted
    for _, each in ipairs((core.entries(path))) do wanted = wanted or own[net:current_name(each.name)] end
    for name, t in pairs(wanted and core.load(path) or {}) do
      local now = net:current_name(name)
      if own[now] then found[now] = t end
    end
  end
  local report = net:load(found, { what = what, strict = false })
  local all = rawget(net, "weights_report")
  all.head_dropped, all.head_why = report.head_dropped, report.head_why
  net:note_head(report)
end

-- ---- the symbols ----

-- vocab.json: text -> number; the blank is what pads.
local function vocabulary(path, config)
  local known = read_json(path .. "/vocab.json")
  if not known then return nil end
  local tokens = {}
  for text, n in pairs(known) do
    n = math.tointeger(tonumber(n))
    if type(text) == "string" and n and n >= 0 then tokens[n + 1] = text end
  end
  if #tokens == 0 then util.failf("%s/vocab.json numbers no symbols from 0 on", path) end
  return { tokens = tokens, blank = math.tointeger(tonumber(config.pad_token_id)) or 0 }
end

-- ---- the tokenizer ----

-- Of a folder whose network reads texts; nil where it has none, or one that is not read here: the network can be used
-- with another. Its numbers must be rows of the network's table; where a table has far more rows, the tokenizer may be
-- another network's.
local function tokenizer_of(path, size)
  local ok, found = pcall(require("tlua.data.texts.tokenizer").find, path)
  if not ok then
    util.note(("%s: the network comes without its tokenizer"):format(util.reason(found)))
    return nil
  end
  local reach = found and found.handle:size() or 0
  if reach > size then
    util.failf("%s is of another network: its numbers go up to %d, and the vocabulary of %s/config.json has %d",
      found.name, reach - 1, path, size)
  end
  if found and 10 * reach < 9 * size then
    util.note(("%s has %d pieces, and the network's vocabulary %d: is it of another network?"):format(found.name, reach,
      size))
  end
  return found
end

-- ---- folders ----

-- Gives a network of a folder what the folder has beside its options. Its tensors are the folder's, unless `weights`
-- says another file, or none.
local attach
function attach(net, about)
  local paths, options = {}, net.network_options
  for i, file in ipairs(about.files) do paths[i] = about.path .. "/" .. file end
  rawset(net, "of_folder", { attach = function(other) attach(other, about) end })
  rawset(net, "file_vocabulary", about.vocabulary)
  rawset(net, "file_tokenizer", about.tokenizer)
  rawset(net, "file_head", about.head)
  rawset(net, "resized", net.give and options.vocabulary ~= about.words)
  rawset(net, "untied", about.untied)
  if options.weights == nil then
    rawset(net, "_pending", function(me)
      load(me, about.path, about.files, about.kind)
      rawset(me, "reread_head", function(again) folder.load_head(again, about.path, paths) end)
    end)
  end
end

-- The recipe's fields over what the folder says.
local function over(options, given)
  for name, value in pairs(given) do
    if name ~= "path" and name ~= "hint" then options[name] = value end
  end
  return options
end

-- The network of a run of ours, by its model file, for another task; nil where the folder is none.
local function of_run(path, given)
  local file
  for _, name in ipairs { "model.safetensors", "last.safetensors" } do
    if not file and core.exists(path .. "/" .. name) then file = path .. "/" .. name end
  end
  local model_file = require "tlua.weights.model_file"
  local info = file and model_file.read(file)
  if not info then return nil end
  if model_file.is_custom(info) then
    util.failf("models.from_folder: %s holds a network or a head of its recipe's own; tlua.models.graph takes it", file)
  end
  local options = info.options or {}
  options.weights = file
  local net = require("tlua.models").build(info.model, over(options, given))
  rawset(net, "file_preprocessing", info.preprocessing)
  return net
end

-- What an object of config.json says of the network, beside sizes.
local function made_for(config)
  local list = config.architectures
  return type(list) == "table" and type(list[1]) == "string" and list[1] or ""
end

-- models.from_folder { path = FOLDER, ... }: the network that config.json speaks of, or that a run of ours has trained,
-- described; its tensors are read when they are needed. Other fields are options of that network and win over what the
-- folder says; `weights` names another file of tensors, as of a run; `hint` says what lays the folder out, where it is
-- not there.
function folder.network(given)
  local what = "models.from_folder"
  if type(given) == "string" then given = { path = given } end
  if type(given) ~= "table" or type(given.path) ~= "string" then
    util.failf("%s: the folder is missing: { path = FOLDER }", what)
  end
  local path = core.path(given.path):gsub("(.)/+$", "%1")
  local config = read_json(path .. "/config.json")
  if not config then
    return of_run(path, given) or util.failf("%s: %s/config.json is not there%s", what, path, given.hint and "; "
      .. tostring(given.hint) or ", nor the model file of a run")
  end
  local kind = type(config.model_type) == "string" and rawget(kinds, config.model_type)
  if not kind then
    util.failf("%s: %s/config.json: networks of the model_type %s are not known here; known are %s", what, path,
      tostring(config.model_type), table.concat(util.keys(kinds), ", "))
  end
  local options = kind.options(config, path .. "/config.json")
  if kind.prepared then kind.prepared(options, read_json(path .. "/preprocessor_config.json") or {}) end
  local words = options.vocabulary
  over(options, given)
  local files = files_of(path)
  local net = require("tlua.models").build(kind.model, options)
  attach(net, { path = path, files = files, kind = kind, vocabulary = kind.symbols and vocabulary(path, config) or nil,
    tokenizer = net.takes == "text" and tokenizer_of(path, options.vocabulary) or nil, words = words,
    head = made_for(config):find "QuestionAnswering" and "qa_outputs" or nil,
    untied = config.tie_word_embeddings == false and path .. "/config.json" or nil })
  return net
end

return folder
