-- curves.lua - what a page shows of findings that are there or not (binary.lua): both curves with the point that the
-- threshold takes, the reliability diagram, figures with their intervals, tables for parts of the people.
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local curves = {}
local plain, percent, figure, escape = parts.plain, parts.percent, parts.figure, parts.escape

-- "0.873 (0.821 to 0.925)", "87.3 % (82.1 to 92.5)"; a dash for what is not defined.
local function area_text(v, interval)
  if not v or v ~= v then return "–" end
  if interval and #interval < 2 then
    return ("%s (no interval: %s)"):format(plain(v), (v == 1 or v == 0) and "nothing follows from all being in order"
      or "there are too few")
  end
  if not interval then return plain(v) end
  return ("%.3f (%.3f to %.3f)"):format(v, interval[1], interval[2])
end
local function share_text(v)
  if not v or not v[1] then return "–" end
  if not v[2] then return percent(v[1]) end
  return ("%.1f %% (%.1f to %.1f)"):format(100 * v[1], 100 * v[2], 100 * v[3])
end
curves.area_text, curves.share_text = area_text, share_text

-- Where intervals come from, in words.
function curves.interval_words(f)
  if f.repeats then
    return ("intervals from drawing the %s groups anew, since samples of one group are alike"):format(
      util.thousands(f.groups))
  end
  return "intervals of areas by DeLong, of shares by Wilson, of average precision by drawing samples anew"
end

local UNIT = { x_range = { 0, 1 }, y_range = { 0, 1 } }
local function axes(x, y) return { x = x, y = y, x_range = UNIT.x_range, y_range = UNIT.y_range } end

local DIAGONAL = { { 0, 0 }, { 1, 1 } }

-- ROC and precision-recall curves of findings, the first with its threshold's point.
function curves.charts(f)
  if not f.roc or #f.roc == 0 then return "" end
  local share = f.positive / f.count
  local at = ("threshold %.4g"):format(f.threshold)
  local sens, spec, ppv = f.sensitivity[1], f.specificity[1], f.ppv[1]
  local out = { figure(("%s: ROC curve, area %s"):format(f.name, area_text(f.auroc, f.auroc_interval)), {
    { name = "sensitivity", points = f.roc, plain = true }, { name = at, points = { { 1 - spec, sens } }, dots = true,
    large = true }, { name = "chance", points = DIAGONAL, dashed = true, plain = true } },
    axes("1 - specificity", "sensitivity")) }
  out[2] = figure(("%s: precision and recall, average precision %s"):format(f.name, plain(f.average_precision)), {
    { name = "precision", points = f.pr, plain = true },
    { name = at, points = ppv and { { sens, ppv } } or {}, dots = true, large = true },
    { name = "chance", points = { { 0, share }, { 1, share } }, dashed = true, plain = true } },
    axes("recall", "precision"))
  return table.concat(out) .. curves.reliability(f)
end

function curves.reliability(f)
  local points = {}
  for i, bin in ipairs(f.calibration or {}) do
    points[i] = { bin.mean, bin.share, bin.interval[1] or bin.share, bin.interval[2] or bin.share }
  end
  return figure(("%s: reliability, error %s in %d bins, Brier score %s"):format(f.name, plain(f.calibration_error),
    f.bins, plain(f.brier)), { { name = "share that is positive, 95 %", points = points },
    { name = "as sure as right", points = DIAGONAL, dashed = true, plain = true } },
    axes("mean probability", "share"))
end

-- The figures of one finding as a table, and what its threshold comes to.
function curves.section(f, negative)
  local rows = { { "figure", "value (95 %)", "from" },
    { "area under the ROC curve", area_text(f.auroc, f.auroc_interval), f.interval_by or "" },
    { "average precision", area_text(f.average_precision, f.average_precision_interval), "" },
    { "sensitivity", share_text(f.sensitivity), ("%d of %d"):format(f.tp, f.tp + f.fn) },
    { "specificity", share_text(f.specificity), ("%d of %d"):format(f.tn, f.tn + f.fp) },
    { "positive predictive value", share_text(f.ppv), ("%d of %d"):format(f.tp, f.tp + f.fp) },
    { "negative predictive value", share_text(f.npv), ("%d of %d"):format(f.tn, f.tn + f.fn) } }
  for _, each in ipairs { { f.sensitivity_at, "sensitivity", "specificity" },
    { f.specificity_at, "specificity", "sensitivity" } } do
    if each[1] then
      rows[#rows + 1] = { ("%s on this curve at %g %% %s"):format(each[2], 100 * each[1].wanted, each[3]),
        share_text { each[1].value, each[1].interval[1], each[1].interval[2] }, "" }
    end
  end
  local matrix = { { "is \\ taken for", f.name, negative or "not" },
    { f.name, ("%d"):format(f.tp), ("%d"):format(f.fn) },
    { negative or "not", ("%d"):format(f.fp), ("%d"):format(f.tn) } }
  local few = f.few and ('<p class="bad">There are fewer than 20 %s of one kind: too few to rely on these figures.</p>')
    :format(f.repeats and "groups" or "samples") or ""
  return table.concat { parts.table(rows), few,
    ('<p class="soft">%s is said from a probability of %.4g on (%s). %s; predictive values hold for a share of %.1f %% '
      .. 'that is positive, as here. What is read off this curve has a threshold that no one knew before.</p>'):format(
      escape(f.name), f.threshold, escape(f.threshold_by or "fixed"),
      (curves.interval_words(f):gsub("^%l", string.upper)),
      f.count > 0 and 100 * f.positive / f.count or 0), parts.table(matrix), curves.parts(f.parts, f.repeats) }
end

-- Tables of the same figures for parts of the people; rows of a classification of several classes have an accuracy.
function curves.parts(list, repeats)
  if not list or #list == 0 then return "" end
  local out, rows, few = {}, nil, false
  for i, row in ipairs(list) do
    local areas = row.sensitivity ~= nil
    if not rows then
      rows = { areas and { row.attribute, "n", "positive", "AUROC (95 %)", "sensitivity (95 %)", "specificity (95 %)" }
        or { row.attribute, "n", "accuracy (95 %)" } }
      if repeats then table.insert(rows[1], 3, "groups") end
    end
    few = few or row.few
    local name = row.value .. (row.few and " *" or "")
    local cells = areas and { name, ("%d"):format(row.count), ("%d"):format(row.positive),
      area_text(row.auroc, row.auroc_interval), share_text(row.sensitivity), share_text(row.specificity) }
      or { name, ("%d"):format(row.count), share_text(row.accuracy) }
    if repeats then table.insert(cells, 3, row.groups and ("%d"):format(row.groups) or "–") end
    rows[#rows + 1] = cells
    local following = list[i + 1]
    if not following or following.attribute ~= row.attribute then
      out[#out + 1] = ("<h3>By %s</h3>%s"):format(escape(row.attribute), parts.table(rows))
      rows = nil
    end
  end
  if few then
    out[#out + 1] = ('<p class="bad">* Fewer than 20%s of one kind: too few to say more than the interval does.</p>')
      :format(repeats and " groups" or "")
  end
  return table.concat(out)
end

-- Tiles of one finding.
function curves.tiles(f)
  local function bounds(v)
    return v[2] and (" (95\u{A0}%%: %.1f to %.1f)"):format(100 * v[2], 100 * v[3]) or ""
  end
  local auroc = #f.auroc_interval == 2
    and (" (95\u{A0}%%: %.3f to %.3f)"):format(f.auroc_interval[1], f.auroc_interval[2]) or ""
  return table.concat { parts.tile(plain(f.auroc), ("area under the ROC curve of %s%s"):format(f.name, auroc)),
    parts.tile(percent(f.sensitivity[1]), "sensitivity at the threshold" .. bounds(f.sensitivity)),
    parts.tile(percent(f.specificity[1]), "specificity at the threshold" .. bounds(f.specificity)) }
end

return curves
