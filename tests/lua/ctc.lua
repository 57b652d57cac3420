-- ctc.lua - connectionist temporal classification: the loss beside all paths and beside sums in double precision.
-- Run by `tlua tests/lua/ctc.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn = tlua.nn

local function ints(list) return core.tensor(list, { dtype = "int32" }) end

-- log softmax of rows, as nested lists of doubles.
local function log_rows(rows)
  local out = {}
  for i, row in ipairs(rows) do
    local most, sum = math.max(table.unpack(row)), 0
    for _, v in ipairs(row) do sum = sum + math.exp(v - most) end
    out[i] = {}
    for k, v in ipairs(row) do out[i][k] = v - most - math.log(sum) end
  end
  return out
end

-- What a path of classes from 0 spells.
local function spelled(path, blank)
  local text, last = {}, nil
  for _, k in ipairs(path) do
    if k ~= last and k ~= blank then text[#text + 1] = k end
    last = k
  end
  return table.concat(text, " ")
end

-- The chance of every text, by all paths: { ["1 2"] = 0.3, ... }.
local function all_texts(rows, blank)
  local chances, path = {}, {}
  local function walk(frame, log_chance)
    if frame > #rows then
      local text = spelled(path, blank)
      chances[text] = (chances[text] or 0) + math.exp(log_chance)
      return
    end
    for k, v in ipairs(rows[frame]) do
      path[frame] = k - 1
      walk(frame + 1, log_chance + v)
    end
  end
  walk(1, 0)
  return chances
end

t.test("the loss is that of all paths", function()
  local checked = 0
  for blank = 0, 2 do
    local x = core.randn(1, 5, 3) * 2
    local rows = log_rows(x:tolist()[1])
    for text, chance in pairs(all_texts(rows, blank)) do
      local labels = {}
      for k in text:gmatch "%d" do labels[#labels + 1] = math.tointeger(k) end
      local targets = #labels > 0 and ints { labels } or core.zeros({ 1, 0 }, { dtype = "int32" })
      local loss = nn.CTCLoss { blank = blank, reduction = "sum" }(x, targets):item()
      local want = -math.log(chance)
      assert(math.abs(loss - want) < 1e-5 * math.max(1, want), ("%s: %g, not %g"):format(text, loss, want))
      checked = checked + 1
    end
  end
  assert(checked > 60, checked)
end)

-- The loss in double precision: the textbook recursion over states.
local function loss_by_states(rows, labels, blank, frames)
  local states = { blank }
  for _, k in ipairs(labels) do states[#states + 1], states[#states + 2] = k, blank end
  local function add(a, b)
    if a == -math.huge then return b elseif b == -math.huge then return a end
    local m = math.max(a, b)
    return m + math.log(math.exp(a - m) + math.exp(b - m))
  end
  local now = {}
  for s = 1, #states do now[s] = s <= 2 and rows[1][states[s] + 1] or -math.huge end
  for frame = 2, frames do
    local before = now
    now = {}
    for s = 1, #states do
      local v = add(before[s], before[s - 1] or -math.huge)
      if s > 2 and states[s] ~= blank and states[s] ~= states[s - 2] then v = add(v, before[s - 2]) end
      now[s] = v + rows[frame][states[s] + 1]
    end
  end
  return -add(now[#states], now[#states - 1] or -math.huge)
end

t.test("long clips keep their digits", function()
  core.manual_seed(3)
  local n, frames, classes, long = 2, 600, 29, 130
  local x = (core.randn(n, frames, classes) * 3):requires_grad(true)
  local targets, lists = {}, x:tolist()
  for i = 1, n do
    targets[i] = {}
    for l = 1, long do targets[i][l] = (l * l * i) % 28 + (((l * l * i) % 28) >= 14 and 1 or 0) end
  end
  local input_lengths, target_lengths = { frames, 411 }, { long, 97 }
  local loss = nn.CTCLoss { blank = 14, reduction = "none" }
  local y = loss(x, ints(targets), ints(input_lengths), ints(target_lengths))
  for i, v in ipairs(y:tolist()) do
    local said = { table.unpack(targets[i], 1, target_lengths[i]) }
    local want = loss_by_states(log_rows(lists[i]), said, 14, input_lengths[i])
    assert(math.abs(v - want) < 1e-6 * want, ("%.9g, not %.9g"):format(v, want))
  end
  -- softmax less the chances of labels: each frame's gradient is 0 in all
  y:sum():backward()
  local g = x.grad
  assert(g:sum { axes = { 3 } }:abs():amax():item() < 1e-5)
  local behind = g:slice { axis = 2, start = 411 }:slice { axis = 1, start = 1 }
  t.equal(behind:abs():amax():item(), 0)
end)

t.test("logarithms of chances are taken as logits are, and the mean is PyTorch's", function()
  local x, y = core.randn(3, 9, 6), ints { { 1, 2, 2 }, { 3, 3, 3 }, { 5, 0, 0 } }
  local frames, labels = ints { 9, 5, 1 }, ints { 3, 3, 1 }
  local each = nn.CTCLoss { reduction = "none" }(x, y, frames, labels):tolist()
  local again = nn.CTCLoss { reduction = "none" }(x:log_softmax(), y, frames, labels):tolist()
  for i = 1, 3 do assert(math.abs(each[i] - again[i]) < 1e-5) end
  local mean = nn.CTCLoss {}(x, y, frames, labels):item()
  assert(math.abs(mean - (each[1] / 3 + each[2] / 3 + each[3]) / 3) < 1e-5)
end)

t.test("what cannot be said is infinite, or left out", function()
  local y, frames, labels = ints { { 1, 1 }, { 1, 2 } }, ints { 2, 2 }, ints { 2, 2 }
  local x = core.randn(2, 4, 3):requires_grad(true)
  local each = nn.CTCLoss { reduction = "none" }(x, y, frames, labels):tolist()
  assert(each[1] == math.huge and each[2] < 100)
  local loss = nn.CTCLoss { zero_infinity = true }(x, y, frames, labels)
  assert(math.abs(loss:item() - each[2] / 2 / 2) < 1e-6)
  loss:backward()
  t.equal(x.grad:slice { axis = 1, start = 0, length = 1 }:abs():amax():item(), 0)
  assert(x.grad:slice { axis = 1, start = 1, length = 1 }:abs():amax():item() > 0.01)
  -- no frame at all, with and without anything to say
  t.equal(nn.CTCLoss { reduction = "none" }(x, y, ints { 0, 0 }, ints { 0, 1 }):tolist()[1], 0)
  t.equal(nn.CTCLoss { reduction = "none" }(x, y, ints { 0, 0 }, ints { 0, 1 }):tolist()[2], math.huge)
end)

t.test("a loss that is no number is seen, one of padding is not", function()
  local rows = core.randn(1, 6, 4):tolist()
  local function loss_with(frame, value, frames)
    local own = rows[1][frame][2]
    rows[1][frame][2] = value
    local x = core.tensor(rows):requires_grad(true)
    rows[1][frame][2] = own
    local y = nn.CTCLoss { zero_infinity = true }(x, ints { { 1, 2 } }, ints { frames }, ints { 2 })
    y:backward()
    return y:item(), x.grad
  end
  local nan = 0 / 0
  assert(loss_with(3, nan, 6) ~= loss_with(3, nan, 6))
  assert(loss_with(3, math.huge, 6) ~= loss_with(3, math.huge, 6))
  local y, g = loss_with(6, nan, 5)
  assert(y == y and g:abs():amax():item() < 2)
  -- a class of no chance is no error
  y, g = loss_with(3, -math.huge, 6)
  assert(y == y and y < 100 and g:abs():amax():item() < 2)
end)

t.test("labels and lengths that make no sense are refused by name", function()
  local x, y = core.randn(2, 4, 3), ints { { 1, 2 }, { 2, 1 } }
  local loss = nn.CTCLoss {}
  local function refused(why, ...)
    local given = { ... }
    t.fails(why, function() return loss(x, table.unpack(given, 1, 3)):item() end)
  end
  refused("label 3 is out of range: it must lie between 0 and 2", ints { { 1, 3 }, { 1, 1 } })
  refused("label 0 is the blank, which no target may have", ints { { 1, 2 }, { 0, 1 } })
  refused("input length 5 is out of range: it must lie between 0 and 4", y, ints { 4, 5 })
  refused("target length -1 is out of range: it must lie between 0 and 2", y, nil, ints { -1, 1 })
  refused("there are 2 clips, but the lengths of their frames are (3)", y, ints { 4, 4, 4 })
  refused("logits (N, T, K) and targets (N, L) are needed", ints { 1, 2 })
  t.fails("the blank must be one of the 3 classes, counted from 0, not 7", function()
    return nn.CTCLoss { blank = 7 }(x, y)
  end)
  assert(loss(x, y):item() > 0) -- and the device goes on
  -- behind the lengths anything may stand
  assert(loss(x, ints { { 1, -1 }, { 2, 99 } }, nil, ints { 1, 1 }):item() > 0)
end)

-- ---- from frames to texts ----

local ctc = core.ctc
local exact = { width = 2000, least = -math.huge, behind = math.huge }

local function exactly(more)
  local o = {}
  for key, v in pairs(exact) do o[key] = v end
  for key, v in pairs(more or {}) do o[key] = v end
  return o
end

t.test("a wide search finds the likeliest text of all paths, and its chance", function()
  core.manual_seed(5)
  for case = 1, 30 do
    local blank = case % 4
    local x = core.randn(5, 4) * (1 + case % 3)
    local chances, list = all_texts(log_rows(x:tolist()), blank), {}
    for text, chance in pairs(chances) do list[#list + 1] = { text, chance } end
    table.sort(list, function(a, b) return a[2] > b[2] end)
    local said = ctc.beam(x, nil, exactly { blank = blank, best = 5 })
    for i = 1, 5 do
      t.equal(table.concat(said.best[i].labels, " "), list[i][1])
      assert(math.abs(said.best[i].score - math.log(list[i][2])) < 1e-5)
    end
    t.equal(table.concat(said.labels, " "), list[1][1])
    -- a narrow one is no better
    assert(ctc.beam(x, nil, { blank = blank, width = 2 }).score <= said.score + 1e-9)
  end
end)

-- pyctcdecode drops what ends in a blank and what does not apart from each other, and so may lose more of a chance.
t.test("a search finds what pyctcdecode finds, or what is likelier", function()
  local golden, same = core.json_decode(core.read_file "tests/golden/beam.json"), 0
  for _, clip in ipairs(golden.clips) do
    local said, letters = ctc.beam(core.tensor(clip.x), nil, { width = 100, least = -5, behind = 10 }), {}
    for i, k in ipairs(said.labels) do letters[i] = ("abcde"):sub(k, k) end
    if table.concat(letters) == clip.text then same = same + 1 end
    assert(said.score >= clip.score - 1e-5 and said.score < clip.score + 0.5)
  end
  assert(same >= #golden.clips - 2, same)
end)

t.test("a search with a language model finds the best sum", function()
  local model = ctc.ngram({ { 1, 2, 3 }, { 1, 2, 2 }, { 3, 1 }, {} }, { classes = 4, order = 3 })
  core.manual_seed(6)
  for _ = 1, 20 do
    local x = core.randn(5, 4)
    local best, which = -math.huge, nil
    for text, chance in pairs(all_texts(log_rows(x:tolist()), 0)) do
      local before, sum = {}, math.log(chance)
      for k in text:gmatch "%d" do
        sum = sum + 0.7 * model:log(before, math.tointeger(k)) + 0.4
        before[#before + 1] = math.tointeger(k)
      end
      sum = sum + 0.7 * model:log(before, 4)
      if sum > best then best, which = sum, text end
    end
    local said = ctc.beam(x, nil, exactly { model = model, alpha = 0.7, beta = 0.4 })
    t.equal(table.concat(said.labels, " "), which)
    assert(math.abs(said.score + said.model - best) < 1e-5)
  end
end)

t.test("the best path, with the frames of its symbols", function()
  local high = { { 9, 0, 0 }, { 0, 9, 0 }, { 0, 7, 0 }, { 9, 0, 0 }, { 0, 8, 0 }, { 0, 0, 9 }, { 0, 0, 5 } }
  local said = ctc.greedy(core.tensor(high))
  t.equal(table.concat(said.labels, " "), "1 1 2")
  t.equal(table.concat(said.begins, " "), "1 4 5")
  t.equal(table.concat(said.ends, " "), "3 5 7")
  t.equal(table.concat(said.peaks, " "), "1 4 5")
  t.equal(said.blanks, 2)
  assert(math.abs(said.chances[1] - 1 / (1 + 2 * math.exp(-9))) < 1e-6)
  local many = ctc.greedy(core.tensor { high, high }, { 3, 0 })
  t.equal(table.concat(many[1].labels, " "), "1")
  t.equal(#many[2].labels, 0)
  t.equal(many[2].score, 0)
  -- the same of its alignment
  local laid = ctc.align(core.tensor(high), { 1, 1, 2 })
  for _, what in ipairs { "begins", "ends", "peaks" } do
    t.equal(table.concat(laid[what], " "), table.concat(said[what], " "))
  end
  assert(math.abs(laid.score - said.score) < 1e-6)
end)

t.test("an alignment is the best of all paths that spell the text", function()
  core.manual_seed(7)
  for _ = 1, 20 do
    local x = core.randn(6, 3)
    local rows, best, path = log_rows(x:tolist()), -math.huge, {}
    local function walk(frame, sum)
      if frame > 6 then
        if spelled(path, 0) == "1 1 2" and sum > best then best = sum end
        return
      end
      for k = 0, 2 do
        path[frame] = k
        walk(frame + 1, sum + rows[frame][k + 1])
      end
    end
    walk(1, 0)
    assert(math.abs(ctc.align(x, { 1, 1, 2 }).score - best) < 1e-5)
  end
  t.fails("3 symbols want at least 4 frames, there are 3",
    function() return ctc.align(core.randn(3, 3), { 1, 1, 2 }) end)
  t.fails("label 2 is 0, and must be a class below 3 other than the blank",
    function() return ctc.align(core.randn(3, 3), { 1, 0 }) end)
end)

t.test("what is no number is no chance, and no frames no text", function()
  local nan = 0 / 0
  local none = -math.huge
  local x = core.tensor { { nan, 1, 0 }, { nan, nan, nan }, { 0, math.huge, 0 }, { none, none, none } }
  local said = ctc.greedy(x)
  t.equal(table.concat(said.labels, " "), "1 1")
  t.equal(said.unknown, 2)
  t.equal(table.concat(ctc.beam(x).labels, " "), "1 1")
  for _, empty in ipairs { core.zeros(0, 3), core.zeros(2, 0, 3) } do
    local got = ctc.beam(empty)
    t.equal(#(got.labels or got[2].labels), 0)
    got = ctc.greedy(empty)
    t.equal(#(got.labels or got[1].labels), 0)
  end
  t.equal(#ctc.align(core.zeros(0, 3), {}).labels, 0)
  t.fails("ctc.greedy: there are 1 clips and 2 lengths", function() return ctc.greedy(x, { 1, 2 }) end)
  t.fails("ctc.greedy: length 1 is 5, and there are 4 frames", function() return ctc.greedy(x, { 5 }) end)
end)

t.test("distances, and what stands for what", function()
  local function letters(text)
    local list = {}
    for c in text:gmatch "." do list[#list + 1] = c end
    return list
  end
  for _, case in ipairs { { "kitten", "sitting", 2, 1, 0 }, { "", "ab", 0, 2, 0 }, { "abc", "", 0, 0, 3 },
    { "same", "same", 0, 0, 0 }, { "intention", "execution", 5, 0, 0 }, { "abcdef", "bcdefg", 0, 1, 1 } } do
    local e = ctc.edit(letters(case[1]), letters(case[2]), { pairs = true })
    t.equal(table.concat({ e.substitutions, e.insertions, e.deletions }, " "), table.concat(case, " ", 3))
    t.equal(e.distance, e.substitutions + e.insertions + e.deletions)
    local changed, i, j = 0, 0, 0
    for _, p in ipairs(e.pairs) do
      if p[1] then i = i + 1 end
      if p[2] then j = j + 1 end
      assert((not p[1] or p[1] == i) and (not p[2] or p[2] == j), "pairs go on in order")
      if not p[1] or not p[2] or case[1]:sub(i, i) ~= case[2]:sub(j, j) then changed = changed + 1 end
    end
    t.equal(changed, e.distance)
    t.equal(i, #case[1])
    t.equal(j, #case[2])
  end
end)

t.test("a language model sums to one, is bounded, and comes back from a table", function()
  local texts = {}
  for i = 1, 40 do
    texts[i] = {}
    for k = 1, i % 9 do texts[i][k] = (i * k * k + k) % 6 end
  end
  local whole = ctc.ngram(texts, { classes = 6, order = 4 })
  local bounded = ctc.ngram(texts, { classes = 6, order = 4, most = 30 })
  local read = ctc.ngram_from(core.json_decode(core.json_encode(whole:table())))
  local n = 0
  for length, list in ipairs(bounded:table().counts) do n = n + #list // (length + 1) end
  t.equal(n, 30)
  for _, before in ipairs { {}, { 1 }, { 5, 5, 5, 5 }, texts[8], texts[17] } do
    for _, model in ipairs { whole, bounded, read } do
      local sum = 0
      for k = 0, 6 do sum = sum + math.exp(model:log(before, k)) end
      assert(math.abs(sum - 1) < 1e-12, sum)
    end
    for k = 0, 6 do t.equal(read:log(before, k), whole:log(before, k)) end
  end
  -- by hand: behind 0 once 1 and once the end, behind all 0 twice, 1 once, the end twice
  local small = ctc.ngram({ { 0, 1 }, { 0 } }, { classes = 2, order = 2 })
  local below = (1 + 3 / 3) / (5 + 3)
  assert(math.abs(math.exp(small:log({ 0 }, 1)) - (1 + 2 * below) / (2 + 2)) < 1e-12)
  t.fails("text 1 has label 7, and there are 6 classes", function() return ctc.ngram({ { 7 } }, { classes = 6 }) end)
  t.fails("end amid one", function() return ctc.ngram_from { order = 1, classes = 2, counts = { { 1, 2, 3 } } } end)
end)

t.finish()
