-- labels.lua - what is known of slices and series: rows of a CSV by patient, study, series or file, or the folders that
-- files lie in. Messages name lines and files: an identifier of a patient stands in none of them.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local split = require "tlua.data.split"
local labels = {}

-- Usual names of the columns with identifiers.
local COLUMNS = {
  patient = { "patient", "patientid", "patient_id", "subject", "subject_id" },
  study = { "study", "studyinstanceuid", "study_uid", "study_instance_uid" },
  series = { "series", "seriesinstanceuid", "series_uid", "series_instance_uid" },
  file = { "file", "path", "image", "filename", "file_name" },
}
local MANY = { patient = "patients", study = "studies", series = "series", file = "files" }
local WORDS = { patient = "PatientID", study = "StudyInstanceUID", series = "SeriesInstanceUID", file = "file" }

-- The column with identifiers: what the description says, or the first that is called as such columns are.
local function key_column(path, header, o)
  if o.key then return cells.column(path, header, o.key, "key") end
  for _, name in ipairs(COLUMNS[o.by]) do
    for k, each in ipairs(header) do
      if each:lower() == name then return k end
    end
  end
  local shown = {}
  for k, name in ipairs(header) do shown[k] = util.shown(name) end
  util.failf("%s: which column has the %s? --data.key NAME says it; there are %s", path, WORDS[o.by],
    util.first_few(shown, 8))
end

local function trimmed(text) return text:match "^%s*(.-)%s*$" end

-- What a row is looked up by, of a sample {series =, path =}; nil where the files do not say.
local function key_of(item, o, by_name)
  if o.by == "patient" then return item.series.patient
  elseif o.by == "study" then return item.series.study
  elseif o.by == "series" then return item.series.series end
  return by_name and item.path:match "[^/]+$" or split.below(o.root, item.path)
end

-- The rows of the table by their key: {key = {row =, place =}}. Two rows of one key that say the same are one.
local function rows_by_key(path, o, wanted)
  local header, rows, lines = core.csv(path)
  local at, known = key_column(path, header, o), {}
  local columns = {}
  for k, name in ipairs(wanted) do
    columns[k] = cells.column(path, header, name, name == o.part and "part" or "target")
  end
  for i, row in ipairs(rows) do
    local line = lines and lines[i] or i + 1
    local key = trimmed(row[at])
    if o.by == "file" then key = core.composed(key:gsub("^%./", "")) end
    if key == "" then util.failf("%s:%d: column '%s' is empty, and a %s is needed", path, line, header[at], o.by) end
    local cell = {}
    for k, c in ipairs(columns) do cell[k] = row[c] end
    local before = known[key]
    if before and table.concat(before.cells, "\0") ~= table.concat(cell, "\0") then
      util.failf("%s:%d: another answer than line %d has for the same %s", path, line, before.line, o.by)
    end
    known[key] = before or { cells = cell, line = line, place = ("%s:%d"):format(path, line) }
  end
  if #rows == 0 then util.failf("%s has no rows below its header", path) end
  return known
end

-- Do names alone tell all files apart?
local function names_differ(items)
  local known = {}
  for _, item in ipairs(items) do
    local name = item.path:match "[^/]+$"
    if known[name] and known[name] ~= item.path then return false end
    known[name] = item.path
  end
  return true
end

-- Marks rows of slices that --data.every leaves out: they are no strangers.
local function mark_others(items, o, used, by_name)
  local seen = {}
  for _, item in ipairs(o.by == "file" and o.every > 1 and items or {}) do
    for _, slice in ipairs(not seen[item.series] and item.series.slices or {}) do
      local each = { series = item.series, path = slice.path }
      used[key_of(each, o)] = true
      if by_name then used[key_of(each, o, true)] = true end
    end
    seen[item.series] = true
  end
end

-- Gives each sample its row. Samples without one, and rows without a sample, are errors, or left out and counted.
local function match(items, o, known, said)
  local kept, used, lost, first, by_name = {}, {}, {}, nil, o.by == "file" and names_differ(items)
  for _, item in ipairs(items) do
    local key = key_of(item, o)
    local row = key and known[key]
    if not row and by_name then
      key = key_of(item, o, true)
      row = known[key]
    end
    item.row = row
    if row then
      kept[#kept + 1], used[key] = item, true
    else
      first = first or item.path
      lost[key or item.path] = true
    end
  end
  mark_others(items, o, used, by_name)
  local unlabelled, unmatched, line = 0, 0, math.huge
  for _ in pairs(lost) do unlabelled = unlabelled + 1 end
  for key, row in pairs(known) do
    if not used[key] then unmatched, line = unmatched + 1, math.min(line, row.line) end
  end
  local many = MANY[o.by]
  if #kept == 0 then
    util.failf("%s: none of its rows is of a %s in %s; --data.by and --data.key say what rows are looked up by",
      o.labels, o.by, o.root)
  end
  if unlabelled > 0 then
    local text = ("%d of the %s in %s have no row in %s, as that of %s"):format(unlabelled, many, o.root, o.labels,
      first)
    if o.unmatched == "error" then util.failf("%s; --data.unmatched skip leaves them out", text) end
    said[#said + 1] = "skipped   " .. text
  end
  if unmatched > 0 then
    local text = ("%d row%s of %s %s of no %s in %s, as line %d"):format(unmatched, unmatched == 1 and "" or "s",
      o.labels, unmatched == 1 and "is" or "are", o.by, o.root, line)
    if o.unmatched == "error" then util.failf("%s; --data.unmatched skip passes over them", text) end
    said[#said + 1] = "skipped   " .. text
  end
  return kept
end

-- Samples with a row of the table `o.labels`; sets classes and labels, or values, of the record, and parts.
function labels.of_table(d, options, items, found)
  local path, r = d.options.labels, found.record
  local o = setmetatable({ by = d.options.by or "patient", unmatched = d.options.unmatched or "error" },
    { __index = d.options })
  local missing = util.missing(path)
  if missing then util.failf("%s; --data.labels FILE names another", missing) end
  local targets = type(o.target) == "table" and o.target or { o.target }
  if #targets == 0 then
    util.failf('data.dicom: target is missing, the column of %s with what is to be learnt: --data.target NAME', path)
  end
  util.distinct(targets, "data.dicom: target")
  local numbers, task = cells.wants("values", d, options)
  if not numbers and #targets > 1 then
    util.failf("%d targets (%s) are for task.multilabel {} or task.regress {}, not for task.%s", #targets,
      table.concat(targets, ", "), task)
  end
  local wanted = { table.unpack(targets) }
  wanted[#wanted + 1] = o.part
  items = match(items, o, rows_by_key(path, o, wanted), found.said)
  local texts, places = {}, {}
  found.parts = o.part and {} or nil
  if numbers then r.values, r.value_names, found.value_names = {}, targets, targets end
  for i, item in ipairs(items) do
    local row = item.row
    places[i] = row.place
    if o.part then found.parts[i] = cells.part(row.cells[#wanted], row.place, o.part) end
    if not numbers then texts[i] = cells.class(row.cells[1], row.place, targets[1])
    else
      r.values[i] = {}
      for k, name in ipairs(targets) do
        r.values[i][k] = cells.number(row.cells[k], row.place, name, task == "multilabel")
      end
    end
  end
  if numbers then return items end
  r.classes = options.classes or cells.names(texts)
  if #r.classes < 2 then util.failf("%s: column '%s' has one class only, %s", path, targets[1], r.classes[1]) end
  r.labels = cells.labels(texts, r.classes, places)
  return items
end

-- The parts of samples whose root has folders train, test and the like; nil where it has none. A sample beside them is
-- an error.
function labels.parts(o, items)
  local parts, any, beside = {}, {}, nil
  for i, item in ipairs(items) do
    local first = split.below(o.root, item.path):match "^([^/]+)/"
    parts[i] = first and cells.PARTS[first:lower()]
    if parts[i] then any[parts[i]] = true else beside = beside or item.path end
  end
  if not (any.train and (any.test or any.validation)) then return nil end
  if beside then util.failf("data.dicom: %s lies beside the folders of the parts", beside) end
  return parts
end

-- The same by the folders below the root, or below its folders of parts.
function labels.of_folders(options, o, items, found)
  local r, texts, places, parts = found.record, {}, {}, labels.parts(o, items)
  for i, item in ipairs(items) do
    local first, rest = split.below(o.root, item.path):match "^([^/]+)/(.+)$"
    if parts then first = rest:match "^([^/]+)/" end
    texts[i], places[i] = first, item.path
    if not first then
      util.failf("data.dicom: %s lies in no class folder; labels = CSV names classes by patient, study, series or file",
        item.path)
    end
  end
  found.parts = parts
  r.classes = options.classes or cells.names(texts)
  if #r.classes < 2 then
    util.failf("data.dicom: all files in %s are of one class, %s, so there is nothing to learn; labels = CSV names "
      .. "classes by patient, study, series or file", o.root, r.classes[1])
  end
  r.labels = cells.labels(texts, r.classes, places)
  return items
end

util.seal(labels, "data.")
return labels
