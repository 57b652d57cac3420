-- pieces.lua - tlua's side of bench/pieces.py: texts of a file (a length of 4 bytes before each) as numbers and
-- places, or how long that takes.
--   tlua bench/pieces.lua compare TOKENIZER TEXTS OUT [LONGEST STRIDE]     with LONGEST: first and second ones by turns
--   tlua bench/pieces.lua speed TOKENIZER TEXTS THREADS                    once for every line read
local core = require "tlua.core"
local tokenizer = require "tlua.data.texts.tokenizer"

local function read(path)
  local data, texts, at = core.read_file(path), {}, 1
  while at <= #data do texts[#texts + 1], at = string.unpack("<s4", data, at) end
  return texts
end

local what, path, file, fourth, longest, stride = table.unpack(arg)
local texts, handle = read(file), tokenizer.open(path).handle

if what == "speed" then
  local options = { threads = tonumber(fourth) }
  local function work() return handle:encode_all(texts, nil, options):count() end
  work()
  io.stdout:write("ready\n")
  io.stdout:flush()
  for _ in io.lines() do
    local wall, own = core.time(), os.clock()
    work()
    io.stdout:write(("%.6f %.6f\n"):format(core.time() - wall, os.clock() - own))
    io.stdout:flush()
  end
  return
end

local firsts, seconds = texts, nil
if longest then
  firsts, seconds = {}, {}
  for i = 1, #texts, 2 do firsts[#firsts + 1], seconds[#seconds + 1] = texts[i], texts[i + 1] end
end
local set = handle:encode_all(firsts, seconds,
  longest and { longest = tonumber(longest), stride = tonumber(stride), cut = "second" } or {})
local out = assert(io.open(fourth, "wb"))
-- In stretches, since a call takes so many arguments and no more.
local function put(list)
  out:write(string.pack("<i4", #list))
  for i = 1, #list, 200 do
    local last = math.min(i + 199, #list)
    out:write(string.pack("<" .. ("i4"):rep(last - i + 1), table.unpack(list, i, last)))
  end
end
for i = 1, set:count() do
  local w, number = set:window(i), set:text(i)
  local of = { [0] = tokenizer.characters(firsts[number]), seconds and tokenizer.characters(seconds[number]) }
  local from, to = {}, {}
  for k, s in ipairs(w.sequence) do
    from[k] = s < 0 and 0 or of[s](w.from[k])
    to[k] = s < 0 and 0 or of[s](w.to[k])
  end
  out:write(string.pack("<i4", number - 1))
  for _, list in ipairs { w.ids, w.from, w.to, from, to, w.sequence } do put(list) end
end
out:close()
