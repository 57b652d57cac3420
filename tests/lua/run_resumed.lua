-- run_resumed.lua - runs whose output is caught, what their model files hold, and checkpoints from the middle of an epoch, for tests of runs that go
-- on.
local core = require "tlua.core"
local checkpoint = require "tlua.run.checkpoint"
local resumed = {}

-- Runs a recipe; what it said is the second result.
function resumed.run(r, options)
  local lines, out = {}, io.stdout
  io.stdout = { write = function(self, text) lines[#lines + 1] = text return self end,
    flush = function(self) return self end }
  local ok, result = pcall(r.run, r, options or { force = true })
  io.stdout = out
  if not ok then error(result, 0) end
  return result, table.concat(lines)
end

-- The hashes of all tensors of the model in a run's folder.
function resumed.hashes(path)
  local scope <close> = core.scope()
  local list = {}
  for name, x in pairs((core.load(path .. "/model.safetensors"))) do list[#list + 1] = name .. " " .. x:hash() end
  table.sort(list)
  return table.concat(list, "\n")
end

-- f(...), whose run leaves the first checkpoint of its second epoch behind at least `batches` batches in the folder `to`.
function resumed.with_middle(to, batches, f, ...)
  local keep, kept = checkpoint.keep_last, false
  checkpoint.keep_last = function(s, ...)
    keep(s, ...)
    if s.epoch == 2 and s.done >= batches and not kept then
      core.mkdirs(to)
      core.write_file(to .. "/last.safetensors", core.read_file(s.out .. "/last.safetensors"))
      kept = true
    end
  end
  local all = table.pack(pcall(f, ...))
  checkpoint.keep_last = keep
  if not all[1] then error(all[2], 0) end
  assert(kept, "there is no checkpoint in the middle")
  return table.unpack(all, 2, all.n)
end

return resumed
