-- examples.lua - everything that help() knows has an example (lua/tlua/repl/examples), each of them runs as it stands
-- in a folder with small data, and the prompt shows what it says. Run by `tlua tests/lua/examples.lua`, in the root of
-- the source. With `--fill` it writes what is shown now into the files, which are to be read before they are kept.
local root, word = arg[1] ~= "--fill" and arg[1], arg[1] == "--fill" and arg[1] or arg[2]
local at = root and root .. "/" or ""
local t = dofile(at .. "tests/lua/run_tests.lua")
local run = dofile(at .. "tests/lua/run_examples.lua")

if not root then -- the examples want a working folder of their own
  local folder, here = t.folder(), os.getenv "PWD"
  run.data(folder)
  local ok = os.execute(("cd '%s' && '%s/tlua' '%s/tests/lua/examples.lua' '%s' %s"):format(folder, here, here, here,
    word or ""))
  os.execute(("rm -rf '%s'"):format(folder))
  os.exit(ok and 0 or 1)
end

local examples = require "tlua.repl.examples"
local all, known = examples.all(), run.names()

t.test("every entry has an example, and every example an entry", function()
  local left = {}
  for name in pairs(all) do left[name] = true end
  for _, name in ipairs(known) do
    assert(all[name] and #all[name] > 0, name .. " has no example")
    left[name] = nil
  end
  assert(next(left) == nil, ("the example of %s belongs to nothing"):format(next(left)))
end)

run.train()
local filled = {}
for _, name in ipairs(known) do
  t.test("the example of " .. name, function()
    local shown = run.run(name, all[name] or {})
    filled[name] = shown
    for _, each in ipairs(shown) do
      assert(word == "--fill" or run.agrees(each),
        ("line %d shows '%s', not '%s'"):format(each.line, each.got, each.wanted))
    end
  end)
end
if word == "--fill" then run.fill(at, filled) end

t.finish()
