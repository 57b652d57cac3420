-- pool.lua - pooling over (N, H, W, C).
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
  self.kernel = many(self._class, "the kernel", kernel, 2, 1)
  self.stride = many(self._class, "stride", o.stride or kernel, 2, 1)
  self.padding = many(self._class, "padding", o.padding, 2, 0)
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
  for i = 1, 2 do
    local room = shape[i + 1] + 2 * self.padding[i] - self.kernel[i]
    if self.attributes.ceil_mode then room = room + self.stride[i] - 1 end
    out[i + 1] = room // self.stride[i] + 1
  end
  out[4] = shape[4]
  return out, 0
end

-- nn.MaxPool2d(kernel [, stride [, padding]]): the largest of each window; the border counts as minus infinity.
M.MaxPool2d = module.class("nn.MaxPool2d", Pool)
M.MaxPool2d.operator = "max_pool"
-- nn.AvgPool2d(kernel [, stride [, padding]]): the mean of each window; the border counts as zeros.
M.AvgPool2d = module.class("nn.AvgPool2d", Pool)
M.AvgPool2d.operator = "avg_pool"

-- nn.AdaptiveAvgPool2d(n) or ({h, w}): means of n x n windows that cover the picture, (N, H, W, C) -> (N, n, n, C). Window i
-- of a side goes from floor(i H / n) up to ceil((i + 1) H / n); windows overlap, or repeat pixels, where n does not divide H.
local AdaptiveAvgPool2d = module.class("nn.AdaptiveAvgPool2d")
M.AdaptiveAvgPool2d = AdaptiveAvgPool2d
function AdaptiveAvgPool2d:init(...)
  local values = schema.arguments("nn.AdaptiveAvgPool2d", {}, { false }, ...)
  self.out = many(self._class, "the output", values[1], 2, 1)
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

function AdaptiveAvgPool2d:forward(x)
  local h, w, out = x:shape(2), x:shape(3), self.out
  if out[1] == 1 and out[2] == 1 then return x:mean { axes = { 2, 3 }, keep = true } end
  if h % out[1] == 0 and w % out[2] == 0 then
    local kernel = { h // out[1], w // out[2] }
    return (kernel[1] > 1 or kernel[2] > 1) and ops.avg_pool(x, { kernel = kernel, stride = kernel }) or x
  end
  local scope <close> = core.scope()
  local y = means_along(means_along(x, 2, out[1]), 3, out[2])
  scope:keep(y)
  return y
end
function AdaptiveAvgPool2d:cost(shape) return { shape[1], self.out[1], self.out[2], shape[4] }, 0 end
function AdaptiveAvgPool2d:spec() return { class = "AdaptiveAvgPool2d", args = { self.out } } end

return M
