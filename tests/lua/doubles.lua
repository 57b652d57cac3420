-- doubles.lua - pictures that look nearly the same in several parts: named, kept on one side, left out. Run by
-- `tlua tests/lua/doubles.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local data = require "tlua.data"
local data_text = require "tlua.data.text"
local doubles = require "tlua.data.doubles"

local folder = t.folder()
local BASE = { size = 16, mean = { 0.5 }, std = { 0.5 }, channels = 3 }

-- A picture like no other one: squares whose light follows from `number`. o: side, light (added), even.
local function picture(path, number, o)
  o = o or {}
  local side, v = o.side or 36, {}
  core.mkdirs((path:match "^(.*)/"))
  for y = 0, side - 1 do
    for x = 0, side - 1 do
      local cell = (x * 9 // side) * 31 + (y * 8 // side) * 17 + number * 101
      v[#v + 1] = o.even and 90 or 40 + (cell * cell * 7 + cell * 13) % 120 + (o.light or 0)
    end
  end
  core.image_write(path, core.tensor(v, { dtype = "uint8" }):reshape(side, side, 1))
end

-- root/CLASS/N.png in two classes, 1 to n.
local function classes(root, n)
  for c, name in ipairs { "no", "yes" } do
    for i = 1, n do picture(("%s/%s/%d.png"):format(root, name, i), 100 * c + i) end
  end
end

local function open(root, options, seed)
  local given = { root = root }
  for key, v in pairs(options or {}) do given[key] = v end
  local d, lines = data.open(data.folder(given), BASE, seed or 0), {}
  data_text.lines(d, function(text) lines[#lines + 1] = text:gsub(folder, "DIR") end)
  return d, table.concat(lines, "\n")
end

-- Training and test folders; four test pictures have doubles in the training part.
local parted = folder .. "/parted"
classes(parted .. "/train", 6)
for c, name in ipairs { "no", "yes" } do
  picture(("%s/test/%s/new.png"):format(parted, name), 50 + c)
  picture(("%s/test/%s/brighter.png"):format(parted, name), 100 * c + 1, { light = 40 })
end
picture(parted .. "/test/no/larger.png", 102, { side = 72 })
os.execute(("cp '%s/train/yes/3.png' '%s/test/yes/copy.png'"):format(parted, parted))
picture(parted .. "/train/no/even.png", 0, { even = true })
picture(parted .. "/test/no/even.png", 0, { even = true, side = 40 })

t.test("they are named", function()
  local d, text = open(parted)
  t.equal(d.train:count(), 13)
  assert(text:find("the same  1 test picture is a training picture too, byte for byte: " ..
    "DIR/parted/test/yes/copy.png = DIR/parted/train/yes/3.png", 1, true), text)
  assert(text:find("doubles   3 test or validation pictures are nearly a training picture too (at most 3 of 64 bits " ..
    "apart): DIR/parted/test/no/brighter.png = DIR/parted/train/no/1.png (0), DIR/parted/test/no/larger.png = " ..
    "DIR/parted/train/no/2.png (0), DIR/parted/test/yes/brighter.png = DIR/parted/train/yes/1.png (0); doubles.csv " ..
    "has all, --data.doubles drop or apart acts on them", 1, true), text)
  assert(text:find("doubles   2 pictures are too even to be compared", 1, true), text)
  t.equal((doubles.csv(d):gsub(folder, "DIR")), [[
part,picture,training_picture,bits,same_file
test,DIR/parted/test/no/brighter.png,DIR/parted/train/no/1.png,0,no
test,DIR/parted/test/no/larger.png,DIR/parted/train/no/2.png,0,no
test,DIR/parted/test/yes/brighter.png,DIR/parted/train/yes/1.png,0,no
test,DIR/parted/test/yes/copy.png,DIR/parted/train/yes/3.png,0,yes
]])
end)

t.test("they are not looked for", function()
  local d, text = open(parted, { doubles = "off" })
  t.equal(d.doubles, nil)
  assert(text:find "the same  1" and not text:find "doubles ", text)
end)

t.test("they are left out of the training", function()
  local d, text = open(parted, { doubles = "drop" })
  t.equal(d.train:count(), 9)
  local left = {}
  for i = 1, d.train:count() do left[i] = d.train:path(i):match "train/(.*)%.png" end
  t.equal(table.concat(left, " "), "no/3 no/4 no/5 no/6 no/even yes/2 yes/4 yes/5 yes/6")
  assert(text:find("doubles   4 training pictures are left out that look like a test or validation picture " ..
    "(doubles.csv has them)", 1, true), text)
  assert(not text:find "the same")
  local _, lines = doubles.csv(d):gsub("\n", "")
  t.equal(lines, 5)
  t.equal(d.list.train.count, 9)
end)

t.test("nothing can be moved where the parts are the data's own", function()
  t.fails('data.folder: doubles = "apart" moves pictures from part to part, and the data have parts of their own',
    open, parted, { doubles = "apart" })
end)

-- One folder with pairs: i and i + 20 look alike.
local plain = folder .. "/plain"
classes(plain, 12)
for c, name in ipairs { "no", "yes" } do
  for i = 1, 8 do picture(("%s/%s/%d.png"):format(plain, name, i + 20), 100 * c + i, { light = 30, side = 48 }) end
end

local APART = "apart     16 pairs look nearly the same; 40 pictures make 24 groups with them, the largest of 2"

t.test("they are kept on one side", function()
  local split_before = 0
  for seed = 1, 4 do
    split_before = split_before + #open(plain, { split = 0.3, validation = 0.2 }, seed).doubles.list
    local d, text = open(plain, { split = 0.3, validation = 0.2, doubles = "apart" }, seed)
    t.equal(#d.doubles.list, 0)
    assert(d.validation:count() > 0 and d.test:count() > 4)
    t.equal(d.train:count() + d.validation:count() + d.test:count(), 40)
    assert(text:find(APART, 1, true), text)
    -- the same pictures are held out for those who test alone
    local alone = data.open(data.folder { root = plain, split = 0.3, validation = 0.2, doubles = "apart" }, BASE, seed,
      { only_test = true })
    t.equal(alone.test:list_hash(plain), d.test:list_hash(plain))
  end
  assert(split_before > 8, "nothing was on two sides")
end)

t.test("groups are joined by them", function()
  t.equal(table.concat(doubles.merged({ "a", "a", "b", "c", "c" }, { 1, 2, 2, 3, 4 }), " "), "1 1 1 4 4")
  t.equal(table.concat(doubles.merged(nil, { 1, 2, 1 }), " "), "1 2 1")
  -- 1.png to 3.png are of one patient, and 21.png looks like 1.png
  for seed = 1, 3 do
    local d = open(plain, { split = 0.3, group = "/([123])%.png", doubles = "apart" }, seed)
    local of_class = {}
    for _, part in ipairs { "train", "test" } do
      for i = 1, d[part]:count() do
        local name, number = d[part]:path(i):match "/(%a+)/(%d+)%.png$"
        number = tonumber(number)
        if number <= 3 or number >= 21 and number <= 23 then
          of_class[number % 20] = of_class[number % 20] or part
          t.equal(part, of_class[number % 20], name .. number)
        end
      end
    end
  end
end)

t.test("tables of pictures", function()
  local lines = { "file,finding" }
  for _, path in ipairs(core.data.pictures(plain)) do
    lines[#lines + 1] = ("%s,%s"):format(path:sub(#plain + 2), path:match "/(%a+)/%d")
  end
  core.write_file(plain .. "/all.csv", table.concat(lines, "\n") .. "\n")
  local function csv(options)
    local given = { path = plain .. "/all.csv", image = "file", target = "finding", split = 0.4 }
    for key, v in pairs(options) do given[key] = v end
    return data.open(data.csv(given), BASE, 1)
  end
  local said, dropped, apart = csv {}, csv { doubles = "drop" }, csv { doubles = "apart" }
  assert(#said.doubles.list > 0)
  t.equal(dropped.train:count(), said.train:count() - dropped.doubles.dropped)
  assert(dropped.doubles.dropped > 0)
  t.equal(#apart.doubles.list, 0)
  t.equal(apart.said[2], APART)
end)

t.test("a training part of doubles alone is refused", function()
  classes(folder .. "/alone/train", 2)
  classes(folder .. "/alone/test", 2)
  t.fails('doubles = "drop" leaves no training picture', open, folder .. "/alone", { doubles = "drop" })
end)

t.test("a run lists them by their aliases", function()
  local file = folder .. "/run.lua"
  core.write_file(file, ([[
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { weights = "none", width = 8 },
  data = tlua.data.folder { root = "%s", size = 32, batch = 4, mean = 0.5, std = 0.2, private = true,
    doubles = "drop" },
  loss = tlua.nn.CrossEntropy {}, optim = tlua.optim.SGD { lr = 0.001 }, schedule = { epochs = 1 } }]]):format(parted))
  local status, out, err = t.run(("./tlua %s --data.drop_last true --out %s/run"):format(file, folder))
  t.equal(status, 0, err)
  assert(out:find "doubles   4 training pictures are left out", out)
  local text = core.read_file(folder .. "/run/doubles.csv")
  assert(text:find "\ntest,f%-%x+,f%-%x+,0,yes\n" and not text:find "png", text)
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
