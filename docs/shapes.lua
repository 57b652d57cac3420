-- shapes.lua DIR - pictures to try tlua with when none of your own are at hand: DIR/train and DIR/test with the class
-- folders circle, square and triangle, 40 and 10 pictures each, 96 x 96, drawn with other places, sizes and colours.
--
--   tlua docs/shapes.lua pictures
local core = require "tlua.core"
local root = arg[1] or "pictures"
local SIDE = 96

-- Is (x, y), measured from the shape's middle in units of its size, inside?
local inside = {
  circle = function(x, y) return x * x + y * y < 1 end,
  square = function(x, y) return math.abs(x) < 0.85 and math.abs(y) < 0.85 end,
  triangle = function(x, y) return y < 0.8 and y > -1 and math.abs(x) < (y + 1) * 0.6 end,
}

local function colour(from, to) return { math.random(from, to), math.random(from, to), math.random(from, to) } end

local function picture(shape)
  local cx, cy, size = math.random(34, 62), math.random(34, 62), math.random(16, 30)
  local ink, paper, rows = colour(0, 140), colour(150, 230), {}
  for y = 1, SIDE do
    rows[y] = {}
    for x = 1, SIDE do
      local c, noise = inside[shape]((x - cx) / size, (y - cy) / size) and ink or paper, math.random(-12, 12)
      rows[y][x] = { math.max(0, c[1] + noise), math.max(0, c[2] + noise), math.max(0, c[3] + noise) }
    end
  end
  return core.tensor(rows, { dtype = "uint8" })
end

math.randomseed(1)
for _, part in ipairs { { "train", 40 }, { "test", 10 } } do
  for _, shape in ipairs { "circle", "square", "triangle" } do
    local folder = ("%s/%s/%s"):format(root, part[1], shape)
    core.mkdirs(folder)
    for n = 1, part[2] do core.image_write(("%s/%02d.png"):format(folder, n), picture(shape)) end
  end
end
print(("%s: 120 training and 30 test pictures of circles, squares and triangles"):format(root))
