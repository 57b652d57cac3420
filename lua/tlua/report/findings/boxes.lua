-- boxes.lua - what a report says of boxes: COCO's figures with intervals, a table of the classes, precision over recall
-- and F1 over the confidence, what is taken for what, and pictures with what was missed and with false alarms.
local core = require "tlua.core"
local util = require "tlua.util"
local intervals = require "tlua.report.intervals"
local parts = require "tlua.report.parts"
local gallery = require "tlua.report.page.gallery"
local found = require "tlua.task.boxes.found"
local detect = {}
local escape, ops = parts.escape, core.ops

local MOST = 6 -- pictures of a gallery
local LINES = 6 -- of a chart: the classes with the most boxes
local POINTS = 200 -- of a line
local TABLE = 20 -- classes of a table of what is taken for what
local DRAWS, WORK = 200, 4e6 -- of the bootstrap; fewer where there are many boxes
local LONGEST = 960 -- pixels of a picture on the page: twelve as a phone takes them would be a page of 200 MB
local HIT, MISSED, FALSE = 7, 0, 10 -- colours: green, red, yellow (src/draw/boxes.c)

-- ---- figures ----

local function known(v) return v == v and v or nil end

-- Bounds of the figures when the pictures are drawn anew.
local function bounds(seen)
  local n, boxes = seen.meter:pictures(), 0
  for _, each in ipairs(seen.pictures) do boxes = boxes + #each.boxes + #each.truth end
  local draws, kept, out = math.max(50, math.min(DRAWS, WORK // (boxes + 1))), {}, {}
  for key, name in pairs { map = "ap", map_50 = "ap_50" } do
    local k = 0
    local low, high = intervals.bootstrap(n, function(indices) -- the same draws for both
      k = k + 1
      kept[k] = kept[k] or seen.meter:drawn(indices):figures()
      return kept[k][name]
    end, { draws = math.tointeger(draws) })
    out[key] = low and { low, high } or nil
  end
  return out, math.tointeger(draws)
end

-- At most `most` points of a curve, the first and the last among them.
local function thinned(list, most)
  if #list <= most then return list end
  local out = {}
  for i = 1, most do out[i] = list[math.floor((i - 1) * (#list - 1) / (most - 1) + 0.5) + 1] end
  return out
end

-- Precision over recall, and F1 over the confidence.
local function curves_of(c)
  local pr, f1 = {}, {}
  for i, score in ipairs(c.scores) do
    pr[i], f1[i] = { c.recall[i], c.precision[i] }, { score, c.f1[i] }
  end
  return thinned(pr, POINTS), thinned(f1, POINTS)
end

local function class_rows(seen, names, f)
  local best, rows = seen.meter:best(), {}
  for k, name in ipairs(names) do
    local each, at = f.classes[k], best.classes[k]
    rows[k] = { name = name, truths = each.truths, found = each.found, map = known(each.ap), map_50 = known(each.ap_50),
      confidence = at.confidence, f1 = at.f1, precision = at.precision, recall = at.recall }
    rows[k].pr, rows[k].by_confidence = curves_of(seen.meter:curve(k - 1))
  end
  return rows, best
end

-- ---- pictures ----

-- A picture (H, W, 3) uint8 no longer than LONGEST, and how many times smaller it has become: means of squares of
-- pixels, rows of squares by turns, since all at once would be a lot of memory. What is left over at the edges is cut.
function detect.shrunk(x)
  local h, w = x:shape(1), x:shape(2)
  local f = math.tointeger(math.max(h, w) // LONGEST + (math.max(h, w) % LONGEST > 0 and 1 or 0))
  if f <= 1 or math.min(h, w) < f then return x, 1 end
  local high, wide, strips = h // f, w // f, {}
  for top = 0, high - 1, 64 do
    local n = math.min(64, high - top)
    local rows = ops.slice(ops.slice(x, 1, top * f, n * f), 2, 0, wide * f):clone():to "float32"
    strips[#strips + 1] = rows:reshape(n, f, wide, f * 3):sum { axes = { 2 } }:reshape(n, wide, f, 3):sum { axes = { 3 } }
  end
  strips[#strips + 1] = { axis = 1 }
  return (ops.concat(table.unpack(strips)) * (1 / (f * f)) + 0.5):to "uint8", f
end

-- The picture with what was found, what was missed and what is no such thing.
local function drawn(run, i, f)
  local scope <close> = core.scope()
  local each, list, names = run.seen.pictures[i], {}, run.names
  local picture = run.source:read(run.seen.indices[i]):to "uint8"
  if picture:shape(3) == 1 then picture = picture:expand(picture:shape(1), picture:shape(2), 3):clone() end
  local times
  picture, times = detect.shrunk(picture)
  local function add(b, colour, text)
    list[#list + 1] = { b[1] / times, b[2] / times, b[3] / times, b[4] / times, colour, text }
  end
  for _, k in ipairs(f.hits) do
    add(each.boxes[k], HIT, ("%s %.2f"):format(names[each.labels[k] + 1], each.scores[k]))
  end
  for _, k in ipairs(f.wrong) do
    add(each.boxes[k], FALSE, ("%s %.2f?"):format(names[each.labels[k] + 1], each.scores[k]))
  end
  for _, k in ipairs(f.missed) do add(each.truth[k], MISSED, names[each.truth_labels[k] + 1] .. " missed") end
  return parts.picture(core.data.boxed(picture, list, found.stroke(picture:shape(2), picture:shape(1))))
end

-- Pictures in the order of `value`, the highest first, those without any left out.
local function gallery_of(run, fates, value, words)
  local order, values, out = {}, {}, {}
  for i, f in ipairs(fates) do
    local v = value(f)
    if v > 0 then order[#order + 1], values[#values + 1] = i, v end
  end
  for n, place in ipairs(util.descending(values)) do
    if n > MOST then break end
    local i = order[place]
    local ok, image = pcall(drawn, run, i, fates[i])
    out[n] = gallery.entry(run, run.seen.indices[i], { image = ok and image or nil,
      missing = not ok and image or nil, words = words(fates[i]) })
  end
  return out
end

local function galleries(run, confidence)
  if not run.source then return {}, {} end
  local fates = {}
  for i = 1, #run.seen.pictures do fates[i] = found.fate(run.seen, i, confidence) end
  return gallery_of(run, fates, function(f) return #f.missed end,
      function(f) return ("%d missed, %d found"):format(#f.missed, #f.hits) end),
    gallery_of(run, fates, function(f) return f.surest end,
      function(f) return ("%d false, the surest %.2f"):format(#f.wrong, f.surest) end)
end

-- ---- all of it ----

-- run.seen is the task's collector.
function detect.gather(run)
  local seen, names = run.seen, run.names
  if not seen.pictures or #seen.pictures == 0 then return { metrics = { count = 0, names = names } } end
  local f, m = seen.meter:figures(), { count = #seen.pictures, names = names, boxes = 0 }
  for key, name in pairs(found.FIGURES) do m[key] = known(f[name]) end
  local around, draws = bounds(seen)
  m.map_interval, m.map_50_interval, m.draws = around.map, around.map_50, draws
  local best
  m.targets, best = class_rows(seen, names, f)
  for _, row in ipairs(m.targets) do m.boxes = m.boxes + row.truths end
  m.best = { confidence = best.confidence, f1 = best.f1, precision = best.precision, recall = best.recall }
  m.confidences, m.chosen = found.confidences(run.task, best.confidence), run.task.confidences ~= nil
  m.confusion = seen.meter:confusion { confidence = m.confidences, iou = found.IOU }
  local missed, wrong = galleries(run, m.confidences)
  return { metrics = m, missed = missed, wrong = wrong }
end

local between = intervals.between

function detect.tiles(run)
  local m = run.metrics
  local out = {
    parts.tile(parts.percent(m.map), ("mAP, IoU 0.5 to 0.95 (95\u{A0}%%: %s)"):format(between(m.map_interval))),
    parts.tile(parts.percent(m.map_50), ("mAP50 (95\u{A0}%%: %s)"):format(between(m.map_50_interval))),
    parts.tile(parts.percent(m.recall), "AR100: recall with at most 100 boxes a picture, mean over the same IoUs") }
  return table.concat(out)
end

local function number(v) return v and ("%.2f"):format(v) or "–" end

local function class_table(m)
  local rows = { { "class", "boxes", "AP", "AP50", "confidence", "precision", "recall", "F1" } }
  for k, row in ipairs(m.targets) do
    rows[k + 1] = { row.name, util.thousands(row.truths), parts.percent(row.map), parts.percent(row.map_50),
      number(row.confidence), parts.percent(row.precision), parts.percent(row.recall), parts.percent(row.f1) }
  end
  return parts.table(rows)
end

-- Classes by how many boxes they have, the most first.
local function largest(m)
  local counts, list = {}, {}
  for k, row in ipairs(m.targets) do counts[k] = row.truths end
  for n, k in ipairs(util.descending(counts)) do
    if n <= LINES and counts[k] > 0 then list[#list + 1] = m.targets[k] end
  end
  return list
end

local function charts_of(m)
  local pr, f1 = {}, {}
  for i, row in ipairs(largest(m)) do
    pr[i] = { name = row.name, points = row.pr, plain = true }
    f1[i] = { name = row.name, points = row.by_confidence, plain = true }
  end
  local unit = { 0, 1 }
  local few = #m.targets > #pr and (", the %d classes with the most boxes"):format(#pr) or ""
  local function figure(title, lines, x, y)
    return parts.figure(title .. few, lines, { x = x, y = y, x_range = unit, y_range = unit })
  end
  return figure("Precision and recall", pr, "recall", "precision") .. figure("F1 by confidence", f1, "confidence", "F1")
end

local function confusion_table(m)
  local n, rows = #m.names, { { "there is \\ found" } }
  for k = 1, n do rows[1][k + 1] = m.names[k] end
  rows[1][n + 2] = "nothing"
  for k = 1, n + 1 do
    rows[k + 1] = { m.names[k] or "nothing" }
    for j = 1, n + 1 do rows[k + 1][j + 1] = (k > n and j > n) and "" or util.thousands(m.confusion[k][j]) end
  end
  return parts.table(rows)
end

-- Of many classes what is mistaken most.
local function confusion_list(m)
  local list, rows = {}, { { "there is", "found", "boxes" } }
  for k, row in ipairs(m.confusion) do
    for j, v in ipairs(row) do
      if k ~= j and v > 0 then list[#list + 1] = { m.names[k] or "nothing", m.names[j] or "nothing", v } end
    end
  end
  table.sort(list, function(a, b)
    if a[3] ~= b[3] then return a[3] > b[3] end
    return a[1] .. "\0" .. a[2] < b[1] .. "\0" .. b[2]
  end)
  for i = 1, math.min(TABLE, #list) do rows[i + 1] = { list[i][1], list[i][2], util.thousands(list[i][3]) } end
  return parts.table(rows)
end

local LEGEND = '<p class="soft">Green: found, with the confidence. Red, “missed”: there and not found. Yellow, “?”: '
  .. "a false alarm.</p>"

local function gallery_of(run, title, list, legend)
  local figures = {}
  for i, each in ipairs(list or {}) do
    local line = ('<div class="soft">%s</div>'):format(escape(each.words))
    if not each.row then line = ("<div>%s</div>"):format(escape(each.name or "")) .. line end -- of an older tlua
    figures[i] = gallery.figure(run, each, each.words, { { "name", each.name } }, line)
  end
  return gallery.of(title, figures, "pictures boxed", { { "name", "name" } }, legend)
end

function detect.charts(run) return charts_of(run.metrics) end

function detect.page(run)
  local m = run.metrics
  return table.concat { "<h2>Classes</h2>", class_table(m),
    ('<p class="soft">%s in %s. AP is COCO\'s, the mean over IoUs from 0.5 to 0.95, and mAP its mean over the classes; '
      .. "precision, recall and F1 at an IoU of 0.5 and the confidence where F1 is highest%s. Intervals: the pictures "
      .. "drawn anew %d times.</p>"):format(util.counted(m.boxes, "box", "boxes"), util.counted(m.count, "picture"),
      m.chosen and ", on these pictures; what predict uses was chosen on the validation" or " on these pictures",
      m.draws),
    "<h2>What is taken for what</h2>", #m.names <= TABLE and confusion_table(m) or confusion_list(m),
    gallery_of(run, "What was missed", run.missed, LEGEND .. gallery.list_note(run)),
    gallery_of(run, "False alarms, the surest first", run.wrong, LEGEND) }
end

-- What the results of a run keep.
function detect.summary(m)
  local list = {}
  for k, row in ipairs(m.targets or {}) do
    list[k] = { name = row.name, map = row.map, map_50 = row.map_50, boxes = row.truths, confidence = row.confidence }
  end
  return { map = m.map, interval = m.map_interval, map_50 = m.map_50, interval_50 = m.map_50_interval,
    map_75 = m.map_75, boxes = m.boxes, classes = list }
end

local function share(v) return v and ("%.1f %%"):format(100 * v) or "-" end

-- "mAP 41.2 % (95 %: 38.0 to 44.1), mAP50 63.0 % (...) of 1,761 boxes in 231 pictures; aphid 40.1, snail 52.0".
function detect.text_of_test(_, m, seen)
  local list = {}
  for k, each in ipairs(m.classes or {}) do
    list[k] = ("%s %s"):format(each.name, each.map and ("%.1f"):format(100 * each.map) or "-")
  end
  return ("mAP %s (95 %%: %s), mAP50 %s (95 %%: %s) of %s in %s; %s"):format(share(m.map), between(m.interval),
    share(m.map_50), between(m.interval_50), util.counted(m.boxes or 0, "box", "boxes"),
    util.counted(seen:count(), "picture"), util.first_few(list, 20))
end

return detect
