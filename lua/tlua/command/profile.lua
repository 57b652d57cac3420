-- profile.lua - where the time goes: tlua --profile RECIPE, or tlua.profile(f). Tables per operator and per layer with
-- shares of the device's measured peaks, and a trace for chrome://tracing or Perfetto.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local profile = {}

-- Launches without an operator (optimisers, copies) go by their kernel.
local function operator_of(l) return (l.op or l.kernel) .. (l.backward and " gradient" or "") end
local function layer_of(l) return l.where and l.where ~= "" and l.where or "(" .. (l.op or l.kernel) .. ")" end

-- {name =, launches =, seconds =, flops =, bytes =} for each value of key(launch), longest first. An operator call's
-- work is counted once, with its first launch.
local function sums(list, key)
  local by, rows, seen = {}, {}, {}
  for _, l in ipairs(list) do
    local name = key(l)
    local row = by[name]
    if not row then
      row = { name = name, launches = 0, seconds = 0, flops = 0, bytes = 0 }
      by[name], rows[#rows + 1] = row, row
    end
    row.launches, row.seconds = row.launches + 1, row.seconds + l.seconds
    if l.span and not seen[l.span] then
      seen[l.span] = true
      row.flops, row.bytes = row.flops + l.flops, row.bytes + l.bytes
    end
  end
  table.sort(rows, function(a, b) return a.seconds == b.seconds and a.name < b.name or a.seconds > b.seconds end)
  return rows
end

local function share(value, seconds, peak)
  if value == 0 or seconds < 1e-4 then return "      -     " end -- too short to say
  return ("%6.0f %3.0f %%"):format(value / seconds / 1e9, 100 * value / seconds / 1e9 / peak)
end

local function show(lines, title, rows, all, peaks, most)
  lines[#lines + 1] = ("%-25s %8s %9s %6s %12s %12s"):format(title, "launches", "ms", "share", "GFLOP/s", "GB/s")
  local rest = { name = "the rest", launches = 0, seconds = 0, flops = 0, bytes = 0 }
  local function line(r)
    local name = #r.name > 25 and "..." .. r.name:sub(-22) or r.name
    lines[#lines + 1] = ("%-25s %8d %9.1f %4.1f %% %s %s"):format(name, r.launches, 1e3 * r.seconds,
      100 * r.seconds / all, share(r.flops, r.seconds, peaks[1]), share(r.bytes, r.seconds, peaks[2]))
  end
  for i, r in ipairs(rows) do
    if i <= most then line(r) else
      for _, key in ipairs { "launches", "seconds", "flops", "bytes" } do rest[key] = rest[key] + r[key] end
    end
  end
  if rest.launches > 0 then line(rest) end
end

-- What core.profile_end gave, as text.
function profile.text(result, peaks)
  local all, first, last = 0, math.huge, 0
  for _, l in ipairs(result) do
    all, first, last = all + l.seconds, math.min(first, l.start), math.max(last, l.start + l.seconds)
  end
  if #result == 0 then return "nothing was launched" end
  local lines = {}
  show(lines, "operator", sums(result, operator_of), all, peaks, 20)
  lines[#lines + 1] = ""
  show(lines, "layer", sums(result, layer_of), all, peaks, 20)
  local span = last - first
  lines[#lines + 1] = ""
  lines[#lines + 1] =
    ("%d launches, %.2f s in kernels of %.2f s from the first to the last\n(%.1f %% between them), %.2f s in all")
      :format(#result, all, span, 100 * (1 - all / span), result.wall)
  lines[#lines + 1] = ("shares are of what this device was measured to do: %.0f GFLOP/s, %.0f GB/s"):format(peaks[1],
    peaks[2])
  if result.lost > 0 then lines[#lines + 1] = ("%d more launches are not in it"):format(result.lost) end
  return table.concat(lines, "\n")
end

-- The trace event format: one complete event a launch, microseconds; layers in a row of their own.
function profile.trace(result, device)
  local events = { { name = "process_name", ph = "M", pid = 1, args = { name = device } },
    { name = "thread_name", ph = "M", pid = 1, tid = 1, args = { name = "kernels" } } }
  for _, l in ipairs(result) do
    events[#events + 1] = { name = l.kernel, cat = operator_of(l), ph = "X", pid = 1, tid = 1, ts = 1e6 * l.start,
      dur = 1e6 * l.seconds, args = { operator = operator_of(l), layer = l.where or "",
      gflops = l.flops and l.seconds > 0 and l.flops / l.seconds / 1e9 or nil } }
  end
  return core.json_encode { traceEvents = events, displayTimeUnit = "ms" }
end

-- Runs f() under a profile, prints the tables and writes the trace to `path`. Returns what f returned.
function profile.run(f, path)
  local gflops, gbytes = core.peaks()
  module.profiling = true
  module.changes = module.changes + 1 -- plans made before do not know their layers
  core.profile_begin()
  local results = table.pack(pcall(f))
  module.profiling = false
  local got = core.profile_end()
  if not results[1] then error(results[2], 0) end
  -- Other work on the machine comes and goes: the better of two measurements is nearer to what the device can do.
  local again, copied = core.peaks()
  gflops, gbytes = math.max(gflops, again), math.max(gbytes, copied)
  print(profile.text(got, { gflops, gbytes }))
  if path then
    core.write_file(path, profile.trace(got, core.device_info().name))
    print(("trace     %s: open it in chrome://tracing or ui.perfetto.dev"):format(path))
  end
  return table.unpack(results, 2, results.n)
end

return profile
