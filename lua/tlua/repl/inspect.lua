-- inspect.lua - a value as a text to read: tensors as an aligned excerpt, of which alone the device is asked, modules
-- as a short tree with shapes and counts, tables in order.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local inspect = {}

-- ---- colours ----

local CODES = { error = "31", note = "2", strong = "1", odd = "31", name = "36" }
local colour = core.isatty(1) and (os.getenv "NO_COLOR" or "") == "" and os.getenv "TERM" ~= "dumb"
inspect.colour = colour

-- The text in the colour of its kind, where there are colours.
function inspect.paint(kind, text) return colour and ("\27[%sm%s\27[0m"):format(CODES[kind], text) or text end
local paint = inspect.paint

-- The same for the line editor, which wants \1 around what takes no room, and loses it where nothing follows: the last
-- space does.
function inspect.prompt(text)
  return colour and ("\1\27[%sm\1%s\1\27[0m\1 "):format(CODES.name, text:sub(1, -2)) or text
end

-- Columns that a text takes on a terminal, without its colours.
local function columns(text)
  text = text:gsub("\27%[[%d;]*m", "")
  return core.text.width(text)
end

-- ---- tensors ----

-- 1..n, or `edge` from either end and 0 for what is left out between.
local function indices(n, most, edge)
  local list = {}
  if n <= most then
    for i = 1, n do list[i] = i end
    return list
  end
  for i = 1, edge do list[i] = i end
  list[edge + 1] = 0
  for i = 1, edge do list[edge + 1 + i] = n - edge + i end
  return list
end

local function without_gap(list)
  local out = {}
  for _, i in ipairs(list) do
    if i > 0 then out[#out + 1] = i end
  end
  return out
end

local function is_finite(v) return v == v and v ~= math.huge and v ~= -math.huge end

-- The format in which all numbers of an excerpt are shown.
local function format_for(numbers, dtype)
  if dtype == "int32" or dtype == "uint8" then return "%d" end
  local high, whole = 0, true
  for _, v in ipairs(numbers) do
    if is_finite(v) then
      high = math.max(high, math.abs(v))
      whole = whole and v == math.floor(v)
    end
  end
  if whole and high < 1e6 then return "%.0f" end
  if high >= 1e5 or high < 1e-2 then return "%.3e" end
  return high >= 1e3 and "%.2f" or "%.4f"
end

local function number_text(v, format)
  if v ~= v then return "nan" end
  if v == math.huge then return "inf" end
  if v == -math.huge then return "-inf" end
  return format == "%d" and ("%d"):format(v) or format:format(v)
end

-- The positions of matrices (the last two dimensions) that are shown, as lists of indices; nil for a gap.
local function matrices(shape)
  local lead, count = #shape - 2, 1
  for a = 1, lead do count = count * shape[a] end
  local list = {}
  for _, flat in ipairs(indices(count, 4, 1)) do
    local at, rest = {}, flat - 1
    for a = lead, 1, -1 do
      at[a] = rest % shape[a] + 1
      rest = rest // shape[a]
    end
    list[#list + 1] = flat > 0 and at or false
  end
  return list
end

local function read(x, at, rows, cols, rank)
  local want = {}
  for _, i in ipairs(at) do want[#want + 1] = { i } end
  if rank > 1 then want[#want + 1] = without_gap(rows) end
  want[#want + 1] = without_gap(cols)
  return core.excerpt(x, want)
end

-- Rows of one matrix from its numbers, in the order of reading.
local function rows_text(numbers, rows, cols, format, width, indent)
  local lines, next_number = {}, 0
  for _, r in ipairs(rows) do
    local cells = {}
    for k, c in ipairs(cols) do
      if c == 0 then cells[k] = r == 0 and "" or "..."
      elseif r == 0 then cells[k] = (" "):rep(width - 3) .. "..."
      else
        next_number = next_number + 1
        local v = numbers[next_number]
        local text = number_text(v, format)
        cells[k] = (" "):rep(width - #text) .. (is_finite(v) and text or paint("odd", text))
      end
    end
    lines[#lines + 1] = indent .. table.concat(cells, "  ")
  end
  return lines
end

local function excerpt_lines(x, shape, width)
  local rank, dtype = #shape, x:dtype()
  local most = math.max(4, (width - 2) // 11)
  local cols = indices(shape[rank], most, math.min(4, (most - 1) // 2))
  local rows = rank > 1 and indices(shape[rank - 1], 8, 3) or { 1 }
  local places = rank > 2 and matrices(shape) or { {} }
  local blocks, all = {}, {}
  for i, at in ipairs(places) do
    blocks[i] = at and read(x, at, rows, cols, rank)
    for _, v in ipairs(at and blocks[i] or {}) do all[#all + 1] = v end
  end
  local format = format_for(all, dtype)
  local cell = #without_gap(rows) < #rows and 3 or 1 -- room for dots
  for _, v in ipairs(all) do cell = math.max(cell, #number_text(v, format)) end
  local lines = {}
  for i, at in ipairs(places) do
    if not at then lines[#lines + 1] = "  ..."
    else
      if rank > 2 then lines[#lines + 1] = paint("note", ("[%s]"):format(table.concat(at, "]["))) end
      for _, line in ipairs(rows_text(blocks[i], rows, cols, format, cell, "  ")) do lines[#lines + 1] = line end
    end
  end
  return lines
end

function inspect.tensor(x, width)
  if x:freed() then return "tensor (freed with its scope)" end
  local shape = x:shape()
  local head = ("tensor %s %s"):format(util.shape_text(shape), x:dtype())
  if x:requires_grad() then head = head .. ", requires grad" end
  if #shape == 0 then
    local v = core.excerpt(x, {})[1]
    local text = math.type(v) == "integer" and ("%d"):format(v) or number_text(v, "%.6g")
    return ("%s   %s"):format(is_finite(v) and text or paint("odd", text), paint("note", head))
  end
  for _, d in ipairs(shape) do
    if d == 0 then return head .. ", without elements" end
  end
  return head .. "\n" .. table.concat(excerpt_lines(x, shape, width), "\n")
end

-- ---- modules ----

-- "weight (64, 3, 7, 7)" of the parameters that are the module's own.
local function own_shapes(m)
  local list = {}
  for _, spec in ipairs(m._specs) do
    if spec.kind == "parameter" then list[#list + 1] = spec.name .. " " .. util.shape_text(spec.shape) end
  end
  return table.concat(list, ", ")
end

-- Parameters, and how many are trained; nil where a width is not known yet.
local function count(m)
  local ok, all, trained = pcall(m.count, m)
  if ok then return all, trained end
end

local function tree_rows(m, depth, indent, name, rows)
  local shut = depth == 0 and #m._order > 0
  local label = m:label()
  if shut then label = ("%s, %d module%s"):format(label, #m._order, #m._order == 1 and "" or "s") end
  local all, trained = count(m)
  local state = not all and "" or all > 0 and trained == 0 and "frozen" or all > trained and "partly frozen" or ""
  rows[#rows + 1] = { indent .. name, label, all and (all > 0 and util.thousands(all) or "") or "?", state,
    own_shapes(m) }
  if depth == 0 then return end
  for _, key in ipairs(m._order) do tree_rows(m._modules[key], depth - 1, indent .. "  ", key, rows) end
end

local function table_text(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, columns(cell)) end
  end
  for i, row in ipairs(rows) do
    local cells = {}
    for k, cell in ipairs(row) do
      local gap = (" "):rep(widths[k] - columns(cell))
      if widths[k] > 0 then cells[#cells + 1] = k == 3 and gap .. cell or cell .. gap end
    end
    lines[i] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

-- A tree as deep as fits in about 30 lines.
function inspect.module(m)
  local rows
  for depth = 1, 8 do
    local deeper = {}
    for _, key in ipairs(m._order) do tree_rows(m._modules[key], depth - 1, "  ", key, deeper) end
    if rows and (#deeper > 30 or #deeper == #rows) then break end
    rows = deeper
  end
  local all, trained = count(m)
  local head = m:label()
  if not all then head = head .. ", widths not all known yet"
  else
    head = ("%s, %s parameters"):format(head, util.thousands(all))
    if trained < all then head = ("%s, %s trained"):format(head, util.thousands(trained)) end
  end
  local own = own_shapes(m)
  if own ~= "" then head = ("%s: %s"):format(head, own) end
  return #rows > 0 and head .. "\n" .. table_text(rows) or head
end

-- ---- the rest ----

local function documented(v)
  local entry = require("tlua.repl.help").entry(v)
  return entry and ("%s   %s"):format(entry.title, paint("note", entry.first))
end

local function key_text(key)
  if type(key) == "string" then return key:find "^[%a_][%w_]*$" and key or ("[%q]"):format(key) end
  return ("[%s]"):format(tostring(key))
end

-- Positions, then the other keys in order; at most `most` of them. Returns texts and whether any were left out.
local function entries(t, most, each)
  local list, n = {}, 0
  for i, v in ipairs(t) do
    n = i
    if i <= most then list[i] = each(v) end
  end
  local names = {}
  for key in next, t do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then names[#names + 1] = key end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(names) do
    if #list >= most then break end
    list[#list + 1] = ("%s = %s"):format(key_text(key), each(rawget(t, key)))
  end
  if n + #names > #list then list[#list + 1] = "..." end
  return list
end

-- A value in one line, as it stands inside another.
function inspect.line(v, depth)
  depth = depth or 0
  if type(v) == "string" then return ("%q"):format(v):gsub("\\\n", "\\n") .. "" end
  if core.is_tensor(v) then
    return v:freed() and "tensor (freed)" or ("tensor %s %s"):format(util.shape_text(v:shape()), v:dtype())
  end
  if module.is_module(v) then return v:label() end
  if type(v) ~= "table" then return tostring(v) end
  local meta = debug.getmetatable(v)
  if meta and rawget(meta, "__tostring") then return (tostring(v):match "^[^\n]*") end
  if depth > 1 then return next(v) == nil and "{}" or "{...}" end
  local list = entries(v, depth == 0 and 40 or 6, function(each) return inspect.line(each, depth + 1) end)
  return #list == 0 and "{}" or "{ " .. table.concat(list, ", ") .. " }"
end

function inspect.table(t, width)
  local text = inspect.line(t)
  if columns(text) < width then return text end
  local lines = entries(t, 40, function(each) return inspect.line(each, 1) end)
  for i, line in ipairs(lines) do
    if columns(line) > width - 4 then
      lines[i] = core.text.cut(line, math.max(12, width - 4), " ...")
    end
  end
  return "{\n  " .. table.concat(lines, ",\n  ") .. "\n}"
end

-- The value as the prompt shows it, for a terminal of so many columns.
function inspect.text(v, width)
  if type(v) == "string" then return v end
  if core.is_tensor(v) then return inspect.tensor(v, width) end
  if module.is_module(v) then return inspect.module(v) end
  if type(v) == "userdata" and debug.getmetatable(v) == core.optimizer_methods then
    return ("optimiser, rate %g"):format(v:lr())
  end
  if type(v) == "function" or type(v) == "table" then
    local known = documented(v)
    if known then return known end
  end
  if type(v) == "table" and not (debug.getmetatable(v) and rawget(debug.getmetatable(v), "__tostring")) then
    return inspect.table(v, width)
  end
  return tostring(v)
end

return inspect
