-- cache.lua - outputs of the frozen part kept on disk. Where a network is cut, under which key, whether there is room;
-- opening, filling and reading one file (src/data/features.h); `tlua cache list` and `tlua cache clear`.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local plan = require "tlua.plan"
local augment = require "tlua.data.augment"
local cache = {}

cache.SCHEMA = {
  { "views", "integer", 0, "keep so many random views of each training picture; 0: one, where nothing is random", least = 0 },
  { "dtype", "choice", "float16", "how numbers are kept", { "float16", "float32" } },
  { "limit", "size", "20 GB", "of all kept features together; never more than half of the free disk is taken" },
  { "folder", "path", nil, "where they are kept (features in the cache folder)" },
}

-- ---- files ----

local function default_folder() return core.cache_folder("features") end

-- What a file says of itself; nil where it is gone, since other runs remove files too. One that somebody has open and that has no header is of
-- another version of tlua, or has just been begun: it is not damaged.
local function about_of(path)
  local about, _, busy = core.data.features_about(path)
  if about then return about end
  local bytes = core.file_size(path)
  return bytes and { text = "", rows = 0, done = 0, bytes = bytes, used = 0, dtype = "?", busy = busy, damaged = not busy }
end

-- All files of a folder, last used first: {path=, text fields, rows=, done=, bytes=, used=, busy=}.
function cache.files(folder)
  local list = {}
  for _, name in ipairs(core.exists(folder) and core.list_folder(folder) or {}) do
    local path = folder .. "/" .. name
    local about = name:find "%.features$" and about_of(path)
    if about then
      local ok, text = pcall(core.json_decode, about.text)
      about.path, about.info = path, ok and type(text) == "table" and text or {}
      list[#list + 1] = about
    end
  end
  table.sort(list, function(a, b) return a.used == b.used and a.path < b.path or a.used > b.used end)
  return list
end

-- Removes what was not used for longest until `bytes` more stay within the limit. What is in use, and `keep`, stay.
-- Returns how many bytes are too many all the same.
local function make_room(folder, bytes, limit, keep)
  local files, total = cache.files(folder), bytes
  for _, f in ipairs(files) do
    if not keep[f.path] then total = total + f.bytes end
  end
  for i = #files, 1, -1 do
    local f = files[i]
    if total <= limit then break end
    if not keep[f.path] and not f.busy and core.remove(f.path) then total = total - f.bytes end
  end
  return total - limit
end

-- ---- where to cut, and the key ----

-- The shape of one picture's outputs of stage k, worked out without computing.
local function shape_of(s, k)
  local shape
  plan.memory(function()
    local blank = s.data.input.kind ~= "picture" and s.data.input.blank(s.data, 1)
      or { input = core.zeros(table.unpack(s.model:picture_shape(s.data.preprocessing.size))) }
    shape = s.model:below(blank.input, k, s.data.texts and blank.lengths or nil):shape()
  end)
  table.remove(shape, 1)
  return shape
end

-- Hash of the tensors that the first k stages are made of.
local function weights_hash(net, k)
  local lines = {}
  for i = 1, k do
    net:each_stage_tensor(i, function(name, t) lines[#lines + 1] = name .. " " .. t:hash() end)
  end
  return core.sha256(table.concat(lines, "\n"))
end

-- Pictures that go through the frozen part at once, whatever the batches of training: kernels are chosen by the number of rows, and so a
-- batch of 5 rounds otherwise than one of 64. On a processor more than 16 of 224 x 224 pixels take more memory and are no faster.
function cache.batch(s)
  local size, cpu = s.data.preprocessing.size or 224, s.device.type == "cpu"
  return math.max(4, math.min((cpu and 16 or 64) * 224 * 224 // (size * size), cpu and 64 or 256))
end

-- All that the bits of the features depend on: device and driver too, since another one rounds otherwise.
local function keys_of(s, cut)
  local d, list = core.device_info(), {}
  local base = table.concat({ core.version, core.decoders, d.name, d.platform, d.driver, os.getenv "TLUA_VECTOR" or "", os.getenv "TLUA_GEMM" or "",
    os.getenv "TLUA_CONV" or "", core.tuning().hash, s.model:structure(cut.stage) or s.model:short_name(), cut.name,
    weights_hash(s.model, cut.stage), cut.dtype, cache.batch(s) }, "\n")
  for part, views in pairs { train = cut.views, test = 1, validation = s.data.validation and 1 or nil } do
    local pipeline = s.data[part .. "_pipeline"]
    local noises = part == "train" and s.data.noises
    local source = table.concat({ base, s.data[part]:hash(), noises and noises:hash() or "", pipeline:text(),
      pipeline:is_random() and s.seed or "" }, "\n")
    list[part] = {}
    for view = 1, views do list[part][view] = core.sha256(("%s\n%d"):format(source, pipeline:is_random() and view or 0)) end
  end
  return list
end

local function place(cut, part, view) return ("%s/%s.features"):format(cut.folder, cut.keys[part][view]:sub(1, 32)) end

-- The bytes of all files of a cut, and how many of them are there already.
local function bytes_of(s, cut)
  local all, there, rows, done = 0, 0, 0, 0
  for part, keys in pairs(cut.keys) do
    local count = s.data[part]:count()
    for view = 1, #keys do
      all, rows = all + core.data.features_bytes(count, cut.elements, cut.dtype), rows + count
      local about = core.data.features_about(place(cut, part, view))
      if about and about.key == keys[view] and about.elements == cut.elements and about.rows == count then
        there, done = there + about.bytes, done + about.done
      end
    end
  end
  cut.bytes, cut.rows, cut.done = all, rows, done
  return all, there
end

-- nil, or why not so many bytes; and whether that is a matter of the moment, and not of what the recipe says.
local function too_large(cut, needed, limit)
  local free = core.data.disk_free(util.existing(cut.folder))
  if cut.bytes > limit then return ("they would take %s, the limit is %s (--cache.limit)"):format(util.bytes(cut.bytes), util.bytes(limit)) end
  if free and needed > free // 2 then return ("they would take %s, and %s are free in %s"):format(util.bytes(needed), util.bytes(free), cut.folder), true end
end

-- The cut after stage k; or nil and why there is none, as too_large.
local function try_stage(s, k)
  local r = s.recipe
  local o = r.cache_options
  local before = core.memory_failures()
  local ok, shape = pcall(shape_of, s, k)
  if not ok and core.memory_failures() ~= before then error(shape, 0) end -- the next run may have the memory, and a cut by it
  if not ok then return nil, util.reason(shape) end
  local cut = { stage = k, name = s.model:stage_name(k), shape = shape, elements = util.product(shape), dtype = o.dtype,
    views = math.max(o.views, 1), folder = o.folder or default_folder(), limit = schema.size(o.limit) }
  cut.keys = keys_of(s, cut)
  local all, there = bytes_of(s, cut)
  local why, now = too_large(cut, all - there, cut.limit)
  return not why and cut or nil, why, now
end

-- The cut of a session, after the last fixed stage, or an earlier one whose outputs keep within the limit, but never the stem alone. Where the
-- disk is too full there is none, and no other one is looked for: it would give other numbers. {stage=, name=, shape=, elements=, dtype=,
-- views=, folder=, keys=, bytes=, rows=, done=}; or nil and why there is none.
function cache.choose(s)
  local net = s.model
  if s.recipe.cache == false then return nil, "cache = false" end
  if not net.stage_count then return nil, "the network is not one of the registry" end
  if net.lists then return nil, "several maps lie between this network's parts, and a row of a cache holds one" end
  if not s.data.train:hash() then return nil, "data.custom without a key: nobody knows what get gives the next time" end
  local clips = s.data.input.cannot_keep(s.data)
  if clips then return nil, clips end
  if s.data.changes then return nil, "transforms of the recipe change batches" end
  if augment.mixes(s.data.augment) then return nil, "mixup and cutmix mix the pictures of each batch anew" end
  if s.data.augment.mosaic then return nil, "mosaics are put together anew in each epoch" end
  if s.data.augment.sizes then return nil, "sizes change from batch to batch (multi_scale)" end
  local k = net:fixed_stages()
  if s.data.texts and (k < net:stage_count() or net.gives ~= "vector") then
    return nil, "texts differ in length: only what stands for a whole text is kept, where all below the head is frozen"
  end
  if s.data.masking then return nil, "words are hidden anew in each epoch" end
  if k < math.min(2, net:stage_count()) then return nil, "nothing below the trained part is frozen and fixed" end
  if s.data.train_pipeline:is_random() and s.recipe.cache_options.views < 1 then
    return nil, ("training %s change at random (--cache.views K keeps K views of each)"):format(s.data.input.many)
  end
  local first
  for each = k, s.data.texts and k or math.min(k, 2), -1 do
    local cut, why, now = try_stage(s, each)
    if cut or now then return cut, why end
    first = first or why
  end
  return nil, first
end

-- What a checkpoint says of a cut: it decides about the last bits.
function cache.text(cut)
  return cut and ("after %s, %s%s"):format(cut.name, cut.dtype, cut.views > 1 and (", %d views"):format(cut.views) or "") or "none"
end

-- The same cut with its numbers as float32.
function cache.as_float32(s, cut)
  local other = {}
  for key, value in pairs(cut) do other[key] = value end
  other.dtype = "float32"
  other.keys = keys_of(s, other)
  bytes_of(s, other)
  return other
end

-- The cut of a run that goes on: as float32 where a number beyond float16 has made it so.
function cache.as_before(s, cut, state)
  if not cut or cut.dtype == "float32" or (state.fields["cache.dtype"] or "float16") ~= "float16" then return cut end
  local other = cache.as_float32(s, cut)
  return cache.text(other) == state.features and other or cut
end

-- ---- one file ----

local Store = {}
Store.__index = Store

local function text_of(s, cut, part, view)
  return core.json_encode { network = s.model:short_name(),
    cut = cut.name, shape = cut.shape, data = s.data.title, part = part, view = view, views = cut.views }
end

local function store_of(s, cut, part, view, path, features)
  return setmetatable({ session = s, cut = cut, part = part, view = view, path = path, features = features, count = s.data[part]:count() }, Store)
end

-- Opens the file of a part and view. nil and why where it cannot be had; and its path where another run is making it.
function cache.open(s, cut, part, view)
  local path = place(cut, part, view)
  local ok, features, busy = pcall(function()
    core.mkdirs(cut.folder)
    local keep = { [path] = true }
    for p, keys in pairs(cut.keys) do
      for v = 1, #keys do keep[place(cut, p, v)] = true end
    end
    make_room(cut.folder, cut.bytes, cut.limit, keep)
    local f, why = core.data.features(path, cut.keys[part][view], s.data[part]:count(), cut.elements, cut.dtype, text_of(s, cut, part, view))
    return f, why
  end)
  if not ok then return nil, util.reason(features) end
  if not features then return nil, busy, path end
  return store_of(s, cut, part, view, path, features)
end

-- The same as a file of this run alone, in its folder: without a name, gone with the run. nil and why where there is no room for it either.
function cache.open_own(s, cut, part, view)
  local path = ("%s/%s%d.features.tmp%d"):format(s.out or os.getenv "TMPDIR" or "/tmp", part, view, core.getpid())
  local ok, features = pcall(core.data.features, path, cut.keys[part][view], s.data[part]:count(), cut.elements, cut.dtype, text_of(s, cut, part, view), true)
  if not ok then return nil, util.reason(features) end
  return store_of(s, cut, part, view, path, features)
end

function Store:complete() return self.features:done() == self.count end
function Store:close() self.features:close() end

-- The next batch of the loader through the network; pictures that are there already are passed over. nil at the end of
-- the epoch, true, or false and why on what cannot be kept.
local function add_batch(self, loader)
  local scope <close> = core.scope()
  local x, _, n, indices, _, more = loader:next()
  if not x then return nil end
  local y = self.session.model:below(x, self.cut.stage, self.session.data.texts and more.lengths or nil)
  local i = 1
  while i <= n do
    local done, first = self.features:done(), i
    if indices[i] > done + 1 then
      local ok, why = self.features:append_missing(indices[i] - done - 1)
      if not ok then return false, why end
    end
    while i < n and indices[i + 1] == indices[i] + 1 do i = i + 1 end
    first = math.max(first, first + done + 1 - indices[first])
    if first <= i then
      local ok, why = self.features:append(core.ops.slice(y, 1, first - 1, i - first + 1))
      if not ok then return false, why end
    end
    i = i + 1
  end
  return true
end

-- Computes what is missing, in the order of the source. `progress(done, all)` returns true to stop. Returns true; false
-- when stopped; nil and why where a number does not fit or the file cannot be written. Errors of the network and of pictures pass.
function Store:fill(progress)
  local s, d = self.session, self.session.data
  if self:complete() then return true end
  local before, batch = self.features:done(), cache.batch(s)
  local p = d.preprocessing
  local loader <close> = core.data.loader(d[self.part], d[self.part .. "_pipeline"], { batch = batch,
    threads = d.threads, seed = s.seed, on_bad = d.on_bad, noise = self.part == "train" and d.noises or nil,
    pad = p.pad, types = p.types })
  loader:start(self.view, before // batch + 1)
  while true do
    local ok, why = add_batch(self, loader)
    if ok == nil then break end
    if not ok then return nil, why end
    if progress(self.features:done() - before, self.count - before) then
      self.features:sync()
      return false
    end
  end
  local ok, why = true, nil
  if self.features:done() < self.count then ok, why = self.features:append_missing(self.count - self.features:done()) end
  if ok then ok, why = self.features:sync() end
  return ok, why
end

-- Outputs (N, ...) of the pictures `list` (numbers from 1); nil and why where the file is damaged.
function Store:read(list)
  local y, why = self.features:read(list, table.unpack(self.cut.shape))
  return y, why
end

-- `list` without the pictures that could not be read when the file was made.
function Store:present(list)
  if self.session.data.on_bad ~= "skip" then return list end
  local out = {}
  for _, i in ipairs(list) do
    if not self.features:missing(i) then out[#out + 1] = i end
  end
  return out
end

-- ---- the command ----

local function ago(seconds)
  if seconds < 3600 then return ("%d min"):format(seconds // 60) end
  if seconds < 172800 then return ("%d h"):format(seconds // 3600) end
  return ("%d days"):format(seconds // 86400)
end

local function list(folder)
  local files, total = cache.files(folder), 0
  if #files == 0 then
    print(("no features are kept in %s"):format(folder))
    return 0
  end
  local pad = core.text.pad
  local function line(name, network, cut, data, part, ...)
    print(("%s %s %s %s %s %9s %7s  %s"):format(pad(name, 10), pad(network, 20), pad(cut, 12), pad(data, 14),
      pad(part, 5), ...))
  end
  line("name", "network", "after", "data", "part", "pictures", "size", "used")
  for _, f in ipairs(files) do
    local i = f.info
    local state = f.damaged and "damaged" or f.used == 0 and "?" or f.done < f.rows and ("%d %% made"):format(100 * f.done // f.rows) or ago(os.time() - f.used) .. " ago"
    line(core.text.cut(f.path:match "([^/]+)%.features$", 10, ""), i.network or "?", i.cut or "?", i.data or "?",
      (i.part or "?") .. ((i.views or 1) > 1 and i.part == "train" and " " .. i.view or ""), util.thousands(f.rows),
      util.bytes(f.bytes), state .. (f.busy and ", in use" or ""))
    total = total + f.bytes
  end
  print(("%d files, %s in %s"):format(#files, util.bytes(total), folder))
  return 0
end

local function clear(folder, words)
  local removed, bytes, busy, stay = 0, 0, 0, {}
  local files = cache.files(folder)
  for _, f in ipairs(files) do
    local wanted = #words == 0
    for _, word in ipairs(words) do
      if f.path:match("([^/]+)$"):sub(1, #word) == word or f.info.network == word then wanted = true end
    end
    if wanted and f.busy then busy = busy + 1
    elseif wanted and core.remove(f.path) then removed, bytes = removed + 1, bytes + f.bytes
    elseif wanted and core.exists(f.path) then stay[#stay + 1] = f.path end
  end
  if #words > 0 and removed + busy == 0 then util.failf("nothing in %s is called %s; `tlua cache list` shows the names", folder, table.concat(words, " or ")) end
  print(("removed %d files, %s%s"):format(removed, util.bytes(bytes), busy > 0 and ("; %d in use stay"):format(busy) or ""))
  if #stay > 0 then util.failf("%d files cannot be removed, as %s: may you write %s?", #stay, stay[1], folder) end
  return 0
end

-- argv: what stands behind `tlua cache`.
function cache.main(argv)
  local commands = require "tlua.command.commands"
  local options, words = commands.parse("cache", argv)
  local folder, what = options.folder or default_folder(), table.remove(words, 1)
  if what == "list" then
    if #words > 0 then commands.usage("cache", ("list: '%s' is not understood"):format(words[1])) end
    return list(folder)
  end
  if what == "clear" then return clear(folder, words) end
  commands.usage("cache", what and ("'%s' is not understood"):format(what) or "list or clear is needed")
end

-- The plan's line of a cut.
function cache.plan_text(c)
  local state = c.done == c.rows and "found, complete"
    or c.done > 0 and ("found, %d %% made"):format(100 * c.done // c.rows) or "computed once"
  return ("cache     after %s (%s, %s%s): %s in %s, %s"):format(c.name, table.concat(c.shape, " x "), c.dtype,
    c.views > 1 and (", %d views"):format(c.views) or "", util.bytes(c.bytes), c.folder, state)
end

return cache
