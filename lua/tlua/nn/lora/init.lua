-- lora - adapters of low rank beside frozen layers (LoRA, Hu et al. 2021): y = W x + scale B A x, with A (rank, in)
-- and B (out, rank) trained and W not. An adapter belongs to its layer, nn.Linear or nn.Embedding, whose own names
-- stay: beside "query.weight" there are "query.lora_A.weight" and "query.lora_B.weight", beside a table's "weight"
-- "lora_embedding_A" (rank, rows) and "lora_embedding_B" (width, rank), in PEFT's orientation. What the layers do with
-- them stands in linear.lua; files are read and written by peft.lua.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local linear = require "tlua.nn.linear"
local lora = {}

lora.SCHEMA = {
  { "on", "globs", nil, "layers that get an adapter: globs of their names (PEFT's target_modules)" },
  { "rank", "integer", 8, "of each adapter (PEFT's r)", least = 1, most = 65536 },
  { "alpha", "number", 16, "an adapter's result counts alpha / rank times (PEFT's lora_alpha)", above = 0 },
  { "dropout", "number", 0, "share of an adapter's inputs that is dropped in training (PEFT's lora_dropout)", least = 0,
    below = 1 },
  { "rs", "boolean", false, "it counts alpha / sqrt(rank) times (PEFT's use_rslora)" },
  { "from", "path", nil, "a folder of PEFT's or a run's: its adapters and its head are what training begins with" },
}

-- What others call the options.
local ELSEWHERE = { r = "rank", lora_alpha = "alpha", lora_dropout = "dropout", target_modules = "on",
  use_rslora = "rs", targets = "on", layers = "on" }
local ANSWERS = {
  modules_to_save = "the recipe's `train` names what is trained beside adapters; the head always is",
  bias = "the recipe's `train` names what is trained beside adapters, like train = \"*.bias\"",
  use_dora = "DoRA is not known here",
}

-- The checked options of `given`; `what` begins messages.
function lora.read(what, given)
  if type(given) == "string" then given = { on = given } end
  if type(given) ~= "table" then util.failf('%s must be like { on = "*.query,*.value", rank = 8 }', what) end
  for key in pairs(given) do
    if ELSEWHERE[key] then util.failf("%s: PEFT's %s is called %s here", what, key, ELSEWHERE[key]) end
    if ANSWERS[key] then util.failf("%s: there is no %s: %s", what, key, ANSWERS[key]) end
  end
  local copy = {}
  for key, value in pairs(given) do copy[key] = value end
  if type(copy.on) == "string" then copy.on = schema.split(copy.on) end
  for _, name in ipairs { "on", "rank", "alpha", "rs" } do
    if given.from ~= nil and given[name] ~= nil then
      util.failf("%s: from and %s: the folder says which layers have adapters, of which rank, and how they count", what,
        name)
    end
  end
  local o = schema.options(what, lora.SCHEMA, copy)
  rawset(o, "own_dropout", given.dropout)
  if not lora.wanted(o) then
    util.failf('%s: on is missing, the layers that get an adapter, like on = "*.query,*.value"', what)
  end
  return o
end

-- Options that ask for nothing, which a command line may change.
function lora.none() return schema.options("lora", lora.SCHEMA, {}) end

function lora.wanted(o) return o.from ~= nil or type(o.on) == "function" or o.on ~= nil and #o.on > 0 end

-- ---- which layers ----

-- Is this the name of a tensor of an adapter?
function lora.is_adapter(name)
  return name:find "%.?lora_[AB]%.weight$" ~= nil or name:find "%.?lora_embedding_[AB]$" ~= nil
end

-- Where the head stands: the paths of its parts.
local function head_parts(net) return net.set_head and (net.head_parts or { net.head_name }) or {} end

local function is_in_head(net, path)
  for _, part in ipairs(head_parts(net)) do
    if path == part or path:sub(1, #part + 1) == part .. "." then return true end
  end
  return false
end
lora.is_in_head = is_in_head

-- Layers that may have an adapter, {path =, module =}, by the order of the network. The head is trained as it is.
local function candidates(net)
  local list = {}
  for path, m in net:modules() do
    if m.takes_lora and not rawget(m, "is_adapter") and not is_in_head(net, path) then
      list[#list + 1] = { path = path, module = m }
    end
  end
  return list
end

local function paths_of(list)
  local out = {}
  for i, each in ipairs(list) do out[i] = each.path end
  return out
end

-- "*.query", "*.key", ...: the last words of names, each once.
local function endings(list)
  local out, known = {}, {}
  for _, each in ipairs(list) do
    local last = each.path:match "[^.]*$"
    local text = last == each.path and last or "*." .. last
    if not known[text] then known[text], out[#out + 1] = true, text end
  end
  return out
end

-- Ends in an error about a glob that fits no layer which may have an adapter.
local function complain(net, what, glob, list)
  if #list == 0 then
    util.failf("%s: %s has no nn.Linear and no nn.Embedding below its head, and only those can have an adapter", what,
      net:label())
  end
  for _, part in ipairs(head_parts(net)) do
    if util.unmatched({ glob }, { part }) == nil then
      util.failf("%s: '%s' is the head, which is trained as a whole", what, glob)
    end
  end
  for path, m in net:modules() do
    if path ~= "" and not m.takes_lora and util.unmatched({ glob }, { path }) == nil then
      util.failf("%s: '%s' is %s, which cannot have an adapter; nn.Linear and nn.Embedding can: %s", what, glob,
        m:describe(), util.first_few(endings(list), 12))
    end
  end
  for _, each in ipairs(net:specs()) do
    if util.unmatched({ glob }, { each.path }) == nil then
      util.failf("%s: '%s' matches parameters; layers are named without .weight and .bias: %s", what, glob,
        util.first_few(endings(list), 12))
    end
  end
  local known = endings(list)
  local near = nil
  for _, text in ipairs(known) do
    if text == "*." .. glob then near = ("; did you mean '%s'?"):format(text) end
  end
  near = near or util.near_glob(glob, table.move(paths_of(list), 1, #list, #known + 1, known))
  util.failf("%s: no layer of %s matches '%s'%s%s", what, net:label(), glob, near and near .. " There are " or
    "; those that can have an adapter are ", util.first_few(endings(list), 12))
end

local function chosen(net, what, globs)
  local matches, list = util.matcher(what, globs)
  local all = candidates(net)
  local glob = util.unmatched(list, paths_of(all))
  if glob then complain(net, what, glob, all) end
  local out = {}
  for _, each in ipairs(all) do
    if matches(each.path) then out[#out + 1] = each end
  end
  if #out == 0 then
    util.failf("%s: nothing of %s is left to have an adapter; there are %s", what, net:label(),
      util.first_few(endings(all), 12))
  end
  return out
end

-- ---- adding ----

local function adapter_part(width, out, initial)
  local part = linear.Linear(width, out, { bias = false, initial = initial })
  rawset(part, "is_adapter", true)
  return part
end

-- Gives a layer an adapter of rank, alpha, dropout and rs. A is drawn as PEFT draws it, and B is 0, so that nothing
-- changes at first; of a table it is the other way round.
local function attach(net, m, o)
  local rank = o.rank
  if net.gives == "vocabulary" and net.words and m:path() == net:words_path() then
    util.failf("%s: the table %s tells words too, where an adapter would not count: leave it out", net:label(),
      net:words_path())
  end
  m.lora = { rank = rank, alpha = o.alpha, rs = o.rs or false, dropout = o.dropout,
    scale = o.alpha / (o.rs and math.sqrt(rank) or rank) }
  if m.num_embeddings then
    m:parameter("lora_embedding_A", { rank, m.num_embeddings }, { "constant", 0 })
    m:parameter("lora_embedding_B", { m.embedding_dim, rank }, { "normal", 0, 1 })
    return
  end
  if m.needs_width then
    util.failf("%s does not know its input width yet: write it out, or call the network once", m:describe())
  end
  m.lora_A = adapter_part(m.in_features, rank)
  m.lora_B = adapter_part(rank, m.out_features, { "constant", 0 })
  m.lora_dropout = linear.Dropout(o.dropout)
end
lora.attach = attach

-- Layers with an adapter: {path =, module =}, by the order of the network.
function lora.layers(net)
  local list = {}
  for path, m in net:modules() do
    if rawget(m, "lora") then list[#list + 1] = { path = path, module = m } end
  end
  return list
end

function lora.has(net)
  local known = rawget(net, "_lora")
  if known and known.changes == module.changes then return known.any end
  known = { changes = module.changes, any = #lora.layers(net) > 0 }
  rawset(net, "_lora", known)
  return known.any
end

-- Adds adapters to a network by checked options; `described`: without their values, which a folder has.
function lora.add(net, what, o, described)
  if lora.has(net) then
    util.failf("%s: %s has adapters already; net:merge_lora() makes them part of the weights", what, net:label())
  end
  if o.from then require("tlua.nn.lora.peft").open(net, what, o, described)
  else
    for _, each in ipairs(chosen(net, what .. ": on", o.on)) do attach(net, each.module, o) end
  end
  rawset(net, "_built", nil)
  return net
end

-- ---- what is trained ----

-- Of a network with adapters all else is frozen. They are trained as a head is, but for those that a glob of `freeze`
-- with "lora_" in it matches.
function lora.unfreeze(net, freeze)
  local held = freeze
  if type(freeze) == "string" then freeze = { freeze } end
  if type(freeze) == "table" then
    local globs, any = {}, false
    for _, glob in ipairs(freeze) do
      if glob:find("lora_", 1, true) then
        globs[#globs + 1] = glob
        any = any or glob:sub(1, 1) ~= "!"
      end
    end
    held = any and globs or nil
  end
  local matches = held and util.matcher("freeze", held) or function() return false end
  local names = {}
  for _, each in ipairs(net:specs()) do
    if lora.is_adapter(each.path) and not matches(each.path) then names[#names + 1] = each.path end
  end
  if #names > 0 then net:unfreeze(names) end
end

-- Freezes all but adapters and the head.
function lora.freeze(net)
  net:freeze "*"
  lora.unfreeze(net)
  for _, part in ipairs(head_parts(net)) do
    if net:find(part) then net:unfreeze(part .. ".*") end
  end
end

-- Is any adapter trained by now?
function lora.trains(net)
  for _, each in ipairs(net:specs()) do
    if lora.is_adapter(each.path) and not each.module._frozen[each.spec.name] then return true end
  end
  return false
end

-- An error where `names` has a weight beside which an adapter stands.
function lora.check_train(net, what, names)
  local beside = {}
  for _, each in ipairs(lora.layers(net)) do beside[each.path .. ".weight"] = true end
  for _, name in ipairs(names) do
    if beside[name] then
      util.failf("%s names %s, beside which an adapter stands: the one or the other is trained; name what is " ..
        "trained beside adapters, like '*.LayerNorm.*', or leave lora out", what, name)
    end
  end
end

-- ---- merging ----

-- scale B A, in the layout of the layer's weight.
function lora.delta(m)
  if m.num_embeddings then
    return (m.lora_embedding_B:matmul(m.lora_embedding_A) * m.lora.scale):transpose()
  end
  local delta = m.lora_B.weight:matmul(m.lora_A.weight) * m.lora.scale
  return m.transposed and delta:transpose() or delta
end

local function detach(m)
  if m.num_embeddings then
    m:_forget "lora_embedding_A"
    m:_forget "lora_embedding_B"
  else
    m.lora_A, m.lora_B, m.lora_dropout = nil, nil, nil
  end
  m.lora = nil
end

-- net:merge_lora(): adapters become part of the weights: W + scale B A, in float32.
function lora.merge(net)
  local list = lora.layers(net)
  if #list == 0 then util.failf("merge_lora: %s has no adapters", net:label()) end
  net:ready()
  for _, each in ipairs(list) do
    local m = each.module
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    local sum = m.weight:to "float32" + lora.delta(m)
    if m.weight:dtype() == "float32" then m.weight:copy_(sum)
    else m:_replace("weight", sum:clone()) end
    detach(m)
    m:_touch()
  end
  return net
end

-- ---- words and descriptions ----

-- "rank 8, alpha 16 on 4 layers, 12,288 parameters"; nil without adapters.
function lora.text(net)
  local list, ranks, alphas, count = lora.layers(net), {}, {}, 0
  if #list == 0 then return nil end
  local function note(values, v)
    for _, each in ipairs(values) do
      if each == v then return end
    end
    values[#values + 1] = v
  end
  for _, each in ipairs(list) do
    note(ranks, each.module.lora.rank)
    note(alphas, ("%g"):format(each.module.lora.alpha))
  end
  for _, each in ipairs(net:specs()) do
    if lora.is_adapter(each.path) then count = count + util.product(each.spec.shape) end
  end
  local first = list[1].module.lora
  return ("rank %s, alpha %s%s%s on %d layer%s, %s parameters"):format(table.concat(ranks, ", "),
    table.concat(alphas, ", "), first.rs and " (rsLoRA)" or "",
    first.dropout > 0 and (", dropout %g"):format(first.dropout) or "", #list, #list == 1 and "" or "s",
    util.thousands(count))
end

-- What a model file says of a network's adapters: {layers = {{name =, rank =, alpha =, rs =, dropout =}, ...}}; nil
-- without any.
function lora.describe(net)
  local list = lora.layers(net)
  for i, each in ipairs(list) do
    local o = each.module.lora
    list[i] = { name = each.path, rank = o.rank, alpha = o.alpha, rs = o.rs, dropout = o.dropout }
  end
  return #list > 0 and { layers = list } or nil
end

-- Is `v` such a description? It may come from anybody.
function lora.is_description(v)
  if type(v) ~= "table" or type(v.layers) ~= "table" then return false end
  for _, each in ipairs(v.layers) do
    if type(each) ~= "table" or type(each.name) ~= "string" or type(each.rs) ~= "boolean" then return false end
    if math.type(each.rank) ~= "integer" or each.rank < 1 or each.rank > 65536 then return false end
    if type(each.alpha) ~= "number" or not (each.alpha > 0 and each.alpha < math.huge) then return false end
    if type(each.dropout) ~= "number" or not (each.dropout >= 0 and each.dropout < 1) then return false end
  end
  return #v.layers > 0
end

-- Gives a network, without its values, the adapters that a description speaks of.
function lora.rebuild(net, about)
  for _, each in ipairs(about.layers) do
    local m = net:find(each.name)
    if not m or not m.takes_lora or rawget(m, "lora") then
      util.failf("lora: %s has no layer '%s' for an adapter", net:label(), each.name)
    end
    attach(net, m, each)
  end
end

-- Tensors of a file whose network has adapters, with these merged into the weights: name -> tensor. `net` is one
-- without adapters that is to take them.
function lora.merged(net, tensors, about)
  local out = {}
  for name, t in pairs(tensors) do out[name] = t end
  for _, each in ipairs(about.layers) do
    local name, scale = each.name, each.alpha / (each.rs and math.sqrt(each.rank) or each.rank)
    local a, b = out[name .. ".lora_A.weight"], out[name .. ".lora_B.weight"]
    local table_a, table_b = out[name .. ".lora_embedding_A"], out[name .. ".lora_embedding_B"]
    local delta = a and b and b:matmul(a) * scale
      or table_a and table_b and (table_b:matmul(table_a) * scale):transpose()
    local weight, m = out[name .. ".weight"], net:find(name)
    if delta and a and m and m.transposed then delta = delta:transpose() end
    if weight and delta then out[name .. ".weight"] = weight + delta end
    for _, part in ipairs { "lora_A.weight", "lora_B.weight", "lora_embedding_A", "lora_embedding_B" } do
      out[name .. "." .. part] = nil
    end
  end
  return out
end

return lora
