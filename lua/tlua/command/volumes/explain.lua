-- explain.lua - `tlua explain` for networks of volumes: Grad-CAM (tlua/command/explain.lua) as three slices with heat
-- over them, and as a NIfTI file on the volume's own grid. Of a network that sees volumes in patches one patch is
-- explained, that around most of the class.
local core = require "tlua.core"
local util = require "tlua.util"
local planes = require "tlua.report.planes"
local model_file = require "tlua.weights.model_file"
local commands = require "tlua.command.commands"
local explain = require "tlua.command.explain"
local windows = require "tlua.task.windows"
local volumes = require "tlua.command.volumes"
local grid = require "tlua.command.volumes.grid"
local ops = core.ops
local M = {}

-- ---- which part ----

-- Of a map of classes (1, D, H, W) the class that most voxels have, without the background.
local function commonest(map, classes)
  local counts = require("tlua.report.maps").pixels(map:reshape { table.unpack(map:shape(), 2) }, classes)
  local best = 2
  for k = 2, classes do
    if counts[k] > counts[best] then best = k end
  end
  return best - 1
end

-- The part of x (1, D, H, W, C) that is explained, and where it begins: all of it, or a patch around most of the class,
-- which is the commonest where none was asked for. Third: the class.
local function part_of(net, x, o)
  local p = o.info.preprocessing
  local size, first = { table.unpack(x:shape(), 2, 4) }, { 0, 0, 0 }
  if o.task.takes ~= "map" or not p.patch then return x, first, size, o.class end
  local guard <close> = core.no_grad()
  local y = windows.forward(net, x, p)
  local map = y:rank() == 5 and y:argmax(-1) or y
  local class = o.class or commonest(map, o.task.width)
  local is = ops.eq(map:to "float32":reshape(size), core.full({ 1 }, class))
  local at = planes.densest(is) or { size[1] // 2, size[2] // 2, size[3] // 2 }
  local part = x
  for i, n in ipairs(p.patch) do
    n = math.min(n, size[i])
    first[i] = math.max(0, math.min(size[i] - n, at[i] - n // 2))
    part = ops.slice(part, i + 1, first[i], n)
  end
  return part:clone(), first, size, class
end

-- ---- one volume ----

-- The map (d, h, w) as large as the part, and zeros around it as large as the volume; 0 to 1.
local function spread(map, part, first, size)
  local before, after, sides = {}, {}, {}
  for i = 1, 3 do
    sides[i] = part:shape(i + 1)
    before[i], after[i] = first[i], size[i] - first[i] - sides[i]
  end
  local most = map:reshape(-1):amax():item()
  local d, h, w = table.unpack(map:shape())
  local y = ops.interpolate(map:reshape(1, d, h, w, 1), { size = sides, mode = "linear" }):reshape(sides)
  y = ops.clamp(most > 0 and y * (1 / most) or y * 0, { min = 0, max = 1 })
  return ops.pad(y, { before = before, after = after })
end

-- Where most heat is; the middle where there is none.
local function hottest(heat)
  local at = planes.densest(ops.gt(heat, core.full({ 1 }, 0.5)))
  return at or { heat:shape(1) // 2, heat:shape(2) // 2, heat:shape(3) // 2 }
end

-- "16 x 8 x 8 places of 8 x 8 x 4 mm": slices, rows, columns.
local function places_text(map, part, spacing)
  local mm = {}
  for i, n in ipairs(map.size) do mm[i] = ("%.3g"):format(part:shape(i + 1) * spacing[4 - i] / n) end
  return ("%s of %s mm"):format(explain.places_text(map), table.concat(mm, " x "))
end

-- Writes both files and gives the line that tells of them.
local function explained(net, each, o, to)
  local scope <close> = core.scope()
  local source = volumes.source_of(each, o.info)
  local block = source:volume(1, o.pipeline)
  local own, shape = source:extent(1), block.x:shape()
  local part, first, size, class = part_of(net, block.x:reshape(1, table.unpack(shape)), o)
  local stage, place = explain.places(net, part, o.layer)
  explain.warn_of_few(place, o.quiet or o.warned)
  o.warned = true
  local maps, scores = explain.maps(net, part, stage, class and { class } or o.decides)
  local guard <close> = core.no_grad()
  class = class or o.decides and o.decides(scores[1])
  local row = explain.judged(scores[1], class)
  local map, plain = maps:reshape { table.unpack(maps:shape(), 2) }, explain.flat(part)[1]
  if plain then map = map * 0 end -- what it shows is where the network pads
  local note = explain.note(map:reshape(-1):tolist(), plain)
  local heat = spread(map, part, first, size)
  local label = o.info.labels and o.info.labels[row.class + 1] or tostring(row.class)
  local text = o.words and o.words(scores[1], row.class) or explain.said(o.kind, label, row)
  local where = places_text(place, part, block.spacing)
  local g = { size = size, axes = block.axes, spacing = block.spacing }
  local grey, at = ops.slice(block.x, 4, 0, 1):reshape(size), hottest(heat)
  local picture = planes.picture(g, grey, at, { { text = text }, { text = note and "Grad-CAM: " .. note
    or ("Grad-CAM, %s, %s: 0 to most"):format(place.name, where), heat = heat } }, {})
  core.mkdirs(o.to)
  local png = to:gsub("%.nii%.gz$", ".png")
  core.image_write(png, picture)
  core.nifti.write(to, { x = grid.moved(heat, block, own, { cut = true }), affine = own.affine })
  return ("%s  %s  %s, %s, %s%s"):format(png, text, place.name, where, planes.text(g, at), note and "; " .. note or "")
end

-- Returns the exit status.
function M.main(net, info, words, options)
  for _, name in ipairs { "batch", "threads" } do
    if options[name] then
      commands.wrong("explain", ("--%s: volumes are explained one after another"):format(name))
    end
  end
  net:freeze "*"
  info.channels = volumes.channels(net, info)
  local list = volumes.collect(words, info, not options.quiet and util.note or nil)
  local o = { info = info, task = model_file.task(info, net, "the model"), pipeline = model_file.pipeline(info),
    class = options.class and explain.class_of(info, net, options.class), layer = options.layer, quiet = options.quiet,
    kind = info.task and info.task.name, to = options.to or "explain" }
  o.decides, o.words = explain.decides(o.task)
  local to, bad = volumes.places(list, o.to), 0
  for i, each in ipairs(list) do
    local ok, line = pcall(explained, net, each, o, to[i])
    if not ok then
      bad = bad + 1
      io.stderr:write("tlua: ", util.without_place(line), "\n")
    elseif not options.quiet then print(line) end
    if core.interrupted() then break end
  end
  return bad + list.broken > 0 and 1 or 0
end

return M
