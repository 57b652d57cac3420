-- activation.lua - element by element, without parameters.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.module"
local M = {}

local function define(name, operator, options)
  local class = module.class("nn." .. name)
  function class:init(...)
    local values, given = util.arguments(...)
    if values.n > 0 then util.failf("nn.%s: options come in a table", name) end
    self.options = util.options("nn." .. name, given, options or {})
  end
  function class:forward(x)
    local op = self.options.approximate == "tanh" and "gelu_tanh" or operator
    local y = core.ops[op](x)
    return y
  end
  function class:spec() return { class = name, args = {}, options = self.options } end
  M[name] = class
end

define("ReLU", "relu")
define("ReLU6", "relu6")
define("SiLU", "silu")
define("GELU", "gelu", { approximate = "none" })
define("Sigmoid", "sigmoid")
define("Tanh", "tanh")
define("Hardswish", "hardswish")
define("Hardsigmoid", "hardsigmoid")

-- nn.Softmax{ axis = -1 }
local Softmax = module.class("nn.Softmax")
M.Softmax = Softmax
function Softmax:init(...)
  local _, given = util.arguments(...)
  self.axis = util.options("nn.Softmax", given, { axis = -1 }).axis
end
function Softmax:forward(x)
  local y = x:softmax { axis = self.axis }
  return y
end
function Softmax:spec() return { class = "Softmax", args = {}, options = { axis = self.axis } } end

return M
