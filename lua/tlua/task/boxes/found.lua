-- found.lua - boxes that were found: beside those that are there, in words, as JSON and tables, and as files for people
-- and for tools that mend labels. Boxes are left, top, right, bottom.
local core = require "tlua.core"
local util = require "tlua.util"
local placed = require "tlua.task.boxes.placed"
local written = require "tlua.task.written"
local found = {}

-- The figures of a test: our names and those of core.detect's meter.
found.FIGURES = { map = "ap", map_50 = "ap_50", map_75 = "ap_75", map_small = "ap_small", map_medium = "ap_medium",
  map_large = "ap_large", recall = "ar_100" }

-- ---- tests ----

-- Boxes of the batch's picture i that are there, in pixels of the input.
local function truth_of(batch, i)
  local from, to = batch.boxes_offsets[i] + 1, batch.boxes_offsets[i + 1]
  if from > to then return {}, {} end
  batch.truth = batch.truth or { boxes = batch.boxes:tolist(), labels = batch.box_labels:tolist() }
  return table.move(batch.truth.boxes, from, to, 1, {}), table.move(batch.truth.labels, from, to, 1, {})
end

-- What labels say of a batch's picture i in its own pixels, where its size is known: {boxes, labels, areas, crowd,
-- width, height}. Those of a crowd come last.
local function known_of(batch, i)
  local d = batch.source and batch.data and batch.data.boxes
  if not d then return nil end
  local at = batch.source:origin(batch.indices[i])
  local size, crowd = d.sizes[at], d.crowds[at]
  if not size then return nil end
  local list, labels = batch.source:boxes(batch.indices[i])
  local out = { boxes = list, labels = labels, areas = { table.unpack(d.areas[at]) }, crowd = {}, width = size[1],
    height = size[2] }
  for k = 1, #list do out.crowd[k] = false end
  for k = 1, crowd and #crowd.boxes or 0 do
    local n = #list + 1
    list[n], labels[n], out.areas[n], out.crowd[n] = crowd.boxes[k], crowd.labels[k], crowd.areas[k], true
  end
  return out
end

-- What was found in picture i of a batch (`each`: boxes, scores, labels in pixels of the input) beside what is there,
-- as core.detect's meter takes it: in pixels of the picture where its size is known (known: true), else of the input.
function found.beside(each, batch, i)
  local out = { boxes = each.boxes, scores = each.scores, labels = each.labels }
  local known = known_of(batch, i)
  if not known then
    out.truth, out.truth_labels = truth_of(batch, i)
    return out
  end
  local back = placed.back(batch.data.preprocessing, known.width, known.height)
  out.boxes = {}
  for k, b in ipairs(each.boxes) do out.boxes[k] = back(b) end
  out.truth, out.truth_labels, out.areas, out.crowd = known.boxes, known.labels, known.areas, known.crowd
  return out
end

-- Those of `each` whose score is `least(label)` at least.
function found.above(each, least)
  local out = { boxes = {}, scores = {}, labels = {} }
  for k, score in ipairs(each.scores) do
    if score >= least(each.labels[k]) then
      local n = #out.scores + 1
      out.boxes[n], out.scores[n], out.labels[n] = each.boxes[k], score, each.labels[k]
    end
  end
  return out
end

found.IOU = 0.5 -- at which a box has found another

-- From which confidence on boxes of each class count: what was chosen, else `best`, where F1 of all classes together is
-- highest, else the option's.
function found.confidences(t, best)
  local list = {}
  for k = 1, t.width do list[k] = t.confidences and t.confidences[k] or best or t.options.confidence end
  return list
end

-- What became of the boxes of picture i of a test (`seen`: the collector): numbers of truths that were missed, of boxes
-- that are right and of boxes that are not, by falling score; and the highest score of these.
function found.fate(seen, i, confidence)
  local of_found, of_truth = seen.meter:pairs(i, { confidence = confidence, iou = found.IOU })
  local each, out = seen.pictures[i], { missed = {}, wrong = {}, hits = {}, surest = 0 }
  for k, v in ipairs(of_truth) do
    if v == 0 then out.missed[#out.missed + 1] = k end
  end
  for k, v in ipairs(of_found) do
    local right = v and v > 0 and each.truth_labels[v] == each.labels[k]
    if right then out.hits[#out.hits + 1] = k
    elseif v and v ~= -1 then
      out.wrong[#out.wrong + 1] = k
      out.surest = math.max(out.surest, each.scores[k])
    end
  end
  return out
end

-- ---- answers ----

-- An answer in pixels of the picture at `path`. o: info of the model file; source and index: where there is more to a
-- picture than a path.
function found.place(_, answer, path, o, index)
  local width, height
  if o.source then
    local picture = o.source:read(index)
    width, height = picture:shape(2), picture:shape(1)
  else width, height = core.image_size(path) end
  local back = placed.back(o.info.preprocessing, width, height)
  for k, b in ipairs(answer.boxes) do answer.boxes[k] = back(b) end
  answer.width, answer.height = width, height
end

local function name_of(t, label) return t.names and t.names[label + 1] or ("class %d"):format(label) end
local function pixels(b) return ("%.0f, %.0f, %.0f, %.0f"):format(b[1], b[2], b[3], b[4]) end

-- "2 aphid, 1 snail   surest: aphid 0.93 at 12, 40, 88, 120": counts, and the surest box.
function found.text(t, answer, _)
  if #answer.boxes == 0 then return "nothing" end
  local counts, order, words = {}, {}, {}
  for _, label in ipairs(answer.labels) do
    if not counts[label] then order[#order + 1] = label end
    counts[label] = (counts[label] or 0) + 1
  end
  local function shown(label) return util.shown(name_of(t, label)) end -- no codes of a terminal out of a file
  for i, label in ipairs(order) do words[i] = ("%d %s"):format(counts[label], shown(label)) end
  return ("%s   surest: %s %.2f at %s%s"):format(table.concat(words, ", "), shown(answer.labels[1]),
    answer.scores[1], pixels(answer.boxes[1]), answer.file and "   " .. answer.file or "")
end

local function rounded(v, places) return tonumber(("%%.%df"):format(places):format(v)) end

function found.answer(t, answer, _)
  local list = {}
  for k, b in ipairs(answer.boxes) do
    list[k] = { label = name_of(t, answer.labels[k]), score = rounded(answer.scores[k], 6), left = rounded(b[1], 2),
      top = rounded(b[2], 2), right = rounded(b[3], 2), bottom = rounded(b[4], 2) }
  end
  return { width = answer.width, height = answer.height, boxes = list, picture = answer.file }
end

function found.columns(_, _) return { "label", "score", "left", "top", "right", "bottom" } end

-- A line of the table for each box; one without boxes for a picture that shows nothing.
function found.rows(t, answer, _)
  local out = {}
  for k, b in ipairs(answer.boxes) do
    out[k] = { name_of(t, answer.labels[k]), ("%.6f"):format(answer.scores[k]), ("%.2f"):format(b[1]),
      ("%.2f"):format(b[2]), ("%.2f"):format(b[3]), ("%.2f"):format(b[4]) }
  end
  return #out > 0 and out or { {} }
end
function found.fields(t, answer, _) return found.rows(t, answer)[1] end

-- ---- files ----

-- Boxes for core.data.boxed, the surest on top.
function found.drawn(t, answer)
  local list = {}
  for k = #answer.boxes, 1, -1 do
    local b = answer.boxes[k]
    list[#list + 1] = { b[1], b[2], b[3], b[4], answer.labels[k],
      ("%s %.2f"):format(name_of(t, answer.labels[k]), answer.scores[k]) }
  end
  return list
end

-- Lines and points that can be seen at this size.
function found.stroke(width, height)
  local side = math.max(width, height)
  return { line = math.max(2, side // 400), size = math.max(1, side // 500) }
end

-- A line of YOLO's form for each box: number of the class, centre and size as shares of the picture.
local function yolo(answer)
  local out, w, h = {}, answer.width, answer.height
  for k, b in ipairs(answer.boxes) do
    out[k] = ("%d %.6f %.6f %.6f %.6f\n"):format(answer.labels[k], (b[1] + b[3]) / 2 / w, (b[2] + b[4]) / 2 / h,
      (b[3] - b[1]) / w, (b[4] - b[2]) / h)
  end
  return table.concat(out)
end

-- Adds a picture to what becomes predictions.json.
local function add_coco(o, path, answer)
  local c = o.coco or { images = {}, annotations = {} }
  o.coco = c
  local id = #c.images + 1
  c.images[id] = { id = id, file_name = path, width = answer.width, height = answer.height }
  for k, b in ipairs(answer.boxes) do
    local w, h = b[3] - b[1], b[4] - b[2]
    c.annotations[#c.annotations + 1] = { id = #c.annotations + 1, image_id = id, category_id = answer.labels[k] + 1,
      bbox = { rounded(b[1], 2), rounded(b[2], 2), rounded(w, 2), rounded(h, 2) }, area = rounded(w * h, 2),
      iscrowd = 0, score = rounded(answer.scores[k], 6) }
  end
end

-- Refuses a folder whose labels are those of the picture: somebody drew them.
local function check_labels(o, path)
  local before = path:match "^(.*)/[^/]*$" or "."
  local above = before:match "^(.*/)images$" or before:match "^(.*/)images/"
  local rest = before:match "^.*/?images(.*)$"
  local root = above or (before == "images" or before:find "^images/") and ""
  local labels = root and rest and root .. "labels" .. rest
  for _, folder in ipairs { before, labels or before } do
    if core.same_file(o.to .. "/labels", folder) then
      util.failf("predict: %s/labels holds the labels of the pictures themselves, and what was found would take their " ..
        "place: --to another folder", o.to)
    end
  end
end

-- Writes NAME.png with the boxes on it, and labels/NAME.txt in YOLO's form, below o.to.
function found.emit(t, answer, path, o, index)
  local scope <close> = core.scope()
  o.written = o.written or { classes = true } -- labels/classes.txt has the names
  written.check(o, path, "a picture with boxes")
  check_labels(o, path)
  local name = written.name(o, path)
  local picture = o.source and o.source:read(index) or core.image_read(path, 3)
  local to = ("%s/%s.png"):format(o.to, name)
  core.image_write(to, core.data.boxed(picture:to "uint8", found.drawn(t, answer),
    found.stroke(answer.width, answer.height)))
  core.mkdirs(o.to .. "/labels")
  core.write_file(("%s/labels/%s.txt"):format(o.to, name), yolo(answer))
  add_coco(o, path, answer)
  o.doubts = o.doubts or {}
  o.doubts[#o.doubts + 1] = { path, answer.doubt or 0 }
  return to
end

-- Pictures in the order in which labels would teach most: the network is least decided about the first.
local function label_next(list)
  table.sort(list, function(a, b)
    if a[2] ~= b[2] then return a[2] > b[2] end
    return a[1] < b[1]
  end)
  local out = { "file,doubt" }
  for i, each in ipairs(list) do out[i + 1] = ("%s,%.4f"):format(util.csv(each[1]), each[2]) end
  return table.concat(out, "\n") .. "\n"
end

-- The folder that all pictures of a list of COCO's images lie in, with its slash; "" where that is the current one.
local function common_folder(images)
  local folder
  for _, each in ipairs(images) do
    local own = each.file_name:match "^(.*/)[^/]*$" or ""
    folder = folder or own
    while folder ~= "" and own:sub(1, #folder) ~= folder do folder = folder:match "^(.*/)[^/]+/$" or "" end
  end
  return folder
end

-- Once all pictures were asked about: predictions.json in COCO's form, labels/classes.txt, which tools that mend labels
-- want, and label_next.csv.
function found.finish(t, o)
  if not o.coco then return end
  local names = {}
  for k = 1, t.width do names[k] = name_of(t, k - 1) end
  o.coco.categories = {}
  local folder = common_folder(o.coco.images)
  for _, each in ipairs(o.coco.images) do each.file_name = each.file_name:sub(#folder + 1) end
  for k, name in ipairs(names) do o.coco.categories[k] = { id = k, name = name } end
  core.write_file(o.to .. "/predictions.json", core.json_encode(o.coco) .. "\n")
  core.write_file(o.to .. "/label_next.csv", label_next(o.doubts))
  core.write_file(o.to .. "/labels/classes.txt", table.concat(names, "\n") .. "\n")
end

util.seal(found, "")
return found
