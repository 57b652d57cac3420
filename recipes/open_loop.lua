-- A training loop written by hand, with the parts that recipes are made of: for those who want to see, or change,
-- every step.
--
--   tlua recipes/open_loop.lua                                      Fashion-MNIST, weights from the cache folder
--   tlua recipes/open_loop.lua WEIGHTS ROOT LIMIT EPOCHS            e.g. lite0.pth /usr/share/datasets/fashion-mnist 2000 2
local tlua = require "tlua"
local nn, F = tlua.nn, tlua.nn.functional
local weights, root, limit, epochs = ...

tlua.manual_seed(0)

-- A pretrained network; all of it frozen but a new head.
local model = tlua.models.efficientnet_lite0 { weights = weights or "imagenet" }
model:freeze "*"
model:set_head(nn.Linear(10))

-- Pictures, prepared as the weights want them, on threads of their own.
local pictures = tlua.data.open(tlua.data.fashion_mnist { root = root, limit = tonumber(limit) or 2000, batch = 64 }, model:preprocessing(), 0)
local train = tlua.data.loader(pictures, "train", 0)
local test = tlua.data.loader(pictures, "test", 0)

local optimiser = tlua.optim.Adam(model:parameters(), { lr = 1e-3 })

local function train_epoch(epoch)
  local sum, steps = 0, 0
  model:train()
  train:start(epoch)
  while true do
    local step <close> = tlua.scope()                    -- frees all tensors of this step at its end
    local x, labels = train:next()                       -- (N, H, W, C) and (N)
    if not x then break end
    optimiser:zero_grad()
    local loss = F.cross_entropy(model(x), labels)
    loss:backward()
    optimiser:step()
    sum, steps = sum + loss:item(), steps + 1
  end
  return sum / steps
end

local function accuracy()
  local right, all = 0, 0
  local quiet <close> = tlua.no_grad()
  model:eval()
  test:start(1)
  while true do
    local step <close> = tlua.scope()
    local x, labels, n = test:next()
    if not x then break end
    local predicted, wanted = model(x):argmax(-1):tolist(), labels:tolist()
    for i = 1, n do
      if predicted[i] == wanted[i] then right = right + 1 end
    end
    all = all + n
  end
  return right / all
end

for epoch = 1, tonumber(epochs) or 2 do
  local loss = train_epoch(epoch)
  print(("[Epoch %d] loss: %.4f  test accuracy %.1f %%"):format(epoch, loss, 100 * accuracy()))
end
model:save("open_loop.safetensors")
print("kept in open_loop.safetensors, which PyTorch reads too")
