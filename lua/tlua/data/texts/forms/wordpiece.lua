-- wordpiece.lua - BERT's vocab.txt, a piece a line, as the JSON of a tokenizer.json. How texts are cleaned before they
-- are cut is said by tokenizer_config.json beside it; without one they are in lower case and without accents.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = require "tlua.data.texts.forms.parts"
local wordpiece = {}

-- Whose vocab.txt is BERT's.
local WAYS = {}
for _, name in ipairs { "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer",
  "LayoutLMTokenizer", "bert", "distilbert", "electra", "mobilebert", "layoutlm" } do WAYS[name] = true end
local USUAL = { unk = "[UNK]", sep = "[SEP]", pad = "[PAD]", cls = "[CLS]", mask = "[MASK]" }

-- White space at the end of a line, as Unicode has it.
local SPACES = { [0x85] = true, [0xa0] = true, [0x1680] = true, [0x2028] = true, [0x2029] = true, [0x202f] = true,
  [0x205f] = true, [0x3000] = true, [0x20] = true }
for c = 9, 13 do SPACES[c] = true end
for c = 0x2000, 0x200a do SPACES[c] = true end

local function trimmed(line)
  while line ~= "" do
    local at = utf8.offset(line, -1)
    if not SPACES[utf8.codepoint(line, at)] then break end
    line = line:sub(1, at - 1)
  end
  return line
end

-- {piece = number of its line from 0}; of a piece that stands there twice the last counts.
local function read(path)
  local ids, n = {}, 0
  for line in core.read_file(path):gsub("\n$", ""):gmatch "[^\n]*" do
    if not utf8.len(line) then util.failf("%s: line %d is not UTF-8: this is no vocabulary", path, n + 1) end
    ids[trimmed(line)] = n
    n = n + 1
  end
  return ids
end

function wordpiece.json(path, settings)
  parts.way(settings, "a vocab.txt", WAYS)
  parts.refuse(settings, "do_basic_tokenize", true)
  parts.refuse(settings, "never_split")
  local ids, names = read(path), parts.names(settings, USUAL)
  if not ids[names.unk] then
    util.failf("%s has no %s, the piece for what is unknown: this is no vocabulary of BERT's", path, names.unk)
  end
  local vocabulary = parts.vocabulary(ids)
  local added = parts.added(settings, names, ids)
  local cls, sep = names.cls, names.sep
  local accents = settings.config.strip_accents ~= nil and tostring(parts.flag(settings, "strip_accents")) or "null"
  return parts.json { added_tokens = added,
    normalizer = ('{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":%s,"strip_accents":%s,' ..
      '"lowercase":%s}'):format(parts.flag(settings, "tokenize_chinese_chars", true), accents,
      parts.flag(settings, "do_lower_case", true)),
    pre_tokenizer = '{"type":"BertPreTokenizer"}',
    post_processor = parts.template({ { cls, 0 }, { parts.A, 0 }, { sep, 0 } },
      { { cls, 0 }, { parts.A, 0 }, { sep, 0 }, { parts.B, 1 }, { sep, 1 } }, { [cls] = ids[cls], [sep] = ids[sep] }),
    decoder = '{"type":"WordPiece","prefix":"##","cleanup":true}',
    model = ('{"type":"WordPiece","unk_token":%s,"continuing_subword_prefix":"##","max_input_chars_per_word":100,' ..
      '"vocab":%s}'):format(parts.quoted(names.unk), vocabulary) }
end

return wordpiece
