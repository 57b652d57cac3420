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
  if what:find "labels" and v:rank() == 2 and v:shape(2) == 1 then v = v:reshape(v:shape(1)) end -- as MedMNIST has them
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

-- The parts that are given apart: a list of {part, images, labels, values}, the training part first.
local function parts_of(o, file)
  local images, labels, values = tensors_of(o, "", file)
  if not core.is_tensor(images) then
    util.fail "data.tensors: images is missing, a tensor (N, H, W, C), or its name in the file"
  end
  check_images(images, "images", o.channels)
  local list = { { "train", images, labels, values, prefix = "" } }
  for _, part in ipairs { "validation", "test" } do
    local prefix = part .. "_"
    local more, more_labels, more_values = tensors_of(o, prefix, file)
    if more ~= nil and not core.is_tensor(more) then
      util.failf("data.tensors: %simages is no tensor (N, H, W, C)", prefix)
    end
    if more then
      check_images(more, prefix .. "images", o.channels)
      list[#list + 1] = { part, more, more_labels, more_values, prefix = prefix }
    elseif o[prefix .. "labels"] ~= nil or o[prefix .. "values"] ~= nil then
      util.failf("data.tensors: %slabels or %svalues without %simages", prefix, prefix, prefix)
    end
  end
  if #list > 1 and list[#list][1] ~= "test" then
    util.fail "data.tensors: there are validation_images, and no test_images"
  end
  return list
end

-- The labels (field 3) or values (4) of all parts, one behind the other; nil where the training part has none.
local function joined(parts, field, read, what)
  if not parts[1][field] then return nil end
  local list = {}
  for _, part in ipairs(parts) do
    if not part[field] then
      util.failf("data.tensors: there are %simages, and no %s%s", part.prefix, part.prefix, what)
    end
    local own, n = read(part[field], part.prefix .. what), part[2]:shape(1)
    if #own ~= n then
      util.failf("data.tensors: there are %d pictures and %d %s%s", n, #own, part.prefix, what)
    end
    for _, each in ipairs(own) do list[#list + 1] = each end
  end
  return list
end

-- Labels as whole numbers, and the names of their classes.
local function classes_of(r, o, known)
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
  r.classes = known or util.distinct(type(o.classes) == "string" and { o.classes } or o.classes,
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
  if #r.classes < 2 then
    util.fail "data.tensors: all labels are 0: one class only, so there is nothing to learn"
  end
end

-- What data.tensors gives for its parts: see records.open.
function tensors.read(d, options)
  local o, r, out = d.options, {}, { title = "Tensors", parts = nil }
  local file = o.path and core.load(o.path) or nil
  if o.path then out.title, out.root = o.path:match "[^/]+$", o.path:match "^(.*)/[^/]*$" or "." end
  local parts, n = parts_of(o, file), 0
  for _, part in ipairs(parts) do
    local count = part[2]:shape(1)
    if #parts > 1 then
      out.parts = out.parts or {}
      for i = n + 1, n + count do out.parts[i] = part[1] end
    end
    n = n + count
  end
  if #parts > 1 then
    local images = {}
    for k, part in ipairs(parts) do images[k] = part[2] end
    r.images = pictures_of(table.unpack(images))
  else r.images = parts[1][2] end
  r.labels = joined(parts, 3, rows_of, "labels")
  r.values = joined(parts, 4, numbers_in, "values")
  if not r.labels and not r.values then util.fail "data.tensors: labels or values are missing: what is to be learnt" end
  if r.labels then classes_of(r, o, options.classes) end
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
