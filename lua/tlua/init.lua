-- init.lua - `require "tlua"`: tensors, layers, networks, data, recipes. Dimensions and elements count from 1; class
-- labels and ids are data and count from 0.
local core = require "tlua.core"
local util = require "tlua.util"

local tlua = {
  version = core.version,
  -- tensors
  tensor = core.tensor, zeros = core.zeros, ones = core.ones, full = core.full, arange = core.arange, randn = core.randn, rand = core.rand,
  is_tensor = core.is_tensor, ops = core.ops,
  -- time, randomness, memory
  manual_seed = core.manual_seed, sync = core.sync, time = core.time, scope = core.scope, no_grad = core.no_grad, enable_grad = core.enable_grad,
  recording = core.recording, memory = core.memory, reset_peak = core.reset_peak, device = core.device, devices = core.devices,
  -- files
  load = core.load, save = core.save, image_read = core.image_read, image_write = core.image_write,
}

-- Parts are loaded when they are first used, so that a script pays only for what it names.
local parts = { nn = "tlua.nn", models = "tlua.models", optim = "tlua.optim", data = "tlua.data", task = "tlua.task" }
local functions = {
  recipe = function(fields) return require("tlua.train.recipe").new(fields) end,
  -- The stages of fastai's fine_tune for a recipe's schedule: tlua/train/stage.lua.
  fine_tune = function(options) return require("tlua.train.stage").fine_tune(options) end,
  -- f(x, ...) of which only x is kept; backward computes it again: tlua/recompute.lua.
  checkpoint = function(f, x, ...) return require("tlua.recompute").run(f, x, ...) end,
  -- Runs f() and prints where the time went; `path` names a trace for chrome://tracing.
  profile = function(f, path) return require("tlua.command.profile").run(f, path) end,
}

util.seal(functions, "")

local function all_names(t)
  local known = util.keys(t)
  for _, more in ipairs { parts, functions, core.ops } do
    for name in pairs(more) do known[#known + 1] = name end
  end
  table.sort(known)
  return known
end

-- tlua.cat(a, b, ..., {axis = 1}), tlua.where(...) and so on: operators are functions here too.
return setmetatable(tlua, {
  __index = function(t, key)
    if type(key) ~= "string" then return nil end
    local part, value = parts[key], functions[key]
    if part then value = require(part) end
    if value == nil then value = rawget(core.ops, key) end
    if value ~= nil then
      rawset(t, key, value)
      return value
    end
    util.unknown("name in tlua:", key, all_names(t))
  end,
  names = function() return all_names(tlua) end, -- for Tab at the prompt
})
