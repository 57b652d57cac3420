-- medicine.lua - the recipes of X-rays, slices and volumes, whole, on tiny data made here, bright where the class
-- is ill or the finding is there. Run by `tlua tests/lua/medicine.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local scanner = dofile "tests/lua/run_scanner.lua"
local folder = t.folder()

-- Runs a command line; returns its standard output.
local function run(line)
  local status, out, err = t.run("./tlua " .. line)
  if status ~= 0 then error(("tlua %s: status %s: %s%s"):format(line, tostring(status), out, err), 2) end
  return out
end

local function holds(text, ...)
  for _, each in ipairs { ... } do assert(text:find(each, 1, true), each .. " is not in: " .. text) end
end

-- A grey picture of side n; ill: with a bright disc at a place that `salt` moves.
local function slice(n, ill, salt)
  local list = {}
  for y = 0, n - 1 do
    for x = 0, n - 1 do
      local near = (x - n / 2 - salt % 3) ^ 2 + (y - n / 2) ^ 2 < (n / 4) ^ 2
      list[#list + 1] = (ill and near and 200 or 60) + (x * 7 + y * 13 + salt * 31) % 23
    end
  end
  return core.tensor(list, { dtype = "uint8" }):reshape(n, n, 1)
end

t.test("chest_xray.lua: two of three folders, patients apart, a threshold's validation part", function()
  for _, class in ipairs { "normal", "pneumonia", "covid19" } do
    core.mkdirs(("%s/xray/%s"):format(folder, class))
    for patient = 1, 10 do
      local id = patient + (class == "normal" and 0 or 8)
      for visit = 0, 1 do
        core.image_write(("%s/xray/%s/%08d_%03d.png"):format(folder, class, id, visit),
          slice(40, class ~= "normal", 2 * patient + visit))
      end
    end
  end
  local line = ("recipes/chest_xray.lua --model efficientnet_lite0 --weights none --data.root %s/xray " ..
    "--data.size 32 " ..
    "--schedule.train '_blocks.15.*' --schedule.1.epochs 1 --schedule.epochs 2 --out %s/chest"):format(folder, folder)
  local out = run(line)
  holds(out, "2 classes", "validation 15 % of the training pictures held out, groups as a whole",
    "none on both sides", "(auto)", "4 views", "stage 2   of 2",
    "all but _blocks.15.*")
  assert(not out:find "covid" and not out:find "the same ", out)
  out = run(("eval %s/chest"):format(folder))
  holds(out, "in 2 classes", "pneumonia  AUROC", "pictures of the validation): sensitivity")
  t.equal(out:find("warning", 1, true), nil)
end)

t.test("mri_tumor.lua: slices in two folders, a head on frozen features", function()
  for k, class in ipairs { "no", "yes" } do
    core.mkdirs(("%s/slices/%s"):format(folder, class))
    for i = 1, 12 do
      core.image_write(("%s/slices/%s/%d.png"):format(folder, class, i), slice(36, k == 2, 2 * i + k))
    end
  end
  local out = run(("recipes/mri_tumor.lua --weights none --data.root %s/slices --data.size 32 --schedule.epochs 2 " ..
    "--out %s/tumor"):format(folder, folder))
  holds(out, "30 % of each class are held out for testing", "validation 20 % of the training pictures held out",
    "no, yes: ", "32 x 32, stretched", "cache     after pool (1280, float16)", "2,562 of 3,373,570 parameters")
end)

t.test("pneumonia_mnist.lua: three parts of one file, everything trained", function()
  local file = {}
  for _, part in ipairs { "train", "val", "test" } do
    local pictures, labels = {}, {}
    for i = 1, part == "train" and 12 or 6 do
      pictures[i] = slice(12, i % 3 > 0, 2 * i):reshape(12, 12):tolist()
      labels[i] = { i % 3 > 0 and 1 or 0 }
    end
    file[part .. "_images"] = core.tensor(pictures, { dtype = "uint8" })
    file[part .. "_labels"] = core.tensor(labels)
  end
  core.save(folder .. "/small.safetensors", file)
  local out = run(("recipes/pneumonia_mnist.lua --weights none --data.path %s/small.safetensors --data.size 32 " ..
    "--data.batch 6 --schedule.epochs 2 --out %s/mnist"):format(folder, folder))
  holds(out, "12 training, 6 validation and 6 test pictures, 2 classes", "validation the data's own",
    "normal 4 + 2 + 2, pneumonia 8 + 4 + 4", "weights normal 1.5, pneumonia 0.75 (auto)",
    "3,373,570 of 3,373,570 parameters are trained", "lr 1.44115e-05 to 0.001 in 38 groups")
  holds(run(("eval %s/mnist"):format(folder)), "6 pictures")
end)

t.test("ct_slices.lua: a scanner's files and a table, windows as channels", function()
  local classes = scanner.folder(folder .. "/ct", core, { patients = 6, slices = 4, size = 32 })
  local lines = { "file,bleeding" }
  for p, class in ipairs(classes) do
    for k = 1, 4 do lines[#lines + 1] = ("p%02d/i%03d.dcm,%d"):format(p, k, class) end
  end
  core.write_file(folder .. "/findings.csv", table.concat(lines, "\n"))
  local out = run(("recipes/ct_slices.lua --weights none --data.root %s/ct --data.labels %s/findings.csv " ..
    "--data.size 32 --schedule.train '_blocks.15.*' --schedule.1.epochs 1 --schedule.epochs 2 " ..
    "--out %s/slices_run"):format(folder, folder, folder))
  holds(out, "2 classes", "none on both sides", "windows   brain, 80/200, bone", "4 views")
  out = run(("predict %s/slices_run %s/ct/p01 --csv"):format(folder, folder))
  t.equal(select(2, out:gsub("\n", "")), 5)
end)

t.test("brain_segment3d.lua: regions of an atlas put together, whole volumes tested", function()
  for _, part in ipairs { "train", "test" } do
    local x, mask = {}, {}
    for k = 0, 19 do
      x[k + 1], mask[k + 1] = {}, {}
      for i = 0, 19 do
        x[k + 1][i + 1], mask[k + 1][i + 1] = {}, {}
        for j = 0, 19 do
          local region = k < 4 and 0 or i < 10 and 5 or j < 10 and 72 or 100
          mask[k + 1][i + 1][j + 1], x[k + 1][i + 1][j + 1] = region, region + (i * 7 + j * 3 + k) % 5
        end
      end
    end
    local affine = { { 2, 0, 0, -20 }, { 0, 2, 0, -20 }, { 0, 0, 2, -20 }, { 0, 0, 0, 1 } }
    for name, each in pairs { images = x, masks = mask } do
      core.mkdirs(("%s/brains/%s/%s"):format(folder, part, name))
      core.nifti.write(("%s/brains/%s/%s/a.nii.gz"):format(folder, part, name),
        { x = core.tensor(each), affine = affine }, { whole = true })
    end
  end
  local out = run(("recipes/brain_segment3d.lua --weights none --data.root %s/brains --data.patch 16 " ..
    "--data.patches 2 --schedule.1.epochs 1 --schedule.epochs 2 --out %s/brain"):format(folder, folder))
  holds(out, "1 training and 1 test volumes, 4 classes", "patches   2 of 16 x 16 x 16", "2 x 2 x 2 mm",
    "24 of 5,604 parameters", "cerebrum", "deep grey", "cerebellum")
end)

t.test("MeshNet's published weights say how heads are brought to what they know", function()
  local net = tlua.models.meshnet { weights = "model5_gw_ae" }
  local p = net:preprocessing()
  t.equal(p.orientation, "AIL")
  t.equal(table.concat(net:labels(), ", "), "background, white matter, grey matter")
  t.equal(p.normalise, "quantiles")
  t.equal(next(tlua.models.meshnet {}:preprocessing()), nil)
end)

os.execute("rm -rf " .. folder)
t.finish()
