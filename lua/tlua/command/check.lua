-- check.lua - `tlua check`: a short test of the operators on the device at hand, a line for each family, and one line
-- to be sent with a bug report. The checks themselves are in src/check.
local core = require "tlua.core"
local commands = require "tlua.command.commands"
local check = {}

local SECONDS = 55

local function options(argv)
  local o, rest = commands.parse("check", argv)
  if #rest > 0 then commands.usage("check", ("'%s' is not understood"):format(rest[1])) end
  if o.roofline and o.seconds then commands.wrong("check", "--seconds is of the test, and --roofline makes none") end
  o.seconds = o.seconds and tonumber(o.seconds) or not o.seconds and SECONDS
  if not o.seconds or not (o.seconds > 0) then commands.wrong("check", "--seconds: a positive number is needed") end
  return o
end

local function system_of()
  local pipe = io.popen "uname -srm 2>/dev/null"
  local text = pipe and pipe:read "l"
  if pipe then pipe:close() end
  return text or "unknown system"
end

-- What one line of a report holds: enough to know the machine, and what went wrong first.
local function report_line(device, results, verdict)
  local failed = {}
  for _, r in ipairs(results) do
    if r.failures > 0 then failed[#failed + 1] = ("%s (%s)"):format(r.name, r.first) end
  end
  return table.concat({ "tlua " .. core.version, device.name, device.platform, "driver " .. device.driver,
    device.version, system_of(), verdict .. (#failed > 0 and ": " .. table.concat(failed, "; ") or "") }, " | ")
end

local function verdict_of(results)
  local checks, failures, missed = 0, 0, 0
  for _, r in ipairs(results) do
    checks, failures, missed = checks + r.checks, failures + r.failures, missed + (r.reached and 0 or 1)
  end
  if failures > 0 then return "failed", ("%d of %d checks failed"):format(failures, checks) end
  if missed > 0 then
    return "unfinished", ("%d checks passed, %d of %d families not checked to their end"):format(checks,
      missed, #results)
  end
  return "ok", ("all %d checks passed"):format(checks)
end

-- --roofline: the model of the device that --profile holds kernels against.
local function roofline(o)
  local d = core.device(o.device)
  local r = core.roofline()
  if o.json then
    print(core.json_encode { device = d, tlua = core.version, roofline = r })
    return 0
  end
  print(("device    %s (%s, %s)"):format(d.name, d.type, d.platform))
  print(("memory    %.1f GB/s, read and written, in a copy"):format(r.gbytes))
  print(("float32   %.0f GFLOP/s in multiply-adds, two operations each: a kernel with fewer than %.1f for each byte of memory "
    .. "waits for memory"):format(r.gflops, r.gflops / r.gbytes))
  print(r.half_gflops and ("float16   %.0f GFLOP/s"):format(r.half_gflops) or
    "float16   no arithmetic (no cl_khr_fp16): halves are stored, and computed with as float32")
  print(("launch    %.1f us of a kernel in a full queue, %.1f us with waiting for it"):format(r.launch * 1e6,
    r.round_trip * 1e6))
  return 0
end

-- argv: what stands behind `tlua check`. Returns the exit status: 0 all passed, 1 something failed, 4 the time was over
-- before the end.
function check.main(argv)
  local o = options(argv)
  if o.roofline then return roofline(o) end
  local results, begin = {}, core.time()
  local say = o.json and function() end or function(text)
    io.stdout:write(text)
    io.stdout:flush()
  end
  local function on_begin(name) say(("%-26s "):format(name)) end
  local function on_end(r)
    results[#results + 1] = r
    if not r.reached and r.checks == 0 then
      say(("%-26s not reached\n"):format(r.name))
      return
    end
    local state = r.failures > 0 and "FAILED" or r.reached and "ok" or "cut short"
    local what = r.failures > 0 and ("  %d failed: %s"):format(r.failures, r.first) or ""
    say(("%-9s %5d checks %5.1f s%s\n"):format(state, r.checks, r.seconds, what))
  end
  local device = core.check(o.device, o.seconds, on_begin, on_end)
  local verdict, text = verdict_of(results)
  local line = report_line(device, results, text)
  if o.json then
    print(core.json_encode { device = device, tlua = core.version, verdict = verdict, families = results,
      seconds = core.time() - begin, report = line })
  else
    print(("%s in %.0f s on %s (%s)"):format(text, core.time() - begin, device.name, device.platform))
    if verdict == "unfinished" then
      print("the time was over; compiled kernels are kept, so a second `tlua check` comes further; " ..
        "or give it more: --seconds 300")
    elseif verdict == "failed" then
      print "do not train on this device before this is understood; please report it with the line below"
    end
    print("report    " .. line)
  end
  return verdict == "ok" and 0 or verdict == "failed" and 1 or 4
end

return check
