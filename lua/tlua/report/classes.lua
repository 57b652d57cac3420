-- classes.lua - what the report of a classification has of its own: tiles, the table of classes, the confusion matrix, calibration, the surest
-- pictures that are right and wrong.
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local sound = require "tlua.report.sound"
local metrics = require "tlua.report.metrics"
local intervals = require "tlua.report.intervals"
local binary = require "tlua.report.findings.binary"
local curves = require "tlua.report.findings.curves"
local several = require "tlua.report.findings.several"
local confusion = require "tlua.report.confusion"
local gallery = require "tlua.report.page.gallery"
local explained = require "tlua.report.texts.explained"
local lengths = require "tlua.report.texts.lengths"
local classes = {}
local escape, percent, plain, tile = parts.escape, parts.percent, parts.plain, parts.tile

-- What samples are called; reports of pictures do not say it.
local function many_of(run) return run.many or "pictures" end

local SHORT = 60 -- rows of a table that is shown whole; a longer one scrolls

-- "0.913 (0.880 to 0.938)" of a share with its bounds.
local function bounded(v, bounds)
  if not v or v ~= v then return "–" end
  if not bounds or #bounds < 2 then return { html = plain(v), v = v } end
  return { html = ('%s <span class="soft">(%.3f to %.3f)</span>'):format(plain(v), bounds[1], bounds[2]), v = v }
end

local NONE = "no interval: nothing follows from all being in order, nor from too few"

-- The same of an area, which may have no interval; why is said once, below the table.
local function area(v, bounds)
  if not bounds or #bounds > 0 or not v or v ~= v then return bounded(v, bounds) end
  return { html = ('%s <span class="soft">(none)</span>'):format(plain(v)), v = v, none = true }
end

local function class_table(m, many)
  local rows = { { "class", "precision (95 %)", "recall (95 %)", "F1 (95 %)", "AUROC (95 %)",
    "average precision (95 %)", many } }
  for i, row in ipairs(m.per_class) do
    -- A class that neither occurs nor was predicted has no figures. Reports of older tluas do not say what was predicted.
    local none = row.predicted and row.support + row.predicted == 0
    local r = none and {} or row
    rows[i + 1] = { m.names[i], bounded(r.precision, r.precision_interval), bounded(r.recall, r.recall_interval),
      bounded(r.f1, r.f1_interval), area(r.auroc, r.auroc_interval), area(r.average_precision,
      r.average_precision_interval), ("%d"):format(row.support) }
  end
  local macro, weighted = m.averages.macro, m.averages.weighted
  rows[#rows + 1] = { class = "soft mean", "macro mean", plain(macro.precision), plain(macro.recall), plain(macro.f1),
    curves.area_text(m.auroc, m.auroc_interval), curves.area_text(m.average_precision, m.average_precision_interval),
    ("%d"):format(m.count) }
  rows[#rows + 1] = { class = "soft mean", "weighted mean", plain(weighted.precision), plain(weighted.recall),
    plain(weighted.f1), "–", "–", ("%d"):format(m.count) }
  local html, none = parts.table(rows, { sorts = true, label = "Figures of each class" }), ""
  for _, row in ipairs(rows) do
    if row[5].none or row[6].none then none = ('<p class="soft">none: %s.</p>'):format(NONE) break end
  end
  return (#rows > SHORT and html:gsub('class="wide"', 'class="wide tall"', 1) or html) .. none
end

-- The names of classes of which nothing was tested.
function classes.absent(m)
  local list = {}
  for i, row in ipairs(m.per_class) do
    if row.support == 0 then list[#list + 1] = m.names[i] end
  end
  return list
end

-- Why some figures are a dash.
local function missing_classes(m, many)
  local list = classes.absent(m)
  if #list == 0 then return "" end
  return ('<p class="soft">No test %s of %s: the area under the ROC curve and average precision are means over all classes and not defined; the macro mean leaves out classes that neither occur nor were predicted.</p>'):format(
    many, escape(util.first_few(list, 8)))
end

-- The test pictures ordered by the probability of their own class: surest right ones, surest wrong ones.
local function extremes(labels, probabilities, predicted, most)
  local right, wrong = {}, {}
  for i, label in ipairs(labels) do
    local list = predicted[i] == label and right or wrong
    list[#list + 1] = i
  end
  local function sure(i) return probabilities[i][predicted[i] + 1] end
  local function by(list)
    local values, out = {}, {}
    for k, i in ipairs(list) do values[k] = sure(i) end
    for k, place in ipairs(util.descending(values)) do
      if k > most then break end
      out[k] = list[place]
    end
    return out
  end
  return by(right), by(wrong)
end

-- What stands above a text of a gallery.
local function caption(each, m)
  return ('is %s, taken for <span class="%s">%s %s</span> <span class="soft">%s</span>'):format(
    parts.name(m.names[each.label + 1]), each.label == each.guess and "good" or "bad",
    parts.name(m.names[each.guess + 1]), percent(each.sure), parts.name(each.name or ""))
end

local SORTS = { { "label", "what it is" }, { "guess", "what it was taken for" }, { "name", "name" },
  { "doubt", "confidence" } }

local function one(run, each, m)
  if each.words then return explained.figure(each.words, caption(each, m)) end
  local label, guess = m.names[each.label + 1], m.names[each.guess + 1]
  local right = each.label == each.guess
  local lines = ('<div>%s</div><div class="%s">%s %s</div>'):format(parts.name(label),
    right and "soft" or "bad", parts.name(guess), percent(each.sure))
  if each.sound then return sound.figure(each.image, each.sound, "", lines, gallery.caption(run, each)) end
  return gallery.figure(run, each, right and label or ("%s, taken for %s"):format(label, guess), { { "label", label },
    { "guess", guess }, { "name", each.name }, { "doubt", ("%.6f"):format(each.sure) } }, lines)
end

local function shown_gallery(title, list, run, note)
  local out, class = {}, nil
  for i, each in ipairs(list) do
    out[i], class = one(run, each, run.metrics), class or each.words and "texts" or each.sound and "sounds"
  end
  return gallery.of(title, out, class, not class and SORTS or nil, note)
end

local function first(list, most) return table.move(list, 1, math.min(most, #list), 1, {}) end

-- The texts of a gallery: {words =, label =, guess =, sure =, name = file and line} of each.
local function shown_texts(list, run, predicted)
  local indices, which, out = {}, {}, {}
  for k, i in ipairs(list) do indices[k], which[k] = run.seen.indices[i], predicted[i] + 1 end
  local shades, why = explained.of_run(run, indices, which)
  for k, i in ipairs(list) do
    out[k] = { words = shades[k], label = run.seen.labels[i], guess = predicted[i], why = why,
      sure = run.seen.probabilities[i][predicted[i] + 1], name = run.source:title(indices[k]) }
  end
  return out
end

-- The pictures of a gallery: {image =, label =, guess =, sure =, name =, row =, folder =, file =} of each.
local function shown(list, run, predicted)
  if run.session and run.session.data.texts then return shown_texts(list, run, predicted) end
  local out = {}
  for k, i in ipairs(list) do
    local rate = run.session and run.session.data.preprocessing.rate
    local at = run.seen.indices and run.seen.indices[i] or i
    local ok, found = pcall(rate and sound.embedded or parts.embedded, run.source, at, rate or parts.stripped(run))
    local image = ok and (rate and found.image or found) or nil
    out[k] = gallery.entry(run, at, { image = image, missing = not ok and found or nil,
      sound = ok and rate and found.sound or nil,
      label = run.seen.labels[i], guess = predicted[i], sure = run.seen.probabilities[i][predicted[i] + 1] })
  end
  return out
end

-- A picture of each side of the pairs that are confused most; of pictures alone.
local function shown_pairs(run, m)
  local s = run.session
  if not run.source or s and (s.data.texts or s.data.preprocessing.rate) then return nil end
  local list = confusion.examples(run, m)
  for _, each in ipairs(list) do
    each.taken = each.taken and shown({ each.taken }, run, m.predicted)[1]
    each.other = each.other and shown({ each.other }, run, m.predicted)[1]
  end
  return #list > 0 and list or nil
end

-- ---- who the pictures are of ----

-- Of two classes the figures of the one that is looked for, and what was missed.
local function detection(run)
  local t, seen = run.task, run.seen
  local k = t.positive_class and t:positive_class()
  if not k or #(seen.labels or {}) == 0 then return nil end
  local scores, positive = {}, {}
  for i, label in ipairs(seen.labels) do scores[i], positive[i] = seen.probabilities[i][k], label == k - 1 end
  local groups, attributes, indices = binary.people(run)
  local threshold, by = t:threshold_of()
  local f = binary.figures { name = t.names[k], scores = scores, positive = positive, indices = indices,
    groups = groups, attributes = attributes, threshold = threshold, by = by, wanted = t.wanted(t.options) or {} }
  f.negative, f.asked = t.names[3 - k], t.options.positive ~= nil
  return f, binary.wrong(scores, positive, threshold)
end

-- Accuracy for each value of each attribute, of more than two classes.
local function accuracy_by_part(run, right)
  local groups, attributes, indices = binary.people(run)
  local out = {}
  for _, each in ipairs(binary.parts(attributes, indices)) do
    for _, value in ipairs(each[2]) do
      local own, g = {}, binary.groups_of(groups, value[2])
      for i, at in ipairs(value[2]) do own[i] = right[at] end
      out[#out + 1] = { attribute = each[1], value = value[1], count = #own, groups = g and g.count,
        accuracy = binary.share(own, g), few = #own < 20 }
    end
  end
  return out
end

-- Intervals of the classes' figures by groups, of few classes.
local function classes_by_groups(run, m, right, groups)
  for k, row in ipairs(m.per_class) do
    local is, said = {}, {}
    for i, label in ipairs(run.seen.labels) do is[i], said[i] = label == k - 1, m.predicted[i] == k - 1 end
    local few = #m.names <= confusion.MOST_CLASSES
    local r, p = few and binary.share(right, groups, is) or {}, few and binary.share(right, groups, said) or {}
    row.recall_interval, row.precision_interval = { r[2], r[3] }, { p[2], p[3] }
    row.f1_interval = few and binary.f1_by_groups(is, said, groups) or {}
  end
end

-- Intervals of accuracy by groups, where one has several samples; areas of classes; figures for parts of the people.
local function add_people(run, m)
  local right = {}
  for i, label in ipairs(run.seen.labels or {}) do right[i] = m.predicted[i] == label end
  local groups = binary.people(run)
  if groups and groups.repeats and #right > 0 then
    local v = binary.share(right, groups)
    m.accuracy_interval, m.groups, m.interval_by = { v[2], v[3] }, groups.count, "groups drawn anew"
    classes_by_groups(run, m, right, groups)
  end
  if #right == 0 or #m.names == 2 then return end
  m.parts = accuracy_by_part(run, right)
  local by_group, single, precisions = groups and groups.repeats
  m.auroc_interval, single, m.auroc_draws, m.average_precision_interval, precisions =
    binary.mean_area(run.seen.labels, run.seen.probabilities, groups)
  for k, row in ipairs(m.per_class) do
    row.average_precision_interval = precisions[k]
    row.auroc_interval = by_group and single[k] or not by_group and binary.delong(row.auroc, row.auroc_error) or {}
  end
end

-- All figures, without pictures; and what was missed and what taken falsely, of two classes.
function classes.figures(run)
  local seen = run.seen
  local m = metrics.summary(seen.labels or {}, seen.probabilities or {}, run.names)
  add_people(run, m)
  local found, missed, alarms = detection(run)
  m.detection = found
  if found then m.auroc_interval = found.auroc_interval end
  return m, missed, alarms
end

-- Tables and galleries as data. run: what tlua/train/init.lua says of it; run.seen has labels and probabilities.
function classes.gather(run)
  local seen = run.seen
  local m, missed, alarms = classes.figures(run)
  local found = m.detection
  local right, wrong = extremes(seen.labels or {}, seen.probabilities or {}, m.predicted, 12)
  local out = { metrics = m, wrong = shown(wrong, run, m.predicted), right = shown(right, run, m.predicted) }
  if found and found.asked then
    local k, taken = run.task:positive_class(), {}
    for _, i in ipairs(missed) do taken[i] = 2 - k end
    for _, i in ipairs(alarms) do taken[i] = k - 1 end
    out.missed, out.alarms = shown(first(missed, 24), run, taken), shown(first(alarms, 24), run, taken)
    out.wrong = {}
  end
  local rights = {}
  for i, label in ipairs(seen.labels or {}) do rights[i] = m.predicted[i] == label end
  if #rights > 0 then out.pairs = shown_pairs(run, m) end
  if #rights > 0 and #m.names > 2 then m.curves = several.gather(m, seen.labels, seen.probabilities) end
  m.predicted, out.labels = nil, several.labels(run.session)
  confusion.shorten(m)
  out.lengths = lengths.gather(run, lengths.share(rights))
  return out
end

-- The bounds are Wilson's for the pictures that were counted, also in reports of an older tlua, whose own could be of no width.
function classes.tiles(run)
  local m = run.metrics
  local right = m.right or math.floor(m.accuracy * m.count + 0.5)
  local bounds = m.interval_by and intervals.between(m.accuracy_interval)
    or intervals.text(intervals.wilson(right, m.count))
  local d = m.detection
  return table.concat { d and d.asked and curves.tiles(d) or "", tile(percent(m.accuracy),
    ("accuracy on %s %s %s%s (95\u{A0}%%: %s)"):format(util.thousands(m.count), run.part or "test", many_of(run),
    m.groups and (" of %s groups"):format(util.thousands(m.groups)) or "", bounds)),
    tile(percent(m.balanced_accuracy), "balanced accuracy"), tile(plain(m.averages.macro.f1), "F1, mean over classes"),
    d and d.asked and "" or tile(plain(m.auroc), "area under the ROC curve"),
    tile(plain(m.average_precision), "average precision"), tile(plain(m.kappa), "Cohen's kappa"), m.top_5 and tile(percent(m.top_5), "among the five likeliest") or "" }
end

function classes.charts(run)
  local d = run.metrics.detection
  return (d and curves.charts(d) or several.charts(run.metrics)) .. several.calibration(run.metrics, many_of(run))
end

function classes.page(run)
  local m, many = run.metrics, many_of(run)
  local d = m.detection
  local by = d and d.asked and ", by the likelier class" or ""
  local function missed(words, list, n, of)
    local shown_of = n > #list and (", the first %d"):format(#list) or ""
    return shown_gallery(("%s: %d of %d%s"):format(words, n, of, shown_of), list, run)
  end
  return table.concat { run.missed and missed("Missed", run.missed, d.fn, d.tp + d.fn) or "",
    run.alarms and missed("False alarms", run.alarms, d.fp, d.fp + d.tn) or "",
    d and ("<h2>Detection of %s</h2>%s"):format(escape(d.name), curves.section(d, d.negative)) or "",
    m.parts and #m.parts > 0 and "<h2>Parts of the people</h2>" .. curves.parts(m.parts, m.groups) or "",
    "<h2>Classes", by, "</h2>", class_table(m, many), missing_classes(m, many), confusion.page(run, many, by),
    lengths.page(run.lengths, "accuracy", percent), explained.legend(run),
    shown_gallery("Surest and wrong", run.wrong, run, gallery.list_note(run)),
    shown_gallery("Surest and right", run.right, run), several.labels_page(run.labels, m.names) }
end

-- What the results of a run keep of it.
function classes.summary(m)
  return { accuracy = m.accuracy, interval = m.accuracy_interval, balanced_accuracy = m.balanced_accuracy, kappa = m.kappa,
    f1 = m.averages and m.averages.macro.f1, calibration_error = m.calibration_error, auroc = m.auroc,
    detection = m.detection, groups = m.groups }
end

-- "88.2 % of 10,000 pictures right, 95 %: 87.6 to 88.8"
function classes.text_of_test(m, seen)
  if not m.accuracy then return nil end
  local d = m.detection
  local text = ("%.1f %% of %s %s%s right, 95 %%: %s"):format(100 * m.accuracy, util.thousands(#seen.labels), seen.many
    or "pictures", m.groups and (" of %s groups"):format(util.thousands(m.groups)) or "",
    intervals.text(table.unpack(m.interval)))
  if not (d and d.asked) then return text end
  return ("%s; %s: AUROC %s, from %.4g on sensitivity %s, specificity %s"):format(text, d.name,
    curves.area_text(d.auroc, d.auroc_interval), d.threshold, curves.share_text(d.sensitivity),
    curves.share_text(d.specificity))
end

return classes
