-- unet.lua - U-Nets over the networks of the registry: names, sizes, frozen encoders, weights, what is refused. Run by
-- `tlua tests/lua/unet.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local unet, nn = tlua.models.unet, tlua.nn
local folder = t.folder()

-- ---- what it is made of ----

for _, encoder in ipairs { "resnet50", "mobilenet_v2", "vgg16", "vgg16_bn" } do
  t.test("names and shapes over " .. encoder .. " are segmentation_models_pytorch's", function()
    local want, count, order = {}, 0, {}
    for line in io.lines("tests/golden/names/unet_" .. encoder .. ".txt") do
      local key, shape = line:match "^(%S+) (%S*)$"
      want[key] = shape
      if not key:find "num_batches_tracked" then order[#order + 1] = key end
    end
    for _, each in ipairs(unet { encoder = encoder }:specs()) do
      count = count + 1
      t.equal(table.concat(each.spec.shape, "x"), want[each.path], each.path)
      t.equal(each.path, order[count])
    end
    t.equal(count, #order)
  end)
end

t.test("over every network that makes maps a picture comes back at its size", function()
  local some = 0
  for _, name in ipairs(tlua.models.names()) do
    local ok, net = pcall(unet, { encoder = name, classes = 3 })
    if ok then
      some = some + 1
      net:eval()
      local shape = net:cost { 1, 96, 64, 3 }
      t.equal(table.concat(shape, " "), "1 96 64 3", name)
      plan.memory(function() -- nothing is computed: shapes alone
        local guard <close> = core.no_grad()
        t.equal(table.concat(net(core.zeros(1, 96, 64, 3)):shape(), " "), "1 96 64 3", name)
      end)
    end
  end
  t.equal(some, 22)
end)

-- ---- frozen encoders ----

t.test("a frozen encoder runs as a plan and is not recorded", function()
  core.manual_seed(3)
  local net = unet { encoder = "resnet18", classes = 3 }
  net:freeze "encoder.*"
  net:train()
  t.equal(net:fixed_stages(), 6)
  local x, before = core.randn(2, 64, 64, 3), nil
  net:ready()
  before = net.encoder.bn1.running_mean:hash()
  local maps = net:below(x, 6)
  t.equal(#maps, 5) -- four that the decoder wants, and the smallest
  t.equal(table.concat(maps[1]:shape(), " "), "2 32 32 64")
  assert(plan.of(net, "below 6"), "there is no plan")
  plan.off = true
  local plain = net:below(x, 6)
  plan.off = false
  for i, y in ipairs(maps) do assert((y - plain[i]):abs():amax():item() < 1e-3, "map " .. i) end
  net(x):square():mean():backward()
  local gradients = net:gradients()
  assert(gradients["decoder.blocks.0.conv1.0.weight"] and not gradients["encoder.conv1.weight"])
  t.equal(net.encoder.bn1.running_mean:hash(), before)
  local decoder = net.decoder.blocks:at(1).conv1:find "1"
  assert(decoder.batches > 0, "the decoder's norms do not learn")
end)

t.test("in inference all of it is one plan, with the same values", function()
  local net = unet { encoder = "mobilenet_v3_small", classes = 2 }
  net:eval()
  local guard <close> = core.no_grad()
  local x = core.randn(1, 64, 32, 3)
  local y = net(x)
  plan.off = true
  local z = net(x)
  plan.off = false
  assert((y - z):abs():amax():item() < 1e-3)
end)

-- ---- weights ----

t.test("weights are the encoder's, or those of a whole U-Net", function()
  core.manual_seed(5)
  local resnet = tlua.models.resnet18 { classes = 7 }
  resnet:save(folder .. "/resnet.safetensors")
  local net = unet { encoder = "resnet18", weights = folder .. "/resnet.safetensors", classes = 2 }
  t.equal(net.encoder.layer3:find "0".conv1.weight:hash(), resnet.layer3:find "0".conv1.weight:hash())
  t.equal(net.encoder.bn1.running_var:hash(), resnet.bn1.running_var:hash())
  assert(not net.encoder:find "fc")
  core.manual_seed(6)
  net:save(folder .. "/unet.safetensors")
  local again = unet { encoder = "resnet18", weights = folder .. "/unet.safetensors", classes = 2 }
  for name, tensor in again:named_tensors() do t.equal(tensor:hash(), net:state_dict()[name]:hash(), name) end
  local other = unet { encoder = "resnet18", weights = folder .. "/unet.safetensors", classes = 5 }
  t.equal(other.decoder.blocks:at(5).conv2:find "0".weight:hash(),
    net.decoder.blocks:at(5).conv2:find "0".weight:hash())
  t.fails("efficientnet_lite0: " .. folder .. "/resnet.safetensors does not fit", function()
    unet { encoder = "efficientnet_lite0", weights = folder .. "/resnet.safetensors" }:ready()
  end)
end)

t.test("an encoder may be a network that is described", function()
  local net = unet { encoder = tlua.models.efficientnet_lite0 { drop_connect = 0.1, in_channels = 1 }, classes = 4 }
  t.equal(net.network_options.encoder, "efficientnet_lite0")
  t.equal(net.network_options.drop_connect, 0.1)
  t.equal(net:specs()[1].spec.shape[2], 1)
  t.equal(net:label(), "unet of efficientnet_lite0")
  local p = unet { encoder = "efficientnet_lite1" }:preprocessing()
  t.equal(p.size, 256) -- the next size that can be halved five times
  t.equal(p.fit, "stretch")
  t.equal(p.mean[1], 127 / 255)
end)

t.test("what cannot be is refused", function()
  t.fails("vit_small_patch16_224 cannot be an encoder: it has no map of 1/4 of the picture's side", unet,
    { encoder = "vit_small_patch16_224" })
  t.fails("squeezenet1_1 cannot be an encoder: its maps are no halves", unet, { encoder = "squeezenet1_1" })
  t.fails("unknown model 'resnet19'; did you mean 'resnet18'?", unet, { encoder = "resnet19" })
  t.fails("a U-Net is no encoder", unet, { encoder = "unet" })
  t.fails("encoder must be a name or a network of the registry", unet, { encoder = nn.Linear(2, 3) })
  local built = tlua.models.resnet18 {}
  built:ready()
  t.fails("has its values already", unet, { encoder = built })
  local net = unet { encoder = "resnet18" }
  t.fails("multiples of 32, not 100 x 64: --data.size 96", net, core.zeros(1, 100, 64, 3))
  t.fails("unknown option of models.unet: 'encodr'; did you mean 'encoder'?", unet, { encodr = "resnet18" })
end)

t.finish()
