-- reviews.lua - reviews for docs/texts.md where no others are at hand: sentences whose adjectives say whether they praise, as a table, and a
-- vocabulary of their words for a small network.
--   tlua docs/reviews.lua FOLDER [COUNT]
local core = require "tlua.core"

local folder, count = arg[1] or "reviews", tonumber(arg[2] or 400)
local THINGS = { "film", "plot", "cast", "music", "ending", "camera" }
local WORDS = { good = { "great", "moving", "funny", "clever", "warm" }, bad = { "dull", "flat", "noisy", "tired", "cold" } }
local FRAMES = { "the %s was %s", "what a %s %s", "a %s , and so %s", "i found the %s %s", "not a %s , just %s" }

math.randomseed(1)
core.mkdirs(folder)
local lines, known, words = { "text\tlabel" }, {}, { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" }
for _ = 1, count do
  local label = math.random(2) == 1 and "good" or "bad"
  local parts = {}
  for k = 1, math.random(1, 3) do
    local word = WORDS[label][math.random(5)]
    parts[k] = FRAMES[math.random(#FRAMES)]:format(THINGS[math.random(#THINGS)], word)
  end
  local text = table.concat(parts, " . ")
  lines[#lines + 1] = text .. "\t" .. label
  for word in text:gmatch "%S+" do
    if not known[word] then known[word], words[#words + 1] = true, word end
  end
end
core.write_file(folder .. "/reviews.tsv", table.concat(lines, "\n") .. "\n")
core.write_file(folder .. "/vocab.txt", table.concat(words, "\n") .. "\n")
print(("%s: %d reviews, %d words"):format(folder, count, #words))
