-- demo_pictures.lua ROOT FOLDER - a few test pictures of Fashion-MNIST as PNG files, named after what they show.
local core = require "tlua.core"
local root, folder = ...
local source = core.data.source("fashion_mnist", { root = root, split = "test", limit = 60 })
local classes = source:classes()
core.mkdirs(folder)
for n = 1, 6 do
  local i = 9 * n
  local label = classes[source:label(i) + 1]:gsub("[^%w]+", "_"):lower()
  core.image_write(("%s/%d_%s.png"):format(folder, n, label), source:read(i))
end
