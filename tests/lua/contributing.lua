-- contributing.lua - the examples of CONTRIBUTING.md are what they say: `tlua tests/lua/contributing.lua` holds their
-- places against the tree, and runs those in Lua. `tlua tests/lua/contributing.lua DIR` lays them into the tree DIR.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"

-- The examples, in order: { path =, text =, place = "new" | "behind" | "in front of", anchor = }.
local function examples()
  local list, text = {}, core.read_file "CONTRIBUTING.md"
  for head, body in text:gmatch "\n(%u[^\n]*:)\n\n```%w*\n(.-)\n```\n" do
    local new = head:match "^New file `([^`]+)`:$"
    local path, place, anchor = head:match "^In `([^`]+)`, (%l[%l ]+) `(.+)`:$"
    if new then list[#list + 1] = { path = new, place = "new", text = body .. "\n" } end
    if path then list[#list + 1] = { path = path, place = place, anchor = anchor, text = body .. "\n" } end
  end
  return list
end

-- Where a line of `text` begins with `anchor`: the first byte of the line, and that of the next one.
local function place_of(text, anchor)
  local first = ("\n" .. text):find("\n" .. anchor, 1, true)
  if not first then return nil end
  return first, (text:find("\n", first, true) or #text) + 1
end

local function lay(e, root)
  local path = root .. "/" .. e.path
  if e.place == "new" then return core.write_file(path, e.text) end
  local text = core.read_file(path)
  local first, after = place_of(text, e.anchor)
  local at = e.place == "behind" and after or first
  core.write_file(path, text:sub(1, at - 1) .. e.text .. text:sub(at))
end

if arg[1] then
  for _, e in ipairs(examples()) do
    lay(e, arg[1])
    print(e.place == "new" and e.path or ("%s, %s %s"):format(e.path, e.place, e.anchor))
  end
  return
end

t.test("every place that an example names is there", function()
  local list = examples()
  assert(#list >= 12, #list)
  for _, e in ipairs(list) do
    if e.place == "new" then
      assert(not core.exists(e.path), e.path .. " is there already")
      assert(core.is_folder(e.path:match "^(.*)/"), "no folder for " .. e.path)
    else
      assert(e.place == "behind" or e.place == "in front of", e.place)
      assert(place_of(core.read_file(e.path), e.anchor),
        ("%s has no line that begins with: %s"):format(e.path, e.anchor))
    end
    for line in e.text:gmatch "[^\n]+" do assert(#line <= 120, line) end
  end
end)

t.finish()
