-- init.lua - data whose samples are pictures with boxes: what the readers of the forms (coco.lua, voc.lua, yolo.lua,
-- table.lua) find becomes a list of records here, once its labels were checked. A reader gives
--   { pictures = {{path=, place=, part=, boxes=, listed=, spoilt=}...}, classes = names or nil, root=, title=, said=,
--     faults= }
-- place: where the labels of a picture stand, for messages; listed: that nothing is on it is said, and no accident;
-- spoilt: its labels had faults already; says = {width, height}: the size that its labels speak of.
-- A box is { left, top, right, bottom, class = number from 1 or a name, place=,
-- crowd=, area=, share = true: as shares of the picture }. Each fault of labels is a line with its place and a count;
-- together they stop, or with faults = "skip" the boxes or pictures that they are in are left out.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local split = require "tlua.data.split"
local tiles = require "tlua.data.boxes.tiles"
local waves = require "tlua.data.waves"
local data_text = require "tlua.data.text"
local boxes = {}

local OUTSIDE = 0.01 -- of a side: so far a box may reach out of the picture, and is cut; a pixel at least

-- ---- faults ----

local Faults = {}
Faults.__index = Faults

-- Counts of faults by what they are, with the first of each.
function boxes.faults() return setmetatable({ list = {}, known = {}, total = 0 }, Faults) end

-- `kind`: the words for all that are alike; `place` and `text` tell of this one.
function Faults:add(kind, place, text)
  local found = self.known[kind]
  if not found then
    found = { kind = kind, count = 0, first = ("%s: %s"):format(place, text) }
    self.known[kind], self.list[#self.list + 1] = found, found
  end
  found.count, self.total = found.count + 1, self.total + 1
end

-- A line for each kind: "labels   FIRST; 12 such: boxes of no area".
function Faults:lines()
  local out = {}
  for i, each in ipairs(self.list) do
    out[i] = ("%s (%s: %s)"):format(each.first, each.kind, util.thousands(each.count))
  end
  return out
end

-- Stops where there is one, or gives lines for the plan.
function Faults:settle(kind, skip, said)
  local lines = self:lines()
  if #lines == 0 then return end
  if skip then
    for _, line in ipairs(lines) do said[#said + 1] = "skipped   " .. line end
    return
  end
  for i = 2, #lines do util.note(lines[i]) end
  util.failf("data.%s: %s%s; --data.faults skip leaves out what is wrong so", kind, lines[1],
    #lines > 1 and ("; %d other kinds of faults stand above"):format(#lines - 1) or "")
end

-- ---- one picture ----

-- One name for a file that is called by several: "./a//b/./c" is "a/b/c".
function boxes.plain(path)
  local before
  repeat before, path = path, path:gsub("//+", "/"):gsub("/%./", "/"):gsub("^%./(.)", "%1") until path == before
  return path
end

local function number(v) return v ~= v and "nan" or ("%g"):format(v) end
local function text_of(b) return ("%s, %s, %s, %s"):format(number(b[1]), number(b[2]), number(b[3]), number(b[4])) end

-- How large a picture is; nil and a fault where it cannot be read.
local function size_of(picture, faults)
  local ok, width, height = pcall(core.image_size, picture.path)
  if ok then return width, height end
  local text = util.without_place(width)
  faults:add("files that cannot be read as pictures", picture.place, text)
end

-- Is a picture of the size that its labels speak of? Else its boxes are of another picture, or of it before it was made
-- smaller, and those that happen to lie within it are wrong too.
local function is_of_size(picture, width, height, faults)
  local w, h = table.unpack(picture.says or {})
  if not (w and h and w > 0 and h > 0) or w == width and h == height then return true end
  local turned = w == height and h == width
  faults:add("files that speak of another size", picture.place,
    ("it says %g x %g pixels, and the picture has %d x %d%s"):format(w, h, width, height,
    turned and " as it stands upright: its boxes are of the picture before it was turned" or ""))
  return false
end

-- Why a box is none, or nil. A box that reaches out a little is cut.
local function wrong(b, width, height)
  for k = 1, 4 do
    if not util.is_finite(b[k]) then return "boxes with a side that is no number", text_of(b) end
  end
  if b[3] < b[1] or b[4] < b[2] then
    return "boxes whose corners are in the wrong order",
      ("box %s; left, top, right, bottom are wanted"):format(text_of(b))
  elseif b[3] == b[1] or b[4] == b[2] then return "boxes of no area", "box " .. text_of(b) end
  local x, y = math.max(1, OUTSIDE * width), math.max(1, OUTSIDE * height)
  if b[1] < -x or b[2] < -y or b[3] > width + x or b[4] > height + y then
    return "boxes that reach out of the picture",
      ("box %s, and the picture is %d x %d"):format(text_of(b), width, height)
  end
  b[1], b[2] = math.max(0, b[1]), math.max(0, b[2])
  b[3], b[4] = math.min(width, b[3]), math.min(height, b[4])
  if b[3] <= b[1] or b[4] <= b[2] then return "boxes of no area", "box " .. text_of(b) end
end

-- The boxes of a picture that are right.
local function right_ones(picture, width, height, faults)
  local out, known = {}, {}
  for _, b in ipairs(picture.boxes) do
    if b.share then
      b[1], b[3], b[2], b[4] = b[1] * width, b[3] * width, b[2] * height, b[4] * height
    end
    local kind, text = wrong(b, width, height)
    local key = ("%s %s"):format(text_of(b), b.class)
    if not kind and known[key] and not b.crowd then
      kind, text = "boxes that stand there twice", "box " .. text_of(b)
    end
    known[key] = true
    if kind then faults:add(kind, b.place or picture.place, text) else out[#out + 1] = b end
  end
  return out
end

-- ---- the record ----

-- The number of each class by its name, from 0: those of the model or the recipe, of the data, or all that occur.
local function class_numbers(d, options, found)
  local given = options.classes or d.options.classes or found.classes
  if type(given) == "string" then given = { given } end
  local names = given
  if not names then
    local all = {}
    for _, p in ipairs(found.pictures) do
      for _, b in ipairs(p.boxes) do all[#all + 1] = b.class end
    end
    names = cells.names(all)
  end
  if #names == 0 then
    found.faults:settle(d.kind, false, {}) -- which say why
    util.failf("data.%s: %s", d.kind, given and "there are no names of classes, and so there is nothing to learn"
      or "there is no box, and so nothing to learn")
  end
  util.distinct(names, ("data.%s: classes"):format(d.kind))
  local number_of = {}
  for k, name in ipairs(names) do number_of[name] = k - 1 end
  return names, number_of
end

-- Numbers of classes in place of names; boxes of no class that is known are faults.
local function set_classes(picture, names, number_of, found, faults)
  local out = {}
  for _, b in ipairs(picture.boxes) do
    local name = b.class
    if type(name) == "number" then name = found.classes[name] end
    local k = number_of[name]
    if k then
      b.label, out[#out + 1] = k, b
    else
      faults:add("boxes of a class that is not known", b.place or picture.place,
        ("'%s' is none of the classes %s"):format(util.shown(name), util.first_few(names, 6)))
    end
  end
  picture.boxes = out
end

-- Adds a picture to the record.
local function take(r, out, picture)
  local n = #r.paths + 1
  local list, labels, crowd, areas = {}, {}, { boxes = {}, labels = {}, areas = {} }, {}
  for _, b in ipairs(picture.boxes) do
    local area = b.area or (b[3] - b[1]) * (b[4] - b[2])
    if b.crowd then
      local k = #crowd.boxes + 1
      crowd.boxes[k], crowd.labels[k], crowd.areas[k] = { b[1], b[2], b[3], b[4] }, b.label, area
    else
      local k = #list + 1
      list[k], labels[k], areas[k] = { b[1], b[2], b[3], b[4] }, b.label, area
    end
  end
  r.paths[n], r.boxes[n], r.box_labels[n] = picture.path, list, labels
  if r.tiles then r.tiles[n] = picture.tile end
  out.areas[n], out.crowds[n] = areas, #crowd.boxes > 0 and crowd or false
  out.sizes[n] = { picture.width, picture.height }
end

-- Those of the pictures that can be samples: each file once, and where some have parts of their own all have one.
local function distinct(found, faults)
  local known, has_parts, out = {}, false, {}
  for _, picture in ipairs(found.pictures) do has_parts = has_parts or picture.part ~= nil end
  for i, picture in ipairs(found.pictures) do
    local path = boxes.plain(picture.path)
    if known[path] then
      faults:add("pictures that are there twice", picture.place, ("%s is there already%s"):format(
        util.shown(picture.path, 240), known[path] ~= picture.place and ", by " .. known[path] or ""))
    elseif has_parts and not picture.part then
      faults:add("pictures of no part", picture.place,
        "it lies in no folder called train, val or test, and others do")
    else out[#out + 1] = i end
    known[path] = known[path] or picture.place
  end
  return out
end

-- What a picture without boxes means; true: it stays.
local function is_background(picture, o, faults, counts)
  counts.background = counts.background + 1
  if o.background == "keep" or picture.listed then return true end
  if o.background == "error" then
    faults:add("pictures without a box", picture.place,
      "no box; --data.background keep takes such pictures as ones that show nothing, skip leaves them out")
  end
  return false
end

local function boxes_line(counts, names, r)
  local text = ("boxes     %s in %s, %s"):format(util.counted(counts.boxes, "box", "boxes"),
    util.counted(#r.paths, r.tiles and "tile" or "picture"), #names == 1 and "1 class" or #names .. " classes")
  if counts.background > 0 then
    text = ("%s; %s without a box"):format(text, util.counted(counts.background, "picture"))
  end
  if counts.crowds > 0 then
    text = ("%s; %s of crowds, which are not learnt"):format(text, util.thousands(counts.crowds))
  end
  return text
end

-- What becomes a sample of a picture: it, or its tiles. Of tiles without a box `background = "skip"` leaves none.
local function samples_of(picture, o, counts)
  if not o.tiles then return { picture } end
  local out = {}
  local list, lost = tiles.cut(picture, o.tiles, o.least_visible)
  counts.pictures, counts.lost = counts.pictures + 1, counts.lost + lost
  for _, each in ipairs(list) do
    local empty = #each.boxes == 0
    if not empty or o.background ~= "skip" then
      out[#out + 1], counts.tiles = each, counts.tiles + 1
      if empty then counts.empty = counts.empty + 1 end
    end
  end
  return out
end

-- Adds a sample to the records, with what is known of its picture, number i of those that were found.
local function add(out, sample, picture, i, found, counts)
  local r = out.record
  take(r, out.boxes, sample)
  local n = #r.paths
  local crowd = out.boxes.crowds[n]
  out.parts[n] = picture.part
  if out.keys then out.keys[n] = found.groups and found.groups[i] or picture.path end
  counts.boxes, counts.crowds = counts.boxes + #r.boxes[n], counts.crowds + (crowd and #crowd.boxes or 0)
  counts.with_part = counts.with_part + (picture.part and 1 or 0)
end

-- Checks what a reader found, and makes the records of it.
function boxes.records(d, options, found)
  local o, faults = d.options, found.faults
  local r = { paths = {}, boxes = {}, box_labels = {}, tiles = o.tiles and {} or nil }
  local out = { record = r, title = found.title, root = found.root, said = found.said or {}, parts = {},
    boxes = { areas = {}, crowds = {}, sizes = {} }, keys = (found.groups or o.tiles) and {} or nil }
  local names, number_of = class_numbers(d, options, found)
  local counts = { boxes = 0, background = 0, crowds = 0, tiles = 0, empty = 0, pictures = 0, lost = 0, with_part = 0 }
  r.classes = names
  for _, i in ipairs(distinct(found, faults)) do
    local picture, before = found.pictures[i], faults.total
    local width, height = size_of(picture, faults)
    if width and is_of_size(picture, width, height, faults) then
      picture.width, picture.height = width, height
      set_classes(picture, names, number_of, found, faults)
      picture.boxes = right_ones(picture, width, height, faults)
      local spoilt = picture.spoilt or faults.total > before
      if #picture.boxes > 0 or not spoilt and is_background(picture, o, faults, counts) then
        for _, sample in ipairs(samples_of(picture, o, counts)) do add(out, sample, picture, i, found, counts) end
      end
    end
  end
  faults:settle(d.kind, o.faults == "skip", out.said)
  if #r.paths == 0 then util.failf("data.%s: %s holds no picture with labels", d.kind, found.root) end
  table.insert(out.said, 1, boxes_line(counts, names, r))
  if o.tiles then table.insert(out.said, 2, tiles.text(o.tiles, counts)) end
  if counts.with_part == 0 then out.parts = nil end
  if o.group and not found.groups then
    out.keys = split.keys { kind = d.kind, pattern = o.group, root = found.root, n = #r.paths,
      name = function(i) return r.paths[i] end }
  end
  return out
end

-- Once the parts are known: classes that no training picture shows cannot be learnt. Where pictures were left out by
-- hand (--data.limit) that is no fault of the labels.
function boxes.opened(d, built)
  local o, counts, none = d.options, {}, {}
  local names = built.train and built.train:classes() or {}
  for i = 1, built.train and built.train:count() or 0 do
    local _, labels = built.train:boxes(i)
    for _, k in ipairs(labels) do counts[k + 1] = (counts[k + 1] or 0) + 1 end
  end
  for k, name in ipairs(names) do
    if not counts[k] then none[#none + 1] = name end
  end
  if #none == 0 then return end
  local text = ("no training picture has a box of %s (classes without one: %d)"):format(util.first_few(none, 6), #none)
  if o.faults == "error" and not (o.limit or o.per_class) then
    util.failf("data.%s: %s; --data.classes names those that are to be learnt, --data.faults skip goes on without",
      d.kind, text)
  end
  return "skipped   " .. text
end

-- ---- what readers share ----

-- The part that a path below the root belongs to by the names of its folders; nil where none says.
function boxes.part_of(root, path)
  for word in split.below(root, path):gmatch "([^/]+)/" do
    local part = cells.PARTS[word:lower()] or cells.PARTS[word:lower():match "^(%a+)%d*$" or ""]
    if part then return part end
  end
end

-- Names of classes, one in each line.
function boxes.names_in(path)
  local list, n, empty = {}, 0, nil
  for line in (core.read_file(path):gsub("^\xEF\xBB\xBF", "") .. "\n"):gmatch "(.-)\r?\n" do
    n = n + 1
    if not line:find "%S" then empty = empty or n
    elseif empty then
      util.failf("%s:%d: an empty line before other names, and classes are counted by the lines; remove it", path, empty)
    else list[#list + 1] = cells.class(line, ("%s:%d"):format(path, n), "name") end
  end
  return util.distinct(list, path)
end

-- The root of a description, which must be there.
function boxes.root(d, what)
  local root = d.options.root
  if not root then util.failf("data.%s: root is missing, the folder with %s: --data.root DIR", d.kind, what) end
  local missing = util.missing(root, "folder") or not core.is_folder(root) and ("%s is a file"):format(root)
  if missing then util.failf("data.%s: %s; --data.root DIR names another", d.kind, missing) end
  return (root:gsub("(.)/+$", "%1"))
end

-- What another reader takes, where a folder holds that: "; classes.txt is there, which data.yolo reads"; else "".
local function first_below(root, ending)
  return (waves.below(root, function(name) return name:lower():sub(-#ending) == ending end))[1]
end
function boxes.of_another(kind, root)
  local it, reader
  if kind ~= "yolo" then
    for _, name in ipairs { "classes.txt", "obj.names", "data.yaml" } do
      if core.exists(root .. "/" .. name) then it, reader = root .. "/" .. name, "yolo" end
    end
  end
  if not it and kind ~= "voc" then it, reader = first_below(root, ".xml"), "voc" end
  if not it and kind ~= "coco" then it, reader = first_below(root, ".json"), "coco --data.annotations FILE" end
  return it and ("; there is %s: --data %s reads such files"):format(util.shown(it, 240), reader) or ""
end

-- What lies beside pictures and is none of the things that people put there: videos, pictures of other formats.
local BESIDE = {}
for _, ending in ipairs { "txt", "xml", "json", "csv", "yaml", "yml", "names", "data", "cache", "md", "html" } do
  BESIDE["." .. ending] = true
end

-- The pictures below a folder. Files that might be meant as such and are not read are a line of `said`.
function boxes.pictures_in(root, said)
  local list, passed = core.data.pictures(root)
  local others = {}
  for _, each in ipairs(passed) do
    if not BESIDE[each.ending:lower()] then others[#others + 1] = each end
  end
  local text = data_text.passed(others)
  if text then said[#said + 1] = "skipped   " .. text end
  return list
end

-- The name without its ending.
function boxes.stem(path) return (path:gsub("%.[^./]*$", "")) end

util.seal(boxes, "data.")
return boxes
