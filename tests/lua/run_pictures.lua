-- run_pictures.lua - tiny data sets made here, with classes that a network can tell apart by colour and place:
-- cifar(folder, n) and idx(folder, n) write `n` training pictures and half as many for testing.
local core = require "tlua.core"
local M = {}

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- A picture of side `n`: brighter in a part that the class decides, with some variety.
local function plane(class, n, salt)
  local rows = {}
  for y = 0, n - 1 do
    local row = {}
    for x = 0, n - 1 do
      local bright = (x * 5 // n + 5 * (y * 2 // n)) == class
      row[x + 1] = string.char((bright and 190 or 50) + (x * 7 + y * 13 + salt * 31) % 23)
    end
    rows[y + 1] = table.concat(row)
  end
  return table.concat(rows)
end

function M.cifar(folder, n)
  core.mkdirs(folder)
  local function records(count, salt)
    local out = {}
    for i = 1, count do
      local class = (i + salt) % 10
      out[i] = string.char(class) .. plane(class, 32, i + salt) .. plane(class, 32, i + 1) .. plane((class + 3) % 10, 32, salt)
    end
    return table.concat(out)
  end
  for k = 1, 5 do write(("%s/data_batch_%d.bin"):format(folder, k), records(n // 5, k)) end
  write(folder .. "/test_batch.bin", records(n // 2, 9))
end

function M.idx(folder, n)
  core.mkdirs(folder)
  for name, count in pairs { train = n, t10k = n // 2 } do
    local images, labels = { string.pack(">I4I4I4I4", 0x803, count, 28, 28) }, { string.pack(">I4I4", 0x801, count) }
    for i = 1, count do
      images[i + 1] = plane(i % 10, 28, i)
      labels[i + 1] = string.char(i % 10)
    end
    write(("%s/%s-images-idx3-ubyte"):format(folder, name), table.concat(images))
    write(("%s/%s-labels-idx1-ubyte"):format(folder, name), table.concat(labels))
  end
end

-- root/CLASS/N.png, n of each of three classes, 40 x 32 pixels.
function M.folder(root, n)
  for c, class in ipairs { "left", "right", "wide" } do
    core.mkdirs(root .. "/" .. class)
    for i = 1, n do
      local pixels = {}
      for y = 1, 32 do
        pixels[y] = {}
        for x = 1, 40 do
          local bright = c == 1 and x < 15 or c == 2 and x > 25 or c == 3 and y % 8 < 4
          local v = bright and 200 or 40
          pixels[y][x] = { v, (v + 11 * i) % 256, 90 }
        end
      end
      core.image_write(("%s/%s/%d.png"):format(root, class, i), core.tensor(pixels, { dtype = "uint8" }))
    end
  end
end

return M
