-- digits.lua - spoken digits by speakers that were never heard: a small network on mel spectrograms, from random
-- weights.
--   tlua recipes/digits.lua --data.root data/fsdd
-- The data: 3,000 recordings of six speakers, github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0), called
-- 7_theo_12.wav. A pretrained embedding instead: --model speaker_lstm --weights FILE --freeze '*' (recipes/speakers.lua
-- says where it comes from).
local tlua = require "tlua"

return tlua.recipe {
  model    = tlua.models.mel_cnn { rate = 8000, n_fft = 200, hop = 80, dropout = 0.3 },
  data     = tlua.data.sounds { root = "data/fsdd", label = "^(%d)_", group = "_(%a+)_",
    held_out = { "theo", "yweweler" }, batch = 32, seconds = 1 },
  augment  = { speed = 0.15, gain = 6, shift = 0.1, freq_masks = 1, freq_width = 8 },
  optim    = tlua.optim.AdamW { lr = 2e-3 },
  schedule = { epochs = 15, warmup = 1, rate = "cosine" },
}
