-- predict_series.lua - series of a scanner as volumes, from training to an answer: classes with a threshold, masks on
-- the grid of the series, what a folder with damaged files says. Run by `tlua tests/lua/predict_series.lua`.
local t = dofile "tests/lua/run_tests.lua"
local scanner = dofile "tests/lua/run_scanner.lua"
local spheres = dofile "tests/lua/run_spheres.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local folder = t.folder()

local classes = scanner.folder(folder .. "/ct", core, { patients = 12, slices = 6 })
local lines = { "patient,finding" }
for p, class in ipairs(classes) do lines[p + 1] = ("SECRET-%02d,%s"):format(p, class == 1 and "bright" or "dark") end
core.write_file(folder .. "/labels.csv", table.concat(lines, "\n") .. "\n")

local function said(words)
  local status, out, err = t.run("./tlua " .. words:gsub("DIR", folder))
  t.equal(status, 0, err)
  return out, err
end
local function fails(text, words)
  local status, out, err = t.run("./tlua " .. words:gsub("DIR", folder))
  assert(status ~= 0 and err:find(text, 1, true), err)
  return out, err
end

t.test("series train a network of volumes; the best is that of the largest area", function()
  core.write_file(folder .. "/recipe.lua", ([[
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe { model = nn.Sequential(nn.Conv3d(1, 8, 3, { padding = 1 }), nn.ReLU(),
  nn.Conv3d(8, 8, 3, { padding = 1, stride = 2 }), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 2)),
  data = tlua.data.dicom { root = "%s/ct", labels = "%s/labels.csv", target = "finding", unit = "volume",
    windows = "40/200", validation = 0.3, split = 0.2 }, device = "cpu", best = "auroc", keep = "best",
  task = tlua.task.classify { positive = "bright" }, optim = tlua.optim.Adam { lr = 0.02 },
  schedule = { epochs = 6 } }]]):format(folder, folder))
  local out = said "DIR/recipe.lua --out DIR/run"
  assert(out:find("best      epoch %d, validation AUROC 1.000"), out)
  local metrics = core.read_file(folder .. "/run/metrics.csv")
  assert(metrics:find("train_auroc,val_loss,val_accuracy,val_f1,val_auroc", 1, true), metrics)
  local eval = said "eval DIR/run"
  assert(eval:find("bright  AUROC 1.000 (no interval: nothing follows from all being in order)", 1, true), eval)
  local _, _, err = t.run(("./tlua %s/recipe.lua --best area --out %s/none"):format(folder, folder))
  assert(err:find("--best: accuracy, f1, auroc or loss, not 'area'", 1, true), err)
  t.fails("best must be accuracy, f1 or loss (auroc where positive says what is looked for) for task.classify, not "
    .. "'auroc'", tlua.recipe, { model = tlua.models.resnet18_3d {}, data = tlua.data.dicom { root = folder },
    best = "auroc" })
end)

t.test("classes of volumes: folders, tables, the threshold in all forms", function()
  local csv = said "predict DIR/run DIR/ct/p01 DIR/ct/p02 --csv"
  local head, first, second = csv:match "^(.-)\n(.-)\n(.-)\n$"
  t.equal(head, "file,label,score,label_2,score_2,threshold,error")
  assert(first:find("/ct/p01,bright,0.", 1, true) and second:find("/ct/p02,dark,0.", 1, true), csv)
  local threshold = tonumber(first:match "([%d.e-]+),$")
  assert(threshold > 0 and threshold < 1, first)
  local list = core.json_decode(said "predict DIR/run DIR/ct --json")
  t.equal(#list, 12)
  local right = 0
  for p, each in ipairs(list) do
    local best = each.predictions[1]
    right = right + ((best.label == "bright") == (classes[p] == 1) and 1 or 0)
    t.equal(each.series, ("1.2.826.0.1.%d.1"):format(p))
    for _, one in ipairs(each.predictions) do
      if one.label == "bright" then t.equal(("%.6g"):format(one.threshold), ("%.6g"):format(threshold)) end
    end
  end
  assert(right >= 10, right)
  assert(said("predict DIR/run DIR/ct/p01"):find "bright %d+%.%d %% %(from [%d.]+ %% on%)")
  -- The threshold decides what is explained too, and is named.
  local out = said "explain DIR/run DIR/ct/p01 --to DIR/heat"
  assert(out:find "bright %d+%.%d %% %(from [%d.]+ %% on%)", out)
  local v = core.nifti.read(folder .. "/heat/p01.nii.gz")
  t.equal(table.concat(v.x:shape(), " "), "6 16 16")
end)

t.test("one file of a series, files of several frames, and damaged ones", function()
  fails("/ct/p01/i002.dcm is one slice of a series of 6, and the model takes volumes: name the folder, " .. folder ..
    "/ct/p01", "predict DIR/run DIR/ct/p01/i002.dcm")
  core.mkdirs(folder .. "/frames")
  scanner.write(folder .. "/frames/all.dcm", { series = "1.9", study = "1.9", frames = 6, thickness = 2.5,
    value = function(x, y) return math.abs(x - 8) < 4 and math.abs(y % 16 - 8) < 4 and 60 or 5 end })
  assert(said("predict DIR/run DIR/frames/all.dcm --csv"):find "all.dcm,bright")
  os.execute(("cp -r '%s/ct/p03' '%s/cut'"):format(folder, folder))
  core.write_file(folder .. "/cut/i001.dcm", core.read_file(folder .. "/cut/i001.dcm"):sub(1, 700))
  local out, err = fails("1 DICOM file below the folders could not be read", "predict DIR/run DIR/cut --csv")
  assert(out:find "/cut,%a+,0" and err:find "i001.dcm", out .. err)
  core.remove(folder .. "/cut/i003.dcm")
  _, err = fails("this CT series is no volume: ", "predict DIR/run DIR/cut --csv")
  assert(err:find("get the slices that are not there", 1, true) and not err:find "gaps", err)
end)

-- ---- masks ----

local AFFINE = { { -1.5, 0, 0, 10 }, { 0, -1.5, 0, 20 }, { 0, 0, 3, 5 } }

t.test("a network of NIfTI files marks a series, on its own grid", function()
  spheres.write(folder .. "/data", core, { count = 6, size = { 10, 14, 12 }, affine = AFFINE })
  tlua.recipe { model = tlua.models.unet3d { levels = 2, width = 4, blocks = 1 },
    data = tlua.data.nifti { root = folder .. "/data", classes = { "background", "sphere" }, patch = 8, batch = 4,
      foreground = 0.7, spacing = 2, normalise = "range" }, loss = tlua.nn.Dice {} + tlua.nn.CrossEntropy {},
    optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 8 }, out = folder .. "/marks", seed = 2 }:run {
      style = "quiet" }
  local v = core.nifti.read(folder .. "/data/images/case01.nii.gz")
  local slope = v.x:abs():reshape(-1):amax():item() / 32000
  core.mkdirs(folder .. "/scan")
  for k = 1, 10 do
    local rows = core.ops.slice(v.x, 1, k - 1, 1):reshape(14, 12):tolist()
    scanner.write(("%s/scan/%d.dcm"):format(folder, 11 - k), { modality = "MR", series = "1.4", study = "1.4",
      patient = "SECRET", rows = 14, columns = 12, instance = k, position = { -10, -20, 5 + 3 * (k - 1) },
      spacing = { 1.5, 1.5 }, slope = ("%.8g"):format(slope),
      value = function(x, y) return math.floor(rows[y + 1][x + 1] / slope) end })
  end
  local of_file = said "predict DIR/marks DIR/data/images/case01.nii.gz --to DIR/a --quiet --json"
  local of_scan = said "predict DIR/marks DIR/scan --to DIR/b --quiet --json"
  local a, b = core.nifti.read(folder .. "/a/case01.nii.gz"), core.nifti.read(folder .. "/b/scan.nii.gz")
  t.equal(table.concat(b.x:shape(), " "), "10 14 12")
  for r = 1, 3 do
    for c = 1, 4 do assert(math.abs(b.affine[r][c] - AFFINE[r][c]) < 1e-6, ("%d %d"):format(r, c)) end
  end
  -- Values were rounded, which may move a voxel at the border of the mask.
  local apart = core.ops.ne(a.x, b.x):to "float32":sum():item()
  assert(a.x:sum():item() > 20 and apart <= 0.05 * a.x:sum():item(), apart)
  local p, q = core.json_decode(of_file)[1].predictions, core.json_decode(of_scan)[1].predictions
  assert(math.abs(p.classes[2].ml - q.classes[2].ml) <= apart * 0.00675 + 1e-9)
  assert(not of_scan:find "SECRET" and core.json_decode(of_scan)[1].series == "1.4")
end)

t.test("errors of predict name nothing that only a recipe can say", function()
  core.nifti.write(folder .. "/times.nii.gz", { x = core.zeros(2, 10, 14, 12), affine = AFFINE })
  local _, err = fails("2 parts (times, contrasts) of one volume; the network was trained on files of one; write one",
    "predict DIR/marks DIR/times.nii.gz --to DIR/c")
  assert(not err:find "parts = ", err)
  local x = core.zeros(10, 14, 12):tolist()
  x[2][3][4] = 0 / 0
  core.nifti.write(folder .. "/holes.nii.gz", { x = core.tensor(x), affine = AFFINE })
  _, err = fails("1 of its 1680 voxels are not finite (NaN or infinite), the first in column 4, row 3, slice 2; write "
    .. "numbers in their place", "predict DIR/marks DIR/holes.nii.gz --to DIR/c")
  assert(not err:find "nan = ", err)
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
