-- cost.lua - multiply-adds of a graph's calls, from their shapes alone.
local product = require("tlua.util").product
local cost = {}

local function shape_of(self, found, each)
  if type(each) == "number" then return found[each] end
  local place = each and self.places_of[each]
  for _, spec in ipairs(place and place[1]._specs or {}) do
    if spec.name == place[2] then return spec.shape end
  end
end

-- What one of the results costs is what all the numbers cost that are added up for it.
local RULES = {
  conv = function(_, y, w) return product(y) * product(w) // w[1] end,
  conv_transpose = function(x, _, w) return product(x) * product(w) // w[1] end,
  linear = function(_, y, w) return product(y) * w[#w] end,
  matmul = function(x, y, _, c) return product(y) * x[c.attrs.transpose_a and #x - 1 or #x] end,
  attention = function(x, _, k) return 2 * x[1] * x[2] * k[2] * x[3] end,
}
-- Gates of the input x (N, T, C), w (gates, C), and of the state (N, T, width) that goes around.
local function recurrent(x, y, w) return product(x) // x[#x] * w[1] * (x[#x] + y[#y]) end
RULES.lstm, RULES.gru, RULES.rnn = recurrent, recurrent, recurrent

-- {[number of a call] = multiply-adds} for the shapes `found` of values (shapes.at), and their sum.
function cost.of(self, found)
  local list, all = {}, 0
  for i, c in ipairs(self.calls) do
    local rule, n = RULES[c.op], 0
    if rule and not c.head then
      local x, w = shape_of(self, found, c.inputs[1]), shape_of(self, found, c.inputs[2])
      local ok, v = pcall(rule, x, found[c.first], w, c)
      n = ok and v or 0
    end
    list[i], all = n, all + n
  end
  return list, all
end

return cost
