-- yolo.lua - boxes in the text files of YOLO: a line "class x y width height" for each box, as shares of the picture,
-- the middle and the size. Labels lie in a folder `labels` beside `images`, or beside the pictures. Exports of CVAT
-- (obj.names, obj_train_data), LabelImg (classes.txt) and data.yaml are known.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local boxes = require "tlua.data.boxes"
local split = require "tlua.data.split"
local waves = require "tlua.data.waves"
local yolo = {}

-- ---- names of classes ----

-- A name without its quotes; `place`: for messages. What YAML would make another text of is refused, or done.
local function unquoted(text, place)
  text = text:match "^%s*(.-)%s*$"
  local double, single = text:match '^"(.*)"$', text:match "^'(.*)'$"
  if double and double:find '[\\"]' or text:find "^[\"']" and not (double or single) then
    util.failf("%s: %s: quotes within quotes and backslashes are not read here", place, util.shown(text))
  end
  return double or single and single:gsub("''", "'") or text
end

-- Without what follows a # that is not quoted.
local function without_comment(line)
  local quote
  for i = 1, #line do
    local c = line:sub(i, i)
    if quote then quote = c ~= quote and quote or nil
    elseif c == '"' or c == "'" then quote = c
    elseif c == "#" and (i == 1 or line:sub(i - 1, i - 1):find "%s") then return line:sub(1, i - 1) end
  end
  return line
end

-- The elements of "[a, 'b, c']".
local function flow(text, place)
  local inner, list, from, quote = text:match "^%[(.*)%]%s*$", {}, 1, nil
  if not inner then util.failf("%s: names is no list that is read here: names: [a, b], or a line for each", place) end
  for i = 1, #inner + 1 do
    local c = inner:sub(i, i)
    if quote then quote = c ~= quote and quote or nil
    elseif c == '"' or c == "'" then quote = c
    elseif c == "," or i == #inner + 1 then
      local word = unquoted(inner:sub(from, i - 1), place)
      local last = i == #inner + 1
      if word ~= "" then list[#list + 1] = word
      elseif not last or inner:find("%S", from) then
        util.failf("%s: name %d of names is empty, and classes are counted by them", place, #list + 1)
      end
      from = i + 1
    end
  end
  if quote then util.failf("%s: a quote in names has no end", place) end
  return list
end

-- The names in a data.yaml: a list in brackets, lines "- name", or lines "0: name".
function yolo.names_of_yaml(path)
  local list, within, line_number, whole = {}, false, 0, nil
  for line in (core.read_file(path):gsub("^\xEF\xBB\xBF", "") .. "\n"):gmatch "(.-)\r?\n" do
    line_number = line_number + 1
    local place = ("%s:%d"):format(path, line_number)
    line = without_comment(line)
    if whole then
      whole = whole .. " " .. line
      if line:find "%]" then list, whole = flow(whole:match "^%s*(.-)%s*$", place), nil end
    elseif line:find "^names%s*:" then
      local rest = line:match "^names%s*:%s*(.-)%s*$"
      if rest == "" then within = true
      elseif rest:find "^%[" and not rest:find "%]" then whole = rest
      else list = flow(rest, place) end
    elseif within and line:find "%S" then
      local item = line:match "^%s*%-%s*(.-)%s*$"
      local number, name = line:match "^%s+(%d+)%s*:%s*(.-)%s*$"
      if item then list[#list + 1] = unquoted(item, place)
      elseif number then
        if tonumber(number) ~= #list then util.failf("%s: class %s, and %d is next", place, number, #list) end
        list[#list + 1] = unquoted(name, place)
      elseif line:find "^%S" then within = false
      else util.failf("%s: '%s' is no name of a class as it is read here", place, util.shown(line)) end
    end
  end
  if whole then util.failf("%s: the list of names has no end", path) end
  for k, name in ipairs(list) do list[k] = cells.class(name, path, "names") end
  return #list > 0 and util.distinct(list, path) or nil
end

-- The names of the classes; nil, and why.
local function classes_of(root)
  local nameless
  for _, name in ipairs { "data.yaml", "data.yml", "dataset.yaml" } do
    local path = root .. "/" .. name
    local list = core.exists(path) and yolo.names_of_yaml(path)
    if list then return list end
    if list == nil then nameless = nameless or path end
  end
  for _, name in ipairs { "classes.txt", "obj.names", "labels/classes.txt" } do
    local path = root .. "/" .. name
    if core.exists(path) then return boxes.names_in(path) end
  end
  return nil, nameless and nameless .. " has no names, and there is no classes.txt or obj.names"
    or "there is no data.yaml, classes.txt or obj.names in " .. root
end

-- ---- labels ----

-- The boxes of a label file.
local function read_labels(path, classes, faults)
  local list, line_number = {}, 0
  for line in (core.read_file(path):gsub("^\xEF\xBB\xBF", "") .. "\n"):gmatch "(.-)\r?\n" do
    line_number = line_number + 1
    local place, v, n = ("%s:%d"):format(path, line_number), {}, 0
    for word in line:gmatch "%S+" do
      n = n + 1
      v[n] = tonumber(word) or 0 / 0
    end
    if n == 5 and v[1] == v[1] and math.tointeger(v[1]) then
      local k = math.tointeger(v[1])
      local b = { v[2] - v[4] / 2, v[3] - v[5] / 2, v[2] + v[4] / 2, v[3] + v[5] / 2, share = true, place = place,
        class = k + 1 }
      if k < 0 or k >= #classes then
        faults:add("boxes of a class that is not known", place, ("class %d of %d, counted from 0"):format(k, #classes))
      elseif math.max(v[2], v[3], v[4], v[5]) > 2 then
        faults:add("boxes that are no shares of the picture", place,
          ("%s; x, y, width and height are wanted as shares from 0 to 1"):format(util.shown(line, 60)))
      else list[#list + 1] = b end
    elseif n > 5 then
      faults:add("lines that are no boxes", place,
        ("%d numbers, and a box has 5: the class and four; outlines are not read"):format(n))
    elseif n > 0 then
      faults:add("lines that are no boxes", place,
        ("'%s'; class x y width height are wanted"):format(util.shown(line, 60)))
    end
  end
  return list
end

-- Where the labels of a picture may lie: the folder `labels` in place of the last `images`, or beside the picture.
local function label_file(path)
  local stem = boxes.stem(path)
  local before, after = stem:match "^(.*/)images/(.*)$"
  local apart = before and before .. "labels/" .. after .. ".txt"
  if apart and core.exists(apart) then return apart end
  local beside = stem .. ".txt"
  return core.exists(beside) and beside or nil, apart or beside
end

local NOT_LABELS = { ["classes.txt"] = true, ["train.txt"] = true, ["test.txt"] = true, ["valid.txt"] = true,
  ["val.txt"] = true, ["readme.txt"] = true, ["notes.txt"] = true, ["license.txt"] = true }

local NOT_READ = { "mp4", "avi", "mov", "mkv", "webm", "heic", "avif" } -- as they are, or in capitals

-- Why a label file has no picture.
local function why_stray(path)
  local stem = boxes.stem(path)
  local before, after = stem:match "^(.*/)labels/(.*)$"
  for _, ending in ipairs(NOT_READ) do
    for _, base in ipairs { before and before .. "images/" .. after or stem, stem } do
      for _, each in ipairs { ending, ending:upper() } do
        local file = ("%s.%s"):format(base, each)
        if core.exists(file) then return ("there is %s, and no picture is read of that"):format(file) end
      end
    end
  end
  return "there is no picture of that name"
end

-- Label files that no picture has, which are faults.
local function strays(root, used, faults)
  local function is_label(name)
    return name:lower():find "%.txt$" and not NOT_LABELS[name:lower()] and not name:find "^README"
  end
  for _, path in ipairs((waves.below(root, is_label))) do
    if not used[path] then faults:add("label files without a picture", path, why_stray(path)) end
  end
end

-- The parts of pictures by their folders; CVAT names that of a subset obj_SUBSET_data. Where all are called train, as the
-- pictures of a task without subsets are, nothing is said of what is for testing, and there are no parts.
local function set_parts(root, pictures)
  local others = false
  for _, picture in ipairs(pictures) do
    local word = split.below(root, picture.path):match "obj_(%a+)_data/"
    picture.part = boxes.part_of(root, picture.path) or word and cells.PARTS[word:lower()]
    others = others or picture.part ~= "train"
  end
  for _, picture in ipairs(others and {} or pictures) do picture.part = nil end
end

function yolo.read(d, options)
  local root, faults = boxes.root(d, "pictures and labels"), boxes.faults()
  local classes, why = classes_of(root)
  if not classes then
    util.failf("data.yolo: what the classes are called is not said: %s%s", why, boxes.of_another("yolo", root))
  end
  local found, used = { pictures = {}, classes = classes, root = root, title = "YOLO labels", faults = faults,
    said = {} }, {}
  for _, path in ipairs(boxes.pictures_in(root, found.said)) do
    local labels, wanted = label_file(path)
    local picture = { path = path, place = labels or path, boxes = {} }
    local twice = labels and used[labels]
    if twice then
      faults:add("label files of two pictures", path, ("%s is that of %s too"):format(labels, twice))
    elseif labels then
      used[labels] = path
      local before = faults.total
      picture.boxes = read_labels(labels, classes, faults)
      picture.spoilt = faults.total > before
    elseif d.options.background ~= "keep" then
      faults:add("pictures without a label file", path, ("there is no %s"):format(wanted))
    end
    if not twice and (labels or d.options.background == "keep") then found.pictures[#found.pictures + 1] = picture end
  end
  set_parts(root, found.pictures)
  strays(root, used, faults)
  if #found.pictures == 0 and #faults.list == 0 then util.failf("data.yolo: %s holds no pictures", root) end
  return boxes.records(d, options, found)
end

util.seal(yolo, "data.")
return yolo
