-- table.lua - boxes in a table: a line for each box with its picture's file, corners and class. A line with a file
-- alone says that the picture shows nothing.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local boxes = require "tlua.data.boxes"
local tables = {}

local SIDES = { "left", "top", "right", "bottom" }

-- The columns of a description: {name of the field = number}.
local function columns_of(path, header, o)
  local out = { file = cells.column(path, header, o.file, "file"),
    class = cells.column(path, header, o.target, "target") }
  for _, side in ipairs(SIDES) do out[side] = cells.column(path, header, o[side], side) end
  out.part = o.part and cells.column(path, header, o.part, "part")
  out.group = o.group and cells.column(path, header, o.group, "group")
  return out
end

-- The box of a row; nil where its cells are all empty.
local function box_of(row, at, place, o)
  local b, empty = { place = place }, row[at.class]:find "%S" == nil
  for k, side in ipairs(SIDES) do
    local cell = row[at[side]]
    if not (empty and not cell:find "%S") then b[k], empty = cells.number(cell, place, o[side]), false end
  end
  if empty then return nil end
  b.class = cells.class(row[at.class], place, o.target)
  return b
end

function tables.read(d, options)
  local o, path = d.options, d.options.path
  local missing = util.missing(path)
  if missing then util.failf("%s; --data.path FILE names another", missing) end
  local header, rows, lines = core.csv(path)
  local at, of_file = columns_of(path, header, o), {}
  local root = o.root or path:match "^(.*)/[^/]*$" or "."
  local found = { pictures = {}, root = root, title = path:match "[^/]+$", faults = boxes.faults(),
    groups = o.group and {} }
  for i, row in ipairs(rows) do
    local place = ("%s:%d"):format(path, lines and lines[i] or i + 1)
    local file = boxes.plain(cells.absolute(root, row[at.file]))
    if row[at.file] == "" then util.failf("%s: column '%s' is empty, and a file is needed", place, o.file) end
    local picture = of_file[file]
    if not picture then
      picture = { path = file, place = place, boxes = {}, part = at.part and cells.part(row[at.part], place, o.part) }
      of_file[file] = picture
      if util.missing(file) then
        found.faults:add("pictures that are not there", place, ("there is no file %s"):format(util.shown(file, 240)))
      else
        found.pictures[#found.pictures + 1] = picture
        if at.group then found.groups[#found.pictures] = row[at.group] end
      end
    elseif at.part and cells.part(row[at.part], place, o.part) ~= picture.part then
      util.failf("%s: the picture is in the part %s by the row at %s", place, picture.part, picture.place)
    end
    local b = box_of(row, at, place, o)
    if b then picture.boxes[#picture.boxes + 1] = b else picture.listed = true end
  end
  if #rows == 0 then util.failf("%s has no rows below its header", path) end
  return boxes.records(d, options, found)
end

util.seal(tables, "data.")
return tables
