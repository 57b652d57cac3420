-- medicine.lua - the recipes of X-rays, slices and volumes, whole, on tiny data made here: a gland that is bright where
-- the class is ill. Run by `tlua tests/lua/medicine.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local folder = t.folder()

-- Runs a command line; returns its standard output.
local function run(line)
  local status, out, err = t.run("./tlua " .. line)
  if status ~= 0 then error(("tlua %s: status %s: %s%s"):format(line, tostring(status), out, err), 2) end
  return out
end

local function holds(text, ...)
  for _, each in ipairs { ... } do assert(text:find(each, 1, true), each .. " is not in: " .. text) end
end

-- A grey picture of side n; ill: with a bright disc at a place that `salt` moves.
local function slice(n, ill, salt)
  local list = {}
  for y = 0, n - 1 do
    for x = 0, n - 1 do
      local near = (x - n / 2 - salt % 3) ^ 2 + (y - n / 2) ^ 2 < (n / 4) ^ 2
      list[#list + 1] = (ill and near and 200 or 60) + (x * 7 + y * 13 + salt * 31) % 23
    end
  end
  return core.tensor(list, { dtype = "uint8" }):reshape(n, n, 1)
end

t.test("chest_xray.lua: two of three folders, patients apart, a threshold's validation part", function()
  for _, class in ipairs { "normal", "pneumonia", "covid19" } do
    core.mkdirs(("%s/xray/%s"):format(folder, class))
    for patient = 1, 10 do
      local id = patient + (class == "normal" and 0 or 8)
      for visit = 0, 1 do
        core.image_write(("%s/xray/%s/%08d_%03d.png"):format(folder, class, id, visit),
          slice(40, class ~= "normal", 2 * patient + visit))
      end
    end
  end
  local line = ("recipes/chest_xray.lua --model efficientnet_lite0 --weights none --data.root %s/xray " ..
    "--data.size 32 " ..
    "--schedule.train '_blocks.15.*' --schedule.1.epochs 1 --schedule.epochs 2 --out %s/chest"):format(folder, folder)
  local out = run(line)
  holds(out, "2 classes", "validation 15 % of the training pictures held out, groups as a whole",
    "none on both sides", "(auto)", "4 views", "stage 2   of 2",
    "all but _blocks.15.*")
  assert(not out:find "covid" and not out:find "the same ", out)
  out = run(("eval %s/chest"):format(folder))
  holds(out, "in 2 classes")
  t.equal(out:find("warning", 1, true), nil)
end)

os.execute("rm -rf " .. folder)
t.finish()
