-- dicom.lua - DICOM in Lua: every form of pixels against pydicom's values, what a file says of itself, what is refused.
-- Run by `tlua tests/lua/dicom.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local dicom = core.dicom

local GOLDEN = "tests/golden/dicom/"
local folder = t.folder()

local function slurp(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end
local function spit(name, bytes)
  local path = folder .. "/" .. name
  local f <close> = assert(io.open(path, "wb"))
  f:write(bytes)
  return path
end

t.test("values are pydicom's to the bit", function()
  local n = 0
  for name, want in pairs(core.load "tests/golden/dicom.safetensors") do
    local file, what = name:match "^(.*)%.(%a+)$"
    local x = dicom.read(GOLDEN .. file .. ".dcm", { stored = what == "stored" })
    t.equal(table.concat(x:shape(), "x"), table.concat(want:shape(), "x"), name)
    t.equal(t.distance(x, want), 0, name)
    n = n + 1
  end
  assert(n >= 40, n)
end)

t.test("what a file says of itself", function()
  local a = dicom.info(GOLDEN .. "explicit.dcm")
  t.equal(("%d %d %d %d %d %s"):format(a.rows, a.columns, a.frames, a.samples, a.bits, a.signed), "12 16 1 1 16 true")
  t.equal(table.concat({ a.modality, a.sex, a.age, a.manufacturer, a.body_part, a.laterality, a.patient,
    a.series, a.study }, " "),
    "CT F 042Y Nobody CHEST L P-17 1.2.826.0.1.3 1.2.826.0.1.2")
  t.equal(table.concat(a.spacing, " ") .. " " .. a.thickness, "0.5 0.75 2.5")
  t.equal(table.concat(a.position, " "), "-10.5 20.25 7.0")
  t.equal(table.concat(a.orientation, " "), "1.0 0.0 0.0 0.0 1.0 0.0")
  t.equal(#a.windows .. " " .. a.windows[2].centre .. " " .. a.windows[2].width, "2 -600.5 1500.0")
  for _, v in pairs(a) do assert(not tostring(v):find "Secret" and not tostring(v):find "1970", v) end
  local g = dicom.info(GOLDEN .. "groups.dcm")
  t.equal(table.concat(g.orientation, " ") .. " " .. table.concat(g.position, " "),
    "0.0 1.0 0.0 0.0 0.0 -1.0 10.0 1.0 2.0")
end)

t.test("single frames, and dark turned to light", function()
  local all = dicom.read(GOLDEN .. "groups.dcm")
  local one = dicom.read(GOLDEN .. "groups.dcm", { frame = 2 })
  t.equal(t.distance(one:reshape(1, 12, 16), all:slice { axis = 1, start = 1, length = 1 }), 0)
  t.fails("frame 4, and there are 3", dicom.read, GOLDEN .. "groups.dcm", { frame = 4 })
  local dark = dicom.read(GOLDEN .. "monochrome1.dcm")
  local light = dicom.read(GOLDEN .. "monochrome1.dcm", { invert = true })
  t.equal(t.distance(light, dark:neg() + 4095), 0)
  local grey = dicom.read(GOLDEN .. "explicit.dcm", { invert = true })
  t.equal(t.distance(grey, dicom.read(GOLDEN .. "explicit.dcm")), 0) -- MONOCHROME2 stays
end)

-- ---- what is refused ----

-- The explicit file with the element's value changed; elements with two bytes of length.
local function changed(tag, value)
  local bytes = slurp(GOLDEN .. "explicit.dcm")
  local at = assert(bytes:find(tag, 133, true))
  local length = string.unpack("<I2", bytes, at + 6)
  return bytes:sub(1, at + 5) .. string.pack("<s2", value) .. bytes:sub(at + 8 + length)
end
local function replaced(bytes, old, new)
  local from, to = bytes:find(old, 1, true)
  return bytes:sub(1, assert(from, "not there") - 1) .. new .. bytes:sub(to + 1)
end
local function tag(group, element, kind) return string.pack("<I2I2", group, element) .. kind end
local function short(v) return string.pack("<I2", v) end

local function refused(what, bytes)
  local path = spit("broken.dcm", bytes)
  local ok, text = pcall(dicom.read, path)
  assert(not ok, what)
  text = tostring(text)
  assert(text:find(what, 1, true), text .. " is not " .. what)
  assert(text:find("broken.dcm: ", 1, true) and not text:find "P%-17" and not text:find "Secret", text)
  assert(not text:match "^[^\n]*broken.dcm[^\n]*\n[^ ]", text)
end

t.test("broken files", function()
  local whole = slurp(GOLDEN .. "explicit.dcm")
  refused("the file is empty", "")
  refused("no DICOM file", "this is a text, and no picture of anything")
  refused("its pixels have 384 bytes, and 1 x 13 x 16 of 16 bits with 1 numbers each have 416",
    changed(tag(0x28, 0x10, "US"), short(13)))
  refused("its pixels have 384 bytes", changed(tag(0x28, 0x10, "US"), short(6)))
  refused("its picture has 0 x 16 pixels", changed(tag(0x28, 0x10, "US"), short(0)))
  refused("13 bits a pixel", changed(tag(0x28, 0x100, "US"), short(13)))
  refused("17 bits up to bit 15 are said to stand in 16", changed(tag(0x28, 0x101, "US"), short(17)))
  refused("4 numbers a pixel", changed(tag(0x28, 0x02, "US"), short(4)))
  refused('are called "NOTHING"', changed(tag(0x28, 0x04, "CS"), "NOTHING "))
  refused("says that it has 384 bytes, and 200 are left", whole:sub(1, -185))
  refused("a DICOM file without pixels of modality CT", whole:sub(1, whole:find(tag(0x7fe0, 0x10, "OW"), 1, true) - 1))
  refused("(0028,0010) has no type", replaced(whole, tag(0x28, 0x10, "US"), tag(0x28, 0x10, "?!")))
  -- A private element that lies about its length.
  refused("element (0009,1001) of the DICOM file says that it has 65000 bytes",
    replaced(whole, tag(9, 0x1001, "LO") .. "\8\0", tag(9, 0x1001, "LO") .. short(65000)))
  refused("(transfer syntax 1.2.840.10008.1.9.9), which is not read",
    replaced(whole, "1.2.840.10008.1.2.1\0", "1.2.840.10008.1.9.9\0"))
  refused("0 frames", replaced(whole, tag(0x28, 2, "US"), tag(0x28, 8, "IS") .. short(2) .. "0 " .. tag(0x28, 2, "US")))
end)

t.test("a header of 100 MB takes no memory", function()
  local whole = slurp(GOLDEN .. "explicit.dcm")
  local at = whole:find(tag(0x28, 2, "US"), 1, true)
  local private = tag(0x27, 0x1001, "OB") .. "\0\0" .. string.pack("<I4", 100 * 1024 * 1024)
  local path = spit("broken.dcm", whole:sub(1, at - 1) .. private)
  local f <close> = assert(io.open(path, "r+b"))
  f:seek("end", 100 * 1024 * 1024)
  f:write(whole:sub(at))
  f:close()
  local _, text = pcall(dicom.read, path)
  assert(tostring(text):find("more than 64 MB stand before the pixels", 1, true), text)
  -- As deep as one likes.
  local open = tag(0x28, 0x3000, "SQ") .. "\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
  local deep = whole:sub(1, at - 1) .. open:rep(100)
  refused("more than 24 deep", deep)
end)

t.test("compressed files that are not what they say", function()
  local jls = slurp(GOLDEN .. "jpeg_ls.dcm")
  local sof = assert(jls:find("\xff\xf7", 1, true))
  local function put(bytes, at, text) return bytes:sub(1, at - 1) .. text .. bytes:sub(at + #text) end
  refused("frame 1 says that it has 2000 x 16 pixels", put(jls, sof + 5, string.pack(">I2", 2000)))
  refused("frame 1 has numbers of 20 bits", put(jls, sof + 4, "\20"))
  refused("is no JPEG-LS picture", put(jls, sof, "\0\0"))
  refused("the file ends within them", jls:sub(1, -30))
  local rle = slurp(GOLDEN .. "rle.dcm")
  local at = assert(rle:find("\2\0\0\0\x40\0\0\0", 1, true))
  refused("its runs do not fill it", put(rle, at, "\3\0\0\0"))
  refused("its runs do not fill it", put(rle, at + 8, "\xff\xff\0\0"))
  refused("its runs do not fill it", put(rle, at + 64, ("\x80"):rep(100)))
  refused("it says that it has 7 frames, and there are 5 pieces",
    replaced(slurp(GOLDEN .. "jpeg_pieces.dcm"), tag(0x28, 8, "IS") .. "\2\0002 ", tag(0x28, 8, "IS") .. "\2\0007 "))
end)

t.test("a rescale slope or intercept that is no number is refused, an empty one is none", function()
  local scanner = dofile "tests/lua/run_scanner.lua"
  local path = t.folder() .. "/rescale.dcm"
  local function read(slope, intercept)
    scanner.write(path, { slope = slope, intercept = intercept, value = function(x) return x end })
    return dicom.read(path):amax():item()
  end
  t.equal(read(2, 1), 31)
  t.equal(read("", " "), 15)
  t.fails("rescale.dcm: the DICOM file is damaged: its rescale slope is no number; get it anew", read, "abc", 0)
  t.fails("rescale.dcm: the DICOM file is damaged: its rescale intercept is no number; get it anew", read, 1, "nan")
end)

-- GDCM asserts, jumps and prints where a frame is damaged: none of it may reach the user.
t.test("damaged frames end nothing and print nothing", function()
  if os.getenv "ASAN_OPTIONS" then return end -- sanitizers refuse the precautions of src/io/dicom_gdcm.cpp
  local out, err = folder .. "/out", folder .. "/err"
  local code = [[
    local dicom, core = require("tlua.core").dicom, require "tlua.core"
    local said = 0
    for _, name in ipairs { "jpeg_lossless", "jpeg_ls", "j2k", "j2k_rct", "jpeg_422", "jpeg_pieces" } do
      local f = assert(io.open("tests/golden/dicom/" .. name .. ".dcm", "rb"))
      local bytes = f:read "a"
      f:close()
      local from = bytes:find("\xe0\x7f\x10\0O", 1, true) + 20
      local state = 12345
      local function draw(n)
        state = (state * 1103515245 + 12345) & 0x7fffffff
        return (state >> 8) % n
      end
      for i = 1, 400 do
        local b = bytes
        for k = 1, 1 + draw(4) do
          local at = from + draw(#bytes - from - 8)
          b = b:sub(1, at - 1) .. string.char(draw(256)) .. b:sub(at + 1)
        end
        local g = assert(io.open(FOLDER .. "/damaged.dcm", "wb"))
        g:write(b)
        g:close()
        local ok, text = pcall(dicom.read, FOLDER .. "/damaged.dcm", { stored = true })
        if not ok then said = said + 1 assert(tostring(text):find("damaged.dcm: ", 1, true), text) end
      end
    end
    print("refused", said > 100)
  ]]
  local script = spit("damage.lua", ("local FOLDER = %q\n"):format(folder) .. code)
  local ok, how, status = os.execute(("./tlua %s >%s 2>%s"):format(script, out, err))
  assert(ok, ("%s %s: %s"):format(how, status, slurp(err)))
  t.equal(slurp(out), "refused\ttrue\n")
  t.equal(slurp(err), "")
end)

t.test("without the library uncompressed files are read", function()
  local code = 'local d = require("tlua.core").dicom print(d.read("tests/golden/dicom/rle.dcm")) ' ..
    'print(pcall(d.read, "tests/golden/dicom/j2k.dcm"))'
  local f <close> = assert(io.popen(("TLUA_DICOM_LIBRARY=/nowhere.so ./tlua -e '%s' 2>&1"):format(code)))
  local text = f:read "a"
  assert(text:find("(12, 16) float32", 1, true), text)
  assert(text:find("compressed DICOM needs libtlua_dicom.so: apt-get install libgdcm-dev g++, then make", 1, true),
    text)
end)

os.execute("rm -r " .. folder)
t.finish()
