-- contributing.lua - the examples of CONTRIBUTING.md are what they say: `tlua tests/lua/contributing.lua` holds their
-- places against the tree, and runs those in Lua. `tlua tests/lua/contributing.lua DIR` lays them into the tree DIR.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"

-- The examples, in order: { path =, text =, place = "new" | "behind" | "in front of" | "end", anchor = }.
local function examples()
  local list, text = {}, core.read_file "CONTRIBUTING.md"
  for head, body in text:gmatch "\n([^\n`][^\n]*:)\n\n```%w*\n(.-)\n```\n" do
    local new, last = head:match "New file `([^`]+)`:$", head:match "At the end of `([^`]+)`:$"
    local path, place, anchor = head:match "In `([^`]+)`, (%l[%l ]+) `(.+)`:$"
    if new or last or path then
      list[#list + 1] = { path = new or last or path, place = new and "new" or last and "end" or place, anchor = anchor,
        text = body .. "\n" }
    end
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
  if e.place == "end" then return core.write_file(path, text .. e.text) end
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
  assert(#list >= 19, #list)
  local made = {}
  for _, e in ipairs(list) do
    if e.place == "new" then
      assert(not core.exists(e.path), e.path .. " is there already")
      assert(core.is_folder(e.path:match "^(.*)/"), "no folder for " .. e.path)
      made[e.path] = true
    elseif e.place == "end" then assert(made[e.path], e.path)
    else
      assert(e.place == "behind" or e.place == "in front of", e.place)
      assert(place_of(core.read_file(e.path), e.anchor),
        ("%s has no line that begins with: %s"):format(e.path, e.anchor))
    end
    for line in e.text:gmatch "[^\n]+" do assert(#line <= 120, line) end
  end
end)

t.test("every file that it names is there, or made by an example", function()
  local made, n = {}, 0
  for _, e in ipairs(examples()) do made[e.path] = true end
  for path in core.read_file("CONTRIBUTING.md"):gmatch "[`(]([%w_]+/[%w_./]+%.%l+)[`)]" do
    assert(path:find "NAME" or made[path] or core.exists(path), path)
    n = n + 1
  end
  assert(n > 30, n)
end)

t.test("a source, a transform and a task in fewer than 60 lines learn what they are to", function()
  local folder = t.folder()
  core.mkdirs(folder .. "/recipes")
  for _, e in ipairs(examples()) do
    if e.path:find "^recipes/" then lay(e, folder) end
  end
  local path, lines = folder .. "/recipes/strokes.lua", 0
  for _ in io.lines(path) do lines = lines + 1 end
  assert(lines < 60, lines)
  local status, out, err = t.run(("./tlua %s --out %s/run --threads 1"):format(path, folder))
  assert(status == 0, out .. err)
  assert(out:find "data +Custom: 160 training and 40 test pictures, 2 targets %(cosine, sine%)", out)
  local head, last = core.read_file(folder .. "/run/metrics.csv"):match "^([^\n]+)\n.-([^\n]+)\n$"
  t.equal(head, "epoch,loss,train_degrees,test_loss,test_degrees,learning_rate,seconds")
  local degrees = tonumber(last:match "^[^,]*,[^,]*,[^,]*,[^,]*,([^,]*),")
  assert(degrees and degrees < 6, last) -- 22 after the first epoch, 45 by chance
  -- The transform is in it: with all of the light left the numbers are others.
  local light = folder .. "/recipes/light.lua"
  core.write_file(light, (core.read_file(path):gsub("dim { least = 0.7 }", "dim { least = 1 }")))
  status, out, err = t.run(("./tlua %s --out %s/light"):format(light, folder))
  assert(status == 0, out .. err)
  assert(core.read_file(folder .. "/light/metrics.csv"):match "\n(1,[^,]*),"
    ~= core.read_file(folder .. "/run/metrics.csv"):match "\n(1,[^,]*),")
  status, out, err = t.run(("./tlua --resume %s/run --schedule.epochs 9 --force"):format(folder))
  assert(status == 0 and out:find "%[Epoch 9%]", out .. err)
end)

t.finish()
