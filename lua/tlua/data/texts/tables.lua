-- tables.lua - texts in tables (data.texts): a column with a text, another with its pair, columns with what is to be
-- learnt; and a text a line (data.lines).
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local texts = require "tlua.data.texts"
local tables = {}

local PARTS = { "path", "validation", "test" }
local PART_OF = { path = "train", validation = "validation", test = "test" }

-- The files of a description and the part that each is; and whether the files say which part a text belongs to.
local function files_of(d)
  local o, list = d.options, {}
  for _, name in ipairs(PARTS) do
    local path = o[name]
    if type(path) == "string" then
      local missing = util.missing(path)
      if missing then util.failf("%s; --data.%s FILE names another", missing, name) end
      list[#list + 1] = { path = path, part = PART_OF[name] }
    end
  end
  return list, type(o.test) == "string" or type(o.validation) == "string"
end

-- Validation is a file where it is one, and else a share.
local function share_or_file(d)
  local v = d.options.validation
  if type(v) == "string" then
    local share = tonumber(v)
    if share then d.options.validation = share end
  end
end

-- What the readers of texts share: the files of a description, each {path =, part =}, and whether these are its parts.
function tables.files(d)
  share_or_file(d)
  return files_of(d)
end

local function columns_of(d, path, header, targets)
  local o, out = d.options, { targets = {} }
  for _, name in ipairs { "text", "pair", "part", "group" } do
    out[name] = o[name] and cells.column(path, header, o[name], name)
  end
  for k, name in ipairs(targets) do out.targets[k] = cells.column(path, header, name, "target") end
  return out
end

-- Takes the rows of one file.
local function take_rows(d, file, kind, task, targets, found)
  local o, path = d.options, file.path
  local header, rows, lines = core.csv(path, ({ auto = "letters of tsv", yes = "quotes", no = "letters" })[o.quotes])
  local c = columns_of(d, path, header, targets)
  for i, row in ipairs(rows) do
    local place, at = ("%s:%d"):format(path, lines[i]), #found.texts + 1
    found.texts[at], found.places[at] = row[c.text], place
    if c.pair then found.pairs[at] = row[c.pair] end
    if kind == "label" then found.labels[at] = cells.class(row[c.targets[1]], place, targets[1])
    elseif kind == "values" then
      found.values[at] = {}
      for k, column in ipairs(c.targets) do
        found.values[at][k] = cells.number(row[column], place, targets[k], task == "multilabel")
      end
    end
    if found.parts then found.parts[at] = c.part and cells.part(row[c.part], place, o.part) or file.part end
    if c.group then found.keys[at] = row[c.group] end
  end
  if #rows == 0 then util.failf("%s has no rows below its header", path) end
end

function tables.read_texts(d, options)
  local o = d.options
  local targets = type(o.target) == "table" and o.target or { o.target }
  if #targets == 0 then util.fail 'data.texts: target names no column, like target = "label"' end
  util.distinct(targets, "data.texts: target")
  local files, have_parts = tables.files(d)
  local numbers, task = cells.wants("values", d, options)
  local labelled = cells.wants("label", d, options)
  local kind = numbers and "values" or labelled and "label" or nil
  if kind == "label" and #targets > 1 then
    util.failf("%d targets (%s) are for task.multilabel {} or task.regress {}, not for task.%s", #targets,
      table.concat(targets, ", "), task)
  end
  if have_parts and o.part then util.fail "data.texts: part, and files for the parts: it is one of them" end
  local found = { texts = {}, pairs = o.pair and {}, labels = kind == "label" and {} or nil,
    values = kind == "values" and {} or nil, value_names = kind == "values" and targets or nil, places = {},
    parts = (have_parts or o.part) and {} or nil, keys = o.group and {} or nil, said = {},
    title = o.path:match "([^/]+)$", root = o.path:match "^(.*)/[^/]*$" or "." }
  for _, file in ipairs(files) do take_rows(d, file, kind, task, kind and targets or {}, found) end
  local prepared = texts.prepare(d, found, options)
  if kind == "label" and #prepared.record.classes < 2 then
    util.failf("%s: column '%s' has one class only, %s", o.path, targets[1], prepared.record.classes[1])
  end
  return prepared
end

-- ---- a text a line ----

function tables.lines_of(path, found, part)
  local missing = util.missing(path)
  if missing then util.fail(missing) end
  local text = core.read_file(path):gsub("^\xEF\xBB\xBF", "")
  local n = 0
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    n = n + 1
    line = line:gsub("\r$", "")
    if line:find "%S" then
      if not utf8.len(line) or line:find "\0" then
        util.failf("%s:%d: bytes that are no UTF-8 text; save the file as UTF-8", path, n)
      end
      local at = #found.texts + 1
      found.texts[at], found.places[at] = line, ("%s:%d"):format(path, n)
      if found.parts then found.parts[at] = part end
    end
  end
  if n == 0 or #found.texts == 0 then util.failf("%s has no line with a text", path) end
end

function tables.read_lines(d, options)
  local files, have_parts = tables.files(d)
  local found = { texts = {}, places = {}, parts = have_parts and {} or nil, said = {},
    title = d.options.path:match "([^/]+)$", root = d.options.path:match "^(.*)/[^/]*$" or "." }
  for _, file in ipairs(files) do tables.lines_of(file.path, found, file.part) end
  return texts.prepare(d, found, options)
end

return tables
