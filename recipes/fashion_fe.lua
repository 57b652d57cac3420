-- Fashion-MNIST with a frozen EfficientNet-Lite0: only a new head is trained.
--
-- A small network (4.6 million parameters) that has only seen photographs tells shirts from sneakers after a minute
-- of training on a processor. `make demo` runs this.
--
--   tlua recipes/fashion_fe.lua --weights efficientnet-lite0-57934424.pth
--   tlua recipes/fashion_fe.lua --data.limit 5000 --schedule.epochs 3
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model    = tlua.models.efficientnet_lite0 { weights = "imagenet" },
  freeze   = "*",                                        -- every parameter of the network keeps its value
  head     = nn.Linear(10),                              -- ten classes; the width comes from the network
  data     = data.fashion_mnist { batch = 64 },          -- grey pictures, repeated to three channels, stretched to 224
  loss     = nn.CrossEntropy {},
  optim    = optim.Adam { lr = 1e-3 },
  schedule = { epochs = 5 },
}
