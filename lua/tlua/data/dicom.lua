-- dicom.lua - data.dicom: a folder as it comes from a scanner. Files are sorted into series and slices by what they say
-- of themselves; slices are pictures (unit = "picture"), with windows and neighbouring slices as channels. Patients
-- stay in one part. What a patient is called is read for that alone: keys of groups are numbers, messages name files.
local core = require "tlua.core"
local util = require "tlua.util"
local labels = require "tlua.data.dicom.labels"
local masks = require "tlua.data.dicom.masks"
local windows = require "tlua.data.dicom.windows"
local volume_fields = require "tlua.data.volumes.fields"
local dicom = {}

-- Objects that have pixels and are no pictures of a scanner.
local OBJECTS = { SEG = true, RTDOSE = true }

-- ---- which series ----

local function plural(n, one, many) return ("%s %s"):format(util.thousands(n), n == 1 and one or many or one .. "s") end

local function list_of(v) return type(v) == "table" and v or v ~= nil and { v } or {} end

-- Series that are of one of the modalities.
local function of_modalities(o, list, said, what)
  local wanted, kept, left, there = {}, {}, 0, {}
  for _, name in ipairs(list_of(o.modality)) do wanted[name:upper()] = true end
  for _, s in ipairs(list) do
    local name = s.modality or "none"
    there[name] = true
    local take = not OBJECTS[name]
    if next(wanted) then take = wanted[name] end
    if take then kept[#kept + 1] = s else left = left + 1 end
  end
  if #kept == 0 then
    util.failf("%s: %s has no series of %s, but of %s", what, o.root, next(wanted)
      and table.concat(util.keys(wanted), ", ") or "pictures", util.first_few(util.keys(there), 6))
  end
  if left > 0 then said[#said + 1] = ("skipped   %s of other modalities"):format(plural(left, "series", "series")) end
  return kept
end

-- Of each study the series with most slices.
local function longest(list)
  local best, kept = {}, {}
  for _, s in ipairs(list) do
    local key = ("%s\0%s"):format(s.patient or "", s.study or "")
    if not best[key] or #s.slices > #best[key].slices then best[key] = s end
  end
  for _, s in ipairs(list) do
    if best[("%s\0%s"):format(s.patient or "", s.study or "")] == s then kept[#kept + 1] = s end
  end
  return kept
end

-- Series of a number, or with a text in their description.
local function named(list, text)
  local kept, number = {}, math.tointeger(tonumber(text))
  for _, s in ipairs(list) do
    local fits
    if number then fits = s.number == number
    else fits = s.description and s.description:lower():find(text:lower(), 1, true) end
    if fits then kept[#kept + 1] = s end
  end
  return kept
end

local function chosen(o, list, said, what)
  if not o.series or o.series == "all" then return list end
  local kept = o.series == "most" and longest(list) or named(list, o.series)
  if #kept == 0 then
    util.failf("%s: series = %q: no series in %s has that number, or those words in its description", what, o.series,
      o.root)
  end
  if #kept < #list then
    said[#said + 1] = ("skipped   %s by --data.series %s"):format(plural(#list - #kept, "series", "series"), o.series)
  end
  return kept
end

-- What `said` is told of files of which there is no picture: those that are no pictures, and those that should be and
-- cannot be read (`damaged`, of the lines `notes`), which are an error unless on_bad says otherwise.
function dicom.left_out(o, notes, damaged, said)
  local bad = {}
  for _, line in ipairs(damaged) do bad[line] = true end
  if #damaged > 0 and o.on_bad == "error" then
    util.failf('data.dicom: %s below %s cannot be read: %s%s (on_bad = "skip" leaves %s out)',
      plural(#damaged, "DICOM file"), o.root, #damaged > 1 and "the first, " or "", damaged[1],
      #damaged == 1 and "it" or "them")
  end
  if #damaged > 0 then
    said[#said + 1] = ("skipped   %s that cannot be read: %s"):format(plural(#damaged, "DICOM file"), damaged[1])
  end
  for _, line in ipairs(notes) do
    if not bad[line] then
      said[#said + 1] = ("skipped   %s without a picture to read: %s"):format(plural(#notes - #damaged, "DICOM file"),
        line)
      break
    end
  end
end

-- Of a list of series those that o.modality and o.series name; `said` is told of the others.
function dicom.select(o, list, said, what) return chosen(o, of_modalities(o, list, said, what), said, what) end

-- The series of a folder, and lines about what is left out. o: root, modality, series, on_bad; `what` begins messages.
-- Third: lines about files that cannot be read.
function dicom.series(o, what)
  local list, notes, passed, damaged = core.dicom.series(o.root)
  local said = {}
  if #list == 0 then
    util.failf("%s: %s holds no DICOM pictures%s", what, o.root, #notes > 0 and "; " .. notes[1]
      or passed > 0 and ("; %s there of another kind"):format(plural(passed, "file is", "files are")) or "")
  end
  if passed > 0 then
    said[1] = ("skipped   %s that %s no DICOM"):format(plural(passed, "file"), passed == 1 and "is" or "are")
  end
  dicom.left_out(o, notes, damaged, said)
  return dicom.select(o, list, said, what), said, damaged
end

-- ---- whose they are ----

-- The group of each sample as a number, and words for the plan. o.group: "patient", "study", "series" or "none";
-- o.trusted: one PatientID for all is one patient's, and not that of whoever made files anonymous.
function dicom.groups(o, items, said)
  if o.group == "none" then return nil end
  local by, patients, count, unnamed = o.group, {}, 0, 0
  for _, item in ipairs(items) do
    local id = item.series.patient
    if not id then unnamed = unnamed + 1
    elseif not patients[id] then patients[id], count = true, count + 1 end
  end
  local alike = by == "patient" and count < 2 and not o.trusted
  if alike then
    said[#said + 1] = (count == 0 and "patients  no file says whose it is (PatientID): " or
      "patients  all files have one PatientID: ") .. "series are kept in one part, and may be of one patient"
  elseif by == "patient" and unnamed > 0 then
    said[#said + 1] = ("patients  %s without a PatientID: their series are patients of their own"):format(
      plural(unnamed, "sample"))
  end
  local number, n, keys = {}, 0, {}
  for i, item in ipairs(items) do
    local s = item.series
    local series = ("%s\0%s"):format(s.study or "", s.series or item.path:match "^(.*)/" or "")
    local key = "series" .. series
    if by == "patient" and not alike and s.patient then key = "patient" .. s.patient
    elseif by == "study" and s.study then key = "study" .. s.study end
    if not number[key] then n = n + 1 number[key] = n end
    keys[i] = tostring(number[key])
  end
  return keys
end

local YEARS = { Y = 1.0, M = 1 / 12, W = 7 / 365.25, D = 1 / 365.25 }

-- "045Y" -> 45.0; nil where it is no age.
function dicom.years(text)
  local n, unit = (text or ""):match "^%s*(%d+)%s*([YMWD])"
  return n and tonumber(n) * YEARS[unit] or nil
end

-- {sex = {...}, age = {years...}, scanner = {...}}, false where a file does not say; nil where none does.
function dicom.attributes(items)
  local out, any = { sex = {}, age = {}, scanner = {} }, {}
  for i, item in ipairs(items) do
    local s = item.series
    local maker, name = s.manufacturer or "", s.scanner or ""
    local each = { sex = s.sex, age = dicom.years(s.age), scanner = (maker .. " " .. name):match "^%s*(.-)%s*$" }
    if each.scanner == "" then each.scanner = nil end
    for key, list in pairs(out) do
      list[i] = each[key] or false
      any[key] = any[key] or each[key] ~= nil
    end
  end
  for _, key in ipairs { "sex", "age", "scanner" } do
    if not any[key] then out[key] = nil end
  end
  return next(out) and out or nil
end

-- ---- slices ----

-- Every n-th slice of a series, those in the middle of each n.
local function picked(count, every)
  local out = {}
  for k = (every + 1) // 2, count, every do out[#out + 1] = k end
  if #out == 0 then out[1] = (count + 1) // 2 end
  return out
end

local function slice_items(list, every)
  local items = {}
  for _, s in ipairs(list) do
    for _, k in ipairs(picked(#s.slices, every)) do
      items[#items + 1] = { series = s, at = k, path = s.slices[k].path }
    end
  end
  return items
end

-- Slices, frames and stacks of a record: each sample's slice with `neighbours` on both sides; those beyond the ends of
-- a series are its first and last.
function dicom.stacks(items, neighbours)
  local r, first = { slices = {}, frames = {}, stacks = {} }, {}
  for i, item in ipairs(items) do
    local s = item.series
    if not first[s] then
      first[s] = #r.slices
      for _, slice in ipairs(s.slices) do
        r.slices[#r.slices + 1], r.frames[#r.frames + 1] = slice.path, slice.frame
      end
    end
    local stack = {}
    for k = item.at - neighbours, item.at + neighbours do
      stack[#stack + 1] = first[s] + math.max(1, math.min(#s.slices, k))
    end
    r.stacks[i] = stack
  end
  return r
end

-- Slices, windows and neighbours that pictures are made of, of a description and what came with the network.
function dicom.of_pictures(o, base)
  return o.windows and windows.read(o.windows) or base.windows or { { 0, 0 } }, o.neighbours or base.neighbours or 0
end

-- The network's preprocessing with windows and neighbours, and how many channels a picture has: grey slices become the
-- network's three where they are one.
function dicom.preprocessing(d, base, channels)
  local out, o = {}, d.options
  if d.kind ~= "dicom" and (base.neighbours or 0) > 0 then
    util.failf("data.%s: the network sees %d slices of a series at once, and data.dicom knows which those are", d.kind,
      2 * base.neighbours + 1)
  end
  for key, v in pairs(base) do out[key] = v end
  out.windows, out.neighbours = dicom.of_pictures(o, base)
  local n = #out.windows * (2 * out.neighbours + 1)
  if n == 1 then return out, channels end
  local taken = channels or (base.mean and 3)
  if taken and taken ~= n then
    util.failf("data.dicom: %s of %s are %d channels, and the network takes %d: in_channels = %d",
      plural(#out.windows, "window"), plural(2 * out.neighbours + 1, "slice"), n, taken, n)
  end
  -- As the first convolution has its channels in turns.
  for _, key in ipairs { "mean", "std" } do
    local v = base[key]
    if type(v) == "table" and #v == 3 and n ~= 3 then
      out[key] = {}
      for i = 1, n do out[key][i] = v[(i - 1) % 3 + 1] end
    end
  end
  return out, n
end

-- Of each sample the patient, the series and the number in there, false where the file does not say: for identifiers.
local function whose_of(items)
  local out = { patients = {}, series = {}, numbers = {} }
  for i, item in ipairs(items) do
    local s = item.series
    out.patients[i], out.series[i], out.numbers[i] = s.patient or false, s.series or false, item.at
  end
  return out
end

-- Where slices are asked for their place: what looks wrong in a series, like slices that are missing.
local function say_notes(items, said)
  local seen, n, first = {}, 0, nil
  for _, item in ipairs(items) do
    local s = item.series
    if not seen[s] and #s.notes > 0 then
      n, first = n + 1, first or ("%s, in that of %s"):format(s.notes[1], item.path)
    end
    seen[s] = true
  end
  if n > 0 then said[#said + 1] = ("warning   %s: %s"):format(plural(n, "odd series", "odd series"), first) end
end

-- How many samples say that text is burnt into them, and how many do not say, by the first file of their series.
local function burnt_in(items)
  local out = { yes = 0, unsaid = 0 }
  for _, item in ipairs(items) do
    local said = (item.series.burned_in or ""):upper()
    if said == "YES" then out.yes = out.yes + 1 elseif said ~= "NO" then out.unsaid = out.unsaid + 1 end
  end
  return out
end

-- Each series as a sample.
local function series_items(list)
  local items = {}
  for i, s in ipairs(list) do items[i] = { series = s, at = 1, path = s.slices[1].path } end
  return items
end

-- Fields that are of slices, or of volumes, alone.
local function check_unit(o)
  if o.unit == "volume" then
    for _, name in ipairs { "masks", "neighbours", "strip_corners", "fit", "resize", "mean", "std" } do
      if o[name] then
        util.failf('data.dicom: %s is of slices, and unit = "volume"%s', name, name == "masks"
          and "; volumes with masks are read as NIfTI files, by data.nifti" or "")
      end
    end
    if o.doubles == "apart" then
      util.fail 'data.dicom: doubles are looked for among slices, and unit = "volume"'
    end
    if o.every > 1 then
      util.fail 'data.dicom: every is of slices, and unit = "volume"; spacing makes volumes coarser'
    end
    return
  end
  for _, field in ipairs(volume_fields.SERIES) do
    if o[field[1]] ~= nil then util.failf('data.dicom: %s is of volumes: unit = "volume"', field[1]) end
  end
end

-- Fields that would do nothing, since what they are of is not there.
local function check_used(o)
  if o.masks and o.labels then
    util.fail("data.dicom: masks and labels do not go together; what is learnt is one of them: masks where it is for "
      .. "each voxel or pixel, or labels, a class or numbers for each patient, study, series or file")
  end
  for _, name in ipairs { "by", "key", "target", "part" } do
    if o[name] and not o.labels then
      util.failf(
        "data.dicom: %s is of labels, the CSV with what is to be learnt, and there is none: --data.labels FILE", name)
    end
  end
  for _, name in ipairs { "classes", "values" } do
    if o[name] and not o.masks then
      util.failf("data.dicom: %s are of masks, and there are none: --data.masks DIR", name)
    end
  end
  if o.unmatched and not (o.labels or o.masks) then
    util.fail "data.dicom: unmatched is of labels or masks, and there are none"
  end
end

-- The fields of a record whose samples are series.
local function volumes_of(o, items)
  local list = {}
  for i, item in ipairs(items) do list[i] = item.series end
  return { volumes = list, gaps = o.gaps == "fill" and "fill" or nil,
    doubles = o.repeated == "first" and "first" or nil, nan = o.nan == "zero" and "zero" or nil }
end

function dicom.read(d, options)
  local o = d.options
  check_unit(o)
  check_used(o)
  local missing = util.missing(o.root, "folder")
  if missing then util.failf("data.dicom: %s; --data.root DIR names another", missing) end
  local list, said = dicom.series(o, "data.dicom")
  local found = { record = {}, root = o.root, title = o.root:match "([^/]+)/*$" or o.root, said = said }
  local volume = o.unit == "volume"
  local items = volume and series_items(list) or slice_items(list, o.every)
  if o.masks then items = masks.add(o, options, items, found)
  elseif o.labels then items = labels.of_table(d, options, items, found)
  else items = labels.of_folders(options, o, items, found) end
  found.parts = found.parts or labels.parts(o, items)
  local shown, neighbours
  if not volume then shown, neighbours = dicom.of_pictures(o, options.base or {}) end
  for key, v in pairs(volume and volumes_of(o, items) or dicom.stacks(items, neighbours)) do found.record[key] = v end
  found.record.windows = shown
  if volume or neighbours > 0 or o.masks then say_notes(items, said) end
  found.keys, found.attributes = dicom.groups(o, items, said), dicom.attributes(items)
  found.whose, found.burnt_in = whose_of(items), burnt_in(items)
  return found
end

util.seal(dicom, "data.")
return dicom
