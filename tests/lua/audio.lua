-- audio.lua - sound files in Lua: what they are, reading, writing, other rates and streams.
-- Run by `tlua tests/lua/audio.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local audio = core.audio

local folder = t.folder()
local function tone(rate, seconds, hertz)
  local x = {}
  for i = 1, math.floor(rate * seconds) do x[i] = 0.5 * math.sin(2 * math.pi * hertz * (i - 1) / rate) end
  return core.tensor(x)
end

t.test("what is written is read again", function()
  local x = tone(8000, 0.5, 440)
  for _, name in ipairs { "a.wav", "a.flac" } do
    local path = folder .. "/" .. name
    audio.write(path, x, 8000)
    local about = audio.info(path)
    t.equal(("%d %d %d %g"):format(about.rate, about.channels, about.frames, about.seconds), "8000 1 4000 0.5")
    t.equal(about.coding, "Signed 16 bit PCM")
    local y, rate, heard = audio.read(path)
    t.equal(rate, 8000)
    assert(t.distance(y, x) < 1e-4)
    t.equal(#heard.silent .. " " .. heard.clipped .. " " .. heard.channels, "0 0.0 1")
    assert(math.abs(heard.peak - 0.5) < 1e-3)
    t.equal(audio.read(path, { from = 0.1, seconds = 0.2 }):shape()[1], 1600)
    t.equal(audio.read(path, { from = 0.4, seconds = 9, rate = 16000 }):shape()[1], 1600) -- what is there
    t.fails("from second 0.5 is behind its end; it has 0.50 s", audio.read, path, { from = 0.5 })
    t.fails("channel 2, and there is 1", audio.read, path, { channel = 2 })
  end
end)

t.test("other rates are those of soxr", function()
  local golden = core.load "tests/golden/resampling.safetensors"
  local n = 0
  for name, want in pairs(golden) do
    local from, to = name:match "^(%d+) to (%d+)$"
    if from then
      n = n + 1
      local y = audio.resample(golden[from], math.tointeger(from), math.tointeger(to))
      t.equal(y:shape()[1], want:shape()[1], name)
      assert(t.distance(y, want) < 1e-5, name)
    end
  end
  t.equal(n, 5)
end)

t.test("streams", function()
  local path = folder .. "/a.wav"
  local whole = audio.read(path, { rate = 16000 })
  local s <close> = audio.open(path, { rate = 16000 })
  t.equal(s:rate(), 16000)
  local parts = {}
  for x in function() return s:read(0.13) end do parts[#parts + 1] = x end
  t.equal(#parts, 4)
  assert(t.distance(core.ops.concat(table.unpack(parts)), whole) == 0)
  t.equal(s:read(1), nil)
  s:close()
  t.fails("this sound was closed", s.read, s, 1)
  -- A pipe, with a header and without.
  local script = folder .. "/pipe.lua"
  local file = io.open(script, "w")
  file:write [[
    local core = require "tlua.core"
    local n, s = 0, core.audio.open("-", { rate = 16000, raw_rate = math.tointeger(arg[1]) })
    for x in function() return s:read(0.1) end do n = n + x:shape()[1] end
    print(n)]]
  file:close()
  for _, command in ipairs { ("cat %s | ./tlua %s"):format(path, script), ("./tlua %s <%s"):format(script, path),
    ("tail -c +45 %s | ./tlua %s 8000"):format(path, script) } do
    local status, out, err = t.run(command)
    t.equal(out, "8000\n", err)
    t.equal(status, 0)
  end
  local _, _, err = t.run("echo no sound at all | ./tlua " .. script)
  assert(err:find("standard input: no WAV header at the front; for samples alone (16 bits, one channel) " ..
    "say their rate (--rate 16000, in Lua raw_rate = 16000)", 1, true), err)
end)

t.test("what is refused", function()
  t.fails("no sound file of a known format", audio.info, "tests/lua/audio.lua")
  t.fails("nowhere.wav: cannot be opened: No such file", audio.read, folder .. "/nowhere.wav")
  t.fails("a folder, not a sound file", audio.read, folder)
  t.fails("unknown option of read: 'rat'; did you mean 'rate'?", audio.read, folder .. "/a.wav", { rat = 1 })
  t.fails("too many arguments", audio.info, folder .. "/a.wav", 1)
  t.fails("rate", audio.read, folder .. "/a.wav", { rate = 10 })
  t.fails("seconds is 0", audio.read, folder .. "/a.wav", { seconds = 0 })
  t.fails("audio.write: a float32 tensor (T) is needed", audio.write, folder .. "/b.wav", core.tensor { { 1 } }, 8000)
  t.fails("sound is written as .wav or .flac", audio.write, folder .. "/b.mp3", tone(8000, 0.1, 100), 8000)
  t.fails("a rate of 5 Hz", audio.resample, tone(8000, 0.1, 100), 8000, 5)
  local x = tone(8000, 0.1, 100)
  t.fails("sample 1 is not a number", audio.write, folder .. "/b.wav", x * (0 / 0), 8000)
end)

os.execute("rm -r " .. folder)
t.finish()
