-- eval.lua - what `tlua eval` says, writes and draws: text, JSON, tables, the page; the list of what is wrong, of
-- classes, numbers and masks; which file a picture of a report is, and that private data name none. Run by
-- `tlua tests/lua/eval.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local core = require "tlua.core"
local folder = t.folder()
pictures.folder(folder .. "/secret-words", 8)

local NET = "nn.Conv2d(3, 4, 3, { padding = 1 }), nn.ReLU(), "
local HEAD = "nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, %d)"

local function recipe(name, model, rest)
  core.write_file(("%s/%s.lua"):format(folder, name), ([[
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe { model = nn.Sequential(%s), schedule = { epochs = 1 }, %s }
]]):format(model, rest))
end

local function run(line)
  local status, out, err = t.run("./tlua " .. line)
  if status ~= 0 then error(("tlua %s: status %s: %s%s"):format(line, tostring(status), out, err), 2) end
  return out
end

local function lines_of(path)
  local out = {}
  for line in core.read_file(path):gmatch "[^\n]+" do out[#out + 1] = line end
  return out
end

local DATA = 'size = 24, batch = 8, mean = 0.5, std = 0.5, doubles = "off"'
recipe("classes", NET .. HEAD:format(3), ('data = tlua.data.folder { root = "%s/secret-words", split = 0.5, %s }'):format(
  folder, DATA))
run(("%s/classes.lua --quiet --out %s/run"):format(folder, folder))

t.test("text: each class with its intervals, the confusion, the pairs that are mistaken", function()
  local out = run(("eval %s/run"):format(folder))
  assert(out:find "class +pictures +precision %% +recall %% +F1 %% +AUROC\n", out)
  for _, class in ipairs { "left", "right", "wide" } do
    assert(out:find(class .. " +4 +[%d.]+ .*%d %([%d.]+ to [%d.]+%)"), out)
  end
  assert(out:find "\nmean over classes +12 " and out:find "is \\ taken for +%a+ +%a+ +%a+\n", out)
end)

t.test("columns stand below each other where letters are two columns wide", function()
  pictures.folder(folder .. "/korean", 4)
  os.rename(folder .. "/korean/wide", folder .. "/korean/넓은것")
  recipe("korean", NET .. HEAD:format(3),
    ('data = tlua.data.folder { root = "%s/korean", split = 0.5, %s }'):format(folder, DATA))
  run(("%s/korean.lua --quiet --out %s/korean-run"):format(folder, folder))
  local ends, n = nil, 0
  for line in run(("eval %s/korean-run"):format(folder)):match "AUROC\n(.-)mean over":gmatch "[^\n]+" do
    local width = core.text.width(line:match "^.-%s2%f[%s]") -- a class, and how many pictures it has
    ends, n = ends or width, n + 1
    t.equal(width, ends, line)
  end
  t.equal(n, 3)
end)

t.test("classes without a test picture are named", function()
  pictures.folder(folder .. "/few/train", 4)
  os.execute(("cp -r %s/few/train %s/few/test && rm %s/few/test/wide/*"):format(folder, folder, folder))
  recipe("few", NET .. HEAD:format(3), ('data = tlua.data.folder { root = "%s/few", %s }'):format(folder, DATA))
  run(("%s/few.lua --quiet --out %s/few-run"):format(folder, folder))
  local out = run(("eval %s/few-run"):format(folder))
  assert(out:find("1 of 3 classes have no test pictures (wide): areas are not defined for them", 1, true), out)
  assert(not run(("eval %s/run"):format(folder)):find "have no test")
end)

t.test("with --json a test that takes long says nothing beside the object", function()
  core.write_file(folder .. "/slow.lua", ([[
local core = require "tlua.core"
local now, n = core.time, 0
core.time = function()
  n = n + 20
  return now() + n
end
require("tlua.command.eval").main { "%s/run", "--json", "--data.batch", "2" }
]]):format(folder))
  local status, out, err = t.run(("./tlua %s/slow.lua"):format(folder))
  assert(status == 0 and core.json_decode(out).pictures == 12, out .. err)
end)

t.test("JSON, the table and the page say the same", function()
  local json = core.json_decode(run(("eval %s/run --json --csv %s/c.csv --wrong %s/w.csv --report=%s/page.html"):format(
    folder, folder, folder, folder)))
  t.equal(#json.classes, 3)
  t.equal(#json.confusion, 3)
  local rows = lines_of(folder .. "/c.csv")
  t.equal(#rows, 4)
  assert(rows[1]:find("class,count,predicted,precision,precision_low,precision_high,recall,", 1, true) == 1, rows[1])
  local wrong, right, all = 0, 0, 0
  for i, row in ipairs(json.confusion) do
    for j, n in ipairs(row) do
      if i == j then right = right + n else wrong = wrong + n end
      all = all + n
    end
    local cells = {}
    for cell in (rows[i + 1] .. ","):gmatch "([^,]*)," do cells[#cells + 1] = cell end
    t.equal(cells[1], json.classes[i].name)
    assert(math.abs(tonumber(cells[7]) - json.classes[i].recall) < 1e-8, rows[i + 1])
    assert(math.abs(tonumber(cells[8]) - json.classes[i].recall_interval[1]) < 1e-8)
  end
  t.equal(right, json.right)
  t.equal(all, 12)
  t.equal(#lines_of(folder .. "/w.csv") - 1, wrong)
  t.equal(core.read_file(folder .. "/w.csv"), core.read_file(folder .. "/run/wrong.csv"), "the run's own list")
  local page = core.read_file(folder .. "/page.html")
  assert(page:find(("<b>%.1f %%</b>"):format(json.accuracy), 1, true) and page:find("<h2>The test</h2>", 1, true))
  assert(not page:find("<h2>Training</h2>", 1, true))
end)

t.test("pictures of a report have names and lead to their files, from wherever the page is", function()
  run(("report %s/run --to %s/elsewhere.html"):format(folder, folder))
  for _, place in ipairs { { "run", "run/report.html" }, { ".", "elsewhere.html" }, { ".", "page.html" } } do
    local page, n = core.read_file(folder .. "/" .. place[2]):gsub("</?bdi>", ""), 0
    for address, name in page:gmatch '<a href="([^"]+)">([^<]+%.png)</a> <span>%a+, no%. %d+</span>' do
      local path = ("%s/%s/%s"):format(folder, place[1], address)
      assert(core.exists(path) and path:match "[^/]+$" == name, path)
      n = n + 1
    end
    assert(n >= 12, place[2] .. ": " .. n)
    assert(page:find('data-sorts="', 1, true) and page:find 'alt="[^"]*taken for', place[2])
  end
  local list = core.read_file(folder .. "/elsewhere.html"):match 'as a table: <a href="([^"]+)"'
  t.equal(list, "run/wrong.csv")
end)

t.test("private data: neither files nor folders in the page, the list or the data behind them", function()
  run(("%s/classes.lua --quiet --data.private true --out %s/hidden"):format(folder, folder))
  run(("eval %s/hidden --report=%s/hidden.html"):format(folder, folder))
  for _, name in ipairs { "hidden/report.html", "hidden/report.json", "hidden/wrong.csv", "hidden.html" } do
    local text = core.read_file(folder .. "/" .. name)
    assert(not text:find("secret", 1, true), name .. " says where the data are")
    assert(not text:find "%d%.png", name .. " names a file")
  end
  assert(core.read_file(folder .. "/hidden/wrong.csv"):find "f%-%x+", "aliases")
end)

t.test("numbers: the list has what was given and what is so, the farthest first", function()
  local lines = { "file,side" }
  for i = 1, 8 do lines[#lines + 1] = ("secret-words/left/%d.png,%d"):format(i, 10 * i) end
  core.write_file(folder .. "/sides.csv", table.concat(lines, "\n") .. "\n")
  recipe("numbers", NET .. HEAD:format(1), ('task = tlua.task.regress {}, data = tlua.data.csv { path = "%s/sides.csv", '
    .. 'image = "file", target = "side", split = 0.5, %s }'):format(folder, DATA))
  run(("%s/numbers.lua --quiet --out %s/numbers"):format(folder, folder))
  run(("eval %s/numbers --csv %s/n.csv"):format(folder, folder))
  local rows, before = lines_of(folder .. "/numbers/wrong.csv"), math.huge
  t.equal(rows[1], "file,side given,side true,side error")
  for k = 2, #rows do
    local given, is, off = rows[k]:match ",([^,]+),([^,]+),([^,]+)$"
    assert(math.abs(given - is - off) < 1e-5 and math.abs(off) <= before, rows[k])
    before = math.abs(off)
  end
  t.equal(#lines_of(folder .. "/n.csv"), 2)
end)

t.test("an output that is no number has no figure, be it the first or another", function()
  local lines = { "file,side,area" }
  for i = 1, 8 do lines[#lines + 1] = ("secret-words/left/%d.png,%d,%d"):format(i, 10 * i, i) end
  core.write_file(folder .. "/two.csv", table.concat(lines, "\n") .. "\n")
  recipe("two", NET .. HEAD:format(2), ('task = tlua.task.regress {}, data = tlua.data.csv { path = "%s/two.csv", '
    .. 'image = "file", target = { "side", "area" }, split = 0.5, %s }'):format(folder, DATA))
  run(("%s/two.lua --quiet --out %s/two"):format(folder, folder))
  local tensors, metadata = core.load(folder .. "/two/model.safetensors")
  for k = 1, 2 do
    local bias = tensors["4.bias"]:tolist()
    bias[k] = 0 / 0
    local damaged = {}
    for name, x in pairs(tensors) do damaged[name] = name == "4.bias" and core.tensor(bias) or x end
    core.save(folder .. "/nan.safetensors", damaged, metadata)
    local status, _, err = t.run(("./tlua eval %s/nan.safetensors"):format(folder))
    assert(status == 1 and err:find("for 4 of 4 pictures: there is no figure of it", 1, true), err)
  end
end)

t.test("masks: the list has each picture's Dice, the worst first", function()
  core.mkdirs(folder .. "/parts/images")
  core.mkdirs(folder .. "/parts/masks")
  for i = 1, 8 do
    local image, mask = {}, {}
    for y = 1, 16 do
      image[y], mask[y] = {}, {}
      for x = 1, 16 do
        local inside = x > 4 + i % 3 and y > 6
        image[y][x], mask[y][x] = inside and { 200, 90, 9 * i } or { 20, 30, 9 * i }, { inside and 1 or 0 }
      end
    end
    core.image_write(("%s/parts/images/%d.png"):format(folder, i), core.tensor(image, { dtype = "uint8" }))
    core.image_write(("%s/parts/masks/%d.png"):format(folder, i), core.tensor(mask, { dtype = "uint8" }))
  end
  recipe("masks", NET .. "nn.Conv2d(4, 2, 1)", ('task = tlua.task.segment {}, data = tlua.data.masks { root = "%s/parts", '
    .. 'classes = { "ground", "disc" }, size = 16, batch = 4, split = 0.5, mean = 0.5, std = 0.5 }'):format(folder))
  run(("%s/masks.lua --quiet --out %s/masks"):format(folder, folder))
  local rows, before = lines_of(folder .. "/masks/wrong.csv"), -1
  t.equal(rows[1], "file,dice,disc,disc there,disc seen")
  for k = 2, #rows do
    local dice, own = rows[k]:match "^[^,]+,([%d.]+),([%d.]+),%d+,%d+$"
    assert(dice == own and tonumber(dice) >= before, rows[k])
    before = tonumber(dice)
  end
  t.equal(#rows, 5)
end)

t.test("errors: what a task has no table of, a value that stands apart", function()
  local status, _, err = t.run(("./tlua eval %s/run --report page.html"):format(folder))
  t.equal(status, 2)
  assert(err:find("one model is needed", 1, true), err)
end)

t.test("files that cannot be written are told before the test, and no two are one", function()
  for _, each in ipairs { { "--csv " .. folder .. "/none/a.csv", 1, "there is no folder " .. folder .. "/none" },
    { "--wrong " .. folder, 1, "is a folder; a file is needed" }, { "--report=", 2, "the name of a file is needed" },
    { "--csv a.csv --wrong a.csv", 2, "--csv and --wrong name the same file, a.csv" } } do
    local status, out, err = t.run(("./tlua eval %s/run %s"):format(folder, each[1]))
    assert(status == each[2] and out == "" and err:find(each[3], 1, true), err)
  end
end)

t.test("names with control characters do not break lines", function()
  local util = require "tlua.util"
  t.equal(util.on_line "new\nline \27[31m \xE9 שלום", "new\\x0Aline \\x1B[31m \\xE9 שלום")
  for k = 1, 6 do
    for c, class in ipairs { "new\nline", "red\27[31m" } do
      core.mkdirs(folder .. "/odd/" .. class)
      core.image_write(("%s/odd/%s/a\n%d.png"):format(folder, class, k),
        core.tensor({ { { 20 * k, 100 * c, 0 } } }, { dtype = "uint8" }))
    end
  end
  recipe("odd", NET .. HEAD:format(2), ('data = tlua.data.folder { root = "%s/odd", split = 0.5, %s }'):format(folder,
    DATA))
  local said = run(("%s/odd.lua --out %s/odd-run"):format(folder, folder)) .. run(("eval %s/odd-run"):format(folder))
    .. run(("predict %s/odd-run %s/odd"):format(folder, folder))
  assert(said:find("new\\x0Aline", 1, true) and not said:find("new\nline", 1, true) and not said:find "\27%[31m", said)
  assert(said:find("a\\x0A1.png", 1, true), said)
end)

os.execute("rm -rf " .. folder)
t.finish()
