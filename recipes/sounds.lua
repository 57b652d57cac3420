-- sounds.lua - which drum is it: a small network on mel spectrograms learns it from the names of files, and is tested on kits it never heard.
--   tlua recipes/sounds.lua
-- The data: the drum kits of Debian's package hydrogen-drumkits. With a folder of sounds for each class, `label` is not needed.
local tlua = require "tlua"

local WORDS = { kick = { "kick", "_bd", "bassdrum" }, snare = { "snare", "_sd" }, hat = { "hat", "hh" }, tom = { "tom" },
  cymbal = { "crash", "ride", "cymb", "splash", "china" } }

-- The class whose words stand in the name of a file; nil where none does, or those of two classes.
local function drum(path)
  local name, found = path:match("[^/]*$"):lower(), nil
  for class, words in pairs(WORDS) do
    for _, word in ipairs(words) do
      if name:find(word, 1, true) and found ~= class then
        if found then return nil end
        found = class
      end
    end
  end
  return found
end

return tlua.recipe {
  model    = tlua.models.mel_cnn { rate = 22050, n_fft = 512, hop = 220, dropout = 0.3 },
  data     = tlua.data.sounds { root = "/usr/share/hydrogen/data/drumkits", label = drum, group = "^([^/]+)/", split = 0.3, batch = 32, seconds = 1 },
  augment  = { gain = 6, speed = 0.1, freq_masks = 1, freq_width = 8 },
  optim    = tlua.optim.AdamW { lr = 2e-3 },
  schedule = { epochs = 30, warmup = 1, rate = "cosine" },
}
