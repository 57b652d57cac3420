-- names.lua - which tensor of a file is which of a network, when the file's writer had the network wrapped: torch.compile puts
-- "_orig_mod." before every name, DataParallel "module.", Lightning "model.", one around another or around a part of the network.
local util = require "tlua.util"
local names = {}

-- PyTorch's own wrappers, which may stand anywhere in a name and never say what a tensor is.
local TRANSPARENT = { module = true, _orig_mod = true, _fsdp_wrapped_module = true, _checkpoint_wrapped_module = true }
-- What people call the network inside of something larger, the likeliest first.
local WRAPPERS = { "model", "net", "network", "backbone", "encoder" }
local RANK = {}
for i, word in ipairs(WRAPPERS) do RANK[word] = i end
for word in pairs(TRANSPARENT) do RANK[word] = 0 end
local DEEPEST = 8 -- words before a name

-- Without the words of PyTorch's wrappers.
local function bare(name)
  local out, changed = {}, false
  for word in name:gmatch "[^.]+" do
    if TRANSPARENT[word] then changed = true else out[#out + 1] = word end
  end
  return changed and table.concat(out, ".") or name
end

-- name in a file -> name in the network, or nil. `own`: the set of the network's names.
local function finder(own, current)
  local by_bare = {}
  for name in pairs(own) do
    local b = bare(name)
    by_bare[b] = by_bare[b] == nil and name or false -- two that differ in wrappers alone: only the whole name tells them apart
  end
  return function(name)
    local now = current(name)
    return own[now] and now or by_bare[bare(now)] or by_bare[current(bare(name))] or nil
  end
end

-- Every beginning of every name up to a dot, with what fits the network behind it: {text, found, body, rank}.
local function beginnings(list, find, own)
  local all = {}
  local function count(text, rest, rank)
    local p = all[text] or { text = text, found = 0, body = 0, rank = rank }
    all[text] = p
    local name = find(rest)
    if name then
      p.found = p.found + 1
      if own[name] == "body" then p.body = p.body + 1 end
    end
  end
  for _, name in ipairs(list) do
    count("", name, 0)
    local rank, words = 0, 0
    for word, at in name:gmatch "([^.]+)%.()" do
      words = words + 1
      if words > DEEPEST then break end
      rank = rank and RANK[word] and math.max(rank, RANK[word]) or nil
      count(name:sub(1, at - 1), name:sub(at), rank)
    end
  end
  return all
end

-- Whether `a` is to be taken rather than `b`. Of two that fit as well, one inside the other, the longer leaves less aside.
local function better(a, b)
  if a.found ~= b.found then return a.found > b.found end
  if (a.rank == nil) ~= (b.rank == nil) then return a.rank ~= nil end
  if a.text:sub(1, #b.text) == b.text then return true end
  if b.text:sub(1, #a.text) == a.text then return false end
  if a.rank ~= b.rank then return a.rank < b.rank end
  return a.text < b.text
end

-- The beginning behind which the network's names stand. Known words need not fit all of it, so that what is missing can be
-- told; any other word must, and two that do are a question for the user.
local function choose(what, list, find, own, body)
  local best, equals = nil, {}
  for _, p in pairs(beginnings(list, find, own)) do
    if p.found > 0 and (p.rank or p.body >= body) then
      if not best or better(p, best) then best = p end
      if not p.rank then equals[#equals + 1] = p end
    end
  end
  if not best or best.rank then return best and best.text or "" end
  local texts = {}
  for _, p in ipairs(equals) do
    if p.found == best.found and best.text:sub(1, #p.text) ~= p.text then texts[#texts + 1] = p.text:sub(1, -2) end
  end
  if #texts > 0 then
    texts[#texts + 1] = best.text:sub(1, -2)
    table.sort(texts)
    util.failf("%s holds the network under %s: say which, like weights = { path = FILE, key = \"%s\" }, net:load(FILE, { key = \"%s\" })", what,
      table.concat(texts, " and "), texts[1], texts[1])
  end
  return best.text
end

-- `list`: names in a file; own: those of the network, "body" or something else (of its head, a counter), and body: how many of the
-- first there are; current(name): the present form of an old name. Returns {name in the file = name in the network, or what is left of its
-- own}, the beginning that was taken off, and the names without it.
function names.match(what, list, own, body, current)
  local same = {}
  for _, name in ipairs(list) do same[#same + 1] = own[name] and name or nil end
  if #same == #list then -- as most files have it
    local to = {}
    for _, name in ipairs(list) do to[name] = name end
    return to, "", {}
  end
  local find = finder(own, current)
  local prefix, outside, to, taken = choose(what, list, find, own, body), {}, {}, {}
  table.sort(list)
  for pass = 1, 2 do -- those that need no reading come first
    for _, name in ipairs(list) do
      local rest = name:sub(1, #prefix) == prefix and name:sub(#prefix + 1)
      local found = rest and find(rest)
      if not rest then
        if pass == 2 then outside[#outside + 1] = name end
      elseif not to[name] and found and not taken[found] and (pass == 2 or found == rest) then
        to[name], taken[found] = found, true
      elseif pass == 2 and not to[name] then
        to[name] = found and name or current(rest)
      end
    end
  end
  return to, prefix, outside
end

return names
