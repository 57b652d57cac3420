-- detectors.lua - networks that find boxes: what they give, weights out of ONNX files with and without batch norms,
-- statistics that are measured, classes that are kept. Run by `tlua tests/lua/detectors.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local groups = require "tlua.train.groups"
local onnx_export = require "tlua.weights.onnx_export"
local models, ops = tlua.models, core.ops
local folder = t.folder()

-- A network whose norms have statistics and whose classes are told apart.
local function taught(name, options)
  core.manual_seed(5)
  local net = models[name](options)
  for key, p in net:named_tensors() do
    local shape = p:shape()
    if key:find "running_mean$" then p:copy_(core.normal(shape, 0, 0.1, key))
    elseif key:find "running_var$" then p:copy_(core.uniform(shape, 0.5, 1.5, key))
    elseif key:find "bn%.weight$" then p:copy_(core.uniform(shape, 1.5, 2.5, key))
    elseif key:find "bias$" then p:copy_(core.normal(shape, 0, 0.1, key)) end
  end
  return net:eval()
end

local function onnx_of(net, options, labels)
  local kind = labels and "named" or options.fold and "folded" or "plain"
  local path = ("%s/%s_%s.onnx"):format(folder, net.entry.name, kind)
  onnx_export.write(path, net, { format = 1, model = "custom", labels = labels },
    { { "N", 64, 96, 3, name = "image" } }, nil, options)
  return path
end

local function pictures(n) return core.uniform({ n, 64, 96, 3 }, 0, 2, "pictures") end

local function answer(net, x)
  local guard <close> = core.no_grad()
  local y = net(x)
  return y
end

t.test("rows of all cells, and what they mean", function()
  local net = models.yolox_nano { classes = 4 }
  t.equal(table.concat(net:cost { 2, 64, 96, 3 }, "x"), "2x126x9")
  t.equal(table.concat(answer(net:eval(), pictures(2)):shape(), "x"), "2x126x9")
  local l = net:levels()
  t.equal(("%s %s %s %s"):format(table.concat(l.strides, " "), l.form, l.bins, l.objectness),
    "8 16 32 offsets nil true")
  net = models.yolov8n { classes = 4 }
  t.equal(table.concat(answer(net:eval(), pictures(2)):shape(), "x"), "2x126x68")
  l = net:levels()
  t.equal(("%s %s %s %s"):format(table.concat(l.strides, " "), l.form, l.bins, l.objectness),
    "8 16 32 distribution 16 false")
  t.equal(net.gives, "levels")
  t.fails("yolov8n: height and width of pictures must be multiples of 32, not 40 x 96: --data.size 96",
    net, core.zeros(1, 40, 96, 3))
  t.fails("pictures (N, H, W, 3) are wanted, not (64, 96, 3)", net, core.zeros(64, 96, 3))
  t.fails("yolov8n cannot be an encoder", models.unet, { encoder = "yolov8n" })
end)

-- Millions of parameters as the tables of both publish them.
t.test("sizes are the published ones", function()
  local want = { yolox_nano = 0.91, yolox_tiny = 5.06, yolox_s = 9.0, yolox_m = 25.3, yolov8n = 3.2, yolov8s = 11.2,
    yolov8m = 25.9, yolov8l = 43.7, yolov8x = 68.2 }
  for name, millions in pairs(want) do
    local n = models[name] {}:count() / 1e6
    assert(math.abs(n - millions) < 0.051, ("%s has %.3f million parameters"):format(name, n))
  end
end)

t.test("a fresh layer of classes begins at the prior", function()
  for _, name in ipairs { "yolox_nano", "yolov8n" } do
    local net = models[name] {}
    net:set_head(net:default_head(3))
    t.equal(net.classes, 3)
    t.equal(net:labels(), nil)
    t.equal(net:head():label(), "layers of 3 classes at 3 levels")
    for _, path in ipairs(net.class_paths) do
      local m = net:find(path)
      t.equal(table.concat(m.weight:shape(), "x"):match "^%d+", "3")
      assert(t.distance(ops.sigmoid(m.bias), core.full({ 3 }, 0.01)) < 1e-5)
    end
  end
  local net = models.yolox_nano {}
  assert(t.distance(ops.sigmoid(net:find "head.obj_preds.1".bias), core.full({ 1 }, 0.01)) < 1e-5)
  t.fails("yolox_nano: its head are layers of its own", net.set_head, net, tlua.nn.Linear(3))
end)

t.test("where all is frozen the prediction layers are trained, and frozen parts run as a plan", function()
  for name, want in pairs { yolox_nano = 18, yolov8n = 12 } do
    local net = models[name] { classes = 2 }
    rawset(net, "head_trains", true)
    groups.set_frozen(net, "*")
    local _, names = net:trained()
    t.equal(#names, want, name .. ": " .. table.concat(names, " "))
    t.equal(net:fixed_stages(), net:stage_count())
    net:train()
    local y, same = net(pictures(2)), answer(net, pictures(2))
    assert(t.distance(y:detach(), same) < 1e-5)
    y:sum():backward()
    local count = 0
    for key in pairs(net:gradients()) do
      count = count + 1
      assert(key:find "preds" or key:find "%.2%.[bw]", key)
    end
    t.equal(count, want)
  end
end)

t.test("freezing a part: the plan below gives what the whole gives", function()
  local below = {}
  for i = 0, 4 do below[i + 1] = ("model.%d.*"):format(i) end
  for name, globs in pairs { yolox_nano = "backbone.*", yolov8n = below } do
    local net, x = taught(name, { classes = 3 }), pictures(2)
    local whole = net(x):detach()
    net:freeze(globs)
    assert(net:fixed_stages() >= 5 and net:fixed_stages() < net:stage_count(), net:fixed_stages())
    assert(t.distance(net(x):detach(), whole) < 1e-4, name)
  end
end)

-- ---- ONNX ----

for _, name in ipairs { "yolox_nano", "yolov8n" } do
  local net = taught(name, { classes = 6 })
  local path, plain = onnx_of(net, { fold = true }), onnx_of(net, { fold = false })
  local x = pictures(3)
  local want = answer(net, x)

  t.test(name .. ": an ONNX file with folded batch norms gives its answers", function()
    local other = models[name] { classes = 6, weights = path }:eval()
    local got = answer(other, x)
    assert(t.distance(got, want) < 1e-4, t.distance(got, want))
    local graph = models.onnx { path = path, logits = false }:eval()
    assert(t.distance(got, answer(graph, x)) < 1e-4, t.distance(got, answer(graph, x)))
    t.equal(other:wants_statistics(), true)
    t.equal(other:labels(), nil)
  end)

  t.test(name .. ": measured statistics change no answer, and are those of the batch", function()
    local other = models[name] { classes = 6, weights = path }:eval()
    local state = {}
    for key, v in pairs(other:state_dict()) do state[key] = v:clone() end
    local before, i = answer(other, x), 0
    local norms, n = other:measure_statistics(function()
      i = i + 1
      return i <= 3 and ops.slice(x, 1, i - 1, 1) or nil
    end)
    t.equal(n, 3)
    t.equal(norms, name == "yolox_nano" and 104 or 57)
    t.equal(other:wants_statistics(), false)
    t.equal(other.training, false)
    assert(t.distance(answer(other, x), before) < 1e-4, t.distance(answer(other, x), before))
    t.fails("have their statistics", other.measure_statistics, other, function() end)
    -- All at once, in training: the same norms by the batch's own statistics.
    other:train()
    local trained = answer(other, x)
    assert(t.distance(trained, before) < 2e-3, t.distance(trained, before))
    -- Without: another network at the first step.
    local fresh = models[name] { classes = 6 }
    fresh:load(state)
    fresh:train()
    assert(t.distance(answer(fresh, x), before) > 0.1)
  end)

  t.test(name .. ": an ONNX file with batch norms has their statistics", function()
    local other = models[name] { classes = 6, weights = plain }:eval()
    t.equal(other:wants_statistics(), false)
    assert(t.distance(answer(other, x), want) < 1e-5)
  end)

  t.test(name .. ": of another number of classes the head is left, names of classes come along", function()
    local other = models[name] { classes = 4, weights = path, class_width = name == "yolov8n" and 64 or nil }
    t.equal(other:ready().weights_report.head_dropped, other.head_name)
    local named = onnx_of(net, { fold = true }, { "a", "b", "c", "d", "e", "f" })
    t.equal(table.concat(models[name] { classes = 6, weights = named }:ready():labels(), ""), "abcdef")
    t.fails("keep_classes: the layers of classes of", function()
      models[name] { classes = 4, weights = named, keep_classes = true }:ready()
    end)
  end)
end

t.test("files of other networks are refused, with the convolution", function()
  local nano, v8 = folder .. "/yolox_nano_folded.onnx", folder .. "/yolov8n_folded.onnx"
  t.fails("does not fit: it has 113 convolutions, and the network has 83", function()
    models.yolox_tiny { classes = 6, weights = nano }:ready()
  end)
  t.fails("is (16, 3, 3, 3), stride 2, and model.0 is (32, 3, 3, 3), stride 2", function()
    models.yolov8s { classes = 6, weights = v8 }:ready()
  end)
  t.fails("is (64, 64, 3, 3), stride 1, and model.22.cv3.0.0 is (80, 64, 3, 3), stride 1", function()
    models.yolov8n { weights = v8, class_width = 80 }:ready()
  end)
  t.fails("key chooses a part of a file", function() models.yolox_nano {}:load(nano, { key = "ema" }) end)
  t.fails("there is no file", function() models.yolox_nano {}:load(folder .. "/none.onnx") end)
  t.fails("yolox_nano.pth has them (Apache-2.0); --weights FILE names another file", function()
    return models.yolox_nano { weights = folder .. "/yolox_nano.onnx" }:parameters()
  end)
end)

-- ---- statistics ----

t.test("measuring is of the inputs of the norms: the first one by hand", function()
  local net = models.yolov8n { classes = 2 }
  for key, p in net:named_tensors() do
    if key:find "running_var$" then p:fill_(1 - 1e-3) end
  end
  local x = pictures(4)
  net:freeze "model.0.*"
  local list = { ops.slice(x, 1, 0, 1), ops.slice(x, 1, 1, 3) }
  net:measure_statistics(function() return table.remove(list, 1) end)
  local m = net:find "model.0"
  local y = m.conv(x):detach()
  local mean = y:mean { axes = { 1, 2, 3 } }
  local var = (y - mean):square():mean { axes = { 1, 2, 3 } }
  assert(t.distance(m.bn.running_mean, mean) < 1e-5)
  assert(t.distance(m.bn.running_var, var) < 1e-5)
  assert(t.distance(m.bn.weight, (var + 1e-3):sqrt()) < 1e-5)
  assert(t.distance(m.bn.bias, mean) < 1e-5)
  assert(m:all_frozen() and not m.bn.weight:requires_grad())
  t.fails("there is no batch", function()
    local other = models.yolov8n { classes = 2 }
    for key, p in other:named_tensors() do
      if key:find "running_var$" then p:fill_(1 - 1e-3) end
    end
    other:measure_statistics(function() end)
  end)
end)

-- ---- classes ----

t.test("keep_classes takes over the rows of classes with the same name", function()
  for _, name in ipairs { "yolox_nano", "yolov8n" } do
    local net, x = taught(name, { classes = 4, keep_classes = true }), pictures(2)
    rawset(net, "file_labels", { "red", "white", "platelet", "thrips" })
    local first = net.box_numbers
    local before = answer(net, x)
    t.equal(net:takes_rows { "red", "white", "platelet", "thrips" }, false)
    t.equal(net:takes_rows { "white", "red", "platelet", "thrips" }, true)
    net:set_head(net:default_head(5, { "aphid", "platelet", "red", "moth", "mite" }))
    t.equal(net:head():label(), "layers of 5 classes at 3 levels, 2 of them the weights' own")
    local after = answer(net, x)
    t.equal(t.distance(ops.slice(after, 3, 0, first), ops.slice(before, 3, 0, first)), 0)
    t.equal(t.distance(ops.slice(after, 3, first + 1, 1), ops.slice(before, 3, first + 2, 1)), 0)
    t.equal(t.distance(ops.slice(after, 3, first + 2, 1), ops.slice(before, 3, first, 1)), 0)
    assert(ops.sigmoid(ops.slice(after, 3, first, 1)):mean():item() < 0.05)
    t.fails("no class of the data (a, b) is one of the weights'", function()
      local other = taught(name, { classes = 4, keep_classes = true })
      rawset(other, "file_labels", { "red", "white", "platelet", "thrips" })
      other:default_head(2, { "a", "b" })
    end)
    t.fails("the names of the weights' classes are not known", function()
      models[name] { classes = 4, keep_classes = true }:default_head(2, { "a", "b" })
    end)
  end
end)

t.test("another number of classes keeps the width of YOLOv8's branch, in a model file too", function()
  local net = taught("yolov8n", {})
  t.equal(net.network_options.class_width, 80)
  net:set_head(net:default_head(3))
  local path, x = folder .. "/three.safetensors", pictures(1)
  net:ready()
  net:eval()
  net:save(path)
  local again = models.build("yolov8n", { classes = 3, class_width = net.network_options.class_width })
  again:load(path, { whole = true })
  t.equal(t.distance(answer(again:eval(), x), answer(net, x)), 0)
  t.equal(models.yolov8n { classes = 3 }.network_options.class_width, 64)
end)

-- ---- runs ----

-- Twelve grey pictures of 64 x 64 pixels with a square, dark or bright.
local function lay_out(root)
  for i = 1, 12 do
    local rows, class, side = {}, i % 2, 12 + i
    for k = 1, 64 * 64 * 3 do
      local x, y = (k - 1) // 3 % 64, (k - 1) // 192
      rows[k] = x >= i and x < i + side and y >= i and y < i + side and 40 + 180 * class or 100 + k * 7 % 30
    end
    local name, part = ("p%02d"):format(i), i <= 10 and "train" or "test"
    core.mkdirs(("%s/images/%s"):format(root, part))
    core.mkdirs(("%s/labels/%s"):format(root, part))
    core.image_write(("%s/images/%s/%s.png"):format(root, part, name),
      core.tensor(rows, { dtype = "uint8" }):reshape(64, 64, 3))
    core.write_file(("%s/labels/%s/%s.txt"):format(root, part, name),
      ("%d %g %g %g %g\n"):format(class, (i + side / 2) / 64, (i + side / 2) / 64, side / 64, side / 64))
  end
  core.write_file(root .. "/classes.txt", "dark\nbright\n")
end

local function recipe(out, fields)
  local f = { model = models.yolox_nano { weights = folder .. "/squares.onnx", keep_classes = true },
    data = tlua.data.yolo { root = folder .. "/squares", size = 64, batch = 4, augment = "flip" },
    task = tlua.task.detect {}, optim = tlua.optim.SGD { lr = 1e-3 }, schedule = { epochs = 2 }, ema = 0.9,
    test_every = 0, out = folder .. "/" .. out }
  for key, value in pairs(fields or {}) do f[key] = value end
  return tlua.recipe(f)
end

local function log_of(out) return core.read_file(folder .. "/" .. out .. "/log.txt") end

t.test("a run measures the statistics first, and says so; one that goes on does not", function()
  lay_out(folder .. "/squares")
  local labels = {}
  for i = 1, 80 do labels[i] = ("thing %d"):format(i) end
  labels[3] = "bright"
  core.rename(onnx_of(taught("yolox_nano", {}), { fold = true }, labels), folder .. "/squares.onnx")
  local frozen = { freeze = { "backbone.backbone.stem.*", "backbone.backbone.dark2.*" } } -- which are measured too
  local r = recipe("whole", frozen)
  r:run { style = "quiet", force = true }
  local log = log_of "whole"
  assert(log:find("norms     statistics of 104 batch norms measured on 10 training pictures, since the weights' file "
    .. "has them folded", 1, true), log)
  assert(log:find("head      layers of 2 classes at 3 levels, 1 of them the weights' own", 1, true), log)
  local state = tlua.load(folder .. "/whole/model.safetensors")
  assert(state["backbone.backbone.stem.conv.bn.running_var"]:tolist()[1] ~= 1 - 1e-3)
  local r2, calls, real = recipe("parts", frozen), 0, core.interrupted
  core.interrupted = function() -- in the second epoch
    calls = calls + 1
    return calls == 5 or real()
  end
  local ok, e = pcall(r2.run, r2, { style = "quiet", force = true })
  core.interrupted = real
  assert(ok, e)
  recipe("parts", frozen):run { style = "quiet", resume = folder .. "/parts" }
  assert(log_of "parts":find("resumed ", 1, true), log_of "parts")
  local _, count = log_of "parts":gsub("norms     ", "")
  t.equal(count, 1)
  local other, same = tlua.load(folder .. "/parts/model.safetensors"), 0
  for key, v in pairs(state) do
    if core.is_tensor(v) then
      t.equal(v:hash(), other[key]:hash(), key)
      same = same + 1
    end
  end
  assert(same > 500)
end)

t.test("where no norm is trained none is measured", function()
  recipe("head", { freeze = "*", schedule = { epochs = 1 } }):run { style = "quiet", force = true }
  assert(not log_of "head":find("norms     ", 1, true), log_of "head")
end)

t.finish()
