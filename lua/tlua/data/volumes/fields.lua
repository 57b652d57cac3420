-- fields.lua - the fields of data whose samples are volumes: how their grids and grey values are made alike, which
-- parts of them are taken, and how they are read. Kinds of data (tlua/data/kinds.lua) add where the files lie.
local core = require "tlua.core"
local fields = {}

-- What is wrong with an orientation, nil: nothing.
local function wrong_axes(v)
  if v == "file" then return nil end
  local axes = { RL = 0, AP = 0, SI = 0 }
  for pair in pairs(axes) do
    for letter in v:gmatch "." do axes[pair] = axes[pair] + (pair:find(letter, 1, true) and 1 or 0) end
  end
  if #v == 3 and axes.RL == 1 and axes.AP == 1 and axes.SI == 1 then return nil end
  local near = core.near_miss(v, { "file", "RAS", "LPS", "RPS", "LAS", "LPI", "RPI", "LAI", "RAI", "AIL", "SRA" })
  return ("has one letter each of L or R, P or A, S or I, like RAS, or is file: not '%s'%s"):format(v,
    v:upper() ~= v and not wrong_axes(v:upper()) and ("; did you mean '%s'?"):format(v:upper())
      or near and ("; did you mean '%s'?"):format(near) or "")
end

local LIST = {
  { "classes", "texts", nil, "names of the classes, of labels or of what masks mean" },
  { "values", "number_lists", nil,
    "the values of each class in the masks, one or a list each: { 0, { 1, 2 }, 3 } (0, 1, 2, ...)" },
  { "rest", "choice", "error", "what values mean that no class has", { "error", "background", "ignored" } },
  { "parts", "choice", nil, "of files with 4 dimensions: all parts as channels, or the first alone (an error)",
    { "channels", "first" } },
  { "nan", "choice", "error", "voxels that are not finite are an error, or count as 0", { "error", "zero" } },
  { "orientation", "text", nil,
    'where columns, rows and slices grow to, like LPS; "file": each file\'s own (the network\'s, else RAS)',
    check = wrong_axes },
  { "spacing", "numbers", nil,
    "mm between columns, rows and slices, or one number; volumes are resampled to it (the network's, else the file's)",
    above = 0, count = { 1, 3 } },
  { "windows", "windows", nil,
    "which values become 0 to 1, each window a channel: lung, bone, brain, soft, or centre/width" },
  { "normalise", "choice", nil,
    "values by each volume's own: zscore: mean 0, deviation 1; nonzero: so of what is not 0; range: 0 to 1; " ..
    "quantiles: 0 to 1 between two (zscore where there is no window)",
    { "zscore", "nonzero", "range", "quantiles", "none" } },
  { "quantiles", "numbers", nil, "per cent that become 0 and 1 where it goes by quantiles (0.5, 99.5)", least = 0,
    most = 100, count = { 2 } },
  { "size", "numbers", nil,
    "slices, rows, columns, or one number: the middle of each volume, zeros around what is smaller (whole volumes)",
    least = 1, most = 4096, count = { 1, 3 } },
  { "patch", "numbers", nil, "slices, rows, columns, or one number: training takes such parts of the volumes",
    least = 1, most = 4096, count = { 1, 3 } },
  { "patches", "integer", nil, "patches of each volume and epoch (4)", least = 1 },
  { "foreground", "number", nil,
    "share of patches around a voxel of a class that is not the background (0.33 where there are masks)", least = 0,
    most = 1 },
  { "overlap", "number", nil, "share of a patch that the next has too where whole volumes are tested (0.5)",
    least = 0, most = 0.99 },
  { "split", "number", nil, "share held out for testing where the data do not say which; 0.2 where nothing is said",
    least = 0, below = 1 },
  { "validation", "number", nil,
    "share of the training volumes held out: what keeps the best, stops or lowers the rate looks at them (0.1 " ..
    "where something selects so and the data have no validation part)", least = 0, below = 1 },
  { "split_seed", "seed", nil, "of the draws that hold test volumes out and keep to limits (the run's seed)" },
  { "batch", "batch", 2, "volumes or patches a step; auto: what the memory allows", least = 1 },
  { "limit", "integer", nil, "at most so many training volumes (all)", least = 1 },
  { "test_limit", "integer", nil, "at most so many test volumes (a fifth of limit, else all)", least = 1 },
  { "per_class", "integer", nil, "at most so many training volumes of each class, drawn by the seed (all)", least = 1 },
  { "keep", "size", "4 GB", "memory in which volumes stay decoded from epoch to epoch; those beyond are read again" },
  { "threads", "integer", 0, "threads that read volumes; 0: one a processor", least = 0, most = 64 },
  { "drop_last", "boolean", false, "leave out the last batch of an epoch when it is smaller" },
  { "on_bad", "choice", "error", "what a volume that cannot be used means", { "error", "skip" } },
}

-- The fields of a kind: its own, then these.
function fields.with(...)
  local list = { ... }
  for _, field in ipairs(LIST) do list[#list + 1] = field end
  return list
end

-- Those that data.dicom has for series as volumes beside its own. None has a default: what is said of a slice would do
-- nothing, and is an error.
fields.SERIES = {
  { "gaps", "choice", nil, "volume: slices that are missing are an error, or between their neighbours (error)",
    { "error", "fill" } },
  { "repeated", "choice", nil, "volume: slices at the place of another are an error, or the first is taken (error)",
    { "error", "first" } },
}
for _, field in ipairs(LIST) do
  local named = { nan = 1, orientation = 1, spacing = 1, normalise = 1, quantiles = 1, patch = 1, patches = 1,
    overlap = 1, keep = 1 }
  if named[field[1]] then
    local copy = {}
    for key, v in pairs(field) do copy[key] = v end
    copy[3], copy[4] = nil, "volume: " .. field[4]
    fields.SERIES[#fields.SERIES + 1] = copy
  end
end

return fields
