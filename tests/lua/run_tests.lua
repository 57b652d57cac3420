-- run_tests.lua - a tiny runner: local t = dofile "tests/lua/run_tests.lua"; t.test(name, f) ...; t.finish().
local t = { passed = 0, failed = 0 }
-- TLUA_TEST_TIMES=1: how much processor time each test takes here (programs that it starts are not counted).
local TIMES = os.getenv "TLUA_TEST_TIMES" == "1"

function t.test(name, f)
  local begin = TIMES and os.clock()
  local ok, e = xpcall(f, function(m) return debug.traceback(tostring(m)) end)
  if ok then t.passed = t.passed + 1
  else
    t.failed = t.failed + 1
    print("FAILED " .. name .. ": " .. e)
  end
  if begin then print(("%6.1f s %s"):format(os.clock() - begin, name)) end
end

-- f(...) must raise an error that holds `pattern` (plain text); returns it.
function t.fails(pattern, f, ...)
  local ok, e = pcall(f, ...)
  assert(not ok, "no error where one was expected: " .. pattern)
  e = tostring(e)
  assert(e:find(pattern, 1, true), ("the error is %q, not %q"):format(e, pattern))
  return e
end

function t.equal(got, want, what)
  if got ~= want then error(("%s is %s, not %s"):format(what or "the value", tostring(got), tostring(want)), 2) end
end

-- Largest difference of two tensors, relative to the second.
function t.distance(a, b)
  local x, y, worst, square = a:reshape(-1):tolist(), b:reshape(-1):tolist(), 0, 0
  assert(#x == #y, "sizes differ")
  for i = 1, #y do
    local d = math.abs(x[i] - y[i])
    if not (d <= worst) then worst = d == d and d or math.huge end -- math.max would pass over a NaN
    square = square + y[i] ^ 2
  end
  return worst / math.sqrt(square / #y + 1e-30)
end

-- Runs a command; returns exit status, output, errors.
function t.run(command)
  local err = os.tmpname()
  local pipe = io.popen(command .. " 2>" .. err)
  local out = pipe:read("a")
  local _, _, status = pipe:close()
  local file = io.open(err)
  local text = file:read("a")
  file:close()
  os.remove(err)
  return status, out, text
end

-- What `./tlua WORDS...` writes; it must end well.
function t.says(...)
  local status, out, err = t.run("./tlua " .. table.concat({ ... }, " "))
  t.equal(status, 0, err)
  return out
end

-- Runs a recipe whose folder is said: its results, its log, and its report as a table.
function t.ran(recipe)
  local core = require "tlua.core"
  local results = recipe:run { style = "quiet", force = true }
  return results, core.read_file(recipe.out .. "/log.txt"),
    core.json_decode(core.read_file(recipe.out .. "/report.json"))
end

-- put(path, text) writes a file below `root` with the folders that it needs, and gives its whole path.
function t.writer(root)
  local core = require "tlua.core"
  return function(path, text)
    path = root .. "/" .. path
    core.mkdirs(path:match "^(.*)/")
    core.write_file(path, text)
    return path
  end
end

function t.folder()
  local path = os.tmpname()
  os.remove(path)
  require("tlua.core").mkdirs(path)
  return path
end

function t.finish()
  print(("%d passed, %d failed"):format(t.passed, t.failed))
  os.exit(t.failed == 0 and 0 or 1, true)
end

return t
