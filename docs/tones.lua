-- tones.lua - recordings for docs/speech.md where no others are at hand: words of five letters, each letter a tone, with their table.
--   tlua docs/tones.lua FOLDER [COUNT]
local core = require "tlua.core"

local folder, count = arg[1] or "recordings", tonumber(arg[2] or 160)
local RATE, LETTERS = 16000, { a = 500, e = 800, i = 1300, o = 2100, u = 3400 }
local NAMES = { "a", "e", "i", "o", "u" }

-- A letter sounds for 0.12 s with a soft beginning and end; a space is silence.
local function spoken(text)
  local x = {}
  for letter in text:gmatch "." do
    local hertz, n = LETTERS[letter], RATE * 12 // 100
    for k = 1, n do
      local level = math.min(1, k / 200, (n - k) / 200)
      x[#x + 1] = (hertz and 0.3 * level * math.sin(2 * math.pi * hertz * k / RATE) or 0) + 0.005 * (math.random() - 0.5)
    end
    for _ = 1, RATE * 3 // 100 do x[#x + 1] = 0.005 * (math.random() - 0.5) end
  end
  return core.tensor(x)
end

math.randomseed(1)
core.mkdirs(folder)
local lines = { "file\ttext" }
for i = 1, count do
  local words = {}
  for w = 1, math.random(1, 3) do
    words[w] = ""
    for _ = 1, math.random(2, 4) do words[w] = words[w] .. NAMES[math.random(#NAMES)] end
  end
  local text = table.concat(words, " ")
  core.audio.write(("%s/%03d.wav"):format(folder, i), spoken(text), RATE)
  lines[#lines + 1] = ("%03d.wav\t%s"):format(i, text)
end
core.write_file(folder .. "/transcripts.tsv", table.concat(lines, "\n") .. "\n")
print(("%s: %d recordings and transcripts.tsv"):format(folder, count))
