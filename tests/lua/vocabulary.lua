-- vocabulary.lua - symbols of texts. Run by `tlua tests/lua/vocabulary.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local vocabulary = require "tlua.data.vocabulary"

local function ids(list) return table.concat(list, " ") end

t.test("a vocabulary of texts", function()
  local v = vocabulary.from_texts { "Об’єкт, «під'їзд»!", "  два\tслова – ось " }
  t.equal(table.concat(v.symbols, "|"), "<blank>| |'|а|б|в|д|з|к|л|о|п|с|т|ь|є|і|ї")
  t.equal(v.blank, 0)
  t.equal(v:size(), 18)
  t.equal(v:normal "Об’єкт, «під'їзд»!", "об'єкт під'їзд")
  t.equal(v:decode((v:encode "  СЛОВА -- 'два' ")), "слова два")
  -- decomposed letters are the same: і and a diaeresis is ї
  t.equal(ids((v:encode "ї")), ids((v:encode "і\u{308}")))
  local list, dropped = v:encode "два qslova q"
  t.equal(v:decode(list), "два")
  t.equal(dropped.q, 2)
  t.equal(v:dropped_text { "q x", "qq два" }, "q 3 times, x once")
  t.equal(v:dropped_text { "два" }, nil)
  local _, nothing = v:encode "два"
  t.equal(nothing, nil)
end)

t.test("casing, punctuation, digits and what is kept", function()
  local texts = { "Ab, 1x!" }
  t.fails('text 1 has digits, "Ab, 1x!"', function() return vocabulary.from_texts(texts) end)
  t.equal(table.concat(vocabulary.from_texts(texts, { digits = "keep" }).symbols, "", 2), " 1abx")
  local function without_digits(name, value)
    return table.concat(vocabulary.from_texts(texts, { digits = "drop", [name] = value }).symbols, "", 2)
  end
  t.equal(without_digits("casing", "keep"), " Abx")
  t.equal(without_digits("punctuation", "keep"), " !,abx")
  t.equal(without_digits("keep", "xyz"), " x")
  local v = vocabulary.from_texts({ "ab" }, { unknown = "map", blank = 1 })
  t.equal(table.concat(v.symbols, "|"), "a|<blank>|b|\u{FFFD}")
  t.equal(ids((v:encode "aqb")), "0 3 2")
  t.equal(v:decode { 0, 1, 3, 2 }, "a\u{FFFD}b")
  t.fails('casing is "lower" or "keep", not UPPER', function()
    return vocabulary.from_texts(texts, { casing = "UPPER" })
  end)
  t.fails("no text has any character", function() return vocabulary.from_texts { "?!", "" } end)
  t.fails("no UTF-8", function() return vocabulary.from_texts { "a\xff" } end)
  t.fails("one of 3 symbols", function() return vocabulary.from_texts({ "ab" }, { blank = 9 }) end)
end)

t.test("symbols that are given, of several characters", function()
  local symbols = { "<pad>", "<unk>", "a", "aɪ", "t", "t͡ʃ", "<wb>", "<blank>" }
  local v = vocabulary.from_list(symbols, { blank = 7, boundary = 6, unknown = 1 })
  t.equal(ids((v:encode "aɪt͡ʃ ta")), "3 5 6 4 2")
  t.equal(v:decode { 7, 3, 0, 5, 6, 6, 4, 2, 6 }, "aɪt͡ʃ ta")
  local list, dropped = v:encode "az"
  t.equal(ids(list), "2 1")
  t.equal(dropped.z, 1)
  t.fails('the symbol "a" twice', function() return vocabulary.from_list { "-", "a", "a" } end)
  t.fails("boundary is one of 2 symbols, counted from 0, not 2", function()
    return vocabulary.from_list({ "-", "a" }, { boundary = 2 })
  end)
  t.fails("id 9 is none of the 8 symbols", function() return v:decode { 9 } end)
end)

t.test("a vocabulary comes back from the JSON of a model file", function()
  for _, v in ipairs { vocabulary.from_texts({ "Aб 'в" }, { casing = "keep", punctuation = "keep", unknown = "map" }),
    vocabulary.from_list({ "<blank>", "a", "|" }, { boundary = 2 }) } do
    local again = vocabulary.from_table(core.json_decode(core.json_encode(v:to_table())))
    t.equal(core.json_encode(again:to_table()), core.json_encode(v:to_table()))
    for _, text in ipairs { "A, a", "б'в 'A'", "q" } do t.equal(ids((again:encode(text))), ids((v:encode(text)))) end
  end
  t.fails("this is no vocabulary", function() return vocabulary.from_table {} end)
end)

t.test("texts that their frames cannot say are named", function()
  local v = vocabulary.from_texts { "abba" }
  local bad = vocabulary.check_targets(v, { "abba", "abba", "??", "ab" }, { 5, 4, 9, 2 })
  t.equal(#bad, 2)
  t.equal(bad[1].index, 2)
  t.equal(bad[1].reason, "its text wants 5 frames and the clip has 4")
  t.equal(bad[2].index, 3)
end)

t.finish()
