-- sounds.lua - which drum is it: a small network on mel spectrograms learns it from the names of files, and is tested
-- on kits it never heard.
--   tlua recipes/sounds.lua
-- The data: the drum kits of Debian's package hydrogen-drumkits. With a folder of sounds for each class, `label` is not
-- needed.
local tlua = require "tlua"

-- Lua patterns in the names of the files, small letters; the first that is found counts.
local DRUMS = {
  { "hat", "hat", "^hh", "chh", "ohh", "^ho_" }, { "kick", "^bd", "_bd_", "kick", "bassdrum", "_k_0" },
  { "cymbal", "crash", "ride", "^rd", "^cc_", "^rc_", "^cra_", "china", "splash" },
    { "snare", "snare", "^sn%d*_", "^s[dr]_", "_sn_" },
  { "tom", "tom", "^tm", "^ft_", "^t[12]_" },
}

-- The class of a file; nil leaves it out.
local function drum(path)
  local name = path:match("[^/]*$"):lower()
  if name:find "stick" or name:find "rim" or name:find "click" then return nil end
  for _, list in ipairs(DRUMS) do
    for i = 2, #list do
      if name:find(list[i]) then return list[1] end
    end
  end
end

return tlua.recipe {
  model    = tlua.models.mel_cnn { rate = 22050, n_fft = 512, hop = 220, dropout = 0.3 },
  data     = tlua.data.sounds { root = "/usr/share/hydrogen/data/drumkits", label = drum, group = "^([^/]+)/",
    held_out = { "The Black Pearl 1.0", "ColomboAcousticDrumkit", "VariBreaks" }, batch = 32, seconds = 1.28,
      place = "start" },
  augment  = { gain = 6, speed = 0.1, freq_masks = 1, freq_width = 8 },
  optim    = tlua.optim.AdamW { lr = 2e-3 },
  schedule = { epochs = 30, warmup = 1, rate = "cosine" },
}
