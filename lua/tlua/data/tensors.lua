-- tensors.lua - data.tensors: pictures and targets that a recipe gives as tensors, or that a file has by name.
local core = require "tlua.core"
local util = require "tlua.util"
local tensors = {}

local shown = util.shown

-- Names of n numbers that nobody names.
function tensors.numbered(n)
  local names = {}
  for k = 1, n do names[k] = n == 1 and "value" or "value_" .. k end
  return names
end

local function rows_of(v, what)
  if not core.is_tensor(v) then
    if type(v) ~= "table" then
      util.failf("data.tensors: %s is a tensor or a list, not %s", what, type(v) == "string"
        and shown(v) or type(v))
    end
    return v
  end
  if v:rank() == 0 then util.failf("data.tensors: %s is a single number, and one for each picture is needed", what) end
  if what:find "labels" and v:rank() ~= 1 then
    util.failf("data.tensors: %s is a tensor of shape %s, and class numbers (N) are needed; numbers are values",
      what, util.shape_text(v:shape()))
  end
  return v:tolist()
end

local function numbers_in(v, what)
  local list = rows_of(v, what)
  for i, each in ipairs(list) do list[i] = type(each) == "table" and each or { each } end
  return list
end

-- Pictures and targets of one part: tensors that the recipe gives, or entries of a file.
local function tensors_of(o, prefix, file)
  local function of(field)
    local v = o[prefix .. field]
    local own = v ~= nil
    if v == nil and file and o[field] ~= nil then v = file[prefix .. o[field]] and prefix .. o[field] end
    if type(v) == "string" and file then
      local t = file[v]
      if not t and (prefix == "" or own) then
        util.failf("%s has no tensor '%s'; %s", o.path, shown(v), util.unknown_text("tensor", v,
          util.keys(file)):gsub("^unknown [^;]*; ", "", 1))
      end
      return t
    end
    return v
  end
  return of "images", of "labels", of "values"
end

-- Pictures are (N, H, W) or (N, H, W, C) of bytes or floats, of 1 or 3 channels.
local function check_images(x, what, wanted)
  local shape = x:shape()
  if #shape ~= 3 and #shape ~= 4 then
    util.failf("data.tensors: %s has the shape %s; pictures are (N, H, W, C)", what,
      util.shape_text(shape))
  end
  if x:dtype() ~= "uint8" and x:dtype() ~= "float32" then
    util.failf("data.tensors: %s is of %s; pictures are uint8 or float32", what, x:dtype())
  end
  for i, n in ipairs(shape) do
    if n == 0 then
      util.failf("data.tensors: %s has the shape %s: %s", what, util.shape_text(shape), i == 1
        and "there is no picture" or "pictures without pixels")
    end
  end
  local channels = shape[4] or 1
  if channels == wanted or not wanted and (channels == 1 or channels == 3) then return end
  if wanted then util.failf("data.tensors: %s has the shape %s, and channels = %d", what, util.shape_text(shape), wanted) end
  util.failf("data.tensors: %s has the shape %s, and pictures are (N, H, W, C) with 1 or 3 channels%s; others want data.channels", what,
    util.shape_text(shape),
    (shape[2] == 1 or shape[2] == 3) and "; channels come last here: x:permute(1, 3, 4, 2)" or "")
end

-- A list of single pictures, out of tensors of several.
local function pictures_of(...)
  local list = {}
  for _, x in ipairs { ... } do
    for i = 1, x:shape(1) do list[#list + 1] = x[i] end
  end
  return list
end

local MOST_CLASSES = 65536 -- of class numbers whose names nobody says

-- What data.tensors gives for its parts: see records.open.
function tensors.read(d, options)
  local o, r, out = d.options, {}, { title = "Tensors", parts = nil }
  local file = o.path and core.load(o.path) or nil
  if o.path then out.title, out.root = o.path:match "[^/]+$", o.path:match "^(.*)/[^/]*$" or "." end
  local images, labels, values = tensors_of(o, "", file)
  if not core.is_tensor(images) then
    util.fail "data.tensors: images is missing, a tensor (N, H, W, C), or its name in the file"
  end
  local more, more_labels, more_values = tensors_of(o, "test_", file)
  check_images(images, "images", o.channels)
  if more ~= nil and not core.is_tensor(more) then util.fail "data.tensors: test_images is no tensor (N, H, W, C)" end
  if more then check_images(more, "test_images", o.channels) end
  if not more and (o.test_labels ~= nil or o.test_values ~= nil) then
    util.fail "data.tensors: test_labels or test_values without test_images"
  end
  local function joined(a, b, read, what)
    if not a then return nil end
    local list = read(a, what)
    if more and not b then util.failf("data.tensors: there are test_images, and no test_%s", what) end
    for _, each in ipairs(more and read(b, "test_" .. what) or {}) do list[#list + 1] = each end
    return list
  end
  if more then
    out.parts = {}
    for i = 1, images:shape(1) + more:shape(1) do out.parts[i] = i <= images:shape(1) and "train" or "test" end
    r.images = pictures_of(images, more)
  else r.images = images end
  r.labels = joined(labels, more_labels, rows_of, "labels")
  r.values = joined(values, more_values, numbers_in, "values")
  if not r.labels and not r.values then util.fail "data.tensors: labels or values are missing: what is to be learnt" end
  local n = images:shape(1) + (more and more:shape(1) or 0)
  for name, list in pairs { labels = r.labels, values = r.values } do
    if #list ~= n then util.failf("data.tensors: there are %d pictures and %d %s", n, #list, name) end
  end
  if r.labels then
    local most = 0
    for i, v in ipairs(r.labels) do
      local whole = type(v) == "number" and math.tointeger(v) or nil
      if not whole or whole < 0 then
        util.failf("data.tensors: label %d is %s; labels are whole numbers from 0", i, type(v) == "number" and v ~= v
          and "NaN" or type(v) == "table" and "a list" or tostring(v))
      end
      r.labels[i] = whole
      most = math.max(most, r.labels[i])
    end
    r.classes = options.classes or util.distinct(type(o.classes) == "string" and { o.classes } or o.classes,
      "data.tensors: classes")
    if r.classes and most >= #r.classes then
      util.failf("data.tensors: there is a label %d, and %d classes (%s), which are counted from 0", most, #r.classes,
        util.first_few(r.classes, 6))
    end
    if not r.classes then
      if most >= MOST_CLASSES then
        util.failf("data.tensors: there is a label %d; labels are numbers of classes, others are values", most)
      end
      r.classes = {}
      for k = 0, most do r.classes[k + 1] = tostring(k) end
    end
  end
  if r.classes and #r.classes < 2 then
    util.fail "data.tensors: all labels are 0: one class only, so there is nothing to learn"
  end
  if r.values then
    r.value_names = util.distinct(type(o.value_names) == "string" and { o.value_names } or o.value_names,
      "data.tensors: value_names")
    if #r.values[1] == 0 then util.fail "data.tensors: values of picture 1 is an empty list" end
    if not r.value_names then
      r.value_names = tensors.numbered(#r.values[1])
    end
  end
  out.record, out.value_names = r, r.value_names
  return out
end

util.seal(tensors, "tensors.")
return tensors
