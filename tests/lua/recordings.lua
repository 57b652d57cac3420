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
  refused("file\twords\n1.wav\tab\n", "has no column 'text' (text); there is file, words: --data.text NAME")
  refused("file\ttext\n", "has no rows below its header")
  refused("file\ttext\tpart\n1.wav\tab\tsomething\n", "is no part: train, validation or test", { part = "part" })
  t.fails("path is missing", open, data.speech {})
  t.fails("there is no file", open, data.speech { path = root .. "/none.tsv" })
end)

t.test("messages of a recipe name the row of the table, and whose text it is; a pipe among the clips is not waited for", function()
  local root = folder .. "/rows"
  core.mkdirs(root)
  for i = 1, 4 do core.audio.write(("%s/%d.wav"):format(root, i), spoken("ab", i), RATE) end
  core.write_file(root .. "/mine.lua", ([[local tlua = require "tlua"
    return tlua.recipe { model = tlua.models.conformer { blocks = 1, width = 16, heads = 2, ffn = 16 }, data = tlua.data.speech { path = "%s/list.tsv" }, schedule = { epochs = 1 } }]]):format(root))
  local function refused(rows, message)
    core.write_file(root .. "/list.tsv", "file\ttext\n" .. rows)
    local status, _, err = t.run(("timeout 60 ./tlua %s/mine.lua --quiet --out %s/run"):format(root, root))
    assert(status == 1 and err:find(message, 1, true) and select(2, err:gsub("\n", "")) == 1, err)
    assert(not core.exists(root .. "/run/model.safetensors"))
  end
  refused("1.wav\tab\n2.wav\t \n", "mine.lua:2: " .. root .. "/list.tsv:3: column 'text' is empty")
  refused("1.wav\tab\n2.wav\n", "list.tsv:3: this row has 1 cells")
  refused("1.wav\tab 1\n2.wav\ta 1\n3.wav\tb 1\n4.wav\td 1\n", ".wav has digits")
  t.run(("mkfifo %s/pipe.wav"):format(root))
  refused("1.wav\tab\n2.wav\ta\n3.wav\tb\npipe.wav\td\n", "pipe.wav: a pipe or a device, not a sound file")
  t.run(("ln -s . %s/round"):format(root)) -- found once, not forty times
  local list, passed = require("tlua.data.waves").below(root)
  t.equal(#list, 4)
  t.equal(require("tlua.data.waves").passed_text(passed):match "^[^:]*", "1 .lua, 1 .tsv, 1 as a pipe or device passed over")
end)

t.test("a clip that a table has twice is told where it is in training and in test", function()
  local path = recordings("twice", 8)
  local text = core.read_file(path)
  core.write_file(path, text .. text:match "\n(1%.wav[^\n]*\n)":gsub("train", "test"))
  local built = open(data.speech { path = path, part = "part" })
  t.equal(built.said[2]:match "^warning   1 of 3 test clips are training clips too %([^)]*1%.wav%)" ~= nil, true)
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
-- ---- networks that learn from them ----

local function listener(more)
  local o = { rate = RATE, n_fft = 160, hop = 80, bands = 16, low = 100, high = 4000, scale = "htk", band_norm = "none", corners = "exact", blocks = 1, width = 32, heads = 2, ffn = 32, kernel = 7, normalize = "clip" }
  for name, v in pairs(more or {}) do o[name] = v end
  return tlua.models.conformer(o)
end

local function speech_recipe(path, out, more)
  local f = { model = listener(), data = data.speech { path = path, part = "part", batch = "12 s" }, optim = optim.AdamW { lr = 5e-3 },
    schedule = { epochs = 14, warmup = 1, rate = "cosine" }, clip = 5, out = out, test_every = 7 }
  for name, v in pairs(more or {}) do f[name] = v end
  return tlua.recipe(f)
end

local run_folder = folder .. "/learnt"
t.test("tones become letters, by CTC", function()
  local path = recordings("tones", 160)
  local results = speech_recipe(path, run_folder):run { style = "quiet" }
  assert(results.cer < 5, ("CER %s %%"):format(results.cer))
  assert(results.epochs[1].test_cer == nil and results.epochs[7].test_blanks and results.epochs[14].test_wer, "the figures of tested epochs")
  local log = core.read_file(run_folder .. "/log.txt")
  assert(log:find "5 symbols %( abcd%)" or log:find "6 symbols %( abcd%)", log)
  assert(log:find "batches   12 s of sound each, padding among them")
  local page = core.read_file(run_folder .. "/report.html")
  assert(page:find "audio/wav;base64," and page:find "Errors by length" and page:find("Worst clips", 1, true))
end)

t.test("predict: text, JSON with times, subtitles, CSV, a pipe", function()
  local wave = folder .. "/said.wav"
  core.audio.write(wave, spoken("ab dc", 99), RATE)
  local function heard(words)
    local status, out, err = t.run(words)
    t.equal(status, 0, err)
    return out
  end
  t.equal(heard(("./tlua predict %s %s"):format(run_folder, wave)), "ab dc\n")
  local found = core.json_decode(heard(("./tlua predict %s %s --json"):format(run_folder, wave)))
  t.equal(found.text, "ab dc")
  local words = found.segments[1].words
  t.equal(#words, 2)
  assert(words[1].from < 0.1 and math.abs(words[2].from - 0.6) < 0.12 and words[2].to <= 1.01, core.json_encode(words))
  assert(heard(("./tlua predict %s %s --srt"):format(run_folder, wave)):find "^1\n00:00:00,%d+ %-%-> 00:00:0[01],%d+\nab dc\n")
  assert(heard(("./tlua predict %s %s --vtt"):format(run_folder, wave)):find "^WEBVTT\n\n00:00:00%.%d+ %-%->")
  assert(heard(("./tlua predict %s %s --csv --beam 8"):format(run_folder, wave)):find "^file,from,to,text\n[^,]+said.wav,[%d.]+,[%d.]+,ab dc\n$")
  assert(heard(("cat %s | ./tlua predict %s -"):format(wave, run_folder)):find "ab dc\n$")
  assert(heard(("tail -c +45 %s | ./tlua predict %s - --rate %d"):format(wave, run_folder, RATE)):find "ab dc\n$")
  local status, out, err = t.run(("./tlua predict %s %s %s/none.wav"):format(run_folder, wave, folder))
  assert(status == 1 and out:find "said.wav\tab dc\n" and err:find "none.wav: cannot be opened", err)
  status, _, err = t.run(("./tlua predict %s %s --srt --vtt"):format(run_folder, wave))
  assert(status == 2 and err:find "do not go together")
  for _, each in ipairs { { wave .. " --rate 8000", "files say their rate themselves" }, { wave .. " --flip", "--flip: of speech there is one text" }, { "- " .. wave, "stands alone" },
    { wave .. " --beam 5000", "must be from 1 to 1000" }, { wave .. " --window 1000", "must be from 1 to 600" }, { "- --to " .. folder .. "/nowhere", "--to is for files" } } do
    status, out, err = t.run(("./tlua predict %s %s < /dev/null"):format(run_folder, each[1]))
    assert(status == 2 and out == "" and err:find(each[2], 1, true), err)
  end
  t.equal(heard(("cat %s | ./tlua predict %s - --csv"):format(wave, run_folder)):match "^[^\n]*", "file,from,to,text")
  status, out = t.run(("./tlua eval %s"):format(run_folder))
  assert(status == 0 and out:find "tested   40 clips of the test part" and out:find "CER %d", out)
end)

t.test("a model file whose task is not what its network gives is refused by name", function()
  local function changed(f)
    local tensors, meta = tlua.load(run_folder .. "/model.safetensors")
    local info = core.json_decode(meta.tlua)
    f(info.task)
    meta.tlua = core.json_encode(info)
    core.save(folder .. "/odd.safetensors", tensors, meta)
    return t.run(("./tlua predict %s/odd.safetensors %s/said.wav"):format(folder, folder))
  end
  for message, f in pairs {
    ["it keeps no vocabulary"] = function(task) task.kept = nil end,
    ["this is no vocabulary"] = function(task) task.kept.vocabulary = "x" end,
    ["blank is one of"] = function(task) task.kept.vocabulary.blank = 99 end,
    ["its vocabulary has 2 symbols, and the network gives"] = function(task) task.kept.vocabulary.symbols = { "<blank>", "a" } end,
    ["counted letters"] = function(task) task.kept.language = "x" end,
    ["gives frames"] = function(task) task.name, task.kept, task.options = "verify", nil, {} end,
  } do
    local status, out, err = changed(f)
    assert(status == 1 and out == "" and err:find("odd.safetensors: its task: ", 1, true) and err:find(message, 1, true), err)
  end
  local tensors, meta = tlua.load(run_folder .. "/model.safetensors")
  local info = core.json_decode(meta.tlua)
  info.options.width = 1000000000
  meta.tlua = core.json_encode(info)
  core.save(folder .. "/odd.safetensors", tensors, meta)
  local refused, _, odd = t.run(("ulimit -v 8000000; ./tlua predict %s/odd.safetensors %s/said.wav"):format(folder,
    folder))
  assert(refused == 1 and odd:find("odd.safetensors: its description is damaged: ", 1, true)
    and odd:find("width must be from 1 to", 1, true), odd)
  local status, _, err = t.run(("./tlua verify %s --known %s/sounds %s/said.wav"):format(run_folder, folder, folder))
  assert(status == 1 and err:find("gives frames, and a voice is one row a clip", 1, true), err)
end)

t.test("a clip that cannot be read has its own reason, where clips have classes too", function()
  local root = folder .. "/sounds"
  local r = tlua.recipe { model = tlua.models.mel_cnn { rate = RATE, high = 4000, width = 8 }, data = data.sounds { root = root, seconds = 0.3 }, schedule = { epochs = 1 },
    out = folder .. "/letters" }
  r:run { style = "quiet" }
  core.write_file(folder .. "/text.wav", "no sound")
  local status, _, err = t.run(("./tlua predict %s/letters %s/text.wav"):format(folder, folder))
  assert(status == 1 and err:find("text.wav: no sound file of a known format", 1, true), err)
  status, _, err = t.run(("./tlua predict %s/letters - < /dev/null"):format(folder))
  assert(status == 2 and err:find("- is a pipe of sound", 1, true), err)
  local _, found = t.run(("./tlua verify %s/letters --known %s %s/text.wav --json --quiet"):format(folder, root, folder))
  t.equal(found, "[]\n")
end)

t.test("a subtitle has 84 columns, of which a letter of East Asia takes two", function()
  local listen = require "tlua.command.listen"
  local function lines(word)
    local words = {}
    for i = 1, 3 do words[i] = { text = word:rep(20), from = i / 2, to = i / 2 + 0.4 } end
    return #listen.subtitles { { words = words } }
  end
  t.equal(lines "a", 1)
  t.equal(lines "한", 2)
end)

t.test("subtitles of recordings of one name do not take each other's place", function()
  local root = folder .. "/same"
  core.mkdirs(root .. "/in")
  for _, name in ipairs { "a.wav", "a.flac", "b.wav", "in/b.wav" } do core.audio.write(root .. "/" .. name, spoken("ab", 3), RATE) end
  local status, out, err = t.run(("cd %s && %s/tlua predict %s same --srt --to subs"):format(folder, os.getenv "PWD", run_folder))
  assert(status == 0, err)
  t.equal(out, "subs/a.flac.srt\nsubs/a.wav.srt\nsubs/same_b.srt\nsubs/same_in_b.srt\n")
end)

t.test("predict refuses the words of other models", function()
  local sounds = folder .. "/classes"
  tlua.recipe { model = tlua.models.mel_cnn { rate = RATE, width = 8, bands = 16 }, data = data.sounds { root = folder .. "/sounds", label = "_(anna%d)", seconds = 0.2 },
    schedule = { epochs = 1 }, out = sounds }:run { style = "quiet" }
  local wave = folder .. "/said.wav"
  local function refused(words, message, status)
    local code, _, err = t.run("./tlua " .. words)
    assert(code == (status or 2) and err:find(message, 1, true), words .. ": " .. err)
  end
  refused(("predict %s %s --top 3"):format(run_folder, wave), "--top: of speech there is one text")
  refused(("predict %s %s --rate 8000"):format(run_folder, wave), "files say their rate themselves")
  refused(("predict %s - < %s"):format(sounds, wave), "- is a pipe of sound, for speech")
  refused(("predict %s %s --flip"):format(sounds, wave), "--flip mirrors pictures")
  refused(("eval %s --flip"):format(sounds), "--flip mirrors pictures")
  refused(("predict %s tests/lua/recordings.lua"):format(sounds), "recordings.lua: no sound file of a known format", 1)
  local piped, _, why = t.run(("tail -c +45 %s | ./tlua predict %s -"):format(wave, run_folder))
  assert(piped == 1 and why:find("say their rate (--rate 16000", 1, true), why)
  refused(("verify %s --known %s/sounds %s"):format(run_folder, folder, wave), "gives frames, and a voice is one row a clip", 1)
  refused(("explain %s %s"):format(sounds, wave), "hears, and Grad-CAM shows places in pictures", 1)
  local ported, _, wrong = t.run(("./tlua export %s --to %s/heard.onnx"):format(run_folder, folder))
  t.equal(ported, 0, wrong)
  local file = core.onnx_read(folder .. "/heard.onnx")
  t.equal(core.json_decode(file.metadata.tlua).task.name, "ctc")
  t.equal(file.graph.inputs[2].name, "lengths")
  local _, cuts = t.run(("./tlua inspect %s --cut-points"):format(run_folder))
  assert(cuts:find "cut points +none: at no place does a single value pass %(lengths goes along%)", cuts)
  -- Another table: its test part, where a column says which that is.
  local list = core.read_file(folder .. "/tones/list.tsv")
  core.write_file(folder .. "/tones/other.tsv", list)
  local status, out = t.run(("./tlua eval %s --data.path %s/tones/other.tsv --json"):format(run_folder, folder))
  assert(status == 0 and core.json_decode(out).clips == 40, out)
end)

t.test("comparisons of minutes, runs side by side and the help speak of clips", function()
  local root = folder .. "/tones/"
  local path = folder .. "/compared.lua"
  core.write_file(path, ([[local tlua = require "tlua"
    return tlua.recipe { model = tlua.models.conformer { rate = 8000, n_fft = 160, hop = 80, bands = 16, low = 100, high = 4000, blocks = 1, width = 16, heads = 2, ffn = 16, kernel = 7,
        weights = %q },
      data = tlua.data.speech { path = %q, part = "part", batch = 16 }, schedule = { epochs = 1 },
      compare = { minutes = { 0.2, "all" }, seeds = { 0 }, ways = { { name = "scratch", weights = "none" }, { name = "again", freeze = "*" } } } }]]):format(
        folder .. "/small/model.safetensors", root .. "list.tsv"))
  speech_recipe(root .. "list.tsv", folder .. "/small", { model = tlua.models.conformer { rate = RATE, n_fft = 160, hop = 80, bands = 16, low = 100, high = 4000, blocks = 1,
    width = 16, heads = 2, ffn = 16, kernel = 7 }, schedule = { epochs = 1 } }):run { style = "quiet" }
  local status, out, err = t.run(("./tlua compare %s --out %s/compare"):format(path, folder))
  assert(status == 0 and out:find "3/4  scratch +all minutes", out .. err)
  local cells = core.read_file(folder .. "/compare/cells.csv")
  assert(cells:find("^minutes,way,seed,cer,") and cells:find("\n0.2,scratch,0,", 1, true), cells)
  local function body(page) return core.read_file(page):match "<body>(.*)" end
  assert(not body(folder .. "/compare/compare.html"):find "picture")
  status, out, err = t.run(("./tlua report %s %s/small --to %s/two.html"):format(run_folder, folder, folder))
  assert(status == 0, out .. err)
  local page = body(folder .. "/two.html")
  assert(page:find(">WER, last</th>", 1, true) and page:find("40 clips, ", 1, true) and not page:find("ROC curve", 1, true) and not page:find "picture", page)
  status, out = t.run(("./tlua %s --help"):format(path))
  assert(status == 0 and not out:find "picture", out)
end)

t.test("a recording of any length is cut where it is quiet", function()
  local listen = require "tlua.command.listen"
  local parts = {}
  for i = 1, 12 do parts[2 * i - 1], parts[2 * i] = spoken("abcd", i), core.zeros(RATE // 2) end
  parts[#parts + 1] = { axis = 1 }
  local whole = core.ops.concat(table.unpack(parts))
  for _, live in ipairs { false, true } do
    local windows, list, at = listen.windows(RATE, 3, live), {}, 0
    for from = 0, whole:shape(1) - 1, 1111 do
      table.move(windows:push(whole:slice(1, from, math.min(1111, whole:shape(1) - from)):clone()), 1, 99, #list + 1, list)
    end
    table.move(windows:push(nil), 1, 99, #list + 1, list)
    t.equal(#list, live and 13 or 6, "windows") -- of a pipe a pause ends each; else two words fit into three seconds
    for i, each in ipairs(list) do
      assert(math.abs(each.from * RATE - at) < 1e-6)
      local n = each.wave:shape(1)
      t.equal(t.distance(each.wave, whole:slice(1, at, n):clone()), 0)
      if i < #list then
        local cut = whole:slice(1, at + n - 40, 80):square():sum():item()
        assert(cut < 1e-3, ("cut %d is not where it is quiet: %g"):format(i, cut))
      end
      at = at + n
    end
    t.equal(at, whole:shape(1))
    t.equal(list[1].loud, true)
  end
end)

t.test("a run that was stopped goes on to the same bits, masks and speeds too", function()
  local path = recordings("resumed", 24)
  local function recipe(out, epochs)
    return speech_recipe(path, out, { augment = { speed = 0.1, gain = 3, freq_masks = 1, freq_width = 3, time_masks = 1, time_share = 0.2 },
      schedule = { epochs = epochs }, test_every = 1, model = listener { dropout = 0.1 } })
  end
  recipe(folder .. "/whole", 3):run { style = "quiet" }
  recipe(folder .. "/parts", 2):run { style = "quiet" }
  recipe(folder .. "/parts", 3):run { style = "quiet", resume = folder .. "/parts", force = true }
  local a, b = tlua.load(folder .. "/whole/model.safetensors"), tlua.load(folder .. "/parts/model.safetensors")
  for name, x in pairs(a) do t.equal(b[name]:hash(), x:hash(), name) end
end)

t.test("what cannot be learnt is left out by name, or refused", function()
  local path = recordings("odd", 8)
  local text = core.read_file(path):gsub("(1%.wav\ttrain\t)[^\n]*", "%1" .. ("ab"):rep(200), 1)
  core.write_file(path, text)
  speech_recipe(path, folder .. "/odd_run", { schedule = { epochs = 1 } }):run { style = "quiet" }
  assert(core.read_file(folder .. "/odd_run/log.txt"):find "skipped   .*1%.wav: its text wants 400 frames and the clip has %d+")
  core.write_file(path, (text:gsub("(2%.wav\ttrain\t)[^\n]*", "%1gate 7", 1)))
  t.fails("2.wav has digits", speech_recipe(path, folder .. "/never", {}).run, speech_recipe(path, folder .. "/never", {}), { style = "quiet" })
  local quiet = folder .. "/odd/2.wav"
  core.audio.write(quiet, core.zeros(RATE), RATE)
  core.write_file(path, text)
  t.fails("2.wav", speech_recipe(path, folder .. "/never", {}).run, speech_recipe(path, folder .. "/never", {}), { style = "quiet" })
  t.fails("and a batch has 0.5 s", speech_recipe(recordings("short", 6), folder .. "/never", { data = data.speech { path = folder .. "/short/list.tsv", batch = "0.5 s" } }).run,
    speech_recipe(folder .. "/short/list.tsv", folder .. "/never", { data = data.speech { path = folder .. "/short/list.tsv", batch = "0.5 s" } }), { style = "quiet" })
end)

t.test("what may not be as its owner thinks is said, and a damaged clip is left out where that is asked for", function()
  local path = recordings("loud", 8)
  core.audio.write(folder .. "/loud/1.wav", spoken("abcd", 1) * 100, RATE)
  core.write_file(folder .. "/loud/2.wav", "RIFF and no more")
  local built = open(data.speech { path = path, part = "part", on_bad = "skip", longest = 60 })
  t.equal(built.train:count(), 5)
  assert(#built.skipped == 1 and built.skipped[1].reason:find "2%.wav: ")
  assert(#built.noted == 1 and built.noted[1].reason:find "1%.wav: .* it was recorded too loud", built.noted[1])
  speech_recipe(path, folder .. "/loud_run", { data = data.speech { path = path, part = "part", on_bad = "skip" },
    schedule = { epochs = 1 } }):run { style = "quiet" }
  local log = core.read_file(folder .. "/loud_run/log.txt")
  assert(log:find "note      [^\n]*1%.wav: [^\n]*too loud" and log:find "skipped   [^\n]*2%.wav: ", log)
end)

t.test("tlua eval of voices has the loss of their task", function()
  tlua.recipe { task = task.verify {},
    model = tlua.models.speaker_lstm { rate = RATE, width = 8, layers = 1, bands = 8 },
    data = data.sounds { root = folder .. "/sounds", seconds = 0.3, group = "(%d)_", held_out = { "2", "5" } },
    schedule = { epochs = 1 },
    out = folder .. "/voices" }:run { style = "quiet" }
  local status, out, why = t.run(("./tlua eval %s/voices --json"):format(folder))
  t.equal(status, 0, why)
  local found, kept = core.json_decode(out), core.json_decode(core.read_file(folder .. "/voices/report.json"))
  t.equal(found.loss_kind, "supervised contrastive")
  assert(found.loss and found.loss > 0 and found.loss < 10, out)
  assert(core.json_encode(kept):find("sounds; %d+ training %(0:%d%d%) and %d+ test clips"), core.json_encode(kept))
end)

t.test("options of clips that would do nothing, or harm", function()
  local path = recordings("harm", 8)
  t.fails("seconds = 0.5 would cut it, not its text; --data.longest 0.5", open,
    data.speech { path = path, part = "part", seconds = 0.5 })
  t.equal(open(data.speech { path = path, part = "part", seconds = 9 }).preprocessing.seconds, 9)
  t.fails("would cut clips, but not their texts", open,
    data.speech { path = path, part = "part", seconds = 0.5, place = "start" })
  local function run(more, r)
    r = r or speech_recipe(path, folder .. "/never", more)
    r:run { style = "quiet" }
  end
  t.fails("noise_chance says how often", run, { augment = { noise_chance = 0.3 } })
  t.fails("there is none: freq_masks = 2", run, { augment = { freq_width = 3 } })
  t.fails("freq_width is 99, and there are", run, { augment = { freq_masks = 1, freq_width = 99 } })
  t.fails("blocks must be from 1 to 512", function()
    tlua.models.conformer { blocks = 1000000, weights = "none" }:ready()
  end)
  t.fails("task.verify has a loss of its own", run, nil, tlua.recipe { model = tlua.models.speaker_lstm { rate = RATE },
    data = data.sounds { root = folder .. "/sounds" }, task = task.verify {}, loss = nn.CrossEntropy {},
    out = folder .. "/never" })
  for words, message in pairs { ["%s --rate 8000"] = "files say their rate", ["%s --top 2"] = "there is one text",
    ["- --to x < %s"] = "--to is for files" } do
    local status, _, err = t.run(("./tlua predict %s "):format(run_folder) .. words:format(folder .. "/harm/1.wav"))
    assert(status == 2 and err:find(message, 1, true), err)
  end
end)

t.test("kept features of clips: of one length alone, and others with other noises", function()
  local root, noises, count = folder .. "/sounds", folder .. "/noises", 0
  core.mkdirs(noises)
  core.audio.write(noises .. "/1.wav", core.randn(RATE) * 0.1, RATE)
  local function log_of(options, more)
    options.root, count = root, count + 1
    local f = { model = tlua.models.mel_cnn { rate = RATE, n_fft = 160, hop = 80, bands = 16, high = 4000 },
      freeze = "*", data = data.sounds(options), schedule = { epochs = 1 }, out = ("%s/kept%d"):format(folder, count),
      cache = { folder = folder .. "/features", views = 1 } }
    for name, v in pairs(more or {}) do f[name] = v end
    tlua.recipe(f):run { style = "quiet" }
    return core.read_file(f.out .. "/log.txt")
  end
  assert(log_of({}):find("none: clips differ in length", 1, true))
  local with = { augment = { noise = noises, noise_chance = 1 } }
  assert(log_of({ seconds = 0.1 }, with):find "cache     after ")
  local before = #core.list_folder(folder .. "/features")
  log_of({ seconds = 0.1 }, with)
  t.equal(#core.list_folder(folder .. "/features"), before)
  core.audio.write(noises .. "/2.wav", core.randn(RATE) * 0.1, RATE)
  log_of({ seconds = 0.1 }, with)
  t.equal(#core.list_folder(folder .. "/features"), before + 1, "those of the training part")
end)

t.test("networks and data that do not go together", function()
  local root = folder .. "/sounds"
  for _, rate in ipairs { RATE, false } do
    local r = tlua.recipe { model = tlua.models.resnet18 {}, data = data.sounds { root = root, rate = rate or nil } }
    t.fails("sees, and data.sounds has clips of sound", r.run, r, { style = "quiet" })
  end
  local r = speech_recipe(folder .. "/tones/list.tsv", folder .. "/never", { model = tlua.models.mel_cnn { rate = RATE, high = 4000 } })
  t.fails("gives a row a clip and no frames", r.run, r, { style = "quiet" })
  r = speech_recipe(folder .. "/tones/list.tsv", folder .. "/never", { loss = nn.CrossEntropy {} })
  t.fails("the loss compares no frames with texts", r.run, r, { style = "quiet" })
  t.fails("unknown option of augment: 'flip'", tlua.recipe, { model = listener(), data = data.speech { path = "x" }, augment = { flip = true } })
end)

t.test("show is a page that can be heard", function()
  local r = speech_recipe(folder .. "/tones/list.tsv", folder .. "/never")
  local show = require "tlua.command.show"
  local o = show.options { { "to", folder .. "/show.html" }, { "pictures", "5" } }
  t.equal(show.page(r, o), 5)
  local page = core.read_file(folder .. "/show.html")
  t.equal(select(2, page:gsub("<audio ", "")), 5)
end)

os.execute("rm -r " .. folder)
t.finish()
