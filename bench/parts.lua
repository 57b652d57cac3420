-- parts.lua RECIPE.lua [--FIELD VALUE]... - which sample is in which part, as "path,part" lines, so that another program trains on the same ones.
local tlua = require "tlua"
local core = require "tlua.core"
local path = table.remove(arg, 1)
local recipe, words = dofile(path), {}
for i = 1, #arg, 2 do words[#words + 1] = { arg[i]:match "^%-%-(.+)$", arg[i + 1] } end
recipe:override(words)
local s = require("tlua.train.build").pictures(recipe)
for _, part in ipairs { "train", "validation", "test" } do
  local source = s.data[part]
  for i = 1, source and source:count() or 0 do print(source:name(i) .. "," .. part) end
end
core.sync()
return tlua
