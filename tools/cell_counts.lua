-- cell_counts.lua DIR [FILE] - a CSV of the blood smears of BCCD (its folders Annotations, ImageSets and JPEGImages in DIR) for recipes/cell_count.lua:
-- the file, its part as ImageSets/Main has it, and how many red and white cells and platelets are marked in it.
--
--   tlua tools/cell_counts.lua data/BCCD               writes data/BCCD/counts.csv
local core = require "tlua.core"
local root = arg[1] or error("cell_counts.lua DIR [FILE]: DIR has the folders Annotations, ImageSets and JPEGImages", 0)
local lines = { "file,part,RBC,WBC,Platelets" }

for _, part in ipairs { "train", "val", "test" } do
  for name in core.read_file(("%s/ImageSets/Main/%s.txt"):format(root, part)):gmatch "%S+" do
    local count = { RBC = 0, WBC = 0, Platelets = 0 }
    for object in core.read_file(("%s/Annotations/%s.xml"):format(root, name)):gmatch "<object>%s*<name>([^<]+)</name>" do
      count[object] = count[object] + 1
    end
    lines[#lines + 1] = ("JPEGImages/%s.jpg,%s,%d,%d,%d"):format(name, part, count.RBC, count.WBC, count.Platelets)
  end
end
local to = arg[2] or root .. "/counts.csv"
core.write_file(to, table.concat(lines, "\n") .. "\n")
print(("%s: %d pictures"):format(to, #lines - 1))
