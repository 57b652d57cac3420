-- split.lua - how samples are divided into parts: by share, drawn by a seed so that classes keep their shares, and by groups that stay together.
local core = require "tlua.core"
local util = require "tlua.util"
local split = {}

local STREAM = 1 << 41 -- beside the numbers of epochs and of data.per_class, which draw by the seed too

-- The order in which the members of class k are drawn.
local function drawn(list, seed, k)
  local order, out = core.data.permutation(seed, STREAM + k, #list), {}
  for i, at in ipairs(order) do out[i] = list[at] end
  return out
end

-- At least one of a class that has two, never all of it; of no share nothing.
local function share_of(n, share)
  return (n < 2 or share == 0) and 0 or math.max(1, math.min(n - 1, math.floor(n * share + 0.5)))
end

-- Numbers 1..n into the kept and the held out. o: share; seed; n; label(i) -> class, where classes keep their shares; group(i) -> key, where
-- those of one key stay together. Both lists are in the order of the numbers.
function split.share(o)
  local members, names, held = {}, {}, {}
  for i = 1, o.n do
    local k = o.group and 1 or o.label and o.label(i) or 1
    if not members[k] then members[k], names[#names + 1] = {}, k end
    table.insert(members[k], i)
  end
  if o.group then return split.groups(o) end
  table.sort(names)
  for at, k in ipairs(names) do
    local list = drawn(members[k], o.seed, at)
    for i = 1, share_of(#list, o.share) do held[list[i]] = true end
  end
  return split.apart(o.n, held)
end

-- Whole groups in a drawn order, each taken where the share is not passed by it by more than it lacks without it.
function split.groups(o)
  local of_key, keys, held, taken = {}, {}, {}, 0
  for i = 1, o.n do
    local key = o.group(i)
    if not of_key[key] then of_key[key], keys[#keys + 1] = {}, key end
    table.insert(of_key[key], i)
  end
  local wanted = o.n * o.share
  for _, key in ipairs(drawn(keys, o.seed, 0)) do
    local list = of_key[key]
    if #keys > 1 and taken + #list - wanted <= wanted - taken and taken + #list < o.n then
      taken = taken + #list
      for _, i in ipairs(list) do held[i] = true end
    end
  end
  return split.apart(o.n, held)
end

function split.apart(n, held)
  local kept, out = {}, {}
  for i = 1, n do table.insert(held[i] and out or kept, i) end
  return kept, out
end

-- Something selects, and no sample could be held out for it: the test must not serve instead.
function split.none_held(kind, selects)
  util.failf("data.%s: %s goes by a validation part, and there are too few samples (or groups) to hold one out", kind, selects)
end

-- The name of a file below a folder, in the composed form.
function split.below(root, path) return core.composed((path:sub(#root + 1):gsub("^/+", ""))) end
local below = split.below

-- Whose each of n samples is: what a Lua pattern finds (its captures, or the whole match) in the path name(i) below the root; where it finds
-- nothing the sample is a group of its own. o: kind (of the data, for messages), pattern, root, n, name. Gives a list of keys; one pattern that
-- finds nothing anywhere is an error, unless `lenient`, and the second result says whether anything was found.
function split.keys(o, lenient)
  local keys, any, pattern = {}, false, core.composed(o.pattern)
  for i = 1, o.n do
    local name = below(o.root, o.name(i))
    local ok, found = pcall(function() return { name:match(pattern) } end)
    if not ok then util.failf("data.%s: group = %q is not a Lua pattern: %s", o.kind, o.pattern, util.without_place(found)) end
    any = any or #found > 0
    keys[i] = #found > 0 and table.concat(found, "/") or "/" .. name -- no match can start so
  end
  if not any and not lenient then split.found_nothing(o) end
  return keys, any
end

-- The same list of keys, with false for samples in whose path nothing was found; nil of nil.
function split.known(keys)
  local out = {}
  for i, key in ipairs(keys or {}) do out[i] = key:sub(1, 1) ~= "/" and key end
  return keys and out
end

function split.found_nothing(o)
  util.failf("data.%s: group = %q finds nothing in any path; the first is %s", o.kind, o.pattern, below(o.root, o.name(1)))
end

-- How many samples of `other` have a group that one of `own` has too. Both are lists of keys.
function split.shared_groups(own, other)
  local known, n = {}, 0
  for _, key in ipairs(own) do known[key] = true end
  for _, key in ipairs(other) do n = n + (known[key] and 1 or 0) end
  return n
end

util.seal(split, "split.")
return split
