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

t.test("masks train a network that marks slices", function()
  local rows = {}
  for y = 0, 15 do
    rows[y + 1] = {}
    for x = 0, 15 do rows[y + 1][x + 1] = math.abs(x - 8) < 4 and math.abs(y - 8) < 4 and 1 or 0 end
  end
  core.mkdirs(folder .. "/squares")
  for p = 1, 10 do
    core.nifti.write(("%s/squares/p%02d.nii.gz"):format(folder, p), { x = core.tensor { rows, rows, rows, rows, rows },
      affine = { { -1, 0, 0, 0 }, { 0, -1, 0, 0 }, { 0, 0, 2.5, 2.5 } } }, { whole = true })
  end
  core.write_file(folder .. "/squares.lua", ([[
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe { model = nn.Sequential(nn.Conv2d(3, 8, 5, { padding = 2 }), nn.ReLU(), nn.Conv2d(8, 2, 1)),
  data = tlua.data.dicom { root = "%s/ct", masks = "%s/squares", classes = { "background", "square" }, size = 16,
    batch = 8, mean = 0.5, std = 0.5, windows = "0/200", fit = "stretch" }, device = "cpu",
  optim = tlua.optim.Adam { lr = 0.03 }, schedule = { epochs = 10 } }]]):format(folder, folder))
  local status, out, err = t.run(("./tlua %s/squares.lua --out %s/square --quiet"):format(folder, folder))
  assert(status == 0, out .. err)
  local _, tested = t.run(("./tlua eval %s/square --json"):format(folder))
  assert(core.json_decode(tested).dice > 90, tested)
  status, out, err = t.run(("./tlua predict %s/square %s/ct/p02 --to %s/marked --json"):format(folder, folder, folder))
  assert(status == 0, err)
  local list = core.json_decode(out)
  t.equal(#list, 5)
  local volume, given = core.nifti.read(folder .. "/marked/p02.nii.gz"),
    core.nifti.read(folder .. "/squares/p02.nii.gz")
  t.equal(table.concat(volume.x:shape(), "x"), "5x16x16")
  for r = 1, 3 do
    for c = 1, 4 do t.equal(volume.affine[r][c], given.affine[r][c]) end
  end
  local mark = core.image_read(folder .. "/marked/i003.png", 1):to("float32")
  t.equal((volume.x:slice(1, 2, 1):reshape(16, 16) - mark:reshape(16, 16)):abs():amax():item(), 0)
  assert(math.abs(mark:sum():item() - 49) < 10, mark:sum():item())
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
  local heat = folder .. "/heat"
  assert(t.run(("./tlua explain %s/two %s/ct/p01/i003.dcm --to %s --quiet"):format(folder, folder, heat)) == 0)
  t.equal(core.image_read(heat .. "/i003.png"):rank(), 3)
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

-- ---- what is refused, and what is said ----

t.test("labels that do not fit are named by file and line", function()
  local function refused(text, o, options) return t.fails(text, open, o, options) end
  refused("1 row of " .. folder .. "/more.csv is of no patient in " .. folder .. "/ct, as line 12; "
    .. "--data.unmatched skip",
    { labels = table_of("more.csv", "SECRET-99,dark,1") })
  local e = refused("1 of the patients in " .. folder .. "/ct have no row in " .. folder .. "/less.csv, as that of "
    .. folder .. "/ct/p03/", { labels = table_of("less.csv", nil, 3) })
  assert(not e:find "SECRET", e)
  e = refused("two.csv:12: another answer than line 2 has for the same patient", { labels = table_of("two.csv",
    "SECRET-01,dark,1") })
  assert(not e:find "SECRET", e)
  t.equal(open({ labels = table_of("same.csv", "SECRET-01,bright,0.5") }).train:count() > 0, true)
  local d = open { labels = table_of("both.csv", "SECRET-99,dark,1", 3), unmatched = "skip" }
  t.equal(d.train:count() + d.test:count(), 45)
  local said = table.concat(d.said, "\n")
  assert(said:find "skipped   1 of the patients in [^\n]+ have no row" and said:find "skipped   1 row of" and
    not said:find "SECRET", said)
  refused("none of its rows is of a study in", { by = "study", key = "PatientID" })
  refused("which column has the StudyInstanceUID? --data.key NAME says it; there are PatientID, finding, dose",
    { by = "study" })
  refused("target is missing, the column of", { target = false })
  refused("has no column 'findings' (target); did you mean 'finding'?", { target = "findings" })
  refused("there is no file " .. folder .. "/none.csv; --data.labels FILE names another",
    { labels = folder .. "/none.csv" })
end)

t.test("labels by series, study and file, numbers, and parts of their own", function()
  local lines = { "SeriesInstanceUID,StudyInstanceUID,kind,part" }
  for p, class in ipairs(classes) do
    lines[#lines + 1] = ("1.2.826.0.1.%d.1,1.2.826.0.1.%d,%s,%s"):format(p, p, class, p < 8 and "train" or "test")
  end
  core.write_file(folder .. "/uids.csv", table.concat(lines, "\n"))
  for _, by in ipairs { "series", "study" } do
    local d = open { labels = folder .. "/uids.csv", by = by, target = "kind", part = "part" }
    t.equal(d.train:count() .. " " .. d.test:count() .. " " .. d.groups.shared, "35 15 0")
  end
  local files = { "file;kind" }
  for p = 1, 10 do
    for k = 1, 5 do files[#files + 1] = ("p%02d/i%03d.dcm;%s"):format(p, k, k > 2 and "low" or "high") end
  end
  core.write_file(folder .. "/files.csv", table.concat(files, "\n"))
  local d = open { labels = folder .. "/files.csv", by = "file", target = "kind", every = 2 }
  t.equal(d.train:count() + d.test:count(), 30) -- the first, third and fifth of five
  for i = 1, d.train:count() do
    local k = tonumber(d.train:path(i):match "i(%d+)%.dcm$")
    t.equal(d.classes[d.train:label(i) + 1], k > 2 and "low" or "high")
  end
  d = open({ target = "dose" }, { task = tlua.task.regress {} })
  t.equal(d.train:values(1)[1], tonumber(d.train:path(1):match "/p(%d+)/") / 2)
  t.equal(d.value_names[1], "dose")
end)

t.test("folders are classes and parts", function()
  for _, name in ipairs { "train/a", "train/b", "test/a", "test/b" } do
    core.mkdirs(folder .. "/classes/" .. name)
    for k = 1, 2 do
      scanner.write(("%s/classes/%s/%d"):format(folder, name, k), { patient = "P-" .. name .. k, study = "1.2." .. k
        .. #name, series = ("1.3.%d.%d.%d"):format(k, #name, name:byte(-1)), modality = k == 1 and "MR" or "CT",
        description = k == 1 and "T2 axial" or "scout", number = k })
    end
  end
  core.write_file(folder .. "/classes/readme.txt", "no picture")
  scanner.write(folder .. "/classes/report", { modality = "SR", pixels = false })
  local function built(o)
    local given = { labels = false, target = false, root = folder .. "/classes" }
    for key, v in pairs(o) do given[key] = v end
    return open(given)
  end
  local d = built {}
  t.equal(table.concat(d.classes, " ") .. " " .. d.train:count() .. " " .. d.test:count(), "a b 4 4")
  local said = table.concat(d.said, "\n")
  assert(said:find("parts     the data's own", 1, true), said)
  assert(said:find("skipped   1 file that is no DICOM", 1, true), said)
  assert(said:find("skipped   1 DICOM file without a picture to read: " .. folder
    .. "/classes/report: a DICOM file without pixels of modality SR", 1, true), said)
  t.equal(built({ modality = "mr" }).train:count(), 2)
  t.equal(built({ series = "t2" }).train:count(), 2)
  t.equal(built({ series = "2" }).train:count(), 2)
  t.fails("has no series of US, but of CT, MR", built, { modality = "US" })
  t.fails('series = "FLAIR": no series in', built, { series = "FLAIR" })
  t.fails("lies in no class folder; labels = CSV names classes", open, { labels = false, target = false,
    root = folder .. "/ct/p01" })
  core.mkdirs(folder .. "/nothing")
  core.write_file(folder .. "/nothing/a.txt", "no DICOM")
  t.fails("nothing holds no DICOM pictures; 1 file is there of another kind", built, { root = folder .. "/nothing" })
  t.fails("there is no folder " .. folder .. "/nowhere; --data.root DIR names another", built,
    { root = folder .. "/nowhere" })
end)

t.test("series with most slices", function()
  for p = 1, 4 do
    core.mkdirs(folder .. "/most/p" .. p)
    for k = 1, 4 do
      scanner.write(("%s/most/p%d/%d.dcm"):format(folder, p, k), { patient = "Q" .. p, study = "1.5." .. p,
        series = ("1.5.%d.%d"):format(p, k == 4 and 2 or 1), number = k == 4 and 2 or 1, instance = k,
        position = { 0, 0, k } })
    end
  end
  core.write_file(folder .. "/most.csv", "patient,kind\nQ1,a\nQ2,b\nQ3,a\nQ4,b\n")
  local d = open { root = folder .. "/most", labels = folder .. "/most.csv", target = "kind", series = "most" }
  t.equal(d.train:count() + d.test:count(), 12)
  assert(table.concat(d.said, "\n"):find("skipped   4 series by --data.series most", 1, true))
end)

t.test("patients that files do not name", function()
  local function built(patient)
    core.mkdirs(folder .. "/alike")
    for p = 1, 6 do
      core.mkdirs(folder .. "/alike/" .. (p % 2 == 0 and "a" or "b"))
      for k = 1, 2 do
        scanner.write(("%s/alike/%s/%d-%d.dcm"):format(folder, p % 2 == 0 and "a" or "b", p, k), {
          patient = patient(p), study = "1.7." .. p, series = "1.7.1." .. p, instance = k, position = { 0, 0, k } })
      end
    end
    return open { root = folder .. "/alike", labels = false, target = false }
  end
  local d = built(function() return "ANONYMOUS" end)
  t.equal(d.groups.count, 6)
  local line = "patients  all files have one PatientID: series are kept in one part, and may be of one patient"
  assert(table.concat(d.said, "\n"):find(line, 1, true), table.concat(d.said, "\n"))
  d = built(function() return false end)
  t.equal(d.groups.count, 6)
  assert(table.concat(d.said, "\n"):find("patients  no file says whose it is (PatientID): series", 1, true))
  d = built(function(p) return p > 2 and "P" .. p % 2 end)
  t.equal(d.groups.count, 4)
  assert(table.concat(d.said, "\n"):find("patients  4 samples without a PatientID", 1, true))
end)

t.test("frames of several files, and slices that are missing", function()
  core.mkdirs(folder .. "/frames")
  for f = 1, 2 do
    scanner.write(("%s/frames/%d.dcm"):format(folder, f), { series = "1.4", study = "1.4", frames = 3, instance = 3 - f,
      patient = "F", rows = 4, columns = 4, value = function(_, y) return 100 * f + y // 4 end })
  end
  core.write_file(folder .. "/frames.csv", "file,dose\n1.dcm,1\n2.dcm,2\n")
  local function built(root, csv, o)
    local given = { root = folder .. root, labels = folder .. csv, by = "file", target = "dose", split = 0,
      windows = "range" }
    for key, v in pairs(o or {}) do given[key] = v end
    return open(given, { task = tlua.task.regress {} })
  end
  local d = built("/frames", "/frames.csv")
  local names = {}
  for i = 1, d.train:count() do names[i] = d.train:path(i):match "[^/]*$" end
  t.equal(table.concat(names, " "), "2.dcm#1 2.dcm#2 2.dcm#3 1.dcm#1 1.dcm#2 1.dcm#3")
  -- Out of order too: the names of one file's frames differ.
  local path = folder .. "/frames/1.dcm"
  local source = core.data.source("records", { slices = { path, folder .. "/frames/2.dcm", path }, frames = { 1, 2, 3 },
    stacks = { { 1 }, { 2 }, { 3 } } })
  t.equal(source:name(1):match "[^/]*$" .. source:name(2):match "[^/]*$" .. source:name(3):match "[^/]*$",
    "1.dcm#12.dcm#21.dcm#3")
  t.fails("1.dcm: there is no frame 4 of 3", fed, core.data.source("records", { slices = { path }, frames = { 4 },
    stacks = { { 1 } } }))
  core.mkdirs(folder .. "/gap")
  for _, k in ipairs { 1, 2, 3, 5, 6 } do
    scanner.write(("%s/gap/%d.dcm"):format(folder, k), { series = "1.6", study = "1.6", patient = "G",
      position = { 0, 0, k }, instance = k })
  end
  core.write_file(folder .. "/gap.csv", "file,dose\n1.dcm,1\n2.dcm,2\n3.dcm,1\n5.dcm,2\n6.dcm,3\n")
  d = built("/gap", "/gap.csv", { neighbours = 1 })
  local said = table.concat(d.said, "\n")
  assert(said:find("warning   1 odd series: 1 slice is missing between 3.00 and 5.00 mm", 1, true), said)
  assert(not table.concat(built("/gap", "/gap.csv").said, "\n"):find "odd series")
end)

t.test("pictures that cannot be seen so", function()
  local plain = folder .. "/plain.dcm"
  scanner.write(plain, {})
  t.fails("plain.dcm: the file has no window of its own; --data.windows names one, like soft or 40/400, or range", fed,
    files(plain), "file")
  t.equal(fed(files(plain)):amax():item(), 1) -- without a word its range is seen
  scanner.write(folder .. "/eight.dcm", { bits_allocated = 8, bits = 8, signed = 0 })
  near(fed(files(folder .. "/eight.dcm"), "file"):amax():item(), 30 / 255) -- numbers of 8 bits are grey values
  scanner.write(folder .. "/odd.dcm", { centre = 40, width = 0.5 })
  t.fails("odd.dcm: its window is 0.5 wide; name another window", fed, files(folder .. "/odd.dcm"), "file")
  t.fails("rgb_0.dcm: colours have no window; the window to name is file, alone", fed,
    files(GOLDEN .. "rgb_0.dcm"), "soft")
  t.equal(fed(files(GOLDEN .. "rgb_0.dcm"), "file"):shape(3), 3)
  t.fails("wide_grey.png: no DICOM file, and windows are of a scanner's values", fed,
    files "tests/golden/pictures/wide_grey.png", "lung")
  core.mkdirs(folder .. "/sizes")
  for k = 1, 2 do
    scanner.write(("%s/sizes/%d.dcm"):format(folder, k), { series = "1.9", study = "1.8", position = { 0, 0, k },
      rows = 8 * k })
  end
  local slices = { folder .. "/sizes/1.dcm", folder .. "/sizes/2.dcm" }
  local stack = core.data.source("records", { slices = slices, stacks = { { 1, 1, 2 } } })
  t.fails("sizes/2.dcm: 16 x 16 pixels (width x height) of 1 channel, and its neighbour has 16 x 8 of 1; "
    .. "neighbours = 0 takes slices alone", fed, stack, "soft")
  -- By themselves slices of any size go, since they are brought to one.
  core.write_file(folder .. "/sizes.csv", "file,kind\n1.dcm,a\n2.dcm,b\n")
  local d = open { root = folder .. "/sizes", labels = folder .. "/sizes.csv", by = "file", target = "kind", split = 0,
    windows = "range", group = "none" }
  local loader <close> = tlua.data.loader(d, "train", 1)
  loader:start(1)
  t.equal(table.concat((loader:next()):shape(), " "), "2 16 16 3")
end)

t.test("windows and neighbours that make no channels", function()
  t.fails("windows, like lung,bone or 40/400 is needed, not 'long'", tlua.data.dicom, { root = "x", windows = "long" })
  t.fails("is needed", tlua.data.dicom, { root = "x", windows = { 40 } })
  t.fails("is needed", tlua.data.dicom, { root = "x", windows = {} })
  t.equal(windows.text(windows.read "lung, 40/400, file,range,10.5/80"), "lung, soft, file, range, 10.5/80")
  t.equal(windows.text(windows.read { 40, 80 }), "brain")
  t.fails("2 windows of 3 slices are 6 channels, and the network takes 3: in_channels = 6", open,
    { windows = { "lung", "bone" }, neighbours = 1 }, nil, { mean = { 0.5 }, std = { 0.5 }, size = 16 })
  local d = open({ windows = { "lung", "bone" }, neighbours = 1, mean = false, std = false }, nil,
    { channels = 6, mean = { 1, 2, 3 }, std = { 4, 5, 6 }, size = 16 })
  t.equal(table.concat(d.preprocessing.mean, " ") .. " " .. table.concat(d.preprocessing.std, " "),
    "1 2 3 1 2 3 4 5 6 4 5 6")
  t.fails("the network sees 3 slices of a series at once, and data.dicom knows which those are", function()
    tlua.data.open(tlua.data.folder { root = folder .. "/alike", split = 0.5 },
      { windows = { { 0, 0 } }, neighbours = 1, size = 16 }, 1)
  end)
end)

t.test("model files that say nonsense of windows", function()
  local description = require "tlua.weights.description"
  local function read(p)
    p.size = 16
    return select(2, description.read(core.json_encode { format = 1, model = "custom", preprocessing = p }))
  end
  t.equal(read { windows = { { 40, 400 }, { 0, 0 }, { 0, -1 } }, neighbours = 1 }, nil)
  for _, bad in ipairs { { windows = {} }, { windows = { { 40 } } }, { windows = { { 40, -3 } } }, { windows = "lung" },
    { windows = { { "a", "b" } } }, { neighbours = 1.5 }, { neighbours = 99 }, { neighbours = "2" } } do
    t.equal(read(bad), "its description is damaged: preprocessing")
  end
  local info = { preprocessing = {}, data = { kind = "dicom", options = { modality = { 7 } } } }
  t.fails("description is damaged: data.modality", require("tlua.data.dicom.slices").collect, { folder .. "/ct" }, info)
end)

t.test("eval on another folder with a table of its own", function()
  scanner.folder(folder .. "/other", core, { patients = 4, slices = 2 })
  local _, out = t.run(("./tlua eval %s/one --data.root %s/other --data.unmatched skip"):format(folder, folder))
  assert(out:find "all 8 pictures of" and out:find "accuracy 100.0 %%", out)
  local _, _, err = t.run(("./tlua eval %s/one --data.root %s/other"):format(folder, folder))
  assert(err:find "6 rows of .*labels.csv are of no patient" and not err:find "SECRET", err)
end)

t.test("compressed files without the library that reads them", function()
  local function read(name)
    return t.run(([[TLUA_DICOM_LIBRARY=%s/none.so ./tlua -e 'require("tlua.core").image_read("%s%s")']]):format(folder,
      GOLDEN, name))
  end
  local status, _, err = read "jpeg_lossless.dcm"
  t.equal(status, 1)
  assert(err:find "jpeg_lossless.dcm: " and err:find "libgdcm" and not err:find "\n.", err)
  t.equal((read "explicit.dcm"), 0) -- what is not compressed does not ask for it
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
