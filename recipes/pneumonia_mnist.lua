-- pneumonia_mnist.lua - pneumonia or none on chest X-rays of children at 28 pixels (PneumoniaMNIST, its own parts): a
-- whole network that knows photographs learns on, upper layers faster than lower ones.
--
--   tlua recipes/pneumonia_mnist.lua                      data/pneumoniamnist.npz, from zenodo.org/records/10519652
--   tlua recipes/pneumonia_mnist.lua --model resnet18     torchvision's weights instead, downloaded
--
-- The weights: EfficientNet-Lite0's, fetched by hand (docs/recipes.md). Three in four training pictures are of the ill,
-- which class weights even out. Published, from scratch on all training pictures: AUC 0.944 of a ResNet-18, 0.948 of a
-- ResNet-50 (Yang et al., MedMNIST v2, 2023). Names of patients are not in the file, so nothing tells them apart.
local tlua = require "tlua"
local nn, data, optim = tlua.nn, tlua.data, tlua.optim

return tlua.recipe {
  model     = tlua.models.efficientnet_lite0 { weights = "imagenet" },
  data      = data.tensors { path = "data/pneumoniamnist.npz", images = "train_images", labels = "train_labels",
    validation_images = "val_images", validation_labels = "val_labels", test_images = "test_images",
    test_labels = "test_labels", classes = { "normal", "pneumonia" }, size = 64, fit = "stretch", batch = 64 },
  task      = tlua.task.classify { positive = "pneumonia" },
  augment   = { rotate = 10, translate = 0.05, scale = { 0.9, 1.1 }, filter = "bilinear" },
  loss      = nn.CrossEntropy { weight = "auto" },
  optim     = optim.AdamW { lr = 1e-3, weight_decay = 1e-2 },
  batchnorm = "eval",
  schedule  = { epochs = 6, layer_decay = 0.8, warmup = 1, rate = "cosine" },
}
