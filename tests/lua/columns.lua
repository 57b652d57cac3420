-- columns.lua - texts on a terminal: columns of wide and combining characters, cut between whole characters, and tables
-- whose columns stand below each other whatever the names.
local core = require "tlua.core"
local t = dofile "tests/lua/run_tests.lua"
local width, pad, cut = core.text.width, core.text.pad, core.text.cut

t.test("widths", function()
  for text, want in pairs {
    [""] = 0, cat = 3, ["고양이"] = 6, ["猫"] = 2, ["ｶ"] = 1, ["قطة"] = 3, ["café"] = 4, ["cafe\u{301}"] = 4,
    ["\u{1100}\u{1161}\u{11A8}"] = 2, -- 각, decomposed
    ["कुत्ता"] = 4, -- ka + u, ta + virama, ta + aa: the last vowel has a column of its own
    ["กำ"] = 2, ["😀"] = 2, ["a\u{200B}b\u{202E}"] = 2, ["\xff\xfe"] = 2, ["a\xed\x95"] = 3, ["…"] = 1,
  } do t.equal(width(text), want, text) end
end)

t.test("padding", function()
  t.equal(pad("고양이", 8), "고양이  ")
  t.equal(pad("고양이", 8, true), "  고양이")
  t.equal(pad("고양이", 5), "고양이")
  t.equal(pad("", 2), "  ")
end)

t.test("cutting leaves characters whole", function()
  local function is(text, most, want, columns, ...)
    local got, n = cut(text, most, ...)
    t.equal(got, want, text)
    t.equal(n, columns, text)
  end
  is("고양이", 6, "고양이", 6)
  is("고양이", 5, "고양…", 5)
  is("고양이", 4, "고…", 3)
  is("고양이", 1, "…", 1)
  is("고양이", 0, "", 0)
  is("cafe\u{301}s", 5, "cafe\u{301}s", 5)
  is("cafe\u{301}s", 4, "caf…", 4)
  is("e\u{301}tude", 2, "e\u{301}…", 2)
  is("abcdef", 4, "abcd", 4, "")
  is("abcdef", 5, "...ef", 5, "...", true)
  is("하나둘셋", 5, "…둘셋", 5, "…", true)
  is("하나둘셋", 4, "…셋", 3, "…", true)
  is("\xff\xff\xff", 2, "\xff…", 2)
  is("\u{1100}\u{1161}\u{1102}\u{1161}", 3, "\u{1100}\u{1161}…", 3)
  local long = ("\u{301}"):rep(50000)
  is(long, 3, long, 0)
  is("ab" .. long, 1, "…", 1)
end)

-- Where `word` begins in each line, in columns.
local function begins(text, word)
  local list = {}
  for line in text:gmatch "[^\n]+" do
    local at = line:find(word, 1, true)
    if at then list[#list + 1] = width(line:sub(1, at - 1)) end
  end
  return list
end

local function all_same(list, n)
  t.equal(#list, n)
  for _, v in ipairs(list) do t.equal(v, list[1]) end
end

t.test("tables", function()
  local tables = require "tlua.command.compare.tables"
  local rows, unit = {}, { few = "a class", many = "a class" }
  for i, way in ipairs { "linear", "고양이", "cafe\u{301}" } do
    rows[i] = { way = way, unit = unit, per_class = 5, pictures = 10, epochs = 3, trained = 1, peak = 1e6, seconds = 1,
      features = 0, accuracy = 0.5 }
  end
  local text = tables.text { unit = unit, rows = rows, figure = { "accuracy", "accuracy", "%.1f" }, many = "pictures",
    baseline = "linear", notes = {} }
  all_same(begins(text, " 3 "), 3)
end)

t.test("names at the prompt", function()
  local complete = require "tlua.repl.complete"
  local text = complete.columns({ "고양이", "강아지들", "새", "cafe\u{301}", "e", "x" }, 21, 24)
  t.equal(text, "고양이    cafe\u{301}\n강아지들  e\n새        x")
end)

t.test("the line of progress", function()
  local progress = require "tlua.run.progress"
  local p = progress.new()
  local said
  p.terminal, p.write = true, function(_, ...) said = table.concat { ... } end
  local before = core.terminal_width
  core.terminal_width = function() return 40 end
  p:update("Epoch 1/2", 1, 2, ("고양이 "):rep(9))
  p.last = -math.huge
  local long = said:match "^\r(.*)\27%[K$"
  p:update("고양이", 1, 2, "loss")
  core.terminal_width = before
  t.equal(width(long) <= 39, true)
  t.equal(width(long) >= 38, true)
  t.equal(utf8.len(long) ~= nil, true)
  t.equal(width(said:match "^\r(.*)\27%[K$") <= 39, true)
end)

t.finish()
