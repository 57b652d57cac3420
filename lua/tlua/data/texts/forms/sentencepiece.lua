-- sentencepiece.lua - a .model file of SentencePiece as the JSON of a tokenizer.json: of networks that number its
-- pieces in their own way (XLM-R, CamemBERT), or as the file itself says what is to be done with texts.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = require "tlua.data.texts.forms.parts"
local bytes = require "tlua.data.texts.forms.bytes"
local sentencepiece = {}

local UNIGRAM, BPE = 1, 2
local NORMAL, CONTROL, USER = 1, 3, 4 -- types of pieces
local SPACE = "\u{2581}"

local function charsmap(m)
  return m.charsmap and ('{"type":"Precompiled","precompiled_charsmap":"%s"}'):format(util.base64(m.charsmap))
end

local function replace(kind, pattern, content)
  return ('{"type":"Replace","pattern":{"%s":%s},"content":"%s"}'):format(kind, parts.quoted(pattern), content)
end

local function metaspace(scheme, split)
  return ('{"type":"Metaspace","replacement":"%s","prepend_scheme":"%s","split":%s}'):format(SPACE, scheme, split)
end

local function sequence(kind, items)
  if #items == 0 then return nil end
  local key = kind == "normalizer" and "normalizers" or kind == "decoder" and "decoders" or "pretokenizers"
  return ('{"type":"Sequence","%s":%s}'):format(key, parts.list(items))
end

-- Pieces that the file itself sets apart, as added tokens.
local function apart(m, types)
  local out = {}
  for i, piece in ipairs(m.pieces) do
    if types[m.types[i]] then
      out[#out + 1] = { content = piece, single_word = false, lstrip = false, rstrip = false, normalized = false,
        special = m.types[i] == CONTROL }
    end
  end
  return out
end

-- ---- Unigram ----

-- {{piece, score}...} as a model, and their numbers.
local function unigram(list, unknown, byte_fallback)
  local out, ids = {}, {}
  for i, each in ipairs(list) do
    out[i] = ("[%s,%s]"):format(parts.quoted(each[1]), parts.number_text(each[2]))
    ids[each[1]] = i - 1
  end
  return ('{"type":"Unigram","unk_id":%d,"vocab":%s,"byte_fallback":%s}'):format(unknown, parts.list(out),
    byte_fallback), ids
end

local function pieces_of(m, first, into)
  for i = first, #m.pieces do into[#into + 1] = { m.pieces[i], m.scores[i] } end
  return into
end

-- ---- BPE ----

-- What joins two pieces that are pieces together, the one with the best score first.
local function merges(m, pieces)
  local normal, out = {}, {}
  for i, piece in ipairs(pieces) do
    if m.types[i] == NORMAL then normal[piece] = i end
  end
  for i, piece in ipairs(pieces) do
    if normal[piece] == i then
      for at in piece:gmatch "()[\1-\127\194-\244][\128-\191]*" do
        local left, right = piece:sub(1, at - 1), piece:sub(at)
        if at > 1 and normal[left] and normal[right] then out[#out + 1] = { m.scores[i], i, at, left, right } end
      end
    end
  end
  table.sort(out, function(a, b)
    if a[1] ~= b[1] then return a[1] > b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  for k, each in ipairs(out) do out[k] = ("[%s,%s]"):format(parts.quoted(each[4]), parts.quoted(each[5])) end
  return parts.list(out)
end

-- Names that the folder gives to pieces which the file has for such ends.
local function renamed(m, settings)
  local pieces, names, kept = {}, {}, {}
  for key, token in pairs(settings.config.added_tokens_decoder or {}) do
    local number = math.tointeger(tonumber(key))
    if number and type(token) == "table" and type(token.content) == "string" then names[number] = token.content end
  end
  for i, piece in ipairs(m.pieces) do
    if not names[i - 1] then kept[piece] = true end
  end
  for i, piece in ipairs(m.pieces) do
    local name = names[i - 1]
    pieces[i] = name and not kept[name] and name or piece
  end
  return pieces
end

local function pairs_of_bytes(m, pieces, whole)
  local ids = {}
  for i, piece in ipairs(pieces) do ids[piece] = i - 1 end
  return ('{"type":"BPE","dropout":null,"unk_token":%s,"continuing_subword_prefix":null,"end_of_word_suffix":null,' ..
    '"fuse_unk":true,"byte_fallback":%s,"ignore_merges":%s,"vocab":%s,"merges":%s}'):format(parts.quoted(m.unk_piece),
    m.byte_fallback, whole, parts.vocabulary(ids), merges(m, pieces)), ids
end

-- ---- as the file says ----

-- A pattern that finds these pieces, the longest first; nil where there are none.
local function pattern_of(pieces)
  if #pieces == 0 then return nil end
  local order = {}
  for i, piece in ipairs(pieces) do order[i] = { piece, utf8.len(piece), i } end
  table.sort(order, function(a, b) return a[2] > b[2] or (a[2] == b[2] and a[3] < b[3]) end)
  for i, each in ipairs(order) do order[i] = each[1]:gsub("[%[%](){}?*+%-|^$\\.&~# \t\n\r\v\f]", "\\%0") end
  return table.concat(order, "|")
end

local function plain(m, settings)
  local pieces, user = m.model_type == BPE and renamed(m, settings) or m.pieces, {}
  for i, piece in ipairs(pieces) do
    if m.types[i] == USER then user[#user + 1] = piece end
  end
  local legacy, model, ids = parts.flag(settings, "legacy", true)
  if m.model_type == BPE then model, ids = pairs_of_bytes(m, pieces, #user > 0)
  else model, ids = unigram(pieces_of(m, 1, {}), m.unk_id, m.byte_fallback) end
  local cleaned, cut = { charsmap(m) }, {}
  local function clean(...) cleaned[#cleaned + 1] = replace(...) end
  if m.remove_extra_whitespaces then
    clean("Regex", "\\A +| +\\z", "")
    clean("Regex", " {2,}", " ")
  end
  if m.escape_whitespaces then clean("String", " ", SPACE) end
  if m.add_dummy_prefix then
    if legacy then clean("Regex", "\\A" .. SPACE, SPACE .. SPACE) end
    cut[1] = metaspace(legacy and "always" or "first", false)
  end
  local pattern = pattern_of(user)
  if pattern then
    cut[#cut + 1] = ('{"type":"Split","pattern":{"Regex":%s},"behavior":"Isolated","invert":false}'):format(
      parts.quoted(pattern))
  end
  local names = parts.names(settings, { bos = m.bos_id >= 0 and m.bos_piece or nil,
    eos = m.eos_id >= 0 and m.eos_piece or nil, unk = m.unk_piece })
  local added = parts.added(settings, names, ids, apart(m, { [CONTROL] = true }), m.add_dummy_prefix)
  local back = { replace("String", SPACE, " ") }
  if m.byte_fallback then back[2] = '{"type":"ByteFallback"}' end
  if m.byte_fallback or m.add_dummy_prefix then back[#back + 1] = '{"type":"Fuse"}' end
  if m.add_dummy_prefix then back[#back + 1] = '{"type":"Strip","content":" ","start":1,"stop":0}' end
  return parts.json { added_tokens = added, normalizer = sequence("normalizer", cleaned),
    pre_tokenizer = sequence("pre_tokenizer", cut), decoder = sequence("decoder", back), model = model,
    post_processor = bytes.plain_template(settings, names, ids, false, false) }
end

-- ---- as networks number it ----

local USUAL = { bos = "<s>", eos = "</s>", sep = "</s>", cls = "<s>", unk = "<unk>", pad = "<pad>", mask = "<mask>" }

-- {piece, score}s: those of the network before and behind what is kept of the file.
local function xlm_roberta(m, names)
  local list = { { names.bos, 0.0 }, { names.pad, 0.0 }, { names.eos, 0.0 }, { names.unk, 0.0 } }
  pieces_of(m, 4, list)
  list[#list + 1] = { names.mask, 0.0 }
  return list, 3, { [CONTROL] = true, [USER] = true }
end

local function camembert(m, names)
  local list = { { "<s>NOTUSED", 0.0 }, { names.pad, 0.0 }, { "</s>NOTUSED", 0.0 }, { names.unk, 0.0 },
    { "<unk>NOTUSED", -100.0 } }
  pieces_of(m, 2, list)
  list[#list + 1] = { names.mask, 0.0 }
  return list, 3, { [CONTROL] = true, [USER] = true }
end

local function numbered(m, settings, way)
  local names, given = parts.names(settings, USUAL), settings.config
  if way == camembert and type(given.mask_token) ~= "table" then -- a mask takes the spaces before it
    given.mask_token = { content = names.mask, lstrip = true }
  end
  local list, unknown, types = way(m, names)
  local model, ids = unigram(list, unknown, false)
  local scheme = parts.flag(settings, "add_prefix_space", true) and "always" or "never"
  local added, bos, eos = parts.added(settings, names, ids, apart(m, types)), names.bos, names.eos
  return parts.json { added_tokens = added, model = model, normalizer = charsmap(m),
    pre_tokenizer = sequence("pre_tokenizer", { '{"type":"WhitespaceSplit"}', metaspace(scheme, true) }),
    decoder = metaspace(scheme, true),
    post_processor = parts.template({ { bos, 0 }, { parts.A, 0 }, { eos, 0 } },
      { { bos, 0 }, { parts.A, 0 }, { eos, 0 }, { eos, 0 }, { parts.B, 0 }, { eos, 0 } },
      { [bos] = ids[bos], [eos] = ids[eos] }) }
end

-- ---- the file ----

local WAYS = { XLMRobertaTokenizer = xlm_roberta, ["xlm-roberta"] = xlm_roberta, CamembertTokenizer = camembert,
  camembert = camembert }

function sentencepiece.json(path, settings)
  local m = core.tokenizer.sentencepiece(path)
  if m.model_type ~= UNIGRAM and m.model_type ~= BPE then
    util.failf("%s: its model is of the type %d; unigram (1) and BPE (2) are read", path, m.model_type)
  end
  if m.treat_whitespace_as_suffix then
    util.failf("%s: its pieces have their spaces behind them (treat_whitespace_as_suffix), which is not read", path)
  end
  local way = parts.way(settings, "a .model", WAYS)
  if not way and not settings.config.tokenizer_class and path:find "sentencepiece%.bpe%.model$" then
    util.failf("%s: files of this name are numbered as their network has it: put its config.json beside it", path)
  end
  if not way then return plain(m, settings) end
  if m.model_type ~= UNIGRAM then util.failf("%s: %s has models of the type unigram, not BPE", path, settings.said) end
  return numbered(m, settings, way)
end

return sentencepiece
