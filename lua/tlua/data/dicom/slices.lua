-- slices.lua - the slices of folders and files that a network is asked about, with windows and neighbours as in its
-- training, and which of them are of one series, study or patient.
local core = require "tlua.core"
local util = require "tlua.util"
local dicom = require "tlua.data.dicom"
local schema = require "tlua.schema"
local slices = {}

-- A file by itself as a series of its frames. What cannot be read is one slice, so that reading says why.
local function alone(path)
  local ok, about = pcall(core.dicom.info, path)
  local s = ok and about or {}
  s.slices = {}
  for k = 1, ok and about.frames or 1 do s.slices[k] = { path = path, frame = k } end
  return s
end

-- Slices of one file, with the series that they lie in.
local function of_file(path, neighbours, items)
  local found, beside = 0, path:match "^(.*)/[^/]*$" or "."
  for _, s in ipairs(neighbours > 0 and core.exists(path) and core.dicom.series(beside) or {}) do
    for k, slice in ipairs(s.slices) do
      if core.same_file(slice.path, path) then
        found = found + 1
        items[#items + 1] = { series = s, at = k, path = path }
      end
    end
  end
  if found > 0 then return end
  local s = alone(path)
  for k = 1, #s.slices do items[#items + 1] = { series = s, at = k, path = path } end
end

-- Which series a model of data.dicom was trained on: {modality =, series =}. A model file may come from anybody.
function slices.known(info)
  local known, out = info.data and info.data.kind == "dicom" and info.data.options or {}, {}
  for _, name in ipairs { "modality", "series" } do
    local field = schema.find(require("tlua.data.kinds").all.dicom.schema, name)
    if known[name] ~= nil and not schema.types[field[2]][3](known[name]) then
      util.failf("predict: the model file's description is damaged: data.%s", name)
    end
    out[name] = known[name]
  end
  return out
end

-- paths, files and folders, and a model's description -> { source =, names = {text...}, items = {{series =, at =}
-- ...}, broken = how many files below folders cannot be read }, a sample for each slice. `say` is told what is passed
-- over. Of a model of data.dicom the modality and series are those of its training.
function slices.collect(paths, info, say)
  local p, known = info.preprocessing, slices.known(info)
  local neighbours, items, broken = p.neighbours or 0, {}, 0
  for _, path in ipairs(paths) do
    if core.is_folder(path) then
      path = #path > 1 and path:gsub("/+$", "") or path
      local list, said, damaged = dicom.series({ root = path, modality = known.modality, series = known.series },
        "predict")
      for _, line in ipairs(say and said or {}) do say(path .. ": " .. line:gsub("^skipped%s+", "passed over ")) end
      broken = broken + #damaged
      for _, s in ipairs(list) do
        for k, slice in ipairs(s.slices) do items[#items + 1] = { series = s, at = k, path = slice.path } end
      end
    else of_file(path, neighbours, items) end
  end
  local record, names = dicom.stacks(items, neighbours), {}
  record.windows = p.windows
  local source = core.data.source("records", record)
  for i = 1, #items do names[i] = source:name(i) end
  return { source = source, names = names, items = items, broken = broken }
end

-- The slices by what they are of, `by` being "series", "study" or "patient": a list of { name = the first one's file,
-- studies = {UID...}, series = {UID...}, members = {number...} }, in their order. Lines for people are told to `say`.
function slices.groups(found, by, say)
  local said, groups, of_key = {}, {}, {}
  local keys = dicom.groups({ group = by, trusted = true }, found.items, said)
  for i, item in ipairs(found.items) do
    local key = keys[i]
    local g = of_key[key]
    if not g then
      g = { name = item.path, studies = {}, series = {}, members = {} }
      of_key[key], groups[#groups + 1] = g, g
    end
    g.members[#g.members + 1] = i
    for list, uid in pairs { [g.studies] = item.series.study or "", [g.series] = item.series.series or "" } do
      if uid ~= "" and list[#list] ~= uid then list[#list + 1] = uid end
    end
  end
  for _, line in ipairs(say and said or {}) do say((line:gsub("^patients%s+", ""))) end
  return groups
end

-- The masks of a series' slices as one volume on its grid, a NIfTI file beside them. files[i]: the PNG of slice i; nil
-- where there is none. Series of one slice, or of which slices are missing, stay as they are, which is said.
function slices.volumes(found, files, to, say)
  local taken = {}
  for _, g in ipairs(slices.groups(found, "series")) do
    local scope <close> = core.scope()
    local s, list = found.items[g.members[1]].series, {}
    for k, i in ipairs(g.members) do
      list[k] = files[i] and core.image_read(files[i], 1):to "float32" or nil
      if not list[k] then break end
    end
    if #list == #s.slices and #list > 1 and s.scan then
      local name = (g.name:match "([^/]+)/[^/]*$" or "series")
      taken[name] = (taken[name] or 0) + 1
      if taken[name] > 1 then name = ("%s-%d"):format(name, taken[name]) end
      local path = ("%s/%s.nii.gz"):format(to, name)
      local ok, volume = pcall(core.dicom.volume, s)
      if ok then
        local rows, columns = list[1]:shape(1), list[1]:shape(2)
        list[#list + 1] = { axis = 1 }
        local x = core.ops.concat(table.unpack(list)):reshape(#s.slices, rows, columns)
        core.nifti.write(path, { x = x, affine = volume.affine }, { whole = true })
        if say then say(path .. ": the masks of the series as one volume") end
      elseif say then say(("no volume of the masks in %s: %s"):format(g.name, util.reason(volume))) end
    end
  end
end

util.seal(slices, "data.")
return slices
