-- patterns.lua - several nodes that are one operator of ours.
local patterns = {}

function patterns.apply(w, prepared, base)
  return prepared.nodes
end

return patterns
