-- confusion.lua - the order and groups of confused classes, what a report says of two, ten, forty, a hundred and a
-- thousand of them, links to files, bounds of precision and F1. Run by `tlua tests/lua/confusion.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local order = require "tlua.report.confusion.order"
local confusion = require "tlua.report.confusion"
local metrics = require "tlua.report.metrics"
local intervals = require "tlua.report.intervals"
local several = require "tlua.report.findings.several"
local links = require "tlua.report.page.links"
local classes = require "tlua.report.classes"
local chart = require "tlua.report.chart"

-- A generator that is the same everywhere.
local state = 12345
local function draw(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n
end

-- Predictions of n classes with `each` samples: one of five is taken for another of the same family, whose members stand
-- `families` apart; one of fifty for any.
local function predictions(n, each, families)
  local labels, predicted = {}, {}
  for class = 0, n - 1 do
    for _ = 1, each do
      local d, p = draw(50), class
      if d < 10 then p = (class + families * (1 + draw(n // families - 1))) % n
      elseif d == 10 then p = draw(n) end
      labels[#labels + 1], predicted[#predicted + 1] = class, p
    end
  end
  return labels, predicted
end

-- Figures as classes.figures gives them, without areas.
local function figures(n, each, families)
  local labels, predicted = predictions(n, each, families)
  local names = {}
  for k = 1, n do names[k] = ("class %d <&>"):format(k) end
  local matrix = metrics.confusion(labels, predicted, n)
  local list, averages = metrics.per_class(matrix)
  return { names = names, confusion = matrix, per_class = list, averages = averages, count = #labels, accuracy = 0.7,
    confused = metrics.confused(matrix, n > 40 and 40 or 10), predicted = predicted, labels = labels }
end

t.test("classes that are taken for each other are neighbours and groups, whatever their numbers", function()
  -- 1 and 4, 2 and 5 are confused; 3 never is.
  local cells = { { 1, 1, 8 }, { 1, 4, 2 }, { 4, 1, 1 }, { 2, 5, 3 }, { 5, 2, 3 }, { 3, 3, 9 }, { 5, 5, 6 } }
  local list, groups = order.of(cells, { 10, 9, 9, 10, 9 })
  t.equal(table.concat(list, " "), "1 4 2 5 3")
  t.equal(#groups, 2)
  t.equal(table.concat(groups[1], " ") .. ", " .. table.concat(groups[2], " "), "1 4, 2 5")
  t.equal(table.concat((order.of({}, { 3, 0, 3 })), " "), "1 2 3", "nothing is confused")
  t.equal(#select(2, order.of({ { 1, 2, 1 } }, { 0, 0 })), 0, "classes that do not occur")
end)

t.test("average linkage merges as by hand", function()
  -- Shares of 20 pictures: 1-2 0.4, 2-3 0.3, 1-3 0.1, 3-4 0.15: {1, 2} first, then 3-{1, 2} 0.2, then 4 with the rest
  -- 0.05; the ends that meet are the most similar ones.
  local cells = { { 1, 2, 8 }, { 2, 3, 6 }, { 1, 3, 2 }, { 3, 4, 3 } }
  t.equal(table.concat((order.of(cells, { 10, 10, 10, 10 })), " "), "1 2 3 4")
  local again = { { 4, 2, 8 }, { 2, 1, 6 }, { 4, 1, 2 }, { 1, 3, 3 } }
  t.equal(table.concat((order.of(again, { 10, 10, 10, 10 })), " "), "3 1 2 4", "the same with other numbers")
end)

t.test("families of a hundred classes are found, all of them and no others", function()
  local m = figures(100, 30, 20) -- 20 families of five: 1, 21, 41, 61, 81 ...
  local o = confusion.ordered(m)
  local seen = {}
  for _, i in ipairs(o.order) do seen[i] = (seen[i] or 0) + 1 end
  for k = 1, 100 do t.equal(seen[k], 1) end
  local whole = 0
  for _, g in ipairs(o.groups) do
    local family, same = (g[1] - 1) % 20, true
    for _, i in ipairs(g) do same = same and (i - 1) % 20 == family end
    if same and #g == 5 then whole = whole + 1 end
  end
  assert(whole >= 15, ("%d of 20 families"):format(whole))
  t.equal(table.concat(confusion.ordered(m).order, " "), table.concat(o.order, " "), "the same again")
end)

t.test("pages of 2 to 1,000 classes: readable, small, quick", function()
  for _, n in ipairs { 2, 10, 40, 100, 1000 } do
    local m = figures(n, n == 1000 and 10 or 20, math.max(1, n // 5))
    local o = confusion.ordered(m)
    confusion.shorten(m)
    t.equal(m.confusion == nil, n > 40, "what is kept")
    t.equal(#confusion.ordered(m).order, n, "of what is kept")
    local begin = os.clock()
    local page = confusion.page({ metrics = m }, "pictures")
    local seconds = os.clock() - begin
    assert(#page < 1.2e6, ("%d classes: %d bytes"):format(n, #page))
    assert(seconds < 10, ("%d classes: %.1f s"):format(n, seconds))
    assert(page:find('<table class="matrix', 1, true))
    t.equal(page:find('class="map"', 1, true) ~= nil, n > 40)
    assert(page:find "class %d+ &lt;&amp;&gt;")
    assert(not page:find "class %d+ <&>", "names are escaped")
    if n <= 40 then
      local i, j = o.order[1], o.order[2]
      local hits, errors = select(2, page:gsub('<td class="hit"', "")), select(2, page:gsub('<td class="err"', ""))
      local cells = confusion.cells(m.confusion)
      t.equal(hits + errors, #cells, "a coloured cell for each that is not 0")
      assert(page:find(('title="%d of %d class %d &lt;&amp;&gt; recognised'):format(m.confusion[i][i],
        m.per_class[i].support, i), 1, true), "cells say their numbers")
      assert(page:find(('<th scope="col"><span>class %d &lt;&amp;&gt;</span></th><th scope="col"><span>class %d '):format(
        i, j), 1, true), "in their order")
    else
      local data = core.json_decode(page:match '<script type="application/json">(.-)</script>')
      t.equal(#data.names, n)
      t.equal(data.names[1], m.names[o.order[1]])
      t.equal(#data.cells, 3 * #o.cells)
      assert(page:find("Groups that are taken for each other", 1, true))
    end
  end
end)

t.test("an older report without cells says so, and its pairs", function()
  local m = figures(50, 5, 10)
  m.confusion = nil
  local page = confusion.page({ metrics = m }, "pictures")
  assert(page:find("50 classes are too many for a table", 1, true) and page:find("Most confused", 1, true))
end)

t.test("examples of a confused pair: the surest that was taken, the surest that is right", function()
  local run = { seen = { labels = { 0, 0, 0, 1, 1, 1 }, probabilities = { { 0.4, 0.6 }, { 0.1, 0.9 }, { 0.7, 0.3 },
    { 0.2, 0.8 }, { 0.05, 0.95 }, { 0.9, 0.1 } } } }
  local list = confusion.examples(run, { predicted = { 1, 1, 0, 1, 1, 0 }, confused = { { label = 0, predicted = 1,
    count = 2 }, { label = 1, predicted = 0, count = 1 } } })
  t.equal(list[1].taken, 2)
  t.equal(list[1].other, 5)
  t.equal(list[2].taken, 6)
  t.equal(list[2].other, 3)
end)

t.test("bounds of precision are Wilson's; those of F1 hold 95 of 100 times", function()
  local list = metrics.per_class { { 8, 2 }, { 1, 9 } }
  local low, high = intervals.wilson(8, 9)
  t.equal(list[1].precision_interval[1], low)
  t.equal(list[1].precision_interval[2], high)
  -- F1 is 2 J / (1 + J) of J = TP / (TP + FP + FN)
  low, high = intervals.wilson(8, 11)
  t.equal(list[1].f1_interval[1], 2 * low / (1 + low))
  t.equal(list[1].f1_interval[2], 2 * high / (1 + high))
  t.equal(#metrics.per_class({ { 0, 0 }, { 0, 3 } })[1].f1_interval, 0, "a class that is not there")
  -- 200 pictures with TP 0.3, FP 0.1, FN 0.1, TN 0.5: the true F1 is 0.75.
  local held, tries = 0, 400
  for _ = 1, tries do
    local m = { { 0, 0 }, { 0, 0 } }
    for _ = 1, 200 do
      local d = draw(10)
      local i, j = (d < 3 or d == 4) and 1 or 2, d < 4 and 1 or 2
      m[i][j] = m[i][j] + 1
    end
    local b = metrics.per_class(m)[1].f1_interval
    if b[1] <= 0.75 and 0.75 <= b[2] then held = held + 1 end
  end
  assert(held >= 0.91 * tries and held <= 0.99 * tries, ("%d of %d"):format(held, tries))
end)

t.test("bins with few are joined to the next, and none is lost", function()
  local bins = {}
  for k, n in ipairs { 3, 0, 4, 30, 0, 5, 18, 40, 2 } do
    bins[k] = { confidence = k / 10, accuracy = n > 0 and 0.5 or 0, right = n / 2, count = n }
  end
  local list = several.joined(bins, 20)
  local counts = {}
  for k, b in ipairs(list) do counts[k] = ("%d"):format(b.count) end
  t.equal(table.concat(counts, " "), "37 23 42")
  assert(math.abs(list[1].confidence - (3 * 0.1 + 4 * 0.3 + 30 * 0.4) / 37) < 1e-12)
  t.equal(list[2].accuracy, 0.5)
  t.equal(#several.joined({ { confidence = 0.9, accuracy = 1, count = 3 } }, 20), 1, "all of them are few")
end)

t.test("curves of several classes: the areas under them are those that are said", function()
  local labels, rows = {}, {}
  for i = 1, 300 do
    local label = i % 4
    local row = {}
    for k = 1, 4 do row[k] = 0.1 + draw(1000) / 1000 + (k - 1 == label and 0.5 or 0) end
    labels[i], rows[i] = label, row
  end
  local m = metrics.summary(labels, rows, { "a", "b", "c", "d" })
  m.curves = several.gather(m, labels, rows)
  t.equal(#m.curves.classes, 4)
  local function under(points)
    local sum = 0
    for k = 2, #points do
      sum = sum + (points[k][1] - points[k - 1][1]) * (points[k][2] + points[k - 1][2]) / 2
    end
    return sum
  end
  for _, each in ipairs(m.curves.classes) do
    assert(math.abs(under(each.roc) - m.per_class[each.class].auroc) < 0.02, m.names[each.class])
  end
  assert(math.abs(under(m.curves.roc) - m.auroc) < 0.005, "the mean")
  local html = several.charts(m)
  assert(html:find("mean over classes", 1, true) and html:find('tabindex="0" role="img"', 1, true))
  rows[1][2] = 0 / 0
  t.equal(several.gather(m, labels, rows), nil, "scores that are no numbers")
end)

t.test("links lead from the page to the file, and are addresses", function()
  t.equal(links.relative("/a/b", "/a/c/d.png"), "../c/d.png")
  t.equal(links.relative("/a/b/", "/a/b/d.png"), "d.png")
  t.equal(links.relative("/a/./x/../b", "/a/b/e/d.png"), "e/d.png")
  t.equal(links.relative("runs/mine", "pictures/1.png"), "../../pictures/1.png")
  t.equal(links.folder_of "a/b.png", "a")
  t.equal(links.folder_of "b.png", ".")
  t.equal(links.folder_of "/b.png", "/")
  t.equal(links.address "a b/50%#1?.png", "a%20b/50%25%231%3F.png")
end)

t.test("lines beyond six have dashes of their own, long names keep both ends", function()
  local series = {}
  for k = 1, 13 do series[k] = { name = ("run number %d of them all"):format(k), points = { { 1, k }, { 2, k } } } end
  local html = chart.lines(series, { x = "epoch", y = "loss", names = true })
  local looks, n = {}, 0
  for look in html:gmatch '<polyline class="([^"]*)"' do
    assert(not looks[look], look)
    looks[look], n = true, n + 1
  end
  t.equal(n, 13)
  t.equal(chart.shortened("a-very-long-name-of-a-run", 12), "a-ver…-a-run")
  t.equal(chart.shortened("ünïcödë-ünïcödë", 7), "ünï…ödë")
  local last = -1
  for y in html:gmatch '<text class="axis name" x="[%d.]+" y="([%d.]+)"' do
    assert(tonumber(y) - last >= 12.9 or last < 0, "names lie over each other")
    last = tonumber(y)
  end
end)

t.test("figures of each class have their bounds in the table, and old ones do without", function()
  local m = figures(3, 20, 1)
  m.calibration = {}
  for _, row in ipairs(m.per_class) do row.auroc, row.average_precision = 0.9, 0.8 end
  m.auroc, m.average_precision = 0.9, 0.8
  local page = classes.page { metrics = m, wrong = {}, right = {} }
  local b = m.per_class[1].f1_interval
  assert(page:find(("(%.3f to %.3f)"):format(b[1], b[2]), 1, true), "the bounds of F1")
  for _, row in ipairs(m.per_class) do
    row.precision_interval, row.f1_interval, row.recall_interval, row.average_precision = nil, nil, nil, nil
  end
  assert(classes.page { metrics = m, wrong = {}, right = {} }, "an older report")
end)

t.finish()
