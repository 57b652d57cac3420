-- event_file.lua - scalars of a run in the form that TensorBoard reads: TFRecords (length, masked CRC-32C, data, masked
-- CRC-32C), each an Event in protobuf's wire format (tensorflow/core/util/event.proto, summary.proto). One file a run:
-- a checkpoint keeps its length, and a run that goes on cuts off what came after.
local core = require "tlua.core"
local util = require "tlua.util"
local event_file = {}

-- ---- CRC-32C (Castagnoli), reflected ----

local TABLE = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and c >> 1 ~ 0x82F63B78 or c >> 1 end
  TABLE[i] = c
end

function event_file.crc32c(text)
  local c = 0xFFFFFFFF
  for i = 1, #text do c = TABLE[(c ~ text:byte(i)) & 255] ~ c >> 8 end
  return c ~ 0xFFFFFFFF
end

-- TensorFlow's mask: a checksum of data that holds checksums would be weak.
local function masked(text)
  local c = event_file.crc32c(text)
  return ((c >> 15 | c << 17) + 0xA282EAD8) & 0xFFFFFFFF
end

local function record(data)
  local length = string.pack("<I8", #data)
  return length .. string.pack("<I4", masked(length)) .. data .. string.pack("<I4", masked(data))
end

-- ---- protobuf ----

local function varint(n)
  local out = {}
  while n > 127 or n < 0 do
    out[#out + 1] = string.char(n & 127 | 128)
    n = n >> 7
  end
  return table.concat(out) .. string.char(n)
end

local VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
local function key(field, wire) return varint(field << 3 | wire) end
local function bytes(field, text) return key(field, BYTES) .. varint(#text) .. text end

-- Event { wall_time = 1, step = 2, file_version = 3 | summary = 5 }
local function event(time, step, rest)
  return key(1, FIXED64) .. string.pack("<d", time) .. key(2, VARINT) .. varint(step) .. rest
end

-- Summary { value = 1 { tag = 1, simple_value = 2 } }
local function scalar(tag, value) return bytes(1, bytes(1, tag) .. key(2, FIXED32) .. string.pack("<f", value)) end

-- ---- a file ----

local EventFile = {}
EventFile.__index = EventFile

local FEW = 64 -- records held before they are written

-- Opens the run's file anew, or, with `kept` (what keep() gave), at the place where a checkpoint was made.
function event_file.open(folder, kept)
  local self = setmetatable({ held = {}, clock = os.time() - core.time() }, EventFile)
  -- The name comes out of a checkpoint, and what it names is cut: it must be one that was given here.
  if kept and not (type(kept.name) == "string" and kept.name:find "^events%.out%.tfevents%.%d+%.tlua%.%d+$" and
    math.type(kept.bytes) == "integer" and kept.bytes >= 0) then
    util.fail "the checkpoint's file of events is none of tlua's"
  end
  local path = kept and ("%s/%s"):format(folder, kept.name)
  if path and (core.file_size(path) or 0) >= kept.bytes then
    core.truncate(path, kept.bytes)
    self.path, self.name, self.bytes = path, kept.name, kept.bytes
    return self
  end
  for _, name in ipairs(core.list_folder(folder)) do
    -- of a run that stood here before
    if not kept and name:find "^events%.out%.tfevents%." then core.remove(folder .. "/" .. name) end
  end
  self.name = ("events.out.tfevents.%010d.tlua.%d"):format(os.time(), core.getpid())
  self.path, self.bytes = ("%s/%s"):format(folder, self.name), 0
  self:add(event(self.clock + core.time(), 0, bytes(3, "brain.Event:2")))
  self:flush()
  return self
end

function EventFile:add(data)
  self.held[#self.held + 1] = record(data)
  if #self.held >= FEW then self:flush() end
end

-- values: tag -> number; those that are not finite are kept too, TensorBoard shows them as such.
function EventFile:scalars(step, values)
  local parts = {}
  for _, tag in ipairs(util.keys(values)) do parts[#parts + 1] = scalar(tag, values[tag]) end
  self:add(event(self.clock + core.time(), step, bytes(5, table.concat(parts))))
end

-- Writes what is held; `sync`: and waits until it is on the disk.
function EventFile:flush(sync)
  local text = table.concat(self.held)
  core.append_file(self.path, text, sync)
  self.held, self.bytes = {}, self.bytes + #text
end

-- For a checkpoint: what open() takes.
function EventFile:keep()
  self:flush(true)
  return { name = self.name, bytes = self.bytes }
end

return event_file
