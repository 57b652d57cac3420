-- predict_volumes.lua - `tlua predict`, `eval` and `explain` of networks of volumes: masks on the grid of the file,
-- whatever grid the network saw, millilitres, three slices, Grad-CAM. Run by `tlua tests/lua/predict_volumes.lua`.
local t = dofile "tests/lua/run_tests.lua"
local spheres = dofile "tests/lua/run_spheres.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local grid = require "tlua.command.volumes.grid"
local nn, data, optim, models = tlua.nn, tlua.data, tlua.optim, tlua.models
local folder = t.folder()
core.device()

-- 1.5 x 1.5 x 3 mm, columns to the left, rows to the back.
local AFFINE = { { -1.5, 0, 0, 10 }, { 0, -1.5, 0, 20 }, { 0, 0, 3, 5 } }
spheres.write(folder .. "/data", core, { count = 8, size = { 10, 14, 12 }, affine = AFFINE })

local function said(command)
  local status, out, err = t.run("./tlua " .. command)
  t.equal(status, 0, err)
  return out
end

-- ---- back to the file's grid ----

t.test("classes come back to each voxel where only the order of voxels was another", function()
  core.manual_seed(3)
  local own = { size = { 4, 5, 6 }, affine = { { 2, 0, 0, 0 }, { 0, 3, 0, 0 }, { 0, 0, 4, 0 } } }
  local classes = core.uniform({ 4, 5, 6 }, 0, 4, "classes"):floor()
  for _, axes in ipairs { "LPS", "SAR", "ILP", "ARS" } do
    local v = core.volume.transform({ x = classes, affine = own.affine }, { orientation = axes })
    local shape = v.x:shape()
    local map = v.x:to "int32":reshape(1, table.unpack(shape))
    local back = grid.back(map, v, own, {})
    t.equal(t.distance(back:to "float32", classes), 0, axes)
    local one_hot = core.ops.eq(v.x:reshape(1, shape[1], shape[2], shape[3], 1), core.arange(4))
    t.equal(t.distance(grid.back(one_hot, v, own, {}):to "float32", classes), 0, axes .. " of logits")
  end
  assert(math.abs(grid.voxel(own) - 0.024) < 1e-12)
end)

-- Values that grow linearly along the volume are exact on any grid, so the mask is where they are beyond a bound, to
-- the voxel; but for those near the border, which lie outside of the coarser grid's outermost centres.
t.test("logits are brought back linearly, and the largest wins there", function()
  local own = { size = { 20, 18, 24 }, affine = { { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 } } }
  local function ramp(v)
    local d, h, w = table.unpack(v.x:shape())
    local a, list = v.affine, {}
    for k = 0, d - 1 do
      for j = 0, h - 1 do
        for i = 0, w - 1 do
          local at = {}
          for r = 1, 3 do at[r] = a[r][1] * i + a[r][2] * j + a[r][3] * k + a[r][4] end
          list[#list + 1] = at[1] + 0.7 * at[2] - 0.4 * at[3] - 13.13
        end
      end
    end
    return core.tensor(list):reshape(d, h, w)
  end
  local plain = { x = core.zeros(20, 18, 24), affine = own.affine }
  local want = core.ops.gt(ramp(plain), core.zeros(1))
  local v = core.volume.transform(plain, { orientation = "PSL", spacing = { 2, 3, 2.5 } })
  local values = ramp(v)
  local logits = core.ops.concat((values * 0):reshape(1, table.unpack({ values:shape(1), values:shape(2),
    values:shape(3), 1 })), values:reshape(1, values:shape(1), values:shape(2), values:shape(3), 1), { axis = -1 })
  local got = grid.back(logits, v, own, { spacing = { 2, 3, 2.5 } }):to "float32"
  local function inner(x)
    for i = 1, 3 do x = core.ops.slice(x, i, 2, x:shape(i) - 4) end
    return x:clone()
  end
  t.equal(t.distance(inner(got), inner(want)), 0)
  local nearest = grid.back(logits:argmax(-1), v, own, { spacing = { 2, 3, 2.5 } }):to "float32"
  assert(t.distance(inner(nearest), inner(want)) > 0, "the nearest voxel is as good: the test says nothing")
end)

t.test("outermost voxels of the file have those of a coarser grid that ends within it", function()
  local own = { size = { 9, 9, 9 }, affine = { { 0.5, 0, 0, 0 }, { 0, 0.5, 0, 0 }, { 0, 0, 0.5, 0 } } }
  local v = core.volume.transform({ x = core.zeros(9, 9, 9), affine = own.affine }, { spacing = 4 })
  t.equal(table.concat(v.x:shape(), " "), "1 1 1")
  local back = grid.back(core.full({ 1, 1, 1, 1 }, 1):to "int32", v, own, { spacing = { 4, 4, 4 } })
  t.equal(back:to "float32":sum():item(), 729)
end)

-- ---- the commands ----

local run
t.test("a run has its figures by volume, and a page with three slices", function()
  run = tlua.recipe { model = models.unet3d { levels = 2, width = 4, blocks = 1 },
    data = data.nifti { root = folder .. "/data", classes = { "background", "sphere" }, patch = { 8, 8, 8 }, batch = 4,
      foreground = 0.7 }, loss = nn.Dice {} + nn.CrossEntropy {}, optim = optim.Adam { lr = 1e-2 },
    schedule = { epochs = 10 }, out = folder .. "/run", seed = 2 }:run { style = "quiet" }
  assert(run.dice > 60, run.dice)
  local found = core.json_decode(core.read_file(folder .. "/run/report.json"))
  local m = found.metrics
  t.equal(#m.cases, 2)
  t.equal(m.volumes .. " " .. m.groups, "2 2")
  assert(m.cases[1].dice <= m.cases[2].dice)
  assert(math.abs((m.cases[1].dice + m.cases[2].dice) / 2 - m.by_volume.mean) < 1e-12)
  local c = m.cases[1].classes[1]
  assert(c.is > 0 and c.hausdorff and math.abs(c.error - (c.said - c.is) / c.is) < 1e-9)
  local html = core.read_file(folder .. "/run/report.html")
  for _, text in ipairs { "Volumes, the worst first", "Hausdorff 95", "There are only 2 volumes", "data:image/png",
    "The patient&#39;s right is on the left", "axial" } do
    assert(html:find(text, 1, true) or html:find(text:gsub("&#39;", "'"), 1, true), text)
  end
end)

t.test("predict writes a mask on the file's own grid, a picture, and millilitres", function()
  local path, to = folder .. "/data/images/case01.nii.gz", folder .. "/masks"
  local out = said(("predict %s/run %s --to %s --quiet"):format(folder, path, to))
  local image, mask = core.nifti.read(path), core.nifti.read(to .. "/case01.nii.gz")
  t.equal(table.concat(mask.x:shape(), " "), table.concat(image.x:shape(), " "))
  for r = 1, 3 do
    for c = 1, 4 do t.equal(mask.affine[r][c], image.affine[r][c]) end
  end
  local truth = core.nifti.read(folder .. "/data/masks/case01.nii.gz")
  local both = (truth.x * mask.x):sum():item()
  assert(2 * both / (truth.x:sum():item() + mask.x:sum():item()) > 0.6)
  local ml = mask.x:sum():item() * 1.5 * 1.5 * 3 / 1000
  assert(out:find(("sphere %.2f ml"):format(ml), 1, true), out)
  t.equal(core.image_read(to .. "/case01.overlay.png"):shape(3), 3)
  local list = core.json_decode(said(("predict %s/run %s --to %s --quiet --json"):format(folder, path, to)))
  t.equal(list[1].predictions.mask, to .. "/case01.nii.gz")
  t.equal(list[1].predictions.classes[2].voxels, mask.x:sum():item() // 1 | 0)
  assert(math.abs(list[1].predictions.classes[2].ml - ml) < 1e-9)
  local csv = said(("predict %s/run %s/data/images --to %s --quiet --csv"):format(folder, folder, to))
  t.equal(csv:match "^[^\n]*", "file,mask,background ml,sphere ml,error")
  t.equal(select(2, csv:gsub("\n", "")), 9)
end)

t.test("predict's mask is that of the windows' logits, voxel by voxel", function()
  local net, info = models.load(folder .. "/run/model.safetensors")
  local v = core.nifti.read(folder .. "/data/images/case02.nii.gz", { orientation = "RAS" })
  local x = v.x
  local mean = x:mean():item()
  x = (x - mean) * (1 / math.sqrt((x - mean):square():mean():item()))
  local d, h, w = table.unpack(x:shape())
  local y = require("tlua.task.windows").run(net, x:reshape(1, d, h, w, 1), { patch = info.preprocessing.patch })
  local want = core.volume.transform({ x = y:argmax(-1):to "float32":reshape(d, h, w), affine = v.affine },
    { orientation = "LPS" })
  said(("predict %s/run %s/data/images/case02.nii.gz --to %s/masks --quiet"):format(folder, folder, folder))
  local got = core.nifti.read(folder .. "/masks/case02.nii.gz")
  t.equal(t.distance(got.x, want.x), 0)
end)

t.test("what cannot be is said in a line", function()
  local function fails(text, words)
    local status, _, err = t.run("./tlua predict " .. folder .. "/run " .. words)
    assert(status ~= 0 and err:find(text, 1, true), err)
  end
  fails("nowhere.nii.gz: cannot be opened", folder .. "/nowhere.nii.gz")
  fails("--flip mirrors pictures", folder .. "/data/images/case01.nii.gz --flip")
  fails("--beam is for speech", folder .. "/data/images/case01.nii.gz --beam 2")
  fails("--top is for one class a volume", folder .. "/data/images/case01.nii.gz --top 2")
  fails("holds the volumes themselves", ("%s/data/images --to %s/data/images"):format(folder, folder))
  core.mkdirs(folder .. "/empty")
  fails("holds no volumes", folder .. "/empty")
end)

t.test("eval says the same as the run", function()
  local out = core.json_decode(said(("eval %s/run --json"):format(folder)))
  assert(math.abs(out.dice - run.dice) < 1e-6)
  assert(out.targets[2].hausdorff.mean)
end)

t.test("a published network that gives maps marks volumes, and one of classes names them", function()
  local model_file = require "tlua.weights.model_file"
  local net, info = model_file.open("meshnet", "none")
  t.equal(info.task.name, "segment")
  t.equal(model_file.task(info, net, "meshnet").width, 3)
  t.equal(select(2, model_file.open("resnet18_3d", "none")).task, nil)
end)

t.test("explain writes three slices and a map on the file's own grid", function()
  local path = folder .. "/data/images/case01.nii.gz"
  local out = said(("explain %s/run %s --to %s/explained --class sphere"):format(folder, path, folder))
  assert(out:find("decoder.stages.0, 8 x 8 x 8 places of 3 x 1.5 x 1.5 mm", 1, true), out)
  local heat, image = core.nifti.read(folder .. "/explained/case01.nii.gz"), core.nifti.read(path)
  t.equal(table.concat(heat.x:shape(), " "), table.concat(image.x:shape(), " "))
  t.equal(heat.affine[1][4], image.affine[1][4])
  assert(math.abs(heat.x:reshape(-1):amax():item() - 1) < 1e-6 and heat.x:reshape(-1):amin():item() == 0)
  t.equal(core.image_read(folder .. "/explained/case01.png"):shape(3), 3)
end)

t.finish()
