-- devices.lua - `tlua devices`: a line for each OpenCL device, or with --all everything that its driver says and what
-- tlua makes of it, as text or JSON.
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local devices = {}

local function list(t) return t and table.concat(t, " x ") end

-- The words of a line, those that are known, put together.
local function join(...)
  local words = {}
  for i = 1, select("#", ...) do
    local word = select(i, ...)
    if word then words[#words + 1] = word end
  end
  return #words > 0 and table.concat(words, ", ") or nil
end

local function with(value, format) return value and format:format(value) end
-- Sizes that are powers of two by nature.
local function kibibytes(value, format) return value and format:format(("%.4g KiB"):format(value / 1024)) end
local function bytes(value, format) return value and format:format(util.bytes(value)) end

local function quirks(d)
  return join(d.fragile and "plain kernels only (its compiler breaks on others)",
    d.short_loops and "loops end after 65,536 turns", d.simulated and "simulated")
end

-- Pairs of a name and its text, in the order in which they are printed.
local function lines_of(d)
  local groups = d.max_groups[2] > 0 and ("at most %s groups a launch"):format(list(d.max_groups))
  return {
    { "driver", join(d.driver, d.version, d.platform_version ~= d.version and d.platform_version) },
    { "vendor", join(d.vendor, d.board) },
    { "language", join(d.language, d.compiler == false and "no compiler",
      d.builds == false and "a small kernel does not compile") },
    { "units", join(with(d.units, "%d"), with(d.megahertz, "%d MHz"), with(d.address_bits, "addresses of %d bits"),
      d.capability_major and ("compute capability %d.%d"):format(d.capability_major, d.capability_minor or 0)) },
    { "memory", join(bytes(d.bytes, "%s"), bytes(d.max_buffer, "a buffer at most %s"),
      kibibytes(d.constant_bytes, "constants %s"), d.shares_host_memory and "the host's own",
      d.error_correction and "error correction") },
    { "cache", join(bytes(d.cache_bytes, "%s"), with(d.cache_line, "lines of %d bytes")) },
    { "local memory", join(kibibytes(d.local_bytes, "%s a group"),
      d.local_is_its_own == false and "in global memory") },
    { "groups", join(with(d.max_group, "at most %d work-items"), with(list(d.max_items), "%s along the dimensions"),
      with(d.kernel_group, "%d of a small kernel"), with(d.preferred_multiple, "multiples of %d preferred"),
      with(d.warp, "warps of %d"), with(d.wavefront, "wavefronts of %d")) },
    { "vectors", join(with(d.preferred_vector, "%d floats preferred"), with(d.native_vector, "%d in a register")) },
    { "arguments", join(with(d.parameter_bytes, "%d bytes"), with(d.alignment_bits, "buffers aligned to %d bits")) },
    { "timer", with(d.timer_nanoseconds, "%d ns") },
    { "extensions", d.extensions and d.extensions:gsub("%s+", " ") or nil },
    { "tlua", join(
      d.kernels == "gpu" and "kernels for GPUs" or ("kernels for processors, vectors of %d floats"):format(d.vector),
      groups or nil,
      ("compiled kernels are kept by %s"):format(d.kernels_kept_by == "driver" and "the driver" or "tlua"),
      quirks(d)) },
    { "tested", d.tested and ("tlua's tests have run on this kind: %s"):format(d.tested) or
      "tlua's tests have not run on this kind: `tlua check` runs some" },
  }
end

-- argv: what stands behind `tlua devices`. Returns the exit status.
function devices.main(argv)
  local o, rest = commands.parse("devices", argv)
  if #rest > 0 then commands.usage("devices", ("'%s' is not understood"):format(rest[1])) end
  local all = o.all and core.device_details() or core.devices()
  if #all == 0 then core.device() end -- which says why
  if o.json then
    print(core.json_encode(all, true))
    return 0
  end
  for _, d in ipairs(all) do
    print(("%d  %-4s %s, %d units, %s (%s)%s"):format(d.index, d.type, d.name, d.units, util.bytes(d.bytes), d.platform,
      d.chosen and "; taken where none is named" or ""))
    for _, line in ipairs(o.all and lines_of(d) or {}) do
      if line[2] then print(("   %-13s %s"):format(line[1], line[2])) end
    end
  end
  return 0
end

return devices
