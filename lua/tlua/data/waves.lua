-- waves.lua - data whose samples are clips of sound: a table of recordings with their texts (speech), and folders of
-- sounds by class. How they are read, cut and changed at random, as steps of a pipeline (src/data/waves.h).
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local split = require "tlua.data.split"
local waves = {}
local below = split.below

-- Endings of what libsndfile reads, but for its raw forms.
local ENDINGS = { wav = true, flac = true, ogg = true, oga = true, opus = true, mp3 = true, aif = true, aiff = true,
  aifc = true, au = true, caf = true,
  w64 = true, rf64 = true }
local PIPES = "as a pipe or device"
waves.WORDS = "WAV, FLAC, OGG, Opus, MP3, AIFF, AU and CAF are read"

local function is_sound(name)
  local ending = name:match "%.([^.]+)$"
  return ending and ENDINGS[ending:lower()]
end

-- Sounds below a folder, or the files whose names are `wanted` (a function), sorted by path, and what is passed over: a
-- list of {ending =, count =}. A link to a folder that it lies in leads round in a circle, and is not followed.
function waves.below(folder, wanted)
  wanted = wanted or is_sound
  local list, passed, counts, within = {}, {}, {}, {}
  local function walk(path)
    local _, own = core.file_kind(path)
    if own and within[own] then return end
    if own then within[own] = true end
    local names = core.list_folder(path)
    table.sort(names)
    for _, name in ipairs(names) do
      local full = path .. "/" .. name
      if name:sub(1, 1) ~= "." and name ~= "__MACOSX" then
        local ending = name:match "%.([^.]+)$"
        local kind = core.file_kind(full)
        if kind == "folder" then walk(full)
        elseif kind ~= "other" and wanted(name) then list[#list + 1] = full
        else
          local key = kind == "other" and PIPES or ending and "." .. ending:lower() or ""
          counts[key] = (counts[key] or 0) + 1
        end
      end
    end
    if own then within[own] = nil end
  end
  walk(folder)
  for _, key in ipairs(util.keys(counts)) do passed[#passed + 1] = { ending = key, count = counts[key] } end
  return list, passed
end

-- "3 .txt and 1 .xml passed over: WAV, ... are read"; nil where nothing was.
function waves.passed_text(passed)
  local parts = {}
  for i, each in ipairs(passed) do
    parts[i] = ("%s %s"):format(util.thousands(each.count), each.ending ~= "" and each.ending or "without an ending")
  end
  if #parts == 0 then return nil end
  return ("%s passed over: %s"):format(util.first_few(parts, 4), waves.WORDS)
end

-- ---- data.speech ----

-- Rows that name a file and its text; `found` collects them.
local function take_rows(d, o, path, found)
  local header, rows, lines = core.csv(path)
  local columns = { file = cells.column(path, header, o.file, "file"),
    text = cells.column(path, header, o.text, "text") }
  for _, name in ipairs { "part", "group" } do columns[name] = o[name] and cells.column(path, header, o[name], name) end
  local folder = o.root or path:match "^(.*)/[^/]*$" or "."
  local r = found.record
  for i, row in ipairs(rows) do
    local place = ("%s:%d"):format(path, lines and lines[i] or i + 1)
    local file, text = row[columns.file], core.composed(row[columns.text]:match "^%s*(.-)%s*$")
    if file == "" then util.failf("%s: column '%s' is empty, and a file is needed", place, o.file) end
    local full = cells.absolute(folder, file)
    if util.missing(full) then
      util.failf("%s: there is no file %s%s", place, util.shown(full, 240), o.root and ""
        or "; --data.root DIR says what its names are relative to")
    end
    if text == "" then
      util.failf("%s: column '%s' is empty: what is said in %s?", place, o.text, util.shown(file, 120))
    end
    r.waves[i], r.texts[i] = full, text
    if columns.part then found.parts[i] = cells.part(row[columns.part], place, o.part) end
    if columns.group then found.keys[i] = row[columns.group] end
  end
  if #rows == 0 then util.failf("%s has no rows below its header", path) end
end

-- Recordings without a row, which are passed over: how many, and one of them.
local function without_text(root, list)
  local known, n, first = {}, 0, nil
  for _, path in ipairs(list) do known[path:match "[^/]+$"] = true end
  for _, path in ipairs(core.is_folder(root) and waves.below(root) or {}) do
    if not known[path:match "[^/]+$"] then n, first = n + 1, first or path end
  end
  return n, first
end

-- What the header of each file says: {seconds =, frames =, rate =, ...}, or false where it cannot be read, which the
-- check before training tells.
local function headers_of(r)
  local out = {}
  for i, path in ipairs(r.waves) do
    local ok, about = pcall(core.audio.info, path)
    out[i] = ok and about
  end
  return out
end

-- Leaves out what is longer or shorter than the description wants. Adds lines for the plan.
local function by_length(o, found, headers)
  local r, keep, long, short, said = found.record, {}, 0, 0, found.said
  for i, about in ipairs(headers) do
    local seconds = about and about.seconds
    if not seconds then keep[#keep + 1] = i
    elseif o.longest and seconds > o.longest then long = long + 1
    elseif o.shortest and seconds < o.shortest then short = short + 1
    else keep[#keep + 1] = i end
  end
  if long > 0 then
    said[#said + 1] = ("left out  %d clip%s longer than %g s"):format(long, long == 1 and "" or "s", o.longest)
  end
  if short > 0 then
    said[#said + 1] = ("left out  %d clip%s shorter than %g s"):format(short, short == 1 and "" or "s", o.shortest)
  end
  local function pick(list)
    local out = {}
    for k, i in ipairs(keep) do out[k] = list[i] end
    return out
  end
  for _, name in ipairs { "waves", "texts", "labels" } do r[name] = r[name] and pick(r[name]) end
  found.parts, found.keys = found.parts and pick(found.parts), found.keys and pick(found.keys)
  if #keep == 0 then util.fail "data: no clip is left between data.shortest and data.longest" end
  return pick(headers)
end

-- What the description wants of each clip: its length, and with place = "start" its first `seconds` alone.
local function cut_down(d, found)
  local o, r = d.options, found.record
  local start, lengths = o.place == "start", o.longest or o.shortest
  if not (start or lengths) then return end
  local headers = headers_of(r)
  if lengths then headers = by_length(o, found, headers) end
  if not start then return end
  if d.kind == "speech" then
    util.fail 'data.speech: place = "start" would cut clips, but not their texts; longest leaves out long ones'
  end
  if not o.seconds then
    util.failf('data.%s: place = "start" is where seconds are cut from, and seconds says how many', d.kind)
  end
  r.count = {}
  for i, about in ipairs(headers) do
    r.count[i] = about and math.min(about.frames, math.ceil(o.seconds * about.rate)) or 0
  end
end

function waves.read_speech(d)
  local o, path = d.options, d.options.path
  local missing = util.missing(path)
  if missing then util.failf("%s; --data.path FILE names another", missing) end
  local found = { record = { waves = {}, texts = {} }, parts = o.part and {}, keys = o.group and {},
    title = path:match "([^/]+)/[^/]*$" or path,
    root = o.root or path:match "^(.*)/[^/]*$" or ".", said = {} }
  take_rows(d, o, path, found)
  local n, first = without_text(found.root, found.record.waves)
  if n > 0 then
    found.said[1] = ("skipped   %d recording%s without a row in %s: %s%s"):format(n, n == 1 and "" or "s", path, first,
      n > 1 and ", ..." or "")
  end
  cut_down(d, found)
  return found
end

-- ---- data.sounds ----

local function matched(pattern, name, what)
  local ok, text = pcall(string.match, name, pattern)
  if not ok then
    util.failf("data.sounds: %s = %q is not a Lua pattern: %s", what, pattern, util.without_place(text))
  end
  return text
end

-- The class that a recipe's function gives for the path of a sound; nil: the sound is left out.
local function class_of(f, name)
  local text = f(name)
  if text ~= nil and type(text) ~= "string" then
    util.failf("data.sounds: label gives a %s for %s, and a class is a text (nil leaves the sound out)", type(text),
      name)
  end
  return text and cells.class(text, name, "label") or nil
end

-- Sounds for which the function gives a class, and their classes.
local function chosen(o, list)
  local out, texts = {}, {}
  for _, path in ipairs(list) do
    local text = class_of(o.label, below(o.root, path))
    if text then out[#out + 1], texts[#texts + 1] = path, text end
  end
  return out, texts
end

-- The class of each sound: what the pattern finds in its path, or the first folder below the root (or below a part's
-- folder).
local function classes_of(o, root, list)
  local texts, parts, any = {}, {}, false
  for i, path in ipairs(list) do
    local name = below(root, path)
    local first, rest = name:match "^([^/]+)/(.+)$"
    if first and not o.label and cells.PARTS[first:lower()] then
      parts[i], any = cells.PARTS[first:lower()], true
      first = rest:match "^([^/]+)/"
    end
    if o.label then texts[i] = matched(o.label, name, "label")
    else texts[i] = first end
    if not texts[i] then
      util.failf(o.label and "data.sounds: label = %q finds no class in %s" or
        "data.sounds: %s%s lies in no class folder; label = \"^(%%a+)_\" finds a class in names", o.label or path,
          o.label and name or "")
    end
  end
  if any then
    for i, path in ipairs(list) do
      if not parts[i] then util.failf("data.sounds: %s lies beside the folders of the parts", path) end
    end
  end
  return texts, any and parts or nil
end

-- Groups named in `held_out` are the test part.
local function parts_of_groups(o, keys)
  local held, known, parts = {}, {}, {}
  for _, name in ipairs(type(o.held_out) == "table" and o.held_out or { o.held_out }) do held[name] = true end
  for i, key in ipairs(keys) do
    known[key] = true
    parts[i] = held[key] and "test" or "train"
  end
  for name in pairs(held) do
    if not known[name] then
      util.failf("data.sounds: held_out: %s", util.unknown_text("group", name, util.keys(known)))
    end
  end
  return parts
end

function waves.read_sounds(d, options)
  local o = d.options
  if not o.root then util.fail "data.sounds: root is missing, the folder where the sounds lie: --data.root DIR" end
  local missing = util.missing(o.root, "folder")
  if missing then util.failf("data.sounds: %s; --data.root DIR names another", missing) end
  local list, passed = waves.below(o.root)
  if #list == 0 then util.failf("data.sounds: %s holds no sounds: %s", o.root, waves.WORDS) end
  local all, texts, parts = #list, nil, nil
  if type(o.label) == "function" then
    list, texts = chosen(o, list)
    if #list == 0 then util.failf("data.sounds: label gives no class for any sound in %s", o.root) end
  else texts, parts = classes_of(o, o.root, list) end
  local found = { record = { waves = list }, parts = parts, title = o.root:match "([^/]+)/*$" or o.root, root = o.root,
    said = {} }
  local r = found.record
  r.classes = options.classes or cells.names(texts)
  if #r.classes < 2 and not options.classes then
    util.failf("data.sounds: all sounds in %s are of one class, %s, so there is nothing to learn", o.root, r.classes[1])
  end
  r.labels = cells.labels(texts, r.classes, list)
  if o.group then
    found.keys = split.keys { kind = "sounds", pattern = o.group, root = o.root, n = #list,
      name = function(i) return list[i] end }
  end
  if o.held_out then
    if not found.keys then
      util.fail 'data.sounds: held_out names groups, and group (a Lua pattern that finds them in paths) is missing'
    end
    found.parts = parts_of_groups(o, found.keys)
  end
  if #list < all then found.said[1] = ("left out  %d sounds for which label gives no class"):format(all - #list) end
  local text = waves.passed_text(passed)
  if text then found.said[#found.said + 1] = "skipped   " .. text end
  cut_down(d, found)
  return found
end

-- ---- preprocessing and steps ----

-- The recordings of a folder of noises, as a source.
function waves.noises(folder)
  local missing = util.missing(folder, "folder")
  if missing then util.failf("augment: noise: %s", missing) end
  local list = waves.below(folder)
  if #list == 0 then util.failf("augment: noise: %s holds no recordings: %s", folder, waves.WORDS) end
  return core.data.source("records", { waves = list })
end

-- Whoever cuts a clip cuts what is said in it, and its text stays whole: such a pair teaches wrong letters.
function waves.keeps_texts(d, kind)
  local most = d.preprocessing.seconds
  if not (most and d.fields.text) then return end
  for _, part in ipairs { "train", "validation", "test" } do
    local source = d[part]
    for i = 1, source and source:count() or 0 do
      local seconds = source:seconds(i)
      if seconds and seconds > most then
        util.failf("data.%s: %s has %.1f s, and seconds = %g would cut it, not its text; --data.longest %g leaves it out",
          kind, source:name(i), seconds, most, most)
      end
    end
  end
end

-- The network's rate, or the description's own where the network has none.
function waves.preprocessing(d, base)
  local o = d.options
  if o.rate and base.rate and o.rate ~= base.rate then
    util.failf("data.%s: rate = %d, and the network hears %d Hz; leave it out: files of any rate are resampled", d.kind,
      o.rate, base.rate)
  end
  local rate = o.rate or base.rate
  if not rate then
    util.failf("data.%s: no rate is known: the network brings none, so give --data.rate, like 16000", d.kind)
  end
  local seconds = o.seconds
  if seconds == nil then seconds = base.seconds end
  return { rate = rate, seconds = seconds, trim = o.trim }
end

return waves
