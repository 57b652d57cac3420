-- repl.lua - the prompt: an expression prints its value, a statement runs, an open block goes on in the next line. An
-- error keeps the session alive.
local core = require "tlua.core"
local repl = {}

-- A value as one readable text; tables are shown one level deep.
function repl.show(v, depth)
  if type(v) == "string" then return depth and ("%q"):format(v) or v end
  if type(v) ~= "table" or (getmetatable(v) and getmetatable(v).__tostring) then return tostring(v) end
  if depth and depth > 1 then return "{...}" end
  local parts, n = {}, 0
  for i, each in ipairs(v) do
    if i > 20 then parts[#parts + 1] = "..." break end
    parts[#parts + 1] = repl.show(each, (depth or 0) + 1)
    n = i
  end
  local names = {}
  for key in pairs(v) do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then names[#names + 1] = key end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(names) do
    if i > 40 then parts[#parts + 1] = "..." break end
    parts[#parts + 1] = ("%s = %s"):format(tostring(key), repl.show(rawget(v, key), (depth or 0) + 1))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- Compiles what was typed. Returns a function, or nil and whether more lines are wanted.
function repl.compile(text)
  local f = load("return " .. text, "=stdin", "t")
  if f then return f end
  local e
  f, e = load(text, "=stdin", "t")
  if f then return f end
  return nil, e:find("<eof>", 1, true) ~= nil, e
end

local function report(e)
  io.stdout:flush()
  io.stderr:write(tostring(e), "\n")
end

local function print_values(results)
  if results.n < 2 then return end
  local parts = {}
  for i = 2, results.n do parts[i - 1] = repl.show(results[i]) end
  print(table.concat(parts, "\t"))
end

-- Reads with `read(prompt)` until it gives nil.
function repl.loop(read)
  local text = nil
  while true do
    local line = read(text and ">> " or "> ")
    if not line then return end
    text = text and text .. "\n" .. line or line
    local f, more, e = repl.compile(text)
    if f then
      core.catch_interrupt(false)
      local results = table.pack(xpcall(f, function(m) return type(m) == "string" and m or tostring(m) end))
      if results[1] then
        local ok, bad = pcall(print_values, results)
        if not ok then report(bad) end
      else report(results[2]) end
      text = nil
      collectgarbage("step")
    elseif not more or line == "" then
      report(e)
      text = nil
    end
  end
end

function repl.run()
  local tlua = require "tlua"
  rawset(_G, "tlua", tlua)
  local terminal = core.isatty(0)
  if terminal then
    print(("tlua %s - transfer learning on OpenCL. tlua.tensor{1, 2} * 3 computes; Ctrl-D leaves."):format(core.version))
    repl.loop(core.repl_readline)
    print()
  else
    repl.loop(function() return io.read("l") end)
  end
  return 0
end

return repl
