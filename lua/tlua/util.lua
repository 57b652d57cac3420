-- util.lua - what the other files lean on: errors that name the near miss, globs, options, numbers for people.
local core = require "tlua.core"
local util = {}

-- Raises `message` at the user's line.
util.fail = core.error
function util.failf(format, ...) core.error(format:format(...)) end

-- "FILE:LINE" of the first frame outside the library, where a constructor was called; nil when there is none.
function util.where()
  for level = 2, 200 do
    local frame = debug.getinfo(level, "Sl")
    if not frame then return nil end
    if frame.currentline > 0 and frame.source:sub(1, 6) ~= "=tlua/" then return frame.short_src .. ":" .. frame.currentline end
  end
end

-- A text for a page or a table of values, which are UTF-8: a byte that is not stands there as \xE9. JSON keeps such bytes in its own
-- way (core.json_encode).
function util.readable(text)
  local out, at = {}, 1
  while true do
    local length, bad = utf8.len(text, at)
    if length then break end
    out[#out + 1] = text:sub(at, bad - 1) .. ("\\x%02X"):format(text:byte(bad))
    at = bad + 1
  end
  return table.concat(out) .. text:sub(at)
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

function util.base64(bytes)
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

-- A name as a piece of a line on a terminal: control characters, which break the line or colour it, stand there as
-- \x0A.
function util.on_line(text)
  return (util.readable(text):gsub("%c", function(c) return ("\\x%02X"):format(c:byte()) end))
end

-- What stands in a file of the user's, for a message: in UTF-8, without control characters, and not longer than
-- `most` bytes.
function util.shown(text, most)
  most = most or 60
  local out = util.readable(text:sub(1, most + 4)):gsub("%c", function(c) return ("\\x%02X"):format(c:byte()) end)
  if #text <= most then return out end
  local cut = utf8.len(out:sub(1, most)) and most or select(2, utf8.len(out:sub(1, most))) - 1
  return out:sub(1, cut) .. "..."
end

-- Names that are one for each: no two of them the same, none empty. `what`: "data.csv: target".
function util.distinct(list, what)
  local known = {}
  for _, name in ipairs(list or {}) do
    if name == "" then util.failf("%s: a name is empty", what) end
    if known[name] then util.failf("%s: '%s' stands there twice", what, util.shown(name)) end
    known[name] = true
  end
  return list
end

-- Takes "FILE.lua:LINE: " off a message; the place of another file, as of a row in a table, is what the
-- message is about.
function util.without_place(message)
  return (tostring(message):gsub("^[^%s:]+%.lua:%d+: ", "", 1):gsub("^stdin:%d+: ", "", 1))
end

-- An error for a message of our own around it: its first line, without the place and without the file that the message names itself.
function util.reason(e, path)
  local line = util.without_place(e):match "^[^\n]*"
  local prefix = path and path .. ": "
  return prefix and line:sub(1, #prefix) == prefix and line:sub(#prefix + 1) or line
end

-- The heart of the error of a download from `url` (src/io/fetch.c), without the advice that follows it there.
function util.download_reason(e, url)
  local line = util.reason(e)
  local begin = (" could not be had from %s ("):format(url)
  local _, at = line:find(begin, 1, true)
  return at and line:sub(at + 1):match "^(.*)%); fetch it elsewhere" or line
end

-- nil where there is something at `path`; else a sentence that says so, or why it cannot be looked at.
function util.missing(path, what)
  local there, why = core.exists(path)
  if there then return nil end
  return why and ("cannot open %s: %s"):format(path, why) or ("there is no %s %s"):format(what or "file", path)
end

-- What a file of JSON holds; an error where there is no such file. With `words`, like "it is not JSON", it must be a
-- table, and "FILE is damaged: WORDS" is said of all else; without, the error says what is wrong with the JSON.
function util.read_json(path, words)
  local ok, value = pcall(core.json_decode, core.read_file(path))
  if words and (not ok or type(value) ~= "table") then util.failf("%s is damaged: %s", path, words) end
  if not ok then util.failf("%s: %s", path, util.without_place(value)) end
  return value
end

-- Calls f; an error names `where` (what util.where gave when the thing was described): the line where the user
-- wrote it says more than the line that ran it, and than the modules passed through.
function util.at(where, f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local e = results[2]
  if type(e) == "string" and where then e = where .. ": " .. util.without_place(e):match("^[^\n]*") end
  error(e, 0)
end

-- Calls f, in which functions of the user's may run (a forward, a loss): an error that was raised at a line of theirs keeps it, whatever
-- util.at stands around.
local placed = { __tostring = function(e) return e.message end, __name = "error with its place" }
function util.keep_place(f, ...)
  local here = util.where()
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local e = results[2]
  local place = type(e) == "string" and e:match "^([^%s:]+:%d+): "
  if place and place ~= here then e = setmetatable({ message = e }, placed) end
  error(e, 0)
end

function util.keys(t)
  local names = {}
  for key in pairs(t) do
    if type(key) == "string" then names[#names + 1] = key end
  end
  table.sort(names)
  return names
end

-- "unknown option of nn.Linear: 'bais'; did you mean 'bias'?"
function util.unknown_text(what, word, known)
  word = tostring(word)
  local near = core.near_miss(word, known)
  if near then return ("unknown %s '%s'; did you mean '%s'?"):format(what, word, near) end
  if #known == 0 then return ("unknown %s '%s'; there is none"):format(what, word) end
  return ("unknown %s '%s'; there is %s"):format(what, word, table.concat(known, ", "))
end

function util.unknown(what, word, known) core.error(util.unknown_text(what, word, known)) end

-- Checks that `given` has only keys of `known` (key -> default; util.none for "no default") and returns
-- a new table with the defaults filled in.
util.none = setmetatable({}, { __name = "none" })
function util.options(what, given, known)
  local out = {}
  for key, default in pairs(known) do
    if default ~= util.none then out[key] = default end
  end
  for key, value in pairs(given or {}) do
    if known[key] == nil then util.unknown("option of " .. what .. ":", key, util.keys(known)) end
    out[key] = value
  end
  return out
end

-- A table whose unknown names are errors with the near miss.
function util.strict(name, contents, list)
  return setmetatable(contents, {
    __index = function(_, key)
      if type(key) ~= "string" then return nil end
      util.unknown("name in " .. name .. ":", key, list and list() or util.keys(contents))
    end,
  })
end

-- Is it a table with only named fields?
function util.is_options(v)
  if type(v) ~= "table" or getmetatable(v) ~= nil then return false end
  local key = next(v)
  return key == nil or type(key) == "string"
end

-- Splits constructor arguments: values in their order, and the trailing options table.
function util.arguments(...)
  local values = table.pack(...)
  local options = nil
  if values.n > 0 and util.is_options(values[values.n]) then
    options = values[values.n]
    values[values.n] = nil
    values.n = values.n - 1
  end
  return values, options or {}
end

-- ---- surplus arguments, which Lua drops without a word ----

-- How many arguments a function has names for.
local most_of = setmetatable({}, { __mode = "k" })
local function most_arguments(f)
  local most = most_of[f]
  if not most then
    local info = type(f) == "function" and debug.getinfo(f, "u")
    most = info and not info.isvararg and info.nparams or math.maxinteger
    most_of[f] = most
  end
  return most
end
util.most_arguments = most_arguments

local function surplus(name, most, own, ...)
  local n = select("#", ...)
  while n > most and (select(n, ...)) == nil do n = n - 1 end -- nothing is lost with nil
  if n > most then util.failf("%s: too many arguments: %d, and it takes %s%d", name, n - own, most > own and "at most " or "", most - own) end
end

-- An error where `...` is more than f has names for; `own` of them are its object.
function util.check_arguments(name, f, own, ...)
  local most = most_arguments(f)
  if select("#", ...) > most then surplus(name, most, own, ...) end
end

-- Functions of a table (methods, where `own` is 1) that refuse what they would drop. They are named by `prefix` and their key; names with "_" before them
-- are nobody's but ours, and `not_these` look at their arguments themselves.
function util.seal(list, prefix, own, not_these)
  for _, key in ipairs(util.keys(list)) do
    local f = list[key]
    local most = type(f) == "function" and most_arguments(f) or math.maxinteger
    if most < math.maxinteger and key:sub(1, 1) ~= "_" and not (not_these and not_these[key]) then
      local name = prefix .. key
      list[key] = function(...)
        if select("#", ...) > most then surplus(name, most, own or 0, ...) end
        return f(...)
      end
    end
  end
  return list
end

function util.whole(what, name, value, least)
  if math.type(value) == "float" and value == math.floor(value) then value = math.tointeger(value) end
  if math.type(value) ~= "integer" or value < (least or 1) then
    util.failf("%s: %s must be a whole number from %d on, not %s", what, name, least or 1, tostring(value))
  end
  return value
end

-- ---- globs on parameter names ----

local function glob_pattern(glob)
  local out, i = {}, 1
  while i <= #glob do
    local class = glob:match("^%[[^%]]+%]", i)
    local c = glob:sub(i, i)
    if class then
      out[#out + 1] = class:gsub("%%", "%%%%")
      i = i + #class - 1
    elseif c == "*" then out[#out + 1] = ".*"
    elseif c == "?" then out[#out + 1] = "."
    else out[#out + 1] = c:gsub("%W", "%%%0") end
    i = i + 1
  end
  return "^" .. table.concat(out) .. "$"
end

-- Does the glob match the name? `*` any text (dots too), `?` one character, `[abc]` one of these.
function util.matches(glob, name) return name:find(glob_pattern(glob)) ~= nil end

-- A function name -> boolean from a glob, a list of globs ("!glob" takes back) or a function of the name; and the list of the globs.
function util.matcher(what, globs)
  if type(globs) == "function" then return function(name) return globs(name) and true or false end, {} end
  if type(globs) == "string" then globs = { globs } end
  if type(globs) ~= "table" then util.failf("%s: a glob, a list of globs or a function of the name is needed, not %s", what, type(globs)) end
  local yes, no = {}, {}
  for _, glob in ipairs(globs) do
    if type(glob) ~= "string" then util.failf("%s: a glob is a text, not %s", what, type(glob)) end
    local list = glob:sub(1, 1) == "!" and no or yes
    list[#list + 1] = glob_pattern(glob:gsub("^!", "", 1))
  end
  if #yes == 0 and #no > 0 then
    util.failf('%s: \'%s\' takes back, and there is nothing it could take from; { "*", "%s" } is all but that', what, globs[1], globs[1])
  end
  return function(name)
    for _, pattern in ipairs(no) do
      if name:find(pattern) then return false end
    end
    for _, pattern in ipairs(yes) do
      if name:find(pattern) then return true end
    end
    return false
  end, globs
end

-- The first of a list of globs ("!glob" too) that matches none of the names, nil where each matches one.
function util.unmatched(globs, names)
  for _, glob in ipairs(globs) do
    local pattern, found = glob_pattern(glob:gsub("^!", "", 1)), false
    for _, name in ipairs(names) do
      found = name:find(pattern) ~= nil
      if found then break end
    end
    if not found then return glob end
  end
end

-- "; did you mean '!layer4.*'?" for a glob, with what of `known` it could have meant; nil where it is like none.
function util.near_glob(glob, known)
  local sign, text = glob:match "^(!?)(.*)$"
  local near = core.near_miss(text, known)
  return near and ("; did you mean '%s%s'?"):format(sign, near) or nil
end

-- ---- numbers for people ----

-- 25557032 -> "25,557,032"
function util.thousands(n)
  local text = ("%d"):format(n)
  local sign, digits = text:match("^(%-?)(%d+)$")
  digits = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return sign .. digits
end

-- The first letter large, where the words begin a line; "mAP" stays what it is.
function util.capital(words)
  if words:find "^%l%u" then return words end
  return words:sub(1, 1):upper() .. words:sub(2)
end

-- "1 volume", "1,200 volumes"; many: the plural where it is no s, as in counted(2, "box", "boxes").
function util.counted(n, word, many)
  return ("%s %s"):format(util.thousands(n), n == 1 and word or many or word .. "s")
end

-- 1.82e9 -> "1.8 G"
function util.short(n)
  for _, unit in ipairs { { 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } } do
    if n >= unit[1] then return ("%.3g %s"):format(n / unit[1], unit[2]) end
  end
  return ("%g "):format(n)
end

function util.bytes(n) return util.short(n) .. "B" end

function util.is_finite(v) return v == v and v ~= math.huge and v ~= -math.huge end

-- A copy of a table of figures for JSON, which knows no NaN and no infinity: such numbers are the texts "NaN", "Infinity" and "-Infinity" there,
-- as Protocol Buffers write them. from_json makes numbers of them again.
local TEXTS = { NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge }
function util.for_json(v)
  if type(v) == "number" and not util.is_finite(v) then return v ~= v and "NaN" or v > 0 and "Infinity" or "-Infinity" end
  if type(v) ~= "table" then return v end
  local out = {}
  for key, each in pairs(v) do out[key] = util.for_json(each) end
  return out
end

function util.from_json(v)
  if type(v) ~= "table" then return TEXTS[v] or v end
  local out = {}
  for key, each in pairs(v) do out[key] = util.from_json(each) end
  return out
end

-- A figure for people: "-" where there is none, and NaN without the sign that C gives it.
function util.figure(format, v)
  if v == nil then return "-" end
  return v ~= v and "nan" or format:format(v)
end

-- 75.2 -> "1:15"; 3 s -> "0:03"
function util.clock(seconds)
  if not (seconds > -1e15 and seconds < 1e15) then return "?" end -- NaN is neither
  local s = math.floor(seconds + 0.5)
  if s >= 3600 then return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60) end
  return ("%d:%02d"):format(s // 60, s % 60)
end

-- A shape as text: (2, 3)
function util.shape_text(shape) return "(" .. table.concat(shape, ", ") .. ")" end

-- How many elements a shape has: the product of a list, 1 of an empty one.
function util.product(list)
  local n = 1
  for _, d in ipairs(list) do n = n * d end
  return n
end

function util.same_shape(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

-- The places of a list of numbers from the highest down, of equals the first first; a NaN stands above all numbers, as in argmax.
function util.descending(values)
  local order = {}
  for i = 1, #values do order[i] = i end
  table.sort(order, function(i, j)
    local a, b = values[i], values[j]
    if a ~= a or b ~= b then
      if (a ~= a) ~= (b ~= b) then return a ~= a end
    elseif a ~= b then return a > b end
    return i < j
  end)
  return order
end

-- Up to `most` of a list, and how many more.
function util.first_few(list, most)
  local few = table.concat(list, ", ", 1, math.min(most or 3, #list))
  if #list > (most or 3) then few = ("%s, ... (%d in all)"):format(few, #list) end
  return few
end

-- The model that a path means: the file itself, or that of a run's folder. A run that has no model yet has a checkpoint.
function util.model_path(path)
  if not core.is_folder(path) then return path end
  local model = path .. "/model.safetensors"
  if core.exists(model) then return model end
  local last = path .. "/last.safetensors"
  local seen, why = pcall(core.list_folder, path)
  if not seen then util.failf("%s", util.reason(why)) end
  if not core.exists(last) then util.failf("%s is not the folder of a run: there is no model.safetensors in it", path) end
  util.note(("%s has no model yet; its last checkpoint is taken"):format(path))
  return last
end

local function quoted(word)
  if word ~= "" and not word:find "[^%w%._/:,=@%%+-]" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Words as a shell takes them.
function util.command_text(words)
  local out = {}
  for i, word in ipairs(words) do out[i] = quoted(word) end
  return table.concat(out, " ")
end

-- The path, or the folder above it that is there already.
function util.existing(path)
  while path ~= "" and not core.exists(path) do path = path:match "^(.*)/[^/]*$" or "" end
  return path == "" and "." or path
end

-- A line for the user beside the results: stderr, unless a run has put it elsewhere.
function util.note(text) io.stderr:write("tlua: " .. text .. "\n") end

-- A field of a table as RFC 4180 has it.
function util.csv(text)
  text = util.readable(text)
  return text:find '[",\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
end

-- Writes results to standard output. A disk that is full ends the command here, and not after hours of results for nobody.
function util.put(...)
  local ok, reason = io.stdout:write(...)
  if ok then return end
  core.leave_output() -- it is said here
  error("cannot write to stdout: " .. reason, 0)
end

-- The lock of a run's folder, nil (or false) where another process has it; and whether core.is_locked sees it. What a
-- killed run was writing is removed: nobody else writes there now.
function util.own(folder)
  local lock, seen = core.lock(folder .. "/run.lock")
  for _, name in ipairs(lock and core.list_folder(folder) or {}) do
    if name:find "%.tmp%d+$" or name:find "%.safetensors%.link%d+$" then core.remove(folder .. "/" .. name) end -- src/base/file.c and core.link name them
  end
  return lock, seen
end

return util
