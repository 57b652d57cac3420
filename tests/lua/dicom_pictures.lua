-- dicom_pictures.lua - DICOM files as pictures: windows as pydicom has them, neighbouring slices as channels, and
-- data.dicom from a scanner's folder to a trained network. Run by `tlua tests/lua/dicom_pictures.lua`.
local t = dofile "tests/lua/run_tests.lua"
local scanner = dofile "tests/lua/run_scanner.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local windows = require "tlua.data.dicom.windows"

local function near(got, want) assert(math.abs(got - want) < 1e-6, ("%.9g is not %.9g"):format(got, want)) end
local GOLDEN = "tests/golden/dicom/"
local folder = t.folder()

-- The picture that a network is fed, (H, W, C), of a source's sample.
local function fed(source, list, i)
  local steps = { list and windows.step(windows.read(list)) }
  local pipeline = core.data.pipeline(steps)
  local loader <close> = core.data.loader(core.data.subset(source, { i or 1 }), pipeline, { batch = 1 })
  loader:start(0)
  local x = loader:next()
  return x:reshape(x:shape(2), x:shape(3), x:shape(4))
end
local function files(...) return core.data.source("files", { paths = { ... } }) end

t.test("windows are pydicom's", function()
  local n = 0
  for name, want in pairs(core.load "tests/golden/dicom_windows.safetensors") do
    local file, window = name:match "^([%w_]+)%.(.*)$"
    local x = fed(files(GOLDEN .. file .. ".dcm"), window)
    t.equal(x:shape(3), 1)
    local apart = (x:reshape(x:shape(1), x:shape(2)) - want):abs():amax():item()
    assert(apart <= 1.2e-7, ("%s: %g"):format(name, apart)) -- float32 of numbers up to 1
    n = n + 1
  end
  assert(n >= 35, n)
end)

-- ---- data.dicom ----

local classes = scanner.folder(folder .. "/ct", core, { patients = 10, slices = 5 })

-- A CSV of the patients' classes; `more`: further lines; `skip`: patients without one.
local function table_of(name, more, skip)
  local lines = { "PatientID,finding,dose" }
  for p, class in ipairs(classes) do
    if p ~= skip then lines[#lines + 1] = ("SECRET-%02d,%s,%g"):format(p, class == 1 and "bright" or "dark", p / 2) end
  end
  lines[#lines + 1] = more
  core.write_file(folder .. "/" .. name, table.concat(lines, "\n") .. "\n")
  return folder .. "/" .. name
end
local finding = table_of "labels.csv"

local function open(o, options, base)
  local given = { root = folder .. "/ct", labels = finding, target = "finding", size = 16, batch = 8,
    windows = "40/200", mean = 0.5, std = 0.5 }
  for key, v in pairs(o) do given[key] = v or nil end
  for key, v in pairs(o) do if v == false then given[key] = nil end end
  return tlua.data.open(tlua.data.dicom(given), base or {}, 1, options)
end

t.test("slices with their patients' labels, patients apart", function()
  local d = open {}
  t.equal(table.concat(d.classes, " "), "bright dark")
  t.equal(d.train:count() + d.test:count(), 50)
  t.equal(d.test:count() % 5, 0)
  t.equal(d.said[1], "parts     20 % held out for testing, groups as a whole")
  t.equal(#d.said, 1)
  t.equal(d.groups.count .. " " .. d.groups.shared, "10 0")
  for _, part in ipairs { "train", "test" } do
    local source, keys, about = d[part], d.keys[part], d.attributes[part]
    t.equal(#keys, source:count())
    for i = 1, source:count() do
      local p, k = source:path(i):match "/p(%d+)/i(%d+)%.dcm$"
      local before = source:path(i - 1 > 0 and i - 1 or i):match "/p(%d+)/"
      assert((keys[i] == keys[math.max(1, i - 1)]) == (p == before), source:path(i))
      assert(not keys[i]:find "SECRET")
      t.equal(d.classes[source:label(i) + 1], p % 2 == 1 and "bright" or "dark")
      t.equal(about.sex[i] .. about.age[i] .. about.scanner[i], (p % 3 == 0 and "F" or "M") .. (40 + p) .. ".0" ..
        (tonumber(p) > 5 and "Acme" or "Nadir"))
      -- Files are numbered from the other end: the order is that of positions.
      if i > 1 and p == before then assert(source:path(i - 1):match "/i(%d+)" > k) end
    end
  end
end)

t.test("masks beside the files make a segmentation", function()
  local function built(o, options)
    local given = { root = "tests/golden/dicom_masks/p1", masks = folder .. "/masks", size = 8, mean = 0.5, std = 0.5,
      windows = "range", split = 0 }
    for key, v in pairs(o) do given[key] = v end
    return tlua.data.open(tlua.data.dicom(given), {}, 1, options)
  end
  local function put(file, to)
    core.mkdirs(folder .. "/masks")
    core.write_file(folder .. "/masks/" .. to, core.read_file("tests/golden/dicom_masks/" .. file))
  end
  put("bits.dcm", "any.dcm")
  local d = built {}
  t.equal(table.concat(d.classes, " "), "background Edge lesion")
  t.equal(d.train:count(), 5)
  local counts = { 0, 0, 0 }
  for i = 1, 5 do
    for _, row in ipairs(d.train:mask(i):to("float32"):tolist()) do
      for _, v in ipairs(row) do counts[v // 1 + 1] = counts[v // 1 + 1] + 1 end
    end
  end
  t.equal(table.concat(counts, " "), "236 28 51")
  d = built { classes = { "background", "Lesion" } }
  assert(d.said[2]:find "no class there is nothing to learn: Edge", d.said[2])
  put("map.dcm", "again.dcm")
  t.fails("two SEG objects mark one series, " .. folder .. "/masks/again.dcm and ", built, {})
  core.remove(folder .. "/masks/again.dcm")
  core.remove(folder .. "/masks/any.dcm")
  t.fails("no series in tests/golden/dicom_masks/p1 has a mask in", built, {})
  scanner.write(folder .. "/masks/rt.dcm", { modality = "RTSTRUCT", pixels = false })
  t.fails("rt.dcm: an RTSTRUCT has contours and no mask, and is not read; convert it", built, {})
  put("turned.nii", "scan.nii")
  t.fails('masks/scan.nii mean is not said: classes = { "background", "lesion" }', built, {})
  d = built { classes = { "background", "lesion", "edge", "both" } }
  t.equal(d.train:count(), 5)
  put("plain.nii.gz", "scan.nii.gz")
  t.fails("could both be the mask of the series in tests/golden/dicom_masks/p1/scan", built,
    { classes = { "a", "b" } })
  core.remove(folder .. "/masks/scan.nii.gz")
  t.fails("values are one for each class, and there are 1 for 2 classes", built, { classes = { "a", "b" }, values = 7 })
  t.fails("and no class has it", built, { classes = { "a", "b" } })
  t.fails("masks and labels do not go together", built, { labels = finding })
end)

-- A recipe's run in the folder `run`; gives what it says.
local function train(run, data)
  local recipe = folder .. "/recipe.lua"
  core.write_file(recipe, ([[
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe { model = nn.Sequential(nn.Conv2d(%s, 8, 3, { padding = 1 }), nn.ReLU(),
  nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
  data = tlua.data.dicom { root = "%s/ct", labels = "%s", target = "finding", size = 16, batch = 8,
  mean = 0.5, std = 0.5, %s }, device = "cpu",
  optim = tlua.optim.Adam { lr = 0.03 }, schedule = { epochs = 6 } }]]):format(
    data.channels or 3, folder, finding, data.text))
  local status, out, err = t.run(("./tlua %s --out %s/%s --quiet"):format(recipe, folder, run))
  assert(status == 0, out .. err)
  return out .. err
end

t.test("a folder and a table train a network that knows new files", function()
  local said = train("one", { text = "windows = '40/200'" })
  local function tested(run) return select(2, t.run(("./tlua eval %s/%s"):format(folder, run))) end
  assert(tested "one":find "accuracy 100.0 %% %(10 of 10", tested "one")
  local _, out = t.run(("./tlua predict %s/one %s/ct/p01 %s/ct/p02/i003.dcm --csv"):format(folder, folder, folder))
  local lines = {}
  for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
  t.equal(#lines, 7)
  assert(lines[2]:find "/ct/p01/i005.dcm,bright,0%.9" and lines[7]:find "/ct/p02/i003.dcm,dark,0%.9", out)
  said = said .. train("two", { text = "windows = { '40/200', 'range' }, neighbours = 1", channels = 6 })
  assert(tested "two":find "accuracy 100.0 %% %(10 of 10", tested "two")
  for _, secret in ipairs { "SECRET", "Hidden", "19700101" } do assert(not said:find(secret), said) end
end)

t.test("one answer for a series, a study or a patient", function()
  local function predict(words)
    local status, out, err = t.run(("./tlua predict %s/two %s"):format(folder, words:gsub("DIR", folder .. "/ct")))
    return status, out, err
  end
  local _, slices = predict "DIR/p01 --csv"
  local sum, n = 0, 0
  for score in slices:gmatch ",bright,([%d.e-]+)," do sum, n = sum + tonumber(score), n + 1 end
  t.equal(n, 5)
  local status, out = predict "DIR --by series --csv"
  t.equal(status, 0)
  local head, first = out:match "^(.-)\n(.-)\n"
  t.equal(head, "file,slices,study,series,label,score,label_2,score_2,error")
  t.equal(select(2, out:gsub("\n", "")), 11)
  t.equal(first:match "^(.*,bright),", folder .. "/ct/p01/i005.dcm,5,1.2.826.0.1.1,1.2.826.0.1.1.1,bright")
  near(tonumber(first:match "bright,([%d.e-]+)"), sum / n)
  local list = core.json_decode((select(2, predict "DIR/p01 DIR/p02 --by patient --json")))
  t.equal(#list, 2)
  t.equal(table.concat({ list[2].slices, list[2].study, list[2].series, list[2].predictions[1].label }, " "),
    "5 1.2.826.0.1.2 1.2.826.0.1.2.1 dark")
  -- A file by itself has its neighbours beside it.
  list = core.json_decode((select(2, predict "DIR/p01/i002.dcm --json")))
  local of_all = slices:match "i002.dcm,bright,([%d.e-]+)"
  t.equal(list[1].series, "1.2.826.0.1.1.1")
  near(list[1].predictions[1].score, tonumber(of_all))
  local _, _, err = predict "DIR/p01 --by nobody"
  assert(err:find "unknown %-%-by 'nobody'; there is patient, series, study", err)
end)
-- ---- masks ----

local MASKS = "tests/golden/dicom_masks/"

-- The masks of the golden series by a file, (slices, rows, columns).
local function masks_of(name, map)
  local s = core.dicom.series(MASKS .. "p1")[1]
  local record, paths, stacks = { slices = {}, stacks = {}, planes = core.dicom.mask(s, MASKS .. name, map) }, {}, {}
  for k, slice in ipairs(s.slices) do record.slices[k], stacks[k], paths[k] = slice.path, { k }, name end
  record.stacks, record.masks = stacks, paths
  local source, list = core.data.source("records", record), {}
  for k = 1, source:count() do list[k] = source:mask(k):to("float32") end
  local shape = list[1]:shape()
  list[#list + 1] = { axis = 1 }
  return core.ops.concat(table.unpack(list)):reshape(#stacks, table.unpack(shape))
end

t.test("masks lie where their series says", function()
  local want = core.load "tests/golden/dicom_masks.safetensors"
  for _, name in ipairs { "bits.dcm", "implicit.dcm", "fractions.dcm", "map.dcm" } do
    t.equal((masks_of(name) - want.object:to "float32"):abs():amax():item(), 0, name)
  end
  t.equal((masks_of("bits.dcm", { [3] = 1, [7] = 2 }) - want.volume:to "float32"):abs():amax():item(), 0)
  for _, name in ipairs { "plain.nii.gz", "turned.nii" } do
    t.equal((masks_of(name) - want.volume:to "float32"):abs():amax():item(), 0, name)
  end
  local about = core.dicom.segments(MASKS .. "bits.dcm")
  t.equal(about.series .. about.kind .. about.segments[2].number .. about.segments[2].label, "1.2.826.0.8.3BINARY7Edge")
  t.fails("moved.dcm: this mask lies on another grid than its series (a frame lies between its slices", masks_of,
    "moved.dcm")
  t.fails("moved.nii: this mask lies on another grid than its series (its voxels lie between pixels)", masks_of,
    "moved.nii")
  t.fails("p1/scan/0.dcm: a DICOM file of modality MR is no mask", masks_of, "p1/scan/0.dcm")
end)

t.finish()
