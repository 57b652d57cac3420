-- onnx_pb.lua - protobuf by hand, as much as tests need: the inputs and outputs that lie beside ONNX's models as .pb,
-- and what a model says of itself (operators, versions, names). It shares no line with the reader that is tested.
--   local pb = dofile "tests/interop/onnx_pb.lua"
--   pb.value(path, kind [, dtype])  kind "tensor", "sequence" or "optional" -> { dtype =, dims =, numbers = or
--                                   strings = }, { sequence = {...} } or { optional = value or nil }
--   pb.model(path) -> { opsets = { [domain] = version }, nodes = { { op =, domain = } },
--                       inputs = { { name =, kind =, dtype = } }, outputs = the same }
local pb = {}

local DTYPES = { "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16",
  "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16" }

local function dtype_of(number) return DTYPES[number or 1] or ("type %d"):format(number) end

local function varint(s, at)
  local value, shift = 0, 0
  while true do
    local byte = s:byte(at)
    value, at = value | (byte & 127) << shift, at + 1
    if byte < 128 then return value, at end
    shift = shift + 7
  end
end

-- The fields of a message: by number a list of values, each a number or the bytes.
local function fields(s)
  local out, at = {}, 1
  while at <= #s do
    local key, value
    key, at = varint(s, at)
    local wire = key & 7
    if wire == 0 then value, at = varint(s, at)
    elseif wire == 1 then value, at = s:sub(at, at + 7), at + 8
    elseif wire == 5 then value, at = s:sub(at, at + 3), at + 4
    elseif wire == 2 then
      local length
      length, at = varint(s, at)
      value, at = s:sub(at, at + length - 1), at + length
    else error("wire type " .. wire) end
    local list = out[key >> 3] or {}
    out[key >> 3] = list
    list[#list + 1] = value
  end
  return out
end

local function one(f, number) return f[number] and f[number][#f[number]] end

-- Repeated numbers, packed or not; `format` for those of a fixed width, else variable ones.
local function numbers(list, format)
  local out = {}
  for _, each in ipairs(list or {}) do
    local at = 1
    if type(each) == "number" then out[#out + 1] = each
    else
      while at <= #each do
        local value
        if format then value, at = string.unpack(format, each, at) else value, at = varint(each, at) end
        out[#out + 1] = value
      end
    end
  end
  return out
end

local function half(bits)
  local sign, exponent, part = bits >> 15 == 1 and -1.0 or 1.0, bits >> 10 & 31, bits & 1023
  if exponent == 31 then return part == 0 and sign * math.huge or 0 / 0 end
  if exponent == 0 then return sign * part * 2.0 ^ -24 end
  return sign * (1024 + part) * 2.0 ^ (exponent - 25)
end

local function bfloat(bits) return (string.unpack("<f", string.pack("<I4", bits << 16))) end

local RAW = { float32 = "<f", float64 = "<d", uint8 = "<I1", int8 = "<i1", uint16 = "<I2", int16 = "<i2", int32 = "<i4",
  int64 = "<i8", bool = "<I1", float16 = "<I2", bfloat16 = "<I2", uint32 = "<I4", uint64 = "<i8", complex64 = "<f",
  complex128 = "<d" }

local function tensor(bytes)
  local f = fields(bytes)
  local dtype = dtype_of(one(f, 2))
  local t = { dtype = dtype, dims = numbers(f[1]) }
  if dtype == "string" then
    t.strings = f[6] or {}
    return t
  end
  local raw = one(f, 9)
  if dtype:find "^type" then t.numbers = {} -- halves of bytes and the like
  elseif raw then t.numbers = numbers({ raw }, RAW[dtype])
  elseif dtype == "float32" or dtype == "complex64" then t.numbers = numbers(f[4], "<f")
  elseif dtype == "float64" or dtype == "complex128" then t.numbers = numbers(f[10], "<d")
  elseif dtype == "int64" then t.numbers = numbers(f[7])
  elseif dtype == "uint32" or dtype == "uint64" then t.numbers = numbers(f[11])
  else
    t.numbers = numbers(f[5])
    for i, n in ipairs(t.numbers) do t.numbers[i] = n << 32 >> 32 >= 1 << 31 and n | -1 << 32 or n end
  end
  local convert = dtype == "float16" and half or dtype == "bfloat16" and bfloat
  if convert then
    for i, n in ipairs(t.numbers) do t.numbers[i] = convert(n & 65535) end
  end
  return t
end

local function sequence(bytes)
  local out, f = { sequence = {} }, fields(bytes)
  for _, each in ipairs(f[3] or {}) do table.insert(out.sequence, tensor(each)) end
  for _, each in ipairs(f[5] or {}) do table.insert(out.sequence, sequence(each)) end
  return out
end

local function optional(bytes)
  local f = fields(bytes)
  return { optional = f[3] and tensor(f[3][1]) or f[5] and sequence(f[5][1]) or nil }
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

-- dtype: what the model says. Numbers of bfloat16 lie in some files as the whole numbers of their bits.
function pb.value(path, kind, dtype)
  local v = ({ tensor = tensor, sequence = sequence, optional = optional })[kind](read(path))
  if dtype == "bfloat16" and v.dtype == "uint16" then
    for i, n in ipairs(v.numbers) do v.numbers[i] = bfloat(n) end
    v.dtype = dtype
  end
  return v
end

local KINDS = { [1] = "tensor", [4] = "sequence", [5] = "map", [8] = "sparse", [9] = "optional" }
local function values(list)
  local out = {}
  for _, bytes in ipairs(list or {}) do
    local f, kind = fields(bytes), "tensor"
    local types = fields(one(f, 2) or "")
    for number in pairs(types) do kind = KINDS[number] or kind end
    out[#out + 1] = { name = one(f, 1), kind = kind, dtype = types[1] and dtype_of(one(fields(types[1][1]), 1)) }
  end
  return out
end

-- Nodes of graphs inside of nodes are counted too: `inner`.
local function nodes(graph, out, inner)
  for _, bytes in ipairs(graph[1] or {}) do
    local f = fields(bytes)
    out[#out + 1] = { op = one(f, 4), domain = one(f, 7) or "", name = one(f, 3) or "", inner = inner }
    for _, attribute in ipairs(f[5] or {}) do
      local a = fields(attribute)
      if a[6] then nodes(fields(a[6][1]), out, true) end
    end
  end
  return out
end

function pb.model(path)
  local f = fields(read(path))
  local graph, opsets = fields(one(f, 7) or ""), {}
  for _, bytes in ipairs(f[8] or {}) do
    local o = fields(bytes)
    opsets[one(o, 1) or ""] = one(o, 2) or 0
  end
  local constants = {}
  for _, bytes in ipairs(graph[5] or {}) do constants[one(fields(bytes), 8) or ""] = true end
  local inputs = {}
  for _, v in ipairs(values(graph[11])) do
    if not constants[v.name] then inputs[#inputs + 1] = v end
  end
  return { opsets = opsets, nodes = nodes(graph, {}), inputs = inputs, outputs = values(graph[12]) }
end

return pb
