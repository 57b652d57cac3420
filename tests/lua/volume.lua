-- volume.lua - NIfTI files, orientation, other grids and windows, against nibabel, SimpleITK and pydicom.
-- Run by `tlua tests/lua/volume.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local nifti, volume = core.nifti, core.volume

local GOLDEN = "tests/golden/nifti/"
local folder = t.folder()
local golden = core.load "tests/golden/nifti.safetensors"

local function slurp(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end
local function spit(name, bytes)
  local path = folder .. "/" .. name
  local f <close> = assert(io.open(path, "wb"))
  f:write(bytes)
  return path
end

local function same_affine(v, name, most)
  local want = golden[name .. ".affine"]:tolist()
  for r = 1, 3 do
    for c = 1, 4 do
      local a, b = v.affine[r][c], want[r][c]
      assert(math.abs(a - b) <= most, ("%s: %g, %g"):format(name, a, b))
    end
  end
end
local function same(v, name, most)
  local want = golden[name .. ".x"]
  t.equal(table.concat(v.x:shape(), "x"), table.concat(want:shape(), "x"), name)
  local apart = (v.x - want):abs():amax():item()
  assert(apart <= (most or 0), ("%s: %g apart"):format(name, apart))
end

t.test("NIfTI files are nibabel's to the bit", function()
  local n = 0
  for name, want in pairs(golden) do
    local file = name:match "^(.*)%.x$"
    local f = file and io.open(GOLDEN .. file)
    if f then
      f:close()
      n = n + 1
      local v = nifti.read(GOLDEN .. file)
      if #want:shape() < 3 then want = want:reshape(1, table.unpack(want:shape())) end
      golden[name] = want
      if file == "vector.nii" then v.x = v.x:reshape(table.unpack(want:shape())) end
      same(v, file)
      same_affine(v, file, 2e-6 * 20)
    end
  end
  assert(n >= 18, n)
  t.equal(nifti.read(GOLDEN .. "qform.nii").placed, "qform")
  t.equal(nifti.read(GOLDEN .. "spacing.nii").placed, "spacing")
  same(nifti.read(GOLDEN .. "pair.hdr"), "pair.img")
end)

t.test("what is written is read again, whole numbers as such", function()
  local v = nifti.read(GOLDEN .. "times.nii.gz", { orientation = "LPS" })
  for _, name in ipairs { "a.nii", "a.nii.gz" } do
    for _, whole in ipairs { false, true } do
      local path = folder .. "/" .. name
      nifti.write(path, v, { whole = whole })
      local w = nifti.read(path)
      t.equal(t.distance(w.x, v.x), 0)
      t.equal(w.axes, "LPS")
      for r = 1, 3 do
        for c = 1, 4 do assert(math.abs(w.affine[r][c] - v.affine[r][c]) < 1e-5) end
      end
      if name == "a.nii" then t.equal(#slurp(path), 352 + 120 * (whole and 2 or 4)) end
    end
  end
  nifti.write(folder .. "/mask.nii", { x = v.x:gt(0), affine = v.affine }, { whole = true })
  t.equal(#slurp(folder .. "/mask.nii"), 352 + 120)
  t.fails("a volume is written as .nii or .nii.gz", nifti.write, folder .. "/a.png", v)
  t.fails("a volume has affine", nifti.write, folder .. "/b.nii", { x = v.x })
end)

t.test("orientation", function()
  for _, axes in ipairs { "RAS", "LPS", "SAL", "PIR" } do
    local v = nifti.read(GOLDEN .. "float32.nii", { orientation = axes })
    t.equal(v.axes, axes)
    same(v, "axes " .. axes)
    same_affine(v, "axes " .. axes, 4e-5)
  end
  for _, bad in ipairs { "RAR", "RA", "RASX", "ras", "" } do
    t.fails("has not one letter each", nifti.read, GOLDEN .. "float32.nii", { orientation = bad })
  end
end)

t.test("other spacings and grids are SimpleITK's", function()
  for name, spacing in pairs { fine = { 0.7, 0.95, 1.1 }, coarse = { 3.1, 2.0, 3.9 } } do
    for _, kind in ipairs { "linear", "nearest" } do
      local v = nifti.read(GOLDEN .. "float32.nii", { spacing = spacing, nearest = kind == "nearest" })
      same(v, "spacing " .. name .. " " .. kind, kind == "linear" and 2e-4 or 0)
      for c = 1, 3 do assert(math.abs(v.spacing[c] - spacing[c]) < 1e-6) end
    end
  end
  local v, grid = nifti.read(GOLDEN .. "float32.nii"), nifti.read(GOLDEN .. "grid.nii")
  for _, kind in ipairs { "linear", "nearest" } do
    local w = volume.transform(v, { like = grid, nearest = kind == "nearest", fill = -7 })
    same(w, "like " .. kind, kind == "linear" and 2e-4 or 0)
  end
  t.equal(table.concat(volume.transform(v, { spacing = 1.5 }).x:shape(), " "), "5 5 5")
  t.fails("spacing is a number of mm", volume.transform, v, { spacing = { 1, 0, 1 } })
end)

t.test("windows", function()
  same(nifti.read(GOLDEN .. "float32.nii", { window = "brain" }), "window", 1e-6)
  same(nifti.read(GOLDEN .. "float32.nii", { window = { 40, 80 } }), "window", 1e-6)
  t.fails("did you mean 'lung'", nifti.read, GOLDEN .. "float32.nii", { window = "lungs" })
  t.fails("the file has no linear window", nifti.read, GOLDEN .. "float32.nii", { window = "file" })
end)

t.test("broken files", function()
  local whole = slurp(GOLDEN .. "int16.nii")
  local function put(at, text) return whole:sub(1, at) .. text .. whole:sub(at + 1 + #text) end
  local function refused(what, bytes, name)
    local path = spit(name or "broken.nii", bytes)
    local ok, text = pcall(nifti.read, path)
    assert(not ok and tostring(text):find(what, 1, true), ("%s: %s"):format(what, text))
    assert(tostring(text):find(path .. ": ", 1, true), text)
  end
  refused("the file is empty", "")
  refused("no NIfTI file", ("text "):rep(100))
  refused("it ends within its header", whole:sub(1, 300))
  refused("more voxels than the file has bytes for", whole:sub(1, -3))
  refused("more voxels than the file has bytes for", put(42, string.pack("<i2i2i2", 32767, 32767, 32767)))
  refused("dimension 2 has 0 voxels", put(44, "\0\0"))
  refused("it has 9 dimensions", put(40, string.pack("<i2", 9)))
  refused("its values are colours (NIfTI type 128)", put(70, string.pack("<i2", 128)))
  refused("its values are complex numbers", put(70, string.pack("<i2", 32)))
  refused("an Analyze file", put(344, "\0\0\0"))
  refused("its values begin at byte", put(108, string.pack("<f", 1e9)))
  refused("its values begin at byte", put(108, string.pack("<f", 100)))
  refused("a number that is not finite", put(280, string.pack("<f", 0 / 0)))
  refused("the header of a pair of files", put(344, "ni1"))
  local packed = slurp(GOLDEN .. "times.nii.gz")
  refused("ends within", packed:sub(1, -40), "cut.nii.gz")
  for at = 1, #whole, 7 do
    local ok, text = pcall(nifti.read, spit("cut.nii", whole:sub(1, at)))
    assert(not ok and not tostring(text):match "\n[^%s]", text)
  end
end)

os.execute("rm -r " .. folder)
t.finish()
