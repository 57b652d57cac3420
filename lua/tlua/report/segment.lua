-- segment.lua - what a report says of class maps: figures with intervals, a table of the classes, the best and the
-- worst pictures of the test.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local maps = require "tlua.report.maps"
local intervals = require "tlua.report.intervals"
local volumes = require "tlua.report.volumes"
local gallery = require "tlua.report.page.gallery"
local segment = {}
local escape = parts.escape

local MOST = 6 -- pictures of a gallery
local DRAWS = 1000 -- of the bootstrap; fewer where there is much to add up
local WORK = 2e7

-- ---- figures ----

-- The sums of each picture as they were collected.
local function unpacked(seen, width)
  local list, format = {}, ("I4"):rep(3 * width)
  for i, text in ipairs(seen.pictures) do
    list[i] = { string.unpack(format, text) }
    list[i][3 * width + 1] = nil -- where unpack stopped
  end
  return list
end

-- The sums of each patient's pictures together, or of each picture where it is its own.
local function of_groups(list, groups, width)
  local out = {}
  for k, group in ipairs(groups) do
    local row = {}
    for j = 1, 3 * width do row[j] = 0 end
    for _, i in ipairs(group) do
      for j = 1, 3 * width do row[j] = row[j] + list[i][j] end
    end
    out[k] = row
  end
  return out
end

-- Bounds of f(sums) when the pictures, or patients, are drawn anew: what others of the same kind would have given.
local function bounds(list, width, f)
  local draws = math.max(200, math.min(DRAWS, WORK // (#list * 3 * width + 1)))
  local low, high = intervals.bootstrap(#list, function(indices)
    local sums = {}
    for k = 1, 3 * width do sums[k] = 0 end
    for _, i in ipairs(indices) do
      local row = list[i]
      for k = 1, 3 * width do sums[k] = sums[k] + row[k] end
    end
    return f(sums) or 0 / 0
  end, { draws = math.tointeger(draws) })
  return low and { low, high } or nil
end

-- ---- pictures ----

-- Pictures of a source with the truth over them on the left and what was seen on the right, in the order of `list`
-- (numbers of the source).
local function overlays(run, list)
  local s, out = run.session, {}
  if not s or #list == 0 then return out end
  local guard <close> = core.no_grad()
  local part, t = run.part or "test", run.task
  local pipeline = s.data[part .. "_pipeline"] or s.data.test_pipeline
  local loader <close> = core.data.loader(core.data.subset(run.source, list), pipeline,
    { batch = 1, threads = 1, seed = 0 })
  loader:start(1)
  for i = 1, #list do
    local scope <close> = core.scope()
    local x, _, _, _, _, more = loader:next()
    if not x or not more or not more.mask then break end
    local seen = s.model(x):argmax(-1)
    local h, w = x:shape(2), x:shape(3)
    local picture = maps.picture(x:reshape(h, w, x:shape(4)), s.data.preprocessing)
    local function over(map)
      return maps.overlay(picture, map:reshape(h, w), t.width, t.options.background):to "float32"
    end
    out[i] = parts.picture(core.ops.concat(over(more.mask), over(seen), { axis = 2 }):to "uint8")
  end
  return out
end

-- The pictures in the order of their own Dice: the worst, the best. Those without any class but the background have
-- none.
local function extremes(seen, list, first)
  local values, order = {}, {}
  for i, sums in ipairs(list) do
    local dice = maps.figures(sums, first).dice
    if dice then values[#values + 1], order[#order + 1] = dice, i end
  end
  local best, worst, n = {}, {}, #order
  local places = util.descending(values)
  local function add(to, place) to[#to + 1] = { index = seen.indices[order[place]], dice = values[place] } end
  for k = 1, math.min(MOST, (n + 1) // 2) do add(best, places[k]) end
  for k = 1, math.min(MOST, n // 2) do add(worst, places[n + 1 - k]) end
  return best, worst
end

local function is_of_volumes(run)
  return run.session ~= nil and run.session.data.input ~= nil and run.session.data.input.kind == "volume"
end

local function with_pictures(run, list)
  local indices, out = {}, {}
  for i, each in ipairs(list) do indices[i] = each.index end
  local ok, shown
  if is_of_volumes(run) then ok, shown = pcall(volumes.pictures, run, indices)
  else ok, shown = pcall(overlays, run, indices) end
  for i, each in ipairs(list) do
    out[i] = type(shown) == "table" and type(shown[i]) == "table" and shown[i]
      or { image = ok and shown[i] or nil, missing = not ok and shown or nil }
    out[i].dice = each.dice
    gallery.entry(run, each.index, out[i])
  end
  return out
end

-- ---- all of it ----

-- run.seen is the task's collector; first: the first class that is in means.
function segment.gather(run, first)
  local seen, width = run.seen, run.task.width
  if not seen.pictures or #seen.pictures == 0 then return { metrics = { count = 0, names = run.names } } end
  local list = unpacked(seen, width)
  local groups, by_patient = volumes.groups(run.session, run.part or "test", seen.indices)
  local drawn = of_groups(list, groups, width)
  local m = maps.figures(maps.sums(seen.matrix, width), first)
  m.count, m.names, m.first, m.background = #list, run.names, first, run.task.options.background
  m.patients = by_patient and #groups or nil
  for _, key in ipairs { "dice", "iou", "accuracy" } do
    m[key .. "_interval"] = bounds(drawn, width, function(sums) return maps.figures(sums, first)[key] end)
  end
  m.targets, m.per_class = m.per_class, nil
  for k, row in ipairs(m.targets) do
    row.name = run.names[k] or tostring(k - 1)
    row.dice_interval = row.dice and bounds(drawn, width, function(sums)
      local both = sums[3 * k - 1] + sums[3 * k]
      return both > 0 and 2 * sums[3 * k - 2] / both or nil
    end)
  end
  if is_of_volumes(run) then volumes.gather(run, m, list, groups) end
  local best, worst = extremes(seen, list, first)
  return { metrics = m, worst = with_pictures(run, worst), best = with_pictures(run, best) }
end

local interval_text = intervals.between

function segment.tiles(run)
  local m = run.metrics
  local function tile(key, what)
    return parts.tile(parts.percent(m[key]), ("%s (95\u{A0}%%: %s)"):format(what, interval_text(m[key .. "_interval"])))
  end
  local over = m.first > 1 and "Dice, mean over classes without the background" or "Dice, mean over classes"
  local out = { tile("dice", over .. (m.cases and ", over all voxels" or "")) }
  if m.cases then
    out[2] = parts.tile(parts.percent(m.by_volume.mean), ("Dice, mean over %s (95\u{A0}%%: %s)"):format(
      util.counted(m.volumes, "volume"), interval_text(m.by_volume.interval)))
  end
  out[#out + 1] = tile("iou", "intersection over union, the same mean" .. (m.cases and ", over all voxels" or ""))
  out[#out + 1] = tile("accuracy", m.cases and "of all voxels are right" or "of all pixels are right")
  return table.concat(out)
end

local function class_table(m)
  local rows = { { "class", "Dice", "95 %", "IoU", m.cases and "voxels" or "pixels", "seen" } }
  for k, row in ipairs(m.targets) do
    rows[#rows + 1] = { row.name, parts.percent(row.dice), interval_text(row.dice_interval), parts.percent(row.iou),
      util.thousands(row.pixels), util.thousands(row.seen), class = k < m.first and "soft" or nil }
  end
  return parts.table(rows)
end

-- What the colours of overlays mean.
local function legend(m)
  local out = {}
  for k, name in ipairs(m.names) do
    local colour = maps.colour(k - 1, m.background)
    if colour then
      out[#out + 1] = ('<span class="key"><i style="background:%s;height:10px"></i>%s</span>'):format(colour,
        escape(name))
    end
  end
  return ('<p class="legend">%s</p>'):format(table.concat(out))
end

local function gallery_of(run, title, list, note)
  local figures = {}
  for i, each in ipairs(list) do
    figures[i] = gallery.figure(run, each, ("truth, and what was seen, Dice %s"):format(parts.percent(each.dice)),
      { { "dice", each.dice and ("%.6f"):format(each.dice) }, { "name", each.name } },
      ("<div>Dice %s</div>"):format(parts.percent(each.dice)))
  end
  local html = gallery.of(title, figures, "pictures two", { { "dice", "Dice" }, { "name", "name" } }, note)
  return html
end

-- The page of volumes.
local function volume_page(run)
  local m = run.metrics
  return table.concat { "<h2>Classes</h2>", volumes.class_table(m), class_table(m),
    ('<p class="soft">Over all voxels of %s on the grid that the network sees. %s</p>'):format(
      util.counted(m.volumes, "volume"), escape(volumes.caution(m))),
    volumes.case_table(m), volumes.gallery("Worst volumes: what is there, and below it what was seen", run.worst),
    legend(m), ('<p class="soft">%s</p>'):format(escape(volumes.WORDS)), volumes.gallery("Best volumes", run.best) }
end

function segment.page(run)
  local m = run.metrics
  if m.cases then return volume_page(run) end
  return table.concat { "<h2>Classes</h2>", class_table(m),
    ('<p class="soft">Over all pixels of %s pictures at the size that the network sees. '):format(
      util.thousands(m.count)),
    ("Intervals: the %s drawn anew, %d times at most.</p>"):format(m.patients and "patients" or "pictures", DRAWS),
    gallery_of(run, "Worst pictures: truth, and what was seen", run.worst, gallery.list_note(run)), legend(m),
    gallery_of(run, "Best pictures", run.best) }
end

-- What the results of a run keep.
function segment.summary(m)
  local list = {}
  for k, row in ipairs(m.targets or {}) do
    list[k] = { name = row.name, dice = row.dice, iou = row.iou, hausdorff = row.hausdorff and row.hausdorff.mean,
      volume_error = row.volume_error and row.volume_error.mean }
  end
  return { dice = m.dice, interval = m.dice_interval, iou = m.iou, accuracy = m.accuracy, classes = list,
    by_volume = m.by_volume and m.by_volume.mean, many = m.cases and "volumes" or nil }
end

-- "mean Dice 83.1 % (95 %: 80.2 to 85.0) of 12 pictures; grey matter 82.0, white matter 84.2"; of volumes also "Dice by
-- volume 82.0 %; Hausdorff 95 of grey matter 2.1 mm".
function segment.text_of_test(m, count)
  local list, far = {}, {}
  for _, each in ipairs(m.classes or {}) do
    list[#list + 1] = ("%s %s"):format(each.name, each.dice and ("%.1f"):format(100 * each.dice) or "-")
    if each.hausdorff then far[#far + 1] = ("%s %.1f mm"):format(each.name, each.hausdorff) end
  end
  local text = ("mean Dice %s, 95 %%: %s, of %s %s; %s"):format(m.dice and ("%.1f %%"):format(100 * m.dice) or "-",
    interval_text(m.interval), util.thousands(count), m.many or "pictures", table.concat(list, ", "))
  if not m.many then return text end
  return ("%s; by volume %s; Hausdorff 95: %s"):format(text, m.by_volume and ("%.1f %%"):format(100 * m.by_volume)
    or "-", #far > 0 and table.concat(far, ", ") or "-")
end

return segment
