-- records.lua - data that are lists of samples: a CSV of files and targets, pictures with masks, tensors, a function. Each kind makes one source for
-- all of its samples, or one a part; parts that are not given are held out by tlua/data/split.lua.
local core = require "tlua.core"
local util = require "tlua.util"
local split = require "tlua.data.split"
local tensors = require "tlua.data.tensors"
local cells = require "tlua.data.cells"
local kinds = require "tlua.data.kinds"
local waves = require "tlua.data.waves"
local dicom = require "tlua.data.dicom"
local volumes = require "tlua.data.volumes"
local identifiers = require "tlua.data.identifiers"
local texts = require "tlua.data.texts"
local doubles = require "tlua.data.doubles"
local records = {}

local HELD_OUT = 0.2 -- for testing, where nothing is said
local PARTS = cells.PARTS
local ORDER = { "train", "validation", "test" }

-- ---- data.csv ----

local shown, LONGEST = util.shown, cells.LONGEST
local column_of, absolute, part_of, names_in, labels_of = cells.column, cells.absolute, cells.part, cells.names,
  cells.labels
local wants, number_in = cells.wants, cells.number

-- The columns of `names`: {values = by name what each row says}, whose take(row, i) fills them; nil of none.
local function attribute_columns(path, header, names)
  if not names or #names == 0 then return nil end
  names = util.distinct(type(names) == "string" and { names } or names, "data.csv: attributes")
  local columns, out = {}, { values = {} }
  for k, name in ipairs(names) do columns[k], out.values[name] = column_of(path, header, name, "attributes"), {} end
  function out.take(self, row, i)
    for k, name in ipairs(names) do
      local cell = row[columns[k]]:match "^%s*(.-)%s*$"
      self.values[name][i] = cell ~= "" and shown(cell, LONGEST) or false
    end
  end
  return out
end

-- { record = the fields of core.data.source("records"), parts = {part...}?, keys = {group...}?, value_names = }
local function read_csv(d, options)
  local o, path = d.options, d.options.path
  local missing = util.missing(path)
  if missing then util.failf("%s; --data.path FILE names another", missing) end
  local header, rows, lines = core.csv(path)
  local targets = type(o.target) == "table" and o.target or { o.target }
  if #targets == 0 then util.fail 'data.csv: target names no column, like target = "finding"' end
  util.distinct(targets, "data.csv: target")
  local image, columns = column_of(path, header, o.image, "image"), {}
  for k, name in ipairs(targets) do columns[k] = column_of(path, header, name, "target") end
  local group = o.group and column_of(path, header, o.group, "group")
  local part = o.part and column_of(path, header, o.part, "part")
  local attributes = attribute_columns(path, header, o.attributes)
  local numbers, task = wants("values", d, options)
  local kind = numbers and "values" or "label"
  if kind == "label" and #targets > 1 then
    util.failf("%d targets (%s) are for task.multilabel {} or task.regress {}, not for task.%s", #targets, table.concat(targets, ", "), task)
  end
  local folder = o.root or path:match "^(.*)/[^/]*$" or "."
  local r, texts, places = { paths = {}, values = kind == "values" and {} or nil }, {}, {}
  local out = { parts = part and {}, keys = group and {}, attributes = attributes and attributes.values }
  for i, row in ipairs(rows) do
    local place = ("%s:%d"):format(path, lines and lines[i] or i + 1)
    places[i], r.paths[i] = place, absolute(folder, row[image])
    if row[image] == "" then util.failf("%s: column '%s' is empty, and a file is needed", place, o.image) end
    if util.missing(r.paths[i]) then util.failf("%s: there is no file %s", place, shown(r.paths[i], 240)) end
    if group then out.keys[i] = row[group] end
    if part then out.parts[i] = part_of(row[part], place, o.part) end
    if attributes then attributes:take(row, i) end
    if kind == "label" then
      texts[i] = cells.class(row[columns[1]], place, targets[1])
    else
      r.values[i] = {}
      for k, c in ipairs(columns) do r.values[i][k] = number_in(row[c], place, targets[k], task == "multilabel") end
    end
  end
  if #rows == 0 then util.failf("%s has no rows below its header", path) end
  if kind == "label" then
    r.classes = options.classes or names_in(texts)
    r.labels = labels_of(texts, r.classes, places)
    if #r.classes < 2 then util.failf("%s: column '%s' has one class only, %s", path, targets[1], r.classes[1]) end
    if #r.classes > 1000 and #r.classes > #rows / 2 then
      util.failf("%s: column '%s' has %d different texts in %d rows; numbers are for task.regress {}", path, targets[1], #r.classes, #rows)
    end
  else r.value_names = targets end
  out.record, out.value_names, out.title = r, r.value_names, path:match "[^/]+$"
  out.root = folder
  return out
end

-- ---- data.masks ----

local function stems(folder)
  local list, out, names = core.data.pictures(folder), {}, {}
  for _, path in ipairs(list) do
    local stem = path:sub(#folder + 2):gsub("%.[^./]*$", "")
    if out[stem] then util.failf("%s and %s have the same name but for their endings", out[stem], path) end
    out[stem], names[#names + 1] = path, stem
  end
  table.sort(names)
  return names, out
end

-- Adds the pairs below DIR/images and DIR/masks.
local function add_pairs(r, folder)
  local images, masks = folder .. "/images", folder .. "/masks"
  for _, each in ipairs { images, masks } do
    local missing = util.missing(each, "folder")
    if missing then util.failf("data.masks: %s", missing) end
  end
  local names, pictures = stems(images)
  local _, drawn = stems(masks)
  for _, name in ipairs(names) do
    if not drawn[name] then util.failf("%s has no mask: there is no %s/%s.png", pictures[name], masks, name) end
    r.paths[#r.paths + 1], r.masks[#r.masks + 1] = pictures[name], drawn[name]
    drawn[name] = nil
  end
  local _, left = next(drawn)
  if left then util.failf("%s is the mask of no picture in %s", left, images) end
  if #names == 0 then util.failf("%s holds no pictures", images) end
  return #names
end

-- Has a folder of pictures and masks parts of its own?
function records.has_parts(root)
  for _, name in ipairs(core.exists(root) and core.list_folder(root) or {}) do
    if PARTS[name:lower()] and core.is_folder(root .. "/" .. name) then return true end
  end
  return false
end

local function class_names(d, options)
  local o = d.options
  if options.classes then return options.classes end
  if o.classes then return util.distinct(type(o.classes) == "table" and o.classes or { o.classes },
    "data.masks: classes") end
  local path, list = o.root .. "/classes.txt", {}
  if not core.exists(path) then
    util.failf('data.masks: what the values in the masks mean is not said: classes = { "background", "cell" }, or a line for each in %s', path)
  end
  for line in core.read_file(path):gsub("^\xEF\xBB\xBF", ""):gmatch "[^\r\n]+" do
    local name = line:match "^%s*(.-)%s*$"
    if not utf8.len(name) or name ~= shown(name, LONGEST) then
      util.failf("%s: '%s' is no name of a class in UTF-8",
        path, shown(name))
    end
    if name ~= "" then list[#list + 1] = name end
  end
  return util.distinct(list, path)
end

local function read_masks(d, options)
  local o, folders = d.options, {}
  if not o.root then util.fail "data.masks: root is missing, the folder where images and masks lie: --data.root DIR" end
  local missing = util.missing(o.root, "folder")
  if missing then util.failf("data.masks: %s; --data.root DIR names another", missing) end
  for _, name in ipairs(core.list_folder(o.root)) do
    local part = PARTS[name:lower()]
    if part and core.is_folder(o.root .. "/" .. name) then
      if folders[part] then util.failf("data.masks: %s and %s in %s could both be the part '%s'", folders[part], name, o.root, part) end
      folders[part] = name
    end
  end
  local r = { paths = {}, masks = {}, classes = class_names(d, options), mask_values = {} }
  if #r.classes < 2 then util.failf("data.masks: two classes at least are needed, not %d", #r.classes) end
  local values = cells.mask_values(o.values, #r.classes, "data.masks")
  for k = 1, #r.classes do r.mask_values[values[k]] = k - 1 end
  local ignored = options.task and options.task.options.ignore
  if ignored then r.mask_values[ignored] = 255 end
  local out = { record = r, title = "Masks", root = o.root, said = {} }
  if next(folders) then
    if not folders.train then util.failf("data.masks: %s has no folder train beside %s", o.root, folders.test or folders.validation) end
    out.parts = {}
    for _, part in ipairs(ORDER) do
      for _ = 1, folders[part] and add_pairs(r, o.root .. "/" .. folders[part]) or 0 do out.parts[#out.parts + 1] = part end
    end
  else
    add_pairs(r, o.root)
  end
  if o.group then
    out.keys = split.keys { kind = "masks", pattern = o.group, root = o.root, n = #r.paths, name = function(i) return r.paths[i] end }
  end
  return out
end

-- ---- data.custom ----

-- Names for the numbers that a function gives where nobody says any; nil where it gives none, or an error, which is
-- told when it is opened.
local function value_names_of(get)
  local ok, first = pcall(get, 1)
  local values = ok and type(first) == "table" and first.values
  if type(values) ~= "table" then return nil end
  return tensors.numbered(#values)
end


-- The same function, each of whose samples must have a class.
local function labelled(get)
  return function(i)
    local v = get(i)
    if type(v) == "table" and v.image ~= nil and v.values == nil and v.mask == nil and (v.label == nil
      or v.label == -1) then
      error(("get(%d): label is %s, and a class number from 0 is needed"):format(i, v.label == nil and "missing"
        or "-1"), 0)
    end
    return v
  end
end

local function read_custom(d, options)
  local o = d.options
  local function names(field) return util.distinct(type(o[field]) == "string" and { o[field] } or o[field],
    "data.custom: " .. field) end
  local value_names = names "value_names" or value_names_of(o.get)
  local classes = options.classes or names "classes"
  if classes and #classes < 2 and not value_names then
    util.failf("data.custom: one class only, %s, so there is nothing to learn", classes[1] or "none")
  end
  return { custom = { count = o.count, get = wants("label", d, options) and labelled(o.get) or o.get, classes = classes,
    value_names = value_names, key = o.key },
    value_names = value_names, title = "Custom" }
end

-- Readers of boxes and of texts are loaded when they are called.
local function later(file, name)
  return function(d, options) return require("tlua.data." .. file)[name](d, options) end
end

local readers = { coco = later("boxes.coco", "read"), voc = later("boxes.voc", "read"),
  yolo = later("boxes.yolo", "read"), boxes = later("boxes.table", "read"), squad = later("texts.squad", "read"),
  texts = later("texts.tables", "read_texts"), lines = later("texts.tables", "read_lines"),
  conll = later("texts.words", "read_conll"), spacing = later("texts.words", "read_spacing"),
  csv = read_csv, masks = read_masks, tensors = tensors.read, custom = read_custom,
  dicom = dicom.read, speech = waves.read_speech, sounds = waves.read_sounds, nifti = volumes.read_nifti }

-- ---- parts ----

-- Samples in a draw by the seed, as long as take(how many there are already, number) says so, as a view in their own
-- order.
local function drawn(source, seed, take)
  local chosen = {}
  for _, i in ipairs(core.data.permutation(seed, 1 << 42, source:count())) do
    if not take(#chosen, i) then break end
    chosen[#chosen + 1] = i
  end
  table.sort(chosen)
  return core.data.subset(source, chosen)
end

-- `n` of the samples of a source, drawn by the seed, in their order. `units`: numbers of what counts as one, of each
-- sample of the source of all (windows of a text); they are drawn whole.
local function limited(source, n, seed, units)
  if not n or source:count() <= n then return source end
  if not units then return drawn(source, seed, function(taken) return taken < n end) end
  local known, count, chosen = {}, 0, {}
  for _, i in ipairs(core.data.permutation(seed, 1 << 42, source:count())) do
    local unit = units[source:origin(i)]
    if not known[unit] and count < n then known[unit], count = true, count + 1 end
  end
  for i = 1, source:count() do
    if known[units[source:origin(i)]] then chosen[#chosen + 1] = i end
  end
  return core.data.subset(source, chosen)
end

-- Clips of at most so many minutes together, in the order of a draw, as a view in their own order.
local function minutes_of(source, minutes, seed)
  local left = 60 * minutes
  return drawn(source, seed, function(taken, i)
    left = left - source:seconds(i)
    return left >= 0 or taken == 0
  end)
end

local function members(list, part)
  local out = {}
  for i, each in ipairs(list) do
    if each == part then out[#out + 1] = i end
  end
  return out
end

local function draw(n, share, seed, found, all, index)
  local keys = found.keys
  local of = index or function(i) return i end
  return split.share { n = n, share = share, seed = seed, group = keys and function(i) return keys[of(i)] end,
    label = found.record and found.record.labels and function(i) return all:label(of(i)) end or nil }
end

local function chosen(list, of)
  local out = {}
  for i, at in ipairs(of) do out[i] = list[at] end
  return out
end

-- Numbers of the samples of each part, and the words for how they came apart.
local function parts_of(d, found, all, seed, selects)
  local o, n, list, said = d.options, all:count(), {}, {}
  seed = o.split_seed or seed
  if found.parts then
    for _, part in ipairs(ORDER) do list[part] = members(found.parts, part) end
    if #list.train == 0 then util.failf("data.%s: no sample is for training", d.kind) end
    said[1] = "the data's own"
    if o.split and #list.test > 0 then
      util.failf("data.%s: split = %g, but the data say themselves which samples are for testing: leave split out of the recipe",
        d.kind, o.split)
    elseif o.split and o.split > 0 then
      local own = list.train
      local kept, held = draw(#own, o.split, seed, found, all, function(i) return own[i] end)
      list.train, list.test = chosen(own, kept), chosen(own, held)
      said[1] = ("the data's own, which have no test part: %g %% of the training samples held out%s"):format(100 * o.split,
        found.keys and ", groups as a whole" or "")
    end
  else
    local share = o.split or HELD_OUT
    list.train, list.test = draw(n, share, seed, found, all)
    said[1] = share > 0 and ("%g %% held out for testing%s"):format(100 * share, found.keys and ", groups as a whole" or "") or "nothing is held out for testing"
  end
  local asked = type(o.validation) == "number" and o.validation or nil -- of texts it may be a file
  local share = asked or (selects and #(list.validation or {}) == 0 and 0.1) or 0
  if asked and list.validation and #list.validation > 0 then
    util.failf("data.%s: validation = %g, but the data have a validation part of their own", d.kind, asked)
  end
  if share > 0 then
    local own = list.train
    local kept, held = draw(#own, share, seed + 1, found, all, function(i) return own[i] end)
    if #held > 0 then
      list.train, list.validation = chosen(own, kept), chosen(own, held)
      said[2] = ("%g %% of the training samples held out%s%s"):format(100 * share, found.keys and ", groups as a whole" or "",
        asked and "" or (", since %s goes by them; --data.validation says how many"):format(selects))
    elseif asked then
      util.failf("data.%s: validation = %g of %d training samples leaves none for it", d.kind, share, #own)
    end
  elseif list.validation and #list.validation > 0 then said[2] = "the data's own" end
  if selects and #(list.validation or {}) == 0 then split.none_held(d.kind, selects) end
  return list, said
end

local function fields_of(source)
  local out = {}
  for _, f in ipairs(source:fields()) do
    if f.name ~= "image" and f.name ~= "volume" and f.name ~= "pieces" then out[f.name] = true end
  end
  return out
end

-- Samples whose group stands in training and in test too.
local function groups_of(found, list)
  if not found.keys then return nil end
  local known, count = {}, 0
  for _, key in ipairs(found.keys) do
    if not known[key] then known[key], count = true, count + 1 end
  end
  return { count = count, shared = split.shared_groups(chosen(found.keys, list.train), chosen(found.keys, list.test)) }
end

-- Clips that stand in training and in test too, as a line for the plan: rows that a table has twice.
local function shared_clips(found, list)
  local waves_of, own, first, n = found.record and found.record.waves, {}, nil, 0
  if not waves_of then return nil end
  for _, i in ipairs(list.train) do own[waves_of[i]] = true end
  for _, i in ipairs(list.test) do
    if own[waves_of[i]] then n, first = n + 1, first or waves_of[i] end
  end
  if n == 0 then return nil end
  return ("warning   %d of %d test clips are training clips too (%s): figures are better than elsewhere"):format(n,
    #list.test, first)
end

-- Of a function without a key there is no hash: that it gives the same is its writer's word.
local function list_of(source, root)
  return { count = source:count(), hash = root and source:list_hash(root) or source:hash() or ("%d samples"):format(source:count()) }
end

-- Of each sample of a part, in its order, what `list` has of all samples.
local function of_part(list, source)
  local out = {}
  for i = 1, source:count() do out[i] = list[source:origin(i)] end
  return out
end

-- Whose samples are, and what else is known of them, by parts: built.keys and built.attributes.
local function add_attributes(out, found)
  out.keys, out.attributes = found.keys and {}, found.attributes and {}
  for _, part in ipairs(ORDER) do
    if out[part] and found.keys then out.keys[part] = of_part(found.keys, out[part]) end
    if out[part] and found.attributes then
      out.attributes[part] = {}
      for name, list in pairs(found.attributes) do out.attributes[part][name] = of_part(list, out[part]) end
    end
  end
end

-- Aliases for all samples (tlua/data/identifiers.lua). `known`: the identifiers of a run that goes on.
local function named(d, found, all, known)
  local whose, ids = found.whose or { patients = split.known(found.keys) }, identifiers.of_data(d, known)
  ids:name(all, { root = found.root, patients = whose.patients, series = whose.series, numbers = whose.numbers })
  found.title = require("tlua.data").kinds[d.kind].title -- it may be the name of a file
  return ids
end

-- Pictures that look nearly the same get the same key.
local function keep_apart(d, found, all)
  if found.parts then doubles.cannot_move(d.kind) end
  local text
  found.keys, text = doubles.apart(all, d.options, found.keys)
  found.said = { table.unpack(found.said or {}) }
  table.insert(found.said, text)
end

-- What data.open gives for these kinds.
function records.open(d, seed, options, base)
  local o = d.options
  options.base = base
  local found = readers[d.kind](d, options)
  seed = o.split_seed or seed
  local ok, all = pcall(core.data.source, found.custom and "custom" or "records", found.custom or found.record)
  if not ok then util.failf("data.%s: %s", d.kind, util.without_place(all)) end
  local private = o.private and named(d, found, all, options.identifiers)
  if o.doubles == "apart" and not options.whole then keep_apart(d, found, all) end
  local list, said = parts_of(d, found, all, seed, options.selects)
  if options.whole then list = { train = {}, test = table.move(core.data.permutation(0, 0, all:count()), 1, all:count(), 1, {}) } table.sort(list.test) end
  local batch = kinds.batch(d)
  local out = { batch = batch == "auto" and 1 or batch, threads = o.threads, drop_last = o.drop_last,
    on_bad = o.on_bad or "error", skipped = {}, noted = {},
    fields = fields_of(all), title = found.title, value_names = found.value_names, records = true,
    private = private, burnt_in = found.burnt_in, tokenizer = found.tokenizer,
    texts = found.texts and { texts = found.texts, pairs = found.pairs, places = found.places, answers = found.answers,
      words = found.words, preprocessing = found.texts_preprocessing } or nil }
  local function part(name, limit)
    if not list[name] or (#list[name] == 0 and name ~= "test") then return nil end
    local some = limited(core.data.subset(all, list[name]), limit, seed, found.units)
    local use, bad, notes = core.data.check(some, out.on_bad, out.threads)
    for _, each in ipairs(bad) do out.skipped[#out.skipped + 1] = { part = name, reason = each.reason } end
    for _, each in ipairs(notes) do out.noted[#out.noted + 1] = { part = name, reason = each.reason } end
    return use
  end
  out.test = part("test", o.test_limit or (o.limit and math.max(1, o.limit // 5)))
  if not options.only_test then
    out.train, out.validation = part("train", o.limit), part("validation", o.test_limit)
    if o.per_class then
      if not out.fields.label then util.failf("data.%s: per_class counts pictures of each class, and there are none: --data.limit", d.kind) end
      out.train = require("tlua.data").first_of_classes(out.train, o.per_class, seed)
    end
    local volumes = found.record and found.record.volumes -- which have no hash; the same files are found
    if doubles.wanted(o) and not volumes then doubles.find(out, o) end
    if doubles.wanted(o) or volumes then out.shared = core.data.shared(out.train, out.test) end
    if o.minutes then out.train = minutes_of(out.train, o.minutes, seed) end
    local root = found.root
    out.list = { train = list_of(out.train, root), test = list_of(out.test, root), validation = out.validation and list_of(out.validation, root) or nil }
    out.groups = groups_of(found, list)
    local shared = found.text_of and texts.shared(found, list) or shared_clips(found, list)
    if shared then
      found.said = found.said or {}
      table.insert(found.said, shared)
    end
    out.changes = require("tlua.data").changes(options.changes, out.fields)
  end
  add_attributes(out, found)
  out.boxes = found.boxes
  if found.boxes and out.train then found.said[#found.said + 1] = require("tlua.data.boxes").opened(d, out) end
  out.classes = all:classes()
  out.counted = not found.custom -- labels of a function are known once it was called
  out.said, out.validation_text, out.own_test = { "parts     " .. said[1], table.unpack(found.said or {}) }, said[2],
    found.parts ~= nil
  out.windowed = found.units ~= nil
  out.fields_text = out.value_names and ("%d target%s (%s)"):format(#out.value_names, #out.value_names == 1 and "" or "s", util.first_few(out.value_names, 6))
    or #out.classes > 0 and ("%d classes"):format(#out.classes) or out.fields.spans and "their answers" or "their words"
  out.augment_given = options.augment or {}
  return out
end

util.seal(records, "data.")
return records
