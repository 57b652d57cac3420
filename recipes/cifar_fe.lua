-- CIFAR-10 with a frozen ResNet-50: only a new head is trained.
--
-- The ImageNet network turns each picture into 2,048 numbers; a single linear layer learns to tell the ten classes
-- apart by them. This is the classic feature extraction.
--
--   tlua recipes/cifar_fe.lua                                       downloads what is missing
--   tlua recipes/cifar_fe.lua --data.root ~/data/cifar10 --schedule.epochs 2
--   tlua recipes/cifar_fe.lua --model efficientnet_lite0 --data.limit 5000
--   tlua recipes/cifar_fe.lua --help                                all fields
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model    = tlua.models.resnet50 { weights = "imagenet" },
  freeze   = "*",                                        -- every parameter of the network keeps its value
  head     = nn.Linear(10),                              -- ten classes; the width comes from the network
  data     = data.cifar10 { root = "data/cifar10", size = 224, batch = 64 },
  loss     = nn.CrossEntropy {},
  optim    = optim.Adam { lr = 1e-3 },
  schedule = { epochs = 5 },
}
