-- letters.lua - words of any script in pictures: shaped and ordered as their script is, cut behind whole
-- characters, and what is said where a library or a font is missing; then a data set with Korean names through the
-- commands.
local core = require "tlua.core"
local util = require "tlua.util"
local t = dofile "tests/lua/run_tests.lua"
local dir = os.tmpname()
os.remove(dir)
core.mkdirs(dir)

local said = {}
local note = util.note
util.note = function(text) said[#said + 1] = text end

-- The pixels of a text in a page of so many pixels, as bytes.
local function drawn(text, width, height, size)
  local page = core.zeros({ height or 40, width or 400, 3 }, { dtype = "uint8" })
  return core.data.lettered(page, { { text, 4, 4, size or 2 } })
end
local function pixels(...) return drawn(...):hash() end
local function width(text, size) return (core.data.text_size(text, size or 2)) end

-- From the first to the last column with ink, counted from 0.
local function ink(...)
  local first, last
  for x, v in ipairs(drawn(...):to("float32"):amax { axes = { 1, 3 } }:tolist()) do
    if v > 0 then first, last = first or x - 1, x - 1 end
  end
  return first, last
end

local WORDS = { Korean = { "고양이", "강아지" }, Arabic = { "قطة", "كلب" },
  Devanagari = { "बिल्ली", "कुत्ता" }, Hebrew = { "חתול", "כלב" },
  Chinese = { "猫", "狗" }, Japanese = { "ねこ", "いぬ" }, Thai = { "แมว", "หมา" },
  Cyrillic = { "кошка", "собака" } }
drawn "고قतא猫ねแк"
local there = not said[1] -- where this machine has no fonts for them
if not there then print "skipped: fonts-noto-core and fonts-noto-cjk are not here, so letters are not drawn" end

local function test(name, f)
  if there then t.test(name, f) end
end

test("words of all scripts are drawn, each otherwise, and none as '?'", function()
  said = {}
  local seen = {}
  for script, words in pairs(WORDS) do
    for _, word in ipairs(words) do
      for size = 1, 3 do
        local hash = pixels(word, 400, 60, size)
        assert(not seen[hash], script .. ": " .. word .. " looks like " .. tostring(seen[hash]))
        seen[hash] = word
      end
      t.equal(pixels(word), pixels(word), "the same word")
    end
  end
  t.equal(said[1], nil)
end)

test("letters that are lined up are not letters that stand alone", function()
  assert(width "قطة" < width "ق" + width "ط" + width "ة", "Arabic letters join")
  assert(width "क्ष" < width "क" + width "ष", "a conjunct is one")
  assert(pixels "कि" ~= pixels "िक", "a vowel is put before its consonant")
  t.equal(pixels "\u{1100}\u{1161}\u{11A8}", pixels "각", "decomposed Hangul")
  t.equal(pixels "cafe\u{301}", pixels "café", "decomposed Latin")
  t.equal(width "한 글" > width "한글", true)
end)

test("lines from right to left", function()
  t.equal(pixels "éא", pixels "אé", "the first strong letter says from where")
  assert(pixels "é א b" ~= pixels "א é b")
  t.equal(pixels "א (é)", pixels "\u{2067}א (é)\u{2069}", "brackets are turned around")
  local first = ink("קטן", 400)
  assert(first >= 4 and first < 10, "it begins on the left of its place: " .. first)
end)

test("one font lends another what it has not", function()
  said = {}
  local all, sum = width "cat قطة 고양이 बिल्ली ねこ", 0
  for _, word in ipairs { "قطة", "고양이", "बिल्ली", "ねこ" } do sum = sum + width(word) end
  assert(all > sum, "all five words are there")
  t.equal(said[1], nil)
end)

-- Which beginning of a text stands there, with dots behind it: bytes of it.
local function shown_of(text, room)
  local at, want = 0, pixels(text, room + 4, 60)
  for _, c in ipairs((core.characters(text))) do
    at = at + #c
    local part = text:sub(1, at) .. "..."
    if width(part) <= room and pixels(part, room + 4, 60) == want then return at end
  end
end

test("what is too wide ends in dots behind a whole character", function()
  for _, text in ipairs { "고양이와 강아지와 새",
    "\u{1100}\u{1161}\u{11A8}\u{1112}\u{1161}\u{11AB}가나다라",
    "क्षत्रिय क्षत्रिय", "قطة كبيرة جدا",
    "e\u{323}\u{302}e\u{323}\u{302}éee" } do
    local ends = {}
    for k = 0, 60 do ends[#core.text.cut(text, k, "")] = true end
    for room = width "..." + 30, width(text) - 1, 7 do
      local _, last = ink(text, room + 4, 60)
      assert(last < room + 4, text)
      local at = shown_of(text, room)
      assert(at and at < #text and ends[at], ("%s in %d pixels is cut behind byte %s"):format(text, room, at))
    end
  end
end)

test("any bytes can be a name", function()
  for _, text in ipairs { "\xff\xfe고", "고\0양", "\u{202E}고양이\u{202C}\u{202C}", ("\u{2067}"):rep(200) .. "א",
    "a\27[31m고\n",
    ("\u{301}"):rep(1000), "고" .. ("\u{301}"):rep(100000), ("고"):rep(100000), ("\u{202B}"):rep(100000),
    "é" .. ("x"):rep(100000), "\u{E000}\u{10FFFF}é", "" } do
    local w, h = core.data.text_size(text, 2)
    assert(w >= 0 and h >= 16 and h <= 64)
    local _, last = ink(text, 120, 60)
    assert((last or 0) < 120)
    core.data.boxed(core.zeros({ 50, 50, 3 }, { dtype = "uint8" }), { { 5, 25, 40, 45, 1, text:gsub("%z", "") } })
  end
  assert(pixels "\xffé" ~= pixels "é" and pixels "\xffé" == pixels "\u{FFFD}é")
end)

-- ---- what is missing ----

local CODE = [[-e 'local core = require "tlua.core"
for i, text in ipairs { "고양이 cat", "??? cat", "강아지" } do
  local page = core.data.lettered(core.zeros({ 20, 80, 3 }, { dtype = "uint8" }), { { text, 1, 1, 1 } })
  print(page:hash(), core.data.text_size(text, 1))
end']]

-- Runs it in an environment; what it prints has question marks, and one line says what to install.
local function lacks(environment, words)
  local status, out, err = t.run(environment .. " ./tlua " .. CODE)
  t.equal(status, 0, err)
  local lines = {}
  for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
  t.equal(lines[1], lines[2], "letters that cannot be drawn")
  local _, times = err:gsub("tlua: ", "")
  t.equal(times, 1, err)
  assert(err:find(words, 1, true), err)
end

t.test("without a font, or a library, each letter is '?', and it is said once what to install", function()
  core.write_file(dir .. "/none.conf", '<?xml version="1.0"?><fontconfig></fontconfig>')
  lacks("FONTCONFIG_FILE=" .. dir .. "/none.conf",
    "there is no font: install some (Debian packages fonts-noto-core and, for Chinese, Japanese and Korean, "
      .. "fonts-noto-cjk)")
  for name, package in pairs { ["libharfbuzz.so.0"] = "libharfbuzz0b", ["libfribidi.so.0"] = "libfribidi0" } do
    core.mkdirs(dir .. "/" .. name)
    core.write_file(("%s/%s/%s"):format(dir, name, name), "this is no library")
    lacks(("LD_LIBRARY_PATH=%s/%s"):format(dir, name), ("install it (Debian package %s)"):format(package))
  end
end)

test("a letter that no font has", function()
  local status, font = t.run "fc-match -f '%{file}' 'Noto Sans:lang=en'"
  if status ~= 0 or not font:find "NotoSans%-Regular" then return print "skipped: fc-match does not find Noto Sans" end
  core.mkdirs(dir .. "/fonts")
  core.write_file(dir .. "/fonts/a.ttf", core.read_file(font))
  core.write_file(dir .. "/one.conf", ('<?xml version="1.0"?><fontconfig><dir>%s/fonts</dir>'
    .. "<cachedir>%s/cache</cachedir></fontconfig>"):format(dir, dir))
  local env = "FONTCONFIG_FILE=" .. dir .. "/one.conf"
  local status, out, err = t.run(env .. " ./tlua " .. CODE:gsub("%?%?%? cat", "é", 1))
  t.equal(status, 0, err)
  t.equal(err, "tlua: no font has the letter U+ACE0, which is drawn as '?' in pictures: install one that does "
    .. "(Debian package fonts-noto-cjk)\n")
end)

-- ---- a data set with such names ----

-- Colours of a part of a page that are not white.
local function has_ink(page, top, left, bottom, right)
  local part = core.ops.slice(core.ops.slice(page, 1, top, bottom - top), 2, left, right - left)
  return (-part:to "float32"):reshape(-1):amax { axes = { 1 } }:item() > -128
end

t.test("a data set with Korean names, and its classes in other scripts", function()
  local root, run = dir .. "/동물", dir .. "/실행"
  local function says(...)
    local status, out, err = t.run("./tlua " .. table.concat({ ... }, " "))
    t.equal(status, 0, err)
    assert(not there or not err:find("install", 1, true), err)
    return out
  end
  says("docs/animals.lua", root, 8)
  core.write_file(dir .. "/r.lua", ([[local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe {
  model = nn.Sequential(nn.Conv2d(3, 8, 3, { stride = 4 }), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(8, 3)),
  data = tlua.data.folder { root = %q, size = 96, batch = 8 }, cache = false,
  optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 1 } }
]]):format(root))
  says("show", dir .. "/r.lua", "--to", dir .. "/보기.png", "--pictures 6 --columns 3")
  local page = core.image_read(dir .. "/보기.png", 3)
  local high = there and 16 or 9 -- of a line; two rows of three pictures
  t.equal(util.shape_text(page:shape()), util.shape_text { 8 + 2 * (96 + high + 10), 8 + 3 * 104, 3 })
  for k = 0, 5 do
    local top, left = 8 + k // 3 * (96 + high + 10) + 96 + 2, 8 + k % 3 * 104
    assert(has_ink(page, top, left, top + high, left + 60), "a name below picture " .. k)
    assert(not has_ink(page, top + high, left, top + high + 4, left + 96), "nothing below it")
  end
  local out = says(dir .. "/r.lua", "--out", run)
  assert(out:find("classes   강아지, 고양이, 새: 8 + 2 each", 1, true), out)
  assert(core.read_file(run .. "/report.html"):find("고양이", 1, true))
  says("report", run, "--to", dir .. "/보고서.html")
  assert(core.read_file(dir .. "/보고서.html"):find("강아지", 1, true))
  assert(says("eval", run, "--data.root", root):find "6 pictures of the test part")
  local table_ = says("predict", run, root .. "/test", "--top 1")
  local at
  for line in table_:gmatch "[^\n]+" do
    local path = line:match "^.-%.png *"
    at = at or core.text.width(path)
    t.equal(core.text.width(path), at, line)
  end
  local said_of = says("explain", run, ("'%s/test/고양이/고양이 01.png'"):format(root),
    ("'%s/test/새/새 01.png'"):format(root), "--to", dir .. "/본곳", "--class 고양이")
  assert(said_of:find("본곳/고양이 01.png  고양이 ", 1, true), said_of)
  local heat = core.image_read(dir .. "/본곳/새 01.png", 3)
  t.equal(util.shape_text(heat:shape()), util.shape_text { 288 + 24 + 2 * ((there and 16 or 8) + 3), 2 * 288 + 24, 3 })
  assert(has_ink(heat, 8 + 288 + 8, 8, 8 + 288 + 24, 60), "the class below the picture")
  local last = { "강아지", "고양이", "새" }
  for _, names in ipairs { { "كلب", "قطة", "طائر" },
    { "कुत्ता", "बिल्ली", "पक्षी" } } do
    for i = 1, 3 do
      for _, part in ipairs { "train", "test" } do
        assert(os.rename(("%s/%s/%s"):format(root, part, last[i]), ("%s/%s/%s"):format(root, part, names[i])))
      end
    end
    last = names
    local before = page:hash()
    says("show", dir .. "/r.lua", "--to", dir .. "/보기.png", "--pictures 6 --columns 3")
    page = core.image_read(dir .. "/보기.png", 3)
    assert(page:hash() ~= before, "other names")
  end
end)

os.execute("rm -rf " .. dir)
util.note = note
t.finish()
