-- cache.lua - features on disk: the same bits whether computed or found, whatever happened to the files, and never used
-- where anything that they depend on has changed. Run by `tlua tests/lua/cache.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn = tlua.nn
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 40)
pictures.folder(folder .. "/classes", 8)

local function store() return folder .. "/features" end

-- Runs a recipe without its lines on the terminal; returns results and the lines.
local function run(changes)
  local fields = { model = tlua.models.resnet18 {}, freeze = { "*", "!fc.*" }, head = nn.Linear(10), optim = tlua.optim.Adam { lr = 1e-2 },
    data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8 }, schedule = { epochs = 2 }, out = folder .. "/run", cache = { folder = store() } }
  for key, value in pairs(changes or {}) do fields[key] = value end
  if type(fields.cache) == "table" and not fields.cache.folder then fields.cache.folder = store() end
  local lines, out = {}, io.stdout
  io.stdout = { write = function(self, text) lines[#lines + 1] = text return self end, flush = function(self) return self end }
  local ok, result = pcall(function() return tlua.recipe(fields):run { force = true } end)
  io.stdout = out
  if not ok then error(result, 0) end
  return result, table.concat(lines)
end

local function head_hash(r) return r.model.fc.weight:hash() end
local function says(text, pattern) if not text:find(pattern) then error(("no '%s' in:\n%s"):format(pattern, text), 2) end end
local function clear() os.execute("rm -rf " .. store()) end

local function files()
  local list = {}
  for _, name in ipairs(core.exists(store()) and core.list_folder(store()) or {}) do list[#list + 1] = store() .. "/" .. name end
  return list
end

-- The file with so many pictures.
local function file_of(rows)
  for _, path in ipairs(files()) do
    local about = core.data.features_about(path)
    if about and about.rows == rows then return path, about end
  end
  error("there is no file of " .. rows)
end

t.test("computed and found give the same bits", function()
  clear()
  local first, text = run()
  says(text, "cache     after pool %(512, float16%): .- in " .. folder .. "/features, computed once")
  t.equal(#files(), 2)
  local again, found = run()
  says(found, "found, complete")
  t.equal(head_hash(again), head_hash(first))
  t.equal(again.epochs[2].test_loss, first.epochs[2].test_loss)
  local other = run { seed = 1 } -- the head, the order: other numbers, the same features
  assert(head_hash(other) ~= head_hash(first))
end)

t.test("a file cut short goes on from there, with the same bits", function()
  clear()
  local want = head_hash((run()))
  local path, about = file_of(40)
  for _, bytes in ipairs { about.bytes - 1, about.bytes - 12 * (512 * 2 + 4), 5000, 4096, 100, 0 } do
    os.execute(("truncate -s %d %s"):format(bytes, path))
    local r, text = run()
    if bytes > 6000 then says(text, "found, %d+ %% made") end
    t.equal(head_hash(r), want)
    t.equal(core.data.features_about(path).done, 40)
  end
end)

t.test("a flipped bit is noticed and made again", function()
  clear()
  local want = head_hash((run()))
  local path = file_of(40)
  for _, at in ipairs { 20, 4096 + 3, 4096 + 17 * (512 * 2 + 4) + 77, 4096 + 39 * (512 * 2 + 4) + 5 } do
    local file = assert(io.open(path, "r+b"))
    file:seek("set", at)
    local byte = file:read(1):byte()
    file:seek("set", at)
    file:write(string.char(byte ~ 16))
    file:close()
    local r, text = run()
    if at > 4096 and at < 40000 then says(text, "row %d+ of the feature cache is damaged; it is made again from there") end
    t.equal(head_hash(r), want)
  end
end)

t.test("what the features depend on makes another file", function()
  clear()
  run()
  local function made(changes)
    local before = #files()
    run(changes)
    return #files() - before
  end
  t.equal(made(), 0)
  t.equal(made { data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 5 } }, 0)
  t.equal(made { data = tlua.data.cifar10 { root = folder .. "/cifar", size = 40, batch = 8 } }, 2)
  t.equal(made { data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8, interpolation = "bicubic" } }, 2)
  t.equal(made { data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8, limit = 30 } }, 2)
  t.equal(made { cache = { dtype = "float32" } }, 2)
  t.equal(made { freeze = { "*", "!fc.*", "!layer4.*" } }, 2)
  t.equal(made { model = tlua.models.resnet34 {} }, 2)
  core.manual_seed(5)
  local net = tlua.models.resnet18 {}
  net:ready()
  net:save(folder .. "/other.safetensors")
  t.equal(made { model = tlua.models.resnet18 { weights = folder .. "/other.safetensors" } }, 2)
  os.execute(("sleep 1.1; touch %s/cifar/data_batch_1.bin"):format(folder))
  t.equal(made() > 0, true)
end)

t.test("the cut lies where the frozen part ends", function()
  clear()
  local parts = { freeze = { "*", "!layer4.*", "!fc.*" }, cache = { dtype = "float32" } }
  local cached, text = run(parts)
  says(text, "cache     after layer3 %(2 x 2 x 256, float32%)")
  local plain = run { freeze = parts.freeze, cache = false }
  for epoch = 1, 2 do
    assert(math.abs(cached.epochs[epoch].loss - plain.epochs[epoch].loss) < 1e-4, ("%g and %g"):format(cached.epochs[epoch].loss, plain.epochs[epoch].loss))
  end
  local _, half = run { freeze = { "conv1.*", "bn1.*", "layer1.*" } }
  says(half, "after layer1 ")
  local _, none = run { freeze = { "conv1.*", "bn1.*" } }
  says(none, "cache     none: nothing below")
  _, none = run { freeze = { "*", "!fc.*", batchnorm = "train" } }
  says(none, "cache     none: nothing below")
end)

t.test("random views are kept where they are asked for", function()
  clear()
  local augmented = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8, augment = "flip" }
  local _, text = run { data = augmented }
  says(text, "cache     none: training pictures change at random %(%-%-cache.views K")
  local r
  r, text = run { data = augmented, cache = { views = 3, dtype = "float32" }, schedule = { epochs = 4 } }
  says(text, "float32, 3 views%)")
  t.equal(#files(), 4)
  local plain = run { data = augmented, cache = false, schedule = { epochs = 4 } }
  for epoch = 1, 3 do assert(math.abs(r.epochs[epoch].loss - plain.epochs[epoch].loss) < 1e-4) end -- the first epochs see the same pictures
end)

t.test("limits, folders that cannot be written, runs side by side", function()
  clear()
  local r, text = run { cache = { limit = 20000 } }
  says(text, "cache     none: they would take .- the limit is 20 kB %(%-%-cache.limit%)")
  local want = head_hash(r)
  t.equal(#files(), 0)
  local file = io.open(folder .. "/no_folder", "w")
  file:close()
  r, text = run { cache = { folder = folder .. "/no_folder/features" } }
  says(text, "cache     not used for training pictures: ")
  t.equal(head_hash(r), want)
  -- what was not used for longest makes room
  run { cache = { limit = "1 MB" } }
  os.execute(("touch -d '2 days ago' %s/*"):format(store()))
  run { cache = { limit = 120000 }, data = tlua.data.cifar10 { root = folder .. "/cifar", size = 40, batch = 8 } }
  t.equal(#files(), 3)
  -- another program has an unfinished file open
  clear()
  run()
  local path, about = file_of(40)
  os.execute(("truncate -s 6000 %s"):format(path))
  local other = core.data.features(path, about.key, 40, 512, "float16")
  r, text = run()
  says(text, "cache     not used for training pictures: .- another run is making this feature cache")
  t.equal(head_hash(r), want)
  other:close()
  local _, done = run()
  says(done, "found, %d+ %% made")
  other = core.data.features(path, about.key, 40, 512, "float16") -- complete ones are shared
  run()
  other:close()
end)

t.test("a killed run goes on where it stopped, with the same bits", function()
  clear()
  local line = ("./tlua recipes/cifar_fe.lua --model resnet18 --weights none --data.size 160 --data.batch 4 --schedule.epochs 1 --data.root %s/cifar --cache.folder %s --out %s/k --force"):format(
    folder, store(), folder)
  t.equal((t.run(line)), 0)
  local function weights() return core.load(folder .. "/k/model.safetensors")["fc.weight"]:hash() end
  local want = weights()
  clear()
  os.execute(("sh -c '%s >/dev/null 2>&1 & p=$!; sleep 0.9; kill -9 $p'"):format(line))
  os.execute("sleep 0.2")
  local _, out = t.run(line)
  says(out, "cache     after pool")
  t.equal(weights(), want)
end)

t.test("tlua cache list and clear", function()
  clear()
  run()
  local status, out = t.run(("./tlua cache list --folder %s"):format(store()))
  t.equal(status, 0)
  says(out, "resnet18 +pool +CIFAR%-10 +train +40 ")
  says(out, "2 files, ")
  status, out = t.run(("./tlua cache clear nothing --folder %s"):format(store()))
  t.equal(status, 1)
  local held = file_of(40)
  local about = core.data.features_about(held)
  local open = core.data.features(held, about.key, 40, 512, "float16")
  status, out = t.run(("./tlua cache clear --folder %s"):format(store()))
  says(out, "removed 1 files, .-; 1 in use stay")
  open:close()
  status, out = t.run(("./tlua cache clear resnet18 --folder %s"):format(store()))
  says(out, "removed 1 files")
  t.equal(#files(), 0)
  t.equal((t.run "./tlua cache"), 2)
  t.equal((t.run "./tlua cache list more"), 2)
end)

t.test("pictures that cannot be read have no row", function()
  clear()
  local function session(cached)
    return tlua.recipe { model = tlua.models.resnet18 {}, freeze = { "*", "!fc.*" }, head = nn.Linear(3), schedule = { epochs = 2 }, out = folder .. "/bad",
      data = tlua.data.folder { root = folder .. "/classes", size = 32, batch = 4, on_bad = "skip", split = 0.25 },
      cache = cached and { folder = store(), dtype = "float32" } }:build()
  end
  local cached, plain = session(true), session(false)
  local name = cached.data.train:name(5)
  local file = assert(io.open(name, "wb")) -- after the check that comes first
  file:write "no picture"
  file:close()
  local losses = {}
  for i, s in ipairs { cached, plain } do
    local out = io.stdout
    io.stdout = { write = function(self) return self end, flush = function(self) return self end }
    local ok, r = pcall(require("tlua.train").run, s, { force = true })
    io.stdout = out
    assert(ok, r)
    losses[i] = r.epochs[2].loss
  end
  assert(math.abs(losses[1] - losses[2]) < 1e-4, ("%g and %g"):format(losses[1], losses[2]))
  local f = core.data.features(folder .. "/missing.features", ("a"):rep(64), 3, 4, "float16")
  f:append(core.ones(1, 4))
  f:append_missing(1)
  f:append(core.ones(1, 4) * 2)
  t.equal(f:missing(1), false)
  t.equal(f:missing(2), true)
  t.equal(f:read({ 3, 1 }):sum():item(), 12.0)
  local ok, why = core.data.features(folder .. "/large.features", ("b"):rep(64), 3, 4, "float16"):append(core.ones(1, 4) * 1e5)
  t.equal(ok, nil)
  says(why, "100000 does not fit float16")
  f:close()
end)

os.execute("rm -rf " .. folder)
t.finish()
