-- text_speed.lua - tlua's side of bench/text_speed.py: reviews as numbers of pieces, and a training step for every number of a
-- batch that is read.
--   tlua bench/text_speed.lua encode FOLDER REVIEWS.tsv OUT COUNT LONGEST
--   tlua bench/text_speed.lua usual|packed FOLDER NUMBERS [profile]      NUMBERS: a line a review, its label and its pieces
local tlua = require "tlua"
local core = require "tlua.core"
local nn, BATCH, PAD = tlua.nn, 32, 1

local function encode(folder, reviews, out, count, longest)
  local tokenizer = core.tokenizer.open(folder .. "/tokenizer.json")
  local file = assert(io.open(out, "w"))
  local n = 0
  for line in io.lines(reviews) do
    local text, label = line:match "^%d+\t(.-)\t([01])%s*$"
    if label and n < count then
      file:write(label, " ", table.concat(tokenizer:encode(text, nil, { longest = longest })[1].ids, " "), "\n")
      n = n + 1
    end
  end
  file:close()
end

local function read_batches(path)
  local batches = {}
  for line in io.lines(path) do
    local row = {}
    for x in line:gmatch "%d+" do row[#row + 1] = math.tointeger(x) end
    local batch = batches[#batches]
    if not batch or #batch == BATCH then
      batch = {}
      batches[#batches + 1] = batch
    end
    batch[#batch + 1] = { label = table.remove(row, 1), ids = row }
  end
  return batches
end

-- Numbers (N, T) padded to the longest, lengths (N), labels (N).
local function tensors(batch)
  local ids, lengths, labels, longest = {}, {}, {}, 0
  for i, r in ipairs(batch) do
    labels[i], lengths[i] = r.label, #r.ids
    longest = math.max(longest, #r.ids)
  end
  for i, r in ipairs(batch) do
    ids[i] = table.move(r.ids, 1, #r.ids, 1, {})
    for k = #r.ids + 1, longest do ids[i][k] = PAD end
  end
  local int = { dtype = "int32" }
  return core.tensor(ids, int), core.tensor(lengths, int), core.tensor(labels, int)
end

local function worker(work, folder, numbers, profiled)
  core.manual_seed(0)
  print "loaded"
  io.stdout:flush()
  local net = tlua.models.from_folder { path = folder, classes = 2, pool = "mean" }
  net:ready()
  net:train()
  rawset(net, "packs", work == "packed")
  local opt = tlua.optim.AdamW(net, { lr = 2e-5 })
  local batches = read_batches(numbers)
  local function step(batch)
    local s <close> = core.scope()
    local ids, lengths, labels = tensors(batch)
    opt:zero_grad()
    local loss = nn.functional.cross_entropy(net(ids, lengths), labels)
    loss:backward()
    opt:step()
    local value = loss:item()
    core.sync()
    return value
  end
  step(batches[1])
  if profiled then
    step(batches[2])
    require("tlua.command.profile").run(function() step(batches[2]) end)
  end
  print "ready"
  io.stdout:flush()
  for line in io.lines() do
    local t = core.time()
    step(batches[math.tointeger(line) % #batches + 1])
    print(("%.6f"):format(core.time() - t))
    io.stdout:flush()
  end
end

local work = arg[1]
if work == "encode" then encode(arg[2], arg[3], arg[4], tonumber(arg[5]), tonumber(arg[6]))
elseif work == "usual" or work == "packed" then worker(work, arg[2], arg[3], arg[4] == "profile")
else error "encode, usual or packed" end
