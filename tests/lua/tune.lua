-- tune.lua - `tlua tune` and what follows from a table of choices: plans, bits, resuming. No times are asserted. Run by
-- `tlua tests/lua/tune.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local core = require "tlua.core"
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 40)
local CACHE = "TLUA_VECTOR=16 TLUA_CACHE=" .. folder .. "/cache "

-- Runs tlua with a cache folder of its own; returns its output.
local function run(line, before)
  local status, out, err = t.run(CACHE .. (before or "") .. "./tlua " .. line)
  if status ~= 0 then error(("tlua %s: status %s: %s%s"):format(line, tostring(status), out, err), 2) end
  return out, err
end

-- Writes a table with one choice, for the products of a linear layer of 64 inputs and outputs with 64 rows.
local function save(maker)
  run(([[-e 'require("tlua.core").tuning_save { { class = "64 64 64 nt fresh one", maker = "%s", percent = 120 } }']]):format(maker))
  local path = folder .. "/cache/tuning/"
  return path .. core.list_folder(folder .. "/cache/tuning")[1]
end

local HASH = [[-e 'local tlua, core = require "tlua", require "tlua.core"
  tlua.manual_seed(1)
  local x, w = tlua.randn(64, 64), tlua.randn(64, 64)
  print(tlua.matmul(x, w, { transpose_b = true }):hash())']]

t.test("tune measures, prints, keeps and clears", function()
  -- One class of each kind, so that it takes no time.
  local code = ([[-e 'local tune = require "tlua.command.tune"
    tune.CLASSES = { { "small", quick = true, "16 16 16 nn fresh one", "1 32 64 nt kept one" }, { "others", "32 16 8 tn fresh many" } }
    os.exit(tune.main { %s }, true)']])
  local quick, whole = run(code:format '"--quick"'), run(code:format "")
  for _, out in ipairs { quick, whole } do
    assert(out:find("\n16 16 16 nn fresh one .-plain %d") and out:find("\n1 32 64 nt kept one .-cpu%-6x64 %d") and not out:find "WRONG", out)
    assert(out:find "nothing is faster than the shipped choices, which hold\n$" or out:find "class%l* takes? another maker than the shipped one, kept in ", out)
  end
  assert(not quick:find "\n32 16 8 tn fresh many" and whole:find "\n32 16 8 tn fresh many .-strips", whole)
  save "plain"
  local path = save "strips"
  local out = run "tune --show"
  assert(out:find("64 64 64 nt fresh one +strips +%+20 %%\n1 class in ") and out:find(path, 1, true), out)
  assert(run("tune --show", "TLUA_TUNING=0 "):find("not used, since TLUA_TUNING=0 forbids it", 1, true))
  -- What is measured anew replaces its own class only.
  run(code:format '"--quick"')
  assert(run("tune --show"):find "64 64 64 nt fresh one +strips")
  run "tune --clear"
  assert(not core.exists(path))
  assert(run("tune --show"):find("has no tuned table: the shipped choices hold", 1, true))
  for words, expected in pairs { ["--quik"] = "did you mean '--quick'?", ["--show --clear"] = "one of --quick, --show and --clear", ["--device"] = "--device: a value is missing" } do
    local status, _, err = t.run(CACHE .. "./tlua tune " .. words)
    assert(status == 2 and err:find(expected, 1, true), words .. ": " .. err)
  end
  t.fails("there is no maker of matrix products \"fast\"", core.tuning_save, { { class = "64 64 64 nt fresh one", maker = "fast" } })
  t.fails("is no class of products", core.tuning_save, { { class = "63 64 64 nt fresh one", maker = "plain" } })
end)

t.test("a table changes bits, TLUA_TUNING=0 and TLUA_GEMM=own do without, a damaged one is said once", function()
  run "tune --clear"
  local shipped = run(HASH)
  local path = save "dots" -- it adds in another order than those that go through k one by one
  assert(run(HASH) ~= shipped)
  t.equal(run(HASH, "TLUA_TUNING=0 "), shipped)
  t.equal(run(HASH, "TLUA_GEMM=own "), shipped)
  local text = core.read_file(path)
  core.write_file(path, text:sub(1, -20))
  local out, err = run(HASH)
  t.equal(out, shipped)
  assert(err:find("tlua: " .. path .. " is not used: its checksum is wrong; `tlua tune` makes it anew", 1, true) and select(2, err:gsub("\n", "")) == 1, err)
  run "tune --clear"
  assert(not core.exists(path))
end)

t.test("plans and checkpoints name the table; going on with another one is said", function()
  local recipe = ("recipes/cifar_fe.lua --weights none --data.size 32 --data.batch 8 --schedule.epochs 1 --model resnet18 --model.width 8 --data.root %s/cifar --out %s/run "):format(folder, folder)
  save "plain"
  local hash = run([[-e 'print(require("tlua.core").tuning().hash)']]):match "%x+"
  local out = run(recipe)
  assert(out:find(("kernels   chosen by the tuned table %s (1 class of products); TLUA_TUNING=0 goes without"):format(hash), 1, true), out)
  local _, metadata = core.entries(folder .. "/run/last.safetensors")
  t.equal(core.json_decode(metadata.checkpoint).choices.tuning, hash)
  assert(core.read_file(folder .. "/run/report.html"):find(hash, 1, true))
  local again = run(("recipes/cifar_fe.lua --resume %s/run --schedule.epochs 2 --force"):format(folder))
  assert(not again:find "other choices", again)
  run "tune --clear"
  again = run(("recipes/cifar_fe.lua --resume %s/run --schedule.epochs 3 --force"):format(folder))
  assert(again:find(("resumed   with other choices of kernels (tuning was %s, is shipped): it goes on, but not to the same bits"):format(hash), 1, true), again)
  assert(not again:find("kernels   chosen", 1, true), again)
end)

t.test("features are computed anew for another table", function()
  local recipe = ("recipes/cifar_fe.lua --weights none --data.size 32 --data.batch 8 --schedule.epochs 1 --model resnet18 --model.width 8 --data.root %s/cifar --out %s/"):format(folder, folder)
  run(recipe .. "a")
  assert(run(recipe .. "b"):find "found, complete")
  save "strips"
  assert(run(recipe .. "c"):find "computed once")
  run "tune --clear"
  assert(run(recipe .. "d"):find "found, complete")
end)

os.execute("rm -rf " .. folder)
t.finish()
