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

-- The distribution of a tensor, as modules describe one.
local function distribution(name, shape)
  if name:find("running_var$") then return { "uniform", 0.5, 1.5 } end
  if name:find("running_mean$") then return { "normal", 0, 0.1 } end
  if is_last_norm(name) then return { "uniform", 0.1, 0.3 } end
  if #shape == 1 then
    local weight = name:find("weight$")
    return { "uniform", weight and 0.4 or -0.1, weight and 0.8 or 0.1 }
  end
  local fan_in = 1
  for i = 2, #shape do fan_in = fan_in * shape[i] end
  return { "normal", 0, (2 / fan_in) ^ 0.5 }
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

-- The same of any module. Tensors that it does not have yet are drawn so at once, not a second time.
function values.fill(net)
  local begun = {}
  net:walk(function(each, path)
    for _, spec in ipairs(each._specs) do
      local name = path == "" and spec.name or path .. "." .. spec.name
      if not each._tensors[spec.name] and not rawget(each, "needs_width") then
        spec.initial, begun[name] = distribution(name, spec.shape), true
      end
    end
  end)
  for name, t in net:named_tensors() do
    if not begun[name] then
      local d = distribution(name, t:shape())
      t:copy_(core[d[1]](t:shape(), d[2], d[3], name))
    end
  end
  return net
end

return values
