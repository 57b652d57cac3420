-- volume_steps.lua - steps of volumes with given numbers are SciPy's and NumPy's (tests/golden/make_blocks.py);
-- what is drawn is drawn as often as it should be. Run by `tlua tests/lua/volume_steps.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"

local golden = core.load "tests/golden/blocks.safetensors"
local folder = t.folder()

-- The golden volume as a source, its voxels so many mm apart: slices, rows, columns.
local function source(mm)
  local affine = { { mm[3], 0, 0, 0 }, { 0, mm[2], 0, 0 }, { 0, 0, mm[1], 0 } }
  local place = ("%s/%s"):format(folder, table.concat(mm, "-"))
  core.mkdirs(place)
  local image, mask = place .. "/x.nii", place .. "/m.nii"
  core.nifti.write(image, { x = golden.x, affine = affine })
  core.nifti.write(mask, { x = golden.mask:to "float32", affine = affine }, { whole = true })
  return core.data.source("records", { volumes = { image }, masks = { mask }, classes = { "a", "b", "c" } })
end
local plain = source { 1, 1, 1 }

-- The one sample that a loader makes of a source, (D, H, W), and its mask.
local function sample(s, steps, epoch)
  local loader <close> = core.data.loader(s, core.data.pipeline(steps), { batch = 1, seed = 3 })
  loader:start(epoch or 1)
  local x, _, _, _, _, more = loader:next()
  local shape = { x:shape(2), x:shape(3), x:shape(4) }
  return x:reshape(shape), more.mask:reshape(shape)
end

local function near(got, want, most, what)
  local apart = (got - want):abs():amax():item()
  assert(apart <= most, ("%s: %g"):format(what, apart))
end

t.test("turns, scales, shears and moves are SciPy's affine maps, in millimetres", function()
  local function check(name, mm, degrees, scale, shear, move)
    local d = degrees
    local x, mask = sample(source(mm), { { "volume_affine", degrees = { d[1], d[1], d[2], d[2], d[3], d[3] },
      scale = { scale, scale }, shear = { shear, shear }, translate = { move, move } } })
    near(x, golden["affine." .. name], 1e-3, name) -- values up to 250, and draws are float32
    local other = (mask:to "float32" - golden["affine." .. name .. ".mask"]:to "float32"):abs()
    local differ = core.ops.gt(other, core.full({ 1 }, 0)):sum():item()
    t.equal(differ, 0, "voxels of the mask of " .. name)
  end
  check("turned", { 1, 1, 1 }, { 11, -7, 5 }, 1, 0, 0)
  check("all", { 2, 2, 2 }, { -20, 33, 14 }, 1.3, 6, 0.07)
  check("apart", { 5, 0.8, 0.8 }, { 10, 20, -30 }, 0.8, -4, -0.1)
end)

t.test("a flip and its colleague in the other direction give the volume back, to the bit", function()
  local x = sample(plain, { { "volume_flip", p = { 1, 1, 1 } }, { "volume_flip", p = { 1, 1, 1 } } })
  t.equal(x:hash(), golden.x:hash())
  local turned = sample(plain, { { "volume_flip", p = { 0, 0, 1 } } })
  local list, want = turned:tolist(), golden.x:tolist()
  for c = 1, 10 do t.equal(list[4][5][c], want[4][5][11 - c]) end
end)

t.test("normalisations, sizes and changes of values are NumPy's and SciPy's", function()
  local function made(...) return plain:volume(1, core.data.pipeline { ... }).x end
  local function check(got, name, most)
    near(got:reshape(golden[name]:shape()), golden[name], most, name)
  end
  check(made { "volume_normalise", how = "zscore" }, "zscore", 1e-5)
  check(made { "volume_normalise", how = "nonzero" }, "nonzero", 1e-5)
  check(made { "volume_normalise", how = "range" }, "range", 1e-6)
  check(made { "volume_normalise", how = "quantiles", low = 2, high = 90 }, "quantiles", 1e-5)
  check(made { "volume_fit", size = { 6, 15, 10 } }, "fit", 0)
  check(made { "volume_fit", size = { 8, 5, 13 } }, "fit_odd", 0)
  check(sample(plain, { { "volume_gamma", gamma = { 1.7, 1.7 } } }), "gamma", 2e-3)
  check(sample(plain, { { "volume_blur", sigma = { 1.3, 1.3 } } }), "blur", 1e-4)
  check(sample(plain, { { "volume_contrast", factor = { 1.6, 1.6 } } }), "contrast", 1e-3)
  check(sample(plain, { { "volume_brightness", factor = { 0.5, 0.5 } } }) * 2, "x", 0)
end)

t.test("the size that is announced is the one that comes out", function()
  for _, size in ipairs { { 6, 15, 10 }, { 8, 5, 13 }, { 1, 1, 1 } } do
    local p = core.data.pipeline { { "volume_grid", orientation = "LPS", spacing = { 2, 1, 1.5 } },
      { "volume_fit", size = size } }
    t.equal(table.concat(plain:extent(1, p).size, " "), table.concat(size, " "))
    local v = plain:volume(1, p)
    t.equal(table.concat(v.x:shape(), " "), table.concat(size, " ") .. " 1")
    t.equal(v.axes, "LPS")
  end
  -- A voxel keeps its place in the patient when the middle is cut out.
  local whole, cut = plain:volume(1), plain:volume(1, core.data.pipeline { { "volume_fit", size = { 5, 4, 4 } } })
  t.equal(cut.affine[1][4] - whole.affine[1][4], 3.0) -- columns: 10 / 2 - 4 / 2
  t.equal(cut.affine[3][4] - whole.affine[3][4], 2.0) -- slices: 9 // 2 - 5 // 2
end)

t.test("what is drawn: places of patches, shares around a class, flips, noise", function()
  local starts, hits, flipped, n = { 0, 0, 0 }, 0, 0, 400
  local steps = { { "volume_patch", size = { 3, 4, 5 } } }
  local loader <close> = core.data.loader(plain, core.data.pipeline(steps), { batch = 50, repeats = n, shuffle = true })
  loader:start(1)
  local first = golden.x:tolist()
  local place = {}
  for z = 3, 9 do for y = 1, 9 do for x = 1, 6 do place[first[z][y][x]] = { z, y, x } end end end
  while true do
    local x, _, count = loader:next()
    if not x then break end
    local list = x:tolist()
    for i = 1, count do
      local at = place[list[i][1][1][1][1]]
      if at then
        hits = hits + 1
        for k = 1, 3 do starts[k] = starts[k] + at[k] end
      end
    end
  end
  -- Slices from the third on have values of their own: five of seven starts. Means of uniform draws.
  assert(math.abs(hits / n - 5 / 7) < 0.08, hits)
  assert(math.abs(starts[1] / hits - 5) < 0.35, starts[1] / hits) -- 3 to 7
  assert(math.abs(starts[2] / hits - 5) < 0.5, starts[2] / hits)  -- 1 to 9
  assert(math.abs(starts[3] / hits - 3.5) < 0.35, starts[3] / hits) -- 1 to 6
  local noisy = sample(plain, { { "volume_noise", deviation = { 3, 3 } } }) - golden.x
  local sigma = (noisy * noisy):mean():item() ^ 0.5
  assert(math.abs(sigma - 3) < 0.25 and math.abs(noisy:mean():item()) < 0.4, sigma)
  for epoch = 1, n do
    local x = sample(plain, { { "volume_flip", p = { 0.25, 0, 0 } } }, epoch)
    if x:hash() ~= golden.x:hash() then flipped = flipped + 1 end
  end
  assert(math.abs(flipped / n - 0.25) < 0.08, flipped)
end)

t.test("a bend moves the inside and leaves the rim about where it is", function()
  local ramp = core.arange(9 * 12 * 10):reshape(9, 12, 10)
  core.nifti.write(folder .. "/ramp.nii", { x = ramp, affine = { { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 } } })
  local s = core.data.source("records", { volumes = { folder .. "/ramp.nii" } })
  local loader <close> = core.data.loader(s, core.data.pipeline { { "volume_elastic", knots = 9, mm = 2 } },
    { batch = 1, seed = 3 })
  loader:start(1)
  local moved = (loader:next():reshape(9, 12, 10) - ramp):abs():tolist()
  local most = 0
  for z = 4, 6 do for y = 5, 8 do for x = 4, 7 do most = math.max(most, moved[z][y][x]) end end end
  assert(most > 5, most)          -- slices are 120 apart
  assert(moved[1][1][1] < 0.05, moved[1][1][1]) -- a knot within has a weight of 1 / 216 there
end)

t.test("steps that do not go together, and numbers that do not fit", function()
  local function fails(text, ...) t.fails(text, core.data.pipeline, { ... }) end
  fails("volume_grid stands in front of all other steps", { "volume_normalise" }, { "volume_grid" })
  fails("volume_patch cannot stand behind volume_patch", { "volume_patch", size = { 2, 2, 2 } },
    { "volume_patch", size = { 2, 2, 2 } })
  fails("volume_normalise cannot stand behind volume_flip", { "volume_flip", p = { 0, 0, 1 } }, { "volume_normalise" })
  fails("resize is a step of pictures, and volume_normalise one of volumes", { "volume_normalise" },
    { "resize", size = 3 })
  fails("volume_affine: degrees goes from 5 to 1, which is backwards",
    { "volume_affine", degrees = { 0, 0, 5, 1, 0, 0 } })
  fails("volume_windows: 2 centres and 1 widths", { "volume_windows", centre = { 1, 2 }, width = 3 })
  fails("quantiles from 9 to 3 %", { "volume_normalise", how = "quantiles", low = 9, high = 3 })
  t.fails("resize is a step of pictures, and the samples are volumes", core.data.loader, plain,
    core.data.pipeline { { "resize", size = 3 } }, { batch = 1 })
  t.fails("3 samples of each volume would be the same", core.data.loader, plain, core.data.pipeline {},
    { batch = 1, repeats = 3 })
  t.fails("mixup is for pictures, and these are volumes", core.data.loader, plain, core.data.pipeline {},
    { batch = 1, mixup = 0.2 })
  local bare = core.data.source("records", { volumes = { folder .. "/1-1-1/x.nii" } })
  t.fails("foreground is found in masks, and these volumes have none", core.data.loader, bare,
    core.data.pipeline { { "volume_patch", size = { 2, 2, 2 }, foreground = 0.5 } }, { batch = 1 })
  t.fails("windows are of volumes with one channel, and it has 2", function()
    core.data.source("records", { volumes = { { folder .. "/1-1-1/x.nii", folder .. "/1-1-1/x.nii" } } }):volume(1,
      core.data.pipeline { { "volume_windows", centre = 40, width = 80 } })
  end)
end)

t.finish()
