-- own_boxes.lua - a detector from pictures of one's own: a few dozen are a start (docs/detection.md goes through it).
--
--   1. Draw boxes with LabelImg (YOLO or Pascal VOC) or CVAT (export "YOLO 1.1", "COCO 1.0" or "Pascal VOC 1.1").
--   2. tlua show recipes/own_boxes.lua                    are the boxes where they should be?
--   3. tlua recipes/own_boxes.lua
--   4. tlua predict runs/own_boxes-... NEW --to found     more pictures: correct found/labels, the pictures first
--                                                         that stand first in found/label_next.csv
--
-- A fifth of the pictures is held out for testing, unless folders called train, val and test say which.
-- Other forms: data.voc { root = "data/boxes" } for an XML beside each picture or VOC's folders; for CVAT's COCO
-- data.coco { annotations = "data/boxes/annotations/instances_default.json", root = "data/boxes/images" }.
-- The weights: github.com/Megvii-BaseDetection/YOLOX, release 0.1.1rc0, yolox_nano.onnx (Apache-2.0) as
-- data/yolox_nano.onnx.
local tlua = require "tlua"
local models, data, task, optim = tlua.models, tlua.data, tlua.task, tlua.optim

return tlua.recipe {
  model    = models.yolox_nano { weights = "data/yolox_nano.onnx" },
  data     = data.yolo { root = "data/boxes", size = 416, batch = 8, mosaic = 0.5, close_mosaic = 10 },
  augment  = { flip = true, hsv = { 5, 30, 30 } },
  task     = task.detect {},
  optim    = optim.SGD { lr = 1e-2, momentum = 0.9, nesterov = true, weight_decay = 5e-4 },
  schedule = { epochs = 60, warmup = 1, rate = "cosine", final = 0.05 },
  ema      = 0.998, ema_ramp = 200,
}
