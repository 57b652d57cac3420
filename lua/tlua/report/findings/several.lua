-- several.lua - ROC and precision-recall curves of more than two classes, each against the rest, and their mean; the
-- calibration of what is said; how labels are distributed over the parts of the data.
local util = require "tlua.util"
local intervals = require "tlua.report.intervals"
local parts = require "tlua.report.parts"
local binary = require "tlua.report.findings.binary"
local curves = require "tlua.report.findings.curves"
local roc = require("tlua.core").roc
local several = {}
local escape, plain, figure = parts.escape, parts.plain, parts.figure

local SHOWN = 6 -- classes with a curve of their own; of more the worst
local POINTS = 60 -- of a curve on a page
local GRID = 100 -- places at which curves are averaged
local MOST_WALKED = 4e6 -- scores of all classes that are sorted for the mean, which is some seconds

-- ---- curves ----

-- Points of class k (from 1): roc {false positive rate, sensitivity}, pr {recall, precision}; nil without both kinds.
local function points_of(labels, rows, k)
  local _, tp, fp = roc.curve(rows, labels, { class = k - 1, column = k })
  local p, n = tp[#tp] or 0, fp[#fp] or 0
  if p == 0 or n == 0 then return nil end
  local r, pr = { { 0.0, 0.0 } }, {}
  for i = 1, #tp do
    r[i + 1] = { fp[i] / n, tp[i] / p }
    pr[i] = { tp[i] / p, tp[i] / (tp[i] + fp[i]) }
  end
  return r, pr
end

-- Adds 1 / classes of a curve at GRID + 1 places to `sum`. ROC curves go straight from point to point, as their area
-- is computed; of precision the first point that has a recall counts.
local function add_roc(sum, points, classes)
  local at = 1
  for g = 0, GRID do
    local x = g / GRID
    while points[at + 1] and points[at + 1][1] <= x do at = at + 1 end
    local a, b = points[at], points[at + 1]
    local y = b and a[1] < x and a[2] + (x - a[1]) / (b[1] - a[1]) * (b[2] - a[2]) or a[2]
    sum[g + 1] = (sum[g + 1] or 0) + y / classes
  end
end

local function add_pr(sum, points, classes)
  local at = 1
  for g = 0, GRID do
    local x = g / GRID
    while points[at + 1] and points[at][1] < x do at = at + 1 end
    sum[g + 1] = (sum[g + 1] or 0) + points[at][2] / classes
  end
end

local function as_points(sum)
  local out = {}
  for g, y in ipairs(sum) do out[g] = { (g - 1) / GRID, y } end
  return out
end

-- The classes that get a curve: all of few, else those of the least areas.
local function chosen(m)
  local list = {}
  for k, row in ipairs(m.per_class) do
    if row.auroc == row.auroc then list[#list + 1] = k end
  end
  table.sort(list, function(a, b)
    local x, y = m.per_class[a].auroc, m.per_class[b].auroc
    if #m.names <= SHOWN or x == y then return a < b end
    return x < y
  end)
  for k = #list, SHOWN + 1, -1 do list[k] = nil end
  return list
end

-- Curves of a classification of several classes, for its report: {classes = { {class =, roc =, pr =}... }, roc =, pr =}
-- with the means over classes, which are there where every class has both kinds and there is not too much to sort.
function several.gather(m, labels, rows)
  local n, out, want, sum_roc, sum_pr = #m.names, { classes = {} }, {}, {}, {}
  for _, v in ipairs(rows) do
    for k = 1, n do
      if v[k] ~= v[k] then return nil end
    end
  end
  for at, k in ipairs(chosen(m)) do want[k] = at end
  local all = m.auroc == m.auroc and n * #rows <= MOST_WALKED
  for k = 1, n do
    if want[k] or all then
      local r, p = points_of(labels, rows, k)
      if r and all then
        add_roc(sum_roc, r, n)
        add_pr(sum_pr, p, n)
      end
      if r and want[k] then
        out.classes[want[k]] = { class = k, roc = binary.thinned(r, POINTS), pr = binary.thinned(p, POINTS) }
      end
    end
  end
  if all then out.roc, out.pr = as_points(sum_roc), as_points(sum_pr) end
  return out
end

local UNIT = { 0, 1 }

function several.charts(m)
  local c = m.curves
  if not c or #c.classes == 0 then return "" end
  local few = #m.names <= SHOWN
  local function lines(key, chance)
    local out = {}
    for k, each in ipairs(c.classes) do out[k] = { name = m.names[each.class], points = each[key], plain = true } end
    if c[key] then out[#out + 1] = { name = "mean over classes", points = c[key], plain = true } end
    if chance then out[#out + 1] = { name = "chance", points = { { 0, 0 }, { 1, 1 } }, dashed = true, plain = true } end
    return out
  end
  local which = few and "each class against the rest" or ("the %d classes with the least areas"):format(#c.classes)
  local function axes(x, y) return { x = x, y = y, x_range = UNIT, y_range = UNIT, apart = true } end
  return figure(("ROC curves of %s; mean area %s"):format(which, curves.area_text(m.auroc, m.auroc_interval)),
    lines("roc", true), axes("1 - specificity", "sensitivity"))
    .. figure(("Precision and recall; mean average precision %s"):format(curves.area_text(m.average_precision,
      m.average_precision_interval)), lines("pr"), axes("recall", "precision"))
end

-- ---- calibration ----

local LEAST = 20 -- in a bin that is shown

-- Bins of which those with few are joined to the next ones: {confidence =, accuracy =, count =, right =}.
function several.joined(bins, least)
  local out, open = {}, nil
  local function close()
    if open then out[#out + 1], open = open, nil end
  end
  for _, b in ipairs(bins) do
    if b.count > 0 then
      local right = b.right or math.floor(b.accuracy * b.count + 0.5)
      open = open or { confidence = 0, right = 0, count = 0 }
      open.confidence, open.right, open.count = open.confidence + b.confidence * b.count, open.right + right,
        open.count + b.count
      if open.count >= (least or LEAST) then close() end
    end
  end
  if open and #out > 0 then -- what is left over goes to the last one
    local last = out[#out]
    for key, v in pairs(open) do last[key] = last[key] + v end
    open = nil
  end
  close()
  for _, b in ipairs(out) do b.confidence, b.accuracy = b.confidence / b.count, b.right / b.count end
  return out
end

-- How often what is said with a confidence is right, with how many of them.
function several.calibration(m, many)
  local points = {}
  for k, b in ipairs(several.joined(m.calibration)) do
    local low, high = intervals.wilson(b.right, b.count)
    points[k] = { b.confidence, b.accuracy, low, high, util.thousands(b.count) }
  end
  return figure(("Calibration: error %s in %d bins; at the foot how many %s a point has"):format(
    plain(m.calibration_error), #m.calibration, many),
    { { name = ("accuracy of %s of this confidence, 95 %%"):format(many), points = points },
    { name = "as sure as right", points = { { 0, 0 }, { 1, 1 } }, dashed = true, plain = true } },
    { x = "confidence", y = "accuracy", x_range = UNIT, y_range = UNIT })
end

-- ---- labels of the parts ----

local PARTS = { { "train", "training" }, { "validation", "validation" }, { "test", "test" } }

-- How often each class is met in each part of a session's data: { {name =, counts =}, ... }; nil where nobody counts.
function several.labels(session)
  local d, out = session and session.data, {}
  if not d or not d.fields or not d.fields.label or d.counted == false then return nil end
  for _, part in ipairs(PARTS) do
    local source = d[part[1]]
    if source and source:count() > 0 then
      local ok, counts = pcall(source.counts, source)
      if ok and #counts > 0 then out[#out + 1] = { name = part[2], counts = counts } end
    end
  end
  return #out > 0 and out or nil
end

local MOST_BARS = 40

-- Bars of the classes' shares of a part, as one picture.
local function bars(part, names, list)
  local all, most = 0, 0
  for _, n in ipairs(part.counts) do all, most = all + n, math.max(most, n) end
  local out = { ("<figure><figcaption>Labels of the %s part: %s</figcaption><div class=\"bars\">"):format(part.name,
    util.thousands(all)) }
  for _, k in ipairs(list) do
    local n = part.counts[k] or 0
    out[#out + 1] = ('<span class="short" title="%s">%s</span><i class="b1" style="width:%.1f%%"></i><span>%s (%.1f %%)</span>')
      :format(escape(names[k]), escape(names[k]), most > 0 and 100 * n / most or 0, util.thousands(n),
        all > 0 and 100 * n / all or 0)
  end
  return table.concat(out) .. "</div></figure>"
end

-- Of many classes the counts from the most to the least.
local function falling(list)
  local series = {}
  for k, part in ipairs(list) do
    local counts, points = table.move(part.counts, 1, #part.counts, 1, {}), {}
    table.sort(counts, function(a, b) return a > b end)
    for i, n in ipairs(counts) do points[i] = { i, n } end
    series[k] = { name = part.name, points = binary.thinned(points, 200), plain = true }
  end
  return figure("Labels of each class, the most frequent first", series, { x = "classes", y = "labels", x_whole = true,
    y_range = { 0 } })
end

-- The distribution of labels; nothing in reports of older tluas.
function several.labels_page(list, names)
  if not list then return "" end
  local out, order = {}, {}
  for k = 1, #names do order[k] = k end
  if #names > MOST_BARS then out[1] = falling(list)
  else
    for k, part in ipairs(list) do out[k] = bars(part, names, order) end
  end
  return '<h2>Labels</h2><div class="charts">' .. table.concat(out) .. "</div>"
end

return several
