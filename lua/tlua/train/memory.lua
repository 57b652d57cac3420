-- memory.lua - what a step will need, worked out from the shapes before anything is computed (a dry run, tlua/plan.lua), and the
-- batch that fits.
local core = require "tlua.core"
local util = require "tlua.util"
local plan = require "tlua.plan"
local step = require "tlua.train.step"
local cache = require "tlua.train.cache"
local feed = require "tlua.train.feed"
local scaling = require "tlua.train.scaling"
local stage = require "tlua.train.stage"
local groups = require "tlua.train.groups"
local recompute = require "tlua.recompute"
local memory = {}

-- Bytes of host memory that the system says are available; nil where it does not say.
local function available()
  local file = io.open "/proc/meminfo"
  local kb = file and file:read("a"):match "MemAvailable:%s+(%d+)"
  if file then file:close() end
  return kb and tonumber(kb) * 1024
end

-- Bytes that tlua can have on the device, with what it holds already: of a card's memory what the driver says is free, or all but a
-- reserve for driver and desktop (src/device/room.c); of the host's what the system says is available.
local function room(s)
  local live, pooled = core.memory()
  local most, free = core.device_info().room, (s.device.type == "cpu" or s.device.shares_host) and available()
  return free and math.min(most, free + live + pooled) or most
end

-- A volume is decoded whole, however small the parts of it are that a step takes.
local function check_whole(s)
  local kind, free = s.data.input, available()
  if not kind.largest or not free then return end
  local bytes, size = kind.largest(s.data)
  if bytes <= free then return end
  util.failf("data: a %s of %s voxels takes %s, and %s are free: a coarser --data.spacing makes it smaller", kind.one,
    size, util.bytes(bytes), util.bytes(free))
end

-- The most bytes on the device in a training step of `batch` pictures; cut: of the feature cache, or nil.
local function of_step(s, batch, cut)
  local bytes = plan.memory(function()
    local blank = feed.blank(s, batch, cut and core.zeros(batch, table.unpack(cut.shape)) or nil)
    local out = util.keep_place(step.logits, s, { cut = cut }, blank, scaling.type_of(s.recipe))
    if s.task.check then s.task:check(out:shape(), s) end
    local loss = util.keep_place(s.task.loss, s.task, out, blank) or s.task.criterion(out, blank.label or blank.values or blank.mask) -- class 0 may be ignored
    loss:backward()
  end)
  s.optim:zero_grad()
  if cut and cut.done < cut.rows then -- some features have to be made
    bytes = math.max(bytes, plan.memory(function()
      local blank = s.data.input.blank(s.data, cache.batch(s))
      s.model:below(blank.input, cut.stage, s.data.texts and blank.lengths or nil)
    end))
  end
  return bytes
end

-- Numbers that an optimiser keeps for each that it trains.
local function moments(o)
  local n = { SGD = 0, Adam = 2, AdamW = 2, RMSprop = 1, Lion = 1, LAMB = 2 }
  return n[o.kind] + ((o.options.momentum or 0) > 0 and 1 or 0) + (o.options.centered and 1 or 0)
end

-- The same of a later stage `o` that trains more than the one the session is in: what the optimiser, and an average of
-- the weights, will keep for the others comes on top, and no features are kept.
local function of_later(s, o, batch)
  groups.set_frozen(s.model, stage.frozen_of(s.recipe, o))
  local _, trained = s.model:count()
  local bytes = 0
  if trained > s.trained then
    bytes = of_step(s, batch) + 4 * (moments(s.recipe.optim) + (s.ema and 1 or 0)) * (trained - s.trained)
    s.model:zero_grad()
  end
  groups.set_frozen(s.model, stage.frozen_of(s.recipe, s.stage_options))
  return bytes
end

-- The host's part: three batches that the loader holds.
local function of_loader(s, batch)
  local bytes = s.data.input.bytes(s.data, batch)
  return math.min(3 * bytes, math.max(2 * bytes, 256 << 20))
end

-- The average of the weights begins with the first step.
local function of_average(s) return s.ema and 4 * s.trained or 0 end

-- What the stages' steps need at most, and the number of that stage.
local function needed(s, batch)
  local bytes, where = of_step(s, batch, s.cut), s.stage
  for k = s.stage + 1, #s.stages do
    local later = s.stages[k].epochs > 0 and of_later(s, s.stages[k], batch) or 0
    if later > bytes then bytes, where = later, k end
  end
  return bytes + of_average(s) + (s.device.type == "cpu" and of_loader(s, batch) or 0), where
end

-- "of 8.6 GB, of which 0.5 GB are left to the driver and others"; nothing where that is not how the room came about.
local function reserve_text(s, all)
  local reserve = s.device.bytes - all
  if reserve <= 0 or all ~= core.device_info().room then return "" end
  return (" of %s (%s are left to the driver and what else runs)"):format(util.bytes(s.device.bytes), util.bytes(reserve))
end

local AUTO_MOST, AUTO_SHARE = 256, 0.7

-- The largest power of two (up to 256, and the training pictures) whose step takes at most `share` of the room; nil where one
-- picture does not.
local function largest(s, all, share, most)
  local batch = 1
  while 2 * batch <= most do batch = 2 * batch end
  while batch >= 1 do -- from above: a batch norm cannot be trained on one value a channel
    if needed(s, batch) <= share * all then return batch end
    batch = batch // 2
  end
end

-- batch = "auto": the batch, and the room that it was chosen by, which is of the moment.
function memory.auto_batch(s)
  local all = room(s)
  local best = largest(s, all, AUTO_SHARE, math.min(AUTO_MOST, s.data.train:count()))
  if not best then util.failf("data.batch: one %s %s needs %s, and %s has %s", s.data.input.one,
    s.data.input.size_text(s.data), util.bytes((needed(s, 1))), s.device.name, util.bytes(all)) end
  return best, all
end

-- What a batch of so many seconds or pieces is counted in: the data's field, and the unit of --data.batch.
local function unit_of(d)
  if d.batch_seconds then return "batch_seconds", "s" end
  if d.batch_pieces then return "batch_pieces", "pieces" end
end

-- The half of that, or its half and so on, whose step takes at most `share` of the room; nil where one sample does not.
local function fewer(s, all, share)
  local d, key, best, bytes = s.data, unit_of(s.data), nil, nil
  local given, value = d[key], d[key]
  repeat
    value = math.type(value) == "integer" and value // 2 or value / 2
    d[key] = value
    local before = bytes
    bytes = d.input.bytes(d, d.batch)
    if bytes ~= before and needed(s, d.batch) <= share * all then best = value end
  until best or value < 1 or bytes == before
  d[key] = given
  return best
end

local function number(v) return (math.type(v) == "integer" and "%d" or "%g"):format(v) end

-- "--data.batch 32 fits (with --accumulate 2 the step stays as it was)"; nil where not even one sample does.
local function batch_text(s, all)
  local d = s.data
  local key, unit = unit_of(d)
  local given, best = key and d[key] or d.batch, nil
  if key then best = fewer(s, all, 0.9) else best = largest(s, all, 0.9, given) end
  if not best then return nil end
  local whole = given * s.recipe.accumulate
  local k = math.ceil(whole / best)
  local word = number(best) .. (unit and " " .. unit or "")
  return ("%s fits (with --accumulate %d %s)"):format(util.command_text { "--data.batch", word }, k,
    k * best == whole and "the step stays as it was"
    or ("a step has %s %s"):format(number(k * best), unit or d.input.many))
end

-- "40 pictures", "60 s of clips"
local function step_text(d)
  local key, unit = unit_of(d)
  return key and ("%s %s of %s"):format(number(d[key]), unit, d.input.many) or ("%d %s"):format(d.batch, d.input.many)
end

-- Which options would take less than `bytes`, as worked out with each: {"--recompute true needs 120 MB", ...}. The
-- session is of no use afterwards.
local function less_text(s, bytes)
  local list, r = {}, s.recipe
  local function try(option, change)
    change()
    local ok, need = pcall(needed, s, s.data.batch) -- an option may not be for this network
    if ok and need < 0.99 * bytes then list[#list + 1] = ("%s needs %s"):format(option, util.bytes(need)) end
  end
  local given = r.precision
  if not scaling.type_of(r) then try("--precision bfloat16", function() r.precision = "bfloat16" end) end
  r.precision = given
  if not r.recompute and pcall(recompute.mark, s.model, true) then try("--recompute true", function() end) end
  return list
end

-- Where the step of the session's batch does not fit, an error that gives one that does. Returns {step =, room =}.
function memory.check(s)
  check_whole(s)
  local kind, all = s.data.input, room(s)
  local bytes, at = needed(s, s.data.batch)
  if bytes <= all then return { step = bytes, room = all, text = reserve_text(s, all) } end
  local ways = { (batch_text(s, all)) }
  local fits = #ways > 0
  for _, way in ipairs(less_text(s, bytes)) do ways[#ways + 1] = way end
  util.failf("a step of %s%s needs %s, and %s has %s%s%s%s", step_text(s.data),
    at ~= s.stage and (" in stage %d"):format(at) or "", util.bytes(bytes), s.device.name, util.bytes(all),
    reserve_text(s, all), fits and ": " or ("; not even one %s fits: "):format(kind.one) .. kind.smaller
      .. (s.cut and s.cut.done < s.cut.rows and ", and --cache false computes no features in larger batches"
        or "") .. (#ways > 0 and ", " or ""),
    table.concat(ways, ", "))
end

return memory
