-- volumes.lua - what a report says of segmented volumes beside report/segment.lua's figures: for each volume Dice,
-- Hausdorff's distance of 95 % and the error of the volume of each class, the worst first; and three slices of those
-- that are shown, with the contours of what is there and what was seen.
local core = require "tlua.core"
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local maps = require "tlua.report.maps"
local planes = require "tlua.report.planes"
local windows = require "tlua.task.windows"
local intervals = require "tlua.report.intervals"
local volumes = { WORDS = planes.WORDS }
local escape = parts.escape

local IGNORED = 255
local FEW = 10 -- volumes, or patients, below which an interval says little
local ROWS = 100 -- of the table of volumes

-- ---- one volume ----

local function pipeline_of(s, part)
  return s.data[part .. "_pipeline"] or s.data.test_pipeline
end

-- Where sample `index` of a part lies, as the network sees it: {size =, axes =, spacing =, affine =}.
local function place_of(s, part, index)
  local source = part == "train" and s.data.train or s.data[part] or s.data.test
  return source:extent(index, pipeline_of(s, part))
end

local function is_number(v) return v == v and math.abs(v) < math.huge end

-- Of one volume (D, H, W), what there is and what was seen: of each class from `first` on {hausdorff =, error =, is =,
-- said =}. Distances in mm, volumes in ml; error is (said - is) / is. What has no number is nil.
function volumes.measure(s, part, index, is, said, width, first)
  local scope <close> = core.scope()
  local place, wanted = place_of(s, part, index), {}
  local mm = place.spacing
  for k = first, width do wanted[#wanted + 1] = k - 1 end
  local found = core.surface.distances(said, is,
    { class = wanted, ignore = IGNORED, spacing = { mm[3], mm[2], mm[1] } })
  local out = {}
  for i, f in ipairs(found) do
    out[first + i - 1] = { hausdorff = is_number(f.hausdorff_95) and f.hausdorff_95 or nil,
      error = is_number(f.volume_error) and f.volume_error or nil, is = f.volume_is / 1000,
      said = f.volume_said / 1000, empty = f.empty }
  end
  return out
end

-- ---- over all volumes ----

local function mean(list)
  if #list == 0 then return nil end
  local sum = 0
  for _, v in ipairs(list) do sum = sum + v end
  return sum / #list
end

-- Who each sample of a part belongs to: a list of lists of places in `indices`. Without patients each is its own.
function volumes.groups(s, part, indices)
  local keys = s and s.data.keys and s.data.keys[part]
  local out, known = {}, {}
  for i, index in ipairs(indices) do
    local key = keys and keys[index] or i
    if not known[key] then
      known[key] = {}
      out[#out + 1] = known[key]
    end
    table.insert(known[key], i)
  end
  return out, keys ~= nil
end

-- The mean of numbers of the volumes (nil: none), and between what it lies when the groups are drawn anew.
local function summed(values, groups)
  local list = {}
  for _, group in ipairs(groups) do
    for _, i in ipairs(group) do list[#list + 1] = values[i] end
  end
  local low, high = intervals.bootstrap(#groups, function(drawn)
    local sum, n = 0, 0
    for _, k in ipairs(drawn) do
      for _, i in ipairs(groups[k]) do
        if values[i] then sum, n = sum + values[i], n + 1 end
      end
    end
    return n > 0 and sum / n or 0 / 0
  end)
  return { mean = mean(list), interval = low and { low, high } or nil, count = #list }
end

-- A number of each case as a list with holes.
local function column(cases, f)
  local out = {}
  for i, case in ipairs(cases) do out[i] = f(case) or nil end
  return out
end

-- Adds to the figures `m` what is known of each volume: m.cases, worst first, and of each class means over volumes.
-- list: the sums of each volume (maps.sums); seen.cases: what volumes.measure gave.
function volumes.gather(run, m, list, groups)
  local seen, first, width = run.seen, m.first, run.task.width
  local cases = {}
  for i, sums in ipairs(list) do
    local f = maps.figures(sums, first)
    local index = seen.indices[i]
    local case = { name = run.source and run.source:title(index), index = index, dice = f.dice,
      classes = {} }
    for k = first, width do
      local c = seen.cases and seen.cases[i][k] or {}
      case.classes[k - first + 1] = { dice = f.per_class[k].dice, hausdorff = c.hausdorff, error = c.error, is = c.is,
        said = c.said, empty = c.empty }
    end
    cases[i] = case
  end
  m.by_volume = summed(column(cases, function(c) return c.dice end), groups)
  for k = first, width do
    local row = m.targets[k]
    local function of(name, f)
      return summed(column(cases, function(c)
        local v = c.classes[k - first + 1][name]
        return v and (f and f(v) or v)
      end), groups)
    end
    row.by_volume, row.hausdorff, row.volume_error, row.volume_off = of "dice", of "hausdorff", of "error",
      of("error", math.abs)
  end
  m.groups, m.volumes = #groups, #cases
  table.sort(cases, function(a, b)
    local x, y = a.dice or 2, b.dice or 2
    if x ~= y then return x < y end
    return a.index < b.index
  end)
  m.cases = cases
end

-- ---- pictures ----

-- Of values that windows or a range have brought to 0 to 1, these; of others what there is.
local function bounds_of(p)
  local unit = p.windows or p.normalise == "range" or p.normalise == "quantiles"
  if unit then return 0, 1 end
end

-- Pictures of the volumes with the numbers `list` of the part: {image = data address, text =}, one each.
function volumes.pictures(run, list)
  local s, out = run.session, {}
  if not s or #list == 0 then return out end
  local guard <close> = core.no_grad()
  local part, t, p = run.part or "test", run.task, s.data.preprocessing
  local low, high = bounds_of(p)
  local loader <close> = core.data.loader(core.data.subset(run.source, list), pipeline_of(s, part),
    { batch = 1, threads = 1, seed = 0 })
  loader:start(1)
  for i, index in ipairs(list) do
    local scope <close> = core.scope()
    local x, _, _, _, _, more = loader:next()
    if not x or not more or not more.mask then break end
    local size = table.pack(table.unpack(x:shape(), 2, 4))
    local y = windows.forward(s.model, x, p)
    local said = (y:rank() == 4 and y or y:argmax(-1)):reshape(size[1], size[2], size[3])
    local is = more.mask:reshape(size[1], size[2], size[3])
    local g = place_of(s, part, index)
    g.size = size
    local at, why = planes.place(is, said, IGNORED)
    local grey = core.ops.slice(x, 5, 0, 1):reshape(size[1], size[2], size[3])
    local picture = planes.picture(g, grey, at, { { text = "truth", map = is }, { text = "seen", map = said } },
      { classes = t.width, background = t.options.background, low = low, high = high })
    out[i] = { image = parts.picture(picture), text = planes.text(g, at), why = why }
  end
  return out
end

-- ---- the page ----

local function signed(v) return v and ("%+.1f %%"):format(100 * v) or "–" end
local function number(v, form) return v and form:format(v) or "–" end
local function between(v, form, scale)
  if not v or #v ~= 2 then return "–" end
  return form:format(scale * v[1], scale * v[2])
end

-- How sure the figures are, in words.
function volumes.caution(m)
  local apart = m.groups < m.volumes and (" of %s"):format(util.counted(m.groups, "patient")) or ""
  local text = ("Intervals: the %s drawn anew, a thousand times at most."):format(m.groups < m.volumes and "patients"
    or "volumes")
  if m.groups >= FEW then return text end
  return ("%s There are only %s%s: others could give quite other figures, whatever the intervals say."):format(text,
    util.counted(m.volumes, "volume"), apart)
end

-- The means over volumes, a row a class.
function volumes.class_table(m)
  local rows = { { "class", "Dice by volume", "95 %", "Hausdorff 95", "95 %", "volume error", "without sign",
    "volumes" } }
  for k = m.first, #m.targets do
    local t = m.targets[k]
    local h = t.hausdorff
    rows[#rows + 1] = { t.name, parts.percent(t.by_volume.mean), between(t.by_volume.interval, "%.1f to %.1f", 100),
      number(h.mean, "%.1f mm"), between(h.interval, "%.1f to %.1f", 1), signed(t.volume_error.mean),
      number(t.volume_off.mean and 100 * t.volume_off.mean, "%.1f %%"),
      h.count == m.volumes and tostring(h.count) or ("%d of %d"):format(h.count, m.volumes) }
  end
  return parts.table(rows) .. '<p class="soft">Means over volumes. Hausdorff 95: of the distances from each surface to '
    .. "the other one, in mm, that which 95 % of them are within. It is of the volumes in which the class is there and "
    .. "was seen, as many as the last column says; the volume error is of those in which it is there.</p>"
end

local function volume_text(c)
  if not c.is then return "–" end
  return ("%.2f / %.2f ml"):format(c.said, c.is)
end

-- A row a volume, the worst first.
function volumes.case_table(m)
  local head = { "volume", "Dice" }
  for k = m.first, #m.targets do
    local name = m.targets[k].name
    if #m.targets > m.first then head[#head + 1] = name .. ", Dice" end
    head[#head + 1], head[#head + 2], head[#head + 3] = name .. ", Hausdorff 95", "volume error", "seen / there"
  end
  local rows = { head }
  for i, case in ipairs(m.cases) do
    if i > ROWS then break end
    local row = { case.name or tostring(case.index), parts.percent(case.dice) }
    for _, c in ipairs(case.classes) do
      if #case.classes > 1 then row[#row + 1] = parts.percent(c.dice) end
      row[#row + 1] = number(c.hausdorff, "%.1f mm")
      row[#row + 1], row[#row + 2] = signed(c.error), volume_text(c)
    end
    rows[#rows + 1] = row
  end
  local more = #m.cases > ROWS and ('<p class="soft">The worst %d of %d.</p>'):format(ROWS, #m.cases) or ""
  return "<h2>Volumes, the worst first</h2>" .. parts.table(rows) .. more
end

local WHY = { error = "through most of what is wrong", mask = "through most of the mask",
  middle = "through the middle" }

-- Three slices of each of a list of {image =, text =, why =, name =, dice =}.
function volumes.gallery(title, list)
  local figures = {}
  for i, each in ipairs(list) do
    figures[i] = parts.shown(each.image, ("<div>%s, Dice %s</div>"):format(escape(each.name or ""),
      parts.percent(each.dice)), ('<div class="soft">%s; %s</div>'):format(escape(each.text or ""),
      escape(WHY[each.why] or "")))
  end
  return parts.below_each_other(parts.gallery(title, figures))
end

util.seal(volumes, "volumes.")
return volumes
