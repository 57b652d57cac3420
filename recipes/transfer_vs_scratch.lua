-- What is transfer learning worth? The same network and the same pictures, trained three ways, with 10, 30, 100 and all pictures
-- of each class, three times each.
--
--   tlua compare recipes/transfer_vs_scratch.lua --weights efficientnet-lite0-57934424.pth --compare.limit 2000
--   tlua compare recipes/transfer_vs_scratch.lua --data folder --data.root chest_xray --data.size 64 --data.group '(%d+)_%d+' --compare.seeds 0,1,2,3,4
--
-- It may be stopped and called again: what is finished is not computed twice. Each way has the rate and the number of steps that suit
-- it; least_steps makes more epochs where pictures are few.
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model = tlua.models.efficientnet_lite0 { weights = "imagenet" },
  data  = data.fashion_mnist { size = 64, batch = 32, test_limit = 1000 },
  loss  = nn.CrossEntropy {},
  compare = {
    per_class = { 10, 30, 100, "all" },
    seeds     = { 0, 1, 2 },                           -- each draws other pictures, the same for all ways
    ways = {
      -- Random weights have far to go: the largest rate, and more steps than both others. The statistics of batch norms must keep up with
      -- them: this network's own momentum of 0.01 was made for long training.
      { name = "scratch", why = "all weights are drawn at random: the most epochs, the largest rate", weights = "none", batchnorm = 0.1,
        optim = optim.AdamW { lr = 2e-3 }, schedule = { epochs = 12, least_steps = 400, rate = "one_cycle" } },
      -- A head on fixed features is a small problem; an epoch reads the features from the cache and costs next to nothing.
      { name = "frozen", why = "only the new head is trained, on features that are computed once", freeze = "*",
        optim = optim.AdamW { lr = 3e-3 }, schedule = { epochs = 10, least_steps = 300, rate = "cosine" } },
      -- The head alone first, so that its random weights do not shake what is below; then everything at half the rate, the first
      -- layers at a tenth of that. Few pictures make poor statistics: batch norms keep those that came with the weights.
      { name = "finetuned", why = "the head first, then everything at a small rate, the lower the smaller; batch norms keep their statistics",
        optim = optim.AdamW {}, batchnorm = "eval",
        schedule = {
          { epochs = 1, least_steps = 60, freeze = "*", lr = 2e-3, rate = "one_cycle", peak = 0.99 },
          { epochs = 4, least_steps = 160, train = "*", lr = 1e-3, lowest = 0.1, rate = "one_cycle", div = 5 },
        } },
    },
  },
}
