-- names.lua - names that nobody gave a value: variables that a recipe reads and variables of the environment. Both are
-- nothing to who reads them, so a word without its quotes, or a letter too few, would change a run without a word.
local core = require "tlua.core"
local schema = require "tlua.schema"
local commands = require "tlua.command.commands"
local names = {}

-- What other versions of Lua have, and what looks for it asks by reading it.
local ELSEWHERE = {}
for name in ("unpack loadstring setfenv getfenv module bit bit32 jit ffi utf8 warn"):gmatch "%S+" do
  ELSEWHERE[name] = true
end

-- An environment for a recipe's chunk that notes which variables without a value are read, and the list of the notes,
-- {name =, line =}. Names that are given a value are global as ever.
function names.watched()
  local notes = {}
  local env = setmetatable({}, {
    __index = function(_, name)
      local value = _G[name]
      if value == nil and type(name) == "string" and not ELSEWHERE[name] then
        local from = debug.getinfo(2, "l")
        notes[#notes + 1] = { name = name, line = from and from.currentline or 0 }
      end
      return value
    end,
    __newindex = _G,
  })
  return env, notes
end

-- The chunk's functions have the plain globals from here on; an error where variables without a value were read.
function names.check(chunk, notes, path)
  if debug.getupvalue(chunk, 1) == "_ENV" then debug.setupvalue(chunk, 1, _G) end
  local first = notes[1]
  if not first then return end
  schema.usage(("%s:%d: '%s' has no value: a word wants quotes, \"%s\"; a variable that may be missing is read "
    .. "as _G.%s"):format(path, first.line, first.name, first.name, first.name))
end

-- What tests and those who look into a problem set; docs/internals.md lists them.
local INSIDE = { "TLUA_VECTOR", "TLUA_GEMM", "TLUA_CONV", "TLUA_GROUP", "TLUA_MAX_GROUPS", "TLUA_LONGEST",
  "TLUA_KERNEL_CACHE", "TLUA_MAX_SAMPLES", "TLUA_CHECK_WRONG", "TLUA_PYTHON", "TLUA_OP_DUMP" }
-- The values, as they are said.
local VALUES = { TLUA_TRACEBACK = "0 or 1", TLUA_HISTORY = "0 or 1", TLUA_TUNING = "0 or 1",
  TLUA_GRAPHICS = "kitty, sixel or blocks" }

local function is_one_of(value, said)
  for word in said:gmatch "[^%s,]+" do
    if word == value and word ~= "or" then return true end
  end
end

-- Variables of the environment that begin with TLUA_ and are none of tlua's are said on stderr, values that are none
-- are an error.
function names.check_environment()
  local known, is_known = { table.unpack(INSIDE) }, {}
  for _, each in ipairs(commands.environment) do known[#known + 1] = each[1] end
  for _, name in ipairs(known) do is_known[name] = true end
  for _, name in ipairs(core.environment "TLUA_") do
    local value, allowed = os.getenv(name) or "", VALUES[name]
    if not is_known[name] and not name:find "^TLUA_TEST_" then
      local near = core.near_miss(name, known)
      io.stderr:write(("tlua: note: nothing reads %s of the environment%s\n"):format(name,
        near and ("; did you mean %s?"):format(near) or ""))
    elseif allowed and value ~= "" and not is_one_of(value, allowed) then
      schema.usage(("%s: %s is needed, not '%s'"):format(name, allowed, value))
    end
  end
end

return names
