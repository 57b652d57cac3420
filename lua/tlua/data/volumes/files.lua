-- files.lua - where NIfTI files of a data set lie: images and masks with the same names, in folders of that name or
-- as nnU-Net has them (imagesTr, labelsTr), or a folder of volumes for each class.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local split = require "tlua.data.split"
local waves = require "tlua.data.waves"
local files = {}

files.WORDS = "NIfTI files end in .nii, .nii.gz, .hdr or .hdr.gz"

-- The name without the ending of a NIfTI file; nil where it has none. The .img of a pair comes with its .hdr.
local function stem(name)
  local lower = name:lower()
  for _, ending in ipairs { ".nii.gz", ".nii", ".hdr.gz", ".hdr" } do
    if #name > #ending and lower:sub(-#ending) == ending then return name:sub(1, -#ending - 1) end
  end
end
function files.is_nifti(name) return stem(name) ~= nil end
files.stem = stem

-- The files below a folder by their names in it without the ending, and the names, sorted.
local function by_stem(folder)
  local out, names = {}, {}
  for _, path in ipairs((waves.below(folder, files.is_nifti))) do
    local name = stem(split.below(folder, path))
    if out[name] then util.failf("%s and %s have the same name but for their endings", out[name], path) end
    out[name], names[#names + 1] = path, name
  end
  table.sort(names)
  return out, names
end

-- Images of several files each: case_0000.nii.gz, case_0001.nii.gz and so on are channels of one (nnU-Net). Gives
-- { name -> list of paths } and the names, or nil where names are not so.
local function channels_of(images, names)
  local out, cases = {}, {}
  for _, name in ipairs(names) do
    local case, number = name:match "^(.*)_(%d%d%d%d)$"
    if not case then return nil end
    if not out[case] then out[case], cases[#cases + 1] = {}, case end
    local list = out[case]
    if tonumber(number) ~= #list then
      util.failf("%s: channels are numbered from 0000 on without gaps, and %04d is missing", images[name], #list)
    end
    list[#list + 1] = images[name]
  end
  return out, cases
end

-- What a network of so many channels is given of the folder: paths, or lists of them where each file is a channel.
function files.below(folder, channels)
  local images, names, several = {}, {}, nil
  for _, path in ipairs((waves.below(folder, files.is_nifti))) do
    local name = stem(path)
    images[name], names[#names + 1] = path, name
  end
  table.sort(names)
  if (channels or 1) > 1 then several, names = channels_of(images, names) end
  local out = {}
  for i, name in ipairs(names or {}) do out[i] = several and several[name] or images[name] end
  if not names then
    for name in pairs(images) do out[#out + 1] = images[name] end
    table.sort(out)
  end
  return out
end

-- The same of one file: NAME_0000.nii.gz with all that are numbered behind it, of several channels.
function files.together(path, channels)
  local case, ending = path:match "^(.*)_0000(%.[^/]*)$"
  if (channels or 1) == 1 or not case then return path end
  local list = { path }
  for k = 1, channels - 1 do
    list[k + 1] = ("%s_%04d%s"):format(case, k, ending)
    if util.missing(list[k + 1]) then util.failf("%s, channel %d of %s", util.missing(list[k + 1]), k, path) end
  end
  return list
end

-- Adds the pairs of two folders to the record: volumes and, where there are any, masks. How many there are.
local function add_pairs(r, folder, images_in, masks_in)
  local images, masks = folder .. "/" .. images_in, folder .. "/" .. masks_in
  for _, each in ipairs { images, masks } do
    local missing = util.missing(each, "folder")
    if missing then util.failf("data.nifti: %s", missing) end
  end
  local volumes, names = by_stem(images)
  local drawn = by_stem(masks)
  local several, cases = channels_of(volumes, names)
  if several then volumes, names = several, cases end
  for _, name in ipairs(names) do
    local volume = volumes[name]
    if not drawn[name] then
      util.failf("%s has no mask: there is no %s/%s.nii.gz", type(volume) == "table" and volume[1] or volume, masks,
        name)
    end
    if type(volume) == "table" and #volume == 1 then volume = volume[1] end
    r.volumes[#r.volumes + 1], r.masks[#r.masks + 1] = volume, drawn[name]
    drawn[name] = nil
  end
  local _, left = next(drawn)
  if left then util.failf("%s is the mask of no volume in %s", left, images) end
  if #names == 0 then util.failf("%s holds no volumes: %s", images, files.WORDS) end
  return #names
end

local function has(root, name) return core.is_folder(root .. "/" .. name) end

-- Do images and masks lie below this folder?
function files.has_pairs(root)
  if not core.is_folder(root) or has(root, "images") or has(root, "imagesTr") then return core.is_folder(root) end
  for _, name in ipairs(core.list_folder(root)) do
    if cells.PARTS[name:lower()] and has(root .. "/" .. name, "images") then return true end
  end
  return false
end

-- { record with volumes and masks, parts } of a root with images and masks; nil where it has none.
function files.pairs_below(root)
  local r, parts = { volumes = {}, masks = {} }, {}
  local function add(folder, part, images, masks)
    for _ = 1, add_pairs(r, folder, images, masks) do parts[#parts + 1] = part end
  end
  if has(root, "images") then
    add(root, "train", "images", "masks")
    return r, nil
  elseif has(root, "imagesTr") then
    add(root, "train", "imagesTr", "labelsTr")
    local test = has(root, "labelsTs")
    if test then add(root, "test", "imagesTs", "labelsTs") end
    return r, test and parts or nil
  end
  local any = false
  for _, name in ipairs(core.list_folder(root)) do
    local part = cells.PARTS[name:lower()]
    if part and has(root .. "/" .. name, "images") then
      add(root .. "/" .. name, part, "images", "masks")
      any = true
    end
  end
  if any then return r, parts end
end

-- Volumes in folders of classes, or in such folders of parts: paths, classes, parts or nil.
function files.of_classes(root)
  local list, texts, parts, any = waves.below(root, files.is_nifti), {}, {}, false
  if #list == 0 then util.failf("data.nifti: %s holds no volumes: %s", root, files.WORDS) end
  for i, path in ipairs(list) do
    local first, rest = split.below(root, path):match "^([^/]+)/(.+)$"
    if first and cells.PARTS[first:lower()] then
      parts[i], any = cells.PARTS[first:lower()], true
      first = rest:match "^([^/]+)/"
    end
    texts[i] = first or util.failf("data.nifti: %s lies in no class folder, nor in images beside masks", path)
  end
  for i, path in ipairs(any and list or {}) do
    if not parts[i] then util.failf("data.nifti: %s lies beside the folders of the parts", path) end
  end
  return list, texts, any and parts or nil
end

util.seal(files, "data.")
return files
