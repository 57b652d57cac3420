-- entities.lua - entities in rows of tags (B-PER I-PER O ...), and how many of them were found: precision, recall and
-- F1 by type and overall as seqeval 1.2 counts them (tests/golden/make_entities.py). An entity is right where its type,
-- its first and its last word are.
local util = require "tlua.util"
local entities = {}

-- The letter of a tag, and the type behind it: "B-PER" is "B", "PER". A letter alone has the type "_".
local function apart(tag)
  local kind = tag:sub(2)
  kind = kind:match "%-(.*)$" or kind
  return tag:sub(1, 1), kind ~= "" and kind or "_"
end

local function outside(letter) return letter == "O" or letter == "." end

-- Does what came before end in front of this tag? `same`: it is of the same type.
local function ends(before, letter, same)
  if before == "E" or before == "S" then return true end
  if (before == "B" or before == "I") and (letter == "B" or letter == "S" or letter == "O") then return true end
  return not outside(before) and not same
end

local function starts(before, letter, same)
  if letter == "B" or letter == "S" then return true end
  if (before == "E" or before == "S" or before == "O") and (letter == "E" or letter == "I") then return true end
  return not outside(letter) and not same
end

-- conlleval's rules: an I without a B before it begins an entity too.
local function lenient(tags)
  local list, before, kind_before, from = {}, "O", "", 1
  for i = 1, #tags + 1 do
    local letter, kind = apart(tags[i] or "O")
    local same = kind == kind_before
    if ends(before, letter, same) then list[#list + 1] = { type = kind_before, from = from, to = i - 1 } end
    if starts(before, letter, same) then from = i end
    before, kind_before = letter, kind
  end
  return list
end

-- IOB2 to the letter: an entity begins with B and goes on with I of its type; other I's are none.
local function strict(tags)
  local list, open = {}, nil
  for i, tag in ipairs(tags) do
    local letter, kind = apart(tag)
    if letter == "B" then
      open = { type = kind, from = i, to = i }
      list[#list + 1] = open
    elseif letter == "I" and open and open.type == kind then open.to = i
    else open = nil end
  end
  return list
end

-- The entities of a list of tags: { {type =, from =, to =}, ... }, words counted from 1. `exactly`: B and I are taken
-- at their word (seqeval's strict mode with the scheme IOB2), else as conlleval does.
function entities.of(tags, exactly) return exactly and strict(tags) or lenient(tags) end

-- ---- counts ----

-- Adds a sentence to `counts` (type -> {right =, predicted =, support =}): how many entities of each type there are,
-- were found, and were found rightly.
function entities.add(counts, tags, predicted, exactly)
  if #tags ~= #predicted then util.failf("entities: %d tags and %d predicted ones", #tags, #predicted) end
  local known = {}
  local function of(kind)
    counts[kind] = counts[kind] or { right = 0, predicted = 0, support = 0 }
    return counts[kind]
  end
  for _, e in ipairs(entities.of(tags, exactly)) do
    of(e.type).support = of(e.type).support + 1
    known[("%d %d %s"):format(e.from, e.to, e.type)] = true
  end
  for _, e in ipairs(entities.of(predicted, exactly)) do
    local c = of(e.type)
    c.predicted = c.predicted + 1
    if known[("%d %d %s"):format(e.from, e.to, e.type)] then c.right = c.right + 1 end
  end
  return counts
end

local function ratio(a, b) return b > 0 and a / b or 0.0 end

local function scored(c)
  local p, r = ratio(c.right, c.predicted), ratio(c.right, c.support)
  return { precision = p, recall = r, f1 = ratio(2 * p * r, p + r), support = c.support, predicted = c.predicted,
    right = c.right }
end

-- What follows from counts: types, a list of {type =, precision =, recall =, f1 =, support =, predicted =, right =} by
-- name; micro, over all entities; macro, the mean over types; weighted, by how many there are. Zero where nothing was
-- found.
function entities.figures(counts)
  local types, all = {}, { right = 0, predicted = 0, support = 0 }
  local macro, weighted = { precision = 0, recall = 0, f1 = 0 }, { precision = 0, recall = 0, f1 = 0 }
  for i, name in ipairs(util.keys(counts)) do
    local c = counts[name]
    types[i] = scored(c)
    types[i].type = name
    for key in pairs(all) do all[key] = all[key] + c[key] end
  end
  for _, row in ipairs(types) do
    for key in pairs(macro) do
      macro[key] = macro[key] + row[key] / #types
      weighted[key] = weighted[key] + row[key] * ratio(row.support, all.support)
    end
  end
  return { types = types, micro = scored(all), macro = macro, weighted = weighted }
end

-- Are these names of classes tags of entities (O, B-..., I-..., E-..., S-...)?
function entities.are_tags(names)
  local any = false
  for _, name in ipairs(names) do
    local letter, rest = name:match "^([BIESO])(.*)$"
    if not letter or (letter == "O" and rest ~= "") or (letter ~= "O" and rest ~= "" and not rest:find "^%-.") then
      return false
    end
    any = any or letter ~= "O"
  end
  return any
end

util.seal(entities, "entities.")
return entities
