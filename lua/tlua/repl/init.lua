-- repl.lua - the prompt: an expression prints its value, a statement runs, what is open goes on in the next line. An
-- error or Ctrl-C ends what runs and keeps the session; tensors that nobody can name any more are freed at once.
local core = require "tlua.core"
local inspect = require "tlua.repl.inspect"
local complete = require "tlua.repl.complete"
local history = require "tlua.repl.history"
local repl = {}

local function is_open(e, text)
  if not e:find("near <eof>$") then return false end
  -- "abc may not go on in the next line, "abc\ may.
  return not e:find("unfinished string", 1, true) or text:sub(-1) == "\\"
end

-- Compiles what was typed. Returns a function, or nil, whether more lines are wanted, and the error.
function repl.compile(text)
  text = text:gsub("^%s*=", "")
  local f, as_value = load("return " .. text, "=stdin", "t")
  if f then return f end
  local e
  f, e = load(text, "=stdin", "t")
  if f then return f end
  if is_open(e, text) then return nil, true, e end
  -- "1 +" is open as a value and wrong as a statement.
  return nil, is_open(as_value, text), e
end

local function report(e, text)
  io.stdout:flush()
  if not text:find("\n", 1, true) then e = e:gsub("stdin:1: ", "", 1) end
  io.stderr:write(inspect.paint("error", e), "\n")
end

local wants_traceback = os.getenv "TLUA_TRACEBACK" == "1"
local function handler(e)
  local meta = getmetatable(e)
  local message = (type(e) == "string" or meta and meta.__tostring) and tostring(e) or
    ("error object: %s"):format(inspect.line(e))
  return wants_traceback and debug.traceback(message, 2) or message
end

local function show(results)
  local width = core.terminal_width()
  local n = results.n
  while n > 2 and results[n] == nil do n = n - 1 end -- modules give two values, mostly one
  for i = 2, n do print(inspect.text(results[i], width)) end
end

-- Runs one input; true where it ran to its end. Ctrl-C ends it; an error is shown.
function repl.evaluate(f, text)
  local results = table.pack(core.interruptible(f, handler))
  if results[1] then results = table.pack(core.interruptible(show, handler, results)) end
  io.stdout:flush()
  local ok = results[1]
  if not ok then report(results[2], text) end
  results = nil
  collectgarbage() -- what an error left behind lies on the device until then
  return ok
end

local told = false
local function tell_about_local(text)
  if told or not text:find "^%s*local%s" or text:find "\n" then return end
  told = true
  print(inspect.paint("note", "a local ends with its line here; without `local` the name stays"))
end

-- Reads with `read(prompt)` until it gives nil; false is a line that was given up. `remember` is told each whole input.
function repl.loop(read, remember)
  local text = nil
  while true do
    local line = read(text and ">> " or "> ")
    if line == nil then
      if text then report(select(3, repl.compile(text)), text) end
      return
    end
    if line == false then text = nil
    elseif text or line:find "%S" then
      text = text and text .. "\n" .. line or line
      local f, more, e = repl.compile(text)
      if f or not more then
        if remember then remember(text) end
        local ok = false
        if f then ok = repl.evaluate(f, text) else report(e, text) end
        if ok and remember then tell_about_local(text) end
        text = nil
      end
    end
  end
end

-- The names that everybody has at the prompt.
local function globals(names)
  rawset(_G, "tlua", require "tlua")
  rawset(_G, "help", require("tlua.repl.help").help)
  rawset(_G, "show", require("tlua.repl.picture").show)
  for name, value in pairs(names or {}) do rawset(_G, name, value) end
end

-- The session. `names`: globals to begin with; `banner`: lines that say what they are. Returns the exit status.
function repl.run(names, banner)
  globals(names)
  if not core.isatty(0) then
    repl.loop(function() return io.read "l" end)
    return 0
  end
  print(("tlua %s, transfer learning on OpenCL. %s"):format(core.version,
    inspect.paint("note", "help() tells what there is, Tab completes, Ctrl-D leaves.")))
  for _, line in ipairs(banner or {}) do print(line) end
  local kept = history.open()
  repl.loop(function(prompt) return core.read_line(inspect.prompt(prompt), complete.tab) end,
    function(text) kept:add(text) end)
  print()
  return 0
end

return repl
