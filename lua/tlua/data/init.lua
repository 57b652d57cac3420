-- data.lua - data sets. data.cifar10 { root = "data/cifar10" } describes one; data.open builds sources and
-- pipelines from the description and the preprocessing that came with the network's weights.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local augment = require "tlua.data.augment"
local augment_waves = require "tlua.data.augment_waves"
local split = require "tlua.data.split"
local input = require "tlua.data.input"
local identifiers = require "tlua.data.identifiers"
local doubles = require "tlua.data.doubles"
local waves = require "tlua.data.waves"
local dicom = require "tlua.data.dicom"
local windows = require "tlua.data.dicom.windows"
local volumes = require "tlua.data.volumes"
local texts = require "tlua.data.texts"
local augment_volumes = require "tlua.data.volumes.augment"
local kinds_of = require "tlua.data.kinds"
local box_changes = require "tlua.data.boxes.changes"

local kinds = kinds_of.all

-- Fields of a sample beside its picture.
local FIELDS = { input = true, text = true, marks = true, spans = true, label = true, values = true, mask = true,
  boxes = true, points = true }

-- How many times the pixels that the resize needs a reduced picture has at least, on a side; Pillow's thumbnails take 2 as well.
local GAP = 2

local data = { kinds = kinds, names = util.keys(kinds), COMMON = kinds_of.COMMON }

-- The task that the fields of a description's data imply, where a recipe names none.
function data.task_of(d)
  local info = kinds[d.kind]
  return require("tlua.task")[info.task and info.task(d.options) or "classify"] {}
end

for _, kind in ipairs(data.names) do
  data[kind] = function(options) return schema.describe("data", kind, kinds[kind].schema, options) end
end

-- ---- where the data lie ----

local function download(kind, d)
  local info = kinds[kind]
  local folder = core.cache_folder("data")
  local archive = ("%s/%s"):format(folder, info.url:match("[^/]+$"))
  local ok, e = pcall(function()
    util.note(("downloading %s"):format(info.url))
    core.fetch(info.url, archive)
    core.untar(archive, folder)
  end)
  if not ok then
    util.failf("data.%s: there is no %s in %s, and it could not be downloaded from %s (%s); name its folder with --data.root DIR", kind, info.title,
      d.options.root or folder, info.url, util.download_reason(e, info.url))
  end
  core.remove(archive)
  return folder .. "/" .. info.inside
end

-- The folder of a description's data; downloads what can be.
function data.root(d)
  local info, root = kinds[d.kind], d.options.root
  if info.open then
    local path = d.options.path or d.options.annotations
    return root or path and (path:match "^(.*)/[^/]*$" or ".") or "memory"
  end
  if root and core.exists(root) then return root end
  if not root then
    for _, each in ipairs(info.roots or {}) do
      if core.exists(each) then return each end
    end
  end
  if info.url then
    local kept = core.cache_folder("data") .. "/" .. info.inside
    if core.exists(kept) then return kept end
    return download(d.kind, d)
  end
  if root then return root end
  if info.package then
    util.failf("data.%s: there is no %s; the Debian package %s has it, or name its folder with --data.root DIR", d.kind, info.title, info.package)
  end
  util.failf("data.%s: root is missing, the folder where the data lie: --data.root DIR", d.kind)
end

-- ---- preprocessing ----

local function each_channel(v, n)
  if type(v) == "table" and #v == 1 then v = v[1] end
  return type(v) ~= "number" and v or (n or 3) == 3 and { v, v, v } or { v }
end

-- Where nobody says mean and deviation: those of ImageNet's pictures, or for other channels a half of the range.
local function default_normalisation(out, o, base)
  local n = out.channels or 3
  local known = n == 3 and { mean = { 0.485, 0.456, 0.406 }, std = { 0.229, 0.224, 0.225 } } or
    { mean = { n == 1 and 0.449 or 0.5 }, std = { n == 1 and 0.226 or 0.5 } }
  for _, key in ipairs { "mean", "std" } do
    if not (o[key] or base[key]) then out[key], out.normalised_by_default = known[key], true end
  end
end

-- The weights' preprocessing with the description's own values on top. Small pictures are stretched to the
-- network's size with the bilinear filter: there is nothing to crop.
function data.preprocessing(d, base)
  local info, o = kinds[d.kind], d.options
  local size = o.size or base.size
  local default = not (o.mean or base.mean) or not (o.std or base.std)
  local fit = o.fit or (info.small and "stretch") or base.fit or "shorter"
  local channels = o.channels or base.channels
  if o.channels and base.channels and o.channels ~= base.channels then
    util.failf("data.%s: channels = %d, and the network takes pictures of %d (in_channels)", d.kind, o.channels, base.channels)
  end
  local scanned = d.kind == "dicom" or base.windows
  if channels and channels ~= 1 and channels ~= 3 and not scanned and d.kind ~= "tensors" and d.kind ~= "custom" then
    util.failf("data: pictures have 1 or 3 channels, the network wants %d", channels)
  end
  if scanned then base, channels = dicom.preprocessing(d, base, channels) end
  local out = { size = size, fit = fit, mean = each_channel(o.mean or base.mean, channels), std = each_channel(o.std or base.std, channels), channels = channels }
  out.windows, out.neighbours = scanned and base.windows or nil, scanned and base.neighbours or nil
  out.interpolation = o.interpolation or (info.small and not o.fit and "bilinear") or base.interpolation or "bilinear"
  if default then default_normalisation(out, o, base) end
  out.gap = o.decode == "reduced" and GAP or base.gap
  out.strip_corners = o.strip_corners or base.strip_corners
  if out.strip_corners == 0 then out.strip_corners = nil end
  input.letterboxed(d, out, o.interpolation or base.interpolation)
  if fit == "shorter" and size then
    out.resize = o.resize or math.floor((base.resize or base.size or size) * size / (base.size or size) + 0.5)
    if out.resize < size then util.failf("data.%s: resize = %d is smaller than size = %d", d.kind, out.resize, size) end
  end
  return out
end

local function check_preprocessing(p)
  for _, key in ipairs { "size", "mean", "std" } do
    if p[key] == nil or type(p[key]) == "table" and #p[key] == 0 then util.failf("data: no %s is known: the network's weights bring none, so give --data.%s", key, key) end
  end
  local channels = p.channels or 3
  for _, key in ipairs { "mean", "std" } do
    local n = type(p[key]) == "table" and #p[key] or 1
    if n ~= 1 and n ~= channels then
      util.failf("data: %s has %d numbers, and pictures have %d channels: one for each, or one for all", key, n,
        channels)
    end
  end
end

-- The steps of a pipeline. `change`: random changes (tlua/data/augment.lua), nil: none. `small` is the side of pictures that all have
-- one size.
function data.steps(p, change, grey, small)
  check_preprocessing(p)
  local steps, size = {}, p.size
  local function step(s) steps[#steps + 1] = s end
  local channels = p.channels or 3
  if p.gap then step { "decode", gap = p.gap } end
  if p.windows then step(windows.step(p.windows)) end
  if p.strip_corners then step { "strip_corners", share = p.strip_corners } end
  -- Several windows or slices are the channels; a single one must not stand for all of them.
  local stacked = p.windows and #p.windows * (2 * (p.neighbours or 0) + 1) > 1
  if not stacked and ((grey and channels == 3) or channels == 1) then step { "to_channels", channels = channels } end
  local own_size = p.fit == "stretch" and small
  if own_size then augment.shift(step, change, small) end
  if not augment.crop(step, change, size, p.interpolation) then
    if p.fit == "letterbox" then step { "letterbox", size = { size, size }, interpolation = p.interpolation }
    elseif p.fit == "stretch" then
      step { "resize", size = { size, size }, interpolation = p.interpolation }
    else
      step { "resize", size = p.resize, interpolation = p.interpolation }
      step { "center_crop", size = size }
    end
  end
  if not own_size then augment.shift(step, change, size) end
  augment.bytes(step, change)
  if change and change.least_visible then step { "least_visible", share = change.least_visible } end
  step { "normalize", mean = p.mean, std = p.std }
  augment.floats(step, change)
  return steps
end

-- ---- building ----

local HELD_OUT = 0.2 -- of class folders without a test part, where nothing is said
local PER_CLASS_STREAM = 1 << 40 -- beside the numbers of epochs, which draw by the seed too

-- At most `n` pictures of each class, in their old order. Those of a smaller n are among those of a larger one.
local function first_of_classes(source, n, seed)
  local members, chosen = {}, {}
  for k = 1, #source:classes() do members[k] = {} end
  for i = 1, source:count() do table.insert(members[source:label(i) + 1], i) end
  for k, list in ipairs(members) do
    local order = core.data.permutation(seed, PER_CLASS_STREAM + k, #list)
    for i = 1, math.min(n, #list) do chosen[#chosen + 1] = list[order[i]] end
  end
  table.sort(chosen)
  return core.data.subset(source, chosen)
end
data.first_of_classes = first_of_classes

-- Whose each picture of a source is: see split.keys.
local function groups_of(source, root, pattern)
  return { kind = "folder", pattern = pattern, root = root, n = source:count(),
    name = function(i) return source:path(i) end }
end

-- What stays together where test pictures are held out: the groups of the training part as numbers from 0, the key of
-- each picture by its path, and a line for the plan. nil where nothing does, and where the data have a test part of
-- their own.
local function groups_to_split(o, root, classes, only)
  if not o.group and o.doubles ~= "apart" then return nil end
  local function open(split)
    return core.data.source("folder", { root = root, split = split, limit = split and 1, classes = classes,
      only = only })
  end
  if pcall(open, "test") then
    if o.doubles == "apart" then doubles.cannot_move "folder" end
    return nil
  end
  local number, count, out, of_path, text = {}, 0, {}, {}, nil
  local source = open()
  local keys = o.group and split.keys(groups_of(source, root, o.group)) or nil
  if o.doubles == "apart" then keys, text = doubles.apart(source, o, keys) end
  for i, key in ipairs(keys) do
    if not number[key] then number[key], count = count, count + 1 end
    out[i], of_path[source:path(i)] = number[key], key
  end
  return out, of_path, text
end

-- The keys of the training pictures, for a validation that is held out of them; nil where all stand alone.
local function keys_to_hold_out(source, o, root, of_path)
  if not of_path then return o.group and (split.keys(groups_of(source, root, o.group), true)) or nil end
  local out = {}
  for i = 1, source:count() do out[i] = of_path[source:path(i)] end
  return out
end

-- Of a built description whose pictures have groups: how many there are, and the test pictures that share one with a training picture, which is only
-- possible where the data have a test part of their own.
local function count_groups(out, root, pattern)
  local seen, groups, shared = {}, 0, 0
  local function count(part, each)
    local keys, found = split.keys(groups_of(out[part], root, pattern), true)
    for _, key in ipairs(keys) do
      if not seen[key] then seen[key], groups = part, groups + 1 end
      each(seen[key])
    end
    return found
  end
  local found = count("train", function() end)
  found = count("test", function(first) shared = shared + (first == "train" and 1 or 0) end) or found
  if not found then split.found_nothing(groups_of(out.train, root, pattern)) end
  return { count = groups, shared = shared }
end

-- Whose the pictures of each part are.
local function keys_of(out, root, pattern)
  local keys = {}
  for _, part in ipairs { "train", "validation", "test" } do
    keys[part] = out[part] and split.keys(groups_of(out[part], root, pattern), true) or nil
  end
  return keys
end

-- How many pictures a list has and the hash of them: what tells that data have changed.
local function list_of(source, root) return { count = source:count(), hash = source:list_hash(root) } end

-- The same of the training part of class folders, whole, before anything is held out.
function data.list_of_folder(root)
  local parts = core.data.parts(root)
  return list_of(core.data.source("folder", { root = root, split = "train", lenient = true }), parts.train)
end

-- The lists of a built description.
local function lists_of(out, kind, root)
  local validation = out.validation and list_of(out.validation, out.parts and (out.parts.validation or out.parts.train) or root) or nil
  if kind ~= "folder" then return { train = list_of(out.train, root), test = list_of(out.test, root), validation = validation } end
  return { validation = validation, all = data.list_of_folder(root), train = list_of(out.train, out.parts.train), test = list_of(out.test, out.parts.test or out.parts.train),
    held_out = not out.parts.test }
end

-- Class folders without parts, nothing held out.
local function all_of(d, root, limit, seed, classes, only)
  return util.at(d.where, core.data.source, d.kind, { root = root, split = "train", limit = limit,
    seed = d.options.split_seed or seed, holdout = 0, classes = classes, only = only })
end

-- ---- validation ----

local HELD_OUT_FOR_VALIDATION = 0.1 -- where something selects and nobody said what it is to look at

-- A folder beside training and test that is called so, with the classes of the others.
local function validation_folder(out, d)
  local found
  for _, name in ipairs(out.parts and out.parts.test and out.parts.unused or {}) do
    local word = (name:match "([^/]+)/*$" or name):lower()
    if word:match "^val" then found = found and util.failf("data.folder: %s and %s could both be the validation part", found, name) or name end
  end
  if not found then return nil end
  local root = found:find "/" and found or (out.parts.train:match "^(.*)/[^/]+/*$" or ".") .. "/" .. found
  local names = out.train:classes()
  local source = core.data.source("folder", { root = root, split = "train", holdout = 0, classes = names,
    only = d.options.classes and names, limit = d.options.test_limit })
  local list = {}
  for _, each in ipairs(out.parts.unused) do
    if each ~= found then list[#list + 1] = each end
  end
  out.parts.unused, out.parts.validation = list, root
  return source
end

-- Takes the validation out of the training part, where it is asked for, or where something selects: a tenth, groups as a whole.
local function hold_out(out, d, seed, selects, keys)
  local o = d.options
  local share = o.validation or (selects and not out.validation and HELD_OUT_FOR_VALIDATION) or 0
  if out.validation then
    if o.validation then util.failf("data.%s: validation = %g, but the data have a validation part of their own", d.kind, o.validation) end
    out.validation_text = ("the data's own, %s"):format(out.parts and out.parts.validation or "a part of them")
    return
  end
  if share == 0 and selects then split.none_held(d.kind, selects) end
  if share == 0 then return end
  local train, n = out.train, out.train:count()
  local kept, held = split.share { share = share, n = n, seed = o.split_seed or seed, group = keys and function(i) return keys[i] end,
    label = out.fields.label and function(i) return train:label(i) end or nil }
  if #held == 0 then
    if o.validation then util.failf("data.%s: validation = %g of %d training samples leaves none for it", d.kind, share, n) end
    if selects then split.none_held(d.kind, selects) end
    return
  end
  out.train, out.validation = core.data.subset(train, kept), core.data.subset(train, held)
  out.validation_text = ("%g %% of the training pictures held out%s%s"):format(100 * share, keys and ", groups as a whole" or "",
    o.validation and "" or (", since %s goes by them; --data.validation says how many"):format(selects))
end

-- Gives the samples of all parts aliases (tlua/data/identifiers.lua). `known`: the identifiers of a run that goes on.
local function name_samples(out, d, root, known)
  out.private = identifiers.of_data(d, known)
  for _, part in ipairs { "train", "validation", "test" } do
    local source, patients = out[part], nil
    if source and d.options.group then
      patients = split.known((split.keys(groups_of(source, root, d.options.group), true)))
    end
    if source then out.private:name(source, { root = root, patients = patients }) end
  end
end

-- Opens training and test sources. Returns {train, test, classes, preprocessing, train_pipeline, test_pipeline,
-- private (of private data: tlua/data/identifiers.lua), title, skipped, batch, threads, drop_last, on_bad, augment,
-- groups; of class folders parts, split, passed, shared (tlua/data/text.lua)}, and list: how many pictures and
-- which; keys, by part whose each sample is, and attributes, by part and name what else is known of each (nil:
-- nothing). Options: classes fixes the class names (those of a model); augment, a
-- recipe's random changes; only_test; whole, where the test part is all of data without parts.
function data.open(d, base, seed, options)
  options = util.options("data.open", options, { classes = util.none, augment = util.none, only_test = false, whole = false,
    task = util.none, tokenizer = util.none, selects = util.none, changes = util.none, identifiers = util.none })
  seed = seed or 0
  local info, o = kinds[d.kind], d.options
  for _, name in ipairs(info.needed or {}) do
    if o[name] == nil then
      util.failf("data.%s: %s is missing: %s (--data.%s)", d.kind, name, schema.find(info.schema, name)[4], name)
    end
  end
  if info.open then return data.prepare(require("tlua.data.records").open(d, seed, options, base), d, base) end
  local root = data.root(d)
  local test_limit = o.test_limit or (o.limit and math.max(1, o.limit // 5))
  local only = util.distinct(type(o.classes) == "string" and { o.classes } or o.classes, "data.folder: classes")
  local groups, of_path, text
  if not options.whole then groups, of_path, text = groups_to_split(o, root, options.classes, only) end
  local function part(name, limit)
    local ok, source = pcall(core.data.source, d.kind, { root = root, split = name, limit = limit, groups = groups,
      seed = o.split_seed or seed, holdout = o.split or (d.kind == "folder" and HELD_OUT or 0),
      holdout_if_none = o.split and 0 or 1, classes = options.classes, only = only })
    if not ok then util.failf("data.%s: %s", d.kind, util.without_place(source)) end
    return source
  end
  local passed = {}
  local out = { batch = o.batch == "auto" and 1 or o.batch, threads = o.threads, drop_last = o.drop_last, on_bad = o.on_bad or "error", skipped = {} }
  local function checked(source, name)
    passed[name] = source:passed()
    local use, bad = core.data.check(source, out.on_bad, out.threads)
    for _, each in ipairs(bad) do out.skipped[#out.skipped + 1] = { part = name, reason = each.reason } end
    return use
  end
  if not options.only_test then
    out.train = checked(part("train", o.limit), "train")
    if o.per_class then out.train = first_of_classes(out.train, o.per_class, seed) end
  end
  out.test = checked(options.whole and all_of(d, root, test_limit, seed, options.classes, only)
    or part("test", test_limit), "test")
  if d.kind == "folder" then
    out.parts, out.split, out.passed = core.data.parts(root), o.split or HELD_OUT, passed
    if not out.parts.test then passed.test = nil end -- held out of the same folders
  end
  out.fields = { label = true }
  if out.train then
    out.validation = d.kind == "folder" and validation_folder(out, d) or nil
    hold_out(out, d, seed, options.selects, keys_to_hold_out(out.train, o, root, of_path))
    if o.private then name_samples(out, d, root, options.identifiers) end
    if doubles.wanted(o) then doubles.find(out, o) end
    out.shared = d.kind == "folder" and core.data.shared(out.train, out.test) or nil
    out.said = { text }
    out.list = lists_of(out, d.kind, root)
  end
  out.changes = data.changes(options.changes, out.fields)
  out.groups = out.train and o.group and count_groups(out, root, o.group) or nil
  out.keys = o.group and keys_of(out, root, o.group) or nil
  out.classes = (out.train or out.test):classes()
  out.title, out.augment_given = info.title, options.augment or {}
  if o.private and not out.private then name_samples(out, d, root, options.identifiers) end
  return data.prepare(out, d, base)
end

-- Pipelines from the description and the preprocessing `base` of the weights.
function data.prepare(out, d, base)
  local info = kinds[d.kind]
  if info.clips then return data.prepare_clips(out, d, base) end
  if kinds_of.has_volumes(d) then return data.prepare_volumes(out, d, base) end
  if info.texts then return data.prepare_texts(out, d) end
  out.preprocessing = data.preprocessing(d, base)
  out.input = input.of(out.preprocessing)
  out.augment = augment.resolve(d.options.augment, out.augment_given, info.small and out.preprocessing.fit == "stretch")
  out.augment.least_visible = out.boxes and d.options.least_visible
  if out.boxes then box_changes.add(out.augment, d, out.preprocessing, out.augment_given) end
  out.train_pipeline = core.data.pipeline(data.steps(out.preprocessing, out.augment, info.grey, info.small))
  out.test_pipeline = core.data.pipeline(data.steps(out.preprocessing, nil, info.grey, info.small))
  out.validation_pipeline = out.test_pipeline
  return out
end

-- The same of clips: what the network hears, and how a clip becomes that.
function data.prepare_clips(out, d, base)
  out.preprocessing = waves.preprocessing(d, base)
  out.input = input.of(out.preprocessing)
  waves.keeps_texts(out, d.kind)
  out.augment = augment_waves.resolve(out.augment_given)
  out.slowest = out.augment.speed and 1 / out.augment.speed[1] or 1
  out.batch_seconds = schema.seconds(d.options.batch)
  out.noises = out.augment.noise and not out.noises and waves.noises(out.augment.noise) or out.noises
  if out.batch_seconds then out.batch = 1 end
  out.train_pipeline = core.data.pipeline(data.clip_steps(out.preprocessing, out.augment))
  out.test_pipeline = core.data.pipeline(data.clip_steps(out.preprocessing))
  out.validation_pipeline = out.test_pipeline
  return out
end

-- The same of volumes.
function data.prepare_volumes(out, d, base)
  local masked = out.fields.mask
  local p = volumes.preprocessing(d, base, masked)
  out.preprocessing, out.input = p, input.of(p)
  out.augment = augment_volumes.resolve(out.augment_given)
  out.patches, out.foreground = volumes.patches(d, p, masked)
  out.keep = schema.size(d.options.keep or "4 GB")
  out.train_pipeline = core.data.pipeline(volumes.steps(p, out.augment, out.foreground))
  out.test_pipeline = core.data.pipeline(volumes.steps(p))
  out.validation_pipeline = out.test_pipeline
  out.channels = volumes.channels(out.train or out.test, out.test_pipeline)
  p.channels = out.channels
  return out
end

-- The same of texts, which became numbers when they were read.
function data.prepare_texts(out, d)
  out.preprocessing = out.texts.preprocessing
  out.input = input.of(out.preprocessing)
  out.augment = { mixup = 0, cutmix = 0, off_last = 0 }
  out.batch_pieces = schema.pieces(d.options.batch)
  if out.batch_pieces then out.batch = 1 end
  out.buckets = d.options.buckets
  out.train_pipeline = core.data.pipeline {}
  out.test_pipeline, out.validation_pipeline = out.train_pipeline, out.train_pipeline
  return out
end

-- The steps of a pipeline of clips. `change`: random changes; nil: none.
function data.clip_steps(p, change)
  local steps = { { "rate", rate = p.rate } }
  local function step(s) steps[#steps + 1] = s end
  if p.trim then step { "trim", db = p.trim } end
  if change then augment_waves.steps(step, change) end
  if p.seconds then
    step { change and "random_crop_seconds" or "center_crop_seconds", seconds = p.seconds }
    step { "pad_seconds", seconds = p.seconds }
  end
  return steps
end

-- A loader of part "train", "validation" or "test". built.epochs, where known, says when mixup and cutmix end (augment.off_last).
function data.loader(built, part, seed, options)
  options = util.options("data.loader", options, { batch = util.none, shuffle = util.none })
  local mix = part == "train" and built.augment or { mixup = 0, cutmix = 0, off_last = 0 }
  local unmixed = mix.off_last > 0 and built.epochs and math.max(1, built.epochs - mix.off_last + 1) or 0
  local seconds = not options.batch and built.batch_seconds or nil
  -- Whole volumes are of any size: one at a time.
  local one = built.input.kind == "volume" and part ~= "train" and not built.preprocessing.extent and 1
  local more = built.texts and texts.loader_options(built)
    or built.boxes and part == "train" and box_changes.loader_options(mix, built.epochs) or {}
  for key, value in pairs {
    batch = not seconds and (options.batch or one or built.batch) or nil, batch_seconds = seconds,
    threads = built.threads,
    shuffle = part == "train" and options.shuffle ~= false,
    drop_last = part == "train" and built.drop_last, seed = seed, on_bad = built.on_bad,
    mixup = mix.mixup, cutmix = mix.cutmix, unmixed_from = unmixed, noise = part == "train" and built.noises or nil,
    repeats = part == "train" and built.patches or nil, keep = built.keep,
  } do more[key] = value end
  if more.batch_pieces then more.batch = nil end
  return core.data.loader(built[part], part == "train" and built.train_pipeline or built.test_pipeline, more)
end

-- How many batches an epoch of a part has.
function data.batches(built, part, seed)
  if built.input.kind ~= "picture" then
    local loader <close> = data.loader(built, part, seed)
    return loader:batches()
  end
  local n, b = built[part]:count(), built.batch
  return built.drop_last and n // b or (n + b - 1) // b
end

-- ---- transforms in Lua ----

local transforms = {}
local TRANSFORM = { name = true, schema = true, touches = true, geometric = true, apply = true }
-- Makes a transform for the recipe's `transforms = { data.NAME {...} }`. definition: name; schema (options); touches, a list of the fields that it
-- changes; geometric, whether it moves pixels; apply(o, batch): changes the fields of a batch of training tensors on the device. Tests and
-- predictions know nothing of it, as a model file does not.
function data.transform(definition)
  for _, key in ipairs { "name", "touches", "apply" } do
    if definition[key] == nil then util.failf("data.transform: %s is missing", key) end
  end
  for _, field in ipairs(definition.touches) do
    if not FIELDS[field] then util.unknown("field that a transform touches:", field, util.keys(FIELDS)) end
  end
  for key in pairs(definition) do
    if not TRANSFORM[key] then util.unknown("field of a transform:", key, util.keys(TRANSFORM)) end
  end
  local name, list = definition.name, definition.schema or {}
  transforms[name] = definition
  return function(options)
    local d = schema.describe("transform", name, list, options)
    return d
  end
end

function data.are_transforms(list)
  if type(list) ~= "table" then return false end
  for _, each in ipairs(list) do
    if not schema.is_description(each, "transform") then return false end
  end
  return true
end

-- Calls a transform on a batch; a field that changed without its being said is an error at the recipe's place.
local function apply_one(d, definition, batch)
  local before, touched = {}, {}
  for name in pairs(FIELDS) do before[name] = batch[name] end
  for _, name in ipairs(definition.touches) do touched[name] = true end
  util.at(d.where, definition.apply, d.options, batch)
  for name in pairs(FIELDS) do
    if batch[name] ~= before[name] and not touched[name] then
      util.at(d.where, util.failf, 'transforms: %s has changed %s and does not say so: touches = { "%s" }', d.kind, name, name)
    end
    if before[name] ~= nil and batch[name] == nil then
      util.at(d.where, util.failf, "transforms: %s has taken %s away from the batch", d.kind, name)
    end
  end
end

-- What applies the transforms of a recipe to batches: a list of {name, apply(self, batch)}. A field that moves with the picture must
-- be touched by a transform that says it moves pictures (geometric = true), or the answers would no longer fit.
function data.changes(list, fields)
  local out = {}
  for i, d in ipairs(list or {}) do
    local definition = transforms[d.kind]
    if definition.geometric then
      local touched = {}
      for _, name in ipairs(definition.touches) do touched[name] = true end
      for _, name in ipairs { "mask", "boxes", "points" } do
        if fields[name] and not touched[name] then
          util.at(d.where, util.failf, "transforms: %s moves pictures and cannot keep their %s", d.kind, name)
        end
      end
    end
    out[i] = { name = d.kind, apply = function(_, batch) apply_one(d, definition, batch) end }
  end
  return #out > 0 and out or nil
end

util.seal(data, "data.")
return util.strict("data", data, function() return data.names end)
