-- crash.lua - runs that are killed (kill -9) at random moments, resumed, and must end in the same bits as the run that was never
-- stopped; a disk that is full; checkpoints that are damaged. `make test-crash` kills a hundred times, `make test` a few.
--   tlua tests/crash/crash.lua [KILLS [SEED]]
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local core = require "tlua.core"
local kills, seed = tonumber(arg[1] or 4), tonumber(arg[2] or 1)
math.randomseed(seed)
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 48)

-- Everything that a run's bits could depend on: dropout, augmentation, batch statistics, momentum, two stages, a schedule, batches that are
-- summed, clipping, an average of the weights.
local RECIPE = [[
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim
return tlua.recipe {
  model = tlua.models.efficientnet_lite0 {}, head = nn.Sequential(nn.Dropout(0.3), nn.Linear(10)),
  data = data.cifar10 { root = "%s/cifar", size = 32, batch = 8, augment = "standard" },
  optim = optim.Adam { lr = 1e-3 }, accumulate = 2, clip = 1, ema = 0.9,
  groups = { { "_blocks.15.*", scale = 0.5 } },
  schedule = { { epochs = 1, freeze = "*" }, { epochs = 2, train = { "_blocks.1[45].*", "_conv_head.*", "_bn1.*" }, rate = "cosine", warmup = 0.5 } },
}
]]
local path = folder .. "/recipe.lua"
core.write_file(path, RECIPE:format(folder))

-- Of the tensors and the metrics without their times.
local function fingerprint(out)
  local scope <close> = core.scope()
  local lines = {}
  for name, tensor in pairs((core.load(out .. "/model.safetensors"))) do lines[#lines + 1] = name .. " " .. tensor:hash() end
  table.sort(lines)
  for line in io.lines(out .. "/metrics.csv") do lines[#lines + 1] = line:gsub(",[%d.]+$", "") end
  return core.sha256(table.concat(lines, "\n"))
end

local function command(out, resume, more)
  return ("./tlua %s %s %s"):format(path, resume and "--resume " .. out or "--out " .. out, more or "")
end

-- The name of a file that was being written when a run was killed.
local function half_written(run)
  for _, name in ipairs(core.list_folder(run)) do
    if name:find "%.tmp" then return name end
  end
end

-- Starts a command and kills it after `seconds` from when `file` is there, and then not before it writes a file below `writing`, if given. Returns
-- whether it was still running.
local function killed(line, file, seconds, writing)
  local status = t.run(([[sh -c '%s >%s/killed.log 2>&1 & pid=$!
    n=0; while [ ! -e %s ] && [ $n -lt 2400 ] && kill -0 $pid 2>/dev/null; do sleep 0.05; n=$((n + 1)); done
    sleep %.3f; while [ -n "%s" ] && kill -0 $pid 2>/dev/null; do set -- %s/*.tmp*; [ ! -e $1 ] || break; done; sleep %.3f
    kill -9 $pid 2>/dev/null; wait $pid; test $? = 137']]):format(line, folder, file, seconds, writing or "", writing or "", writing and math.random() * 0.02 or 0))
  return status == 0
end

local begin = core.time()
local whole = folder .. "/whole"
local status, out, err = t.run(command(whole))
assert(status == 0, err)
local took = core.time() - begin
local expected = fingerprint(whole)

t.test("the same run twice", function()
  local again = folder .. "/again"
  assert(t.run(command(again, false, "--checkpoint 0.00001")) == 0)
  t.equal(fingerprint(again), expected, "the fingerprint")
end)

t.test(("%d runs killed at random"):format(kills), function()
  local left, runs, during = kills, 0, 0
  while left > 0 do
    runs = runs + 1
    local run = ("%s/run%d"):format(folder, runs)
    local resume = false
    -- A checkpoint after every step: most of the time goes into writing them, so that most kills fall there.
    local often = runs % 2 == 0 and "--checkpoint 0.00001" or "--checkpoint 0.001"
    while left > 0 do
      local before = resume and half_written(run)
      local hit = killed(command(run, resume, not resume and often), resume and path or run .. "/last.safetensors", math.random() * (resume and took or took / 4),
        left % 2 == 0 and run)
      if not hit then break end
      left = left - 1
      local now = core.exists(run) and half_written(run)
      if now and now ~= before then during = during + 1 end
      if math.random() < 0.25 then break end -- so that several runs are killed, and some of them only once
      resume = core.exists(run .. "/last.safetensors")
      if not resume then os.execute("rm -rf " .. run) end
    end
    if not core.exists(run .. "/model.safetensors") then -- killed before its end, or at its very end
      local ok, _, e = t.run(command(run, true))
      assert(ok == 0, e)
      assert(not half_written(run), half_written(run))
    end
    t.equal(fingerprint(run), expected, ("the fingerprint of run %d"):format(runs))
    os.execute("rm -rf " .. run)
  end
  print(("%d kills in %d runs, %d of them while a file was being written"):format(kills, runs, during))
end)

t.test("Ctrl-C, SIGTERM and SIGHUP leave a checkpoint at the next step", function()
  for _, signal in ipairs { "INT", "TERM", "HUP" } do
    local run = folder .. "/signal"
    os.execute(("rm -rf %s %s/signal.log"):format(run, folder))
    local code, text = t.run(([[sh -c 'set -m; %s >%s/signal.log 2>&1 & pid=$!
      while ! grep -q "^\[Epoch 1\]" %s/signal.log 2>/dev/null && kill -0 $pid 2>/dev/null; do sleep 0.05; done; kill -%s $pid; wait $pid']]):format(command(run), folder, folder, signal))
    local log = core.read_file(folder .. "/signal.log")
    if code ~= 0 then -- it may have come to its end before the signal
      t.equal(code, 130, "the exit status: " .. log .. text)
      assert(log:find("--resume " .. run .. " goes on from here", 1, true), log)
      local ok, _, e = t.run(command(run, true))
      assert(ok == 0, e)
    end
    t.equal(fingerprint(run), expected, "the fingerprint after SIG" .. signal)
  end
end)

-- A run that was killed with two checkpoints behind it. On a busy machine it may come to its end first: tried again, killed sooner.
local function half(run)
  for try = 0, 4 do
    os.execute("rm -rf " .. run)
    if killed(command(run, false, "--checkpoint 0.00001"), run .. "/previous.safetensors", took / 10 / 2 ^ try) and core.exists(run .. "/last.safetensors") then return end
  end
  error("no run could be killed between its second checkpoint and its end")
end

local function flip(file, where)
  local text = core.read_file(file)
  local at = math.floor(#text * where) + 1
  core.write_file(file, text:sub(1, at - 1) .. string.char(text:byte(at) ~ 4) .. text:sub(at + 1))
end

t.test("damaged checkpoints are refused, and the one before is offered", function()
  local run = folder .. "/damaged"
  half(run)
  local good = core.read_file(run .. "/last.safetensors")
  local function refused(what)
    local code, _, e = t.run(command(run, true))
    t.equal(code, 1, what .. ": status")
    assert(e:find("last.safetensors", 1, true) and e:find("the checkpoint before it is whole (epoch ", 1, true) and e:find("--resume " .. run .. "/previous.safetensors", 1, true),
      what .. ": " .. e)
  end
  for _, where in ipairs { 0.00001, 0.0005, 0.002, 0.3, 0.6, 0.999999 } do
    core.write_file(run .. "/last.safetensors", good)
    flip(run .. "/last.safetensors", where)
    refused(("bit flipped at %g"):format(where))
  end
  for _, share in ipairs { 0, 0.001, 0.5, 0.9999 } do
    core.write_file(run .. "/last.safetensors", good:sub(1, math.floor(#good * share)))
    refused(("cut at %g"):format(share))
  end
  os.remove(run .. "/last.safetensors")
  refused "missing"
  local code, _, e = t.run(("./tlua %s --resume %s/previous.safetensors"):format(path, run))
  assert(code == 0, e)
  t.equal(fingerprint(run), expected, "the fingerprint")
end)

local function checkpoint_hash(run) return core.sha256(core.read_file(run .. "/last.safetensors")) end

t.test("a full disk leaves the former checkpoint whole", function()
  local disk = folder .. "/disk"
  core.mkdirs(disk)
  local mounted = os.execute(("mount -t tmpfs -o size=100m tmpfs %s 2>/dev/null"):format(disk))
  if not mounted then
    print "no tmpfs can be mounted here: not tried"
    return
  end
  local ok, e = pcall(function()
    local run = disk .. "/run"
    half(run)
    local left = half_written(run) -- it goes when the run is taken up, and would make room
    if left then os.remove(run .. "/" .. left) end
    -- Three names of one file, so that giving one up frees nothing.
    for _, name in ipairs { "previous", "best" } do core.link(run .. "/last.safetensors", ("%s/%s.safetensors"):format(run, name)) end
    local free = core.data.disk_free(disk)
    assert(os.execute(("head -c %d /dev/zero >%s/filler"):format(free - 1000000, disk))) -- in the middle of a checkpoint it is full
    local before = checkpoint_hash(run)
    local code, text, error_text = t.run(command(run, true))
    assert(code == 1 and error_text:find("make room, or name a folder on another disk", 1, true), error_text)
    code, text, error_text = t.run(command(run, true, "--force"))
    t.equal(code, 1, "the status")
    assert(text:find("checkpoint not written: cannot write ", 1, true) and text:find("No space left on device; the one of epoch ", 1, true), text)
    assert(error_text:find("cannot write " .. run .. "/model.safetensors: No space left on device", 1, true), error_text)
    t.equal(checkpoint_hash(run), before, "the checkpoint")
    assert(not half_written(run), half_written(run))
    os.remove(disk .. "/filler")
    code, text, error_text = t.run(command(run, true))
    assert(code == 0, error_text)
    t.equal(fingerprint(run), expected, "the fingerprint")
  end)
  os.execute("umount " .. disk)
  if not ok then error(e, 0) end
end)

t.test("two runs never write one folder; unfinished runs are not written over; changed recipes are shown", function()
  local run = folder .. "/one"
  half(run)
  local code, _, e = t.run(command(run))
  assert(code == 1 and e:find("holds a run that is not at its end (epoch ", 1, true) and e:find("--resume", 1, true), e)
  local left = half_written(run)
  if left then os.remove(run .. "/" .. left) end
  core.write_file(run .. "/best.safetensors.tmp1", "killed while it was written")
  local lock = core.lock(run .. "/run.lock")
  code, _, e = t.run(command(run, true))
  assert(code == 1 and e:find("another run is writing " .. run, 1, true), e)
  t.equal(half_written(run), "best.safetensors.tmp1", "what the other run is writing stays")
  core.unlock(lock)
  code, _, e = t.run(command(run, true, "--optim.lr 0.5"))
  assert(code == 1 and e:find("--optim.lr 0.5  was 0.001", 1, true) and e:find("--force goes on", 1, true), e)
  local text = core.read_file(path)
  core.write_file(path, (text:gsub("clip = 1", "clip = 2")))
  code, _, e = t.run(command(run, true))
  assert(code == 1 and e:find("-   optim = optim.Adam { lr = 1e-3 }, accumulate = 2, clip = 1,", 1, true) and e:find("accumulate = 2, clip = 2,", 1, true), e)
  local forced = folder .. "/forced"
  os.execute(("cp -r %s %s"):format(run, forced))
  assert(t.run(command(forced, true, "--force")) == 0)
  core.write_file(path, text)
  assert(t.run(command(run, true)) == 0)
  t.equal(fingerprint(run), expected, "the fingerprint")
  assert(not half_written(run), half_written(run))
  code, _, e = t.run(command(run, true))
  assert(code == 1 and e:find("is at its end", 1, true), e)
  -- Killed between the last checkpoint and the model: the model is missing, or that of a run before.
  for _, damage in ipairs { "rm %s/model.safetensors", "touch -d '1 hour ago' %s/model.safetensors" } do
    os.execute(damage:format(run))
    code, _, e = t.run(command(run, true))
    assert(code == 0, e)
    t.equal(fingerprint(run), expected, "the fingerprint of a run whose model was not written")
  end
end)

os.execute("rm -rf " .. folder)
t.finish()
