-- text_embeddings.lua - the mean-pooled embeddings of texts by a network of a folder, for text_embeddings.py.
-- `tlua bench/text_embeddings.lua FOLDER IN.safetensors OUT.safetensors`: IN has ids and lengths of batches (ids.0,
-- lengths.0, ...), OUT gets embeddings.0 and so on.
local tlua = require "tlua"
local core = require "tlua.core"

local folder, from, to = table.unpack(arg)
local net = tlua.models.from_folder { path = folder, pool = "mean" }
net:eval()
local batches, made, began = core.load(from), {}, core.time()
local guard <close> = core.no_grad()
for i = 0, math.huge do
  local ids = batches["ids." .. i]
  if not ids then break end
  made["embeddings." .. i] = net:features(ids, batches["lengths." .. i])
end
core.save(to, made)
print(("%.2f s with reading"):format(core.time() - began))
