-- parts.lua - what other forms of tokenizers have in common on their way to a tokenizer.json: the files beside them
-- that say which pieces are special, and the text of the JSON.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = {}

-- ---- JSON ----

-- A text in JSON; most need no escapes.
function parts.quoted(text)
  return text:find '[%c"\\]' and core.json_encode(text) or '"' .. text .. '"'
end

-- A number with as few digits as give it back.
function parts.number_text(v)
  for digits = 15, 17 do
    local text = ("%." .. digits .. "g"):format(v)
    if tonumber(text) == v then return (text:gsub(",", ".")) end -- some locales have a comma
  end
end

function parts.list(items) return "[" .. table.concat(items, ",") .. "]" end

-- {text = number} of a vocabulary, in the order of the numbers. What an empty line is a number of stands for nothing.
function parts.vocabulary(ids)
  local order, out = util.keys(ids), {}
  table.sort(order, function(a, b) return ids[a] < ids[b] or (ids[a] == ids[b] and a < b) end)
  for _, text in ipairs(order) do
    if text ~= "" then out[#out + 1] = ("%s:%d"):format(parts.quoted(text), ids[text]) end
  end
  return "{" .. table.concat(out, ",") .. "}"
end

-- The texts of a pair in a template.
parts.A, parts.B = { "A" }, { "B" }

-- A template out of texts and special pieces: {parts.A or piece, type}.
local function template_list(list)
  local out = {}
  for i, each in ipairs(list) do
    local text = type(each[1]) == "table"
    out[i] = ('{"%s":{"id":%s,"type_id":%d}}'):format(text and "Sequence" or "SpecialToken",
      parts.quoted(text and each[1][1] or each[1]), each[2])
  end
  return parts.list(out)
end

-- `ids`: {piece = number} of those that stand in it.
function parts.template(single, pair, ids)
  local out = {}
  for i, text in ipairs(util.keys(ids)) do
    local said = parts.quoted(text)
    out[i] = ('%s:{"id":%s,"ids":[%d],"tokens":[%s]}'):format(said, said, ids[text], said)
  end
  return ('{"type":"TemplateProcessing","single":%s,"pair":%s,"special_tokens":{%s}}'):format(template_list(single),
    template_list(pair), table.concat(out, ","))
end

-- The whole: the parts of a tokenizer.json, each as JSON.
function parts.json(whole)
  local out = { '{"version":"1.0","truncation":null,"padding":null' }
  for i, name in ipairs { "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model" } do
    out[i + 1] = (',"%s":%s'):format(name, whole[name] or "null")
  end
  out[#out + 1] = "}"
  return table.concat(out)
end

-- ---- the files beside ----

local function read_json(path)
  return core.exists(path) and util.read_json(path, "it is not a table of JSON") or nil
end

-- What a folder says of its tokenizer: { config = tokenizer_config.json, said = tokenizer_class or model_type or nil,
-- where = for messages, added = added_tokens.json }.
function parts.settings(folder)
  local where = folder .. "/tokenizer_config.json"
  local config = read_json(where) or {}
  local whole = read_json(folder .. "/config.json") or {}
  if not config.added_tokens_decoder then -- older folders have them in files of their own
    for key, value in pairs(read_json(folder .. "/special_tokens_map.json") or {}) do config[key] = value end
  end
  local said = config.tokenizer_class or whole.tokenizer_class or whole.model_type
  said = type(said) == "string" and said:gsub("Fast$", "") or nil
  if said == "PreTrainedTokenizer" or said == "TokenizersBackend" then said = nil end -- any
  return { config = config, said = said, where = where, added = read_json(folder .. "/added_tokens.json") or {} }
end

-- The way of a form that the folder asks for; nil where it says nothing. What is not known is not guessed.
function parts.way(settings, form, ways)
  if not settings.said then return nil end
  return ways[settings.said] or util.failf("%s: %s of %s is not known here; known are those of %s, and plain ones " ..
    "(tokenizer_class = PreTrainedTokenizerFast)", settings.where, form, settings.said,
    table.concat(util.keys(ways), ", "))
end

-- A yes or no of tokenizer_config.json.
function parts.flag(settings, name, otherwise)
  local v = settings.config[name]
  if v == nil then return otherwise end
  if type(v) ~= "boolean" then util.failf("%s: %s must be true or false, not %s", settings.where, name, tostring(v)) end
  return v
end

-- What cannot be followed must not be said.
function parts.refuse(settings, name, usual)
  local v = settings.config[name]
  if v == nil or v == usual or (type(v) == "table" and next(v) == nil) then return end
  util.failf("%s: %s = %s is not known here", settings.where, name, type(v) == "table" and "..." or tostring(v))
end

-- ---- special pieces ----

-- Names of tokenizer_config.json in the order in which they get numbers.
local NAMES = { "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" }

local function is_token(v) return type(v) == "string" or (type(v) == "table" and type(v.content) == "string") end

-- A piece with its ways: {content =, single_word =, lstrip =, rstrip =, normalized =, special =}.
local function as_token(v, special)
  local t = type(v) == "table" and v or { content = v }
  local function flag(name, otherwise)
    if type(t[name]) == "boolean" then return t[name] end
    return otherwise
  end
  special = special or flag("special", false)
  return { content = t.content, single_word = flag("single_word", false), lstrip = flag("lstrip", false),
    rstrip = flag("rstrip", false), special = special, normalized = flag("normalized", not special) }
end

-- {name without "_token" = text}: what the folder says, else `usual`.
function parts.names(settings, usual)
  local out = {}
  for _, name in ipairs(NAMES) do
    local v = settings.config[name]
    if v == nil then v = usual[name:sub(1, -7)] end
    if v ~= nil and not is_token(v) then util.failf("%s: %s is not a text", settings.where, name) end
    out[name:sub(1, -7)] = type(v) == "table" and v.content or v
  end
  return out
end

-- Numbers that a table gives to pieces, in their order: {{number, piece}...}.
local function by_number(settings, given)
  local list = {}
  for key, token in pairs(given) do
    local number, piece = math.tointeger(tonumber(key)), token
    if not number then number, piece = math.tointeger(tonumber(token)), key end
    if not number or not is_token(piece) then
      util.failf("%s: added tokens are not pieces with numbers", settings.where)
    end
    list[#list + 1] = { number, piece }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

-- All pieces that are looked for in the text before anything else: those of the folder's files with their ways, the
-- named ones and `more`. Those that the vocabulary has not come behind it. `ids` {text = number} gets them too.
-- `raw`: all are looked for in the text as it came.
function parts.added(settings, names, ids, more, raw)
  local config, list, known, count, last = settings.config, {}, {}, 0, -1
  for _ in pairs(ids) do count = count + 1 end
  local function add(token)
    if known[token.content] or token.content == "" then return end
    known[token.content] = true
    local id = ids[token.content]
    if not id then
      id = math.max(count, last + 1)
      ids[token.content] = id
    end
    last = math.max(last, id)
    token.id = id
    list[#list + 1] = token
  end
  local special = {}
  for _, text in pairs(names) do special[text] = true end
  local extra = config.extra_special_tokens or config.additional_special_tokens or {}
  for _, v in ipairs(extra) do if is_token(v) then special[v.content or v] = true end end
  for _, each in ipairs(by_number(settings, config.added_tokens_decoder or settings.added)) do
    local token = as_token(each[2], special[type(each[2]) == "table" and each[2].content or each[2]] or false)
    token.normalized = token.normalized and not raw
    add(token)
  end
  for _, name in ipairs(NAMES) do
    local text = names[name:sub(1, -7)]
    if text then add(as_token(is_token(config[name]) and config[name] or text, true)) end
  end
  for _, v in ipairs(extra) do if is_token(v) then add(as_token(v, true)) end end
  for _, token in ipairs(more or {}) do add(token) end
  table.sort(list, function(a, b) return a.id < b.id end)
  local out = {}
  for i, token in ipairs(list) do out[i] = core.json_encode(token) end
  return parts.list(out)
end

-- The number of a named piece, which must be there.
function parts.number(settings, ids, text, name)
  return ids[text or ""] or util.failf("%s: the tokenizer has no %s_token", settings.where, name)
end

return parts
