-- recordings.lua - recordings as data, and networks that learn from them: what a folder or a table of clips means, what is refused and how, a small
-- recogniser of tones that learns its letters, runs that are resumed, predict of files and pipes.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local tlua = require "tlua"
local nn, data, task, optim = tlua.nn, tlua.data, tlua.task, tlua.optim

local RATE = 8000
local folder = t.folder()

-- Letters are tones of 0.15 s with a short silence behind.
local TONES = { a = 500, b = 900, c = 1500, d = 2400 }
local function spoken(text, seed)
  local x = {}
  local noise = seed or 1
  for letter in text:gmatch "." do
    for i = 1, math.floor(0.15 * RATE) do
      noise = (noise * 1103515245 + 12345) % 2147483648
      x[#x + 1] = (TONES[letter] and 0.4 * math.sin(2 * math.pi * TONES[letter] * i / RATE) or 0) + 0.01 * (noise / 2147483648 - 0.5)
    end
    for _ = 1, math.floor(0.05 * RATE) do x[#x + 1] = 0 end
  end
  return core.tensor(x)
end

-- A folder of clips and their table; returns its path.
local function recordings(name, n)
  local root, letters, lines, state = folder .. "/" .. name, { "a", "b", "c", "d", " " }, { "file\tpart\ttext" }, 7
  core.mkdirs(root)
  for i = 1, n do
    local text = ""
    for k = 1, 3 + i % 4 do
      state = (state * 1103515245 + 12345) % 2147483648
      local letter = letters[state // 65536 % 5 + 1]
      if letter == " " and (k == 1 or k == 3 + i % 4 or text:sub(-1) == " ") then letter = "a" end
      text = text .. letter
    end
    core.audio.write(("%s/%d.wav"):format(root, i), spoken(text, i), RATE)
    lines[#lines + 1] = ("%d.wav\t%s\t%s"):format(i, i <= n * 3 // 4 and "train" or "test", text)
  end
  core.write_file(root .. "/list.tsv", table.concat(lines, "\n") .. "\n")
  return root .. "/list.tsv"
end

local function open(d, options)
  return data.open(d, { rate = RATE }, 0, options or { task = d.kind == "speech" and task.ctc {} or nil })
end

t.test("a table of recordings", function()
  local path = recordings("table", 8)
  local built = open(data.speech { path = path, part = "part" })
  t.equal(built.train:count() .. " " .. built.test:count(), "6 2")
  t.equal(built.input.kind, "clip")
  assert(built.train:text(1):find "^[a-d ]+$")
  assert(math.abs(built.train:seconds(1) - 0.2 * #built.train:text(1)) < 1e-6)
  local few = open(data.speech { path = path, part = "part", minutes = 2 / 60 })
  assert(few.train:count() < 6 and few.train:count() >= 1)
  t.equal(open(data.speech { path = path, part = "part", longest = 0.81 }).said[2]:match "^left out  %d clips? longer than 0.81 s" ~= nil, true)
end)

t.test("what a table must not be", function()
  local root = folder .. "/wrong"
  core.mkdirs(root)
  core.audio.write(root .. "/1.wav", spoken "ab", RATE)
  local function refused(text, message, options)
    core.write_file(root .. "/list.tsv", text)
    options = options or {}
    options.path = root .. "/list.tsv"
    t.fails(message, open, data.speech(options))
  end
  refused("file\ttext\n1.wav\t\n2.wav\tb\n", "list.tsv:2: column 'text' is empty: what is said in 1.wav?")
  refused("file\ttext\n2.wav\tab\n", "list.tsv:2: there is no file")
  refused("file\twords\n1.wav\tab\n", "has no column 'text'")
  refused("file\ttext\n", "has no rows below its header")
  refused("file\ttext\tpart\n1.wav\tab\tsomething\n", "is no part: train, validation or test", { part = "part" })
  t.fails("path is missing", open, data.speech {})
  t.fails("there is no file", open, data.speech { path = root .. "/none.tsv" })
end)

t.test("sounds by folder, by name, by a function; speakers apart", function()
  local root = folder .. "/sounds"
  for _, letter in ipairs { "a", "b" } do
    core.mkdirs(root .. "/" .. letter)
    for i = 1, 6 do core.audio.write(("%s/%s/%d_anna%d.wav"):format(root, letter, i, i % 3), spoken(letter, i), RATE) end
  end
  core.write_file(root .. "/a/notes.txt", "not a sound")
  local built = open(data.sounds { root = root })
  t.equal(table.concat(built.classes, " "), "a b")
  assert(built.said[2]:find "1 .txt passed over")
  built = open(data.sounds { root = root, label = "_(anna%d)", group = "(%d)_", held_out = { "2", "5" } })
  t.equal(table.concat(built.classes, " "), "anna0 anna1 anna2")
  t.equal(built.test:count(), 4)
  built = open(data.sounds { root = root, label = function(p) return p:find "anna1" and "one" or p:find "anna2" and "two" or nil end })
  t.equal(built.train:count() + built.test:count(), 8)
  assert(built.said[2]:find "left out  4 sounds for which label gives no class")
  t.fails("finds no class in", open, data.sounds { root = root, label = "(zz)" })
  t.fails("held_out: unknown group 'anna'", open, data.sounds { root = root, group = "_(%a+%d)", held_out = "anna" })
  t.fails("held_out names groups, and group", open, data.sounds { root = root, held_out = "anna" })
  t.fails("lies in no class folder", open, data.sounds { root = root .. "/a" })
end)
t.finish()
