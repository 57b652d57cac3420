-- texts/init.lua - data whose samples are texts, or pairs of texts: what their kinds share. A reader gives
--   { texts = {text...}, pairs = {text...} or nil, labels = {class...} or values = {{number...}...} or none,
--     mark = function(window, i) -> {number of each piece, -100 where nobody asks}, or span = function(window, i) ->
--     first and last piece from 0, parts = {part...}, keys = {whose...}, places = {file:line...}, title, root, said }
-- and texts.prepare makes of it what records are made from: the tokenizer's numbers in windows, each a sample
-- (src/data/pieces.h), and what is said of each text for each window of it.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local kinds_of = require "tlua.data.kinds"
local texts = {}

texts.IGNORED = -100 -- the mark of pieces that nobody asks for
local LONGEST = 128  -- pieces of a text, where nobody says

-- ---- what a network is fed ----

-- The numbers that may stand behind the ends of texts, as tokenizers call them.
local PADS = { "[PAD]", "<pad>", "<|padding|>", "<|endoftext|>", "</s>" }

local function pad_of(tokenizer)
  for _, piece in ipairs(PADS) do
    local id = tokenizer.handle:id(piece)
    if id then return id end
  end
  return 0
end

-- The tokenizer of a description: its own, or the network's.
function texts.tokenizer(d, own)
  local path = d.options.tokenizer
  if path then return require("tlua.data.texts.tokenizer").open(path) end
  return own or util.failf("data.%s: nobody says how texts become numbers: the network brings no tokenizer; "
    .. "--data.tokenizer FILE names a tokenizer.json, or a folder with one", d.kind)
end

-- How many pieces windows share; nil: there are none, long texts are cut.
local function stride_of(d, base, longest)
  local usual = kinds_of.all[d.kind].stride
  local stride = d.options.stride or base.stride
  if not stride and usual and not base.pad then stride = math.min(usual, longest // 3) end
  if stride and stride > longest // 2 then
    util.failf("data.%s: stride = %d shares more than half of a window of longest = %d with the next: --data.stride %d",
      d.kind, stride, longest, longest // 3)
  end
  return stride
end

-- How texts become numbers. `base`: what the network says of itself, or what a model file keeps.
function texts.preprocessing(d, base, tokenizer, paired)
  local o, info, most = d.options, kinds_of.all[d.kind], base.most or base.longest
  local usual = info.longest or LONGEST
  local longest = o.longest or base.pad and base.longest or math.min(usual, most or usual)
  if most and longest > most then
    util.failf("data.%s: longest = %d, and the network knows %d places: --data.longest %d", d.kind, longest, most, most)
  end
  local types = base.types
  if paired ~= nil and not base.pad then types = paired and types end
  return { longest = longest, most = most, pad = base.pad or pad_of(tokenizer), types = types or false,
    cut = o.cut or base.cut or info.cut or "longest", stride = stride_of(d, base, longest),
    tokenizer = tokenizer.sha256 }
end

-- Options of tokenizer:encode and encode_all.
function texts.options(p) return { longest = p.longest, cut = p.cut, stride = p.stride } end

-- ---- from texts to windows ----

local function has_space_alone(text) return not text:find "%S" end

-- Leaves out texts in which nothing stands, or refuses them.
local function without_empty(d, found)
  local empty, keep = {}, {}
  for i, text in ipairs(found.texts) do
    local pair = found.pairs and found.pairs[i]
    if has_space_alone(text) or pair and has_space_alone(pair) then empty[#empty + 1] = i else keep[#keep + 1] = i end
  end
  if #empty == 0 then return end
  local first = found.places and found.places[empty[1]] or ("text %d"):format(empty[1])
  if d.options.on_bad ~= "skip" then
    util.failf('%s: an empty text%s; --data.on_bad skip leaves such out', first,
      #empty > 1 and (", and %d more"):format(#empty - 1) or "")
  end
  if #keep == 0 then util.failf("data.%s: all %d texts are empty", d.kind, #empty) end
  for _, name in ipairs { "texts", "pairs", "labels", "values", "parts", "keys", "places", "answers", "words" } do
    local list, out = found[name], {}
    for k, i in ipairs(keep) do out[k] = list and list[i] end
    found[name] = list and out
  end
  table.insert(found.said, ("left out  %s empty text%s: %s%s"):format(util.thousands(#empty), #empty == 1 and "" or "s",
    first, #empty > 1 and ", ..." or ""))
end

-- How many texts lost their ends, among the windows that are as long as may be. found: {texts =, pairs =}.
function texts.count_cut(found, set, p)
  local cut = 0
  for k = 1, p.stride and 0 or set:count() do
    if set:length(k) == p.longest then
      local window, ends = set:window(k), { 0, 0 }
      for i, to in ipairs(window.to) do
        local s = window.sequence[i]
        if s >= 0 then ends[s + 1] = math.max(ends[s + 1], to) end
      end
      local i = set:text(k)
      local own, pair = #found.texts[i]:gsub("%s+$", ""), found.pairs and #found.pairs[i]:gsub("%s+$", "") or 0
      if ends[1] < own or ends[2] < pair then cut = cut + 1 end
    end
  end
  return cut
end

-- What `list` has of each text, of each window.
local function of_windows(list, set)
  local out = {}
  for k = 1, list and set:count() or 0 do out[k] = list[set:text(k)] end
  return list and out
end

-- Marks of all pieces, or spans of all windows, one behind the other.
local function gathered(set, f)
  local out = {}
  for k = 1, f and set:count() or 0 do
    local list = f(set:window(k), set:text(k))
    table.move(list, 1, #list, #out + 1, out)
  end
  return f and out
end

local function lengths_said(found, set, p, say)
  local least, most, total = math.huge, 0, 0
  for k = 1, set:count() do
    local n = set:length(k)
    least, most, total = math.min(least, n), math.max(most, n), total + n
  end
  local cut = texts.count_cut(found, set, p)
  say(("pieces    %d to %d of a text, %.1f in the mean%s%s"):format(least, most, total / set:count(),
    cut > 0 and ("; %s of %s are cut at %d (--data.longest)"):format(util.thousands(cut),
      util.thousands(#found.texts), p.longest) or "",
    set:count() > #found.texts and ("; %s windows of %s texts, each shares %d pieces with the one before"):format(
      util.thousands(set:count()), util.thousands(#found.texts), p.stride) or ""))
  return most
end

-- Texts that stand in training and in test too, as a line; nil where none do. `list`: numbers of the windows of each
-- part.
function texts.shared(found, list)
  local own, seen, n, first = {}, {}, 0, nil
  local function key(k)
    local i = found.text_of[k]
    return found.texts[i] .. "\0" .. (found.pairs and found.pairs[i] or ""), i
  end
  for _, k in ipairs(list.train) do own[key(k)] = true end
  for _, k in ipairs(list.test) do
    local text, i = key(k)
    if own[text] and not seen[i] then seen[i], n, first = true, n + 1, first or i end
  end
  if n == 0 then return nil end
  return ("warning   %s of the test texts stand among the training texts too, like '%s': figures are better than " ..
    "elsewhere"):format(util.thousands(n), util.shown(found.texts[first], 60))
end

-- Windows of all texts; what is wrong with one is said of its place in the file.
local function encoded(found, tokenizer, options)
  local ok, set = pcall(tokenizer.handle.encode_all, tokenizer.handle, found.texts, found.pairs, options)
  if ok then return set end
  local message = util.reason(set)
  local number, why = message:match "^text (%d+): (.*)$"
  local place = number and found.places and found.places[tonumber(number)]
  util.fail(place and ("%s: %s"):format(place, why) or message)
end

-- What records.open wants of a reader's findings. Of classes: found.labels are texts.
function texts.prepare(d, found, options)
  found.said = found.said or {}
  if #found.texts == 0 then util.failf("data.%s: there are no texts", d.kind) end
  without_empty(d, found)
  local tokenizer = texts.tokenizer(d, options.tokenizer)
  local p = texts.preprocessing(d, options.base, tokenizer, found.pairs ~= nil)
  local encode = texts.options(p)
  encode.threads = d.options.threads
  local set = encoded(found, tokenizer, encode)
  found.texts_preprocessing, found.tokenizer = p, tokenizer
  lengths_said(found, set, p, function(line) table.insert(found.said, line) end)
  found.text_of = {}
  for k = 1, set:count() do found.text_of[k] = set:text(k) end
  local record = { pieces = set, places = found.places }
  if found.labels then
    record.classes = options.classes or found.classes or cells.names(found.labels)
    record.labels = of_windows(cells.labels(found.labels, record.classes, found.places), set)
  end
  record.values, record.value_names = of_windows(found.values, set), found.value_names
  record.marks, record.spans = gathered(set, found.mark), gathered(set, found.span)
  record.classes = record.classes or found.classes
  found.parts = of_windows(found.parts, set)
  found.keys = of_windows(found.keys, set)
  if set:count() > #found.texts then -- windows of a text are of one part, and count as one
    found.units, found.keys = found.text_of, found.keys or found.text_of
  end
  found.record = record
  return found
end

-- ---- the plan, and the loader ----

-- Options of core.data.loader beside those that all have.
function texts.loader_options(built)
  local p = built.preprocessing
  local masking = built.masking
  return { pad = p.pad, types = p.types, batch_pieces = built.batch_pieces,
    buckets = built.buckets or built.batch_pieces ~= nil,
    mask_share = masking and masking.share or nil, mask_id = masking and masking.mask or nil,
    mask_size = masking and masking.size or nil }
end

util.seal(texts, "data.texts.")
return texts
