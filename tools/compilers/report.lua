-- report.lua - the end of tools/test_compilers.sh: reads what the compilers said of each program (read.lua), prints a line for each finding and writes
-- the table.
--   tlua tools/compilers/report.lua FOLDER WALKS docs|- "TARGETS" "SKIPPED"     WALKS: 1 where a test crashed on paper
local core = require "tlua.core"
local read = dofile "tools/compilers/read.lua"
local folder, walks, docs = arg[1], arg[2], arg[3]
local targets, skipped = {}, {}
for t in arg[4]:gmatch "%S+" do targets[#targets + 1] = t end
for t in arg[5]:gmatch "%S+" do skipped[#skipped + 1] = t end
local ROOM = {} -- of each kernel file
for _, file in ipairs(read.files()) do ROOM[file.name] = file.room end
local PAGE, BEGIN, END = "docs/gpu.md", "<!-- made by: sh tools/test_compilers.sh docs -->", "<!-- end of what it made -->"

local findings = 0
local function finding(format, ...)
  findings = findings + 1
  print("FAILED " .. format:format(...))
end
if walks == "1" then findings = findings + 1 end

-- ---- reading ----

-- Local memory given as arguments, by program and kernel; and the kernels of each program that were launched.
local function launches_of(target)
  local given, launched = {}, {}
  local path = ("%s/programs/%s/launches"):format(folder, target)
  for key, kernel, _, bytes in (core.exists(path) and core.read_file(path) or ""):gmatch "(%S+) (%S+) (%d+) (%d+)\n" do
    local at = key .. kernel
    given[at] = math.max(given[at] or 0, tonumber(bytes))
    launched[key] = launched[key] or {}
    launched[key][kernel] = true
  end
  return given, launched
end

-- The file of cl/ that a program was made of; nil for CLBlast's and tests' own.
local function file_of(source)
  local name
  for each in source:gmatch "/%* ([%w_]+)%.cl%f[^%w_] %- " do
    if ROOM[each] then name = each end
  end
  return name or (source:find("/* pointwise.clh - ", 1, true) and "pointwise") or nil
end

-- rows[name][target] is the most of each number that any program has; rows.list in order. Operators of pointwise.def are one row.
local own, others, seen_files, counts = { list = {} }, { list = {} }, {}, {}
local function add(rows, file, k, target, bytes)
  local name = file == "pointwise" and "pointwise operators" or k.kernel
  local row = rows[name]
  if not row then
    row = { name = name, file = file }
    rows[name], rows.list[#rows.list + 1] = row, row
  end
  local r = row[target] or { registers = 0, scalars = 0, spilled = 0, bytes = 0, waves = math.huge, simd = math.huge }
  row[target] = r
  for _, field in ipairs { "registers", "scalars", "spilled" } do r[field] = math.max(r[field], k[field] or 0) end
  for _, field in ipairs { "waves", "simd" } do r[field] = math.min(r[field], k[field] or math.huge) end
  r.bytes = math.max(r.bytes, bytes)
end

local function first_error(log)
  for _, word in ipairs { "[Ee]rror[: ]", "undefined", "unresolved", "." } do
    for line in log:gmatch "[^\n]+" do
      if line:find(word) then return line:sub(1, 200) end
    end
  end
  return "no word why"
end

local function read_program(target, key, given, launched)
  local source = core.read_file(("%s/programs/%s/%s.cl"):format(folder, target, key))
  local options, ours, file = source:match "^// OPTIONS ([^\n]*)", source:find("^// OPTIONS [^\n]*%-DTL_CPU=") ~= nil, file_of(source)
  local log = core.read_file(("%s/out/%s/%s.log"):format(folder, target, key))
  local what = ("%s, %s %s"):format(target, file or (ours and "a test's" or "CLBlast's"), options:gsub("%-cl%S+ *", ""):gsub("%-DTL_%S+ *", ""))
  if file then seen_files[file] = true end
  if core.exists(("%s/out/%s/%s.bad"):format(folder, target, key)) or not core.exists(("%s/out/%s/%s.ok"):format(folder, target, key)) then
    if ours then finding("%s: %s", what, first_error(log)) else print(("CLBlast: %s: %s"):format(what, first_error(log))) end
    return false
  end
  local good, list = pcall(read.targets[target].parse, log)
  if not good or #list == 0 then
    finding("%s: cannot read what the compiler says: %s", what, good and "no kernel" or list)
    return false
  end
  -- A kernel that the output does not name has not been looked at.
  local unread = {}
  for kernel in pairs(launched[key] or {}) do unread[kernel] = true end
  for _, k in ipairs(list) do unread[k.kernel] = nil end
  for kernel in pairs(unread) do
    if ours then finding("%s: the compiler's output says nothing of %s", what, kernel) end
  end
  for _, k in ipairs(list) do
    local dynamic = given[key .. k.kernel] or 0
    local fault = ours and read.fault(target, k, dynamic)
    if fault then finding("%s: %s %s", what, k.kernel, fault) end
    if ours and file then add(own, file, k, target, k.bytes + dynamic) elseif not ours then add(others, nil, k, target, k.bytes + dynamic) end
  end
  return true
end

for _, target in ipairs(targets) do
  local given, launched = launches_of(target)
  local all, passed = 0, 0
  for _, name in ipairs(core.list_folder(("%s/programs/%s"):format(folder, target))) do
    local key = name:match "^(%x+)%.cl$"
    if key then
      all = all + 1
      if read_program(target, key, given, launched) then passed = passed + 1 end
    end
  end
  counts[#counts + 1] = ("%s %d of %d"):format(target, passed, all)
  if all == 0 then finding("%s: no program was written down", target) end
  local refused = ("%s/programs/%s/refused"):format(folder, target)
  local said = {}
  for line in (core.exists(refused) and core.read_file(refused) or ""):gmatch "[^\n]+" do
    if not said[line] then finding("%s", line) end
    said[line] = true
  end
end
if #targets > 0 then
  for _, file in ipairs(read.files()) do
    local seen, processors = seen_files[file.name], file.room == "cpu/"
    if not seen and not processors then finding("cl/%s%s.cl: no test builds it for a GPU", file.room, file.name) end
    if seen and processors then finding("cl/%s%s.cl: is built for a GPU, and stands in the room of processors", file.room, file.name) end
  end
end

-- ---- the table ----

local COLUMNS = {
  { "sm_80", "registers", function(r) return r.registers end }, { "sm_80", "spilled", function(r) return r.spilled end },
  { "gfx906", "VGPRs", function(r) return r.registers end }, { "gfx906", "SGPRs", function(r) return r.scalars end },
  { "gfx906", "spilled", function(r) return r.spilled end }, { "gfx906", "waves", function(r) return r.waves end },
  { "gfx1030", "VGPRs", function(r) return r.registers end }, { "gfx1030", "SGPRs", function(r) return r.scalars end },
  { "gfx1030", "spilled", function(r) return r.spilled end }, { "gfx1030", "waves", function(r) return r.waves end },
  { "dg2", "SIMD", function(r) return r.simd end }, { "dg2", "spilled", function(r) return r.spilled end },
}

-- Local memory is the program's, so all compilers agree on it but for rounding.
local function local_of(row)
  local most = 0
  for _, t in ipairs(targets) do most = math.max(most, row[t] and row[t].bytes or 0) end
  return most
end

local function table_of(rows)
  table.sort(rows.list, function(a, b)
    if (a.file or "") ~= (b.file or "") then return (a.file or "") < (b.file or "") end
    return a.name < b.name
  end)
  local lines, head, rule = {}, { "kernel", "local" }, { ":--", "--:" }
  for _, c in ipairs(COLUMNS) do head[#head + 1], rule[#rule + 1] = c[1] .. " " .. c[2], "--:" end
  lines[1], lines[2] = "| " .. table.concat(head, " | ") .. " |", "|" .. table.concat(rule, "|") .. "|"
  for _, row in ipairs(rows.list) do
    local cells = { row.name, tostring(local_of(row)) }
    for _, c in ipairs(COLUMNS) do cells[#cells + 1] = row[c[1]] and tostring(c[3](row[c[1]])) or "" end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
  end
  return table.concat(lines, "\n")
end

local text = ("Kernels of tlua (programs compiled: %s):\n\n%s\n\nCLBlast's, for comparison:\n\n%s\n"):format(table.concat(counts, ", "), table_of(own), table_of(others))
core.write_file(folder .. "/table.md", text)
if docs == "docs" then
  if #skipped > 0 then finding("%s is not written while compilers are missing", PAGE) else
    local page = core.read_file(PAGE)
    local _, from = page:find(BEGIN, 1, true)
    local to = page:find(END, 1, true)
    if from and to and to > from then core.write_file(PAGE, page:sub(1, from) .. "\n" .. text .. page:sub(to)) else finding("%s has no place for the table", PAGE) end
  end
end

-- ---- the verdict ----

print(("programs that pass: %s; the table is in %s/table.md"):format(#counts > 0 and table.concat(counts, ", ") or "none", folder))
if findings > 0 then
  print(("test-compilers: FAILED, %d finding%s%s"):format(findings, findings == 1 and "" or "s", #skipped > 0 and "; skipped " .. table.concat(skipped, ", ") or ""))
  os.exit(1, true)
elseif #skipped > 0 or #targets == 0 then
  print("test-compilers: SKIPPED, so not passed: " .. (#skipped > 0 and table.concat(skipped, ", ") or "everything"))
  os.exit(2, true)
end
print "test-compilers: passed"
