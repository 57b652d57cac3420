-- recurrent.lua - recurrent layers over sequences (N, T, C) with PyTorch's names: several layers, one or both
-- directions.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local module = require "tlua.nn.module"
local linear = require "tlua.nn.linear"
local ops = core.ops
local M = {}

-- nn.LSTM(width, hidden [, {layers = 1, bidirectional = false, dropout = 0}]): called with (x, lengths) it gives y
-- (N, T, hidden, or twice that) and the last state of the uppermost layer (N, the same). lengths (N) int32: what
-- lies behind a sequence's end has no say, and y is 0 there; the other direction begins at the end of each.
-- dropout: between layers.
local Recurrent = module.class("nn.Recurrent")
Recurrent.scoped = true
local OPTIONS = { { "layers", "integer", 1, "one above another", least = 1 },
  { "bidirectional", "boolean", false, "in both directions" },
  { "dropout", "number", 0, "between layers", least = 0, below = 1 } }

function Recurrent:init(...)
  local values, o = schema.arguments(self._class, OPTIONS, { false, false }, ...)
  local width = util.whole(self._class, "the input width", values[1])
  self.hidden = util.whole(self._class, "the hidden width", values[2])
  rawset(self, "in_features", width)
  rawset(self, "options", o)
  rawset(self, "endings", o.bidirectional and { "", "_reverse" } or { "" })
  local bound = 1 / math.sqrt(self.hidden)
  local rows, usual = self.gates * self.hidden, { "uniform", -bound, bound }
  for k = 0, o.layers - 1 do
    for _, ending in ipairs(self.endings) do
      self:parameter(("weight_ih_l%d%s"):format(k, ending), { rows, width }, usual)
      self:parameter(("weight_hh_l%d%s"):format(k, ending), { rows, self.hidden }, usual)
      self:parameter(("bias_ih_l%d%s"):format(k, ending), { rows }, usual)
      self:parameter(("bias_hh_l%d%s"):format(k, ending), { rows }, usual)
    end
    width = self.hidden * #self.endings
  end
  self.dropout = linear.Dropout(o.dropout)
end

-- One direction of layer k: y and the last state.
local function direction(self, x, lengths, k, ending)
  local function tensor(name) return self[("%s_l%d%s"):format(name, k, ending)] end
  local w, v, a, b = tensor "weight_ih", tensor "weight_hh", tensor "bias_ih", tensor "bias_hh"
  local o = { reverse = ending ~= "" }
  local y, h
  if self.gates == 4 then y, h = ops.lstm(x, w, v, a, b, nil, nil, lengths, o)
  else y, h = ops.gru(x, w, v, a, b, nil, lengths, o) end
  return y, h
end

function Recurrent:forward(x, lengths)
  local last
  for k = 0, self.options.layers - 1 do
    if k > 0 then x = self.dropout(x) end
    local y, h = direction(self, x, lengths, k, "")
    if self.endings[2] then
      local z, g = direction(self, x, lengths, k, "_reverse")
      y, h = ops.concat(y, z, { axis = 3 }), ops.concat(h, g, { axis = 2 })
    end
    x, last = y, h
  end
  return x, last
end

function Recurrent:infer(width)
  if width and width ~= self.in_features then util.failf("%s: the input has %d features", self:label(), width) end
  return self.hidden * #self.endings
end
function Recurrent:label() return ("%s(%d -> %d)"):format(self._class, self.in_features, self.hidden) end
function Recurrent:spec()
  return { class = self._class:match "[^.]+$", args = { self.in_features, self.hidden }, options = self.options }
end
function Recurrent:cost(shape)
  local out, n, width = { shape[1], shape[2], self.hidden * #self.endings }, 0, shape[3]
  for _ = 1, self.options.layers do
    n, width = n + #self.endings * self.gates * self.hidden * (width + self.hidden), out[3]
  end
  return out, shape[1] * shape[2] * n
end

M.LSTM, M.GRU = module.class("nn.LSTM", Recurrent), module.class("nn.GRU", Recurrent)
M.LSTM.gates, M.GRU.gates = 4, 3

return M
