-- description.lua - what a model file says of itself (its metadata key `tlua`), checked: the file may come from anybody.
local core = require "tlua.core"
local windows = require "tlua.data.dicom.windows"
local lora = require "tlua.nn.lora"
local description = { FORMAT = 1 }

local function is_list_of_texts(v)
  if type(v) ~= "table" then return false end
  local n = 0
  for key, each in pairs(v) do
    n = n + 1
    if math.type(key) ~= "integer" or type(each) ~= "string" then return false end
  end
  return n == #v
end

local function is_optional(v, kind) return v == nil or type(v) == kind end

-- The lists of the pictures of the training: of each part how many there are, and their hash.
local function are_lists(v)
  if type(v) ~= "table" or not is_optional(v.held_out, "boolean") then return false end
  for _, part in ipairs { "all", "train", "validation", "test" } do
    local list = v[part]
    if list ~= nil and not (type(list) == "table" and math.type(list.count) == "integer" and type(list.hash) == "string") then return false end
  end
  return true
end

-- What a network that hears wants of a clip: samples a second, and no more than that of what is not a number.
local function is_of_sound(p)
  return math.type(p.rate) == "integer" and p.rate >= 1000 and p.rate <= 192000 and is_optional(p.seconds, "number")
    and is_optional(p.trim, "number")
end

local function are_numbers(v, n)
  if type(v) ~= "table" or (n and #v ~= n) then return false end
  for _, each in ipairs(v) do
    if type(each) ~= "number" then return false end
  end
  return true
end

-- What a network of volumes wants of one: its orientation, and no more than that of what is not of its kind.
local function is_of_volumes(p)
  if type(p.orientation) ~= "string" or not is_optional(p.normalise, "string") then return false end
  for _, name in ipairs { "spacing", "extent", "patch" } do
    if p[name] ~= nil and not are_numbers(p[name], 3) then return false end
  end
  return (p.windows == nil or windows.are(p.windows)) and (p.quantiles == nil or are_numbers(p.quantiles, 2))
    and is_optional(p.overlap, "number") and is_optional(p.channels, "number")
end

-- What a network of texts wants of one: pieces at most, and the number behind the ends.
local function is_of_texts(p)
  local cut = p.cut == nil or p.cut == "longest" or p.cut == "first" or p.cut == "second"
  local stride = p.stride == nil or math.type(p.stride) == "integer" and p.stride >= 0 and p.stride < (p.longest or 0)
  return math.type(p.longest) == "integer" and p.longest >= 1 and math.type(p.pad) == "integer" and p.pad >= 0
    and type(p.types) == "boolean" and cut and stride and is_optional(p.tokenizer, "string")
end

-- Pictures have a size, and those of scanners windows and neighbours.
local function is_of_pictures(p)
  local neighbours = p.neighbours == nil or math.type(p.neighbours) == "integer" and p.neighbours >= 0
    and p.neighbours <= 16
  return math.type(p.size) == "integer" and neighbours and (p.windows == nil or windows.are(p.windows))
end

-- The part of the description that is not what it must be; nil where all are. What values mean is checked by those who take them.
local function wrong_part(info)
  local head, data, p, task = info.head, info.data, info.preprocessing, info.task
  if type(info.model) ~= "string" then return "model" end
  if not is_optional(info.options, "table") then return "options" end
  for key, value in pairs(info.options or {}) do
    local kind = type(value)
    if key == "weights" or key == "weights_key" then return "options" end -- no file says what other file is to be read
    if type(key) ~= "string" or (kind ~= "number" and kind ~= "boolean" and kind ~= "string") then return "options" end
  end
  if head ~= nil and not (type(head) == "table" and type(head.class) == "string") then return "head" end
  if info.lora ~= nil and not lora.is_description(info.lora) then return "lora" end
  if info.labels ~= nil and not is_list_of_texts(info.labels) then return "labels" end
  if data ~= nil and not (type(data) == "table" and type(data.kind) == "string" and is_optional(data.options, "table")) then return "data" end
  if data and data.list ~= nil and not are_lists(data.list) then return "data.list" end
  if task ~= nil and not (type(task) == "table" and type(task.name) == "string" and is_optional(task.options, "table") and
    (task.names == nil or is_list_of_texts(task.names)) and is_optional(task.kept, "table")) then return "task" end
  local known = p == nil or type(p) == "table" and (is_of_texts(p) or is_of_pictures(p) or is_of_sound(p)
    or is_of_volumes(p))
  if not known then return "preprocessing" end
end

-- The description in a text; nil and why it is none.
function description.read(text)
  local ok, info = pcall(core.json_decode, text)
  if not ok or type(info) ~= "table" then return nil, "its description is damaged: it is not JSON" end
  if math.type(info.format) ~= "integer" then return nil, "its description is damaged: format" end
  if info.format > description.FORMAT then
    return nil, ("it was written by tlua %s in a newer form; this is tlua %s"):format(tostring(info.tlua), core.version)
  end
  local part = wrong_part(info)
  if part then return nil, "its description is damaged: " .. part end
  return info
end

return description
