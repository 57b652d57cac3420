-- run_boxes.lua - for tests of data with boxes: pictures and labels in a folder that goes away, and what is said of them.
-- Gives {root, put, picture, open, shown, noted, faults}.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local data = tlua.data

local root = t.folder()
local put = t.writer(root)
local function picture(path, height, width)
  core.mkdirs((root .. "/" .. path):match "^(.*)/")
  core.image_write(root .. "/" .. path, core.zeros({ height or 40, width or 60, 3 }, { dtype = "uint8" }))
end

local BASE = { size = 32, mean = { 0.5 }, std = { 0.5 } }
local function open(kind, options, more)
  options.size = options.size or 32
  return data.open(data[kind](options), BASE, 0, more)
end

-- "left top right bottom:label ..." of each sample of a part, by names.
local function shown(source)
  local out = {}
  for i = 1, source:count() do
    local list, labels = source:boxes(i)
    local words = {}
    for k, b in ipairs(list) do words[k] = ("%g %g %g %g:%d"):format(b[1], b[2], b[3], b[4], labels[k]) end
    out[i] = source:path(i):match "[^/]+$" .. " " .. table.concat(words, ", ")
  end
  return table.concat(out, " | ")
end

-- What is written to standard error while f runs, and its error.
local function noted(f)
  local notes, real = {}, io.stderr
  io.stderr = { write = function(_, text) notes[#notes + 1] = text end } -- util.note writes there
  local ok, e = pcall(f)
  io.stderr = real
  assert(not ok, "no error where one was expected")
  return table.concat(notes) .. tostring(e)
end

-- All faults must be told, each with its place and its count.
local function faults(kind, options, wanted)
  local text = noted(function() open(kind, options) end)
  for _, each in ipairs(wanted) do assert(text:find(each, 1, true), ("no '%s' in:\n%s"):format(each, text)) end
  options.faults = "skip"
  local built = open(kind, options)
  local said = table.concat(built.said, "\n")
  for _, each in ipairs(wanted) do assert(said:find(each, 1, true), ("no '%s' in:\n%s"):format(each, said)) end
  return built
end

return { t = t, root = root, put = put, picture = picture, open = open, shown = shown, noted = noted, faults = faults }
