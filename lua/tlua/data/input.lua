-- input.lua - what goes into a network: a picture, or a clip of sound. Those who train, foresee, show and predict ask
-- the table of the kind here, so that none of them knows what a picture is made of. The preprocessing tells which:
-- sound has a rate, pictures a size.
--
-- one, many      what a sample is called
-- lines(d, say)  the plan's lines about how inputs are made
-- blank(d, n)     a batch {input =, n =, ...} of zeros for dry runs, as large as the largest of `n` samples in training
-- bytes(d, n)     bytes that n samples take in the loader
-- smaller         the option that makes a step smaller, for messages
-- size_text(d)    how large one is, for messages
-- cannot_keep(d)  why features cannot be kept in rows of one shape; nil where they can
local core = require "tlua.core"
local schema = require "tlua.schema"
local util = require "tlua.util"
local input = {}

-- ---- pictures ----

local function picture_lines(d, say)
  local p = d.preprocessing
  say(("pictures  %d x %d, %s, %s"):format(p.size, p.size, p.fit == "stretch" and "stretched"
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

input.picture = {
  kind = "picture", one = "picture", many = "pictures", smaller = "--data.size makes them smaller",
  lines = picture_lines,
  blank = function(d, n)
    local p = d.preprocessing
    return { input = core.zeros(n, p.size, p.size, p.channels or 3), n = n, indices = {} }
  end,
  bytes = function(d, n) return 4 * n * d.preprocessing.size ^ 2 * 3 end,
  size_text = function(d) return ("of %d pixels"):format(d.preprocessing.size) end,
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
  size_text = function(d) return ("of %.1f s"):format(longest(d) / d.preprocessing.rate) end,
  cannot_keep = function(d)
    if not d.preprocessing.seconds then return "clips differ in length" end
  end,
}

-- The kind of input that a preprocessing (of a data set or a model file) speaks of.
function input.of(preprocessing) return preprocessing.rate and input.clip or input.picture end

return input
