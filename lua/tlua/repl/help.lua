-- help.lua - help() at the prompt, and what the editor stubs are made of (tools/stubs.lua): operators as their
-- descriptors tell them, like docs/ops.md, everything else from manual.lua and the typed fields of the code.
local core = require "tlua.core"
local util = require "tlua.util"
local help = {}

-- ---- the manual ----

-- The part of `text` up to a character of `ends` that stands in no bracket, and the rest after it.
local function until_one_of(text, ends, from)
  local depth, i = 0, from or 1
  while i <= #text do
    local c = text:sub(i, i)
    if depth == 0 and ends:find(c, 1, true) then break end
    if c:find "[%(%{<%[]" then depth = depth + 1 elseif c:find "[%)%}>%]]" then depth = depth - 1 end
    i = i + 1
  end
  return text:sub(from or 1, i - 1), i
end

local function split(text, separators)
  local list, at = {}, 1
  while at <= #text do
    local part
    part, at = until_one_of(text, separators, at)
    part = part:match "^%s*(.-)%s*$"
    if part ~= "" then list[#list + 1] = part end
    at = at + 1
  end
  return list
end

-- "name?: type = default" -> {name, type, default, optional}
local function parameter(text)
  local name, rest = text:match "^([%w_.]+%??):%s*(.*)$"
  if not name then return { name = text } end
  local kind, default = rest:match "^(.-)%s+=%s+(.*)$"
  local optional = name:sub(-1) == "?"
  return { name = optional and name:sub(1, -2) or name, type = kind or rest, default = default, optional = optional }
end

-- "nn.Linear(out: integer, {bias: boolean = true}): nn.Linear"
local function signature(text)
  local name, at = until_one_of(text, "(")
  local inside, stop = until_one_of(text, ")", at + 1)
  local form = { name = name, params = {}, options = nil, result = text:sub(stop + 1):match "^:%s*(.*)$" or "nil" }
  for _, part in ipairs(split(inside, ",;")) do
    local options = part:match "^{(.*)}$"
    if not options then form.params[#form.params + 1] = parameter(part)
    else
      form.options = {}
      for _, each in ipairs(split(options, ",")) do
        if each == "schema" then form.schema = true else form.options[#form.options + 1] = parameter(each) end
      end
    end
  end
  return form
end

local function first_sentence(text) return (text:match "^(.-%.)%s" or text) end

local function parse(text)
  local sections, entry = {}, nil
  for line in text:gmatch "[^\n]+" do
    local title, head = line:match "^== (.*)$", line:match "^# (.*)$"
    if title then
      sections[#sections + 1] = { title = title }
      entry = nil
    elseif head then
      local form = signature(head)
      if not entry or entry.name ~= form.name or entry.text ~= "" then
        entry = { name = form.name, forms = {}, text = "" }
        table.insert(sections[#sections], entry)
      end
      entry.forms[#entry.forms + 1] = form
    else entry.text = entry.text == "" and line or entry.text .. " " .. line end
  end
  return sections
end

-- ---- what the code says itself ----

local examples, networks -- name -> lines of code; name of a network -> text

-- Types of typed fields (schema.lua) as LuaLS writes them.
local TYPES = { text = "string", name = "string", path = "string", number = "number", integer = "integer",
  seed = "integer", batch = 'integer|"auto"', load = "integer|string",
  pieces = "integer|string", file_or_share = "string|number",
  pattern = "string|function", boolean = "boolean", chance = "boolean|number", numbers = "number|number[]",
  range = "number|number[]|false", class_weights = 'number[]|"auto"', texts = "string|string[]",
  windows = "string|table", number_lists = "table",
  globs = "string|string[]|fun(name: string): boolean", parts = "boolean|string|string[]",
  statistics = '"train"|"eval"|number', size = "string|number", tensor = "tlua.Tensor|table|string", func = "function",
  cache = 'boolean|"auto"|table', module = "tlua.nn.Module",
  sizes_by_name = "table<string, integer>", numbers_by_name = "table<string, number>" }

local function type_of(field)
  if field[2] ~= "choice" then return TYPES[field[2]] or "any" end
  local list = {}
  for i, each in ipairs(field[5]) do list[i] = ('"%s"'):format(each) end
  return table.concat(list, "|")
end

local function default_of(value)
  if value == nil then return nil end
  if type(value) == "string" then return ("%q"):format(value) end
  local text = require("tlua.schema").show(value)
  return type(value) == "table" and "{ " .. text:gsub(",", ", ") .. " }" or text
end

local function schema_of(name)
  local family, kind = name:match "^(%w+)%.([%w_]+)$"
  if family == "nn" then return require("tlua.nn").layers[kind].schema end
  if family == "optim" then return require("tlua.optim").kinds[kind] end
  if family == "data" then return require("tlua.data").kinds[kind].schema end
  if family == "models" then return require("tlua.models").registry.entry(kind).fields end
  if family == "task" then return require("tlua.task").definition(kind).schema end
  if kind == "recipe" then return require("tlua.train.recipe").PLAIN end
  return require("tlua.train.stage").FINE_TUNE
end

local function add_options(form, schema)
  for _, field in ipairs(schema) do
    form.options[#form.options + 1] = { name = field[1], type = type_of(field), default = default_of(field[3]),
      brief = field[4] }
  end
end

local function fill_in(entry)
  for _, form in ipairs(entry.forms) do
    if form.schema then add_options(form, schema_of(entry.name)) end
  end
end

-- The entry of a network of the registry, by its name (with or without "models." before it); nil where there is none.
local function network(name)
  local registry = require("tlua.models").registry
  name = name:gsub("^models%.", "")
  local known = registry.entries[name]
  if not known then return nil end
  local form = { name = "models." .. name, params = {}, options = {}, result = "nn.Module" }
  add_options(form, registry.schema(known))
  local text = networks[name] or "A network."
  return { name = form.name, title = form.name, forms = { form }, text = text, first = first_sentence(text),
    example = examples[form.name] }
end

local OPERATOR_TYPES = { integer = "integer", number = "number", boolean = "boolean", axis = "integer",
  axes = "integer[]", integers = "integer[]", numbers = "number[]" }

-- The entry of an operator, from its descriptor.
local function operator(op)
  local form = { name = "tlua.ops." .. op.name, params = {}, options = {}, result = "tlua.Tensor" }
  for i, input in ipairs(op.inputs) do
    local many = input:find("...", 1, true)
    form.params[i] = { name = many and "..." or input:gsub("%?", ""), type = "tlua.Tensor",
      optional = input:find "%?" ~= nil }
  end
  for i, attr in ipairs(op.attrs) do
    local kind = OPERATOR_TYPES[attr.kind]
    if attr.kind == "choice" then kind = '"' .. table.concat(attr.choices, '"|"') .. '"' end
    form.options[i] = { name = attr.name, type = kind, default = not attr.required and attr.default or nil,
      brief = attr.brief, required = attr.required }
  end
  local more = op.torch and ("PyTorch: %s. "):format(op.torch) or ""
  more = more ..
    (#op.gradients > 0 and ("Gradient towards %s."):format(table.concat(op.gradients, ", ")) or "No gradient.")
  return { name = op.name, forms = { form }, text = op.brief, more = more, operator = true }
end

-- ---- the index ----

local PLACES = { x = function() return debug.getmetatable(core.tensor(0)).methods end,
  net = function() return require("tlua.nn.module").Module end,
  encoder = function() return require "tlua.models.text.texts" end,
  detector = function() return require "tlua.models.detect.detector" end,
  opt = function() return core.optimizer_methods end }

-- The value that a name of the manual stands for.
local function value_of(name)
  local owner, method = name:match "^(%w+):([%w_]+)$"
  if owner then return PLACES[owner] and PLACES[owner]()[method] end
  local tlua = require "tlua"
  local family, rest = name:match "^(%w+)%.([%w_]+)$"
  if family == "tlua" then return tlua[rest] end
  if family then return tlua[family][rest] end
  return rawget(_G, name)
end

local sections, by_name, by_value

local function add(entry)
  entry.first = first_sentence(entry.text)
  entry.title = entry.name
  entry.example = examples[entry.name]
  by_name[entry.name] = entry
  local short = entry.name:match "[%w_]+$"
  by_name[short] = by_name[short] or entry
end

local function open()
  if sections then return end
  sections, by_name = parse(require "tlua.repl.manual"), {}
  examples, networks = require("tlua.repl.examples").all(), require "tlua.repl.networks"
  for _, section in ipairs(sections) do
    for _, entry in ipairs(section) do
      fill_in(entry)
      add(entry)
    end
  end
  local ops = { title = "operators" }
  for i, op in ipairs(core.op_list()) do
    ops[i] = operator(op)
    add(ops[i])
    by_name["tlua.ops." .. op.name] = ops[i]
  end
  table.insert(sections, #sections, ops)
end

-- All sections, each with a title and its entries.
function help.sections()
  open()
  return sections
end

-- The entry of a network by its name, nil where there is none.
function help.network(name)
  open()
  return network(name)
end

function help.topics()
  open()
  local names = {}
  for name in pairs(by_name) do names[name] = true end
  for _, name in ipairs(require("tlua.models").registry.names()) do names[name] = true end
  return names
end

-- The entry for a value (a function, a class, a module) or nil.
function help.entry(v)
  open()
  if type(v) ~= "function" and type(v) ~= "table" then return nil end
  if type(v) == "table" then
    local name = rawget(v, "_class") or (rawget(v, "_modules") and v._class)
    return name and by_name[name] or nil
  end
  if not by_value then
    by_value = {}
    for _, op in ipairs(core.op_list()) do
      local entry = by_name["tlua.ops." .. op.name]
      by_value[core.ops[op.name]], by_value[PLACES.x()[op.name]] = entry, entry
    end
    for _, section in ipairs(sections) do
      for _, entry in ipairs(section) do
        local found = not entry.operator and value_of(entry.name)
        if found then by_value[found] = entry end
      end
    end
  end
  if by_value[v] then return by_value[v] end
  local models = require "tlua.models"
  for _, name in ipairs(models.registry.names()) do
    if models[name] == v then return network(name) end
  end
end

-- ---- showing ----

local function wrap(text, width, indent, gap)
  local lines, line = {}, indent
  for word in text:gmatch "%S+" do
    if core.text.width(line) + 1 + core.text.width(word) > width and line ~= indent then
      lines[#lines + 1] = line
      line = indent
    end
    line = line == indent and line .. word or line .. (gap or " ") .. word
  end
  lines[#lines + 1] = line
  return lines
end

local function call_text(form)
  local list = {}
  for i, p in ipairs(form.params) do list[i] = p.optional and p.name .. "?" or p.name end
  if form.options and #form.options > 0 then list[#list + 1] = "{ options }" end
  return ("%s(%s)%s"):format(form.name, table.concat(list, ", "), form.result ~= "nil" and " -> " .. form.result or "")
end

local function option_lines(options, width)
  local lines, longest, kinds = {}, 0, 0
  for _, o in ipairs(options) do
    o.shown = ("%s%s"):format(o.type or "", o.required and ", required" or o.default and " = " .. o.default or "")
    longest = math.max(longest, #o.name)
    kinds = math.max(kinds, math.min(#o.shown, 34))
  end
  for _, o in ipairs(options) do
    local head = ("    %s  %s"):format(o.name .. (" "):rep(longest - #o.name), o.shown .. (" "):rep(kinds - #o.shown))
    if not o.brief then lines[#lines + 1] = (head:gsub("%s+$", ""))
    else
      local indent = (" "):rep(longest + kinds + 8)
      local rest = wrap(o.brief, width, indent)
      if #o.shown > kinds then lines[#lines + 1] = head
      else rest[1] = head .. "  " .. rest[1]:sub(#indent + 1) end
      for _, line in ipairs(rest) do lines[#lines + 1] = line end
    end
  end
  return lines
end

-- The entry as a page for a terminal of so many columns.
function help.page(entry, width)
  local paint = require("tlua.repl.inspect").paint
  local lines, options = {}, nil
  width = math.min(width, 110)
  for _, form in ipairs(entry.forms) do
    lines[#lines + 1] = paint("strong", call_text(form))
    if form.options and #form.options > 0 and (not options or #form.options > #options) then options = form.options end
  end
  for _, line in ipairs(wrap(entry.text, width, "  ")) do lines[#lines + 1] = line end
  for _, line in ipairs(options and option_lines(options, width) or {}) do lines[#lines + 1] = line end
  if entry.more then
    for _, line in ipairs(wrap(entry.more, width, "  ")) do lines[#lines + 1] = line end
  end
  if entry.operator then
    lines[#lines + 1] = ("  Also a method: x:%s(...). Dimensions count from 1."):format(entry.name)
  end
  for i, line in ipairs(entry.example or {}) do
    if i == 1 then lines[#lines + 1] = paint("note", "  Example:") end
    lines[#lines + 1] = "    " .. line
  end
  return table.concat(lines, "\n")
end

local function overview(width)
  local paint = require("tlua.repl.inspect").paint
  local lines = {}
  for _, section in ipairs(sections) do
    local names = {}
    for i, entry in ipairs(section) do names[i] = entry.name end
    lines[#lines + 1] = paint("strong", section.title)
    for _, line in ipairs(wrap(table.concat(names, "  "), math.min(width, 110), "  ", "  ")) do
      lines[#lines + 1] = line
    end
  end
  lines[#lines + 1] =
    'help(tlua.nn.Linear) or help "matmul" tells more; a recipe lists its fields with `tlua RECIPE.lua --help`.'
  return table.concat(lines, "\n")
end

-- help(), help(value), help "name"
function help.help(...)
  open()
  local v, width = ..., (core.terminal_width())
  if select("#", ...) == 0 then return print(overview(width)) end
  if core.is_tensor(v) then v = "tensor" end
  if type(v) ~= "string" then
    local entry = help.entry(v)
    if not entry then util.failf("help: nothing is known about this %s; help() lists the topics", type(v)) end
    return print(help.page(entry, width))
  end
  local name = by_name[v] and v or v:gsub("^tlua%.", "")
  local entry = by_name[name] or network(name)
  if not entry then util.unknown("topic of help:", v, util.keys(help.topics())) end
  print(help.page(entry, width))
end

return help
