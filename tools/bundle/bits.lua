-- bits.lua - equal bits on the device at hand: the same short run twice, and runs that are killed (kill -9) and resumed. Pictures
-- are made here. Run from the folder in which ./tlua is.
--   ./tlua bits.lua FOLDER [KILLS]      FOLDER is made, and removed at the end
local core = require "tlua.core"
local pictures = dofile "tests/lua/run_pictures.lua"
local folder, kills = arg[1], tonumber(arg[2] or 2)
-- For the shell, whatever the folder is called.
local function q(path) return "'" .. path:gsub("'", "'\\''") .. "'" end
pictures.cifar(folder .. "/cifar", 40)

-- Dropout, augmentation, batch statistics, momentum, a frozen part and a schedule: what bits could depend on.
local path = folder .. "/recipe.lua"
core.write_file(path, ([[
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe {
  model = tlua.models.resnet18 {}, freeze = { "*", "!layer4.*" }, head = nn.Sequential(nn.Dropout(0.3), nn.Linear(10)), cache = false,
  data = tlua.data.cifar10 { root = %q, size = 32, batch = 8, augment = "standard" },
  optim = tlua.optim.Adam { lr = 1e-3 }, schedule = { epochs = 4, rate = "cosine" },
}
]]):format(folder .. "/cifar"))

-- Of all tensors, and of the metrics without their times.
local function fingerprint(out)
  local scope <close> = core.scope()
  local lines = {}
  for name, tensor in pairs((core.load(out .. "/model.safetensors"))) do lines[#lines + 1] = name .. " " .. tensor:hash() end
  table.sort(lines)
  for line in io.lines(out .. "/metrics.csv") do lines[#lines + 1] = line:gsub(",[%d.]+$", "") end
  return core.sha256(table.concat(lines, "\n"))
end

local function command(out, resume)
  return ("./tlua %s %s %s --checkpoint 0.00001 >>%s 2>&1"):format(q(path), resume and "--resume" or "--out", q(out), q(folder .. "/log.txt"))
end

local function must(line)
  if os.execute(line) then return end
  error(("%s failed: %s"):format(line, core.read_file(folder .. "/log.txt"):sub(-600)), 0)
end

local begin = core.time()
must(command(folder .. "/whole"))
local took, whole = core.time() - begin, fingerprint(folder .. "/whole")
print(("a run of four epochs in %.1f s: %s"):format(took, whole:sub(1, 16)))
begin = core.time()
must(command(folder .. "/again"))
took = core.time() - begin -- with compiled kernels
assert(fingerprint(folder .. "/again") == whole, "the second run gives other bits")
print "the second run gives the same bits"

-- Killed some time after its first checkpoint is there; tried sooner where it was at its end by then.
local function killed(out, after)
  return os.execute(([[%s & pid=$!
    n=0; while [ ! -e %s ] && [ $n -lt 1200 ] && kill -0 $pid 2>/dev/null; do sleep 0.05; n=$((n + 1)); done
    sleep %.3f; kill -9 $pid 2>/dev/null; wait $pid; test $? = 137]]):format(command(out), q(out .. "/last.safetensors"), after))
end

for i = 1, kills do
  local out, hit = ("%s/killed%d"):format(folder, i), false
  for try = 0, 5 do
    os.execute("rm -rf " .. q(out))
    hit = killed(out, took / 4 * i / kills / 2 ^ try) and core.exists(out .. "/last.safetensors") and not core.exists(out .. "/model.safetensors")
    if hit then break end
  end
  assert(hit, "no run could be killed between its first checkpoint and its end")
  must(command(out, true))
  assert(fingerprint(out) == whole, ("run %d, killed and resumed, gives other bits"):format(i))
end
print(("%d runs, killed with kill -9 and resumed, give the same bits"):format(kills))
os.execute("rm -rf " .. q(folder))
