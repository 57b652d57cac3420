-- report.lua - `tlua report`: a run's page made again from its report.json, several runs side by side. Run by `tlua tests/lua/report.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local core = require "tlua.core"
local folder = t.folder()
pictures.idx(folder .. "/idx", 40)

local function run(line)
  local status, out, err = t.run("./tlua " .. line)
  if status ~= 0 then error(("tlua %s: status %s: %s%s"):format(line, tostring(status), out, err), 2) end
  return out
end

local LINE = ("recipes/fashion_fe.lua --weights none --data.size 32 --data.batch 8 --data.root %s/idx"):format(folder)
run(LINE .. " --schedule.epochs 3 --out " .. folder .. "/a")
run(LINE .. " --schedule.epochs 4 --optim.lr 0.01 --test_every 2 --out " .. folder .. "/b")

t.test("one run: the same page again, wherever it is wanted", function()
  local path = folder .. "/a/report.html"
  local before = core.read_file(path)
  assert(#before > 20000 and before:find("data:image/png;base64", 1, true))
  core.remove(path)
  run("report " .. folder .. "/a")
  assert(core.read_file(path) == before, "the page has changed")
  run(("report %s/a/ --to %s/other.html"):format(folder, folder))
  -- From another folder the files beside it are elsewhere.
  local other, n = core.read_file(folder .. "/other.html"):gsub('href="a/wrong.csv"', 'href="wrong.csv"')
  t.equal(n, 1)
  assert(other == before)
end)

t.test("several runs: figures, curves, in what they differ", function()
  local page = folder .. "/both.html"
  run(("report %s/a %s/b --to=%s"):format(folder, folder, page))
  local text = core.read_file(page)
  for _, outside in ipairs { "http://", "https://", "<script ", "src=\"h", "@import", "url(", "fetch(", "XMLHttp",
    "import(" } do
    assert(not text:find(outside, 1, true), outside)
  end
  for _, title in ipairs { "Test accuracy, percent", "Test loss", "Training loss", "Learning rate", "In what the recipes differ" } do assert(text:find(title, 1, true), title) end
  -- What differs comes first, then the figures, a row each.
  local first, figures = text:match '"Fields that differ">(.-)</table>', text:match '"Figures of the runs">(.-)</table>'
  assert(text:find('"Fields that differ"', 1, true) < text:find('"Figures of the runs"', 1, true))
  local n = 0
  for row in figures:gmatch "<tr>(.-)</tr>" do
    local cells = {}
    for cell in row:gmatch "<td[^>]*>(.-)</td>" do cells[#cells + 1] = (cell:gsub("<[^>]*>", "")) end
    if #cells > 0 then
      n = n + 1
      local name = n == 1 and "a" or "b"
      t.equal(cells[1], name)
      local last = core.read_file(("%s/%s/metrics.csv"):format(folder, name)):match "([^\n]+)\n$"
      t.equal(cells[3], ("%.1f %%"):format(tonumber(last:match "^[^,]+,[^,]+,[^,]+,[^,]+,[^,]+,([^,]+)")), name)
    end
  end
  t.equal(n, 2)
  assert(figures:find('<th scope="col">accuracy, last</th>', 1, true) and text:find('<table class="sorts">', 1, true))
  for _, field in ipairs { "optim.lr", "schedule.epochs", "test_every" } do
    assert(first:find(('<th scope="col">%s</th>'):format(field), 1, true), field)
  end
  assert(first:find("<td>0.01</td>", 1, true) and first:find(">accuracy, best</th>", 1, true))
  assert(not first:find(">seed</th>", 1, true), "a field that is the same")
  local lines = 0
  for line in text:gmatch '<polyline class="c2[^"]*" points="([^"]*)"' do
    local sample = line == "0,4 26,4" -- of a name
    lines = lines + (sample and 0 or 1)
    if lines == 1 and not sample then t.equal(select(2, line:gsub(",", "")), 2, "tested epochs of the second run") end
  end
  t.equal(lines, 5)
end)

t.test("what ran stands at the head: command, overrides, weights with their hash, split, transforms, versions", function()
  local weights = folder .. "/a/model.safetensors"
  run(("recipes/fashion_fe.lua --weights %s --data.size 32 --data.batch 8 --data.root %s/idx --data.test_limit 12 --augment.flip true --schedule.epochs 1 --optim.lr 0.25 --out %s/ran"):format(
    weights, folder, folder))
  run(("recipes/fashion_fe.lua --resume %s/ran --schedule.epochs 2 --force --quiet"):format(folder))
  local text = core.read_file(folder .. "/ran/report.html")
  local head = text:match '<h1>.-</h1>(.-)<div class="tiles">'
  for _, part in ipairs { "tlua recipes/fashion_fe.lua --weights", "\ntlua recipes/fashion_fe.lua --resume", "--optim.lr 0.25", "SHA-256 " .. core.sha256(core.read_file(weights)),
    "the data&#39;s own test part", "test_limit 12", "random_horizontal_flip p 0.5", "normalize mean", "tlua " .. core.version, core.decoders, "OpenCL", "CrossEntropy" } do
    assert(head:find(part, 1, true) or head:find((part:gsub("&#39;", "'")), 1, true), part .. " in:\n" .. head)
  end
  assert(core.decoders:find "^libjpeg%-turbo [%d.]+, libspng [%d.]+, libwebp [%d.]+, libtiff [%d.]+, giflib [%d.]+$", core.decoders)
  assert(not head:match("<dt>test pictures</dt><dd>(.-)</dd>"):find("flip", 1, true), "test pictures are not flipped")
  -- the file of weights is another one at the end
  local json = core.json_decode(core.read_file(folder .. "/ran/report.json"))
  t.equal(#json.commands, 2)
  t.equal(json.test.count, 12)
end)

t.test("runs that were tested on other pictures: a warning, in the page too", function()
  local page = folder .. "/tests.html"
  local _, out, err = t.run(("./tlua report %s/a %s/ran --to %s"):format(folder, folder, page))
  assert(err:find("^tlua: warning: the runs were not tested on the same pictures, so that their figures cannot be compared: a: 20 pictures, %x+; ran: 12 pictures, %x+\n$"), err .. out)
  assert(core.read_file(page):find("<b>Warning:</b> the runs were not tested on the same pictures", 1, true))
  _, _, err = t.run(("./tlua report %s/a %s/b --to %s"):format(folder, folder, page))
  t.equal(err, "")
  assert(not core.read_file(page):find("<b>Warning:</b>", 1, true))
  -- a report that says nothing of its test pictures, as those of earlier tluas
  core.mkdirs(folder .. "/old")
  local json = core.json_decode(core.read_file(folder .. "/a/report.json"))
  json.test, json.ran, json.commands, json.metrics.right, json.metrics.accuracy_interval = nil, nil, nil, nil, { 1, 1 }
  for _, row in ipairs(json.metrics.per_class) do row.recall_interval, row.predicted = nil, nil end
  core.write_file(folder .. "/old/report.json", core.json_encode(json))
  _, _, err = t.run(("./tlua report %s/old %s/b --to %s"):format(folder, folder, page))
  t.equal(err, "")
  assert(core.read_file(page):find("<td>not known</td>", 1, true))
  run("report " .. folder .. "/old")
  local again, bounds = core.read_file(folder .. "/old/report.html"), core.read_file(folder .. "/a/report.html"):match "test pictures (%b())"
  assert(again:find(bounds, 1, true) and not again:find("100.0 to 100.0", 1, true), "the interval of an older report")
end)

t.test("runs of one name, runs that are not at their end", function()
  core.mkdirs(folder .. "/more/a")
  core.write_file(folder .. "/more/a/metrics.csv", "epoch,loss,train_accuracy,test_loss,test_accuracy,learning_rate,seconds\n1,0.5,80,0.6,70,0.001,3\n2,0.4,85,,,0.001,3\n")
  run(("report %s/a %s/more/a --to %s/c.html"):format(folder, folder, folder))
  local text = core.read_file(folder .. "/c.html")
  assert(text:find(folder .. "/more/a</td>", 1, true) and text:find("<td>70.0 %", 1, true)
    and text:find("2, not finished", 1, true), "the unfinished run")
end)

t.test("charts of one point, of none, with and without logarithms", function()
  local chart = require "tlua.report.chart"
  t.equal(table.concat(chart.log_ticks(2, 300), " "), "2.0 5.0 10.0 20.0 50.0 100.0 200.0")
  t.equal(table.concat(chart.log_ticks(0.5, 5e6), " "), "1.0 10.0 100.0 1000.0 10000.0 100000.0 1000000.0")
  for _, points in ipairs { {}, { { 3, 5 } }, { { 0, 0 } }, { { 1, 2, 1, 3 }, { 10, 2, 2, 2 } } } do
    for _, is_log in ipairs { false, true } do
      local text = chart.lines({ { name = "x", points = points } }, { x_log = is_log, y_log = is_log })
      assert(text:find "</svg>$" and not text:find "[^%a]%-?nan" and not text:find "[^%a]%-?inf", text)
    end
  end
end)

t.test("the axis of percentages that are all the same ends at 100", function()
  local report = require "tlua.report"
  for _, v in ipairs { 100, 0, 40 } do
    local text = report.figure("Accuracy", { { name = "test", points = { { 1, v }, { 2, v } } } }, { x = "epoch", y = "accuracy", y_same = report.PERCENT })
    assert(text:find(">100</text>", 1, true) and text:find(">0</text>", 1, true) and not text:find(">120</text>", 1, true) and not text:find(">150</text>", 1, true), text)
  end
end)

t.test("a page without a test calls samples what they are", function()
  local report = require "tlua.report"
  for many, one in pairs { texts = "text", clips = "clip", volumes = "volume", [false] = "picture" } do
    local page = report.page { title = "x", metrics = { count = 0 }, rows = {}, facts = {}, many = many or nil }
    t.equal(page:match "there is no test (%a+)", one)
  end
end)

t.test("a picture that cannot be read is said in its place, of private data without its name", function()
  local gallery = require "tlua.report.page.gallery"
  local source = { title = function(_, at) return ("no. %d"):format(at) end, path = function() return folder .. "/gone.png" end }
  for private, want in pairs { [false] = "cannot be shown: there is no file s&amp;p.png", [true] = "cannot be shown: it cannot be read" } do
    local of = { source = source, place = folder, session = { data = { private = private } } }
    local each = gallery.entry(of, 3, { missing = "there is no file s&p.png" })
    local text = gallery.figure(of, each, "said")
    assert(text:find(want, 1, true) and text:find("no. 3", 1, true) and not text:find("<img", 1, true), text)
  end
end)

t.test("errors", function()
  local function refused(line, status, message)
    local got, _, err = t.run("./tlua report " .. line)
    assert(got == status and err:find(message, 1, true), err)
  end
  refused("", 2, "folders of runs are needed")
  refused(folder .. "/a --too x", 2, "report: unknown option '--too'; did you mean '--to'?")
  refused(folder .. "/nowhere", 1, "there is no folder")
  refused(folder .. "/idx", 1, "is not the folder of a run")
  run("report " .. folder .. "/more/a") -- of an earlier tlua, which says nothing of where it stands
  local page = core.read_file(folder .. "/more/a/report.html")
  assert(page:find("not at its end; whether it runs is not known", 1, true) and page:find("70.0 %", 1, true), page)
  core.write_file(folder .. "/more/a/report.json", "{\"format\": 1, \"metr")
  refused(folder .. "/more/a", 1, "report.json is damaged")
end)

os.execute("rm -rf " .. folder)
t.finish()
