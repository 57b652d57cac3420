-- options.lua - numbers out of range are refused alike in a recipe, on the command line and in functions; unknown options and surplus
-- arguments of every function of the manual are errors. Run by `tlua tests/lua/options.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local schema = require "tlua.schema"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

-- ---- ranges ----

-- Every list of typed fields there is, by a name for messages.
local function all_schemas()
  local list = { recipe = require("tlua.train.recipe").PLAIN, stage = require("tlua.train.stage").SCHEMA, fine_tune = require("tlua.train.stage").FINE_TUNE, groups = require("tlua.train.groups").SCHEMA,
    augment = require("tlua.data.augment").SCHEMA, cache = require("tlua.train.cache").SCHEMA,
    compare = require("tlua.command.compare.ways").SCHEMA,
    show = require("tlua.command.show").SCHEMA,
    lora = require("tlua.nn.lora").SCHEMA }
  for _, name in ipairs(data.names) do list["data." .. name] = data.kinds[name].schema end
  for _, name in ipairs(optim.names) do list["optim." .. name] = optim.kinds[name] end
  for _, name in ipairs(require("tlua.nn.loss").list) do list["nn." .. name] = nn[name].schema end
  for _, name in ipairs { "resnet18", "efficientnet_b0", "vit_small_patch16_224" } do list["models." .. name] = tlua.models.registry.schema(tlua.models.registry.entry(name)) end
  return list
end

-- Numbers that may be any: seeds, labels, means of pixels.
local FREE = { seed = true, split_seed = true, ignore_index = true, mean = true }

-- A value just outside a field's range, or nil where it has none.
local function outside(field)
  local step = (field[2] == "integer" or field[2] == "batch") and 1 or 0.001
  if field.least then return field.least - step end
  if field.above then return field.above + (field[2] == "integer" and 0 or 0.0) end
  if field.most then return field.most + step end
  if field.below then return field.below end
end

t.test("every number has a range, which recipe and command line share", function()
  local count = 0
  for what, list in pairs(all_schemas()) do
    for _, field in ipairs(list) do
      local kind, name = field[2], field[1]
      if kind == "number" or kind == "integer" or kind == "numbers" or kind == "batch" then
        local bad = outside(field)
        assert(bad or FREE[name], ("%s: %s has no range"):format(what, name))
        if bad then
          local n = field.count and field.count[1] or 1
          local value, text = bad, ("%.6g"):format(bad)
          if n > 1 then value, text = {}, {} end
          for i = 1, n > 1 and n or 0 do value[i], text[i] = bad, ("%.6g"):format(bad) end
          if n > 1 then text = table.concat(text, ",") end
          local e = t.fails(("%s: %s must be "):format(what, name), schema.check, what, field, value)
          local ok, usage = pcall(schema.parse, field, name, text)
          assert(not ok and schema.is_usage(usage), what .. "." .. name)
          assert(tostring(usage):find("--" .. name .. " must be ", 1, true), tostring(usage))
          t.equal(tostring(usage):match "must be .*, not", e:match "must be .*, not", what)
        end
        for _, none in ipairs { 1 / 0, -1 / 0, 0 / 0 } do
          if kind == "number" then t.fails(name .. " must be finite, not ", schema.check, what, field, none) end
        end
        count = count + 1
      elseif kind == "range" then assert(field.check, ("%s: %s is not checked"):format(what, name))
      end
      -- The default is a value of the field.
      if field[3] ~= nil then schema.check(what, field, field[3]) end
    end
  end
  assert(count > 80, count)
end)

local function make(changes)
  local fields = { model = tlua.models.resnet18 {}, head = nn.Linear(10), data = data.cifar10 { root = "nowhere", batch = 8 }, schedule = { epochs = 3 } }
  for key, value in pairs(changes or {}) do fields[key] = value end
  local r = tlua.recipe(fields)
  return r
end

local function usage(message, words, fields)
  local ok, e = pcall(function() make(fields):override(words) end)
  assert(not ok and schema.is_usage(e), "no error of the command line: " .. tostring(e))
  assert(tostring(e):find(message, 1, true), tostring(e))
end

t.test("what trained nothing, or uphill, or ended in an internal error", function()
  for _, case in ipairs {
    { "accumulate", -3, "must be from 1 on, not -3" }, { "accumulate", 0, "must be from 1 on, not 0" }, { "clip", -1, "must be above 0, not -1" }, { "clip", 0, "must be above 0, not 0" },
    { "test_every", -1, "must be from 0 on, not -1" }, { "stop_after", -1, "must be from 0 on, not -1" }, { "checkpoint", -5, "must be from 0 on, not -5" },
    { "ema", 1, "must be at least 0 and below 1, not 1" },
  } do
    t.fails(("recipe: %s %s"):format(case[1], case[3]), make, { [case[1]] = case[2] })
    usage(("--%s %s"):format(case[1], case[3]), { { case[1], tostring(case[2]) } })
  end
  for _, case in ipairs {
    { "epochs", -1, "must be from 0 on, not -1" }, { "layer_decay", -1, "must be above 0, not -1" }, { "every", 0, "must be above 0, not 0" }, { "div", 0, "must be above 0, not 0" },
    { "gamma", 0, "must be above 0, not 0" }, { "peak", 1.5, "must be from 0 to 1, not 1.5" }, { "warmup", -1, "must be from 0 on, not -1" },
  } do
    t.fails(("schedule: %s %s"):format(case[1], case[3]), make, { schedule = { [case[1]] = case[2] } })
    usage(("--schedule.%s %s"):format(case[1], case[3]), { { "schedule." .. case[1], tostring(case[2]) } })
  end
  for _, case in ipairs { { "threads", -1, "must be from 0 to 64, not -1" }, { "threads", 65, "must be from 0 to 64, not 65" }, { "batch", 0, "must be from 1 on, not 0" }, { "size", 0, "must be from 1 on, not 0" } } do
    t.fails(("data.cifar10: %s %s"):format(case[1], case[3]), function() return data.cifar10 { [case[1]] = case[2] } end)
    usage(("--data.%s %s"):format(case[1], case[3]), { { "data." .. case[1], tostring(case[2]) } })
  end
  t.fails("data.folder: split must be at least 0 and below 1, not 1", function() return data.folder { split = 1 } end)
  t.fails("data.cifar10: std takes 1 or 3 numbers, not 2", function() return data.cifar10 { std = { 1, 2 } } end)
  usage("--data.std takes 1 or 3 numbers, not 2", { { "data.std", "1,2" } })
end)

t.test("losses, optimisers and networks: recipe, command line and functions alike", function()
  for _, bad in ipairs { -0.1, 1.1 } do
    t.fails(("nn.CrossEntropy: label_smoothing must be from 0 to 1, not %g"):format(bad), function() local l = nn.CrossEntropy { label_smoothing = bad } return l end)
    usage(("--loss.label_smoothing must be from 0 to 1, not %g"):format(bad), { { "loss.label_smoothing", tostring(bad) } })
  end
  t.fails("nn.CrossEntropy: weight must have a number above 0", function() local l = nn.CrossEntropy { weight = { 0, 0 } } return l end)
  usage("--loss.weight must be from 0 on, not -1", { { "loss.weight", "1,-1" } })
  t.fails("nn.FocalLoss: gamma must be from 0 on, not -2", function() local l = nn.FocalLoss { gamma = -2 } return l end)
  local p = { core.ones(2):requires_grad(true) }
  for _, case in ipairs { { "SGD", "momentum", 1, "must be at least 0 and below 1, not 1" }, { "SGD", "momentum", -0.5, "must be at least 0 and below 1, not -0.5" }, { "Adam", "lr", -1, "must be from 0 on, not -1" },
    { "AdamW", "weight_decay", -1, "must be from 0 on, not -1" }, { "RMSprop", "alpha", 1, "must be at least 0 and below 1, not 1" }, { "Adam", "eps", -1, "must be from 0 on, not -1" } } do
    local kind, name, value, message = table.unpack(case)
    t.fails(("optim.%s: %s %s"):format(kind, name, message), function() return optim[kind] { [name] = value } end)
    t.fails(("optim.%s: %s %s"):format(kind, name, message), function() return optim[kind](p, { [name] = value }) end)
    t.fails(("optim.%s: %s %s"):format(kind, name, message), function() return optim[kind]({ { params = p, [name] = value } }, {}) end)
    usage(("--optim.%s %s"):format(name, message), { { "optim." .. name, tostring(value) } }, { optim = optim[kind] {} })
  end
  t.fails("optim.Adam: betas must be at least 0 and below 1, not 1.5", function() return optim.Adam { betas = { 0.9, 1.5 } } end)
  t.fails("optim.Adam: betas takes 2 numbers, not 1", function() return optim.Adam { betas = 0.9 } end)
  usage("--optim.betas takes 2 numbers, not 3", { { "optim.betas", "0.9,0.9,0.9" } }, { optim = optim.Adam {} })
  t.fails("models.resnet18: dropout must be at least 0 and below 1, not 2", function() local m = tlua.models.resnet18 { dropout = 2 } return m end)
  t.fails("models.resnet18: classes must be from 1 on, not 0", function() local m = tlua.models.resnet18 { classes = 0 } return m end)
  usage("--model.dropout must be at least 0 and below 1, not -1", { { "model.dropout", "-1" } })
  t.fails("recipe: groups", function() make { groups = { { lr = 1 } } } end)
  t.fails("group 1: clip must be above 0, not 0", make, { groups = { { "fc.*", clip = 0 } } })
  t.fails("nn.Dropout: p must be at least 0 and below 1, not 1", function() local m = nn.Dropout(1) return m end)
  t.fails("nn.BatchNorm2d: momentum must be from 0 to 1, not 7", function() local m = nn.BatchNorm2d(3, { momentum = 7 }) return m end)
  t.fails("nn.LayerNorm: eps must be from 0 on, not -1", function() local m = nn.LayerNorm { eps = -1 } return m end)
  t.fails("nn.MultiHeadAttention: dropout must be at least 0 and below 1, not 1", function() local m = nn.MultiHeadAttention(4, 2, { dropout = 1 }) return m end)
  t.fails("nn.Linear: bias: true or false is needed, not 3", function() local m = nn.Linear(2, 3, { bias = 3 }) return m end)
  t.fails("fine_tune: lr must be above 0, not 0", tlua.fine_tune, { lr = 0 })
end)

t.test("attributes of operators", function()
  local ops, x, y, z = core.ops, core.randn(4, 3), core.tensor({ 0, 1, 2, 0 }, { dtype = "int32" }), core.zeros(3)
  for message, f in pairs {
    ["cross_entropy: label_smoothing must be from 0 to 1, not 5"] = function() ops.cross_entropy(x, y, nil, { label_smoothing = 5 }) end,
    ["soft_cross_entropy: label_smoothing must be from 0 to 1, not -1"] = function() ops.soft_cross_entropy(x, x, nil, { label_smoothing = -1 }) end,
    ["focal_loss: gamma must be from 0 on, not -1"] = function() ops.focal_loss(x, y, nil, { gamma = -1 }) end,
    ["sigmoid_focal_loss: alpha must be at most 1, not 3"] = function() ops.sigmoid_focal_loss(x, x, { alpha = 3 }) end,
    ["smooth_l1_loss: beta must be from 0 on, not nan"] = function() ops.smooth_l1_loss(x, x, { beta = math.abs(0 / 0) }) end,
    ["batch_norm: momentum must be from 0 to 1, not 7"] = function() ops.batch_norm(x, z, z, z, z, nil, { momentum = 7 }) end,
    ["layer_norm: eps must be from 0 on, not -1"] = function() ops.layer_norm(x, z, z, { eps = -1 }) end,
    ["dropout: p is a share of elements, 0 <= p < 1, not 1"] = function() ops.dropout(x, { p = 1, training = true }) end,
    ["sum: keep must be true or false, not string"] = function() ops.sum(x, { axes = { 1 }, keep = "no" }) end,
    ["sum: arguments stand behind the options, which come last"] = function() ops.sum(x, { axes = { 1 } }, true) end,
    ["unknown option of sum: 'axxes'; did you mean 'axes'?"] = function() ops.sum(x, { axxes = { 1 } }) end,
    ["relu: too many arguments"] = function() ops.relu(x, 3) end,
  } do t.fails(message, f) end
end)

t.test("options that do not go together", function()
  local both = "schedule: layer_decay and lowest both say how rates fall towards the pictures; give one"
  t.fails(both, make, { schedule = { layer_decay = 0.5, lowest = 0.1 } })
  usage(both, { { "schedule.lowest", "0.1" } }, { schedule = { layer_decay = 0.5 } })
  t.fails("gamma = 2 does not lower the rate on a plateau", make, { schedule = { rate = "plateau", gamma = 2 } })
  usage("gamma = 2 does not lower the rate on a plateau", { { "schedule.rate", "plateau" } }, { schedule = { gamma = 2 } })
  t.fails("nesterov = true does nothing without momentum", function() return optim.SGD { nesterov = true } end)
  usage("nesterov = true does nothing without momentum", { { "optim.nesterov", "true" } }, { optim = optim.SGD {} })
  make({ optim = optim.SGD {} }):override { { "optim.nesterov", "true" }, { "optim.momentum", "0.9" } }
end)

-- ---- every function of the manual ----

-- The function that an entry of the manual means, the object that it is a method of, and its short name.
local function function_of(name, objects)
  local owner, method = name:match "^(%w+):([%w_]+)$"
  if owner then return objects[owner][method], objects[owner], method end
  local family, rest = name:match "^(%w+)%.([%w_]+)$"
  return family and (family == "tlua" and tlua or tlua[family])[rest], nil, rest
end

-- How many arguments the forms of an entry have names for, options among them; nil where one takes as many as one likes. Layers take some options as
-- values too. And whether it has options, behind how many others.
local function most_of(entry)
  local most, before, any = 0, nil, false
  for _, form in ipairs(entry.forms) do
    local n = #form.params
    for _, p in ipairs(form.params) do any = any or p.name == "..." end
    if form.options then before = math.max(before or 0, n) end
    most = math.max(most, n + (form.options and (entry.name:find "^nn%.%u" and #form.options or 1) or 0))
  end
  return not any and most or nil, before
end

t.test("surplus arguments and unknown options, of every function of the manual", function()
  local net = nn.Linear(3, 2)
  net:ready()
  local encoder = tlua.models.bert { width = 4, heads = 1, layers = 1, inner = 4, vocabulary = 5, positions = 4 }
  local objects = { x = core.ones(2, 3), net = net, encoder = encoder, opt = optim.SGD(net, { lr = 1 }),
    detector = tlua.models.yolox_nano { classes = 1 } }
  local surplus, unknown = 0, 0
  for _, section in ipairs(require("tlua.repl.help").sections()) do
    for _, entry in ipairs(section) do
      local f, object, name
      if not entry.operator and section.title ~= "at the prompt" then f, object, name = function_of(entry.name, objects) end
      if f then
        local most, before = most_of(entry)
        local function call(n, last)
          local args, first = {}, object and 1 or 0
          args[1] = object
          for i = 1, n do args[first + i] = entry.name == "models.build" and "resnet18" or 1 end
          args[first + n + 1] = last
          local ok, e = pcall(function() return f(table.unpack(args, 1, first + n + 1)) end)
          assert(not ok, ("%s: no error with %d arguments and %s"):format(entry.name, n, tostring(last)))
          return tostring(e)
        end
        if most then
          local e = call(most, 7)
          assert(e:find(name, 1, true) and (e:find("too many arguments", 1, true) or e:find("options come in a table", 1, true)), entry.name .. ": " .. e)
          assert(e:find "^tests/lua/options.lua:%d+: ", entry.name .. ": " .. e)
          surplus = surplus + 1
        end
        if before then
          local e = call(object and object == objects.x and 0 or entry.name:find "^optim%.%u" and 0 or before, { nonsense = 1 })
          assert(e:find(entry.name == "models.build" and "models.resnet18" or name, 1, true) and e:find "unknown %w+ of " and e:find("'nonsense'", 1, true), entry.name .. ": " .. e)
          unknown = unknown + 1
        end
      end
    end
  end
  assert(surplus > 80 and unknown > 40, surplus .. " " .. unknown)
end)

t.test("surplus arguments of functions that take any number, of networks and of what other functions give", function()
  local x, net = core.ones(2, 3), nn.Linear(3, 2)
  local Own = nn.class "Own"
  function Own:init(width) self.a = nn.Linear(width, width) end
  function Own:forward(y) return self.a(y) end
  local scope <close> = tlua.scope()
  local ema = optim.ema(optim.SGD(net, { lr = 1 }), { decay = 0.5 })
  for message, f in pairs {
    ["unknown option of zeros: 'dytpe'; did you mean 'dtype'?"] = function() return tlua.zeros(2, 3, { dytpe = "int32" }) end,
    ["ones: too many arguments: the table before them has all dimensions"] = function() return tlua.ones({ 2, 3 }, 4) end,
    ["randn: there are no options"] = function() return tlua.randn(2, { dtype = "float16" }) end,
    ["arange: dtype is float32 or int32, not float16"] = function() return tlua.arange(3, { dtype = "float16" }) end,
    ["load: options come in a table, not a boolean"] = function() return tlua.load("x.safetensors", true) end,
    ["backward: too many arguments: 2, and it takes at most 1"] = function() x:backward({ retain = true }, 3) end,
    ["backward: options come in a table, not a boolean"] = function() x:backward(nil, true) end,
    ["close: too many arguments: 1, and it takes 0"] = function() scope:close(1) end,
    ["ema:update: too many arguments: 2, and it takes at most 1"] = function() ema:update(3, 4) end,
    ["nn.ReLU: too many arguments: 2, and it takes at most 1"] = function() return nn.ReLU()(x, 2) end,
    ["nn.CrossEntropy: too many arguments: 3, and it takes at most 2"] = function() return nn.CrossEntropy {}(x, x, 0.1) end,
    ["Own: too many arguments: 2, and it takes at most 1"] = function() local m = Own(3, 4) return m end,
    ["Own: too many arguments: 3, and it takes at most 1"] = function() return Own(3)(x, nil, 3) end,
    ["linear: too many arguments: 4, and it takes at most 3"] = function() return nn.functional.linear(x, net.weight, net.bias, true) end,
    ["unknown option of binary_cross_entropy_with_logits: 'wieght'"] = function() return nn.functional.binary_cross_entropy_with_logits(x, x, { wieght = 1 }) end,
    ["set_head: too many arguments: 2, and it takes at most 1"] = function() tlua.models.resnet18():set_head(net, 10) end,
    ["models.resnet18: too many arguments: 2, and it takes at most 1"] = function() return tlua.models.resnet18({}, "imagenet") end,
    ["data.folder: too many arguments"] = function() return data.folder({}, "pictures") end,
    ["unknown option of data.loader: 'bathc'; did you mean 'batch'?"] = function() return data.loader({}, "test", 0, { bathc = 3 }) end,
    ["unknown option of data.open: 'class'; did you mean 'classes'?"] = function() return data.open(data.folder {}, {}, 0, { class = {} }) end,
    ["recipe:run: too many arguments: 2, and it takes at most 1"] = function() make():run({}, "x") end,
  } do
    local e = t.fails(message, function() return (f()) end)
    assert(e:find "^tests/lua/options.lua:%d+: ", e)
  end
  -- What is nothing loses nothing.
  t.equal(x:rank(nil, nil), 2)
  t.equal(net:find("x", nil), nil)
  Own(3, nil)(x, nil)
end)

t.finish()
