-- digit_mels.lua - spoken digits as pictures of their spectra, for recipes/onnx_digits.lua: the Free Spoken Digit Dataset
-- (CC BY-SA 4.0, github Jakobovski/free-spoken-digit-dataset: WAV, 8 kHz, DIGIT_SPEAKER_NUMBER.wav) through openwakeword's
-- melspectrogram.onnx, which tools/wheel_files.py takes out of a wheel.
--
--   tlua tools/digit_mels.lua FOLDER_OF_WAV data/onnx/melspectrogram.onnx data/digits.safetensors
--
-- Writes images (N, 76, 76, 1), whose right part beyond 32 columns is zero, since pictures are squares here, labels and
-- test_images, test_labels: as the data set's authors divide it, numbers 0 to 4 of
-- each speaker and digit are for testing. A recording is doubled to 16 kHz and lies in the middle of 0.775 s, or is cut to
-- that: the 76 frames that the embedding looks at.
local tlua = require "tlua"
local core = require "tlua.core"
local folder, model, out = arg[1], arg[2], arg[3]
if not out then error("digit_mels.lua FOLDER melspectrogram.onnx OUT.safetensors", 0) end
local FRAMES, SAMPLES = 76, 512 + 160 * 75

-- The samples of a WAV of 16 bits, one channel, 8 kHz.
local function wave(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  local at, channels, rate, bits, data = 13, 0, 0, 0, nil
  while at + 8 <= #bytes and not data do
    local id, size = string.unpack("<c4I4", bytes, at)
    if id == "fmt " then channels, rate, bits = string.unpack("<xxI2I4xxxxxxI2", bytes, at + 8) end
    if id == "data" then data = bytes:sub(at + 8, at + 7 + size) end
    at = at + 8 + size + size % 2
  end
  if not data or channels ~= 1 or rate ~= 8000 or bits ~= 16 then error(path .. " is no WAV of 8 kHz, 16 bits, one channel", 0) end
  local list = {}
  for i = 1, #data - 1, 2 do list[#list + 1] = (string.unpack("<i2", data, i)) end
  return list
end

-- Twice as many samples, with those between as the mean of their neighbours, in the middle of SAMPLES.
local function stretched(list)
  local double = {}
  for i, x in ipairs(list) do
    double[2 * i - 1], double[2 * i] = x, (x + (list[i + 1] or x)) / 2
  end
  local y, skip = {}, (#double - SAMPLES) // 2
  for i = 1, SAMPLES do y[i] = double[i + skip] or 0 end
  return y
end

local names = {}
for line in io.popen(("ls '%s'"):format(folder)):lines() do
  if line:match "^%d_%a+_%d+%.wav$" then names[#names + 1] = line end
end
if #names == 0 then error(folder .. " has no files like 0_george_0.wav", 0) end

local net = tlua.models.onnx { path = model }
net:eval()
local parts = { [""] = { x = {}, y = {} }, test_ = { x = {}, y = {} } }
for _, name in ipairs(names) do
  local digit, number = name:match "^(%d)_%a+_(%d+)%.wav$"
  local part = parts[tonumber(number) < 5 and "test_" or ""]
  table.insert(part.x, stretched(wave(folder .. "/" .. name)))
  table.insert(part.y, tonumber(digit))
end
local result = {}
for prefix, part in pairs(parts) do
  local rows = {}
  for i = 1, #part.x do
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    local mel = net(tlua.tensor { part.x[i] })
    rows[i] = mel:reshape(-1):tolist()
    for k, v in ipairs(rows[i]) do rows[i][k] = v / 10 + 2 end -- as openwakeword scales it
  end
  local spectra = tlua.tensor(rows):reshape(#rows, FRAMES, 32, 1)
  result[prefix .. "images"] = spectra:pad { after = { 0, 0, FRAMES - 32, 0 } }
  result[prefix .. "labels"] = tlua.tensor(part.y, { dtype = "int32" })
end
core.save(out, result)
print(("%s: %d recordings, %d of them for testing"):format(out, #names, #parts.test_.y))
