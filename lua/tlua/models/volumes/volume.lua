-- volume.lua - what networks of volumes (N, D, H, W, C) share beyond network.lua.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local Network = require "tlua.models.network"

local Volume = module.class("models.Volume", Network)
Volume.takes = "volume"

function Volume:picture_shape(size) return { 1, size, size, size, self.network_options.in_channels } end

-- A kernel (O, I, KH, KW) of pictures as one of volumes: repeated along the depth and divided by it, so that a volume
-- of equal slices gives what the picture gives (Carreira and Zisserman 2017); or in the middle slice alone, the others
-- zero, so that the network begins by looking at each slice by itself.
local function inflated(t, depth, rule)
  local o, i, h, w = table.unpack(t:shape())
  local slice = t:reshape(o, i, 1, h, w)
  local other, slices = rule == "centre" and slice * 0 or slice, {}
  for k = 1, depth do slices[k] = k == depth // 2 + 1 and slice or other end
  slices[depth + 1] = { axis = 3 }
  local out = core.ops.concat(table.unpack(slices))
  return rule == "centre" and out or out * (1 / depth)
end

-- The first convolution of a file serves other channels as that of pictures does: their sum for one, else by turns and
-- scaled.
local function for_channels(t, n)
  local have = t:shape()[2]
  if have == n then return t end
  if n == 1 then return t:sum { axes = { 2 }, keep = true } end
  local copies = {}
  for i = 1, (n + have - 1) // have do copies[i] = t end
  copies[#copies + 1] = { axis = 2 }
  return core.ops.slice(core.ops.concat(table.unpack(copies)), 2, 0, n) * (have / n)
end

function Volume:adapted(path, t, shape)
  local n, from, first = self.network_options.in_channels, t:shape(), path == self.first_name .. ".weight"
  if #shape ~= 5 or (#from ~= 5 and not (#from == 4 and self.of_pictures)) then return nil end
  local flat = #from == 4
  if first and shape[2] == n then t = for_channels(t, n) end
  if flat then
    t = inflated(t, shape[3], self.network_options.inflate or "repeat")
    rawset(self, "inflated", (rawget(self, "inflated") or 0) + 1)
  end
  return util.same_shape(t:shape(), shape) and t or nil
end

function Volume:load_weights(spec, key)
  rawset(self, "inflated", 0)
  local report = Network.load_weights(self, spec, key)
  local rule = self.network_options.inflate
  if rule and self.inflated == 0 then
    util.failf("%s: inflate = '%s' is for weights of pictures, and those of %s are of volumes", self.entry.name, rule,
      spec)
  end
  if self.inflated > 0 and not rawget(self, "quiet") then
    util.note(("%s: %d kernels of pictures became kernels of volumes (inflate = '%s')"):format(self.entry.name,
      self.inflated, rule or "repeat"))
  end
  return report
end

-- Values are what they are: a volume has no mean and deviation of ImageNet's.
function Volume:preprocessing()
  if rawget(self, "file_preprocessing") then return self.file_preprocessing end
  return self.entry.preprocessing
end

return Volume
