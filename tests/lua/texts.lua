-- texts.lua - texts as data, and networks that learn from them: what tables mean, what is refused and how, batches of
-- pieces with marks and hidden words, runs whose model file keeps the tokenizer and is tested again.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local data, task = tlua.data, tlua.task
local texts = require "tlua.data.texts"
local tokenizer = require "tlua.data.texts.tokenizer"

local folder = t.folder()
local PIECES = "tests/golden/tokenizers/wordpiece.json"
local own = tokenizer.open(PIECES)

local GOOD, BAD = { "the", "with", "and" }, { "two", "was", "for" }
local function review(i, words)
  local out = {}
  for k = 1, 2 + i % 5 do out[k] = words[(i * 7 + k * 3) % #words + 1] end
  return table.concat(out, " ")
end

-- A table of n reviews, by halves of two classes.
local function reviews(name, n, from)
  local lines = { "id\tdocument\tlabel" }
  for i = 1, n do
    local good = (i + (from or 0)) % 2 == 0
    lines[#lines + 1] = ("%d\t%s %d\t%d"):format(i, review(i, good and GOOD or BAD), i + (from or 0), good and 1 or 0)
  end
  local path = ("%s/%s.tsv"):format(folder, name)
  core.write_file(path, table.concat(lines, "\n") .. "\n")
  return path
end

local function open(d, options)
  options = options or {}
  options.tokenizer = own
  return data.open(d, { longest = 64, types = true }, 0, options)
end

t.test("a table of texts: parts, classes, pieces", function()
  local built = open(data.texts { path = reviews("a", 40), test = reviews("b", 10, 100), text = "document" })
  t.equal(("%d %d"):format(built.train:count(), built.test:count()), "40 10")
  t.equal(table.concat(built.classes, " "), "0 1")
  t.equal(built.input.kind, "text")
  local window = built.train:window(1)
  t.equal(built.texts.texts[window.text], review(1, BAD) .. " 1")
  t.equal(window.sequence[1], -1)
  t.equal(own.handle:piece(window.ids[1]), "[CLS]")
  t.equal(built.train:length(1), #window.ids)
  t.equal(built.train:path(3), folder .. "/a.tsv:4")
  t.equal(built.test:path(2), folder .. "/b.tsv:3")
  assert(built.said[2]:find "^pieces    %d+ to %d+ of a text", built.said[2])
end)

t.test("texts of the test that stand in the training too are counted", function()
  core.write_file(folder .. "/twice.tsv", "text\tlabel\tpart\nthe two\ta\ttrain\nwith\tb\ttrain\n"
    .. "the two\ta\ttest\nfor\tb\ttest\n")
  local built = open(data.texts { path = folder .. "/twice.tsv", part = "part" })
  assert(built.said[3]:find "^warning   1 of the test texts stand among the training texts too, like 'the two'",
    built.said[3])
end)

t.test("quotes are letters of TSV, and hold cells of CSV together", function()
  core.write_file(folder .. "/q.tsv", 'text\tlabel\n"good" he said\ta\n"bad\tb\nof course\ta\nno "\tb\nx\ta\n')
  local built = open(data.texts { path = folder .. "/q.tsv" })
  t.equal(built.texts.texts[2], '"bad')
  core.write_file(folder .. "/q.csv", 'text,label\n"good, and\nnew",a\n"he said ""no""",b\nx,a\ny,b\nz,a\n')
  built = open(data.texts { path = folder .. "/q.csv" })
  t.equal(built.texts.texts[1], "good, and\nnew")
  t.equal(built.texts.texts[2], 'he said "no"')
  t.equal(built.texts.places[2], folder .. "/q.csv:4")
  t.fails("text behind a closing quote", open,
    data.texts { path = folder .. "/q.tsv", quotes = "yes" })
end)

t.test("what a table of texts must not be: one line with its place", function()
  local function refused(text, message, options)
    core.write_file(folder .. "/wrong.tsv", text)
    options = options or {}
    options.path = folder .. "/wrong.tsv"
    local e = t.fails(message, open, data.texts(options))
    assert(not e:find "\n", e)
  end
  refused("text\tlabel\n \t1\nb\t0\n", "wrong.tsv:2: an empty text; --data.on_bad skip leaves such out")
  refused("text\tlabel\n", "has no rows below its header")
  refused("text\tlabel\na\t1\nb\n", "wrong.tsv:3: this row has 1 cells")
  refused("text\tlabel\na\xff\t1\nb\t0\n", "wrong.tsv:2: column 1: bytes that are no UTF-8")
  refused("text\tlabel\na\t1\nb\t1\n", "column 'label' has one class only, 1")
  refused("text\tlabel\na\t\nb\t1\n", "wrong.tsv:2: column 'label' is empty, and a class is needed")
  refused("words\tlabel\na\t1\n", "has no column 'text' (text)")
end)

t.test("what the tokenizer refuses of a text is said of its row", function()
  core.write_file(folder .. "/wide.tsv", "a\tb\tlabel\nthe\twith\tx\n" .. ("the "):rep(40) .. "\twith\ty\n")
  local e = t.fails("wide.tsv:3: the other text of the pair has 40 numbers, which leaves none of 16", open,
    data.texts { path = folder .. "/wide.tsv", text = "a", pair = "b", longest = 16, cut = "second" })
  assert(not e:find "\n", e)
end)

t.test("texts of more pieces than are wanted are cut and counted; one of a million letters too", function()
  core.write_file(folder .. "/long.tsv", "text\tlabel\n" .. ("the "):rep(250000)
    .. "\ta\nthe\tb\nwith\ta\nand\tb\nfor\ta\n")
  local built = open(data.texts { path = folder .. "/long.tsv", longest = 16 })
  assert(built.said[2]:find("1 of 5 are cut at 16", 1, true), built.said[2])
  t.fails("longest = 65, and the network knows 64 places", open,
    data.texts { path = folder .. "/long.tsv", longest = 65 })
end)

t.test("batches: lengths, padding, types of pairs, texts of like length together", function()
  local lines = { "a\tb\tscore" }
  for i = 1, 23 do lines[#lines + 1] = ("%s\t%s\t%g"):format(review(i, GOOD), review(i + 1, BAD), i / 2) end
  core.write_file(folder .. "/pairs.tsv", table.concat(lines, "\n") .. "\n")
  local d = data.texts { path = folder .. "/pairs.tsv", text = "a", pair = "b", target = "score", batch = 4, split = 0 }
  local built = open(d, { task = task.regress {} })
  assert(built.preprocessing.types)
  local seen, wide = {}, 0
  local loader <close> = data.loader(built, "train", 3)
  t.equal(loader:batches(), 6)
  loader:start(1)
  while true do
    local scope <close> = core.scope()
    local x, _, n, indices, _, more = loader:next()
    if not x then break end
    t.equal(x:dtype(), "int32")
    t.equal(x:shape(3), 2)
    local values, list = more.values:tolist(), x:tolist()
    for k = 1, n do
      local window = built.train:window(indices[k])
      t.equal(more.length_list[k], #window.ids)
      for at = 1, x:shape(2) do
        t.equal(list[k][at][1], window.ids[at] or built.preprocessing.pad)
        t.equal(list[k][at][2], window.types[at] or 0)
      end
      t.equal(values[k][1], window.text / 2)
      seen[indices[k]] = true
    end
    wide = wide + n * x:shape(2)
  end
  for i = 1, 23 do assert(seen[i]) end
  local plain = open(data.texts { path = folder .. "/pairs.tsv", text = "a", pair = "b", target = "score", batch = 4,
    split = 0, buckets = false }, { task = task.regress {} })
  local other, more_wide = data.loader(plain, "train", 3), 0
  other:start(1)
  for _ = 1, 6 do
    local x = other:next()
    more_wide = more_wide + x:shape(1) * x:shape(2)
  end
  other:close()
  assert(more_wide > wide, "buckets pad less")
end)

t.test("batches of so many pieces", function()
  local built = open(data.texts { path = reviews("pieces", 50), text = "document", batch = "40 pieces", split = 0 })
  local loader, n = data.loader(built, "train", 0), 0
  loader:start(1)
  for _ = 1, loader:batches() do
    local x = loader:next()
    assert(x:shape(1) * x:shape(2) <= 40)
    n = n + x:shape(1)
  end
  loader:close()
  t.equal(n, 50)
end)

t.test("hidden words: by seed and epoch alone, never the template's, marks tell what was there", function()
  local built = open(data.texts { path = reviews("hidden", 60), text = "document", split = 0, batch = 60 })
  local MASK, SIZE = own.handle:id "[MASK]", own.handle:size()
  built.masking = { share = 0.3, mask = MASK, size = SIZE }
  local function epoch(number, threads)
    built.threads = threads
    local loader <close> = data.loader(built, "train", 5)
    loader:start(number)
    local x, _, n, indices, _, more = loader:next()
    local out = {}
    for k = 1, n do out[indices[k]] = { x:tolist()[k], more.marks:tolist()[k] } end
    return out
  end
  local first, again, second = epoch(1, 1), epoch(1, 2), epoch(2, 1)
  local marked, masked, own_count, same, differs = 0, 0, 0, 0, false
  for i = 1, 60 do
    local window = built.train:window(i)
    local some = false
    for at = 1, #window.ids do
      local id, mark = first[i][1][at], first[i][2][at]
      own_count = own_count + (window.sequence[at] >= 0 and 1 or 0)
      if mark ~= -100 then
        some = true
        t.equal(mark, window.ids[at])
        assert(window.sequence[at] >= 0)
        marked, masked, same = marked + 1, masked + (id == MASK and 1 or 0), same + (id == mark and 1 or 0)
      else t.equal(id, window.ids[at]) end
      t.equal(again[i][1][at], id)
      differs = differs or second[i][1][at] ~= id
    end
    assert(some)
  end
  assert(differs)
  assert(marked > 0.25 * own_count and marked < 0.55 * own_count, marked)
  assert(masked > 0.65 * marked and masked < 0.95 * marked and same > 0 and same < 0.25 * marked)
end)

t.test("marks and spans reach their batches, at the pieces that they were said of", function()
  local found = { texts = {}, labels = {}, said = {} }
  for i = 1, 9 do found.texts[i], found.labels[i] = review(i, GOOD), i % 2 == 0 and "x" or "y" end
  found.mark = function(window)
    local out = {}
    for k, id in ipairs(window.ids) do out[k] = window.sequence[k] < 0 and -100 or id % 3 end
    return out
  end
  found.span = function(window) return { 1, #window.ids - 2 } end
  local prepared = texts.prepare(data.texts { path = "none" }, found, { base = { longest = 64, types = true },
    tokenizer = own })
  local source = core.data.source("records", prepared.record)
  local loader = core.data.loader(source, core.data.pipeline {}, { batch = 9, pad = 0 })
  loader:start(1)
  local _, _, _, _, _, more = loader:next()
  local marks, spans = more.marks:tolist(), more.spans:tolist()
  for i = 1, 9 do
    local window = source:window(i)
    for k = 1, #marks[i] do
      local id = window.ids[k]
      t.equal(marks[i][k], (not id or window.sequence[k] < 0) and -100 or id % 3)
    end
    t.equal(spans[i][2], #window.ids - 2)
    t.equal(window.marks[2], marks[i][2])
  end
  loader:close()
  t.fails("window 1 has", core.data.source, "records", { pieces = own.handle:encode_all { "the" }, spans = { 0, 99 } })
  t.fails("marks are 1 numbers", core.data.source, "records",
    { pieces = own.handle:encode_all { "the" }, marks = { 0 } })
end)

-- ---- runs ----

local function recipe_text(more)
  return ([[local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.bert { width = 32, layers = 1, heads = 2, inner = 64, vocabulary = %d, positions = 64,
    dropout = 0 },
  data = tlua.data.texts { path = "%s/train.tsv", test = "%s/test.tsv", text = "document", tokenizer = "%s",
    batch = 8 },
  optim = tlua.optim.AdamW { lr = 5e-3 }, schedule = { epochs = 4 }, %s
}]]):format(own.handle:size(), folder, folder, PIECES, more or "")
end

t.test("a run learns, and its model file keeps the tokenizer: eval says the same", function()
  reviews("train", 120)
  reviews("test", 30, 200)
  core.write_file(folder .. "/mine.lua", recipe_text())
  local status, out, err = t.run(("./tlua %s/mine.lua --out %s/run"):format(folder, folder))
  t.equal(status, 0, err)
  local accuracy = tonumber(out:match "Epoch 4%].-test accuracy ([%d.]+) %%")
  assert(accuracy and accuracy > 95, out)
  assert(out:find("tokenizer " .. PIECES, 1, true))
  local net = require("tlua.weights.model_file").load(folder .. "/run")
  t.equal(net:tokenizer().sha256, own.sha256)
  status, out, err = t.run(("./tlua eval %s/run"):format(folder))
  t.equal(status, 0, err)
  t.equal(tonumber(out:match "accuracy ([%d.]+) %%"), accuracy, out)
end)

t.test("a model file whose parts do not go together is refused in one line", function()
  local path, json = folder .. "/lies.safetensors", require "tlua.weights.model_file"
  local tensors, meta = core.load(folder .. "/run/model.safetensors")
  local function refused(message, change)
    local info = core.json_decode(meta.tlua)
    local own_tensors = {}
    for name, x in pairs(tensors) do own_tensors[name] = x end
    change(info.preprocessing, own_tensors)
    core.save(path, own_tensors, { tlua = core.json_encode(info), format = "pt" })
    local e = t.fails(message, json.load, path)
    assert(not e:gsub("\n  in [%w.]+", ""):find "\n", e) -- modules say where they stand
  end
  refused("its tokenizer is damaged", function(_, x) x["tlua.tokenizer"] = core.zeros({ 40 }, { dtype = "uint8" }) end)
  refused("cannot hold a text of", function(_, x)
    x["tlua.tokenizer"] = core.tensor({ 0, 0, 0, 32, 0, 0, 0, 0, 1 }, { dtype = "uint8" })
  end)
  refused("is not the one that it was trained with", function(p) p.tokenizer = "abc" end)
  refused("texts end in number 100000", function(p) p.pad = 100000 end)
  refused("texts of 65 pieces, and the network knows 64 places", function(p) p.longest = 65 end)
  for _, wrong in ipairs { { "cut", "words" }, { "stride", 1e30 }, { "stride", 64 }, { "longest", "x" },
    { "types", 1 } } do
    refused("its description is damaged: preprocessing", function(p) p[wrong[1]] = wrong[2] end)
  end
end)

t.test("an interrupted run goes on to the same bits", function()
  local function losses(name)
    local out = {}
    for line in core.read_file(("%s/%s/metrics.csv"):format(folder, name)):gmatch "[^\n]+" do
      out[#out + 1] = table.concat({ line:match "^([^,]*),([^,]*),([^,]*),([^,]*)" }, " ")
    end
    return table.concat(out, "\n")
  end
  t.equal(t.run(("./tlua %s/mine.lua --out %s/half --schedule.epochs 2 --quiet"):format(folder, folder)), 0)
  t.equal(t.run(("./tlua %s/mine.lua --resume %s/half --schedule.epochs 4 --force --quiet"):format(folder, folder)), 0)
  t.equal(losses "half", losses "run")
  local a, b = core.load(folder .. "/half/model.safetensors"), core.load(folder .. "/run/model.safetensors")
  for name, x in pairs(b) do t.equal(a[name]:hash(), x:hash(), name) end
end)

t.test("what stands for a text is kept where all below the head is frozen, and the run is the same", function()
  local command = ("./tlua %s/mine.lua --freeze 'bert.*' --schedule.epochs 3 --cache.folder %s/kept "
    .. "--cache.dtype float32"):format(folder, folder)
  local status, out, err = t.run(command .. (" --out %s/kept_run"):format(folder))
  t.equal(status, 0, err)
  assert(out:find("cache     after bert.pooler.dense", 1, true), out)
  status, out, err = t.run(command .. (" --cache false --out %s/plain_run"):format(folder))
  t.equal(status, 0, err)
  assert(out:find("cache     none: cache = false", 1, true), out)
  local a, b = core.load(folder .. "/kept_run/model.safetensors"), core.load(folder .. "/plain_run/model.safetensors")
  assert(t.distance(a["classifier.weight"], b["classifier.weight"]) < 1e-4)
  status, _, err = t.run(("./tlua %s/mine.lua --freeze 'bert.embeddings.*' --schedule.epochs 1 --cache true "
    .. "--out %s/none"):format(folder, folder))
  assert(status == 1 and err:find("texts differ in length: only what stands for a whole text is kept", 1, true), err)
end)

t.test("a folder's network stays that of the folder when options change; weights may be another file's", function()
  local path = "tests/golden/text/bert"
  core.write_file(folder .. "/folder.lua", ([[local tlua = require "tlua"
return tlua.recipe { model = tlua.models.from_folder { path = "%s", hint = "make it" },
  data = tlua.data.texts { path = "x.tsv", tokenizer = "%s" } }]]):format(path, PIECES))
  local r = dofile(folder .. "/folder.lua")
  r:override { { "model.pool", "mean" } }
  local net = r.model
  net:ready()
  local want = core.load(path .. "/model.safetensors")
  local name = "bert.embeddings.word_embeddings.weight"
  for path_of, p in net:parameters() do
    if path_of == name then t.equal(p:hash(), want[name]:hash()) end
  end
  t.equal(net.o.pool, "mean")
  r:override { { "model.weights", "none" } }
  r.model:ready()
  for path_of, p in r.model:parameters() do
    if path_of == name then assert(p:hash() ~= want[name]:hash()) end
  end
  t.fails("config.json is not there; make it", tlua.models.from_folder,
    { path = folder .. "/nowhere", hint = "make it" })
end)

t.test("networks and data that do not go together", function()
  local function refused(text, message)
    core.write_file(folder .. "/no.lua", text)
    local status, _, err = t.run(("./tlua %s/no.lua --quiet --out %s/none"):format(folder, folder))
    assert(status == 1 and err:find(message, 1, true) and select(2, err:gsub("\n", "")) == 1, err)
  end
  refused((recipe_text():gsub("tlua.models.bert {.-},\n", 'tlua.models.resnet18 {},\n')), "resnet18 reads no texts")
  refused((recipe_text():gsub("tlua.data.texts {.-},\n", 'tlua.data.cifar10 { root = "x" },\n')),
    "reads texts, and data.cifar10 has none")
  refused((recipe_text():gsub('tokenizer = "[^"]*",', "")), "the network brings no tokenizer; --data.tokenizer FILE")
  refused(recipe_text "augment = { flip = true }", "augment: flip: texts are learnt as they stand")
  refused((recipe_text():gsub("vocabulary = %d+", "vocabulary = 100")), "of another network")
end)

t.finish()
