-- run_values.lua - networks whose tensors are made by formula from their names and the seed, as tests/golden/make_models.py makes them.
local tlua = require "tlua"
local core = require "tlua.core"
local values = {}

-- Values by name; the endings are those of make_models.py.
local LAST_NORM = { "bn3.weight", "_bn2.weight", "conv.3.weight", "layer_scale" }
local function is_last_norm(name)
  for _, ending in ipairs(LAST_NORM) do
    if name:sub(-#ending) == ending then return true end
  end
end

local function value(name, shape)
  if name:find("running_var$") then return core.uniform(shape, 0.5, 1.5, name) end
  if name:find("running_mean$") then return core.normal(shape, 0, 0.1, name) end
  if is_last_norm(name) then return core.uniform(shape, 0.1, 0.3, name) end
  if #shape == 1 then
    local weight = name:find("weight$")
    return core.uniform(shape, weight and 0.4 or -0.1, weight and 0.8 or 0.1, name)
  end
  local fan_in = 1
  for i = 2, #shape do fan_in = fan_in * shape[i] end
  return core.normal(shape, 0, (2 / fan_in) ^ 0.5, name)
end

-- The network of a name in these goldens, where unet_NAME is a U-Net over NAME.
function values.describe(name, options)
  local encoder = name:match "^unet_(.*)$"
  if not encoder then return tlua.models[name](options) end
  options.encoder = encoder
  return tlua.models.unet(options)
end

-- The network with these values; nothing in it is random.
function values.network(name, classes, size)
  local options = { classes = classes, dropout = 0 }
  for key in pairs(tlua.models.registry.entry(name:gsub("^unet_", "")).options or {}) do
    if key == "drop_connect" then options[key] = 0 end
    if key == "image_size" then options[key] = size end
  end
  return values.fill(values.describe(name, options))
end

-- The same of any module.
function values.fill(net)
  for key, t in net:named_tensors() do t:copy_(value(key, t:shape())) end
  return net
end

return values
