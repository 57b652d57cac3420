-- speech_new_language.lua - an acoustic network that knows other languages learns to write down a new one from minutes of recordings: its
-- last layer first, then all of it, lower layers at much lower rates.
--   tlua recipes/speech_new_language.lua --data.path data/speech_uk/transcripts.tsv --data.root data/speech_uk/wav
--   tlua predict runs/speech_new_language-... recording.mp3
-- The data: Ukrainian telephone prompts of one speaker, github.com/vladonv/asterisk-core-sounds-uk (CC BY-SA 4.0), as a table with the columns
-- file, split and text. The weights: the Conformer of PyPI's hama 1.7.0 (Apache-2.0); tools/hama_conformer.py lays them out.
local tlua = require "tlua"
local models, data, optim, task = tlua.models, tlua.data, tlua.optim, tlua.task

return tlua.recipe {
  model    = models.conformer { weights = "data/weights/hama_conformer_ctc.safetensors", dropout = 0.1 },
  data     = data.speech { path = "data/speech_uk/transcripts.tsv", root = "data/speech_uk/wav", part = "split", batch = "16 s", longest = 14 },
  task     = task.ctc {},
  augment  = { speed = 0.1, freq_masks = 2, freq_width = 15, time_masks = 2, time_share = 0.1 },
  optim    = optim.AdamW { lr = 3e-3, weight_decay = 1e-2 },
  schedule = { { epochs = 10, freeze = "*", rate = "constant" }, { epochs = 30, layer_decay = 0.3, warmup = 3, rate = "cosine" } },
  clip     = 5,
}
