-- segment.lua - what a report says of class maps: figures with intervals, a table of the classes, the best and the
-- worst pictures of the test.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local maps = require "tlua.report.maps"
local intervals = require "tlua.report.intervals"
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

-- Bounds of f(sums) when the pictures are drawn anew: what other pictures of the same kind would have given.
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

local function with_pictures(run, list)
  local indices, out = {}, {}
  for i, each in ipairs(list) do indices[i] = each.index end
  local ok, images = pcall(overlays, run, indices)
  for i, each in ipairs(list) do
    out[i] = { image = ok and images[i] or nil, dice = each.dice, name = run.source
      and (run.source:name(each.index) or ""):match "[^/]*$" or nil }
  end
  return out
end

-- ---- all of it ----

-- run.seen is the task's collector; first: the first class that is in means.
function segment.gather(run, first)
  local seen, width = run.seen, run.task.width
  if not seen.pictures or #seen.pictures == 0 then return { metrics = { count = 0, names = run.names } } end
  local list = unpacked(seen, width)
  local m = maps.figures(maps.sums(seen.matrix, width), first)
  m.count, m.names, m.first, m.background = #list, run.names, first, run.task.options.background
  for _, key in ipairs { "dice", "iou", "accuracy" } do
    m[key .. "_interval"] = bounds(list, width, function(sums) return maps.figures(sums, first)[key] end)
  end
  m.targets, m.per_class = m.per_class, nil
  for k, row in ipairs(m.targets) do
    row.name = run.names[k] or tostring(k - 1)
    row.dice_interval = row.dice and bounds(list, width, function(sums)
      local both = sums[3 * k - 1] + sums[3 * k]
      return both > 0 and 2 * sums[3 * k - 2] / both or nil
    end)
  end
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
  return table.concat { tile("dice", over), tile("iou", "intersection over union, the same mean"),
    tile("accuracy", "of all pixels are right") }
end

local function class_table(m)
  local rows = { { "class", "Dice", "95 %", "IoU", "pixels", "seen" } }
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

local function gallery(title, list)
  local figures = {}
  for i, each in ipairs(list) do
    figures[i] = parts.shown(each.image, ("<div>%s</div>"):format(escape(each.name or "")),
      ('<div class="soft">Dice %s</div>'):format(parts.percent(each.dice)))
  end
  local html = parts.gallery(title, figures)
  local wide = "grid-template-columns:repeat(auto-fill,minmax(260px,1fr))"
  html = html:gsub('class="pictures"', ('class="pictures" style="%s"'):format(wide))
  return (html:gsub("<img ", '<img style="aspect-ratio:2" '))
end

function segment.page(run)
  local m = run.metrics
  return table.concat { "<h2>Classes</h2>", class_table(m),
    ('<p class="soft">Over all pixels of %s pictures at the size that the network sees. '):format(
      util.thousands(m.count)),
    ("Intervals: the pictures drawn anew, %d times at most.</p>"):format(DRAWS),
    gallery("Worst pictures: truth, and what was seen", run.worst), legend(m), gallery("Best pictures", run.best) }
end

-- What the results of a run keep.
function segment.summary(m)
  local list = {}
  for k, row in ipairs(m.targets or {}) do list[k] = { name = row.name, dice = row.dice, iou = row.iou } end
  return { dice = m.dice, interval = m.dice_interval, iou = m.iou, accuracy = m.accuracy, classes = list }
end

-- "mean Dice 83.1 % (95 %: 80.2 to 85.0) of 12 pictures; grey matter 82.0, white matter 84.2"
function segment.text_of_test(m, count)
  local list = {}
  for _, each in ipairs(m.classes or {}) do
    list[#list + 1] = ("%s %s"):format(each.name, each.dice and ("%.1f"):format(100 * each.dice) or "-")
  end
  return ("mean Dice %s, 95 %%: %s, of %s pictures; %s"):format(m.dice and ("%.1f %%"):format(100 * m.dice) or "-",
    interval_text(m.interval),
    util.thousands(count), table.concat(list, ", "))
end

return segment
