-- activation.lua - element by element, without parameters.
local core = require "tlua.core"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local M = {}

local function define(name, operator, options)
  local class = module.class("nn." .. name)
  function class:init(...)
    local _, given = schema.arguments("nn." .. name, options or {}, {}, ...)
    self.options = given
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
define("GELU", "gelu", { { "approximate", "choice", "none", "by the formula with tanh", { "none", "tanh" } } })
define("Sigmoid", "sigmoid")
define("Tanh", "tanh")
define("Hardswish", "hardswish")
define("Hardsigmoid", "hardsigmoid")

-- nn.LeakyReLU([slope = 0.01]): x where positive, else slope times x.
local LeakyReLU = module.class("nn.LeakyReLU")
M.LeakyReLU = LeakyReLU
function LeakyReLU:init(...)
  local _, given = schema.arguments("nn.LeakyReLU", { { "slope", "number", 0.01, "of what is below zero" } }, { "slope" }, ...)
  self.slope = given.slope
end
function LeakyReLU:forward(x)
  local y = core.ops.leaky_relu(x, { slope = self.slope })
  return y
end
function LeakyReLU:spec() return { class = "LeakyReLU", args = { self.slope } } end

-- nn.Softmax{ axis = -1 }
local Softmax = module.class("nn.Softmax")
M.Softmax = Softmax
function Softmax:init(...)
  local _, given = schema.arguments("nn.Softmax", { { "axis", "integer", -1, "dimension that sums to one" } }, {}, ...)
  self.axis = given.axis
end
function Softmax:forward(x)
  local y = x:softmax { axis = self.axis }
  return y
end
function Softmax:spec() return { class = "Softmax", args = {}, options = { axis = self.axis } } end

return M
