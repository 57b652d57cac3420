-- memory.lua - a card of 96 MB (TLUA_MEMORY): what does not fit is said before anything is trained, with what does, a later
-- stage's step too; and a run that fits asks the driver for nothing once its steps go round. Run by `tlua tests/lua/memory.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local folder = t.folder()
pictures.idx(folder .. "/idx", 40)

local put = t.writer(folder)
local path = put("small.lua", ([[
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe {
  model = nn.Sequential(nn.Conv2d(3, 32, 3, { padding = 1 }), nn.ReLU(), nn.Conv2d(32, 32, 3, { padding = 1 }), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
  data = tlua.data.fashion_mnist { root = "%s/idx", size = 64, batch = 8, limit = 40 },
  optim = tlua.optim.SGD { lr = 0.01, momentum = 0.9 },
  schedule = { epochs = 2 },
}
]]):format(folder))

local function card(mb, words)
  return t.run(("TLUA_MEMORY=%d ./tlua %s --force --out %s/out %s"):format(mb, path, folder, words or ""))
end

t.test("a step that does not fit is refused with the batch that does", function()
  local status, _, err = card(96, "--data.batch 40")
  assert(status == 1, err)
  local batch, times, what = err:match("small.lua:%d+: a step of 40 pictures needs [%d.]+ MB, and .* has [%d.]+ MB " ..
    "of 101 MB %([%d.]+ MB are left to the driver and what else runs%): %-%-data.batch (%d+) fits %(with " ..
    "%-%-accumulate (%d+) ([^)]*)%)")
  assert(batch and tonumber(batch) > 1, err)
  t.equal(tonumber(times), math.ceil(40 / batch))
  t.equal(what, 40 % batch == 0 and "the step stays as it was" or ("a step has %d pictures"):format(times * batch))
  status, _, err = card(96, "--data.batch 40 --accumulate 4")
  assert(status == 1 and err:find("--accumulate 20 the step stays", 1, true) or tonumber(batch) ~= 8, err)
  local good, out = card(96, "--data.batch " .. batch)
  assert(good == 0 and out:find "memory    [%d.]+ MB for a step, [%d.]+ MB are free of 101 MB %([%d.]+ MB are left", out)
  -- Options are named with what they would need, and only those that need less.
  assert(err:find("%), %-%-precision bfloat16 needs [%d.]+ MB\n") and not err:find("recompute", 1, true), err)
  status, _, err = card(96, "--data.batch 40 --train 6.* --cache false")
  assert(status == 0 or not err:find("bfloat16", 1, true), err)
  status, _, err = card(3, "--data.batch 40")
  assert(status == 1 and err:find("not even one picture fits", 1, true), err)
end)

t.test("a later stage's step is looked at before the first", function()
  local text = require("tlua.core").read_file(path):gsub("schedule = { epochs = 2 }",
    'schedule = { { epochs = 1, train = "6.*" }, { epochs = 1 } }, cache = false')
  put("small.lua", text)
  local status, out, err = card(96, "--data.batch 40")
  assert(status == 1 and err:find("a step of 40 pictures in stage 2 needs", 1, true) and
    not out:find("Epoch 1", 1, true), out .. err)
  assert(card(96, "--data.batch 8") == 0)
end)

t.test("batches of so many seconds: the seconds that fit, and a word about one clip where none does", function()
  assert(t.run(("./tlua docs/tones.lua %s/tones 40"):format(folder)) == 0)
  local speech = put("speech.lua", ([[
local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.conformer { blocks = 1, width = 48, heads = 2, ffn = 96 },
  data = tlua.data.speech { path = "%s/tones/transcripts.tsv", batch = "60 s" }, schedule = { epochs = 1 },
}
]]):format(folder))
  local function small(mb)
    return t.run(("TLUA_MEMORY=%d ./tlua %s --force --accumulate 2 --out %s/speech"):format(mb, speech, folder))
  end
  local status, _, err = small(16)
  local seconds, times = err:match("a step of 60 s of clips needs .*: %-%-data.batch '([%d.]+) s' fits %(with " ..
    "%-%-accumulate (%d+) the step stays as it was%)")
  assert(status == 1 and seconds and tonumber(seconds) < 60, err)
  t.equal(seconds * times, 120.0)
  status, _, err = small(1)
  assert(status == 1 and err:find("not even one clip fits", 1, true), err)
end)

t.test("TLUA_MEMORY is a whole number of megabytes", function()
  local status, _, err = t.run "TLUA_MEMORY=8GB ./tlua -e 'require(\"tlua.core\").device()'"
  assert(status == 1 and err:find("TLUA_MEMORY: a whole number from 1 to 16777216 is needed, not '8GB'", 1, true), err)
end)

t.finish()
