-- predict.lua - `tlua predict` and `tlua eval`: a trained network on pictures.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local data = require "tlua.data"
local models = require "tlua.models"
local model_file = require "tlua.model_file"
local predict = {}

-- A model file of a run, or the name of a network with its published weights.
local function open_model(name, weights)
  if not name:find("[/.]") and models.registry.entries[name] then
    local net = models.build(name, { weights = weights or "imagenet" })
    net:ready()
    net:eval()
    return net, { model = name, preprocessing = net:preprocessing(), labels = net:labels() }
  end
  return model_file.load(name)
end

local PICTURES = { jpg = true, jpeg = true, png = true }

-- Files as they are; folders give the pictures below them, in order.
local function collect(paths)
  local out = {}
  local function folder(path)
    for _, name in ipairs(core.list_folder(path)) do
      local full = path .. "/" .. name
      if core.is_folder(full) then folder(full)
      elseif PICTURES[(name:match("%.(%w+)$") or ""):lower()] then out[#out + 1] = full end
    end
  end
  for _, path in ipairs(paths) do
    path = #path > 1 and path:gsub("/+$", "") or path
    if core.is_folder(path) then
      local before = #out
      folder(path)
      if #out == before then util.failf("%s holds no JPEG or PNG pictures", path) end
    else
      if not core.exists(path) then util.failf("there is no file %s", path) end
      out[#out + 1] = path
    end
  end
  return out
end

-- The `top` classes of each row of scores (a list), best first.
local function best(scores, labels, top)
  local order = {}
  for i = 1, #scores do order[i] = i end
  table.sort(order, function(a, b)
    if scores[a] ~= scores[b] then return scores[a] > scores[b] end
    return a < b
  end)
  local out = {}
  for k = 1, math.min(top, #order) do
    local i = order[k]
    out[k] = { class = i - 1, label = labels and labels[i] or tostring(i - 1), score = scores[i] }
  end
  return out
end

-- ---- test-time flips ----

-- x (N, H, W, C) with left and right exchanged.
local function mirrored(x)
  local n, h, w, c = table.unpack(x:shape())
  local back = {}
  for i = 1, w do back[i] = w - i end
  local columns = x:permute(3, 1, 2, 4):reshape(w, n * h * c)
  local y = core.ops.embedding(columns, core.tensor(back, { dtype = "int32" })):reshape(w, n, h, c):permute(2, 3, 1, 4)
  return y
end

-- A network that gives the logarithm of the mean probabilities of a picture and its mirror image.
function predict.flipping(net)
  local function logits(_, x)
    local a, b = net(x):log_softmax(-1), net(mirrored(x)):log_softmax(-1)
    local most = a:maximum(b)
    local y = most + ((a - most):exp() + (b - most):exp()):log() - math.log(2)
    return y
  end
  return setmetatable({ eval = function() net:eval() end }, { __call = logits })
end

-- Calls f(path, predictions) for each picture.
function predict.files(net, info, paths, top, f)
  local steps = data.steps(info.preprocessing, nil, true)
  local source = core.data.source("files", { paths = paths })
  local loader = core.data.loader(source, core.data.pipeline(steps), { batch = math.min(32, #paths) })
  local guard <close> = core.no_grad()
  loader:start(1)
  while true do
    local scope <close> = core.scope()
    local x, _, n, indices = loader:next()
    if not x then break end
    local scores = net(x):softmax(-1):tolist()
    for i = 1, n do f(paths[indices[i]], best(scores[i], info.labels, top)) end
  end
  loader:close()
end

-- Splits words into options --NAME VALUE (flags have no value) and the rest.
local function words(args, flags)
  local options, rest, i = {}, {}, 1
  while i <= #args do
    local name, value = args[i]:match("^%-%-([^=]+)=?(.*)$")
    if not name then rest[#rest + 1] = args[i]
    elseif flags[name] then options[name] = true
    else
      if not args[i]:find("=", 1, true) then
        i = i + 1
        value = args[i]
      end
      if value == nil then schema.usage(("--%s: a value is missing"):format(name)) end
      options[name] = value
      options[#options + 1] = { name, value }
    end
    i = i + 1
  end
  return options, rest
end

local function known_only(options, known)
  for _, each in ipairs(options) do
    local ok = false
    for _, name in ipairs(known) do ok = ok or each[1] == name or each[1]:find("^" .. name .. "%.") end
    if not ok then schema.usage(util.unknown_text("option", each[1], known)) end
  end
end

function predict.main(args)
  local options, rest = words(args, { json = true, flip = true })
  known_only(options, { "top", "weights", "device", "json", "flip" })
  if #rest < 2 then schema.usage("predict: a model and pictures are needed: tlua predict RUN/model.safetensors FILE... [--top 3] [--flip] [--json]") end
  local top = options.top and schema.parse({ "top", "integer" }, "top", options.top) or (options.json and 5 or 3)
  if options.device then core.device(options.device) end
  local paths = collect { table.unpack(rest, 2) }
  local net, info = open_model(rest[1], options.weights)
  if options.flip then net = predict.flipping(net) end
  local all, width = {}, 0
  for _, path in ipairs(paths) do width = math.max(width, #path) end
  predict.files(net, info, paths, top, function(path, list)
    if options.json then
      all[#all + 1] = { file = path, predictions = list }
      return
    end
    local parts = {}
    for i, each in ipairs(list) do parts[i] = ("%s %.1f %%"):format(each.label, 100 * each.score) end
    print(("%-" .. math.min(width, 60) .. "s  %s"):format(path, table.concat(parts, "   ")))
  end)
  if options.json then print(core.json_encode(all)) end
  return 0
end

-- ---- eval ----

-- The description of the data a model was trained on; its own preprocessing is in the model file already.
local function data_of(info, options)
  local kind = options.data or (info.data and info.data.kind)
  if not kind then schema.usage("eval: say what the data are: --data " .. table.concat(data.names, "|")) end
  if not rawget(data.kinds, kind) then schema.usage("--data: " .. util.unknown_text("data", kind, data.names)) end
  local given, same = {}, info.data and info.data.kind == kind
  for _, field in ipairs(data.kinds[kind].schema) do
    local name = field[1]
    if same and (name == "root" or name == "test_limit" or name == "batch" or name == "on_bad" or name == "limit" or name == "split") then given[name] = info.data.options[name] end
  end
  for _, each in ipairs(options) do
    local name = each[1]:match("^data%.(.+)$")
    if name then
      local field = schema.find(data.kinds[kind].schema, name)
      if not field then schema.usage(util.unknown_text("option", "--" .. each[1], schema.names(data.kinds[kind].schema))) end
      given[name] = schema.parse(field, each[1], each[2])
    end
  end
  return data[kind](given)
end

function predict.eval_main(args)
  local options, rest = words(args, { json = true, flip = true })
  known_only(options, { "data", "weights", "device", "json", "flip" })
  if #rest ~= 1 then schema.usage("eval: one model is needed: tlua eval RUN/model.safetensors [--data KIND] [--data.root DIR] [--flip] [--json]") end
  if options.device then core.device(options.device) end
  local net, info = open_model(rest[1], options.weights)
  local d = data_of(info, options)
  local built = data.open(d, info.preprocessing, info.seed or 0, { only_test = true, classes = d.kind == "folder" and info.labels or nil })
  local s = { model = options.flip and predict.flipping(net) or net, data = built, seed = 0, loss = require("tlua.nn").CrossEntropy {}, progress = require("tlua.progress").new() }
  local source = require("tlua.feed").open(s, "test")
  local guard <close> = core.no_grad()
  local sum = require("tlua.train").evaluate(s, source, "Testing")
  source:close()
  s.progress:clear()
  if options.json then print(core.json_encode { accuracy = sum:accuracy(), loss = sum:mean(), pictures = sum.n })
  else print(("accuracy %.1f %% (%s of %s)  loss %.4f"):format(sum:accuracy(), util.thousands(sum.right), util.thousands(sum.n), sum:mean())) end
  return 0
end

return predict
