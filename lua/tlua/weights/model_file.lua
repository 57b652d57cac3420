-- model_file.lua - one self-describing file: the tensors of a network and, under the metadata key `tlua`, one JSON
-- with architecture, head, class names, preprocessing, recipe and results. It is data and holds no code to run.
local core = require "tlua.core"
local util = require "tlua.util"
local nn = require "tlua.nn"
local models = require "tlua.models"
local plan = require "tlua.plan"
local data = require "tlua.data"
local input = require "tlua.data.input"
local volumes = require "tlua.data.volumes"
local description = require "tlua.weights.description"
local lora = require "tlua.nn.lora"
local adapter = require "tlua.nn.lora.peft"
local model_file = {}

local FORMAT = description.FORMAT

-- What a description says of a loss: class and options, or that the recipe defines it in Lua.
local function describe_loss(loss) return nn.is_module(loss) and loss.spec and loss:spec() or { class = "custom" } end

-- The loss that a network was trained with, and its name; nil and a name where the recipe has it in Lua. Published
-- networks and files of an older tlua say nothing of it, and have cross-entropy.
function model_file.loss(info)
  if not info.loss then return nn.CrossEntropy {}, "CrossEntropy" end
  if info.loss.class == "custom" then return nil, "the recipe's own" end
  return nn.from_spec(info.loss), info.loss.class
end

-- The task that a description speaks of, with its loss (nil: it was the recipe's own), for those who ask the network or
-- test it. Files of an older tlua classify, and published networks where they give no maps.
local function task_of(info, net)
  local tasks = require "tlua.task"
  local kept = info.task and info.task.kept
  if not info.task and net.gives == "levels" then info.task = { name = "detect", options = {}, names = info.labels } end
  local t = tasks.open(tasks.of_file(info), (model_file.loss(info)), kept)
  t.names = info.task and info.task.names or info.labels
  t.width = t.names and #t.names or net.classes
  t.net = net
  local gives = net.gives
  if net.give and gives ~= t.takes then
    util.failf("task.%s takes %s, and %s gives %s", t.kind, t.takes, net:label(), gives)
  end
  if gives and (gives == "frames") ~= (t.takes == "frames") then
    util.failf("task.%s is for %s, and %s gives %s", t.kind, t.takes == "frames" and "frames" or "a row a clip",
      net:label(), gives == "frames" and "frames" or "a row a clip")
  end
  if t.fits then t:fits(net) end
  return t
end

-- The same; what is wrong with it names the file, `path`.
function model_file.task(info, net, path)
  local ok, t = pcall(task_of, info, net)
  return ok and t or util.failf("%s: its task: %s", path, util.reason(t))
end

-- What a session and its results say about the network.
function model_file.describe(session, results)
  local net, r = session.model, session.recipe
  local head = rawget(net, "own_head") and net:head():spec()
  if rawget(net, "own_head") and not head then
    head = { class = "custom", label = net:head():label(), recipe_sha256 = r.text and core.sha256(r.text) or nil }
  end
  local options = {}
  for key, value in pairs(rawget(net, "network_options") or {}) do
    if key ~= "weights" and key ~= "weights_key" then options[key] = value end
  end
  local entry = rawget(net, "entry")
  if entry and entry.file then options = {} -- the plan is the network
  elseif entry then options.classes = net.classes end
  local data_options = {}
  for key, value in pairs(r.data.options) do
    if not core.is_tensor(value) and type(value) ~= "function" then data_options[key] = value end
  end
  local globs = type(r.freeze) == "function" and "(function)" or r.freeze
  local t, path = session.task, rawget(net, "weights_path")
  local about = {
    format = FORMAT, tlua = core.version, model = entry and not entry.file and entry.name or "custom",
    options = options, head = head or nil, lora = lora.describe(net),
    task = { name = t.kind, options = t.options, names = t.names, kept = t.kept and t:kept() or nil },
    loss = describe_loss(session.loss),
    labels = t.kind == "classify" and session.classes or t.names, preprocessing = session.data.preprocessing,
    data = { kind = r.data.kind, options = data_options, list = session.data.list },
    weights = rawget(net, "weights_name") or (path and path:match "[^/]+$") or nil,
    freeze = type(globs) == "table" and { table.unpack(globs) } or globs, seed = r.seed, recipe = r.text,
    metrics = results,
  }
  local private = session.data.private
  return private and private:hide(about) or about
end

-- What goes into a network, as plan.text wants it: what the network says itself, or pictures as the preprocessing makes
-- them.
local function inputs_of(net, info)
  if net.plan_inputs then return net:plan_inputs() end
  local p = info.preprocessing
  if input.of(p).kind == "volume" then
    local side = p.patch or p.extent or { "D", "H", "W" }
    return { { "N", side[1], side[2], side[3], p.channels or net.network_options.in_channels,
      name = "volume" } }
  end
  local size = type(p.size) == "table" and p.size or { p.size, p.size }
  return { { "N", size[1], size[2], p.channels or 3, name = "image" } }
end

-- Beside the description stands what tl_model_load and nn.Graph need, since C has no Lua to build the network with and
-- a file holds no code: its calls, and what happens to a picture before. A network that cannot be traced goes without;
-- returns why.
local function write(path, net, info, tokenizer)
  local meta = { tlua = core.json_encode(info), format = "pt" }
  local text, why = plan.text(net, inputs_of(net, info), net.output_names, net.open_sizes)
  if text then meta["tlua.plan"], meta["tlua.pipeline"] = text, model_file.pipeline(info):text() end
  local tensors = net:state_dict()
  if tokenizer then tensors["tlua.tokenizer"] = core.pack(tokenizer.json) end
  core.save(path, tensors, meta)
  return why
end

-- What PEFT calls the tasks of texts.
local TASKS = { classify = "SEQ_CLS", multilabel = "SEQ_CLS", regress = "SEQ_CLS", tokens = "TOKEN_CLS",
  span = "QUESTION_ANS", causal = "CAUSAL_LM" }

-- Writes the model of a session, and of one with adapters the folder `adapter` beside it.
function model_file.save(path, session, results)
  local net = session.model
  if lora.has(net) then
    adapter.save(net, (path:match "^(.*)/[^/]+$" or ".") .. "/adapter", { trained = session.ever_trained,
      task = net.takes == "text" and TASKS[session.task.kind] or nil })
  end
  return write(path, net, model_file.describe(session, results), session.data.tokenizer)
end

-- What happens to a picture or clip before the network is given it, when there is nothing random about it.
function model_file.pipeline(info)
  local p = info.preprocessing
  local kind = input.of(p).kind
  return core.data.pipeline(kind == "text" and {} or kind == "clip" and data.clip_steps(p) or kind == "volume"
    and volumes.steps(p)
    or data.steps(p, nil, true))
end

-- The description in a file; nil where it is not a model file of ours.
function model_file.read(path)
  local missing = util.missing(path)
  if missing then util.fail(missing) end
  local _, metadata = core.entries(path)
  local text = metadata and metadata.tlua
  if not text then return nil end
  local info, why = description.read(text)
  if not info then util.failf("%s: %s", path, why) end
  return info
end

-- The network that a description speaks of, without its values.
local function build(info)
  local options = {}
  for key, value in pairs(info.options or {}) do options[key] = value end
  local net = models.build(info.model, options)
  if info.head then net:set_head(nn.from_spec(info.head)) end
  if info.lora then lora.rebuild(net, info.lora) end
  return net
end

-- Does it speak of parts that only the recipe can make?
function model_file.is_custom(info)
  return info.model == "custom" or (info.head ~= nil and info.head.class == "custom")
end

-- The network of the calls in the file, where the description cannot say how it was made. A checkpoint has none.
local function graph(path, info)
  local ok, net = pcall(nn.Graph, { path = path })
  if ok then return net end
  local why = util.reason(net)
  if why:find("holds no plan", 1, true) then
    why = ("%s holds a network or a head that its recipe makes in Lua, and no calls of it, which checkpoints go "
      .. "without: take the model.safetensors of the run, or in that recipe or at its prompt (tlua -i): model:load %q")
      :format(path, path)
  end
  util.fail(why)
end

local function is_onnx(path) return path:lower():find "%.onnx$" ~= nil end

-- Has tlua written the ONNX file with what suppresses boxes in it, which is not read as a network?
local function has_nms(path)
  local read, model = pcall(core.onnx_read, path)
  local info = read and model.metadata and model.metadata.tlua and description.read(model.metadata.tlua)
  return info and info.task and info.task.kept and info.task.kept.boxes == "nms"
end

-- The same of an ONNX file. What others have written says little of their pictures.
local function of_onnx(path)
  local missing = util.missing(path)
  if missing then util.fail(missing) end
  local net = models.onnx { path = path }
  local ok, info, p = pcall(function() return net.file_info, net:preprocessing() end)
  if not ok then
    if has_nms(path) then
      util.failf("%s ends in NonMaxSuppression (--boxes nms), and tlua wants the rows: tlua export --boxes raw", path)
    end
    error(info, 0)
  end
  if info then -- the file is the network, whatever it was made from
    local own = {}
    for key, value in pairs(info) do own[key] = value end
    own.model, own.options, own.head = "custom", {}, nil
    return net, own
  end
  if math.type(p.size) ~= "integer" then
    util.failf("%s does not say how large its pictures are, or they are no squares: a recipe says it (models.onnx "
      .. "{ path, input = 224 }), and its run has a model file", path)
  end
  p = data.preprocessing({ kind = "folder", options = {} }, p)
  if p.normalised_by_default then
    util.note(("%s does not say how pixels are normalised: mean %s, deviation %s"):format(path,
      table.concat(p.mean, ", "), table.concat(p.std, ", ")))
  end
  p.normalised_by_default = nil
  return net, { format = FORMAT, tlua = core.version, model = "custom", preprocessing = p, labels = net:labels() }
end

-- path -> the network that the file describes, without its values; description.
function model_file.network(path)
  if is_onnx(path) then return of_onnx(path) end
  local info = model_file.read(path)
  if not info then util.failf("%s is not a model file of a run; tlua.load(path) reads tensors of other files", path) end
  if not info.preprocessing then util.failf("%s: its description is damaged: preprocessing", path) end
  local net
  if model_file.is_custom(info) then net = graph(path, info)
  else
    local ok, built = pcall(build, info)
    if not ok then util.failf("%s: its description is damaged: %s", path, util.reason(built)) end
    net = built
  end
  local rows = not info.task or info.task.name == "classify"
  if rows and info.labels and net.classes and #info.labels ~= net.classes then
    util.failf("%s: its description is damaged: it names %d classes and the network has %d", path, #info.labels,
      net.classes)
  end
  return net, info
end

-- Of a network that reads: do its tokenizer, what it was trained with and the network go together?
local function check_texts(path, net, p)
  local tokenizer, most = net.tokenizer and net:tokenizer(), net.most_pieces and net:most_pieces()
  local size = net.vocabulary_size and net:vocabulary_size()
  local why = tokenizer and p.tokenizer and tokenizer.sha256 ~= p.tokenizer
    and "the tokenizer in it is not the one that it was trained with"
    or size and p.pad >= size and ("texts end in number %d, and the network knows %d"):format(p.pad, size)
    or size and tokenizer and tokenizer.handle:size() > size and "its tokenizer is of another network"
    or most and p.longest > most and ("texts of %d pieces, and the network knows %d places"):format(p.longest, most)
  if why then util.failf("%s: its description is damaged: %s", path, why) end
end

-- path, of a file or of a run's folder -> network in inference mode, description.
function model_file.load(path)
  path = util.model_path(path)
  local net, info = model_file.network(path)
  local fits, e = pcall(model_file.pipeline, info)
  if not fits then util.failf("%s: its description is damaged: preprocessing: %s", path, util.reason(e)) end
  if is_onnx(path) then net:ready() else net:load(path, { what = path, whole = true }) end
  if input.of(info.preprocessing).kind == "text" then check_texts(path, net, info.preprocessing) end
  rawset(net, "file_labels", info.labels)
  rawset(net, "file_preprocessing", info.preprocessing)
  net:eval()
  return net, info
end

-- ---- tlua export ----

-- What published networks do that do not classify.
local TASKS_OF = { map = "segment", levels = "detect" }

-- A model file of the network `name` with published weights or those of a file (of its part `key`), or of a model file:
-- a checkpoint, or one of an older tlua.
function model_file.open(name, weights, key)
  local entry = models.registry.entries[name]
  if name:find("[/.]") or not entry or entry.file then return model_file.load(name) end
  local sets = entry.weights or {}
  -- networks that hear have another
  local usual = (sets.imagenet or next(sets) == nil) and "imagenet" or util.keys(sets)[1]
  local net = models.build(name, { weights = weights or usual, weights_key = key })
  net:ready()
  net:eval()
  local kept = net.levels and { levels = net:levels() } or nil -- as task.detect keeps it
  return net, { format = FORMAT, tlua = core.version, model = name, options = { classes = net.classes },
    task = TASKS_OF[net.gives] and { name = TASKS_OF[net.gives], options = {}, kept = kept } or nil,
    preprocessing = net:preprocessing(), labels = net:labels(), weights = rawget(net, "weights_name") }
end

-- The task of a network that finds boxes, and nil of another; `path` stands before what is wrong with it.
local function task_of_boxes(info, net, path)
  local known, definition = pcall(require("tlua.task").definition, info.task and info.task.name)
  return known and definition.takes == "levels" and model_file.task(info, net, path) or nil
end

-- options: of .onnx files alone (tlua/weights/onnx_export.lua). merge: adapters become part of the weights.
function model_file.export(name, to, weights, key, options, merge)
  local onnx = to:lower():find "%.onnx$"
  if not onnx and options and next(options) then
    util.failf("--%s: is for .onnx files, and %s is another", next(options), to)
  end
  local net, info = model_file.open(name, weights, key)
  if merge then
    if not lora.has(net) then util.failf("--merge: %s has no adapters", net:label()) end
    net:merge_lora()
    info.lora = nil
  end
  if onnx then
    local function pipeline(about) return model_file.pipeline(about):text() end
    local o = { task = task_of_boxes(info, net, name) }
    for key, v in pairs(options or {}) do o[key] = v end
    if o.boxes and not o.task then util.failf("--boxes: %s finds no boxes", net:label()) end
    require("tlua.weights.onnx_export").write(to, net, info, inputs_of(net, info), pipeline, o)
    return
  end
  local why = write(to, net, info, net.tokenizer and net:tokenizer())
  if why then util.failf("%s was written, but C programs cannot load it: %s", to, util.without_place(why)) end
end

return model_file
