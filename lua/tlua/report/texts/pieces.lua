-- pieces.lua - texts as the network is fed them, for `tlua show`: each piece a box with its number, special pieces,
-- types of a pair, hidden words, marks and spans; how much of a batch is padding. As HTML, and as plain text.
local core = require "tlua.core"
local util = require "tlua.util"
local data = require "tlua.data"
local chart = require "tlua.report.chart"
local words = require "tlua.report.texts.words"
local pieces = {}
local escape = chart.escape

local IGNORED = -100
-- How pieces write spaces and ends of lines.
local SPACE = { ["\u{2581}"] = "␣", ["\u{0120}"] = "␣", ["\u{010A}"] = "↵" }

-- What a piece says: the text that it stands for, where it has one, else its own name.
local function said(tokenizer, id, window, at, texts)
  local name = tokenizer.handle:piece(id) or "?"
  local sequence = window.sequence[at]
  if SPACE[name] then return SPACE[name] end
  if not sequence or sequence < 0 or window.ids[at] ~= id then return name end
  local own = (texts[sequence + 1] or ""):sub(window.from[at] + 1, window.to[at])
  if own == "" or not utf8.len(own) then return name end
  local mark = SPACE[name:match(utf8.charpattern)]
  return (mark or name:find "^##" and "##" or "") .. own:gsub("^%s+", "")
end

-- Sample k of a batch as data: {boxes = {{text =, id =, type =, special =, hidden = what was there, mark =,
-- inside =}...}, pad = pieces of padding, cut = are ends missing}. d: what data.open gave; names: of marks.
function pieces.row(d, part, x, k, index, more, names)
  local source, tokenizer = d[part], d.tokenizer
  local window = source:window(index)
  local texts = { d.texts.texts[window.text], d.texts.pairs and d.texts.pairs[window.text] }
  local steps, length = x:shape(2), more.length_list[k]
  local row = x:slice(1, k - 1, 1)
  local flat, typed = row:reshape(-1):tolist(), x:rank() == 3
  local marks = more.marks and more.marks:slice(1, k - 1, 1):reshape(-1):tolist()
  local out = { boxes = {}, pad = steps - length, cut = false }
  for at = 1, length do
    local id = flat[typed and 2 * at - 1 or at]
    local mark = marks and marks[at] ~= IGNORED and marks[at] or nil
    local hidden = d.masking and mark
    out.boxes[at] = { text = said(tokenizer, id, window, at, texts), id = id, type = typed and flat[2 * at] or 0,
      special = window.sequence[at] < 0 or nil,
      hidden = hidden and said(tokenizer, hidden, window, at, texts) or nil,
      mark = not hidden and mark and (names and names[mark + 1] or tostring(mark)) or nil,
      inside = window.span and at - 1 >= window.span[1] and at - 1 <= window.span[2] or nil }
  end
  for i, text in ipairs(texts) do out.cut = out.cut or words.cut_at(window, i - 1, text) ~= nil end
  return out
end

-- ---- as HTML ----

local function box(each)
  local class = { "piece" }
  for _, name in ipairs { "special", "inside" } do
    if each[name] then class[#class + 1] = name end
  end
  if each.type > 0 then class[#class + 1] = "second" end
  if each.hidden then class[#class + 1] = "hidden" end
  return ('<span class="%s">%s%s<small>%d%s</small></span>'):format(table.concat(class, " "), words.escaped(each.text),
    each.hidden and ("<em>%s</em>"):format(words.escaped(each.hidden)) or "", each.id,
    each.mark and " " .. escape(each.mark) or "")
end

function pieces.html(row, head, soft)
  local out = {}
  for i, each in ipairs(row.boxes) do out[i] = box(each) end
  if row.pad > 0 then out[#out + 1] = ('<span class="piece pad">+ %d<small>pad</small></span>'):format(row.pad) end
  return ('<figure><figcaption>%s <span class="soft">%s</span></figcaption><div class="boxes" lang="und">%s</div>'
    .. "</figure>"):format(escape(head), escape(soft .. (row.cut and " · cut" or "")), table.concat(out))
end

-- ---- as plain text ----

function pieces.plain(row, head, soft)
  local out = {}
  for i, each in ipairs(row.boxes) do
    out[i] = ("%s/%d%s"):format(words.ansi { { { text = each.text } } }, each.id,
      each.hidden and "<" .. words.ansi { { { text = each.hidden } } } or each.mark and "=" .. each.mark
        or each.inside and "*" or "")
  end
  return ("%s  %s%s\n  %s%s\n"):format(head, soft, row.cut and " · cut" or "", table.concat(out, " "),
    row.pad > 0 and (" + %d pad"):format(row.pad) or "")
end

-- ---- the page ----

-- What stands beside a text in the data, for its heading.
local function told(s, labels, values, k)
  if s.data.fields.label then return s.classes[labels[k] + 1] end
  if not values then return "" end
  local out = {}
  for i, v in ipairs(values[k]) do out[i] = ("%s %.4g"):format(s.data.value_names[i] or "", v) end
  return table.concat(out, ", ")
end

-- The first `count` texts of an epoch: {rows = {{row, head, soft}...}, batches = {text...}, pad = share of padding}.
function pieces.fed(s, o, count, names)
  local d, out, padded, all = s.data, { rows = {}, batches = {} }, 0, 0
  local loader <close> = data.loader(d, o.part, s.seed)
  loader:start(o.epoch)
  while #out.rows < count do
    local scope <close> = core.scope()
    local x, labels, n, indices, _, more = loader:next()
    if not x then break end
    local whole, own = n * x:shape(2), 0
    for k = 1, n do own = own + more.length_list[k] end
    padded, all = padded + whole - own, all + whole
    local number = #out.batches + 1
    out.batches[number] = ("batch %d: %d texts of at most %d pieces, %.0f %% padding"):format(number, n, x:shape(2),
      100 * (whole - own) / whole)
    local list, values = d.fields.label and labels:tolist(), d.fields.values and more.values:tolist()
    for k = 1, math.min(n, count - #out.rows) do
      out.rows[#out.rows + 1] = { pieces.row(d, o.part, x, k, indices[k], more, names), told(s, list, values, k),
        ("%s · batch %d, %d pieces"):format(d[o.part]:title(indices[k]), number, more.length_list[k]) }
    end
  end
  out.pad = all > 0 and padded / all or 0
  return out
end

local LEGEND = '<p class="soft">A box is a piece with its number; %s are special ones, %s of the second text%s.</p>'
local function example(class, text) return ('<span class="piece %s">%s</span>'):format(class, text) end

function pieces.legend(d)
  local more = ""
  if d.masking then
    more = ("; %s were hidden, and what stood there is to be found"):format(example("hidden", "these <em>words</em>"))
  elseif d.fields.spans then
    more = ("; %s is the answer"):format(example("inside", "this"))
  elseif d.fields.marks then more = "; behind the number stands its mark" end
  return LEGEND:format(example("special", "these"), example("second", "those"), more)
end

util.seal(pieces, "report.texts.pieces.")
return pieces
