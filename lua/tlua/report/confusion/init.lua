-- confusion/init.lua - which classes are taken for which, for two classes as for a thousand. Classes stand in the order
-- of order.lua. Up to MOST_CLASSES are a table; more are a picture of all cells, a table for each group of classes that
-- are taken for each other, and the pairs that are mistaken most, with a picture of each.
local util = require "tlua.util"
local core = require "tlua.core"
local parts = require "tlua.report.parts"
local gallery = require "tlua.report.page.gallery"
local order = require "tlua.report.confusion.order"
local confusion = {}
local escape, percent = parts.escape, parts.percent

confusion.MOST_CLASSES = 40 -- a larger table cannot be read
local MOST_GROUPS, OPEN_GROUPS = 20, 3
local SIDE = 500 -- pixels of the picture of all cells at most
local MOST_PAIRS = 8 -- that are shown as pictures
local SHADE = 0.5 -- of a full cell: text is readable on it, in light and dark

-- ---- what is kept ----

-- Cells of a table { {i, j, count}, ... } from 1 that are not 0, row by row.
function confusion.cells(matrix)
  local out = {}
  for i, row in ipairs(matrix) do
    for j, n in ipairs(row) do
      if n > 0 then out[#out + 1] = { i, j, n } end
    end
  end
  return out
end

-- In figures that are kept, the table of many classes as a list i, j, count, i, j, count ... of what is not 0.
function confusion.shorten(m)
  if not m.confusion or #m.names <= confusion.MOST_CLASSES then return end
  local flat = {}
  for _, c in ipairs(confusion.cells(m.confusion)) do flat[#flat + 1], flat[#flat + 2], flat[#flat + 3] = c[1], c[2], c[3] end
  m.confusion, m.confusion_cells = nil, flat
end

-- Cells of kept figures, in either form; nil where an older tlua kept none.
function confusion.cells_of(m)
  if m.confusion then return confusion.cells(m.confusion) end
  local flat = m.confusion_cells
  if not flat then return nil end
  local out = {}
  for k = 1, #flat - 2, 3 do out[#out + 1] = { flat[k], flat[k + 1], flat[k + 2] } end
  return out
end

-- Cells, order of the classes and groups of kept figures; nil where they have no cells.
function confusion.ordered(m)
  local cells = confusion.cells_of(m)
  if not cells then return nil end
  local support = {}
  for k, row in ipairs(m.per_class) do support[k] = row.support end
  local list, groups = order.of(cells, support)
  return { cells = cells, support = support, order = list, groups = groups }
end

-- ---- pairs as pictures ----

-- Of the pairs that are confused most a picture of the one class that was taken for the other (the surest), and one of
-- the other class (the surest that is right, else any): { {label =, predicted =, count =, taken =, other =}, ... } with
-- places in run.seen.
function confusion.examples(run, m)
  local seen, out, at = run.seen, {}, {}
  for k, pair in ipairs(m.confused or {}) do
    if k > MOST_PAIRS then break end
    out[k] = { label = pair.label, predicted = pair.predicted, count = pair.count }
    at[pair.label], at[pair.predicted] = true, true
  end
  for i, label in ipairs(seen.labels or {}) do
    local guess = m.predicted[i]
    for _, each in ipairs(at[label] and out or {}) do
      local sure = seen.probabilities[i][guess + 1]
      if label == each.label and guess == each.predicted and (not each.taken or sure > each.taken_sure) then
        each.taken, each.taken_sure = i, sure
      elseif label == each.predicted then
        local rank = guess == label and 1 + sure or 1 - sure
        if not each.other or rank > each.other_rank then each.other, each.other_rank = i, rank end
      end
    end
  end
  for _, each in ipairs(out) do each.taken_sure, each.other_rank = nil, nil end
  return out
end

local function half(run, m, each)
  local said = ("%s, taken for %s"):format(m.names[each.label + 1], m.names[each.guess + 1])
  return gallery.figure(run, each, said, nil, ('<div>%s</div><div class="%s">%s %s</div>'):format(
    parts.name(m.names[each.label + 1]), each.label == each.guess and "good" or "bad",
    parts.name(m.names[each.guess + 1]),
    percent(each.sure)))
end

local function pictures(run, m)
  local out = {}
  for k, pair in ipairs(run.pairs or {}) do
    out[k] = ('<div class="pair"><h3>%s, taken for %s: %d</h3><div>%s%s</div></div>'):format(
      parts.name(m.names[pair.label + 1]), parts.name(m.names[pair.predicted + 1]), pair.count, pair.taken
      and half(run, m, pair.taken) or "", pair.other and half(run, m, pair.other) or "")
  end
  if #out == 0 then return "" end
  return '<p class="soft">On the left a picture that was taken for the other class, on the right one of that class.</p>'
    .. '<div class="pairs">' .. table.concat(out) .. "</div>"
end

-- ---- a table ----

local FLAT = 3 -- columns of a name that needs no turning

-- Do names stand upright over their columns? Of many classes that are not called 0 to 9.
local function is_steep(m, list)
  local longest = 0
  for _, j in ipairs(list) do longest = math.max(longest, core.text.width(m.names[j])) end
  return #list > 6 and longest > FLAT
end

-- The table of some classes (numbers from 1) in this order. counts: by i a table of j, how often.
local function matrix(m, list, counts, support)
  local steep = is_steep(m, list) and " steep" or #list > 6 and " narrow" or ""
  local out = { ('<div class="wide" tabindex="0" role="group" aria-label="Confusion of %d classes"><table '):format(#list),
    ('class="matrix%s"><thead><tr><th>is \\ taken for</th>'):format(steep) }
  for _, j in ipairs(list) do out[#out + 1] = ('<th scope="col"><span>%s</span></th>'):format(escape(m.names[j])) end
  out[#out + 1] = "</tr></thead><tbody>"
  for _, i in ipairs(list) do
    local name = escape(m.names[i])
    out[#out + 1] = ('<tr><th scope="row">%s</th>'):format(name)
    for _, j in ipairs(list) do
      local n = counts[i] and counts[i][j] or 0
      if n == 0 then out[#out + 1] = "<td></td>"
      else
        local share = support[i] > 0 and n / support[i] or 0
        local what = i == j and "recognised" or "taken for " .. escape(m.names[j])
        out[#out + 1] = ('<td class="%s" style="--a:%.2f" title="%d of %d %s %s, %s">%d</td>'):format(
          i == j and "hit" or "err", i == j and SHADE * share or SHADE * math.max(0.25, math.sqrt(share)), n,
          support[i], name, what, percent(share), n)
      end
    end
    out[#out + 1] = "</tr>"
  end
  return table.concat(out) .. "</tbody></table></div>"
end

local function counts_of(cells)
  local counts = {}
  for _, c in ipairs(cells) do
    counts[c[1]] = counts[c[1]] or {}
    counts[c[1]][c[2]] = c[3]
  end
  return counts
end

-- ---- a picture ----

local function mixed(a, colour)
  local out = {}
  for k = 1, 3 do out[k] = math.floor(255 + a * (colour[k] - 255) + 0.5) end
  return out
end

local HIT, ERR = { 11, 98, 164 }, { 190, 70, 10 }

-- All cells as a picture, errors in another colour than what is right. Of many classes several share a pixel, which
-- has the most of them.
local function drawn(cells, place, support)
  local n = #support
  local step = math.max(1, math.ceil(n / SIDE))
  local side = math.ceil(n / step)
  local shade, wrong = {}, {}
  for _, c in ipairs(cells) do
    local i, j = (place[c[1]] - 1) // step, (place[c[2]] - 1) // step
    local at, share = i * side + j, support[c[1]] > 0 and c[3] / support[c[1]] or 0
    local is_wrong = c[1] ~= c[2]
    local a = is_wrong and math.max(0.3, math.sqrt(share)) or 0.15 + 0.85 * share
    -- An error next to the diagonal shares its pixel, and is not what the diagonal is there for.
    if not shade[at] or (wrong[at] == is_wrong and a > shade[at]) or (wrong[at] and not is_wrong and i == j) then
      shade[at], wrong[at] = a, is_wrong
    end
  end
  local bytes = {}
  for at = 0, side * side - 1 do
    local p = shade[at] and mixed(shade[at], wrong[at] and ERR or HIT)
    bytes[at + 1] = p and string.char(p[1], p[2], p[3]) or "\255\255\255"
  end
  local scope <close> = core.scope()
  local rows = {}
  for y = 1, side do
    rows[y] = { table.concat(bytes, "", (y - 1) * side + 1, y * side):byte(1, -1) }
  end
  return parts.picture(core.tensor(rows, { dtype = "uint8" }):reshape(side, side, 3))
end

-- What a script needs to say a cell's numbers: names and how often each occurs in their order, and the cells in it.
local function data_of(m, o, place)
  local names, support, flat = {}, {}, {}
  for k, i in ipairs(o.order) do names[k], support[k] = m.names[i], ("%d"):format(o.support[i]) end
  local cells = {}
  for k, c in ipairs(o.cells) do cells[k] = { place[c[1]] - 1, place[c[2]] - 1, c[3] } end
  table.sort(cells, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  for k, c in ipairs(cells) do flat[k] = ("%d,%d,%d"):format(c[1], c[2], c[3]) end
  local text = ('{"names":%s,"support":[%s],"cells":[%s]}'):format(core.json_encode(names),
    table.concat(support, ","), table.concat(flat, ","))
  return (text:gsub("<", "\\u003c"))
end

local function map(m, o)
  local place = {}
  for k, i in ipairs(o.order) do place[i] = k end
  local ok, image = pcall(drawn, o.cells, place, o.support)
  if not ok then return ('<p class="soft">The map cannot be drawn: %s</p>'):format(escape(util.reason(image))) end
  return table.concat { '<figure class="map"><div class="mapped" role="group" aria-label="Cells of the confusion, ',
    'arrow keys go from error to error"><img alt="', ("Confusion of %d classes; the tables below say it in words"):format(
    #m.names), '" src="', image, '"><i class="spot"></i></div>',
    '<p class="said soft" role="status">Down: what is so; to the right: what it was taken for. Blue is right, orange ',
    "wrong. A place says its numbers when it is touched, arrow keys go from error to error.</p>",
    '<script type="application/json">', data_of(m, o, place), "</script></figure>" }
end

-- How many errors the classes of a group make among themselves, and of how many pictures.
local function weight(group, counts, support)
  local inside, all, among = {}, 0, 0
  for _, i in ipairs(group) do inside[i] = true end
  for _, i in ipairs(group) do
    all = all + support[i]
    for j, n in pairs(counts[i] or {}) do
      if i ~= j and inside[j] then among = among + n end
    end
  end
  return among, all
end

-- The groups with the most errors first, each {list =, errors =, count =}.
function confusion.groups(o)
  local counts, out = counts_of(o.cells), {}
  for k, group in ipairs(o.groups) do
    local errors, count = weight(group, counts, o.support)
    out[k] = { list = group, errors = errors, count = count, first = group[1] }
  end
  table.sort(out, function(a, b)
    if a.errors ~= b.errors then return a.errors > b.errors end
    return a.first < b.first
  end)
  return out, counts
end

local function groups(m, o, many)
  local list, counts = confusion.groups(o)
  local out, all, shown = {}, 0, 0
  for _, c in ipairs(o.cells) do all = all + (c[1] ~= c[2] and c[3] or 0) end
  for k, g in ipairs(list) do
    if k > MOST_GROUPS then break end
    local names = {}
    for i, class in ipairs(g.list) do names[i] = parts.name(m.names[class]) end
    shown = shown + g.errors
    out[k] = ("<details%s><summary>%s: %s of %s %s</summary>%s</details>"):format(k <= OPEN_GROUPS and " open" or "",
      table.concat(names, ", "), util.counted(g.errors, "error"), util.thousands(g.count), many,
      matrix(m, g.list, counts, o.support))
  end
  if #out == 0 then return "" end
  return ("<h3>Groups that are taken for each other</h3><p class=\"soft\">%d of %d groups, with %s of the %s errors.</p>%s")
    :format(#out, #list, util.thousands(shown), util.thousands(all), table.concat(out))
end

-- ---- the page ----

local function pairs_table(m, many)
  if #m.confused == 0 then return "" end
  local rows = { { "class", "taken for", many, "of", "share" } }
  for k, pair in ipairs(m.confused) do
    local support = m.per_class[pair.label + 1].support
    rows[k + 1] = { m.names[pair.label + 1], m.names[pair.predicted + 1], ("%d"):format(pair.count),
      ("%d"):format(support), support > 0 and percent(pair.count / support) or "–" }
  end
  return parts.table(rows, { sorts = true, label = "Most confused pairs", words = 2 })
end

-- Of run.metrics; `by`: more words for its title.
function confusion.page(run, many, by)
  local m = run.metrics
  local o, out = confusion.ordered(m), { "<h2>Confusion", by or "", "</h2>" }
  local function add(text) out[#out + 1] = text end
  if o and #m.names > 2 then
    add(('<p class="soft">Classes that are taken for each other stand together: %s.</p>'):format(
      "the order is that of a clustering of the errors, and not the data's"))
  end
  if o and #m.names <= confusion.MOST_CLASSES then add(matrix(m, o.order, counts_of(o.cells), o.support))
  elseif o then
    add(map(m, o))
    add(groups(m, o, many))
  else
    add(('<p class="soft">%d classes are too many for a table; the pairs that are confused most follow.</p>'):format(
      #m.names))
  end
  if #m.confused > 0 then
    add "<h2>Most confused</h2>"
    add(pairs_table(m, many))
    add(pictures(run, m))
  end
  return table.concat(out)
end

return confusion
