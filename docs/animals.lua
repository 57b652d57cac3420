-- animals.lua DIR [N] - pictures with names in Korean: DIR/train and DIR/test with the class folders 강아지 (puppy),
-- 고양이 (cat) and 새 (bird), N (40) and N / 4 pictures each, 96 x 96, drawn with other places, sizes and colours.
--
--   tlua docs/animals.lua 동물
local core = require "tlua.core"
local root, count = arg[1] or "동물", math.tointeger(arg[2] or 40)
local SIDE = 96

local function in_circle(x, y, cx, cy, r) return (x - cx) ^ 2 + (y - cy) ^ 2 < r * r end
local function in_oval(x, y, cx, cy, a, b) return ((x - cx) / a) ^ 2 + ((y - cy) / b) ^ 2 < 1 end
local function eyes(x, y, at, height, r) return in_circle(math.abs(x), y, at, height, r) end

-- What is at (x, y), measured from the middle in units of the size: "skin", "dark", "light", or nothing. A cat has
-- pointed ears and whiskers, a puppy hanging ears and a tongue, a bird a wing and a beak.
local drawn = {
  ["고양이"] = function(x, y)
    local ax = math.abs(x)
    if eyes(x, y, 0.32, -0.1, 0.13) or in_circle(x, y, 0, 0.22, 0.09) then return "dark" end
    if ax > 0.25 and ax < 1.05 and y > 0.18 and math.abs(y - 0.3 - 0.12 * (ax - 0.3)) < 0.035 then return "dark" end
    local ear = y < 0 and y > -0.95 and math.abs(ax - 0.48) < (y + 0.95) * 0.36
    if ear or in_circle(x, y, 0, 0.1, 0.75) then return "skin" end
  end,
  ["강아지"] = function(x, y)
    if eyes(x, y, 0.26, -0.18, 0.1) or in_oval(x, y, 0, 0.2, 0.17, 0.12) then return "dark" end
    if in_oval(math.abs(x), y, 0.74, 0.0, 0.22, 0.62) then return "dark" end
    if in_oval(x, y, 0, 0.66, 0.13, 0.22) then return "light" end
    if in_oval(x, y, 0, 0.05, 0.68, 0.72) then return "skin" end
  end,
  ["새"] = function(x, y)
    if in_circle(x, y, 0.42, -0.5, 0.07) or in_oval(x, y, -0.15, 0.15, 0.42, 0.24) then return "dark" end
    if x > 0.66 and x < 1.05 and math.abs(y + 0.42) < (1.05 - x) * 0.4 then return "light" end
    if in_circle(x, y, 0.4, -0.42, 0.34) or in_oval(x, y, -0.1, 0.15, 0.72, 0.5) then return "skin" end
    if x > -1.1 and x < -0.6 and math.abs(y + 0.05) < (-0.6 - x) * 0.55 + 0.05 then return "skin" end
  end,
}

local function colour(from, to) return { math.random(from, to), math.random(from, to), math.random(from, to) } end

local function picture(animal)
  local cx, cy, size = math.random(38, 58), math.random(38, 58), math.random(26, 36)
  local side = math.random(2) == 1 and 1 or -1
  local inks = { skin = colour(120, 220), dark = colour(0, 60) }
  inks.light = { 235, math.random(90, 150), math.random(40, 110) }
  local paper, rows = colour(60, 250), {}
  for y = 1, SIDE do
    rows[y] = {}
    for x = 1, SIDE do
      local c, noise = inks[drawn[animal](side * (x - cx) / size, (y - cy) / size)] or paper, math.random(-10, 10)
      rows[y][x] = {}
      for k = 1, 3 do rows[y][x][k] = math.max(0, math.min(255, c[k] + noise)) end
    end
  end
  return core.tensor(rows, { dtype = "uint8" })
end

math.randomseed(1)
for _, part in ipairs { { "train", count }, { "test", count // 4 } } do
  for _, animal in ipairs { "강아지", "고양이", "새" } do
    local folder = ("%s/%s/%s"):format(root, part[1], animal)
    core.mkdirs(folder)
    for n = 1, part[2] do core.image_write(("%s/%s %02d.png"):format(folder, animal, n), picture(animal)) end
  end
end
print(("%s: %d training and %d test pictures of puppies, cats and birds"):format(root, 3 * count, 3 * (count // 4)))
