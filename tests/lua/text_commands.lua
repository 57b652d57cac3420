-- text_commands.lua - what the other commands make of a run on texts: eval, show, explain, inspect, export.
local t = dofile "tests/lua/run_tests.lua"
local reviews = dofile "tests/lua/run_texts.lua"
local core = require "tlua.core"
local FOOT = require("tlua.report.parts").FOOT -- the end of a page, with the one script that it has

local folder = t.folder()
local run, recipe = reviews.run(t, folder, "single")

local function eval(words)
  local status, out, err = t.run(("./tlua eval %s --json %s"):format(run, words or ""))
  t.equal(status, 0, err)
  return core.json_decode(out)
end

-- The last epoch's figures by their names.
local function last_row()
  local lines, out = {}, {}
  for line in core.read_file(run .. "/metrics.csv"):gmatch "[^\n]+" do lines[#lines + 1] = line end
  local cells = (lines[#lines] .. ","):gmatch "([^,]*),"
  for name in (lines[1] .. ","):gmatch "([^,]*)," do out[name] = tonumber(cells()) end
  return out
end

t.test("eval: the figures of the training, by the tokenizer in the file; the test file alone is read", function()
  local row, found = last_row(), eval()
  t.equal(found.texts, 30)
  t.equal(found.tested, "test")
  assert(math.abs(found.loss - row.test_loss) < 1e-5 and math.abs(found.accuracy - row.test_accuracy) < 1e-3)
  t.equal(found.warning, nil)
  -- Neither the training texts nor the tokenizer's file are needed.
  core.rename(folder .. "/train.tsv", folder .. "/away.tsv")
  local status, out, err = t.run(("./tlua eval %s"):format(run))
  core.rename(folder .. "/away.tsv", folder .. "/train.tsv")
  t.equal(status, 0, err)
  assert(out:find("tested   30 texts of the test part, " .. folder .. "/test.tsv", 1, true), out)
end)

t.test("eval of another table tests all of it, or what is said; its columns may have other names", function()
  reviews.table(folder .. "/other.tsv", 40, 500)
  local found = eval(("--data.path %s/other.tsv"):format(folder))
  t.equal(found.texts, 40)
  t.equal(found.tested, "all")
  t.equal(eval(("--data.path %s/other.tsv --data.test_limit 10"):format(folder)).texts, 10)
  t.equal(eval(("--data.path %s/other.tsv --data.split 0.25"):format(folder)).texts, 10)
  local changed = eval(("--data.test %s/other.tsv"):format(folder))
  assert(changed.warning:find("these are not the texts that were held out in the training", 1, true))
  core.write_file(folder .. "/named.csv", "a,b\nthe and,good\nwas two,bad\n")
  found = eval(("--data texts --data.path %s/named.csv --data.text a --data.target b"):format(folder))
  t.equal(found.texts, 2)
  t.equal(found.accuracy, 100)
end)

t.test("eval: what does not fit", function()
  local function refused(words, message)
    local status, _, err = t.run(("./tlua eval %s %s"):format(run, words))
    assert(status ~= 0 and err:find(message, 1, true) and select(2, err:gsub("\n", "")) == 1, err)
  end
  core.write_file(folder .. "/strange.tsv", "document\tlabel\nthe\tgood\nwas\tterrible\n")
  refused(("--data.path %s/strange.tsv"):format(folder), "strange.tsv:3: 'terrible' is none of the classes bad, good")
  refused("--data.tokenizer tests/golden/tokenizers/unigram.json", "is another than the model's own")
  refused("--flip", "--flip mirrors pictures, and the model takes texts")
end)

t.test("show: pieces with their numbers, as the network is fed them", function()
  local status, out, err = t.run(("./tlua show %s --to %s/fed.txt --pictures 5"):format(recipe, folder))
  t.equal(status, 0, err)
  assert(out:find("fed.txt: 5 training texts of epoch 1; " .. reviews.PIECES .. ", 64 pieces at most; ", 1, true), out)
  local text, own = core.read_file(folder .. "/fed.txt"), reviews.tokenizer.handle
  local _, rows = text:gsub("\n  %[CLS%]/" .. own:id "[CLS]" .. " ", "")
  t.equal(rows, 5)
  local the = own:id "the"
  assert(text:find(("the/%d"):format(the), 1, true) or text:find("was/" .. own:id "was", 1, true), text)
  assert(text:find "batch 1: 8 texts of at most %d+ pieces, %d+ %% padding")
  status, _, err = t.run(("./tlua show %s --to %s/fed.html --data.pair other"):format(recipe, folder))
  t.equal(status, 0, err)
  local page = core.read_file(folder .. "/fed.html")
  local _, boxes = page:gsub('<span class="piece special[^"]*">%[SEP%]', "")
  t.equal(boxes, 48) -- two of each of 24 pairs
  assert(page:find('<span class="piece second">', 1, true) or page:find('<span class="piece special second">', 1, true))
  assert(page:sub(-#FOOT) == FOOT and not page:sub(1, -#FOOT - 1):find "<script")
end)

local function page_of(path) return core.read_file(path .. "/report.html"), core.json_decode(core.read_file(path
  .. "/report.json")) end

t.test("report: texts in shades, by length; what the texts hold is text and nothing else", function()
  local hostile = '<script>alert(1)</script> \u{202E}the \u{200B}and "\u{1F468}\u{200D}\u{1F469}" '
  local rows = { "document\tlabel" }
  for i = 1, 30 do
    rows[i + 1] = ("%s%s\t%s"):format(i % 3 == 0 and hostile or "", reviews.text(i, i % 2 == 0 and reviews.GOOD
      or reviews.BAD), i % 4 == 0 and "bad" or i % 2 == 0 and "good" or "bad")
  end
  rows[#rows + 1] = ("was "):rep(30) .. "the " .. ("for "):rep(200) .. "\tgood"
  core.write_file(folder .. "/hostile.tsv", table.concat(rows, "\n") .. "\n")
  local status, _, err = t.run(("./tlua %s --data.test %s/hostile.tsv --out %s/hostile --quiet"):format(recipe, folder,
    folder))
  t.equal(status, 0, err)
  local page, found = page_of(folder .. "/hostile")
  assert(page:sub(-#FOOT) == FOOT and not page:sub(1, -#FOOT - 1):find "<script" and page:find "&lt;[^&]*script")
  assert(not page:find "\u{202E}" and page:find('<i class="odd">U+202E</i>', 1, true))
  assert(page:find '<mark class="pro" style="%-%-a:0%.75" title="%+1%.00">')
  assert(page:find("gradient times input at the table of pieces", 1, true))
  assert(page:find("<h2>Length of texts</h2>", 1, true))
  local n, cut = 0, 0
  for _, row in ipairs(found.lengths) do
    n, cut = n + row.count, cut + row.cut * row.count
    assert(row.from <= row.to and row.interval[1] <= row.value and row.value <= row.interval[2])
  end
  t.equal(n, 31)
  assert(math.abs(cut - 1) < 1e-9)
  assert(#found.wrong > 0 and #found.right > 0)
  local long
  for _, each in ipairs(found.wrong) do
    t.equal(each.image, nil)
    local text = ""
    for _, part in ipairs(each.words[1]) do
      text = text .. part.text
      long = long or part.skip
    end
    assert(#text > 0)
  end
  assert(long, "a long text is shortened")
  -- The page is made again of the data alone.
  status, _, err = t.run(("./tlua report %s/hostile --to %s/again.html"):format(folder, folder))
  t.equal(status, 0, err)
  -- What lies in the run's folder is told from where the page is.
  t.equal((core.read_file(folder .. "/again.html"):gsub('href="hostile/', 'href="')), page)
end)

t.test("report of numbers: the worst texts", function()
  local path = reviews.run(t, folder, "numbers", 'target = "stars"', "task = tlua.task.regress {}")
  local page, found = page_of(path)
  assert(page:find("raise the number", 1, true) and page:find('<mark class="', 1, true))
  t.equal(#found.wrong, 12)
  assert(found.wrong[1].words[1][1].text ~= "")
  assert(page:find('mean absolute error</th><th scope="col">95', 1, true))
end)

t.test("explain: words in shades, for the likeliest class or another", function()
  local status, out, err = t.run(("./tlua explain %s 'the was <b>' '' --to %s/looked"):format(run, folder))
  t.equal(status, 1)
  assert(err:find("tlua: '': an empty text", 1, true), err)
  assert(out:find("the was <b>\n  ", 1, true) and out:find("; for ", 1, true), out)
  local page = core.read_file(folder .. "/looked/texts.html")
  assert(page:find('<mark class="', 1, true) and not page:find("<b>", 1, true))
  status, out = t.run(("./tlua explain %s 'the was' --class bad --quiet --to %s/looked"):format(run, folder))
  t.equal(status, 0)
  assert(out:find("; for bad\n", 1, true), out)
  status, _, err = t.run(("./tlua explain %s the --layer x"):format(run))
  assert(status == 2 and err:find("--layer is for pictures", 1, true), err)
end)

t.finish()
