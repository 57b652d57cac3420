-- models.lua - networks: names and shapes against PyTorch's, heads, freezing, weights. Run by `tlua tests/lua/models.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn = tlua.nn
local folder = t.folder()

for _, name in ipairs(tlua.models.names()) do
  t.test("names and shapes of " .. name, function()
    local want, count, order = {}, 0, {}
    for line in io.lines("tests/golden/names/" .. name .. ".txt") do
      local key, shape = line:match("^(%S+) (%S*)$")
      want[key], count = shape, count + 1
      if not key:find("num_batches_tracked") then order[#order + 1] = key end
    end
    local net, seen = tlua.models[name] {}, 0
    for _, each in ipairs(net:specs()) do
      t.equal(table.concat(each.spec.shape, "x"), want[each.path], each.path)
      seen = seen + 1
      t.equal(each.path, order[seen], "the order")
    end
    net:walk(function(m, path)
      for counter in pairs(m:counters()) do
        t.equal(want[path .. "." .. counter], "", path .. "." .. counter)
        seen = seen + 1
      end
    end)
    t.equal(seen, count, "the number of entries")
  end)
end

-- Parameters and multiply-adds as torchvision (and timm, for the last) publish them.
local KNOWN = {
  squeezenet1_1 = { 1235496, "0.349" }, vgg16 = { 138357544, "15.470" }, densenet121 = { 7978856, "2.834" }, efficientnet_b0 = { 5288548, "0.386" },
  efficientnet_b4 = { 19341616, "4.394" }, convnext_tiny = { 28589128, "4.456" }, mobilenet_v3_large = { 5483032, "0.217" },
  vit_base_patch16_224 = { 86567656, "17.564" },
}

t.test("the list tells sizes without a device", function()
  local by_name = {}
  for _, m in ipairs(tlua.models.list()) do by_name[m.name] = m end
  for name, known in pairs(KNOWN) do
    t.equal(by_name[name].parameters, known[1], name)
    t.equal(("%.3f"):format(by_name[name].multiply_adds / 1e9), known[2], name)
  end
  t.equal(by_name.resnet50.parameters, 25557032)
  t.equal(by_name.resnet50.multiply_adds, 4089184256)
  t.equal(by_name.efficientnet_lite0.parameters, 4652008)
  t.equal(#require "tlua.models.imagenet_labels", 1000)
end)

t.test("freezing by glob, list and function", function()
  local net = tlua.models.resnet18 { classes = 4 }
  local all = net:count()
  net:freeze "*"
  t.equal(select(2, net:count()), 0)
  net:unfreeze "fc.*"
  t.equal(select(2, net:count()), 512 * 4 + 4)
  net:unfreeze()
  t.equal(select(2, net:count()), all)
  net:freeze { "*", "!layer4.*", "!fc.*" }
  assert(net:fixed_stages() == 4 and net.layer1:all_frozen() and not net.layer4:all_frozen())
  net:unfreeze()
  net:freeze(function(name) return name:find("bn1", 1, true) end)
  assert(net.bn1:all_frozen() and not net.conv1:all_frozen())
  t.fails("no parameter of resnet18 matches 'layr4.*'; did you mean 'layer4.*'?", net.freeze, net, "layr4.*")
  t.fails("unknown option of freeze: 'batchnrom'; did you mean 'batchnorm'?", net.freeze, net, { "*", batchnrom = "train" })
end)

t.test("frozen parts run in inference mode and record nothing", function()
  core.manual_seed(1)
  local net = tlua.models.resnet18 { classes = 4 }
  net:freeze "*"
  net:unfreeze "fc.*"
  net:train()
  local x = core.randn(2, 32, 32, 3)
  local before = net.bn1.running_mean:hash()
  local y = net(x)
  assert(not net:features(x):requires_grad(), "features want a gradient")
  y:sum():backward()
  t.equal(net.bn1.running_mean:hash(), before, "running_mean")
  t.equal(net.bn1.batches, 0)
  local names = {}
  for name in pairs(net:gradients()) do names[#names + 1] = name end
  table.sort(names)
  t.equal(table.concat(names, " "), "fc.bias fc.weight")
  -- the same as eval of a network that is not frozen
  local other = tlua.models.resnet18 { classes = 4 }
  other:load(net:state_dict())
  other:eval()
  assert(t.distance(net(x):detach(), other(x):detach()) < 1e-5)
end)

t.test('batchnorm = "train" uses the batch in frozen parts', function()
  core.manual_seed(1)
  local net = tlua.models.resnet18 { classes = 4 }
  net:freeze { "*", batchnorm = "train" }
  net:unfreeze "fc.*"
  net:train()
  local before = net.bn1.running_mean:hash()
  net(core.randn(2, 32, 32, 3))
  assert(net.bn1.running_mean:hash() ~= before, "the statistics did not follow")
  t.equal(net.bn1.batches, 1)
  t.equal(net:fixed_stages(), 0)
end)

t.test("keep_statistics: trained batch norms use their running statistics and leave them", function()
  core.manual_seed(1)
  local net = tlua.models.resnet18 { classes = 4 }
  local x = core.randn(2, 32, 32, 3)
  local still = net:eval()(x):detach()
  net:train():keep_statistics()
  local before, y = net.bn1.running_mean:hash(), net(x)
  assert(t.distance(still, y:detach()) < 1e-5, t.distance(still, y:detach()))
  tlua.nn.functional.cross_entropy(y, core.tensor({ 0, 1 }, { dtype = "int32" })):backward()
  assert(net.bn1.weight.grad and net.conv1.weight.grad, "no gradient")
  t.equal(net.bn1.running_mean:hash(), before)
  t.equal(net.bn1.batches, 0)
  t.equal(net.bn1:buffers_move(), false)
  net:keep_statistics(false)
  net(x)
  assert(net.bn1.running_mean:hash() ~= before, "the statistics did not follow again")
end)

t.test("folded and plain sequences agree, and changes are noticed", function()
  core.manual_seed(2)
  local net = tlua.models.efficientnet_lite0 { classes = 3 }
  local x = core.randn(2, 64, 64, 3)
  net:eval()
  local function both()
    local plain = net:features(x):detach()
    local guard <close> = core.no_grad()
    local y = net:features(x)
    return y, plain
  end
  local folded, plain = both()
  assert(t.distance(folded, plain) < 1e-4, t.distance(folded, plain))
  net._bn0.running_mean:fill_(0.5)
  local folded2, plain2 = both()
  assert(t.distance(folded2, plain2) < 1e-4)
  assert(t.distance(folded2, folded) > 1e-3, "new statistics were not noticed")
  local step = tlua.optim.SGD(net:parameters(), { lr = 0.01 })
  net:train()
  net(x):sum():backward()
  step:step()
  net:eval()
  local folded3, plain3 = both()
  assert(t.distance(folded3, plain3) < 1e-4, "an optimiser's step was not noticed")
end)

t.test("a head takes the width of the network, and is seeded by its name", function()
  core.manual_seed(3)
  local a = tlua.models.resnet18 {}
  a:set_head(nn.Linear(5))
  core.manual_seed(3)
  local b = tlua.models.resnet18 {}
  b:ready()
  b:set_head(nn.Linear(5))
  a:ready()
  b:ready()
  t.equal(a.fc.weight:hash(), b.fc.weight:hash())
  t.equal(a.fc.in_features, 512)
  a:set_head(nn.Sequential(nn.Linear(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3)))
  a:ready()
  t.equal(table.concat(a.fc["3"].weight:shape(), "x"), "3x16")
  t.equal(a.classes, 3)
  t.fails("the input has 512 features; write nn.Linear(2)", function() b:set_head(nn.Linear(2048, 2)) end)
end)

t.test("weights: all that matches, the head dropped, anything else an error", function()
  local path = folder .. "/r18.safetensors"
  local a = tlua.models.resnet18 { classes = 10 }
  a:save(path)
  local b = tlua.models.resnet18 { classes = 10, weights = path }
  b:ready()
  t.equal(b.weights_report.head_dropped, nil)
  t.equal(b.fc.weight:hash(), a.fc.weight:hash())
  local c = tlua.models.resnet18 { classes = 4 }
  local report = c:load(path)
  t.equal(report.head_dropped, "fc")
  t.equal(c.conv1.weight:hash(), a.conv1.weight:hash())
  t.equal(#report.missing + #report.unexpected + #report.wrong_shape, 0)
  local e = t.fails("does not fit: ", function() tlua.models.resnet34 {}:load(path) end)
  assert(e:find("missing: layer1.2.conv1.weight", 1, true) and e:find("in all"), e)
  assert(e:find("^tests/lua/models.lua:%d+: "), e)
  report = tlua.models.resnet34 {}:load(path, { strict = false })
  assert(#report.missing > 0 and report.loaded > 0)
  local state = a:state_dict()
  local wrapped = {}
  for name, v in pairs(state) do wrapped["module." .. name] = v end
  t.equal(#c:load(wrapped).unexpected, 0)
  state["conv1.weight"] = core.zeros(1, 2, 3)
  t.fails("wrong shape: conv1.weight (1, 2, 3) instead of (64, 3, 7, 7)", function() a:load(state) end)
end)

t.test("the first convolution takes other channels, as timm adapts it", function()
  core.manual_seed(6)
  local three = tlua.models.mobilenet_v2 { classes = 3 }
  three:eval()
  local state, x = three:state_dict(), core.randn(2, 32, 32, 3)
  local function loaded(n)
    local net = tlua.models.mobilenet_v2 { classes = 3, in_channels = n }
    local report = net:load(state)
    t.equal(#report.wrong_shape, 0)
    net:eval()
    return net
  end
  local grey = core.ops.slice(x, 4, 0, 1)
  assert(t.distance(loaded(1)(grey), three(core.ops.concat(grey, grey, grey, { axis = 4 }))) < 1e-4)
  assert(t.distance(loaded(6)(core.ops.concat(x, x, { axis = 4 })), three(x)) < 1e-4)
  local w = state["features.0.0.weight"]
  local w4 = core.ops.concat(w, core.ops.slice(w, 2, 0, 1), { axis = 2 }) * 0.75
  assert(t.distance(loaded(4):state_dict()["features.0.0.weight"], w4) < 1e-6)
  t.fails("wrong shape: conv1.weight (64, 4, 7, 7) instead of (64, 3, 7, 7)", function()
    tlua.models.resnet18 { in_channels = 3 }:load(tlua.models.resnet18 { in_channels = 4 }:state_dict(), { strict = true })
  end)
  t.fails("in_channels", function() tlua.models.resnet18 { in_channels = 0 } end)
  local p = tlua.models.resnet18 { in_channels = 1 }:preprocessing()
  t.equal(("%d %d %.4f %.4f"):format(p.channels, #p.mean, p.mean[1], p.std[1]), "1 1 0.4490 0.2260")
end)

t.test("kernels of pictures become those of volumes", function()
  core.manual_seed(9)
  local of_pictures = tlua.models.resnet18 { classes = 4 }
  of_pictures:eval()
  local flat = of_pictures:state_dict()
  for _, rule in ipairs { "repeat", "centre" } do
    local net = tlua.models.resnet18_3d { classes = 4, in_channels = 3, inflate = rule }
    local report = net:load(flat, { strict = true })
    t.equal(#report.missing + #report.unexpected, 0)
    local deep = net:state_dict()
    for name, of in pairs { ["stem.0.weight"] = "conv1.weight", ["layer1.1.conv2.0.weight"] = "layer1.1.conv2.weight",
      ["layer3.0.conv1.0.weight"] = "layer3.0.conv1.weight",
      ["layer2.0.downsample.0.weight"] = "layer2.0.downsample.0.weight" } do
      local w, f = deep[name], flat[of]
      local depth, s = w:shape()[3], f:shape()
      for k = 1, depth do
        local slice = core.ops.slice(w, 3, k - 1, 1):reshape(table.unpack(s))
        local share = rule == "repeat" and 1 / depth or k == depth // 2 + 1 and 1 or 0
        assert(t.distance(slice, f * share) < 1e-7, name)
      end
    end
    for name, of in pairs { ["stem.1.running_var"] = "bn1.running_var", ["layer4.1.conv2.1.bias"] = "layer4.1.bn2.bias",
      ["layer4.0.downsample.1.weight"] = "layer4.0.downsample.1.weight", ["fc.bias"] = "fc.bias" } do
      t.equal(t.distance(deep[name], flat[of]), 0)
    end
    -- A volume of equal slices is to the inner slices what the slice is to the network of pictures.
    local picture = core.randn(1, 16, 16, 3)
    local slice = picture:reshape(1, 1, 16, 16, 3)
    local two = core.ops.conv(picture, flat["conv1.weight"], { stride = { 2, 2 }, padding = { 3, 3 } })
    local three = net:find("stem.0")(core.ops.concat(slice, slice, slice, { axis = 2 }))
    assert(t.distance(core.ops.slice(three, 2, 1, 1):reshape(1, 8, 8, 64), two) < 1e-5)
  end
  -- One channel gets the sum of three; a file says what became of it, and a rule that finds nothing to do is refused.
  local grey = tlua.models.resnet18_3d { classes = 4 }
  grey:load(flat)
  local sum = flat["conv1.weight"]:sum { axes = { 2 }, keep = true }
  assert(t.distance(grey:state_dict()["stem.0.weight"]:sum { axes = { 3 } }:reshape(64, 1, 7, 7), sum) < 1e-6)
  core.save(folder .. "/flat.safetensors", flat)
  core.save(folder .. "/deep.safetensors", grey:state_dict())
  tlua.models.resnet18_3d { classes = 4, inflate = "centre", weights = folder .. "/flat.safetensors" }:state_dict()
  t.fails("inflate = 'centre' is for weights of pictures", function()
    tlua.models.resnet18_3d { classes = 4, inflate = "centre", weights = folder .. "/deep.safetensors" }:state_dict()
  end)
  t.fails("wrong shape", function()
    tlua.models.unet3d { levels = 2, width = 8 }:load { ["encoder.stem.convs.0.conv.weight"] = core.zeros(8, 1, 3, 3) }
  end)
end)

t.test("a head below others keeps its place in files", function()
  local net = tlua.models.mobilenet_v2 {}
  net:set_head(nn.Linear(5))
  local state = net:state_dict()
  t.equal(table.concat(state["classifier.1.weight"]:shape(), "x"), "5x1280")
  t.equal(net:head().in_features, 1280)
  t.equal(tlua.models.mobilenet_v2 { classes = 7 }:load(state).head_dropped, "classifier.1")
end)

t.test("SqueezeNet: a convolution as head sees places, a linear one their mean", function()
  core.manual_seed(8)
  local net, x = tlua.models.squeezenet1_1 { classes = 4 }, core.randn(2, 64, 64, 3)
  net:eval()
  t.equal(table.concat(net(x):shape(), "x"), "2x4")
  local places = net:features(x)
  t.equal(places:rank(), 4)
  net:set_head(nn.Linear(6))
  net:ready()
  net:eval()
  assert(t.distance(net:features(x), places:mean { axes = { 2, 3 } }) < 1e-6)
  t.equal(table.concat(net(x):shape(), "x"), "2x6")
  net:set_head(nn.Conv2d(512, 3, 1))
  net:ready()
  t.equal(table.concat(net(x):shape(), "x"), "2x3")
end)

t.test("DenseNet reads the names of its published file", function()
  local net = tlua.models.densenet121 { classes = 3 }
  local old = {}
  for name, v in pairs(net:state_dict()) do old[name:gsub("(denselayer%d+%.%a+)([12]%.)", "%1.%2")] = v end
  assert(old["features.denseblock2.denselayer3.norm.2.running_mean"])
  local other = tlua.models.densenet121 { classes = 3 }
  other:load(old)
  t.equal(other:find("features.denseblock2.denselayer3.conv2").weight:hash(), net:find("features.denseblock2.denselayer3.conv2").weight:hash())
end)

t.test("ViT: places of other sizes are interpolated as timm does, other pictures refused", function()
  local values = { -5 }
  for i = 0, 13 do
    for j = 0, 13 do values[#values + 1] = (i * 7 + j * j * 3) % 11 end
  end
  local published = core.tensor(values):reshape { 1, 197, 1 }
  -- timm.layers.resample_abs_pos_embed
  for n, want in pairs { [6] = "-5.0000 5.0664 3.9632 5.1834 4.2567 5.5330 5.7869", [20] = "-5.0000 -0.6057 1.3031 0.4549 5.7139 10.5071 3.6366" } do
    local net = tlua.models.deit_tiny_patch16_224 { image_size = 16 * n }
    local got, list = net:adapted("pos_embed", published, { 1, n * n + 1, 1 }):reshape(-1):tolist(), {}
    for i, k in ipairs { 0, 1, 2, n, n + 2, n * n // 2, n * n } do list[i] = ("%.4f"):format(got[k + 1]) end
    t.equal(table.concat(list, " "), want)
  end
  local net = tlua.models.deit_tiny_patch16_224 { classes = 3, image_size = 64 }
  t.equal(net:preprocessing().size, 64)
  t.fails("pictures of 64 x 64 are needed, not 32 x 32; say image_size = 32", function() net(core.randn(1, 32, 32, 3)) end)
  t.fails("image_size must be a multiple of 16, not 65", function() tlua.models.deit_tiny_patch16_224 { image_size = 65 } end)
  net:freeze "*"
  t.equal(net:fixed_stages(), 14)
  net:unfreeze "cls_token"
  t.equal(net:fixed_stages(), 0)
end)

t.test("blocks are left out at random while they are trained, and only then", function()
  core.manual_seed(9)
  local x = core.randn(2, 32, 32, 3)
  for name, size in pairs { efficientnet_b0 = 32, convnext_tiny = 32, deit_tiny_patch16_224 = 32 } do
    local net = tlua.models[name] { classes = 3, dropout = 0, drop_connect = 0.5, image_size = name:find "deit" and size or nil }
    for key, v in net:parameters() do if key:find "layer_scale$" then v:fill_(0.5) end end
    net:eval()
    assert(t.distance(net(x):detach(), net(x):detach()) == 0, name)
    net:train()
    assert(t.distance(net(x):detach(), net(x):detach()) > 1e-4, name)
    net:freeze "*"
    assert(t.distance(net(x):detach(), net(x):detach()) == 0, name)
  end
end)

t.test("weights that are not at hand say what to do", function()
  local net = tlua.models.efficientnet_lite1 { weights = "imagenet" }
  t.fails("has no published weights named 'imagenet'", function() net:ready() end)
  t.fails("unknown weights of resnet50: 'imagnet'; did you mean 'imagenet'?", function() tlua.models.resnet50 { weights = "imagnet" }:ready() end)
  t.fails("there is no file no/such.pth", function() tlua.models.resnet50 { weights = "no/such.pth" }:ready() end)
end)

t.test("state dicts have PyTorch's layouts and come back", function()
  core.manual_seed(5)
  local net = tlua.models.efficientnet_lite0 { classes = 3 }
  local state = net:state_dict()
  t.equal(table.concat(state["_conv_stem.weight"]:shape(), "x"), "32x3x3x3")
  t.equal(table.concat(state["_blocks.1._depthwise_conv.weight"]:shape(), "x"), "96x1x3x3")
  t.equal(state["_bn0.num_batches_tracked"]:item(), 0)
  local path = folder .. "/lite0.safetensors"
  net:save(path)
  local back = tlua.load(path)
  for name, v in pairs(state) do
    if core.is_tensor(v) then t.equal(back[name]:hash(), v:hash(), name) end
  end
end)

t.test("residual networks of another width", function()
  -- A convolution has as many kernels for each of its channels, so that all but the first and the head shrink by the square.
  local function count(w) return 3 * 49 * w + 2 * w + (4 * 9 + 9 * (2 + 3 * 4 + 8 + 3 * 16 + 32 + 3 * 64) + 2 + 8 + 32) * w ^ 2 end
  local function norms(w) return 2 * w * (4 + 5 * 2 + 5 * 4 + 5 * 8) end
  for _, w in ipairs { 8, 64 } do
    t.equal(tlua.models.resnet18 { width = w, classes = 10 }:count(), count(w) + norms(w) + 10 * (8 * w + 1), w)
  end
  local path = folder .. "/narrow.safetensors"
  local net = tlua.models.resnet18 { width = 8, classes = 4 }
  net:save(path)
  t.equal(tlua.models.resnet18 { width = 8, classes = 4, weights = path }:ready().fc.weight:hash(), net.fc.weight:hash())
  t.fails("the published weights 'imagenet' are of width 64, not 8", tlua.models.resnet18, { width = 8, weights = "imagenet" })
  t.fails("width must be from 1 to 4096, not 0", tlua.models.resnet18, { width = 0 })
  -- In a recipe the width stays with the family, and one that was not named says nothing to another.
  local r = tlua.recipe { model = net, data = tlua.data.cifar10 {}, schedule = { epochs = 1 } }
  t.equal(r:override({ { "model", "resnet34" } }).model.network_options.width, 8)
  r = tlua.recipe { model = tlua.models.resnet18 {}, data = tlua.data.cifar10 {}, schedule = { epochs = 1 } }
  t.equal(r:override({ { "model", "mel_cnn" } }).model.network_options.width, 96)
end)

t.finish()
