-- profile.lua - profiles add up, name operators and layers, and their trace can be read. Run by `tlua tests/lua/profile.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn = tlua.nn
local folder = t.folder()

t.test("launches, operators, layers, work", function()
  local net = nn.Sequential(nn.Conv2d(3, 8, 3, { padding = 1 }), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 8 * 8, 4))
  local x, y = core.randn(2, 8, 8, 3), core.tensor({ 1, 3 }, { dtype = "int32" })
  local module = require "tlua.nn.module"
  core.profile_begin()
  module.profiling = true
  nn.functional.cross_entropy(net(x), y):backward()
  module.profiling = false
  local result = core.profile_end()
  local seen, last = {}, 0
  for _, l in ipairs(result) do
    assert(l.seconds >= 0 and l.start >= last - 1e-9 and l.kernel ~= "")
    last = l.start
    if l.op then seen[l.op .. (l.backward and "'" or "") .. "@" .. l.where] = l end
  end
  assert(seen["conv@0"] and seen["conv'@0"] and seen["linear@3"] and seen["linear'@3"] and seen["cross_entropy@"], "an operator or a layer is missing")
  t.equal(seen["conv@0"].flops, 2.0 * 2 * 8 * 8 * 8 * 27)
  t.equal(seen["linear@3"].flops, 2.0 * 2 * 512 * 4)
  t.equal(seen["linear'@3"].flops, 2 * 2.0 * 2 * 512 * 4)
  t.equal(seen["conv'@0"].flops, 2.0 * 2 * 8 * 8 * 8 * 27) -- the pictures want no gradient
  assert(result.wall > 0 and result.lost == 0)
  t.fails("no profile is open", core.profile_end)
  local text = require("tlua.command.profile").text(result, { gflops = 100, gbytes = 10, launch = 1e-6 })
  assert(text:find "operator +launches +ms +share" and text:find "\nlayer +launches" and text:find "conv gradient" and
    text:find "\nkernel +launches")
  for line in text:gmatch "[^\n]+" do assert(utf8.len(line) <= 80, line) end
end)

t.test("what of the time the device needs, by kernel", function()
  local model = { gflops = 2, gbytes = 4, launch = 1e-6 }
  local made = {
    { kernel = "pack", span = 1, op = "conv", where = "a", flops = 6e9, bytes = 4e9, seconds = 2 },
    { kernel = "tile", span = 1, op = "conv", where = "a", flops = 6e9, bytes = 4e9, seconds = 4 }, -- of 6 s 3 are needed
    { kernel = "tile", span = 2, op = "linear", where = "b", flops = 2e9, bytes = 8e9, seconds = 2 }, -- 2, by its bytes
    { kernel = "adam", seconds = 1 } } -- nobody says what it does
  local list = require("tlua.command.profile").kernels(made, model)
  t.equal(#list, 3)
  t.equal(list[1].kernel, "tile")
  t.equal(list[1].roof, 100 * (3 * 4 / 6 + 2) / 6)
  t.equal(list[1].flops, 6e9 * 4 / 6 + 2e9)
  t.equal(list[2].roof, 50.0)
  t.equal(list[3].roof, nil)
end)

t.test("a profile changes no bits, and more launches than fit are counted", function()
  local function step()
    core.manual_seed(1)
    local w = core.randn(30, 30):requires_grad(true)
    core.ops.matmul(core.randn(30, 30), w):relu():sum():backward()
    return w.grad:hash()
  end
  local plain = step()
  core.profile_begin(3)
  local profiled = step()
  local result = core.profile_end()
  t.equal(profiled, plain)
  t.equal(#result, 3)
  assert(result.lost > 0)
  t.equal(step(), plain)
end)

t.test("tlua --profile writes a trace", function()
  local path = folder .. "/trace.json"
  local status, out = t.run(("./tlua --profile=%s -e 'local x = tlua.randn(64, 64) local y = tlua.matmul(x, x):relu():sum():item()'"):format(path))
  t.equal(status, 0)
  assert(out:find "matmul" and out:find "launches, ", out)
  local trace = core.json_decode(core.read_file(path))
  local names = {}
  for _, e in ipairs(trace.traceEvents) do
    if e.ph == "X" then
      assert(e.dur >= 0 and e.ts >= 0 and e.pid == 1)
      names[e.args.operator] = true
    end
  end
  assert(names.matmul and names.relu and names.sum)
  local other = trace.otherData
  assert(other.roofline.gflops > 0 and other.roofline.launch > 0 and #other.kernels >= 3 and other.kernels[1].seconds > 0)
  status = t.run(("./tlua --profile=%s -e 'error(7)'"):format(path))
  t.equal(status, 1)
end)

t.test("a trace that cannot be written is told before the work", function()
  for name, each in pairs { [folder .. "/none/trace.json"] = { 1, "there is no folder " .. folder .. "/none" },
    [folder] = { 1, "is a folder; a file is needed" }, [""] = { 2, "--profile: the name of a file is needed" } } do
    local status, out, err = t.run(("./tlua --profile=%s -e 'print(1)'"):format(name))
    t.equal(status, each[1], name)
    assert(out == "" and err:find(each[2], 1, true), err)
  end
end)

os.execute("rm -rf " .. folder)
t.finish()
