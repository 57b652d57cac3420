-- CIFAR-10 with the last block of a ResNet-50 trained too, at a small rate.
--
-- Fine-tuning: everything below `layer4` stays as ImageNet taught it and runs in inference mode; the last block and
-- the new head adapt. The rate is small so that what the block knows is bent, not lost.
--
--   tlua recipes/cifar_ft.lua --data.root ~/data/cifar10
--   tlua recipes/cifar_ft.lua --model efficientnet_lite0 --freeze '*,!_blocks.1[0-5].*,!_conv_head.*,!_bn1.*'
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model    = tlua.models.resnet50 { weights = "imagenet" },
  freeze   = { "*", "!layer4.*" },                       -- all but the last block
  head     = nn.Linear(10),
  data     = data.cifar10 { root = "data/cifar10", size = 224, batch = 64, augment = "flip" },
  loss     = nn.CrossEntropy {},
  optim    = optim.Adam { lr = 1e-4 },
  schedule = { epochs = 3 },
}
