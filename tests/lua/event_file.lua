-- event_file.lua - TensorBoard's events: checksums, records, what a run writes and what it writes after --resume. The reader here is its own;
-- the real one is asked by tests/interop.py. Run by `tlua tests/lua/event_file.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local core = require "tlua.core"
local event_file = require "tlua.run.event_file"
local folder = t.folder()
pictures.idx(folder .. "/idx", 40)

-- CRC-32C bit by bit.
local function crc32c(text)
  local c = 0xFFFFFFFF
  for i = 1, #text do
    c = c ~ text:byte(i)
    for _ = 1, 8 do c = (c & 1 == 1) and (c >> 1) ~ 0x82F63B78 or c >> 1 end
  end
  return ~c & 0xFFFFFFFF
end

local function check(text, masked)
  local rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
  assert(((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF == crc32c(text), "a checksum is wrong")
end

local function varint(text, at)
  local n, shift = 0, 0
  while true do
    local b = text:byte(at)
    n, shift, at = n | (b & 127) << shift, shift + 7, at + 1
    if b < 128 then return n, at end
  end
end

-- field number -> list of values of a message.
local function fields(text)
  local out, at = {}, 1
  while at <= #text do
    local tag, value
    tag, at = varint(text, at)
    local wire = tag & 7
    if wire == 0 then value, at = varint(text, at)
    elseif wire == 1 then value, at = string.unpack("<d", text, at)
    elseif wire == 5 then value, at = string.unpack("<f", text, at)
    else
      local n
      n, at = varint(text, at)
      value, at = text:sub(at, at + n - 1), at + n
    end
    out[tag >> 3] = out[tag >> 3] or {}
    table.insert(out[tag >> 3], value)
  end
  return out
end

local function the_file(run)
  local found
  for _, name in ipairs(core.list_folder(run)) do
    if name:find "tfevents" then
      assert(not found, "two files")
      found = run .. "/" .. name
    end
  end
  return found
end

-- All events of a file: { {step =, tag = value}, ... }, and its text.
local function events(run)
  local text, at, list = core.read_file(the_file(run)), 1, {}
  while at <= #text do
    local length = string.unpack("<I8", text, at)
    check(text:sub(at, at + 7), (string.unpack("<I4", text, at + 8)))
    local data = text:sub(at + 12, at + 11 + length)
    check(data, (string.unpack("<I4", text, at + 12 + length)))
    at = at + 16 + length
    local e = fields(data)
    local row = { step = e[2][1], version = e[3] and e[3][1] }
    assert(math.abs(e[1][1] - os.time()) < 1000, "the time is not now")
    for _, value in ipairs(e[5] and fields(e[5][1])[1] or {}) do
      local v = fields(value)
      row[v[1][1]] = v[2][1]
    end
    list[#list + 1] = row
  end
  return list
end

-- As text, without the seconds that epochs took.
local function as_text(list)
  local lines = {}
  for i, row in ipairs(list) do
    local names, parts = {}, {}
    for name in pairs(row) do
      if name ~= "epoch/seconds" then names[#names + 1] = name end
    end
    table.sort(names)
    for k, name in ipairs(names) do parts[k] = ("%s=%s"):format(name, tostring(row[name])) end
    lines[i] = table.concat(parts, " ")
  end
  return table.concat(lines, "\n")
end

t.test("CRC-32C", function()
  t.equal(event_file.crc32c "123456789", 0xE3069283)
  t.equal(event_file.crc32c "", 0)
  t.equal(event_file.crc32c(("\0"):rep(32)), 0x8A9136AA) -- RFC 3720, B.4
end)

t.test("records", function()
  local run = folder .. "/records"
  core.mkdirs(run)
  local f = event_file.open(run)
  for step = 1, 200 do f:scalars(step * 1000, { ["a/b"] = step / 8, c = -step }) end
  f:scalars(1 << 40, { c = 1 / 0 })
  f:flush()
  local list = events(run)
  t.equal(#list, 202)
  t.equal(list[1].version, "brain.Event:2")
  t.equal(list[2].step, 1000)
  t.equal(list[2]["a/b"], 0.125)
  t.equal(list[201].c, -200.0)
  t.equal(list[202].step, 1 << 40)
  t.equal(list[202].c, 1 / 0)
end)

local LINE = ("./tlua recipes/fashion_fe.lua --weights none --data.size 32 --data.batch 8 --schedule.epochs 4 --data.root %s/idx"):format(folder)

t.test("a run writes them, and after --resume nothing twice", function()
  local run = folder .. "/whole"
  local status, _, err = t.run(("%s --log tensorboard --out %s"):format(LINE, run))
  t.equal(status, 0, err)
  local list = events(run)
  t.equal(#list, 1 + 4 * 5 + 4) -- the version, 5 steps and one summary an epoch
  t.equal(list[2].step, 1)
  assert(math.abs(list[2]["step/learning_rate"] - 1e-3) < 1e-9)
  local loss = 0
  for i = 2, 6 do loss = loss + list[i]["step/loss"] / 5 end
  assert(math.abs(loss - list[7]["epoch/loss"]) < 1e-5, "the mean of the steps is not the epoch's")
  local row = core.read_file(run .. "/metrics.csv"):match "\n4,([^\n]+)"
  t.equal(("%.4f"):format(list[#list]["epoch/test_accuracy"]), row:match "^[^,]+,[^,]+,[^,]+,[^,]+,([^,]+)")
  t.equal(list[#list].step, 4)
  local before = as_text(list)
  -- From the checkpoint before the last one: its epochs are computed again, and their events are there once.
  status, _, err = t.run(("%s --log tensorboard --resume %s/previous.safetensors"):format(LINE, run))
  t.equal(status, 0, err)
  t.equal(as_text(events(run)), before)
end)

t.test("without being asked for there are none", function()
  local status, _, err = t.run(("%s --schedule.epochs 1 --out %s/plain"):format(LINE, folder))
  t.equal(status, 0, err)
  t.equal(the_file(folder .. "/plain"), nil)
  status, _, err = t.run(LINE .. " --log wandb")
  assert(status == 2 and err:find("one of none, tensorboard is needed, not 'wandb'", 1, true), err)
end)

os.execute("rm -rf " .. folder)
t.finish()
