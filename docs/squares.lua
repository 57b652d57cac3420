-- squares.lua - pictures with boxes, for docs/detection.md: tlua docs/squares.lua FOLDER. 64 grey pictures of 96 x 72 pixels
-- with one to three squares, red or blue, in YOLO's form: images, labels, classes.txt.
local core = require "tlua.core"
local folder = assert(arg[1], "usage: tlua docs/squares.lua FOLDER")
local WIDTH, HEIGHT, COLOURS = 96, 72, { { 220, 40, 30 }, { 30, 60, 210 } }
local state = 11
local function draw(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n
end

local function picture(name, part)
  local rows, lines = {}, {}
  for i = 1, WIDTH * HEIGHT * 3 do rows[i] = 110 + draw(30) end
  for _ = 1, 1 + draw(3) do
    local side, class = 16 + draw(20), draw(2)
    local left, top = draw(WIDTH - side), draw(HEIGHT - side)
    for y = top, top + side - 1 do
      for x = left, left + side - 1 do
        for c = 1, 3 do rows[(y * WIDTH + x) * 3 + c] = COLOURS[class + 1][c] end
      end
    end
    lines[#lines + 1] = ("%d %.6f %.6f %.6f %.6f\n"):format(class, (left + side / 2) / WIDTH, (top + side / 2) / HEIGHT,
      side / WIDTH, side / HEIGHT)
  end
  core.mkdirs(("%s/images/%s"):format(folder, part))
  core.mkdirs(("%s/labels/%s"):format(folder, part))
  core.image_write(("%s/images/%s/%s.png"):format(folder, part, name),
    core.tensor(rows, { dtype = "uint8" }):reshape(HEIGHT, WIDTH, 3))
  core.write_file(("%s/labels/%s/%s.txt"):format(folder, part, name), table.concat(lines))
end

for i = 1, 64 do picture(("square%02d"):format(i), i <= 48 and "train" or i <= 56 and "val" or "test") end
core.write_file(folder .. "/classes.txt", "red\nblue\n")
