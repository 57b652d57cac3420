-- volumes/init.lua - data whose samples are volumes: NIfTI files with masks, classes or numbers, from folders or a
-- table. How they are brought to one grid and one scale of values, and how parts of them are taken, as steps of a
-- pipeline (src/data/blocks.h). Sizes are in the order slices, rows, columns everywhere; spacings are those of
-- columns, rows, slices, as NIfTI and DICOM have them.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local split = require "tlua.data.split"
local augment = require "tlua.data.volumes.augment"
local files = require "tlua.data.volumes.files"
local windows = require "tlua.data.dicom.windows"
local volumes = {}

local IGNORED = 255

-- ---- what masks mean ----

local function texts_of(v) return type(v) == "table" and v or { v } end

local function class_names(d, options, given)
  if options.classes then return options.classes end
  local o, path = d.options, d.options.root and d.options.root .. "/classes.txt"
  if o.classes then return util.distinct(texts_of(o.classes), ("data.%s: classes"):format(d.kind)) end
  if not path or not core.exists(path) then
    util.failf('data.%s: what the values in the masks mean is not said: classes = { "background", "tumour" }%s', d.kind,
      given)
  end
  local list = {}
  for line in core.read_file(path):gsub("^\xEF\xBB\xBF", ""):gmatch "[^\r\n]+" do
    local name = line:match "^%s*(.-)%s*$"
    if name ~= "" then list[#list + 1] = cells.class(name, path, "a line") end
  end
  return util.distinct(list, path)
end

-- Classes of masks, and which values mean them: fields of a record.
local function take_meanings(d, options, r)
  local o = d.options
  local given = o.root and (", or a line for each in %s/classes.txt"):format(o.root) or ""
  r.classes = class_names(d, options, given)
  local n = #r.classes
  if n < 2 then util.failf("data.%s: two classes at least are needed, not %d", d.kind, n) end
  if o.rest == "background" then r.mask_rest = 0 elseif o.rest == "ignored" then r.mask_rest = IGNORED end
  local ignored = options.task and options.task.options.ignore
  if not o.values then
    if ignored and ignored < n then
      r.mask_values = {}
      for k = 0, n - 1 do r.mask_values[k] = k end
      r.mask_values[ignored] = IGNORED
    end
    return
  end
  if #o.values ~= n then
    util.failf("data.%s: values are one or a list for each class, and there are %d for %d classes", d.kind, #o.values,
      n)
  end
  r.mask_values = {}
  for k, list in ipairs(o.values) do
    for _, v in ipairs(texts_of(list)) do
      local whole = math.tointeger(v)
      if not whole or whole < 0 or whole > 65535 then
        util.failf("data.%s: values are whole numbers from 0 to 65535, not %s", d.kind, tostring(v))
      end
      if r.mask_values[whole] then
        util.failf("data.%s: values: %d stands in two classes, or twice in one", d.kind, whole)
      end
      r.mask_values[whole] = k - 1
    end
  end
  if ignored then r.mask_values[ignored] = IGNORED end
end

-- ---- tables ----

local function column_list(path, header, o, name)
  local out = {}
  for i, column in ipairs(o[name] and texts_of(o[name]) or {}) do
    out[i] = cells.column(path, header, column, name)
  end
  return out
end

local function image_columns(o) return texts_of(o.image or "image") end

-- The columns of a table: one number, or a list of them, for each field that names any.
local function columns_of(d, path, header)
  local o, out = d.options, {}
  for _, name in ipairs { "mask", "group", "part" } do
    out[name] = o[name] and cells.column(path, header, o[name], name)
  end
  for _, name in ipairs { "target", "attributes" } do out[name] = column_list(path, header, o, name) end
  out.image = column_list(path, header, { image = image_columns(o) }, "image")
  return out
end

local function file_of(row, column, name, place, folder)
  if row[column] == "" then util.failf("%s: column '%s' is empty, and a file is needed", place, name) end
  local path = cells.absolute(folder, row[column])
  if util.missing(path) then util.failf("%s: there is no file %s", place, util.shown(path, 240)) end
  return path
end

-- What a row says of one sample, into what was found.
local function take_row(found, o, row, columns, place, i, numbers)
  local r, list = found.record, {}
  for k, column in ipairs(columns.image) do
    list[k] = file_of(row, column, image_columns(o)[k], place, found.root)
  end
  r.volumes[i] = #list == 1 and list[1] or list
  if columns.mask then r.masks[i] = file_of(row, columns.mask, o.mask, place, found.root) end
  if columns.group then found.keys[i] = row[columns.group] end
  if columns.part then found.parts[i] = cells.part(row[columns.part], place, o.part) end
  for k, column in ipairs(columns.attributes) do
    local name = texts_of(o.attributes)[k]
    found.attributes[name][i] = row[column]
  end
  if #columns.target == 0 then return end
  local names = texts_of(o.target)
  if not numbers then
    found.texts[i] = cells.class(row[columns.target[1]], place, names[1])
    return
  end
  r.values[i] = {}
  for k, column in ipairs(columns.target) do
    r.values[i][k] = cells.number(row[column], place, names[k], numbers == "multilabel")
  end
end

-- Classes of the texts of a column.
local function take_labels(found, o, options, places)
  local r = found.record
  r.classes = options.classes or (o.classes and texts_of(o.classes)) or cells.names(found.texts)
  r.labels = cells.labels(found.texts, r.classes, places)
  if #r.classes < 2 then
    util.failf("%s: all volumes are of one class, %s, so there is nothing to learn", o.path or o.root, r.classes[1])
  end
end

-- Does the task want numbers? Its name then.
local function wants_numbers(d, options)
  local kind = (options.task or require("tlua.data").task_of(d)).kind
  return (kind == "regress" or kind == "multilabel") and kind or nil
end

local function read_table(d, options)
  local o, path = d.options, d.options.path
  local missing = util.missing(path)
  if missing then util.failf("%s; --data.path FILE names another", missing) end
  local header, rows, lines = core.csv(path)
  local columns, places, numbers = columns_of(d, path, header), {}, wants_numbers(d, options)
  if #columns.target > 1 and not numbers then
    util.failf("data.%s: %d targets are for task.multilabel {} or task.regress {}", d.kind, #columns.target)
  end
  local found = { record = { volumes = {}, masks = columns.mask and {}, values = numbers and {} or nil }, texts = {},
    parts = columns.part and {}, keys = columns.group and {}, attributes = #columns.attributes > 0 and {} or nil,
    title = path:match "[^/]+$", root = o.root or path:match "^(.*)/[^/]*$" or "." }
  for _, name in ipairs(o.attributes and texts_of(o.attributes) or {}) do found.attributes[name] = {} end
  for i, row in ipairs(rows) do
    places[i] = ("%s:%d"):format(path, lines and lines[i] or i + 1)
    take_row(found, o, row, columns, places[i], i, numbers)
  end
  if #rows == 0 then util.failf("%s has no rows below its header", path) end
  if numbers and #columns.target > 0 then
    found.record.value_names = texts_of(o.target)
    found.value_names = found.record.value_names
  else found.record.values = nil end
  if columns.mask then take_meanings(d, options, found.record)
  elseif #columns.target > 0 and not numbers then take_labels(found, o, options, places) end
  return found
end

-- ---- folders ----

local function first_file(volume) return type(volume) == "table" and volume[1] or volume end

local function read_folder(d, options)
  local o, root = d.options, d.options.root
  local missing = util.missing(root, "folder")
  if missing then util.failf("data.%s: %s; --data.root DIR names another", d.kind, missing) end
  local record, parts = files.pairs_below(root)
  local found = { record = record, parts = parts, title = root:match "([^/]+)/*$" or root, root = root }
  if record then take_meanings(d, options, record)
  else
    local list
    list, found.texts, found.parts = files.of_classes(root)
    found.record = { volumes = list }
    take_labels(found, o, options, list)
  end
  local list = found.record.volumes
  if o.group then
    found.keys = split.keys { kind = d.kind, pattern = o.group, root = root, n = #list,
      name = function(i) return first_file(list[i]) end }
  end
  return found
end

-- What tlua/data/records.lua makes parts of.
function volumes.read_nifti(d, options)
  local o = d.options
  if not o.root and not o.path then
    util.fail "data.nifti: root is missing, the folder of the volumes (--data.root DIR), or path, a table of them"
  end
  local table_only = { "image", "mask", "target", "part", "attributes" }
  for _, name in ipairs(o.path and {} or table_only) do
    if o[name] then util.failf("data.nifti: %s names a column, and there is no table: --data.path FILE", name) end
  end
  local found = o.path and read_table(d, options) or read_folder(d, options)
  found.record.parts, found.record.nan = o.parts, o.nan == "zero" and "zero" or nil
  if not found.record.masks then
    for _, name in ipairs { "values", "foreground" } do
      if o[name] then util.failf("data.nifti: %s is for masks, and these volumes have none", name) end
    end
  end
  return found
end

-- ---- preprocessing and steps ----

-- A description's windows as a list of {centre, width}.
local function windows_of(d)
  if d.options.windows == nil then return nil end
  local list = windows.read(d.options.windows)
  for _, w in ipairs(list) do
    if w[2] < 1 then
      util.failf('data.%s: windows "file" and "range" are of pictures; normalise = "range" takes all values', d.kind)
    end
  end
  return list
end

-- Three whole numbers of one or three.
local function three(d, name, whole)
  local v = d.options[name]
  if v == nil then return nil end
  local list = type(v) == "number" and { v, v, v } or #v == 1 and { v[1], v[1], v[1] } or { table.unpack(v) }
  for i, n in ipairs(whole and list or {}) do
    list[i] = math.tointeger(n) or util.failf("data.%s: %s are whole numbers, not %g", d.kind, name, n)
  end
  return list
end

-- The network's preprocessing with the description's own values on top.
function volumes.preprocessing(d, base, masked)
  local o = d.options
  local own = windows_of(d)
  local p = { orientation = o.orientation or base.orientation or "RAS", spacing = three(d, "spacing") or base.spacing,
    windows = own or (not o.normalise and base.windows) or nil, normalise = o.normalise,
    extent = three(d, "size", true) or base.extent, patch = three(d, "patch", true) or base.patch }
  p.normalise = p.normalise or (not own and base.normalise) or (p.windows and "none" or "zscore")
  if o.quantiles and p.normalise ~= "quantiles" then
    util.failf('data.%s: quantiles are of normalise = "quantiles", and it is "%s"', d.kind, p.normalise)
  end
  if p.normalise == "quantiles" then p.quantiles = o.quantiles or base.quantiles or { 0.5, 99.5 } end
  if p.patch then p.overlap = o.overlap or base.overlap or 0.5 end
  for _, name in ipairs { "patches", "foreground", "overlap" } do
    if o[name] and not p.patch then
      util.failf("data.%s: %s is of patches, and none are taken: --data.patch 96,96,96", d.kind, name)
    end
  end
  if o.foreground and not masked then
    util.failf("data.%s: foreground is found in masks, and these volumes have none", d.kind)
  end
  return p
end

-- How patches are taken in training: how many of each volume, and the share around a voxel of a class.
function volumes.patches(d, p, masked)
  local o = d.options
  if not p.patch then return 1, 0 end
  return o.patches or 4, o.foreground or (masked and 0.33 or 0)
end

-- The steps of a pipeline. `change`: random changes, of parts with such a share around a voxel of a class; nil: none.
function volumes.steps(p, change, foreground)
  local spacing = p.spacing or { 0, 0, 0 }
  local steps = { { "volume_grid", orientation = p.orientation, spacing = spacing } }
  local function step(s) steps[#steps + 1] = s end
  if p.windows then
    local s = { "volume_windows", centre = {}, width = {} }
    for i, w in ipairs(p.windows) do s.centre[i], s.width[i] = w[1], w[2] end
    step(s)
  end
  if p.normalise and p.normalise ~= "none" then
    local q = p.quantiles or { 0.5, 99.5 }
    step { "volume_normalise", how = p.normalise, low = q[1], high = q[2] }
  end
  if p.extent then step { "volume_fit", size = p.extent } end
  if change then
    if p.patch then step { "volume_patch", size = p.patch, foreground = foreground } end
    augment.steps(step, change)
  end
  return steps
end

-- ---- what the plan says, and what memory is made of ----

-- Sizes of a part's volumes as the pipeline makes them: least and most in each dimension, how many are smaller than a
-- patch, the bytes of all, and of the largest with its size.
function volumes.extents(source, pipeline, patch, masked)
  local out = { least = {}, most = {}, small = 0, bytes = 0, count = source:count(), largest = 0 }
  for i = 1, out.count do
    local e = source:extent(i, pipeline)
    local voxels, small = 1, false
    for k = 1, e and 3 or 0 do
      out.least[k] = math.min(out.least[k] or math.huge, e.size[k])
      out.most[k] = math.max(out.most[k] or 0, e.size[k])
      voxels, small = voxels * e.size[k], small or patch and e.size[k] < patch[k]
    end
    if e then
      out.channels = out.channels or e.channels
      local bytes = voxels * (4 * e.channels + (masked and 1 or 0))
      out.bytes = out.bytes + bytes
      if bytes > out.largest then out.largest, out.largest_size = bytes, e.size end
    end
    if small then out.small = out.small + 1 end
  end
  return out
end

-- Channels of what the pipeline makes of a source's volumes; nil where none can be read.
function volumes.channels(source, pipeline)
  for i = 1, source:count() do
    local e = source:extent(i, pipeline)
    if e then return e.channels end
  end
end

util.seal(volumes, "data.")
return volumes
