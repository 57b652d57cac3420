-- scans.lua - a scanner's folder for docs/medicine.md where no other is at hand: DICOM files of made-up patients, in
-- half of whom something is bright, and a table that says in whom. The writer is that of the tests.
--   tlua docs/scans.lua FOLDER [PATIENTS]
local core = require "tlua.core"
local scanner = dofile((arg[0] or ""):gsub("docs/scans%.lua$", "") .. "tests/lua/run_scanner.lua")

local root, patients = arg[1] or "scans", tonumber(arg[2] or 20)
local classes, lines = scanner.folder(root, core, { patients = patients, slices = 6, size = 32 }), {}
for p, class in ipairs(classes) do lines[p] = ("SECRET-%02d,%s"):format(p, class == 1 and "bleeding" or "none") end
core.write_file(root .. "/findings.csv", "PatientID,finding\n" .. table.concat(lines, "\n") .. "\n")
print(("%s: %d patients of 6 slices, and findings.csv"):format(root, patients))
