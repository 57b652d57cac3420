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
local MOST = 3.4028234e38 -- of float32
local YES = { ["1"] = 1, ["0"] = 0, ["true"] = 1, ["false"] = 0, yes = 1, no = 0 }

-- The number of the column `name` in a header; `what`: what names it, `option`: as an option (--data.WHAT).
function cells.column(path, header, name, what, option)
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
  util.failf("%s has no column '%s' (%s); %s: %s NAME", path, shown(name), what, there, option or "--data." .. what)
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

-- The number in a cell; `unknown`: an empty one is not known (false). `place` names file and line.
function cells.number(cell, place, column, unknown)
  local text = cell:match "^%s*(.-)%s*$"
  if text == "" then
    if unknown then return false end
    util.failf("%s: column '%s' is empty, and a number is needed", place, column)
  end
  local v = tonumber(text) or YES[text:lower()]
  if not v and text:find "^[+-]?%d+,%d+$" then
    util.failf("%s: column '%s': '%s' has a decimal comma; write %s", place, column, text, (text:gsub(",", ".")))
  end
  if not v or v ~= v or math.abs(v) == math.huge then
    util.failf("%s: column '%s': '%s' is no number", place, column, shown(text))
  end
  if math.abs(v) > MOST then
    util.failf("%s: column '%s': %s is beyond what float32 holds; write it in other units", place, column,
      shown(text))
  end
  return v
end

-- Does the task of a description want this field of a sample? And what the task is called.
function cells.wants(field, d, options)
  local task = options.task or require("tlua.data").task_of(d)
  for _, name in ipairs(require("tlua.task").definition(task.kind).wants) do
    if name == field then return true, task.kind end
  end
  return false, task.kind
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
  local text = cell:match "^%s*(.-)%s*$"
  text = text:find("\0", 1, true) and text or core.composed(text)
  if text == "" then util.failf("%s: column '%s' is empty, and a class is needed", place, column) end
  if text ~= shown(text, cells.LONGEST) then
    util.failf("%s: column '%s': '%s' is no name of a class: at most %d bytes, and no control characters", place,
      column, shown(text), cells.LONGEST)
  end
  return text
end

-- The value in the masks of each of n classes; `what` begins messages.
function cells.mask_values(given, n, what)
  local list, known = {}, {}
  if type(given) == "number" then given = { given } end
  if given and #given ~= n then
    util.failf("%s: values are one for each class, and there are %d for %d classes", what, #given, n)
  end
  for k = 1, n do
    local v = given and given[k] or k - 1
    list[k] = math.tointeger(v) or util.failf("%s: values are whole numbers from 0 to 255, not %s", what, tostring(v))
    if known[list[k]] then util.failf("%s: values: %d stands there twice", what, list[k]) end
    known[list[k]] = true
  end
  if n > 256 then util.failf("%s: %d classes; a mask of 8 bits has at most 256 values", what, n) end
  return list
end

util.seal(cells, "data.")
return cells
