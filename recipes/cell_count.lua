-- How many red cells are in a picture of blood: a number instead of a class, from EfficientNet-Lite0's features.
-- tools/cell_counts.lua makes the CSV out of BCCD (364 smears, https://github.com/Shenggan/BCCD_Dataset), whose own parts are kept.
--
--   tlua tools/cell_counts.lua data/BCCD
--   tlua recipes/cell_count.lua
--   tlua recipes/cell_count.lua --data.target RBC,WBC,Platelets
--   tlua predict runs/cell_count-20260101-1 data/BCCD/JPEGImages
--
-- The mean of the training pictures is where the head begins; what always saying that mean would give is the figure to beat.
local tlua = require "tlua"
local data, optim, task = tlua.data, tlua.optim, tlua.task

return tlua.recipe {
  model    = tlua.models.efficientnet_lite0 { weights = "imagenet" },
  freeze   = "*",
  data     = data.csv { path = "data/BCCD/counts.csv", image = "file", target = "RBC", part = "part", fit = "stretch", batch = 32 },
  task     = task.regress {},
  optim    = optim.Adam { lr = 3e-3 },
  schedule = { epochs = 60, rate = "cosine" },
  keep     = "best",
}
