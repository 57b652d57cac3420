-- masks.lua - masks of series: DICOM SEG objects, which say what they mark, and NIfTI volumes, which belong to a series
-- by where they lie. Each slice's mask is kept packed in memory.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local split = require "tlua.data.split"
local masks = {}

-- ---- which mask is whose ----

-- NIfTI files below a folder: { path =, folder =, name = } without the ending, both below the folder.
local function volumes_below(folder)
  local out = {}
  local function walk(path, depth)
    local names = core.list_folder(path)
    table.sort(names)
    for _, name in ipairs(names) do
      local full = path .. "/" .. name
      local stem = name:match "^(.+)%.nii%.gz$" or name:match "^(.+)%.nii$"
      if name:sub(1, 1) ~= "." and depth < 16 and core.is_folder(full) then walk(full, depth + 1)
      elseif stem then
        out[#out + 1] = { path = full, folder = split.below(folder, path), name = stem }
      end
    end
  end
  walk(folder, 0)
  return out
end

-- The SEG objects of a folder by the UID of the series that they mark, and the RTSTRUCT that stands there, if one does.
-- Files that cannot be read could have been one; of the folder of the pictures that was said already.
local function objects_below(o, said)
  local by_series, contours = {}, nil
  local list, notes, _, damaged = core.dicom.series(o.masks)
  if #damaged > 0 and not core.same_file(o.masks, o.root) then
    require("tlua.data.dicom").left_out({ root = o.masks, on_bad = o.on_bad }, damaged, damaged, said)
  end
  for _, s in ipairs(list) do
    local seen = {}
    for _, slice in ipairs(s.modality == "SEG" and s.slices or {}) do
      local path = slice.path
      if not seen[path] then
        seen[path] = true
        local about = core.dicom.segments(path)
        local uid = about.series or util.failf("%s: the SEG object does not say which series it marks", path)
        if by_series[uid] then
          util.failf("data.dicom: two SEG objects mark one series, %s and %s; leave one out", by_series[uid].path, path)
        end
        by_series[uid] = { path = path, segments = about.segments }
      end
    end
  end
  for _, note in ipairs(notes) do
    contours = contours or note:match "^(.*): a DICOM file without pixels of modality RTSTRUCT"
  end
  return by_series, contours
end

-- The folder of a series' first file below the root.
local function place_of(o, s) return split.below(o.root, s.slices[1].path:match "^(.*)/" or o.root) end

local function lies_in(folder, place)
  return folder ~= "" and (place == folder or place:sub(1, #folder + 1) == folder .. "/")
end

-- How many series lie in each folder, and in those above it.
local function count_places(o, list)
  local count = {}
  for _, s in ipairs(list) do
    local place = place_of(o, s)
    while place and place ~= "" do
      count[place] = (count[place] or 0) + 1
      place = place:match "^(.*)/[^/]*$"
    end
  end
  return count
end

-- The NIfTI volume of a series: called as its folder or its UID, or the only one in a folder with that series alone.
local function volume_of(o, s, volumes, count)
  local place, called, beside = place_of(o, s), {}, {}
  for _, v in ipairs(volumes) do
    local name = v.folder == "" and v.name or v.folder .. "/" .. v.name
    if name == place and count[place] == 1 or v.name == s.series then called[#called + 1] = v.path
    elseif lies_in(v.folder, place) and count[v.folder] == 1 then beside[#beside + 1] = v.path end
  end
  local list = #called > 0 and called or beside
  if #list > 1 then
    util.failf("data.dicom: %s and %s could both be the mask of the series in %s/%s; leave one out, or call one as its "
      .. "folder", list[1], list[2], o.root, place)
  end
  return list[1]
end

-- {[series] = {path =, segments = of an object}}; series without one are an error or left out, as `unmatched` says.
local function find(o, list, said)
  local missing = util.missing(o.masks, "folder")
  if missing then util.failf("data.dicom: masks: %s; --data.masks DIR names another", missing) end
  local objects, contours = objects_below(o, said)
  local volumes, count, found, left, first = volumes_below(o.masks), count_places(o, list), {}, 0, nil
  for _, s in ipairs(list) do
    local object = s.series and objects[s.series]
    local path = not object and volume_of(o, s, volumes, count)
    found[s] = object or path and { path = path } or nil
    if not found[s] then left, first = left + 1, first or s.slices[1].path end
  end
  if left > 0 and contours then
    util.failf("%s: an RTSTRUCT has contours and no mask, and is not read; convert it to a DICOM SEG object or a NIfTI "
      .. "volume on the grid of its series (plastimatch and dcmrtstruct2nii do)", contours)
  end
  if left == #list then
    util.failf("data.dicom: no series in %s has a mask in %s: a SEG object that names the series, or a NIfTI volume "
      .. "called as the series' folder", o.root, o.masks)
  end
  if left > 0 then
    local text = ("%d series without a mask in %s, as that of %s"):format(left, o.masks, first)
    if o.unmatched ~= "skip" then util.failf("data.dicom: %s; --data.unmatched skip leaves them out", text) end
    said[#said + 1] = "skipped   " .. text
  end
  return found
end

-- ---- what they mark ----

-- The classes: those that are said, or background and what SEG objects name.
local function classes_of(o, options, found)
  if options.classes then return options.classes end
  if o.classes then
    return util.distinct(type(o.classes) == "table" and o.classes or { o.classes }, "data.dicom: classes")
  end
  local names = {}
  for _, mask in pairs(found) do
    if not mask.segments then
      util.failf('data.dicom: what the values in %s mean is not said: classes = { "background", "lesion" }', mask.path)
    end
    for _, each in ipairs(mask.segments) do names[#names + 1] = each.label or "segment " .. each.number end
  end
  names = cells.names(names)
  table.insert(names, 1, "background")
  return util.distinct(names, "data.dicom: segments")
end

-- number of a segment -> the value of its class; labels that are no class are collected in `others`.
local function values_of(segments, classes, values, others)
  local of_name, out = {}, {}
  for k, name in ipairs(classes) do of_name[name:lower()] = values[k] end
  for _, each in ipairs(segments) do
    local label = each.label or "segment " .. each.number
    out[each.number] = of_name[label:lower()]
    if not out[each.number] then others[#others + 1] = label end
  end
  return out
end

-- The planes of a series' mask. Where damaged ones are left out a line of `bad` says why there are none.
local function read(o, s, mask, map, bad)
  if o.on_bad ~= "skip" then return core.dicom.mask(s, mask.path, map) end
  local ok, planes = pcall(core.dicom.mask, s, mask.path, map)
  if ok then return planes end
  bad[#bad + 1] = util.without_place(planes)
end

-- Adds masks to the record of samples {series =, at =}; gives those that have one.
function masks.add(o, options, items, found)
  local r, list, seen = found.record, {}, {}
  for _, item in ipairs(items) do
    if not seen[item.series] then seen[item.series], list[#list + 1] = true, item.series end
  end
  local of, planes, others, kept, bad = find(o, list, found.said), {}, {}, {}, {}
  r.classes = classes_of(o, options, of)
  if #r.classes < 2 then util.failf("data.dicom: two classes at least are needed, not %d", #r.classes) end
  local values = cells.mask_values(o.values, #r.classes, "data.dicom")
  r.mask_values, r.masks, r.planes = {}, {}, {}
  for k = 1, #r.classes do r.mask_values[values[k]] = k - 1 end
  local ignored = options.task and options.task.options.ignore
  if ignored then r.mask_values[ignored] = 255 end
  for _, s in ipairs(list) do
    local mask = of[s]
    if mask then
      planes[s] = read(o, s, mask, mask.segments and values_of(mask.segments, r.classes, values, others), bad)
    end
  end
  if #bad > 0 then
    found.said[#found.said + 1] = ("skipped   %d series whose masks cannot be used: %s"):format(#bad, bad[1])
  end
  for _, item in ipairs(items) do
    local s = item.series
    if planes[s] then
      local i = #kept + 1
      kept[i], r.masks[i], r.planes[i] = item, of[s].path, planes[s][item.at]
    end
  end
  if #kept == 0 then
    util.failf("data.dicom: none of the masks in %s can be used; the first: %s", o.masks, bad[1] or "it marks nothing")
  end
  if #others > 0 then
    found.said[#found.said + 1] = ("masks     of segments that are no class there is nothing to learn: %s"):format(
      util.first_few(cells.names(others), 6))
  end
  return kept
end

util.seal(masks, "data.")
return masks
