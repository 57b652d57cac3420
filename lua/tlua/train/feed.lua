-- feed.lua - batches for the training loop: pictures from the loader, or the frozen part's outputs from the cache on
-- disk. Order and labels are the same either way.
local core = require "tlua.core"
local data = require "tlua.data"
local cache = require "tlua.train.cache"
local progress = require "tlua.run.progress"
local util = require "tlua.util"

local Feed = {}
Feed.__index = Feed
local feed = {}

-- Part "train", "validation" or "test" of a session. With session.cut, next() gives what comes out of that stage, whatever becomes of the cache's folder: kept
-- as float16 the numbers are others than without, and the same recipe is to give the same bits.
function feed.open(session, part)
  return setmetatable({ session = session, part = part, count = session.data[part]:count(), batch = session.data.batch, source = session.data[part],
    cut = session.cut, stores = {}, past_waiting = 0,
    fields = session.data.fields }, Feed)
end

function Feed:waited() return self.past_waiting + (self.loader and self.loader:waited() or 0) end

local function spent(self, begin)
  local s = self.session
  if self.part == "train" and s.spent then s.spent.features = s.spent.features + core.time() - begin end
end

-- Fills a store, telling how far it is. true, false when stopped, nil and why it cannot be kept. What fails otherwise (the device, memory, a
-- picture) is an error as it is in training.
local function fill(self, store)
  local s, begin = self.session, core.time()
  local label = self.part == "train" and "Features" or self.part == "test" and "Test features" or "Validation features"
  local ok, done, why = pcall(store.fill, store, function(n, all)
    s.progress:update(label, n, all, progress.speed(n, core.time() - begin, all - n, s.data.input.many))
    return core.interrupted()
  end)
  spent(self, begin)
  if not ok then error(done, 0) end
  return done, why
end

-- "training pictures", "test clips"
local function kind(self)
  return ("%s %s"):format(self.part == "train" and "training" or self.part, self.session.data.input.many)
end

-- The file of a view. While another run makes it this one waits: both would compute the same, and without the file the numbers would be others. It
-- goes on when the file is whole, or when whoever was making it has ended, as far as it has come. nil and why; nothing when stopped.
local function shared_store(self, view)
  local s, begin, looked = self.session, core.time(), 0
  while not core.interrupted() do
    local store, why, busy = cache.open(s, self.cut, self.part, view)
    if not busy then
      if looked > 1 then
        s.progress:say(("cache     waited %s for the features of %s"):format(util.clock(core.time() - begin),
          kind(self)))
        spent(self, begin)
      end
      return store, why
    end
    looked = looked + 1
    if looked == 2 then -- the first time it may be somebody who lists the files
      s.progress:say(("cache     waits for another run, which is making the features of these %s: %s"):format(kind(self), busy))
    end
    local about = core.data.features_about(busy)
    s.progress:update("Waiting", about and about.done or 0, self.count, "another run makes the features")
    core.sleep(0.2)
  end
end

local function not_kept(self, why, own)
  util.failf("the features of the %s cannot be kept: %s%s; --cache.folder names another folder, --cache false trains without them", kind(self), why,
    own and "; nor for this run alone: " .. own or "")
end

-- A store of this run alone, where the cache folder cannot be written or locked: the same numbers, kept by nobody.
local function own_store(self, view, why)
  local s = self.session
  local store, worse = cache.open_own(s, self.cut, self.part, view)
  if not store then not_kept(self, why, worse) end
  s.progress:say(("cache     of %s is this run's alone and goes with it: %s"):format(kind(self), why))
  return store
end

-- The session's cut; stores of another one, whose numbers were kept otherwise, are let go.
local function take_cut(self)
  self.cut = self.session.cut
  for view, store in pairs(self.stores) do
    if store.cut ~= self.cut then
      store:close()
      self.stores[view] = nil
    end
  end
end

-- The store of a view, complete; nil when stopped.
local function ready_store(self, view)
  local s, unkept = self.session, nil
  for _ = 1, 3 do
    take_cut(self)
    local store, why = self.stores[view], nil
    if not store and not unkept then
      store, why = shared_store(self, view)
      if not store and not why then return nil end
      if not store then unkept = why end
    end
    store = store or own_store(self, view, unkept)
    self.stores[view] = store
    local done
    done, why = fill(self, store)
    if done then return store end
    if done == false then return nil end
    store:close()
    self.stores[view] = nil
    -- Numbers beyond float16: all views of both parts are float32 from now on, and so says the checkpoint (checkpoint.restore takes it up).
    if why:find("does not fit float16", 1, true) then
      s.progress:say "cache     a number is beyond float16: all are kept as float32 from here on"
      core.remove(store.path)
      s.cut = cache.as_float32(s, self.cut)
    elseif unkept then not_kept(self, unkept, why)
    else unkept = why end
  end
  not_kept(self, unkept)
end

-- Begins an epoch, after `done` of its batches. Returns true when Ctrl-C stopped it.
function Feed:start(epoch, done)
  self.store, self.epoch = nil, epoch
  if not self.cut then
    self.loader = self.loader or data.loader(self.session.data, self.part, self.session.seed)
    self.loader:start(epoch, (done or 0) + 1)
    return false
  end
  self.view = self.part == "train" and (epoch - 1) % self.cut.views + 1 or 1
  self.store = ready_store(self, self.view)
  if not self.store then return true end
  if self.session.data.texts then -- which texts stand together is the loader's to say, kept or not
    self.loader = self.loader or data.loader(self.session.data, self.part, self.session.seed)
    self.loader:start(epoch, (done or 0) + 1)
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
  local store = ready_store(self, self.view)
  if not store then error("stopped", 0) end
  self.store = store
  y, why = store:read(list)
  if not y then error(why, 0) end
  return y
end

-- The targets of samples by their numbers, from the source: what is kept on disk are the inputs alone.
local function targets_of(self, batch, list)
  local fields, labels, values = self.fields, {}, {}
  if fields.label then
    for i, index in ipairs(list) do labels[i] = self.source:label(index) end
    batch.labels, batch.label = labels, core.tensor(labels, { dtype = "int32" })
  end
  if fields.values then
    for i, index in ipairs(list) do values[i] = self.source:values(index) end
    batch.values = core.tensor(values)
  end
  return batch
end

local function kept(self, list)
  return targets_of(self, { input = read(self, list), n = #list, indices = list }, list)
end

local function from_store(self)
  if self.loader then
    local x, _, _, indices = self.loader:next()
    return x and kept(self, indices)
  end
  while self.at < self.count do
    local list = {}
    local last = math.min(self.at + self.batch, self.count)
    if self.part == "train" and self.session.data.drop_last and last - self.at < self.batch then return nil end
    for i = self.at + 1, last do list[#list + 1] = self.order and self.order[i] or i end
    self.at = last
    list = self.store:present(list)
    if #list > 0 then return kept(self, list) end
  end
end

-- Where a batch is mixed: {share = of a picture's own label, labels =, list =} of the pictures that were mixed in.
local function mixed_with(share, list, n)
  if share == 1 then return nil end
  local others = {}
  for i = 1, n do others[i] = list[i > 1 and i - 1 or n] end
  return { share = share, labels = core.tensor(others, { dtype = "int32" }), list = others }
end

-- The next batch; nil at the end. {input = (N, ...), n =, indices = numbers in the source, and by the fields of the source: label = (N) int32 and
-- labels = the same as a list, values = (N, K), mask = (N, H, W) int32, boxes and points (src/lua/data.c), and with
-- boxes the source and the session's data, which know how large pictures were, and closed = mosaics are over; mix (see
-- above)}
function Feed:next()
  if self.store then return from_store(self) end
  if not self.loader then return nil end -- stopped
  local x, label, n, indices, share, more = self.loader:next()
  if not x then return nil end
  local batch = more or {}
  batch.input, batch.n, batch.indices = x, n, indices
  local texts = self.session.data.texts
  batch.read = texts and { source = self.source, texts = texts } or nil -- where words, answers and windows are found
  if self.fields.boxes then
    local d = self.session.data
    local mosaics = d.augment and d.augment.mosaic
    batch.source, batch.data = self.source, d
    batch.closed = self.part == "train" and self.epoch > d.epochs - (mosaics and mosaics.close or 0)
  end
  if self.fields.label then
    local list = {}
    for i = 1, n do list[i] = self.source:label(indices[i]) end
    batch.label, batch.labels, batch.mix = label, list, mixed_with(share, list, n)
  end
  if self.part == "train" then
    for _, change in ipairs(self.session.data.changes or {}) do change:apply(batch) end
  end
  return batch
end

-- A batch of n samples as the network and the loss see them, of zeros: for dry runs. `features`: what stands for the
-- inputs of a network that is cut.
function feed.blank(s, n, features)
  local batch = features and { input = features, n = n, indices = {} } or s.data.input.blank(s.data, n)
  local fields, p = s.data.fields, s.data.preprocessing
  n = batch.n
  if fields.marks or s.data.masking then batch.marks = core.zeros(n, batch.input:shape(2)):to "int32" end
  if fields.spans then batch.spans = core.zeros({ n, 2 }, { dtype = "int32" }) end
  if fields.text then
    batch.text = {}
    for i = 1, n do batch.text[i] = "" end
  end
  if fields.label then
    batch.labels, batch.label = {}, core.zeros({ n }, { dtype = "int32" })
    for i = 1, n do batch.labels[i] = 0 end
  end
  if fields.values then batch.values = core.zeros(n, s.task.width) end
  if fields.boxes then
    batch.boxes, batch.box_labels, batch.boxes_offsets = core.zeros(n, 4), core.zeros({ n }, { dtype = "int32" }), { 0 }
    for i = 1, n do batch.boxes_offsets[i + 1] = i end
  end
  if fields.mask then
    local shape = { n, p.height or p.size, p.width or p.size }
    if s.data.input.kind == "volume" then shape = { table.unpack(batch.input:shape(), 1, 4) } end
    batch.mask = core.zeros(shape, { dtype = "int32" })
  end
  return batch
end

function Feed:close()
  if self.loader then self.loader:close() end
  for _, store in pairs(self.stores) do store:close() end
  self.stores = {}
end

return feed
