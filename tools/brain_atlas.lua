-- brain_atlas.lua DIR [TEMPLATES] - two brains with the regions of the same atlas, for recipes/brain_segment3d.lua.
-- To train on: one person's brain, a mean of 27 scans (Debian's package mricron-data, in TEMPLATES: ch2bet, the brain
-- alone), on which the atlas AAL was drawn. To test on: the MNI152 template of nilearn's wheel, and the atlas on its
-- grid.
--
--   apt-get install mricron-data
--   pip download --no-deps nilearn==0.14.1
--   python3 tools/wheel_files.py nilearn-0.14.1-py3-none-any.whl data/brain3d    (checks SHA-256 421a10e872fd...)
--   tlua tools/brain_atlas.lua data/brain3d
local core = require "tlua.core"
local root = arg[1] or error("brain_atlas.lua DIR [TEMPLATES]: DIR has the template of nilearn's wheel", 0)
local templates = arg[2] or "/usr/share/mricron/templates"
local MNI = root .. "/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"

local function there(path, way)
  if not core.exists(path) then error(("%s is missing: %s"):format(path, way), 0) end
  return core.nifti.read(path)
end
local brain = there(templates .. "/ch2bet.nii.gz", "apt-get install mricron-data")
local atlas = there(templates .. "/aal.nii.gz", "apt-get install mricron-data")
local test = there(MNI, "pip download --no-deps nilearn==0.14.1, then python3 tools/wheel_files.py nilearn-*.whl " ..
  root)

-- The atlas has whole mm of the same space in both, so that no voxel of it falls between two.
local function write(part, name, volume, regions)
  for folder, each in pairs { images = volume, masks = regions } do
    core.mkdirs(("%s/%s/%s"):format(root, part, folder))
    core.nifti.write(("%s/%s/%s/%s.nii.gz"):format(root, part, folder, name), each, { whole = true })
  end
  local inside = regions.x:gt(0):to "float32"
  print(("%s/%s: %s voxels, %.0f of them in a region"):format(part, name, table.concat(volume.x:shape(), " x "),
    inside:sum():item()))
end
write("train", "ch2", brain, atlas)
write("test", "mni152", test, core.volume.transform(atlas, { like = test, nearest = true, fill = 0 }))
