-- xray_csv.lua DIR [FILE] - a CSV of the chest X-rays in DIR/normal, DIR/pneumonia and DIR/covid19 for recipes/xray_multilabel.lua: the file, whose it
-- is, and two findings. Names of the first two folders begin with eight digits that stand for the patient; 22 patients lie in both. The others
-- are patients of their own.
--
--   tlua tools/xray_csv.lua data/chest_xray            writes data/chest_xray/findings.csv
local core = require "tlua.core"
local root = arg[1] or error("xray_csv.lua DIR [FILE]: DIR has the folders normal, pneumonia and covid19", 0)
local lines = { "file,patient,pneumonia,covid19" }

for _, folder in ipairs { "normal", "pneumonia", "covid19" } do
  local names = core.list_folder(root .. "/" .. folder)
  table.sort(names)
  for _, name in ipairs(names) do
    if name:lower():find "%.jpe?g$" then
      lines[#lines + 1] = ("%s/%s,%s,%d,%d"):format(folder, name, name:match "^(%d%d%d%d%d%d%d%d)_" or name:gsub("%.%w+$", ""),
        folder == "normal" and 0 or 1, folder == "covid19" and 1 or 0)
    end
  end
end
local to = arg[2] or root .. "/findings.csv"
core.write_file(to, table.concat(lines, "\n") .. "\n")
print(("%s: %d pictures"):format(to, #lines - 1))
