-- volume.lua - what networks of volumes (N, D, H, W, C) share beyond network.lua.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local Network = require "tlua.models.network"

local Volume = module.class("models.Volume", Network)
Volume.takes = "volume"

function Volume:picture_shape(size) return { 1, size, size, size, self.network_options.in_channels } end

-- The first convolution of a file serves other channels as that of pictures does: their sum for one, else by turns and scaled.
function Volume:adapted(path, t, shape)
  local n, from = self.network_options.in_channels, t:shape()
  if path ~= self.first_name .. ".weight" or #from ~= 5 or from[2] == n or shape[2] ~= n then return nil end
  if n == 1 then return t:sum { axes = { 2 }, keep = true } end
  local copies = {}
  for i = 1, (n + from[2] - 1) // from[2] do copies[i] = t end
  copies[#copies + 1] = { axis = 2 }
  return core.ops.slice(core.ops.concat(table.unpack(copies)), 2, 0, n) * (from[2] / n)
end

-- Values are what they are: a volume has no mean and deviation of ImageNet's.
function Volume:preprocessing()
  if rawget(self, "file_preprocessing") then return self.file_preprocessing end
  return self.entry.preprocessing
end

return Volume
