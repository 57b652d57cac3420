-- CIFAR-10, fine-tuned: the last block of a ResNet-50 at a small rate, then the whole network, the lower the slower.
--
-- First everything below `layer4` stays as ImageNet taught it and runs in inference mode; the last block and the new head adapt.
-- The rate is small so that what the block knows is bent, not lost. Then all layers move, the first ones at a tenth of the head's
-- rate: edges and colours are the same on any picture, what is made of them is not. A stage of no epochs is left out:
--
--   tlua recipes/cifar_ft.lua --data.root ~/data/cifar10
--   tlua recipes/cifar_ft.lua --schedule.epochs 0                      the last block alone
--   tlua recipes/cifar_ft.lua --model efficientnet_lite0 --schedule.1.freeze '*,!_blocks.1[0-5].*,!_conv_head.*,!_bn1.*'
--   tlua recipes/cifar_ft.lua --resume runs/cifar_ft-20260101-1        after Ctrl-C, or whatever happened
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model    = tlua.models.resnet50 { weights = "imagenet" },
  head     = nn.Linear(10),
  data     = data.cifar10 { root = "data/cifar10", size = 224, batch = 64, augment = "flip" },
  loss     = nn.CrossEntropy {},
  optim    = optim.Adam { lr = 1e-4 },
  schedule = {
    { epochs = 3, freeze = { "*", "!layer4.*" } },                     -- all but the last block
    { epochs = 2, train = "*", lr = 5e-5, lowest = 0.1, rate = "cosine", warmup = 0.2 },
  },
}
