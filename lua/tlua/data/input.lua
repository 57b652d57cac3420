-- input.lua - what goes into a network: a picture, a clip of sound, or a volume. Those who train, foresee, show and
-- predict ask the table of the kind here, so that none of them knows what a picture is made of. The preprocessing
-- tells which: sound has a rate, volumes an orientation, pictures a size.
--
-- one, many      what a sample is called lines(d, say)  the plan's lines about how inputs are made blank(d, n)     a
-- batch {input =, n =, ...} of zeros for dry runs, as large as the largest of `n` samples in training bytes(d, n)
-- bytes that n samples take in the loader smaller         the option that makes a step smaller, for messages
-- size_text(d)    how large one is, for messages samples(d)      how many samples an epoch of training has
-- cannot_keep(d)  why features cannot be kept in rows of one shape; nil where they can
local core = require "tlua.core"
local schema = require "tlua.schema"
local util = require "tlua.util"
local volumes = require "tlua.data.volumes"
local input = {}

local function as_many(d) return d.train:count() end

-- ---- pictures ----

-- The filter of a preprocessing whose pictures may be letterboxes, as they have one of their own.
function input.letterboxed(d, p, wanted)
  if p.fit == "letterbox" then
    p.interpolation = wanted or "linear"
    if p.interpolation == "nearest" then
      util.failf("data.%s: nearest is no filter of letterboxes: linear, box, bilinear, bicubic or lanczos", d.kind)
    end
  elseif p.interpolation == "linear" then
    util.failf("data.%s: linear is a filter of letterboxes (fit = \"letterbox\"); bilinear is that of a resize", d.kind)
  end
end

local function picture_lines(d, say)
  local p = d.preprocessing
  say(("pictures  %d x %d, %s, %s"):format(p.size, p.size, p.fit == "stretch" and "stretched"
    or p.fit == "letterbox" and "the longer side scaled, grey beside the rest"
    or ("shorter side to %d, centre cropped"):format(p.resize), p.interpolation))
  if p.windows then
    local slices = (p.neighbours or 0) > 0 and (", of %d slices each"):format(2 * p.neighbours + 1) or ""
    say(("windows   %s%s"):format(require("tlua.data.dicom.windows").text(p.windows), slices))
  end
  if p.normalised_by_default then
    say(("pictures  neither the weights nor --data.mean and --data.std say how pixels are normalised: mean %s, deviation %s"):format(
      schema.show(p.mean), schema.show(p.std)))
  end
end

-- Of the largest pictures that training can meet.
local function largest_side(d)
  local sizes = d.augment and d.augment.sizes
  return sizes and math.max(sizes[2], d.preprocessing.size) or d.preprocessing.size
end

input.picture = {
  kind = "picture", one = "picture", many = "pictures", smaller = "--data.size makes them smaller",
  lines = picture_lines,
  blank = function(d, n)
    local side = largest_side(d)
    return { input = core.zeros(n, side, side, d.preprocessing.channels or 3), n = n, indices = {} }
  end,
  bytes = function(d, n) return 4 * n * largest_side(d) ^ 2 * 3 end,
  size_text = function(d) return ("of %d pixels"):format(d.preprocessing.size) end, samples = as_many,
  cannot_keep = function() end,
}

-- ---- clips ----

-- Seconds of a source's clips: all together, the shortest, the longest.
function input.seconds(source)
  local total, least, most = 0, math.huge, 0
  for i = 1, source:count() do
    local t = source:seconds(i)
    total, least, most = total + t, math.min(least, t), math.max(most, t)
  end
  return total, least, most
end

-- Samples of the longest clip that training can meet. Speeds below 1 make clips longer. Worked out once.
local function longest(d)
  if d.longest_samples then return d.longest_samples end
  local p, most = d.preprocessing, 0
  for _, part in ipairs(p.seconds and {} or { "train", "validation", "test" }) do
    if d[part] then most = math.max(most, select(3, input.seconds(d[part]))) end
  end
  d.longest_samples = p.seconds and math.ceil(p.seconds * p.rate)
    or math.max(1, math.ceil(most * p.rate * (d.slowest or 1)))
  return d.longest_samples
end

-- How many clips of that length a batch has: of "60 s" as many as fit, one at least.
local function clips(d, n, samples)
  if not d.batch_seconds then return n end
  return math.max(1, math.floor(d.batch_seconds * d.preprocessing.rate / samples))
end

local function clip_lines(d, say)
  local p, total, least, most = d.preprocessing, input.seconds(d.train or d.test)
  local cut = p.seconds and (", %g s of each"):format(p.seconds) or ""
  say(("sound     %s of training clips, %.1f to %.1f s; read as mono at %s Hz%s"):format(util.clock(total), least, most,
    util.thousands(p.rate), cut))
  if d.batch_seconds then
    say(("batches   %g s of sound each, padding among them; clips of like length together"):format(d.batch_seconds))
  end
end

input.clip = {
  kind = "clip", one = "clip", many = "clips", smaller = "--data.longest leaves out long clips",
  lines = clip_lines,
  blank = function(d, n)
    local samples = longest(d)
    n = clips(d, n, samples)
    local list = {}
    for i = 1, n do list[i] = samples end
    return { input = core.zeros(n, samples), n = n, indices = {}, length_list = list,
      lengths = core.tensor(list, { dtype = "int32" }) }
  end,
  bytes = function(d, n)
    local samples = longest(d)
    return 4 * clips(d, n, samples) * samples
  end,
  size_text = function(d) return ("of %.1f s"):format(longest(d) / d.preprocessing.rate) end, samples = as_many,
  cannot_keep = function(d)
    if not d.preprocessing.seconds then return "clips differ in length" end
  end,
}

-- ---- volumes ----

-- What the training volumes come to, worked out once.
local function extents(d)
  d.extents = d.extents or volumes.extents(d.train or d.test, d.test_pipeline, d.preprocessing.patch, d.fields.mask)
  return d.extents
end

-- Bytes of the largest volume that is decoded, whatever its part, and its size in words.
local function largest(d)
  local bytes, size = 0, {}
  for _, part in ipairs { "train", "validation", "test" } do
    local e = d[part] and volumes.extents(d[part], d.test_pipeline, nil, d.fields.mask)
    if e and e.largest > bytes then bytes, size = e.largest, e.largest_size end
  end
  return bytes, table.concat(size, " x ")
end

-- Slices, rows and columns of the largest sample of training.
local function sides(d)
  local p = d.preprocessing
  return p.patch or p.extent or extents(d).most
end

local function times(list) return table.concat(list, " x ") end

local function values_text(p)
  if p.windows then
    local list = {}
    for i, w in ipairs(p.windows) do list[i] = ("%g to %g"):format(w[1] - w[2] / 2, w[1] + w[2] / 2) end
    return ("window%s %s"):format(#list == 1 and "" or "s", table.concat(list, ", "))
  elseif p.normalise == "quantiles" then return ("0 to 1 between %g and %g %%"):format(table.unpack(p.quantiles)) end
  return ({ zscore = "mean 0, deviation 1", nonzero = "mean 0, deviation 1 of what is not 0", range = "0 to 1",
    none = "values as they are" })[p.normalise]
end

local function volume_lines(d, say)
  local p, e = d.preprocessing, extents(d)
  local same = times(e.least) == times(e.most)
  say(("volumes   %s%s voxels, axes %s%s; %s%s"):format(times(e.least), same and "" or " to " .. times(e.most),
    p.orientation == "file" and "as the files have them" or p.orientation,
    p.spacing and (", %s mm"):format(times(p.spacing)) or "", values_text(p),
    e.channels and e.channels > 1 and ("; %d channels"):format(e.channels) or ""))
  if p.patch then
    say(("patches   %d of %s of each training volume and epoch%s%s"):format(d.patches, times(p.patch),
      d.foreground > 0 and (", %g %% around a voxel of a class"):format(100 * d.foreground) or "",
      e.small > 0 and ("; %d of %s %s smaller and get%s zeros around %s"):format(e.small,
        util.counted(e.count, "volume"),
        table.unpack(e.small == 1 and { "is", "s", "it" } or { "are", "", "them" })) or ""))
  end
  say(("kept      decoded volumes in up to %s of memory, which %s"):format(util.bytes(d.keep), e.bytes <= d.keep
    and ("holds all training volumes (%s)"):format(util.bytes(e.bytes))
    or ("does not hold all %s of training volumes: the rest is read again in each epoch (--data.keep)"):format(
      util.bytes(e.bytes))))
end

input.volume = {
  kind = "volume", one = "volume", many = "volumes", smaller = "--data.patch takes smaller parts",
  lines = volume_lines,
  blank = function(d, n)
    local s = sides(d)
    return { input = core.zeros(n, s[1], s[2], s[3], extents(d).channels), n = n, indices = {} }
  end,
  bytes = function(d, n)
    local s = sides(d)
    return n * s[1] * s[2] * s[3] * (4 * extents(d).channels + (d.fields.mask and 4 or 0))
  end,
  size_text = function(d) return ("of %s voxels"):format(times(sides(d))) end, largest = largest,
  samples = function(d) return d.train:count() * d.patches end,
  cannot_keep = function() return "volumes are read anew, or kept whole in memory" end,
}

-- ---- texts ----

-- Pieces of the longest text that training can meet.
local function longest_text(d)
  if d.longest_text then return d.longest_text end
  local most = 1
  for _, part in ipairs { "train", "validation", "test" } do
    for i = 1, d[part] and d[part]:count() or 0 do most = math.max(most, d[part]:length(i)) end
  end
  d.longest_text = most
  return most
end

-- How many texts of that length a batch has: of "4096 pieces" as many as fit, one at least.
local function texts_in(d, n) return d.batch_pieces and math.max(1, d.batch_pieces // longest_text(d)) or n end

input.text = {
  kind = "text", one = "text", many = "texts", smaller = "--data.longest cuts texts shorter",
  lines = function(d, say)
    say(("tokenizer %s, %s pieces"):format(d.tokenizer.name, util.thousands(d.tokenizer.handle:size())))
    if d.batch_pieces then
      say(("batches   %s pieces each, padding among them"):format(util.thousands(d.batch_pieces)))
    end
    if d.buckets or d.batch_pieces then say "batches   texts of like length stand together (--data.buckets)" end
  end,
  blank = function(d, n)
    local length, list = longest_text(d), {}
    n = texts_in(d, n)
    for i = 1, n do list[i] = length end
    local shape = d.preprocessing.types and { n, length, 2 } or { n, length }
    return { input = core.zeros(shape, { dtype = "int32" }), n = n, indices = {}, length_list = list,
      lengths = core.tensor(list, { dtype = "int32" }) }
  end,
  bytes = function(d, n) return 4 * texts_in(d, n) * longest_text(d) * (d.preprocessing.types and 2 or 1) end,
  size_text = function(d) return ("of %d pieces"):format(longest_text(d)) end, samples = as_many,
  cannot_keep = function() end,
}

-- The kind of input that a preprocessing (of a data set or a model file) speaks of.
function input.of(preprocessing)
  return preprocessing.rate and input.clip or preprocessing.orientation and input.volume
    or preprocessing.pad and input.text or input.picture
end

return input
