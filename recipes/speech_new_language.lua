-- speech_new_language.lua - an acoustic network that knows other languages learns to write down a new one from minutes
-- of recordings: its
-- last layer first, then all of it, lower layers at much lower rates.
--   tlua recipes/speech_new_language.lua --data.path data/speech_uk/transcripts.tsv --data.root data/speech_uk/wav
--   tlua predict runs/speech_new_language-... recording.mp3
--   tlua compare recipes/speech_new_language.lua       # with 1, 3 and all minutes: from scratch, frozen, fine-tuned
-- The data: Ukrainian telephone prompts of one speaker, github.com/vladonv/asterisk-core-sounds-uk (CC BY-SA 4.0), as a
-- table with the columns
-- file, split and text. The weights: the Conformer of PyPI's hama 1.7.0 (Apache-2.0); tools/hama_conformer.py lays them
-- out.
local tlua = require "tlua"
local models, data, optim, task = tlua.models, tlua.data, tlua.optim, tlua.task

return tlua.recipe {
  model    = models.conformer { weights = "data/weights/hama_conformer_ctc.safetensors", dropout = 0.1 },
  data     = data.speech { path = "data/speech_uk/transcripts.tsv", root = "data/speech_uk/wav", part = "split",
    batch = "16 s", longest = 14 },
  task     = task.ctc {},
  augment  = { speed = 0.1, freq_masks = 2, freq_width = 15, time_masks = 2, time_share = 0.1 },
  optim    = optim.AdamW { lr = 1e-2, weight_decay = 1e-2 },
  schedule = { { epochs = 4, freeze = "*" }, { epochs = 14, layer_decay = 0.3, warmup = 1.5, rate = "cosine" } },
  clip     = 5,
  compare  = { minutes = { 1, 3, "all" }, ways = {
    { name = "scratch", why = "all weights are drawn at random", weights = "none", optim = optim.AdamW { lr = 2e-3 },
      schedule = { epochs = 20, least_steps = 300, warmup = 2, rate = "cosine" } },
    { name = "frozen", why = "only the last layer is trained", freeze = "*", optim = optim.AdamW { lr = 1e-2 },
      schedule = { epochs = 12, least_steps = 200, rate = "cosine" } },
    { name = "tuned", why = "the last layer first, then everything, lower layers at lower rates",
      optim = optim.AdamW { lr = 1e-2, weight_decay = 1e-2 },
      schedule = { { epochs = 4, least_steps = 60, freeze = "*" }, { epochs = 14, least_steps = 200, layer_decay = 0.3,
        warmup = 1.5, rate = "cosine" } } } } },
}
