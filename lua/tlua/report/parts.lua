-- parts.lua - what pages are made of: the style sheet, tiles, figures, tables, pictures. Charts are SVG, pictures are
-- embedded, nothing is fetched; the one script (page/script.lua) sorts and highlights.
local core = require "tlua.core"
local planes = require "tlua.report.planes"
local util = require "tlua.util"
local chart = require "tlua.report.chart"
local script = require "tlua.report.page.script"
local parts = {}
local escape = chart.escape

-- Printed, heads of tables stand on every page, but not with a button in them (display:contents).
local STYLE = [[
:root{color-scheme:light dark;--bg:#fff;--fg:#1d2129;--soft:#5c6570;--line:#e2e5ea;--card:#f6f7f9;--c1:#0b62a4;
--c2:#b9511f;--c3:#2a7a3a;--c4:#7a4ba3;--c5:#8a6914;--c6:#c23f5e;--heat:11,98,164;--cold:209,96,43}
@media (prefers-color-scheme:dark){:root{--bg:#14161a;--fg:#e6e8eb;--soft:#9aa3ad;--line:#2c3138;--card:#1c2026;
--c1:#6db3f2;--c2:#f0935f;--c3:#6fc583;--c4:#bb92e0;--c5:#e0bb5a;--c6:#f08aa4;--heat:109,179,242;--cold:240,147,95}}
*{box-sizing:border-box}body{margin:0 auto;padding:24px 20px 60px;max-width:1180px;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:26px;margin:0 0 2px}h2{font-size:18px;margin:34px 0 10px;border-bottom:1px solid var(--line);padding-bottom:4px}.soft{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:18px 0}.tile{background:var(--card);border-radius:8px;padding:12px 14px}.tile b{display:block;font-size:24px;line-height:1.2}.tile span{color:var(--soft);font-size:13px}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:18px}
.charts figure{margin:0}figcaption{font-weight:600;margin-bottom:4px}
svg.chart{width:100%;height:auto;display:block}.grid{stroke:var(--line)}.axis{fill:var(--soft);font-size:11px}
.count{paint-order:stroke;stroke:var(--bg);stroke-width:4px}polyline{fill:none;stroke-width:2}.dashed{stroke-dasharray:5 4}
.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}.c6{stroke:var(--c6)}
circle.c1{fill:var(--c1)}circle.c2{fill:var(--c2)}circle.c3{fill:var(--c3)}circle.c4{fill:var(--c4)}circle.c5{fill:var(--c5)}circle.c6{fill:var(--c6)}
.legend{margin:4px 0 0;font-size:13px;color:var(--soft)}.key{margin-right:14px;white-space:nowrap}.key i{display:inline-block;width:16px;height:3px;margin-right:6px;vertical-align:middle}
.d1{stroke-dasharray:8 3}.d2{stroke-dasharray:2 3}.d3{stroke-dasharray:9 3 2 3}.axis.name{fill:var(--fg)}
svg:has(.s:hover) .s:not(:hover),svg:has(.s:focus-visible) .s:not(:focus-visible),svg.one .s:not(.on){opacity:.15}
.s:hover polyline,.s:focus-visible polyline,.s.on polyline{stroke-width:3.5}
.b1{background:var(--c1)}.b2{background:var(--c2)}.b3{background:var(--c3)}.b4{background:var(--c4)}.b5{background:var(--c5)}.b6{background:var(--c6)}
.sample{vertical-align:middle;margin-right:6px}.sample polyline{stroke-width:2.5}.swatch{display:inline-block;
width:16px;height:3px;margin-right:8px;vertical-align:middle}i.dashed{opacity:.55}h3{font-size:15px;margin:18px 0 6px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px}th,td{padding:4px 10px;text-align:right;
border-bottom:1px solid var(--line);white-space:nowrap}th:first-child,td:first-child{text-align:left}
th{font-weight:600;color:var(--soft)}
.matrix td{text-align:center;padding:4px 7px;border:1px solid var(--line);min-width:34px}.matrix th{font-size:12px}
.wide th:first-child,.wide td:first-child{position:sticky;left:0;background:var(--bg)}
.wide th:first-child{z-index:1}.steep thead span{writing-mode:vertical-rl;text-orientation:sideways;
transform:rotate(180deg);max-height:130px;overflow:hidden;text-overflow:ellipsis}
.steep thead th{vertical-align:bottom;padding:4px 2px}.steep thead th:first-child{padding:4px 10px}
.steep td,.narrow td{padding:2px 3px;min-width:24px;font-size:12px}.narrow th{padding:4px 3px}
.matrix thead th+th{text-align:center}
.hit{background:rgba(var(--heat),var(--a))}.err{background:rgba(var(--cold),var(--a))}.said{min-height:1.5em;
margin:6px 0}
:focus-visible{outline:2px solid var(--c1);outline-offset:1px}a{color:var(--c1)}.hidden{position:absolute;
clip-path:inset(50%)}
th button{all:unset;cursor:pointer;font:inherit}th button:focus-visible{outline:2px solid var(--c1)}
th button::after{content:" \2195";opacity:.5}th[aria-sort=ascending] button::after{content:" \2191";opacity:1}
th[aria-sort=descending] button::after{content:" \2193";opacity:1}select{font:inherit;color:inherit;
background:var(--card);border:1px solid var(--soft);border-radius:4px;padding:2px 4px}
.map{margin:0;max-width:760px}.mapped{position:relative;touch-action:pan-y}.mapped img{display:block;width:100%;
image-rendering:pixelated;border:1px solid var(--line)}.spot{display:none;position:absolute;width:18px;height:18px;
margin:-9px 0 0 -9px;border:2px solid var(--fg);border-radius:50%;pointer-events:none}
details{margin:8px 0}summary{cursor:pointer;overflow-wrap:anywhere}.pairs{display:grid;gap:16px;
grid-template-columns:repeat(auto-fill,minmax(min(100%,250px),1fr))}.pair>div{display:grid;
grid-template-columns:1fr 1fr;
gap:10px}.pair h3{margin:4px 0;font-weight:600;font-size:13px}.pair figure,.pictures figure{margin:0;font-size:12px;
line-height:1.35;overflow-wrap:anywhere}.pair img{width:100%;aspect-ratio:1;object-fit:contain;border-radius:6px;
background:var(--card)}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(112px,1fr));gap:12px}.pictures figure{margin:0;font-size:12px;line-height:1.35}.pictures img{width:100%;aspect-ratio:1;object-fit:cover;border-radius:6px;background:var(--card);image-rendering:auto}.bad{color:var(--c6)}
.boxed{grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr))}.pictures.boxed img{aspect-ratio:auto}
.runs th:first-child,.runs td:first-child{position:sticky;left:0;background:var(--bg);white-space:normal;
overflow-wrap:anywhere;min-width:min(220px,38vw);max-width:300px}
.two{grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr))}.pictures.two img{aspect-ratio:2}
.sounds{display:grid;grid-template-columns:repeat(auto-fill,minmax(260px,1fr));gap:16px}.sounds figure{margin:0;font-size:13px;line-height:1.4}.sounds img{width:100%;height:96px;object-fit:fill;border-radius:6px}.placed{position:relative;height:19px;font-size:11px;line-height:17px}.placed span{position:absolute;top:0;white-space:nowrap;overflow:hidden;border-left:2px solid var(--c1);background:var(--card);padding-left:2px}
.sounds audio{width:100%;height:34px;margin:4px 0}
.texts figure{margin:0 0 14px}.texts figcaption{font-weight:400;font-size:13px}.text{margin:2px 0 8px;
line-height:1.75;overflow-wrap:anywhere;max-width:80ch}
mark{color:inherit;border-radius:3px;padding:1px 2px;background:rgba(var(--heat),var(--a,.2))}
mark.con{background:rgba(var(--cold),var(--a));border-bottom:2px dotted var(--c2)}mark b{font-size:10px;
margin-left:4px;vertical-align:super}
mark.n1{background:rgba(var(--cold),.3)}mark.n2{background:rgba(46,133,64,.3)}mark.n3{background:rgba(122,75,163,.3)}
s{color:var(--soft);opacity:.7}.odd{font-style:normal;font-size:10px;border:1px solid var(--soft);border-radius:3px;
padding:0 2px;color:var(--soft)}
.boxes{display:flex;flex-wrap:wrap;gap:4px}.piece{display:inline-flex;flex-direction:column;
border:1px solid var(--line);border-radius:4px;padding:1px 5px;background:var(--card);font-size:14px;line-height:1.35;
max-width:100%;overflow-wrap:anywhere}.piece small{font-size:10px;color:var(--soft)}.piece em{font-style:normal;
font-size:12px;color:var(--c3)}
p .piece{display:inline-block}.special{color:var(--soft);border-style:dashed}.second{background:rgba(var(--heat),.16)}
.inside{border-color:var(--c3);box-shadow:inset 0 -3px var(--c3)}.hidden{border-color:var(--c2);
box-shadow:inset 0 -3px var(--c2)}.pad{background:none;color:var(--soft);border-style:dotted}
.words td,.words th{padding:4px 9px}td.left,th.left{text-align:left}.first td{border-top:2px solid var(--line)}.good{color:var(--c3)}
.bars{display:grid;grid-template-columns:max-content 1fr max-content;gap:8px 12px;align-items:center;font-size:13px;
margin-top:12px}.short{max-width:14em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.tall{max-height:560px;
overflow:auto}.tall th{position:sticky;top:0;background:var(--bg)}.tall th:first-child{z-index:2}.bars i{height:18px;
min-width:2px;border-radius:3px}
pre{background:var(--card);padding:14px;border-radius:8px;overflow-x:auto;font-size:13px;line-height:1.4}dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.state{margin:12px 0 0;font-weight:600;overflow-wrap:anywhere}.state i{display:inline-block;width:11px;height:11px;
border-radius:50%;margin-right:8px;background:var(--soft)}.running i{background:var(--c3)}
.stopped i,.unknown i{background:var(--c5)}.killed i,.failed i{background:var(--c6)}.finished i{background:var(--c1)}
.command{margin:14px 0 10px;white-space:pre-wrap;overflow-wrap:anywhere}.ran{font-size:13px;gap:2px 14px}
@media (prefers-color-scheme:dark){.mapped img{filter:invert(1) hue-rotate(180deg)}}
@media print{:root{--bg:#fff;--fg:#1d2129;--soft:#5c6570;--line:#e2e5ea;--card:#f6f7f9;--c1:#0b62a4;--c2:#b34e1f;
--c3:#2e8540;--c4:#7a4ba3;--c5:#8a6914;--c6:#c23f5e;--heat:11,98,164;--cold:209,96,43}*{print-color-adjust:exact}
.tool,.said,.spot{display:none}details>*{display:revert}.mapped img{filter:none}
body{max-width:none;padding:0}.charts{grid-template-columns:1fr 1fr}.axis{font-size:15px}.wide{overflow:visible;
max-height:none}audio{display:none}
.wide th,.wide td{position:static!important}th button::after{content:none!important}
th button{display:contents!important}table{font-size:11px}th,td{padding:2px 5px}
pre{white-space:pre-wrap}h2,h3,h2+p,p:has(+.wide),p:has(+.pairs),summary{break-after:avoid}
figure,tr,thead,.tile,.pair,.matrix{break-inside:avoid}}
@media (min-width:740px) and (max-width:1000px){.charts{grid-template-columns:1fr 1fr}.axis{font-size:15px}}
@media (max-width:520px){.axis{font-size:14px}th,td{padding:4px 6px}.wide td:first-child,.wide th:first-child{
white-space:normal;max-width:38vw;overflow-wrap:break-word}dl{grid-template-columns:1fr}dt{margin-top:6px}
h1{font-size:21px}}
]]

-- ---- pieces ----

-- A name of the data among other words: written from right to left it turns itself alone, not the numbers behind it.
function parts.name(text) return "<bdi>" .. escape(text) .. "</bdi>" end

-- Numbers that are none (and come back from JSON as nil) are a dash.
local function percent(v) return v and v == v and ("%.1f %%"):format(100 * v) or "–" end
local function plain(v) return v and v == v and ("%.3f"):format(v) or "–" end

local function tile(value, what) return ('<div class="tile"><b>%s</b><span>%s</span></div>'):format(escape(value), escape(what)) end

-- The beginning of a page, up to its body.
function parts.head(title)
  return ('<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
    .. 'content="width=device-width,initial-scale=1"><title>%s</title><link rel="icon" href="data:,"><style>%s</style>'
    .. "<body><main>"):format(escape(title), STYLE)
end

-- Its end.
parts.FOOT = "</main><script>" .. script .. "</script></body></html>\n"

local function figure(title, series, options)
  return ("<figure><figcaption>%s</figcaption>%s%s</figure>"):format(escape(title), chart.lines(series, options),
    #series > 1 and not options.names and chart.legend(series, options.apart) or "")
end

parts.figure, parts.tile, parts.escape, parts.style = figure, tile, escape, STYLE
parts.PERCENT = { 0, 100 } -- the axis of percentages that are all the same

-- The points of a curve. What is no number has no place in it.
local function column(rows, key)
  local points = {}
  for _, row in ipairs(rows) do
    if row[key] and util.is_finite(row[key]) then points[#points + 1] = { row.epoch, row[key] } end
  end
  return points
end

parts.column = column

-- ---- pictures ----

parts.base64 = util.base64

local THUMB = 112 -- pixels

-- x (H, W, C) with black corners, `share` of the height and of the width each.
local function without_corners(x, share)
  local h, w = x:shape(1), x:shape(2)
  local high, wide = math.floor(share * h + 0.5), math.floor(share * w + 0.5)
  if high == 0 or wide == 0 then return x end
  local edge = core.zeros(high, wide)
  if 2 * wide < w then edge = core.ops.concat(edge, core.ones(high, w - 2 * wide), core.zeros(high, wide), { axis = 2 })
  else edge = core.zeros(high, w) end
  local mask = 2 * high < h and core.ops.concat(edge, core.ones(h - 2 * high, w), edge, { axis = 1 })
    or core.zeros(h, w)
  return (x:to "float32" * mask:reshape(h, w, 1) + 0.5):to "uint8"
end

-- Three slices through the middle of volume `index` of a source, as its file has it.
local function embedded_volume(source, index)
  local scope <close> = core.scope()
  local v = source:volume(index)
  local size = { v.x:shape(1), v.x:shape(2), v.x:shape(3) }
  local x = core.ops.slice(v.x, 4, 0, 1):clone():reshape(size)
  return parts.picture(planes.picture({ size = size, axes = v.axes, spacing = v.spacing }, x,
    { size[1] // 2, size[2] // 2, size[3] // 2 }, { { text = "" } }, {}))
end

-- Picture `index` of a source as a data address, at most about twice THUMB on its shorter side. strip: the share of
-- the corners that is black (data.strip_corners); nil: none.
local function embedded(source, index, strip)
  if source:extent(index) then return embedded_volume(source, index) end
  local scope <close> = core.scope()
  local x = source:read(index)
  if strip then x = without_corners(x, strip) end
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
  return "data:image/png;base64," .. parts.base64(bytes)
end

parts.embedded = embedded

-- How much of the corners of a run's pictures is not to be seen; nil: all of it may be.
function parts.stripped(run) return run.session and run.session.data.preprocessing.strip_corners or nil end

-- x (H, W, 1 or 3) uint8 as a data address.
function parts.picture(x)
  local path = os.tmpname()
  core.image_write(path, x)
  local bytes = core.read_file(path)
  os.remove(path)
  return "data:image/png;base64," .. parts.base64(bytes)
end

-- One picture of a gallery: its data address (nil: none) and lines of HTML.
function parts.shown(image, ...)
  return ('<figure>%s%s</figure>'):format(image and ('<img alt="" src="%s">'):format(image) or "", table.concat({ ... }))
end

-- class: of the style sheet, where it is not a gallery of pictures.
function parts.gallery(title, figures, class)
  if #figures == 0 then return "" end
  return ('<h2>%s</h2><div class="%s">%s</div>'):format(escape(title), class or "pictures", table.concat(figures))
end

-- A gallery whose pictures are of any shape, one below the other.
function parts.below_each_other(html)
  html = html:gsub('class="pictures"', 'class="pictures" style="grid-template-columns:1fr"', 1)
  return (html:gsub("<img ", '<img style="aspect-ratio:auto;width:auto;max-width:100%%" '))
end

-- A table as wide as it is, in a part of the page that scrolls, by keys too. label: what it is, for who cannot see it.
function parts.wide(label, html)
  return ('<div class="wide" tabindex="0" role="group" aria-label="%s">%s</div>'):format(escape(label), html)
end

-- rows of texts as a table, the first being its head; a row may have a class, and a cell be {html =, v = number}.
-- options: sorts = true, a head sorts by its column; label; words, how many columns are words, to the left.
function parts.table(rows, options)
  options = options or {}
  local out = { options.sorts and #rows > 2 and '<table class="sorts">' or "<table>" }
  for i, row in ipairs(rows) do
    local tag = i == 1 and "th" or "td"
    -- A head of its own stands on every page where the table is printed.
    out[#out + 1] = (i == 1 and "<thead>" or "") .. (row.class and ('<tr class="%s">'):format(row.class) or "<tr>")
    for k, cell in ipairs(row) do
      local left = k > 1 and k <= (options.words or 1) and ' class="left"' or ""
      local html = type(cell) == "table" and cell.html or escape(cell)
      local v = type(cell) == "table" and cell.v and (' data-v="%.9g"'):format(cell.v) or ""
      out[#out + 1] = ("<%s%s%s%s>%s</%s>"):format(tag, left, v, i == 1 and html ~= "" and ' scope="col"' or "", html,
        tag)
    end
    out[#out + 1] = i == 1 and "</tr></thead><tbody>" or "</tr>"
  end
  return parts.wide(options.label or "Table", table.concat(out) .. "</tbody></table>")
end

function parts.facts(list, class)
  local out = {}
  for _, each in ipairs(list) do
    if each[2] and each[2] ~= "" then out[#out + 1] = ("<dt>%s</dt><dd>%s</dd>"):format(escape(each[1]), escape(each[2])) end
  end
  return ("<dl%s>%s</dl>"):format(class and (' class="%s"'):format(class) or "", table.concat(out))
end

parts.percent, parts.plain = percent, plain
return parts
