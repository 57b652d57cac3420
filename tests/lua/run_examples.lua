-- run_examples.lua - for tests of what help() shows (lua/tlua/repl/examples): small data in a folder that goes away,
-- and each example run in it as if typed at the prompt. data(folder) writes the data; run(name, lines) gives what the
-- prompt showed of each line that says so: a list of {line, got, wanted}.
local core = require "tlua.core"
local inspect = require "tlua.repl.inspect"
local examples = require "tlua.repl.examples"
local M = {}

local SCRIPTS = { { "shapes", "pictures" }, { "squares", "squares" }, { "reviews", "reviews", "60" },
  { "tones", "recordings", "20" }, { "scans", "scans", "6" } }

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do list[#list + 1] = line end
  return list
end

-- From the squares in YOLO's form the same in the others: a table of boxes, one of findings, COCO's JSON, VOC's XML.
local function box_forms(root)
  local names, rows, findings = { "red", "blue" }, { "file,left,top,right,bottom,class" }, { "file,red,blue,count" }
  local coco = { images = {}, annotations = {}, categories = { { id = 1, name = "red" }, { id = 2, name = "blue" } } }
  core.mkdirs(root .. "/voc")
  for i = 1, 16 do
    local file, seen, xml = ("images/train/square%02d.png"):format(i), { 0, 0 }, {}
    coco.images[i] = { id = i, file_name = file, width = 96, height = 72 }
    for _, line in ipairs(lines_of(("%s/squares/labels/train/square%02d.txt"):format(root, i))) do
      local class, x, y, w, h = line:match "(%d) (%S+) (%S+) (%S+) (%S+)"
      local k, l, t = class + 1, (x - w / 2) * 96, (y - h / 2) * 72
      seen[k] = seen[k] + 1
      rows[#rows + 1] = ("%s,%.0f,%.0f,%.0f,%.0f,%s"):format(file, l, t, l + w * 96, t + h * 72, names[k])
      coco.annotations[#coco.annotations + 1] = { id = #coco.annotations + 1, image_id = i, category_id = k,
        bbox = { l, t, w * 96, h * 72 }, area = w * 96 * h * 72, iscrowd = 0 }
      xml[#xml + 1] = ("<object><name>%s</name><bndbox><xmin>%.0f</xmin><ymin>%.0f</ymin><xmax>%.0f</xmax>"
        .. "<ymax>%.0f</ymax></bndbox></object>"):format(names[k], l + 1, t + 1, l + w * 96, t + h * 72)
    end
    findings[#findings + 1] = ("%s,%d,%d,%d"):format(file, math.min(seen[1], 1), math.min(seen[2], 1),
      seen[1] + seen[2])
    core.image_write(("%s/voc/%d.png"):format(root, i), core.image_read(root .. "/squares/" .. file))
    core.write_file(("%s/voc/%d.xml"):format(root, i), "<annotation><size><width>96</width><height>72</height></size>"
      .. table.concat(xml) .. "</annotation>")
  end
  core.write_file(root .. "/squares/boxes.csv", table.concat(rows, "\n") .. "\n")
  core.write_file(root .. "/squares/findings.csv", table.concat(findings, "\n") .. "\n")
  core.write_file(root .. "/squares/coco.json", core.json_encode(coco))
end

local function masks(root)
  core.mkdirs(root .. "/masks/images")
  core.mkdirs(root .. "/masks/masks")
  for i = 1, 10 do
    local x, m = {}, {}
    for k = 0, 32 * 32 - 1 do
      local inside = k % 32 >= i and k % 32 < i + 12 and k // 32 >= 8 and k // 32 < 20
      m[k + 1] = inside and 1 or 0
      for c = 1, 3 do x[3 * k + c] = inside and 200 or 40 + k % 7 end
    end
    core.image_write(("%s/masks/images/%d.png"):format(root, i), core.tensor(x, { dtype = "uint8" }):reshape(32, 32, 3))
    core.image_write(("%s/masks/masks/%d.png"):format(root, i), core.tensor(m, { dtype = "uint8" }):reshape(32, 32, 1))
  end
end

-- Data, a trained run, an .onnx file and a folder of Hugging Face, as the examples call them, below `root`. Called in
-- the root of the source.
function M.data(root)
  local given, say = arg, print
  rawset(_G, "print", function() end)
  for _, each in ipairs(SCRIPTS) do
    rawset(_G, "arg", { [0] = ("docs/%s.lua"):format(each[1]), root .. "/" .. each[2], each[3] })
    dofile(("docs/%s.lua"):format(each[1]))
  end
  rawset(_G, "arg", given)
  rawset(_G, "print", say)
  box_forms(root)
  masks(root)
  local pictures = dofile "tests/lua/run_pictures.lua"
  pictures.cifar(root .. "/cifar10", 40)
  pictures.idx(root .. "/mnist", 40)
  core.mkdirs(root .. "/cifar100")
  for name, count in pairs { train = 20, test = 10 } do
    local out = {}
    for i = 1, count do out[i] = string.char(i % 20, i) .. string.char(i):rep(3072) end
    core.write_file(("%s/cifar100/%s.bin"):format(root, name), table.concat(out))
  end
  dofile("tests/lua/run_spheres.lua").write(root .. "/volumes", core, { count = 5 })
  local texts = {}
  for _, line in ipairs(lines_of(root .. "/reviews/reviews.tsv")) do texts[#texts + 1] = line:match "^[^\t]*" end
  core.write_file(root .. "/lines.txt", table.concat(texts, "\n", 2) .. "\n")
  core.mkdirs(root .. "/bert")
  for _, name in ipairs(core.list_folder "tests/golden/text/bert") do
    core.write_file(root .. "/bert/" .. name, core.read_file("tests/golden/text/bert/" .. name))
  end
end

-- A run of a small network on the pictures, in the folder that examples are run in.
function M.train()
  local tlua = require "tlua"
  local nn = tlua.nn
  tlua.recipe { model = nn.Sequential(nn.Conv2d(3, 8, 3, { padding = 1, stride = 2 }), nn.ReLU(),
      nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    data = tlua.data.folder { root = "pictures", size = 16, batch = 30, mean = 0.5, std = 0.5 },
    loss = nn.CrossEntropy {}, optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 1 }, out = "runs/mine" }
    :run { style = "quiet", force = true }
  require("tlua.weights.model_file").export("runs/mine", "net.onnx", nil, nil, {})
end

local function one_line(...)
  local out, n = {}, select("#", ...)
  while n > 1 and select(n, ...) == nil do n = n - 1 end
  for i = 1, n do out[i] = inspect.text((select(i, ...)), 100) end
  return (table.concat(out, "  "):gsub("%s+", " "):gsub(" $", ""))
end

-- Runs an example. `print` within it says nothing.
function M.run(name, lines)
  local code, shown = {}, {}
  local env = setmetatable({ print = function() end, show = function(x) return assert(core.is_tensor(x)) end,
    help = function(what) return assert(require("tlua.repl.help").topics()[what]) end },
    { __index = function(_, key) return rawget(_G, key) or key == "tlua" and require "tlua" or nil end })
  function env.__shown(k, ...) shown[k].got = one_line(...) end
  for i, line in ipairs(lines) do
    local part, wanted = examples.parts(line)
    if wanted then
      shown[#shown + 1] = { line = i, wanted = wanted }
      code[i] = ("__shown(%d, %s)"):format(#shown, part)
    else code[i] = part end
  end
  local f, e = load(table.concat(code, "\n"), "=" .. name, "t", env)
  if not f then error(e, 0) end
  core.manual_seed(1)
  local scope <close> = core.scope()
  f()
  return shown
end

-- The names of everything that wants an example.
function M.names()
  local list = {}
  for _, section in ipairs(require("tlua.repl.help").sections()) do
    for _, entry in ipairs(section) do list[#list + 1] = entry.name end
  end
  local texts = require "tlua.repl.networks"
  for _, name in ipairs(require("tlua.models").names()) do
    assert(texts[name], name .. " has no text in lua/tlua/repl/networks.lua")
    list[#list + 1] = "models." .. name
  end
  return list
end

-- Writes into the files below `at` what the examples show: name -> what M.run gave.
function M.fill(at, shown)
  for _, file in ipairs(examples.FILES) do
    local path, out, name, number = ("%slua/tlua/repl/examples/%s.lua"):format(at, file), {}, nil, 0
    for _, line in ipairs(lines_of(path)) do
      name, number = line:match "^# (.*)$" or name, line:find "^# " and 0 or number + 1
      for _, each in ipairs(name and shown[name] or {}) do
        if each.line == number and not M.agrees(each) then
          line = ("%s  --> %s"):format(examples.parts(line), each.got)
        end
      end
      out[#out + 1] = line
    end
    core.write_file(path, table.concat(out, "\n") .. "\n")
  end
end

-- Is what was shown what is said? Text that ends with "..." is a beginning.
function M.agrees(each)
  if each.wanted:sub(-3) == "..." then
    local first = each.wanted:sub(1, -4):gsub("%s+$", "")
    return each.got:sub(1, #first) == first
  end
  return each.got == each.wanted
end

return M
