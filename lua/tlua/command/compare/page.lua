-- page.lua - a comparison as one page: the table, what it says, and plots over the number of pictures.
local util = require "tlua.util"
local chart = require "tlua.report.chart"
local report = require "tlua.report"
local parts = require "tlua.report.parts"
local tables = require "tlua.command.compare.tables"
local ways = require "tlua.command.compare.ways"
local identifiers = require "tlua.data.identifiers"
local page = {}
local escape = chart.escape

-- How much the ways of a row were trained on: pictures of a class, or minutes.
local function amount(c, row)
  return row.minutes or c.options.pictures and row.pictures or row.pictures / c.counts.class_count
end

-- One line a way over the pictures of each class: value(row) -> y, low, high.
local function lines_of(c, summary, value)
  local series = {}
  for i, way in ipairs(c.options.ways) do
    local points = {}
    for _, row in ipairs(summary.rows) do
      if row.way == way.name and value(row) then points[#points + 1] = { amount(c, row), value(row) } end
    end
    table.sort(points, function(a, b) return a[1] < b[1] end)
    series[i] = { name = way.name, points = points }
  end
  return series
end

-- Where the axis says something: at the numbers of pictures that were tried.
local function ticks_of(c, summary)
  local list, known = {}, {}
  for _, row in ipairs(summary.rows) do
    local x = amount(c, row)
    if not known[x] then list[#list + 1] = { x, row.per_class == "all" and ("all (%.0f)"):format(x)
      or tables.size_text(row.per_class) } end
    known[x] = true
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local function plots(c, summary)
  local x = { x = select(2, ways.amounts(c.options)).x, x_log = true, x_ticks = ticks_of(c, summary) }
  local function options(more) return setmetatable(more, { __index = x }) end
  local f = summary.figure
  local percent = f[3]:find "%%%%" ~= nil
  local out = {
    report.figure(util.capital(f[2]) .. (percent and ", percent" or "") .. "; bars: deviation over the seeds",
      lines_of(c, summary, function(r)
        local low, high = r.spread and r.accuracy - r.spread, r.spread and r.accuracy + r.spread
        return r.accuracy, low and percent and math.max(low, 0) or low, high and percent and math.min(high, 100) or high
      end), options { y = f[2], y_same = report.axis(f) }),
    report.figure("Training time, seconds (features included)", lines_of(c, summary, function(r) return math.max(r.seconds + r.features, 0.01) end), options { y = "seconds", y_log = true }),
  }
  local any = false
  for _, row in ipairs(summary.rows) do any = any or row.joules ~= nil end
  if any then out[#out + 1] = report.figure("Energy of the processor, joules", lines_of(c, summary, function(r) return r.joules and math.max(r.joules, 0.1) end), options { y = "joules", y_log = true }) end
  return table.concat(out)
end

-- Bars of a figure that depends on the way alone: the largest of its rows.
local function bars(c, summary, title, name, text)
  local most, list = 0, {}
  for i, way in ipairs(c.options.ways) do
    local v = 0
    for _, row in ipairs(summary.rows) do
      if row.way == way.name then v = math.max(v, row[name]) end
    end
    list[i], most = { way.name, v }, math.max(most, v)
  end
  local out = { ("<figure><figcaption>%s</figcaption><div class=\"bars\">"):format(escape(title)) }
  for i, each in ipairs(list) do
    out[#out + 1] = ('<span>%s</span><i class="b%d" style="width:%.1f%%"></i><span>%s</span>'):format(escape(each[1]), (i - 1) % 6 + 1, most > 0 and 100 * each[2] / most or 0, escape(text(each[2])))
  end
  return table.concat(out) .. "</div></figure>"
end

local function result_table(summary)
  local list = tables.columns(summary)
  local out = { '<table class="words"><thead><tr>' }
  for _, column in ipairs(list) do
    out[#out + 1] = ('<th scope="col"%s>%s</th>'):format(column.left and ' class="left"' or "", escape(column[1]))
  end
  out[#out + 1] = "</tr></thead><tbody>"
  local last
  for _, row in ipairs(summary.rows) do
    out[#out + 1] = row.per_class ~= last and last and '<tr class="first">' or "<tr>"
    last = row.per_class
    for k, column in ipairs(list) do
      local class = column.left and "left" or k == 5 and (row.verdict == "better" and "good" or row.verdict == "worse" and "bad" or "soft") or ""
      out[#out + 1] = ('<td class="%s">%s</td>'):format(class, escape(column[2](row)))
    end
    out[#out + 1] = "</tr>"
  end
  return parts.wide("Results of the ways", table.concat(out) .. "</tbody></table>")
end

local function list_of_ways(c)
  local out = {}
  for _, way in ipairs(c.options.ways) do out[#out + 1] = ("<dt>%s</dt><dd>%s</dd>"):format(escape(way.name), escape(way.why or "")) end
  return "<dl>" .. table.concat(out) .. "</dl>"
end

local function list_of_notes(summary)
  local out = {}
  for i, note in ipairs(summary.notes) do out[i] = ("<p>%s</p>"):format(escape(note)) end
  return table.concat(out)
end

-- The page of a comparison; `summary` as tables.summary gives it.
function page.html(c, summary)
  local title = ("Transfer or from scratch: %s on %s"):format(c.recipe.model:label(), c.counts.title)
  local left = summary.cells < summary.all and ("; %d of %d cells are finished"):format(summary.cells, summary.all) or ""
  return table.concat { report.head(title),
    ("<h1>%s</h1><p class=\"soft\">%s test %s, seeds %s%s</p>"):format(escape(title),
      util.thousands(c.counts.test), c.counts.many, escape(table.concat(c.options.seeds, ", ")), left),
    ("<h2>Against the %s</h2><div class=\"charts\">"):format(c.options.minutes and "minutes of clips" or "number of "
      .. c.counts.many),
    plots(c, summary), bars(c, summary, "Peak device memory", "peak", util.bytes),
    bars(c, summary, "Trained parameters", "trained", util.thousands), "</div>",
    "<h2>The table</h2>", result_table(summary), list_of_notes(summary), "<h2>The ways</h2>", list_of_ways(c),
    c.recipe.text and ("<h2>The recipe</h2><pre tabindex=\"0\">%s</pre>"):format(escape(identifiers.hidden(c.recipe.data,
      c.recipe.text))) or "", report.FOOT }
end

return page
