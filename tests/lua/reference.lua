-- reference.lua - the pages of docs/reference and docs/ops.md are those of this version: `make docs` makes them. Run by
-- `tlua tests/lua/reference.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local examples = require "tlua.repl.examples"

t.test("docs/reference is what help() and --help know", function()
  local status, out, err = t.run "./tlua tools/reference.lua check"
  t.equal(status, 0, out .. err)
end)

t.test("docs/ops.md has the example of each operator", function()
  local text, all = core.read_file "docs/ops.md", examples.all()
  for _, op in ipairs(core.op_list()) do
    local own = text:match("\n### " .. op.name .. "\n(.-)\n%f[#\0]#")
      or text:match("\n### " .. op.name .. "\n(.*)$")
    assert(own, op.name)
    assert(own:find("```lua\n" .. table.concat(all[op.name], "\n") .. "\n```", 1, true),
      op.name .. " in docs/ops.md has another example, or none: make docs")
  end
end)

t.finish()
