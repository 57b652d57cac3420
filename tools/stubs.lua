-- stubs.lua - prints docs/tlua.d.lua, the annotations that editors with LuaLS read, from what help() knows: operators from their
-- descriptors, the rest from lua/tlua/repl/manual.lua and the typed fields of the code. `make docs` runs it.
local help = require "tlua.repl.help"
local models = require "tlua.models"

local function say(...) print(string.format(...)) end

local function options_type(form)
  local list = {}
  for i, o in ipairs(form.options) do list[i] = ("%s%s: %s"):format(o.name, o.required and "" or "?", o.type or "any") end
  return #list > 0 and "{ " .. table.concat(list, ", ") .. " }" or "table"
end

-- Types as the stubs call them.
local function kind(text) return (text:gsub("%f[%w_.]nn%.", "tlua.nn.")) end

local function is_rest(p) return p.name == "..." end

-- "fun(a: integer, options?: {...}): tlua.Tensor"; `self` is the class of methods.
local function as_type(form, self)
  local list = { self and "self: " .. self }
  for _, p in ipairs(form.params) do list[#list + 1] = ("%s%s: %s"):format(p.name, p.optional and "?" or "", kind(p.type or "any")) end
  if form.options and not (form.params[1] and is_rest(form.params[#form.params])) then list[#list + 1] = "options?: " .. kind(options_type(form)) end
  return ("fun(%s)%s"):format(table.concat(list, ", "), form.result ~= "nil" and ": " .. kind(form.result) or "")
end

local function comment(entry, form)
  for line in (entry.text .. (entry.more and "\n" .. entry.more or "")):gmatch "[^\n]+" do say("---%s", line) end
  for _, o in ipairs(form.options or {}) do
    if o.brief then say("---- `%s`%s: %s", o.name, o.default and " = " .. o.default or "", o.brief) end
  end
end

-- One function. `name` is how it is written; `skip_first` leaves out the first input, which is the object itself.
local function declare(entry, name, skip_first, self)
  local form = entry.forms[1]
  comment(entry, form)
  local names = {}
  for i, p in ipairs(form.params) do
    if not (skip_first and i == 1) then
      say("---@param %s%s %s", p.name, p.optional and "?" or "", kind(p.type or "any"))
      names[#names + 1] = p.name
    end
  end
  if form.options and (#form.options > 0 or not entry.operator) and names[#names] ~= "..." then
    local more = entry.operator and #form.options > 0
    say("---@param options? %s%s", kind(options_type(form)), more and "|number|number[]|string|boolean" or "")
    names[#names + 1] = "options"
    if more then -- attributes may also come one by one
      say "---@param ... any"
      names[#names + 1] = "..."
    end
  end
  for i = 2, #entry.forms do say("---@overload %s", as_type(entry.forms[i], self)) end
  if form.result ~= "nil" then say("---@return %s", kind(form.result)) end
  say("function %s(%s) end\n", name, table.concat(names, ", "))
end

local function class(name, base) say("---@class %s%s", name, base and ": " .. base or "") end

local function head()
  say "---@meta tlua"
  say "-- Made by `make docs` from the operators' descriptors and lua/tlua/repl/manual.lua; do not edit. How an editor finds it: docs/repl.md.\n"
  say '---@alias tlua.dtype "float32"|"float16"|"bfloat16"|"int32"|"uint8"\n'
  class "tlua"
  for _, part in ipairs { "nn", "optim", "models", "data", "ops" } do say("---@field %s tlua.%s", part, part) end
  say "---@field version string\nlocal tlua = {}\n"
  class "tlua.Tensor"
  say "---@field grad tlua.Tensor?"
  for _, op in ipairs { "add", "sub", "mul", "div" } do say("---@operator %s(tlua.Tensor|number): tlua.Tensor", op) end
  say "---@operator pow(number): tlua.Tensor\n---@operator unm: tlua.Tensor\n---@operator len: integer\n---@field [integer] tlua.Tensor\nlocal Tensor = {}\n"
  say "---@class tlua.Scope\nlocal Scope = {}\n---Takes tensors out of the scope, to the one around it.\n---@param ... tlua.Tensor\n---@return tlua.Tensor ...\nfunction Scope:keep(...) end\nfunction Scope:close() end\n"
  say "---@class tlua.Guard\nlocal Guard = {}\nfunction Guard:close() end\n"
  class "tlua.Optimizer"
  say "local Optimizer = {}\n"
  say "---@class tlua.nn\nlocal nn = {}\n\n---@class tlua.nn.Module\n---@overload fun(x: tlua.Tensor, ...: any): tlua.Tensor\nlocal Module = {}\n"
  say "---@class tlua.Encoder: tlua.nn.Module\nlocal Encoder = {}\n"
  say "---@class tlua.Detector: tlua.nn.Module\nlocal Detector = {}\n"
  say "---@class tlua.optim\nlocal optim = {}\n\n---@class tlua.models\nlocal models = {}\n\n---@class tlua.data\nlocal data = {}\n\n---@class tlua.ops\nlocal ops = {}\n"
  say "---@class tlua.Recipe\nlocal Recipe = {}\n---Trains, tests, keeps.\n---@param options? { resume?: string, force?: boolean }\n---@return table results\nfunction Recipe:run(options) end\n---Builds everything and stops before the training: model, data, optim, loss.\n---@return table session\nfunction Recipe:build() end\n"
end

local OWNERS = { x = "Tensor", net = "Module", opt = "Optimizer", encoder = "Encoder", detector = "Detector" }
local CLASSES = { x = "tlua.Tensor", net = "tlua.nn.Module", opt = "tlua.Optimizer", encoder = "tlua.Encoder",
  detector = "tlua.Detector" }

local function network(name)
  local entry = models.registry.entry(name)
  local known = require("tlua.util").keys(entry.weights or {})
  say("---The network %s. weights: a file or the name of a published set%s.", name, #known > 0 and (" (%s)"):format(table.concat(known, ", ")) or "")
  local flat, class = entry.takes == "wave" or entry.takes == "text", entry.takes == "text" and "Encoder"
    or entry.class.gives == "levels" and "Detector" or "nn.Module"
  say("---@param options? { weights?: string, classes?: integer, dropout?: number%s }", flat and ""
    or ", in_channels?: integer")
  say("---@return tlua.%s\nfunction models.%s(options) end\n", class, name)
end

head()
for _, section in ipairs(help.sections()) do
  if section.title ~= "at the prompt" then
    say("-- %s\n", section.title)
    for _, entry in ipairs(section) do
      local owner, method = entry.name:match "^(%w+):([%w_]+)$"
      local layer = entry.name:match "^nn%.(%u%w+)$"
      if entry.operator then
        declare(entry, "ops." .. entry.name)
        say("tlua.%s = ops.%s\n", entry.name, entry.name)
        local first = entry.forms[1].params[1]
        if first and not is_rest(first) then declare(entry, "Tensor:" .. entry.name, true) end
      elseif owner then declare(entry, ("%s:%s"):format(OWNERS[owner], method), false, CLASSES[owner])
      else
        if layer then say("---@class tlua.nn.%s: tlua.nn.Module\n", layer) end
        declare(entry, entry.name)
      end
    end
  end
end
for _, name in ipairs(models.names()) do network(name) end
say "return tlua"
