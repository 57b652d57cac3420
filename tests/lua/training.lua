-- training.lua - whole runs on tiny data made here: every recipe, the feature cache, stopping, predicting. Run by
-- `tlua tests/lua/training.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn = tlua.nn
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 40)
pictures.idx(folder .. "/idx", 40)
pictures.folder(folder .. "/classes", 8)

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- Runs a recipe as the command line does; returns its standard output.
local function run(line)
  local status, out, err = t.run("./tlua " .. line)
  if status ~= 0 then error(("tlua %s: status %s: %s%s"):format(line, tostring(status), out, err), 2) end
  return out, err
end

local SMALL = "--weights none --data.size 32 --data.batch 8 --schedule.epochs 2 "

t.test("cifar_fe.lua", function()
  local out = run(("recipes/cifar_fe.lua %s --model efficientnet_lite0 --data.root %s/cifar --out %s/fe"):format(SMALL, folder, folder))
  assert(out:find("[Epoch 1] loss: ", 1, true) and out:find("[Epoch 2] loss: ", 1, true), out)
  assert(out:find("12,810 of 3,383,818 parameters are trained", 1, true), out)
  assert(out:find("40 training and 20 test pictures, 10 classes", 1, true), out)
  assert(out:find("cache     after pool (1280, float16): 162 kB in ", 1, true) and out:find(", computed once", 1, true), out)
  local csv = read(folder .. "/fe/metrics.csv")
  local columns = "^epoch,loss,train_accuracy,train_f1,test_loss,test_accuracy,test_f1,learning_rate,seconds\n1,"
  assert(csv:find(columns) and csv:find "\n2,", csv)
  assert(read(folder .. "/fe/log.txt"):find("[Epoch 2] loss: ", 1, true))
  local _, metadata = core.entries(folder .. "/fe/model.safetensors")
  local info = core.json_decode(metadata.tlua)
  t.equal(info.model, "efficientnet_lite0")
  t.equal(#info.labels, 10)
  t.equal(info.labels[1], "airplane")
  t.equal(info.preprocessing.size, 32)
  t.equal(info.head.class, "Linear")
  assert(info.recipe:find("CIFAR-10 with a frozen ResNet-50", 1, true))
end)

t.test("losses and optimisers by name", function()
  for i, line in ipairs { "--loss.weight auto --optim Lion", "--loss FocalLoss --loss.weight auto --optim LAMB", "--loss BCEWithLogits --loss.pos_weight 3 --optim RMSprop" } do
    local out = run(("recipes/cifar_fe.lua %s --model efficientnet_lite0 --schedule.epochs 1 --data.root %s/cifar --out %s/loss%d %s"):format(SMALL, folder, folder, i, line))
    assert(out:find("[Epoch 1] loss: ", 1, true), out)
  end
end)

t.test("ema: the average is tested and kept, the weights go on", function()
  local function once(out, more)
    run(("recipes/cifar_ft.lua %s --model resnet18 --model.width 8 --data.root %s/cifar --out %s/%s %s"):format(SMALL, folder, folder, out, more))
    local scope <close> = core.scope()
    local last, model = core.load(("%s/%s/last.safetensors"):format(folder, out)), core.load(("%s/%s/model.safetensors"):format(folder, out))
    local function hash(tensors, name) return tensors[name] and tensors[name]:hash() end
    local csv = read(("%s/%s/metrics.csv"):format(folder, out))
    local loss, test_loss = csv:match "\n1,([%d.]+),[%d.]+,[%d.]+,([%d.]+)"
    return { live = hash(last, "fc.weight"), average = hash(last, "optimizer.fc.weight.ema"), model = hash(model, "fc.weight"), loss = loss, test_loss = test_loss,
      statistics = hash(last, "optimizer.ema.layer4.0.bn1.running_mean"), kept = hash(model, "layer4.0.bn1.running_mean") }
  end
  local plain, with = once("ema0", ""), once("ema1", "--ema 0.9")
  assert(not plain.average and not plain.statistics and plain.model == plain.live)
  t.equal(with.live, plain.live, "the weights")
  t.equal(with.loss, plain.loss, "the loss of training")
  t.equal(with.model, with.average, "the kept weights")
  t.equal(with.kept, with.statistics, "the kept statistics")
  assert(with.average ~= with.live and with.statistics)
  assert(with.test_loss ~= plain.test_loss, "the average was not tested")
  t.fails("--ema must be at least 0 and below 1, not 1", run, ("recipes/cifar_ft.lua --model resnet18 --model.width 8 --weights none --ema 1 --data.root %s/cifar"):format(folder))
end)

t.test("batchnorm: statistics stay as they are, or follow with another momentum", function()
  local function statistics(name, more)
    local out = run(("recipes/cifar_ft.lua %s --model resnet18 --model.width 8 --data.root %s/cifar --out %s/%s %s --schedule.epochs 1"):format(SMALL, folder, folder, name, more))
    local scope <close> = core.scope()
    local tensors = core.load(("%s/%s/model.safetensors"):format(folder, name))
    return tensors["layer4.0.bn1.running_mean"]:hash(), tensors["layer4.0.bn1.weight"]:hash(), out
  end
  local followed, weight = statistics("bn_train", "")
  local kept, trained, said = statistics("bn_eval", "--batchnorm eval")
  assert(said:find("parameters are trained, batch norms keep their statistics", 1, true), said)
  t.equal(kept, core.zeros(64):hash())
  assert(trained ~= weight and trained ~= core.full({ 64 }, 1):hash(), "the weights of the batch norm did not train")
  local faster = statistics("bn_momentum", "--batchnorm 0.5")
  assert(faster ~= followed and faster ~= kept)
  t.equal(statistics("bn_same", "--batchnorm 0.1"), followed)
  local _, _, err = t.run(("./tlua recipes/cifar_ft.lua --data.root %s/cifar --batchnorm 2"):format(folder))
  assert(err:find("--batchnorm: train, eval or a momentum like 0.1 is needed, not '2'", 1, true), err)
end)

t.test("cifar_ft.lua trains the last block", function()
  local out = run(("recipes/cifar_ft.lua %s --model resnet18 --model.width 8 --data.root %s/cifar --out %s/ft"):format(SMALL, folder, folder))
  assert(out:find("132,362 of 177,362 parameters are trained", 1, true), out)
  assert(out:find("cache     none: training pictures change at random (--cache.views K", 1, true), out)
end)

t.test("a transformer, and a convolution as head, by a recipe", function()
  local line = "--weights none --data.size 32 --data.batch 8 --schedule.epochs 1 --data.root " .. folder .. "/cifar"
  local out = run(("recipes/cifar_fe.lua %s --model deit_tiny_patch16_224 --model.image_size 32 --out %s/deit"):format(line, folder))
  assert(out:find("cache     after norm (192, float16)", 1, true) and out:find("150 tensors unchanged", 1, true), out)
  out = run(("eval %s/deit/model.safetensors --data.root %s/cifar --data.test_limit 8"):format(folder, folder))
  assert(out:find("of 8", 1, true), out)
  out = run(("recipes/cifar_ft.lua %s --model squeezenet1_1 --schedule.1.freeze '*,!features.12.*' --out %s/squeeze"):format(line, folder))
  assert(out:find("[Epoch 1] loss: ", 1, true), out)
end)

t.test("own_net.lua", function()
  local out = run(("recipes/own_net.lua --data.batch 8 --schedule.epochs 2 --data.root %s/cifar --out %s/own"):format(folder, folder))
  assert(out:find("model     nn.Sequential", 1, true) and out:find("one_cycle", 1, true) and out:find("[Epoch 2] loss: ", 1, true), out)
  out = run(("recipes/own_net.lua --data.batch 8 --schedule.epochs 2 --data.root %s/cifar --train '7.*' --clip 0.1 --out %s/own2"):format(folder, folder))
  assert(out:find("1,290 of ", 1, true) and out:find("tensors unchanged", 1, true), out)
end)

t.test("fine_tune: two stages in one line; the best epoch's model is kept if asked", function()
  local path = folder .. "/tune.lua"
  core.write_file(path, ([[local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, data = tlua.data.cifar10 { root = "%s/cifar", size = 32, batch = 16 }, keep = "best", best = "loss",
  optim = tlua.optim.AdamW { lr = 1e-3 }, schedule = tlua.fine_tune { epochs = 3, lr = 5e-2 }, recompute = true }
]]):format(folder))
  local out = run(path .. " --out " .. folder .. "/tuned")
  assert(out:find("stage 1   of 2, 1 epoch\n", 1, true) and out:find("stage 2   of 2, 3 epochs", 1, true) and out:find("[Epoch 4] loss: ", 1, true), out)
  assert(out:find("frozen    *; 650 of 177,362", 1, true) and out:find("frozen    nothing; 177,362 of 177,362", 1, true), out)
  assert(out:find("lr 0.00025 to 0.025 in ", 1, true), out)
  local best, lowest
  for epoch, loss in read(folder .. "/tuned/metrics.csv"):gmatch "\n(%d+),[^,]+,[^,]+,[^,]+,([^,]+)," do
    if not lowest or tonumber(loss) < lowest then best, lowest = tonumber(epoch), tonumber(loss) end
  end
  if best ~= 4 then assert(out:find(("best      epoch %d,"):format(best), 1, true), out) end
  local status = t.run(("./tlua eval %s/tuned/best.safetensors --data.root %s/cifar"):format(folder, folder))
  t.equal(status, 0, "tlua eval of a checkpoint")
end)

t.test("a loss that is not finite names the layer and the checkpoint", function()
  local line = ("./tlua recipes/cifar_ft.lua %s --model resnet18 --model.width 8 --data.root %s/cifar --schedule.1.epochs 1 --out %s/nan2"):format(SMALL, folder, folder)
  local status, _, err = t.run(line .. " --schedule.epochs 1 --schedule.lr 1e20 --schedule.lowest 1 --schedule.rate constant --schedule.warmup 0")
  assert(status == 1, "status " .. tostring(status) .. err)
  assert(err:find("the loss is %S+ in epoch 2, step %d+, with learning rate 1e%+20; the first output that is not finite is that of ") and
    err:find("nan2/last.safetensors is whole (epoch 2, step 0): --resume", 1, true), err)
end)

t.test("the report stands alone and says what metrics.csv says", function()
  local out = run(("recipes/fashion_fe.lua %s --data.root %s/idx --data.limit 40 --out %s/report"):format(SMALL, folder, folder))
  assert(out:find("report.html", 1, true), out)
  local page = read(folder .. "/report/report.html")
  assert(page:find("^<!doctype html>") and page:find("</body></html>\n$"))
  local foot = require("tlua.report.parts").FOOT -- has the one script
  for _, outside in ipairs { "http://", "https://", "<script", "@import", "url(" } do
    assert(not page:sub(1, -#foot - 1):gsub('xmlns="http://www.w3.org/2000/svg"', ""):find(outside, 1, true), outside)
    assert(outside == "<script" or not foot:gsub("http://www.w3.org/2000/svg", ""):find(outside, 1, true), outside)
  end
  local last = read(folder .. "/report/metrics.csv"):match "\n2,[^,]+,[^,]+,[^,]+,[^,]+,([^,]+),"
  assert(page:find(("<b>%.1f %%%%</b>"):format(tonumber(last))), last)
  assert(page:find("data:image/png;base64,iVBORw0KGgo", 1, true), "no picture")
  for _, heading in ipairs { "Training", "Classes", "Confusion", "The run", "The recipe" } do assert(page:find("<h2>" .. heading, 1, true), heading) end
  t.equal(require("tlua.report").base64 "any carnal pleas", "YW55IGNhcm5hbCBwbGVhcw==")
  local _, metadata = core.entries(folder .. "/report/model.safetensors")
  assert(math.abs(core.json_decode(metadata.tlua).metrics.metrics.accuracy * 100 - tonumber(last)) < 1e-3)
end)

t.test("batches that are summed make the step of one large batch, class weights, ignored rest and all", function()
  local function train(name, batch, accumulate, loss, optimizer)
    local net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 16), nn.ReLU(), nn.Linear(16, 10))
    local data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = batch, limit = 28, mean = 0.5, std = 0.25 } -- 28: the last step is smaller
    local r = tlua.recipe { model = net, data = data, loss = loss, accumulate = accumulate, optim = optimizer, schedule = { epochs = 2 }, out = folder .. "/" .. name, seed = 5 }:run { force = true }
    return r.model
  end
  local function compare(what, loss)
    local function sgd() return tlua.optim.SGD { lr = 0.01, momentum = 0.9 } end
    local large, summed = train("large", 8, 1, loss(), sgd()), train("summed", 2, 4, loss(), sgd())
    for name, p in large:parameters() do
      local other
      for n, q in summed:parameters() do other = n == name and q or other end
      local d = t.distance(other, p)
      assert(d < 1e-5, ("%s, %s: %g"):format(what, name, d))
    end
  end
  compare("mean", function() return nn.CrossEntropy {} end)
  compare("class weights", function() return nn.CrossEntropy { weight = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } } end)
  compare("auto", function() return nn.CrossEntropy { weight = "auto" } end)
  compare("sum", function() return nn.CrossEntropy { reduction = "sum" } end)
end)

t.test("memory: auto, and the batch that fits", function()
  local line = ("./tlua recipes/cifar_ft.lua %s --model resnet18 --model.width 8 --data.root %s/cifar --out %s/memory "):format(SMALL, folder, folder)
  local status, out, err = t.run(line .. "--data.batch auto")
  assert(status == 0 and out:find("epochs of 2 steps of 32", 1, true) and out:find "batch     32 pictures, chosen by the [%d.]+ %a+ that are free; %-%-data.batch 32 is", out .. err)
  status, _, err = t.run(line .. "--data.size 224 --data.batch 100000")
  assert(status == 1 and err:find("a step of 100000 pictures in stage 2 needs [%d.]+ [GT]B, and .* has [%d.]+ GB: " ..
    "%-%-data.batch %d+ fits %(with %-%-accumulate %d+ "), err)
end)

t.test("fashion_fe.lua", function()
  run(("recipes/fashion_fe.lua %s --data.root %s/idx --data.limit 20 --out %s/fashion"):format(SMALL, folder, folder))
end)

t.test("grey pictures for a network of one channel", function()
  for _, data in ipairs { "fashion_mnist --data.root " .. folder .. "/idx", "cifar10 --data.root " .. folder .. "/cifar" } do
    local out = run(("recipes/fashion_fe.lua %s --model mobilenet_v2 --model.in_channels 1 --data %s --data.limit 20 --out %s/grey --force"):format(SMALL, data, folder))
    assert(out:find("of 2,236,106 parameters are trained", 1, true), out)
  end
  local status, _, err = t.run(("./tlua recipes/fashion_fe.lua %s --model.in_channels 4 --data.root %s/idx --out %s/grey"):format(SMALL, folder, folder))
  assert(status == 1 and err:find("pictures have 1 or 3 channels, the network wants 4", 1, true), err)
end)

t.test("open_loop.lua", function()
  core.manual_seed(4)
  local weights = folder .. "/lite0.safetensors"
  tlua.models.efficientnet_lite0 {}:save(weights)
  local here = assert(io.popen("pwd")):read("l")
  local status, out, err = t.run(("cd %s && %s/tlua %s/recipes/open_loop.lua %s %s/idx 8 1"):format(folder, here, here, weights, folder))
  assert(status == 0, err)
  assert(out:find("[Epoch 1] loss: ", 1, true) and core.exists(folder .. "/open_loop.safetensors"), out)
end)

local function recipe(changes)
  local fields = {
    model = tlua.models.resnet18 { width = 8 }, freeze = "*", head = nn.Linear(10), data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8 },
    optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 3 }, out = folder .. "/lib",
  }
  for key, value in pairs(changes or {}) do fields[key] = value end
  local r = tlua.recipe(fields)
  return r
end

-- Runs in this program without its lines on the terminal.
local function quietly(f)
  local out = io.stdout
  io.stdout = { write = function(self) return self end, flush = function(self) return self end }
  local ok, result = pcall(f)
  io.stdout = out
  if not ok then error(result, 0) end
  return result
end

t.test("a run that goes on keeps the batch that was chosen when it began", function()
  local memory = require "tlua.train.memory"
  local function auto(epochs, out)
    return recipe { data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = "auto" }, schedule = { epochs = epochs }, out = folder .. "/" .. out }
  end
  local whole = quietly(function() return auto(2, "auto_whole"):run() end)
  quietly(function() return auto(1, "auto"):run() end)
  local before = memory.auto_batch
  memory.auto_batch = function() return 4, 1e9 end -- as if there were less memory now
  local resumed = quietly(function() return auto(2, "auto"):run { resume = folder .. "/auto", force = true } end)
  memory.auto_batch = before
  assert(whole.session.data.batch > 4)
  t.equal(resumed.session.data.batch, whole.session.data.batch)
  t.equal(resumed.session.auto_batch:match "pictures, (.-);", "as the run began")
  t.equal(resumed.model.fc.weight:hash(), whole.model.fc.weight:hash())
end)

t.test("cached and uncached training give the same", function()
  local a = quietly(function() return recipe { out = folder .. "/cached", cache = { dtype = "float32" } }:run() end)
  local b = quietly(function() return recipe { out = folder .. "/plain", cache = false }:run() end)
  assert(a.session.cut and not b.session.cut)
  for epoch = 1, 3 do
    assert(math.abs(a.epochs[epoch].loss - b.epochs[epoch].loss) < 1e-5 * b.epochs[epoch].loss, ("%g and %g"):format(a.epochs[epoch].loss, b.epochs[epoch].loss))
    t.equal(a.epochs[epoch].test_accuracy, b.epochs[epoch].test_accuracy)
  end
  assert(a.epochs[3].loss < a.epochs[1].loss)
end)

t.test("the same seed gives the same bits, another seed others", function()
  local function hash(seed)
    local r = quietly(function() return recipe({ seed = seed, schedule = { epochs = 2 }, out = folder .. "/bits" }):run { force = true } end)
    return r.model.fc.weight:hash()
  end
  local first = hash(3)
  t.equal(hash(3), first)
  assert(hash(4) ~= first)
end)

t.test("a run that is taken up again has not changed its head", function()
  local r = quietly(function() return recipe { schedule = { epochs = 1 }, out = folder .. "/taken" }:run() end)
  local checkpoint = require "tlua.run.checkpoint"
  local state = checkpoint.peek(r.out .. "/last.safetensors")
  t.equal(table.concat(checkpoint.changes(state, recipe { schedule = { epochs = 1 } }), "; "), "")
  t.equal(table.concat(checkpoint.changes(state, recipe { schedule = { epochs = 1 }, head = nn.Linear(12) }), "; "), "--head nn.Linear(? -> 12)  was nn.Linear(? -> 10)")
  state.fields.precision = nil -- of a tlua that did not have the field
  t.equal(table.concat(checkpoint.changes(state, recipe { schedule = { epochs = 1 } }), "; "), "")
  t.equal(table.concat(checkpoint.changes(state, recipe { schedule = { epochs = 1 }, precision = "bfloat16" }), "; "), "--precision bfloat16  was float32")
end)

t.test("memory does not grow with steps", function()
  local r = recipe { model = tlua.models.resnet18 { width = 32 }, freeze = { "*", "!layer4.*" }, schedule = { epochs = 1 }, out = folder .. "/grown" }
  local s = r:build()
  collectgarbage()
  local before = core.memory()
  quietly(function() return require("tlua.train").run(s) end)
  collectgarbage()
  collectgarbage()
  -- the moments of Adam and gradients stay: at most three times the trained parameters
  local grown = core.memory() - before
  assert(grown < 4 * 4 * s.trained + 1e6, ("%d bytes"):format(grown))
end)

t.test("errors name the recipe's line", function()
  local e = t.fails("the head nn.Linear(64 -> 3) gives 3 outputs, but the data has 10 classes", function() recipe { head = nn.Linear(3) }:build() end)
  assert(e:find("^tests/lua/training.lua:%d+: "), e)
  e = t.fails("the input has 64 features; write nn.Linear(10)", function() recipe { head = nn.Linear(2048, 10) }:build() end)
  assert(e:find("^tests/lua/training.lua:%d+: "), e)
  t.fails("no parameter of resnet18 matches 'layer9.*'", function() recipe { freeze = "layer9.*" }:build() end)
  t.fails("cache = true: the outputs of the frozen part cannot be kept: nothing below the trained part is frozen and fixed",
    function() recipe { freeze = "layer4.*", cache = true }:build() end)
  t.fails("cache = true: the outputs of the frozen part cannot be kept: training pictures change at random",
    function() recipe { data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, augment = "flip" }, cache = true }:build() end)
end)

t.test("augmented training: any number of threads gives the same bits, another seed others", function()
  local change = { crop = { 0.3, 1 }, flip = true, rotate = 15, translate = 0.1, brightness = 0.4, hue = 0.1, grey = true, randaugment = { 2, 9 }, erase = true,
    mixup = 0.4, cutmix = 1, off_last = 1 }
  local function hash(threads, seed, augment)
    local r = quietly(function()
      return recipe({ augment = augment or change, seed = seed, data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8, threads = threads },
        schedule = { epochs = 2 }, out = folder .. "/augmented" }):run({ force = true })
    end)
    return r.model.fc.weight:hash(), r
  end
  local first, r = hash(1, 3)
  t.equal(hash(3, 3), first)
  assert(hash(1, 4) ~= first)
  t.equal(r.session.no_cache, "mixup and cutmix mix the pictures of each batch anew")
  assert(read(folder .. "/augmented/log.txt"):find("augment   crop 0.3,1, flip 0.5, rotate 15, translate 0.1, brightness 0.4, hue 0.1, grey 0.1, randaugment 2,9, erase 0.5, " ..
    "mixup 0.4, cutmix 1 but for the last 1 epochs", 1, true))
  local _, plain = hash(1, 3, { flip = true })
  assert(plain.session.no_cache:find("training pictures change at random", 1, true))
end)

t.test("mixed batches: the loss is that of the shares, off for the last epochs", function()
  local r = recipe { augment = { mixup = 1, off_last = 2 }, out = folder .. "/mixed" }
  local s = r:build()
  local source = require("tlua.train.feed").open(s, "train")
  for epoch = 1, 3 do
    source:start(epoch)
    local n, mixes = 0, 0
    while true do
      local scope <close> = core.scope()
      local batch = source:next()
      if not batch then break end
      local mix, count, list = batch.mix, batch.n, batch.labels
      n = n + 1
      if mix then
        mixes = mixes + 1
        assert(mix.share > 0 and mix.share < 1 and #mix.list == count)
        for i = 1, count do t.equal(mix.list[i], list[(i - 2) % count + 1]) end
        t.equal(core.json_encode(mix.labels:tolist()), core.json_encode(mix.list))
      end
    end
    t.equal(n, 5)
    t.equal(mixes, epoch == 1 and 5 or 0, ("epoch %d"):format(epoch))
  end
  source:close()
end)

t.test("a mixed batch's loss is cross entropy with soft targets", function()
  local logits = tlua.tensor { { 1, 2, -1, 0.5 }, { 0, -2, 3, 1 }, { 0.1, 0.2, 0.3, 0.4 } }
  local list, others, share, smoothing = { 0, 1, 2 }, { 2, 0, 1 }, 0.3, 0.1
  local rows, expected = logits:log_softmax(-1):tolist(), 0
  for i, row in ipairs(rows) do
    for k, v in ipairs(row) do
      local target = (list[i] == k - 1 and share or 0) + (others[i] == k - 1 and 1 - share or 0)
      expected = expected - v * (target * (1 - smoothing) + smoothing / 4) / 3
    end
  end
  local cross_entropy = nn.CrossEntropy { label_smoothing = smoothing }
  local task = require "tlua.task"
  local s = { loss = cross_entropy }
  local function loss_of(labels, list, mix)
    return task.open(task.classify {}, s.loss):loss(logits, { label = labels, labels = list, n = #list, mix = mix })
  end
  local labels, mixed = tlua.tensor(list, { dtype = "int32" }), tlua.tensor(others, { dtype = "int32" })
  local mix = { share = share, labels = mixed, list = others }
  local loss, count = loss_of(labels, list, mix)
  t.equal(count, 3)
  assert(math.abs(loss:item() - expected) < 1e-6, ("%g, not %g"):format(loss:item(), expected))
  -- right answers are those of the larger share
  local meter = task.open(task.classify {}, s.loss):meter()
  meter:add(tlua.tensor { { 0, 0, 1, 0 }, { 1, 0, 0, 0 }, { 0, 1, 0, 0 } }, { labels = list, n = 3, mix = mix })
  t.equal(meter:value().accuracy, 100)
  -- a loss that takes no shares, as a function: the same number, since cross entropy is linear in its target
  s.loss = function(...) local y = cross_entropy(...) return y end
  assert(math.abs(loss_of(labels, list, mix):item() - expected) < 1e-6)
  -- class weights: PyTorch's mean over shares is one over the rows
  local weights, weighted = { 1, 2, 0.5, 3 }, 0
  for i, row in ipairs(rows) do
    weighted = weighted - (row[list[i] + 1] * share * weights[list[i] + 1] + row[others[i] + 1] * (1 - share) * weights[others[i] + 1]) / 3
  end
  s.loss = nn.CrossEntropy { weight = weights }
  loss = loss_of(labels, list, mix)
  assert(math.abs(loss:item() - weighted) < 1e-6, ("%g, not %g"):format(loss:item(), weighted))
  for _, name in ipairs { "FocalLoss", "BCEWithLogits", "MSELoss" } do
    s.loss = nn[name] {}
    loss = loss_of(labels, list, mix):item()
    local a, b = s.loss(logits, labels):item(), s.loss(logits, mixed):item()
    if name ~= "MSELoss" then assert(math.abs(loss - share * a - (1 - share) * b) < 1e-6, name) else assert(loss < share * a + (1 - share) * b) end
  end
  -- an ignored class cannot be a share of a row: the loss is shared out by what both labels count
  local ignoring = nn.CrossEntropy { ignore_index = 2 }
  s.loss = ignoring
  loss, count = loss_of(labels, list, mix)
  local a, b = ignoring(logits, labels):item(), ignoring(logits, mixed):item()
  assert(math.abs(loss:item() - (share * 2 * a + (1 - share) * 2 * b) / 2) < 1e-6)
  t.equal(count, 2)
  local none = { share = share, labels = tlua.tensor({ 2, 2, 2 }, { dtype = "int32" }), list = { 2, 2, 2 } }
  loss, count = loss_of(labels, list, none)
  assert(math.abs(loss:item() - a) < 1e-6 and math.abs(count - 2 * share) < 1e-12, "labels that count nothing in the mix")
  loss, count = loss_of(none.labels, none.list, none)
  assert(loss == nil and count == 0)
  s.loss = cross_entropy
  loss = loss_of(labels, list)
  t.equal(loss:item(), s.loss(logits, labels):item())
end)

t.test("a loss that is not finite stops with step and rate", function()
  local r = recipe { schedule = { epochs = 20 }, optim = tlua.optim.SGD { lr = 1e38 }, out = folder .. "/nan" }
  local e = t.fails("the loss is ", function() quietly(function() return r:run() end) end)
  assert(e:find("learning rate 1e+38", 1, true), e)
end)

t.test("class folders: a part is held out, names are kept, pictures are predicted", function()
  local path = folder .. "/folder.lua"
  core.write_file(path, ([[
local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.efficientnet_lite0 {},
  freeze = "*",
  data = tlua.data.folder { root = "%s/classes", size = 32, batch = 8, split = 0.25 },
  optim = tlua.optim.Adam { lr = 1e-2 },
  schedule = { epochs = 3 },
}]]):format(folder))
  local out = run(path .. " --out " .. folder .. "/run")
  assert(out:find("18 training and 6 test pictures, 3 classes", 1, true), out)
  local model = folder .. "/run/model.safetensors"
  out = run(("predict %s %s/classes/left/1.png %s/classes/wide --top 2"):format(model, folder, folder))
  local _, lines = out:gsub("\n", "")
  t.equal(lines, 9)
  local list = core.json_decode((run(("predict %s %s/classes/left/1.png --json --top 3"):format(model, folder))))
  t.equal(#list[1].predictions, 3)
  local sum = 0
  for _, each in ipairs(list[1].predictions) do sum = sum + each.score end
  assert(math.abs(sum - 1) < 1e-5)
  local accuracy = read(folder .. "/run/metrics.csv"):match("\n3,[^,]*,[^,]*,[^,]*,[^,]*,([^,]*),")
  out = run(("eval %s --json"):format(model))
  assert(math.abs(core.json_decode(out).accuracy - tonumber(accuracy)) < 1e-3, out .. accuracy)
end)

t.test("class folders may hold grey pictures among others", function()
  pictures.folder(folder .. "/some_grey", 4)
  for _, class in ipairs { "left", "wide" } do
    local path = ("%s/some_grey/%s/2.png"):format(folder, class)
    core.image_write(path, core.image_read(path, 1))
  end
  for _, channels in ipairs { 3, 1 } do
    run(("%s/folder.lua --data.root %s/some_grey --model mobilenet_v2 --model.in_channels %d --augment.hue 0.1 --schedule.epochs 1 --out %s/some%d"):format(folder, folder, channels, folder, channels))
  end
end)

t.test("--flip: a picture and its mirror image get the same scores, the mean of both", function()
  local model = folder .. "/flip/model.safetensors"
  run(("%s/folder.lua --model resnet18 --model.width 8 --schedule.epochs 1 --out %s/flip"):format(folder, folder))
  local pixels = core.image_read(folder .. "/classes/left/1.png"):tolist()
  for y, row in ipairs(pixels) do
    local back = {}
    for x = #row, 1, -1 do back[#back + 1] = row[x] end
    pixels[y] = back
  end
  core.image_write(folder .. "/mirrored.png", core.tensor(pixels, { dtype = "uint8" }))
  local function scores(words)
    local by = { {}, {} }
    local list = core.json_decode((run(("predict %s %s/classes/left/1.png %s/mirrored.png --json %s"):format(model, folder, folder, words))))
    for k = 1, 2 do
      for _, each in ipairs(list[k].predictions) do by[k][each.label] = each.score end
    end
    return by
  end
  local plain, flipped, differ = scores "", scores "--flip", 0
  for label, score in pairs(flipped[1]) do
    assert(math.abs(score - (plain[1][label] + plain[2][label]) / 2) < 1e-5)
    assert(math.abs(score - flipped[2][label]) < 1e-5)
    differ = math.max(differ, math.abs(plain[1][label] - plain[2][label]))
  end
  assert(differ > 1e-3, "the mirror image makes no difference: " .. differ)
  local once, twice = core.json_decode((run("eval " .. model .. " --json"))), core.json_decode((run("eval --flip " .. model .. " --json")))
  t.equal(once.pictures, twice.pictures)
  assert(once.loss ~= twice.loss and twice.loss > 0)
end)

t.test("tlua show: what the network is fed, as a picture", function()
  local page, flags = folder .. "/page.png", "--weights none --data.root " .. folder .. "/cifar --model resnet18 --model.width 8 --data.size 32"
  local out = run(("show recipes/cifar_fe.lua %s --to %s --pictures 6 --part test"):format(flags, page))
  t.equal(out, page .. ": 6 test pictures of epoch 1\n")
  -- three columns of 96 pixels with gaps of 8, two rows with a line of text; the first picture is the first of the file
  local image = core.image_read(page):tolist()
  t.equal(#image[1], 3 * 104 + 8)
  local file = read(folder .. "/cifar/test_batch.bin")
  for _, at in ipairs { { 0, 0 }, { 31, 31 }, { 5, 20 } } do
    for k = 0, 2 do t.equal(image[8 + 3 * at[1] + 2][8 + 3 * at[2] + 2][k + 1], file:byte(2 + k * 1024 + at[1] * 32 + at[2])) end
  end
  -- mixed pictures have a second line
  out = run(("show recipes/cifar_fe.lua %s --to %s --pictures 4 --columns 2 --data.batch 4 --augment.mixup 1 --augment.flip 1"):format(flags, page))
  assert(out:find("4 training pictures of epoch 1; augment: flip 1, mixup 1", 1, true), out)
  local taller = core.image_read(page):shape()
  t.equal(taller[1], 8 + 2 * (96 + 2 * 9 + 10))
  t.equal(taller[2], 8 + 2 * 104)
  for words, expected in pairs {
    ["show"] = "show: a recipe is needed", ["show recipes/cifar_fe.lua --pictures 0"] = "--pictures must be from 1 on, not 0",
    ["show recipes/cifar_fe.lua --part tests"] = "--part: one of train, test is needed, not 'tests'", ["show recipes/cifar_fe.lua --picturs 3"] = "unknown option '--picturs'",
  } do
    local status, _, err = t.run("./tlua " .. words)
    assert(status == 2 and err:find(expected, 1, true), words .. ": " .. err)
  end
end)

t.test("a model file comes back to the bit", function()
  local r = quietly(function() return recipe { schedule = { epochs = 1 }, head = nn.Sequential(nn.Linear(16), nn.ReLU(), nn.Linear(10)), out = folder .. "/again" }:run() end)
  local net = tlua.models.load(folder .. "/again/model.safetensors")
  local guard <close> = core.no_grad()
  local x = core.randn(2, 32, 32, 3)
  t.equal(net(x):hash(), r.model(x):hash())
  t.equal(net:labels()[10], "truck")
  t.fails("is not a model file of a run", tlua.models.load, "tests/golden/models.safetensors")
end)

t.test("Ctrl-C ends a run cleanly with the model so far", function()
  local command = ("recipes/cifar_fe.lua %s --model resnet18 --model.width 8 --cache false --data.root %s/cifar --schedule.epochs 100000 --out %s/stopped"):format(SMALL, folder, folder)
  -- In the second epoch it surely listens to signals, on a machine as busy as may be.
  local wait = ("n=0; while ! grep -q \"Epoch 1\" %s/stopped/log.txt 2>/dev/null && [ $n -lt 1200 ]; do sleep 0.1; n=$((n+1)); done"):format(folder)
  local pipe = io.popen(("sh -c './tlua %s & p=$!; %s; kill -INT $p; wait $p; echo status $?'"):format(command, wait))
  local out = pipe:read("a")
  pipe:close()
  assert(out:find("stopped in epoch %d+ after %d+ batches; tlua recipes/cifar_fe.lua %-%-resume ") and out:find("status 130", 1, true), out)
  tlua.models.load(folder .. "/stopped/model.safetensors")
end)

os.execute("rm -rf " .. folder)
t.finish()
