-- container.lua - modules made of modules.
local util = require "tlua.util"
local module = require "tlua.nn.module"
local M = {}

-- One after the other. Their names in files count from 0, as PyTorch's ("layer1.0"); seq[1] is the first.
--   nn.Sequential(a, b, c) or nn.Sequential { a, b, c }
local Sequential = module.class("nn.Sequential")
M.Sequential = Sequential

function Sequential:init(...)
  local list = table.pack(...)
  if list.n == 1 and type(list[1]) == "table" and not module.is_module(list[1]) then
    list = list[1]
    for _, key in ipairs(util.keys(list)) do util.unknown("option of nn.Sequential:", key, {}) end
    list.n = #list
  end
  for i = 1, list.n do self:append(list[i]) end
end

function Sequential:append(m)
  if not module.is_module(m) then util.failf("nn.Sequential: element %d is not a module but %s", #self._order + 1, type(m)) end
  self[tostring(#self._order)] = m
  return self
end

function Sequential:at(i) return self._modules[self._order[i > 0 and i or #self._order + 1 + i]] end
function Sequential:length() return #self._order end

function Sequential:forward(x)
  for _, key in ipairs(self._order) do x = self._modules[key](x) end
  return x
end

function Sequential:infer(width)
  for _, key in ipairs(self._order) do width = self._modules[key]:infer(width) end
  return width
end

function Sequential:cost(shape)
  local all, n = 0, 0
  for _, key in ipairs(self._order) do
    shape, n = self._modules[key]:cost(shape)
    all = all + n
  end
  return shape, all
end

function Sequential:spec()
  local list = {}
  for i, key in ipairs(self._order) do
    list[i] = self._modules[key]:spec()
    if not list[i] then return nil end
  end
  return { class = "Sequential", list = list }
end

-- A list of modules without a forward of its own: its owner calls them.
util.seal(Sequential, "", 1, { forward = true })

local ModuleList = module.class("nn.ModuleList", Sequential)
M.ModuleList = ModuleList
function ModuleList:forward(...) util.fail("nn.ModuleList is only a list: call its modules one by one") end
function ModuleList:spec() return nil end

return M
