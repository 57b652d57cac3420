-- read.lua - what the compilers say of each kernel, from their own output, and what is too much of it. tests/lua/compilers.lua holds it
-- against saved output of each.
--
-- A kernel is a table: kernel (its name), registers, spilled (bytes of a work-item that did not fit the registers: spills, and arrays of its own
-- in memory), bytes (local memory of a group), and where a compiler says so scalars and scalars_spilled (AMD's scalar registers), waves (AMD's
-- occupancy, of a SIMD), simd (Intel: work-items to a thread).
local core = require "tlua.core"
local read = {}

-- The kernel files of all rooms, as {name, room}; those of the room "cpu" only processors compile.
function read.files()
  local list = {}
  for _, room in ipairs { "", "cpu/", "gpu/" } do
    for _, file in ipairs(core.list_folder("cl/" .. room)) do
      local name = file:match "^(.*)%.cl$"
      if name then list[#list + 1] = { name = name, room = room } end
    end
  end
  return list
end

-- What kernels of ours may take. 128 registers leave an NVIDIA unit 512 work-items; 32 KB of local memory is the least that OpenCL promises.
read.MOST_REGISTERS, read.MOST_BYTES = 128, 32 * 1024

local function number(text, pattern, what)
  local n = tonumber(text:match(pattern))
  if not n then error(("the compiler's output has no %s: %s"):format(what, text:sub(1, 200)), 0) end
  return n
end

-- ptxas -v. Functions that kernels call are listed like kernels, but for "entry"; what is theirs is in the cumulative size of the stack.
--   ptxas info    : Compiling entry function 'softmax' for 'sm_80'
--   ptxas info    : Function properties for softmax
--       0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
--   ptxas info    : Used 34 registers, used 1 barriers, 256 bytes smem, 440 bytes cmem[0]
function read.ptxas(text)
  local list, at = {}, 1
  while true do
    local _, from, name = text:find("Compiling entry function '([^']+)'", at)
    if not from then return list end
    at = text:find("Compiling entry function", from, true) or #text + 1
    local body = text:sub(from, at - 1)
    local own = body:match("Function properties for " .. name .. "\n([^\n]*)")
    if not own then error("ptxas says nothing of the stack of " .. name, 0) end
    local used = body:match "Used [^\n]*" or ""
    local stack, stores, loads = number(own, "(%d+) bytes stack frame", "stack frame"), number(own, "(%d+) bytes spill stores", "spill stores"), number(own, "(%d+) bytes spill loads", "spill loads")
    list[#list + 1] = {
      kernel = name, registers = number(used, "Used (%d+) registers", "registers"), bytes = tonumber(used:match "(%d+) bytes smem") or 0,
      spilled = math.max(stack, stores, loads, tonumber(used:match "(%d+) bytes cumulative stack size") or 0),
    }
  end
end

-- clang -Rpass-analysis=kernel-resource-usage, for AMD. Functions that are no kernels have no line on LDS.
--   x.cl:12:1: remark: Function Name: softmax [-Rpass-analysis=kernel-resource-usage]
--   x.cl:12:1: remark:     SGPRs: 61 [-Rpass-analysis=kernel-resource-usage]
function read.amd(text)
  local list = {}
  for body in (text:gsub("remark: Function Name: ", "\0%0") .. "\0"):gmatch "(Function Name: [^%z]*)%z" do
    local scratch, vectors = number(body, "ScratchSize %[bytes/lane%]: (%d+)", "ScratchSize"), number(body, "VGPRs Spill: (%d+)", "VGPRs Spill")
    local k = {
      kernel = body:match "Function Name: ([%w_]+)", registers = number(body, "%sVGPRs: (%d+)", "VGPRs"), scalars = number(body, "%sSGPRs: (%d+)", "SGPRs"),
      scalars_spilled = number(body, "SGPRs Spill: (%d+)", "SGPRs Spill"), waves = number(body, "Occupancy %[waves/SIMD%]: (%d+)", "Occupancy"),
      spilled = math.max(scratch, 4 * vectors), bytes = tonumber(body:match "LDS Size %[bytes/block%]: (%d+)"),
    }
    if k.bytes then list[#list + 1] = k end
  end
  return list
end

-- The section .ze_info of what ocloc makes: YAML, of which a few lines matter. `kernels` has an entry for each, and its
-- per_thread_memory_buffers say what is kept in memory: private_space by a work-item, spill_fill_space and single_space by a thread.
function read.ze_info(text)
  local list, k, kind = {}, nil, nil
  local kernels = text:match "\nkernels: *\n(.*)"
  if not kernels then error("there is no .ze_info", 0) end
  for line in (kernels .. "\n"):gmatch "([^\n]*)\n" do
    if line:find "^%S" then break end -- what follows the kernels: names of arguments
    local name = line:match "^  %- name: +([%w_]+)"
    if name == "Intel_Symbol_Table_Void_Program" then k = nil -- no kernel: a place for what programs are linked by
    elseif name then
      k = { kernel = name, spilled = 0, bytes = 0 }
      list[#list + 1] = k
    elseif k then
      local key, value = line:match "^ +%-? ?([%w_]+): +(%S+)"
      if key == "grf_count" then k.registers = tonumber(value)
      elseif key == "simd_size" then k.simd = tonumber(value)
      elseif key == "slm_size" then k.bytes = tonumber(value)
      elseif key == "usage" then kind = value
      elseif key == "size" and kind then
        -- A thread's spills are shared among its work-items; rounded up, so that none is lost.
        local each = kind == "private_space" and tonumber(value) or math.ceil(tonumber(value) / (k.simd or 1))
        k.spilled, kind = k.spilled + each, nil
      end
    end
  end
  for _, each in ipairs(list) do
    if not each.registers or not each.simd then error("the .ze_info of " .. each.kernel .. " lacks grf_count or simd_size", 0) end
  end
  return list
end

-- Each target: whose it is, and who reads what its compiler says.
read.targets = {
  sm_80 = { maker = "NVIDIA", parse = read.ptxas }, gfx906 = { maker = "AMD", parse = read.amd },
  gfx1030 = { maker = "AMD", parse = read.amd }, dg2 = { maker = "Intel", parse = read.ze_info },
}

-- Why a kernel of ours may not be so on this target, or nil. `given`: local memory that comes as arguments.
function read.fault(target, k, given)
  if (k.scalars_spilled or 0) > 0 then return ("spills %d scalar registers"):format(k.scalars_spilled) end
  if k.spilled > 0 then return ("keeps %d bytes a work-item in memory (spilled registers, or an array of its own)"):format(k.spilled) end
  if read.targets[target].maker == "NVIDIA" and k.registers > read.MOST_REGISTERS then return ("takes %d registers, more than %d"):format(k.registers, read.MOST_REGISTERS) end
  local bytes = k.bytes + (given or 0)
  if bytes > read.MOST_BYTES then return ("takes %d bytes of local memory, more than %d"):format(bytes, read.MOST_BYTES) end
end

return read
