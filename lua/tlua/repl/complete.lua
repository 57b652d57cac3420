-- complete.lua - what Tab offers: globals and keywords, fields and methods of what a chain of names stands for, names
-- of modules after require, topics after help, and files inside quotes. Nothing is called and nothing built for it.
local core = require "tlua.core"
local complete = {}

local KEYWORDS = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or",
  "repeat", "return", "then", "true", "until", "while" }

-- ---- values and their names ----

local function add_names(names, t)
  for key in next, t do
    if type(key) == "string" and key:find "^[%a_][%w_]*$" then names[key] = true end
  end
end

-- All names of a value: its own, those of a chain of __index tables, and what the library's metatables say about theirs
-- (`methods`, a table; `names`, a function that lists).
local function names_of(v)
  local names, depth = {}, 0
  if type(v) == "table" then add_names(names, v) end
  if type(v) == "table" and rawget(v, "_modules") then
    add_names(names, rawget(v, "_modules"))
    add_names(names, rawget(v, "_declared"))
  end
  local meta = debug.getmetatable(v)
  while type(meta) == "table" and depth < 10 do
    local methods = rawget(meta, "methods") or rawget(meta, "__index")
    if type(rawget(meta, "names")) == "function" then
      for _, name in ipairs(meta.names()) do names[name] = true end
    end
    if type(methods) ~= "table" then break end
    add_names(names, methods)
    meta, depth = debug.getmetatable(methods), depth + 1
  end
  return names
end

-- v[key] without side effects, but that parts of the library are loaded.
local function field(v, key)
  local found
  if type(v) == "table" then found = rawget(v, key) end
  if found == nil and type(v) == "table" and rawget(v, "_modules") then
    found = rawget(v, "_modules")[key] or rawget(v, "_tensors")[key]
  end
  local meta, depth = debug.getmetatable(v), 0
  while found == nil and type(meta) == "table" and depth < 10 do
    local methods = rawget(meta, "methods") or rawget(meta, "__index")
    if type(methods) == "table" then found = rawget(methods, key)
    elseif rawget(meta, "names") then
      local ok, value = pcall(function() return v[key] end)
      return ok and value or nil
    end
    meta, depth = type(methods) == "table" and debug.getmetatable(methods), depth + 1
  end
  return found
end

-- The value of "tlua.nn" or "list[2].name"; nil where it has none.
function complete.value(chain)
  local first, rest = chain:match "^([%a_][%w_]*)(.*)$"
  if not first then return nil end
  local v = rawget(_G, first)
  while v ~= nil and rest ~= "" do
    local key, after = rest:match "^[.:]([%a_][%w_]*)(.*)$"
    if not key then
      key, after = rest:match "^%[(%d+)%](.*)$"
      key = math.tointeger(key)
    end
    if not key then return nil end
    v, rest = field(v, key), after
  end
  return v
end

-- ---- candidates ----

local function starting_with(names, prefix)
  local list = {}
  for name in pairs(names) do
    if name:sub(1, #prefix) == prefix and (prefix ~= "" or name:sub(1, 1) ~= "_") then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- Names in the folder of a half-written path; folders with their slash.
local function files(text)
  local folder, prefix = text:match "^(.*/)([^/]*)$"
  folder, prefix = folder or "", prefix or text
  local ok, names = pcall(core.list_folder, folder == "" and "." or folder)
  local found = {}
  for _, name in ipairs(ok and names or {}) do
    if name:sub(1, 1) ~= "." or prefix:sub(1, 1) == "." then
      found[core.is_folder(folder .. name) and name .. "/" or name] = true
    end
  end
  return starting_with(found, prefix), prefix
end

local function modules(prefix)
  local names = {}
  for _, name in ipairs(core.library_files()) do
    names[name:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")] = true
  end
  for name in pairs(package.loaded) do names[name] = true end
  return starting_with(names, prefix), prefix
end

-- The text behind a quote that is still open, and what stands before that quote.
local function open_quote(line)
  local quote, at, i = nil, nil, 1
  while i <= #line do
    local c = line:sub(i, i)
    if quote and c == "\\" then i = i + 1
    elseif quote and c == quote then quote = nil
    elseif not quote and (c == '"' or c == "'") then quote, at = c, i
    elseif not quote and line:sub(i, i + 1) == "--" then return nil end
    i = i + 1
  end
  if quote then return line:sub(at + 1), line:sub(1, at - 1), quote end
end

-- For a line up to the cursor: the sorted candidates, how much of them stands there already, and what closes a complete
-- one.
function complete.candidates(line)
  local text, before, quote = open_quote(line)
  if text then
    if before:find "%f[%w_]require%s*%(?%s*$" then return { modules(text) }, quote end
    if before:find "%f[%w_]help%s*%(?%s*$" then
      return { starting_with(require("tlua.repl.help").topics(), text), text }, quote
    end
    return { files(text) }, quote
  end
  local chain, separator, prefix = line:match "([%a_][%w_.:%[%]]*)([.:])([%w_]*)$"
  if chain and not line:find "%.%.[%w_]*$" then
    local v = complete.value(chain)
    if v == nil then return { {}, prefix } end
    local found = starting_with(names_of(v), prefix)
    if separator == ":" then -- only what can be called
      local callable = {}
      for _, name in ipairs(found) do
        local f = field(v, name)
        local meta = debug.getmetatable(f)
        if type(f) == "function" or meta and meta.__call then callable[#callable + 1] = name end
      end
      found = callable
    end
    return { found, prefix }
  end
  prefix = line:match "[%w_]*$"
  if prefix:find "^%d" or line:find "[^.][.:][%w_]*$" then return { {}, prefix } end
  local names = names_of(_G)
  for _, word in ipairs(KEYWORDS) do names[word] = true end
  return { starting_with(names, prefix), prefix }
end

local function common_prefix(list)
  local first, last, n = list[1], list[#list], 0
  while n < #first and first:byte(n + 1) == last:byte(n + 1) do n = n + 1 end
  return first:sub(1, n)
end

-- Names in columns, no more than fit on a screen.
function complete.columns(list, width, rows)
  local longest = 0
  for _, name in ipairs(list) do longest = math.max(longest, core.text.width(name)) end
  local per_row = math.max(1, (width - 1) // (longest + 2))
  local lines = math.min((#list + per_row - 1) // per_row, math.max(rows - 3, 4))
  local out, shown = {}, 0
  local height = (#list + per_row - 1) // per_row
  for row = 1, lines do
    local cells = {}
    for column = 0, per_row - 1 do
      local name = list[row + column * height]
      if name then
        cells[#cells + 1] = core.text.pad(name, longest + 2)
        shown = shown + 1
      end
    end
    out[row] = table.concat(cells):gsub("%s+$", "")
  end
  if shown < #list then out[#out + 1] = ("... and %d more"):format(#list - shown) end
  return table.concat(out, "\n")
end

-- The Tab key: the line up to the cursor -> what to insert, and a list to show where that is nothing.
function complete.tab(line)
  if not line:find "%S" then return "  " end
  local found, quote = complete.candidates(line)
  local list, prefix = found[1], found[2]
  if #list == 0 then return nil end
  local rest = common_prefix(list):sub(#prefix + 1)
  if #list == 1 and quote and list[1]:sub(-1) ~= "/" then return rest .. quote end
  if rest ~= "" or #list == 1 then return rest end
  return nil, complete.columns(list, core.terminal_width())
end

return complete
