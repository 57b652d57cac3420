-- doubles.lua - pictures that look nearly the same (src/data/doubles.h) on both sides of the split: they are listed
-- before training, kept on one side (doubles = "apart") or left out of the training (doubles = "drop").
local core = require "tlua.core"
local util = require "tlua.util"
local doubles = {}

doubles.FILE = "doubles.csv"
local ROOM = 1000000 -- pairs that are listed
local OTHERS = { "validation", "test" }

-- The fields of a kind whose pictures are looked at.
doubles.FIELDS = {
  { "doubles", "choice", "say",
    "pictures that look nearly the same in training and in test or validation: named, kept on one side, left out of " ..
    "the training, or not looked for", { "say", "apart", "drop", "off" } },
  { "near", "integer", 3, "how many of 64 bits of their difference hashes may differ; 0: none", least = 0, most = 15 },
}

-- Does a description's data look for them?
function doubles.wanted(o) return o.doubles ~= nil and o.doubles ~= "off" end

-- Prints of pictures are kept in the cache folder by file, size and time; without one that can be written they are made
-- anew each time.
local function kept_in()
  local ok, folder = pcall(core.cache_folder, "prints")
  if not ok then return nil end
  local made = pcall(core.mkdirs, folder)
  return made and folder .. "/prints.bin" or nil
end

local function prints(source, o) return core.data.prints(source, o.threads or 0, kept_in()) end

-- ---- apart ----

-- One key for samples that have a key of `keys` (nil: none has) or a group of `groups` in common, or by others between
-- them: numbers as texts, one for each sample.
function doubles.merged(keys, groups)
  local parent, first = {}, {}
  local function root(i)
    while parent[i] ~= i do
      parent[i] = parent[parent[i]]
      i = parent[i]
    end
    return i
  end
  local function join(i, name)
    local other = first[name]
    first[name] = other or i
    local a, b = root(i), root(other or i)
    parent[math.max(a, b)] = math.min(a, b)
  end
  for i = 1, #groups do
    parent[i] = i
    join(i, "g" .. groups[i])
    if keys then join(i, "k" .. keys[i]) end
  end
  local out = {}
  for i = 1, #groups do out[i] = ("%d"):format(root(i)) end
  return out
end

local function sizes(keys)
  local n, count, largest = {}, 0, 0
  for _, key in ipairs(keys) do
    if not n[key] then count = count + 1 end
    n[key] = (n[key] or 0) + 1
    largest = math.max(largest, n[key])
  end
  return count, largest
end

-- The keys of groups to split by: those of `keys` (nil: none), joined where pictures of two groups are doubles. Second,
-- a line for the plan.
function doubles.apart(source, o, keys)
  local found = prints(source, o)
  local _, pairs_of = core.data.near(found, found, o.near, 0)
  local out = doubles.merged(keys, core.data.near_groups(found, o.near))
  local count, largest = sizes(out)
  return out, ("apart     %s pairs look nearly the same; %s pictures make %s groups with them, the largest of %s")
    :format(util.thousands(pairs_of), util.thousands(#out), util.thousands(count), util.thousands(largest))
end

-- Where the data have a test part of their own nothing can be moved.
function doubles.cannot_move(kind)
  util.failf('data.%s: doubles = "apart" moves pictures from part to part, and the data have parts of their own: ' ..
    '--data.doubles drop leaves those out of the training that are in another part too', kind)
end

-- ---- on both sides ----

-- The doubles of the training part in the others: {part =, train =, other =, bits =, same = (the same file)}...; how
-- many there are in all; and how many pictures are too even.
local function across(out, o)
  local own, list, all, even = prints(out.train, o), {}, 0, 0
  even = own:even()
  for _, part in ipairs(OTHERS) do
    local source, listed = out[part], {}
    local other = source and prints(source, o)
    local pairs_of, n = {}, 0
    if source then
      pairs_of, n = core.data.near(own, other, o.near, ROOM)
      even = even + other:even()
    end
    for _, each in ipairs(pairs_of) do
      list[#list + 1] = { part = part, train = each[1], other = each[2], bits = each[3] }
      listed[each[1] .. " " .. each[2]] = list[#list]
    end
    for _, each in ipairs(source and core.data.shared(out.train, source) or {}) do
      local known = listed[each[1] .. " " .. each[2]]
      if known then known.same = true else
        list[#list + 1] = { part = part, train = each[1], other = each[2], bits = 0, same = true }
        n = n + 1
      end
    end
    all = all + n
  end
  return list, all, even
end

-- The training part without the pictures of `list`.
local function without(train, list)
  local left, kept = {}, {}
  for _, each in ipairs(list) do left[each.train] = true end
  for i = 1, train:count() do
    if not left[i] then kept[#kept + 1] = i end
  end
  if #kept == 0 then
    util.fail 'data: doubles = "drop" leaves no training picture: each one looks like a picture of another part'
  end
  return core.data.subset(train, kept), train:count() - #kept
end

-- Finds the doubles of built parts, and drops them where that is wanted. `out` has train, and test and validation where
-- there are any; out.doubles is what was found.
function doubles.find(out, o)
  local list, all, even = across(out, o)
  local found = { list = list, all = all, even = even, near = o.near, train = out.train }
  if o.doubles == "drop" then
    if all > #list then
      util.failf("data: %s pairs of pictures look nearly the same, and %s can be dropped: --data.near %d finds fewer",
        util.thousands(all), util.thousands(#list), math.max(0, o.near - 1))
    end
    out.train, found.dropped = without(out.train, list)
  end
  out.doubles = found
end

-- ---- words ----

-- How many pictures of the other parts have a double, and the first three pairs.
local function summary(out, found)
  local seen, n, names = {}, 0, {}
  for _, each in ipairs(found.list) do
    local key = each.part .. each.other
    if not seen[key] and not (each.same and each.part == "test") then -- those have a line of their own
      n = n + 1
      names[n] = n <= 3 and ("%s = %s (%d)"):format(out[each.part]:name(each.other), found.train:name(each.train),
        each.bits) or nil
    end
    seen[key] = true
  end
  return n, names
end

-- Lines of the plan.
function doubles.lines(out, say)
  local found = out.doubles
  if not found then return end
  local n, names = summary(out, found)
  if found.dropped and found.dropped > 0 then
    say(("doubles   %s training picture%s left out that look%s like a test or validation picture (%s has them)"):format(
      util.thousands(found.dropped), found.dropped == 1 and " is" or "s are", found.dropped == 1 and "s" or "",
      doubles.FILE))
  elseif #names > 0 then
    say(("doubles   %s test or validation picture%s nearly a training picture too (at most %d of 64 bits apart): " ..
      "%s; %s has all, --data.doubles drop or apart acts on them"):format(util.thousands(n),
      n == 1 and " is" or "s are", found.near, table.concat(names, ", "), doubles.FILE))
  end
  if found.even > 0 then
    say(("doubles   %s picture%s too even to be compared"):format(util.thousands(found.even),
      found.even == 1 and " is" or "s are"))
  end
end

-- The table for the run's folder; nil where there is nothing in it.
function doubles.csv(out)
  local found = out.doubles
  if not found or #found.list == 0 then return nil end
  local lines = { "part,picture,training_picture,bits,same_file" }
  for _, each in ipairs(found.list) do
    lines[#lines + 1] = ("%s,%s,%s,%d,%s"):format(each.part, util.csv(out[each.part]:name(each.other)),
      util.csv(found.train:name(each.train)), each.bits, each.same and "yes" or "no")
  end
  return table.concat(lines, "\n") .. "\n"
end

util.seal(doubles, "doubles.")
return doubles
