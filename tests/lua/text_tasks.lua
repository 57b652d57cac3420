-- text_tasks.lua - tasks on texts: losses and decoding by hand, windows put together again, runs that learn, are tested
-- again by their model file and answer what they are asked. Run by `tlua tests/lua/text_tasks.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local task = tlua.task

local folder = t.folder()
local PIECES = "tests/golden/tokenizers/wordpiece.json"
local own = require("tlua.data.texts.tokenizer").open(PIECES)

local function near(got, want, what)
  assert(math.abs(got - want) < 1e-5 * math.max(1, math.abs(want)), ("%s is %g, not %g"):format(what, got, want))
end
local function opened(kind, options)
  return task.open(task[kind](options or {}), task.definition(kind).default_loss(options or {}))
end

-- Minus the logarithm of the softmax of list at k.
local function entropy(list, k)
  local sum = 0
  for _, v in ipairs(list) do sum = sum + math.exp(v) end
  return math.log(sum) - list[k]
end

t.test("tokens: the loss is over the words' first pieces alone", function()
  local o = opened "tokens"
  o.names, o.width = { "O", "B-X", "I-X" }, 3
  local rows = { { { 1, 2, 3 }, { 0, 1, 0 }, { 2, 0, 1 } }, { { 1, 1, 0 }, { 5, 5, 5 }, { 9, 0, 0 } } }
  local batch = { n = 2, marks = core.tensor({ { -100, 1, 0 }, { 2, -100, -100 } }, { dtype = "int32" }) }
  local loss, count = o:loss(core.tensor(rows), batch)
  t.equal(count, 3)
  near(loss:item(), (entropy(rows[1][2], 2) + entropy(rows[1][3], 1) + entropy(rows[2][1], 3)) / 3, "the loss")
  batch.marks = core.tensor({ { -100, -100, -100 }, { -100, -100, -100 } }, { dtype = "int32" })
  loss, count = o:loss(core.tensor(rows), batch)
  assert(loss == nil and count == 0, "a batch in which no word counts")
end)

t.test("tokens: F1 of entities in training, of classes where there are none", function()
  local o = opened "tokens"
  o.names, o.width = { "O", "B-X", "I-X" }, 3
  local m = o:meter()
  local function one_hot(list)
    local rows = {}
    for p, k in ipairs(list) do rows[p] = { 0, 0, 0 } rows[p][k + 1] = 1 end
    return core.tensor { rows }
  end
  local function marks(list) return { n = 1, marks = core.tensor({ list }, { dtype = "int32" }) } end
  m:add(one_hot { 0, 1, 2, 0, 1 }, marks { -100, 1, 2, 0, 0 })
  m = o:meter(core.json_decode(core.json_encode(m:state())))
  m:add(one_hot { 1, 0 }, marks { 1, 1 })
  local v = m:value()
  near(v.precision, 100 * 2 / 3, "precision")
  near(v.recall, 100 * 2 / 3, "recall")
  near(v.accuracy, 100 * 4 / 6, "accuracy")
  o.names = { "N", "V", "A" }
  m = o:meter()
  m:add(one_hot { 0, 1, 1 }, marks { 0, 1, 0 })
  near(m:value().f1, 100 * (2 / 3 + 2 / 3) / 2, "the mean F1 of the classes")
  t.equal(next(opened("tokens"):meter():value()), nil)
end)

t.test("span: loss by hand, whatever is padded", function()
  local o = opened "span"
  local rows = { { { 1, 0 }, { 2, 1 }, { 0, 3 } }, { { 0, 1 }, { 1, 1 }, { 7, 7 } } }
  local batch = { n = 2, length_list = { 3, 2 }, spans = core.tensor({ { 1, 2 }, { 0, 0 } }, { dtype = "int32" }) }
  local want = (entropy({ 1, 2, 0 }, 2) + entropy({ 0, 1, 3 }, 3) + entropy({ 0, 1 }, 1) + entropy({ 1, 1 }, 1)) / 4
  near(o:loss(core.tensor(rows), batch):item(), want, "the loss")
  for k = 1, 2 do rows[k][4], rows[k][5] = { 50, 50 }, { -3, 9 } end
  near(o:loss(core.tensor(rows), batch):item(), want, "the loss with more padding")
end)

-- What the task says of a window of pieces like `ids`: question of two pieces, then the context.
local function window(context)
  local w = { ids = { 1, 2, 3, 4 }, sequence = { -1, 0, 0, -1 }, from = { 0, 0, 2, 0 }, to = { 0, 1, 3, 0 }, pair =
    context, text = "a b" }
  for from, word in context:gmatch "()(%S+)" do
    local p = #w.ids + 1
    w.ids[p], w.sequence[p], w.from[p], w.to[p] = p, 1, from - 1, from - 1 + #word
  end
  return w
end

t.test("span: the likeliest begin and end in order, within the paragraph, not too far apart", function()
  local o, w = opened("span", { longest_answer = 2 }), window "one two three four"
  local rows = { { 9, 9 }, { 8, 8 }, { 8, 8 }, { 0, 0 }, { 3, 0 }, { 1, 2 }, { 2, 1 }, { 0, 4 } }
  local a = o:decode(core.tensor { rows }, { windows = { w } })[1]
  t.equal(a.text, "three four", "one four is too long")
  t.equal(("%d %d"):format(a.from, a.to), "8 18")
  local sum = 0
  for _, each in ipairs(a.best) do sum = sum + each.score end
  near(sum, 1, "all shares")
  near(a.best[1].score / a.best[2].score, math.exp(1), "shares of 6 and of 5")
  o.unanswerable = true
  a = o:decode(core.tensor { rows }, { windows = { w } })[1]
  t.equal(a.text, "")
  near(a.none, 18 - 6, "how much likelier no answer is")
  o.chosen = { threshold = 12.5 }
  t.equal(o:decode(core.tensor { rows }, { windows = { w } })[1].text, "three four")
  rows[5] = { 0 / 0, 0 }
  t.equal(o:decode(core.tensor { rows }, { windows = { w } })[1], false)
  -- two windows: the better answer, and the least "no answer"
  local other = { { 2, 2 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 8, 8 }, { 0, 0 } }
  rows[5] = { 3, 0 }
  local v = window "five six"
  v.pair = w.pair
  local both = o:decode(core.tensor { rows }, { windows = { w } })
  both[2] = o:decode(core.tensor { other }, { windows = { v } })[1]
  a = o:join(both, { w, v }, {})
  near(a.none, 4 - 16, "of both windows")
  near(a.best[1].score + a.no_answer < 1 and a.best[1].from or -1, 0, "where the better one begins")
end)

t.test("span: answers of all windows of a question are those of transformers' run_qa", function()
  local golden = core.json_decode(core.read_file "tests/golden/questions.json")
  local built = tlua.data.open(tlua.data.squad { path = "tests/golden/questions.json", longest = golden.longest,
    stride = golden.stride, split = 0 }, { longest = 512, types = true }, 0, { tokenizer = own })
  local of = {}
  for k = 1, built.train:count() do
    local w = built.train:window(k)
    w.pair = built.texts.pairs[w.text]
    of[w.text] = of[w.text] or {}
    table.insert(of[w.text], w)
  end
  for i, want in ipairs(golden.answers) do
    for _, with_none in ipairs { false, true } do
      local o, list = opened("span", { threshold = 1e9 }), {}
      o.unanswerable = with_none
      for k, w in ipairs(of[i]) do
        local rows = {}
        for p = 1, #w.ids do rows[p] = { want.logits[k][1][p], want.logits[k][2][p] } end
        list[k] = o:decode(core.tensor { rows }, { windows = { w } })[1]
      end
      t.equal(#list, #want.logits)
      local a = o:join(list, of[i], {})
      t.equal(a.text, want.text, "the answer to question " .. i)
      near(a.score, with_none and want.with_none or want.plain, "its share")
      near(a.none, want.none, "how much likelier no answer is")
    end
  end
end)

-- ---- runs ----

local function run(line)
  local status, out, err = t.run("./tlua " .. line)
  if status ~= 0 then error(line .. ": " .. out .. err, 2) end
  return out
end
local function recipe(name, data, more)
  core.write_file(("%s/%s.lua"):format(folder, name), ([[local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.bert { width = 32, layers = 2, heads = 2, inner = 64, vocabulary = %d, positions = 128,
    dropout = 0 },
  data = tlua.data.%s, optim = tlua.optim.AdamW { lr = 5e-3 }, %s
}]]):format(own.handle:size(), data, more))
end

local NAMES, PLACES = { "Kim", "Lee", "Anna", "Otto" }, { "Seoul", "Paris", "Rome" }
local function sentence(i)
  local a, b, p = NAMES[i % 4 + 1], NAMES[i // 3 % 4 + 1], PLACES[i % 3 + 1]
  if i % 2 == 0 then return { { a, "B-PER" }, { b, "I-PER" }, { "left", "O" }, { p, "B-LOC" } } end
  return { { "we", "O" }, { "saw", "O" }, { p, "B-LOC" }, { "with", "O" }, { a, "B-PER" }, { "and", "O" } }
end
local function columns(name, n, from)
  local lines = {}
  for i = 1, n do
    for k = 0, i % 3 do
      for _, each in ipairs(sentence(i + from + k)) do lines[#lines + 1] = table.concat(each, " ") end
    end
    lines[#lines + 1] = ""
  end
  core.write_file(("%s/%s.txt"):format(folder, name), table.concat(lines, "\n") .. "\n")
end

t.test("words with tags: a run learns them in windows, eval says the same, predict names entities", function()
  columns("train", 90, 0)
  columns("test", 24, 500)
  recipe("words", ([[conll { path = "%s/train.txt", test = "%s/test.txt", tokenizer = "%s", batch = 8, longest = 24,
    stride = 8 }]]):format(folder, folder, PIECES), "schedule = { epochs = 8 }")
  local out = run(("%s/words.lua --out %s/words"):format(folder, folder))
  local f1 = tonumber(out:match "Epoch 8%].-test F1 ([%d.]+) %%")
  assert(f1 and f1 > 90, f1)
  assert(out:find("4 tags (O, B-LOC, B-PER, I-PER)", 1, true), out)
  local of_texts = out:match "test      F1 [^\n]*"
  assert(of_texts:find("of 24 texts", 1, true), "windows of a text count together: " .. of_texts)
  local eval = core.json_decode(run(("eval %s/words --json"):format(folder)))
  assert(math.abs(eval.f1 - f1) < 0.06, eval.f1)
  local said = core.json_decode(run(("predict %s/words 'Anna Lee left Rome' --json"):format(folder)))[1].predictions
  t.equal(said.words[2].tag, "I-PER")
  t.equal(("%s %s"):format(said.entities[1].text, said.entities[2].text), "Anna Lee Rome")
  t.equal(("%d %d"):format(said.entities[2].from, said.entities[2].to), "14 18")
  said = core.json_decode(run(("predict %s/words 'Ännä Lee left Rome' --json"):format(folder)))[1].predictions
  t.equal(("%d %d"):format(said.words[4].from, said.words[4].to), "14 18", "characters, not bytes")
  local page = core.read_file(folder .. "/words/report.html")
  assert(page:find("F1 of entities", 1, true) and page:find("<td>PER</td>", 1, true))
end)

t.test("spaces: what is found is said as the text with its spaces", function()
  local lines = {}
  for i = 1, 60 do lines[i] = ("the%s with%s and"):format(i % 2 == 0 and " two" or "", i % 3 == 0 and " was" or "") end
  for i = 1, 60 do lines[i] = lines[i] .. (" of"):rep(1 + i % 7) end
  core.write_file(folder .. "/spaces.txt", table.concat(lines, "\n") .. "\n")
  recipe("spaces", ([[spacing { path = "%s/spaces.txt", tokenizer = "%s", batch = 8, split = 0.2 }]]):format(folder,
    PIECES), "schedule = { epochs = 16 }")
  local out = run(("%s/spaces.lua --out %s/spaces"):format(folder, folder))
  assert(tonumber(out:match "Epoch 16%].-test F1 ([%d.]+) %%") > 80, out)
  local said = run(("predict %s/spaces 'thewithandofof' --csv"):format(folder))
  assert(said:find("^text,spaced,error\nthewithandofof,the with and of *of,\n$"), said)
end)

-- Paragraphs in which a place is asked for: it stands behind "in".
local function questions(name, n, impossible)
  local articles = {}
  for i = 1, n do
    local place = PLACES[i % 3 + 1]
    local context = ("%s and %s saw it in %s with us"):format(NAMES[i % 4 + 1], NAMES[(i + 1) % 4 + 1], place)
    local qas = { { id = "p" .. i, question = "in", answers = { { text = place,
      answer_start = context:find(place, 1, true) - 1 } } } }
    if impossible then qas[2] = { id = "n" .. i, question = "was", answers = {}, is_impossible = true } end
    articles[i] = { title = "article " .. i, paragraphs = { { context = context, qas = qas } } }
  end
  core.write_file(("%s/%s.json"):format(folder, name), core.json_encode { version = "1", data = articles })
end

t.test("questions: a run finds answers, and where there is none; the threshold is the validation's", function()
  questions("asked", 80, true)
  recipe("asked", ([[squad { path = "%s/asked.json", tokenizer = "%s", batch = 8 }]]):format(folder, PIECES),
    "schedule = { epochs = 20 }, task = tlua.task.span { choose = true }")
  local out = run(("%s/asked.lua --out %s/asked"):format(folder, folder))
  assert(out:find("threshold no answer where it is more than ", 1, true), out)
  local f1 = tonumber(out:match "\ntest      F1 ([%d.]+) %%")
  assert(f1 and f1 > 90, out)
  local eval = core.json_decode(run(("eval %s/asked --json"):format(folder)))
  assert(math.abs(eval.f1 - f1) < 0.06, eval.f1)
  core.write_file(folder .. "/ask.txt", "in\tLee and Kim saw it in Paris with us\n"
    .. "was\tLee and Kim saw it in Rome with us\n")
  local said = core.json_decode(run(("predict %s/asked %s/ask.txt --json"):format(folder, folder)))
  t.equal(said[1].predictions.text, "Paris")
  t.equal(("%d %d"):format(said[1].predictions.from, said[1].predictions.to), "22 27")
  t.equal(said[2].predictions.text, "")
  questions("plain", 6)
  local status, _, err = t.run(("./tlua %s/asked.lua --data.path %s/plain.json --out %s/none"):format(folder, folder,
    folder))
  assert(status == 1 and err:find("choose is for questions without an answer, and the data have none", 1, true), err)
end)

-- ---- words ----

local vocabulary = require "tlua.task.vocabulary"

t.test("words: the loss of those that are asked for, in parts as whole, gradients too", function()
  local net = tlua.models.bert { width = 16, layers = 1, heads = 2, inner = 32, vocabulary = 30, positions = 16,
    gives = "vocabulary" }
  net:ready()
  net:eval()
  local o = opened "masked"
  o.net, o.width = net, 30
  local input = core.tensor({ { 1, 2, 3, 4 }, { 5, 6, 7, 0 } }, { dtype = "int32" })
  local batch = { n = 2, input = input, length_list = { 4, 3 },
    marks = core.tensor({ { -100, 9, -100, 8 }, { 7, -100, 29, -100 } }, { dtype = "int32" }) }
  local function gradient(budget)
    vocabulary.BUDGET = budget
    local out = net(input)
    local loss, count = o:loss(out, batch)
    t.equal(count, 4)
    loss:backward()
    local words, value = net:words(), loss:item()
    local g = words.grad:clone()
    net:zero_grad()
    return value, g
  end
  local logits = net:vocabulary((net(input))):tolist()
  local want = (entropy(logits[1][2], 10) + entropy(logits[1][4], 9) + entropy(logits[2][1], 8)
    + entropy(logits[2][3], 30)) / 4
  local whole, g = gradient(1 << 20)
  near(whole, want, "the loss")
  local m = o:meter()
  m:add(nil, batch)
  near(m:value().perplexity, math.exp(want), "perplexity")
  near(m:value().bits, want / math.log(2), "bits")
  local parted, h = gradient(4 * 30) -- one row at a time
  near(parted, want, "the loss in parts")
  assert(t.distance(h, g) < 1e-5, "gradients")
  vocabulary.BUDGET = 96 << 20
  o = opened "causal"
  o.net, o.width = net, 30
  local loss, count = o:loss((net(input)), batch)
  t.equal(count, 5)
  near(loss:item(), (entropy(logits[1][1], 3) + entropy(logits[1][2], 4) + entropy(logits[1][3], 5)
    + entropy(logits[2][1], 7) + entropy(logits[2][2], 8)) / 5, "the loss of the next pieces")
end)

t.test("words: runs learn hidden and next words, are tested again, and answer", function()
  local lines = {}
  for i = 1, 120 do
    local out = {}
    for k = 1, 4 + i % 5 do out[k] = ({ "the", "with", "and", "two", "was" })[(i + k) % 5 + 1] end
    lines[i] = table.concat(out, " ")
  end
  core.write_file(folder .. "/lines.txt", table.concat(lines, "\n") .. "\n")
  for name, network in pairs { masked = "bert", causal = "gpt2" } do
    recipe(name, ([[lines { path = "%s/lines.txt", tokenizer = "%s", batch = 8 }]]):format(folder, PIECES),
      ("schedule = { epochs = 8 }, task = tlua.task.%s {}"):format(name))
    local path = ("%s/%s.lua"):format(folder, name)
    core.write_file(path, (core.read_file(path):gsub("models%.bert", "models." .. network)))
    local out = run(("%s --out %s/%s"):format(path, folder, name))
    local first, last = out:match "Epoch 1%].-test perplexity ([%d.]+)", out:match "Epoch 8%].-test perplexity ([%d.]+)"
    assert(tonumber(last) < tonumber(first) / 3, out)
    local eval = core.json_decode(run(("eval %s/%s --json"):format(folder, name)))
    assert(math.abs(eval.perplexity - tonumber(last)) < 0.006, eval.perplexity)
    local page = core.read_file(("%s/%s/report.html"):format(folder, name))
    assert(page:find("perplexity, 24 texts", 1, true), "the report")
  end
  local said = core.json_decode(run(("predict %s/masked 'the with [MASK] two was' --json --top 2"):format(folder)))
  t.equal(#said[1].predictions, 1)
  t.equal(#said[1].predictions[1], 2)
  core.write_file(folder .. "/table.tsv", "id\tsaid\n" .. ("1\tthe with and two was\n"):rep(40))
  out = run(("%s/masked.lua --data texts --data.path %s/table.tsv --data.text said --schedule.epochs 1 --out %s/table")
    :format(folder, folder, folder))
  assert(out:find("test perplexity", 1, true), "a table without labels")
  said = core.json_decode(run(("predict %s/causal 'the with and two' --json"):format(folder)))[1].predictions
  assert(said.perplexity > 1 and said.pieces > 3 and #said.following > 1)
end)

t.test("what does not go together is one line", function()
  local function refused(line, message)
    local status, _, err = t.run(("./tlua %s --quiet --out %s/none"):format(line, folder))
    assert(status == 1 and err:find(message, 1, true) and select(2, err:gsub("\n", "")) == 1, err)
  end
  local path = folder .. "/words.lua"
  refused(path .. " --task span", "task.span wants")
  refused(path .. " --loss MSELoss", "task.tokens: nn.MSELoss compares no classes")
  refused(folder .. "/masked.lua --task causal", "in bert each piece sees those behind it too")
  refused(folder .. "/masked.lua --loss CrossEntropy", "task.masked has a loss of its own")
  refused(folder .. "/masked.lua --data.tokenizer tests/golden/tokenizers/gpt2.json --model.vocabulary 2000",
    "has no piece [MASK] or <mask>, which hides others")
  refused(folder .. "/asked.lua --loss FocalLoss", "task.span has a loss of its own")
end)

t.finish()
