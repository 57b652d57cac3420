-- links.lua - addresses of files in a page: relative to the folder that the page is in, so that both can be moved
-- together.
local links = {}

-- The names of an absolute path without "." and "..". What is relative is so to the folder that tlua was called in; nil
-- where nobody says which that is.
local function names_of(path)
  if path:sub(1, 1) ~= "/" then
    local here = os.getenv "PWD"
    if not here or here:sub(1, 1) ~= "/" then return nil end
    path = here .. "/" .. path
  end
  local names = {}
  for name in path:gmatch "[^/]+" do
    if name == ".." then names[#names] = nil
    elseif name ~= "." then names[#names + 1] = name end
  end
  return names
end

-- The path of a file as it is reached from a folder; the path itself where that cannot be told.
function links.relative(folder, path)
  local from, to = names_of(folder), names_of(path)
  if not from or not to then return path end
  local same = 0
  while from[same + 1] and same + 1 < #to and from[same + 1] == to[same + 1] do same = same + 1 end
  local out = {}
  for _ = same + 1, #from do out[#out + 1] = ".." end
  for k = same + 1, #to do out[#out + 1] = to[k] end
  return table.concat(out, "/")
end

-- The folder of a file.
function links.folder_of(path) return path:match "^(.*[^/])/+[^/]*$" or path:match "^/" or "." end

-- A path as an address: what has a meaning of its own there is written by its number, a colon too, so that "a:b" is no
-- address of another kind.
function links.address(path)
  local out = path:gsub("[^%w%-%._~/]", function(c) return ("%%%02X"):format(c:byte()) end)
  return out
end

return links
