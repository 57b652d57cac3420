-- mri_tumor.lua - a tumour or none on slices of head MRI: a new head on EfficientNet-Lite0 as photographs taught it.
--
--   tlua recipes/mri_tumor.lua                            no and yes in data/brain_tumor, a folder each
--   tlua predict runs/mri_tumor-... FOLDER --csv
--
-- The pictures: github.com/MohamedAliHabib/Brain-Tumor-Detection, the 253 of the best-known set of such slices. The
-- weights: EfficientNet-Lite0's, fetched by hand (docs/recipes.md). Nothing tells whose a slice is, so slices of one
-- patient may lie on both sides of the split, and figures are better than they would be of other patients.
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model    = tlua.models.efficientnet_lite0 { weights = "imagenet" },
  freeze   = "*",
  data     = data.folder { root = "data/brain_tumor", classes = { "no", "yes" }, fit = "stretch", split = 0.3,
    validation = 0.2, split_seed = 0, batch = 32 },
  task     = tlua.task.classify { positive = "yes" },
  loss     = nn.CrossEntropy { weight = "auto" },
  optim    = optim.Adam { lr = 1e-3 },
  schedule = { epochs = 60, rate = "cosine" },
}
