-- grid.lua - classes of voxels from the grid that a network sees back to that of the file. Where only the order of
-- voxels was another, each gets its own class back. Where they were resampled, the logits of each class are brought
-- to the file's grid linearly and the largest wins there, as nnU-Net does; classes without logits take the nearest
-- voxel's.
local core = require "tlua.core"
local grid = {}

-- Something of the shape of a volume's grid without memory of its own, as `like` of core.volume.transform.
local function shape_of(extent)
  return { x = core.ops.expand(core.zeros(1, 1, 1), extent.size), affine = extent.affine }
end

-- x (D, H, W) with a layer of its outermost voxels around it. A coarser grid may end up to a quarter of its own voxels
-- within the file's, whose outermost voxels are those of its border then.
local function bordered(x, affine)
  local one, moved = { 1, 1, 1 }, {}
  for r = 1, 3 do
    moved[r] = { table.unpack(affine[r]) }
    moved[r][4] = affine[r][4] - affine[r][1] - affine[r][2] - affine[r][3]
  end
  return core.ops.pad(x, { before = one, after = one, mode = "replicate" }), moved
end

-- One map of numbers (D, H, W) on the grid `own`.
function grid.moved(x, at, own, o)
  local affine = at.affine
  if not o.cut then x, affine = bordered(x, affine) end
  return core.volume.transform({ x = x, affine = affine }, { like = shape_of(own), nearest = o.nearest }).x
end

-- The largest of logits (D, H, W, K) on the grid `own`, class by class; of equal ones the first.
local function largest(logits, at, own, o)
  local best, classes
  for k = 1, logits:shape(4) do
    local scope <close> = core.scope()
    local size = { table.unpack(logits:shape(), 1, 3) }
    local y = grid.moved(core.ops.slice(logits, 4, k - 1, 1):reshape(size):clone(), at, own, o)
    if not best then best, classes = y, core.zeros(own.size, { dtype = "int32" })
    else
      local more = core.ops.gt(y, best)
      classes = core.ops.where(more, core.full({ 1 }, k - 1), classes:to "float32"):to "int32"
      best = core.ops.maximum(best, y)
    end
    scope:keep(best)
    scope:keep(classes)
  end
  return classes
end

-- y: logits (1, D, H, W, K), or classes (1, D, H, W) int32, of voxels that lie where `at` says (affine, as
-- source:volume gives it); own: the file's grid {size = {D, H, W}, affine =}; p: the preprocessing -> classes (D, H,
-- W) int32 there. What lies outside of a part that was cut out (p.extent) is class 0.
function grid.back(y, at, own, p)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local o, out = { cut = p.extent ~= nil, nearest = true }, nil
  if y:rank() == 5 and p.spacing then
    o.nearest = false
    out = largest(y:reshape { table.unpack(y:shape(), 2) }, at, own, o)
  else
    local classes = y:rank() == 5 and y:argmax(-1) or y
    out = grid.moved(classes:to "float32":reshape { table.unpack(classes:shape(), 2, 4) }, at, own, o):to "int32"
  end
  scope:keep(out)
  return out
end

-- Millilitres of a voxel.
function grid.voxel(own)
  local a = own.affine
  local d = a[1][1] * (a[2][2] * a[3][3] - a[2][3] * a[3][2]) - a[1][2] * (a[2][1] * a[3][3] - a[2][3] * a[3][1])
    + a[1][3] * (a[2][1] * a[3][2] - a[2][2] * a[3][1])
  return math.abs(d) / 1000
end

return grid
