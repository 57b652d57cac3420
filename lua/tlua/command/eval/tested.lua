-- tested.lua - which pictures `tlua eval` tests: the test part of the data; of the data that the network was trained on, where they have none, what
-- was held out; of other data without parts all of them. And the words for it.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local data = require "tlua.data"
local data_text = require "tlua.data.text"
local tested = {}

-- What decides which pictures are test pictures, and how they are read; the preprocessing is in the model file already.
local SAME = { root = true, batch = true, on_bad = true, private = true }
local SAME_PICTURES = { limit = true, test_limit = true, split = true, split_seed = true, group = true,
  classes = true, doubles = true, near = true }

-- The data options of the command line: { {"data.split", "0.2"}, ... } -> {split = 0.2}; and whether all pictures are asked for (split = 1).
local function said(kind, options)
  local list, given, whole = data.kinds[kind].schema, {}, false
  for _, each in ipairs(options) do
    local name = each[1]:match "^data%.(.+)$"
    if name == "split" and tonumber(each[2]) == 1 and (kind == "folder" or data.kinds[kind].open) then whole = true
    elseif name then
      local field = schema.find(list, name)
      if not field then schema.usage(util.unknown_text("option", "--" .. each[1], schema.names(list))) end
      given[name] = schema.parse(field, each[1], each[2])
    end
  end
  return given, whole
end

-- Is `root` the data of the training: the same folder, or the same pictures elsewhere?
local function is_own(known, kind, root)
  if not known or known.kind ~= kind then return false end
  local own = known.options.root or data.root(data[kind] {})
  if core.same_file(root, own) then return true end
  local all = kind == "folder" and known.list and known.list.all
  if not all then return false end
  local ok, list = pcall(data.list_of_folder, root)
  return ok and list.hash == all.hash
end

-- The description of the data to test, and whether the whole of it is.
local function choose(info, kind, options)
  local known = info.data
  local given, whole = said(kind, options)
  local took = {}
  for name, value in pairs(given) do took[name] = value end
  local function take(names)
    if not known or known.kind ~= kind then return end
    for _, field in ipairs(data.kinds[kind].schema) do
      if names[field[1]] and took[field[1]] == nil then took[field[1]] = known.options[field[1]] end
    end
  end
  take(SAME)
  local root = data.root(data[kind](took))
  local own = is_own(known, kind, root)
  if own then take(SAME_PICTURES) end
  local parts = kind == "folder" and core.data.parts(root)
  local held_out = own and not (known.list and known.list.held_out == false) -- a training part alone has nothing that was held out
  if parts and not parts.test and not held_out and given.split == nil then whole = true end
  if whole then took.split, took.group = nil, nil end
  return { d = data[kind](took), root = root, own = own, whole = whole, parts = parts }
end

-- Do the options, or the folders of the data, say themselves what is for testing?
local function own_parts(took)
  if took.part or took.test_images or took.held_out then return true end
  return took.root and not (took.labels or took.path) and require("tlua.data.records").has_parts(took.root)
end

-- The option that says where data of a kind lie.
local function place_of(kind) return schema.find(data.kinds[kind].schema, "path") and "path" or "root" end

-- What divides the texts of the training and is no property of others.
local DIVIDES = { "test", "validation", "split", "split_seed", "limit", "test_limit", "per_class" }

-- Options of texts: the parts of the training are not those of another file, and of data whose test part is a file of
-- its own that one alone is read. Returns the options, and whether this is so.
local function of_texts(took, given, own)
  took.tokenizer = given.tokenizer
  for _, name in ipairs(own and {} or DIVIDES) do took[name] = given[name] end
  if type(took.test) ~= "string" then return took, false end
  local alone = {}
  for name, value in pairs(took) do alone[name] = value end
  alone.path, alone.test, alone.validation, alone.split = took.test, nil, nil, nil
  return alone, true
end

-- The numbers of a model mean pieces of its own tokenizer.
local function same_tokenizer(built, tokenizer)
  if tokenizer and built.tokenizer and built.tokenizer.sha256 ~= tokenizer.sha256 then
    util.failf("eval: the tokenizer %s is another than the model's own, which is in its file: leave out "
      .. "--data.tokenizer", built.tokenizer.name)
  end
end

-- Data that are lists of samples: the same file or folder with the same options has the same parts.
local function open_records(info, kind, options, identifiers, tokenizer)
  local known = info.data
  local given, whole = said(kind, options)
  local same = known and known.kind == kind
  local took, place = {}, place_of(kind)
  for _, field in ipairs(data.kinds[kind].schema) do
    local name = field[1]
    if given[name] ~= nil then took[name] = given[name]
    elseif same and name ~= "augment" then took[name] = known.options[name] end
  end
  local own = same and (given[place] == nil or core.same_file(given[place], known.options[place] or ""))
  if not same and info.task and (kind == "csv" or kind == "dicom" and took.labels) then
    took.target = took.target or info.task.names
  end
  local task = require "tlua.task"
  local name = info.task and info.task.name or "classify"
  local root, alone = data.root(data[kind](took)), false
  if data.kinds[kind].texts then took, alone = of_texts(took, given, own) end
  local d = data[kind](took)
  -- Other data without parts of their own are tested whole.
  if not own and not own_parts(took) and not alone and given.split == nil then whole = true end
  local built = data.open(d, info.preprocessing, info.seed or 0, { only_test = true, whole = whole or alone or nil,
    task = task.of_file(info), tokenizer = tokenizer,
    classes = (name == "classify" or name == "segment" or name == "tokens") and info.labels or nil,
    identifiers = identifiers })
  local list = own and known.list and known.list.test
  same_tokenizer(built, tokenizer)
  built.tested = { part = whole and "all" or (built.own_test or alone) and "test" or "held out",
    root = took[place] or root }
  if own and whole then built.tested.warning = "the network was trained on a part of them" end
  if list and kind ~= "custom" and not whole and built.test:list_hash(root) ~= list.hash then
    built.tested.warning = ("these are not the %s that were held out in the training, which may be among them"):format(
      built.input.many)
  end
  return built
end

-- The data of a model that was passed on without its table of identifiers are not named in it.
local function check_place(known, kind, options, identifiers)
  if not known or known.kind ~= kind or not known.options.private or identifiers then return end
  local place = place_of(kind)
  for _, each in ipairs(options) do
    if each[1] == "data." .. place then return end
  end
  util.failf("eval: the model was trained on private data and does not say where they lie, and there is no " ..
    "identifiers.csv beside it: --data.%s names them", place)
end

-- options: `data` (a kind) and pairs {"data.NAME", text}. Returns what data.open gives, with `tested`: {part = "test", "held out" or "all", root =,
-- warning =}. `identifiers`: of the run that the model lies in, whose data are private; without them nobody knows where
-- those lie. `tokenizer`: that of the network, where it reads.
function tested.open(info, options, identifiers, tokenizer)
  local kind = options.data or (info.data and info.data.kind)
  if not kind then schema.usage("eval: say what the data are: --data " .. table.concat(data.names, "|")) end
  if not rawget(data.kinds, kind) then schema.usage("--data: " .. util.unknown_text("data", kind, data.names)) end
  if kind == "custom" then
    util.fail("eval: the data of the training were a function of its recipe; name others, like --data folder --data.root DIR")
  end
  check_place(info.data, kind, options, identifiers)
  if data.kinds[kind].open then return open_records(info, kind, options, identifiers, tokenizer) end
  local c = choose(info, kind, options)
  local built = data.open(c.d, info.preprocessing, info.seed or 0, { only_test = true, whole = c.whole,
    classes = kind == "folder" and info.labels or nil, identifiers = identifiers })
  local apart = not c.parts or c.parts.test
  local out = { part = c.whole and "all" or apart and "test" or "held out", root = (not c.whole and c.parts and c.parts.test) or (c.parts and c.parts.train) or c.root }
  local list = info.data and info.data.kind == kind and info.data.list -- pictures of another kind of data are others
  if c.parts and c.parts.train and list and list.all and list.train then
    local now = data.list_of_folder(c.root)
    if out.part == "held out" and c.own and now.hash ~= list.all.hash then
      out.warning = ("its pictures have changed since the training (%s then, %s now), so those that are held out now may have been trained on"):format(
        util.thousands(list.all.count), util.thousands(now.count))
    elseif out.part == "held out" and not c.own then out.warning = "it is not the data of the training, and only a part of it is tested"
    elseif out.part == "all" and (now.hash == list.train.hash or (now.hash == list.all.hash and not list.held_out)) then out.warning = "these are the pictures that the network was trained on"
    elseif out.part == "all" and now.hash == list.all.hash then out.warning = "the network was trained on a part of them" end
  end
  built.tested = out
  return built
end

-- "all 18 pictures of DIR", "the 3 pictures held out of DIR".
function tested.text(built)
  local t, n = built.tested, built.test:count()
  local pictures = ("%s %s"):format(util.thousands(n), data_text.samples(built, n == 1))
  local text = t.part == "all" and ("all %s of %s"):format(pictures, t.root) or t.part == "test" and ("%s of the test part, %s"):format(pictures, t.root)
    or ("the %s held out of %s"):format(pictures, t.root)
  return ("%s, %s%s"):format(text, built.records and (not built.fields.text and built.fields_text or "their texts")
    or ("in %d classes"):format(#built.classes), t.warning and "; " .. t.warning or "")
end

return tested
