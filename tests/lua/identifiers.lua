-- identifiers.lua - what runs of private data write: no path and no patient, but in the table that is their owner's.
-- Run by `tlua tests/lua/identifiers.lua`.
local t = dofile "tests/lua/run_tests.lua"
local scanner = dofile "tests/lua/run_scanner.lua"
local core = require "tlua.core"
local util = require "tlua.util"
local data = require "tlua.data"
local identifiers = require "tlua.data.identifiers"

local folder = os.tmpname()
os.remove(folder)
local NAME = "Zaphod" -- of a patient; what must not be found
local home = folder .. "/" .. NAME .. " home"
core.mkdirs(home)

local function tlua(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = "'" .. word .. "'" end
  return t.run(("TLUA_CACHE='%s/cache' ./tlua %s"):format(folder, table.concat(words, " ")))
end

-- Files below a folder that hold the name, with blanks or quotes in it or not, in their bytes or in their own name.
local function who_tells(path)
  local told = NAME .. "\\|SECRET\\|19700101\\|1\\.2\\.826\\.0\\.1\\." -- of DICOM files: birth dates and UIDs, too
  local _, list = t.run(("cd '%s' && { grep -rlai '%s' . ; find . -iname '*%s*'; } | sort -u"):format(path,
    told, NAME))
  return list:gsub("%./", ""):gsub("\n$", ""):gsub("\n", " ")
end

-- Class folders whose files are called after patients.
local function class_folders(root)
  for c, class in ipairs { "no", "yes" } do
    core.mkdirs(("%s/%s"):format(root, class))
    for i = 1, 12 do
      local v = {}
      for k = 1, 16 * 16 do v[k] = (c == 2 and 140 or 40) + (k * (i + 3)) % 60 end
      core.image_write(("%s/%s/%s %02d_%d.png"):format(root, class, NAME, i // 2 + 10 * c, i),
        core.tensor(v, { dtype = "uint8" }):reshape(16, 16, 1))
    end
  end
end

local RECIPE = [[
-- tlua this.lua --data.root %s
local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.resnet18 { weights = "none", width = 8 },
  data = tlua.data.%s { root = "%s", %s size = 32, batch = 4, drop_last = true, mean = 0.5, std = 0.2, private = %s },
  loss = tlua.nn.CrossEntropy {}, optim = tlua.optim.SGD { lr = 0.001 }, schedule = { epochs = %d },
  log = "tensorboard", keep = "best", test_every = 1,
}
]]

local function recipe(path, kind, root, options, private, epochs)
  core.write_file(path, RECIPE:format(root, kind, root, options, tostring(private), epochs))
  return path
end

t.test("aliases follow from the salt, and are told apart", function()
  local a, b = identifiers.new(("0"):rep(64)), identifiers.new(("0"):rep(64))
  t.equal(a:patient "Kim", b:patient "Kim")
  t.equal(a:patient "Kim", "p-" .. core.hmac_sha256(("0"):rep(64), "p:Kim"):sub(1, 10))
  assert(a:patient "Kim" ~= a:patient "Lee" and identifiers.new():patient "Kim" ~= a:patient "Kim")
  t.equal(#identifiers.new().salt, 64)
end)

t.test("texts are hidden and shown again", function()
  local ids = identifiers.new(("1"):rep(64))
  core.mkdirs(home .. "/a b")
  core.write_file(home .. "/a b/x y.png", "")
  ids:add_place(home)
  ids:add_place "rel"
  ids:add_place "data"
  ids:patient "Beeblebrox"
  for _, text in ipairs { home, ('"%s/"'):format(home), home .. "/none.png: gone",
    home .. "/a b/x y.png: too short, and so on", "rel/a and rel, data too",
    "(" .. home .. "), x = '" .. home .. "/a b'", "of Beeblebrox alone" } do
    local hidden = ids:hide(text)
    assert(not hidden:find(NAME) and not hidden:find "x y" and not hidden:find "Beeble", hidden)
    t.equal(ids:shown(hidden), text)
  end
  t.equal(ids:hide "barrel, rely, data and rel.lua", "barrel, rely, data and rel.lua")
  assert(ids:hide(home .. "/a b/x y.png: too short"):find "^path%-%x+: too short$")
  local tree = ids:hide { list = { home, 3, true }, [home] = 1 }
  assert(tree.list[2] == 3 and tree.list[3] == true and next(ids:hide { [home] = 1 }):find "^path%-")
  core.remove(home .. "/a b/x y.png")
end)

t.test("a run of class folders tells nothing, and goes on", function()
  local root, run = home .. "/pictures", folder .. "/run"
  class_folders(root)
  core.write_file(root .. "/no/" .. NAME .. " 99_1.png", "no picture")
  local file = recipe(home .. "/mine.lua", "folder", root, 'group = "(%w+ %d+)_", on_bad = "skip",', true, 2)
  local status, text, err = tlua(file, "--out", run, "--data.batch", "4")
  t.equal(status, 0, err)
  t.equal(who_tells(run), "identifiers.csv")
  t.equal(who_tells(folder .. "/cache"), "")
  assert(not text:find "not written", text)
  assert(not text:find(NAME) and text:find "private   what is written names pictures by aliases", text)
  local _, mode = t.run(("stat -c %%a '%s/identifiers.csv'"):format(run))
  t.equal(mode, "600\n")
  local header, rows = core.csv(run .. "/identifiers.csv")
  t.equal(table.concat(header, ","), "alias,path,patient")
  local samples = 0
  for _, row in ipairs(rows) do
    if row[1]:find "^p%-%x+/f%-%x+$" then
      samples = samples + 1
      assert(row[2]:find(root, 1, true) == 1 and row[3]:find("^" .. NAME .. " %d+$"), row[2])
    end
  end
  t.equal(samples, 24)
  -- evaluated by what the folder says, from there alone
  status, text, err = tlua("eval", run)
  t.equal(status, 0, err)
  assert(text:find("held out of " .. root, 1, true), text)
  t.run(("mkdir '%s/other' && cp '%s/model.safetensors' '%s/other'"):format(folder, run, folder))
  status, text, err = tlua("eval", folder .. "/other/model.safetensors")
  t.equal(status, 1)
  assert(err:find("there is no identifiers.csv beside it: --data.root names them", 1, true), err)
  -- one epoch more; the same aliases
  local before = core.read_file(run .. "/identifiers.csv")
  status, text, err = tlua(file, "--resume", run, "--schedule.epochs", "3", "--force")
  t.equal(status, 0, err)
  t.equal(who_tells(run), "identifiers.csv")
  for _, row in ipairs(rows) do
    if row[1]:find "^p%-" then assert(core.read_file(run .. "/identifiers.csv"):find(row[1], 1, true), row[1]) end
  end
  assert(before:match "salt,%x+" == core.read_file(run .. "/identifiers.csv"):match "salt,%x+")
  -- the recipe that the folder keeps is whole again where the table is
  os.remove(file)
  status, text, err = tlua("--resume", run, "--schedule.epochs", "4", "--force")
  t.equal(status, 0, err)
  t.equal(who_tells(run), "identifiers.csv")
  core.remove(run .. "/identifiers.csv")
  file = recipe(home .. "/mine.lua", "folder", root, 'group = "(%w+ %d+)_", on_bad = "skip",', true, 2)
  status, text, err = tlua(file, "--resume", run, "--schedule.epochs", "5", "--force")
  t.equal(status, 1)
  assert(err:find("identifiers.csv, which says what is behind its aliases", 1, true), err)
end)

t.test("a run of a table", function()
  local root, run, lines = home .. "/pictures", folder .. "/run_csv", { "file,finding,who" }
  for i, path in ipairs(core.data.pictures(root)) do
    if not path:find "99_1" then
      lines[#lines + 1] = ("%s,%s,%s-%d"):format(path:sub(#root + 2), path:find "/yes/" and "y" or "n", NAME, i // 2)
    end
  end
  core.write_file(root .. "/" .. NAME .. ".csv", table.concat(lines, "\n") .. "\n")
  local file = recipe(folder .. "/csv.lua", "csv", "data", ([[path = "%s/%s.csv", image = "file", target = "finding",
    group = "who",]]):format(root, NAME), true, 1):gsub("%.lua$", ".lua")
  core.write_file(file, (core.read_file(file):gsub('root = "data", ', "")))
  local status, _, err = tlua(file, "--out", run)
  t.equal(status, 0, err)
  t.equal(who_tells(run), "identifiers.csv")
  status, _, err = tlua("eval", run)
  t.equal(status, 0, err)
end)

t.test("a run of a scanner's folder, which is private without a word", function()
  local root, run = home .. "/scans", folder .. "/run_dicom"
  scanner.folder(root, core, { patients = 8, slices = 3, fields = { name = NAME .. "^Hidden" } })
  local table_of = { "patient,finding" }
  for p = 1, 8 do table_of[p + 1] = ("SECRET-%02d,%s"):format(p, p % 2 == 1 and "yes" or "no") end
  core.write_file(home .. "/labels.csv", table.concat(table_of, "\n") .. "\n")
  local options = ('labels = "%s/labels.csv", target = "finding", windows = "soft",'):format(home)
  local file = recipe(home .. "/scans.lua", "dicom", root, options, "nil", 1)
  local status, _, err = tlua(file, "--out", run)
  t.equal(status, 0, err)
  t.equal(who_tells(run), "identifiers.csv")
  local out
  status, out, err = tlua(file, "--out", folder .. "/run_json", "--json")
  t.equal(status, 0, err)
  assert(out:find '"event":"done"' and not out:find(NAME) and not out:find "SECRET", out)
  local text = core.read_file(run .. "/identifiers.csv")
  assert(text:find "\np%-%x+/s%-%x+/002,[^\n]+%.dcm[^,\n]*,SECRET%-0%d\n", text)
  file = recipe(home .. "/open.lua", "dicom", root, options, false, 1)
  status, _, err = tlua(file, "--out", folder .. "/run_open")
  t.equal(status, 0, err)
  assert(who_tells(folder .. "/run_open"):find "recipe.lua" and not core.exists(folder .. "/run_open/identifiers.csv"))
end)

t.test("a run of volumes, which is private without a word", function()
  local root, run = home .. "/volumes", folder .. "/run_nifti"
  for c, class in ipairs { "no", "yes" } do
    core.mkdirs(root .. "/" .. class)
    for i = 1, 6 do
      local v = {}
      for k = 1, 512 do v[k] = (k * (i + 3)) % 17 + (k % 64 < 32 and 40 * c or 0) end
      core.nifti.write(("%s/%s/%s_%d.nii.gz"):format(root, class, NAME, i), { x = core.tensor(v):reshape(8, 8, 8),
        affine = { { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 } } })
    end
  end
  local file = folder .. "/volumes.lua"
  core.write_file(file, ([[
local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.resnet18_3d { weights = "none", in_channels = 1 },
  data = tlua.data.nifti { root = "%s", group = "(%%a+_%%d)", batch = 2, drop_last = true },
  loss = tlua.nn.CrossEntropy {}, optim = tlua.optim.SGD { lr = 0.001 }, schedule = { epochs = 1 } }
]]):format(root))
  local status, _, err = tlua(file, "--out", run)
  t.equal(status, 0, err)
  local text = core.read_file(run .. "/identifiers.csv")
  assert(text:find("\np%-%x+/f%-%x+,[^\n]+%.nii%.gz,Zaphod_%d\n"), text)
  t.equal(who_tells(run), "identifiers.csv")
end)

t.test("a damaged table is refused", function()
  core.mkdirs(folder .. "/bad")
  core.write_file(folder .. "/bad/identifiers.csv", "alias,path,patient\nsalt,12,\n")
  t.fails("identifiers.csv is damaged: it must begin with alias,path,patient and a salt of 64 digits",
    identifiers.of_run, folder .. "/bad")
  t.equal(identifiers.of_run(folder), nil)
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
