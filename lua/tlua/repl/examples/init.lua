-- examples/init.lua - an example for each entry of help(), beside lua/tlua/repl/manual.lua: help() shows them, the
-- reference (docs/reference) has them, and tests/lua/examples.lua runs them. "# NAME" begins one, the lines of code
-- follow as they are typed at the prompt, with tlua as the only name that is there. "CODE  --> TEXT" has an expression
-- and what the prompt shows of it, in one line; text that ends with "..." goes on.
local examples = {}

local FILES = { "tensors", "layers", "modules", "networks", "data", "operators" }

examples.FILES = FILES

-- All examples: name of an entry -> list of lines.
function examples.all()
  local all, list = {}, nil
  for _, file in ipairs(FILES) do
    for line in require("tlua.repl.examples." .. file):gmatch "[^\n]+" do
      local name = line:match "^# (.*)$"
      if name then
        list = {}
        all[name] = list
      else list[#list + 1] = line end
    end
  end
  return all
end

-- A line's code, and the text that the prompt shows of it: nil where nothing is said.
function examples.parts(line)
  local code, text = line:match "^(.-)%s+%-%->%s*(.*)$"
  if not code then return line end
  return code, text
end

return examples
