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
local function run(changes, options)
  local fields = { model = tlua.models.resnet18 { width = 8 }, freeze = { "*", "!fc.*" }, head = nn.Linear(10), optim = tlua.optim.Adam { lr = 1e-2 },
    data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8 }, schedule = { epochs = 1 }, out = folder .. "/run", cache = { folder = store() } }
  for key, value in pairs(changes or {}) do fields[key] = value end
  if type(fields.cache) == "table" and not fields.cache.folder then fields.cache.folder = store() end
  local lines, out = {}, io.stdout
  io.stdout = { write = function(self, text) lines[#lines + 1] = text return self end, flush = function(self) return self end }
  local ok, result = pcall(function() return tlua.recipe(fields):run(options or { force = true }) end)
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
  local twice = { schedule = { epochs = 2 } }
  local first, text = run(twice)
  says(text, "cache     after pool %(64, float16%): .- in " .. folder .. "/features, computed once")
  t.equal(#files(), 2)
  local again, found = run(twice)
  says(found, "found, complete")
  t.equal(head_hash(again), head_hash(first))
  t.equal(again.epochs[2].test_loss, first.epochs[2].test_loss)
  twice.seed = 1
  local other = run(twice) -- the head, the order: other numbers, the same features
  assert(head_hash(other) ~= head_hash(first))
end)

t.test("a file cut short goes on from there, with the same bits", function()
  clear()
  local want = head_hash((run()))
  local path, about = file_of(40)
  for _, bytes in ipairs { about.bytes - 1, about.bytes - 12 * (64 * 2 + 4), 5000, 4096, 100, 0 } do
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
  for _, at in ipairs { 20, 4096 + 3, 4096 + 17 * (64 * 2 + 4) + 77, 4096 + 39 * (64 * 2 + 4) + 5 } do
    local file = assert(io.open(path, "r+b"))
    file:seek("set", at)
    local byte = file:read(1):byte()
    file:seek("set", at)
    file:write(string.char(byte ~ 16))
    file:close()
    local r, text = run()
    if at > 4096 and at < 4096 + 39 * (64 * 2 + 4) then says(text, "row %d+ of the feature cache is damaged; it is made again from there") end
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
  t.equal(made { model = tlua.models.resnet34 { width = 8 } }, 2)
  core.manual_seed(5)
  local net = tlua.models.resnet18 { width = 8 }
  net:ready()
  net:save(folder .. "/other.safetensors")
  t.equal(made { model = tlua.models.resnet18 { weights = folder .. "/other.safetensors", width = 8 } }, 2)
  os.execute(("sleep 1.1; touch %s/cifar/data_batch_1.bin"):format(folder))
  t.equal(made() > 0, true)
end)

t.test("the cut lies where the frozen part ends", function()
  clear()
  local parts = { freeze = { "*", "!layer4.*", "!fc.*" }, cache = { dtype = "float32" }, schedule = { epochs = 2 } }
  local cached, text = run(parts)
  says(text, "cache     after layer3 %(2 x 2 x 32, float32%)")
  local plain = run { freeze = parts.freeze, cache = false, schedule = parts.schedule }
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

t.test("limits, and complete files that are shared", function()
  clear()
  local _, text = run { cache = { limit = 5000 } }
  says(text, "cache     none: they would take .- the limit is 5 kB %(%-%-cache.limit%)")
  t.equal(#files(), 0)
  -- what was not used for longest makes room
  run { cache = { limit = "1 MB" } }
  os.execute(("touch -d '2 days ago' %s/*"):format(store()))
  run { cache = { limit = 27000 }, data = tlua.data.cifar10 { root = folder .. "/cifar", size = 40, batch = 8 } }
  t.equal(#files(), 3)
  local path, about = file_of(40)
  local other = core.data.features(path, about.key, 40, 64, "float16") -- complete ones are shared
  run()
  other:close()
end)

-- ---- the same bits, whoever else is at the files ----

t.test("a folder that cannot be written: the features are the run's own", function()
  clear()
  local want = head_hash((run()))
  local file = io.open(folder .. "/no_folder", "w")
  file:close()
  local r, text = run { cache = { folder = folder .. "/no_folder/features" } }
  says(text, "cache     of training pictures is this run's alone and goes with it: .-no_folder")
  says(text, "cache     of test pictures is this run's alone")
  t.equal(head_hash(r), want)
  for _, name in ipairs(core.list_folder(folder .. "/run")) do assert(not name:find "features", name) end
end)

t.test("the batch of training does not change what is kept", function()
  local kept = {}
  for i, batch in ipairs { 8, 5, 40 } do
    clear()
    run { data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = batch }, cache = { dtype = "float32" } }
    kept[i] = core.sha256_file((file_of(40)))
  end
  t.equal(kept[2], kept[1])
  t.equal(kept[3], kept[1])
end)

-- A recipe of a program of its own; its weights, what it said, its exit status.
local function line_of(out, more)
  return ("./tlua recipes/cifar_fe.lua --model resnet18 --model.width 8 --weights none --data.size 32 --data.batch 8 --schedule.epochs 1 --data.root %s/cifar --cache.folder %s --out %s/%s --force %s"):format(
    folder, store(), folder, out, more or "")
end
local function weights_of(out) return core.load(folder .. "/" .. out .. "/model.safetensors")["fc.weight"]:hash() end

-- A program that has the file of 40 pictures open, unfinished, until it is killed. Returns its number.
local function holder(path, key)
  local pipe = io.popen(("./tlua -e 'local c = require \"tlua.core\" F = assert(c.data.features(\"%s\", \"%s\", 40, 512, \"float16\")) print(c.getpid()) io.stdout:flush() c.sleep(60)'"):format(
    path, key))
  return pipe:read "n", pipe
end

t.test("a file that another run is making is waited for", function()
  clear()
  t.equal((t.run(line_of "k")), 0)
  local want = weights_of "k"
  local path, about = file_of(40)
  os.execute(("truncate -s 6000 %s; rm %s/k/log.txt"):format(path, folder))
  local pid, pipe = holder(path, about.key)
  os.execute(("(for i in $(seq 600); do grep -qs waits %s/k/log.txt && break; sleep 0.1; done; kill -9 %d) &"):format(folder, pid)) -- it dies with the file unfinished
  local status, out, err = t.run(line_of "k")
  t.equal(status, 0, err)
  says(out, "cache     waits for another run, which is making the features of these training pictures: " .. (path:gsub("%p", "%%%0")))
  says(out, "cache     waited %d:%d%d for the features of training pictures")
  t.equal(weights_of "k", want)
  pipe:close()
  -- Ctrl-C while it waits
  os.execute(("truncate -s 6000 %s; rm %s/k/log.txt"):format(path, folder))
  pid, pipe = holder(path, about.key)
  status, out, err = t.run(("sh -c 'exec %s' & p=$!; for i in $(seq 600); do grep -qs waits %s/k/log.txt && break; sleep 0.1; done; kill -INT $p; wait $p"):format(line_of "k", folder))
  t.equal(status, 130, err)
  says(out, "stopped in epoch 1 after 0 batches")
  os.execute(("kill -9 %d"):format(pid))
  pipe:close()
  t.equal((t.run("./tlua --resume " .. folder .. "/k")), 0)
  t.equal(weights_of "k", want)
end)

t.test("runs at the same time", function()
  local want = {}
  for i, batch in ipairs { 8, 5 } do
    clear()
    t.equal((t.run(line_of("alone" .. i, "--data.batch " .. batch))), 0)
    want[i] = weights_of("alone" .. i)
  end
  clear()
  local status, out, err = t.run(("%s & p=$!; %s & q=$!; wait $p && wait $q"):format(line_of("beside1", "--data.batch 8"), line_of("beside2", "--data.batch 5")))
  t.equal(status, 0, out .. err)
  for i = 1, 2 do t.equal(weights_of("beside" .. i), want[i]) end
  t.equal(#files(), 2)
end)

t.test("a whole file is read, whoever has locked it", function()
  clear()
  local want = head_hash((run()))
  local path = file_of(40)
  local pipe = io.popen(("exec 8<%s; flock -x 8 && echo $$ && exec sleep 300"):format(path))
  local pid = pipe:read "n"
  local r, text = run()
  assert(not text:find "waits for", text)
  t.equal(head_hash(r), want)
  os.execute(("kill %d"):format(pid))
  pipe:close()
end)

t.test("what is damaged under others is made again beside them", function()
  clear()
  local want = head_hash((run()))
  local path, about = file_of(40)
  local other = core.data.features(path, about.key, 40, 64, "float16")
  local file = assert(io.open(path, "r+b"))
  file:seek("set", 4096 + 17 * (64 * 2 + 4) + 77)
  file:write "?"
  file:close()
  local r, text = run()
  says(text, "row 17 of the feature cache is damaged; it is made again from there")
  t.equal(head_hash(r), want)
  t.equal(other:read({ 40 }):shape()[1], 1) -- what it had is whole but for that row
  local y, why = other:read { 18 }
  t.equal(y, nil)
  says(why, "row 17 of the feature cache is damaged")
  other:close()
  local _, found = run()
  says(found, "found, complete")
end)

t.test("orders that fail while features are made leave nothing half-made", function()
  clear()
  local want, failed = head_hash((run())), 0
  clear()
  core.inject_launch_failure(1000000)
  run()
  local orders = core.inject_launch_failure(0)
  for n = 3, orders // 2, math.max(1, orders // (os.getenv "TLUA_TEST_WHOLE" and 14 or 8)) do
    clear()
    core.inject_launch_failure(n, "device")
    local ok, e = pcall(run)
    core.inject_launch_failure(0)
    if not ok then
      failed = failed + 1
      says(e, "a launch was made to fail")
    end
    t.equal(head_hash((run())), want, ("the head of a run after one whose order %d failed"):format(n))
  end
  assert(failed > 3, ("%d of %d orders"):format(failed, orders))
end)

t.test("a checkpoint knows what was kept", function()
  clear()
  t.equal((t.run(line_of "cut")), 0)
  local status, out = t.run(line_of("cut", "--cache.limit 5000 --schedule.epochs 2"):gsub("%-%-out %S+", "--resume " .. folder .. "/cut"))
  t.equal(status, 0)
  says(out, "resumed   with other features in the cache %(none; it was after pool, float16%): it goes on, but not to the same bits")
end)

t.test("a killed run goes on where it stopped, with the same bits", function()
  clear()
  local line = ("./tlua recipes/cifar_fe.lua --model resnet18 --model.width 8 --weights none --data.size 320 --data.batch 4 --schedule.epochs 1 --data.root %s/cifar --cache.folder %s --out %s/k --force"):format(
    folder, store(), folder)
  t.equal((t.run(line)), 0)
  local function weights() return core.load(folder .. "/k/model.safetensors")["fc.weight"]:hash() end
  local want = weights()
  clear()
  local pipe = io.popen(("exec 2>&1; %s >/dev/null & echo $!; wait"):format(line))
  local pid, about, begin = pipe:read "n", nil, core.time()
  repeat -- some rows, but not all
    core.sleep(0.01)
    for _, path in ipairs(files()) do
      local a = core.data.features_about(path)
      if a and a.rows == 40 and a.done > 0 then about = a end
    end
    assert(core.time() - begin < 120, "nothing was made")
  until about
  os.execute(("kill -9 %d"):format(pid))
  pipe:close()
  assert(about.done < 40, "all was made already")
  local _, out = t.run(line)
  local percent = out:match "cache     after pool.-, found, (%d+) %% made"
  assert(percent and tonumber(percent) > 0 and tonumber(percent) < 100, out)
  t.equal(weights(), want)
end)

-- f() while the features of some view of a part are beyond float16, `refuse(cut, part, view)` says of which.
local function with_refusal(refuse, why, f)
  local cache = require "tlua.train.cache"
  local open, open_own = cache.open, cache.open_own
  local function changed(real)
    return function(s, cut, part, view)
      local store, reason, busy = real(s, cut, part, view)
      if store and refuse(cut, part, view) then store.fill = function() return nil, why end end
      return store, reason, busy
    end
  end
  cache.open, cache.open_own = changed(open), changed(open_own)
  local ok, e = pcall(f)
  cache.open, cache.open_own = open, open_own
  if not ok then error(e, 0) end
end

t.test("a number beyond float16 makes all views float32, also where the run goes on", function()
  local augmented = { data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8, augment = "flip" }, cache = { views = 2 }, schedule = { epochs = 4 } }
  local function second(cut, part, view) return cut.dtype == "float16" and part == "train" and view == 2 end
  with_refusal(second, "100000 does not fit float16", function()
    clear()
    local whole, text = run(augmented)
    says(text, "cache     after pool %(64, float16, 2 views%)")
    says(text, "cache     a number is beyond float16: all are kept as float32 from here on")
    local types = { float16 = 0, float32 = 0 }
    for _, path in ipairs(files()) do
      local dtype = core.data.features_about(path).dtype
      types[dtype] = types[dtype] + 1
    end
    t.equal(types.float32, 3) -- both views, and the test pictures
    local state = require("tlua.run.checkpoint").peek(folder .. "/run/last.safetensors")
    t.equal(state.features, "after pool, float32, 2 views")
    says(core.read_file(folder .. "/run/report.json"), "after pool, float32")
    -- stopped in the third epoch, which sees the first view again
    local interrupted, n = core.interrupted, 0
    core.interrupted = function() return interrupted() or (require("tlua.run.run_folder") and n < 0) end
    local feed = require "tlua.train.feed"
    local opened = feed.open
    feed.open = function(s, part)
      local f = opened(s, part)
      if part == "train" then
        local start = f.start
        f.start = function(self, epoch, done)
          local halted = start(self, epoch, done)
          n = epoch == 3 and -1 or 0
          return halted
        end
      end
      return f
    end
    local ok, r = pcall(run, augmented)
    core.interrupted, feed.open = interrupted, opened
    assert(ok, r)
    t.equal(r.interrupted, true)
    t.equal(#r.epochs, 2)
    local fields = { resume = folder .. "/run" }
    local resumed, said = run(augmented, fields)
    says(said, "cache     after pool %(64, float32, 2 views%)")
    assert(not said:find "other features", said)
    t.equal(head_hash(resumed), head_hash(whole))
  end)
end)

t.test("where the features can be kept nowhere both reasons are said", function()
  clear()
  core.write_file(folder .. "/no_folder", "")
  with_refusal(function() return true end, "no space is left", function()
    local e = t.fails("no space is left; --cache.folder", run, { cache = { folder = folder .. "/no_folder/features" } })
    says(e, "the features of the training pictures cannot be kept: .-no_folder.-; nor for this run alone: no space is left;")
  end)
end)

t.test("files that are gone, or that somebody has just begun", function()
  clear()
  run()
  local path = store() .. "/gone.features"
  local list = core.list_folder
  core.list_folder = function(name)
    local names = list(name)
    names[#names + 1] = "gone.features"
    return names
  end
  local ok, found = pcall(require("tlua.train.cache").files, store())
  core.list_folder = list
  assert(ok, found)
  t.equal(#found, 2)
  -- begun: locked, without a header
  local pipe = io.popen(("exec 8>%s; flock -x 8 && echo $$ && exec sleep 60"):format(path))
  local pid = pipe:read "n"
  local status, out, err = t.run(("./tlua cache list --folder %s"):format(store()))
  t.equal(status, 0, err)
  says(out, "gone .- %?, in use")
  assert(not out:find "damaged", out)
  run { cache = { limit = 27000 }, data = tlua.data.cifar10 { root = folder .. "/cifar", size = 40, batch = 8 } }
  says(select(2, t.run(("./tlua cache clear --folder %s"):format(store()))), "; 1 in use stay")
  assert(core.exists(path), "it was removed under its writer")
  os.execute(("kill %d"):format(pid))
  pipe:close()
  says(select(2, t.run(("./tlua cache list --folder %s"):format(store()))), "gone .- damaged\n")
  os.remove(path)
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
  local open = core.data.features(held, about.key, 40, 64, "float16")
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
    return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, freeze = { "*", "!fc.*" }, head = nn.Linear(3), schedule = { epochs = 2 }, out = folder .. "/bad",
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
