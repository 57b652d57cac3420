-- checkpoints.lua - weights from other people's files: names with wrappers before them, several sets in one file, tensors that cannot be
-- read. Run by `tlua tests/lua/checkpoints.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local util = require "tlua.util"
local nn = tlua.nn
local folder = t.folder()

local Net = nn.class "Net"
function Net:init() self.fc1, self.bn, self.fc2 = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2) end
function Net:forward(x) return self.fc2(self.bn(self.fc1(x))) end

local function new(seed)
  core.manual_seed(seed)
  local net = Net()
  net:ready()
  return net
end

local function same(a, b)
  local state = b:state_dict()
  for name, v in pairs(a:state_dict()) do t.equal(v:hash(), state[name]:hash(), name) end
end

-- What f() notes for the user.
local function notes_of(f)
  local list, note = {}, util.note
  util.note = function(text) list[#list + 1] = text end
  local ok, e = pcall(f)
  util.note = note
  if not ok then error(e, 0) end
  return table.concat(list, "\n")
end

local function saved(name, tensors)
  local path = folder .. "/" .. name .. ".safetensors"
  core.save(path, tensors)
  return path
end

t.test("the words of wrappers before names and in them, in any order", function()
  local source = new(1)
  local function renamed(f)
    local out = {}
    for name, v in pairs(source:state_dict()) do out[f(name)] = v end
    return out
  end
  for _, prefix in ipairs { "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "model.module.", "model._orig_mod.", "net.", "network.", "backbone.",
    "encoder.", "module.encoder.", "model.net.backbone.", "model.model.", "_fsdp_wrapped_module._checkpoint_wrapped_module.", "my_own_word.", "task.my_net." } do
    local net = new(2)
    t.equal(notes_of(function() net:load(saved("wrapped", renamed(function(name) return prefix .. name end))) end), "")
    same(net, source)
  end
  for _, part in ipairs { "fc1", "bn" } do -- around one part
    for _, word in ipairs { "module", "_orig_mod", "module._orig_mod" } do
      local net = new(2)
      net:load(renamed(function(name) return (name:gsub("^" .. part .. "%.", part .. "." .. word .. ".")) end))
      same(net, source)
      net = new(3)
      net:load(renamed(function(name) return "model." .. name:gsub("^" .. part .. "%.", part .. "." .. word .. ".") end))
      same(net, source)
    end
  end
end)

t.test("words that are the network's own stay", function()
  local Own = nn.class "Own"
  function Own:init() self.model, self.module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), nn.Linear(2, 2) end
  local function own(seed)
    core.manual_seed(seed)
    local net = Own()
    net:ready()
    return net
  end
  local source, net = own(1), own(2)
  net:load(source:state_dict())
  same(net, source)
  local wrapped = {}
  for name, v in pairs(source:state_dict()) do wrapped["module._orig_mod." .. name] = v end
  net = own(3)
  net:load(wrapped)
  same(net, source)
  local OnlyModel = nn.class "OnlyModel"
  function OnlyModel:init() self.model = nn.Linear(2, 3) end
  local a, b = OnlyModel(), OnlyModel()
  a:ready()
  b:load(a:state_dict())
  same(b, a)
end)

t.test("what stands beside the network is left aside, and said", function()
  local source, all = new(1), {}
  for name, v in pairs(source:state_dict()) do all["model." .. name] = v end
  all["criterion.weight"], all["queue"], all["model.extra"] = core.ones(2), core.ones(3), nil
  local net, path, report = new(2), saved("lightning", all), nil
  local said = notes_of(function() report = net:load(path) end)
  same(net, source)
  t.equal(said, path .. ": the tensors under 'model' were taken; left aside: criterion.weight, queue")
  t.equal(table.concat(report.outside, " "), "criterion.weight queue")
  all["model.extra"] = core.ones(2) -- under the same beginning it belongs to the network, which has no such tensor
  t.fails("unexpected: extra", function() net:load(saved("lightning", all)) end)
  all["model.extra"], all["model.fc1.bias"] = nil, nil
  t.fails("missing: fc1.bias", function() net:load(saved("lightning", all)) end)
  -- torch.optim.swa_utils.AveragedModel
  local averaged = { n_averaged = core.tensor(3, { dtype = "int32" }) }
  for name, v in pairs(source:state_dict()) do averaged["module." .. name] = v end
  net = new(2)
  assert(notes_of(function() net:load(saved("averaged", averaged)) end):find("left aside: n_averaged", 1, true))
  same(net, source)
end)

t.test("two networks in one file are a question, answered by a key", function()
  local q, k, all = new(1), new(2), { queue = core.ones(4) }
  for name, v in pairs(q:state_dict()) do all["module.encoder_q." .. name] = v end
  for name, v in pairs(k:state_dict()) do all["module.encoder_k." .. name] = v end
  local path, net = saved("moco", all), new(3)
  t.fails("holds the network under module.encoder_k and module.encoder_q: say which", function() net:load(path) end)
  net:load(path, { key = "module.encoder_q" })
  same(net, q)
  net:load(path, { key = "module.encoder_k" })
  same(net, k)
  t.fails('there is no part "other" in it; there is module, queue', function() net:load(path, { key = "other" }) end)
  t.fails("key chooses a part of a file", function() net:load({}, { key = "other" }) end)
  local known = {} -- of two words that are known, the likelier one
  for name, v in pairs(q:state_dict()) do known["model." .. name] = v end
  for name, v in pairs(k:state_dict()) do known["backbone." .. name] = v end
  assert(notes_of(function() net:load(saved("known", known)) end):find("under 'model' were taken; left aside: backbone.", 1, true))
  same(net, q)
end)

t.test("one of several sets, and objects of Python beside them", function()
  local W = nn.class "W"
  function W:init() self:parameter("w", { 3 }, { "constant", 0 }) end
  local net = W()
  for _, path in ipairs { "tests/golden/io/people.pth", "tests/golden/io/people_legacy.pth" } do
    local report
    local said = notes_of(function() report = net:load(path) end)
    t.equal(said, path .. ": the tensors under 'model_state' were taken; there are also ema (weights = { path = FILE, key = \"ema\" })")
    t.equal(report.key, "model_state")
    t.equal(net.w:tolist()[3], 2.0)
    t.equal(notes_of(function() net:load(path, { key = "ema" }) end), "")
    t.equal(net.w:tolist()[3], 2.5)
    t.equal(tlua.load(path, { key = "ema" }).w:tolist()[1], 0.5)
    t.fails('there is no part "emma"', function() tlua.load(path, { key = "emma" }) end)
    t.fails("did you mean 'key'", function() tlua.load(path, { kee = "ema" }) end)
  end
end)

t.test("what cannot be read is an error where it is needed, by name", function()
  for _, path in ipairs { "tests/golden/io/odd.pth", "tests/golden/io/odd_legacy.pth" } do
    local tensors, names = tlua.load(path), {}
    for name in pairs(tensors) do names[#names + 1] = name end
    table.sort(names)
    t.equal(table.concat(names, " "), "first last")
    t.equal(tensors.nothing, nil)
    local e = t.fails(path .. ": sparse is sparse, which tlua does not read", function() return tensors.sparse end)
    assert(e:find("^tests/lua/checkpoints.lua:%d+: "), e)
    local One = nn.class "One"
    function One:init(name) self:parameter("first", { 2 }, { "constant", 9 }) self:parameter("last", { 3 }, { "constant", 9 })
      if name then self:parameter(name, { 3 }, { "constant", 9 }) end
    end
    local net = One()
    t.equal(net:load(path).loaded, 2)
    t.equal(net.last:tolist()[3], 2.0)
    net = One "quantised"
    net:ready()
    t.fails(path .. " does not fit: quantised is quantised, which tlua does not read", function() net:load(path) end)
    t.equal(net.first:tolist()[1], 9.0) -- nothing was taken
    t.equal(net:load(path, { strict = false }).unreadable[1]:match "^%S+", "quantised")
    t.equal(net.first:tolist()[2], 1.0)
    net = One "array"
    t.fails("array is what numpy", function() net:load(path) end)
  end
  -- A whole number that devices have no room for is as odd as the others.
  local path = saved("wide", { seen = { int64 = 1 << 40 }, w = core.ones(2) })
  local tensors = tlua.load(path)
  t.equal(tensors.w:tolist()[2], 1.0)
  t.fails("seen holds whole numbers that do not fit into 32 bits", function() return tensors.seen end)
end)

t.test("a pickled module is its state dict, without its class", function()
  local expected = tlua.load "tests/golden/io/module.safetensors"
  local ema = tlua.load "tests/golden/io/module_ema.safetensors"
  local function is(tensors, wanted)
    local n = 0
    for name, v in pairs(wanted) do
      t.equal(tensors[name]:hash(), v:hash(), name)
      n = n + 1
    end
    for name in pairs(tensors) do assert(wanted[name], name) end
    assert(n > 30)
  end
  for _, file in ipairs { "2.pt", "3.pt", "4.pt", "legacy_4.pt", "pair.pt", "pair_legacy.pt", "alone.pt" } do
    local tensors, _, about = tlua.load("tests/golden/io/module_" .. file)
    is(tensors, expected)
    t.equal(table.concat(about.labels, "|"), "cat|déjà vu|stop sign")
  end
  for _, file in ipairs { "pair.pt", "pair_legacy.pt" } do
    is(tlua.load("tests/golden/io/module_" .. file, { key = "ema" }), ema)
  end
  local tensors, _, about = tlua.load "tests/golden/io/module_odd.pt"
  t.fails("turns.back is a module that it stands in itself", function() return tensors["turns.back"] end)
  t.equal(about.labels, nil)
  local One = nn.class "One"
  function One:init() self.good = nn.Linear(2, 1) end
  local net = One()
  t.equal(net:load("tests/golden/io/module_odd.pt", { strict = false }).key, "model")
  t.equal(net.good.weight:tolist()[1][2], 2.0)
end)

-- A file of torch.save's old form that holds {key = a pickled module} with the tensors of `net`, all of them 0.5, and
-- names of classes.
local function pickled(path, net, key, names)
  local tree, most = { tensors = {}, order = {} }, 1
  for name, v in pairs(net:state_dict()) do
    local at = tree
    for part in name:gmatch "([^.]+)%." do
      if not at[part] then
        at[part] = { tensors = {}, order = {} }
        at.order[#at.order + 1] = part
      end
      at = at[part]
    end
    local shape = core.is_tensor(v) and v:shape() or {}
    at.tensors[#at.tensors + 1] = { name = name:match "[^.]+$", shape = shape }
    local n = 1
    for _, d in ipairs(shape) do n = n * d end
    most = math.max(most, n)
  end
  local function text(s) return "X" .. string.pack("<s4", s) end
  local function number(n) return "J" .. string.pack("<i4", n) end
  local function tensor(shape)
    local size, stride, step = "(", {}, 1
    for i = #shape, 1, -1 do
      stride[i] = number(step)
      step = step * shape[i]
    end
    for _, d in ipairs(shape) do size = size .. number(d) end
    return "ctorch._utils\n_rebuild_tensor_v2\n((" .. text "storage" .. "ctorch\nFloatStorage\n" .. text "0"
      .. text "cpu" .. number(most) .. "tQK\0" .. size .. "t(" .. table.concat(stride) .. "t\x89}tR"
  end
  local function module(at, more)
    local parameters, children = {}, {}
    for _, each in ipairs(at.tensors) do parameters[#parameters + 1] = text(each.name) .. tensor(each.shape) end
    for _, part in ipairs(at.order) do children[#children + 1] = text(part) .. module(at[part]) end
    return "csomewhere\nModule\n)\x81}(" .. text "_parameters" .. "}(" .. table.concat(parameters) .. "u"
      .. text "_buffers" .. "}" .. text "_modules" .. "}(" .. table.concat(children) .. "u" .. (more or "") .. "ub"
  end
  local list = {}
  for i, name in ipairs(names) do list[i] = number(i - 1) .. text(name) end
  local file <close> = assert(io.open(path, "wb"))
  file:write("\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\x03.\x80\2}.\x80\2}", text(key),
    module(tree, text "names" .. "}(" .. table.concat(list) .. "u"), "s.\x80\2]", text "0", "a.",
    string.pack("<i8", most), string.pack("<f", 0.5):rep(most))
  return path
end

t.test("a pickled module names the classes of a network whose head fits them", function()
  local function names(n, word)
    local list = {}
    for i = 1, n do list[i] = word .. i end
    return list
  end
  for _, each in ipairs { { "squeezenet1_1", "classifier.1.bias" }, { "yolov8n", "model.22.cv3.0.2.bias" } } do
    local name, bias = table.unpack(each)
    local source = tlua.models[name] { classes = 3 }
    source:ready()
    local path = pickled(folder .. "/" .. name .. ".pt", source, "model", { "cat", "dog", "cow" })
    local net = tlua.models[name] { classes = 3, weights = path }
    t.equal(notes_of(function() net:ready() end), "")
    t.equal(net:state_dict()[bias]:tolist()[3], 0.5)
    t.equal(table.concat(net:labels(), " "), "cat dog cow")
    net:set_head(net:default_head(2)) -- the classes of another head are not those
    t.equal(net:labels(), nil)
    net = tlua.models[name] { classes = 4, weights = path }
    rawset(net, "quiet", true)
    net:ready()
    t.equal(net:labels(), nil)
    -- Names that are not as many as the classes are not theirs.
    pickled(path, source, "model", names(2, "a"))
    net = tlua.models[name] { classes = 3, weights = path }
    net:ready()
    t.equal(net:labels(), nil)
  end
end)

t.test("weights of a recipe's network: a file and its key", function()
  local function resnet(options) return tlua.models.resnet18(options) end
  local a, b = resnet { classes = 3 }, resnet { classes = 3 }
  core.manual_seed(1)
  a:ready()
  core.manual_seed(2)
  b:ready()
  local both = {}
  for name, v in pairs(a:state_dict()) do both["model." .. name] = v end
  for name, v in pairs(b:state_dict()) do both["ema." .. name] = v end
  local path = saved("both", both)
  local function bias(options)
    options.classes = 3
    local net = resnet(options)
    rawset(net, "quiet", true)
    net:ready()
    return net.conv1.weight:hash(), net
  end
  local of_a, of_b = a.conv1.weight:hash(), b.conv1.weight:hash()
  t.equal(bias { weights = path }, of_a)
  t.equal(bias { weights = { path = path, key = "ema" } }, of_b)
  t.equal(bias { weights = { path, key = "ema" } }, of_b)
  local hash, net = bias { weights = path, weights_key = "ema" }
  t.equal(hash, of_b)
  t.equal(net.weights_report.key, "ema")
  t.fails("did you mean 'key'", function() resnet { weights = { path, kee = "ema" } } end)
  t.fails("a path is missing", function() resnet { weights = { key = "ema" } } end)
  t.fails("no file is named", function() resnet { weights_key = "ema" } end)
  -- On the command line; the key of a recipe goes with the recipe's file.
  local function recipe(weights)
    return tlua.recipe { model = resnet { classes = 3, weights = weights }, data = tlua.data.cifar10 { root = "x" } }
  end
  local function fields(r) return r.model.network_options.weights, r.model.network_options.weights_key end
  local r = recipe(nil):override { { "weights.key", "ema" }, { "weights", "x.pth" } }
  t.equal(table.concat({ fields(r) }, " "), "x.pth ema")
  r = recipe({ path = "x.pth", key = "ema" }):override { { "weights", "y.pth" } }
  t.equal(table.concat({ fields(r) }, " "), "y.pth")
  r = recipe({ path = "x.pth", key = "ema" }):override { { "model", "resnet34" } }
  t.equal(table.concat({ fields(r) }, " "), "x.pth ema")
  t.fails("no file is named", function() recipe(nil):override { { "weights.key", "ema" } } end)
end)

-- ---- our own files, from somebody else ----

t.test("a description that is none is refused in one line that names the file", function()
  local net = tlua.models.squeezenet1_1 { classes = 3 }
  net:ready()
  local path, state = folder .. "/lie.safetensors", net:state_dict()
  local function load(change)
    local info = { format = 1, tlua = core.version, model = "squeezenet1_1", options = { classes = 3 }, labels = { "a", "b", "c" },
      preprocessing = { size = 32, resize = 32, interpolation = "bilinear", mean = { 0.5, 0.5, 0.5 }, std = { 0.2, 0.2, 0.2 } }, data = { kind = "folder", options = {} } }
    local text = change(info)
    core.save(path, state, { tlua = type(text) == "string" and text or core.json_encode(info) })
    return tlua.models.load(path)
  end
  load(function() end)
  load(function(i) i.labels, i.data = nil, nil end)
  load(function(i) i.data.list = { train = { count = 3, hash = "a" }, test = { count = 1, hash = "b" } } end)
  for k, lie in ipairs {
    function(i) i.model = 7 end, function(i) i.model = "nothing" end, function(i) i.model = nil end, function(i) i.format = "x" end, function(i) i.format = 99 end,
    function(i) i.options = { classes = "x" } end, function(i) i.options = { classes = 0 } end, function(i) i.options = { classes = 1 << 40 } end,
    function(i) i.options = { classes = 4 } i.labels = nil end, function(i) i.options = { classes = 3, nothing = 1 } end, function(i) i.options = 7 end,
    function(i) i.options = { classes = 3, dropout = "x" } end, function(i) i.options = { classes = 3, weights = "imagenet" } end, function(i) i.options = { 1, 2 } end,
    function(i) i.options = { classes = 3, in_channels = 1 } end, function(i) i.options = { classes = 3, in_channels = 1000000 } end,
    function(i) i.labels = { "a" } end, function(i) i.labels = 7 end, function(i) i.labels = { 1, 2, 3 } end, function(i) i.labels = { a = "b" } end,
    function(i) i.preprocessing = nil end, function(i) i.preprocessing = 3 end, function(i) i.preprocessing.size = "x" end, function(i) i.preprocessing.size = 1000000000 end,
    function(i) i.preprocessing.size = -1 end, function(i) i.preprocessing.mean = {} end, function(i) i.preprocessing.mean = "x" end, function(i) i.preprocessing.std = { 0, 0, 0 } end,
    function(i) i.preprocessing.interpolation = "x" end, function(i) i.preprocessing.channels = 9 end, function(i) i.preprocessing.resize = {} end,
    function(i) i.head = { class = "nothing" } end, function(i) i.head = {} end, function(i) i.head = 3 end, function(i) i.head = { class = "Linear" } end,
    function(i) i.head = { class = "Linear", args = { 512, "x" } } end, function(i) i.data = 7 end, function(i) i.data = {} end, function(i) i.data = { kind = "folder", options = 7 } end,
    function(i) i.data.list = 5 end, function(i) i.data.list = { all = 5 } end, function(i) i.data.list = { train = { count = "x", hash = "y" } } end,
    function(i) i.data.list = { test = { count = 3 } } end, function(i) i.data.list = { held_out = "no" } end,
    function() return "[1, 2" end, function() return "7" end, function() return ("["):rep(200) .. ("]"):rep(200) end, function() return "" end,
  } do
    local ok, e = pcall(load, lie)
    e = tostring(e):gsub("^[^%s:]+:%d+: ", ""):gsub("\n  in .*", "")
    assert(not ok and e:sub(1, #path) == path and not e:find "\n" and not e:find "attempt to" and not e:find "bad argument", ("lie %d: %s"):format(k, e))
  end
end)

t.test("a checkpoint that does not say where the run stands, or names a file that is not its own", function()
  local checkpoint, event_file = require "tlua.run.checkpoint", require "tlua.run.event_file"
  local path = folder .. "/last.safetensors"
  local function write(change)
    local state = { format = 1, epoch = 2, step = 0, batches = 5, stage_steps = 5, stage = 1, totals = {}, rows = {}, counters = {}, steps = {}, schedule = {}, fields = {},
      device = "d", seconds = 1.5 }
    change(state)
    local text, w = core.json_encode(state), core.ones(2)
    local check = core.sha256(table.concat({ "{}", text, ("w float32 (2) %08x"):format(w:crc32()) }, "\n"))
    core.save(path, { w = w }, { tlua = "{}", checkpoint = text, check = check })
    return checkpoint.read(path)
  end
  assert(write(function() end))
  for _, lie in ipairs { { "epoch", "x" }, { "epoch", -1 }, { "step", 1.5 }, { "rows", 7 }, { "counters" }, { "steps", "x" }, { "device" }, { "stage" }, { "seconds", {} } } do
    local c, why = write(function(state) state[lie[1]] = lie[2] end)
    t.equal(c, nil)
    t.equal(why, ("%s is damaged: it does not say its %s"):format(path, lie[1]))
  end
  -- The file of events is cut where the checkpoint says: it must be the run's.
  local other = folder .. "/other"
  local f = io.open(other, "w")
  f:write("of somebody")
  f:close()
  core.mkdirs(folder .. "/run")
  for _, name in ipairs { "../other", "other", "events.out.tfevents.1/../../../other", 7, "events.out.tfevents.0123456789.tlua.1/x" } do
    t.fails("file of events is none of tlua's", function() event_file.open(folder .. "/run", { name = name, bytes = 2 }) end)
  end
  t.fails("file of events is none of tlua's", function() event_file.open(folder .. "/run", { name = "events.out.tfevents.0123456789.tlua.1", bytes = -2 }) end)
  t.equal(core.file_size(other), 11)
end)

t.test("tables in tables are saved under joined names; what is no tensor is refused in one line", function()
  local path, a, b = folder .. "/nested.safetensors", core.randn(2, 3), core.randn(4)
  tlua.save(path, { w = a, net = { fc = { weight = a, bias = b }, list = { a, b } }, steps = { int64 = 7 }, empty = {} }, { of = "me" })
  local back, metadata = tlua.load(path)
  t.equal(table.concat(util.keys(back), " "), "net.fc.bias net.fc.weight net.list.1 net.list.2 steps w")
  t.equal(back["net.fc.bias"]:hash(), b:hash())
  t.equal(back["net.list.1"]:hash(), a:hash())
  t.equal(back.steps:item(), 7)
  t.equal(metadata.of, "me")
  tlua.save(path, { model = new(1):state_dict() })
  assert(tlua.load(path)["model.bn.running_mean"])
  local net = new(2)
  net:load(path) -- "model." is a word of wrappers
  same(net, new(1))
  local circle = { w = a }
  circle.circle = circle
  for message, tensors in pairs {
    ["save: 'a.lr' is a number, not a tensor; tlua.tensor makes one of numbers"] = { w = a, a = { lr = 0.5 } }, ["save: 'a.on' is a boolean, not a tensor"] = { a = { on = true } },
    ["save: 'name' is a string, not a tensor; texts go into the metadata, the third argument"] = { name = "x" }, ["save: 'f' is a function, not a tensor"] = { f = print },
    ["save: 'n.int64' is a number, not a tensor"] = { n = { int64 = 1.5 } }, ["save: two tensors would be named 'a.b'"] = { a = { b = a }, ["a.b"] = b },
    ["save: tensors are named by text keys"] = { a }, ["tensors are named by texts, or by whole numbers in tables within tables"] = { a = { [1.5] = a } },
    ["or one within itself"] = circle, ["save: a name has a byte of value 0 in it"] = { ["a\0b"] = a } } do
    local e = t.fails(message, function() tlua.save(folder .. "/bad.safetensors", tensors) end)
    assert(e:find "^tests/lua/checkpoints.lua:%d+: " and not e:find "\n", e)
  end
  t.fails("save: metadata are a table of texts, not a string", function() tlua.save(path, { w = a }, "of me") end)
  t.fails("save: metadata are texts named by texts", function() tlua.save(path, { w = a }, { epoch = 3 }) end)
  t.fails("save: too many arguments: 4, and it takes at most 3", function() tlua.save(path, { w = a }, {}, true) end)
  assert(not core.exists(folder .. "/bad.safetensors"))
end)

t.finish()
