-- volume_data.lua - volumes from their files to a trained network: folders and tables of NIfTI files, what masks mean,
-- patches, and what is refused. Run by `tlua tests/lua/volume_data.lua`.
local t = dofile "tests/lua/run_tests.lua"
local spheres = dofile "tests/lua/run_spheres.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local nn, data, optim, models = tlua.nn, tlua.data, tlua.optim, tlua.models

local folder = t.folder()
core.device()
spheres.write(folder, core, { count = 10 })
local names = { "background", "sphere" }

local function open(o, options, base)
  local given = { root = folder, classes = names, patch = { 8, 8, 8 } }
  for key, v in pairs(o or {}) do given[key] = v or nil end
  for key, v in pairs(o or {}) do if v == false then given[key] = nil end end
  return data.open(data.nifti(given), base or {}, 1, options)
end

-- All batches of an epoch: lists of input, mask and indices.
local function epoch(d, part, number)
  local loader <close> = data.loader(d, part, 7)
  local out = {}
  loader:start(number or 1)
  while true do
    local x, _, n, indices, _, more = loader:next()
    if not x then return out end
    out[#out + 1] = { x = x, mask = more and more.mask, n = n, indices = indices }
  end
end

local function shape(x) return table.concat(x:shape(), " ") end

t.test("folders of images and masks, patches of them in training, whole ones else", function()
  local d = open { batch = 4 }
  t.equal(d.train:count() .. " " .. d.test:count(), "8 2")
  t.equal(table.concat(d.classes, " "), "background sphere")
  t.equal(d.input.kind .. " " .. d.patches .. " " .. d.foreground, "volume 4 0.33")
  local seen = {}
  local list = epoch(d, "train")
  t.equal(#list, 8)
  for _, b in ipairs(list) do
    t.equal(shape(b.x), "4 8 8 8 1")
    t.equal(shape(b.mask), "4 8 8 8")
    t.equal(b.mask:dtype(), "int32")
    for _, i in ipairs(b.indices) do seen[i] = (seen[i] or 0) + 1 end
  end
  for i = 1, 8 do t.equal(seen[i], 4, "patches of volume " .. i) end
  local whole = epoch(d, "test")
  t.equal(#whole, 2)
  for _, b in ipairs(whole) do
    local e = d.test:extent(b.indices[1])
    t.equal(shape(b.x), ("1 %s 1"):format(table.concat(e.size, " ")))
    assert(math.abs(b.x:mean():item()) < 1e-4) -- zscore
  end
end)

t.test("the same bits whatever the threads and the memory, others in the next epoch", function()
  local function sums(o, number)
    local out = {}
    for _, b in ipairs(epoch(open(o, { augment = { rotate = 20, elastic = 2, elastic_chance = 1, noise = 0.2,
      value_chance = 1 } }), "train", number)) do
      out[#out + 1] = b.x:hash() .. b.mask:hash()
    end
    return table.concat(out, "\n")
  end
  local once = sums { threads = 1 }
  t.equal(sums { threads = 3 }, once)
  t.equal(sums { threads = 3, keep = 0 }, once)
  t.equal(sums { threads = 2, keep = 9000 }, once)
  assert(sums({ threads = 1 }, 2) ~= once)
end)

t.test("patches around a voxel of a class", function()
  for _, b in ipairs(epoch(open { foreground = 1 }, "train")) do
    local hits = core.ops.eq(b.mask:to "float32", core.full({ 1 }, 1)):sum { axes = { 2, 3, 4 } }:tolist()
    for i = 1, b.n do assert(hits[i] > 0) end
  end
end)

t.test("what is smaller than a patch lies in its middle, and its surroundings are ignored", function()
  local d = open { patch = { 20, 8, 8 } }
  local b = epoch(d, "train")[1]
  local ignored = core.ops.eq(b.mask:to "float32", core.full({ 1 }, 255)):sum():item()
  local missing = 0
  for _, i in ipairs(b.indices) do missing = missing + (20 - d.train:extent(i).size[1]) * 64 end
  t.equal(ignored, missing)
  local lines = {}
  d.input.lines(d, function(text) lines[#lines + 1] = text end)
  assert(table.concat(lines, "\n"):find("8 of 8 volumes are smaller and get zeros around them", 1, true))
end)

-- ---- what masks mean ----

local function written(name, values, size, affine, whole)
  local path = folder .. "/" .. name
  core.mkdirs(path:match "^(.*)/")
  core.nifti.write(path, { x = core.tensor(values):reshape(size), affine = affine or spheres.IDENTITY },
    { whole = whole ~= false })
  return path
end

local function repeated(v, n)
  local out = {}
  for i = 1, n do out[i] = type(v) == "function" and v(i) or v end
  return out
end

-- A folder with one image and its mask.
local function pair(name, image, mask, size, affine, mask_affine)
  written(name .. "/images/a.nii.gz", image, size, affine, false)
  written(name .. "/masks/a.nii", mask, size, mask_affine or affine)
  return folder .. "/" .. name
end

local function one(root, o, options)
  local given = { root = root, classes = { "none", "left", "right" }, patch = false, split = 0, batch = 1,
    normalise = "none" }
  for key, v in pairs(o or {}) do given[key] = v end
  return open(given, options)
end

t.test("values of an atlas as classes", function()
  local root = pair("atlas", repeated(1, 8), { 0, 17, 1000, 2035, 3, 0, 17, 9 }, { 2, 2, 2 })
  local values = { { 0, 9 }, { 17, 1000 }, 2035 }
  t.fails("a.nii: the mask has the value 3 in column 1, row 1, slice 2, and no class has it", one, root,
    { values = values })
  local function mask(o)
    o.values = values
    return table.concat(one(root, o).train:mask(1):reshape(-1):tolist(), " ")
  end
  t.equal(mask { rest = "background" }, "0 1 1 2 0 0 1 0")
  t.equal(mask { rest = "ignored" }, "0 1 1 2 255 0 1 0")
  t.fails("values: 9 stands in two classes", one, root, { values = { { 0, 9 }, 9, 17 } })
  t.fails("there are 2 for 3 classes", one, root, { values = { 0, 1 } })
  t.fails("the mask has the value 17", one, root)
end)

t.test("orientation and spacing, the mask by its nearest voxel", function()
  local values = repeated(function(i) return i end, 4 * 3 * 2)
  local lps = { { -1, 0, 0, 0 }, { 0, -2, 0, 0 }, { 0, 0, 4, 0 } }
  local root = pair("turned", values, repeated(function(i) return i % 3 end, 24), { 2, 3, 4 }, lps)
  local d = one(root)
  local v = d.train:volume(1, d.test_pipeline)
  t.equal(v.axes, "RAS")
  local want = core.nifti.read(root .. "/images/a.nii.gz", { orientation = "RAS" })
  t.equal(t.distance(v.x, want.x), 0)
  d = one(root, { spacing = { 1, 1, 2 } })
  v = d.train:volume(1, d.test_pipeline)
  t.equal(shape(v.x), "4 6 4 1")
  want = core.nifti.read(root .. "/images/a.nii.gz", { orientation = "RAS", spacing = { 1, 1, 2 } })
  t.equal(t.distance(v.x, want.x), 0)
  local near = core.nifti.read(root .. "/masks/a.nii", { orientation = "RAS", spacing = { 1, 1, 2 }, nearest = true })
  t.equal(t.distance(v.mask:to "float32", near.x), 0)
  t.equal(table.concat(d.train:extent(1, d.test_pipeline).size, " "), "4 6 4")
  d = one(root, { orientation = "file" })
  t.equal(d.train:volume(1, d.test_pipeline).axes, "LPS")
  t.fails("orientation has one letter each of L or R, P or A, S or I, like RAS, or is file: not 'RAX'", one, root,
    { orientation = "RAX" })
end)

-- ---- tables, class folders, nnU-Net's names, series ----

t.test("a table with masks, groups, parts and attributes", function()
  local lines = { "image;mask;patient;part;sex" }
  for i = 1, 10 do
    lines[i + 1] = ("images/case%02d.nii.gz;masks/case%02d.nii.gz;p%d;%s;%s"):format(i, i, i // 2,
      i > 7 and "test" or "train", i % 2 == 0 and "F" or "M")
  end
  core.write_file(folder .. "/cases.csv", table.concat(lines, "\n") .. "\n")
  local given = { root = false, path = folder .. "/cases.csv", mask = "mask", group = "patient", part = "part",
    attributes = "sex" }
  local d = open(given)
  t.equal(d.train:count() .. " " .. d.test:count(), "7 3")
  t.equal(table.concat(d.attributes.train.sex, ""), "MFMFMFM")
  t.equal(#d.keys.test, 3)
  assert(d.keys.test[1] == d.keys.test[2] and d.keys.test[2] ~= d.keys.test[3]) -- 8 and 9 are one patient's
  t.equal(d.groups.count, 6)
  given.mask = "masks"
  t.fails("has no column 'masks' (mask)", open, given)
end)

t.test("classes and numbers of a table, several files as channels", function()
  local lines = { "a,b,finding,dose" }
  for i = 1, 6 do
    lines[i + 1] = ("images/case02.nii.gz,masks/case02.nii.gz,%s,%g"):format(i % 2 == 0 and "yes" or "no", i / 4)
  end
  core.write_file(folder .. "/classes.csv", table.concat(lines, "\n") .. "\n")
  local path = folder .. "/classes.csv"
  local d = data.open(data.nifti { path = path, image = { "a", "b" }, target = "finding", split = 0.5, size = 8 },
    {}, 1)
  t.equal(d.channels .. " " .. table.concat(d.classes, " "), "2 no yes")
  t.equal(shape(epoch(d, "train")[1].x), "2 8 8 8 2")
  d = data.open(data.nifti { path = path, image = "a", target = "dose", split = 0.5, size = 8 }, {}, 1,
    { task = tlua.task.regress {} })
  t.equal(d.value_names[1], "dose")
  t.equal(d.train:values(1)[1] % 0.25, 0)
end)

t.test("folders of classes, and nnU-Net's names", function()
  local values = spheres.of(core, 1, { 12, 10, 10 })
  for i = 1, 6 do
    for _, name in ipairs { ("classes/%s/v%d.nii"):format(i % 2 == 0 and "even" or "odd", i),
      ("nn/imagesTr/c%d_0000.nii.gz"):format(i), ("nn/imagesTr/c%d_0001.nii.gz"):format(i),
      ("nn/labelsTr/c%d.nii.gz"):format(i) } do
      local path = folder .. "/" .. name
      core.mkdirs(path:match "^(.*)/")
      core.nifti.write(path, { x = name:find "label" and core.zeros(12, 10, 10) or values, affine = spheres.IDENTITY })
    end
  end
  local d = data.open(data.nifti { root = folder .. "/classes", split = 0.34 }, {}, 1)
  t.equal(table.concat(d.classes, " ") .. " " .. d.train:count(), "even odd 4")
  d = open { root = folder .. "/nn" }
  t.equal(d.train:count() .. " " .. d.channels, "5 2")
  core.remove(folder .. "/nn/imagesTr/c3_0000.nii.gz")
  t.fails("channels are numbered from 0000 on without gaps, and 0000 is missing", open, { root = folder .. "/nn" })
end)

t.test("series of a scanner as volumes, patients apart", function()
  local scanner = dofile "tests/lua/run_scanner.lua"
  local lines, root = { "PatientID,finding" }, folder .. "/ct"
  for p, class in ipairs(scanner.folder(root, core, { patients = 6, slices = 5 })) do
    lines[p + 1] = ("SECRET-%02d,%s"):format(p, class == 1 and "bright" or "dark")
  end
  core.write_file(folder .. "/ct.csv", table.concat(lines, "\n") .. "\n")
  local function series(o)
    local given = { root = root, labels = folder .. "/ct.csv", target = "finding", unit = "volume", batch = 2,
      size = 8, windows = "soft" }
    for key, v in pairs(o) do given[key] = v end
    return data.open(data.dicom(given), {}, 1)
  end
  local d = series {}
  t.equal(d.input.kind .. " " .. d.train:count() .. " " .. d.test:count(), "volume 5 1")
  t.equal(table.concat(d.train:extent(1).size, " "), "5 16 16")
  local b = epoch(d, "train")[1]
  t.equal(shape(b.x), "2 8 8 8 1")
  assert(b.x:amax():item() <= 1 and b.x:amin():item() >= 0)
  for i = 1, 5 do assert(not d.train:name(i):find "SECRET", d.train:name(i)) end
  t.fails('neighbours is of slices, and unit = "volume"', series, { neighbours = 1 })
  t.fails('patch is of volumes: unit = "volume"', series, { unit = "picture", patch = 8 })
  t.fails("volumes with masks are read as NIfTI files", series, { masks = root })
end)

-- ---- what is refused ----

t.test("a mask of another grid is one clear line", function()
  written("grid/images/a.nii", repeated(1, 24), { 2, 3, 4 })
  written("grid/masks/a.nii", repeated(0, 24), { 4, 3, 2 })
  t.fails("a.nii: the mask has another grid (2 x 3 x 4 voxels of 1 x 1 x 1 mm, RAS) than its volume", one,
    folder .. "/grid")
  written("grid/masks/a.nii", repeated(0, 24), { 2, 3, 4 }, { { 1, 0, 0, 2 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 } })
  t.fails("but lies up to 2 voxels beside it", one, folder .. "/grid")
  written("grid/masks/a.nii", repeated(0, 24), { 2, 3, 4 }, { { -1, 0, 0, 3 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 } })
  t.fails("1 x 1 x 1 mm, LAS", one, folder .. "/grid")
  written("grid/masks/a.nii", repeated(0, 24), { 2, 3, 4 }, { { 1, 0, 0, 0.05 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 } })
  t.equal(one(folder .. "/grid").train:count(), 1)
end)

t.test("four dimensions, what is not finite, empty and damaged files", function()
  local root = folder .. "/odd"
  written("odd/masks/a.nii", repeated(0, 8), { 2, 2, 2 })
  written("odd/images/a.nii", repeated(function(i) return i end, 16), { 2, 2, 2, 2 }, nil, false)
  t.fails("2 parts (times, contrasts) of one volume; parts = \"channels\"", one, root)
  local d = one(root, { parts = "channels" })
  t.equal(d.channels, 2)
  t.equal(table.concat(d.train:volume(1).x:reshape(-1):tolist(), " ", 1, 4), "1.0 9.0 2.0 10.0")
  t.equal(one(root, { parts = "first" }).channels, 1)
  written("odd/images/a.nii", { 1, 2, 0 / 0, 4, 5, 1 / 0, 7, 8 }, { 2, 2, 2 }, nil, false)
  t.fails("2 of its 8 voxels are not finite (NaN or infinite), the first in column 1, row 2, slice 1", one, root)
  t.equal(one(root, { nan = "zero" }).train:volume(1).x:sum():item(), 27)
  core.write_file(root .. "/images/a.nii", "")
  t.fails("a.nii: the file is empty", one, root)
  core.remove(root .. "/images/a.nii")
  core.write_file(root .. "/images/a.nii.gz", core.read_file(folder .. "/images/case01.nii.gz"):sub(1, -200))
  t.fails("a.nii.gz: the NIfTI file ends within its values", one, root)
  t.fails("a.nii.gz: the NIfTI file ends within its values", one, root, { on_bad = "skip" })
  -- All values are there, and gzip's sum behind them is another, or missing.
  local packed = core.read_file(written("odd/images/a.nii.gz", repeated(3, 8), { 2, 2, 2 }, nil, false))
  t.equal(one(root).train:volume(1).x:sum():item(), 24)
  for _, bytes in ipairs { packed:sub(1, -9), packed:sub(1, -9) .. "\1\2\3\4" .. packed:sub(-4) } do
    core.write_file(root .. "/images/a.nii.gz", bytes)
    t.fails("a.nii.gz: the NIfTI file is damaged: gzip's sum of its bytes is another; get it anew", one, root)
  end
  core.write_file(root .. "/images/a.nii.gz", packed .. packed) -- two packed files are one, gzip says
  t.equal(one(root).train:volume(1).x:sum():item(), 24)
end)

t.test("masks and images that have no partner", function()
  local root = pair("partner", repeated(1, 8), repeated(0, 8), { 2, 2, 2 })
  core.write_file(root .. "/images/b.nii", "x")
  t.fails("b.nii has no mask: there is no " .. root .. "/masks/b.nii.gz", one, root)
  core.remove(root .. "/images/b.nii")
  core.write_file(root .. "/masks/c.nii", "x")
  t.fails("c.nii is the mask of no volume in", one, root)
  core.remove(root .. "/masks/c.nii")
  t.fails("what the values in the masks mean is not said", open, { root = root, classes = false })
  t.fails("there is no folder", open, { root = folder .. "/nowhere" })
end)

t.test("options that do nothing", function()
  t.fails("patches is of patches, and none are taken", open, { patch = false, patches = 3 })
  t.fails("mask names a column, and there is no table", open, { mask = "mask" })
  t.fails("quantiles are of normalise = \"quantiles\"", open, { quantiles = { 1, 99 } })
  t.fails("patch are whole numbers, not 8.5", open, { patch = { 8, 8, 8.5 } })
  t.fails("elastic_knots is of elastic", open, {}, { augment = { elastic_knots = 8 } })
  t.fails("windows \"file\" and \"range\" are of pictures", open, { windows = "file" })
end)

t.test("errors name both files of a mask on another grid whole", function()
  local long = folder .. "/" .. ("a-long-name-of-a-folder/"):rep(8) .. "grid"
  core.mkdirs(long .. "/images")
  core.mkdirs(long .. "/masks")
  core.nifti.write(long .. "/images/a.nii", { x = core.zeros(2, 3, 4), affine = spheres.IDENTITY })
  core.nifti.write(long .. "/masks/a.nii", { x = core.zeros(4, 3, 2), affine = spheres.IDENTITY }, { whole = true })
  t.fails("RAS) than its volume " .. long .. "/images/a.nii (4 x 3 x 2 voxels of 1 x 1 x 1 mm, RAS)", one, long)
end)

t.test("volumes that are trained on and tested on are told", function()
  for _, part in ipairs { "train", "test" } do
    for _, of in ipairs { "images", "masks" } do
      core.mkdirs(("%s/same/%s/%s"):format(folder, part, of))
      for i = part == "train" and 1 or 3, part == "train" and 3 or 4 do
        core.write_file(("%s/same/%s/%s/%s%d.nii.gz"):format(folder, part, of, part, i),
          core.read_file(("%s/%s/case%02d.nii.gz"):format(folder, of, i)))
      end
    end
  end
  local d = open { root = folder .. "/same" }
  t.equal(#d.shared, 1)
  t.equal(d.train:path(d.shared[1][1]):match "[^/]*$" .. " " .. d.test:path(d.shared[1][2]):match "[^/]*$",
    "train3.nii.gz test3.nii.gz")
  local lines = {}
  require("tlua.data.text").lines(d, function(text) lines[#lines + 1] = text end)
  local text = table.concat(lines, "\n")
  assert(text:find("the same  1 test volume is a training volume too, byte for byte: ", 1, true), text)
  t.equal(#open().shared, 0)
end)

-- ---- training ----

local function recipe(o)
  return tlua.recipe { model = o.model or models.unet3d { levels = 2, width = 4, blocks = 1 },
    data = data.nifti(o.data), augment = o.augment, task = o.task, loss = o.loss, optim = optim.Adam { lr = 1e-2 },
    schedule = { epochs = o.epochs or 3 }, out = t.folder() .. "/run", seed = 2 }
end

t.test("a U-Net learns where spheres are, from patches, and is tested on whole volumes", function()
  local r = recipe { data = { root = folder, classes = names, patch = { 8, 8, 8 }, batch = 2 }, epochs = 8,
    augment = { flip = true, rotate = 10 }, loss = nn.Dice {} + nn.CrossEntropy {} }:run { style = "quiet" }
  assert(r.dice > 80, r.dice)
  local net, info = models.load(r.out .. "/model.safetensors")
  t.equal(info.preprocessing.orientation .. " " .. table.concat(info.preprocessing.patch, " "), "RAS 8 8 8")
  t.equal(net.takes, "volume")
  local again = recipe { data = { root = folder, classes = names, patch = { 8, 8, 8 }, batch = 2 }, epochs = 8,
    augment = { flip = true, rotate = 10 }, loss = nn.Dice {} + nn.CrossEntropy {} }:run { style = "quiet" }
  t.equal(again.dice, r.dice)
end)

t.test("tlua show has three slices of each patch", function()
  local path, page = folder .. "/show.lua", folder .. "/page.html"
  core.write_file(path, ([[local tlua = require "tlua"
return tlua.recipe { model = tlua.models.unet3d { levels = 2, width = 4 }, data = tlua.data.nifti { root = %q,
  classes = { "background", "sphere" }, patch = 8 }, augment = { flip = true } }]]):format(folder))
  local status, out, err = t.run(("./tlua show %s --to %s --pictures 3"):format(path, page))
  t.equal(status, 0, err)
  assert(out:find("3 training volumes of epoch 1; augment: flip true", 1, true), out)
  local html = core.read_file(page)
  t.equal(select(2, html:gsub("<img ", "")), 3)
  assert(html:find("axial %d of 8, coronal %d of 8, sagittal %d of 8"))
end)

t.finish()
