-- pool.lua - pooling over (N, L, C), (N, H, W, C) and (N, D, H, W, C).
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local many = require("tlua.nn.conv").many
local ops = core.ops
local M = {}

local Pool = module.class("nn.Pool")
local POOL = { { "kernel", "any", nil, "side of the windows" }, { "stride", "any", nil, "their distance (the kernel)" }, { "padding", "any", 0, "border on each side" },
  { "ceil_mode", "boolean", false, "a window that hangs over the end counts" } }
function Pool:init(...)
  local _, o = schema.arguments(self._class, POOL, { "kernel", "stride", "padding" }, ...)
  local kernel = o.kernel
  if not kernel then util.failf("%s: the kernel is missing", self._class) end
  self.kernel = many(self._class, "the kernel", kernel, self.dimensions, 1)
  self.stride = many(self._class, "stride", o.stride or kernel, self.dimensions, 1)
  self.padding = many(self._class, "padding", o.padding, self.dimensions, 0)
  self.attributes = { kernel = self.kernel, stride = self.stride, padding = self.padding, ceil_mode = o.ceil_mode }
end
function Pool:forward(x)
  local y = ops[self.operator](x, self.attributes)
  return y
end
function Pool:label() return ("%s(%s)"):format(self._class, table.concat(self.kernel, " x ")) end
function Pool:spec()
  return { class = self._class:match("[^.]+$"), args = { self.kernel, self.stride, self.padding }, options = { ceil_mode = self.attributes.ceil_mode } }
end
function Pool:cost(shape)
  local out = { shape[1] }
  for i = 1, self.dimensions do
    local room = shape[i + 1] + 2 * self.padding[i] - self.kernel[i]
    if self.attributes.ceil_mode then room = room + self.stride[i] - 1 end
    out[i + 1] = room // self.stride[i] + 1
  end
  out[#out + 1] = shape[#shape]
  return out, 0
end

-- nn.MaxPool2d(kernel [, stride [, padding]]): the largest of each window; the border counts as minus infinity.
-- nn.AvgPool2d(kernel [, stride [, padding]]): the mean of each window; the border counts as zeros.
for n = 1, 3 do
  for name, operator in pairs { MaxPool = "max_pool", AvgPool = "avg_pool" } do
    local class = module.class(("nn.%s%dd"):format(name, n), Pool)
    class.operator, class.dimensions = operator, n
    M[("%s%dd"):format(name, n)] = class
  end
end

-- nn.AdaptiveAvgPool2d(n) or ({h, w}): means of n x n windows that cover the picture, (N, H, W, C) -> (N, n, n, C). Window i
-- of a side goes from floor(i H / n) up to ceil((i + 1) H / n); windows overlap, or repeat pixels, where n does not divide H.
local AdaptiveAvgPool = module.class("nn.AdaptiveAvgPool")
function AdaptiveAvgPool:init(...)
  local values = schema.arguments(self._class, {}, { false }, ...)
  self.out = many(self._class, "the output", values[1], self.dimensions, 1)
end

local function means_along(x, axis, n)
  local size, list = x:shape(axis), {}
  if size == n then return x end
  for i = 0, n - 1 do
    local from, to = i * size // n, -(-(i + 1) * size // n)
    list[i + 1] = ops.slice(x, axis, from, to - from):mean { axes = { axis }, keep = true }
  end
  list[n + 1] = { axis = axis }
  return ops.concat(table.unpack(list))
end

function AdaptiveAvgPool:forward(x)
  local axes, kernel, single, even, same = {}, {}, true, true, true
  for i, n in ipairs(self.out) do
    local size = x:shape(i + 1)
    axes[i], kernel[i] = i + 1, size // n
    single, even, same = single and n == 1, even and size % n == 0, same and size == n
  end
  if single then return x:mean { axes = axes, keep = true } end
  if even then return same and x or ops.avg_pool(x, { kernel = kernel, stride = kernel }) end
  local scope <close> = core.scope()
  local y = x
  for i, n in ipairs(self.out) do y = means_along(y, i + 1, n) end
  scope:keep(y)
  return y
end
function AdaptiveAvgPool:cost(shape)
  local out = { shape[1], table.unpack(self.out) }
  out[#out + 1] = shape[#shape]
  return out, 0
end
function AdaptiveAvgPool:spec() return { class = self._class:match("[^.]+$"), args = { self.out } } end

for n = 1, 3 do
  local class = module.class(("nn.AdaptiveAvgPool%dd"):format(n), AdaptiveAvgPool)
  class.dimensions = n
  M[("AdaptiveAvgPool%dd"):format(n)] = class
end

return M
