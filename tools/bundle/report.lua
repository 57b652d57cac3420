-- report.lua - what run.sh has gathered, as summary.txt and results.json.
--   tlua report.lua WORK OUT      WORK: steps.tsv, meta.tsv, logs and what steps have written; OUT: a folder
--   tlua report.lua longest FILE gpu|processor     whether a launch took longer than a second; on a GPU that is a failure
local core = require "tlua.core"
local work, to = arg[1], arg[2]

local function read(name) return core.exists(work .. "/" .. name) and core.read_file(work .. "/" .. name) or nil end

-- Text that came from programs, also where one was killed in the middle of a character.
local function clean(text) return (text:gsub("[^\n\t\32-\126\128-\255]", "")) end
local function log_of(step) return clean(read("logs/" .. step .. ".log") or "") end

local function json(text)
  local ok, value = pcall(core.json_decode, text or "")
  return ok and type(value) == "table" and value or nil
end

local function last_lines(text, n)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return { table.unpack(lines, math.max(1, #lines - n + 1)) }
end

-- ---- what there is ----

local function steps_of()
  local list = {}
  for line in (read "steps.tsv" or ""):gmatch "[^\n]+" do
    local name, kind, state, code, seconds = line:match "^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$"
    list[#list + 1] = { name = name, kind = kind, state = state, status = tonumber(code), seconds = tonumber(seconds), last = last_lines(log_of(name), 1)[1] }
  end
  return list
end

local function meta_of()
  local meta = {}
  for key, value in (read "meta.tsv" or ""):gmatch "([^\t\n]+)\t([^\n]*)" do meta[key] = value end
  return meta
end

-- The longest launch of each kernel, longest first.
local function longest_of(text)
  local by, list = {}, {}
  for seconds, untimed, launches, kernel, label in (text or ""):gmatch "([%d.]+)\t(%d+)\t(%d+)\t([^\t\n]+)\t([^\n]*)" do
    local row = by[kernel] or { kernel = kernel, operator = label, seconds = 0, launches = 0, untimed = 0 }
    if not by[kernel] then by[kernel], list[#list + 1] = row, row end
    row.launches, row.untimed = row.launches + math.tointeger(launches), row.untimed + math.tointeger(untimed)
    if tonumber(seconds) > row.seconds then row.seconds, row.operator = tonumber(seconds), label end
  end
  table.sort(list, function(a, b) return a.seconds == b.seconds and a.kernel < b.kernel or a.seconds > b.seconds end)
  return list
end

if work == "longest" then
  local list = longest_of(core.exists(to) and core.read_file(to))
  if #list == 0 then error("no launch was timed", 0) end
  for i = 1, math.min(10, #list) do print(("%9.3f ms  %-26s %s"):format(1e3 * list[i].seconds, list[i].kernel, list[i].operator)) end
  print(("the longest launch of %d kernels takes %.3f s: %s"):format(#list, list[1].seconds, list[1].kernel))
  local untimed = 0
  for _, row in ipairs(list) do untimed = untimed + row.untimed end
  if untimed > 0 then print(("the driver does not tell how long %d launches took"):format(untimed)) end
  os.exit((list[1].seconds > 1 or untimed > 0) and arg[3] == "gpu" and 1 or 0, true)
end

local function products_of()
  local text, list = log_of "products", {}
  for line in text:gmatch "[^\n]+" do
    local what, maker, rate, share = line:match "^(.-)%s+(%S+)%s+([%d.]+) GFLOP/s%s+([%d.]+) %%"
    if what then list[#list + 1] = { what = what, maker = maker, gflops = tonumber(rate), share = tonumber(share) } end
  end
  return { peak_gflops = tonumber(text:match "multiply%-adds alone (%d+) GFLOP/s"), rows = list }
end

local function convolutions_of(step)
  local text, list, network = log_of(step), {}, nil
  for line in text:gmatch "[^\n]+" do
    network = line:match "^(%S+, batch %d+)$" or network
    local what, ms, rate, unit, share = line:match "^(.-)%s+([%d.]+) ms%s+([%d.]+) %([^)]*%) (%S+)%s+([%d.]+) %%"
    if what and network then
      list[#list + 1] = { network = network, what = what:gsub("%s+", " "):gsub("^ ", ""), ms = tonumber(ms), rate = tonumber(rate), unit = unit, share = tonumber(share) }
    end
  end
  local gflops, gbytes = text:match "multiply%-adds alone (%d+) GFLOP/s, copies (%d+) GB/s"
  return { peak_gflops = tonumber(gflops), peak_gbytes = tonumber(gbytes), rows = list }
end

local function beside_of()
  local list = {}
  for line in (read "compare.jsonl" or ""):gmatch "[^\n]+" do list[#list + 1] = json(line) end
  return list
end

-- What `tlua check` said, family by family, as far as it came.
local function check_of()
  local text, list = log_of "check", {}
  for line in text:gmatch "[^\n]+" do
    local state, checks, seconds = line:sub(28):match "^(%S[%a ]-) +(%d+) checks +([%d.]+) s"
    if state then list[#list + 1] = { name = line:sub(1, 26):match "^(.-) *$", state = state, checks = math.tointeger(checks), seconds = tonumber(seconds) } end
  end
  return { report = text:match "\nreport +([^\n]+)", families = list }
end

local function count(steps, state)
  local n = 0
  for _, s in ipairs(steps) do n = n + (s.state == state and 1 or 0) end
  return n
end

-- ---- as text ----

local lines = {}
local function say(format, ...) lines[#lines + 1] = select("#", ...) > 0 and format:format(...) or format end

local function chosen(devices)
  for _, d in ipairs(devices or {}) do
    if d.chosen then return d end
  end
end

local function head(r)
  local d = chosen(r.devices)
  say("tlua %s on a machine with %s", core.version, d and d.name or "a device that could not be opened")
  if d then
    say("device     %s, %s, %d units, %.1f GB", d.name, d.type, d.units, d.bytes / 1e9)
    say("driver     %s, %s, %s", d.platform, d.driver or "?", d.version or "?")
    say("tested     %s", d.tested and "tlua's tests have run on this kind before: " .. d.tested or "tlua's tests had never run on this kind of device before")
  end
  say("system     %s", r.meta.system or "?")
  say("processor  %s threads", r.meta.processor or "?")
  say("PyTorch    %s", r.meta.torch ~= "" and r.meta.torch or "none on this machine")
  say("bundle     %s; %s; run.sh %s, %s s of %s", r.meta.bundle or "?", r.meta.date or "?", r.meta.what or "?", r.meta.seconds or "?", r.meta.limit or "?")
  local c = r.counts
  say("result     %d steps passed, %d FAILED, %d over their time, %d cut short by the limit, %d not reached, %d skipped%s", c.ok, c.failed, c.over, c.cut, c.missed, c.skipped,
    r.meta.interrupted ~= "" and "; interrupted" or "")
  say ""
end

local function table_of_steps(r)
  say("%-16s %-12s %9s  %s", "step", "result", "seconds", "its last line")
  for _, s in ipairs(r.steps) do say("%-16s %-12s %9.1f  %s", s.name, s.state, s.seconds or 0, (s.last or ""):sub(1, 120)) end
  say ""
  for _, s in ipairs(r.steps) do
    if s.state == "FAILED" or s.state == "over time" then
      say("%s: %s (status %d); the end of its log:", s.name, s.state, s.status or -1)
      for _, line in ipairs(last_lines(log_of(s.name), 12)) do say("    %s", line:sub(1, 200)) end
      say ""
    end
  end
end

local function families(r)
  if #r.check.families == 0 then return end
  say("tlua check: %s", r.check.report or "not to its end")
  for _, f in ipairs(r.check.families) do say("    %-26s %-9s %5d checks %6.1f s", f.name, f.state, f.checks, f.seconds) end
  say ""
end

local function longest(r)
  if #r.longest == 0 then return end
  local most, launches = r.longest[1].seconds, 0
  for _, l in ipairs(r.longest) do launches = launches + l.launches end
  say("longest launches of %d kernels in %d launches of the tests: %s", #r.longest, launches,
    most > 1 and "LONGER THAN A SECOND, which a desktop's watchdog may end" or "none takes longer than a second")
  for i = 1, math.min(6, #r.longest) do
    local l = r.longest[i]
    say("    %9.3f ms  %-26s %s", 1e3 * l.seconds, l.kernel, l.operator)
  end
  say ""
end

local function rates(r)
  if #r.products.rows > 0 then
    say("matrix products, shares of %d GFLOP/s of multiply-adds alone", r.products.peak_gflops or 0)
    for _, p in ipairs(r.products.rows) do say("    %-44s %-10s %9.1f GFLOP/s %5.1f %%", p.what, p.maker, p.gflops, p.share) end
    say ""
  end
  if #r.convolutions.rows > 0 then
    say("convolutions, shares of %d GFLOP/s, of %d GB/s where depthwise", r.convolutions.peak_gflops or 0, r.convolutions.peak_gbytes or 0)
    for _, c in ipairs(r.convolutions.rows) do say("    %-30s %-48s %8.3f ms %8.1f %-7s %5.1f %%", c.network, c.what, c.ms, c.rate, c.unit, c.share) end
    say ""
  end
end

local function beside(r)
  if #r.beside == 0 then return end
  say("beside %s, medians of %d interleaved pairs, a second", r.meta.torch, r.beside[1].rounds or 0)
  say("    %-10s %-20s %5s %-12s %10s %10s %8s %16s", "work", "network", "batch", "PyTorch", "tlua", "PyTorch", "ratio", "memory MB")
  for _, b in ipairs(r.beside) do
    say("    %-10s %-20s %5d %-12s %10.1f %10.1f %7.2fx %7.0f /%7.0f", b.work, b.network, b.batch, ("%s%s"):format(b.peer_device, b.tf32 and ", TF32" or ""), b.tlua, b.other, b.ratio,
      b.memory[1], b.memory[2])
  end
  say ""
end

local function profiles()
  for _, name in ipairs { "profile_resnet", "profile_bert" } do
    local text = log_of(name)
    if text:find "\noperator" then
      for _, line in ipairs(last_lines(text, 1000)) do
        if line:find "^layer " then break end
        say("%s", line)
      end
      for line in text:gmatch "[^\n]+" do
        if line:find "launches, .* s in kernels" or line:find "between them" or line:find "^shares are of" then say("%s", line) end
      end
      say ""
    end
  end
end

-- ---- both files ----

local steps = steps_of()
local r = { meta = meta_of(), steps = steps, devices = json(read "devices.json"), check = check_of(), longest = longest_of(read "longest.txt"), products = products_of(),
  convolutions = convolutions_of "convolutions", beside = beside_of(), tlua = core.version,
  counts = { ok = count(steps, "ok"), failed = count(steps, "FAILED"), over = count(steps, "over time"), cut = count(steps, "cut short"),
    missed = count(steps, "not reached"), skipped = count(steps, "skipped") } }
head(r)
table_of_steps(r)
families(r)
longest(r)
beside(r)
rates(r)
profiles()
core.write_file(to .. "/summary.txt", table.concat(lines, "\n") .. "\n")
for _, name in ipairs { "profile_resnet", "profile_bert", "tune", "gradients" } do r[name] = log_of(name) end
core.write_file(to .. "/results.json", core.json_encode(r, true))
