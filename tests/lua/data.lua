-- data.lua - what a run says of its data before it begins, and that training and prediction look into folders alike. Run by
-- `tlua tests/lua/data.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local data = require "tlua.data"
local data_text = require "tlua.data.text"
local predict = require "tlua.command.predict"

local folder = os.tmpname()
os.remove(folder)
core.mkdirs(folder)
local function sh(command) assert(os.execute(("cd '%s' && %s"):format(folder, command))) end
local BASE = { size = 16, mean = { 0.5 }, std = { 0.5 }, channels = 3 }

-- What the plan says of data.folder { root = folder/name, ... }, one text; and what data.open gave.
local function said(name, options)
  local given = { root = folder .. "/" .. name, doubles = "off" } -- these pictures look alike
  for key, value in pairs(options or {}) do given[key] = value end
  local d, lines = data.open(data.folder(given), BASE, 0), {}
  data_text.lines(d, function(text) lines[#lines + 1] = text:gsub(folder, "DIR") end)
  return table.concat(lines, "\n"), d
end

pictures.folder(folder .. "/plain", 5)

t.test("parts, classes and their numbers", function()
  t.equal(said "plain", "parts     DIR/plain has none; 20 % of each class are held out for testing\nclasses   left, right, wide: 4 + 1 each training + test pictures")
  t.equal(said("plain", { split = 0.4 }), "parts     DIR/plain has none; 40 % of each class are held out for testing\nclasses   left, right, wide: 3 + 2 each training + test pictures")
  sh "mkdir parted && cp -r plain parted/Train && cp -r plain parted/TEST && cp -r plain parted/val && rm parted/Train/wide/[12].png && for c in left right wide; do printf $c >> parted/TEST/$c/1.png; rm parted/TEST/$c/[2-5].png; done"
  t.equal(said "parted", "parts     training DIR/parted/Train, test DIR/parted/TEST\nvalidation the data's own, DIR/parted/val\nclasses   left 5 + 5 + 1, right 5 + 5 + 1, wide 3 + 5 + 1 training + validation + test pictures")
  sh "rm -r parted/TEST parted/val"
  t.equal(said "parted", "parts     training DIR/parted/Train; 20 % of each class of it are held out for testing\nclasses   left 4 + 1, right 4 + 1, wide 2 + 1 training + test pictures")
end)

t.test("many classes are not all named", function()
  sh "mkdir many && for i in 10 11 12 13 14 15 16 17 18 19 20 21 22 23; do cp -r plain/left many/c$i; done && rm many/c10/1.png"
  local text = said "many"
  assert(text:find("c10 3 + 1, c11 4 + 1", 1, true) and text:find("c21 4 + 1, ... (14 in all, from 3 to 4 training pictures) training + test pictures", 1, true), text)
end)

t.test("files that are no pictures, pictures without a class", function()
  sh("cp -r plain formats && cd formats && mv left/1.png left/1.heic && mv left/2.png left/2.heic "
    .. "&& mv right/1.png right/1.nrrd && cp left/3.png . && touch left/.hidden right/README")
  local text = said "formats"
  assert(text:find "\nskipped   training folders: [^\n]+, [^\n]+ and [^\n]+ are passed over: JPEG, "
    .. "PNG, WebP, TIFF, BMP, GIF and DICOM are read\n", text)
  for _, part in ipairs { "2 .heic", "1 .nrrd", "1 without an ending" } do assert(text:find(part, 1, true), text) end
  assert(text:find("skipped   training folder: 1 picture lies beside the class folders and has no class", 1, true), text)
  assert(not said("plain"):find "skipped")
end)

t.test("pictures that are the same file in training and test", function()
  sh "mkdir twice && cp -r plain twice/train && mkdir twice/test && for c in left right wide; do mkdir twice/test/$c; cp plain/$c/1.png twice/test/$c/copy.png; done && printf x >> twice/test/wide/copy.png"
  local text, d = said "twice"
  t.equal(#d.shared, 2)
  assert(text:find("the same  2 test pictures are a training picture too, byte for byte: DIR/twice/test/left/copy.png = DIR/twice/train/left/1.png, DIR/twice/test/right/copy.png", 1, true), text)
  sh "cp -r plain half && cp half/left/1.png half/left/6.png && cp half/left/1.png half/left/7.png && cp half/left/1.png half/left/8.png"
  text = said("half", { split = 0.5 })
  assert(text:find "the same  %d test pictures? [ai]", text)
end)

t.test("the loss with its options and weights", function()
  local nn = tlua.nn
  t.equal(data_text.loss(nn.CrossEntropy {}, { "a", "b" }), "CrossEntropy")
  t.equal(data_text.loss(nn.CrossEntropy { weight = { 1, 2.5 }, label_smoothing = 0.1 }, { "a", "b" }), "CrossEntropy, label_smoothing 0.1, weights a 1, b 2.5")
  local auto = nn.CrossEntropy { weight = "auto" }
  auto:set_counts { 30, 10 }
  t.equal(data_text.loss(auto, { "a", "b" }), "CrossEntropy, weights a 0.6667, b 2 (auto)")
  t.equal(data_text.loss(nn.FocalLoss { gamma = 3 }, {}), "FocalLoss, gamma 3")
  t.equal(data_text.loss(function() end, {}), "a function of the recipe")
end)

t.test("prediction finds the pictures of a folder that training finds", function()
  sh "cp -r plain seen && cd seen && mkdir left/deep .git && cp left/1.png left/deep/a.png && cp left/1.png left/.hidden.png && cp left/1.png .git/x.png && ln -s no/such left/gone.png && ln -s ../../plain left/linked && touch left/x.heic && rm -r right wide"
  local source, names = core.data.source("folder", { root = folder .. "/seen", classes = { "left" } }), {}
  for i = 1, source:count() do names[i] = source:name(i) end
  table.sort(names)
  local notes = {}
  local list = predict.collect({ folder .. "/seen" }, function(text) notes[#notes + 1] = text end)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  t.equal(table.concat(sorted, "\n"), table.concat(names, "\n"))
  t.equal(#list, 22) -- 5, 1 deep, 1 that leads nowhere, 15 behind the link
  t.equal(list[1], folder .. "/seen/left/1.png")
  t.equal(list[6], folder .. "/seen/left/deep/a.png")
  t.equal(notes[1]:gsub(folder, "DIR"),
    "DIR/seen: 1 .heic is passed over: JPEG, PNG, WebP, TIFF, BMP, GIF and DICOM are read")
  sh "ln -s .. seen/left/up"
  t.fails("a link back to", predict.collect, { folder .. "/seen" })
  t.fails("a link back to", core.data.source, "folder", { root = folder .. "/seen", classes = { "left" } })
  sh "mkdir other && touch other/x.svg"
  t.fails("other holds no pictures; 1 .svg is passed over: JPEG, PNG, WebP, TIFF, BMP, GIF and DICOM are read",
    predict.collect, { folder .. "/other" })
end)

t.test("groups are found in either form of Unicode", function()
  -- "고", composed and decomposed: pictures of one patient from two computers
  sh "mkdir forms forms/a forms/b && for i in 1 2 3; do cp plain/left/$i.png forms/a/$(printf '\\352\\263\\240')_$i.png; cp plain/left/$i.png forms/b/$(printf '\\341\\204\\200\\341\\205\\251')_$i.png; cp plain/wide/$i.png forms/a/x_$i.png; cp plain/wide/$i.png forms/b/y_$i.png; done"
  for _, pattern in ipairs { "(\u{ACE0})_", "(\u{1100}\u{1169})_" } do
    local _, d = said("forms", { group = pattern, split = 0.5 })
    t.equal(d.groups.count, 7, "one of six pictures, six of one")
  end
end)

t.test("a network of one's own has no place for a head, and says so before anything is trained", function()
  local nn = tlua.nn
  local said = t.fails("nn.Sequential has no head that nn.Linear(? -> 3) could replace: make it the network's last layer", function()
    tlua.recipe { model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), head = nn.Linear(3),
      data = data.folder { root = folder .. "/plain", size = 16, batch = 4, mean = 0.5, std = 0.5 } }:build()
  end)
  assert(said:find("tests/lua/data.lua:", 1, true), said)
end)

t.test("a run that goes on notices that its pictures have changed", function()
  local checkpoint, nn = require "tlua.run.checkpoint", tlua.nn
  local run, log = folder .. "/run", folder .. "/run/log.txt"
  local function make()
    return tlua.recipe {
      model = nn.Sequential(nn.Conv2d(3, 4, 3, { stride = 2 }), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
      data = data.folder { root = folder .. "/changing", size = 16, batch = 4, mean = 0.5, std = 0.5 }, schedule = { epochs = 2 }, out = run,
    }
  end
  local function read(path) return core.read_file(path) end
  sh "cp -r plain changing && mkdir run"
  -- as if stopped in the second epoch, after its first batch
  local row = { epoch = 1, loss = 1, train_accuracy = 50, test_loss = 1, test_accuracy = 100, lr = 1e-3, seconds = 1 }
  local s = make():build()
  checkpoint.write(run .. "/last.safetensors", s, { epoch = 2, step = 1, batches = 4, stage_steps = 4, totals = { loss = 4, right = 1, n = 4, steps = 1 }, rows = { row },
    best = { epoch = 1, test_accuracy = 100, test_loss = 1 }, without_better = 0, seconds = 1 }, { epochs = { row } })
  t.equal(#make():run({ resume = run, style = "quiet" }).epochs, 2)
  assert(not read(log):find "other pictures")
  local last = read(run .. "/last.safetensors")
  sh "rm changing/left/5.png changing/left/4.png"
  local e = t.fails("--resume: the pictures in " .. folder .. "/changing have changed since the run was stopped: 12 training pictures then, 10 now", function()
    checkpoint.write(run .. "/last.safetensors", s, { epoch = 2, step = 1, batches = 4, stage_steps = 4, totals = { loss = 4, right = 1, n = 4, steps = 1 }, rows = { row },
      best = { epoch = 1, test_accuracy = 100, test_loss = 1 }, without_better = 0, seconds = 1 }, { epochs = { row } })
    make():run { resume = run, style = "quiet" }
  end)
  assert(e:find("--force goes on with those that are there", 1, true), e)
  t.equal(#make():run({ resume = run, style = "quiet", force = true }).epochs, 2)
  local said_in_log = read(log)
  assert(said_in_log:find("resumed   with other pictures: 12 training pictures then, 10 now", 1, true) and said_in_log:find("; epoch 2 begins anew", 1, true), said_in_log)
  -- the same number of other pictures; the same ones elsewhere are the same
  local function lists(name)
    local d = data.open(data.folder { root = folder .. "/" .. name, split = 0.4 }, BASE, 0)
    return d.list
  end
  sh "cp -r plain moved && touch moved/left/1.png && cp -r plain renamed && mv renamed/left/1.png renamed/left/9.png && cp -r plain longer && printf x >> longer/wide/2.png"
  t.equal(lists("moved").all.hash, lists("plain").all.hash)
  t.equal(lists("moved").test.hash, lists("plain").test.hash)
  for _, name in ipairs { "renamed", "longer" } do
    t.equal(lists(name).all.count, 15)
    assert(lists(name).all.hash ~= lists("plain").all.hash, name)
    local changed = checkpoint.changed_pictures({ pictures = lists "plain" },
      { data = { list = lists(name), input = require("tlua.data.input").picture } })
    assert(changed.train or changed.test, name)
  end
  local compare = require "tlua.command.compare"
  t.equal(compare.key_of(make(), {}, lists "moved"), compare.key_of(make(), {}, lists "plain"))
  assert(compare.key_of(make(), {}, lists "longer") ~= compare.key_of(make(), {}, lists "plain"), "a cell of other pictures would be kept")
  t.equal(next(checkpoint.changed_pictures({}, s)), nil, "a checkpoint of an older tlua")
  s.optim:close()
end)

-- A grey PNG of 16 bits, `side` pixels wide and high, of value(x, y), not packed.
local function deep_png(path, side, value)
  local crcs = {}
  for n = 0, 255 do
    local c = n
    for _ = 1, 8 do c = c & 1 == 1 and 0xedb88320 ~ (c >> 1) or c >> 1 end
    crcs[n] = c
  end
  local function chunk(word, body)
    local c = 0xffffffff
    for b in (word .. body):gmatch "." do c = crcs[(c ~ b:byte()) & 255] ~ (c >> 8) end
    return string.pack(">I4", #body) .. word .. body .. string.pack(">I4", c ~ 0xffffffff)
  end
  local rows, a, b = {}, 1, 0
  for y = 0, side - 1 do
    rows[#rows + 1] = "\0"
    for x = 0, side - 1 do rows[#rows + 1] = string.pack(">I2", value(x, y)) end
  end
  local raw = table.concat(rows)
  for byte in raw:gmatch "." do
    a = (a + byte:byte()) % 65521
    b = (b + a) % 65521
  end
  local packed = "\x78\x01\1" .. string.pack("<I2I2", #raw, #raw ~ 0xffff) .. raw .. string.pack(">I2I2", b, a)
  local file <close> = assert(io.open(path, "wb"))
  file:write("\x89PNG\r\n\x1a\n", chunk("IHDR", string.pack(">I4I4", side, side) .. "\16\0\0\0\0"),
    chunk("IDAT", packed), chunk("IEND", ""))
end

t.test("PNG of 16 bits stays 16 bits from the file to the network", function()
  local function value(x, y) return (x * 4099 + y * 257 + 77) % 65536 end
  core.mkdirs(folder .. "/deep/a")
  core.mkdirs(folder .. "/deep/b")
  for i = 1, 2 do
    deep_png(("%s/deep/a/%d.png"):format(folder, i), 16, value)
    deep_png(("%s/deep/b/%d.png"):format(folder, i), 16, value)
  end
  local d = tlua.data.open(tlua.data.folder { root = folder .. "/deep", size = 16, fit = "stretch", mean = 0, std = 1,
    split = 0.5, batch = 1 }, {}, 1)
  local loader <close> = tlua.data.loader(d, "train", 1)
  loader:start(1)
  local shallow = 0
  for y, row in ipairs((loader:next()):tolist()[1]) do
    for x, channels in ipairs(row) do
      local want = value(x - 1, y - 1)
      for c = 1, 3 do
        assert(math.abs(channels[c] - want / 65535) < 1e-7, ("%d, %d: %.9g"):format(x, y, channels[c]))
      end
      if want % 257 ~= 0 then shallow = shallow + 1 end -- what 8 bits would have lost
    end
  end
  assert(shallow > 200, shallow)
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
