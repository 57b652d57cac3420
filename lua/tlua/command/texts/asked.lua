-- asked.lua - the texts that a command is asked about: words of the command line, lines of files and of what comes
-- through a pipe, rows of tables. Each is {text =, pair = (of pairs), file =, line =, reason = why it is none}.
local core = require "tlua.core"
local util = require "tlua.util"
local cells = require "tlua.data.cells"
local data = require "tlua.data"
local asked = {}

-- Was a network trained on pairs? `info`: the description in its file.
function asked.paired(info)
  local d = info.data
  if not d then return false end
  return d.options.pair ~= nil or (rawget(data.kinds, d.kind) or {}).pairs ~= nil
end

-- Why a text is none; nil of others.
local function reason_of(each, paired)
  for _, name in ipairs(paired and { "text", "pair" } or { "text" }) do
    local text = each[name]
    if not text then return "a second text is missing: a tab stands between both" end
    if not utf8.len(text) or text:find "\0" then return "bytes that are no UTF-8 text" end
    if not text:find "%S" then return name == "text" and "an empty text" or "an empty second text" end
  end
end

-- A text of the command line or of a line; of pairs a tab stands between both.
local function of_line(line, how)
  if how.second then return { text = line, pair = how.second } end
  if not how.paired then return { text = line } end
  local text, pair = line:match "^([^\t]*)\t(.*)$"
  return { text = text or line, pair = pair }
end

local function checked(each, how)
  each.reason = reason_of(each, how.paired)
  return each
end

-- ---- files ----

local function without_mark(line) return (line:gsub("^\xEF\xBB\xBF", "")) end

-- Calls f(each) for every line in which something stands; returns how many are empty.
local function each_line(read, name, how, f)
  local n, empty = 0, 0
  while true do
    local line = read()
    if not line then return empty end
    n = n + 1
    line = (n == 1 and without_mark(line) or line):gsub("\r$", "")
    if line:find "%S" then
      local each = of_line(line, how)
      each.file, each.line = name, n
      f(checked(each, how))
    else empty = empty + 1 end
  end
end

local function note_empty(name, empty, how)
  if empty > 0 and not how.quiet then
    util.note(("%s: %s passed over"):format(name, empty == 1 and "an empty line is" or empty .. " empty lines are"))
  end
end

local function lines_of(path, how)
  local out, at, text = {}, 1, core.read_file(path)
  local function read()
    if at > #text then return nil end
    local stop = text:find("\n", at, true) or #text + 1
    local line = text:sub(at, stop - 1)
    at = stop + 1
    return line
  end
  note_empty(path, each_line(read, path, how, function(each) out[#out + 1] = each end), how)
  if #out == 0 then util.failf("%s has no line with a text", path) end
  return out
end

-- The columns of a table: those that are said, else those of the training, else one called "text".
local function columns_of(path, header, how)
  local out = { text = cells.column(path, header, how.text, "text", "--text") }
  if how.paired then
    if not how.pair then util.failf("%s: the model takes pairs: --pair NAME says which column has the second text",
      path) end
    out.pair = cells.column(path, header, how.pair, "pair", "--pair")
  end
  return out
end

local function rows_of(path, how)
  local out = {}
  local header, rows, lines = core.csv(path, ({ auto = "letters of tsv", yes = "quotes", no = "letters" })[how.quotes])
  local c = columns_of(path, header, how)
  for i, row in ipairs(rows) do
    out[i] = checked({ text = row[c.text], pair = c.pair and row[c.pair], file = path, line = lines[i] }, how)
  end
  if #rows == 0 then util.failf("%s has no rows below its header", path) end
  return out
end

-- Is a file a table? By its ending, or because its first line names the column of the training.
local function is_table(path, how)
  local ending = path:lower():match "%.(%w+)$"
  if ending == "tsv" or ending == "csv" then return true end
  local file = io.open(path, "rb")
  local first = file and file:read "l" or ""
  if file then file:close() end
  for cell in without_mark(first):gsub("\r$", ""):gmatch "[^\t]+" do
    if cell == how.text and first:find "\t" then return true end
  end
  return false
end

-- ---- what the words mean ----

local LIKE_FILES = { tsv = true, csv = true, txt = true }

-- "file", "-" or "text".
local function kind_of(word)
  if word == "-" then return "-" end
  if core.is_folder(word) then util.failf("%s is a folder: name the files in it, or its name as a line of -", word) end
  if core.exists(word) then return "file" end
  local ending = word:match "^%S+%.(%w+)$"
  if ending and LIKE_FILES[ending:lower()] then
    util.failf("there is no file %s; a text that is called so is a line of -", util.shown(word))
  end
  return "text"
end

-- `pair` names the column of tables, and is the second text of others.
local function second_of(kinds, options, how)
  if not options.pair then return end
  if not how.paired then
    util.failf("--pair: the model was trained on single texts")
  end
  local tables, others = 0, 0
  for _, kind in ipairs(kinds) do
    if kind == "table" then tables = tables + 1 else others = others + 1 end
  end
  if tables > 0 and others > 0 then
    util.failf("--pair is a column of tables and the second text of others: ask about one of both at a time")
  end
  if tables > 0 then how.pair = options.pair else how.second = options.pair end
end

-- words -> { items of all but what comes through a pipe }, and `pipe(f)` where - is among the words, which calls f for
-- each of its lines. options: text, pair, quiet.
function asked.of(words, info, options)
  local d = info.data and info.data.kind == "texts" and info.data.options or {}
  local how = { text = options.text or d.text or "text", pair = d.pair, quotes = d.quotes or "auto",
    paired = asked.paired(info), quiet = options.quiet }
  local kinds, out, pipe = {}, {}, nil
  for i, word in ipairs(words) do
    kinds[i] = kind_of(word)
    if kinds[i] == "file" then kinds[i] = is_table(word, how) and "table" or "lines" end
    if kinds[i] == "-" and #words > 1 then util.fail "-, what comes through a pipe, stands alone" end
  end
  second_of(kinds, options, how)
  if options.text and not table.concat(kinds, " "):find "table" then
    util.fail "--text names a column of tables, and there is none among what is asked"
  end
  for i, word in ipairs(words) do
    if kinds[i] == "-" then
      function pipe(f)
        note_empty("standard input", each_line(function() return io.read "l" end, nil, how, f), how)
      end
    else
      local list = kinds[i] == "table" and rows_of(word, how) or kinds[i] == "lines" and lines_of(word, how)
        or { checked(of_line(word, how), how) }
      table.move(list, 1, #list, #out + 1, out)
    end
  end
  return out, pipe, how.paired
end

-- "FILE:3: ", or the text itself where it stands in no file.
function asked.place(each)
  if each.file then return ("%s:%d"):format(each.file, each.line) end
  if each.line then return ("line %d"):format(each.line) end
  return ("'%s'"):format(util.shown(each.text))
end

util.seal(asked, "command.texts.asked.")
return asked
