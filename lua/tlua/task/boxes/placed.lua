-- placed.lua - from the pixels that a network sees back to those of the picture that was read.
local util = require "tlua.util"
local placed = {}

-- Where the middle `wanted` pixels of so many begin, as the step center_crop has it: halves go to the even number.
local function start(size, wanted)
  if wanted > size then return -((wanted - size) // 2) end
  local half = (size - wanted) // 2
  return (size - wanted) % 2 == 1 and half % 2 == 1 and half + 1 or half
end

-- How a picture of width x height became the network's input by the preprocessing p: f(box) gives the box left, top,
-- right, bottom of the input in pixels of the picture, cut to it.
function placed.back(p, width, height)
  local w, h = p.width or p.size, p.height or p.size
  local x_scale, y_scale, left, top = w / width, h / height, 0, 0
  if p.fit == "letterbox" then
    x_scale = math.min(x_scale, y_scale)
    y_scale = x_scale
  elseif p.fit == "shorter" then
    local longer = math.floor(p.resize * math.max(width, height) / math.min(width, height))
    local wide, high = width <= height and p.resize or longer, height <= width and p.resize or longer
    x_scale, y_scale, left, top = wide / width, high / height, start(wide, w), start(high, h)
  end
  local function within(v, most) return math.max(0, math.min(most, v)) end
  return function(b)
    return { within((b[1] + left) / x_scale, width), within((b[2] + top) / y_scale, height),
      within((b[3] + left) / x_scale, width), within((b[4] + top) / y_scale, height) }
  end
end

util.seal(placed, "")
return placed
