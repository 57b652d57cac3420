-- onnx_conformance.lua - ONNX's own models of single operators, with inputs and outputs, through tlua's reader: a table
-- by operator and version of what passes, is wrong, is refused by name, or breaks.
--   ./tlua tests/interop/onnx_conformance.lua [--data DIR] [--table FILE] [--only PATTERN] [--least N] [--most N]
--       [--write]
-- Models of opsets from N to N. DIR is what Debian's libonnx-testdata brings. A model runs in a protected call of
-- another process (TLUA, or ./tlua), so that one that ends it is counted too. It fails where a model is wrong, breaks,
-- or is refused and does not stand in onnx_refused.txt; --write makes that list anew.
local core = require "tlua.core"
local pb = dofile "tests/interop/onnx_pb.lua"
local compare = dofile "tests/interop/onnx_compare.lua"
local DATA, LIST = "/usr/share/libonnx-testdata/data", "tests/interop/onnx_refused.txt"

local options, at = { data = DATA }, 1
while arg[at] do
  local name = arg[at]:match "^%-%-(%a+)$"
  assert(name, "no option: " .. arg[at])
  if name == "write" then options.write, at = true, at + 1 else options[name], at = arg[at + 1], at + 2 end
end

local function folders()
  local out = {}
  for line in io.popen(("ls -d '%s'/*/*"):format(options.data)):lines() do
    local name, file = line:match "([^/]+/[^/]+)$", io.open(line .. "/model.onnx")
    if file then file:close() end
    if file and (not options.only or name:find(options.only)) then
      local opset = (options.least or options.most) and pb.model(line .. "/model.onnx").opsets[""] or 0
      if opset >= tonumber(options.least or 0) and opset <= tonumber(options.most or 1000) then out[#out + 1] = name end
    end
  end
  return out
end

-- ---- a model ----

local function read_all(folder, model, word)
  local out = {}
  for i, v in ipairs(word == "input" and model.inputs or model.outputs) do
    local path = ("%s/test_data_set_0/%s_%d.pb"):format(folder, word, i - 1)
    local file = io.open(path)
    if file then
      file:close()
      out[#out + 1] = { name = v.name, value = pb.value(path, v.kind, v.dtype) }
    end
  end
  return out
end

-- A refusal is a line that names an operator or a type of the file; anything else that is raised is a fault of the
-- reader.
local function is_refusal(message, model)
  if message:find "attempt to" or message:find "stack overflow" or message:find "bad argument" or message:find "\n." or
    message:find "assertion failed" then return false end
  for _, node in ipairs(model.nodes) do
    if message:find(node.op, 1, true) then return true end
  end
  for _, word in ipairs { "opset", "sequence", "optional", "string", "float64" } do
    if message:find(word) then return true end
  end
  return false
end

-- "pass", distance; "wrong", distance, why; "refused" or "broken", nil, message.
local function try(name)
  local folder = options.data .. "/" .. name
  local path = folder .. "/model.onnx"
  local model, inputs = pb.model(path), {}
  for _, each in ipairs(read_all(folder, model, "input")) do inputs[each.name] = each.value end
  local outputs = read_all(folder, model, "output")
  local scope <close> = core.scope()
  local ok, got = pcall(function() return require("tlua.onnx").run(path, inputs) end)
  if not ok then
    local message = tostring(got)
    return is_refusal(message, model) and "refused" or "broken", nil, message
  end
  local worst = 0
  for _, want in ipairs(outputs) do
    local distance, why = compare(got[want.name], want.value)
    worst = math.max(worst, distance)
    if why then return "wrong", worst, want.name .. ": " .. why end
  end
  return "pass", worst
end

if options.from then -- a worker: models of the list from that one on, each begun and ended by a line
  for i, name in ipairs(folders()) do
    if i >= tonumber(options.from) then
      print("begin\t" .. name)
      io.stdout:flush()
      local ok, status, distance, why = pcall(try, name)
      if not ok then status, distance, why = "broken", nil, status end
      print(("end\t%s\t%s\t%s"):format(status, distance or "", tostring(why or ""):gsub("[\t\n]", " ")))
      io.stdout:flush()
      collectgarbage()
    end
  end
  os.exit(0, true)
end

-- ---- all of them ----

local function quoted(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function run()
  local names, results, from = folders(), {}, 1
  while from <= #names do
    local line = ("timeout 600 %s tests/interop/onnx_conformance.lua --from %d --data %s%s%s%s 2>&1"):format(
      quoted(os.getenv "TLUA" or "./tlua"), from, quoted(options.data),
      options.only and " --only " .. quoted(options.only) or "",
      options.least and " --least " .. options.least or "", options.most and " --most " .. options.most or "")
    local pipe, name, said = io.popen(line), nil, "it ended"
    for text in pipe:lines() do
      local begun = text:match "^begin\t(.*)$"
      local status, distance, why = text:match "^end\t(.-)\t(.-)\t(.*)$"
      if begun then name = begun
      elseif status then
        results[name], from, name = { status = status, distance = tonumber(distance), why = why }, from + 1, nil
      else said = text end
    end
    pipe:close()
    if from <= #names then
      results[name or names[from]], from = { status = "broken", why = "the process ended: " .. said }, from + 1
    end
  end
  return names, results
end

-- The operator that a model is about: of a function's body the function, else the first that is no constant.
local function about(name)
  local model = pb.model(options.data .. "/" .. name .. "/model.onnx")
  local version = model.opsets[""] or model.opsets["ai.onnx"] or 0
  for domain, v in pairs(model.opsets) do
    if domain ~= "" and domain ~= "ai.onnx" then version = domain .. " " .. v end
  end
  local whole = name:gsub("_expanded.*$", "")
  local file = whole ~= name and io.open(options.data .. "/" .. whole .. "/model.onnx")
  if file then
    file:close()
    return (about(whole)) .. " (its body)", version
  end
  for _, node in ipairs(model.nodes) do
    if node.op ~= "Constant" then return node.op, version end
  end
  return "Constant", version
end

local KINDS = { "pass", "wrong", "refused", "broken" }

local function write_table(names, results, file)
  local rows, order = {}, {}
  for _, name in ipairs(names) do
    local op, version = about(name)
    local key = ("%-32s %-4s"):format(op, version)
    if not rows[key] then
      rows[key] = { pass = 0, wrong = 0, refused = 0, broken = 0, distance = 0 }
      order[#order + 1] = key
    end
    local row, r = rows[key], results[name]
    row[r.status] = row[r.status] + 1
    if r.status == "pass" then row.distance = math.max(row.distance, r.distance) end
  end
  table.sort(order)
  file:write(("%-32s %-4s %7s %7s %7s %7s  furthest\n"):format("operator", "v.", table.unpack(KINDS)))
  for _, key in ipairs(order) do
    local r = rows[key]
    file:write(("%s %7d %7d %7d %7d  %.1e\n"):format(key, r.pass, r.wrong, r.refused, r.broken, r.distance))
  end
  for _, kind in ipairs { "wrong", "broken", "refused" } do
    file:write("\n", kind, "\n")
    for _, name in ipairs(names) do
      local r = results[name]
      if r.status == kind then file:write(("  %s: %s\n"):format(name, r.why)) end
    end
  end
end

local started = os.time()
local names, results = run()
local file = assert(io.open(options.table or "build/onnx_conformance.txt", "w"))
write_table(names, results, file)
file:close()

local counts, refused, failed = {}, {}, false
for line in io.lines(LIST) do refused[line] = true end
for _, name in ipairs(names) do
  local r = results[name]
  counts[r.status] = (counts[r.status] or 0) + 1
  local known = r.status == "refused" and (refused[name] or options.write)
  if r.status ~= "pass" and not known then
    failed = true
    print(("FAILED %s: %s: %s"):format(name, r.status, r.why))
  elseif r.status == "pass" and refused[name] then print(("%s passes now: take it out of %s"):format(name, LIST)) end
end
if options.write then
  file = assert(io.open(LIST, "w"))
  for _, name in ipairs(names) do
    if results[name].status == "refused" then file:write(name, "\n") end
  end
  file:close()
end
local said = {}
for _, kind in ipairs(KINDS) do said[#said + 1] = ("%d %s"):format(counts[kind] or 0, kind) end
print(("%d models: %s; %d s"):format(#names, table.concat(said, ", "), os.time() - started))
os.exit(failed and 1 or 0, true)
