-- dicom_faults.lua - data.dicom where something is wrong: options that would do nothing, damaged files, slices that do
-- not go together, series as volumes. Run by `tlua tests/lua/dicom_faults.lua`.
local t = dofile "tests/lua/run_tests.lua"
local scanner = dofile "tests/lua/run_scanner.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local folder = t.folder()

local classes = scanner.folder(folder .. "/ct", core, { patients = 8, slices = 4,
  fields = { centre = 10, width = 100 } })
local lines = { "patient,finding" }
for p, class in ipairs(classes) do lines[p + 1] = ("SECRET-%02d,%s"):format(p, class == 1 and "bright" or "dark") end
core.write_file(folder .. "/labels.csv", table.concat(lines, "\n") .. "\n")

-- data.dicom of the folder with its labels; false in `o` takes a field away.
local function open(o, options, base)
  local given = { root = folder .. "/ct", labels = folder .. "/labels.csv", target = "finding", batch = 4 }
  for key, v in pairs(o) do given[key] = v end
  for key, v in pairs(o) do if v == false then given[key] = nil end end
  local d = tlua.data.dicom(given)
  return tlua.data.open(d, base or (given.unit ~= "volume" and { size = 16 } or {}), 1, options), d
end

t.test("an option that would do nothing is an error", function()
  local none = { labels = false, target = false }
  local function refused(text, o)
    for key, v in pairs(none) do if o[key] == nil then o[key] = v end end
    return t.fails(text, open, o)
  end
  for name, v in pairs { by = "study", key = "patient", target = "finding", part = "part" } do
    refused(name .. " is of labels, the CSV with what is to be learnt, and there is none: --data.labels FILE",
      { [name] = v })
  end
  refused("unmatched is of labels or masks, and there are none", { unmatched = "skip" })
  for name, v in pairs { classes = { "a", "b" }, values = { 0, 1 } } do
    refused(name .. " are of masks, and there are none: --data.masks DIR", { [name] = v })
    t.fails(name .. " are of masks, and there are none", open, { [name] = v })
  end
  t.fails("masks and labels do not go together; what is learnt is one of them: masks where it is for each voxel", open,
    { masks = folder })
  open { by = "patient", unmatched = "error" } -- said as they are anyway
end)

t.test("words that are nearly right are named", function()
  local make = tlua.data.dicom
  t.fails("'lnug' is no window, which is one of", make, { root = "x", windows = { "lnug" } })
  t.fails("did you mean 'lung'?", make, { root = "x", windows = { "lnug", "bone" } })
  t.fails("did you mean 'volume'?", make, { root = "x", unit = "volumes" })
  local axes = "orientation has one letter each of L or R, P or A, S or I, like RAS, or is file: not "
  t.fails(axes .. "'LPP'; did you mean 'LPS'?", tlua.data.nifti, { root = "x", orientation = "LPP" })
  t.fails(axes .. "'ras'; did you mean 'RAS'?", tlua.data.nifti, { root = "x", orientation = "ras" })
  t.fails(axes .. "'RRS'", tlua.data.nifti, { root = "x", orientation = "RRS" })
  tlua.data.nifti { root = "x", orientation = "SRA" }
end)

-- A copy of the scanner's folder, and how to damage a file of it.
local function copy(name, change)
  local to = folder .. "/" .. name
  os.execute(("cp -r '%s/ct' '%s'"):format(folder, to))
  change(to)
  return to
end

t.test("a damaged file is an error unless on_bad says otherwise", function()
  local root = copy("cut", function(to)
    local path = to .. "/p03/i002.dcm"
    core.write_file(path, core.read_file(path):sub(1, 700))
    scanner.write(to .. "/p03/report.dcm", { modality = "SR", pixels = false })
  end)
  local e = t.fails("1 DICOM file below " .. root .. " cannot be read: " .. root .. "/p03/i002.dcm: ", open,
    { root = root })
  assert(e:find('(on_bad = "skip" leaves it out)', 1, true) and not e:find "\n.", e)
  local d = open { root = root, on_bad = "skip" }
  t.equal(d.train:count() + d.test:count(), 31)
  local said = table.concat(d.said, "\n")
  assert(said:find("skipped   1 DICOM file that cannot be read: " .. root .. "/p03/i002.dcm: ", 1, true), said)
  assert(said:find("skipped   1 DICOM file without a picture to read: " .. root .. "/p03/report.dcm", 1, true), said)
end)

t.test("masks that are damaged, or mark what is not there", function()
  local masks, scan = folder .. "/masks", "tests/golden/dicom_masks/"
  core.mkdirs(masks)
  local function built(o)
    local given = { labels = false, target = false, root = scan .. "p1", masks = masks, windows = "range", split = 0 }
    for key, v in pairs(o or {}) do given[key] = v end
    return open(given)
  end
  local whole = core.read_file(scan .. "bits.dcm")
  core.write_file(masks .. "/a.dcm", whole:sub(1, #whole // 2))
  t.fails("1 DICOM file below " .. masks .. " cannot be read: " .. masks .. "/a.dcm: ", built)
  core.write_file(masks .. "/a.dcm", core.read_file(scan .. "moved.dcm"))
  t.fails("a.dcm: this mask lies on another grid than its series", built)
  t.fails("none of the masks in " .. masks .. " can be used; the first: " .. masks .. "/a.dcm: this mask lies on",
    built, { on_bad = "skip" })
  -- Bytes changed one at a time: it is read, or refused in one line.
  local read, refused = 0, 0
  for at = 133, #whole, 41 do
    core.write_file(masks .. "/a.dcm", whole:sub(1, at - 1) .. string.char(whole:byte(at) ~ 0x55) .. whole:sub(at + 1))
    local ok, e = pcall(built)
    if ok then read = read + 1
    else
      refused = refused + 1
      assert(not tostring(e):match "\n[^\t%s]", e)
    end
  end
  assert(read > 5 and refused > 5, read .. " " .. refused)
end)

t.test("slices of other sizes have no neighbours, which is found before the training", function()
  local root = copy("mixed", function(to)
    scanner.write(to .. "/p02/i009.dcm", { patient = "SECRET-02", study = "1.2.826.0.1.2", series = "1.2.826.0.1.2.1",
      number = 1, instance = 9, position = { 0, 0, 20 }, rows = 8, columns = 8, centre = 10, width = 100 })
  end)
  t.fails("i009.dcm: 8 x 8 pixels (width x height) of 1 channel, and its neighbour has 16 x 16 of 1; neighbours = 0",
    open, { root = root, neighbours = 1, split = 0 }, nil, { size = 16, channels = 3 })
  t.equal(open({ root = root, neighbours = 1, split = 0, on_bad = "skip" }, nil, { size = 16 }).train:count(), 31)
end)

t.test("slices without a window, with the way out", function()
  local function of(modality)
    local root = copy(modality, function(to)
      for k = 1, 4 do
        scanner.write(("%s/p01/i%03d.dcm"):format(to, k), { patient = "SECRET-01", modality = modality, study = "1.2",
          series = "1.2.1", instance = k, position = { 0, 0, k } })
      end
    end)
    return { root = root, split = 0 }
  end
  t.fails("the file has no window of its own; --data.windows range takes each picture's own range of values", open,
    of "MR")
  t.fails("the file has no window of its own; --data.windows names one, like soft or 40/400, or range", open, of "CT")
  local o = of "PT"
  o.windows = "range"
  t.equal(open(o).train:count(), 32)
end)

-- ---- series as volumes ----

t.test("series as volumes: options of slices, damaged slices, gaps and repeats", function()
  for name, v in pairs { neighbours = 1, strip_corners = 0.1, fit = "shorter", resize = 32, mean = 0.5, every = 2,
    masks = folder } do
    t.fails(name .. " is of slices, and unit = \"volume\"", open, { unit = "volume", [name] = v,
      labels = name ~= "masks" and folder .. "/labels.csv" or false, target = name ~= "masks" and "finding" or false })
  end
  for name, v in pairs { gaps = "fill", repeated = "first", spacing = 2, patch = 8, keep = "1 GB",
    orientation = "LPS" } do
    t.fails(name .. ' is of volumes: unit = "volume"', open, { [name] = v })
  end
  local d, description = open({ unit = "volume", batch = false })
  t.equal(d.batch .. " " .. d.train:count() + d.test:count(), "2 8")
  t.equal(require("tlua.data.kinds").batch(description), 2)
  t.equal(open({ batch = false }).batch, 64)
  local gap = copy("gap", function(to) core.remove(to .. "/p01/i002.dcm") end)
  t.fails('p01/i004.dcm: this CT series is no volume: slices are 2.500 to 5.000 mm apart, not evenly; gaps = "fill" '
    .. 'takes values', open, { unit = "volume", root = gap })
  t.equal(open({ unit = "volume", root = gap, gaps = "fill", split = 0 }).train:count(), 8)
  t.equal(open({ unit = "volume", root = gap, on_bad = "skip", split = 0 }).train:count(), 7)
  local twice = copy("twice", function(to)
    scanner.write(to .. "/p01/copy.dcm", { patient = "SECRET-01", study = "1.2.826.0.1.1", series = "1.2.826.0.1.1.1",
      number = 1, instance = 9, position = { 0, 0, 5 } })
  end)
  t.fails('1 of its 5 slices lie at the place of another; repeated = "first" takes the first of each place', open,
    { unit = "volume", root = twice })
  t.equal(open({ unit = "volume", root = twice, repeated = "first", split = 0 }).train:count(), 8)
  local localiser = copy("localiser", function(to)
    scanner.write(to .. "/p01/scout.dcm", { patient = "SECRET-01", study = "1.2.826.0.1.1", series = "1.2.826.0.1.1.1",
      number = 1, position = { 0, 0, 50 }, orientation = { 0, 1, 0, 0, 0, -1 } })
  end)
  t.fails("is no volume: its pictures differ in size, direction or kind", open, { unit = "volume", root = localiser })
  local damaged = copy("damaged", function(to)
    local path = to .. "/p01/i002.dcm"
    core.write_file(path, core.read_file(path):sub(1, 700))
  end)
  t.fails("cannot be read: " .. damaged .. "/p01/i002.dcm", open, { unit = "volume", root = damaged })
  t.equal(open({ unit = "volume", root = damaged, on_bad = "skip", split = 0 }).train:count(), 7) -- it has a gap
end)

t.test("a volume that no memory holds is refused before training", function()
  local function run()
    tlua.recipe { model = tlua.models.resnet18_3d {}, data = tlua.data.dicom { root = folder .. "/ct",
    labels = folder .. "/labels.csv", target = "finding", unit = "volume", spacing = 0.0005, patch = 8 },
    out = folder .. "/none", schedule = { epochs = 1 } }:run { style = "quiet" }
  end
  local e = t.fails("data: a volume of 20000 x 32000 x 32000 voxels takes", run)
  assert(e:find("are free: a coarser --data.spacing makes it smaller", 1, true), e)
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
