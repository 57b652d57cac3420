-- run_spheres.lua - small volumes in which a bright sphere lies, with masks of it, as NIfTI files: what tests of
-- volumes learn. spheres.write(folder, core, {count =, size =, ...}) writes images and masks.
local spheres = {}

spheres.IDENTITY = { { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 } }

-- Values and classes of one volume: a sphere around a place that hangs on `number`, brighter than the noise around
-- it.
function spheres.of(core, number, size, classes)
  local d, h, w = table.unpack(size)
  local draw = core.data.permutation(number, 1, 1000)
  local r = 3 + number % 2
  local c = { r + draw[1] % (d - 2 * r), r + draw[2] % (h - 2 * r), r + draw[3] % (w - 2 * r) }
  local values, mask = {}, {}
  for z = 0, d - 1 do
    for y = 0, h - 1 do
      for x = 0, w - 1 do
        local inside = (z - c[1]) ^ 2 + (y - c[2]) ^ 2 + (x - c[3]) ^ 2 <= r * r
        local n = #values + 1
        values[n] = (inside and 30 or 0) + draw[n % 1000 + 1] / 100
        mask[n] = inside and (classes and number % classes + 1 or 1) or 0
      end
    end
  end
  return core.tensor(values):reshape(d, h, w), core.tensor(mask):reshape(d, h, w)
end

function spheres.write(folder, core, o)
  core.mkdirs(folder .. "/images")
  core.mkdirs(folder .. "/masks")
  for i = 1, o.count do
    local size = o.size or { 12 + 2 * (i % 2), 14, 16 }
    local values, mask = spheres.of(core, i, size)
    local name = ("%s/%%s/case%02d.nii.gz"):format(folder, i)
    core.nifti.write(name:format "images", { x = values, affine = o.affine or spheres.IDENTITY })
    core.nifti.write(name:format "masks", { x = mask, affine = o.affine or spheres.IDENTITY }, { whole = true })
  end
end

return spheres
