-- compilers.lua - what `make test-compilers` reads and how it ends, on saved output of the compilers (tests/compilers/samples), and the card of
-- paper that its programs come from. Needs none of the compilers. Run by `tlua tests/lua/compilers.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local read = dofile "tools/compilers/read.lua"
local folder = t.folder()
local SAMPLES = "tests/compilers/samples/"
local FILES = { sm_80 = "ptxas.txt", gfx1030 = "amd.txt", gfx906 = "amd.txt", dg2 = "ocloc.txt" }

local function sample(target) return core.read_file(SAMPLES .. FILES[target]) end

local function by_name(list)
  local names = {}
  for _, k in ipairs(list) do names[k.kernel] = k end
  return names
end

t.test("registers, spills and local memory are read from each compiler's own words", function()
  local wanted = {
    sm_80 = { plain = { registers = 11, spilled = 0, bytes = 0 }, with_local = { registers = 9, spilled = 0, bytes = 4096 },
      with_array = { registers = 32, spilled = 160, bytes = 0 }, with_spills = { registers = 255, spilled = 436, bytes = 0 } },
    gfx1030 = { plain = { registers = 4, scalars = 35, spilled = 0, bytes = 0, waves = 16 }, with_local = { registers = 3, scalars = 6, spilled = 0, bytes = 4096, waves = 16 },
      with_array = { registers = 23, scalars = 56, spilled = 164, bytes = 0, waves = 16 },
      with_spills = { registers = 256, scalars = 106, spilled = 236, scalars_spilled = 64, bytes = 0, waves = 4 } },
    dg2 = { plain = { registers = 128, spilled = 0, bytes = 0, simd = 8 }, with_local = { registers = 128, spilled = 0, bytes = 4096, simd = 32 },
      with_array = { registers = 128, spilled = 0, bytes = 0, simd = 32 }, with_spills = { registers = 128, spilled = 1024, bytes = 0, simd = 8 } },
  }
  for target, kernels in pairs(wanted) do
    local list = read.targets[target].parse(sample(target))
    t.equal(#list, 4, target)
    local got = by_name(list)
    for name, numbers in pairs(kernels) do
      for field, n in pairs(numbers) do t.equal(got[name][field], n, ("%s of %s on %s"):format(field, name, target)) end
    end
  end
end)

t.test("what a kernel of ours may not do is told", function()
  local good = { registers = 128, spilled = 0, bytes = 32768 }
  for target in pairs(read.targets) do t.equal(read.fault(target, good), nil) end
  local function fault(target, change, given)
    local k = { registers = 128, spilled = 0, bytes = 32768 }
    for name, value in pairs(change) do k[name] = value end
    return read.fault(target, k, given) or "none"
  end
  assert(fault("dg2", { spilled = 4 }):find "4 bytes a work%-item")
  assert(fault("sm_80", { registers = 129 }):find "129 registers, more than 128")
  t.equal(fault("gfx906", { registers = 129 }), "none")
  assert(fault("gfx906", { scalars_spilled = 1 }):find "1 scalar register")
  assert(fault("gfx906", { bytes = 32769 }):find "32769 bytes of local memory, more than 32768")
  assert(fault("gfx906", { bytes = 100 }, 32700):find "32800 bytes of local memory")
end)

t.test("output that is cut short is an error, not a pass", function()
  for target in pairs(FILES) do
    local parse, text = read.targets[target].parse, sample(target)
    local lines = {}
    for line in text:gmatch "[^\n]*\n" do lines[#lines + 1] = line end
    -- Without any one of the lines that it counts on.
    for _, line in ipairs { "bytes stack frame", "Used %d+ registers", "ScratchSize", "Occupancy", " VGPRs:", "SGPRs:", "VGPRs Spill", "simd_size", "grf_count" } do
      local left, gone = {}, false
      for _, l in ipairs(lines) do
        if not gone and l:find(line) then gone = true else left[#left + 1] = l end
      end
      if gone then assert(not pcall(parse, table.concat(left)), target .. ": nothing is missing without " .. line) end
    end
  end
  assert(not pcall(read.ze_info, "Build succeeded.\n"))
end)

-- ---- the end of tools/test_compilers.sh, on a folder of our own ----

-- Lays out what the script leaves: for each file of cl/ a program whose compiler said `log`, then what `change` does to it; runs the report.
local function report(name, target, log, change, skipped)
  local out = folder .. "/" .. name
  local programs, outs = ("%s/programs/%s/"):format(out, target), ("%s/out/%s/"):format(out, target)
  core.mkdirs(programs)
  core.mkdirs(outs)
  local function program(key, head, said, end_)
    core.write_file(programs .. key .. ".cl", head)
    core.write_file(outs .. key .. ".log", said)
    core.write_file(outs .. key .. "." .. (end_ or "ok"), "")
  end
  local n = 0
  for _, file in ipairs(read.files()) do
    if file.room ~= "cpu/" then
      n = n + 1
      program(("%016x"):format(n), ("// OPTIONS -DTL_CPU=0 -DTL_VECTOR=1\n/* %s.cl - for a test */\n"):format(file.name), log)
    end
  end
  core.write_file(programs .. "launches", "0000000000000001 plain 64 0\n")
  if change then change(program, programs) end
  local status, text, err = t.run(("./tlua tools/compilers/report.lua %s 0 - %s '%s'"):format(out, skipped == "all" and "''" or target, skipped or ""))
  return status, text .. err, core.exists(out .. "/table.md") and core.read_file(out .. "/table.md")
end

-- The sample with nothing but the kernels that are good.
local function good(target)
  if target == "sm_80" then return (sample(target):gsub("ptxas info    : Compiling entry function 'with_spills'.-(ptxas info    : Compiling entry function 'with_local')", "%1")) end
  if target == "dg2" then return (sample(target):gsub("  %- name: +with_spills\n.-(kernels_misc_info)", "%1")) end
  return (sample(target):gsub("[^\n]*Function Name: with_array.*", ""))
end

t.test("good kernels pass, and stand in the table", function()
  for target in pairs(FILES) do
    local status, text, made = report("good_" .. target, target, good(target))
    assert(status == 0 and text:find("\ntest%-compilers: passed\n$"), target .. ": " .. text)
    assert(made:find "\n| plain | 0 |" and made:find "\n| with_local | 4096 |", made)
  end
end)

t.test("a spill, too much local memory, a refused launch, a program that does not compile or that nobody builds: each fails", function()
  for target in pairs(FILES) do
    local status, text = report("spill_" .. target, target, sample(target))
    assert(status == 1 and text:find("FAILED " .. target .. ", [%w_]+ : with_spills [^\n]+") and text:find "\ntest%-compilers: FAILED, %d+ findings\n$", text)
  end
  local log = good "sm_80"
  local function fails(name, pattern, change)
    local status, text = report(name, "sm_80", log, change)
    assert(status == 1 and text:find(pattern), name .. ": " .. text)
  end
  fails("local", "FAILED sm_80, [%w_]+ : with_local takes 36096 bytes of local memory", function(_, programs)
    core.write_file(programs .. "launches", "0000000000000001 with_local 64 32000\n0000000000000001 with_local 64 16\n")
  end)
  fails("unread", "FAILED sm_80, [%w_]+ : the compiler's output says nothing of cut_off", function(_, programs)
    core.write_file(programs .. "launches", "0000000000000001 cut_off 64 0\n")
  end)
  fails("refused", "FAILED sm_80: copy: the last group is not whole", function(_, programs) core.write_file(programs .. "refused", "sm_80: copy: the last group is not whole\n") end)
  fails("error", "FAILED sm_80, softmax_gpu %-DX=1: x%.cl:3:1: error: unknown", function(program)
    program("00000000000000ff", "// OPTIONS -cl-mad-enable -DTL_CPU=0 -DX=1\n/* softmax_gpu.cl - x */\n",
      "x.cl:2:1: warning: no\nx.cl:3:1: error: unknown\n", "bad")
  end)
  fails("empty", "cannot read what the compiler says: no kernel", function(program)
    program("00000000000000ff", "// OPTIONS -DTL_CPU=0\n/* softmax_gpu.cl - x */\n", "ptxas info    : 0 bytes gmem\n")
  end)
  fails("missing", "FAILED cl/gpu/softmax_gpu.cl: no test builds it for a GPU", function(_, programs)
    for _, name in ipairs(core.list_folder(programs)) do
      local path = programs .. name
      if name:find "%.cl$" and core.read_file(path):find("softmax_gpu.cl", 1, true) then os.remove(path) end
    end
  end)
  fails("processors", "FAILED cl/cpu/gemm_cpu.cl: is built for a GPU", function(program) program("00000000000000ff", "// OPTIONS -DTL_CPU=0\n/* gemm_cpu.cl - x */\n", log) end)
end)

t.test("CLBlast's kernels are listed and not judged; what is skipped has not passed", function()
  local status, text, made = report("others", "sm_80", good "sm_80", function(program)
    program("00000000000000fe", "// OPTIONS -cl-std=CL1.1\n", sample "sm_80")
    program("00000000000000ff", "// OPTIONS -cl-std=CL1.1 -DX\n", "error: no\n", "bad")
  end)
  assert(status == 0 and text:find "CLBlast: sm_80, CLBlast's [^\n]*: error: no" and made:find "CLBlast's, for comparison:\n\n.*\n| with_spills | 0 | 255 | 436 |", text)
  status, text = report("skipped", "sm_80", good "sm_80", nil, "gfx906 dg2")
  assert(status == 2 and text:find "\ntest%-compilers: SKIPPED, so not passed: gfx906, dg2\n$", text)
  status, text = report("nothing", "sm_80", good "sm_80", nil, "all")
  assert(status == 2 and text:find "SKIPPED, so not passed: all\n$", text)
end)

t.test("a card of paper writes down programs once, and launches with their groups", function()
  local out = folder .. "/paper"
  local status, text, err = t.run(("${CC:-cc} -std=c11 -O1 -shared -fPIC -o %s/fake_gpu.so tests/compilers/fake_gpu.c"):format(folder))
  t.equal(status, 0, err)
  local code = [[local core = require "tlua.core"
    core.ops.softmax(core.zeros(3, 100), -1):tolist()]]
  for _, card in ipairs { "sm_80", "gfx906", "gfx1030", "dg2" } do
    core.mkdirs(out .. "/" .. card .. "/raw")
    local line = ("FAKE_GPU=%s FAKE_GPU_OUT=%s/%s TLUA_KERNEL_CACHE=0 TLUA_DEVICE= TLUA_VECTOR= LD_PRELOAD=%s/fake_gpu.so ./tlua -e '%s'"):format(card, out, card, folder, code)
    for _ = 1, 2 do
      status, text, err = t.run(line)
      assert(status == 0, text .. err)
    end
    local softmaxes = 0
    for _, name in ipairs(core.list_folder(out .. "/" .. card)) do
      local source = name:find "%.cl$" and core.read_file(("%s/%s/%s"):format(out, card, name)) or ""
      if source:find("/* softmax_gpu.cl - ", 1, true) then softmaxes = softmaxes + 1 end
      assert(source == "" or source:find "^// OPTIONS [^\n]*%-DTL_CPU=0 %-DTL_VECTOR=1" or not source:find "TL_VECTOR", source:sub(1, 100))
    end
    t.equal(softmaxes, 1, "softmax's programs")
    local items = core.read_file(("%s/%s/launches"):format(out, card)):match "%x+ softmax_gpu (%d+) 0\n"
    assert(items and tonumber(items) >= 1, "softmax's launch")
    assert(not core.exists(("%s/%s/refused"):format(out, card)))
  end
  status, _, err = t.run(("FAKE_GPU=sm_81 FAKE_GPU_OUT=%s LD_PRELOAD=%s/fake_gpu.so ./tlua -e 'require \"tlua.core\".zeros(1)'"):format(out, folder))
  assert(status == 2 and err:find "FAKE_GPU names one of", err)
end)

os.execute("rm -rf " .. folder)
t.finish()
