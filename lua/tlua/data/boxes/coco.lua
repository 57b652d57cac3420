-- coco.lua - boxes in the JSON of COCO: `annotations` is the training part, or all where the test is held out.
-- Annotations that stand for a crowd are not learnt, and count nowhere in figures. Areas are those of the file.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local boxes = require "tlua.data.boxes"
local coco = {}

local function read_json(path, option)
  local missing = util.missing(path)
  if missing then util.failf("%s; --data.%s FILE names another", missing, option) end
  local all = util.read_json(path)
  for _, key in ipairs { "images", "annotations", "categories" } do
    if type(all) ~= "table" or type(all[key]) ~= "table" then
      util.failf("%s is no JSON of COCO's form: it has no list '%s'", path, key)
    end
  end
  return all
end

-- The names of the categories by their ids in the file, and in the order of these.
local function categories_of(all, path)
  local ids, of_id, names = {}, {}, {}
  for i, each in ipairs(all.categories) do
    local id, name = type(each) == "table" and each.id, type(each) == "table" and each.name
    local place = ("%s, category %d"):format(path, i)
    if math.type(id) ~= "integer" or type(name) ~= "string" then util.failf("%s: id and name are needed", place) end
    if of_id[id] then util.failf("%s: id %d is there twice", place, id) end
    ids[#ids + 1], of_id[id] = id, cells.class(name, place, "name")
  end
  table.sort(ids)
  for k, id in ipairs(ids) do names[k] = of_id[id] end
  return util.distinct(names, path .. ": categories"), of_id
end

-- The folder that the files of a JSON lie in: the root, or one in it that is called images or as the JSON is.
local function folder_of(o, path, all)
  local own = path:match "^(.*)/[^/]*$" or "."
  local root, name = o.root or own, boxes.stem(path:match "[^/]+$"):gsub("^instances_", "")
  local first = all.images[1]
  local file = type(first) == "table" and first.file_name
  if type(file) ~= "string" then return root end
  for _, folder in ipairs { root, root .. "/images", root .. "/" .. name, root .. "/images/" .. name, own,
    own .. "/../images", own .. "/../" .. name } do
    if core.exists(folder .. "/" .. file) then return folder end
  end
  return root
end

-- The box of annotation i; nil and a fault where it has none.
local function box_of(a, place, of_id, faults)
  local b = type(a.bbox) == "table" and a.bbox or {}
  for k = 1, 4 do
    if type(b[k]) ~= "number" then
      return faults:add("annotations without a box", place, "bbox has not four numbers: left, top, width, height")
    end
  end
  if #b > 4 then return faults:add("annotations without a box", place, ("bbox has %d numbers"):format(#b)) end
  if type(a.area) == "number" and not (a.area >= 0 and util.is_finite(a.area)) then
    return faults:add("annotations whose area is none", place, ("area is %g, in square pixels"):format(a.area))
  end
  local class = of_id[a.category_id]
  if not class then
    return faults:add("boxes of a class that is not known", place, ("category %s is none of the file's"):format(
      a.category_id == nil and "null" or util.shown(tostring(a.category_id))))
  end
  return { b[1], b[2], b[1] + b[3], b[2] + b[4], class = class, place = place,
    crowd = a.iscrowd == 1 or a.iscrowd == true or nil, area = type(a.area) == "number" and a.area or nil }
end

-- Adds the pictures of a JSON.
local function add(d, found, path, part, option)
  local all, faults = read_json(path, option), found.faults
  local names, of_id = categories_of(all, path)
  found.classes = found.classes or names
  local folder, pictures = folder_of(d.options, path, all), {}
  found.root = found.root or folder
  for i, image in ipairs(all.images) do
    local place = ("%s, image %d"):format(path, i)
    local file, id = type(image) == "table" and image.file_name, type(image) == "table" and image.id
    if type(file) ~= "string" or id == nil then util.failf("%s: id and file_name are needed", place) end
    if pictures[id] then util.failf("%s: id %s is there twice", place, util.shown(tostring(id))) end
    local picture = { path = cells.absolute(folder, file), place = place, part = part, boxes = {},
      says = { tonumber(image.width), tonumber(image.height) } }
    pictures[id] = picture
    if util.missing(picture.path) then
      faults:add("pictures that are not there", place, ("there is no file %s"):format(util.shown(picture.path, 240)))
      picture.gone = true
    else found.pictures[#found.pictures + 1] = picture end
  end
  for i, a in ipairs(all.annotations) do
    local place = ("%s, annotation %d"):format(path, i)
    local picture = type(a) == "table" and a.image_id ~= nil and pictures[a.image_id]
    if not picture then faults:add("annotations of no picture", place, "image_id is none of the file's images")
    elseif not picture.gone then
      local b = box_of(a, place, of_id, faults)
      if b then picture.boxes[#picture.boxes + 1] = b else picture.spoilt = true end
    end
  end
end

function coco.read(d, options)
  local o = d.options
  local found = { pictures = {}, title = "COCO labels", faults = boxes.faults() }
  local has_parts = o.test_annotations or o.validation_annotations
  add(d, found, o.annotations, has_parts and "train" or nil, "annotations")
  if o.validation_annotations then add(d, found, o.validation_annotations, "validation", "validation_annotations") end
  if o.test_annotations then add(d, found, o.test_annotations, "test", "test_annotations") end
  return boxes.records(d, options, found)
end

util.seal(coco, "data.")
return coco
