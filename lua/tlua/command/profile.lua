-- profile.lua - where the time goes: tlua --profile RECIPE, or tlua.profile(f). Tables per operator, layer and kernel with
-- shares of the device's measured peaks, and a trace for chrome://tracing or Perfetto.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local profile = {}

-- Launches without an operator (optimisers, copies) go by their kernel.
local function operator_of(l) return (l.op or l.kernel) .. (l.backward and " gradient" or "") end
local function layer_of(l) return l.where and l.where ~= "" and l.where or "(" .. (l.op or l.kernel) .. ")" end

-- Seconds that each operator call took, by span, and the least that the device could take for it: its multiply-adds, its bytes, or
-- its launches, whichever takes longest at the measured rates.
local function calls_of(list, model)
  local calls = {}
  for _, l in ipairs(list) do
    if l.span then
      local c = calls[l.span] or { seconds = 0, launches = 0 }
      calls[l.span] = c
      c.seconds, c.launches = c.seconds + l.seconds, c.launches + 1
      c.least = math.max(l.flops / model.gflops / 1e9, l.bytes / model.gbytes / 1e9, c.launches * model.launch)
    end
  end
  return calls
end

-- {name =, launches =, seconds =, flops =, bytes =, known =, least =} for each value of key(launch), longest first. An operator
-- call's work is shared out among its launches by their time; `least` is the same share of the least that the call could take, and
-- `known` the seconds of launches that have one.
local function sums(list, key, model)
  local by, rows, calls = {}, {}, calls_of(list, model)
  for _, l in ipairs(list) do
    local name = key(l)
    local row = by[name]
    if not row then
      row = { name = name, launches = 0, seconds = 0, flops = 0, bytes = 0, known = 0, least = 0 }
      by[name], rows[#rows + 1] = row, row
    end
    row.launches, row.seconds = row.launches + 1, row.seconds + l.seconds
    local c = l.span and calls[l.span]
    if c then
      local part = c.seconds > 0 and l.seconds / c.seconds or 1 / c.launches
      row.flops, row.bytes = row.flops + part * l.flops, row.bytes + part * l.bytes
      row.least, row.known = row.least + part * c.least, row.known + l.seconds
    end
  end
  table.sort(rows, function(a, b) return a.seconds == b.seconds and a.name < b.name or a.seconds > b.seconds end)
  return rows
end

local function share(value, seconds, peak)
  if value == 0 or seconds < 1e-4 then return "      -     " end -- too short to say
  return ("%6.0f %3.0f %%"):format(value / seconds / 1e9, 100 * value / seconds / 1e9 / peak)
end

-- What of a row's time the device needed at least, in percent; nil where its work is not known, or too short to say.
local function of_roof(r) return r.known >= 1e-4 and r.known > 0.5 * r.seconds and 100 * r.least / r.known or nil end

local function show(lines, title, rows, all, model, most)
  lines[#lines + 1] = ("%-22s %8s %9s %6s %12s %12s %5s"):format(title, "launches", "ms", "share", "GFLOP/s", "GB/s", "roof")
  local rest = { name = "the rest", launches = 0, seconds = 0, flops = 0, bytes = 0, known = 0, least = 0 }
  local function line(r)
    local name, roof = core.text.pad(core.text.cut(r.name, 22, "...", true), 22), of_roof(r)
    lines[#lines + 1] = ("%s %8d %9.1f %4.1f %% %s %s %s"):format(name, r.launches, 1e3 * r.seconds,
      100 * r.seconds / all, share(r.flops, r.seconds, model.gflops), share(r.bytes, r.seconds, model.gbytes),
      roof and ("%3.0f %%"):format(roof) or "  -")
  end
  for i, r in ipairs(rows) do
    if i <= most then line(r) else
      for _, key in ipairs { "launches", "seconds", "flops", "bytes", "known", "least" } do rest[key] = rest[key] + r[key] end
    end
  end
  if rest.launches > 0 then line(rest) end
end

-- By kernel, as data: what a roofline is drawn of. {kernel =, launches =, seconds =, flops =, bytes =, roof = percent or nil}.
function profile.kernels(result, model)
  local out = {}
  for i, r in ipairs(sums(result, function(l) return l.kernel end, model)) do
    out[i] = { kernel = r.name, launches = r.launches, seconds = r.seconds, flops = r.flops, bytes = r.bytes, roof = of_roof(r) }
  end
  return out
end

-- What core.profile_end gave, as text.
function profile.text(result, model)
  local all, first, last = 0, math.huge, 0
  for _, l in ipairs(result) do
    all, first, last = all + l.seconds, math.min(first, l.start), math.max(last, l.start + l.seconds)
  end
  if #result == 0 then return "nothing was launched" end
  local lines = {}
  for i, each in ipairs { { "operator", operator_of }, { "layer", layer_of }, { "kernel", function(l) return l.kernel end } } do
    if i > 1 then lines[#lines + 1] = "" end
    show(lines, each[1], sums(result, each[2], model), all, model, 20)
  end
  local span = last - first
  lines[#lines + 1] = ""
  lines[#lines + 1] =
    ("%d launches, %.2f s in kernels of %.2f s from the first to the last\n(%.1f %% between them), %.2f s in all")
      :format(#result, all, span, 100 * (1 - all / span), result.wall)
  lines[#lines + 1] = ("shares are of what this device was measured to do: %.0f GFLOP/s, %.0f GB/s"):format(model.gflops,
    model.gbytes)
  lines[#lines + 1] = ("roof: the least time by these and %.1f us a launch, in percent of what it took"):format(1e6 * model.launch)
  lines[#lines + 1] = "(above 100: numbers came from a processor's caches instead of its memory)"
  if result.lost > 0 then lines[#lines + 1] = ("%d more launches are not in it"):format(result.lost) end
  return table.concat(lines, "\n")
end

-- The trace event format: one complete event a launch, microseconds; layers in a row of their own.
function profile.trace(result, device, model)
  local events = { { name = "process_name", ph = "M", pid = 1, args = { name = device } },
    { name = "thread_name", ph = "M", pid = 1, tid = 1, args = { name = "kernels" } } }
  for _, l in ipairs(result) do
    events[#events + 1] = { name = l.kernel, cat = operator_of(l), ph = "X", pid = 1, tid = 1, ts = 1e6 * l.start,
      dur = 1e6 * l.seconds, args = { operator = operator_of(l), layer = l.where or "",
      gflops = l.flops and l.seconds > 0 and l.flops / l.seconds / 1e9 or nil } }
  end
  return core.json_encode { traceEvents = events, displayTimeUnit = "ms",
    otherData = model and { device = device, roofline = model, kernels = profile.kernels(result, model) } or nil }
end

-- Runs f() under a profile, prints the tables and writes the trace to `path`. Returns what f returned.
function profile.run(f, path)
  local model = core.roofline()
  module.profiling = true
  module.changes = module.changes + 1 -- plans made before do not know their layers
  core.profile_begin()
  local results = table.pack(pcall(f))
  module.profiling = false
  local got = core.profile_end()
  if not results[1] then error(results[2], 0) end
  -- Other work on the machine comes and goes: the better of two measurements is nearer to what the device can do.
  local again, copied = core.peaks()
  model.gflops, model.gbytes = math.max(model.gflops, again), math.max(model.gbytes, copied)
  print(profile.text(got, model))
  if path then
    core.write_file(path, profile.trace(got, core.device_info().name, model))
    print(("trace     %s: open it in chrome://tracing or ui.perfetto.dev"):format(path))
  end
  return table.unpack(results, 2, results.n)
end

return profile
