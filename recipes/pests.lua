-- pests.lua - fifteen pests of crops, each in its box: YOLOX-Nano as COCO taught it learns them from field pictures.
--
--   tlua recipes/pests.lua
--   tlua show recipes/pests.lua                           what the network is fed, mosaics too, with its boxes
--   tlua predict runs/pests-... FIELD.jpg --to found      pictures with boxes, and labels to correct
--   tlua compare recipes/pests.lua                        from COCO, from scratch, the head alone
--
-- The pictures: github.com/omkar614/Pest_Detection_yolov8 (CC BY 4.0; 1,157 pictures with labels in YOLO's form) as
-- data/pests15, its images and labels in the folders train and test. Not every insect on them is labelled.
-- The weights: github.com/Megvii-BaseDetection/YOLOX, release 0.1.1rc0, yolox_nano.onnx (Apache-2.0) as
-- data/yolox_nano.onnx; SHA-256 e8af074932d4ed7e..., or yolox_nano.pth of the same release.
local tlua = require "tlua"
local models, data, task, optim = tlua.models, tlua.data, tlua.task, tlua.optim

return tlua.recipe {
  model    = models.yolox_nano { weights = "data/yolox_nano.onnx" },
  data     = data.yolo { root = "data/pests15", size = 416, batch = 8, mosaic = 0.5, close_mosaic = 5 },
  augment  = { flip = true, hsv = { 5, 30, 30 } },
  task     = task.detect { choose = true },
  optim    = optim.SGD { lr = 1e-2, momentum = 0.9, nesterov = true, weight_decay = 5e-4 },
  schedule = { epochs = 30, warmup = 1, rate = "cosine", final = 0.05 },
  ema      = 0.998, ema_ramp = 200,
}
