-- weights.lua - where pretrained weights come from: a path, a published name ("imagenet"), the cache folder, the network.
local core = require "tlua.core"
local util = require "tlua.util"
local weights = {}

local function base_name(path) return path:match("[^/]+$") or path end

local function known_names(entry)
  return util.keys(entry.weights or {})
end

local function progress_line(name)
  if not core.isatty(2) then return nil end
  local last = 0
  return function(done, total)
    local now = core.time()
    if now - last > 0.2 or done == total then
      last = now
      local share = total > 0 and (" of %s"):format(util.bytes(total)) or ""
      io.stderr:write(("\r%s: %s%s   "):format(name, util.bytes(done), share))
      if done == total then io.stderr:write("\n") end
      io.stderr:flush()
    end
    return core.interrupted()
  end
end

-- The file of a published set: from the cache folder, else downloaded into it.
local function published(entry, name, set)
  local folder = core.cache_folder("weights")
  local path = folder .. "/" .. set.file
  if core.exists(path) then return path end
  local way_out = ("put the file %s into %s, or name a file with --weights FILE"):format(set.file, folder)
  if not set.url then util.failf("%s: the weights '%s' are not at hand: %s; %s", entry.name, name, set.from, way_out) end
  local ok, e = pcall(core.fetch, set.url, path, set.sha256, progress_line(set.file))
  if not ok then
    util.failf("%s: the weights '%s' could not be downloaded from %s (%s); %s", entry.name, name, set.url, util.download_reason(e, set.url), way_out)
  end
  return path
end

local function stem(name) return (name:gsub("%.[^.]*$", "")) end

-- Finds what `spec` means for a network of the registry. Returns the path and the published set (preprocessing,
-- labels) that it belongs to, where that is known; nil for no weights (nil or "none").
function weights.resolve(entry, spec)
  if spec == nil or spec == false or spec == "none" then return nil end
  if type(spec) ~= "string" then util.failf("%s: weights must be a path or a name, not %s", entry.name, type(spec)) end
  local set = entry.weights and entry.weights[spec]
  if set then return published(entry, spec, set), set, spec end
  spec = core.path(spec)
  if core.exists(spec) then
    spec = util.model_path(spec)
    for name, each in pairs(entry.weights or {}) do
      if each.file == base_name(spec) then return spec, each, name end
    end
    return spec, nil
  end
  if not spec:find("[/.]") then
    local known = known_names(entry)
    if #known == 0 then util.failf("%s has no published weights named '%s'; name a file with --weights FILE", entry.name, spec) end
    util.fail(util.unknown_text("weights of " .. entry.name .. ":", spec, known))
  end
  local hint = ""
  for _, each in pairs(entry.weights or {}) do
    if each.from and each.file == base_name(spec) then hint = ": " .. each.from
    elseif each.from and stem(each.file) == stem(base_name(spec)) then -- yolox_nano.onnx, and .pth is published
      hint = (": %s; --weights FILE names another file"):format(each.from)
    end
  end
  util.fail("weights: " .. (util.missing(spec) or "there is no file " .. spec) .. hint)
end

-- The preprocessing that goes with a set of weights, or with the network where nothing better is known.
function weights.preprocessing(entry, set)
  if set and set.preprocessing then return set.preprocessing end
  for _, name in ipairs { "imagenet", "imagenet_v2" } do
    local each = entry.weights and entry.weights[name]
    if each and each.preprocessing then return each.preprocessing end
  end
  return entry.preprocessing
end

return weights
