-- cells.lua - red cells, white cells and platelets of blood smears, each in its box: YOLOX-Nano as COCO taught it
-- learns them from a few hundred pictures.
--
--   tlua recipes/cells.lua
--   tlua show recipes/cells.lua                           what the network is fed, with its boxes
--   tlua predict runs/cells-... SMEAR.jpg --to found      pictures with boxes, and labels to correct
--
-- The pictures: github.com/Shenggan/BCCD_Dataset (MIT), its folder BCCD as data/BCCD; its parts are those of ImageSets.
-- Some of its labels are none (boxes of no area or out of the picture), which the plan counts and leaves out.
-- The weights: github.com/Megvii-BaseDetection/YOLOX, release 0.1.1rc0, yolox_nano.onnx (Apache-2.0) as
-- data/yolox_nano.onnx; SHA-256 e8af074932d4ed7e..., or yolox_nano.pth of the same release.
local tlua = require "tlua"
local models, data, task, optim = tlua.models, tlua.data, tlua.task, tlua.optim

return tlua.recipe {
  model    = models.yolox_nano { weights = "data/yolox_nano.onnx" },
  data     = data.voc { root = "data/BCCD", size = 416, batch = 8, faults = "skip", mosaic = 0.5, close_mosaic = 5 },
  augment  = { flip = true, hsv = { 5, 30, 30 } },
  task     = task.detect { choose = true },
  optim    = optim.SGD { lr = 1e-2, momentum = 0.9, nesterov = true, weight_decay = 5e-4 },
  schedule = { epochs = 30, warmup = 1, rate = "cosine", final = 0.05 },
  ema      = 0.998, ema_ramp = 200,
}
