local core = require "tlua.core"
return function(argv)
  local f = assert(loadfile(argv[1], "t"))
  tlua = core
  local ok, e = xpcall(f, function(m) return m end)
  if not ok then io.stderr:write(tostring(e), "\n") return 1 end
  return 0
end
