-- report.lua - what a run has to say, as one page that needs nothing else: report.html in the run's folder. Charts are SVG, pictures are
-- embedded, nothing is fetched and no script is run.
local core = require "tlua.core"
local util = require "tlua.util"
local chart = require "tlua.report.chart"
local metrics = require "tlua.report.metrics"
local intervals = require "tlua.report.intervals"
local report = {}
local escape = chart.escape

local STYLE = [[
:root{color-scheme:light dark;--bg:#fff;--fg:#1d2129;--soft:#5c6570;--line:#e2e5ea;--card:#f6f7f9;--c1:#0b62a4;--c2:#d1602b;--c3:#2e8540;--c4:#7a4ba3;--c5:#b0861a;--c6:#c23f5e;--heat:11,98,164}
@media (prefers-color-scheme:dark){:root{--bg:#14161a;--fg:#e6e8eb;--soft:#9aa3ad;--line:#2c3138;--card:#1c2026;--c1:#6db3f2;--c2:#f0935f;--c3:#6fc583;--c4:#bb92e0;--c5:#e0bb5a;--c6:#f08aa4;--heat:109,179,242}}
*{box-sizing:border-box}body{margin:0 auto;padding:24px 20px 60px;max-width:1180px;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:26px;margin:0 0 2px}h2{font-size:18px;margin:34px 0 10px;border-bottom:1px solid var(--line);padding-bottom:4px}.soft{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:18px 0}.tile{background:var(--card);border-radius:8px;padding:12px 14px}.tile b{display:block;font-size:24px;line-height:1.2}.tile span{color:var(--soft);font-size:13px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:18px}.charts figure{margin:0}figcaption{font-weight:600;margin-bottom:4px}
svg.chart{width:100%;height:auto;display:block}.grid{stroke:var(--line)}.axis{fill:var(--soft);font-size:11px}polyline{fill:none;stroke-width:2}.dashed{stroke-dasharray:5 4}
.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}.c6{stroke:var(--c6)}
circle.c1{fill:var(--c1)}circle.c2{fill:var(--c2)}circle.c3{fill:var(--c3)}circle.c4{fill:var(--c4)}circle.c5{fill:var(--c5)}circle.c6{fill:var(--c6)}
.legend{margin:4px 0 0;font-size:13px;color:var(--soft)}.key{margin-right:14px;white-space:nowrap}.key i{display:inline-block;width:16px;height:3px;margin-right:6px;vertical-align:middle}
.b1{background:var(--c1)}.b2{background:var(--c2)}.b3{background:var(--c3)}.b4{background:var(--c4)}.b5{background:var(--c5)}.b6{background:var(--c6)}
.swatch{display:inline-block;width:16px;height:3px;margin-right:8px;vertical-align:middle}i.dashed{opacity:.55}h3{font-size:15px;margin:18px 0 6px}.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px}th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}th:first-child,td:first-child{text-align:left}th{font-weight:600;color:var(--soft)}
.matrix td{text-align:center;padding:4px 7px;border:1px solid var(--line);min-width:34px}.matrix th{font-size:12px}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(112px,1fr));gap:12px}.pictures figure{margin:0;font-size:12px;line-height:1.35}.pictures img{width:100%;aspect-ratio:1;object-fit:cover;border-radius:6px;background:var(--card);image-rendering:auto}.bad{color:var(--c6)}
.words td,.words th{padding:4px 9px}td.left,th.left{text-align:left}.first td{border-top:2px solid var(--line)}.good{color:var(--c3)}
.bars{display:grid;grid-template-columns:max-content 1fr max-content;gap:8px 12px;align-items:center;font-size:13px;margin-top:12px}.bars i{height:18px;min-width:2px;border-radius:3px}
pre{background:var(--card);padding:14px;border-radius:8px;overflow-x:auto;font-size:13px;line-height:1.4}dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.command{margin:14px 0 10px;white-space:pre-wrap;overflow-wrap:anywhere}.ran{font-size:13px;gap:2px 14px}
@media print{body{max-width:none;padding:0}.wide{overflow:visible}table{font-size:11px}th,td{padding:2px 5px}pre{white-space:pre-wrap}h2{break-after:avoid}figure,tr,.tile{break-inside:avoid}}
@media (max-width:520px){.axis{font-size:14px}dl{grid-template-columns:1fr}dt{margin-top:6px}h1{font-size:21px}}
]]

-- ---- pieces ----

-- Numbers that are none (and come back from JSON as nil) are a dash.
local function percent(v) return v and v == v and ("%.1f %%"):format(100 * v) or "–" end
local function plain(v) return v and v == v and ("%.3f"):format(v) or "–" end

local function tile(value, what) return ('<div class="tile"><b>%s</b><span>%s</span></div>'):format(escape(value), escape(what)) end

-- The beginning of a page, up to its body.
function report.head(title)
  return ('<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>%s</title><link rel="icon" href="data:,"><style>%s</style><body>'):format(escape(title), STYLE)
end

local function figure(title, series, options)
  return ("<figure><figcaption>%s</figcaption>%s%s</figure>"):format(escape(title), chart.lines(series, options), #series > 1 and chart.legend(series) or "")
end

report.figure = figure
report.PERCENT = { 0, 100 } -- the axis of percentages that are all the same

-- The points of a curve. What is no number has no place in it.
local function column(rows, key)
  local points = {}
  for _, row in ipairs(rows) do
    if row[key] and util.is_finite(row[key]) then points[#points + 1] = { row.epoch, row[key] } end
  end
  return points
end

report.column = column

local function curves(rows)
  local whole = { x = "epoch", x_whole = true }
  local function options(y, same) return { x = whole.x, x_whole = true, y = y, y_same = same } end
  return table.concat {
    figure("Loss", { { name = "training", points = column(rows, "loss") }, { name = "test", points = column(rows, "test_loss") } }, options "loss"),
    figure("Accuracy, percent", { { name = "training", points = column(rows, "train_accuracy") }, { name = "test", points = column(rows, "test_accuracy") } }, options("accuracy", report.PERCENT)),
    figure("Learning rate", { { name = "rate", points = column(rows, "lr") } }, options "rate"),
  }
end

local function class_table(m)
  local out = { '<div class="wide"><table><tr><th>class</th><th>precision</th><th>recall</th><th>95 %</th><th>F1</th><th>pictures</th></tr>' }
  local function line(class, name, row, interval, pictures)
    out[#out + 1] = ("<tr><td%s>%s</td><td>%s</td><td>%s</td><td class=\"soft\">%s</td><td>%s</td><td>%d</td></tr>"):format(class, escape(name), plain(row.precision), plain(row.recall),
      interval or "", plain(row.f1), pictures)
  end
  for i, row in ipairs(m.per_class) do
    -- A class that neither occurs nor was predicted has no figures. Reports of older tluas do not say what was predicted.
    local none = row.predicted and row.support + row.predicted == 0
    local low, high = table.unpack(row.recall_interval or {})
    line("", m.names[i], none and {} or row, low and ("%.3f to %.3f"):format(low, high), row.support)
  end
  for _, key in ipairs { "macro", "weighted" } do line(' class="soft"', key .. " mean", m.averages[key], nil, m.count) end
  return table.concat(out) .. "</table></div>"
end

-- Why some figures are a dash.
local function missing_classes(m)
  local list = {}
  for i, row in ipairs(m.per_class) do
    if row.support == 0 then list[#list + 1] = m.names[i] end
  end
  if #list == 0 then return "" end
  return ('<p class="soft">No test picture of %s: the area under the ROC curve and average precision are means over all classes and not defined; the macro mean leaves out classes that neither occur nor were predicted.</p>'):format(
    escape(util.first_few(list, 8)))
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

local function confused(m)
  if #m.confused == 0 then return "" end
  local out = { "<h2>Most confused</h2><div class=\"wide\"><table><tr><th>class</th><th>taken for</th><th>pictures</th></tr>" }
  for _, pair in ipairs(m.confused) do
    out[#out + 1] = ("<tr><td>%s</td><td>%s</td><td>%d</td></tr>"):format(escape(m.names[pair.label + 1]), escape(m.names[pair.predicted + 1]), pair.count)
  end
  return table.concat(out) .. "</table></div>"
end

local function calibration(m)
  local points = {}
  for _, bin in ipairs(m.calibration) do
    if bin.count > 0 then points[#points + 1] = { bin.confidence, bin.accuracy } end
  end
  return figure(("Calibration: error %s"):format(plain(m.calibration_error)), { { name = "accuracy of pictures of this confidence", points = points },
    { name = "as sure as right", points = { { 0, 0 }, { 1, 1 } }, dashed = true } }, { x = "confidence", y = "accuracy", x_range = { 0, 1 }, y_range = { 0, 1 } })
end

-- ---- pictures ----

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

function report.base64(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for k = 3, 0, -1 do
      local digit = (n >> 6 * k & 63) + 1
      out[#out + 1] = (k == 1 and not b or k == 0 and not c) and "=" or DIGITS:sub(digit, digit)
    end
  end
  return table.concat(out)
end

local THUMB = 112 -- pixels

-- Picture `index` of a source as a data address, at most about twice THUMB on its shorter side.
local function embedded(source, index)
  local scope <close> = core.scope()
  local x = source:read(index)
  local h, w, c = table.unpack(x:shape())
  local k = math.min(h, w) // THUMB
  if k >= 2 then
    local small = core.ops.avg_pool(x:to "float32":reshape(1, h, w, c), { kernel = { k, k }, stride = { k, k } })
    x = (small:reshape(h // k, w // k, c) + 0.5):to "uint8"
  end
  local path = os.tmpname()
  core.image_write(path, x)
  local bytes = core.read_file(path)
  os.remove(path)
  return "data:image/png;base64," .. report.base64(bytes)
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

local function gallery(title, list, m)
  if #list == 0 then return "" end
  local out = { ("<h2>%s</h2><div class=\"pictures\">"):format(escape(title)) }
  for _, each in ipairs(list) do
    out[#out + 1] = ('<figure>%s<div>%s</div><div class="%s">%s %s</div></figure>'):format(each.image and ('<img alt="" src="%s">'):format(each.image) or "",
      escape(m.names[each.label + 1]), each.label == each.guess and "soft" or "bad", escape(m.names[each.guess + 1]), percent(each.sure))
  end
  return table.concat(out) .. "</div>"
end

-- ---- the page ----

local function facts(list, class)
  local out = {}
  for _, each in ipairs(list) do
    if each[2] and each[2] ~= "" then out[#out + 1] = ("<dt>%s</dt><dd>%s</dd>"):format(escape(each[1]), escape(each[2])) end
  end
  return ("<dl%s>%s</dl>"):format(class and (' class="%s"'):format(class) or "", table.concat(out))
end

-- The pictures of a gallery: {image =, label =, guess =, sure =} of each.
local function shown(list, run, predicted)
  local out = {}
  for k, i in ipairs(list) do
    local ok, image = pcall(embedded, run.source, i)
    out[k] = { image = ok and image or nil, label = run.labels[i], guess = predicted[i], sure = run.probabilities[i][predicted[i] + 1] }
  end
  return out
end

-- All that a page says, as numbers and texts alone: what report.json holds. run: title, subtitle, name, labels, probabilities, names (of the
-- classes), rows (epochs), source (test pictures), seconds, trained, parameters, peak_bytes, commands, ran and facts (tlua/run/ran.lua), test (count and hash of the test
-- pictures), fields, recipe.
function report.gather(run)
  local m = metrics.summary(run.labels, run.probabilities, run.names)
  local right, wrong = extremes(run.labels, run.probabilities, m.predicted, 12)
  local out = { format = 1, metrics = m, wrong = shown(wrong, run, m.predicted), right = shown(right, run, m.predicted) }
  for _, name in ipairs { "title", "subtitle", "name", "rows", "seconds", "trained", "parameters", "peak_bytes", "commands", "ran", "facts", "test", "fields", "recipe" } do out[name] = run[name] end
  out.rows = util.for_json(run.rows)
  m.predicted = nil
  if #m.names > MOST_CLASSES then m.confusion = nil end
  return out
end

-- What ran, at the head of the page: the commands and what they came to. Reports of older tluas do not have it.
local function head_of(run)
  if not run.ran then return "" end
  local commands = {}
  for i, command in ipairs(run.commands or {}) do commands[i] = escape(command) end
  return (#commands > 0 and ('<pre class="command">%s</pre>'):format(table.concat(commands, "\n")) or "") .. facts(run.ran, "ran")
end

-- The bounds are Wilson's for the pictures that were counted, also in reports of an older tlua, whose own could be of no width.
local function tiles(m)
  local right = m.right or math.floor(m.accuracy * m.count + 0.5)
  return table.concat { tile(percent(m.accuracy), ("accuracy on %s test pictures (95\u{A0}%%: %s)"):format(util.thousands(m.count), intervals.text(intervals.wilson(right, m.count)))),
    tile(percent(m.balanced_accuracy), "balanced accuracy"), tile(plain(m.averages.macro.f1), "F1, mean over classes"), tile(plain(m.auroc), "area under the ROC curve"),
    tile(plain(m.average_precision), "average precision"), tile(plain(m.kappa), "Cohen's kappa"), m.top_5 and tile(percent(m.top_5), "among the five likeliest") or "" }
end

-- The page of what report.gather gave.
function report.page(run)
  local m, rows = run.metrics, util.from_json(run.rows)
  local tested = m.count > 0
  return table.concat {
    report.head(run.title),
    ("<h1>%s</h1><p class=\"soft\">%s</p>"):format(escape(run.title), escape(run.subtitle)),
    head_of(run), '<div class="tiles">', tested and tiles(m) or tile("–", "accuracy: there is no test picture"), tile(util.clock(run.seconds), "from start to end"), "</div>",
    "<h2>Training</h2><div class=\"charts\">", curves(rows), tested and calibration(m) or "", "</div>",
    tested and table.concat { "<h2>Classes</h2>", class_table(m), missing_classes(m), "<h2>Confusion</h2>", matrix(m), confused(m),
      gallery("Surest and wrong", run.wrong, m), gallery("Surest and right", run.right, m) } or "",
    "<h2>The run</h2>", facts(run.facts),
    run.recipe and ("<h2>The recipe</h2><pre>%s</pre>"):format(escape(run.recipe)) or "", "</body></html>\n" }
end

report.percent, report.plain = percent, plain
return report
