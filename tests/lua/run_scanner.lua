-- run_scanner.lua - makes DICOM files for tests: explicit little endian, 16 bits, by formula. Returned by
-- `dofile "tests/lua/run_scanner.lua"`.
local scanner = {}

local LONG = { OB = true, OW = true, SQ = true, UN = true }

-- An element; texts are padded to an even length, UIDs with a zero.
function scanner.element(group, element, kind, value)
  local pad = #value % 2 == 1 and (kind == "UI" and "\0" or " ") or ""
  value = value .. pad
  local head = string.pack("<I2I2", group, element) .. kind
  if LONG[kind] then return head .. "\0\0" .. string.pack("<s4", value) end
  return head .. string.pack("<s2", value)
end
local element = scanner.element

-- A sequence of data sets given as texts, which are lists of elements.
function scanner.sequence(group, number, items)
  local list = {}
  for i, each in ipairs(items) do list[i] = string.pack("<I2I2s4", 0xfffe, 0xe000, each) end
  return element(group, number, "SQ", table.concat(list))
end

local function short(v) return string.pack("<I2", v) end

local function texts(v)
  if type(v) ~= "table" then return tostring(v) end
  local list = {}
  for i, each in ipairs(v) do list[i] = ("%g"):format(each) end
  return table.concat(list, "\\")
end

-- name = { group, element, type }, in the order of a file; numbers of type US are two bytes.
local FIELDS = {
  { "class", 0x8, 0x16, "UI" }, { "uid", 0x8, 0x18, "UI" }, { "modality", 0x8, 0x60, "CS" },
  { "manufacturer", 0x8, 0x70, "LO" }, { "description", 0x8, 0x103e, "LO" }, { "scanner", 0x8, 0x1090, "LO" },
  { "name", 0x10, 0x10, "PN" }, { "patient", 0x10, 0x20, "LO" }, { "born", 0x10, 0x30, "DA" },
  { "sex", 0x10, 0x40, "CS" }, { "age", 0x10, 0x1010, "AS" }, { "thickness", 0x18, 0x50, "DS" },
  { "study", 0x20, 0xd, "UI" }, { "series", 0x20, 0xe, "UI" }, { "number", 0x20, 0x11, "IS" },
  { "instance", 0x20, 0x13, "IS" }, { "position", 0x20, 0x32, "DS" }, { "orientation", 0x20, 0x37, "DS" },
  { "samples", 0x28, 0x2, "US" }, { "photometric", 0x28, 0x4, "CS" }, { "planar", 0x28, 0x6, "US" },
  { "frames", 0x28, 0x8, "IS" }, { "rows", 0x28, 0x10, "US" }, { "columns", 0x28, 0x11, "US" },
  { "spacing", 0x28, 0x30, "DS" }, { "bits_allocated", 0x28, 0x100, "US" }, { "bits", 0x28, 0x101, "US" },
  { "high_bit", 0x28, 0x102, "US" }, { "signed", 0x28, 0x103, "US" }, { "burned", 0x28, 0x301, "CS" },
  { "centre", 0x28, 0x1050, "DS" },
  { "width", 0x28, 0x1051, "DS" }, { "intercept", 0x28, 0x1052, "DS" }, { "slope", 0x28, 0x1053, "DS" },
}

-- Writes a file. f: fields by the names above; those of a CT slice where nothing is said (false: without it); value(x,
-- y): the number of a pixel from 0, of all frames behind one another; `syntax`; `more`: elements between the fields
-- and the pixels.
function scanner.write(path, f)
  local usual = { class = "1.2.840.10008.5.1.4.1.1.2", uid = "1.2.826.0.9." .. #path, modality = "CT", samples = 1,
    photometric = "MONOCHROME2", rows = 16, columns = 16, bits_allocated = 16, bits = 16, signed = 1, intercept = 0,
    slope = 1, orientation = { 1, 0, 0, 0, 1, 0 }, spacing = { 1, 1 } }
  local function of(name)
    if f[name] ~= nil then return f[name] end
    return usual[name]
  end
  usual.high_bit = of "bits" - 1
  local out, rows, columns = {}, of "rows", of "columns"
  for _, field in ipairs(FIELDS) do
    local v = of(field[1])
    if v then
      out[#out + 1] = element(field[2], field[3], field[4], field[4] == "US" and short(v) or texts(v))
    end
  end
  local pixels = f.pixels
  if pixels == nil then
    local list, form = {}, of "bits_allocated" == 8 and "B" or "<i2"
    for y = 0, rows * (tonumber(of "frames") or 1) - 1 do
      for x = 0, columns * of "samples" - 1 do list[#list + 1] = form:pack(f.value and f.value(x, y) or x + y) end
    end
    pixels = table.concat(list)
  end
  out[#out + 1] = f.more or ""
  if pixels then out[#out + 1] = element(0x7fe0, 0x10, "OW", pixels) end
  local meta = element(2, 0x10, "UI", f.syntax or "1.2.840.10008.1.2.1")
  local file <close> = assert(io.open(path, "wb"))
  file:write(("\0"):rep(128), "DICM", element(2, 0, "UL", string.pack("<I4", #meta)), meta, table.concat(out))
  return path
end

-- A folder of patients: `patients` times `slices`, each slice a square whose light says which class its patient has
-- (0 or 1, in turns), on noise of its own. o: size, slices, value and fields of all files. Returns the classes.
function scanner.folder(root, core, o)
  local classes, size = {}, o.size or 16
  for p = 1, o.patients do
    local folder = ("%s/p%02d"):format(root, p)
    core.mkdirs(folder)
    classes[p] = p % 2
    for k = 1, o.slices do
      local fields = { patient = ("SECRET-%02d"):format(p), name = "Hidden^Name", born = "19700101",
        study = ("1.2.826.0.1.%d"):format(p), series = ("1.2.826.0.1.%d.1"):format(p), number = 1, instance = k,
        position = { 0, 0, 2.5 * k }, rows = size, columns = size, sex = p % 3 == 0 and "F" or "M",
        age = ("%03dY"):format(40 + p), manufacturer = p > o.patients // 2 and "Acme" or "Nadir",
        value = function(x, y)
          local inside = math.abs(x - size / 2) < size / 4 and math.abs(y - size / 2) < size / 4
          return (inside and (classes[p] == 1 and 60 or -40) or 0) + (x * 7 + y * 13 + p * 5 + k * 3) % 17
        end }
      for key, v in pairs(o.fields or {}) do fields[key] = v end
      scanner.write(("%s/i%03d.dcm"):format(folder, o.slices + 1 - k), fields) -- names go the other way
    end
  end
  return classes
end

return scanner
