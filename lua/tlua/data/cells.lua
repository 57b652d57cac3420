-- cells.lua - what the rows of a table of samples say: columns by name, files, parts, classes. Messages name file and
-- line.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = {}

local shown = util.shown

cells.PARTS = { train = "train", training = "train", val = "validation", valid = "validation",
  validation = "validation", dev = "validation",
  test = "test", testing = "test" }
cells.LONGEST = 200 -- bytes of a class's name

-- The number of the column `name` in a header; `what`: the option that names it.
function cells.column(path, header, name, what)
  local found
  for k, each in ipairs(header) do
    if each == name then
      if found then
        util.failf("%s has two columns '%s' (%s), %d and %d; rename one", path, shown(name), what, found,
          k)
      end
      found = k
    end
  end
  if found then return found end
  local names = {}
  for k, each in ipairs(header) do names[k] = shown(each) end
  local there = util.unknown_text("column", name, names):gsub("^unknown [^;]*; ", "", 1)
  util.failf("%s has no column '%s' (%s); %s: --data.%s NAME", path, shown(name), what, there, what)
end

function cells.absolute(folder, path) return path:find "^/" and path or folder .. "/" .. path end

function cells.part(cell, place, column)
  local part = cells.PARTS[cell:match "^%s*(.-)%s*$":lower()]
  if not part then
    util.failf("%s: column '%s': '%s' is no part: train, validation or test", place, column,
      shown(cell))
  end
  return part
end

-- Sorted distinct texts.
function cells.names(list)
  local known, names = {}, {}
  for _, text in ipairs(list) do
    if not known[text] then known[text], names[#names + 1] = true, text end
  end
  table.sort(names)
  return names
end

-- Class numbers of texts; places[i] is where text i stands.
function cells.labels(texts, classes, places)
  local number, out = {}, {}
  for k, name in ipairs(classes) do number[name] = k - 1 end
  for i, text in ipairs(texts) do
    out[i] = number[text] or util.failf("%s: '%s' is none of the classes %s", places[i], shown(text),
      util.first_few(classes, 6))
  end
  return out
end

-- The text of a cell as the name of a class; `column`: for the message.
function cells.class(cell, place, column)
  local text = core.composed(cell:match "^%s*(.-)%s*$")
  if text == "" then util.failf("%s: column '%s' is empty, and a class is needed", place, column) end
  if text ~= shown(text, cells.LONGEST) then
    util.failf("%s: column '%s': '%s' is no name of a class: at most %d bytes, and no control characters", place,
      column, shown(text), cells.LONGEST)
  end
  return text
end

util.seal(cells, "data.")
return cells
