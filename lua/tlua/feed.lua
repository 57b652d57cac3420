-- feed.lua - batches for the training loop: pictures from the loader, or the frozen part's outputs that were kept
-- from the first epoch. Order and labels are the same either way.
local core = require "tlua.core"
local data = require "tlua.data"

local Feed = {}
Feed.__index = Feed
local feed = {}

-- part "train" or "test" of a session; with session.cache, next() gives features instead of pictures.
function feed.open(session, part)
  local self = setmetatable({ session = session, part = part, count = session.data[part]:count(), batch = session.data.batch }, Feed)
  self.source = session.data[part]
  self.loader = data.loader(session.data, part, session.seed)
  if session.cache then
    self.store = core.persist(core.zeros(self.count, session.model.features_width))
    self.row, self.filled, self.complete = {}, 0, false
  end
  return self
end

function Feed:batches() return self.loader:batches() end
function Feed:waited() return self.loader and self.loader:waited() or 0 end
function Feed:is_cached() return self.complete == true end

function Feed:start(epoch)
  if not self.complete then
    if self.store then self.row, self.filled = {}, 0 end
    self.loader:start(epoch)
    return
  end
  if self.loader_open ~= false then
    self.loader_open = false -- its threads and buffers are not needed any more
    self.batch_count = self.loader:batches()
    self.loader:close()
    self.loader = setmetatable({}, { __index = { batches = function() return self.batch_count end, waited = function() return 0 end } })
  end
  self.at = 0
  if self.part == "train" then self.order = core.data.permutation(self.session.seed, epoch, self.count) else self.order = nil end
end

-- Outputs of the frozen part for a batch of pictures, put into the store.
function Feed:keep(x, n, indices)
  local f = self.session.model:features(x)
  core.ops.slice(self.store, 1, self.filled, n):copy_(f)
  for i = 1, n do self.row[indices[i]] = self.filled + i - 1 end
  self.filled = self.filled + n
  return f
end

-- The next batch out of the store.
function Feed:from_store()
  while self.at < self.count do
    local rows, labels = {}, {}
    local last = math.min(self.at + self.batch, self.count)
    if self.part == "train" and self.session.data.drop_last and last - self.at < self.batch then return nil end
    for i = self.at + 1, last do
      local index = self.order and self.order[i] or i
      local row = self.row[index]
      if row then -- a picture that was skipped has none
        rows[#rows + 1] = row
        labels[#labels + 1] = self.source:label(index)
      end
    end
    self.at = last
    if #rows > 0 then
      local f = core.ops.embedding(self.store, core.tensor(rows, { dtype = "int32" }))
      return f, core.tensor(labels, { dtype = "int32" }), #rows, labels
    end
  end
end

-- input, labels (tensor), n, labels (list); nothing at the end. Input is pictures (N, H, W, C), or features (N, width) with a cache.
function Feed:next()
  if self.complete then return self:from_store() end
  local x, labels, n, indices = self.loader:next()
  if not x then
    if self.store then self.complete = true end
    return nil
  end
  local list = {}
  for i = 1, n do list[i] = self.source:label(indices[i]) end
  if self.store then x = self:keep(x, n, indices) end
  return x, labels, n, list
end

function Feed:close()
  if self.loader_open ~= false then self.loader:close() end
end

return feed
