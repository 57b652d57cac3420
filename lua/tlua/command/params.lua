-- params.lua - `tlua params MODEL [GLOB...]`: the names by which a network's parameters are frozen, trained and grouped, with their shapes, and
-- what a freeze or the stages of a recipe would do with each. Networks are described and not built, so it needs no device and no weights.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local models = require "tlua.models"
local stage = require "tlua.train.stage"
local groups = require "tlua.train.groups"
local lora = require "tlua.nn.lora"
local model_file = require "tlua.weights.model_file"
local commands = require "tlua.command.commands"
local params = {}

-- ---- which network ----

-- That of a name of the registry, of a model file or of a run's folder.
local function network_of(name)
  local known = models.registry.entries[name]
  if known and not known.file and not name:find "[/.]" then return models.build(name) end
  if not core.exists(name) and not name:find "[/.]" then schema.usage("params: " .. util.unknown_text("model", name, models.registry.names())) end
  local path = util.model_path(name)
  if path:lower():find "%.onnx$" and core.exists(path) then return models.onnx { path = path } end
  local info, own = model_file.read(path), (path:match "^(.*)/[^/]+$" or ".") .. "/recipe.lua"
  local ok, net = pcall(model_file.network, path)
  if ok then return net end
  if info and model_file.is_custom(info) and core.exists(own) then -- a checkpoint
    util.failf("%s holds parts that its recipe defines in Lua; tlua params %s lists its parameters", path, own)
  end
  error(net, 0)
end

-- That of a recipe, with its head in place. Without one it is made for the classes of the data, which nobody has looked
-- at yet.
local function with_head(r)
  local net = r.model
  if net.give then
    local task = require("tlua.task").definition(r.task.kind)
    net:give(task.takes, task.head_name)
  end
  if not (net.set_head and net.head_name) then return net end
  rawset(net, "head_trains", true)
  if net.gives == "vocabulary" then return net end
  if r.head then util.at(rawget(r.head, "where") or r.where, net.set_head, net, r.head)
  elseif not net.classes then
    util.note "the recipe names no head: one is made for the classes of the data, and here is none"
  else util.note(("the recipe names no head: one is made for the classes of the data, and here stands that of %s for %d"):format(net:label(), net.classes)) end
  return net
end

local function network_of_recipe(r)
  local net = with_head(r)
  if lora.wanted(r.lora) then util.at(r.where, lora.add, net, "recipe: lora", r.lora, true) end
  return net
end

-- ---- what becomes of each parameter ----

-- {name = true} of the parameters that are trained now.
local function trained(net)
  local set = {}
  for _, each in ipairs(net:specs()) do
    if each.spec.kind == "parameter" and not each.module._frozen[each.spec.name] then set[each.path] = true end
  end
  return set
end

-- The columns of a network: none, or one of what `freeze` and `train` would do, with the head trained as in recipes.
local function columns_of(net, freeze, train)
  if not freeze and not train then return {} end
  if train then net:select("params: --train", train) end
  if freeze then net:select("params: --freeze", freeze) end
  rawset(net, "head_trains", true)
  groups.set_frozen(net, freeze, train)
  return { { title = "", trained = trained(net) } }
end

-- The columns of a recipe: one a stage, with the rate of each parameter.
local function columns_of_recipe(r, net)
  util.at(r.where, stage.check_names, r, net, true)
  local columns = {}
  for i, o in ipairs(r.stages) do
    if o.epochs > 0 then
      util.at(r.where, groups.set_frozen, net, stage.frozen_of(r, o))
      local c = { title = #r.stages > 1 and ("stage %d"):format(i) or "", trained = trained(net), rate = {} }
      for _, g in ipairs(groups.plan(net, stage.rates(r, o))) do
        for _, name in ipairs(g.names) do c.rate[name] = g.lr end
      end
      columns[#columns + 1] = c
    end
  end
  return columns
end

-- Rows {name, shape, count} of the parameters that the globs match, all without globs; and sums over all of them.
local function rows_of(net, globs, columns)
  local wanted, rows, all = nil, {}, { tensors = 0, count = 0 }
  if #globs > 0 then
    wanted = {}
    for _, name in ipairs(net:select("params", globs)) do wanted[name] = true end
  end
  for _, c in ipairs(columns) do c.count = 0 end
  for _, each in ipairs(net:specs()) do
    if each.spec.kind == "parameter" then
      local n = 1
      for _, d in ipairs(each.spec.shape) do n = n * d end
      all.tensors, all.count = all.tensors + 1, all.count + n
      for _, c in ipairs(columns) do c.count = c.count + (c.trained[each.path] and n or 0) end
      if not wanted or wanted[each.path] then rows[#rows + 1] = { name = each.path, shape = each.spec.shape, count = n } end
    end
  end
  return rows, all
end

-- ---- showing ----

local function state_text(c, name)
  if not c.trained[name] then return "frozen" end
  return c.rate and ("lr %g"):format(c.rate[name]) or "trained"
end

local function print_json(net, rows, all, columns)
  local out = { network = net:label(), tensors = all.tensors, parameters = all.count, list = {}, stages = #columns > 0 and {} or nil }
  for i, c in ipairs(columns) do out.stages[i] = { trained = c.count, frozen = all.count - c.count } end
  for i, row in ipairs(rows) do
    local states = #columns > 0 and {} or nil
    for k, c in ipairs(columns) do states[k] = { trained = c.trained[row.name] or false, lr = c.trained[row.name] and c.rate and c.rate[row.name] or nil } end
    out.list[i] = { name = row.name, shape = row.shape, parameters = row.count, stages = states }
  end
  print(core.json_encode(out))
end

local function print_table(rows, all, columns)
  local lines, widths, count = { { "name", "shape", "parameters" } }, {}, 0
  for _, c in ipairs(columns) do table.insert(lines[1], c.title) end
  for _, row in ipairs(rows) do
    local line = { row.name, util.shape_text(row.shape), util.thousands(row.count) }
    for _, c in ipairs(columns) do line[#line + 1] = state_text(c, row.name) end
    lines[#lines + 1], count = line, count + row.count
  end
  for _, line in ipairs(lines) do
    for k, text in ipairs(line) do widths[k] = math.max(widths[k] or 0, core.text.width(text)) end
  end
  for _, line in ipairs(lines) do
    local out = {}
    for k, text in ipairs(line) do
      out[k] = core.text.pad(text, widths[k], k == 3)
    end
    print((table.concat(out, "  "):gsub("%s+$", "")))
  end
  local few = #rows < all.tensors
  print(("%s%d tensor%s, %s%s parameters"):format(few and ("%d of "):format(#rows) or "", all.tensors, all.tensors == 1 and "" or "s",
    few and util.thousands(count) .. " of " or "", util.thousands(all.count)))
  for _, c in ipairs(columns) do
    print(("%s%s parameters trained, %s frozen"):format(c.title ~= "" and c.title .. ": " or "", util.thousands(c.count), util.thousands(all.count - c.count)))
  end
end

-- f(...) whose errors are one line: modules that were passed through say nothing here.
local function in_one_line(f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local e = results[2]
  error(type(e) == "string" and e:match "^[^\n]*" or e, 0)
end

local function show(net, globs, columns, json)
  local rows, all = in_one_line(rows_of, net, globs, columns)
  if json then print_json(net, rows, all, columns) else print_table(rows, all, columns) end
  return 0
end

-- ---- the command ----

-- Of a recipe, as the command line has changed it. Where its own globs fit nothing, the names are what its writer needs, and then the error.
function params.of_recipe(r, globs, json)
  local net = network_of_recipe(r)
  local ok, columns = pcall(columns_of_recipe, r, net)
  show(net, globs, ok and columns or {}, json)
  if not ok then error(columns, 0) end
  return 0
end

-- argv: what stands behind `tlua params`, for everything but a recipe. Returns the exit status.
function params.main(argv)
  local o, rest = commands.parse("params", argv)
  if #rest == 0 then commands.usage("params", "a model or a recipe is needed") end
  local function globs(name) return o[name] and schema.parse({ name, "globs" }, name, o[name]) or nil end
  local net = network_of(rest[1])
  return show(net, { table.unpack(rest, 2) }, in_one_line(columns_of, net, globs "freeze", globs "train"), o.json)
end

return params
