-- mosaic.lua - boxes that are looked at, and how pictures with boxes are changed for training: mosaics and mixup against
-- YOLOX's, sizes that change, tiles. Run by `tlua tests/lua/mosaic.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local data = tlua.data

local root = t.folder()
local function put(path, text)
  core.mkdirs((root .. "/" .. path):match "^(.*)/")
  core.write_file(root .. "/" .. path, text)
  return root .. "/" .. path
end

-- ---- tlua show ----

core.mkdirs(root .. "/field/images")
for i = 1, 3 do
  core.image_write(("%s/field/images/%d.png"):format(root, i), core.zeros({ 120, 160, 3 }, { dtype = "uint8" }))
  put(("field/labels/%d.txt"):format(i), i < 3 and "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.1 0.2\n" or "")
end
put("field/classes.txt", "beetle\nslug\n")
local RECIPE = [[
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { weights = "none" }, head = tlua.nn.Linear(2),
  data = tlua.data.yolo { root = "%s/field", size = 160, fit = "letterbox", mean = { 0, 0, 0 }, std = { 1, 1, 1 },
    split = 0, background = "keep"%s } }
]]

t.test("tlua show draws boxes", function()
  local file, page = put("show.lua", RECIPE:format(root, "")), root .. "/show.png"
  local status, out, err = t.run(("./tlua show %s --to %s --columns 3"):format(file, page))
  assert(status == 0, err)
  t.equal(out, page .. ": 3 training pictures of epoch 1\n")
  local image, frames, plain = core.image_read(page):tolist(), 0, 0
  for i = 0, 2 do -- the middle of the upper edge of the large box, and what lies above and below of it
    local left, top = 8 + 168 * i, 8
    local on, above, below = image[top + 31][left + 81], image[top + 27][left + 131], image[top + 34][left + 81]
    t.equal(below[1] + below[2] + below[3], 0)
    t.equal(above[1] + above[2] + above[3], 0)
    if on[1] + on[2] + on[3] > 100 then frames = frames + 1 else plain = plain + 1 end
  end
  t.equal(frames, 2)
  t.equal(plain, 1)
end)

t.finish()
