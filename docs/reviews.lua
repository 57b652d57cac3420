-- reviews.lua - reviews for docs/texts.md where no others are at hand: sentences whose adjectives say whether they praise, as a table, and a
-- vocabulary of their words for a small network. Of the same sentences: pairs that are alike or not, words with tags, questions about them, letters.
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

-- Two reviews that stand together, and whether both praise or both do not.
local pairs_of = { "first\tsecond\talike" }
for k = 3, #lines do
  local one, label = lines[k - 1]:match "(.-)\t(.*)"
  local two, other = lines[k]:match "(.-)\t(.*)"
  pairs_of[#pairs_of + 1] = ("%s\t%s\t%d"):format(one, two, label == other and 1 or 0)
end

-- Each word with its tag, an empty line behind each review; and where the first adjective stands, as the answer to a question.
local kind, tags, asked = {}, {}, {}
for _, thing in ipairs(THINGS) do kind[thing] = "B-THING" end
for _, label in ipairs { "good", "bad" } do
  for _, word in ipairs(WORDS[label]) do kind[word] = "B-VIEW" end
end
for k = 2, #lines do
  local text, view = lines[k]:match "[^\t]*", nil
  for at, word in text:gmatch "()(%S+)" do
    tags[#tags + 1] = word .. "\t" .. (kind[word] or "O")
    if kind[word] == "B-VIEW" and not view then view = { text = word, answer_start = at - 1 } end
  end
  tags[#tags + 1] = ""
  asked[#asked + 1] = { title = ("review %d"):format(k), paragraphs = { { context = text,
    qas = { { id = ("%d"):format(k), question = "how was it", answers = { view } } } } } }
end
local letters = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "," }
for byte = ("a"):byte(), ("z"):byte() do letters[#letters + 1] = string.char(byte) end
core.write_file(folder .. "/pairs.tsv", table.concat(pairs_of, "\n") .. "\n")
core.write_file(folder .. "/words.txt", table.concat(tags, "\n") .. "\n")
core.write_file(folder .. "/questions.json", core.json_encode { version = "1", data = asked })
core.write_file(folder .. "/letters.txt", table.concat(letters, "\n") .. "\n")
print(("%s: %d reviews, %d words"):format(folder, count, #words))
