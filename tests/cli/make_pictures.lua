-- make_pictures.lua DIR - tiny class folders for tests: good (3 classes), cut (a damaged JPEG), empty (an empty
-- class), one (one class only).
local core = require "tlua.core"
local root = arg[1]
local function picture(path, class, n)
  local pixels = {}
  for y = 1, 32 do
    pixels[y] = {}
    for x = 1, 32 do
      local on = class == 1 and x > 16 or class == 2 and y > 16 or class == 3 and (x + y) > 32
      local v = on and 200 or 40
      pixels[y][x] = { (v + 7 * n) % 256, v, (v * n) % 256 }
    end
  end
  core.image_write(path, core.tensor(pixels, { dtype = "uint8" }))
end
local function classes(name, list, count)
  for c, class in ipairs(list) do
    core.mkdirs(("%s/%s/%s"):format(root, name, class))
    for n = 0, count - 1 do picture(("%s/%s/%s/%d.png"):format(root, name, class, n), c, n) end
  end
end
classes("good", { "a", "b", "c" }, 6)
classes("cut", { "a", "b", "c" }, 3)
classes("empty", { "a", "b" }, 3)
core.mkdirs(root .. "/empty/empty")
classes("one", { "a" }, 4)
core.write_file(root .. "/cut/b/cut.jpg", "\xff\xd8\xff\xe0\0\16JFIF\0\1\1\0\0\1\0\1\0\0")
