-- speakers.lua - whose voice it is: a pretrained speaker embedding, of which only a linear map is trained, on ten clips
-- of each speaker.
--   tlua recipes/speakers.lua --data.root data/fsdd
--   tlua verify runs/speakers-... --known people/ door.wav
-- The data: github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0). The weights: the LSTM of PyPI's resemblyzer
-- 0.1.4 (Apache-2.0); tools/wheel_files.py gets them out of the wheel.
local tlua = require "tlua"

return tlua.recipe {
  model    = tlua.models.speaker_lstm { weights = "data/weights/pretrained.pt" },
  freeze   = "*",
  data     = tlua.data.sounds { root = "data/fsdd", label = "_(%a+)_", per_class = 10, batch = 60 },
  task     = tlua.task.verify { enroll = 3 },
  optim    = tlua.optim.Adam { lr = 1e-3 },
  schedule = { epochs = 30 },
  test_every = 10,
}
