-- order.lua - in which order the classes of a confusion stand, so that those which are taken for each other are
-- neighbours, and which groups they form. Hierarchical clustering with average linkage (Sokal and Michener 1958), by
-- chains of nearest neighbours (Murtagh 1983), over the pairs that occur alone: most classes of a thousand are never
-- taken for each other. Equal similarities go to the class that comes first, so the same counts give the same order.
local order = {}

local LARGEST = 12 -- classes of a group: a table of so many can be read
local CLOSE = 2 -- times as similar as two classes are on average, at which a merge still makes a group

-- Similarity of classes from the cells { {i, j, count}, ... } (i taken for j, from 1) and how often each occurs: of
-- both classes' pictures the share that was taken for the other. A table of tables, both ways.
local function similarities(cells, support)
  local s = {}
  for k = 1, #support do s[k] = {} end
  for _, c in ipairs(cells) do
    local i, j = c[1], c[2]
    local both = support[i] + support[j]
    if i ~= j and c[3] > 0 and both > 0 then
      s[i][j] = (s[i][j] or 0) + c[3] / both
      s[j][i] = s[i][j]
    end
  end
  return s
end

-- The nearest neighbour of a cluster: its number and the mean similarity; nil where nothing is similar.
local function nearest(sums, size, a)
  local best, most
  for b, sum in pairs(sums[a]) do
    local mean = sum / (size[a] * size[b])
    if not best or mean > most or mean == most and b < best then best, most = b, mean end
  end
  return best, most
end

-- Leaves of two clusters in a row, turned so that the ends that meet are as similar as can be.
local function joined(s, a, b)
  local best, most
  local ways = { { a[#a], b[1] }, { a[#a], b[#b] }, { a[1], b[1] }, { a[1], b[#b] } }
  for k, w in ipairs(ways) do
    local v = s[w[1]][w[2]] or 0
    if not best or v > most then best, most = k, v end
  end
  local out = {}
  local turn_a, turn_b = best > 2, best % 2 == 0
  for k = 1, #a do out[k] = turn_a and a[#a + 1 - k] or a[k] end
  for k = 1, #b do out[#a + k] = turn_b and b[#b + 1 - k] or b[k] end
  return out
end

-- Merges clusters a and b of `sums` (similarities summed over pairs) into the new one `c`.
local function merge(sums, size, a, b, c)
  local own = {}
  for _, from in ipairs { a, b } do
    for k, v in pairs(sums[from]) do
      if k ~= a and k ~= b then own[k] = (own[k] or 0) + v end
      if sums[k] then sums[k][from] = nil end
    end
  end
  for k, v in pairs(own) do sums[k][c] = v end
  sums[c], size[c] = own, size[a] + size[b]
  sums[a], sums[b] = nil, nil
end

-- The trees of the clustering: a list of nodes {leaves =, mean =, left =, right =}; those of one class have no mean.
local function trees(s, n)
  local sums, size, nodes = {}, {}, {}
  for k = 1, n do
    sums[k], size[k], nodes[k] = {}, 1, { leaves = { k } }
    for j, v in pairs(s[k]) do sums[k][j] = v end
  end
  local fresh, roots, first = n, {}, 1
  while first <= n do
    local chain = { first }
    while #chain > 0 do
      local a, before = chain[#chain], chain[#chain - 1]
      local b, mean
      if sums[a] then b, mean = nearest(sums, size, a) end
      if not b then break end
      -- Of two that are equally near the one that came before is taken, so that a chain ends.
      if before and sums[a][before] / (size[a] * size[before]) >= mean then b = before end
      if b ~= before then chain[#chain + 1] = b
      else
        local low, high = math.min(a, b), math.max(a, b)
        fresh = fresh + 1
        nodes[fresh] = { leaves = joined(s, nodes[low].leaves, nodes[high].leaves), mean = mean, left = nodes[low],
          right = nodes[high] }
        merge(sums, size, low, high, fresh)
        chain[#chain], chain[#chain - 1] = nil, nil
        if #chain == 0 then chain[1] = fresh end
      end
    end
    first = first + 1
  end
  for id = 1, fresh do
    if sums[id] then roots[#roots + 1] = nodes[id] end
  end
  return roots
end

local function least_of(node)
  local least = math.huge
  for _, k in ipairs(node.leaves) do least = math.min(least, k) end
  return least
end

-- The mean similarity of two classes, over all pairs.
local function background(s, n)
  local sum = 0
  for i = 1, n do
    local row = {}
    for j in pairs(s[i]) do row[#row + 1] = j end
    table.sort(row)
    for _, j in ipairs(row) do sum = sum + s[i][j] end
  end
  return n > 1 and sum / (n * (n - 1)) or 0
end

-- cells: { {i, j, count}, ... } from 1; support: how often each class occurs. Returns the classes' numbers in their
-- order, and the groups, as lists of numbers in that order, of at least two and at most `largest` (12) classes.
function order.of(cells, support, largest)
  local n = #support
  local s, list, groups = similarities(cells, support), {}, {}
  local roots, least = trees(s, n), CLOSE * background(s, n)
  for _, node in ipairs(roots) do
    node.first = least_of(node)
    local leaves = node.leaves
    if leaves[1] > leaves[#leaves] then -- both ways are as good: the one that begins with the class that comes first
      for k = 1, #leaves // 2 do leaves[k], leaves[#leaves + 1 - k] = leaves[#leaves + 1 - k], leaves[k] end
    end
  end
  table.sort(roots, function(a, b) return a.first < b.first end)
  local function look(node)
    if not node.mean then return end
    if #node.leaves <= (largest or LARGEST) and node.mean >= least then groups[#groups + 1] = node.leaves
    else
      look(node.left)
      look(node.right)
    end
  end
  for _, node in ipairs(roots) do
    table.move(node.leaves, 1, #node.leaves, #list + 1, list)
    look(node)
  end
  local place = {}
  for k, i in ipairs(list) do place[i] = k end
  for _, group in ipairs(groups) do table.sort(group, function(a, b) return place[a] < place[b] end) end
  return list, groups
end

return order
