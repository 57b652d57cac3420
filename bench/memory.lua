-- memory.lua - peak memory of a run beside the number of pictures: a frozen ResNet-18 on made-up grey pictures, two epochs from the
-- feature cache on disk. It should not grow with the pictures.
--   tlua bench/memory.lua [1000 10000 50000]
local core = require "tlua.core"

local function number(n) return string.pack(">I4", n) end

local function make(folder, name, count)
  core.mkdirs(folder)
  local images, labels = assert(io.open(("%s/%s-images-idx3-ubyte"):format(folder, name), "wb")), assert(io.open(("%s/%s-labels-idx1-ubyte"):format(folder, name), "wb"))
  images:write(number(2051), number(count), number(28), number(28))
  labels:write(number(2049), number(count))
  for i = 1, count do
    images:write(string.char(i % 251):rep(392), string.char(i % 83):rep(392))
    labels:write(string.char(i % 10))
  end
  images:close()
  labels:close()
end

local function child(root)
  local tlua = require "tlua"
  local out = io.stdout
  io.stdout = { write = function() end, flush = function() end }
  tlua.recipe { model = tlua.models.resnet18 {}, freeze = "*", head = tlua.nn.Linear(10), optim = tlua.optim.Adam {}, schedule = { epochs = 2 }, out = root .. "/run",
    data = tlua.data.mnist { root = root, size = 32 }, cache = { folder = root .. "/features" } }:run()
  io.stdout = out
  for line in io.lines "/proc/self/status" do
    local kb = line:match "VmHWM:%s+(%d+)"
    if kb then print(tonumber(kb) // 1024) end
  end
end

if arg[1] == "--child" then return child(arg[2]) end
local counts = #arg > 0 and arg or { "1000", "10000", "50000" }
print(("%10s %12s"):format("pictures", "peak, MB"))
for _, count in ipairs(counts) do
  local root = os.tmpname()
  os.remove(root)
  make(root, "train", tonumber(count))
  make(root, "t10k", 1000)
  local pipe = assert(io.popen(("./tlua bench/memory.lua --child %s"):format(root)))
  print(("%10s %12s"):format(count, pipe:read "a":match "%d+" or "?"))
  pipe:close()
  os.execute("rm -rf " .. root)
end
