-- compare.lua - `tlua compare RECIPE`: the ways of a recipe's `compare` (tlua/command/compare/ways.lua), each with several numbers of pictures
-- and several seeds. Each of these runs is a cell with a folder of its own; a cell that is finished holds cell.json and is not
-- computed again. Tables and the page are written anew after each cell.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local typed = require "tlua.command.words"
local data = require "tlua.data"
local kinds = require "tlua.data.kinds"
local input = require "tlua.data.input"
local stage = require "tlua.train.stage"
local build = require "tlua.train.build"
local train = require "tlua.train"
local progress = require "tlua.run.progress"
local checkpoint = require "tlua.run.checkpoint"
local energy = require "tlua.run.energy"
local task = require "tlua.task"
local foresee = require "tlua.train.foresee"
local ways = require "tlua.command.compare.ways"
local tables = require "tlua.command.compare.tables"
local page = require "tlua.command.compare.page"
local compare = {}

-- ---- what is asked for ----

-- A recipe read anew, with the command line's words: those of a way apart. Way fields come after the recipe's own.
local function read_recipe(read, words)
  local r = read()
  r.compare = r.compare or ways.read {}
  local general, own = {}, {}
  for _, each in ipairs(words) do
    local way, field = each[1]:match "^compare%.([%w_]+)%.(.+)$"
    if way then
      if not ways.find(r.compare.ways, way) then
        local names = {}
        for i, w in ipairs(r.compare.ways) do names[i] = w.name end
        schema.usage("--" .. each[1] .. ": " .. util.unknown_text("way", way, names))
      end
      own[way] = own[way] or {}
      table.insert(own[way], { field, each[2] })
    else
      general[#general + 1] = each
      if each[1] == "compare.per_class" then r.compare.own_amounts = true end
    end
  end
  return r:override(general), own, general
end

-- A word for all ways would be lost where each of them says the same field itself; --epochs is schedule.epochs here too.
local function check_words(r, general)
  for _, each in ipairs(typed.of_recipe(r, general)) do
    local root = each[1]:match "^[^.]+"
    local said = root ~= "weights" and true
    for _, way in ipairs(r.compare.ways) do said = said and way[root] ~= nil end
    if said then
      schema.usage(("--%s: every way has its own %s; name the way, like --compare.%s.%s %s"):format(each[1], root, r.compare.ways[1].name, each[1], each[2]))
    end
  end
end

local size_text = tables.size_text
local function cell_text(cell) return ("%s, %s %s, seed %d"):format(cell.way, size_text(cell.per_class), cell.unit.few,
  cell.seed) end

-- Seed by seed, so that a whole table is there after the first.
local function cells_of(options, out)
  local list = {}
  ways.check_twice(options)
  local amounts, unit = ways.amounts(options)
  for _, seed in ipairs(options.seeds) do
    for _, n in ipairs(amounts) do
      for _, way in ipairs(options.ways) do
        list[#list + 1] = { way = way.name, per_class = n, unit = unit, seed = seed,
          out = ("%s/cells/%s-%s-seed%d"):format(out, way.name, size_text(n), seed) }
      end
    end
  end
  return list
end

-- The recipe of one cell: the recipe, the way's fields, the words for the way, and what belongs to the cell.
local function recipe_of(c, cell)
  local r, own = read_recipe(c.read, c.words)
  local o = r.compare
  r:take(ways.find(o.ways, cell.way))
  r:override(own[cell.way] or {})
  local d = r.data.options
  d.split_seed = d.split_seed or o.seeds[1] -- the same test pictures in all cells
  if cell.per_class == "all" then d.limit = o.limit or d.limit
  else
    d.limit = nil
    d[cell.unit.field] = cell.per_class
    if cell.unit.field == "limit" then d.test_limit = d.test_limit or math.maxinteger end -- the same test for all
  end
  r.seed, r.out, r.cell_text = cell.seed, cell.out, cell_text(cell)
  r.keep, r.stop_after, r.test_every = "last", 0, 0 -- test pictures decide nothing
  return r
end

-- Hash of all that a cell's figures depend on: a recipe that has changed makes its cells anew.
function compare.key_of(r, way, list)
  local lines, fields = { "pictures " .. (list.all or list.train).hash, list.test.hash }, checkpoint.fields(r)
  for _, name in ipairs(util.keys(fields)) do lines[#lines + 1] = name .. " " .. fields[name] end
  for _, g in ipairs(way.groups or {}) do
    for _, name in ipairs(util.keys(g)) do lines[#lines + 1] = name .. " " .. schema.show(g[name]) end
    lines[#lines + 1] = schema.show(g)
  end
  return core.sha256(table.concat(lines, "\n"))
end

local function read_json(path)
  if not core.exists(path) then return nil end
  local ok, value = pcall(function() return core.json_decode(core.read_file(path)) end)
  return ok and type(value) == "table" and value or nil
end

-- ---- how long it will take ----

-- The training pictures of a cell.
local function pictures_of(r, counts, cell)
  if cell.per_class == "all" then return math.min(counts.all, r.data.options.limit or counts.all) end
  if cell.unit.field == "minutes" then return math.max(1, math.min(counts.all,
    math.floor(counts.all * cell.per_class * 60 / counts.seconds))) end
  if cell.unit.field == "limit" then return math.min(counts.all, cell.per_class) end
  local n = 0
  for _, k in ipairs(counts.classes) do n = n + math.min(k, cell.per_class) end
  return n
end

-- Pictures that go through the network in a cell: training ones in every epoch, test ones once.
local function work_of(r, counts, cell)
  local n = pictures_of(r, counts, cell)
  local batch = kinds.batch(r.data)
  if batch == "auto" then batch = 64 end
  if type(batch) == "string" then batch = math.max(1,
    math.floor(schema.seconds(batch) * counts.all / counts.seconds)) end
  return stage.total(stage.resolved(r.stages, (n + batch - 1) // batch)) * n + counts.test
end

-- Seconds that are left by the rates of what is finished; nil where nothing is yet. A way without a finished cell counts as the slowest.
local function seconds_left(c)
  local spent, done, slowest = {}, {}, 0
  for _, cell in ipairs(c.cells) do
    if cell.result then
      spent[cell.way] = (spent[cell.way] or 0) + cell.result.total_seconds
      done[cell.way] = (done[cell.way] or 0) + cell.work
    end
  end
  for way in pairs(spent) do slowest = math.max(slowest, spent[way] / done[way]) end
  if slowest == 0 then return nil end
  local left = 0
  for _, cell in ipairs(c.cells) do
    if not cell.result then
      local rate = spent[cell.way] and spent[cell.way] / done[cell.way] or slowest
      left = left + rate * cell.work - (cell.begun and math.min(core.time() - cell.begun, rate * cell.work) or 0)
    end
  end
  return left
end

local function eta_text(c)
  local left = seconds_left(c)
  return left and "ETA " .. util.clock(left) or "ETA not known yet"
end

-- ---- one cell ----

-- A run's progress with the cell before it and the comparison's ETA behind; lines go to the cell's log alone.
local function progress_of(c, cell, meter)
  local p = progress.new()
  local plain = p.update
  p.only_log = true
  function p:update(label, done, total, text)
    meter:tick()
    plain(self, ("%d/%d %s  %s"):format(cell.number, #c.cells, cell_text(cell), label), done, total, text:gsub("  ETA .*$", "") .. "  " .. eta_text(c))
  end
  return p
end

-- A cell that was stopped goes on from its checkpoint, if it was made by the same recipe.
local function half_done(cell, key)
  local path = cell.out .. "/last.safetensors"
  local state = core.exists(path) and checkpoint.peek(path)
  local known = read_json(cell.out .. "/begun.json")
  return state and not state.finished and known and known.key == key and path or nil
end

local function clear(cell)
  for _, name in ipairs { "last", "previous", "best", "model" } do core.remove(("%s/%s.safetensors"):format(cell.out, name)) end
  core.remove(cell.out .. "/begun.json")
end

local function result_of(cell, s, results, figures)
  local m = results.metrics or {}
  local row = { way = cell.way, per_class = cell.per_class, seed = cell.seed, key = cell.key, accuracy = results.value, loss = results.epochs[#results.epochs].test_loss,
    balanced_accuracy = m.balanced_accuracy and 100 * m.balanced_accuracy, f1 = m.f1, seconds = results.spent.training - results.spent.features,
    feature_seconds = results.spent.features, parameters = s.parameters, train_pictures = s.data.train:count(),
    test_pictures = s.data.test:count(), classes = #s.classes, epochs = #results.epochs, train_hash = s.data.train:hash(), test_hash = s.data.test:hash() }
  if s.data.input.kind == "clip" and cell.unit.field == "minutes" then
    row.minutes = input.seconds(s.data.train) / 60
  end
  for name, value in pairs(figures) do row[name] = value end
  return row
end

-- Runs a cell. Returns its result, or nil when Ctrl-C stopped it.
local function run_cell(c, cell)
  local r, path = recipe_of(c, cell), half_done(cell, cell.key)
  if compare.key_of(r, ways.find(r.compare.ways, cell.way), c.counts.list) ~= cell.key then util.failf("compare: %s has changed while the comparison ran; the same command goes on with it as it is now", r.path) end
  core.mkdirs(cell.out)
  core.write_file(cell.out .. "/begun.json", core.json_encode { key = cell.key })
  cell.begun = core.time()
  local meter = energy.meter()
  core.reset_peak()
  local s <close> = setmetatable(r:build(), { __close = function(self) if self.optim then self.optim:close() end end })
  local results = train.run(s, { checkpoint = path, force = true, caught = true, progress = progress_of(c, cell, meter) })
  if results.interrupted then return nil end
  local joules = s.device.type == "cpu" and not path and meter:read() or nil
  local _, _, peak = core.memory()
  local figures = { trained = s.most_trained, peak_bytes = peak, joules = joules, resumed = path ~= nil or nil, total_seconds = core.time() - cell.begun + (path and s.seconds_before or 0) }
  return result_of(cell, s, results, figures)
end

-- ---- all of them ----

-- Class sizes of all training pictures, and the number of test pictures.
local function count_pictures(r)
  local options = {}
  for key, value in pairs(r.data.options) do options[key] = value end
  options.split_seed = options.split_seed or r.compare.seeds[1]
  local d = setmetatable({ options = options }, { __index = r.data })
  local opened = util.at(r.data.where, data.open, d, rawget(r.model, "entry") and r.model:preprocessing() or {}, r.seed, { task = r.task })
  local counts = { classes = {}, all = opened.train:count(), test = opened.test:count(), title = opened.title,
    list = opened.list, many = opened.input.many }
  counts.class_count, counts.outputs = opened.fields.label and #opened.classes or 1, #(opened.value_names or opened.classes)
  counts.names = opened.classes
  if opened.fields.label then counts.classes = opened.train:counts() end
  if opened.input.kind == "clip" then counts.seconds = input.seconds(opened.train) end
  return counts
end

local function say_plan(c, r)
  local amounts, unit = ways.amounts(r.compare)
  print(("compare   %s on %s, %d test %s: %d ways, %s %s, seeds %s"):format(r.model:label(), c.counts.title,
    c.counts.test, c.counts.many, #r.compare.ways,
    schema.show(amounts), unit.many, schema.show(r.compare.seeds)))
  for _, way in ipairs(r.compare.ways) do print(core.text.pad(way.name, 9) .. " " .. (way.why or "")) end
  local done = 0
  for _, cell in ipairs(c.cells) do done = done + (cell.result and 1 or 0) end
  print(("cells     %d, %d of them are finished, in %s"):format(#c.cells, done, c.out))
end

-- Everything a reader gets, from the results so far.
local function write_results(c)
  local summary = tables.summary(c)
  core.write_file(c.out .. "/cells.csv", tables.cells_csv(c))
  core.write_file(c.out .. "/table.csv", tables.csv(summary))
  core.write_file(c.out .. "/table.md", tables.markdown(summary))
  core.write_file(c.out .. "/compare.html", page.html(c, summary))
  return summary
end

-- A cell whose pictures leave a batch that cannot be trained on, or whose globs name nothing, is refused now, and not after hours of others.
local function foresee_cells(c)
  local seen = {}
  for _, cell in ipairs(c.cells) do
    local r, what = recipe_of(c, cell), cell.way .. size_text(cell.per_class)
    local d, batch = r.data.options, kinds.batch(r.data)
    if not seen[cell.way] then
      -- The width of some tasks is the network's own, or known once the symbols are counted.
      if not task.definition(r.task.kind).own_width then build.place_head(r, r.model, c.counts.outputs,
        nil, c.counts.names)
      elseif r.head then r.model:set_head(r.head) end
      local ok, e = pcall(util.at, r.where, stage.check_names, r, r.model)
      if not ok then error(("%s\n  in the way %s"):format(tostring(e), cell.way), 0) end
      seen[cell.way], r = true, recipe_of(c, cell)
    end
    if not cell.result and not seen[what] and math.type(batch) == "integer" and not c.counts.seconds
      and foresee.doubtful(pictures_of(r, c.counts, cell), batch, d.drop_last) then
      local ok, e = pcall(function() r:build().optim:close() end)
      if not ok then error(("%s\n  in the cell %s"):format(tostring(e), cell_text(cell)), 0) end
    end
    seen[what] = true
  end
end

local function prepare(read, words)
  local r, own, general = read_recipe(read, words)
  check_words(r, general)
  if not rawget(r.model, "entry") then util.failf("compare: %s is not a network of the registry (tlua models), so there are no weights to transfer", r.model:label()) end
  local c = { read = read, words = words, out = r.out or ("runs/%s-compare"):format(r.name), options = r.compare, own = own, recipe = r }
  c.counts, c.figure = count_pictures(r), task.main(r.task.kind, r.best, r.task.options)
  ways.fit_amounts(r.compare, c.counts)
  if r.compare.minutes and not c.counts.seconds then
    util.at(r.where, util.failf, "compare: minutes counts minutes of clips, and %s has pictures: --compare.per_class",
      c.counts.title)
  end
  if r.compare.minutes and r.compare.pictures then
    util.at(r.where, util.fail, "compare: minutes and pictures are two ways to count: leave one out")
  end
  for _, n in ipairs(not r.compare.minutes and not r.compare.pictures and r.compare.per_class or {}) do
    if n ~= "all" and #c.counts.classes == 0 then
      util.at(r.where, util.failf,
        "compare: per_class = %s counts pictures of each class, and samples of %s have none: --compare.per_class all%s", n,
        c.counts.title, c.counts.seconds and ", or --compare.minutes 1,3,all" or ", or --compare.pictures 30,100,all")
    end
  end
  if c.counts.test == 0 then
    util.at(r.data.where, util.failf, "compare: there are no test %s, and ways are compared by their figures on them",
      c.counts.many)
  end
  c.cells = cells_of(r.compare, c.out)
  for i, cell in ipairs(c.cells) do
    local own_recipe = recipe_of(c, cell)
    cell.number, cell.work = i, work_of(own_recipe, c.counts, cell)
    cell.key = compare.key_of(own_recipe, ways.find(r.compare.ways, cell.way), c.counts.list)
    local known = read_json(cell.out .. "/cell.json")
    if known and known.key == cell.key then cell.result = known end
  end
  foresee_cells(c)
  return c, r
end

local function run_all(c)
  for _, cell in ipairs(c.cells) do
    if core.interrupted() then return false end
    if not cell.result then
      local ok, result = pcall(run_cell, c, cell)
      collectgarbage()
      collectgarbage()
      if not ok then error(("%s\n  in the cell %s; what is finished is kept in %s"):format(tostring(result), cell_text(cell), c.out), 0) end
      if not result then return false end
      core.write_file(cell.out .. "/cell.json", core.json_encode(result, true))
      clear(cell)
      cell.result = result
      print(("%d/%d  %s %4s %s  seed %d  %s  %s  %s"):format(cell.number, #c.cells, core.text.pad(cell.way, 10),
        size_text(cell.per_class), cell.unit.few, cell.seed, util.figure(c.figure[3], result.accuracy),
        util.clock(result.total_seconds), eta_text(c)))
      io.stdout:flush()
      write_results(c)
    end
  end
  return true
end

-- read() gives the recipe anew; words: { {"compare.seeds", "0,1"}, ... }. Returns the exit status.
function compare.main(read, words)
  local c, r = prepare(read, words)
  core.mkdirs(c.out)
  local lock = util.own(c.out)
  if not lock then util.failf("another comparison is writing %s; wait for it, or name another folder with --out", c.out) end
  c.begun = core.time()
  say_plan(c, r)
  core.catch_interrupt(true)
  local ok, whole = pcall(run_all, c)
  core.catch_interrupt(false)
  core.unlock(lock)
  if not ok then error(whole, 0) end
  if not whole then
    print(("stopped; what is finished stays in %s, and the same command goes on"):format(c.out))
    return 130
  end
  io.write(tables.text(write_results(c)))
  print(("kept in %s: compare.html, table.md, table.csv, cells.csv"):format(c.out))
  return 0
end

-- Every field, those of the comparison among them.
function compare.help(read)
  local r = read()
  r.compare = r.compare or ways.read {}
  print(r:help())
  for _, way in ipairs(r.compare.ways) do
    print(("  --compare.%s the fields of %s, like --compare.%s.schedule.epochs 20"):format(
      core.text.pad(way.name .. ".FIELD", 18), way.name, way.name))
  end
  return 0
end

return compare
