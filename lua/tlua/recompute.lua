-- recompute.lua - gradient checkpointing: a part of a network keeps its input alone, and backward computes the part again. The same
-- bits as without: random numbers are those of the first time, and batch norms do not follow the batch a second time.
local core = require "tlua.core"
local util = require "tlua.util"
-- `again`: a part is being computed again.
local recompute = { again = false }

-- f(x, ...) -> y, one tensor from one tensor, like `y = f(x, ...)`. What else is passed is constant. f must give the same when it is called
-- again; tensors that it changes or keeps outside are its own affair.
function recompute.run(f, x, ...)
  if not core.recording() then return f(x, ...) end
  local more, ordinal, lowered, y = table.pack(...), core.random_ordinal(), core.lowered(), nil
  do
    local scope <close> = core.scope()
    local guard <close> = core.no_grad()
    y = f(x, ...)
    if not core.is_tensor(y) then util.failf("recompute: the part must give one tensor, not %s", type(y)) end
    scope:keep(y)
  end
  return core.checkpoint(function(input, wanted, gy)
    local scope <close> = core.scope()
    local guard <close> = core.enable_grad()
    local before, after = recompute.again, core.random_ordinal(ordinal)
    recompute.again = true
    local own = input:detach()
    if wanted then own:requires_grad(true) end
    local ok, e = pcall(function()
      if lowered ~= "float32" then core.lowered(lowered) end
      f(own, table.unpack(more, 1, more.n)):backward(gy)
    end)
    recompute.again = before
    if lowered ~= "float32" then core.lowered "float32" end
    core.random_ordinal(after)
    if not ok then error(e, 0) end
    return wanted and scope:keep(own.grad) or nil
  end, x, y)
end

-- The blocks of a network: stages of a graph; of others the children of lists that have parts themselves (layer3.0,
-- blocks.7).
local function blocks_of(net)
  if net.recomputed_parts then return net:recomputed_parts() end
  local list = {}
  net:walk(function(m, path)
    local parent = rawget(m, "_parent")
    if parent and parent.at and parent.append and #m._order > 0 and not (m.at and m.append) then
      list[#list + 1] = { path = path, mark = function() rawset(m, "recomputed", true) end }
    end
  end)
  return list
end

-- Marks the blocks of a network. globs: only those whose path they match; true or nil: all. Returns how many.
function recompute.mark(net, globs)
  local all, list = globs == nil or globs == true, {}
  local wanted = function() return true end
  if not all then wanted, list = util.matcher("recompute", globs) end
  local count, blocks = 0, {}
  for i, each in ipairs(blocks_of(net)) do
    blocks[i] = each.path
    if wanted(each.path) then
      each.mark()
      count = count + 1
    end
  end
  if #blocks == 0 then util.fail "recompute: the network has no blocks (modules with parts in a list)" end
  local glob = util.unmatched(list, blocks)
  if glob then
    local near = util.near_glob(glob, blocks)
    util.failf("recompute: no block of %s matches '%s'%s%s", net:label(), glob, near and near .. " There are " or "; there are ", table.concat(blocks, ", "))
  end
  if count == 0 then util.failf("recompute: no block is named like that; there are %s", table.concat(blocks, ", ")) end
  return count
end

return recompute
