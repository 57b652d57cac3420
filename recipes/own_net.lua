-- A network of your own, from the parts in nn, trained from scratch: no weights are downloaded. All that recipes can do works
-- with it: freezing by name, groups, schedules, checkpoints, --resume. Its model file holds the network as a list of calls, so that
-- `tlua predict`, eval, explain, export and C need no recipe, and tlua.nn.Graph { "runs/NAME" } trains on.
--
--   tlua recipes/own_net.lua --data.limit 5000
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

-- Two 3 x 3 convolutions with a shortcut around them; half the size, twice the channels.
local Block = nn.class "Block"

function Block:init(from, to)
  self.conv1 = nn.Conv2d(from, to, 3, { stride = 2, padding = 1, bias = false })
  self.bn1 = nn.BatchNorm2d(to)
  self.conv2 = nn.Conv2d(to, to, 3, { padding = 1, bias = false })
  self.bn2 = nn.BatchNorm2d(to)
  self.short = nn.Conv2d(from, to, 1, { stride = 2 })
end

function Block:forward(x)
  local y = self.bn2(self.conv2(self.bn1(self.conv1(x)):relu()))
  return (y + self.short(x)):relu()
end

local net = nn.Sequential(
  nn.Conv2d(3, 16, 3, { padding = 1 }), nn.ReLU(),
  Block(16, 32), Block(32, 64), Block(64, 128),
  nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))

return tlua.recipe {
  model    = net,
  data     = data.cifar10 { root = "data/cifar10", size = 32, mean = { 0.491, 0.482, 0.447 }, std = { 0.247, 0.243, 0.262 }, batch = 64, augment = "standard" },
  loss     = nn.CrossEntropy { label_smoothing = 0.1 },
  optim    = optim.SGD { lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 5e-4 },
  schedule = { epochs = 10, rate = "one_cycle" },
  clip     = 5,
}
