-- voc.lua - boxes in the XML of Pascal VOC, as LabelImg and CVAT write it: folders Annotations, JPEGImages and
-- ImageSets/Main with the parts, or pictures with their XML beside them. Pixels count from 1 there: a box from 1 to 10
-- begins at the edge of the picture and is ten pixels wide.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local split = require "tlua.data.split"
local boxes = require "tlua.data.boxes"
local waves = require "tlua.data.waves"
local voc = {}

local SIDES = { "xmin", "ymin", "xmax", "ymax" }

local function child(node, name)
  for _, each in ipairs(node or {}) do
    if each.name == name then return each end
  end
end

-- The box of an object; nil and a fault where it has none.
local function box_of(object, place, faults)
  local name, corners, b = child(object, "name"), child(object, "bndbox"), { place = place }
  if not name or name.text == "" then return faults:add("objects without a name", place, "an object has no name") end
  for k, side in ipairs(SIDES) do
    local node = child(corners, side)
    b[k] = node and tonumber(node.text)
    if not b[k] then
      return faults:add("objects without a box", place,
        ("object '%s' has no number for %s"):format(util.shown(name.text), side))
    end
  end
  b[1], b[2] = b[1] - 1, b[2] - 1
  b.class = cells.class(name.text, place, "name")
  return b
end

-- What an XML file says: its boxes, and the size that it says the picture has.
local function read_xml(path, faults)
  local ok, tree = pcall(core.xml, core.read_file(path), path)
  if not ok then
    local text = util.without_place(tree)
    local at = text:sub(1, #path) == path and text:sub(#path + 1):match "^:(%d+): "
    faults:add("files that are damaged", at and path .. ":" .. at or path, at and text:sub(#path + #at + 4) or text)
    return nil
  end
  if tree.name ~= "annotation" then
    faults:add("files that are damaged", path, ("<%s>, and <annotation> is wanted"):format(util.shown(tree.name)))
    return nil
  end
  local list = {}
  for i, node in ipairs(tree) do
    if node.name == "object" then list[#list + 1] = box_of(node, ("%s, object %d"):format(path, i), faults) end
  end
  local size = child(tree, "size")
  local function side(name)
    local node = child(size, name)
    return node and tonumber(node.text)
  end
  return list, side "width", side "height"
end

-- The picture that a line of ImageSets/Main names: names may have spaces, and lists of one class say 1, 0 or -1 behind
-- them.
local function name_in(line, of_name)
  local whole = line:match "^%s*(.-)%s*$"
  local name = not of_name[whole] and whole:match "^(.-)%s+[+-]?%d+$" or whole
  return name ~= "" and name or nil
end

-- Parts of pictures by ImageSets/Main: {name = part}; nil where there are none. trainval only where train is missing.
-- of_name: the pictures that there are.
local function parts_of(root, of_name, faults)
  local folder, out, any = root .. "/ImageSets/Main", {}, false
  if not core.is_folder(folder) then return nil end
  local function take(file, part)
    local path, line_number = ("%s/%s.txt"):format(folder, file), 0
    if not core.exists(path) then return false end
    for line in (core.read_file(path):gsub("^\xEF\xBB\xBF", "") .. "\n"):gmatch "(.-)\r?\n" do
      line_number = line_number + 1
      local name, place = name_in(line, of_name), ("%s:%d"):format(path, line_number)
      if name and out[name] and out[name] ~= part then
        util.failf("%s: %s is in the part %s already", place, util.shown(name), out[name])
      elseif name and not of_name[name] then
        faults:add("names of parts without a picture", place, ("there is no picture '%s'"):format(util.shown(name)))
      elseif name then out[name] = part end
    end
    any = true
    return true
  end
  take("test", "test")
  take("val", "validation")
  if not take("train", "train") then take("trainval", "train") end
  return any and out or nil
end

-- Pictures by their names without endings.
local function by_stem(folder, kind, said)
  local out = {}
  for _, path in ipairs(boxes.pictures_in(folder, said)) do
    local name = boxes.stem(split.below(folder, path))
    if out[name] then
      util.failf("data.%s: %s and %s have the same name but for their endings", kind, out[name], path)
    end
    out[name] = path
  end
  return out
end

-- Why a picture has no labels; those of another form are named.
local function why_none(labels, name)
  local other = ("%s/%s.txt"):format(labels, name)
  return ("there is no %s/%s.xml%s"):format(labels, name,
    core.exists(other) and (", only %s, which is not read here"):format(other) or "")
end

function voc.read(d, options)
  local root, faults = boxes.root(d, "Annotations and JPEGImages"), boxes.faults()
  local apart = core.is_folder(root .. "/Annotations")
  local labels, pictures = apart and root .. "/Annotations" or root, root .. (apart and "/JPEGImages" or "")
  if apart and not core.is_folder(pictures) then
    util.failf("data.voc: there is no folder %s beside %s", pictures, labels)
  end
  local found = { pictures = {}, root = root, title = "VOC labels", faults = faults, said = {} }
  local of_name, left = by_stem(pictures, d.kind, found.said), 0
  local parts = parts_of(root, of_name, faults)
  local function is_xml(name) return name:lower():find "%.xml$" ~= nil end
  local files = waves.below(labels, is_xml)
  if #files == 0 and d.options.background ~= "keep" then
    util.failf("data.voc: %s holds no XML files%s", labels, boxes.of_another("voc", root))
  end
  for _, path in ipairs(files) do
    local name = boxes.stem(split.below(labels, path))
    local file, part = of_name[name], parts and parts[name]
    of_name[name] = nil
    if parts and not part then left = left + 1
    elseif not file then faults:add("label files without a picture", path, "there is no picture of that name")
    else
      local picture = { path = file, place = path, part = part or boxes.part_of(root, file) }
      local before, width, height = faults.total, nil, nil
      picture.boxes, width, height = read_xml(path, faults)
      picture.spoilt, picture.says = faults.total > before, { width, height }
      if picture.boxes then found.pictures[#found.pictures + 1] = picture end
    end
  end
  for _, name in ipairs(util.keys(of_name)) do
    local part = parts and parts[name]
    if parts and not part then left = left + 1
    elseif d.options.background == "keep" then
      found.pictures[#found.pictures + 1] = { path = of_name[name], place = of_name[name], boxes = {},
        part = part or boxes.part_of(root, of_name[name]) }
    else faults:add("pictures without a label file", of_name[name], why_none(labels, name)) end
  end
  if left > 0 then
    found.said[#found.said + 1] = ("skipped   %s of no part in %s/ImageSets/Main"):format(
      util.counted(left, "picture"), root)
  end
  if #found.pictures == 0 and #faults.list == 0 and left > 0 then
    util.failf("data.voc: no picture stands in the lists of %s/ImageSets/Main", root)
  end
  return boxes.records(d, options, found)
end

util.seal(voc, "data.")
return voc
