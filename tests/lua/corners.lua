-- corners.lua - text that is burnt into a scanner's pictures: what is said of it, and black corners in what the network
-- is fed, in `tlua show` and in the report. Run by `tlua tests/lua/corners.lua`.
local t = dofile "tests/lua/run_tests.lua"
local scanner = dofile "tests/lua/run_scanner.lua"
local core = require "tlua.core"
local data = require "tlua.data"
local data_text = require "tlua.data.text"

local folder = t.folder()

-- Four patients, whose pictures are white in the corners; `more`: elements of their files.
local function scans(name, said)
  local root = folder .. "/" .. name
  local lines = { "patient,finding" }
  for p = 1, 8 do
    core.mkdirs(("%s/p%d"):format(root, p))
    lines[#lines + 1] = ("Q%d,%s"):format(p, p % 2 == 1 and "yes" or "no")
    for k = 1, 2 do
      scanner.write(("%s/p%d/%d.dcm"):format(root, p, k), { patient = "Q" .. p, study = "1.2." .. p,
        series = ("1.2.%d.1"):format(p), number = 1, instance = k, position = { 0, 0, k }, rows = 32, columns = 32,
        burned = said(p), centre = 50, width = 100,
        value = function(x, y)
          local corner = (x < 5 or x > 26) and (y < 5 or y > 26)
          return corner and 100 or 20 + (x * y * (p + 3) + p * k) % 60
        end })
    end
  end
  core.write_file(root .. "/labels.csv", table.concat(lines, "\n") .. "\n")
  return root
end

local function open(root, options)
  local given = { root = root, labels = root .. "/labels.csv", target = "finding", split = 0.25, doubles = "off" }
  for key, v in pairs(options or {}) do given[key] = v end
  local d = data.open(data.dicom(given), { size = 32, fit = "stretch", mean = { 0 }, std = { 1 }, channels = 1 }, 0)
  return d, data_text.burnt_in(d)
end

local silent = scans("silent", function() return nil end)
local mixed = scans("mixed", function(p) return p < 4 and "YES" or p < 6 and "NO" or nil end)
local clean = scans("clean", function() return "NO" end)

-- The first picture of the training part as it is fed, (32, 32).
local function fed(d)
  local loader <close> = data.loader(d, "train", 0, { shuffle = false, batch = 1 })
  loader:start(1)
  local x = loader:next()
  return x:reshape(32, 32)
end

t.test("what files say of burnt-in text", function()
  local AS_IT_IS = " (BurnedInAnnotation); they are shown as they are: --data.strip_corners 0.15 makes their " ..
    "corners black"
  t.equal(select(2, open(silent)), "16 pictures do not say whether text is burnt in" .. AS_IT_IS)
  t.equal(select(2, open(mixed)),
    "6 pictures say that text is burnt in, 6 pictures do not say whether text is burnt in" .. AS_IT_IS)
  t.equal(select(2, open(clean)), nil)
  t.equal(select(2, open(clean, { strip_corners = 0.15 })),
    "the corners are black, 15 % of the height and of the width each")
  t.equal(select(2, open(mixed, { strip_corners = 0 })):match "^6", "6")
end)

t.test("corners are black in what the network is fed", function()
  local plain, stripped = fed((open(silent))):tolist(), fed((open(silent, { strip_corners = 0.15 }))):tolist()
  for y = 1, 32 do
    for x = 1, 32 do
      local corner = (x <= 5 or x > 27) and (y <= 5 or y > 27)
      if corner then t.equal(plain[y][x], 1.0) end
      t.equal(stripped[y][x], corner and 0.0 or plain[y][x])
    end
  end
end)

t.test("show and the report say it, and strip on request", function()
  local file = folder .. "/mine.lua"
  core.write_file(file, ([[
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { weights = "none", width = 8 },
  data = tlua.data.dicom { root = "%s", labels = "%s/labels.csv", target = "finding", size = 32, batch = 4, mean = 0,
    std = 1, fit = "stretch", drop_last = true, doubles = "off" },
  loss = tlua.nn.CrossEntropy {}, optim = tlua.optim.SGD { lr = 0.001 }, schedule = { epochs = 1 } }]]):format(silent,
    silent))
  -- Brightest pixels of the corners of all pictures of a page.
  local function brightest(path)
    local html, most, n = core.read_file(path), 0, 0
    for text in html:gmatch 'src="data:image/png;base64,([^"]+)"' do
      local out = folder .. "/picture.png"
      local pipe = assert(io.popen("base64 -d > '" .. out .. "'", "w"))
      pipe:write(text)
      pipe:close()
      local x = core.image_read(out, 1):tolist()
      n = n + 1
      for _, at in ipairs { 1, 4, #x - 3, #x } do most = math.max(most, x[at][1][1], x[at][#x[1]][1]) end
    end
    assert(n > 0, "no picture in the page")
    return most
  end
  for _, strip in ipairs { false, true } do
    local run = folder .. (strip and "/stripped" or "/plain")
    local words = strip and " --data.strip_corners 0.15" or ""
    local status, out, err = t.run(("./tlua %s --out %s%s"):format(file, run, words))
    t.equal(status, 0, err)
    local html, wanted = core.read_file(run .. "/report.html"), strip and "the corners are black, 15 %" or
      "16 pictures do not say whether text is burnt in"
    assert(html:find("burnt-in text", 1, true) and html:find(wanted, 1, true), "the report does not say it")
    assert(out:find("burnt in  " .. wanted, 1, true), out)
    t.equal(brightest(run .. "/report.html"), strip and 0 or 255)
    status, out, err = t.run(("./tlua show %s --to %s.png%s"):format(file, run, words))
    t.equal(status, 0, err)
    assert(out:find("burnt in: " .. wanted, 1, true), out)
  end
  -- The model remembers.
  local info = require("tlua.weights.model_file").read(folder .. "/stripped/model.safetensors")
  t.equal(info.preprocessing.strip_corners, 0.15)
  assert(require("tlua.weights.model_file").pipeline(info):text():find("strip_corners(share=0.15)", 1, true))
end)

os.execute(("rm -rf '%s'"):format(folder))
t.finish()
