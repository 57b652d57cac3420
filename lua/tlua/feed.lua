-- feed.lua - batches for the training loop: pictures from the loader, or the frozen part's outputs from the cache on
-- disk. Order and labels are the same either way.
local core = require "tlua.core"
local data = require "tlua.data"
local cache = require "tlua.cache"
local progress = require "tlua.progress"

local Feed = {}
Feed.__index = Feed
local feed = {}

-- Part "train" or "test" of a session. With session.cut, next() gives what comes out of that stage, as long as feed.cut
-- is set: where the cache cannot be had the feed says so once and gives pictures.
function feed.open(session, part)
  return setmetatable({ session = session, part = part, count = session.data[part]:count(), batch = session.data.batch, source = session.data[part],
    cut = session.cut, stores = {}, past_waiting = 0 }, Feed)
end

function Feed:waited() return self.past_waiting + (self.loader and self.loader:waited() or 0) end

local function pictures(self)
  self.cut = nil
  self.loader = self.loader or data.loader(self.session.data, self.part, self.session.seed)
end

-- Fills a store, telling how far it is. true, false when stopped, nil and why.
local function fill(self, store)
  local s, begin = self.session, core.time()
  local label = self.part == "train" and "Features" or "Test features"
  local ok, done, why = pcall(store.fill, store, function(n, all)
    s.progress:update(label, n, all, progress.speed(n, core.time() - begin, all - n))
    return core.interrupted()
  end)
  if self.part == "train" and s.spent then s.spent.features = s.spent.features + core.time() - begin end
  if not ok then return nil, tostring(done) end
  return done, why
end

-- The store of a view, complete. nil where there is none: `stopped`, or the feed has gone over to pictures.
local function ready_store(self, view)
  local s = self.session
  for attempt = 1, 2 do
    local store, why = self.stores[view], nil
    if not store then store, why = cache.open(s, self.cut, self.part, view) end
    self.stores[view] = store
    if store then
      local done
      done, why = fill(self, store)
      if done then return store end
      if done == false then return nil, true end
      store:close()
      self.stores[view] = nil
    end
    -- Numbers beyond float16: kept as float32 instead.
    if why and why:find("does not fit float16", 1, true) and attempt == 1 then
      s.progress:say "cache     a number is beyond float16: kept as float32"
      core.remove(store.path)
      self.cut = cache.as_float32(s, self.cut)
    else
      s.progress:say(("cache     not used for %s pictures: %s"):format(self.part == "train" and "training" or "test", why))
      break
    end
  end
  pictures(self)
end

-- Begins an epoch, after `done` of its batches. Returns true when Ctrl-C stopped it.
function Feed:start(epoch, done)
  local stopped
  self.store = nil
  if self.cut then
    local view = self.part == "train" and (epoch - 1) % self.cut.views + 1 or 1
    self.view = view
    self.store, stopped = ready_store(self, view)
    if stopped then return true end
  else
    pictures(self)
  end
  if not self.store then
    self.loader:start(epoch, (done or 0) + 1)
    return false
  end
  self.at = math.min((done or 0) * self.batch, self.count)
  self.order = self.part == "train" and core.data.permutation(self.session.seed, epoch, self.count) or nil
  return false
end

-- Reads from the store; what is damaged is made again once.
local function read(self, list)
  local y, why = self.store:read(list)
  if y then return y end
  self.session.progress:say(("cache     %s; it is made again from there"):format(why))
  self.store:close()
  self.stores[self.view] = nil
  local store, stopped = ready_store(self, self.view)
  if not store then error(stopped and "stopped" or ("%s, and it cannot be made again"):format(why), 0) end
  self.store = store
  y, why = store:read(list)
  if not y then error(why, 0) end
  return y
end

local function from_store(self)
  while self.at < self.count do
    local list, labels = {}, {}
    local last = math.min(self.at + self.batch, self.count)
    if self.part == "train" and self.session.data.drop_last and last - self.at < self.batch then return nil end
    for i = self.at + 1, last do list[#list + 1] = self.order and self.order[i] or i end
    self.at = last
    list = self.store:present(list)
    if #list > 0 then
      for i, index in ipairs(list) do labels[i] = self.source:label(index) end
      return read(self, list), core.tensor(labels, { dtype = "int32" }), #list, labels
    end
  end
end

-- Where a batch is mixed: {share = of a picture's own label, labels =, list =} of the pictures that were mixed in.
local function mixed_with(share, list, n)
  if share == 1 then return nil end
  local others = {}
  for i = 1, n do others[i] = list[i > 1 and i - 1 or n] end
  return { share = share, labels = core.tensor(others, { dtype = "int32" }), list = others }
end

-- input, labels (tensor), n, labels (list), mix (see above); nothing at the end.
function Feed:next()
  if self.store then return from_store(self) end
  local x, labels, n, indices, share = self.loader:next()
  if not x then return nil end
  local list = {}
  for i = 1, n do list[i] = self.source:label(indices[i]) end
  return x, labels, n, list, mixed_with(share, list, n)
end

function Feed:close()
  if self.loader then self.loader:close() end
  for _, store in pairs(self.stores) do store:close() end
  self.stores = {}
end

return feed
