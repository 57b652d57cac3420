-- waves.lua - sources, steps and batches of sound in Lua, and what is refused. Run by `tlua tests/lua/waves.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local data, audio = core.data, core.audio

local folder = t.folder()
local function tone(rate, count, strength)
  local x = {}
  for i = 1, count do x[i] = (strength or 0.5) * math.sin(i * 440 / rate * 2 * math.pi) end
  return core.tensor(x)
end
local paths, texts = {}, {}
for i = 1, 6 do
  paths[i], texts[i] = ("%s/%d.wav"):format(folder, i), "number " .. i
  audio.write(paths[i], tone(8000, 1000 * i), 8000)
end
local records = { waves = paths, texts = texts, labels = { 0, 1, 0, 1, 0, 1 }, classes = { "a", "b" } }

t.test("what a source of sound has", function()
  local s = data.source("records", records)
  local said = {}
  for i, f in ipairs(s:fields()) do said[i] = f.name .. ":" .. f.kind end
  t.equal(table.concat(said, " "), "label:label wave:wave text:text")
  t.equal(s:seconds(2) .. " " .. s:text(3) .. " " .. s:label(4), "0.25 number 3 1")
  local x, rate, heard = s:wave(2, 16000)
  t.equal(x:shape()[1] .. " " .. rate .. " " .. #heard.silent, "4000 16000 0")
  local view = data.subset(s, { 6, 1 })
  t.equal(view:text(1) .. " " .. view:seconds(1), "number 6 0.75")
  local silent = data.source("records", { waves = paths, labels = records.labels, classes = records.classes })
  assert(s:hash() ~= silent:hash()) -- without texts
  t.fails("there is no sample 7 of 6", s.text, s, 7)
  t.fails("a source of sound has no pictures", s.read, s, 1)
end)

t.test("parts of files, and sound in memory", function()
  local s = data.source("records", { waves = { paths[6], paths[6], folder .. "/nowhere.wav" }, first = { 0, 4000, 0 },
    count = { 2000, 0, 0 } })
  t.equal(s:seconds(1) .. " " .. s:seconds(2) .. " " .. tostring(s:seconds(3)), "0.25 0.25 nil")
  t.equal(s:name(2), paths[6] .. "#4000")
  t.equal(s:text(1), nil)
  t.fails("nowhere.wav: cannot be opened", s.wave, s, 3)
  local x = tone(8000, 500)
  local m = data.source("records", { waves = { x, tone(8000, 900) }, rate = 8000 })
  t.equal(m:name(2) .. " " .. m:seconds(1), "waves#2 0.0625")
  assert(t.distance(m:wave(1), x) == 0)
  t.equal(data.source("records", { waves = { x, x }, rate = { 8000, 16000 } }):seconds(2), 0.03125)
end)

t.test("batches", function()
  local s = data.source("records", records)
  local p = data.pipeline { { "rate", rate = 16000 } }
  t.equal(p:text(), "rate(rate=16000)")
  local loader <close> = data.loader(s, p, { batch = 4 })
  t.equal(loader:batches(), 2)
  loader:start(0)
  local x, labels, n, indices, share, more = loader:next()
  t.equal(n .. " " .. table.concat(x:shape(), "x") .. " " .. table.concat(indices, ",") .. " " .. share,
    "4 4x8000 1,2,3,4 1.0")
  t.equal(table.concat(labels:tolist(), ","), "0,1,0,1")
  t.equal(table.concat(more.length_list, ",") .. " " .. more.rate, "2000,4000,6000,8000 16000")
  t.equal(more.lengths:dtype() .. " " .. table.concat(more.lengths:tolist(), ","), "int32 2000,4000,6000,8000")
  t.equal(table.concat(more.text, ","), "number 1,number 2,number 3,number 4")
  t.equal(x:slice(1, 0, 1):slice(2, 2000, 6000):abs():amax():item(), 0)
  t.equal(table.concat(loader:next():shape(), "x"), "2x12000")
  t.equal(loader:next(), nil)
  local by_seconds <close> = data.loader(s, p, { batch_seconds = 1.6, shuffle = true, seed = 3 })
  by_seconds:start(1)
  local all, longest = 0, 0
  for y, _, m in function() return by_seconds:next() end do
    all, longest = all + m, math.max(longest, y:shape()[1] * y:shape()[2])
  end
  t.equal(all, 6)
  assert(longest <= 1.6 * 16000)
end)

t.test("noises of another source", function()
  local s = data.source("records", records)
  local noise = data.source("records", { waves = { core.randn(4000) }, rate = 8000 })
  local p = data.pipeline { { "rate", rate = 8000 }, { "noise", snr = { 10, 10 }, p = 1 } }
  local loader <close> = data.loader(s, p, { batch = 6, noise = noise })
  noise = nil
  collectgarbage()
  loader:start(0)
  local x, _, _, _, _, more = loader:next()
  local clean = s:wave(6)
  local added = x:slice(1, 5, 1):reshape(-1) - clean
  assert(math.abs(10 * math.log((clean * clean):mean():item() / (added * added):mean():item(), 10) - 10) < 0.01)
  t.equal(more.length_list[6], 6000)
  t.fails("the step noise needs noises", data.loader, s, p, { batch = 6 })
end)

t.test("the check before training", function()
  audio.write(folder .. "/loud.wav", tone(8000, 800, 3), 8000)
  audio.write(folder .. "/silent.wav", core.zeros(800), 8000)
  local s = data.source("records", { waves = { paths[1], folder .. "/loud.wav", folder .. "/silent.wav" } })
  t.fails("1 of 3 clips cannot be learnt from: " .. folder .. "/silent.wav: nothing is heard", data.check, s, "error")
  local use, bad, notes = data.check(s, "skip")
  t.equal(use:count() .. " " .. #bad .. " " .. bad[1].index .. " " .. #notes .. " " .. notes[1].index, "2 1 3 1 2")
  assert(notes[1].reason:find "loud.wav: %d+.%d %% of its samples are at full scale: it was recorded too loud")
end)

t.test("what is refused", function()
  local open = data.source
  t.fails("there are 6 samples, and texts has 1", open, "records", { waves = paths, texts = { "a" } })
  t.fails("waves in memory need their rate", open, "records", { waves = { core.zeros(3) } })
  t.fails("a rate of 10 Hz", open, "records", { waves = { core.zeros(3) }, rate = 10 })
  t.fails("there are no samples", open, "records", { waves = { core.zeros(0) }, rate = 8000 })
  t.fails("waves[2] is no tensor", open, "records", { waves = { core.zeros(3), paths[1] }, rate = 8000 })
  t.fails("records: waves[2] is no text", open, "records", { waves = { paths[1], core.zeros(3) } })
  t.fails("first[1] is no whole number from 0 on", open, "records", { waves = paths, first = -1 })
  t.fails("sound has no masks, boxes or points", open, "records", { waves = { paths[1] }, masks = { paths[1] } })
  t.fails("trim is a step of sound, and resize one of pictures", data.pipeline, { { "resize", size = 3 }, { "trim" } })
end)

os.execute("rm -r " .. folder)
t.finish()
