-- bytes.lua - vocab.json and merges.txt, byte pairs as GPT-2 and RoBERTa have them, as the JSON of a tokenizer.json.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = require "tlua.data.texts.forms.parts"
local bytes = {}

-- tokenizer_class, or model_type of config.json -> whose way it is.
local WAYS = { RobertaTokenizer = "roberta", LongformerTokenizer = "roberta", BartTokenizer = "roberta",
  GPT2Tokenizer = "gpt2", roberta = "roberta", longformer = "roberta", bart = "roberta", gpt2 = "gpt2" }
local USUAL = {
  roberta = { bos = "<s>", eos = "</s>", sep = "</s>", cls = "<s>", unk = "<unk>", pad = "<pad>", mask = "<mask>" },
  gpt2 = { unk = "<|endoftext|>", bos = "<|endoftext|>", eos = "<|endoftext|>" } }

local function way_of(settings, ids)
  return parts.way(settings, "a vocab.json with merges.txt", WAYS) or
    (ids["<s>"] and ids["</s>"] and "roberta" or "gpt2")
end

local function read_vocabulary(path)
  local ids = {}
  for text, number in pairs(util.read_json(path, "it is not a table of JSON")) do
    local id = math.tointeger(tonumber(number))
    if type(text) ~= "string" or not id or id < 0 then
      util.failf("%s: this is no vocabulary: it does not give a number to each piece", path)
    end
    ids[text] = id
  end
  if next(ids) == nil then util.failf("%s is empty", path) end
  return ids
end

-- Two pieces a line; the first line may say a version.
local function read_merges(path)
  local out, n = {}, 0
  for line in core.read_file(path):gsub("%s+$", ""):gmatch "[^\n]+" do
    n = n + 1
    line = line:gsub("\r$", "")
    if line:sub(1, 8) ~= "#version" then
      local a, b = line:match "^([^ ]+) ([^ ]+)$"
      if not a or not utf8.len(line) then util.failf("%s: line %d is not two pieces with a space between", path, n) end
      out[#out + 1] = ("[%s,%s]"):format(parts.quoted(a), parts.quoted(b))
    end
  end
  return parts.list(out)
end

-- Texts between bos and eos, where the folder asks for them.
function bytes.plain_template(settings, names, ids, bos, eos)
  local function add(name, otherwise)
    if not parts.flag(settings, ("add_%s_token"):format(name), otherwise) then return nil end
    return names[name] and { names[name], parts.number(settings, ids, names[name], name) }
  end
  local begin, finish, used = add("bos", bos), add("eos", eos), {}
  local function one(text, type)
    local list = {}
    if begin then list[1], used[begin[1]] = { begin[1], type }, begin[2] end
    list[#list + 1] = { text, type }
    if finish then list[#list + 1], used[finish[1]] = { finish[1], type }, finish[2] end
    return list
  end
  local pair = one(parts.A, 0)
  table.move(one(parts.B, 1), 1, 3, #pair + 1, pair)
  return parts.template(one(parts.A, 0), pair, used)
end

function bytes.json(vocabulary_path, merges_path, settings)
  local ids = read_vocabulary(vocabulary_path)
  local way = way_of(settings, ids)
  local names, vocabulary = parts.names(settings, USUAL[way]), parts.vocabulary(ids)
  local added, prefix = parts.added(settings, names, ids), parts.flag(settings, "add_prefix_space", false)
  local post
  if way == "roberta" then
    post = ('{"type":"RobertaProcessing","sep":[%s,%d],"cls":[%s,%d],"trim_offsets":%s,"add_prefix_space":%s}'):format(
      parts.quoted(names.sep), ids[names.sep], parts.quoted(names.cls), ids[names.cls],
      parts.flag(settings, "trim_offsets", true), prefix)
  else
    post = bytes.plain_template(settings, names, ids, false, false)
  end
  return parts.json { added_tokens = added, post_processor = post,
    pre_tokenizer = ('{"type":"ByteLevel","add_prefix_space":%s,"trim_offsets":true,"use_regex":true}'):format(prefix),
    decoder = '{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}',
    model = ('{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"","end_of_word_suffix":"",' ..
      '"fuse_unk":false,"byte_fallback":false,"ignore_merges":false,"vocab":%s,"merges":%s}'):format(vocabulary,
      read_merges(merges_path)) }
end

return bytes
