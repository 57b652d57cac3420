-- classes.lua - what the report of a classification has of its own: tiles, the table of classes, the confusion matrix, calibration, the surest
-- pictures that are right and wrong.
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local sound = require "tlua.report.sound"
local metrics = require "tlua.report.metrics"
local intervals = require "tlua.report.intervals"
local binary = require "tlua.report.findings.binary"
local curves = require "tlua.report.findings.curves"
local explained = require "tlua.report.texts.explained"
local lengths = require "tlua.report.texts.lengths"
local classes = {}
local escape, percent, plain, tile, figure = parts.escape, parts.percent, parts.plain, parts.tile, parts.figure

-- What samples are called; reports of pictures do not say it.
local function many_of(run) return run.many or "pictures" end

local function class_table(m, many)
  local out = { ('<div class="wide"><table><tr><th>class</th><th>precision</th><th>recall</th><th>95 %%</th><th>F1</th>'
    .. "<th>AUROC (95 %%)</th><th>%s</th></tr>"):format(many) }
  local function line(class, name, row, interval, pictures)
    out[#out + 1] = ("<tr><td%s>%s</td><td>%s</td><td>%s</td><td class=\"soft\">%s</td><td>%s</td><td>%s</td>"
      .. "<td>%d</td></tr>"):format(class, escape(name), plain(row.precision), plain(row.recall), interval or "",
      plain(row.f1), curves.area_text(row.auroc, row.auroc_interval), pictures)
  end
  for i, row in ipairs(m.per_class) do
    -- A class that neither occurs nor was predicted has no figures. Reports of older tluas do not say what was predicted.
    local none = row.predicted and row.support + row.predicted == 0
    local low, high = table.unpack(row.recall_interval or {})
    line("", m.names[i], none and {} or row, low and ("%.3f to %.3f"):format(low, high), row.support)
  end
  local macro = m.averages.macro
  line(' class="soft"', "macro mean", { precision = macro.precision, recall = macro.recall, f1 = macro.f1,
    auroc = m.auroc, auroc_interval = m.auroc_interval }, nil, m.count)
  line(' class="soft"', "weighted mean", m.averages.weighted, nil, m.count)
  return table.concat(out) .. "</table></div>"
end

-- Why some figures are a dash.
local function missing_classes(m, many)
  local list = {}
  for i, row in ipairs(m.per_class) do
    if row.support == 0 then list[#list + 1] = m.names[i] end
  end
  if #list == 0 then return "" end
  return ('<p class="soft">No test %s of %s: the area under the ROC curve and average precision are means over all classes and not defined; the macro mean leaves out classes that neither occur nor were predicted.</p>'):format(
    many, escape(util.first_few(list, 8)))
end

local MOST_CLASSES = 40 -- a larger matrix cannot be read

local function matrix(m)
  if #m.names > MOST_CLASSES then return ('<p class="soft">%d classes are too many for a table; the pairs that are confused most follow.</p>'):format(#m.names) end
  local out = { '<div class="wide"><table class="matrix"><tr><th>is \\ taken for</th>' }
  for _, name in ipairs(m.names) do out[#out + 1] = ("<th>%s</th>"):format(escape(name)) end
  out[#out + 1] = "</tr>"
  for i, row in ipairs(m.confusion) do
    out[#out + 1] = ("<tr><th>%s</th>"):format(escape(m.names[i]))
    for _, n in ipairs(row) do
      local share = m.per_class[i].support > 0 and n / m.per_class[i].support or 0
      out[#out + 1] = ('<td style="background:rgba(var(--heat),%.2f)">%s</td>'):format(0.75 * share, n > 0 and ("%d"):format(n) or "")
    end
    out[#out + 1] = "</tr>"
  end
  return table.concat(out) .. "</table></div>"
end

local function confused(m, many)
  if #m.confused == 0 then return "" end
  local out = { ("<h2>Most confused</h2><div class=\"wide\"><table><tr><th>class</th><th>taken for</th><th>%s</th></tr>"):format(many) }
  for _, pair in ipairs(m.confused) do
    out[#out + 1] = ("<tr><td>%s</td><td>%s</td><td>%d</td></tr>"):format(escape(m.names[pair.label + 1]), escape(m.names[pair.predicted + 1]), pair.count)
  end
  return table.concat(out) .. "</table></div>"
end

local function calibration(m, many)
  local points = {}
  for _, bin in ipairs(m.calibration) do
    if bin.count > 0 then points[#points + 1] = { bin.confidence, bin.accuracy } end
  end
  return figure(("Calibration: error %s"):format(plain(m.calibration_error)),
    { { name = ("accuracy of %s of this confidence"):format(many), points = points },
    { name = "as sure as right", points = { { 0, 0 }, { 1, 1 } }, dashed = true } }, { x = "confidence", y = "accuracy", x_range = { 0, 1 }, y_range = { 0, 1 } })
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
    escape(m.names[each.label + 1]), each.label == each.guess and "good" or "bad", escape(m.names[each.guess + 1]),
    percent(each.sure), escape(each.name or ""))
end

local function one(each, m)
  if each.words then return explained.figure(each.words, caption(each, m)) end
  local lines = { "<div>", escape(m.names[each.label + 1]), ('</div><div class="%s">%s %s</div>'):format(
    each.label == each.guess and "soft" or "bad", escape(m.names[each.guess + 1]), percent(each.sure)) }
  if each.name then lines[#lines + 1] = ('<div class="soft">%s</div>'):format(escape(each.name)) end
  return each.sound and sound.figure(each.image, each.sound, "", table.unpack(lines))
    or parts.shown(each.image, table.unpack(lines))
end

local function gallery(title, list, m)
  local out, class = {}, nil
  for i, each in ipairs(list) do
    out[i], class = one(each, m), class or each.words and "texts" or each.sound and "sounds"
  end
  return parts.gallery(title, out, class)
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

-- The pictures of a gallery: {image =, label =, guess =, sure =} of each.
local function shown(list, run, predicted, named)
  if run.session and run.session.data.texts then return shown_texts(list, run, predicted) end
  local out = {}
  for k, i in ipairs(list) do
    local rate = run.session and run.session.data.preprocessing.rate
    local at = run.seen.indices and run.seen.indices[i] or i
    local ok, found = pcall(rate and sound.embedded or parts.embedded, run.source, at, rate or parts.stripped(run))
    local image = ok and (rate and found.image or found) or nil
    out[k] = { image = image, sound = ok and rate and found.sound or nil,
      name = (rate or named) and run.source:title(at) or nil,
      label = run.seen.labels[i], guess = predicted[i],
      sure = run.seen.probabilities[i][predicted[i] + 1] }
  end
  return out
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

-- Intervals of the classes' recall by groups, of few classes.
local function recall_by_groups(run, m, right, groups)
  for k, row in ipairs(m.per_class) do
    local of = {}
    for i, label in ipairs(run.seen.labels) do of[i] = label == k - 1 end
    local v = #m.names <= MOST_CLASSES and binary.share(right, groups, of) or {}
    row.recall_interval = { v[2], v[3] }
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
    recall_by_groups(run, m, right, groups)
  end
  if #right == 0 or #m.names == 2 then return end
  m.parts = accuracy_by_part(run, right)
  local by_group, single = groups and groups.repeats
  m.auroc_interval, single, m.auroc_draws = binary.mean_area(run.seen.labels, run.seen.probabilities, groups)
  for k, row in ipairs(m.per_class) do
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
    out.missed, out.alarms = shown(first(missed, 24), run, taken, true), shown(first(alarms, 24), run, taken, true)
    out.wrong = {}
  end
  local rights = {}
  for i, label in ipairs(seen.labels or {}) do rights[i] = m.predicted[i] == label end
  m.predicted = nil
  if #m.names > MOST_CLASSES then m.confusion = nil end
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
  return (d and curves.charts(d) or "") .. calibration(run.metrics, many_of(run))
end

function classes.page(run)
  local m, many = run.metrics, many_of(run)
  local d = m.detection
  local by = d and d.asked and ", by the likelier class" or ""
  local function missed(words, list, n, of)
    local shown_of = n > #list and (", the first %d"):format(#list) or ""
    return gallery(("%s: %d of %d%s"):format(words, n, of, shown_of), list, m)
  end
  return table.concat { run.missed and missed("Missed", run.missed, d.fn, d.tp + d.fn) or "",
    run.alarms and missed("False alarms", run.alarms, d.fp, d.fp + d.tn) or "",
    d and ("<h2>Detection of %s</h2>%s"):format(escape(d.name), curves.section(d, d.negative)) or "",
    m.parts and #m.parts > 0 and "<h2>Parts of the people</h2>" .. curves.parts(m.parts, m.groups) or "",
    "<h2>Classes", by, "</h2>", class_table(m, many), missing_classes(m, many), "<h2>Confusion", by, "</h2>",
    matrix(m), confused(m, many), lengths.page(run.lengths, "accuracy", percent),
    explained.legend(run), gallery("Surest and wrong", run.wrong, m), gallery("Surest and right", run.right, m) }
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
