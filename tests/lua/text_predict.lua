-- text_predict.lua - `tlua predict` of networks that read: texts of the command line, lines, tables, pairs; the
-- order of the answers, windows that are joined, what is refused and how.
local t = dofile "tests/lua/run_tests.lua"
local reviews = dofile "tests/lua/run_texts.lua"
local core = require "tlua.core"
local model_file = require "tlua.weights.model_file"
local ask = require "tlua.command.texts.ask"
local asked = require "tlua.command.texts.asked"
local forms = require "tlua.command.texts.forms"

local folder = t.folder()
local run = reviews.run(t, folder, "single")
local function predict(words) return t.run("./tlua predict " .. words) end
local function lines_of(text)
  local out = {}
  for line in text:gmatch "[^\n]+" do out[#out + 1] = line end
  return out
end

t.test("texts as they are typed, in the forms there are", function()
  local status, out, err = predict(run .. " 'the and with' 'was two for two' --top 1")
  t.equal(status, 0, err)
  assert(out:find "^the and with +good %d+%.%d %%\nwas two for two +bad %d+%.%d %%\n$", out)
  status, out = predict(run .. " 'the and with, \"the\"' --csv")
  t.equal(status, 0)
  local lines = lines_of(out)
  t.equal(lines[1], "text,label,score,label_2,score_2,error")
  assert(lines[2]:find '^"the and with, ""the""",good,0%.%d+,bad,0%.%d+,$', lines[2])
  status, out = predict(run .. " 'was two' --json")
  t.equal(status, 0)
  local list = core.json_decode(out)
  t.equal(#list, 1)
  t.equal(list[1].text, "was two")
  t.equal(list[1].predictions[1].label, "bad")
  t.equal(list[1].predictions[2].class, 1)
  t.equal(list[1].file, nil)
end)

t.test("a table: the columns of the training, as many right as eval says; others by name", function()
  local status, out = predict(("%s %s/test.tsv --csv --top 1"):format(run, folder))
  t.equal(status, 0)
  local _, rows = core.csv(folder .. "/test.tsv", "letters of tsv")
  local right, got = 0, lines_of(out)
  t.equal(#got, #rows + 1)
  for i, row in ipairs(rows) do
    local text, label = got[i + 1]:match "^([^,]*),([^,]*),"
    t.equal(text, row[2])
    right = right + (label == row[4] and 1 or 0)
  end
  status, out = t.run(("./tlua eval %s --json"):format(run))
  t.equal(status, 0)
  t.equal(core.json_decode(out).right, right)
  status, out = predict(("%s %s/test.tsv --csv --top 1 --text other"):format(run, folder))
  t.equal(status, 0)
  t.equal(lines_of(out)[2]:match "^[^,]*", rows[1][3])
end)

t.test("lines of a file and of a pipe: the same answers; empty ones are passed over, and named", function()
  core.write_file(folder .. "/lines.txt", "\xEF\xBB\xBFthe and with\r\n\r\nwas two\n")
  local _, first, err = predict(("%s %s/lines.txt --csv"):format(run, folder))
  assert(err:find("lines.txt: an empty line is passed over", 1, true), err)
  local status, second = t.run(("./tlua predict %s - --csv < %s/lines.txt"):format(run, folder))
  t.equal(status, 0)
  t.equal(first, second)
  t.equal(lines_of(first)[2]:match "^[^,]*", "the and with")
  -- A table by any name is one where its first line has the column.
  core.write_file(folder .. "/ratings.txt", core.read_file(folder .. "/test.tsv"))
  local _, a = predict(("%s %s/ratings.txt --csv"):format(run, folder))
  local _, b = predict(("%s %s/test.tsv --csv"):format(run, folder))
  t.equal(a, b)
end)

t.test("a word that is the name of a file means the file", function()
  core.write_file(folder .. "/the", "was two\n")
  local status, out = t.run(("T=$PWD/tlua; cd %s && $T predict %s the with --csv --top 1"):format(folder, run))
  t.equal(status, 0)
  assert(lines_of(out)[2]:find "^was two,bad," and lines_of(out)[3]:find "^with,good,", out)
end)

t.test("each text gets the answer that it gets alone, whatever stands beside it", function()
  local net, info = model_file.load(run)
  local task = model_file.task(info, net, run)
  local function answers(items, batch)
    local guard <close> = core.no_grad()
    local out = {}
    local o = { info = info, tokenizer = net:tokenizer(), batch = batch, threads = 0, top = 1 }
    ask.through(net, task, items, o, function(i, answer)
      t.equal(i, #out + 1)
      out[i] = answer[1]
    end)
    return out
  end
  local items = {}
  for i = 1, 23 do items[i] = { text = reviews.text(i * 5, i % 3 == 0 and reviews.GOOD or reviews.BAD) } end
  local together = answers(items, 4)
  for i, each in ipairs(items) do
    local alone = answers({ each }, 4)[1]
    t.equal(together[i].label, alone.label)
    assert(math.abs(together[i].score - alone.score) < 1e-5)
  end
end)

t.test("texts that are none are named, the others go on; the longer are cut, said once", function()
  local status, out, err = predict(run .. " the '' 'a\xff' with --json --top 1")
  t.equal(status, 1)
  local list = core.json_decode(out)
  t.equal(list[2].error, "an empty text")
  t.equal(list[3].error, "bytes that are no UTF-8 text")
  t.equal(list[4].predictions[1].label, "good")
  assert(err:find("tlua: '': an empty text\n", 1, true) and err:find("tlua: 2 of 4 texts could not be read", 1,
    true), err)
  core.write_file(folder .. "/empty.tsv", "document\tx\nthe\t1\n \t2\n")
  status, out, err = predict(("%s %s/empty.tsv --csv"):format(run, folder))
  t.equal(status, 1)
  assert(err:find("empty.tsv:3: an empty text", 1, true), err)
  t.equal(lines_of(out)[3], " ,,,,,an empty text")
  local long = ("the "):rep(200)
  status, _, err = predict(("%s '%s' '%s'"):format(run, long, long))
  t.equal(status, 0)
  local _, count = err:gsub("texts of more than 64 pieces are cut there", "")
  t.equal(count, 1, err)
end)

t.test("pairs: a tab, a second text, a column", function()
  local pairs_run = reviews.run(t, folder, "pairs", 'pair = "other"')
  local status, first, err = predict(pairs_run .. " 'the and\twith the' --csv")
  t.equal(status, 0, err)
  t.equal(lines_of(first)[1], "text,pair,label,score,label_2,score_2,error")
  local _, second = predict(pairs_run .. " 'the and' --pair 'with the' --csv")
  t.equal(first, second)
  core.write_file(folder .. "/own.csv", "a,b\nthe and,with the\n")
  local _, third = predict(("%s %s/own.csv --text a --pair b --csv"):format(pairs_run, folder))
  t.equal(first, third)
  status, _, err = predict(pairs_run .. " the")
  t.equal(status, 1)
  assert(err:find("a second text is missing: a tab stands between both", 1, true), err)
  status, _, err = predict(("%s the %s/own.csv --pair b"):format(pairs_run, folder))
  t.equal(status, 1)
  assert(err:find("one of both at a time", 1, true), err)
end)

t.test("numbers of a text", function()
  local numbers = reviews.run(t, folder, "numbers", 'target = "stars"', "task = tlua.task.regress {}")
  local status, out, err = predict(numbers .. " 'the and' 'two was' --csv")
  t.equal(status, 0, err)
  local good, bad = out:match "\nthe and,([%d.]+),\ntwo was,([%d.]+),"
  assert(tonumber(good) > 3.5 and tonumber(bad) < 2.5, out)
  status, _, err = predict(numbers .. " the --top 2")
  t.equal(status, 2)
  assert(err:find("--top is for one class a text, and the model's task is regress", 1, true), err)
end)

t.test("windows of a long text are asked as one: the task's join, or the mean of its outputs", function()
  local net, info = model_file.load(run)
  local task = model_file.task(info, net, run)
  local about = {}
  for key, v in pairs(info) do about[key] = v end
  about.preprocessing = { longest = 6, pad = info.preprocessing.pad, types = false, cut = "longest", stride = 1 }
  local o = { info = about, tokenizer = net:tokenizer(), batch = 2, threads = 0, top = 2 }
  local items = { { text = "the and with the two was for" }, { text = "the" }, { text = "", reason = "an empty text" } }
  local guard <close> = core.no_grad()
  local seen, reasons = {}, {}
  ask.through(net, task, items, o, function(i, answer, reason) seen[i], reasons[i] = answer, reason end)
  t.equal(reasons[3], "an empty text")
  local set = o.tokenizer.handle:encode_all({ items[1].text }, nil, { longest = 6, stride = 1, cut = "longest" })
  assert(set:count() >= 2)
  local mean = 0
  for k = 1, set:count() do
    local ids, _, lengths = set:batch({ k }, 0)
    mean = mean + net(ids, lengths):softmax(-1):tolist()[1][2] / set:count()
  end
  local got = seen[1][1].label == "good" and seen[1][1].score or seen[1][2].score
  assert(math.abs(got - mean) < 1e-5, ("%g %g"):format(got, mean))
  local own = setmetatable({ join = function(_, answers, windows)
    return ("%d of %s"):format(#answers, windows[1].text)
  end }, { __index = task })
  ask.through(net, own, items, o, function(i, answer) seen[i] = answer end)
  t.equal(seen[1], ("%d of %s"):format(set:count(), items[1].text))
end)

t.test("what is refused, in one line", function()
  local function refused(words, message, wanted)
    local status, _, err = predict(words)
    t.equal(status, wanted or 1, err)
    assert(err:find(message, 1, true) and select(2, err:gsub("\n", "")) == 1, err)
  end
  refused(run .. " missing.tsv", "there is no file missing.tsv")
  refused(run .. " " .. folder, "is a folder")
  refused(run .. " the -", "-, what comes through a pipe, stands alone")
  refused(run .. " the --pair and", "the model was trained on single texts")
  refused(run .. " the --text a", "--text names a column of tables")
  refused(run .. " the --flip", "--flip mirrors pictures", 2)
  refused(run .. " the --by series", "--by is for slices", 2)
  refused(run .. " the --to x", "--to: of texts there are no files", 2)
  refused(run .. " the --srt", "--srt is for speech", 2)
  refused(("%s %s/own.csv"):format(run, folder), "has no column 'document' (text); there is a, b: --text NAME")
end)

t.test("lines for a terminal: letters of two columns, nothing that moves the cursor or turns the line", function()
  local function line(text, most, want, width)
    local got, w = forms.line(text, most)
    t.equal(got, want)
    t.equal(w, width)
  end
  line("the  and\tx", 20, "the and x", 9)
  line("한국어", 20, "한국어", 6)
  line("한국어 영화", 6, "한국…", 5)
  line("abcdef", 6, "abcdef", 6)
  line("abcdefg", 6, "abcde…", 6)
  line("a\27[31mb\u{202E}c\u{200B}d", 20, "a\u{FFFD}[31mbc\u{200B}d", 9)
end)

t.test("is a model of pairs", function()
  t.equal(asked.paired {}, false)
  t.equal(asked.paired { data = { kind = "texts", options = {} } }, false)
  t.equal(asked.paired { data = { kind = "texts", options = { pair = "b" } } }, true)
end)

t.finish()
