-- Grey and white matter of a brain, pixel by pixel: a U-Net whose encoder, EfficientNet-Lite0, stays as ImageNet taught
-- it. tools/brain_slices.py cuts slices and masks out of the MNI152 template, a volume that a wheel of PyPI holds:
--
--   pip download --no-deps nilearn==0.14.1
--   python3 tools/brain_slices.py nilearn-0.14.1-py3-none-any.whl data/brain
--   tlua recipes/brain_segment.lua
--   tlua recipes/brain_segment.lua --freeze none                                      the encoder learns too
--   tlua recipes/brain_segment.lua --model.encoder resnet18 --weights none --freeze none
--   tlua predict runs/brain_segment-20260101-1 data/brain/test/images --to masks      masks and overlays
--
-- It is one brain, and neighbouring slices are alike, so the parts are slabs with gaps between them. Figures say how
-- well slices are learnt from others of the same head, and nothing of other people.
local tlua = require "tlua"
local nn, data, optim, task = tlua.nn, tlua.data, tlua.optim, tlua.task

return tlua.recipe {
  model     = tlua.models.unet { encoder = "efficientnet_lite0", weights = "imagenet" },
  freeze    = "encoder.*",
  data      = data.masks { root = "data/brain", size = 96, batch = 8 },
  task      = task.segment {},
  augment   = { flip = true },
  loss      = nn.CrossEntropy {} + nn.Dice {},
  optim     = optim.Adam { lr = 1e-3 },
  batchnorm = 0.1,                             -- the decoder's statistics follow within few steps
  schedule  = { epochs = 12, rate = "cosine" },
}
