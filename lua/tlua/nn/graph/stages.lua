-- stages.lua - a graph as a list of stages: stretches of calls between places where a single value passes, grouped as
-- the modules are that the tensors' names tell of. A residual block is one stretch, since two values live inside; a
-- stage is a block, or, of plain layers one behind the other, each of them, or a few where there are many.
local shapes = require "tlua.nn.graph.shapes"
local split = require("tlua.nn.graph.parts").split
local stages = {}

local MOST_PLAIN = 16 -- stages of plain layers; where there are more layers, several share one
local MOST = 64       -- stages in all
local BLOCK = 8       -- stretches that a block may have (attention and hidden layers of a transformer are two)

-- ---- places where a single value passes ----

-- For each call the symbols that calls behind it need: {[i] = {N = true}}.
local function needs_behind(self)
  local need, all = {}, {}
  for i = #self.calls, 1, -1 do
    need[i] = all
    local own = self.calls[i].sized or {}
    if #own > 0 then
      local more = {}
      for name in pairs(all) do more[name] = true end
      for _, each in ipairs(own) do more[each.symbol] = true end
      all = more
    end
  end
  return need
end

-- {symbol = size} of the symbols `need` in a tensor of shape `shape`, whose dims are as in shapes.of; nil where they
-- cannot all be told from it.
function stages.sizes(dims, shape, need)
  local sizes = {}
  for k, d in ipairs(dims) do
    if d.symbol and d.times >= 1 and d.times % 1 == 0 then
      sizes[d.symbol] = sizes[d.symbol] or shape[k] // math.tointeger(d.times)
    end
  end
  for name in pairs(need) do
    if not sizes[name] then return nil end
  end
  return sizes
end

-- The dimension that counts pictures, nil where there is none.
function stages.pictures(dims)
  for k, d in ipairs(dims) do
    if d.symbol == "N" and d.times == 1 then return k end
  end
end

-- May what comes after be computed from this value alone? It must have all pictures, each for itself.
local function passes(self, s, value, need)
  local dims, shape = s[value], {}
  if not dims or s.types[value] then return false end
  for k, d in ipairs(dims) do shape[k] = d.n end
  return (not self.symbols.N or stages.pictures(dims) ~= nil) and stages.sizes(dims, shape, need) ~= nil
end

-- The body of a graph ends before its head. Calls where a single value passes: {{at = number of the call, value =, need
-- =}}, the last of them the end of the body.
function stages.boundaries(self)
  local s, need, list = shapes.of(self), needs_behind(self), {}
  local body, alive, count = self:body(), {}, 0
  local function born(v, i)
    if self.last[v] and self.last[v] > i then alive[v], count = true, count + 1 end
  end
  for v = 1, #self.inputs do born(v, 0) end
  for i = 1, body do
    local c = self.calls[i]
    for _, v in ipairs(c.inputs) do
      if alive[v] and self.last[v] <= i then alive[v], count = nil, count - 1 end
    end
    for v = c.first, c.first + c.results - 1 do born(v, i) end
    local value = count == 1 and next(alive)
    if value and value > #self.inputs and passes(self, s, value, need[i]) then
      list[#list + 1] = { at = i, value = value, need = need[i] }
    elseif i == body then list[#list + 1] = { at = i } end
  end
  return list
end

-- ---- atoms: stretches that begin with a layer that has weights ----

-- What begins a stretch of its own. All else that has weights (norms, a bias, a token that is put in front) belongs to
-- what is before it.
local LAYERS = { conv = true, conv_transpose = true, linear = true, matmul = true, embedding = true, lstm = true,
  gru = true, rnn = true }
-- What only moves numbers.
local MOVES = { reshape = true, permute = true, slice = true, concat = true, pad = true, expand = true }
-- What makes of places a row.
local ENDS = { mean = true, amax = true, slice = true, sum = true, avg_pool = true, gather = true }

local function words(path)
  local list = {}
  for word in path:gmatch "[^./]+" do list[#list + 1] = word end
  return list
end

local function common(a, b)
  local n = 0
  while a[n + 1] and a[n + 1] == b[n + 1] do n = n + 1 end
  return n
end

-- Stretches {first, last, value, need, layers = paths of layers with weights, sides = paths of norms and their like,
-- ends}.
local function stretches(self)
  local list, first = {}, 1
  for _, b in ipairs(stages.boundaries(self)) do
    local s = { first = first, last = b.at, value = b.value, need = b.need, layers = {}, sides = {}, moves = true }
    for i = first, b.at do
      local c = self.calls[i]
      local path = c.layer and (split(c.layer))
      if path then table.insert(LAYERS[c.op] and s.layers or s.sides, words(path ~= "" and path or c.layer))
      elseif ENDS[c.op] then s.ends = true end
      s.moves = s.moves and not path and MOVES[c.op] ~= nil
    end
    list[#list + 1], first = s, b.at + 1
  end
  return list
end

-- Does a stretch of norms alone, or of moves in front of one, belong to the layer behind it rather than to the one
-- before?
local function looks_ahead(list, i, before)
  while list[i].moves and list[i + 1] do i = i + 1 end
  local own = list[i].sides[1]
  if #list[i].layers > 0 then return false end
  if not own then return false end
  for k = i, #list do
    local next_layer = list[k].layers[1]
    if next_layer then return before ~= nil and common(own, next_layer) > common(own, before) end
  end
  return false
end

-- Joins stretches to atoms: each has one with layers, what comes after it without any, and, at the end of the body, one
-- that makes a row of places.
local function atoms_of(self)
  local list, out, last_layer = stretches(self), {}, 0
  for i, s in ipairs(list) do
    if #s.layers > 0 then last_layer = i end
  end
  local atom, ended = nil, false
  for i, s in ipairs(list) do
    local before = atom and atom.layers[#atom.layers]
    local new = not atom or (#s.layers > 0 and #atom.layers > 0) or (#s.layers == 0 and looks_ahead(list, i, before))
    if i > last_layer and s.ends and not ended and atom then new, ended = true, true end
    if new then
      atom = { first = s.first, layers = {}, sides = {}, whole = 0, tail = ended }
      out[#out + 1] = atom
    end
    atom.last, atom.value, atom.need = s.last, s.value, s.need
    table.move(s.layers, 1, #s.layers, #atom.layers + 1, atom.layers)
    table.move(s.sides, 1, #s.sides, #atom.sides + 1, atom.sides)
  end
  return out
end

-- ---- groups of atoms ----

-- The word behind the first `depth` words that all layers of an atom have in common, nil where they part before.
local function word_at(atom, depth)
  local first = atom.layers[1] or atom.sides[1]
  if not first then return nil end
  for _, each in ipairs(atom.layers) do
    if common(first, each) <= depth then return nil end
  end
  return first[depth + 1]
end

-- Are these the elements of a list: 0, 1, 2, or layer1, layer2?
local function is_numbered(key) return key ~= nil and key:find "%d$" ~= nil end

local function runs_of(atoms, depth)
  local runs = {}
  for _, a in ipairs(atoms) do
    local run, word = runs[#runs], word_at(a, depth)
    if run and word and run.word == word and not a.tail then run[#run + 1] = a
    else runs[#runs + 1] = { word = word, a } end
  end
  return runs
end

local group

-- The atoms of one module, whose key is the word at `depth`.
local function group_module(run, depth, out)
  local numbered, plain = 0, true
  local inside = runs_of(run, depth)
  for _, each in ipairs(inside) do
    if is_numbered(each.word) then numbered = numbered + 1 end
  end
  for _, a in ipairs(run) do plain = plain and #a.layers <= 1 end
  if #run <= BLOCK and is_numbered(run.word) and (plain or numbered < 2) then out[#out + 1] = run
  else group(run, depth, out) end
end

-- Splits atoms that share `depth` words into lists of atoms, the stages.
function group(atoms, depth, out)
  local runs = runs_of(atoms, depth)
  for _, run in ipairs(runs) do
    if #run == 1 then out[#out + 1] = run
    elseif #runs == 1 and not is_numbered(run.word) then group(run, depth + 1, out)
    else group_module(run, depth + 1, out) end
  end
end

-- ---- names ----

-- The words that all have in common.
local function common_words(paths)
  local first, n = paths[1] or {}, math.huge
  for _, each in ipairs(paths) do n = math.min(n, common(first, each)) end
  return { table.unpack(first, 1, math.min(n, #first)) }
end

-- How many layers and norms of the graph begin with each path.
local function count_paths(list)
  local count = {}
  for _, s in ipairs(list) do
    for _, paths in ipairs { s.layers, s.sides } do
      for _, each in ipairs(paths) do
        for n = 1, #each do
          local key = table.concat(each, ".", 1, n)
          count[key] = (count[key] or 0) + 1
        end
      end
    end
  end
  return count
end

-- The shortest path that its layers have in common, and under which there is nothing but what the stage has; else the
-- longest common one; else the shortest such path of its first layer.
local function name_of(stage, everywhere)
  local paths, inside = #stage.layers > 0 and stage.layers or stage.sides, count_paths { stage }
  local function whole(path)
    for n = 1, #path do
      local key = table.concat(path, ".", 1, n)
      if inside[key] == everywhere[key] then return key end
    end
  end
  local all = common_words(paths)
  return whole(all) or #all > 0 and table.concat(all, ".") or whole(paths[1]) or table.concat(paths[1], ".")
end

local function name_all(self, list)
  local everywhere, taken = count_paths(list), {}
  for _, s in ipairs(list) do
    local name = #s.layers + #s.sides > 0 and name_of(s, everywhere) or s.tail and "pool" or self.calls[s.first].op
    local base, n = name, 2
    while taken[name] do name, n = base .. "_" .. n, n + 1 end
    taken[name], s.name = true, name
  end
end

-- ---- the list ----

-- Joins neighbours, as evenly as it goes, until there are at most `most`.
local function thin(groups, most)
  if #groups <= most then return groups end
  local out = {}
  for i, g in ipairs(groups) do
    local k = (i - 1) * most // #groups + 1
    out[k] = out[k] or {}
    table.move(g, 1, #g, #out[k] + 1, out[k])
  end
  return out
end

-- Single plain layers side by side share stages where there are too many of them.
local function join_plain(groups)
  local function plain(g) return #g == 1 and #g[1].layers <= 1 and not g[1].tail end
  local count = 0
  for _, g in ipairs(groups) do count = count + (plain(g) and 1 or 0) end
  local share, out, open = math.max(1, -(-count // MOST_PLAIN)), {}, nil
  for _, g in ipairs(groups) do
    local single = plain(g)
    if single and open and #open < share then open[#open + 1] = g[1]
    else
      local own = { table.unpack(g) }
      out[#out + 1], open = own, single and own or nil
    end
  end
  return out
end

-- The stages of a graph: {name =, first =, last = numbers of calls, value = what passes behind it, nil where that is no
-- single one, need = the symbols that calls behind it want}.
function stages.of(self)
  local known = rawget(self, "_stages")
  if known and known.calls == self.calls and known.count == #self.calls then return known end
  local groups, out = {}, { calls = self.calls, count = #self.calls }
  group(atoms_of(self), 0, groups)
  for _, g in ipairs(thin(join_plain(groups), MOST)) do
    local s = { first = g[1].first, last = g[#g].last, value = g[#g].value, need = g[#g].need, layers = {}, sides = {},
      tail = g[1].tail }
    for _, a in ipairs(g) do
      table.move(a.layers, 1, #a.layers, #s.layers + 1, s.layers)
      table.move(a.sides, 1, #a.sides, #s.sides + 1, s.sides)
    end
    out[#out + 1] = s
  end
  name_all(self, out)
  rawset(self, "_stages", out)
  return out
end

-- The modules of a call's tensors, and tensors that stand in none, in the order of the calls first..last.
function stages.modules(self, first, last)
  local list, known = {}, {}
  for i = first, last do
    for _, each in ipairs(self.calls[i].inputs) do
      local path = type(each) == "string" and (split(each))
      local name = path and (path ~= "" and path or each)
      if name and not known[name] then known[name], list[#list + 1] = true, name end
    end
  end
  return list
end

return stages
