-- texts_resumed.lua - runs on texts that were stopped in the middle of an epoch come to the same bits: with dropout, with
-- a table of which a step moves some rows, with hidden words, with adapters. Run by `tlua tests/lua/texts_resumed.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local resumed = dofile "tests/lua/run_resumed.lua"
local folder = t.folder()

-- A vocabulary of so many words that the table is one of rows (docs/internals.md, Tables), and texts of some of them.
local words = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" }
for i = 1, 5000 do words[#words + 1] = "w" .. i end
core.write_file(folder .. "/vocab.txt", table.concat(words, "\n") .. "\n")
local lines, plain = { "text\tlabel" }, {}
for i = 1, 40 do
  local list = {}
  for k = 1, 3 + i % 6 do list[k] = "w" .. (i * 37 + k * 11) % 600 + 1 end
  plain[i] = table.concat(list, " ")
  lines[i + 1] = plain[i] .. "\t" .. (i % 2 == 0 and "even" or "odd")
end
core.write_file(folder .. "/texts.tsv", table.concat(lines, "\n") .. "\n")
core.write_file(folder .. "/plain.txt", table.concat(plain, "\n") .. "\n")

local function recipe_of(name, changes)
  local fields = { model = tlua.models.bert { width = 32, layers = 1, heads = 2, inner = 32, vocabulary = #words,
    positions = 32, dropout = 0.2 },
    data = tlua.data.texts { path = folder .. "/texts.tsv", tokenizer = folder .. "/vocab.txt", batch = 4 },
    optim = tlua.optim.AdamW { lr = 1e-2 }, schedule = { epochs = 2 }, out = folder .. "/" .. name, checkpoint = 1e-5 }
  for key, value in pairs(changes) do fields[key] = value end
  return tlua.recipe(fields)
end

-- The run, and one that goes on from its third batch of the second epoch.
local function compare(name, changes)
  local middle = folder .. "/" .. name .. "-middle"
  local whole = resumed.with_middle(middle, 3, function()
    return recipe_of(name, changes()):run { style = "quiet", force = true }
  end)
  local again = recipe_of(name .. "-middle", changes()):run { style = "quiet", resume = middle }
  t.equal(again.epochs[2].loss, whole.epochs[2].loss)
  t.equal(resumed.hashes(middle), resumed.hashes(folder .. "/" .. name))
end

t.test("classes: dropout and the rows of a table", function() compare("classes", function() return {} end) end)

t.test("an average of the weights, accumulated and clipped steps", function()
  compare("average", function() return { ema = 0.9, accumulate = 2, clip = 1 } end)
end)

t.test("adapters", function()
  compare("adapters", function() return { lora = { on = "*.query,*.value", rank = 2, dropout = 0.2 } } end)
end)

t.test("hidden words", function()
  compare("hidden", function()
    return { data = tlua.data.lines { path = folder .. "/plain.txt", tokenizer = folder .. "/vocab.txt", batch = 4 },
      task = tlua.task.masked {} }
  end)
end)

t.test("tags", function()
  local tagged = {}
  for i = 1, 40 do
    for word in plain[i]:gmatch "%S+" do tagged[#tagged + 1] = word .. "\t" .. (#word % 2 == 0 and "B-X" or "O") end
    tagged[#tagged + 1] = ""
  end
  core.write_file(folder .. "/tagged.conll", table.concat(tagged, "\n") .. "\n")
  compare("tags", function()
    return { data = tlua.data.conll { path = folder .. "/tagged.conll", tokenizer = folder .. "/vocab.txt", batch = 4 } }
  end)
end)

t.finish()
