-- written.lua - files that `tlua predict --to FOLDER` writes beside each other: their names, and where they may lie.
local core = require "tlua.core"
local util = require "tlua.util"
local written = {}

-- The name without ending for what is said of the picture at `path`: that of its file, with its folders where another
-- has it already, and a number where that is not enough. o.to: the folder, made where it is missing; o.written: names
-- that were given.
function written.name(o, path)
  local name = path:match "([^/]*)$":gsub("%.[^.]*$", "")
  o.written = o.written or {}
  if o.written[name] then name = path:gsub("%.[^./]*$", ""):gsub("^[./]+", ""):gsub("/", "_") end
  local plain, number = name, 1
  while o.written[name] do -- a.jpg and a.png of one folder
    number = number + 1
    name = ("%s-%d"):format(plain, number)
  end
  o.written[name] = true
  core.mkdirs(o.to)
  return name
end

-- Refuses the folder that the picture at `path` lies in; what: "a mask".
function written.check(o, path, what)
  if core.same_file(o.to, path:match "^(.*)/[^/]*$" or ".") then
    util.failf("predict: %s holds the pictures themselves, and %s would take the place of one: --to another folder",
      o.to, what)
  end
end

util.seal(written, "")
return written
