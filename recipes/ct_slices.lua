-- ct_slices.lua - a finding on slices of head CT as they come from the scanner: three windows of Hounsfield units, of
-- the brain, of blood at its rim and of bone, are the three colours that EfficientNet-Lite0 knows from photographs.
--
--   tlua recipes/ct_slices.lua --data.root scans --data.labels findings.csv --data.target bleeding
--   tlua show recipes/ct_slices.lua --data.root scans ... --to fed.png    what the network is fed
--   tlua predict runs/ct_slices-... NEW-SERIES --csv                      a line a slice
--
-- The data are your own: a folder of DICOM files in any order and depth, and a table with a line for each slice, its
-- file and 0 or 1 (--data.by series or patient where a line is about all of these). All slices of a patient stay in one
-- part.
-- The weights: EfficientNet-Lite0's, fetched by hand (docs/recipes.md). Other parts of the body want other windows,
-- --data.windows lung,soft,bone; with --data.neighbours 1 --data.windows brain the slices before and behind are the
-- colours instead. Nothing here is checked for use on patients.
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model     = tlua.models.efficientnet_lite0 { weights = "imagenet" },
  data      = data.dicom { root = "data/ct", labels = "data/ct_findings.csv", by = "file", target = "bleeding",
    modality = "CT", windows = { "brain", { 80, 200 }, "bone" }, validation = 0.15, split_seed = 0, batch = 32 },
  augment   = { rotate = 10, translate = 0.05, scale = { 0.9, 1.1 }, filter = "bilinear" },
  loss      = nn.CrossEntropy { weight = "auto" },         -- slices with a finding are few
  optim     = optim.Adam { lr = 1e-3 },
  cache     = { views = 4 },
  batchnorm = "eval",
  schedule  = {
    { epochs = 5, freeze = "*", rate = "cosine" },             -- the head
    { epochs = 8, train = { "_blocks.1[0-5].*", "_conv_head.*", "_bn1.*" }, lr = 1e-4, warmup = 1, rate = "cosine" },
  },
}
