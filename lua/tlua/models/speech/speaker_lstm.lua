-- speaker_lstm.lua - an embedding of a speaker's voice (GE2E, Wan et al. 2018) as PyPI's resemblyzer has it: three LSTM
-- layers over mel bands, and of the last state of the uppermost one a vector of length 1 without negative numbers.
local core = require "tlua.core"
local module = require "tlua.nn.module"
local nn = require "tlua.nn"
local weights = require "tlua.weights"
local sequence = require "tlua.models.speech.sequence"
local frontend = require "tlua.models.speech.frontend"
local ops = core.ops

local Speaker = module.class("models.SpeakerLSTM", sequence.Sequence)
Speaker.head_name, Speaker.drops_within, Speaker.gives = "linear", true, "vector"
Speaker.output_names = { "output" }

function Speaker:init(_, o)
  frontend.build(self, o, { pad_mode = "constant" })
  self.lstm = nn.LSTM(o.bands, o.width, { layers = o.layers, dropout = o.dropout })
  self.linear = nn.Linear(o.width, o.classes)
  rawset(self, "features_width", o.width)
end

function Speaker:stages()
  local list = frontend.stages(self)
  list[#list + 1] = { name = "lstm", modules = { "lstm" }, run = function(self, x, lengths)
    local _, last = self.lstm(x, lengths)
    return last, lengths
  end }
  return list
end

-- A head of one's own gives numbers as they are.
function Speaker:classify(features)
  local y = self:head()(features)
  if rawget(self, "own_head") then return y end
  y = ops.relu(y)
  return y * (y:square():sum { axes = { 2 }, keep = true } + 1e-24):rsqrt()
end

function Speaker:features_cost(shape)
  local frames = frontend.count(self, shape[2])
  local _, n = self.lstm:cost { shape[1], frames, self.network_options.bands }
  return { shape[1], self.features_width }, n + frontend.cost(self, shape)
end

-- The published file has what its training scaled similarities by, and no front end.
function Speaker:load_weights(spec, key)
  local path, set, name = weights.resolve(self.entry, spec)
  if not set then return sequence.Sequence.load_weights(self, spec, key) end
  local scope <close> = core.scope()
  local tensors = core.load(path, { key = key })
  tensors.similarity_weight, tensors.similarity_bias = nil, nil
  self.frontend:_build()
  for own, t in pairs(self.frontend._tensors) do tensors["frontend." .. own] = t:clone() end
  local report = self:load(tensors, { what = self.entry.name .. ": " .. path, head = self.head_name })
  self:took_weights(report, path)
  rawset(self, "weights_set", set)
  rawset(self, "weights_name", name)
  return report
end

return function(registry)
  local fields = frontend.fields { bands = 40, scale = "slaney", band_norm = "slaney", log = "none" }
  table.insert(fields, 1, { "width", "integer", 256, "of the state", least = 1, most = 1 << 14 })
  table.insert(fields, 2, { "layers", "integer", 3, "one above another", least = 1, most = 64 })
  registry.add { name = "speaker_lstm", class = Speaker, takes = "wave", classes = 256, fields = fields,
    weights = { resemblyzer = { file = "pretrained.pt", from = "they are in the wheel of PyPI's resemblyzer 0.1.4 "
      .. "(Apache-2.0): pip download --no-deps resemblyzer==0.1.4 and python3 tools/wheel_files.py "
      .. "Resemblyzer-0.1.4-py3-none-any.whl DIR" } } }
end
