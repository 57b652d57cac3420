-- run_texts.lua - a tiny network that learnt to tell reviews apart, for tests of what is made of such a run: words that
-- stand in good ones and words that stand in bad ones, in tables of any length.
local core = require "tlua.core"
local tokenizer = require "tlua.data.texts.tokenizer"
local reviews = { PIECES = "tests/golden/tokenizers/wordpiece.json" }
reviews.tokenizer = tokenizer.open(reviews.PIECES)
reviews.GOOD, reviews.BAD = { "the", "with", "and" }, { "two", "was", "for" }

-- The i-th review of some words, of 2 to 6 of them.
function reviews.text(i, words)
  local out = {}
  for k = 1, 2 + i % 5 do out[k] = words[(i * 7 + k * 3) % #words + 1] end
  return table.concat(out, " ")
end

-- A table of n reviews, by halves of two classes, with a second text and a number for each.
function reviews.table(path, n, from)
  local lines = { "id\tdocument\tother\tlabel\tstars" }
  for i = 1, n do
    local good = (i + (from or 0)) % 2 == 0
    lines[#lines + 1] = ("%d\t%s\t%s\t%s\t%g"):format(i, reviews.text(i, good and reviews.GOOD or reviews.BAD),
      reviews.text(i + 1, good and reviews.GOOD or reviews.BAD), good and "good" or "bad",
      good and 4 + i % 2 or 1 + i % 2)
  end
  core.write_file(path, table.concat(lines, "\n") .. "\n")
  return path
end

-- Trains in `folder`, which gets train.tsv and test.tsv; data and more are fields of the recipe. Returns the run.
function reviews.run(t, folder, name, data, more)
  reviews.table(folder .. "/train.tsv", 120)
  reviews.table(folder .. "/test.tsv", 30, 201)
  local path = ("%s/%s.lua"):format(folder, name)
  core.write_file(path, ([[local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.bert { width = 32, layers = 1, heads = 2, inner = 64, vocabulary = %d, positions = 64,
    dropout = 0 },
  data = tlua.data.texts { path = "%s/train.tsv", test = "%s/test.tsv", text = "document", tokenizer = "%s",
    batch = 8, %s },
  optim = tlua.optim.AdamW { lr = 5e-3 }, schedule = { epochs = 3 }, %s
}]]):format(reviews.tokenizer.handle:size(), folder, folder, reviews.PIECES, data or "", more or ""))
  local run = ("%s/%s"):format(folder, name)
  local status, _, err = t.run(("./tlua %s --out %s --quiet"):format(path, run))
  t.equal(status, 0, err)
  return run, path
end

return reviews
