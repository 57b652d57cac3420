-- Findings on chest X-rays: pneumonia, and pneumonia of covid19, each there or not, from EfficientNet-Lite0's features.
-- tools/xray_csv.lua makes the CSV; pictures of one patient stay in one part, since 22 patients lie in both folders.
--
--   tlua tools/xray_csv.lua data/chest_xray
--   tlua recipes/xray_multilabel.lua
--   tlua recipes/xray_multilabel.lua --freeze '*,!_conv_head.*,!_bn1.*' --optim.lr 3e-4
--   tlua predict runs/xray_multilabel-20260101-1 data/chest_xray/normal --csv
--
-- The covid19 pictures come from another source than the others (clippings of publications, with letters and frames), which a network
-- may learn in place of the disease: a high figure for covid19 says little of other hospitals' pictures.
local tlua = require "tlua"
local data, optim, task = tlua.data, tlua.optim, tlua.task

return tlua.recipe {
  model    = tlua.models.efficientnet_lite0 { weights = "imagenet" },
  freeze   = "*",
  data     = data.csv { path = "data/chest_xray/findings.csv", image = "file", target = { "pneumonia", "covid19" }, group = "patient",
    split_seed = 0, batch = 32 },
  task     = task.multilabel {},
  optim    = optim.Adam { lr = 1e-3 },
  schedule = { epochs = 20, rate = "cosine" },
}
