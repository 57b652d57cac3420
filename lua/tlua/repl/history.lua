-- history.lua - what was typed, kept between sessions in the cache folder: one entry a line, written at once and as a
-- whole, at most MOST of them. Sessions side by side add to the same file. TLUA_HISTORY=0 keeps nothing; neither is
-- kept what begins with a space.
local core = require "tlua.core"
local history = { MOST = 1000 }
local History = {}
History.__index = History

local ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r" }
local PLAIN = { ["\\\\"] = "\\", ["\\n"] = "\n", ["\\r"] = "\r" }

local function read(path)
  local list = {}
  local file = io.open(path, "rb")
  if not file then return list end
  for line in file:lines() do list[#list + 1] = line:gsub("\\.", PLAIN) end
  file:close()
  return list
end

local function write(path, list)
  local lines = {}
  for i = math.max(1, #list - history.MOST + 1), #list do
    lines[#lines + 1] = list[i]:gsub("[\\\n\r]", ESCAPES) .. "\n"
  end
  core.write_file(path, table.concat(lines))
end

-- An open history; its entries are given to the line editor. It never fails: without a folder there is just nothing
-- kept.
function history.open()
  local self = setmetatable({}, History)
  if os.getenv "TLUA_HISTORY" == "0" then return self end
  local ok, folder = pcall(core.cache_folder, "prompt")
  if not ok then return self end
  self.path = folder .. "/history"
  for _, text in ipairs(read(self.path)) do core.remember(text) end
  return self
end

-- Keeps one input, before it runs. The file is read anew, since another session may have written it; a lock keeps the
-- two apart.
function History:add(text)
  if text:find "^%s" then return end
  core.remember(text)
  if not self.path then return end
  pcall(function()
    local lock = core.lock(self.path .. ".lock")
    local list = read(self.path)
    if list[#list] ~= text then
      list[#list + 1] = text
      write(self.path, list)
    end
    if lock then core.unlock(lock) end
  end)
end

return history
